//! Counts and ranges as arguments write them: by rank, by score (`(1.5`, `-inf`) and by member
//! (`[abc`, `(abc`, `-`, `+`).
//!
//! Every range becomes a [`Span`] of ranks, so that its size is known before it is walked and an
//! offset into it costs nothing. This room knows no replies and changes nothing.

use super::args::{Args, clamp_range};
use crate::error::CommandError;
use crate::number::{parse_f64, parse_i64};
use crate::value::Storage;
use crate::value::zset::ZSet;

/// The next argument, a number that is not negative; anything else is the given error.
pub(super) fn count(args: &mut Args<'_>, error: CommandError) -> Result<usize, CommandError> {
    let count = parse_i64(args.next()?).and_then(|count| usize::try_from(count).ok());
    count.ok_or(error)
}

/// How many elements LMPOP and its like take: COUNT and a positive number, or nothing, are all
/// that is left.
pub(super) fn pop_count(mut args: Args<'_>) -> Result<usize, CommandError> {
    if args.is_empty() {
        return Ok(1);
    }
    if args.len() < 2 || !args.take_word("count") {
        return Err(CommandError::Syntax);
    }
    match count(&mut args, CommandError::COUNT_NOT_POSITIVE)? {
        0 => Err(CommandError::COUNT_NOT_POSITIVE),
        count if args.is_empty() => Ok(count),
        _ => Err(CommandError::Syntax),
    }
}

/// Some neighbouring ranks of a sorted set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// The lowest.
    pub(super) start: usize,
    /// How many.
    pub(super) count: usize,
}

impl Span {
    fn between(start: usize, end: usize) -> Self {
        Span { start, count: end.saturating_sub(start) }
    }

    /// What LIMIT leaves of the span, which is counted from its upper end in a reverse walk. A
    /// negative limit is none; nothing is at a negative offset.
    pub(super) fn limited(self, offset: i64, limit: i64, order: Order) -> Self {
        let Ok(offset) = usize::try_from(offset) else { return Span::default() };
        let skipped = offset.min(self.count);
        let left = self.count - skipped;
        let count = usize::try_from(limit).map_or(left, |limit| limit.min(left));
        match order {
            Order::Ascending => Span { start: self.start + skipped, count },
            Order::Descending => Span { start: self.start + left - count, count },
        }
    }
}

/// The direction in which a sorted set is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// From the lowest score.
    Ascending,
    /// From the highest score.
    Descending,
}

/// What a range is given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Ranks.
    Rank,
    /// Scores.
    Score,
    /// Members, in a set whose scores are all the same.
    Lex,
}

/// A range of a sorted set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range<'a> {
    /// The first and the last rank, counted in the order of the walk, negative ones from its end.
    Rank(i64, i64),
    /// The lowest and the highest score.
    Score(ScoreEnd, ScoreEnd),
    /// The lowest and the highest member.
    Lex(LexEnd<'a>, LexEnd<'a>),
}

impl<'a> Range<'a> {
    /// Reads the two ends in the order in which a walk meets them: for a descending one, the
    /// upper end of scores or members is written first.
    pub(super) fn parse(
        by: By,
        order: Order,
        first: &'a [u8],
        last: &'a [u8],
    ) -> Result<Self, CommandError> {
        let (min, max) = if order == Order::Ascending { (first, last) } else { (last, first) };
        match by {
            By::Rank => {
                let rank = |text| parse_i64(text).ok_or(CommandError::NotInteger);
                Ok(Range::Rank(rank(first)?, rank(last)?))
            }
            By::Score => Ok(Range::Score(ScoreEnd::parse(min)?, ScoreEnd::parse(max)?)),
            By::Lex => Ok(Range::Lex(LexEnd::parse(min)?, LexEnd::parse(max)?)),
        }
    }

    /// The ranks that are in the range.
    pub(super) fn span(self, zset: &ZSet<impl Storage>, order: Order) -> Span {
        match self {
            Range::Rank(first, last) => {
                let (at, count) = clamp_range(first, last, zset.len());
                let start = if order == Order::Ascending { at } else { zset.len() - at - count };
                Span { start, count }
            }
            Range::Score(min, max) => Span::between(
                zset.rank_of_first(|score, _| min.is_above(score)),
                zset.rank_of_first(|score, _| max.admits_below(score)),
            ),
            Range::Lex(min, max) => Span::between(
                zset.rank_of_first(|_, member| min.is_above(member)),
                zset.rank_of_first(|_, member| max.admits_below(member)),
            ),
        }
    }
}

/// One end of a range of scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreEnd {
    score: f64,
    /// Whether the score itself is outside.
    open: bool,
}

impl ScoreEnd {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let open = text.first() == Some(&b'(');
        let number = if open { text.get(1..).unwrap_or_default() } else { text };
        let score = loose_score(number).ok_or(CommandError::MinMaxNotFloat)?;
        Ok(ScoreEnd { score, open })
    }

    /// As the lower end: whether a score is outside.
    fn is_above(self, score: f64) -> bool {
        if self.open { score <= self.score } else { score < self.score }
    }

    /// As the upper end: whether a score is inside.
    fn admits_below(self, score: f64) -> bool {
        if self.open { score < self.score } else { score <= self.score }
    }
}

/// Reads a score as `strtod` by itself does, more loosely than Redis reads other numbers: it ends
/// at a NUL, nothing is 0, space before it is skipped, and what is beyond the range of doubles
/// becomes infinite or 0.
fn loose_score(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    // What C calls space; the standard library leaves the vertical tab out.
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'));
    let text = text.get(start?..)?;
    parse_f64(text).or_else(|| score_beyond_range(text))
}

/// Reads a decimal number that is refused elsewhere as too large or too small. Those in
/// hexadecimal stay refused.
fn score_beyond_range(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    // The standard library also reads words such as "nan", which are no scores.
    if !unsigned.starts_with(b".") && !unsigned.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// One end of a range of members.
#[derive(Clone, Copy, Debug)]
pub(super) enum LexEnd<'a> {
    /// `-`: before every member.
    Lowest,
    /// `+`: behind every member.
    Highest,
    /// `(abc`: the member itself is outside.
    Open(&'a [u8]),
    /// `[abc`: the member itself is inside.
    Closed(&'a [u8]),
}

impl<'a> LexEnd<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, CommandError> {
        match text {
            // Like a C string, the two signs end at a NUL.
            [b'-'] | [b'-', 0, ..] => Ok(LexEnd::Lowest),
            [b'+'] | [b'+', 0, ..] => Ok(LexEnd::Highest),
            [b'(', member @ ..] => Ok(LexEnd::Open(member)),
            [b'[', member @ ..] => Ok(LexEnd::Closed(member)),
            _ => Err(CommandError::MinMaxNotLex),
        }
    }

    /// As the lower end: whether a member is outside.
    fn is_above(self, member: &[u8]) -> bool {
        match self {
            LexEnd::Lowest => false,
            LexEnd::Highest => true,
            LexEnd::Open(end) => member <= end,
            LexEnd::Closed(end) => member < end,
        }
    }

    /// As the upper end: whether a member is inside.
    fn admits_below(self, member: &[u8]) -> bool {
        match self {
            LexEnd::Lowest => false,
            LexEnd::Highest => true,
            LexEnd::Open(end) => member < end,
            LexEnd::Closed(end) => member <= end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_loosely_as_redis_reads_them() {
        let good = [
            ("", 0.0),
            ("1.5", 1.5),
            (" 1", 1.0),
            ("\x0b1", 1.0),
            ("2\0x", 2.0),
            ("0x2", 2.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("1e-400", 0.0),
        ];
        for (text, score) in good {
            assert_eq!(loose_score(text.as_bytes()), Some(score), "{text:?}");
        }
        for text in [" ", "1 ", "nan", "-nan", "(1", "0x", ".", "1e", "+-1", "x"] {
            assert_eq!(loose_score(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn limits_count_from_the_end_a_walk_begins_at() {
        let span = Span { start: 10, count: 5 };
        for (offset, limit, ascending, descending) in [
            (0, -1, (10, 5), (10, 5)),
            (1, 2, (11, 2), (12, 2)),
            (4, 9, (14, 1), (10, 1)),
            (5, 1, (15, 0), (10, 0)),
            (i64::MAX, i64::MAX, (15, 0), (10, 0)),
            (0, 0, (10, 0), (15, 0)),
            (-1, -1, (0, 0), (0, 0)),
        ] {
            let limited = |order| {
                let span = span.limited(offset, limit, order);
                (span.start, span.count)
            };
            assert_eq!(limited(Order::Ascending), ascending, "{offset} {limit}");
            assert_eq!(limited(Order::Descending), descending, "{offset} {limit}");
        }
    }
}

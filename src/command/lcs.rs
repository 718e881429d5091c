//! LCS: the longest common subsequence of two strings.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::AtLeast;
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::reply::ReplyBuf;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::String,
    commands: &[
        row("lcs", AtLeast(3), Flags::READONLY, Keys::FIRST_TWO, "7.0.0",
            "O(N*M) for strings of N and M bytes",
            "The longest common subsequence of two strings, its length or where it is.", lcs),
    ],
};

/// What is asked for.
#[derive(Default)]
struct Options {
    only_len: bool,
    ranges: bool,
    /// Shorter ranges are left out.
    least: i64,
    /// The length of each range is told too.
    with_len: bool,
}

impl Options {
    fn parse(mut args: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if args.take_word("idx") {
                options.ranges = true;
            } else if args.take_word("len") {
                options.only_len = true;
            } else if args.take_word("withmatchlen") {
                options.with_len = true;
            } else if args.len() > 1 && args.take_word("minmatchlen") {
                options.least = args.integer()?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.ranges && options.only_len {
            return Err(CommandError::text(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// Redis looks at the strings before it reads the options.
fn lcs(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let keys = (args.key()?, args.key()?);
    let (left, right) = (text(cx.keys, keys.0)?, text(cx.keys, keys.1)?);
    let options = Options::parse(args)?;
    // As much as Redis's table of lengths would take.
    let transient = (left.len() as u128 + 1) * (right.len() as u128 + 1) * 4;
    if transient > super::ARGUMENT_MOST as u128 {
        return Err(CommandError::text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    if options.only_len {
        let len = fill(&left, &right, |_, _| ());
        cx.reply.count(len);
        return Ok(());
    }
    let table = Table::new(&left, &right);
    if options.ranges {
        reply_ranges(cx.reply, &table, &options);
    } else {
        cx.reply.bulk(&table.text());
    }
    Ok(())
}

/// A copy of the string a key holds; a missing one is empty.
fn text(keys: &mut Keyspace, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    match keys.string(key) {
        Ok(text) => Ok(text.map(|text| text.with_bytes(<[u8]>::to_vec)).unwrap_or_default()),
        Err(_) => Err(CommandError::text("ERR The specified keys must contain string values")),
    }
}

/// The length of the longest common subsequence. For each two places, row by row, tells whether
/// the beginnings of the strings up to there have a longer one without the left one's last byte
/// than without the right one's.
fn fill(left: &[u8], right: &[u8], mut tell: impl FnMut(usize, bool)) -> usize {
    let mut row = vec![0_u32; right.len()];
    let mut nth = 0;
    for a in left {
        // The lengths diagonally before and beside the present place.
        let (mut diagonal, mut beside) = (0, 0);
        for (above, b) in row.iter_mut().zip(right) {
            let up = *above > beside;
            let len = match (a == b, up) {
                (true, _) => diagonal + 1,
                (false, true) => *above,
                (false, false) => beside,
            };
            tell(nth, up);
            diagonal = *above;
            *above = len;
            beside = len;
            nth += 1;
        }
    }
    row.last().copied().unwrap_or(0) as usize
}

/// The way back through all places, one bit for each.
struct Table<'a> {
    left: &'a [u8],
    right: &'a [u8],
    up: Vec<u64>,
    len: usize,
}

/// Bytes that both strings have in a row: where they begin in each, and how many.
#[derive(Clone, Copy)]
struct Match {
    left: usize,
    right: usize,
    len: usize,
}

impl<'a> Table<'a> {
    fn new(left: &'a [u8], right: &'a [u8]) -> Table<'a> {
        let mut up = vec![0_u64; (left.len() * right.len()).div_ceil(64)];
        let len = fill(left, right, |nth, is_up| {
            if let Some(word) = up.get_mut(nth / 64) {
                *word |= u64::from(is_up) << (nth % 64);
            }
        });
        Table { left, right, up, len }
    }

    /// Visits the matches from the last to the first.
    fn matches(&self, mut visit: impl FnMut(Match)) {
        let (mut left, mut right) = (self.left.len(), self.right.len());
        let mut len = 0;
        while left > 0 && right > 0 {
            if self.left.get(left - 1) == self.right.get(right - 1) {
                (left, right, len) = (left - 1, right - 1, len + 1);
                continue;
            }
            if len > 0 {
                visit(Match { left, right, len });
                len = 0;
            }
            let nth = (left - 1) * self.right.len() + right - 1;
            let is_up = self.up.get(nth / 64).is_some_and(|word| word >> (nth % 64) & 1 == 1);
            if is_up { left -= 1 } else { right -= 1 }
        }
        if len > 0 {
            visit(Match { left, right, len });
        }
    }

    /// The subsequence itself.
    fn text(&self) -> Vec<u8> {
        let mut reversed = Vec::with_capacity(self.len);
        self.matches(|found| {
            let bytes = self.left.get(found.left..found.left + found.len).unwrap_or_default();
            reversed.extend(bytes.iter().rev());
        });
        reversed.reverse();
        reversed
    }
}

fn reply_ranges(reply: &mut ReplyBuf, table: &Table<'_>, options: &Options) {
    reply.map(2);
    reply.bulk(b"matches");
    let start = reply.mark();
    let mut count = 0;
    reply.array(count);
    table.matches(|found| {
        if (found.len as i64) < options.least {
            return;
        }
        count += 1;
        reply.array(if options.with_len { 3 } else { 2 });
        for at in [found.left, found.right] {
            reply.array(2);
            reply.count(at);
            reply.count(at + found.len - 1);
        }
        if options.with_len {
            reply.count(found.len);
        }
    });
    reply.set_len(start, count);
    reply.bulk(b"len");
    reply.count(table.len);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subsequence(left: &str, right: &str) -> String {
        String::from_utf8(Table::new(left.as_bytes(), right.as_bytes()).text()).unwrap()
    }

    #[test]
    fn finds_the_longest() {
        for (left, right, expected) in [
            ("ohmytext", "mynewtext", "mytext"),
            ("", "abc", ""),
            ("abc", "", ""),
            ("abc", "xyz", ""),
            ("same", "same", "same"),
            ("xaxbxc", "abcy", "abc"),
        ] {
            assert_eq!(subsequence(left, right), expected, "{left} {right}");
            let len = fill(left.as_bytes(), right.as_bytes(), |_, _| ());
            assert_eq!(len, expected.len(), "{left} {right}");
        }
    }

    #[test]
    fn matches_are_told_from_the_last_to_the_first() {
        let mut found = Vec::new();
        let table = Table::new(b"ohmytext", b"mynewtext");
        table.matches(|at| found.push((at.left, at.right, at.len)));
        assert_eq!(found, [(4, 5, 4), (2, 0, 2)]);
    }
}

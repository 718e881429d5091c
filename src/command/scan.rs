//! SCAN, and what the other commands that walk a step at a time share with it.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, keyless};
use crate::error::{CommandError, CommandResult};
use crate::glob;
use crate::number::parse_loose_u64;
use crate::reply::ReplyBuf;
use crate::table::Step;
use std::num::NonZero;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        keyless("scan", AtLeast(2), Flags::READONLY, "2.8.0", "O(1) a call",
            "Walks the keys a step at a time.", scan)
            .tips(&["nondeterministic_output", "request_policy:special"]),
    ],
};

/// How many elements a call visits where COUNT is not given.
const COUNT_DEFAULT: u64 = 10;
/// So many steps are made at most for each element asked for: a table may be nearly empty.
const STEPS_PER_ELEMENT: u64 = 10;

/// What a call of SCAN or one of its relatives asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    cursor: u64,
    /// None where everything matches.
    pattern: Option<&'a [u8]>,
    count: u64,
    type_name: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// Reads the cursor and all options. TYPE is one of them only for SCAN.
    pub(super) fn parse(args: &mut Args<'a>, with_type: bool) -> Result<Scan<'a>, CommandError> {
        let mut scan = Scan::parse_cursor(args)?;
        scan.parse_options(args, with_type)?;
        Ok(scan)
    }

    /// Reads the cursor only. HSCAN and its relatives look the key up between the cursor and the
    /// options: where there is no key Redis never reads those, however wrong they are.
    pub(super) fn parse_cursor(args: &mut Args<'a>) -> Result<Scan<'a>, CommandError> {
        let cursor = cursor_from(args.next()?).ok_or(CommandError::InvalidCursor)?;
        Ok(Scan { cursor, pattern: None, count: COUNT_DEFAULT, type_name: None })
    }

    /// Reads the options; one that is given again takes the place of the earlier.
    pub(super) fn parse_options(
        &mut self,
        args: &mut Args<'a>,
        with_type: bool,
    ) -> Result<(), CommandError> {
        while !args.is_empty() {
            if args.take_word("count") {
                let count = u64::try_from(args.integer()?).unwrap_or(0);
                self.count = NonZero::new(count).ok_or(CommandError::Syntax)?.get();
            } else if args.take_word("match") {
                self.pattern = Some(args.next()?).filter(|pattern| !glob::is_match_all(pattern));
            } else if with_type && args.take_word("type") {
                self.type_name = Some(args.next()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(())
    }

    fn matches(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, text))
    }

    /// Whether a key of this type is asked for; a name no type has finds no key.
    fn matches_type(&self, type_name: &str) -> bool {
        self.type_name.is_none_or(|asked| asked.eq_ignore_ascii_case(type_name.as_bytes()))
    }
}

/// Reads a cursor by the rules of C's `strtoul`, as Redis does: a sign is allowed and a negative
/// number wraps around, the text ends at a NUL, an empty one is 0. Space is refused.
fn cursor_from(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() { Some(0) } else { parse_loose_u64(text) }
}

fn scan(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let scan = Scan::parse(&mut args, true)?;
    walk(cx.reply, &scan, |step, found| {
        cx.keys.scan(step, &mut |key, type_name| {
            found.visit(&[key], scan.matches_type(type_name));
        })
    });
    Ok(())
}

/// Answers with the cursor of the next call and the elements that match, each of them `width`
/// texts of which the first is matched. `take` visits what lies at a step's cursor and returns that
/// of the next, 0 at the end.
pub(super) fn reply_scan(
    reply: &mut ReplyBuf,
    scan: &Scan<'_>,
    width: usize,
    mut take: impl FnMut(Step, &mut dyn FnMut(&[&[u8]])) -> u64,
) {
    walk(reply, scan, |step, found| {
        take(step, &mut |element| {
            debug_assert_eq!(element.len(), width);
            found.visit(element, true);
        })
    });
}

/// [`reply_scan`], where a step may also refuse an element, which then counts as visited.
fn walk(reply: &mut ReplyBuf, scan: &Scan<'_>, mut take: impl FnMut(Step, &mut Walk<'_>) -> u64) {
    reply.array(2);
    // The cursor comes first in the reply, and is known last.
    let cursor_at = reply.mark();
    reply.null();
    let found_at = reply.mark();
    reply.array(0);
    let mut walk = Walk { reply, scan, visited: 0, found: 0 };
    let mut cursor = scan.cursor;
    for _ in 0..scan.count.saturating_mul(STEPS_PER_ELEMENT) {
        let most = usize::try_from(scan.count - walk.visited).unwrap_or(usize::MAX);
        cursor = take(Step { cursor, most }, &mut walk);
        if cursor == 0 || walk.visited >= scan.count {
            break;
        }
    }
    let found = walk.found;
    reply.set_len(found_at, found);
    reply.bulk_at(cursor_at, itoa::Buffer::new().format(cursor).as_bytes());
}

/// What a call has come upon.
struct Walk<'a> {
    reply: &'a mut ReplyBuf,
    scan: &'a Scan<'a>,
    /// How many elements.
    visited: u64,
    /// How many texts of those that are asked for.
    found: usize,
}

impl Walk<'_> {
    /// Answers with an element, the texts of one, if it is asked for.
    #[inline]
    fn visit(&mut self, element: &[&[u8]], wanted: bool) {
        self.visited += 1;
        if wanted && element.first().is_some_and(|name| self.scan.matches(name)) {
            element.iter().for_each(|text| self.reply.bulk(text));
            self.found += element.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Protocol, Reply};

    fn parse(words: &[&str], with_type: bool) -> Result<(), CommandError> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Scan::parse(&mut Args::new("scan", &words), with_type).map(|_| ())
    }

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        let good = [
            ("0", 0),
            ("", 0),
            ("00", 0),
            ("-0", 0),
            ("+7", 7),
            ("007", 7),
            ("7\0x", 7),
            ("-1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-18446744073709551615", 1),
        ];
        for (text, cursor) in good {
            assert_eq!(cursor_from(text.as_bytes()), Some(cursor), "{text}");
        }
        for text in [" 1", "1 ", "abc", "1a", "0x1", "-", "+", "- 1", "18446744073709551616"] {
            assert_eq!(cursor_from(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_first_error_counts() {
        use CommandError::{InvalidCursor, NotInteger, Syntax};
        assert_eq!(parse(&["x", "COUNT", "0"], true), Err(InvalidCursor));
        assert_eq!(parse(&["0", "COUNT", "0"], true), Err(Syntax));
        assert_eq!(parse(&["0", "COUNT", "-5"], true), Err(Syntax));
        assert_eq!(parse(&["0", "COUNT", "x", "y"], true), Err(NotInteger));
        assert_eq!(parse(&["0", "MATCH"], true), Err(Syntax));
        assert_eq!(parse(&["0", "TYPE", "hash"], false), Err(Syntax));
        assert_eq!(parse(&["0", "type", "hash", "match", "*", "count", "1"], true), Ok(()));
    }

    #[test]
    fn steps_go_on_until_enough_was_visited() {
        let words: [&[u8]; 5] = [b"0", b"COUNT", b"3", b"MATCH", b"[13]"];
        let scan = Scan::parse(&mut Args::new("hscan", &words), false).unwrap();
        let mut reply = ReplyBuf::new();
        reply_scan(&mut reply, &scan, 2, |Step { cursor, .. }, found| {
            let (name, next) = (cursor.to_string(), cursor + 1);
            found(&[name.as_bytes(), b"value"]);
            if next < 5 { next } else { 0 }
        });
        let bulk = |text: &str| Reply::Bulk(text.into());
        let found = Reply::Array(vec![bulk("1"), bulk("value")]);
        assert_eq!(reply.to_reply(Protocol::Resp2), Reply::Array(vec![bulk("3"), found]));
    }
}

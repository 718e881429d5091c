//! IDs of entries as arguments.
//!
//! Redis reads them more loosely than other numbers: zeros in front, a plus sign and space are
//! allowed, and a number of which that makes a negative one wraps around.

use super::args::Args;
use crate::error::CommandError;
use crate::number::{parse_i64, parse_loose_u64, parse_u64};
use crate::value::stream::Id;
use smallvec::SmallVec;

/// IDs of one call.
pub(super) type Ids = SmallVec<[Id; 16]>;

/// Longer texts are no IDs.
const TEXT_MOST: usize = 127;

/// The ID of an entry to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// Made of the time.
    Auto,
    /// With a number within this millisecond that is yet to be found.
    Within(u64),
    /// Just this.
    Exact(Id),
}

/// Reads an ID of two numbers without anything else, as most are.
#[inline]
fn plain_id_from(text: &[u8]) -> Option<Id> {
    let dash = text.iter().position(|&byte| byte == b'-')?;
    Some(Id { ms: parse_u64(text.get(..dash)?)?, seq: parse_u64(text.get(dash + 1..)?)? })
}

/// Reads an ID; one without a number within the millisecond gets this one.
pub(super) fn id_from(text: &[u8], seq: u64) -> Result<Id, CommandError> {
    if let Some(id) = plain_id_from(text) {
        return Ok(id);
    }
    let (ms, own) = split(text);
    let parsed = number(ms).zip(own.map_or(Some(seq), number));
    let (ms, seq) = parsed.ok_or(CommandError::InvalidStreamId)?;
    Ok(Id { ms, seq })
}

/// Reads the ID of an entry to be added.
pub(super) fn new_id_from(text: &[u8]) -> Result<NewId, CommandError> {
    if let Some(id) = plain_id_from(text) {
        return Ok(NewId::Exact(id));
    }
    match split(text) {
        (ms, Some(b"*")) => number(ms).map(NewId::Within).ok_or(CommandError::InvalidStreamId),
        _ => id_from(text, 0).map(NewId::Exact),
    }
}

/// Reads the first ID of a range: `-` and `+` are the ends, `(` leaves the ID itself out.
pub(super) fn start_from(text: &[u8]) -> Result<Id, CommandError> {
    match text.strip_prefix(b"(") {
        Some(text) => id_from(text, 0)?.next().ok_or(CommandError::InvalidStreamStart),
        None => bound_from(text, 0),
    }
}

/// Reads the last ID of a range.
pub(super) fn end_from(text: &[u8]) -> Result<Id, CommandError> {
    match text.strip_prefix(b"(") {
        Some(text) => id_from(text, u64::MAX)?.previous().ok_or(CommandError::InvalidStreamEnd),
        None => bound_from(text, u64::MAX),
    }
}

/// Reads an ID, or an end: `-` is the first and `+` the last of all.
pub(super) fn bound_from(text: &[u8], seq: u64) -> Result<Id, CommandError> {
    match text {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        _ => id_from(text, seq),
    }
}

/// All arguments that are left, which are IDs.
pub(super) fn ids_from(args: Args<'_>) -> Result<Ids, CommandError> {
    args.rest().iter().map(|text| id_from(text, 0)).collect()
}

/// What is before the first dash and what is behind it. C's texts end at a NUL.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    if text.len() > TEXT_MOST {
        return (&[], None);
    }
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => (text.get(..dash).unwrap_or_default(), text.get(dash + 1..)),
        None => (text, None),
    }
}

/// Reads a number by the rules of C's `strtoull`, plain negative ones excepted.
fn number(text: &[u8]) -> Option<u64> {
    if let number @ Some(_) = parse_u64(text) {
        return number;
    }
    if parse_i64(text).is_some() {
        return None;
    }
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t'..=b'\r');
    parse_loose_u64(text.get(text.iter().take_while(space).count()..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_loosely_as_redis_reads_them() {
        let good = [
            ("5", (5, 7)),
            ("5-3", (5, 3)),
            ("005-03", (5, 3)),
            ("+5-+3", (5, 3)),
            (" 5- 3", (5, 3)),
            ("5--03", (5, u64::MAX - 2)),
            ("5\0-x", (5, 7)),
            ("18446744073709551615-18446744073709551615", (u64::MAX, u64::MAX)),
        ];
        for (text, (ms, seq)) in good {
            assert_eq!(id_from(text.as_bytes(), 7), Ok(Id { ms, seq }), "{text}");
        }
        let long = "0".repeat(128);
        let bad =
            ["", "-", "+", "-5", "5-", "5--3", "5 ", "x", "5-3-1", "18446744073709551616", &long];
        for text in bad {
            assert_eq!(id_from(text.as_bytes(), 7), Err(CommandError::InvalidStreamId), "{text}");
        }
    }

    #[test]
    fn ranges_have_open_ends() {
        let id = |ms, seq| Ok(Id { ms, seq });
        assert_eq!(start_from(b"-"), Ok(Id::MIN));
        assert_eq!(end_from(b"+"), Ok(Id::MAX));
        assert_eq!((start_from(b"3"), end_from(b"3")), (id(3, 0), id(3, u64::MAX)));
        assert_eq!((start_from(b"(3"), end_from(b"(3")), (id(3, 1), id(3, u64::MAX - 1)));
        assert_eq!(end_from(b"(3-0"), id(2, u64::MAX));
        assert_eq!(end_from(b"(0-0"), Err(CommandError::InvalidStreamEnd));
        let last = b"(18446744073709551615-18446744073709551615";
        assert_eq!(start_from(last), Err(CommandError::InvalidStreamStart));
        assert_eq!(start_from(b"(-"), Err(CommandError::InvalidStreamId));
    }

    #[test]
    fn new_ids_may_leave_their_number_open() {
        assert_eq!(new_id_from(b"7-*"), Ok(NewId::Within(7)));
        assert_eq!(new_id_from(b"7"), Ok(NewId::Exact(Id { ms: 7, seq: 0 })));
        assert_eq!(new_id_from(b"*-1"), Err(CommandError::InvalidStreamId));
        assert_eq!(new_id_from(b"-*"), Err(CommandError::InvalidStreamId));
    }
}

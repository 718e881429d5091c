//! Bitmap commands: strings as sequences of bits, the first bit of a byte being its highest.
//!
//! BITFIELD is in `bitfield.rs`.

use super::args::{Args, clamp_range};
use super::context::Context;
use super::keyspec::{specs, uses};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::bytes::number;
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{NEVER, Text};
use crate::number::parse_i64;
use smallvec::SmallVec;
use std::borrow::Cow;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM);

/// The keys of BITOP: all behind the operation.
const FROM_SECOND: Keys = Keys { first: 2, last: -1, step: 1 };

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Bitmap,
    commands: &[
        row("bitcount", AtLeast(2), READ, Keys::FIRST, "2.6.0", "O(N) in bytes of the range",
            "Counts the bits that are set in a string or a part of it.", bitcount),
        row("bitop", AtLeast(4), ADD, FROM_SECOND, "2.6.0", "O(N) in bytes of all strings",
            "Stores the bits of strings, combined by AND, OR, XOR or NOT.", bitop)
            .specs(specs::OPERATION_OF_REST),
        row("bitpos", AtLeast(3), READ, Keys::FIRST, "2.8.7", "O(N) in bytes of the range",
            "Finds the first bit that is set, or clear.", bitpos),
        row("getbit", Exactly(3), READ_FAST, Keys::FIRST, "2.2.0", "O(1)",
            "A bit of a string.", getbit),
        row("setbit", Exactly(4), ADD, Keys::FIRST, "2.2.0", "O(1)",
            "Sets or clears a bit of a string and returns what it was.", setbit)
            .uses(uses::RW_ACCESS_UPDATE),
    ],
};

/// The offset of a bit, within what a string may hold.
fn bit_offset(text: &[u8]) -> Result<usize, CommandError> {
    let offset = parse_i64(text).and_then(|offset| usize::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < super::ARGUMENT_MOST).ok_or(CommandError::BitOffset)
}

/// The bit at an offset as a mask of its byte.
fn mask(offset: usize) -> u8 {
    0x80 >> (offset % 8)
}

fn setbit(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, offset) = (args.key()?, bit_offset(args.next()?)?);
    let on = match args.next()? {
        b"0" => false,
        b"1" => true,
        _ => return Err(CommandError::text("ERR bit is not an integer or out of range")),
    };
    let slot = cx.keys.slot(key);
    let text = cx.keys.string_at(slot)?;
    let old = text.and_then(|text| text.byte(offset / 8));
    let was = old.unwrap_or(0) & mask(offset) != 0;
    if old.is_none() || was != on {
        let others = old.unwrap_or(0) & !mask(offset);
        let byte = if on { others | mask(offset) } else { others };
        cx.keys.write_at(slot, key, offset / 8, &[byte]);
        cx.event(Event::SETBIT, key);
    } else {
        // Its form changes at most.
        cx.keys.untold(|keys| keys.make_raw(slot, key));
    }
    cx.reply.integer(was.into());
    Ok(())
}

fn getbit(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, offset) = (args.key()?, bit_offset(args.next()?)?);
    let byte = cx.keys.string(key)?.and_then(|text| text.byte(offset / 8));
    cx.reply.integer((byte.unwrap_or(0) & mask(offset) != 0).into());
    Ok(())
}

/// What a range counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    /// The last argument, if there is one.
    fn parse(args: &mut Args<'_>) -> Result<Unit, CommandError> {
        match args.maybe_next() {
            None => Ok(Unit::Byte),
            Some(word) if word.eq_ignore_ascii_case(b"byte") => Ok(Unit::Byte),
            Some(word) if word.eq_ignore_ascii_case(b"bit") => Ok(Unit::Bit),
            Some(_) => Err(CommandError::Syntax),
        }
    }

    /// The bits of a range of bytes or bits as the first and the one behind the last; both ends
    /// are included, and counted from the end where negative.
    fn bits(self, start: i64, stop: i64, bytes: usize) -> (usize, usize) {
        let width = if self == Unit::Bit { 1 } else { 8 };
        let (at, count) = clamp_range(start, stop, bytes * 8 / width);
        (at * width, (at + count) * width)
    }
}

/// Redis answers for a missing key before it reads a range.
fn bitcount(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let Some(text) = cx.keys.string(args.key()?)? else {
        cx.reply.integer(0);
        return Ok(());
    };
    let count = text.with_bytes(|bytes| {
        let (start, end) = match args.len() {
            0 => (0, bytes.len() * 8),
            2 | 3 => {
                let (start, stop) = (args.integer()?, args.integer()?);
                // Redis looks at the signs before it counts from the end, or reads the unit.
                if start < 0 && stop < 0 && start > stop {
                    return Ok(0);
                }
                let unit = Unit::parse(&mut args)?;
                // What lies before the start begins at it, at either end.
                let len = (bytes.len() * if unit == Unit::Bit { 8 } else { 1 }) as i64;
                unit.bits(start, if stop < -len { -len } else { stop }, bytes.len())
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(count_bits(bytes, start, end))
    })?;
    cx.reply.count(count);
    Ok(())
}

/// How many bits are set from one to before another.
fn count_bits(bytes: &[u8], start: usize, end: usize) -> usize {
    let (first, last) = (start / 8, end.div_ceil(8));
    let Some(part) = bytes.get(first..last).filter(|part| !part.is_empty()) else { return 0 };
    let (words, rest) = part.as_chunks::<8>();
    let all: usize = words.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
    let all = all + number(rest).count_ones() as usize;
    if (start | end).is_multiple_of(8) {
        return all;
    }
    // Less those before the first bit in its byte, and those from the end on in its own.
    let head = part.first().map_or(0, |byte| byte & !(0xff >> (start % 8)));
    let tail =
        part.last().map_or(0, |byte| byte & 0xff_u8.checked_shr(tail_width(end)).unwrap_or(0));
    all - head.count_ones() as usize - tail.count_ones() as usize
}

/// How many bits of the last byte are before an end.
fn tail_width(end: usize) -> u32 {
    if end.is_multiple_of(8) { 8 } else { (end % 8) as u32 }
}

/// Redis answers for a missing key before it reads a range.
fn bitpos(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, bit) = (args.key()?, args.integer()?);
    if bit != 0 && bit != 1 {
        return Err(CommandError::text("ERR The bit argument must be 1 or 0."));
    }
    let Some(text) = cx.keys.string(key)? else {
        cx.reply.integer(-bit);
        return Ok(());
    };
    let has_end = args.len() > 1;
    let found = text.with_bytes(|bytes| {
        let (start, end) = match args.len() {
            0 => (0, bytes.len() * 8),
            1..=3 => {
                let start = args.integer()?;
                let (unit, stop) = bitpos_end(&mut args)?;
                let len = (bytes.len() * if unit == Unit::Bit { 8 } else { 1 }) as i64;
                unit.bits(start, if stop < -len { -len } else { stop }, bytes.len())
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(match find_bit(bytes, bit == 1, start, end) {
            Some(at) => at as i64,
            // A string is followed by zeros without end, unless the caller names one.
            None if bit == 0 && !has_end && start < end => end as i64,
            None => -1,
        })
    })?;
    cx.reply.integer(found);
    Ok(())
}

/// The end of BITPOS's range; its unit is read first.
fn bitpos_end(args: &mut Args<'_>) -> Result<(Unit, i64), CommandError> {
    let Some(stop) = args.maybe_next() else { return Ok((Unit::Byte, -1)) };
    let unit = Unit::parse(args)?;
    Ok((unit, parse_i64(stop).ok_or(CommandError::NotInteger)?))
}

/// The first bit of a value from one to before another.
fn find_bit(bytes: &[u8], wanted: bool, start: usize, end: usize) -> Option<usize> {
    let part = bytes.get(start / 8..end.div_ceil(8))?;
    // Turned so that the wanted bits are ones.
    let turn = if wanted { 0 } else { 0xff };
    let head = part.first().map_or(0, |byte| (byte ^ turn) & (0xff >> (start % 8)));
    let (at, byte) = match head {
        0 => {
            let rest = part.get(1..)?;
            let (words, _) = rest.as_chunks::<8>();
            let skip = u64::from_ne_bytes([turn; 8]);
            let whole = words.iter().take_while(|word| u64::from_ne_bytes(**word) == skip).count();
            let rest = rest.iter().enumerate().skip(whole * 8);
            let (at, byte) =
                rest.map(|(at, byte)| (at, byte ^ turn)).find(|(_, byte)| *byte != 0)?;
            (at + 1, byte)
        }
        head => (0, head),
    };
    let found = (start / 8 + at) * 8 + byte.leading_zeros() as usize;
    (found < end).then_some(found)
}

/// How BITOP combines bits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Operation, CommandError> {
        let named = [
            ("and", Operation::And),
            ("or", Operation::Or),
            ("xor", Operation::Xor),
            ("not", Operation::Not),
        ];
        let found = named.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, operation)| operation).ok_or(CommandError::Syntax)
    }

    /// Combines bytes with others of the same number; by NOT with none.
    fn apply(self, result: &mut [u8], bytes: &[u8]) {
        let pairs = result.iter_mut().zip(bytes);
        match self {
            Operation::And => pairs.for_each(|(to, from)| *to &= from),
            Operation::Or => pairs.for_each(|(to, from)| *to |= from),
            Operation::Xor => pairs.for_each(|(to, from)| *to ^= from),
            Operation::Not => result.iter_mut().for_each(|byte| *byte = !*byte),
        }
    }
}

/// What is made of the strings: up to so many bytes, which fit into a key's own block, without an
/// allocation.
type Combined = SmallVec<[u8; 512]>;

fn bitop(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let operation = Operation::parse(args.next()?)?;
    let (target, sources) = (args.key()?, args.rest());
    if operation == Operation::Not && sources.len() != 1 {
        return Err(CommandError::text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut result = Combined::new();
    for (nth, key) in sources.iter().enumerate() {
        let text = cx.keys.string(key)?.unwrap_or(Text::Bytes(b""));
        text.with_bytes(|bytes| combine(operation, nth == 0, &mut result, bytes));
    }
    let slot = cx.keys.slot(target);
    let longest = result.len();
    if longest == 0 {
        if cx.keys.remove_slot(slot) {
            cx.event(Event::DEL, target);
        }
    } else {
        let text = match result.spilled() {
            true => Cow::Owned(result.into_vec()),
            false => Cow::Borrowed(&*result),
        };
        cx.keys.put_raw(slot, target, text, NEVER);
        cx.event(Event::SET, target);
    }
    cx.reply.count(longest);
    Ok(())
}

/// Adds one string to a result; what either is shorter counts as zeros.
fn combine(operation: Operation, is_first: bool, result: &mut Combined, bytes: &[u8]) {
    let missing = bytes.len().saturating_sub(result.len());
    result.reserve_exact(missing);
    if is_first {
        result.extend_from_slice(bytes);
        if operation == Operation::Not {
            operation.apply(result, b"");
        }
        return;
    }
    result.resize(result.len() + missing, 0);
    let (front, behind) = result.split_at_mut(bytes.len());
    operation.apply(front, bytes);
    if operation == Operation::And {
        behind.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of bytes, one by one.
    fn bits(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() * 8).map(|at| bytes[at / 8] & mask(at) != 0).collect()
    }

    #[test]
    fn counts_and_finds_as_one_does_bit_by_bit() {
        let mut random = fastrand::Rng::with_seed(1);
        for len in 0..40 {
            let fill = [0, 0xff, random.u8(..)][len % 3];
            let mut bytes = vec![fill; len];
            if let Some(byte) = (len > 0).then(|| random.usize(..len)) {
                bytes[byte] = random.u8(..);
            }
            let bits = bits(&bytes);
            for start in 0..=bits.len() {
                let end = random.usize(start..=bits.len());
                let part = &bits[start..end];
                let ones = part.iter().filter(|&&bit| bit).count();
                assert_eq!(count_bits(&bytes, start, end), ones, "{bytes:x?} {start} {end}");
                for wanted in [false, true] {
                    let found = part.iter().position(|&bit| bit == wanted).map(|at| start + at);
                    assert_eq!(find_bit(&bytes, wanted, start, end), found, "{start} {end}");
                }
            }
        }
    }

    #[test]
    fn offsets_end_where_strings_do() {
        assert_eq!(bit_offset(b"4294967295"), Ok(4294967295));
        for text in ["4294967296", "-1", "x", "", "01"] {
            assert_eq!(bit_offset(text.as_bytes()), Err(CommandError::BitOffset), "{text}");
        }
    }
}

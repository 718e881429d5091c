//! BITFIELD: integers of any width, up to 64 bits, at any bit of a string.

use super::args::Args;
use super::context::Context;
use super::keyspec::{self, uses};
use super::spec::Arity::AtLeast;
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Keyspace, Slot};
use crate::number::parse_i64;
use smallvec::SmallVec;

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const READ: Flags = Flags::READONLY.and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Bitmap,
    commands: &[
        row("bitfield", AtLeast(2), WRITE, Keys::FIRST, "3.2.0", "O(1) per operation",
            "Reads and changes integers of any width at any bit of a string.", bitfield)
            .uses(uses::VARIABLE).varies(keyspec::use_of_bitfield),
        row("bitfield_ro", AtLeast(2), READ, Keys::FIRST, "6.0.0", "O(1) per operation",
            "Reads integers of any width at any bit of a string.", bitfield_ro),
    ],
};

/// The width of an integer, and whether it has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    signed: bool,
    bits: u32,
}

impl Kind {
    /// `i` or `u` with a width. Unsigned integers have at most 63 bits, since replies are signed.
    fn parse(text: &[u8]) -> Result<Kind, CommandError> {
        let kind = match text {
            [b'i', bits @ ..] => parse_i64(bits).filter(|bits| (1..=64).contains(bits)),
            [b'u', bits @ ..] => parse_i64(bits).filter(|bits| (1..=63).contains(bits)),
            _ => None,
        };
        let signed = text.first() == Some(&b'i');
        kind.map(|bits| Kind { signed, bits: bits as u32 }).ok_or(CommandError::text(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported \
             but i64 is.",
        ))
    }

    /// The integer that the low bits of a word are.
    fn value(self, word: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed {
            (word << unused).cast_signed() >> unused
        } else {
            ((word << unused) >> unused).cast_signed()
        }
    }

    /// Whether Redis takes a number that is set for more than there is room for although it is far
    /// less: its distance from the greatest value leaves 64 bits.
    fn takes_for_too_much(self, value: i64) -> bool {
        self.signed && self.bits < 64 && self.bounds().1 - i128::from(value) > i64::MAX.into()
    }

    /// The least and the greatest value.
    fn bounds(self) -> (i128, i128) {
        match self.signed {
            true => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }
}

/// What becomes of a value that its field has no room for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    /// Its low bits are kept.
    Wrap,
    /// It becomes the least or the greatest there is.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Overflow {
    fn parse(word: &[u8]) -> Result<Overflow, CommandError> {
        let named =
            [("wrap", Overflow::Wrap), ("sat", Overflow::Saturate), ("fail", Overflow::Fail)];
        let found = named.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        let found = found.map(|(_, overflow)| overflow);
        found.ok_or(CommandError::text("ERR Invalid OVERFLOW type specified"))
    }

    /// What a field gets for a value; none where it is left alone.
    fn fit(self, value: i128, kind: Kind) -> Option<i64> {
        let (least, greatest) = kind.bounds();
        if (least..=greatest).contains(&value) {
            return Some(value as i64);
        }
        match self {
            Overflow::Wrap => Some(kind.value(value as u64)),
            Overflow::Saturate => Some(value.clamp(least, greatest) as i64),
            Overflow::Fail => None,
        }
    }
}

/// What is done with a field.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// One operation.
#[derive(Clone, Copy)]
struct Operation {
    kind: Kind,
    /// Where the field begins, in bits.
    offset: usize,
    action: Action,
}

impl Operation {
    /// The bytes a field lies in: the first and the one behind the last.
    fn bytes(&self) -> (usize, usize) {
        (self.offset / 8, (self.offset + self.kind.bits as usize).div_ceil(8))
    }

    /// How far the field's bits are from the end of its last byte.
    fn shift(&self) -> usize {
        self.bytes().1 * 8 - self.offset - self.kind.bits as usize
    }
}

/// The offset of a field in bits; `#3` is that of the fourth of fields in a row.
fn field_offset(text: &[u8], kind: Kind) -> Result<usize, CommandError> {
    let (text, unit) = match text {
        [b'#', number @ ..] => (number, i64::from(kind.bits)),
        text => (text, 1),
    };
    let offset = parse_i64(text).and_then(|number| number.checked_mul(unit));
    let offset = offset.and_then(|offset| usize::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < super::ARGUMENT_MOST).ok_or(CommandError::BitOffset)
}

type Operations = SmallVec<[Operation; 4]>;

fn parse(mut args: Args<'_>) -> Result<Operations, CommandError> {
    let mut operations = Operations::new();
    let mut overflow = Overflow::Wrap;
    while let Some(word) = args.maybe_next() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("overflow") && !args.is_empty() {
            overflow = Overflow::parse(args.next()?)?;
            continue;
        }
        let is_get = is("get");
        let known = is_get || is("set") || is("incrby");
        if !known || args.len() < if is_get { 2 } else { 3 } {
            return Err(CommandError::Syntax);
        }
        let kind = Kind::parse(args.next()?)?;
        let offset = field_offset(args.next()?, kind)?;
        let action = if is_get {
            Action::Get
        } else if is("set") {
            Action::Set(args.integer()?, overflow)
        } else {
            Action::Add(args.integer()?, overflow)
        };
        operations.push(Operation { kind, offset, action });
    }
    Ok(operations)
}

fn bitfield(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, false)
}

fn bitfield_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, true)
}

fn run(cx: &mut Context<'_>, mut args: Args<'_>, only_reads: bool) -> CommandResult {
    let key = args.key()?;
    let operations = parse(args)?;
    let writes = operations.iter().filter(|operation| !matches!(operation.action, Action::Get));
    let end = writes.map(|operation| operation.bytes().1).max();
    if only_reads && end.is_some() {
        return Err(CommandError::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let mut slot = cx.keys.slot(key);
    let len = cx.keys.string_at(slot)?.map_or(0, |text| text.len());
    let grows = end.is_some_and(|end| end > len);
    // Redis makes room for all fields first, even for those that are not written in the end.
    match end {
        Some(end) if grows => {
            cx.keys.untold(|keys| keys.write_at(slot, key, end - 1, &[0]));
            slot = cx.keys.slot(key);
        }
        Some(_) => cx.keys.untold(|keys| keys.make_raw(slot, key)),
        None => (),
    }
    cx.reply.array(operations.len());
    let mut changes = 0;
    for operation in &operations {
        match perform(cx.keys, slot, key, operation)? {
            Some(done) => {
                changes += usize::from(done.changed || grows && done.wrote);
                cx.reply.integer(done.answer);
            }
            None => cx.reply.null(),
        }
    }
    tell(cx, key, changes);
    Ok(())
}

/// Tells of the fields that were changed, of all by one event. A string that grew is changed by
/// each field that was set.
fn tell(cx: &mut Context<'_>, key: &[u8], changes: usize) {
    if let Some(others) = changes.checked_sub(1) {
        cx.keys.touch_key(key);
        cx.event(Event::SETBIT, key);
        cx.keys.count_changes(others);
    }
}

/// What became of one operation.
struct Done {
    answer: i64,
    /// Whether it set the field, and whether to something else than was there.
    wrote: bool,
    changed: bool,
}

/// Performs one operation, whose bytes are there; none where it failed.
fn perform(
    keys: &mut Keyspace,
    slot: Slot,
    key: &[u8],
    operation: &Operation,
) -> Result<Option<Done>, CommandError> {
    let kind = operation.kind;
    let window = window(keys, slot, operation)?;
    let old = kind.value((window >> operation.shift()) as u64);
    let (value, overflow, is_sum) = match operation.action {
        Action::Get => return Ok(Some(Done { answer: old, wrote: false, changed: false })),
        Action::Add(delta, overflow) => (i128::from(old) + i128::from(delta), overflow, true),
        Action::Set(value, Overflow::Saturate) if kind.takes_for_too_much(value) => {
            (i128::MAX, Overflow::Saturate, false)
        }
        Action::Set(value, overflow) if kind.signed => (value.into(), overflow, false),
        // A negative number is a huge one to an unsigned field.
        Action::Set(value, overflow) => (value.cast_unsigned().into(), overflow, false),
    };
    let Some(new) = overflow.fit(value, kind) else { return Ok(None) };
    if new != old {
        let mask = (u128::from(u64::MAX) >> (64 - kind.bits)) << operation.shift();
        let field = (u128::from(new.cast_unsigned()) << operation.shift()) & mask;
        let bytes = ((window & !mask) | field).to_be_bytes();
        let (start, end) = operation.bytes();
        let bytes = bytes.get(bytes.len() - (end - start)..).unwrap_or_default();
        keys.write_at(slot, key, start, bytes);
    }
    let answer = if is_sum { new } else { old };
    Ok(Some(Done { answer, wrote: true, changed: new != old }))
}

/// The bytes a field lies in, as one number; what is behind the string is zero.
fn window(keys: &Keyspace, slot: Slot, operation: &Operation) -> Result<u128, CommandError> {
    let Some(text) = keys.string_at(slot)? else { return Ok(0) };
    let (start, end) = operation.bytes();
    Ok(text.with_bytes(|bytes| {
        let byte = |at: usize| u128::from(bytes.get(at).copied().unwrap_or(0));
        (start..end).fold(0, |window, at| window << 8 | byte(at))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_fit() {
        let kind = |text: &str| Kind::parse(text.as_bytes()).unwrap();
        for (name, value, wrapped, saturated) in [
            ("u8", 256, 0, 255),
            ("u8", -1, 255, 0),
            ("i8", 128, -128, 127),
            ("i8", -129, 127, -128),
            ("u1", 2, 0, 1),
            ("i1", 1, -1, 0),
            ("u63", 1 << 63, 0, i64::MAX),
            ("i64", i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            ("i64", i128::from(i64::MIN) - 1, i64::MAX, i64::MIN),
        ] {
            let kind = kind(name);
            assert_eq!(Overflow::Wrap.fit(value, kind), Some(wrapped), "{name} {value}");
            assert_eq!(Overflow::Saturate.fit(value, kind), Some(saturated), "{name} {value}");
            assert_eq!(Overflow::Fail.fit(value, kind), None, "{name} {value}");
        }
        assert_eq!(Overflow::Fail.fit(255, kind("u8")), Some(255));
    }

    #[test]
    fn what_is_far_too_little_counts_as_too_much() {
        let i8 = Kind { signed: true, bits: 8 };
        assert!(i8.takes_for_too_much(i64::MIN) && i8.takes_for_too_much(i64::MIN + 127));
        assert!(!i8.takes_for_too_much(i64::MIN + 128) && !i8.takes_for_too_much(i64::MAX));
        assert!(!Kind { signed: true, bits: 64 }.takes_for_too_much(i64::MIN));
    }

    #[test]
    fn kinds_that_there_are() {
        assert_eq!(Kind::parse(b"i64"), Ok(Kind { signed: true, bits: 64 }));
        for text in ["", "i", "u0", "i0", "u64", "i65", "x8", "I8", "i08", "u-1"] {
            assert!(Kind::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}

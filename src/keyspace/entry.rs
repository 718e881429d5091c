//! One key with its value and deadline, as the table holds it.
//!
//! A string lies in one allocation with its key; anything else is an object behind an `Arc`, so
//! that a copy of a shared segment of the table copies no collection.

use super::{NEVER, Text};
use crate::cow::own;
use crate::table::Keyed;
use crate::value::{Collection, Value};
use smallvec::SmallVec;
use std::sync::Arc;

/// A key and what it holds.
#[derive(Clone)]
pub(crate) enum Entry {
    /// A string, packed with its key.
    Packed(Block),
    /// Anything else.
    Object(Arc<Object>),
}

/// A key whose value is more than a packed string.
#[derive(Clone)]
pub(crate) struct Object {
    /// One of up to 16 bytes lies in the object itself.
    pub(crate) key: SmallVec<[u8; 16]>,
    pub(crate) deadline: i64,
    pub(crate) value: Value,
}

/// A string with its key in one allocation: a byte of flags, the key's length as a varint, the
/// deadline if the flags say so, the key, the value.
#[derive(Clone)]
pub(crate) struct Block(Box<[u8]>);

/// The value is 8 bytes, an integer.
const INTEGER: u8 = 1;
/// The value was written in place before: it answers "raw" to OBJECT ENCODING whatever its size.
const RAW: u8 = 2;
/// A deadline lies before the key.
const DEADLINE: u8 = 4;

/// What a packed string is made of.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// An integer, kept as one.
    Integer(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Bytes of a string that was written in place.
    Raw(&'a [u8]),
}

impl Block {
    pub(crate) fn new(key: &[u8], deadline: i64, content: Content<'_>) -> Block {
        let integer;
        let (mut flags, value) = match content {
            Content::Integer(value) => {
                integer = value.to_le_bytes();
                (INTEGER, &integer[..])
            }
            Content::Bytes(value) => (0, value),
            Content::Raw(value) => (RAW, value),
        };
        let mut room = 1 + varint_len(key.len()) + key.len() + value.len();
        if deadline != NEVER {
            flags |= DEADLINE;
            room += size_of::<i64>();
        }
        let mut bytes = Vec::with_capacity(room);
        bytes.push(flags);
        push_varint(&mut bytes, key.len());
        if deadline != NEVER {
            bytes.extend_from_slice(&deadline.to_le_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Block(bytes.into_boxed_slice())
    }

    fn flags(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Where the key starts and how long it is.
    #[inline]
    fn key_span(&self) -> (usize, usize) {
        let (len, len_size) = match self.0.get(1) {
            Some(&short) if short < 0x80 => (short as usize, 1),
            _ => read_varint(self.0.get(1..).unwrap_or_default()),
        };
        let deadline = if self.flags() & DEADLINE == 0 { 0 } else { size_of::<i64>() };
        (1 + len_size + deadline, len)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let (start, len) = self.key_span();
        self.0.get(start..start + len).unwrap_or_default()
    }

    fn value_bytes(&self) -> &[u8] {
        let (start, len) = self.key_span();
        self.0.get(start + len..).unwrap_or_default()
    }

    fn deadline(&self) -> i64 {
        if self.flags() & DEADLINE == 0 {
            return NEVER;
        }
        let (start, _) = self.key_span();
        let bytes = self.0.get(..start).and_then(|head| head.last_chunk());
        bytes.map_or(NEVER, |b| i64::from_le_bytes(*b))
    }

    /// The value.
    #[inline]
    pub(crate) fn text(&self) -> Text<'_> {
        let value = self.value_bytes();
        match value.first_chunk() {
            Some(integer) if self.flags() & INTEGER != 0 => {
                Text::Integer(i64::from_le_bytes(*integer))
            }
            _ => Text::Bytes(value),
        }
    }

    /// The bytes of a string that was written in place before, to be written again; none of any
    /// other, which would have to change its form.
    pub(crate) fn raw_mut(&mut self) -> Option<&mut [u8]> {
        if self.flags() & RAW == 0 {
            return None;
        }
        let (start, len) = self.key_span();
        self.0.get_mut(start + len..)
    }

    /// Overwrites an integer by another in place; false if the value is not kept as one.
    pub(crate) fn overwrite_integer(&mut self, value: i64) -> bool {
        if self.flags() & INTEGER == 0 {
            return false;
        }
        match self.0.last_chunk_mut() {
            Some(bytes) => {
                *bytes = value.to_le_bytes();
                true
            }
            None => false,
        }
    }

    /// Overwrites value and deadline in place; false if the new ones take another form or length.
    pub(crate) fn overwrite(&mut self, content: Content<'_>, deadline: i64) -> bool {
        let integer;
        let (kind, value) = match content {
            Content::Integer(value) => {
                integer = value.to_le_bytes();
                (INTEGER, &integer[..])
            }
            Content::Bytes(value) => (0, value),
            Content::Raw(value) => (RAW, value),
        };
        let has_deadline = if deadline == NEVER { 0 } else { DEADLINE };
        let (start, len) = self.key_span();
        let same_form = self.flags() == kind | has_deadline;
        let Some((head, old)) = self.0.split_at_mut_checked(start + len) else { return false };
        if !same_form || old.len() != value.len() {
            return false;
        }
        old.copy_from_slice(value);
        if has_deadline != 0
            && let Some(bytes) = head.get_mut(..start).and_then(|head| head.last_chunk_mut())
        {
            *bytes = deadline.to_le_bytes();
        }
        true
    }

    fn content(&self) -> Content<'_> {
        match self.text() {
            Text::Integer(value) => Content::Integer(value),
            Text::Bytes(bytes) if self.flags() & RAW != 0 => Content::Raw(bytes),
            Text::Bytes(bytes) => Content::Bytes(bytes),
        }
    }
}

impl Entry {
    /// A key that holds a string.
    pub(crate) fn string(key: &[u8], deadline: i64, content: Content<'_>) -> Entry {
        Entry::Packed(Block::new(key, deadline, content))
    }

    /// A key that holds anything else.
    pub(crate) fn object(key: &[u8], deadline: i64, value: Value) -> Entry {
        Entry::Object(Arc::new(Object { key: key.into(), deadline, value }))
    }

    /// The string, if the key holds one.
    #[inline]
    pub(crate) fn text(&self) -> Option<Text<'_>> {
        match self {
            Entry::Packed(block) => Some(block.text()),
            Entry::Object(object) => match &object.value {
                Value::Text(bytes) => Some(Text::Bytes(bytes)),
                _ => None,
            },
        }
    }

    /// The value, unless it is a packed string.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Entry::Packed(_) => None,
            Entry::Object(object) => Some(&object.value),
        }
    }

    /// The collection the key holds, for change; none if it holds anything else.
    #[inline]
    pub(crate) fn collection_mut<C: Collection>(&mut self) -> Option<&mut C> {
        match self {
            Entry::Object(object) if C::of(&object.value).is_some() => {
                C::of_mut(&mut own(object).value)
            }
            _ => None,
        }
    }

    /// Whether the value is a string that was written in place.
    pub(crate) fn is_raw(&self) -> bool {
        match self {
            Entry::Packed(block) => block.flags() & RAW != 0,
            Entry::Object(object) => matches!(object.value, Value::Text(_)),
        }
    }

    /// The name TYPE answers.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value() {
            None | Some(Value::Text(_)) => "string",
            Some(Value::List(_)) => "list",
            Some(Value::Hash(_)) => "hash",
            Some(Value::Set(_)) => "set",
            Some(Value::ZSet(_)) => "zset",
            Some(Value::Stream(_)) => "stream",
        }
    }

    /// The same under another key; a collection shares what it can with the original.
    pub(crate) fn copy_to(&self, key: &[u8]) -> Entry {
        match self {
            Entry::Packed(block) => Entry::string(key, block.deadline(), block.content()),
            Entry::Object(object) => Entry::object(key, object.deadline, object.value.clone()),
        }
    }

    /// Bytes allocated for key and value. Of a large collection so many elements are looked at and
    /// stand for the others.
    pub(crate) fn heap_size(&self, samples: usize) -> usize {
        match self {
            Entry::Packed(block) => block.0.len(),
            Entry::Object(object) => {
                // An `Arc` keeps two counters beside the object.
                let fixed = size_of::<Object>() + 2 * size_of::<usize>();
                let key = if object.key.spilled() { object.key.len() } else { 0 };
                fixed + key + object.value.heap_size(samples)
            }
        }
    }

    /// Gives the key another deadline.
    pub(crate) fn set_deadline(&mut self, deadline: i64) {
        match self {
            Entry::Packed(block) => *block = Block::new(block.key(), deadline, block.content()),
            Entry::Object(object) => own(object).deadline = deadline,
        }
    }

    /// Gives the value another key.
    pub(crate) fn set_key(&mut self, key: &[u8]) {
        match self {
            Entry::Packed(block) => *block = Block::new(key, block.deadline(), block.content()),
            Entry::Object(object) => own(object).key = key.into(),
        }
    }
}

impl Keyed for Entry {
    const EXPIRES: bool = true;

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            Entry::Packed(block) => block.key(),
            Entry::Object(object) => &object.key,
        }
    }

    #[inline]
    fn deadline(&self) -> i64 {
        match self {
            Entry::Packed(block) => block.deadline(),
            Entry::Object(object) => object.deadline,
        }
    }
}

fn varint_len(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn push_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The number and the bytes it took.
fn read_varint(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= ((byte & 0x7f) as usize) << (7 * i);
        if byte < 0x80 {
            return (value, i + 1);
        }
    }
    (0, 0)
}

const _: () = assert!(size_of::<Entry>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_back_what_it_was_made_of() {
        for key_len in [0, 1, 127, 128, 20_000] {
            for deadline in [NEVER, 0, 1_700_000_000_000] {
                let key = vec![b'k'; key_len];
                let mut entry = Entry::string(&key, deadline, Content::Bytes(b"value"));
                assert_eq!(entry.key(), key);
                assert_eq!(entry.deadline(), deadline);
                assert_eq!(entry.text(), Some(Text::Bytes(b"value")));
                entry.set_deadline(7);
                entry.set_key(b"other");
                assert_eq!((entry.key(), entry.deadline()), (&b"other"[..], 7));
                assert_eq!(entry.text(), Some(Text::Bytes(b"value")));
            }
        }
    }

    #[test]
    fn what_has_the_same_form_is_overwritten_in_place() {
        let mut block = Block::new(b"key", 5, Content::Bytes(b"12345"));
        assert!(!block.overwrite(Content::Bytes(b"123456"), 5));
        assert!(!block.overwrite(Content::Bytes(b"abcde"), NEVER));
        assert!(!block.overwrite(Content::Raw(b"abcde"), 5));
        assert_eq!(block.text(), Text::Bytes(b"12345"));
        assert!(block.overwrite(Content::Bytes(b"abcde"), 7));
        assert_eq!((block.key(), block.text()), (&b"key"[..], Text::Bytes(b"abcde")));
        assert_eq!(block.deadline(), 7);
    }

    #[test]
    fn integers_are_overwritten_in_place() {
        let mut block = Block::new(b"n", 5, Content::Integer(-1));
        assert!(block.overwrite_integer(i64::MIN));
        assert_eq!(block.text(), Text::Integer(i64::MIN));
        assert_eq!((block.key(), block.deadline()), (&b"n"[..], 5));
        assert!(!Block::new(b"n", 5, Content::Bytes(b"12345678")).overwrite_integer(1));
    }
}

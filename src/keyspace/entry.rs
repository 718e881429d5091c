//! One key with its value and deadline, as the table holds it.
//!
//! A string lies in one allocation with its key, and so does a small collection; anything else is an
//! object behind an `Arc`, so that a copy of a shared segment of the table copies nothing large.

use super::{NEVER, Text};
use crate::cow::{Arc, own};
use crate::number::parse_i64;
use crate::table::Keyed;
use crate::value::{Collection, Kind, Value, ValueView};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// A key and what it holds.
#[derive(Clone)]
pub(crate) enum Entry {
    /// A string or a small collection, packed with its key.
    Packed(Block),
    /// Anything else.
    Object(Arc<Object>),
}

/// A key whose value is not packed with it.
pub(crate) struct Object {
    /// When or how often the key was used.
    note: AtomicU32,
    /// One of up to 16 bytes lies in the object itself.
    pub(crate) key: SmallVec<[u8; 16]>,
    pub(crate) deadline: i64,
    pub(crate) value: Value,
}

impl Clone for Object {
    fn clone(&self) -> Self {
        let note = AtomicU32::new(self.note.load(Ordering::Relaxed));
        let Object { key, deadline, value, .. } = self;
        Object { note, key: key.clone(), deadline: *deadline, value: value.clone() }
    }
}

/// A string or a small collection with its key in one allocation: a byte of flags, three of the
/// note that says when or how often the key was used, the key's length as a varint, the deadline if
/// the flags say so, the key, the value.
#[derive(Clone)]
pub(crate) struct Block(Box<[u8]>);

/// The value is 8 bytes, an integer.
const INTEGER: u8 = 1;
/// The value was written in place before: it answers "raw" to OBJECT ENCODING whatever its size.
const RAW: u8 = 2;
/// A deadline lies before the key.
const DEADLINE: u8 = 4;
/// The bits above are the kind of the collection, nought for a string.
const KIND_SHIFT: u32 = 3;

/// Bytes of flags and note.
const FIXED: usize = 4;

/// Up to this many bytes are copied where the other choice is to keep the block they are in.
pub(super) const COPIED_MOST: usize = 128;

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

impl Content<'_> {
    /// A text as it is kept: an integer if it is exactly one.
    pub(crate) fn of(text: &[u8]) -> Content<'_> {
        match text.first() {
            Some(b'0'..=b'9' | b'-') if text.len() <= 20 => match parse_i64(text) {
                Some(value) => Content::Integer(value),
                None => Content::Bytes(text),
            },
            _ => Content::Bytes(text),
        }
    }
}

impl Block {
    pub(crate) fn new(key: &[u8], deadline: i64, content: Content<'_>) -> Block {
        let integer;
        let (flags, value) = match content {
            Content::Integer(value) => {
                integer = value.to_le_bytes();
                (INTEGER, &integer[..])
            }
            Content::Bytes(value) => (0, value),
            Content::Raw(value) => (RAW, value),
        };
        let mut bytes = head(key, deadline, value.len());
        if let Some(first) = bytes.first_mut() {
            *first |= flags;
        }
        bytes.extend_from_slice(value);
        Block(bytes.into_boxed_slice())
    }

    /// The same value with another key and deadline.
    fn rebuilt(&self, key: &[u8], deadline: i64) -> Block {
        let value = self.value_bytes();
        let mut bytes = head(key, deadline, value.len());
        if let Some(first) = bytes.first_mut() {
            *first |= self.flags() & !DEADLINE;
        }
        bytes.extend_from_slice(value);
        let mut block = Block(bytes.into_boxed_slice());
        block.set_note(self.note());
        block
    }

    #[inline]
    fn note(&self) -> u32 {
        self.0.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) >> 8)
    }

    fn set_note(&mut self, note: u32) {
        if let Some([_, bytes @ ..]) = self.0.first_chunk_mut::<FIXED>() {
            let [a, b, c, _] = note.to_le_bytes();
            *bytes = [a, b, c];
        }
    }

    /// A collection that was closed up behind the head of a block.
    #[inline]
    fn closed(kind: Kind, mut bytes: Vec<u8>) -> Block {
        if let Some(first) = bytes.first_mut() {
            *first = *first & DEADLINE | (kind as u8) << KIND_SHIFT;
        }
        Block(bytes.into_boxed_slice())
    }

    /// Puts a changed collection back.
    #[inline]
    fn close(&mut self, kind: Kind, bytes: Vec<u8>) {
        *self = Block::closed(kind, bytes);
    }

    /// Whether a collection of this kind lies in the block.
    #[inline]
    fn is(&self, kind: Kind) -> bool {
        self.flags() >> KIND_SHIFT == kind as u8
    }

    /// The kind of collection that lies in the block; none if it is a string.
    #[inline]
    fn kind(&self) -> Option<Kind> {
        Kind::of_number(self.flags() >> KIND_SHIFT)
    }

    /// Whether it is a string.
    #[inline]
    pub(crate) fn is_string(&self) -> bool {
        self.flags() >> KIND_SHIFT == 0
    }

    /// Length of all that lies before the value.
    #[inline]
    fn head_len(&self) -> usize {
        let (start, len) = self.key_span();
        start + len
    }

    #[inline]
    fn flags(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Where the key starts and how long it is.
    #[inline]
    fn key_span(&self) -> (usize, usize) {
        let (len, len_size) = match self.0.get(FIXED) {
            Some(&short) if short < 0x80 => (short as usize, 1),
            _ => read_varint(self.0.get(FIXED..).unwrap_or_default()),
        };
        let deadline = if self.flags() & DEADLINE == 0 { 0 } else { size_of::<i64>() };
        (FIXED + len_size + deadline, len)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let (start, len) = self.key_span();
        self.0.get(start..start + len).unwrap_or_default()
    }

    #[inline]
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
        self.has_form(kind, deadline) && self.write(value, deadline)
    }

    fn has_form(&self, kind: u8, deadline: i64) -> bool {
        self.flags() == kind | if deadline == NEVER { 0 } else { DEADLINE }
    }

    /// The bytes of the value and the deadline, if [`Block::overwrite`] would overwrite them by these.
    pub(crate) fn replaced_by(&self, content: Content<'_>, deadline: i64) -> Option<(&[u8], i64)> {
        let (kind, len) = match content {
            Content::Integer(_) => (INTEGER, size_of::<i64>()),
            Content::Bytes(value) => (0, value.len()),
            Content::Raw(value) => (RAW, value.len()),
        };
        let old = self.value_bytes();
        (self.has_form(kind, deadline) && old.len() == len).then(|| (old, self.deadline()))
    }

    /// Overwrites the bytes of the value, and the deadline if there is one; false if they are more or
    /// fewer.
    pub(crate) fn write(&mut self, value: &[u8], deadline: i64) -> bool {
        let has_deadline = self.flags() & DEADLINE != 0;
        let (start, len) = self.key_span();
        let Some((head, old)) = self.0.split_at_mut_checked(start + len) else { return false };
        if old.len() != value.len() {
            return false;
        }
        old.copy_from_slice(value);
        if has_deadline
            && let Some(bytes) = head.get_mut(..start).and_then(|head| head.last_chunk_mut())
        {
            *bytes = deadline.to_le_bytes();
        }
        true
    }
}

/// What lies before the value in a block, its note and its flags but for the deadline still to be
/// set, with room for the value.
fn head(key: &[u8], deadline: i64, room: usize) -> Vec<u8> {
    let has_deadline = deadline != NEVER;
    let deadline_len = if has_deadline { size_of::<i64>() } else { 0 };
    let len = FIXED + varint_len(key.len()) + deadline_len + key.len();
    let mut bytes = Vec::with_capacity(len + room);
    bytes.extend_from_slice(&[if has_deadline { DEADLINE } else { 0 }, 0, 0, 0]);
    push_varint(&mut bytes, key.len());
    if has_deadline {
        bytes.extend_from_slice(&deadline.to_le_bytes());
    }
    bytes.extend_from_slice(key);
    bytes
}

/// Room for the first elements of a new collection, whose size is not known.
const FIRST_ROOM: usize = 32;

impl Entry {
    /// A key that holds a string.
    pub(crate) fn string(key: &[u8], deadline: i64, content: Content<'_>) -> Entry {
        Entry::Packed(Block::new(key, deadline, content))
    }

    /// A key that holds anything else.
    pub(crate) fn value(key: &[u8], deadline: i64, value: Value) -> Entry {
        match value.into_block(|room| head(key, deadline, room)) {
            Ok((kind, block)) => Entry::Packed(Block::closed(kind, block)),
            Err(value) => {
                let note = AtomicU32::new(0);
                Entry::Object(Arc::new(Object { note, key: key.into(), deadline, value }))
            }
        }
    }

    /// An empty collection to be filled, ready to become the value of a key.
    #[inline]
    pub(crate) fn begin<C: Collection>(key: &[u8]) -> C {
        C::behind(head(key, NEVER, FIRST_ROOM))
    }

    /// A key that holds a collection which was begun for it.
    #[inline]
    pub(crate) fn begun<C: Collection>(key: &[u8], mut collection: C) -> Entry {
        match collection.close(FIXED + varint_len(key.len()) + key.len()) {
            Some((kind, block)) => Entry::Packed(Block::closed(kind, block)),
            None => Entry::value(key, NEVER, collection.into_value()),
        }
    }

    /// The block of a small entry, to be copied rather than kept, and where in it the key lies.
    #[inline]
    pub(crate) fn kept(&self) -> Option<(&[u8], Range<usize>)> {
        let Entry::Packed(block) = self else { return None };
        let (start, len) = block.key_span();
        (block.0.len() <= COPIED_MOST).then(|| (&*block.0, start..start + len))
    }

    /// The entry whose block was copied.
    pub(crate) fn of_kept(block: &[u8]) -> Entry {
        Entry::Packed(Block(block.into()))
    }

    /// The collection the key holds; none if it holds anything else.
    #[inline]
    pub(crate) fn collection<C: Collection>(&self) -> Option<C::View<'_>> {
        match self {
            Entry::Packed(block) => C::in_block(block.kind()?, &block.0, block.head_len()),
            Entry::Object(object) => C::of(object.value.view()),
        }
    }

    /// Changes the collection the key holds; none if it holds anything else.
    #[inline]
    pub(crate) fn change<C: Collection, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut C) -> R,
    ) -> Option<R> {
        let block = match self {
            Entry::Packed(block) => block,
            Entry::Object(object) if !C::is(&object.value) => return None,
            Entry::Object(object) => return C::of_mut(&mut own(object).value).map(change),
        };
        let (kind, deadline, prefix) = (block.kind()?, block.deadline(), block.head_len());
        let note = block.note();
        if !C::is_in(kind) {
            return None;
        }
        let mut collection = C::open(kind, std::mem::take(&mut block.0).into_vec(), prefix);
        let result = change(&mut collection);
        match collection.close(prefix) {
            Some((kind, bytes)) => {
                block.close(kind, bytes);
                // It is empty and owns nothing; which of its forms it has is not asked again.
                std::mem::forget(collection);
            }
            None => {
                *self = Entry::value(key, deadline, collection.into_value());
                self.set_note(note);
            }
        }
        Some(result)
    }

    /// The block of a small collection of this kind, and the length of what is before it; none if the
    /// key holds anything else.
    #[inline]
    pub(crate) fn block(&self, kind: Kind) -> Option<(&[u8], usize)> {
        match self {
            Entry::Packed(block) if block.is(kind) => Some((&block.0, block.head_len())),
            _ => None,
        }
    }

    /// The block of a small collection of this kind, to be changed where it lies, and the length of
    /// what is before it; none if the key holds anything else.
    #[inline]
    pub(crate) fn block_mut(&mut self, kind: Kind) -> Option<(&mut [u8], usize)> {
        match self {
            Entry::Packed(block) if block.is(kind) => {
                let prefix = block.head_len();
                Some((&mut block.0, prefix))
            }
            _ => None,
        }
    }

    /// Changes the value the key holds, whatever it is, unless it is a packed string.
    pub(crate) fn change_value(&mut self, key: &[u8], change: impl FnOnce(&mut Value)) {
        let block = match self {
            Entry::Packed(block) => block,
            Entry::Object(object) => return change(&mut own(object).value),
        };
        let (Some(kind), deadline, prefix) = (block.kind(), block.deadline(), block.head_len())
        else {
            return;
        };
        let note = block.note();
        let bytes = std::mem::take(&mut block.0).into_vec();
        let mut value = Value::from_block(kind, bytes, prefix);
        change(&mut value);
        match value.close(prefix) {
            Some((kind, bytes)) => block.close(kind, bytes),
            None => {
                *self = Entry::value(key, deadline, value);
                self.set_note(note);
            }
        }
    }

    /// The string, if the key holds one.
    #[inline]
    pub(crate) fn text(&self) -> Option<Text<'_>> {
        match self {
            Entry::Packed(block) => block.is_string().then(|| block.text()),
            Entry::Object(object) => match &object.value {
                Value::Text(bytes) => Some(Text::Bytes(bytes)),
                _ => None,
            },
        }
    }

    /// The value, unless it is a packed string.
    #[inline]
    pub(crate) fn view(&self) -> Option<ValueView<'_>> {
        match self {
            Entry::Packed(block) => {
                Some(ValueView::in_block(block.kind()?, &block.0, block.head_len()))
            }
            Entry::Object(object) => Some(object.value.view()),
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
        match self.view() {
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
            Entry::Packed(block) => Entry::Packed(block.rebuilt(key, block.deadline())),
            Entry::Object(object) => {
                Entry::Object(Arc::new(Object { key: key.into(), ..Object::clone(object) }))
            }
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

    /// When or how often the key was used: 24 bits.
    #[inline]
    pub(crate) fn note(&self) -> u32 {
        match self {
            Entry::Packed(block) => block.note(),
            Entry::Object(object) => object.note.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn set_note(&mut self, note: u32) {
        match self {
            Entry::Packed(block) => block.set_note(note),
            Entry::Object(_) => self.share_note(note),
        }
    }

    /// The same for an entry that others have too, as far as it can be.
    pub(crate) fn share_note(&self, note: u32) {
        if let Entry::Object(object) = self {
            object.note.store(note, Ordering::Relaxed);
        }
    }

    /// Gives the key another deadline.
    pub(crate) fn set_deadline(&mut self, deadline: i64) {
        match self {
            Entry::Packed(block) => *block = block.rebuilt(block.key(), deadline),
            Entry::Object(object) => own(object).deadline = deadline,
        }
    }

    /// Gives the value another key.
    pub(crate) fn set_key(&mut self, key: &[u8]) {
        match self {
            Entry::Packed(block) => *block = block.rebuilt(key, block.deadline()),
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

    fn sample(&self) -> u8 {
        match self {
            Entry::Packed(Block(bytes)) => match &**bytes {
                // A small block may begin on one line of the cache and end on the next.
                [first, .., last] => first ^ last,
                _ => 0,
            },
            Entry::Object(object) => object.key.first().copied().unwrap_or(0),
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

//! A sequence of byte strings packed into one heap allocation.
//!
//! This is the compact form behind small collections and behind the chunks of a list: it trades
//! random access for having no per-element allocation or pointer. It knows bytes and their order,
//! nothing else: not what an element means, not how many a collection may hold, not who shares it.
//!
//! An element is stored as its length, its bytes, and its length again written backwards, so that
//! the sequence can be walked from both ends:
//!
//! ```text
//! gap | length  bytes  htgnel | length  bytes  htgnel | ... | spare
//! ```
//!
//! A length is a little-endian varint of seven bits a byte; both copies take one byte up to 127.
//! The gap at the front makes popping there a matter of moving an offset.
//!
//! A sequence may lie behind a prefix, which `closed.rs` tells of.

use crate::bytes::{SHORT_MOST, SHORT_STORE, append_short, number, same};
use std::ops::Deref;

mod closed;
mod transcribed;

pub(crate) use closed::{BLOCK_MOST, InBlock};
pub(crate) use transcribed::{frames_most, transcribe};

/// Marks a byte of a length that is followed by another.
const CONTINUES: u8 = 0x80;

/// The most bytes a length can take: seven bits each, for 64 bits.
const WIDTH_MAX: usize = 10;

/// Unused bytes that are never worth giving back.
const SLACK_BYTES: usize = 64;

/// Byte strings in order, packed into one allocation.
///
/// Offsets and counts are kept in 32 bits to stay small: a sequence holds fewer than 2^32 elements
/// (more than 8 GiB of framing alone), while the bytes are only limited by memory.
#[derive(Clone, Default)]
pub(crate) struct Packed<B = Vec<u8>> {
    /// The prefix, the gap, then the elements.
    bytes: B,
    /// Length of the prefix.
    base: u32,
    /// Length of prefix and gap.
    head: u32,
    /// Number of elements.
    count: u32,
}

/// Where an element starts. Valid until the next mutation of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(usize);

/// Where a pair of elements is.
pub(crate) struct Pair {
    pub(crate) first: Position,
    pub(crate) second: Position,
    /// Which pair it is, counted from 0.
    pub(crate) index: usize,
}

/// Making and measuring.
impl Packed {
    /// An empty sequence, without an allocation.
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), base: 0, head: 0, count: 0 }
    }

    /// An empty sequence with room for this many bytes of framed elements.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Like `with_capacity`, with the room in front, for elements that come by `push_front`.
    pub(crate) fn with_front_capacity(bytes: usize) -> Self {
        let head = u32::try_from(bytes).unwrap_or(0);
        Self { bytes: vec![0; head as usize], base: 0, head, count: 0 }
    }

    /// Makes room for so many bytes of framed elements at the back.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Makes room for an element at the back, and for some more like it where there is none: for a
    /// sequence that will be closed with `fit`.
    #[inline]
    pub(crate) fn make_ample_room(&mut self, element_len: usize) {
        let (size, length) = (Self::framed_len(element_len), self.bytes.len());
        if self.bytes.capacity() - length < size {
            self.bytes.reserve_exact(grown(length + length / 2 + size) - length);
        }
    }

    /// Bytes allocated.
    pub(crate) const fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// The same elements, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> Packed<&[u8]> {
        let Packed { ref bytes, base, head, count } = *self;
        Packed { bytes, base, head, count }
    }

    /// Bytes an element of this length takes, framing included.
    #[inline]
    pub(crate) const fn framed_len(length: usize) -> usize {
        length + 2 * width_of(length)
    }
}

/// Measuring.
impl<B: Deref<Target = [u8]>> Packed<B> {
    /// Number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no element.
    #[inline]
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all elements, framing included, gap and spare room excluded.
    #[inline]
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len() - self.head()
    }

    /// Length of the prefix.
    #[inline]
    fn base(&self) -> usize {
        self.base as usize
    }

    /// Where the first element starts.
    #[inline]
    fn head(&self) -> usize {
        self.head as usize
    }

    /// Length of the gap in front.
    #[inline]
    fn gap(&self) -> usize {
        self.head() - self.base()
    }

    /// The framed elements.
    #[inline]
    fn live(&self) -> &[u8] {
        self.from(self.head())
    }

    /// The framed elements from an offset on; nothing when the offset is beyond the end.
    #[inline]
    fn from(&self, offset: usize) -> &[u8] {
        self.bytes.get(offset..).unwrap_or_default()
    }
}

/// Reading.
impl<B: Deref<Target = [u8]>> Packed<B> {
    /// All elements in order.
    #[inline]
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { rest: self.live(), left: self.len() }
    }

    /// The elements from an index on.
    pub(crate) fn iter_from(&self, index: usize) -> Iter<'_> {
        let index = index.min(self.len());
        Iter { rest: self.from(self.offset(index)), left: self.len() - index }
    }

    /// At most `count` elements from an index on.
    pub(crate) fn range(&self, index: usize, count: usize) -> Iter<'_> {
        let start = index.min(self.len());
        let count = count.min(self.len() - start);
        let bytes = self.offset(start)..self.offset(start + count);
        Iter { rest: self.bytes.get(bytes).unwrap_or_default(), left: count }
    }

    /// The element with this index. Walks from the nearer end.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        self.position(index).map(|position| self.at(position))
    }

    /// Where the element with this index starts. Walks from the nearer end.
    pub(crate) fn position(&self, index: usize) -> Option<Position> {
        (index < self.len()).then(|| Position(self.offset(index)))
    }

    /// The element at a position; empty when the position is past the last element.
    #[inline]
    pub(crate) fn at(&self, position: Position) -> &[u8] {
        split_front(self.from(position.0)).map_or(&[], |(element, _)| element)
    }

    /// Where the element after this one starts.
    #[inline]
    #[cfg(test)]
    pub(crate) fn next(&self, position: Position) -> Option<Position> {
        let next = position.0 + front_frame(self.from(position.0))?;
        (next < self.bytes.len()).then_some(Position(next))
    }

    /// The first element.
    #[inline]
    pub(crate) fn front(&self) -> Option<&[u8]> {
        split_front(self.live()).map(|(element, _)| element)
    }

    /// The last element.
    #[inline]
    pub(crate) fn back(&self) -> Option<&[u8]> {
        split_back(self.live()).map(|(_, element)| element)
    }

    /// Where the element with this index starts; the end when there are not that many.
    fn offset(&self, index: usize) -> usize {
        match self.len().checked_sub(index) {
            None | Some(0) => self.bytes.len(),
            Some(after) if after < index => self.offset_from_back(after),
            Some(_) => self.offset_from_front(index),
        }
    }

    /// The offset behind the first `steps` elements.
    fn offset_from_front(&self, steps: usize) -> usize {
        let mut rest = self.live();
        for _ in 0..steps {
            rest = match rest {
                // All but a few are short, and of these nothing is read but one length.
                [length, behind @ ..] if *length < CONTINUES => {
                    behind.get(usize::from(*length) + 1..).unwrap_or_default()
                }
                _ => rest.get(front_frame(rest).unwrap_or(0)..).unwrap_or_default(),
            };
        }
        self.bytes.len() - rest.len()
    }

    /// The offset before the last `steps` elements.
    fn offset_from_back(&self, steps: usize) -> usize {
        let mut rest: &[u8] = &self.bytes;
        for _ in 0..steps {
            let frame = match rest.last() {
                Some(length) if *length < CONTINUES => usize::from(*length) + 2,
                _ => back_frame(rest).unwrap_or(0),
            };
            rest = rest.get(..rest.len().saturating_sub(frame)).unwrap_or_default();
        }
        rest.len()
    }
}

/// Elements in pairs.
impl<B: Deref<Target = [u8]>> Packed<B> {
    /// Walks to the pair whose first element is this one.
    pub(crate) fn find_pair(&self, wanted: &[u8]) -> Option<Pair> {
        let end = self.bytes.len();
        let mut rest = self.live();
        let mut index = 0;
        loop {
            let (first, behind) = split_front(rest)?;
            if same(first, wanted) {
                let [first, second] = [rest, behind].map(|from| Position(end - from.len()));
                return Some(Pair { first, second, index });
            }
            rest = behind.get(front_frame(behind)?..)?;
            index += 1;
        }
    }
}

/// The ends.
impl Packed {
    /// Appends an element.
    #[inline]
    pub(crate) fn push_back(&mut self, element: &[u8]) {
        self.reserve_back(Self::framed_len(element.len()));
        append_frame(&mut self.bytes, element);
        self.count += 1;
    }

    /// Prepends an element.
    #[inline]
    pub(crate) fn push_front(&mut self, element: &[u8]) {
        let size = Self::framed_len(element.len());
        let offset = self.claim_front(size);
        self.write(offset, size, element);
        self.count += 1;
    }

    /// Drops the first element; false when there is none.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> bool {
        let Some(size) = front_frame(self.live()) else {
            return false;
        };
        self.count -= 1;
        self.set_head(self.head() + size);
        self.trim();
        true
    }

    /// Drops the last element; false when there is none.
    #[inline]
    pub(crate) fn pop_back(&mut self) -> bool {
        let Some(size) = back_frame(self.live()) else {
            return false;
        };
        self.count -= 1;
        self.bytes.truncate(self.bytes.len() - size);
        self.trim();
        true
    }
}

/// The middle.
impl Packed {
    /// Inserts an element before the one at this position.
    pub(crate) fn insert(&mut self, position: Position, element: &[u8]) {
        let size = Self::framed_len(element.len());
        let offset = self.open(position.0, size);
        self.write(offset, size, element);
        self.count += 1;
    }

    /// Inserts an element so that it gets this index; appends when there are not that many.
    pub(crate) fn insert_index(&mut self, index: usize, element: &[u8]) {
        match self.position(index) {
            Some(_) if index == 0 => self.push_front(element),
            Some(position) => self.insert(position, element),
            None => self.push_back(element),
        }
    }

    /// Puts another element in the place of the one at this position.
    pub(crate) fn replace(&mut self, position: Position, element: &[u8]) {
        if self.overwrite(position, element) {
            return;
        }
        let Some(old) = front_frame(self.from(position.0)) else {
            return;
        };
        let new = Self::framed_len(element.len());
        let offset = self.resize_frame(position.0, old, new);
        self.write(offset, new, element);
        if new < old {
            self.trim();
        }
    }

    /// Overwrites an element by one of the same length, the usual case of a replacement.
    #[inline]
    fn overwrite(&mut self, position: Position, element: &[u8]) -> bool {
        overwrite(&mut self.bytes, position, element)
    }

    /// Removes the element at this position. Returns the position of the one that followed it.
    pub(crate) fn remove(&mut self, position: Position) -> Option<Position> {
        let size = front_frame(self.from(position.0))?;
        self.count -= 1;
        let before = self.close_hole(position.0, size) - self.head();
        self.trim();
        (before < self.byte_len()).then(|| Position(self.head() + before))
    }

    /// Removes at most `count` elements from an index on.
    pub(crate) fn remove_range(&mut self, index: usize, count: usize) {
        let start = index.min(self.len());
        let count = count.min(self.len() - start);
        let offset = self.offset(start);
        let size = self.offset(start + count) - offset;
        self.close_hole(offset, size);
        self.count -= narrow(count);
        self.trim();
    }

    /// Cuts the sequence in two: keeps the elements before the index, returns the others.
    pub(crate) fn split_off(&mut self, index: usize) -> Self {
        let index = index.min(self.len());
        let offset = self.offset(index);
        let tail = Self {
            bytes: self.from(offset).to_vec(),
            count: self.count - narrow(index),
            ..Self::new()
        };
        self.bytes.truncate(offset);
        self.count = narrow(index);
        self.fit();
        tail
    }

    /// Appends the elements of another sequence.
    pub(crate) fn append(&mut self, other: &Self) {
        self.reserve_back(other.byte_len());
        self.bytes.extend_from_slice(other.live());
        self.count += other.count;
    }
}

/// Room.
impl Packed {
    /// Gives back unused memory when there is enough of it to matter.
    pub(crate) fn fit(&mut self) {
        let live = self.byte_len() + self.base();
        if self.bytes.capacity() - live > live / 16 {
            self.shrink(live);
        }
    }

    /// Gives back memory after removals, leaving some room to grow. The distance between what is
    /// tolerated and what is left makes the copying rare.
    #[inline]
    fn trim(&mut self) {
        let live = self.byte_len() + self.base();
        if is_slack(self.bytes.capacity(), live) {
            self.shrink(live + live / 8);
        }
    }

    /// Closes the gap and cuts the allocation down to a capacity.
    #[cold]
    fn shrink(&mut self, capacity: usize) {
        self.close_gap();
        self.bytes.shrink_to(capacity);
    }

    /// Moves the elements to the start of the allocation.
    fn close_gap(&mut self) {
        self.bytes.drain(self.base()..self.head());
        self.head = self.base;
    }

    /// Moves the start of the first element; a gap too large to note is closed instead.
    #[inline]
    fn set_head(&mut self, head: usize) {
        match u32::try_from(head) {
            Ok(head) => self.head = head,
            Err(_) => {
                self.bytes.drain(self.base()..head);
                self.head = self.base;
            }
        }
    }

    /// Makes sure that `size` bytes can be appended.
    #[inline]
    fn reserve_back(&mut self, size: usize) {
        if self.bytes.capacity() - self.bytes.len() < size {
            self.make_back_room(size);
        }
    }

    /// Makes room at the back: from the gap if it is large, else by growing a little. The gap must
    /// be a good part of the whole so that a queue does not move its bytes at every push.
    #[cold]
    fn make_back_room(&mut self, size: usize) {
        if self.gap() >= size.max(self.byte_len() / 4) {
            return self.close_gap();
        }
        let length = self.bytes.len();
        self.bytes.reserve_exact(grown(length + size) - length);
    }

    /// Extends the elements at the front by `size` bytes to be written; returns where they start.
    #[inline]
    fn claim_front(&mut self, size: usize) -> usize {
        match self.gap().checked_sub(size) {
            Some(gap) => self.set_head(self.base() + gap),
            None => self.make_front_room(size),
        }
        self.head()
    }

    /// Moves the elements towards the back to get `size` bytes and a new gap before them.
    #[cold]
    fn make_front_room(&mut self, size: usize) {
        let (old_head, old_end) = (self.head(), self.bytes.len());
        let end = grown(self.base() + self.byte_len() + size);
        let start = end - self.byte_len();
        self.bytes.reserve_exact(end.saturating_sub(old_end));
        self.bytes.resize(end.max(old_end), 0);
        self.bytes.copy_within(old_head..old_end, start);
        self.bytes.truncate(end);
        self.set_head(start - size);
    }

    /// Makes a hole of `size` bytes before an offset, moving the shorter side if there is room for
    /// it. Returns where the hole starts.
    fn open(&mut self, offset: usize, size: usize) -> usize {
        let before = offset.min(self.bytes.len()) - self.head();
        if before < self.byte_len() - before && self.gap() >= size {
            self.open_towards_front(before, size);
        } else {
            self.open_towards_back(before, size);
        }
        self.head() + before
    }

    /// Moves the first `before` bytes towards the front.
    fn open_towards_front(&mut self, before: usize, size: usize) {
        let head = self.head();
        self.bytes.copy_within(head..head + before, head - size);
        self.set_head(head - size);
    }

    /// Moves everything behind the first `before` bytes towards the back.
    fn open_towards_back(&mut self, before: usize, size: usize) {
        self.reserve_back(size);
        let (offset, end) = (self.head() + before, self.bytes.len());
        self.bytes.resize(end + size, 0);
        self.bytes.copy_within(offset..end, offset + size);
    }

    /// Closes a hole of `size` bytes at an offset, moving the shorter side. Returns where the bytes
    /// behind the hole are now.
    fn close_hole(&mut self, offset: usize, size: usize) -> usize {
        let (head, end) = (self.head(), self.bytes.len());
        let before = offset - head;
        if before < end - offset - size {
            self.bytes.copy_within(head..offset, head + size);
            self.set_head(head + size);
        } else {
            self.bytes.copy_within(offset + size..end, offset);
            self.bytes.truncate(end - size);
        }
        self.head() + before
    }

    /// Changes the size of the frame at an offset, contents aside. Returns where it starts now.
    fn resize_frame(&mut self, offset: usize, old: usize, new: usize) -> usize {
        if new > old {
            self.open(offset, new - old)
        } else if new < old {
            self.close_hole(offset, old - new)
        } else {
            offset
        }
    }

    /// Writes an element into the `size` bytes at an offset.
    #[inline]
    fn write(&mut self, offset: usize, size: usize, element: &[u8]) {
        if let Some(frame) = self.bytes.get_mut(offset..offset + size) {
            write_frame(frame, element);
        }
    }
}

impl<'a, B: Deref<Target = [u8]>> IntoIterator for &'a Packed<B> {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Elements in order, from both ends.
#[derive(Clone, Default)]
pub(crate) struct Iter<'a> {
    /// The frames not yet seen.
    rest: &'a [u8],
    /// Their number.
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (element, rest) = split_front(self.rest)?;
        self.rest = rest;
        self.left -= 1;
        Some(element)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let (rest, element) = split_back(self.rest)?;
        self.rest = rest;
        self.left -= 1;
        Some(element)
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// A number of elements in the width it is stored in; it came from there, so nothing is lost.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The size to allocate when `needed` bytes are: a little more, and as much as common allocators
/// give for that anyway, which is a multiple of 16 less the 8 bytes they keep. The elements are
/// many and small, so memory counts for more here than the fewest reallocations.
const fn grown(needed: usize) -> usize {
    (needed + needed / 32 + 8).next_multiple_of(16) - 8
}

/// Whether so much more is allocated than is in use that some is to be given back.
#[inline]
const fn is_slack(capacity: usize, live: usize) -> bool {
    capacity > live + live / 2 + SLACK_BYTES
}

/// Overwrites an element by one of the same length; false if it has another.
#[inline]
fn overwrite(bytes: &mut [u8], position: Position, element: &[u8]) -> bool {
    match element_mut(bytes, position) {
        Some(old) if old.len() == element.len() => {
            old.copy_from_slice(element);
            true
        }
        _ => false,
    }
}

/// The element at a position, to be written over.
#[inline]
fn element_mut(bytes: &mut [u8], position: Position) -> Option<&mut [u8]> {
    let frame = bytes.get_mut(position.0..)?;
    let (length, width) = read_length(frame.iter())?;
    frame.get_mut(width..width + length)
}

/// Bytes taken by a length.
#[inline]
const fn width_of(length: usize) -> usize {
    if length < CONTINUES as usize { 1 } else { (length.ilog2() / 7) as usize + 1 }
}

/// Reads a length and the bytes it takes; backwards when given a reversed iterator.
#[inline]
fn read_length<'a>(mut bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let first = *bytes.next()?;
    if first < CONTINUES {
        return Some((usize::from(first), 1));
    }
    read_long_length(first, bytes)
}

/// Reads the rest of a length that does not fit one byte.
fn read_long_length<'a>(first: u8, bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let mut length = usize::from(first & !CONTINUES);
    for (&byte, width) in bytes.zip(2..=WIDTH_MAX) {
        length |= usize::from(byte & !CONTINUES) << (7 * (width - 1));
        if byte < CONTINUES {
            return Some((length, width));
        }
    }
    None
}

/// Writes a length over all the given bytes; backwards when given a reversed iterator.
fn write_length<'a>(slots: impl Iterator<Item = &'a mut u8>, length: usize) {
    let mut rest = length;
    for slot in slots {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        *slot = if rest == 0 { low } else { low | CONTINUES };
    }
}

/// Bytes of the first frame.
#[inline]
fn front_frame(bytes: &[u8]) -> Option<usize> {
    let (length, width) = read_length(bytes.iter())?;
    Some(length + 2 * width)
}

/// Bytes of the last frame.
#[inline]
fn back_frame(bytes: &[u8]) -> Option<usize> {
    let (length, width) = read_length(bytes.iter().rev())?;
    Some(length + 2 * width)
}

/// The first element and the frames behind it.
#[inline]
fn split_front(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, width) = read_length(bytes.iter())?;
    let (element, rest) = bytes.get(width..)?.split_at_checked(length)?;
    Some((element, rest.get(width..)?))
}

/// The frames before the last element, and that element.
#[inline]
fn split_back(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, width) = read_length(bytes.iter().rev())?;
    let end = bytes.len().checked_sub(width)?;
    let start = end.checked_sub(length)?;
    let rest = bytes.get(..start.checked_sub(width)?)?;
    Some((rest, bytes.get(start..end)?))
}

/// Writes the frame of an element over all the given bytes.
#[inline]
fn write_frame(frame: &mut [u8], element: &[u8]) {
    if let [first, body @ .., last] = frame
        && body.len() == element.len()
    {
        (*first, *last) = (body.len() as u8, body.len() as u8);
        return body.copy_from_slice(element);
    }
    let width = width_of(element.len());
    let Some((header, rest)) = frame.split_at_mut_checked(width) else {
        return;
    };
    let Some((body, trailer)) = rest.split_at_mut_checked(element.len()) else {
        return;
    };
    write_length(header.iter_mut(), element.len());
    body.copy_from_slice(element);
    write_length(trailer.iter_mut().rev(), element.len());
}

/// Appends the frame of an element.
#[inline]
fn append_frame(bytes: &mut Vec<u8>, element: &[u8]) {
    let len = element.len();
    if len <= SHORT_MOST && bytes.capacity() - bytes.len() >= SHORT_STORE {
        return append_short(bytes, len as u8, number(element), len, len as u8);
    }
    match u8::try_from(len) {
        Ok(short) if short < CONTINUES => {
            bytes.push(short);
            bytes.extend_from_slice(element);
            bytes.push(short);
        }
        _ => append_long_frame(bytes, element),
    }
}

/// Appends the frame of an element whose length does not fit one byte.
fn append_long_frame(bytes: &mut Vec<u8>, element: &[u8]) {
    let (mut code, width) = ([0; WIDTH_MAX], width_of(element.len()));
    write_length(code.iter_mut().take(width), element.len());
    bytes.extend(code.iter().take(width));
    bytes.extend_from_slice(element);
    bytes.extend(code.iter().take(width).rev());
}

#[cfg(test)]
mod tests {
    use super::*;

    type Model = Vec<Vec<u8>>;

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound
        }

        /// Mostly short, sometimes empty, sometimes around the borders of the length code.
        fn element(&mut self) -> Vec<u8> {
            let length = match self.below(20) {
                0 => 0,
                1 => 120 + self.below(16),
                2 => 16_376 + self.below(16),
                3 => self.below(600),
                _ => self.below(24),
            };
            let fill = self.below(256) as u8;
            vec![fill; length]
        }
    }

    fn check(packed: &Packed, model: &Model) {
        assert_eq!(packed.len(), model.len());
        assert_eq!(packed.is_empty(), model.is_empty());
        assert!(packed.iter().eq(model.iter()));
        assert!(packed.iter().rev().eq(model.iter().rev()));
        assert_eq!(packed.iter().len(), model.len());
        assert_eq!(packed.front(), model.first().map(Vec::as_slice));
        assert_eq!(packed.back(), model.last().map(Vec::as_slice));
        let framed = model.iter().map(|e| Packed::framed_len(e.len()));
        assert_eq!(packed.byte_len(), framed.sum::<usize>());
        assert!(packed.heap_size() <= packed.byte_len() * 3 / 2 + 2 * SLACK_BYTES + 20_000);
    }

    fn check_access(packed: &Packed, model: &Model, index: usize, count: usize) {
        assert_eq!(packed.get(index), model.get(index).map(Vec::as_slice));
        let from = index.min(model.len());
        let to = (from + count).min(model.len());
        assert!(packed.iter_from(index).eq(model[from..].iter()));
        assert!(packed.range(index, count).eq(model[from..to].iter()));
        let rest = packed.range(index, count).rev();
        assert!(rest.eq(model[from..to].iter().rev()));
        if let Some(position) = packed.position(index) {
            assert_eq!(packed.at(position), model[index]);
            assert_eq!(packed.next(position), packed.position(index + 1));
        }
    }

    fn ends(packed: &mut Packed, model: &mut Model, random: &mut Random, action: usize) {
        let element = random.element();
        match action {
            0 => {
                packed.push_back(&element);
                model.push(element);
            }
            1 => {
                packed.push_front(&element);
                model.insert(0, element);
            }
            2 => {
                assert_eq!(packed.pop_back(), model.pop().is_some());
            }
            _ => {
                assert_eq!(packed.pop_front(), !model.is_empty());
                model.drain(..model.len().min(1));
            }
        }
    }

    fn middle(packed: &mut Packed, model: &mut Model, random: &mut Random, action: usize) {
        let element = random.element();
        let index = random.below(model.len() + 1);
        let position = packed.position(index);
        match (action, position) {
            (0, Some(position)) => {
                packed.insert(position, &element);
                model.insert(index, element);
            }
            (1, Some(position)) => {
                packed.replace(position, &element);
                model[index] = element;
            }
            (2, Some(position)) => {
                let next = packed.remove(position);
                model.remove(index);
                assert_eq!(next, packed.position(index));
            }
            _ => {
                packed.insert_index(index, &element);
                model.insert(index, element);
            }
        }
    }

    fn ranges(packed: &mut Packed, model: &mut Model, random: &mut Random, action: usize) {
        let index = random.below(model.len() + 1);
        let count = random.below(8);
        if action == 0 {
            packed.remove_range(index, count);
            model.drain(index..(index + count).min(model.len()));
            return;
        }
        let tail = packed.split_off(index);
        check(packed, &model[..index].to_vec());
        check(&tail, &model[index..].to_vec());
        packed.append(&tail);
    }

    #[test]
    fn behaves_like_a_vector() {
        for seed in 1..60 {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
            let (mut packed, mut model) = (Packed::new(), Model::new());
            for _ in 0..600 {
                match random.below(11) {
                    action @ 0..4 => ends(&mut packed, &mut model, &mut random, action),
                    action @ 4..8 => middle(&mut packed, &mut model, &mut random, action - 4),
                    action => ranges(&mut packed, &mut model, &mut random, action - 8),
                }
                check(&packed, &model);
                let (index, count) = (random.below(model.len() + 2), random.below(9));
                check_access(&packed, &model, index, count);
            }
        }
    }

    #[test]
    fn a_pair_is_found_by_its_first_element_only() {
        let mut packed = Packed::new();
        let long = vec![b'x'; 20_000];
        let texts: [&[u8]; 6] = [b"a", b"b", b"", &long, &long, b""];
        texts.iter().for_each(|text| packed.push_back(text));
        for (index, [first, second]) in texts.as_chunks::<2>().0.iter().enumerate() {
            let found = packed.find_pair(first).unwrap();
            assert_eq!(found.index, index);
            assert_eq!((packed.at(found.first), packed.at(found.second)), (*first, *second));
            assert_eq!(packed.position(2 * index), Some(found.first));
        }
        assert!(packed.find_pair(b"b").is_none());
        assert!(Packed::new().find_pair(b"").is_none());
    }

    #[test]
    fn length_codes_at_their_borders() {
        for (length, width) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3)] {
            assert_eq!(width_of(length), width);
            let mut code = vec![0; width];
            write_length(code.iter_mut(), length);
            assert_eq!(read_length(code.iter()), Some((length, width)));
        }
        assert_eq!(width_of(usize::MAX), WIDTH_MAX);
        assert_eq!(read_length([0x80, 0x80].iter()), None);
    }

    #[test]
    fn a_queue_stays_small_and_an_empty_sequence_smaller() {
        let mut packed = Packed::new();
        for number in 0..100_000_u32 {
            packed.push_back(&number.to_le_bytes());
            if number >= 100 {
                assert!(packed.pop_front());
            }
        }
        assert!(packed.heap_size() < 1_100, "{}", packed.heap_size());
        while packed.pop_front() {}
        assert!(packed.heap_size() <= SLACK_BYTES);
    }

    #[test]
    fn room_in_front_is_used_from_either_end() {
        let mut front = Packed::with_front_capacity(100);
        front.push_front(b"a");
        assert_eq!(front.heap_size(), 100);
        let mut back = Packed::with_front_capacity(100);
        back.push_back(b"a");
        assert_eq!(back.heap_size(), 100);
        assert!(front.iter().eq(&back));
    }

    #[test]
    fn a_sequence_is_five_words() {
        assert_eq!(size_of::<Packed>(), 40);
    }
}

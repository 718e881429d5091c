//! Sequences in blocks.
//!
//! A sequence may lie behind a prefix, bytes whose meaning it does not know and which it carries along:
//! so a small collection shares one allocation with its key. Closed up, it is a block: the prefix, a
//! note of [`NOTE_BYTES`], the gap, the elements and the spare room. Read in place, from bytes that it
//! borrows, it is a `Packed<&[u8]>`; changed in place, as far as it has the room, an [`InBlock`].

use super::{
    Packed, Position, element_mut, is_slack, narrow, split_back, split_front, write_frame,
};

/// What a closed sequence notes between its prefix and its gap: the lengths of the gap and of the
/// spare room, and the number of elements.
pub(crate) const NOTE_BYTES: usize = 6;

/// The most bytes of a closed sequence: what is noted must fit.
pub(crate) const BLOCK_MOST: usize = 2048;

impl Packed {
    /// An empty sequence behind a prefix.
    pub(crate) fn behind(mut prefix: Vec<u8>) -> Self {
        prefix.extend_from_slice(&[0; NOTE_BYTES]);
        let base = narrow(prefix.len());
        Self { bytes: prefix, base, head: base, count: 0 }
    }

    /// The bytes that a block takes beside its prefix.
    pub(crate) fn block_bytes(&self) -> usize {
        NOTE_BYTES + self.byte_len()
    }

    /// A copy of the elements behind a prefix.
    pub(crate) fn copy_behind(&self, mut prefix: Vec<u8>) -> Self {
        prefix.reserve_exact(self.block_bytes());
        let mut copy = Self::behind(prefix);
        copy.append(self);
        copy
    }

    /// The sequence that a block closes, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn from_block(mut bytes: Vec<u8>, prefix: usize) -> Self {
        let note = Note::read(&bytes, prefix);
        let base = prefix + NOTE_BYTES;
        bytes.truncate(bytes.len() - note.spare.min(bytes.len() - base));
        Self { bytes, base: narrow(base), head: narrow(base + note.gap), count: narrow(note.count) }
    }

    /// Closes the elements up into a block, if they lie behind a prefix of so many bytes and are not too
    /// many; what is left is empty.
    #[inline]
    pub(crate) fn close(&mut self, prefix: usize) -> Option<Vec<u8>> {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if self.base() != prefix + NOTE_BYTES || capacity > BLOCK_MOST {
            return None;
        }
        let gap = self.gap();
        Note { gap, count: self.len(), spare: capacity - length }.write(&mut self.bytes, prefix);
        if length < capacity {
            self.bytes.resize(capacity, 0);
        }
        Some(std::mem::take(&mut self.bytes))
    }

    /// Moves the elements behind another prefix, or to where there is none.
    pub(crate) fn move_behind(&mut self, prefix: Option<Vec<u8>>) {
        match prefix {
            Some(prefix) => *self = self.copy_behind(prefix),
            None => self.strip(),
        }
    }

    /// Lets go of the prefix.
    pub(crate) fn strip(&mut self) {
        if self.base > 0 {
            self.bytes.drain(..self.head());
            (self.base, self.head) = (0, 0);
        }
    }
}

impl<'a> Packed<&'a [u8]> {
    /// The sequence that a block closes, behind a prefix of so many bytes, read in place.
    #[inline]
    pub(crate) fn in_block(block: &'a [u8], prefix: usize) -> Self {
        Self::noted(block, prefix, &Note::read(block, prefix))
    }

    #[inline]
    fn noted(block: &'a [u8], prefix: usize, note: &Note) -> Self {
        let base = prefix + NOTE_BYTES;
        let bytes = block.get(..block.len() - note.spare).unwrap_or_default();
        Self { bytes, base: base as u32, head: (base + note.gap) as u32, count: note.count as u32 }
    }

    /// A copy of the elements, without the prefix.
    pub(crate) fn to_packed(&self) -> Packed {
        Packed { bytes: self.live().to_vec(), base: 0, head: 0, count: self.count }
    }
}

/// A closed sequence that is changed where it lies. What takes another block is left undone, and the
/// caller told so.
pub(crate) struct InBlock<'a> {
    block: &'a mut [u8],
    /// Length of the prefix.
    prefix: usize,
    note: Note,
}

impl<'a> InBlock<'a> {
    /// The sequence that a block closes, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn new(block: &'a mut [u8], prefix: usize) -> Self {
        let note = Note::read(block, prefix);
        Self { block, prefix, note }
    }

    /// The same, only to be read.
    #[inline]
    pub(crate) fn view(&self) -> Packed<&[u8]> {
        Packed::noted(self.block, self.prefix, &self.note)
    }

    /// The element at a position, to be overwritten by one of the same length.
    #[inline]
    pub(crate) fn at(&mut self, position: Position) -> Option<&mut [u8]> {
        element_mut(self.block, position)
    }

    /// Appends elements, all or none; false if the spare room is too small.
    #[inline]
    pub(crate) fn append<const N: usize>(&mut self, elements: [&[u8]; N]) -> bool {
        let sizes = elements.map(|element| Packed::framed_len(element.len()));
        let Some(spare) = self.note.spare.checked_sub(sizes.iter().sum()) else { return false };
        let mut end = self.block.len() - self.note.spare;
        for (element, size) in elements.into_iter().zip(sizes) {
            self.write(end, size, element);
            end += size;
        }
        self.note.spare = spare;
        self.note(self.note.count + N)
    }

    /// Prepends an element; false if the gap is too small.
    #[inline]
    pub(crate) fn push_front(&mut self, element: &[u8]) -> bool {
        let size = Packed::framed_len(element.len());
        let Some(gap) = self.note.gap.checked_sub(size) else { return false };
        self.write(self.prefix + NOTE_BYTES + gap, size, element);
        self.note.gap = gap;
        self.note(self.note.count + 1)
    }

    /// The element at an end, if it can be dropped where the sequence lies: not where too much room
    /// would be left.
    #[inline]
    pub(crate) fn droppable(&self, at_front: bool) -> Option<&[u8]> {
        let live = self.live();
        let (element, rest) = match at_front {
            true => split_front(live)?,
            false => split_back(live).map(|(rest, element)| (element, rest))?,
        };
        (!self.is_slack_without(live.len() - rest.len())).then_some(element)
    }

    /// Drops the element at an end, so many bytes long.
    #[inline]
    pub(crate) fn drop_end(&mut self, at_front: bool, len: usize) {
        let size = Packed::framed_len(len);
        match at_front {
            true => self.note.gap += size,
            false => self.note.spare += size,
        }
        self.note(self.note.count - 1);
    }

    /// The framed elements.
    #[inline]
    fn live(&self) -> &[u8] {
        let start = self.prefix + NOTE_BYTES + self.note.gap;
        self.block.get(start..self.block.len() - self.note.spare).unwrap_or_default()
    }

    /// Whether a block with so much less in it is to be cut down.
    #[inline]
    fn is_slack_without(&self, size: usize) -> bool {
        let live = self.block.len() - self.note.gap - self.note.spare - size;
        is_slack(self.block.len(), live)
    }

    #[inline]
    fn write(&mut self, offset: usize, size: usize, element: &[u8]) {
        if let Some(frame) = self.block.get_mut(offset..offset + size) {
            write_frame(frame, element);
        }
    }

    /// Notes what has become of the sequence, which has so many elements now; always true.
    #[inline]
    fn note(&mut self, count: usize) -> bool {
        self.note.count = count;
        self.note.write(self.block, self.prefix);
        true
    }
}

/// What a closed sequence notes of itself.
struct Note {
    gap: usize,
    count: usize,
    /// Unused bytes at the end.
    spare: usize,
}

impl Note {
    #[inline]
    fn read(block: &[u8], at: usize) -> Note {
        let note = block.get(at..).and_then(|bytes| bytes.first_chunk());
        let [a, b, c, d, e, f] = note.copied().unwrap_or([0; NOTE_BYTES]);
        let number = |low, high| usize::from(u16::from_le_bytes([low, high]));
        Note { gap: number(a, b), count: number(c, d), spare: number(e, f) }
    }

    #[inline]
    fn write(&self, block: &mut [u8], at: usize) {
        let numbers =
            [self.gap, self.count, self.spare].map(|number| (number as u16).to_le_bytes());
        if let Some(note) = block.get_mut(at..at + NOTE_BYTES) {
            note.copy_from_slice(numbers.as_flattened());
        }
    }
}

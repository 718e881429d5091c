//! Sequences in blocks.
//!
//! A sequence may lie behind a prefix, bytes whose meaning it does not know and which it carries along:
//! so a small collection shares one allocation with its key. Closed up, it is a block: the prefix, a
//! note of [`NOTE_BYTES`], the gap, the elements and the spare room. Read in place, from bytes that it
//! borrows, it is a `Packed<&[u8]>`.

use super::{Packed, narrow};

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
        let note = Note::read(block, prefix);
        let base = prefix + NOTE_BYTES;
        let bytes = block.get(..block.len() - note.spare).unwrap_or_default();
        Self { bytes, base: base as u32, head: (base + note.gap) as u32, count: note.count as u32 }
    }

    /// A copy of the elements, without the prefix.
    pub(crate) fn to_packed(&self) -> Packed {
        Packed { bytes: self.live().to_vec(), base: 0, head: 0, count: self.count }
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

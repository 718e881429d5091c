//! The large form of a list: chunks in a deque.
//!
//! This room knows chunks and their limits; which form a list has is its parent's business.

use crate::cow::{Arc, own};
use std::collections::VecDeque;

use super::super::packed::{Packed, Position};
use super::{ChunkLimit, Iter};

/// From this many chunks on, a new chunk at an end is allocated in full. With fewer, it gets a
/// share, so that the spare room stays a fraction of the list.
const CHUNKS_FOR_FULL_ROOM: usize = 8;

/// Unused chunk pointers that are never worth giving back.
const SLACK_CHUNKS: usize = 16;

/// The large form. No chunk in it is empty.
#[derive(Clone)]
pub(super) struct Chunks {
    /// The elements.
    pub(super) deque: VecDeque<Arc<Packed>>,
    /// Their number.
    pub(super) len: usize,
    /// The limit of the last push: removals merge by it.
    pub(super) limit: ChunkLimit,
}

/// Size and access.
impl Chunks {
    /// What a small list becomes.
    pub(super) fn of(chunk: Packed, limit: ChunkLimit) -> Self {
        let len = chunk.len();
        let first = (len > 0).then(|| Arc::new(chunk));
        Self { deque: first.into_iter().collect(), len, limit }
    }

    /// Bytes allocated, this struct included.
    pub(super) fn heap_size(&self) -> usize {
        // An `Arc` keeps two counters beside the chunk.
        let fixed = size_of::<Packed>() + 2 * size_of::<usize>();
        let chunks = self.deque.iter().map(|chunk| fixed + chunk.heap_size());
        let pointers = self.deque.capacity() * size_of::<Arc<Packed>>();
        size_of::<Self>() + pointers + chunks.sum::<usize>()
    }

    /// The chunk an element is in and its index there. The index behind the last element is in a
    /// chunk behind the last.
    pub(super) fn locate(&self, index: usize) -> (usize, usize) {
        if index < self.len / 2 {
            self.locate_from_chunk(0, index)
        } else {
            self.locate_from_back(self.len.saturating_sub(index))
        }
    }

    /// Finds the end of a range that begins in a known chunk: `beyond` elements behind the start of
    /// that chunk, which is this index of the list.
    pub(super) fn locate_end(&self, chunk: usize, beyond: usize, index: usize) -> (usize, usize) {
        let after = self.len - index;
        if beyond < after {
            self.locate_from_chunk(chunk, beyond)
        } else {
            self.locate_from_back(after)
        }
    }

    /// Finds the place this many elements behind the start of a chunk.
    pub(super) fn locate_from_chunk(&self, chunk: usize, beyond: usize) -> (usize, usize) {
        let mut beyond = beyond;
        for (at, chunk) in self.deque.iter().enumerate().skip(chunk) {
            if beyond < chunk.len() {
                return (at, beyond);
            }
            beyond -= chunk.len();
        }
        (self.deque.len(), 0)
    }

    /// Finds the place before the last `after` elements.
    pub(super) fn locate_from_back(&self, after: usize) -> (usize, usize) {
        if after == 0 {
            return (self.deque.len(), 0);
        }
        let mut after = after;
        for (at, chunk) in self.deque.iter().enumerate().rev() {
            if after <= chunk.len() {
                return (at, chunk.len() - after);
            }
            after -= chunk.len();
        }
        (0, 0)
    }

    /// The element with this index.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let (at, within) = self.locate(index);
        self.deque.get(at)?.get(within)
    }

    /// `count` elements from an index on; both lie within the list.
    pub(super) fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let (first, from) = self.locate(start);
        let (last, to) = self.locate_end(first, from + count, start + count);
        let Some(chunk) = self.deque.get(first) else {
            return Iter::default();
        };
        if first == last {
            return Iter::within(chunk, from, count);
        }
        Iter {
            front: chunk.iter_from(from),
            middle: self.deque.range(first + 1..last),
            back: self.deque.get(last).map_or_else(Default::default, |chunk| chunk.range(0, to)),
            left: count,
        }
    }

    /// The only chunk, if there is no other and it is within a limit; an empty one if there is none.
    pub(super) fn take_single(&mut self, limit: ChunkLimit) -> Option<Packed> {
        let small = match self.deque.front() {
            None => true,
            Some(chunk) => self.deque.len() == 1 && limit.holds(chunk.len(), chunk.byte_len()),
        };
        let deque = small.then_some(&mut self.deque)?;
        let chunk = deque.pop_front().map(Arc::unwrap_or_clone);
        Some(chunk.unwrap_or_default())
    }
}

/// The ends.
impl Chunks {
    /// Prepends an element.
    pub(super) fn push_front(&mut self, element: &[u8]) {
        self.len += 1;
        match self.deque.front_mut() {
            Some(first) if self.limit.admits(first, element.len()) => {
                own(first).push_front(element);
            }
            _ => self.begin_front(element),
        }
    }

    /// Appends an element.
    pub(super) fn push_back(&mut self, element: &[u8]) {
        self.len += 1;
        match self.deque.back_mut() {
            Some(last) if self.limit.admits(last, element.len()) => {
                own(last).push_back(element);
            }
            _ => self.begin_back(element),
        }
    }

    /// Begins a chunk at the front.
    pub(super) fn begin_front(&mut self, element: &[u8]) {
        let room = self.room(self.deque.front());
        seal(self.deque.front_mut());
        let size = Packed::framed_len(element.len());
        let mut chunk = Packed::with_front_capacity(room.max(size));
        chunk.push_front(element);
        self.deque.push_front(Arc::new(chunk));
    }

    /// Begins a chunk at the back.
    pub(super) fn begin_back(&mut self, element: &[u8]) {
        let room = self.room(self.deque.back());
        seal(self.deque.back_mut());
        let size = Packed::framed_len(element.len());
        let mut chunk = Packed::with_capacity(room.max(size));
        chunk.push_back(element);
        self.deque.push_back(Arc::new(chunk));
    }

    /// What to allocate for a new chunk: as much as its neighbour took, as the list is large
    /// enough. A neighbour beyond the limit says nothing about what is to come.
    pub(super) fn room(&self, neighbour: Option<&Arc<Packed>>) -> usize {
        let size = neighbour.map_or(0, |chunk| chunk.byte_len());
        let share = self.deque.len().min(CHUNKS_FOR_FULL_ROOM);
        if size > self.limit.bytes {
            return 0;
        }
        size * share / CHUNKS_FOR_FULL_ROOM
    }

    /// Drops the first element; false when there is none.
    pub(super) fn pop_front(&mut self) -> bool {
        let Some(first) = self.deque.front_mut() else {
            return false;
        };
        self.len -= 1;
        if first.len() > 1 {
            return own(first).pop_front();
        }
        self.deque.pop_front();
        self.fit();
        true
    }

    /// Drops the last element; false when there is none.
    pub(super) fn pop_back(&mut self) -> bool {
        let Some(last) = self.deque.back_mut() else {
            return false;
        };
        self.len -= 1;
        if last.len() > 1 {
            return own(last).pop_back();
        }
        self.deque.pop_back();
        self.fit();
        true
    }
}

/// The middle.
impl Chunks {
    /// Replaces an element within its chunk; false when the chunk would become too large.
    pub(super) fn set_in_place(&mut self, index: usize, element: &[u8], limit: ChunkLimit) -> bool {
        let (at, within) = self.locate(index);
        let Some(chunk) = self.deque.get_mut(at) else {
            return false;
        };
        let Some(position) = replaceable(chunk, within, element, limit) else {
            return false;
        };
        // A copy made here has its elements at the same positions.
        own(chunk).replace(position, element);
        self.merge_near(at);
        true
    }

    /// Inserts an element so that it gets this index; appends when there are not that many.
    pub(super) fn insert(&mut self, index: usize, element: &[u8]) {
        if index == 0 {
            return self.push_front(element);
        }
        if index >= self.len {
            return self.push_back(element);
        }
        if !self.insert_within(index, element) {
            self.insert_between(index, element);
        }
        self.len += 1;
    }

    /// Inserts into the chunk the index is in; false when it has no room.
    pub(super) fn insert_within(&mut self, index: usize, element: &[u8]) -> bool {
        let (at, within) = self.locate(index);
        match self.deque.get_mut(at) {
            Some(chunk) if self.limit.admits(chunk, element.len()) => {
                own(chunk).insert_index(within, element);
                true
            }
            _ => false,
        }
    }

    /// Splits the chunk the index is in and inserts into the half with room, or between them.
    pub(super) fn insert_between(&mut self, index: usize, element: &[u8]) {
        let seam = self.cut(index);
        if let Some(left) = self.with_room(seam - 1, element) {
            left.push_back(element);
        } else if let Some(right) = self.with_room(seam, element) {
            right.push_front(element);
        } else {
            let mut chunk = Packed::new();
            chunk.push_back(element);
            self.deque.insert(seam, Arc::new(chunk));
        }
        self.merge_near(seam);
    }

    /// A chunk that may take an element.
    pub(super) fn with_room(&mut self, at: usize, element: &[u8]) -> Option<&mut Packed> {
        let limit = self.limit;
        let chunk = self.deque.get_mut(at)?;
        limit.admits(chunk, element.len()).then(|| own(chunk))
    }

    /// Removes the element with this index, which exists.
    pub(super) fn remove(&mut self, index: usize) {
        let (at, within) = self.locate(index);
        let Some(chunk) = self.deque.get_mut(at) else {
            return;
        };
        self.len -= 1;
        if chunk.len() > 1 {
            own(chunk).remove_range(within, 1);
        } else {
            self.deque.remove(at);
            self.fit();
        }
        self.merge_near(at);
    }

    /// Takes out `count` elements from an index on; both lie within the list.
    pub(super) fn remove_range(&mut self, start: usize, count: usize) -> Self {
        let first = self.cut(start);
        let last = self.cut(start + count);
        let removed =
            Self { deque: self.deque.drain(first..last).collect(), len: count, limit: self.limit };
        self.len -= count;
        self.fit();
        self.merge_near(first);
        removed
    }

    /// Moves other chunks in before an index. Chunks meet under the full limit here, so that what
    /// a removal has split becomes whole again.
    pub(super) fn splice(&mut self, index: usize, mut other: Self) {
        let first = self.cut(index.min(self.len));
        let last = first + other.deque.len();
        let mut tail = self.deque.split_off(first);
        self.deque.append(&mut other.deque);
        self.deque.append(&mut tail);
        self.len += other.len;
        self.merge(last, self.limit);
        self.merge(first, self.limit);
    }
}

/// Borders between chunks.
impl Chunks {
    /// Makes a chunk begin at this index, splitting one if needed. Returns which it is.
    pub(super) fn cut(&mut self, index: usize) -> usize {
        let (at, within) = self.locate(index);
        match self.deque.get_mut(at) {
            Some(chunk) if within > 0 => {
                let tail = own(chunk).split_off(within);
                self.deque.insert(at + 1, Arc::new(tail));
                at + 1
            }
            _ => at,
        }
    }

    /// Merges chunks around one that became smaller. Goes backwards, as a merge renumbers what is
    /// behind it.
    pub(super) fn merge_near(&mut self, at: usize) {
        let limit = self.limit.half();
        for seam in (at.saturating_sub(1)..=at + 2).rev() {
            self.merge(seam, limit);
        }
    }

    /// Appends a chunk to the one before it if the result is within a limit.
    pub(super) fn merge(&mut self, seam: usize, limit: ChunkLimit) {
        let Some(before) = seam.checked_sub(1) else {
            return;
        };
        if !self.may_merge(before, seam, limit) {
            return;
        }
        let right = self.deque.remove(seam);
        if let (Some(left), Some(right)) = (self.deque.get_mut(before), right) {
            own(left).append(&right);
        }
    }

    /// Whether two chunks make one within a limit.
    pub(super) fn may_merge(&self, left: usize, right: usize, limit: ChunkLimit) -> bool {
        let (Some(left), Some(right)) = (self.deque.get(left), self.deque.get(right)) else {
            return false;
        };
        let bytes = left.byte_len() + right.byte_len();
        limit.holds(left.len() + right.len(), bytes)
    }

    /// Gives back chunk pointers after removals.
    pub(super) fn fit(&mut self) {
        let used = self.deque.len();
        if self.deque.capacity() > 4 * used + SLACK_CHUNKS {
            self.deque.shrink_to(2 * used);
        }
    }
}

/// Gives back the spare room of a chunk that is no longer at the end, unless a clone has it too.
pub(super) fn seal(chunk: Option<&mut Arc<Packed>>) {
    if let Some(chunk) = chunk.and_then(Arc::get_mut) {
        chunk.fit();
    }
}

/// Takes a range out of a chunk.
pub(super) fn cut_out(chunk: &mut Packed, start: usize, count: usize) -> Packed {
    let mut removed = chunk.split_off(start);
    let tail = removed.split_off(count);
    chunk.append(&tail);
    removed
}

/// Where an element of a chunk starts, if the limit lets it be replaced by another there.
pub(super) fn replaceable(
    chunk: &Packed,
    index: usize,
    element: &[u8],
    limit: ChunkLimit,
) -> Option<Position> {
    let position = chunk.position(index)?;
    let admitted = limit.admits_instead(chunk, chunk.at(position), element.len());
    admitted.then_some(position)
}

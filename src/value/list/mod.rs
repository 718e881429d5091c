//! A list: a deque of packed chunks.
//!
//! The ends are cheap, the middle is reached by skipping whole chunks, and no edit moves more than
//! a few chunks' bytes. Chunks are shared between clones and copied when first written to, so that
//! a clone costs a pointer per chunk. This room does not know keys, commands or what a negative
//! index means; it only knows the order of byte strings and how many of them belong together.

mod chunks;

use crate::cow::Arc;
use std::collections::vec_deque;
use std::mem;
use std::ops::Deref;

use super::packed::{self, Packed};
use super::{Borrowed, Kind, Owned, Storage};
use chunks::{Chunks, cut_out, replaceable};

/// How much a chunk may hold before another is begun. An element larger than the byte limit gets a
/// chunk of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkLimit {
    /// Most elements.
    pub(crate) entries: usize,
    /// Most bytes, framing included.
    pub(crate) bytes: usize,
}

impl Default for ChunkLimit {
    /// Redis's `list-max-listpack-size -2`.
    fn default() -> Self {
        Self { entries: usize::MAX, bytes: 8192 }
    }
}

impl ChunkLimit {
    /// What Redis's `list-max-listpack-size` means: so many elements, or where it is negative one
    /// of five sizes.
    pub(crate) fn of_size(size: i64) -> Self {
        let bytes = |kib: usize| Self { entries: usize::MAX, bytes: kib << 10 };
        match size {
            0.. => Self { entries: (size as usize).max(1), bytes: 8192 },
            -1 => bytes(4),
            -2 => bytes(8),
            -3 => bytes(16),
            -4 => bytes(32),
            _ => bytes(64),
        }
    }

    /// Whether a chunk may take one more element of this length.
    #[inline]
    pub(crate) fn admits<B>(self, chunk: &Packed<B>, length: usize) -> bool
    where
        B: Deref<Target = [u8]>,
    {
        chunk.len() < self.entries && chunk.byte_len() + Packed::framed_len(length) <= self.bytes
    }

    /// Whether a chunk may have an element of this length instead of one of its own.
    fn admits_instead(self, chunk: &Packed, old: &[u8], length: usize) -> bool {
        let others = chunk.byte_len() - Packed::framed_len(old.len());
        length <= old.len() || others + Packed::framed_len(length) <= self.bytes
    }

    /// Whether this many elements of this many bytes make a good chunk.
    #[inline]
    fn holds(self, entries: usize, bytes: usize) -> bool {
        entries <= self.entries && bytes <= self.bytes
    }

    /// The limit under which chunks are merged after a removal: far enough from the full one that
    /// the next few pushes do not part them again.
    #[inline]
    fn half(self) -> Self {
        Self { entries: self.entries / 2, bytes: self.bytes / 2 }
    }
}

/// A list of byte strings.
#[derive(Clone)]
pub(crate) struct List<S: Storage = Owned> {
    /// The elements.
    body: Body<S>,
}

/// A list, borrowed for reading.
pub(crate) type ListView<'a> = List<Borrowed<'a>>;

/// The two sizes of a list.
#[derive(Clone)]
enum Body<S: Storage> {
    /// All elements within one chunk's limit. Not shared: it is about as cheap to copy.
    One(Packed<S::Bytes>),
    /// More than that, or a single large element.
    Many(S::Large<Chunks>),
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

/// Making and closing.
impl List {
    /// An empty list, without an allocation.
    pub(crate) const fn new() -> Self {
        Self { body: Body::One(Packed::new()) }
    }

    /// An empty list behind a prefix.
    pub(crate) fn behind(prefix: Vec<u8>) -> Self {
        Self { body: Body::One(Packed::behind(prefix)) }
    }

    /// A list of elements that go into one chunk.
    pub(crate) fn of_chunk(chunk: Packed) -> Self {
        Self { body: Body::One(chunk) }
    }

    /// The same list, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> ListView<'_> {
        let body = match &self.body {
            Body::One(chunk) => Body::One(chunk.view()),
            Body::Many(chunks) => Body::Many(&**chunks),
        };
        List { body }
    }

    /// The kinds of blocks it lies in.
    pub(super) const KINDS: &'static [Kind] = &[Kind::List];

    /// Opens a block.
    #[inline]
    pub(super) fn from_block(_: Kind, block: Vec<u8>, prefix: usize) -> Self {
        Self { body: Body::One(Packed::from_block(block, prefix)) }
    }

    /// Closes a small list up, if it lies behind a prefix of so many bytes.
    #[inline]
    pub(super) fn close_up(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
        match &mut self.body {
            Body::One(chunk) => Some((Kind::List, chunk.close(prefix)?)),
            Body::Many(_) => None,
        }
    }

    /// The elements of a small list.
    pub(super) fn packed_mut(&mut self) -> Option<&mut Packed> {
        match &mut self.body {
            Body::One(chunk) => Some(chunk),
            Body::Many(_) => None,
        }
    }

    /// Bytes allocated; chunks shared with a clone count in full. Looks at every chunk.
    pub(crate) fn heap_size(&self) -> usize {
        match &self.body {
            Body::One(chunk) => chunk.heap_size(),
            Body::Many(chunks) => chunks.heap_size(),
        }
    }
}

impl<'a> ListView<'a> {
    /// The list in a block of a kind, if it is one.
    #[inline]
    pub(super) fn in_block(kind: Kind, block: &'a [u8], prefix: usize) -> Option<Self> {
        let is_list = kind == Kind::List;
        is_list.then(|| List { body: Body::One(Packed::in_block(block, prefix)) })
    }
}

/// Size.
impl<S: Storage> List<S> {
    /// Number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::One(chunk) => chunk.len(),
            Body::Many(chunks) => chunks.len,
        }
    }

    /// Whether there is no element.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of chunks.
    pub(crate) fn chunk_count(&self) -> usize {
        match &self.body {
            Body::One(_) => 1,
            Body::Many(chunks) => chunks.deque.len(),
        }
    }
}

/// The ends.
impl List {
    /// Makes room for about so many bytes of elements to be appended, within a chunk.
    pub(crate) fn reserve(&mut self, bytes: usize, limit: ChunkLimit) {
        if let Body::One(chunk) = &mut self.body {
            chunk.reserve(bytes.min(limit.bytes));
        }
    }

    /// Prepends an element.
    pub(crate) fn push_front(&mut self, element: &[u8], limit: ChunkLimit) {
        match &mut self.body {
            Body::One(chunk) if limit.admits(chunk, element.len()) => chunk.push_front(element),
            _ => self.edit(limit, |chunks| chunks.push_front(element)),
        }
    }

    /// Appends an element.
    pub(crate) fn push_back(&mut self, element: &[u8], limit: ChunkLimit) {
        match &mut self.body {
            Body::One(chunk) if limit.admits(chunk, element.len()) => chunk.push_back(element),
            _ => self.edit(limit, |chunks| chunks.push_back(element)),
        }
    }
}

/// What is at the ends, and where.
impl<S: Storage> List<S> {
    /// The first element.
    #[inline]
    pub(crate) fn front(&self) -> Option<&[u8]> {
        match &self.body {
            Body::One(chunk) => chunk.front(),
            Body::Many(chunks) => chunks.deque.front()?.front(),
        }
    }

    /// The last element.
    #[inline]
    pub(crate) fn back(&self) -> Option<&[u8]> {
        match &self.body {
            Body::One(chunk) => chunk.back(),
            Body::Many(chunks) => chunks.deque.back()?.back(),
        }
    }

    /// The element with this index. Skips whole chunks from the nearer end.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        match &self.body {
            Body::One(chunk) => chunk.get(index),
            Body::Many(chunks) => chunks.get(index),
        }
    }

    /// All elements in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.range(0, usize::MAX)
    }

    /// At most `count` elements from an index on.
    pub(crate) fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let start = start.min(self.len());
        let count = count.min(self.len() - start);
        match &self.body {
            Body::One(chunk) => Iter::within(chunk, start, count),
            Body::Many(chunks) => chunks.range(start, count),
        }
    }
}

/// Taking from the ends.
impl List {
    /// Drops the first element; false when there is none.
    pub(crate) fn pop_front(&mut self) -> bool {
        match &mut self.body {
            Body::One(chunk) => chunk.pop_front(),
            Body::Many(chunks) => {
                let popped = chunks.pop_front();
                self.settle_half();
                popped
            }
        }
    }

    /// Drops the last element; false when there is none.
    pub(crate) fn pop_back(&mut self) -> bool {
        match &mut self.body {
            Body::One(chunk) => chunk.pop_back(),
            Body::Many(chunks) => {
                let popped = chunks.pop_back();
                self.settle_half();
                popped
            }
        }
    }
}

/// Single elements.
impl List {
    /// Replaces the element with this index; false when there is none.
    pub(crate) fn set(&mut self, index: usize, element: &[u8], limit: ChunkLimit) -> bool {
        if index >= self.len() {
            return false;
        }
        if !self.set_in_place(index, element, limit) {
            self.remove(index);
            self.insert(index, element, limit);
        }
        true
    }

    /// Replaces an element within its chunk; false when the chunk would become too large.
    fn set_in_place(&mut self, index: usize, element: &[u8], limit: ChunkLimit) -> bool {
        match &mut self.body {
            Body::One(chunk) => {
                let position = replaceable(chunk, index, element, limit);
                position.map(|position| chunk.replace(position, element)).is_some()
            }
            Body::Many(chunks) => chunks.set_in_place(index, element, limit),
        }
    }

    /// Inserts an element so that it gets this index; appends when there are not that many.
    pub(crate) fn insert(&mut self, index: usize, element: &[u8], limit: ChunkLimit) {
        match &mut self.body {
            Body::One(chunk) if limit.admits(chunk, element.len()) => {
                chunk.insert_index(index, element);
            }
            _ => self.edit(limit, |chunks| chunks.insert(index, element)),
        }
    }

    /// Removes the element with this index; false when there is none.
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        if index >= self.len() {
            return false;
        }
        match &mut self.body {
            Body::One(chunk) => chunk.remove_range(index, 1),
            Body::Many(chunks) => chunks.remove(index),
        }
        self.settle_half();
        true
    }
}

/// Ranges.
impl List {
    /// Takes at most `count` elements from an index on out of the list. Whole chunks are moved,
    /// only those at the borders are split.
    pub(crate) fn remove_range(&mut self, start: usize, count: usize) -> Self {
        let start = start.min(self.len());
        let count = count.min(self.len() - start);
        if count == 0 {
            return Self::new();
        }
        if count == self.len() {
            return mem::take(self);
        }
        let mut removed = Self {
            body: match &mut self.body {
                Body::One(chunk) => Body::One(cut_out(chunk, start, count)),
                Body::Many(chunks) => Body::Many(Box::new(chunks.remove_range(start, count))),
            },
        };
        self.settle_half();
        removed.settle_half();
        removed
    }

    /// Moves the elements of another list in, before the one with this index: the inverse of
    /// `remove_range`. Works under the limit of the last push to either list.
    pub(crate) fn insert_list(&mut self, at: usize, list: Self) {
        if list.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = list;
            return;
        }
        let limit = self.limit().or(list.limit()).unwrap_or_default();
        let inserted = list.into_chunks(limit);
        self.edit(limit, |chunks| chunks.splice(at, *inserted));
        self.settle(limit);
    }
}

/// From one size to the other.
impl List {
    /// The limit a large list was last pushed to with.
    fn limit(&self) -> Option<ChunkLimit> {
        match &self.body {
            Body::One(_) => None,
            Body::Many(chunks) => Some(chunks.limit),
        }
    }

    /// The chunks of this list.
    fn into_chunks(self, limit: ChunkLimit) -> Box<Chunks> {
        match self.body {
            Body::One(mut chunk) => {
                chunk.strip();
                Box::new(Chunks::of(chunk, limit))
            }
            Body::Many(chunks) => chunks,
        }
    }

    /// Edits the list in its large form.
    fn edit(&mut self, limit: ChunkLimit, act: impl FnOnce(&mut Chunks)) {
        if let Body::Many(chunks) = &mut self.body {
            chunks.limit = limit;
            return act(chunks);
        }
        let mut chunks = mem::take(self).into_chunks(limit);
        act(&mut chunks);
        self.body = Body::Many(chunks);
    }

    /// Returns to the small form after a removal.
    #[inline]
    fn settle_half(&mut self) {
        if let Body::Many(chunks) = &self.body
            && chunks.deque.len() < 2
        {
            self.settle(chunks.limit.half());
        }
    }

    /// Returns to the small form if what is left is one chunk within a limit.
    fn settle(&mut self, limit: ChunkLimit) {
        if let Body::Many(chunks) = &mut self.body
            && let Some(chunk) = chunks.take_single(limit)
        {
            self.body = Body::One(chunk);
        }
    }
}

/// Elements in order, from both ends.
#[derive(Clone, Default)]
pub(crate) struct Iter<'a> {
    /// The rest of the chunk being read from the front.
    front: packed::Iter<'a>,
    /// Chunks not yet begun.
    middle: vec_deque::Iter<'a, Arc<Packed>>,
    /// The rest of the chunk being read from the back.
    back: packed::Iter<'a>,
    /// Number of elements not yet seen.
    left: usize,
}

impl<'a> Iter<'a> {
    /// A range inside one chunk.
    fn within<B: Deref<Target = [u8]>>(chunk: &'a Packed<B>, start: usize, count: usize) -> Self {
        Self { front: chunk.range(start, count), left: count, ..Self::default() }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(element) = self.front.next() {
                return Some(element);
            }
            match self.middle.next() {
                Some(chunk) => self.front = chunk.iter(),
                None => return self.back.next(),
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(element) = self.back.next_back() {
                return Some(element);
            }
            match self.middle.next_back() {
                Some(chunk) => self.back = chunk.iter(),
                None => return self.front.next_back(),
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    type Model = Vec<Vec<u8>>;

    /// Entries and bytes of the limits tried.
    const LIMITS: [(usize, usize); 4] = [(usize::MAX, 100), (1, 8192), (5, 8192), (99, 1000)];

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound
        }

        /// Mostly short, sometimes larger than a chunk.
        fn element(&mut self) -> Vec<u8> {
            let length = match self.below(20) {
                0 => 0,
                1 => self.below(2_000),
                _ => self.below(24),
            };
            let fill = self.below(256) as u8;
            vec![fill; length]
        }
    }

    /// The chunks hold together: none empty, none too large, no needless large form.
    fn check_chunks(list: &List, limit: ChunkLimit) {
        let Body::Many(chunks) = &list.body else {
            return;
        };
        let len: usize = chunks.deque.iter().map(|chunk| chunk.len()).sum();
        assert_eq!(chunks.len, len);
        assert!(!chunks.deque.is_empty());
        for chunk in &chunks.deque {
            assert!(!chunk.is_empty());
            assert!(chunk.len() == 1 || limit.holds(chunk.len(), chunk.byte_len()));
        }
    }

    fn check(list: &List, model: &Model, limit: ChunkLimit) {
        check_chunks(list, limit);
        assert_eq!(list.len(), model.len());
        assert_eq!(list.is_empty(), model.is_empty());
        assert!(list.iter().eq(model.iter()));
        assert!(list.iter().rev().eq(model.iter().rev()));
        assert_eq!(list.iter().len(), model.len());
        assert_eq!(list.front(), model.first().map(Vec::as_slice));
        assert_eq!(list.back(), model.last().map(Vec::as_slice));
    }

    fn check_range(list: &List, model: &Model, random: &mut Random) {
        let index = random.below(model.len() + 2);
        let count = random.below(model.len() + 2);
        assert_eq!(list.get(index), model.get(index).map(Vec::as_slice));
        let from = index.min(model.len());
        let to = (from + count).min(model.len());
        assert!(list.range(index, count).eq(model[from..to].iter()));
        let backwards = list.range(index, count).rev();
        assert!(backwards.eq(model[from..to].iter().rev()));
        check_both_ends(list.range(index, count), &model[from..to], random);
    }

    fn check_both_ends(mut elements: Iter<'_>, model: &[Vec<u8>], random: &mut Random) {
        let mut model = model.iter().map(Vec::as_slice);
        loop {
            let (got, wanted) = match random.below(2) {
                0 => (elements.next(), model.next()),
                _ => (elements.next_back(), model.next_back()),
            };
            assert_eq!(got, wanted);
            if got.is_none() {
                return;
            }
        }
    }

    fn ends(list: &mut List, model: &mut Model, random: &mut Random, limit: ChunkLimit) {
        let element = random.element();
        match random.below(5) {
            0 => assert_eq!(list.pop_back(), model.pop().is_some()),
            1 => {
                assert_eq!(list.pop_front(), !model.is_empty());
                model.drain(..model.len().min(1));
            }
            2 => {
                list.push_front(&element, limit);
                model.insert(0, element);
            }
            _ => {
                list.push_back(&element, limit);
                model.push(element);
            }
        }
    }

    fn middle(list: &mut List, model: &mut Model, random: &mut Random, limit: ChunkLimit) {
        let element = random.element();
        let index = random.below(model.len() + 1);
        match random.below(4) {
            0 => {
                assert_eq!(list.set(index, &element, limit), index < model.len());
                model.splice(index..(index + 1).min(model.len()), [element]);
                model.truncate(list.len());
            }
            1 => {
                assert_eq!(list.remove(index), index < model.len());
                model.drain(index..(index + 1).min(model.len()));
            }
            _ => {
                list.insert(index, &element, limit);
                model.insert(index, element);
            }
        }
    }

    fn ranges(list: &mut List, model: &mut Model, random: &mut Random, limit: ChunkLimit) {
        let index = random.below(model.len() + 1);
        let count = random.below(model.len() + 1).min(model.len() - index);
        let removed = list.remove_range(index, count);
        let rest = [&model[..index], &model[index + count..]].concat();
        check(list, &rest, limit);
        check(&removed, &model[index..index + count].to_vec(), limit);
        if random.below(20) == 0 {
            *model = rest;
        } else {
            list.insert_list(index, removed);
        }
    }

    fn run(seed: u64, limit: ChunkLimit) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let (mut list, mut model) = (List::new(), Model::new());
        let mut kept = (list.clone(), model.clone());
        for _ in 0..400 {
            match random.below(7) {
                0..4 => ends(&mut list, &mut model, &mut random, limit),
                4 | 5 => middle(&mut list, &mut model, &mut random, limit),
                _ => ranges(&mut list, &mut model, &mut random, limit),
            }
            check(&list, &model, limit);
            check_range(&list, &model, &mut random);
            if random.below(50) == 0 {
                check(&kept.0, &kept.1, limit);
                kept = (list.clone(), model.clone());
            }
        }
    }

    fn filled(count: usize, limit: ChunkLimit) -> List {
        let mut list = List::new();
        for number in 0..count {
            list.push_back(format!("{number:08}").as_bytes(), limit);
        }
        list
    }

    #[test]
    fn behaves_like_a_vector() {
        for (entries, bytes) in LIMITS {
            let limit = ChunkLimit { entries, bytes };
            (1..30).for_each(|seed| run(seed, limit));
        }
    }

    #[test]
    fn a_range_moves_out_and_back_in() {
        let limit = ChunkLimit::default();
        let mut list = filled(100_000, limit);
        let (before, chunks) = (list.clone(), list.chunk_count());
        let removed = list.remove_range(10, 99_000);
        assert_eq!((list.len(), removed.len()), (1_000, 99_000));
        assert!(removed.chunk_count() <= chunks + 1);
        list.insert_list(10, removed);
        assert!(list.iter().eq(before.iter()));
        assert!(list.chunk_count() <= chunks + 2);
    }

    #[test]
    fn a_small_list_comes_back_as_small() {
        let mut list = filled(9, ChunkLimit::default());
        let removed = list.remove_range(3, 3);
        list.insert_list(3, removed);
        assert!(matches!(list.body, Body::One(_)));
        assert!(list.iter().eq(filled(9, ChunkLimit::default()).iter()));
    }

    #[test]
    fn memory_follows_the_contents() {
        let limit = ChunkLimit::default();
        for count in [1, 10, 100, 1_000, 10_000, 100_000] {
            let size = filled(count, limit).heap_size();
            assert!(size <= count * 10 * 9 / 8 + 256, "{count}: {size}");
        }
        let mut list = filled(100_000, limit);
        (0..90_000).for_each(|step| assert!(list.remove(step % 10_000)));
        assert!(list.heap_size() < 10_000 * 10 * 2 + 8_192, "{}", list.heap_size());
        while list.pop_front() {}
        assert!(list.heap_size() < 100);
    }

    #[test]
    fn large_elements_live_alone_and_leave_no_room_behind() {
        let limit = ChunkLimit::default();
        let mut list = List::new();
        for _ in 0..100 {
            list.push_back(&[b'x'; 9_000], limit);
            list.push_front(&[b'x'; 9_000], limit);
            list.push_back(b"small", limit);
        }
        assert_eq!(list.chunk_count(), 300);
        assert!(list.heap_size() < 300 * 9_000 * 3 / 4, "{}", list.heap_size());
    }

    #[test]
    fn writing_leaves_a_clone_alone() {
        let limit = ChunkLimit::default();
        let mut list = filled(10_000, limit);
        let clone = list.clone();
        list.set(5_000, b"other", limit);
        list.pop_front();
        assert!(clone.iter().eq(filled(10_000, limit).iter()));
        assert_eq!(list.get(4_999), Some(b"other".as_slice()));
    }

    #[test]
    fn a_list_is_five_words() {
        assert_eq!(size_of::<List>(), 40);
    }
}

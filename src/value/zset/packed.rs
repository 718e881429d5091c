//! The packed form of a sorted set: all entries in order in one allocation.
//!
//! Every operation walks the bytes from an end, which beats any index while
//! the set is small. This room knows the byte layout; it may not know the
//! limits under which a set stays packed, nor the indexed form.
//!
//! An entry is `[score: f64, 8 bytes LE][length][member][length]`. The length
//! is a base-128 varint, low group first; the one behind the member is written
//! backwards, so that an entry can be read from its end too. That costs a byte
//! an entry and lets a reverse range start at the tail.
//!
//! As in `value/packed.rs`, entries may lie behind a prefix, and closed up they
//! are a block: the prefix, the note, the entries, the spare bytes.

use super::member::Place;
use crate::bytes::{SHORT_MOST, SHORT_STORE, append_short, number, same};
use crate::value::listpack::{Element, split_first};
use crate::value::packed::{BLOCK_MOST, transcribe};
use smallvec::SmallVec;
use std::ops::{Deref, DerefMut};

/// A span of the bytes.
type Span = std::ops::Range<usize>;

/// The bytes of a score.
const SCORE_BYTES: usize = size_of::<f64>();

/// So many bytes more, at most, are given room for scores that are read.
const SCORES_ROOM: usize = 512;

/// The longest entry that moves without an allocation; those of the usual limit of 64 bytes do.
const MOVED_BYTES: usize = 80;

/// The top bit of a length byte: another byte follows.
const MORE: u8 = 0x80;

/// Entries in ascending order, back to back.
#[derive(Clone)]
pub(crate) struct Packed<B = Vec<u8>> {
    /// The prefix, then the entries' bytes.
    bytes: B,
    /// The length of the prefix.
    base: u32,
    /// The number of entries.
    len: u32,
}

/// What a closed sequence notes behind its prefix: the number of entries, and the length of the
/// spare room.
const NOTE_BYTES: usize = 2 * size_of::<u16>();

/// The number of entries and the spare bytes that a block notes.
#[inline]
fn note(block: &[u8], at: usize) -> (usize, usize) {
    match block.get(at..).and_then(|bytes| bytes.first_chunk()) {
        Some(&[a, b, c, d]) => {
            (u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into())
        }
        None => (0, 0),
    }
}

/// Where an entry lies in the bytes, and its score.
pub(crate) struct Found {
    /// Offset of its first byte.
    start: usize,
    /// Offset after its last byte.
    end: usize,
    /// The score it has.
    pub(crate) score: f64,
}

/// Making and changing.
impl Packed {
    /// An empty sequence, without an allocation.
    pub(crate) const fn new() -> Packed {
        Packed { bytes: Vec::new(), base: 0, len: 0 }
    }

    /// An empty sequence behind a prefix.
    pub(crate) fn behind(mut prefix: Vec<u8>) -> Packed {
        prefix.extend_from_slice(&[0; NOTE_BYTES]);
        Packed { base: prefix.len() as u32, bytes: prefix, len: 0 }
    }

    /// The entries that a block closes, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn from_block(mut bytes: Vec<u8>, prefix: usize) -> Packed {
        let (len, spare) = note(&bytes, prefix);
        bytes.truncate(bytes.len() - spare);
        Packed { bytes, base: (prefix + NOTE_BYTES) as u32, len: len as u32 }
    }

    /// The entries of a listpack, members and scores in turn, if they are in order; each member is
    /// shown.
    pub(super) fn of_listpack<'a>(
        elements: &'a [u8],
        score: impl Fn(Element<'a>) -> Option<f64>,
        mut show: impl FnMut(Element<'a>),
    ) -> Option<Packed> {
        // Scores are integers of a few bytes, as a rule, and take eight here.
        let room = elements.len() + elements.len().min(SCORES_ROOM) + SHORT_STORE;
        let mut bytes = Vec::with_capacity(room);
        let (mut rest, mut len, mut last) = (elements, 0, None::<(f64, Element<'a>)>);
        while !rest.is_empty() {
            let place = bytes.len();
            bytes.extend_from_slice(&[0; SCORE_BYTES]);
            let (member, told);
            (member, rest) = transcribe(&mut bytes, rest)?;
            (told, rest) = split_first(rest)?;
            let score = score(told)?;
            if !last.is_none_or(|last| is_before(last, (score, member))) {
                return None;
            }
            *bytes.get_mut(place..)?.first_chunk_mut()? = score.to_le_bytes();
            show(member);
            last = Some((score, member));
            len += 1;
        }
        Some(Packed { bytes, base: 0, len })
    }

    /// Closes the entries up into a block, if they lie behind a prefix of so many bytes and are not too
    /// many; what is left is empty.
    #[inline]
    pub(crate) fn close(&mut self, prefix: usize) -> Option<Vec<u8>> {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if self.base() != prefix + NOTE_BYTES || capacity > BLOCK_MOST {
            return None;
        }
        let numbers = [self.len(), capacity - length].map(|number| (number as u16).to_le_bytes());
        if let Some(note) = self.bytes.get_mut(prefix..prefix + NOTE_BYTES) {
            note.copy_from_slice(numbers.as_flattened());
        }
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
        self.bytes.drain(..self.base());
        self.base = 0;
    }

    /// The same entries, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> Packed<&[u8]> {
        let Packed { ref bytes, base, len } = *self;
        Packed { bytes, base, len }
    }

    /// Bytes allocated.
    pub(crate) fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds or moves `member`; gives its former score.
    ///
    /// A score equal to the stored one (-0.0 and 0.0 are equal) changes nothing.
    pub(crate) fn set(&mut self, place: Place<'_>) -> Option<f64> {
        let found = self.find(place.member);
        let former = found.as_ref().map(|found| found.score);
        if former != Some(place.score) {
            self.put(found, place);
        }
        former
    }

    /// `ZSet::update`: one walk to the member, another only over what it overtakes.
    pub(crate) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<Option<f64>> {
        let found = self.find(member);
        let former = found.as_ref().map(|found| found.score);
        let score = decide(former)?;
        self.put(found, Place { score, member });
        Some(former)
    }

    /// Adds an entry behind all others.
    #[inline]
    pub(crate) fn push(&mut self, place: Place<'_>) {
        self.reserve(entry_size(place.member.len()));
        write_entry(&mut self.bytes, place);
        self.len += 1;
    }

    /// Adds an entry whose member is absent; in no time if it comes after all others.
    pub(crate) fn append(&mut self, place: Place<'_>) {
        if self.iter().next_back().is_some_and(|last| !last.is_before(place)) {
            self.insert(place);
            return;
        }
        self.reserve(entry_size(place.member.len()));
        write_entry(&mut self.bytes, place);
        self.len += 1;
    }

    /// Takes `member` out; gives its score.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let found = self.find(member)?;
        self.bytes.drain(found.start..found.end);
        self.len -= 1;
        self.trim();
        Some(found.score)
    }

    /// Writes an entry, in place of the one its member has if that was found.
    fn put(&mut self, found: Option<Found>, place: Place<'_>) {
        match found {
            None => self.insert(place),
            Some(found) => self.shift(&found, place),
        }
    }

    /// Adds an entry whose member is absent.
    fn insert(&mut self, place: Place<'_>) {
        let offset = self.offset_for(self.base(), place);
        let size = entry_size(place.member.len());
        self.push(place);
        // Written at the end and carried to its position: no second buffer.
        let end = self.bytes.len();
        if let Some(passed) = self.bytes.get_mut(offset..end) {
            passed.rotate_right(size);
        }
    }

    /// Makes room for `more` bytes, with a sixteenth to spare: doubling would
    /// waste what this form is there to save.
    pub(crate) fn reserve(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let roomy = (needed + needed / 16 + 8).next_multiple_of(16) - 8;
            self.bytes.reserve_exact(roomy - self.bytes.len());
        }
    }

    /// Gives memory back once a third of it lies idle.
    fn trim(&mut self) {
        if self.bytes.capacity() > self.bytes.len() + self.bytes.len() / 2 + 32 {
            self.bytes.shrink_to_fit();
        }
    }
}

impl<'a> Packed<&'a [u8]> {
    /// The entries that a block closes, behind a prefix of so many bytes, read in place.
    #[inline]
    pub(crate) fn in_block(block: &'a [u8], prefix: usize) -> Self {
        let (len, spare) = note(block, prefix);
        let bytes = block.get(..block.len() - spare).unwrap_or_default();
        Packed { bytes, base: (prefix + NOTE_BYTES) as u32, len: len as u32 }
    }
}

impl<'a> Packed<&'a mut [u8]> {
    /// The entries that a block closes, behind a prefix of so many bytes, whose scores change in
    /// place.
    #[inline]
    pub(crate) fn in_block_mut(block: &'a mut [u8], prefix: usize) -> Self {
        let (len, spare) = note(block, prefix);
        let end = block.len() - spare;
        let bytes = block.get_mut(..end).unwrap_or_default();
        Packed { bytes, base: (prefix + NOTE_BYTES) as u32, len: len as u32 }
    }
}

/// Changing scores, which takes no other room.
impl<B: DerefMut<Target = [u8]>> Packed<B> {
    /// Gives the entry at `found` the score of `place` and its new position. What lies before it
    /// stays before it when the score rises, so only one side has to be looked at.
    pub(crate) fn shift(&mut self, found: &Found, place: Place<'_>) {
        let Found { start, end, score: former } = *found;
        if let Some(score) = self.bytes.get_mut(start..start + SCORE_BYTES) {
            score.copy_from_slice(&place.score.to_le_bytes());
        }
        if place.score >= former {
            let behind = self.offset_for(end, place);
            self.carry(start..end, end..behind, behind - (end - start));
        } else {
            let before = self.offset_for(self.base(), place).min(start);
            self.carry(start..end, before..start, before);
        }
    }

    /// Moves an entry to an offset, past its neighbours, which take its place.
    fn carry(&mut self, entry: Span, passed: Span, to: usize) {
        if passed.is_empty() {
            return;
        }
        let size = entry.end - entry.start;
        let moved = SmallVec::<[u8; MOVED_BYTES]>::from_slice(
            self.bytes.get(entry.clone()).unwrap_or_default(),
        );
        let room = if to < entry.start { passed.start + size } else { entry.start };
        self.bytes.copy_within(passed, room);
        if let Some(place) = self.bytes.get_mut(to..to + size) {
            place.copy_from_slice(&moved);
        }
    }
}

/// Reading.
impl<B: Deref<Target = [u8]>> Packed<B> {
    /// The length of the prefix.
    #[inline]
    fn base(&self) -> usize {
        self.base as usize
    }

    /// The bytes that a block takes beside its prefix.
    pub(crate) fn block_bytes(&self) -> usize {
        NOTE_BYTES + self.iter().bytes.len()
    }

    /// A copy behind a prefix.
    pub(crate) fn copy_behind(&self, mut prefix: Vec<u8>) -> Packed {
        let live = self.iter().bytes;
        prefix.reserve_exact(self.block_bytes());
        let mut copy = Packed::behind(prefix);
        copy.bytes.extend_from_slice(live);
        copy.len = self.len;
        copy
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The score of `member`.
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.iter().find(|place| same(place.member, member)).map(|place| place.score)
    }

    /// The number of entries before `member`, if it is there.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        self.iter().position(|place| same(place.member, member))
    }

    /// The number of leading entries for which `is_leading` is true.
    pub(crate) fn count_leading(&self, is_leading: impl Fn(Place<'_>) -> bool) -> usize {
        self.iter().take_while(|&place| is_leading(place)).count()
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> Range<'_> {
        Range { bytes: self.bytes.get(self.base()..).unwrap_or_default() }
    }

    /// Up to `count` entries from rank `start` on.
    pub(crate) fn range(&self, start: usize, count: usize) -> Range<'_> {
        let count = count.min(self.len().saturating_sub(start));
        let mut range = self.iter();
        range.skip_front(start);
        range.skip_back(self.len().saturating_sub(start.saturating_add(count)));
        range
    }

    /// Looks up `member` by walking the entries. Kept apart from the iterator, because it need not
    /// make anything of the entries it passes.
    pub(crate) fn find(&self, member: &[u8]) -> Option<Found> {
        let mut start = self.base();
        loop {
            let (score, rest) = self.bytes.get(start..)?.split_first_chunk()?;
            let (len, size) = read_length(rest.iter())?;
            let end = start + SCORE_BYTES + 2 * size + len;
            if len == member.len() && same(rest.get(size..size + len)?, member) {
                return Some(Found { start, end, score: f64::from_le_bytes(*score) });
            }
            start = end;
        }
    }

    /// The offset of the first entry, from one that starts at `start` on, that does not come
    /// before `place`. As in `find`, of the entries passed no more is read than must be.
    fn offset_for(&self, mut start: usize, place: Place<'_>) -> usize {
        let entry = |start| {
            let (score, rest) = self.bytes.get(start..)?.split_first_chunk()?;
            let (len, size) = read_length(rest.iter())?;
            Some((f64::from_le_bytes(*score), len, size))
        };
        while let Some((score, len, size)) = entry(start) {
            let member = start + SCORE_BYTES + size;
            let whole = || self.bytes.get(member..member + len).unwrap_or_default();
            if score >= place.score && !(Place { score, member: whole() }).is_before(place) {
                break;
            }
            start = member + len + size;
        }
        start
    }
}

/// An ascending walk over packed entries, from either end.
#[derive(Clone)]
pub(crate) struct Range<'a> {
    /// The entries not yet given.
    bytes: &'a [u8],
}

impl Range<'_> {
    /// Drops `count` entries at the front.
    fn skip_front(&mut self, count: usize) {
        for _ in 0..count {
            if self.next().is_none() {
                return;
            }
        }
    }

    /// Drops `count` entries at the back.
    fn skip_back(&mut self, count: usize) {
        for _ in 0..count {
            if self.next_back().is_none() {
                return;
            }
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        let (score, rest) = self.bytes.split_first_chunk()?;
        let (len, size) = read_length(rest.iter())?;
        let member = rest.get(size..size + len)?;
        self.bytes = rest.get(size + len + size..)?;
        Some(Place { score: f64::from_le_bytes(*score), member })
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (len, _) = read_length(self.bytes.iter().rev())?;
        let start = self.bytes.len().checked_sub(entry_size(len))?;
        let (rest, last) = self.bytes.split_at_checked(start)?;
        self.bytes = rest;
        Range { bytes: last }.next()
    }
}

/// The bytes that an entry with a member of `len` bytes takes.
fn entry_size(len: usize) -> usize {
    SCORE_BYTES + 2 * length_size(len) + len
}

/// The bytes that the varint of `len` takes.
fn length_size(len: usize) -> usize {
    let bits = usize::BITS - len.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

/// The order of entries, of which members are mostly not looked at.
#[inline]
fn is_before((score, member): (f64, Element<'_>), next: (f64, Element<'_>)) -> bool {
    score < next.0
        || score == next.0 && member.with_bytes(|member| next.1.with_bytes(|next| member < next))
}

/// Appends the entry for `place`.
fn write_entry(bytes: &mut Vec<u8>, place: Place<'_>) {
    let len = place.member.len();
    bytes.extend_from_slice(&place.score.to_le_bytes());
    if len <= SHORT_MOST && bytes.capacity() - bytes.len() >= SHORT_STORE {
        return append_short(bytes, len as u8, number(place.member), len, len as u8);
    }
    write_length(bytes, len);
    bytes.extend_from_slice(place.member);
    let behind = bytes.len();
    write_length(bytes, len);
    if let Some(length) = bytes.get_mut(behind..) {
        length.reverse();
    }
}

/// Appends `len` as a varint.
fn write_length(bytes: &mut Vec<u8>, mut len: usize) {
    while len >= usize::from(MORE) {
        bytes.push(len as u8 | MORE);
        len >>= 7;
    }
    bytes.push(len as u8);
}

/// Reads a varint in the direction of `bytes`: its value and its size.
#[inline]
fn read_length<'a>(mut bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let &first = bytes.next()?;
    if first & MORE == 0 {
        return Some((usize::from(first), 1));
    }
    read_long_length(first, bytes)
}

/// Reads the rest of a varint of more than one byte.
#[cold]
fn read_long_length<'a>(first: u8, bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let mut len = usize::from(first & !MORE);
    for (&byte, at) in bytes.zip(1..) {
        len |= usize::from(byte & !MORE) << (7 * at);
        if byte & MORE == 0 {
            return Some((len, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(packed: &mut Packed, member: &[u8], score: f64) -> Option<f64> {
        packed.set(Place { score, member })
    }

    fn members(range: impl Iterator<Item = usize>) -> Vec<usize> {
        range.collect()
    }

    #[test]
    fn lengths_survive_both_directions() {
        let lens = [0, 1, 127, 128, 300, 16_383, 16_384, 70_000];
        let mut packed = Packed::new();
        for (at, &len) in lens.iter().enumerate() {
            assert_eq!(set(&mut packed, &vec![b'x'; len], at as f64), None);
        }
        assert_eq!(members(packed.iter().map(|place| place.member.len())), lens);
        let mut backwards = members(packed.iter().rev().map(|place| place.member.len()));
        backwards.reverse();
        assert_eq!(backwards, lens);
    }

    #[test]
    fn scores_move_entries_both_ways_and_in_place() {
        let mut packed = Packed::new();
        for (member, score) in [(b"a", 1.0), (b"b", 2.0), (b"c", 3.0), (b"d", 4.0)] {
            set(&mut packed, member, score);
        }
        let order = |packed: &Packed| -> Vec<u8> {
            packed.iter().flat_map(|place| place.member.to_vec()).collect()
        };
        for (member, score, expected) in [
            (b"a", 9.0, b"bcda"),
            (b"a", 0.0, b"abcd"),
            (b"b", 2.5, b"abcd"),
            (b"d", 2.7, b"abdc"),
            (b"d", -1.0, b"dabc"),
            (b"a", 2.5, b"dabc"),
        ] {
            assert!(set(&mut packed, member, score).is_some());
            assert_eq!(order(&packed), expected);
            assert_eq!(packed.score(member), Some(score));
        }
    }

    #[test]
    fn an_equal_score_changes_nothing() {
        let mut packed = Packed::new();
        set(&mut packed, b"a", -0.0);
        assert_eq!(set(&mut packed, b"a", 0.0), Some(0.0));
        assert!(packed.score(b"a").is_some_and(f64::is_sign_negative));
    }

    #[test]
    fn memory_is_tight_and_given_back() {
        let mut packed = Packed::new();
        for at in 0..100 {
            set(&mut packed, format!("member:{at:08}").as_bytes(), f64::from(at));
        }
        assert!(packed.heap_size() <= 100 * 25 * 18 / 16, "{}", packed.heap_size());
        for at in 0..100 {
            packed.remove(format!("member:{at:08}").as_bytes());
        }
        assert_eq!((packed.len(), packed.bytes.len()), (0, 0));
        assert!(packed.heap_size() <= 64);
    }
}

//! An unordered table of keyed elements that grows a piece at a time.
//!
//! Linear hashing over small sequences, the *segments*: every so many inserts one
//! segment is split in two, so no insert ever pays for the whole table. Each segment sits in an
//! `Arc` and is copied when it is written while shared, so cloning a table (a snapshot) costs one
//! pointer a segment.
//!
//! The keyspace keeps its keys in one, large hashes and sorted sets their fields and members.
//! This room knows nothing of values, commands or time; a deadline is a number it keeps the
//! minimum of, so that elements which are due can be found without looking at those which are not.

mod segment;

use crate::bytes::same;
use crate::cow::{Arc, own};
use foldhash::quality::FixedState;
use segment::Segment;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};

/// Mean number of elements a segment when the next one is split. Segments hold between half and
/// twice as many; around this size all tags of a segment are compared at once, and a copy of
/// a shared segment stays in the microseconds.
const MEAN_LOAD: usize = 20;

/// From fewer segments than these no size is estimated.
const SEGMENTS_LEAST: usize = 16;

/// More elements than a segment of a large table has, but by a chance of one in many millions.
const LOAD_MOST: usize = 64;

/// From so many segments on, what a look-up reads is likely to be far away: they and their elements
/// are larger than a processor's own caches.
const SEGMENTS_AFAR: usize = 512;

/// How many look-ups wait side by side: processors have not many more reads under way.
pub(crate) const SIDE_BY_SIDE: usize = 16;

/// Seed of the hash function: fixed, because the order in which elements are visited may reach a
/// script's result, and the same data must give the same result in every process.
const SEED: u64 = 0x6d6f_6f6e_6b76;

/// A deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

/// What a table can hold: elements found by a byte string.
pub(crate) trait Keyed: Clone {
    /// Whether elements have deadlines at all; where not, none are tracked.
    const EXPIRES: bool = false;

    /// The element's key, the same for as long as it is in the table.
    fn key(&self) -> &[u8];

    /// When the element is due, [`NEVER`] if it is not.
    fn deadline(&self) -> i64 {
        NEVER
    }

    /// Reads something of all that a look-up reads of the element.
    fn sample(&self) -> u8 {
        self.key().first().copied().unwrap_or(0)
    }
}

/// Where an element is; good until the table is next inserted into or removed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    segment: u32,
    place: u32,
}

/// A step of a walk: where it begins, and about how many elements are wanted of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) cursor: u64,
    pub(crate) most: usize,
}

/// The table. Its clone is a snapshot: cheap, and independent from then on.
#[derive(Clone)]
pub(crate) struct Table<E> {
    segments: Vec<Arc<Segment<E>>>,
    /// The number of segments, rounded up to a power of two, less one.
    mask: usize,
    /// Whether any element ever had a deadline.
    deadlines: bool,
    /// Per segment a lower bound of its elements' deadlines; empty unless `E::EXPIRES`.
    earliest: Vec<i64>,
    len: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Table { segments: Vec::new(), mask: 0, deadlines: false, earliest: Vec::new(), len: 0 }
    }
}

/// The hash of a key, the same in every process and every table.
#[inline(always)]
pub(crate) fn hash(key: &[u8]) -> u64 {
    const STATE: FixedState = FixedState::with_seed(SEED);
    let mut hasher = STATE.build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// The bits of a hash that choose the segment, which has the eight highest for its tags.
#[inline]
fn segment_bits(hash: u64) -> usize {
    (hash >> 20) as u32 as usize
}

impl<E: Keyed> Table<E> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty table with segments for so many elements.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let segments = count.div_ceil(MEAN_LOAD).max(1);
        // As many as are likely to meet in one segment, most of which are filled by them.
        let room = (count / segments + MEAN_LOAD / 4).min(count);
        Table {
            segments: (0..segments).map(|_| Arc::new(Segment::with_capacity(room))).collect(),
            mask: segments.next_power_of_two() - 1,
            earliest: if E::EXPIRES { vec![NEVER; segments] } else { Vec::new() },
            ..Self::default()
        }
    }

    /// Number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The mask under which segment `index` is addressed: segments that were split, and those
    /// they were split into, are told apart by one bit more than the rest.
    fn mask_of(&self, index: usize) -> usize {
        let low = self.mask >> 1;
        if index > low || index + low + 1 < self.segments.len() { self.mask } else { low }
    }

    /// The segment that holds, or would hold, a hash. The table must have segments.
    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        let index = segment_bits(hash) & self.mask;
        if index < self.segments.len() { index } else { index & (self.mask >> 1) }
    }

    /// Finds an element by its key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<Location> {
        self.find_hashed(hash(key), key)
    }

    /// Finds an element by its key, whose hash the caller has at hand.
    #[inline(always)]
    pub(crate) fn find_hashed(&self, hash: u64, key: &[u8]) -> Option<Location> {
        let segment = self.segment_of(hash);
        let place = self.segments.get(segment)?.position(hash, |e| same(e.key(), key))?;
        Some(Location { segment: segment as u32, place: place as u32 })
    }

    /// Brings into the processor's caches what finding some elements will read, if the table is so
    /// large that it is not there. A look-up waits for memory at each of its steps; here each step
    /// is taken for many keys before the next, so that they wait side by side.
    pub(crate) fn prefetch(&self, keys: &[&[u8]]) {
        if self.segments.len() < SEGMENTS_AFAR {
            return;
        }
        for keys in keys.chunks(SIDE_BY_SIDE) {
            let mut seen = 0;
            let sought: SmallVec<[(u64, &Segment<E>); SIDE_BY_SIDE]> = keys
                .iter()
                .map(|key| hash(key))
                .filter_map(|hash| Some((hash, &**self.segments.get(self.segment_of(hash))?)))
                .collect();
            for (_, segment) in &sought {
                seen ^= segment.len();
            }
            // The first with the same tag is the one that is sought, but for one in a hundred.
            let found: SmallVec<[&E; SIDE_BY_SIDE]> =
                sought.iter().filter_map(|(hash, segment)| segment.find(*hash, |_| true)).collect();
            for element in found {
                seen ^= usize::from(element.sample());
            }
            // What is read for its own sake would be left out.
            std::hint::black_box(seen);
        }
    }

    /// The element at a location that `find` or `insert` gave.
    #[inline(always)]
    pub(crate) fn get(&self, at: Location) -> &E {
        match self.segments[at.segment as usize].get(at.place as usize) {
            Some(element) => element,
            None => stale(),
        }
    }

    /// The element at a location, for change. Its key must stay; a new deadline is told by
    /// [`Table::note_deadline`].
    #[inline]
    pub(crate) fn get_mut(&mut self, at: Location) -> &mut E {
        let segment = own(&mut self.segments[at.segment as usize]);
        match segment.get_mut(at.place as usize) {
            Some(element) => element,
            None => stale(),
        }
    }

    /// The element at a location, for change, unless a copy of the table has it too.
    pub(crate) fn get_unshared(&mut self, at: Location) -> Option<&mut E> {
        Arc::get_mut(&mut self.segments[at.segment as usize])?.get_mut(at.place as usize)
    }

    /// Adds an element whose key is not in the table yet.
    pub(crate) fn insert(&mut self, element: E) -> Location {
        self.insert_hashed(hash(element.key()), element)
    }

    /// Adds an element whose key is not in the table yet, and whose hash the caller has at hand.
    pub(crate) fn insert_hashed(&mut self, hash: u64, element: E) -> Location {
        if self.len >= self.segments.len() * MEAN_LOAD {
            self.split_next();
        }
        let segment = self.segment_of(hash);
        if E::EXPIRES && element.deadline() != NEVER {
            self.deadlines = true;
            self.earliest[segment] = self.earliest[segment].min(element.deadline());
        }
        let place = own(&mut self.segments[segment]).push(hash, element);
        self.len += 1;
        Location { segment: segment as u32, place: place as u32 }
    }

    /// Takes an element out.
    pub(crate) fn remove(&mut self, at: Location) -> E {
        let segment = own(&mut self.segments[at.segment as usize]);
        let Some(element) = segment.remove(at.place as usize, |e| hash(e.key())) else { stale() };
        segment.trim();
        self.len -= 1;
        if self.segments.len() > 1 && self.len < self.segments.len() * MEAN_LOAD / 4 {
            self.merge_last();
        }
        element
    }

    /// Adds one segment, and moves into it what belongs there from the one it is split off.
    fn split_next(&mut self) {
        let added = self.segments.len();
        let mut new = Segment::new();
        if added > 0 {
            // The bit of a hash by which the two are told apart.
            let bit = (added + 1).next_power_of_two() / 2;
            let partner = added - bit;
            let old = own(&mut self.segments[partner]);
            new = Segment::with_capacity(old.len() / 2 + 4);
            let mut at = 0;
            while let Some(element) = old.get(at) {
                let hash = hash(element.key());
                if segment_bits(hash) & bit == 0 {
                    at += 1;
                } else if let Some(element) = old.remove(at, |e| self::hash(e.key())) {
                    new.push(hash, element);
                }
            }
            old.trim();
            self.note_earliest(partner);
        }
        self.segments.push(Arc::new(new));
        self.mask = (added + 1).next_power_of_two() - 1;
        if E::EXPIRES {
            self.earliest.push(NEVER);
            self.note_earliest(added);
        }
    }

    /// Undoes the latest split, when many elements have gone.
    fn merge_last(&mut self) {
        let Some(last) = self.segments.pop() else { return };
        if E::EXPIRES {
            self.earliest.pop();
        }
        let left = self.segments.len();
        let partner = left - (left + 1).next_power_of_two() / 2;
        self.mask = left.next_power_of_two() - 1;
        let segment = own(&mut self.segments[partner]);
        for element in Arc::unwrap_or_clone(last) {
            segment.push(hash(element.key()), element);
        }
        self.note_earliest(partner);
    }

    /// Makes the bound of a segment's deadlines exact.
    fn note_earliest(&mut self, index: usize) {
        if E::EXPIRES {
            let deadlines = self.segments[index].iter().map(Keyed::deadline);
            self.earliest[index] = deadlines.min().unwrap_or(NEVER);
        }
    }

    /// An element at random, each as likely as any other; `below` gives numbers below a bound.
    pub(crate) fn random(&self, mut below: impl FnMut(usize) -> usize) -> Option<Location> {
        if self.len == 0 {
            return None;
        }
        // Places are drawn until one is taken. Segments are drawn as if each had as many places as
        // any has, so that those with fewer elements are not preferred.
        let most = match self.segments.len() {
            ..8 => self.segments.iter().map(|segment| segment.len()).max()?,
            _ => LOAD_MOST,
        };
        loop {
            let segment = below(self.segments.len());
            let place = below(most);
            if place < self.segments[segment].len() {
                return Some(Location { segment: segment as u32, place: place as u32 });
            }
        }
    }

    /// An element at random of those with a deadline; none if there is none. `below` gives numbers
    /// below a bound. Segments are asked from a random one on, so that those behind many without
    /// are preferred.
    pub(crate) fn random_due(&mut self, mut below: impl FnMut(usize) -> usize) -> Option<Location> {
        let count = self.earliest.len();
        let first = if count == 0 { return None } else { below(count) };
        for index in (first..count).chain(0..first) {
            if self.earliest[index] == NEVER {
                continue;
            }
            let segment = &self.segments[index];
            let has_deadline = |place: &usize| {
                segment.get(*place).is_some_and(|element| element.deadline() != NEVER)
            };
            let due: SmallVec<[usize; 32]> = (0..segment.len()).filter(has_deadline).collect();
            match due.len() {
                // The bound was one of elements that are gone.
                0 => self.earliest[index] = NEVER,
                len => {
                    let place = due[below(len)] as u32;
                    return Some(Location { segment: index as u32, place });
                }
            }
        }
        None
    }

    /// Bytes allocated, `own` telling those of an element outside of the table. About so many
    /// elements are looked at, in segments at even distances, and stand for the others.
    pub(crate) fn heap_size(&self, samples: usize, own: impl Fn(&E) -> usize) -> usize {
        let looked = samples.div_ceil(MEAN_LOAD).max(SEGMENTS_LEAST);
        let step = self.segments.len().div_ceil(looked).max(1);
        let (mut bytes, mut elements) = (0, 0);
        for segment in self.segments.iter().step_by(step) {
            // An `Arc` keeps a counter beside the segment.
            bytes += size_of::<Segment<E>>() + size_of::<usize>() + segment.allocation_size();
            bytes += segment.iter().map(&own).sum::<usize>();
            elements += segment.len();
        }
        let directory = self.segments.capacity() * size_of::<Arc<Segment<E>>>();
        let bounds = self.earliest.capacity() * size_of::<i64>();
        let all = bytes as u128 * self.len as u128 / elements.max(1) as u128;
        directory + bounds + all as usize
    }

    /// All elements, in no particular order, but the same one for the same history.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        self.segments.iter().flat_map(|segment| segment.iter())
    }

    /// Visits the elements that some other tables have too, until the visitor has seen enough;
    /// returns how many it saw.
    ///
    /// Where an element lies tells most of its hash: the segment in a table that has no more of
    /// them, and the byte by which it is found there. It is hashed only for larger tables.
    pub(crate) fn in_all<'a, 'o>(
        &'a self,
        others: &[&'o Self],
        mut visit: impl FnMut(&'a E) -> bool,
    ) -> usize {
        let mut count = 0;
        let mut sides: SmallVec<[_; 4]> = SmallVec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let alike = |other: &&'o Self| other.segment_like(index, self.mask_of(index));
            sides.clear();
            sides.extend(others.iter().map(|other| (*other, alike(other))));
            for (tag, element) in segment.iter_tagged() {
                let mut hash = None;
                let everywhere = sides.iter().all(|(table, segment)| match segment {
                    Some(segment) if tag != 0 => {
                        let is_sought = |e: &E| same(e.key(), element.key());
                        segment.position_tagged(tag, is_sought).is_some()
                    }
                    _ => {
                        let hash = *hash.get_or_insert_with(|| self::hash(element.key()));
                        table.find_hashed(hash, element.key()).is_some()
                    }
                });
                count += usize::from(everywhere);
                if everywhere && !visit(element) {
                    return count;
                }
            }
        }
        count
    }

    /// The segment that holds, or would hold, all of what another table has in the segment `index`
    /// that is addressed under a mask; none if it may be in one of several, or there is no segment.
    fn segment_like(&self, index: usize, mask: usize) -> Option<&Segment<E>> {
        let (full, half) = (self.mask, self.mask >> 1);
        let is_known = full & !mask == 0;
        if !is_known && (half & !mask != 0 || self.mask_of(index & half) != half) {
            return None;
        }
        let place = index & full;
        let place = if is_known && place < self.segments.len() { place } else { index & half };
        self.segments.get(place).map(|segment| &**segment)
    }

    /// One step of a walk that may span many calls with changes in between: visits some elements
    /// and returns the cursor of the next step, 0 when the walk is complete. An element that is
    /// in the table from the first step to the last is visited at least once.
    ///
    /// The walk goes through all addresses an element can have, with their bits in reverse order, so
    /// that a segment and those it is later split into are neighbours, and the cursor is where in
    /// that order it goes on: it means the same whatever segments there are by then.
    pub(crate) fn scan(&self, step: Step, visit: &mut (impl FnMut(&E) + ?Sized)) -> u64 {
        let Step { cursor, most } = step;
        if self.segments.is_empty() {
            return 0;
        }
        let mut index = cursor as usize & self.mask;
        if index >= self.segments.len() {
            index &= self.mask >> 1;
        }
        let segment = &*self.segments[index];
        let mask = self.mask_of(index) as u64;
        let next = (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits();
        if cursor & !mask == 0 && segment.len() <= most {
            segment.iter().for_each(visit);
            return next;
        }
        let place = |element: &E| (segment_bits(hash(element.key())) as u64).reverse_bits();
        let all = segment.iter().map(|element| (place(element), element));
        let mut ahead: SmallVec<[(u64, &E); MEAN_LOAD * 2]> =
            all.filter(|(place, _)| *place >= cursor.reverse_bits()).collect();
        ahead.sort_unstable_by_key(|(place, _)| *place);
        // Those that are in one place are visited together.
        let last = ahead.get(most.max(1) - 1).map(|(place, _)| *place);
        let end =
            last.map_or(ahead.len(), |last| ahead.partition_point(|(place, _)| *place <= last));
        ahead.iter().take(end).for_each(|(_, element)| visit(element));
        ahead.get(end).map_or(next, |(place, _)| place.reverse_bits())
    }

    /// Tells the table of a deadline that an element at a location was given.
    pub(crate) fn note_deadline(&mut self, at: Location, deadline: i64) {
        let bound = &mut self.earliest[at.segment as usize];
        *bound = (*bound).min(deadline);
        self.deadlines |= deadline != NEVER;
    }

    /// Whether any element ever had a deadline.
    #[inline]
    pub(crate) fn has_deadlines(&self) -> bool {
        self.deadlines
    }

    /// The first segment from `from` on that may hold an element due at `now`.
    pub(crate) fn next_due(&self, from: usize, now: i64) -> Option<usize> {
        let bounds = self.earliest.get(from..)?;
        Some(from + bounds.iter().position(|&bound| bound <= now)?)
    }

    /// The elements of one segment that are due at `now`; the segment's bound becomes exact.
    pub(crate) fn due_in(&mut self, index: usize, now: i64) -> impl Iterator<Item = &E> {
        let segment = &self.segments[index];
        let later = segment.iter().map(Keyed::deadline).filter(|&deadline| deadline > now);
        self.earliest[index] = later.min().unwrap_or(NEVER);
        segment.iter().filter(move |e| e.deadline() <= now)
    }
}

#[cold]
fn stale() -> ! {
    unreachable!("a location was used after the table had changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    #[derive(Clone)]
    struct Key(Box<[u8]>, i64);

    impl Keyed for Key {
        const EXPIRES: bool = true;
        fn key(&self) -> &[u8] {
            &self.0
        }
        fn deadline(&self) -> i64 {
            self.1
        }
    }

    fn key(i: usize) -> Key {
        Key(format!("key:{i}").into_bytes().into(), NEVER)
    }

    fn filled(n: usize) -> Table<Key> {
        let mut table = Table::new();
        for i in 0..n {
            table.insert(key(i));
        }
        table
    }

    #[test]
    fn keeps_every_key_while_it_grows_and_shrinks() {
        let mut table = filled(10_000);
        assert!((0..10_000).all(|i| table.find(key(i).key()).is_some()));
        assert!(table.find(b"absent").is_none());
        for i in 0..9_990 {
            let at = table.find(key(i).key()).unwrap();
            assert_eq!(table.remove(at).key(), key(i).key());
        }
        assert_eq!(table.len(), 10);
        assert!(table.segments.len() <= 3, "{} segments for 10 keys", table.segments.len());
        assert_eq!(table.iter().count(), 10);
        assert!((9_990..10_000).all(|i| table.find(key(i).key()).is_some()));
    }

    #[test]
    fn what_is_in_all_of_some_tables_is_found_whatever_their_sizes() {
        let sizes = [0, 1, 7, 20, 21, 41, 50, 60, 61, 99, 160, 400, 1_300];
        // Of the second every third key of the first, of the third every second.
        let spread = |step: usize, n: usize| {
            let mut table = Table::new();
            (0..n).for_each(|i| _ = table.insert(key(i * step)));
            table
        };
        for (n, m) in sizes.iter().flat_map(|&n| sizes.map(|m| (n, m))) {
            let (first, second, third) = (spread(1, n), spread(3, m), spread(2, 500));
            let mut seen = BTreeSet::new();
            let all = [&second, &third];
            let count = first.in_all(&all, |e| seen.insert(e.0.clone()));
            let expected = (0..n).step_by(6).filter(|i| i / 3 < m && i / 2 < 500);
            assert_eq!(seen, expected.map(|i| key(i).0).collect(), "{n} and {m}");
            assert_eq!(count, seen.len());
            assert_eq!(first.in_all(&[&second], |_| false), n.min(m).min(1), "it has seen enough");
            assert_eq!(second.in_all(&[&first], |_| true), n.div_ceil(3).min(m));
        }
        // Segments with more elements than have tags.
        let (mut many, other) = (Table::with_capacity(1), spread(1, 1_000));
        many.segments = vec![Arc::new(Segment::new())];
        (0..150).for_each(|i| _ = own(&mut many.segments[0]).push(hash(key(i).key()), key(i)));
        (many.len, many.earliest) = (150, vec![NEVER]);
        assert_eq!(
            (many.in_all(&[&other], |_| true), other.in_all(&[&many], |_| true)),
            (150, 150)
        );
    }

    #[test]
    fn a_table_made_for_so_many_grows_and_shrinks_as_any_other() {
        for room in [0, 1, 20, 21, 100, 1_000] {
            let mut table = Table::with_capacity(room);
            for i in 0..room {
                table.insert(key(i));
            }
            assert_eq!(table.segments.len(), room.div_ceil(MEAN_LOAD).max(1), "none was split");
            for i in room..3 * room + 50 {
                table.insert(key(i));
            }
            let (mut seen, mut cursor) = (HashSet::new(), 0);
            loop {
                cursor = table.scan(Step { cursor, most: 100 }, &mut |e| {
                    seen.insert(e.0.clone());
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), 3 * room + 50);
            for i in 0..3 * room + 50 {
                let at = table.find(key(i).key()).unwrap();
                table.remove(at);
            }
            assert_eq!((table.len(), table.segments.len()), (0, 1));
        }
    }

    #[test]
    fn a_clone_is_a_snapshot() {
        let mut table = filled(1_000);
        let snapshot = table.clone();
        for i in 0..500 {
            let at = table.find(key(i).key()).unwrap();
            table.remove(at);
        }
        table.insert(key(5_000));
        assert_eq!(snapshot.len(), 1_000);
        assert!((0..1_000).all(|i| snapshot.find(key(i).key()).is_some()));
        assert!(snapshot.find(key(5_000).key()).is_none());
        assert_eq!(table.len(), 501);
    }

    #[test]
    fn a_scan_visits_what_stays_while_the_table_grows_and_shrinks() {
        let mut table = filled(2_000);
        let (mut seen, mut cursor, mut count) = (HashSet::new(), 0, 0);
        loop {
            let (mut visited, most) = (0, 1 + count % 40);
            cursor = table.scan(Step { cursor, most }, &mut |e| {
                visited += 1;
                seen.insert(e.0.clone());
            });
            assert!((1..=most).contains(&visited) || visited == 0 && cursor == 0);
            if cursor == 0 {
                break;
            }
            count += 1;
            for i in 0..if count < 100 { 40 } else { 0 } {
                table.insert(key(10_000 + count * 40 + i));
            }
            if count == 60 {
                for i in 500..2_000 {
                    let at = table.find(key(i).key()).unwrap();
                    table.remove(at);
                }
            }
        }
        assert!((0..500).all(|i| seen.contains(key(i).key())));
    }

    #[test]
    fn a_scan_takes_what_is_asked_for_and_visits_each_element_once() {
        for most in [1, 3, 10, 19, 33, 1_000] {
            let table = filled(700);
            let (mut seen, mut cursor, mut steps) = (Vec::new(), 0, 0);
            loop {
                cursor = table.scan(Step { cursor, most }, &mut |e| seen.push(e.0.clone()));
                steps += 1;
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), 700);
            assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 700);
            assert!(steps >= 700 / most.min(2 * MEAN_LOAD));
        }
    }

    #[test]
    fn due_elements_are_found_through_splits() {
        let mut table = Table::new();
        for i in 0..5_000 {
            table.insert(Key(key(i).0, if i % 10 == 0 { i as i64 } else { NEVER }));
        }
        let (mut due, mut from) = (BTreeSet::new(), 0);
        while let Some(index) = table.next_due(from, 2_000) {
            due.extend(table.due_in(index, 2_000).map(|e| e.1));
            from = index + 1;
        }
        assert_eq!(due.len(), 201);
        assert!(table.next_due(0, 2_000).is_none());
        assert!(table.next_due(0, 2_010).is_some());
    }
}

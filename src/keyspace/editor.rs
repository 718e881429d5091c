//! Editors: the only way to change a collection.
//!
//! An [`Editor`] is handed to the closure of [`super::Keyspace::edit`]. It reads like the
//! collection itself; its own methods are the primitive changes, each of which records its
//! inverse first.

use super::Random;
use super::journal::{Change, End, Journal};
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::packed::{Packed, Pair};
use crate::value::set::{Added, Place, Set};
use crate::value::zset::ZSet;
use crate::value::{Collection, Limits, Value};
use std::ops::Deref;

/// A collection open for change.
pub(crate) struct Editor<'a, C> {
    pub(super) value: &'a mut C,
    pub(super) key: &'a [u8],
    pub(super) journal: &'a mut Journal,
    pub(super) limits: &'a Limits,
    random: &'a mut Random,
}

impl<C> Deref for Editor<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.value
    }
}

impl<'a, C: Collection> Editor<'a, C> {
    pub(super) fn new(
        value: &'a mut C,
        key: &'a [u8],
        journal: &'a mut Journal,
        limits: &'a Limits,
        random: &'a mut Random,
    ) -> Self {
        Editor { value, key, journal, limits, random }
    }

    /// Whether nothing is left in the collection.
    pub(super) fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

/// No more bytes than these are made room for at once: large collections take other forms.
const ROOM_MOST: usize = 64 << 10;

/// Bytes that texts take in a small collection.
fn room<'t>(texts: impl Iterator<Item = &'t [u8]>) -> usize {
    texts.map(|text| Packed::framed_len(text.len())).sum::<usize>().min(ROOM_MOST)
}

/// Where a field of a small hash is.
pub(super) enum Spot {
    /// It was not looked for.
    Unknown,
    /// There, or nowhere.
    Known(Option<Pair>),
}

impl Editor<'_, Hash> {
    /// Makes room in a new hash for fields and values that will be set.
    pub(crate) fn make_room_for<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>) {
        if self.value.len() == 0 {
            self.value.reserve(room(texts));
        }
    }

    /// Sets a field; tells whether it is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.set_at(Spot::Unknown, field, value)
    }

    /// The same where the hash may have been looked at before.
    pub(super) fn set_at(&mut self, spot: Spot, field: &[u8], value: &[u8]) -> bool {
        self.make_room(field.len().max(value.len()));
        let Editor { value: hash, key, journal, .. } = self;
        let record = |old: &[u8]| journal.record_field(key, field, Some(old));
        let added = match spot {
            Spot::Unknown => hash.set(field, value, record),
            Spot::Known(found) => hash.set_found(found, field, value, record),
        };
        if added {
            journal.record_field(key, field, None);
        }
        self.check_count();
        added
    }

    /// Removes a field; tells whether it was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Editor { value: hash, key, journal, .. } = self;
        if !journal.is_open() {
            return hash.remove(field, |_, _| ());
        }
        let mut old = None;
        let removed = hash.remove(field, |index, bytes| old = Some((index, journal.keep(bytes))));
        if let Some((index, value)) = old {
            journal.record(key, |j| Change::FieldRemoved { index, field: j.keep(field), value });
        }
        removed
    }

    /// Converts the hash if a text of this length does not fit its small form. Redis converts
    /// before it sets, so that one long argument converts even if a later error changes nothing.
    pub(crate) fn make_room(&mut self, longest: usize) {
        if self.value.is_packed() && Hash::too_long(longest, self.limits.hash) {
            self.unpack();
        }
    }

    fn check_count(&mut self) {
        if self.value.too_many(self.limits.hash) {
            self.unpack();
        }
    }

    fn unpack(&mut self) {
        let old = self.value.unpack();
        self.journal.record(self.key, |_| Change::Value(Value::Hash(old)));
    }
}

impl Editor<'_, List> {
    /// Makes room in a new list for elements that will be pushed at its tail.
    pub(crate) fn make_room_for<'t>(&mut self, elements: impl Iterator<Item = &'t [u8]>) {
        if self.value.is_empty() {
            self.value.reserve(room(elements), self.limits.list);
        }
    }

    /// Adds an element at an end.
    pub(crate) fn push(&mut self, end: End, element: &[u8]) {
        match end {
            End::Left => self.value.push_front(element, self.limits.list),
            End::Right => self.value.push_back(element, self.limits.list),
        }
        self.journal.record(self.key, |_| Change::Pushed(end));
    }

    /// Takes an element off an end, after it was shown.
    pub(crate) fn pop(&mut self, end: End, show: impl FnOnce(&[u8])) -> bool {
        let element = match end {
            End::Left => self.value.front(),
            End::Right => self.value.back(),
        };
        let Some(element) = element else { return false };
        show(element);
        self.journal.record(self.key, |j| Change::Popped(end, j.keep(element)));
        match end {
            End::Left => self.value.pop_front(),
            End::Right => self.value.pop_back(),
        }
    }

    /// Replaces the element at an index; false beyond the end.
    pub(crate) fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let Some(old) = self.value.get(index) else { return false };
        self.journal.record(self.key, |j| Change::Element { index, old: j.keep(old) });
        self.value.set(index, element, self.limits.list)
    }

    /// Inserts an element before an index.
    pub(crate) fn insert(&mut self, index: usize, element: &[u8]) {
        self.value.insert(index, element, self.limits.list);
        self.journal.record(self.key, |_| Change::Inserted(index));
    }

    /// Removes so many elements from an index on; they move, whatever their number.
    pub(crate) fn remove_range(&mut self, at: usize, count: usize) {
        let elements = self.value.remove_range(at, count);
        if !elements.is_empty() {
            self.journal.record(self.key, |_| Change::Removed { at, elements });
        }
    }
}

impl Editor<'_, Set> {
    /// Adds a member; tells whether it is new.
    pub(crate) fn add(&mut self, member: &[u8]) -> bool {
        match self.value.add(member, self.limits.set_intset_entries) {
            Added::Present => return false,
            Added::Placed => self.journal.record(self.key, |j| Change::Added(j.keep(member))),
            Added::Converted(old) => {
                self.journal.record(self.key, |_| Change::Value(Value::Set(old)));
            }
        }
        true
    }

    /// Removes a member; tells whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let found = self.value.find(member);
        found.map(|place| self.take(place)).is_some()
    }

    /// Some member's place, each as likely as any other.
    pub(crate) fn random_place(&mut self) -> Option<Place> {
        self.value.random(|bound| self.random.below(bound))
    }

    /// A set of so many members of this one, chosen at random.
    pub(crate) fn sample_set(&mut self, count: usize) -> Set {
        let sample = self.value.sample(count, |bound| self.random.below(bound));
        let mut set = Set::new();
        for member in sample {
            set.add_member(member, self.limits.set_intset_entries);
        }
        set
    }

    /// Takes out the member at a place.
    pub(crate) fn take(&mut self, place: Place) {
        let set = &self.value;
        self.journal.record(self.key, |j| Change::MemberRemoved {
            index: place.index(),
            member: set.at(place).with_bytes(|member| j.keep(member)),
        });
        self.value.take(place);
    }

    /// Puts another set in the place of this one.
    pub(crate) fn replace(&mut self, set: Set) {
        let old = std::mem::replace(self.value, set);
        self.journal.record(self.key, |_| Change::Value(Value::Set(old)));
    }
}

impl Editor<'_, ZSet> {
    /// Gives a member a score; returns the one it had.
    pub(crate) fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let mut former = None;
        self.update(member, |old| {
            former = old;
            (old != Some(score)).then_some(score)
        });
        former
    }

    /// Gives a member the score that `decide` makes of the one it has, if any, by one look-up;
    /// where it gives none, nothing changes.
    pub(crate) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) {
        let Editor { value: zset, key, journal, limits, .. } = self;
        let (is_packed, is_full) = (zset.is_packed(), zset.must_unpack(member.len(), limits.zset));
        let mut left_out = None;
        let updated = zset.update(member, |old| {
            let score = decide(old)?;
            if is_full && old.is_none() {
                left_out = Some(score);
                return None;
            }
            // Redis keeps the scores of a small set as texts, in which zero has no sign.
            Some(if is_packed { score + 0.0 } else { score })
        });
        if let Some(score) = left_out {
            let old = zset.unpack();
            journal.record(key, |_| Change::Value(Value::ZSet(old)));
            zset.set(member, score);
        }
        if let Some(old) = updated.or(left_out.map(|_| None)) {
            self.record_score(member, old);
        }
    }

    /// Adds a member that is known to be absent while the set is small.
    pub(super) fn add(&mut self, member: &[u8], score: f64) {
        if self.value.must_unpack(member.len(), self.limits.zset) {
            self.unpack();
        }
        let score = if self.value.is_packed() { score + 0.0 } else { score };
        self.value.append(member, score);
        self.record_score(member, None);
    }

    /// Converts the set to its large form, whatever its size.
    pub(crate) fn unpack(&mut self) {
        if self.value.is_packed() {
            let old = self.value.unpack();
            self.journal.record(self.key, |_| Change::Value(Value::ZSet(old)));
        }
    }

    /// Removes a member; returns the score it had.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let old = self.value.remove(member);
        if old.is_some() {
            self.record_score(member, old);
        }
        old
    }

    /// Removes the member with this rank, which `show` sees, and its score.
    pub(crate) fn take(&mut self, rank: usize, show: impl FnOnce(&[u8], f64)) {
        let Editor { value: zset, key, journal, .. } = self;
        zset.take(rank, |member, score| {
            show(member, score);
            journal.record_score(key, member, Some(score));
        });
    }

    fn record_score(&mut self, member: &[u8], old: Option<f64>) {
        self.journal.record_score(self.key, member, old);
    }
}

//! Whole values: what a key holds at all, copies, and sizes.

use super::entry::Entry;
use super::{Keyspace, NEVER, Slot, Text};
use crate::table::Keyed;
use crate::value::ValueView;

/// What a key holds, of whatever type.
#[derive(Clone)]
pub(crate) enum Held<'a> {
    /// A string.
    Text(Text<'a>),
    /// A collection.
    Value(ValueView<'a>),
}

impl Keyspace {
    /// What is at a slot.
    pub(crate) fn held_at(&self, slot: Slot) -> Option<Held<'_>> {
        let entry = self.entry(slot)?;
        match entry.text() {
            Some(text) => Some(Held::Text(text)),
            None => entry.view().map(Held::Value),
        }
    }

    /// Gives a key of some database what is at a slot, with its deadline, in place of what it held;
    /// does nothing where there is nothing. The two share what they can until one is changed.
    pub(crate) fn copy(&mut self, from: Slot, to: &[u8], database: usize) {
        let Some(copy) = self.entry(from).map(|entry| entry.copy_to(to)) else { return };
        self.in_database(database, |keys| {
            let slot = keys.slot(to);
            keys.put_entry(slot, copy);
        });
    }

    /// How many keys of the selected database have a deadline, and how many milliseconds are left
    /// to them on average. Looks at all keys, unless none has one.
    pub(crate) fn deadlines(&self) -> (usize, i64) {
        if !self.table.has_deadlines() {
            return (0, 0);
        }
        let set = self.table.iter().map(Keyed::deadline).filter(|deadline| *deadline != NEVER);
        let left = set.map(|deadline| deadline.saturating_sub(self.now()).max(0));
        let add = |(count, sum): (usize, i128), left: i64| (count + 1, sum + i128::from(left));
        let (count, sum) = left.fold((0, 0), add);
        (count, (sum / (count as i128).max(1)) as i64)
    }

    /// About how many pieces of memory Redis would give back with what is at a slot.
    pub(crate) fn pieces(&self, slot: Slot) -> usize {
        match self.held_at(slot) {
            Some(Held::Value(value)) => value.pieces(),
            Some(Held::Text(_)) => 1,
            None => 0,
        }
    }

    /// Bytes that the key at a slot takes with its value. Of a large collection so many elements
    /// are looked at and stand for the others.
    pub(crate) fn heap_size(&self, slot: Slot, samples: usize) -> Option<usize> {
        self.entry(slot).map(|entry| size_of::<Entry>() + entry.heap_size(samples))
    }
}

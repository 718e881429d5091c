//! Whole values: what a key holds at all, copies, and sizes.

use super::entry::Entry;
use super::{Keyspace, Slot, Text};
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

    /// Bytes that the key at a slot takes with its value. Of a large collection so many elements
    /// are looked at and stand for the others.
    pub(crate) fn heap_size(&self, slot: Slot, samples: usize) -> Option<usize> {
        self.entry(slot).map(|entry| size_of::<Entry>() + entry.heap_size(samples))
    }
}

//! Whole values: what a key holds at all, copies, and sizes; and whole keyspaces, which are walked
//! through, made anew and put in one another's place.

use super::access::Use;
use super::databases::Databases;
use super::entry::Entry;
use super::journal::Change;
use super::{Keyspace, NEVER, Slot, Text};
use crate::table::{Keyed, Table, hash};
use crate::value::ValueView;

/// What a key holds, of whatever type.
#[derive(Clone)]
pub(crate) enum Held<'a> {
    /// A string.
    Text(Text<'a>),
    /// A collection.
    Value(ValueView<'a>),
}

/// A key with all there is to it.
pub(crate) struct Kept<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) held: Held<'a>,
    pub(crate) deadline: i64,
    /// How it was used, where the policy of eviction goes by that.
    pub(crate) used: Option<Use>,
}

impl Keyspace {
    /// Visits all keys of a database, those included that expired and were not yet noticed, until
    /// the visitor ends that.
    pub(crate) fn visit_kept<E>(
        &self,
        database: usize,
        mut visit: impl FnMut(Kept<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in self.table_of(database).iter() {
            let held = entry.text().map(Held::Text).or_else(|| entry.view().map(Held::Value));
            let Some(held) = held else { continue };
            let used = self.use_of(entry.note());
            visit(Kept { key: entry.key(), held, deadline: entry.deadline(), used })?;
        }
        Ok(())
    }

    /// How many keys a database has, and how many of them have a deadline.
    pub(crate) fn counts_of(&self, database: usize) -> (usize, usize) {
        let table = self.table_of(database);
        let expire = match table.has_deadlines() {
            true => table.iter().filter(|entry| entry.deadline() != NEVER).count(),
            false => 0,
        };
        (table.len(), expire)
    }

    /// A keyspace of the same kind without any keys.
    pub(crate) fn blank(&self) -> Keyspace {
        Keyspace {
            databases: Databases::new(self.database_count()),
            limits: self.limits,
            eviction: self.eviction,
            noted: self.noted,
            now: self.now.clone(),
            ..Keyspace::default()
        }
    }

    /// Takes the keys of another keyspace of the same kind in place of all there are.
    pub(crate) fn adopt(&mut self, mut other: Keyspace) {
        for database in 0..self.database_count() {
            other.select(database);
            let table = other.replace_table(Table::new());
            self.in_database(database, |keys| {
                if keys.len() == 0 && table.len() == 0 {
                    return;
                }
                keys.flush();
                let empty = keys.replace_table(table);
                keys.journal.record_other(Change::Flushed(Box::new(empty)));
                keys.touch_all();
            });
        }
    }

    /// Takes the keys of another keyspace of the same kind beside those there are, and in place of
    /// those that both have.
    pub(crate) fn absorb(&mut self, mut other: Keyspace) {
        for database in 0..self.database_count() {
            other.select(database);
            let table = other.replace_table(Table::new());
            self.in_database(database, |keys| {
                for entry in table.iter() {
                    let slot = keys.slot_unused(entry.key());
                    keys.put_entry(slot, entry.clone());
                }
            });
        }
    }

    /// A key that another keyspace of the same kind has too.
    pub(crate) fn common_key(&self, other: &Keyspace) -> Option<Box<[u8]>> {
        (0..self.database_count()).find_map(|database| {
            let mine = self.table_of(database);
            let both = |entry: &&Entry| mine.find_hashed(hash(entry.key()), entry.key()).is_some();
            other.table_of(database).iter().find(both).map(|entry| entry.key().into())
        })
    }

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

//! Several databases side by side.
//!
//! The selected one is the keyspace's own table, so that nothing is chosen on the way to a key;
//! the others wait here until one of them is selected and takes its place.

use super::entry::Entry;
use super::interest::KeyName;
use super::journal::Change;
use super::{Keyspace, Slot};
use crate::clients::{Event, Events, Followed, Misses, News};
use crate::table::Table;
use std::mem::swap;

/// The databases that are not selected. At the place of the one that is lies an empty table.
#[derive(Clone, Default)]
pub(super) struct Databases {
    tables: Vec<Table<Entry>>,
    selected: usize,
}

impl Databases {
    /// So many databases, the first of them selected.
    pub(super) fn new(count: usize) -> Databases {
        Databases { tables: vec![Table::new(); count], selected: 0 }
    }

    pub(super) fn tables(&self) -> &[Table<Entry>] {
        &self.tables
    }

    pub(super) fn tables_mut(&mut self) -> &mut [Table<Entry>] {
        &mut self.tables
    }

    pub(super) fn selected(&self) -> usize {
        self.selected
    }
}

impl Keyspace {
    /// The number of the selected database.
    pub(crate) fn database(&self) -> usize {
        self.databases.selected
    }

    /// How many databases there are.
    pub(crate) fn database_count(&self) -> usize {
        self.databases.tables.len()
    }

    /// Selects a database; false if there is none of this number.
    pub(crate) fn select(&mut self, database: usize) -> bool {
        let old = self.database();
        if database == old {
            return true;
        }
        if database >= self.database_count() {
            return false;
        }
        self.switch_to(database);
        self.journal.record_other(Change::Selected(old));
        true
    }

    /// Selects a database that exists, and records nothing.
    pub(super) fn switch_to(&mut self, database: usize) {
        self.lay_down();
        self.databases.selected = database;
        self.lay_down();
        self.journal.database = database;
        self.expire_from = 0;
    }

    /// Puts the selected table to its place among the others, or takes it from there.
    fn lay_down(&mut self) {
        let Databases { tables, selected } = &mut self.databases;
        if let Some(place) = tables.get_mut(*selected) {
            swap(place, &mut self.table);
        }
    }

    /// Runs something with another database selected.
    pub(crate) fn in_database<R>(
        &mut self,
        database: usize,
        run: impl FnOnce(&mut Keyspace) -> R,
    ) -> R {
        let old = self.database();
        self.select(database);
        let result = run(self);
        self.select(old);
        result
    }

    /// Exchanges what two databases hold. Both exist.
    pub(crate) fn swap_databases(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.touch_all_of(&[a, b]);
        self.exchange(a, b);
        self.touch_all_of(&[a, b]);
        self.journal.record_other(Change::Swapped(a, b));
    }

    /// The same, and records nothing.
    pub(super) fn exchange(&mut self, a: usize, b: usize) {
        self.lay_down();
        self.databases.tables.swap(a, b);
        self.lay_down();
        self.expire_from = 0;
    }

    /// Moves the key at a slot to another database, which lacks it.
    pub(crate) fn move_key(&mut self, slot: Slot, key: &[u8], database: usize) {
        let Some(at) = slot.at else { return };
        let entry = self.table.get(at).clone();
        self.remove_at(at);
        self.in_database(database, |keys| {
            keys.journal.record(key, |_| Change::Entry(None));
            keys.insert_entry(slot.hash, entry);
            keys.notify(Event::NEW, key);
        });
    }

    /// Removes every key of every database.
    pub(crate) fn flush_all(&mut self) {
        for database in 0..self.database_count() {
            self.in_database(database, Keyspace::flush);
        }
    }

    /// Whoever is interested in a key is told of its changes from here on.
    pub(crate) fn listen(&mut self, name: &KeyName) {
        self.journal.interest(|interest| interest.add(name));
    }

    /// Tells those interested in a key of the selected database that it changed, whatever it was.
    pub(crate) fn touch_key(&mut self, key: &[u8]) {
        self.journal.touch(key);
    }

    /// Makes changes that are none to those who are interested in the key.
    pub(crate) fn untold<R>(&mut self, run: impl FnOnce(&mut Keyspace) -> R) -> R {
        self.journal.hush(true);
        let result = run(self);
        self.journal.hush(false);
        result
    }

    /// Ends one [`Keyspace::listen`].
    pub(crate) fn unlisten(&mut self, name: &KeyName) {
        self.journal.interest(|interest| interest.remove(name));
    }

    /// Whether keys that somebody is interested in have changed.
    #[inline]
    pub(crate) fn has_touched(&self) -> bool {
        self.journal.has_touched()
    }

    /// The keys that have changed and that somebody is interested in.
    pub(crate) fn take_touched(&mut self) -> Vec<KeyName> {
        self.journal.interest(|interest| interest.take_touched())
    }

    /// What is told to others once the step is over.
    #[inline]
    pub(crate) fn news(&self) -> &News {
        &self.journal.news
    }

    /// The same, to add to it.
    #[inline]
    pub(crate) fn news_mut(&mut self) -> &mut News {
        &mut self.journal.news
    }

    /// The keys that clients were shown.
    pub(crate) fn followed(&self) -> &Followed {
        self.journal.peek_followed()
    }

    /// The same, to change it.
    pub(crate) fn follow<R>(&mut self, change: impl FnOnce(&mut Followed) -> R) -> R {
        self.journal.followed(change)
    }

    /// The command at work does not tell of keys that it looks for and does not find.
    pub(crate) fn look_unnoticed(&mut self) {
        self.journal.news.set_misses(Misses::None);
    }

    /// Something happened to a key of the selected database, which those are told who want to know.
    #[inline]
    pub(crate) fn notify(&mut self, event: Event, key: &[u8]) {
        self.changes += u64::from(!event.class.has_any(Events::NO_CHANGE));
        self.notify_beside(event, key);
    }

    /// The same of something that is part of a change which was told already.
    #[inline]
    pub(crate) fn notify_beside(&mut self, event: Event, key: &[u8]) {
        if self.journal.news.events().has_any(event.class) {
            let database = self.database();
            self.journal.news.event(event, key, database);
        }
    }

    fn touch_all_of(&mut self, databases: &[usize]) {
        for &database in databases {
            self.in_database(database, Keyspace::touch_all);
        }
    }

    /// Touches the keys there are in the selected database.
    pub(super) fn touch_all(&mut self) {
        let database = self.database();
        let names = self.journal.interest(|interest| interest.of_database(database));
        for key in names {
            // One that is past its deadline is as good as none.
            if self.table.find(&key).is_some_and(|at| !self.is_gone(at)) {
                self.journal.touch(&key);
            }
        }
    }
}

//! The primitive changes of whole keys: removal, renaming, deadlines, and walks over all keys.

use super::entry::Entry;
use super::journal::Change;
use super::{Keyspace, NEVER, Slot};
use crate::clients::Event;
use crate::table::{Keyed, Step, Table};
use crate::value::Value;

impl Keyspace {
    /// Removes a key; tells whether it existed.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let slot = self.slot_unused(key);
        self.remove_slot(slot)
    }

    /// Removes the key at a slot; tells whether there was one.
    pub(crate) fn remove_slot(&mut self, slot: Slot) -> bool {
        slot.at.map(|at| self.remove_at(at)).is_some()
    }

    /// Gives a key a value, which must not be empty, and a deadline, whatever it held before.
    pub(crate) fn put_value(&mut self, key: &[u8], value: Value, deadline: i64) {
        let slot = self.slot(key);
        self.put_entry(slot, Entry::value(key, deadline, value));
    }

    /// The name TYPE answers for what is at a slot.
    pub(crate) fn type_name(&self, slot: Slot) -> Option<&'static str> {
        self.entry(slot).map(super::Entry::type_name)
    }

    /// When the key at a slot expires, in milliseconds since 1970; [`NEVER`] also for none.
    pub(crate) fn deadline_at(&self, slot: Slot) -> i64 {
        self.entry(slot).map_or(NEVER, Keyed::deadline)
    }

    /// Gives the key at a slot another deadline, or none with [`NEVER`].
    pub(crate) fn set_deadline(&mut self, slot: Slot, key: &[u8], deadline: i64) {
        let Some(at) = slot.at else { return };
        let old = self.table.get(at).deadline();
        if old == deadline {
            return;
        }
        self.weighed(at, |keys| keys.table.get_mut(at).set_deadline(deadline));
        self.table.note_deadline(at, deadline);
        if !self.journal.covers(key) {
            self.journal.record(key, |_| Change::Deadline(old));
        }
    }

    /// Moves what one key holds to another, with its deadline; what the other held is gone.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) {
        // The target first: if it has expired it is removed here, which may move what else there is.
        let old = self.slot_unused(to);
        let slot = self.slot_unused(from);
        let Some(at) = slot.at else { return };
        if from == to {
            return;
        }
        let at =
            if self.remove_slot(old) { self.table.find_hashed(slot.hash, from) } else { Some(at) };
        let Some(at) = at else { return };
        let mut entry = self.take_entry(at);
        entry.set_key(to);
        self.insert_entry(old.hash, entry);
        self.journal.touch(from);
        self.journal.record(to, |j| Change::Renamed { from: j.keep(from) });
        self.notify(Event::NEW, to);
    }

    /// Removes every key of the selected database.
    pub(crate) fn flush(&mut self) {
        self.touch_all();
        self.journal.flushed();
        let old = self.replace_table(Table::new());
        self.journal.record_other(Change::Flushed(Box::new(old)));
    }

    /// Some live key, each as likely as any other. Those that are drawn and have expired are removed.
    pub(crate) fn random_key(&mut self) -> Option<&[u8]> {
        loop {
            let at = self.table.random(|bound| self.random.below(bound))?;
            if !self.is_gone(at) {
                return Some(self.table.get(at).key());
            }
            let key: Box<[u8]> = self.table.get(at).key().into();
            self.slot_unused(&key);
        }
    }

    /// Visits the live keys.
    pub(crate) fn for_each_key(&self, mut visit: impl FnMut(&[u8])) {
        let live = self.table.iter().filter(|entry| !self.is_past(entry.deadline()));
        live.for_each(|entry| visit(entry.key()));
    }

    /// One step of SCAN over the live keys, each with the name of its type. Those that have expired
    /// are removed.
    pub(crate) fn scan(&mut self, step: Step, visit: &mut impl FnMut(&[u8], &'static str)) -> u64 {
        let mut expired: Vec<Box<[u8]>> = Vec::new();
        let next = self.table.scan(step, &mut |entry| match self.is_past(entry.deadline()) {
            true => expired.push(entry.key().into()),
            false => visit(entry.key(), entry.type_name()),
        });
        for key in &expired {
            self.slot_unused(key);
        }
        next
    }

    /// A copy of all keys that shares everything until one of the two is changed.
    pub(crate) fn snapshot(&self) -> Keyspace {
        Keyspace {
            table: self.table.clone(),
            databases: self.databases.clone(),
            limits: self.limits,
            eviction: self.eviction,
            noted: self.noted,
            used: self.used,
            now: self.now.clone(),
            random: self.random.clone(),
            ..Keyspace::default()
        }
    }
}

//! The count of the bytes that data takes, and what goes when they are too many.
//!
//! While memory is limited each key counts with its weight, an estimate made of the lengths and
//! capacities of what it owns, the same on every system. Whoever changes a key weighs it before and
//! after. Where there is no limit nothing is counted; what is asked for then is estimated from some
//! of the keys.
//!
//! Keys are evicted between calls only, never in the middle of a script. In a transaction of the
//! host's an evicted key goes to the journal like any other that is removed.

use super::access::Policy;
use super::entry::Entry;
use super::{Keyspace, Location};
use crate::clients::Event;
use crate::table::{Keyed, NEVER, Table};

/// What the table takes for a key, on average: its slot, its share of empty slots and of the
/// segments around them.
const SLOT_BYTES: usize = 32;

/// What an allocator takes for an allocation, on average.
const ALLOCATION_BYTES: usize = 12;

/// How many elements of a large collection are looked at when it is weighed.
const SAMPLES: usize = 5;

/// From how many keys of each database the bytes of all are estimated where they are not counted.
const KEYS_LOOKED_AT: usize = 1000;

/// A key that may go, and how good it would be to have it go.
struct Candidate {
    database: usize,
    at: Location,
    worth: i64,
}

/// The bytes a key counts with.
fn weight(entry: &Entry) -> usize {
    SLOT_BYTES + ALLOCATION_BYTES + entry.heap_size(SAMPLES)
}

fn weight_of_all(table: &Table<Entry>) -> usize {
    table.iter().map(weight).sum()
}

/// Counting.
impl Keyspace {
    /// Whether memory is limited, and so counted.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.eviction.memory_most > 0
    }

    /// The bytes that the data takes: counted while memory is limited, estimated otherwise.
    pub(crate) fn used_memory(&self) -> usize {
        if self.is_limited() {
            return self.used;
        }
        let mut bytes = 0;
        self.for_each_table(|table| {
            // What is left of one whose keys are gone is not of the data.
            if table.len() > 0 {
                bytes += table.heap_size(KEYS_LOOKED_AT, |entry| entry.heap_size(SAMPLES));
            }
        });
        bytes
    }

    /// How many keys were evicted.
    pub(crate) fn evicted_keys(&self) -> u64 {
        self.evicted
    }

    /// Visits the tables of all databases.
    fn for_each_table(&self, mut visit: impl FnMut(&Table<Entry>)) {
        // At the place of the selected one lies an empty table.
        self.databases.tables().iter().for_each(&mut visit);
        visit(&self.table);
    }

    /// Weighs all keys.
    pub(crate) fn weigh_all(&self) -> usize {
        let mut bytes = 0;
        self.for_each_table(|table| bytes += weight_of_all(table));
        bytes
    }

    /// Puts a key into the selected database, which lacks it.
    #[inline]
    pub(super) fn insert_entry(&mut self, hash: u64, entry: Entry) {
        if self.is_limited() {
            self.used += weight(&entry);
        }
        self.table.insert_hashed(hash, entry);
    }

    /// Takes a key out of the selected database.
    #[inline]
    pub(super) fn take_entry(&mut self, at: Location) -> Entry {
        let entry = self.table.remove(at);
        if self.is_limited() {
            self.used = self.used.saturating_sub(weight(&entry));
        }
        entry
    }

    /// Puts another table in the place of the selected database's.
    pub(super) fn replace_table(&mut self, table: Table<Entry>) -> Table<Entry> {
        let old = std::mem::replace(&mut self.table, table);
        if self.is_limited() {
            self.used = self.used.saturating_sub(weight_of_all(&old)) + weight_of_all(&self.table);
        }
        old
    }

    /// Changes the key at a location in its place.
    #[inline(always)]
    pub(super) fn weighed<R>(
        &mut self,
        at: Location,
        change: impl FnOnce(&mut Keyspace) -> R,
    ) -> R {
        let before = self.weigh(at);
        let result = change(self);
        if self.is_limited() {
            self.used = self.used.saturating_sub(before) + self.weigh(at);
        }
        result
    }

    /// The bytes that the key at a location counts with; none where nothing is counted.
    #[inline]
    fn weigh(&self, at: Location) -> usize {
        if self.is_limited() { weight(self.table.get(at)) } else { 0 }
    }
}

/// What is taken even where no key is: no limit below it can be kept.
pub(crate) const EMPTY_BYTES: usize = 16;

/// Evicting.
impl Keyspace {
    /// Whether the data takes more than it may.
    pub(crate) fn is_over(&self) -> bool {
        self.is_limited() && self.used.max(EMPTY_BYTES) as u64 > self.eviction.memory_most
    }

    /// Evicts keys until the data takes no more than it may; false if what can go is not enough.
    pub(crate) fn make_room(&mut self) -> bool {
        while self.is_over() {
            let Some(Candidate { database, at, .. }) = self.candidate() else { return false };
            self.in_database(database, |keys| keys.evict(at));
            self.evicted += 1;
        }
        true
    }

    fn evict(&mut self, at: Location) {
        let key: Box<[u8]> = self.table.get(at).key().into();
        self.remove_at(at);
        let database = self.database();
        self.journal.news.evicted(database, &key);
        self.notify(Event::EVICTED, &key);
    }

    /// Whether commands that may need more memory are refused to the script that runs.
    #[inline]
    pub(crate) fn refuses_growth(&self) -> bool {
        self.refuses_growth
    }

    /// Begins to refuse growth, or ends it.
    pub(crate) fn refuse_growth(&mut self, refuses: bool) {
        self.refuses_growth = refuses;
    }

    /// The best of some keys that were drawn; none if none may go.
    fn candidate(&mut self) -> Option<Candidate> {
        let draws = match self.eviction.policy {
            Policy::NoEviction => return None,
            Policy::AllKeysRandom | Policy::VolatileRandom => 1,
            _ => self.eviction.samples,
        };
        let drawn = (0..draws).map_while(|_| self.draw()).collect::<Vec<_>>();
        drawn.into_iter().max_by_key(|candidate| candidate.worth)
    }

    /// Some key that may go, of any database that has one.
    fn draw(&mut self) -> Option<Candidate> {
        let count = self.database_count();
        let first = self.draw_database()?;
        (0..count).find_map(|step| self.draw_from((first + step) % count))
    }

    /// Some database, each as likely as it has keys; none if there are no keys.
    fn draw_database(&mut self) -> Option<usize> {
        let lens: Vec<usize> =
            (0..self.database_count()).map(|at| self.table_of(at).len()).collect();
        let all = lens.iter().sum();
        let mut left = if all == 0 { return None } else { self.dice.below(all) };
        lens.iter().position(|&len| {
            let is_here = left < len;
            left = left.saturating_sub(len);
            is_here
        })
    }

    fn draw_from(&mut self, database: usize) -> Option<Candidate> {
        let policy = self.eviction.policy;
        let Keyspace { table, databases, dice, .. } = self;
        let is_selected = databases.selected() == database;
        let table =
            if is_selected { Some(table) } else { databases.tables_mut().get_mut(database) }?;
        let at = match policy.takes_all() {
            true => table.random(|bound| dice.below(bound)),
            false => table.random_due(|bound| dice.below(bound)),
        }?;
        let entry = self.table_of(database).get(at);
        let now_ms = self.now.latest_ms();
        let worth = match policy {
            Policy::VolatileTtl => NEVER - entry.deadline(),
            _ => self.eviction.staleness(entry.note(), now_ms),
        };
        Some(Candidate { database, at, worth })
    }

    pub(super) fn table_of(&self, database: usize) -> &Table<Entry> {
        match self.databases.tables().get(database) {
            Some(table) if self.database() != database => table,
            _ => &self.table,
        }
    }
}

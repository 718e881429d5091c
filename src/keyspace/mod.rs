//! The keyspace: keys with their values and deadlines.
//!
//! Reading goes through typed readers ([`Keyspace::string`], [`Keyspace::read`]); every change
//! goes through an editor ([`Keyspace::edit`] for collections, the primitives of `strings.rs` and
//! `keys.rs` for the rest). The editors record the inverse of each change while an atomic section
//! is open, and drop a key whose collection was emptied. WRONGTYPE is made here and nowhere else.
//!
//! This room knows no commands and no replies.

mod access;
mod databases;
mod editor;
mod entry;
mod evict;
mod expire;
mod in_place;
mod interest;
mod journal;
mod keys;
mod streams;
mod strings;
mod undo;
mod whole;

pub(crate) use access::{Eviction, Policy, Use};
pub(crate) use editor::Editor;
pub(crate) use entry::Content;
pub(crate) use evict::EMPTY_BYTES;
pub(crate) use interest::KeyName;
pub(crate) use journal::End;
pub(crate) use undo::Section;
pub(crate) use whole::{Held, Kept};

use crate::clients::Event;
use crate::clock::Now;
use crate::error::CommandError;
use crate::number::IntText;
use crate::table::{Keyed, Location, Table, hash};
pub(crate) use crate::table::{NEVER, SIDE_BY_SIDE};
use crate::value::{Collection, Limits, Value};
use access::EVERY_USE;
use databases::Databases;
use entry::Entry;
use fastrand::Rng;
use journal::{Change, Journal};
use smallvec::SmallVec;

/// All keys, in several databases of which one is selected.
#[derive(Default)]
pub(crate) struct Keyspace {
    /// The selected database.
    table: Table<Entry>,
    databases: Databases,
    journal: Journal,
    /// Never open: takes the records of changes that need none.
    closed: Journal,
    limits: Limits,
    now: Now,
    /// Where active expiry goes on.
    expire_from: usize,
    random: Random,
    /// How many keys were removed because they had expired.
    expired: u64,
    eviction: Eviction,
    /// What the second of now is mixed with to be compared with notes of uses: a note is written
    /// where they differ.
    noted: u32,
    /// What uses are counted and keys to evict are chosen by, apart from what commands draw.
    dice: Random,
    /// Bytes that the data takes, counted while memory is limited.
    used: usize,
    /// How many keys were evicted.
    evicted: u64,
    /// How many changes commands have made, as far as they tell of them.
    changes: u64,
    /// Whether commands that may need more memory are refused to the script that runs.
    refuses_growth: bool,
    /// What becomes of keys past their deadline.
    lapse: Lapse,
}

/// What becomes of keys past their deadline when they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// They are removed.
    #[default]
    Removed,
    /// They stay, and are not found: it is another's to say when they go, and nothing is written.
    Hidden,
    /// They are keys like others.
    Ignored,
}

/// What random commands draw from. Each engine begins with the same seed, so the same calls on the
/// same data give the same replies, in every process.
#[derive(Clone)]
pub(crate) struct Random(Rng);

impl Default for Random {
    fn default() -> Self {
        Random(Rng::with_seed(0))
    }
}

impl Random {
    /// Some number below a bound, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    /// Some number from 0 up to 1.
    fn fraction(&mut self) -> f64 {
        self.0.f64()
    }
}

/// The collection an entry holds, if there is an entry.
#[inline]
fn collection<C: Collection>(entry: Option<&Entry>) -> Result<Option<C::View<'_>>, CommandError> {
    match entry {
        None => Ok(None),
        Some(entry) => entry.collection::<C>().map(Some).ok_or(CommandError::WrongType),
    }
}

/// A string as it is kept: numbers stay numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// An integer, whose text is its decimal digits.
    Integer(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl Text<'_> {
    /// Runs something on the bytes of the text.
    pub(crate) fn with_bytes<R>(self, run: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Text::Integer(value) => run(IntText::new(value).as_bytes()),
            Text::Bytes(bytes) => run(bytes),
        }
    }

    /// The byte at an index.
    pub(crate) fn byte(self, at: usize) -> Option<u8> {
        self.with_bytes(|bytes| bytes.get(at).copied())
    }

    /// Length in bytes.
    pub(crate) fn len(self) -> usize {
        self.with_bytes(<[u8]>::len)
    }
}

/// A key looked up: its hash, and where it is if it exists. Good until the next change.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    hash: u64,
    at: Option<Location>,
}

impl Slot {
    /// Whether the key exists.
    pub(crate) fn exists(self) -> bool {
        self.at.is_some()
    }
}

impl Keyspace {
    /// No keys, and the clock by which they will expire.
    pub(crate) fn new(now: Now, databases: usize) -> Keyspace {
        Keyspace { now, databases: Databases::new(databases), ..Keyspace::default() }
    }

    /// The clock by which keys expire.
    pub(crate) fn clock(&mut self) -> &mut Now {
        &mut self.now
    }

    /// The time of this call, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now.ms()
    }

    /// The most bytes of a HyperLogLog in its sparse form.
    pub(crate) fn sketch_bytes(&self) -> usize {
        self.limits.sketch_bytes
    }

    /// Begins a script: time stands still from here on. Where no key has a deadline it may as well
    /// be read when the script first asks.
    #[inline]
    pub(crate) fn hold_time(&mut self) {
        if self.table.has_deadlines() {
            self.now();
        }
    }

    /// Whether a deadline has passed. A key lives at its deadline, and is gone after it.
    #[inline]
    fn is_past(&self, deadline: i64) -> bool {
        deadline != NEVER && deadline < self.now.ms() && self.lapse != Lapse::Ignored
    }

    /// What becomes of keys past their deadline from now on.
    pub(crate) fn set_lapse(&mut self, lapse: Lapse) {
        self.lapse = lapse;
    }

    /// Up to which sizes collections stay in their small forms.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Other limits, which hold for what is changed from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many keys were removed because they had expired.
    pub(crate) fn expired_count(&self) -> u64 {
        self.expired
    }

    /// How many changes commands have made, as far as they tell of them.
    pub(crate) fn change_count(&self) -> u64 {
        self.changes
    }

    /// Counts changes of which no event is told.
    pub(crate) fn count_changes(&mut self, changes: usize) {
        self.changes += changes as u64;
    }

    /// Begins to count anew what has expired.
    pub(crate) fn forget_counts(&mut self) {
        self.expired = 0;
    }

    /// Another limit of memory, and another way of noting uses.
    pub(crate) fn set_eviction(&mut self, eviction: Eviction) {
        let was_limited = self.is_limited();
        self.eviction = eviction;
        if !was_limited && self.is_limited() {
            self.used = self.weigh_all();
        }
        self.noted = if eviction.policy.is_by_frequency() { EVERY_USE } else { 0 };
    }

    /// Number of keys, those included that expired and were not yet noticed.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The same of all databases.
    pub(crate) fn len_of_all(&self) -> usize {
        // At the place of the selected one lies an empty table.
        self.table.len() + self.databases.tables().iter().map(Table::len).sum::<usize>()
    }

    /// Looks a key up for use, once for any number of reads and the first change. A key past its
    /// deadline is removed on the way.
    #[inline(always)]
    pub(crate) fn slot(&mut self, key: &[u8]) -> Slot {
        let slot = self.look_up(key);
        if let Some(at) = slot.at {
            self.note_use(at);
        }
        slot
    }

    #[inline(always)]
    fn look_up(&mut self, key: &[u8]) -> Slot {
        let hash = hash(key);
        let at = self.table.find_hashed(hash, key);
        match at {
            Some(at) if self.is_gone(at) => self.expired_slot(key, hash, at),
            None if self.journal.news.tells_misses() => self.missing_slot(key, hash),
            at => Slot { hash, at },
        }
    }

    /// Reads ahead what looking up some keys will read: see [`Table::prefetch`]. Not more than
    /// [`SIDE_BY_SIDE`], lest the first have gone from the caches again.
    #[inline]
    pub(crate) fn prefetch(&self, keys: &[&[u8]]) {
        if keys.len() > 1 {
            self.table.prefetch(keys);
        }
    }

    /// The same for calls on a database, of each its key and the words behind it; of several in a
    /// row that are on the same key it is the members of a collection, if that is what is behind.
    #[cfg(feature = "listen")]
    pub(crate) fn prefetch_calls(&self, database: usize, calls: &[(&[u8], [&[u8]; 2])]) {
        let table = match self.databases.tables().get(database) {
            Some(table) if database != self.database() => table,
            _ => &self.table,
        };
        let mut keys: SmallVec<[&[u8]; 32]> = SmallVec::new();
        for same in calls.chunk_by(|(a, _), (b, _)| a == b) {
            match same {
                [(key, _)] => keys.push(key),
                [(key, _), ..] => {
                    let members: SmallVec<[_; 32]> = same.iter().map(|(_, words)| *words).collect();
                    if let Some(view) = table.find(key).and_then(|at| table.get(at).view()) {
                        view.prefetch(&members);
                    }
                }
                [] => (),
            }
        }
        table.prefetch(&keys);
    }

    /// Where a key is, even if it is past its deadline.
    pub(crate) fn lingering_slot(&self, key: &[u8]) -> Slot {
        let hash = hash(key);
        Slot { hash, at: self.table.find_hashed(hash, key) }
    }

    /// Whether the key at a location has expired; not asked of each where none has a deadline.
    #[inline(always)]
    fn is_gone(&self, at: Location) -> bool {
        self.table.has_deadlines() && self.is_past(self.table.get(at).deadline())
    }

    #[cold]
    fn expired_slot(&mut self, key: &[u8], hash: u64, at: Location) -> Slot {
        if self.lapse == Lapse::Hidden {
            return self.missing_slot(key, hash);
        }
        self.expired += 1;
        self.expire_at(at, key);
        self.missing_slot(key, hash)
    }

    /// A key was asked for that does not exist, which is told where it was asked for to be read.
    #[cold]
    fn missing_slot(&mut self, key: &[u8], hash: u64) -> Slot {
        let database = self.database();
        self.journal.news.missed(key, database);
        Slot { hash, at: None }
    }

    /// Whether a key is there, expired or not.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        self.table.find(key).is_some()
    }

    #[inline]
    fn entry(&self, slot: Slot) -> Option<&Entry> {
        slot.at.map(|at| self.table.get(at))
    }

    /// The string a key holds, or none.
    #[inline]
    pub(crate) fn string(&mut self, key: &[u8]) -> Result<Option<Text<'_>>, CommandError> {
        let Some(at) = self.slot(key).at else { return Ok(None) };
        self.table.get(at).text().map(Some).ok_or(CommandError::WrongType)
    }

    /// The string at a slot, or none.
    #[inline]
    pub(crate) fn string_at(&self, slot: Slot) -> Result<Option<Text<'_>>, CommandError> {
        match self.entry(slot) {
            None => Ok(None),
            Some(entry) => entry.text().map(Some).ok_or(CommandError::WrongType),
        }
    }

    /// The collection a key holds, or none.
    #[inline]
    pub(crate) fn read<C: Collection>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<C::View<'_>>, CommandError> {
        let slot = self.slot(key);
        collection::<C>(self.entry(slot))
    }

    /// Uses some keys, and removes those that have expired, so that all can be read side by side, by
    /// [`Keyspace::peek`].
    pub(crate) fn settle(&mut self, keys: &[&[u8]]) -> &Keyspace {
        for key in keys {
            self.slot(key);
        }
        self
    }

    /// The collection a key holds, or none. Expired ones are seen too.
    pub(crate) fn peek<C: Collection>(
        &self,
        key: &[u8],
    ) -> Result<Option<C::View<'_>>, CommandError> {
        collection::<C>(self.table.find(key).map(|at| self.table.get(at)))
    }

    /// The collection a key holds, or none, and the generator of random commands.
    pub(crate) fn read_random<C: Collection>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<(C::View<'_>, &mut Random)>, CommandError> {
        let slot = self.slot(key);
        let entry = slot.at.map(|at| self.table.get(at));
        Ok(collection::<C>(entry)?.map(|found| (found, &mut self.random)))
    }

    /// The collections that several keys hold, none where there is no key.
    pub(crate) fn read_all<C: Collection>(
        &mut self,
        keys: &[&[u8]],
    ) -> Result<SmallVec<[Option<C::View<'_>>; 8]>, CommandError> {
        // Removing one that has expired may move what was found before.
        if self.table.has_deadlines() {
            keys.iter().for_each(|key| _ = self.slot_unused(key));
        }
        let mut slots: SmallVec<[Slot; 8]> = SmallVec::with_capacity(keys.len());
        keys.iter().for_each(|key| slots.push(self.slot(key)));
        let settled = &*self;
        let mut found = SmallVec::with_capacity(keys.len());
        for slot in slots {
            found.push(collection::<C>(settled.entry(slot))?);
        }
        Ok(found)
    }

    /// Changes the collection a key holds; a missing key is an empty collection, and an emptied
    /// one is a missing key.
    pub(crate) fn edit<C: Collection, R>(
        &mut self,
        key: &[u8],
        run: impl FnOnce(&mut Editor<'_, C>) -> R,
    ) -> Result<R, CommandError> {
        let slot = self.slot(key);
        match slot.at {
            Some(at) => self.edit_at(at, key, run),
            None => self.edit_new(slot.hash, key, run),
        }
    }

    /// Changes the collection a key holds, or does nothing where there is none.
    pub(crate) fn edit_existing<C: Collection, R>(
        &mut self,
        key: &[u8],
        run: impl FnOnce(&mut Editor<'_, C>) -> R,
    ) -> Result<Option<R>, CommandError> {
        match self.slot(key).at {
            Some(at) => self.edit_at(at, key, run).map(Some),
            None => Ok(None),
        }
    }

    fn edit_at<C: Collection, R>(
        &mut self,
        at: Location,
        key: &[u8],
        run: impl FnOnce(&mut Editor<'_, C>) -> R,
    ) -> Result<R, CommandError> {
        let changed = self.weighed(at, |keys| {
            let Keyspace { table, journal, closed, limits, random, .. } = keys;
            table.get_mut(at).change(key, |value| {
                let journal = journal.unless_covered(key, closed);
                let mut editor = Editor::new(value, key, journal, limits, random);
                let result = run(&mut editor);
                (result, editor.is_empty())
            })
        });
        let (result, is_empty) = changed.ok_or(CommandError::WrongType)?;
        if is_empty {
            self.remove_at(at);
        }
        Ok(result)
    }

    fn edit_new<C: Collection, R>(
        &mut self,
        hash: u64,
        key: &[u8],
        run: impl FnOnce(&mut Editor<'_, C>) -> R,
    ) -> Result<R, CommandError> {
        let mut collection = Entry::begin::<C>(key);
        // Undoing the creation of the key undoes all there is, so its elements need no records.
        let Keyspace { closed, limits, random, .. } = self;
        let mut editor = Editor::new(&mut collection, key, closed, limits, random);
        let result = run(&mut editor);
        if !editor.is_empty() {
            self.journal.record(key, |_| Change::Entry(None));
            let entry = self.fresh(Entry::begun(key, collection));
            self.insert_entry(hash, entry);
            self.notify(Event::NEW, key);
        }
        Ok(result)
    }

    /// Removes the key at a location; whatever it holds moves to the journal.
    fn remove_at(&mut self, at: Location) {
        let entry = self.take_entry(at);
        self.journal.record_entry(entry);
    }
}

//! The journal: what it takes to undo every change since an atomic section was opened.
//!
//! Each primitive change records its inverse: values that go away are moved in, what is
//! overwritten is recorded an element at a time, and no large collection is ever copied. Keys,
//! fields and elements lie in one reused arena, so a record costs no allocation. Closed, the
//! journal takes nothing.
//!
//! This room knows entries and values, not commands. How a record is undone is in `undo.rs`.

use super::entry::Entry;
use super::interest::Interest;
use super::streams::StreamChange;
use crate::clients::{Followed, News};
use crate::table::{Keyed, Table};
use crate::value::Value;
use crate::value::list::List;

/// Bytes in the journal's arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    len: usize,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The head, index 0.
    Left,
    /// The tail.
    Right,
}

/// The inverse of one change to the key `key`.
pub(super) enum Change {
    /// The key held this, or was absent.
    Entry(Option<Entry>),
    /// The key held what lies in this block, a small one: see [`Entry::kept`].
    Kept(Span),
    /// The string had these bytes in its block and this deadline, in the same form.
    Content { old: Span, deadline: i64 },
    /// The string was this integer.
    Integer(i64),
    /// The deadline was this.
    Deadline(i64),
    /// The string was so long, before bytes were appended.
    Length(usize),
    /// These bytes of the string were overwritten, from `at` on, and it was `len` long.
    Overwritten { at: usize, old: Span, len: usize },
    /// These bytes of the string stood at `at`, where so many others stand now.
    Spliced { at: usize, old: Span, now: usize },
    /// The key came from another name.
    Renamed { from: Span },
    /// The value was this, before it was converted to another form.
    Value(Value),
    /// The hash field had this value, or none.
    Field { field: Span, old: Option<Span> },
    /// The hash had this pair, as its `index`th while small.
    FieldRemoved { index: usize, field: Span, value: Span },
    /// An element was pushed.
    Pushed(End),
    /// This element was popped.
    Popped(End, Span),
    /// The element at `index` was this.
    Element { index: usize, old: Span },
    /// An element was inserted at this index.
    Inserted(usize),
    /// These elements were removed from `at` on.
    Removed { at: usize, elements: List },
    /// The member had this score, or was absent.
    Score { member: Span, old: Option<f64> },
    /// The member was not in the set.
    Added(Span),
    /// The set had this member, as its `index`th while small.
    MemberRemoved { index: usize, member: Span },
    /// Something in a stream.
    Stream(StreamChange),
    /// Every key of the selected database was removed.
    Flushed(Box<Table<Entry>>),
    /// Another database was selected, this one.
    Selected(usize),
    /// These databases changed places.
    Swapped(usize, usize),
}

/// A change and the key it was made to.
pub(super) struct Record {
    pub(super) key: Span,
    pub(super) change: Change,
}

/// A moment in an atomic section to which it can be undone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Savepoint {
    records: usize,
    arena: usize,
    touched: usize,
    followed: usize,
    told: usize,
}

/// The arena is given back after use when it has grown past this.
const KEPT_BYTES: usize = 1 << 20;

/// The inverse changes of an open atomic section, oldest first.
#[derive(Default)]
pub(super) struct Journal {
    /// Whether changes are to be told at all: a section is open, or somebody is interested in keys.
    active: bool,
    open: bool,
    records: Vec<Record>,
    arena: Vec<u8>,
    /// The latest key: consecutive changes are mostly to the same one.
    latest: Span,
    /// Whether nobody is told of the changes made now.
    hushed: bool,
    /// Records before this one are behind a savepoint: they do not cover what comes after it.
    floor: usize,
    /// Who is told of changes.
    interest: Interest,
    /// The keys that clients were shown.
    followed: Followed,
    /// What is told to others once the section is over.
    pub(super) news: News,
    /// The database that is being changed.
    pub(super) database: usize,
}

impl Journal {
    /// Whether changes are to be recorded.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.active
    }

    /// Whether an atomic section is open.
    pub(super) fn in_section(&self) -> bool {
        self.open
    }

    /// Begins an atomic section.
    pub(super) fn open(&mut self) {
        self.open = true;
        self.active = true;
    }

    /// Ends the section and forgets all records.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.active = self.has_listeners();
        self.floor = 0;
        if self.arena.capacity() + self.records.capacity() * size_of::<Record>() > KEPT_BYTES {
            (self.records, self.arena) = Default::default();
        }
        self.records.clear();
        self.forget();
    }

    /// Empties the arena.
    fn forget(&mut self) {
        self.arena.clear();
        self.latest = Span::default();
    }

    /// Now, as a moment to come back to. What comes after is recorded anew.
    pub(super) fn savepoint(&mut self) -> Savepoint {
        self.floor = self.records.len();
        Savepoint {
            records: self.records.len(),
            arena: self.arena.len(),
            touched: self.interest.touched(),
            followed: self.followed.touched(),
            told: self.news.told(),
        }
    }

    /// The records before which a savepoint lies.
    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    /// Forgets the savepoints after an earlier floor.
    pub(super) fn lower_floor(&mut self, floor: usize) {
        self.floor = floor;
    }

    /// Whether keys that somebody is interested in were touched.
    #[inline]
    pub(super) fn has_touched(&self) -> bool {
        self.interest.touched() != 0 || self.followed.touched() != 0
    }

    fn has_listeners(&self) -> bool {
        !self.interest.is_empty() || !self.followed.is_empty()
    }

    /// Who is told of changes; `active` follows.
    pub(super) fn interest<R>(&mut self, change: impl FnOnce(&mut Interest) -> R) -> R {
        let result = change(&mut self.interest);
        self.active = self.open || self.has_listeners();
        result
    }

    /// The keys that clients were shown; `active` follows.
    pub(super) fn followed<R>(&mut self, change: impl FnOnce(&mut Followed) -> R) -> R {
        let result = change(&mut self.followed);
        self.active = self.open || self.has_listeners();
        result
    }

    /// The same, only to be read.
    pub(super) fn peek_followed(&self) -> &Followed {
        &self.followed
    }

    /// Tells those interested that a key of the selected database changed.
    pub(super) fn touch(&mut self, key: &[u8]) {
        if self.active {
            self.tell(key);
        }
    }

    /// All keys of a database are gone.
    pub(super) fn flushed(&mut self) {
        // What clients were shown that are told no more is forgotten with the rest.
        if !(self.followed.is_idle() && self.followed.is_empty()) {
            self.news.flushed();
        }
    }

    #[inline]
    fn tell(&mut self, key: &[u8]) {
        if self.hushed {
            return;
        }
        self.interest.touch(self.database, key);
        if !self.followed.is_empty() {
            self.followed.touch(key);
        }
    }

    /// The latest record made after a savepoint, taken out.
    pub(super) fn pop_after(&mut self, savepoint: Savepoint) -> Option<Record> {
        if self.records.len() > savepoint.records { self.records.pop() } else { None }
    }

    /// Frees the arena of what was recorded after a savepoint and is undone.
    pub(super) fn rewind(&mut self, savepoint: Savepoint) {
        self.arena.truncate(savepoint.arena);
        self.latest = Span::default();
        self.interest.rewind(savepoint.touched);
        self.followed.rewind(savepoint.followed);
        self.news.rewind(savepoint.told);
    }

    /// Keeps a copy of some bytes.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        Span { start, len: bytes.len() }
    }

    /// Keeps a key, once for consecutive uses.
    pub(super) fn keep_key(&mut self, key: &[u8]) -> Span {
        if self.records.is_empty() || self.bytes(self.latest) != key {
            self.latest = self.keep(key);
        }
        self.latest
    }

    /// The bytes that were kept.
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.arena.get(span.start..span.start + span.len).unwrap_or_default()
    }

    /// Records the inverse of a change to a key, if anybody asks for it.
    #[inline]
    pub(super) fn record(&mut self, key: &[u8], change: impl FnOnce(&mut Journal) -> Change) {
        if self.active {
            let span = self.keep_key(key);
            let change = change(self);
            self.tell(key);
            self.push(span, change);
        }
    }

    /// The same of a change that is none to those who are interested in the key.
    pub(super) fn record_untold(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Journal) -> Change,
    ) {
        self.hush(true);
        self.record(key, change);
        self.hush(false);
    }

    /// Whether nobody is told of the changes that follow.
    pub(super) fn hush(&mut self, hushed: bool) {
        self.hushed = hushed;
    }

    /// Records what a key was before it was removed or replaced.
    #[inline]
    pub(super) fn record_entry(&mut self, old: Entry) {
        if self.active {
            self.tell(old.key());
            if !self.covers(old.key()) {
                self.push_entry(old);
            }
        }
    }

    /// A small block is copied, key and all, and given back while it is at hand: freed with all
    /// others at the end each would have to be fetched once more.
    #[inline]
    fn push_entry(&mut self, old: Entry) {
        match old.kept() {
            Some((block, key)) if self.open => {
                let kept = self.keep(block);
                self.latest = Span { start: kept.start + key.start, len: key.len() };
                self.push(self.latest, Change::Kept(kept));
            }
            _ => {
                let key = self.keep_key(old.key());
                self.push(key, Change::Entry(Some(old)));
            }
        }
    }

    /// Records a change that is to no key.
    pub(super) fn record_other(&mut self, change: Change) {
        if self.open {
            self.push(Span::default(), change);
        }
    }

    fn push(&mut self, key: Span, change: Change) {
        if self.open {
            self.records.push(Record { key, change });
        } else {
            self.forget();
        }
    }

    /// The latest record, if no savepoint lies behind it.
    #[inline]
    fn last(&self) -> Option<&Record> {
        if self.records.len() > self.floor { self.records.last() } else { None }
    }

    /// Whether the latest record holds the whole of what this key was before: a further change
    /// to the same key needs no record of its own then.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Entry(_) | Change::Kept(_)) && self.bytes(last.key) == key
        })
    }

    /// The same for another content of a string, in the same form.
    pub(super) fn covers_content(&self, key: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Entry(_) | Change::Kept(_) | Change::Content { .. })
                && self.bytes(last.key) == key
        })
    }

    /// Where a change to a key is to be recorded: what undoes the whole key undoes every change in it,
    /// so those need no records, and go to one that is never open.
    #[inline]
    pub(super) fn unless_covered<'j>(
        &'j mut self,
        key: &[u8],
        closed: &'j mut Journal,
    ) -> &'j mut Journal {
        if self.is_open() && self.covers(key) { closed } else { self }
    }

    /// Records what a hash field held, unless the latest record does so.
    #[inline]
    pub(super) fn record_field(&mut self, key: &[u8], field: &[u8], old: Option<&[u8]>) {
        if self.active && !self.covers_field(key, field) {
            self.record(key, |j| {
                let old = old.map(|old| j.keep(old));
                Change::Field { field: j.keep(field), old }
            });
        }
    }

    /// Records what score a member had, unless the latest record does so.
    #[inline]
    pub(super) fn record_score(&mut self, key: &[u8], member: &[u8], old: Option<f64>) {
        if self.active && !self.covers_member(key, member) {
            self.record(key, |j| Change::Score { member: j.keep(member), old });
        }
    }

    /// The same for setting a hash field that the latest record is of.
    pub(super) fn covers_field(&self, key: &[u8], wanted: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Field { field, .. } if self.bytes(field) == wanted)
                && self.bytes(last.key) == key
        })
    }

    /// The same for a member of a sorted set.
    pub(super) fn covers_member(&self, key: &[u8], wanted: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Score { member, .. } if self.bytes(member) == wanted)
                && self.bytes(last.key) == key
        })
    }

    /// The same for appending to a stream: whatever else is appended goes with the first.
    pub(super) fn covers_append(&self, key: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Stream(StreamChange::Appended { .. }))
                && self.bytes(last.key) == key
        })
    }

    /// The same for a change of one integer into another.
    pub(super) fn covers_integer(&self, key: &[u8]) -> bool {
        self.last().is_some_and(|last| {
            matches!(last.change, Change::Entry(_) | Change::Kept(_) | Change::Integer(_))
                && self.bytes(last.key) == key
        })
    }
}

//! Atomic sections: begin, commit, and the undoing of each record.

use super::entry::{Block, Entry};
use super::journal::{Change, End, Record, Savepoint, Span};
use super::streams::undo_in_stream;
use super::strings::{overwrite, splice};
use super::{Keyspace, Location, Value};
use crate::table::{Keyed, hash};
use crate::value::list::List;

/// An open atomic section: what it takes to close it.
#[derive(Debug)]
pub(crate) struct Section {
    start: Savepoint,
    /// Where the savepoint of the section around it lies.
    outer_floor: usize,
    outermost: bool,
}

impl Keyspace {
    /// Opens an atomic section: from here on all changes can be undone. Within a section it is one
    /// of its own, which can be undone alone.
    pub(crate) fn begin(&mut self) -> Section {
        let (outermost, outer_floor) = (!self.journal.in_section(), self.journal.floor());
        self.journal.open();
        Section { start: self.journal.savepoint(), outer_floor, outermost }
    }

    /// Closes a section; its changes stay, as far as those of the one around it do.
    pub(crate) fn commit(&mut self, section: Section) {
        match section.outermost {
            true => self.journal.close(),
            false => self.journal.lower_floor(section.outer_floor),
        }
    }

    /// Undoes what was done in a section, which stays open.
    pub(crate) fn undo_section(&mut self, section: &Section) {
        while let Some(record) = self.journal.pop_after(section.start) {
            self.undo(record);
        }
        self.journal.rewind(section.start);
    }

    /// Closes a section; the keyspace is as it was when it was opened.
    pub(crate) fn rollback(&mut self, section: Section) {
        self.undo_section(&section);
        self.commit(section);
    }

    /// Whether an atomic section is open.
    pub(crate) fn in_section(&self) -> bool {
        self.journal.in_section()
    }

    fn undo(&mut self, record: Record) {
        match record.change {
            Change::Selected(database) => return self.switch_to(database),
            Change::Swapped(a, b) => return self.exchange(a, b),
            Change::Flushed(table) => return drop(self.replace_table(*table)),
            _ => (),
        }
        let key = self.journal.bytes(record.key);
        let hash = hash(key);
        let at = self.table.find_hashed(hash, key);
        match (record.change, at) {
            (Change::Entry(old), at) => self.undo_entry(hash, at, old),
            (Change::Kept(block), at) => {
                let old = Entry::of_kept(self.journal.bytes(block));
                self.undo_entry(hash, at, Some(old));
            }
            (Change::Content { old, deadline }, Some(at)) => {
                if let Entry::Packed(block) = self.table.get_mut(at) {
                    block.write(self.journal.bytes(old), deadline);
                }
                self.table.note_deadline(at, deadline);
            }
            (Change::Renamed { from }, Some(at)) => {
                let mut entry = self.take_entry(at);
                entry.set_key(self.journal.bytes(from));
                self.insert_entry(super::hash(entry.key()), entry);
            }
            (Change::Deadline(old), Some(at)) => {
                self.weighed(at, |keys| keys.table.get_mut(at).set_deadline(old));
                self.table.note_deadline(at, old);
            }
            (Change::Integer(old), Some(at)) => {
                if let Entry::Packed(block) = self.table.get_mut(at) {
                    block.overwrite_integer(old);
                }
            }
            (change, Some(at)) => {
                self.weighed(at, |keys| keys.undo_in_value(at, record.key, change));
            }
            // Every record but those above is of a key that exists once all later ones are undone.
            (_, None) => debug_assert!(false, "a record of a key that is gone"),
        }
    }

    fn undo_entry(&mut self, hash: u64, at: Option<Location>, old: Option<Entry>) {
        match (at, old) {
            (Some(at), Some(old)) => {
                self.table.note_deadline(at, old.deadline());
                self.weighed(at, |keys| *keys.table.get_mut(at) = old);
            }
            (Some(at), None) => drop(self.take_entry(at)),
            (None, Some(old)) => self.insert_entry(hash, old),
            (None, None) => (),
        }
    }

    fn undo_in_value(&mut self, at: Location, key: Span, change: Change) {
        let Keyspace { table, journal, limits, .. } = self;
        let bytes = |span| journal.bytes(span);
        let entry = table.get_mut(at);
        if let Entry::Packed(block) = entry
            && block.is_string()
        {
            return undo_in_block(block, change, &bytes);
        }
        let undo = |value: &mut Value| match (change, value) {
            (Change::Value(old), value) => *value = old,
            (Change::Length(len), Value::Text(text)) => text.truncate(len),
            (Change::Overwritten { at, old, len }, Value::Text(text)) => {
                overwrite(text, at, bytes(old));
                text.truncate(len);
            }
            (Change::Spliced { at, old, now }, Value::Text(text)) => {
                splice(text, at, now, bytes(old));
            }
            (Change::Field { field, old: Some(old) }, Value::Hash(hash)) => {
                hash.set(bytes(field), bytes(old), |_| ());
            }
            (Change::Field { field, old: None }, Value::Hash(hash)) => {
                hash.remove(bytes(field), |_, _| ());
            }
            (Change::FieldRemoved { index, field, value }, Value::Hash(hash)) => {
                hash.restore(index, bytes(field), bytes(value));
            }
            (Change::Score { member, old: Some(old) }, Value::ZSet(zset)) => {
                zset.set(bytes(member), old);
            }
            (Change::Score { member, old: None }, Value::ZSet(zset)) => {
                zset.remove(bytes(member));
            }
            (Change::Added(member), Value::Set(set)) => {
                set.remove(bytes(member));
            }
            (Change::MemberRemoved { index, member }, Value::Set(set)) => {
                set.restore(index, bytes(member));
            }
            (Change::Stream(change), Value::Stream(stream)) => {
                undo_in_stream(stream, change, &bytes);
            }
            (change, Value::List(list)) => undo_in_list(list, change, &bytes, limits.list),
            _ => debug_assert!(false, "a record of another type"),
        };
        entry.change_value(bytes(key), undo);
    }
}

/// A packed string that is written in place keeps its length.
fn undo_in_block<'a>(block: &mut Block, change: Change, bytes: &dyn Fn(Span) -> &'a [u8]) {
    match (change, block.raw_mut()) {
        (Change::Overwritten { at, old, .. }, Some(text)) => {
            let old = bytes(old);
            if let Some(place) = text.get_mut(at..at + old.len()) {
                place.copy_from_slice(old);
            }
        }
        _ => debug_assert!(false, "a record of another type"),
    }
}

fn undo_in_list<'a>(
    list: &mut List,
    change: Change,
    bytes: &dyn Fn(Span) -> &'a [u8],
    limit: crate::value::list::ChunkLimit,
) {
    match change {
        Change::Pushed(End::Left) => {
            list.pop_front();
        }
        Change::Pushed(End::Right) => {
            list.pop_back();
        }
        Change::Popped(End::Left, element) => list.push_front(bytes(element), limit),
        Change::Popped(End::Right, element) => list.push_back(bytes(element), limit),
        Change::Element { index, old } => {
            list.set(index, bytes(old), limit);
        }
        Change::Inserted(index) => {
            list.remove(index);
        }
        Change::Removed { at, elements } => list.insert_list(at, elements),
        _ => debug_assert!(false, "a record of another type"),
    }
}

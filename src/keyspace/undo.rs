//! Atomic sections: begin, commit, and the undoing of each record.

use super::entry::Entry;
use super::journal::{Change, End, Record, Savepoint};
use super::streams::undo_in_stream;
use super::strings::overwrite;
use super::{Keyspace, Location, Value};
use crate::cow::own;
use crate::table::{Keyed, hash};
use crate::value::list::List;

impl Keyspace {
    /// Opens an atomic section: from here on all changes can be undone.
    pub(crate) fn begin(&mut self) {
        self.journal.open();
    }

    /// Closes the section; its changes stay.
    pub(crate) fn commit(&mut self) {
        self.journal.close();
    }

    /// Closes the section; the keyspace is as it was when it was opened.
    pub(crate) fn rollback(&mut self) {
        self.undo_to(Savepoint::START);
        self.journal.close();
    }

    fn undo_to(&mut self, savepoint: Savepoint) {
        while let Some(record) = self.journal.pop_after(savepoint) {
            self.undo(record);
        }
        self.journal.rewind(savepoint);
    }

    fn undo(&mut self, record: Record) {
        let key = self.journal.bytes(record.key);
        let hash = hash(key);
        let at = self.table.find_hashed(hash, key);
        match (record.change, at) {
            (Change::Entry(old), at) => self.undo_entry(hash, at, old),
            (Change::Flushed(table), _) => self.table = *table,
            (Change::Renamed { from }, Some(at)) => {
                let mut entry = self.table.remove(at);
                entry.set_key(self.journal.bytes(from));
                self.table.insert(entry);
            }
            (Change::Deadline(old), Some(at)) => {
                self.table.get_mut(at).set_deadline(old);
                self.table.note_deadline(at, old);
            }
            (Change::Integer(old), Some(at)) => {
                if let Entry::Packed(block) = self.table.get_mut(at) {
                    block.overwrite_integer(old);
                }
            }
            (change, Some(at)) => self.undo_in_value(at, change),
            // Every record but those above is of a key that exists once all later ones are undone.
            (_, None) => debug_assert!(false, "a record of a key that is gone"),
        }
    }

    fn undo_entry(&mut self, hash: u64, at: Option<Location>, old: Option<Entry>) {
        match (at, old) {
            (Some(at), Some(old)) => {
                self.table.note_deadline(at, old.deadline());
                *self.table.get_mut(at) = old;
            }
            (Some(at), None) => {
                self.table.remove(at);
            }
            (None, Some(old)) => {
                self.table.insert_hashed(hash, old);
            }
            (None, None) => (),
        }
    }

    fn undo_in_value(&mut self, at: Location, change: Change) {
        let Keyspace { table, journal, limits, .. } = self;
        let Entry::Object(object) = table.get_mut(at) else { return };
        let value = &mut own(object).value;
        let bytes = |span| journal.bytes(span);
        match (change, value) {
            (Change::Value(old), value) => *value = old,
            (Change::Length(len), Value::Text(text)) => text.truncate(len),
            (Change::Overwritten { at, old, len }, Value::Text(text)) => {
                overwrite(text, at, bytes(old));
                text.truncate(len);
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
        }
    }
}

fn undo_in_list<'a>(
    list: &mut List,
    change: Change,
    bytes: &dyn Fn(super::journal::Span) -> &'a [u8],
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

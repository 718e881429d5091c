//! The primitive changes of strings.

use super::entry::{Content, Entry};
use super::journal::Change;
use super::{Keyspace, NEVER, Slot, Text};
use crate::cow::own;
use crate::table::Keyed;
use crate::value::Value;

/// A string written in place stays packed with its key up to this many bytes; above, it is kept
/// with room to grow, so that many small appends to a large string cost what they add.
const PACKED_MOST: usize = 512;

impl Keyspace {
    /// Gives a key a string and a deadline, whatever it held before.
    pub(crate) fn put(&mut self, slot: Slot, key: &[u8], content: Content<'_>, deadline: i64) {
        if let Some(at) = slot.at
            && (!self.journal.is_open() || self.journal.covers(key))
            && let Entry::Packed(block) = self.table.get_mut(at)
            && block.overwrite(content, deadline)
        {
            self.table.note_deadline(at, deadline);
            return;
        }
        self.put_entry(slot, Entry::string(key, deadline, content));
    }

    pub(super) fn put_entry(&mut self, slot: Slot, entry: Entry) {
        let covered = self.journal.is_open() && self.journal.covers(entry.key());
        let Some(at) = slot.at else {
            if !covered {
                self.journal.record(entry.key(), |_| Change::Entry(None));
            }
            self.table.insert_hashed(slot.hash, entry);
            return;
        };
        if entry.deadline() != NEVER {
            self.table.note_deadline(at, entry.deadline());
        }
        let old = std::mem::replace(self.table.get_mut(at), entry);
        if self.journal.is_open() && !covered {
            let key = self.journal.keep_key(old.key());
            self.journal.push(key, Change::Entry(Some(old)));
        }
    }

    /// Changes an integer in place, by one look-up; none if the key holds anything else, or
    /// nothing. An error of `change` changes nothing.
    pub(crate) fn change_integer<E>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(i64) -> Result<i64, E>,
    ) -> Option<Result<i64, E>> {
        let at = self.slot(key).at?;
        let Entry::Packed(block) = self.table.get_mut(at) else { return None };
        let Text::Integer(old) = block.text() else { return None };
        let changed = change(old);
        if let Ok(value) = changed {
            block.overwrite_integer(value);
            if self.journal.is_open() && !self.journal.covers_integer(key) {
                self.journal.record(key, |_| Change::Integer(old));
            }
        }
        Some(changed)
    }

    /// Appends bytes to the string at a slot; returns the new length.
    pub(crate) fn append(&mut self, slot: Slot, key: &[u8], bytes: &[u8]) -> usize {
        let len = self.text_len(slot);
        self.write_at(slot, key, len, bytes);
        len + bytes.len()
    }

    /// Writes bytes into the string at a slot from an offset on; a gap is filled with zeros.
    pub(crate) fn write_at(&mut self, slot: Slot, key: &[u8], offset: usize, bytes: &[u8]) {
        if self.write_in_place(slot, key, offset, bytes) {
            return;
        }
        let end = offset + bytes.len();
        let mut text = Vec::with_capacity(end.max(self.text_len(slot)));
        if let Ok(Some(old)) = self.string_at(slot) {
            old.with_bytes(|old| text.extend_from_slice(old));
        }
        overwrite(&mut text, offset, bytes);
        let deadline = self.deadline_at(slot);
        let entry = if text.len() <= PACKED_MOST {
            Entry::string(key, deadline, Content::Raw(&text))
        } else {
            Entry::object(key, deadline, Value::Text(text))
        };
        self.put_entry(slot, entry);
    }

    /// Writes into a string that is kept with room to grow; false if it is not.
    fn write_in_place(&mut self, slot: Slot, key: &[u8], offset: usize, bytes: &[u8]) -> bool {
        let Some(at) = slot.at else { return false };
        if !matches!(self.table.get(at).value(), Some(Value::Text(_))) {
            return false;
        }
        let Entry::Object(object) = self.table.get_mut(at) else { return false };
        let Value::Text(text) = &mut own(object).value else { return false };
        let len = text.len();
        if self.journal.covers(key) {
            // What undoes the whole key undoes this too.
        } else if offset >= len {
            self.journal.record(key, |_| Change::Length(len));
        } else {
            let covered = text.get(offset..len.min(offset + bytes.len())).unwrap_or_default();
            self.journal.record(key, |j| Change::Overwritten {
                at: offset,
                old: j.keep(covered),
                len,
            });
        }
        overwrite(text, offset, bytes);
        true
    }

    fn text_len(&self, slot: Slot) -> usize {
        match self.string_at(slot) {
            Ok(Some(text)) => text.len(),
            _ => 0,
        }
    }

    /// Whether the string at a slot was written in place, which OBJECT ENCODING calls "raw".
    pub(crate) fn is_raw(&self, slot: Slot) -> bool {
        slot.at.is_some_and(|at| self.table.get(at).is_raw())
    }
}

/// Writes bytes from an offset on, growing the text as needed.
pub(super) fn overwrite(text: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if text.len() < end {
        text.resize(end, 0);
    }
    if let Some(place) = text.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

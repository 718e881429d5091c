//! The primitive changes of strings.

use super::entry::{COPIED_MOST, Content, Entry};
use super::journal::{Change, Journal};
use super::{Keyspace, Location, NEVER, Slot, Text};
use crate::clients::{Event, Events};
use crate::cow::own;
use crate::table::Keyed;
use crate::value::Value;
use std::borrow::Cow;

/// A string written in place stays packed with its key up to this many bytes; above, it is kept
/// with room to grow, so that many small appends to a large string cost what they add.
const PACKED_MOST: usize = 512;

impl Keyspace {
    /// Gives a key a string and a deadline, whatever it held before.
    pub(crate) fn put(&mut self, slot: Slot, key: &[u8], content: Content<'_>, deadline: i64) {
        if let Some(at) = slot.at
            && self.put_in_place(at, key, content, deadline)
        {
            if deadline != NEVER {
                self.table.note_deadline(at, deadline);
            }
            return;
        }
        self.put_entry(slot, Entry::string(key, deadline, content));
    }

    /// Puts a string where one of the same form and length is; false where there is none.
    fn put_in_place(
        &mut self,
        at: Location,
        key: &[u8],
        content: Content<'_>,
        deadline: i64,
    ) -> bool {
        let Keyspace { table, journal, .. } = self;
        let Entry::Packed(block) = table.get_mut(at) else { return false };
        if journal.is_open() && !journal.covers(key) {
            let Some((old, was_due)) = block.replaced_by(content, deadline) else { return false };
            if old.len() > COPIED_MOST {
                return false;
            }
            if !journal.covers_content(key) {
                let kept =
                    |j: &mut Journal| Change::Content { old: j.keep(old), deadline: was_due };
                journal.record(key, kept);
            }
        }
        block.overwrite(content, deadline)
    }

    /// Puts an entry at a slot, whatever was there before.
    pub(super) fn put_entry(&mut self, slot: Slot, mut entry: Entry) {
        let Some(at) = slot.at else {
            let entry = self.fresh(entry);
            if !self.journal.covers(entry.key()) {
                self.journal.record(entry.key(), |_| Change::Entry(None));
            }
            let news = self.journal.news.events().has_any(Events::NEW);
            let key = news.then(|| Box::<[u8]>::from(entry.key()));
            self.insert_entry(slot.hash, entry);
            if let Some(key) = key {
                self.notify(Event::NEW, &key);
            }
            return;
        };
        if entry.deadline() != NEVER {
            self.table.note_deadline(at, entry.deadline());
        }
        // Uses of the key count on, whatever it holds.
        entry.set_note(self.table.get(at).note());
        let old = self.weighed(at, |keys| std::mem::replace(keys.table.get_mut(at), entry));
        self.journal.record_entry(old);
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

    /// Appends bytes to the string at a slot, which has so many; returns the new length.
    pub(crate) fn append(&mut self, slot: Slot, key: &[u8], len: usize, bytes: &[u8]) -> usize {
        self.write_at(slot, key, len, bytes);
        len + bytes.len()
    }

    /// Writes bytes into the string at a slot from an offset on; a gap is filled with zeros.
    pub(crate) fn write_at(&mut self, slot: Slot, key: &[u8], offset: usize, bytes: &[u8]) {
        if self.write_in_place(slot, key, offset, bytes) {
            return;
        }
        let end = offset + bytes.len();
        let mut text = self.text_copy(slot, end);
        overwrite(&mut text, offset, bytes);
        self.put_raw(slot, key, text, self.deadline_at(slot));
    }

    /// Puts other bytes in place of some of the string at a slot.
    pub(crate) fn splice(
        &mut self,
        slot: Slot,
        key: &[u8],
        at: usize,
        removed: usize,
        bytes: &[u8],
    ) {
        let in_place = |keys: &mut Keyspace, place| {
            let Keyspace { table, journal, .. } = keys;
            let Entry::Object(object) = table.get_mut(place) else { return false };
            if !matches!(object.value, Value::Text(_)) {
                return false;
            }
            let Value::Text(text) = &mut own(object).value else { return false };
            if !journal.covers(key) {
                let old = text.get(at..at + removed).unwrap_or_default();
                let now = bytes.len();
                journal.record(key, |j| Change::Spliced { at, old: j.keep(old), now });
            }
            splice(text, at, removed, bytes);
            true
        };
        if slot.at.is_some_and(|place| self.weighed(place, |keys| in_place(keys, place))) {
            return;
        }
        let mut text = self.text_copy(slot, self.text_len(slot) + bytes.len());
        splice(&mut text, at, removed, bytes);
        self.put_raw(slot, key, text, self.deadline_at(slot));
    }

    /// Gives a key a string as if it had been written in place, whatever it held before.
    pub(crate) fn put_raw<'t>(
        &mut self,
        slot: Slot,
        key: &[u8],
        text: impl Into<Cow<'t, [u8]>>,
        deadline: i64,
    ) {
        let text = text.into();
        if text.len() <= PACKED_MOST {
            self.put(slot, key, Content::Raw(&text), deadline);
        } else {
            let value = Value::Text(text.into_owned());
            self.put_entry(slot, Entry::value(key, deadline, value));
        }
    }

    /// Makes the string at a slot one that was written in place, with the bytes it has.
    pub(crate) fn make_raw(&mut self, slot: Slot, key: &[u8]) {
        if slot.exists() && !self.is_raw(slot) {
            self.write_at(slot, key, 0, b"");
        }
    }

    /// The bytes of the string at a slot, with room for so many.
    fn text_copy(&self, slot: Slot, room: usize) -> Vec<u8> {
        let mut copy = Vec::with_capacity(room.max(self.text_len(slot)));
        if let Ok(Some(text)) = self.string_at(slot) {
            text.with_bytes(|bytes| copy.extend_from_slice(bytes));
        }
        copy
    }

    /// Writes into a string that was written in place before, if it has the room; false if not.
    fn write_in_place(&mut self, slot: Slot, key: &[u8], offset: usize, bytes: &[u8]) -> bool {
        let Some(at) = slot.at else { return false };
        self.weighed(at, |keys| keys.write_there(at, key, offset, bytes))
    }

    fn write_there(&mut self, at: Location, key: &[u8], offset: usize, bytes: &[u8]) -> bool {
        let Keyspace { table, journal, .. } = self;
        if !table.get(at).is_raw() {
            return false;
        }
        if bytes.is_empty() {
            return true;
        }
        let end = offset + bytes.len();
        match table.get_mut(at) {
            Entry::Packed(block) => {
                let Some(place) = block.raw_mut().and_then(|text| text.get_mut(offset..end)) else {
                    return false;
                };
                // Undone, the string has as many bytes as ever.
                record_overwritten(journal, key, offset, place, end);
                place.copy_from_slice(bytes);
            }
            Entry::Object(object) => {
                let Value::Text(text) = &mut own(object).value else { return false };
                let len = text.len();
                let covered = text.get(offset..len.min(end)).unwrap_or_default();
                record_overwritten(journal, key, offset, covered, len);
                overwrite(text, offset, bytes);
            }
        }
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

/// Records what stood in a string of `len` bytes where others are about to be written.
fn record_overwritten(journal: &mut Journal, key: &[u8], at: usize, old: &[u8], len: usize) {
    // What undoes the whole key undoes this too.
    if journal.covers(key) {
        return;
    }
    journal.record(key, |j| match old {
        [] => Change::Length(len),
        old => Change::Overwritten { at, old: j.keep(old), len },
    });
}

/// Puts other bytes in place of some.
pub(super) fn splice(text: &mut Vec<u8>, at: usize, removed: usize, bytes: &[u8]) {
    let at = at.min(text.len());
    let end = (at + removed).min(text.len());
    text.splice(at..end, bytes.iter().copied());
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

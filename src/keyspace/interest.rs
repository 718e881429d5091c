//! Who wants to know of changes to keys: sessions that watch them, calls that wait for them.
//!
//! The journal, which hears of every change, notes here which of the keys somebody is interested
//! in were touched. Who that is, and what they are told, is the engine's business.

use std::collections::HashMap;

/// A key of one of the databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyName {
    pub(crate) database: usize,
    pub(crate) key: Box<[u8]>,
}

impl KeyName {
    /// Names a key.
    pub(crate) fn new(database: usize, key: &[u8]) -> KeyName {
        KeyName { database, key: key.into() }
    }
}

/// What is known of a key that somebody is interested in.
#[derive(Default)]
struct Interesting {
    /// How many are.
    holders: usize,
    /// Whether it is in the list of the touched already.
    touched: bool,
}

/// The keys somebody is interested in, and those of them that were touched.
#[derive(Default)]
pub(super) struct Interest {
    /// By database.
    keys: Vec<HashMap<Box<[u8]>, Interesting>>,
    /// How many keys these are.
    count: usize,
    touched: Vec<KeyName>,
}

impl Interest {
    /// Whether nobody is interested in anything.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more holder is interested in a key.
    pub(super) fn add(&mut self, name: &KeyName) {
        if self.keys.len() <= name.database {
            self.keys.resize_with(name.database + 1, HashMap::new);
        }
        let Some(keys) = self.keys.get_mut(name.database) else { return };
        let known = keys.entry(name.key.clone()).or_default();
        known.holders += 1;
        self.count += usize::from(known.holders == 1);
    }

    /// One holder fewer is.
    pub(super) fn remove(&mut self, name: &KeyName) {
        let Some(keys) = self.keys.get_mut(name.database) else { return };
        let Some(known) = keys.get_mut(&name.key) else { return };
        known.holders -= 1;
        if known.holders == 0 {
            keys.remove(&name.key);
            self.count -= 1;
        }
    }

    /// A key was changed.
    pub(super) fn touch(&mut self, database: usize, key: &[u8]) {
        let Some(known) = self.keys.get_mut(database).and_then(|keys| keys.get_mut(key)) else {
            return;
        };
        if !known.touched {
            known.touched = true;
            self.touched.push(KeyName::new(database, key));
        }
    }

    /// The keys of a database that somebody is interested in.
    pub(super) fn of_database(&self, database: usize) -> Vec<Box<[u8]>> {
        self.keys.get(database).map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    /// How many keys were touched so far.
    pub(super) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// The keys touched after a moment were not, after all.
    pub(super) fn rewind(&mut self, touched: usize) {
        for name in self.touched.split_off(touched.min(self.touched.len())) {
            self.clear_mark(&name);
        }
    }

    /// The touched keys, in the order in which they were first touched; from here on anew.
    pub(super) fn take_touched(&mut self) -> Vec<KeyName> {
        let touched = std::mem::take(&mut self.touched);
        touched.iter().for_each(|name| self.clear_mark(name));
        touched
    }

    fn clear_mark(&mut self, name: &KeyName) {
        let keys = self.keys.get_mut(name.database);
        if let Some(known) = keys.and_then(|keys| keys.get_mut(&name.key)) {
            known.touched = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(touched: Vec<KeyName>) -> Vec<(usize, String)> {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        touched.iter().map(|name| (name.database, text(&name.key))).collect()
    }

    #[test]
    fn only_what_somebody_asked_for_is_noted_once_and_in_order() {
        let mut interest = Interest::default();
        let [a, b] = [KeyName::new(0, b"a"), KeyName::new(3, b"b")];
        interest.add(&a);
        interest.add(&a);
        interest.add(&b);
        for (database, key) in [(3, b"b"), (0, b"b"), (0, b"a"), (3, b"b"), (3, b"a")] {
            interest.touch(database, key);
        }
        assert_eq!(names(interest.take_touched()), [(3, "b".to_owned()), (0, "a".to_owned())]);
        interest.remove(&a);
        interest.touch(0, b"a");
        assert_eq!(names(interest.take_touched()), [(0, "a".to_owned())]);
        interest.remove(&a);
        interest.remove(&b);
        assert!(interest.is_empty());
    }

    #[test]
    fn what_was_undone_can_be_touched_again() {
        let mut interest = Interest::default();
        interest.add(&KeyName::new(0, b"a"));
        interest.add(&KeyName::new(0, b"b"));
        interest.touch(0, b"a");
        let moment = interest.touched();
        interest.touch(0, b"b");
        interest.rewind(moment);
        assert_eq!(interest.touched(), 1);
        interest.touch(0, b"b");
        assert_eq!(interest.take_touched().len(), 2);
    }
}

//! Active expiry: removing keys past their deadline that nobody asks for.
//!
//! The table keeps a lower bound of the deadlines in each of its segments, side by side, so a
//! sweep passes over what is not due at 8 bytes a segment and finds everything that is.

use super::Keyspace;
use crate::clients::Event;
use crate::table::{Keyed, Location};

impl Keyspace {
    /// Removes due keys from all databases until none is left or `out_of_time` says so, which is
    /// asked after every segment. Returns how many were removed and whether all were seen.
    pub(crate) fn expire_due(&mut self, mut out_of_time: impl FnMut() -> bool) -> (usize, bool) {
        // The selected database comes first, where the last call may have stopped.
        let (selected, count) = (self.database(), self.database_count());
        let mut removed = 0;
        for step in 0..count {
            self.select((selected + step) % count);
            let (here, complete) = self.expire_selected(&mut out_of_time);
            removed += here;
            if !complete {
                return (removed, false);
            }
        }
        self.select(selected);
        (removed, true)
    }

    /// The same for the selected database.
    fn expire_selected(&mut self, out_of_time: &mut impl FnMut() -> bool) -> (usize, bool) {
        let mut removed = 0;
        // A key is gone once its deadline lies in the past, not at the deadline itself.
        let due = self.now() - 1;
        loop {
            match self.table.next_due(self.expire_from, due) {
                Some(segment) => {
                    removed += self.expire_segment(segment, due);
                    self.expire_from = segment + 1;
                }
                None if self.expire_from == 0 => return (removed, true),
                // Segments that were merged meanwhile may have come to lie before this one.
                None => self.expire_from = 0,
            }
            if out_of_time() {
                return (removed, false);
            }
        }
    }

    /// Removes the key at a location, whose time is up, and tells those who want to know.
    pub(super) fn expire_at(&mut self, at: Location, key: &[u8]) {
        self.remove_at(at);
        let database = self.database();
        self.journal.news.expired(database, key);
        self.notify(Event::EXPIRED, key);
    }

    fn expire_segment(&mut self, segment: usize, now: i64) -> usize {
        let due: Vec<Box<[u8]>> =
            self.table.due_in(segment, now).map(|entry| entry.key().into()).collect();
        for key in &due {
            if let Some(at) = self.table.find(key) {
                self.expire_at(at, key);
            }
        }
        self.expired += due.len() as u64;
        due.len()
    }
}

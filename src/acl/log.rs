//! What was denied, the latest first. What is denied again within a minute is counted.

use std::collections::VecDeque;

/// Within so many milliseconds the same denial is the same entry.
const SAME_MS: i64 = 60_000;

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A wrong password, or no such user.
    Auth,
    Command,
    Key,
    Channel,
}

impl Reason {
    /// Its name in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
}

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) count: i64,
    pub(crate) reason: Reason,
    /// Where it was called from: `toplevel`, `multi` or `lua`.
    pub(crate) context: &'static str,
    /// The command, key or channel.
    pub(crate) object: Box<[u8]>,
    pub(crate) username: Box<[u8]>,
    /// Milliseconds since 1970, of the latest time.
    pub(crate) at_ms: i64,
    /// Who called, as CLIENT LIST tells of them.
    pub(crate) client: Box<[u8]>,
}

impl Entry {
    fn is_like(&self, other: &Entry) -> bool {
        self.reason == other.reason
            && self.context == other.context
            && self.object == other.object
            && self.username == other.username
            && (self.at_ms - other.at_ms).abs() <= SAME_MS
    }
}

/// What was denied.
#[derive(Default)]
pub(crate) struct Log(VecDeque<Entry>);

impl Log {
    /// Notes a denial; at most so many are kept.
    pub(crate) fn add(&mut self, mut entry: Entry, most: usize) {
        let known = self.0.iter().position(|known| known.is_like(&entry));
        if let Some(known) = known.and_then(|at| self.0.remove(at)) {
            entry.count += known.count;
        }
        self.0.push_front(entry);
        self.0.truncate(most);
    }

    /// The entries, the latest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

//! What is to be told to others once a step is over.
//!
//! Commands and editors put it here, in order; what belongs to a section that is undone is taken
//! back. The engine delivers the rest when nothing can undo it any more. Only what MONITOR shows is
//! told whatever becomes of it: it is not what was done but what was asked.

use super::events::{Event, Events};
use super::feed::{Effect, Feed, removal};
use super::limits::OutputLimits;
use super::subscriptions::{Kind, Subscriptions};
use super::tracking::Follower;
use crate::number::IntText;
use crate::resp;

/// One thing to be told.
pub(crate) enum Told {
    /// A message to those who listen to a channel of this kind.
    Message { kind: Kind, channel: Box<[u8]>, text: Box<[u8]> },
    /// All keys of a database are gone.
    Flushed,
    /// The same, for the client that has removed them: it is told behind its reply.
    FlushedByCaller,
    /// A change, for replicas.
    Effect(Effect),
}

/// Who may see what is called, and what they are to be told.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) subscriptions: Subscriptions,
    told: Vec<Told>,
    /// The events that are told.
    events: Events,
    /// The calls that were seen, as MONITOR shows them.
    seen: Vec<String>,
    /// How many clients see every call.
    monitors: usize,
    /// Whether anybody wants to know of the calls that are made now.
    overheard: bool,
    /// Whether a key that comes to be takes the place of one that was there just now.
    replacing: bool,
    /// What is told of keys that are asked for and do not exist.
    misses: Misses,
    /// Who calls now, if the keys it is shown are to be remembered.
    follower: Option<Follower>,
    /// The keys that the script at work was called with, where that is somebody.
    declared: Vec<Box<[u8]>>,
    /// How much a client may leave untaken.
    pub(crate) output_limits: OutputLimits,
    /// What replicas are told.
    pub(crate) feed: Feed,
    /// Calls that are to be put off, and until when.
    pub(crate) pause: Option<Pause>,
}

/// Which keys that do not exist are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Misses {
    /// None: the command does not read, or nobody wants to know.
    #[default]
    None,
    /// Each that is asked for.
    All,
    /// These, which are only read; others are to be written.
    Of(Vec<Box<[u8]>>),
}

/// Calls are put off for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The end, in milliseconds since 1970.
    pub(crate) until_ms: i64,
    /// Whether only those that write are.
    pub(crate) writes_only: bool,
}

impl News {
    /// A client begins a call; it is given if the keys it is shown are to be remembered.
    #[inline]
    pub(crate) fn begin_call(&mut self, follower: Option<Follower>) {
        self.follower = follower;
        let is_watched = self.monitors > 0 || self.events.has_any(Events::MISS);
        self.overheard = follower.is_some() || is_watched || self.feed.is_open();
    }

    /// Whether anybody wants to know of the calls that are made now.
    #[inline]
    pub(crate) fn is_overheard(&self) -> bool {
        self.overheard
    }

    /// Whether there is anything to tell.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        !self.told.is_empty()
    }

    /// How much there is to tell so far.
    pub(crate) fn told(&self) -> usize {
        self.told.len()
    }

    /// What came after a moment is not told.
    pub(crate) fn rewind(&mut self, told: usize) {
        self.told.truncate(told);
    }

    /// Takes what is to be told.
    pub(crate) fn take(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// A message for those who listen to a channel; returns how many do.
    pub(crate) fn publish(&mut self, kind: Kind, channel: &[u8], text: &[u8]) -> usize {
        let audience = self.subscriptions.audience(kind, channel);
        if audience > 0 {
            self.told.push(Told::Message { kind, channel: channel.into(), text: text.into() });
        }
        audience
    }

    /// All keys of a database are gone, which is told once of several databases.
    pub(crate) fn flushed(&mut self) {
        if !matches!(self.told.last(), Some(Told::Flushed)) {
            self.told.push(Told::Flushed);
        }
    }

    /// The same, of which all were told but the client that has called.
    pub(crate) fn flushed_by_caller(&mut self) {
        self.told.push(Told::FlushedByCaller);
    }
}

/// What replicas are told.
impl News {
    /// A change was made in a database, which a command stands for.
    #[cold]
    pub(crate) fn effect(&mut self, database: usize, command: &[&[u8]]) {
        self.put_effect(database, false, command);
    }

    /// A key is gone because its time was up.
    #[inline]
    pub(crate) fn expired(&mut self, database: usize, key: &[u8]) {
        if self.feed.is_open() {
            let command = removal(self.feed.lazily.expires);
            self.put_effect(database, self.feed.wanders, &[command, key]);
        }
    }

    /// A key is gone because memory was short.
    pub(crate) fn evicted(&mut self, database: usize, key: &[u8]) {
        if self.feed.is_open() {
            self.put_effect(database, true, &[removal(self.feed.lazily.evicts), key]);
        }
    }

    fn put_effect(&mut self, database: usize, alone: bool, command: &[&[u8]]) {
        let mut request = Vec::new();
        resp::request(command, &mut request);
        self.told.push(Told::Effect(Effect { database, alone, request }));
    }
}

/// Events of keys.
impl News {
    /// The events that are told.
    #[inline]
    pub(crate) fn events(&self) -> Events {
        self.events
    }

    /// Chooses them.
    pub(crate) fn set_events(&mut self, events: Events) {
        self.events = events;
    }

    /// Something happened to a key of a database: those are told who listen to the key, and then
    /// those who listen to the event.
    pub(crate) fn event(&mut self, event: Event, key: &[u8], database: usize) {
        let Event { class, name } = event;
        let is_hidden = class == Events::NEW && self.replacing;
        if !self.events.has_any(class) || is_hidden || self.subscriptions.nobody_listens() {
            return;
        }
        let database = IntText::new(database as i64);
        let channel = |kind: &[u8], name: &[u8]| {
            [b"__", kind, b"@", database.as_bytes(), b"__:", name].concat()
        };
        if self.events.has_any(Events::KEYSPACE) {
            self.publish(Kind::Channel, &channel(b"keyspace", key), name.as_bytes());
        }
        if self.events.has_any(Events::KEYEVENT) {
            self.publish(Kind::Channel, &channel(b"keyevent", name.as_bytes()), key);
        }
    }
}

/// What lies between the events of one command.
impl News {
    /// A key that comes to be from here on is not told of as a new one.
    pub(crate) fn set_replacing(&mut self, replacing: bool) {
        self.replacing = replacing;
    }

    /// Chooses which keys that do not exist are told of; returns what was chosen before.
    pub(crate) fn set_misses(&mut self, misses: Misses) -> Misses {
        std::mem::replace(&mut self.misses, misses)
    }

    /// Whether any are.
    #[inline]
    pub(crate) fn tells_misses(&self) -> bool {
        !matches!(self.misses, Misses::None)
    }

    /// A key was asked for that does not exist.
    pub(crate) fn missed(&mut self, key: &[u8], database: usize) {
        let is_told = match &self.misses {
            Misses::None => false,
            Misses::All => true,
            Misses::Of(keys) => keys.iter().any(|own| **own == *key),
        };
        if is_told {
            self.event(Event::KEYMISS, key, database);
        }
    }
}

/// What is seen of calls.
impl News {
    /// Whether any client sees every call.
    #[inline]
    pub(crate) fn is_monitored(&self) -> bool {
        self.monitors > 0
    }

    /// One client more, or fewer, sees every call.
    pub(crate) fn count_monitor(&mut self, more: bool) {
        self.monitors = if more { self.monitors + 1 } else { self.monitors.saturating_sub(1) };
    }

    /// A call was seen, in the form in which MONITOR shows it.
    pub(crate) fn see(&mut self, line: String) {
        self.seen.push(line);
    }

    /// Takes the calls that were seen.
    pub(crate) fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    /// A script is called with these keys, by somebody who wants to know of those that he is shown.
    #[inline]
    pub(crate) fn declare(&mut self, keys: &[&[u8]]) {
        if self.follower.is_some() {
            self.declared = keys.iter().map(|&key| key.into()).collect();
        }
    }

    /// Takes the keys that the script at work was called with: once they are shown, they are.
    pub(crate) fn take_declared(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.declared)
    }

    /// Who calls now, if the keys it is shown are to be remembered.
    pub(crate) fn follower(&self) -> Option<Follower> {
        self.follower
    }
}

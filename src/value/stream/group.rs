//! Consumer groups: what was delivered to whom and is not yet acknowledged.
//!
//! What is pending is kept once for the group, with its owner, and once more for each consumer as
//! mere IDs. Groups and consumers are shared between clones and copied when first written to.

use super::id::Id;
use super::id_map::IdMap;
use crate::cow::{Arc, own};

/// A consumer of a group, by its place there; good until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerId(u32);

/// An entry that was delivered and not yet acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// To whom.
    pub(crate) owner: ConsumerId,
    /// When, the last time, in milliseconds since 1970.
    pub(crate) delivered_ms: i64,
    /// How often.
    pub(crate) deliveries: u64,
}

/// A consumer group.
#[derive(Clone)]
pub(crate) struct Group {
    name: Box<[u8]>,
    cursor: Cursor,
    pending: IdMap<Pending>,
    /// By place; free ones have none.
    consumers: Vec<Option<Arc<Consumer>>>,
    /// The places of the consumers, by name.
    by_name: Vec<ConsumerId>,
}

/// How far a group has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last entry that was delivered.
    pub(crate) last_id: Id,
    /// How many entries were read, where that is known.
    pub(crate) entries_read: Option<u64>,
}

/// A consumer.
#[derive(Clone)]
pub(crate) struct Consumer {
    name: Box<[u8]>,
    seen_ms: i64,
    pending: IdMap<()>,
}

/// A consumer that was removed, with all that it takes to bring it back.
pub(crate) struct Removed {
    id: ConsumerId,
    consumer: Arc<Consumer>,
    pending: Vec<(Id, Pending)>,
}

impl Removed {
    /// How many entries were pending.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }
}

impl Consumer {
    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// When it was last seen, in milliseconds since 1970.
    pub(crate) fn seen_ms(&self) -> i64 {
        self.seen_ms
    }

    /// How many entries are pending for it.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The IDs of what is pending for it, from one on.
    pub(crate) fn pending_from(&self, id: Id) -> impl Iterator<Item = Id> {
        self.pending.iter_from(id).map(|(id, ())| id)
    }
}

/// Reading.
impl Group {
    /// A group without consumers.
    pub(crate) fn new(name: &[u8], cursor: Cursor) -> Group {
        let (consumers, by_name) = (Vec::new(), Vec::new());
        Group { name: name.into(), cursor, pending: IdMap::default(), consumers, by_name }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// How far it has read.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// All that is pending.
    pub(crate) fn pending(&self) -> &IdMap<Pending> {
        &self.pending
    }

    /// Number of consumers.
    pub(crate) fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers, by name.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.by_name.iter().filter_map(|&id| Some((id, self.consumer(id)?)))
    }

    /// The consumer with a name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.search(name).ok().and_then(|at| self.by_name.get(at)).copied()
    }

    /// The consumer at a place.
    pub(crate) fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id.0 as usize)?.as_deref()
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        let name_of = |id: &ConsumerId| self.consumer(*id).map_or(&[][..], Consumer::name);
        self.by_name.binary_search_by(|id| name_of(id).cmp(name))
    }
}

/// Changes.
impl Group {
    /// Moves what the group has read; returns how far it had.
    pub(crate) fn set_cursor(&mut self, cursor: Cursor) -> Cursor {
        std::mem::replace(&mut self.cursor, cursor)
    }

    /// Adds a consumer whose name is free.
    pub(crate) fn add_consumer(&mut self, name: &[u8], seen_ms: i64) -> ConsumerId {
        let places = self.consumers.len();
        let is_free = |at: &usize| self.consumers.get(*at).is_some_and(Option::is_none);
        let free = (self.by_name.len() < places).then(|| (0..places).find(is_free)).flatten();
        let id = ConsumerId(free.unwrap_or(places) as u32);
        let consumer = Consumer { name: name.into(), seen_ms, pending: IdMap::default() };
        self.place(id, Arc::new(consumer));
        id
    }

    fn place(&mut self, id: ConsumerId, consumer: Arc<Consumer>) {
        if let Err(at) = self.search(&consumer.name) {
            self.by_name.insert(at, id);
        }
        let place = id.0 as usize;
        if place >= self.consumers.len() {
            self.consumers.resize(place + 1, None);
        }
        if let Some(slot) = self.consumers.get_mut(place) {
            *slot = Some(consumer);
        }
    }

    /// Removes a consumer and all that is pending for it.
    pub(crate) fn remove_consumer(&mut self, id: ConsumerId) -> Option<Removed> {
        let at = self.search(self.consumer(id)?.name()).ok()?;
        self.by_name.remove(at);
        let consumer = self.consumers.get_mut(id.0 as usize)?.take()?;
        let ids = consumer.pending_from(Id::MIN);
        let pending = ids.filter_map(|id| Some((id, self.pending.remove(id)?))).collect();
        Some(Removed { id, consumer, pending })
    }

    /// Brings a removed consumer back.
    pub(crate) fn restore_consumer(&mut self, removed: Removed) {
        self.place(removed.id, removed.consumer);
        removed.pending.into_iter().for_each(|(id, pending)| {
            self.pending.insert(id, pending);
        });
    }

    /// Notes when a consumer was seen; returns when it was before.
    pub(crate) fn touch(&mut self, id: ConsumerId, seen_ms: i64) -> Option<i64> {
        let consumer = self.consumer_mut(id)?;
        Some(std::mem::replace(&mut consumer.seen_ms, seen_ms))
    }

    /// Makes an entry pending, or no longer so; returns how it was.
    pub(crate) fn set_pending(&mut self, id: Id, new: Option<Pending>) -> Option<Pending> {
        let old = match new {
            Some(pending) => self.pending.insert(id, pending),
            None => self.pending.remove(id),
        };
        let (before, after) = (old.map(|old| old.owner), new.map(|new| new.owner));
        if before == after {
            return old;
        }
        if let Some(consumer) = before.and_then(|owner| self.consumer_mut(owner)) {
            consumer.pending.remove(id);
        }
        if let Some(consumer) = after.and_then(|owner| self.consumer_mut(owner)) {
            consumer.pending.insert(id, ());
        }
        old
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.consumers.get_mut(id.0 as usize)?.as_mut().map(own)
    }
}

impl Pending {
    /// The record as bytes.
    pub(crate) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let (owner, rest) = bytes.split_at_mut(4);
        let (delivered, deliveries) = rest.split_at_mut(8);
        owner.copy_from_slice(&self.owner.0.to_le_bytes());
        delivered.copy_from_slice(&self.delivered_ms.to_le_bytes());
        deliveries.copy_from_slice(&self.deliveries.to_le_bytes());
        bytes
    }

    /// The opposite of [`Pending::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Pending> {
        let (owner, rest) = bytes.split_first_chunk()?;
        let (delivered, rest) = rest.split_first_chunk()?;
        Some(Pending {
            owner: ConsumerId(u32::from_le_bytes(*owner)),
            delivered_ms: i64::from_le_bytes(*delivered),
            deliveries: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

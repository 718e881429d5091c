//! Who listens to which channels.
//!
//! Subscribers are known by the place of their session. What each of them listens to, it keeps
//! itself ([`Listening`]); here is the other direction.

use crate::glob;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of subscription, which know nothing of one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To a channel by its name.
    Channel,
    /// To all channels whose names match a pattern.
    Pattern,
    /// To a channel of a shard, which patterns do not see.
    Shard,
}

/// What one client listens to.
#[derive(Default)]
pub(crate) struct Listening {
    channels: BTreeSet<Box<[u8]>>,
    patterns: BTreeSet<Box<[u8]>>,
    shards: BTreeSet<Box<[u8]>>,
}

impl Listening {
    fn names_mut(&mut self, kind: Kind) -> &mut BTreeSet<Box<[u8]>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// The names of one kind.
    pub(crate) fn names(&self, kind: Kind) -> &BTreeSet<Box<[u8]>> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    /// How many subscriptions a confirmation counts: channels and patterns together.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::Shard => self.shards.len(),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }
}

type ByName = BTreeMap<Box<[u8]>, Vec<usize>>;

/// Who listens to what.
#[derive(Default)]
pub(crate) struct Subscriptions {
    channels: ByName,
    patterns: ByName,
    shards: ByName,
}

impl Subscriptions {
    fn by_name(&self, kind: Kind) -> &ByName {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    fn by_name_mut(&mut self, kind: Kind) -> &mut ByName {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// One more listens, unless it does already.
    pub(crate) fn add(&mut self, kind: Kind, name: &[u8], client: usize, own: &mut Listening) {
        if own.names_mut(kind).insert(name.into()) {
            self.by_name_mut(kind).entry(name.into()).or_default().push(client);
        }
    }

    /// One does not listen any more, if it did.
    pub(crate) fn remove(&mut self, kind: Kind, name: &[u8], client: usize, own: &mut Listening) {
        if !own.names_mut(kind).remove(name) {
            return;
        }
        let names = self.by_name_mut(kind);
        if let Some(clients) = names.get_mut(name) {
            clients.retain(|other| *other != client);
            if clients.is_empty() {
                names.remove(name);
            }
        }
    }

    /// One does not listen to anything any more.
    pub(crate) fn remove_all(&mut self, client: usize, own: &mut Listening) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            while let Some(name) = own.names(kind).first().cloned() {
                self.remove(kind, &name, client, own);
            }
        }
    }

    /// Whether nobody listens to anything that has to do with channels by name or pattern.
    pub(crate) fn nobody_listens(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Those who listen to a channel of a kind by its very name.
    pub(crate) fn listeners(&self, kind: Kind, name: &[u8]) -> &[usize] {
        self.by_name(kind).get(name).map_or(&[], Vec::as_slice)
    }

    /// The patterns that a channel's name matches, each with those who listen to it.
    pub(crate) fn matching<'s>(
        &'s self,
        name: &'s [u8],
    ) -> impl Iterator<Item = (&'s [u8], &'s [usize])> {
        let matching = self.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, name));
        matching.map(|(pattern, clients)| (&**pattern, clients.as_slice()))
    }

    /// How many will hear of a message.
    pub(crate) fn audience(&self, kind: Kind, name: &[u8]) -> usize {
        let direct = self.listeners(kind, name).len();
        match kind {
            Kind::Shard => direct,
            _ => direct + self.matching(name).map(|(_, clients)| clients.len()).sum::<usize>(),
        }
    }

    /// The channels of a kind that somebody listens to, with how many do.
    pub(crate) fn named(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.by_name(kind).keys().map(AsRef::as_ref)
    }

    /// How many names of a kind somebody listens to.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.by_name(kind).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_twice_hears_twice_and_only_until_it_leaves() {
        let (mut all, mut own, mut other) =
            (Subscriptions::default(), Listening::default(), Listening::default());
        all.add(Kind::Channel, b"news", 4, &mut own);
        all.add(Kind::Channel, b"news", 4, &mut own);
        all.add(Kind::Pattern, b"n*", 4, &mut own);
        all.add(Kind::Pattern, b"n?ws", 5, &mut other);
        all.add(Kind::Shard, b"news", 5, &mut other);
        assert_eq!(own.count(Kind::Pattern), 2);
        assert_eq!(all.audience(Kind::Channel, b"news"), 3);
        assert_eq!(all.audience(Kind::Shard, b"news"), 1);
        all.remove_all(4, &mut own);
        assert!(own.is_empty());
        assert_eq!(all.audience(Kind::Channel, b"news"), 1);
        assert_eq!(all.count(Kind::Channel), 0, "a channel nobody listens to is none");
    }
}

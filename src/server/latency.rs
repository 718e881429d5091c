//! Events that took long: for each kind of event the latest samples, at most one a second.

use std::collections::{BTreeMap, VecDeque};

/// The most samples that are kept of one kind of event.
const SAMPLES_MOST: usize = 160;

/// An event that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) ms: i64,
}

/// The events of one kind.
#[derive(Default)]
pub(crate) struct Events {
    samples: VecDeque<Sample>,
    /// The longest there ever was.
    pub(crate) most_ms: i64,
}

impl Events {
    /// The samples, the oldest first.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        self.samples.iter().copied()
    }

    /// The latest one.
    pub(crate) fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }
}

/// Events that took long, by their kind.
#[derive(Default)]
pub(crate) struct Latency {
    events: BTreeMap<&'static str, Events>,
}

impl Latency {
    /// One more. Of those in the same second the longest is kept.
    pub(crate) fn add(&mut self, event: &'static str, ms: i64, at: i64) {
        let events = self.events.entry(event).or_default();
        events.most_ms = events.most_ms.max(ms);
        match events.samples.back_mut().filter(|last| last.at == at) {
            Some(last) => last.ms = last.ms.max(ms),
            None => {
                events.samples.push_back(Sample { at, ms });
                if events.samples.len() > SAMPLES_MOST {
                    events.samples.pop_front();
                }
            }
        }
    }

    /// The events of a kind.
    pub(crate) fn find(&self, event: &[u8]) -> Option<(&'static str, &Events)> {
        let same = |name: &&str| name.as_bytes().eq_ignore_ascii_case(event);
        self.events.iter().find(|(name, _)| same(name)).map(|(name, events)| (*name, events))
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Events)> {
        self.events.iter().map(|(name, events)| (*name, events))
    }

    /// How many kinds there are.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Forgets the events of a kind; false if there are none.
    pub(crate) fn forget(&mut self, event: &[u8]) -> bool {
        let name = self.find(event).map(|(name, _)| name);
        name.is_some_and(|name| self.events.remove(name).is_some())
    }

    /// Forgets all; tells of how many kinds.
    pub(crate) fn forget_all(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }
}

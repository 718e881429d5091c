//! Caches on the clients' side: which client was shown which key, and whom to tell when it changes.
//!
//! The journal tells of every key that is touched; what was touched in a section that is undone was
//! not touched. Keys are known by their names alone, whatever database they are in, as in Redis.

use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A client by the place of its session, and its number: another may sit in that place meanwhile.
pub(crate) type Follower = (usize, u64);

/// Those who were shown one key: seldom more than two.
pub(crate) type Followers = SmallVec<[Follower; 2]>;

/// How a client wants to be told of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracking {
    pub(crate) mode: Mode,
    /// Not of its own changes.
    pub(crate) noloop: bool,
    /// Another client is told in its place.
    pub(crate) redirect: Option<u64>,
    /// That one is gone.
    pub(crate) broken: bool,
    /// What CLIENT CACHING said of the next command.
    pub(crate) caching: bool,
    /// With [`Mode::Broadcast`] the prefixes of the keys, none for all keys.
    pub(crate) prefixes: BTreeSet<Box<[u8]>>,
}

/// Of which keys a client is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Of those it was shown.
    #[default]
    Shown,
    /// Of those it was shown by a command it announced.
    OptIn,
    /// Of those it was shown but by a command it announced.
    OptOut,
    /// Of all with certain prefixes.
    Broadcast,
}

impl Tracking {
    /// Whether what the next command shows is to be remembered.
    pub(crate) fn remembers(&self) -> bool {
        match self.mode {
            Mode::Shown => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
            Mode::Broadcast => false,
        }
    }
}

/// The keys that clients were shown, and those of them that were touched.
#[derive(Default)]
pub(crate) struct Followed {
    keys: HashMap<Box<[u8]>, Followers>,
    /// How many clients are told of keys at all.
    clients: usize,
    /// How many of them are told of keys they were not shown.
    broadcasts: usize,
    /// The prefixes of those keys, each with how many clients have it.
    prefixes: BTreeMap<Box<[u8]>, usize>,
    touched: Vec<Box<[u8]>>,
    seen: HashSet<Box<[u8]>>,
    /// Those among them that no client changed: their time was up, or there was no room to remember
    /// them.
    by_themselves: HashSet<Box<[u8]>>,
    /// More keys than these are not remembered; none for no limit.
    most: Option<usize>,
}

/// A key that was touched, and who was shown it.
pub(crate) struct Touched {
    pub(crate) key: Box<[u8]>,
    pub(crate) followers: Followers,
    /// Whether it went by itself, rather than that the client at work changed it.
    pub(crate) by_itself: bool,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Keys that clients were shown, and how often in all.
    pub(crate) keys: usize,
    pub(crate) items: usize,
    /// Prefixes of which clients are told, each counted once.
    pub(crate) prefixes: usize,
    /// Clients that are told of keys.
    pub(crate) clients: usize,
}

/// What Redis remembers unless told otherwise.
pub(crate) const KEYS_MOST: usize = 1_000_000;

impl Followed {
    /// Whether nobody is to be told of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.broadcasts == 0
    }

    /// Whether no client is told of keys.
    pub(crate) fn is_idle(&self) -> bool {
        self.clients == 0
    }

    /// A client was shown a key.
    pub(crate) fn show(&mut self, key: &[u8], follower: Follower) {
        let followers = match self.keys.get_mut(key) {
            Some(followers) => followers,
            None => self.keys.entry(key.into()).or_default(),
        };
        if !followers.contains(&follower) {
            followers.push(follower);
        }
        self.keep_within_most(key);
    }

    /// Where there are too many keys, the clients that were shown one of them are told that it
    /// changed, so that it needs to be remembered no longer: it goes with those that were touched.
    fn keep_within_most(&mut self, latest: &[u8]) {
        let most = self.most();
        if most == 0 || self.keys.len() <= most.saturating_add(self.touched.len()) {
            return;
        }
        let spare = |key: &[u8]| key != latest && !self.seen.contains(key);
        if let Some(victim) = self.keys.keys().find(|key| spare(key)).cloned() {
            self.give_up(&victim);
        }
    }

    /// More keys than these are not remembered; 0 for no limit. What is too many by then is given
    /// up as above.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = Some(most);
        if most == 0 || self.keys.len() <= most {
            return;
        }
        let left = self.keys.keys().filter(|key| !self.seen.contains(*key));
        let victims: Vec<_> = left.skip(most).cloned().collect();
        victims.iter().for_each(|key| self.give_up(key));
    }

    /// The same, as it was set.
    pub(crate) fn most(&self) -> usize {
        self.most.unwrap_or(KEYS_MOST)
    }

    /// How much is remembered.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            keys: self.keys.len(),
            items: self.keys.values().map(SmallVec::len).sum(),
            prefixes: self.prefixes.len(),
            clients: self.clients,
        }
    }

    /// A client is told of keys in another way than before; none where it is not told at all.
    pub(crate) fn change(&mut self, before: Option<&Tracking>, after: Option<&Tracking>) {
        let broadcasts = |tracking: &&Tracking| tracking.mode == Mode::Broadcast;
        let broadcast =
            |tracking: Option<&Tracking>| usize::from(tracking.as_ref().is_some_and(broadcasts));
        self.clients = self.clients + usize::from(after.is_some()) - usize::from(before.is_some());
        self.broadcasts = self.broadcasts + broadcast(after) - broadcast(before);
        for prefix in after.iter().flat_map(|tracking| &tracking.prefixes) {
            *self.prefixes.entry(prefix.clone()).or_default() += 1;
        }
        for prefix in before.iter().flat_map(|tracking| &tracking.prefixes) {
            if let Some(count) = self.prefixes.get_mut(prefix) {
                *count -= 1;
                if *count == 0 {
                    self.prefixes.remove(prefix);
                }
            }
        }
    }

    /// A key was touched.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if self.broadcasts > 0 || self.keys.contains_key(key) {
            self.note(key);
        }
    }

    /// A key that was touched just now went by itself. Whoever does not want to be told of his own
    /// changes is told of this one.
    pub(crate) fn went(&mut self, key: &[u8]) {
        if self.seen.contains(key) {
            self.by_themselves.insert(key.into());
        }
    }

    fn note(&mut self, key: &[u8]) {
        if !self.seen.contains(key) {
            self.seen.insert(key.into());
            self.touched.push(key.into());
        }
    }

    /// A key is remembered no longer: all are told who were shown it.
    fn give_up(&mut self, key: &[u8]) {
        self.note(key);
        self.went(key);
    }

    /// How many keys were touched so far.
    #[inline]
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// The keys touched after a moment were not, after all.
    pub(crate) fn rewind(&mut self, touched: usize) {
        for key in self.touched.split_off(touched.min(self.touched.len())) {
            self.seen.remove(&key);
            self.by_themselves.remove(&key);
        }
    }

    /// The keys that were touched, each with those who were shown it, which are told once.
    pub(crate) fn take_touched(&mut self) -> Vec<Touched> {
        self.seen.clear();
        let touched = std::mem::take(&mut self.touched);
        let with_followers = touched.into_iter().map(|key| {
            let followers = self.keys.remove(&key).unwrap_or_default();
            Touched { by_itself: self.by_themselves.remove(&key), key, followers }
        });
        with_followers.collect()
    }

    /// Nobody was shown anything: all keys are gone.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(followed: &mut Followed) -> Vec<(String, usize)> {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        let touched = followed.take_touched();
        touched.iter().map(|touched| (text(&touched.key), touched.followers.len())).collect()
    }

    #[test]
    fn a_key_is_told_once_to_those_who_were_shown_it() {
        let mut followed = Followed::default();
        followed.show(b"k", (3, 30));
        followed.show(b"k", (3, 30));
        followed.show(b"k", (4, 40));
        followed.touch(b"other");
        followed.touch(b"k");
        followed.touch(b"k");
        assert_eq!(names(&mut followed), [("k".to_owned(), 2)]);
        followed.touch(b"k");
        assert!(names(&mut followed).is_empty());
    }

    #[test]
    fn who_changed_a_key_is_told_that_its_time_was_up() {
        let mut followed = Followed::default();
        followed.show(b"k", (3, 30));
        followed.went(b"k");
        followed.touch(b"k");
        assert!(!followed.take_touched()[0].by_itself, "it was not touched by then");
        followed.show(b"k", (3, 30));
        followed.touch(b"k");
        followed.went(b"k");
        assert!(followed.take_touched()[0].by_itself && followed.by_themselves.is_empty());
    }

    #[test]
    fn what_is_undone_was_not_touched() {
        let mut followed = Followed::default();
        let tracking = Tracking { mode: Mode::Broadcast, ..Tracking::default() };
        followed.change(None, Some(&tracking));
        followed.touch(b"a");
        let moment = followed.touched();
        followed.touch(b"b");
        followed.rewind(moment);
        followed.touch(b"b");
        assert_eq!(names(&mut followed), [("a".to_owned(), 0), ("b".to_owned(), 0)]);
    }

    #[test]
    fn beyond_the_limit_a_key_is_given_up() {
        let mut followed = Followed::default();
        followed.set_most(2);
        for key in [b"a", b"b", b"c"] {
            followed.show(key, (1, 1));
        }
        assert_eq!(names(&mut followed).len(), 1);
        assert_eq!(followed.keys.len(), 2);
    }

    #[test]
    fn a_lower_limit_gives_up_all_that_is_too_many() {
        let mut followed = Followed::default();
        for key in 0..250_u8 {
            followed.show(&[key], (1, 1));
        }
        followed.touch(&[7]);
        followed.set_most(3);
        assert_eq!(followed.take_touched().len(), 247);
        assert_eq!(followed.keys.len(), 3);
        followed.set_most(0);
        assert!(followed.take_touched().is_empty(), "0 is no limit");
    }

    #[test]
    fn a_prefix_counts_once_as_long_as_anybody_has_it() {
        let tracking = |prefixes: &[&[u8]]| Tracking {
            mode: Mode::Broadcast,
            prefixes: prefixes.iter().map(|&prefix| prefix.into()).collect(),
            ..Tracking::default()
        };
        let mut followed = Followed::default();
        let (first, second) = (tracking(&[b"a"]), tracking(&[b"a", b"b"]));
        followed.change(None, Some(&first));
        followed.change(None, Some(&second));
        assert_eq!(followed.counts(), Counts { keys: 0, items: 0, prefixes: 2, clients: 2 });
        followed.change(Some(&first), Some(&second));
        followed.change(Some(&second), None);
        assert_eq!(followed.counts(), Counts { keys: 0, items: 0, prefixes: 2, clients: 1 });
        followed.change(Some(&second), None);
        assert_eq!(followed.counts(), Counts { keys: 0, items: 0, prefixes: 0, clients: 0 });
    }
}

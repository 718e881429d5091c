//! When keys were used last, or how often: what OBJECT IDLETIME and FREQ tell, and eviction goes by.
//!
//! Each key has a note of 24 bits. Under most policies it is the second of the last use. Under those
//! that go by frequency it is the minute in which the note was last written, and above it a counter
//! that grows ever more slowly with the uses and falls with the minutes without any.
//!
//! A note is written by the look-up that uses a key, if it is not right already. It is no part of the
//! data: nothing of it is undone. A block that a snapshot has too is not copied for it; its note
//! stays as it is while the two share it.

use super::entry::Entry;
use super::{Keyspace, Location, Slot};

/// What keys go when there is not enough memory for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Of those with a deadline one that was not used for long.
    VolatileLru,
    /// Of those with a deadline one that is seldom used.
    VolatileLfu,
    /// Of those with a deadline any.
    VolatileRandom,
    /// The one whose deadline is near.
    VolatileTtl,
    /// One that was not used for long.
    AllKeysLru,
    /// One that is seldom used.
    AllKeysLfu,
    /// Any.
    AllKeysRandom,
    /// None.
    #[default]
    NoEviction,
}

impl Policy {
    /// All, with their names, in the order in which they are listed.
    pub(crate) const ALL: [(Policy, &'static str); 8] = [
        (Policy::VolatileLru, "volatile-lru"),
        (Policy::VolatileLfu, "volatile-lfu"),
        (Policy::VolatileRandom, "volatile-random"),
        (Policy::VolatileTtl, "volatile-ttl"),
        (Policy::AllKeysLru, "allkeys-lru"),
        (Policy::AllKeysLfu, "allkeys-lfu"),
        (Policy::AllKeysRandom, "allkeys-random"),
        (Policy::NoEviction, "noeviction"),
    ];

    /// Whether keys without a deadline may go too.
    pub(super) fn takes_all(self) -> bool {
        matches!(self, Policy::AllKeysLru | Policy::AllKeysLfu | Policy::AllKeysRandom)
    }

    /// Whether it goes by when keys were used last.
    fn is_by_idle_time(self) -> bool {
        matches!(self, Policy::VolatileLru | Policy::AllKeysLru)
    }

    /// Whether it goes by how often keys are used.
    pub(crate) fn is_by_frequency(self) -> bool {
        matches!(self, Policy::VolatileLfu | Policy::AllKeysLfu)
    }
}

/// How memory is limited, and uses are noted; Redis's `maxmemory` settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eviction {
    /// `maxmemory`, in bytes; 0 for no limit.
    pub(crate) memory_most: u64,
    /// `maxmemory-policy`.
    pub(crate) policy: Policy,
    /// `maxmemory-samples`.
    pub(crate) samples: usize,
    /// `lfu-log-factor`.
    pub(crate) log_factor: u32,
    /// `lfu-decay-time`, in minutes.
    pub(crate) decay_minutes: u32,
}

impl Default for Eviction {
    /// Redis's defaults.
    fn default() -> Self {
        Eviction {
            memory_most: 0,
            policy: Policy::default(),
            samples: 5,
            log_factor: 10,
            decay_minutes: 1,
        }
    }
}

/// The bits of a note.
const NOTE: u32 = 0xff_ffff;
/// Equal to no note, so that every use is looked at.
pub(super) const EVERY_USE: u32 = !NOTE;
/// The bits of a note that are minutes; the counter lies above.
const MINUTES: u32 = 0xffff;
/// The counter of a new key, lest it is the first to go.
const COUNTER_FIRST: u32 = 5;
const COUNTER_MOST: u32 = 255;

/// The second of a time, as notes have it.
fn second(now_ms: i64) -> u32 {
    now_ms.div_euclid(1000) as u32 & NOTE
}

/// The minute of a time, as notes have it.
fn minute(now_ms: i64) -> u32 {
    now_ms.div_euclid(60_000) as u32 & MINUTES
}

/// The note of a key that was not used for so many seconds.
fn idle_note(idle_seconds: i64, now_ms: i64) -> u32 {
    let (now, round) = (i64::from(second(now_ms)), i64::from(NOTE));
    let note = match now.checked_sub(idle_seconds) {
        Some(note) if note >= 0 => note,
        _ => (now + round).wrapping_sub(idle_seconds) % round,
    };
    note as u32 & NOTE
}

/// The seconds that have passed since a note.
fn idle_seconds(note: u32, now_ms: i64) -> u32 {
    let now = second(now_ms);
    if now >= note { now - note } else { now + (NOTE - note) }
}

impl Eviction {
    /// The counter of a note, after it has fallen for the minutes since.
    fn counter(&self, note: u32, now_ms: i64) -> u32 {
        let (counter, then) = (note >> 16, note & MINUTES);
        let passed = minute(now_ms).wrapping_sub(then) & MINUTES;
        counter.saturating_sub(passed.checked_div(self.decay_minutes).unwrap_or(0))
    }

    /// How little a key with this note was used: the more, the sooner it may go.
    pub(super) fn staleness(&self, note: u32, now_ms: i64) -> i64 {
        match self.policy.is_by_frequency() {
            true => -i64::from(self.counter(note, now_ms)),
            false => idle_seconds(note, now_ms).into(),
        }
    }

    /// The note of a new key.
    fn fresh(&self, now_ms: i64) -> u32 {
        match self.policy.is_by_frequency() {
            true => COUNTER_FIRST << 16 | minute(now_ms),
            false => second(now_ms),
        }
    }

    /// What a note becomes by a use; `chance` is a number from 0 up to 1.
    fn used(&self, note: u32, now_ms: i64, chance: f64) -> u32 {
        if !self.policy.is_by_frequency() {
            return second(now_ms);
        }
        let counter = self.counter(note, now_ms);
        let over = f64::from(counter.saturating_sub(COUNTER_FIRST));
        let grows =
            counter < COUNTER_MOST && chance < 1.0 / (over * f64::from(self.log_factor) + 1.0);
        (counter + u32::from(grows)) << 16 | minute(now_ms)
    }
}

/// What is known of how a key was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// For so many seconds it was not.
    Idle(u32),
    /// The counter of its uses.
    Frequency(u8),
}

impl Keyspace {
    /// How the key with this note was used, where the policy goes by that.
    pub(super) fn use_of(&self, note: u32) -> Option<Use> {
        let Eviction { policy, .. } = self.eviction;
        if policy.is_by_frequency() {
            let counter = self.eviction.counter(note, self.now());
            return Some(Use::Frequency(counter.min(COUNTER_MOST) as u8));
        }
        policy.is_by_idle_time().then(|| Use::Idle(idle_seconds(note, self.now())))
    }

    /// How memory is limited.
    pub(crate) fn eviction(&self) -> &Eviction {
        &self.eviction
    }

    /// Looks a key up and leaves its note as it is.
    #[inline]
    pub(crate) fn slot_unused(&mut self, key: &[u8]) -> Slot {
        self.look_up(key)
    }

    /// Notes that the key at a location is used.
    #[inline(always)]
    pub(super) fn note_use(&mut self, at: Location) {
        let due = self.now.second() & NOTE | self.noted;
        if self.table.get(at).note() != due {
            self.write_note(at);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_note(&mut self, at: Location) {
        let now_ms = self.now.latest_ms();
        let old = self.table.get(at).note();
        let note = self.eviction.used(old, now_ms, self.dice.fraction());
        match self.table.get_unshared(at) {
            Some(entry) => entry.set_note(note),
            None => self.table.get(at).share_note(note),
        }
    }

    /// The entry as one that was just made.
    pub(super) fn fresh(&self, mut entry: Entry) -> Entry {
        entry.set_note(self.eviction.fresh(self.now.latest_ms()));
        entry
    }

    /// For how many seconds the key at a slot was not used.
    pub(crate) fn idle_seconds(&self, slot: Slot) -> Option<u32> {
        Some(idle_seconds(self.entry(slot)?.note(), self.now()))
    }

    /// The counter of uses of the key at a slot.
    pub(crate) fn frequency(&self, slot: Slot) -> Option<u32> {
        Some(self.eviction.counter(self.entry(slot)?.note(), self.now()))
    }

    /// Makes it so that the key at a slot was not used for so many seconds; of no effect under a
    /// policy that goes by frequency.
    pub(crate) fn set_idle_seconds(&mut self, slot: Slot, seconds: i64) {
        if !self.eviction.policy.is_by_frequency() {
            self.put_note(slot, idle_note(seconds, self.now()));
        }
    }

    /// Gives the key at a slot another counter of uses; of no effect under any other policy.
    pub(crate) fn set_frequency(&mut self, slot: Slot, counter: u8) {
        if self.eviction.policy.is_by_frequency() {
            self.put_note(slot, u32::from(counter) << 16 | minute(self.now()));
        }
    }

    fn put_note(&mut self, slot: Slot, note: u32) {
        if let Some(at) = slot.at {
            self.table.get_mut(at).set_note(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: Eviction = Eviction {
        memory_most: 0,
        policy: Policy::AllKeysLfu,
        samples: 5,
        log_factor: 10,
        decay_minutes: 1,
    };

    #[test]
    fn idle_times_go_round() {
        let now_ms = 1_700_000_000_000;
        for idle in [0, 1, 77, 10_000_000, 16_777_214] {
            assert_eq!(idle_seconds(idle_note(idle, now_ms), now_ms), idle as u32);
            assert!(idle_note(idle, now_ms) <= NOTE);
        }
        assert_eq!(idle_seconds(idle_note(16_777_215, now_ms), now_ms), 0);
        assert!(idle_note(i64::MAX, now_ms) <= NOTE);
        assert_eq!(idle_seconds(second(now_ms), now_ms + 12_999), 12);
    }

    #[test]
    fn a_counter_grows_ever_more_slowly_and_falls_with_the_minutes() {
        let now_ms = 1_700_000_000_000;
        let mut note = LFU.fresh(now_ms);
        assert_eq!(LFU.counter(note, now_ms), 5);
        note = LFU.used(note, now_ms, 0.99);
        assert_eq!(LFU.counter(note, now_ms), 6);
        assert_eq!(LFU.counter(LFU.used(note, now_ms, 0.1), now_ms), 6);
        note = LFU.used(note, now_ms, 0.05);
        assert_eq!(LFU.counter(note, now_ms), 7);
        assert_eq!(LFU.counter(note, now_ms + 120_000), 5);
        assert_eq!(LFU.counter(note, now_ms + 3_600_000), 0);
        let steady = Eviction { decay_minutes: 0, ..LFU };
        assert_eq!(steady.counter(note, now_ms + 3_600_000), 7);
        let full = 255 << 16 | minute(now_ms);
        assert_eq!(LFU.counter(LFU.used(full, now_ms, 0.0), now_ms), 255);
    }
}

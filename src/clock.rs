//! The time as a call sees it: read once, when it is first asked for, and standing still after.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Not read yet in this call.
const UNREAD: i64 = i64::MIN;

/// The system's time, in microseconds since 1970.
pub(crate) fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_micros() as i64)
}

/// The system's clock, or one that the host moves.
#[derive(Clone)]
pub(crate) struct Now {
    ms: Cell<i64>,
    manual: bool,
    /// The time that was read last.
    latest_ms: Cell<i64>,
    /// The second of that.
    second: Cell<u32>,
    /// How many calls began since the time was read for one.
    unread: u32,
    /// How many may.
    unread_most: u32,
}

/// Where calls follow one another within a millisecond, the time is read for one in so many, if
/// none asks for it.
const UNREAD_MOST: u32 = 15;

impl Default for Now {
    /// The system's clock.
    fn default() -> Self {
        Now::at(UNREAD, false)
    }
}

impl Now {
    /// A clock that stands at a time until it is moved.
    pub(crate) fn manual(ms: i64) -> Now {
        Now::at(ms, true)
    }

    fn at(ms: i64, manual: bool) -> Now {
        let known = if ms == UNREAD { 0 } else { ms };
        Now {
            ms: Cell::new(ms),
            manual,
            latest_ms: Cell::new(known),
            second: Cell::new(known.div_euclid(1000) as u32),
            unread: 0,
            unread_most: 0,
        }
    }

    /// Begins a call: the system's time will be read anew.
    #[inline]
    pub(crate) fn begin_call(&mut self) {
        if self.manual {
            return;
        }
        self.ms.set(UNREAD);
        match self.unread < self.unread_most {
            true => self.unread += 1,
            false => self.look(),
        }
    }

    /// Reads the time, and sees how often that is worth doing.
    #[cold]
    fn look(&mut self) {
        let before = self.latest_ms.get();
        let passed = self.read() - before;
        self.unread_most = if passed > 1 { 0 } else { (self.unread_most * 2 + 1).min(UNREAD_MOST) };
        self.unread = 0;
    }

    /// The latest time that is known, without reading it anew: that of this call, or of one of the
    /// last few if they came fast.
    pub(crate) fn latest_ms(&self) -> i64 {
        self.latest_ms.get()
    }

    /// The second of that time.
    #[inline]
    pub(crate) fn second(&self) -> u32 {
        self.second.get()
    }

    fn set(&self, ms: i64) {
        self.ms.set(ms);
        self.latest_ms.set(ms);
        self.second.set(ms.div_euclid(1000) as u32);
    }

    /// The time in milliseconds since 1970, the same throughout a call.
    #[inline]
    pub(crate) fn ms(&self) -> i64 {
        match self.ms.get() {
            UNREAD => self.read(),
            ms => ms,
        }
    }

    #[cold]
    fn read(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.map_or(0, |time| time.as_millis() as i64);
        self.set(ms);
        ms
    }

    /// The time in microseconds since 1970; by a clock that stands, that of the call.
    pub(crate) fn us(&self) -> i64 {
        if self.manual { self.ms.get().saturating_mul(1000) } else { unix_us() }
    }

    /// Moves a manual clock forward; none if it is the system's or would overflow.
    pub(crate) fn advance(&mut self, milliseconds: u64) -> Option<i64> {
        let ms = self.ms.get().checked_add(i64::try_from(milliseconds).ok()?)?;
        if !self.manual {
            return None;
        }
        self.set(ms);
        Some(ms)
    }
}

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
}

impl Default for Now {
    /// The system's clock.
    fn default() -> Self {
        Now { ms: Cell::new(UNREAD), manual: false }
    }
}

impl Now {
    /// A clock that stands at a time until it is moved.
    pub(crate) fn manual(ms: i64) -> Now {
        Now { ms: Cell::new(ms), manual: true }
    }

    /// Begins a call: the system's time will be read anew.
    #[inline]
    pub(crate) fn begin_call(&mut self) {
        if !self.manual {
            self.ms.set(UNREAD);
        }
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
        self.ms.set(ms);
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
        self.ms.set(ms);
        Some(ms)
    }
}

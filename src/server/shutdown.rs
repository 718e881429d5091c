//! Whether the program is asked to end. It is known beside the engine's lock, which a script may
//! hold for ever: such a script must not be in the way of the end.

use std::sync::atomic::{AtomicU8, Ordering};

/// The program is the host's, which nobody may end from here.
const REFUSED: u8 = 0;
/// The program looks now and then whether it is asked to end.
const AWAITED: u8 = 1;
/// It is.
const ASKED: u8 = 2;

/// How it stands with ending the program.
#[derive(Debug, Default)]
pub(crate) struct Shutdown(AtomicU8);

impl Shutdown {
    /// The program looks from now on.
    pub(crate) fn allow(&self) {
        self.0.store(AWAITED, Ordering::SeqCst);
    }

    /// Whether it looks.
    pub(crate) fn is_allowed(&self) -> bool {
        self.0.load(Ordering::SeqCst) != REFUSED
    }

    /// Asks it to end; false if nobody may.
    pub(crate) fn ask(&self) -> bool {
        self.turn(AWAITED, ASKED) || self.is_asked()
    }

    /// Takes that back; false if it was not asked.
    pub(crate) fn take_back(&self) -> bool {
        self.turn(ASKED, AWAITED)
    }

    /// Whether it is asked.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASKED
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_ends_a_program_that_does_not_look() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.ask() && !shutdown.is_asked() && !shutdown.take_back());
        shutdown.allow();
        assert!(!shutdown.is_asked() && !shutdown.take_back());
        assert!(shutdown.ask() && shutdown.ask() && shutdown.is_asked());
        assert!(shutdown.take_back() && !shutdown.is_asked());
    }
}

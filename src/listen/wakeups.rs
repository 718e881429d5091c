//! What reaches the loop from elsewhere: connections that have something to look at, and the order
//! to stop.

use mio::Waker;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whom the loop has to look at, whoever says so.
pub(super) struct Wakeups {
    waker: Waker,
    places: Mutex<Vec<usize>>,
    /// Whether the loop sleeps, or is about to: only then it has to be woken.
    asleep: AtomicBool,
    stopping: AtomicBool,
}

impl Wakeups {
    pub(super) fn new(waker: Waker) -> Wakeups {
        Wakeups {
            waker,
            places: Mutex::default(),
            asleep: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    fn places(&self) -> MutexGuard<'_, Vec<usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has something to look at.
    pub(super) fn wake(&self, place: usize) {
        self.places().push(place);
        self.rouse();
    }

    /// The loop shall end.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.rouse();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn rouse(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only where the loop's own descriptors are gone.
            let _ = self.waker.wake();
        }
    }

    /// The loop is about to sleep. Tells whether it may: whoever wakes it from here on is heard.
    pub(super) fn lie_down(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        self.places().is_empty() && !self.is_stopping()
    }

    /// The loop is awake.
    pub(super) fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Takes the connections to look at.
    pub(super) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.places())
    }
}

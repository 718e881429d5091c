//! Calls that wait for a key to get something.
//!
//! A call that has to wait leaves a [`Waiter`] and gives the engine's lock back; its thread sleeps
//! on a [`Ticket`]. Whoever touches a key runs the commands that wait for it, on their behalf and
//! in the order in which they came, and leaves the replies with the tickets.

use crate::clients::Waker;
use crate::keyspace::{KeyName, Keyspace};
use crate::reply::ReplyBuf;
use crate::session::{Argv, Wait, WaitKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the thread of a waiting call sleeps on, or what a door that cannot sleep looks at when it
/// is woken.
#[derive(Default)]
pub(super) struct Ticket {
    progress: Mutex<Progress>,
    bell: Condvar,
}

#[derive(Default)]
struct Progress {
    outcome: Outcome,
    /// Whether somebody is running the command: it is not over before that is known.
    claimed: bool,
    /// Who wants to be told when it is over.
    waker: Option<Waker>,
}

/// How a wait stands.
#[derive(Default)]
pub(super) enum Outcome {
    #[default]
    Waiting,
    /// The reply is here.
    Served(ReplyBuf),
    /// The host ended the wait.
    Cancelled,
    /// The time is up.
    TimedOut,
    /// The engine was closed, or cannot be used any more.
    Closed,
}

impl Progress {
    fn is_waiting(&self) -> bool {
        matches!(self.outcome, Outcome::Waiting)
    }
}

impl Ticket {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait, unless it has ended already.
    pub(super) fn end(&self, how: Outcome) {
        let mut progress = self.progress();
        if progress.is_waiting() {
            progress.claimed &= !matches!(how, Outcome::Closed);
            progress.outcome = how;
            self.ring(progress);
        }
    }

    /// Wakes whoever waits for the end.
    fn ring(&self, progress: MutexGuard<'_, Progress>) {
        let waker = progress.waker.clone();
        drop(progress);
        self.bell.notify_all();
        if let Some(wake) = waker {
            wake();
        }
    }

    /// Has somebody told when the wait is over; at once, if it is.
    pub(super) fn wake_by(&self, waker: Waker) {
        let mut progress = self.progress();
        progress.waker = Some(waker);
        if !progress.is_waiting() {
            self.ring(progress);
        }
    }

    /// How the wait ended; none as long as it has not.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let mut progress = self.progress();
        let over = !progress.is_waiting() && !progress.claimed;
        over.then(|| std::mem::replace(&mut progress.outcome, Outcome::Closed))
    }

    /// Whoever runs the command claims the wait first, so that its time cannot be up meanwhile.
    pub(super) fn claim(&self) -> bool {
        let mut progress = self.progress();
        progress.claimed = progress.is_waiting();
        progress.claimed
    }

    /// The command found nothing.
    pub(super) fn unclaim(&self) {
        let mut progress = self.progress();
        progress.claimed = false;
        self.ring(progress);
    }

    /// The command was run, and this is its reply.
    pub(super) fn serve(&self, reply: ReplyBuf) {
        let mut progress = self.progress();
        (progress.outcome, progress.claimed) = (Outcome::Served(reply), false);
        self.ring(progress);
    }

    /// Sleeps for a time, or less if the wait ends; tells whether it has.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let waited = self.bell.wait_timeout_while(self.progress(), time, |now| now.is_waiting());
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_waiting()
    }

    /// Sleeps until the wait has ended, at the latest after a time, and tells how.
    pub(super) fn sleep(&self, most: Option<Duration>) -> Outcome {
        let until = most.and_then(|most| Instant::now().checked_add(most));
        let mut progress = self.progress();
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if progress.is_waiting() && left.is_some_and(|left| left.is_zero()) {
                progress.outcome = Outcome::TimedOut;
            }
            if !progress.is_waiting() && !progress.claimed {
                return std::mem::replace(&mut progress.outcome, Outcome::Closed);
            }
            // Once claimed, it ends by whoever claimed it.
            let left = left.filter(|_| !progress.claimed).unwrap_or(LONG);
            let woken = self.bell.wait_timeout(progress, left);
            progress = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Longer than anybody waits; some systems cannot wait for ever and a time.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// What the thread of a call is told that has to wait.
pub(super) struct Waits {
    pub(super) ticket: Arc<Ticket>,
    /// How long to sleep at most; none for as long as it takes.
    pub(super) most: Option<Duration>,
}

/// A call that waits.
pub(super) struct Waiter {
    pub(super) ticket: Arc<Ticket>,
    pub(super) session: usize,
    pub(super) database: usize,
    pub(super) wait: Wait,
    /// When its time is up by a clock that the host moves.
    pub(super) deadline: Option<i64>,
}

impl Waiter {
    fn names(&self) -> impl Iterator<Item = KeyName> {
        self.wait.keys.iter().map(|key| KeyName::new(self.database, key))
    }

    fn wants(&self, name: &KeyName) -> bool {
        self.database == name.database && self.wait.keys.contains(&name.key)
    }
}

/// All calls that wait, in the order in which they came.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    /// The names of all keys that are waited for.
    pub(super) fn names(&self) -> Vec<KeyName> {
        self.0.iter().flat_map(Waiter::names).collect()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One more waits.
    pub(super) fn add(&mut self, keys: &mut Keyspace, waiter: Waiter) {
        waiter.names().for_each(|name| keys.listen(&name));
        self.0.push(waiter);
    }

    /// The first that waits for a key, from a place on.
    pub(super) fn next_for(&mut self, name: &KeyName, from: usize) -> Option<(usize, &mut Waiter)> {
        let mut rest = self.0.iter_mut().enumerate().skip(from);
        rest.find(|(_, waiter)| waiter.wants(name))
    }

    /// Gives one its command back, which was taken to be run: it waits on.
    pub(super) fn give_back(&mut self, place: usize, argv: Argv) {
        if let Some(waiter) = self.0.get_mut(place) {
            waiter.wait.argv = argv;
        }
    }

    /// One does not wait any more.
    pub(super) fn remove(&mut self, keys: &mut Keyspace, place: usize) -> Waiter {
        let waiter = self.0.remove(place);
        waiter.names().for_each(|name| keys.unlisten(&name));
        waiter
    }

    /// The one with this ticket does not wait any more.
    pub(super) fn forget(&mut self, keys: &mut Keyspace, ticket: &Arc<Ticket>) -> Option<Waiter> {
        let place = self.0.iter().position(|waiter| Arc::ptr_eq(&waiter.ticket, ticket))?;
        Some(self.remove(keys, place))
    }

    /// The ticket of the call with which a session waits for a key.
    pub(super) fn ticket_of(&self, session: usize) -> Option<Arc<Ticket>> {
        let found = self.0.iter().find(|waiter| waiter.session == session);
        found.map(|waiter| Arc::clone(&waiter.ticket))
    }

    /// The first that waits for replicas, of those whose wait is not over before a place; with what
    /// it waits for.
    pub(super) fn next_for_replicas(&self, from: usize) -> Option<(usize, usize, u64)> {
        let mut rest = self.0.iter().enumerate().skip(from);
        rest.find_map(|(place, waiter)| match waiter.wait.kind {
            WaitKind::Replicas { count, offset } => Some((place, count, offset)),
            _ => None,
        })
    }

    /// The ticket of the wait in a place.
    pub(super) fn ticket_at(&self, place: usize) -> Option<Arc<Ticket>> {
        self.0.get(place).map(|waiter| Arc::clone(&waiter.ticket))
    }

    /// The time of all waits of a kind is up.
    pub(super) fn end_all_of(&self, kind: WaitKind) {
        let meant = self.0.iter().filter(|waiter| waiter.wait.kind == kind);
        meant.for_each(|waiter| waiter.ticket.end(Outcome::TimedOut));
    }

    /// Ends the waits whose time is up by a clock that the host moves.
    pub(super) fn end_due(&self, now: i64) {
        let due = self.0.iter().filter(|waiter| waiter.deadline.is_some_and(|at| at <= now));
        due.for_each(|waiter| waiter.ticket.end(Outcome::TimedOut));
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;
    use crate::error::Error;
    use std::thread;

    #[test]
    fn a_panic_of_any_call_ends_the_waits() {
        let engine = Engine::new().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| engine.command(&["BLPOP", "empty", "0"]));
            while engine.shared.waits().is_empty() {
                thread::yield_now();
            }
            let failed: Result<(), Error> = engine.shared.enter(|_| panic!("a failure within"));
            assert_eq!(failed, Err(Error::Poisoned));
            assert_eq!(waiting.join().unwrap(), Err(Error::Poisoned));
        });
    }
}

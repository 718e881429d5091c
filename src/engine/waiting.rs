//! Calls that wait for a key to get something.
//!
//! A call that has to wait leaves a [`Waiter`] and gives the engine's lock back; its thread sleeps
//! on a [`Ticket`]. Whoever touches a key runs the commands that wait for it, on their behalf and
//! in the order in which they came, and leaves the replies with the tickets.

use crate::keyspace::{KeyName, Keyspace};
use crate::reply::ReplyBuf;
use crate::session::Wait;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the thread of a waiting call sleeps on.
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
            self.bell.notify_all();
        }
    }

    /// Whoever runs the command claims the wait first, so that its time cannot be up meanwhile.
    pub(super) fn claim(&self) -> bool {
        let mut progress = self.progress();
        progress.claimed = progress.is_waiting();
        progress.claimed
    }

    /// The command found nothing.
    pub(super) fn unclaim(&self) {
        self.progress().claimed = false;
        self.bell.notify_all();
    }

    /// The command was run, and this is its reply.
    pub(super) fn serve(&self, reply: ReplyBuf) {
        *self.progress() = Progress { outcome: Outcome::Served(reply), claimed: false };
        self.bell.notify_all();
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
    pub(super) fn next_for(&self, name: &KeyName, from: usize) -> Option<(usize, &Waiter)> {
        let mut rest = self.0.iter().enumerate().skip(from);
        rest.find(|(_, waiter)| waiter.wants(name))
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

    /// Ends the waits whose time is up by a clock that the host moves.
    pub(super) fn end_due(&self, now: i64) {
        let due = self.0.iter().filter(|waiter| waiter.deadline.is_some_and(|at| at <= now));
        due.for_each(|waiter| waiter.ticket.end(Outcome::TimedOut));
    }
}

//! What a door with a thread of its own needs of an engine: sessions to open, calls that leave a
//! ticket rather than sleep, and what is to be done now and then.

use super::shared::Shared;
use super::waiting::{Outcome, Waits};
use super::{Call, Engine, Session, Tick};
use crate::clients::{OutputLimit, Waker};
use crate::error::Error;
use crate::reply::ReplyBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An engine as a door holds it: it does not keep the engine open.
pub(crate) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) changes: Arc<AtomicU64>,
}

/// What the engine's parameters say of clients.
#[derive(Clone, Copy)]
pub(crate) struct ClientLimits {
    /// How many there may be.
    pub(crate) most: usize,
    /// How long one may be silent, and after how long the system looks whether it is there.
    pub(crate) idle: Option<Duration>,
    pub(crate) keepalive: Option<Duration>,
    /// The longest argument, and the most bytes of requests that wait to be executed.
    pub(crate) bulk_most: usize,
    pub(crate) input_most: usize,
    /// How much of its replies one may leave unread.
    pub(crate) output: OutputLimit,
}

impl Engine {
    /// The engine for a door that runs on a thread of its own.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub(crate) fn door(&self) -> Result<Door, Error> {
        let changes = self.shared.enter(|state| Arc::clone(&state.server.changes))?;
        Ok(Door { shared: Arc::clone(&self.shared), changes })
    }
}

impl Engine {
    /// Sets the password that clients have to give.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub(crate) fn set_password(&self, password: &str) -> Result<(), Error> {
        let pair = (&b"requirepass"[..], password.as_bytes());
        let set = self.shared.enter(|state| state.server.configure([pair].into_iter()))?;
        set.map_err(|error| Error::Options { message: error.to_string() })
    }
}

impl Door {
    /// Opens a session.
    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.shared.open_session()
    }

    /// Opens a session for one who is to come while the engine is busy: nobody sees it until it is
    /// attached, and it is trusted no more than it will be then.
    pub(crate) fn spare_session(&self) -> Result<Session, Error> {
        let session = self.session()?;
        self.shared.enter(|state| state.set_spare(session.id))?;
        Ok(session)
    }

    /// A number that is another one once parameters have changed. Takes no lock.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// What the parameters say now.
    pub(crate) fn limits(&self) -> Result<ClientLimits, Error> {
        self.shared.enter(|state| {
            let config = &state.server.config;
            let seconds = |name| {
                let time = Duration::from_secs(config.count(name) as u64);
                Some(time).filter(|time| !time.is_zero())
            };
            ClientLimits {
                most: config.count("maxclients"),
                idle: seconds("timeout"),
                keepalive: seconds("tcp-keepalive"),
                bulk_most: config.count("proto-max-bulk-len"),
                input_most: config.count("client-query-buffer-limit"),
                output: state.keys.news().output_limits.normal,
            }
        })
    }

    /// As [`Engine::set_meanwhile`].
    pub(crate) fn set_meanwhile(&self, hook: Option<Arc<dyn Fn() + Send + Sync>>) {
        self.shared.running.set_hook(hook);
    }

    /// Ends the script that is running.
    pub(crate) fn cancel_script(&self) {
        self.shared.running.cancel();
    }

    /// As [`Engine::tick`].
    pub(crate) fn tick(&self, budget: Duration) -> Result<Tick, Error> {
        self.shared.tick(budget)
    }
}

/// What became of a call.
pub(crate) enum Submitted {
    /// Its reply is in the buffer.
    Done,
    /// It waits for a key.
    Waits(Pending),
}

/// A call that waits. Dropped, it ends without a reply, and takes nothing.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    waits: Box<Waits>,
    deadline: Option<Instant>,
    /// Whether its reply was taken.
    over: bool,
    waker: Option<Waker>,
}

impl Session {
    /// Makes a call that leaves a ticket where [`Session::call`] would sleep. `at_once` says that
    /// the caller has done nothing since its last one: then its time is taken from the end of that.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub(crate) fn submit(
        &self,
        argv: &[&[u8]],
        at_once: bool,
        reply: &mut ReplyBuf,
    ) -> Result<Submitted, Error> {
        reply.clear();
        let Session { shared, id, busy, .. } = self;
        let call = Call::Command(argv);
        let mut waits = None;
        shared.enter_or_aside(*id, Some(busy), call, reply, |state, reply| {
            if at_once {
                state.server.handed_over = state.before;
            }
            waits = shared.note_wait(*id, state.call(*id, call, reply));
        })?;
        match waits {
            None => Ok(Submitted::Done),
            Some(waits) => Ok(Submitted::Waits(Pending::new(Arc::clone(shared), waits))),
        }
    }
}

impl Session {
    /// Prepares for calls that have these keys, and these words behind them, if the engine is free:
    /// what they will read is fetched side by side. Words that are no keys do no harm.
    pub(crate) fn prefetch(&self, calls: &[(&[u8], [&[u8]; 2])]) {
        let Ok(place) = self.shared.state.try_lock() else { return };
        let Some(state) = &*place else { return };
        if let Some(session) = state.sessions.get(self.id).and_then(Option::as_deref) {
            state.keys.prefetch_calls(session.database, calls);
        }
    }
}

impl Pending {
    fn new(shared: Arc<Shared>, waits: Box<Waits>) -> Pending {
        let deadline = waits.most.and_then(|most| Instant::now().checked_add(most));
        Pending { shared, waits, deadline, over: false, waker: None }
    }

    /// When its time is up; [`Pending::time_out`] is due then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Has somebody told when it is over; at once, if it is.
    pub(crate) fn wake_by(&mut self, waker: Waker) {
        self.waker = Some(Arc::clone(&waker));
        self.waits.ticket.wake_by(waker);
    }

    /// Its time is up, unless it is being served right now.
    pub(crate) fn time_out(&self) {
        self.waits.ticket.end(Outcome::TimedOut);
    }

    /// Writes the reply if the wait is over; tells whether it is.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub(crate) fn take(&mut self, reply: &mut ReplyBuf) -> Result<bool, Error> {
        let Some(outcome) = self.waits.ticket.outcome() else { return Ok(false) };
        reply.clear();
        self.over = true;
        let Some(waits) = self.shared.end_wait(&self.waits, outcome, reply)? else {
            return Ok(true);
        };
        // It was put off, and has something of its own to wait for.
        self.over = false;
        self.deadline = waits.most.and_then(|most| Instant::now().checked_add(most));
        self.waits = waits;
        if let Some(waker) = &self.waker {
            self.waits.ticket.wake_by(Arc::clone(waker));
        }
        Ok(false)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Ended first, so that nobody begins to serve it.
        self.waits.ticket.end(Outcome::Cancelled);
        self.shared.waits().retain(|(_, ticket)| !Arc::ptr_eq(ticket, &self.waits.ticket));
        // Where the engine is closed or poisoned, there is nobody left to forget it.
        let _ = self.shared.enter(|state| drop(state.forget_wait(&self.waits.ticket)));
    }
}

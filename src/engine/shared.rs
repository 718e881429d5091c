//! What all handles of an engine share: the one lock, who is inside it, and who waits.

use super::busy::Busy;
use super::delivery::Replayed;
use super::interrupt::Interrupt;
use super::state::{COMMON, State, Turn};
use super::waiting::{Outcome, Ticket, Waits};
use super::{Call, Tick, tree};
use crate::clients::Bells;
use crate::command;
use crate::error::{CommandError, Error};
use crate::options::Options;
use crate::reply::{Protocol, Reply, ReplyBuf};
use crate::resp;
use crate::script::{Running, ScriptId};
use crate::server::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an engine and its prepared scripts share.
pub(super) struct Shared {
    /// None once closed.
    pub(super) state: Mutex<Option<State>>,
    /// Marks the thread that is inside the lock, 0 for none.
    pub(super) inside: AtomicUsize,
    /// What runs, for those who find the lock taken.
    pub(super) running: Arc<Running>,
    /// Handles that were dropped; let go at the next call that touches the cache.
    pub(super) dropped: Mutex<Vec<ScriptId>>,
    /// Sessions that were dropped inside a callback; closed as the next one is opened.
    pub(super) abandoned: Mutex<Vec<usize>>,
    /// The calls that wait for a key, each with its session.
    pub(super) waits: Mutex<Vec<(usize, Arc<Ticket>)>>,
    /// Whether the program is to end.
    pub(super) shutdown: Arc<Shutdown>,
    /// Rung when a transaction has ended.
    pub(super) turn: Condvar,
    /// Asked by calls that wait whether they shall.
    pub(super) interrupt: Mutex<Option<Arc<Interrupt>>>,
    /// Whom to wake once the lock is given back.
    pub(super) bells: Arc<Bells>,
    pub(super) options: Options,
}

/// Why nobody can get at the state now. It is handed on in a register, where an [`Error`] is moved
/// from place to place, which takes longer than a short call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    Closed,
    Reentrant,
    Busy,
    Poisoned,
}

impl From<Shut> for Error {
    #[cold]
    fn from(shut: Shut) -> Error {
        match shut {
            Shut::Closed => Error::Closed,
            Shut::Reentrant => Error::Reentrant,
            Shut::Busy => Error::Busy,
            Shut::Poisoned => Error::Poisoned,
        }
    }
}

/// What the removal of expired keys is called among the events that took long.
const EXPIRY: &str = "expire-cycle";

/// The lock, taken.
pub(super) type StateGuard<'a> = MutexGuard<'a, Option<State>>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A number that tells threads apart: the address of something each has one of.
pub(super) fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark) as usize)
}

/// Marks a thread as inside an engine for as long as it lives.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn mark(inside: &'a AtomicUsize, thread: usize) -> Self {
        inside.store(thread, Ordering::Relaxed);
        Inside(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Shared {
    /// Takes the lock in some way and works on the place of the state. Every way to the state leads
    /// through here: none is open to the thread that is inside, and a panic is the engine's end.
    #[inline]
    fn locked<'a, R>(
        &'a self,
        lock: impl FnOnce() -> Result<StateGuard<'a>, Shut>,
        work: impl FnOnce(&mut Option<State>) -> Result<R, Shut>,
    ) -> Result<R, Shut> {
        let thread = this_thread();
        if self.inside.load(Ordering::Relaxed) == thread {
            return Err(Shut::Reentrant);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut state = lock()?;
            let _inside = Inside::mark(&self.inside, thread);
            work(&mut state)
        }))
        .unwrap_or_else(|_| {
            // Nobody will serve them any more.
            self.end_all_waits();
            Err(Shut::Poisoned)
        });
        self.bells.ring();
        result
    }

    /// Takes the lock, tells the keys the time and works on the state.
    pub(super) fn enter<R>(&self, work: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        Ok(self.locked(|| self.lock(), |place| self.begin(place, work))?)
    }

    /// The same, when it is a session's turn to work on the keys.
    pub(super) fn enter_as<R>(
        &self,
        id: usize,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Error> {
        let lock = || self.wait_for_turn(id, self.lock()?);
        Ok(self.locked(lock, |place| self.begin(place, work))?)
    }

    /// The same, by a lock that the caller holds already.
    #[inline]
    pub(super) fn enter_by<'a, R>(
        &'a self,
        id: usize,
        lock: StateGuard<'a>,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Shut> {
        self.locked(|| self.wait_for_turn(id, lock), |place| self.begin(place, work))
    }

    #[inline]
    fn begin<R>(
        &self,
        place: &mut Option<State>,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Shut> {
        let state = place.as_mut().ok_or(Shut::Closed)?;
        // A cancel stops what is running, never what begins later.
        self.running.begin_call();
        state.keys.clock().begin_call();
        state.before = state.server.handed_over.take();
        Ok(work(state))
    }

    #[inline]
    pub(super) fn lock(&self) -> Result<StateGuard<'_>, Shut> {
        self.state.lock().map_err(|_| Shut::Poisoned)
    }

    /// Holds the lock while no other session's transaction is open.
    #[inline(always)]
    pub(super) fn wait_for_turn<'a>(
        &'a self,
        id: usize,
        state: StateGuard<'a>,
    ) -> Result<StateGuard<'a>, Shut> {
        match state.as_ref().map_or(Turn::Yes, |state| state.turn(id)) {
            Turn::Yes => Ok(state),
            Turn::Never => Err(Shut::Busy),
            Turn::Wait => self.wait_longer(id, state),
        }
    }

    pub(super) fn close(&self) -> Result<(), Error> {
        let drop_state = |place: &mut Option<State>| {
            if let Some(mut state) = place.take() {
                state.close_mailboxes();
            }
            Ok(())
        };
        self.locked(|| self.lock(), drop_state)?;
        self.end_all_waits();
        self.turn.notify_all();
        Ok(())
    }

    pub(super) fn tick(&self, budget: Duration) -> Result<Tick, Error> {
        let start = Instant::now();
        self.enter_as(COMMON, |state| {
            state.look_after_replicas();
            command::keep_files(&state.keys, &state.scripts, &mut state.server);
            // Who is followed says when keys go.
            if state.server.debug.expires_not() || state.server.measures.follows {
                return Tick { expired: 0, complete: true };
            }
            // What goes by itself is no client's doing.
            state.speaker = COMMON;
            state.keys.news_mut().feed.wanders = true;
            let (expired, complete) = state.keys.expire_due(|| start.elapsed() >= budget);
            state.keys.news_mut().feed.wanders = false;
            state.server.note_event(EXPIRY, start.elapsed(), || state.keys.now());
            state.settle();
            Tick { expired, complete }
        })
    }

    pub(super) fn let_go_dropped(&self) -> Result<(), Error> {
        let dropped =
            std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        if dropped.is_empty() {
            return Ok(());
        }
        self.enter(|state| dropped.into_iter().for_each(|id| state.scripts.let_go(id)))
    }

    pub(super) fn call(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), Error> {
        reply.clear();
        call.check_limits()?;
        let mut waits = None;
        self.enter_or_aside(id, busy, call, reply, |state, reply| {
            waits = self.note_wait(id, state.call(id, call, reply));
        })?;
        match waits {
            None => Ok(()),
            Some(waits) => self.wait(waits, reply),
        }
    }

    /// Makes a wait known to those who may end it, while the lock is still held.
    #[inline]
    pub(super) fn note_wait(&self, id: usize, waits: Option<Box<Waits>>) -> Option<Box<Waits>> {
        let waits = waits?;
        self.waits().push((id, Arc::clone(&waits.ticket)));
        Some(waits)
    }

    /// Sleeps until a call is served, or its time is up.
    #[cold]
    fn wait(&self, mut waits: Box<Waits>, reply: &mut ReplyBuf) -> Result<(), Error> {
        loop {
            let outcome = self.sleep(&waits);
            match self.end_wait(&waits, outcome, reply)? {
                None => return Ok(()),
                Some(again) => waits = again,
            }
        }
    }

    /// Writes the reply of a call whose wait is over. One that was put off is made, and may wait
    /// for something else then.
    pub(super) fn end_wait(
        &self,
        waits: &Waits,
        outcome: Outcome,
        reply: &mut ReplyBuf,
    ) -> Result<Option<Box<Waits>>, Error> {
        self.waits().retain(|(_, ticket)| !Arc::ptr_eq(ticket, &waits.ticket));
        if let Outcome::Served(served) = outcome {
            *reply = served;
            return Ok(None);
        }
        match self.enter(|state| state.end_pause(&waits.ticket, &outcome, reply))? {
            Replayed::Waits(session, waits) => return Ok(self.note_wait(session, Some(waits))),
            Replayed::Done => return Ok(None),
            Replayed::No => (),
        }
        match outcome {
            Outcome::Cancelled => reply.error(&CommandError::CANCELLED),
            _ => reply.null_array(),
        }
        Ok(None)
    }

    pub(super) fn waits(&self) -> MutexGuard<'_, Vec<(usize, Arc<Ticket>)>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the waits of one session with an error, or those of all.
    pub(super) fn cancel_waits(&self, session: Option<usize>) {
        let waits = self.waits();
        let meant = waits.iter().filter(|(id, _)| session.is_none_or(|session| session == *id));
        meant.for_each(|(_, ticket)| ticket.end(Outcome::Cancelled));
    }

    /// Wakes whoever waits: the engine is not there any more.
    pub(super) fn end_all_waits(&self) {
        self.waits().iter().for_each(|(_, ticket)| ticket.end(Outcome::Closed));
    }

    /// Runs a command and returns its reply as RESP.
    pub(super) fn resp(
        &self,
        id: usize,
        busy: Option<&Busy>,
        argv: &[&[u8]],
        protocol: Protocol,
    ) -> Result<Vec<u8>, Error> {
        let (mut reply, mut out) = (ReplyBuf::new(), Vec::new());
        self.call(id, busy, Call::Command(argv), &mut reply)?;
        resp::encode(&reply, protocol, &mut out);
        Ok(out)
    }

    /// Makes a call and returns its reply as a tree, or its error as one.
    pub(super) fn reply(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
    ) -> Result<Reply, Error> {
        self.reply_in(id, busy, call, || self.options.protocol)
    }

    /// The same, in a protocol that the call may choose itself.
    pub(super) fn reply_in(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
        protocol: impl FnOnce() -> Protocol,
    ) -> Result<Reply, Error> {
        let mut reply = ReplyBuf::new();
        self.call(id, busy, call, &mut reply)?;
        tree(reply, protocol())
    }
}

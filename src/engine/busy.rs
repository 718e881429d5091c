//! Calls that find the engine taken by a script: ending it, asking what it is, and not waiting
//! for it.
//!
//! Whoever has to wait for the lock looks what holds it. `SCRIPT KILL` and its like are then
//! answered by the run itself (`script/running.rs`). A session that says so is answered with BUSY
//! once the run has gone on for longer than `busy-reply-threshold`; what it says of a transaction
//! meanwhile is kept beside the engine and done before its next call.
//!
//! A door that has one thread for many clients cannot do that while its own thread runs the
//! script. It registers a function by [`Engine::set_meanwhile`]: the run calls it every few
//! milliseconds, and it calls on behalf of its other clients.

use super::shared::{Shared, Shut, StateGuard, this_thread};
use super::state::State;
use super::{Call, Engine, Session};
use crate::command::{DISCARD_NAME, Ending, Standing, standing};
use crate::error::CommandError;
use crate::reply::ReplyBuf;
use crate::script::Kind;
use crate::session::Argv;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

/// What a session's calls do while a script holds the engine for longer than
/// `busy-reply-threshold`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenBusy {
    /// They wait, but for `SCRIPT KILL`, `FUNCTION KILL` and `FUNCTION STATS`, which are answered
    /// at any time.
    #[default]
    Wait,
    /// They are answered with `BUSY`, as clients of a server are; the three above are answered at
    /// any time.
    Answer,
    /// They wait, those three as well: for clients that have not said yet who they are.
    Hold,
}

/// How a session takes it that the engine is busy, and what it has said meanwhile.
#[derive(Default)]
pub(super) struct Busy {
    answers: AtomicBool,
    holds: AtomicBool,
    /// Whether the session queues commands, what is kept counted.
    queues: AtomicBool,
    has_kept: AtomicBool,
    kept: Mutex<Vec<Kept>>,
}

/// What is done before the session's next call.
enum Kept {
    Run(Argv),
    /// Refuse the transaction that is being queued.
    Refuse,
}

/// How often a wait looks again at most: first it only gives way.
const SPINS: u32 = 20;
const NAP_LEAST: Duration = Duration::from_micros(20);
const NAP_MOST: Duration = Duration::from_millis(1);

impl Busy {
    fn manner(&self) -> WhenBusy {
        match (self.answers.load(Ordering::Relaxed), self.holds.load(Ordering::Relaxed)) {
            (true, _) => WhenBusy::Answer,
            (_, true) => WhenBusy::Hold,
            _ => WhenBusy::Wait,
        }
    }

    fn set(&self, manner: WhenBusy) {
        self.answers.store(manner == WhenBusy::Answer, Ordering::Relaxed);
        self.holds.store(manner == WhenBusy::Hold, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, what: Kept) {
        self.kept().push(what);
        self.has_kept.store(true, Ordering::Relaxed);
    }

    /// Does what was kept.
    #[cold]
    fn replay(&self, id: usize, state: &mut State) {
        self.has_kept.store(false, Ordering::Relaxed);
        let mut dropped = ReplyBuf::new();
        for kept in std::mem::take(&mut *self.kept()) {
            match kept {
                Kept::Run(argv) => {
                    drop(state.call(id, Call::Command(&argv.slices()), &mut dropped))
                }
                Kept::Refuse => state.refuse_queue(id),
            }
            dropped.clear();
        }
    }
}

impl std::fmt::Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Busy").field(&self.manner()).finish()
    }
}

impl Engine {
    /// Registers what is called on this very thread, every few milliseconds, while a script runs
    /// on it for longer than `busy-reply-threshold`; `None` takes it back. The engine is busy
    /// meanwhile, so calls of sessions are answered as [`WhenBusy`] says rather than with
    /// [`crate::Error::Reentrant`]: with BUSY, or by the script where that is what they ask; those that
    /// may be called but cannot be answered yet are [`crate::Error::Busy`], to be made again later. The
    /// engine's own calls are as those of a session that does not wait.
    ///
    /// This is for doors that serve many clients on one thread: it lets one of them stop what
    /// another began. It is not called anew while it runs. A panic ends the script and poisons the
    /// engine.
    ///
    /// ```
    /// use moonkv::{Engine, Options};
    /// use std::sync::Arc;
    /// # fn main() -> Result<(), moonkv::Error> {
    /// let mut options = Options::default();
    /// options.config.push(("busy-reply-threshold".into(), "10".into()));
    /// let engine = Arc::new(Engine::open(&options)?);
    /// let other = Arc::downgrade(&engine);
    /// engine.set_meanwhile(Some(Arc::new(move || {
    ///     let Some(engine) = other.upgrade() else { return };
    ///     assert!(engine.command(&["GET", "k"]).is_err_and(|e| e.to_string().starts_with("BUSY")));
    ///     engine.command(&["SCRIPT", "KILL"]).expect("it is killed");
    /// })));
    /// let error = engine.eval("while true do end", &[""; 0], &[""; 0]).unwrap_err();
    /// assert!(error.to_string().starts_with("ERR Script killed by user with SCRIPT KILL..."));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_meanwhile(&self, hook: Option<Arc<dyn Fn() + Send + Sync>>) {
        self.shared.running.set_hook(hook);
    }
}

impl Session {
    /// Says what this session's calls do while a script holds the engine for long.
    pub fn set_when_busy(&self, manner: WhenBusy) {
        self.busy.set(manner);
    }
}

/// What a call that finds the engine taken comes to.
enum Aside {
    /// It is answered, or is an error.
    Done(Result<(), Shut>),
    /// It has to wait on.
    Waits,
}

impl Shared {
    /// Does a session's work on the state, when it is its turn. While a script holds the engine
    /// the call may be answered beside it, in the reply, and the work is not done then.
    #[inline]
    pub(super) fn enter_or_aside(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
        work: impl FnOnce(&mut State, &mut ReplyBuf),
    ) -> Result<(), Shut> {
        if self.inside.load(Ordering::Relaxed) == this_thread() {
            return self.within(busy, call, reply);
        }
        let lock = match self.state.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(_)) => return Err(Shut::Poisoned),
            Err(TryLockError::WouldBlock) => match self.wait_or_aside(busy, call, reply)? {
                Some(lock) => lock,
                None => return Ok(()),
            },
        };
        self.enter_by(id, lock, |state| match busy {
            None => work(state, reply),
            Some(busy) => {
                if busy.has_kept.load(Ordering::Relaxed) {
                    busy.replay(id, state);
                }
                work(state, reply);
                busy.queues.store(state.queues(id), Ordering::Relaxed);
            }
        })
    }

    /// A call from a thread that is inside the engine already: an error, unless a script that runs
    /// there stands still for it.
    #[cold]
    fn within(
        &self,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), Shut> {
        if !self.running.is_attending() {
            return Err(Shut::Reentrant);
        }
        match self.aside(busy, call, reply, true) {
            Aside::Done(done) => done,
            Aside::Waits => Err(Shut::Busy),
        }
    }

    /// Waits until the lock is free; none if the call was answered beside it.
    #[cold]
    fn wait_or_aside<'a>(
        &'a self,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<Option<StateGuard<'a>>, Shut> {
        let (mut looks, mut nap) = (0, NAP_LEAST);
        loop {
            if let Aside::Done(done) = self.aside(busy, call, reply, false) {
                return done.map(|()| None);
            }
            if !may_be_aside(busy, call) {
                return self.state.lock().map(Some).map_err(|_| Shut::Poisoned);
            }
            match looks {
                ..SPINS => thread::yield_now(),
                _ => {
                    thread::sleep(nap);
                    nap = (nap * 2).min(NAP_MOST);
                }
            }
            looks += 1;
            match self.state.try_lock() {
                Ok(lock) => return Ok(Some(lock)),
                Err(TryLockError::Poisoned(_)) => return Err(Shut::Poisoned),
                Err(TryLockError::WouldBlock) => (),
            }
        }
    }

    /// Answers a call beside the engine, where that can be; `still` for a script that stands still
    /// on this thread.
    fn aside(
        &self,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
        still: bool,
    ) -> Aside {
        let manner =
            busy.map_or(if still { WhenBusy::Answer } else { WhenBusy::Wait }, Busy::manner);
        let Some(kind) = self.running.kind() else { return Aside::Waits };
        let queues = busy.is_some_and(|busy| busy.queues.load(Ordering::Relaxed));
        let standing = match call {
            Call::Command(argv) => standing(argv, queues),
            _ => Standing::Refused,
        };
        match standing {
            _ if manner == WhenBusy::Hold => Aside::Waits,
            Standing::Asks(beside) => {
                let ask = beside.ask;
                let answer =
                    if still { self.running.ask_still(ask) } else { self.running.ask(ask) };
                match answer {
                    None => return Aside::Waits,
                    Some(Err(error)) => reply.error(&error),
                    Some(Ok(story)) => (beside.write)(story.as_ref(), self.running.counts(), reply),
                }
                Aside::Done(Ok(()))
            }
            _ if manner == WhenBusy::Wait || self.running.runs_long().is_none() => Aside::Waits,
            Standing::Ends(ending) => Aside::Done(self.end_program(&ending, reply)),
            standing => answer_busy(standing, kind, busy, call, reply),
        }
    }
}

impl Shared {
    /// Asks the program to end, or not to; the script that runs is not to be in the way.
    fn end_program(&self, ending: &Ending, reply: &mut ReplyBuf) -> Result<(), Shut> {
        match ending.carry_out(&self.shutdown) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(&error),
        }
        if self.shutdown.is_asked() {
            self.running.cancel();
        }
        Ok(())
    }
}

/// Whether a call could be answered beside the engine, once a script runs there for long.
fn may_be_aside(busy: Option<&Busy>, call: Call<'_>) -> bool {
    match (busy.map(Busy::manner).unwrap_or_default(), call) {
        (WhenBusy::Hold, _) => false,
        (WhenBusy::Answer, _) => true,
        (WhenBusy::Wait, Call::Command(argv)) => matches!(standing(argv, false), Standing::Asks(_)),
        (WhenBusy::Wait, _) => false,
    }
}

/// Answers a call while a script runs for long, as Redis does.
fn answer_busy(
    standing: Standing,
    kind: Kind,
    busy: Option<&Busy>,
    call: Call<'_>,
    reply: &mut ReplyBuf,
) -> Aside {
    let argv = match call {
        Call::Command(argv) => argv,
        _ => &[],
    };
    let keep = |kept| busy.map(|busy| busy.keep(kept)).ok_or(Shut::Busy);
    let refusal = CommandError::busy(kind == Kind::Function);
    let done = match standing {
        Standing::Asks(_) | Standing::Ends(_) | Standing::Waits => {
            return Aside::Done(Err(Shut::Busy));
        }
        Standing::Wrong(error) => {
            reply.error(&error);
            keep(Kept::Refuse).or(Ok(()))
        }
        Standing::Refused => {
            reply.error(&refusal);
            keep(Kept::Refuse).or(Ok(()))
        }
        Standing::Kept(queues) => keep(Kept::Run(Argv::new(argv))).map(|()| {
            if let (Some(queues), Some(busy)) = (queues, busy) {
                busy.queues.store(queues, Ordering::Relaxed);
            }
            reply.ok();
        }),
        Standing::Queued => keep(Kept::Run(Argv::new(argv))).map(|()| reply.status(b"QUEUED")),
        Standing::Aborts => {
            reply.error(&refusal.aborted());
            if let Some(busy) = busy.filter(|busy| busy.queues.swap(false, Ordering::Relaxed)) {
                busy.keep(Kept::Run(Argv::new(&[DISCARD_NAME.as_bytes()])));
            }
            Ok(())
        }
    };
    Aside::Done(done)
}

//! What is known of a running script beside the engine's lock, which the run holds.
//!
//! The run shows itself here when its guard looks for the first time, some microseconds after it
//! began: shorter runs cost nothing. Whoever finds the lock taken may then ask: to end the run, or
//! what it is. The guard answers at its next look. Once the run has gone on for longer than the
//! threshold, the guard also calls, every few milliseconds, what the thread it runs on has
//! registered; what that asks is answered at once, as the run stands still meanwhile.

use crate::error::CommandError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// What is called while a script runs for long.
pub(crate) type Meanwhile = dyn Fn() + Send + Sync;

/// How long an asker waits before it looks again whether the run is still there.
const PATIENCE: Duration = Duration::from_millis(2);

/// Whose text runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A script of EVAL's.
    Script = 1,
    /// A function of a library.
    Function = 2,
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To end, if it is of this kind.
    Kill(Kind),
    /// What it is.
    Tell,
}

/// What a run says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// The name of the function, or the script's SHA-1.
    pub(crate) name: Vec<u8>,
    /// The command that runs it.
    pub(crate) command: Vec<Vec<u8>>,
    /// When it was first seen.
    pub(crate) since: Instant,
}

/// The answer to an [`Ask`]; a story where one was asked for.
pub(crate) type Answer = Result<Option<Story>, CommandError>;

/// The run of one engine, as others see it.
pub(crate) struct Running {
    /// The host wants what runs to end.
    cancel: AtomicBool,
    /// Whether it ends where a client wants the program to end.
    yields: AtomicBool,
    /// The [`Kind`] of what runs; 0 for nothing that has shown itself.
    kind: AtomicU8,
    /// When it showed itself, in milliseconds since `epoch`.
    since_ms: AtomicU64,
    epoch: Instant,
    /// After how many milliseconds calls are answered with BUSY; 0 for never.
    threshold_ms: AtomicU64,
    /// Whether the writes of a run that fails stay.
    keeps: bool,
    /// Whether somebody waits for an answer.
    asked: AtomicBool,
    talk: Mutex<Talk>,
    bell: Condvar,
    /// Held by who asks: one at a time.
    asker: Mutex<()>,
    /// Whether the run stands still while something else is done on its thread.
    attending: AtomicBool,
    /// Whether it has stood still: there is something to forget when it is over.
    stood: AtomicBool,
    hooks: Mutex<Vec<(ThreadId, Arc<Meanwhile>)>>,
    libraries: AtomicUsize,
    functions: AtomicUsize,
}

#[derive(Default)]
struct Talk {
    ask: Option<Ask>,
    answer: Option<Answer>,
    /// What is told while the run stands still, and whether it has written.
    still: Option<(Story, bool)>,
    /// Whether it was ended while it stood still.
    killed: bool,
}

impl Default for Running {
    fn default() -> Running {
        Running::new(false)
    }
}

impl Running {
    pub(crate) fn new(keeps: bool) -> Running {
        Running {
            cancel: AtomicBool::new(false),
            yields: AtomicBool::new(false),
            kind: AtomicU8::new(0),
            since_ms: AtomicU64::new(0),
            epoch: Instant::now(),
            threshold_ms: AtomicU64::new(5000),
            keeps,
            asked: AtomicBool::new(false),
            talk: Mutex::new(Talk::default()),
            bell: Condvar::new(),
            asker: Mutex::new(()),
            attending: AtomicBool::new(false),
            stood: AtomicBool::new(false),
            hooks: Mutex::new(Vec::new()),
            libraries: AtomicUsize::new(0),
            functions: AtomicUsize::new(0),
        }
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> MutexGuard<'_, Vec<(ThreadId, Arc<Meanwhile>)>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of the host.
impl Running {
    /// Ends what runs now.
    pub(crate) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Clients may end the program from now on.
    pub(crate) fn set_yielding(&self) {
        self.yields.store(true, Ordering::Relaxed);
    }

    /// A client wants the program to end: what runs ends first, if clients may do that.
    pub(crate) fn make_way(&self) {
        if self.yields.load(Ordering::Relaxed) {
            self.cancel();
        }
    }

    /// A cancel stops what is running, never what begins later.
    #[inline]
    pub(crate) fn begin_call(&self) {
        self.cancel.store(false, Ordering::Relaxed);
    }

    /// Sets what is called on this thread while a script runs there for long.
    pub(crate) fn set_hook(&self, hook: Option<Arc<Meanwhile>>) {
        let own = thread::current().id();
        let mut hooks = self.hooks();
        hooks.retain(|(thread, _)| *thread != own);
        hooks.extend(hook.map(|hook| (own, hook)));
    }

    /// Notes how many libraries and functions there are.
    pub(crate) fn set_counts(&self, libraries: usize, functions: usize) {
        self.libraries.store(libraries, Ordering::Relaxed);
        self.functions.store(functions, Ordering::Relaxed);
    }

    /// How many libraries and functions there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.libraries.load(Ordering::Relaxed), self.functions.load(Ordering::Relaxed))
    }
}

/// The side of those who find the engine taken.
impl Running {
    /// What runs, if it has shown itself.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.kind.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Kind::Script),
            _ => Some(Kind::Function),
        }
    }

    /// What runs, if it has for longer than the threshold.
    pub(crate) fn runs_long(&self) -> Option<Kind> {
        let threshold = self.threshold_ms.load(Ordering::Relaxed);
        let kind = self.kind()?;
        let ran = self.ms_at(Instant::now()).saturating_sub(self.since_ms.load(Ordering::Relaxed));
        (self.is_attending() || threshold > 0 && ran >= threshold).then_some(kind)
    }

    /// Whether the run stands still for what this thread does, if the run is this thread's.
    pub(crate) fn is_attending(&self) -> bool {
        self.attending.load(Ordering::Relaxed)
    }

    /// Asks a run that stands still on this thread.
    pub(crate) fn ask_still(&self, ask: Ask) -> Option<Answer> {
        let kind = self.kind()?;
        let talk = &mut *self.talk();
        let (story, wrote) = talk.still.as_ref()?;
        let answer = self.decide(ask, kind, *wrote, || story.clone());
        talk.killed |= answer.is_ok() && matches!(ask, Ask::Kill(_));
        Some(answer)
    }

    /// Asks the run and waits for its answer; none if it is over before.
    pub(crate) fn ask(&self, ask: Ask) -> Option<Answer> {
        let _only = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        let mut talk = self.talk();
        (talk.ask, talk.answer) = (Some(ask), None);
        self.asked.store(true, Ordering::Relaxed);
        while talk.answer.is_none() && self.kind().is_some() {
            let woken = self.bell.wait_timeout(talk, PATIENCE);
            talk = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        talk.ask = None;
        self.asked.store(false, Ordering::Relaxed);
        talk.answer.take()
    }

    fn ms_at(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The side of the run.
impl Running {
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for an answer.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A run shows itself.
    pub(crate) fn show(&self, kind: Kind, threshold_ms: u64, now: Instant) {
        self.threshold_ms.store(threshold_ms, Ordering::Relaxed);
        self.since_ms.store(self.ms_at(now), Ordering::Relaxed);
        self.kind.store(kind as u8, Ordering::Release);
    }

    /// The run that has shown itself is over.
    pub(crate) fn hide(&self) {
        self.kind.store(0, Ordering::Release);
        if self.is_asked() {
            self.bell.notify_all();
        }
        if self.stood.load(Ordering::Relaxed) {
            self.stood.store(false, Ordering::Relaxed);
            let mut talk = self.talk();
            (talk.still, talk.killed) = (None, false);
        }
    }

    /// Answers who waits; true if the run is to end for it.
    pub(crate) fn answer(&self, wrote: bool, story: impl FnOnce() -> Story) -> bool {
        let (mut talk, kind) = (self.talk(), self.kind());
        let (Some(ask), Some(kind)) = (talk.ask.take(), kind) else { return false };
        let answer = self.decide(ask, kind, wrote, story);
        let ends = answer.is_ok() && matches!(ask, Ask::Kill(_));
        talk.answer = Some(answer);
        self.asked.store(false, Ordering::Relaxed);
        self.bell.notify_all();
        ends
    }

    /// Calls what this thread has registered; true if the run is to end for what that asked. The
    /// error is a panic.
    pub(crate) fn attend(
        &self,
        wrote: bool,
        story: impl FnOnce() -> Story,
    ) -> Result<bool, Box<dyn Any + Send>> {
        let own = thread::current().id();
        let hook = self
            .hooks()
            .iter()
            .find(|(thread, _)| *thread == own)
            .map(|(_, hook)| Arc::clone(hook));
        let Some(hook) = hook else { return Ok(false) };
        let mut talk = self.talk();
        let story = talk.still.take().map_or_else(story, |(story, _)| story);
        talk.still = Some((story, wrote));
        drop(talk);
        self.stood.store(true, Ordering::Relaxed);
        self.attending.store(true, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| hook()));
        self.attending.store(false, Ordering::Relaxed);
        outcome.map(|()| self.talk().killed)
    }

    fn decide(&self, ask: Ask, kind: Kind, wrote: bool, story: impl FnOnce() -> Story) -> Answer {
        match ask {
            Ask::Kill(meant) if meant != kind => Err(CommandError::busy(kind == Kind::Function)),
            Ask::Kill(_) if wrote && self.keeps => Err(CommandError::UNKILLABLE),
            Ask::Kill(_) => Ok(None),
            Ask::Tell if kind == Kind::Script => Err(CommandError::busy(false)),
            Ask::Tell => Ok(Some(story())),
        }
    }
}

//! LuaJIT's way to keep a run within its limits.
//!
//! A standing hook would keep the compiler from doing anything, so none is set. A thread of the
//! engine's own looks every millisecond whether a run is under way, and sets a hook from beside when
//! its time is up, when somebody asks of it, or when it is to be seen by others for the first time.
//! LuaJIT allows that from any thread; compiled loops see it where LuaJIT was built with
//! LUAJIT_ENABLE_CHECKHOOK, which [`Watch::prepare`] finds out. Elsewhere, and in runs whose
//! instructions are counted or profiled, the compiler is off.
//!
//! The thread is started by the first run, and parks when no run has begun for a while. A run tells
//! of itself by two stores.

use super::guard::Guard;
use super::load;
use crate::script::running::Running;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::cell::{Cell, OnceCell};
use std::os::raw::c_int;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How often the thread looks.
const TICK: Duration = Duration::from_millis(1);
/// After so many looks without a new run the thread parks.
const IDLE_TICKS: u32 = 4;
/// When a run is looked at next if nothing is known that would end it.
const FAR: Duration = Duration::from_secs(3600);
/// The probe's loop; long enough to be compiled several times over.
const PROBE: &[u8] =
    b"local box, trace = {}, ... for i = 1, 4000 do box[1] = {i} end return trace(1)";
/// What the probe's loop may hold before it is rung, and the slack within which it has to notice.
const PROBE_BYTES: usize = 64 * 1024;
const PROBE_SLACK: usize = 16 * 1024;

/// What the thread needs of stack, with a margin.
const STACK_BYTES: usize = 64 * 1024;

const ENGINE_OFF: c_int = 0;
const ENGINE_ON: c_int = 0x100;
const ENGINE_FLUSH: c_int = 0x200;
/// A function and all that are made in it.
const ALL_FUNCTIONS_FLUSH: c_int = 0x203;

unsafe extern "C-unwind" {
    /// Exported by LuaJIT, not declared by mlua-sys.
    fn luaJIT_setmode(l: *mut lua_State, index: c_int, mode: c_int) -> c_int;
}

/// Forgets what was compiled of the function on top of the stack, and of those made in it.
///
/// # Safety
/// `l` is the main state, in no run, with a function of Lua on top.
pub(super) unsafe fn forget_compiled(l: *mut lua_State) {
    // SAFETY: the caller's promise; the mode is known and nothing is raised outside of finalizers.
    unsafe { luaJIT_setmode(l, -1, ALL_FUNCTIONS_FLUSH) };
}

/// What a state knows of its watchdog.
pub(super) struct Watch {
    bell: Arc<Bell>,
    thread: OnceCell<Option<Thread>>,
    handle: Cell<Option<JoinHandle<()>>>,
    process: u32,
    /// The main state; null before it is prepared.
    state: Cell<*mut lua_State>,
    /// Whether compiled code notices hooks.
    may_compile: Cell<bool>,
    compiles: Cell<bool>,
    /// Whether the run has a hook of its own.
    stands: Cell<bool>,
    run: Cell<u64>,
    /// The bytes in use when the hook last looked.
    heard_at: Cell<usize>,
    /// Whether the hook is at work; it is not any more, whatever its bell says, once the run is over.
    hooked: Cell<bool>,
}

/// What the state and its watchdog share.
struct Bell {
    shared: Arc<Running>,
    /// Odd while a run is under way; each begin and end is one more.
    run: AtomicU64,
    parked: AtomicBool,
    closing: AtomicBool,
    talk: Mutex<Talk>,
}

/// The state of the bell. It is locked while the hook is set from beside, and by the hook as its
/// first act: so neither works on Lua's flags while the other does.
struct Talk {
    /// The main state, as an address.
    state: usize,
    /// The run that was seen last, and when it was seen first.
    run: u64,
    seen: Instant,
    /// When it is rung next.
    wake_at: Instant,
    /// Whether its hook is at work, or was since the last look.
    in_hook: bool,
    was_in_hook: bool,
    rung: bool,
}

impl Bell {
    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body of the thread.
    fn watch(&self) {
        leave_signals();
        let (mut known, mut idle) = (0, 0);
        while !self.closing.load(Ordering::Acquire) {
            let run = self.run.load(Ordering::Acquire);
            idle = if run == known && run.is_multiple_of(2) { idle + 1 } else { 0 };
            known = run;
            if run % 2 == 1 {
                self.look(run);
            }
            match idle < IDLE_TICKS {
                true => thread::park_timeout(TICK),
                false => self.park(run),
            }
        }
    }

    /// Looks at a run that is under way.
    fn look(&self, run: u64) {
        let (mut talk, now) = (self.talk(), Instant::now());
        if talk.run != run {
            (talk.run, talk.seen, talk.wake_at) = (run, now, now + TICK);
            return;
        }
        if self.run.load(Ordering::Acquire) != run {
            return;
        }
        if talk.in_hook || std::mem::take(&mut talk.was_in_hook) {
            return;
        }
        if now >= talk.wake_at || self.shared.is_cancelled() || self.shared.is_asked() {
            let l = talk.state as *mut lua_State;
            // SAFETY: the state is not closed before this thread has ended. LuaJIT lets hooks be set
            // from beside; what that may lose when the state changes the same flags is set again
            // at the next look, from scratch, as long as the hook has not answered.
            unsafe {
                if std::mem::replace(&mut talk.rung, true) {
                    ffi::lua_sethook(l, None, 0, 0);
                }
                ffi::lua_sethook(l, Some(on_ring), ffi::LUA_MASKCOUNT, 1);
            }
        }
    }

    /// Waits for the next run. The flag is given time to be seen: a run tells of itself and then
    /// looks at the flag without a fence between.
    fn park(&self, known: u64) {
        self.parked.store(true, Ordering::SeqCst);
        thread::park_timeout(TICK);
        while self.run.load(Ordering::SeqCst) == known && !self.closing.load(Ordering::Acquire) {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// The host's signals are for its own threads.
fn leave_signals() {
    #[cfg(unix)]
    // SAFETY: zeroes are room for a set, which sigfillset fills; the mask is this thread's own.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

impl Watch {
    pub(super) fn new(shared: Arc<Running>) -> Watch {
        let now = Instant::now();
        let talk = Talk {
            state: 0,
            run: 0,
            seen: now,
            wake_at: now,
            in_hook: false,
            was_in_hook: false,
            rung: false,
        };
        let bell = Bell {
            shared,
            run: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            talk: Mutex::new(talk),
        };
        Watch {
            bell: Arc::new(bell),
            thread: OnceCell::new(),
            handle: Cell::new(None),
            process: std::process::id(),
            state: Cell::new(ptr::null_mut()),
            may_compile: Cell::new(false),
            compiles: Cell::new(true),
            stands: Cell::new(false),
            run: Cell::new(0),
            heard_at: Cell::new(0),
            hooked: Cell::new(false),
        }
    }

    /// Starts the compiler and finds out whether what it makes can be stopped.
    ///
    /// # Safety
    /// Under a protected call, while `l`, the main state of the guard, is built.
    pub(super) unsafe fn prepare(&self, l: *mut lua_State, guard: &Guard) {
        self.state.set(l);
        self.bell.talk().state = l as usize;
        // SAFETY: the caller's promise; what is pushed here is popped.
        unsafe {
            ffi::luaopen_jit(l);
            ffi::lua_settop(l, 0);
            ffi::lua_pushnil(l);
            ffi::lua_setfield(l, ffi::LUA_GLOBALSINDEX, c"jit".as_ptr());
            self.may_compile.set(probe(l, guard));
            ffi::lua_settop(l, 0);
            self.set_compiler(l, self.may_compile.get());
        }
    }

    /// Begins a run; gives whether it needs a hook of its own: its instructions are counted, or
    /// there is no thread to watch it.
    #[inline]
    pub(super) fn begin(&self, counts: bool) -> bool {
        let stands = counts || self.thread.get_or_init(|| self.start()).is_none();
        self.stands.set(stands);
        let compiles = self.may_compile.get() && !stands;
        if compiles != self.compiles.get() {
            // SAFETY: the state is open, and no run is under way.
            unsafe { self.set_compiler(self.state.get(), compiles) };
        }
        match stands {
            // A ring that was under way is over then.
            true => drop(self.bell.talk()),
            false => self.tell(),
        }
        if self.bell.parked.load(Ordering::Relaxed) {
            self.wake();
        }
        stands
    }

    /// Ends a run; gives whether it had a hook of its own.
    #[inline]
    pub(super) fn end(&self) -> bool {
        if self.hooked.replace(false) {
            self.leave_hook();
        }
        if !self.stands.get() {
            self.tell();
        }
        self.stands.get()
    }

    /// Ends a hook that did not come to its own end: what it did was refused memory, which is an
    /// error of Lua's.
    #[cold]
    fn leave_hook(&self) {
        self.bell.talk().in_hook = false;
    }

    /// Tells that a run has begun, or ended.
    #[inline]
    fn tell(&self) {
        self.run.set(self.run.get() + 1);
        self.bell.run.store(self.run.get(), Ordering::Release);
    }

    /// When the run that is under way was first seen, if it was.
    #[cold]
    pub(super) fn seen(&self) -> Option<Instant> {
        let talk = self.bell.talk();
        (!self.stands.get() && talk.run == self.run.get()).then_some(talk.seen)
    }

    /// Rings from within the run: its memory is to be looked at before it grows much further.
    #[cold]
    pub(super) fn ring(&self) {
        let l = self.state.get();
        if !l.is_null() && !self.stands.get() {
            let _alone = self.bell.talk();
            // SAFETY: the state is open; setting a hook is allowed anywhere and allocates nothing.
            unsafe { ffi::lua_sethook(l, Some(on_ring), ffi::LUA_MASKCOUNT, 1) };
        }
    }

    #[cold]
    fn start(&self) -> Option<Thread> {
        let bell = Arc::clone(&self.bell);
        let builder = thread::Builder::new().name("moonkv-watchdog".to_owned());
        let handle = builder.stack_size(STACK_BYTES).spawn(move || bell.watch()).ok()?;
        let thread = handle.thread().clone();
        self.handle.set(Some(handle));
        Some(thread)
    }

    #[cold]
    fn wake(&self) {
        if let Some(Some(thread)) = self.thread.get() {
            thread.unpark();
        }
    }

    /// # Safety
    /// `l` is the main state, in no run.
    unsafe fn set_compiler(&self, l: *mut lua_State, on: bool) {
        self.compiles.set(on);
        // SAFETY: the caller's promise. What was compiled is forgotten, so that every instruction
        // is seen from here on.
        unsafe {
            if !on {
                luaJIT_setmode(l, 0, ENGINE_FLUSH);
            }
            luaJIT_setmode(l, 0, if on { ENGINE_ON } else { ENGINE_OFF });
        }
    }

    /// Ends the thread, so that the state may be closed. A process that was forked has none to
    /// wait for.
    pub(super) fn stop(&self) {
        self.bell.closing.store(true, Ordering::Release);
        if let Some(handle) = self.handle.take().filter(|_| std::process::id() == self.process) {
            handle.thread().unpark();
            // A thread that panicked is as gone as one that ended.
            let _ = handle.join();
        }
    }
}

/// The hook that is set from beside, for one look.
unsafe extern "C-unwind" fn on_ring(l: *mut lua_State, _event: *mut ffi::lua_Debug) {
    // SAFETY: Lua calls hooks with a live state and free stack slots; nothing is owned at the raise.
    unsafe {
        let guard = Guard::of_state(l);
        let watch = &guard.watch;
        let mut talk = watch.bell.talk();
        (talk.in_hook, talk.rung) = (true, false);
        drop(talk);
        watch.hooked.set(true);
        ffi::lua_sethook(l, None, 0, 0);
        watch.heard_at.set(guard.heap().bytes_in_use());
        let is_doomed = guard.check();
        guard.relieve(l);
        watch.hooked.set(false);
        let mut talk = watch.bell.talk();
        (talk.in_hook, talk.was_in_hook) = (false, true);
        talk.wake_at = guard.next_look().unwrap_or_else(|| Instant::now() + FAR);
        drop(talk);
        if is_doomed {
            guard.raise(l);
        }
    }
}

/// Runs a loop until it is compiled, and on until its memory rings: whether it notices at once.
///
/// # Safety
/// As [`Watch::prepare`].
unsafe fn probe(l: *mut lua_State, guard: &Guard) -> bool {
    // SAFETY: the caller's promise; the libraries of LuaJIT are where it keeps them.
    unsafe {
        ffi::lua_getfield_(l, ffi::LUA_REGISTRYINDEX, c"_PRELOAD".as_ptr());
        ffi::lua_getfield_(l, -1, c"jit.util".as_ptr());
        ffi::lua_call(l, 0, 1);
        let text = PROBE.as_ptr();
        if load::load_text(l, text, PROBE.len(), c"=probe".as_ptr()) != ffi::LUA_OK {
            return false;
        }
        ffi::lua_getfield_(l, -2, c"traceinfo".as_ptr());
        ffi::lua_gc(l, ffi::LUA_GCSTOP, 0);
        let rings_at = guard.ring_after(PROBE_BYTES);
        ffi::lua_call(l, 1, 1);
        guard.ring_after(usize::MAX);
        ffi::lua_gc(l, ffi::LUA_GCRESTART, 0);
        let heard_at = guard.watch.heard_at.get();
        ffi::lua_istable(l, -1) != 0 && (rings_at..rings_at + PROBE_SLACK).contains(&heard_at)
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;

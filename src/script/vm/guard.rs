//! What keeps a script within its limits: time, memory, instructions, and the host's wish to stop.
//!
//! A limit once passed is *doom*: it is remembered here until the run ends, and everything that
//! could catch an error (pcall, xpcall, coroutine.resume, coroutine.wrap, load) raises again when it
//! sees it. A script cannot outlive its doom by catching.
//!
//! Doom is found in five places: the count hook, the allocator, C functions that announce long work
//! ([`Guard::work`]), pattern matching, and each coroutine switch. The raise carries a light userdata and allocates
//! nothing: the text is made by [`Doom::message`] when Lua is left.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::alloc::Heap;
use super::bridge::Bridge;
use super::math::RandomMode;
use super::patterns::Patterns;
use super::profiler::{self, Profiler};
use super::sandbox::Fixtures;
#[cfg(feature = "luajit")]
use super::watchdog::Watch;
use crate::script::profile::CallTree;
use crate::script::running::Running;

/// Instructions between two looks at the limits. Measured on PUC 5.1.5: a standing hook costs an empty
/// loop 3.5 % at 1,000 and 1 % at 10,000, fib(27) 4 % at either.
const INTERVAL: u32 = 1_000;
/// The interval after one that took longer than [`SLOW`]: single instructions (comparing two strings
/// of 10 MB) may take milliseconds.
const SHORT_INTERVAL: u32 = 20;
const SLOW: Duration = Duration::from_millis(10);
/// The first interval of a run, after which the clock is read for the first time, and of a coroutine.
/// Under an instruction limit a coroutine's is charged when it is made, so that coroutines too short
/// for a hook are counted too.
const FIRST_INTERVAL: u32 = 40;
/// Units of announced work between two looks at the limits; a unit is some tens of nanoseconds.
const WORK_INTERVAL: usize = 4_096;
/// An allocation of this size looks at the clock: it takes longer than the look.
const LARGE_BYTES: usize = 64 * 1024;

/// Calls from C into Lua, resumed coroutines among them, that are under way within one another. Lua
/// 5.1 itself has a limit of 200 nested C calls, of which a resume takes two; ours keeps the C stack
/// small where each resume also has frames of ours. LuaJIT has no limit: there ours stands for both.
pub(super) const DEEPEST_CALLS: u32 = 160;

/// How often what the thread has registered is called during a run that has gone on for long.
const ATTEND_EVERY: Duration = Duration::from_millis(5);

/// Up to this size a heap is collected when it has grown tenfold, above when it has doubled: per
/// cent, as Lua counts.
const SMALL_HEAP_BYTES: usize = 256 * 1024;
const SMALL_HEAP_PAUSE: c_int = 1000;
const LARGE_HEAP_PAUSE: c_int = 200;
/// In a run that goes on, once its heap is of this size: garbage that no longer fits the processor's
/// caches costs more than marking what stays.
const LONG_RUN_BYTES: usize = 512 * 1024;
const LONG_RUN_PAUSE: c_int = 300;

/// The limits of one run. `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) instructions: Option<u64>,
    /// Bytes the run may add to what the state holds at its start.
    pub(crate) memory: Option<usize>,
}

/// Why a run has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    Time {
        limit_ms: u64,
        elapsed_ms: u64,
    },
    /// No limit means the system itself had no memory.
    Memory {
        limit_bytes: Option<usize>,
        held_bytes: usize,
        asked_bytes: usize,
    },
    Instructions {
        limit: u64,
    },
    Cancelled,
    /// By `SCRIPT KILL` or `FUNCTION KILL`.
    Killed,
}

impl Doom {
    /// The reply's text. It allocates: call it when no Lua call is under way.
    pub(crate) fn message(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Doom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Doom::Time { limit_ms, elapsed_ms } => write!(
                f,
                "ERR script exceeded its time limit of {limit_ms} ms (script_timeout_ms) and was \
                 stopped after {elapsed_ms} ms"
            ),
            Doom::Memory { limit_bytes: Some(limit), held_bytes, asked_bytes } => write!(
                f,
                "ERR script exceeded its memory limit of {limit} bytes (script_memory) and was \
                 stopped: it held {held_bytes} bytes and asked for {asked_bytes} more"
            ),
            Doom::Memory { limit_bytes: None, asked_bytes, .. } => write!(
                f,
                "ERR script was stopped: the system had no memory left when it asked for \
                 {asked_bytes} bytes"
            ),
            Doom::Instructions { limit } => write!(
                f,
                "ERR script exceeded its limit of {limit} instructions (script_instructions) and \
                 was stopped"
            ),
            Doom::Cancelled => f.write_str("ERR script was cancelled by the host"),
            // The text is the same for functions.
            Doom::Killed => f.write_str("ERR Script killed by user with SCRIPT KILL..."),
        }
    }
}

/// The limits, the memory and the fixtures of one Lua state, at an address that does not change while
/// the state lives. C closures carry that address as their first upvalue.
pub(crate) struct Guard {
    heap: Heap,
    shared: Arc<Running>,
    doom: Cell<Option<Doom>>,
    running: Cell<bool>,
    limits: Cell<Limits>,
    started: Cell<Option<Instant>>,
    looked: Cell<Option<Instant>>,
    /// Whether the collector goes at the pace of a long run.
    is_long: Cell<bool>,
    /// Whether others can see the run; not while text is compiled or a library loads.
    shown: Cell<bool>,
    /// After which time what the thread has registered is called next.
    attend_at: Cell<Duration>,
    /// The line it was killed at, 0 for not known.
    pub(super) killed_line: Cell<c_int>,
    /// The bytes in use beyond which growth is refused; usize::MAX between runs.
    ceiling: Cell<usize>,
    start_bytes: Cell<usize>,
    collected_bytes: Cell<usize>,
    instructions: Cell<u64>,
    worked: Cell<usize>,
    /// Coroutines resumed within one another.
    pub(super) depth: Cell<u32>,
    pub(super) random_mode: Cell<RandomMode>,
    pub(super) random_state: Cell<u64>,
    /// The number tostring gave last in this run.
    pub(super) named: Cell<u64>,
    pub(super) scratch: Cell<(*mut u8, usize)>,
    pub(super) fixtures: Fixtures,
    pub(super) patterns: Patterns,
    /// What the functions of `redis.*` share with Rust: found from any state in a few loads, where an
    /// upvalue takes a walk.
    pub(super) bridge: Cell<*mut c_void>,
    /// The bytes in use beyond which garbage is looked at; never above the ceiling.
    #[cfg(feature = "luajit")]
    relief: Cell<usize>,
    #[cfg(feature = "luajit")]
    pub(super) watch: Watch,
    /// The hook of a run, and the events it is called for.
    hook: Cell<(ffi::lua_Hook, c_int)>,
    /// The profile that is made, if one is.
    pub(super) profiler: RefCell<Option<Profiler>>,
}

/// The hook that holds a run to its limits.
const LIMITS_ONLY: (ffi::lua_Hook, c_int) = (on_count, ffi::LUA_MASKCOUNT);

impl Guard {
    /// Other threads see the run by `shared`, and stop it.
    pub(crate) fn new(shared: Arc<Running>, random_mode: RandomMode) -> Box<Self> {
        Box::new(Self {
            heap: Heap::new(),
            #[cfg(feature = "luajit")]
            relief: Cell::new(usize::MAX),
            #[cfg(feature = "luajit")]
            watch: Watch::new(Arc::clone(&shared)),
            shared,
            doom: Cell::new(None),
            running: Cell::new(false),
            limits: Cell::new(Limits::default()),
            started: Cell::new(None),
            looked: Cell::new(None),
            is_long: Cell::new(false),
            shown: Cell::new(false),
            attend_at: Cell::new(Duration::MAX),
            killed_line: Cell::new(0),
            ceiling: Cell::new(usize::MAX),
            start_bytes: Cell::new(0),
            collected_bytes: Cell::new(0),
            instructions: Cell::new(0),
            worked: Cell::new(0),
            depth: Cell::new(0),
            random_mode: Cell::new(random_mode),
            random_state: Cell::new(super::math::seeded(0)),
            named: Cell::new(0),
            scratch: Cell::new((ptr::null_mut(), 0)),
            fixtures: Fixtures::new(),
            patterns: Patterns::new(),
            bridge: Cell::new(ptr::null_mut()),
            hook: Cell::new(LIMITS_ONLY),
            profiler: RefCell::new(None),
        })
    }

    /// The guard of the C closure that is running.
    ///
    /// # Safety
    /// The running function was made by `sandbox::push_function`.
    #[inline]
    pub(crate) unsafe fn of_closure<'a>(l: *mut lua_State) -> &'a Guard {
        // SAFETY: upvalue 1 is the guard's address, and the guard outlives the state.
        unsafe { &*ffi::lua_touserdata(l, ffi::lua_upvalueindex(1)).cast::<Guard>() }
    }

    /// The guard of a state, for hooks and readers, which have no upvalues.
    ///
    /// # Safety
    /// The state was made by `sandbox::open`.
    #[inline]
    pub(crate) unsafe fn of_state<'a>(l: *mut lua_State) -> &'a Guard {
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the allocator's user data is the guard.
        unsafe {
            ffi::lua_getallocf(l, &raw mut data);
            &*data.cast::<Guard>()
        }
    }

    pub(crate) fn heap(&self) -> &Heap {
        &self.heap
    }

    #[inline]
    pub(crate) fn is_doomed(&self) -> bool {
        self.doom.get().is_some()
    }

    /// Begins a run on the main state. Allocates nothing and cannot raise.
    ///
    /// # Safety
    /// `l` is the main state of this guard; no run is under way.
    pub(super) unsafe fn begin(&self, l: *mut lua_State, limits: Limits) {
        let in_use = self.heap.bytes_in_use();
        self.doom.set(None);
        self.limits.set(limits);
        // The clock is read at the first look: most runs end before it.
        self.started.set(None);
        self.looked.set(None);
        self.killed_line.set(0);
        self.start_bytes.set(in_use);
        self.collected_bytes.set(in_use);
        self.ceiling
            .set(limits.memory.map_or(usize::MAX, |allowance| in_use.saturating_add(allowance)));
        self.instructions.set(0);
        self.worked.set(0);
        self.patterns.begin();
        self.depth.set(0);
        if self.random_mode.get() != RandomMode::Continued {
            self.random_state.set(super::math::seeded(0));
        }
        self.running.set(true);
        // A small heap may grow by more before it is collected: marking what stays would cost
        // short runs more than the memory is worth.
        let pause = if in_use < SMALL_HEAP_BYTES { SMALL_HEAP_PAUSE } else { LARGE_HEAP_PAUSE };
        self.is_long.set(in_use >= SMALL_HEAP_BYTES);
        // SAFETY: setting the pause allocates nothing and collects nothing.
        unsafe { ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, pause) };
        // SAFETY: the caller's promise.
        unsafe { self.begin_looks(l) };
    }

    /// Sees to it that the run is looked at.
    ///
    /// # Safety
    /// As [`Guard::begin`].
    #[cfg(feature = "lua51")]
    unsafe fn begin_looks(&self, l: *mut lua_State) {
        let interval = FIRST_INTERVAL.min(self.interval()) as c_int;
        // SAFETY: setting a hook allocates nothing.
        unsafe { self.set_hook(l, interval) };
    }

    /// The same; a hook is set only where each instruction matters.
    ///
    /// # Safety
    /// As [`Guard::begin`].
    #[cfg(feature = "luajit")]
    unsafe fn begin_looks(&self, l: *mut lua_State) {
        self.relief.set(self.relief_mark());
        let counts = self.limits.get().instructions.is_some();
        if self.watch.begin(counts || self.hook.get().1 != LIMITS_ONLY.1) {
            let interval = FIRST_INTERVAL.min(self.interval()) as c_int;
            // SAFETY: setting a hook allocates nothing.
            unsafe { self.set_hook(l, interval) };
        }
    }

    /// Ends what [`Guard::begin_looks`] began.
    ///
    /// # Safety
    /// As [`Guard::end`].
    unsafe fn end_looks(&self, l: *mut lua_State) {
        #[cfg(feature = "luajit")]
        {
            self.relief.set(usize::MAX);
            if !self.watch.end() {
                return;
            }
        }
        // SAFETY: clearing a hook allocates nothing.
        unsafe { ffi::lua_sethook(l, None, 0, 0) };
    }

    /// Ends the run and tells what doomed it, if anything did.
    ///
    /// # Safety
    /// `l` is the main state of this guard.
    pub(super) unsafe fn end(&self, l: *mut lua_State) -> Option<Doom> {
        // Under LuaJIT a run may be over before the watchdog has seen what it was told.
        if cfg!(feature = "luajit") && self.shared.is_cancelled() {
            self.condemn(Doom::Cancelled);
        }
        self.ceiling.set(usize::MAX);
        self.limits.set(Limits::default());
        self.running.set(false);
        if self.shown.replace(false) {
            self.shared.hide();
        }
        self.drop_scratch();
        self.patterns.end();
        if self.hook.get().1 == profiler::EVENTS
            && let Some(profiler) = &mut *self.profiler.borrow_mut()
        {
            profiler.leave();
        }
        // SAFETY: the caller's promise.
        unsafe { self.end_looks(l) };
        self.doom.take()
    }

    /// # Safety
    /// `l` is a state of this guard.
    unsafe fn set_hook(&self, l: *mut lua_State, interval: c_int) {
        let (hook, events) = self.hook.get();
        // SAFETY: setting a hook allocates nothing.
        unsafe { ffi::lua_sethook(l, Some(hook), events, interval) };
    }

    /// Profiles the runs that begin from now on.
    pub(super) fn begin_profile(&self) {
        self.hook.set((profiler::on_event, profiler::EVENTS));
        self.profiler.replace(Some(Profiler::new()));
    }

    /// Ends that; returns where the time went.
    pub(super) fn end_profile(&self) -> CallTree {
        self.hook.set(LIMITS_ONLY);
        self.profiler.take().map_or_else(CallTree::default, Profiler::finish)
    }

    fn interval(&self) -> u32 {
        let limit = self.limits.get().instructions.unwrap_or(u64::MAX);
        limit.clamp(1, u64::from(INTERVAL)) as u32
    }

    /// Remembers the first doom only: what follows is its echo.
    fn condemn(&self, doom: Doom) {
        if self.running.get() && !self.is_doomed() {
            self.doom.set(Some(doom));
        }
    }

    /// Looks at the host's wish and the clock, and sees to those who ask of the run. True when the
    /// run is doomed.
    pub(crate) fn check(&self) -> bool {
        if !self.running.get() {
            return false;
        }
        let elapsed = self.look();
        if self.shown.get() && (self.shared.is_asked() || elapsed >= self.attend_at.get()) {
            self.attend(elapsed);
        }
        self.is_doomed()
    }

    /// Looks at the host's wish and the clock; returns how long the run has taken.
    fn look(&self) -> Duration {
        if self.shared.is_cancelled() {
            self.condemn(Doom::Cancelled);
        }
        let elapsed = self.elapsed();
        if let Some(limit) = self.limits.get().time.filter(|limit| elapsed > *limit) {
            let (limit_ms, elapsed_ms) = (whole_ms(limit), whole_ms(elapsed));
            self.condemn(Doom::Time { limit_ms, elapsed_ms });
        }
        elapsed
    }

    /// Answers those who ask of the run, and lets its thread do what cannot wait.
    #[cold]
    fn attend(&self, elapsed: Duration) {
        let bridge = self.bridge.get().cast::<Bridge>();
        if self.is_doomed() || bridge.is_null() {
            return;
        }
        // SAFETY: the bridge outlives the state; nobody else uses it while a look is taken.
        let (wrote, story) = unsafe { ((*bridge).wrote, || (*bridge).story(self.since())) };
        if self.shared.is_asked() && self.shared.answer(wrote, story) {
            self.condemn(Doom::Killed);
        }
        if elapsed < self.attend_at.get() {
            return;
        }
        match self.shared.attend(wrote, story) {
            Ok(true) => self.condemn(Doom::Killed),
            Ok(false) => (),
            Err(panic) => {
                self.condemn(Doom::Cancelled);
                // SAFETY: as above.
                unsafe { (*bridge).panic = Some(panic) };
            }
        }
        self.attend_at.set(self.elapsed().saturating_add(ATTEND_EVERY));
    }

    /// When the run was first looked at.
    fn since(&self) -> Instant {
        self.started.get().unwrap_or_else(Instant::now)
    }

    /// The first look: from now on others see the run.
    #[cold]
    fn show(&self, now: Instant) {
        let bridge = self.bridge.get().cast::<Bridge>();
        // SAFETY: as in `attend`.
        let seen = (!bridge.is_null()).then(|| unsafe { (*bridge).kind_and_threshold() }).flatten();
        let Some((kind, threshold_ms)) = seen else { return };
        self.shown.set(true);
        self.shared.show(kind, threshold_ms, now);
        let threshold = Duration::from_millis(threshold_ms);
        self.attend_at.set(if threshold.is_zero() { Duration::MAX } else { threshold });
    }

    /// Time since the first look of this run, which is some microseconds after its start.
    fn elapsed(&self) -> Duration {
        let now = Instant::now();
        let Some(started) = self.started.get() else {
            #[cfg(feature = "luajit")]
            let started = self.watch.seen().unwrap_or(now);
            #[cfg(feature = "lua51")]
            let started = now;
            self.started.set(Some(started));
            self.show(started);
            return now.saturating_duration_since(started);
        };
        now - started
    }

    /// When the run is to be looked at next; none if nothing is known that would end it.
    #[cfg(feature = "luajit")]
    pub(super) fn next_look(&self) -> Option<Instant> {
        if self.is_doomed() {
            return Some(Instant::now());
        }
        let limit = self.limits.get().time.unwrap_or(Duration::MAX);
        self.since().checked_add(limit.min(self.attend_at.get()))
    }

    /// The bytes in use near the ceiling, from which on garbage is looked at.
    #[cfg(feature = "luajit")]
    fn relief_mark(&self) -> usize {
        let ceiling = self.ceiling.get();
        let Some(allowance) = self.limits.get().memory else { return ceiling };
        let again = self.collected_bytes.get().saturating_add(allowance / 8);
        again.max(ceiling.saturating_sub(allowance / 4)).min(ceiling)
    }

    /// Rings once so many more bytes are in use; gives how many are then.
    #[cfg(feature = "luajit")]
    pub(super) fn ring_after(&self, bytes: usize) -> usize {
        let mark = self.heap.bytes_in_use().saturating_add(bytes);
        self.relief.set(mark);
        mark
    }

    /// Whether the heap may grow by so many bytes. A refusal dooms the run.
    #[inline]
    pub(super) fn permits(&self, growth: usize) -> bool {
        if self.heap.bytes_in_use().saturating_add(growth) > self.ceiling.get() {
            self.memory_refused(growth);
            return false;
        }
        #[cfg(feature = "luajit")]
        if self.heap.bytes_in_use().saturating_add(growth) > self.relief.get() {
            self.relief.set(self.ceiling.get());
            self.watch.ring();
        }
        if growth >= LARGE_BYTES && self.running.get() {
            // In the middle of an allocation is no place to see to anybody.
            self.look();
            return !self.is_doomed();
        }
        true
    }

    /// Whether that is certain for a small block, and needs no closer look.
    #[inline]
    pub(super) fn has_room(&self, growth: usize) -> bool {
        #[cfg(feature = "luajit")]
        let room = self.relief.get();
        #[cfg(feature = "lua51")]
        let room = self.ceiling.get();
        self.heap.bytes_in_use().saturating_add(growth) <= room
    }

    /// Notes that the system itself refused memory.
    #[cold]
    pub(super) fn system_refused(&self, asked_bytes: usize) {
        self.condemn(Doom::Memory { limit_bytes: None, held_bytes: self.run_bytes(), asked_bytes });
    }

    #[cold]
    fn memory_refused(&self, asked_bytes: usize) {
        let limit_bytes = self.limits.get().memory;
        self.condemn(Doom::Memory { limit_bytes, held_bytes: self.run_bytes(), asked_bytes });
    }

    /// The bytes the run added to the state.
    fn run_bytes(&self) -> usize {
        self.heap.bytes_in_use().saturating_sub(self.start_bytes.get())
    }

    /// Counts instructions; past the limit the run is doomed.
    pub(super) fn count(&self, instructions: u64) {
        let counted = self.instructions.get().saturating_add(instructions);
        self.instructions.set(counted);
        if let Some(limit) = self.limits.get().instructions.filter(|limit| counted > *limit) {
            self.condemn(Doom::Instructions { limit });
        }
    }

    /// Announces work of so many units that no hook sees. Raises when the run is doomed.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    pub(crate) unsafe fn work(&self, l: *mut lua_State, units: usize) {
        let worked = self.worked.get().saturating_add(units);
        if worked < WORK_INTERVAL {
            self.worked.set(worked);
            return;
        }
        self.worked.set(0);
        if self.check() {
            // SAFETY: the caller owns nothing.
            unsafe { self.raise(l) }
        }
    }

    /// Raises again in a catcher when the run is doomed.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    pub(crate) unsafe fn reraise(&self, l: *mut lua_State) {
        if self.is_doomed() {
            // SAFETY: the caller owns nothing.
            unsafe { self.raise(l) }
        }
    }

    /// Goes one call deeper from C into Lua; gives what [`Guard::rise`] takes when that is over. An
    /// error in between needs none: who catches it has noted its own depth.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    pub(super) unsafe fn deepen(&self, l: *mut lua_State) -> u32 {
        let depth = self.depth.get();
        if cfg!(feature = "luajit") {
            if depth >= DEEPEST_CALLS {
                // SAFETY: the caller owns nothing.
                unsafe { ffi::luaL_error(l, c"C stack overflow".as_ptr()) };
            }
            self.depth.set(depth + 1);
        }
        depth
    }

    #[inline]
    pub(super) fn rise(&self, depth: u32) {
        if cfg!(feature = "luajit") {
            self.depth.set(depth);
        }
    }

    /// Calls the function on the stack from a C function.
    ///
    /// # Safety
    /// As `lua_call`; called from a C function that owns nothing.
    #[inline]
    pub(super) unsafe fn call(&self, l: *mut lua_State, arguments: c_int, results: c_int) {
        // SAFETY: the caller's promise.
        unsafe {
            let depth = self.deepen(l);
            ffi::lua_call(l, arguments, results);
            self.rise(depth);
        }
    }

    /// Raises doom: a light userdata, so that nothing is allocated.
    ///
    /// # Safety
    /// Called from a C function or hook that owns nothing, with a free stack slot.
    pub(super) unsafe fn raise(&self, l: *mut lua_State) -> ! {
        // SAFETY: the caller's promise.
        unsafe {
            if self.doom.get() == Some(Doom::Killed) && self.killed_line.get() == 0 {
                self.killed_line.set(current_line(l));
            }
            ffi::lua_pushlightuserdata(l, ptr::from_ref(self).cast_mut().cast());
            ffi::lua_error(l)
        }
    }

    /// Arranges for a new coroutine's first instructions to be counted. LuaJIT has one hook for all.
    ///
    /// # Safety
    /// `thread` is a thread of this guard's state.
    #[cfg(feature = "lua51")]
    pub(super) unsafe fn adopt(&self, thread: *mut lua_State) {
        if self.limits.get().instructions.is_none() {
            return;
        }
        let interval = FIRST_INTERVAL.min(self.interval());
        self.count(u64::from(interval));
        // SAFETY: setting a hook allocates nothing.
        unsafe { self.set_hook(thread, interval as c_int) };
    }

    /// A limit on memory counts garbage. Near the ceiling it is collected, but only when the run has
    /// grown by an eighth of its allowance since: a script that really holds that much must not pay
    /// for a collection at every look.
    ///
    /// # Safety
    /// Called from a hook.
    pub(super) unsafe fn relieve(&self, l: *mut lua_State) {
        let Some(allowance) = self.limits.get().memory else { return };
        let (in_use, ceiling) = (self.heap.bytes_in_use(), self.ceiling.get());
        let near = in_use > ceiling - allowance.min(ceiling) / 4;
        if near && in_use >= self.collected_bytes.get().saturating_add(allowance / 8) {
            // SAFETY: the caller's promise.
            unsafe { self.collect(l) };
        }
        #[cfg(feature = "luajit")]
        self.relief.set(self.relief_mark());
    }

    /// Collects garbage where a size known beforehand would otherwise be refused for it.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    pub(super) unsafe fn make_room(&self, l: *mut lua_State, size: usize) {
        let allowance = self.limits.get().memory.unwrap_or(usize::MAX);
        let wanted = self.heap.bytes_in_use().saturating_add(size);
        if size <= allowance && wanted > self.ceiling.get() {
            // SAFETY: the caller's promise.
            unsafe { self.collect(l) };
        }
    }

    /// # Safety
    /// Called from a hook or a C function that owns nothing.
    unsafe fn collect(&self, l: *mut lua_State) {
        // The collector itself may need a little memory, to be had even at the ceiling.
        let ceiling = self.ceiling.replace(usize::MAX);
        #[cfg(feature = "luajit")]
        self.relief.set(usize::MAX);
        // SAFETY: the caller's promise; no finalizer of a script's exists to run.
        unsafe { ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0) };
        self.ceiling.set(ceiling);
        self.collected_bytes.set(self.heap.bytes_in_use());
        #[cfg(feature = "luajit")]
        self.relief.set(self.relief_mark());
    }

    /// Chooses the next interval. Under an instruction limit it depends on the script alone, so that
    /// the same script stops at the same place.
    ///
    /// # Safety
    /// Called from a hook with its interval.
    unsafe fn adapt(&self, l: *mut lua_State, interval: u32) {
        let mut wanted = self.interval();
        if self.limits.get().instructions.is_none() {
            let now = Instant::now();
            match self.looked.replace(Some(now)) {
                Some(before) if now - before > SLOW => wanted = SHORT_INTERVAL,
                Some(_) => (),
                // How fast the script goes is known from the second look on.
                None => wanted = wanted.min(FIRST_INTERVAL),
            }
        }
        if wanted != interval {
            // SAFETY: a hook may set itself anew.
            unsafe { self.set_hook(l, wanted as c_int) };
        } else if interval >= INTERVAL
            && !self.is_long.get()
            && self.heap.bytes_in_use() > LONG_RUN_BYTES
        {
            // SAFETY: the caller's promise.
            unsafe { self.go_on(l) };
        }
    }

    /// Has the collector keep the heap small from now on. It begins at once: what it may wait for was
    /// settled when it last ended.
    ///
    /// # Safety
    /// Called from a hook.
    unsafe fn go_on(&self, l: *mut lua_State) {
        self.is_long.set(true);
        // SAFETY: neither takes memory or runs anything.
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, LONG_RUN_PAUSE);
            ffi::lua_gc(l, ffi::LUA_GCRESTART, 0);
        }
    }

    /// Bytes outside of Lua's heap that live until the next call or the end of the run, so that a
    /// raise in between leaks nothing. Null when the system has none.
    pub(super) fn take_scratch(&self, size: usize) -> *mut u8 {
        self.drop_scratch();
        let Some(layout) = scratch_layout(size) else { return ptr::null_mut() };
        // SAFETY: the layout's size is above zero.
        let bytes = unsafe { alloc(layout) };
        if bytes.is_null() {
            self.system_refused(size);
        } else {
            self.scratch.set((bytes, layout.size()));
        }
        bytes
    }

    pub(super) fn drop_scratch(&self) {
        let (bytes, size) = self.scratch.replace((ptr::null_mut(), 0));
        if let (false, Some(layout)) = (bytes.is_null(), scratch_layout(size)) {
            // SAFETY: made by take_scratch with this layout.
            unsafe { dealloc(bytes, layout) };
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drop_scratch();
    }
}

/// Scratch bytes are aligned for numbers.
fn scratch_layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), align_of::<f64>()).ok()
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The line of the innermost Lua function that runs, 0 where there is none.
///
/// # Safety
/// `l` is a live state. Allocates nothing and cannot raise.
unsafe fn current_line(l: *mut lua_State) -> c_int {
    // SAFETY: zeroes are a valid lua_Debug; lua_getstack fills in what lua_getinfo needs.
    unsafe {
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        let mut level = 0;
        while ffi::lua_getstack(l, level, &raw mut frame) == 1 {
            ffi::lua_getinfo(l, c"l".as_ptr(), &raw mut frame);
            if frame.currentline > 0 {
                return frame.currentline;
            }
            level += 1;
        }
        0
    }
}

/// The count hook of the main state and of every coroutine.
pub(super) unsafe extern "C-unwind" fn on_count(l: *mut lua_State, _event: *mut ffi::lua_Debug) {
    // SAFETY: Lua calls hooks with a live state and free stack slots; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let interval = ffi::lua_gethookcount(l).unsigned_abs();
        guard.count(u64::from(interval));
        if guard.check() {
            guard.raise(l);
        }
        guard.adapt(l, interval);
        guard.relieve(l);
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

//! What keeps a script within its limits: time, memory, instructions, and the host's wish to stop.
//!
//! A limit once passed is *doom*: it is remembered here until the run ends, and everything that
//! could catch an error (pcall, xpcall, coroutine.resume, coroutine.wrap, load) raises again when it
//! sees it. A script cannot outlive its doom by catching.
//!
//! Doom is found in five places: the count hook, the allocator, C functions that announce long work
//! ([`Guard::work`]), pattern matching, and each coroutine switch. The raise carries a light userdata
//! and allocates nothing: the text is made by [`Doom::message`] when Lua is left.
//!
//! `limits.rs` names limits and dooms, `looks.rs` looks at clock and counts, `memory.rs` permits
//! growth. This file is the guard itself, from a run's beginning to its end.

mod limits;
mod looks;
mod memory;

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::alloc::Heap;
use super::math::RandomMode;
use super::patterns::Patterns;
use super::profiler::{self, Profiler};
use super::sandbox::Fixtures;
#[cfg(feature = "luajit")]
use super::watchdog::Watch;
use crate::script::profile::CallTree;
use crate::script::running::Running;
pub(crate) use limits::{Doom, Limits};
use looks::FIRST_INTERVAL;
pub(super) use looks::on_count;

/// Calls from C into Lua, resumed coroutines among them, that are under way within one another. Lua
/// 5.1 itself has a limit of 200 nested C calls, of which a resume takes two; ours keeps the C stack
/// small where each resume also has frames of ours. LuaJIT has no limit: there ours stands for both.
pub(super) const DEEPEST_CALLS: u32 = 160;

/// The limits, the memory and the fixtures of one Lua state, at an address that does not change while
/// the state lives. C closures carry that address as their first upvalue.
pub(crate) struct Guard {
    heap: Heap,
    shared: Arc<Running>,
    doom: Cell<Option<Doom>>,
    running: Cell<bool>,
    /// Whether garbage is being collected by the guard's own will.
    collecting: Cell<bool>,
    limits: Cell<Limits>,
    started: Cell<Option<Instant>>,
    looked: Cell<Option<Instant>>,
    /// What the clock said when it was last read.
    now: Cell<Option<Instant>>,
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
    /// Intervals since the last look at the clock.
    passed_over: Cell<u32>,
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
            collecting: Cell::new(false),
            limits: Cell::new(Limits::default()),
            started: Cell::new(None),
            looked: Cell::new(None),
            now: Cell::new(None),
            is_long: Cell::new(false),
            shown: Cell::new(false),
            attend_at: Cell::new(Duration::MAX),
            killed_line: Cell::new(0),
            ceiling: Cell::new(usize::MAX),
            start_bytes: Cell::new(0),
            collected_bytes: Cell::new(0),
            instructions: Cell::new(0),
            passed_over: Cell::new(0),
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
        // Not set to null before: a processor that guesses what a place on the stack holds by who wrote
        // there last would take that for the answer, and has to begin anew.
        let mut data = MaybeUninit::<*mut c_void>::uninit();
        // SAFETY: the allocator's user data is the guard, and is always told.
        unsafe {
            ffi::lua_getallocf(l, data.as_mut_ptr());
            &*data.assume_init().cast::<Guard>()
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
        self.now.set(None);
        self.killed_line.set(0);
        self.start_bytes.set(in_use);
        self.collected_bytes.set(in_use);
        self.ceiling
            .set(limits.memory.map_or(usize::MAX, |allowance| in_use.saturating_add(allowance)));
        self.instructions.set(0);
        self.passed_over.set(0);
        self.worked.set(0);
        self.patterns.begin();
        self.depth.set(0);
        if self.random_mode.get() != RandomMode::Continued {
            self.random_state.set(super::math::seeded(0));
        }
        self.running.set(true);
        self.collecting.set(false);
        // SAFETY: the caller's promise.
        unsafe {
            self.begin_pace(l, in_use);
            self.begin_looks(l);
        }
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

    /// Remembers the first doom only: what follows is its echo.
    fn condemn(&self, doom: Doom) {
        if self.running.get() && !self.is_doomed() {
            self.doom.set(Some(doom));
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
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drop_scratch();
    }
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

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

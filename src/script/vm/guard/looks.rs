//! Looking: at the clock, at the count of instructions, at what the host and others want of the run.

use std::os::raw::c_int;
use std::time::{Duration, Instant};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::super::bridge::Bridge;
use super::{Doom, Guard};

/// Instructions between two looks at the limits where something may be up.
const INTERVAL: u32 = 1_000;
/// Of so many intervals in a row all but the last end without a look at the clock, which takes about
/// as long as thirty instructions.
const INTERVALS_A_LOOK: u32 = 4;
/// Instructions between two looks where nothing is: there are no long texts that single instructions
/// could be slow with, and memory is far from its limit. Measured on PUC 5.1.5: a hook that does
/// nothing costs fib(25) 2 to 3 % at 1,000 instructions and nothing at 100,000.
const CALM_INTERVAL: u32 = INTERVALS_A_LOOK * INTERVAL;
/// The interval after a look that came later than [`SLOW`]: single instructions (comparing two strings
/// of 10 MB) may take milliseconds.
const SHORT_INTERVAL: u32 = 20;
const SLOW: Duration = Duration::from_millis(10);
/// The first interval of a run, after which the clock is read for the first time, and of a coroutine.
/// Under an instruction limit a coroutine's is charged when it is made, so that coroutines too short
/// for a hook are counted too.
pub(super) const FIRST_INTERVAL: u32 = 40;
/// Units of announced work between two looks at the limits; a unit is some tens of nanoseconds.
const WORK_INTERVAL: usize = 4_096;

/// How often what the thread has registered is called during a run that has gone on for long.
const ATTEND_EVERY: Duration = Duration::from_millis(5);

impl Guard {
    pub(super) fn interval(&self) -> u32 {
        let limit = self.limits.get().instructions.unwrap_or(u64::MAX);
        limit.clamp(1, u64::from(INTERVAL)) as u32
    }

    /// Whether the clock need not be read at the end of an interval: the last look was a few intervals
    /// ago, nobody wants anything, and there is nothing long that instructions could be slow with.
    fn is_passed_over(&self, interval: u32) -> bool {
        let left = self.passed_over.get() + 1;
        let passes = interval == INTERVAL
            && left < INTERVALS_A_LOOK
            && !(self.shared.is_cancelled() || self.shared.is_asked() || self.is_doomed())
            && !self.heap.has_long_blocks();
        self.passed_over.set(if passes { left } else { 0 });
        passes
    }

    /// Whether the next look may be further away.
    fn is_calm(&self) -> bool {
        !self.heap.has_long_blocks() && self.heap.bytes_in_use() < self.ceiling.get() / 2
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
    pub(super) fn look(&self) -> Duration {
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
    pub(super) fn attend(&self, elapsed: Duration) {
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
    pub(super) fn since(&self) -> Instant {
        self.started.get().unwrap_or_else(Instant::now)
    }

    /// The first look: from now on others see the run.
    #[cold]
    pub(super) fn show(&self, now: Instant) {
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
    pub(super) fn elapsed(&self) -> Duration {
        let now = Instant::now();
        self.now.set(Some(now));
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
    pub(in super::super) fn next_look(&self) -> Option<Instant> {
        if self.is_doomed() {
            return Some(Instant::now());
        }
        let limit = self.limits.get().time.unwrap_or(Duration::MAX);
        self.since().checked_add(limit.min(self.attend_at.get()))
    }

    /// Counts instructions; past the limit the run is doomed.
    pub(in super::super) fn count(&self, instructions: u64) {
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

    /// Arranges for a new coroutine's first instructions to be counted. LuaJIT has one hook for all.
    ///
    /// # Safety
    /// `thread` is a thread of this guard's state.
    #[cfg(feature = "lua51")]
    pub(in super::super) unsafe fn adopt(&self, thread: *mut lua_State) {
        if self.limits.get().instructions.is_none() {
            return;
        }
        let interval = FIRST_INTERVAL.min(self.interval());
        self.count(u64::from(interval));
        // SAFETY: setting a hook allocates nothing.
        unsafe { self.set_hook(thread, interval as c_int) };
    }

    /// Chooses the next interval. Under an instruction limit it depends on the script alone, so that
    /// the same script stops at the same place.
    ///
    /// # Safety
    /// Called from a hook with its interval.
    pub(super) unsafe fn adapt(&self, l: *mut lua_State, interval: u32) {
        let mut wanted = self.interval();
        if self.limits.get().instructions.is_none() {
            // The clock was read a moment ago, to see whether time is up.
            let now = self.now.get();
            let since = |before| now.is_some_and(|now| now - before > SLOW);
            match self.looked.replace(now) {
                Some(before) if since(before) => wanted = SHORT_INTERVAL,
                Some(_) if self.is_calm() => wanted = CALM_INTERVAL,
                Some(_) => (),
                // How fast the script goes is known from the second look on.
                None => wanted = wanted.min(FIRST_INTERVAL),
            }
        }
        if wanted != interval {
            // SAFETY: a hook may set itself anew.
            unsafe { self.set_hook(l, wanted as c_int) };
        } else if interval >= INTERVAL && self.is_to_go_on() {
            // SAFETY: the caller's promise.
            unsafe { self.go_on(l) };
        }
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The count hook of the main state and of every coroutine.
pub(in super::super) unsafe extern "C-unwind" fn on_count(
    l: *mut lua_State,
    _event: *mut ffi::lua_Debug,
) {
    // SAFETY: Lua calls hooks with a live state and free stack slots; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let interval = ffi::lua_gethookcount(l).unsigned_abs();
        guard.count(u64::from(interval));
        if !guard.is_passed_over(interval) {
            if guard.check() {
                guard.raise(l);
            }
            guard.adapt(l, interval);
        }
        guard.relieve(l);
    }
}

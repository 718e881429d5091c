//! What a run may hold: growth is permitted or refused, garbage near the limit is collected, and the
//! collector goes at the pace that suits the heap.

use std::alloc::{Layout, alloc, dealloc};
use std::os::raw::c_int;
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::{Doom, Guard};

/// An allocation of this size looks at the clock: it takes longer than the look.
const LARGE_BYTES: usize = 64 * 1024;

/// Up to this size a heap is collected when it has grown tenfold, above when it has doubled: per
/// cent, as Lua counts.
const SMALL_HEAP_BYTES: usize = 256 * 1024;
const SMALL_HEAP_PAUSE: c_int = 1000;
const LARGE_HEAP_PAUSE: c_int = 200;
/// In a run that goes on, once its heap is of this size: garbage that no longer fits the processor's
/// caches costs more than marking what stays.
const LONG_RUN_BYTES: usize = 512 * 1024;
const LONG_RUN_PAUSE: c_int = 300;

impl Guard {
    /// Sets the collector's pace for a run that begins. A small heap may grow by more before it is
    /// collected: marking what stays would cost short runs more than the memory is worth.
    ///
    /// # Safety
    /// `l` is the main state of this guard.
    pub(super) unsafe fn begin_pace(&self, l: *mut lua_State, in_use: usize) {
        let pause = if in_use < SMALL_HEAP_BYTES { SMALL_HEAP_PAUSE } else { LARGE_HEAP_PAUSE };
        self.is_long.set(in_use >= SMALL_HEAP_BYTES);
        // SAFETY: setting the pause allocates nothing and collects nothing.
        unsafe { ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, pause) };
    }

    /// Whether it is time for the pace of a long run.
    pub(super) fn is_to_go_on(&self) -> bool {
        !self.is_long.get() && self.heap.bytes_in_use() > LONG_RUN_BYTES
    }

    /// Has the collector keep the heap small from now on. It begins at once: what it may wait for was
    /// settled when it last ended.
    ///
    /// # Safety
    /// Called from a hook.
    pub(super) unsafe fn go_on(&self, l: *mut lua_State) {
        self.is_long.set(true);
        // SAFETY: neither takes memory or runs anything.
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, LONG_RUN_PAUSE);
            ffi::lua_gc(l, ffi::LUA_GCRESTART, 0);
        }
    }

    /// Whether the heap may grow by so many bytes. A refusal dooms the run.
    #[inline]
    pub(in super::super) fn permits(&self, growth: usize) -> bool {
        if self.heap.bytes_in_use().saturating_add(growth) > self.ceiling.get() {
            self.memory_refused(growth);
            return false;
        }
        #[cfg(feature = "luajit")]
        if self.heap.bytes_in_use().saturating_add(growth) > self.relief.get() {
            self.relief.set(self.ceiling.get());
            self.watch.ring();
        }
        if growth >= LARGE_BYTES && self.running.get() && !self.collecting.get() {
            // In the middle of an allocation is no place to see to anybody.
            self.look();
            return !self.is_doomed();
        }
        true
    }

    /// Whether that is certain for a small block, and needs no closer look.
    #[inline]
    pub(in super::super) fn has_room(&self, growth: usize) -> bool {
        #[cfg(feature = "luajit")]
        let room = self.relief.get();
        #[cfg(feature = "lua51")]
        let room = self.ceiling.get();
        self.heap.bytes_in_use().saturating_add(growth) <= room
    }

    /// Notes that the system itself refused memory.
    #[cold]
    pub(in super::super) fn system_refused(&self, asked_bytes: usize) {
        self.condemn(Doom::Memory { limit_bytes: None, held_bytes: self.run_bytes(), asked_bytes });
    }

    #[cold]
    pub(super) fn memory_refused(&self, asked_bytes: usize) {
        let limit_bytes = self.limits.get().memory;
        self.condemn(Doom::Memory { limit_bytes, held_bytes: self.run_bytes(), asked_bytes });
    }

    /// The bytes the run added to the state.
    pub(super) fn run_bytes(&self) -> usize {
        self.heap.bytes_in_use().saturating_sub(self.start_bytes.get())
    }

    /// The bytes in use near the ceiling, from which on garbage is looked at.
    #[cfg(feature = "luajit")]
    pub(super) fn relief_mark(&self) -> usize {
        let ceiling = self.ceiling.get();
        let Some(allowance) = self.limits.get().memory else { return ceiling };
        let again = self.collected_bytes.get().saturating_add(allowance / 8);
        again.max(ceiling.saturating_sub(allowance / 4)).min(ceiling)
    }

    /// Rings once so many more bytes are in use; gives how many are then.
    #[cfg(feature = "luajit")]
    pub(in super::super) fn ring_after(&self, bytes: usize) -> usize {
        let mark = self.heap.bytes_in_use().saturating_add(bytes);
        self.relief.set(mark);
        mark
    }

    /// A limit on memory counts garbage. Near the ceiling it is collected, but only when the run has
    /// grown by an eighth of its allowance since: a script that really holds that much must not pay
    /// for a collection at every look.
    ///
    /// # Safety
    /// Called from a hook.
    pub(in super::super) unsafe fn relieve(&self, l: *mut lua_State) {
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
    pub(in super::super) unsafe fn make_room(&self, l: *mut lua_State, size: usize) {
        let allowance = self.limits.get().memory.unwrap_or(usize::MAX);
        let wanted = self.heap.bytes_in_use().saturating_add(size);
        if size <= allowance && wanted > self.ceiling.get() {
            // SAFETY: the caller's promise.
            unsafe { self.collect(l) };
        }
    }

    /// # Safety
    /// Called from a hook or a C function that owns nothing.
    pub(super) unsafe fn collect(&self, l: *mut lua_State) {
        // The collector itself may need a little memory, to be had even at the ceiling.
        let ceiling = self.ceiling.replace(usize::MAX);
        #[cfg(feature = "luajit")]
        self.relief.set(usize::MAX);
        // Nor may it be refused any because the run is to end: that would be raised in its middle.
        self.collecting.set(true);
        // SAFETY: the caller's promise; no finalizer of a script's exists to run.
        unsafe { ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0) };
        self.collecting.set(false);
        self.ceiling.set(ceiling);
        self.collected_bytes.set(self.heap.bytes_in_use());
        #[cfg(feature = "luajit")]
        self.relief.set(self.relief_mark());
    }

    /// Bytes outside of Lua's heap that live until the next call or the end of the run, so that a
    /// raise in between leaks nothing. Null when the system has none.
    pub(in super::super) fn take_scratch(&self, size: usize) -> *mut u8 {
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

    pub(in super::super) fn drop_scratch(&self) {
        let (bytes, size) = self.scratch.replace((ptr::null_mut(), 0));
        if let (false, Some(layout)) = (bytes.is_null(), scratch_layout(size)) {
            // SAFETY: made by take_scratch with this layout.
            unsafe { dealloc(bytes, layout) };
        }
    }
}

/// Scratch bytes are aligned for numbers.
fn scratch_layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), align_of::<f64>()).ok()
}

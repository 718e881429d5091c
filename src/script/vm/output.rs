//! The bytes that a library function puts together before they become a Lua string.
//!
//! They belong to the bridge, so that a raise in the midst of the work leaks nothing, and are used
//! again by the next call. They count as the script's memory while they grow.

use super::guard::Guard;
use mlua_sys as ffi;
use mlua_sys::lua_State;

/// What is kept between two runs; more is given back.
const KEPT_BYTES: usize = 64 * 1024;

/// The first room.
const LEAST_BYTES: usize = 1024;

/// A buffer whose growth is checked against the limits of a run.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// Forgets what an earlier call wrote.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Gives back what a run needed and the next one may not.
    pub(super) fn trim(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// The bytes, with room for so many more. Whoever writes more than that grows the buffer past
    /// the limits, but harms nothing.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    pub(super) unsafe fn room(
        &mut self,
        l: *mut lua_State,
        guard: &Guard,
        more: usize,
    ) -> &mut Vec<u8> {
        if self.bytes.capacity() - self.bytes.len() < more {
            // SAFETY: the caller's promise.
            unsafe { self.grow(l, guard, more) }
        }
        &mut self.bytes
    }

    /// Appends bytes.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    pub(super) unsafe fn put(&mut self, l: *mut lua_State, guard: &Guard, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.room(l, guard, bytes.len()).extend_from_slice(bytes) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Pushes the bytes as a string.
    ///
    /// # Safety
    /// Under a protected call, with a free stack slot.
    pub(super) unsafe fn push(&self, l: *mut lua_State) {
        // SAFETY: the caller's promise; the bytes stay while Lua copies them.
        unsafe { ffi::lua_pushlstring_(l, self.bytes.as_ptr().cast(), self.bytes.len()) }
    }

    /// Doubles the room, or raises where that is beyond a limit.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[cold]
    unsafe fn grow(&mut self, l: *mut lua_State, guard: &Guard, more: usize) {
        let needed = self.bytes.len().saturating_add(more);
        let size = needed.max(self.bytes.capacity().saturating_mul(2)).max(LEAST_BYTES);
        // SAFETY: the caller's promise; nothing is owned here.
        unsafe {
            guard.make_room(l, size);
            if !guard.permits(size) {
                guard.raise(l);
            }
            if self.bytes.try_reserve_exact(size - self.bytes.len()).is_err() {
                guard.system_refused(size);
                guard.raise(l);
            }
        }
    }
}

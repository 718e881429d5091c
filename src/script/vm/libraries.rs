//! What the libraries cjson, cmsgpack and struct need of Rust between two calls, and how a library's
//! table is made.

#[cfg(feature = "lua51")]
use super::bit;
use super::bridge::Bridge;
use super::cjson::Settings;
#[cfg(feature = "luajit")]
use super::dialect;
use super::guard::Guard;
use super::output::Output;
use super::{cjson, cmsgpack, sandbox, structure};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;

pub(super) type Function = (&'static CStr, ffi::lua_CFunction);

/// A table or array on its way in or out. The walks keep these here rather than on the machine's
/// stack: how deep a value may be nested is then a matter of Lua's stack alone.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// Elements of an array or pairs of a map that are still to come, where that is known.
    pub(super) left: u32,
    /// The index of the latest element of an array; in a map, whether its key is there already.
    pub(super) done: u32,
    pub(super) is_array: bool,
}

/// Levels there is room for between two runs.
const LEVELS_KEPT: usize = 256;

/// Buffers and settings, which belong to the bridge.
#[derive(Default)]
pub(super) struct Libraries {
    pub(super) output: Output,
    pub(super) levels: Vec<Level>,
    /// The settings of the library cjson itself; a script's own copies have theirs.
    pub(super) json: Settings,
}

impl Libraries {
    /// Begins a run with the settings of a fresh engine: no script sees what another one set.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.json = Settings::default();
    }

    /// Gives back what a run needed and the next one may not.
    pub(super) fn end(&mut self) {
        self.output.trim();
        if self.levels.capacity() > LEVELS_KEPT {
            self.levels = Vec::new();
        }
    }
}

/// Adds the four libraries to the globals.
///
/// # Safety
/// Under a protected call, while the sandbox is built; the bridge is at its final address.
pub(super) unsafe fn install(l: *mut lua_State, guard: &Guard, bridge: *mut Bridge) {
    // SAFETY: the caller's promise.
    unsafe {
        cjson::push_library(l, (&raw mut (*bridge).libraries.json).cast());
        sandbox::add_library(l, guard, c"cjson");
        push_table(l, &cmsgpack::FUNCTIONS, &cmsgpack::TEXTS);
        sandbox::add_library(l, guard, c"cmsgpack");
        push_table(l, &structure::FUNCTIONS, &[]);
        sandbox::add_library(l, guard, c"struct");
        #[cfg(feature = "lua51")]
        push_table(l, &bit::FUNCTIONS, &[]);
        #[cfg(feature = "luajit")]
        dialect::push_bit(l, guard);
        sandbox::add_library(l, guard, c"bit");
    }
}

/// Asks for stack slots, or raises. The crate's own function of this kind asks for more than it is
/// told to, which scripts can see: they may push as many values as the stack holds.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
pub(super) unsafe fn check_stack(l: *mut lua_State, slots: c_int, reason: &CStr) {
    // SAFETY: the caller's promise; the text takes a C string.
    unsafe {
        if ffi::lua_checkstack(l, slots) == 0 {
            // The text needs room too; what the function has on the stack is of no use any more.
            ffi::lua_settop(l, 0);
            ffi::luaL_error(l, c"stack overflow (%s)".as_ptr(), reason.as_ptr());
        }
    }
}

/// Pushes a table of functions and texts.
///
/// # Safety
/// Under a protected call.
unsafe fn push_table(l: *mut lua_State, functions: &[Function], texts: &[(&CStr, &CStr)]) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 0);
        for (name, function) in functions {
            ffi::lua_pushcclosure(l, *function, 0);
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        for (name, text) in texts {
            ffi::lua_pushstring_(l, text.as_ptr());
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
    }
}

//! `coroutine.create`, `resume` and `wrap`: they catch errors, so they must raise doom again, and they
//! nest on the C stack, so they must be counted. `running`, `status` and `yield` are stock.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::{DEEPEST_CALLS, Guard};

/// A resume in units of work: coroutines made again and again are too short for their hooks.
const UNITS: usize = 16;

/// What [`switch`] gives for an error, whose value it leaves on the stack.
const FAILED: c_int = -1;

#[cfg(feature = "lua51")]
unsafe extern "C-unwind" {
    /// Hands the count of nested C calls to a thread about to be resumed. Exported by Lua 5.1, not
    /// declared by mlua-sys; without it each coroutine would begin at zero and the C stack overflow.
    fn lua_setlevel(from: *mut lua_State, to: *mut lua_State);
}

/// `coroutine.create(f)`
pub(super) unsafe extern "C-unwind" fn create(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let fits = ffi::lua_isfunction(l, 1) != 0 && ffi::lua_iscfunction(l, 1) == 0;
        ffi::luaL_argcheck(l, c_int::from(fits), 1, c"Lua function expected".as_ptr());
        let thread = ffi::lua_newthread(l);
        #[cfg(feature = "lua51")]
        Guard::of_closure(l).adopt(thread);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_xmove(l, thread, 1);
        1
    }
}

/// `coroutine.wrap(f)`
pub(super) unsafe extern "C-unwind" fn wrap(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; create leaves the thread on the stack.
    unsafe {
        create(l);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_insert(l, -2);
        ffi::lua_pushcclosure(l, resume_wrapped, 2);
        1
    }
}

/// `coroutine.resume(co, ...)`
pub(super) unsafe extern "C-unwind" fn resume(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let thread = ffi::lua_tothread(l, 1);
        let fits = c_int::from(!thread.is_null());
        ffi::luaL_argcheck(l, fits, 1, c"coroutine expected".as_ptr());
        let results = switch(l, thread, ffi::lua_gettop(l) - 1);
        ffi::lua_pushboolean(l, c_int::from(results != FAILED));
        let given = if results == FAILED { 1 } else { results };
        ffi::lua_insert(l, -given - 1);
        given + 1
    }
}

/// The function that `coroutine.wrap` gives. A text that it raises gets a position in front.
unsafe extern "C-unwind" fn resume_wrapped(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the thread is upvalue 2.
    unsafe {
        let thread = ffi::lua_tothread(l, ffi::lua_upvalueindex(2));
        let results = switch(l, thread, ffi::lua_gettop(l));
        if results != FAILED {
            return results;
        }
        if ffi::lua_isstring(l, -1) != 0 {
            ffi::luaL_where(l, 1);
            ffi::lua_insert(l, -2);
            ffi::lua_concat(l, 2);
        }
        ffi::lua_error(l)
    }
}

/// Resumes a thread with the upper `arguments` values; gives the number of results or FAILED.
///
/// # Safety
/// Called from a C function that owns nothing, with the arguments on the stack.
unsafe fn switch(l: *mut lua_State, thread: *mut lua_State, arguments: c_int) -> c_int {
    // SAFETY: the caller's promise. Nothing raises while the depth is raised: lua_resume catches.
    unsafe {
        let guard = Guard::of_closure(l);
        guard.work(l, UNITS);
        if ffi::lua_checkstack(thread, arguments) == 0 {
            ffi::luaL_error(l, c"too many arguments to resume".as_ptr());
        }
        if let Some(state) = unresumable(l, thread) {
            ffi::lua_pushfstring(l, c"cannot resume %s coroutine".as_ptr(), state);
            return FAILED;
        }
        let depth = guard.depth.get();
        if depth >= DEEPEST_CALLS {
            ffi::lua_pushstring_(l, c"C stack overflow".as_ptr());
            return FAILED;
        }
        ffi::lua_xmove(l, thread, arguments);
        #[cfg(feature = "lua51")]
        lua_setlevel(l, thread);
        guard.depth.set(depth + 1);
        let status = ffi::lua_resume_(thread, arguments);
        guard.depth.set(depth);
        guard.reraise(l);
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            ffi::lua_xmove(thread, l, 1);
            return FAILED;
        }
        let results = ffi::lua_gettop(thread);
        if ffi::lua_checkstack(l, results + 1) == 0 {
            ffi::luaL_error(l, c"too many results to resume".as_ptr());
        }
        ffi::lua_xmove(thread, l, results);
        results
    }
}

/// Why a thread cannot be resumed, in Lua's words; none for a suspended one.
///
/// # Safety
/// `thread` is a live thread of the state.
unsafe fn unresumable(l: *mut lua_State, thread: *mut lua_State) -> Option<*const c_char> {
    let text: &CStr = if l == thread {
        c"running"
    } else {
        // SAFETY: the caller's promise; lua_Debug is plain data.
        unsafe {
            match ffi::lua_status(thread) {
                ffi::LUA_YIELD => return None,
                ffi::LUA_OK => {
                    let mut frame: ffi::lua_Debug = std::mem::zeroed();
                    if ffi::lua_getstack(thread, 0, &raw mut frame) != 0 {
                        c"normal"
                    } else if ffi::lua_gettop(thread) == 0 {
                        c"dead"
                    } else {
                        return None;
                    }
                }
                _ => c"dead",
            }
        }
    };
    Some(text.as_ptr())
}

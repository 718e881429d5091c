//! LuaJIT's libraries as those of Lua 5.1: what is more than those goes, what they have more is
//! added, and `string.format` is kept from calling metamethods and showing addresses.

use super::bit;
use super::guard::Guard;
use super::proxy::push_real;
use super::sandbox::{push_function, push_global, set_global, set_library_function};
use super::{load, patterns};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;

/// Functions that Lua 5.1 does not have.
const MORE: [(&CStr, &CStr); 2] = [(c"table", c"move"), (c"coroutine", c"isyieldable")];

/// Turns the libraries that were opened into those of Lua 5.1.
///
/// # Safety
/// Under a protected call, while the main state is built, with its globals in place.
pub(super) unsafe fn prepare(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        // Nothing is loaded by name: what LuaJIT keeps ready for `require` is dropped.
        ffi::lua_pushnil(l);
        ffi::lua_setfield(l, ffi::LUA_REGISTRYINDEX, c"_PRELOAD".as_ptr());
        for (library, name) in MORE {
            push_global(l, guard, library);
            ffi::lua_pushnil(l);
            ffi::lua_setfield(l, -2, name.as_ptr());
            ffi::lua_settop(l, -2);
        }
        push_global(l, guard, c"math");
        ffi::lua_getfield_(l, -1, c"fmod".as_ptr());
        ffi::lua_setfield(l, -2, c"mod".as_ptr());
        ffi::luaopen_bit(l);
        guard.fixtures.bit.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
        ffi::lua_pushnil(l);
        set_global(l, guard, c"bit");
        push_global(l, guard, c"next");
        guard.fixtures.stock_next.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
        ffi::lua_settop(l, 0);
        set_library_function(l, guard, c"string", c"format", format);
        set_library_function(l, guard, c"table", c"setn", setn);
        set_gmatch(l, guard);
    }
}

/// `string.gmatch`, and the function it gives. LuaJIT knows a function in C that is made anew as
/// another function, and would compile the loops over it again and again; one in Lua it knows by its
/// text. Both end in calls that leave nothing of them, so that errors are those of the caller.
const GMATCH: &[u8] = b"local type, step, check = ... \
    return function(...) \
        local subject, pattern = ... \
        if type(subject) ~= 'string' or type(pattern) ~= 'string' then return check(...) end \
        local search = {subject, pattern, 0} \
        return function() return step(search) end \
    end";

/// # Safety
/// As [`prepare`].
unsafe fn set_gmatch(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        push_global(l, guard, c"string");
        if load::load_text(l, GMATCH.as_ptr(), GMATCH.len(), c"=[C]".as_ptr()) != ffi::LUA_OK {
            ffi::lua_error(l);
        }
        push_global(l, guard, c"type");
        push_function(l, guard, patterns::gmatch_step);
        push_function(l, guard, gmatch_of_others);
        ffi::lua_call(l, 3, 1);
        ffi::lua_setfield(l, -2, c"gmatch".as_ptr());
        ffi::lua_settop(l, -2);
    }
}

/// `string.gmatch(s, pattern)` where one of them is no text: numbers become texts.
unsafe extern "C-unwind" fn gmatch_of_others(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, and the format takes an int and a C string.
    unsafe {
        for index in 1..=2 {
            if ffi::lua_isstring(l, index) == 0 {
                let kind = match ffi::lua_type(l, index) {
                    ffi::LUA_TNONE => c"no value".as_ptr(),
                    other => ffi::lua_typename(l, other),
                };
                let text = c"bad argument #%d to 'gmatch' (string expected, got %s)";
                return ffi::luaL_error(l, text.as_ptr(), index, kind);
            }
        }
        patterns::gmatch(l)
    }
}

/// `string.format(format, ...)`: LuaJIT's, which is given texts for `%s` and `%q`, as Lua 5.1 asks
/// for, and none of the conversions that Lua 5.1 does not know.
unsafe extern "C-unwind" fn format(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, and the format stays on the stack.
    unsafe {
        let guard = Guard::of_closure(l);
        let mut length = 0;
        let text = ffi::luaL_checklstring(l, 1, &raw mut length).cast::<u8>();
        let mut rest = std::slice::from_raw_parts(text, length).iter().copied();
        let mut argument = 1;
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                continue;
            }
            let conversion = rest.find(|byte| !b"-+ #0123456789.".contains(byte));
            argument += 1;
            if conversion != Some(b'%') && argument > ffi::lua_gettop(l) {
                return ffi::luaL_argerror(l, argument, c"no value".as_ptr());
            }
            match conversion {
                Some(b'%') => argument -= 1,
                Some(b's' | b'q') => {
                    ffi::luaL_checklstring(l, argument, std::ptr::null_mut());
                }
                Some(other @ (b'p' | b'a' | b'A')) => {
                    let text = c"invalid option '%%%c' to 'format'".as_ptr();
                    return ffi::luaL_error(l, text, c_int::from(other));
                }
                _ => (),
            }
        }
        match guard.fixtures.format.get() {
            Some(function) => function(l),
            None => ffi::luaL_error(l, c"this function is not available".as_ptr()),
        }
    }
}

/// `table.setn(table, n)`
unsafe extern "C-unwind" fn setn(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_error(l, c"'setn' is obsolete".as_ptr())
    }
}

/// `table.foreach(table, f)`; of a read-only table the real one is walked, which `f` does not see.
pub(super) unsafe extern "C-unwind" fn foreach(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checktype(l, 2, ffi::LUA_TFUNCTION);
        ffi::lua_settop(l, 2);
        if push_real(l, guard, 1) {
            ffi::lua_replace(l, 1);
        }
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 1) != 0 {
            guard.work(l, 1);
            ffi::lua_pushvalue(l, 2);
            ffi::lua_pushvalue(l, 3);
            ffi::lua_pushvalue(l, 4);
            guard.call(l, 2, 1);
            if ffi::lua_type(l, -1) != ffi::LUA_TNIL {
                return 1;
            }
            ffi::lua_settop(l, 3);
        }
        0
    }
}

/// `table.foreachi(table, f)`
pub(super) unsafe extern "C-unwind" fn foreachi(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checktype(l, 2, ffi::LUA_TFUNCTION);
        let count = c_int::try_from(ffi::lua_objlen(l, 1)).unwrap_or(c_int::MAX);
        for index in 1..=count {
            guard.work(l, 1);
            ffi::lua_settop(l, 2);
            ffi::lua_pushvalue(l, 2);
            ffi::lua_pushnumber(l, f64::from(index));
            ffi::lua_rawgeti_(l, 1, index);
            guard.call(l, 2, 1);
            if ffi::lua_type(l, -1) != ffi::LUA_TNIL {
                return 1;
            }
        }
        0
    }
}

/// Pushes LuaJIT's own library `bit`, whose functions are compiled and give the same results. Only
/// `tohex` is ours.
///
/// # Safety
/// Under a protected call, while the sandbox is built.
pub(super) unsafe fn push_bit(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, guard.fixtures.bit.get());
        for (name, function) in bit::FUNCTIONS.iter().filter(|(name, _)| *name == c"tohex") {
            ffi::lua_pushcclosure(l, *function, 0);
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
    }
}

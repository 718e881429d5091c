//! The functions of Lua's base library that the sandbox has its own version of.
//!
//! They differ from stock where they catch errors (doom is raised again), meet read-only tables, or
//! would show an address. Error texts are Lua 5.1's. Every function here owns nothing at any time,
//! since Lua may raise out of each call it makes.

use std::os::raw::{c_char, c_int};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;
use super::proxy::{proxy_at, push_real, push_shown, refuse_proxy};
use super::{format, peek};

/// What collectgarbage("count") answers, in KiB: the real figure depends on earlier runs.
const CLAIMED_KIB: f64 = 64.0;
/// The stock collector's pause and step multiplier, in per cent.
const CLAIMED_TUNING: f64 = 200.0;

/// `pcall(f, ...)`. As in Redis 7.0, an error table with a text in `err` is caught as that text
/// (reference: errors-120).
pub(super) unsafe extern "C-unwind" fn pcall(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let given = peek::arguments(l).len() as c_int;
        if given == 0 {
            ffi::luaL_checkany(l, 1);
        }
        // It is there before the results, which may fill the stack to the last slot.
        ffi::lua_pushboolean(l, 1);
        ffi::lua_insert(l, 1);
        let depth = guard.deepen(l);
        let status = ffi::lua_pcall(l, given - 1, ffi::LUA_MULTRET, 0);
        guard.rise(depth);
        guard.reraise(l);
        if status != ffi::LUA_OK {
            replace_by_err_text(l);
            ffi::lua_pushboolean(l, 0);
            ffi::lua_replace(l, 1);
        }
        peek::arguments(l).len() as c_int
    }
}

/// A table without such a text stays, and what is in `err` comes behind it: it is so in Redis 7.0.
///
/// # Safety
/// Under a protected call, with a value on the stack.
unsafe fn replace_by_err_text(l: *mut lua_State) {
    // SAFETY: the caller's promise; the look is raw, so that no function of the script's runs.
    unsafe {
        if ffi::lua_istable(l, -1) == 0 {
            return;
        }
        ffi::lua_pushstring_(l, c"err".as_ptr());
        ffi::lua_rawget_(l, -2);
        if ffi::lua_isstring(l, -1) != 0 {
            ffi::lua_remove(l, -2);
        }
    }
}

/// `xpcall(f, handler)`
pub(super) unsafe extern "C-unwind" fn xpcall(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        ffi::luaL_checkany(l, 2);
        ffi::lua_settop(l, 2);
        // What is no function is never called: Lua answers "error in error handling" by itself.
        if ffi::lua_isfunction(l, 2) != 0 {
            ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
            ffi::lua_insert(l, 2);
            ffi::lua_pushcclosure(l, guarded_handler, 2);
        }
        ffi::lua_insert(l, 1);
        let depth = guard.deepen(l);
        let status = ffi::lua_pcall(l, 0, ffi::LUA_MULTRET, 1);
        guard.rise(depth);
        guard.reraise(l);
        ffi::luaL_checkstack_(l, 1, c"too many results".as_ptr());
        ffi::lua_pushboolean(l, c_int::from(status == ffi::LUA_OK));
        ffi::lua_replace(l, 1);
        ffi::lua_gettop(l)
    }
}

/// Keeps a script's handler from running when doomed: after a raise from a hook no hook runs until
/// the error is caught, so nothing could stop the handler.
unsafe extern "C-unwind" fn guarded_handler(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with the error; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        if !guard.is_doomed() {
            ffi::lua_settop(l, 1);
            ffi::lua_pushvalue(l, ffi::lua_upvalueindex(2));
            ffi::lua_insert(l, 1);
            guard.call(l, 1, 1);
        }
        1
    }
}

/// The message handler of every run, and the global `__redis__err__handler`: makes an error a table
/// `{err = text, source = chunk name, line = number}`. A table stays the same table.
///
/// # Safety
/// Called by Lua, as a closure made by `sandbox::push_function`.
pub(crate) unsafe extern "C-unwind" fn error_handler(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        ffi::lua_settop(l, 1);
        if guard.is_doomed() {
            return 1;
        }
        // A read-only table must not get fields: they would be seen by later runs.
        if ffi::lua_istable(l, 1) == 0 || proxy_at(l, guard, 1).is_some() {
            ffi::lua_createtable(l, 0, 3);
            push_error_text(l);
            set_raw_field(l, 2, c"err".as_ptr());
            ffi::lua_replace(l, 1);
        }
        add_place(l);
        1
    }
}

/// Pushes `ERR ` and the text of the value at index 1.
///
/// # Safety
/// Under a protected call.
unsafe fn push_error_text(l: *mut lua_State) {
    // SAFETY: the caller's promise; the formats take C strings.
    unsafe {
        match ffi::lua_type(l, 1) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => {
                ffi::lua_pushstring_(l, c"ERR ".as_ptr());
                ffi::lua_pushvalue(l, 1);
                ffi::lua_concat(l, 2);
            }
            ffi::LUA_TNIL => ffi::lua_pushstring_(l, c"ERR nil".as_ptr()),
            ffi::LUA_TBOOLEAN if ffi::lua_toboolean(l, 1) != 0 => {
                ffi::lua_pushstring_(l, c"ERR true".as_ptr());
            }
            ffi::LUA_TBOOLEAN => ffi::lua_pushstring_(l, c"ERR false".as_ptr()),
            other => {
                let name = ffi::lua_typename(l, other);
                ffi::lua_pushfstring(l, c"ERR (error object is a %s value)".as_ptr(), name);
            }
        }
    }
}

/// Adds `source` and `line` of the function that raised to the table at index 1: level 1, or the one
/// above it when level 1 is a C function such as `error`.
///
/// # Safety
/// Called from the handler itself, under a protected call.
unsafe fn add_place(l: *mut lua_State) {
    // SAFETY: the caller's promise; lua_Debug is plain data that lua_getinfo fills.
    unsafe {
        let mut place: ffi::lua_Debug = std::mem::zeroed();
        for level in 1..=2 {
            if ffi::lua_getstack(l, level, &raw mut place) == 0 {
                return;
            }
            ffi::lua_getinfo(l, c"Sl".as_ptr(), &raw mut place);
            if place.what.cast::<u8>().read() != b'C' {
                break;
            }
        }
        // LuaJIT leaves nothing of a function that ends in a call into C: there is no place then.
        if cfg!(feature = "luajit") && place.currentline < 0 {
            return;
        }
        ffi::lua_pushstring_(l, place.source);
        set_raw_field(l, 1, c"source".as_ptr());
        ffi::lua_pushnumber(l, f64::from(place.currentline));
        set_raw_field(l, 1, c"line".as_ptr());
    }
}

/// Pops a value and sets a field without asking a metatable.
///
/// # Safety
/// Under a protected call; `table` is a positive stack index of a table.
unsafe fn set_raw_field(l: *mut lua_State, table: c_int, name: *const c_char) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushstring_(l, name);
        ffi::lua_insert(l, -2);
        ffi::lua_rawset(l, table);
    }
}

/// `next(table [, key])`; through a read-only table the real one is walked.
pub(super) unsafe extern "C-unwind" fn next(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let is_usual = matches!(peek::arguments(l), [table, _] if table.is_bare_table());
        if !is_usual {
            ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
            ffi::lua_settop(l, 2);
            if push_real(l, Guard::of_state(l), 1) {
                ffi::lua_replace(l, 1);
            }
        }
        if ffi::lua_next(l, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(l);
        1
    }
}

/// `pairs(table)`. The table it gives back is the one it was given: a script must not get a real one.
pub(super) unsafe extern "C-unwind" fn pairs(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let guard = Guard::of_state(l);
        let next = guard.fixtures.next.get();
        // LuaJIT compiles loops over its own `next`, which sees nothing in a read-only table.
        #[cfg(feature = "luajit")]
        let next = match proxy_at(l, guard, 1) {
            None => guard.fixtures.stock_next.get(),
            Some(_) => next,
        };
        ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, next);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_pushnil(l);
        3
    }
}

/// `rawget(table, key)`
pub(super) unsafe extern "C-unwind" fn rawget(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(l, 2);
        ffi::lua_settop(l, 2);
        if push_real(l, Guard::of_closure(l), 1) {
            ffi::lua_replace(l, 1);
        }
        ffi::lua_rawget_(l, 1);
        1
    }
}

/// `rawset(table, key, value)`
pub(super) unsafe extern "C-unwind" fn rawset(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(l, 2);
        ffi::luaL_checkany(l, 3);
        ffi::lua_settop(l, 3);
        refuse_proxy(l, Guard::of_closure(l), 1);
        ffi::lua_rawset(l, 1);
        1
    }
}

/// `getmetatable(value)`
pub(super) unsafe extern "C-unwind" fn getmetatable(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checkany(l, 1);
        if let Some(proxy) = proxy_at(l, Guard::of_closure(l), 1) {
            push_shown(l, proxy);
        } else if ffi::lua_getmetatable(l, 1) == 0 {
            ffi::lua_pushnil(l);
        } else {
            // A `__metatable` field, when there is one, ends up above the metatable.
            ffi::luaL_getmetafield_(l, 1, c"__metatable".as_ptr());
        }
        1
    }
}

/// `setmetatable(table, metatable)`
pub(super) unsafe extern "C-unwind" fn setmetatable(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let given = ffi::lua_type(l, 2);
        let fits = given == ffi::LUA_TNIL || given == ffi::LUA_TTABLE;
        ffi::luaL_argcheck(l, c_int::from(fits), 2, c"nil or table expected".as_ptr());
        refuse_proxy(l, Guard::of_closure(l), 1);
        if ffi::luaL_getmetafield_(l, 1, c"__metatable".as_ptr()) != 0 {
            return ffi::luaL_error(l, c"cannot change a protected metatable".as_ptr());
        }
        ffi::lua_settop(l, 2);
        ffi::lua_setmetatable(l, 1);
        1
    }
}

/// `tostring(value)`. What stock prints by address gets a number, given at first use in the run.
pub(super) unsafe extern "C-unwind" fn tostring(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checkany(l, 1);
        if ffi::luaL_getmetafield_(l, 1, c"__tostring".as_ptr()) != 0 {
            ffi::lua_pushvalue(l, 1);
            Guard::of_closure(l).call(l, 1, 1);
            return 1;
        }
        match ffi::lua_type(l, 1) {
            ffi::LUA_TSTRING => ffi::lua_settop(l, 1),
            ffi::LUA_TNUMBER => {
                if let Some(whole) = format::whole(ffi::lua_tonumber(l, 1)) {
                    let mut digits = itoa::Buffer::new();
                    let text = digits.format(whole);
                    ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
                    return 1;
                }
                // The argument itself becomes the text.
                ffi::lua_settop(l, 1);
                ffi::lua_tolstring(l, 1, ptr::null_mut());
            }
            ffi::LUA_TNIL => ffi::lua_pushstring_(l, c"nil".as_ptr()),
            ffi::LUA_TBOOLEAN if ffi::lua_toboolean(l, 1) != 0 => {
                ffi::lua_pushstring_(l, c"true".as_ptr());
            }
            ffi::LUA_TBOOLEAN => ffi::lua_pushstring_(l, c"false".as_ptr()),
            // cjson.null, which is no object.
            ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(l, 1).is_null() => {
                ffi::lua_pushstring_(l, c"userdata: (nil)".as_ptr());
            }
            other => push_name(l, Guard::of_closure(l), other),
        }
        1
    }
}

/// Pushes the type and number of the object at index 1.
///
/// # Safety
/// Under a protected call.
unsafe fn push_name(l: *mut lua_State, guard: &Guard, kind: c_int) {
    // SAFETY: the caller's promise; the format takes C strings.
    unsafe {
        let digits = hex_digits(object_number(l, guard));
        let name = ffi::lua_typename(l, kind);
        ffi::lua_pushfstring(l, c"%s: 0x%s".as_ptr(), name, digits.as_ptr());
    }
}

/// The number of the object at index 1, from a table with weak keys: naming an object must not keep
/// it alive.
///
/// # Safety
/// Under a protected call.
unsafe fn object_number(l: *mut lua_State, guard: &Guard) -> u64 {
    let fixtures = &guard.fixtures;
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_settop(l, 1);
        ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, fixtures.names.get());
        if ffi::lua_istable(l, 2) == 0 {
            ffi::lua_settop(l, 1);
            ffi::lua_newtable(l);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, fixtures.weak_keys.get());
            ffi::lua_setmetatable(l, 2);
            ffi::lua_pushvalue(l, 2);
            ffi::lua_rawseti_(l, ffi::LUA_REGISTRYINDEX, fixtures.names.get());
        }
        ffi::lua_pushvalue(l, 1);
        ffi::lua_rawget_(l, 2);
        if ffi::lua_type(l, 3) == ffi::LUA_TNUMBER {
            return ffi::lua_tonumber(l, 3) as u64;
        }
        let number = guard.named.get() + 1;
        guard.named.set(number);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_pushnumber(l, number as f64);
        ffi::lua_rawset(l, 2);
        number
    }
}

/// Fourteen hexadecimal digits and a NUL, made without allocating.
fn hex_digits(mut number: u64) -> [u8; 15] {
    let mut text = [b'0'; 15];
    for (place, byte) in text.iter_mut().rev().enumerate() {
        if place == 0 {
            *byte = 0;
            continue;
        }
        let digit = (number & 0xF) as u8;
        *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        number >>= 4;
    }
    text
}

/// An array of C strings for luaL_checkoption.
struct Options<const N: usize>([*const c_char; N]);

// SAFETY: the strings are constants.
unsafe impl<const N: usize> Sync for Options<N> {}

static GC_OPTIONS: Options<8> = Options([
    c"stop".as_ptr(),
    c"restart".as_ptr(),
    c"collect".as_ptr(),
    c"count".as_ptr(),
    c"step".as_ptr(),
    c"setpause".as_ptr(),
    c"setstepmul".as_ptr(),
    ptr::null(),
]);

/// `collectgarbage([option [, argument]])` checks its arguments and does nothing: the collector is the
/// engine's, and its figures would differ from run to run.
pub(super) unsafe extern "C-unwind" fn collectgarbage(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let option = ffi::luaL_checkoption(l, 1, c"collect".as_ptr(), GC_OPTIONS.0.as_ptr());
        ffi::luaL_optinteger(l, 2, 0);
        match option {
            3 => ffi::lua_pushnumber(l, CLAIMED_KIB),
            4 => ffi::lua_pushboolean(l, 1),
            5 | 6 => ffi::lua_pushnumber(l, CLAIMED_TUNING),
            _ => ffi::lua_pushnumber(l, 0.0),
        }
        1
    }
}

/// `gcinfo()`, the older spelling of collectgarbage("count").
pub(super) unsafe extern "C-unwind" fn gcinfo(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { ffi::lua_pushnumber(l, CLAIMED_KIB) };
    1
}

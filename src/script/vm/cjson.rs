//! The library `cjson`: its table, its settings and the copies that `cjson.new` makes.
//!
//! The walks are in `json_encode.rs` and `json_decode.rs`.

use super::libraries::Function;
use super::{json_decode, json_encode};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::{CStr, c_char, c_void};
use std::os::raw::c_int;
use std::ptr;

const FUNCTIONS: [Function; 10] = [
    (c"encode", json_encode::encode),
    (c"decode", json_decode::decode),
    (c"encode_sparse_array", encode_sparse_array),
    (c"encode_max_depth", encode_max_depth),
    (c"decode_max_depth", decode_max_depth),
    (c"encode_number_precision", encode_number_precision),
    (c"encode_keep_buffer", encode_keep_buffer),
    (c"encode_invalid_numbers", encode_invalid_numbers),
    (c"decode_invalid_numbers", decode_invalid_numbers),
    (c"new", new),
];

const NAME: &CStr = c"cjson";
const VERSION: &CStr = c"2.1.0";

/// What becomes of a number that JSON has not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// The settings of the library or of a copy of it.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// An excessively sparse array becomes an object instead of an error.
    pub(super) sparse_convert: bool,
    /// An array is excessively sparse if its length is more than so many times its elements; 0 for
    /// never.
    pub(super) sparse_ratio: c_int,
    /// Arrays of up to this length are never excessively sparse.
    pub(super) sparse_safe: c_int,
    pub(super) encode_depth: c_int,
    pub(super) decode_depth: c_int,
    pub(super) precision: c_int,
    /// Shown to scripts; the buffer is the engine's own affair.
    keep_buffer: bool,
    pub(super) encode_invalid: InvalidNumbers,
    pub(super) decode_invalid: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: InvalidNumbers::Refused,
            decode_invalid: true,
        }
    }
}

/// The settings of the running function: upvalue 1 is their address, or the userdata they are in.
///
/// # Safety
/// The running function was made by [`push_library`].
#[inline]
pub(super) unsafe fn settings<'a>(l: *mut lua_State) -> &'a mut Settings {
    // SAFETY: the bridge outlives the state; a userdata lives as long as the function it belongs to.
    unsafe { &mut *ffi::lua_touserdata(l, ffi::lua_upvalueindex(1)).cast::<Settings>() }
}

/// Pushes a table of the library whose settings lie at an address that outlives the state.
///
/// # Safety
/// Under a protected call.
pub(super) unsafe fn push_library(l: *mut lua_State, settings: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushlightuserdata(l, settings);
        fill_library(l);
    }
}

/// Replaces settings on the stack by a table of functions that use them.
///
/// # Safety
/// Under a protected call.
unsafe fn fill_library(l: *mut lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 0);
        for (name, function) in FUNCTIONS {
            ffi::lua_pushvalue(l, -2);
            ffi::lua_pushcclosure(l, function, 1);
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        ffi::lua_pushlightuserdata(l, ptr::null_mut());
        ffi::lua_setfield(l, -2, c"null".as_ptr());
        ffi::lua_pushstring_(l, NAME.as_ptr());
        ffi::lua_setfield(l, -2, c"_NAME".as_ptr());
        ffi::lua_pushstring_(l, VERSION.as_ptr());
        ffi::lua_setfield(l, -2, c"_VERSION".as_ptr());
        ffi::lua_remove(l, -2);
    }
}

/// `cjson.new()`: a copy with settings of its own, fresh ones, which a script may write to.
unsafe extern "C-unwind" fn new(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the settings are plain data in a block of Lua's, which is aligned.
    unsafe {
        let place = ffi::lua_newuserdata(l, size_of::<Settings>());
        place.cast::<Settings>().write(Settings::default());
        fill_library(l);
        1
    }
}

/// Makes the arguments so many, nil where they are missing.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn arguments(l: *mut lua_State, count: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        let fits = ffi::lua_gettop(l) <= count;
        let text = c"found too many arguments";
        ffi::luaL_argcheck(l, c_int::from(fits), count + 1, text.as_ptr());
        ffi::lua_settop(l, count);
    }
}

/// Takes an argument, unless it is nil, for a whole number in a range, and pushes the setting.
///
/// # Safety
/// Called from a C function that owns nothing, with two free stack slots.
unsafe fn number_option(
    l: *mut lua_State,
    index: c_int,
    place: &mut c_int,
    least: c_int,
    most: c_int,
) {
    // SAFETY: the caller's promise; the text takes C ints.
    unsafe {
        if ffi::lua_type(l, index) != ffi::LUA_TNIL {
            let number = ffi::luaL_checkinteger(l, index) as c_int;
            if !(least..=most).contains(&number) {
                let text = c"expected integer between %d and %d";
                let message = ffi::lua_pushfstring(l, text.as_ptr(), least, most);
                // Whichever argument it is: the reference names the first.
                ffi::luaL_argerror(l, 1, message);
            }
            *place = number;
        }
        ffi::lua_pushnumber(l, f64::from(*place));
    }
}

/// Takes an argument, unless it is nil, for one of the words or a boolean: how manieth word it is.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn word_option(l: *mut lua_State, index: c_int, words: &[*const c_char]) -> Option<c_int> {
    // SAFETY: the caller's promise; the words end with a null pointer.
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TNIL => None,
            ffi::LUA_TBOOLEAN => Some(ffi::lua_toboolean(l, index)),
            _ => Some(ffi::luaL_checkoption(l, index, ptr::null(), words.as_ptr())),
        }
    }
}

/// Takes an argument for a switch and pushes the setting.
///
/// # Safety
/// As [`word_option`], with a free stack slot.
unsafe fn switch_option(l: *mut lua_State, index: c_int, place: &mut bool) {
    let words = [c"off".as_ptr(), c"on".as_ptr(), ptr::null()];
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(word) = word_option(l, index, &words) {
            *place = word != 0;
        }
        ffi::lua_pushboolean(l, c_int::from(*place));
    }
}

/// `cjson.encode_sparse_array([convert [, ratio [, safe]]])`
unsafe extern "C-unwind" fn encode_sparse_array(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let settings = settings(l);
        arguments(l, 3);
        switch_option(l, 1, &mut settings.sparse_convert);
        number_option(l, 2, &mut settings.sparse_ratio, 0, c_int::MAX);
        number_option(l, 3, &mut settings.sparse_safe, 0, c_int::MAX);
        3
    }
}

/// `cjson.encode_max_depth([depth])`
unsafe extern "C-unwind" fn encode_max_depth(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        number_option(l, 1, &mut settings(l).encode_depth, 1, c_int::MAX);
        1
    }
}

/// `cjson.decode_max_depth([depth])`
unsafe extern "C-unwind" fn decode_max_depth(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        number_option(l, 1, &mut settings(l).decode_depth, 1, c_int::MAX);
        1
    }
}

/// `cjson.encode_number_precision([digits])`
unsafe extern "C-unwind" fn encode_number_precision(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        number_option(l, 1, &mut settings(l).precision, 1, 14);
        1
    }
}

/// `cjson.encode_keep_buffer([keep])`
unsafe extern "C-unwind" fn encode_keep_buffer(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        switch_option(l, 1, &mut settings(l).keep_buffer);
        1
    }
}

/// `cjson.encode_invalid_numbers([setting])`
unsafe extern "C-unwind" fn encode_invalid_numbers(l: *mut lua_State) -> c_int {
    let words = [c"off".as_ptr(), c"on".as_ptr(), c"null".as_ptr(), ptr::null()];
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        let place = &mut settings(l).encode_invalid;
        match word_option(l, 1, &words) {
            None => (),
            Some(0) => *place = InvalidNumbers::Refused,
            Some(1) => *place = InvalidNumbers::Written,
            Some(_) => *place = InvalidNumbers::Null,
        }
        match *place {
            InvalidNumbers::Null => ffi::lua_pushstring_(l, c"null".as_ptr()),
            other => ffi::lua_pushboolean(l, c_int::from(other == InvalidNumbers::Written)),
        }
        1
    }
}

/// `cjson.decode_invalid_numbers([setting])`
unsafe extern "C-unwind" fn decode_invalid_numbers(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        arguments(l, 1);
        switch_option(l, 1, &mut settings(l).decode_invalid);
        1
    }
}

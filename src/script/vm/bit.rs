//! The library `bit`: numbers as sets of 32 bits.

use super::libraries::Function;
use super::peek;
use crate::script::lib::bits;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::os::raw::c_int;

pub(super) const FUNCTIONS: [Function; 12] = [
    (c"tobit", tobit),
    (c"bnot", bnot),
    (c"band", band),
    (c"bor", bor),
    (c"bxor", bxor),
    (c"lshift", lshift),
    (c"rshift", rshift),
    (c"arshift", arshift),
    (c"rol", rol),
    (c"ror", ror),
    (c"bswap", bswap),
    (c"tohex", tohex),
];

/// The bits of an argument.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
unsafe fn argument(l: *mut lua_State, index: c_int) -> u32 {
    // SAFETY: the caller's promise.
    let number =
        unsafe { peek::number(l, index).unwrap_or_else(|| ffi::luaL_checknumber(l, index)) };
    bits::of_number(number)
}

/// Answers bits.
///
/// # Safety
/// Called as the last act of a C function.
#[inline]
unsafe fn answer(l: *mut lua_State, bits: u32) -> c_int {
    // SAFETY: a C function has free stack slots.
    unsafe { ffi::lua_pushnumber(l, bits::to_number(bits)) };
    1
}

/// A function of one argument.
///
/// # Safety
/// Called by Lua.
#[inline]
unsafe fn one(l: *mut lua_State, function: fn(u32) -> u32) -> c_int {
    // SAFETY: the caller's promise; nothing here owns anything.
    unsafe { answer(l, function(argument(l, 1))) }
}

/// A function of bits and a count.
///
/// # Safety
/// Called by Lua.
#[inline]
unsafe fn shift(l: *mut lua_State, function: fn(u32, u32) -> u32) -> c_int {
    // SAFETY: the caller's promise; nothing here owns anything.
    unsafe {
        let bits = argument(l, 1);
        answer(l, function(bits, argument(l, 2) & 31))
    }
}

/// A function of one argument or more. The others are looked at from the last to the second, which
/// an error shows.
///
/// # Safety
/// Called by Lua.
#[inline]
unsafe fn fold(l: *mut lua_State, function: fn(u32, u32) -> u32) -> c_int {
    // SAFETY: the caller's promise; nothing here owns anything.
    unsafe {
        let mut bits = argument(l, 1);
        for index in (2..=peek::arguments(l).len() as c_int).rev() {
            bits = function(bits, argument(l, index));
        }
        answer(l, bits)
    }
}

/// `bit.tobit(x)`
unsafe extern "C-unwind" fn tobit(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { one(l, |bits| bits) }
}

/// `bit.bnot(x)`
unsafe extern "C-unwind" fn bnot(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { one(l, |bits| !bits) }
}

/// `bit.bswap(x)`
unsafe extern "C-unwind" fn bswap(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { one(l, u32::swap_bytes) }
}

/// `bit.band(x, ...)`
unsafe extern "C-unwind" fn band(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { fold(l, |a, b| a & b) }
}

/// `bit.bor(x, ...)`
unsafe extern "C-unwind" fn bor(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { fold(l, |a, b| a | b) }
}

/// `bit.bxor(x, ...)`
unsafe extern "C-unwind" fn bxor(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { fold(l, |a, b| a ^ b) }
}

/// `bit.lshift(x, n)`
unsafe extern "C-unwind" fn lshift(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { shift(l, |bits, count| bits << count) }
}

/// `bit.rshift(x, n)`
unsafe extern "C-unwind" fn rshift(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { shift(l, |bits, count| bits >> count) }
}

/// `bit.arshift(x, n)`
unsafe extern "C-unwind" fn arshift(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { shift(l, |bits, count| (bits as i32 >> count) as u32) }
}

/// `bit.rol(x, n)`
unsafe extern "C-unwind" fn rol(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { shift(l, u32::rotate_left) }
}

/// `bit.ror(x, n)`
unsafe extern "C-unwind" fn ror(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { shift(l, u32::rotate_right) }
}

/// `bit.tohex(x [, digits])`
unsafe extern "C-unwind" fn tohex(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let bits = argument(l, 1);
        let count = match ffi::lua_type(l, 2) {
            ffi::LUA_TNONE => bits::HEX_DIGITS as i32,
            _ => argument(l, 2) as i32,
        };
        let (text, len) = bits::hex(bits, count);
        ffi::lua_pushlstring_(l, text.as_ptr().cast(), len);
        1
    }
}

//! Reading a C function's arguments where Lua keeps them.
//!
//! The C API takes two calls for each argument, which for `redis.call` is a good part of the
//! whole. Lua is built with this crate, so its layout is known; [`check`] holds a state to it when it
//! is opened, before anything relies on it. Nothing is written here, and nothing can raise.

#[cfg_attr(feature = "luajit", path = "peek_luajit.rs")]
#[cfg_attr(not(feature = "luajit"), path = "peek_puc.rs")]
mod layout;

pub(super) use layout::{Value, arguments, wants_result};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::os::raw::c_int;

/// What `redis.call` takes.
pub(super) enum Argument<'a> {
    Text(&'a [u8]),
    Number(f64),
    Other,
}

impl Argument<'_> {
    /// The number, if it is one.
    #[inline]
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Argument::Number(number) => Some(number),
            Argument::Text(_) | Argument::Other => None,
        }
    }
}

/// The number that an argument is, if it is one. They are counted from 1, as by Lua.
///
/// # Safety
/// As [`arguments`].
#[inline]
pub(super) unsafe fn number(l: *mut lua_State, index: c_int) -> Option<f64> {
    // SAFETY: the caller's promise.
    unsafe { arguments(l).get(index as usize - 1)?.read().number() }
}

/// The bytes of an argument that is a text.
///
/// # Safety
/// As [`arguments`]; the argument stays on the stack while the result is in use.
#[inline]
pub(super) unsafe fn text<'a>(l: *mut lua_State, index: c_int) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe {
        match arguments(l).get(index as usize - 1)?.read() {
            Argument::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether a state is laid out as this file has it; `probe` is run as a C function's body.
pub(super) fn check(l: *mut lua_State) -> Result<(), String> {
    let mut agrees = false;
    // SAFETY: the state is open and idle; probe raises nothing that lua_cpcall does not catch.
    let status = unsafe { ffi::lua_cpcall(l, probe, (&raw mut agrees).cast()) };
    // SAFETY: an error's message, if there is one, is dropped.
    unsafe { ffi::lua_settop(l, 0) };
    match status == ffi::LUA_OK && agrees {
        true => Ok(()),
        false => Err("the Lua library is not the one this crate was made for".to_owned()),
    }
}

/// Compares what is read here with what was put there by the API.
unsafe extern "C-unwind" fn probe(l: *mut lua_State) -> c_int {
    // SAFETY: called by lua_cpcall with the address of a bool; nothing is owned here.
    unsafe {
        let agrees = ffi::lua_touserdata(l, 1).cast::<bool>();
        ffi::lua_settop(l, 0);
        let text = b"some\0text";
        ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
        ffi::lua_pushnumber(l, 0.5);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_pushinteger(l, -7);
        ffi::lua_pushnil(l);
        ffi::lua_pushlightuserdata(l, std::ptr::null_mut());
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_pushvalue(l, -2);
        ffi::lua_setmetatable(l, -2);
        #[cfg(feature = "luajit")]
        let lists_agree = probe_list(l);
        #[cfg(not(feature = "luajit"))]
        let lists_agree = true;
        #[cfg(feature = "luajit")]
        let results_agree = true;
        #[cfg(not(feature = "luajit"))]
        let results_agree = probe_results(l);
        *agrees = lists_agree
            && results_agree
            && match arguments(l) {
                [a, b, c, d, others @ ..] => {
                    matches!(a.read(), Argument::Text(bytes) if bytes == text)
                        && matches!(b.read(), Argument::Number(number) if number == 0.5)
                        && matches!(c.read(), Argument::Other)
                        && matches!(d.read(), Argument::Number(number) if number == -7.0)
                        && others.len() == 4
                        && others.iter().all(|other| matches!(other.read(), Argument::Other))
                        && matches!(others, [.., bare, other] if bare.is_bare_table()
                        && !other.is_bare_table() && !a.is_bare_table() && !b.is_bare_table())
                }
                _ => false,
            };
        0
    }
}

/// The same for how many results are taken.
///
/// # Safety
/// As [`probe`]; leaves the stack as it was.
#[cfg(not(feature = "luajit"))]
unsafe fn probe_results(l: *mut lua_State) -> bool {
    [(0, false), (1, true), (3, true), (ffi::LUA_MULTRET, true)].iter().all(|&(count, wanted)| {
        let mut found = !wanted;
        // SAFETY: the caller's promise; nothing is owned here.
        unsafe {
            let top = ffi::lua_gettop(l);
            ffi::lua_pushcclosure(l, tell_wanted, 0);
            ffi::lua_pushlightuserdata(l, (&raw mut found).cast());
            ffi::lua_call(l, 1, count);
            ffi::lua_settop(l, top);
        }
        found == wanted
    })
}

/// Tells at an address whether anything of its results is taken.
#[cfg(not(feature = "luajit"))]
unsafe extern "C-unwind" fn tell_wanted(l: *mut lua_State) -> c_int {
    // SAFETY: called by probe_results with the address of a bool.
    unsafe {
        *ffi::lua_touserdata(l, 1).cast::<bool>() = wants_result(l);
        ffi::lua_pushboolean(l, 1);
    }
    1
}

/// The same for a list.
///
/// # Safety
/// As [`probe`]; leaves the stack as it was.
#[cfg(feature = "luajit")]
unsafe fn probe_list(l: *mut lua_State) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 2, 0);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_rawseti_(l, -2, 1);
        ffi::lua_pushvalue(l, 2);
        ffi::lua_rawseti_(l, -2, 2);
        let elements = arguments(l).last().map_or(&[][..], |list| list.elements());
        let agrees = matches!(elements, [_, a, b] if matches!(a.read(), Argument::Text(_))
            && matches!(b.read(), Argument::Number(number) if number == 0.5));
        ffi::lua_settop(l, -2);
        agrees
    }
}

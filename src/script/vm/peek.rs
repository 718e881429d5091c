//! Reading a C function's arguments where Lua keeps them.
//!
//! The C API takes two calls for each argument, which for `redis.call` is a good part of the
//! whole. Lua 5.1 has had one layout of its stack and strings since 2006, and it is built with
//! this crate; [`check`] holds a state to that layout when it is opened, before anything relies
//! on it. Nothing is written here, and nothing can raise.

use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::c_void;
use std::os::raw::c_int;

/// The beginning of a `lua_State`.
#[repr(C)]
struct State {
    next: *const c_void,
    kind: u8,
    marked: u8,
    status: u8,
    top: *const Value,
    base: *const Value,
}

/// A value on the stack.
#[repr(C)]
pub(super) struct Value {
    payload: Payload,
    kind: c_int,
}

#[repr(C)]
union Payload {
    string: *const Header,
    number: f64,
}

/// What lies before the bytes of a string.
#[repr(C)]
struct Header {
    next: *const c_void,
    kind: u8,
    marked: u8,
    reserved: u8,
    hash: u32,
    len: usize,
}

/// What `redis.call` takes.
pub(super) enum Argument<'a> {
    Text(&'a [u8]),
    Number(f64),
    Other,
}

/// The arguments of the C function that is running.
///
/// # Safety
/// Called from a C function of a state that passed [`check`]; the stack stays as it is while
/// the result is in use.
#[inline]
pub(super) unsafe fn arguments<'a>(l: *mut lua_State) -> &'a [Value] {
    // SAFETY: the caller's promise; base is never above top.
    unsafe {
        let state = &*l.cast::<State>();
        std::slice::from_raw_parts(state.base, state.top.offset_from_unsigned(state.base))
    }
}

impl Value {
    /// The value, if it is of a kind that commands take.
    ///
    /// # Safety
    /// The value is on a stack, and stays there while the result is in use.
    #[inline]
    pub(super) unsafe fn read<'a>(&self) -> Argument<'a> {
        // SAFETY: the kind tells which payload is there; a string's bytes follow its header.
        unsafe {
            match self.kind {
                ffi::LUA_TSTRING => {
                    let header = self.payload.string;
                    let bytes = header.add(1).cast::<u8>();
                    Argument::Text(std::slice::from_raw_parts(bytes, (*header).len))
                }
                ffi::LUA_TNUMBER => Argument::Number(self.payload.number),
                _ => Argument::Other,
            }
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
        *agrees = match arguments(l) {
            [a, b, c] => {
                matches!(a.read(), Argument::Text(bytes) if bytes == text)
                    && matches!(b.read(), Argument::Number(number) if number == 0.5)
                    && matches!(c.read(), Argument::Other)
            }
            _ => false,
        };
        0
    }
}

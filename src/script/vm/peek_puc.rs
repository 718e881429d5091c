//! How PUC Lua 5.1 lays out its stack and strings: the same since 2006, and built with this crate.

use super::Argument;
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
    global: *const c_void,
    call: *const Call,
}

/// A call that is running.
#[repr(C)]
struct Call {
    base: *const Value,
    function: *const Value,
    top: *const Value,
    instruction: *const u32,
    /// How many results are taken, -1 for as many as there are.
    results: c_int,
    tail_calls: c_int,
}

/// A value on the stack.
#[repr(C)]
pub(in super::super) struct Value {
    payload: Payload,
    kind: c_int,
}

#[repr(C)]
union Payload {
    string: *const Header,
    table: *const Table,
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

/// The beginning of a table.
#[repr(C)]
struct Table {
    next: *const c_void,
    kind: u8,
    marked: u8,
    flags: u8,
    size: u8,
    metatable: *const c_void,
}

/// The arguments of the C function that is running.
///
/// # Safety
/// Called from a C function of a state that passed [`check`]; the stack stays as it is while
/// the result is in use.
#[inline]
pub(in super::super) unsafe fn arguments<'a>(l: *mut lua_State) -> &'a [Value] {
    // SAFETY: the caller's promise; base is never above top.
    unsafe {
        let state = &*l.cast::<State>();
        std::slice::from_raw_parts(state.base, state.top.offset_from_unsigned(state.base))
    }
}

/// Whether who called the C function that is running takes anything of its results: not where the
/// call is a statement.
///
/// # Safety
/// As [`arguments`].
#[inline]
pub(in super::super) unsafe fn wants_result(l: *mut lua_State) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*(*l.cast::<State>()).call).results != 0 }
}

impl Value {
    /// The value, if it is of a kind that commands take.
    ///
    /// # Safety
    /// The value is on a stack, and stays there while the result is in use.
    #[inline]
    pub(in super::super) unsafe fn read<'a>(&self) -> Argument<'a> {
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

    /// Whether the value is a table without a metatable, and so no proxy.
    ///
    /// # Safety
    /// The value is on a stack.
    #[inline]
    pub(in super::super) unsafe fn is_bare_table(&self) -> bool {
        // SAFETY: the kind tells which payload is there.
        unsafe { self.kind == ffi::LUA_TTABLE && (*self.payload.table).metatable.is_null() }
    }
}

//! From replies to Lua values.
//!
//! All of it runs under a protected call and may raise when memory runs out; nothing owns
//! anything.

use super::api::push_ref;
use super::bridge::{Bridge, Refs};
use crate::reply::{Item, Protocol, Walker};
use mlua_sys as ffi;
use mlua_sys::lua_State;

/// Pushes the bridge's answer as a Lua value.
///
/// # Safety
/// Under a protected call, during a run.
#[inline]
pub(super) unsafe fn answer(l: *mut lua_State, bridge: *mut Bridge) {
    // SAFETY: the bridge lives; the answer does not change while it is walked.
    unsafe {
        match (*bridge).answer.plain() {
            Some(Item::Integer(number)) => return ffi::lua_pushnumber(l, number as f64),
            Some(Item::Bulk(text)) => {
                return ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
            }
            Some(Item::Status(text)) => return status(l, &(*bridge).refs, text),
            _ => (),
        }
        let protocol = (*bridge).current.map_or(Protocol::Resp2, |current| current.protocol);
        let mut walker = (*bridge).answer.walk(protocol);
        value(l, &(*bridge).refs, &mut walker, protocol);
    }
}

/// Pushes the bridge's answer, an error, as the table that `redis.call` raises.
///
/// # Safety
/// As [`answer`].
pub(super) unsafe fn error_answer(l: *mut lua_State, bridge: *mut Bridge) {
    // SAFETY: the same.
    unsafe {
        let refs = &(*bridge).refs;
        let mut walker = (*bridge).answer.walk(Protocol::Resp2);
        let text = match walker.next() {
            Item::Error(text) => text,
            _ => b"ERR",
        };
        ffi::lua_createtable(l, 0, 4);
        set_text(l, refs.err, text);
        push_ref(l, refs.ignore);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_rawset(l, -3);
    }
}

/// Pushes the next item of a walk with all that belongs to it.
unsafe fn value(l: *mut lua_State, refs: &Refs, walker: &mut Walker<'_>, protocol: Protocol) {
    // SAFETY: under the caller's protected call; the items' bytes stay where they are.
    unsafe {
        match walker.next() {
            Item::Integer(number) => ffi::lua_pushnumber(l, number as f64),
            Item::Bulk(text) => ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len()),
            Item::Status(text) => status(l, refs, text),
            Item::Error(text) => text_table(l, refs.err, text),
            Item::Null if protocol == Protocol::Resp3 => ffi::lua_pushnil(l),
            Item::Null | Item::NullArray => ffi::lua_pushboolean(l, 0),
            Item::Boolean(flag) => ffi::lua_pushboolean(l, flag.into()),
            Item::Array(len) | Item::Push(len) => array(l, refs, walker, protocol, len),
            Item::Map(len) => keyed(l, refs, walker, protocol, len, refs.map, true),
            Item::Set(len) => keyed(l, refs, walker, protocol, len, refs.set, false),
            Item::Double(number) => {
                ffi::lua_createtable(l, 0, 1);
                push_ref(l, refs.double);
                ffi::lua_pushnumber(l, number);
                ffi::lua_rawset(l, -3);
            }
            Item::BigNumber(text) => text_table(l, refs.big_number, text),
            Item::Verbatim(text) => verbatim(l, refs, text),
        }
    }
}

/// Pushes `{ok = text}`; that of "OK", the reply of most writes, is made from strings that are
/// interned already, and so is that of PING.
#[inline]
unsafe fn status(l: *mut lua_State, refs: &Refs, text: &[u8]) {
    let known = match text {
        b"OK" => refs.ok_text,
        b"PONG" => refs.pong_text,
        // SAFETY: as value.
        _ => return unsafe { text_table(l, refs.ok, text) },
    };
    // SAFETY: as value.
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        push_ref(l, refs.ok);
        push_ref(l, known);
        ffi::lua_rawset(l, -3);
    }
}

/// Pushes a table with one text in it.
unsafe fn text_table(l: *mut lua_State, name: i32, text: &[u8]) {
    // SAFETY: as value.
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        set_text(l, name, text);
    }
}

/// Sets a field of the table on top of the stack to a text.
unsafe fn set_text(l: *mut lua_State, name: i32, text: &[u8]) {
    // SAFETY: as value.
    unsafe {
        push_ref(l, name);
        ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
        ffi::lua_rawset(l, -3);
    }
}

unsafe fn array(
    l: *mut lua_State,
    refs: &Refs,
    walker: &mut Walker<'_>,
    protocol: Protocol,
    len: usize,
) {
    // SAFETY: as value; commands nest their replies a few levels, and each asks for its room.
    unsafe {
        ffi::luaL_checkstack(l, 6, c"reply is nested too deeply".as_ptr());
        ffi::lua_createtable(l, len.min(i32::MAX as usize) as i32, 0);
        for index in 1..=len {
            value(l, refs, walker, protocol);
            ffi::lua_rawseti_(l, -2, index as i32);
        }
    }
}

/// Pushes a table whose one field, `name`, is a table of so many keys: `{map = {key = value, ...}}`
/// with the values that follow them, or else `{set = {member = true, ...}}`.
unsafe fn keyed(
    l: *mut lua_State,
    refs: &Refs,
    walker: &mut Walker<'_>,
    protocol: Protocol,
    len: usize,
    name: i32,
    with_values: bool,
) {
    // SAFETY: as array.
    unsafe {
        ffi::luaL_checkstack(l, 8, c"reply is nested too deeply".as_ptr());
        ffi::lua_createtable(l, 0, 1);
        push_ref(l, name);
        ffi::lua_createtable(l, 0, len.min(i32::MAX as usize) as i32);
        for _ in 0..len {
            value(l, refs, walker, protocol);
            if with_values {
                value(l, refs, walker, protocol);
            } else {
                ffi::lua_pushboolean(l, 1);
            }
            ffi::lua_rawset(l, -3);
        }
        ffi::lua_rawset(l, -3);
    }
}

/// Pushes `{verbatim_string = {format = "txt", string = "..."}}`.
unsafe fn verbatim(l: *mut lua_State, refs: &Refs, text: &[u8]) {
    let (format, text) = text.split_at_checked(4).unwrap_or((b"", text));
    // SAFETY: as value.
    unsafe {
        ffi::luaL_checkstack(l, 8, c"reply is nested too deeply".as_ptr());
        ffi::lua_createtable(l, 0, 1);
        push_ref(l, refs.verbatim);
        ffi::lua_createtable(l, 0, 2);
        set_text(l, refs.format, format.strip_suffix(b":").unwrap_or(format));
        set_text(l, refs.string, text);
        ffi::lua_rawset(l, -3);
    }
}

//! From Lua values to replies, and from error values to texts.

use super::Failure;
use super::api::push_ref;
use super::bridge::Bridge;
use super::guard::Guard;
use super::trace::Trace;
use crate::error::{clipped, error_end};
use crate::number::F64Text;
use crate::reply::{Protocol, ReplyBuf};
use mlua_sys as ffi;
use mlua_sys::lua_State;

/// How deep a script's result may be nested.
const DEPTH_MOST: usize = 1000;

/// The bytes of the string at an index; none if there is no string.
///
/// # Safety
/// The index is on the stack; the bytes are good while the value stays there.
#[inline]
pub(super) unsafe fn text<'a>(l: *mut lua_State, index: i32) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { (ffi::lua_type(l, index) == ffi::LUA_TSTRING).then(|| string(l, index)) }
}

/// The bytes of what is known to be a string.
///
/// # Safety
/// The value at the index is a string, and stays there while the bytes are used.
#[inline]
pub(super) unsafe fn string<'a>(l: *mut lua_State, index: i32) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: reading a string that is one converts and allocates nothing.
    unsafe {
        let start = ffi::lua_tolstring(l, index, &raw mut len);
        std::slice::from_raw_parts(start.cast(), len)
    }
}

/// Writes the value on top of the stack, the result of a script, to a reply.
///
/// # Safety
/// Under a protected call, during a run.
pub(super) unsafe fn reply(l: *mut lua_State, bridge: *mut Bridge, reply: *mut ReplyBuf) {
    // SAFETY: bridge and reply live and are used by nobody else until this returns.
    unsafe {
        let bridge = &*bridge;
        let resp3 = bridge.current.is_some_and(|run| run.protocol == Protocol::Resp3);
        let guard = Guard::of_state(l);
        Pull { l, bridge, guard, reply: &mut *reply, resp3, seen: 0 }.value(0);
    }
}

/// One conversion. It owns nothing, as Lua may raise for want of stack.
struct Pull<'a> {
    l: *mut lua_State,
    bridge: &'a Bridge,
    guard: &'a Guard,
    reply: &'a mut ReplyBuf,
    resp3: bool,
    /// Values converted so far.
    seen: usize,
}

/// Values converted between two looks at the limits.
const LOOK_EVERY: usize = 1024;

impl Pull<'_> {
    /// Converts the value on top of the stack, and leaves it there.
    ///
    /// # Safety
    /// As [`reply`].
    unsafe fn value(&mut self, depth: usize) {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            self.look();
            match ffi::lua_type(l, -1) {
                ffi::LUA_TSTRING => self.reply.bulk(text(l, -1).unwrap_or_default()),
                ffi::LUA_TNUMBER => self.reply.integer(truncated(ffi::lua_tonumber(l, -1))),
                ffi::LUA_TBOOLEAN => self.boolean(ffi::lua_toboolean(l, -1) != 0),
                ffi::LUA_TTABLE if depth >= DEPTH_MOST || ffi::lua_checkstack(l, 8) == 0 => {
                    self.reply.error_text(b"ERR reached lua stack limit");
                }
                ffi::LUA_TTABLE => self.table(depth),
                _ => self.reply.null(),
            }
        }
    }

    /// Looks at the limits now and then: tables that hold one another may be few and yet make a
    /// reply without end. What the reply takes counts as the script's memory.
    unsafe fn look(&mut self) {
        self.seen += 1;
        let due = self.seen & (LOOK_EVERY - 1) == 0;
        if due && (!self.guard.permits(self.reply.heap_size()) || self.guard.check()) {
            // SAFETY: as value; nothing is owned here or below.
            unsafe { self.guard.raise(self.l) }
        }
    }

    fn boolean(&mut self, flag: bool) {
        match flag {
            _ if self.resp3 => self.reply.boolean(flag),
            true => self.reply.integer(1),
            false if self.bridge.false_is_zero => self.reply.integer(0),
            false => self.reply.null(),
        }
    }

    /// A table is what its special field says, else an array up to its first nil.
    unsafe fn table(&mut self, depth: usize) {
        let refs = &self.bridge.refs;
        // SAFETY: as value; each `field` leaves one value, popped after use.
        unsafe {
            if let Some(bytes) = self.text_field(refs.err) {
                self.reply.error_text(error_end(bytes));
            } else if let Some(bytes) = self.text_field(refs.ok) {
                self.reply.status_line(line_of(bytes));
            } else if let Some(number) = self.number_field(refs.double) {
                self.reply.double(number);
            } else if self.table_field(refs.map) {
                self.map(depth);
                ffi::lua_settop(self.l, -2);
            } else if self.table_field(refs.set) {
                self.set(depth);
                ffi::lua_settop(self.l, -2);
            } else if let Some(bytes) = self.text_field(refs.big_number) {
                self.reply.big_number(bytes);
            } else if self.table_field(refs.verbatim) {
                let done = self.verbatim();
                ffi::lua_settop(self.l, -2);
                if !done {
                    self.array(depth);
                }
            } else {
                self.array(depth);
            }
        }
    }

    /// Pushes a field of the table on top, without asking a metatable.
    unsafe fn field(&self, name: i32) {
        // SAFETY: as value; a name is a string, so nothing is raised.
        unsafe {
            push_ref(self.l, name);
            ffi::lua_rawget_(self.l, -2);
        }
    }

    /// A field that is a string. Its bytes stay: the table keeps them.
    unsafe fn text_field<'t>(&self, name: i32) -> Option<&'t [u8]> {
        // SAFETY: as field.
        unsafe {
            self.field(name);
            let bytes = text(self.l, -1);
            ffi::lua_settop(self.l, -2);
            bytes
        }
    }

    unsafe fn number_field(&self, name: i32) -> Option<f64> {
        // SAFETY: as field.
        unsafe {
            self.field(name);
            let is_number = ffi::lua_type(self.l, -1) == ffi::LUA_TNUMBER;
            let number = ffi::lua_tonumber(self.l, -1);
            ffi::lua_settop(self.l, -2);
            is_number.then_some(number)
        }
    }

    /// Pushes a field if it is a table.
    unsafe fn table_field(&self, name: i32) -> bool {
        // SAFETY: as field.
        unsafe {
            self.field(name);
            let is_table = ffi::lua_type(self.l, -1) == ffi::LUA_TTABLE;
            if !is_table {
                ffi::lua_settop(self.l, -2);
            }
            is_table
        }
    }

    unsafe fn array(&mut self, depth: usize) {
        let mark = self.reply.mark();
        self.reply.array(0);
        let mut len = 0;
        // SAFETY: as value.
        unsafe {
            loop {
                ffi::lua_rawgeti_(self.l, -1, len as i32 + 1);
                if ffi::lua_type(self.l, -1) == ffi::LUA_TNIL {
                    break;
                }
                self.value(depth + 1);
                ffi::lua_settop(self.l, -2);
                len += 1;
            }
            ffi::lua_settop(self.l, -2);
        }
        self.reply.set_len(mark, len);
    }

    unsafe fn map(&mut self, depth: usize) {
        let mark = self.reply.mark();
        self.reply.map(0);
        let mut len = 0;
        // SAFETY: as value; the key is converted as a copy, because `next` needs it as it is.
        unsafe {
            ffi::lua_pushnil(self.l);
            while ffi::lua_next(self.l, -2) != 0 {
                ffi::lua_pushvalue(self.l, -2);
                self.value(depth + 1);
                ffi::lua_settop(self.l, -2);
                self.value(depth + 1);
                ffi::lua_settop(self.l, -2);
                len += 1;
            }
        }
        self.reply.set_len(mark, len);
    }

    unsafe fn set(&mut self, depth: usize) {
        let mark = self.reply.mark();
        self.reply.set(0);
        let mut len = 0;
        // SAFETY: as map.
        unsafe {
            ffi::lua_pushnil(self.l);
            while ffi::lua_next(self.l, -2) != 0 {
                ffi::lua_settop(self.l, -2);
                ffi::lua_pushvalue(self.l, -1);
                self.value(depth + 1);
                ffi::lua_settop(self.l, -2);
                len += 1;
            }
        }
        self.reply.set_len(mark, len);
    }

    /// Converts the verbatim string whose table is on top; false if it is not one.
    unsafe fn verbatim(&mut self) -> bool {
        let refs = &self.bridge.refs;
        // SAFETY: as value.
        unsafe {
            match (self.text_field(refs.format), self.text_field(refs.string)) {
                (Some(format), Some(string)) => {
                    self.reply.verbatim(format, string);
                    true
                }
                _ => false,
            }
        }
    }
}

/// What an error or a status says: C reads it, so a NUL ends it.
fn line_of(text: &[u8]) -> &[u8] {
    clipped(text, usize::MAX)
}

/// A number as C converts it on x86-64: what does not fit is the smallest integer.
pub(super) fn truncated(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// The error on top of the stack. Allocates nothing in Lua.
///
/// # Safety
/// A value is on the stack.
pub(super) unsafe fn failure(l: *mut lua_State, bridge: &Bridge, trace: Trace) -> Failure {
    // SAFETY: fields are read without metatables, strings without conversion.
    unsafe {
        if ffi::lua_type(l, -1) != ffi::LUA_TTABLE {
            let text = text(l, -1).map_or(&b"unknown error"[..], line_of);
            let message = [b"ERR ", text].concat();
            return Failure { message, place: None, trace };
        }
        let field = |name| {
            push_ref(l, name);
            ffi::lua_rawget_(l, -2);
            let found = match ffi::lua_type(l, -1) {
                ffi::LUA_TNUMBER => {
                    Some(F64Text::new(ffi::lua_tonumber(l, -1)).as_bytes().to_vec())
                }
                _ => text(l, -1).map(|text| line_of(text).to_vec()),
            };
            let number = ffi::lua_tonumber(l, -1) as i64;
            ffi::lua_settop(l, -2);
            (found, number)
        };
        let message = field(bridge.refs.err).0;
        let (source, line) = (field(bridge.refs.source).0, field(bridge.refs.line).1);
        Failure {
            message: message
                .unwrap_or_else(|| b"ERR unknown error (an error object without err)".to_vec()),
            place: source.map(|source| (source, line)),
            trace,
        }
    }
}

//! `cjson.encode`: a Lua value as JSON.

use super::bridge::Bridge;
use super::cjson::{self, InvalidNumbers, Settings};
use super::guard::Guard;
use super::libraries::{Level, Libraries};
use super::output::Output;
use super::proxy::push_real;
use super::pull;
use crate::script::lib::json::{ESCAPED_MOST, NUMBER_MOST, push_escaped, push_number};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;

/// Bytes of a string that are escaped at a time: room is asked for as if each took the most.
const PIECE_BYTES: usize = 4096;

/// Bytes of a string that count as one unit of work.
const BYTES_PER_UNIT: usize = 64;

/// `cjson.encode(value)`
pub(super) unsafe extern "C-unwind" fn encode(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, the bytes belong to the bridge.
    unsafe {
        let single = ffi::lua_gettop(l) == 1;
        ffi::luaL_argcheck(l, c_int::from(single), 1, c"expected 1 argument".as_ptr());
        let settings = *cjson::settings(l);
        let Libraries { output, levels, .. } = &mut (*Bridge::of_state(l)).libraries;
        output.clear();
        levels.clear();
        Encode { l, guard: Guard::of_state(l), output, levels, settings }.run();
        output.push(l);
        1
    }
}

/// Where an encoding is. On Lua's stack each array has its table and each object its table and the
/// current key, below the value that is looked at.
struct Encode<'a> {
    l: *mut lua_State,
    guard: &'a Guard,
    output: &'a mut Output,
    levels: &'a mut Vec<Level>,
    settings: Settings,
}

impl Encode<'_> {
    /// Encodes the value on top of the stack.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    unsafe fn run(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                self.value();
                while !self.advance() {
                    if self.levels.pop().is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Encode::run`].
    #[inline]
    unsafe fn put(&mut self, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.output.put(self.l, self.guard, bytes) }
    }

    /// Writes the value on top of the stack; of a table only its beginning.
    ///
    /// # Safety
    /// As [`Encode::run`].
    #[inline]
    unsafe fn value(&mut self) {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            self.guard.work(l, 1);
            match ffi::lua_type(l, -1) {
                ffi::LUA_TSTRING => self.string(-1),
                ffi::LUA_TNUMBER => self.number(-1),
                ffi::LUA_TTABLE => self.table(),
                ffi::LUA_TBOOLEAN if ffi::lua_toboolean(l, -1) != 0 => self.put(b"true"),
                ffi::LUA_TBOOLEAN => self.put(b"false"),
                ffi::LUA_TNIL => self.put(b"null"),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(l, -1).is_null() => {
                    self.put(b"null");
                }
                _ => self.refuse(-1, c"type not supported"),
            }
        }
    }

    /// Goes on with the innermost table: writes its next key and pushes its next value, or writes
    /// its end and gives back false. Without a table there is nothing to go on with either.
    ///
    /// # Safety
    /// As [`Encode::run`], the value before being on top.
    #[inline]
    unsafe fn advance(&mut self) -> bool {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            match self.levels.last_mut() {
                None => false,
                Some(level) if level.is_array => {
                    if level.done > 0 {
                        ffi::lua_settop(l, -2);
                    }
                    if level.done == level.left {
                        self.put(b"]");
                        return false;
                    }
                    level.done += 1;
                    let (index, first) = (level.done, level.done == 1);
                    self.put(if first { b"[" } else { b"," });
                    ffi::lua_rawgeti_(l, -1, index as c_int);
                    true
                }
                Some(level) => {
                    let first = level.done == 0;
                    level.done = 1;
                    match first {
                        true => ffi::lua_pushnil(l),
                        false => ffi::lua_settop(l, -2),
                    }
                    if ffi::lua_next(l, -2) == 0 {
                        self.put(if first { b"{}" } else { b"}" });
                        return false;
                    }
                    self.put(if first { b"{" } else { b"," });
                    self.key();
                    true
                }
            }
        }
    }

    /// Writes the key below the value on top.
    ///
    /// # Safety
    /// As [`Encode::run`].
    #[inline]
    unsafe fn key(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            match ffi::lua_type(self.l, -2) {
                ffi::LUA_TSTRING => {
                    self.string(-2);
                    self.put(b":");
                }
                ffi::LUA_TNUMBER => {
                    self.put(b"\"");
                    self.number(-2);
                    self.put(b"\":");
                }
                _ => self.refuse(-2, c"table key must be a number or string"),
            }
        }
    }

    /// Begins the table on top of the stack. Its bracket is written by [`Encode::advance`].
    ///
    /// # Safety
    /// As [`Encode::run`].
    unsafe fn table(&mut self) {
        let l = self.l;
        let depth = c_int::try_from(self.levels.len() + 1).unwrap_or(c_int::MAX);
        // SAFETY: the caller's promise; the text takes a C int.
        unsafe {
            if depth > self.settings.encode_depth || ffi::lua_checkstack(l, 3) == 0 {
                let text = c"Cannot serialise, excessive nesting (%d)";
                // The text needs a slot, and none may be left.
                ffi::lua_settop(l, 0);
                ffi::luaL_error(l, text.as_ptr(), depth);
            }
            if push_real(l, self.guard, -1) {
                ffi::lua_replace(l, -2);
            }
            let left = self.array_len();
            self.levels.push(Level { left, done: 0, is_array: left > 0 });
        }
    }

    /// The length of the array on top, 0 if it is written as an object: if it is empty, has other
    /// keys than whole numbers from 1 on, or is too sparse.
    ///
    /// # Safety
    /// As [`Encode::run`], with two free stack slots.
    #[inline]
    unsafe fn array_len(&mut self) -> u32 {
        let l = self.l;
        let (mut len, mut count) = (0, 0);
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                ffi::lua_settop(l, -2);
                let key = match ffi::lua_type(l, -1) {
                    ffi::LUA_TNUMBER => ffi::lua_tonumber(l, -1),
                    _ => 0.0,
                };
                if key < 1.0 || key.floor() != key {
                    ffi::lua_settop(l, -2);
                    return 0;
                }
                self.guard.work(l, 1);
                if key > f64::from(len) {
                    len = converted(key);
                }
                count += 1;
            }
            if self.is_excessively_sparse(len, count) {
                if !self.settings.sparse_convert {
                    self.refuse(-1, c"excessively sparse array");
                }
                return 0;
            }
        }
        u32::try_from(len).unwrap_or(0)
    }

    /// The product may go beyond an int, as it does in the reference.
    fn is_excessively_sparse(&self, len: c_int, count: c_int) -> bool {
        let Settings { sparse_ratio, sparse_safe, .. } = self.settings;
        sparse_ratio > 0 && len > count.wrapping_mul(sparse_ratio) && len > sparse_safe
    }

    /// # Safety
    /// As [`Encode::run`].
    #[inline]
    unsafe fn number(&mut self, index: c_int) {
        // SAFETY: the caller's promise.
        unsafe {
            let number = ffi::lua_tonumber(self.l, index);
            if !number.is_finite() {
                match self.settings.encode_invalid {
                    InvalidNumbers::Refused => {
                        self.refuse(index, c"must not be NaN or Inf");
                    }
                    InvalidNumbers::Null => return self.put(b"null"),
                    InvalidNumbers::Written => (),
                }
            }
            let out = self.output.room(self.l, self.guard, NUMBER_MOST);
            push_number(out, number, self.settings.precision as usize);
        }
    }

    /// # Safety
    /// As [`Encode::run`].
    #[inline]
    unsafe fn string(&mut self, index: c_int) {
        // SAFETY: the caller's promise; the string stays on the stack.
        unsafe {
            let text = pull::string(self.l, index);
            if text.len() > PIECE_BYTES {
                return self.long_string(text);
            }
            let most = text.len() * ESCAPED_MOST + 2;
            let out = self.output.room(self.l, self.guard, most);
            out.push(b'"');
            push_escaped(out, text);
            out.push(b'"');
        }
    }

    /// # Safety
    /// As [`Encode::run`].
    #[cold]
    unsafe fn long_string(&mut self, text: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe {
            self.put(b"\"");
            for piece in text.chunks(PIECE_BYTES) {
                self.guard.work(self.l, piece.len() / BYTES_PER_UNIT);
                let most = piece.len() * ESCAPED_MOST;
                push_escaped(self.output.room(self.l, self.guard, most), piece);
            }
            self.put(b"\"");
        }
    }

    /// Raises the error of a value that cannot be written.
    ///
    /// # Safety
    /// As [`Encode::run`].
    #[cold]
    unsafe fn refuse(&self, index: c_int, reason: &CStr) {
        let text = c"Cannot serialise %s: %s";
        // SAFETY: the caller's promise; the text takes C strings.
        unsafe {
            let kind = ffi::lua_typename(self.l, ffi::lua_type(self.l, index));
            ffi::lua_settop(self.l, 0);
            ffi::luaL_error(self.l, text.as_ptr(), kind, reason.as_ptr());
        }
    }
}

/// A number as C converts it to an int on x86-64: what does not fit is the smallest one.
fn converted(number: f64) -> c_int {
    if number <= f64::from(c_int::MAX) { number as c_int } else { c_int::MIN }
}

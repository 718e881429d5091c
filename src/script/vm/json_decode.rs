//! `cjson.decode`: JSON as a Lua value.

use super::bridge::Bridge;
use super::cjson;
use super::guard::Guard;
use super::libraries::{Level, Libraries};
use super::output::Output;
use crate::script::lib::json::{RawString, Reader, Token, UNEXPECTED_END, push_unescaped};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;
use std::ptr;

/// Bytes of a string that count as one unit of work.
const BYTES_PER_UNIT: usize = 256;

/// `cjson.decode(text)`
pub(super) unsafe extern "C-unwind" fn decode(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything; the text is an argument, so it stays.
    unsafe {
        let single = ffi::lua_gettop(l) == 1;
        ffi::luaL_argcheck(l, c_int::from(single), 1, c"expected 1 argument".as_ptr());
        let mut len = 0;
        let start = ffi::luaL_checklstring(l, 1, &raw mut len);
        let text: &[u8] = std::slice::from_raw_parts(start.cast(), len);
        if matches!(text, [0, _, ..] | [_, 0, ..]) {
            let text = c"JSON parser does not support UTF-16 or UTF-32";
            return ffi::luaL_error(l, text.as_ptr());
        }
        let settings = *cjson::settings(l);
        let reader = Reader { text, at: 0, takes_invalid_numbers: settings.decode_invalid };
        let Libraries { output, levels, .. } = &mut (*Bridge::of_state(l)).libraries;
        levels.clear();
        let guard = Guard::of_state(l);
        let depth_most = settings.decode_depth;
        Decode { l, guard, output, levels, reader, depth_most }.run();
        1
    }
}

/// Where a decoding is. On Lua's stack each array has its table and each object its table and the
/// current key.
struct Decode<'a> {
    l: *mut lua_State,
    guard: &'a Guard,
    output: &'a mut Output,
    levels: &'a mut Vec<Level>,
    reader: Reader<'a>,
    depth_most: c_int,
}

impl<'a> Decode<'a> {
    /// Pushes the value of the text.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    unsafe fn run(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            let (mut token, mut at) = self.token();
            loop {
                // Either a value is complete, or a table is begun and its first value comes next.
                if !self.value(token, at) {
                    (token, at) = self.token();
                    let Some(level) = self.levels.last() else { return };
                    match (token, level.is_array) {
                        (Token::ArrayEnd, true) | (Token::ObjectEnd, false) => {
                            self.levels.pop();
                        }
                        (_, true) => continue,
                        (_, false) => {
                            (token, at) = self.key(token, at);
                            continue;
                        }
                    }
                }
                loop {
                    match self.keep() {
                        Kept::Closed => (),
                        Kept::Next => break,
                        Kept::Done => return,
                    }
                }
                (token, at) = self.token();
                if self.levels.last().is_some_and(|level| !level.is_array) {
                    (token, at) = self.key(token, at);
                }
            }
        }
    }

    /// The next token; a string is on the stack then.
    ///
    /// # Safety
    /// As [`Decode::run`], with a free stack slot.
    #[inline]
    unsafe fn token(&mut self) -> (Token<'a>, usize) {
        // SAFETY: the caller's promise.
        unsafe { self.guard.work(self.l, 1) };
        let (token, at) = self.reader.next();
        match token {
            // SAFETY: the caller's promise.
            Token::String(string) => unsafe { self.string(string, at) },
            _ => (token, at),
        }
    }

    /// Pushes a string, or finds out what is wrong with it.
    ///
    /// # Safety
    /// As [`Decode::token`].
    #[inline]
    unsafe fn string(&mut self, string: RawString<'a>, at: usize) -> (Token<'a>, usize) {
        let (l, guard, text) = (self.l, self.guard, string.text);
        // SAFETY: the caller's promise; the bytes stay while Lua copies them.
        unsafe {
            guard.work(l, text.len() / BYTES_PER_UNIT);
            if string.has_escapes {
                self.output.clear();
                let out = self.output.room(l, guard, text.len());
                if let Err((reason, place)) = push_unescaped(out, text) {
                    return (Token::Invalid(reason), at + 1 + place);
                }
            }
            if !string.closed {
                return (Token::Invalid(UNEXPECTED_END), self.reader.at);
            }
            match string.has_escapes {
                true => self.output.push(l),
                false => ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len()),
            }
        }
        (Token::String(string), at)
    }

    /// Pushes the value that a token is or begins; false if it begins one.
    ///
    /// # Safety
    /// As [`Decode::token`].
    #[inline]
    unsafe fn value(&mut self, token: Token<'a>, at: usize) -> bool {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            match token {
                Token::String(_) => (),
                Token::Number(number) => ffi::lua_pushnumber(l, number),
                Token::Boolean(flag) => ffi::lua_pushboolean(l, flag.into()),
                Token::Null => ffi::lua_pushlightuserdata(l, ptr::null_mut()),
                Token::ObjectBegin => {
                    self.begin(false);
                    return false;
                }
                Token::ArrayBegin => {
                    self.begin(true);
                    return false;
                }
                _ => self.refuse(c"value", &token, at),
            }
        }
        true
    }

    /// Begins a table.
    ///
    /// # Safety
    /// As [`Decode::run`].
    unsafe fn begin(&mut self, is_array: bool) {
        let l = self.l;
        let depth = c_int::try_from(self.levels.len() + 1).unwrap_or(c_int::MAX);
        let slots = if is_array { 2 } else { 3 };
        // SAFETY: the caller's promise; the text takes C ints.
        unsafe {
            if depth > self.depth_most || ffi::lua_checkstack(l, slots) == 0 {
                let text = c"Found too many nested data structures (%d) at character %d";
                // The text needs a slot, and none may be left.
                ffi::lua_settop(l, 0);
                ffi::luaL_error(l, text.as_ptr(), depth, self.reader.at as c_int);
            }
            ffi::lua_createtable(l, 0, 0);
        }
        self.levels.push(Level { left: 0, done: 0, is_array });
    }

    /// Goes past a key, which is on the stack, to the token of its value.
    ///
    /// # Safety
    /// As [`Decode::token`].
    #[inline]
    unsafe fn key(&mut self, token: Token<'a>, at: usize) -> (Token<'a>, usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if !matches!(token, Token::String(_)) {
                self.refuse(c"object key string", &token, at);
            }
            let (token, at) = self.token();
            if !matches!(token, Token::Colon) {
                self.refuse(c"colon", &token, at);
            }
            self.token()
        }
    }

    /// Puts the value on top of the stack where it belongs and reads the token behind it.
    ///
    /// # Safety
    /// As [`Decode::run`].
    #[inline]
    unsafe fn keep(&mut self) -> Kept {
        let l = self.l;
        // SAFETY: the caller's promise. The value leaves the stack before a string may come on it.
        unsafe {
            let (end, wanted) = match self.levels.last_mut() {
                None => {
                    let (token, at) = self.token();
                    if !matches!(token, Token::End) {
                        self.refuse(c"the end", &token, at);
                    }
                    return Kept::Done;
                }
                Some(level) if level.is_array => {
                    level.done += 1;
                    ffi::lua_rawseti_(l, -2, level.done as c_int);
                    (b']', c"comma or array end")
                }
                Some(_) => {
                    ffi::lua_rawset(l, -3);
                    (b'}', c"comma or object end")
                }
            };
            let (token, at) = self.token();
            match (token, end) {
                (Token::Comma, _) => return Kept::Next,
                (Token::ArrayEnd, b']') | (Token::ObjectEnd, b'}') => {
                    self.levels.pop();
                }
                _ => self.refuse(wanted, &token, at),
            }
            Kept::Closed
        }
    }

    /// Raises the error of a token that is not in its place.
    ///
    /// # Safety
    /// As [`Decode::run`].
    #[cold]
    unsafe fn refuse(&self, wanted: &CStr, token: &Token<'a>, at: usize) {
        let text = c"Expected %s but found %s at character %d";
        let name = token.name().as_ptr();
        let character = (at as c_int).wrapping_add(1);
        // SAFETY: the caller's promise; the text takes C strings and a C int.
        unsafe {
            // The text needs a slot, and none may be left.
            ffi::lua_settop(self.l, 0);
            ffi::luaL_error(self.l, text.as_ptr(), wanted.as_ptr(), name, character);
        }
    }
}

/// What became of a value.
enum Kept {
    /// It was the last of its table, which is a value to be kept itself.
    Closed,
    /// Another one follows.
    Next,
    /// It is all there is.
    Done,
}

//! The library `cmsgpack`: Lua values as MessagePack and back.

use super::bridge::Bridge;
use super::guard::Guard;
use super::libraries::{Function, Level, check_stack};
use super::output::Output;
use super::proxy::push_real;
use super::pull;
use crate::script::lib::msgpack::{
    self, FALSE, Fault, HEAD_MOST, Item, NIL, Reader, TRUE, push_array_head, push_map_head,
    push_string_head,
};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;

pub(super) const FUNCTIONS: [Function; 4] = [
    (c"pack", pack),
    (c"unpack", unpack),
    (c"unpack_one", unpack_one),
    (c"unpack_limit", unpack_limit),
];

pub(super) const TEXTS: [(&CStr, &CStr); 4] = [
    (c"_NAME", c"cmsgpack"),
    (c"_VERSION", c"lua-cmsgpack 0.4.0"),
    (c"_COPYRIGHT", c"Copyright (C) 2012, Salvatore Sanfilippo"),
    (c"_DESCRIPTION", c"MessagePack C implementation for Lua"),
];

/// A table nested deeper than this is packed as nil.
const DEPTH_MOST: usize = 16;

/// Bytes of a string that count as one unit of work.
const BYTES_PER_UNIT: usize = 256;

/// `cmsgpack.pack(value, ...)`
unsafe extern "C-unwind" fn pack(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, the bytes belong to the bridge.
    unsafe {
        let count = ffi::lua_gettop(l);
        if count == 0 {
            return ffi::luaL_argerror(l, 0, c"MessagePack pack needs input.".as_ptr());
        }
        if ffi::lua_checkstack(l, count) == 0 {
            let text = c"Too many arguments for MessagePack pack.";
            return ffi::luaL_argerror(l, 0, text.as_ptr());
        }
        let guard = Guard::of_state(l);
        let output = &mut (*Bridge::of_state(l)).libraries.output;
        output.clear();
        let mut pack = Pack { l, guard, output };
        for index in 1..=count {
            ffi::lua_pushvalue(l, index);
            pack.value(0);
        }
        output.push(l);
        1
    }
}

/// Where `cmsgpack.pack` is.
struct Pack<'a> {
    l: *mut lua_State,
    guard: &'a Guard,
    output: &'a mut Output,
}

impl Pack<'_> {
    /// Packs the value on top of the stack and pops it.
    ///
    /// # Safety
    /// Called from a C function that owns nothing, with a value on the stack.
    unsafe fn value(&mut self, depth: usize) {
        let (l, guard) = (self.l, self.guard);
        // SAFETY: the caller's promise.
        unsafe {
            guard.work(l, 1);
            let out = self.output.room(l, guard, HEAD_MOST);
            match ffi::lua_type(l, -1) {
                ffi::LUA_TNUMBER => msgpack::push_number(out, ffi::lua_tonumber(l, -1)),
                ffi::LUA_TSTRING => {
                    let text = pull::string(l, -1);
                    push_string_head(out, text.len());
                    self.output.put(l, guard, text);
                    guard.work(l, text.len() / BYTES_PER_UNIT);
                }
                ffi::LUA_TBOOLEAN if ffi::lua_toboolean(l, -1) != 0 => out.push(TRUE),
                ffi::LUA_TBOOLEAN => out.push(FALSE),
                ffi::LUA_TTABLE if depth < DEPTH_MOST => self.table(depth),
                _ => out.push(NIL),
            }
            ffi::lua_settop(l, -2);
        }
    }

    /// Packs the table on top of the stack: as an array if its keys are 1 to their number.
    ///
    /// # Safety
    /// As [`Pack::value`].
    unsafe fn table(&mut self, depth: usize) {
        let (l, guard) = (self.l, self.guard);
        // SAFETY: the caller's promise.
        unsafe {
            check_stack(l, 4, c"in function mp_encode_lua_table");
            if push_real(l, guard, -1) {
                ffi::lua_replace(l, -2);
            }
            match self.count() {
                (count, true) => self.array(depth, count),
                (count, false) => self.map(depth, count),
            }
        }
    }

    /// The number of pairs in the table on top, and whether they make an array.
    ///
    /// # Safety
    /// As [`Pack::value`], with two free stack slots.
    unsafe fn count(&self) -> (usize, bool) {
        let (l, guard) = (self.l, self.guard);
        let (mut count, mut largest, mut is_array) = (0, 0.0, true);
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                guard.work(l, 1);
                ffi::lua_settop(l, -2);
                count += 1;
                if is_array {
                    let key = ffi::lua_tonumber(l, -1);
                    is_array = ffi::lua_type(l, -1) == ffi::LUA_TNUMBER
                        && (1.0..=f64::from(c_int::MAX)).contains(&key)
                        && key.trunc() == key;
                    largest = key.max(largest);
                }
            }
        }
        (count, is_array && largest == count as f64)
    }

    /// # Safety
    /// As [`Pack::value`], with two free stack slots.
    unsafe fn array(&mut self, depth: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            push_array_head(self.output.room(self.l, self.guard, HEAD_MOST), count);
            for index in 1..=count {
                ffi::lua_rawgeti_(self.l, -1, index as c_int);
                self.value(depth + 1);
            }
        }
    }

    /// # Safety
    /// As [`Pack::value`], with four free stack slots.
    unsafe fn map(&mut self, depth: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            push_map_head(self.output.room(self.l, self.guard, HEAD_MOST), count);
            ffi::lua_pushnil(self.l);
            while ffi::lua_next(self.l, -2) != 0 {
                ffi::lua_pushvalue(self.l, -2);
                self.value(depth + 1);
                self.value(depth + 1);
            }
        }
    }
}

/// `cmsgpack.unpack(text)`
unsafe extern "C-unwind" fn unpack(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { unpack_some(l, 0, 0) }
}

/// `cmsgpack.unpack_one(text [, offset])`
unsafe extern "C-unwind" fn unpack_one(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let offset = ffi::luaL_optinteger(l, 2, 0) as i64;
        ffi::lua_settop(l, ffi::lua_gettop(l).min(1));
        unpack_some(l, 1, offset)
    }
}

/// `cmsgpack.unpack_limit(text, limit [, offset])`
unsafe extern "C-unwind" fn unpack_limit(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let limit = ffi::luaL_checkinteger(l, 2) as i64;
        let offset = ffi::luaL_optinteger(l, 3, 0) as i64;
        ffi::lua_settop(l, 1);
        unpack_some(l, limit, offset)
    }
}

const TOO_MANY: &CStr = c"too many return values at once; use unpack_one or unpack_limit instead.";

/// Unpacks up to so many values from an offset on. Gives back the offset behind them, -1 at the end,
/// and the values; just the values where there is neither limit nor offset.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn unpack_some(l: *mut lua_State, limit: i64, offset: i64) -> c_int {
    // SAFETY: the caller's promise; the text is an argument, so it stays.
    unsafe {
        let mut len = 0;
        let start = ffi::luaL_checklstring(l, 1, &raw mut len);
        let text: &[u8] = std::slice::from_raw_parts(start.cast(), len);
        if offset < 0 || limit < 0 {
            // The text says "limit" and means the length, as the reference does.
            let text = c"Invalid request to unpack with offset of %d and limit of %d.";
            return ffi::luaL_error(l, text.as_ptr(), offset as c_int, len as c_int);
        }
        let Some(rest) = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)) else {
            let text = c"Start offset %d greater than input length %d.";
            return ffi::luaL_error(l, text.as_ptr(), offset as c_int, len as c_int);
        };
        let all = limit == 0 && offset == 0;
        let most = if all { i64::from(c_int::MAX) } else { limit };
        let levels = &mut (*Bridge::of_state(l)).libraries.levels;
        levels.clear();
        let mut unpack = Unpack { l, guard: Guard::of_state(l), reader: Reader { rest }, levels };
        let mut count = 0;
        while i64::from(count) < most && !unpack.reader.rest.is_empty() {
            unpack.value();
            count += 1;
        }
        if all {
            return count;
        }
        let rest = unpack.reader.rest.len();
        check_stack(l, 1, c"in function mp_unpack_full");
        ffi::lua_pushnumber(l, if rest == 0 { -1.0 } else { (len - rest) as f64 });
        ffi::lua_insert(l, 2);
        count + 1
    }
}

/// Where an unpacking is. On Lua's stack each array has its table and the index of the element
/// that comes, each map its table and, once it is there, the key.
struct Unpack<'a> {
    l: *mut lua_State,
    guard: &'a Guard,
    reader: Reader<'a>,
    levels: &'a mut Vec<Level>,
}

impl Unpack<'_> {
    /// Pushes the next value with all that it holds.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    unsafe fn value(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                if !self.item() {
                    continue;
                }
                while self.keep() {}
                if self.levels.is_empty() {
                    return;
                }
                self.announce();
            }
        }
    }

    /// Pushes a scalar or an empty table; true if that is a value as a whole. Otherwise a table is
    /// begun whose first value comes next.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn item(&mut self) -> bool {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            if self.reader.rest.is_empty() {
                self.refuse(Fault::Missing);
            }
            check_stack(l, 1, TOO_MANY);
            self.guard.work(l, 1);
            match self.reader.next() {
                Ok(Item::Nil) => ffi::lua_pushnil(l),
                Ok(Item::Boolean(flag)) => ffi::lua_pushboolean(l, flag.into()),
                Ok(Item::Number(number)) => ffi::lua_pushnumber(l, number),
                Ok(Item::String(text)) => {
                    ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
                }
                Ok(Item::Array(left)) => {
                    ffi::lua_createtable(l, 0, 0);
                    check_stack(l, 1, c"in function mp_decode_to_lua_array");
                    return !self.begin(left, true);
                }
                Ok(Item::Map(left)) => {
                    ffi::lua_createtable(l, 0, 0);
                    return !self.begin(left, false);
                }
                Err(fault) => self.refuse(fault),
            }
        }
        true
    }

    /// Begins the table on top of the stack, unless it is empty.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn begin(&mut self, left: u32, is_array: bool) -> bool {
        if left == 0 {
            return false;
        }
        self.levels.push(Level { left, done: 0, is_array });
        // SAFETY: the caller's promise.
        unsafe { self.announce() };
        true
    }

    /// Pushes the index of the element that comes next, if it is an array's.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn announce(&mut self) {
        if let Some(Level { done, is_array: true, .. }) = self.levels.last() {
            // SAFETY: the caller's promise; the slot was asked for with the table.
            unsafe { ffi::lua_pushnumber(self.l, f64::from(*done) + 1.0) };
        }
    }

    /// Puts the value on top of the stack into its table. True if that table is complete then, and
    /// is itself a value to be put somewhere.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn keep(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        if !level.is_array && level.done == 0 {
            // It is a key.
            level.done = 1;
            return false;
        }
        level.done = if level.is_array { level.done.wrapping_add(1) } else { 0 };
        level.left -= 1;
        let complete = level.left == 0;
        if complete {
            self.levels.pop();
        }
        // SAFETY: the caller's promise; a key of nil or NaN raises.
        unsafe { ffi::lua_rawset(self.l, -3) };
        complete
    }

    /// # Safety
    /// As [`Unpack::value`].
    #[cold]
    unsafe fn refuse(&self, fault: Fault) {
        let text = match fault {
            Fault::Missing => c"Missing bytes in input.",
            Fault::Bad => c"Bad data format in input.",
        };
        // SAFETY: the caller's promise.
        unsafe {
            // The text needs a slot, and none may be left.
            ffi::lua_settop(self.l, 0);
            ffi::luaL_error(self.l, text.as_ptr());
        }
    }
}

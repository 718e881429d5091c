//! The library `struct`: numbers and strings as the bytes of C's structures.

use super::bridge::Bridge;
use super::guard::Guard;
use super::libraries::{Function, check_stack};
use super::output::Output;
use super::peek;
use crate::script::lib::structure::{
    Fault, Format, INTEGER_BYTES_MOST, Item, Kind, bits_of_number, integer_number, push_integer,
};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::os::raw::c_int;

pub(super) const FUNCTIONS: [Function; 3] = [(c"pack", pack), (c"unpack", unpack), (c"size", size)];

/// Bytes of padding there can be before an option.
const PADDING_MOST: usize = INTEGER_BYTES_MOST;

/// The bytes of an argument that has to be a string.
///
/// # Safety
/// Called from a C function that owns nothing; the bytes are good while the value stays there.
unsafe fn string_argument<'a>(l: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(text) = peek::text(l, index) {
            return text;
        }
        let start = ffi::luaL_checklstring(l, index, &raw mut len);
        std::slice::from_raw_parts(start.cast(), len)
    }
}

/// Raises the error of a format.
///
/// # Safety
/// Called from a C function that owns nothing.
#[cold]
unsafe fn refuse(l: *mut lua_State, fault: Fault) -> ! {
    // SAFETY: the caller's promise; the formats take C ints and strings.
    unsafe {
        match fault {
            Fault::Overflow => ffi::luaL_error(l, c"integral size overflow".as_ptr()),
            Fault::TooLarge(size) => ffi::luaL_error(
                l,
                c"integral size %d is larger than limit of %d".as_ptr(),
                size as c_int,
                INTEGER_BYTES_MOST as c_int,
            ),
            Fault::Alignment(alignment) => {
                let text = c"alignment %d is not a power of 2";
                ffi::luaL_error(l, text.as_ptr(), alignment as c_int)
            }
            Fault::Unknown(letter) => {
                let text = c"invalid format option '%c'";
                let message = ffi::lua_pushfstring(l, text.as_ptr(), c_int::from(letter));
                ffi::luaL_argerror(l, 1, message)
            }
        };
        // Each of them raised.
        ffi::lua_error(l)
    }
}

/// The next option of a format.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
unsafe fn next(l: *mut lua_State, format: &mut Format<'_>) -> Option<Item> {
    match format.next() {
        Ok(item) => item,
        // SAFETY: the caller's promise.
        Err(fault) => unsafe { refuse(l, fault) },
    }
}

/// Carries out a control.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn control(l: *mut lua_State, format: &mut Format<'_>, item: Item) {
    if let Err(fault) = format.control(item.letter) {
        // SAFETY: the caller's promise.
        unsafe { refuse(l, fault) }
    }
}

/// `struct.pack(format, ...)`
unsafe extern "C-unwind" fn pack(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, the bytes belong to the bridge.
    unsafe {
        let guard = Guard::of_state(l);
        let mut format = Format::new(string_argument(l, 1));
        // What is missing is called nil by errors.
        ffi::lua_pushnil(l);
        let output = &mut (*Bridge::of_state(l)).libraries.output;
        output.clear();
        let mut argument = 2;
        while let Some(item) = next(l, &mut format) {
            guard.work(l, 1);
            let padding = format.padding(item, output.bytes().len());
            let out = output.room(l, guard, PADDING_MOST + INTEGER_BYTES_MOST);
            if padding > 0 {
                out.resize(out.len() + padding, 0);
            }
            match item.kind {
                Kind::Control => control(l, &mut format, item),
                Kind::Pad => out.push(0),
                Kind::Bytes | Kind::ZeroTerminated => {
                    pack_string(l, guard, output, item, argument);
                    argument += 1;
                }
                _ => {
                    let number = peek::number(l, argument)
                        .unwrap_or_else(|| ffi::luaL_checknumber(l, argument));
                    push_number(out, item, format.big_endian, number);
                    argument += 1;
                }
            }
        }
        output.push(l);
        1
    }
}

#[inline]
fn push_number(out: &mut Vec<u8>, item: Item, big_endian: bool, number: f64) {
    match (item.kind, big_endian) {
        (Kind::Float, true) => out.extend_from_slice(&(number as f32).to_be_bytes()),
        (Kind::Float, false) => out.extend_from_slice(&(number as f32).to_le_bytes()),
        (Kind::Double, true) => out.extend_from_slice(&number.to_be_bytes()),
        (Kind::Double, false) => out.extend_from_slice(&number.to_le_bytes()),
        _ => push_integer(out, bits_of_number(number), item.size, big_endian),
    }
}

/// Appends a string argument, or its beginning.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn pack_string(
    l: *mut lua_State,
    guard: &Guard,
    output: &mut Output,
    item: Item,
    argument: c_int,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let text = string_argument(l, argument);
        let size = if item.size == 0 { text.len() } else { item.size };
        let Some(taken) = text.get(..size) else {
            // The reference names the argument behind the one it means.
            ffi::luaL_argerror(l, argument + 1, c"string too short".as_ptr());
            return;
        };
        output.put(l, guard, taken);
        if item.kind == Kind::ZeroTerminated {
            output.put(l, guard, b"\0");
        }
    }
}

/// `struct.size(format)`
unsafe extern "C-unwind" fn size(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let mut format = Format::new(string_argument(l, 1));
        let mut total = 0_usize;
        while let Some(item) = next(l, &mut format) {
            guard.work(l, 1);
            total = total.saturating_add(format.padding(item, total)).saturating_add(item.size);
            match item.kind {
                Kind::ZeroTerminated => {
                    ffi::luaL_argerror(l, 1, c"option 's' has no fixed size".as_ptr());
                }
                Kind::Bytes if item.size == 0 => {
                    ffi::luaL_argerror(l, 1, c"option 'c0' has no fixed size".as_ptr());
                }
                // Letters and digits that mean nothing are passed over here, and only here.
                Kind::Control if !item.letter.is_ascii_alphanumeric() => {
                    control(l, &mut format, item);
                }
                _ => (),
            }
        }
        ffi::lua_pushinteger(l, total as ffi::lua_Integer);
        1
    }
}

/// Where `struct.unpack` is.
struct Unpack<'a> {
    l: *mut lua_State,
    data: &'a [u8],
    position: usize,
    /// Values pushed so far.
    count: c_int,
}

/// `struct.unpack(format, data [, position])`
unsafe extern "C-unwind" fn unpack(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let mut format = Format::new(string_argument(l, 1));
        let data = string_argument(l, 2);
        let position = match peek::arguments(l).len() {
            ..3 => 1,
            _ => ffi::luaL_optinteger(l, 3, 1) as usize,
        };
        if position == 0 {
            return ffi::luaL_argerror(l, 3, c"offset must be 1 or greater".as_ptr());
        }
        let mut unpack = Unpack { l, data, position: position - 1, count: 0 };
        while let Some(item) = next(l, &mut format) {
            guard.work(l, 1);
            let padding = format.padding(item, unpack.position);
            unpack.position = unpack.position.wrapping_add(padding);
            let bytes = unpack.bytes(item.size);
            // C functions have some slots to begin with.
            if unpack.count >= ffi::LUA_MINSTACK / 2 {
                check_stack(l, 2, c"too many results");
            }
            match item.kind {
                Kind::Control => control(l, &mut format, item),
                _ => unpack.value(item, bytes, format.big_endian),
            }
        }
        ffi::lua_pushinteger(l, unpack.position.wrapping_add(1) as ffi::lua_Integer);
        unpack.count + 1
    }
}

impl<'a> Unpack<'a> {
    /// The next bytes, which have to be there.
    ///
    /// # Safety
    /// Called from a C function that owns nothing.
    #[inline]
    unsafe fn bytes(&self, size: usize) -> &'a [u8] {
        let rest = self.data.get(self.position..);
        match rest.and_then(|rest| rest.get(..size)) {
            Some(bytes) => bytes,
            None => {
                // SAFETY: the caller's promise.
                unsafe {
                    ffi::luaL_argerror(self.l, 2, c"data string too short".as_ptr());
                }
                &[]
            }
        }
    }

    /// Pushes the value that an option stands for.
    ///
    /// # Safety
    /// Called from a C function that owns nothing, with two free stack slots.
    #[inline]
    unsafe fn value(&mut self, item: Item, bytes: &'a [u8], big_endian: bool) {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            match item.kind {
                Kind::Control => return,
                Kind::Pad => {
                    self.position += 1;
                    return;
                }
                Kind::Float => ffi::lua_pushnumber(l, float(bytes, big_endian)),
                Kind::Double => ffi::lua_pushnumber(l, double(bytes, big_endian)),
                Kind::Signed => ffi::lua_pushnumber(l, integer_number(bytes, true, big_endian)),
                Kind::Unsigned => ffi::lua_pushnumber(l, integer_number(bytes, false, big_endian)),
                Kind::Bytes if item.size > 0 => push_string(l, bytes),
                Kind::Bytes => return self.counted(),
                Kind::ZeroTerminated => return self.zero_terminated(),
            }
        }
        self.count += 1;
        self.position += item.size;
    }

    /// Replaces the value before by as many bytes as it says.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn counted(&mut self) {
        let l = self.l;
        // SAFETY: the caller's promise.
        unsafe {
            if self.count == 0 || ffi::lua_isnumber(l, -1) == 0 {
                ffi::luaL_error(l, c"format 'c0' needs a previous size".as_ptr());
            }
            let size = bits_of_number(ffi::lua_tonumber(l, -1)) as usize;
            let bytes = self.bytes(size);
            ffi::lua_settop(l, -2);
            push_string(l, bytes);
            self.position += size;
        }
    }

    /// Pushes the bytes up to a zero.
    ///
    /// # Safety
    /// As [`Unpack::value`].
    unsafe fn zero_terminated(&mut self) {
        let rest = self.data.get(self.position..).unwrap_or_default();
        // SAFETY: the caller's promise.
        unsafe {
            let Some(len) = memchr::memchr(0, rest) else {
                ffi::luaL_error(self.l, c"unfinished string in data".as_ptr());
                return;
            };
            push_string(self.l, rest.get(..len).unwrap_or_default());
            self.count += 1;
            self.position += len + 1;
        }
    }
}

#[inline]
unsafe fn push_string(l: *mut lua_State, bytes: &[u8]) {
    // SAFETY: the caller has a free stack slot.
    unsafe { ffi::lua_pushlstring_(l, bytes.as_ptr().cast(), bytes.len()) }
}

fn float(bytes: &[u8], big_endian: bool) -> f64 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    let number = if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
    number.into()
}

fn double(bytes: &[u8], big_endian: bool) -> f64 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    if big_endian { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) }
}

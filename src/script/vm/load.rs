//! `load` and `loadstring`, and the way any source text becomes a function.
//!
//! Only text is taken: compiled chunks can corrupt memory. `load` calls its reader until the end
//! before compiling starts, since a reader that re-enters the compiler corrupts stock Lua, and the
//! compiler itself is fed in pieces, so that a long text cannot outlast the limits.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;

/// The longest source text. Lua's own counters are C ints.
pub(crate) const LONGEST_SOURCE_BYTES: usize = 64 * 1024 * 1024;
/// What the compiler gets at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Compiling a byte costs about as much as a fraction of a unit of work.
const BYTES_PER_UNIT: usize = 16;

const TOO_LONG: &CStr = c"source text is too long";
const BINARY: &CStr = c"precompiled chunks are not accepted";

/// The rest of a text that is being compiled.
struct Rest {
    text: *const u8,
    length: usize,
}

/// Compiles a text and pushes the function, or an error text if the status is not LUA_OK. The caller
/// asks the guard for doom.
///
/// # Safety
/// `text` has `length` bytes and stays where it is; under a protected call (the push of a refusal may
/// raise) with two free stack slots.
pub(crate) unsafe fn load_text(
    l: *mut lua_State,
    text: *const u8,
    length: usize,
    chunk_name: *const c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let refusal = match length {
            0 => None,
            length if length > LONGEST_SOURCE_BYTES => Some(TOO_LONG),
            _ => (text.read() == ffi::LUA_SIGNATURE[0]).then_some(BINARY),
        };
        if let Some(reason) = refusal {
            ffi::lua_pushstring_(l, reason.as_ptr());
            return ffi::LUA_ERRSYNTAX;
        }
        let mut rest = Rest { text, length };
        ffi::lua_load(l, read_piece, (&raw mut rest).cast(), chunk_name)
    }
}

/// Loads a function that the engine itself has written in LuaJIT's form, and pushes it.
///
/// # Safety
/// Under a protected call, with two free stack slots, called from a function that owns nothing; the
/// bytes are what LuaJIT could have dumped.
#[cfg(feature = "luajit")]
pub(super) unsafe fn load_compiled(l: *mut lua_State, bytes: &[u8]) {
    let mut rest = Rest { text: bytes.as_ptr(), length: bytes.len() };
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_load(l, read_piece, (&raw mut rest).cast(), c"=[C]".as_ptr()) != ffi::LUA_OK {
            ffi::lua_error(l);
        }
    }
}

/// The compiler's reader: the next piece, after a look at the limits.
unsafe extern "C-unwind" fn read_piece(
    l: *mut lua_State,
    rest: *mut c_void,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: Lua calls back with the Rest of load_text; nothing here owns anything.
    unsafe {
        let rest = &mut *rest.cast::<Rest>();
        let piece = rest.length.min(PIECE_BYTES);
        Guard::of_state(l).work(l, piece / BYTES_PER_UNIT);
        let start = rest.text;
        rest.text = start.add(piece);
        rest.length -= piece;
        length.write(piece);
        if piece == 0 { ptr::null() } else { start.cast() }
    }
}

/// What load and loadstring give back: the function, or nil and the text on top of the stack.
///
/// # Safety
/// Called from a C function that owns nothing, with the result on the stack.
unsafe fn finish(l: *mut lua_State, guard: &Guard, status: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        guard.reraise(l);
        if status == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(l);
        ffi::lua_insert(l, -2);
        2
    }
}

/// `loadstring(text [, chunk name])`
pub(super) unsafe extern "C-unwind" fn loadstring(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything. Text and name are arguments, so they stay.
    unsafe {
        let mut length = 0;
        let text = ffi::luaL_checklstring(l, 1, &raw mut length);
        let name = ffi::luaL_optlstring(l, 2, text, ptr::null_mut());
        let status = load_text(l, text.cast(), length, name);
        finish(l, Guard::of_closure(l), status)
    }
}

/// `load(reader [, chunk name])`. An error of the reader's is an answer, as in stock Lua.
pub(super) unsafe extern "C-unwind" fn load(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything. The name and the gathered text stay on the
    // stack while they are used.
    unsafe {
        let guard = Guard::of_closure(l);
        let name = ffi::luaL_optlstring(l, 2, c"=(load)".as_ptr(), ptr::null_mut());
        ffi::luaL_checktype(l, 1, ffi::LUA_TFUNCTION);
        ffi::lua_settop(l, 2);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_pushcclosure(l, gather, 1);
        ffi::lua_pushvalue(l, 1);
        let depth = guard.deepen(l);
        let mut status = ffi::lua_pcall(l, 1, 2, 0);
        guard.rise(depth);
        if status == ffi::LUA_OK {
            let length = ffi::lua_tonumber(l, -1) as usize;
            let text = ffi::lua_touserdata(l, -2).cast::<u8>();
            status = load_text(l, text, length, name);
        }
        finish(l, guard, status)
    }
}

/// Calls the reader at index 1 until it gives nil or nothing. Gives back a userdata with the text at
/// its start and the text's length.
unsafe extern "C-unwind" fn gather(l: *mut lua_State) -> c_int {
    const FIRST_BYTES: usize = 1024;
    // SAFETY: called by Lua; nothing here owns anything: the buffer is Lua's, at index 2.
    unsafe {
        let guard = Guard::of_closure(l);
        let (mut room, mut filled) = (FIRST_BYTES, 0);
        ffi::lua_newuserdata(l, room);
        loop {
            guard.work(l, 8);
            ffi::lua_pushvalue(l, 1);
            ffi::lua_call(l, 0, 1);
            let mut length = 0;
            let piece = text_of_piece(l, &raw mut length);
            if length == 0 {
                break;
            }
            if length > LONGEST_SOURCE_BYTES - filled {
                return ffi::luaL_error(l, TOO_LONG.as_ptr());
            }
            if filled + length > room {
                room = (room * 2).max(filled + length);
                grow_buffer(l, filled, room);
            }
            let buffer = ffi::lua_touserdata(l, 2).cast::<u8>();
            ptr::copy_nonoverlapping(piece, buffer.add(filled), length);
            filled += length;
            ffi::lua_settop(l, 2);
        }
        ffi::lua_settop(l, 2);
        ffi::lua_pushnumber(l, filled as f64);
        2
    }
}

/// The piece at index 3; nil counts as empty, which ends the text.
///
/// # Safety
/// Called from [`gather`].
unsafe fn text_of_piece(l: *mut lua_State, length: *mut usize) -> *const u8 {
    // SAFETY: the caller owns nothing.
    unsafe {
        if ffi::lua_type(l, 3) == ffi::LUA_TNIL {
            return ptr::null();
        }
        if ffi::lua_isstring(l, 3) == 0 {
            // The position is that of load's caller: level 1 is load itself, a C function.
            ffi::luaL_where(l, 2);
            ffi::lua_pushstring_(l, c"reader function must return a string".as_ptr());
            ffi::lua_concat(l, 2);
            ffi::lua_error(l);
        }
        ffi::lua_tolstring(l, 3, length).cast()
    }
}

/// Replaces the buffer at index 2 by a longer one.
///
/// # Safety
/// Called from [`gather`] with `filled` bytes in the buffer and `room` above that.
unsafe fn grow_buffer(l: *mut lua_State, filled: usize, room: usize) {
    // SAFETY: the caller's promise; both buffers are on the stack.
    unsafe {
        let longer = ffi::lua_newuserdata(l, room).cast::<u8>();
        let before = ffi::lua_touserdata(l, 2).cast::<u8>();
        ptr::copy_nonoverlapping(before, longer, filled);
        ffi::lua_replace(l, 2);
    }
}

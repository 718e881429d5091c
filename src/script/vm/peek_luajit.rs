//! How LuaJIT lays out its stack and strings where pointers have 64 bits (GC64).

use super::Argument;
use mlua_sys::lua_State;
use std::ffi::c_void;

/// The beginning of a `lua_State`.
#[repr(C)]
struct State {
    next: *const c_void,
    marked: u8,
    kind: u8,
    function: u8,
    status: u8,
    global: *const c_void,
    gray: *const c_void,
    base: *const Value,
    top: *const Value,
}

/// A value on the stack: a number, or a kind in the upper 17 bits, which no number has, above a
/// pointer or a small integer.
#[repr(transparent)]
pub(in super::super) struct Value(u64);

/// The kinds, as the upper bits shifted down with their sign.
const STRING: i64 = -5;
const TABLE: i64 = -12;
const INTEGER: i64 = -14;
const KIND_SHIFT: u32 = 47;
const POINTER: u64 = (1 << KIND_SHIFT) - 1;

/// What lies before the bytes of a string.
#[repr(C)]
struct Header {
    next: *const c_void,
    marked: u8,
    kind: u8,
    reserved: u8,
    algorithm: u8,
    id: u32,
    hash: u32,
    len: u32,
}

/// The beginning of a table.
#[repr(C)]
struct Table {
    next: *const c_void,
    marked: u8,
    kind: u8,
    absent: u8,
    colocated: i8,
    array: *const Value,
    gray: *const c_void,
    metatable: *const c_void,
    node: *const c_void,
    array_len: u32,
    mask: u32,
}

/// The arguments of the C function that is running.
///
/// # Safety
/// Called from a C function of a state that passed [`super::check`]; the stack stays as it is while
/// the result is in use.
#[inline]
pub(in super::super) unsafe fn arguments<'a>(l: *mut lua_State) -> &'a [Value] {
    // SAFETY: the caller's promise; base is never above top.
    unsafe {
        let state = &*l.cast::<State>();
        std::slice::from_raw_parts(state.base, state.top.offset_from_unsigned(state.base))
    }
}

/// Whether who called the C function that is running takes anything of its results, which is not
/// kept in a place of its own.
///
/// # Safety
/// As [`arguments`].
#[inline]
pub(in super::super) unsafe fn wants_result(_: *mut lua_State) -> bool {
    true
}

impl Value {
    /// The value, if it is of a kind that commands take.
    ///
    /// # Safety
    /// The value is on a stack, and stays there while the result is in use.
    #[inline]
    pub(in super::super) unsafe fn read<'a>(&self) -> Argument<'a> {
        match (self.0 as i64) >> KIND_SHIFT {
            STRING => {
                let header = (self.0 & POINTER) as usize as *const Header;
                // SAFETY: the kind tells that a string is there; its bytes follow its header.
                Argument::Text(unsafe {
                    std::slice::from_raw_parts(header.add(1).cast(), (*header).len as usize)
                })
            }
            // Some platforms keep small integers as such.
            INTEGER => Argument::Number(f64::from(self.0 as i32)),
            // All kinds are above the numbers, of which not-a-number has its sign but not the rest.
            kind if (kind as u32) < INTEGER as u32 => Argument::Number(f64::from_bits(self.0)),
            _ => Argument::Other,
        }
    }

    /// What a list made by `{a, b, ...}` has in it, at its index; of other tables, what they keep so.
    ///
    /// # Safety
    /// The value is on a stack, and the table stays as it is while the result is in use.
    #[inline]
    pub(in super::super) unsafe fn elements<'a>(&self) -> &'a [Value] {
        if (self.0 as i64) >> KIND_SHIFT != TABLE {
            return &[];
        }
        // SAFETY: the kind tells that a table is there; an array of no length may be nowhere.
        unsafe {
            let table = &*((self.0 & POINTER) as usize as *const Table);
            match table.array_len {
                0 => &[],
                len => std::slice::from_raw_parts(table.array, len as usize),
            }
        }
    }

    /// Whether the value is a table without a metatable, and so no proxy.
    ///
    /// # Safety
    /// The value is on a stack.
    #[inline]
    pub(in super::super) unsafe fn is_bare_table(&self) -> bool {
        let table = (self.0 & POINTER) as usize as *const Table;
        // SAFETY: the kind tells that a table is there.
        unsafe { (self.0 as i64) >> KIND_SHIFT == TABLE && (*table).metatable.is_null() }
    }
}

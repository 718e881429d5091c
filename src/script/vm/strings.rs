//! `string.rep`, which must know the size of its result before it starts.

use std::os::raw::c_int;
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;

/// Lua's C library keeps some lengths in a C int.
const LONGEST_BYTES: usize = i32::MAX as usize;

/// `string.rep(s, n)`. A result beyond the memory limit dooms the run before any work is done.
pub(super) unsafe extern "C-unwind" fn rep(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, the scratch belongs to the guard.
    unsafe {
        let guard = Guard::of_closure(l);
        let mut length = 0;
        let text = ffi::luaL_checklstring(l, 1, &raw mut length).cast::<u8>();
        let times = usize::try_from(ffi::luaL_checkinteger(l, 2)).unwrap_or(0);
        // A product beyond any memory is refused as such where memory has a limit.
        let total = length.saturating_mul(times);
        guard.make_room(l, total);
        if !guard.permits(total) {
            guard.reraise(l);
        }
        match total {
            0 => ffi::lua_pushlstring_(l, c"".as_ptr(), 0),
            _ if times == 1 => ffi::lua_pushvalue(l, 1),
            _ if total <= LONGEST_BYTES => push_repeated(l, guard, text, length, total),
            _ => return ffi::luaL_error(l, c"resulting string too large".as_ptr()),
        }
        1
    }
}

/// # Safety
/// `text` has `length` bytes, `length` divides `total`; called from a C function that owns nothing.
unsafe fn push_repeated(
    l: *mut lua_State,
    guard: &Guard,
    text: *const u8,
    length: usize,
    total: usize,
) {
    const NEAR_BYTES: usize = 512;
    let mut near = [0u8; NEAR_BYTES];
    // SAFETY: the caller's promise; the bytes to fill are `total` long.
    unsafe {
        if total <= NEAR_BYTES {
            fill(near.as_mut_ptr(), text, length, total);
            ffi::lua_pushlstring_(l, near.as_ptr().cast(), total);
            return;
        }
        let far = guard.take_scratch(total);
        if far.is_null() {
            guard.reraise(l);
            ffi::luaL_error(l, c"not enough memory".as_ptr());
        }
        fill(far, text, length, total);
        ffi::lua_pushlstring_(l, far.cast(), total);
        guard.drop_scratch();
    }
}

/// Fills by doubling what is there already.
///
/// # Safety
/// `text` has `length` bytes and `into` room for `total`; `0 < length <= total`.
unsafe fn fill(into: *mut u8, text: *const u8, length: usize, total: usize) {
    // SAFETY: the caller's promise; each copy reads what is filled and writes behind it.
    unsafe {
        ptr::copy_nonoverlapping(text, into, length);
        let mut filled = length;
        while filled < total {
            let more = filled.min(total - filled);
            ptr::copy_nonoverlapping(into, into.add(filled), more);
            filled += more;
        }
    }
}

//! `math.random` and `math.randomseed`: the only functions of the math library with a memory.
//!
//! Scripts must give the same result for the same data and arguments, so there is either no random
//! number at all or the same sequence in every run: the 48-bit linear congruential generator that
//! Redis gives its scripts (reference: sandbox-098). A host that wants what a server does has the
//! sequence go on from run to run.

use std::os::raw::c_int;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;

/// What `math.random` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RandomMode {
    /// It raises an error that names the option.
    #[default]
    Denied,
    /// It gives the same sequence in every run.
    Seeded,
    /// It gives one sequence that goes on from run to run.
    Continued,
}

const FACTOR: u64 = 0x5_DEEC_E66D;
const ADDEND: u64 = 0xB;
const STATE_MASK: u64 = (1 << 48) - 1;
/// A value has the upper 31 bits of the state.
const VALUE_SHIFT: u32 = 17;

/// The generator's state after seeding.
pub(super) fn seeded(seed: u32) -> u64 {
    u64::from(seed) << 16 | 0x330E
}

/// Steps the generator and gives a number in [0, 1).
fn draw(guard: &Guard) -> f64 {
    const RANGE: u64 = i32::MAX as u64;
    let next = guard.random_state.get().wrapping_mul(FACTOR).wrapping_add(ADDEND) & STATE_MASK;
    guard.random_state.set(next);
    ((next >> VALUE_SHIFT) % RANGE) as f64 / RANGE as f64
}

/// # Safety
/// Called from a C function that owns nothing.
unsafe fn refuse_if_denied(l: *mut lua_State, guard: &Guard, name: &'static std::ffi::CStr) {
    if guard.random_mode.get() != RandomMode::Denied {
        return;
    }
    let text = c"math.%s is not available in this engine: open it with lua_random=seeded";
    // SAFETY: the caller owns nothing; %s takes a C string.
    unsafe { ffi::luaL_error(l, text.as_ptr(), name.as_ptr()) };
}

/// `math.random([m [, n]])`
pub(super) unsafe extern "C-unwind" fn random(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        refuse_if_denied(l, guard, c"random");
        let drawn = draw(guard);
        let empty = c"interval is empty".as_ptr();
        let result = match ffi::lua_gettop(l) {
            0 => drawn,
            1 => {
                let upper = int_argument(l, 1);
                ffi::luaL_argcheck(l, c_int::from(1.0 <= upper), 1, empty);
                (drawn * upper).floor() + 1.0
            }
            2 => {
                let (lower, upper) = (int_argument(l, 1), int_argument(l, 2));
                ffi::luaL_argcheck(l, c_int::from(lower <= upper), 2, empty);
                // Lua computes the width in a C int; a width beyond it stays a double here.
                (drawn * (upper - lower + 1.0)).floor() + lower
            }
            _ => return ffi::luaL_error(l, c"wrong number of arguments".as_ptr()),
        };
        ffi::lua_pushnumber(l, result);
        1
    }
}

/// An argument as Lua 5.1's `luaL_checkint` sees it: the low 32 bits.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn int_argument(l: *mut lua_State, index: c_int) -> f64 {
    // SAFETY: the caller owns nothing.
    f64::from(unsafe { ffi::luaL_checkinteger(l, index) } as i32)
}

/// `math.randomseed(x)`
pub(super) unsafe extern "C-unwind" fn randomseed(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        refuse_if_denied(l, guard, c"randomseed");
        let seed = ffi::luaL_checkinteger(l, 1) as u32;
        guard.random_state.set(seeded(seed));
        0
    }
}

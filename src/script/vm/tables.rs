//! `unpack` and the table library's functions that write, walk far or call back.
//!
//! Most only announce their work to the guard, so that a loop of slow calls cannot outlast the limits
//! between two hooks, and then run the stock function in their own frame: its error texts name the
//! function the script called.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::raw::c_int;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;
use super::peek;
#[cfg(feature = "lua51")]
use super::proxy::push_real;
use super::proxy::refuse_proxy;

/// Sorting fewer elements by C comparisons alone is quick even in the worst case.
const SHORT_SORT: usize = 1_000;

/// Elements that are moved between two looks at the limits.
const STEPS_PER_LOOK: c_int = 4_096;

/// The stock functions that ours end in; none of them has upvalues.
#[derive(Default)]
pub(super) struct Stock {
    concat: Cell<Option<ffi::lua_CFunction>>,
    #[cfg(feature = "lua51")]
    foreach: Cell<Option<ffi::lua_CFunction>>,
    #[cfg(feature = "lua51")]
    foreachi: Cell<Option<ffi::lua_CFunction>>,
    insert: Cell<Option<ffi::lua_CFunction>>,
    #[cfg(feature = "lua51")]
    remove: Cell<Option<ffi::lua_CFunction>>,
    sort: Cell<Option<ffi::lua_CFunction>>,
}

impl Stock {
    /// Keeps the functions of the stock table library.
    ///
    /// # Safety
    /// Under a protected call, with the stock library among the globals.
    pub(super) unsafe fn keep(&self, l: *mut lua_State) {
        let places: &[(&CStr, &Cell<Option<ffi::lua_CFunction>>)] = &[
            (c"concat", &self.concat),
            #[cfg(feature = "lua51")]
            (c"foreach", &self.foreach),
            #[cfg(feature = "lua51")]
            (c"foreachi", &self.foreachi),
            (c"insert", &self.insert),
            #[cfg(feature = "lua51")]
            (c"remove", &self.remove),
            (c"sort", &self.sort),
        ];
        // SAFETY: the caller's promise.
        unsafe {
            ffi::lua_getfield_(l, ffi::LUA_GLOBALSINDEX, c"table".as_ptr());
            for &(name, place) in places {
                ffi::lua_getfield_(l, -1, name.as_ptr());
                place.set(ffi::lua_tocfunction(l, -1));
                ffi::lua_settop(l, -2);
            }
            ffi::lua_settop(l, -2);
        }
    }
}

/// Runs a stock function in the frame of the running one.
///
/// # Safety
/// Called as the last act of a C function that owns nothing.
unsafe fn run_stock(l: *mut lua_State, function: &Cell<Option<ffi::lua_CFunction>>) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match function.get() {
            Some(function) => function(l),
            None => ffi::luaL_error(l, c"this function is not available".as_ptr()),
        }
    }
}

/// Announces as much work as the table at index 1 has elements; what is no table is left to the
/// stock function's complaint.
///
/// # Safety
/// Called from a C function that owns nothing.
unsafe fn announce_length(l: *mut lua_State, guard: &Guard) -> usize {
    // SAFETY: the caller's promise; the length of a table is taken raw.
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            return 0;
        }
        let length = ffi::lua_objlen(l, 1);
        guard.work(l, length / 4);
        length
    }
}

/// `table.insert(table, [position,] value)`
pub(super) unsafe extern "C-unwind" fn insert(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if matches!(peek::arguments(l), [table, _] if table.is_bare_table()) {
            ffi::lua_rawseti_(l, 1, (ffi::lua_objlen(l, 1) as c_int).wrapping_add(1));
            return 0;
        }
        let guard = Guard::of_state(l);
        refuse_proxy(l, guard, 1);
        if ffi::lua_gettop(l) > 2 {
            let length = announce_length(l, guard);
            if ffi::lua_gettop(l) == 3 && ffi::lua_isnumber(l, 2) != 0 {
                // As the stock function reads it: the lower 32 bits.
                let position = ffi::lua_tointeger(l, 2) as c_int;
                if position < 0 && ffi::lua_type(l, 1) == ffi::LUA_TTABLE {
                    insert_before(l, guard, position, length as c_int + 1);
                    return 0;
                }
            }
        }
        run_stock(l, &guard.fixtures.table.insert)
    }
}

/// Inserts far before a table's first element: all that stands between is moved up by one. The
/// stock function takes up to 2^31 steps for that, mostly over nothing, and nobody could stop it.
///
/// # Safety
/// Called from a C function that owns nothing, with a table at index 1 and the value at index 3.
unsafe fn insert_before(l: *mut lua_State, guard: &Guard, position: c_int, end: c_int) {
    // SAFETY: the caller's promise; one more value fits the stack of a C function.
    unsafe {
        for to in (position + 1..=end).rev() {
            if to & (STEPS_PER_LOOK - 1) == 0 {
                guard.count(STEPS_PER_LOOK as u64);
                guard.work(l, STEPS_PER_LOOK as usize);
            }
            ffi::lua_rawgeti_(l, 1, to - 1);
            ffi::lua_rawseti_(l, 1, to);
        }
        ffi::lua_pushvalue(l, 3);
        ffi::lua_rawseti_(l, 1, position);
    }
}

/// `table.remove(table [, position])`. A read-only table has no elements, so there is nothing to
/// refuse: as in Redis, nothing is removed.
#[cfg(feature = "lua51")]
pub(super) unsafe extern "C-unwind" fn remove(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if matches!(peek::arguments(l), [table] if table.is_bare_table()) {
            return remove_last(l);
        }
        let guard = Guard::of_state(l);
        if ffi::lua_gettop(l) > 1 {
            announce_length(l, guard);
        }
        run_stock(l, &guard.fixtures.table.remove)
    }
}

/// Removes a table's last element, and gives it back.
///
/// # Safety
/// Called from a C function that owns nothing, with a table at index 1.
#[cfg(feature = "lua51")]
unsafe fn remove_last(l: *mut lua_State) -> c_int {
    // SAFETY: the caller's promise; a C function has free stack slots.
    unsafe {
        let last = ffi::lua_objlen(l, 1) as c_int;
        if last < 1 {
            return 0;
        }
        ffi::lua_rawgeti_(l, 1, last);
        ffi::lua_pushnil(l);
        ffi::lua_rawseti_(l, 1, last);
        1
    }
}

/// `table.concat(table [, separator [, i [, j]]])`
pub(super) unsafe extern "C-unwind" fn concat(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        announce_length(l, guard);
        run_stock(l, &guard.fixtures.table.concat)
    }
}

/// `table.foreachi(table, f)`
#[cfg(feature = "lua51")]
pub(super) unsafe extern "C-unwind" fn foreachi(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        announce_length(l, guard);
        run_stock(l, &guard.fixtures.table.foreachi)
    }
}

/// `table.foreach(table, f)`; of a read-only table the real one is walked, which `f` does not see.
#[cfg(feature = "lua51")]
pub(super) unsafe extern "C-unwind" fn foreach(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        announce_length(l, guard);
        if ffi::lua_type(l, 1) == ffi::LUA_TTABLE && push_real(l, guard, 1) {
            ffi::lua_replace(l, 1);
        }
        run_stock(l, &guard.fixtures.table.foreach)
    }
}

/// `table.maxn(table)` walks the whole table, whose size only the walk tells.
pub(super) unsafe extern "C-unwind" fn maxn(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(l, 1);
        let mut largest = 0.0;
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 1) != 0 {
            guard.work(l, 1);
            ffi::lua_settop(l, 2);
            if ffi::lua_type(l, 2) == ffi::LUA_TNUMBER {
                largest = ffi::lua_tonumber(l, 2).max(largest);
            }
        }
        ffi::lua_pushnumber(l, largest);
        1
    }
}

/// `table.sort(table [, less])`. Comparisons by a Lua function are seen by its hooks; those made in C
/// alone are not, and an unlucky order takes their number to the square of the length. A long table
/// gets a comparison that looks at the limits.
pub(super) unsafe extern "C-unwind" fn sort(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_closure(l);
        let length = announce_length(l, guard);
        let in_c = ffi::lua_isnoneornil(l, 2) != 0 || ffi::lua_iscfunction(l, 2) != 0;
        if length > SHORT_SORT && ffi::lua_isnoneornil(l, 2) != 0 && sort_numbers(l, guard, length)
        {
            return 0;
        }
        if length > SHORT_SORT && in_c {
            ffi::lua_settop(l, 2);
            ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
            ffi::lua_insert(l, 2);
            ffi::lua_pushcclosure(l, guarded_less, 2);
        }
        let depth = guard.deepen(l);
        let results = run_stock(l, &guard.fixtures.table.sort);
        guard.rise(depth);
        results
    }
}

/// Sorts a long list of nothing but numbers outside of Lua, where the worst case is no worse than the
/// usual one. Equal numbers are alike, so the result is the stock one. False when there is anything
/// else in the list, with the list as it was.
///
/// # Safety
/// Called from a C function that owns nothing; the table at index 1 has `length` elements.
unsafe fn sort_numbers(l: *mut lua_State, guard: &Guard, length: usize) -> bool {
    let Ok(count) = c_int::try_from(length) else { return false };
    // SAFETY: the caller's promise; the scratch belongs to the guard and is aligned for numbers.
    unsafe {
        ffi::lua_settop(l, 1);
        let scratch = guard.take_scratch(length * size_of::<f64>()).cast::<f64>();
        if scratch.is_null() {
            return false;
        }
        for index in 1..=count {
            let Some(number) = number_at(l, index).filter(|number| !number.is_nan()) else {
                guard.drop_scratch();
                return false;
            };
            scratch.add(index as usize - 1).write(number);
        }
        std::slice::from_raw_parts_mut(scratch, length).sort_unstable_by(f64::total_cmp);
        for index in 1..=count {
            ffi::lua_pushnumber(l, scratch.add(index as usize - 1).read());
            ffi::lua_rawseti_(l, 1, index);
        }
        guard.drop_scratch();
        true
    }
}

/// The number at an index of the table at index 1, if it is one.
///
/// # Safety
/// As [`sort_numbers`], with nothing above the table on the stack.
#[inline]
unsafe fn number_at(l: *mut lua_State, index: c_int) -> Option<f64> {
    // SAFETY: the caller's promise; there is a free slot.
    unsafe {
        #[cfg(feature = "luajit")]
        let element = peek::arguments(l).first().and_then(|t| t.elements().get(index as usize));
        #[cfg(feature = "luajit")]
        if let Some(element) = element {
            return element.read().number();
        }
        ffi::lua_rawgeti_(l, 1, index);
        let kind = ffi::lua_type(l, 2);
        let number = ffi::lua_tonumber(l, 2);
        ffi::lua_settop(l, 1);
        (kind == ffi::LUA_TNUMBER).then_some(number)
    }
}

/// Compares by the function in upvalue 2, or by `<` when that is nil.
unsafe extern "C-unwind" fn guarded_less(l: *mut lua_State) -> c_int {
    // SAFETY: called by the stock sort with two values; nothing here owns anything.
    unsafe {
        Guard::of_closure(l).work(l, 2);
        let function = ffi::lua_upvalueindex(2);
        if ffi::lua_type(l, function) == ffi::LUA_TNIL {
            let less = ffi::lua_lessthan(l, 1, 2);
            ffi::lua_pushboolean(l, less);
        } else {
            ffi::lua_pushvalue(l, function);
            ffi::lua_insert(l, 1);
            ffi::lua_call(l, 2, 1);
        }
        1
    }
}

/// `unpack(list [, i [, j]])`, with the range in 64 bits: in 32 it overflows into a crash.
pub(super) unsafe extern "C-unwind" fn unpack(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let (first, last) = range(l);
        if first > last {
            return 0;
        }
        let count = last.checked_sub(first).and_then(|n| n.checked_add(1));
        let count = count.and_then(|n| c_int::try_from(n).ok()).unwrap_or(c_int::MAX);
        // The margin keeps lua_checkstack's own sum within a C int.
        if count > c_int::MAX / 2 || ffi::lua_checkstack(l, count) == 0 {
            return ffi::luaL_error(l, c"too many results to unpack".as_ptr());
        }
        Guard::of_state(l).work(l, count as usize / 4);
        match c_int::try_from(first).and_then(|first| Ok((first, c_int::try_from(last)?))) {
            Ok((first, last)) => (first..=last).for_each(|index| ffi::lua_rawgeti_(l, 1, index)),
            Err(_) => (first..=last).for_each(|index| push_element(l, index)),
        }
        count
    }
}

/// Which elements of the table at index 1 `unpack` is asked for.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
unsafe fn range(l: *mut lua_State) -> (i64, i64) {
    // SAFETY: the caller's promise.
    unsafe {
        if peek::arguments(l).len() == 1 {
            return (1, ffi::lua_objlen(l, 1) as i64);
        }
        let first = ffi::luaL_optinteger(l, 2, 1) as i64;
        let last = match ffi::lua_isnoneornil(l, 3) != 0 {
            true => ffi::lua_objlen(l, 1) as i64,
            false => ffi::luaL_checkinteger(l, 3) as i64,
        };
        (first, last)
    }
}

/// Pushes the element of the table at index 1.
///
/// # Safety
/// Under a protected call, with two free slots.
unsafe fn push_element(l: *mut lua_State, index: i64) {
    // SAFETY: the caller's promise.
    unsafe {
        match c_int::try_from(index) {
            Ok(index) => ffi::lua_rawgeti_(l, 1, index),
            Err(_) => {
                ffi::lua_pushnumber(l, index as f64);
                ffi::lua_rawget_(l, 1);
            }
        }
    }
}

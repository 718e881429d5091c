//! Read-only tables, which Lua 5.1 does not have.
//!
//! A *proxy* is an empty table whose metatable sends reads to the real table and turns writes into
//! errors. Own versions of next, rawget, rawset, getmetatable, setmetatable and the table functions
//! know a proxy by the address of its metatable; a script can get neither that metatable nor a real
//! table.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::raw::{c_int, c_void};
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;

/// A read-only table as scripts see it.
#[derive(Clone, Copy)]
pub(super) struct Proxy {
    /// The address of the proxy's metatable, by which it is known.
    metatable: *const c_void,
    /// The registry reference of the real table.
    real: c_int,
    /// The registry reference of what getmetatable shows; LUA_REFNIL shows nil.
    shown: c_int,
}

const NO_PROXY: Proxy =
    Proxy { metatable: ptr::null(), real: ffi::LUA_NOREF, shown: ffi::LUA_REFNIL };

/// More than the project has libraries.
const MOST_PROXIES: usize = 24;

/// The proxies of one state.
pub(super) struct Proxies {
    known: [Cell<Proxy>; MOST_PROXIES],
    count: Cell<usize>,
}

impl Proxies {
    pub(super) fn new() -> Self {
        Self { known: [const { Cell::new(NO_PROXY) }; MOST_PROXIES], count: Cell::new(0) }
    }

    #[inline]
    fn find(&self, metatable: *const c_void) -> Option<Proxy> {
        let known = self.known.iter().take(self.count.get());
        known.map(Cell::get).find(|proxy| proxy.metatable == metatable)
    }

    fn add(&self, proxy: Proxy) -> bool {
        let count = self.count.get();
        let Some(place) = self.known.get(count) else { return false };
        place.set(proxy);
        self.count.set(count + 1);
        true
    }
}

/// Replaces the table on the stack by a proxy for it.
///
/// # Safety
/// Under a protected call, with the table on the stack.
pub(super) unsafe fn push_proxy(l: *mut lua_State, guard: &Guard, shown: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_createtable(l, 0, 2);
        ffi::lua_pushvalue(l, -3);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        ffi::lua_pushcclosure(l, refuse_write, 0);
        ffi::lua_setfield(l, -2, c"__newindex".as_ptr());
        let metatable = ffi::lua_topointer(l, -1);
        ffi::lua_setmetatable(l, -2);
        ffi::lua_insert(l, -2);
        let real = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        if !guard.fixtures.proxies.add(Proxy { metatable, real, shown }) {
            ffi::luaL_error(l, c"too many read-only tables".as_ptr());
        }
    }
}

/// The proxy at a stack index, if the value there is one. Costs ordinary tables one look.
///
/// # Safety
/// A free stack slot. Allocates nothing and cannot raise.
#[inline]
pub(super) unsafe fn proxy_at(l: *mut lua_State, guard: &Guard, index: c_int) -> Option<Proxy> {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_getmetatable(l, index) == 0 {
            return None;
        }
        let metatable = ffi::lua_topointer(l, -1);
        ffi::lua_settop(l, -2);
        guard.fixtures.proxies.find(metatable)
    }
}

/// Pushes the real table behind a proxy; pushes nothing and gives false for any other value. The
/// real table must never reach a script.
///
/// # Safety
/// A free stack slot. Allocates nothing and cannot raise.
pub(crate) unsafe fn push_real(l: *mut lua_State, guard: &Guard, index: c_int) -> bool {
    // SAFETY: the caller's promise; the reference is live as long as the state.
    unsafe {
        let Some(proxy) = proxy_at(l, guard, index) else { return false };
        ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, proxy.real);
        true
    }
}

/// Pushes what getmetatable shows for a proxy.
///
/// # Safety
/// A free stack slot.
pub(super) unsafe fn push_shown(l: *mut lua_State, proxy: Proxy) {
    // SAFETY: the reference is live as long as the state; LUA_REFNIL gives nil.
    unsafe {
        match proxy.shown {
            ffi::LUA_REFNIL => ffi::lua_pushnil(l),
            shown => ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, shown),
        }
    }
}

/// Raises for library functions that would write to a proxy: the text has no position then
/// (reference: sandbox-033), as the raise is not made by a Lua function.
///
/// # Safety
/// Called from a C function that owns nothing.
pub(super) unsafe fn refuse_proxy(l: *mut lua_State, guard: &Guard, index: c_int) {
    // SAFETY: the caller owns nothing.
    unsafe {
        if proxy_at(l, guard, index).is_some() {
            ffi::lua_pushstring_(l, READ_ONLY.as_ptr());
            ffi::lua_error(l);
        }
    }
}

const READ_ONLY: &CStr = c"Attempt to modify a readonly table";

/// `__newindex` of every proxy.
unsafe extern "C-unwind" fn refuse_write(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe { ffi::luaL_error(l, READ_ONLY.as_ptr()) }
}

//! Opens a Lua state and builds the world that scripts see.
//!
//! `_G` and every library that a script sees is a proxy ([`super::proxy`]).
//!
//! Everything here that takes memory runs under a protected call.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};

use mlua_sys as ffi;
use mlua_sys::lua_State;

#[cfg(feature = "luajit")]
use super::dialect;
use super::guard::{Doom, Guard, Limits};
use super::proxy::{Proxies, push_proxy, push_real};
use super::{alloc, base, coroutine, format, load, math, patterns, peek, pull, strings, tables};

/// Names that the stock base library brings and scripts do not see.
const REMOVED: [&CStr; 6] = [c"print", c"getfenv", c"setfenv", c"newproxy", c"dofile", c"loadfile"];

const LIBRARIES: [&CStr; 4] = [c"string", c"table", c"math", c"coroutine"];

type Function = (&'static CStr, ffi::lua_CFunction);

const BASE_FUNCTIONS: [Function; 15] = [
    (c"__redis__err__handler", base::error_handler),
    (c"collectgarbage", base::collectgarbage),
    (c"gcinfo", base::gcinfo),
    (c"getmetatable", base::getmetatable),
    (c"load", load::load),
    (c"loadstring", load::loadstring),
    (c"next", base::next),
    (c"pairs", base::pairs),
    (c"pcall", base::pcall),
    (c"rawget", base::rawget),
    (c"rawset", base::rawset),
    (c"setmetatable", base::setmetatable),
    (c"tostring", base::tostring),
    (c"unpack", tables::unpack),
    (c"xpcall", base::xpcall),
    // rawequal and ipairs stay stock: a proxy is one object, and a library has no element 1.
];

const LIBRARY_FUNCTIONS: &[(&CStr, Function)] = &[
    (c"string", (c"find", patterns::find)),
    #[cfg(feature = "lua51")]
    (c"string", (c"format", format::format)),
    #[cfg(feature = "lua51")]
    (c"string", (c"gmatch", patterns::gmatch)),
    (c"string", (c"gsub", patterns::gsub)),
    (c"string", (c"match", patterns::r#match)),
    (c"string", (c"rep", strings::rep)),
    (c"math", (c"random", math::random)),
    (c"math", (c"randomseed", math::randomseed)),
    (c"coroutine", (c"create", coroutine::create)),
    (c"coroutine", (c"resume", coroutine::resume)),
    (c"coroutine", (c"wrap", coroutine::wrap)),
    (c"table", (c"concat", tables::concat)),
    #[cfg(feature = "lua51")]
    (c"table", (c"foreach", tables::foreach)),
    #[cfg(feature = "lua51")]
    (c"table", (c"foreachi", tables::foreachi)),
    #[cfg(feature = "luajit")]
    (c"table", (c"foreach", dialect::foreach)),
    #[cfg(feature = "luajit")]
    (c"table", (c"foreachi", dialect::foreachi)),
    (c"table", (c"insert", tables::insert)),
    (c"table", (c"maxn", tables::maxn)),
    // LuaJIT's remove is in Lua's own bytecode: it is compiled, and hooks see it.
    #[cfg(feature = "lua51")]
    (c"table", (c"remove", tables::remove)),
    (c"table", (c"sort", tables::sort)),
];

/// What the sandbox keeps for its own functions: registry references and stock functions.
pub(super) struct Fixtures {
    pub(super) proxies: Proxies,
    pub(super) globals: Cell<c_int>,
    /// What pairs gives back: `next`, but not the same function, as in Lua.
    pub(super) next: Cell<c_int>,
    /// The slot of tostring's table of numbers, and the metatable that table has.
    pub(super) names: Cell<c_int>,
    pub(super) weak_keys: Cell<c_int>,
    pub(super) table: tables::Stock,
    /// LuaJIT's library `bit`.
    #[cfg(feature = "luajit")]
    pub(super) bit: Cell<c_int>,
    /// LuaJIT's own `next`.
    #[cfg(feature = "luajit")]
    pub(super) stock_next: Cell<c_int>,
    pub(super) format: format::Stock,
}

impl Fixtures {
    pub(super) fn new() -> Self {
        Self {
            proxies: Proxies::new(),
            globals: Cell::new(ffi::LUA_NOREF),
            next: Cell::new(ffi::LUA_NOREF),
            names: Cell::new(ffi::LUA_NOREF),
            weak_keys: Cell::new(ffi::LUA_NOREF),
            table: tables::Stock::default(),
            #[cfg(feature = "luajit")]
            bit: Cell::new(ffi::LUA_NOREF),
            #[cfg(feature = "luajit")]
            stock_next: Cell::new(ffi::LUA_NOREF),
            format: Cell::new(None),
        }
    }
}

/// An open Lua state with its guard. Dropping it closes the state; no run may be under way.
pub(crate) struct State {
    l: NonNull<lua_State>,
    guard: NonNull<Guard>,
}

// SAFETY: the state and its guard are reached only through this value, one thread at a time; neither
// depends on the thread it was made on. The one shared part, the cancel flag, is atomic.
unsafe impl Send for State {}

impl State {
    pub(crate) fn raw(&self) -> *mut lua_State {
        self.l.as_ptr()
    }

    pub(crate) fn guard(&self) -> &Guard {
        // SAFETY: the guard lives until drop, and all its fields are cells.
        unsafe { self.guard.as_ref() }
    }

    /// Begins a run: limits, clock, counters, random numbers and tostring's numbers start anew.
    /// Allocates nothing and cannot raise.
    pub(crate) fn begin(&self, limits: Limits) {
        let (l, guard) = (self.raw(), self.guard());
        // SAFETY: the state is open; the registry slot exists, so setting it allocates nothing.
        unsafe {
            if guard.named.replace(0) != 0 {
                ffi::lua_pushboolean(l, 0);
                ffi::lua_rawseti_(l, ffi::LUA_REGISTRYINDEX, guard.fixtures.names.get());
            }
            guard.begin(l, limits);
        }
    }

    /// Ends the run and tells its doom, which takes precedence over whatever the protected call gave.
    pub(crate) fn end(&self) -> Option<Doom> {
        // SAFETY: the state is open.
        unsafe { self.guard().end(self.raw()) }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: both were made by open; the state goes first, its blocks live in the guard.
        unsafe {
            #[cfg(feature = "luajit")]
            self.guard().watch.stop();
            ffi::lua_close(self.l.as_ptr());
            drop(Box::from_raw(self.guard.as_ptr()));
        }
    }
}

/// Opens a state with the sandbox in it; the project's own libraries are added later.
pub(crate) fn open(guard: Box<Guard>) -> Result<State, String> {
    let guard = Box::into_raw(guard);
    // SAFETY: the guard has a stable address and outlives the state; lua_cpcall protects the rest.
    unsafe {
        let l = ffi::lua_newstate(alloc::allocate, guard.cast());
        let Some(l) = NonNull::new(l) else {
            drop(Box::from_raw(guard));
            return Err("the system has no memory for a Lua state".to_owned());
        };
        let state = State { l, guard: NonNull::new_unchecked(guard) };
        if ffi::lua_cpcall(state.raw(), build, guard.cast()) != ffi::LUA_OK {
            return Err(top_text(state.raw()));
        }
        peek::check(state.raw())?;
        Ok(state)
    }
}

/// # Safety
/// The state has a value on its stack.
unsafe fn top_text(l: *mut lua_State) -> String {
    let mut length = 0;
    // SAFETY: only a string is read, which allocates nothing in Lua.
    unsafe {
        if ffi::lua_type(l, -1) != ffi::LUA_TSTRING {
            return "the Lua state could not be built".to_owned();
        }
        let text = ffi::lua_tolstring(l, -1, &raw mut length).cast::<u8>();
        String::from_utf8_lossy(std::slice::from_raw_parts(text, length)).into_owned()
    }
}

/// The protected part of [`open`].
unsafe extern "C-unwind" fn build(l: *mut lua_State) -> c_int {
    // SAFETY: called by lua_cpcall with the guard; nothing here owns anything.
    unsafe {
        let guard = &*ffi::lua_touserdata(l, 1).cast::<Guard>();
        ffi::lua_settop(l, 0);
        ffi::luaopen_base(l);
        ffi::luaopen_string(l);
        ffi::luaopen_table(l);
        ffi::luaopen_math(l);
        ffi::lua_settop(l, 0);
        #[cfg(feature = "luajit")]
        guard.watch.prepare(l, guard);
        keep_fixtures(l, guard);
        #[cfg(feature = "luajit")]
        dialect::prepare(l, guard);
        guard.fixtures.table.keep(l);
        replace_functions(l, guard);
        for name in LIBRARIES {
            push_global(l, guard, name);
            add_library(l, guard, name);
        }
        protect_strings(l, guard);
        seal_globals(l, guard);
        0
    }
}

/// # Safety
/// Under a protected call, with the original globals in place.
unsafe fn keep_fixtures(l: *mut lua_State, guard: &Guard) {
    let fixtures = &guard.fixtures;
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushvalue(l, ffi::LUA_GLOBALSINDEX);
        fixtures.globals.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
        ffi::lua_pushboolean(l, 0);
        fixtures.names.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
        ffi::lua_newtable(l);
        ffi::lua_pushstring_(l, c"k".as_ptr());
        ffi::lua_setfield(l, -2, c"__mode".as_ptr());
        fixtures.weak_keys.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
        ffi::lua_getfield_(l, ffi::LUA_GLOBALSINDEX, c"string".as_ptr());
        ffi::lua_getfield_(l, -1, c"format".as_ptr());
        fixtures.format.set(ffi::lua_tocfunction(l, -1));
        ffi::lua_settop(l, -3);
        // Lua makes this text outside of any protected call; kept here it takes no memory then.
        ffi::lua_pushstring_(l, c"error in error handling".as_ptr());
        ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
    }
}

/// # Safety
/// Under a protected call, with fixtures in place.
unsafe fn replace_functions(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        for name in REMOVED {
            ffi::lua_pushnil(l);
            set_global(l, guard, name);
        }
        for (name, function) in BASE_FUNCTIONS {
            push_function(l, guard, function);
            set_global(l, guard, name);
        }
        for &(library, (name, function)) in LIBRARY_FUNCTIONS {
            set_library_function(l, guard, library, name, function);
        }
        // `string.gfind` is gmatch by its older name, and the same function.
        push_global(l, guard, c"string");
        ffi::lua_getfield_(l, -1, c"gmatch".as_ptr());
        ffi::lua_setfield(l, -2, c"gfind".as_ptr());
        ffi::lua_settop(l, -2);
        push_function(l, guard, base::next);
        guard.fixtures.next.set(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX));
    }
}

/// Pushes a C closure that finds its guard by [`Guard::of_closure`].
///
/// # Safety
/// Under a protected call.
pub(crate) unsafe fn push_function(l: *mut lua_State, guard: &Guard, function: ffi::lua_CFunction) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushlightuserdata(l, ptr::from_ref(guard).cast_mut().cast());
        ffi::lua_pushcclosure(l, function, 1);
    }
}

/// Pops a value and sets it in the real globals table.
///
/// # Safety
/// Under a protected call, with a value on the stack and two free slots.
pub(crate) unsafe fn set_global(l: *mut lua_State, guard: &Guard, name: &CStr) {
    // SAFETY: the caller's promise.
    unsafe {
        push_globals(l, guard);
        ffi::lua_pushstring_(l, name.as_ptr());
        ffi::lua_pushvalue(l, -3);
        ffi::lua_rawset(l, -3);
        ffi::lua_settop(l, -3);
    }
}

/// Pushes the real globals table. It must never reach a script.
///
/// # Safety
/// A free stack slot. Allocates nothing and cannot raise.
pub(crate) unsafe fn push_globals(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the reference is live as long as the state.
    unsafe { ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, guard.fixtures.globals.get()) }
}

/// Pushes a global as it is in the real table, nil if there is none.
///
/// # Safety
/// Under a protected call, with two free slots.
pub(super) unsafe fn push_global(l: *mut lua_State, guard: &Guard, name: &CStr) {
    // SAFETY: the caller's promise.
    unsafe {
        push_globals(l, guard);
        ffi::lua_pushstring_(l, name.as_ptr());
        ffi::lua_rawget_(l, -2);
        ffi::lua_remove(l, -2);
    }
}

/// Puts a function, with the guard as its upvalue, into a library that is there already.
///
/// # Safety
/// Under a protected call; `library` is a table among the real globals.
pub(crate) unsafe fn set_library_function(
    l: *mut lua_State,
    guard: &Guard,
    library: &CStr,
    name: &CStr,
    function: ffi::lua_CFunction,
) {
    // SAFETY: the caller's promise.
    unsafe {
        push_global(l, guard, library);
        if push_real(l, guard, -1) {
            ffi::lua_remove(l, -2);
        }
        ffi::lua_pushstring_(l, name.as_ptr());
        push_function(l, guard, function);
        ffi::lua_rawset(l, -3);
        ffi::lua_settop(l, -2);
    }
}

/// Pops a table and installs it as a read-only global.
///
/// # Safety
/// Under a protected call, with the table on the stack.
pub(crate) unsafe fn add_library(l: *mut lua_State, guard: &Guard, name: &CStr) {
    // SAFETY: the caller's promise.
    unsafe {
        push_proxy(l, guard, ffi::LUA_REFNIL);
        set_global(l, guard, name);
    }
}

/// Pushes a table that reads as the globals do, with these libraries themselves in it. It must never
/// reach a script, nor any of them.
///
/// # Safety
/// Under a protected call, after the globals were sealed.
pub(super) unsafe fn push_with_libraries(l: *mut lua_State, guard: &Guard, names: &[&str]) {
    // SAFETY: the caller's promise; the names' bytes stay while Lua copies them.
    unsafe {
        ffi::lua_createtable(l, 0, 64);
        push_globals(l, guard);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            ffi::lua_pushvalue(l, -2);
            if ffi::lua_istable(l, -2) != 0 || ffi::lua_type(l, -1) != ffi::LUA_TSTRING {
                ffi::lua_settop(l, -3);
                continue;
            }
            ffi::lua_insert(l, -2);
            ffi::lua_rawset(l, -5);
        }
        for name in names {
            ffi::lua_pushlstring_(l, name.as_ptr().cast(), name.len());
            ffi::lua_pushvalue(l, -1);
            ffi::lua_rawget_(l, -3);
            if push_real(l, guard, -1) {
                ffi::lua_remove(l, -2);
                ffi::lua_rawset(l, -4);
            } else {
                ffi::lua_settop(l, -3);
            }
        }
        // What is not here, KEYS and ARGV of others or nothing, is asked of the globals.
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_insert(l, -2);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        ffi::lua_setmetatable(l, -2);
    }
}

/// What Redis answers where a name should be and something else is.
const NO_NAME: &CStr = c"Second argument to luaProtectedTableError must be a string or number";

/// `__index` of the real globals tables: the name is in neither table. `server` is another name of
/// `redis`, which Redis's forks have; kept here it costs nothing and is in no list of the globals.
pub(super) unsafe extern "C-unwind" fn refuse_global(l: *mut lua_State) -> c_int {
    let text = c"Script attempted to access nonexistent global variable '%s'";
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if pull::text(l, 2) == Some(b"server") && ffi::lua_istable(l, 1) != 0 {
            ffi::lua_pushstring_(l, c"redis".as_ptr());
            ffi::lua_rawget_(l, 1);
            if ffi::lua_type(l, -1) != ffi::LUA_TNIL {
                return 1;
            }
        }
        let name = ffi::lua_tolstring(l, 2, ptr::null_mut());
        if name.is_null() {
            ffi::luaL_error(l, NO_NAME.as_ptr());
        }
        ffi::luaL_error(l, text.as_ptr(), name)
    }
}

/// Strings keep their real metatable, so that method calls stay as fast as stock. getmetatable shows
/// a read-only table instead, whose `__index` is the read-only string library.
///
/// # Safety
/// Under a protected call, after the libraries became proxies.
unsafe fn protect_strings(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushstring_(l, c"".as_ptr());
        ffi::lua_getmetatable(l, -1);
        ffi::lua_createtable(l, 0, 1);
        push_global(l, guard, c"string");
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        push_proxy(l, guard, ffi::LUA_REFNIL);
        ffi::lua_setfield(l, -2, c"__metatable".as_ptr());
        ffi::lua_settop(l, -3);
    }
}

/// Makes the globals read-only: what is loaded from now on sees the proxy.
///
/// # Safety
/// Under a protected call, as the last step of building.
unsafe fn seal_globals(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        // What getmetatable(_G) shows: a read-only table with the function that refuses names.
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcclosure(l, refuse_global, 0);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        push_proxy(l, guard, ffi::LUA_REFNIL);
        let shown = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);

        push_globals(l, guard);
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcclosure(l, refuse_global, 0);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        ffi::lua_setmetatable(l, -2);
        push_proxy(l, guard, shown);
        ffi::lua_pushvalue(l, -1);
        set_global(l, guard, c"_G");
        ffi::lua_replace(l, ffi::LUA_GLOBALSINDEX);
    }
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
pub(crate) mod tests;

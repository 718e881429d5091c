//! Libraries of functions: `redis.register_function`, and the two worlds their code sees.
//!
//! While a library loads it sees next to nothing: a `redis` that can register functions and log. Its
//! functions, when they are called, see what scripts see, but for KEYS, ARGV and what only scripts
//! have. Both are behind one proxy, which is the environment of all libraries for good; what changes
//! is the table the proxy shows.

use super::api::{push_ref, raise};
use super::bridge::Bridge;
use super::guard::Guard;
use super::proxy::{push_proxy, push_real};
use super::{Function, call, pull, sandbox};
use crate::script::flags::FunctionFlags;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;

/// A function that a library registered.
pub(crate) struct Registered {
    pub(crate) name: Box<[u8]>,
    pub(crate) description: Option<Box<[u8]>>,
    pub(crate) flags: FunctionFlags,
    pub(crate) function: Function,
}

/// Registry references of what libraries see.
pub(super) struct Worlds {
    /// The proxy that is the environment of all libraries.
    pub(super) environment: c_int,
    metatable: c_int,
    index: c_int,
    /// What the proxy shows to a library that loads.
    loading: c_int,
    /// What it shows to functions.
    running: c_int,
    /// The frame of a call.
    pub(super) frame: c_int,
}

impl Worlds {
    pub(super) const NONE: Worlds = {
        const NO: c_int = ffi::LUA_NOREF;
        Worlds { environment: NO, metatable: NO, index: NO, loading: NO, running: NO, frame: NO }
    };

    /// Shows libraries the world they load in.
    ///
    /// # Safety
    /// Three free stack slots. Allocates nothing and cannot raise.
    pub(super) unsafe fn show_loading(&self, l: *mut lua_State) {
        // SAFETY: the caller's promise.
        unsafe { self.show(l, self.loading) }
    }

    /// Shows libraries the world their functions run in.
    ///
    /// # Safety
    /// As [`Worlds::show_loading`].
    pub(super) unsafe fn show_running(&self, l: *mut lua_State) {
        // SAFETY: the caller's promise.
        unsafe { self.show(l, self.running) }
    }

    /// # Safety
    /// As [`Worlds::show_loading`]: the field is there already, so setting it takes no memory.
    unsafe fn show(&self, l: *mut lua_State, world: c_int) {
        // SAFETY: the caller's promise.
        unsafe {
            push_ref(l, self.metatable);
            push_ref(l, self.index);
            push_ref(l, world);
            ffi::lua_rawset(l, -3);
            ffi::lua_settop(l, -2);
        }
    }
}

/// What `redis` has for scripts and not for functions.
const SCRIPTS_ONLY: [&CStr; 3] = [c"replicate_commands", c"breakpoint", c"debug"];

/// Globals of scripts that functions do not have, or have of their own.
const OWN_GLOBALS: [&CStr; 3] = [c"__redis__err__handler", c"_G", c"redis"];

/// What `redis` has for libraries that load, beside `register_function`.
const WHILE_LOADING: [&CStr; 7] = [
    c"log",
    c"LOG_DEBUG",
    c"LOG_VERBOSE",
    c"LOG_NOTICE",
    c"LOG_WARNING",
    c"REDIS_VERSION",
    c"REDIS_VERSION_NUM",
];

/// Builds both worlds.
///
/// # Safety
/// Under a protected call, with all of scripts' globals in place.
pub(super) unsafe fn install(l: *mut lua_State, guard: &Guard, bridge: *mut Bridge) {
    // SAFETY: the caller's promise.
    unsafe {
        let worlds = &mut (*bridge).worlds;
        let top = ffi::lua_gettop(l);
        push_running(l, guard);
        ffi::lua_pushvalue(l, -1);
        worlds.running = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_pushvalue(l, -1);
        push_environment(l, guard);
        ffi::lua_pushvalue(l, -1);
        ffi::lua_setfield(l, top + 1, c"_G".as_ptr());
        ffi::lua_getmetatable(l, -1);
        worlds.metatable = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        worlds.environment = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_pushstring_(l, c"__index".as_ptr());
        worlds.index = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        push_loading(l, guard);
        worlds.loading = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_pushcclosure(l, call::call_protected, 0);
        worlds.frame = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_settop(l, top);
    }
}

/// Replaces the table on top of the stack by the proxy for it that libraries have as their globals.
///
/// # Safety
/// As [`install`].
unsafe fn push_environment(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcclosure(l, sandbox::refuse_global, 0);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        push_proxy(l, guard, ffi::LUA_REFNIL);
        let shown = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        push_proxy(l, guard, shown);
    }
}

/// Pushes what functions see as globals, but for `_G`.
///
/// # Safety
/// As [`install`].
unsafe fn push_running(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 32);
        sandbox::push_globals(l, guard);
        copy_all(l, &OWN_GLOBALS);
        ffi::lua_createtable(l, 0, 24);
        push_redis(l, guard);
        copy_all(l, &SCRIPTS_ONLY);
        push_proxy(l, guard, ffi::LUA_REFNIL);
        ffi::lua_setfield(l, -2, c"redis".as_ptr());
        refuse_others(l);
    }
}

/// Pushes what a library sees as globals while it loads.
///
/// # Safety
/// As [`install`].
unsafe fn push_loading(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_createtable(l, 0, 8);
        push_redis(l, guard);
        for name in WHILE_LOADING {
            ffi::lua_getfield_(l, -1, name.as_ptr());
            ffi::lua_setfield(l, -3, name.as_ptr());
        }
        ffi::lua_settop(l, -2);
        ffi::lua_pushcclosure(l, register_function, 0);
        ffi::lua_setfield(l, -2, c"register_function".as_ptr());
        refuse_others(l);
        push_proxy(l, guard, ffi::LUA_REFNIL);
        ffi::lua_setfield(l, -2, c"redis".as_ptr());
        refuse_others(l);
    }
}

/// Pushes the real table behind scripts' `redis`.
///
/// # Safety
/// As [`install`].
unsafe fn push_redis(l: *mut lua_State, guard: &Guard) {
    // SAFETY: the caller's promise.
    unsafe {
        sandbox::push_global(l, guard, c"redis");
        if push_real(l, guard, -1) {
            ffi::lua_remove(l, -2);
        }
    }
}

/// Pops a table and copies its fields to the one below it, but for these.
///
/// # Safety
/// As [`install`]; the keys are texts.
unsafe fn copy_all(l: *mut lua_State, but: &[&CStr]) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            let name = pull::text(l, -2).unwrap_or_default();
            if but.iter().any(|other| other.to_bytes() == name) {
                ffi::lua_settop(l, -2);
                continue;
            }
            ffi::lua_pushvalue(l, -2);
            ffi::lua_insert(l, -2);
            ffi::lua_rawset(l, -5);
        }
        ffi::lua_settop(l, -2);
    }
}

/// Makes it an error to read what the table on top of the stack does not have.
///
/// # Safety
/// As [`install`].
unsafe fn refuse_others(l: *mut lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcclosure(l, sandbox::refuse_global, 0);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
        ffi::lua_setmetatable(l, -2);
    }
}

/// Where the parts of a registration are on the stack of `register_function`.
const NAME: c_int = 2;
const CALLBACK: c_int = 3;
const DESCRIPTION: c_int = 4;

/// `redis.register_function(name, callback)` or `redis.register_function{function_name=, callback=,
/// flags=, description=}`
unsafe extern "C-unwind" fn register_function(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything when Lua can raise.
    unsafe {
        let bridge = Bridge::of_state(l);
        if (*bridge).loading.is_none() {
            raise(l, c"ERR redis.register_function can only be called on FUNCTION LOAD command");
        }
        let flags = match ffi::lua_gettop(l) {
            1 => named_arguments(l),
            2 => positional_arguments(l),
            _ => raise(l, c"ERR wrong number of arguments to redis.register_function"),
        };
        // Numbers become texts in place.
        ffi::lua_tolstring(l, NAME, std::ptr::null_mut());
        ffi::lua_tolstring(l, DESCRIPTION, std::ptr::null_mut());
        let name = pull::text(l, NAME).unwrap_or_default();
        if !is_name(name) {
            raise(
                l,
                c"ERR Library names can only contain letters, numbers, or underscores(_) and must \
                  be at least one character long",
            );
        }
        if is_known(bridge, name) {
            raise(l, c"ERR Function already exists in the library");
        }
        ffi::lua_pushvalue(l, CALLBACK);
        let reference = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        let description = pull::text(l, DESCRIPTION);
        keep(bridge, name, description, flags, Function::callback(reference));
        0
    }
}

/// Whether the library that loads has registered a function of this name already.
///
/// # Safety
/// Called from [`register_function`].
unsafe fn is_known(bridge: *mut Bridge, name: &[u8]) -> bool {
    // SAFETY: the bridge lives, and nobody else uses it meanwhile.
    let loading = unsafe { &(*bridge).loading };
    loading.iter().flatten().any(|known| *known.name == *name)
}

/// Keeps a registration until the library is loaded.
///
/// # Safety
/// As [`is_known`].
unsafe fn keep(
    bridge: *mut Bridge,
    name: &[u8],
    description: Option<&[u8]>,
    flags: FunctionFlags,
    function: Function,
) {
    // SAFETY: as there.
    let loading = unsafe { &mut (*bridge).loading };
    if let Some(registered) = loading {
        let (name, description) = (name.into(), description.map(Box::from));
        registered.push(Registered { name, description, flags, function });
    }
}

/// Whether a text may name a library or function.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Checks the two arguments and brings them to their places.
///
/// # Safety
/// Called from [`register_function`], with nothing owned.
unsafe fn positional_arguments(l: *mut lua_State) -> FunctionFlags {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_isstring(l, 1) == 0 {
            raise(l, c"ERR first argument to redis.register_function must be a string");
        }
        if ffi::lua_isfunction(l, 2) == 0 {
            raise(l, c"ERR second argument to redis.register_function must be a function");
        }
        ffi::lua_pushnil(l);
        ffi::lua_insert(l, 1);
        ffi::lua_pushnil(l);
        FunctionFlags::default()
    }
}

/// Checks the one argument, a table, and brings what is in it to the places.
///
/// # Safety
/// As [`positional_arguments`].
unsafe fn named_arguments(l: *mut lua_State) -> FunctionFlags {
    let mut flags = FunctionFlags::default();
    // SAFETY: the caller's promise; numbers among the values are not converted while the table is
    // walked.
    unsafe {
        if ffi::lua_istable(l, 1) == 0 {
            raise(
                l,
                c"ERR calling redis.register_function with a single argument is only applicable \
                  to Lua table (representing named arguments).",
            );
        }
        ffi::lua_settop(l, DESCRIPTION);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 1) != 0 {
            if ffi::lua_isstring(l, -2) == 0 {
                raise(
                    l,
                    c"ERR named argument key given to redis.register_function is not a string",
                );
            }
            named_argument(l, &mut flags);
        }
        if ffi::lua_type(l, NAME) == ffi::LUA_TNIL {
            raise(l, c"ERR redis.register_function must get a function name argument");
        }
        if ffi::lua_type(l, CALLBACK) == ffi::LUA_TNIL {
            raise(l, c"ERR redis.register_function must get a callback argument");
        }
    }
    flags
}

/// Checks one argument, the value on top of the stack below which its name is, and takes it.
///
/// # Safety
/// As [`positional_arguments`].
unsafe fn named_argument(l: *mut lua_State, flags: &mut FunctionFlags) {
    // SAFETY: the caller's promise.
    unsafe {
        let name = pull::text(l, -2).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"function_name") {
            if ffi::lua_isstring(l, -1) == 0 {
                raise(
                    l,
                    c"ERR function_name argument given to redis.register_function must be a string",
                );
            }
            ffi::lua_replace(l, NAME);
        } else if name.eq_ignore_ascii_case(b"description") {
            if ffi::lua_isstring(l, -1) == 0 {
                raise(
                    l,
                    c"ERR description argument given to redis.register_function must be a string",
                );
            }
            ffi::lua_replace(l, DESCRIPTION);
        } else if name.eq_ignore_ascii_case(b"callback") {
            if ffi::lua_isfunction(l, -1) == 0 {
                raise(
                    l,
                    c"ERR callback argument given to redis.register_function must be a function",
                );
            }
            ffi::lua_replace(l, CALLBACK);
        } else if name.eq_ignore_ascii_case(b"flags") {
            read_flags(l, flags);
            ffi::lua_settop(l, -2);
        } else {
            raise(l, c"ERR unknown argument given to redis.register_function");
        }
    }
}

/// Reads the list of flags on top of the stack.
///
/// # Safety
/// As [`positional_arguments`].
unsafe fn read_flags(l: *mut lua_State, flags: &mut FunctionFlags) {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_istable(l, -1) == 0 {
            raise(
                l,
                c"ERR flags argument to redis.register_function must be a table representing \
                  function flags",
            );
        }
        let mut at = 1;
        loop {
            ffi::lua_rawgeti_(l, -1, at);
            if ffi::lua_type(l, -1) == ffi::LUA_TNIL {
                ffi::lua_settop(l, -2);
                return;
            }
            if !pull::text(l, -1).is_some_and(|name| flags.add(name)) {
                raise(l, c"ERR unknown flag given");
            }
            ffi::lua_settop(l, -2);
            at += 1;
        }
    }
}

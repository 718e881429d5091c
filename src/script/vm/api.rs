//! The table `redis`: everything in it but `call` and `pcall`, and its making.

use super::bridge::Bridge;
use super::chunk::LIBRARIES;
use super::{call, libraries, pull, register, sandbox, trace};
use crate::command;
use crate::error::{clipped, trimmed};
use crate::reply::Protocol;
use crate::script::{LogLevel, sha1_hex};
use memchr::memchr;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::CStr;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Function = (&'static CStr, ffi::lua_CFunction);

const FUNCTIONS: [Function; 12] = [
    (c"call", call::redis_call),
    (c"pcall", call::redis_pcall),
    (c"log", log),
    (c"sha1hex", sha1hex),
    (c"error_reply", error_reply),
    (c"status_reply", status_reply),
    (c"setresp", setresp),
    (c"set_repl", set_repl),
    (c"replicate_commands", replicate_commands),
    (c"acl_check_cmd", acl_check_cmd),
    (c"breakpoint", breakpoint),
    (c"debug", debug),
];

/// The version of Redis whose answers these are.
const VERSION: &CStr = c"7.0.15";

/// The flag of what replicas are told.
const REPL_REPLICA: i64 = 2;

const NUMBERS: [(&CStr, i32); 10] = [
    (c"REDIS_VERSION_NUM", 0x0007_000f),
    (c"LOG_DEBUG", 0),
    (c"LOG_VERBOSE", 1),
    (c"LOG_NOTICE", 2),
    (c"LOG_WARNING", 3),
    (c"REPL_NONE", 0),
    (c"REPL_AOF", 1),
    (c"REPL_SLAVE", REPL_REPLICA as i32),
    (c"REPL_REPLICA", REPL_REPLICA as i32),
    (c"REPL_ALL", 3),
];

/// Pushes what a registry reference stands for.
///
/// # Safety
/// A free stack slot. Allocates nothing and cannot raise.
#[inline]
pub(super) unsafe fn push_ref(l: *mut lua_State, reference: c_int) {
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, reference) }
}

/// Builds `redis` in a fresh state, and the references its functions need.
pub(super) fn install(state: &sandbox::State, bridge: &mut Bridge) -> Result<(), String> {
    let l = state.raw();
    // SAFETY: lua_cpcall protects `build`; the bridge is at its final address.
    let status = unsafe { ffi::lua_cpcall(l, build, std::ptr::from_mut(bridge).cast()) };
    // SAFETY: shortening the stack raises nothing.
    unsafe { ffi::lua_settop(l, 0) };
    match status {
        ffi::LUA_OK => Ok(()),
        _ => Err("the redis library could not be built".to_owned()),
    }
}

unsafe extern "C-unwind" fn build(l: *mut lua_State) -> c_int {
    // SAFETY: called by lua_cpcall with the bridge; nothing here owns anything.
    unsafe {
        let bridge = ffi::lua_touserdata(l, 1).cast::<Bridge>();
        let guard = super::Guard::of_state(l);
        guard.bridge.set(bridge.cast());
        ffi::lua_createtable(l, 0, 24);
        for (name, function) in FUNCTIONS {
            ffi::lua_pushcclosure(l, function, 0);
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        for (name, number) in NUMBERS {
            ffi::lua_pushnumber(l, number.into());
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        ffi::lua_pushstring_(l, VERSION.as_ptr());
        ffi::lua_setfield(l, -2, c"REDIS_VERSION".as_ptr());
        sandbox::add_library(l, guard, c"redis");
        libraries::install(l, guard, bridge);
        sandbox::push_globals(l, guard);
        (*bridge).globals = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        sandbox::push_with_libraries(l, guard, &LIBRARIES);
        (*bridge).fields = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        make_refs(l, bridge);
        register::install(l, guard, bridge);
        // The first release of a reference makes room for the list of free ones; done here, it
        // is protected, and later ones take no memory.
        ffi::lua_pushboolean(l, 0);
        let spare = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::luaL_unref(l, ffi::LUA_REGISTRYINDEX, spare);
        0
    }
}

/// Keeps the functions of a run and the strings that conversions need.
unsafe fn make_refs(l: *mut lua_State, bridge: *mut Bridge) {
    // SAFETY: under the protected call of build.
    unsafe {
        let refs = &mut (*bridge).refs;
        sandbox::push_function(l, super::Guard::of_state(l), trace::traced_handler);
        refs.handler = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_pushcclosure(l, call::run_protected, 0);
        refs.run = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        for kept in &mut (*bridge).kept {
            ffi::lua_createtable(l, 4, 0);
            kept.table = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        }
        for (reference, text) in [
            (&mut refs.keys_name, c"KEYS"),
            (&mut refs.argv_name, c"ARGV"),
            (&mut refs.ok, c"ok"),
            (&mut refs.ok_text, c"OK"),
            (&mut refs.pong_text, c"PONG"),
            (&mut refs.err, c"err"),
            (&mut refs.ignore, c"ignore_error_stats_update"),
            (&mut refs.double, c"double"),
            (&mut refs.map, c"map"),
            (&mut refs.set, c"set"),
            (&mut refs.big_number, c"big_number"),
            (&mut refs.verbatim, c"verbatim_string"),
            (&mut refs.format, c"format"),
            (&mut refs.string, c"string"),
            (&mut refs.source, c"source"),
            (&mut refs.line, c"line"),
        ] {
            ffi::lua_pushstring_(l, text.as_ptr());
            *reference = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        }
    }
}

/// Pushes `{err = text}`.
unsafe fn push_error(l: *mut lua_State, text: &CStr) {
    // SAFETY: called from a C function that owns nothing.
    unsafe {
        ffi::lua_createtable(l, 0, 3);
        ffi::lua_pushstring_(l, text.as_ptr());
        ffi::lua_setfield(l, -2, c"err".as_ptr());
    }
}

/// Raises `{err = text}`.
pub(super) unsafe fn raise(l: *mut lua_State, text: &CStr) -> ! {
    // SAFETY: called from a C function that owns nothing.
    unsafe {
        push_error(l, text);
        ffi::lua_error(l)
    }
}

/// `redis.log(level, text, ...)`
unsafe extern "C-unwind" fn log(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; `deliver` returns plain data, and nothing here owns anything.
    unsafe {
        let count = ffi::lua_gettop(l);
        if count < 2 {
            raise(l, c"ERR redis.log() requires two arguments or more.");
        }
        if ffi::lua_isnumber(l, 1) == 0 {
            raise(l, c"ERR First argument must be a number (log level).");
        }
        let level = match ffi::lua_tonumber(l, 1) as i64 {
            0 => LogLevel::Debug,
            1 => LogLevel::Verbose,
            2 => LogLevel::Notice,
            3 => LogLevel::Warning,
            _ => raise(l, c"ERR Invalid debug level."),
        };
        for index in 2..=count {
            // Numbers become strings in place, which may raise; so it is done first.
            ffi::lua_tolstring(l, index, std::ptr::null_mut());
        }
        if !deliver(l, level, count) {
            raise(l, c"ERR the log callback failed");
        }
        0
    }
}

/// Hands the strings on the stack to the host's callback; false if that panicked.
unsafe fn deliver(l: *mut lua_State, level: LogLevel, count: c_int) -> bool {
    // SAFETY: the bridge lives, and this call alone uses it until it returns.
    let bridge = unsafe { &mut *Bridge::of_state(l) };
    let Bridge { log: Some(sink), log_text, .. } = bridge else { return true };
    log_text.clear();
    for index in 2..=count {
        if index > 2 {
            log_text.push(b' ');
        }
        // SAFETY: the index is on the stack.
        log_text.extend_from_slice(unsafe { pull::text(l, index) }.unwrap_or_default());
    }
    match catch_unwind(AssertUnwindSafe(|| sink(level, log_text))) {
        Ok(()) => true,
        Err(panic) => {
            bridge.panic = Some(panic);
            false
        }
    }
}

/// `redis.sha1hex(text)`
unsafe extern "C-unwind" fn sha1hex(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            raise(l, c"ERR wrong number of arguments");
        }
        ffi::lua_tolstring(l, 1, std::ptr::null_mut());
        let hex = sha1_hex(pull::text(l, 1).unwrap_or_default());
        ffi::lua_pushlstring_(l, hex.as_ptr().cast(), hex.len());
        1
    }
}

/// `redis.error_reply(text)`: a text without a code gets `ERR` in front. Line ends around what
/// follows the code are taken away.
unsafe extern "C-unwind" fn error_reply(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let Some(text) = only_string(l) else { return 1 };
        let text = clipped(text.strip_prefix(b"-").unwrap_or(text), usize::MAX);
        let (code, message) = match memchr(b' ', text) {
            Some(end) => text.split_at(end + 1),
            None => (&b"ERR "[..], text),
        };
        let message = trimmed(message);
        ffi::lua_createtable(l, 0, 3);
        ffi::lua_pushlstring_(l, code.as_ptr().cast(), code.len());
        ffi::lua_pushlstring_(l, message.as_ptr().cast(), message.len());
        ffi::lua_concat(l, 2);
        ffi::lua_setfield(l, -2, c"err".as_ptr());
        1
    }
}

/// `redis.status_reply(text)`
unsafe extern "C-unwind" fn status_reply(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if only_string(l).is_none() {
            return 1;
        }
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_setfield(l, -2, c"ok".as_ptr());
        1
    }
}

/// The one argument, if it is a string; else pushes the error table that is the result.
unsafe fn only_string<'a>(l: *mut lua_State) -> Option<&'a [u8]> {
    // SAFETY: called from a C function that owns nothing.
    unsafe {
        if ffi::lua_gettop(l) != 1 || ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            push_error(l, c"ERR wrong number or type of arguments");
            return None;
        }
        pull::text(l, 1)
    }
}

/// `redis.setresp(2 | 3)`
unsafe extern "C-unwind" fn setresp(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            raise(l, c"ERR redis.setresp() requires one argument.");
        }
        let protocol = match ffi::lua_tonumber(l, 1) as i64 {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => raise(l, c"ERR RESP version must be 2 or 3."),
        };
        if let Some(current) = &mut (*Bridge::of_state(l)).current {
            current.protocol = protocol;
        }
        0
    }
}

/// `redis.set_repl(flags)`: whether replicas are told what the script does from here on.
unsafe extern "C-unwind" fn set_repl(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            raise(l, c"ERR redis.set_repl() requires two arguments.");
        }
        let flags = pull::truncated(ffi::lua_tonumber(l, 1));
        if flags & !3 != 0 {
            raise(
                l,
                c"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            );
        }
        if let Some(current) = (*Bridge::of_state(l)).current {
            (*current.keys).news_mut().feed.muted = flags & REPL_REPLICA == 0;
        }
        0
    }
}

/// `redis.replicate_commands()`: always so.
unsafe extern "C-unwind" fn replicate_commands(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { ffi::lua_pushboolean(l, 1) };
    1
}

/// `redis.acl_check_cmd(command, ...)`: whether who runs the script may make a call.
unsafe extern "C-unwind" fn acl_check_cmd(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let count = ffi::lua_gettop(l);
        if count == 0 {
            raise(l, c"ERR Please specify at least one argument for this redis lib call");
        }
        for index in 1..=count {
            if ffi::lua_isstring(l, index) == 0 {
                raise(l, c"ERR Lua redis lib command arguments must be strings or integers");
            }
            ffi::lua_tolstring(l, index, std::ptr::null_mut());
        }
        let name = pull::text(l, 1).unwrap_or_default();
        let is_hosted = (*Bridge::of_state(l)).hosted.find(name).is_some();
        if !is_hosted && !command::is_known(name, pull::text(l, 2)) {
            raise(l, c"ERR Invalid command passed to redis.acl_check_cmd()");
        }
        ffi::lua_pushboolean(l, may_call(l, count).into());
        1
    }
}

/// Whether who runs the script may make the call on the stack.
///
/// # Safety
/// Called from a C function, with so many strings on the stack. Cannot raise.
unsafe fn may_call(l: *mut lua_State, count: c_int) -> bool {
    // SAFETY: the strings stay on the stack; what the engine knows of itself is borrowed by the run.
    unsafe {
        let Some(current) = (*Bridge::of_state(l)).current else { return true };
        let argv: Vec<&[u8]> =
            (1..=count).map(|at| pull::text(l, at).unwrap_or_default()).collect();
        command::may_call(&*current.server, &argv)
    }
}

/// `redis.breakpoint()`: no debugger is attached, and it says so.
unsafe extern "C-unwind" fn breakpoint(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { ffi::lua_pushboolean(l, 0) };
    1
}

/// `redis.debug(...)`: without a debugger it does nothing.
unsafe extern "C-unwind" fn debug(_: *mut lua_State) -> c_int {
    0
}

//! The bare limit: the same Lua with nothing but a raw C function that reads its arguments, makes
//! one hash-table access and returns what the command would return.

use hashbrown::HashMap;
use mlua_sys as ffi;
use std::ffi::CString;
use std::os::raw::{c_int, c_void};
use std::time::{Duration, Instant};

/// The table: what every command here does with it is one look-up and one small change.
type Table = HashMap<Vec<u8>, i64>;

/// A stock Lua state with one C function.
pub struct Bare {
    l: *mut ffi::lua_State,
    table: *mut Table,
}

impl Bare {
    pub fn new() -> Bare {
        let table = Box::into_raw(Box::new(Table::new()));
        // SAFETY: a fresh state; no Rust value is owned by a frame Lua could jump over.
        unsafe {
            let l = ffi::luaL_newstate();
            ffi::lua_createtable(l, 0, 2);
            for (name, function) in [
                (c"call", call as ffi::lua_CFunction),
                (c"status", call_status),
                (c"text", call_text),
            ] {
                ffi::lua_pushlightuserdata(l, table.cast::<c_void>());
                ffi::lua_pushcclosure(l, function, 1);
                ffi::lua_setfield(l, -2, name.as_ptr());
            }
            ffi::lua_setglobal(l, c"redis".as_ptr());
            Bare { l, table }
        }
    }

    /// The time of `calls` calls in a loop.
    pub fn run_loop(&self, call: &str, key: &str, calls: u32) -> Duration {
        // The bare function answers with the kind of value that the command answers with.
        let function = match call.split('\'').nth(1) {
            Some("SET") => "redis.status",
            Some("GET" | "HGET" | "RPOP") => "redis.text",
            _ => "redis.call",
        };
        let script = format!("local c, k = {function}, '{key}' for i = 1, {calls} do {call} end");
        self.load(&script);
        let start = Instant::now();
        // SAFETY: the function was pushed by load.
        let status = unsafe { ffi::lua_pcall(self.l, 0, 0, 0) };
        assert_eq!(status, ffi::LUA_OK);
        start.elapsed()
    }

    /// The time of `runs` whole runs: KEYS and ARGV made anew, pcall, the result read.
    pub fn run_whole(&self, script: &str, key: &str, runs: u32) -> Duration {
        self.load(script);
        let start = Instant::now();
        for _ in 0..runs {
            // SAFETY: the function stays at index 1; every push fits a fresh stack.
            unsafe {
                let l = self.l;
                ffi::lua_createtable(l, 1, 0);
                ffi::lua_pushlstring_(l, key.as_ptr().cast(), key.len());
                ffi::lua_rawseti_(l, -2, 1);
                ffi::lua_setglobal(l, c"KEYS".as_ptr());
                ffi::lua_createtable(l, 0, 0);
                ffi::lua_setglobal(l, c"ARGV".as_ptr());
                ffi::lua_pushvalue(l, 1);
                assert_eq!(ffi::lua_pcall(l, 0, 1, 0), ffi::LUA_OK);
                assert!(ffi::lua_tonumber(l, -1) > 0.0);
                ffi::lua_settop(l, 1);
            }
        }
        start.elapsed()
    }

    fn load(&self, script: &str) {
        let text = CString::new(script).expect("a script without NUL");
        // SAFETY: the state is open.
        let status = unsafe { ffi::luaL_loadstring(self.l, text.as_ptr()) };
        assert_eq!(status, ffi::LUA_OK);
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: both were made by new; the state goes first.
        unsafe {
            ffi::lua_close(self.l);
            drop(Box::from_raw(self.table));
        }
    }
}

/// Reads all arguments and makes one access; returns the new number.
unsafe fn access(l: *mut ffi::lua_State) -> i64 {
    // SAFETY: called by Lua with the table as upvalue; nothing is owned when Lua could raise.
    unsafe {
        let table = &mut *ffi::lua_touserdata(l, ffi::lua_upvalueindex(1)).cast::<Table>();
        let mut read = 0;
        for index in 1..=ffi::lua_gettop(l) {
            let mut len = 0;
            ffi::lua_tolstring(l, index, &raw mut len);
            read += len;
        }
        std::hint::black_box(read);
        let mut len = 0;
        let key = ffi::lua_tolstring(l, 2, &raw mut len);
        let key = std::slice::from_raw_parts(key.cast::<u8>(), len);
        let value = table.entry_ref(key).or_insert(0);
        *value += 1;
        *value
    }
}

unsafe extern "C-unwind" fn call(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see access.
    unsafe {
        let value = access(l);
        ffi::lua_pushnumber(l, value as f64);
    }
    1
}

unsafe extern "C-unwind" fn call_text(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see access.
    unsafe {
        access(l);
        ffi::lua_pushlstring_(l, c"value".as_ptr(), 5);
    }
    1
}

unsafe extern "C-unwind" fn call_status(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see access.
    unsafe {
        access(l);
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushlstring_(l, c"OK".as_ptr(), 2);
        ffi::lua_setfield(l, -2, c"ok".as_ptr());
    }
    1
}

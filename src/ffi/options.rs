//! `kv_options`: checked and turned into [`Options`].

use super::bytes::{Room, kv_bytes, list};
use super::panic::{Failure, guard_quiet};
use crate::options::{Clock, LuaFalse, LuaRandom, OnError, Options};
use crate::reply::Protocol;
use std::ffi::CStr;
use std::ptr;
use std::time::Duration;

/// A script that raises an error, is stopped at a limit or cancelled leaves no trace. The default.
pub const KV_ON_ERROR_ROLLBACK: u32 = 0;
/// As in Redis: what a script wrote before its error stays.
pub const KV_ON_ERROR_KEEP: u32 = 1;
/// math.random is an error in scripts. The default.
pub const KV_LUA_RANDOM_DENIED: u32 = 0;
/// As in Redis: math.random gives the same sequence in every run.
pub const KV_LUA_RANDOM_SEEDED: u32 = 1;
/// As in a Redis server: that sequence goes on from run to run.
pub const KV_LUA_RANDOM_CONTINUED: u32 = 2;
/// As in Redis: a script's false becomes nil. The default.
pub const KV_LUA_FALSE_NIL: u32 = 0;
/// A script's false becomes the integer 0, as its true becomes 1.
pub const KV_LUA_FALSE_INTEGER: u32 = 1;
/// The time is the system's. The default.
pub const KV_CLOCK_SYSTEM: u32 = 0;
/// The time is the program's own: it moves by kv_clock_advance only.
pub const KV_CLOCK_MANUAL: u32 = 1;

/// What an engine is opened with. Fill it with kv_options_init, then change what you like: a
/// struct of zeros has no limits on scripts and a struct_size that is refused.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct kv_options {
    /// The size of the struct the program was compiled with, in bytes; set by kv_options_init.
    /// Later versions add fields at the end; a program that does not know them gets defaults.
    pub struct_size: usize,
    /// What becomes of a failed script's writes: one of KV_ON_ERROR_...
    pub on_error: u32,
    /// What math.random does in scripts: one of KV_LUA_RANDOM_...
    pub lua_random: u32,
    /// What a script's false becomes: one of KV_LUA_FALSE_...
    pub lua_false: u32,
    /// The shape of replies: 2 or 3 as in HELLO of Redis, 0 for the default, which is 2. Only
    /// under 3 there are doubles, booleans, maps, sets, big numbers and verbatim strings; under 2
    /// they are strings, integers and arrays.
    pub protocol: u32,
    /// Where the time comes from: one of KV_CLOCK_...
    pub clock: u32,
    /// 1 to keep the time that scripts take, for kv_script_stats. Default 0: the clock would be read
    /// twice in each run.
    pub script_statistics: u32,
    /// Where KV_CLOCK_MANUAL begins, in milliseconds since 1970. Default 0.
    pub clock_start_ms: i64,
    /// The longest a script may run, in milliseconds. Default 5000; 0 for no limit.
    pub script_timeout_ms: u64,
    /// The most memory a script may add to the Lua heap, in bytes. Default 256 MiB, at least
    /// 65536; 0 for no limit.
    pub script_memory_bytes: u64,
    /// The most Lua instructions a script may execute, checked every few thousand. Unlike time the
    /// same on every machine. Default 0, no limit.
    pub script_instructions: u64,
    /// How many databases there are, for SELECT. Default 16.
    pub databases: u64,
    /// How long a call waits for the end of another session's transaction before it is an error,
    /// in milliseconds. Default 5000; 0 for as long as it takes.
    pub busy_timeout_ms: u64,
    /// The number of pairs in config. Default 0.
    pub config_count: usize,
    /// Borrowed for the call of kv_open. Parameters of CONFIG SET such as
    /// hash-max-listpack-entries, each followed by its value: twice config_count strings. May be
    /// NULL if that is 0.
    pub config: *const kv_bytes,
    /// Borrowed for the call of kv_open. The directory in which SAVE and its like write files and
    /// from which kv_load reads. Default empty: an engine touches no file unless it is asked to, so
    /// those are errors.
    pub directory: kv_bytes,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kv_options>() == 112);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(std::mem::offset_of!(kv_options, clock_start_ms) == 32);

/// The struct's size in the first version: no program has a smaller one.
const SMALLEST: usize = std::mem::offset_of!(kv_options, databases);

const BAD_SIZE: &CStr = c"ERR invalid options: struct_size is not the size of kv_options; \
    use kv_options_init";
const TOO_NEW: &CStr = c"ERR invalid options: struct_size is of a newer moonkv.h than the library";
const BAD_ON_ERROR: &CStr = c"ERR invalid options: on_error must be one of KV_ON_ERROR_...";
const BAD_RANDOM: &CStr = c"ERR invalid options: lua_random must be one of KV_LUA_RANDOM_...";
const BAD_FALSE: &CStr = c"ERR invalid options: lua_false must be one of KV_LUA_FALSE_...";
const BAD_PROTOCOL: &CStr = c"ERR invalid options: protocol must be 0, 2 or 3";
const BAD_CLOCK: &CStr = c"ERR invalid options: clock must be one of KV_CLOCK_...";
const BAD_STATISTICS: &CStr = c"ERR invalid options: script_statistics must be 0 or 1";
const BAD_MEMORY: &CStr = c"ERR invalid options: script_memory_bytes is out of range";

/// Fills in the defaults for a struct of a given size. Programs in C call kv_options_init, which
/// passes the size they were compiled with; this is for those who cannot use it, such as bindings.
///
/// @param options      Written. NULL does nothing.
/// @param struct_size  The size of what options points to, in bytes; no more is written.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_options_fill(options: *mut kv_options, struct_size: usize) {
    guard_quiet(|| {
        if options.is_null() {
            return;
        }
        let defaults = kv_options { struct_size, ..kv_options::default() };
        let len = struct_size.min(size_of::<kv_options>());
        // SAFETY: not NULL, and the caller vouches for struct_size bytes behind it. The source is
        // as long and has no padding.
        unsafe {
            ptr::from_ref(&defaults).cast::<u8>().copy_to_nonoverlapping(options.cast(), len);
        }
    });
}

impl Default for kv_options {
    fn default() -> kv_options {
        let defaults = Options::default();
        let ms = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_millis() as u64);
        kv_options {
            struct_size: size_of::<kv_options>(),
            on_error: KV_ON_ERROR_ROLLBACK,
            lua_random: KV_LUA_RANDOM_DENIED,
            lua_false: KV_LUA_FALSE_NIL,
            protocol: 0,
            clock: KV_CLOCK_SYSTEM,
            script_statistics: defaults.script_statistics.into(),
            clock_start_ms: 0,
            script_timeout_ms: ms(defaults.script_timeout),
            script_memory_bytes: defaults.script_memory.map_or(0, |limit| limit as u64),
            script_instructions: defaults.script_instructions.unwrap_or(0),
            databases: defaults.databases as u64,
            busy_timeout_ms: ms(defaults.busy_timeout),
            config_count: 0,
            config: ptr::null(),
            directory: kv_bytes { data: ptr::null(), len: 0 },
        }
    }
}

impl kv_options {
    /// Reads as much of the struct as the caller has; the rest are defaults.
    ///
    /// # Safety
    /// `options` must be NULL or point to at least a `struct_size`, and to as many bytes as that
    /// says.
    pub(super) unsafe fn read(options: *const kv_options) -> Result<Options, Failure> {
        if options.is_null() {
            return Ok(Options::default());
        }
        let mut read = kv_options::default();
        // SAFETY: not NULL; the size is the first field and always there.
        let size = unsafe { options.cast::<usize>().read() };
        match size {
            0..SMALLEST => return Err(BAD_SIZE.into()),
            // A mistake and a newer header look alike up to a point.
            4097.. => return Err(BAD_SIZE.into()),
            // Every version ends with a whole field.
            size if size % size_of::<u64>() != 0 => return Err(BAD_SIZE.into()),
            size if size > size_of::<kv_options>() => return Err(TOO_NEW.into()),
            // SAFETY: the caller vouches for so many bytes, and the copy has room for them. Every
            // field is a plain number or pointer: any bytes are a value.
            size => unsafe {
                let place = ptr::from_mut(&mut read).cast::<u8>();
                options.cast::<u8>().copy_to_nonoverlapping(place, size);
            },
        }
        let mut options = read.checked()?;
        // SAFETY: the caller vouches for what the struct points to.
        options.config = unsafe { read.parameters()? };
        // SAFETY: the same.
        options.directory = unsafe { read.directory.path()? };
        Ok(options)
    }

    /// The parameters and their values. Bytes that are not UTF-8 are part of no parameter.
    ///
    /// # Safety
    /// `config` must be NULL or point to twice `config_count` strings.
    unsafe fn parameters(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut room = Room::new();
        // SAFETY: the caller's promise; a count beyond all sense stays one.
        let texts = unsafe { list(&mut room, self.config_count.saturating_mul(2), self.config)? };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs = texts.chunks_exact(2).filter_map(|pair| pair.first().zip(pair.last()));
        Ok(pairs.map(|(name, value)| (text(name), text(value))).collect())
    }

    fn checked(&self) -> Result<Options, Failure> {
        let mut options = Options::default();
        options.on_error = match self.on_error {
            KV_ON_ERROR_ROLLBACK => OnError::Rollback,
            KV_ON_ERROR_KEEP => OnError::Keep,
            _ => return Err(BAD_ON_ERROR.into()),
        };
        options.lua_random = match self.lua_random {
            KV_LUA_RANDOM_DENIED => LuaRandom::Denied,
            KV_LUA_RANDOM_SEEDED => LuaRandom::Seeded,
            KV_LUA_RANDOM_CONTINUED => LuaRandom::Continued,
            _ => return Err(BAD_RANDOM.into()),
        };
        options.lua_false = match self.lua_false {
            KV_LUA_FALSE_NIL => LuaFalse::Nil,
            KV_LUA_FALSE_INTEGER => LuaFalse::Integer,
            _ => return Err(BAD_FALSE.into()),
        };
        options.protocol = match self.protocol {
            0 => options.protocol,
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(BAD_PROTOCOL.into()),
        };
        options.clock = match self.clock {
            KV_CLOCK_SYSTEM => Clock::System,
            KV_CLOCK_MANUAL => Clock::Manual { start_ms: self.clock_start_ms },
            _ => return Err(BAD_CLOCK.into()),
        };
        self.limits(&mut options)?;
        Ok(options)
    }

    /// The options that are numbers; most stand for no limit if they are 0.
    fn limits(&self, options: &mut Options) -> Result<(), Failure> {
        let limit = |value: u64| (value > 0).then_some(value);
        let memory = usize::try_from(self.script_memory_bytes).map_err(|_| BAD_MEMORY)?;
        options.script_timeout = limit(self.script_timeout_ms).map(Duration::from_millis);
        options.script_memory = (memory > 0).then_some(memory);
        options.script_instructions = limit(self.script_instructions);
        options.busy_timeout = limit(self.busy_timeout_ms).map(Duration::from_millis);
        // What is too many stays so.
        options.databases = usize::try_from(self.databases).unwrap_or(usize::MAX);
        options.script_statistics = match self.script_statistics {
            0 => false,
            1 => true,
            _ => return Err(BAD_STATISTICS.into()),
        };
        Ok(())
    }
}

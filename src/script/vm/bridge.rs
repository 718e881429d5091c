//! What the C functions of one VM share with the Rust side of it.
//!
//! A [`Bridge`] is at a stable address, which the state's guard knows. During
//! a run it points to what the run works on; those pointers are set before Lua is entered and
//! cleared after it is left, so a C function that runs at all may follow them.

use super::chunk::Reach;
use super::guard::Guard;
#[cfg(feature = "luajit")]
use super::hoist::Hoisted;
use super::libraries::Libraries;
use super::register::{Registered, Worlds};
use super::trace::Trace;
use super::{Function, Run};
use crate::command::{self, Found, Registry, Watched};
use crate::keyspace::Keyspace;
use crate::number::IntText;
use crate::reply::{Protocol, ReplyBuf};
use crate::script::{Kind, LogCallback, Story};
use crate::server::Server;
use mlua_sys as ffi;
use std::any::Any;
use std::ffi::CStr;
use std::os::raw::c_int;
use std::sync::Arc;
use std::time::Instant;

/// Bytes that somebody else keeps alive.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) start: *const u8,
    pub(super) len: usize,
}

impl Text {
    pub(super) const NONE: Text = Text { start: std::ptr::null(), len: 0 };

    pub(super) fn of(bytes: &[u8]) -> Text {
        Text { start: bytes.as_ptr(), len: bytes.len() }
    }
}

/// The run that is under way.
#[derive(Clone, Copy)]
pub(super) struct Current {
    pub(super) function: Function,
    pub(super) argv_keys: *const [&'static [u8]],
    pub(super) argv_args: *const [&'static [u8]],
    pub(super) keys: *mut Keyspace,
    pub(super) server: *mut Server,
    pub(super) reply: *mut ReplyBuf,
    pub(super) read_only: bool,
    /// Which of its calls are looked at one by one.
    pub(super) watched: Watched,
    name: *const [u8],
    called: *const [u8],
    /// What `redis.setresp` chose: the shape of what commands answer to the script.
    pub(super) protocol: Protocol,
}

impl Current {
    pub(super) fn new(function: Function, run: Run<'_>) -> Current {
        let watched = command::watched(run.keys, run.server);
        Current {
            function,
            watched,
            argv_keys: long_lived(run.input.keys),
            argv_args: long_lived(run.input.args),
            keys: run.keys,
            server: run.server,
            reply: run.reply,
            read_only: run.read_only,
            name: run.name,
            called: run.input.called,
            protocol: Protocol::Resp2,
        }
    }
}

/// Forgets how long texts live: the run that borrows them outlives every use of the pointer.
#[expect(clippy::unnecessary_cast, reason = "it changes the lifetime")]
fn long_lived<'a>(texts: &'a [&'a [u8]]) -> *const [&'static [u8]] {
    std::ptr::from_ref(texts) as *const [&'static [u8]]
}

/// Registry references made once: functions of the run and strings that conversions need, so
/// that they are interned once and looked up by pointer.
pub(super) struct Refs {
    pub(super) handler: c_int,
    pub(super) run: c_int,
    pub(super) keys_name: c_int,
    pub(super) argv_name: c_int,
    pub(super) ok: c_int,
    pub(super) ok_text: c_int,
    pub(super) pong_text: c_int,
    pub(super) err: c_int,
    pub(super) ignore: c_int,
    pub(super) double: c_int,
    pub(super) map: c_int,
    pub(super) set: c_int,
    pub(super) big_number: c_int,
    pub(super) verbatim: c_int,
    pub(super) format: c_int,
    pub(super) string: c_int,
    pub(super) source: c_int,
    pub(super) line: c_int,
}

/// A table that is filled anew for each script which never has it in its hands, so that a short run
/// leaves nothing behind to be collected.
pub(super) struct Kept {
    /// Its registry reference.
    pub(super) table: c_int,
    /// How many elements there may be in it.
    pub(super) filled: usize,
}

impl Kept {
    const NONE: Kept = Kept { table: ffi::LUA_NOREF, filled: 0 };
}

impl Refs {
    const NONE: Refs = {
        const NO: c_int = ffi::LUA_NOREF;
        Refs {
            handler: NO,
            run: NO,
            keys_name: NO,
            argv_name: NO,
            ok: NO,
            ok_text: NO,
            pong_text: NO,
            err: NO,
            ignore: NO,
            double: NO,
            map: NO,
            set: NO,
            big_number: NO,
            verbatim: NO,
            format: NO,
            string: NO,
            source: NO,
            line: NO,
        }
    };
}

/// Longest command name the name cache keeps.
const NAME_MOST: usize = 16;

/// A command name in two words and its length: two names are equal where these are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed([u64; 2], usize);

impl Packed {
    const NONE: Packed = Packed([0; 2], usize::MAX);

    /// A name of at most [`NAME_MOST`] bytes, read in few loads, which may overlap.
    #[inline]
    fn of(name: &[u8]) -> Option<Packed> {
        let words = match name {
            _ if name.len() > NAME_MOST => return None,
            _ if name.len() >= 8 => {
                [u64::from_le_bytes(*name.first_chunk()?), u64::from_le_bytes(*name.last_chunk()?)]
            }
            _ if name.len() >= 4 => [
                u32::from_le_bytes(*name.first_chunk()?).into(),
                u32::from_le_bytes(*name.last_chunk()?).into(),
            ],
            _ => [name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0],
        };
        Some(Packed(words, name.len()))
    }
}

/// Finds a command by the address of its name's interned string, before any hashing. The text
/// is compared too, because an address may be used again for another string.
pub(super) struct Names([(Packed, Option<Found>); Names::SIZE]);

impl Names {
    const SIZE: usize = 64;

    fn new() -> Names {
        Names([(Packed::NONE, None); Names::SIZE])
    }

    #[inline]
    pub(super) fn find(&mut self, name: &[u8]) -> Option<Found> {
        let Some(packed) = Packed::of(name) else { return crate::command::find(name) };
        let address = name.as_ptr() as usize;
        let known = &mut self.0[((address >> 4) ^ (address >> 10)) % Names::SIZE];
        if known.0 == packed {
            return known.1;
        }
        let command = crate::command::find(name)?;
        *known = (packed, Some(command));
        Some(command)
    }
}

/// What the C functions of one VM share with Rust.
pub(super) struct Bridge {
    pub(super) current: Option<Current>,
    /// Whether the run has called a command that writes.
    pub(super) wrote: bool,
    /// What a command answered to the script.
    pub(super) answer: ReplyBuf,
    pub(super) names: Names,
    /// The commands that the host has added, for names that are not in the table.
    pub(super) hosted: Arc<Registry>,
    pub(super) refs: Refs,
    /// `false` becomes integer 0.
    pub(super) false_is_zero: bool,
    pub(super) log: Option<LogCallback>,
    /// A message of `redis.log` while it is put together.
    pub(super) log_text: Vec<u8>,
    /// A panic of a command or callback, carried around Lua's frames.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    pub(super) to_compile: Text,
    /// What the compiled text is called in errors.
    pub(super) chunk_name: &'static CStr,
    pub(super) compiled: c_int,
    /// What was seen of it.
    pub(super) reach: Reach,
    pub(super) takes_elements_only: bool,
    /// What is loaded in its place.
    #[cfg(feature = "luajit")]
    pub(super) hoisted: Option<Hoisted>,
    /// The tables that are KEYS and ARGV of scripts which never have them in their hands.
    pub(super) kept: [Kept; 2],
    pub(super) libraries: Libraries,
    /// The real globals table, a registry reference.
    pub(super) globals: c_int,
    /// The same with the real libraries in it.
    pub(super) fields: c_int,
    /// What libraries of functions see.
    pub(super) worlds: Worlds,
    /// What the library that loads has registered; none while none loads.
    pub(super) loading: Option<Vec<Registered>>,
    /// What was being called when the run failed.
    pub(super) trace: Option<Trace>,
}

// SAFETY: the raw pointers are null or cleared between runs, and a run stays on one thread.
unsafe impl Send for Bridge {}

impl Bridge {
    pub(super) fn new(false_is_zero: bool) -> Bridge {
        Bridge {
            current: None,
            wrote: false,
            answer: ReplyBuf::new(),
            names: Names::new(),
            hosted: Arc::default(),
            refs: Refs::NONE,
            false_is_zero,
            log: None,
            log_text: Vec::new(),
            panic: None,
            to_compile: Text::NONE,
            chunk_name: c"",
            compiled: ffi::LUA_NOREF,
            reach: Reach::Anything,
            takes_elements_only: false,
            #[cfg(feature = "luajit")]
            hoisted: None,
            kept: [Kept::NONE, Kept::NONE],
            libraries: Libraries::default(),
            globals: ffi::LUA_NOREF,
            fields: ffi::LUA_NOREF,
            worlds: Worlds::NONE,
            loading: None,
            trace: None,
        }
    }

    /// Whose text runs, and the time in milliseconds after which it runs for long; none while
    /// nothing runs that others are to see.
    ///
    /// # Safety
    /// Called when a look is taken at the run: nothing else uses its keys.
    pub(super) unsafe fn kind_and_threshold(&self) -> Option<(Kind, u64)> {
        let current = self.current?;
        let kind = if current.function.is_callback { Kind::Function } else { Kind::Script };
        // SAFETY: the keyspace outlives the run; the caller's promise.
        Some((kind, unsafe { (*current.keys).limits().busy_reply_ms }))
    }

    /// What the run says of itself.
    ///
    /// # Safety
    /// As above.
    pub(super) unsafe fn story(&self, since: Instant) -> Story {
        let Some(current) = self.current else {
            return Story { name: Vec::new(), command: Vec::new(), since };
        };
        // SAFETY: the run borrows what these point to for longer than it lasts.
        let (name, called, keys, args) =
            unsafe { (&*current.name, &*current.called, &*current.argv_keys, &*current.argv_args) };
        let count = IntText::new(keys.len() as i64);
        let head = [called, name, count.as_bytes()];
        let words = head.into_iter().chain(keys.iter().copied()).chain(args.iter().copied());
        Story { name: name.to_vec(), command: words.map(<[u8]>::to_vec).collect(), since }
    }

    /// The bridge of a state.
    ///
    /// # Safety
    /// `api::install` has been called on the state.
    #[inline]
    pub(super) unsafe fn of_state(l: *mut ffi::lua_State) -> *mut Bridge {
        // SAFETY: install set the address, and the bridge outlives the state's use.
        unsafe { Guard::of_state(l).bridge.get().cast() }
    }
}

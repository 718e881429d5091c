//! The Lua VM: the only room that touches Lua's C API.
//!
//! `sandbox.rs` opens a state and builds the world scripts see; `guard/` and `alloc.rs` keep a
//! run within its limits; `chunk.rs` sees in a compiled script which of the world's proxies it can do
//! without; `base.rs`, `tables.rs`, `load.rs`, `coroutine.rs`, `math.rs`, `strings.rs`, `format.rs` and
//! `patterns.rs` stand in for the library functions that are unsafe, unstoppable or not deterministic;
//! `call.rs` is `redis.call`, `api.rs` the rest of `redis.*`; `push.rs` and
//! `pull.rs` convert replies to Lua values and back; `register.rs` is where libraries of functions
//! load; `cjson.rs`, `cmsgpack.rs`, `structure.rs` and
//! `bit.rs` are the libraries of those names. Where LuaJIT runs the scripts, `watchdog.rs` stops what it
//! compiled, `dialect.rs` makes its libraries those of Lua 5.1, and `hoist.rs` finds functions that
//! need not be made in each run. This file ties them to one run.
//!
//! Lua raises by longjmp. So no Rust frame that owns anything is on the stack when Lua can raise:
//! a C function calls an inner function that does all Rust work and returns plain data, and only
//! then, owning nothing, pushes results or raises. Whatever takes memory runs under a protected
//! call.

mod alloc;
mod api;
mod base;
mod bit;
mod bridge;
mod call;
mod chunk;
mod cjson;
mod cmsgpack;
mod coroutine;
#[cfg(feature = "luajit")]
mod dialect;
#[cfg_attr(feature = "luajit", allow(dead_code, reason = "LuaJIT's own formats there"))]
mod format;
mod guard;
#[cfg(feature = "luajit")]
mod hoist;
mod json_decode;
mod json_encode;
mod libraries;
mod load;
mod locale;
mod math;
mod output;
mod patterns;
mod peek;
mod profiler;
mod proxy;
mod pull;
mod push;
mod register;
mod sandbox;
mod strings;
mod structure;
mod tables;
mod trace;
#[cfg(feature = "luajit")]
mod watchdog;

use super::profile::CallTree;
use super::running::Running;
use super::{Input, LogCallback};
use crate::command::Registry;
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::options::{self, LuaFalse, LuaRandom, Options};
use crate::reply::ReplyBuf;
use crate::server::Server;
use bridge::{Bridge, Current, Text};
use chunk::Reach;
use guard::{Doom, Guard, Limits};
use locale::LocaleGuard;
use math::RandomMode;
use mlua_sys as ffi;
pub(crate) use register::{Registered, is_name};
use std::ffi::CStr;
use std::os::raw::{c_int, c_void};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use trace::Trace;

/// What a script is called in errors.
const SCRIPT: &CStr = c"@user_script";

/// How long a library may take to load, whatever scripts may: as in Redis.
const LOAD_TIME_MOST: Duration = Duration::from_millis(500);

/// A compiled script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    /// Its reference in the registry of its VM.
    reference: c_int,
    /// It takes keys and arguments as its own, and sees what functions of libraries see.
    is_callback: bool,
    /// Whether it may read KEYS: if not, the table is not made.
    uses_keys: bool,
    /// The same of ARGV.
    uses_argv: bool,
    /// Whether it reads the libraries themselves: they are in a table of globals of its own, where
    /// its KEYS and ARGV are.
    has_libraries: bool,
    /// Whether KEYS and ARGV are never in its hands: they may be tables that other runs had.
    takes_elements_only: bool,
}

impl Function {
    /// A global can be reached by its name in the text, by `_G`, or by compiling more text; a
    /// script with none of the three cannot see it.
    fn new(reference: c_int, source: &[u8], seen: &Bridge) -> Function {
        let any = sees_all(source);
        Function {
            reference,
            is_callback: false,
            uses_keys: any || names(source, "KEYS"),
            uses_argv: any || names(source, "ARGV"),
            has_libraries: seen.reach == Reach::ReadsFields,
            takes_elements_only: !any && seen.takes_elements_only,
        }
    }

    /// A function that a library registered.
    fn callback(reference: c_int) -> Function {
        Function {
            reference,
            is_callback: true,
            uses_keys: false,
            uses_argv: false,
            has_libraries: false,
            takes_elements_only: false,
        }
    }
}

fn names(source: &[u8], name: &str) -> bool {
    memchr::memmem::find(source, name.as_bytes()).is_some()
}

/// Whether a text may see globals that it does not name: by `_G`, or by compiling more text.
fn sees_all(source: &[u8]) -> bool {
    names(source, "_G") || names(source, "load")
}

/// Everything one run works on.
pub(crate) struct Run<'a> {
    pub(crate) input: &'a Input<'a>,
    /// Writes are errors.
    pub(crate) read_only: bool,
    /// What it is called by: its SHA-1, or the function's name.
    pub(crate) name: &'a [u8],
    pub(crate) keys: &'a mut Keyspace,
    pub(crate) server: &'a mut Server,
    pub(crate) reply: &'a mut ReplyBuf,
}

/// Why a run failed.
pub(crate) struct Failure {
    /// The error's text, one or more lines.
    pub(crate) message: Vec<u8>,
    /// The chunk and line where it was raised, where that is known.
    pub(crate) place: Option<(Vec<u8>, i64)>,
    /// What was being called.
    pub(crate) trace: Trace,
}

/// The limits that hold again after a call that had its own.
#[derive(Clone, Copy)]
pub(crate) struct LimitsBefore(Limits);

/// One Lua state with the sandbox and `redis.*` in it.
pub(crate) struct Vm {
    state: sandbox::State,
    /// At a stable address: C closures carry it.
    bridge: Box<Bridge>,
    limits: Limits,
}

impl Vm {
    pub(crate) fn new(options: &Options, shared: Arc<Running>) -> Result<Vm, String> {
        let random = match options.lua_random {
            LuaRandom::Denied => RandomMode::Denied,
            LuaRandom::Seeded => RandomMode::Seeded,
            LuaRandom::Continued => RandomMode::Continued,
        };
        let state = sandbox::open(Guard::new(shared, random))?;
        let mut bridge = Box::new(Bridge::new(options.lua_false == LuaFalse::Integer));
        api::install(&state, &mut bridge)?;
        let limits = Limits {
            time: options.script_timeout,
            instructions: options.script_instructions,
            memory: options.script_memory,
        };
        Ok(Vm { state, bridge, limits })
    }

    pub(crate) fn set_log(&mut self, sink: Option<LogCallback>) {
        self.bridge.log = sink;
    }

    /// Bytes the interpreter uses.
    pub(crate) fn bytes_in_use(&self) -> usize {
        self.state.guard().heap().bytes_in_use()
    }

    pub(crate) fn set_hosted(&mut self, hosted: Arc<Registry>) {
        self.bridge.hosted = hosted;
    }

    /// Sets limits for what follows; returns those that held.
    pub(crate) fn set_limits(&mut self, limits: &options::Limits) -> LimitsBefore {
        let before = self.limits;
        self.limits = Limits {
            time: limits.timeout_or(before.time),
            instructions: limits.instructions_or(before.instructions),
            memory: limits.memory_or(before.memory),
        };
        LimitsBefore(before)
    }

    /// Sets the limits that held before.
    pub(crate) fn restore_limits(&mut self, LimitsBefore(before): LimitsBefore) {
        self.limits = before;
    }

    /// Compiles a script. The error is the one EVAL and SCRIPT LOAD answer.
    pub(crate) fn compile(&mut self, source: &[u8]) -> Result<Function, CommandError> {
        let what = "ERR Error compiling script (new function): ";
        self.compile_chunk(source, SCRIPT, what)
    }

    fn compile_chunk(
        &mut self,
        source: &[u8],
        name: &'static CStr,
        what: &str,
    ) -> Result<Function, CommandError> {
        self.bridge.to_compile = Text::of(source);
        self.bridge.chunk_name = name;
        self.state.begin(self.limits);
        // SAFETY: no run is under way; `compile_protected` runs under the protected call that
        // lua_cpcall makes, and reads the bridge, which outlives it.
        let status = unsafe {
            let bridge: *mut Bridge = &raw mut *self.bridge;
            ffi::lua_cpcall(self.state.raw(), compile_protected, bridge.cast())
        };
        let doom = self.state.end();
        if status == ffi::LUA_OK {
            return Ok(Function::new(self.bridge.compiled, source, &self.bridge));
        }
        let reason = match doom {
            Some(doom) => doom.message().into_bytes(),
            None => self.top_text(),
        };
        self.clear_stack();
        Err(CommandError::quoting(&[what.as_bytes(), &reason]))
    }

    /// Forgets a compiled script.
    pub(crate) fn release(&mut self, function: Function) {
        // SAFETY: the reference is from this state; unref sets existing slots and cannot raise.
        unsafe { ffi::luaL_unref(self.state.raw(), ffi::LUA_REGISTRYINDEX, function.reference) };
    }

    /// Has a compiled script's machine code made anew.
    #[cfg(feature = "luajit")]
    #[cold]
    pub(crate) fn forget_compiled(&mut self, function: Function) {
        let l = self.state.raw();
        // SAFETY: no run is under way; the push fits the stack every state starts with, and the
        // reference is to a function of Lua.
        unsafe {
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, function.reference);
            watchdog::forget_compiled(l);
        }
        self.clear_stack();
    }

    /// Gives back the memory of what was released.
    pub(crate) fn collect(&mut self) {
        // SAFETY: no finalizer exists in this state, so a collection runs no code.
        unsafe { ffi::lua_gc(self.state.raw(), ffi::LUA_GCCOLLECT, 0) };
    }

    /// Begins to profile what is run.
    pub(crate) fn begin_profile(&mut self) {
        self.state.guard().begin_profile();
    }

    /// Ends what [`Vm::begin_profile`] began; returns where the time went.
    pub(crate) fn end_profile(&mut self) -> CallTree {
        self.state.guard().end_profile()
    }

    /// Runs a compiled script; its result is written to the reply.
    ///
    /// # Errors
    /// A failure in a box: what is returned of a run that went well is then a word.
    pub(crate) fn run(&mut self, function: Function, run: Run<'_>) -> Result<(), Box<Failure>> {
        let _locale = LocaleGuard::enter();
        self.bridge.current = Some(Current::new(function, run));
        self.bridge.wrote = false;
        self.bridge.libraries.begin();
        self.state.begin(self.limits);
        let l = self.state.raw();
        // SAFETY: three pushes fit the stack every state starts with, and allocate nothing; the
        // registry references are live; `call::run_protected`, or `call_protected`, runs under
        // the pcall.
        let status = unsafe {
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, self.bridge.refs.handler);
            if function.is_callback {
                self.call_callback(l)
            } else {
                ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, self.bridge.refs.run);
                ffi::lua_pcall(l, 0, 0, 1)
            }
        };
        let doom = self.state.end();
        self.bridge.current = None;
        self.bridge.libraries.end();
        let outcome = match (status, doom) {
            (ffi::LUA_OK, None) => Ok(()),
            (_, Some(doom)) => {
                let trace = self.take_trace();
                Err(Box::new(Failure {
                    message: doom.message().into(),
                    place: self.killed_at(function),
                    trace,
                }))
            }
            (_, None) => Err(Box::new(self.failure())),
        };
        self.clear_stack();
        if let Some(panic) = self.bridge.panic.take() {
            std::panic::resume_unwind(panic);
        }
        outcome
    }

    /// Calls a function of a library under a protected call. What it compiles and the coroutines it
    /// makes see what it sees, so the state's globals are exchanged meanwhile.
    ///
    /// # Safety
    /// In [`Vm::run`], with the message handler at index 1 and nothing else on the stack.
    unsafe fn call_callback(&self, l: *mut ffi::lua_State) -> c_int {
        let worlds = &self.bridge.worlds;
        // SAFETY: the caller's promise; the references are live, and exchanging globals takes no
        // memory. The globals before stay at index 2, below what the call pushes and pops.
        unsafe {
            ffi::lua_pushvalue(l, ffi::LUA_GLOBALSINDEX);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, worlds.environment);
            ffi::lua_replace(l, ffi::LUA_GLOBALSINDEX);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, worlds.frame);
            let status = ffi::lua_pcall(l, 0, 0, 1);
            ffi::lua_pushvalue(l, 2);
            ffi::lua_replace(l, ffi::LUA_GLOBALSINDEX);
            status
        }
    }

    /// Loads a library: runs its text, which registers functions. On an error there are none.
    pub(crate) fn load_library(&mut self, source: &[u8]) -> Result<Vec<Registered>, CommandError> {
        let _locale = LocaleGuard::enter();
        let what = "ERR Error compiling function: ";
        let chunk = self.compile_chunk(source, c"@user_function", what)?;
        self.bridge.loading = Some(Vec::new());
        let time = self.limits.time.map_or(LOAD_TIME_MOST, |time| time.min(LOAD_TIME_MOST));
        self.state.begin(Limits { time: Some(time), ..self.limits });
        let l = self.state.raw();
        let worlds = &self.bridge.worlds;
        // SAFETY: three pushes fit the stack every state starts with; the references are live;
        // nothing here takes memory outside of the protected call.
        let status = unsafe {
            worlds.show_loading(l);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, self.bridge.refs.handler);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, chunk.reference);
            ffi::lua_rawgeti_(l, ffi::LUA_REGISTRYINDEX, worlds.environment);
            ffi::lua_setfenv(l, -2);
            let status = ffi::lua_pcall(l, 0, 0, 1);
            worlds.show_running(l);
            status
        };
        let doom = self.state.end();
        let registered = self.bridge.loading.take().unwrap_or_default();
        let failed = (status != ffi::LUA_OK || doom.is_some()).then(|| self.load_error(doom));
        self.clear_stack();
        self.release(chunk);
        if let Some(error) = failed {
            registered.iter().for_each(|registered| self.release(registered.function));
            if let Some(panic) = self.bridge.panic.take() {
                std::panic::resume_unwind(panic);
            }
            return Err(error);
        }
        Ok(registered)
    }

    /// Why a library could not be loaded: doom, or else the error on top of the stack.
    fn load_error(&mut self, doom: Option<Doom>) -> CommandError {
        let failure = self.failure();
        let reason = match doom {
            Some(Doom::Time { limit_ms, .. })
                if u128::from(limit_ms) == LOAD_TIME_MOST.as_millis() =>
            {
                b"ERR FUNCTION LOAD timeout".to_vec()
            }
            Some(doom) => doom.message().into_bytes(),
            None => failure.message,
        };
        CommandError::quoting(&[b"ERR Error registering functions: ", &reason])
    }

    /// Where a run was killed, if it was.
    fn killed_at(&self, function: Function) -> Option<(Vec<u8>, i64)> {
        let line = self.state.guard().killed_line.get();
        let source: &[u8] = if function.is_callback { b"@user_function" } else { b"@user_script" };
        (line > 0).then(|| (source.to_vec(), line.into()))
    }

    fn clear_stack(&mut self) {
        // SAFETY: shortening the stack raises nothing.
        unsafe { ffi::lua_settop(self.state.raw(), 0) };
    }

    /// The error on top of the stack, which the message handler has made a table.
    fn failure(&mut self) -> Failure {
        let trace = self.take_trace();
        // SAFETY: a value is on the stack; nothing below allocates in Lua.
        unsafe { pull::failure(self.state.raw(), &self.bridge, trace) }
    }

    /// What the message handler saw. None where there was no memory to call it.
    fn take_trace(&mut self) -> Trace {
        self.bridge.trace.take().unwrap_or_default()
    }

    fn top_text(&self) -> Vec<u8> {
        // SAFETY: a value is on the stack.
        unsafe { pull::text(self.state.raw(), -1).unwrap_or_default().to_vec() }
    }
}

/// Texts longer than this are not worth a closer look.
const SEEN_THROUGH_MOST: usize = 64 * 1024;

/// What is seen of the function on the stack. One that may see globals it does not name is given the
/// libraries by their proxies, as these are what it finds there. Beside that, whether KEYS and ARGV are
/// never in its hands.
///
/// # Safety
/// A Lua function is on the stack. Cannot raise: a dump takes no memory of Lua's.
unsafe fn reach(l: *mut ffi::lua_State, source: &[u8]) -> (Reach, bool) {
    // Of what LuaJIT compiles nothing is seen.
    if cfg!(feature = "luajit") || source.len() > SEEN_THROUGH_MOST {
        return (Reach::Anything, false);
    }
    // SAFETY: the caller's promise.
    let Some(dump) = (unsafe { dump(l) }) else { return (Reach::Anything, false) };
    let most = if sees_all(source) { Reach::ReadsGlobals } else { Reach::ReadsFields };
    (chunk::reach(&dump).min(most), chunk::takes_elements_only(&dump))
}

/// The function on top of the stack as bytes.
///
/// # Safety
/// A Lua function is on the stack. Cannot raise: LuaJIT, which takes memory for it, does so under a
/// protected call.
unsafe fn dump(l: *mut ffi::lua_State) -> Option<Vec<u8>> {
    let mut dump: Vec<u8> = Vec::new();
    // SAFETY: the caller's promise; the writer gets the vector, which outlives the call.
    let status = unsafe { ffi::lua_dump_(l, append, (&raw mut dump).cast()) };
    (status == 0).then_some(dump)
}

/// Makes the functions that are the same in every run of the script on top of the stack, and puts a
/// script there that has them already.
///
/// # Safety
/// Under a protected call, with a script on the stack; called from a function that owns nothing.
#[cfg(feature = "luajit")]
unsafe fn hoist(l: *mut ffi::lua_State, bridge: *mut Bridge) {
    // SAFETY: the caller's promise. What is loaded stays in the bridge, so that nothing is owned here
    // when Lua raises; both scripts have as many upvalues as is told.
    unsafe {
        (*bridge).hoisted = dump(l).and_then(|dump| hoist::hoist(&dump));
        let Some(hoisted) = &(*bridge).hoisted else { return };
        load::load_compiled(l, &hoisted.maker);
        ffi::lua_pushvalue(l, -1);
        ffi::lua_call(l, 0, 0);
        load::load_compiled(l, &hoisted.script);
        for upvalue in 1..=c_int::from(hoisted.count) {
            ffi::lua_getupvalue(l, -2, upvalue);
            ffi::lua_setupvalue(l, -2, upvalue);
        }
        ffi::lua_replace(l, -3);
        ffi::lua_settop(l, -2);
        (*bridge).hoisted = None;
    }
}

/// Takes a piece of a dump.
unsafe extern "C-unwind" fn append(
    _: *mut ffi::lua_State,
    piece: *const c_void,
    len: usize,
    dump: *mut c_void,
) -> c_int {
    // SAFETY: Lua calls it with a piece of so many bytes and the vector of `reach`.
    unsafe {
        let piece = std::slice::from_raw_parts(piece.cast(), len);
        (*dump.cast::<Vec<u8>>()).extend_from_slice(piece);
    }
    0
}

/// Compiles the bridge's source and keeps the function in the registry. What a script is seen not to
/// do with globals decides whether it needs the proxies.
unsafe extern "C-unwind" fn compile_protected(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: lua_cpcall passes the bridge; nothing here owns anything.
    unsafe {
        let bridge = ffi::lua_touserdata(l, 1).cast::<Bridge>();
        let source = (*bridge).to_compile;
        let name = (*bridge).chunk_name.as_ptr();
        if load::load_text(l, source.start, source.len, name) != ffi::LUA_OK {
            ffi::lua_error(l);
        }
        // A library makes its functions once, and is given its globals later.
        #[cfg(feature = "luajit")]
        if (*bridge).chunk_name == SCRIPT && source.len <= SEEN_THROUGH_MOST {
            hoist(l, bridge);
        }
        ((*bridge).reach, (*bridge).takes_elements_only) =
            reach(l, std::slice::from_raw_parts(source.start, source.len));
        let environment = match (*bridge).reach {
            Reach::Anything => None,
            Reach::ReadsGlobals => Some((*bridge).globals),
            Reach::ReadsFields => Some((*bridge).fields),
        };
        if let Some(environment) = environment {
            api::push_ref(l, environment);
            ffi::lua_setfenv(l, -2);
        }
        (*bridge).compiled = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        0
    }
}

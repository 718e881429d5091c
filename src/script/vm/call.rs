//! `redis.call` and `redis.pcall`, and the frame of a run.

use super::bridge::{Bridge, Current, Kept};
use super::peek::{self, Argument, Value};
use super::{api, pull, push};
use crate::command::{self, Caller, Context};
use crate::error::CommandError;
use crate::number::F64Text;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use smallvec::SmallVec;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Arguments that need no allocation.
const USUAL_ARGS: usize = 16;
/// Numbers among them that need none.
const USUAL_NUMBERS: usize = 4;

/// What became of a call; plain data, so that Lua may raise after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The bridge's answer is a reply.
    Reply,
    /// The bridge's answer is an error.
    Error,
    /// A panic is kept in the bridge.
    Panic,
}

/// `redis.call(command, ...)`: an error ends the script. The answer to a call that is a statement is
/// not made: most writes are called for what they do.
pub(super) unsafe extern "C-unwind" fn redis_call(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua on a state with a bridge; `perform` returns plain data.
    unsafe {
        let bridge = Bridge::of_state(l);
        match perform(l, bridge) {
            Outcome::Reply if !peek::wants_result(l) => return 0,
            Outcome::Reply => push::answer(l, bridge),
            _ => {
                push::error_answer(l, bridge);
                ffi::lua_error(l)
            }
        }
        1
    }
}

/// `redis.pcall(command, ...)`: an error is a table with `err`.
pub(super) unsafe extern "C-unwind" fn redis_pcall(l: *mut lua_State) -> c_int {
    // SAFETY: as redis_call.
    unsafe {
        let bridge = Bridge::of_state(l);
        match perform(l, bridge) {
            Outcome::Reply | Outcome::Error if !peek::wants_result(l) => return 0,
            Outcome::Reply => push::answer(l, bridge),
            Outcome::Error => push::error_answer(l, bridge),
            Outcome::Panic => {
                push::error_answer(l, bridge);
                ffi::lua_error(l)
            }
        }
        1
    }
}

/// Runs the command that the stack's values name; its answer is in the bridge. Cannot raise.
///
/// # Safety
/// Called from a C function of this bridge during a run.
#[inline]
unsafe fn perform(l: *mut lua_State, bridge: *mut Bridge) -> Outcome {
    // SAFETY: the bridge lives, and only this call uses it until it returns.
    let bridge = unsafe { &mut *bridge };
    bridge.answer.clear();
    // SAFETY: the stack's values stay where they are until the C function returns.
    let outcome = unsafe { run_command(l, bridge) };
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            refuse(bridge, &error);
            Outcome::Error
        }
    }
}

/// Answers the script with an error, and counts it.
#[cold]
fn refuse(bridge: &mut Bridge, error: &CommandError) {
    let mark = bridge.answer.mark();
    bridge.answer.error(error);
    let text = bridge.answer.error_at(mark).unwrap_or_default();
    if let Some(current) = bridge.current {
        // SAFETY: what the engine knows of itself is borrowed by the run, which hands it to this
        // call alone.
        unsafe { &mut *current.server }.stats.error(text);
    }
}

/// # Safety
/// As [`perform`].
#[inline]
unsafe fn run_command(l: *mut lua_State, bridge: &mut Bridge) -> Result<Outcome, CommandError> {
    let Some(current) = bridge.current else {
        return Err(CommandError::text("ERR redis.call/pcall can only be called inside a script"));
    };
    // SAFETY: the caller's promise; the stack stays as it is until the C function returns.
    let arguments = unsafe { peek::arguments(l) };
    let mut numbers = SmallVec::<[F64Text; USUAL_NUMBERS]>::new();
    let mut argv = SmallVec::<[&[u8]; USUAL_ARGS]>::new();
    // SAFETY: the caller's promise; the texts outlive argv.
    unsafe {
        if !collect_strings(arguments, &mut argv) {
            collect_numbers(arguments, &mut numbers)?;
            place_numbers(arguments, &mut argv, &numbers);
        }
    }
    let argv = argv.as_slice();
    let Some(name) = argv.first() else {
        return Err(CommandError::text(
            "ERR Please specify at least one argument for this redis lib call",
        ));
    };
    let command = bridge.names.find(name);
    bridge.wrote |= match command {
        Some(found) => found.command.writes(),
        None => bridge.hosted.writes(name),
    };
    // SAFETY: the keyspace is borrowed by the run, which hands it to this call alone.
    let keys = unsafe { &mut *current.keys };
    // SAFETY: so is what the engine knows of itself.
    let server = unsafe { &mut *current.server };
    let caller = Caller::Script { read_only: current.read_only };
    let hosted = &*bridge.hosted;
    let mut cx = Context { keys, reply: &mut bridge.answer, caller, server, hosted, host: None };
    let run = AssertUnwindSafe(|| match command {
        Some(command) => command::run(&mut cx, command, argv, current.watched),
        None => command::run_hosted(&mut cx, argv),
    });
    match catch_unwind(run) {
        Ok(done) => done.map(|()| Outcome::Reply),
        Err(panic) => {
            bridge.panic = Some(panic);
            bridge.answer.clear();
            bridge.answer.error(&CommandError::text("ERR internal failure"));
            Ok(Outcome::Panic)
        }
    }
}

/// Collects the arguments in place, strings where Lua has them; whatever else there is leaves its
/// place empty. Tells whether all are strings.
///
/// # Safety
/// The arguments stay on the stack while `argv` is in use.
#[inline]
unsafe fn collect_strings(arguments: &[Value], argv: &mut SmallVec<[&[u8]; USUAL_ARGS]>) -> bool {
    let mut all_strings = true;
    // SAFETY: the caller's promise.
    argv.extend(arguments.iter().map(|argument| match unsafe { argument.read() } {
        Argument::Text(text) => text,
        Argument::Number(_) | Argument::Other => {
            all_strings = false;
            b""
        }
    }));
    all_strings
}

/// Writes the numbers among the arguments as Redis does, with 17 digits.
///
/// # Safety
/// As there.
unsafe fn collect_numbers(
    arguments: &[Value],
    numbers: &mut SmallVec<[F64Text; USUAL_NUMBERS]>,
) -> Result<(), CommandError> {
    for argument in arguments {
        // SAFETY: the caller's promise.
        match unsafe { argument.read() } {
            Argument::Text(_) => (),
            Argument::Number(number) => numbers.push(F64Text::new(number)),
            Argument::Other => {
                return Err(CommandError::text(
                    "ERR Lua redis lib command arguments must be strings or integers",
                ));
            }
        }
    }
    Ok(())
}

/// Fills the places that [`collect_strings`] left empty.
///
/// # Safety
/// As there.
unsafe fn place_numbers<'a>(
    arguments: &[Value],
    argv: &mut SmallVec<[&'a [u8]; USUAL_ARGS]>,
    numbers: &'a [F64Text],
) {
    let mut numbers = numbers.iter();
    for (argument, place) in arguments.iter().zip(argv.iter_mut()) {
        // SAFETY: the caller's promise.
        if let Argument::Number(_) = unsafe { argument.read() }
            && let Some(number) = numbers.next()
        {
            *place = number.as_bytes();
        }
    }
}

/// The body of a run, under the engine's protected call: sets KEYS and ARGV, calls the script,
/// turns its result into the reply.
pub(super) unsafe extern "C-unwind" fn run_protected(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua on a state with a bridge, during a run; nothing here owns anything.
    unsafe {
        let bridge = Bridge::of_state(l);
        let Some(current) = (*bridge).current else { return 0 };
        let refs = &(*bridge).refs;
        let has_libraries = current.function.has_libraries;
        api::push_ref(l, if has_libraries { (*bridge).fields } else { (*bridge).globals });
        let again = current.function.takes_elements_only;
        let [keys_kept, argv_kept] = &mut (*bridge).kept;
        if current.function.uses_keys {
            set_list(l, refs.keys_name, current.argv_keys, again.then_some(keys_kept));
        }
        if current.function.uses_argv {
            set_list(l, refs.argv_name, current.argv_args, again.then_some(argv_kept));
        }
        api::push_ref(l, current.function.reference);
        ffi::lua_call(l, 0, 1);
        let Some(Current { reply, .. }) = (*bridge).current else { return 0 };
        pull::reply(l, bridge, reply);
        0
    }
}

/// The same for a function of a library, which gets keys and arguments as its own two.
pub(super) unsafe extern "C-unwind" fn call_protected(l: *mut lua_State) -> c_int {
    // SAFETY: as in run_protected.
    unsafe {
        let bridge = Bridge::of_state(l);
        let Some(current) = (*bridge).current else { return 0 };
        api::push_ref(l, current.function.reference);
        push_list(l, current.argv_keys);
        push_list(l, current.argv_args);
        ffi::lua_call(l, 2, 1);
        pull::reply(l, bridge, current.reply);
        0
    }
}

/// Longer lists than this, or lists with more bytes, are given a table of their own: what is in a kept
/// one stays until it is filled again.
const KEPT_MOST: usize = 16;
const KEPT_BYTES_MOST: usize = 1024;

/// Sets a global of the table on top of the stack to a list of strings, in a kept table if there is
/// one for it.
///
/// # Safety
/// Under a protected call, with the globals table on top; the strings are alive.
unsafe fn set_list(
    l: *mut lua_State,
    name: c_int,
    texts: *const [&'static [u8]],
    kept: Option<&mut Kept>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        api::push_ref(l, name);
        let is_short = |texts: &[&[u8]]| {
            texts.len() <= KEPT_MOST
                && texts.iter().map(|text| text.len()).sum::<usize>() <= KEPT_BYTES_MOST
        };
        match kept {
            Some(kept) if is_short(&*texts) => push_kept(l, texts, kept),
            _ => push_list(l, texts),
        }
        ffi::lua_rawset(l, -3);
    }
}

/// Pushes a kept table, filled with a list of strings.
///
/// # Safety
/// Under a protected call; the strings are alive, and no script has the table in its hands.
unsafe fn push_kept(l: *mut lua_State, texts: *const [&'static [u8]], kept: &mut Kept) {
    // SAFETY: the caller's promise. If there is no memory for a string, as many elements as are
    // noted are looked after by the next run.
    unsafe {
        let texts = &*texts;
        let before = kept.filled;
        kept.filled = before.max(texts.len());
        api::push_ref(l, kept.table);
        for (index, text) in texts.iter().enumerate() {
            ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
            ffi::lua_rawseti_(l, -2, index as c_int + 1);
        }
        for index in texts.len()..before {
            ffi::lua_pushnil(l);
            ffi::lua_rawseti_(l, -2, index as c_int + 1);
        }
        kept.filled = texts.len();
    }
}

/// Pushes a list of strings.
///
/// # Safety
/// Under a protected call; the strings are alive.
unsafe fn push_list(l: *mut lua_State, texts: *const [&'static [u8]]) {
    // SAFETY: the caller's promise.
    unsafe {
        let texts = &*texts;
        ffi::lua_createtable(l, texts.len() as c_int, 0);
        for (index, text) in texts.iter().enumerate() {
            ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
            ffi::lua_rawseti_(l, -2, index as c_int + 1);
        }
    }
}

//! `kv_limits`: limits for one run of a script.

use super::bytes::kv_bytes;
use super::call::{Caller, Input};
use super::engine::kv_engine;
use super::panic::{Failure, NULL_SCRIPT, NULL_SESSION, guard_out};
use super::reply::kv_reply;
use super::script::kv_script;
use super::session::kv_session;
use crate::engine::Call;
use crate::options::Limits;
use std::ffi::CStr;
use std::time::Duration;

/// No limit, whatever the engine's own is.
pub const KV_LIMIT_NONE: u64 = 0xFFFF_FFFF_FFFF_FFFF;

/// Limits for one run in place of those the engine was opened with, narrower or wider. A struct of
/// zeros but for its size leaves all of them as they are; KV_LIMIT_NONE lifts one.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct kv_limits {
    /// sizeof(kv_limits), as the program was compiled with it.
    pub struct_size: usize,
    /// The longest the script may run, in milliseconds; 0 for the engine's limit.
    pub timeout_ms: u64,
    /// The most memory it may add to the Lua heap, in bytes, at least 65536; 0 for the engine's
    /// limit.
    pub memory_bytes: u64,
    /// The most Lua instructions it may execute; 0 for the engine's limit.
    pub instructions: u64,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kv_limits>() == 32);

const BAD_SIZE: &CStr = c"ERR invalid options: struct_size is not the size of kv_limits";
const BAD_MEMORY: &CStr = c"ERR invalid options: memory_bytes is out of range";

impl kv_limits {
    /// The limits; none for NULL.
    fn read(limits: Option<&kv_limits>) -> Result<Option<Limits>, Failure> {
        limits.copied().map(kv_limits::to_limits).transpose()
    }

    fn to_limits(self) -> Result<Limits, Failure> {
        // The size comes first and is the only version there is.
        if self.struct_size != size_of::<kv_limits>() {
            return Err(BAD_SIZE.into());
        }
        let read = Limits::default();
        let read = match self.timeout_ms {
            0 => read,
            KV_LIMIT_NONE => read.timeout(None),
            ms => read.timeout(Duration::from_millis(ms)),
        };
        let read = match self.memory_bytes {
            0 => read,
            KV_LIMIT_NONE => read.memory(None),
            bytes => read.memory(usize::try_from(bytes).map_err(|_| BAD_MEMORY)?),
        };
        Ok(match self.instructions {
            0 => read,
            KV_LIMIT_NONE => read.instructions(None),
            count => read.instructions(count),
        })
    }
}

/// Makes a call under limits, if there are any.
fn answer<C: Caller>(
    caller: &C,
    limits: Option<&Limits>,
    call: Call<'_>,
    out: &mut kv_reply,
) -> Result<(), Failure> {
    match limits {
        Some(limits) => caller.answer(Call::Limited(limits, &call), out),
        None => caller.answer(call, out),
    }
}

/// Runs a script by its text or its SHA-1, as `call::run` does, under limits.
///
/// # Safety
/// As `call::run`.
unsafe fn run<C: Caller>(
    caller: Option<&C>,
    limits: Option<&kv_limits>,
    form: impl for<'a> FnOnce(&'a [u8], &'a [&'a [u8]], &'a [&'a [u8]]) -> Call<'a>,
    text: kv_bytes,
    input: Input,
    out: &mut kv_reply,
) -> Result<(), Failure> {
    let caller = caller.ok_or(C::NULL)?;
    let limits = kv_limits::read(limits)?;
    // SAFETY: the caller's promise.
    let text = unsafe { text.slice()? };
    // SAFETY: the same.
    unsafe { input.lend(|keys, args| answer(caller, limits.as_ref(), form(text, keys, args), out)) }
}

/// Runs a script as kv_eval does, under limits for this one run.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param limits  Borrowed. NULL for the engine's own.
/// @param script  Borrowed. Lua 5.1.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. As for kv_eval.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_eval_limited(
    engine: Option<&kv_engine>,
    limits: Option<&kv_limits>,
    script: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        run(engine, limits, |s, k, a| Call::Eval(s, k, a), script, input, out)
    })
}

/// Runs a cached script as kv_evalsha does, under limits for this one run.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param limits  Borrowed. NULL for the engine's own.
/// @param sha1    Borrowed. 40 hexadecimal digits.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. As for kv_eval.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_evalsha.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_evalsha_limited(
    engine: Option<&kv_engine>,
    limits: Option<&kv_limits>,
    sha1: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        run(engine, limits, |s, k, a| Call::EvalSha(s, k, a), sha1, input, out)
    })
}

/// Runs a prepared script as kv_script_run does, under limits for this one run.
///
/// @param script  Borrowed; not to be freed while it runs. NULL gives an error reply.
/// @param limits  Borrowed. NULL for the engine's own.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. As for kv_eval.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_run_limited(
    script: Option<&kv_script>,
    limits: Option<&kv_limits>,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    guard_out(|out| {
        let script = &script.ok_or(NULL_SCRIPT)?.script;
        let limits = kv_limits::read(limits)?.unwrap_or_default();
        let input = Input { nkeys, keys, nargs, args };
        let run = |keys: &[&[u8]], args: &[&[u8]]| {
            let call = |buffer: &mut _| script.call_with(&limits, keys, args, buffer);
            out.answer(script.protocol(), call)
        };
        // SAFETY: by contract the caller lends them until this returns.
        unsafe { input.lend(run) }
    })
}

/// Runs a script as kv_session_eval does, under limits for this one run. After MULTI it is refused:
/// limits are not queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param limits   Borrowed. NULL for the engine's own.
/// @param script   Borrowed. Lua 5.1.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_session_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_eval_limited(
    session: Option<&kv_session>,
    limits: Option<&kv_limits>,
    script: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        run(session, limits, |s, k, a| Call::Eval(s, k, a), script, input, out)
    })
}

/// Runs a cached script as kv_session_evalsha does, under limits for this one run. After MULTI it is
/// refused: limits are not queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param limits   Borrowed. NULL for the engine's own.
/// @param sha1     Borrowed. 40 hexadecimal digits.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_evalsha.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_evalsha_limited(
    session: Option<&kv_session>,
    limits: Option<&kv_limits>,
    sha1: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        run(session, limits, |s, k, a| Call::EvalSha(s, k, a), sha1, input, out)
    })
}

/// Runs a prepared script as kv_session_run does, under limits for this one run. After MULTI it is
/// refused: limits are not queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param limits   Borrowed. NULL for the engine's own.
/// @param script   Borrowed. As for kv_session_run.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_run_limited(
    session: Option<&kv_session>,
    limits: Option<&kv_limits>,
    script: Option<&kv_script>,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    guard_out(|out| {
        let session = session.ok_or(NULL_SESSION)?;
        let limits = kv_limits::read(limits)?;
        let script = &script.ok_or(NULL_SCRIPT)?.script;
        let input = Input { nkeys, keys, nargs, args };
        let run = |keys: &[&[u8]], args: &[&[u8]]| {
            answer(session, limits.as_ref(), Call::Run(script, keys, args), out)
        };
        // SAFETY: by contract the caller lends them until this returns.
        unsafe { input.lend(run) }
    })
}

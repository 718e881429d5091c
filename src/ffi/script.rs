//! `kv_script` and what is done with scripts.

use super::bytes::{Room, kv_bytes, list};
use super::call::{self, Input};
use super::engine::kv_engine;
use super::panic::{NULL_ENGINE, NULL_SCRIPT, guard, guard_handle, guard_out, guard_quiet};
use super::reply::kv_reply;
use crate::engine::{Call, Script};
use std::mem::MaybeUninit;
use std::ptr;

/// A script that is compiled and kept for one engine. It holds its engine's memory, but does not
/// keep the engine open.
pub struct kv_script {
    pub(super) script: Script,
    /// With a NUL at its end.
    sha1: String,
}

/// Runs a script as one atomic step: nothing else happens meanwhile, and if it raises an error, is
/// stopped at a limit or cancelled, nothing it did remains (see KV_ON_ERROR_KEEP). It is compiled
/// at the first time and cached by its SHA-1. As EVAL.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param script  Borrowed. Lua 5.1.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. Becomes the table KEYS. May be NULL if nkeys is 0.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. Becomes the table ARGV. May be NULL if nargs is 0.
/// @return Owned; release with kv_reply_free. What the script returned, or an error with the
///         script's SHA-1 and line. Stays valid after the engine is closed.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_eval(
    engine: Option<&kv_engine>,
    script: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe { call::run(engine, |s, k, a| Call::Eval(s, k, a), script, input, out) })
}

/// Runs a script that kv_eval or kv_script_load has cached. As EVALSHA.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param sha1    Borrowed. 40 hexadecimal digits.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. As for kv_eval.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval; an error that begins with NOSCRIPT if
///         no such script is cached.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_evalsha(
    engine: Option<&kv_engine>,
    sha1: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        call::run(engine, |s, k, a| Call::EvalSha(s, k, a), sha1, input, out)
    })
}

/// Compiles and caches a script without running it. As SCRIPT LOAD.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param script  Borrowed. Lua 5.1.
/// @return Owned; release with kv_reply_free. The SHA-1, a string of 40 hexadecimal digits, or an
///         error if it does not compile.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_load(engine: Option<&kv_engine>, script: kv_bytes) -> kv_reply {
    guard(|| {
        let engine = engine.ok_or(NULL_ENGINE)?;
        // SAFETY: by contract the caller lends it until this returns.
        let sha1 = engine.0.script_load(unsafe { script.slice()? })?;
        Ok(kv_reply::written(|buffer| buffer.bulk(sha1.as_bytes())))
    })
}

/// Tells which scripts are cached. As SCRIPT EXISTS.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param count   The number of SHA-1s.
/// @param sha1s   Borrowed. May be NULL if count is 0.
/// @return Owned; release with kv_reply_free. An array with 1 or 0 for each, or an error.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_exists(
    engine: Option<&kv_engine>,
    count: usize,
    sha1s: *const kv_bytes,
) -> kv_reply {
    guard(|| {
        let engine = engine.ok_or(NULL_ENGINE)?;
        let mut room = Room::new();
        // SAFETY: by contract the caller lends them until this returns.
        let found = engine.0.script_exists(unsafe { list(&mut room, count, sha1s)? })?;
        Ok(kv_reply::written(|buffer| {
            buffer.array(found.len());
            found.into_iter().for_each(|found| buffer.integer(found.into()));
        }))
    })
}

/// Empties the script cache. Prepared scripts stay. As SCRIPT FLUSH.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @return Status OK, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_flush(engine: Option<&kv_engine>) -> kv_reply {
    guard(|| {
        engine.ok_or(NULL_ENGINE)?.0.script_flush()?;
        Ok(kv_reply::OK)
    })
}

/// Compiles a script and returns a handle to run it by: the fastest way to run one often.
///
/// @param engine     Borrowed for the call. NULL is an error.
/// @param script     Borrowed. Lua 5.1.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_script_free. NULL on an error, such as one of syntax. When the
///         engine is closed, running the script is an error from then on.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_prepare(
    engine: Option<&kv_engine>,
    script: kv_bytes,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_script>> {
    guard_handle(out_error, || {
        let engine = engine.ok_or(NULL_ENGINE)?;
        // SAFETY: by contract the caller lends it until this returns.
        let script = engine.0.prepare(unsafe { script.slice()? })?;
        let sha1 = script.sha1() + "\0";
        Ok(kv_script { script, sha1 })
    })
}

/// Runs a prepared script as one atomic step, as kv_eval does.
///
/// @param script  Borrowed; not to be freed while it runs. NULL gives an error reply.
/// @param nkeys   The number of keys.
/// @param keys    Borrowed. As for kv_eval.
/// @param nargs   The number of arguments.
/// @param args    Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_run(
    script: Option<&kv_script>,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    guard_out(|out| {
        let script = &script.ok_or(NULL_SCRIPT)?.script;
        let input = Input { nkeys, keys, nargs, args };
        let run = |keys: &[&[u8]], args: &[&[u8]]| {
            out.answer(script.protocol(), |buffer| script.call(keys, args, buffer))
        };
        // SAFETY: by contract the caller lends them until this returns.
        unsafe { input.lend(run) }
    })
}

/// The SHA-1 of a prepared script, for kv_evalsha.
///
/// @param script  Borrowed. NULL gives NULL with length 0.
/// @return Borrowed from the script until it is freed: 40 hexadecimal digits, with a NUL behind.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_sha1(script: Option<&kv_script>) -> kv_bytes {
    match script {
        Some(script) => kv_bytes::lend(script.sha1.trim_end_matches('\0').as_bytes()),
        None => kv_bytes { data: ptr::null(), len: 0 },
    }
}

/// Releases a prepared script, before or after its engine is closed.
///
/// @param script  Consumed; no thread may be using it. NULL does nothing.
///
/// Thread-safe for different scripts.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_free(script: Option<Box<kv_script>>) {
    guard_quiet(|| drop(script));
}

//! `kv_engine`: opening and closing, commands, time.

use super::bytes::kv_bytes;
use super::call::{self, Caller};
use super::options::kv_options;
use super::panic::{Failure, NULL_ENGINE, guard, guard_handle, guard_out, guard_quiet};
use super::reply::kv_reply;
use crate::engine::{Call, Engine};
use crate::error::Error;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::time::Duration;

/// An engine: keys and values in this process, and the scripts that work on them. Any number of
/// them may be open; they know nothing of each other. May be used from any thread.
pub struct kv_engine(pub(super) Engine);

/// Threads share handles, so they must be fit for that.
const fn shared_by_threads<T: Send + Sync>() {}
const _: () = shared_by_threads::<kv_engine>();
const _: () = shared_by_threads::<super::script::kv_script>();
const _: () = shared_by_threads::<super::session::kv_session>();

impl Caller for kv_engine {
    const NULL: &'static CStr = NULL_ENGINE;

    #[inline]
    fn answer(&self, call: Call<'_>, out: &mut kv_reply) -> Result<(), Failure> {
        out.answer(self.0.options().protocol, |buffer| self.0.call(call, buffer))
    }
}

/// Opens an empty engine.
///
/// @param options    Borrowed for the call. NULL for the defaults.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_close. NULL on an error, such as an option out of range.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_open(
    options: *const kv_options,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_engine>> {
    guard_handle(out_error, || {
        // SAFETY: by contract NULL or options of the size they tell.
        let options = unsafe { kv_options::read(options)? };
        Ok(kv_engine(Engine::open(&options)?))
    })
}

/// Opens a second engine with the same options and a copy of all keys. What both hold is shared
/// until one of them changes it, so this takes well under a millisecond for a million keys.
/// Cached scripts and the log callback are not copied. This has nothing to do with fork().
///
/// @param engine     Borrowed for the call. NULL is an error.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_close. NULL on an error.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_fork(
    engine: Option<&kv_engine>,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_engine>> {
    guard_handle(out_error, || Ok(kv_engine(engine.ok_or(NULL_ENGINE)?.0.fork()?)))
}

/// Closes an engine and releases its keys. Replies stay valid; its prepared scripts and sessions
/// may still be released, and answer with an error if they are used. Calls of sessions that wait
/// for a key on other threads end with that error.
///
/// @param engine  Consumed; no other thread may be using it. NULL does nothing. From inside one of
///                the engine's own callbacks this does nothing either: the engine stays open.
#[unsafe(no_mangle)]
pub extern "C" fn kv_close(engine: *mut kv_engine) {
    guard_quiet(|| {
        // SAFETY: by contract NULL or an engine of ours that is not closed yet.
        let Some(open) = (unsafe { engine.as_ref() }) else { return };
        // A callback's own engine is in use further up the stack.
        if open.0.close() != Err(Error::Reentrant) {
            // SAFETY: it came from a Box, and by contract nobody else uses it.
            drop(unsafe { Box::from_raw(engine) });
        }
    });
}

/// Runs one command, such as SET, ZADD or HGETALL; see docs/commands.md for those there are.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param argc    The number of strings in argv.
/// @param argv    Borrowed. The command's name in any case, then its arguments.
/// @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included. Stays
///         valid after the engine is closed.
///
/// Thread-safe: calls on one engine are serialised. A command that waits for a key, such as
/// BLPOP, does so on the calling thread and keeps nobody else from the engine. Commands that need
/// a connection of their own, such as MULTI and WATCH, are for kv_session_command.
#[unsafe(no_mangle)]
pub extern "C" fn kv_command(
    engine: Option<&kv_engine>,
    argc: usize,
    argv: *const kv_bytes,
) -> kv_reply {
    // SAFETY: by contract the caller lends them until this returns.
    guard_out(|out| unsafe { call::command(engine, argc, argv, out) })
}

/// Reads a file of all data, as SAVE or a Redis server wrote it, in place of what the engine holds.
/// A damaged file changes nothing.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param path    Borrowed. The file; empty for dbfilename in the directory of kv_options.
/// @return How many keys the file has, an integer; nil if there is no such file; or an error,
///         which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_load(engine: Option<&kv_engine>, path: kv_bytes) -> kv_reply {
    guard(|| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        // SAFETY: by contract the caller lends it until this returns.
        let loaded = match unsafe { path.path()? } {
            Some(path) => engine.load_from(path)?,
            None => engine.load()?,
        };
        Ok(loaded.map_or(kv_reply::NIL, |keys| {
            kv_reply::integer(i64::try_from(keys).unwrap_or(i64::MAX))
        }))
    })
}

/// Stops the script that the engine is running, if it is running one: that ends with an error
/// and, under KV_ON_ERROR_ROLLBACK, leaves no trace. A script that begins later is not stopped.
/// Calls that wait for a key end with an error too, those of all sessions.
///
/// @param engine  Borrowed. NULL does nothing.
///
/// Thread-safe: made to be called from another thread, does not wait, and may be called from the
/// log callback. Not for signal handlers on the thread that runs the script.
#[unsafe(no_mangle)]
pub extern "C" fn kv_cancel(engine: Option<&kv_engine>) {
    if let Some(engine) = engine {
        engine.0.cancel();
    }
}

/// Removes keys whose time has passed, for a while. Without it such keys go when they are next
/// asked for, and hold their memory until then. Made to be called once in a frame or a second.
///
/// @param engine        Borrowed. NULL gives an error reply.
/// @param budget_us     About how long it may take, in microseconds.
/// @param out_expired   Written if not NULL: how many keys were removed; 0 on an error.
/// @param out_complete  Written if not NULL: whether nothing more was due; false when the budget
///                      ran out first or on an error.
/// @return Status OK, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_tick(
    engine: Option<&kv_engine>,
    budget_us: u64,
    out_expired: Option<&mut MaybeUninit<usize>>,
    out_complete: Option<&mut MaybeUninit<bool>>,
) -> kv_reply {
    let (mut expired, mut complete) = (0, false);
    let reply = guard(|| {
        let tick = engine.ok_or(NULL_ENGINE)?.0.tick(Duration::from_micros(budget_us))?;
        (expired, complete) = (tick.expired, tick.complete);
        Ok(kv_reply::OK)
    });
    if let Some(place) = out_expired {
        place.write(expired);
    }
    if let Some(place) = out_complete {
        place.write(complete);
    }
    reply
}

/// Moves the time of an engine with KV_CLOCK_MANUAL forward.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param ms      By how many milliseconds; 0 to ask for the time.
/// @return The new time in milliseconds since 1970, an integer, or an error, which kv_reply_free
///         releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_clock_advance(engine: Option<&kv_engine>, ms: u64) -> kv_reply {
    guard(|| Ok(kv_reply::integer(engine.ok_or(NULL_ENGINE)?.0.advance_clock(ms)?)))
}

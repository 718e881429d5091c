//! `kv_script_stats` and `kv_profile`: what became of scripts' runs, and where a run's time went.

use super::bytes::kv_bytes;
use super::call::Input;
use super::engine::kv_engine;
use super::panic::{NULL_ENGINE, guard, guard_out};
use super::reply::kv_reply;
use std::mem::MaybeUninit;

/// Tells what became of the runs of each script that is cached or prepared, and of each function.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @return Owned; release with kv_reply_free. An array with a map for each, under protocol 2 an array
///         of names and values in turn: "name", its SHA-1 or the function's name; "library", nil for a
///         script; "runs"; "errors"; "total-usec" and "worst-usec", the time of all runs and of the
///         longest in microseconds, nil unless script_statistics was set in kv_options; "last-error"
///         and "last-error-ms", the text of the last error and when it was, in milliseconds since
///         1970, or nil.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_stats(engine: Option<&kv_engine>) -> kv_reply {
    guard_out(|out| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        out.answer(engine.options().protocol, |buffer| engine.script_stats_into(buffer))
    })
}

/// Counts what kv_script_stats tells from zero again.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @return Status OK, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_script_stats_reset(engine: Option<&kv_engine>) -> kv_reply {
    guard(|| {
        engine.ok_or(NULL_ENGINE)?.0.reset_script_stats()?;
        Ok(kv_reply::OK)
    })
}

/// Runs a script as kv_eval does, and tells where its time went. It takes several times as long
/// meanwhile; what looking costs is left out of the times.
///
/// @param engine       Borrowed. NULL gives an error reply.
/// @param script       Borrowed. Lua 5.1.
/// @param nkeys        The number of keys.
/// @param keys         Borrowed. As for kv_eval.
/// @param nargs        The number of arguments.
/// @param args         Borrowed. As for kv_eval.
/// @param out_profile  Written if not NULL, to be released with kv_reply_free: an array of two
///                     strings, a table of lines and commands, and collapsed stacks with nanoseconds,
///                     as flamegraph.pl and speedscope read them; or nil if the script did not begin.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_profile(
    engine: Option<&kv_engine>,
    script: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
    out_profile: Option<&mut MaybeUninit<kv_reply>>,
) -> kv_reply {
    let mut told = kv_reply::NIL;
    let reply = guard_out(|out| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        // SAFETY: by contract the caller lends it until this returns.
        let script = unsafe { script.slice()? };
        let input = Input { nkeys, keys, nargs, args };
        let is_wanted = out_profile.is_some();
        let run = |keys: &[&[u8]], args: &[&[u8]]| {
            out.answer(engine.options().protocol, |buffer| {
                let (outcome, profile) = engine.profile_into(script, keys, args, buffer);
                if is_wanted && outcome.is_ok() {
                    told = kv_reply::written(|buffer| {
                        buffer.array(2);
                        buffer.bulk(profile.table().as_bytes());
                        buffer.bulk(profile.collapsed().as_bytes());
                    });
                }
                outcome
            })
        };
        // SAFETY: by contract the caller lends them until this returns.
        unsafe { input.lend(run) }
    });
    if let Some(place) = out_profile {
        place.write(told);
    }
    reply
}

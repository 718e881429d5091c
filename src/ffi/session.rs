//! `kv_session`: who calls an engine with a state of its own.

use super::bytes::kv_bytes;
use super::call::{self, Caller, Input};
use super::engine::kv_engine;
use super::panic::{Failure, NULL_ENGINE, NULL_SCRIPT, NULL_SESSION};
use super::panic::{guard, guard_handle, guard_out, guard_quiet};
use super::reply::kv_reply;
use super::script::kv_script;
use crate::engine::{Call, Session};
use crate::error::Error;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// One who calls an engine with a state of its own, as a connection does a server: the selected
/// database, commands that MULTI has begun to queue, watched keys, and a transaction that can be
/// rolled back. Any number of them may be open. It holds its engine's memory, but does not keep
/// the engine open.
///
/// May be used from any thread; as a rule each thread has its own.
pub struct kv_session(Session);

impl Caller for kv_session {
    const NULL: &'static CStr = NULL_SESSION;

    #[inline]
    fn answer(&self, call: Call<'_>, out: &mut kv_reply) -> Result<(), Failure> {
        out.answer(self.0.protocol(), |buffer| self.0.call(call, buffer))
    }
}

/// Does something with a session that has no reply of its own: status OK or an error.
fn done(
    session: Option<&kv_session>,
    work: impl FnOnce(&Session) -> Result<(), Error>,
) -> kv_reply {
    guard(|| {
        work(&session.ok_or(NULL_SESSION)?.0)?;
        Ok(kv_reply::OK)
    })
}

/// A savepoint's number as it comes from C; what is none is refused like 0.
fn number(savepoint: i64) -> usize {
    usize::try_from(savepoint).unwrap_or(0)
}

/// Opens a session.
///
/// @param engine     Borrowed for the call. NULL is an error.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_session_close. NULL on an error. When the engine is closed,
///         using the session is an error from then on.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_open(
    engine: Option<&kv_engine>,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_session>> {
    guard_handle(out_error, || Ok(kv_session(engine.ok_or(NULL_ENGINE)?.0.session()?)))
}

/// Closes a session: what it had queued is dropped, a transaction it had begun is rolled back.
///
/// @param session  Consumed, before or after its engine is closed; no other thread may be using
///                 it. NULL does nothing. From inside one of the engine's own callbacks this does
///                 nothing either: the session stays open.
///
/// Thread-safe for different sessions.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_close(session: *mut kv_session) {
    guard_quiet(|| {
        // SAFETY: by contract NULL or a session of ours that is not closed yet.
        let Some(open) = (unsafe { session.as_ref() }) else { return };
        // A callback's own engine is in use further up the stack.
        if open.0.in_transaction() != Err(Error::Reentrant) {
            // SAFETY: it came from a Box, and by contract nobody else uses it.
            drop(unsafe { Box::from_raw(session) });
        }
    });
}

/// Runs one command, as kv_command does, with the session's state: SELECT, MULTI, EXEC, DISCARD,
/// WATCH and UNWATCH concern this session only.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param argc     The number of strings in argv.
/// @param argv     Borrowed. The command's name in any case, then its arguments.
/// @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included; after MULTI
///         the status QUEUED. Stays valid after session and engine are closed.
///
/// Thread-safe: calls on one engine are serialised. A command that waits for a key, such as
/// BLPOP, does so on the calling thread and keeps nobody else from the engine; it ends with its
/// timeout, by kv_session_cancel, kv_cancel or kv_close. In a transaction it does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_command(
    session: Option<&kv_session>,
    argc: usize,
    argv: *const kv_bytes,
) -> kv_reply {
    // SAFETY: by contract the caller lends them until this returns.
    guard_out(|out| unsafe { call::command(session, argc, argv, out) })
}

/// Runs a script as one atomic step, as kv_eval does; after MULTI it is queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param script   Borrowed. Lua 5.1.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval. In a transaction a script that fails
///         undoes only what it did itself.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_eval(
    session: Option<&kv_session>,
    script: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        call::run(session, |s, k, a| Call::Eval(s, k, a), script, input, out)
    })
}

/// Runs a cached script by its SHA-1, as kv_evalsha does; after MULTI it is queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param sha1     Borrowed. 40 hexadecimal digits.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_evalsha.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_evalsha(
    session: Option<&kv_session>,
    sha1: kv_bytes,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    let input = Input { nkeys, keys, nargs, args };
    // SAFETY: by contract the caller lends all of them until this returns.
    guard_out(|out| unsafe {
        call::run(session, |s, k, a| Call::EvalSha(s, k, a), sha1, input, out)
    })
}

/// Runs a prepared script, as kv_script_run does, on a session; after MULTI it is queued.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @param script   Borrowed; not to be freed while it runs. Of the session's engine; one of another
///                 engine is an error. NULL gives an error reply.
/// @param nkeys    The number of keys.
/// @param keys     Borrowed. As for kv_eval.
/// @param nargs    The number of arguments.
/// @param args     Borrowed. As for kv_eval.
/// @return Owned; release with kv_reply_free. As kv_eval.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_run(
    session: Option<&kv_session>,
    script: Option<&kv_script>,
    nkeys: usize,
    keys: *const kv_bytes,
    nargs: usize,
    args: *const kv_bytes,
) -> kv_reply {
    guard_out(|out| {
        let session = session.ok_or(NULL_SESSION)?;
        let script = &script.ok_or(NULL_SCRIPT)?.script;
        let input = Input { nkeys, keys, nargs, args };
        // SAFETY: by contract the caller lends them until this returns.
        unsafe { input.lend(|keys, args| session.answer(Call::Run(script, keys, args), out)) }
    })
}

/// Ends the call of this session that waits for a key, if there is one: it answers with an error.
/// A call that begins to wait later is not ended. kv_cancel ends those of all sessions.
///
/// @param session  Borrowed. NULL does nothing.
///
/// Thread-safe: made to be called from another thread; does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_cancel(session: Option<&kv_session>) {
    guard_quiet(|| {
        if let Some(session) = session {
            session.0.cancel();
        }
    });
}

/// Begins a transaction: what follows on this session is undone by kv_session_rollback. Until it
/// ends calls of others wait, for at most busy_timeout_ms, and commands that wait for a key answer
/// at once.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @return Status OK, or an error, which kv_reply_free releases: if a transaction is open on this
///         session already, if commands are being queued since MULTI, or if another session's
///         transaction did not end in time or is held by this very thread.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_begin(session: Option<&kv_session>) -> kv_reply {
    done(session, Session::begin)
}

/// Ends the transaction; its changes stay.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @return Status OK, or an error, which kv_reply_free releases: if no transaction is open.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_commit(session: Option<&kv_session>) -> kv_reply {
    done(session, Session::commit)
}

/// Ends the transaction and undoes all it did.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @return Status OK, or an error, which kv_reply_free releases: if no transaction is open.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_rollback(session: Option<&kv_session>) -> kv_reply {
    done(session, Session::rollback)
}

/// Tells whether a transaction is open, one of kv_session_begin.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @return The integer 1 or 0, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_in_transaction(session: Option<&kv_session>) -> kv_reply {
    guard(|| Ok(kv_reply::integer(session.ok_or(NULL_SESSION)?.0.in_transaction()?.into())))
}

/// Sets a savepoint in the transaction. Savepoints nest.
///
/// @param session  Borrowed. NULL gives an error reply.
/// @return The savepoint's number, an integer that counts from 1, or an error, which
///         kv_reply_free releases: if no transaction is open.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_savepoint(session: Option<&kv_session>) -> kv_reply {
    guard(|| {
        let number = session.ok_or(NULL_SESSION)?.0.savepoint()?;
        Ok(kv_reply::integer(i64::try_from(number).unwrap_or(i64::MAX)))
    })
}

/// Undoes what was done since a savepoint, which stays; later ones are gone.
///
/// @param session    Borrowed. NULL gives an error reply.
/// @param savepoint  The number that kv_session_savepoint gave.
/// @return Status OK, or an error, which kv_reply_free releases: if there is no such savepoint.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_rollback_to(session: Option<&kv_session>, savepoint: i64) -> kv_reply {
    done(session, |session| session.rollback_to(number(savepoint)))
}

/// Forgets a savepoint and those after it; what was done since stays part of the transaction.
///
/// @param session    Borrowed. NULL gives an error reply.
/// @param savepoint  The number that kv_session_savepoint gave.
/// @return Status OK, or an error, which kv_reply_free releases: if there is no such savepoint.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_session_release(session: Option<&kv_session>, savepoint: i64) -> kv_reply {
    done(session, |session| session.release(number(savepoint)))
}

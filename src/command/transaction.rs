//! MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//!
//! What is queued and watched is the session's. Whether a watched key changed, the engine tells
//! it; EXEC itself looks only for keys that have expired since.

use super::args::Args;
use super::context::{Context, Host};
use super::dispatch;
use super::keyspec::uses;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::KeyName;
use crate::session::{Argv, Blocking, Queue, Watched};

const ANYTIME: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const FAST: Flags = ANYTIME.and(Flags::FAST).and(Flags::ALLOW_BUSY);
const UNQUEUED: Flags = FAST.and(Flags::UNQUEUED);
/// The one command that ends a transaction even by a wrong number of arguments.
pub(super) const EXEC_NAME: &str = "exec";

const EXEC: Flags = ANYTIME.and(Flags::SKIP_SLOWLOG).and(Flags::UNQUEUED);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Transactions,
    commands: &[
        row("discard", Exactly(1), UNQUEUED, Keys::NONE, "2.0.0", "O(N) in queued commands",
            "Drops what was queued since MULTI.", discard),
        row(EXEC_NAME, Exactly(1), EXEC, Keys::NONE, "1.2.0", "Depends on the commands queued",
            "Runs what was queued since MULTI, unless a watched key has changed.", exec),
        row("multi", Exactly(1), UNQUEUED, Keys::NONE, "1.2.0", "O(1)",
            "Queues the commands that follow.", multi),
        row("unwatch", Exactly(1), FAST, Keys::NONE, "2.2.0", "O(1)",
            "Watches no key any more.", unwatch),
        row("watch", AtLeast(2), UNQUEUED, Keys::ALL, "2.2.0", "O(1) per key",
            "Watches keys: EXEC does nothing if one of them changes.", watch).uses(uses::RO),
    ],
};

/// The session of a caller that can have transactions.
fn own_session<'c, 'a>(cx: &'c mut Context<'a>) -> Result<&'c mut Host<'a>, CommandError> {
    let host = cx.host()?;
    match host.session.common {
        true => Err(CommandError::text("ERR transactions need a session of their own")),
        false => Ok(host),
    }
}

fn multi(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let session = &mut *own_session(cx)?.session;
    if session.queue.is_some() {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    session.queue = Some(Queue::default());
    cx.reply.ok();
    Ok(())
}

fn discard(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let queued = cx.host()?.session.queue.take();
    queued.ok_or(CommandError::text("ERR DISCARD without MULTI"))?;
    forget_watched(cx)?;
    cx.reply.ok();
    Ok(())
}

fn exec(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let queued = cx.host()?.session.queue.take();
    let Queue { commands, refused } = queued.ok_or(CommandError::text("ERR EXEC without MULTI"))?;
    let changed = watched_changed(cx)?;
    forget_watched(cx)?;
    if refused {
        return Err(CommandError::text(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if changed {
        cx.reply.null_array();
        return Ok(());
    }
    run_queued(cx, &commands)
}

/// Runs the commands; one that fails leaves its error among the replies, and the others go on.
fn run_queued(cx: &mut Context<'_>, commands: &[Argv]) -> CommandResult {
    let before = std::mem::replace(&mut cx.host()?.blocking, Blocking::Refused);
    cx.reply.array(commands.len());
    for argv in commands {
        dispatch(cx, &argv.slices());
    }
    cx.host()?.blocking = before;
    Ok(())
}

/// There is not enough memory for what was queued; ends the transaction and returns the error.
pub(super) fn abandon_without_memory(cx: &mut Context<'_>) -> CommandError {
    abandon(cx);
    CommandError::text(
        "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > \
         'maxmemory'.",
    )
}

/// EXEC with a wrong number of arguments ends the transaction too; returns the error.
pub(super) fn abandon(cx: &mut Context<'_>) -> CommandError {
    if let Ok(host) = cx.host() {
        host.session.queue = None;
        // There is a session, so there is something to forget.
        let _ = forget_watched(cx);
    }
    CommandError::text(
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
    )
}

fn watch(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if own_session(cx)?.session.queue.is_some() {
        return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
    }
    for key in args.rest() {
        let name = KeyName::new(cx.keys.database(), key);
        let existed = cx.keys.slot_unused(key).exists();
        let watched = &mut cx.host.as_mut().ok_or(CommandError::ScriptForbidden)?.session.watched;
        if watched.iter().all(|watched| watched.name != name) {
            cx.keys.listen(&name);
            watched.push(Watched { name, existed });
        }
    }
    cx.reply.ok();
    Ok(())
}

fn unwatch(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    forget_watched(cx)?;
    cx.reply.ok();
    Ok(())
}

/// Whether a watched key has changed, or expired.
fn watched_changed(cx: &mut Context<'_>) -> Result<bool, CommandError> {
    let Context { keys, host, .. } = cx;
    let session = &host.as_ref().ok_or(CommandError::ScriptForbidden)?.session;
    let mut gone = |watched: &Watched| {
        let name = &watched.name;
        watched.existed
            && !keys.in_database(name.database, |keys| keys.slot_unused(&name.key).exists())
    };
    Ok(session.dirty || session.watched.iter().any(&mut gone))
}

fn forget_watched(cx: &mut Context<'_>) -> CommandResult {
    let Context { keys, host, .. } = cx;
    let session = &mut *host.as_mut().ok_or(CommandError::ScriptForbidden)?.session;
    session.watched.drain(..).for_each(|watched| keys.unlisten(&watched.name));
    session.dirty = false;
    Ok(())
}

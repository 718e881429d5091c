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
/// What begins a transaction, and what is denied in one is said to be in.
pub(super) const MULTI_NAME: &str = "multi";
pub(crate) const DISCARD_NAME: &str = "discard";
pub(super) const UNWATCH_NAME: &str = "unwatch";
pub(super) const WATCH_NAME: &str = "watch";

pub(super) const NESTED: CommandError = CommandError::text("ERR MULTI calls can not be nested");
pub(super) const DISCARD_ALONE: CommandError = CommandError::text("ERR DISCARD without MULTI");
pub(super) const WATCH_INSIDE: CommandError =
    CommandError::text("ERR WATCH inside MULTI is not allowed");

const EXEC: Flags = ANYTIME.and(Flags::SKIP_SLOWLOG).and(Flags::UNQUEUED);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Transactions,
    commands: &[
        row(DISCARD_NAME, Exactly(1), UNQUEUED, Keys::NONE, "2.0.0", "O(N) in queued commands",
            "Drops what was queued since MULTI.", discard),
        row(EXEC_NAME, Exactly(1), EXEC, Keys::NONE, "1.2.0", "Depends on the commands queued",
            "Runs what was queued since MULTI, unless a watched key has changed.", exec),
        row(MULTI_NAME, Exactly(1), UNQUEUED, Keys::NONE, "1.2.0", "O(1)",
            "Queues the commands that follow.", multi),
        row(UNWATCH_NAME, Exactly(1), FAST, Keys::NONE, "2.2.0", "O(1)",
            "Watches no key any more.", unwatch),
        row(WATCH_NAME, AtLeast(2), UNQUEUED, Keys::ALL, "2.2.0", "O(1) per key",
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
        return Err(NESTED);
    }
    session.queue = Some(Queue::default());
    cx.reply.ok();
    Ok(())
}

fn discard(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let queued = cx.host()?.session.queue.take();
    queued.ok_or(DISCARD_ALONE)?;
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
    cx.server.users.executing = true;
    for argv in commands {
        dispatch(cx, &argv.slices());
    }
    cx.server.users.executing = false;
    cx.host()?.blocking = before;
    Ok(())
}

/// EXEC that is refused, or has a wrong number of arguments, ends the transaction too; returns the
/// error, given why.
pub(super) fn abandon(cx: &mut Context<'_>, why: &CommandError) -> CommandError {
    if let Ok(host) = cx.host() {
        host.session.queue = None;
        // There is a session, so there is something to forget.
        let _ = forget_watched(cx);
    }
    let why = why.to_string();
    let why = why.strip_prefix("ERR ").unwrap_or(&why);
    CommandError::quoting(&[b"EXECABORT Transaction discarded because of: ", why.as_bytes()])
}

fn watch(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if own_session(cx)?.session.queue.is_some() {
        return Err(WATCH_INSIDE);
    }
    let (host, keys, ..) = cx.with_host()?;
    let watched = &mut host.session.watched;
    for key in args.rest() {
        let name = KeyName::new(keys.database(), key);
        let existed = keys.slot_unused(key).exists();
        if watched.iter().all(|watched| watched.name != name) {
            keys.listen(&name);
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
    let (Host { session, .. }, keys, ..) = cx.with_host()?;
    let mut gone = |watched: &Watched| {
        let name = &watched.name;
        watched.existed
            && !keys.in_database(name.database, |keys| keys.slot_unused(&name.key).exists())
    };
    Ok(session.dirty || session.watched.iter().any(&mut gone))
}

fn forget_watched(cx: &mut Context<'_>) -> CommandResult {
    let (Host { session, .. }, keys, ..) = cx.with_host()?;
    session.watched.drain(..).for_each(|watched| keys.unlisten(&watched.name));
    session.dirty = false;
    Ok(())
}

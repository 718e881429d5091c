//! The way of a call: from its arguments to its row, through the gates (`gate.rs`) to the handler,
//! and what is counted and measured of it. What a session queues goes as far as the queue.
//!
//! The host and clients come by [`dispatch`], calls that waited by [`serve`], scripts by [`run`].

use super::args::Args;
use super::context::{Caller, Context};
use super::gate::{Watched, enter, opens_at_once, passes_at_once};
use super::index::{Found, find, resolve};
use super::spec::{Command, Flags};
use super::{hosted, monitor, restricted, transaction};
use crate::clients::address;
use crate::error::CommandError;
use crate::server::{Inner, Server, Stopwatch, Timed};

/// Runs one command. Its reply, or its error as a reply, is in `cx.reply` afterwards.
pub(crate) fn dispatch(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let found = argv.first().and_then(|name| find(name));
    let outcome = match found {
        // Scripts are held to less by their memory limit.
        Some(_) if argv.iter().any(|arg| arg.len() > cx.server.measures.argument_most) => {
            Err(CommandError::StringTooLong)
        }
        found => match refuse_restricted(cx, found, argv) {
            Err(error) => Err(error),
            Ok(()) => match found {
                Some(found) => queue_or_run(cx, found, argv),
                None => hosted::queue_or_run(cx, argv),
            },
        },
    };
    if let Err(mut error) = outcome {
        if error == CommandError::Arity(transaction::EXEC_NAME) {
            error = transaction::abandon(cx, &error);
        }
        // EXEC answers with an error where a command could not be queued.
        if found.is_none_or(|found| !found.command.flags.has(Flags::UNQUEUED))
            && let Some(queue) = cx.queue()
        {
            queue.refused = true;
        }
        refuse(cx, &error);
    }
}

/// Answers with an error, and counts it.
#[cold]
fn refuse(cx: &mut Context<'_>, error: &CommandError) {
    let mark = cx.reply.mark();
    cx.reply.error(error);
    if let Some(text) = cx.reply.error_at(mark) {
        cx.server.stats.error(text);
    }
}

/// Looks at the calls of a client that may not call everything, and notes what any client called
/// last.
#[inline]
fn refuse_restricted(
    cx: &mut Context<'_>,
    found: Option<Found>,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    let Some(host) = &mut cx.host else { return Ok(()) };
    let command = match found {
        Some(found) if !found.command.subcommands.is_empty() => {
            match resolve(found, argv, cx.caller) {
                Ok((found, _)) => Some(found.command),
                // The gate says so to everybody.
                Err(_) => return Ok(()),
            }
        }
        found => found.map(|found| found.command),
    };
    host.session.client.last_command = command.map(|command| command.name);
    match host.session.client.restricted {
        true => restricted::refuse(cx, command, argv),
        false => Ok(()),
    }
}

/// Of a command that may not be part of a transaction.
pub(super) const NOT_QUEUED: CommandError =
    CommandError::text("ERR Command not allowed inside a transaction");

/// Runs a command, or keeps it for EXEC where the session queues.
fn queue_or_run(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    if found.command.flags.has(Flags::UNQUEUED) || cx.queue().is_none() {
        return run_and_note(cx, found, argv);
    }
    let (found, _) = enter(cx, found, argv)?;
    if found.command.flags.has(Flags::NO_MULTI) {
        return Err(NOT_QUEUED);
    }
    cx.enqueue(argv);
    Ok(())
}

/// Runs a command that has waited; it is not queued.
pub(crate) fn serve(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let Some(found) = argv.first().and_then(|name| find(name)) else { return };
    if let Err(error) = run_and_note(cx, found, argv) {
        refuse(cx, &error);
    }
}

/// Counts a call that has waited in vain.
pub(crate) fn count_waited(server: &mut Server, argv: &[&[u8]]) {
    if let Some(found) = argv.first().and_then(|name| find(name)) {
        server.stats.called(found.number);
    }
}

/// Runs a command, and notes how that went: how long it took, where that is asked for, and whether
/// it answered with an error.
fn run_and_note(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    let (found, words) = match opens_at_once(cx, found.command, argv.len()) {
        true => (found, 1),
        false => enter(cx, found, argv)?,
    };
    let mark = cx.reply.mark();
    let outcome = match cx.server.measures.timed {
        true => perform_timed(cx, found, words, argv),
        false => perform(cx, found.command, words, argv),
    };
    // It is counted when it is served.
    if !cx.waits() {
        cx.server.stats.called(found.number);
        if outcome.is_err() || cx.reply.error_at(mark).is_some() {
            cx.server.stats.failed(found.number);
        }
    }
    // An outcome that is made anew has not to be moved: that takes longer than all of the above.
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The address that is told of what a script calls.
const NOBODY: &[u8] = b"?:0";

#[cold]
fn perform_timed(
    cx: &mut Context<'_>,
    Found { command, number }: Found,
    words: usize,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    cx.server.secret.clear();
    // What a script calls does not follow the call before: there is Lua between them.
    let is_host = cx.caller == Caller::Host;
    let watch = Stopwatch::start(cx.server.handed_over.take().filter(|_| is_host));
    let outcome = perform(cx, command, words, argv);
    let (took, end) = watch.stop();
    cx.server.handed_over = Some(end).filter(|_| is_host);
    if cx.waits() {
        return outcome;
    }
    let is_fast = command.flags.has(Flags::FAST);
    let is_never_slow = command.flags.has(Flags::SKIP_SLOWLOG);
    let client = cx.host.as_ref().map(|host| &host.session.client);
    let client = client.map_or((NOBODY, &b""[..]), |client| {
        (address(&client.origin.peer).as_bytes(), &client.name)
    });
    let call = Timed { number, argv, client, is_fast, is_never_slow };
    cx.server.note_time(call, took, || cx.keys.now());
    outcome
}

/// Runs a command of a script's, whose row is at hand; on an error nothing is left in the reply.
/// What is not watched and passes all gates at once goes straight to its handler.
#[inline(always)]
pub(crate) fn run(
    cx: &mut Context<'_>,
    found: Found,
    argv: &[&[u8]],
    watched: Watched,
) -> Result<(), CommandError> {
    if watched.has(found.command) || !passes_at_once(found.command, argv.len(), cx.caller) {
        return run_watched(cx, found, argv);
    }
    cx.server.stats.called(found.number);
    let outcome = call(cx, found.command, argv, 1);
    outcome.inspect_err(|_| cx.server.stats.failed(found.number))
}

/// The same, gate by gate.
#[cold]
#[inline(never)]
fn run_watched(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    let (found, words) = enter(cx, found, argv)?;
    cx.server.stats.called(found.number);
    let is_timed = match cx.server.measures.inner {
        Inner::None => false,
        Inner::Long => found.command.may_take_long(),
        Inner::All => true,
    };
    let outcome = match is_timed {
        true => perform_timed(cx, found, words, argv),
        false => perform(cx, found.command, words, argv),
    };
    outcome.inspect_err(|_| cx.server.stats.failed(found.number))
}

/// Runs a command that is not in the table, for a script: one that the host has added.
#[cold]
pub(crate) fn run_hosted(cx: &mut Context<'_>, argv: &[&[u8]]) -> Result<(), CommandError> {
    hosted::queue_or_run(cx, argv)
}

/// Runs the handler of a call that was let through.
#[inline(always)]
fn perform(
    cx: &mut Context<'_>,
    command: &'static Command,
    words: usize,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    match cx.keys.news().is_overheard() {
        true => monitor::run_overheard(cx, command, argv, words),
        false => call(cx, command, argv, words),
    }
}

/// Calls the handler of a row whose gates are passed.
#[inline(always)]
pub(super) fn call(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
    words: usize,
) -> Result<(), CommandError> {
    let args = Args::new(command.name, argv.get(words..).unwrap_or_default());
    let args = args.called(argv.get(words - 1));
    let mark = cx.reply.mark();
    (command.run)(cx, args).inspect_err(|_| cx.reply.truncate(mark))
}

//! FCALL and its kin, and FUNCTION.

use super::args::Args;
use super::context::Context;
use super::keyspec::specs;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::tips;
use super::spec::{Beside, Command, Family, Flags, Group, container};
use crate::error::{CommandError, CommandResult, clipped, error_end};
use crate::glob;
use crate::number::parse_i64;
use crate::reply::ReplyBuf;
use crate::script::{Ask, ENGINE, Input, Kind, Library, RestorePolicy, Story};

const CALL: Flags = Flags::NOSCRIPT
    .and(Flags::SKIP_MONITOR)
    .and(Flags::STALE)
    .and(Flags::MOVABLEKEYS)
    .and(Flags::NO_MANDATORY_KEYS);
const CALL_RO: Flags = CALL.and(Flags::READONLY);

const SHOW: Flags = Flags::NOSCRIPT;
const SHOW_BUSY: Flags = Flags::NOSCRIPT.and(Flags::ALLOW_BUSY);
const CHANGE: Flags = Flags::NOSCRIPT.and(Flags::WRITE);
const GROW: Flags = CHANGE.and(Flags::DENYOOM);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Scripting,
    commands: &[
        row("fcall", AtLeast(3), CALL, "7.0.0", "Depends on the function",
            "Calls a function of a library.", fcall).specs(specs::SCRIPT),
        row("fcall_ro", AtLeast(3), CALL_RO, "7.0.0", "Depends on the function",
            "Calls a function of a library that does not write.", fcall_ro)
            .specs(specs::SCRIPT_RO),
        container("function", "7.0.0", "Depends on the subcommand",
            "Libraries of functions.", FUNCTION),
    ],
};

#[rustfmt::skip]
const FUNCTION: &[Command] = &[
    row("function|delete", Exactly(3), CHANGE, "7.0.0", "O(N) in the library's functions",
        "Deletes a library and its functions.", delete).tips(tips::ALL_SHARDS),
    row("function|dump", Exactly(2), SHOW, "7.0.0", "O(N) in bytes of all libraries",
        "Serialises all libraries.", dump),
    row("function|flush", AtLeast(2), CHANGE, "7.0.0", "O(N) in functions",
        "Deletes all libraries.", flush).tips(tips::ALL_SHARDS),
    row("function|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "7.0.0", "O(1)",
        "What there is.", help),
    row("function|kill", Exactly(2), SHOW_BUSY, "7.0.0", "O(1)",
        "Ends the function that is running.", kill)
        .beside(Beside { ask: Ask::Kill(Kind::Function), write: |_, _, reply| reply.ok() })
        .tips(tips::ONE_OF_ALL_SHARDS),
    row("function|list", AtLeast(2), SHOW, "7.0.0", "O(N) in functions",
        "Lists the libraries and their functions.", list).tips(tips::VARYING_ORDER),
    row("function|load", AtLeast(3), GROW, "7.0.0", "O(N) in bytes, and what the library does",
        "Loads a library.", load).tips(tips::ALL_SHARDS),
    row("function|restore", AtLeast(3), GROW, "7.0.0", "O(N) in libraries of the payload",
        "Loads the libraries of a payload.", restore).tips(tips::ALL_SHARDS),
    row("function|stats", Exactly(2), SHOW_BUSY, "7.0.0", "O(N) in libraries",
        "Counts libraries and functions, and tells what is running.", stats)
        .beside(Beside {
            ask: Ask::Tell,
            write: |story, counts, reply| write_stats(reply, story, counts),
        })
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ]),
];

fn fcall(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    call(cx, args, false)
}

fn fcall_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    call(cx, args, true)
}

fn call(cx: &mut Context<'_>, mut args: Args<'_>, read_only: bool) -> CommandResult {
    let name = args.next()?;
    let callee = cx.scripts()?.functions().find(name).ok_or(CommandError::NoFunction)?.clone();
    let count = parse_i64(args.next()?);
    let count = count.ok_or(CommandError::text("ERR Bad number of keys provided"))?;
    if count < 0 {
        return Err(CommandError::text("ERR Number of keys can't be negative"));
    }
    let split = usize::try_from(count).ok().and_then(|n| args.rest().split_at_checked(n));
    let called = args.word();
    let (keys, args) = split
        .ok_or(CommandError::text("ERR Number of keys can't be greater than number of args"))?;
    let (host, keyspace, server, reply) = cx.with_host()?;
    let input = Input { keys, args, called, read_only };
    host.scripts.call(&callee, &input, keyspace, server, reply)
}

fn load(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (code, options) = args.rest().split_last().ok_or(CommandError::Syntax)?;
    for option in options {
        if !option.eq_ignore_ascii_case(b"replace") {
            let shown = error_end(option);
            return Err(CommandError::quoting(&[b"ERR Unknown option given: ", shown]));
        }
    }
    let name = cx.scripts()?.load_library(code, !options.is_empty())?;
    cx.keys.count_changes(1);
    cx.reply.bulk(&name);
    Ok(())
}

fn delete(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let name = args.next()?;
    if !cx.scripts()?.delete_library(name) {
        return Err(CommandError::NoLibrary);
    }
    cx.keys.count_changes(1);
    cx.reply.ok();
    Ok(())
}

fn flush(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(args.subcommand_error());
    }
    if !args.is_empty() && !args.take_word("sync") && !args.take_word("async") {
        return Err(CommandError::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    cx.scripts()?.flush_libraries();
    cx.keys.count_changes(1);
    cx.reply.ok();
    Ok(())
}

fn dump(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let payload = cx.scripts()?.dump_libraries();
    cx.reply.bulk(&payload);
    Ok(())
}

fn restore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 2 {
        return Err(args.subcommand_error());
    }
    let payload = args.next()?;
    let policy = if args.is_empty() || args.take_word("append") {
        RestorePolicy::Append
    } else if args.take_word("replace") {
        RestorePolicy::Replace
    } else if args.take_word("flush") {
        RestorePolicy::Flush
    } else {
        return Err(CommandError::text(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
        ));
    };
    cx.scripts()?.restore_libraries(payload, policy)?;
    cx.keys.count_changes(1);
    cx.reply.ok();
    Ok(())
}

/// Whoever gets here has the engine to himself: nothing is running.
fn kill(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text("NOTBUSY No scripts in execution right now."))
}

fn stats(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let counts = cx.scripts()?.counts();
    write_stats(cx.reply, None, counts);
    Ok(())
}

fn write_stats(
    reply: &mut ReplyBuf,
    running: Option<&Story>,
    (libraries, functions): (usize, usize),
) {
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        Some(story) => write_story(reply, story),
        None => reply.null(),
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(ENGINE.as_bytes());
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.count(libraries);
    reply.bulk(b"functions_count");
    reply.count(functions);
}

fn write_story(reply: &mut ReplyBuf, story: &Story) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(&story.name);
    reply.bulk(b"command");
    reply.array(story.command.len());
    story.command.iter().for_each(|word| reply.bulk(word));
    reply.bulk(b"duration_ms");
    reply.integer(i64::try_from(story.since.elapsed().as_millis()).unwrap_or(i64::MAX));
}

fn list(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (mut pattern, mut with_code) = (None, false);
    while let Some(word) = args.maybe_next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            let missing = CommandError::text("ERR library name argument was not given");
            pattern = Some(args.maybe_next().ok_or(missing)?);
        } else {
            let word = clipped(word, usize::MAX);
            return Err(CommandError::quoting(&[b"ERR Unknown argument ", word]));
        }
    }
    let (host, _, _, reply) = cx.with_host()?;
    let functions = host.scripts.functions();
    let is_wanted = |name: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
    let listed = || functions.libraries().filter(|(name, _)| is_wanted(name));
    reply.array(listed().count());
    listed().for_each(|(name, library)| write_library(reply, name, library, with_code));
    Ok(())
}

fn write_library(reply: &mut ReplyBuf, name: &[u8], library: &Library, with_code: bool) {
    reply.map(3 + usize::from(with_code));
    reply.bulk(b"library_name");
    reply.bulk(name);
    reply.bulk(b"engine");
    reply.bulk(ENGINE.as_bytes());
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        reply.bulk_or_null(function.description.as_deref());
        reply.bulk(b"flags");
        reply.set(function.flags.names().count());
        function.flags.names().for_each(|flag| reply.status(flag.as_bytes()));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines: Vec<&str> = HELP.lines().collect();
    cx.reply.statuses(&lines);
    Ok(())
}

/// The reply of Redis, as it was recorded (reference: function-075).
const HELP: &str = "\
FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
LOAD [REPLACE] <FUNCTION CODE>
    Create a new library with the given library name and code.
DELETE <LIBRARY NAME>
    Delete the given library.
LIST [LIBRARYNAME PATTERN] [WITHCODE]
    Return general information on all the libraries:
    * Library name
    * The engine used to run the Library
    * Library description
    * Functions list
    * Library code (if WITHCODE is given)
    It also possible to get only function that matches a pattern using LIBRARYNAME argument.
STATS
    Return information about the current function running:
    * Function name
    * Command used to run the function
    * Duration in MS that the function is running
    If no function is running, return nil
    In addition, returns a list of available engines.
KILL
    Kill the current running function.
FLUSH [ASYNC|SYNC]
    Delete all the libraries.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the libraries.
    * SYNC: Synchronously flush the libraries.
DUMP
    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command
RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]
    Restore the libraries represented by the given payload, it is possible to give a restore policy to
    control how to handle existing libraries (default APPEND):
    * FLUSH: delete all existing libraries.
    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.
    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old
      libraries with the new libraries (notice that even on this option there is a chance of failure
      in case of functions name collision with another library).
HELP
    Prints this help.";

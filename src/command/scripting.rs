//! EVAL and its kin, and SCRIPT.

use super::args::Args;
use super::context::Context;
use super::keyspec::specs;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::tips;
use super::spec::{Beside, Command, Family, Flags, Group, container};
use crate::error::{CommandError, CommandResult};
use crate::script::{Ask, Input, Kind, ScriptId, Scripts, Sha1Hex};

/// Runs a script by its text.
pub(crate) const EVAL: &str = "eval";
/// Runs a script by its SHA-1.
pub(crate) const EVALSHA: &str = "evalsha";

const RUN: Flags = Flags::NOSCRIPT
    .and(Flags::SKIP_MONITOR)
    .and(Flags::STALE)
    .and(Flags::MOVABLEKEYS)
    .and(Flags::NO_MANDATORY_KEYS);
const RUN_RO: Flags = RUN.and(Flags::READONLY);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Scripting,
    commands: &[
        row(EVAL, AtLeast(3), RUN, "2.6.0", "Depends on the script",
            "Runs a script.", eval).specs(specs::SCRIPT),
        row("eval_ro", AtLeast(3), RUN_RO, "7.0.0", "Depends on the script",
            "Runs a script that does not write.", eval_ro).specs(specs::SCRIPT_RO),
        row(EVALSHA, AtLeast(3), RUN, "2.6.0", "Depends on the script",
            "Runs a cached script by its SHA-1.", evalsha).specs(specs::SCRIPT),
        row("evalsha_ro", AtLeast(3), RUN_RO, "7.0.0", "Depends on the script",
            "Runs a cached script that does not write by its SHA-1.", evalsha_ro)
            .specs(specs::SCRIPT_RO),
        container("script", "2.6.0", "Depends on the subcommand", "The script cache.", SCRIPT),
    ],
};

#[rustfmt::skip]
const SCRIPT: &[Command] = &[
    row("script|debug", Exactly(3), Flags::NOSCRIPT, "3.2.0", "O(1)",
        "Accepted for compatibility: there is no debugger.", script_debug),
    row("script|exists", AtLeast(3), Flags::NOSCRIPT, "2.6.0", "O(N) in scripts asked for",
        "Tells which scripts are cached.", script_exists)
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
    row("script|flush", AtLeast(2), Flags::NOSCRIPT, "2.6.0", "O(N) in scripts cached",
        "Empties the script cache.", script_flush).tips(tips::ALL_NODES),
    row("script|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "5.0.0", "O(1)",
        "What there is.", script_help),
    row("script|kill", Exactly(2), Flags::NOSCRIPT.and(Flags::ALLOW_BUSY), "2.6.0", "O(1)",
        "Ends the script that is running.", script_kill)
        .beside(Beside { ask: Ask::Kill(Kind::Script), write: |_, _, reply| reply.ok() })
        .tips(tips::ONE_OF_ALL_SHARDS),
    row("script|load", Exactly(3), Flags::NOSCRIPT.and(Flags::STALE), "2.6.0", "O(N) in bytes",
        "Caches a script.", script_load).tips(tips::ALL_NODES),
];

fn eval(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, false, Scripts::load)
}

fn eval_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, true, Scripts::load)
}

fn evalsha(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run_cached(cx, args, false)
}

fn evalsha_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run_cached(cx, args, true)
}

/// What has not the length of a SHA-1 is no script, whatever follows it.
fn run_cached(cx: &mut Context<'_>, args: Args<'_>, read_only: bool) -> CommandResult {
    if args.rest().first().is_some_and(|sha| sha.len() != size_of::<Sha1Hex>()) {
        return Err(CommandError::NoScript);
    }
    run(cx, args, read_only, cached)
}

fn cached(scripts: &mut Scripts, sha: &[u8]) -> Result<ScriptId, CommandError> {
    scripts.find(sha).ok_or(CommandError::NoScript)
}

fn run(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    read_only: bool,
    find: fn(&mut Scripts, &[u8]) -> Result<ScriptId, CommandError>,
) -> CommandResult {
    let (script, count) = (args.next()?, args.integer()?);
    if count < 0 {
        return Err(CommandError::text("ERR Number of keys can't be negative"));
    }
    let split = usize::try_from(count).ok().and_then(|n| args.rest().split_at_checked(n));
    let (keys, argv) = split
        .ok_or(CommandError::text("ERR Number of keys can't be greater than number of args"))?;
    let (host, keyspace, server, reply) = cx.with_host()?;
    let id = find(host.scripts, script)?;
    let input = Input { keys, args: argv, called: args.word(), read_only };
    host.scripts.run(id, &input, keyspace, server, reply)
}

fn script_load(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let source = args.next()?;
    let scripts = cx.scripts()?;
    let id = scripts.load(source)?;
    let sha = scripts.sha(id);
    cx.reply.bulk(&sha);
    Ok(())
}

fn script_exists(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    cx.reply.array(args.len());
    for sha in args.rest() {
        let found = cx.scripts()?.find(sha).is_some();
        cx.reply.integer(found.into());
    }
    Ok(())
}

fn script_flush(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let known = args.is_empty() || args.take_word("sync") || args.take_word("async");
    if !known || !args.is_empty() {
        return Err(CommandError::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    cx.scripts()?.flush();
    cx.reply.ok();
    Ok(())
}

fn script_debug(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if !(args.take_word("no") || args.take_word("yes") || args.take_word("sync")) {
        return Err(CommandError::text("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
    }
    cx.reply.ok();
    Ok(())
}

/// Whoever gets here has the engine to himself: nothing is running.
fn script_kill(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text("NOTBUSY No scripts in execution right now."))
}

fn script_help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    Accepted for compatibility: there is no debugger.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell of each script whether it is cached.",
        "FLUSH [ASYNC|SYNC]",
        "    Empty the script cache.",
        "KILL",
        "    End the script that is running.",
        "LOAD <script>",
        "    Cache a script without running it.",
        "HELP",
        "    This text.",
    ];
    cx.reply.statuses(&lines);
    Ok(())
}

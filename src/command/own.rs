//! MOONKV: what Redis has no command for.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Command, Details, Family, Flags, Group, Keys};
use crate::error::{CommandError, CommandResult};
use crate::script;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Own,
    commands: &[
        Command {
            name: "moonkv",
            arity: AtLeast(2),
            flags: Flags::NONE,
            keys: Keys::NONE,
            since: "0.1.0",
            complexity: "Depends on the subcommand",
            summary: "What Redis has no command for.",
            subcommands: SUBCOMMANDS,
            details: Details::NONE,
            run: container,
        },
    ],
};

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    row("moonkv|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "0.1.0", "O(1)",
        "What there is.", help),
    row("moonkv|resetstats", Exactly(2), Flags::NOSCRIPT, "0.1.0", "O(N) in scripts and functions",
        "Counts the runs of scripts and functions from zero again.", resetstats),
    row("moonkv|stats", AtLeast(2), Flags::NOSCRIPT, "0.1.0", "O(N) in scripts and functions",
        "Tells what became of the runs of scripts and functions.", stats),
];

/// A container alone: dispatch finds its subcommand before it comes here.
fn container(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

fn stats(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let host = cx.host.as_mut().ok_or(CommandError::ScriptForbidden)?;
    let stats = host.scripts.stats(args.rest());
    script::stats::write(&stats, cx.reply);
    Ok(())
}

fn resetstats(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.host.as_mut().ok_or(CommandError::ScriptForbidden)?.scripts.reset_stats();
    cx.reply.ok();
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines: &[&[u8]] = &[
        b"MOONKV <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"RESETSTATS",
        b"    Count the runs of scripts and functions from zero again.",
        b"STATS [<sha1 or function> ...]",
        b"    Tell how often scripts and functions were run, how often and how they failed,",
        b"    and how long they took if the engine was opened to keep that.",
        b"HELP",
        b"    This text.",
    ];
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.status(line));
    Ok(())
}

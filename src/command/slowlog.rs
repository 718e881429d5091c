//! SLOWLOG: the calls that took long.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Command, Family, Flags, Group, container, keyless as row};
use crate::error::{CommandError, CommandResult};
use crate::number::parse_i64;

const HELP: Flags = Flags::LOADING.and(Flags::STALE);
const ADMIN: Flags = HELP.and(Flags::ADMIN);

/// How many calls are told of unless the caller says.
const USUAL: usize = 10;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[container("slowlog", "2.2.12", "Depends on the subcommand", "The calls that took long.", SLOWLOG)],
};

#[rustfmt::skip]
const SLOWLOG: &[Command] = &[
    row("slowlog|get", AtLeast(2), ADMIN, "2.2.12", "O(N) in calls told of",
        "The latest calls that took long.", get)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    row("slowlog|help", Exactly(2), HELP, "6.2.0", "O(1)", "What there is.", help),
    row("slowlog|len", Exactly(2), ADMIN, "2.2.12", "O(1)",
        "How many calls are kept that took long.", len)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    row("slowlog|reset", Exactly(2), ADMIN, "2.2.12", "O(N) in calls kept",
        "Forgets the calls that took long.", reset)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

fn get(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let most = match args.rest() {
        [] => USUAL,
        [count] => match parse_i64(count) {
            Some(-1) => usize::MAX,
            Some(count @ 0..) => count as usize,
            _ => return Err(CommandError::text("ERR count should be greater than or equal to -1")),
        },
        _ => return Err(args.subcommand_error()),
    };
    let log = &cx.server.slowlog;
    cx.reply.array(log.len().min(most));
    for call in log.calls().take(most) {
        cx.reply.array(6);
        cx.reply.integer(call.id.cast_signed());
        cx.reply.integer(call.at);
        cx.reply.integer(call.us);
        cx.reply.array(call.argv.len());
        call.argv.iter().for_each(|argument| cx.reply.bulk(argument));
        cx.reply.bulk(&call.address);
        cx.reply.bulk(&call.name);
    }
    Ok(())
}

fn len(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.count(cx.server.slowlog.len());
    Ok(())
}

fn reset(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.server.slowlog.clear();
    cx.reply.ok();
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    Tell of the latest <count> calls that took long (default: 10, -1: all): number,",
        "    time, microseconds, arguments, address and name of the client.",
        "LEN",
        "    Tell how many are kept.",
        "RESET",
        "    Forget them.",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

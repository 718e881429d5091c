//! PING, ECHO and SELECT.

use super::args::Args;
use super::context::Context;
use super::server::next_database;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Command, Details, Family, Flags, Group, Keys};
use crate::error::CommandResult;

pub(super) const FAMILY: Family = Family {
    group: Group::Connection,
    commands: &[
        Command {
            name: "echo",
            arity: Exactly(2),
            flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Answers with its argument.",
            subcommands: &[],
            details: Details::NONE,
            run: echo,
        },
        Command {
            name: "ping",
            arity: AtLeast(1),
            flags: Flags::FAST,
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Answers PONG, or with its argument.",
            subcommands: &[],
            details: Details { tips: tips::ALL_SHARDS, ..Details::NONE },
            run: ping,
        },
        Command {
            name: "select",
            arity: Exactly(2),
            flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Selects the database that the session's commands work on.",
            subcommands: &[],
            details: Details::NONE,
            run: select,
        },
    ],
};

fn echo(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.reply.bulk(args.next()?);
    Ok(())
}

fn ping(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(args.arity_error());
    }
    match args.maybe_next() {
        Some(text) => cx.reply.bulk(text),
        None => cx.reply.status(b"PONG"),
    }
    Ok(())
}

/// Within a script it holds until the script ends.
fn select(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let database = next_database(cx.keys, &mut args)?;
    cx.keys.select(database);
    cx.reply.ok();
    Ok(())
}

//! Commands on the database as a whole.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Arity, Command, Family, Flags, Group, Keys, keyed};
use crate::error::{CommandError, CommandResult};

/// A row of this family: all of them came with Redis 1.0 and name no key.
const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    complexity: &'static str,
    summary: &'static str,
    run: fn(&mut Context<'_>, Args<'_>) -> CommandResult,
) -> Command {
    let (keys, since) = (Keys::NONE, "1.0.0");
    keyed(name, arity, flags, keys, since, complexity, summary, run)
}

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[
        row("dbsize", Exactly(1), Flags::READONLY.and(Flags::FAST), "O(1)",
            "The number of keys.", dbsize)
            .categories(&["keyspace"])
            .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
        row("flushall", AtLeast(1), Flags::WRITE, "O(N) in keys",
            "Removes all keys.", flush)
            .categories(&["keyspace", "dangerous"]).tips(tips::ALL_SHARDS),
        row("flushdb", AtLeast(1), Flags::WRITE, "O(N) in keys",
            "Removes all keys of the database, the only one there is.", flush)
            .categories(&["keyspace", "dangerous"]).tips(tips::ALL_SHARDS),
    ],
};

fn dbsize(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.count(cx.keys.len());
    Ok(())
}

/// SYNC and ASYNC ask who frees the memory; there is nobody else here, so both mean the same.
fn flush(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let _ = args.take_word("sync") || args.take_word("async");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    cx.keys.flush();
    cx.reply.ok();
    Ok(())
}

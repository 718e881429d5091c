//! Commands on the database as a whole.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Arity, Command, Family, Flags, Group, Keys, keyed, keyless};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::number::parse_i64;
use crate::session::Order;

/// A row of this family: most of them came with Redis 1.0 and name no key.
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
            "Removes all keys of all databases.", flushall)
            .categories(&["keyspace", "dangerous"]).tips(tips::ALL_SHARDS),
        row("flushdb", AtLeast(1), Flags::WRITE, "O(N) in keys",
            "Removes all keys of the selected database.", flushdb)
            .categories(&["keyspace", "dangerous"]).tips(tips::ALL_SHARDS),
        keyless("swapdb", Exactly(3), Flags::WRITE.and(Flags::FAST), "4.0.0",
            "O(N) in keys watched or waited for", "Exchanges two databases.", swapdb)
            .categories(&["keyspace", "dangerous"]),
    ],
};

fn dbsize(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.count(cx.keys.len());
    Ok(())
}

fn flushall(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    flush(cx, args, Keyspace::flush_all, Keyspace::len_of_all)
}

fn flushdb(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    flush(cx, args, Keyspace::flush, Keyspace::len)
}

/// SYNC and ASYNC ask who frees the memory. There is nobody else here, so the keys are gone at once
/// either way; what ASYNC would have left to others is counted.
fn flush(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    what: fn(&mut Keyspace),
    len: fn(&Keyspace) -> usize,
) -> CommandResult {
    let lazy = match () {
        () if args.take_word("sync") => false,
        () if args.take_word("async") => true,
        () => cx.server.config.flag("lazyfree-lazy-user-flush"),
    };
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    if lazy {
        cx.server.stats.lazily_freed += len(cx.keys) as u64;
    }
    what(cx.keys);
    cx.keys.count_changes(1);
    cx.reply.ok();
    Ok(())
}

fn swapdb(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let mut number = |which: &'static str| {
        let number = parse_i64(args.next()?).and_then(|number| i32::try_from(number).ok());
        number.ok_or(CommandError::text(which))
    };
    let first = number("ERR invalid first DB index")?;
    let second = number("ERR invalid second DB index")?;
    let [first, second] =
        [first, second].map(|number| database(cx.keys, number.into()).ok_or(CommandError::DbIndex));
    cx.keys.swap_databases(first?, second?);
    cx.keys.count_changes(1);
    if let Ok(host) = cx.host() {
        host.orders.push(Order::LookAgain);
    }
    cx.reply.ok();
    Ok(())
}

/// The next argument, the number of a database that exists.
pub(super) fn next_database(keys: &Keyspace, args: &mut Args<'_>) -> Result<usize, CommandError> {
    let number = i32::try_from(args.integer()?).map_err(|_| CommandError::NotInteger32)?;
    database(keys, number.into()).ok_or(CommandError::DbIndex)
}

/// A database by its number, if there is one.
pub(super) fn database(keys: &Keyspace, number: i64) -> Option<usize> {
    usize::try_from(number).ok().filter(|&number| number < keys.database_count())
}

//! MEMORY: how much memory keys take, and the process.

use super::args::Args;
use super::context::Context;
use super::info::used_memory;
use super::keyspec::uses;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Command, Family, Flags, Group, Keys, container, keyless, tips};
use crate::error::{CommandError, CommandResult};

const SPECIAL: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// The key of MEMORY's subcommands.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

/// How many elements of a collection are looked at unless the caller says.
const SAMPLES: usize = 5;

/// What else goes by this name.
pub(super) const NAME: &str = "memory";

pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[container(
        NAME,
        "4.0.0",
        "O(N) in samples",
        "Tells how much memory is used.",
        MEMORY,
    )],
};

#[rustfmt::skip]
const MEMORY: &[Command] = &[
    keyless("memory|doctor", Exactly(2), Flags::NONE, "4.0.0", "O(1)",
        "Tells what there is to say about memory.", memory_doctor).tips(SPECIAL),
    keyless("memory|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "4.0.0", "O(1)",
        "What there is.", memory_help),
    keyless("memory|malloc-stats", Exactly(2), Flags::NONE, "4.0.0", "O(1)",
        "Tells that the allocator keeps no account.", memory_malloc_stats).tips(SPECIAL),
    keyless("memory|purge", Exactly(2), Flags::NONE, "4.0.0", "O(1)",
        "Accepted for compatibility: nothing is held back.", memory_purge).tips(tips::ALL_SHARDS),
    keyless("memory|stats", Exactly(2), Flags::NONE, "4.0.0", "O(N) in keys where some have a deadline",
        "What memory is used for.", memory_stats).tips(SPECIAL),
    row("memory|usage", AtLeast(3), Flags::READONLY, SECOND, "4.0.0", "O(N) in samples",
        "The bytes a key takes with its value, estimated from some elements.", memory_usage)
        .uses(uses::RO),
];

fn memory_usage(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.keys.look_unnoticed();
    let key = args.key()?;
    let mut samples = SAMPLES;
    while !args.is_empty() {
        if args.len() < 2 || !args.take_word("samples") {
            return Err(CommandError::Syntax);
        }
        samples = match args.integer()? {
            // Nought asks for all.
            0 => usize::MAX,
            count => usize::try_from(count).map_err(|_| CommandError::Syntax)?,
        };
    }
    let slot = cx.keys.slot(key);
    match cx.keys.heap_size(slot, samples) {
        Some(bytes) => cx.reply.count(bytes),
        None => cx.reply.null(),
    }
    Ok(())
}

fn memory_doctor(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let used = used_memory(cx);
    let text = format!("{used} bytes are used, and nothing is known to be wrong with that.\n");
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn memory_malloc_stats(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.verbatim(b"txt", b"Stats not supported for the current allocator");
    Ok(())
}

fn memory_purge(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.ok();
    Ok(())
}

fn memory_stats(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let used = used_memory(cx);
    let peak = used.max(cx.server.peak_memory);
    let counts: Vec<(usize, usize, usize)> = (0..cx.keys.database_count())
        .map(|number| cx.keys.in_database(number, |keys| (number, keys.len(), keys.deadlines().0)))
        .filter(|(_, count, _)| *count > 0)
        .collect();
    let keys: usize = counts.iter().map(|(_, count, _)| count).sum();
    let reply = &mut *cx.reply;
    reply.map(10 + counts.len());
    let mut number = |name: &str, value: usize| {
        reply.bulk(name.as_bytes());
        reply.count(value);
    };
    number("peak.allocated", peak);
    number("total.allocated", used);
    for name in ["replication.backlog", "clients.slaves", "clients.normal", "cluster.links"] {
        number(name, 0);
    }
    number("aof.buffer", 0);
    number("keys.count", keys);
    number("keys.bytes-per-key", used / keys.max(1));
    reply.bulk(b"peak.percentage");
    reply.double(used as f64 * 100.0 / peak.max(1) as f64);
    for (number, count, expires) in counts {
        reply.bulk(format!("db.{number}").as_bytes());
        reply.map(2);
        reply.bulk(b"keys");
        reply.count(count);
        reply.bulk(b"expires");
        reply.count(expires);
    }
    Ok(())
}

fn memory_help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Tell what there is to say about memory.",
        "MALLOC-STATS",
        "    Tell what the allocator tells.",
        "PURGE",
        "    Accepted for compatibility.",
        "STATS",
        "    Tell what memory is used for.",
        "USAGE <key> [SAMPLES <count>]",
        "    Tell how many bytes a key takes with its value; of its elements so many are looked at",
        "    (default: 5, 0: all).",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

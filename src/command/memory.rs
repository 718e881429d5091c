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
    let slot = cx.keys.slot_unused(key);
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

#[cfg(test)]
mod tests {
    use super::super::{Caller, Registry, dispatch};
    use super::*;
    use crate::clock::Now;
    use crate::config::Config;
    use crate::keyspace::{Eviction, Keyspace, Policy};
    use crate::reply::{Protocol, ReplyBuf};
    use crate::server::Server;

    /// xorshift64.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) % bound
        }

        fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
            words[self.below(words.len() as u64) as usize]
        }

        /// A command that changes something, more or less.
        fn command(&mut self) -> String {
            let key = |dice: &mut Dice| {
                format!("{}{}", dice.of(&["s", "l", "h", "t", "z", "x"]), dice.below(3))
            };
            let (key, other, n) = (key(self), key(self), self.below(400));
            let text = "v".repeat(self.below(90) as usize);
            let kind = self.of(&["own", "own", "own", "any"]);
            let any = [
                format!("DEL {key}"),
                format!("EXPIRE {key} {n}"),
                format!("PERSIST {key}"),
                format!("RENAME {key} {other}"),
                format!("COPY {key} {other} REPLACE"),
                format!("MOVE {key} 1"),
                "SWAPDB 0 1".to_owned(),
                format!("SELECT {}", n % 2),
                format!("GET {key}"),
                "FLUSHDB".to_owned(),
            ];
            if kind == "any" {
                // A flush empties everything, so it comes seldom.
                let count = any.len() as u64 - u64::from(n % 10 != 0);
                return any[self.below(count) as usize].clone();
            }
            let own = of_type(&key, n, &text);
            self.of(&own.each_ref().map(String::as_str)).to_owned()
        }
    }

    /// Commands that change a key of the type that its name begins with.
    fn of_type(key: &str, n: u64, text: &str) -> [String; 4] {
        match key.as_bytes()[0] {
            b's' => [
                format!("SET {key} {text}x"),
                format!("APPEND {key} {text}"),
                format!("SETRANGE {key} {n} {text}"),
                format!("SETBIT {key} {n} 1"),
            ],
            b'l' => [
                format!("LPUSH {key} {text} {n}"),
                format!("RPUSH {key} {text} {text} {text} {text} {text} {text}"),
                format!("LREM {key} 1 {n}"),
                format!("LTRIM {key} 0 {n}"),
            ],
            b'h' => [
                format!("HSET {key} f{n} {text}"),
                format!("HSET {key} f{n} {n} g{n} {text}"),
                format!("HDEL {key} f{n}"),
                format!("HINCRBY {key} n 1000"),
            ],
            b't' => [
                format!("SADD {key} {n}"),
                format!("SADD {key} {n} {text} {text}x"),
                format!("SREM {key} {n}"),
                format!("SUNIONSTORE {key} {key} t0 t1"),
            ],
            b'z' => [
                format!("ZADD {key} {n} m{n}"),
                format!("ZADD {key} {n} {text}"),
                format!("ZREM {key} m{n}"),
                format!("ZREMRANGEBYRANK {key} 0 1"),
            ],
            _ => [
                format!("XADD {key} * f {text}"),
                format!("XADD {key} MAXLEN 20 * f {n}"),
                format!("XTRIM {key} MAXLEN 10"),
                format!("XGROUP CREATE {key} g{n} 0 MKSTREAM"),
            ],
        }
    }

    fn keyspace(memory_most: u64, policy: Policy) -> Keyspace {
        let mut keys = Keyspace::new(Now::manual(1_700_000_000_000), 2);
        keys.set_eviction(Eviction { memory_most, policy, ..Eviction::default() });
        keys
    }

    fn run(keys: &mut Keyspace, command: &str) {
        let (mut reply, hosted) = (ReplyBuf::new(), Registry::new(Protocol::default()));
        let argv: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let reply = &mut reply;
        let config = Config::open(2, std::iter::empty()).expect("the defaults are sane");
        let (server, hosted) = (&mut Server::new(config, None), &hosted);
        let mut cx = Context { keys, reply, caller: Caller::Host, server, hosted, host: None };
        dispatch(&mut cx, &argv);
    }

    #[test]
    fn the_count_of_bytes_is_what_all_keys_weigh() {
        for seed in 1..8 {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
            let mut keys = keyspace(u64::MAX, Policy::NoEviction);
            for _ in 0..1500 {
                let section = (dice.below(8) == 0).then(|| keys.begin());
                let commands: Vec<String> = (0..3).map(|_| dice.command()).collect();
                for command in &commands {
                    run(&mut keys, command);
                    assert_eq!(keys.used_memory(), keys.weigh_all(), "{command}");
                }
                if let Some(section) = section {
                    keys.rollback(section);
                    assert_eq!(keys.used_memory(), keys.weigh_all(), "undone: {commands:?}");
                }
                keys.clock().advance(50);
                keys.expire_due(|| false);
            }
        }
    }

    #[test]
    fn eviction_ends_where_the_data_fits() {
        for (policy, _) in Policy::ALL.into_iter().filter(|(p, _)| *p != Policy::NoEviction) {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
            let mut keys = keyspace(20_000, policy);
            for _ in 0..1500 {
                run(&mut keys, &dice.command());
                let has_room = keys.make_room();
                assert_eq!(keys.used_memory(), keys.weigh_all());
                assert_eq!(has_room, keys.used_memory() <= 20_000);
            }
            assert!(keys.evicted_keys() > 0, "{policy:?}");
        }
    }
}

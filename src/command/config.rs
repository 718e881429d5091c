//! CONFIG: the parameters that can be asked for and set while the engine runs.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Command, Family, Flags, Group, container, tips};
use crate::clients::{Events, Lazily, OutputLimit, OutputLimits};
use crate::config::{Config, EVENTS};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::number::parse_i64;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[container("config", "2.0.0", "Depends on the subcommand",
        "The engine's parameters.", CONFIG)],
};

#[rustfmt::skip]
const CONFIG: &[Command] = &[
    row("config|get", AtLeast(3), ADMIN, "2.0.0", "O(N) in patterns",
        "The parameters that match patterns, with their values.", get).categories(&[]),
    row("config|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "5.0.0", "O(1)",
        "What there is.", help).categories(&[]),
    row("config|resetstat", Exactly(2), ADMIN, "2.0.0", "O(1)",
        "Begins counting anew what INFO tells.", resetstat).categories(&[]),
    row("config|rewrite", Exactly(2), ADMIN, "2.8.0", "O(1)",
        "An error: there is no configuration file.", rewrite).categories(&[]),
    row("config|set", AtLeast(4), ADMIN, "2.0.0", "O(N) in parameters",
        "Gives parameters other values, all or none.", set)
        .categories(&[]).tips(tips::ALL_NODES),
];

/// Parameters whose values the slow log does not show.
const SECRETS: [&str; 4] =
    ["masterauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass"];

fn set(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (pairs, odd) = args.rest().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(CommandError::Syntax);
    }
    for (at, [name, _]) in pairs.iter().enumerate() {
        if SECRETS.iter().any(|secret| secret.as_bytes().eq_ignore_ascii_case(name)) {
            cx.server.hide(3 + 2 * at);
        }
    }
    cx.server.configure(pairs.iter().map(|[name, value]| (*name, *value)))?;
    act(cx.keys, &cx.server.config);
    cx.reply.ok();
    Ok(())
}

/// Has those act on parameters who do.
pub(crate) fn act(keys: &mut Keyspace, config: &Config) {
    keys.set_limits(config.limits());
    keys.set_eviction(config.eviction());
    if !keys.in_section() {
        keys.make_room();
    }
    if let Some(events) = Events::parse(config.text(EVENTS)) {
        keys.news_mut().set_events(events);
    }
    keys.news_mut().output_limits = output_limits(config.text("client-output-buffer-limit"));
    keys.news_mut().feed.lazily = Lazily {
        expires: config.flag("lazyfree-lazy-expire"),
        evicts: config.flag("lazyfree-lazy-eviction"),
        removes: config.flag("lazyfree-lazy-server-del"),
    };
    keys.follow(|followed| followed.set_most(config.count("tracking-table-max-keys")));
}

/// The limits of all classes of clients, from the text that is told back.
fn output_limits(text: &[u8]) -> OutputLimits {
    let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let limit = |class: &[u8]| {
        let four = words.as_chunks::<4>().0.iter().find(|[name, ..]| *name == class);
        let number = |text: &[u8]| parse_i64(text).unwrap_or(i64::MAX);
        let [_, hard, soft, seconds] = four.copied().unwrap_or_default();
        let bytes = |text| usize::try_from(number(text)).unwrap_or(0);
        OutputLimit { hard: bytes(hard), soft: bytes(soft), soft_seconds: number(seconds) }
    };
    OutputLimits { normal: limit(b"normal"), replica: limit(b"slave"), pubsub: limit(b"pubsub") }
}

fn get(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let found = cx.server.config.matching(args.rest());
    cx.reply.map(found.len());
    for (name, value) in found {
        cx.reply.bulk(&name);
        cx.reply.bulk(value);
    }
    Ok(())
}

fn resetstat(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.server.stats.reset();
    cx.keys.forget_counts();
    cx.reply.ok();
    Ok(())
}

fn rewrite(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text("ERR The server is running without a config file"))
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        "HELP",
        "    Prints this help.",
    ];
    cx.reply.statuses(&lines);
    Ok(())
}

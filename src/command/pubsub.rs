//! Channels: SUBSCRIBE, PUBLISH and their like, and PUBSUB.
//!
//! A message is put among the news of the step it is part of, and reaches nobody if that is undone.
//! Subscriptions are made at once: they are the session's, not the data's.

use super::args::Args;
use super::context::{Context, own_session};
use super::keyspec::uses;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Arity, Command, Details, Family, Flags, Group, Keys, keyed, keyless};
use crate::clients::Kind;
use crate::error::{CommandError, CommandResult};
use crate::glob;
use crate::reply::ReplyBuf;

const ANYTIME: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);
const LISTEN: Flags = ANYTIME.and(Flags::NOSCRIPT).and(Flags::LISTENING);

/// The names of those that the host's own subscriptions call.
pub(crate) const SUBSCRIBE: &str = "subscribe";
pub(crate) const PSUBSCRIBE: &str = "psubscribe";
pub(crate) const UNSUBSCRIBE: &str = "unsubscribe";
pub(crate) const PUNSUBSCRIBE: &str = "punsubscribe";
pub(crate) const PUBLISH: &str = "publish";
const TELL: Flags = ANYTIME.and(Flags::FAST).and(Flags::MAY_WRITE);
const HELP: Flags = Flags::LOADING.and(Flags::STALE);

/// The names of shard channels tell where in a cluster they are, as keys do.
const ALL: Keys = Keys::ALL;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::PubSub,
    commands: &[
        keyless(PSUBSCRIBE, AtLeast(2), LISTEN, "2.0.0", "O(N) in the patterns there are",
            "Listens to all channels whose names match patterns.", psubscribe),
        keyless(PUBLISH, Exactly(3), TELL, "2.0.0", "O(N+M) in listeners and patterns",
            "Tells a message to those who listen to a channel.", publish),
        Command {
            name: "pubsub",
            arity: AtLeast(2),
            flags: Flags::NONE,
            keys: Keys::NONE,
            since: "2.8.0",
            complexity: "Depends on the subcommand",
            summary: "Tells of channels and who listens to them.",
            subcommands: PUBSUB,
            details: Details { categories: Some(&["slow"]), ..Details::NONE },
            run: container,
        },
        keyless(PUNSUBSCRIBE, AtLeast(1), LISTEN, "2.0.0", "O(N) in the patterns there are",
            "Listens by patterns no more, or by some of them.", punsubscribe),
        keyed("spublish", Exactly(3), TELL, Keys::FIRST, "7.0.0", "O(N) in listeners",
            "Tells a message to those who listen to a shard's channel.", spublish).uses(uses::NOT_KEY),
        keyed("ssubscribe", AtLeast(2), LISTEN, ALL, "7.0.0", "O(N) in channels",
            "Listens to channels of a shard.", ssubscribe).uses(uses::NOT_KEY),
        keyless(SUBSCRIBE, AtLeast(2), LISTEN, "2.0.0", "O(N) in channels",
            "Listens to channels.", subscribe),
        keyed("sunsubscribe", AtLeast(1), LISTEN, ALL, "7.0.0", "O(N) in listeners",
            "Listens to channels of a shard no more, or to some of them.", sunsubscribe)
            .uses(uses::NOT_KEY),
        keyless(UNSUBSCRIBE, AtLeast(1), LISTEN, "2.0.0", "O(N) in listeners",
            "Listens to channels no more, or to some of them.", unsubscribe),
    ],
};

const fn row(
    name: &'static str,
    arity: Arity,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    run: fn(&mut Context<'_>, Args<'_>) -> CommandResult,
) -> Command {
    keyless(name, arity, ANYTIME, since, complexity, summary, run)
}

#[rustfmt::skip]
const PUBSUB: &[Command] = &[
    row("pubsub|channels", AtLeast(2), "2.8.0", "O(N) in channels",
        "The channels that somebody listens to.", channels),
    keyless("pubsub|help", Exactly(2), HELP, "6.2.0", "O(1)", "What there is.", help)
        .categories(&[]),
    row("pubsub|numpat", Exactly(2), "2.8.0", "O(1)",
        "How many patterns somebody listens by.", numpat),
    row("pubsub|numsub", AtLeast(2), "2.8.0", "O(N) in channels asked for",
        "How many listen to channels.", numsub),
    row("pubsub|shardchannels", AtLeast(2), "7.0.0", "O(N) in channels",
        "The shard's channels that somebody listens to.", shardchannels),
    row("pubsub|shardnumsub", AtLeast(2), "7.0.0", "O(N) in channels asked for",
        "How many listen to channels of the shard.", shardnumsub),
];

/// A container alone: dispatch finds its subcommand before it comes here.
fn container(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

fn subscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    listen(cx, args, Kind::Channel)
}

fn psubscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    listen(cx, args, Kind::Pattern)
}

fn ssubscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    listen(cx, args, Kind::Shard)
}

fn unsubscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    leave(cx, args, Kind::Channel)
}

fn punsubscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    leave(cx, args, Kind::Pattern)
}

fn sunsubscribe(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    leave(cx, args, Kind::Shard)
}

/// One confirmation for each name.
fn listen(cx: &mut Context<'_>, args: Args<'_>, kind: Kind) -> CommandResult {
    let word = args.command().as_bytes();
    own_session(cx)?;
    let Context { keys, host, reply, .. } = cx;
    let host = host.as_mut().ok_or(CommandError::ScriptForbidden)?;
    let client = &mut host.session.client;
    for name in args.rest() {
        keys.news_mut().subscriptions.add(kind, name, host.place, &mut client.listening);
        confirm(reply, word, Some(name), client.listening.count(kind));
    }
    client.restrict();
    Ok(())
}

/// The same; without names it is all there are, and one confirmation even where there are none.
fn leave(cx: &mut Context<'_>, args: Args<'_>, kind: Kind) -> CommandResult {
    let word = args.command().as_bytes();
    let Context { keys, host, reply, .. } = cx;
    let host = host.as_mut().ok_or(CommandError::ScriptForbidden)?;
    let client = &mut host.session.client;
    let all: Vec<Box<[u8]>>;
    let names: Vec<&[u8]> = match args.is_empty() {
        true => {
            all = client.listening.names(kind).iter().rev().cloned().collect();
            all.iter().map(AsRef::as_ref).collect()
        }
        false => args.rest().to_vec(),
    };
    if names.is_empty() {
        confirm(reply, word, None, client.listening.count(kind));
    }
    for name in names {
        keys.news_mut().subscriptions.remove(kind, name, host.place, &mut client.listening);
        confirm(reply, word, Some(name), client.listening.count(kind));
    }
    client.restrict();
    Ok(())
}

fn confirm(reply: &mut ReplyBuf, word: &[u8], name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word);
    reply.bulk_or_null(name);
    reply.count(count);
}

fn publish(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    tell(cx, args, Kind::Channel)
}

fn spublish(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    tell(cx, args, Kind::Shard)
}

fn tell(cx: &mut Context<'_>, mut args: Args<'_>, kind: Kind) -> CommandResult {
    let (name, channel, text) = (args.word(), args.next()?, args.next()?);
    let audience = cx.keys.news_mut().publish(kind, channel, text);
    cx.effect(&[name, channel, text]);
    cx.reply.count(audience);
    Ok(())
}

fn channels(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    list_channels(cx, args, Kind::Channel)
}

fn shardchannels(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    list_channels(cx, args, Kind::Shard)
}

fn list_channels(cx: &mut Context<'_>, mut args: Args<'_>, kind: Kind) -> CommandResult {
    let pattern = args.maybe_next();
    if !args.is_empty() {
        return Err(args.subcommand_error());
    }
    let mark = cx.reply.mark();
    cx.reply.array(0);
    let mut count = 0;
    for name in cx.keys.news().subscriptions.named(kind) {
        if pattern.is_none_or(|pattern| glob::matches(pattern, name)) {
            cx.reply.bulk(name);
            count += 1;
        }
    }
    cx.reply.set_len(mark, count);
    Ok(())
}

fn numpat(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.count(cx.keys.news().subscriptions.count(Kind::Pattern));
    Ok(())
}

fn numsub(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count_listeners(cx, args, Kind::Channel)
}

fn shardnumsub(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count_listeners(cx, args, Kind::Shard)
}

fn count_listeners(cx: &mut Context<'_>, args: Args<'_>, kind: Kind) -> CommandResult {
    cx.reply.array(args.len() * 2);
    for name in args.rest() {
        cx.reply.bulk(name);
        cx.reply.count(cx.keys.news().subscriptions.listeners(kind, name).len());
    }
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
        "HELP",
        "    Prints this help.",
    ];
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.status(line.as_bytes()));
    Ok(())
}

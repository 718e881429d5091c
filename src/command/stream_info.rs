//! XINFO: what there is to know about a stream, its groups and their consumers.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Command, Family, Flags, Group, Keys, container, keyed};
use super::stream::{reply_each, reply_entry, reply_id};
use super::stream_claim::elapsed;
use super::stream_group::SECOND;
use crate::error::{CommandError, CommandResult};
use crate::reply::ReplyBuf;
use crate::value::stream::{self, Consumer, Id, Stream};

const READ: Flags = Flags::READONLY;

pub(super) const FAMILY: Family = Family {
    group: Group::Stream,
    commands: &[container(
        "xinfo",
        "5.0.0",
        "Depends on the subcommand",
        "Tells about streams.",
        XINFO,
    )],
};

#[rustfmt::skip]
const XINFO: &[Command] = &[
    keyed("xinfo|consumers", Exactly(4), READ, SECOND, "5.0.0", "O(N) in consumers",
        "The consumers of a group.", consumers).tips(tips::VARYING_OUTPUT),
    keyed("xinfo|groups", Exactly(3), READ, SECOND, "5.0.0", "O(N) in groups",
        "The groups of a stream.", groups),
    keyed("xinfo|help", Exactly(2), Flags::LOADING.and(Flags::STALE), Keys::NONE, "5.0.0", "O(1)",
        "What there is.", help),
    keyed("xinfo|stream", AtLeast(3), READ, SECOND, "5.0.0", "O(N) in nodes and in what is told",
        "What a stream is like.", stream),
];

/// How many entries of each kind FULL tells unless it is said.
const COUNT_DEFAULT: usize = 10;

fn stream(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let stream = cx.keys.read::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    if args.is_empty() {
        overview(cx.reply, stream);
        return Ok(());
    }
    let mut count = COUNT_DEFAULT;
    let is_full = args.take_word("full");
    if is_full && args.len() == 2 && args.take_word("count") {
        count = match usize::try_from(args.integer()?) {
            Ok(0) => usize::MAX,
            given => given.unwrap_or(COUNT_DEFAULT),
        };
    }
    if !is_full || !args.is_empty() {
        return Err(args.subcommand_error());
    }
    in_full(cx.reply, stream, count);
    Ok(())
}

/// What both forms begin with.
fn reply_marks(reply: &mut ReplyBuf, stream: &Stream) {
    let marks = stream.marks();
    reply.bulk(b"length");
    reply.count(stream.len());
    reply.bulk(b"radix-tree-keys");
    reply.count(stream.nodes().len());
    reply.bulk(b"radix-tree-nodes");
    reply.count(stream.radix_nodes());
    reply.bulk(b"last-generated-id");
    reply_id(reply, marks.last_id);
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, marks.max_deleted);
    reply.bulk(b"entries-added");
    reply.integer(marks.added as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, stream.first_id());
}

fn overview(reply: &mut ReplyBuf, stream: &Stream) {
    reply.map(10);
    reply_marks(reply, stream);
    reply.bulk(b"groups");
    reply.count(stream.groups().len());
    let first = stream.ascending(Id::MIN, Id::MAX).next();
    let last = stream.descending(Id::MIN, Id::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn in_full(reply: &mut ReplyBuf, stream: &Stream, count: usize) {
    reply.map(9);
    reply_marks(reply, stream);
    reply.bulk(b"entries");
    reply_each(reply, stream.ascending(Id::MIN, Id::MAX).take(count), reply_entry);
    reply.bulk(b"groups");
    reply_each(reply, stream.groups(), |reply, group| {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(group.name());
        reply_cursor(reply, stream, group);
        reply.bulk(b"pel-count");
        reply.count(group.pending().len());
        reply.bulk(b"pending");
        reply_each(
            reply,
            group.pending().iter_from(Id::MIN).take(count),
            |reply, (id, pending)| {
                reply.array(4);
                reply_id(reply, id);
                reply.bulk(group.consumer(pending.owner).map_or(&[][..], Consumer::name));
                reply.integer(pending.delivered_ms);
                reply.integer(pending.deliveries as i64);
            },
        );
        reply.bulk(b"consumers");
        reply_each(reply, group.consumers(), |reply, (_, consumer)| {
            consumer_in_full(reply, group, consumer, count);
        });
    });
}

fn consumer_in_full(
    reply: &mut ReplyBuf,
    group: &stream::Group,
    consumer: &Consumer,
    count: usize,
) {
    reply.map(4);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_ms());
    reply.bulk(b"pel-count");
    reply.count(consumer.pending_len());
    reply.bulk(b"pending");
    let pending = consumer.pending_from(Id::MIN).take(count);
    let pending = pending.filter_map(|id| Some((id, group.pending().get(id)?)));
    reply_each(reply, pending, |reply, (id, pending)| {
        reply.array(3);
        reply_id(reply, id);
        reply.integer(pending.delivered_ms);
        reply.integer(pending.deliveries as i64);
    });
}

/// How far a group has read: three facts.
fn reply_cursor(reply: &mut ReplyBuf, stream: &Stream, group: &stream::Group) {
    let cursor = group.cursor();
    reply.bulk(b"last-delivered-id");
    reply_id(reply, cursor.last_id);
    reply.bulk(b"entries-read");
    integer_or_null(reply, cursor.entries_read.map(|read| read as i64));
    reply.bulk(b"lag");
    integer_or_null(reply, stream.lag(cursor));
}

fn integer_or_null(reply: &mut ReplyBuf, value: Option<i64>) {
    match value {
        Some(value) => reply.integer(value),
        None => reply.null(),
    }
}

fn groups(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let stream = cx.keys.read::<Stream>(args.key()?)?.ok_or(CommandError::NoSuchKey)?;
    reply_each(cx.reply, stream.groups(), |reply, group| {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(group.name());
        reply.bulk(b"consumers");
        reply.count(group.consumers_len());
        reply.bulk(b"pending");
        reply.count(group.pending().len());
        reply_cursor(reply, stream, group);
    });
    Ok(())
}

fn consumers(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name) = (args.key()?, args.next()?);
    let now = cx.keys.now();
    let stream = cx.keys.read::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.find_group(name).and_then(|at| stream.group(at));
    let group = group.ok_or_else(|| CommandError::no_group(key, name))?;
    reply_each(cx.reply, group.consumers(), |reply, (_, consumer)| {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.count(consumer.pending_len());
        reply.bulk(b"idle");
        reply.integer(elapsed(now, consumer.seen_ms()));
    });
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    const LINES: [&str; 9] = [
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        "HELP",
        "    Prints this help.",
    ];
    cx.reply.statuses(&LINES);
    Ok(())
}

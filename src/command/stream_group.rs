//! XGROUP: making, moving and removing consumer groups and consumers.

use super::args::Args;
use super::context::Context;
use super::keyspec::uses;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Command, Family, Flags, Group, Keys, container, keyed};
use super::stream_id::{bound_from, id_from};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Editor;
use crate::value::stream::{Cursor, Id, Stream};

/// The key of a subcommand.
pub(super) const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

const WRITE: Flags = Flags::WRITE;
const GROW: Flags = Flags::WRITE.and(Flags::DENYOOM);

pub(super) const FAMILY: Family = Family {
    group: Group::Stream,
    commands: &[container(
        "xgroup",
        "5.0.0",
        "Depends on the subcommand",
        "Consumer groups.",
        XGROUP,
    )],
};

#[rustfmt::skip]
const XGROUP: &[Command] = &[
    keyed("xgroup|create", AtLeast(5), GROW, SECOND, "5.0.0", "O(1)",
        "Makes a consumer group.", create).uses(uses::RW_INSERT),
    keyed("xgroup|createconsumer", Exactly(5), GROW, SECOND, "6.2.0", "O(1)",
        "Makes a consumer in a group.", createconsumer).uses(uses::RW_INSERT),
    keyed("xgroup|delconsumer", Exactly(5), WRITE, SECOND, "5.0.0", "O(N) in its pending entries",
        "Removes a consumer with what is pending for it.", delconsumer).uses(uses::RW_DELETE),
    keyed("xgroup|destroy", Exactly(4), WRITE, SECOND, "5.0.0", "O(N) in its pending entries",
        "Removes a consumer group.", destroy).uses(uses::RW_DELETE),
    keyed("xgroup|help", Exactly(2), Flags::LOADING.and(Flags::STALE), Keys::NONE, "5.0.0", "O(1)",
        "What there is.", help),
    keyed("xgroup|setid", AtLeast(5), WRITE, SECOND, "5.0.0", "O(1)",
        "Moves what a group has read.", setid),
];

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(mut args: Args<'_>, may_make: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if may_make && args.take_word("mkstream") {
                options.make_stream = true;
            } else if args.len() >= 2 && args.take_word("entriesread") {
                options.entries_read = match args.integer()? {
                    -1 => None,
                    count => Some(u64::try_from(count).map_err(|_| {
                        CommandError::text("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(args.subcommand_error());
            }
        }
        Ok(options)
    }
}

fn create(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, id) = (args.key()?, args.next()?, args.next()?);
    let Options { make_stream, entries_read } = Options::parse(args, true)?;
    let last = cx.keys.read::<Stream>(key)?.map(|stream| stream.marks().last_id);
    if last.is_none() && !make_stream {
        return Err(missing_stream());
    }
    // Options may be repeated, but only so often, and Redis notices that late.
    if args.len() > 3 {
        return Err(args.subcommand_error());
    }
    let last_id = match id {
        b"$" => last.unwrap_or(Id::MIN),
        id => id_from(id, 0)?,
    };
    cx.keys.edit(key, |stream: &mut Editor<'_, Stream>| {
        if stream.find_group(name).is_some() {
            return Err(CommandError::text("BUSYGROUP Consumer Group name already exists"));
        }
        stream.add_group(name, Cursor { last_id, entries_read });
        Ok(())
    })??;
    cx.event(Event::XGROUP_CREATE, key);
    cx.reply.ok();
    Ok(())
}

fn missing_stream() -> CommandError {
    CommandError::text(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
         use the MKSTREAM option to create an empty stream automatically.",
    )
}

fn setid(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, id) = (args.key()?, args.next()?, args.next()?);
    let Options { entries_read, .. } = Options::parse(args, false)?;
    in_group(cx, key, name, |stream, group| {
        if args.len() > 2 {
            return Err(args.subcommand_error());
        }
        // Unlike CREATE this takes `-` and `+`, too.
        let last_id = match id {
            b"$" => stream.marks().last_id,
            id => bound_from(id, 0)?,
        };
        stream.set_cursor(group, Cursor { last_id, entries_read });
        Ok(())
    })?;
    cx.event(Event::XGROUP_SETID, key);
    cx.reply.ok();
    Ok(())
}

fn destroy(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name) = (args.key()?, args.next()?);
    let destroyed = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        stream.find_group(name).map(|group| stream.remove_group(group)).is_some()
    })?;
    let destroyed = destroyed.ok_or_else(missing_stream)?;
    if destroyed {
        cx.event(Event::XGROUP_DESTROY, key);
    }
    cx.reply.integer(destroyed.into());
    Ok(())
}

fn createconsumer(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, consumer) = (args.key()?, args.next()?, args.next()?);
    let now = cx.keys.now();
    let created = in_group(cx, key, name, |stream, group| {
        let is_new = stream.group(group).is_some_and(|group| group.find(consumer).is_none());
        if is_new {
            stream.add_consumer(group, consumer, now);
        }
        Ok(is_new)
    })?;
    if created {
        cx.event(Event::XGROUP_CREATECONSUMER, key);
    }
    cx.reply.integer(created.into());
    Ok(())
}

fn delconsumer(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, consumer) = (args.key()?, args.next()?, args.next()?);
    let pending = in_group(cx, key, name, |stream, group| {
        let found = stream.group(group).and_then(|group| group.find(consumer));
        Ok(found.map(|consumer| stream.remove_consumer(group, consumer)))
    })?;
    if pending.is_some() {
        cx.event(Event::XGROUP_DELCONSUMER, key);
    }
    cx.reply.count(pending.unwrap_or(0));
    Ok(())
}

/// Changes something in a group, which must exist.
fn in_group<R>(
    cx: &mut Context<'_>,
    key: &[u8],
    name: &[u8],
    run: impl FnOnce(&mut Editor<'_, Stream>, usize) -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    let result = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        match stream.find_group(name) {
            Some(group) => run(stream, group),
            None => Err(CommandError::no_group(key, name)),
        }
    })?;
    result.ok_or_else(missing_stream)?
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    const LINES: [&str; 17] = [
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        "HELP",
        "    Prints this help.",
    ];
    cx.reply.statuses(&LINES);
    Ok(())
}

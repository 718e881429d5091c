//! Commands on keys of any type.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::server::next_database;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::tips;
use super::spec::{Command, Family, Flags, Group, Keys, container};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::glob;
use crate::keyspace::{Held, Keyspace, SIDE_BY_SIDE, Slot, Text};
use crate::server::Server;
use crate::value::Value;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

/// The key of OBJECT's subcommands.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        row("del", AtLeast(2), Flags::WRITE, Keys::ALL, "1.0.0", "O(N) in keys and their elements",
            "Removes keys.", del).uses(uses::RM_DELETE).tips(tips::SPLIT_AND_ADD),
        row("exists", AtLeast(2), READ_FAST, Keys::ALL, "1.0.0", "O(1) per key",
            "Counts which of some keys exist; one that is named twice counts twice.", exists)
            .uses(uses::RO).tips(tips::SPLIT_AND_ADD),
        row("keys", Exactly(2), READ, Keys::NONE, "1.0.0", "O(N) in keys of the database",
            "All keys that match a pattern.", keys)
            .categories(&["keyspace", "dangerous"])
            .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
        row("move", Exactly(3), WRITE_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Moves a key to another database.", move_).uses(uses::RW_ACCESS_UPDATE),
        container("object", "2.2.3", "O(1)", "Tells how a key's value is kept.", OBJECT),
        row("randomkey", Exactly(1), READ, Keys::NONE, "1.0.0", "O(1)",
            "Some key, each as likely as any other.", randomkey)
            .tips(&["request_policy:all_shards", "nondeterministic_output"]),
        row("rename", Exactly(3), Flags::WRITE, Keys::FIRST_TWO, "1.0.0", "O(1)",
            "Gives a key another name, in place of a key that had it.", rename)
            .specs(specs::RENAME),
        row("renamenx", Exactly(3), WRITE_FAST, Keys::FIRST_TWO, "1.0.0", "O(1)",
            "Gives a key another name unless a key has it.", renamenx).specs(specs::RENAME_ABSENT),
        row("touch", AtLeast(2), READ_FAST, Keys::ALL, "3.2.1", "O(1) per key",
            "Counts which of some keys exist, and uses them.", touch)
            .uses(uses::RO).tips(tips::SPLIT_AND_ADD),
        row("type", Exactly(2), READ_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "The type of what a key holds.", type_).uses(uses::RO),
        row("unlink", AtLeast(2), WRITE_FAST, Keys::ALL, "4.0.0", "O(N) in keys and their elements",
            "Removes keys, as DEL does.", unlink).uses(uses::RM_DELETE).tips(tips::SPLIT_AND_ADD),
    ],
};

#[rustfmt::skip]
const OBJECT: &[Command] = &[
    row("object|encoding", Exactly(3), READ, SECOND, "2.2.3", "O(1)",
        "The form in which a value is kept, by Redis's name for it.", object_encoding)
        .uses(uses::RO).tips(tips::VARYING_OUTPUT),
    row("object|freq", Exactly(3), READ, SECOND, "4.0.0", "O(1)",
        "How often a key is used: a counter that grows slowly and falls with time.", object_freq)
        .uses(uses::RO).tips(tips::VARYING_OUTPUT),
    row("object|help", Exactly(2), Flags::LOADING.and(Flags::STALE), Keys::NONE, "6.2.0", "O(1)",
        "What OBJECT can tell.", object_help),
    row("object|idletime", Exactly(3), READ, SECOND, "2.2.3", "O(1)",
        "For how many seconds a key was not used.", object_idletime)
        .uses(uses::RO).tips(tips::VARYING_OUTPUT),
    row("object|refcount", Exactly(3), READ, SECOND, "2.2.3", "O(1)",
        "How often Redis would share the value.", object_refcount)
        .uses(uses::RO).tips(tips::VARYING_OUTPUT),
];

/// A value of more pieces of memory than these Redis would give back on another thread.
const LAZY_PIECES: usize = 64;

fn del(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove_all(cx, args, |server| server.config.flag("lazyfree-lazy-user-del"))
}

fn unlink(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove_all(cx, args, |_| true)
}

/// Removes keys. Who asks to have that done on the side is told how many values were large enough
/// for it, though here they are gone at once; whether it is asked for is looked up for these alone.
fn remove_all(
    cx: &mut Context<'_>,
    args: Args<'_>,
    is_lazy: impl Fn(&Server) -> bool,
) -> CommandResult {
    let mut removed = 0;
    for keys in args.rest().chunks(SIDE_BY_SIDE) {
        cx.keys.prefetch(keys);
        for key in keys {
            let slot = cx.keys.slot_unused(key);
            if cx.keys.pieces(slot) > LAZY_PIECES && is_lazy(cx.server) {
                cx.server.stats.lazily_freed += 1;
            }
            if cx.keys.remove_slot(slot) {
                cx.event(Event::DEL, key);
                removed += 1;
            }
        }
    }
    cx.reply.count(removed);
    Ok(())
}

fn move_(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, database) = (args.key()?, next_database(cx.keys, &mut args)?);
    if database == cx.keys.database() {
        return Err(CommandError::text("ERR source and destination objects are the same"));
    }
    let slot = cx.keys.slot(key);
    let mut taken = || cx.keys.in_database(database, |keys| keys.slot_unused(key).exists());
    if !slot.exists() || taken() {
        cx.reply.integer(0);
        return Ok(());
    }
    cx.keys.move_key(slot, key, database);
    cx.event(Event::MOVE_FROM, key);
    cx.keys.in_database(database, |keys| keys.notify_beside(Event::MOVE_TO, key));
    cx.reply.integer(1);
    Ok(())
}

fn randomkey(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.bulk_or_null(cx.keys.random_key());
    Ok(())
}

fn exists(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let found = args.rest().iter().filter(|key| cx.keys.slot_unused(key).exists()).count();
    cx.reply.count(found);
    Ok(())
}

fn touch(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let found = args.rest().iter().filter(|key| cx.keys.slot(key).exists()).count();
    cx.reply.count(found);
    Ok(())
}

fn type_(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let slot = cx.keys.slot_unused(args.key()?);
    let name = cx.keys.type_name(slot).unwrap_or("none");
    cx.reply.status(name.as_bytes());
    Ok(())
}

fn rename(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to) = (args.key()?, args.key()?);
    if !cx.keys.slot(from).exists() {
        return Err(CommandError::NoSuchKey);
    }
    rename_and_tell(cx, from, to);
    cx.reply.ok();
    Ok(())
}

fn rename_and_tell(cx: &mut Context<'_>, from: &[u8], to: &[u8]) {
    cx.keys.rename(from, to);
    if from != to {
        cx.event(Event::RENAME_FROM, from);
        cx.keys.notify_beside(Event::RENAME_TO, to);
    }
}

fn renamenx(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to) = (args.key()?, args.key()?);
    if !cx.keys.slot(from).exists() {
        return Err(CommandError::NoSuchKey);
    }
    let is_free = !cx.keys.slot_unused(to).exists();
    if is_free {
        rename_and_tell(cx, from, to);
    }
    cx.reply.integer(is_free.into());
    Ok(())
}

fn keys(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let pattern = args.next()?;
    if glob::literal(pattern) {
        // Only one key can match, so there is no need to look at the others.
        let exists = cx.keys.slot_unused(pattern).exists();
        cx.reply.array(exists.into());
        if exists {
            cx.reply.bulk(pattern);
        }
        return Ok(());
    }
    let all = glob::is_match_all(pattern);
    let start = cx.reply.mark();
    let mut found = 0;
    cx.reply.array(found);
    cx.keys.for_each_key(|key| {
        if all || glob::matches(pattern, key) {
            cx.reply.bulk(key);
            found += 1;
        }
    });
    cx.reply.set_len(start, found);
    Ok(())
}

fn object_encoding(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.keys.look_unnoticed();
    let encoding = encoding(cx.keys, args.key()?);
    cx.reply.bulk_or_null(encoding.map(str::as_bytes));
    Ok(())
}

/// Redis's name for the form of the value a key holds.
pub(super) fn encoding(keys: &mut Keyspace, key: &[u8]) -> Option<&'static str> {
    let slot = keys.slot_unused(key);
    encoding_at(keys, slot)
}

/// The same of the key at a slot.
pub(super) fn encoding_at(keys: &Keyspace, slot: Slot) -> Option<&'static str> {
    let name = match keys.type_name(slot)? {
        "string" => string_encoding(keys, slot),
        "list" => "quicklist",
        "stream" => "stream",
        _ => match keys.held_at(slot)? {
            Held::Value(Value::Hash(hash)) if hash.is_packed() => "listpack",
            Held::Value(Value::Set(set)) if set.ints().is_some() => "intset",
            Held::Value(Value::ZSet(zset)) if zset.is_packed() => "listpack",
            Held::Value(Value::ZSet(_)) => "skiplist",
            _ => "hashtable",
        },
    };
    Some(name)
}

/// The longest string that Redis keeps in one allocation with its header.
const EMBEDDED_MOST: usize = 44;

fn string_encoding(keys: &Keyspace, slot: Slot) -> &'static str {
    match keys.string_at(slot) {
        Ok(Some(Text::Integer(_))) => "int",
        Ok(Some(Text::Bytes(text))) if text.len() <= EMBEDDED_MOST && !keys.is_raw(slot) => {
            "embstr"
        }
        _ => "raw",
    }
}

/// Redis shares the objects of the integers below this.
const SHARED_INTEGERS: i64 = 10_000;
/// What Redis counts for a shared object.
const SHARED_COUNT: i64 = i32::MAX as i64;

fn object_refcount(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.keys.look_unnoticed();
    let slot = cx.keys.slot_unused(args.key()?);
    match cx.keys.string_at(slot) {
        Ok(None) => cx.reply.null(),
        Ok(Some(Text::Integer(0..SHARED_INTEGERS))) => cx.reply.integer(SHARED_COUNT),
        _ => cx.reply.integer(1),
    }
    Ok(())
}

/// Said to those who ask for what the policy does not note.
const NO_FREQUENCY: CommandError = CommandError::text(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
     when switching between policies at runtime LRU and LFU data will take some time to adjust.",
);
const NO_IDLE_TIME: CommandError = CommandError::text(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
     switching between policies at runtime LRU and LFU data will take some time to adjust.",
);

fn object_freq(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let slot = cx.keys.slot_unused(args.key()?);
    match cx.keys.frequency(slot) {
        None => cx.reply.null(),
        Some(_) if !cx.keys.eviction().policy.is_by_frequency() => return Err(NO_FREQUENCY),
        Some(counter) => cx.reply.integer(counter.into()),
    }
    Ok(())
}

fn object_idletime(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let slot = cx.keys.slot_unused(args.key()?);
    match cx.keys.idle_seconds(slot) {
        None => cx.reply.null(),
        Some(_) if cx.keys.eviction().policy.is_by_frequency() => return Err(NO_IDLE_TIME),
        Some(seconds) => cx.reply.integer(seconds.into()),
    }
    Ok(())
}

/// What Redis answers to OBJECT HELP, line by line.
const OBJECT_LINES: [&str; 15] = [
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

fn object_help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&OBJECT_LINES);
    Ok(())
}

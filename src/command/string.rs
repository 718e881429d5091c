//! String commands.

use super::args::{Args, clamp_range};
use super::context::Context;
use super::expire::{Unit, deadline_from};
use super::keyspec::{self, uses};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Content, NEVER, SIDE_BY_SIDE, Slot, Text};
use crate::number::{IntText, LongDouble, parse_i64, short_sum};
use crate::reply::ReplyBuf;

const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM);
const ADD_FAST: Flags = ADD.and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::String,
    commands: &[
        row("append", Exactly(3), ADD_FAST, Keys::FIRST, "2.0.0", "O(1) amortised",
            "Adds text to the end of a string.", append).uses(uses::RW_INSERT),
        row("decr", Exactly(2), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Subtracts one from an integer.", decr).uses(uses::RW_ACCESS_UPDATE),
        row("decrby", Exactly(3), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Subtracts from an integer.", decrby).uses(uses::RW_ACCESS_UPDATE),
        row("get", Exactly(2), READ_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "The string a key holds.", get),
        row("getdel", Exactly(2), Flags::WRITE.and(Flags::FAST), Keys::FIRST, "6.2.0", "O(1)",
            "The string a key holds, which is removed.", getdel).uses(uses::RW_ACCESS_DELETE),
        row("getex", AtLeast(2), Flags::WRITE.and(Flags::FAST), Keys::FIRST, "6.2.0", "O(1)",
            "The string a key holds, which gets another deadline.", getex)
            .uses(uses::RW_ACCESS_UPDATE),
        row("getrange", Exactly(4), Flags::READONLY, Keys::FIRST, "2.4.0", "O(N) in bytes returned",
            "A part of a string.", getrange),
        row("getset", Exactly(3), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Sets a string and returns the old one.", getset).uses(uses::RW_ACCESS_UPDATE),
        row("incr", Exactly(2), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Adds one to an integer.", incr).uses(uses::RW_ACCESS_UPDATE),
        row("incrby", Exactly(3), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Adds to an integer.", incrby).uses(uses::RW_ACCESS_UPDATE),
        row("incrbyfloat", Exactly(3), ADD_FAST, Keys::FIRST, "2.6.0", "O(1)",
            "Adds to a number.", incrbyfloat).uses(uses::RW_ACCESS_UPDATE),
        row("mget", AtLeast(2), READ_FAST, Keys::ALL, "1.0.0", "O(1) per key",
            "The strings several keys hold.", mget).tips(&["request_policy:multi_shard"]),
        row("mset", AtLeast(3), ADD, Keys::PAIRS, "1.0.1", "O(1) per key",
            "Sets several strings.", mset)
            .uses(uses::OW_UPDATE)
            .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
        row("msetnx", AtLeast(3), ADD, Keys::PAIRS, "1.0.1", "O(1) per key",
            "Sets several strings if none of the keys exists.", msetnx)
            .uses(uses::OW_INSERT).tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
        row("psetex", Exactly(4), ADD, Keys::FIRST, "2.6.0", "O(1)",
            "Sets a string that expires, in milliseconds.", psetex).uses(uses::OW_UPDATE),
        row("set", AtLeast(3), ADD, Keys::FIRST, "1.0.0", "O(1)",
            "Sets a string.", set).uses(uses::VARIABLE).varies(keyspec::use_of_set),
        row("setex", Exactly(4), ADD, Keys::FIRST, "2.0.0", "O(1)",
            "Sets a string that expires, in seconds.", setex).uses(uses::OW_UPDATE),
        row("setnx", Exactly(3), ADD_FAST, Keys::FIRST, "1.0.0", "O(1)",
            "Sets a string if the key does not exist.", setnx).uses(uses::OW_INSERT),
        row("setrange", Exactly(4), ADD, Keys::FIRST, "2.2.0", "O(N) in bytes written",
            "Overwrites a part of a string.", setrange),
        row("strlen", Exactly(2), READ_FAST, Keys::FIRST, "2.2.0", "O(1)",
            "The length of a string.", strlen).uses(uses::RO),
        row("substr", Exactly(4), Flags::READONLY, Keys::FIRST, "1.0.0", "O(N) in bytes returned",
            "GETRANGE by its old name.", getrange),
    ],
};

fn reply_text(reply: &mut ReplyBuf, text: Option<Text<'_>>) {
    match text {
        Some(Text::Bytes(bytes)) => reply.bulk(bytes),
        Some(Text::Integer(value)) => reply.bulk_integer(value),
        None => reply.null(),
    }
}

fn get(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let text = cx.keys.string(args.key()?)?;
    reply_text(cx.reply, text);
    Ok(())
}

/// Which deadline a written string gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Unsaid,
    Keep,
    At(i64),
}

/// The options of SET.
struct SetOptions {
    deadline: Deadline,
    if_absent: bool,
    if_present: bool,
    get: bool,
}

fn set(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, value) = (args.key()?, args.next()?);
    if args.is_empty() {
        let slot = cx.keys.slot(key);
        cx.keys.put(slot, key, Content::of(value), NEVER);
        cx.event(Event::SET, key);
        cx.reply.ok();
        return Ok(());
    }
    let (options, words) = (set_options(cx, args)?, args);
    let slot = cx.keys.slot(key);
    if options.get {
        let old = cx.keys.string_at(slot)?;
        reply_text(cx.reply, old);
    }
    if (options.if_absent && slot.exists()) || (options.if_present && !slot.exists()) {
        if !options.get {
            cx.reply.null();
        }
        return Ok(());
    }
    put_until(cx, slot, key, value, options.deadline);
    if cx.has_replicas() {
        tell_set(cx, key, value, &options, &words);
    }
    if !options.get {
        cx.reply.ok();
    }
    Ok(())
}

/// Tells replicas of a SET with these words behind the value: when the key expires, where that was
/// said, and nothing of GET.
fn tell_set(
    cx: &mut Context<'_>,
    key: &[u8],
    value: &[u8],
    options: &SetOptions,
    words: &Args<'_>,
) {
    if let Deadline::At(at) = options.deadline {
        tell_set_until(cx, key, value, at);
    } else if options.get {
        let head = [words.word(), key, value];
        let is_told = |word: &&&[u8]| !word.eq_ignore_ascii_case(b"get");
        let told = words.rest().iter().filter(is_told).copied();
        cx.effect(&head.into_iter().chain(told).collect::<Vec<_>>());
    }
}

/// Tells replicas that a string was written which expires.
fn tell_set_until(cx: &mut Context<'_>, key: &[u8], value: &[u8], at: i64) {
    cx.effect(&[words::SET, key, value, b"PXAT", IntText::new(at).as_bytes()]);
}

/// Writes a string with the deadline that the options ask for.
fn put_until(cx: &mut Context<'_>, slot: Slot, key: &[u8], value: &[u8], deadline: Deadline) {
    let at = match deadline {
        Deadline::At(at) => at,
        Deadline::Keep => cx.keys.deadline_at(slot),
        Deadline::Unsaid => NEVER,
    };
    cx.keys.put(slot, key, Content::of(value), at);
    cx.event(Event::SET, key);
    if let Deadline::At(_) = deadline {
        cx.event(Event::EXPIRE, key);
    }
}

fn set_options(cx: &Context<'_>, mut args: Args<'_>) -> Result<SetOptions, CommandError> {
    let mut options =
        SetOptions { deadline: Deadline::Unsaid, if_absent: false, if_present: false, get: false };
    let mut expire = None;
    while let Some(word) = args.maybe_next() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("nx") && !options.if_present {
            options.if_absent = true;
        } else if is("xx") && !options.if_absent {
            options.if_present = true;
        } else if is("get") {
            options.get = true;
        } else if is("keepttl") && expire.is_none() {
            options.deadline = Deadline::Keep;
        } else if options.deadline == Deadline::Unsaid {
            expire = Some(expire_option(word, &mut args, expire)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if let Some((unit, text)) = expire {
        options.deadline = Deadline::At(deadline_from(text, unit, cx.keys.now(), args.command())?);
    }
    Ok(options)
}

/// One of EX, PX, EXAT and PXAT with its value, which is read once all options are known. The
/// same one may come again, with another value; another one may not.
fn expire_option<'a>(
    word: &[u8],
    args: &mut Args<'a>,
    earlier: Option<(Unit, &[u8])>,
) -> Result<(Unit, &'a [u8]), CommandError> {
    let unit = Unit::from_option(word).ok_or(CommandError::Syntax)?;
    match earlier {
        Some((other, _)) if other != unit => Err(CommandError::Syntax),
        _ => Ok((unit, args.next()?)),
    }
}

fn setnx(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, value) = (args.key()?, args.next()?);
    let slot = cx.keys.slot(key);
    if !slot.exists() {
        cx.keys.put(slot, key, Content::of(value), NEVER);
        cx.event(Event::SET, key);
    }
    cx.reply.integer((!slot.exists()).into());
    Ok(())
}

fn setex(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_expiring(cx, args, Unit::Seconds)
}

fn psetex(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_expiring(cx, args, Unit::Milliseconds)
}

fn set_expiring(cx: &mut Context<'_>, mut args: Args<'_>, unit: Unit) -> CommandResult {
    let (key, time, value) = (args.key()?, args.next()?, args.next()?);
    let deadline = deadline_from(time, unit, cx.keys.now(), args.command())?;
    let slot = cx.keys.slot(key);
    put_until(cx, slot, key, value, Deadline::At(deadline));
    tell_set_until(cx, key, value, deadline);
    cx.reply.ok();
    Ok(())
}

/// A key is read before it is written, which is told where it does not exist.
fn note_missing(cx: &mut Context<'_>, slot: Slot, key: &[u8]) {
    if !slot.exists() {
        cx.event(Event::KEYMISS, key);
    }
}

fn getset(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, value) = (args.key()?, args.next()?);
    let slot = cx.keys.slot(key);
    note_missing(cx, slot, key);
    let old = cx.keys.string_at(slot)?;
    reply_text(cx.reply, old);
    put_until(cx, slot, key, value, Deadline::Unsaid);
    cx.effect(&[words::SET, key, value]);
    Ok(())
}

fn getdel(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let slot = cx.keys.slot(key);
    note_missing(cx, slot, key);
    let old = cx.keys.string_at(slot)?;
    reply_text(cx.reply, old);
    if cx.keys.remove_slot(slot) {
        cx.effect_of_removal(false, key);
        cx.event(Event::DEL, key);
    }
    Ok(())
}

fn getex(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let deadline = getex_deadline(&mut args)?;
    let slot = cx.keys.slot(key);
    note_missing(cx, slot, key);
    let text = cx.keys.string_at(slot)?;
    if text.is_none() {
        cx.reply.null();
        return Ok(());
    }
    reply_text(cx.reply, text);
    match deadline {
        None => (),
        Some((Unit::Persist, _)) if cx.keys.deadline_at(slot) == NEVER => (),
        Some((Unit::Persist, _)) => {
            cx.keys.set_deadline(slot, key, NEVER);
            cx.effect(&[words::PERSIST, key]);
            cx.event(Event::PERSIST, key);
        }
        Some((unit, text)) => {
            let at = deadline_from(text, unit, cx.keys.now(), args.command())?;
            if at <= cx.keys.now() {
                cx.keys.remove_slot(slot);
                cx.effect_of_removal(cx.keys.news().feed.lazily.expires, key);
                cx.event(Event::DEL, key);
            } else {
                cx.keys.set_deadline(slot, key, at);
                cx.effect(&[words::PEXPIREAT, key, IntText::new(at).as_bytes()]);
                cx.event(Event::EXPIRE, key);
            }
        }
    }
    Ok(())
}

fn getex_deadline<'a>(args: &mut Args<'a>) -> Result<Option<(Unit, &'a [u8])>, CommandError> {
    let mut chosen: Option<(Unit, &[u8])> = None;
    while let Some(word) = args.maybe_next() {
        chosen = match chosen {
            None | Some((Unit::Persist, _)) if word.eq_ignore_ascii_case(b"persist") => {
                Some((Unit::Persist, b""))
            }
            earlier => Some(expire_option(word, args, earlier)?),
        };
    }
    Ok(chosen)
}

fn mget(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    cx.reply.array(args.len());
    for keys in args.rest().chunks(SIDE_BY_SIDE) {
        cx.keys.prefetch(keys);
        for key in keys {
            // A key of another type is as good as none here.
            let text = cx.keys.string(key).unwrap_or(None);
            reply_text(cx.reply, text);
        }
    }
    Ok(())
}

fn mset(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    for (key, value) in args.pairs()? {
        let slot = cx.keys.slot(key);
        put_until(cx, slot, key, value, Deadline::Unsaid);
    }
    cx.reply.ok();
    Ok(())
}

fn msetnx(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut pairs = args.pairs()?;
    if pairs.clone().any(|(key, _)| cx.keys.slot(key).exists()) {
        cx.reply.integer(0);
        return Ok(());
    }
    pairs.by_ref().for_each(|(key, value)| {
        let slot = cx.keys.slot(key);
        put_until(cx, slot, key, value, Deadline::Unsaid);
    });
    cx.reply.integer(1);
    Ok(())
}

fn strlen(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let text = cx.keys.string(args.key()?)?;
    cx.reply.count(text.map_or(0, Text::len));
    Ok(())
}

fn append(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, bytes) = (args.key()?, args.next()?);
    let slot = cx.keys.slot(key);
    let Some(len) = cx.keys.string_at(slot)?.map(Text::len) else {
        cx.keys.put(slot, key, Content::of(bytes), NEVER);
        cx.event(Event::APPEND, key);
        cx.reply.count(bytes.len());
        return Ok(());
    };
    check_length(len as i64, bytes.len())?;
    let len = cx.keys.append(slot, key, len, bytes);
    cx.event(Event::APPEND, key);
    cx.reply.count(len);
    Ok(())
}

fn check_length(offset: i64, added: usize) -> Result<(), CommandError> {
    match offset.checked_add(added as i64) {
        Some(len) if len <= super::ARGUMENT_MOST as i64 => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}

fn setrange(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, offset, bytes) = (args.key()?, args.integer()?, args.next()?);
    if offset < 0 {
        return Err(CommandError::OffsetOutOfRange);
    }
    let slot = cx.keys.slot(key);
    let len = cx.keys.string_at(slot)?.map_or(0, Text::len);
    if bytes.is_empty() {
        cx.reply.count(len);
        return Ok(());
    }
    check_length(offset, bytes.len())?;
    cx.keys.write_at(slot, key, offset as usize, bytes);
    cx.event(Event::SETRANGE, key);
    cx.reply.count(len.max(offset as usize + bytes.len()));
    Ok(())
}

fn getrange(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, start, stop) = (args.key()?, args.integer()?, args.integer()?);
    let text = cx.keys.string(key)?.unwrap_or(Text::Bytes(b""));
    text.with_bytes(|bytes| {
        // Redis looks at the signs before it counts from the end.
        let crossed = start < 0 && stop < 0 && start > stop;
        let stop = if stop < 0 { stop.saturating_add(bytes.len() as i64).max(0) } else { stop };
        let (at, count) = if crossed { (0, 0) } else { clamp_range(start, stop, bytes.len()) };
        cx.reply.bulk(bytes.get(at..at + count).unwrap_or_default());
    });
    Ok(())
}

fn incr(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    add(cx, args.key()?, 1)
}

fn decr(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    add(cx, args.key()?, -1)
}

fn incrby(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, delta) = (args.key()?, args.integer()?);
    add(cx, key, delta)
}

fn decrby(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, delta) = (args.key()?, args.integer()?);
    add(cx, key, delta.checked_neg().ok_or(CommandError::DecrementOverflow)?)
}

fn add(cx: &mut Context<'_>, key: &[u8], delta: i64) -> CommandResult {
    let sum = |old: i64| old.checked_add(delta).ok_or(CommandError::Overflow);
    let sum = match cx.keys.change_integer(key, sum) {
        Some(sum) => sum?,
        None => add_to_text(cx, key, sum)?,
    };
    cx.event(Event::INCRBY, key);
    cx.reply.integer(sum);
    Ok(())
}

/// Adds to what is kept as text, or to nothing.
fn add_to_text(
    cx: &mut Context<'_>,
    key: &[u8],
    sum: impl FnOnce(i64) -> Result<i64, CommandError>,
) -> Result<i64, CommandError> {
    let slot = cx.keys.slot(key);
    let old = match cx.keys.string_at(slot)? {
        Some(text) => text.with_bytes(parse_i64).ok_or(CommandError::NotInteger)?,
        None => 0,
    };
    let sum = sum(old)?;
    cx.keys.put(slot, key, Content::Integer(sum), cx.keys.deadline_at(slot));
    Ok(sum)
}

fn incrbyfloat(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, delta) = (args.key()?, args.next()?);
    let slot = cx.keys.slot(key);
    let short = |text: Text<'_>| text.with_bytes(|text| short_sum(text, delta));
    if let Some(sum) = cx.keys.string_at(slot)?.and_then(short) {
        reply_sum(cx, slot, key, sum.as_bytes());
        return Ok(());
    }
    let delta = LongDouble::parse(delta).ok_or(CommandError::NotFloat);
    let sum = match cx.keys.string_at(slot)? {
        Some(text) => text.with_bytes(LongDouble::parse).ok_or(CommandError::NotFloat)?.add(delta?),
        None => delta?,
    };
    reply_sum(cx, slot, key, &sum_text(sum)?);
    Ok(())
}

/// The text of a sum, which may be neither infinite nor not a number.
pub(super) fn sum_text(sum: LongDouble) -> Result<Vec<u8>, CommandError> {
    match sum.is_nan() || sum.is_infinite() {
        true => Err(CommandError::NanOrInfinity),
        false => Ok(sum.to_text()),
    }
}

/// Gives a key the text of a sum and answers with it.
fn reply_sum(cx: &mut Context<'_>, slot: Slot, key: &[u8], text: &[u8]) {
    let deadline = cx.keys.deadline_at(slot);
    cx.keys.put(slot, key, Content::Bytes(text), deadline);
    cx.effect(&[words::SET, key, text, b"KEEPTTL"]);
    cx.event(Event::INCRBYFLOAT, key);
    cx.reply.bulk(text);
}

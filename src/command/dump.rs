//! Whole values in and out: DUMP and RESTORE, and COPY.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::server::next_database;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Keyspace, NEVER, Slot};
use crate::number::{IntText, parse_i64};
use crate::persist;
use crate::rdb::{self, Damage, Source};

const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        row("copy", AtLeast(3), ADD, Keys::FIRST_TWO, "6.2.0", "O(N) in pieces that are shared",
            "Gives a second key what a key holds, with its deadline.", copy)
            .specs(specs::COPY),
        row("dump", Exactly(2), Flags::READONLY, Keys::FIRST, "2.6.0", "O(N) in elements and bytes",
            "What a key holds, as bytes that RESTORE takes.", dump)
            .uses(uses::RO_ACCESS).tips(&["nondeterministic_output"]),
        row("restore", AtLeast(4), ADD, Keys::FIRST, "2.6.0",
            "O(N) in elements and bytes, O(N log N) for sorted sets",
            "Gives a key what was dumped.", restore)
            .uses(uses::OW_UPDATE).categories(&["keyspace", "dangerous"]),
    ],
};

fn dump(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let slot = cx.keys.slot(args.key()?);
    match source_of(cx.keys, slot) {
        Some(source) => {
            cx.reply.bulk_by(|out| rdb::dump_onto(out, source, cx.keys.limits()));
        }
        None => cx.reply.null(),
    }
    Ok(())
}

/// What is at a slot, to be written.
pub(super) fn source_of(keys: &Keyspace, slot: Slot) -> Option<Source<'_>> {
    keys.held_at(slot).map(persist::source)
}

/// What RESTORE was asked to do with the value.
#[derive(Default)]
struct Restore {
    replaces: bool,
    /// The deadline is a time, not a span.
    is_absolute: bool,
    /// For how many seconds the key was not used.
    idle_seconds: Option<i64>,
    /// How often it was.
    frequency: Option<u8>,
}

impl Restore {
    fn parse(mut args: Args<'_>) -> Result<Restore, CommandError> {
        let mut chosen = Restore::default();
        while !args.is_empty() {
            if args.take_word("replace") {
                chosen.replaces = true;
            } else if args.take_word("absttl") {
                chosen.is_absolute = true;
            } else if args.len() > 1 && chosen.frequency.is_none() && args.take_word("idletime") {
                let seconds = args.integer()?;
                chosen.idle_seconds = Some(seconds);
                if seconds < 0 {
                    return Err(CommandError::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
            } else if args.len() > 1 && chosen.idle_seconds.is_none() && args.take_word("freq") {
                let text = "ERR Invalid FREQ value, must be >= 0 and <= 255";
                let counter = u8::try_from(args.integer()?);
                chosen.frequency = Some(counter.map_err(|_| CommandError::text(text))?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(chosen)
    }

    /// The deadline a time to live means; none for zero.
    fn deadline(&self, ttl: i64, now_ms: i64) -> i64 {
        match ttl {
            0 => NEVER,
            ttl if self.is_absolute => ttl.min(NEVER - 1),
            ttl => ttl.saturating_add(now_ms).min(NEVER - 1),
        }
    }
}

fn restore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, ttl, payload) = (args.key()?, args.next()?, args.next()?);
    let (chosen, words) = (Restore::parse(args)?, args);
    let slot = cx.keys.slot(key);
    // Redis looks for the key before it looks at the time.
    if slot.exists() && !chosen.replaces {
        return Err(CommandError::BusyKey);
    }
    let ttl = parse_i64(ttl).ok_or(CommandError::NotInteger)?;
    if ttl < 0 {
        return Err(CommandError::text("ERR Invalid TTL value, must be >= 0"));
    }
    let loaded = rdb::restore(payload, cx.keys.limits()).map_err(|damage| match damage {
        Damage::Footer => CommandError::PayloadFooter,
        Damage::Value => CommandError::PayloadFormat,
    })?;
    let now = cx.keys.now();
    let replaces = slot.exists();
    match chosen.deadline(ttl, now) {
        deadline if deadline <= now => {
            if cx.keys.remove_slot(slot) {
                cx.effect_of_removal(cx.keys.news().feed.lazily.removes, key);
                cx.event(Event::DEL, key);
            }
            cx.reply.ok();
            return Ok(());
        }
        deadline => {
            persist::put(cx.keys, key, loaded, deadline);
            if !chosen.is_absolute && deadline != NEVER {
                let at = IntText::new(deadline);
                let head = [words.word(), key, at.as_bytes(), payload];
                cx.effect(&[&head[..], words.rest(), &[b"ABSTTL".as_slice()]].concat());
            }
        }
    }
    let slot = cx.keys.slot_unused(key);
    if let Some(seconds) = chosen.idle_seconds {
        cx.keys.set_idle_seconds(slot, seconds);
    }
    if let Some(counter) = chosen.frequency {
        cx.keys.set_frequency(slot, counter);
    }
    if replaces {
        cx.event(Event::NEW, key);
    }
    cx.event(Event::RESTORE, key);
    cx.reply.ok();
    Ok(())
}

fn copy(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to) = (args.key()?, args.key()?);
    let (mut replaces, mut target) = (false, cx.keys.database());
    while !args.is_empty() {
        if args.take_word("replace") {
            replaces = true;
        } else if args.len() > 1 && args.take_word("db") {
            target = next_database(cx.keys, &mut args)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if from == to && target == cx.keys.database() {
        let text = "ERR source and destination objects are the same";
        return Err(CommandError::text(text));
    }
    // The target first: if it has expired it is removed here, which may move what else there is.
    let is_free = cx.keys.in_database(target, |keys| !keys.slot_unused(to).exists());
    let source = cx.keys.slot(from);
    let copies = source.exists() && (is_free || replaces);
    if copies {
        cx.keys.copy(source, to, target);
        cx.keys.in_database(target, |keys| {
            if !is_free {
                keys.notify(Event::NEW, to);
            }
            keys.notify(Event::COPY_TO, to);
        });
    }
    cx.reply.integer(copies.into());
    Ok(())
}

//! Hash commands.

use super::args::Args;
use super::context::Context;
use super::keyspec::uses;
use super::random::{Draw, Members};
use super::scan::{Scan, reply_scan};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::one_key as row;
use super::spec::tips;
use super::spec::{Family, Flags, Group};
use super::string::sum_text;
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Random};
use crate::number::{IntText, LongDouble, parse_i64, short_sum};
use crate::value::hash::{Hash, HashView};

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Hash,
    commands: &[
        row("hdel", AtLeast(3), Flags::WRITE.and(Flags::FAST), "2.0.0", "O(1) per field",
            "Removes fields.", hdel).uses(uses::RW_DELETE),
        row("hexists", Exactly(3), READ_FAST, "2.0.0", "O(1)",
            "Tells whether a field exists.", hexists).uses(uses::RO),
        row("hget", Exactly(3), READ_FAST, "2.0.0", "O(1)",
            "The value of a field.", hget),
        row("hgetall", Exactly(2), READ, "2.0.0", "O(N) in fields",
            "All fields with their values.", hgetall).tips(tips::VARYING_ORDER),
        row("hincrby", Exactly(4), ADD, "2.0.0", "O(1)",
            "Adds an integer to the value of a field.", hincrby).uses(uses::RW_ACCESS_UPDATE),
        row("hincrbyfloat", Exactly(4), ADD, "2.6.0", "O(1)",
            "Adds a number to the value of a field.", hincrbyfloat).uses(uses::RW_ACCESS_UPDATE),
        row("hkeys", Exactly(2), READ, "2.0.0", "O(N) in fields",
            "All fields.", hkeys).tips(tips::VARYING_ORDER),
        row("hlen", Exactly(2), READ_FAST, "2.0.0", "O(1)",
            "The number of fields.", hlen).uses(uses::RO),
        row("hmget", AtLeast(3), READ_FAST, "2.0.0", "O(1) per field",
            "The values of several fields.", hmget),
        row("hmset", AtLeast(4), ADD, "2.0.0", "O(1) per field",
            "Sets fields; HSET with another reply.", hmset),
        row("hrandfield", AtLeast(2), READ, "6.2.0", "O(N) in fields returned",
            "Fields at random.", hrandfield).tips(tips::VARYING_OUTPUT),
        row("hscan", AtLeast(3), READ, "2.8.0", "O(1) a call",
            "Walks the fields a step at a time.", hscan).tips(tips::VARYING_OUTPUT),
        row("hset", AtLeast(4), ADD, "2.0.0", "O(1) per field",
            "Sets fields.", hset),
        row("hsetnx", Exactly(4), ADD, "2.0.0", "O(1)",
            "Sets a field that does not exist yet.", hsetnx).uses(uses::RW_INSERT),
        row("hstrlen", Exactly(3), READ_FAST, "3.2.0", "O(1)",
            "The length of a field's value.", hstrlen).uses(uses::RO),
        row("hvals", Exactly(2), READ, "2.0.0", "O(N) in fields",
            "All values.", hvals).tips(tips::VARYING_ORDER),
    ],
};

fn hset(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let added = set_pairs(cx, args)?;
    cx.reply.count(added);
    Ok(())
}

fn hmset(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_pairs(cx, args)?;
    cx.reply.ok();
    Ok(())
}

/// Sets all pairs; returns how many fields are new.
fn set_pairs(cx: &mut Context<'_>, mut args: Args<'_>) -> Result<usize, CommandError> {
    let key = args.key()?;
    let added = match args.rest() {
        [field, value] => cx.keys.set_field(key, field, value)?.into(),
        _ => {
            let pairs = args.pairs()?;
            cx.keys.edit(key, |hash: &mut Editor<'_, Hash>| {
                hash.make_room_for(args.rest().iter().copied());
                pairs.filter(|&(field, value)| hash.set(field, value)).count()
            })?
        }
    };
    cx.keys.notify(Event::HSET, key);
    Ok(added)
}

fn hsetnx(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field, value) = (args.key()?, args.next()?, args.next()?);
    let added = cx.keys.edit(key, |hash: &mut Editor<'_, Hash>| {
        hash.get(field).is_none() && hash.set(field, value)
    })?;
    if added {
        cx.event(Event::HSET, key);
    }
    cx.reply.integer(added.into());
    Ok(())
}

fn hget(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field) = (args.key()?, args.next()?);
    cx.keys.show_field(key, field, |value| cx.reply.bulk_or_null(value))
}

fn hmget(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let hash = cx.keys.read::<Hash>(key)?;
    cx.reply.array(args.len());
    for field in args.rest() {
        cx.reply.bulk_or_null(hash.as_ref().and_then(|hash| hash.get(field)));
    }
    Ok(())
}

fn hdel(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let removed = cx.keys.edit_existing(key, |hash: &mut Editor<'_, Hash>| {
        args.rest().iter().filter(|field| hash.remove(field)).count()
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.event_of_taking(Event::HDEL, key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

fn hexists(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field) = (args.key()?, args.next()?);
    let hash = cx.keys.read::<Hash>(key)?;
    let found = hash.as_ref().is_some_and(|hash| hash.get(field).is_some());
    cx.reply.integer(found.into());
    Ok(())
}

fn hstrlen(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field) = (args.key()?, args.next()?);
    let hash = cx.keys.read::<Hash>(key)?;
    cx.reply.count(hash.as_ref().and_then(|hash| hash.get(field)).map_or(0, <[u8]>::len));
    Ok(())
}

fn hlen(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let hash = cx.keys.read::<Hash>(args.key()?)?;
    cx.reply.count(hash.as_ref().map_or(0, Hash::len));
    Ok(())
}

fn hgetall(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let hash = cx.keys.read::<Hash>(args.key()?)?;
    cx.reply.map(hash.as_ref().map_or(0, Hash::len));
    for (field, value) in hash.iter().flat_map(|hash| hash.iter()) {
        cx.reply.bulk(field);
        cx.reply.bulk(value);
    }
    Ok(())
}

fn hkeys(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let hash = cx.keys.read::<Hash>(args.key()?)?;
    cx.reply.array(hash.as_ref().map_or(0, Hash::len));
    hash.iter().flat_map(|hash| hash.iter()).for_each(|(field, _)| cx.reply.bulk(field));
    Ok(())
}

fn hvals(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let hash = cx.keys.read::<Hash>(args.key()?)?;
    cx.reply.array(hash.as_ref().map_or(0, Hash::len));
    hash.iter().flat_map(|hash| hash.iter()).for_each(|(_, value)| cx.reply.bulk(value));
    Ok(())
}

fn hincrby(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field, delta) = (args.key()?, args.next()?, args.integer()?);
    let sum = cx.keys.edit(key, |hash: &mut Editor<'_, Hash>| {
        let old = match hash.get(field) {
            Some(text) => parse_i64(text).ok_or(CommandError::HashNotInteger)?,
            None => 0,
        };
        let sum = old.checked_add(delta).ok_or(CommandError::Overflow)?;
        hash.set(field, IntText::new(sum).as_bytes());
        Ok(sum)
    })??;
    cx.event(Event::HINCRBY, key);
    cx.reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, field, delta) = (args.key()?, args.next()?, args.next()?);
    let short = cx.keys.edit_existing(key, |hash: &mut Editor<'_, Hash>| {
        let sum = short_sum(hash.get(field)?, delta)?;
        hash.set(field, sum.as_bytes());
        Some(sum)
    });
    // Where that did not add up, errors come in the order of the long way.
    if let Ok(Some(Some(sum))) = short {
        cx.effect(&[words::HSET, key, field, sum.as_bytes()]);
        cx.event(Event::HINCRBYFLOAT, key);
        cx.reply.bulk(sum.as_bytes());
        return Ok(());
    }
    let delta = LongDouble::parse(delta).ok_or(CommandError::NotFloat)?;
    if delta.is_nan() || delta.is_infinite() {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let text = cx.keys.edit(key, |hash: &mut Editor<'_, Hash>| {
        let sum = match hash.get(field) {
            Some(text) => LongDouble::parse(text).ok_or(CommandError::HashNotFloat)?.add(delta),
            None => delta,
        };
        let text = sum_text(sum)?;
        hash.set(field, &text);
        Ok(text)
    })??;
    cx.effect(&[words::HSET, key, field, &text]);
    cx.event(Event::HINCRBYFLOAT, key);
    cx.reply.bulk(&text);
    Ok(())
}

impl<'a> Members<'a> for &'a HashView<'_> {
    type Worth = &'a [u8];

    fn count(self) -> usize {
        self.len()
    }

    fn is_small(self) -> bool {
        self.is_packed()
    }

    fn all(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.iter()
    }

    fn draw(self, random: &mut Random) -> Option<(&'a [u8], &'a [u8])> {
        self.some(|bound| random.below(bound))
    }
}

fn hrandfield(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let draw = if args.is_empty() { None } else { Some(Draw::parse(args, "withvalues")?) };
    let mut found = cx.keys.read_random::<Hash>(key)?;
    let Some(draw) = draw else {
        let drawn = found.as_mut().and_then(|(hash, random)| hash.draw(random));
        cx.reply.bulk_or_null(drawn.map(|(drawn, _)| drawn));
        return Ok(());
    };
    let Some((hash, random)) = found else {
        cx.reply.array(0);
        return Ok(());
    };
    draw.begin(cx.reply, hash.len())?;
    draw.run(&hash, random, |field, value| {
        cx.reply.bulk(field);
        if draw.with_worth {
            cx.reply.bulk(value);
        }
    });
    Ok(())
}

fn hscan(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let mut scan = Scan::parse_cursor(&mut args)?;
    let hash = cx.keys.read::<Hash>(key)?;
    // The options for a key that does not exist are never read.
    if hash.is_some() {
        scan.parse_options(&mut args, false)?;
    }
    reply_scan(cx.reply, &scan, 2, |step, found| match &hash {
        Some(hash) => hash.scan(step, &mut |field, value| {
            found(&[field, value]);
        }),
        None => 0,
    });
    Ok(())
}

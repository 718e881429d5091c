//! HyperLogLog commands: strings that count the different elements they were told of.
//!
//! What the bytes mean is in `value/hyperloglog.rs`.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Keyspace, NEVER, Slot};
use crate::reply::ReplyBuf;
use crate::value::hyperloglog::{self as sketch, Fault, Form, Raise, Registers};

const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM);
/// An estimate is kept in the key it is of.
const COUNT: Flags = Flags::READONLY.and(Flags::MAY_WRITE);
const ADD_FAST: Flags = ADD.and(Flags::FAST);

/// The key of PFDEBUG.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::HyperLogLog,
    commands: &[
        row("pfadd", AtLeast(2), ADD_FAST, Keys::FIRST, "2.8.9", "O(1) per element",
            "Adds elements to those a HyperLogLog has counted.", pfadd).uses(uses::RW_INSERT),
        row("pfcount", AtLeast(2), COUNT, Keys::ALL, "2.8.9",
            "O(1) for one key that was not changed, else O(N) in keys with a large constant",
            "Estimates how many different elements HyperLogLogs have counted together.", pfcount)
            .uses(uses::RW_ACCESS),
        row("pfdebug", Exactly(3), ADD.and(Flags::ADMIN), SECOND, "2.8.9", "O(1)",
            "Shows what a HyperLogLog consists of, or makes it dense.", pfdebug)
            .uses(uses::RW_ACCESS),
        row("pfmerge", AtLeast(2), ADD, Keys::ALL, "2.8.9", "O(N) in keys with a large constant",
            "Adds what HyperLogLogs have counted to another.", pfmerge).specs(specs::MERGE_OF_REST),
        row("pfselftest", Exactly(1), Flags::ADMIN, Keys::NONE, "2.8.9", "O(1)",
            "Checks the arithmetic of HyperLogLogs.", pfselftest),
    ],
};

/// The error that a fault answers with.
fn error(fault: Fault) -> CommandError {
    match fault {
        Fault::Foreign => CommandError::NotHyperLogLog,
        Fault::Corrupt => CommandError::CorruptHyperLogLog,
    }
}

/// Runs something on the HyperLogLog at a slot; none where there is no key.
fn with<R>(
    keys: &Keyspace,
    slot: Slot,
    run: impl FnOnce(&[u8]) -> Result<R, Fault>,
) -> Result<Option<R>, CommandError> {
    let Some(text) = keys.string_at(slot)? else { return Ok(None) };
    let checked = |bytes: &[u8]| sketch::form(bytes).and_then(|_| run(bytes));
    text.with_bytes(checked).map(Some).map_err(error)
}

fn pfadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let slot = cx.keys.slot(key);
    let exists = with(cx.keys, slot, |_| Ok(()))?.is_some();
    if exists {
        cx.keys.make_raw(slot, key);
    } else {
        cx.keys.put_raw(slot, key, sketch::empty(), NEVER);
    }
    let mut changed = !exists;
    // What is added before a fault is found stays, and the estimate is out of date all the same.
    let added = args.rest().iter().try_for_each(|element| {
        changed |= add(cx.keys, key, element)?;
        Ok(())
    });
    if changed {
        let slot = cx.keys.slot(key);
        if let Some(byte) = with(cx.keys, slot, |bytes| Ok(sketch::stale_byte(bytes)))?.flatten() {
            cx.keys.write_at(slot, key, sketch::STALE_AT, &[byte]);
        }
        cx.event(Event::PFADD, key);
    }
    cx.reply.integer(changed.into());
    added
}

/// Adds an element to the HyperLogLog a key holds; tells whether that changed it.
fn add(keys: &mut Keyspace, key: &[u8], element: &[u8]) -> Result<bool, CommandError> {
    let slot = keys.slot(key);
    let (register, value) = sketch::place(element);
    let most = keys.sketch_bytes();
    match with(keys, slot, |bytes| sketch::raise(bytes, register, value, most))? {
        None | Some(Raise::None) => return Ok(false),
        Some(Raise::Splice { at, removed, bytes }) if bytes.len() == removed => {
            keys.write_at(slot, key, at, &bytes);
        }
        Some(Raise::Splice { at, removed, bytes }) => keys.splice(slot, key, at, removed, &bytes),
        Some(Raise::Dense(bytes)) => keys.put_raw(slot, key, bytes, keys.deadline_at(slot)),
    }
    Ok(true)
}

fn pfcount(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = match args.rest() {
        [key] => {
            let (count, is_new) = count_one(cx.keys, key)?;
            if is_new {
                cx.effect(&[args.word(), key]);
            }
            count
        }
        keys => merge(cx.keys, keys)?.0.count(),
    };
    cx.reply.integer(count.cast_signed());
    Ok(())
}

/// The estimate for one key, which is kept in its header for the next time, and whether it was not
/// yet.
fn count_one(keys: &mut Keyspace, key: &[u8]) -> Result<(u64, bool), CommandError> {
    let slot = keys.slot(key);
    let Some(known) = with(keys, slot, |bytes| Ok(sketch::estimate(bytes)))? else {
        return Ok((0, false));
    };
    keys.make_raw(slot, key);
    if let Some(count) = known {
        return Ok((count, false));
    }
    let count = with(keys, slot, sketch::count)?.unwrap_or(0);
    keys.write_at(slot, key, sketch::ESTIMATE_AT, &count.to_le_bytes());
    Ok((count, true))
}

/// The registers of several keys together, and whether one of them is dense.
fn merge(keys: &mut Keyspace, names: &[&[u8]]) -> Result<(Registers, bool), CommandError> {
    let (mut registers, mut any_dense) = (Registers::new(), false);
    for key in names {
        let slot = keys.slot(key);
        let form = with(keys, slot, |bytes| registers.merge(bytes))?;
        any_dense |= form == Some(Form::Dense);
    }
    Ok((registers, any_dense))
}

fn pfmerge(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (registers, any_dense) = merge(cx.keys, args.rest())?;
    let target = args.clone().key()?;
    let slot = cx.keys.slot(target);
    if !slot.exists() {
        cx.event(Event::KEYMISS, target);
    }
    let most = cx.keys.sketch_bytes();
    let merged = |bytes: &[u8]| {
        let bytes = if any_dense { sketch::to_dense(bytes)? } else { bytes.to_vec() };
        sketch::merged(bytes, &registers, most)
    };
    let merged = match with(cx.keys, slot, merged)? {
        Some(bytes) => bytes,
        None => merged(&sketch::empty()).map_err(error)?,
    };
    cx.keys.put_raw(slot, target, merged, cx.keys.deadline_at(slot));
    cx.event(Event::PFADD, target);
    cx.reply.ok();
    Ok(())
}

fn pfdebug(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (word, key) = (args.next()?, args.key()?);
    let slot = cx.keys.slot(key);
    let Some(form) = with(cx.keys, slot, sketch::form)? else {
        return Err(CommandError::text("ERR The specified key does not exist"));
    };
    cx.keys.make_raw(slot, key);
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("getreg") {
        make_dense(cx.keys, slot, key, form)?;
        with(cx.keys, slot, |bytes| {
            reply_registers(cx.reply, &Registers::read(bytes)?);
            Ok(())
        })?;
    } else if is("decode") {
        if form == Form::Dense {
            return Err(CommandError::text("ERR HLL encoding is not sparse"));
        }
        let text = with(cx.keys, slot, |bytes| Ok(decoded(bytes)))?;
        cx.reply.bulk(text.unwrap_or_default().as_bytes());
    } else if is("encoding") {
        cx.reply.status(if form == Form::Dense { b"dense" } else { b"sparse" });
    } else if is("todense") {
        make_dense(cx.keys, slot, key, form)?;
        cx.reply.integer((form == Form::Sparse).into());
    } else {
        return Err(CommandError::unknown_debug(word));
    }
    Ok(())
}

fn make_dense(keys: &mut Keyspace, slot: Slot, key: &[u8], form: Form) -> CommandResult {
    if form == Form::Sparse
        && let Some(dense) = with(keys, slot, sketch::to_dense)?
    {
        keys.put_raw(slot, key, dense, keys.deadline_at(slot));
    }
    Ok(())
}

fn reply_registers(reply: &mut ReplyBuf, registers: &Registers) {
    reply.array(registers.values().len());
    registers.values().iter().for_each(|&value| reply.integer(value.into()));
}

/// The runs of the sparse form as PFDEBUG shows them: `z` and `Z` for zeros in one byte and in
/// two, `v` for values.
fn decoded(bytes: &[u8]) -> String {
    let run = |run: sketch::Run| match run.value {
        0 if run.is_short() => format!("z:{}", run.len),
        0 => format!("Z:{}", run.len),
        value => format!("v:{value},{}", run.len),
    };
    sketch::runs(bytes).map(run).collect::<Vec<_>>().join(" ")
}

fn pfselftest(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    sketch::self_test(cx.keys.sketch_bytes()).map_err(CommandError::text)?;
    cx.reply.ok();
    Ok(())
}

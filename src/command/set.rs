//! Set commands on one set, and SMOVE. What combines several sets is in `set_algebra.rs`.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::range::count;
use super::scan::{Scan, reply_scan};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Family, Flags, Group, Keys, keyed, one_key as row};
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Editor;
use crate::reply::ReplyBuf;
use crate::value::set::{Member, Set};

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.and(Flags::FAST);
const REMOVE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Set,
    commands: &[
        row("sadd", AtLeast(3), ADD, "1.0.0", "O(1) per member",
            "Adds members.", sadd).uses(uses::RW_INSERT),
        row("scard", Exactly(2), READ_FAST, "1.0.0", "O(1)",
            "The number of members.", scard).uses(uses::RO),
        row("sismember", Exactly(3), READ_FAST, "1.0.0", "O(1)",
            "Tells whether the set has a member.", sismember).uses(uses::RO),
        row("smembers", Exactly(2), READ, "1.0.0", "O(N) in members",
            "All members.", smembers).tips(tips::VARYING_ORDER),
        row("smismember", AtLeast(3), READ_FAST, "6.2.0", "O(1) per member",
            "Tells of several members whether the set has them.", smismember),
        keyed("smove", Exactly(4), REMOVE_FAST, Keys::FIRST_TWO, "1.0.0", "O(1)",
            "Moves a member from one set to another.", smove).specs(specs::TAKE_AND_PUT),
        row("spop", AtLeast(2), REMOVE_FAST, "1.0.0", "O(1) per member",
            "Takes out random members.", spop)
            .uses(uses::RW_ACCESS_DELETE).tips(tips::VARYING_OUTPUT),
        row("srandmember", AtLeast(2), READ, "1.0.0", "O(1) per member",
            "Random members: distinct ones, or for a negative count any.", srandmember)
            .tips(tips::VARYING_OUTPUT),
        row("srem", AtLeast(3), REMOVE_FAST, "1.0.0", "O(1) per member",
            "Removes members.", srem).uses(uses::RW_DELETE),
        row("sscan", AtLeast(3), READ, "2.8.0", "O(1) a call",
            "Walks the members a step at a time.", sscan).tips(tips::VARYING_OUTPUT),
    ],
};

pub(super) fn reply_member(reply: &mut ReplyBuf, member: Member<'_>) {
    match member {
        Member::Integer(value) => reply.bulk_integer(value),
        Member::Bytes(bytes) => reply.bulk(bytes),
    }
}

fn sadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let added = cx.keys.edit(key, |set: &mut Editor<'_, Set>| {
        args.rest().iter().filter(|member| set.add(member)).count()
    })?;
    if added > 0 {
        cx.event(Event::SADD, key);
    }
    cx.reply.count(added);
    Ok(())
}

fn srem(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let removed = cx.keys.edit_existing(key, |set: &mut Editor<'_, Set>| {
        args.rest().iter().filter(|member| set.remove(member)).count()
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.event_of_taking(Event::SREM, key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

fn scard(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let set = cx.keys.read::<Set>(args.key()?)?;
    cx.reply.count(set.as_ref().map_or(0, Set::len));
    Ok(())
}

fn sismember(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, member) = (args.key()?, args.next()?);
    let set = cx.keys.read::<Set>(key)?;
    cx.reply.integer(set.as_ref().is_some_and(|set| set.contains(member)).into());
    Ok(())
}

fn smismember(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let set = cx.keys.read::<Set>(key)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        cx.reply.integer(set.as_ref().is_some_and(|set| set.contains(member)).into());
    }
    Ok(())
}

fn smembers(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let set = cx.keys.read::<Set>(args.key()?)?;
    cx.reply.set(set.as_ref().map_or(0, Set::len));
    if let Some(set) = set {
        set.iter().for_each(|member| reply_member(cx.reply, member));
    }
    Ok(())
}

fn smove(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to, member) = (args.key()?, args.key()?, args.next()?);
    let source = cx.keys.read::<Set>(from)?;
    // Where there is no source the type of the target is not asked.
    let Some(found) = source.map(|set| set.contains(member)) else {
        cx.reply.integer(0);
        return Ok(());
    };
    cx.keys.read::<Set>(to)?;
    if found && from != to {
        cx.keys.edit_existing(from, |set: &mut Editor<'_, Set>| set.remove(member))?;
        cx.event_of_taking(Event::SREM, from);
        if cx.keys.edit(to, |set: &mut Editor<'_, Set>| set.add(member))? {
            cx.event(Event::SADD, to);
        }
    }
    cx.reply.integer(found.into());
    Ok(())
}

fn spop(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    if !args.is_empty() {
        return spop_count(cx, key, args);
    }
    let mut told = Told::of(cx);
    let popped =
        cx.keys.edit_existing(key, |set: &mut Editor<'_, Set>| pop(set, cx.reply, &mut told))?;
    told.tell(cx, key);
    match popped {
        Some(()) => cx.event_of_taking(Event::SPOP, key),
        None => cx.reply.null(),
    }
    Ok(())
}

/// The members that were popped, where there are replicas to be told which those were.
struct Told(Option<Vec<Vec<u8>>>);

impl Told {
    fn of(cx: &Context<'_>) -> Told {
        Told(cx.has_replicas().then(Vec::new))
    }

    fn note(&mut self, member: Member<'_>) {
        if let Told(Some(members)) = self {
            member.with_bytes(|bytes| members.push(bytes.to_vec()));
        }
    }

    fn tell(self, cx: &mut Context<'_>, key: &[u8]) {
        for member in self.0.unwrap_or_default() {
            cx.effect(&[words::SREM, key, &member]);
        }
    }
}

/// Takes out a random member and answers with it.
fn pop(set: &mut Editor<'_, Set>, reply: &mut ReplyBuf, told: &mut Told) {
    if let Some(place) = set.random_place() {
        told.note(set.at(place));
        reply_member(reply, set.at(place));
        set.take(place);
    }
}

/// Where so many times more are popped than stay, Redis makes a new set of those that stay. Its
/// encoding tells: it may be an intset again.
const NEW_SET_SHARE: usize = 5;

fn spop_count(cx: &mut Context<'_>, key: &[u8], mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = count(&mut args, CommandError::NotPositive)?;
    let len = cx.keys.read::<Set>(key)?.map_or(0, |set| set.len());
    cx.reply.set(count.min(len));
    if count >= len {
        let set = cx.keys.read::<Set>(key)?;
        set.iter().flat_map(Set::iter).for_each(|member| reply_member(cx.reply, member));
        if cx.keys.remove(key) {
            cx.effect_of_removal(false, key);
            cx.event_of_taking(Event::SPOP, key);
        }
        return Ok(());
    }
    let left = len - count;
    let mut told = Told::of(cx);
    cx.keys.edit_existing(key, |set: &mut Editor<'_, Set>| {
        if left * NEW_SET_SHARE > count {
            (0..count).for_each(|_| pop(set, cx.reply, &mut told));
            return;
        }
        let kept = set.sample_set(left);
        let popped = set.iter().filter(|member| !kept.has(*member));
        popped.for_each(|member| {
            told.note(member);
            reply_member(cx.reply, member);
        });
        set.replace(kept);
    })?;
    told.tell(cx, key);
    if count > 0 {
        cx.event(Event::SPOP, key);
    }
    Ok(())
}

/// More repetitions than anybody wants; Redis would try to answer with any number.
const REPEATS_MOST: u64 = 1 << 24;

fn srandmember(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    if args.is_empty() {
        match cx.keys.read_random::<Set>(key)? {
            Some((set, random)) => {
                let place = set.random(|bound| random.below(bound));
                place.into_iter().for_each(|place| reply_member(cx.reply, set.at(place)));
            }
            None => cx.reply.null(),
        }
        return Ok(());
    }
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = args.integer()?;
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    let Some((set, random)) = cx.keys.read_random::<Set>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let mut below = |bound| random.below(bound);
    if let Ok(count) = usize::try_from(count) {
        let sample = set.sample(count, below);
        cx.reply.array(sample.len());
        sample.into_iter().for_each(|member| reply_member(cx.reply, member));
        return Ok(());
    }
    if count.unsigned_abs() > REPEATS_MOST {
        return Err(CommandError::text("ERR value is out of range"));
    }
    let drawn = (count..0).filter_map(|_| set.random(&mut below));
    cx.reply.array(count.unsigned_abs() as usize);
    drawn.for_each(|place| reply_member(cx.reply, set.at(place)));
    Ok(())
}

fn sscan(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let mut scan = Scan::parse_cursor(&mut args)?;
    let set = cx.keys.read::<Set>(key)?;
    // The options for a key that does not exist are never read.
    if set.is_some() {
        scan.parse_options(&mut args, false)?;
    }
    reply_scan(cx.reply, &scan, 1, |step, found| match &set {
        Some(set) => set.scan(step, &mut |member| member.with_bytes(|bytes| found(&[bytes]))),
        None => 0,
    });
    Ok(())
}

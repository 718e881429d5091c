//! Intersection, union and difference of sets, answered or kept in a key.

use super::args::Args;
use super::context::Context;
use super::keyspec::specs;
use super::set::reply_member;
use super::spec::Arity::AtLeast;
use super::spec::tips;
use super::spec::{Family, Flags, Group, Keys, keyed as row, keyless};
use crate::clients::{Event, Events};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::NEVER;
use crate::number::parse_i64;
use crate::reply::ReplyBuf;
use crate::value::Value;
use crate::value::set::{Member, Set, SetView};
use smallvec::SmallVec;

const READ: Flags = Flags::READONLY;
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);

const OF_ALL: &str = "O(N) in members of all sets";
const OF_SMALLEST: &str = "O(N*M) for N members of the smallest of M sets";

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Set,
    commands: &[
        row("sdiff", AtLeast(2), READ, Keys::ALL, "1.0.0", OF_ALL,
            "The members of the first set that are in none of the others.", sdiff)
            .tips(tips::VARYING_ORDER),
        row("sdiffstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_ALL,
            "Keeps what SDIFF would answer in a key.", sdiffstore).specs(specs::STORE_OF_REST),
        row("sinter", AtLeast(2), READ, Keys::ALL, "1.0.0", OF_SMALLEST,
            "The members that are in all of the sets.", sinter).tips(tips::VARYING_ORDER),
        keyless("sintercard", AtLeast(3), READ.and(Flags::MOVABLEKEYS), "7.0.0", OF_SMALLEST,
            "The number of members that are in all of the sets.", sintercard)
            .specs(specs::READ_COUNTED),
        row("sinterstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_SMALLEST,
            "Keeps what SINTER would answer in a key.", sinterstore).specs(specs::UPDATE_OF_REST),
        row("sunion", AtLeast(2), READ, Keys::ALL, "1.0.0", OF_ALL,
            "The members that are in any of the sets.", sunion).tips(tips::VARYING_ORDER),
        row("sunionstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_ALL,
            "Keeps what SUNION would answer in a key.", sunionstore).specs(specs::STORE_OF_REST),
    ],
};

/// The sets that some keys hold, none where there is no key.
type Sources<'a> = SmallVec<[Option<SetView<'a>>; 8]>;

/// What a command makes of its sources to keep it; the last argument is the number of integers that
/// a set of integers may have.
type Combine = fn(&Sources<'_>, usize) -> Set;

fn sinter(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let sources = cx.keys.read_all::<Set>(args.rest())?;
    reply_members(cx.reply, |reply| {
        intersect(&sources, |member| {
            reply_member(reply, member);
            true
        })
    });
    Ok(())
}

fn sdiff(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let sources = cx.keys.read_all::<Set>(args.rest())?;
    reply_members(cx.reply, |reply| subtract(&sources, |member| reply_member(reply, member)));
    Ok(())
}

/// Up to so many sets are looked into for each member, rather than that a set of all is made.
const LOOKED_INTO_MOST: usize = 8;

fn sunion(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ints_most = cx.keys.limits().set_intset_entries;
    let sources: Sources<'_> = cx.keys.read_all::<Set>(args.rest())?;
    let all_ints = sources.iter().flatten().all(|set| set.ints().is_some());
    reply_members(cx.reply, |reply| match &*sources {
        // Integers come in their order, as long as there are not too many.
        _ if all_ints || sources.len() > LOOKED_INTO_MOST => {
            let union = union(&sources, ints_most);
            reply_all(reply, &union)
        }
        sources => (0..sources.len()).map(|at| reply_new(reply, sources, at)).sum(),
    });
    Ok(())
}

/// Answers with the members of one source that none before it has; returns their number.
fn reply_new(reply: &mut ReplyBuf, sources: &[Option<SetView<'_>>], at: usize) -> usize {
    let (before, rest) = sources.split_at_checked(at).unwrap_or_default();
    let Some(Some(set)) = rest.first() else { return 0 };
    let mut count = 0;
    set.iter().for_each(|member| {
        if !before.iter().flatten().any(|set| set.has(member)) {
            reply_member(reply, member);
            count += 1;
        }
    });
    count
}

fn reply_all(reply: &mut ReplyBuf, set: &Set) -> usize {
    set.iter().for_each(|member| reply_member(reply, member));
    set.len()
}

/// Answers with a set whose members are written first and counted.
fn reply_members(reply: &mut ReplyBuf, write: impl FnOnce(&mut ReplyBuf) -> usize) {
    let start = reply.mark();
    reply.set(0);
    let count = write(reply);
    reply.set_len(start, count);
}

fn sinterstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, |sources, ints_most| {
        let mut result = Set::new();
        intersect(sources, |member| {
            result.add_member(member, ints_most);
            true
        });
        result
    })
}

fn sunionstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, union)
}

fn sdiffstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, difference)
}

fn sintercard(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let keys = counted_keys(&mut args)?;
    let limit = limit(&mut args)?;
    let sources = cx.keys.read_all::<Set>(keys)?;
    let mut left = limit;
    let found = intersect(&sources, |_| {
        left -= 1;
        left > 0
    });
    cx.reply.count(found);
    Ok(())
}

/// A number of keys, and so many keys.
fn counted_keys<'a>(args: &mut Args<'a>) -> Result<&'a [&'a [u8]], CommandError> {
    let count = parse_i64(args.next()?).and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|&count| count > 0) else {
        return Err(CommandError::text("ERR numkeys should be greater than 0"));
    };
    args.take(count)
        .ok_or(CommandError::text("ERR Number of keys can't be greater than number of args"))
}

/// The only option of SINTERCARD; without it, or where it is 0, all members count.
fn limit(args: &mut Args<'_>) -> Result<usize, CommandError> {
    let mut limit = usize::MAX;
    while !args.is_empty() {
        if !args.take_word("limit") {
            return Err(CommandError::Syntax);
        }
        let most = parse_i64(args.next()?).and_then(|most| usize::try_from(most).ok());
        let most = most.ok_or(CommandError::text("ERR LIMIT can't be negative"))?;
        limit = if most == 0 { usize::MAX } else { most };
    }
    Ok(limit)
}

/// Puts the combined sets in the place of whatever the first key held, and answers with the number
/// of members.
fn store(cx: &mut Context<'_>, mut args: Args<'_>, combine: Combine) -> CommandResult {
    let target = args.key()?;
    let ints_most = cx.keys.limits().set_intset_entries;
    let result = combine(&cx.keys.read_all::<Set>(args.rest())?, ints_most);
    cx.reply.count(result.len());
    match result.len() {
        0 => {
            if cx.keys.remove(target) {
                cx.event(Event::DEL, target);
            }
        }
        _ => {
            cx.keys.put_value(target, Value::Set(result), NEVER);
            cx.event(Event::of_command(Events::SET, args.command()), target);
        }
    }
    Ok(())
}

/// Visits the members that are in all sources, until the visitor has seen enough; returns how many
/// it saw.
fn intersect(sources: &Sources<'_>, visit: impl FnMut(Member<'_>) -> bool) -> usize {
    // A missing key is an empty set.
    if sources.iter().any(Option::is_none) {
        return 0;
    }
    let mut sets = SmallVec::<[&SetView<'_>; 8]>::with_capacity(sources.len());
    sources.iter().flatten().for_each(|set| sets.push(set));
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return 0 };
    Set::intersect(smallest, others, visit)
}

/// Visits the members of the first source that no other has; returns how many there are.
fn subtract(sources: &Sources<'_>, mut visit: impl FnMut(Member<'_>)) -> usize {
    let Some((Some(first), others)) = sources.split_first() else { return 0 };
    let mut count = 0;
    first.iter().for_each(|member| {
        if !others.iter().flatten().any(|set| set.has(member)) {
            visit(member);
            count += 1;
        }
    });
    count
}

fn union(sources: &Sources<'_>, ints_most: usize) -> Set {
    let sets: SmallVec<[&SetView<'_>; 8]> = sources.iter().flatten().collect();
    Set::union(&sets, ints_most)
}

/// The members of the first source that no other has. Redis goes one of two ways here, whichever
/// looks like less work; which of them shows in the encoding of what is kept.
fn difference(sources: &Sources<'_>, ints_most: usize) -> Set {
    let Some((Some(first), others)) = sources.split_first() else { return Set::new() };
    let others: SmallVec<[&SetView<'_>; 8]> = others.iter().flatten().collect();
    let members: usize = others.iter().map(|set| set.len()).sum();
    if first.len() * (others.len() + 1) / 2 <= first.len() + members {
        let mut result = Set::new();
        subtract(sources, |member| drop(result.add_member(member, ints_most)));
        return result;
    }
    let mut result = Set::union(&[first], ints_most);
    for set in others {
        set.iter().for_each(|member| result.remove_member(member));
    }
    result
}

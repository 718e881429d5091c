//! Intersection, union and difference of sets, answered or kept in a key.

use super::args::Args;
use super::context::Context;
use super::set::reply_member;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, Keys, keyed as row, keyless};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::NEVER;
use crate::number::parse_i64;
use crate::value::Value;
use crate::value::set::{Member, Set};
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
            "The members of the first set that are in none of the others.", sdiff),
        row("sdiffstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_ALL,
            "Keeps what SDIFF would answer in a key.", sdiffstore),
        row("sinter", AtLeast(2), READ, Keys::ALL, "1.0.0", OF_SMALLEST,
            "The members that are in all of the sets.", sinter),
        keyless("sintercard", AtLeast(3), READ.and(Flags::MOVABLEKEYS), "7.0.0", OF_SMALLEST,
            "The number of members that are in all of the sets.", sintercard),
        row("sinterstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_SMALLEST,
            "Keeps what SINTER would answer in a key.", sinterstore),
        row("sunion", AtLeast(2), READ, Keys::ALL, "1.0.0", OF_ALL,
            "The members that are in any of the sets.", sunion),
        row("sunionstore", AtLeast(3), STORE, Keys::ALL, "1.0.0", OF_ALL,
            "Keeps what SUNION would answer in a key.", sunionstore),
    ],
};

/// What a command makes of the sets that its keys hold, none where there is no key; the last
/// argument is the number of integers a set of integers may have.
type Combine = fn(&[Option<&Set>], usize) -> Set;

fn sinter(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let sets = cx.keys.read_all::<Set>(args.rest())?;
    let start = cx.reply.mark();
    let mut found = 0;
    cx.reply.set(found);
    intersect(&sets, |member| {
        reply_member(cx.reply, member);
        found += 1;
        true
    });
    cx.reply.set_len(start, found);
    Ok(())
}

fn sunion(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    combine(cx, args, union)
}

fn sdiff(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    combine(cx, args, difference)
}

fn sinterstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, |sets, ints_most| {
        let mut result = Set::new();
        intersect(sets, |member| {
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
    let sets = cx.keys.read_all::<Set>(keys)?;
    let mut found = 0;
    intersect(&sets, |_| {
        found += 1;
        found < limit
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

/// Answers with the members of the combined sets.
fn combine(cx: &mut Context<'_>, args: Args<'_>, combine: Combine) -> CommandResult {
    let ints_most = cx.keys.limits().set_intset_entries;
    let sets = cx.keys.read_all::<Set>(args.rest())?;
    let result = combine(&sets, ints_most);
    cx.reply.set(result.len());
    result.iter().for_each(|member| reply_member(cx.reply, member));
    Ok(())
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
            cx.keys.remove(target);
        }
        _ => cx.keys.put_value(target, Value::Set(result), NEVER),
    }
    Ok(())
}

/// Visits the members that are in all sets until the visitor has seen enough.
fn intersect(sets: &[Option<&Set>], mut visit: impl FnMut(Member<'_>) -> bool) {
    let mut sets = match sets.iter().copied().collect::<Option<SmallVec<[&Set; 8]>>>() {
        Some(sets) => sets,
        // A missing key is an empty set.
        None => return,
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if others.iter().all(|set| set.has(member)) && !visit(member) {
            return;
        }
    }
}

fn union(sets: &[Option<&Set>], ints_most: usize) -> Set {
    let mut result = Set::new();
    for member in sets.iter().flatten().flat_map(|set| set.iter()) {
        result.add_member(member, ints_most);
    }
    result
}

/// The members of the first set that no other has. Redis goes one of two ways here, whichever looks
/// like less work; which of them shows in the encoding of what is stored.
fn difference(sets: &[Option<&Set>], ints_most: usize) -> Set {
    let mut result = Set::new();
    let Some((Some(first), others)) = sets.split_first() else { return result };
    let others: SmallVec<[&Set; 8]> = others.iter().flatten().copied().collect();
    let members: usize = others.iter().map(|set| set.len()).sum();
    if first.len() * (others.len() + 1) / 2 <= first.len() + members {
        let own = first.iter().filter(|member| !others.iter().any(|set| set.has(*member)));
        own.for_each(|member| drop(result.add_member(member, ints_most)));
        return result;
    }
    first.iter().for_each(|member| drop(result.add_member(member, ints_most)));
    for member in others.iter().flat_map(|set| set.iter()) {
        result.remove_member(member);
    }
    result
}

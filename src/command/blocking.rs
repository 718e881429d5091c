//! Commands that wait until a key gets something.
//!
//! Each looks at its keys as the command without a B does. Where it finds nothing it leaves what
//! it waits for in the context, and the engine runs it again once one of the keys was touched.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::list::{self, list_end, move_element};
use super::range::Order;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use super::zset;

use crate::clients::words;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, End};
use crate::number::LongDouble;
use crate::session::{Argv, Otherwise, Wait, WaitKind};
use crate::value::list::List;
use crate::value::zset::ZSet;

const POP: Flags = Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING);
const MOVE: Flags = POP.and(Flags::DENYOOM);
const POP_FIRST: Flags = Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS);
const POP_FAST: Flags = POP.and(Flags::FAST);

/// All arguments but the last.
const BUT_LAST: Keys = Keys { first: 1, last: -2, step: 1 };

#[rustfmt::skip]
pub(super) const LISTS: Family = Family {
    group: Group::List,
    commands: &[
        row("blmove", Exactly(6), MOVE, Keys::FIRST_TWO, "6.2.0", "O(1)",
            "LMOVE that waits for an element.", blmove).specs(specs::TAKE_AND_PUT),
        row("blmpop", AtLeast(5), POP_FIRST, Keys::NONE, "7.0.0", "O(N+M) in keys and elements",
            "LMPOP that waits for a list.", blmpop).specs(specs::WAIT_COUNTED),
        row("blpop", AtLeast(3), POP, BUT_LAST, "2.0.0", "O(N) in keys",
            "LPOP from the first list that is not empty; waits for one.", blpop)
            .uses(uses::RW_ACCESS_DELETE),
        row("brpop", AtLeast(3), POP, BUT_LAST, "2.0.0", "O(N) in keys",
            "RPOP from the first list that is not empty; waits for one.", brpop)
            .uses(uses::RW_ACCESS_DELETE),
        row("brpoplpush", Exactly(4), MOVE, Keys::FIRST_TWO, "2.2.0", "O(1)",
            "RPOPLPUSH that waits for an element.", brpoplpush).specs(specs::TAKE_AND_PUT),
    ],
};

#[rustfmt::skip]
pub(super) const SORTED_SETS: Family = Family {
    group: Group::SortedSet,
    commands: &[
        row("bzmpop", AtLeast(5), POP_FIRST, Keys::NONE, "7.0.0",
            "O(K + M log N) for M of N members and K keys",
            "ZMPOP that waits for a sorted set.", bzmpop).specs(specs::WAIT_COUNTED),
        row("bzpopmax", AtLeast(3), POP_FAST, BUT_LAST, "5.0.0", "O(log N)",
            "ZPOPMAX from the first sorted set that is not empty; waits for one.", bzpopmax)
            .uses(uses::RW_ACCESS_DELETE),
        row("bzpopmin", AtLeast(3), POP_FAST, BUT_LAST, "5.0.0", "O(log N)",
            "ZPOPMIN from the first sorted set that is not empty; waits for one.", bzpopmin)
            .uses(uses::RW_ACCESS_DELETE),
    ],
};

/// The longest anyone waits: as good as for ever, and with the present added within 64 bits.
const WAIT_MOST_MS: i64 = i64::MAX / 2;

/// A timeout in seconds, in whole milliseconds; none for ever. What leaves 64 bits counts as
/// negative, as in Redis.
pub(super) fn timeout(text: &[u8]) -> Result<Option<i64>, CommandError> {
    let seconds = LongDouble::parse(text)
        .ok_or(CommandError::text("ERR timeout is not a float or out of range"))?;
    let ms = seconds.thousands_up().filter(|&ms| ms >= 0);
    let ms = ms.ok_or(CommandError::text("ERR timeout is negative"))?;
    Ok(Some(ms.min(WAIT_MOST_MS)).filter(|&ms| ms > 0))
}

/// What a command waits for whose keys and whose own words are these.
pub(super) fn wait(
    kind: WaitKind,
    keys: &[&[u8]],
    timeout_ms: Option<i64>,
    argv: &[&[u8]],
) -> Wait {
    Wait {
        keys: keys.iter().map(|&key| key.into()).collect(),
        kind,
        timeout_ms,
        argv: Argv::new(argv),
        refused: Otherwise::NullArray,
    }
}

/// The arguments of a command with its name in front.
pub(super) fn whole<'a>(args: &Args<'a>) -> Vec<&'a [u8]> {
    [&[args.command().as_bytes()], args.rest()].concat()
}

/// The keys and the timeout behind them.
fn keys_and_timeout<'a>(args: &Args<'a>) -> Result<(&'a [&'a [u8]], Option<i64>), CommandError> {
    let (last, keys) = args.rest().split_last().ok_or(CommandError::Syntax)?;
    Ok((keys, timeout(last)?))
}

fn blpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_first(cx, args, End::Left)
}

fn brpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_first(cx, args, End::Right)
}

fn pop_first(cx: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    let (keys, timeout_ms) = keys_and_timeout(&args)?;
    let popped = cx.take_first(keys, |cx, key| {
        let reply = &mut *cx.reply;
        let popped = cx.keys.edit_existing(key, |list: &mut Editor<'_, List>| {
            reply.array(2);
            reply.bulk(key);
            list.pop(end, |element| reply.bulk(element))
        })?;
        if popped.is_some() {
            cx.effect(&[list::pop_command(end), key]);
            cx.event_of_taking(list::pop_event(end), key);
        }
        Ok(popped.is_some())
    })?;
    if !popped {
        cx.wait(wait(WaitKind::List, keys, timeout_ms, &whole(&args)));
    }
    Ok(())
}

fn blmove(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let (from, to) = (args.key()?, args.key()?);
    let words = args.rest();
    let (from_end, to_end) = (list_end(&mut args)?, list_end(&mut args)?);
    let timeout_ms = timeout(args.next()?)?;
    if move_or_wait(cx, (from, from_end), (to, to_end), timeout_ms, &all)? && cx.has_replicas() {
        let name = |end| if end == End::Left { &b"left"[..] } else { b"right" };
        let ends = match cx.has_waited() {
            true => [name(from_end), name(to_end)],
            false => [0, 1].map(|at| words.get(at).copied().unwrap_or_default()),
        };
        cx.effect(&[words::LMOVE, from, to, ends[0], ends[1]]);
    }
    Ok(())
}

fn brpoplpush(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let (from, to) = (args.key()?, args.key()?);
    let timeout_ms = timeout(args.next()?)?;
    if move_or_wait(cx, (from, End::Right), (to, End::Left), timeout_ms, &all)? {
        cx.effect(&[words::RPOPLPUSH, from, to]);
    }
    Ok(())
}

/// Moves an element, or waits for one; tells whether it did.
fn move_or_wait(
    cx: &mut Context<'_>,
    from: (&[u8], End),
    to: (&[u8], End),
    timeout_ms: Option<i64>,
    all: &Args<'_>,
) -> Result<bool, CommandError> {
    let moved = move_element(cx, from, to)?;
    if !moved {
        let wait = wait(WaitKind::List, &[from.0], timeout_ms, &whole(all));
        cx.wait(Wait { refused: Otherwise::Null, ..wait });
    }
    Ok(moved)
}

fn blmpop(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let seconds = args.next()?;
    let pop = list::FirstPop::parse(args)?;
    let timeout_ms = timeout(seconds)?;
    if !pop.run(cx)? {
        cx.wait(wait(WaitKind::List, pop.keys, timeout_ms, &whole(&all)));
    }
    Ok(())
}

fn bzmpop(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let seconds = args.next()?;
    let pop = zset::FirstPop::parse(args)?;
    let timeout_ms = timeout(seconds)?;
    if !pop.run(cx)? {
        cx.wait(wait(WaitKind::SortedSet, pop.keys, timeout_ms, &whole(&all)));
    }
    Ok(())
}

fn bzpopmin(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_ranked(cx, args, Order::Ascending)
}

fn bzpopmax(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_ranked(cx, args, Order::Descending)
}

fn pop_ranked(cx: &mut Context<'_>, args: Args<'_>, order: Order) -> CommandResult {
    let (keys, timeout_ms) = keys_and_timeout(&args)?;
    let popped = cx.take_first(keys, |cx, key| {
        let reply = &mut *cx.reply;
        let popped = cx.keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| {
            let rank = if order == Order::Ascending { 0 } else { zset.len() - 1 };
            reply.array(3);
            reply.bulk(key);
            zset.take(rank, |member, score| {
                reply.bulk(member);
                reply.double(score);
            });
        })?;
        if popped.is_some() {
            cx.effect(&[zset::pop_command(order), key]);
            cx.event_of_taking(zset::pop_event(order), key);
        }
        Ok(popped.is_some())
    })?;
    if !popped {
        cx.wait(wait(WaitKind::SortedSet, keys, timeout_ms, &whole(&args)));
    }
    Ok(())
}

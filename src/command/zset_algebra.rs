//! Unions, intersections and differences of sorted sets, and of sets among them.
//!
//! What some keys hold is combined into a list of members with their scores, in order, which is
//! either shown or stored. Nothing is changed before the whole result is there, so a result may
//! take the place of what it was made of.

use super::args::Args;
use super::context::Context;
use super::keyspec::specs;
use super::range::count;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, Keys, keyed as row};
use crate::clients::{Event, Events};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Keyspace, NEVER};
use crate::number::{IntText, parse_f64};
use crate::reply::ReplyBuf;
use crate::value::Value;
use crate::value::set::{Member, Set, SetView};
use crate::value::zset::{ZSet, ZSetView};
use foldhash::fast::FixedState;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

const READ: Flags = Flags::READONLY.and(Flags::MOVABLEKEYS);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::SortedSet,
    commands: &[
        row("zdiff", AtLeast(3), READ, Keys::NONE, "6.2.0",
            "O(N*K + M log M) for N members of the first of K sets, M of them returned",
            "The members of the first set that are in none of the others.", zdiff)
            .specs(specs::READ_COUNTED),
        row("zdiffstore", AtLeast(4), STORE, Keys::FIRST, "6.2.0",
            "O(N*K + M log M) for N members of the first of K sets, M of them stored",
            "Stores the members of the first set that are in none of the others.", zdiffstore)
            .specs(specs::STORE_OF_COUNTED),
        row("zinter", AtLeast(3), READ, Keys::NONE, "6.2.0",
            "O(N*K + M log M) for N members of the smallest of K sets, M of them returned",
            "The members that are in all sets.", zinter).specs(specs::READ_COUNTED),
        row("zintercard", AtLeast(3), READ, Keys::NONE, "7.0.0",
            "O(N*K) for N members of the smallest of K sets",
            "The number of members that are in all sets.", zintercard).specs(specs::READ_COUNTED),
        row("zinterstore", AtLeast(4), STORE, Keys::FIRST, "2.0.0",
            "O(N*K + M log M) for N members of the smallest of K sets, M of them stored",
            "Stores the members that are in all sets.", zinterstore).specs(specs::STORE_OF_COUNTED),
        row("zunion", AtLeast(3), READ, Keys::NONE, "6.2.0",
            "O(N + M log M) for N members of all sets, M of them different",
            "The members that are in any of the sets.", zunion).specs(specs::READ_COUNTED),
        row("zunionstore", AtLeast(4), STORE, Keys::FIRST, "2.0.0",
            "O(N + M log M) for N members of all sets, M of them different",
            "Stores the members that are in any of the sets.", zunionstore)
            .specs(specs::STORE_OF_COUNTED),
    ],
};

fn zdiff(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    show(cx, args, Operation::Diff)
}

fn zdiffstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, Operation::Diff)
}

fn zinter(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    show(cx, args, Operation::Inter)
}

fn zinterstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, Operation::Inter)
}

fn zunion(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    show(cx, args, Operation::Union)
}

fn zunionstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(cx, args, Operation::Union)
}

fn zintercard(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let mut sources = sources(cx.keys, &mut args)?;
    let mut limit = 0;
    while !args.is_empty() {
        if args.len() < 2 || !args.take_word("limit") {
            return Err(CommandError::Syntax);
        }
        limit = count(&mut args, CommandError::text("ERR LIMIT can't be negative"))?;
    }
    let most = if limit == 0 { usize::MAX } else { limit };
    cx.reply.count(intersection(&mut sources, Aggregate::Sum).take(most).count());
    Ok(())
}

/// Answers with the result.
fn show(cx: &mut Context<'_>, mut args: Args<'_>, operation: Operation) -> CommandResult {
    let mut sources = sources(cx.keys, &mut args)?;
    let options = Options::parse(args, operation, &mut sources, true)?;
    let members = operation.run(&mut sources, options.aggregate);
    reply_members(cx.reply, &members, options.with_scores);
    Ok(())
}

fn reply_members(reply: &mut ReplyBuf, members: &[Scored<'_>], with_scores: bool) {
    if with_scores {
        reply.pairs(members.len());
    } else {
        reply.array(members.len());
    }
    for (member, score) in members {
        reply.bulk(member);
        if with_scores {
            reply.double(*score);
        }
    }
}

/// Stores the result, in place of whatever the target held, and answers with its size.
fn store(cx: &mut Context<'_>, mut args: Args<'_>, operation: Operation) -> CommandResult {
    let event = Event::of_command(Events::ZSET, args.command());
    let target = args.key()?;
    let limits = cx.keys.limits().zset;
    let zset = {
        let mut sources = sources(cx.keys, &mut args)?;
        let options = Options::parse(args, operation, &mut sources, false)?;
        let members = operation.run(&mut sources, options.aggregate);
        ZSet::from_sorted(members.iter().map(|(member, score)| (&**member, *score)), limits)
    };
    cx.reply.count(zset.len());
    put(cx.keys, target, zset, event);
    Ok(())
}

/// Puts a sorted set in the place of whatever a key held; an empty one is a missing key. `event` is
/// what is told of it.
pub(super) fn put(keys: &mut Keyspace, target: &[u8], zset: ZSet, event: Event) {
    match zset.len() {
        0 => {
            if keys.remove(target) {
                keys.notify(Event::DEL, target);
            }
        }
        _ => {
            keys.put_value(target, Value::ZSet(zset), NEVER);
            keys.notify(event, target);
        }
    }
}

/// A member with its score. Sets of integers do not hold the texts of their members.
type Scored<'a> = (Cow<'a, [u8]>, f64);

/// One of the sets that are combined.
#[derive(Clone)]
struct Source<'a> {
    held: Held<'a>,
    /// What its scores are multiplied by.
    weight: f64,
}

/// What the key of a source holds.
#[derive(Clone)]
enum Held<'a> {
    Nothing,
    ZSet(ZSetView<'a>),
    /// Its members have the score 1.
    Set(SetView<'a>),
}

impl<'a> Source<'a> {
    fn read(keys: &'a Keyspace, key: &[u8]) -> Result<Self, CommandError> {
        let held = match keys.peek::<ZSet>(key) {
            Ok(None) => Held::Nothing,
            Ok(Some(zset)) => Held::ZSet(zset),
            Err(_) => keys.peek::<Set>(key)?.map_or(Held::Nothing, Held::Set),
        };
        Ok(Source { held, weight: 1.0 })
    }

    fn len(&self) -> usize {
        match &self.held {
            Held::Nothing => 0,
            Held::ZSet(zset) => zset.len(),
            Held::Set(set) => set.len(),
        }
    }

    /// The members with their scores, times the weight.
    fn members(&self) -> impl Iterator<Item = Scored<'_>> {
        let (zset, set) = match &self.held {
            Held::Nothing => (None, None),
            Held::ZSet(zset) => (Some(zset), None),
            Held::Set(set) => (None, Some(set)),
        };
        let scored = zset.into_iter().flat_map(|zset| zset.range(0, usize::MAX));
        let plain = set.into_iter().flat_map(Set::iter).map(|member| (text(member), 1.0));
        let members = scored.map(|(member, score)| (Cow::Borrowed(member), score)).chain(plain);
        members.map(move |(member, score)| (member, or_zero(score * self.weight)))
    }

    fn has(&self, member: &[u8]) -> bool {
        self.score(member).is_some()
    }

    /// The score of a member, times the weight.
    fn score(&self, member: &[u8]) -> Option<f64> {
        let score = match &self.held {
            Held::Nothing => None,
            Held::ZSet(zset) => zset.score(member),
            Held::Set(set) => set.contains(member).then_some(1.0),
        };
        score.map(|score| score * self.weight)
    }
}

/// The text of a set's member.
fn text(member: Member<'_>) -> Cow<'_, [u8]> {
    match member {
        Member::Integer(value) => Cow::Owned(IntText::new(value).as_bytes().to_vec()),
        Member::Bytes(bytes) => Cow::Borrowed(bytes),
    }
}

type Sources<'a> = SmallVec<[Source<'a>; 8]>;

/// Reads the number of keys and the keys, and looks them up. Each must hold a sorted set, a set or
/// nothing; that is asked before any option is read, as in Redis.
fn sources<'a>(keys: &'a mut Keyspace, args: &mut Args<'_>) -> Result<Sources<'a>, CommandError> {
    let count = usize::try_from(args.integer()?).unwrap_or(0);
    if count == 0 {
        return Err(CommandError::no_input_key(args.command()));
    }
    let names = args.take(count).ok_or(CommandError::Syntax)?;
    let keys = keys.settle(names);
    names.iter().map(|name| Source::read(keys, name)).collect()
}

/// The members of all sources. Those of small ones first, as in Redis: the order can show in the
/// last digit of a sum.
fn union<'a>(sources: &'a mut [Source<'_>], aggregate: Aggregate) -> Vec<Scored<'a>> {
    sources.sort_by_key(Source::len);
    let room = sources.last().map_or(0, Source::len);
    let mut scores = HashMap::with_capacity_and_hasher(room, FixedState::default());
    for (member, score) in sources.iter().flat_map(|source| source.members()) {
        let so_far = scores.entry(member);
        so_far.and_modify(|so_far| *so_far = aggregate.combine(*so_far, score)).or_insert(score);
    }
    scores.into_iter().collect()
}

/// The members that all sources have, in the order of the smallest.
fn intersection<'a>(
    sources: &'a mut [Source<'_>],
    aggregate: Aggregate,
) -> impl Iterator<Item = Scored<'a>> {
    sources.sort_by_key(Source::len);
    let (first, others) = first_and_others(sources);
    first.into_iter().flat_map(Source::members).filter_map(move |(member, score)| {
        let mut scores = others.iter().map(|other| other.score(&member));
        let score = scores.try_fold(score, |so_far, next| Some(aggregate.combine(so_far, next?)));
        Some((member, score?))
    })
}

/// The members that only the first source has.
fn difference<'a>(sources: &'a [Source<'_>]) -> impl Iterator<Item = Scored<'a>> {
    let (first, others) = first_and_others(sources);
    let members = first.into_iter().flat_map(Source::members);
    members.filter(move |(member, _)| !others.iter().any(|other| other.has(member)))
}

fn first_and_others<'s, 'a>(
    sources: &'s [Source<'a>],
) -> (Option<&'s Source<'a>>, &'s [Source<'a>]) {
    sources.split_first().map_or((None, sources), |(first, others)| (Some(first), others))
}

/// What is done with the sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

impl Operation {
    /// The members of the result, in order.
    fn run<'a>(self, sources: &'a mut [Source<'_>], aggregate: Aggregate) -> Vec<Scored<'a>> {
        let mut members: Vec<Scored<'a>> = match self {
            Operation::Union => union(sources, aggregate),
            Operation::Inter => intersection(sources, aggregate).collect(),
            Operation::Diff => difference(sources).collect(),
        };
        // No score is NaN; zeros of both signs are one score.
        members.sort_unstable_by(|a, b| {
            a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0))
        });
        members
    }
}

/// How the scores of a member that several sources have become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(args: &mut Args<'_>) -> Result<Self, CommandError> {
        if args.take_word("sum") {
            Ok(Aggregate::Sum)
        } else if args.take_word("min") {
            Ok(Aggregate::Min)
        } else if args.take_word("max") {
            Ok(Aggregate::Max)
        } else {
            Err(CommandError::Syntax)
        }
    }

    /// The score so far and the next one; what is not comparable leaves the former as it is.
    fn combine(self, so_far: f64, next: f64) -> f64 {
        match self {
            Aggregate::Sum => or_zero(so_far + next),
            Aggregate::Min if next < so_far => next,
            Aggregate::Max if next > so_far => next,
            Aggregate::Min | Aggregate::Max => so_far,
        }
    }
}

/// As Redis, takes infinity less infinity, and infinity times zero, for zero.
fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// The options behind the keys.
struct Options {
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    /// Reads all that is left; weights go to the sources.
    fn parse(
        mut args: Args<'_>,
        operation: Operation,
        sources: &mut [Source<'_>],
        is_shown: bool,
    ) -> Result<Self, CommandError> {
        let mut options = Options { aggregate: Aggregate::Sum, with_scores: false };
        let has_scores = operation != Operation::Diff;
        while !args.is_empty() {
            if has_scores && args.len() > sources.len() && args.take_word("weights") {
                for source in &mut *sources {
                    source.weight = parse_f64(args.next()?)
                        .ok_or(CommandError::text("ERR weight value is not a float"))?;
                }
            } else if has_scores && args.take_word("aggregate") {
                options.aggregate = Aggregate::parse(&mut args)?;
            } else if is_shown && args.take_word("withscores") {
                options.with_scores = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

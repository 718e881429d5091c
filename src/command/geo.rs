//! Geo commands: sorted sets whose scores are places.

use super::args::Args;
use super::context::Context;
use super::geosearch::{self, From, Stores, place, point, reply_distance, reply_point, unit_m};
use super::keyspec::specs;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, Keys, keyed, one_key as row};
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Editor;
use crate::number::IntText;
use crate::reply::ReplyBuf;
use crate::value::geohash::Point;
use crate::value::zset::ZSet;
use smallvec::SmallVec;

const READ: Flags = Flags::READONLY;
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const MAY_STORE: Flags = WRITE.and(Flags::MOVABLEKEYS);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Geo,
    commands: &[
        row("geoadd", AtLeast(5), WRITE, "3.2.0", "O(log N) per member",
            "Puts members at places.", geoadd),
        row("geodist", AtLeast(4), READ, "3.2.0", "O(1)",
            "The distance between two members.", geodist),
        row("geohash", AtLeast(2), READ, "3.2.0", "O(1) per member",
            "The places of members as geohashes.", geohash),
        row("geopos", AtLeast(2), READ, "3.2.0", "O(1) per member",
            "The places of members as longitude and latitude.", geopos),
        row("georadius", AtLeast(6), MAY_STORE, "3.2.0", "O(log N + M) for M members around",
            "The members around a place, which may be stored as a sorted set.", georadius)
            .specs(specs::GEO_AROUND_PLACE),
        row("georadius_ro", AtLeast(6), READ, "3.2.10", "O(log N + M) for M members around",
            "The members around a place.", georadius_ro),
        row("georadiusbymember", AtLeast(5), MAY_STORE, "3.2.0", "O(log N + M) for M members around",
            "The members around a member, which may be stored as a sorted set.",
            georadiusbymember).specs(specs::GEO_AROUND_MEMBER),
        row("georadiusbymember_ro", AtLeast(5), READ, "3.2.10", "O(log N + M) for M members around",
            "The members around a member.", georadiusbymember_ro),
        row("geosearch", AtLeast(7), READ, "6.2.0", "O(log N + M) for M members around",
            "The members within a circle or a box.", geosearch),
        keyed("geosearchstore", AtLeast(8), WRITE, Keys::FIRST_TWO, "6.2.0",
            "O(log N + M) for M members around",
            "Stores the members within a circle or a box as a sorted set.", geosearchstore)
            .specs(specs::STORE_OF_ONE),
    ],
};

fn geoadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, words) = (args.key()?, args.rest());
    let (mut if_absent, mut if_present, mut count_changed) = (false, false, false);
    loop {
        if args.take_word("nx") {
            if_absent = true;
        } else if args.take_word("xx") {
            if_present = true;
        } else if args.take_word("ch") {
            count_changed = true;
        } else {
            break;
        }
    }
    let options = words.get(..words.len() - args.len()).unwrap_or_default();
    if args.is_empty() || !args.len().is_multiple_of(3) || (if_absent && if_present) {
        return Err(CommandError::Syntax);
    }
    let mut places = SmallVec::<[(f64, &[u8]); 8]>::with_capacity(args.len() / 3);
    while !args.is_empty() {
        places.push((point(&mut args)?.to_score(), args.next()?));
    }
    let (changed, any) = cx.keys.edit(key, |zset: &mut Editor<'_, ZSet>| {
        let (mut changed, mut any) = (0, false);
        for &(score, member) in &places {
            zset.update(member, |old| {
                let is_refused = if old.is_some() { if_absent } else { if_present };
                if is_refused || old == Some(score) {
                    return None;
                }
                changed += usize::from(old.is_none() || count_changed);
                any = true;
                Some(score)
            });
        }
        (changed, any)
    })?;
    if any {
        tell_added(cx, key, options, &places);
        cx.event(Event::ZADD, key);
    }
    cx.reply.count(changed);
    Ok(())
}

/// Tells replicas which scores members were given.
fn tell_added(cx: &mut Context<'_>, key: &[u8], options: &[&[u8]], places: &[(f64, &[u8])]) {
    if !cx.has_replicas() {
        return;
    }
    // Places are integers, below 2^53.
    let scores: Vec<IntText> =
        places.iter().map(|&(score, _)| IntText::new(score as i64)).collect();
    let pairs = places.iter().zip(&scores);
    let pairs = pairs.flat_map(|((_, member), score)| [score.as_bytes(), member]);
    let head = [words::ZADD, key].into_iter().chain(options.iter().copied());
    cx.effect(&head.chain(pairs).collect::<Vec<_>>());
}

fn geodist(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, from, to) = (args.key()?, args.next()?, args.next()?);
    let unit_m = match args.len() {
        0 => 1.0,
        1 => unit_m(args.next()?)?,
        _ => return Err(CommandError::Syntax),
    };
    let zset = cx.keys.read::<ZSet>(key)?;
    let place = |member| zset.as_ref().and_then(|zset| place(zset, member));
    match (place(from), place(to)) {
        (Some(from), Some(to)) => reply_distance(cx.reply, from.distance_m(to) / unit_m),
        _ => cx.reply.null(),
    }
    Ok(())
}

fn geohash(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    each_place(cx, args, |reply, place| match place {
        Some(point) => reply.bulk(&point.to_text()),
        None => reply.null(),
    })
}

fn geopos(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    each_place(cx, args, |reply, place| match place {
        Some(point) => reply_point(reply, point),
        None => reply.null_array(),
    })
}

/// Answers for each member with what is made of its place.
fn each_place(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    show: fn(&mut ReplyBuf, Option<Point>),
) -> CommandResult {
    let zset = cx.keys.read::<ZSet>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        show(cx.reply, zset.as_ref().and_then(|zset| place(zset, member)));
    }
    Ok(())
}

fn georadius(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Point, Stores::OnDemand)
}

fn georadius_ro(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Point, Stores::Never)
}

fn georadiusbymember(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Member, Stores::OnDemand)
}

fn georadiusbymember_ro(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Member, Stores::Never)
}

fn geosearch(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Option, Stores::Never)
}

fn geosearchstore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    geosearch::run(cx, &mut args, From::Option, Stores::Always)
}

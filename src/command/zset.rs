//! Sorted set commands.

use super::args::Args;
use super::context::Context;
use super::keyspec::{specs, uses};
use super::random::{Draw, Members};
use super::range::{By, Order, Range, Span, count, pop_count};
use super::scan::{Scan, reply_scan};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Family, Flags, Group, Keys, keyed, keyless, one_key as row};
use super::zset_algebra::put;
use crate::clients::{Event, Events, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Random};
use crate::number::{F64Text, IntText, parse_f64};
use crate::reply::ReplyBuf;
use crate::value::Storage;
use crate::value::zset::{PackedLimits, ZSet, ZSetView};
use smallvec::SmallVec;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
const REMOVE: Flags = Flags::WRITE;
const REMOVE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::SortedSet,
    commands: &[
        row("zadd", AtLeast(4), ADD, "1.2.0", "O(log N) per member",
            "Gives members scores.", zadd),
        row("zcard", Exactly(2), READ_FAST, "1.2.0", "O(1)",
            "The number of members.", zcard).uses(uses::RO),
        row("zcount", Exactly(4), READ_FAST, "2.0.0", "O(log N)",
            "The number of members with scores in a range.", zcount),
        row("zincrby", Exactly(4), ADD, "1.2.0", "O(log N)",
            "Adds to the score of a member.", zincrby).uses(uses::RW_ACCESS_UPDATE),
        row("zlexcount", Exactly(4), READ_FAST, "2.8.9", "O(log N)",
            "The number of members in a range of members.", zlexcount),
        keyless("zmpop", AtLeast(4), REMOVE.and(Flags::MOVABLEKEYS), "7.0.0",
            "O(K + M log N) for K keys and M members taken",
            "Takes members with the lowest or highest scores out of the first of some sets that \
             exists.", zmpop).specs(specs::TAKE_COUNTED),
        row("zmscore", AtLeast(3), READ_FAST, "6.2.0", "O(1) per member",
            "The scores of several members.", zmscore),
        row("zpopmax", AtLeast(2), REMOVE_FAST, "5.0.0", "O(log N) per member",
            "Takes out the members with the highest scores.", zpopmax).uses(uses::RW_ACCESS_DELETE),
        row("zpopmin", AtLeast(2), REMOVE_FAST, "5.0.0", "O(log N) per member",
            "Takes out the members with the lowest scores.", zpopmin).uses(uses::RW_ACCESS_DELETE),
        row("zrandmember", AtLeast(2), READ, "6.2.0", "O(M log N) for M members returned",
            "Members at random.", zrandmember).tips(tips::VARYING_OUTPUT),
        row("zrange", AtLeast(4), READ, "1.2.0", "O(log N + M) for M members returned",
            "The members in a range of ranks, scores or members.", zrange),
        row("zrangebylex", AtLeast(4), READ, "2.8.9", "O(log N + M) for M members returned",
            "The members in a range of members.", zrangebylex),
        row("zrangebyscore", AtLeast(4), READ, "1.0.5", "O(log N + M) for M members returned",
            "The members with scores in a range.", zrangebyscore),
        keyed("zrangestore", AtLeast(5), Flags::WRITE.and(Flags::DENYOOM), Keys::FIRST_TWO, "6.2.0",
            "O(log N + M) for M members stored",
            "Stores the members in a range of ranks, scores or members.", zrangestore)
            .specs(specs::STORE_OF_ONE),
        row("zrank", Exactly(3), READ_FAST, "2.0.0", "O(log N)",
            "The rank of a member, the lowest score first.", zrank),
        row("zrem", AtLeast(3), REMOVE_FAST, "1.2.0", "O(log N) per member",
            "Removes members.", zrem).uses(uses::RW_DELETE),
        row("zremrangebylex", Exactly(4), REMOVE, "2.8.9", "O(M log N) for M members removed",
            "Removes the members in a range of members.", zremrangebylex).uses(uses::RW_DELETE),
        row("zremrangebyrank", Exactly(4), REMOVE, "2.0.0", "O(M log N) for M members removed",
            "Removes the members in a range of ranks.", zremrangebyrank).uses(uses::RW_DELETE),
        row("zremrangebyscore", Exactly(4), REMOVE, "1.2.0", "O(M log N) for M members removed",
            "Removes the members with scores in a range.", zremrangebyscore).uses(uses::RW_DELETE),
        row("zrevrange", AtLeast(4), READ, "1.2.0", "O(log N + M) for M members returned",
            "The members in a range of ranks, the highest score first.", zrevrange),
        row("zrevrangebylex", AtLeast(4), READ, "2.8.9", "O(log N + M) for M members returned",
            "The members in a range of members, the last first.", zrevrangebylex),
        row("zrevrangebyscore", AtLeast(4), READ, "2.2.0", "O(log N + M) for M members returned",
            "The members with scores in a range, the highest first.", zrevrangebyscore),
        row("zrevrank", Exactly(3), READ_FAST, "2.0.0", "O(log N)",
            "The rank of a member, the highest score first.", zrevrank),
        row("zscan", AtLeast(3), READ, "2.8.0", "O(1) a call",
            "Walks the members a step at a time.", zscan).tips(tips::VARYING_OUTPUT),
        row("zscore", Exactly(3), READ_FAST, "1.2.0", "O(1)",
            "The score of a member.", zscore),
    ],
};

/// The options of ZADD.
#[derive(Default)]
struct AddOptions {
    /// Members that exist are left alone.
    if_absent: bool,
    /// No member is added.
    if_present: bool,
    /// A score is only raised.
    if_greater: bool,
    /// A score is only lowered.
    if_less: bool,
    /// Changed members are counted too.
    count_changed: bool,
    /// The score is added to the present one.
    increment: bool,
}

impl AddOptions {
    /// Reads the options; the first other word ends them.
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = AddOptions::default();
        // Most scores begin with a digit, and no option does.
        let is_word = |word: &&[u8]| word.first().is_some_and(u8::is_ascii_alphabetic);
        if !args.rest().first().is_some_and(is_word) {
            return options;
        }
        loop {
            let option = if args.take_word("nx") {
                &mut options.if_absent
            } else if args.take_word("xx") {
                &mut options.if_present
            } else if args.take_word("gt") {
                &mut options.if_greater
            } else if args.take_word("lt") {
                &mut options.if_less
            } else if args.take_word("ch") {
                &mut options.count_changed
            } else if args.take_word("incr") {
                &mut options.increment
            } else {
                return options;
            };
            *option = true;
        }
    }

    /// Refuses options that contradict each other.
    fn check(&self, pairs: usize) -> Result<(), CommandError> {
        if self.if_absent && self.if_present {
            return Err(CommandError::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if [self.if_greater, self.if_less, self.if_absent].iter().filter(|&&set| set).count() > 1 {
            return Err(CommandError::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && pairs > 1 {
            return Err(CommandError::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// What is to become of a member with this score, or none, that is given another.
    fn judge(&self, old: Option<f64>, score: f64) -> Placed {
        let Some(old) = old else {
            return if self.if_present { Placed::Skipped } else { Placed::Added(score) };
        };
        if self.if_absent {
            return Placed::Skipped;
        }
        let new = if self.increment { old + score } else { score };
        if new.is_nan() {
            Placed::Nan
        } else if !self.allow(old, new) {
            Placed::Skipped
        } else if new == old {
            Placed::Same(new)
        } else {
            Placed::Changed(new)
        }
    }

    /// Whether a score may become another.
    fn allow(&self, old: f64, new: f64) -> bool {
        !((self.if_greater && new <= old) || (self.if_less && new >= old))
    }
}

/// What giving a member a score came to.
#[derive(Clone, Copy)]
enum Placed {
    /// The options forbade it.
    Skipped,
    /// The sum is not a number.
    Nan,
    /// The member is new and has this score.
    Added(f64),
    /// The member has this score instead of another.
    Changed(f64),
    /// The member had this score before.
    Same(f64),
}

impl Placed {
    /// The score that the member is to have instead of what it had.
    fn new_score(self) -> Option<f64> {
        match self {
            Placed::Added(score) | Placed::Changed(score) => Some(score),
            Placed::Skipped | Placed::Nan | Placed::Same(_) => None,
        }
    }

    /// By how much it is more members, and more that have another score than before.
    fn counts(self) -> (usize, usize) {
        match self {
            Placed::Added(_) => (1, 0),
            Placed::Changed(_) => (0, 1),
            Placed::Same(_) | Placed::Skipped | Placed::Nan => (0, 0),
        }
    }

    fn unless_nan(self) -> Result<Placed, CommandError> {
        if let Placed::Nan = self { Err(CommandError::ScoreNan) } else { Ok(self) }
    }
}

/// Gives a member a score, or adds to the one it has, as far as the options allow.
fn place(
    zset: &mut Editor<'_, ZSet>,
    member: &[u8],
    score: f64,
    options: &AddOptions,
) -> Result<Placed, CommandError> {
    let mut placed = Placed::Skipped;
    zset.update(member, |old| {
        placed = options.judge(old, score);
        placed.new_score()
    });
    placed.unless_nan()
}

/// Gives members their scores; counts those that are new, and those that have another than before.
fn place_all(
    cx: &mut Context<'_>,
    key: &[u8],
    pairs: &[[&[u8]; 2]],
    options: &AddOptions,
) -> Result<(usize, usize), CommandError> {
    let mut scores = SmallVec::<[f64; 16]>::new();
    for [score, _] in pairs {
        scores.push(parse_f64(score).ok_or(CommandError::NotFloat)?);
    }
    cx.keys.edit(key, |zset: &mut Editor<'_, ZSet>| {
        let mut placed = pairs.iter().zip(&scores);
        placed.try_fold((0, 0), |(added, changed), ([_, member], &score)| {
            let (new, other) = place(zset, member, score, options)?.counts();
            Ok((added + new, changed + other))
        })
    })?
}

/// Gives one member of the set at a key its score.
fn place_one(
    cx: &mut Context<'_>,
    key: &[u8],
    member: &[u8],
    score: f64,
    options: &AddOptions,
) -> Result<Placed, CommandError> {
    let mut placed = Placed::Skipped;
    cx.keys.update_score(key, member, |old| {
        placed = options.judge(old, score);
        placed.new_score()
    })?;
    placed.unless_nan()
}

fn zadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let options = AddOptions::parse(&mut args);
    let (pairs, odd) = args.rest().as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(CommandError::Syntax);
    }
    options.check(pairs.len())?;
    let (added, changed) = match pairs {
        [[score, member]] => {
            let score = parse_f64(score).ok_or(CommandError::NotFloat)?;
            if options.increment {
                return increment(cx, key, member, score, &options);
            }
            place_one(cx, key, member, score, &options)?.counts()
        }
        _ => place_all(cx, key, pairs, &options)?,
    };
    if added + changed > 0 {
        cx.event(Event::ZADD, key);
    }
    cx.reply.count(if options.count_changed { added + changed } else { added });
    Ok(())
}

fn zincrby(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    // As in Redis, the words of ZADD's options are taken for such, and there is no room for them.
    let options = AddOptions { increment: true, ..AddOptions::parse(&mut args) };
    if args.rest().len() < 2 {
        return Err(CommandError::Syntax);
    }
    let (delta, member) = (args.float()?, args.next()?);
    increment(cx, key, member, delta, &options)
}

/// Adds to the score of one member and answers with the sum.
fn increment(
    cx: &mut Context<'_>,
    key: &[u8],
    member: &[u8],
    delta: f64,
    options: &AddOptions,
) -> CommandResult {
    let placed = place_one(cx, key, member, delta, options)?;
    if matches!(placed, Placed::Added(_) | Placed::Changed(_)) {
        cx.event(Event::ZINCR, key);
    }
    match placed {
        Placed::Skipped | Placed::Nan => cx.reply.null(),
        Placed::Added(score) | Placed::Changed(score) | Placed::Same(score) => {
            cx.reply.double(score);
        }
    }
    Ok(())
}

fn zrem(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let removed = cx.keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| {
        args.rest().iter().filter(|member| zset.remove(member).is_some()).count()
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.event_of_taking(Event::ZREM, key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

fn zcard(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let zset = cx.keys.read::<ZSet>(args.key()?)?;
    cx.reply.count(zset.as_ref().map_or(0, ZSet::len));
    Ok(())
}

fn reply_score(reply: &mut ReplyBuf, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

fn zscore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, member) = (args.key()?, args.next()?);
    let zset = cx.keys.read::<ZSet>(key)?;
    reply_score(cx.reply, zset.as_ref().and_then(|zset| zset.score(member)));
    Ok(())
}

fn zmscore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let zset = cx.keys.read::<ZSet>(key)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        reply_score(cx.reply, zset.as_ref().and_then(|zset| zset.score(member)));
    }
    Ok(())
}

fn zrank(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    rank(cx, args, Order::Ascending)
}

fn zrevrank(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    rank(cx, args, Order::Descending)
}

fn rank(cx: &mut Context<'_>, mut args: Args<'_>, order: Order) -> CommandResult {
    let (key, member) = (args.key()?, args.next()?);
    let zset = cx.keys.read::<ZSet>(key)?;
    let rank = zset.as_ref().and_then(|zset| {
        let rank = zset.rank(member)?;
        Some(if order == Order::Ascending { rank } else { zset.len() - 1 - rank })
    });
    match rank {
        Some(rank) => cx.reply.count(rank),
        None => cx.reply.null(),
    }
    Ok(())
}

fn zcount(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count_range(cx, args, By::Score)
}

fn zlexcount(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count_range(cx, args, By::Lex)
}

fn count_range(cx: &mut Context<'_>, mut args: Args<'_>, by: By) -> CommandResult {
    let (key, min, max) = (args.key()?, args.next()?, args.next()?);
    let range = Range::parse(by, Order::Ascending, min, max)?;
    let zset = cx.keys.read::<ZSet>(key)?;
    cx.reply.count(zset.as_ref().map_or(0, |zset| range.span(zset, Order::Ascending).count));
    Ok(())
}

fn zremrangebyrank(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove_range(cx, args, By::Rank)
}

fn zremrangebyscore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove_range(cx, args, By::Score)
}

fn zremrangebylex(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove_range(cx, args, By::Lex)
}

fn remove_range(cx: &mut Context<'_>, mut args: Args<'_>, by: By) -> CommandResult {
    let (key, min, max) = (args.key()?, args.next()?, args.next()?);
    let range = Range::parse(by, Order::Ascending, min, max)?;
    let removed = cx.keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| {
        let span = range.span(zset, Order::Ascending);
        for _ in 0..span.count {
            zset.take(span.start, |_, _| ());
        }
        span.count
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.event_of_taking(Event::of_command(Events::ZSET, args.command()), key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

fn zpopmin(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(cx, args, Order::Ascending)
}

fn zpopmax(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(cx, args, Order::Descending)
}

fn pop(cx: &mut Context<'_>, mut args: Args<'_>, order: Order) -> CommandResult {
    let key = args.key()?;
    let most = match args.len() {
        0 => None,
        1 => Some(count(&mut args, CommandError::NotPositive)?),
        _ => return Err(CommandError::Syntax),
    };
    let popped = cx.keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| {
        let count = most.unwrap_or(1).min(zset.len());
        // A single member that was not counted is not nested in RESP3.
        match most {
            Some(_) => cx.reply.pairs(count),
            None => cx.reply.array(2 * count),
        }
        take_from(zset, order, count, |member, score| {
            cx.reply.bulk(member);
            cx.reply.double(score);
        });
    })?;
    match popped {
        None => cx.reply.array(0),
        Some(()) if most != Some(0) => cx.event_of_taking(pop_event(order), key),
        Some(()) => (),
    }
    Ok(())
}

/// What is told of a pop.
pub(super) fn pop_event(order: Order) -> Event {
    match order {
        Order::Ascending => Event::ZPOPMIN,
        Order::Descending => Event::ZPOPMAX,
    }
}

/// What stands for a pop from an end.
pub(super) fn pop_command(order: Order) -> &'static [u8] {
    match order {
        Order::Ascending => words::ZPOPMIN,
        Order::Descending => words::ZPOPMAX,
    }
}

/// Removes so many members from an end, each of which is shown.
fn take_from(
    zset: &mut Editor<'_, ZSet>,
    order: Order,
    count: usize,
    mut show: impl FnMut(&[u8], f64),
) {
    for _ in 0..count {
        let rank = if order == Order::Ascending { 0 } else { zset.len() - 1 };
        zset.take(rank, &mut show);
    }
}

fn zmpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pop = FirstPop::parse(args)?;
    if !pop.run(cx)? {
        cx.reply.null_array();
    }
    Ok(())
}

/// What is asked of ZMPOP: so many members at most, from an end of the first set that exists.
pub(super) struct FirstPop<'a> {
    pub(super) keys: &'a [&'a [u8]],
    order: Order,
    most: usize,
}

impl<'a> FirstPop<'a> {
    pub(super) fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let keys = args.counted_keys()?;
        let order = if args.take_word("min") {
            Order::Ascending
        } else if args.take_word("max") {
            Order::Descending
        } else {
            return Err(CommandError::Syntax);
        };
        Ok(FirstPop { keys, order, most: pop_count(args)? })
    }

    /// Answers with the members; false if there is no set, and then no answer.
    pub(super) fn run(&self, cx: &mut Context<'_>) -> Result<bool, CommandError> {
        cx.take_first(self.keys, |cx, key| {
            let reply = &mut *cx.reply;
            let popped = cx.keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| {
                let count = self.most.min(zset.len());
                reply.array(2);
                reply.bulk(key);
                reply.array(count);
                // Unlike those of ZPOPMIN, these pairs are nested in RESP2 too.
                take_from(zset, self.order, count, |member, score| {
                    reply.array(2);
                    reply.bulk(member);
                    reply.double(score);
                });
                count
            })?;
            if let Some(count) = popped {
                cx.effect_of_pops(pop_command(self.order), key, count);
                cx.event_of_taking(pop_event(self.order), key);
            }
            Ok(popped.is_some())
        })
    }
}

impl<'a> Members<'a> for &'a ZSetView<'_> {
    type Worth = f64;

    fn count(self) -> usize {
        self.len()
    }

    fn is_small(self) -> bool {
        self.is_packed()
    }

    /// As in Redis, all members at once come in descending order.
    fn all(self) -> impl Iterator<Item = (&'a [u8], f64)> {
        self.range(0, usize::MAX).rev()
    }

    fn draw(self, random: &mut Random) -> Option<(&'a [u8], f64)> {
        match self.len() {
            0 => None,
            len => self.range(random.below(len), 1).next(),
        }
    }
}

fn zrandmember(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let draw = if args.is_empty() { None } else { Some(Draw::parse(args, "withscores")?) };
    let mut found = cx.keys.read_random::<ZSet>(key)?;
    let Some(draw) = draw else {
        let drawn = found.as_mut().and_then(|(zset, random)| zset.draw(random));
        cx.reply.bulk_or_null(drawn.map(|(drawn, _)| drawn));
        return Ok(());
    };
    let Some((zset, random)) = found else {
        cx.reply.array(0);
        return Ok(());
    };
    draw.begin(cx.reply, zset.len())?;
    draw.run(&zset, random, |member, score| {
        cx.reply.bulk(member);
        if draw.with_worth {
            cx.reply.double(score);
        }
    });
    Ok(())
}

fn zrange(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, None, None)
}

fn zrangebyscore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, Some(By::Score), Some(Order::Ascending))
}

fn zrangebylex(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, Some(By::Lex), Some(Order::Ascending))
}

fn zrevrange(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, Some(By::Rank), Some(Order::Descending))
}

fn zrevrangebyscore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, Some(By::Score), Some(Order::Descending))
}

fn zrevrangebylex(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    range(cx, args, Some(By::Lex), Some(Order::Descending))
}

/// The options of ZRANGE and its relatives.
struct RangeOptions {
    by: Option<By>,
    order: Option<Order>,
    with_scores: Option<bool>,
    offset: i64,
    limit: i64,
}

impl RangeOptions {
    /// Reads all that is left. What a command's name decides, no option may.
    fn parse(mut self, mut args: Args<'_>) -> Result<Self, CommandError> {
        while !args.is_empty() {
            if self.with_scores != Some(false) && args.take_word("withscores") {
                self.with_scores = Some(true);
            } else if args.len() > 2 && args.take_word("limit") {
                (self.offset, self.limit) = (args.integer()?, args.integer()?);
            } else if self.order.is_none() && args.take_word("rev") {
                self.order = Some(Order::Descending);
            } else if self.by.is_none() && args.take_word("bylex") {
                self.by = Some(By::Lex);
            } else if self.by.is_none() && args.take_word("byscore") {
                self.by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(self)
    }

    /// What the range is by, if the options go with that. A limit of -1 is as good as none.
    fn checked_by(&self) -> Result<By, CommandError> {
        match self.by.unwrap_or(By::Rank) {
            By::Rank if self.limit != -1 => Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX",
            )),
            By::Lex if self.with_scores == Some(true) => Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            )),
            by => Ok(by),
        }
    }
}

/// A range whose options were read.
struct Walk<'a> {
    range: Range<'a>,
    order: Order,
    with_scores: bool,
    /// Offset and limit, which count for nothing in a range by ranks.
    limits: Option<(i64, i64)>,
}

impl<'a> Walk<'a> {
    /// Reads the ends of the range and what is behind them, beginning with what the command's name
    /// decides.
    fn parse(mut args: Args<'a>, unsaid: RangeOptions) -> Result<Self, CommandError> {
        let (first, last) = (args.next()?, args.next()?);
        let options = unsaid.parse(args)?;
        let by = options.checked_by()?;
        let order = options.order.unwrap_or(Order::Ascending);
        Ok(Walk {
            range: Range::parse(by, order, first, last)?,
            order,
            with_scores: options.with_scores.unwrap_or(false),
            limits: (by != By::Rank).then_some((options.offset, options.limit)),
        })
    }

    /// The ranks that are walked.
    fn span(&self, zset: &ZSet<impl Storage>) -> Span {
        let span = self.range.span(zset, self.order);
        match self.limits {
            Some((offset, limit)) => span.limited(offset, limit, self.order),
            None => span,
        }
    }
}

fn range(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    by: Option<By>,
    order: Option<Order>,
) -> CommandResult {
    let key = args.key()?;
    let unsaid = RangeOptions { by, order, with_scores: None, offset: 0, limit: -1 };
    let walk = Walk::parse(args, unsaid)?;
    let Some(zset) = cx.keys.read::<ZSet>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    reply_span(cx.reply, &zset, walk.span(&zset), walk.order, walk.with_scores);
    Ok(())
}

impl Walk<'_> {
    /// How many members Redis stores before a target that was small becomes large. Until then zeros
    /// lose their sign.
    fn stored_small(&self, zset: &ZSet<impl Storage>, span: Span, limits: PackedLimits) -> usize {
        let is_long = |(member, _): (&[u8], f64)| member.len() > limits.value_bytes;
        let mut members = zset.range(span.start, span.count);
        let first_long = match self.order {
            Order::Ascending => members.position(is_long),
            Order::Descending => members.rev().position(is_long),
        };
        first_long.unwrap_or(span.count).min(limits.entries)
    }
}

fn zrangestore(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (target, source) = (args.key()?, args.key()?);
    let by_default =
        RangeOptions { by: None, order: None, with_scores: Some(false), offset: 0, limit: -1 };
    let walk = Walk::parse(args, by_default)?;
    let limits = cx.keys.limits().zset;
    let stored = cx.keys.read::<ZSet>(source)?.map_or_else(ZSet::new, |zset| {
        let span = walk.span(&zset);
        let members = zset.range(span.start, span.count);
        // A range by ranks tells its length beforehand, and so the form of the target.
        let is_large = walk.limits.is_none() && span.count > limits.entries;
        let unsigned = if is_large { 0 } else { walk.stored_small(&zset, span, limits) };
        // Counted as they are stored, from the end that the walk begins at.
        let place =
            |at: usize| if walk.order == Order::Ascending { at } else { span.count - 1 - at };
        let signed = members.enumerate().map(|(at, (member, score))| {
            (member, if place(at) < unsigned { score + 0.0 } else { score })
        });
        ZSet::from_sorted(signed, limits)
    });
    cx.reply.count(stored.len());
    put(cx.keys, target, stored, Event::ZRANGESTORE);
    Ok(())
}

fn reply_span(
    reply: &mut ReplyBuf,
    zset: &ZSet<impl Storage>,
    span: Span,
    order: Order,
    with_scores: bool,
) {
    if with_scores {
        reply.pairs(span.count);
    } else {
        reply.array(span.count);
    }
    let mut members = zset.range(span.start, span.count);
    loop {
        let next = match order {
            Order::Ascending => members.next(),
            Order::Descending => members.next_back(),
        };
        let Some((member, score)) = next else { return };
        reply.bulk(member);
        if with_scores {
            reply.double(score);
        }
    }
}

fn zscan(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let mut scan = Scan::parse_cursor(&mut args)?;
    let zset = cx.keys.read::<ZSet>(key)?;
    if zset.is_some() {
        scan.parse_options(&mut args, false)?;
    }
    reply_scan(cx.reply, &scan, 2, |step, found| match &zset {
        Some(zset) => zset.scan(step, &mut |member, score| match integer_in_packed(zset, score) {
            Some(integer) => found(&[member, IntText::new(integer).as_bytes()]),
            None => found(&[member, F64Text::new(score).as_bytes()]),
        }),
        None => 0,
    });
    Ok(())
}

/// The scores of a small set that Redis keeps as integers. ZSCAN shows a score as it is kept, so
/// these never have an exponent.
fn integer_in_packed(zset: &ZSet<impl Storage>, score: f64) -> Option<i64> {
    const MOST: f64 = (1_u64 << 62) as f64;
    let kept_so = zset.is_packed() && score.abs() <= MOST && score.fract() == 0.0;
    kept_so.then_some(score as i64)
}

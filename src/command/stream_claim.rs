//! What is pending in a consumer group: telling, acknowledging and handing over.

use super::args::Args;
use super::context::Context;
use super::keyspec::uses;
use super::spec::Arity::AtLeast;
use super::spec::one_key as row;
use super::spec::tips;
use super::spec::{Family, Flags, Group};
use super::stream::{reply_each, reply_entry, reply_id};
use super::stream_id::{Ids, end_from, id_from, ids_from, start_from};
use super::stream_read::{Newcomer, see_consumer};
use super::stream_told::Told;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Editor;
use crate::number::{parse_i64, parse_u64};
use crate::reply::ReplyBuf;
use crate::value::stream::{self, ConsumerId, Cursor, Id, Pending, Stream};

const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Stream,
    commands: &[
        row("xack", AtLeast(4), WRITE_FAST, "5.0.0", "O(log N) per entry",
            "Acknowledges entries: they are pending no longer.", xack),
        row("xautoclaim", AtLeast(6), WRITE_FAST, "6.2.0", "O(log N) per entry looked at",
            "Hands over what is pending for long, some at a time.", xautoclaim)
            .uses(uses::RW_DELETE).tips(tips::VARYING_OUTPUT),
        row("xclaim", AtLeast(6), WRITE_FAST, "5.0.0", "O(log N) per entry",
            "Hands pending entries over to a consumer.", xclaim).tips(tips::VARYING_OUTPUT),
        row("xpending", AtLeast(3), Flags::READONLY, "5.0.0", "O(N) in entries looked at",
            "Tells what is pending.", xpending).tips(tips::VARYING_OUTPUT),
    ],
};

fn xack(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name) = (args.key()?, args.next()?);
    let acknowledged = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        // Where there is no group Redis never reads the IDs.
        let Some(group) = stream.find_group(name) else { return Ok(0) };
        let ids = ids_from(args)?;
        Ok(ids.into_iter().filter(|id| stream.set_pending(group, *id, None)).count())
    })?;
    let acknowledged = acknowledged.transpose()?.unwrap_or(0);
    cx.keys.count_changes(acknowledged);
    cx.reply.count(acknowledged);
    Ok(())
}

/// How long ago something was; not in the future.
pub(super) fn elapsed(now: i64, then: i64) -> i64 {
    now.wrapping_sub(then).max(0)
}

/// Which pending entries XPENDING is to tell one by one.
struct Pick<'a> {
    min_idle_ms: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Pick<'a> {
    /// Reads what follows the group; none where only a summary is asked for.
    fn parse(mut args: Args<'a>) -> Result<Option<Pick<'a>>, CommandError> {
        if args.is_empty() {
            return Ok(None);
        }
        if !(3..=6).contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let mut min_idle_ms = 0;
        if args.take_word("idle") {
            min_idle_ms = args.integer()?;
            if args.len() < 3 {
                return Err(CommandError::Syntax);
            }
        }
        // The count is looked at before the range that precedes it.
        let (start, end) = (args.next()?, args.next()?);
        let count = usize::try_from(args.integer()?).unwrap_or(0);
        let (start, end) = (start_from(start)?, end_from(end)?);
        Ok(Some(Pick { min_idle_ms, start, end, count, consumer: args.maybe_next() }))
    }
}

fn xpending(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name) = (args.key()?, args.next()?);
    let pick = Pick::parse(args)?;
    let now = if pick.is_some() { cx.keys.now() } else { 0 };
    let stream = cx.keys.read::<Stream>(key)?;
    let found = stream.and_then(|stream| stream.group(stream.find_group(name)?));
    let group = found.ok_or_else(|| CommandError::no_key_or_group(key, name, ""))?;
    match pick {
        None => summary(cx.reply, group),
        Some(pick) => one_by_one(cx.reply, group, &pick, now),
    }
    Ok(())
}

/// How much is pending, from where to where, and how much of it for whom.
fn summary(reply: &mut ReplyBuf, group: &stream::Group) {
    let pending = group.pending();
    reply.array(4);
    reply.count(pending.len());
    let (Some(first), Some(last)) = (pending.first(), pending.last()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let busy = group.consumers().filter(|(_, consumer)| consumer.pending_len() > 0);
    reply_each(reply, busy, |reply, (_, consumer)| {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending_len() as i64);
    });
}

fn one_by_one(reply: &mut ReplyBuf, group: &stream::Group, pick: &Pick<'_>, now: i64) {
    let is_idle = |(id, pending): (Id, Pending)| {
        let idle = now.wrapping_sub(pending.delivered_ms);
        (pick.min_idle_ms == 0 || idle >= pick.min_idle_ms).then_some((id, pending))
    };
    let write = |reply: &mut ReplyBuf, (id, pending): (Id, Pending)| {
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.consumer(pending.owner).map_or(&[][..], |consumer| consumer.name()));
        reply.integer(elapsed(now, pending.delivered_ms));
        reply.integer(pending.deliveries as i64);
    };
    let in_range = |id: &Id| *id <= pick.end;
    match pick.consumer {
        None => {
            let pending = group.pending().iter_from(pick.start);
            let picked = pending.take_while(|(id, _)| in_range(id)).filter_map(is_idle);
            reply_each(reply, picked.take(pick.count), write);
        }
        Some(name) => {
            let consumer = group.find(name).and_then(|id| group.consumer(id));
            let ids = consumer.into_iter().flat_map(|consumer| consumer.pending_from(pick.start));
            let pending = ids
                .take_while(in_range)
                .filter_map(|id| group.pending().get(id).map(|pending| (id, pending)));
            reply_each(reply, pending.filter_map(is_idle).take(pick.count), write);
        }
    }
}

/// How XCLAIM hands over.
struct Claim {
    min_idle_ms: i64,
    ids: Ids,
    last_id: Id,
    delivered_ms: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    ids_only: bool,
}

impl Claim {
    /// Reads what follows the consumer; IDs end where something else begins.
    fn parse(mut args: Args<'_>, now: i64) -> Result<Claim, CommandError> {
        let min_idle_ms = min_idle(&mut args)?;
        let is_id = |text: &&[u8]| id_from(text, 0).ok();
        let ids: Ids = args.rest().iter().map_while(is_id).collect();
        for _ in &ids {
            args.next()?;
        }
        let mut claim = Claim {
            min_idle_ms,
            ids,
            last_id: Id::MIN,
            delivered_ms: None,
            deliveries: None,
            force: false,
            ids_only: false,
        };
        while !args.is_empty() {
            claim.take_option(&mut args, now)?;
        }
        Ok(claim)
    }

    fn take_option(&mut self, args: &mut Args<'_>, now: i64) -> Result<(), CommandError> {
        let more = args.len() >= 2;
        if args.take_word("force") {
            self.force = true;
        } else if args.take_word("justid") {
            self.ids_only = true;
        } else if more && args.take_word("idle") {
            let idle = option_integer(args.next()?, "ERR Invalid IDLE option argument for XCLAIM")?;
            self.delivered_ms = Some(now.wrapping_sub(idle));
        } else if more && args.take_word("time") {
            let time = option_integer(args.next()?, "ERR Invalid TIME option argument for XCLAIM")?;
            self.delivered_ms = Some(time);
        } else if more && args.take_word("retrycount") {
            let count =
                option_integer(args.next()?, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.deliveries = u64::try_from(count).ok();
        } else if more && args.take_word("lastid") {
            self.last_id = id_from(args.next()?, 0)?;
        } else {
            return Err(CommandError::unknown_claim_option(args.next()?));
        }
        Ok(())
    }
}

fn option_integer(text: &[u8], error: &'static str) -> Result<i64, CommandError> {
    parse_i64(text).ok_or(CommandError::text(error))
}

/// How long an entry must have been pending; less than nothing is nothing.
fn min_idle(args: &mut Args<'_>) -> Result<i64, CommandError> {
    let idle = parse_i64(args.next()?).ok_or_else(|| {
        let command = args.command().to_ascii_uppercase();
        CommandError::Text(format!("ERR Invalid min-idle-time argument for {command}").into())
    })?;
    Ok(idle.max(0))
}

fn xclaim(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, consumer) = (args.key()?, args.next()?, args.next()?);
    let now = cx.keys.now();
    let newcomer = Newcomer::of(cx.keys, key, name, consumer);
    let mut told = Told::of(cx.keys, key, name, consumer);
    let claimed = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        let Some(at) = stream.find_group(name) else { return Ok(None) };
        let claim = Claim::parse(args, now)?;
        let Some(cursor) = stream.group(at).map(|group| group.cursor()) else { return Ok(None) };
        if claim.last_id > cursor.last_id {
            stream.set_cursor(at, Cursor { last_id: claim.last_id, ..cursor });
            told.moves_cursor = true;
        }
        let mut heir = Heir { at, name: consumer, id: None, now };
        let reply = &mut *cx.reply;
        let start = reply.mark();
        reply.array(0);
        let mut len = 0;
        for id in &claim.ids {
            told.note_gone(stream, at, *id);
            if claim_one(stream, &mut heir, &claim, *id) {
                told.note(stream, at, *id);
                reply_claimed(reply, stream, *id, claim.ids_only);
                len += 1;
            }
        }
        reply.set_len(start, len);
        Ok(Some(len))
    })?;
    newcomer.announce(cx.keys);
    told.tell(cx);
    let claimed = claimed.transpose()?.flatten();
    cx.keys.count_changes(claimed.ok_or_else(|| CommandError::no_key_or_group(key, name, ""))?);
    Ok(())
}

/// Who gets what is claimed: a consumer that is made when there is something to get.
struct Heir<'a> {
    at: usize,
    name: &'a [u8],
    id: Option<ConsumerId>,
    now: i64,
}

impl Heir<'_> {
    fn id(&mut self, stream: &mut Editor<'_, Stream>) -> Option<ConsumerId> {
        self.id = self.id.or_else(|| see_consumer(stream, self.at, self.name, self.now));
        self.id
    }

    /// What an entry is like once it is handed over.
    fn pending(
        &mut self,
        stream: &mut Editor<'_, Stream>,
        deliveries: u64,
        ids_only: bool,
    ) -> Option<Pending> {
        let deliveries = deliveries.wrapping_add((!ids_only).into());
        Some(Pending { owner: self.id(stream)?, delivered_ms: self.now, deliveries })
    }
}

/// Hands one entry over if it is there, pending and idle; one that is gone is dropped.
fn claim_one(stream: &mut Editor<'_, Stream>, heir: &mut Heir<'_>, claim: &Claim, id: Id) -> bool {
    let old = stream.group(heir.at).and_then(|group| group.pending().get(id));
    if stream.get(id).is_none() {
        stream.set_pending(heir.at, id, None);
        return false;
    }
    let deliveries = match old {
        Some(old) if claim.min_idle_ms > heir.now.wrapping_sub(old.delivered_ms) => return false,
        Some(old) => old.deliveries,
        None if claim.force => 1,
        None => return false,
    };
    let Some(mut pending) = heir.pending(stream, deliveries, claim.ids_only) else { return false };
    // A time that cannot be is as good as none.
    let told = claim.delivered_ms.filter(|ms| (0..=heir.now).contains(ms));
    pending.delivered_ms = told.unwrap_or(heir.now);
    pending.deliveries = claim.deliveries.unwrap_or(pending.deliveries);
    stream.set_pending(heir.at, id, Some(pending));
    true
}

fn reply_claimed(reply: &mut ReplyBuf, stream: &Stream, id: Id, ids_only: bool) {
    match stream.get(id) {
        Some(entry) if !ids_only => reply_entry(reply, entry),
        _ => reply_id(reply, id),
    }
}

/// How many entries XAUTOCLAIM hands over unless it is said.
const COUNT_DEFAULT: u64 = 100;
/// Redis keeps so many bytes for each, and counts them in a long.
const COUNT_MOST: u64 = i64::MAX as u64 / 16;
/// For each entry that it is to hand over it looks at so many.
const LOOKS_PER_ENTRY: u64 = 10;

fn xautoclaim(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, name, consumer) = (args.key()?, args.next()?, args.next()?);
    let min_idle_ms = min_idle(&mut args)?;
    let start = start_from(args.next()?)?;
    let (mut count, mut ids_only) = (COUNT_DEFAULT, false);
    while !args.is_empty() {
        if args.len() >= 2 && args.take_word("count") {
            let given = parse_u64(args.next()?).filter(|n| (1..=COUNT_MOST).contains(n));
            count = given.ok_or(CommandError::text("ERR COUNT must be > 0"))?;
        } else if args.take_word("justid") {
            ids_only = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let now = cx.keys.now();
    let newcomer = Newcomer::of(cx.keys, key, name, consumer);
    let mut told = Told::of(cx.keys, key, name, consumer);
    let done = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        let heir = Heir { at: stream.find_group(name)?, name: consumer, id: None, now };
        Sweep { heir, min_idle_ms, ids_only }.run(stream, cx.reply, start, count, &mut told)
    })?;
    newcomer.announce(cx.keys);
    told.tell(cx);
    done.flatten().ok_or_else(|| CommandError::no_key_or_group(key, name, ""))?;
    cx.keys.count_changes(1);
    Ok(())
}

/// What one call of XAUTOCLAIM has to do.
struct Picked {
    /// What is to be handed over, as it was pending.
    claimed: Vec<(Id, Pending)>,
    /// What is pending though it is gone.
    gone: Ids,
    /// The first that was not looked at.
    next: Id,
}

/// One call of XAUTOCLAIM.
struct Sweep<'a> {
    heir: Heir<'a>,
    min_idle_ms: i64,
    ids_only: bool,
}

impl Sweep<'_> {
    /// Hands over from an ID on; answers with where to go on, what was handed over, and what was
    /// pending though it is gone.
    fn run(
        mut self,
        stream: &mut Editor<'_, Stream>,
        reply: &mut ReplyBuf,
        start: Id,
        count: u64,
        told: &mut Told<'_>,
    ) -> Option<()> {
        let Picked { claimed, gone, next } = self.pick(stream, start, count)?;
        gone.iter().for_each(|id| told.note_gone(stream, self.heir.at, *id));
        for (id, old) in &claimed {
            let pending = self.heir.pending(stream, old.deliveries, self.ids_only);
            stream.set_pending(self.heir.at, *id, pending);
            told.note(stream, self.heir.at, *id);
        }
        told.sort();
        for id in &gone {
            stream.set_pending(self.heir.at, *id, None);
        }
        reply.array(3);
        reply_id(reply, next);
        reply.array(claimed.len());
        claimed.iter().for_each(|(id, _)| reply_claimed(reply, stream, *id, self.ids_only));
        reply.array(gone.len());
        gone.iter().for_each(|id| reply_id(reply, *id));
        Some(())
    }

    /// What there is to do from an ID on.
    fn pick(&self, stream: &Stream, start: Id, count: u64) -> Option<Picked> {
        let mut picked = Picked { claimed: Vec::new(), gone: Ids::new(), next: Id::MIN };
        let mut pending = stream.group(self.heir.at)?.pending().iter_from(start);
        for _ in 0..count.saturating_mul(LOOKS_PER_ENTRY) {
            if (picked.claimed.len() + picked.gone.len()) as u64 == count {
                break;
            }
            let Some((id, old)) = pending.next() else { break };
            if stream.get(id).is_none() {
                picked.gone.push(id);
            } else if self.heir.now.wrapping_sub(old.delivered_ms) >= self.min_idle_ms {
                picked.claimed.push((id, old));
            }
        }
        picked.next = pending.next().map_or(Id::MIN, |(id, _)| id);
        Some(picked)
    }
}

//! XREAD and XREADGROUP: what is new in streams, for anybody or for a group's consumer.

use super::args::Args;
use super::blocking::{wait, whole};
use super::context::Context;
use super::keyspec::specs;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, Keys, keyed};
use super::stream::{reply_each, reply_entry, reply_id};
use super::stream_id::id_from;
use super::stream_told::Told;
use crate::clients::{Event, Events};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Keyspace};
use crate::reply::{Mark, ReplyBuf};
use crate::session::WaitKind;
use crate::value::stream::{ConsumerId, Id, Pending, Stream};
use smallvec::SmallVec;

const WAITS: Flags = Flags::BLOCKING.and(Flags::MOVABLEKEYS);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Stream,
    commands: &[
        keyed("xread", AtLeast(4), WAITS.and(Flags::READONLY), Keys::NONE, "5.0.0",
            "O(log N + M) in entries M that are returned",
            "What is in streams behind an ID each.", xread).specs(specs::STREAMS),
        keyed("xreadgroup", AtLeast(7), WAITS.and(Flags::WRITE), Keys::NONE, "5.0.0",
            "O(log N + M) in entries M that are returned",
            "What a group has not read yet, or what is pending for a consumer.", xreadgroup)
            .specs(specs::STREAMS_OF_GROUP),
    ],
};

/// Where a group reads what is new. Redis takes the last of all IDs for the same.
const NEW: Id = Id::MAX;

/// Arguments of one kind.
type Words<'a> = &'a [&'a [u8]];

/// What a call asks for.
struct Read<'a> {
    count: usize,
    /// How long to wait where there is nothing, 0 for as long as it takes.
    block_ms: Option<u64>,
    /// Deliveries are not kept as pending.
    no_ack: bool,
    /// The group and its consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    keys: Words<'a>,
    ids: Words<'a>,
}

impl<'a> Read<'a> {
    /// Reads the options up to the streams. Which command it is decides which there are.
    fn parse(
        mut args: Args<'a>,
        in_group: bool,
        in_script: bool,
    ) -> Result<Read<'a>, CommandError> {
        let mut read = Read {
            count: usize::MAX,
            block_ms: None,
            no_ack: false,
            group: None,
            keys: &[],
            ids: &[],
        };
        loop {
            let more = args.len() >= 2;
            if more && args.take_word("block") {
                // A script cannot wait, and may not ask for it.
                if in_script {
                    return Err(CommandError::no_block_in_script(args.word()));
                }
                read.block_ms = Some(timeout(args.next()?)?);
            } else if more && args.take_word("count") {
                let count = args.integer()?;
                // Nothing or less stands for all there is.
                let count = usize::try_from(count).ok().filter(|count| *count > 0);
                read.count = count.unwrap_or(usize::MAX);
            } else if more && args.take_word("streams") {
                (read.keys, read.ids) = halves(args.rest())?;
                break;
            } else if args.len() >= 3 && args.take_word("group") {
                if !in_group {
                    return Err(only_in_group("GROUP"));
                }
                read.group = Some((args.next()?, args.next()?));
            } else if args.take_word("noack") {
                if !in_group {
                    return Err(only_in_group("NOACK"));
                }
                read.no_ack = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if in_group && read.group.is_none() {
            return Err(CommandError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(read)
    }
}

/// How long to wait, in milliseconds.
fn timeout(text: &[u8]) -> Result<u64, CommandError> {
    let timeout = crate::number::parse_i64(text)
        .ok_or(CommandError::text("ERR timeout is not an integer or out of range"))?;
    u64::try_from(timeout).map_err(|_| CommandError::text("ERR timeout is negative"))
}

/// The keys, and for each its ID.
fn halves<'a>(words: Words<'a>) -> Result<(Words<'a>, Words<'a>), CommandError> {
    if words.len() % 2 == 1 {
        return Err(CommandError::text(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
             specified.",
        ));
    }
    Ok(words.split_at(words.len() / 2))
}

fn only_in_group(option: &str) -> CommandError {
    CommandError::Text(
        format!(
            "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
        )
        .into(),
    )
}

/// IDs to read behind, one for each key.
type After = SmallVec<[Id; 8]>;

/// What the reply is made of: nothing is begun before there is something to tell.
struct Answer<'a> {
    reply: &'a mut ReplyBuf,
    start: Mark,
    streams: usize,
}

impl<'a> Answer<'a> {
    fn new(reply: &'a mut ReplyBuf) -> Self {
        Answer { start: reply.mark(), streams: 0, reply }
    }

    /// Begins the part of one stream, which is an array.
    fn begin(&mut self, key: &[u8]) -> &mut ReplyBuf {
        if self.streams == 0 {
            self.reply.by_key(0);
        }
        self.streams += 1;
        self.reply.keyed();
        self.reply.bulk(key);
        self.reply
    }

    /// Ends the reply; false if there is none.
    fn end(self) -> bool {
        self.reply.set_len(self.start, self.streams);
        self.streams > 0
    }
}

/// There is nothing to read: who said BLOCK waits for it. `$` means what is the last ID now, so
/// the command that is run once there is something has that in its place.
fn nothing_to_read(cx: &mut Context<'_>, read: &Read<'_>, all: &Args<'_>, after: &[Id]) {
    let Some(block_ms) = read.block_ms else { return cx.reply.null_array() };
    let kind = if read.group.is_some() { WaitKind::Group } else { WaitKind::Stream };
    let timeout_ms = Some(block_ms).filter(|&ms| ms > 0).and_then(|ms| i64::try_from(ms).ok());
    let all = whole(all);
    let (head, ids) = all.split_at(all.len() - read.ids.len());
    let resolved: Vec<_> = after.iter().map(|id| id.text()).collect();
    let now = ids.iter().zip(&resolved).map(|(text, resolved)| match *text {
        b"$" => resolved.as_bytes(),
        text => text,
    });
    let argv: Vec<&[u8]> = head.iter().copied().chain(now).collect();
    cx.wait(wait(kind, read.keys, timeout_ms, &argv));
}

/// Keys, each with the ID to read behind.
type Looked<'a> = SmallVec<[(&'a [u8], Id); 8]>;

/// The keys to look at.
fn looked_at<'a>(cx: &Context<'_>, read: &Read<'a>, after: &After) -> Looked<'a> {
    let all = read.keys.iter().copied().zip(after.iter().copied());
    all.filter(|(key, _)| cx.looks_at(key)).collect()
}

fn xread(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let all = args;
    let read = Read::parse(args, false, cx.host.is_none())?;
    let mut after = After::new();
    for (key, text) in read.keys.iter().zip(read.ids) {
        let stream = cx.keys.read::<Stream>(key)?;
        after.push(match *text {
            b"$" => stream.map_or(Id::MIN, |stream| stream.marks().last_id),
            b">" => {
                return Err(CommandError::text(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                     <group> <consumer> option.",
                ));
            }
            text => id_from(text, 0)?,
        });
    }
    let streams = looked_at(cx, &read, &after);
    let mut answer = Answer::new(cx.reply);
    for (key, after) in &streams {
        let Some(stream) = cx.keys.read::<Stream>(key)? else { continue };
        let Some(start) = after.next().filter(|_| has_after(stream, *after)) else { continue };
        let entries = stream.ascending(start, Id::MAX).take(read.count);
        reply_each(answer.begin(key), entries, reply_entry);
    }
    if !answer.end() {
        nothing_to_read(cx, &read, &all, &after);
    }
    Ok(())
}

/// Whether a stream has an entry behind an ID.
fn has_after(stream: &Stream, id: Id) -> bool {
    stream.descending(Id::MIN, Id::MAX).next().is_some_and(|last| last.id > id)
}

fn xreadgroup(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let all = args;
    let read = Read::parse(args, true, cx.host.is_none())?;
    let (group, consumer) = read.group.unwrap_or_default();
    let mut after = After::new();
    for (key, text) in read.keys.iter().zip(read.ids) {
        let stream = cx.keys.read::<Stream>(key)?;
        if stream.and_then(|stream| stream.find_group(group)).is_none() {
            let place = " in XREADGROUP with GROUP option";
            return Err(CommandError::no_key_or_group(key, group, place));
        }
        after.push(match *text {
            b"$" => {
                return Err(CommandError::text(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read \
                     the history of this consumer by specifying a proper ID, or use the > ID to \
                     get new messages. The $ ID would just return an empty result set.",
                ));
            }
            b">" => NEW,
            text => id_from(text, 0)?,
        });
    }
    let now = cx.keys.now();
    let streams = looked_at(cx, &read, &after);
    let mut all_told = SmallVec::<[Told<'_>; 1]>::new();
    let mut answer = Answer::new(cx.reply);
    for (key, after) in &streams {
        let newcomer = Newcomer::of(cx.keys, key, group, consumer);
        let mut told = Told::of(cx.keys, key, group, consumer);
        cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
            let Some(at) = stream.find_group(group) else { return };
            let mut reader = Reader { stream, at, name: consumer, now, count: read.count };
            if *after != NEW {
                reader.reread(answer.begin(key), *after);
            } else if reader.has_new() {
                reader.deliver(answer.begin(key), read.no_ack, &mut told);
            }
        })?;
        newcomer.announce(cx.keys);
        all_told.push(told);
    }
    let is_answered = answer.end();
    all_told.into_iter().for_each(|told| told.tell(cx));
    match is_answered {
        true => cx.keys.count_changes(streams.len()),
        false => nothing_to_read(cx, &read, &all, &after),
    }
    Ok(())
}

/// A consumer that may come to be by what is done for it, which is told.
pub(super) struct Newcomer<'a> {
    key: &'a [u8],
    group: &'a [u8],
    name: &'a [u8],
    /// Whether anybody wants to know, and it was not there before.
    is_awaited: bool,
}

impl<'a> Newcomer<'a> {
    pub(super) fn of(
        keys: &Keyspace,
        key: &'a [u8],
        group: &'a [u8],
        name: &'a [u8],
    ) -> Newcomer<'a> {
        let mut newcomer = Newcomer { key, group, name, is_awaited: false };
        newcomer.is_awaited =
            keys.news().events().has_any(Events::STREAM) && !newcomer.is_there(keys);
        newcomer
    }

    fn is_there(&self, keys: &Keyspace) -> bool {
        let Ok(Some(stream)) = keys.peek::<Stream>(self.key) else { return false };
        let group = stream.find_group(self.group).and_then(|at| stream.group(at));
        group.is_some_and(|group| group.find(self.name).is_some())
    }

    /// Tells of it, if it is there now.
    pub(super) fn announce(self, keys: &mut Keyspace) {
        if self.is_awaited && self.is_there(keys) {
            keys.notify(Event::XGROUP_CREATECONSUMER, self.key);
        }
    }
}

/// The consumer with a name, who is seen now; made if there is none.
pub(super) fn see_consumer(
    stream: &mut Editor<'_, Stream>,
    at: usize,
    name: &[u8],
    now: i64,
) -> Option<ConsumerId> {
    match stream.group(at)?.find(name) {
        Some(consumer) => {
            stream.touch(at, consumer, now);
            Some(consumer)
        }
        None => stream.add_consumer(at, name, now),
    }
}

/// A consumer that reads a stream.
struct Reader<'r, 'e> {
    stream: &'r mut Editor<'e, Stream>,
    /// Where its group is.
    at: usize,
    name: &'r [u8],
    now: i64,
    count: usize,
}

impl Reader<'_, '_> {
    /// Whether the stream has something that the group has not read.
    fn has_new(&self) -> bool {
        let group = self.stream.group(self.at);
        group.is_some_and(|group| has_after(self.stream, group.cursor().last_id))
    }

    /// Answers with what is new, which is pending from then on.
    fn deliver(&mut self, reply: &mut ReplyBuf, no_ack: bool, told: &mut Told<'_>) {
        let Reader { stream, at, now, .. } = self;
        if no_ack {
            told.note_unacknowledged(stream, *at, self.name);
        }
        let consumer = see_consumer(stream, *at, self.name, *now);
        let mut ids = SmallVec::<[Id; 32]>::new();
        let Some(mut cursor) = stream.group(*at).map(|group| group.cursor()) else { return };
        let start = cursor.last_id.next().unwrap_or(Id::MAX);
        reply_each(reply, stream.ascending(start, Id::MAX).take(self.count), |reply, entry| {
            ids.push(entry.id);
            reply_entry(reply, entry);
        });
        for id in &ids {
            cursor = stream.cursor_past(cursor, *id);
        }
        stream.set_cursor(*at, cursor);
        for id in ids.into_iter().filter(|_| !no_ack) {
            let pending =
                consumer.map(|owner| Pending { owner, delivered_ms: *now, deliveries: 1 });
            stream.set_pending(*at, id, pending);
            told.note_behind(stream, *at, id);
        }
    }

    /// Answers with what is pending for the consumer behind an ID, which counts as one more
    /// delivery. An entry that was deleted meanwhile has no fields.
    fn reread(&mut self, reply: &mut ReplyBuf, after: Id) {
        let Reader { stream, at, now, .. } = self;
        let consumer = see_consumer(stream, *at, self.name, *now);
        let mut found = SmallVec::<[Id; 32]>::new();
        let start = after.next().unwrap_or(Id::MAX);
        let pending = stream.group(*at).zip(consumer).and_then(|(group, id)| group.consumer(id));
        let ids = pending.into_iter().flat_map(|consumer| consumer.pending_from(start));
        reply_each(reply, ids.take(self.count), |reply, id| match stream.get(id) {
            Some(entry) => {
                found.push(id);
                reply_entry(reply, entry);
            }
            None => {
                reply.array(2);
                reply_id(reply, id);
                reply.null_array();
            }
        });
        for id in found {
            let old = stream.group(*at).and_then(|group| group.pending().get(id));
            let again = old.map(|old| Pending {
                delivered_ms: *now,
                deliveries: old.deliveries.wrapping_add(1),
                ..old
            });
            stream.set_pending(*at, id, again);
        }
    }
}

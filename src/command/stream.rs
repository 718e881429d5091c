//! Stream commands: entries. What has to do with groups is in the files beside this one.

use super::args::Args;
use super::context::Context;
use super::keyspec::uses;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::one_key as row;
use super::spec::tips;
use super::spec::{Family, Flags, Group};
use super::stream_id::{NewId, end_from, id_from, ids_from, new_id_from, start_from};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Keyspace};
use crate::number::IntText;
use crate::reply::ReplyBuf;
use crate::value::stream::{
    Cut, Datum, Entry, Id, IdText, Marks, NODE_BYTES_MOST, Pair, Stream, Trim,
};

const READ: Flags = Flags::READONLY;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const ADD: Flags = WRITE_FAST.and(Flags::DENYOOM);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Stream,
    commands: &[
        row("xadd", AtLeast(5), ADD, "5.0.0", "O(1), and O(N) in entries that are trimmed",
            "Appends an entry.", xadd).tips(tips::VARYING_OUTPUT),
        row("xdel", AtLeast(3), WRITE_FAST, "5.0.0", "O(log N) per entry",
            "Deletes entries.", xdel).uses(uses::RW_DELETE),
        row("xlen", Exactly(2), READ.and(Flags::FAST), "5.0.0", "O(1)",
            "The number of entries.", xlen).uses(uses::RO),
        row("xrange", AtLeast(4), READ, "5.0.0", "O(log N + M) in entries M that are returned",
            "The entries between two IDs.", xrange),
        row("xrevrange", AtLeast(4), READ, "5.0.0", "O(log N + M) in entries M that are returned",
            "The entries between two IDs from the last to the first.", xrevrange),
        row("xsetid", AtLeast(3), ADD, "5.0.0", "O(1)",
            "Sets what a stream remembers of entries that are gone.", xsetid),
        row("xtrim", AtLeast(4), Flags::WRITE, "5.0.0", "O(N) in entries that are trimmed",
            "Removes the oldest entries.", xtrim).uses(uses::RW_DELETE).tips(tips::VARYING_OUTPUT),
    ],
};

/// Answers with an ID.
pub(super) fn reply_id(reply: &mut ReplyBuf, id: Id) {
    reply.bulk_by(|bytes| {
        bytes.extend_from_slice(itoa::Buffer::new().format(id.ms).as_bytes());
        bytes.push(b'-');
        bytes.extend_from_slice(itoa::Buffer::new().format(id.seq).as_bytes());
    });
}

/// Answers with an entry: its ID, then its fields and their values.
pub(super) fn reply_entry(reply: &mut ReplyBuf, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(entry.len() * 2);
    for (field, value) in entry.pairs() {
        reply_datum(reply, field);
        reply_datum(reply, value);
    }
}

fn reply_datum(reply: &mut ReplyBuf, datum: Datum<'_>) {
    match datum {
        Datum::Integer(value) => reply.bulk_integer(value),
        Datum::Bytes(text) => reply.bulk(text),
    }
}

/// Answers with an array of what is written for each element of a sequence.
pub(super) fn reply_each<T>(
    reply: &mut ReplyBuf,
    elements: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut ReplyBuf, T),
) {
    let start = reply.mark();
    let mut len = 0;
    reply.array(len);
    for element in elements {
        write(reply, element);
        len += 1;
    }
    reply.set_len(start, len);
}

/// The options that say how to trim.
#[derive(Default)]
struct TrimOptions {
    cut: Option<Cut>,
    approximate: bool,
    limit: Option<u64>,
    /// How many arguments were left where it was said that the cut need not be exact.
    left: usize,
}

impl TrimOptions {
    /// Reads one of the options, if one comes next with what belongs to it.
    fn take(&mut self, args: &mut Args<'_>) -> Result<bool, CommandError> {
        if args.len() < 2 {
            return Ok(false);
        }
        if args.take_word("maxlen") {
            self.begin_cut(args)?;
            let most = args.integer()?;
            let most = u64::try_from(most)
                .map_err(|_| CommandError::text("ERR The MAXLEN argument must be >= 0."))?;
            self.cut = Some(Cut::Len(most));
        } else if args.take_word("minid") {
            self.begin_cut(args)?;
            self.cut = Some(Cut::Id(id_from(args.next()?, 0)?));
        } else if args.take_word("limit") {
            let limit = u64::try_from(args.integer()?)
                .map_err(|_| CommandError::text("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads how exact the cut is to be.
    fn begin_cut(&mut self, args: &mut Args<'_>) -> Result<(), CommandError> {
        if self.cut.is_some() {
            return Err(CommandError::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        self.left = args.len();
        self.approximate = args.len() >= 2 && args.take_word("~");
        if !self.approximate && args.len() >= 2 {
            args.take_word("=");
        }
        Ok(())
    }

    /// The trim; none where there need not be one.
    fn finish(&self, needed: bool) -> Result<Option<Trim>, CommandError> {
        if self.cut.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if needed && self.cut.is_none() {
            return Err(CommandError::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if self.limit.is_some() && !self.approximate {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let TrimOptions { cut, approximate, limit, .. } = *self;
        Ok(cut.map(|cut| Trim { cut, approximate, limit }))
    }

    /// Says in a call what a cut that need not be exact has come to.
    fn make_exact<'w>(&self, words: &mut [&'w [u8]], found: &'w Text) {
        let at = words.len().wrapping_sub(self.left);
        if let Some([sign, bound]) = words.get_mut(at..).and_then(|words| words.first_chunk_mut()) {
            (*sign, *bound) = (b"=", found.as_bytes());
        }
    }

    /// Where the cut lies by which the stream would have become what it is.
    fn exact_bound(&self, keys: &Keyspace, key: &[u8]) -> Text {
        let stream = keys.peek::<Stream>(key).ok().flatten();
        match self.cut {
            Some(Cut::Id(_)) => {
                let first = stream.and_then(|stream| stream.ascending(Id::MIN, Id::MAX).next());
                Text::Id(first.map_or(Id::MAX, |first| first.id).text())
            }
            _ => Text::Count(IntText::new(stream.map_or(0, Stream::len) as i64)),
        }
    }
}

/// The text of a bound.
enum Text {
    Id(IdText),
    Count(IntText),
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Id(text) => text.as_bytes(),
            Text::Count(text) => text.as_bytes(),
        }
    }
}

fn xadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let key = args.key()?;
    let (mut options, mut if_present) = (TrimOptions::default(), false);
    let mut left;
    let id = loop {
        left = args.len();
        // No option begins with a digit.
        if let Some([b'0'..=b'9', ..]) = args.rest().first() {
            break new_id_from(args.next()?)?;
        } else if args.take_word("*") {
            break NewId::Auto;
        } else if args.take_word("nomkstream") {
            if_present = true;
        } else if !options.take(&mut args)? {
            // Without an ID there are no fields either, and that is what Redis complains of.
            break args.maybe_next().map_or(Ok(NewId::Auto), new_id_from)?;
        }
    };
    let trim = options.finish(false)?;
    let (pairs, odd) = args.rest().as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(args.arity_error());
    }
    if id == NewId::Exact(Id::MIN) {
        return Err(CommandError::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let now = if id == NewId::Auto { cx.keys.now() } else { 0 };
    let run = |stream: &mut Editor<'_, Stream>| add(stream, id, now, pairs, trim);
    let added = match if_present {
        true => cx.keys.edit_existing(key, run)?.transpose()?,
        false => Some(cx.keys.edit(key, run)??),
    };
    match added {
        Some((given, trimmed)) => {
            if cx.has_replicas() {
                let is_said = matches!(id, NewId::Exact(_));
                tell_exactly(cx, &all, (!is_said).then_some((left, given)), &options);
            }
            cx.event(Event::XADD, key);
            if trimmed > 0 {
                cx.event(Event::XTRIM, key);
            }
            reply_id(cx.reply, given);
        }
        None => cx.reply.null(),
    }
    Ok(())
}

/// Tells replicas of a call: the ID an entry was given, where that was not said, which was to come
/// so many arguments before the end; and exactly how the stream was trimmed.
fn tell_exactly(
    cx: &mut Context<'_>,
    all: &Args<'_>,
    given: Option<(usize, Id)>,
    options: &TrimOptions,
) {
    let Some(key) = all.rest().first() else { return };
    let mut words = all.rest().to_vec();
    let id = given.map_or(Id::MIN, |(_, id)| id).text();
    if let Some((left, _)) = given
        && let Some(word) = words.len().checked_sub(left).and_then(|at| words.get_mut(at))
    {
        *word = id.as_bytes();
    }
    let bound = options.exact_bound(cx.keys, key);
    if options.approximate {
        options.make_exact(&mut words, &bound);
    }
    cx.effect(&[&[all.word()], &words[..]].concat());
}

/// Appends an entry and trims; returns the ID it got, and how many entries went.
fn add(
    stream: &mut Editor<'_, Stream>,
    id: NewId,
    now: i64,
    pairs: &[Pair<'_>],
    trim: Option<Trim>,
) -> Result<(Id, usize), CommandError> {
    let id = next_id(stream.marks().last_id, id, now)?;
    let bytes = pairs.iter().map(|[field, value]| field.len() + value.len());
    if bytes.sum::<usize>() > NODE_BYTES_MOST {
        return Err(CommandError::StreamEntryTooLarge);
    }
    stream.append(id, pairs);
    Ok((id, trim.map_or(0, |trim| stream.trim(trim))))
}

/// The ID of the next entry behind the last one.
fn next_id(last: Id, new: NewId, now: i64) -> Result<Id, CommandError> {
    let next = last.next().ok_or(CommandError::text(
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    ))?;
    let id = match new {
        NewId::Auto => next.max(Id { ms: now as u64, seq: 0 }),
        // Redis has no text of its own for a millisecond without numbers left.
        NewId::Within(ms) if ms == last.ms => {
            let seq = last.seq.checked_add(1).ok_or(CommandError::StreamEntryTooLarge)?;
            Id { ms, seq }
        }
        NewId::Within(ms) => Id { ms, seq: 0 },
        NewId::Exact(id) => id,
    };
    if id > last { Ok(id) } else { Err(CommandError::StreamIdTooSmall) }
}

fn xtrim(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let all = args;
    let key = args.key()?;
    let mut options = TrimOptions::default();
    while !args.is_empty() {
        if !options.take(&mut args)? {
            return Err(CommandError::Syntax);
        }
    }
    let trim = options.finish(true)?;
    let removed = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        trim.map_or(0, |trim| stream.trim(trim))
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        if cx.has_replicas() {
            tell_exactly(cx, &all, None, &options);
        }
        cx.event(Event::XTRIM, key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

fn xdel(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    // Where there is no stream Redis never reads the IDs.
    let deleted = cx.keys.edit_existing(key, |stream: &mut Editor<'_, Stream>| {
        let ids = ids_from(args)?;
        let mut marks = stream.marks();
        let mut deleted = 0;
        for id in ids.into_iter().filter(|id| stream.delete(*id)) {
            marks.max_deleted = marks.max_deleted.max(id);
            deleted += 1;
        }
        stream.set_marks(marks);
        Ok(deleted)
    })?;
    let deleted = deleted.transpose()?.unwrap_or(0);
    if deleted > 0 {
        cx.event(Event::XDEL, key);
    }
    cx.reply.count(deleted);
    Ok(())
}

fn xlen(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let stream = cx.keys.read::<Stream>(args.key()?)?;
    cx.reply.count(stream.map_or(0, Stream::len));
    Ok(())
}

fn xrange(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, start, end) = (args.key()?, start_from(args.next()?)?, end_from(args.next()?)?);
    let count = count_option(&mut args)?;
    range(cx, key, count, |reply, stream, most| {
        reply_each(reply, stream.ascending(start, end).take(most), reply_entry);
    })
}

fn xrevrange(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, end, start) = (args.key()?, args.next()?, args.next()?);
    let (start, end) = (start_from(start)?, end_from(end)?);
    let count = count_option(&mut args)?;
    range(cx, key, count, |reply, stream, most| {
        reply_each(reply, stream.descending(start, end).take(most), reply_entry);
    })
}

/// Reads how many entries are asked for: all, unless it is said; none where that is negative.
fn count_option(args: &mut Args<'_>) -> Result<usize, CommandError> {
    let mut count = usize::MAX;
    while !args.is_empty() {
        if args.len() < 2 || !args.take_word("count") {
            return Err(CommandError::Syntax);
        }
        count = usize::try_from(args.integer()?).unwrap_or(0);
    }
    Ok(count)
}

fn range(
    cx: &mut Context<'_>,
    key: &[u8],
    count: usize,
    write: impl FnOnce(&mut ReplyBuf, &Stream, usize),
) -> CommandResult {
    match cx.keys.read::<Stream>(key)? {
        None => cx.reply.array(0),
        Some(_) if count == 0 => cx.reply.null_array(),
        Some(stream) => write(cx.reply, stream, count),
    }
    Ok(())
}

fn xsetid(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, last_id) = (args.key()?, id_from(args.next()?, 0)?);
    let (mut added, mut max_deleted) = (None, Id::MIN);
    while !args.is_empty() {
        if args.len() >= 2 && args.take_word("entriesadded") {
            let count = u64::try_from(args.integer()?)
                .map_err(|_| CommandError::text("ERR entries_added must be positive"))?;
            added = Some(count);
        } else if args.len() >= 2 && args.take_word("maxdeletedid") {
            max_deleted = id_from(args.next()?, 0)?;
            if last_id < max_deleted {
                return Err(CommandError::text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let set = |stream: &mut Editor<'_, Stream>| set_marks(stream, last_id, added, max_deleted);
    cx.keys.edit_existing(key, set)?.ok_or(CommandError::NoSuchKey)??;
    cx.event(Event::XSETID, key);
    cx.reply.ok();
    Ok(())
}

fn set_marks(
    stream: &mut Editor<'_, Stream>,
    last_id: Id,
    added: Option<u64>,
    max_deleted: Id,
) -> CommandResult {
    if stream.descending(Id::MIN, Id::MAX).next().is_some_and(|last| last_id < last.id) {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| added < stream.len() as u64) {
        return Err(CommandError::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    let old = stream.marks();
    let max_deleted = if max_deleted == Id::MIN { old.max_deleted } else { max_deleted };
    stream.set_marks(Marks { last_id, max_deleted, added: added.unwrap_or(old.added) });
    Ok(())
}

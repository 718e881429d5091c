//! Streams: nodes of entries, what is remembered of entries that are gone, and consumer groups.
//!
//! A node is a listpack behind its first ID. In front stand the numbers of entries that are there
//! and that are deleted, and the names of the first one's fields; an entry is its flags, the distance
//! of its ID from the node's, its fields unless they are those of the node, its values, and the number
//! of elements all these are. Deleted entries lie there with a flag; here they are not kept, so
//! none is written.

use super::listpack::Listpack;
use super::read::{Element, Packing, Reader, Text};
use super::write::Writer;
use super::{kind, listpack};
use crate::cow::Arc;
use crate::number::parse_i64;
use crate::value::Value;
use crate::value::stream::{Cursor, Datum, Entry, Group, Id, Marks, Node, Pair, Pending, Stream};
use smallvec::SmallVec;

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the fields of its node.
const SAME_FIELDS: i64 = 2;

/// Elements of an entry beside its values: flags, both parts of the ID.
const ENTRY_ELEMENTS: usize = 3;

/// How many entries a group has read, where that cannot be told.
const READ_UNKNOWN: u64 = u64::MAX;

/// Writes a stream.
pub(super) fn write(out: &mut Writer, stream: &Stream) {
    out.byte(kind::STREAM_LISTPACKS_2);
    let nodes = || stream.nodes().filter(|node| node.len() > 0);
    out.length(nodes().count());
    for node in nodes() {
        out.string(&node.first().to_bytes());
        out.packed(|out| pack(out, node));
    }
    let marks = stream.marks();
    out.length(stream.len());
    write_id(out, marks.last_id);
    write_id(out, stream.first_id());
    write_id(out, marks.max_deleted);
    out.number(marks.added);
    out.length(stream.groups().len());
    stream.groups().for_each(|group| write_group(out, group));
}

fn write_id(out: &mut Writer, id: Id) {
    out.number(id.ms);
    out.number(id.seq);
}

/// A node as Redis keeps it.
fn pack(out: &mut Vec<u8>, node: &Node) {
    let mut packed = listpack::Builder::new(out, 0);
    packed.push_integer(node.len() as i64);
    packed.push_integer(0);
    packed.push_integer(node.fields().len() as i64);
    node.fields().for_each(|field| packed.push(field));
    packed.push_integer(0);
    node.iter().for_each(|entry| pack_entry(&mut packed, node.first(), entry));
    packed.finish();
}

fn pack_entry(packed: &mut listpack::Builder<'_>, first: Id, entry: Entry<'_>) {
    let before = packed.len();
    let shares = entry.shares_fields();
    packed.push_integer(if shares { SAME_FIELDS } else { 0 });
    packed.push_integer(entry.id.ms.wrapping_sub(first.ms) as i64);
    packed.push_integer(entry.id.seq.wrapping_sub(first.seq) as i64);
    if !shares {
        packed.push_integer(entry.len() as i64);
    }
    for (field, value) in entry.pairs() {
        if !shares {
            push_datum(packed, field);
        }
        push_datum(packed, value);
    }
    packed.push_integer((packed.len() - before) as i64);
}

fn push_datum(packed: &mut listpack::Builder<'_>, datum: Datum<'_>) {
    match datum {
        Datum::Integer(value) => packed.push_integer(value),
        Datum::Bytes(bytes) => packed.push(bytes),
    }
}

fn write_group(out: &mut Writer, group: &Group) {
    let Cursor { last_id, entries_read } = group.cursor();
    out.string(group.name());
    write_id(out, last_id);
    out.number(entries_read.unwrap_or(READ_UNKNOWN));
    out.length(group.pending().len());
    for (id, pending) in group.pending().iter_from(Id::MIN) {
        out.bytes(&id.to_bytes());
        out.bytes(&pending.delivered_ms.to_le_bytes());
        out.number(pending.deliveries);
    }
    out.length(group.consumers_len());
    for (_, consumer) in group.consumers() {
        out.string(consumer.name());
        out.bytes(&consumer.seen_ms().to_le_bytes());
        out.length(consumer.pending_len());
        consumer.pending_from(Id::MIN).for_each(|id| out.bytes(&id.to_bytes()));
    }
}

/// A stream; before Redis 7.0 nothing was remembered of entries that were gone, and groups did not
/// count what they read.
pub(super) fn read(reader: &mut Reader<'_>, remembers: bool) -> Option<Value> {
    let mut stream = Stream::default();
    let mut last = None;
    for _ in 0..reader.count()? {
        let first = Id::from_bytes(reader.exactly()?);
        if last.is_some_and(|last| first <= last) {
            return None;
        }
        let node = reader.string()?;
        last = read_node(&mut stream, first, node.as_bytes())?.or(last).max(Some(first));
    }
    let len = reader.count()?;
    let last_id = read_id(reader)?;
    let mut marks = Marks { last_id, max_deleted: Id::MIN, added: len };
    if remembers {
        // The first ID is known without.
        read_id(reader)?;
        marks.max_deleted = read_id(reader)?;
        marks.added = reader.count()?;
    }
    if len != stream.len() as u64 || last > Some(last_id) {
        return None;
    }
    stream.set_marks(marks);
    for _ in 0..reader.count()? {
        let group = read_group(reader, &stream, remembers)?;
        if stream.find_group(group.name()).is_some() {
            return None;
        }
        stream.add_group(Arc::new(group));
    }
    Some(Value::Stream(Box::new(stream)))
}

fn read_id(reader: &mut Reader<'_>) -> Option<Id> {
    Some(Id { ms: reader.count()?, seq: reader.count()? })
}

/// What most entries have few of.
type Few<T> = SmallVec<[T; 8]>;

/// The elements of a node not yet read.
struct Elements<'a> {
    rest: std::vec::IntoIter<Element<'a>>,
}

impl<'a> Elements<'a> {
    fn text(&mut self) -> Option<Text<'a>> {
        self.rest.next().map(Text::from)
    }

    /// So many of them.
    fn texts(&mut self, count: usize) -> Option<Few<Text<'a>>> {
        if count > self.rest.len() {
            return None;
        }
        let mut texts = Few::new();
        for _ in 0..count {
            texts.push(self.text()?);
        }
        Some(texts)
    }

    fn integer(&mut self) -> Option<i64> {
        match self.rest.next()? {
            Element::Integer(value) => Some(value),
            Element::Bytes(text) => parse_i64(text),
        }
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }
}

/// Adds a node; returns the ID of its last entry, if there is any.
fn read_node(stream: &mut Stream, first: Id, packed: &[u8]) -> Option<Option<Id>> {
    // Most elements take four bytes or more.
    let mut elements = Vec::with_capacity(packed.len() / 4);
    Listpack::read(packed, |element| {
        elements.push(element);
        Some(())
    })?;
    let mut elements = Elements { rest: elements.into_iter() };
    let (live, deleted, width) = (elements.count()?, elements.count()?, elements.count()?);
    let names = elements.texts(width)?;
    let names: Few<&[u8]> = names.iter().map(Text::as_bytes).collect();
    if elements.integer()? != 0 || names.is_empty() {
        return None;
    }
    stream.begin_node(first, names.iter().copied());
    let (before, mut last) = (stream.len(), None);
    for _ in 0..live.checked_add(deleted)? {
        let id = read_entry(stream, first, &names, &mut elements)?;
        // Each ID is greater than those before it, and none is less than the node's.
        if id < first || last.is_some_and(|last| id <= last) {
            return None;
        }
        last = Some(id);
    }
    let complete = elements.rest.len() == 0 && stream.len() - before == live;
    complete.then_some(last)
}

/// Adds an entry to the node that was begun; returns its ID.
fn read_entry(
    stream: &mut Stream,
    first: Id,
    names: &[&[u8]],
    elements: &mut Elements<'_>,
) -> Option<Id> {
    let flags = elements.integer()?;
    let (ms, seq) = (elements.integer()?, elements.integer()?);
    let id = Id { ms: first.ms.wrapping_add(ms as u64), seq: first.seq.wrapping_add(seq as u64) };
    let shares = flags & SAME_FIELDS != 0;
    let (texts, size) = if shares {
        (elements.texts(names.len())?, names.len() + ENTRY_ELEMENTS)
    } else {
        let count = elements.count().filter(|&width| width > 0)?.checked_mul(2)?;
        (elements.texts(count)?, count.checked_add(ENTRY_ELEMENTS + 1)?)
    };
    let pairs: Few<Pair<'_>> = if shares {
        names.iter().zip(&texts).map(|(name, value)| [*name, value.as_bytes()]).collect()
    } else {
        let (pairs, _) = texts.as_chunks();
        pairs.iter().map(|[name, value]| [name.as_bytes(), value.as_bytes()]).collect()
    };
    if elements.count()? != size {
        return None;
    }
    match flags & DELETED {
        0 => stream.load(id, &pairs),
        _ => stream.load_deleted(id, &pairs),
    }
    Some(id)
}

/// A consumer group. All that is pending for the group is pending for one of its consumers.
fn read_group(reader: &mut Reader<'_>, stream: &Stream, counts: bool) -> Option<Group> {
    let name = reader.string()?;
    let last_id = read_id(reader)?;
    let entries_read = match counts {
        true => Some(reader.count()?).filter(|&read| read != READ_UNKNOWN),
        false => stream.entries_up_to(last_id),
    };
    let mut group = Group::new(name.as_bytes(), Cursor { last_id, entries_read });
    let mut pending = Vec::new();
    for _ in 0..reader.count()? {
        let id = Id::from_bytes(reader.array()?);
        pending.push((id, i64::from_le_bytes(reader.array()?), reader.count()?));
    }
    pending.sort_unstable();
    if !pending.is_sorted_by(|(a, ..), (b, ..)| a < b) {
        return None;
    }
    for _ in 0..reader.count()? {
        read_consumer(reader, &mut group, &pending)?;
    }
    (group.pending().len() == pending.len()).then_some(group)
}

/// Adds a consumer, and what of the group's is pending for it.
fn read_consumer(reader: &mut Reader<'_>, group: &mut Group, all: &[(Id, i64, u64)]) -> Option<()> {
    let name = reader.string()?;
    let seen_ms = i64::from_le_bytes(reader.array()?);
    if group.find(name.as_bytes()).is_some() {
        return None;
    }
    let owner = group.add_consumer(name.as_bytes(), seen_ms);
    for _ in 0..reader.count()? {
        let id = Id::from_bytes(reader.array()?);
        let at = all.binary_search_by_key(&id, |(id, ..)| *id).ok()?;
        let &(_, delivered_ms, deliveries) = all.get(at)?;
        let pending = Pending { owner, delivered_ms, deliveries };
        // An entry that is pending for two consumers is damage.
        if group.set_pending(id, Some(pending)).is_some() {
            return None;
        }
    }
    Some(())
}

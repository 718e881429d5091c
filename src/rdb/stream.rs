//! Streams: nodes of entries, what is remembered of entries that are gone, and consumer groups.
//!
//! A node is a listpack behind its first ID, which `value/stream/written.rs` tells of. One that was
//! not changed since it was read is written as it was. Deleted entries lie there with a flag; in a
//! node that was changed they are not kept, so none is written.

use super::read::{Reader, Room};
use super::write::Writer;
use super::{kind, listpack};
use crate::cow::Arc;
use crate::value::Value;
use crate::value::stream::{
    Cursor, Datum, Entry, Group, Id, Marks, Node, Pending, SAME_FIELDS, Stream,
};

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
    if let Some(written) = node.written() {
        return out.extend_from_slice(written);
    }
    let width = node.fields().len();
    let mut packed = listpack::Builder::new(out, node.listpack_bytes());
    packed.push_integer(node.len() as i64);
    packed.push_integer(0);
    packed.push_integer(width as i64);
    node.fields().for_each(|field| push_datum(&mut packed, field));
    packed.push_integer(0);
    node.iter().for_each(|entry| pack_entry(&mut packed, node.first(), entry, width));
    packed.finish();
}

/// Writes an entry of a node of so many fields.
fn pack_entry(packed: &mut listpack::Builder<'_>, first: Id, entry: Entry<'_>, width: usize) {
    let before = packed.len();
    let shares = entry.shares_fields();
    let flags = if shares { SAME_FIELDS } else { 0 };
    let ms = entry.id.ms.wrapping_sub(first.ms) as i64;
    packed.push_integers([flags, ms, entry.id.seq.wrapping_sub(first.seq) as i64]);
    if !shares {
        packed.push_integer(entry.len() as i64);
    }
    entry.data(width).for_each(|datum| push_datum(packed, datum));
    packed.push_integer((packed.len() - before) as i64);
}

#[inline]
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
    let (mut last, mut room) = (None, Room::new());
    for _ in 0..reader.count()? {
        let first = Id::from_bytes(reader.exactly()?);
        last = Some(stream.load(first, reader.packed(&mut room)?)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::stream::{Cut, NodeLimits, Trim};
    use fastrand::Rng;

    const LIMITS: NodeLimits = NodeLimits { entries: 10, bytes: 400 };

    fn id(ms: u64, seq: u64) -> Id {
        Id { ms, seq }
    }

    fn append(stream: &mut Stream, id: Id, random: &mut Rng) {
        let own = random.u8(..4) == 0;
        let fields: Vec<[Vec<u8>; 2]> = (0..random.u8(1..4))
            .map(|at| {
                let name = if own { random.i16(..).to_string() } else { format!("f{at}") };
                let value = match random.u8(..4) {
                    0 => random.i64(..).to_string(),
                    1 => random.i64(-200..200).to_string(),
                    2 => "v".repeat(random.usize(..200)),
                    _ => "007".to_owned(),
                };
                [name.into_bytes(), value.into_bytes()]
            })
            .collect();
        let pairs: Vec<_> = fields.iter().map(|[name, value]| [&name[..], &value[..]]).collect();
        stream.append(id, &pairs, LIMITS);
    }

    fn random_stream(random: &mut Rng) -> Stream {
        let mut stream = Stream::default();
        for _ in 0..random.usize(1..200) {
            let last = stream.marks().last_id;
            append(&mut stream, id(last.ms + random.u64(1..300), random.u64(..3)), random);
        }
        stream
    }

    /// Some entries are deleted, each the same way in both streams.
    fn thin_out(streams: [&mut Stream; 2], random: &mut Rng) {
        let ids: Vec<Id> = streams[0].ascending(Id::MIN, Id::MAX).map(|entry| entry.id).collect();
        let victims: Vec<Id> = ids.into_iter().filter(|_| random.u8(..4) == 0).collect();
        for stream in streams {
            for &victim in &victims {
                assert!(stream.delete(victim, |_| ()).is_some());
            }
        }
    }

    fn written(stream: &Stream) -> Vec<u8> {
        let mut out = Writer::new();
        write(&mut out, stream);
        out.finish()
    }

    fn loaded(bytes: &[u8]) -> Option<Stream> {
        match read(&mut Reader::new(bytes.get(1..)?), true)? {
            Value::Stream(stream) => Some(*stream),
            _ => None,
        }
    }

    type Shown = Vec<(Id, Vec<[Vec<u8>; 2]>)>;

    fn shown<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Shown {
        let bytes = |datum: Datum<'_>| datum.with_bytes(<[u8]>::to_vec);
        let shown = entries.map(|entry| {
            assert_eq!(entry.pairs().len(), entry.len());
            (entry.id, entry.pairs().map(|(name, value)| [bytes(name), bytes(value)]).collect())
        });
        shown.collect()
    }

    /// Holds two streams to the same answers.
    fn check(stream: &Stream, model: &Stream, random: &mut Rng) {
        let end = model.marks().last_id.ms + 2;
        for _ in 0..4 {
            let [from, to] = [(); 2].map(|()| id(random.u64(..end), random.u64(..3)));
            let [from, to] = [from.min(to), from.max(to)];
            assert_eq!(shown(stream.ascending(from, to)), shown(model.ascending(from, to)));
            assert_eq!(shown(stream.descending(from, to)), shown(model.descending(from, to)));
            assert_eq!(shown(stream.get(from).into_iter()), shown(model.get(from).into_iter()));
            for cut in [Cut::Id(from), Cut::Len(random.u64(..=model.len() as u64))] {
                let trim = Trim { cut, approximate: random.bool(), limit: None };
                assert_eq!(stream.plan(trim, LIMITS), model.plan(trim, LIMITS));
            }
        }
        assert_eq!((stream.len(), stream.first_id()), (model.len(), model.first_id()));
        assert_eq!((stream.marks(), stream.tail()), (model.marks(), model.tail()));
    }

    #[test]
    fn what_is_kept_as_it_was_written_is_read_and_changed_like_anything_else() {
        for seed in 0..150 {
            let mut random = Rng::with_seed(seed);
            let mut model = random_stream(&mut random);
            let bytes = written(&model);
            let mut stream = loaded(&bytes).unwrap();
            assert!(stream.nodes().all(|node| node.written().is_some()));
            check(&stream, &model, &mut random);
            assert_eq!(written(&stream), bytes);
            // A change opens the nodes it is in, and no others that hold the same.
            let copy = stream.clone();
            thin_out([&mut stream, &mut model], &mut random);
            let last = model.marks().last_id;
            let mut again = random.clone();
            append(&mut stream, id(last.ms + 1, 0), &mut random);
            append(&mut model, id(last.ms + 1, 0), &mut again);
            check(&stream, &model, &mut random);
            assert_eq!(written(&stream), written(&model));
            assert_eq!(written(&copy), bytes);
        }
    }

    /// The payload of one node in which the middle one of three entries is deleted, whose live and
    /// deleted entries are told to be so many.
    fn with_deleted(live: u8, deleted: u8, flags: u8) -> Vec<u8> {
        let entry = |flags: u8, at: u8| [flags, 1, at, 1, 0, 1, at, 1, 4, 1];
        let mut node = vec![0, 0, 0, 0, 20, 0, live, 1, deleted, 1, 1, 1, 0x81, b'f', 2, 0, 1];
        node.extend([entry(2, 0), entry(flags, 1), entry(2, 2)].concat());
        node.push(0xff);
        node[0] = node.len() as u8;
        let mut out = Writer::new();
        out.byte(kind::STREAM_LISTPACKS_2);
        out.length(1);
        out.string(&id(5, 5).to_bytes());
        out.packed(|out| out.extend_from_slice(&node));
        out.length(2);
        [id(7, 5), id(5, 5), Id::MIN].into_iter().for_each(|id| write_id(&mut out, id));
        out.number(3);
        out.length(0);
        out.finish()
    }

    #[test]
    fn deleted_entries_are_passed_over_and_written_as_they_came() {
        let bytes = with_deleted(2, 1, 3);
        let mut stream = loaded(&bytes).unwrap();
        assert_eq!(written(&stream), bytes);
        let entry = |ms: u64| {
            let value = (ms - 5).to_string().into_bytes();
            (id(ms, 5), vec![[b"f".to_vec(), value]])
        };
        assert_eq!(shown(stream.ascending(Id::MIN, Id::MAX)), [entry(5), entry(7)]);
        assert_eq!(shown(stream.descending(Id::MIN, Id::MAX)), [entry(7), entry(5)]);
        assert!(stream.get(id(6, 5)).is_none() && stream.delete(id(6, 5), |_| ()).is_none());
        // They count for the size of their node, also once it is opened.
        let tail = stream.tail();
        let node = stream.written_with(id(5, 5)).unwrap();
        let mut kept = Vec::new();
        assert!(stream.delete(id(5, 5), |bytes| kept = bytes.to_vec()).is_some());
        assert_eq!((stream.tail(), stream.len()), (tail, 1));
        stream.restore(id(5, 5), &kept);
        stream.close_node(node);
        assert_eq!((written(&stream), stream.len()), (bytes, 2));
        assert!(loaded(&with_deleted(3, 1, 3)).is_none());
        assert!(loaded(&with_deleted(2, 2, 3)).is_none());
        assert!(loaded(&with_deleted(2, 1, 2)).is_none());
        assert!(loaded(&with_deleted(3, 0, 3)).is_none());
    }

    #[test]
    fn no_byte_of_a_node_may_be_cut_or_make_two_ids_the_same() {
        let bytes = written(&random_stream(&mut Rng::with_seed(3)));
        for cut in 0..bytes.len() {
            assert!(loaded(&bytes[..cut]).is_none(), "cut at {cut}");
        }
        // Whatever else is changed, what is read can be read whole and is written again.
        let mut random = Rng::with_seed(4);
        for _ in 0..3_000 {
            let mut bytes = bytes.clone();
            let at = random.usize(1..bytes.len());
            bytes[at] ^= random.u8(1..);
            if let Some(stream) = loaded(&bytes) {
                let all = shown(stream.ascending(Id::MIN, Id::MAX));
                assert_eq!(all.len(), stream.len());
                assert!(all.is_sorted_by(|(a, _), (b, _)| a < b));
                let reversed = shown(stream.descending(Id::MIN, Id::MAX));
                assert!(all.iter().rev().eq(&reversed));
            }
        }
    }
}

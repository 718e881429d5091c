//! The stream against a simple model: every change and what undoes it.

use super::*;
use crate::number::IntText;
use fastrand::Rng;
use std::collections::BTreeMap;

const LIMITS: NodeLimits = NodeLimits { entries: 10, bytes: 400 };

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a stream holds.
type Model = BTreeMap<Id, Fields>;

fn bytes(datum: Datum<'_>) -> Vec<u8> {
    match datum {
        Datum::Integer(value) => IntText::new(value).as_bytes().to_vec(),
        Datum::Bytes(text) => text.to_vec(),
    }
}

fn fields(entry: Entry<'_>) -> (Id, Fields) {
    let pairs = entry.pairs().map(|(field, value)| (bytes(field), bytes(value)));
    assert_eq!(pairs.len(), entry.len());
    (entry.id, pairs.collect())
}

fn pairs(fields: &Fields) -> Vec<Pair<'_>> {
    fields.iter().map(|(field, value)| [&field[..], &value[..]]).collect()
}

fn id(ms: u64, seq: u64) -> Id {
    Id { ms, seq }
}

/// Fields of few kinds, so that some are shared and some are not.
fn random_fields(random: &mut Rng) -> Fields {
    let count = random.usize(1..4);
    let value = |random: &mut Rng| match random.u32(..4) {
        0 => random.i64(..).to_string().into_bytes(),
        1 => random.i64(-200..200).to_string().into_bytes(),
        2 => vec![b'v'; random.usize(..100)],
        _ => b"007".to_vec(),
    };
    let own = random.u32(..4) == 0;
    let name = |i: usize, random: &mut Rng| if own { value(random) } else { vec![b'f', i as u8] };
    (0..count).map(|i| (name(i, random), value(random))).collect()
}

fn check(stream: &Stream, model: &Model, start: Id, end: Id) {
    assert_eq!(stream.len(), model.len());
    let between = || model.iter().filter(|(id, _)| (start..=end).contains(id));
    let expected: Vec<(Id, Fields)> = between().map(|(id, f)| (*id, f.clone())).collect();
    assert_eq!(stream.ascending(start, end).map(fields).collect::<Vec<_>>(), expected);
    let reversed: Vec<_> = expected.into_iter().rev().collect();
    assert_eq!(stream.descending(start, end).map(fields).collect::<Vec<_>>(), reversed);
    assert_eq!(stream.get(start).map(|entry| fields(entry).1), model.get(&start).cloned());
    assert_eq!(stream.first_id(), model.keys().next().copied().unwrap_or(Id::MIN));
    assert_eq!(stream.nodes().map(Node::len).sum::<usize>(), stream.len());
}

/// A node: its first ID, its tail, its entries.
type Shape = (Id, Tail, Vec<(Id, Fields)>);

/// All that tells two streams apart, nodes and what Redis would count in them included.
fn shape(stream: &Stream) -> Vec<Shape> {
    let of = |node: &Node| (node.first(), node.tail(), node.iter().map(fields).collect());
    stream.nodes().map(of).collect()
}

/// A stream that was filled and thinned out, and the model of it.
fn random_stream(random: &mut Rng) -> (Stream, Model) {
    let (mut stream, mut model) = (Stream::default(), Model::new());
    let mut last = Id::MIN;
    for _ in 0..random.usize(..300) {
        last = match random.u32(..5) {
            0 => id(last.ms + random.u64(1..1 << 40), random.u64(..)),
            _ => id(last.ms + random.u64(1..3), random.u64(..3)),
        };
        let fields = random_fields(random);
        stream.append(last, &pairs(&fields), LIMITS);
        model.insert(last, fields);
        if random.u32(..3) == 0 {
            let victim = some_id(random, &model);
            assert_eq!(stream.delete(victim, |_| ()).is_some(), model.remove(&victim).is_some());
        }
    }
    (stream, model)
}

/// Mostly the ID of an entry.
fn some_id(random: &mut Rng, model: &Model) -> Id {
    let at = random.usize(..=model.len());
    model.keys().nth(at).copied().unwrap_or(id(random.u64(..50), 1))
}

#[test]
fn it_holds_what_a_map_holds() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let (stream, model) = random_stream(&mut random);
        check(&stream, &model, Id::MIN, Id::MAX);
        for _ in 0..20 {
            check(&stream, &model, some_id(&mut random, &model), some_id(&mut random, &model));
        }
    }
}

#[test]
fn deletions_are_undone_to_the_last_byte() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let (mut stream, model) = random_stream(&mut random);
        let (copy, before) = (stream.clone(), shape(&stream));
        let mut undo = Vec::new();
        for _ in 0..random.usize(..60) {
            let victim = some_id(&mut random, &model);
            let mut kept = Vec::new();
            if let Some(deleted) = stream.delete(victim, |bytes| kept = bytes.to_vec()) {
                undo.push((victim, kept, deleted));
            }
        }
        for (id, kept, deleted) in undo.into_iter().rev() {
            match deleted {
                Deleted::Entry => stream.restore(id, &kept),
                Deleted::Node(node) => stream.restore_node(node),
            }
        }
        assert_eq!(shape(&stream), before);
        assert_eq!(shape(&copy), before);
        check(&stream, &model, Id::MIN, Id::MAX);
    }
}

#[test]
fn appended_entries_are_cut_off_again() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let (mut stream, model) = random_stream(&mut random);
        let (copy, before, marks) = (stream.clone(), shape(&stream), stream.marks());
        let (nodes, tail) = (stream.nodes().len(), stream.tail());
        for at in 1..=random.u64(..40) {
            let fields = random_fields(&mut random);
            stream.append(id(marks.last_id.ms + at, 0), &pairs(&fields), LIMITS);
        }
        stream.cut_after(marks.last_id, nodes, tail);
        assert_eq!((shape(&stream), stream.marks()), (before.clone(), marks));
        assert_eq!(shape(&copy), before);
        check(&stream, &model, Id::MIN, Id::MAX);
    }
}

/// What is left after a trim, by what the trim says rather than by nodes.
fn trimmed(model: &Model, cut: Cut) -> Model {
    let most = match cut {
        Cut::Len(most) => model.len().saturating_sub(most as usize),
        Cut::Id(min) => model.range(..min).count(),
    };
    model.iter().skip(most).map(|(id, fields)| (*id, fields.clone())).collect()
}

#[test]
fn trims_leave_what_they_say_and_approximate_ones_no_less() {
    for seed in 0..400 {
        let mut random = Rng::with_seed(seed);
        let (mut stream, model) = random_stream(&mut random);
        let by_len = random.bool();
        let cut = match by_len {
            true => Cut::Len(random.u64(..=model.len() as u64)),
            false => Cut::Id(some_id(&mut random, &model)),
        };
        let approximate = random.bool();
        let before = shape(&stream);
        let plan = stream.plan(Trim { cut, approximate, limit: None }, LIMITS);
        let nodes = stream.take_nodes(plan.nodes);
        let mut entries = Vec::new();
        for _ in 0..plan.entries {
            let mut kept = Vec::new();
            let id = stream.trim_front(|bytes| kept = bytes.to_vec());
            entries.push((id.expect("an entry is there"), kept));
        }
        assert_eq!(stream.len(), model.len() - plan.removed);
        let left = trimmed(&model, cut);
        if approximate {
            // A node stays if one of its entries does.
            assert!(plan.entries == 0 && stream.len() - left.len() < LIMITS.entries);
        } else {
            check(&stream, &left, Id::MIN, Id::MAX);
        }
        entries.into_iter().rev().for_each(|(id, kept)| stream.restore(id, &kept));
        nodes.into_iter().rev().for_each(|node| stream.restore_node(node));
        assert_eq!(shape(&stream), before);
        check(&stream, &model, Id::MIN, Id::MAX);
    }
}

#[test]
fn a_limit_stops_a_trim_at_a_node() {
    let mut stream = Stream::default();
    for ms in 1..=100 {
        stream.append(id(ms, 0), &[[b"f", b"v"]], LIMITS);
    }
    let removed = |approximate, limit| {
        stream.plan(Trim { cut: Cut::Len(0), approximate, limit }, LIMITS).removed
    };
    assert_eq!((removed(true, Some(35)), removed(true, Some(9))), (30, 0));
    assert_eq!((removed(true, Some(0)), removed(false, None)), (100, 100));
    let few = NodeLimits { entries: 0, ..LIMITS };
    let trim = Trim { cut: Cut::Len(0), approximate: true, limit: None };
    assert_eq!(stream.plan(trim, few).removed, 100);
}

/// A group that went through many changes; each is undone by what it returned.
#[test]
fn groups_keep_both_views_of_what_is_pending_and_undo() {
    for seed in 0..100 {
        let mut random = Rng::with_seed(seed);
        let cursor = Cursor { last_id: Id::MIN, entries_read: Some(0) };
        let mut group = Group::new(b"g", cursor);
        let owners: Vec<ConsumerId> =
            [&b"b"[..], b"a", b"c"].iter().map(|name| group.add_consumer(name, 1)).collect();
        for _ in 0..random.usize(..400) {
            change_pending(&mut random, &mut group, &owners);
        }
        let before = views(&group);
        let mut undo: Vec<_> = (0..random.usize(..100))
            .map(|_| change_pending(&mut random, &mut group, &owners))
            .collect();
        let removed = group.remove_consumer(owners[1]).expect("a consumer is there");
        assert!(group.find(b"a").is_none() && group.consumers_len() == 2);
        let added = group.add_consumer(b"z", 5);
        group.remove_consumer(added);
        group.restore_consumer(removed);
        while let Some((id, old)) = undo.pop() {
            group.set_pending(id, old);
        }
        assert_eq!(views(&group), before);
    }
}

fn change_pending(
    random: &mut Rng,
    group: &mut Group,
    owners: &[ConsumerId],
) -> (Id, Option<Pending>) {
    let owner = owners[random.usize(..owners.len())];
    let (id, delivered_ms) = (id(random.u64(..300), 0), random.i64(..100));
    let new = random.bool().then_some(Pending { owner, delivered_ms, deliveries: random.u64(..) });
    let old = group.set_pending(id, new);
    assert_eq!(group.pending().get(id), new);
    assert_eq!(old.and_then(|old| Pending::from_bytes(&old.to_bytes())), old);
    (id, old)
}

type Views = (Vec<(Id, Pending)>, Vec<(Vec<u8>, i64, Vec<Id>)>);

/// All that a group tells; what is pending for its consumers is just what is pending at all.
fn views(group: &Group) -> Views {
    let pending: Vec<_> = group.pending().iter_from(Id::MIN).collect();
    for (consumer, told) in group.consumers() {
        let mine = pending.iter().filter(|(_, pending)| pending.owner == consumer);
        assert!(told.pending_from(Id::MIN).eq(mine.map(|(id, _)| *id)));
    }
    let consumers = group.consumers().map(|(_, consumer)| {
        let ids: Vec<Id> = consumer.pending_from(Id::MIN).collect();
        assert_eq!(ids.len(), consumer.pending_len());
        (consumer.name().to_vec(), consumer.seen_ms(), ids)
    });
    let consumers: Vec<_> = consumers.collect();
    assert!(consumers.is_sorted());
    (pending, consumers)
}

/// What 100,000 entries with two fields take: Redis 7.0.15 needs 30 bytes for each.
#[test]
fn entries_are_lean() {
    let mut stream = Stream::default();
    for at in 0..100_000_u64 {
        let (user, text) = (at.to_string(), format!("value{at}"));
        let fields = [[&b"user"[..], user.as_bytes()], [b"text", text.as_bytes()]];
        stream.append(id(1_700_000_000_000 + at * 3, 0), &fields, NodeLimits::default());
    }
    let each = stream.heap_size() / 100_000;
    println!("{each} bytes an entry");
    assert!(each < 28, "{each} bytes an entry");
}

//! What replicas are told of reading in a consumer group and of handing over: which entry is pending
//! for whom since when, and how far the group has got.
//!
//! The clock, and what there was to read, are the engine's own; so each entry is told with what has
//! become of it.

use super::context::Context;
use crate::clients::words;
use crate::keyspace::{Editor, Keyspace};
use crate::number::IntText;
use crate::value::stream::{Cursor, Id, Pending, Stream};

/// An entry as it is pending, and the last ID its group had read then.
struct Noted {
    id: Id,
    pending: Pending,
    last_id: Id,
}

/// What is to be told of one stream, its group and a consumer.
pub(super) struct Told<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    /// None where there is nobody to be told.
    entries: Option<Vec<Noted>>,
    /// Whether the group got further, which no entry says.
    pub(super) moves_cursor: bool,
    /// Whether the consumer came to be, which no entry says.
    is_new: bool,
}

impl<'a> Told<'a> {
    pub(super) fn of(
        keys: &Keyspace,
        key: &'a [u8],
        group: &'a [u8],
        consumer: &'a [u8],
    ) -> Told<'a> {
        let entries = keys.news().feed.is_open().then(Vec::new);
        Told { key, group, consumer, entries, moves_cursor: false, is_new: false }
    }

    /// An entry is pending for the consumer now.
    pub(super) fn note(&mut self, stream: &Editor<'_, Stream>, at: usize, id: Id) {
        let last_id = stream.group(at).map_or(Id::MIN, |group| group.cursor().last_id);
        self.push(stream, at, id, last_id);
    }

    /// The same, after all before it were read.
    pub(super) fn note_behind(&mut self, stream: &Editor<'_, Stream>, at: usize, id: Id) {
        self.push(stream, at, id, id);
    }

    /// An entry that is pending is going to be dropped if it is not in the stream any more.
    pub(super) fn note_gone(&mut self, stream: &Editor<'_, Stream>, at: usize, id: Id) {
        if self.entries.is_some() && stream.get(id).is_none() {
            self.note(stream, at, id);
        }
    }

    /// The group is going to get further, and nothing becomes pending.
    pub(super) fn note_unacknowledged(
        &mut self,
        stream: &Editor<'_, Stream>,
        at: usize,
        consumer: &[u8],
    ) {
        self.moves_cursor = true;
        self.is_new = stream.group(at).is_some_and(|group| group.find(consumer).is_none());
    }

    fn push(&mut self, stream: &Editor<'_, Stream>, at: usize, id: Id, last_id: Id) {
        let Some(entries) = &mut self.entries else { return };
        let pending = stream.group(at).and_then(|group| group.pending().get(id));
        entries.extend(pending.map(|pending| Noted { id, pending, last_id }));
    }

    /// Tells of entries in their own order.
    pub(super) fn sort(&mut self) {
        self.entries.iter_mut().for_each(|entries| entries.sort_by_key(|noted| noted.id));
    }

    /// Tells replicas, in place of the call.
    pub(super) fn tell(self, cx: &mut Context<'_>) {
        let Told { key, group, consumer, entries: Some(entries), .. } = self else { return };
        if self.is_new {
            cx.effect(&[words::XGROUP, b"CREATECONSUMER", key, group, consumer]);
        }
        for Noted { id, pending, last_id } in &entries {
            let (id, last_id) = (id.text(), last_id.text());
            let time = IntText::new(pending.delivered_ms);
            let deliveries = IntText::new(pending.deliveries.cast_signed());
            let (id, time, deliveries) = (id.as_bytes(), time.as_bytes(), deliveries.as_bytes());
            cx.effect(&[
                words::XCLAIM,
                key,
                group,
                consumer,
                b"0",
                id,
                b"TIME",
                time,
                b"RETRYCOUNT",
                deliveries,
                b"FORCE",
                b"JUSTID",
                b"LASTID",
                last_id.as_bytes(),
            ]);
        }
        if self.moves_cursor && entries.is_empty() {
            tell_cursor(cx, key, group);
        }
        cx.effect_is_told();
    }
}

/// Tells replicas how far a group has got.
fn tell_cursor(cx: &mut Context<'_>, key: &[u8], group: &[u8]) {
    let Some(Cursor { last_id, entries_read }) = cursor(cx.keys, key, group) else { return };
    let read = IntText::new(entries_read.map_or(-1, u64::cast_signed));
    let (last_id, read) = (last_id.text(), read.as_bytes());
    cx.effect(&[words::XGROUP, b"SETID", key, group, last_id.as_bytes(), b"ENTRIESREAD", read]);
}

fn cursor(keys: &Keyspace, key: &[u8], group: &[u8]) -> Option<Cursor> {
    let stream = keys.peek::<Stream>(key).ok().flatten()?;
    stream.find_group(group).and_then(|at| stream.group(at)).map(|group| group.cursor())
}

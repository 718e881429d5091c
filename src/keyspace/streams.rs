//! The primitive changes of streams, and how each is undone.

use super::editor::Editor;
use super::journal::{Change, Journal, Span};
use crate::cow::Arc;
use crate::value::stream::{
    ConsumerId, Cursor, Deleted, Group, Id, Marks, Node, Pair, Pending, Removed, Stream, Tail, Trim,
};

/// The inverse of one change to a stream. Groups are told by their place, which is the same again
/// once all later changes are undone.
pub(super) enum StreamChange {
    /// Entries were appended behind this ID, the last until then, when there were so many nodes
    /// and the last of them had this tail.
    Appended { last_id: Id, nodes: u32, tail: Span },
    /// This node was as it was written, and was opened to be changed.
    Opened(Arc<Node>),
    /// This entry was deleted and its node was not.
    Deleted { id: Id, entry: Span },
    /// This node lost its last entry.
    Emptied(Arc<Node>),
    /// These nodes were trimmed.
    Trimmed(Vec<Arc<Node>>),
    /// The marks were these.
    Marks(Span),
    /// A group was added here.
    GroupAdded(u32),
    /// This group was removed.
    GroupRemoved(Arc<Group>),
    /// The group's cursor was this.
    Cursor { group: u32, old: Cursor },
    /// A consumer was added here.
    ConsumerAdded { group: u32, id: ConsumerId },
    /// This consumer was removed.
    ConsumerRemoved { group: u32, removed: Box<Removed> },
    /// The consumer was seen at this time.
    Seen { group: u32, id: ConsumerId, old_ms: i64 },
    /// The entry was pending like this, or not.
    Pending { group: u32, id: Id, old: Option<Span> },
}

// As large as what other types record, so that streams make no record larger.
const _: () = assert!(size_of::<StreamChange>() <= 48);

impl Editor<'_, Stream> {
    /// Appends an entry. Its ID must be greater than the last.
    pub(crate) fn append(&mut self, id: Id, pairs: &[Pair<'_>]) {
        let Editor { value: stream, key, journal, limits, .. } = self;
        if journal.is_open() && !journal.covers_append(key) {
            let last_id = stream.marks().last_id;
            let nodes = stream.nodes().len() as u32;
            record_opened(journal, key, stream.written_last());
            journal.record(key, |j| {
                let tail = j.keep(&stream.tail().to_bytes());
                Change::Stream(StreamChange::Appended { last_id, nodes, tail })
            });
        }
        stream.append(id, pairs, limits.stream);
    }

    /// Deletes the entry with an ID; tells whether there was one.
    pub(crate) fn delete(&mut self, id: Id) -> bool {
        let Editor { value: stream, key, journal, .. } = self;
        if journal.is_open() {
            record_opened(journal, key, stream.written_with(id));
        }
        let mut entry = Span::default();
        let deleted = stream.delete(id, |bytes| {
            if journal.is_open() {
                entry = journal.keep(bytes);
            }
        });
        let change = match deleted {
            None => return false,
            Some(Deleted::Entry) => StreamChange::Deleted { id, entry },
            Some(Deleted::Node(node)) => StreamChange::Emptied(node),
        };
        journal.record(key, |_| Change::Stream(change));
        true
    }

    /// Removes entries from the front; returns how many. What goes whole is moved.
    pub(crate) fn trim(&mut self, trim: Trim) -> usize {
        let plan = self.value.plan(trim, self.limits.stream);
        if plan.nodes > 0 {
            let nodes = self.value.take_nodes(plan.nodes);
            self.record(StreamChange::Trimmed(nodes));
        }
        let Editor { value: stream, key, journal, .. } = self;
        if plan.entries > 0 && journal.is_open() {
            record_opened(journal, key, stream.written_first());
        }
        for _ in 0..plan.entries {
            let mut entry = Span::default();
            let id = stream.trim_front(|bytes| {
                if journal.is_open() {
                    entry = journal.keep(bytes);
                }
            });
            if let Some(id) = id {
                journal.record(key, |_| Change::Stream(StreamChange::Deleted { id, entry }));
            }
        }
        plan.removed
    }

    /// Changes what the stream remembers of entries that are gone.
    pub(crate) fn set_marks(&mut self, marks: Marks) {
        let old = self.value.set_marks(marks);
        if old != marks {
            self.journal.record_untold(self.key, |j| {
                Change::Stream(StreamChange::Marks(j.keep(&old.to_bytes())))
            });
        }
    }

    /// Adds a group whose name is free.
    pub(crate) fn add_group(&mut self, name: &[u8], cursor: Cursor) {
        let at = self.value.add_group(Arc::new(Group::new(name, cursor)));
        self.record_untold(StreamChange::GroupAdded(at as u32));
    }

    /// Removes a group with all it holds.
    pub(crate) fn remove_group(&mut self, at: usize) {
        if let Some(group) = self.value.remove_group(at) {
            self.record(StreamChange::GroupRemoved(group));
        }
    }

    /// Moves what a group has read.
    pub(crate) fn set_cursor(&mut self, at: usize, cursor: Cursor) {
        let Some(group) = self.value.group_mut(at) else { return };
        let old = group.set_cursor(cursor);
        if old != cursor {
            self.record_untold(StreamChange::Cursor { group: at as u32, old });
        }
    }

    /// Adds a consumer whose name is free.
    pub(crate) fn add_consumer(
        &mut self,
        at: usize,
        name: &[u8],
        seen_ms: i64,
    ) -> Option<ConsumerId> {
        let id = self.value.group_mut(at)?.add_consumer(name, seen_ms);
        self.record_untold(StreamChange::ConsumerAdded { group: at as u32, id });
        Some(id)
    }

    /// Removes a consumer; returns how many entries were pending for it.
    pub(crate) fn remove_consumer(&mut self, at: usize, id: ConsumerId) -> usize {
        let group = self.value.group_mut(at);
        let Some(removed) = group.and_then(|group| group.remove_consumer(id)) else { return 0 };
        let pending = removed.pending();
        let removed = Box::new(removed);
        self.record_untold(StreamChange::ConsumerRemoved { group: at as u32, removed });
        pending
    }

    /// Notes when a consumer was seen.
    pub(crate) fn touch(&mut self, at: usize, id: ConsumerId, seen_ms: i64) {
        let old = self.value.group_mut(at).and_then(|group| group.touch(id, seen_ms));
        if let Some(old_ms) = old.filter(|old| *old != seen_ms) {
            self.record_untold(StreamChange::Seen { group: at as u32, id, old_ms });
        }
    }

    /// Makes an entry pending, or no longer so; tells whether it was.
    pub(crate) fn set_pending(&mut self, at: usize, id: Id, new: Option<Pending>) -> bool {
        let Some(group) = self.value.group_mut(at) else { return false };
        let old = group.set_pending(id, new);
        if old != new {
            self.journal.record_untold(self.key, |j| {
                let old = old.map(|old| j.keep(&old.to_bytes()));
                Change::Stream(StreamChange::Pending { group: at as u32, id, old })
            });
        }
        old.is_some()
    }

    fn record(&mut self, change: StreamChange) {
        self.journal.record(self.key, |_| Change::Stream(change));
    }

    /// Whoever watches a stream is told of its entries, not of what groups make of them.
    fn record_untold(&mut self, change: StreamChange) {
        self.journal.record_untold(self.key, |_| Change::Stream(change));
    }
}

/// Records a node that a change is about to open.
fn record_opened(journal: &mut Journal, key: &[u8], node: Option<Arc<Node>>) {
    if let Some(node) = node {
        journal.record(key, |_| Change::Stream(StreamChange::Opened(node)));
    }
}

/// Undoes a change; `bytes` gives what the journal kept.
pub(super) fn undo_in_stream<'a>(
    stream: &mut Stream,
    change: StreamChange,
    bytes: &dyn Fn(Span) -> &'a [u8],
) {
    match change {
        StreamChange::Appended { last_id, nodes, tail } => {
            if let Some(tail) = Tail::from_bytes(bytes(tail)) {
                stream.cut_after(last_id, nodes as usize, tail);
            }
        }
        StreamChange::Opened(node) => stream.close_node(node),
        StreamChange::Deleted { id, entry } => stream.restore(id, bytes(entry)),
        StreamChange::Emptied(node) => stream.restore_node(node),
        StreamChange::Trimmed(nodes) => {
            nodes.into_iter().rev().for_each(|node| stream.restore_node(node));
        }
        StreamChange::Marks(old) => {
            if let Some(marks) = Marks::from_bytes(bytes(old)) {
                stream.set_marks(marks);
            }
        }
        StreamChange::GroupAdded(at) => {
            stream.remove_group(at as usize);
        }
        StreamChange::GroupRemoved(group) => {
            stream.add_group(group);
        }
        StreamChange::Cursor { group, .. }
        | StreamChange::ConsumerAdded { group, .. }
        | StreamChange::ConsumerRemoved { group, .. }
        | StreamChange::Seen { group, .. }
        | StreamChange::Pending { group, .. } => {
            if let Some(group) = stream.group_mut(group as usize) {
                undo_in_group(group, change, bytes);
            }
        }
    }
}

fn undo_in_group<'a>(group: &mut Group, change: StreamChange, bytes: &dyn Fn(Span) -> &'a [u8]) {
    match change {
        StreamChange::Cursor { old, .. } => {
            group.set_cursor(old);
        }
        StreamChange::ConsumerAdded { id, .. } => {
            group.remove_consumer(id);
        }
        StreamChange::ConsumerRemoved { removed, .. } => group.restore_consumer(*removed),
        StreamChange::Seen { id, old_ms, .. } => {
            group.touch(id, old_ms);
        }
        StreamChange::Pending { id, old, .. } => {
            group.set_pending(id, old.and_then(|old| Pending::from_bytes(bytes(old))));
        }
        _ => debug_assert!(false, "a change of the stream itself"),
    }
}

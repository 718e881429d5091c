//! A stream: entries with growing IDs, and the groups that read them.
//!
//! Entries lie packed in nodes, some tens in each. A node is found by its first ID and walked from
//! there. Nodes are shared between clones and copied when first written to, so that a clone costs
//! two words and an ID for a hundred entries. What an entry is, is said in `node.rs`; what groups
//! keep, in `group.rs`; what trimming removes, in `trim.rs`.

mod codec;
mod group;
mod id;
mod id_map;
mod node;
mod radix;
mod trim;
mod written;

#[cfg(test)]
mod model_tests;

pub(crate) use codec::Datum;
pub(crate) use group::{Consumer, ConsumerId, Cursor, Group, Pending, Removed};
pub(crate) use id::{Id, IdText};
pub(crate) use node::{Entry, NODE_BYTES_MOST, Node, NodeLimits, Pair, Tail};
pub(crate) use trim::{Cut, Trim};
pub(crate) use written::SAME_FIELDS;

use super::{Collection, Kind, Value, ValueView};
use crate::cow::{Arc, own};
use std::collections::VecDeque;

/// A stream.
#[derive(Clone, Default)]
pub(crate) struct Stream {
    nodes: VecDeque<Slot>,
    len: usize,
    marks: Marks,
    /// By name.
    groups: Vec<Arc<Group>>,
}

/// A node, and its first ID once more: a search then looks into the node it finds only.
#[derive(Clone)]
struct Slot {
    first: Id,
    node: Arc<Node>,
}

/// What a stream remembers of entries that may be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The last ID there ever was.
    pub(crate) last_id: Id,
    /// The greatest ID that was deleted by name, rather than by trimming.
    pub(crate) max_deleted: Id,
    /// How many entries there ever were.
    pub(crate) added: u64,
}

impl Collection for Stream {
    type View<'a> = &'a Stream;

    /// There is no small form of a stream.
    fn behind(_: Vec<u8>) -> Stream {
        Stream::default()
    }

    fn into_value(self) -> Value {
        Value::Stream(Box::new(self))
    }

    fn in_block(_: Kind, _: &[u8], _: usize) -> Option<&Stream> {
        None
    }

    fn is_in(_: Kind) -> bool {
        false
    }

    fn open(_: Kind, _: Vec<u8>, _: usize) -> Stream {
        Stream::default()
    }

    fn close(&mut self, _: usize) -> Option<(Kind, Vec<u8>)> {
        None
    }

    fn of(value: ValueView<'_>) -> Option<&Self> {
        match value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn is(value: &Value) -> bool {
        matches!(value, Value::Stream(_))
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// A stream without entries is not gone: it has its last ID and its groups.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Reading.
impl Stream {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What it remembers of entries that may be gone.
    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// The ID of the first entry, [`Id::MIN`] where there is none.
    pub(crate) fn first_id(&self) -> Id {
        let first = self.nodes.iter().find_map(|slot| slot.node.iter().next());
        first.map_or(Id::MIN, |entry| entry.id)
    }

    /// The nodes, for those that write them as they are.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter().map(|slot| &*slot.node)
    }

    /// How many nodes Redis's tree of nodes would consist of.
    pub(crate) fn radix_nodes(&self) -> usize {
        radix::count(self.nodes.iter().map(|slot| slot.first))
    }

    /// The entries between two IDs, both included, in order.
    pub(crate) fn ascending(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let entries = self.nodes.range(self.node_of(start)..).flat_map(|slot| slot.node.iter());
        entries.skip_while(move |entry| entry.id < start).take_while(move |entry| entry.id <= end)
    }

    /// The same from the last to the first.
    pub(crate) fn descending(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let behind = self.nodes.partition_point(|slot| slot.first <= end);
        let entries = self.nodes.range(..behind).rev().flat_map(|slot| slot.node.iter().rev());
        entries.skip_while(move |entry| entry.id > end).take_while(move |entry| entry.id >= start)
    }

    /// The entry with an ID.
    pub(crate) fn get(&self, id: Id) -> Option<Entry<'_>> {
        let slot = self.nodes.get(self.node_of(id))?;
        if id > slot.node.last() {
            return None;
        }
        slot.node.iter().find(|entry| entry.id >= id).filter(|entry| entry.id == id)
    }

    /// The node that has an ID, if any has.
    fn node_of(&self, id: Id) -> usize {
        match self.nodes.back() {
            Some(last) if last.first <= id => self.nodes.len() - 1,
            _ => self.nodes.partition_point(|slot| slot.first <= id).saturating_sub(1),
        }
    }

    /// Whether an entry that was deleted by name may be missing from an ID on.
    pub(crate) fn has_gap_from(&self, start: Id) -> bool {
        let deleted = self.marks.max_deleted;
        self.len > 0 && deleted != Id::MIN && deleted >= self.first_id() && deleted >= start
    }

    /// How many entries there were up to an ID, where that can be told.
    pub(crate) fn entries_up_to(&self, id: Id) -> Option<u64> {
        let Marks { last_id, max_deleted, added } = self.marks;
        if added == 0 || self.len == 0 && id <= last_id {
            return Some(added);
        }
        if id >= last_id {
            return (id == last_id).then_some(added);
        }
        let first = self.first_id();
        if max_deleted != Id::MIN && max_deleted >= first || id > first {
            return None;
        }
        let before = added.wrapping_sub(self.len as u64);
        Some(before.wrapping_add((id == first).into()))
    }

    /// How many entries a group has yet to read, where that can be told.
    pub(crate) fn lag(&self, cursor: Cursor) -> Option<i64> {
        if self.marks.added == 0 {
            return Some(0);
        }
        let known = cursor.entries_read.filter(|_| !self.has_gap_from(cursor.last_id));
        let read = known.or_else(|| self.entries_up_to(cursor.last_id))?;
        Some(self.marks.added.wrapping_sub(read) as i64)
    }

    /// The cursor of a group behind the delivery of an entry.
    pub(crate) fn cursor_past(&self, cursor: Cursor, id: Id) -> Cursor {
        let counted = cursor.entries_read.filter(|_| !self.has_gap_from(id));
        let entries_read = match counted {
            Some(read) => Some(read.wrapping_add(1)),
            None if self.marks.added > 0 => self.entries_up_to(id),
            None => cursor.entries_read,
        };
        Cursor { last_id: id, entries_read }
    }

    /// Bytes allocated, this struct included.
    pub(crate) fn heap_size(&self) -> usize {
        let fixed = size_of::<Node>() + 2 * size_of::<usize>();
        let nodes = self.nodes.iter().map(|slot| fixed + slot.node.heap_size());
        size_of::<Self>() + self.nodes.capacity() * size_of::<Slot>() + nodes.sum::<usize>()
    }
}

/// A node for change; one that is as it was written is opened.
#[inline]
fn own_node(node: &mut Arc<Node>) -> &mut Node {
    if node.written().is_some() {
        *node = Arc::new(node.opened());
    }
    own(node)
}

/// Nodes that are as they were written, before a change opens them: to be kept by whoever may undo
/// it.
impl Stream {
    /// The node that entries are appended to.
    pub(crate) fn written_last(&self) -> Option<Arc<Node>> {
        self.written_at(self.nodes.len().checked_sub(1)?)
    }

    /// The node that entries are trimmed from.
    pub(crate) fn written_first(&self) -> Option<Arc<Node>> {
        self.written_at(0)
    }

    /// The node that has the entry with an ID, unless that is the only one in it.
    pub(crate) fn written_with(&self, id: Id) -> Option<Arc<Node>> {
        let node = self.written_at(self.node_of(id))?;
        (node.len() > 1 && node.search(id).1).then_some(node)
    }

    fn written_at(&self, at: usize) -> Option<Arc<Node>> {
        let node = &self.nodes.get(at)?.node;
        node.written().map(|_| Arc::clone(node))
    }

    /// Puts a node back that was opened.
    pub(crate) fn close_node(&mut self, node: Arc<Node>) {
        let at = self.node_of(node.first());
        if let Some(slot) = self.nodes.get_mut(at).filter(|slot| slot.first == node.first()) {
            slot.node = node;
        }
    }
}

/// Changing entries.
impl Stream {
    /// Appends an entry; its ID must be greater than the last there was.
    pub(crate) fn append(&mut self, id: Id, pairs: &[Pair<'_>], limits: NodeLimits) {
        let text_bytes = pairs.iter().map(|[field, value]| field.len() + value.len()).sum();
        match self.nodes.back_mut() {
            Some(last) if last.node.admits(text_bytes, limits) => {
                own_node(&mut last.node).push(id, pairs);
            }
            _ => {
                self.begin_node(id, pairs.iter().map(|[field, _]| *field));
                self.push(id, pairs);
            }
        }
        self.len += 1;
        self.marks.last_id = id;
        self.marks.added = self.marks.added.wrapping_add(1);
    }

    /// Begins a node for entries from an ID on, with the fields most of them will have.
    fn begin_node<'a>(&mut self, first: Id, fields: impl ExactSizeIterator<Item = &'a [u8]>) {
        // A node that somebody else holds, too, is not worth a copy.
        if let Some(last) = self.nodes.back_mut().and_then(|slot| Arc::get_mut(&mut slot.node)) {
            last.seal();
        }
        self.nodes.push_back(Slot { first, node: Arc::new(Node::new(first, fields)) });
    }

    fn push(&mut self, id: Id, pairs: &[Pair<'_>]) {
        if let Some(last) = self.nodes.back_mut() {
            own_node(&mut last.node).push(id, pairs);
        }
    }

    /// Deletes the entry with an ID, after what is kept of it was shown. The last of a node takes
    /// the node with it, which is returned.
    pub(crate) fn delete(&mut self, id: Id, show: impl FnOnce(&[u8])) -> Option<Deleted> {
        let at = self.node_of(id);
        let slot = self.nodes.get_mut(at)?;
        let (index, found) = slot.node.search(id);
        if !found {
            return None;
        }
        self.len -= 1;
        if slot.node.len() == 1 {
            return self.nodes.remove(at).map(|slot| Deleted::Node(slot.node));
        }
        own_node(&mut slot.node).delete(index, show);
        Some(Deleted::Entry)
    }

    /// Deletes the first entry of the first node, after what is kept of it was shown; returns its
    /// ID. As in Redis the node stays even if it holds nothing any more.
    pub(crate) fn trim_front(&mut self, show: impl FnOnce(&[u8])) -> Option<Id> {
        let node = &mut self.nodes.front_mut()?.node;
        let id = node.iter().next()?.id;
        own_node(node).delete(0, show);
        self.len -= 1;
        Some(id)
    }

    /// Brings back an entry that was deleted, from what was shown of it.
    pub(crate) fn restore(&mut self, id: Id, kept: &[u8]) {
        let at = self.node_of(id);
        if let Some(slot) = self.nodes.get_mut(at) {
            own_node(&mut slot.node).restore(id, kept);
            self.len += 1;
        }
    }

    /// Brings back a node that was taken out.
    pub(crate) fn restore_node(&mut self, node: Arc<Node>) {
        let first = node.first();
        let at = self.nodes.partition_point(|slot| slot.first < first);
        self.len += node.len();
        self.nodes.insert(at, Slot { first, node });
    }

    /// What it takes to forget what is appended from here on.
    pub(crate) fn tail(&self) -> Tail {
        self.nodes.back().map_or_else(Tail::default, |slot| slot.node.tail())
    }

    /// Forgets the entries behind an ID, which was the last when there were so many nodes and this
    /// tail.
    pub(crate) fn cut_after(&mut self, id: Id, nodes: usize, tail: Tail) {
        let before = self.len;
        for slot in self.nodes.drain(nodes.min(self.nodes.len())..) {
            self.len -= slot.node.len();
        }
        if let Some(last) = self.nodes.back_mut().filter(|slot| slot.node.tail() != tail) {
            self.len -= own_node(&mut last.node).cut_after(id, tail);
        }
        self.marks.last_id = id;
        self.marks.added = self.marks.added.wrapping_sub((before - self.len) as u64);
    }

    /// Takes so many nodes off the front.
    pub(crate) fn take_nodes(&mut self, count: usize) -> Vec<Arc<Node>> {
        let taken: Vec<_> = self.nodes.drain(..count).map(|slot| slot.node).collect();
        self.len -= taken.iter().map(|node| node.len()).sum::<usize>();
        taken
    }

    /// Remembers other marks; returns those it had.
    pub(crate) fn set_marks(&mut self, marks: Marks) -> Marks {
        std::mem::replace(&mut self.marks, marks)
    }
}

/// Building a stream from what was written down. Marks and groups are set as otherwise.
impl Stream {
    /// Adds a node behind all others from the listpack that it was written as; returns the ID of
    /// its last entry, its own if it has none. None if it is no node, or comes before another.
    pub(crate) fn load(&mut self, first: Id, packed: &[u8]) -> Option<Id> {
        let node = Node::from_written(first, packed)?;
        let (last, is_behind) = (node.last(), |slot: &Slot| slot.node.last() < first);
        if !self.nodes.back().is_none_or(is_behind) {
            return None;
        }
        self.len += node.len();
        self.nodes.push_back(Slot { first, node: Arc::new(node) });
        Some(last)
    }
}

/// Groups.
impl Stream {
    /// The groups, by name.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.iter().map(|group| &**group)
    }

    /// Where the group with a name is. Good until a group is added or removed.
    pub(crate) fn find_group(&self, name: &[u8]) -> Option<usize> {
        self.search_group(name).ok()
    }

    fn search_group(&self, name: &[u8]) -> Result<usize, usize> {
        self.groups.binary_search_by(|group| group.name().cmp(name))
    }

    /// The group at a place.
    pub(crate) fn group(&self, at: usize) -> Option<&Group> {
        self.groups.get(at).map(|group| &**group)
    }

    /// The group at a place, for change.
    pub(crate) fn group_mut(&mut self, at: usize) -> Option<&mut Group> {
        self.groups.get_mut(at).map(own)
    }

    /// Adds a group whose name is free; returns its place.
    pub(crate) fn add_group(&mut self, group: Arc<Group>) -> usize {
        let at = self.search_group(group.name()).unwrap_or_else(|at| at);
        self.groups.insert(at, group);
        at
    }

    /// Takes a group out.
    pub(crate) fn remove_group(&mut self, at: usize) -> Option<Arc<Group>> {
        (at < self.groups.len()).then(|| self.groups.remove(at))
    }
}

/// What became of an entry that was deleted.
pub(crate) enum Deleted {
    /// Its node lives on.
    Entry,
    /// It was the last of this node, which is no longer part of the stream.
    Node(Arc<Node>),
}

impl Marks {
    /// The marks as bytes.
    pub(crate) fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let (last, rest) = bytes.split_at_mut(16);
        let (deleted, added) = rest.split_at_mut(16);
        last.copy_from_slice(&self.last_id.to_bytes());
        deleted.copy_from_slice(&self.max_deleted.to_bytes());
        added.copy_from_slice(&self.added.to_le_bytes());
        bytes
    }

    /// The opposite of [`Marks::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Marks> {
        let (last, rest) = bytes.split_first_chunk()?;
        let (deleted, rest) = rest.split_first_chunk()?;
        Some(Marks {
            last_id: Id::from_bytes(*last),
            max_deleted: Id::from_bytes(*deleted),
            added: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

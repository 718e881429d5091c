//! Lists: elements one by one, or in nodes of several, as their history was.

use super::kind;
use super::listpack::{self, Listpack};
use super::read::{Packing, Reader, Room};
use super::write::Writer;
use super::ziplist::Ziplist;
use crate::value::Value;
use crate::value::list::{ChunkLimit, List, ListView};
use crate::value::listpack::{COUNT_UNKNOWN, elements};
use crate::value::packed::{Packed, frames_most};
use std::iter::Peekable;

/// A node that is one element.
const PLAIN: u64 = 1;
/// A node that is a listpack.
const PACKED: u64 = 2;

/// What Redis takes an element to need beside its bytes when it asks whether a node has room.
const ELEMENT_OVERHEAD_BYTES: usize = 8;

/// Writes a list in nodes. They are those that Redis has after the elements were pushed to the
/// right end one by one; which pushes there really were is forgotten, and makes no difference.
pub(super) fn write(out: &mut Writer, list: &ListView<'_>, limit: ChunkLimit) {
    out.byte(kind::LIST_QUICKLIST_2);
    out.counted(|out| {
        let (mut nodes, mut elements) = (0, list.iter().peekable());
        while nodes == 0 || elements.peek().is_some() {
            out.length(PACKED as usize);
            out.packed(|out| write_node(out, &mut elements, limit));
            nodes += 1;
        }
        nodes
    });
}

/// Writes as many elements as go into one node.
fn write_node<'a>(
    out: &mut Vec<u8>,
    elements: &mut Peekable<impl Iterator<Item = &'a [u8]>>,
    limit: ChunkLimit,
) {
    let mut node = listpack::Builder::new(out, 0);
    while let Some(element) = elements.next_if(|element| {
        let bytes = node.byte_len() + element.len() + ELEMENT_OVERHEAD_BYTES;
        node.len() == 0 || node.len() < limit.entries && bytes <= limit.bytes
    }) {
        node.push(element);
    }
    node.finish();
}

/// The list, unless it is empty, which none may be.
fn not_empty(list: List) -> Option<Value> {
    (!list.is_empty()).then_some(Value::List(list))
}

/// Elements one by one.
pub(super) fn read(reader: &mut Reader<'_>, limit: ChunkLimit) -> Option<Value> {
    let mut list = List::new();
    for _ in 0..reader.count()? {
        list.push_back(reader.string()?.as_bytes(), limit);
    }
    not_empty(list)
}

/// Appends the elements of a node.
fn append<P: Packing>(list: &mut List, node: &[u8], limit: ChunkLimit) -> Option<()> {
    if list.is_empty() {
        list.reserve(node.len(), limit);
    }
    P::read(node, |element| {
        element.with_bytes(|bytes| list.push_back(bytes, limit));
        Some(())
    })
}

/// The same of a listpack. The first one becomes a chunk as a whole if that surely holds it.
fn append_listpack(list: &mut List, node: &[u8], limit: ChunkLimit) -> Option<()> {
    let (elements, told) = elements(node)?;
    let few = told != COUNT_UNKNOWN && usize::from(told) <= limit.entries;
    if !list.is_empty() || !few || frames_most(elements) > limit.bytes {
        return append::<Listpack>(list, node, limit);
    }
    let chunk = Packed::of_listpack(elements, |_| ())?;
    let is_counted = chunk.len() == usize::from(told);
    *list = List::of_chunk(chunk);
    is_counted.then_some(())
}

/// One ziplist.
pub(super) fn read_ziplist(reader: &mut Reader<'_>, limit: ChunkLimit) -> Option<Value> {
    let mut list = List::new();
    append::<Ziplist>(&mut list, reader.string()?.as_bytes(), limit)?;
    not_empty(list)
}

/// Nodes that are ziplists.
pub(super) fn read_quicklist(reader: &mut Reader<'_>, limit: ChunkLimit) -> Option<Value> {
    let (mut list, mut room) = (List::new(), Room::new());
    for _ in 0..reader.count()? {
        append::<Ziplist>(&mut list, reader.packed(&mut room)?, limit)?;
    }
    not_empty(list)
}

/// Nodes that are listpacks or single elements.
pub(super) fn read_quicklist_2(reader: &mut Reader<'_>, limit: ChunkLimit) -> Option<Value> {
    let (mut list, mut room) = (List::new(), Room::new());
    for _ in 0..reader.count()? {
        match reader.count()? {
            PLAIN => match reader.string()?.as_bytes() {
                [] => return None,
                element => list.push_back(element, limit),
            },
            PACKED => append_listpack(&mut list, reader.packed(&mut room)?, limit)?,
            _ => return None,
        }
    }
    not_empty(list)
}

//! A node as it was written down: Redis's listpack, which is kept as it was read until it is
//! changed. So a stream that is restored costs one look at its bytes, and is dumped as it came.
//!
//! In front stand the numbers of entries that are there and that are deleted, and the names of the
//! first one's fields; an entry is its flags, the distance of its ID from the node's, its fields
//! unless they are those of the node, its values, and the number of elements all these are.
//!
//! What is read here was looked through by [`check`]; walks over it end where it makes no sense.

use super::id::Id;
use crate::number::parse_i64;
use crate::value::listpack::{
    COUNT_UNKNOWN, Element, before_last, elements, skip_first, split_first,
};

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the fields of its node.
pub(crate) const SAME_FIELDS: i64 = 2;

/// Elements of an entry beside its values: flags, both parts of the ID.
const ENTRY_ELEMENTS: usize = 3;
/// Elements in front beside the names: both numbers of entries, that of the names, a zero.
const FRONT_ELEMENTS: usize = 4;

/// What a node is found to hold.
pub(super) struct Summary {
    /// Entries that are not deleted.
    pub(super) len: u32,
    /// Those that are.
    pub(super) deleted: u32,
    /// The ID of the last one of either, the node's own if there is none.
    pub(super) last: Id,
}

/// Elements not yet read.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    #[inline]
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split_first(self.rest)?;
        self.rest = rest;
        Some(element)
    }

    #[inline]
    fn integer(&mut self) -> Option<i64> {
        // Most are a byte, and another for its length.
        if let [small @ 0..0x80, 1, rest @ ..] = self.rest {
            self.rest = rest;
            return Some((*small).into());
        }
        match self.element()? {
            Element::Integer(value) => Some(value),
            Element::Bytes(text) => parse_i64(text),
        }
    }

    #[inline]
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.rest = skip_first(self.rest)?;
        }
        Some(())
    }
}

/// What a node has in front of its entries.
struct Front<'a> {
    live: usize,
    deleted: usize,
    /// How many names there are.
    width: usize,
    names: Elements<'a>,
}

/// Reads what is in front; what is left are the entries.
#[inline]
fn front<'a>(rest: &mut Elements<'a>) -> Option<Front<'a>> {
    let (live, deleted, width) = (rest.count()?, rest.count()?, rest.count()?);
    let names = *rest;
    rest.skip(width)?;
    (rest.integer()? == 0).then_some(Front { live, deleted, width, names })
}

/// An entry as it is written.
pub(super) struct Raw<'a> {
    flags: i64,
    pub(super) id: Id,
    /// How many fields of its own it has, 0 for those of the node.
    pub(super) own_fields: usize,
    /// Its fields, if it has its own, and its values.
    pub(super) data: Elements<'a>,
}

impl Raw<'_> {
    fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }
}

/// Reads an entry of a node that has so many fields.
#[inline(always)]
fn entry<'a>(rest: &mut Elements<'a>, first: Id, width: usize) -> Option<Raw<'a>> {
    let (flags, ms, seq) = match rest.rest {
        // Most are a byte, and another for its length.
        [a @ 0..0x80, 1, b @ 0..0x80, 1, c @ 0..0x80, 1, behind @ ..] => {
            rest.rest = behind;
            ((*a).into(), (*b).into(), (*c).into())
        }
        _ => (rest.integer()?, rest.integer()?, rest.integer()?),
    };
    let id = Id { ms: first.ms.wrapping_add(ms as u64), seq: first.seq.wrapping_add(seq as u64) };
    let (own_fields, values, before) = match flags & SAME_FIELDS {
        0 => {
            let own = rest.count().filter(|&own| own > 0)?;
            (own, own.checked_mul(2)?, ENTRY_ELEMENTS + 1)
        }
        _ => (0, width, ENTRY_ELEMENTS),
    };
    let data = *rest;
    rest.skip(values)?;
    let entry = Raw { flags, id, own_fields, data };
    (rest.count()? == values.checked_add(before)?).then_some(entry)
}

/// Looks a node through whose first ID is known; none if anything about it is wrong. Each ID is
/// greater than those before it, and none is less than the node's.
pub(super) fn check(first: Id, packed: &[u8]) -> Option<Summary> {
    let (rest, told) = elements(packed)?;
    let mut rest = Elements { rest };
    let Front { live, deleted, width, .. } = front(&mut rest)?;
    let (mut last, mut found, mut count) = (None, 0, FRONT_ELEMENTS + width);
    for _ in 0..live.checked_add(deleted)? {
        let entry = entry(&mut rest, first, width)?;
        if entry.id < first || last.is_some_and(|last| entry.id <= last) {
            return None;
        }
        found += usize::from(!entry.is_deleted());
        last = Some(entry.id);
        count += ENTRY_ELEMENTS
            + 1
            + if entry.own_fields > 0 { 2 * entry.own_fields + 1 } else { width };
    }
    let counted = told == COUNT_UNKNOWN || usize::from(told) == count;
    if width == 0 || !rest.rest.is_empty() || found != live || !counted {
        return None;
    }
    let [len, deleted] = [live, deleted].map(u32::try_from);
    Some(Summary { len: len.ok()?, deleted: deleted.ok()?, last: last.unwrap_or(first) })
}

/// The names of a node's fields, and how many they are.
pub(super) fn names(packed: &[u8]) -> (Elements<'_>, usize) {
    let mut rest = Elements { rest: elements(packed).map_or(&[], |(elements, _)| elements) };
    front(&mut rest).map_or((rest, 0), |front| (front.names, front.width))
}

/// The entries of a node that are not deleted, from both ends.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    rest: Elements<'a>,
    first: Id,
    width: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(first: Id, packed: &'a [u8]) -> Entries<'a> {
        let mut rest = Elements { rest: elements(packed).map_or(&[], |(elements, _)| elements) };
        let width = front(&mut rest).map_or(0, |front| front.width);
        Entries { rest, first, width }
    }

    /// Takes the last entry, deleted or not.
    fn take_last(&mut self) -> Option<Raw<'a>> {
        let all = self.rest.rest;
        let mut start = before_last(all)?;
        let size = Elements { rest: all.get(start.len()..)? }.count()?;
        for _ in 0..size {
            start = before_last(start)?;
        }
        self.rest = Elements { rest: start };
        entry(&mut Elements { rest: all.get(start.len()..)? }, self.first, self.width)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Raw<'a>;

    #[inline]
    fn next(&mut self) -> Option<Raw<'a>> {
        loop {
            let entry = entry(&mut self.rest, self.first, self.width)?;
            if !entry.is_deleted() {
                return Some(entry);
            }
        }
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.take_last()?;
            if !entry.is_deleted() {
                return Some(entry);
            }
        }
    }
}

//! A node: some tens of entries that follow each other, packed.
//!
//! The names of the fields of its first entry lie once in front; an entry with the same fields
//! holds its values only. IDs are kept as their distance from the node's first. Beside what it
//! holds a node knows how large Redis's would be, deleted entries included: how many entries go
//! into a node decides what approximate trimming leaves, so that has to be the same.
//!
//! A node that was read is kept as it was written (`written.rs`); it is opened to be changed.

use super::codec::{
    Datum, Draft, Reader, datum_size, integer_size, push_datum, push_integer, push_varint,
};
use super::id::Id;
use super::written::{self, Elements, Summary};
use crate::value::packed::{self, Packed};

/// When a node is full: `stream-node-max-entries` and `stream-node-max-bytes`, 0 for no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLimits {
    /// Entries, deleted ones included.
    pub(crate) entries: usize,
    /// Bytes as Redis counts them.
    pub(crate) bytes: usize,
}

impl Default for NodeLimits {
    /// Redis 7.0's defaults.
    fn default() -> Self {
        NodeLimits { entries: 100, bytes: 4096 }
    }
}

/// No node takes more bytes than this, nor does an entry.
pub(crate) const NODE_BYTES_MOST: usize = 1 << 30;

/// What a listpack takes that holds nothing, and the end of the field names in it.
const EMPTY_BYTES: usize = 7 + 2;

/// Entries that follow each other.
#[derive(Clone)]
pub(crate) struct Node {
    /// The ID of the first entry there ever was.
    first: Id,
    /// The ID of the last one, which may be deleted.
    last: Id,
    /// The field names of the first entry: their number, then each behind its length.
    fields: Box<[u8]>,
    /// Each entry as distances of its ID, its number of fields (0: those of the node), its data.
    entries: Packed,
    /// How many entries were deleted.
    deleted: u32,
    /// What the entries take in a listpack.
    bytes: u32,
    /// The whole node as it was written, while it was not changed; there are no fields and entries
    /// beside it.
    written: Option<Box<[u8]>>,
    /// How many entries are in what was written.
    written_len: u32,
}

/// What a node must remember to forget entries that are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    last: Id,
    bytes: u32,
}

/// A field with its value.
pub(crate) type Pair<'a> = [&'a [u8]; 2];

/// Making and measuring.
impl Node {
    /// A node for an entry with these fields, which is yet to be pushed.
    pub(super) fn new<'a>(first: Id, fields: impl ExactSizeIterator<Item = &'a [u8]>) -> Node {
        let mut names = Draft::new();
        let mut size = integer_size(fields.len() as i64);
        push_varint(&mut names, fields.len() as u64);
        for field in fields {
            push_varint(&mut names, field.len() as u64);
            names.extend_from_slice(field);
            size += datum_size(field);
        }
        Node { fields: names.as_slice().into(), bytes: saturate(size), ..Node::empty(first) }
    }

    fn empty(first: Id) -> Node {
        Node {
            first,
            last: first,
            fields: Box::default(),
            entries: Packed::new(),
            deleted: 0,
            bytes: 0,
            written: None,
            written_len: 0,
        }
    }

    /// The node that was written as this listpack, if it is one.
    pub(super) fn from_written(first: Id, packed: &[u8]) -> Option<Node> {
        let Summary { len, deleted, last } = written::check(first, packed)?;
        let counts = integer_size(len.into()) + integer_size(deleted.into());
        let bytes = saturate(packed.len().saturating_sub(EMPTY_BYTES + counts));
        let written = Some(packed.into());
        Some(Node { last, deleted, bytes, written, written_len: len, ..Node::empty(first) })
    }

    /// What was written, while it was not changed.
    pub(crate) fn written(&self) -> Option<&[u8]> {
        self.written.as_deref()
    }

    /// The same node in the form that can be changed. What is left of deleted entries is their size.
    pub(super) fn opened(&self) -> Node {
        let (mut names, mut entries) = (Draft::new(), Packed::with_capacity(self.heap_size()));
        let width = self.fields().len();
        push_varint(&mut names, width as u64);
        for name in self.fields() {
            name.with_bytes(|name| {
                push_varint(&mut names, name.len() as u64);
                names.extend_from_slice(name);
            });
        }
        for entry in self.iter() {
            let mut draft = Draft::new();
            self.push_head(&mut draft, entry.id, entry.own_fields);
            let mut push = |datum: Datum<'_>| match datum {
                Datum::Integer(value) if push_integer(&mut draft, value) => (),
                datum => drop(datum.with_bytes(|text| push_datum(&mut draft, text))),
            };
            entry.data(width).for_each(&mut push);
            entries.push_back(&draft);
        }
        entries.fit();
        let Node { first, last, deleted, bytes, .. } = *self;
        let fields = names.as_slice().into();
        Node { last, fields, entries, deleted, bytes, ..Node::empty(first) }
    }

    /// The ID its entries are counted from.
    pub(crate) fn first(&self) -> Id {
        self.first
    }

    /// The ID of the last entry, deleted or not.
    pub(super) fn last(&self) -> Id {
        self.last
    }

    /// Number of entries that are not deleted.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.written_len as usize
    }

    /// What Redis's node takes.
    pub(crate) fn listpack_bytes(&self) -> usize {
        let counts = integer_size(self.len() as i64) + integer_size(self.deleted.into());
        EMPTY_BYTES + counts + self.bytes as usize
    }

    /// Whether another entry whose texts are so long together goes into the node.
    pub(super) fn admits(&self, text_bytes: usize, limits: NodeLimits) -> bool {
        let most = match limits.bytes {
            0 => NODE_BYTES_MOST,
            bytes => bytes.min(NODE_BYTES_MOST),
        };
        let has_room = limits.entries == 0 || self.len() + (self.deleted as usize) < limits.entries;
        has_room && self.listpack_bytes() + text_bytes < most
    }

    /// The field names that entries of the node share.
    #[inline]
    pub(crate) fn fields(&self) -> Names<'_> {
        if let Some(written) = &self.written {
            let (names, left) = written::names(written);
            return Names { rest: Rest::Written(names), left };
        }
        let mut rest = Reader { rest: &self.fields };
        let left = rest.varint() as usize;
        Names { rest: Rest::Kept(rest), left }
    }

    /// Bytes allocated, this struct excluded.
    pub(super) fn heap_size(&self) -> usize {
        let written = self.written.as_ref().map_or(0, |written| written.len());
        self.fields.len() + self.entries.heap_size() + written
    }
}

/// Reading.
impl Node {
    /// The entries in order, from both ends.
    #[inline]
    pub(crate) fn iter(&self) -> Entries<'_> {
        let rest = match &self.written {
            None => Rest::Kept(self.entries.iter()),
            Some(written) => Rest::Written(written::Entries::new(self.first, written)),
        };
        Entries { node: self, rest }
    }

    /// The first entry with this ID or a later one, by its index, and whether it has that ID.
    pub(super) fn search(&self, id: Id) -> (usize, bool) {
        if id > self.last {
            return (self.len(), false);
        }
        let found = self.iter().enumerate().find(|(_, entry)| entry.id >= id);
        found.map_or((self.len(), false), |(index, entry)| (index, entry.id == id))
    }

    #[inline]
    fn read<'a>(&'a self, packed: &'a [u8]) -> Entry<'a> {
        let mut reader = Reader { rest: packed };
        let (ms, seq) = (reader.varint(), reader.varint());
        // Numbers within the first millisecond are distances, too.
        let base = if ms == 0 { self.first.seq } else { 0 };
        let id = Id { ms: self.first.ms.wrapping_add(ms), seq: base.wrapping_add(seq) };
        let own_fields = reader.varint() as usize;
        Entry { id, node: self, own_fields, data: Rest::Kept(reader) }
    }

    fn of_raw<'a>(&'a self, raw: written::Raw<'a>) -> Entry<'a> {
        let written::Raw { id, own_fields, data, .. } = raw;
        Entry { id, node: self, own_fields, data: Rest::Written(data) }
    }
}

/// Changes.
impl Node {
    /// Whether an entry has just the fields of the node.
    fn shares_fields(&self, pairs: &[Pair<'_>]) -> bool {
        let fields = self.fields();
        let same = |(name, [field, _]): (Datum<'_>, &Pair<'_>)| name == Datum::Bytes(field);
        fields.len() == pairs.len() && fields.zip(pairs).all(same)
    }

    /// Appends an entry behind all others.
    pub(super) fn push(&mut self, id: Id, pairs: &[Pair<'_>]) {
        let mut draft = Draft::new();
        let size = self.draft(&mut draft, id, pairs);
        self.entries.make_ample_room(draft.len());
        self.entries.push_back(&draft);
        self.grow(id, size);
    }

    fn grow(&mut self, id: Id, size: usize) {
        self.last = id;
        self.bytes = saturate(self.bytes as usize + size);
    }

    /// Writes an entry as it is kept; returns what it takes in a listpack: there it has flags before
    /// it and its number of elements behind it.
    #[inline]
    fn draft(&self, draft: &mut Draft, id: Id, pairs: &[Pair<'_>]) -> usize {
        let shares = self.shares_fields(pairs);
        let (ms, seq) = self.push_head(draft, id, if shares { 0 } else { pairs.len() });
        let mut size = 2 + integer_size(ms as i64) + integer_size(seq as i64);
        if !shares {
            size += integer_size(pairs.len() as i64);
        }
        for [field, value] in pairs {
            if !shares {
                size += push_datum(draft, field);
            }
            size += push_datum(draft, value);
        }
        let elements = if shares { pairs.len() + 3 } else { 2 * pairs.len() + 4 };
        size + integer_size(elements as i64)
    }

    /// Writes what an entry is kept behind: the distances of its ID, which are returned, and how many
    /// fields of its own it has.
    #[inline]
    fn push_head(&self, draft: &mut Draft, id: Id, own_fields: usize) -> (u64, u64) {
        let ms = id.ms.wrapping_sub(self.first.ms);
        let seq = id.seq.wrapping_sub(self.first.seq);
        push_varint(draft, ms);
        push_varint(draft, if ms == 0 { seq } else { id.seq });
        push_varint(draft, own_fields as u64);
        (ms, seq)
    }

    /// Deletes the entry with this index, after what is kept of it was shown.
    pub(super) fn delete(&mut self, index: usize, show: impl FnOnce(&[u8])) {
        if let Some(position) = self.entries.position(index) {
            show(self.entries.at(position));
            self.entries.remove(position);
            self.deleted += 1;
        }
    }

    /// Brings back an entry from what was kept of it.
    pub(super) fn restore(&mut self, id: Id, kept: &[u8]) {
        let (index, _) = self.search(id);
        self.entries.insert_index(index, kept);
        self.deleted = self.deleted.saturating_sub(1);
    }

    /// What it takes to forget what is appended from here on.
    pub(super) fn tail(&self) -> Tail {
        Tail { last: self.last, bytes: self.bytes }
    }

    /// Forgets the entries behind an ID; returns how many there were.
    pub(super) fn cut_after(&mut self, id: Id, tail: Tail) -> usize {
        let before = self.len();
        while self.iter().next_back().is_some_and(|entry| entry.id > id) {
            self.entries.pop_back();
        }
        Tail { last: self.last, bytes: self.bytes } = tail;
        before - self.len()
    }

    /// Gives back spare room once no more entries come.
    pub(super) fn seal(&mut self) {
        self.entries.fit();
    }
}

/// A size in 32 bits: what is larger than a node may be needs no exact figure.
fn saturate(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl Tail {
    /// The tail as bytes.
    pub(crate) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let (id, size) = bytes.split_at_mut(16);
        id.copy_from_slice(&self.last.to_bytes());
        size.copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// The opposite of [`Tail::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Tail> {
        let (id, size) = bytes.split_first_chunk()?;
        Some(Tail { last: Id::from_bytes(*id), bytes: u32::from_le_bytes(*size.first_chunk()?) })
    }
}

/// What is not read yet, as it is kept here or as it was written.
#[derive(Clone, Copy)]
enum Rest<K, W> {
    Kept(K),
    Written(W),
}

impl<'a> Rest<Reader<'a>, Elements<'a>> {
    /// The next datum; an empty text past the end.
    #[inline]
    fn datum(&mut self) -> Datum<'a> {
        match self {
            Rest::Kept(reader) => reader.datum(),
            Rest::Written(elements) => elements.element().unwrap_or(Datum::Bytes(&[])),
        }
    }
}

/// Field names.
pub(crate) struct Names<'a> {
    rest: Rest<Reader<'a>, Elements<'a>>,
    left: usize,
}

impl<'a> Iterator for Names<'a> {
    type Item = Datum<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datum<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(match &mut self.rest {
            Rest::Kept(reader) => Datum::Bytes(reader.text()),
            Rest::Written(elements) => elements.element().unwrap_or(Datum::Bytes(&[])),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Names<'_> {}

/// The entries of a node, from both ends.
#[derive(Clone)]
pub(crate) struct Entries<'a> {
    node: &'a Node,
    rest: Rest<packed::Iter<'a>, written::Entries<'a>>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        match &mut self.rest {
            Rest::Kept(packed) => packed.next().map(|packed| self.node.read(packed)),
            Rest::Written(raw) => raw.next().map(|raw| self.node.of_raw(raw)),
        }
    }
}

impl DoubleEndedIterator for Entries<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.rest {
            Rest::Kept(packed) => packed.next_back().map(|packed| self.node.read(packed)),
            Rest::Written(raw) => raw.next_back().map(|raw| self.node.of_raw(raw)),
        }
    }
}

/// An entry: its ID, its fields and their values.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Its ID.
    pub(crate) id: Id,
    node: &'a Node,
    /// How many fields of its own it has, 0 for those of the node.
    own_fields: usize,
    data: Rest<Reader<'a>, Elements<'a>>,
}

impl<'a> Entry<'a> {
    /// Whether its fields are those of its node.
    pub(crate) fn shares_fields(&self) -> bool {
        self.own_fields == 0
    }

    /// Number of fields.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.own_fields {
            0 => self.node.fields().len(),
            own => own,
        }
    }

    /// All that is kept of it: its fields, if it has its own, and its values. It is one of a node of
    /// so many fields.
    #[inline]
    pub(crate) fn data(&self, width: usize) -> impl Iterator<Item = Datum<'a>> + use<'a> {
        let mut data = self.data;
        let count = if self.shares_fields() { width } else { 2 * self.own_fields };
        (0..count).map(move |_| data.datum())
    }

    /// The fields with their values.
    pub(crate) fn pairs(&self) -> impl ExactSizeIterator<Item = (Datum<'a>, Datum<'a>)> + use<'a> {
        let (own, mut data) = (self.own_fields > 0, self.data);
        let mut names = self.node.fields();
        (0..self.len()).map(move |_| {
            let name = if own { data.datum() } else { names.next().unwrap_or(Datum::Bytes(&[])) };
            (name, data.datum())
        })
    }
}

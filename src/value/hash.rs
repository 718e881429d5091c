//! The hash: fields with values.
//!
//! A small hash is a packed sequence of fields and values in turn, in the order they were added;
//! a large one is a [`Table`] of pairs, most of which lie whole in their slots. The caller decides when to
//! convert, because only it knows the limits and can undo; nothing converts back.
//!
//! This room knows no commands, replies or journals.

use super::packed::{self, Packed, Pair as Found};
use super::zset::PackedLimits;
use super::{Borrowed, Kind, Owned, Storage};
use crate::table::{Keyed, Step, Table};

/// A hash. The clone of a large one shares its pairs until one of the two is changed.
#[derive(Clone)]
pub(crate) enum Hash<S: Storage = Owned> {
    /// Fields and values in turn.
    Packed(Packed<S::Bytes>),
    /// Pairs by field; boxed, lest the many small hashes take as much room.
    Table(S::Large<Table<Pair>>),
}

/// A hash, borrowed for reading.
pub(crate) type HashView<'a> = Hash<Borrowed<'a>>;

/// A field and its value as the table holds them: 24 bytes, in which most pairs lie whole.
#[derive(Clone)]
pub(crate) enum Pair {
    /// The field and the value side by side.
    Short { field_len: u8, value_len: u8, bytes: [u8; SHORT_BYTES] },
    /// In an allocation: the length of the field, the field, the value.
    Long(Box<[u8]>),
}

/// The most bytes of a field and its value that need no allocation.
const SHORT_BYTES: usize = 21;

// What a large hash weighs depends on it.
const _: () = assert!(size_of::<Pair>() == 24);

/// Bytes of the length in front of a long pair.
const LENGTH: usize = size_of::<u32>();

impl Pair {
    #[inline]
    fn new(field: &[u8], value: &[u8]) -> Pair {
        let mut bytes = [0; SHORT_BYTES];
        let Some((head, rest)) = bytes.split_at_mut_checked(field.len()) else {
            return Pair::long(field, value);
        };
        let Some(tail) = rest.get_mut(..value.len()) else { return Pair::long(field, value) };
        head.copy_from_slice(field);
        tail.copy_from_slice(value);
        Pair::Short { field_len: field.len() as u8, value_len: value.len() as u8, bytes }
    }

    #[inline(never)]
    fn long(field: &[u8], value: &[u8]) -> Pair {
        let mut bytes = Vec::with_capacity(LENGTH + field.len() + value.len());
        bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(value);
        Pair::Long(bytes.into_boxed_slice())
    }

    #[inline]
    fn split(&self) -> (&[u8], &[u8]) {
        match self {
            Pair::Short { field_len, value_len, bytes } => {
                let parts = bytes.split_at_checked((*field_len).into());
                let (field, rest) = parts.unwrap_or_default();
                (field, rest.get(..(*value_len).into()).unwrap_or_default())
            }
            Pair::Long(bytes) => {
                let (length, rest) =
                    bytes.split_first_chunk::<LENGTH>().unwrap_or((&[0; LENGTH], &[]));
                rest.split_at_checked(u32::from_le_bytes(*length) as usize).unwrap_or_default()
            }
        }
    }

    /// Overwrites the value in place if the new one is as long.
    fn overwrite(&mut self, field_len: usize, value: &[u8]) -> bool {
        let (bytes, start, len) = match self {
            Pair::Short { value_len, bytes, .. } => (&mut bytes[..], 0, (*value_len).into()),
            Pair::Long(bytes) => {
                let len = bytes.len() - LENGTH - field_len;
                (&mut bytes[..], LENGTH, len)
            }
        };
        match bytes.get_mut(start + field_len..start + field_len + len) {
            Some(old) if len == value.len() => {
                old.copy_from_slice(value);
                true
            }
            _ => false,
        }
    }

    /// Bytes allocated outside of the slot.
    fn heap_size(&self) -> usize {
        match self {
            Pair::Short { .. } => 0,
            Pair::Long(bytes) => bytes.len(),
        }
    }
}

impl Keyed for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        self.split().0
    }
}

/// Changing.
impl Hash {
    /// An empty, packed hash, without an allocation.
    pub(crate) const fn new() -> Hash {
        Hash::Packed(Packed::new())
    }

    /// An empty, packed hash behind a prefix.
    pub(crate) fn behind(prefix: Vec<u8>) -> Hash {
        Hash::Packed(Packed::behind(prefix))
    }

    /// The kinds of blocks it lies in.
    pub(super) const KINDS: &'static [Kind] = &[Kind::Hash];

    /// Opens a block.
    #[inline]
    pub(super) fn from_block(_: Kind, block: Vec<u8>, prefix: usize) -> Hash {
        Hash::Packed(Packed::from_block(block, prefix))
    }

    /// Closes a small hash up, if it lies behind a prefix of so many bytes.
    #[inline]
    pub(super) fn close_up(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
        match self {
            Hash::Packed(packed) => Some((Kind::Hash, packed.close(prefix)?)),
            Hash::Table(_) => None,
        }
    }

    /// The same hash, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> HashView<'_> {
        match self {
            Hash::Packed(packed) => Hash::Packed(packed.view()),
            Hash::Table(table) => Hash::Table(&**table),
        }
    }

    /// Bytes allocated; of a large hash about so many fields are looked at and stand for the others.
    pub(crate) fn heap_size(&self, samples: usize) -> usize {
        match self {
            Hash::Packed(packed) => packed.heap_size(),
            Hash::Table(table) => {
                size_of::<Table<Pair>>() + table.heap_size(samples, Pair::heap_size)
            }
        }
    }

    /// Whether a field or value of this length is too long for the small form.
    pub(crate) fn too_long(length: usize, limits: PackedLimits) -> bool {
        length > limits.value_bytes
    }

    /// Whether the small form holds more fields than it may.
    pub(crate) fn too_many(&self, limits: PackedLimits) -> bool {
        self.is_packed() && self.len() > limits.entries
    }

    /// Converts to the large form and returns the small one, for undo.
    pub(crate) fn unpack(&mut self) -> Hash {
        let mut table = Table::new();
        for (field, value) in self.iter() {
            table.insert(Pair::new(field, value));
        }
        std::mem::replace(self, Hash::Table(Box::new(table)))
    }

    /// Sets a field. `overwritten` sees the old value, if there was one; the result tells
    /// whether the field is new.
    pub(crate) fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        overwritten: impl FnOnce(&[u8]),
    ) -> bool {
        match self {
            Hash::Packed(packed) => {
                let found = packed.find_pair(field);
                set_found(packed, found, field, value, overwritten)
            }
            Hash::Table(table) => set_in_table(table, field, value, overwritten),
        }
    }

    /// The same where a small hash was looked at before, and this was found in it.
    pub(crate) fn set_found(
        &mut self,
        found: Option<Found>,
        field: &[u8],
        value: &[u8],
        overwritten: impl FnOnce(&[u8]),
    ) -> bool {
        match self {
            Hash::Packed(packed) => set_found(packed, found, field, value, overwritten),
            Hash::Table(table) => set_in_table(table, field, value, overwritten),
        }
    }

    /// Makes room for about so many bytes of fields and values while the hash is small.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        if let Hash::Packed(packed) = self {
            packed.reserve(bytes);
        }
    }

    /// Sets a field that the caller knows to be new while the hash is small; nothing is looked up
    /// there. In a large one an old value is replaced; the result tells whether the field is new.
    pub(crate) fn append(&mut self, field: &[u8], value: &[u8]) -> bool {
        match self {
            Hash::Packed(packed) => {
                packed.push_back(field);
                packed.push_back(value);
                true
            }
            Hash::Table(table) => set_in_table(table, field, value, |_| ()),
        }
    }

    /// Removes a field. `removed` sees its index, which only the small form has, and its value.
    pub(crate) fn remove(&mut self, field: &[u8], removed: impl FnOnce(usize, &[u8])) -> bool {
        match self {
            Hash::Packed(packed) => {
                let Some(found) = packed.find_pair(field) else { return false };
                removed(found.index, packed.at(found.second));
                // The first removal may move what is left; it tells where the value is now.
                if let Some(value) = packed.remove(found.first) {
                    packed.remove(value);
                }
                true
            }
            Hash::Table(table) => {
                let Some(at) = table.find(field) else { return false };
                removed(0, table.get(at).split().1);
                table.remove(at);
                true
            }
        }
    }

    /// Puts a removed pair back where it was.
    pub(crate) fn restore(&mut self, index: usize, field: &[u8], value: &[u8]) {
        match self {
            Hash::Packed(packed) => {
                packed.insert_index(index * 2, value);
                packed.insert_index(index * 2, field);
            }
            Hash::Table(table) => {
                set_in_table(table, field, value, |_| ());
            }
        }
    }
}

impl<'a> HashView<'a> {
    /// The hash in a block of a kind, if it is one.
    #[inline]
    pub(super) fn in_block(kind: Kind, block: &'a [u8], prefix: usize) -> Option<Self> {
        (kind == Kind::Hash).then(|| Hash::Packed(Packed::in_block(block, prefix)))
    }
}

/// Reading.
impl<S: Storage> Hash<S> {
    /// Number of fields.
    pub(crate) fn len(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.len() / 2,
            Hash::Table(table) => table.len(),
        }
    }

    /// Whether the hash is in its small form, "listpack".
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Hash::Packed(_))
    }

    /// Reads ahead what looking up fields of a large hash will read: see [`Table::prefetch`].
    #[cfg(feature = "listen")]
    pub(crate) fn prefetch(&self, fields: &[&[u8]]) {
        if let Hash::Table(table) = self {
            table.prefetch(fields);
        }
    }

    /// The value of a field.
    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match self {
            Hash::Packed(packed) => packed.find_pair(field).map(|found| packed.at(found.second)),
            Hash::Table(table) => table.find(field).map(|at| table.get(at).split().1),
        }
    }

    /// All fields with their values: in the order they were added while small, in none otherwise.
    pub(crate) fn iter(&self) -> Pairs<'_> {
        match self {
            Hash::Packed(packed) => Pairs::Packed(packed.iter()),
            Hash::Table(table) => Pairs::Table(Box::new(table.iter().map(Pair::split))),
        }
    }

    /// A field at random with its value; `below` gives numbers below a bound.
    pub(crate) fn some(&self, mut below: impl FnMut(usize) -> usize) -> Option<(&[u8], &[u8])> {
        match self {
            Hash::Packed(packed) if self.len() > 0 => {
                let mut pair = packed.iter_from(2 * below(self.len()));
                Some((pair.next()?, pair.next()?))
            }
            Hash::Packed(_) => None,
            Hash::Table(table) => table.random(below).map(|at| table.get(at).split()),
        }
    }

    /// One step of HSCAN: the small form is visited whole.
    pub(crate) fn scan(&self, step: Step, visit: &mut dyn FnMut(&[u8], &[u8])) -> u64 {
        match self {
            Hash::Packed(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Hash::Table(table) => table.scan(step, &mut |pair| {
                let (field, value) = pair.split();
                visit(field, value);
            }),
        }
    }
}

/// The fields of a hash with their values.
pub(crate) enum Pairs<'a> {
    Packed(packed::Iter<'a>),
    /// A walk of a large hash is long enough for a box and a call a pair.
    Table(Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>),
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Pairs::Packed(elements) => Some((elements.next()?, elements.next()?)),
            Pairs::Table(pairs) => pairs.next(),
        }
    }
}

fn set_found(
    packed: &mut Packed,
    found: Option<Found>,
    field: &[u8],
    value: &[u8],
    overwritten: impl FnOnce(&[u8]),
) -> bool {
    match found {
        Some(found) => {
            overwritten(packed.at(found.second));
            packed.replace(found.second, value);
            false
        }
        None => {
            packed.push_back(field);
            packed.push_back(value);
            true
        }
    }
}

fn set_in_table(
    table: &mut Table<Pair>,
    field: &[u8],
    value: &[u8],
    overwritten: impl FnOnce(&[u8]),
) -> bool {
    match table.find(field) {
        Some(at) => {
            overwritten(table.get(at).split().1);
            let pair = table.get_mut(at);
            if !pair.overwrite(field.len(), value) {
                *pair = Pair::new(field, value);
            }
            false
        }
        None => {
            table.insert(Pair::new(field, value));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(hash: &Hash) -> Vec<(String, String)> {
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        let mut all: Vec<_> = hash.iter().map(|(f, v)| (text(f), text(v))).collect();
        if !hash.is_packed() {
            all.sort();
        }
        all
    }

    fn filled() -> Hash {
        let mut hash = Hash::new();
        for (field, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            assert!(
                hash.set(field.as_bytes(), value.as_bytes(), |_| panic!("nothing to overwrite"))
            );
        }
        hash
    }

    #[test]
    fn both_forms_set_get_and_remove_alike() {
        for unpacked in [false, true] {
            let mut hash = filled();
            if unpacked {
                assert_eq!(pairs(&hash.unpack()), pairs(&filled()));
            }
            assert_eq!(hash.get(b"b"), Some(&b"2"[..]));
            let mut old = Vec::new();
            assert!(!hash.set(b"b", b"longer", |v| old = v.to_vec()));
            assert_eq!(old, b"2");
            assert_eq!(hash.get(b"b"), Some(&b"longer"[..]));
            assert!(hash.remove(b"a", |_, v| old = v.to_vec()));
            assert_eq!((old.as_slice(), hash.len()), (&b"1"[..], 2));
            assert!(!hash.remove(b"a", |_, _| panic!("nothing to remove")));
            assert_eq!(hash.get(b"a"), None);
        }
    }

    #[test]
    fn pairs_of_every_length_come_back_and_take_values_of_every_length() {
        let text: Vec<u8> = (0..60).collect();
        let lengths = || [0, 1, 10, 20, 21, 22, 30, 60].into_iter();
        for (field, value) in lengths().flat_map(|field| lengths().map(move |value| (field, value)))
        {
            let (field, value) = (&text[..field], &text[60 - value..]);
            let pair = Pair::new(field, value);
            assert_eq!(pair.split(), (field, value));
            assert_eq!(pair.heap_size() == 0, field.len() + value.len() <= SHORT_BYTES);
            let mut hash = Hash::new();
            hash.unpack();
            hash.set(field, value, |_| panic!("nothing to overwrite"));
            for other in lengths().map(|len| &text[..len]) {
                let before = hash.get(field).unwrap().to_vec();
                let mut old = Vec::new();
                assert!(!hash.set(field, other, |value| old = value.to_vec()));
                assert_eq!((old, hash.get(field)), (before, Some(other)));
                assert_eq!((hash.len(), hash.iter().next()), (1, Some((field, other))));
            }
        }
    }

    #[test]
    fn a_restored_pair_is_where_it_was() {
        let mut hash = filled();
        let mut gone = (0, Vec::new());
        hash.remove(b"b", |index, value| gone = (index, value.to_vec()));
        hash.restore(gone.0, b"b", &gone.1);
        assert_eq!(pairs(&hash), pairs(&filled()));
    }
}

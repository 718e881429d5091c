//! Hashes: fields and values in turn, one by one or packed.

use super::listpack::Listpack;
use super::read::{Marks, Packing, Reader, Room, check_distinct, pairs};
use super::write::Writer;
use super::{kind, listpack, zipmap};
use crate::bytes::SHORT_STORE;
use crate::value::hash::{Hash, HashView};
use crate::value::listpack::{COUNT_UNKNOWN, elements};
use crate::value::packed::Packed;
use crate::value::zset::PackedLimits;
use crate::value::{Collection, Value};

/// Writes a hash: one listpack while it is small, fields and values one by one otherwise.
pub(super) fn write(out: &mut Writer, hash: &HashView<'_>) {
    if let Hash::Packed(elements) = hash {
        out.byte(kind::HASH_LISTPACK);
        out.packed(|out| {
            let mut packed = listpack::Builder::new(out, elements.byte_len());
            elements.iter().for_each(|element| packed.push(element));
            packed.finish();
        });
        return;
    }
    out.byte(kind::HASH);
    out.length(hash.len());
    for (field, value) in hash.iter() {
        out.string(field);
        out.string(value);
    }
}

/// A hash that is being read.
struct Builder {
    hash: Hash,
    /// Of the fields, while the hash is small.
    marks: Marks,
    limits: PackedLimits,
}

impl Builder {
    fn new(limits: PackedLimits) -> Builder {
        Builder { hash: Hash::new(), marks: Marks::new(), limits }
    }

    /// Adds a field, which must not be there yet. That is only seen in the large form; the small
    /// one is looked through once it is complete.
    fn add(&mut self, field: &[u8], value: &[u8]) -> Option<()> {
        if self.hash.is_packed() && self.hash.len() >= self.limits.entries {
            self.unpack()?;
        }
        if self.hash.is_packed() {
            self.marks.add(field);
        }
        self.hash.append(field, value).then_some(())
    }

    /// Goes over to the large form, unless a field is there twice.
    fn unpack(&mut self) -> Option<()> {
        self.check_fields()?;
        self.hash.unpack();
        Some(())
    }

    fn check_fields(&self) -> Option<()> {
        if !self.marks.clash() {
            return Some(());
        }
        check_distinct(self.hash.iter().map(|(field, _)| field))
    }

    /// The hash, unless it is empty, which none may be, or a field is there twice.
    fn finish(self) -> Option<Value> {
        if self.hash.is_packed() {
            self.check_fields()?;
        }
        (!self.hash.is_empty()).then_some(Value::Hash(self.hash))
    }
}

/// Fields and values one by one.
pub(super) fn read(reader: &mut Reader<'_>, limits: PackedLimits) -> Option<Value> {
    let mut builder = Builder::new(limits);
    for _ in 0..reader.count()? {
        let (field, value) = (reader.string()?, reader.string()?);
        let (field, value) = (field.as_bytes(), value.as_bytes());
        if builder.hash.is_packed() && Hash::too_long(field.len().max(value.len()), limits) {
            builder.unpack()?;
        }
        builder.add(field, value)?;
    }
    builder.finish()
}

/// A ziplist or a listpack. It may hold longer texts than would be packed today: Redis unpacks it
/// for the number of its fields only.
pub(super) fn read_packed<P: Packing>(
    reader: &mut Reader<'_>,
    limits: PackedLimits,
) -> Option<Value> {
    let mut room = Room::new();
    unpack::<P>(reader.packed(&mut room)?, limits)
}

/// The same of a listpack, which stays packed unless its fields are too many.
pub(super) fn read_listpack(reader: &mut Reader<'_>, limits: PackedLimits) -> Option<Value> {
    let mut room = Room::new();
    let packed = reader.packed(&mut room)?;
    let (elements, told) = elements(packed)?;
    if told == COUNT_UNKNOWN || usize::from(told) / 2 > limits.entries {
        return unpack::<Listpack>(packed, limits);
    }
    let (mut marks, mut is_field) = (Marks::new(), false);
    let packed = Packed::of_listpack(elements, |element| {
        is_field = !is_field;
        if is_field {
            marks.add_element(element);
        }
    })?;
    let is_counted = packed.len() == usize::from(told) && !is_field;
    let hash = Hash::Packed(packed);
    if marks.clash() {
        check_distinct(hash.iter().map(|(field, _)| field))?;
    }
    (is_counted && !hash.is_empty()).then_some(Value::Hash(hash))
}

fn unpack<P: Packing>(packed: &[u8], limits: PackedLimits) -> Option<Value> {
    let mut builder = Builder::new(limits);
    builder.hash.reserve(packed.len() + SHORT_STORE);
    pairs::<P>(packed, |field, value| {
        field.with_bytes(|field| value.with_bytes(|value| builder.add(field, value)))
    })?;
    builder.finish()
}

/// A zipmap, which Redis also unpacks for the length of a text.
pub(super) fn read_zipmap(reader: &mut Reader<'_>, limits: PackedLimits) -> Option<Value> {
    let mut builder = Builder::new(limits);
    zipmap::read(reader.string()?.as_bytes(), &mut |field, value| {
        if builder.hash.is_packed() && Hash::too_long(field.len().max(value.len()), limits) {
            builder.unpack()?;
        }
        builder.add(field, value)
    })?;
    builder.finish()
}

//! Redis's serialisation of one value, which DUMP gives and RESTORE takes.
//!
//! A payload is the value's kind in a byte, the value, the version of the format and a checksum.
//! It is written as Redis 7.0 writes it; what Redis 2.0 to 7.0 wrote is read. Every byte of a
//! payload may be hostile: readers check each length against what is there and allocate only in
//! proportion to it, and a damaged payload is an error.
//!
//! `read.rs`, `write.rs` and `lzf.rs` are the parts all kinds are made of; `listpack.rs`,
//! `ziplist.rs` and `zipmap.rs` are the packed forms that lie inside a string; a file for each type
//! puts them together. This room knows values, not keys, commands or replies.

mod functions;
mod hash;
mod list;
mod listpack;
mod lzf;
mod read;
mod set;
mod stream;
mod write;
mod ziplist;
mod zipmap;
mod zset;

pub(crate) use functions::{LibraryDamage, dump_libraries, libraries};

use crate::value::{Limits, Value, ValueView};
use crc::{CRC_64_REDIS, Crc, Table};
pub(crate) use read::Reader;
pub(crate) use write::Writer;
use ziplist::Ziplist;

/// The version of the format that is written, and the latest that is read: Redis 7.0's.
pub(crate) const VERSION: u16 = 10;

/// Bytes of the version and the checksum behind a value.
const FOOTER_BYTES: usize = 10;

pub(crate) const CRC: &Crc<u64, Table<16>> = &Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The kinds of values: what they are and how they are packed.
pub(crate) mod kind {
    pub(super) const STRING: u8 = 0;
    /// Elements one by one.
    pub(super) const LIST: u8 = 1;
    /// Members one by one.
    pub(super) const SET: u8 = 2;
    /// Members with scores as text, one by one.
    pub(super) const ZSET: u8 = 3;
    /// Fields and values one by one.
    pub(super) const HASH: u8 = 4;
    /// Members with scores as doubles, one by one.
    pub(super) const ZSET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const ZSET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    /// Nodes that are ziplists.
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const ZSET_LISTPACK: u8 = 17;
    /// Nodes that are listpacks, and groups.
    pub(super) const STREAM_LISTPACKS: u8 = 15;
    /// Nodes that are listpacks or single elements.
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    /// The same as a stream of before, with what it remembers of entries that are gone.
    pub(super) const STREAM_LISTPACKS_2: u8 = 19;
}

/// A value to be written.
pub(crate) enum Source<'a> {
    /// A string that is kept as an integer.
    Integer(i64),
    /// Any other string.
    Bytes(&'a [u8]),
    /// A collection, or a string with room to grow.
    Value(ValueView<'a>),
}

/// A value that was read.
pub(crate) enum Loaded {
    /// A string.
    Text(Vec<u8>),
    /// A collection.
    Value(Value),
}

/// Why a payload was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Its version is too new, or its checksum is not that of its bytes.
    Footer,
    /// Its bytes are no value.
    Value,
}

/// The payload of a value; lists are cut into nodes by the limits.
pub(crate) fn dump(source: Source<'_>, limits: &Limits) -> Vec<u8> {
    let mut out = Vec::new();
    dump_onto(&mut out, source, limits);
    out
}

/// Writes the payload of a value behind what there is.
pub(crate) fn dump_onto(out: &mut Vec<u8>, source: Source<'_>, limits: &Limits) {
    let start = out.len();
    let mut writer = Writer::onto(std::mem::take(out));
    write(&mut writer, source, limits);
    *out = writer.finish();
    seal(out, start);
}

/// The checksum of some bytes, by blocks of sixteen: it begins with zero, so zeros in front of the
/// bytes make no difference and fill the first block up.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let (rest, blocks) = bytes.as_rchunks();
    let mut first = [0; 2 * HALF];
    if let Some(end) = first.get_mut(2 * HALF - rest.len()..) {
        end.copy_from_slice(rest);
    }
    let first = if rest.is_empty() { 0 } else { add_block(0, &first) };
    blocks.iter().fold(first, add_block)
}

/// Bytes of half a block, which are as wide as the checksum.
const HALF: usize = size_of::<u64>();

/// The checksum of what one is of and a block behind it. The tables have for each byte what it comes
/// to by the end of the block.
#[inline(always)]
fn add_block(sum: u64, block: &[u8; 2 * HALF]) -> u64 {
    let ([low, high], _) = block.as_chunks::<HALF>() else { return sum };
    let low = (sum ^ u64::from_le_bytes(*low)).to_le_bytes();
    let bytes = low.iter().chain(high).rev();
    bytes.zip(CRC.table()).fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)])
}

/// Writes a value behind the byte of its kind.
pub(crate) fn write(out: &mut Writer, source: Source<'_>, limits: &Limits) {
    match source {
        Source::Integer(value) => {
            out.byte(kind::STRING);
            out.integer(value);
        }
        Source::Bytes(bytes) => {
            out.byte(kind::STRING);
            out.string(bytes);
        }
        Source::Value(Value::Text(bytes)) => {
            out.byte(kind::STRING);
            out.string(bytes);
        }
        Source::Value(Value::List(list)) => list::write(out, &list, limits.list),
        Source::Value(Value::Hash(hash)) => hash::write(out, &hash),
        Source::Value(Value::Set(set)) => set::write(out, &set),
        Source::Value(Value::ZSet(zset)) => zset::write(out, &zset),
        Source::Value(Value::Stream(stream)) => stream::write(out, stream),
    }
}

/// How many bytes a value takes where it is written, its kind not counted.
pub(crate) fn value_bytes(source: Source<'_>, limits: &Limits) -> usize {
    dump(source, limits).len() - FOOTER_BYTES - 1
}

/// Writes the version and the checksum behind a body, which begins at an offset.
fn seal(out: &mut Vec<u8>, start: usize) {
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The value of a payload, small forms kept under the limits. Bytes behind the value are passed
/// over, as Redis does.
pub(crate) fn restore(payload: &[u8], limits: &Limits) -> Result<Loaded, Damage> {
    let body = check_footer(payload).ok_or(Damage::Footer)?;
    load(body, limits).ok_or(Damage::Value)
}

/// What is before the footer, if that is right.
fn check_footer(payload: &[u8]) -> Option<&[u8]> {
    let (summed, sum) = payload.split_last_chunk()?;
    let (body, version) = summed.split_last_chunk()?;
    const { assert!(FOOTER_BYTES == size_of::<u16>() + size_of::<u64>()) };
    let is_known = u16::from_le_bytes(*version) <= VERSION;
    (is_known && checksum(summed) == u64::from_le_bytes(*sum)).then_some(body)
}

fn load(body: &[u8], limits: &Limits) -> Option<Loaded> {
    let mut reader = Reader::new(body);
    let kind = reader.byte()?;
    read(&mut reader, kind, limits)
}

/// Reads a value whose kind is known, small forms kept under the limits.
pub(crate) fn read(reader: &mut Reader<'_>, kind: u8, limits: &Limits) -> Option<Loaded> {
    let value = match kind {
        kind::STRING => return reader.string().map(|text| Loaded::Text(text.into_vec())),
        kind::LIST => list::read(reader, limits.list),
        kind::LIST_ZIPLIST => list::read_ziplist(reader, limits.list),
        kind::LIST_QUICKLIST => list::read_quicklist(reader, limits.list),
        kind::LIST_QUICKLIST_2 => list::read_quicklist_2(reader, limits.list),
        kind::HASH => hash::read(reader, limits.hash),
        kind::HASH_ZIPMAP => hash::read_zipmap(reader, limits.hash),
        kind::HASH_ZIPLIST => hash::read_packed::<Ziplist>(reader, limits.hash),
        kind::HASH_LISTPACK => hash::read_listpack(reader, limits.hash),
        kind::SET => set::read(reader, limits.set_intset_entries),
        kind::SET_INTSET => set::read_ints(reader, limits.set_intset_entries),
        kind::ZSET => zset::read(reader, limits.zset, Reader::score_text),
        kind::ZSET_2 => zset::read(reader, limits.zset, Reader::score),
        kind::ZSET_ZIPLIST => zset::read_packed::<Ziplist>(reader, limits.zset),
        kind::ZSET_LISTPACK => zset::read_listpack(reader, limits.zset),
        kind::STREAM_LISTPACKS => stream::read(reader, false),
        kind::STREAM_LISTPACKS_2 => stream::read(reader, true),
        // Modules' values and what does not exist.
        _ => None,
    };
    value.map(Loaded::Value)
}

//! Fingerprints of data: the same for the same data, in whatever form it is kept.

use super::dump::source_of;
use crate::keyspace::Keyspace;
use crate::number::IntText;
use crate::rdb::{self, Source};
use crate::script::sha1_hex;
use crate::value::{Limits, Value};

/// A fingerprint, in hexadecimal digits.
pub(super) type Digest = [u8; 40];

/// That of nothing.
pub(super) const NOTHING: Digest = [b'0'; 40];

/// That of what a key holds.
pub(super) fn of_key(keys: &mut Keyspace, key: &[u8]) -> Option<Digest> {
    let slot = keys.slot(key);
    source_of(keys, slot).map(|source| sha1_hex(&plain(source)))
}

/// That of all keys of all databases, with their deadlines.
pub(super) fn of_all(keys: &mut Keyspace) -> Digest {
    let mut all = Vec::new();
    for database in 0..keys.database_count() {
        keys.in_database(database, |keys| {
            for key in names(keys) {
                let slot = keys.slot(&key);
                let deadline = keys.deadline_at(slot).to_le_bytes();
                let value = of_key(keys, &key).unwrap_or(NOTHING);
                all.extend_from_slice(&database.to_le_bytes());
                add(&mut all, &key);
                all.extend_from_slice(&deadline);
                all.extend_from_slice(&value);
            }
        });
    }
    if all.is_empty() { NOTHING } else { sha1_hex(&all) }
}

/// The names of all keys of the selected database, in order.
pub(super) fn names(keys: &Keyspace) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    keys.for_each_key(|key| names.push(key.to_vec()));
    names.sort_unstable();
    names
}

/// Adds a text so that what follows cannot be taken for a part of it.
fn add(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&text.len().to_le_bytes());
    bytes.extend_from_slice(text);
}

/// A value as bytes that do not tell how it is kept: elements that have no order are sorted.
fn plain(source: Source<'_>) -> Vec<u8> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let kind: u8 = match source {
        Source::Integer(value) => {
            pieces.push(IntText::new(value).as_bytes().to_vec());
            0
        }
        Source::Bytes(bytes) => {
            pieces.push(bytes.to_vec());
            0
        }
        Source::Value(Value::Text(bytes)) => {
            pieces.push(bytes.to_vec());
            0
        }
        Source::Value(Value::List(list)) => {
            pieces.extend(list.iter().map(<[u8]>::to_vec));
            1
        }
        Source::Value(Value::Hash(hash)) => {
            pieces.extend(hash.iter().map(|(field, value)| {
                let mut pair = Vec::new();
                add(&mut pair, field);
                add(&mut pair, value);
                pair
            }));
            pieces.sort_unstable();
            2
        }
        Source::Value(Value::Set(set)) => {
            pieces.extend(set.iter().map(|member| member.with_bytes(<[u8]>::to_vec)));
            pieces.sort_unstable();
            3
        }
        Source::Value(Value::ZSet(zset)) => {
            let piece = |(member, score): (&[u8], f64)| [&score.to_le_bytes(), member].concat();
            pieces.extend(zset.range(0, usize::MAX).map(piece));
            4
        }
        Source::Value(Value::Stream(_)) => {
            pieces.push(rdb::dump(source, &Limits::default()));
            5
        }
    };
    let mut bytes = vec![kind];
    pieces.iter().for_each(|piece| add(&mut bytes, piece));
    bytes
}

//! What a key can hold: pure data structures.
//!
//! This room knows no commands, replies, clocks or journals. Each collection keeps itself packed
//! in one allocation while it is small, under limits its caller passes in, and hands out what it
//! overwrites so that the caller can undo.

pub(crate) mod geohash;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub(crate) mod list;
pub(crate) mod packed;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod zset;

use hash::Hash;
use list::{ChunkLimit, List};
use set::Set;
use stream::{NodeLimits, Stream};
use zset::{PackedLimits, ZSet};

/// The value of a key that holds more than a plain string.
#[derive(Clone)]
pub(crate) enum Value {
    /// A string that was grown in place, kept with room to grow further.
    Text(Vec<u8>),
    /// A list.
    List(List),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    ZSet(ZSet),
    /// A stream, the largest of all in itself.
    Stream(Box<Stream>),
}

impl Value {
    /// Bytes allocated, those counted in full that are shared with a copy. Of a large collection
    /// about so many elements are looked at and stand for the others.
    pub(crate) fn heap_size(&self, samples: usize) -> usize {
        match self {
            Value::Text(text) => text.capacity(),
            Value::List(list) => list.heap_size(),
            Value::Hash(hash) => hash.heap_size(samples),
            Value::Set(set) => set.heap_size(samples),
            Value::ZSet(zset) => zset.heap_size(),
            Value::Stream(stream) => stream.heap_size(),
        }
    }
}

/// Up to which sizes collections stay packed; Redis's `*-max-listpack-*` settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `hash-max-listpack-entries` and `hash-max-listpack-value`.
    pub(crate) hash: PackedLimits,
    /// `set-max-intset-entries`.
    pub(crate) set_intset_entries: usize,
    /// `zset-max-listpack-entries` and `zset-max-listpack-value`.
    pub(crate) zset: PackedLimits,
    /// `list-max-listpack-size`.
    pub(crate) list_size: i64,
    /// What that means for a chunk.
    pub(crate) list: ChunkLimit,
    /// `hll-sparse-max-bytes`.
    pub(crate) sketch_bytes: usize,
    /// `stream-node-max-entries` and `stream-node-max-bytes`.
    pub(crate) stream: NodeLimits,
    /// `busy-reply-threshold`, in milliseconds.
    pub(crate) busy_reply_ms: u64,
}

impl Default for Limits {
    /// Redis 7.0's defaults.
    fn default() -> Self {
        Limits {
            hash: PackedLimits { entries: 512, value_bytes: 64 },
            set_intset_entries: 512,
            zset: PackedLimits { entries: 128, value_bytes: 64 },
            list_size: -2,
            list: ChunkLimit::default(),
            sketch_bytes: 3000,
            stream: NodeLimits::default(),
            busy_reply_ms: 5000,
        }
    }
}

/// A collection that lives inside a [`Value`].
pub(crate) trait Collection: Sized {
    /// An empty one, as a value.
    fn empty() -> Value;
    /// The collection, if the value is one of this kind.
    fn of(value: &Value) -> Option<&Self>;
    /// The same for change.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Whether nothing is left in it.
    fn is_empty(&self) -> bool;
}

/// Ties a collection to its variant.
macro_rules! collection {
    ($kind:ty, $variant:ident) => {
        impl Collection for $kind {
            fn empty() -> Value {
                Value::$variant(<$kind>::new())
            }
            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }
    };
}

collection!(List, List);
collection!(Hash, Hash);
collection!(Set, Set);
collection!(ZSet, ZSet);

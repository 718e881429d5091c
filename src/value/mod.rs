//! What a key can hold: pure data structures.
//!
//! This room knows no commands, replies, clocks or journals. Each collection keeps itself packed
//! in one allocation while it is small, under limits its caller passes in, and hands out what it
//! overwrites so that the caller can undo.

mod block;
pub(crate) mod geohash;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub(crate) mod list;
pub(crate) mod listpack;
pub(crate) mod packed;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod zset;

pub(crate) use block::Kind;
use hash::Hash;
use list::{ChunkLimit, List};
use set::Set;
#[cfg(feature = "listen")]
use smallvec::SmallVec;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;
use stream::{NodeLimits, Stream};
use zset::{PackedLimits, ZSet};

/// How a collection has what it is made of: as its own, or borrowed from where it lies. What only
/// reads works on either.
pub(crate) trait Storage: Clone + Copy + Debug {
    /// The bytes of a small form.
    type Bytes: Deref<Target = [u8]> + Clone;
    /// A large form.
    type Large<T: Clone + 'static>: Deref<Target = T> + Clone;
}

/// Its own; it can be changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owned;

/// Borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Borrowed<'a>(PhantomData<&'a ()>);

impl Storage for Owned {
    type Bytes = Vec<u8>;
    type Large<T: Clone + 'static> = Box<T>;
}

impl<'a> Storage for Borrowed<'a> {
    type Bytes = &'a [u8];
    type Large<T: Clone + 'static> = &'a T;
}

/// The value of a key that holds more than a plain string.
#[derive(Clone)]
pub(crate) enum Value<S: Storage = Owned> {
    /// A string that was grown in place, kept with room to grow further.
    Text(S::Bytes),
    /// A list.
    List(List<S>),
    /// A hash.
    Hash(Hash<S>),
    /// A set.
    Set(Set<S>),
    /// A sorted set.
    ZSet(ZSet<S>),
    /// A stream, the largest of all in itself.
    Stream(S::Large<Stream>),
}

/// A value, borrowed from where it lies.
pub(crate) type ValueView<'a> = Value<Borrowed<'a>>;

impl Value {
    /// The same value, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> ValueView<'_> {
        match self {
            Value::Text(text) => Value::Text(text.as_slice()),
            Value::List(list) => Value::List(list.view()),
            Value::Hash(hash) => Value::Hash(hash.view()),
            Value::Set(set) => Value::Set(set.view()),
            Value::ZSet(zset) => Value::ZSet(zset.view()),
            Value::Stream(stream) => Value::Stream(&**stream),
        }
    }

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

impl ValueView<'_> {
    /// Reads ahead what looking up members of a large collection will read: see
    /// [`Table::prefetch`](crate::table::Table::prefetch). Of a call on it these are the two words
    /// behind its key, either of which may be a member.
    #[cfg(feature = "listen")]
    pub(crate) fn prefetch(&self, words: &[[&[u8]; 2]]) {
        match self {
            Value::Hash(hash) => hash.prefetch(&column(words, 0)),
            Value::Set(set) => set.prefetch(&column(words, 0)),
            Value::ZSet(zset) => {
                zset.prefetch(&column(words, 0));
                zset.prefetch(&column(words, 1));
            }
            Value::Text(_) | Value::List(_) | Value::Stream(_) => (),
        }
    }

    /// About how many pieces of memory Redis would give back with it, one by one.
    pub(crate) fn pieces(&self) -> usize {
        match self {
            Value::List(list) => list.chunk_count(),
            Value::Hash(hash) if !hash.is_packed() => hash.len(),
            Value::Set(set) if set.ints().is_none() => set.len(),
            Value::ZSet(zset) if !zset.is_packed() => zset.len(),
            Value::Stream(stream) => {
                let groups = stream.groups().len();
                // As Redis, the first group stands for the others.
                let pending = stream.group(0).map_or(0, |group| 1 + group.pending().len());
                stream.radix_nodes() + groups + groups * pending
            }
            Value::Text(_) | Value::Hash(_) | Value::Set(_) | Value::ZSet(_) => 1,
        }
    }
}

/// One of the two words of each pair, where there is one.
#[cfg(feature = "listen")]
fn column<'a>(words: &[[&'a [u8]; 2]], at: usize) -> SmallVec<[&'a [u8]; 32]> {
    words.iter().filter_map(|pair| pair.get(at)).filter(|word| !word.is_empty()).copied().collect()
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
    /// What `list-max-listpack-size` means for a chunk.
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
            list: ChunkLimit::default(),
            sketch_bytes: 3000,
            stream: NodeLimits::default(),
            busy_reply_ms: 5000,
        }
    }
}

/// A collection that lives inside a [`Value`].
pub(crate) trait Collection: Sized {
    /// One that is borrowed for reading.
    type View<'a>;

    /// An empty one behind a prefix, as far as it has a small form.
    fn behind(prefix: Vec<u8>) -> Self;
    /// The collection as a value.
    fn into_value(self) -> Value;
    /// The collection in a block of a kind, behind a prefix of so many bytes; none if what lies there
    /// is something else.
    fn in_block(kind: Kind, block: &[u8], prefix: usize) -> Option<Self::View<'_>>;
    /// Whether a block of a kind holds such a collection.
    fn is_in(kind: Kind) -> bool;
    /// Opens a block that holds such a collection.
    fn open(kind: Kind, block: Vec<u8>, prefix: usize) -> Self;
    /// Closes the collection up into a block, if it is small and lies behind a prefix of so many
    /// bytes; what is left is empty then.
    fn close(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)>;
    /// The collection, if the value is one of this kind.
    fn of(value: ValueView<'_>) -> Option<Self::View<'_>>;
    /// Whether a value is one of this kind.
    fn is(value: &Value) -> bool;
    /// The collection, for change.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Whether nothing is left in it.
    fn is_empty(&self) -> bool;
}

/// Ties a collection to its variant.
macro_rules! collection {
    ($kind:ident, $variant:ident) => {
        impl Collection for $kind {
            type View<'a> = $kind<Borrowed<'a>>;

            #[inline]
            fn behind(prefix: Vec<u8>) -> Self {
                <$kind>::behind(prefix)
            }
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
            #[inline]
            fn in_block(kind: Kind, block: &[u8], prefix: usize) -> Option<Self::View<'_>> {
                <$kind<Borrowed<'_>>>::in_block(kind, block, prefix)
            }
            #[inline]
            fn is_in(kind: Kind) -> bool {
                <$kind>::KINDS.contains(&kind)
            }
            #[inline]
            fn open(kind: Kind, block: Vec<u8>, prefix: usize) -> Self {
                <$kind>::from_block(kind, block, prefix)
            }
            #[inline]
            fn close(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
                <$kind>::close_up(self, prefix)
            }
            #[inline]
            fn of(value: ValueView<'_>) -> Option<Self::View<'_>> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            #[inline]
            fn is(value: &Value) -> bool {
                matches!(value, Value::$variant(_))
            }
            #[inline]
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            #[inline]
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

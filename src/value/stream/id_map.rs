//! A map from IDs to small values, in order: what is pending in a group.
//!
//! Sorted chunks in a deque: what is delivered comes at the back, what is acknowledged mostly goes
//! from the front, and in between a change moves half a chunk at most. Chunks are shared between
//! clones and copied when first written to.

use super::id::Id;
use crate::cow::{Arc, own};
use std::collections::VecDeque;

/// The most elements of a chunk.
const CHUNK: usize = 128;

/// A map from IDs to values.
#[derive(Clone)]
pub(crate) struct IdMap<V> {
    chunks: VecDeque<Chunk<V>>,
    len: usize,
}

/// Elements in order. None of them has an ID below `low`, and none has one from the next chunk's
/// on.
#[derive(Clone)]
struct Chunk<V> {
    low: Id,
    elements: Arc<Vec<(Id, V)>>,
}

impl<V: Copy> Default for IdMap<V> {
    fn default() -> Self {
        IdMap { chunks: VecDeque::new(), len: 0 }
    }
}

impl<V: Copy> IdMap<V> {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of an ID.
    pub(crate) fn get(&self, id: Id) -> Option<V> {
        let chunk = self.chunks.get(self.chunk_of(id))?;
        let at = chunk.elements.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        chunk.elements.get(at).map(|(_, value)| *value)
    }

    /// Gives an ID a value; returns the one it had.
    pub(crate) fn insert(&mut self, id: Id, value: V) -> Option<V> {
        let at = self.chunk_of(id);
        let is_last = at + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.begin(id, value);
            return None;
        };
        match chunk.elements.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(found) => {
                let place = own(&mut chunk.elements).get_mut(found)?;
                return Some(std::mem::replace(&mut place.1, value));
            }
            Err(place) if chunk.elements.len() < CHUNK => {
                own(&mut chunk.elements).insert(place, (id, value));
                chunk.low = chunk.low.min(id);
                self.len += 1;
            }
            // What comes in order fills its chunks.
            Err(CHUNK) if is_last => self.begin(id, value),
            Err(_) => {
                self.split(at);
                self.insert(id, value);
            }
        }
        None
    }

    /// Takes an ID out; returns the value it had.
    pub(crate) fn remove(&mut self, id: Id) -> Option<V> {
        let at = self.chunk_of(id);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.elements.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let (_, old) = own(&mut chunk.elements).remove(place);
        self.len -= 1;
        if chunk.elements.is_empty() {
            self.chunks.remove(at);
        } else if chunk.elements.len() < CHUNK / 4 {
            self.merge(at);
        }
        Some(old)
    }

    /// The elements from an ID on, in order.
    pub(crate) fn iter_from(&self, id: Id) -> impl Iterator<Item = (Id, V)> {
        let at = self.chunk_of(id).min(self.chunks.len());
        let elements = self.chunks.range(at..).flat_map(|chunk| chunk.elements.iter().copied());
        elements.skip_while(move |(other, _)| *other < id)
    }

    /// The first ID.
    pub(crate) fn first(&self) -> Option<Id> {
        self.chunks.front().and_then(|chunk| chunk.elements.first()).map(|(id, _)| *id)
    }

    /// The last ID.
    pub(crate) fn last(&self) -> Option<Id> {
        self.chunks.back().and_then(|chunk| chunk.elements.last()).map(|(id, _)| *id)
    }

    /// The chunk that has an ID or would take it.
    fn chunk_of(&self, id: Id) -> usize {
        match self.chunks.back() {
            Some(last) if last.low <= id => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|chunk| chunk.low <= id).saturating_sub(1),
        }
    }

    /// Begins a chunk at the back.
    fn begin(&mut self, id: Id, value: V) {
        self.chunks.push_back(Chunk { low: id, elements: Arc::new(vec![(id, value)]) });
        self.len += 1;
    }

    fn split(&mut self, at: usize) {
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let right = own(&mut chunk.elements).split_off(CHUNK / 2);
        if let Some((low, _)) = right.first() {
            self.chunks.insert(at + 1, Chunk { low: *low, elements: Arc::new(right) });
        }
    }

    /// Puts a chunk that became small and the one behind it together if that leaves room to grow.
    fn merge(&mut self, at: usize) {
        let len = |at: usize| self.chunks.get(at).map_or(CHUNK, |chunk| chunk.elements.len());
        if len(at) + len(at + 1) > CHUNK / 2 {
            return;
        }
        let right = self.chunks.remove(at + 1);
        if let (Some(chunk), Some(right)) = (self.chunks.get_mut(at), right) {
            own(&mut chunk.elements).extend_from_slice(&right.elements);
        }
    }

    /// Bytes allocated.
    #[cfg(test)]
    pub(super) fn heap_size(&self) -> usize {
        let element = size_of::<(Id, V)>();
        let chunks = self.chunks.iter().map(|chunk| chunk.elements.capacity() * element + 40);
        chunks.sum::<usize>() + self.chunks.capacity() * size_of::<Chunk<V>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use std::collections::BTreeMap;

    fn check(map: &IdMap<u32>, model: &BTreeMap<Id, u32>, from: Id) {
        assert_eq!(map.len(), model.len());
        assert_eq!(map.first(), model.keys().next().copied());
        assert_eq!(map.last(), model.keys().next_back().copied());
        assert!(map.iter_from(from).eq(model.range(from..).map(|(id, value)| (*id, *value))));
        assert_eq!(map.get(from), model.get(&from).copied());
        assert!(map.chunks.iter().all(|chunk| !chunk.elements.is_empty()));
    }

    #[test]
    fn it_does_what_a_tree_does() {
        for seed in 0..20 {
            let mut random = Rng::with_seed(seed);
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            let mut copies = Vec::new();
            let range = random.u64(10..3000);
            for step in 0..4000 {
                let id = Id { ms: random.u64(..range), seq: random.u64(..2) };
                // Grows first and shrinks then.
                if random.u32(..4000) > step {
                    assert_eq!(map.insert(id, step), model.insert(id, step));
                } else {
                    assert_eq!(map.remove(id), model.remove(&id));
                }
                if step % 500 == 0 {
                    check(&map, &model, id);
                    copies.push((map.clone(), model.clone()));
                }
            }
            check(&map, &model, Id::MIN);
            copies.iter().for_each(|(map, model)| check(map, model, Id::MIN));
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_chunks() {
        let mut map = IdMap::default();
        (0..CHUNK as u64 * 10).for_each(|ms| {
            map.insert(Id { ms, seq: 0 }, ());
        });
        assert_eq!(map.chunks.len(), 10);
        assert!(map.heap_size() < CHUNK * 10 * 18, "{}", map.heap_size());
        (0..CHUNK as u64 * 10).for_each(|ms| {
            map.remove(Id { ms, seq: 0 });
        });
        assert_eq!((map.len(), map.chunks.len()), (0, 0));
    }
}

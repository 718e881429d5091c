//! A segment of the table: some tens of elements side by side, and a byte of each one's hash.
//!
//! The bytes lie in the segment itself and are compared eight at a time, all of them at once: with
//! so few elements that takes no more than a look into a hash table would, the elements need no
//! empty places between them, and a segment is split by moving what leaves it.

/// So many elements have a byte here; hardly ever a segment has more, which are looked at one by
/// one. With it a segment in its `Arc` is 88 bytes, just what an allocator's block holds.
const TAGS: usize = 56;

/// Few segments have more than so many.
const USUAL: usize = 32;

/// Elements grow by this many places.
const GROWTH: usize = 8;

/// Elements found by their hashes. Their places hold until one is added or removed.
#[derive(Clone)]
pub(super) struct Segment<E> {
    /// Of each element a byte of its hash; 0, which no tag is, where there is no element.
    tags: [u8; TAGS],
    elements: Vec<E>,
}

/// The byte of a hash that tells elements apart: of bits that do not choose the segment.
#[inline(always)]
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

/// Which of eight tags are the same as one: the highest bit of each of them, and maybe of some that
/// follow one which is.
#[inline(always)]
fn same_of_word(word: &[u8; 8], tag: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let other = u64::from_le_bytes(*word) ^ (LOW * u64::from(tag));
    other.wrapping_sub(LOW) & !other & HIGH
}

/// Which of the tags may be the same as one: bit 8b + w for byte b of word w.
#[inline(always)]
fn same_tags(words: &[[u8; 8]], tag: u8) -> u64 {
    words.iter().enumerate().fold(0, |same, (at, word)| same | same_of_word(word, tag) >> (7 - at))
}

impl<E> Segment<E> {
    /// No elements, and no room.
    pub(super) fn new() -> Self {
        Self::with_capacity(0)
    }

    /// No elements, and room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        Segment { tags: [0; TAGS], elements: Vec::with_capacity(count) }
    }

    /// The number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Bytes allocated for elements.
    pub(super) fn allocation_size(&self) -> usize {
        self.elements.capacity() * size_of::<E>()
    }

    /// The elements.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, E> {
        self.elements.iter()
    }

    /// The elements, each with the byte of its hash; 0 where that is not kept.
    #[inline]
    pub(super) fn iter_tagged(&self) -> impl Iterator<Item = (u8, &E)> {
        let tag = |at: usize| self.tags.get(at).copied().unwrap_or(0);
        self.elements.iter().enumerate().map(move |(at, element)| (tag(at), element))
    }

    /// The element at a place.
    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> Option<&E> {
        self.elements.get(at)
    }

    /// The element at a place, for change.
    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut E> {
        self.elements.get_mut(at)
    }

    /// The place of the first element with a hash that is the one sought.
    #[inline(always)]
    pub(super) fn position(&self, hash: u64, is_sought: impl Fn(&E) -> bool) -> Option<usize> {
        self.position_tagged(tag(hash), is_sought)
    }

    /// The same of a hash with this byte.
    #[inline(always)]
    pub(super) fn position_tagged(&self, tag: u8, is_sought: impl Fn(&E) -> bool) -> Option<usize> {
        let ([first, second, third, fourth, rest @ ..], _) = self.tags.as_chunks::<8>() else {
            return None;
        };
        let mut same = same_tags(&[*first, *second, *third, *fourth], tag);
        if self.elements.len() > USUAL {
            same |= same_tags(rest, tag) << 4;
        }
        while same != 0 {
            let bit = same.trailing_zeros() as usize;
            let at = bit % 8 * 8 + bit / 8;
            if self.elements.get(at).is_some_and(&is_sought) {
                return Some(at);
            }
            same &= same - 1;
        }
        match self.elements.len() {
            ..=TAGS => None,
            _ => self.position_untagged(is_sought),
        }
    }

    /// The element that `position` finds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_sought: impl Fn(&E) -> bool) -> Option<&E> {
        self.get(self.position(hash, is_sought)?)
    }

    #[cold]
    fn position_untagged(&self, is_sought: impl Fn(&E) -> bool) -> Option<usize> {
        let untagged = self.elements.get(TAGS..)?;
        untagged.iter().position(is_sought).map(|at| at + TAGS)
    }

    /// Adds an element; returns its place.
    #[inline]
    pub(super) fn push(&mut self, hash: u64, element: E) -> usize {
        let at = self.elements.len();
        if at == self.elements.capacity() {
            self.elements.reserve_exact(GROWTH);
        }
        self.elements.push(element);
        if let Some(slot) = self.tags.get_mut(at) {
            *slot = tag(hash);
        }
        at
    }

    /// Takes the element at a place out, if there is one; the last takes its place.
    pub(super) fn remove(&mut self, at: usize, hash: impl Fn(&E) -> u64) -> Option<E> {
        let last = self.elements.len().checked_sub(1).filter(|&last| at <= last)?;
        let moved = match (self.tags.get_mut(last), self.elements.last()) {
            (Some(slot), _) => std::mem::take(slot),
            (None, Some(element)) => tag(hash(element)),
            (None, None) => 0,
        };
        if at < last
            && let Some(slot) = self.tags.get_mut(at)
        {
            *slot = moved;
        }
        Some(self.elements.swap_remove(at))
    }

    /// Gives room back once it is more than a few places.
    #[inline]
    pub(super) fn trim(&mut self) {
        if self.elements.capacity() - self.elements.len() > 2 * GROWTH {
            self.elements.shrink_to(self.elements.len() + GROWTH);
        }
    }
}

impl<E> IntoIterator for Segment<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.elements.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that are their own hashes, so that many have the same tag.
    fn hash(number: &u64) -> u64 {
        number << 54
    }

    #[test]
    fn what_is_in_is_found_and_nothing_else() {
        let mut segment = Segment::new();
        for count in 0..120_u64 {
            for sought in 0..130 {
                let found = segment.find(hash(&sought), |&number| number == sought);
                assert_eq!(found.is_some(), sought < count, "{sought} of {count}");
            }
            assert_eq!(segment.push(hash(&count), count), count as usize);
        }
    }

    #[test]
    fn places_are_filled_by_the_last() {
        for step in [1, 3, 7, 50] {
            let mut segment = Segment::new();
            (0..120_u64).for_each(|number| _ = segment.push(hash(&number), number));
            let mut left: Vec<u64> = (0..120).collect();
            while !left.is_empty() {
                let at = step % left.len();
                assert_eq!(segment.remove(at, hash), Some(left.swap_remove(at)));
                segment.trim();
                assert!(segment.allocation_size() <= (left.len() + 2 * GROWTH) * size_of::<u64>());
                assert!(segment.iter().eq(&left));
                for (at, sought) in left.iter().enumerate() {
                    assert_eq!(segment.position(hash(sought), |other| other == sought), Some(at));
                }
            }
            assert_eq!(segment.remove(0, hash), None);
        }
    }
}

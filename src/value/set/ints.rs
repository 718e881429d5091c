//! The form of a set whose members are all integers: sorted, each in 2, 4 or 8 bytes.
//!
//! All take as many bytes as the widest one needs. A wider integer makes a new, wider sequence;
//! nothing makes it narrower again. As `packed.rs` has it, the integers may lie behind a prefix, and
//! closed up they are a block: the prefix, the number of spare bytes, the integers, the spare bytes.
//! This room knows integers and their order, no texts.

use crate::value::packed::BLOCK_MOST;
use std::ops::Deref;

/// What a closed sequence notes behind its prefix: the length of the spare room.
const NOTE_BYTES: usize = size_of::<u16>();

/// Distinct integers in ascending order, the lowest byte of each first.
#[derive(Clone)]
pub(crate) struct Ints<B = Vec<u8>> {
    /// The prefix, then the integers.
    bytes: B,
    /// Length of the prefix.
    base: u32,
    /// Bytes of each integer: 2, 4 or 8.
    width: u8,
}

/// Runs the same on the integers as arrays of any width.
macro_rules! each_width {
    ($ints:expr, ($numbers:ident, $read:ident) => $run:expr) => {{
        let live = $ints.live();
        match $ints.width {
            2 => each_width!(live, i16, $numbers, $read, $run),
            4 => each_width!(live, i32, $numbers, $read, $run),
            _ => each_width!(live, i64, $numbers, $read, $run),
        }
    }};
    ($live:ident, $int:ident, $numbers:ident, $read:ident, $run:expr) => {{
        let ($numbers, _) = $live.as_chunks::<{ size_of::<$int>() }>();
        let $read = |bytes: &[u8; size_of::<$int>()]| i64::from($int::from_le_bytes(*bytes));
        $run
    }};
}

/// Reading.
impl<B: Deref<Target = [u8]>> Ints<B> {
    /// The integers side by side.
    #[inline]
    pub(crate) fn live(&self) -> &[u8] {
        self.bytes.get(self.base as usize..).unwrap_or_default()
    }

    /// Number of integers.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.live().len() >> self.width.trailing_zeros()
    }

    /// Bytes that each of them takes.
    pub(crate) fn width(&self) -> usize {
        self.width.into()
    }

    /// The integer of a rank, the least first.
    #[inline]
    pub(crate) fn get(&self, rank: usize) -> Option<i64> {
        each_width!(self, (numbers, read) => numbers.get(rank).map(read))
    }

    /// The rank of an integer, if it is there.
    #[inline]
    pub(super) fn find(&self, value: i64) -> Option<usize> {
        self.search(value).ok()
    }

    /// The rank of an integer, or the one it would have.
    #[inline]
    fn search(&self, value: i64) -> Result<usize, usize> {
        each_width!(self, (numbers, read) => numbers.binary_search_by_key(&value, read))
    }

    /// How many are less than an integer, where so many are known to be. What lies near to those is
    /// found in fewer steps, so that a walk over another sequence takes few for each.
    #[inline]
    pub(super) fn count_below(&self, value: i64, known: usize) -> usize {
        each_width!(self, (numbers, read) => {
            let rest = numbers.get(known..).unwrap_or_default();
            let (mut less, mut step) = (0, 1);
            while rest.get(less + step - 1).is_some_and(|number| read(number) < value) {
                less += step;
                step *= 2;
            }
            let end = rest.len().min(less + step - 1);
            let window = rest.get(less..end).unwrap_or_default();
            known + less + window.partition_point(|number| read(number) < value)
        })
    }

    /// Whether an integer needs no wider form.
    pub(super) fn fits(&self, value: i64) -> bool {
        self.width() >= width_of(value)
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).filter_map(|rank| self.get(rank))
    }

    /// The bytes that a block takes beside its prefix.
    pub(crate) fn block_bytes(&self) -> usize {
        NOTE_BYTES + self.live().len()
    }

    /// A copy behind a prefix.
    pub(crate) fn copy_behind(&self, mut prefix: Vec<u8>) -> Ints {
        prefix.reserve_exact(self.block_bytes());
        let mut copy = Ints::behind(prefix, self.width());
        copy.bytes.extend_from_slice(self.live());
        copy
    }

    /// A copy of its own.
    pub(super) fn to_ints(&self) -> Ints {
        Ints { bytes: self.live().to_vec(), base: 0, width: self.width }
    }
}

impl<'a> Ints<&'a [u8]> {
    /// The integers that a block closes, behind a prefix of so many bytes, read in place.
    #[inline]
    pub(crate) fn in_block(block: &'a [u8], prefix: usize, width: usize) -> Self {
        let bytes = block.get(..block.len() - spare(block, prefix)).unwrap_or_default();
        Ints { bytes, base: (prefix + NOTE_BYTES) as u32, width: width as u8 }
    }
}

/// The spare bytes a block has.
#[inline]
fn spare(block: &[u8], prefix: usize) -> usize {
    let note = block.get(prefix..).and_then(|bytes| bytes.first_chunk());
    note.map_or(0, |note| u16::from_le_bytes(*note).into())
}

/// Making and closing.
impl Ints {
    /// None, in the narrowest form, without an allocation.
    pub(super) const fn new() -> Ints {
        Ints { bytes: Vec::new(), base: 0, width: 2 }
    }

    /// None, behind a prefix.
    pub(crate) fn behind(mut prefix: Vec<u8>, width: usize) -> Ints {
        prefix.extend_from_slice(&[0; NOTE_BYTES]);
        Ints { base: prefix.len() as u32, bytes: prefix, width: width as u8 }
    }

    /// The integers that a block closes, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn from_block(mut bytes: Vec<u8>, prefix: usize, width: usize) -> Ints {
        bytes.truncate(bytes.len() - spare(&bytes, prefix));
        Ints { bytes, base: (prefix + NOTE_BYTES) as u32, width: width as u8 }
    }

    /// Closes the integers up into a block, if they lie behind a prefix of so many bytes and are not too
    /// many; what is left is empty.
    #[inline]
    pub(crate) fn close(&mut self, prefix: usize) -> Option<Vec<u8>> {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if self.base as usize != prefix + NOTE_BYTES || capacity > BLOCK_MOST {
            return None;
        }
        if let Some(note) = self.bytes.get_mut(prefix..prefix + NOTE_BYTES) {
            note.copy_from_slice(&((capacity - length) as u16).to_le_bytes());
        }
        if length < capacity {
            self.bytes.resize(capacity, 0);
        }
        Some(std::mem::take(&mut self.bytes))
    }

    /// Moves the elements behind another prefix, or to where there is none.
    pub(crate) fn move_behind(&mut self, prefix: Option<Vec<u8>>) {
        match prefix {
            Some(prefix) => *self = self.copy_behind(prefix),
            None => self.strip(),
        }
    }

    /// Lets go of the prefix.
    pub(crate) fn strip(&mut self) {
        self.bytes.drain(..self.base as usize);
        self.base = 0;
    }

    /// The same integers, borrowed.
    #[inline]
    pub(super) fn view(&self) -> Ints<&[u8]> {
        let Ints { ref bytes, base, width } = *self;
        Ints { bytes, base, width }
    }

    /// The integers that lie in some bytes side by side at a width, the lowest byte first; none if
    /// they are not distinct and ascending.
    pub(crate) fn from_bytes(width: usize, bytes: &[u8]) -> Option<Ints> {
        if ![2, 4, 8].contains(&width) || !bytes.len().is_multiple_of(width) {
            return None;
        }
        let ints = Ints { bytes: bytes.to_vec(), base: 0, width: width as u8 };
        let is_sorted = ints.iter().is_sorted_by(|a, b| a < b);
        is_sorted.then_some(ints)
    }

    /// Bytes allocated.
    pub(crate) fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Changing.
impl Ints {
    /// Adds an integer that fits; false if it was there.
    pub(super) fn insert(&mut self, value: i64) -> bool {
        // Integers are often added in their order.
        let count = self.len();
        let rank = match count.checked_sub(1).and_then(|last| self.get(last)) {
            Some(last) if last >= value => match self.search(value) {
                Ok(_) => return false,
                Err(rank) => rank,
            },
            _ => count,
        };
        let (width, end) = (self.width(), self.bytes.len());
        if end + width > self.bytes.capacity() {
            self.bytes.reserve_exact(growth(end, width));
        }
        self.bytes.extend_from_slice(value.to_le_bytes().get(..width).unwrap_or_default());
        let at = self.base as usize + rank * width;
        if let Some(passed) = self.bytes.get_mut(at..) {
            passed.rotate_right(width);
        }
        true
    }

    /// Removes the integer of a rank.
    pub(super) fn remove(&mut self, rank: usize) {
        if rank >= self.len() {
            return;
        }
        let at = self.base as usize + rank * self.width();
        self.bytes.drain(at..at + self.width());
        let used = self.bytes.len();
        if self.bytes.capacity() > used * 2 + 8 {
            self.bytes.shrink_to(used + used / 4);
        }
    }

    /// The same integers in a form that a value fits, with room for one more.
    pub(super) fn widened(&self, value: i64) -> Ints {
        let width = width_of(value).max(self.width());
        let base = self.base as usize;
        let mut bytes = Vec::with_capacity(base + growth(base, (self.len() + 1) * width));
        bytes.extend_from_slice(self.bytes.get(..base).unwrap_or_default());
        for value in self.iter() {
            bytes.extend_from_slice(value.to_le_bytes().get(..width).unwrap_or_default());
        }
        Ints { bytes, base: self.base, width: width as u8 }
    }
}

/// The fewest bytes an integer fits.
fn width_of(value: i64) -> usize {
    match value {
        _ if i16::try_from(value).is_ok() => 2,
        _ if i32::try_from(value).is_ok() => 4,
        _ => 8,
    }
}

/// For how many more bytes room is made where so many are needed. Doubling would leave half of a
/// large sequence unused; small ones get what allocators give anyway, 8 bytes off a multiple of 16.
fn growth(len: usize, more: usize) -> usize {
    (len + more + len / 8 + 8).next_multiple_of(16) - 8 - len
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds as a set does, which widens first.
    fn add(ints: &mut Ints, value: i64) -> bool {
        if !ints.fits(value) {
            *ints = ints.widened(value);
        }
        ints.insert(value)
    }

    fn all(ints: &Ints) -> Vec<i64> {
        ints.iter().collect()
    }

    #[test]
    fn are_distinct_and_in_order() {
        let mut ints = Ints::new();
        for value in [5, -3, 9, 5, 0, -3, 7] {
            add(&mut ints, value);
        }
        assert_eq!(all(&ints), [-3, 0, 5, 7, 9]);
        assert_eq!((ints.find(5), ints.find(6)), (Some(2), None));
        ints.remove(2);
        ints.remove(40);
        assert_eq!(all(&ints), [-3, 0, 7, 9]);
    }

    #[test]
    fn those_below_are_counted_from_anywhere_before() {
        for step in [1, 3, 1_000, 100_000] {
            let mut ints = Ints::new();
            (0..70).for_each(|at| _ = add(&mut ints, at * step));
            for value in (-step..71 * step).step_by((step / 2).max(1) as usize) {
                let below = all(&ints).partition_point(|&other| other < value);
                assert!(
                    (0..=below).all(|known| ints.count_below(value, known) == below),
                    "{value}"
                );
            }
        }
        assert_eq!(Ints::new().count_below(1, 0), 0);
    }

    #[test]
    fn are_as_wide_as_the_widest_needs() {
        let edges = [
            (0, 2),
            (i64::from(i16::MAX), 2),
            (i64::from(i16::MIN), 2),
            (i64::from(i16::MAX) + 1, 4),
            (i64::from(i16::MIN) - 1, 4),
            (i64::from(i32::MIN), 4),
            (i64::from(i32::MAX) + 1, 8),
            (i64::MIN, 8),
            (1, 8),
        ];
        let mut ints = Ints::new();
        for (value, width) in edges {
            assert!(add(&mut ints, value), "{value}");
            assert_eq!(ints.width(), width, "{value}");
        }
        let mut sorted = edges.map(|(value, _)| value);
        sorted.sort_unstable();
        assert_eq!(all(&ints), sorted);
        assert_eq!(Ints::new().find(1 << 40), None);
    }

    #[test]
    fn give_back_room() {
        let mut ints = Ints::new();
        for value in 0..1000 {
            add(&mut ints, value);
        }
        assert!(ints.heap_size() < 2600, "{}", ints.heap_size());
        for _ in 0..990 {
            ints.remove(0);
        }
        assert!(ints.heap_size() < 80, "{}", ints.heap_size());
        assert_eq!(all(&ints), (990..1000).collect::<Vec<_>>());
    }
}

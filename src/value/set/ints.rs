//! The form of a set whose members are all integers: sorted, each in 2, 4 or 8 bytes.
//!
//! All take as many bytes as the widest one needs. A wider integer makes a new, wider sequence;
//! nothing makes it narrower again. This room knows integers and their order, no texts.

/// An integer of some width.
trait Int: Copy + Ord + Into<i64> + TryFrom<i64> {}

impl<T: Copy + Ord + Into<i64> + TryFrom<i64>> Int for T {}

/// Distinct integers in ascending order, by the width they are kept in.
#[derive(Clone)]
pub(crate) enum Ints {
    /// Two bytes each.
    Narrow(Vec<i16>),
    /// Four bytes each.
    Middle(Vec<i32>),
    /// Eight bytes each.
    Wide(Vec<i64>),
}

/// Runs the same on the sequence of any width.
macro_rules! each_width {
    ($ints:expr, $sequence:ident => $run:expr) => {
        match $ints {
            Ints::Narrow($sequence) => $run,
            Ints::Middle($sequence) => $run,
            Ints::Wide($sequence) => $run,
        }
    };
}

impl Ints {
    /// None, in the narrowest form, without an allocation.
    pub(super) const fn new() -> Ints {
        Ints::Narrow(Vec::new())
    }

    /// The integers that lie in some bytes side by side at a width, the lowest byte first; none if
    /// they are not distinct and ascending.
    pub(crate) fn from_bytes(width: usize, bytes: &[u8]) -> Option<Ints> {
        match width {
            2 => ascending(bytes, i16::from_le_bytes).map(Ints::Narrow),
            4 => ascending(bytes, i32::from_le_bytes).map(Ints::Middle),
            8 => ascending(bytes, i64::from_le_bytes).map(Ints::Wide),
            _ => None,
        }
    }

    /// Bytes allocated.
    pub(crate) fn heap_size(&self) -> usize {
        each_width!(self, ints => ints.capacity()) * self.width()
    }

    /// Number of integers.
    pub(crate) fn len(&self) -> usize {
        each_width!(self, ints => ints.len())
    }

    /// Bytes that each of them takes.
    pub(crate) fn width(&self) -> usize {
        match self {
            Ints::Narrow(_) => 2,
            Ints::Middle(_) => 4,
            Ints::Wide(_) => 8,
        }
    }

    /// The integer of a rank, the least first.
    #[inline]
    pub(crate) fn get(&self, rank: usize) -> Option<i64> {
        each_width!(self, ints => get(ints, rank))
    }

    /// The rank of an integer, if it is there.
    #[inline]
    pub(super) fn find(&self, value: i64) -> Option<usize> {
        each_width!(self, ints => find(ints, value))
    }

    /// Adds an integer that fits; false if it was there.
    pub(super) fn insert(&mut self, value: i64) -> bool {
        each_width!(self, ints => insert(ints, value))
    }

    /// Removes the integer of a rank.
    pub(super) fn remove(&mut self, rank: usize) {
        each_width!(self, ints => remove(ints, rank));
    }

    /// Whether an integer needs no wider form.
    pub(super) fn fits(&self, value: i64) -> bool {
        self.width() >= width_of(value)
    }

    /// The same integers in a form that a value fits, with room for one more.
    pub(super) fn widened(&self, value: i64) -> Ints {
        match width_of(value).max(self.width()) {
            2 => Ints::Narrow(self.copied()),
            4 => Ints::Middle(self.copied()),
            _ => Ints::Wide(self.copied()),
        }
    }

    fn copied<T: Int>(&self) -> Vec<T> {
        let mut copy = Vec::with_capacity(self.len() + 1);
        copy.extend(self.iter().filter_map(|value| T::try_from(value).ok()));
        copy
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).filter_map(|rank| self.get(rank))
    }
}

fn ascending<T: Int, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (numbers, rest) = bytes.as_chunks();
    let ints: Vec<T> = numbers.iter().map(|number| read(*number)).collect();
    (rest.is_empty() && ints.is_sorted_by(|a, b| a < b)).then_some(ints)
}

/// The fewest bytes an integer fits.
fn width_of(value: i64) -> usize {
    match value {
        _ if i16::try_from(value).is_ok() => 2,
        _ if i32::try_from(value).is_ok() => 4,
        _ => 8,
    }
}

#[inline]
fn get<T: Int>(ints: &[T], rank: usize) -> Option<i64> {
    ints.get(rank).map(|&int| int.into())
}

fn find<T: Int>(ints: &[T], value: i64) -> Option<usize> {
    ints.binary_search(&T::try_from(value).ok()?).ok()
}

fn insert<T: Int>(ints: &mut Vec<T>, value: i64) -> bool {
    let Ok(value) = T::try_from(value) else { return false };
    // Integers are often added in their order.
    let rank = match ints.last() {
        Some(&last) if last >= value => match ints.binary_search(&value) {
            Ok(_) => return false,
            Err(rank) => rank,
        },
        _ => ints.len(),
    };
    if ints.len() == ints.capacity() {
        ints.reserve_exact(growth::<T>(ints.len()));
    }
    ints.insert(rank, value);
    true
}

/// For how many more integers room is made where there is none. Doubling would leave half of a
/// large sequence unused; small ones get what allocators give anyway, 8 bytes off a multiple of 16.
fn growth<T>(len: usize) -> usize {
    let bytes = (len + 1 + len / 8) * size_of::<T>();
    let given = (bytes + 8).next_multiple_of(16) - 8;
    given / size_of::<T>() - len
}

fn remove<T>(ints: &mut Vec<T>, rank: usize) {
    if rank >= ints.len() {
        return;
    }
    ints.remove(rank);
    if ints.capacity() > ints.len() * 2 + 8 {
        ints.shrink_to(ints.len() + ints.len() / 4);
    }
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
        let Ints::Narrow(room) = &ints else { panic!("small integers are narrow") };
        assert!(room.capacity() < 1300, "{}", room.capacity());
        for _ in 0..990 {
            ints.remove(0);
        }
        let Ints::Narrow(room) = &ints else { panic!("small integers are narrow") };
        assert!(room.capacity() < 40, "{}", room.capacity());
        assert_eq!(all(&ints), (990..1000).collect::<Vec<_>>());
    }
}

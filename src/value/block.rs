//! Small collections as blocks: one allocation that holds a prefix, which is the caller's, and all
//! there is in the collection.
//!
//! A block is read where it lies, as a borrowed collection. To be changed it is opened, which moves
//! the allocation into a collection of its own kind, and closed again. Each packed form knows how it
//! is closed up; here is which forms there are.

use super::hash::Hash;
use super::list::List;
use super::set::{Set, Small};
use super::zset::ZSet;
use super::{Value, ValueView};

/// What lies in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    List = 1,
    Hash = 2,
    /// A set of anything but integers.
    Set = 3,
    /// A set of integers in 2 bytes each.
    Ints2 = 4,
    /// In 4 bytes each.
    Ints4 = 5,
    /// In 8 bytes each.
    Ints8 = 6,
    ZSet = 7,
}

impl Kind {
    /// All of them, in the order of their numbers, which begin with 1.
    const ALL: [Kind; 7] =
        [Kind::List, Kind::Hash, Kind::Set, Kind::Ints2, Kind::Ints4, Kind::Ints8, Kind::ZSet];

    /// The kind of a number.
    #[inline]
    pub(crate) fn of_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number.wrapping_sub(1))).copied()
    }

    /// The width of the integers of a set.
    #[inline]
    pub(super) fn ints_width(self) -> Option<usize> {
        match self {
            Kind::Ints2 => Some(2),
            Kind::Ints4 => Some(4),
            Kind::Ints8 => Some(8),
            Kind::List | Kind::Hash | Kind::Set | Kind::ZSet => None,
        }
    }

    #[inline]
    pub(super) fn of_ints(width: usize) -> Kind {
        match width {
            2 => Kind::Ints2,
            4 => Kind::Ints4,
            _ => Kind::Ints8,
        }
    }
}

impl<'a> ValueView<'a> {
    /// The collection in a block, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn in_block(kind: Kind, block: &'a [u8], prefix: usize) -> Self {
        let value = match kind {
            Kind::List => List::in_block(kind, block, prefix).map(Value::List),
            Kind::Hash => Hash::in_block(kind, block, prefix).map(Value::Hash),
            Kind::ZSet => ZSet::in_block(kind, block, prefix).map(Value::ZSet),
            Kind::Set | Kind::Ints2 | Kind::Ints4 | Kind::Ints8 => {
                Set::in_block(kind, block, prefix).map(Value::Set)
            }
        };
        value.unwrap_or(Value::Text(Default::default()))
    }
}

impl Value {
    /// Opens a block, which lies behind a prefix of so many bytes.
    pub(crate) fn from_block(kind: Kind, block: Vec<u8>, prefix: usize) -> Value {
        match kind {
            Kind::List => Value::List(List::from_block(kind, block, prefix)),
            Kind::Hash => Value::Hash(Hash::from_block(kind, block, prefix)),
            Kind::ZSet => Value::ZSet(ZSet::from_block(kind, block, prefix)),
            Kind::Set | Kind::Ints2 | Kind::Ints4 | Kind::Ints8 => {
                Value::Set(Set::from_block(kind, block, prefix))
            }
        }
    }

    /// Closes the value up into a block, if it is a small collection behind a prefix of so many
    /// bytes; what is left is empty then.
    pub(crate) fn close(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
        match self {
            Value::List(list) => list.close_up(prefix),
            Value::Hash(hash) => hash.close_up(prefix),
            Value::Set(set) => set.close_up(prefix),
            Value::ZSet(zset) => zset.close_up(prefix),
            Value::Text(_) | Value::Stream(_) => None,
        }
    }

    /// Moves a small collection behind a prefix, or to where it needs none.
    fn move_behind(&mut self, prefix: Option<Vec<u8>>) {
        let packed = match self {
            Value::List(list) => list.packed_mut().map(Small::Packed),
            Value::Hash(Hash::Packed(packed)) => Some(Small::Packed(packed)),
            Value::Set(set) => set.small_mut(),
            Value::ZSet(zset) => {
                if let Some(packed) = zset.packed_mut() {
                    packed.move_behind(prefix);
                }
                return;
            }
            Value::Hash(Hash::Table(_)) | Value::Text(_) | Value::Stream(_) => None,
        };
        match packed {
            Some(Small::Packed(packed)) => packed.move_behind(prefix),
            Some(Small::Ints(ints)) => ints.move_behind(prefix),
            None => (),
        }
    }

    /// The bytes that a small collection takes in a block beside the prefix; 0 for any other value.
    fn block_bytes(&mut self) -> usize {
        let packed = match self {
            Value::List(list) => list.packed_mut().map(Small::Packed),
            Value::Hash(Hash::Packed(packed)) => Some(Small::Packed(packed)),
            Value::Set(set) => set.small_mut(),
            Value::ZSet(zset) => return zset.packed_mut().map_or(0, |packed| packed.block_bytes()),
            Value::Hash(Hash::Table(_)) | Value::Text(_) | Value::Stream(_) => None,
        };
        match packed {
            Some(Small::Packed(packed)) => packed.block_bytes(),
            Some(Small::Ints(ints)) => ints.block_bytes(),
            None => 0,
        }
    }

    /// Moves a small collection behind a prefix, which is made with room for so many bytes, and
    /// closes it up; what is too large for that loses the prefix it may have.
    pub(crate) fn into_block(
        mut self,
        prefix: impl FnOnce(usize) -> Vec<u8>,
    ) -> Result<(Kind, Vec<u8>), Value> {
        let needed = self.block_bytes();
        if needed == 0 {
            return Err(self);
        }
        let prefix = prefix(needed);
        let len = prefix.len();
        self.move_behind(Some(prefix));
        self.close(len).ok_or_else(|| {
            self.move_behind(None);
            self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Collection;
    use super::*;
    use crate::number::IntText;

    /// What is in a value, as text.
    fn shown(value: ValueView<'_>) -> String {
        match value {
            Value::List(list) => format!("{:?}", list.iter().collect::<Vec<_>>()),
            Value::Hash(hash) => format!("{:?}", hash.iter().collect::<Vec<_>>()),
            Value::Set(set) => format!("{:?}", set.iter().collect::<Vec<_>>()),
            Value::ZSet(zset) => format!("{:?}", zset.range(0, 99).collect::<Vec<_>>()),
            Value::Text(_) | Value::Stream(_) => "no small collection".to_owned(),
        }
    }

    /// Adds something that depends on a number to whatever small collection a value is.
    fn add(value: &mut Value, number: i64) {
        let text = IntText::new(number);
        match value {
            Value::List(list) if number % 3 == 0 => list.push_front(b"front", Default::default()),
            Value::List(list) if number % 5 == 0 => drop(list.pop_front()),
            Value::List(list) => list.push_back(text.as_bytes(), Default::default()),
            Value::Hash(hash) if number % 4 == 0 => drop(hash.remove(b"1", |_, _| ())),
            Value::Hash(hash) => drop(hash.set(text.as_bytes(), b"value", |_| ())),
            Value::Set(set) => drop(set.add(text.as_bytes(), 512)),
            Value::ZSet(zset) => drop(zset.set(text.as_bytes(), -number as f64)),
            Value::Text(_) | Value::Stream(_) => (),
        }
    }

    /// Opens and closes a block for each of some changes, and compares it with a collection that
    /// was never closed.
    fn check(mut value: Value, mut model: Value, numbers: &[i64]) {
        const PREFIX: &[u8] = b"what lies before it";
        for &number in numbers {
            add(&mut value, number);
            add(&mut model, number);
            let (kind, block) = match value.close(PREFIX.len()) {
                Some(closed) => closed,
                // It took another form, which does not lie behind the prefix yet.
                None => value.into_block(|_| PREFIX.to_vec()).ok().unwrap(),
            };
            assert_eq!(block.len(), block.capacity());
            assert!(block.starts_with(PREFIX));
            let view = ValueView::in_block(kind, &block, PREFIX.len());
            assert_eq!(shown(view), shown(model.view()), "after {number}");
            value = Value::from_block(kind, block, PREFIX.len());
        }
    }

    #[test]
    fn what_is_closed_up_is_read_in_place_and_opened_again() {
        let numbers: Vec<i64> = (1..40).chain([70_000, 70_001, i64::MAX]).collect();
        let prefix = || b"what lies before it".to_vec();
        check(List::behind(prefix()).into_value(), List::new().into_value(), &numbers);
        check(Hash::behind(prefix()).into_value(), Hash::new().into_value(), &numbers);
        check(Set::behind(prefix()).into_value(), Set::new().into_value(), &numbers);
        check(ZSet::behind(prefix()).into_value(), ZSet::new().into_value(), &numbers);
        // A set that is one of texts later on.
        let mut set = Set::behind(prefix()).into_value();
        let mut model = Set::new().into_value();
        for value in [&mut set, &mut model] {
            Set::of_mut(value).map(|set| set.add(b"word", 512));
        }
        check(set, model, &numbers[..20]);
    }

    #[test]
    fn what_is_large_loses_its_prefix_only() {
        let mut value = List::behind(b"prefix".to_vec()).into_value();
        (0..2_000).filter(|n| n % 3 != 0 && n % 5 != 0).for_each(|n| add(&mut value, n));
        let before = shown(value.view());
        assert!(value.close(6).is_none());
        let value = value.into_block(|_| b"prefix".to_vec()).err().unwrap();
        assert_eq!(shown(value.view()), before);
    }
}

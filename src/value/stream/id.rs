//! The ID of an entry: a time and a number within it, and the text of the two.
//!
//! This room knows how IDs are ordered and written; how they are read from arguments is the
//! commands' business.

/// The ID of an entry. IDs grow along a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    /// Milliseconds since 1970, or whatever the writer chose.
    pub(crate) ms: u64,
    /// The number within the millisecond.
    pub(crate) seq: u64,
}

/// The longest text of an ID: two numbers of twenty digits and what is between them.
const TEXT_MOST: usize = 41;

/// The text of an ID, without an allocation.
pub(crate) struct IdText {
    bytes: [u8; TEXT_MOST],
    len: u8,
}

impl Id {
    /// Before every entry; no entry has it.
    pub(crate) const MIN: Id = Id { ms: 0, seq: 0 };
    /// The last there is.
    pub(crate) const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// The ID right after this one.
    #[inline]
    pub(crate) fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The ID right before this one.
    pub(crate) fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// The ID as 16 bytes whose order is that of the IDs.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The opposite of [`Id::to_bytes`].
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Id {
        let both = u128::from_be_bytes(bytes);
        Id { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// The ID as it is written.
    #[inline]
    pub(crate) fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; TEXT_MOST], len: 0 };
        text.push(itoa::Buffer::new().format(self.ms).as_bytes());
        text.push(b"-");
        text.push(itoa::Buffer::new().format(self.seq).as_bytes());
        text
    }
}

impl IdText {
    fn push(&mut self, part: &[u8]) {
        let start = usize::from(self.len);
        if let Some(room) = self.bytes.get_mut(start..start + part.len()) {
            room.copy_from_slice(part);
            self.len += part.len() as u8;
        }
    }

    /// The text.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> Id {
        Id { ms, seq }
    }

    #[test]
    fn neighbours_carry_over() {
        assert_eq!(id(1, 2).next(), Some(id(1, 3)));
        assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
        assert_eq!(Id::MAX.next(), None);
        assert_eq!(id(1, 3).previous(), Some(id(1, 2)));
        assert_eq!(id(2, 0).previous(), Some(id(1, u64::MAX)));
        assert_eq!(Id::MIN.previous(), None);
    }

    #[test]
    fn texts_and_bytes_are_exact_at_the_ends() {
        assert_eq!(Id::MIN.text().as_bytes(), b"0-0");
        assert_eq!(Id::MAX.text().as_bytes(), b"18446744073709551615-18446744073709551615");
        for id in [Id::MIN, Id::MAX, id(1, u64::MAX), id(u64::MAX, 1)] {
            assert_eq!(Id::from_bytes(id.to_bytes()), id);
        }
        assert!(id(1, u64::MAX).to_bytes() < id(2, 0).to_bytes());
    }
}

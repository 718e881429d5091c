//! A member of a large set as the table holds it: 16 bytes, in which short members lie whole.
//!
//! Most members are short, so most of a set needs nothing but its table. Longer ones lie in blocks
//! of the sizes allocators hand out, each reached through one thin pointer: a boxed slice would
//! carry its length in the pointer and make every slot of the table half as large again.

use crate::bytes::{SHORT_MOST, number};
use crate::table::Keyed;

/// The longest member that lies in its slot.
const INLINE_BYTES: usize = 14;

/// The bytes of a member. `len` of `bytes` are in use.
#[derive(Clone)]
pub(super) enum Stored {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    To24 { len: u8, bytes: Box<[u8; 24]> },
    To40 { len: u8, bytes: Box<[u8; 40]> },
    To56 { len: u8, bytes: Box<[u8; 56]> },
    To88 { len: u8, bytes: Box<[u8; 88]> },
    Longer(Box<Box<[u8]>>),
}

// What a large set weighs depends on it.
const _: () = assert!(size_of::<Stored>() == 16 || size_of::<usize>() != 8);

/// A block with some bytes at its beginning; none where they are too many.
fn block<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut block = [0; N];
    block.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(block)
}

/// A short member and zeros behind it, made of few loads: a call that copies takes longer.
#[inline]
fn short(member: &[u8]) -> [u8; INLINE_BYTES] {
    let (head, tail) = member.split_at_checked(SHORT_MOST).unwrap_or((member, &[]));
    let [a, b, c, d, e, f, g, h] = number(head).to_le_bytes();
    let [i, j, k, l, m, n, ..] = number(tail).to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

impl Stored {
    /// Copies a member into the form that suits its length.
    pub(super) fn new(member: &[u8]) -> Stored {
        let len = member.len() as u8;
        if member.len() <= INLINE_BYTES {
            return Stored::Inline { len, bytes: short(member) };
        }
        match member.len() {
            ..=24 => block(member).map(|b| Stored::To24 { len, bytes: Box::new(b) }),
            25..=40 => block(member).map(|b| Stored::To40 { len, bytes: Box::new(b) }),
            41..=56 => block(member).map(|b| Stored::To56 { len, bytes: Box::new(b) }),
            _ => block(member).map(|b| Stored::To88 { len, bytes: Box::new(b) }),
        }
        .unwrap_or_else(|| Stored::Longer(Box::new(member.into())))
    }

    /// Bytes allocated outside of the slot.
    pub(super) fn heap_size(&self) -> usize {
        match self {
            Stored::Inline { .. } => 0,
            Stored::To24 { .. } => 24,
            Stored::To40 { .. } => 40,
            Stored::To56 { .. } => 56,
            Stored::To88 { .. } => 88,
            Stored::Longer(bytes) => size_of::<Box<[u8]>>() + bytes.len(),
        }
    }

    /// The member.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        let (bytes, len): (&[u8], u8) = match self {
            Stored::Inline { len, bytes } => (bytes, *len),
            Stored::To24 { len, bytes } => (&bytes[..], *len),
            Stored::To40 { len, bytes } => (&bytes[..], *len),
            Stored::To56 { len, bytes } => (&bytes[..], *len),
            Stored::To88 { len, bytes } => (&bytes[..], *len),
            Stored::Longer(bytes) => return bytes,
        };
        bytes.get(..usize::from(len)).unwrap_or_default()
    }
}

impl Keyed for Stored {
    #[inline]
    fn key(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_every_length_come_back() {
        for len in (0..400).chain([70_000]) {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let stored = Stored::new(&bytes);
            assert_eq!(stored.as_bytes(), bytes, "{len}");
            assert_eq!(matches!(stored, Stored::Inline { .. }), len <= INLINE_BYTES, "{len}");
            assert_eq!(matches!(stored, Stored::Longer(_)), len > 88, "{len}");
        }
    }
}

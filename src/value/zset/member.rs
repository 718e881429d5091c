//! The entry of an indexed sorted set: a member's bytes, its score, and the
//! order of the two.
//!
//! This room decides how a member is stored and what "before" means. It may not
//! know of the tree, of the index or of the packed form.

use std::sync::Arc;

use crate::table::Keyed;

/// The longest member kept inside its entry, without an allocation of its own.
///
/// The number is what fits beside a tag and a length in the 24 bytes which a
/// tagged `Arc<[u8]>` needs anyway.
const INLINE_BYTES: usize = 22;

/// The two reference counts in front of the bytes of an `Arc`.
pub(crate) const ARC_HEADER_BYTES: usize = 2 * size_of::<usize>();

/// A position in the order of a sorted set: by score, then by member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The score. Never NaN.
    pub(crate) score: f64,
    /// The member's bytes.
    pub(crate) member: &'a [u8],
}

impl Place<'_> {
    /// True if this place comes strictly before `other`.
    ///
    /// The scores are compared as C does it, so -0.0 and 0.0 are the same
    /// score and the bytes of the members decide.
    pub(crate) fn is_before(self, other: Place<'_>) -> bool {
        self.score < other.score || (self.score == other.score && self.member < other.member)
    }

    /// True if this is the same place as `other`.
    pub(crate) fn is(self, other: Place<'_>) -> bool {
        self.score == other.score && self.member == other.member
    }
}

/// The bytes of a member.
///
/// Tree and index hold one copy each. Short members, the usual ones, are copied
/// whole: that is leaner than sharing them, as an allocation with its counts
/// and its padding costs more than the second copy, and a comparison needs no
/// pointer chase. Long members share one allocation.
#[derive(Clone)]
pub(super) enum Member {
    /// The first `len` of `bytes`.
    Short { len: u8, bytes: [u8; INLINE_BYTES] },
    /// More bytes than fit inline.
    Long(Arc<[u8]>),
}

impl Member {
    /// Copies `bytes` into the form that suits their length.
    fn new(bytes: &[u8]) -> Member {
        let mut inline = [0; INLINE_BYTES];
        match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(bytes);
                Member::Short { len, bytes: inline }
            }
            _ => Member::Long(Arc::from(bytes)),
        }
    }

    /// The bytes of the member.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Member::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Member::Long(bytes) => bytes,
        }
    }
}

/// A member with its score: the entry of both the tree and the index.
#[derive(Clone)]
pub(crate) struct Scored {
    /// The score. Never NaN.
    pub(crate) score: f64,
    /// The member's bytes.
    pub(super) member: Member,
}

// Two entries to a cache line; the bytes-per-member figures depend on it.
const _: () = assert!(size_of::<Scored>() == 32 || size_of::<usize>() != 8);

impl Scored {
    /// An entry for `place`, with a copy of the member's bytes.
    pub(crate) fn new(place: Place<'_>) -> Scored {
        Scored { score: place.score, member: Member::new(place.member) }
    }

    /// Where this entry belongs in the order.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { score: self.score, member: self.member.as_bytes() }
    }

    /// Bytes allocated outside the entry; shared by all clones of it.
    pub(crate) fn heap_size(&self) -> usize {
        match &self.member {
            Member::Short { .. } => 0,
            Member::Long(bytes) => ARC_HEADER_BYTES + bytes.len(),
        }
    }
}

impl Keyed for Scored {
    fn key(&self) -> &[u8] {
        self.member.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(score: f64, member: &[u8]) -> Place<'_> {
        Place { score, member }
    }

    #[test]
    fn members_of_every_length_come_back() {
        for len in 0..300 {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let entry = Scored::new(place(1.5, &bytes));
            assert_eq!(entry.key(), bytes);
            assert_eq!(entry.heap_size() == 0, len <= INLINE_BYTES, "{len}");
        }
    }

    #[test]
    fn score_decides_before_member() {
        assert!(place(1.0, b"z").is_before(place(2.0, b"a")));
        assert!(place(1.0, b"a").is_before(place(1.0, b"aa")));
        assert!(!place(1.0, b"a").is_before(place(1.0, b"a")));
        assert!(place(f64::NEG_INFINITY, b"b").is_before(place(f64::INFINITY, b"a")));
    }

    #[test]
    fn zeros_of_both_signs_are_one_score() {
        assert!(place(0.0, b"a").is_before(place(-0.0, b"b")));
        assert!(place(-0.0, b"a").is_before(place(0.0, b"b")));
        assert!(!place(-0.0, b"a").is_before(place(0.0, b"a")));
    }
}

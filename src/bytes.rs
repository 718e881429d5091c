//! Short byte strings: comparing them, and taking them as numbers.

/// Whether two byte strings are equal. Those of up to 16 bytes, as most names are, are compared
/// in few loads, which may overlap, rather than by a call.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0 => true,
        1..4 => ends(a) == ends(b),
        4..8 => words::<4>(a) == words::<4>(b),
        8..=16 => words::<8>(a) == words::<8>(b),
        _ => a == b,
    }
}

/// The first byte, the middle one and the last, all there are of at most three, as one number.
#[inline(always)]
fn ends(bytes: &[u8]) -> u32 {
    let byte = |at: usize| bytes.get(at).map_or(0, |&byte| u32::from(byte));
    byte(0) | byte(bytes.len() / 2) << 8 | byte(bytes.len() - 1) << 16
}

/// The first so many bytes and the last.
#[inline]
fn words<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((bytes.first_chunk()?, bytes.last_chunk()?))
}

/// The most bytes of a string that is taken as a number.
pub(crate) const SHORT_MOST: usize = size_of::<u64>();

/// A string of up to [`SHORT_MOST`] bytes as a number, the first byte lowest; the loads may overlap.
#[inline(always)]
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let byte = |at: usize| bytes.get(at).map_or(0, |&byte| u64::from(byte) << (8 * at));
    match bytes.len() {
        0 => 0,
        len @ 1..4 => byte(0) | byte(len / 2) | byte(len - 1),
        len @ 4..8 => words::<4>(bytes).map_or(0, |(first, last)| {
            let (low, high) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            u64::from(low) | u64::from(high) << (8 * (len - 4))
        }),
        _ => bytes.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight)),
    }
}

/// Bytes that [`append_short`] stores, those that count and others.
pub(crate) const SHORT_STORE: usize = 2 + SHORT_MOST;

/// Appends a byte, so many bytes that a number holds, and another byte, all by one store: fewer
/// instructions than three, if there is room for [`SHORT_STORE`].
#[inline(always)]
pub(crate) fn append_short(out: &mut Vec<u8>, first: u8, number: u64, len: usize, last: u8) {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    let end = out.len() + len + 1;
    out.extend_from_slice(&[first, a, b, c, d, e, f, g, h, last]);
    if let Some(byte) = out.get_mut(end) {
        *byte = last;
    }
    out.truncate(end + 1);
}

#[cfg(test)]
mod tests {
    use super::{SHORT_MOST, append_short, number, same};

    #[test]
    fn a_short_text_is_appended_between_two_bytes() {
        for len in 0..=SHORT_MOST {
            let text: Vec<u8> = (0..len).map(|at| at as u8 * 13 + 1).collect();
            let mut out = b"before".to_vec();
            append_short(&mut out, 255, number(&text), len, 254);
            assert_eq!(out, [b"before", &[255][..], &text, &[254]].concat());
        }
    }

    #[test]
    fn a_number_has_all_bytes() {
        for len in 0..=SHORT_MOST {
            let text: Vec<u8> = (0..len).map(|at| at as u8 * 13 + 1).collect();
            let mut padded = [0; SHORT_MOST];
            padded[..len].copy_from_slice(&text);
            assert_eq!(number(&text), u64::from_le_bytes(padded), "{len} bytes");
        }
    }

    #[test]
    fn every_byte_counts() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &[&text[..], b"x"].concat()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!same(&text, &other), "{len} bytes, at {at}");
            }
        }
    }
}

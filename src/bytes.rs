//! Comparing short byte strings.

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

#[cfg(test)]
mod tests {
    use super::same;

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

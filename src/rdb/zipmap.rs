//! The zipmap: what Redis packed small hashes into before 2.6. It is read only.
//!
//! In front stands the number of fields, a byte of ones ends it. A field is its length and its
//! bytes; its value is the length, the number of unused bytes behind it, its bytes, and those.

use super::read::Reader;

/// What the first byte says of fields that are too many to be counted in it.
const COUNT_UNKNOWN: u8 = 254;
/// In front of a length that takes 32 bits.
const LONG: u8 = 254;
/// The byte behind the last value.
const END: u8 = 255;

/// What takes fields and values one by one, and may find damage in them.
type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Option<()>;

/// Visits the fields of a zipmap, which must be whole and well formed, with their values.
pub(super) fn read(bytes: &[u8], visit: Visit<'_>) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let told = reader.byte()?;
    let mut reader = Reader::new(reader.take(bytes.len().checked_sub(2)?)?);
    if bytes.last() != Some(&END) {
        return None;
    }
    let mut count = 0_usize;
    while !reader.is_empty() {
        let len = length(&mut reader)?;
        let field = reader.take(len)?;
        let len = length(&mut reader)?;
        let unused = reader.byte()?;
        let value = reader.take(len)?;
        reader.take(unused.into())?;
        visit(field, value)?;
        count += 1;
    }
    (told == COUNT_UNKNOWN || usize::from(told) == count).then_some(())
}

/// A length; one that is written longer than it need be is damage.
fn length(reader: &mut Reader<'_>) -> Option<usize> {
    match reader.byte()? {
        LONG => {
            let len = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
            (len >= LONG.into()).then_some(len)
        }
        END => None,
        len => Some(len.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(bytes: &[u8]) -> Option<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read(bytes, &mut |field, value| {
            pairs.push((text(field), text(value)));
            Some(())
        })?;
        Some(pairs)
    }

    #[test]
    fn fields_and_values_are_read_past_what_is_unused() {
        let long = [&b"\x02\x01f\x03\x02val??\xfe\x2c\x01\0\0"[..], &[b'x'; 300], b"\0\0\xff"];
        let expected = [("f", "val"), (&"x".repeat(300), "")];
        let expected = expected.map(|(field, value)| (field.to_owned(), value.to_owned()));
        assert_eq!(pairs(&long.concat()), Some(expected.to_vec()));
        assert_eq!(pairs(b"\xfe\x01f\x01\0v\xff").map(|pairs| pairs.len()), Some(1));
    }

    #[test]
    fn what_is_cut_or_miscounted_is_refused() {
        let whole = b"\x01\x01f\x01\x01v.\xff";
        assert!(pairs(whole).is_some());
        (0..whole.len()).for_each(|at| assert_eq!(pairs(&whole[..at]), None, "cut at {at}"));
        assert_eq!(pairs(b"\x02\x01f\x01\0v\xff"), None);
        assert_eq!(pairs(b"\x01\xfe\x01\0\0\0f\x01\0v\xff"), None);
        assert_eq!(pairs(b"\x01\x01f\x01\x09v\xff"), None);
    }
}

//! The elements of a listpack: strings and integers back to back.
//!
//! An element is its encoding, its bytes, and the length of both, written so that it is read
//! backwards: seven bits a byte, the highest first, a bit set in all but that one. Collections are
//! packed like this where they are written down, and streams may stay so. Every byte may be hostile.

use crate::number::IntText;

/// Bytes in front of the elements: the number of bytes and, where it fits 16 bits, of elements.
pub(crate) const HEADER_BYTES: usize = 6;
/// What the header says of elements that are too many to be counted in it.
pub(crate) const COUNT_UNKNOWN: u16 = u16::MAX;
/// The byte behind the last element.
pub(crate) const END: u8 = 0xff;

/// In front of a string whose length takes 32 bits.
pub(crate) const STRING_32: u8 = 0xf0;
pub(crate) const INTEGER_16: u8 = 0xf1;
pub(crate) const INTEGER_24: u8 = 0xf2;
pub(crate) const INTEGER_32: u8 = 0xf3;
pub(crate) const INTEGER_64: u8 = 0xf4;

/// An element of a packed form: numbers are kept as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element<'a> {
    /// An integer, which stands for its decimal digits.
    Integer(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl Element<'_> {
    /// Runs something on the bytes of the element.
    #[inline]
    pub(crate) fn with_bytes<R>(self, run: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Integer(value @ 0..10) => run(&[b'0' + value as u8]),
            Element::Integer(value) => run(IntText::new(value).as_bytes()),
            Element::Bytes(bytes) => run(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Element<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Element::Bytes(bytes)
    }
}

/// The elements, with nothing in front or behind, and their number as far as it is told.
pub(crate) fn elements(packed: &[u8]) -> Option<(&[u8], u16)> {
    let (size, rest) = packed.split_first_chunk()?;
    let (told, rest) = rest.split_first_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let (&end, elements) = rest.split_last()?;
    (size == packed.len() && end == END).then_some((elements, u16::from_le_bytes(*told)))
}

/// The first element, and what is behind it.
#[inline]
pub(crate) fn split_first(elements: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let &first = elements.first()?;
    let (element, size) = match first {
        0x00..0x80 => (Element::Integer(first.into()), 1),
        0x80..0xc0 => text(elements, 1, usize::from(first & 0x3f))?,
        0xc0..0xe0 => {
            let [high, low] = *elements.first_chunk()?;
            let bits = u16::from_be_bytes([high & 0x1f, low]);
            // Thirteen bits with a sign, shifted up to those of the type and down again.
            (Element::Integer((((bits << 3) as i16) >> 3).into()), 2)
        }
        0xe0..0xf0 => {
            let [high, low] = *elements.first_chunk()?;
            text(elements, 2, u16::from_be_bytes([high & 0x0f, low]).into())?
        }
        STRING_32 => {
            let len = u32::from_le_bytes(*bytes_of(elements)?);
            text(elements, 5, usize::try_from(len).ok()?)?
        }
        INTEGER_16 => (Element::Integer(i16::from_le_bytes(*bytes_of(elements)?).into()), 3),
        INTEGER_24 => (Element::Integer(i24(*bytes_of(elements)?).into()), 4),
        INTEGER_32 => (Element::Integer(i32::from_le_bytes(*bytes_of(elements)?).into()), 5),
        INTEGER_64 => (Element::Integer(i64::from_le_bytes(*bytes_of(elements)?)), 9),
        _ => return None,
    };
    Some((element, behind(elements, size)?))
}

/// What is behind the first element. To pass elements over takes less than to read them.
#[inline]
pub(crate) fn skip_first(elements: &[u8]) -> Option<&[u8]> {
    let &first = elements.first()?;
    match SIZES.get(usize::from(first)) {
        Some(&size @ 1..) => behind(elements, size.into()),
        _ => split_first(elements).map(|(_, rest)| rest),
    }
}

/// By the first byte of an element, how long it is without the length behind it; 0 where that takes
/// more than this byte to tell.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut first = 0;
    while first < 256 {
        sizes[first] = match first as u8 {
            0x00..0x80 => 1,
            text @ 0x80..0xc0 => 1 + (text & 0x3f),
            0xc0..0xe0 => 2,
            INTEGER_16 => 3,
            INTEGER_24 => 4,
            INTEGER_32 => 5,
            INTEGER_64 => 9,
            _ => 0,
        };
        first += 1;
    }
    sizes
};

/// What is before the last element.
#[inline]
pub(crate) fn before_last(elements: &[u8]) -> Option<&[u8]> {
    let (mut len, mut width) = (0, 0);
    for &byte in elements.iter().rev().take(BACK_MOST) {
        len |= usize::from(byte & 0x7f) << (7 * width);
        width += 1;
        if byte < 0x80 {
            return elements.get(..elements.len().checked_sub(len + width)?);
        }
    }
    None
}

/// A string behind so many bytes, and what both take.
#[inline]
fn text(elements: &[u8], start: usize, len: usize) -> Option<(Element<'_>, usize)> {
    let end = start.checked_add(len)?;
    Some((Element::Bytes(elements.get(start..end)?), end))
}

/// The bytes of an integer behind the first one.
#[inline]
fn bytes_of<const N: usize>(elements: &[u8]) -> Option<&[u8; N]> {
    elements.get(1..)?.first_chunk()
}

/// An integer of three bytes.
pub(crate) fn i24([a, b, c]: [u8; 3]) -> i32 {
    i32::from_le_bytes([0, a, b, c]) >> 8
}

/// What is behind an element of so many bytes and its length, which must be right.
#[inline]
fn behind(elements: &[u8], size: usize) -> Option<&[u8]> {
    let rest = elements.get(size..)?;
    if size < 0x80 {
        let (&told, rest) = rest.split_first()?;
        return (usize::from(told) == size).then_some(rest);
    }
    rest.strip_prefix(BackLength::of(size).as_bytes())
}

/// The most bytes of a length behind an element.
const BACK_MOST: usize = 5;

/// The length behind an element.
pub(crate) struct BackLength {
    bytes: [u8; BACK_MOST],
    start: usize,
}

impl BackLength {
    pub(crate) fn of(len: usize) -> BackLength {
        let mut back = BackLength { bytes: [0; BACK_MOST], start: 0 };
        let mut rest = len;
        for (at, byte) in back.bytes.iter_mut().enumerate().rev() {
            *byte = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                back.start = at;
                break;
            }
        }
        back.bytes.iter_mut().skip(back.start + 1).for_each(|byte| *byte |= 0x80);
        back
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of every encoding, each alone.
    fn samples() -> Vec<(Vec<u8>, Element<'static>)> {
        let text = |len: usize| -> &'static [u8] { vec![b'x'; len].leak() };
        let framed = |head: &[u8], body: &[u8]| {
            let element = [head, body].concat();
            [&element[..], BackLength::of(element.len()).as_bytes()].concat()
        };
        vec![
            (framed(&[100], b""), Element::Integer(100)),
            (framed(&[0xdf], &[0xff]), Element::Integer(-1)),
            (framed(&[INTEGER_16], &[0, 0x80]), Element::Integer(-32_768)),
            (framed(&[INTEGER_24], &[0, 0, 0x80]), Element::Integer(-8_388_608)),
            (framed(&[INTEGER_32], &[1, 0, 1, 0]), Element::Integer(65_537)),
            (framed(&[INTEGER_64], &[0xff; 8]), Element::Integer(-1)),
            (framed(&[0x80], b""), Element::Bytes(b"")),
            (framed(&[0xbf], text(63)), Element::Bytes(text(63))),
            (framed(&[0xe0, 200], text(200)), Element::Bytes(text(200))),
            (framed(&[STRING_32, 0, 0, 2, 0], text(1 << 17)), Element::Bytes(text(1 << 17))),
        ]
    }

    #[test]
    fn elements_are_walked_from_both_ends() {
        let (bytes, expected): (Vec<_>, Vec<_>) = samples().into_iter().unzip();
        let bytes = bytes.concat();
        let (mut rest, mut ends) = (&bytes[..], Vec::new());
        for element in &expected {
            ends.push(bytes.len() - rest.len());
            let (found, behind) = split_first(rest).unwrap();
            assert_eq!((found, skip_first(rest)), (*element, Some(behind)));
            rest = behind;
        }
        assert!(rest.is_empty() && split_first(rest).is_none() && skip_first(rest).is_none());
        let mut rest = &bytes[..];
        while let Some(end) = ends.pop() {
            rest = before_last(rest).unwrap();
            assert_eq!(rest.len(), end);
        }
        assert!(before_last(rest).is_none());
    }

    #[test]
    fn what_is_cut_or_told_wrong_is_no_element() {
        for (bytes, _) in samples() {
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
                assert!(split_first(&bytes[..cut]).is_none(), "{cut} of {}", bytes.len());
                assert!(skip_first(&bytes[..cut]).is_none(), "{cut} of {}", bytes.len());
            }
            let mut told = bytes.clone();
            *told.last_mut().unwrap() ^= 1;
            assert!(split_first(&told).is_none() && skip_first(&told).is_none());
        }
        assert!(split_first(&[0xf5, 1]).is_none() && skip_first(&[END, 1]).is_none());
        assert!(before_last(&[0x80; 6]).is_none() && before_last(&[1, 9]).is_none());
    }
}

//! The listpack: strings and integers back to back, which Redis 7 packs small collections into.
//!
//! In front stand the number of bytes and, where it fits 16 bits, of elements; a byte of ones ends
//! it. What an element is, `value/listpack.rs` knows.

use super::read::{Element, Packing};
use crate::bytes;
use crate::number::parse_i64;
use crate::value::listpack::{
    BackLength, COUNT_UNKNOWN, END, HEADER_BYTES, INTEGER_16, INTEGER_24, INTEGER_32, INTEGER_64,
    STRING_32, elements, split_first,
};

/// Texts longer than this are no integers.
const INTEGER_TEXT_MOST: usize = 20;

/// The packing.
pub(super) struct Listpack;

impl Packing for Listpack {
    #[inline]
    fn read<'a>(bytes: &'a [u8], mut visit: impl FnMut(Element<'a>) -> Option<()>) -> Option<()> {
        let (mut rest, told) = elements(bytes)?;
        let mut count = 0_usize;
        while !rest.is_empty() {
            let element;
            (element, rest) = split_first(rest)?;
            visit(element)?;
            count += 1;
        }
        (told == COUNT_UNKNOWN || usize::from(told) == count).then_some(())
    }
}

/// Whether a text is worth reading as an integer, by its length and its first byte.
#[inline]
fn may_be_integer(text: &[u8]) -> bool {
    text.len() <= INTEGER_TEXT_MOST && matches!(text.first(), Some(b'0'..=b'9' | b'-'))
}

/// A listpack that is being written, behind what there is.
pub(super) struct Builder<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    count: usize,
}

impl Builder<'_> {
    /// A listpack with room for elements of about so many bytes.
    pub(super) fn new(bytes: &mut Vec<u8>, room: usize) -> Builder<'_> {
        bytes.reserve(HEADER_BYTES + room + bytes::SHORT_STORE);
        let start = bytes.len();
        bytes.extend_from_slice(&[0; HEADER_BYTES]);
        Builder { bytes, start, count: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the whole, its end included.
    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len() - self.start + 1
    }

    /// Appends a text, as an integer if it is the text of one.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        let integer = match text {
            [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
            text if may_be_integer(text) => parse_i64(text),
            _ => None,
        };
        match integer {
            Some(value) => self.push_integer(value),
            None if text.len() <= bytes::SHORT_MOST => {
                self.push_short(0x80 | text.len() as u8, bytes::number(text), text.len());
            }
            None => self.push_string(text),
        }
    }

    /// Appends an element of a byte and so many others, the lowest of a number.
    #[inline(always)]
    fn push_short(&mut self, tag: u8, rest: u64, len: usize) {
        bytes::append_short(self.bytes, tag, rest, len, len as u8 + 1);
        self.count += 1;
    }

    fn push_string(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        match text.len() {
            len @ ..64 => self.bytes.push(0x80 | len as u8),
            len @ ..4096 => self.bytes.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
            len => {
                self.bytes.push(STRING_32);
                self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.count += 1;
        match self.bytes.len() - start {
            len @ ..128 => self.bytes.push(len as u8),
            len => self.bytes.extend_from_slice(BackLength::of(len).as_bytes()),
        }
    }

    /// Appends an integer in as few bytes as it takes.
    #[inline(always)]
    pub(super) fn push_integer(&mut self, value: i64) {
        if !(0..0x80).contains(&value) {
            return self.push_wide(value);
        }
        self.bytes.extend_from_slice(&[value as u8, 1]);
        self.count += 1;
    }

    /// The same of one that takes more than a byte.
    fn push_wide(&mut self, value: i64) {
        let (tag, rest, width) = match value {
            -4096..4096 => (0xc0 | (value >> 8) as u8 & 0x1f, value & 0xff, 1),
            -0x8000..0x8000 => (INTEGER_16, value & 0xffff, 2),
            -0x80_0000..0x80_0000 => (INTEGER_24, value & 0xff_ffff, 3),
            -0x8000_0000..0x8000_0000 => (INTEGER_32, value & 0xffff_ffff, 4),
            _ => (INTEGER_64, value, 8),
        };
        self.push_short(tag, rest as u64, width);
    }

    /// Appends three integers, of which most take a byte.
    #[inline]
    pub(super) fn push_integers(&mut self, [a, b, c]: [i64; 3]) {
        if (a | b | c) as u64 >= 0x80 {
            return [a, b, c].into_iter().for_each(|value| self.push_integer(value));
        }
        self.bytes.extend_from_slice(&[a as u8, 1, b as u8, 1, c as u8, 1]);
        self.count += 3;
    }

    /// Ends the listpack.
    pub(super) fn finish(self) {
        self.bytes.push(END);
        let size = (self.bytes.len() - self.start) as u32;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        let header = self.bytes.get_mut(self.start..).and_then(|bytes| bytes.first_chunk_mut());
        if let Some(header) = header {
            let ([a, b, c, d], [e, f]) = (size.to_le_bytes(), count.to_le_bytes());
            *header = [a, b, c, d, e, f];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut texts = Vec::new();
        Listpack::read(bytes, |text| {
            texts.push(text.with_bytes(<[u8]>::to_vec));
            Some(())
        })?;
        Some(texts)
    }

    /// Elements around the borders of all encodings.
    fn borders() -> Vec<Vec<u8>> {
        let powers = [0, 7, 12, 13, 15, 23, 31, 47, 63].map(|bits| 1_i128 << bits);
        let integers = powers.iter().flat_map(|p| [p - 1, *p, -p - 1, -p]);
        let integers = integers.filter_map(|value| i64::try_from(value).ok());
        let mut all: Vec<Vec<u8>> = integers.map(|value| value.to_string().into_bytes()).collect();
        let lengths = [0, 1, 63, 64, 125, 126, 127, 4095, 4096, 16_382, 16_384, 3_000_000];
        all.extend(lengths.map(|len| vec![b'x'; len]));
        all
    }

    fn packed(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        let mut builder = Builder::new(&mut bytes, 0);
        elements.iter().for_each(|element| builder.push(element));
        assert_eq!(builder.len(), elements.len());
        let size = builder.byte_len();
        builder.finish();
        let bytes = bytes.strip_prefix(b"before").unwrap();
        assert_eq!(bytes.len(), size);
        bytes.to_vec()
    }

    #[test]
    fn elements_of_every_encoding_come_back() {
        assert_eq!(texts(&packed(&borders())), Some(borders()));
        assert_eq!(texts(&packed(&[])), Some(Vec::new()));
    }

    #[test]
    fn bytes_are_those_of_redis() {
        let elements = ["f", "v", "n", "12345678901"].map(|text| text.as_bytes().to_vec());
        let expected = b"\x1a\0\0\0\x04\0\x81f\x02\x81v\x02\x81n\x02\
                         \xf4\x35\x1c\xdc\xdf\x02\0\0\0\x09\xff";
        assert_eq!(packed(&elements), expected);
    }

    #[test]
    fn too_many_to_count_are_read_to_the_end() {
        let many = vec![b"1".to_vec(); 70_000];
        let bytes = packed(&many);
        assert_eq!(bytes.get(4..6), Some(&[0xff; 2][..]));
        assert_eq!(texts(&bytes).map(|texts| texts.len()), Some(70_000));
    }

    #[test]
    fn what_is_cut_or_miscounted_is_refused() {
        let whole = packed(&["a", "400", "ccc"].map(|text| text.as_bytes().to_vec()));
        assert!(texts(&whole).is_some());
        for at in 0..whole.len() {
            assert_eq!(texts(&whole[..at]), None, "cut at {at}");
            // The letters and the integer may be others; everything else is fixed.
            if !whole[at].is_ascii_lowercase() && at != 9 && at != 10 {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x03;
                assert_eq!(texts(&bytes), None, "changed at {at}");
            }
        }
    }
}

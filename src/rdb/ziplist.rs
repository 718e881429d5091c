//! The ziplist: what Redis packed small collections into before 7.0. It is read only.
//!
//! In front stand the number of bytes, where the last element starts and the number of elements; a
//! byte of ones ends it. An element is the length of the one before it, its encoding and its bytes.

use super::read::{Element, Packing, Reader};
use crate::value::listpack::i24;

/// Bytes in front of the elements.
const HEADER_BYTES: usize = 10;
/// What the header says of elements that are too many to be counted in it.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// The byte behind the last element.
const END: u8 = 0xff;
/// In front of the length of the element before if that takes 32 bits.
const LONG: u8 = 0xfe;

/// The packing.
pub(super) struct Ziplist;

impl Packing for Ziplist {
    #[inline]
    fn read<'a>(bytes: &'a [u8], mut visit: impl FnMut(Element<'a>) -> Option<()>) -> Option<()> {
        let mut reader = Reader::new(bytes);
        let size = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
        let last = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
        let told = u16::from_le_bytes(reader.array()?);
        let elements = reader.take(bytes.len().checked_sub(HEADER_BYTES + 1)?)?;
        if size != bytes.len() || reader.byte()? != END {
            return None;
        }
        let mut reader = Reader::new(elements);
        let (mut count, mut start, mut len) = (0_usize, HEADER_BYTES, 0);
        while !reader.is_empty() {
            start += len;
            let left = reader.len();
            if previous_len(&mut reader)? != len {
                return None;
            }
            visit(element(&mut reader)?)?;
            len = left - reader.len();
            count += 1;
        }
        let counted = told == COUNT_UNKNOWN || usize::from(told) == count;
        (counted && start == last).then_some(())
    }
}

fn previous_len(reader: &mut Reader<'_>) -> Option<usize> {
    match reader.byte()? {
        LONG => usize::try_from(u32::from_le_bytes(reader.array()?)).ok(),
        END => None,
        len => Some(len.into()),
    }
}

fn element<'a>(reader: &mut Reader<'a>) -> Option<Element<'a>> {
    let first = reader.byte()?;
    Some(match first {
        0x00..0x40 => reader.take(first.into())?.into(),
        0x40..0x80 => {
            let len = u16::from_be_bytes([first & 0x3f, reader.byte()?]);
            reader.take(len.into())?.into()
        }
        0x80 => {
            let len = u32::from_be_bytes(reader.array()?);
            reader.take(usize::try_from(len).ok()?)?.into()
        }
        0xc0 => Element::Integer(i16::from_le_bytes(reader.array()?).into()),
        0xd0 => Element::Integer(i32::from_le_bytes(reader.array()?).into()),
        0xe0 => Element::Integer(i64::from_le_bytes(reader.array()?)),
        0xf0 => Element::Integer(i24(reader.array()?).into()),
        0xf1..=0xfd => Element::Integer(i64::from(first & 0x0f) - 1),
        0xfe => Element::Integer(i8::from_le_bytes(reader.array()?).into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        Ziplist::read(bytes, |text| {
            text.with_bytes(|text| texts.push(String::from_utf8_lossy(text).into_owned()));
            Some(())
        })?;
        Some(texts)
    }

    /// Puts elements, each an encoding with its bytes, into a ziplist.
    fn packed(elements: &[&[u8]]) -> Vec<u8> {
        let (mut body, mut last, mut previous) = (Vec::new(), HEADER_BYTES, 0);
        for element in elements {
            last = HEADER_BYTES + body.len();
            match u8::try_from(previous) {
                Ok(short) if short < LONG => body.push(short),
                _ => {
                    body.push(LONG);
                    body.extend_from_slice(&(previous as u32).to_le_bytes());
                }
            }
            body.extend_from_slice(element);
            previous = HEADER_BYTES + body.len() - last;
        }
        let mut bytes = ((HEADER_BYTES + body.len() + 1) as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&(last as u32).to_le_bytes());
        bytes.extend_from_slice(&(elements.len() as u16).to_le_bytes());
        bytes.extend(body);
        bytes.push(END);
        bytes
    }

    #[test]
    fn elements_of_every_encoding_are_read() {
        let long = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
        let longer = [&[0x80, 0, 0, 0x50, 0][..], &[b'y'; 0x5000]].concat();
        let elements: [&[u8]; 11] = [
            b"\x03abc",
            &long,
            &longer,
            b"\xc0\xff\xff",
            b"\xd0\0\0\0\x80",
            b"\xe0\0\0\0\0\0\0\0\x80",
            b"\xf0\0\0\x80",
            b"\xf1",
            b"\xfd",
            b"\xfe\x80",
            b"\0",
        ];
        let expected = [
            "abc",
            &"x".repeat(300),
            &"y".repeat(0x5000),
            "-1",
            "-2147483648",
            "-9223372036854775808",
            "-8388608",
            "0",
            "12",
            "-128",
            "",
        ];
        assert_eq!(texts(&packed(&elements)), Some(expected.map(str::to_owned).to_vec()));
        assert_eq!(texts(&packed(&[])), Some(Vec::new()));
    }

    #[test]
    fn what_is_cut_or_does_not_fit_together_is_refused() {
        let whole = packed(&[b"\x03abc", b"\xf2", b"\x01z"]);
        assert!(texts(&whole).is_some());
        for at in 0..whole.len() {
            assert_eq!(texts(&whole[..at]), None, "cut at {at}");
        }
        // The header, the lengths of elements before, lengths of strings, the end.
        for at in (0..12).chain([15, 17, 18, 20]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x22;
            assert_eq!(texts(&bytes), None, "changed at {at}");
        }
    }
}

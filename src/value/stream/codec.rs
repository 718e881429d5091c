//! How numbers and texts lie in a node, and how large Redis's listpack would be that held them.
//!
//! A datum is a varint and what follows it. An even one is twice the length of a text, whose bytes
//! follow; an odd one is an integer in itself, for texts that are the digits of one.

use crate::number::parse_i64;
use smallvec::SmallVec;

/// Bytes under construction; most entries fit without an allocation.
pub(super) type Draft = SmallVec<[u8; 240]>;

/// A field's name or value: numbers are kept as numbers.
pub(crate) use crate::value::listpack::Element as Datum;

/// Integers of up to this many bits fit beside the mark that tells them from texts.
const INTEGER_LIMIT: u64 = 1 << 61;

/// Appends a number in groups of seven bits, the lowest first.
#[inline]
pub(super) fn push_varint(draft: &mut Draft, mut value: u64) {
    while value >= 0x80 {
        draft.push(value as u8 | 0x80);
        value >>= 7;
    }
    draft.push(value as u8);
}

/// Appends a text; returns what it takes in a listpack.
#[inline]
pub(super) fn push_datum(draft: &mut Draft, text: &[u8]) -> usize {
    let integer = parse_integer(text);
    if !integer.is_some_and(|value| push_integer(draft, value)) {
        push_text(draft, text);
    }
    integer.map_or_else(|| text_size(text.len()), integer_size)
}

/// Appends an integer; false if it does not fit.
#[inline]
pub(super) fn push_integer(draft: &mut Draft, value: i64) -> bool {
    let fits = value.unsigned_abs() < INTEGER_LIMIT;
    if fits {
        let zigzag = (value << 1 ^ value >> 63) as u64;
        push_varint(draft, zigzag << 1 | 1);
    }
    fits
}

#[inline]
fn push_text(draft: &mut Draft, text: &[u8]) {
    push_varint(draft, (text.len() as u64) << 1);
    draft.extend_from_slice(text);
}

/// The integer a text is the digits of; most texts are told from such by their first byte.
#[inline]
fn parse_integer(text: &[u8]) -> Option<i64> {
    match text {
        [b'0'..=b'9' | b'-', ..] if text.len() <= 20 => parse_i64(text),
        _ => None,
    }
}

/// What a text takes in a listpack.
#[inline]
pub(super) fn datum_size(text: &[u8]) -> usize {
    parse_integer(text).map_or_else(|| text_size(text.len()), integer_size)
}

/// What an integer takes in a listpack: its head, its bytes, and one that tells their number.
#[inline]
pub(super) fn integer_size(value: i64) -> usize {
    match value {
        0..=127 => 2,
        -4096..=4095 => 3,
        -32_768..=32_767 => 4,
        -8_388_608..=8_388_607 => 5,
        -2_147_483_648..=2_147_483_647 => 6,
        _ => 10,
    }
}

/// What other bytes take in a listpack.
#[inline]
fn text_size(len: usize) -> usize {
    let size = len
        + match len {
            0..=63 => 1,
            64..=4095 => 2,
            _ => 5,
        };
    size + match size {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// Reads what was written, from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next number; 0 past the end.
    #[inline]
    pub(super) fn varint(&mut self) -> u64 {
        match self.rest.split_first() {
            Some((&short, rest)) if short < 0x80 => {
                self.rest = rest;
                u64::from(short)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                break;
            }
        }
        value
    }

    /// The next text or integer.
    #[inline]
    pub(super) fn datum(&mut self) -> Datum<'a> {
        let head = self.varint();
        if head & 1 == 1 {
            let zigzag = head >> 1;
            return Datum::Integer((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        }
        Datum::Bytes(self.take((head >> 1) as usize))
    }

    /// The next text behind its length.
    #[inline]
    pub(super) fn text(&mut self) -> &'a [u8] {
        let len = self.varint() as usize;
        self.take(len)
    }

    #[inline]
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (text, rest) = self.rest.split_at_checked(len).unwrap_or_default();
        self.rest = rest;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_what_they_are() {
        let integers =
            [0, 1, -1, 63, 64, 127, 128, i64::MAX >> 3, i64::MIN >> 3, i64::MAX, i64::MIN];
        let mut draft = Draft::new();
        integers.iter().for_each(|n| {
            push_datum(&mut draft, n.to_string().as_bytes());
        });
        let texts: [&[u8]; 6] = [b"", b"-", b"007", b"-0", b"a text", &[b'x'; 300]];
        texts.iter().for_each(|text| {
            push_datum(&mut draft, text);
        });
        let mut reader = Reader { rest: &draft };
        for n in integers {
            let text = n.to_string();
            let kept = n.unsigned_abs() < INTEGER_LIMIT;
            let expected = if kept { Datum::Integer(n) } else { Datum::Bytes(text.as_bytes()) };
            assert_eq!(reader.datum(), expected);
        }
        for text in texts {
            assert_eq!(reader.datum(), Datum::Bytes(text));
        }
        assert!(reader.rest.is_empty());
    }

    #[test]
    fn numbers_of_every_width_come_back() {
        let numbers =
            (0..64).flat_map(|bits| [1_u64 << bits, (1_u64 << bits) - 1, u64::MAX >> bits]);
        for number in numbers {
            let mut draft = Draft::new();
            push_varint(&mut draft, number);
            assert_eq!(Reader { rest: &draft }.varint(), number);
        }
    }
}

//! Writing the parts every kind is made of: lengths, strings, integers.

use super::lzf;
use crate::number::{IntText, parse_i64};

/// Texts longer than this are never tried as integers: none of 32 bits has more digits.
const INTEGER_TEXT_MOST: usize = 11;

/// Texts of up to this many bytes are not worth compressing.
const COMPRESS_FROM: usize = 20;

/// Room for the payload of a short value.
const ROOM_BYTES: usize = 128;

/// In front of a length of 32 bits.
const LENGTH_32: u8 = 0x80;
/// In front of a length of 64 bits.
const LENGTH_64: u8 = 0x81;
/// In front of an integer of so many bits.
const INTEGER_8: u8 = 0xc0;
const INTEGER_16: u8 = 0xc1;
const INTEGER_32: u8 = 0xc2;
/// In front of the two lengths of compressed bytes.
const COMPRESSED: u8 = 0xc3;

/// A length in as few bytes as it takes, and how many these are.
#[inline]
fn length_code(len: u64) -> ([u8; 9], usize) {
    let [a, b, c, d, e, f, g, h] = len.to_be_bytes();
    if len < 1 << 6 {
        ([h, 0, 0, 0, 0, 0, 0, 0, 0], 1)
    } else if len < 1 << 14 {
        ([0x40 | g, h, 0, 0, 0, 0, 0, 0, 0], 2)
    } else if len < 1 << 32 {
        ([LENGTH_32, e, f, g, h, 0, 0, 0, 0], 5)
    } else {
        ([LENGTH_64, a, b, c, d, e, f, g, h], 9)
    }
}

/// A payload that is being written.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer::onto(Vec::with_capacity(ROOM_BYTES))
    }

    /// Writes behind what there is.
    pub(crate) fn onto(out: Vec<u8>) -> Writer {
        Writer { out }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// What was written so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Begins anew, with the room there is.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A length in as few bytes as it takes.
    pub(crate) fn length(&mut self, len: usize) {
        self.number(len as u64);
    }

    /// A number that is written as lengths are.
    #[inline]
    pub(crate) fn number(&mut self, len: u64) {
        if len < 1 << 6 {
            return self.byte(len as u8);
        }
        let (code, width) = length_code(len);
        self.bytes(code.get(..width).unwrap_or_default());
    }

    /// A string that is an integer.
    pub(crate) fn integer(&mut self, value: i64) {
        if !self.short_integer(value) {
            let text = IntText::new(value);
            self.plain(text.as_bytes());
        }
    }

    /// An integer of up to 32 bits; false if it is larger.
    fn short_integer(&mut self, value: i64) -> bool {
        if let Ok(value) = i8::try_from(value) {
            self.byte(INTEGER_8);
            self.bytes(&value.to_le_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.byte(INTEGER_16);
            self.bytes(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.byte(INTEGER_32);
            self.bytes(&value.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    /// A string: as an integer if it is the text of one, compressed if that saves something.
    pub(crate) fn string(&mut self, text: &[u8]) {
        if text.len() <= INTEGER_TEXT_MOST
            && let Some(value) = parse_i64(text)
            && self.short_integer(value)
        {
            return;
        }
        let start = self.out.len();
        self.plain(text);
        self.squeeze(start, self.out.len() - text.len());
    }

    /// A string that is written behind what there is, and is no integer.
    #[inline]
    pub(super) fn packed(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        // A length in front takes two bytes, as a rule.
        let text = start + 2;
        self.bytes(&[0; 2]);
        write(&mut self.out);
        let len = self.out.len() - text;
        if self.squeeze(start, text) {
            return;
        }
        let (length, width) = length_code(len as u64);
        self.out.splice(start..text, length.into_iter().take(width));
    }

    /// How many there are of what is written next, and these.
    pub(super) fn counted(&mut self, write: impl FnOnce(&mut Writer) -> usize) {
        let start = self.out.len();
        self.byte(0);
        let count = write(self);
        let (length, width) = length_code(count as u64);
        match (self.out.get_mut(start), length) {
            (Some(place), [length, ..]) if width == 1 => *place = length,
            _ => drop(self.out.splice(start..=start, length.into_iter().take(width))),
        }
    }

    /// Compresses the text at the end if that saves something, and puts it, with its lengths, where
    /// the room for a length in front of it began.
    fn squeeze(&mut self, start: usize, text: usize) -> bool {
        let len = self.out.len() - text;
        if len <= COMPRESS_FROM {
            return false;
        }
        if len > lzf::SHORT_MOST {
            self.bytes(&[0; lzf::SLACK]);
            let mut room = vec![0; len + lzf::SLACK];
            let padded = self.out.get(text..).unwrap_or_default();
            let compressed = lzf::compress(padded, len, &mut room);
            return self.place(start, text, len, compressed.and_then(|len| room.get(..len)));
        }
        let mut room = lzf::SHORT;
        self.out.resize(text + room.len(), 0);
        let padded = self.out.get(text..).and_then(|bytes| bytes.first_chunk());
        let compressed = padded.and_then(|padded| lzf::compress_short(padded, len, &mut room));
        self.place(start, text, len, compressed.and_then(|len| room.get(..len)))
    }

    /// Puts compressed bytes in the place of a text of so many; leaves that if there are none.
    fn place(&mut self, start: usize, text: usize, len: usize, compressed: Option<&[u8]>) -> bool {
        let Some(compressed) = compressed else {
            self.out.truncate(text + len);
            return false;
        };
        self.out.truncate(start);
        self.byte(COMPRESSED);
        self.length(compressed.len());
        self.length(len);
        self.bytes(compressed);
        true
    }

    fn plain(&mut self, text: &[u8]) {
        self.length(text.len());
        self.bytes(text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

    #[test]
    fn what_is_written_in_place_is_read_as_it_was() {
        // Lengths of one, two and five bytes, compressed and not.
        let mut noise = 1_u32;
        let mut byte = || {
            noise = noise.wrapping_mul(0x01dd_9305).wrapping_add(0x3779_b98d);
            (noise >> 24) as u8
        };
        let texts = [0, 1, 20, 21, 63, 64, 256, 257, 16_383, 16_384, 70_000];
        let mut written = Writer::onto(b"before".to_vec());
        let mut expected = Vec::new();
        for len in texts {
            for text in [vec![b'a'; len], (0..len).map(|_| byte()).collect::<Vec<u8>>()] {
                written.packed(|out| out.extend_from_slice(&text));
                written.string(&text);
                expected.extend([text.clone(), text]);
            }
        }
        let bytes = written.finish();
        let mut reader = Reader::new(bytes.strip_prefix(b"before").unwrap());
        for text in expected {
            assert!(reader.string().unwrap().as_bytes() == text, "{} bytes", text.len());
        }
        assert!(reader.is_empty());
    }
}

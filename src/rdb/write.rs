//! Writing the parts every kind is made of: lengths, strings, integers.

use super::lzf;
use crate::number::{IntText, parse_i64};

/// Texts longer than this are never tried as integers: none of 32 bits has more digits.
const INTEGER_TEXT_MOST: usize = 11;

/// Texts of up to this many bytes are not worth compressing.
const COMPRESS_FROM: usize = 20;

/// Texts of up to this many bytes are compressed without an allocation.
const SHORT_BYTES: usize = 256;

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

/// A payload that is being written.
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { out: Vec::with_capacity(ROOM_BYTES) }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// What was written.
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A length in as few bytes as it takes.
    pub(super) fn length(&mut self, len: usize) {
        self.number(len as u64);
    }

    /// A number that is written as lengths are.
    pub(super) fn number(&mut self, len: u64) {
        if len < 1 << 6 {
            self.byte(len as u8);
        } else if len < 1 << 14 {
            self.bytes(&[0x40 | (len >> 8) as u8, len as u8]);
        } else if let Ok(len) = u32::try_from(len) {
            self.byte(LENGTH_32);
            self.bytes(&len.to_be_bytes());
        } else {
            self.byte(LENGTH_64);
            self.bytes(&len.to_be_bytes());
        }
    }

    /// A string that is an integer.
    pub(super) fn integer(&mut self, value: i64) {
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
    pub(super) fn string(&mut self, text: &[u8]) {
        if text.len() <= INTEGER_TEXT_MOST
            && let Some(value) = parse_i64(text)
            && self.short_integer(value)
        {
            return;
        }
        match text.len() {
            len if len <= COMPRESS_FROM => self.plain(text),
            len if len <= SHORT_BYTES => self.long(text, &mut [0; SHORT_BYTES]),
            len => self.long(text, &mut vec![0; len]),
        }
    }

    /// A string that may be worth compressing, with room for as many bytes.
    fn long(&mut self, text: &[u8], room: &mut [u8]) {
        match lzf::compress(text, room).and_then(|len| room.get(..len)) {
            Some(compressed) => {
                self.byte(COMPRESSED);
                self.length(compressed.len());
                self.length(text.len());
                self.bytes(compressed);
            }
            None => self.plain(text),
        }
    }

    fn plain(&mut self, text: &[u8]) {
        self.length(text.len());
        self.bytes(text);
    }
}

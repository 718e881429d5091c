//! Writing the parts every kind is made of: lengths, strings, integers.

use super::lzf;
use crate::number::{IntText, parse_i64};

/// Texts longer than this are never tried as integers: none of 32 bits has more digits.
const INTEGER_TEXT_MOST: usize = 11;

/// Texts of up to this many bytes are not worth compressing.
const COMPRESS_FROM: usize = 20;

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

/// A length in as few bytes as it takes.
pub(super) fn length(out: &mut Vec<u8>, len: usize) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]);
    } else if let Ok(len) = u32::try_from(len) {
        out.push(LENGTH_32);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

/// A string that is an integer.
pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    if !short_integer(out, value) {
        let text = IntText::new(value);
        length(out, text.as_bytes().len());
        out.extend_from_slice(text.as_bytes());
    }
}

/// An integer of up to 32 bits; false if it is larger.
fn short_integer(out: &mut Vec<u8>, value: i64) -> bool {
    if let Ok(value) = i8::try_from(value) {
        out.push(INTEGER_8);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(INTEGER_16);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(INTEGER_32);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// A string: as an integer if it is the text of one, compressed if that saves something.
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= INTEGER_TEXT_MOST
        && let Some(value) = parse_i64(bytes)
        && short_integer(out, value)
    {
        return;
    }
    if bytes.len() > COMPRESS_FROM
        && let Some(compressed) = lzf::compress(bytes)
    {
        out.push(COMPRESSED);
        length(out, compressed.len());
        length(out, bytes.len());
        out.extend_from_slice(&compressed);
        return;
    }
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

//! JSON as the library cjson writes and reads it, which is somewhat more than the standard has:
//! numbers may be hexadecimal, infinite or NaN, and a NUL byte ends a text.

use crate::number::{F64Text, parse_hexadecimal_f64};
use std::ffi::CStr;

/// The most bytes a number takes.
pub(crate) const NUMBER_MOST: usize = 40;

/// The most bytes one byte of a string takes.
pub(crate) const ESCAPED_MOST: usize = 6;

/// Writes a number with so many significant digits.
#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, number: f64, precision: usize) {
    if let Some(small) = small_integer(number, precision) {
        return out.extend_from_slice(itoa::Buffer::new().format(small).as_bytes());
    }
    if number.is_nan() {
        // Whatever its sign.
        return out.extend_from_slice(b"nan");
    }
    out.extend_from_slice(F64Text::with_digits(number, precision).as_bytes());
}

/// The integer that most numbers are, if any precision but the lowest few prints it in full.
#[inline]
fn small_integer(number: f64, precision: usize) -> Option<i32> {
    let integer = number as i32;
    // Bits are compared, so that -0 is none.
    (precision >= 10 && f64::from(integer).to_bits() == number.to_bits()).then_some(integer)
}

/// Writes the inside of a string.
#[inline]
pub(crate) fn push_escaped(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let (plain, rest) = text.split_at(plain_prefix(text));
        out.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else { return };
        push_escape(out, byte);
        text = rest;
    }
}

/// What stands behind the backslash: 0 for bytes that need none, `u` for those without a letter.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 32 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x7f] = b'u';
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table
};

/// How many bytes at the front need no escape.
#[inline]
fn plain_prefix(text: &[u8]) -> usize {
    let mut len = 0;
    for word in text.chunks_exact(8) {
        if needs_escape(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))) {
            break;
        }
        len += 8;
    }
    let rest = text.get(len..).unwrap_or_default();
    len + rest.iter().position(|&byte| ESCAPES[byte as usize] != 0).unwrap_or(rest.len())
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = EACH * 0x80;

/// The high bit of each byte that is below a number up to 128; bytes above such a byte may have it
/// too, so only whether there is any counts.
#[inline]
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(EACH * bound as u64) & !word & HIGH
}

/// Whether any of eight bytes needs an escape.
#[inline]
const fn needs_escape(word: u64) -> bool {
    below(word, 0x20)
        | below(word ^ (EACH * b'"' as u64), 1)
        | below(word ^ (EACH * b'\\' as u64), 1)
        | below(word ^ (EACH * b'/' as u64), 1)
        | below(word ^ (EACH * 0x7f), 1)
        != 0
}

#[cold]
fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match ESCAPES[byte as usize] {
        b'u' => {
            out.extend_from_slice(b"\\u00");
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 0xf)]);
        }
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// A piece of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(RawString<'a>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// What is no token, in the words of the error.
    Invalid(&'static CStr),
}

impl Token<'_> {
    /// The name errors call it by.
    pub(crate) fn name(&self) -> &'static CStr {
        match self {
            Token::ObjectBegin => c"T_OBJ_BEGIN",
            Token::ObjectEnd => c"T_OBJ_END",
            Token::ArrayBegin => c"T_ARR_BEGIN",
            Token::ArrayEnd => c"T_ARR_END",
            Token::String(_) => c"T_STRING",
            Token::Number(_) => c"T_NUMBER",
            Token::Boolean(_) => c"T_BOOLEAN",
            Token::Null => c"T_NULL",
            Token::Colon => c"T_COLON",
            Token::Comma => c"T_COMMA",
            Token::End => c"T_END",
            Token::Invalid(name) => name,
        }
    }
}

/// The inside of a string as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawString<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) has_escapes: bool,
    /// Whether its end was found.
    pub(crate) closed: bool,
}

const INVALID_TOKEN: Token<'static> = Token::Invalid(c"invalid token");
const INVALID_NUMBER: Token<'static> = Token::Invalid(c"invalid number");
const INVALID_ESCAPE: &CStr = c"invalid escape code";
const INVALID_UNICODE: &CStr = c"invalid unicode escape code";
pub(crate) const UNEXPECTED_END: &CStr = c"unexpected end of string";

/// Cuts a text into tokens.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a [u8],
    /// Where the next token is looked for.
    pub(crate) at: usize,
    /// Whether hexadecimal, infinite and NaN numbers and the like are taken.
    pub(crate) takes_invalid_numbers: bool,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token and where it begins. Behind a token that is invalid nothing is read.
    #[inline]
    pub(crate) fn next(&mut self) -> (Token<'a>, usize) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        let start = self.at;
        let single = match self.text.get(start) {
            None | Some(0) => return (Token::End, start),
            Some(b'"') => return (Token::String(self.string()), start),
            Some(b'-' | b'0'..=b'9') => return (self.number(), start),
            Some(b'{') => Token::ObjectBegin,
            Some(b'}') => Token::ObjectEnd,
            Some(b'[') => Token::ArrayBegin,
            Some(b']') => Token::ArrayEnd,
            Some(b':') => Token::Colon,
            Some(b',') => Token::Comma,
            Some(_) => return (self.word(), start),
        };
        self.at += 1;
        (single, start)
    }

    /// A string up to its closing quote, which an escaped one is not.
    fn string(&mut self) -> RawString<'a> {
        self.at += 1;
        let rest = self.rest();
        let (mut len, mut has_escapes) = (0, false);
        let closed = loop {
            let tail = rest.get(len..).unwrap_or_default();
            len += string_prefix(tail);
            match rest.get(len) {
                Some(b'"') => break true,
                Some(b'\\') => {
                    has_escapes = true;
                    // A NUL ends the text even behind a backslash.
                    len += if rest.get(len + 1).is_some_and(|&byte| byte != 0) { 2 } else { 1 };
                }
                _ => break false,
            }
        };
        self.at += len + usize::from(closed);
        let text = rest.get(..len).unwrap_or(rest);
        RawString { text, has_escapes, closed }
    }

    fn number(&mut self) -> Token<'a> {
        let rest = self.rest();
        if let Some((number, len)) = short_number(rest) {
            self.at += len;
            return Token::Number(number);
        }
        if !self.takes_invalid_numbers && is_invalid_number(rest) {
            return INVALID_NUMBER;
        }
        match leading_number(rest) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => INVALID_NUMBER,
        }
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        for (word, token) in [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        if self.takes_invalid_numbers && is_invalid_number(rest) {
            return self.number();
        }
        INVALID_TOKEN
    }
}

/// How many bytes at the front are neither a quote, a backslash nor NUL.
#[inline]
fn string_prefix(text: &[u8]) -> usize {
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0);
    let (near, far) = text.split_at(text.len().min(16));
    match near.iter().position(ends) {
        Some(len) => len,
        None => near.len() + memchr::memchr3(b'"', b'\\', 0, far).unwrap_or(far.len()),
    }
}

/// An integer of up to 15 digits with no leading zero: most numbers are such.
#[inline]
fn short_number(text: &[u8]) -> Option<(f64, usize)> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, text),
    };
    let (mut value, mut len) = (0_u64, 0);
    for byte in digits.iter().take(16) {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' | b'e' | b'E' | b'x' | b'X' => return None,
            _ => break,
        }
        len += 1;
    }
    if len == 0 || len > 15 || (len > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let number = value as f64;
    Some((if negative { -number } else { number }, len + usize::from(negative)))
}

/// Whether a text begins like a number that JSON has not.
fn is_invalid_number(text: &[u8]) -> bool {
    let unsigned = match text {
        [b'+', ..] => return true,
        [b'-', unsigned @ ..] => unsigned,
        _ => text,
    };
    match unsigned {
        [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
        [first, ..] if *first <= b'9' => false,
        _ => has_prefix(unsigned, b"inf") || has_prefix(unsigned, b"nan"),
    }
}

fn has_prefix(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(word))
}

/// Reads a number at the front as `strtod` does, and how long it is.
fn leading_number(text: &[u8]) -> Option<(f64, usize)> {
    let (negative, unsigned) = match text {
        [b'-', unsigned @ ..] => (true, unsigned),
        [b'+', unsigned @ ..] => (false, unsigned),
        _ => (false, text),
    };
    let (magnitude, len) = leading_magnitude(unsigned)?;
    let number = if negative { -magnitude } else { magnitude };
    Some((number, len + text.len() - unsigned.len()))
}

fn leading_magnitude(text: &[u8]) -> Option<(f64, usize)> {
    if let [b'0', b'x' | b'X', digits @ ..] = text {
        // Without digits the zero alone is the number.
        return Some(leading_hexadecimal(digits).map_or((0.0, 1), |(value, len)| (value, len + 2)));
    }
    if has_prefix(text, b"inf") {
        let len = if has_prefix(text, b"infinity") { 8 } else { 3 };
        return Some((f64::INFINITY, len));
    }
    if has_prefix(text, b"nan") {
        return Some(nan(text.get(3..).unwrap_or_default()));
    }
    let len = float_len(text, u8::is_ascii_digit, b'e')?;
    let written = text.get(..len)?;
    Some((std::str::from_utf8(written).ok()?.parse().ok()?, len))
}

fn leading_hexadecimal(digits: &[u8]) -> Option<(f64, usize)> {
    let len = float_len(digits, u8::is_ascii_hexdigit, b'p')?;
    Some((parse_hexadecimal_f64(digits.get(..len)?)?, len))
}

/// The length of an unsigned float: digits with a point among them and an exponent.
fn float_len(text: &[u8], is_digit: fn(&u8) -> bool, letter: u8) -> Option<usize> {
    let run = |from: usize, is: fn(&u8) -> bool| {
        text.get(from..).unwrap_or_default().iter().take_while(|&byte| is(byte)).count()
    };
    let whole = run(0, is_digit);
    let mut len = whole;
    if text.get(whole) == Some(&b'.') {
        let fraction = run(whole + 1, is_digit);
        if whole + fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if len == 0 {
        return None;
    }
    if text.get(len).is_some_and(|byte| byte.eq_ignore_ascii_case(&letter)) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let digits = run(len + 1 + sign, u8::is_ascii_digit);
        if digits > 0 {
            len += 1 + sign + digits;
        }
    }
    Some(len)
}

/// A NaN and its length, given what stands behind the word. The C library takes a number in
/// parentheses for the bits of its fraction.
fn nan(rest: &[u8]) -> (f64, usize) {
    const FRACTION: u64 = (1 << 51) - 1;
    let inside = rest.strip_prefix(b"(").and_then(|inside| {
        let len = inside.iter().take_while(|&&c| c == b'_' || c.is_ascii_alphanumeric()).count();
        (inside.get(len) == Some(&b')')).then(|| inside.get(..len).unwrap_or_default())
    });
    let Some(inside) = inside else { return (f64::NAN, 3) };
    let payload = whole_number(inside) & FRACTION;
    (f64::from_bits(f64::NAN.to_bits() | payload), inside.len() + 5)
}

/// An unsigned integer in C's notation, saturated; 0 for what is none.
fn whole_number(text: &[u8]) -> u64 {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] => (digits, 8),
        _ => (text, 10),
    };
    let value = digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(radix)?;
        Some(value.checked_mul(radix.into()).map_or(u64::MAX, |v| v.saturating_add(digit.into())))
    });
    value.unwrap_or(0)
}

/// Writes a string without its escapes. The error tells what is wrong and where.
pub(crate) fn push_unescaped(out: &mut Vec<u8>, text: &[u8]) -> Result<(), (&'static CStr, usize)> {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..plain).unwrap_or(rest));
        at += plain;
        let Some(escape) = text.get(at + 1..) else { break };
        let letter = match escape.first() {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&same @ (b'"' | b'\\' | b'/')) => same,
            Some(b'u') => {
                let (code, len) = code_point(escape).ok_or((INVALID_UNICODE, at))?;
                out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                at += 1 + len;
                continue;
            }
            _ => return Err((INVALID_ESCAPE, at)),
        };
        out.push(letter);
        at += 2;
    }
    Ok(())
}

/// The character of an escape that begins with `u`, and how long it is. One beyond 16 bits takes
/// two escapes.
fn code_point(escape: &[u8]) -> Option<(char, usize)> {
    let first = four_digits(escape.get(1..5)?)?;
    if first & 0xf800 != 0xd800 {
        return Some((char::from_u32(first)?, 5));
    }
    let second = escape.get(5..11)?.strip_prefix(b"\\u").and_then(four_digits)?;
    if first & 0x400 != 0 || second & 0xfc00 != 0xdc00 {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff))?, 11))
}

fn four_digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |value, &byte| Some(value << 4 | char::from(byte).to_digit(16)?))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;

//! What reading doubles and long doubles has in common: signs, words, digits and exponents, and the
//! hexadecimal form.

use super::integer::decimal_digit;
use rustc_apfloat::ieee::Double;
use rustc_apfloat::{Float, Round};

/// Exponents read from text stop growing here, far beyond any that matters.
const EXPONENT_LIMIT: i64 = 1 << 40;

/// Takes one sign off the front; true means minus.
pub(super) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Whether an unsigned text is one of the two words for infinity.
pub(super) fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

/// Whether a well-formed decimal text has only zeros before its exponent.
pub(super) fn is_written_zero(text: &[u8]) -> bool {
    text.iter()
        .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'))
        .all(|byte| !matches!(byte, b'1'..=b'9'))
}

/// An unsigned float text, cut at its point and its exponent letter.
pub(super) struct FloatText<'a> {
    /// The digits before the point.
    whole: &'a [u8],
    /// The digits after the point.
    fraction: &'a [u8],
    /// The written exponent, saturated.
    pub(super) exponent: i64,
}

impl<'a> FloatText<'a> {
    /// Cuts a text, refusing it unless it is well formed to its end.
    pub(super) fn cut(text: &'a [u8], is_digit: fn(&u8) -> bool, letter: u8) -> Option<Self> {
        let (whole, rest) = split_digits(text, is_digit);
        let (fraction, tail) = match rest.strip_prefix(b".") {
            Some(after_point) => split_digits(after_point, is_digit),
            None => (&[][..], rest),
        };
        let exponent = parse_exponent(tail, letter)?;
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        has_digits.then_some(FloatText { whole, fraction, exponent })
    }

    /// All digits in order, without the point.
    pub(super) fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// How many digits stand after the point.
    pub(super) fn fraction_len(&self) -> i64 {
        i64::try_from(self.fraction.len()).unwrap_or(EXPONENT_LIMIT)
    }
}

/// Splits a text behind its leading digits.
fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_digit(byte));
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, &[]))
}

/// Reads the tail of a float from its exponent letter on; no tail is zero.
fn parse_exponent(text: &[u8], letter: u8) -> Option<i64> {
    let Some((first, rest)) = text.split_first() else {
        return Some(0);
    };
    let (negative, digits) = split_sign(rest);
    if !first.eq_ignore_ascii_case(&letter) || digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = decimal_digit(byte)?;
        Some((value * 10 + i64::from(digit)).min(EXPONENT_LIMIT))
    })?;
    Some(if negative { -magnitude } else { magnitude })
}

/// A hexadecimal float: `mantissa * 2^exponent`, with more bits than any format
/// here keeps; the lowest bit stands in for all digits that no longer fitted.
pub(super) struct Hexadecimal {
    /// The leading significant digits.
    mantissa: u128,
    /// The power of two of the lowest bit.
    exponent: i64,
}

impl Hexadecimal {
    /// Reads the text behind "0x"; the exponent may be missing.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = FloatText::cut(text, u8::is_ascii_hexdigit, b'p')?;
        let exponent = text.exponent - 4 * text.fraction_len();
        let start = Hexadecimal { mantissa: 0, exponent };
        Some(text.digits().filter_map(hexadecimal_digit).fold(start, Self::push))
    }

    /// Appends one digit, or its trace once the mantissa is full.
    fn push(self, digit: u8) -> Self {
        let Hexadecimal { mantissa, exponent } = self;
        if mantissa >> 124 == 0 {
            Hexadecimal { mantissa: mantissa << 4 | u128::from(digit), exponent }
        } else {
            let trace = u128::from(digit != 0);
            Hexadecimal { mantissa: mantissa | trace, exponent: exponent + 4 }
        }
    }

    /// Rounds to a format: to infinity or zero beyond its range.
    pub(super) fn nearest<F: Float>(&self) -> Option<F> {
        // Exponents beyond this bound overflow or vanish in every format.
        let exponent = self.exponent.clamp(-100_000, 100_000);
        let text = format!("0x{:x}p{exponent}", self.mantissa);
        Some(F::from_str_r(&text, Round::NearestTiesToEven).ok()?.value)
    }

    /// Rounds to a format; `None` when that overflows or loses all bits.
    pub(super) fn round<F: Float>(&self) -> Option<F> {
        let value = self.nearest::<F>()?;
        let in_range = value.is_finite() && (!value.is_zero() || self.mantissa == 0);
        in_range.then_some(value)
    }

    /// Rounds to a double.
    pub(super) fn to_f64(&self) -> Option<f64> {
        let bits = self.round::<Double>()?.to_bits();
        u64::try_from(bits).ok().map(f64::from_bits)
    }
}

/// The value of an ASCII hexadecimal digit.
fn hexadecimal_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

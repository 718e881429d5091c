//! Doubles, read as `strtod` reads them and written as `%.17g` and its like write them: scores,
//! coordinates and distances.

use super::float::{Hexadecimal, is_infinity, is_written_zero, split_sign};
use super::integer::parse_i64;
use super::places::{
    FRACTION_DIGITS, FRACTION_SCALE, push_fixed_fraction, split_double, trim_zeros,
};
use super::text::StackText;
use rustc_apfloat::Float;
use rustc_apfloat::ieee::Double;
use std::fmt::Write;
use std::ops::Range;

/// Significant digits in the text of a double: the most that are written.
const DOUBLE_DIGITS: usize = 17;

/// The magnitudes from which on a double of so many digits is written with an exponent.
const EXPONENT_FROM: [f64; DOUBLE_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17,
];

/// Reads a double as `strtod` does, but only if it takes the whole text.
///
/// Refused are NaN, texts that round to infinity and texts of a nonzero value
/// that round to zero. Subnormal results are accepted.
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(integer) = parse_short_integer(text) {
        return Some(integer);
    }
    let (negative, unsigned) = split_sign(text);
    let magnitude = match unsigned {
        [b'0', b'x' | b'X', digits @ ..] => Hexadecimal::read(digits)?.to_f64()?,
        _ if is_infinity(unsigned) => f64::INFINITY,
        _ => parse_decimal_f64(unsigned)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Reads what stands behind "0x" in an unsigned double. Unlike [`parse_f64`] it takes every range:
/// what is too large is infinite, what is too small zero.
pub(crate) fn parse_hexadecimal_f64(digits: &[u8]) -> Option<f64> {
    let bits = Hexadecimal::read(digits)?.nearest::<Double>()?.to_bits();
    u64::try_from(bits).ok().map(f64::from_bits)
}

/// Reads up to 15 digits, which a double holds exactly: most scores are such.
fn parse_short_integer(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    let digits = text.iter().try_fold(0, |value: u64, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    });
    digits.map(|value| value as f64)
}

/// Reads an unsigned decimal double in the range of finite doubles.
fn parse_decimal_f64(text: &[u8]) -> Option<f64> {
    // The standard library also reads signs and words; neither may follow a sign.
    if !matches!(text.first(), Some(b'0'..=b'9' | b'.')) {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let in_range = value.is_finite() && (value != 0.0 || is_written_zero(text));
    in_range.then_some(value)
}

/// Appends a double below 2^52 that has no sign as C's `%.4f` writes it: as Redis writes distances.
pub(crate) fn push_with_four_places(text: &mut Vec<u8>, value: f64) {
    let (whole, fraction) = split_double(value, 10_000);
    text.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    // Written behind a one, the fraction has all its digits.
    let mut buffer = itoa::Buffer::new();
    if let [_, digits @ ..] = buffer.format(10_000 + fraction).as_bytes() {
        text.push(b'.');
        text.extend_from_slice(digits);
    }
}

/// The text of a double as C's `%.17g` writes it, without heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F64Text(StackText);

impl F64Text {
    /// No text yet.
    pub(crate) const EMPTY: F64Text = F64Text(StackText::new());

    /// Writes a double. A NaN with its sign bit set is "-nan", as in C.
    pub(crate) fn new(value: f64) -> Self {
        F64Text::with_digits(value, DOUBLE_DIGITS)
    }

    /// Writes a double as C's `%.<digits>g` does, with 1 to 17 digits.
    pub(crate) fn with_digits(value: f64, digits: usize) -> Self {
        let digits = digits.clamp(1, DOUBLE_DIGITS);
        let mut text = StackText::new();
        if let Some(integer) = as_plain_integer(value, digits) {
            text.push(itoa::Buffer::new().format(integer).as_bytes());
        } else {
            if value.is_sign_negative() {
                text.push(b"-");
            }
            push_magnitude(&mut text, value.abs(), digits);
        }
        F64Text(text)
    }

    /// Writes a double below 2^52 as C's `%.17f` does, then drops zeros and a point at the end
    /// and the sign of zero: as Redis writes coordinates.
    pub(crate) fn decimal(value: f64) -> Self {
        let mut text = StackText::new();
        let (whole, fraction) = split_double(value, FRACTION_SCALE);
        if value < 0.0 && (whole, fraction) != (0, 0) {
            text.push(b"-");
        }
        text.push(itoa::Buffer::new().format(whole).as_bytes());
        push_fixed_fraction(&mut text, fraction, FRACTION_DIGITS);
        F64Text(text)
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The integer a double equals, if its text is then just the digits. Negative
/// zero is not one: its text keeps the sign.
fn as_plain_integer(value: f64, digits: usize) -> Option<i64> {
    if value.abs() >= *EXPONENT_FROM.get(digits)? {
        return None;
    }
    let integer = value as i64;
    (integer as f64).to_bits().eq(&value.to_bits()).then_some(integer)
}

/// Writes a double that has no sign.
fn push_magnitude(text: &mut StackText, value: f64, digits: usize) {
    if value.is_nan() {
        text.push(b"nan");
    } else if value.is_infinite() {
        text.push(b"inf");
    } else if digits == DOUBLE_DIGITS && ORDINARY.contains(&value) {
        push_ordinary(text, value);
    } else {
        push_finite(text, value, digits);
    }
}

/// Doubles whose seventeen digits are an exact quotient of integers that fit.
const ORDINARY: Range<f64> = 0.1..(1_u64 << 52) as f64;

/// Writes a double of ordinary magnitude: so many decimal places that its digits are seventeen.
fn push_ordinary(text: &mut StackText, value: f64) {
    let whole_digits = (value as u64).checked_ilog10().map_or(0, |power| power as usize + 1);
    let places = FRACTION_DIGITS - whole_digits;
    let (whole, fraction) = split_double(value, 10_u64.pow(places as u32));
    text.push(itoa::Buffer::new().format(whole).as_bytes());
    push_fixed_fraction(text, fraction, places);
}

/// Writes a finite double that has no sign.
fn push_finite(text: &mut StackText, value: f64, most: usize) {
    let Scientific { digits, exponent } = Scientific::of(value, most);
    let digits = trim_zeros(digits.as_bytes());
    let (first, rest) = digits.split_at_checked(1).unwrap_or((b"0", b""));
    if (0..most as i32).contains(&exponent) {
        push_positional(text, digits, exponent as usize + 1);
    } else if (-4..0).contains(&exponent) {
        text.push(b"0.");
        text.push_zeros(exponent.unsigned_abs() as usize - 1);
        text.push(digits);
    } else {
        text.push(first);
        text.push_fraction(rest);
        push_exponent(text, exponent);
    }
}

/// Writes digits with the point behind the first `whole_len` places.
fn push_positional(text: &mut StackText, digits: &[u8], whole_len: usize) {
    match digits.split_at_checked(whole_len) {
        Some((whole, fraction)) => {
            text.push(whole);
            text.push_fraction(fraction);
        }
        None => {
            text.push(digits);
            text.push_zeros(whole_len - digits.len());
        }
    }
}

/// Writes an exponent: sign and at least two digits.
fn push_exponent(text: &mut StackText, exponent: i32) {
    text.push(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 10 {
        text.push(b"0");
    }
    text.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
}

/// A double as so many correctly rounded digits and its power of ten.
struct Scientific {
    /// The digits, the point being behind the first.
    digits: StackText,
    /// The power of ten of the first digit.
    exponent: i32,
}

impl Scientific {
    /// Takes a finite, unsigned double apart.
    fn of(value: f64, digits: usize) -> Self {
        let mut written = StackText::new();
        // Writing into a StackText cannot fail.
        let _ = write!(written, "{value:.*e}", digits - 1);
        let mut parts = written.as_bytes().split(|&byte| byte == b'e');
        let mut digits = StackText::new();
        for part in parts.next().unwrap_or_default().split(|&byte| byte == b'.') {
            digits.push(part);
        }
        let exponent = parts.next().and_then(parse_i64).unwrap_or(0);
        Scientific { digits, exponent: exponent as i32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a double.
    fn double_text(value: f64) -> String {
        String::from_utf8(F64Text::new(value).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn coordinates_and_distances_have_places() {
        let text = |text: F64Text| String::from_utf8(text.as_bytes().to_vec()).unwrap();
        for (value, decimal) in [
            (0.0, "0"),
            (-0.0, "0"),
            (180.0, "180"),
            (-1.5, "-1.5"),
            (0.1, "0.10000000000000001"),
            (13.361389338970184, "13.36138933897018433"),
            (-85.05112878, "-85.0511287799999991"),
            (1e-17, "0.00000000000000001"),
            (-1e-18, "0"),
            (5e-324, "0"),
            (2_251_799_813_685_249.5, "2251799813685249.5"),
        ] {
            assert_eq!(text(F64Text::decimal(value)), decimal);
        }
        let with_four_places = |value| {
            let mut text = b"km".to_vec();
            push_with_four_places(&mut text, value);
            String::from_utf8_lossy(&text[2..]).into_owned()
        };
        // The standard library rounds as C does.
        for exponent in -60..52 {
            for mantissa in [1.0, 1.03125, 1.1, 1.23456789, 1.999_999_999] {
                let value = mantissa * 2_f64.powi(exponent);
                assert_eq!(with_four_places(value), format!("{value:.4}"));
            }
        }
        for value in [0.0, 0.00005, 0.00015, 0.03125, 0.99995, 0.999_95, 9.99996, 20_020_734.0] {
            assert_eq!(with_four_places(value), format!("{value:.4}"));
        }
    }

    #[test]
    fn doubles_are_read_as_strtod_reads_them() {
        let good = [
            ("1.5", 1.5),
            ("+.5", 0.5),
            ("1.e5", 1e5),
            ("-Inf", f64::NEG_INFINITY),
            ("+infinity", f64::INFINITY),
            ("0x10", 16.0),
            ("0X.8", 0.5),
            ("-0x1P+3", -8.0),
            ("0x1.00000000000008", 1.0),
            ("0x1.0000000000000800000000000000000000000001", 1.000_000_000_000_000_2),
            ("4e-320", 4e-320),
            ("5e-324", 5e-324),
            ("0x1p-1074", 5e-324),
            ("0e-400", 0.0),
            ("0e99999999999999999999", 0.0),
            ("0x0p99999999999999999999", 0.0),
        ];
        for (text, value) in good {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_f64(b"-0").unwrap().is_sign_negative());
    }

    #[test]
    fn doubles_are_refused_as_the_server_refuses_them() {
        let bad = [
            "",
            " 1",
            "1 ",
            "\t1",
            "nan",
            "-nan",
            "nan(1)",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "0x1p-1075",
            "0x1p1024",
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "0xp1",
            ".",
            "+",
            "-",
            "e5",
            "1e",
            "1e+",
            "--1",
            "+-1",
            "+ 1",
            "-+inf",
            "infin",
            "1_0",
            "1,5",
            "1.5.1",
            "1\0",
            "١",
        ];
        for text in bad {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_written_with_seventeen_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (1.5, "1.5"),
            (-0.1, "-0.10000000000000001"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.2e18, "1.2e+18"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.2500000000000001e-05"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-5e-324, "-4.9406564584124654e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN.copysign(1.0), "nan"),
            (f64::NAN.copysign(-1.0), "-nan"),
            // Ties go to the even digit.
            (562_949_953_421_312.0 + 0.125, "562949953421312.12"),
            (562_949_953_421_312.0 + 0.375, "562949953421312.38"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn ordinary_doubles_are_written_as_any() {
        let written = |value: f64, push: fn(&mut StackText, f64)| {
            let mut text = StackText::new();
            push(&mut text, value);
            String::from_utf8(text.as_bytes().to_vec()).unwrap()
        };
        let mut bits = 0x2545_f491_4f6c_dd1d_u64;
        for turn in 0..60_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // All magnitudes; every other one with few digits, as people write them.
            let exponent = 1019 + (bits >> 52) % 56;
            let random = f64::from_bits(exponent << 52 | bits & ((1 << 52) - 1));
            let short = (bits >> 20) as f64 / [1.0, 2.0, 8.0, 10.0, 100.0, 1e3, 1e7][turn % 7];
            let value = if turn % 2 == 0 { random } else { short };
            if ORDINARY.contains(&value) {
                let text = written(value, push_ordinary);
                assert_eq!(
                    text,
                    written(value, |text, value| push_finite(text, value, 17)),
                    "{bits:x}"
                );
            }
        }
    }

    #[test]
    fn doubles_survive_their_text() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(parse_f64(F64Text::new(value).as_bytes()), Some(value));
            }
        }
    }
}

//! Long doubles, the 80-bit format of x87, which carry INCRBYFLOAT and HINCRBYFLOAT and are written
//! as `%.17Lf`. The arithmetic is in software, so every platform gives the answers of a Redis on
//! x86-64.

use super::float::{FloatText, Hexadecimal, is_infinity, is_written_zero, split_sign};
use super::integer::decimal_digit;
use super::places::{FRACTION_DIGITS, FRACTION_SCALE, push_fixed_fraction, split_fixed};
use super::text::StackText;
use num_bigint::BigUint;
use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

/// Texts of this many bytes and more are never read as a long double.
const TEXT_LIMIT_BYTES: usize = 5 * 1024;

/// An 80-bit float as C's `long double` is on x86-64. Never a NaN when parsed,
/// but opposite infinities add up to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Reads a long double as `strtold` does, but only if it takes the whole
    /// text, which must be shorter than 5 KiB.
    ///
    /// Refused are NaN, texts that round to infinity and texts of a nonzero
    /// value that round to zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_LIMIT_BYTES {
            return None;
        }
        let (negative, unsigned) = split_sign(text);
        let magnitude = match unsigned {
            [b'0', b'x' | b'X', digits @ ..] => Hexadecimal::read(digits)?.round()?,
            _ if is_infinity(unsigned) => X87DoubleExtended::INFINITY,
            _ => parse_decimal_x87(unsigned)?,
        };
        Some(LongDouble(if negative { -magnitude } else { magnitude }))
    }

    /// The sum, rounded to nearest, ties to even.
    pub(crate) fn add(self, other: Self) -> Self {
        LongDouble((self.0 + other.0).value)
    }

    /// A thousand times the number, rounded up; none beyond 64 bits.
    pub(crate) fn thousands_up(self) -> Option<i64> {
        let product = self.0 * X87DoubleExtended::from_i128(1000).value;
        let integer = product.value.to_i128_r(64, Round::TowardPositive, &mut false);
        let fits = !integer.status.contains(Status::INVALID_OP);
        i64::try_from(integer.value).ok().filter(|_| fits)
    }

    /// Whether this is not a number.
    pub(crate) fn is_nan(self) -> bool {
        self.0.is_nan()
    }

    /// Whether this is either infinity.
    pub(crate) fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }

    /// Writes the number as C's `%.17Lf` does, then drops zeros and a point at
    /// the end and the sign of zero. Never an exponent: up to 4,951 bytes.
    pub(crate) fn to_text(self) -> Vec<u8> {
        if self.is_nan() {
            return b"nan".to_vec();
        }
        let magnitude = if self.is_infinite() { b"inf".to_vec() } else { self.magnitude_text() };
        match self.0.is_negative() && magnitude != b"0" {
            true => [b"-", &*magnitude].concat(),
            false => magnitude,
        }
    }

    /// The text of a finite value without its sign.
    fn magnitude_text(self) -> Vec<u8> {
        let (mantissa, exponent) = self.mantissa_and_exponent();
        if let Ok(shift) = u32::try_from(exponent) {
            return integer_text(mantissa, shift);
        }
        let (whole, fraction) = split_fixed(mantissa, exponent.unsigned_abs(), FRACTION_SCALE);
        let mut text = itoa::Buffer::new().format(whole).as_bytes().to_vec();
        let mut places = StackText::new();
        push_fixed_fraction(&mut places, fraction, FRACTION_DIGITS);
        text.extend_from_slice(places.as_bytes());
        text
    }

    /// The magnitude of a finite value as `mantissa * 2^exponent`.
    fn mantissa_and_exponent(self) -> (u64, i32) {
        // Layout: 64 bits of mantissa with its leading one, 15 of exponent, sign.
        let bits = self.0.to_bits();
        let biased = (bits >> 64) as i32 & 0x7fff;
        // Subnormals are stored with zero but scaled like the smallest exponent.
        (bits as u64, biased.max(1) - 16_383 - 63)
    }
}

/// Reads an unsigned decimal long double in the range of finite ones.
fn parse_decimal_x87(text: &[u8]) -> Option<X87DoubleExtended> {
    let cut = FloatText::cut(text, u8::is_ascii_digit, b'e')?;
    if let Some(value) = exact_quotient(&cut) {
        return Some(value);
    }
    let written = std::str::from_utf8(text).ok()?;
    let value = X87DoubleExtended::from_str_r(written, Round::NearestTiesToEven).ok()?.value;
    let in_range = value.is_finite() && (!value.is_zero() || is_written_zero(text));
    in_range.then_some(value)
}

/// The short way for ordinary numbers: an exact integer times or divided by an
/// exact power of ten, so that the one rounding is the right one.
fn exact_quotient(text: &FloatText<'_>) -> Option<X87DoubleExtended> {
    let integer = text.digits().try_fold(0_u64, |value, byte| {
        let digit = decimal_digit(byte)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    let power = i32::try_from(text.exponent - text.fraction_len()).ok()?;
    // 5^27 is the last power of five below 2^64, the size of the mantissa.
    let ten = (power.unsigned_abs() <= 27).then(|| 10_u128.pow(power.unsigned_abs()))?;
    let integer = X87DoubleExtended::from_u128(u128::from(integer)).value;
    let ten = X87DoubleExtended::from_u128(ten).value;
    Some(if power < 0 { (integer / ten).value } else { (integer * ten).value })
}

/// The decimal text of `mantissa * 2^shift`.
fn integer_text(mantissa: u64, shift: u32) -> Vec<u8> {
    if shift <= 64 {
        let value = u128::from(mantissa) << shift;
        itoa::Buffer::new().format(value).as_bytes().to_vec()
    } else {
        (BigUint::from(mantissa) << shift).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the sum of two texts, `None` when one is refused.
    fn sum(left: &str, right: &str) -> Option<String> {
        let left = LongDouble::parse(left.as_bytes())?;
        let right = LongDouble::parse(right.as_bytes())?;
        Some(String::from_utf8(left.add(right).to_text()).unwrap())
    }

    #[test]
    fn long_doubles_add_as_incrbyfloat_does() {
        let cases = [
            ("10.5", "0.1", "10.6"),
            ("10", "-10", "0"),
            ("10", "1e-20", "10"),
            ("0", "-0", "0"),
            ("-0", "-0", "0"),
            ("0", "-1e-30", "0"),
            ("0", "3.0000000000000000001", "3"),
            ("0", "1234567890123456789.5", "1234567890123456789.5"),
            ("10", "0x1p3", "18"),
            ("0.1", "0.2", "0.3"),
            ("0", "0x1p-18", "0.00000381469726562"),
            ("0", "0x3p-18", "0.00001144409179688"),
            ("0", "0.999999999999999999", "1"),
            ("-0.5", "0", "-0.5"),
            ("0x1p64", "0", "18446744073709551616"),
            ("0x1p128", "0", "340282366920938463463374607431768211456"),
            ("0", "1e-4940", "0"),
            ("inf", "1", "inf"),
            ("-inf", "1", "-inf"),
        ];
        for (left, right, text) in cases {
            assert_eq!(sum(left, right).as_deref(), Some(text), "{left} + {right}");
        }
    }

    #[test]
    fn huge_long_doubles_are_written_in_full() {
        let text = sum("10", "1e400").unwrap();
        assert_eq!(text.len(), 401);
        assert!(text.starts_with("1000000000000000000028188068394758651458645343362905"));
        assert_eq!(sum("0", "1e4932").unwrap().len(), 4933);
    }

    #[test]
    fn long_doubles_refuse_what_the_server_refuses() {
        let bad = [
            "",
            " 1.5",
            "1.5 ",
            "abc",
            "nan",
            "1e4933",
            "1e-4960",
            "0x1p16384",
            "0x1p-16447",
            "1e",
            "0x",
            ".",
            "1\0",
            "+-1",
            "in",
        ];
        for text in bad {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text}");
        }
        let long = "1.".to_string() + &"0".repeat(TEXT_LIMIT_BYTES - 3);
        assert!(LongDouble::parse(long.as_bytes()).is_some());
        assert!(LongDouble::parse((long + "0").as_bytes()).is_none());
    }

    #[test]
    fn thousands_are_rounded_up() {
        let up = |text: &str| LongDouble::parse(text.as_bytes()).unwrap().thousands_up();
        for (text, thousands) in [
            ("0.001", Some(1)),
            ("1e-400", Some(1)),
            ("-1e-400", Some(0)),
            ("-1.5", Some(-1500)),
            ("0x1p-3", Some(125)),
            ("9223372036854775", Some(9_223_372_036_854_775_000)),
            ("9223372036854776", None),
            ("1e300", None),
            ("inf", None),
            ("-inf", None),
        ] {
            assert_eq!(up(text), thousands, "{text}");
        }
    }

    #[test]
    fn opposite_infinities_are_not_a_number() {
        let plus = LongDouble::parse(b"inf").unwrap();
        let minus = LongDouble::parse(b"-inf").unwrap();
        assert!(plus.is_infinite() && minus.is_infinite() && !plus.is_nan());
        assert!(plus.add(minus).is_nan());
    }

    #[test]
    fn the_short_way_equals_the_long_way() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let text = format!("{}e{}", state >> (state % 60), (state >> 32) as i64 % 28);
            let cut = FloatText::cut(text.as_bytes(), u8::is_ascii_digit, b'e').unwrap();
            let long =
                X87DoubleExtended::from_str_r(&text, Round::NearestTiesToEven).unwrap().value;
            assert_eq!(exact_quotient(&cut).unwrap().to_bits(), long.to_bits(), "{text}");
        }
    }
}

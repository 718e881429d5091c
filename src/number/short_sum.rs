//! The sum of two short decimals as INCRBYFLOAT writes it, without long doubles.
//!
//! The text of a long double shows seventeen decimal places, and numbers of few digits are added
//! millions of times more often than others. Where what a long double rounds off cannot reach
//! those places, the text is that of the exact sum, which integers give at a tenth of the cost.

use super::places::{FRACTION_DIGITS, push_fixed_fraction};
use super::text::StackText;

/// Digits of a number that is tried.
const DIGITS_MOST: usize = 17;

/// What may be rounded off at most, in parts of 2^-65: half of the last of seventeen decimal
/// places is 184 of them.
const ERROR_MOST: u64 = 184;

/// A number in units of ten to the power of minus `places`.
#[derive(Clone, Copy)]
struct Decimal {
    units: i64,
    places: usize,
}

impl Decimal {
    /// Reads digits with a point and a minus sign, if there are any, and no other form.
    fn parse(text: &[u8]) -> Option<Decimal> {
        let digits = text.strip_prefix(b"-");
        let (mut units, mut count, mut point) = (0_i64, 0, None);
        for &byte in digits.unwrap_or(text) {
            match byte {
                b'0'..=b'9' if count < DIGITS_MOST => {
                    units = units * 10 + i64::from(byte - b'0');
                    count += 1;
                }
                b'.' if point.is_none() => point = Some(count),
                _ => return None,
            }
        }
        let places = point.map_or(0, |point| count - point);
        let units = if digits.is_some() { -units } else { units };
        (count > 0).then_some(Decimal { units, places })
    }

    /// The same number with so many places, which are not fewer.
    fn with_places(self, places: usize) -> Option<Decimal> {
        let factor = 10_i64.checked_pow((places - self.places) as u32)?;
        Some(Decimal { units: self.units.checked_mul(factor)?, places })
    }

    /// Whether a long double holds the number as it is: a fraction of a power of two.
    fn is_exact(self) -> bool {
        self.units % 5_i64.pow(self.places as u32) == 0
    }

    /// What a long double rounds off at most, in parts of 2^-65: half of its last bit.
    fn error(self) -> u64 {
        let whole = self.units.unsigned_abs() / 10_u64.pow(self.places as u32);
        // One more, for a sum of what was rounded up may reach the next power of two.
        let bits = u64::BITS - (whole + 1).leading_zeros();
        1_u64.checked_shl(bits).unwrap_or(u64::MAX)
    }

    fn to_text(self) -> StackText {
        let (units, scale) = (self.units.unsigned_abs(), 10_u64.pow(self.places as u32));
        let mut text = StackText::new();
        if self.units < 0 {
            text.push(b"-");
        }
        text.push(itoa::Buffer::new().format(units / scale).as_bytes());
        push_fixed_fraction(&mut text, units % scale, self.places);
        text
    }
}

/// The text of the sum of two numbers, if they are short enough for this way. Then it is that of
/// their sum as long doubles, to the byte.
pub(crate) fn short_sum(left: &[u8], right: &[u8]) -> Option<StackText> {
    let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
    let places = left.places.max(right.places);
    const { assert!(DIGITS_MOST <= FRACTION_DIGITS) };
    let (left, right) = (left.with_places(places)?, right.with_places(places)?);
    let sum = Decimal { units: left.units.checked_add(right.units)?, places };
    let inexact = [left, right].into_iter().filter(|number| !number.is_exact());
    let error = inexact.map(Decimal::error).fold(0_u64, u64::saturating_add);
    if error > 0 && error.saturating_add(sum.error()) > ERROR_MOST {
        return None;
    }
    Some(sum.to_text())
}

#[cfg(test)]
mod tests {
    use super::super::LongDouble;
    use super::*;

    fn short(left: &str, right: &str) -> Option<String> {
        let text = short_sum(left.as_bytes(), right.as_bytes())?;
        Some(String::from_utf8(text.as_bytes().to_vec()).unwrap())
    }

    fn long(left: &str, right: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        String::from_utf8(parse(left).add(parse(right)).to_text()).unwrap()
    }

    #[test]
    fn ordinary_sums_are_short() {
        for (left, right, sum) in [
            ("10.5", "0.1", "10.6"),
            ("3", "-3.0", "0"),
            ("-0", "0", "0"),
            (".5", "5.", "5.5"),
            ("-0.75", "0.5", "-0.25"),
            ("1000000000.5", "0.25", "1000000000.75"),
            ("0.1", "0.2", "0.3"),
        ] {
            assert_eq!(short(left, right).as_deref(), Some(sum));
        }
    }

    #[test]
    fn other_forms_and_long_numbers_are_left_to_long_doubles() {
        for text in ["", "-", ".", "+1", "1e3", "0x1", "1.2.3", "--1", " 1", "inf", "nan", "1-"] {
            assert_eq!(short(text, "1"), None, "{text}");
            assert_eq!(short("1", text), None, "{text}");
        }
        assert_eq!(short("123456789012345678", "1"), None);
        assert_eq!(short("99999999999999999", "0.00000000000000001"), None);
        // Here rounding shows.
        assert_eq!(short("1234567.1", "0.1"), None);
    }

    #[test]
    fn the_short_way_gives_the_text_of_long_doubles() {
        let mut state = 7_u64;
        let mut roll = |sides: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 20) % sides
        };
        let mut taken = 0;
        for _ in 0..200_000 {
            let [left, right] = [(); 2].map(|()| {
                let (digits, places) = (roll(15), roll(18) as usize);
                let mut units = roll(10_u64.pow(digits as u32 + 1));
                if roll(3) == 0 {
                    // Fractions of powers of two, and borders where rounding may carry.
                    units =
                        units / 5_u64.pow(places.min(10) as u32) * 5_u64.pow(places.min(10) as u32);
                }
                let sign = if roll(2) == 0 { "-" } else { "" };
                let digits = format!("{units:0width$}", width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                format!("{sign}{whole}.{fraction}")
            });
            if let Some(text) = short(&left, &right) {
                taken += 1;
                assert_eq!(text, long(&left, &right), "{left} + {right}");
            }
        }
        assert!(taken > 50_000, "{taken}");
    }
}

//! Binary fractions as so many decimal places, in integers alone.

use super::text::StackText;

/// Digits after the point in the text of a long double.
pub(super) const FRACTION_DIGITS: usize = 17;

/// Ten to the power of [`FRACTION_DIGITS`].
pub(super) const FRACTION_SCALE: u64 = 100_000_000_000_000_000;

/// Splits the magnitude of a double below 2^52 into the integer and so many parts of one as
/// `split_fixed` does.
pub(super) fn split_double(value: f64, scale: u64) -> (u64, u64) {
    let bits = value.abs().to_bits();
    let (biased, fraction) = ((bits >> 52) as u32, bits & ((1 << 52) - 1));
    // Subnormals are stored without a leading one but scaled like the smallest exponent.
    let mantissa = if biased == 0 { fraction } else { fraction | 1 << 52 };
    split_fixed(mantissa, 1_075_u32.saturating_sub(biased.max(1)).max(1), scale)
}

/// Splits `mantissa / 2^shift`, with a shift of at least one, into the integer
/// and so many `scale`ths, 10^17 at most, rounded to nearest, ties to even.
pub(super) fn split_fixed(mantissa: u64, shift: u32, scale: u64) -> (u64, u64) {
    let whole = mantissa.checked_shr(shift).unwrap_or(0);
    let remainder = mantissa - whole.checked_shl(shift).unwrap_or(0);
    let fraction = match remainder.checked_mul(scale) {
        Some(scaled) if shift < u64::BITS => short_shift_right_to_even(scaled, shift),
        // Both factors stay below 2^64 and 2^57: no overflow.
        _ => shift_right_to_even(u128::from(remainder) * u128::from(scale), shift),
    };
    match fraction {
        // Rounding up to 1.0 carries into the integer.
        fraction if fraction == scale => (whole + 1, 0),
        fraction => (whole, fraction),
    }
}

/// `value / 2^shift` for a shift below 64.
fn short_shift_right_to_even(value: u64, shift: u32) -> u64 {
    let quotient = value >> shift;
    let lost = value - (quotient << shift);
    let half = 1_u64 << (shift - 1);
    let up = lost > half || (lost == half && quotient & 1 == 1);
    quotient + u64::from(up)
}

/// `value / 2^shift` for a value below 2^121 whose quotient is at most 10^17.
fn shift_right_to_even(value: u128, shift: u32) -> u64 {
    // From here on the quotient is below one half.
    if shift > 121 {
        return 0;
    }
    let quotient = value >> shift;
    let lost = value - (quotient << shift);
    let half = 1_u128 << (shift - 1);
    let up = lost > half || (lost == half && quotient & 1 == 1);
    (quotient + u128::from(up)) as u64
}

/// Appends a point and so many decimal places less the zeros at their end.
pub(super) fn push_fixed_fraction(text: &mut StackText, fraction: u64, places: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(fraction).as_bytes();
    if fraction != 0 {
        text.push(b".");
        text.push_zeros(places - digits.len());
        text.push(trim_zeros(digits));
    }
}

/// Takes the zeros off the end.
pub(super) fn trim_zeros(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
}

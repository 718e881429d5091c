//! Numbers as sets of 32 bits, for the library `bit`.

/// The low 32 bits of a number, rounded to the nearest integer, ties to even.
///
/// Adding this constant moves the units of a double of up to 2^51 to the end of its fraction; for
/// larger ones, infinity and NaN the bits that come out are those the reference gives.
#[inline]
pub(crate) fn of_number(number: f64) -> u32 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (number + ROUND).to_bits() as u32
}

/// The number that stands for a set of bits: they are a signed integer.
#[inline]
pub(crate) fn to_number(bits: u32) -> f64 {
    f64::from(bits as i32)
}

/// The most digits a set of bits has.
pub(crate) const HEX_DIGITS: usize = 8;

/// The last so many hexadecimal digits, in capitals if the count is negative. Every count is an
/// answer, the smallest integer too (CVE-2024-31449).
pub(crate) fn hex(bits: u32, count: i32) -> ([u8; HEX_DIGITS], usize) {
    let digits: &[u8; 16] = if count < 0 { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let count = (count.unsigned_abs() as usize).min(HEX_DIGITS);
    let mut text = [0; HEX_DIGITS];
    for (place, byte) in text.iter_mut().take(count).enumerate() {
        let shift = 4 * (count - 1 - place);
        *byte = digits[(bits >> shift & 0xf) as usize];
    }
    (text, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_even_and_wrap() {
        let cases = [
            (1.5, 2),
            (2.5, 2),
            (-1.5, -2),
            (4_294_967_301.0, 5),
            (-2_147_483_649.0, i32::MAX),
            (f64::NAN, 0),
            (f64::INFINITY, 0),
            (1e300, -2_013_235_812),
        ];
        for (number, bits) in cases {
            assert_eq!(of_number(number) as i32, bits, "{number}");
        }
    }

    #[test]
    fn every_count_of_digits_is_an_answer() {
        let text = |bits, count| {
            let (text, len) = hex(bits, count);
            String::from_utf8(text[..len].to_vec()).unwrap()
        };
        assert_eq!(text(255, 8), "000000ff");
        assert_eq!(text(255, -4), "00FF");
        assert_eq!(text(255, 1), "f");
        assert_eq!(text(255, 0), "");
        assert_eq!(text(u32::MAX, i32::MIN), "FFFFFFFF");
        assert_eq!(text(u32::MAX, i32::MAX), "ffffffff");
    }
}

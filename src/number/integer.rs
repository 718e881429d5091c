//! Integers, read by the strict rules of integer arguments and, where Redis leaves them to C, by
//! looser ones.

use super::float::split_sign;
use super::text::StackText;

/// Reads a signed integer argument: no spaces, no plus sign, no leading zeros
/// and no "-0", over the whole range of `i64`.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => match parse_u64(digits)? {
            0 => None,
            magnitude => 0_i64.checked_sub_unsigned(magnitude),
        },
        None => i64::try_from(parse_u64(text)?).ok(),
    }
}

/// Reads an unsigned integer by the same rules as [`parse_i64`].
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [] => None,
        [b'0', _, ..] => None,
        // Nineteen digits are less than 2^64.
        digits if digits.len() < 20 => digits.iter().try_fold(0_u64, |value, &byte| {
            Some(value.wrapping_mul(10).wrapping_add(decimal_digit(byte)?.into()))
        }),
        digits => digits.iter().try_fold(0_u64, |value, &byte| {
            let digit = decimal_digit(byte)?;
            value.checked_mul(10)?.checked_add(u64::from(digit))
        }),
    }
}

/// Reads an unsigned integer as C's `strtoull` reads digits: a sign and zeros may stand in front, and
/// what a minus makes of the number wraps around.
pub(crate) fn parse_loose_u64(text: &[u8]) -> Option<u64> {
    let (negative, digits) = split_sign(text);
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    let value = match digits.split_at(zeros) {
        ([_, ..], []) => 0,
        (_, significant) => parse_u64(significant)?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

/// The value of an ASCII decimal digit.
pub(super) fn decimal_digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// The decimal text of an integer, without heap.
pub(crate) struct IntText(StackText);

impl IntText {
    /// Writes an integer.
    pub(crate) fn new(value: i64) -> Self {
        let mut text = StackText::new();
        text.push(itoa::Buffer::new().format(value).as_bytes());
        IntText(text)
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        let good = ["0", "7", "-1", "9223372036854775807", "-9223372036854775808"];
        for text in good {
            assert_eq!(parse_i64(text.as_bytes()), text.parse().ok(), "{text}");
        }
        let bad = [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "--1",
            "1\0",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ];
        for text in bad {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn unsigned_integers_share_the_rules() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"0"), Some(0));
        for text in ["18446744073709551616", "-1", "00", "", "+5"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn loose_integers_may_have_a_sign_and_zeros() {
        let good = [
            ("5", 5),
            ("+5", 5),
            ("-1", u64::MAX),
            ("-0", 0),
            ("000", 0),
            ("-007", 7_u64.wrapping_neg()),
        ];
        for (text, value) in good {
            assert_eq!(parse_loose_u64(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "+", "-", "+-1", " 1", "1 ", "0x1", "18446744073709551616"] {
            assert_eq!(parse_loose_u64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn integers_are_written() {
        for value in [0, -1, i64::MAX, i64::MIN] {
            assert_eq!(IntText::new(value).as_bytes(), value.to_string().as_bytes());
        }
    }
}

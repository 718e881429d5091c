//! Numbers as Redis reads and writes them, byte for byte and without a locale.
//!
//! Three families live here. Integers are read by the strict rules of integer
//! arguments. Doubles are read as `strtod` reads them and written as `%.17g`
//! (scores). Long doubles, the 80-bit format of x87, carry INCRBYFLOAT and
//! HINCRBYFLOAT and are written as `%.17Lf`. The arithmetic is in software, so
//! every platform gives the answers of a Redis on x86-64.
//!
//! This room knows nothing of keys, replies or error texts: a number that
//! cannot be read is `None`, and the caller knows which error that is.

mod short_sum;

pub(crate) use short_sum::short_sum;

use std::fmt::{self, Write};
use std::ops::Range;

use num_bigint::BigUint;
use rustc_apfloat::ieee::{Double, X87DoubleExtended};
use rustc_apfloat::{Float, Round, Status};

/// Texts of this many bytes and more are never read as a long double.
const LONG_DOUBLE_TEXT_LIMIT_BYTES: usize = 5 * 1024;

/// Digits after the point in the text of a long double.
const FRACTION_DIGITS: usize = 17;

/// Ten to the power of [`FRACTION_DIGITS`].
const FRACTION_SCALE: u64 = 100_000_000_000_000_000;

/// Significant digits in the text of a double: the most that are written.
const DOUBLE_DIGITS: usize = 17;

/// The magnitudes from which on a double of so many digits is written with an exponent.
const EXPONENT_FROM: [f64; DOUBLE_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17,
];

/// Exponents read from text stop growing here, far beyond any that matters.
const EXPONENT_LIMIT: i64 = 1 << 40;

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
        digits => digits.iter().try_fold(0_u64, |value, &byte| {
            let digit = decimal_digit(byte)?;
            value.checked_mul(10)?.checked_add(u64::from(digit))
        }),
    }
}

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

/// Whether a well-formed decimal text has only zeros before its exponent.
fn is_written_zero(text: &[u8]) -> bool {
    text.iter()
        .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'))
        .all(|byte| !matches!(byte, b'1'..=b'9'))
}

/// Takes one sign off the front; true means minus.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Whether an unsigned text is one of the two words for infinity.
fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

/// The value of an ASCII decimal digit.
fn decimal_digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// The value of an ASCII hexadecimal digit.
fn hexadecimal_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
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

/// An unsigned float text, cut at its point and its exponent letter.
struct FloatText<'a> {
    /// The digits before the point.
    whole: &'a [u8],
    /// The digits after the point.
    fraction: &'a [u8],
    /// The written exponent, saturated.
    exponent: i64,
}

impl<'a> FloatText<'a> {
    /// Cuts a text, refusing it unless it is well formed to its end.
    fn cut(text: &'a [u8], is_digit: fn(&u8) -> bool, letter: u8) -> Option<Self> {
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
    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// How many digits stand after the point.
    fn fraction_len(&self) -> i64 {
        i64::try_from(self.fraction.len()).unwrap_or(EXPONENT_LIMIT)
    }
}

/// Splits a text behind its leading digits.
fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_digit(byte));
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, &[]))
}

/// A hexadecimal float: `mantissa * 2^exponent`, with more bits than any format
/// here keeps; the lowest bit stands in for all digits that no longer fitted.
struct Hexadecimal {
    /// The leading significant digits.
    mantissa: u128,
    /// The power of two of the lowest bit.
    exponent: i64,
}

impl Hexadecimal {
    /// Reads the text behind "0x"; the exponent may be missing.
    fn read(text: &[u8]) -> Option<Self> {
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
    fn nearest<F: Float>(&self) -> Option<F> {
        // Exponents beyond this bound overflow or vanish in every format.
        let exponent = self.exponent.clamp(-100_000, 100_000);
        let text = format!("0x{:x}p{exponent}", self.mantissa);
        Some(F::from_str_r(&text, Round::NearestTiesToEven).ok()?.value)
    }

    /// Rounds to a format; `None` when that overflows or loses all bits.
    fn round<F: Float>(&self) -> Option<F> {
        let value = self.nearest::<F>()?;
        let in_range = value.is_finite() && (!value.is_zero() || self.mantissa == 0);
        in_range.then_some(value)
    }

    /// Rounds to a double.
    fn to_f64(&self) -> Option<f64> {
        let bits = self.round::<Double>()?.to_bits();
        u64::try_from(bits).ok().map(f64::from_bits)
    }
}

/// Text in a small array. Everything written here has a known bound below its
/// size; what would not fit is dropped rather than a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackText {
    /// The text, then unused bytes.
    bytes: [u8; 32],
    /// How many bytes are text.
    len: usize,
}

impl StackText {
    /// An empty text.
    const fn new() -> Self {
        StackText { bytes: [0; 32], len: 0 }
    }

    /// Appends bytes.
    fn push(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(text);
            self.len = end;
        }
    }

    /// Appends zeros.
    fn push_zeros(&mut self, count: usize) {
        (0..count).for_each(|_| self.push(b"0"));
    }

    /// Appends a point and digits, or nothing when there are no digits.
    fn push_fraction(&mut self, digits: &[u8]) {
        if !digits.is_empty() {
            self.push(b".");
            self.push(digits);
        }
    }

    /// The text written so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
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

    /// Writes a double below 2^52 that has no sign as C's `%.4f` does: as Redis writes distances.
    pub(crate) fn with_four_places(value: f64) -> Self {
        let mut text = StackText::new();
        let (whole, fraction) = split_double(value, 10_000);
        text.push(itoa::Buffer::new().format(whole).as_bytes());
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(fraction).as_bytes();
        text.push(b".");
        text.push_zeros(4 - digits.len());
        text.push(digits);
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

/// Takes the zeros off the end.
fn trim_zeros(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
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
        if text.len() >= LONG_DOUBLE_TEXT_LIMIT_BYTES {
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

/// Splits the magnitude of a double below 2^52 into the integer and so many parts of one as
/// `split_fixed` does.
fn split_double(value: f64, scale: u64) -> (u64, u64) {
    let bits = value.abs().to_bits();
    let (biased, fraction) = ((bits >> 52) as u32, bits & ((1 << 52) - 1));
    // Subnormals are stored without a leading one but scaled like the smallest exponent.
    let mantissa = if biased == 0 { fraction } else { fraction | 1 << 52 };
    split_fixed(mantissa, 1_075_u32.saturating_sub(biased.max(1)).max(1), scale)
}

/// Splits `mantissa / 2^shift`, with a shift of at least one, into the integer
/// and so many `scale`ths, 10^17 at most, rounded to nearest, ties to even.
fn split_fixed(mantissa: u64, shift: u32, scale: u64) -> (u64, u64) {
    let whole = mantissa.checked_shr(shift).unwrap_or(0);
    let remainder = mantissa - whole.checked_shl(shift).unwrap_or(0);
    // Both factors stay below 2^64 and 2^57: no overflow.
    let scaled = u128::from(remainder) * u128::from(scale);
    match shift_right_to_even(scaled, shift) {
        // Rounding up to 1.0 carries into the integer.
        fraction if fraction == scale => (whole + 1, 0),
        fraction => (whole, fraction),
    }
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
fn push_fixed_fraction(text: &mut StackText, fraction: u64, places: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(fraction).as_bytes();
    if fraction != 0 {
        text.push(b".");
        text.push_zeros(places - digits.len());
        text.push(trim_zeros(digits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a double.
    fn double_text(value: f64) -> String {
        String::from_utf8(F64Text::new(value).as_bytes().to_vec()).unwrap()
    }

    /// The text of the sum of two texts, `None` when one is refused.
    fn sum(left: &str, right: &str) -> Option<String> {
        let left = LongDouble::parse(left.as_bytes())?;
        let right = LongDouble::parse(right.as_bytes())?;
        Some(String::from_utf8(left.add(right).to_text()).unwrap())
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
        // The standard library rounds as C does.
        for exponent in -60..52 {
            for mantissa in [1.0, 1.03125, 1.1, 1.23456789, 1.999_999_999] {
                let value = mantissa * 2_f64.powi(exponent);
                assert_eq!(text(F64Text::with_four_places(value)), format!("{value:.4}"));
            }
        }
        for value in [0.0, 0.00005, 0.00015, 0.03125, 0.99995, 0.999_95, 9.99996, 20_020_734.0] {
            assert_eq!(text(F64Text::with_four_places(value)), format!("{value:.4}"));
        }
    }

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
    fn integers_are_written() {
        for value in [0, -1, i64::MAX, i64::MIN] {
            assert_eq!(IntText::new(value).as_bytes(), value.to_string().as_bytes());
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
        let long = "1.".to_string() + &"0".repeat(LONG_DOUBLE_TEXT_LIMIT_BYTES - 3);
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

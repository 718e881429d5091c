//! Format strings and integers of the library `struct`, with the sizes of C on 64-bit Unix.

/// The most bytes an integer may have.
pub(crate) const INTEGER_BYTES_MOST: usize = 32;

/// The alignment that `!` without a number asks for.
const NATIVE_ALIGNMENT: usize = 8;

/// What an option of a format stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Signed,
    Unsigned,
    Float,
    Double,
    /// One byte of padding.
    Pad,
    /// So many bytes; none means all there are.
    Bytes,
    /// Bytes up to a zero.
    ZeroTerminated,
    /// Changes how the following options are read.
    Control,
}

/// An option of a format string with the number that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) letter: u8,
    pub(crate) kind: Kind,
    /// Bytes it takes where the format alone tells that, else 0.
    pub(crate) size: usize,
}

/// Why a format cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A number beyond a C int.
    Overflow,
    /// An integer of more than [`INTEGER_BYTES_MOST`] bytes.
    TooLarge(usize),
    /// An alignment that is no power of two.
    Alignment(usize),
    /// A letter that means nothing.
    Unknown(u8),
}

/// Reads a format from its front to its end or first NUL byte.
pub(crate) struct Format<'a> {
    rest: &'a [u8],
    pub(crate) big_endian: bool,
    alignment: usize,
}

impl<'a> Format<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Format<'a> {
        Format { rest: text, big_endian: false, alignment: 1 }
    }

    /// The next option; none at the end. A control is not carried out yet.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Fault> {
        let Some((&letter, rest)) = self.rest.split_first() else { return Ok(None) };
        if letter == 0 {
            return Ok(None);
        }
        self.rest = rest;
        let (kind, size) = match letter {
            b'b' => (Kind::Signed, 1),
            b'B' => (Kind::Unsigned, 1),
            b'h' => (Kind::Signed, 2),
            b'H' => (Kind::Unsigned, 2),
            b'l' => (Kind::Signed, 8),
            b'L' | b'T' => (Kind::Unsigned, 8),
            b'i' => (Kind::Signed, self.integer_size()?),
            b'I' => (Kind::Unsigned, self.integer_size()?),
            b'f' => (Kind::Float, 4),
            b'd' => (Kind::Double, 8),
            b'x' => (Kind::Pad, 1),
            b'c' => (Kind::Bytes, self.number(1)?),
            b's' => (Kind::ZeroTerminated, 0),
            _ => (Kind::Control, 0),
        };
        Ok(Some(Item { letter, kind, size }))
    }

    /// Carries out a control.
    pub(crate) fn control(&mut self, letter: u8) -> Result<(), Fault> {
        match letter {
            b' ' => (),
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.number(NATIVE_ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    return Err(Fault::Alignment(alignment));
                }
                self.alignment = alignment;
            }
            _ => return Err(Fault::Unknown(letter)),
        }
        Ok(())
    }

    /// Bytes of padding before an option that begins at a position. Sizes that are no power of two
    /// are masked like the others, as in the reference.
    #[inline]
    pub(crate) fn padding(&self, item: Item, position: usize) -> usize {
        if item.size == 0 || item.kind == Kind::Bytes {
            return 0;
        }
        let size = item.size.min(self.alignment);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    fn integer_size(&mut self) -> Result<usize, Fault> {
        match self.number(4)? {
            size if size > INTEGER_BYTES_MOST => Err(Fault::TooLarge(size)),
            size => Ok(size),
        }
    }

    /// The number that follows, if one does. It is a C int; what is beyond one is refused before
    /// any sum of sizes is made with it (CVE-2020-14147).
    #[inline]
    fn number(&mut self, default: usize) -> Result<usize, Fault> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let number = text.iter().try_fold(0_i32, |number, byte| {
            number.checked_mul(10)?.checked_add(i32::from(byte - b'0'))
        });
        number.and_then(|number| usize::try_from(number).ok()).ok_or(Fault::Overflow)
    }
}

/// The 64 bits a number becomes where C converts it on x86-64.
#[inline]
pub(crate) fn bits_of_number(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF {
        return (converted(number - HALF) as u64) ^ 1 << 63;
    }
    converted(number) as u64
}

/// What does not fit is the smallest integer.
#[inline]
fn converted(number: f64) -> i64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if (-HALF..HALF).contains(&number) { number as i64 } else { i64::MIN }
}

/// Writes an integer's bytes; those beyond the eighth are zero, whatever the sign.
#[inline]
pub(crate) fn push_integer(out: &mut Vec<u8>, bits: u64, size: usize, big_endian: bool) {
    match (size, big_endian) {
        (1, _) => out.push(bits as u8),
        (2, true) => out.extend_from_slice(&(bits as u16).to_be_bytes()),
        (2, false) => out.extend_from_slice(&(bits as u16).to_le_bytes()),
        (4, true) => out.extend_from_slice(&(bits as u32).to_be_bytes()),
        (4, false) => out.extend_from_slice(&(bits as u32).to_le_bytes()),
        (8, true) => out.extend_from_slice(&bits.to_be_bytes()),
        (8, false) => out.extend_from_slice(&bits.to_le_bytes()),
        _ => push_odd_integer(out, bits, size, big_endian),
    }
}

/// The same for a size that no number of the machine has.
fn push_odd_integer(out: &mut Vec<u8>, bits: u64, size: usize, big_endian: bool) {
    let (near, far) = (size.min(8), size.saturating_sub(8).min(INTEGER_BYTES_MOST));
    if big_endian {
        out.extend_from_slice([0; INTEGER_BYTES_MOST].split_at(far).0);
        out.extend_from_slice(bits.to_be_bytes().split_at(8 - near).1);
    } else {
        out.extend_from_slice(bits.to_le_bytes().split_at(near).0);
        out.extend_from_slice([0; INTEGER_BYTES_MOST].split_at(far).0);
    }
}

/// The number in an integer's bytes; the lowest eight count.
#[inline]
pub(crate) fn integer_number(bytes: &[u8], signed: bool, big_endian: bool) -> f64 {
    let bits = lowest_bits(bytes, big_endian);
    if !signed {
        return bits as f64;
    }
    // The place of the sign is taken modulo 64, as the machine's shift does for long integers.
    let sign = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    let bits = if bits & sign == 0 { bits } else { bits | sign };
    bits as i64 as f64
}

#[inline]
fn lowest_bits(bytes: &[u8], big_endian: bool) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] if big_endian => u16::from_be_bytes([a, b]).into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] if big_endian => u32::from_be_bytes([a, b, c, d]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        _ => odd_lowest_bits(bytes, big_endian),
    }
}

fn odd_lowest_bits(bytes: &[u8], big_endian: bool) -> u64 {
    let mut word = [0; 8];
    let near = bytes.len().min(8);
    if big_endian {
        let lowest = bytes.split_at(bytes.len() - near).1;
        word.split_at_mut(8 - near).1.copy_from_slice(lowest);
        u64::from_be_bytes(word)
    } else {
        word.split_at_mut(near).0.copy_from_slice(bytes.split_at(near).0);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Result<usize, Fault> {
        let mut format = Format::new(text.as_bytes());
        let mut total = 0;
        while let Some(item) = format.next()? {
            total += format.padding(item, total) + item.size;
            if item.kind == Kind::Control {
                format.control(item.letter)?;
            }
        }
        Ok(total)
    }

    #[test]
    fn sizes_and_alignment_are_the_reference_s() {
        let cases = [
            ("bi", 5),
            ("!4 bi", 8),
            ("!8 bd", 16),
            ("!4bi3", 6),
            ("!8bbbi5", 12),
            ("!8bbi6", 12),
            ("!8bbi7b", 14),
            ("!8 b c3 i", 8),
            ("!1024 bi32", 64),
            (">hhi8", 12),
            ("c2147483647c2147483647", 4_294_967_294),
            ("b\0i", 1),
            ("!2>b<i", 6),
        ];
        for (format, size) in cases {
            assert_eq!(sizes(format), Ok(size), "{format}");
        }
    }

    #[test]
    fn faults_of_formats_are_told_apart() {
        let cases = [
            ("i33", Fault::TooLarge(33)),
            ("i2147483647", Fault::TooLarge(2_147_483_647)),
            ("i2147483648", Fault::Overflow),
            ("c99999999999999999999999", Fault::Overflow),
            ("!3", Fault::Alignment(3)),
            ("!0", Fault::Alignment(0)),
            ("b%", Fault::Unknown(b'%')),
        ];
        for (format, fault) in cases {
            assert_eq!(sizes(format), Err(fault), "{format}");
        }
    }

    #[test]
    fn numbers_convert_as_on_x86_64() {
        let cases = [
            (3.7, 3),
            (-1.5, u64::MAX),
            (9_223_372_036_854_775_808.0, 1 << 63),
            (18_446_744_073_709_551_616.0, 0),
            (f64::INFINITY, 0),
            (f64::NEG_INFINITY, 1 << 63),
            (f64::NAN, 1 << 63),
        ];
        for (number, bits) in cases {
            assert_eq!(bits_of_number(number), bits, "{number}");
        }
    }

    #[test]
    fn long_integers_keep_eight_bytes() {
        let bytes = |bits, size, big_endian| {
            let mut out = Vec::new();
            push_integer(&mut out, bits, size, big_endian);
            out
        };
        assert_eq!(bytes(u64::MAX, 17, true), [[0; 9].as_slice(), &[255; 8]].concat());
        assert_eq!(bytes(u64::MAX, 17, false), [[255; 8].as_slice(), &[0; 9]].concat());
        assert_eq!(bytes(0x0102, 2, true), [1, 2]);
        assert_eq!(bytes(0x010203, 2, false), [3, 2]);
        assert_eq!(bytes(1, 0, true), []);
        assert_eq!(integer_number(&[1, 2, 3, 4, 5, 6, 7, 8, 9], true, true), -119.0);
        assert_eq!(integer_number(&[1, 2, 3, 4, 5, 6, 7, 8, 9], true, false), -127.0);
        assert_eq!(integer_number(&[255, 255, 255], true, false), -1.0);
        assert_eq!(integer_number(&[255, 255, 255], false, false), 16_777_215.0);
        assert_eq!(integer_number(&[], true, false), 0.0);
    }
}

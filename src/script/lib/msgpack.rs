//! MessagePack as the library cmsgpack writes and reads it: the smallest form of each value, the
//! types of the format's first edition and the string of one length byte.

/// The most bytes that stand before a string's own, or that a number takes.
pub(crate) const HEAD_MOST: usize = 9;

pub(crate) const NIL: u8 = 0xc0;
pub(crate) const FALSE: u8 = 0xc2;
pub(crate) const TRUE: u8 = 0xc3;

/// Writes a number: an integer if it is one that 64 bits hold, else the shorter of two floats that
/// keeps its value.
pub(crate) fn push_number(out: &mut Vec<u8>, number: f64) {
    if let Some(integer) = integral(number) {
        return push_integer(out, integer);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// The integer a number is; 2^63 is none.
fn integral(number: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    let integer = number as i64;
    ((-END..END).contains(&number) && integer as f64 == number).then_some(integer)
}

fn push_integer(out: &mut Vec<u8>, integer: i64) {
    let bytes = integer.to_be_bytes();
    let (tag, len) = match integer {
        -0x20..=0x7f => return out.push(integer as u8),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-0x21 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        ..=-0x8000_0001 => (0xd3, 8),
    };
    out.push(tag);
    out.extend_from_slice(bytes.split_at(bytes.len() - len).1);
}

/// Writes what stands before a string of so many bytes.
pub(crate) fn push_string_head(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        _ => push_long_head(out, 0xda, len),
    }
}

/// Writes what stands before an array of so many elements.
pub(crate) fn push_array_head(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x90 | len as u8),
        _ => push_long_head(out, 0xdc, len),
    }
}

/// Writes what stands before a map of so many pairs.
pub(crate) fn push_map_head(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x80 | len as u8),
        _ => push_long_head(out, 0xde, len),
    }
}

/// A length in two bytes behind its tag, or in four behind the next one.
fn push_long_head(out: &mut Vec<u8>, tag: u8, len: usize) {
    match u16::try_from(len) {
        Ok(len) => {
            out.push(tag);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(tag + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

/// A value, or the beginning of one that holds others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Nil,
    Boolean(bool),
    Number(f64),
    String(&'a [u8]),
    Array(u32),
    Map(u32),
}

/// Why nothing could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The input ends within a value.
    Missing,
    /// A byte that begins no value, or none that this library knows.
    Bad,
}

/// Reads values one after another.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Item<'a>, Fault> {
        let tag = self.take::<1>()?[0];
        Ok(match tag {
            0..=0x7f => Item::Number(tag.into()),
            0x80..=0x8f => Item::Map((tag & 0xf).into()),
            0x90..=0x9f => Item::Array((tag & 0xf).into()),
            0xa0..=0xbf => self.string((tag & 0x1f).into())?,
            NIL => Item::Nil,
            FALSE => Item::Boolean(false),
            TRUE => Item::Boolean(true),
            0xca => Item::Number(f32::from_be_bytes(self.take()?).into()),
            0xcb => Item::Number(f64::from_be_bytes(self.take()?)),
            0xcc => Item::Number(u8::from_be_bytes(self.take()?).into()),
            0xcd => Item::Number(u16::from_be_bytes(self.take()?).into()),
            0xce => Item::Number(u32::from_be_bytes(self.take()?).into()),
            // The reference reads eight unsigned bytes as a signed integer.
            0xcf | 0xd3 => Item::Number(i64::from_be_bytes(self.take()?) as f64),
            0xd0 => Item::Number(i8::from_be_bytes(self.take()?).into()),
            0xd1 => Item::Number(i16::from_be_bytes(self.take()?).into()),
            0xd2 => Item::Number(i32::from_be_bytes(self.take()?).into()),
            0xd9 => {
                let len = u8::from_be_bytes(self.take()?);
                self.string(len.into())?
            }
            0xda => {
                let len = self.short()?;
                self.string(len)?
            }
            0xdb => {
                let len = self.long()?;
                self.string(len)?
            }
            0xdc => Item::Array(self.short()?),
            0xdd => Item::Array(self.long()?),
            0xde => Item::Map(self.short()?),
            0xdf => Item::Map(self.long()?),
            0xe0..=0xff => Item::Number((tag as i8).into()),
            _ => return Err(Fault::Bad),
        })
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Fault::Missing)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn short(&mut self) -> Result<u32, Fault> {
        Ok(u16::from_be_bytes(self.take()?).into())
    }

    fn long(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    #[inline]
    fn string(&mut self, len: u32) -> Result<Item<'a>, Fault> {
        let (bytes, rest) = self.rest.split_at_checked(len as usize).ok_or(Fault::Missing)?;
        self.rest = rest;
        Ok(Item::String(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Vec<u8> {
        let mut out = Vec::new();
        push_number(&mut out, value);
        out
    }

    #[test]
    fn numbers_take_their_smallest_form_and_come_back() {
        let cases: [(f64, &[u8]); 22] = [
            (0.0, &[0]),
            (-0.0, &[0]),
            (127.0, &[0x7f]),
            (128.0, &[0xcc, 128]),
            (256.0, &[0xcd, 1, 0]),
            (65536.0, &[0xce, 0, 1, 0, 0]),
            (4_294_967_296.0, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
            (-1.0, &[0xff]),
            (-32.0, &[0xe0]),
            (-33.0, &[0xd0, 0xdf]),
            (-128.0, &[0xd0, 0x80]),
            (-129.0, &[0xd1, 0xff, 0x7f]),
            (-32768.0, &[0xd1, 0x80, 0]),
            (-32769.0, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (-2_147_483_649.0, &[0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
            (-9_223_372_036_854_775_808.0, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            (9_223_372_036_854_775_808.0, &[0xca, 0x5f, 0, 0, 0]),
            (1.5, &[0xca, 0x3f, 0xc0, 0, 0]),
            (f64::INFINITY, &[0xca, 0x7f, 0x80, 0, 0]),
            (1e-46, &[0xcb, 0x36, 0x62, 0x44, 0xce, 0x24, 0x2c, 0x55, 0x61]),
            (0.1, &[0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]),
            (1e39, &[0xcb, 0x48, 0x07, 0x82, 0x87, 0xf4, 0x9c, 0x4a, 0x1d]),
        ];
        for (value, bytes) in cases {
            assert_eq!(number(value), bytes, "{value}");
            let mut reader = Reader { rest: bytes };
            assert_eq!(reader.next(), Ok(Item::Number(value)));
            assert!(reader.rest.is_empty());
            for cut in 0..bytes.len() {
                let (rest, _) = bytes.split_at(cut);
                assert_eq!(Reader { rest }.next(), Err(Fault::Missing), "{value} cut at {cut}");
            }
        }
        let nan = f64::from_bits(0xfff8_0000_0000_0000);
        assert_eq!(number(nan), [0xcb, 0xff, 0xf8, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn lengths_take_their_smallest_form() {
        let head = |push: fn(&mut Vec<u8>, usize), len| {
            let mut out = Vec::new();
            push(&mut out, len);
            out
        };
        assert_eq!(head(push_string_head, 31), [0xbf]);
        assert_eq!(head(push_string_head, 32), [0xd9, 32]);
        assert_eq!(head(push_string_head, 256), [0xda, 1, 0]);
        assert_eq!(head(push_string_head, 65536), [0xdb, 0, 1, 0, 0]);
        assert_eq!(head(push_array_head, 15), [0x9f]);
        assert_eq!(head(push_array_head, 16), [0xdc, 0, 16]);
        assert_eq!(head(push_array_head, 65536), [0xdd, 0, 1, 0, 0]);
        assert_eq!(head(push_map_head, 15), [0x8f]);
        assert_eq!(head(push_map_head, 16), [0xde, 0, 16]);
        assert_eq!(head(push_map_head, 65536), [0xdf, 0, 1, 0, 0]);
    }

    #[test]
    fn what_is_no_value_is_told_apart_from_what_is_cut_off() {
        for tag in [0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8] {
            assert_eq!(Reader { rest: &[tag, 1, 1, 1, 1, 1] }.next(), Err(Fault::Bad), "{tag:x}");
        }
        for rest in [&b""[..], b"\xa2a", b"\xd9\x02a", b"\xdb\xff\xff\xff\xffa", b"\xdc\0"] {
            assert_eq!(Reader { rest }.next(), Err(Fault::Missing), "{rest:x?}");
        }
        let mut unsigned = Reader { rest: &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] };
        assert_eq!(unsigned.next(), Ok(Item::Number(-1.0)));
    }
}

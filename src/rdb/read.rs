//! Reading the parts every kind is made of: lengths, strings, scores.
//!
//! Nothing here trusts a length: each is compared with the bytes that are left before it is used.
//! `None` means damaged.

use super::lzf;
use crate::bytes;
use crate::number::{IntText, parse_f64};
use crate::table::hash;
pub(super) use crate::value::listpack::Element;
use std::borrow::Cow;

/// A string as it is written somewhere in a payload.
pub(crate) enum Text<'a> {
    /// An integer, which stands for its digits.
    Integer(IntText),
    /// Bytes as they are, or decompressed.
    Bytes(Cow<'a, [u8]>),
}

impl Text<'_> {
    pub(crate) fn integer(value: i64) -> Self {
        Text::Integer(IntText::new(value))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Integer(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        match self {
            Text::Integer(text) => text.as_bytes().to_vec(),
            Text::Bytes(bytes) => bytes.into_owned(),
        }
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Text::Bytes(Cow::Borrowed(bytes))
    }
}

/// A form in which elements are packed into one string.
pub(super) trait Packing {
    /// Visits the elements, which must be whole and well formed. The visitor may find damage too.
    fn read<'a>(packed: &'a [u8], visit: impl FnMut(Element<'a>) -> Option<()>) -> Option<()>;
}

/// Visits the elements of a packed form two by two. One that is left over is damage.
#[inline]
pub(super) fn pairs<'a, P: Packing>(
    packed: &'a [u8],
    mut visit: impl FnMut(Element<'a>, Element<'a>) -> Option<()>,
) -> Option<()> {
    let mut first: Option<Element<'a>> = None;
    P::read(packed, |element| match first.take() {
        Some(first) => visit(first, element),
        None => {
            first = Some(element);
            Some(())
        }
    })?;
    first.is_none().then_some(())
}

/// None if one of some texts is there twice.
pub(super) fn check_distinct<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Option<()> {
    let mut texts: Vec<&[u8]> = texts.collect();
    texts.sort_unstable();
    texts.is_sorted_by(|a, b| a < b).then_some(())
}

const MARKS: usize = 2048;

/// Bits of a text's hash; a weak one will do where the text is short.
#[inline]
fn mark_of(text: &[u8]) -> u64 {
    if text.len() > bytes::SHORT_MOST {
        return hash(text);
    }
    (bytes::number(text) ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

/// A mark for each of some texts, a part of its hash. Texts with different marks are different; to
/// see that takes less than to sort them.
pub(super) struct Marks {
    words: [u64; MARKS / 64],
    clash: bool,
}

impl Marks {
    pub(super) fn new() -> Marks {
        Marks { words: [0; MARKS / 64], clash: false }
    }

    #[inline]
    pub(super) fn add(&mut self, text: &[u8]) {
        self.clash = self.clash || !self.mark(text);
    }

    /// The same of an element of a packed form.
    #[inline]
    pub(super) fn add_element(&mut self, element: Element<'_>) {
        match element {
            Element::Bytes(text) => self.add(text),
            integer => integer.with_bytes(|text| self.add(text)),
        }
    }

    /// Marks a text; true if none had that mark, so that the text is none of them.
    #[inline]
    pub(super) fn mark(&mut self, text: &[u8]) -> bool {
        let mark = mark_of(text) as usize % MARKS;
        let Some(word) = self.words.get_mut(mark / 64) else { return false };
        let is_new = *word >> (mark % 64) & 1 == 0;
        *word |= 1 << (mark % 64);
        is_new
    }

    /// Whether two texts had the same mark; it is not said that these are equal.
    pub(super) fn clash(&self) -> bool {
        self.clash
    }
}

/// A length, or the way in which a string is written otherwise.
enum Length {
    Plain(u64),
    Special(u8),
}

/// Where compressed strings are made up: short ones without an allocation.
pub(super) struct Room {
    short: lzf::Short,
    long: Vec<u8>,
}

impl Room {
    pub(super) fn new() -> Room {
        Room { short: lzf::SHORT, long: Vec::new() }
    }
}

/// The bytes of a payload not yet read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// So many bytes, as numbers are made of.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = first & 0x3f;
        let plain = match (first >> 6, low) {
            (0, _) => u64::from(low),
            (1, _) => u64::from(low) << 8 | u64::from(self.byte()?),
            (2, 0) => u64::from(u32::from_be_bytes(self.array()?)),
            (2, 1) => u64::from_be_bytes(self.array()?),
            (2, _) => return None,
            _ => return Some(Length::Special(low)),
        };
        Some(Length::Plain(plain))
    }

    /// A number of elements, or another number.
    pub(crate) fn count(&mut self) -> Option<u64> {
        match self.length()? {
            Length::Plain(count) => Some(count),
            Length::Special(_) => None,
        }
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Option<Text<'a>> {
        Some(match self.length()? {
            Length::Plain(len) => self.take(usize::try_from(len).ok()?)?.into(),
            Length::Special(0) => Text::integer(i8::from_le_bytes(self.array()?).into()),
            Length::Special(1) => Text::integer(i16::from_le_bytes(self.array()?).into()),
            Length::Special(2) => Text::integer(i32::from_le_bytes(self.array()?).into()),
            Length::Special(3) => {
                let (compressed, len) = self.compressed()?;
                Text::Bytes(Cow::Owned(lzf::decompress(compressed, len)?))
            }
            Length::Special(_) => return None,
        })
    }

    /// A string that something is packed into, made up in a room where that must be.
    pub(super) fn packed<'r>(&mut self, room: &'r mut Room) -> Option<&'r [u8]>
    where
        'a: 'r,
    {
        match self.length()? {
            Length::Plain(len) => self.take(usize::try_from(len).ok()?),
            Length::Special(3) => {
                let (compressed, len) = self.compressed()?;
                if len <= lzf::SHORT_MOST {
                    return lzf::decompress_short(compressed, len, &mut room.short);
                }
                room.long = lzf::decompress(compressed, len)?;
                Some(&room.long)
            }
            // The digits of an integer are nothing packed.
            Length::Special(_) => None,
        }
    }

    /// Compressed bytes, and how many they stand for.
    fn compressed(&mut self) -> Option<(&'a [u8], usize)> {
        let compressed_len = usize::try_from(self.count()?).ok()?;
        let len = usize::try_from(self.count()?).ok()?;
        Some((self.take(compressed_len)?, len))
    }

    /// A string of just so many bytes.
    pub(crate) fn exactly<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.string()?.as_bytes().try_into().ok()
    }

    /// A score as eight bytes.
    pub(crate) fn score(&mut self) -> Option<f64> {
        let score = f64::from_le_bytes(self.array()?);
        (!score.is_nan()).then_some(score)
    }

    /// A score as Redis wrote it up to 3.2: a length and text, where the largest lengths stand for
    /// what has no digits.
    pub(crate) fn score_text(&mut self) -> Option<f64> {
        match self.byte()? {
            255 => Some(f64::NEG_INFINITY),
            254 => Some(f64::INFINITY),
            253 => None,
            len => parse_f64(self.take(len.into())?),
        }
    }
}

//! Sequences made of listpacks.
//!
//! A listpack frames an element much as it is framed here: most are copied as a block, whatever lies
//! behind them included, and get their lengths then.

use super::{Packed, append_frame, narrow};
use crate::value::listpack::{Element, split_first};

/// Bytes that are copied at once.
const BLOCK: usize = 16;
/// The longest string that lies in a block with what frames it.
const TEXT_MOST: usize = BLOCK - 2;
/// The first byte of an empty string, and of the longest that is copied at once.
const TEXT: u8 = 0x80;
const TEXT_LAST: u8 = TEXT + TEXT_MOST as u8;

/// By how much, in halves, the frames of elements may be longer than a listpack of these: small
/// integers become digits.
const GROWTH_HALVES: usize = 5;

/// The most bytes that frames of a listpack's elements take.
pub(crate) fn frames_most(elements: &[u8]) -> usize {
    elements.len().saturating_mul(GROWTH_HALVES) / 2
}

impl Packed {
    /// The elements of a listpack, of which each is shown. None if they are damaged.
    pub(crate) fn of_listpack<'a>(
        elements: &'a [u8],
        mut show: impl FnMut(Element<'a>),
    ) -> Option<Packed> {
        let mut bytes = Vec::with_capacity(elements.len() + BLOCK);
        let (mut rest, mut count) = (elements, 0);
        while !rest.is_empty() {
            let element;
            (element, rest) = transcribe(&mut bytes, rest)?;
            show(element);
            count += 1;
        }
        Some(Packed { bytes, count: narrow(count), ..Packed::new() })
    }
}

/// Appends the frame of a listpack's first element; returns that, and what is behind it.
#[inline(always)]
pub(crate) fn transcribe<'a>(
    bytes: &mut Vec<u8>,
    elements: &'a [u8],
) -> Option<(Element<'a>, &'a [u8])> {
    if let Some(block) = elements.first_chunk::<BLOCK>()
        && let [head @ TEXT..=TEXT_LAST, ..] = block
    {
        let len = usize::from(head - TEXT);
        let (text, rest) = elements.split_at_checked(len + 2)?;
        let (&told, text) = text.split_last()?;
        let (start, end) = (bytes.len(), bytes.len() + len + 1);
        bytes.extend_from_slice(block);
        for at in [start, end] {
            *bytes.get_mut(at)? = len as u8;
        }
        bytes.truncate(end + 1);
        let element = Element::Bytes(text.get(1..)?);
        return (usize::from(told) == len + 1).then_some((element, rest));
    }
    if let [digit @ 0..10, 1, rest @ ..] = elements {
        bytes.extend_from_slice(&[1, b'0' + digit, 1]);
        return Some((Element::Integer((*digit).into()), rest));
    }
    let (element, rest) = split_first(elements)?;
    element.with_bytes(|text| append_frame(bytes, text));
    Some((element, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings of these lengths with integers between them, as a listpack and as they are.
    fn samples() -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut packed, mut texts) = (Vec::new(), Vec::new());
        for len in (0..64_u8).chain([13, 14, 15, 16, 3]) {
            let text: Vec<u8> = (0..len).map(|at| b'a' + (at ^ len) % 26).collect();
            packed.extend([&[TEXT + len][..], &text, &[len + 1]].concat());
            texts.push(text);
            let number = len * 2 % 128;
            packed.extend([number, 1, 0xdf, 0xff - len, 2]);
            texts.push(number.to_string().into_bytes());
            texts.push((-1 - i64::from(len)).to_string().into_bytes());
        }
        (packed, texts)
    }

    #[test]
    fn each_element_gets_its_frame() {
        let (packed, texts) = samples();
        let mut shown = Vec::new();
        let sequence = Packed::of_listpack(&packed, |element| {
            shown.push(element.with_bytes(<[u8]>::to_vec));
        });
        let sequence = sequence.unwrap();
        assert_eq!((sequence.len(), &shown), (texts.len(), &texts));
        assert!(sequence.iter().eq(texts.iter().map(|text| &text[..])));
        assert!(sequence.iter().rev().eq(texts.iter().rev().map(|text| &text[..])));
        assert!(sequence.byte_len() <= frames_most(&packed));
        assert!(Packed::of_listpack(&[], |_| ()).is_some_and(|packed| packed.is_empty()));
    }

    #[test]
    fn the_longest_frames_are_no_longer_than_told() {
        let all: [&[u8]; 4] =
            [&[127, 1], &[0xd0, 0, 2], &[0xf1, 0, 0x80, 3], &[0xf2, 0, 0, 0x80, 4]];
        let wide = [&[0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9][..], &[0xf3, 0, 0, 0, 0x80, 5]];
        for packed in all.into_iter().chain(wide) {
            let sequence = Packed::of_listpack(packed, |_| ()).unwrap();
            assert!(sequence.byte_len() <= frames_most(packed), "{packed:?}");
        }
    }

    #[test]
    fn what_is_cut_or_told_wrong_is_refused() {
        let (packed, _) = samples();
        let mut ends = vec![0];
        let mut rest = &packed[..];
        while let Some((_, behind)) = split_first(rest) {
            rest = behind;
            ends.push(packed.len() - rest.len());
        }
        for cut in 0..packed.len() {
            let is_whole = Packed::of_listpack(&packed[..cut], |_| ()).is_some();
            assert_eq!(is_whole, ends.contains(&cut), "cut at {cut}");
        }
        for end in &ends[1..] {
            let mut told = packed.clone();
            told[end - 1] ^= 1;
            assert!(Packed::of_listpack(&told, |_| ()).is_none(), "{end}");
        }
    }
}

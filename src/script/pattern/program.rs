//! Reading a pattern into items, as far as a search has come.
//!
//! A pattern has no alternatives: whatever a search does, it meets the items in their order. So what
//! is open at an item, and which number a capture has, is known when the item is read, and mistakes
//! are found there and nowhere else.

use super::{Fault, MOST_CAPTURES};

/// The classes of a byte that `%a` and its like name, one bit for each.
mod class {
    pub(super) const ALPHA: u16 = 1;
    pub(super) const CONTROL: u16 = 1 << 1;
    pub(super) const DIGIT: u16 = 1 << 2;
    pub(super) const LOWER: u16 = 1 << 3;
    pub(super) const PUNCTUATION: u16 = 1 << 4;
    pub(super) const SPACE: u16 = 1 << 5;
    pub(super) const UPPER: u16 = 1 << 6;
    pub(super) const HEX: u16 = 1 << 7;
    pub(super) const ZERO: u16 = 1 << 8;
    pub(super) const WORD: u16 = ALPHA | DIGIT;

    /// Of each byte its classes, as the C locale has them.
    pub(super) const OF: &[u16; 256] = &table();

    const fn table() -> [u16; 256] {
        let mut table = [0; 256];
        let mut at = 0;
        while at < table.len() {
            table[at] = of(at as u8);
            at += 1;
        }
        table
    }

    const fn of(byte: u8) -> u16 {
        (if byte.is_ascii_alphabetic() { ALPHA } else { 0 })
            | (if byte.is_ascii_control() { CONTROL } else { 0 })
            | (if byte.is_ascii_digit() { DIGIT } else { 0 })
            | (if byte.is_ascii_lowercase() { LOWER } else { 0 })
            | (if byte.is_ascii_punctuation() { PUNCTUATION } else { 0 })
            | (if matches!(byte, b' ' | 9..=13) { SPACE } else { 0 })
            | (if byte.is_ascii_uppercase() { UPPER } else { 0 })
            | (if byte.is_ascii_hexdigit() { HEX } else { 0 })
            | (if byte == 0 { ZERO } else { 0 })
    }

    /// The classes that a letter behind `%` names; none for other bytes, which mean themselves.
    pub(super) fn named(letter: u8) -> Option<u16> {
        Some(match letter.to_ascii_lowercase() {
            b'a' => ALPHA,
            b'c' => CONTROL,
            b'd' => DIGIT,
            b'l' => LOWER,
            b'p' => PUNCTUATION,
            b's' => SPACE,
            b'u' => UPPER,
            b'w' => WORD,
            b'x' => HEX,
            b'z' => ZERO,
            _ => return None,
        })
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set([u64; 4]);

impl Set {
    const EMPTY: Set = Set([0; 4]);

    #[inline]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn add_all(&mut self, bytes: impl Iterator<Item = u8>) {
        bytes.for_each(|byte| self.add(byte));
    }

    /// What stands between the brackets, without the `^`.
    fn of(mut members: &[u8]) -> Set {
        let mut set = Set::EMPTY;
        loop {
            members = match members {
                [] => return set,
                [b'%', escaped, rest @ ..] => {
                    set.add_escaped(*escaped);
                    rest
                }
                // Oddity of Lua: behind a range that ends in the first of two, as in `[x-%%]`, the second
                // escapes the bracket that ends the set.
                [b'%'] => {
                    set.add(b']');
                    return set;
                }
                [low, b'-', high, rest @ ..] => {
                    set.add_all(*low..=*high);
                    rest
                }
                [one, rest @ ..] => {
                    set.add(*one);
                    rest
                }
            }
        }
    }

    fn add_escaped(&mut self, escaped: u8) {
        match Single::escaped(escaped) {
            Single::Class { classes, negated } => {
                let of = |byte: &u8| (class::OF[usize::from(*byte)] & classes != 0) != negated;
                self.add_all((0..=u8::MAX).filter(of));
            }
            _ => self.add(escaped),
        }
    }

    fn negated(self) -> Set {
        Set(self.0.map(|word| !word))
    }
}

/// What matches one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Single {
    Any,
    Byte(u8),
    Class {
        classes: u16,
        negated: bool,
    },
    /// One of the program's sets.
    Set(u32),
}

impl Single {
    /// What a byte behind `%` means.
    fn escaped(byte: u8) -> Single {
        match class::named(byte) {
            Some(classes) => Single::Class { classes, negated: byte.is_ascii_uppercase() },
            None => Single::Byte(byte),
        }
    }

    #[inline]
    pub(super) fn matches(self, byte: u8, sets: &[Set]) -> bool {
        match self {
            Single::Any => true,
            Single::Byte(own) => own == byte,
            Single::Class { classes, negated } => is_of(byte, classes, negated),
            Single::Set(index) => sets.get(index as usize).is_some_and(|set| set.has(byte)),
        }
    }

    /// How many bytes in front match, each.
    #[inline]
    pub(super) fn run(self, text: &[u8], sets: &[Set]) -> usize {
        fn count(text: &[u8], matches: impl Fn(u8) -> bool) -> usize {
            text.iter().position(|&byte| !matches(byte)).unwrap_or(text.len())
        }
        match self {
            Single::Any => text.len(),
            Single::Byte(own) => count(text, |byte| own == byte),
            Single::Class { classes, negated } => count(text, |byte| is_of(byte, classes, negated)),
            Single::Set(index) => match sets.get(index as usize) {
                Some(set) => count(text, |byte| set.has(byte)),
                None => 0,
            },
        }
    }

    /// Where the first byte that matches is.
    #[inline]
    pub(super) fn position(self, text: &[u8], sets: &[Set]) -> Option<usize> {
        match self {
            Single::Any => (!text.is_empty()).then_some(0),
            Single::Byte(own) => memchr::memchr(own, text),
            Single::Class { classes, negated } => {
                text.iter().position(|&byte| is_of(byte, classes, negated))
            }
            Single::Set(index) => {
                let set = sets.get(index as usize)?;
                text.iter().position(|&byte| set.has(byte))
            }
        }
    }
}

#[inline]
fn is_of(byte: u8, classes: u16, negated: bool) -> bool {
    (class::OF[usize::from(byte)] & classes != 0) != negated
}

/// A step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    One(Single),
    /// `?`
    Optional(Single),
    /// `*`
    Many(Single),
    /// `+`
    OneOrMore(Single),
    /// `-`
    Few(Single),
    /// `(`, with the capture's number counted from 0.
    Open(u8),
    /// `)`
    Close(u8),
    /// `()`
    Position(u8),
    /// `%1`: what the capture holds, once more.
    Again(u8),
    /// `%b()`
    Balanced(u8, u8),
    /// `%f[...]`, with one of the program's sets.
    Frontier(u32),
    /// `$` as the last byte.
    SubjectEnd,
    /// The pattern ends.
    End,
}

/// What is known of a pattern's captures, one bit for each.
#[derive(Clone, Copy, Default)]
pub(super) struct Groups {
    pub(super) count: usize,
    /// Those that are not closed.
    pub(super) open: u32,
    pub(super) positions: u32,
}

/// A pattern, read so far.
#[derive(Default)]
pub(super) struct Program {
    items: Vec<Item>,
    sets: Vec<Set>,
    /// Where the pattern ends: Lua 5.1 reads one up to its first zero byte.
    end: usize,
    anchored: bool,
    /// The bytes of the pattern that were read.
    read: usize,
    /// The captures that were opened.
    opened: usize,
    /// Which of them are not closed.
    open: u32,
    /// Which of them are positions.
    positions: u32,
    /// What every match begins with, once that is known: none if it may be anything.
    pub(super) lead: Option<Option<Single>>,
}

impl Program {
    /// Begins with another pattern. In front of it a caret is an anchor, or a byte like others.
    pub(super) fn begin(&mut self, pattern: &[u8], caret_anchors: bool) {
        self.items.clear();
        self.sets.clear();
        self.end = memchr::memchr(0, pattern).unwrap_or(pattern.len());
        self.anchored = caret_anchors && pattern.first() == Some(&b'^');
        self.read = usize::from(self.anchored);
        (self.opened, self.open, self.positions, self.lead) = (0, 0, 0, None);
    }

    /// Whether only the place where a search begins will do.
    pub(super) fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// The part of the pattern that counts.
    pub(super) fn effective<'a>(&self, pattern: &'a [u8]) -> &'a [u8] {
        pattern.get(..self.end).unwrap_or(pattern)
    }

    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>() + self.sets.capacity() * size_of::<Set>()
    }

    pub(super) fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// An item that was read.
    #[inline]
    pub(super) fn known(&self, index: u32) -> Option<Item> {
        self.items.get(index as usize).copied()
    }

    /// The captures of what was read.
    pub(super) fn groups(&self) -> Groups {
        Groups { count: self.opened, open: self.open, positions: self.positions }
    }

    /// Reads the next item. The caller has seen to the room.
    pub(super) fn read(&mut self, pattern: &[u8]) -> Result<Item, Fault> {
        let rest = pattern.get(self.read..).unwrap_or_default();
        let (item, len) = match rest {
            [] => (Item::End, 0),
            [b'(', b')', ..] => {
                let capture = self.open_capture()?;
                self.positions |= 1 << capture;
                (Item::Position(capture), 2)
            }
            [b'(', ..] => {
                let capture = self.open_capture()?;
                self.open |= 1 << capture;
                (Item::Open(capture), 1)
            }
            [b')', ..] => (Item::Close(self.close_capture()?), 1),
            [b'$'] => (Item::SubjectEnd, 1),
            [b'%', b'b', bounds @ ..] => match bounds {
                [open, close, ..] => (Item::Balanced(*open, *close), 4),
                _ => return Err(Fault::Unbalanced),
            },
            [b'%', b'f', set @ ..] => match set {
                [b'[', ..] => {
                    let (set, len) = self.read_set(set)?;
                    (Item::Frontier(set), 2 + len)
                }
                _ => return Err(Fault::NoFrontierSet),
            },
            [b'%', digit @ b'0'..=b'9', ..] => (Item::Again(self.closed_capture(*digit)?), 2),
            _ => self.read_repeated(rest)?,
        };
        self.read += len;
        self.items.push(item);
        Ok(item)
    }

    /// How much [`Program::read`] may need in addition to what is there.
    pub(super) fn reserve(&mut self) -> Result<(), Fault> {
        let items = self.items.try_reserve(1);
        items.and_then(|()| self.sets.try_reserve(1)).map_err(|_| Fault::NoMemory)
    }

    /// Whether [`Program::reserve`] would take memory.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() == self.items.capacity() || self.sets.len() == self.sets.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The bytes of the pattern that were read.
    pub(super) fn bytes_read(&self) -> usize {
        self.read
    }

    /// What matches one byte, and how often it may.
    fn read_repeated(&mut self, rest: &[u8]) -> Result<(Item, usize), Fault> {
        let (single, len) = match rest {
            [b'%'] => return Err(Fault::EndsWithPercent),
            [b'%', escaped, ..] => (Single::escaped(*escaped), 2),
            [b'[', ..] => {
                let (set, len) = self.read_set(rest)?;
                (Single::Set(set), len)
            }
            [b'.', ..] => (Single::Any, 1),
            [byte, ..] => (Single::Byte(*byte), 1),
            [] => return Ok((Item::End, 0)),
        };
        Ok(match rest.get(len) {
            Some(b'?') => (Item::Optional(single), len + 1),
            Some(b'*') => (Item::Many(single), len + 1),
            Some(b'+') => (Item::OneOrMore(single), len + 1),
            Some(b'-') => (Item::Few(single), len + 1),
            _ => (Item::One(single), len),
        })
    }

    /// Reads a set with its brackets: its number, and how long it is.
    fn read_set(&mut self, rest: &[u8]) -> Result<(u32, usize), Fault> {
        let negated = rest.get(1) == Some(&b'^');
        let first = 1 + usize::from(negated);
        let end = bracket_end(rest, first).ok_or(Fault::NoClosingBracket)?;
        let set = Set::of(rest.get(first..end).unwrap_or_default());
        let index = u32::try_from(self.sets.len()).map_err(|_| Fault::TooComplex)?;
        self.sets.push(if negated { set.negated() } else { set });
        Ok((index, end + 1))
    }

    fn open_capture(&mut self) -> Result<u8, Fault> {
        if self.opened >= MOST_CAPTURES {
            return Err(Fault::TooManyCaptures);
        }
        self.opened += 1;
        Ok(self.opened as u8 - 1)
    }

    /// The capture opened last is closed first.
    fn close_capture(&mut self) -> Result<u8, Fault> {
        let capture = self.open.checked_ilog2().ok_or(Fault::NoOpenCapture)?;
        self.open &= !(1 << capture);
        Ok(capture as u8)
    }

    fn closed_capture(&self, digit: u8) -> Result<u8, Fault> {
        let capture = digit.checked_sub(b'1').ok_or(Fault::NoSuchCapture)?;
        let index = usize::from(capture);
        match index < self.opened && self.open >> index & 1 == 0 {
            true => Ok(capture),
            false => Err(Fault::NoSuchCapture),
        }
    }
}

/// Where the bracket that ends a set is. What stands first belongs to the set, even a bracket.
fn bracket_end(rest: &[u8], first: usize) -> Option<usize> {
    let mut at = first;
    loop {
        at += match rest.get(at..) {
            None | Some([]) => return None,
            Some([b']', ..]) if at > first => return Some(at),
            Some([b'%', _, ..]) => 2,
            Some(_) => 1,
        };
    }
}

//! Reading a command's arguments.
//!
//! Handlers read all arguments before they look anything up, so an error changes nothing.

use crate::error::CommandError;
use crate::number::{parse_f64, parse_i64};

/// The arguments of one call, read from the front. The name is not among them.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a> {
    name: &'static str,
    /// The last word of the name as the caller wrote it.
    word: &'a [u8],
    rest: &'a [&'a [u8]],
}

impl<'a> Args<'a> {
    /// The arguments behind a command's name.
    pub(crate) fn new(name: &'static str, rest: &'a [&'a [u8]]) -> Self {
        Args { name, word: name.as_bytes(), rest }
    }

    /// The same, called by this word: a subcommand's own name in whatever case.
    #[inline]
    pub(crate) fn called(self, word: Option<&&'a [u8]>) -> Self {
        Args { word: word.copied().unwrap_or_default(), ..self }
    }

    /// The last word of the name as the caller wrote it.
    pub(crate) fn word(&self) -> &'a [u8] {
        self.word
    }

    /// The full name of the command, which some errors show.
    pub(crate) fn command(&self) -> &'static str {
        self.name
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether all were read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that are left.
    pub(crate) fn rest(&self) -> &'a [&'a [u8]] {
        self.rest
    }

    /// The next argument. Arity was checked, so a missing one is what an option lacks.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<&'a [u8], CommandError> {
        let (&first, rest) = self.rest.split_first().ok_or(CommandError::Syntax)?;
        self.rest = rest;
        Ok(first)
    }

    /// The next argument, if there is one.
    pub(crate) fn maybe_next(&mut self) -> Option<&'a [u8]> {
        self.next().ok()
    }

    /// The next argument, a key.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<&'a [u8], CommandError> {
        self.next()
    }

    /// The next so many arguments, if there are as many.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [&'a [u8]]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The number of keys, which may not be zero, and the keys.
    pub(crate) fn counted_keys(&mut self) -> Result<&'a [&'a [u8]], CommandError> {
        let count = parse_i64(self.next()?).and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|&count| count > 0).ok_or(CommandError::NUMKEYS_NOT_POSITIVE)?;
        self.take(count).ok_or(CommandError::Syntax)
    }

    /// The next argument, an integer of 64 bits.
    pub(crate) fn integer(&mut self) -> Result<i64, CommandError> {
        parse_i64(self.next()?).ok_or(CommandError::NotInteger)
    }

    /// The next argument, a number.
    pub(crate) fn float(&mut self) -> Result<f64, CommandError> {
        parse_f64(self.next()?).ok_or(CommandError::NotFloat)
    }

    /// Takes the next argument if it is this word, in any case.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(word.as_bytes()) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The rest as pairs; an odd number of them is an arity error.
    pub(crate) fn pairs(
        self,
    ) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone, CommandError> {
        let (pairs, odd) = self.rest.as_chunks::<2>();
        if pairs.is_empty() || !odd.is_empty() {
            return Err(self.arity_error());
        }
        Ok(pairs.iter().map(|[a, b]| (*a, *b)))
    }

    /// The error of a subcommand with options that it does not know or has too many of.
    pub(crate) fn subcommand_error(&self) -> CommandError {
        CommandError::subcommand_syntax(self.name, self.word)
    }

    /// The error of a wrong number of arguments.
    pub(crate) fn arity_error(&self) -> CommandError {
        CommandError::Arity(self.name)
    }
}

/// An index that may count from the end, where a sequence of `len` elements has it; negative
/// ones before the start stay negative.
pub(crate) fn from_end(index: i64, len: usize) -> i64 {
    if index < 0 { index.saturating_add(len as i64) } else { index }
}

/// A range of indices, both ends included and counted from the end where negative, as a start
/// and a count within a sequence of `len` elements.
pub(crate) fn clamp_range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let first = from_end(start, len).max(0);
    let last = from_end(stop, len).min(len as i64 - 1);
    if first > last { (0, 0) } else { (first as usize, (last - first + 1) as usize) }
}

//! Requests as clients send them: arrays of bulk strings, and lines of words.
//!
//! The decoder owns no input. It is shown what has come so far, remembers where it stands and
//! where the words of the request lie, and is shown the same bytes again once there are more of
//! them: nothing is copied, and nothing is read twice however small the pieces are.
//!
//! Requests that have come whole can be read ahead of the one that is executed, so that it is known
//! what will be asked for next. They are given out one by one like others.

use crate::error::CommandError;
use crate::number::parse_i64;
use crate::words;
use memchr::{memchr, memchr2};
use std::collections::VecDeque;
use std::ops::Range;

/// The longest line: a request of words, or a length.
const LINE_MOST: usize = 64 << 10;

/// What one who has not given the password may send.
const STRANGER_WORDS_MOST: i64 = 10;
const STRANGER_BULK_MOST: i64 = 16 << 10;

/// More words than this no request has.
const WORDS_MOST: i64 = i32::MAX as i64;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// The longest argument.
    pub(crate) bulk_most: usize,
    /// Whether it has yet to give the password.
    pub(crate) stranger: bool,
}

/// How far a decoder came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request is complete; [`Decoder::words`] has it.
    Request,
    /// The rest has to come first.
    More,
}

/// Where a decoder stands in its input.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// How far the input was read.
    at: usize,
    /// Where the request begins that is being read.
    begun: usize,
    /// How many bulks of it are still to come.
    left: usize,
    /// The length of the bulk that comes next, once that is known.
    bulk: Option<usize>,
    /// Where its words lie: in the input, or in `unquoted`. Before them are those of requests that
    /// were read with it.
    words: Vec<Range<usize>>,
    /// The words of the request that was given out last, as a part of `words`.
    current: Range<usize>,
    /// The requests that were read ahead.
    ahead: VecDeque<Ahead>,
    /// Where in the input the request ends that was given out last; kept while any is ahead.
    given: usize,
    /// The words of a line, which may have been quoted.
    unquoted: Vec<u8>,
    is_line: bool,
}

/// A request that was read and is still to be given out.
#[derive(Debug)]
struct Ahead {
    words: Range<usize>,
    /// Where in the input it ends.
    end: usize,
}

impl Decoder {
    /// Reads on until a request is complete. `input` begins with the same bytes as before.
    ///
    /// # Errors
    /// What is no request: nothing can be read after it.
    pub(crate) fn next(&mut self, input: &[u8], allowed: Allowed) -> Result<Step, CommandError> {
        if allowed.stranger {
            // It may be less than when they were read.
            self.step_back();
        }
        if let Some(Ahead { words, end }) = self.ahead.pop_front() {
            (self.current, self.given) = (words, end);
            return Ok(Step::Request);
        }
        let step = self.read(input, allowed)?;
        self.current = 0..self.words.len();
        Ok(step)
    }

    /// Reads requests ahead, up to so many with those that are: arrays that have come whole.
    pub(crate) fn read_ahead(&mut self, input: &[u8], allowed: Allowed, most: usize) {
        if self.left > 0 || self.is_line {
            return;
        }
        if self.ahead.is_empty() {
            self.given = self.at;
        }
        while self.ahead.len() < most && input.get(self.at) == Some(&b'*') {
            let (begun, first) = (self.at, self.words.len());
            if !self.is_whole(input, allowed) {
                // It is read again, and refused if need be, when it is its turn.
                (self.at, self.left, self.bulk) = (begun, 0, None);
                self.words.truncate(first);
                break;
            }
            self.ahead.push_back(Ahead { words: first..self.words.len(), end: self.at });
        }
    }

    /// Reads a request behind those that were read; tells whether all of it is there.
    fn is_whole(&mut self, input: &[u8], allowed: Allowed) -> bool {
        if !matches!(self.array(input, allowed), Ok(Step::Request)) || self.left == 0 {
            return false;
        }
        while self.left > 0 {
            if !matches!(self.bulk(input, allowed), Ok(Step::Request)) {
                return false;
            }
        }
        true
    }

    /// Forgets what was read ahead: it is read anew.
    fn step_back(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            self.at = self.given;
        }
    }

    /// Reads on until a request is complete.
    fn read(&mut self, input: &[u8], allowed: Allowed) -> Result<Step, CommandError> {
        loop {
            if self.left == 0 {
                self.begun = self.at;
                self.words.clear();
                let begun = match input.get(self.at) {
                    None => return Ok(Step::More),
                    Some(b'*') => self.array(input, allowed)?,
                    Some(_) => self.line(input)?,
                };
                match begun {
                    Step::More => return Ok(Step::More),
                    Step::Request if self.left > 0 => (),
                    Step::Request if self.words.is_empty() => continue,
                    Step::Request => return Ok(Step::Request),
                }
            }
            while self.left > 0 {
                if self.bulk(input, allowed)? == Step::More {
                    return Ok(Step::More);
                }
            }
            return Ok(Step::Request);
        }
    }

    /// The words of the request that is complete.
    #[inline]
    pub(crate) fn words<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let held = if self.is_line { &self.unquoted } else { input };
        let words = self.words.get(self.current.clone()).unwrap_or_default();
        words.iter().map(|word| held.get(word.clone()).unwrap_or_default())
    }

    /// The words of each of the requests that were read ahead.
    pub(crate) fn upcoming<'a>(
        &'a self,
        input: &'a [u8],
    ) -> impl Iterator<Item = impl Iterator<Item = &'a [u8]>> {
        self.ahead.iter().map(move |ahead| {
            let words = self.words.get(ahead.words.clone()).unwrap_or_default();
            words.iter().map(move |word| input.get(word.clone()).unwrap_or_default())
        })
    }

    /// Whether any request was read ahead.
    pub(crate) fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// How many bytes at the front of the input are not needed any more.
    pub(crate) fn spent(&self) -> usize {
        match self.left {
            _ if self.is_ahead() => self.given,
            0 => self.at,
            _ => self.begun,
        }
    }

    /// Whether it is between two requests.
    pub(crate) fn is_between(&self) -> bool {
        self.left == 0 && self.at == 0
    }

    /// The spent bytes were taken off the front of the input.
    pub(crate) fn forget_spent(&mut self) {
        self.step_back();
        let spent = self.spent();
        self.at -= spent;
        self.begun = 0;
        let in_input = self.words.iter_mut().filter(|_| self.left > 0);
        in_input.for_each(|word| *word = word.start - spent..word.end - spent);
    }

    /// How many bytes are wanted at least before it is worth looking again.
    pub(crate) fn wants(&self, input: &[u8]) -> usize {
        let end = self.bulk.map_or(self.at, |len| self.at.saturating_add(len).saturating_add(2));
        end.saturating_sub(input.len())
    }

    /// Reads the head of an array.
    fn array(&mut self, input: &[u8], allowed: Allowed) -> Result<Step, CommandError> {
        let too_long = CommandError::Protocol("too big mbulk count string");
        let Some((line, next)) = head(input, self.at, too_long)? else { return Ok(Step::More) };
        let count = number(line).filter(|count| *count <= WORDS_MOST);
        let count = count.ok_or(CommandError::Protocol("invalid multibulk length"))?;
        if allowed.stranger && count > STRANGER_WORDS_MOST {
            return Err(CommandError::Protocol("unauthenticated multibulk length"));
        }
        self.at = next;
        self.left = usize::try_from(count).unwrap_or(0);
        self.is_line = false;
        Ok(Step::Request)
    }

    /// Reads the next bulk of an array.
    #[inline]
    fn bulk(&mut self, input: &[u8], allowed: Allowed) -> Result<Step, CommandError> {
        let len = match self.bulk {
            Some(len) => len,
            None => match self.bulk_head(input, allowed)? {
                Some(len) => len,
                None => return Ok(Step::More),
            },
        };
        // Two bytes end it, whatever they are.
        if input.len() - self.at < len + 2 {
            self.bulk = Some(len);
            return Ok(Step::More);
        }
        self.words.push(self.at..self.at + len);
        self.at += len + 2;
        self.left -= 1;
        self.bulk = None;
        Ok(Step::Request)
    }

    #[inline]
    fn bulk_head(&mut self, input: &[u8], allowed: Allowed) -> Result<Option<usize>, CommandError> {
        let too_long = CommandError::Protocol("too big bulk count string");
        let Some((line, next)) = head(input, self.at, too_long)? else { return Ok(None) };
        match input.get(self.at) {
            Some(b'$') => (),
            found => return Err(CommandError::expected_bulk(found.copied().unwrap_or(0))),
        }
        let len = number(line).filter(|len| *len >= 0 && *len as u64 <= allowed.bulk_most as u64);
        let len = len.ok_or(CommandError::Protocol("invalid bulk length"))?;
        if allowed.stranger && len > STRANGER_BULK_MOST {
            return Err(CommandError::Protocol("unauthenticated bulk length"));
        }
        self.at = next;
        Ok(usize::try_from(len).ok())
    }

    /// Reads a line of words.
    fn line(&mut self, input: &[u8]) -> Result<Step, CommandError> {
        let rest = input.get(self.at..).unwrap_or_default();
        // Redis looks for the end of a line as C does: a NUL hides what follows.
        let end = memchr2(b'\n', 0, rest).filter(|end| rest.get(*end) == Some(&b'\n'));
        let Some(end) = end else {
            return match rest.len() > LINE_MOST {
                true => Err(CommandError::Protocol("too big inline request")),
                false => Ok(Step::More),
            };
        };
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.unquoted.clear();
        if !words::split(line, &mut self.unquoted, &mut self.words) {
            return Err(CommandError::Protocol("unbalanced quotes in request"));
        }
        self.at += end + 1;
        self.is_line = true;
        Ok(Step::Request)
    }
}

/// The line from a place on without its first byte, and where the next begins. As in Redis, CR
/// ends it and takes the byte behind it along.
#[inline]
fn head(
    input: &[u8],
    at: usize,
    too_long: CommandError,
) -> Result<Option<(&[u8], usize)>, CommandError> {
    let rest = input.get(at..).unwrap_or_default();
    match memchr(b'\r', rest) {
        Some(end) if end + 1 < rest.len() => {
            Ok(Some((rest.get(1..end).unwrap_or_default(), at + end + 2)))
        }
        Some(_) => Ok(None),
        None if rest.len() > LINE_MOST => Err(too_long),
        None => Ok(None),
    }
}

/// The number of a line; most have one digit.
#[inline]
fn number(line: &[u8]) -> Option<i64> {
    match line {
        [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        _ => parse_i64(line),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

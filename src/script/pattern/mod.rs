//! Lua 5.1's patterns over bytes: finding, captures and replacement texts.
//!
//! This is the whole language of `string.find`, `match`, `gmatch` and `gsub`, without Lua: it knows
//! bytes and positions, and of limits what a [`Limits`] answers. Two things set it apart from the
//! matcher that comes with Lua. It keeps what it may have to come back to on a stack of its own, so
//! that no pattern takes the host's stack; and it counts its steps, so that no pattern runs without
//! end.
//!
//! `program.rs` reads a pattern into items, `search.rs` walks them along a subject. A pattern is
//! read no further than the search gets, because a mistake in it is an error only when it is
//! reached, as in Lua.

mod program;
mod search;

use program::Program;
use search::{Search, Work};
use std::cell::Cell;
use std::ffi::CStr;

/// The most captures a pattern may have.
pub(crate) const MOST_CAPTURES: usize = 32;

/// What a search asks of its surroundings.
pub(crate) trait Limits {
    /// The steps that may be taken before [`Limits::go_on`] is to be asked. It may be negative.
    fn steps(&self) -> &Cell<i64>;

    /// The steps are used up: whether there are more.
    fn go_on(&self) -> bool;

    /// Whether the search may hold so many bytes outside of its arguments.
    fn permits(&self, bytes: usize) -> bool;
}

/// Why a search has no answer. The texts are Lua 5.1's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    EndsWithPercent,
    NoClosingBracket,
    NoFrontierSet,
    Unbalanced,
    TooManyCaptures,
    NoOpenCapture,
    NoSuchCapture,
    UnfinishedCapture,
    /// More items than can be counted; Lua has no text for it before 5.2, whose text this is.
    TooComplex,
    /// The system has no memory.
    NoMemory,
    /// The limits said so.
    Stopped,
}

impl Fault {
    pub(crate) fn text(self) -> &'static CStr {
        match self {
            Fault::EndsWithPercent => c"malformed pattern (ends with '%')",
            Fault::NoClosingBracket => c"malformed pattern (missing ']')",
            Fault::NoFrontierSet => c"missing '[' after '%f' in pattern",
            Fault::Unbalanced => c"unbalanced pattern",
            Fault::TooManyCaptures => c"too many captures",
            Fault::NoOpenCapture => c"invalid pattern capture",
            Fault::NoSuchCapture => c"invalid capture index",
            Fault::UnfinishedCapture => c"unfinished capture",
            Fault::TooComplex => c"pattern too complex",
            Fault::NoMemory => c"not enough memory",
            Fault::Stopped => c"stopped",
        }
    }
}

/// A part of the subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Captured {
    Text(Span),
    /// A position, counted from 0.
    Position(usize),
}

/// What is searched, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) subject: &'a [u8],
    pattern: &'a [u8],
    caret_anchors: bool,
}

impl<'a> Task<'a> {
    /// A `^` in front anchors the pattern.
    pub(crate) fn new(subject: &'a [u8], pattern: &'a [u8]) -> Task<'a> {
        Task { subject, pattern, caret_anchors: true }
    }

    /// As `gmatch` has it: a `^` is a byte like others.
    pub(crate) fn unanchored(subject: &'a [u8], pattern: &'a [u8]) -> Task<'a> {
        Task { subject, pattern, caret_anchors: false }
    }

    pub(crate) fn is_anchored(&self) -> bool {
        self.caret_anchors && self.pattern.first() == Some(&b'^')
    }
}

/// Whether a pattern means itself, for `find`: up to its first zero byte it has nothing special.
pub(crate) fn is_plain(pattern: &[u8]) -> bool {
    let telling = |byte: &u8| {
        matches!(byte, b'^' | b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b'[' | b'%' | b'-' | 0)
    };
    pattern.iter().find(|byte| telling(byte)).is_none_or(|&byte| byte == 0)
}

/// Where a text first stands in another one. In a short one the general search takes longer to begin
/// than to search.
pub(crate) fn find_text(subject: &[u8], text: &[u8]) -> Option<usize> {
    const SHORT_BYTES: usize = 64;
    let Some(&first) = text.first() else { return Some(0) };
    if subject.len() > SHORT_BYTES {
        return memchr::memmem::find(subject, text);
    }
    let mut places = memchr::memchr_iter(first, subject);
    places.find(|&at| subject.get(at..).is_some_and(|rest| rest.starts_with(text)))
}

/// Read patterns are kept for the next search by the same pattern.
const KEPT: usize = 16;
/// Patterns longer than this are read anew for each search.
const KEPT_BYTES: usize = 64;
/// Buffers that grew beyond this are given back after the search.
const IDLE_BYTES: usize = 64 * 1024;

/// A pattern that was read before.
struct Kept {
    len: usize,
    text: [u8; KEPT_BYTES],
    caret_anchors: bool,
    program: Program,
}

impl Kept {
    fn new(task: &Task<'_>) -> Box<Kept> {
        let (text, program) = ([0; KEPT_BYTES], Program::default());
        let mut new = Box::new(Kept { len: 0, text, caret_anchors: false, program });
        new.begin(task);
        new
    }

    fn is_for(&self, task: &Task<'_>) -> bool {
        self.text.get(..self.len) == Some(task.pattern) && self.caret_anchors == task.caret_anchors
    }

    /// Begins with a pattern of up to [`KEPT_BYTES`].
    fn begin(&mut self, task: &Task<'_>) {
        self.len = task.pattern.len().min(KEPT_BYTES);
        for (place, byte) in self.text.iter_mut().zip(task.pattern) {
            *place = *byte;
        }
        self.caret_anchors = task.caret_anchors;
        self.program.begin(task.pattern, task.caret_anchors);
    }
}

/// Searches, with the buffers and the read patterns that are used again.
pub(crate) struct Matcher {
    kept: [Option<Box<Kept>>; KEPT],
    /// The pattern that is too long to be kept.
    long: Program,
    work: Work,
    /// The text that [`Matcher::substitute`] made.
    output: Vec<u8>,
}

impl Matcher {
    pub(crate) fn new() -> Matcher {
        Matcher {
            kept: [const { None }; KEPT],
            long: Program::default(),
            work: Work::default(),
            output: Vec::new(),
        }
    }

    /// The first match at `from` or behind. Its captures are kept until the next search.
    pub(crate) fn find(
        &mut self,
        task: &Task<'_>,
        from: usize,
        limits: &dyn Limits,
    ) -> Result<Option<Span>, Fault> {
        let program = program_for(&mut self.kept, &mut self.long, task);
        let found = Search::new(task, program, &mut self.work, limits).find(from);
        self.rest();
        found
    }

    /// Replaces up to `most` matches by a text, in which `%1` is a capture; the number of them. The
    /// result is [`Matcher::output`].
    pub(crate) fn substitute(
        &mut self,
        task: &Task<'_>,
        by: &[u8],
        most: usize,
        limits: &dyn Limits,
    ) -> Result<usize, Fault> {
        self.output.clear();
        let program = program_for(&mut self.kept, &mut self.long, task);
        let mut search = Search::new(task, program, &mut self.work, limits);
        let done = search.substitute(by, most, &mut self.output);
        self.rest();
        done
    }

    /// What the last call of [`Matcher::substitute`] made.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Gives the output back when it is long.
    pub(crate) fn drop_output(&mut self) {
        if self.output.capacity() > IDLE_BYTES {
            self.output = Vec::new();
        }
    }

    /// How many captures the last match has.
    pub(crate) fn captures(&self) -> usize {
        self.work.groups.count
    }

    /// A capture of the last match; of a match without any the first is the whole.
    pub(crate) fn capture(&self, index: usize, whole: Span) -> Result<Captured, Fault> {
        self.work.capture(index, whole)
    }

    fn rest(&mut self) {
        if self.work.bytes() > IDLE_BYTES {
            self.work.shrink();
        }
        if self.long.bytes() > IDLE_BYTES {
            self.long = Program::default();
        }
    }
}

/// The program of a pattern, as far as it has been read.
#[inline]
fn program_for<'a>(
    kept: &'a mut [Option<Box<Kept>>; KEPT],
    long: &'a mut Program,
    task: &Task<'_>,
) -> &'a mut Program {
    if task.pattern.len() > KEPT_BYTES {
        long.begin(task.pattern, task.caret_anchors);
        return long;
    }
    let kept = kept[place_of(task.pattern)].get_or_insert_with(|| Kept::new(task));
    if !kept.is_for(task) {
        kept.begin(task);
    }
    &mut kept.program
}

/// Where a pattern is kept: by its length and two of its bytes, in the middle and near the end,
/// where short patterns differ.
#[inline]
fn place_of(pattern: &[u8]) -> usize {
    let len = pattern.len();
    let byte = |at: usize| pattern.get(at).copied().map_or(0, usize::from);
    (len + 3 * byte(len / 2) + 2 * byte(len.saturating_sub(2))) % KEPT
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;

//! What is counted: calls of each command, and errors by their first word.

use super::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// More kinds of error than there are; a script can make up any number.
const KINDS_MOST: usize = 128;

/// More commands than there are, a power of two.
pub(crate) const ROOM: usize = 512;

/// What is counted.
pub(crate) struct Stats {
    /// By the number of the command, which needs no check: there is room for more than there are.
    commands: Box<[Calls; ROOM]>,
    histograms: Vec<Option<Box<Histogram>>>,
    errors: BTreeMap<Box<[u8]>, u64>,
    /// Replies that were errors.
    pub(crate) error_replies: u64,
    /// Values that Redis would have given back on another thread.
    pub(crate) lazily_freed: u64,
    /// The text of the latest of them, by which a script's error is known that was a command's.
    latest: Vec<u8>,
}

/// Calls of one command.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    /// How long the calls took that were timed.
    pub(crate) us: u64,
    /// Calls that did not get as far as the command.
    pub(crate) rejected: u64,
    /// Calls that ended with an error.
    pub(crate) failed: u64,
}

impl Stats {
    /// Nothing counted yet.
    pub(super) fn new() -> Stats {
        Stats {
            commands: Box::new([Calls::default(); ROOM]),
            histograms: (0..ROOM).map(|_| None).collect(),
            errors: BTreeMap::new(),
            error_replies: 0,
            lazily_freed: 0,
            latest: Vec::new(),
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Stats::new();
    }

    /// A command is called.
    #[inline(always)]
    pub(crate) fn called(&mut self, number: usize) {
        self.commands[number % ROOM].calls += 1;
    }

    /// A call was not let through.
    #[cold]
    pub(crate) fn rejected(&mut self, number: usize) {
        if let Some(command) = self.commands.get_mut(number) {
            command.rejected += 1;
        }
    }

    /// A call ended with an error.
    #[cold]
    pub(crate) fn failed(&mut self, number: usize) {
        if let Some(command) = self.commands.get_mut(number) {
            command.failed += 1;
        }
    }

    /// A call took so long.
    pub(super) fn timed(&mut self, number: usize, took: Duration, tracked: bool) {
        if let Some(command) = self.commands.get_mut(number) {
            command.us += took.as_micros() as u64;
        }
        if let Some(place) = self.histograms.get_mut(number).filter(|_| tracked) {
            place.get_or_insert_default().add(took.as_nanos() as u64);
        }
    }

    /// A command answers with an error.
    #[cold]
    pub(crate) fn error(&mut self, text: &[u8]) {
        self.latest.clear();
        self.latest.extend_from_slice(text);
        self.error_replies += 1;
        let word = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        let has_room = self.errors.len() < KINDS_MOST;
        match self.errors.get_mut(word) {
            Some(count) => *count += 1,
            None if has_room => drop(self.errors.insert(word.into(), 1)),
            None => (),
        }
    }

    /// A script begins: what errors there were before are none of its commands'.
    #[inline]
    pub(crate) fn begin_script(&mut self) {
        self.latest.clear();
    }

    /// A script answers with an error, which is not counted again if it was a command's.
    #[cold]
    pub(crate) fn script_error(&mut self, text: &[u8]) {
        if self.latest.is_empty() || !text.starts_with(&self.latest) {
            self.error(text);
        }
    }

    /// The commands, by their numbers.
    pub(crate) fn commands(&self) -> &[Calls] {
        self.commands.as_slice()
    }

    /// How long the calls of a command took, if that was kept.
    pub(crate) fn histogram(&self, number: usize) -> Option<&Histogram> {
        self.histograms.get(number)?.as_deref()
    }

    /// The errors by their first word.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.errors.iter().map(|(word, count)| (&**word, *count))
    }

    /// How many calls there were.
    pub(crate) fn total(&self) -> u64 {
        self.commands.iter().map(|command| command.calls).sum()
    }
}

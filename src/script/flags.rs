//! The first line of a script that starts with `#!`: its engine and flags, as in Redis 7.0.

use super::metadata::first_line;
use crate::error::CommandError;
use crate::words::split_words;

/// What a script says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ScriptFlags {
    /// It never writes; a write is an error.
    pub(super) no_writes: bool,
    /// It may need more memory where there is not enough.
    pub(super) allow_oom: bool,
    /// It may run where what it reads may be old.
    pub(super) allow_stale: bool,
    /// It has a `#!` line at all: without one, what EVAL_RO may run is decided call by call.
    pub(super) declared: bool,
}

const INVALID_ENGINE: &str = "ERR Invalid engine in script shebang";

/// Flags that are accepted and mean nothing in one process without slots.
const WITHOUT_EFFECT: [&[u8]; 2] = [b"no-cluster", b"allow-cross-slot-keys"];

/// Reads the flags of a script and returns them with the part Lua is to compile, from the end of
/// the first line on so that line numbers stay right.
pub(super) fn parse(source: &[u8]) -> Result<(ScriptFlags, &[u8]), CommandError> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::default(), source));
    }
    let line = first_line(source).ok_or(CommandError::text("ERR Invalid script shebang"));
    let (line, body) = line?;
    let words = split_words(line).ok_or(CommandError::text(INVALID_ENGINE))?;
    let (engine, options) = words.split_first().ok_or(CommandError::text(INVALID_ENGINE))?;
    if engine != b"#!lua" {
        return Err(refuse("ERR Unexpected engine in script shebang: ", engine));
    }
    let mut flags = ScriptFlags { declared: true, ..ScriptFlags::default() };
    for option in options {
        match option.strip_prefix(b"flags=") {
            Some(b"") => (),
            Some(names) => names.split(|&b| b == b',').try_for_each(|name| flags.set(name))?,
            None => return Err(refuse("ERR Unknown lua shebang option: ", option)),
        }
    }
    Ok((flags, body))
}

impl ScriptFlags {
    fn set(&mut self, name: &[u8]) -> Result<(), CommandError> {
        match name {
            b"no-writes" => self.no_writes = true,
            b"allow-oom" => self.allow_oom = true,
            b"allow-stale" => self.allow_stale = true,
            name if WITHOUT_EFFECT.contains(&name) => (),
            name => return Err(refuse("ERR Unexpected flag in script shebang: ", name)),
        }
        Ok(())
    }
}

fn refuse(text: &str, what: &[u8]) -> CommandError {
    CommandError::quoting(&[text.as_bytes(), what])
}

/// What a function of a library says of itself: a set of [`FunctionFlags::NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FunctionFlags(u8);

impl FunctionFlags {
    /// In the order in which they are shown. Only the first three have an effect here.
    const NAMES: [&'static str; 5] =
        ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

    /// Adds a flag by its name, in any case; false if there is none of that name.
    pub(super) fn add(&mut self, name: &[u8]) -> bool {
        let is_it = |flag: &&str| flag.as_bytes().eq_ignore_ascii_case(name);
        let found = Self::NAMES.iter().position(is_it);
        self.0 |= found.map_or(0, |at| 1 << at);
        found.is_some()
    }

    /// Whether it never writes.
    pub(crate) fn no_writes(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it may need more memory where there is not enough.
    pub(crate) fn allow_oom(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether it may run where what it reads may be old.
    pub(crate) fn allow_stale(self) -> bool {
        self.0 & 4 != 0
    }

    /// The names of those that are set.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let named = Self::NAMES.into_iter().enumerate();
        named.filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, name)| name)
    }
}

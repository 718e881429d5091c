//! The first line of a library: `#!`, the engine it is for, and its name.

use super::vm::is_name;
use crate::error::CommandError;
use crate::words::split_words;
use memchr::memchr2;

/// The only engine there is, as it is shown.
pub(crate) const ENGINE: &str = "LUA";

/// What a library's text begins with.
pub(super) struct Metadata<'a> {
    pub(super) name: Vec<u8>,
    /// What Lua is to compile, from the end of the first line on so that line numbers stay right.
    pub(super) body: &'a [u8],
}

/// Whether a text is that of a library rather than of a script: its first line names it.
#[cfg(feature = "cli")]
pub(crate) fn is_library(source: &[u8]) -> bool {
    let line = source.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(u8::is_ascii_whitespace);
    source.starts_with(b"#!") && words.any(|word| word.starts_with(b"name="))
}

/// Reads the first line of a library's text.
pub(super) fn parse(source: &[u8]) -> Result<Metadata<'_>, CommandError> {
    if !source.starts_with(b"#!") {
        return Err(CommandError::text("ERR Missing library metadata"));
    }
    let invalid = CommandError::text("ERR Invalid library metadata");
    let (line, body) = first_line(source).ok_or(invalid.clone())?;
    let mut words = split_words(line).ok_or(invalid)?.into_iter();
    let engine = words.next().unwrap_or_default();
    let name = library_name(words)?;
    if !is_name(&name) {
        return Err(CommandError::BadName);
    }
    let engine = engine.strip_prefix(b"#!").unwrap_or_default();
    if !engine.eq_ignore_ascii_case(ENGINE.as_bytes()) {
        return Err(CommandError::quoting(&[b"ERR Engine '", engine, b"' not found"]));
    }
    Ok(Metadata { name, body })
}

/// The first line, and the rest from its end on. As in Redis, a NUL hides what follows.
pub(super) fn first_line(source: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr2(b'\n', 0, source)?;
    (source.get(end) == Some(&b'\n')).then(|| source.split_at(end))
}

fn library_name(words: impl Iterator<Item = Vec<u8>>) -> Result<Vec<u8>, CommandError> {
    const NAME: &[u8] = b"name=";
    let mut name = None;
    for word in words {
        let Some((_, value)) =
            word.split_at_checked(NAME.len()).filter(|(is, _)| is.eq_ignore_ascii_case(NAME))
        else {
            return Err(CommandError::quoting(&[b"ERR Invalid metadata value given: ", &word]));
        };
        if name.replace(value.to_vec()).is_some() {
            let text = "ERR Invalid metadata value, name argument was given multiple times";
            return Err(CommandError::text(text));
        }
    }
    name.ok_or(CommandError::text("ERR Library name was not given"))
}

//! The first line of a library: `#!`, the engine it is for, and its name.

use super::vm::is_name;
use crate::error::{CommandError, clipped};

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
    // As in Redis, what is behind a NUL is not looked at.
    let end = clipped(source, usize::MAX).iter().position(|&byte| byte == b'\n');
    let (line, body) = source.split_at(end.ok_or(invalid.clone())?);
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

/// Splits a line at its blanks, as a shell would: what is in quotes is one word, and in double
/// quotes a backslash gives the byte behind it another meaning. None if a quote stays open, or
/// something other than a blank follows one that closes.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let is_blank = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let mut words = Vec::new();
    let mut rest = line;
    while let Some((&first, behind)) = rest.split_first() {
        if is_blank(first) {
            rest = behind;
            continue;
        }
        let mut word = Vec::new();
        while let Some((&byte, behind)) = rest.split_first().filter(|(byte, _)| !is_blank(**byte)) {
            rest = behind;
            match byte {
                b'"' | b'\'' => {
                    rest = quoted(byte, rest, &mut word)?;
                    if rest.first().is_some_and(|&next| !is_blank(next)) {
                        return None;
                    }
                }
                byte => word.push(byte),
            }
        }
        words.push(word);
    }
    Some(words)
}

/// Reads what is in quotes, from behind the opening one; returns what follows the closing one.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match *rest {
            [byte, ref rest @ ..] if byte == quote => return Some(rest),
            [b'\\', b'\'', ref rest @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest
            }
            [b'\\', b'x', high, low, ref rest @ ..] if quote == b'"' && both_hex(high, low) => {
                word.push(hex(high) << 4 | hex(low));
                rest
            }
            [b'\\', byte, ref rest @ ..] if quote == b'"' => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    byte => byte,
                });
                rest
            }
            [byte, ref rest @ ..] => {
                word.push(byte);
                rest
            }
            [] => return None,
        }
    }
}

fn both_hex(high: u8, low: u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        split_words(line.as_bytes()).map(|words| words.into_iter().map(text).collect())
    }

    #[test]
    fn lines_are_split_as_a_shell_does() {
        let split = |line| words(line).unwrap();
        assert_eq!(split("#!lua  name=a\t"), ["#!lua", "name=a"]);
        assert_eq!(split("name='a b' \"c\\x41\\n\\q\" '\\''"), ["name=a b", "cA\nq", "'"]);
        assert_eq!(split("\"\""), [""]);
        assert_eq!(words("'a"), None);
        assert_eq!(words("\"a"), None);
        assert_eq!(words("\"a\\"), None);
        assert_eq!(words("'a'b"), None);
    }
}

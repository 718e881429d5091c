//! A line of words, as people type it: blanks part them, quotes hold them together. Requests that
//! are typed into a socket, files of parameters and the first lines of scripts are such.

use crate::error::clipped;
use std::ops::Range;

/// Takes a line apart as a Redis server does with what is typed into a socket: blanks part words,
/// `"..."` may have escapes such as `\n` and `\x41`, `'...'` is taken as it stands, and a NUL ends
/// the line. None where a quote is not closed, or is closed in the middle of a word.
///
/// ```
/// let words = moonkv::split_words(br#"SET greeting "hello\tworld""#).unwrap();
/// assert_eq!(words, [&b"SET"[..], b"greeting", b"hello\tworld"]);
/// assert_eq!(moonkv::split_words(b"GET 'oops"), None);
/// ```
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut text, mut words) = (Vec::new(), Vec::new());
    let held = |text: &[u8], word: Range<usize>| text.get(word).unwrap_or_default().to_vec();
    split(line, &mut text, &mut words)
        .then(|| words.into_iter().map(|word| held(&text, word)).collect())
}

/// Takes a line apart. The words are appended to `text`, and their places to `words`. False where
/// a quote is not closed, or is closed in the middle of a word.
pub(crate) fn split(line: &[u8], text: &mut Vec<u8>, words: &mut Vec<Range<usize>>) -> bool {
    let mut rest = clipped(line, usize::MAX);
    loop {
        while let [first, tail @ ..] = rest
            && is_space(*first)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return true;
        }
        let start = text.len();
        match word(rest, text) {
            Some(tail) => rest = tail,
            None => return false,
        }
        words.push(start..text.len());
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Appends the word at the front of a line; returns what is behind it.
fn word<'a>(mut line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        line = match line {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some(line),
            [b'"', inside @ ..] => return quoted(inside, text).filter(|rest| ends_word(rest)),
            [b'\'', inside @ ..] => return verbatim(inside, text).filter(|rest| ends_word(rest)),
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        }
    }
}

/// Nothing but a blank may follow a closing quote.
fn ends_word(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| is_space(*byte))
}

/// What stands in double quotes, with escapes.
fn quoted<'a>(mut line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, rest) = match line {
            [] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'x', high, low, rest @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (digit(*high) << 4 | digit(*low), rest)
            }
            [b'\\', letter, rest @ ..] => (escaped(*letter), rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        text.push(byte);
        line = rest;
    }
}

/// What stands in single quotes: only the quote itself can be escaped.
fn verbatim<'a>(mut line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, rest) = match line {
            [] => return None,
            [b'\\', b'\'', rest @ ..] => (b'\'', rest),
            [b'\'', rest @ ..] => return Some(rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        text.push(byte);
        line = rest;
    }
}

fn escaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => (letter | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        split_words(line.as_bytes()).map(|words| words.into_iter().map(text).collect())
    }

    #[test]
    fn words_are_parted_by_blanks_and_held_together_by_quotes() {
        let split = |line| words(line).unwrap();
        assert_eq!(split("#!lua  name=a\t"), ["#!lua", "name=a"]);
        assert_eq!(split("name='a b' \"c\\x41\\n\\q\" '\\''"), ["name=a b", "cA\nq", "'"]);
        assert_eq!(split("\"\""), [""]);
        assert_eq!(words("'a"), None);
        assert_eq!(words("\"a"), None);
        assert_eq!(words("\"a\\"), None);
        assert_eq!(words("'a'b"), None);
        assert_eq!(split("a b\0c d"), ["a", "b"]);
        assert_eq!(words("'a\0b'"), None);
    }
}

//! Glob patterns, as KEYS, SCAN MATCH and PSUBSCRIBE understand them.
//!
//! `*` is any run of bytes, `?` any one byte, `[...]` one byte of a class and
//! a backslash takes the next byte literally. Every pattern is valid. Matching
//! is over bytes, never characters, and needs neither heap nor recursion: every
//! element but the star takes exactly one byte, so on a mismatch only the last
//! star can usefully take one byte more.

/// Patterns with more stars than this, not counting one at the end, match
/// nothing; a run of stars counts once. Redis limits its recursion so.
const STAR_LIMIT: usize = 1000;

/// Whether the whole text matches the pattern, in `O(pattern * text)` at worst.
///
/// Oddity of Redis: an empty text matches the empty pattern only, not even
/// "*". Commands that list everything for "*" ask [`is_match_all`] first.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut text) = (pattern, text);
    let (mut last_star, mut stars) = (None, 0);
    while let Some((&byte, after_byte)) = text.split_first() {
        if let Some(after_star) = strip_stars(pattern) {
            if after_star.is_empty() {
                return true;
            }
            stars += 1;
            if stars > STAR_LIMIT {
                return false;
            }
            last_star = Some((after_star, after_byte));
            pattern = after_star;
        } else if let Some(after_element) = match_element(pattern, byte) {
            (pattern, text) = (after_element, after_byte);
        } else {
            let Some((after_star, retry)) = last_star else {
                return false;
            };
            (pattern, text) = (after_star, retry);
            last_star = Some((after_star, retry.get(1..).unwrap_or_default()));
        }
    }
    pattern.iter().all(|&byte| byte == b'*')
}

/// Whether a pattern has no special bytes, so that it matches only itself.
pub(crate) fn literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// Whether a pattern is the plain "*".
pub(crate) fn is_match_all(pattern: &[u8]) -> bool {
    pattern == b"*"
}

/// Takes a run of stars off the front; `None` when there is none.
fn strip_stars(pattern: &[u8]) -> Option<&[u8]> {
    let mut rest = pattern.strip_prefix(b"*")?;
    while let Some(shorter) = rest.strip_prefix(b"*") {
        rest = shorter;
    }
    Some(rest)
}

/// Matches one byte against the element in front, which is not a star, and
/// gives the pattern behind that element.
fn match_element(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => match_class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Matches one byte against a class, given from behind its bracket, and gives
/// the pattern behind the class.
fn match_class(class: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some((range, rest)) = next_range(class) {
        found |= range.contains(byte);
        class = rest;
    }
    // An unterminated class ends with the pattern.
    let behind = class.strip_prefix(b"]").unwrap_or(class);
    (found != negated).then_some(behind)
}

/// Takes the next byte or range of a class; `None` at the end of the class.
fn next_range(class: &[u8]) -> Option<(Range, &[u8])> {
    match class {
        [] | [b']', ..] => None,
        [b'\\', byte, rest @ ..] => Some((Range::new(*byte, *byte), rest)),
        [first, b'-', last, rest @ ..] => Some((Range::new(*first, *last), rest)),
        [byte, rest @ ..] => Some((Range::new(*byte, *byte), rest)),
    }
}

/// Bytes between two others, both included.
///
/// Oddity of Redis: bytes are compared as signed numbers, so 0x80 to 0xff come
/// before 0x00.
struct Range {
    /// The smaller end.
    first: i8,
    /// The larger end.
    last: i8,
}

impl Range {
    /// A range between two ends in either order.
    fn new(one: u8, other: u8) -> Self {
        let (one, other) = (one.cast_signed(), other.cast_signed());
        Range { first: one.min(other), last: one.max(other) }
    }

    /// Whether a byte lies in the range.
    fn contains(&self, byte: u8) -> bool {
        (self.first..=self.last).contains(&byte.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which of some texts a pattern matches.
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        for text in matching {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} / {text}");
        }
        for text in other {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} / {text}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check("a*", &["a", "ab", "abc"], &["", "b", "ba"]);
        check("*a", &["a", "ba", "aba"], &["", "ab"]);
        check("a*b*c", &["abc", "aXbYc", "abcbc"], &["abcd", "acb"]);
        check("a?c", &["abc", "a*c"], &["ac", "abbc"]);
        check("*?", &["a", "ab"], &[""]);
        check("a**", &["a", "ab"], &["b"]);
    }

    #[test]
    fn an_empty_text_matches_only_the_empty_pattern() {
        check("", &[""], &["a"]);
        check("*", &["a"], &[""]);
        check("**", &["a"], &[""]);
    }

    #[test]
    fn classes() {
        check("[abc]", &["a", "b", "c"], &["d", "]", "ab"]);
        check("[^a]x", &["bx", "^x"], &["ax"]);
        check("[a-c]", &["a", "b", "c"], &["d", "-"]);
        check("[c-a]", &["a", "b", "c"], &["d", "-"]);
        check("[a^]", &["a", "^"], &["b"]);
        check("[\\]]", &["]"], &["\\", "a"]);
        check("[\\a-c]", &["a", "-", "c"], &["b", "\\"]);
        check("x[]", &[], &["x", "x]", "xa"]);
        check("x[^]", &["xa", "x]"], &["x"]);
    }

    #[test]
    fn unterminated_classes_end_with_the_pattern() {
        check("[ab", &["a", "b"], &["[ab", "c", "ab"]);
        check("[", &[], &["[", "a"]);
        check("[^", &["a", "["], &["ab"]);
        check("[a-", &["a", "-"], &["b"]);
        check("[a-]", &["a", "]", "^"], &["-", "b"]);
        check("[\\", &["\\"], &["a"]);
    }

    #[test]
    fn escapes() {
        check("a\\*", &["a*"], &["ab", "a\\*"]);
        check("\\?\\[", &["?["], &["a["]);
        check("a\\", &["a\\"], &["a"]);
    }

    #[test]
    fn high_bytes_sort_below_low_ones() {
        assert!(matches(b"[a-\xff]", b"A"));
        assert!(!matches(b"[a-\xff]", b"b"));
        assert!(matches(b"[\x80-\x90]", b"\x85"));
    }

    #[test]
    fn many_stars_stay_fast() {
        let pattern = b"a*".repeat(200);
        let text = vec![b'a'; 100_000];
        assert!(matches(&pattern, &text));
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }

    #[test]
    fn stars_are_limited() {
        let text = vec![b'a'; 3000];
        assert!(matches(&b"a*".repeat(STAR_LIMIT + 1), &text));
        assert!(!matches(&b"a*".repeat(STAR_LIMIT + 2), &text));
        assert!(matches(&b"*".repeat(3000), &text));
    }

    #[test]
    fn special_patterns_are_recognised() {
        assert!(literal(b"plain]^-") && literal(b""));
        for pattern in ["a*", "?", "[a]", "a\\b"] {
            assert!(!literal(pattern.as_bytes()));
        }
        assert!(is_match_all(b"*") && !is_match_all(b"**") && !is_match_all(b""));
    }
}

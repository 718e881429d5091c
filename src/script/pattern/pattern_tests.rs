//! The language of patterns, on the matcher alone.

use super::*;

/// Limits that are asked but never reached; or reached after so many questions.
struct Patience {
    steps: Cell<i64>,
    questions: Cell<u32>,
    most_bytes: usize,
}

const ENDLESS: u32 = u32::MAX;
const INTERVAL: i64 = 1_000;

fn patience(questions: u32) -> Patience {
    let (steps, questions) = (Cell::new(INTERVAL), Cell::new(questions));
    Patience { steps, questions, most_bytes: usize::MAX }
}

impl Limits for Patience {
    fn steps(&self) -> &Cell<i64> {
        &self.steps
    }

    fn go_on(&self) -> bool {
        self.steps.set(INTERVAL);
        self.questions.set(self.questions.get().saturating_sub(1));
        self.questions.get() > 0
    }

    fn permits(&self, bytes: usize) -> bool {
        bytes <= self.most_bytes
    }
}

/// The match and its captures, in short: `2-4 'b' @3`; `-` for none, and the text of a fault.
fn show(subject: &[u8], pattern: &[u8], from: usize) -> String {
    let mut matcher = Matcher::new();
    let task = Task::new(subject, pattern);
    match show_found(&mut matcher, &task, from) {
        Ok(text) => text,
        Err(fault) => fault.text().to_str().unwrap().to_owned(),
    }
}

fn show_found(matcher: &mut Matcher, task: &Task<'_>, from: usize) -> Result<String, Fault> {
    let Some(whole) = matcher.find(task, from, &patience(ENDLESS))? else {
        return Ok("-".to_owned());
    };
    let mut text = format!("{}-{}", whole.start, whole.end);
    for index in 0..matcher.captures() {
        match matcher.capture(index, whole)? {
            Captured::Text(span) => {
                let part = &task.subject[span.start..span.end];
                text.push_str(&format!(" '{}'", String::from_utf8_lossy(part)));
            }
            Captured::Position(at) => text.push_str(&format!(" @{at}")),
        }
    }
    Ok(text)
}

fn check(cases: &[(&str, &str, &str)]) {
    for (subject, pattern, expected) in cases {
        let found = show(subject.as_bytes(), pattern.as_bytes(), 0);
        assert_eq!(found, *expected, "{pattern:?} in {subject:?}");
    }
}

#[test]
fn single_bytes_and_their_classes() {
    check(&[
        ("hello", "l", "2-3"),
        ("hello", "", "0-0"),
        ("", "", "0-0"),
        ("", ".", "-"),
        ("a+b", "+b", "1-3"),
        ("x*", "*", "1-2"),
        ("a$b", "$b", "1-3"),
        ("a]", "]", "1-2"),
        ("a^b", "a^b", "0-3"),
        ("ab12", "%d", "2-3"),
        ("ab12", "%D%d", "1-3"),
        ("a\tb", "%s", "1-2"),
        ("a\u{b}b", "%s", "1-2"),
        ("-a", "%w", "1-2"),
        ("a_b", "%p", "1-2"),
        ("aB", "%u", "1-2"),
        ("Ab", "%l", "1-2"),
        ("xyzF", "%x", "3-4"),
        ("a\u{1}", "%c", "1-2"),
        ("a\0b", "%z", "1-2"),
        ("a\0b", "%Z", "0-1"),
        ("a.b", "%.", "1-2"),
        ("aq", "%q", "1-2"),
        ("a\0b", "a.b", "0-3"),
    ]);
    assert_eq!(show(b"\xe9", b"%a", 0), "-", "the C locale has no letters above 127");
    assert_eq!(show(b"\xe9", b"[\x80-\xff]", 0), "0-1");
}

#[test]
fn sets() {
    check(&[
        ("hello", "[aeiou]", "1-2"),
        ("hello", "[^h]", "1-2"),
        ("x-y", "[a-]", "1-2"),
        ("x-y", "[-a]", "1-2"),
        ("a]b", "[]]", "1-2"),
        ("a]b", "[^]]", "0-1"),
        ("a]b", "[%]]", "1-2"),
        ("ab9", "[%d_]", "2-3"),
        ("ab9", "[%D]", "0-1"),
        ("ab9", "[^%D]", "2-3"),
        ("b", "[c-a]", "-"),
        ("-", "[%a-z]", "0-1"),
        ("^", "[a^]", "0-1"),
        ("x]", "[x-%%]", "1-2"),
        ("a", "[", "malformed pattern (missing ']')"),
        ("a", "[]", "malformed pattern (missing ']')"),
        ("a", "[^]", "malformed pattern (missing ']')"),
        ("a", "[a%]", "malformed pattern (missing ']')"),
        ("a", "[a%", "malformed pattern (missing ']')"),
        ("a", "[a\0]", "malformed pattern (missing ']')"),
    ]);
}

#[test]
fn repetitions() {
    check(&[
        ("aaab", "a*", "0-3"),
        ("aaab", "a*ab", "0-4"),
        ("aaab", "a+ab", "0-4"),
        ("b", "a+", "-"),
        ("b", "a*", "0-0"),
        ("aaab", "a-b", "0-4"),
        ("aaab", "a-", "0-0"),
        ("[[x]] [[y]]", "%[%[(.-)%]%]", "0-5 'x'"),
        ("xay", "x.-y", "0-3"),
        ("x1a y", "x%w-y", "-"),
        ("x1a2y", "x%w-%ay", "-"),
        ("x1a2by", "x%w-%ay", "0-6"),
        ("color colour", "colou?rs?$", "6-12"),
        ("ab", "a?b?c?", "0-2"),
        ("aab", "a?ab", "0-3"),
        ("aXbXc", ".*X", "0-4"),
        ("aXbXc", ".*Xb", "0-3"),
        ("key = value", "^(%w+)%s*=%s*(%w+)$", "0-11 'key' 'value'"),
    ]);
}

#[test]
fn anchors_and_starts() {
    check(&[
        ("abc", "^b", "-"),
        ("abc", "^a", "0-1"),
        ("abc", "c$", "2-3"),
        ("abc", "^abc$", "0-3"),
        ("abc", "$", "3-3"),
        ("abc", "^", "0-0"),
        ("abc$", "c$$", "2-4"),
    ]);
    assert_eq!(show(b"aab", b"^a", 1), "1-2", "an anchor is where the search begins");
    assert_eq!(show(b"abc", b"", 3), "3-3");
    let task = Task::unanchored(b"a^b", b"^b");
    assert_eq!(show_found(&mut Matcher::new(), &task, 0), Ok("1-3".to_owned()));
}

#[test]
fn captures() {
    check(&[
        ("abc", "(a)(b)(c)", "0-3 'a' 'b' 'c'"),
        ("abc", "((a)(b))", "0-2 'ab' 'a' 'b'"),
        ("abc", "()b()", "1-2 @1 @2"),
        ("abc", "()", "0-0 @0"),
        ("abab", "(ab)%1", "0-4 'ab'"),
        ("say \"hi\" 'x\"", "([\"'])(.-)%1", "4-8 '\"' 'hi'"),
        ("aXaY", "(a)(.)%1%2", "-"),
        ("aXaX", "(a)(.)%1%2", "0-4 'a' 'X'"),
        ("aa", "()a%1", "-"),
        ("aaab", "(a*)(ab)", "0-4 'aa' 'ab'"),
        ("aaab", "(a-)(b)", "0-4 'aaa' 'b'"),
        ("x", "()()x", "0-1 @0 @0"),
        ("x", "%1", "invalid capture index"),
        ("x", "%0", "invalid capture index"),
        ("x", "(%1)", "invalid capture index"),
        ("x", "(x)%2", "invalid capture index"),
        ("x", ")", "invalid pattern capture"),
        ("x", "(x))", "invalid pattern capture"),
        ("x", "(x", "unfinished capture"),
        ("x", "(", "unfinished capture"),
    ]);
    let many = |n: usize| show(b"x", "()".repeat(n).as_bytes(), 0);
    assert!(many(32).ends_with("@0"));
    assert_eq!(many(33), "too many captures");
}

#[test]
fn balance_and_frontier() {
    check(&[
        ("f(a(b)c)d)", "%b()", "1-8"),
        ("f(a(b)c", "%b()", "3-6"),
        ("((", "%b()", "-"),
        ("'a'b'", "%b''", "0-3"),
        ("x", "%b(", "unbalanced pattern"),
        ("x", "%b", "unbalanced pattern"),
        ("THE (quick) fox", "%f[%a]%a+", "0-3"),
        ("THE (quick) fox", "%f[%l]%a+", "5-10"),
        ("fox", "fox%f[%z]", "0-3"),
        ("foxes", "fox%f[%z]", "-"),
        ("fox", "%f[%w]fox%f[%W]", "0-3"),
        ("x", "%f", "missing '[' after '%f' in pattern"),
        ("x", "%fx", "missing '[' after '%f' in pattern"),
        ("x", "%f[", "malformed pattern (missing ']')"),
    ]);
    assert_eq!(show(b"abc", b"%f[b]b", 1), "1-2", "what is before the start is seen");
}

#[test]
fn a_mistake_counts_only_when_it_is_reached() {
    check(&[
        ("a", "b[", "-"),
        ("b", "b[", "malformed pattern (missing ']')"),
        ("a", "a%", "malformed pattern (ends with '%')"),
        ("a", "b%", "-"),
        ("a", "%", "malformed pattern (ends with '%')"),
        ("a", "b)", "-"),
        ("a", "(b", "-"),
        ("a", "(b%1", "-"),
        ("aa", "a\0[", "0-1"),
    ]);
    let mut matcher = Matcher::new();
    for _ in 0..3 {
        let without = Task::new(b"a", b"(b)%2");
        assert_eq!(show_found(&mut matcher, &without, 0), Ok("-".to_owned()));
        let with = Task::new(b"b", b"(b)%2");
        assert_eq!(show_found(&mut matcher, &with, 0), Err(Fault::NoSuchCapture));
    }
}

#[test]
fn plain_texts() {
    assert!(is_plain(b"abc") && is_plain(b"") && is_plain(b"a)]") && is_plain(b"a\0*"));
    for special in b"^$*+?.([%-" {
        assert!(!is_plain(&[b'a', *special]), "{}", char::from(*special));
    }
}

#[test]
fn texts_are_found_in_short_and_in_long_ones() {
    for before in [0, 1, 30, 63, 64, 1000] {
        let subject = [&b"ab".repeat(before)[..], b"abc", &b"x".repeat(before)].concat();
        assert_eq!(find_text(&subject, b"abc"), Some(2 * before));
        assert_eq!(find_text(&subject, b"abd"), None);
        assert_eq!(find_text(&subject, b""), Some(0));
        assert_eq!(find_text(&subject, &subject), Some(0));
    }
    assert_eq!(find_text(b"", b"a"), None);
    assert_eq!(find_text(b"ab", b"abc"), None);
}

fn substitute(subject: &str, pattern: &str, by: &str, most: usize) -> Result<String, Fault> {
    let mut matcher = Matcher::new();
    let task = Task::new(subject.as_bytes(), pattern.as_bytes());
    let count = matcher.substitute(&task, by.as_bytes(), most, &patience(ENDLESS))?;
    Ok(format!("{count} {}", String::from_utf8_lossy(matcher.output())))
}

#[test]
fn replacement_texts() {
    let cases = [
        ("hello world", "o", "0", 9, "2 hell0 w0rld"),
        ("hello world", "o", "0", 1, "1 hell0 world"),
        ("hello", "", "-", 9, "6 -h-e-l-l-o-"),
        ("abc", "%w*", "x", 9, "2 xx"),
        ("hello world", "(%w+) (%w+)", "%2 %1", 9, "1 world hello"),
        ("abc", "%w", "%0%0", 9, "3 aabbcc"),
        ("abc", "%w", "%1%1", 9, "3 aabbcc"),
        ("abc", "()b", "%1", 9, "1 a2c"),
        ("abc", "b", "%%%x", 9, "1 a%xc"),
        ("abc", "b", "x%", 9, "1 ax\0c"),
        ("aaa", "^a", "x", 9, "1 xaa"),
        ("aaa", "^", "x", 9, "1 xaaa"),
        ("abc", "x", "y", 9, "0 "),
        ("abc", "b", "y", 0, "0 "),
    ];
    for (subject, pattern, by, most, expected) in cases {
        let made = substitute(subject, pattern, by, most);
        assert_eq!(made.as_deref(), Ok(expected), "{subject:?} {pattern:?} {by:?}");
    }
    assert_eq!(substitute("abc", "b", "%2", 9), Err(Fault::NoSuchCapture));
    assert_eq!(substitute("abc", "(b", "%1", 9), Err(Fault::UnfinishedCapture));
    assert_eq!(substitute("abc", "(b", "x", 9).as_deref(), Ok("1 axc"), "nobody asked for it");
}

#[test]
fn depth_takes_no_stack() {
    let (subject, pattern) = ("a".repeat(300_000), "a?".repeat(200_000));
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    let found = thread.spawn(move || show(subject.as_bytes(), pattern.as_bytes(), 0));
    assert_eq!(found.unwrap().join().unwrap(), "0-200000");
}

#[test]
fn steps_are_counted() {
    let subject = "a".repeat(60);
    let pattern = format!("{}{}b", "a?".repeat(28), "a*".repeat(28));
    let task = Task::new(subject.as_bytes(), pattern.as_bytes());
    let limits = patience(1_000);
    let stopped = Matcher::new().find(&task, 0, &limits);
    assert_eq!((stopped, limits.questions.get()), (Err(Fault::Stopped), 0));
    let long = "a".repeat(1 << 20);
    let limits = patience(3);
    let task = Task::new(long.as_bytes(), b"%a+%d");
    assert_eq!(Matcher::new().find(&task, 0, &limits), Err(Fault::Stopped), "runs count too");
}

#[test]
fn memory_is_asked_for() {
    let limits = Patience { most_bytes: 1 << 20, ..patience(ENDLESS) };
    let (subject, pattern) = ("a".repeat(300_000), "a?".repeat(200_000));
    let task = Task::new(subject.as_bytes(), pattern.as_bytes());
    assert_eq!(Matcher::new().find(&task, 0, &limits), Err(Fault::Stopped));
    let task = Task::new(subject.as_bytes(), b"a");
    let mut matcher = Matcher::new();
    assert_eq!(matcher.substitute(&task, b"bbbbbbbb", 1 << 20, &limits), Err(Fault::Stopped));
    assert_eq!(matcher.substitute(&task, b"bb", 1 << 20, &limits), Ok(300_000));
    assert_eq!(matcher.output().len(), 600_000);
    matcher.drop_output();
    assert_eq!(matcher.output.capacity(), 0, "long outputs are not kept");
}

#[test]
fn a_kept_pattern_costs_the_same() {
    let mut matcher = Matcher::new();
    let mut cost = |pattern: &str| {
        let limits = patience(ENDLESS);
        let task = Task::new(b"some words 123 and more", pattern.as_bytes());
        matcher.find(&task, 0, &limits).unwrap();
        INTERVAL - limits.steps.get()
    };
    let long = "%w+ ".repeat(30);
    for pattern in ["(%w+) (%d+)", "[a-z]+[^x]-%d", &long] {
        let first = cost(pattern);
        assert!(first > 0);
        assert_eq!([cost(pattern), cost(pattern)], [first, first], "{pattern}");
    }
}

#[test]
fn patterns_that_share_a_place_do_not_mix() {
    let mut matcher = Matcher::new();
    for round in 0..3 {
        for n in 0..500 {
            let pattern = format!("^(x{n})()$");
            let subject = format!("x{n}");
            let task = Task::new(subject.as_bytes(), pattern.as_bytes());
            let expected = format!("0-{0} 'x{n}' @{0}", subject.len());
            assert_eq!(show_found(&mut matcher, &task, 0), Ok(expected), "round {round}");
        }
    }
}

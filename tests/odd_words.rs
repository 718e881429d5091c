//! Words that no client sends on purpose: bytes that end a line or a text of C's, options that
//! contradict one another. The answers were recorded from redis-server 7.0.15.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, Reply};

/// What an engine answers to the last of these calls; an error comes back as its text.
fn answer(calls: &[&[&str]]) -> Reply {
    let engine = Engine::new().expect("an engine opens");
    let run = |words: &&[&str]| match engine.command(words) {
        Ok(reply) => reply,
        Err(error) => Reply::Error(error.to_string()),
    };
    let answers: Vec<Reply> = calls.iter().map(run).collect();
    answers.into_iter().next_back().expect("there is a call")
}

fn error(call: &[&str]) -> String {
    match answer(&[call]) {
        Reply::Error(text) => text,
        other => Error::reply(format!("no error: {other:?}")).to_string(),
    }
}

fn bulks(words: &[&str]) -> Reply {
    Reply::Array(words.iter().map(|word| Reply::Bulk(word.as_bytes().to_vec())).collect())
}

#[test]
fn line_ends_behind_a_last_word_go_and_others_are_spaces() {
    for (word, shown) in
        [("a\n", "a"), ("a\r\n", "a"), ("\n", ""), ("a\nb\n\n", "a b"), ("\na", " a")]
    {
        let text = format!("ERR Unsupported option {shown}");
        assert_eq!(error(&["EXPIRE", "k", "1", word]), text, "{word:?}");
    }
    assert_eq!(error(&["FUNCTION", "LOAD", "a\r\n", "x"]), "ERR Unknown option given: a");
    // Not here.
    assert_eq!(error(&["FUNCTION", "LIST", "a\r\n"]), "ERR Unknown argument a  ");
}

#[test]
fn a_word_that_an_error_shows_ends_at_its_first_nul() {
    let cases: [(&[&str], &str); 8] = [
        (&["ACL", "CAT", "a\0b"], "ERR Unknown category 'a'"),
        (&["ACL", "DRYRUN", "a\0b", "get"], "ERR User 'a' not found"),
        (&["ACL", "DRYRUN", "default", "a\0b"], "ERR Command 'a' not found"),
        (&["ACL", "SETUSER", "u", "a\0b"], "ERR Error in ACL SETUSER modifier 'a': Syntax error"),
        (&["FUNCTION", "LIST", "\0"], "ERR Unknown argument "),
        (&["FUNCTION", "LOAD", "a\0b", "x"], "ERR Unknown option given: a"),
        (&["LATENCY", "GRAPH", "a\0b"], "ERR No samples available for event 'a'"),
        (&["HELLO", "3", "a\0b"], "ERR Syntax error in HELLO option 'a'"),
    ];
    for (call, text) in cases {
        assert_eq!(error(call), text, "{call:?}");
    }
}

#[test]
fn what_is_wrong_with_a_value_is_told_of_the_parameter_in_lower_case() {
    let of = |name: &str, why: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    };
    let no_integer = "argument couldn't be parsed into an integer";
    assert_eq!(error(&["CONFIG", "SET", "TimeOut", "x"]), of("timeout", no_integer));
    let call = ["CONFIG", "SET", "SLAVE-priority", "x"];
    assert_eq!(error(&call), of("slave-priority", no_integer));
    // What is wrong with the name itself is told of the word.
    let call = ["CONFIG", "SET", "timeout", "0", "TIMEOUT", "0"];
    assert_eq!(error(&call), of("TIMEOUT", "duplicate parameter"));
    assert_eq!(
        error(&["CONFIG", "SET", "DAEMONIZE", "no"]),
        of("DAEMONIZE", "can't set immutable config")
    );
}

#[test]
fn a_pattern_of_sort_without_a_star_holds_whatever_follows() {
    let list: &[&str] = &["RPUSH", "l", "1", "3", "2"];
    let cases: [(&[&str], &[&str]); 4] = [
        (&["SORT", "l", "BY", "n", "BY", "w_*"], &["1", "3", "2"]),
        (&["SORT", "l", "BY", "w_*", "BY", "n"], &["1", "3", "2"]),
        (&["SORT", "l", "BY", "n", "BY", "w_*", "DESC"], &["2", "3", "1"]),
        (&["SORT", "l", "BY", "", "BY", "*", "LIMIT", "0", "2"], &["1", "3"]),
    ];
    for (call, sorted) in cases {
        assert_eq!(answer(&[list, call]), bulks(sorted), "{call:?}");
    }
}

#[test]
fn a_first_argument_adds_nothing_to_a_command_that_is_allowed() {
    let cases: [(&[&str], &str); 5] = [
        (&["+@all", "+get|x"], "+@all"),
        (&["+get", "+get|x"], "-@all +get"),
        (&["+@string", "+get|x"], "-@all +@string"),
        (&["+@all", "-get", "+get|x"], "+@all -get +get|x"),
        (&["+get|x", "+get|y"], "-@all +get|x +get|y"),
    ];
    for (rules, told) in cases {
        let call: Vec<&str> = ["ACL", "SETUSER", "u"].iter().chain(rules).copied().collect();
        let Reply::Array(fields) = answer(&[&call, &["ACL", "GETUSER", "u"]]) else {
            unreachable!("a user is told of in an array")
        };
        assert_eq!(fields.get(5), Some(&Reply::Bulk(told.into())), "{rules:?}");
    }
}

#[test]
fn a_key_before_keys_makes_of_migrate_a_call_of_no_keys() {
    let none = Reply::Error("ERR Invalid arguments specified for command".into());
    let cases: [(&[&str], Reply); 6] = [
        (&["k", "0", "100"], bulks(&["k"])),
        (&["", "0", "100", "KEYS", "a", "b"], bulks(&["a", "b"])),
        (&["k", "0", "100", "KEYS", "a"], none.clone()),
        (&["k", "0", "100", "AUTH", "p", "KEYS", "a"], none),
        (&["k", "0", "100", "AUTH", "KEYS", "a"], bulks(&["k"])),
        (&["", "0", "100", "KEYS"], bulks(&[""])),
    ];
    for (rest, keys) in cases {
        let begin = ["COMMAND", "GETKEYS", "MIGRATE", "h", "1"];
        let call: Vec<&str> = begin.iter().chain(rest).copied().collect();
        assert_eq!(answer(&[&call]), keys, "{rest:?}");
    }
}

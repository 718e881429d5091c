//! The use cases of `examples/use_cases.rs`, with the failures beside the happy path.

use moonkv::{Clock, Engine, Error, Options, Reply};
use std::time::Duration;

#[path = "../examples/use_cases.rs"]
#[expect(dead_code, reason = "the example's main is not called")]
mod example;

use example::{above, allow, count_up_to, describe, open_door, run_by_sha, transfer};

fn open() -> Engine {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: 1_700_000_000_000 };
    Engine::open(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// A command's reply, or its error's text, in short.
fn ask(engine: &Engine, words: &str) -> String {
    match engine.command(&words.split(' ').collect::<Vec<_>>()) {
        Ok(Reply::Integer(value)) => value.to_string(),
        Ok(reply) => reply.as_str().map_or_else(|| format!("{reply:?}"), str::to_owned),
        Err(error) => error.to_string(),
    }
}

fn message(error: &Error) -> String {
    // Behind the text come the script's SHA-1 and the line.
    error.to_string().split(" script: ").next().unwrap_or_default().to_owned()
}

#[test]
fn a_counter_stops_at_its_limit() {
    let engine = open();
    let counts = [1, 2, 3, 4, 5].map(|_| count_up_to(&engine, "n", 3));
    assert_eq!(counts, [Ok(Some(1)), Ok(Some(2)), Ok(Some(3)), Ok(None), Ok(None)]);
    assert_eq!(ask(&engine, "GET n"), "3");
    assert_eq!(count_up_to(&engine, "n", 4), Ok(Some(4)), "a higher limit");
    assert_eq!(count_up_to(&engine, "other", 0), Ok(None));
    assert_eq!(ask(&engine, "EXISTS other"), "0", "a limit of 0 makes no key");
    ask(&engine, "RPUSH list x");
    let error = count_up_to(&engine, "list", 3).unwrap_err();
    assert!(error.to_string().starts_with("WRONGTYPE"), "{error}");
}

#[test]
fn a_transfer_is_whole_or_not_at_all() {
    let engine = open();
    ask(&engine, "MSET a 100 b 20");
    assert_eq!(transfer(&engine, "a", "b", 70), Ok(vec![30, 90]));
    let error = transfer(&engine, "a", "b", 70).unwrap_err();
    assert_eq!(message(&error), "FUNDS 40 short");
    assert_eq!([ask(&engine, "GET a"), ask(&engine, "GET b")], ["30", "90"], "as before");
    ask(&engine, "SET text words");
    let error = transfer(&engine, "a", "text", 10).unwrap_err();
    assert_eq!(message(&error), "ERR value is not an integer or out of range");
    assert_eq!(ask(&engine, "GET a"), "30", "the first half is undone");
    let error = transfer(&engine, "nobody", "new", 1).unwrap_err();
    assert_eq!(message(&error), "FUNDS 1 short");
    assert_eq!(ask(&engine, "EXISTS nobody new"), "0", "keys that were made are gone");
}

#[test]
fn a_batch_is_filtered_by_a_threshold() {
    let engine = open();
    ask(&engine, "MSET a 10 b 30 c 31 d -5 e 1000");
    let all = ["a", "b", "c", "d", "e", "missing"];
    assert_eq!(above(&engine, &all, 30), Ok(vec!["c".to_owned(), "e".to_owned()]));
    assert_eq!(above(&engine, &all, 1000), Ok(vec![]));
    assert_eq!(above(&engine, &["missing"], 0), Ok(vec![]));
    let many: Vec<String> = (0..1000).map(|i| format!("k{i}")).collect();
    for (i, key) in many.iter().enumerate() {
        ask(&engine, &format!("SET {key} {i}"));
    }
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(above(&engine, &names, 899).map(|found| found.len()), Ok(100));
    ask(&engine, "SET a warm");
    let error = above(&engine, &all, 30).unwrap_err();
    assert!(error.to_string().contains("attempt to compare"), "{error}");
}

#[test]
fn a_window_slides() {
    let engine = open();
    let times = [0, 100, 200, 300, 999, 1000, 1001, 1099, 1100, 1200, 1300];
    let allowed = times.map(|now| allow(&engine, "r", now, 1000, 3));
    let expected = [
        true, true, true, false, false, // three in the first second
        true, false, false, // the one at 0 has left the window
        true, true, false,
    ];
    assert_eq!(allowed, expected.map(Ok));
    assert_eq!(ask(&engine, "ZCARD r"), "3");
    assert_eq!(ask(&engine, "TTL r"), "1");
    assert_eq!(engine.advance_clock(1001), Ok(1_700_000_001_001));
    assert_eq!(ask(&engine, "EXISTS r"), "0", "an idle window goes away by itself");
    assert_eq!(engine.tick(Duration::from_secs(1)).map(|tick| tick.complete), Ok(true));
    assert_eq!(allow(&engine, "other", 0, 1000, 0), Ok(false));
}

#[test]
fn a_loaded_script_runs_by_its_sha() {
    let engine = open();
    assert_eq!(run_by_sha(&engine, &["a", "b", "a", "a"]), Ok(vec![1, 1, 2, 3]));
    assert_eq!(run_by_sha(&engine, &["a"]), Ok(vec![4]), "loading again changes nothing");
    ask(&engine, "DEL words");
    ask(&engine, "SET words text");
    let error = run_by_sha(&engine, &["a"]).unwrap_err();
    assert!(error.to_string().starts_with("WRONGTYPE"), "{error}");
    let unknown = engine.evalsha("f".repeat(40), &["words"], &["a"]).unwrap_err();
    assert_eq!(unknown.to_string(), "NOSCRIPT No matching script. Please use EVAL.");
}

#[test]
fn errors_are_handled_in_the_script() {
    let engine = open();
    ask(&engine, "SET s text");
    ask(&engine, "RPUSH l x");
    ask(&engine, "ZADD z 1 m");
    let described = ["s", "l", "z", "missing"].map(|key| describe(&engine, key));
    let expected =
        ["the string text", "not a string but a list", "not a string but a zset", "nothing"];
    assert_eq!(described, expected.map(|text| Ok(text.to_owned())));
}

#[test]
fn statuses_and_errors_are_replies() {
    let engine = open();
    assert_eq!(open_door(&engine, "mellon"), Ok(Reply::Status("OPEN".to_owned())));
    let error = open_door(&engine, "sesame").unwrap_err();
    assert_eq!(error.to_string(), "SHUT the door stays closed");
    let both = engine.eval("return {{ok = 'FINE'}, {err = 'BAD luck'}}", &[""; 0], &[""; 0]);
    let expected = [Reply::Status("FINE".to_owned()), Reply::Error("BAD luck".to_owned())];
    assert_eq!(
        both,
        Ok(Reply::Array(expected.to_vec())),
        "an error inside is no error of the call"
    );
}

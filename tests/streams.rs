//! Streams through the engine: what a script that fails must undo, one kind of change at a time,
//! what an undo costs, and how streams look in RESP3 and from scripts.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "atomic/cost.rs"]
mod cost;

use cost::shortest;
use moonkv::{Clock, Engine, Options, Protocol, Reply};
use std::time::Duration;

const NO_KEYS: [&str; 0] = [];

/// The time at which all of this happens.
const START_MS: i64 = 1_700_000_000_000;

fn open() -> Engine {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: START_MS };
    options.script_timeout = None;
    Engine::open(&options).expect("an engine opens")
}

fn run(engine: &Engine, command: &str) -> Reply {
    let words: Vec<&str> = command.split(' ').collect();
    engine.command(&words).unwrap_or_else(|error| Reply::Error(error.to_string()))
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Null => "nil".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Array(elements) => {
            format!("[{}]", elements.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        Reply::Status(text) | Reply::Error(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn check(engine: &Engine, command: &str, expected: &str) {
    assert_eq!(text(&run(engine, command)), expected, "{command}");
}

// ---- Undo.

/// Two nodes and a bit, a group with two consumers, things pending for both, one of them gone.
fn ground() -> Engine {
    let engine = open();
    for at in 1..=250 {
        run(&engine, &format!("XADD s {at}-1 f {at}"));
    }
    for command in [
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s other 100 ENTRIESREAD 100",
        "XREADGROUP GROUP g a COUNT 20 STREAMS s >",
        "XREADGROUP GROUP g b COUNT 30 STREAMS s >",
        "XDEL s 5-1 120-1",
        "SET string 1",
    ] {
        run(&engine, command);
    }
    engine.advance_clock(5000).expect("the clock is manual");
    engine
}

/// All there is to know of a stream.
fn state(engine: &Engine) -> Reply {
    run(engine, "XINFO STREAM s FULL COUNT 0")
}

/// Runs commands, separated by semicolons, in a script that fails.
fn fail(engine: &Engine, commands: &str) {
    let calls = commands.split("; ").map(|command| {
        let words: Vec<String> = command.split(' ').map(|word| format!("'{word}'")).collect();
        format!("redis.call({})", words.join(", "))
    });
    let script = format!("{} error('undo it')", calls.collect::<Vec<_>>().join(" "));
    let error = engine.eval(&script, &NO_KEYS, &NO_KEYS).expect_err("it fails").to_string();
    assert!(error.contains("undo it"), "{commands}: {error}");
}

/// Changes of the ground, each a script.
const CHANGES: &[&str] = &[
    "XADD s * f v",
    "XADD s 251-* f v; XADD s 252-1 f v g w; XADD s 9999999999999-0 other v",
    "XDEL s 7-1",
    "XDEL s 250-1; XADD s * f v",
    "XTRIM s MAXLEN 40; XDEL s 211-1 212-1 213-1; XTRIM s MAXLEN 0; XADD s * f v",
    "XTRIM s MAXLEN ~ 100",
    "XTRIM s MINID 130",
    "XADD s MAXLEN 10 * f v; XADD s MAXLEN 9 * f v",
    "XSETID s 900 ENTRIESADDED 1000 MAXDELETEDID 300",
    // A node that was trimmed empty stays, and takes entries from before its own.
    "XDEL s 250-1; XTRIM s MINID 250; XSETID s 90; XADD s 91-1 f v",
    "XGROUP CREATE s new $; XREADGROUP GROUP new a STREAMS s 0",
    "XGROUP DESTROY s g; XGROUP DESTROY s other; XGROUP CREATE s g 3",
    "XGROUP SETID s g 4-0; XREADGROUP GROUP g a STREAMS s >",
    "XGROUP CREATECONSUMER s g new; XREADGROUP GROUP g new COUNT 5 STREAMS s >",
    "XGROUP DELCONSUMER s g b; XGROUP DELCONSUMER s g a; XGROUP CREATECONSUMER s g c",
    "XREADGROUP GROUP g a STREAMS s >; XREADGROUP GROUP g b NOACK STREAMS s >",
    "XREADGROUP GROUP g a STREAMS s 0",
    "XACK s g 1-1 2-1 30-1",
    "XCLAIM s g a 0 5-1 30-1 31-1 JUSTID; XCLAIM s g new 0 77-1 FORCE LASTID 90-0",
    "XAUTOCLAIM s g c 1000 - COUNT 40",
    "XDEL s 1-1; XAUTOCLAIM s g a 0 -; XGROUP DELCONSUMER s g b; XACK s g 2-1",
    "DEL s; XADD s 1-1 f v",
    "RENAME s t; XADD t * f v; XADD s * f v; RENAME t s",
    "EXPIRE s 100; XADD s * f v; PERSIST s",
];

/// Holds every change to it that it is undone, to the last byte of what the stream is written as.
fn all_is_undone(engine: &Engine) {
    let (before, written) = (state(engine), run(engine, "DUMP s"));
    for change in CHANGES {
        let copy = engine.fork().expect("a copy");
        fail(engine, change);
        assert_eq!(text(&state(engine)), text(&before), "{change}");
        assert_eq!(text(&state(&copy)), text(&before), "{change}: the copy");
        assert!(run(engine, "DUMP s") == written, "{change}: it is written otherwise");
        change.split("; ").for_each(|command| {
            let reply = text(&run(&copy, command));
            assert!(!reply.starts_with("ERR") && !reply.starts_with("NO"), "{command}: {reply}");
        });
        assert_ne!(text(&state(&copy)), text(&before), "{change} changes something");
        assert_eq!(text(&state(engine)), text(&before), "{change}: the copy is one");
    }
}

#[test]
fn every_kind_of_change_to_a_stream_that_was_restored_is_undone() {
    let engine = ground();
    let before = text(&state(&engine));
    let Reply::Bulk(payload) = run(&engine, "DUMP s") else { panic!("there is a stream") };
    let restore: [&[u8]; 5] = [b"RESTORE", b"s", b"0", &payload, b"REPLACE"];
    assert_eq!(text(&engine.command(&restore).expect("it is restored")), "OK");
    assert_eq!(text(&state(&engine)), before);
    all_is_undone(&engine);
}

#[test]
fn every_kind_of_change_is_undone() {
    let engine = ground();
    all_is_undone(&engine);
    for command in ["XDEL s 250-1", "XTRIM s MINID 250", "XSETID s 90"] {
        run(&engine, command);
    }
    let empty = text(&state(&engine));
    assert!(empty.starts_with("[length 0 radix-tree-keys 1 "), "{empty}");
    fail(&engine, "XADD s 91-1 f v; XADD s * f v");
    assert_eq!(text(&state(&engine)), empty);
    fail(&engine, "XGROUP CREATE new g $ MKSTREAM; XADD newer * f v");
    check(&engine, "EXISTS new newer", "0");
}

#[test]
fn undo_does_not_cost_the_stream() {
    let engine = open();
    let fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'f', 'v') end
        redis.call('XGROUP', 'CREATE', KEYS[1], 'g', 0)
        redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', KEYS[1], '>')
        return 1";
    for (key, entries) in [("small", "2000"), ("large", "400000")] {
        engine.eval(fill, &[key], &[entries]).expect("entries are added");
    }
    let scripts = [
        "redis.call('XADD', KEYS[1], '*', 'f', 'v')",
        "redis.call('XDEL', KEYS[1], '1000-0')",
        "redis.call('XTRIM', KEYS[1], 'MINID', '150')",
        "redis.call('XACK', KEYS[1], 'g', '1000-0')",
        "redis.call('XCLAIM', KEYS[1], 'g', 'other', 0, '1000-0')",
        "redis.call('XGROUP', 'DESTROY', KEYS[1], 'g')",
        "redis.call('DEL', KEYS[1])",
    ];
    for script in scripts {
        let [small, large] = ["small", "large"].map(|key| shortest(&engine, script, key));
        println!("{script}: {small:?} for 2000 entries, {large:?} for 400000");
        assert!(large < small * 20 + Duration::from_micros(20), "{script}: {small:?}, {large:?}");
    }
    check(&engine, "XLEN large", "400000");
    check(&engine, "XPENDING large g", "[400000 1-0 400000-0 [[c 400000]]]");
}

// ---- Replies.

#[test]
fn ids_follow_the_clock_and_never_go_back() {
    let engine = open();
    check(&engine, "XADD s * f v", "1700000000000-0");
    check(&engine, "XADD s * f v", "1700000000000-1");
    check(&engine, "XADD s 1800000000000-7 f v", "1800000000000-7");
    check(&engine, "XADD s * f v", "1800000000000-8");
    check(&engine, "XADD s 1800000000000-* f v", "1800000000000-9");
    check(&engine, "XADD s 1800000000001-* f v", "1800000000001-0");
    let small = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    check(&engine, "XADD s 1-* f v", small);
    check(&engine, "XADD t 0-* f v", "0-1");
    check(&engine, "XADD t NOMKSTREAM 1 f v", "1-0");
    check(&engine, "XADD nothing NOMKSTREAM 1 f v", "nil");
    check(&engine, "EXISTS nothing", "0");
    check(&engine, "XSETID t 18446744073709551615-18446744073709551615", "OK");
    check(
        &engine,
        "XADD t * f v",
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    );
}

#[test]
fn a_stream_stays_when_it_is_empty() {
    let engine = open();
    run(&engine, "XADD s 5-0 f v");
    check(&engine, "XDEL s 5-0", "1");
    check(&engine, "TYPE s", "stream");
    check(&engine, "OBJECT ENCODING s", "stream");
    check(&engine, "SCAN 0 TYPE stream", "[0 [s]]");
    check(
        &engine,
        "XADD s 5-0 f v",
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    );
    check(&engine, "XRANGE s - +", "[]");
    check(
        &engine,
        "LPUSH s x",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn options_of_groups_may_be_repeated_but_not_too_often() {
    let engine = open();
    let too_many = |own: &str| {
        format!("ERR unknown subcommand or wrong number of arguments for '{own}'. Try XGROUP HELP.")
    };
    check(&engine, "XGROUP CREATE s g 0 MKSTREAM MKSTREAM ENTRIESREAD 1", &too_many("CREATE"));
    check(&engine, "EXISTS s", "0");
    check(&engine, "XGROUP CREATE s g 0 MKSTREAM MKSTREAM MKSTREAM", "OK");
    check(&engine, "XGROUP setId s g 0 ENTRIESREAD 1 ENTRIESREAD 2", &too_many("setId"));
    let no_group = "NOGROUP No such consumer group 'h' for key name 's'";
    check(&engine, "XGROUP SETID s h 0 ENTRIESREAD 1 ENTRIESREAD 2", no_group);
    run(&engine, "SET string 1");
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    check(&engine, "XGROUP CREATE string g 0 MKSTREAM MKSTREAM ENTRIESREAD 1", wrong);
}

#[test]
fn a_consumer_takes_up_where_it_was() {
    let engine = open();
    for at in 1..=4 {
        run(&engine, &format!("XADD s {at}-0 f {at}"));
    }
    run(&engine, "XGROUP CREATE s g 0");
    check(&engine, "XREADGROUP GROUP g a COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]");
    check(&engine, "XREADGROUP GROUP g b COUNT 2 STREAMS s >", "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]");
    engine.advance_clock(700).expect("the clock is manual");
    run(&engine, "XDEL s 2-0");
    check(&engine, "XREADGROUP GROUP g b STREAMS s 0", "[[s [[2-0 nil] [3-0 [f 3]]]]]");
    check(&engine, "XPENDING s g - + 9", "[[1-0 a 700 1] [2-0 b 700 1] [3-0 b 0 2]]");
    check(&engine, "XPENDING s g IDLE 500 - + 9 b", "[[2-0 b 700 1]]");
    check(&engine, "XAUTOCLAIM s g a 500 -", "[0-0 [[1-0 [f 1]]] [2-0]]");
    check(&engine, "XACK s g 1-0 2-0 3-0", "2");
    check(&engine, "XINFO CONSUMERS s g", "[[name a pending 0 idle 0] [name b pending 0 idle 0]]");
    check(&engine, "XREADGROUP GROUP g a STREAMS s >", "[[s [[4-0 [f 4]]]]]");
    check(&engine, "XREADGROUP GROUP g a STREAMS s >", "nil");
}

#[test]
fn streams_by_key_are_a_map_in_resp3_and_arrays_in_resp2() {
    let engine = open();
    run(&engine, "XADD a 1-0 f 1");
    run(&engine, "XADD b 2-0 f 2");
    let words = ["XREAD", "STREAMS", "a", "b", "0", "0"];
    let as_bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let wire = |protocol| {
        let bytes = engine.command_resp(&as_bytes, protocol).expect("a reply");
        String::from_utf8(bytes).expect("text").replace("\r\n", " ")
    };
    let [one, two] =
        [(1, "a"), (2, "b")].map(|(at, key)| format!("$1 {key} *1 *2 $3 {at}-0 *2 $1 f $1 {at} "));
    assert_eq!(wire(Protocol::Resp2), format!("*2 *2 {one}*2 {two}"));
    assert_eq!(wire(Protocol::Resp3), format!("%2 {one}{two}"));
    let script = "local r = redis.call('XREAD', 'STREAMS', 'a', 'b', '0', '0')
        redis.setresp(3)
        local m = redis.call('XREAD', 'STREAMS', 'a', 'b', '0', '0').map
        return {r[2][1], r[2][2][1][1], m.a[1][1], m.b[1][2][2]}";
    let reply = engine.eval(script, &NO_KEYS, &NO_KEYS).expect("it runs");
    assert_eq!(text(&reply), "[b 2-0 1-0 2]");
}

#[test]
fn scripts_do_not_wait() {
    let engine = open();
    let script = "return redis.call('xRead', 'BLOCK', 0, 'STREAMS', 's', '$')";
    let error = engine.eval(script, &NO_KEYS, &NO_KEYS).expect_err("it fails").to_string();
    let expected = "ERR xRead command is not allowed with BLOCK option from scripts";
    assert!(error.starts_with(expected), "{error}");
    check(&engine, "XREAD COUNT 1 STREAMS s $", "nil");
}

//! Sets through the door of commands: the encodings of what is stored, and random members.
//!
//! The recorded answers and the comparison with a redis-server see the rest; these are what they
//! cannot: draws at random, and encodings that follow from how Redis goes about it.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, Options, Protocol, Reply};
use std::collections::BTreeSet;

fn engine() -> Engine {
    Engine::open(&Options::redis()).expect("an engine opens")
}

fn ask(engine: &Engine, words: &str) -> Reply {
    let argv: Vec<&str> = words.split(' ').collect();
    match engine.command(&argv) {
        Ok(reply) => reply,
        Err(Error::Reply { message, .. }) => Reply::Error(message),
        Err(error) => panic!("{words}: {error}"),
    }
}

fn texts(reply: &Reply) -> Vec<String> {
    let elements = reply.as_array().unwrap_or_else(|| panic!("no array: {reply:?}"));
    elements.iter().map(|element| element.as_str().expect("a text").to_owned()).collect()
}

fn encoding(engine: &Engine, key: &str) -> String {
    let reply = ask(engine, &format!("OBJECT ENCODING {key}"));
    reply.as_str().unwrap_or("none").to_owned()
}

/// Adds `letter` with so many numbers to a set.
fn fill(engine: &Engine, key: &str, letter: &str, numbers: std::ops::Range<usize>) {
    let mut argv = vec!["SADD".to_owned(), key.to_owned()];
    argv.extend(numbers.map(|i| format!("{letter}{i}")));
    engine.command(&argv).expect("members are added");
}

fn check_error(engine: &Engine, words: &str, text: &str) {
    assert_eq!(ask(engine, words), Reply::Error(text.to_owned()), "{words}");
}

#[test]
fn integers_make_an_intset_until_there_are_too_many() {
    let engine = engine();
    fill(&engine, "s", "", 0..512);
    assert_eq!(encoding(&engine, "s"), "intset");
    ask(&engine, "SADD s 511");
    assert_eq!(encoding(&engine, "s"), "intset", "it was there before");
    ask(&engine, "SADD s 512");
    assert_eq!(encoding(&engine, "s"), "hashtable");
    ask(&engine, "SREM s 512 511 510");
    assert_eq!(encoding(&engine, "s"), "hashtable", "nothing converts back");
    ask(&engine, "SADD t 3 1 -2");
    assert_eq!(texts(&ask(&engine, "SMEMBERS t")), ["-2", "1", "3"]);
    ask(&engine, "SADD t 01");
    assert_eq!(encoding(&engine, "t"), "hashtable");
    assert_eq!(ask(&engine, "TYPE t").as_str(), Some("set"));
}

/// What is left of a large set that is nearly emptied at once is a new set, as it is in Redis.
#[test]
fn popping_most_of_a_set_makes_it_anew() {
    let engine = engine();
    for (popped, expected) in [(100, "hashtable"), (500, "hashtable"), (501, "intset")] {
        ask(&engine, "DEL s");
        fill(&engine, "s", "", 0..601);
        assert_eq!(encoding(&engine, "s"), "hashtable");
        let all: BTreeSet<String> = texts(&ask(&engine, "SMEMBERS s")).into_iter().collect();
        let gone = texts(&ask(&engine, &format!("SPOP s {popped}")));
        let left = texts(&ask(&engine, "SMEMBERS s"));
        assert_eq!((gone.len(), left.len()), (popped, 601 - popped));
        assert_eq!(gone.into_iter().chain(left).collect::<BTreeSet<_>>(), all);
        assert_eq!(encoding(&engine, "s"), expected, "{popped} of 601");
    }
    assert_eq!(texts(&ask(&engine, "SPOP s 1000")).len(), 100);
    assert_eq!(ask(&engine, "EXISTS s"), Reply::Integer(0));
}

/// Redis subtracts in one of two ways; where it adds all and then removes, the form stays.
#[test]
fn a_stored_difference_has_the_form_redis_gives_it() {
    let engine = engine();
    fill(&engine, "first", "", 0..40);
    ask(&engine, "SADD first x");
    for other in ["a", "b", "c", "d"] {
        ask(&engine, &format!("SADD {other} x"));
    }
    assert_eq!(ask(&engine, "SDIFFSTORE to first a"), Reply::Integer(40));
    assert_eq!(encoding(&engine, "to"), "intset", "few sets are looked into");
    assert_eq!(ask(&engine, "SDIFFSTORE to first a b c d"), Reply::Integer(40));
    assert_eq!(encoding(&engine, "to"), "hashtable", "of many all members are removed");
    assert_eq!(ask(&engine, "SDIFFSTORE first first first"), Reply::Integer(0));
    assert_eq!(ask(&engine, "EXISTS first"), Reply::Integer(0));
}

#[test]
fn a_target_is_replaced_whatever_it_was() {
    let engine = engine();
    ask(&engine, "SADD s a b 1");
    ask(&engine, "SADD t a 1 2");
    for (command, expected) in
        [("SINTERSTORE", vec!["1", "a"]), ("SUNIONSTORE", vec!["1", "2", "a", "b"])]
    {
        ask(&engine, "SET to text EX 100");
        let count = ask(&engine, &format!("{command} to s t"));
        assert_eq!(count, Reply::Integer(expected.len() as i64));
        let mut members = texts(&ask(&engine, "SMEMBERS to"));
        members.sort();
        assert_eq!(members, expected);
        assert_eq!(ask(&engine, "TTL to"), Reply::Integer(-1));
    }
    // What a union shares with its largest source is each key's own afterwards.
    ask(&engine, "SADD s new");
    ask(&engine, "SREM to b");
    assert_eq!(ask(&engine, "SMISMEMBER s b new"), ask(&engine, "SMISMEMBER s a 1"));
    assert_eq!(ask(&engine, "SISMEMBER to new"), Reply::Integer(0));
    ask(&engine, "SET text some");
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    check_error(&engine, "SUNIONSTORE to s none text", wrong);
    check_error(&engine, "SINTERSTORE to none text", wrong);
    assert_eq!(ask(&engine, "SCARD to"), Reply::Integer(3), "an error changes nothing");
    assert_eq!(ask(&engine, "SINTERSTORE text none s"), Reply::Integer(0));
    assert_eq!(ask(&engine, "EXISTS text"), Reply::Integer(0));
}

#[test]
fn samples_are_distinct_and_repetitions_are_not() {
    let engine = engine();
    for (letter, count) in [("", 20), ("m", 20), ("m", 2000)] {
        ask(&engine, "DEL s");
        fill(&engine, "s", letter, 0..count);
        let all: BTreeSet<String> = texts(&ask(&engine, "SMEMBERS s")).into_iter().collect();
        for asked in [0, 1, 7, count - 1, count, count + 5] {
            let sample = texts(&ask(&engine, &format!("SRANDMEMBER s {asked}")));
            assert_eq!(sample.len(), asked.min(count));
            let distinct: BTreeSet<String> = sample.into_iter().collect();
            assert_eq!(distinct.len(), asked.min(count));
            assert!(distinct.is_subset(&all));
        }
        let repeated = texts(&ask(&engine, &format!("SRANDMEMBER s -{}", count * 20)));
        assert_eq!(repeated.len(), count * 20);
        assert_eq!(repeated.into_iter().collect::<BTreeSet<_>>(), all, "each comes in the end");
    }
}

#[test]
fn random_commands_repeat_themselves_in_another_engine() {
    let draw = || {
        let engine = engine();
        fill(&engine, "s", "m", 0..500);
        let drawn = ["SRANDMEMBER s 10", "SRANDMEMBER s -10", "SPOP s 10", "SPOP s 450"];
        drawn.map(|words| texts(&ask(&engine, words)))
    };
    assert_eq!(draw(), draw());
}

#[test]
fn counts_that_make_no_sense_are_refused() {
    let engine = engine();
    ask(&engine, "SADD s a");
    let positive = "ERR value is out of range, must be positive";
    check_error(&engine, "SPOP s -1", positive);
    check_error(&engine, "SPOP s x", positive);
    check_error(&engine, "SPOP s 1 2", "ERR syntax error");
    check_error(&engine, "SRANDMEMBER s x", "ERR value is not an integer or out of range");
    check_error(&engine, "SRANDMEMBER s 1 2", "ERR syntax error");
    check_error(
        &engine,
        "SRANDMEMBER s -9223372036854775808",
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    // Redis would begin to write four quintillion members.
    check_error(&engine, "SRANDMEMBER s -4611686018427387904", "ERR value is out of range");
    check_error(&engine, "SINTERCARD 0 s", "ERR numkeys should be greater than 0");
    check_error(
        &engine,
        "SINTERCARD 2 s",
        "ERR Number of keys can't be greater than number of args",
    );
    check_error(&engine, "SINTERCARD 1 s LIMIT -1", "ERR LIMIT can't be negative");
    assert_eq!(ask(&engine, "SCARD s"), Reply::Integer(1));
}

#[test]
fn sets_are_sets_in_resp3_where_redis_says_so() {
    let mut options = Options::redis();
    options.protocol = Protocol::Resp3;
    let engine = Engine::open(&options).expect("an engine opens");
    ask(&engine, "SADD s 1 2");
    let is_set = |words| matches!(ask(&engine, words), Reply::Set(_));
    for words in ["SMEMBERS s", "SINTER s", "SUNION s t", "SDIFF s t", "SPOP s 0", "SMEMBERS t"] {
        assert!(is_set(words), "{words}");
    }
    for words in ["SRANDMEMBER s 2", "SRANDMEMBER s -2", "SMISMEMBER s 1", "SSCAN s 0"] {
        assert!(matches!(ask(&engine, words), Reply::Array(_)), "{words}");
    }
}

//! Parameters: what they mean for encodings, and what is wrong with bad ones.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, Options, Protocol, Reply};

fn engine() -> Engine {
    Engine::new().expect("an engine opens")
}

/// Runs a command given as words; an error comes back as its text.
fn run(engine: &Engine, command: &str) -> Reply {
    let words: Vec<&str> = command.split(' ').collect();
    match engine.command(&words) {
        Ok(reply) => reply,
        Err(error) => Reply::Error(error.to_string()),
    }
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

#[test]
fn a_parameter_decides_which_form_a_value_takes_from_then_on() {
    // The parameter, the command that makes the value, its form before and after.
    let cases = [
        ("hash-max-listpack-entries 1", "HSET k a 1 b 2", "listpack", "hashtable"),
        ("hash-max-ziplist-value 1", "HSET k a 12", "listpack", "hashtable"),
        ("zset-max-listpack-entries 1", "ZADD k 1 a 2 b", "listpack", "skiplist"),
        ("zset-max-listpack-value 1", "ZADD k 1 ab", "listpack", "skiplist"),
        ("set-max-intset-entries 1", "SADD k 1 2", "intset", "hashtable"),
    ];
    for (parameter, make, before, after) in cases {
        let engine = engine();
        run(&engine, make);
        assert_eq!(run(&engine, "OBJECT ENCODING k"), bulk(before), "{make}");
        run(&engine, &format!("CONFIG SET {parameter}"));
        assert_eq!(run(&engine, "OBJECT ENCODING k"), bulk(before), "what is there stays");
        run(&engine, "DEL k");
        run(&engine, make);
        assert_eq!(run(&engine, "OBJECT ENCODING k"), bulk(after), "{parameter}");
    }
}

#[test]
fn an_engine_can_be_opened_with_parameters() {
    let mut options = Options::default();
    options.config = vec![("hash-max-listpack-entries".to_owned(), "1".to_owned())];
    options.databases = 2;
    let engine = Engine::open(&options).expect("an engine opens");
    run(&engine, "HSET k a 1 b 2");
    assert_eq!(run(&engine, "OBJECT ENCODING k"), bulk("hashtable"));
    assert_eq!(
        run(&engine, "CONFIG GET databases"),
        Reply::Array(vec![bulk("databases"), bulk("2")])
    );
    assert_eq!(run(&engine, "SELECT 2"), Reply::Error("ERR DB index is out of range".to_owned()));
    // A copy has the same.
    let copy = engine.fork().expect("a copy");
    run(&copy, "HSET other a 1 b 2");
    assert_eq!(run(&copy, "OBJECT ENCODING other"), bulk("hashtable"));
    for (name, value) in [("nonsense", "1"), ("databases", "3"), ("hash-max-listpack-value", "x")] {
        options.config = vec![(name.to_owned(), value.to_owned())];
        assert!(matches!(Engine::open(&options), Err(Error::Options { .. })), "{name}");
    }
}

#[test]
fn bad_values_are_refused_and_then_nothing_is_set() {
    let engine = engine();
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    let cases = [
        ("foo bar", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'".to_owned()),
        ("hash-max-listpack-entries 7 x", "ERR syntax error".to_owned()),
        (
            "hash-max-listpack-entries 7 zset-max-listpack-entries x",
            format!(
                "{failed} 'zset-max-listpack-entries') - argument couldn't be parsed into an integer"
            ),
        ),
        (
            "Hash-max-listpack-entries -1",
            format!(
                "{failed} 'hash-max-listpack-entries') - argument must be between 0 and 9223372036854775807 inclusive"
            ),
        ),
        (
            "list-max-listpack-size 99999999999",
            format!(
                "{failed} 'list-max-listpack-size') - argument must be between -2147483648 and 2147483647 inclusive"
            ),
        ),
        (
            "hash-max-listpack-value 1xb",
            format!("{failed} 'hash-max-listpack-value') - argument must be a memory value"),
        ),
        ("databases 3", format!("{failed} 'databases') - can't set immutable config")),
        (
            "hash-max-listpack-entries 7 HASH-max-listpack-entries 6",
            format!("{failed} 'HASH-max-listpack-entries') - duplicate parameter"),
        ),
    ];
    for (pairs, expected) in cases {
        assert_eq!(run(&engine, &format!("CONFIG SET {pairs}")), Reply::Error(expected), "{pairs}");
    }
    let entries = run(&engine, "CONFIG GET hash-max-listpack-entries");
    assert_eq!(entries, Reply::Array(vec![bulk("hash-max-listpack-entries"), bulk("512")]));
}

#[test]
fn parameters_are_found_by_name_and_by_pattern_each_once() {
    let engine = engine();
    run(&engine, "CONFIG SET stream-node-max-bytes 4kb hash-max-listpack-value 2k");
    assert_eq!(
        run(&engine, "CONFIG GET STREAM-node-max-bytes *-node-max-bytes"),
        Reply::Array(vec![bulk("STREAM-node-max-bytes"), bulk("4096")])
    );
    let Reply::Array(hashes) = run(&engine, "CONFIG GET hash-max-*-value") else {
        panic!("an array in RESP2")
    };
    let names = ["hash-max-listpack-value", "hash-max-ziplist-value"];
    assert_eq!(hashes, names.map(|name| [bulk(name), bulk("2000")]).concat());
    assert_eq!(run(&engine, "CONFIG GET nothing*"), Reply::Array(Vec::new()));
    let resp = engine.command_resp(&["CONFIG", "GET", "databases"], Protocol::Resp3);
    assert_eq!(resp.expect("a reply"), b"%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
}

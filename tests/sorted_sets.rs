//! Sorted sets by their commands: scores that are changed, sets that are combined and stored, and
//! members of collections taken or drawn. What redis-server 7.0.15 answers to each was asked of it.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Options, Protocol};
use std::collections::BTreeSet;

fn engine() -> Engine {
    Engine::open(&Options::redis()).expect("an engine opens")
}

/// Runs a command given as words; its reply as RESP, one space for each end of a line.
fn resp(engine: &Engine, command: &str, protocol: Protocol) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let bytes = engine.command_resp(&words, protocol).expect("every command gets a reply");
    String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
}

/// The same without the lengths of strings, which say nothing more.
fn run(engine: &Engine, command: &str) -> String {
    let reply = resp(engine, command, Protocol::Resp2);
    let is_length = |word: &&str| word.len() > 1 && word.starts_with('$') && *word != "$-1";
    reply.split(' ').filter(|word| !is_length(word)).collect::<Vec<_>>().join(" ")
}

fn play(engine: &Engine, script: &[(&str, &str)]) {
    for (command, expected) in script {
        assert_eq!(run(engine, command), *expected, "{command}");
    }
}

/// Two sorted sets and a set that have members in common.
fn filled() -> Engine {
    let engine = engine();
    for command in ["ZADD a 1 x 2 y 3 z", "ZADD b 10 y inf z", "SADD s x y w", "SET text v"] {
        run(&engine, command);
    }
    engine
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn sets_are_combined_in_the_order_of_the_scores() {
    play(
        &filled(),
        &[
            ("ZUNION 2 a b WITHSCORES", "*6 x 1 y 12 z inf"),
            ("ZUNION 2 a s WITHSCORES", "*8 w 1 x 2 y 3 z 3"),
            ("ZUNION 2 a b WEIGHTS 1 2 AGGREGATE max WITHSCORES", "*6 x 1 y 20 z inf"),
            ("ZUNION 1 a WEIGHTS -1", "*3 z y x"),
            ("ZINTER 3 a b s WITHSCORES", "*2 y 13"),
            ("ZINTER 2 a a AGGREGATE MIN", "*3 x y z"),
            ("ZDIFF 2 a b WITHSCORES", "*2 x 1"),
            ("ZDIFF 2 s a WITHSCORES", "*2 w 1"),
            ("ZDIFF 2 a a", "*0"),
            ("ZUNION 2 nothing none", "*0"),
            ("ZINTERCARD 2 a b", ":2"),
            ("ZINTERCARD 2 a b LIMIT 1", ":1"),
            ("ZINTERCARD 2 a b LIMIT 1 LIMIT 0", ":2"),
            ("ZINTERCARD 2 a nothing", ":0"),
        ],
    );
}

#[test]
fn what_is_no_number_counts_as_zero() {
    let engine = engine();
    run(&engine, "ZADD a inf x -inf y 0 z");
    run(&engine, "ZADD b -inf x inf y 5 z 3 q");
    play(
        &engine,
        &[
            ("ZUNION 2 a b WITHSCORES", "*8 x 0 y 0 q 3 z 5"),
            ("ZINTER 2 a b WEIGHTS 0 1 AGGREGATE MAX WITHSCORES", "*6 x 0 z 5 y inf"),
            ("ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MIN WITHSCORES", "*6 y -inf z 0 x inf"),
            ("ZUNION 1 b WEIGHTS -0 AGGREGATE SUM WITHSCORES", "*8 q -0 x 0 y 0 z -0"),
        ],
    );
}

#[test]
fn a_result_takes_the_place_of_whatever_the_target_held() {
    let engine = filled();
    play(
        &engine,
        &[
            ("EXPIRE text 100", ":1"),
            ("ZUNIONSTORE text 2 a b WEIGHTS 1 -0", ":3"),
            ("TTL text", ":-1"),
            ("ZRANGE text 0 -1 WITHSCORES", "*6 x 1 y 2 z 3"),
            ("ZINTERSTORE a 2 a s AGGREGATE MAX", ":2"),
            ("ZRANGE a 0 -1 WITHSCORES", "*4 x 1 y 2"),
            ("ZDIFFSTORE a 2 a s", ":0"),
            ("EXISTS a", ":0"),
            ("ZRANGESTORE s b (10 +inf BYSCORE", ":1"),
            ("ZRANGE s 0 -1", "*1 z"),
            ("ZRANGESTORE c b 0 0 REV", ":1"),
            ("ZRANGE c 0 -1", "*1 z"),
            ("ZRANGESTORE c b - + BYLEX LIMIT 0 0", ":0"),
            ("EXISTS c", ":0"),
            ("OBJECT ENCODING b", "listpack"),
        ],
    );
    let many: Vec<String> = (0..129).map(|at| format!("{at} m{at}")).collect();
    run(&engine, &format!("ZADD many {}", many.join(" ")));
    play(
        &engine,
        &[
            ("ZRANGESTORE c many 0 -1", ":129"),
            ("OBJECT ENCODING c", "skiplist"),
            ("ZRANGESTORE c many 0 127", ":128"),
            ("OBJECT ENCODING c", "listpack"),
            ("ZUNIONSTORE c 2 many b", ":131"),
            ("OBJECT ENCODING c", "skiplist"),
        ],
    );
}

#[test]
fn the_first_error_counts() {
    let engine = filled();
    let no_key = |name: &str| format!("-ERR at least 1 input key is needed for '{name}' command");
    let count = "-ERR count should be greater than 0";
    let keys = "-ERR numkeys should be greater than 0";
    let limit = "-ERR LIMIT can't be negative";
    let range = "-ERR value is out of range";
    let limits = "-ERR value is out of range, value must between -9223372036854775807 and \
                  9223372036854775807";
    play(
        &engine,
        &[
            ("ZUNION 0 a", &no_key("zunion")),
            ("ZINTERSTORE d -1 a", &no_key("zinterstore")),
            ("ZDIFF x a", "-ERR value is not an integer or out of range"),
            ("ZUNION 3 a b", "-ERR syntax error"),
            ("ZUNION 2 a text BOGUS", WRONG_TYPE),
            ("ZINTERCARD 2 nothing text", WRONG_TYPE),
            ("ZUNION 2 a b WEIGHTS 1", "-ERR syntax error"),
            ("ZUNION 2 a b WEIGHTS 1 nan", "-ERR weight value is not a float"),
            ("ZUNION 2 a b AGGREGATE mean", "-ERR syntax error"),
            ("ZUNIONSTORE d 1 a WITHSCORES", "-ERR syntax error"),
            ("ZDIFF 1 a WEIGHTS 1", "-ERR syntax error"),
            ("ZINTERCARD 1 a LIMIT -1", limit),
            ("ZINTERCARD 1 a LIMIT", "-ERR syntax error"),
            ("ZRANGESTORE d a 0 -1 WITHSCORES", "-ERR syntax error"),
            ("ZRANGESTORE d text 0 -1", WRONG_TYPE),
            ("EXISTS d", ":0"),
            ("ZMPOP x a MIN", keys),
            ("LMPOP 0 l LEFT", keys),
            ("ZMPOP 2 a MIN", "-ERR syntax error"),
            ("ZMPOP 1 a LEFT", "-ERR syntax error"),
            ("LMPOP 1 l LEFT COUNT 0 COUNT 1", count),
            ("LMPOP 1 l LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
            ("ZMPOP 2 text a MIN", WRONG_TYPE),
            ("ZRANDMEMBER a -9223372036854775808", limits),
            ("ZRANDMEMBER a 4611686018427387904 WITHSCORES", range),
            ("HRANDFIELD h -4611686018427387904 WITHVALUES", range),
            ("HRANDFIELD h 1 WITHSCORES", "-ERR syntax error"),
            ("HRANDFIELD text 1", WRONG_TYPE),
            // Redis would try, until it has no memory left.
            ("ZRANDMEMBER a -4611686018427387903", range),
        ],
    );
}

#[test]
fn members_and_elements_leave_the_first_collection_there_is() {
    let engine = filled();
    run(&engine, "RPUSH l 1 2 3 4");
    play(
        &engine,
        &[
            ("ZMPOP 2 nothing a MAX COUNT 2", "*2 a *2 *2 z 3 *2 y 2"),
            ("ZMPOP 2 a text MIN COUNT 9", "*2 a *1 *2 x 1"),
            ("ZMPOP 1 a MIN", "*-1"),
            ("LMPOP 2 nothing l RIGHT COUNT 2", "*2 l *2 4 3"),
            ("LMPOP 1 l LEFT", "*2 l *1 1"),
            ("LMPOP 1 l left count 5", "*2 l *1 2"),
            ("LMPOP 1 l LEFT", "*-1"),
            ("EXISTS a l", ":0"),
        ],
    );
}

#[test]
fn pairs_are_nested_where_the_protocol_has_doubles() {
    let engine = filled();
    for (command, expected) in [
        ("ZUNION 1 b WITHSCORES", "*2 *2 $1 y ,10 *2 $1 z ,inf"),
        ("ZMPOP 1 b MIN", "*2 $1 b *1 *2 $1 y ,10"),
        ("ZRANDMEMBER b 1 WITHSCORES", "*1 *2 $1 z ,inf"),
        ("HSET h f v", ":1"),
        ("HRANDFIELD h 5 WITHVALUES", "*1 *2 $1 f $1 v"),
        ("HRANDFIELD h", "$1 f"),
        ("HRANDFIELD nothing", "_"),
        ("ZMPOP 1 nothing MIN", "_"),
    ] {
        assert_eq!(resp(&engine, command, Protocol::Resp3), expected, "{command}");
    }
}

#[test]
fn what_is_drawn_is_there_and_different_unless_repeats_are_asked_for() {
    let engine = engine();
    for count in [20, 2_000] {
        run(&engine, "DEL z h");
        for at in 0..count {
            run(&engine, &format!("ZADD z {at} m{at}"));
            run(&engine, &format!("HSET h m{at} {at}"));
        }
        for (name, with) in [("ZRANDMEMBER z", "WITHSCORES"), ("HRANDFIELD h", "WITHVALUES")] {
            for asked in [1, 7, count / 2, count - 1, count, count + 5] {
                let drawn = run(&engine, &format!("{name} {asked} {with}"));
                let words: Vec<&str> = drawn.split(' ').skip(1).collect();
                assert_eq!(words.len(), 2 * asked.min(count), "{name} {asked}");
                assert!(words.chunks(2).all(|pair| pair[0] == format!("m{}", pair[1])));
                let different: BTreeSet<&str> = words.iter().step_by(2).copied().collect();
                assert_eq!(different.len(), asked.min(count), "{name} {asked}");
            }
            let repeated = run(&engine, &format!("{name} -{}", 3 * count));
            assert_eq!(repeated.split(' ').count(), 1 + 3 * count, "{name}");
        }
    }
    // All at once come from the highest on.
    run(&engine, "ZADD few 1 a 2 b 3 c");
    play(&engine, &[("ZRANDMEMBER few 3", "*3 c b a"), ("ZRANDMEMBER nothing 3", "*0")]);
}

#[test]
fn scores_change_by_one_look_up_as_they_did_by_several() {
    play(
        &engine(),
        &[
            ("ZADD z 1 a 2 b 3 c", ":3"),
            ("ZADD z CH 5 a 2 b 9 d", ":2"),
            ("ZADD z NX 7 a", ":0"),
            ("ZADD z XX 7 new", ":0"),
            ("ZADD z GT CH 4 a 6 b", ":1"),
            ("ZADD z LT CH 4 a 6 b", ":1"),
            ("ZADD z XX GT INCR -1 a", "$-1"),
            ("ZRANGE z 0 -1 WITHSCORES", "*8 c 3 a 4 b 6 d 9"),
            ("ZINCRBY z -10 d", "-1"),
            ("ZINCRBY z inf d", "inf"),
            ("ZINCRBY z NX d", "-ERR syntax error"),
            ("ZINCRBY z gt Incr", "-ERR syntax error"),
            ("ZINCRBY z GTX d", "-ERR value is not a valid float"),
            ("ZINCRBY z -inf d", "-ERR resulting score is not a number (NaN)"),
            // What may not be changed is not computed either.
            ("ZADD z NX INCR -inf d", "$-1"),
            ("ZADD z -0 e", ":1"),
            ("ZSCORE z e", "0"),
            ("ZRANGE z 0 -1", "*5 e c a b d"),
        ],
    );
}

//! How long keys were not used, how often they were, and which go when memory is short.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Clock, Engine, Options, Reply};

/// An engine whose clock the test moves.
fn engine() -> Engine {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: 1_700_000_000_000 };
    Engine::open(&options).expect("an engine opens")
}

/// Runs a command given as words; an error comes back as its text.
fn run(engine: &Engine, command: &str) -> Reply {
    let words: Vec<&str> = command.split(' ').collect();
    run_words(engine, &words)
}

fn run_words(engine: &Engine, words: &[&str]) -> Reply {
    match engine.command(words) {
        Ok(reply) => reply,
        Err(error) => Reply::Error(error.to_string()),
    }
}

fn advance(engine: &Engine, seconds: u64) {
    engine.advance_clock(seconds * 1000).expect("the clock is the test's");
}

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// The numbers of the keys `key:<number>` that are there.
fn left(engine: &Engine, count: i64) -> Vec<i64> {
    let exists = |number: &i64| run(engine, &format!("EXISTS key:{number}")) == Reply::Integer(1);
    (0..count).filter(exists).collect()
}

/// Limits memory to what the data takes now and some more bytes, under a policy.
fn limit(engine: &Engine, policy: &str, more: usize) {
    run(engine, "CONFIG SET maxmemory 1gb");
    let most = engine.used_memory().expect("the engine is open") + more;
    run(engine, &format!("CONFIG SET maxmemory-samples 64 maxmemory-policy {policy}"));
    assert_eq!(run(engine, &format!("CONFIG SET maxmemory {most}")), Reply::Status("OK".into()));
}

#[test]
fn a_use_ends_the_idle_time_and_a_look_does_not() {
    let uses =
        ["GET k", "TOUCH k", "STRLEN k", "EXPIRE k 1000", "APPEND k x", "DUMP k", "SINTER k"];
    let looks = ["EXISTS k", "TYPE k", "TTL k", "OBJECT ENCODING k", "SCAN 0", "MEMORY USAGE k"];
    for value in ["v".to_owned(), "v".repeat(3000)] {
        let engine = engine();
        run(&engine, &format!("SET k {value}"));
        for (commands, idle) in [(&looks[..], 7), (&uses[..], 0)] {
            for command in commands {
                run(&engine, "TOUCH k");
                advance(&engine, 7);
                run(&engine, command);
                let seconds = run(&engine, "OBJECT IDLETIME k");
                assert_eq!(seconds, Reply::Integer(idle), "{command}");
            }
        }
    }
    let engine = engine();
    for (make, key) in
        [("RPUSH l a", "l"), ("HSET h a 1", "h"), ("ZADD z 1 a", "z"), ("SADD s 1", "s")]
    {
        run(&engine, make);
        advance(&engine, 3);
        assert_eq!(run(&engine, &format!("OBJECT IDLETIME {key}")), Reply::Integer(3), "{make}");
        run(&engine, &format!("RENAME {key} other"));
        advance(&engine, 2);
        assert_eq!(run(&engine, "OBJECT IDLETIME other"), Reply::Integer(2), "{make}");
    }
    assert_eq!(run(&engine, "OBJECT IDLETIME none"), Reply::Null);
}

#[test]
fn what_is_not_noted_is_an_error() {
    let engine = engine();
    run(&engine, "SET k v");
    let no_frequency = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
        Please note that when switching between policies at runtime LRU and LFU data will take \
        some time to adjust.";
    assert_eq!(run(&engine, "OBJECT FREQ k"), error(no_frequency));
    assert_eq!(run(&engine, "OBJECT FREQ none"), Reply::Null);
    run(&engine, "CONFIG SET maxmemory-policy allkeys-lfu");
    let no_idle = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note \
        that when switching between policies at runtime LRU and LFU data will take some time to \
        adjust.";
    assert_eq!(run(&engine, "OBJECT IDLETIME k"), error(no_idle));
    assert_eq!(run(&engine, "OBJECT IDLETIME none"), Reply::Null);
}

#[test]
fn uses_are_counted_and_forgotten() {
    let engine = engine();
    run(&engine, "CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0");
    run(&engine, "SET k v");
    assert_eq!(run(&engine, "OBJECT FREQ k"), Reply::Integer(5));
    for (command, counted) in [("GET k", 6), ("EXISTS k", 6), ("SET k 5", 7), ("INCRBY k 1", 8)] {
        run(&engine, command);
        assert_eq!(run(&engine, "OBJECT FREQ k"), Reply::Integer(counted), "{command}");
    }
    run(&engine, "COPY k other");
    assert_eq!(run(&engine, "OBJECT FREQ other"), Reply::Integer(5));
    advance(&engine, 180);
    assert_eq!(run(&engine, "OBJECT FREQ k"), Reply::Integer(6));
    run(&engine, "CONFIG SET lfu-decay-time 0");
    assert_eq!(run(&engine, "OBJECT FREQ k"), Reply::Integer(9));
}

#[test]
fn restore_takes_a_note_of_the_kind_the_policy_goes_by() {
    let engine = engine();
    run(&engine, "SET k v");
    let Reply::Bulk(payload) = run(&engine, "DUMP k") else { panic!("DUMP gives bytes") };
    let restore = |key: &str, option: &str, value: &str| {
        let argv: [&[u8]; 6] =
            [b"RESTORE", key.as_bytes(), b"0", &payload, option.as_bytes(), value.as_bytes()];
        engine.command(&argv).expect("the payload is good")
    };
    restore("a", "IDLETIME", "77");
    restore("b", "FREQ", "77");
    assert_eq!(run(&engine, "OBJECT IDLETIME a"), Reply::Integer(77));
    assert_eq!(run(&engine, "OBJECT IDLETIME b"), Reply::Integer(0));
    run(&engine, "CONFIG SET maxmemory-policy volatile-lfu");
    restore("c", "FREQ", "77");
    restore("d", "IDLETIME", "77");
    assert_eq!(run(&engine, "OBJECT FREQ c"), Reply::Integer(77));
    assert_eq!(run(&engine, "OBJECT FREQ d"), Reply::Integer(5));
}

#[test]
fn parameters_are_checked() {
    let engine = engine();
    let failed = |name: &str, why: &str| {
        let begin = "ERR CONFIG SET failed (possibly related to argument '";
        error(&format!("{begin}{name}') - {why}"))
    };
    let policies = "argument(s) must be one of the following: volatile-lru, volatile-lfu, \
        volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction";
    let count = "argument must be between 0 and 2147483647 inclusive";
    let cases = [
        ("maxmemory-policy", "foo", policies),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("maxmemory", "1x", "argument must be a memory value"),
        ("maxmemory-samples", "0", "argument must be between 1 and 2147483647 inclusive"),
        ("maxmemory-samples", "x", "argument couldn't be parsed into an integer"),
        ("lfu-log-factor", "-1", count),
        ("lfu-decay-time", "99999999999", count),
    ];
    for (name, value, why) in cases {
        assert_eq!(run(&engine, &format!("CONFIG SET {name} {value}")), failed(name, why));
    }
    run(&engine, "CONFIG SET maxmemory-policy ALLKEYS-LFU maxmemory 100mb");
    for (name, value) in [("maxmemory-policy", "allkeys-lfu"), ("maxmemory", "104857600")] {
        let told = [name, value].map(|text| Reply::Bulk(text.into()));
        assert_eq!(run(&engine, &format!("CONFIG GET {name}")), Reply::Array(told.to_vec()));
    }
}

#[test]
fn without_eviction_what_may_grow_is_refused() {
    let engine = engine();
    run(&engine, "SET k v");
    run(&engine, "CONFIG SET maxmemory 1");
    assert_eq!(run(&engine, "SET a b"), error(OOM));
    assert_eq!(run(&engine, "COPY k kk"), error(OOM));
    assert_eq!(run(&engine, "GET k"), Reply::Bulk(b"v".to_vec()));
    assert_eq!(run(&engine, "DEL none"), Reply::Integer(0));
    run(&engine, "CONFIG SET maxmemory 0");
    assert_eq!(run(&engine, "SET a b"), Reply::Status("OK".into()));
}

#[test]
fn a_script_is_refused_growth_before_its_first_write_only() {
    let engine = engine();
    run(&engine, "SET k v");
    run(&engine, "CONFIG SET maxmemory 1");
    let eval = |script: &str| run_words(&engine, &["EVAL", script, "0"]);
    let refused = eval("return redis.call('set','x','y')");
    let told = matches!(&refused, Reply::Error(text) if text.starts_with(OOM) && text.contains("script: "));
    assert!(told, "{refused:?}");
    assert_eq!(eval("return redis.pcall('set','x','y')"), error(OOM));
    assert_eq!(eval("#!lua\nreturn redis.call('set','x','y')"), error(OOM));
    let done = Reply::Status("OK".into());
    assert_eq!(eval("redis.call('del','zz') return redis.call('set','x','y')"), done);
    assert_eq!(eval("#!lua flags=allow-oom\nreturn redis.call('set','x','y')"), done);
    let value = Reply::Bulk(b"y".to_vec());
    assert_eq!(eval("return redis.call('get','x')"), value);
    assert_eq!(eval("#!lua flags=no-writes\nreturn redis.call('get','x')"), value);
    let library = "#!lua name=l\n\
        redis.register_function('f', function() return redis.call('set','x','z') end)\n\
        redis.register_function{function_name='g', flags={'allow-oom'}, \
        callback=function() return redis.call('set','x','z') end}";
    assert_eq!(run_words(&engine, &["FUNCTION", "LOAD", library]), error(OOM));
    run(&engine, "CONFIG SET maxmemory 0");
    run_words(&engine, &["FUNCTION", "LOAD", library]);
    run(&engine, "CONFIG SET maxmemory 1");
    assert_eq!(run(&engine, "FCALL f 0"), error(OOM));
    assert_eq!(run(&engine, "FCALL g 0"), done);
}

#[test]
fn a_transaction_is_refused_as_it_is_queued_or_run() {
    let engine = engine();
    run(&engine, "SET k v");
    let session = engine.session().expect("the engine is open");
    let call = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        session.command(&words).unwrap_or_else(|error| Reply::Error(error.to_string()))
    };
    call("MULTI");
    call("SET a b");
    run(&engine, "CONFIG SET maxmemory 1");
    let refused = format!("EXECABORT Transaction discarded because of: {OOM}");
    assert_eq!(call("EXEC"), error(&refused));
    call("MULTI");
    assert_eq!(call("GET a"), error(OOM));
    let refused = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(call("EXEC"), error(refused));
    assert_eq!(call("EXEC"), error("ERR EXEC without MULTI"));
}

#[test]
fn each_policy_lets_go_what_it_says() {
    const COUNT: i64 = 40;
    let volatile = |number: i64| number % 2 == 1;
    // The policy, and whether a key may be among those that went.
    let cases: [(&str, &dyn Fn(i64) -> bool); 7] = [
        ("allkeys-lru", &|number| number < 20),
        ("volatile-lru", &|number| number < 20 && volatile(number)),
        ("allkeys-lfu", &|number| number < 20),
        ("volatile-lfu", &|number| number < 20 && volatile(number)),
        ("allkeys-random", &|_| true),
        ("volatile-random", &volatile),
        ("volatile-ttl", &|number| volatile(number) && number > 20),
    ];
    for (policy, may_go) in cases {
        let engine = engine();
        run(&engine, &format!("CONFIG SET maxmemory-policy {policy} lfu-log-factor 0"));
        for number in 0..COUNT {
            let ttl = 10_000 - number;
            let option = if volatile(number) { format!(" EX {ttl}") } else { String::new() };
            run(&engine, &format!("SET key:{number} value{option}"));
        }
        // Those from 20 on are used later, and more often.
        advance(&engine, 20);
        (20..COUNT).for_each(|number| drop(run(&engine, &format!("GET key:{number}"))));
        limit(&engine, policy, 0);
        for number in 0..5 {
            run(&engine, &format!("SET more:{number} value"));
        }
        run(&engine, "PING");
        let left = left(&engine, COUNT);
        let gone: Vec<i64> = (0..COUNT).filter(|number| !left.contains(number)).collect();
        assert!(
            !gone.is_empty() && gone.iter().all(|&number| may_go(number)),
            "{policy}: {gone:?}"
        );
        assert!(gone.len() < 12, "{policy}: {gone:?}");
    }
}

#[test]
fn where_nothing_may_go_growth_is_refused() {
    let engine = engine();
    run(&engine, "SET k v");
    limit(&engine, "volatile-lru", 0);
    assert_eq!(run(&engine, "SET a b"), Reply::Status("OK".into()), "there was room at the start");
    assert_eq!(run(&engine, "SET c d"), error(OOM));
    run(&engine, "EXPIRE a 100");
    assert_eq!(run(&engine, "SET c d"), Reply::Status("OK".into()), "the key that expires went");
    assert_eq!(run(&engine, "EXISTS a"), Reply::Integer(0));
}

#[test]
fn who_watches_a_key_is_told_that_it_was_evicted() {
    let engine = engine();
    run(&engine, "SET key:0 value");
    let session = engine.session().expect("the engine is open");
    session.command(&["WATCH", "key:0"]).expect("a key can be watched");
    advance(&engine, 10);
    limit(&engine, "allkeys-lru", 0);
    run(&engine, "SET more value");
    run(&engine, "PING");
    assert_eq!(left(&engine, 1), []);
    session.command(&["MULTI"]).expect("a transaction begins");
    assert_eq!(session.command(&["EXEC"]).expect("it ends"), Reply::Null);
}

#[test]
fn a_script_is_not_robbed_of_keys_and_a_transaction_gets_them_back() {
    let engine = engine();
    (0..10).for_each(|number| drop(run(&engine, &format!("SET key:{number} value"))));
    limit(&engine, "allkeys-lru", 10);
    let grow = "for i = 1, 50 do redis.call('SET', 'more:' .. i, 'value') end \
        return redis.call('DBSIZE')";
    assert_eq!(run_words(&engine, &["EVAL", grow, "0"]), Reply::Integer(60));
    run(&engine, "PING");
    let Reply::Integer(kept) = run(&engine, "DBSIZE") else { panic!("DBSIZE is a number") };
    assert!(kept <= 11, "{kept} keys fit");

    let used = engine.used_memory().expect("the engine is open");
    let session = engine.session().expect("the engine is open");
    session.begin().expect("a transaction begins");
    for number in 0..20 {
        session.command(&["SET", &format!("other:{number}"), "value"]).expect("there is room");
    }
    session.rollback().expect("it is undone");
    assert_eq!(engine.used_memory().expect("the engine is open"), used);
    assert_eq!(run(&engine, "DBSIZE"), Reply::Integer(kept));
}

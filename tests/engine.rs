//! The engine as a host sees it: threads, copies, time, handles, callbacks, options and shapes of
//! replies. What hostile scripts try is in `tests/hostile.rs`.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Call, Clock, Engine, Error, LogLevel, Options, Protocol, Reply, ReplyBuf, Script};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const NONE: [&str; 0] = [];
const START_MS: i64 = 1_700_000_000_000;

fn open(change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options::default();
    change(&mut options);
    Engine::open(&options).expect("an engine opens")
}

fn manual() -> Engine {
    open(|options| options.clock = Clock::Manual { start_ms: START_MS })
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Plays a transcript: what each command answers, in short.
fn check(engine: &Engine, transcript: &[(&str, &str)]) {
    for (line, expected) in transcript {
        let got = show(&engine.command(&words(line)));
        assert_eq!(got, *expected, "{line}");
    }
}

/// A reply as text: an error as itself, strings bare, containers in brackets.
fn show(reply: &Result<Reply, Error>) -> String {
    match reply {
        Ok(reply) => text(reply),
        Err(error) => error.to_string().split(" script: ").next().unwrap_or_default().to_owned(),
    }
}

fn text(reply: &Reply) -> String {
    let list = |elements: &[Reply]| elements.iter().map(text).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Null => "null".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Double(value) => format!("double {value}"),
        Reply::Boolean(value) => format!("boolean {value}"),
        Reply::Bulk(bytes) => bytes.escape_ascii().to_string(),
        Reply::Status(status) => format!("+{status}"),
        Reply::Error(error) => format!("-{error}"),
        Reply::BigNumber(digits) => format!("big {digits}"),
        Reply::Verbatim { format, text } => format!("{format}:{}", text.escape_ascii()),
        Reply::Array(elements) => format!("[{}]", list(elements)),
        Reply::Set(elements) => format!("set[{}]", list(elements)),
        Reply::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}={}", text(key), text(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn eval(engine: &Engine, script: &str) -> String {
    show(&engine.eval(script, &NONE, &NONE))
}

// ---- Threads.

#[test]
fn eight_threads_count_exactly() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 2_000;
    let engine = Engine::new().expect("an engine opens");
    let add = engine
        .prepare(
            "local n = tonumber(redis.call('GET', KEYS[1]) or 0)
             redis.call('SET', KEYS[1], n + 1)
             return n + 1",
        )
        .expect("it compiles");
    let last: Vec<i64> = thread::scope(|scope| {
        let rounds = || {
            let count = || add.run(&["n"], &NONE).expect("it runs").as_integer().expect("a number");
            (0..ROUNDS).map(|_| count()).inspect(|n| assert!(*n > 0)).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(rounds)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    let mut sorted = last.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(1..=(THREADS * ROUNDS) as i64), "each number came once");
    check(&engine, &[("GET n", "16000")]);
}

#[test]
fn closing_ends_the_calls_of_other_threads() {
    let engine = Engine::new().expect("an engine opens");
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            loop {
                if let Err(error) = engine.command(&["INCR", "n"]) {
                    return error;
                }
            }
        });
        thread::sleep(Duration::from_millis(5));
        assert_eq!(engine.close(), Ok(()));
        assert_eq!(waits.join().expect("it ends"), Error::Closed);
    });
}

#[test]
fn a_cancel_without_a_script_is_forgotten() {
    let engine = Engine::new().expect("an engine opens");
    engine.cancel();
    assert_eq!(eval(&engine, "for i = 1, 1e5 do end return 1"), "1");
}

// ---- Copies.

#[test]
fn a_copy_is_independent() {
    let engine = manual();
    let fill = [
        ("SET s text", "+OK"),
        ("RPUSH l a b c", "3"),
        ("HSET h f v", "1"),
        ("ZADD z 1 m", "1"),
        ("PEXPIRE s 5000", "1"),
    ];
    check(&engine, &fill);
    let sha1 = engine.script_load("return 1").expect("it compiles");
    let copy = engine.fork().expect("a copy");
    let shown = [
        ("GET s", "text"),
        ("LRANGE l 0 -1", "[a b c]"),
        ("HGETALL h", "[f v]"),
        ("ZRANGE z 0 -1 WITHSCORES", "[m 1]"),
        ("PTTL s", "5000"),
        ("DBSIZE", "4"),
    ];
    check(&copy, &shown);
    check(&copy, &[("APPEND s more", "8"), ("LPOP l", "a"), ("HSET h f w", "0"), ("DEL z", "1")]);
    check(&engine, &shown);
    check(&engine, &[("FLUSHALL", "+OK"), ("SET new 1", "+OK")]);
    check(
        &copy,
        &[("GET s", "textmore"), ("LLEN l", "2"), ("HGET h f", "w"), ("EXISTS new z", "0")],
    );

    assert_eq!(copy.script_exists(&[&sha1]), Ok(vec![false]), "scripts are not copied");
    assert_eq!(copy.options(), engine.options());
    assert_eq!(copy.advance_clock(6000), Ok(START_MS + 6000));
    check(&copy, &[("EXISTS s", "0")]);
    assert_eq!(engine.advance_clock(0), Ok(START_MS), "each has its own time");
    drop(engine);
    check(&copy, &[("LRANGE l 0 -1", "[b c]")]);
}

#[test]
fn a_copy_of_many_keys_shares_nothing_that_changes() {
    let engine = Engine::new().expect("an engine opens");
    let fill = "for i = 1, 5000 do redis.call('SET', 'k' .. i, i) end";
    assert_eq!(eval(&engine, fill), "null");
    let copies: Vec<Engine> = (0..4).map(|_| engine.fork().expect("a copy")).collect();
    for (i, copy) in copies.iter().enumerate() {
        let change = format!(
            "for i = 1, 5000 do
                if i % 4 == {i} then redis.call('DEL', 'k' .. i) else redis.call('INCR', 'k' .. i) end
             end"
        );
        assert_eq!(eval(copy, &change), "null");
    }
    let sum = "local sum = 0
               for i = 1, 5000 do sum = sum + (redis.call('GET', 'k' .. i) or 0) end return sum";
    assert_eq!(eval(&engine, sum), (5000 * 5001 / 2).to_string());
    for (i, copy) in copies.iter().enumerate() {
        let left = (1..=5000).filter(|n| n % 4 != i).map(|n| n + 1).sum::<usize>();
        assert_eq!(eval(copy, sum), left.to_string(), "copy {i}");
    }
}

// ---- Time.

#[test]
fn keys_expire_by_the_hosts_clock() {
    let engine = manual();
    check(&engine, &[("SET a 1 PX 100", "+OK"), ("SET b 2 EX 1", "+OK"), ("SET c 3", "+OK")]);
    assert_eq!(engine.advance_clock(100), Ok(START_MS + 100));
    check(&engine, &[("GET a", "1"), ("PTTL a", "0"), ("TTL b", "1")]);
    assert_eq!(engine.advance_clock(1), Ok(START_MS + 101));
    check(
        &engine,
        &[
            ("DBSIZE", "3"),
            ("GET a", "null"),
            ("DBSIZE", "2"),
            ("KEYS a", "[]"),
            ("KEYS b", "[b]"),
            ("KEYS c", "[c]"),
        ],
    );
    assert_eq!(engine.advance_clock(899), Ok(START_MS + 1000));
    check(&engine, &[("GET b", "2")]);
    assert_eq!(engine.advance_clock(1), Ok(START_MS + 1001));
    check(&engine, &[("TYPE b", "+none"), ("TTL b", "-2"), ("TTL c", "-1"), ("PERSIST b", "0")]);
    assert_eq!(eval(&engine, "return redis.call('SET', 'b', 'new', 'NX').ok"), "OK");
}

#[test]
fn clocks_refuse_what_makes_no_sense() {
    let system = Engine::new().expect("an engine opens");
    assert!(matches!(system.advance_clock(1), Err(Error::Options { .. })));
    let late = open(|options| options.clock = Clock::Manual { start_ms: i64::MAX - 5 });
    assert_eq!(late.advance_clock(5), Ok(i64::MAX));
    assert!(matches!(late.advance_clock(1), Err(Error::Options { .. })));
    assert!(matches!(late.advance_clock(u64::MAX), Err(Error::Options { .. })));
    assert_eq!(late.advance_clock(0), Ok(i64::MAX), "a refused step changes nothing");
}

#[test]
fn a_tick_removes_what_is_due_within_its_budget() {
    const KEYS: usize = 5_000;
    let engine = manual();
    let fill =
        "for i = 1, ARGV[1] do redis.call('SET', 'k' .. i, i, 'PX', i % 2 == 0 and 10 or 1e9) end";
    engine.eval(fill, &NONE, &[(2 * KEYS).to_string()]).expect("keys are set");
    let long = Duration::from_secs(60);
    assert_eq!(engine.tick(long).map(|tick| (tick.expired, tick.complete)), Ok((0, true)));
    engine.advance_clock(11).expect("the clock is manual");
    check(&engine, &[("DBSIZE", "10000")]);
    let (mut expired, mut ticks) = (0, 0);
    loop {
        let tick = engine.tick(Duration::ZERO).expect("it ticks");
        (expired, ticks) = (expired + tick.expired, ticks + 1);
        assert!(tick.expired < KEYS, "no budget is not enough for all");
        if tick.complete {
            break;
        }
    }
    assert_eq!(expired, KEYS);
    assert!(ticks > 10, "{ticks} ticks without a budget");
    check(&engine, &[("DBSIZE", "5000"), ("EXISTS k2", "0"), ("EXISTS k1", "1")]);
    engine.advance_clock(2_000_000_000).expect("the clock is manual");
    assert_eq!(engine.tick(long).map(|tick| (tick.expired, tick.complete)), Ok((KEYS, true)));
    check(&engine, &[("DBSIZE", "0")]);
}

#[test]
fn time_stands_still_in_a_script() {
    let engine = Engine::new().expect("an engine opens");
    let script = "redis.call('SET', 'k', 'v', 'PX', 1)
                  for i = 1, 3e6 do end
                  return {redis.call('GET', 'k'), redis.call('PTTL', 'k')}";
    assert_eq!(eval(&engine, script), "[v 1]");
    thread::sleep(Duration::from_millis(5));
    check(&engine, &[("GET k", "null")]);
}

// ---- Any bytes, any size.

#[test]
fn every_byte_passes() {
    let engine = Engine::new().expect("an engine opens");
    let all: Vec<u8> = (0..=255).chain([0, 255, 13, 10, 0]).collect();
    let ask = |argv: &[&[u8]]| engine.command(argv);
    let bulk = || Ok(Reply::Bulk(all.clone()));
    assert_eq!(ask(&[b"SET", &all, &all]), Ok(Reply::Status("OK".to_owned())));
    assert_eq!(ask(&[b"GET", &all]), bulk());
    assert_eq!(ask(&[b"HSET", b"h", &all, &all]), Ok(Reply::Integer(1)));
    assert_eq!(ask(&[b"HGET", b"h", &all]), bulk());
    assert_eq!(ask(&[b"RPUSH", b"l", &all]), Ok(Reply::Integer(1)));
    assert_eq!(ask(&[b"LINDEX", b"l", b"0"]), bulk());
    assert_eq!(ask(&[b"ZADD", b"z", b"1", &all]), Ok(Reply::Integer(1)));
    assert_eq!(
        ask(&[b"ZRANGE", b"z", b"0", b"0"]),
        Ok(Reply::Array(vec![Reply::Bulk(all.clone())]))
    );
    assert_eq!(engine.eval("return redis.call('GET', KEYS[1])", &[&all], &NONE), bulk());
    assert_eq!(engine.eval("return ARGV[1]", &NONE, &[&all]), bulk());
    let script = [b"return '", &all[1..10], &all[128..256], b"'"].concat();
    let expected = Reply::Bulk([&all[1..10], &all[128..256]].concat());
    assert_eq!(engine.eval(script, &NONE, &NONE), Ok(expected), "in a script's text");
    assert_eq!(
        ask(&[&all]).map_err(|error| error.to_string().contains("unknown command")),
        Err(true)
    );
    assert_eq!(
        ask(&[b""]).map_err(|error| error.to_string().contains("unknown command")),
        Err(true)
    );
    assert!(ask(&[]).is_err(), "no name at all");
}

#[test]
fn large_values_pass() {
    const LARGE: usize = 64 << 20;
    let engine = Engine::new().expect("an engine opens");
    let value = vec![0xa5_u8; LARGE];
    engine.command(&[b"SET", b"large".as_slice(), &value]).expect("it is set");
    assert_eq!(engine.command(&["STRLEN", "large"]), Ok(Reply::Integer(LARGE as i64)));
    let got = engine.eval("return redis.call('GET', KEYS[1])", &["large"], &NONE);
    assert!(got == Ok(Reply::Bulk(value.clone())), "the value came back");
    let got = engine.eval("return #ARGV[1]", &NONE, &[&value]);
    assert_eq!(got, Ok(Reply::Integer(LARGE as i64)));

    let small = open(|options| options.script_memory = Some(1 << 20));
    let error = small.eval("return #ARGV[1]", &NONE, &[&value]).expect_err("it is too large");
    assert!(error.to_string().contains("memory limit of 1048576 bytes"), "{error}");
    assert_eq!(small.eval("return #ARGV[1]", &NONE, &["abc"]), Ok(Reply::Integer(3)));
}

// ---- Handles and the cache.

#[test]
fn a_prepared_script_outlives_a_flush() {
    let engine = Engine::new().expect("an engine opens");
    let add = engine.prepare("return redis.call('INCR', KEYS[1])").expect("it compiles");
    let again = engine.prepare("return redis.call('INCR', KEYS[1])").expect("it compiles");
    assert_eq!(add.sha1(), again.sha1());
    assert_eq!(engine.evalsha(add.sha1(), &["n"], &NONE), Ok(Reply::Integer(1)));
    engine.script_flush().expect("the cache is emptied");
    assert_eq!(engine.script_exists(&[add.sha1()]), Ok(vec![false]));
    let error = engine.evalsha(add.sha1(), &["n"], &NONE).expect_err("it is gone");
    assert_eq!(error.to_string(), "NOSCRIPT No matching script. Please use EVAL.");
    assert_eq!(add.run(&["n"], &NONE), Ok(Reply::Integer(2)));
    drop(add);
    assert_eq!(again.run(&["n"], &NONE), Ok(Reply::Integer(3)), "another handle of the same");
    let third = engine.prepare("return redis.call('INCR', KEYS[1])").expect("it compiles");
    drop(again);
    engine.script_flush().expect("the cache is emptied");
    assert_eq!(third.run(&["n"], &NONE), Ok(Reply::Integer(4)));
    assert_eq!(
        engine.eval("return redis.call('INCR', KEYS[1])", &["n"], &NONE),
        Ok(Reply::Integer(5))
    );
}

#[test]
fn handles_that_were_dropped_leave_others_alone() {
    let engine = Engine::new().expect("an engine opens");
    let kept: Vec<(usize, Script)> = (0..300)
        .filter_map(|i| {
            let script = engine.prepare(format!("return {i}")).expect("it compiles");
            if i % 3 == 0 {
                engine.script_flush().expect("the cache is emptied");
            }
            (i % 7 == 0).then_some((i, script))
        })
        .collect();
    for (i, script) in kept {
        assert_eq!(script.run(&NONE, &NONE), Ok(Reply::Integer(i as i64)));
    }
}

#[test]
fn a_handle_runs_on_its_own_engine() {
    let (engine, other) = (manual(), manual());
    let add = engine.prepare("return redis.call('INCR', KEYS[1])").expect("it compiles");
    let mut reply = ReplyBuf::new();
    other.call(Call::Run(&add, &[b"n"], &[]), &mut reply).expect("it runs");
    assert_eq!(reply.to_reply(Protocol::Resp2), Reply::Integer(1));
    check(&other, &[("EXISTS n", "0")]);
    check(&engine, &[("GET n", "1")]);
    add.call(&[b"n"], &[], &mut reply).expect("it runs");
    assert_eq!(reply.to_reply(Protocol::Resp2), Reply::Integer(2), "the buffer holds one reply");
}

#[test]
fn a_closed_engine_says_so() {
    let engine = manual();
    let script = engine.prepare("return 1").expect("it compiles");
    assert_eq!(engine.close(), Ok(()));
    assert_eq!(engine.close(), Ok(()), "twice does no harm");
    let closed = Error::Closed;
    assert_eq!(engine.command(&["PING"]), Err(closed.clone()));
    assert_eq!(engine.command_resp(&["PING"], Protocol::Resp2), Err(closed.clone()));
    assert_eq!(engine.eval("return 1", &NONE, &NONE), Err(closed.clone()));
    assert_eq!(engine.evalsha(script.sha1(), &NONE, &NONE), Err(closed.clone()));
    assert_eq!(engine.script_load("return 2"), Err(closed.clone()));
    assert_eq!(engine.script_exists(&[""]), Err(closed.clone()));
    assert_eq!(engine.script_flush(), Err(closed.clone()));
    assert_eq!(engine.prepare("return 3").err(), Some(closed.clone()));
    assert_eq!(engine.tick(Duration::ZERO), Err(closed.clone()));
    assert_eq!(engine.advance_clock(1), Err(closed.clone()));
    assert_eq!(engine.set_log(None), Err(closed.clone()));
    assert_eq!(engine.fork().err(), Some(closed.clone()));
    engine.cancel();
    drop(engine);
    assert_eq!(script.run(&NONE, &NONE), Err(closed), "a handle that outlives its engine");
}

#[test]
fn twenty_thousand_scripts_are_kept() {
    const SCRIPTS: usize = 20_000;
    let engine = Engine::new().expect("an engine opens");
    let load = |i| engine.script_load(format!("return {i}")).expect("it compiles");
    let shas: Vec<String> = (0..SCRIPTS).map(load).collect();
    let exist = engine.script_exists(&shas).expect("it tells");
    assert_eq!(exist.iter().filter(|found| **found).count(), SCRIPTS);
    for i in (0..SCRIPTS).step_by(97) {
        assert_eq!(engine.evalsha(&shas[i], &NONE, &NONE), Ok(Reply::Integer(i as i64)));
        let upper = shas[i].to_ascii_uppercase();
        assert_eq!(engine.evalsha(upper, &NONE, &NONE), Ok(Reply::Integer(i as i64)));
    }
    check(&engine, &[("SCRIPT FLUSH", "+OK")]);
    let exist = engine.script_exists(&shas).expect("it tells");
    assert!(!exist.contains(&true), "all are gone");
    assert_eq!(load(0), shas[0], "and come back under the same name");
}

#[test]
fn eval_reads_its_arguments_as_redis_does() {
    let engine = Engine::new().expect("an engine opens");
    let no_script = "NOSCRIPT No matching script. Please use EVAL.";
    check(
        &engine,
        &[
            ("EVAL return{#KEYS,#ARGV} 2 a b c", "[2 1]"),
            ("EVAL return{#KEYS,#ARGV} 0", "[0 0]"),
            ("EVAL return1 -1", "ERR Number of keys can't be negative"),
            ("EVAL return1 1", "ERR Number of keys can't be greater than number of args"),
            ("EVAL return1 x", "ERR value is not an integer or out of range"),
            ("EVALSHA ffffffffffffffffffffffffffffffffffffffff 0", no_script),
            ("EVALSHA short 0", no_script),
            ("EVALSHA_RO short 0", no_script),
        ],
    );
    let error = engine.script_load("return ]").expect_err("it does not compile").to_string();
    assert!(
        error.starts_with("ERR Error compiling script (new function): user_script:1:"),
        "{error}"
    );
    assert_eq!(engine.prepare("return ]").err().map(|error| error.to_string()), Some(error));
}

#[test]
fn scripts_that_promise_not_to_write_do_not() {
    let engine = Engine::new().expect("an engine opens");
    let write = "redis.call('SET', 'k', 'v')";
    let promise = format!("#!lua flags=no-writes\n{write}");
    let refused = "ERR Write commands are not allowed from read-only scripts.";
    let declared = format!("#!lua\n{write}");
    let cases: [(&[&str], &str); 7] = [
        (&["EVAL_RO", write, "0"], refused),
        (&["EVAL", &promise, "0"], refused),
        (&["EVAL_RO", &promise, "0"], refused),
        (
            &["EVAL_RO", &declared, "0"],
            "ERR Can not execute a script with write flag using *_ro command.",
        ),
        (&["EVAL_RO", "return redis.pcall('SET', 'k', 'v').err", "0"], refused),
        (&["EVAL_RO", "return redis.call('GET', 'k')", "0"], "null"),
        (&["EVAL", "#!lua flags=no-writes\nreturn redis.call('GET', 'k')", "0"], "null"),
    ];
    for (argv, expected) in cases {
        assert_eq!(show(&engine.command(argv)), expected, "{argv:?}");
        check(&engine, &[("EXISTS k", "0")]);
    }
    let sha1 = engine.script_load(write).expect("it compiles");
    assert_eq!(show(&engine.command(&["EVALSHA_RO", &sha1, "0"])), refused);
    assert_eq!(show(&engine.command(&["EVALSHA", &sha1, "0"])), "null");
    check(&engine, &[("GET k", "v")]);
    for (script, expected) in [
        ("#!lua", "ERR Invalid script shebang"),
        ("#!python\nreturn 1", "ERR Unexpected engine in script shebang: #!python"),
        ("#!lua flags=fast\nreturn 1", "ERR Unexpected flag in script shebang: fast"),
        ("#!lua speed=1\nreturn 1", "ERR Unknown lua shebang option: speed=1"),
        // It is read as a line of words.
        ("#!'lua'\t \"flags=no-\\x77rites\"\nreturn 1", "1"),
        ("#!lua \"a b\"\nreturn 1", "ERR Unknown lua shebang option: a b"),
        ("#!lua flags=\"no-writes\nreturn 1", "ERR Invalid engine in script shebang"),
        ("#!lua flags=\nreturn 1", "1"),
        ("#!lua flags=no-writes,\nreturn 1", "ERR Unexpected flag in script shebang: "),
        ("#!lua flags=allow-oom,,no-writes\nreturn 1", "ERR Unexpected flag in script shebang: "),
        ("#!lua flags=no-writes\0\nreturn 1", "ERR Invalid script shebang"),
    ] {
        assert_eq!(eval(&engine, script), expected);
    }
}

#[test]
fn errors_and_statuses_are_lines() {
    let engine = Engine::new().expect("an engine opens");
    for (script, expected) in [
        ("return {err = 'MY a\\0b'}", "MY a"),
        ("return {ok = 'a\\0b'}", "+a"),
        ("return redis.error_reply('-MY a\\0b')", "MY a"),
        ("return redis.error_reply('a\\0 b')", "ERR a"),
        ("return redis.error_reply('a\\0b').err", "ERR a"),
        ("return redis.error_reply('\\na b\\n\\r').err", "\\na b"),
        ("return redis.error_reply('-\\r\\nab\\r').err", "ERR ab"),
        ("return {err = '\\na b\\n\\r'}", " a b"),
        ("return {ok = 'a b\\n'}", "+a b "),
        ("return #redis.status_reply('a\\0b').ok", "3"),
        ("error({err = 'MY a\\0b'})", "MY a"),
        ("error('a\\0b', 0)", "ERR a"),
        ("return 'a\\0b'", "a\\x00b"),
    ] {
        assert_eq!(eval(&engine, script), expected, "{script}");
    }
}

#[test]
fn odd_arguments_are_taken_as_redis_takes_them() {
    let engine = Engine::new().expect("an engine opens");
    for (script, expected) in [
        ("return {pcall(error, {err = 'MINE'})}", "[null MINE]"),
        ("return {pcall(error, {err = {}})}", "[null [] []]"),
        ("return select('#', pcall(error, {}))", "3"),
        ("return pcall(redis.set_repl, 3) and 1", "1"),
        ("return pcall(redis.set_repl, 0/0) and 1", "null"),
    ] {
        assert_eq!(eval(&engine, script), expected, "{script}");
    }
}

// ---- Callbacks.

type Lines = Arc<Mutex<Vec<(LogLevel, String)>>>;

fn logged(engine: &Engine) -> Lines {
    let lines = Lines::default();
    let sink = Arc::clone(&lines);
    let push = move |level, text: &[u8]| {
        let mut lines = sink.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push((level, text.escape_ascii().to_string()));
    };
    engine.set_log(Some(Box::new(push))).expect("the callback is set");
    lines
}

#[test]
fn the_log_reaches_the_callback() {
    let engine = Engine::new().expect("an engine opens");
    assert_eq!(eval(&engine, "redis.log(redis.LOG_WARNING, 'nobody listens')"), "null");
    let lines = logged(&engine);
    let script = "
        redis.log(redis.LOG_DEBUG, 'plain')
        redis.log(redis.LOG_VERBOSE, 'several', 1, 2.5, 'texts')
        redis.log(redis.LOG_NOTICE, 'bytes \\0\\255\\n')
        redis.log(redis.LOG_WARNING, '')
        redis.log('3', 'a level in a string')";
    assert_eq!(eval(&engine, script), "null");
    let expected = [
        (LogLevel::Debug, "plain"),
        (LogLevel::Verbose, "several 1 2.5 texts"),
        (LogLevel::Notice, "bytes \\x00\\xff\\n"),
        (LogLevel::Warning, ""),
        (LogLevel::Warning, "a level in a string"),
    ];
    let expected = expected.map(|(level, text)| (level, text.to_owned()));
    assert_eq!(*lines.lock().expect("nobody panicked"), expected);
    for (script, error) in [
        ("redis.log(1)", "ERR redis.log() requires two arguments or more."),
        ("redis.log(4, 'x')", "ERR Invalid debug level."),
        ("redis.log(-1, 'x')", "ERR Invalid debug level."),
        ("redis.log('x', 'x')", "ERR First argument must be a number (log level)."),
    ] {
        assert_eq!(eval(&engine, script), error, "{script}");
    }
    engine.set_log(None).expect("the callback is gone");
    assert_eq!(eval(&engine, "redis.log(3, 'silent')"), "null");
    assert_eq!(lines.lock().expect("nobody panicked").len(), 5);
}

#[test]
fn a_log_of_a_failed_script_was_written() {
    let engine = Engine::new().expect("an engine opens");
    let lines = logged(&engine);
    assert_eq!(eval(&engine, "redis.log(2, 'before') error({err = 'X then'})"), "X then");
    assert_eq!(lines.lock().expect("nobody panicked").len(), 1, "a log is no write");
}

#[test]
fn a_call_from_a_callback_is_an_error() {
    let engine = Arc::new(manual());
    let script = engine.prepare("return 1").expect("it compiles");
    let dropped = Mutex::new(engine.prepare("return 2").ok());
    let answers: Arc<Mutex<Vec<Option<Error>>>> = Arc::default();
    let (inner, sink) = (Arc::downgrade(&engine), Arc::clone(&answers));
    let callback = move |_, _: &[u8]| {
        let engine = inner.upgrade().expect("it lives");
        engine.cancel();
        drop(dropped.lock().expect("nobody panicked").take());
        let outcomes = [
            engine.command(&["PING"]).err(),
            engine.eval("return 1", &NONE, &NONE).err(),
            script.run(&NONE, &NONE).err(),
            engine.prepare("return 1").err(),
            engine.script_flush().err(),
            engine.fork().err(),
            engine.tick(Duration::ZERO).err(),
            engine.advance_clock(1).err(),
            engine.set_log(None).err(),
            engine.close().err(),
        ];
        sink.lock().expect("nobody panicked").extend(outcomes);
    };
    engine.set_log(Some(Box::new(callback))).expect("the callback is set");
    let reply = engine.eval("redis.log(2, 'x') for i = 1, 1e6 do end return 3", &NONE, &NONE);
    let error = reply.expect_err("the callback cancelled it").to_string();
    assert!(error.contains("cancelled by the host"), "{error}");
    assert_eq!(*answers.lock().expect("nobody panicked"), vec![Some(Error::Reentrant); 10]);
    check(&engine, &[("PING", "+PONG")]);
    engine.set_log(None).expect("the callback is gone");
}

#[test]
fn a_callback_may_call_another_engine() {
    let engine = Engine::new().expect("an engine opens");
    let log = Arc::new(Engine::new().expect("an engine opens"));
    let other = Arc::clone(&log);
    let callback = move |_, text: &[u8]| {
        other.command(&[b"RPUSH", b"lines".as_slice(), text]).expect("it is pushed");
    };
    engine.set_log(Some(Box::new(callback))).expect("the callback is set");
    assert_eq!(eval(&engine, "redis.log(2, 'a') redis.log(2, 'b') return 1"), "1");
    check(&log, &[("LRANGE lines 0 -1", "[a b]")]);
}

#[test]
fn a_panic_in_a_callback_poisons_its_engine_only() {
    let (engine, other) = (manual(), manual());
    engine.set_log(Some(Box::new(|_, _| panic!("the host's own mistake")))).expect("it is set");
    check(&engine, &[("PING", "+PONG")]);
    let reply = engine.eval("pcall(redis.log, 2, 'x') return 1", &NONE, &NONE);
    assert_eq!(reply, Err(Error::Poisoned));
    assert_eq!(engine.command(&["PING"]), Err(Error::Poisoned));
    assert_eq!(engine.fork().err(), Some(Error::Poisoned));
    check(&other, &[("PING", "+PONG")]);
}

// ---- Options and shapes.

#[test]
fn options_under_which_nothing_runs_are_refused() {
    let refused = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        match Engine::open(&options) {
            Err(Error::Options { message }) => message,
            other => panic!("not refused: {other:?}"),
        }
    };
    let message = refused(|options| options.script_timeout = Some(Duration::ZERO));
    assert!(message.contains("script_timeout"), "{message}");
    let message = refused(|options| options.script_memory = Some((64 << 10) - 1));
    assert!(message.contains("script_memory"), "{message}");
    let message = refused(|options| options.script_instructions = Some(0));
    assert!(message.contains("script_instructions"), "{message}");
    let least = open(|options| options.script_memory = Some(64 << 10));
    assert_eq!(eval(&least, "return redis.call('SET', 'k', 'v').ok"), "OK");
    let none = open(|options| {
        (options.script_timeout, options.script_memory) = (None, None);
    });
    assert_eq!(eval(&none, "return #string.rep('x', 1e6)"), "1000000");
}

#[test]
fn replies_have_the_shape_of_the_protocol() {
    let cases = [
        ("HGETALL h", "[f v]", "map[f=v]"),
        ("HGETALL none", "[]", "map[]"),
        ("ZSCORE z m", "1.5", "double 1.5"),
        ("ZRANGE z 0 -1 WITHSCORES", "[m 1.5 n inf]", "[[m double 1.5] [n double inf]]"),
        ("ZRANGE z 0 -1", "[m n]", "[m n]"),
        ("ZPOPMIN copy", "[m 1.5]", "[m double 1.5]"),
        ("GET none", "null", "null"),
        ("INCRBYFLOAT x 0.5", "0.5", "0.5"),
        ("LPOP none 3", "null", "null"),
        ("EVAL return{1,2.9,'s',true,false} 0", "[1 2 s 1 null]", "[1 2 s 1 null]"),
        ("EVAL return{double=2.5} 0", "2.5", "double 2.5"),
        ("EVAL return{map={a=1}} 0", "[a 1]", "map[a=1]"),
        ("EVAL return{set={a=true}} 0", "[a]", "set[a]"),
        ("EVAL return{big_number='123'} 0", "123", "big 123"),
        ("EVAL return{verbatim_string={format='txt',string='t'}} 0", "t", "txt:t"),
        ("EVAL redis.setresp(3)return{true,false} 0", "[1 0]", "[boolean true boolean false]"),
        ("EVAL return{ok='FINE'} 0", "+FINE", "+FINE"),
        ("EVAL return{{err='EX'}} 0", "[-EX]", "[-EX]"),
    ];
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let engine = open(|options| options.protocol = protocol);
        check(
            &engine,
            &[("HSET h f v", "1"), ("ZADD z 1.5 m inf n", "2"), ("ZADD copy 1.5 m", "1")],
        );
        for (line, resp2, resp3) in cases {
            let expected = if protocol == Protocol::Resp2 { resp2 } else { resp3 };
            check(&engine, &[(line, expected)]);
        }
    }
}

#[test]
fn replies_are_encoded_as_a_server_sends_them() {
    let engine = Engine::new().expect("an engine opens");
    check(&engine, &[("HSET h f v", "1"), ("ZADD z 1 m", "1")]);
    let cases = [
        ("PING", "+PONG\r\n", "+PONG\r\n"),
        ("HGETALL h", "*2\r\n$1\r\nf\r\n$1\r\nv\r\n", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        ("ZSCORE z m", "$1\r\n1\r\n", ",1\r\n"),
        ("GET none", "$-1\r\n", "_\r\n"),
        ("LPOP none 3", "*-1\r\n", "_\r\n"),
        ("DBSIZE", ":2\r\n", ":2\r\n"),
        ("GET h", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", ""),
    ];
    for (line, resp2, resp3) in cases {
        let resp3 = if resp3.is_empty() { resp2 } else { resp3 };
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let bytes = engine.command_resp(&words(line), protocol).expect("a reply");
            assert_eq!(bytes.escape_ascii().to_string(), expected.escape_default().to_string());
        }
    }
}

#[test]
fn engines_know_nothing_of_each_other() {
    let engines: Vec<Engine> = (0..20).map(|_| manual()).collect();
    for (i, engine) in engines.iter().enumerate() {
        engine.command(&["SET", "n", &i.to_string()]).expect("it is set");
    }
    for (i, engine) in engines.iter().enumerate() {
        let expected = i.to_string();
        check(engine, &[("GET n", &expected), ("DBSIZE", "1")]);
    }
}

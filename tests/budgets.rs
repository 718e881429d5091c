//! Limits for the scripts of one call: they hold for that call and no other.

use moonkv::{Call, Engine, Error, HostCommand, Limits, Options, Reply, ReplyBuf};
use std::time::{Duration, Instant};

const NONE: &[&str] = &[];
const FOREVER: &str = "redis.call('SET', 'k', 1) while true do end";
const LONG: &str = "local n = 0 for i = 1, 300000 do n = n + i end return n";
const LARGE: &str = "return #string.rep('x', 1000000)";

fn message(answer: Result<Reply, Error>) -> String {
    answer.expect_err("it fails").to_string()
}

#[test]
fn each_limit_stops_its_run_and_says_by_how_much() {
    let engine = Engine::new().unwrap();
    let start = Instant::now();
    let frame = Limits::default().timeout(Duration::from_millis(20));
    let answer = message(engine.eval_with(&frame, FOREVER, NONE, NONE));
    assert!(answer.starts_with("ERR script exceeded its time limit of 20 ms"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(3));
    let few = Limits::default().instructions(10_000);
    let answer = message(engine.eval_with(&few, LONG, NONE, NONE));
    assert!(answer.starts_with("ERR script exceeded its limit of 10000 instructions"), "{answer}");
    let small = Limits::default().memory(100_000);
    let answer = message(engine.eval_with(&small, LARGE, NONE, NONE));
    assert!(answer.starts_with("ERR script exceeded its memory limit of 100000 bytes"), "{answer}");
    assert_eq!(engine.command(&["EXISTS", "k"]), Ok(Reply::Integer(0)));
}

#[test]
fn they_hold_for_one_run_only() {
    let engine = Engine::new().unwrap();
    let few = Limits::default().instructions(10_000).memory(100_000);
    let (long, large) = (engine.prepare(LONG).unwrap(), engine.prepare(LARGE).unwrap());
    for _ in 0..3 {
        assert!(long.run_with(&few, NONE, NONE).is_err());
        assert!(long.run(NONE, NONE).is_ok());
        assert!(large.run_with(&few, NONE, NONE).is_err());
        assert_eq!(large.run(NONE, NONE), Ok(Reply::Integer(1_000_000)));
    }
    let tiny = Limits::default().instructions(1_000_000);
    assert_eq!(large.run_with(&tiny, NONE, NONE), Ok(Reply::Integer(1_000_000)));
}

#[test]
fn sessions_and_cached_scripts_have_them_too() {
    let (engine, other) = (Engine::new().unwrap(), Engine::new().unwrap());
    let session = engine.session().unwrap();
    let few = Limits::default().instructions(10_000);
    let script = engine.prepare(LONG).unwrap();
    let sha1 = script.sha1();
    let is_limited = |answer| message(answer).contains("its limit of 10000 instructions");
    assert!(is_limited(engine.evalsha_with(&few, &sha1, NONE, NONE)));
    assert!(is_limited(session.eval_with(&few, LONG, NONE, NONE)));
    assert!(is_limited(session.evalsha_with(&few, &sha1, NONE, NONE)));
    assert!(is_limited(session.run_with(&few, &script, NONE, NONE)));
    let sum = Ok(Reply::Integer(45_000_150_000));
    assert_eq!(engine.evalsha(&sha1, NONE, NONE), sum);
    assert_eq!(session.run(&script, NONE, NONE), sum);
    // They pass on what they are given, and are about the session.
    let echo = engine.prepare("return {KEYS[1], ARGV[1], redis.call('GET', 'k')}").unwrap();
    session.command(&["SELECT", "3"]).unwrap();
    session.command(&["SET", "k", "there"]).unwrap();
    let echoed = |value| {
        let texts = [Some("a"), Some("b"), value];
        let reply = |text: Option<&str>| text.map_or(Reply::Null, |text| Reply::Bulk(text.into()));
        Ok(Reply::Array(texts.map(reply).to_vec()))
    };
    assert_eq!(engine.evalsha_with(&few, echo.sha1(), &["a"], &["b"]), echoed(None));
    assert_eq!(session.evalsha_with(&few, echo.sha1(), &["a"], &["b"]), echoed(Some("there")));
    assert_eq!(session.run_with(&few, &echo, &["a"], &["b"]), echoed(Some("there")));
    // Refused: what is not cached, what is another engine's, what nothing could run under.
    let absent = message(session.evalsha_with(&few, "f".repeat(40), NONE, NONE));
    assert!(absent.starts_with("NOSCRIPT"), "{absent}");
    let foreign = other.session().unwrap().run_with(&few, &script, NONE, NONE);
    assert!(matches!(foreign, Err(Error::Options { .. })), "{foreign:?}");
    let nothing = session.eval_with(&Limits::default().memory(5), "return 1", NONE, NONE);
    assert!(matches!(nothing, Err(Error::Options { .. })), "{nothing:?}");
    session.command(&["MULTI"]).unwrap();
    let queued = message(session.run_with(&few, &script, NONE, NONE));
    assert!(queued.contains("cannot be queued"), "{queued}");
}

#[test]
fn they_may_be_wider_than_the_engines_or_none() {
    let mut options = Options::default();
    options.script_instructions = Some(10_000);
    options.script_memory = Some(100_000);
    let engine = Engine::open(&options).unwrap();
    assert!(engine.eval(LONG, NONE, NONE).is_err());
    assert!(
        engine.eval_with(&Limits::default().instructions(10_000_000), LONG, NONE, NONE).is_ok()
    );
    assert!(engine.eval_with(&Limits::default().instructions(None), LONG, NONE, NONE).is_ok());
    assert!(engine.eval_with(&Limits::default().memory(None), LARGE, NONE, NONE).is_ok());
    // What is not set is the engine's.
    assert!(engine.eval_with(&Limits::default().memory(None), LONG, NONE, NONE).is_err());
    assert!(engine.eval_with(&Limits::default(), LARGE, NONE, NONE).is_err());
}

#[test]
fn limits_under_which_nothing_could_run_are_refused() {
    let engine = Engine::new().unwrap();
    for limits in [
        Limits::default().timeout(Duration::ZERO),
        Limits::default().memory(1000),
        Limits::default().instructions(0),
    ] {
        let answer = engine.eval_with(&limits, "return 1", NONE, NONE);
        assert!(matches!(answer, Err(Error::Options { .. })), "{answer:?}");
        let inner = Call::Eval(b"return 1", &[], &[]);
        let within = Call::Limited(&limits, &inner);
        let outer = Limits::default();
        let answer = engine.call(Call::Limited(&outer, &within), &mut ReplyBuf::new());
        assert!(matches!(answer, Err(Error::Options { .. })), "{answer:?}");
    }
}

#[test]
fn every_call_can_have_them() {
    let engine = Engine::new().unwrap();
    let few = Limits::default().instructions(10_000);
    let sha1 = engine.script_load(LONG).unwrap();
    let script = engine.prepare(LONG).unwrap();
    let (session, other) = (engine.session().unwrap(), Engine::new().unwrap());
    let calls = [
        Call::Eval(LONG.as_bytes(), &[], &[]),
        Call::EvalSha(sha1.as_bytes(), &[], &[]),
        Call::Run(&script, &[], &[]),
        Call::Command(&[b"EVAL", LONG.as_bytes(), b"0"]),
    ];
    let mut reply = ReplyBuf::new();
    for call in calls {
        engine.call(Call::Limited(&few, &call), &mut reply).unwrap();
        assert!(reply.is_error(), "{call:?}");
        session.call(Call::Limited(&few, &call), &mut reply).unwrap();
        assert!(reply.is_error(), "{call:?}");
        engine.call(call, &mut reply).unwrap();
        assert!(!reply.is_error(), "{call:?}");
    }
    // A script belongs to its engine, with limits as without.
    let run = Call::Limited(&few, &calls[2]);
    other.call(run, &mut reply).unwrap();
    assert!(reply.is_error());
    let foreign = other.session().unwrap().call(run, &mut reply);
    assert!(matches!(foreign, Err(Error::Options { .. })), "{foreign:?}");
}

#[test]
fn the_narrower_call_within_a_call_counts() {
    let engine = Engine::new().unwrap();
    let (few, many) =
        (Limits::default().instructions(10_000), Limits::default().instructions(None));
    let eval = Call::Eval(LONG.as_bytes(), &[], &[]);
    let mut reply = ReplyBuf::new();
    engine.call(Call::Limited(&many, &Call::Limited(&few, &eval)), &mut reply).unwrap();
    assert!(reply.is_error());
    engine.call(Call::Limited(&few, &Call::Limited(&many, &eval)), &mut reply).unwrap();
    assert!(!reply.is_error());
}

#[test]
fn they_are_not_queued_but_may_be_given_to_exec() {
    let engine = Engine::new().unwrap();
    let session = engine.session().unwrap();
    let few = Limits::default().instructions(10_000);
    let mut reply = ReplyBuf::new();
    session.command(&["MULTI"]).unwrap();
    let eval = Call::Eval(LONG.as_bytes(), &[], &[]);
    session.call(Call::Limited(&few, &eval), &mut reply).unwrap();
    assert!(reply.is_error());
    session.eval(LONG, NONE, NONE).unwrap();
    session.call(Call::Limited(&few, &Call::Command(&[b"EXEC"])), &mut reply).unwrap();
    let replies = reply.to_reply(moonkv::Protocol::Resp2);
    let Some([Reply::Error(text)]) = replies.as_array() else { panic!("{replies:?}") };
    assert!(text.contains("10000 instructions"), "{text}");
    assert!(session.eval(LONG, NONE, NONE).is_ok());
}

#[test]
fn a_host_function_counts_into_its_scripts_time() {
    let engine = Engine::new().unwrap();
    engine
        .register(HostCommand::new("SLOW"), |_| {
            std::thread::sleep(Duration::from_millis(60));
            Ok(Reply::Null)
        })
        .unwrap();
    let frame = Limits::default().timeout(Duration::from_millis(20));
    let script = "for i = 1, 50 do redis.call('SLOW') for j = 1, 2000 do end end";
    let start = Instant::now();
    let answer = message(engine.eval_with(&frame, script, NONE, NONE));
    assert!(answer.starts_with("ERR script exceeded its time limit of 20 ms"), "{answer}");
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

/// The answer to a call that is a statement is not made, so it takes nothing of the script's memory.
#[cfg(not(feature = "luajit"))]
#[test]
fn what_nobody_takes_takes_no_memory() {
    let engine = Engine::new().unwrap();
    engine.command(&["SETRANGE", "large", "4000000", "x"]).unwrap();
    let limits = Limits::default().memory(1_000_000);
    let run = |script: &str| engine.eval_with(&limits, script, NONE, NONE);
    let statement = "for i = 1, 3 do redis.call('GET', 'large') redis.pcall('GET', 'large') end";
    assert_eq!(run(&format!("{statement} return 7")).unwrap(), Reply::Integer(7));
    for taken in ["local v = redis.call('GET', 'large')", "return redis.call('GET', 'large')"] {
        assert!(message(run(taken)).contains("memory"), "{taken}");
    }
}

/// An answer reaches whoever takes it, in whatever way; an error ends a statement as any other call.
#[test]
fn answers_reach_whoever_takes_them() {
    let engine = Engine::new().unwrap();
    engine.command(&["SET", "k", "value"]).unwrap();
    for script in [
        "return redis.call('GET', 'k')",
        "local v = redis.call('GET', 'k') return v",
        "redis.call('GET', 'k') return redis.call('GET', 'k')",
        "return (redis.call('GET', 'k'))",
        "return ({redis.call('GET', 'k')})[1]",
        "local a, b = redis.call('GET', 'k') return b == nil and a",
        "local ok, v = pcall(redis.call, 'GET', 'k') return v",
        "return coroutine.wrap(function() return redis.call('GET', 'k') end)()",
        "for v in redis.call, 'GET', 'k' do return v end",
        "return (string.gsub('k', 'k', function(k) return redis.call('GET', k) end))",
        "local t = {__index = function(_, k) return redis.call('GET', k) end}
         return setmetatable({}, t).k",
        "local t = {} t[redis.call('GET', 'k')] = 1 return next(t)",
        "return select('#', redis.call('GET', 'k')) == 1 and redis.call('GET', 'k')",
        "redis.pcall('NONE') redis.pcall('INCR', 'k') return redis.call('GET', 'k')",
        "return redis.call('SET', 'n', 'value').ok == 'OK' and redis.call('GET', 'n')",
    ] {
        let answer = engine.eval(script, NONE, NONE).unwrap();
        assert_eq!(answer, Reply::Bulk(b"value".to_vec()), "{script}");
    }
    let failed = engine.eval("redis.call('SET', 'n', 1) redis.call('INCR', 'k')", NONE, NONE);
    assert!(message(failed).contains("value is not an integer"));
    assert_eq!(engine.command(&["GET", "n"]).unwrap(), Reply::Bulk(b"value".to_vec()));
}

//! What the engine tells of scripts: where they failed, what became of their runs, where the time
//! went.

use moonkv::{Call, Clock, Engine, Error, Options, Reply, ReplyBuf, ScriptStats, Traceback};

const NONE: &[&str] = &[];

fn failure(engine: &Engine, script: &str) -> (String, Traceback) {
    let error = engine.eval(script, NONE, NONE).unwrap_err();
    let traceback = error.traceback().cloned().unwrap_or_else(|| panic!("no traceback: {error}"));
    (error.to_string(), traceback)
}

#[test]
fn an_error_tells_the_script_the_line_and_the_calls() {
    let engine = Engine::new().unwrap();
    let script = "local function take(n)\n  redis.call('INCR', 'k', n)\nend\n\n\
                  local t = {go = function() take(1) end}\nt.go()\nreturn 1";
    let sha = engine.script_load(script).unwrap();
    let (text, traceback) = failure(&engine, script);
    let expected = format!(
        "ERR Wrong number of args calling Redis command from script script: {sha}, on \
         @user_script:2."
    );
    assert_eq!(text, expected, "the text itself stays Redis's");
    assert_eq!((traceback.name.as_str(), traceback.library.as_deref()), (sha.as_str(), None));
    assert_eq!(traceback.line, Some(2));
    let frames = [
        "[C]: in function 'call'",
        "user_script:2: in function 'take'",
        "user_script:5: in function 'go'",
        "user_script:6: in main chunk",
    ];
    assert_eq!(traceback.frames, frames);
    let shown = format!("stack traceback:\n\t{}", frames.join("\n\t"));
    assert_eq!(traceback.to_string(), shown);
}

#[test]
fn what_has_no_script_has_no_traceback() {
    let engine = Engine::new().unwrap();
    for error in [
        engine.command(&["INCR"]).unwrap_err(),
        engine.eval("return redis.error_reply('SOLDOUT')", NONE, NONE).unwrap_err(),
        engine.eval("return redis.pcall('INCR')", NONE, NONE).unwrap_err(),
        engine.eval("return (", NONE, NONE).unwrap_err(),
        engine.evalsha("0".repeat(40), NONE, NONE).unwrap_err(),
        Error::Closed,
    ] {
        assert_eq!(error.traceback(), None, "{error}");
    }
}

#[test]
fn a_buffer_forgets_the_traceback_of_the_call_before() {
    let engine = Engine::new().unwrap();
    let mut reply = ReplyBuf::new();
    engine.call(Call::Eval(b"error('x')", &[], &[]), &mut reply).unwrap();
    assert_eq!(reply.traceback().and_then(|traceback| traceback.line), Some(1));
    engine.call(Call::Command(&[b"PING"]), &mut reply).unwrap();
    assert_eq!(reply.traceback(), None);
}

#[test]
fn deep_calls_are_told_by_their_ends() {
    let engine = Engine::new().unwrap();
    let script = "local function down(n) if n == 0 then error('deep') end down(n - 1) return 1 end\n\
                  down(100)";
    let (_, traceback) = failure(&engine, script);
    assert_eq!(traceback.frames.len(), 20, "{traceback}");
    assert_eq!(traceback.frames[0], "[C]: in function 'error'");
    assert_eq!(traceback.frames[1], "user_script:1: in function 'down'");
    assert_eq!(traceback.frames[10], "...");
    assert_eq!(traceback.frames[19], "user_script:2: in main chunk");
    let endless = failure(&engine, "local function f() return 1 + f() end return f()").1;
    assert_eq!((endless.line, endless.frames.len()), (Some(1), 20));
}

#[test]
fn limits_and_odd_errors_have_a_place_too() {
    let mut options = Options::default();
    options.script_instructions = Some(10_000);
    let engine = Engine::open(&options).unwrap();
    let (text, traceback) = failure(&engine, "local n = 0\nwhile true do\n  n = n + 1\nend");
    assert!(text.contains("limit of 10000 instructions"), "{text}");
    assert!(traceback.line.is_some_and(|line| (2..=3).contains(&line)), "{traceback:?}");
    assert_eq!(traceback.frames.len(), 1);
    for (script, line) in [
        ("error({err = 'MY own'})", 1),
        ("\nerror()", 2),
        ("local x = nil\n\nreturn x.y", 3),
        ("local co = coroutine.wrap(function() error('in') end)\nco()", 2),
        ("local f = loadstring('error(1)')\nf()", 1),
    ] {
        assert_eq!(failure(&engine, script).1.line, Some(line), "{script}");
    }
    let caught = "pcall(error, 'caught') return (redis.call('NOSUCH'))";
    assert_eq!(failure(&engine, caught).1.frames[0], "[C]: in function 'call'");
}

const LIBRARY: &str = "#!lua name=shop\nlocal function buy(keys, args)\n  \
                       return (redis.call('DECRBY', keys[1], args[1]))\nend\n\
                       redis.register_function('buy', buy)";

#[test]
fn a_function_is_told_with_its_library() {
    let engine = Engine::new().unwrap();
    engine.command(&["FUNCTION", "LOAD", LIBRARY]).unwrap();
    let error = engine.command(&["FCALL", "BUY", "1", "apples", "many"]).unwrap_err();
    let traceback = error.traceback().unwrap();
    assert_eq!((&*traceback.name, traceback.library.as_deref()), ("buy", Some("shop")));
    assert_eq!(traceback.line, Some(3));
    assert_eq!(traceback.frames.len(), 2, "{traceback}");
    assert!(traceback.frames[1].starts_with("user_function:3: in function <user_function:2>"));
}

#[test]
fn runs_and_errors_are_counted() {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: 5_000 };
    let engine = Engine::open(&options).unwrap();
    engine.command(&["FUNCTION", "LOAD", LIBRARY]).unwrap();
    engine.command(&["SET", "apples", "9"]).unwrap();
    let script = engine.prepare("return (redis.call('LPUSH', KEYS[1], ARGV[1]))").unwrap();
    (0..3).for_each(|_| drop(script.run(&["list"], &["x"]).unwrap()));
    assert!(script.run(&["apples"], &["x"]).is_err());
    engine.command(&["FCALL", "buy", "1", "apples", "2"]).unwrap();
    let stats = engine.script_stats().unwrap();
    let of = |name: &str| stats.iter().find(|stats| stats.name == name).cloned().unwrap();
    let pushed = of(&script.sha1());
    assert_eq!((pushed.runs, pushed.errors, pushed.total), (4, 1, None));
    let last = pushed.last_error.unwrap();
    assert_eq!(last.at_ms, 5_000);
    assert!(last.message.starts_with("WRONGTYPE ") && last.message.ends_with("user_script:1."));
    let bought = of("buy");
    assert_eq!((bought.library.as_deref(), bought.runs, bought.errors), (Some("shop"), 1, 0));
    assert_eq!(bought.last_error, None);
    engine.reset_script_stats().unwrap();
    let runs: u64 = engine.script_stats().unwrap().iter().map(|stats| stats.runs).sum();
    assert_eq!(runs, 0);
}

#[test]
fn times_are_kept_where_that_is_asked() {
    let mut options = Options::default();
    options.script_statistics = true;
    let engine = Engine::open(&options).unwrap();
    let script = "for i = 1, 1000 do redis.call('INCR', KEYS[1]) end";
    (0..3).for_each(|_| drop(engine.eval(script, &["n"], NONE).unwrap()));
    let [ScriptStats { total: Some(total), worst: Some(worst), .. }] =
        &engine.script_stats().unwrap()[..]
    else {
        panic!("one script with times")
    };
    assert!(!worst.is_zero() && worst <= total && *total <= *worst * 3, "{worst:?} {total:?}");
}

#[test]
fn counts_go_with_their_function() {
    let engine = Engine::new().unwrap();
    engine.command(&["FUNCTION", "LOAD", LIBRARY]).unwrap();
    engine.command(&["SET", "apples", "9"]).unwrap();
    engine.command(&["FCALL", "buy", "1", "apples", "2"]).unwrap();
    engine.command(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]).unwrap();
    assert_eq!(engine.script_stats().unwrap()[0].runs, 0, "it is another function now");
    engine.command(&["FUNCTION", "DELETE", "shop"]).unwrap();
    assert_eq!(engine.script_stats().unwrap(), []);
    engine.eval("return 1", NONE, NONE).unwrap();
    engine.script_flush().unwrap();
    assert_eq!(engine.script_stats().unwrap(), []);
}

#[test]
fn statistics_are_a_command() {
    let engine = Engine::new().unwrap();
    let sha = engine.script_load("return 1").unwrap();
    let other = engine.script_load("return error('no')").unwrap();
    engine.evalsha(&sha, NONE, NONE).unwrap();
    assert!(engine.evalsha(&other, NONE, NONE).is_err());
    let reply = engine.command(&["MOONKV", "STATS", &sha.to_uppercase()]).unwrap();
    let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
    let expected = vec![
        (text("name"), text(&sha)),
        (text("library"), Reply::Null),
        (text("runs"), Reply::Integer(1)),
        (text("errors"), Reply::Integer(0)),
        (text("total-usec"), Reply::Null),
        (text("worst-usec"), Reply::Null),
        (text("last-error"), Reply::Null),
        (text("last-error-ms"), Reply::Null),
    ];
    let flat = expected.into_iter().flat_map(|(name, value)| [name, value]).collect();
    assert_eq!(reply, Reply::Array(vec![Reply::Array(flat)]));
    let all = engine.command(&["moonkv", "stats"]).unwrap();
    assert_eq!(all.as_array().map(<[Reply]>::len), Some(2));
    engine.command(&["MOONKV", "RESETSTATS"]).unwrap();
    assert!(engine.script_stats().unwrap().iter().all(|stats| stats.runs == 0));
    for (call, error) in [
        (vec!["MOONKV"], "ERR wrong number of arguments for 'moonkv' command"),
        (vec!["MOONKV", "NOSUCH"], "ERR unknown subcommand 'NOSUCH'. Try MOONKV HELP."),
        (
            vec!["MOONKV", "RESETSTATS", "x"],
            "ERR wrong number of arguments for 'moonkv|resetstats' command",
        ),
    ] {
        assert_eq!(engine.command(&call).unwrap_err().to_string(), error);
    }
    assert!(engine.command(&["MOONKV", "HELP"]).unwrap().as_array().is_some());
}

/// The stacks of a profile, without their times.
fn stacks(engine: &Engine, script: &str) -> Vec<String> {
    let (reply, profile) = engine.profile(script, &["key"], &["arg"]);
    reply.unwrap();
    let collapsed = profile.collapsed();
    let split = |line: &str| {
        let (stack, time) = line.rsplit_once(' ').unwrap();
        assert!(time.parse::<u64>().unwrap() > 0, "{line}");
        stack.to_owned()
    };
    collapsed.lines().map(split).collect()
}

#[test]
fn a_profile_shows_lines_calls_and_commands() {
    let engine = Engine::new().unwrap();
    let script = "local function add(n)\n  redis.call('incrby', KEYS[1], n)\nend\n\
                  for i = 1, 3 do\n  add(i)\nend\nreturn (string.rep('x', 10))";
    let found = stacks(&engine, script);
    for stack in
        ["main:4", "main:5", "main:5;add:2", "main:5;add:2;redis.call INCRBY", "main:7;rep"]
    {
        assert!(found.iter().any(|line| line == stack), "{stack} is not in {found:#?}");
    }
    let (reply, profile) = engine.profile(script, &["key"], NONE);
    assert_eq!(reply.unwrap(), Reply::Bulk(b"x".repeat(10)));
    let table = profile.table();
    let row = |end: &str| table.lines().find(|line| line.ends_with(end)).unwrap_or_default();
    let times = |end: &str| row(end).split_whitespace().nth(2).unwrap_or_default().to_owned();
    assert_eq!(times("  redis.call('incrby', KEYS[1], n)"), "3", "{table}");
    assert_eq!(times("redis.call INCRBY"), "3", "{table}");
    assert!(row("the whole run").trim_start().starts_with(|c: char| c.is_ascii_digit()), "{table}");
    assert!(!profile.total().is_zero());
}

#[test]
fn a_profile_follows_errors_tail_calls_and_coroutines() {
    let engine = Engine::new().unwrap();
    let caught = "local function bad()\n  error('x')\nend\nlocal function try()\n  pcall(bad)\nend\n\
                  try()\nlocal a = 1\nreturn a";
    let found = stacks(&engine, caught);
    assert!(found.contains(&"main:7;try:5;pcall;function@1:2;error".to_owned()), "{found:#?}");
    assert!(found.contains(&"main:8".to_owned()), "{found:#?}");
    let tail = "local function last()\n  local x = 1\n  return x\nend\n\
                local function first()\n  return last()\nend\nlocal y = first()\nreturn y";
    let found = stacks(&engine, tail);
    assert!(found.iter().any(|line| line.starts_with("main:8;") && line.ends_with(":2")));
    assert!(found.contains(&"main:9".to_owned()), "{found:#?}");
    let coroutine = "local co = coroutine.wrap(function()\n  coroutine.yield(1)\n  local z = 2\n\
                     end)\nco()\nco()\nlocal e = 1\nreturn e";
    let found = stacks(&engine, coroutine);
    assert!(found.iter().any(|line| line.starts_with("main:5;co;") && line.contains(":2")));
    assert!(found.contains(&"main:7".to_owned()), "{found:#?}");
}

#[test]
fn a_profiled_run_keeps_to_its_limits_and_the_next_is_not_profiled() {
    let mut options = Options::default();
    options.script_instructions = Some(10_000);
    let engine = Engine::open(&options).unwrap();
    let (reply, profile) =
        engine.profile("redis.call('SET', 'a', 1) while true do end", NONE, NONE);
    let error = reply.unwrap_err();
    assert!(error.to_string().contains("instructions"), "{error}");
    assert_eq!(engine.command(&["EXISTS", "a"]).unwrap(), Reply::Integer(0));
    assert!(profile.collapsed().contains("main:1"));
    engine.eval("return 1", NONE, NONE).unwrap();
    let (reply, profile) = engine.profile("return 2", NONE, NONE);
    assert_eq!(reply.unwrap(), Reply::Integer(2));
    assert!(!profile.collapsed().contains("SET"), "each profile begins anew");
    let (reply, profile) = engine.profile("return (", NONE, NONE);
    assert!(reply.is_err() && profile.collapsed().is_empty());
    engine.close().unwrap();
    assert_eq!(engine.profile("return 1", NONE, NONE).0, Err(Error::Closed));
}

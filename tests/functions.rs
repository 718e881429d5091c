//! Libraries of functions: loading, calling, what they may see and do, and what undoes them.
//!
//! Answers were compared with redis-server 7.0.15; what it is recorded to answer is also in
//! `tests/reference/`.

#[path = "dump/server.rs"]
#[expect(dead_code, reason = "tests of values use the rest")]
mod server;

use moonkv::{Engine, Options, Protocol, Reply};
use server::Server;
use std::time::{Duration, Instant};

/// A reply as text: errors and statuses as they are, nil, and arrays in brackets.
fn text(reply: &Reply) -> String {
    match reply {
        Reply::Null => "nil".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Status(text) | Reply::Error(text) => text.clone(),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn run(engine: &Engine, argv: &[&str]) -> String {
    run_bytes(engine, &argv.iter().map(|word| word.as_bytes()).collect::<Vec<_>>())
}

fn run_bytes(engine: &Engine, argv: &[&[u8]]) -> String {
    let mut reply = moonkv::ReplyBuf::new();
    engine.call(moonkv::Call::Command(argv), &mut reply).unwrap();
    text(&reply.to_reply(Protocol::Resp2))
}

/// Loads a library called `lib` in place of the one before.
fn load(engine: &Engine, body: &str) -> String {
    let code = format!("#!lua name=lib\n{body}");
    run(engine, &["FUNCTION", "LOAD", "REPLACE", &code])
}

fn engine_with(body: &str) -> Engine {
    let engine = Engine::new().unwrap();
    assert_eq!(load(&engine, body), "lib");
    engine
}

fn fcall(engine: &Engine, name: &str) -> String {
    run(engine, &["FCALL", name, "0"])
}

/// What the loading of a library answers, without what all such answers begin with.
fn refused(body: &str) -> String {
    let engine = Engine::new().unwrap();
    let answer = load(&engine, body);
    assert_eq!(run(&engine, &["FUNCTION", "LIST"]), "[]", "{body}");
    let reason = answer.strip_prefix("ERR Error registering functions: ");
    reason.unwrap_or_else(|| panic!("{body}: {answer}")).to_owned()
}

#[test]
fn functions_take_keys_and_arguments() {
    let engine = engine_with(
        "redis.register_function('put', function(keys, args)
             return {redis.call('SET', keys[1], args[1]), #keys, #args}
         end)
         redis.register_function{function_name='count', callback=function(...)
             return select('#', ...)
         end}",
    );
    assert_eq!(run(&engine, &["FCALL", "put", "1", "k", "v", "w"]), "[OK 1 2]");
    assert_eq!(run(&engine, &["GET", "k"]), "v");
    assert_eq!(run(&engine, &["fcall", "COUNT", "0"]), "2");
    assert_eq!(fcall(&engine, "other"), "ERR Function not found");
    let bad = |count| run(&engine, &["FCALL", "count", count]);
    assert_eq!(bad("x"), "ERR Bad number of keys provided");
    assert_eq!(bad("-1"), "ERR Number of keys can't be negative");
    assert_eq!(bad("1"), "ERR Number of keys can't be greater than number of args");
    assert_eq!(run(&engine, &["FCALL", "other", "x"]), "ERR Function not found");
}

#[test]
fn what_a_library_keeps_stays_between_calls() {
    let engine = engine_with(
        "local calls = 0
         redis.register_function('next', function() calls = calls + 1 return calls end)",
    );
    assert_eq!(fcall(&engine, "next"), "1");
    assert_eq!(run(&engine, &["SCRIPT", "FLUSH"]), "OK");
    assert_eq!(run(&engine, &["FLUSHALL"]), "OK");
    assert_eq!(fcall(&engine, "next"), "2");
}

#[test]
fn the_first_line_names_the_library() {
    let engine = Engine::new().unwrap();
    let body = "\nredis.register_function('f', function() return 1 end)";
    let load = |line: &str| {
        run(&engine, &["FUNCTION", "FLUSH"]);
        run(&engine, &["FUNCTION", "LOAD", &format!("{line}{body}")])
    };
    for line in ["#!lua name=a", "#!LUA  NAME=a ", "#!lua\tname='a'", "#!lua \"name=a\"\r"] {
        assert_eq!(load(line), "a", "{line}");
    }
    let bad = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at \
               least one character long";
    for (line, answer) in [
        ("", "ERR Missing library metadata"),
        (" #!lua name=a", "ERR Missing library metadata"),
        ("#!lua name=\"a", "ERR Invalid library metadata"),
        ("#!lua name=a\0", "ERR Invalid library metadata"),
        ("#!lua", "ERR Library name was not given"),
        ("#!foo", "ERR Library name was not given"),
        (
            "#!lua name=a name=b",
            "ERR Invalid metadata value, name argument was given multiple times",
        ),
        ("#! lua name=a", "ERR Invalid metadata value given: lua"),
        ("#!lua flags=no-writes", "ERR Invalid metadata value given: flags=no-writes"),
        ("#!lua name=\"a b\"", bad),
        ("#!lua name=", bad),
        ("#!foo name=a", "ERR Engine 'foo' not found"),
    ] {
        assert_eq!(load(line), answer, "{line}");
    }
}

#[test]
fn a_library_that_loads_can_register_and_log_and_nothing_else() {
    let missing = |name| {
        format!(
            "ERR user_function:2: Script attempted to access nonexistent global variable '{name}'"
        )
    };
    let register = "redis.register_function('f', function() return 1 end) ";
    for (body, name) in [
        ("redis.call('SET', 'k', 'v')", "call"),
        ("redis.pcall('SET', 'k', 'v')", "pcall"),
        ("redis.setresp(3)", "setresp"),
        ("local r = redis.REPL_ALL", "REPL_ALL"),
        ("math.random()", "math"),
        ("pcall(redis.register_function)", "pcall"),
        ("local t = _G", "_G"),
        ("local t = KEYS", "KEYS"),
        ("local t = redis[1]", "1"),
    ] {
        assert_eq!(refused(&format!("{register}{body}")), missing(name), "{body}");
    }
    let read_only = "ERR user_function:2: Attempt to modify a readonly table";
    for body in ["x = 1", "redis.call = 1", "redis.register_function = nil"] {
        assert_eq!(refused(&format!("{register}{body}")), read_only, "{body}");
    }
    let answer = refused("local x = redis[{}]");
    let reason = "Second argument to luaProtectedTableError must be a string or number";
    assert_eq!(answer, format!("ERR user_function:2: {reason}"));
    let engine = engine_with(
        "redis.log(redis.LOG_NOTICE, redis.REDIS_VERSION)
         local name = ('x'):rep(3)
         redis.register_function(name, function() return redis.REDIS_VERSION_NUM end)",
    );
    assert_eq!(fcall(&engine, "xxx"), "458767");
}

#[test]
fn registrations_are_checked() {
    let f = "callback=function() end";
    for (arguments, answer) in [
        ("()", "wrong number of arguments to redis.register_function"),
        ("('x', function() end, nil)", "wrong number of arguments to redis.register_function"),
        ("({}, 1)", "first argument to redis.register_function must be a string"),
        ("('x', 1)", "second argument to redis.register_function must be a function"),
        ("{}", "redis.register_function must get a function name argument"),
        ("{function_name='x'}", "redis.register_function must get a callback argument"),
        ("{1}", "unknown argument given to redis.register_function"),
        ("{[{}]=1}", "named argument key given to redis.register_function is not a string"),
        (
            "{function_name={}}",
            "function_name argument given to redis.register_function must be a string",
        ),
        ("{callback=1}", "callback argument given to redis.register_function must be a function"),
        (
            "{description={}}",
            "description argument given to redis.register_function must be a string",
        ),
        (
            "{flags='no-writes'}",
            "flags argument to redis.register_function must be a table representing function flags",
        ),
        ("{flags={'no-writes', 1}}", "unknown flag given"),
    ] {
        let reason = refused(&format!("redis.register_function{arguments}"));
        assert_eq!(reason, format!("ERR {answer}"), "{arguments}");
    }
    let twice = format!("redis.register_function{{function_name='x', {f}}} ").repeat(2);
    assert_eq!(refused(&twice), "ERR Function already exists in the library");
    let engine = engine_with("redis.register_function(1, function() return 'one' end)");
    assert_eq!(fcall(&engine, "1"), "one");
}

#[test]
fn functions_are_registered_only_while_loading() {
    let engine = engine_with(
        "local register = redis.register_function
         redis.register_function('late', function() register('f', function() end) end)
         redis.register_function('gone', function() return redis.register_function end)",
    );
    let answer = "ERR redis.register_function can only be called on FUNCTION LOAD command \
                  script: late, on @user_function:3.";
    assert_eq!(fcall(&engine, "late"), answer);
    assert_eq!(fcall(&engine, "gone"), "nil");
    let script = run(&engine, &["EVAL", "return redis.register_function", "0"]);
    assert_eq!(script, "nil");
}

#[test]
fn functions_see_neither_keys_nor_what_is_for_scripts_only() {
    let engine = engine_with(
        "redis.register_function('keys', function() return KEYS end)
         redis.register_function('compiled', function() return loadstring('return KEYS')() end)
         redis.register_function('wrapped', function()
             return coroutine.wrap(function() return loadstring('return ARGV')() end)()
         end)
         redis.register_function('write', function() x = 1 end)
         redis.register_function('handler', function() return __redis__err__handler end)
         redis.register_function('breakpoint', function() return type(redis.breakpoint) end)
         redis.register_function('self', function() return _G._G == _G and _G.redis == redis end)
         redis.register_function('raw', function() return rawset(_G, 'x', 1) end)
         redis.register_function('shown', function() return next(getmetatable(_G)) end)",
    );
    assert_eq!(run(&engine, &["EVAL", "return KEYS", "1", "k"]), "[k]");
    let missing = "Script attempted to access nonexistent global variable";
    let (keys, compiled) = (fcall(&engine, "keys"), fcall(&engine, "compiled"));
    assert_eq!(
        keys,
        format!("ERR user_function:2: {missing} 'KEYS' script: keys, on @user_function:2.")
    );
    assert!(compiled.contains(&format!("{missing} 'KEYS' script: compiled")), "{compiled}");
    assert!(fcall(&engine, "wrapped").contains(&format!("{missing} 'ARGV'")));
    assert!(fcall(&engine, "handler").contains(missing));
    assert!(fcall(&engine, "write").contains("Attempt to modify a readonly table"));
    assert!(fcall(&engine, "raw").starts_with("ERR Attempt to modify a readonly table"));
    assert_eq!(fcall(&engine, "breakpoint"), "nil");
    assert_eq!(fcall(&engine, "self"), "1");
    assert_eq!(fcall(&engine, "shown"), "__index");
    // Scripts have their own globals again, whatever a function ended in.
    assert_eq!(
        run(&engine, &["EVAL", "return {KEYS[1], loadstring('return KEYS[1]')()}", "1", "k"]),
        "[k k]"
    );
}

#[test]
fn server_is_another_name_of_redis() {
    let engine = Engine::new().unwrap();
    let code = "#!lua name=a\nserver.register_function('f', function() return server.call('GET', 'k') end)";
    assert_eq!(run(&engine, &["FUNCTION", "LOAD", code]), "a");
    run(&engine, &["SET", "k", "v"]);
    assert_eq!(fcall(&engine, "f"), "v");
    assert_eq!(run(&engine, &["EVAL", "return server.call('GET', 'k')", "0"]), "v");
    assert_eq!(run(&engine, &["EVAL", "return server == redis", "0"]), "1");
}

#[test]
fn what_fails_changes_nothing() {
    let first = "redis.register_function('f', function() return 'old' end)";
    let engine = engine_with(first);
    let other =
        |code: &str| run(&engine, &["FUNCTION", "LOAD", &format!("#!lua name=other\n{code}")]);
    let replaced = |code: &str| load(&engine, code);
    assert_eq!(
        run(&engine, &["FUNCTION", "LOAD", &format!("#!lua name=lib\n{first}")]),
        "ERR Library 'lib' already exists"
    );
    assert_eq!(
        other("redis.register_function('F', function() end)"),
        "ERR Function F already exists"
    );
    assert_eq!(replaced("return"), "ERR No functions registered");
    assert_eq!(
        replaced("x"),
        "ERR Error compiling function: user_function:2: '=' expected near '<eof>'"
    );
    assert_eq!(other("redis.register_function('g', function() return 'g' end)"), "other");
    assert_eq!(
        replaced("redis.register_function('g', function() end)"),
        "ERR Function g already exists"
    );
    assert_eq!((fcall(&engine, "f"), fcall(&engine, "g")), ("old".to_owned(), "g".to_owned()));
    assert_eq!(replaced("redis.register_function('f', function() return 'new' end)"), "lib");
    assert_eq!(fcall(&engine, "F"), "new");
    assert_eq!(
        run(&engine, &["FUNCTION", "LOAD", "UPDATE", "#!lua name=lib\n"]),
        "ERR Unknown option given: UPDATE"
    );
}

#[test]
fn a_library_does_not_load_for_ever() {
    let begun = Instant::now();
    assert_eq!(refused("while true do end"), "ERR FUNCTION LOAD timeout");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut options = Options::default();
    options.script_timeout = Some(Duration::from_millis(20));
    options.script_memory = Some(8 << 20);
    let engine = Engine::open(&options).unwrap();
    let long = load(&engine, "local s = ('x'):rep(1e7)");
    assert!(long.contains("script_memory"), "{long}");
    assert!(load(&engine, "while true do end").contains("script_timeout_ms"));
    assert!(load(&engine, "local function f() return 1 + f() end f()").contains("stack overflow"));
    assert_eq!(load(&engine, "redis.register_function('f', function() return 1 end)"), "lib");
    assert_eq!(fcall(&engine, "f"), "1");
}

#[test]
fn a_function_that_fails_is_undone() {
    let mut options = Options::default();
    options.script_timeout = Some(Duration::from_millis(50));
    let engine = Engine::open(&options).unwrap();
    let body = "local function put(keys) redis.call('SET', keys[1], 'new') end
         redis.register_function('fail', function(keys) put(keys) error('no') end)
         redis.register_function('loop', function(keys) put(keys) while true do end end)
         redis.register_function('catch', function(keys)
             put(keys)
             return redis.pcall('INCR', keys[1])
         end)
         redis.register_function('fine', function(keys) put(keys) return {err='MY own'} end)";
    assert_eq!(load(&engine, body), "lib");
    let call = |name| {
        run(&engine, &["SET", "k", "old"]);
        (run(&engine, &["FCALL", name, "1", "k"]), run(&engine, &["GET", "k"]))
    };
    let (error, value) = call("fail");
    assert_eq!(error, "ERR user_function:3: no script: fail, on @user_function:3.");
    assert_eq!(value, "old");
    let (error, value) = call("loop");
    assert!(error.contains("time limit of 50 ms"), "{error}");
    assert!(error.ends_with("script: loop"), "{error}");
    assert_eq!(value, "old");
    assert_eq!(call("catch").1, "new");
    assert_eq!(call("fine"), ("MY own".to_owned(), "new".to_owned()));
}

#[test]
fn functions_that_promise_not_to_write_are_held_to_it() {
    let engine = engine_with(
        "local function put(keys) return (redis.call('SET', keys[1], 'v')) end
         redis.register_function('free', put)
         redis.register_function{function_name='reads', callback=put, flags={'No-Writes'}}
         redis.register_function{function_name='get', flags={'no-writes', 'allow-oom'},
             callback=function(keys) return redis.call('GET', keys[1]) end}",
    );
    let refused = "ERR Write commands are not allowed from read-only scripts. \
                   script: reads, on @user_function:2.";
    assert_eq!(run(&engine, &["FCALL", "reads", "1", "k"]), refused);
    assert_eq!(run(&engine, &["FCALL_RO", "reads", "1", "k"]), refused);
    assert_eq!(
        run(&engine, &["FCALL_RO", "free", "1", "k"]),
        "ERR Can not execute a script with write flag using *_ro command."
    );
    assert_eq!(run(&engine, &["EXISTS", "k"]), "0");
    assert_eq!(run(&engine, &["FCALL", "free", "1", "k"]), "OK");
    assert_eq!(run(&engine, &["FCALL_RO", "get", "1", "k"]), "v");
}

#[test]
fn functions_cannot_reach_functions() {
    let engine = engine_with(
        "redis.register_function('call', function() return redis.call('FCALL', 'call', 0) end)
         redis.register_function('flush', function() return redis.call('FUNCTION', 'FLUSH') end)",
    );
    for name in ["call", "flush"] {
        assert!(
            fcall(&engine, name).starts_with("ERR This Redis command is not allowed from script")
        );
    }
    let script = run(&engine, &["EVAL", "return redis.call('FUNCTION', 'FLUSH')", "0"]);
    assert!(script.starts_with("ERR This Redis command is not allowed from script"), "{script}");
    assert_eq!(
        run(&engine, &["FUNCTION", "STATS"]),
        "[running_script nil engines [LUA [libraries_count 1 functions_count 2]]]"
    );
}

#[test]
fn lists_show_libraries_by_pattern() {
    let engine = engine_with(
        "redis.register_function{function_name='f', callback=function() end, description='what it does',
             flags={'allow-cross-slot-keys', 'no-writes'}}",
    );
    run(
        &engine,
        &["FUNCTION", "LOAD", "#!lua name=b\nredis.register_function('g', function() end)"],
    );
    let list = |options: &[&str]| run(&engine, &[&["FUNCTION", "LIST"], options].concat());
    let b = "library_name b engine LUA functions [[name g description nil flags []]]";
    let lib = "library_name lib engine LUA functions \
               [[name f description what it does flags [no-writes allow-cross-slot-keys]]]";
    assert_eq!(list(&[]), format!("[[{b}] [{lib}]]"));
    assert_eq!(list(&["libraryname", "l*"]), format!("[[{lib}]]"));
    assert_eq!(list(&["LIBRARYNAME", "LIB"]), "[]");
    let code = "library_code #!lua name=b\nredis.register_function('g', function() end)";
    assert_eq!(list(&["WITHCODE", "LIBRARYNAME", "b"]), format!("[[{b} {code}]]"));
    assert_eq!(list(&["LIBRARYNAME"]), "ERR library name argument was not given");
    assert_eq!(list(&["WITHCODE", "WITHCODE"]), "ERR Unknown argument WITHCODE");
    assert_eq!(list(&["x"]), "ERR Unknown argument x");
}

#[test]
fn libraries_are_deleted_one_by_one_or_together() {
    let engine = engine_with("redis.register_function('f', function() return 1 end)");
    assert_eq!(run(&engine, &["FUNCTION", "DELETE", "LIB"]), "ERR Library not found");
    assert_eq!(run(&engine, &["FUNCTION", "DELETE", "lib"]), "OK");
    assert_eq!(fcall(&engine, "f"), "ERR Function not found");
    for (words, answer) in [
        (&["x"][..], "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        (
            &["SYNC", "x"],
            "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.",
        ),
        (&["async"], "OK"),
    ] {
        assert_eq!(load(&engine, "redis.register_function('f', function() return 1 end)"), "lib");
        assert_eq!(run(&engine, &[&["FUNCTION", "FLUSH"], words].concat()), answer);
    }
    assert_eq!(run(&engine, &["FUNCTION", "LIST"]), "[]");
    assert_eq!(run(&engine, &["FUNCTION", "KILL"]), "NOTBUSY No scripts in execution right now.");
}

/// The names of all libraries and what `f` answers.
fn state(engine: &Engine) -> (String, String) {
    let list = run(engine, &["FUNCTION", "LIST"]);
    let names = list.split("library_name ").skip(1).filter_map(|rest| rest.split(' ').next());
    (names.collect::<Vec<_>>().join(" "), fcall(engine, "f"))
}

fn library(name: &str, function: &str, value: &str) -> String {
    format!(
        "#!lua name={name}\nredis.register_function('{function}', function() return '{value}' end)"
    )
}

#[test]
fn dumps_are_restored_by_policy() {
    let source = Engine::new().unwrap();
    run(&source, &["FUNCTION", "LOAD", &library("a", "f", "dumped")]);
    run(&source, &["FUNCTION", "LOAD", &library("b", "g", "dumped")]);
    let Reply::Bulk(payload) = source.command(&["FUNCTION", "DUMP"]).unwrap() else { panic!() };
    let restore = |engine: &Engine, policy: &[&str]| {
        let policy = policy.iter().map(|word| word.as_bytes());
        let head: [&[u8]; 3] = [b"FUNCTION", b"RESTORE", &payload];
        run_bytes(engine, &head.into_iter().chain(policy).collect::<Vec<_>>())
    };
    let pair = |names: &str, value: &str| (names.to_owned(), value.to_owned());

    let engine = Engine::new().unwrap();
    assert_eq!(restore(&engine, &[]), "OK");
    assert_eq!(state(&engine), pair("a b", "dumped"));
    assert_eq!(restore(&engine, &["append"]), "ERR Library a already exists");
    run(&engine, &["FUNCTION", "LOAD", "REPLACE", &library("a", "f", "mine")]);
    run(&engine, &["FUNCTION", "LOAD", &library("c", "h", "mine")]);
    assert_eq!(restore(&engine, &["REPLACE"]), "OK");
    assert_eq!(state(&engine), pair("a b c", "dumped"));
    run(&engine, &["FUNCTION", "DELETE", "a"]);
    run(&engine, &["FUNCTION", "LOAD", &library("d", "f", "mine")]);
    assert_eq!(restore(&engine, &["REPLACE"]), "ERR Function f already exists");
    run(&engine, &["FUNCTION", "DELETE", "b"]);
    assert_eq!(restore(&engine, &[]), "ERR Function f already exists");
    assert_eq!(state(&engine), pair("c d", "mine"));
    assert_eq!(restore(&engine, &["flush"]), "OK");
    assert_eq!(state(&engine), pair("a b", "dumped"));
    assert_eq!(
        restore(&engine, &["x"]),
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
    );
    assert_eq!(
        restore(&engine, &["flush", "x"]),
        "ERR unknown subcommand or wrong number of arguments for 'RESTORE'. Try FUNCTION HELP."
    );
}

#[test]
fn a_damaged_payload_changes_nothing() {
    let engine = engine_with("redis.register_function('f', function() return 'kept' end)");
    let Reply::Bulk(payload) = engine.command(&["FUNCTION", "DUMP"]).unwrap() else { panic!() };
    let restore =
        |payload: &[u8]| run_bytes(&engine, &[b"FUNCTION", b"RESTORE", payload, b"FLUSH"]);
    for at in 0..payload.len() {
        let mut damaged = payload.clone();
        damaged[at] ^= 0x10;
        let answer = restore(&damaged);
        assert_eq!(answer, "ERR DUMP payload version or checksum are wrong", "byte {at}");
        assert_eq!(restore(&payload[..at]), answer, "{at} bytes");
    }
    // A value's payload is whole, but has no library in it.
    run(&engine, &["SET", "k", "v"]);
    let Reply::Bulk(value) = engine.command(&["DUMP", "k"]).unwrap() else { panic!() };
    assert_eq!(restore(&value), "ERR given type is not a function");
    assert_eq!(state(&engine), ("lib".to_owned(), "kept".to_owned()));
}

#[test]
fn calls_are_queued_as_any_command() {
    let engine = engine_with(
        "redis.register_function('put', function(keys) return redis.call('INCR', keys[1]) end)
         redis.register_function('fail', function(keys) redis.call('INCR', keys[1]) error('no') end)",
    );
    let session = engine.session().unwrap();
    for words in [&["MULTI"][..], &["FCALL", "put", "1", "k"], &["FCALL", "put", "1", "k"]] {
        session.command(words).unwrap();
    }
    session.command(&["FUNCTION", "LIST", "LIBRARYNAME", "x"]).unwrap();
    assert_eq!(text(&session.command(&["EXEC"]).unwrap()), "[1 2 []]");
    for words in [&["MULTI"][..], &["FCALL", "fail", "1", "k"], &["FCALL", "put", "1", "k"]] {
        session.command(words).unwrap();
    }
    let answer = text(&session.command(&["EXEC"]).unwrap());
    assert!(answer.ends_with("on @user_function:3. 3]"), "{answer}");
}

#[test]
fn a_rolled_back_transaction_undoes_what_functions_did() {
    let engine = engine_with(
        "redis.register_function('put', function(k) return redis.call('INCR', k[1]) end)",
    );
    let session = engine.session().unwrap();
    session.begin().unwrap();
    assert_eq!(text(&session.command(&["FCALL", "put", "1", "k"]).unwrap()), "1");
    session.rollback().unwrap();
    assert_eq!(run(&engine, &["EXISTS", "k"]), "0");
}

#[test]
fn a_fork_has_the_functions_too() {
    let engine =
        engine_with("redis.register_function('f', function() return redis.call('GET', 'k') end)");
    run(&engine, &["SET", "k", "v"]);
    let fork = engine.fork().unwrap();
    run(&engine, &["FUNCTION", "FLUSH"]);
    assert_eq!(fcall(&fork, "f"), "v");
    assert_eq!(fcall(&engine, "f"), "ERR Function not found");
}

#[test]
fn what_redis_answers_of_commands_and_flags() {
    let engine = Engine::new().unwrap();
    let eval = |code: &str| run(&engine, &["EVAL", &format!("return {code}"), "0"]);
    assert_eq!(eval("redis.acl_check_cmd('GET', 'k')"), "1");
    assert_eq!(eval("redis.acl_check_cmd('config', 'get', 'x')"), "1");
    let unknown = "ERR Invalid command passed to redis.acl_check_cmd()";
    for call in ["'nosuch'", "'config', 'nosuch'", "1"] {
        assert!(eval(&format!("redis.acl_check_cmd({call})")).starts_with(unknown), "{call}");
    }
    assert!(
        eval("redis.acl_check_cmd({})").starts_with("ERR Lua redis lib command arguments must")
    );
    assert_eq!(eval("redis.breakpoint()"), "nil");
    assert_eq!(eval("redis.debug('x')"), "nil");
    assert_eq!(eval("redis.replicate_commands()"), "1");
    assert_eq!(eval("redis.set_repl(redis.REPL_NONE)"), "nil");
    assert!(eval("redis.set_repl(-1)").starts_with("ERR Invalid replication flags."));
    assert_eq!(eval("{redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}"), "[7.0.15 458767]");
}

#[test]
fn a_real_server_restores_what_is_dumped_here_and_the_other_way_round() {
    let Some(mut server) = Server::start() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let engine = Engine::new().unwrap();
    let value = "long".repeat(100);
    run(&engine, &["FUNCTION", "LOAD", &library("a", "f", &value)]);
    let Reply::Bulk(ours) = engine.command(&["FUNCTION", "DUMP"]).unwrap() else { panic!() };
    server.ok(&[b"FUNCTION", b"RESTORE", &ours]);
    assert_eq!(server.bytes(&[b"FCALL", b"f", b"0"]), value.as_bytes());
    let theirs = server.bytes(&[b"FUNCTION", b"DUMP"]);
    run(&engine, &["FUNCTION", "FLUSH"]);
    assert_eq!(run_bytes(&engine, &[b"FUNCTION", b"RESTORE", &theirs]), "OK");
    assert_eq!(fcall(&engine, "f"), value);
    let nothing = Engine::new().unwrap().command(&["FUNCTION", "DUMP"]).unwrap();
    server.ok(&[b"FUNCTION", b"FLUSH"]);
    assert_eq!(nothing, Reply::Bulk(server.bytes(&[b"FUNCTION", b"DUMP"])));
}

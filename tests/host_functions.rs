//! Functions of the host's that are registered as commands: who reaches them, what they may do,
//! and what becomes of it when they fail.

use moonkv::{Call, Engine, Error, HostCommand, OnError, Options, Protocol, Reply, ReplyBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const NONE: &[&str] = &[];

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

fn message(answer: Result<Reply, Error>) -> String {
    answer.expect_err("it fails").to_string()
}

/// An engine with GAME.SPAWN, which pushes its second argument to its first, and then fails if
/// that is a dragon, and panics if it is a bug.
fn game() -> Engine {
    game_with(&Options::default())
}

fn game_with(options: &Options) -> Engine {
    let engine = Engine::open(options).unwrap();
    let spawn = HostCommand::new("GAME.SPAWN").arity(3).keys(1, 1, 1);
    engine
        .register(spawn, |call| {
            let (area, monster) = (call.args()[0].to_vec(), call.args()[1].to_vec());
            let reply = call.command(&[b"RPUSH", &area[..], &monster])?;
            match &monster[..] {
                b"dragon" => Err(Error::reply("not in this game")),
                b"coded" => Err(Error::reply("NODRAGONS in this game")),
                b"bug" => panic!("a bug of the host's"),
                _ => Ok(reply),
            }
        })
        .unwrap();
    engine
}

fn length(engine: &Engine, key: &str) -> i64 {
    engine.command(&["LLEN", key]).unwrap().as_integer().unwrap()
}

#[test]
fn scripts_clients_and_sessions_reach_it_by_its_name() {
    let engine = game();
    assert_eq!(engine.command(&["game.Spawn", "cave", "rat"]), Ok(Reply::Integer(1)));
    let script = "return redis.call('GAME.SPAWN', KEYS[1], ARGV[1])";
    assert_eq!(engine.eval(script, &["cave"], &["bat"]), Ok(Reply::Integer(2)));
    assert_eq!(engine.eval(script, &["cave"], &["cat"]), Ok(Reply::Integer(3)));
    let session = engine.session().unwrap();
    session.command(&["MULTI"]).unwrap();
    let queued = session.command(&["GAME.SPAWN", "cave", "owl"]);
    assert_eq!(queued, Ok(Reply::Status("QUEUED".into())));
    assert_eq!(length(&engine, "cave"), 3);
    assert_eq!(session.command(&["EXEC"]), Ok(Reply::Array(vec![Reply::Integer(4)])));
    let resp = engine.command_resp(&["GAME.SPAWN", "cave", "elk"], Protocol::Resp2);
    assert_eq!(resp, Ok(b":5\r\n".to_vec()));
}

#[test]
fn arity_and_unknown_names_are_answered_as_for_other_commands() {
    let engine = game();
    let wrong = "ERR wrong number of arguments for 'game.spawn' command";
    assert_eq!(message(engine.command(&["GAME.SPAWN", "cave"])), wrong);
    let answer = message(engine.eval("return redis.call('GAME.SPAWN', 'cave')", NONE, NONE));
    assert!(answer.starts_with("ERR Wrong number of args calling Redis command from script"));
    let session = engine.session().unwrap();
    session.command(&["MULTI"]).unwrap();
    assert_eq!(message(session.command(&["GAME.SPAWN"])), wrong);
    assert!(message(session.command(&["EXEC"])).starts_with("EXECABORT"));
    let unknown = message(engine.command(&["GAME.OTHER", "x"]));
    assert_eq!(unknown, "ERR unknown command 'GAME.OTHER', with args beginning with: 'x' ");
    let answer = message(engine.eval("return redis.call('GAME.OTHER')", NONE, NONE));
    assert!(answer.starts_with("ERR Unknown Redis command called from script"), "{answer}");
}

#[test]
fn an_error_is_one_of_the_script_and_undoes_what_was_done() {
    let engine = game();
    let script = "redis.call('SET', 'before', 1)
                  redis.call('GAME.SPAWN', 'cave', 'rat')
                  return (redis.call('GAME.SPAWN', 'cave', ARGV[1]))";
    let answer = message(engine.eval(script, NONE, &["dragon"]));
    assert!(answer.starts_with("ERR not in this game script: "), "{answer}");
    assert!(answer.ends_with("on @user_script:3."), "{answer}");
    let answer = message(engine.eval(script, NONE, &["coded"]));
    assert!(answer.starts_with("NODRAGONS in this game script: "), "{answer}");
    assert_eq!(engine.command(&["DBSIZE"]), Ok(Reply::Integer(0)));
}

#[test]
fn a_script_that_fails_later_undoes_what_a_function_did() {
    let engine = game();
    let script = "redis.call('GAME.SPAWN', 'cave', 'rat') error('late')";
    assert!(engine.eval(script, NONE, NONE).is_err());
    assert_eq!(engine.command(&["DBSIZE"]), Ok(Reply::Integer(0)));
    let session = engine.session().unwrap();
    session.begin().unwrap();
    session.command(&["GAME.SPAWN", "cave", "rat"]).unwrap();
    session.rollback().unwrap();
    assert_eq!(length(&engine, "cave"), 0);
}

#[test]
fn a_function_that_fails_has_changed_nothing_whoever_called_it() {
    for on_error in [OnError::Rollback, OnError::Keep] {
        let mut options = Options::default();
        options.on_error = on_error;
        let engine = game_with(&options);
        engine.command(&["RPUSH", "cave", "first"]).unwrap();
        assert_eq!(
            message(engine.command(&["GAME.SPAWN", "cave", "dragon"])),
            "ERR not in this game"
        );
        assert_eq!(length(&engine, "cave"), 1);
        let script = "redis.call('RPUSH', 'cave', 'second')
                      local answer = redis.pcall('GAME.SPAWN', 'cave', 'dragon')
                      redis.call('RPUSH', 'cave', 'third')
                      return answer.err";
        assert_eq!(engine.eval(script, NONE, NONE), Ok(bulk("ERR not in this game")));
        let all = engine.command(&["LRANGE", "cave", "0", "-1"]);
        assert_eq!(all, Ok(Reply::Array(["first", "second", "third"].map(bulk).to_vec())));
    }
}

#[test]
fn a_panic_is_an_error_of_the_call_and_the_engine_lives_on() {
    let engine = game();
    let panicked = "ERR the host function 'game.spawn' panicked: a bug of the host's";
    assert_eq!(message(engine.command(&["GAME.SPAWN", "cave", "bug"])), panicked);
    let script = "redis.call('SET', 'k', 1) return redis.call('GAME.SPAWN', 'cave', 'bug')";
    assert!(message(engine.eval(script, NONE, NONE)).starts_with(panicked));
    let script = "return redis.pcall('GAME.SPAWN', 'cave', 'bug').err";
    assert_eq!(engine.eval(script, NONE, NONE), Ok(bulk(panicked)));
    assert_eq!(engine.command(&["DBSIZE"]), Ok(Reply::Integer(0)));
    assert_eq!(engine.command(&["GAME.SPAWN", "cave", "rat"]), Ok(Reply::Integer(1)));
}

#[test]
fn a_panic_without_a_text_is_told_too() {
    let engine = Engine::new().unwrap();
    engine.register(HostCommand::new("P"), |_| std::panic::panic_any(5)).unwrap();
    let answer = message(engine.command(&["P"]));
    assert_eq!(answer, "ERR the host function 'p' panicked: no message");
}

#[test]
fn the_engines_own_handles_are_reentrant_and_no_deadlock() {
    let engine = Arc::new(Engine::new().unwrap());
    let session = engine.session().unwrap();
    let script = engine.prepare("return 1").unwrap();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (inner, seen) = (Arc::downgrade(&engine), Arc::clone(&answers));
    let command = HostCommand::new("AGAIN");
    let again = move |_: &mut moonkv::HostCall<'_>| {
        let engine = inner.upgrade().unwrap();
        let registered = engine.register(HostCommand::new("OTHER"), |_| Ok(Reply::Null));
        let errors = [
            engine.command(&["PING"]).err(),
            engine.eval("return 1", NONE, NONE).err(),
            session.command(&["PING"]).err(),
            script.run(NONE, NONE).err(),
            engine.unregister("AGAIN").err(),
            engine.close().err(),
            registered.err(),
        ];
        seen.lock().unwrap().extend(errors);
        engine.command(&["PING"])
    };
    engine.register(command, again).unwrap();
    let answer = message(engine.command(&["AGAIN"]));
    assert_eq!(answer, "ERR the engine was called from inside one of its own callbacks");
    assert_eq!(*answers.lock().unwrap(), vec![Some(Error::Reentrant); 7]);
    assert_eq!(engine.command(&["PING"]), Ok(Reply::Status("PONG".into())));
}

#[test]
fn names_of_commands_and_what_is_no_name_are_refused() {
    let engine = Engine::new().unwrap();
    let refused = |command: HostCommand| {
        let error = engine.register(command, |_| Ok(Reply::Null)).expect_err("it is refused");
        assert!(matches!(error, Error::Options { .. }), "{error:?}");
        error.to_string()
    };
    assert!(refused(HostCommand::new("Get")).contains("'get' would hide"));
    assert!(refused(HostCommand::new("CONFIG")).contains("'config' would hide"));
    let longest = "x".repeat(64);
    for name in ["", "two words", "a|b", "k\u{e9}y", "nul\0", &format!("{longest}y")] {
        assert!(refused(HostCommand::new(name)).contains("names are"), "{name:?}");
    }
    engine.register(HostCommand::new(longest.as_str()), |_| Ok(Reply::Integer(1))).unwrap();
    assert_eq!(engine.command(&[&longest]), Ok(Reply::Integer(1)));
    assert!(refused(HostCommand::new("F").arity(0)).contains("arity"));
    for flags in ["blocking", "movablekeys", "wirte", "write readonly"] {
        assert!(refused(HostCommand::new("F").flags(flags)).contains("flags are"), "{flags}");
    }
    for (first, last, step) in [(0, 1, 1), (1, 1, 0), (2, 1, 1), (-1, -1, 1), (1, 0, 1)] {
        let keys = HostCommand::new("F").keys(first, last, step);
        assert!(refused(keys).contains("keys are"), "{first} {last} {step}");
    }
}

#[test]
fn registering_again_replaces_and_unregistering_removes() {
    let (engine, other) = (Engine::new().unwrap(), Engine::new().unwrap());
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    engine
        .register(HostCommand::new("F"), move |_| {
            let _keep = &owned;
            Ok(Reply::Integer(1))
        })
        .unwrap();
    let script = "return redis.call('F')";
    assert_eq!(engine.eval(script, NONE, NONE), Ok(Reply::Integer(1)));
    engine.register(HostCommand::new("f"), |_| Ok(Reply::Integer(2))).unwrap();
    assert!(weak.upgrade().is_none(), "the replaced function is dropped");
    assert_eq!(engine.eval(script, NONE, NONE), Ok(Reply::Integer(2)));
    // It is one engine's, and no copy's.
    assert!(other.command(&["F"]).is_err());
    assert!(engine.fork().unwrap().command(&["F"]).is_err());
    assert_eq!(engine.unregister("F"), Ok(true));
    assert_eq!(engine.unregister("F"), Ok(false));
    assert_eq!(engine.unregister("GET"), Ok(false));
    assert!(engine.command(&["F"]).is_err());
    assert!(engine.eval(script, NONE, NONE).is_err());
    engine.command(&["PING"]).unwrap();
}

#[test]
fn a_queued_function_that_is_gone_is_unknown_at_exec() {
    let engine = game();
    let session = engine.session().unwrap();
    session.command(&["MULTI"]).unwrap();
    session.command(&["GAME.SPAWN", "cave", "rat"]).unwrap();
    engine.unregister("GAME.SPAWN").unwrap();
    let answer = session.command(&["EXEC"]).unwrap();
    let Some([Reply::Error(text)]) = answer.as_array() else { panic!("{answer:?}") };
    assert!(text.starts_with("ERR unknown command 'GAME.SPAWN'"), "{text}");
}

/// An engine with two functions that run their arguments as a command, one of them read-only.
fn passing_on() -> Engine {
    let engine = Engine::new().unwrap();
    for (name, flags) in [("RUN", "write"), ("RUN.RO", "readonly fast"), ("RUN.NONE", "")] {
        let command = HostCommand::new(name).arity(-2).flags(flags);
        engine
            .register(command, |call| {
                let argv: Vec<Vec<u8>> = call.args().iter().map(|arg| arg.to_vec()).collect();
                call.command(&argv)
            })
            .unwrap();
    }
    engine
}

#[test]
fn without_the_flag_nothing_is_written() {
    let engine = passing_on();
    engine.command(&["SET", "k", "v"]).unwrap();
    let refused = "ERR Write commands are not allowed in a read-only host function";
    for name in ["RUN.RO", "RUN.NONE"] {
        assert_eq!(engine.command(&[name, "GET", "k"]), Ok(bulk("v")));
        assert_eq!(message(engine.command(&[name, "DEL", "k"])), refused);
        assert_eq!(message(engine.command(&[name, "RUN", "DEL", "k"])), refused);
    }
    let script = "#!lua flags=no-writes\nreturn redis.call(ARGV[1], ARGV[2], 'k')";
    assert_eq!(engine.eval(script, NONE, &["RUN.RO", "GET"]), Ok(bulk("v")));
    let answer = message(engine.eval(script, NONE, &["RUN", "GET"]));
    assert!(answer.starts_with("ERR Write commands are not allowed from read-only scripts."));
}

#[test]
fn what_scripts_may_not_run_functions_may_not_either() {
    let engine = passing_on();
    for command in ["MULTI", "EVAL", "WATCH", "SCRIPT"] {
        let own: &[&str] = match command {
            "EVAL" => &["RUN", "EVAL", "return 1", "0"],
            "WATCH" => &["RUN", "WATCH", "k"],
            "SCRIPT" => &["RUN", "SCRIPT", "FLUSH"],
            command => &["RUN", command],
        };
        let answer = message(engine.command(own));
        assert_eq!(answer, "ERR This command is not allowed from a host function", "{command}");
    }
    assert!(message(engine.command(&["RUN", "NOTHING"])).starts_with("ERR unknown command"));
    let arity = "ERR wrong number of arguments for 'get' command";
    assert_eq!(message(engine.command(&["RUN", "GET"])), arity);
    let flags = "ERR unknown subcommand 'x'. Try SCRIPT HELP.";
    assert_eq!(message(engine.command(&["RUN", "SCRIPT", "x"])), flags);
}

#[test]
fn a_function_for_hosts_only_is_kept_from_scripts_and_functions() {
    let engine = passing_on();
    engine.register(HostCommand::new("OWN").flags("noscript"), |_| Ok(Reply::Null)).unwrap();
    assert_eq!(engine.command(&["OWN"]), Ok(Reply::Null));
    let answer = message(engine.eval("return redis.call('OWN')", NONE, NONE));
    assert!(answer.starts_with("ERR This Redis command is not allowed from script"), "{answer}");
    let answer = message(engine.command(&["RUN", "OWN"]));
    assert_eq!(answer, "ERR This command is not allowed from a host function");
}

#[test]
fn commands_that_wait_answer_at_once() {
    let engine = passing_on();
    assert_eq!(engine.command(&["RUN", "BLMPOP", "0", "1", "empty", "LEFT"]), Ok(Reply::Null));
}

#[test]
fn functions_that_call_one_another_end_at_a_depth() {
    let engine = passing_on();
    let nested = |depth: usize| [vec!["RUN"; depth], vec!["INCR", "n"]].concat();
    assert_eq!(engine.command(&nested(16)), Ok(Reply::Integer(1)));
    let answer = message(engine.command(&nested(17)));
    assert_eq!(answer, "ERR host functions call one another too deeply");
    let script = "return redis.call(unpack(ARGV))";
    assert_eq!(engine.eval(script, NONE, &nested(16)), Ok(Reply::Integer(2)));
    assert!(engine.eval(script, NONE, &nested(1000)).is_err());
}

#[test]
fn a_selected_database_is_the_callers_again_afterwards() {
    let engine = Engine::new().unwrap();
    engine
        .register(HostCommand::new("ELSEWHERE"), |call| {
            call.command(&["SELECT", "3"])?;
            call.command(&["SET", "k", "3"])
        })
        .unwrap();
    engine.command(&["ELSEWHERE"]).unwrap();
    engine.eval("redis.call('ELSEWHERE') redis.call('SET', 'here', 1)", NONE, NONE).unwrap();
    assert_eq!(engine.command(&["DBSIZE"]), Ok(Reply::Integer(1)));
    engine.command(&["SELECT", "3"]).unwrap();
    assert_eq!(engine.command(&["GET", "k"]), Ok(bulk("3")));
}

#[test]
fn watchers_and_those_who_wait_hear_of_what_a_function_does() {
    let engine = game();
    let (session, waiting) = (engine.session().unwrap(), engine.session().unwrap());
    session.command(&["WATCH", "cave"]).unwrap();
    session.command(&["MULTI"]).unwrap();
    session.command(&["PING"]).unwrap();
    assert!(engine.command(&["GAME.SPAWN", "cave", "dragon"]).is_err());
    let untouched = session.command(&["EXEC"]).unwrap();
    assert!(!untouched.is_null(), "what was undone was not touched");
    session.command(&["WATCH", "cave"]).unwrap();
    session.command(&["MULTI"]).unwrap();
    session.command(&["PING"]).unwrap();
    std::thread::scope(|scope| {
        let popped = scope.spawn(|| waiting.command(&["BLPOP", "den", "20"]));
        engine.command(&["GAME.SPAWN", "cave", "rat"]).unwrap();
        engine.command(&["GAME.SPAWN", "den", "fox"]).unwrap();
        let popped = popped.join().unwrap();
        assert_eq!(popped, Ok(Reply::Array(vec![bulk("den"), bulk("fox")])));
    });
    assert_eq!(session.command(&["EXEC"]), Ok(Reply::Null));
}

#[test]
fn replies_of_all_kinds_reach_scripts_and_hosts() {
    let mut options = Options::default();
    options.protocol = Protocol::Resp3;
    let engine = Engine::open(&options).unwrap();
    let tree = Reply::Array(vec![
        Reply::Null,
        Reply::Integer(-1),
        Reply::Bulk(b"a\0b".to_vec()),
        Reply::Status("FINE".into()),
        Reply::Error("ERR within".into()),
        Reply::Map(vec![(bulk("k"), Reply::Double(0.5))]),
        Reply::Set(vec![Reply::Boolean(true)]),
        Reply::BigNumber("123456789012345678901".into()),
        Reply::Verbatim { format: "txt".into(), text: b"text".to_vec() },
        Reply::Array(vec![]),
    ]);
    let given = tree.clone();
    engine.register(HostCommand::new("ALL"), move |_| Ok(given.clone())).unwrap();
    assert_eq!(engine.command(&["ALL"]), Ok(tree));
    let script = "local r = redis.call('ALL')
                  return {r[2], r[3], r[4].ok, r[5].err, r[6][2], r[7][1], #r[8], r[9], #r[10]}";
    let seen = engine.eval(script, NONE, NONE).unwrap();
    let expected = vec![
        Reply::Integer(-1),
        Reply::Bulk(b"a\0b".to_vec()),
        bulk("FINE"),
        bulk("ERR within"),
        bulk("0.5"),
        Reply::Integer(1),
        Reply::Integer(21),
        bulk("text"),
        Reply::Integer(0),
    ];
    assert_eq!(seen, Reply::Array(expected));
    engine.register(HostCommand::new("BAD"), |_| Ok(Reply::Error("a\r\nb".into()))).unwrap();
    assert_eq!(message(engine.command(&["BAD"])), "ERR a  b");
}

#[test]
fn a_call_tells_its_arguments() {
    let engine = Engine::new().unwrap();
    engine
        .register(HostCommand::new("TELL").flags("readonly"), |call| {
            assert!(call.is_read_only());
            assert_eq!((call.arg(0), call.arg(9)), (Some(&b"a"[..]), None));
            Ok(Reply::Bulk([call.name(), &call.args().concat()].concat()))
        })
        .unwrap();
    assert_eq!(engine.command(&["tElL", "a", "b\0"]), Ok(bulk("tElLab\0")));
    let answer = engine.eval("return redis.call('Tell', 'a', 1.5, 2)", NONE, NONE);
    assert_eq!(answer, Ok(bulk("Tella1.52")));
}

#[test]
fn commands_within_may_use_one_buffer() {
    let engine = Engine::new().unwrap();
    engine
        .register(HostCommand::new("COUNT.TO").arity(2), |call| {
            let mut reply = ReplyBuf::new();
            for _ in 0..call.args()[0].len() {
                call.call(&[b"INCR", b"n"], &mut reply);
                assert!(!reply.is_error());
            }
            call.call(&[b"LPOP", b"n"], &mut reply);
            assert!(reply.is_error());
            call.command(&["GET", "n"])
        })
        .unwrap();
    assert_eq!(engine.command(&["COUNT.TO", "xxx"]), Ok(bulk("3")));
}

#[test]
fn command_tells_of_them() {
    let engine = game();
    engine
        .register(HostCommand::new("A.READ").flags("readonly fast"), |_| Ok(Reply::Null))
        .unwrap();
    let before = Engine::new().unwrap().command(&["COMMAND", "COUNT"]).unwrap();
    let count = engine.command(&["COMMAND", "COUNT"]).unwrap();
    assert_eq!(count.as_integer(), before.as_integer().map(|n| n + 2));
    let all = engine.command(&["COMMAND"]).unwrap();
    assert_eq!(all.as_array().map(|all| all.len() as i64), count.as_integer());
    let info = engine.command(&["COMMAND", "INFO", "Game.Spawn", "no.such"]).unwrap();
    let [info, Reply::Null] = info.as_array().unwrap() else { panic!("{info:?}") };
    let facts = info.as_array().unwrap();
    assert_eq!(facts.len(), 10);
    assert_eq!(facts[..2], [bulk("game.spawn"), Reply::Integer(3)]);
    assert_eq!(facts[2], Reply::Array(vec![Reply::Status("write".into())]));
    assert_eq!(facts[3..6], [1, 1, 1].map(Reply::Integer));
    let categories = ["@write", "@slow"].map(|name| Reply::Status(name.into()));
    assert_eq!(facts[6], Reply::Array(categories.to_vec()));
    assert_eq!(facts[8].as_array().map(<[Reply]>::len), Some(1));
    let list = |pattern: &[&str]| engine.command(&[&["COMMAND", "LIST"], pattern].concat());
    let found = list(&["FILTERBY", "PATTERN", "game.*"]);
    assert_eq!(found, Ok(Reply::Array(vec![bulk("game.spawn")])));
    let reads = list(&["FILTERBY", "ACLCAT", "read"]).unwrap();
    assert!(reads.as_array().unwrap().contains(&bulk("a.read")));
    assert!(list(&[]).unwrap().as_array().unwrap().contains(&bulk("a.read")));
    let keys = engine.command(&["COMMAND", "GETKEYS", "GAME.SPAWN", "cave", "rat"]);
    assert_eq!(keys, Ok(Reply::Array(vec![bulk("cave")])));
    let answer = message(engine.command(&["COMMAND", "GETKEYS", "A.READ", "x"]));
    assert_eq!(answer, "ERR The command has no key arguments");
    let docs = engine.command(&["COMMAND", "DOCS", "game.spawn"]);
    let module = Reply::Array(vec![bulk("group"), bulk("module")]);
    assert_eq!(docs, Ok(Reply::Array(vec![bulk("game.spawn"), module])));
    let check = "return redis.acl_check_cmd('game.spawn', 'a', 'b')";
    assert_eq!(engine.eval(check, NONE, NONE), Ok(Reply::Integer(1)));
}

#[test]
fn a_function_may_cancel_the_script_that_called_it() {
    let engine = Arc::new(Engine::new().unwrap());
    let inner = Arc::downgrade(&engine);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    engine
        .register(HostCommand::new("STOP"), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            inner.upgrade().unwrap().cancel();
            Ok(Reply::Null)
        })
        .unwrap();
    let script = "redis.call('SET', 'k', 1) redis.call('STOP') while true do end";
    let answer = message(engine.eval(script, NONE, NONE));
    assert!(answer.starts_with("ERR script was cancelled by the host"), "{answer}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(engine.command(&["EXISTS", "k"]), Ok(Reply::Integer(0)));
}

#[test]
fn a_call_by_the_buffer_reaches_it_too() {
    let engine = game();
    let mut reply = ReplyBuf::new();
    engine.call(Call::Command(&[b"GAME.SPAWN", b"cave", b"dragon"]), &mut reply).unwrap();
    assert!(reply.is_error());
    engine.call(Call::Command(&[b"GAME.SPAWN", b"cave", b"rat"]), &mut reply).unwrap();
    assert_eq!(reply.to_reply(Protocol::Resp2), Reply::Integer(1));
}

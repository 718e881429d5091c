//! Ending a script from elsewhere: `SCRIPT KILL` and `FUNCTION KILL` beside the lock that the run
//! holds, BUSY for those who do not wait, and what a door does meanwhile on the run's own thread.
//! The texts are those of redis-server 7.0.15.

#![expect(clippy::unwrap_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, HostCommand, OnError, Options, Protocol, Reply, Session, WhenBusy};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const NONE: [&str; 0] = [];
const BUSY_SCRIPT: &str =
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";
const BUSY_FUNCTION: &str =
    "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.\r\n";
const NOTBUSY: &str = "-NOTBUSY No scripts in execution right now.\r\n";
const UNKILLABLE: &str = "-UNKILLABLE Sorry the script already executed write commands against the \
    dataset. You can either wait the script termination or kill the server in a hard way using the \
    SHUTDOWN NOSAVE command.\r\n";

const LIBRARY: &str = "#!lua name=lib
redis.register_function('spin', function() while true do end end)
redis.register_function('write', function() redis.call('SET', 'k', 'v') while true do end end)";

/// An engine without limits of its own.
fn open(on_error: OnError, threshold_ms: u32) -> Arc<Engine> {
    let mut options = Options::default();
    options.on_error = on_error;
    options.script_timeout = None;
    options.config.push(("busy-reply-threshold".to_owned(), threshold_ms.to_string()));
    let engine = Engine::open(&options).unwrap();
    engine.command(&["FUNCTION", "LOAD", LIBRARY]).unwrap();
    Arc::new(engine)
}

fn resp(session: &Session, command: &str) -> String {
    let argv: Vec<&str> = command.split(' ').collect();
    String::from_utf8(session.command_resp(&argv, Protocol::Resp2).unwrap()).unwrap()
}

fn exists(engine: &Engine, key: &str) -> bool {
    engine.command(&["EXISTS", key]).unwrap() == Reply::Integer(1)
}

/// Runs a command on a thread of its own, asks another until it finds something running, and
/// returns the answers of both. What is still running then is cancelled.
fn against(engine: &Arc<Engine>, runs: &[&str], asks: &str) -> (String, String) {
    // Opening a session takes the lock, so it is done before anything runs.
    let session = engine.session().unwrap();
    let runner = {
        let engine = Arc::clone(engine);
        let runs: Vec<String> = runs.iter().map(|&word| word.to_owned()).collect();
        thread::spawn(move || engine.command(&runs))
    };
    let idle = ["-NOTBUSY", "*4\r\n$14\r\nrunning_script\r\n$-1"];
    let answer = loop {
        let answer = resp(&session, asks);
        if !idle.iter().any(|idle| answer.starts_with(idle)) {
            break answer;
        }
        thread::yield_now();
    };
    while !answer.starts_with('+') && !runner.is_finished() {
        engine.cancel();
        thread::yield_now();
    }
    (answer, runner.join().unwrap().unwrap_err().to_string())
}

#[test]
fn a_script_is_killed_from_another_thread() {
    let engine = open(OnError::Rollback, 5000);
    let (answer, error) = against(&engine, &["EVAL", "while true do end", "0"], "SCRIPT KILL");
    assert_eq!(answer, "+OK\r\n");
    assert_eq!(
        error,
        "ERR Script killed by user with SCRIPT KILL... script: \
         694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7, on @user_script:1."
    );
    let (answer, error) = against(&engine, &["FCALL", "spin", "0"], "FUNCTION KILL");
    assert_eq!(answer, "+OK\r\n");
    assert_eq!(
        error,
        "ERR Script killed by user with SCRIPT KILL... script: spin, on @user_function:2."
    );
    let session = engine.session().unwrap();
    assert_eq!(resp(&session, "SCRIPT KILL"), NOTBUSY);
    assert_eq!(resp(&session, "FUNCTION KILL"), NOTBUSY);
}

#[test]
fn a_script_cannot_catch_its_end() {
    let engine = open(OnError::Rollback, 5000);
    for script in [
        "while true do pcall(function() while true do end end) end",
        "while true do redis.pcall('GET', 'x') end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "return (string.rep('a', 200):find(string.rep('a*', 30) .. 'b'))",
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.concat(t) end",
    ] {
        let (answer, error) = against(&engine, &["EVAL", script, "0"], "SCRIPT KILL");
        assert_eq!(answer, "+OK\r\n", "{script}");
        assert!(error.starts_with("ERR Script killed by user with SCRIPT KILL..."), "{error}");
        assert!(error.ends_with(", on @user_script:1."), "{error}");
    }
}

#[test]
fn writes_go_with_the_script_that_is_killed() {
    let engine = open(OnError::Rollback, 5000);
    let script = "redis.call('SET', 'k', 'v') while true do end";
    let (answer, _) = against(&engine, &["EVAL", script, "0"], "SCRIPT KILL");
    assert_eq!(answer, "+OK\r\n");
    assert!(!exists(&engine, "k"));
    let (answer, _) = against(&engine, &["FCALL", "write", "0"], "FUNCTION KILL");
    assert_eq!(answer, "+OK\r\n");
    assert!(!exists(&engine, "k"));
}

#[test]
fn writes_that_stay_cannot_be_cut_short() {
    let engine = open(OnError::Keep, 5000);
    for (runs, asks) in [
        (&["EVAL", "redis.call('SET', 'k', 'v') while true do end", "0"][..], "SCRIPT KILL"),
        (
            &[
                "EVAL",
                "redis.pcall('LPUSH', 'k') while true do redis.call('SET', 'k', 'v') end",
                "0",
            ],
            "SCRIPT KILL",
        ),
        (&["FCALL", "write", "0"], "FUNCTION KILL"),
    ] {
        let (answer, error) = against(&engine, runs, asks);
        assert_eq!(answer, UNKILLABLE, "{runs:?}");
        assert!(error.starts_with("ERR script was cancelled by the host"), "{error}");
        assert!(exists(&engine, "k"), "{runs:?}");
        engine.command(&["DEL", "k"]).unwrap();
    }
    let script = "redis.call('GET', 'k') while true do end";
    assert_eq!(against(&engine, &["EVAL", script, "0"], "SCRIPT KILL").0, "+OK\r\n");
}

#[test]
fn a_host_command_that_writes_counts() {
    let engine = open(OnError::Keep, 5000);
    let write = HostCommand::new("host.write").flags("write");
    engine.register(write, |call| call.command(&["SET", "k", "v"])).unwrap();
    let read = HostCommand::new("host.read").flags("readonly");
    engine.register(read, |call| call.command(&["GET", "k"])).unwrap();
    let script = "redis.call('host.read') while true do end";
    assert_eq!(against(&engine, &["EVAL", script, "0"], "SCRIPT KILL").0, "+OK\r\n");
    let script = "redis.call('host.write') while true do end";
    assert_eq!(against(&engine, &["EVAL", script, "0"], "SCRIPT KILL").0, UNKILLABLE);
}

#[test]
fn each_kind_has_its_own_command() {
    let engine = open(OnError::Rollback, 5000);
    let script = ["EVAL", "while true do end", "0"];
    assert_eq!(against(&engine, &script, "FUNCTION KILL").0, BUSY_SCRIPT);
    assert_eq!(against(&engine, &script, "FUNCTION STATS").0, BUSY_SCRIPT);
    let function = ["fCall", "SPIN", "1", "key", "argument"];
    assert_eq!(against(&engine, &function, "SCRIPT KILL").0, BUSY_FUNCTION);
    let stats = against(&engine, &function, "FUNCTION STATS").0;
    let (before, rest) = stats.split_once("duration_ms\r\n:").unwrap();
    assert_eq!(
        before,
        "*4\r\n$14\r\nrunning_script\r\n*6\r\n$4\r\nname\r\n$4\r\nspin\r\n$7\r\ncommand\r\n\
         *5\r\n$5\r\nfCall\r\n$4\r\nspin\r\n$1\r\n1\r\n$3\r\nkey\r\n$8\r\nargument\r\n$11\r\n"
    );
    let (_, after) = rest.split_once("\r\n").unwrap();
    assert_eq!(
        after,
        "$7\r\nengines\r\n*2\r\n$3\r\nLUA\r\n*4\r\n$15\r\nlibraries_count\r\n:1\r\n\
         $15\r\nfunctions_count\r\n:2\r\n"
    );
}

#[test]
fn a_script_in_a_transaction_is_killed_alone() {
    let engine = open(OnError::Rollback, 5000);
    let (runner, other) = (engine.session().unwrap(), engine.session().unwrap());
    for command in ["MULTI", "SET before 1", "EVAL script 0", "SET after 1"] {
        let argv: Vec<&str> = command.split(' ').collect();
        let argv: Vec<&str> = argv
            .into_iter()
            .map(|word| {
                if word == "script" {
                    "redis.call('SET', 'k', 'v') while true do end"
                } else {
                    word
                }
            })
            .collect();
        runner.command(&argv).unwrap();
    }
    let runner = thread::spawn(move || runner.command(&["EXEC"]));
    while resp(&other, "SCRIPT KILL") == NOTBUSY {
        thread::yield_now();
    }
    let Reply::Array(replies) = runner.join().unwrap().unwrap() else { panic!("no array") };
    let Reply::Error(text) = &replies[1] else { panic!("{replies:?}") };
    assert!(text.starts_with("ERR Script killed by user"), "{text}");
    assert_eq!(replies.len(), 3);
    assert!(exists(&engine, "before") && exists(&engine, "after") && !exists(&engine, "k"));
}

// ---- BUSY.

#[test]
fn a_session_may_ask_for_busy_replies() {
    let engine = open(OnError::Rollback, 1);
    let (client, queueing) = (engine.session().unwrap(), engine.session().unwrap());
    client.set_when_busy(WhenBusy::Answer);
    queueing.set_when_busy(WhenBusy::Answer);
    assert_eq!(resp(&queueing, "MULTI"), "+OK\r\n");
    assert_eq!(resp(&queueing, "SET a 1"), "+QUEUED\r\n");
    let runner = Arc::clone(&engine);
    let runner = thread::spawn(move || runner.eval("while true do end", &NONE, &NONE));
    while resp(&client, "PING") != BUSY_SCRIPT {
        thread::yield_now();
    }
    busy_answers(&client, &queueing);
    assert_eq!(resp(&client, "SCRIPT KILL"), "+OK\r\n");
    assert!(runner.join().unwrap().is_err());
    after_busy_answers(&client, &queueing);
}

/// What clients are told while a script runs for long.
fn busy_answers(client: &Session, queueing: &Session) {
    for refused in ["GET k", "INCR k", "EVAL return(1) 0", "SCRIPT FLUSH", "FUNCTION KILL"] {
        assert_eq!(resp(client, refused), BUSY_SCRIPT, "{refused}");
    }
    let wrong = "-ERR wrong number of arguments for 'get' command\r\n";
    assert_eq!(resp(client, "GET"), wrong);
    let wrong = "-ERR wrong number of arguments for 'script|kill' command\r\n";
    assert_eq!(resp(client, "SCRIPT KILL now"), wrong);
    assert_eq!(resp(client, "DISCARD"), "-ERR DISCARD without MULTI\r\n");

    // Of a transaction that began before, and of one that begins now.
    assert_eq!(resp(queueing, "SET a 2"), BUSY_SCRIPT);
    assert_eq!(resp(queueing, "UNWATCH"), "+QUEUED\r\n");
    let aborted = "-EXECABORT Transaction discarded because of: BUSY Redis is busy running a \
                   script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";
    assert_eq!(resp(queueing, "EXEC"), aborted);
    assert_eq!(resp(queueing, "WATCH a"), "+OK\r\n");
    assert_eq!(resp(queueing, "UNWATCH"), "+OK\r\n");
    assert_eq!(resp(queueing, "MULTI"), "+OK\r\n");
    assert_eq!(resp(queueing, "MULTI"), "-ERR MULTI calls can not be nested\r\n");
    assert_eq!(resp(queueing, "WATCH a"), "-ERR WATCH inside MULTI is not allowed\r\n");
    assert_eq!(resp(queueing, "DISCARD"), "+OK\r\n");
    assert_eq!(resp(queueing, "WATCH a"), "+OK\r\n");
    assert_eq!(resp(queueing, "MULTI"), "+OK\r\n");
    assert_eq!(resp(queueing, "SCRIPT KILL"), "+QUEUED\r\n");
    assert_eq!(resp(client, "MULTI"), "+OK\r\n");
    assert_eq!(resp(client, "SET b 1"), BUSY_SCRIPT);
    assert_eq!(resp(client, "DISCARD"), "+OK\r\n");
}

/// And what became of it.
fn after_busy_answers(client: &Session, queueing: &Session) {
    assert_eq!(resp(queueing, "SET a 3"), "+QUEUED\r\n");
    let replies = format!("*2\r\n{NOTBUSY}+OK\r\n");
    assert_eq!(resp(queueing, "EXEC"), replies);
    assert_eq!(resp(client, "GET a"), "$1\r\n3\r\n");
    assert_eq!(resp(client, "EXISTS b"), ":0\r\n");
}

#[test]
fn what_was_refused_meanwhile_refuses_the_transaction() {
    let engine = open(OnError::Rollback, 1);
    let client = engine.session().unwrap();
    client.set_when_busy(WhenBusy::Answer);
    let runner = Arc::clone(&engine);
    let runner = thread::spawn(move || runner.eval("while true do end", &NONE, &NONE));
    while resp(&client, "PING") != BUSY_SCRIPT {
        thread::yield_now();
    }
    assert_eq!(resp(&client, "MULTI"), "+OK\r\n");
    assert_eq!(resp(&client, "SET k 1"), BUSY_SCRIPT);
    engine.cancel();
    assert!(runner.join().unwrap().is_err());
    assert_eq!(resp(&client, "SET k 2"), "+QUEUED\r\n");
    let refused = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(resp(&client, "EXEC"), refused);
    assert_eq!(resp(&client, "EXISTS k"), ":0\r\n");
}

// ---- On the thread that runs the script.

/// Runs a script on this thread; meanwhile the same thread does something else, again and again.
fn meanwhile(
    engine: &Arc<Engine>,
    script: &str,
    work: impl Fn(&Engine) + Send + Sync + 'static,
) -> Result<Reply, Error> {
    let other = Arc::downgrade(engine);
    engine.set_meanwhile(Some(Arc::new(move || work(&other.upgrade().unwrap()))));
    let result = engine.eval(script, &NONE, &NONE);
    engine.set_meanwhile(None);
    result
}

#[test]
fn a_door_can_kill_what_its_own_thread_runs() {
    let engine = open(OnError::Rollback, 1);
    let (client, queueing) = (engine.session().unwrap(), engine.session().unwrap());
    client.set_when_busy(WhenBusy::Answer);
    queueing.set_when_busy(WhenBusy::Answer);
    resp(&queueing, "MULTI");
    resp(&queueing, "SET a 1");
    let sessions = Arc::new((client, queueing));
    let own = Arc::clone(&sessions);
    let script = "redis.call('SET', 'k', 'v') while true do end";
    let error = meanwhile(&engine, script, move |engine| {
        let (client, queueing) = &*own;
        busy_answers(client, queueing);
        assert_eq!(engine.session().unwrap_err(), Error::Reentrant);
        // Nothing may take the interpreter away under the run (CVE-2026-23631).
        assert_eq!(engine.close(), Err(Error::Reentrant));
        assert_eq!(engine.script_flush(), Err(Error::Reentrant));
        assert_eq!(resp(client, "SCRIPT KILL"), "+OK\r\n");
    });
    let text = error.unwrap_err().to_string();
    assert!(text.starts_with("ERR Script killed by user with SCRIPT KILL..."), "{text}");
    assert!(!exists(&engine, "k"));
    after_busy_answers(&sessions.0, &sessions.1);
}

#[test]
fn a_door_is_called_again_and_again() {
    let engine = open(OnError::Keep, 1);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let script = "redis.call('SET', 'k', 'v') while true do end";
    let error = meanwhile(&engine, script, move |engine| {
        let error = engine.command(&["SCRIPT", "KILL"]).unwrap_err();
        assert_eq!(format!("-{error}\r\n"), UNKILLABLE);
        if counted.fetch_add(1, Ordering::Relaxed) == 3 {
            engine.cancel();
        }
    });
    assert!(error.unwrap_err().to_string().starts_with("ERR script was cancelled by the host"));
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    assert!(exists(&engine, "k"));
}

#[test]
fn a_door_hears_of_functions_too() {
    let engine = open(OnError::Rollback, 1);
    let client = Arc::new(engine.session().unwrap());
    client.set_when_busy(WhenBusy::Answer);
    let own = Arc::clone(&client);
    engine.set_meanwhile(Some(Arc::new(move || {
        assert_eq!(resp(&own, "PING"), BUSY_FUNCTION);
        assert_eq!(resp(&own, "SCRIPT KILL"), BUSY_FUNCTION);
        assert!(resp(&own, "FUNCTION STATS").contains("$4\r\nspin\r\n"));
        assert_eq!(resp(&own, "FUNCTION KILL"), "+OK\r\n");
    })));
    let error = engine.command(&["FCALL", "spin", "0"]).unwrap_err().to_string();
    assert!(error.starts_with("ERR Script killed by user"), "{error}");
}

#[test]
fn each_session_is_answered_as_it_says() {
    let engine = open(OnError::Rollback, 1);
    let session = Arc::new(engine.session().unwrap());
    let own = Arc::clone(&session);
    let error = meanwhile(&engine, "while true do end", move |engine| {
        let call = |argv: &[&str]| own.command_resp(argv, Protocol::Resp2);
        own.set_when_busy(WhenBusy::Hold);
        assert_eq!(call(&["SCRIPT", "KILL"]), Err(Error::Busy));
        own.set_when_busy(WhenBusy::Wait);
        assert_eq!(call(&["GET", "k"]), Err(Error::Busy));
        let own_transaction = engine.command_resp(&["MULTI"], Protocol::Resp2);
        assert_eq!(own_transaction, Err(Error::Busy), "there is nowhere to keep it");
        assert_eq!(call(&["SCRIPT", "KILL"]), Ok(b"+OK\r\n".to_vec()));
    });
    assert!(error.unwrap_err().to_string().starts_with("ERR Script killed by user"));
}

#[test]
fn a_door_is_called_on_its_own_thread_only_and_past_the_threshold() {
    let slow = "for i = 1, 3e6 do end return 1";
    let silent = |engine: &Arc<Engine>| {
        let done = meanwhile(engine, slow, |_| panic!("nobody is to be called"));
        assert_eq!(done, Ok(Reply::Integer(1)));
    };
    // Not before the threshold, not where there is none, and not while a library loads.
    silent(&open(OnError::Rollback, 3_600_000));
    silent(&open(OnError::Rollback, 0));
    let engine = open(OnError::Rollback, 1);
    engine.set_meanwhile(Some(Arc::new(|| panic!("nobody is to be called"))));
    let library = "#!lua name=slow\nwhile true do end";
    let error = engine.command(&["FUNCTION", "LOAD", library]).unwrap_err().to_string();
    assert_eq!(error, "ERR Error registering functions: ERR FUNCTION LOAD timeout");
    let other = Arc::clone(&engine);
    let done = thread::spawn(move || other.eval(slow, &NONE, &NONE)).join().unwrap();
    assert_eq!(done, Ok(Reply::Integer(1)));
}

#[test]
fn callbacks_of_a_script_are_reentrant_still() {
    let engine = open(OnError::Rollback, 1);
    let other = Arc::downgrade(&engine);
    let called = HostCommand::new("host.call").flags("readonly");
    let function = move |_: &mut moonkv::HostCall<'_>| {
        let engine = other.upgrade().unwrap();
        assert_eq!(engine.command(&["SCRIPT", "KILL"]), Err(Error::Reentrant));
        Ok(Reply::Integer(7))
    };
    engine.register(called, function).unwrap();
    let slow = "for i = 1, 3e6 do end return redis.call('host.call')";
    assert_eq!(engine.eval(slow, &NONE, &NONE), Ok(Reply::Integer(7)));
}

#[test]
fn a_panic_meanwhile_ends_the_script_and_poisons_the_engine() {
    let engine = open(OnError::Rollback, 1);
    let result = meanwhile(&engine, "while true do end", |_| panic!("on purpose"));
    assert_eq!(result, Err(Error::Poisoned));
    assert_eq!(engine.command(&["PING"]), Err(Error::Poisoned));
}

#[test]
fn the_threshold_is_a_parameter() {
    let engine = open(OnError::Rollback, 5000);
    let session = engine.session().unwrap();
    assert_eq!(resp(&session, "CONFIG SET lua-time-limit 7"), "+OK\r\n");
    let both = "*2\r\n$20\r\nbusy-reply-threshold\r\n$1\r\n7\r\n";
    assert_eq!(resp(&session, "CONFIG GET busy-reply-threshold"), both);
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'lua-time-limit') - \
                   argument must be between 0 and 9223372036854775807 inclusive\r\n";
    assert_eq!(resp(&session, "CONFIG SET lua-time-limit -1"), refused);
}

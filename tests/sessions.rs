//! Sessions: transactions as in Redis, the host's own, and calls that wait.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Clock, Engine, Error, Options, Reply, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn engine() -> Engine {
    Engine::new().expect("an engine opens")
}

/// Runs a command given as words; errors come back as text.
fn run(session: &Session, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    shown(session.command(&words))
}

fn shown(reply: Result<Reply, Error>) -> String {
    match reply {
        Ok(reply) => text(&reply),
        Err(error) => format!("-{error}"),
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Integer(value) => value.to_string(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Status(status) => status.clone(),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        Reply::Null => "nil".to_owned(),
        Reply::Error(message) => format!("-{message}"),
        other => format!("{other:?}"),
    }
}

fn play(session: &Session, script: &[(&str, &str)]) {
    for (command, expected) in script {
        assert_eq!(run(session, command), *expected, "{command}");
    }
}

#[test]
fn exec_runs_what_was_queued_and_goes_on_after_an_error() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    play(
        &session,
        &[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("DISCARD", "-ERR DISCARD without MULTI"),
            ("MULTI", "OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("SET a 1", "QUEUED"),
            ("LPUSH a x", "QUEUED"),
            ("INCR a", "QUEUED"),
            ("EVAL return{KEYS[1],redis.call('get',KEYS[1])} 1 a", "QUEUED"),
        ],
    );
    assert_eq!(shown(engine.command(&["EXISTS", "a"])), "0", "nothing runs before EXEC");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    play(
        &session,
        &[
            ("EXEC", &format!("[OK {wrong} 2 [a 2]]")),
            ("GET a", "2"),
            ("EXEC", "-ERR EXEC without MULTI"),
        ],
    );
    // The methods that run scripts queue them too.
    play(&session, &[("MULTI", "OK")]);
    assert_eq!(shown(session.eval("return ARGV[1]", &[""; 0], &["x"])), "QUEUED");
    play(&session, &[("EXEC", "[x]")]);
}

#[test]
fn exec_is_refused_after_a_command_that_could_not_be_queued() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    let discarded = "-EXECABORT Transaction discarded because of previous errors.";
    for bad in ["NOSUCH", "GET", "SCRIPT NOSUCH x"] {
        play(&session, &[("MULTI", "OK"), ("SET k v", "QUEUED")]);
        assert!(run(&session, bad).starts_with("-ERR"), "{bad}");
        play(&session, &[("EXEC", discarded), ("EXISTS k", "0")]);
    }
    let abort = "-EXECABORT Transaction discarded because of: \
                 wrong number of arguments for 'exec' command";
    play(
        &session,
        &[
            ("MULTI", "OK"),
            ("WATCH k", "-ERR WATCH inside MULTI is not allowed"),
            ("SET k v", "QUEUED"),
            ("EXEC", "[OK]"),
            ("MULTI", "OK"),
            ("EXEC now", abort),
            ("EXEC", "-ERR EXEC without MULTI"),
            ("MULTI", "OK"),
            ("SET k w", "QUEUED"),
            ("DISCARD", "OK"),
            ("GET k", "v"),
        ],
    );
}

#[test]
fn exec_does_nothing_once_a_watched_key_has_changed() {
    let engine = engine();
    let (mine, other) = (engine.session().expect("one"), engine.session().expect("two"));
    // What is done to the key, and whether that changes it.
    let deeds = [
        ("SET k 2", true),
        ("GET k", false),
        ("SETNX k 3", false),
        ("DEL k", true),
        ("DEL nothing", false),
        ("EXPIRE k 100", true),
        ("APPEND k x", true),
        ("INCR k", true),
        ("RENAME other k", true),
        ("RENAME k other", true),
        ("FLUSHALL", true),
        ("SWAPDB 0 1", true),
        ("MOVE k 3", true),
        ("EVAL redis.call('incr',KEYS[1]) 1 k", true),
        ("EVAL redis.call('incr',KEYS[1])error('x') 1 k", false),
        ("SET unrelated 1", false),
    ];
    for (deed, changes) in deeds {
        play(&mine, &[("FLUSHALL", "OK"), ("SET k 1", "OK"), ("SET other 1", "OK")]);
        play(&mine, &[("WATCH k", "OK")]);
        run(&other, deed);
        play(&mine, &[("MULTI", "OK"), ("SET done 1", "QUEUED")]);
        assert_eq!(run(&mine, "EXEC"), if changes { "nil" } else { "[OK]" }, "after {deed}");
        play(&mine, &[("EXISTS done", if changes { "0" } else { "1" })]);
    }
}

/// Which calls a watched key is changed by, though nothing or little comes of them. Asked of
/// redis-server 7.0.15.
#[test]
fn what_is_a_change_to_whoever_watches_is_what_redis_says() {
    let engine = engine();
    let (session, other) = (engine.session(), engine.session());
    let (session, other) = (session.expect("a session opens"), other.expect("a session opens"));
    for (key, command, changes) in [
        ("s", "SET s 10", true),
        ("s", "SETRANGE s 0 10", true),
        ("s", "SETBIT s 0 0", false),
        ("s", "BITFIELD s SET u1 0 0", false),
        ("s", "BITFIELD s OVERFLOW FAIL INCRBY u8 500 300", false),
        ("s", "BITFIELD s SET u8 600 0", true),
        ("s", "BITFIELD s SET u8 0 1", true),
        ("new", "BITFIELD new OVERFLOW FAIL INCRBY u8 0 300", false),
        ("l", "LTRIM l 0 -1", true),
        ("l", "LREM l 0 nothing", false),
        ("x", "XGROUP CREATE x g2 0", false),
        ("x", "XGROUP SETID x g2 1-1", false),
        ("x", "XGROUP CREATECONSUMER x g c", false),
        ("x", "XREADGROUP GROUP g c COUNT 1 STREAMS x >", false),
        ("x", "XCLAIM x g d 0 1-1", false),
        ("x", "XACK x g 1-1", false),
        ("x", "XGROUP DELCONSUMER x g c", false),
        ("x", "XSETID x 5-1", false),
        ("x", "XDEL x 1-1", true),
        ("x", "XADD x 6-1 f v", true),
        ("x", "XTRIM x MAXLEN 0", true),
        ("x", "XTRIM x MAXLEN 1", false),
    ] {
        run(&other, "SET s 10");
        run(&other, "RPUSH l a");
        run(&other, "XADD x 1-1 f v");
        run(&other, "XGROUP CREATE x g 0");
        run(&session, &format!("WATCH {key}"));
        let reply = run(&other, command);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        play(&session, &[("MULTI", "OK"), ("PING", "QUEUED")]);
        assert_eq!(run(&session, "EXEC"), if changes { "nil" } else { "[PONG]" }, "{command}");
    }
}

#[test]
fn watching_ends_with_exec_discard_and_unwatch_and_sees_the_sessions_own_writes() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    for end in ["UNWATCH", "MULTI DISCARD", "MULTI EXEC"] {
        play(&session, &[("WATCH k", "OK")]);
        end.split(' ').for_each(|command| drop(run(&session, command)));
        play(&session, &[("SET k 1", "OK"), ("MULTI", "OK"), ("PING", "QUEUED")]);
        play(&session, &[("EXEC", "[PONG]")]);
    }
    play(&session, &[("WATCH k", "OK"), ("SET k 2", "OK"), ("MULTI", "OK"), ("EXEC", "nil")]);
}

/// An engine whose clock stands still.
fn still() -> Engine {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: 1_000_000 };
    Engine::open(&options).expect("an engine opens")
}

#[test]
fn a_watched_key_that_expires_has_changed() {
    let engine = still();
    let session = engine.session().expect("a session opens");
    play(&session, &[("SET k 1 PX 100", "OK"), ("WATCH k", "OK")]);
    engine.advance_clock(101).expect("the clock moves");
    play(&session, &[("MULTI", "OK"), ("PING", "QUEUED"), ("EXEC", "nil")]);
    // One that was gone before is not watched as if it were there.
    play(&session, &[("SET k 1 PX 100", "OK")]);
    engine.advance_clock(101).expect("the clock moves");
    play(&session, &[("WATCH k", "OK"), ("MULTI", "OK"), ("PING", "QUEUED")]);
    play(&session, &[("EXEC", "[PONG]")]);
}

#[test]
fn the_engine_itself_queues_nothing() {
    let engine = engine();
    for command in [&["MULTI"][..], &["WATCH", "k"]] {
        let error = engine.command(command).unwrap_err();
        assert_eq!(error.to_string(), "ERR transactions need a session of their own");
    }
    assert_eq!(shown(engine.command(&["EXEC"])), "-ERR EXEC without MULTI");
}

#[test]
fn each_session_has_its_database() {
    let engine = engine();
    let (a, b) = (engine.session().expect("one"), engine.session().expect("two"));
    play(&a, &[("SELECT 3", "OK"), ("SET k three", "OK"), ("DBSIZE", "1")]);
    play(&b, &[("GET k", "nil"), ("SELECT 16", "-ERR DB index is out of range")]);
    play(&b, &[("SET k zero", "OK"), ("MOVE k 3", "0"), ("SWAPDB 0 3", "OK")]);
    play(&b, &[("GET k", "three")]);
    play(&a, &[("GET k", "zero"), ("MOVE k 5", "1"), ("SELECT 5", "OK"), ("GET k", "zero")]);
    // A script's choice ends with it, and is undone with what it did there.
    play(&b, &[("EVAL redis.call('select',7)redis.call('set',KEYS[1],'x') 1 s", "nil")]);
    play(&b, &[("DBSIZE", "1"), ("SELECT 7", "OK"), ("GET s", "x"), ("FLUSHDB", "OK")]);
    run(&b, "EVAL redis.call('select',9)redis.call('set',KEYS[1],'x')error('e') 1 s");
    play(&b, &[("DBSIZE", "0"), ("SELECT 9", "OK"), ("DBSIZE", "0")]);
    play(&b, &[("SELECT 0", "OK"), ("DBSIZE", "1"), ("FLUSHALL", "OK")]);
    play(&a, &[("DBSIZE", "0")]);
}

#[test]
fn a_transaction_is_kept_or_undone_whole() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    play(&session, &[("SET n 1", "OK"), ("RPUSH l a b c", "3"), ("HSET h f v", "1")]);
    session.begin().expect("it begins");
    play(&session, &[("INCR n", "2"), ("LPOP l", "a"), ("DEL h", "1")]);
    play(&session, &[("SELECT 1", "OK"), ("SET m 1", "OK"), ("SWAPDB 0 1", "OK")]);
    play(&session, &[("GET n", "2"), ("FLUSHALL", "OK")]);
    session.rollback().expect("it ends");
    play(&session, &[("DBSIZE", "0"), ("SELECT 0", "OK"), ("GET n", "1")]);
    play(&session, &[("LRANGE l 0 -1", "[a b c]"), ("HGET h f", "v")]);
    session.begin().expect("it begins");
    play(&session, &[("INCR n", "2")]);
    session.commit().expect("it ends");
    play(&session, &[("GET n", "2")]);
}

#[test]
fn savepoints_nest_and_a_failed_script_undoes_only_itself() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    session.begin().expect("it begins");
    play(&session, &[("RPUSH l a", "1"), ("SET n 1", "OK")]);
    let first = session.savepoint().expect("a savepoint");
    play(&session, &[("RPUSH l b", "2"), ("INCR n", "2")]);
    let second = session.savepoint().expect("a savepoint");
    assert_eq!((first, second), (1, 2));
    play(&session, &[("RPUSH l c", "3"), ("INCR n", "3")]);
    run(&session, "EVAL redis.call('rpush',KEYS[1],'x')redis.call('incr','n')error('no') 1 l");
    play(&session, &[("LRANGE l 0 -1", "[a b c]"), ("GET n", "3")]);
    session.rollback_to(second).expect("back to the second");
    play(&session, &[("LRANGE l 0 -1", "[a b]"), ("GET n", "2"), ("RPUSH l d", "3")]);
    session.rollback_to(second).expect("a savepoint stays");
    play(&session, &[("LRANGE l 0 -1", "[a b]"), ("RPUSH l e", "3")]);
    session.release(second).expect("released");
    assert!(matches!(session.rollback_to(second), Err(Error::Transaction { .. })));
    session.rollback_to(first).expect("back to the first");
    play(&session, &[("LRANGE l 0 -1", "[a]"), ("GET n", "1")]);
    session.commit().expect("it ends");
    play(&session, &[("LRANGE l 0 -1", "[a]"), ("GET n", "1")]);
}

#[test]
fn misuse_of_transactions_is_an_error_that_changes_nothing() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::Transaction { .. }));
    assert!(refused(session.commit()) && refused(session.rollback()));
    assert!(refused(session.rollback_to(1)) && refused(session.release(1)));
    assert!(session.savepoint().is_err() && !session.in_transaction().expect("open"));
    play(&session, &[("MULTI", "OK")]);
    assert!(refused(session.begin()));
    play(&session, &[("DISCARD", "OK")]);
    session.begin().expect("it begins");
    assert!(refused(session.begin()) && refused(session.rollback_to(1)));
    assert!(refused(session.release(0)));
    // This thread holds the transaction, so anybody else's call here could never go on.
    assert_eq!(engine.command(&["PING"]), Err(Error::Busy));
    assert_eq!(engine.session().expect("another").begin(), Err(Error::Busy));
    play(&session, &[("SET k 1", "OK")]);
    drop(session);
    assert_eq!(shown(engine.command(&["EXISTS", "k"])), "0", "a dropped session undoes");
}

#[test]
fn a_transaction_closure_commits_or_undoes() {
    let engine = engine();
    let done = engine.transaction(|session| session.command(&["INCR", "n"]));
    assert_eq!(done, Ok(Reply::Integer(1)));
    let failed = engine.transaction(|session| {
        session.command(&["INCR", "n"])?;
        session.command(&["LPUSH", "n", "x"])
    });
    assert!(failed.is_err());
    assert_eq!(shown(engine.command(&["GET", "n"])), "1");
}

#[test]
fn others_wait_for_the_end_of_a_transaction_but_not_for_ever() {
    let mut options = Options::default();
    options.busy_timeout = Some(Duration::from_millis(50));
    let engine = Arc::new(Engine::open(&options).expect("an engine opens"));
    let session = engine.session().expect("a session opens");
    session.begin().expect("it begins");
    play(&session, &[("SET k 1", "OK")]);
    let other = Arc::clone(&engine);
    let refused = thread::spawn(move || other.command(&["GET", "k"])).join().expect("no panic");
    assert_eq!(refused, Err(Error::Busy));
    let other = Arc::clone(&engine);
    let waits = thread::spawn(move || {
        (0..100).find_map(|_| other.command(&["GET", "k"]).ok()).expect("a turn comes")
    });
    thread::sleep(Duration::from_millis(20));
    session.commit().expect("it ends");
    assert_eq!(waits.join().expect("no panic"), Reply::Bulk(b"1".to_vec()));
}

/// Starts a call that waits on a thread of its own, and returns once it does.
fn waiting(engine: &Arc<Engine>, command: &str) -> thread::JoinHandle<String> {
    let engine = Arc::clone(engine);
    let command = command.to_owned();
    let handle = thread::spawn(move || run(&engine.session().expect("a session opens"), &command));
    thread::sleep(Duration::from_millis(30));
    assert!(!handle.is_finished(), "it waits");
    handle
}

fn reply(handle: thread::JoinHandle<String>) -> String {
    handle.join().expect("no panic")
}

#[test]
fn calls_that_wait_are_served_in_the_order_in_which_they_came() {
    let engine = Arc::new(engine());
    let calls = ["BLPOP a b 0", "BRPOP b 0", "BLMOVE b c LEFT RIGHT 0", "BRPOPLPUSH c d 0"];
    let calls = calls.map(|command| waiting(&engine, command));
    let session = engine.session().expect("a session opens");
    play(&session, &[("RPUSH b 1 2 3", "3")]);
    assert_eq!(calls.map(reply), ["[b 1]", "[b 3]", "2", "2"]);
    play(&session, &[("LRANGE d 0 -1", "[2]"), ("EXISTS a b c", "0")]);
    let calls = ["BZPOPMIN z 0", "BZPOPMAX y z 0"].map(|command| waiting(&engine, command));
    play(&session, &[("ZADD z 1 a 2 b 3 c", "3")]);
    assert_eq!(calls.map(reply), ["[z a 1]", "[z c 3]"]);
    play(&session, &[("ZCARD z", "1")]);
    let calls = ["BLMPOP 0 2 a b RIGHT COUNT 2", "BZMPOP 0 1 y MIN"];
    let calls = calls.map(|command| waiting(&engine, command));
    play(&session, &[("RPUSH b 1 2 3", "3"), ("ZADD y 1 m 2 n", "2")]);
    assert_eq!(calls.map(reply), ["[b [3 2]]", "[y [[m 1]]]"]);
    play(&session, &[("LRANGE b 0 -1", "[1]"), ("ZCARD y", "1")]);
}

#[test]
fn readers_of_a_stream_wait_for_what_comes_after_their_call() {
    let engine = Arc::new(engine());
    let session = engine.session().expect("a session opens");
    play(&session, &[("XADD s 1-1 f old", "1-1"), ("XGROUP CREATE s g $", "OK")]);
    let all = waiting(&engine, "XREAD COUNT 1 BLOCK 0 STREAMS other s 0 $");
    let group = waiting(&engine, "XREADGROUP GROUP g alice BLOCK 0 STREAMS s >");
    play(&session, &[("XADD s 2-1 f new", "2-1")]);
    let expected = "[[s [[2-1 [f new]]]]]";
    assert_eq!([all, group].map(reply), [expected, expected]);
    play(&session, &[("XPENDING s g", "[1 2-1 2-1 [[alice 1]]]")]);
    let group = waiting(&engine, "XREADGROUP GROUP g alice BLOCK 0 STREAMS s >");
    play(&session, &[("DEL s", "1")]);
    assert_eq!(reply(group), "-UNBLOCKED the stream key no longer exists");
    play(&session, &[("XREAD BLOCK 20 STREAMS s 0", "nil")]);
    let refused = run(&session, "EVAL return(redis.pcall('xRead','BLOCK',0,'STREAMS','s','$')) 0");
    assert_eq!(refused, "-ERR xRead command is not allowed with BLOCK option from scripts");
}

#[test]
fn the_first_of_several_keys_that_gets_something_is_served() {
    let engine = Arc::new(engine());
    let lists = waiting(&engine, "BLMPOP 0 2 a b LEFT COUNT 2");
    let sets = waiting(&engine, "BZMPOP 0 2 y z MAX COUNT 2");
    let session = engine.session().expect("a session opens");
    play(&session, &[("MULTI", "OK"), ("RPUSH b 1 2 3", "QUEUED"), ("RPUSH a x", "QUEUED")]);
    play(&session, &[("ZADD z 1 a 2 b 3 c", "QUEUED"), ("EXEC", "[3 1 3]")]);
    assert_eq!([lists, sets].map(reply), ["[b [1 2]]", "[z [[c 3] [b 2]]]"]);
    play(&session, &[("LRANGE b 0 -1", "[3]"), ("LRANGE a 0 -1", "[x]"), ("ZCARD z", "1")]);
}

#[test]
fn a_call_waits_on_when_the_key_gets_another_type_or_the_change_is_undone() {
    let engine = Arc::new(engine());
    let handle = waiting(&engine, "BLPOP k 0");
    let session = engine.session().expect("a session opens");
    play(&session, &[("SET k text", "OK"), ("DEL k", "1")]);
    run(&session, "EVAL redis.call('rpush',KEYS[1],'undone')error('x') 1 k");
    session.begin().expect("it begins");
    play(&session, &[("RPUSH k undone", "1")]);
    session.rollback().expect("it ends");
    play(&session, &[("RPUSH k2 x", "1"), ("MULTI", "OK"), ("RENAME k2 k", "QUEUED")]);
    play(&session, &[("EXEC", "[OK]")]);
    assert_eq!(reply(handle), "[k x]");
}

/// The time stands still within EXEC, but not between it and whom it wakes.
#[test]
fn a_call_waits_on_when_the_key_has_expired_by_the_time_it_is_served() {
    let mut options = Options::redis();
    options.config.push(("enable-debug-command".to_owned(), "yes".to_owned()));
    let engine = Arc::new(Engine::open(&options).expect("an engine opens"));
    let handle = waiting(&engine, "BLPOP k 0");
    let session = engine.session().expect("a session opens");
    play(
        &session,
        &[
            ("MULTI", "OK"),
            ("RPUSH k gone", "QUEUED"),
            ("PEXPIRE k 5", "QUEUED"),
            ("DEBUG SLEEP 0.05", "QUEUED"),
            ("EXEC", "[1 1 OK]"),
            ("EXISTS k", "0"),
            ("RPUSH k there", "1"),
        ],
    );
    assert_eq!(reply(handle), "[k there]");
}

#[test]
fn what_waits_ends_by_its_time_by_cancel_and_by_close() {
    let engine = Arc::new(engine());
    let start = Instant::now();
    let session = engine.session().expect("a session opens");
    play(&session, &[("BLPOP k 0.05", "nil")]);
    assert!(start.elapsed() >= Duration::from_millis(50));
    let handle = waiting(&engine, "BLPOP k 0");
    engine.cancel();
    assert_eq!(reply(handle), "-ERR the call was cancelled by the host");
    // It is forgotten: nothing is popped for it any more.
    play(&session, &[("RPUSH k x", "1"), ("LLEN k", "1"), ("DEL k", "1")]);
    let handle = waiting(&engine, "BLMOVE k l LEFT LEFT 0");
    engine.close().expect("it closes");
    assert_eq!(reply(handle), "-ERR the engine is closed");
}

#[test]
fn waiting_follows_a_clock_of_the_host() {
    let engine = Arc::new(still());
    let handle = waiting(&engine, "BZPOPMIN k 10");
    engine.advance_clock(9_999).expect("the clock moves");
    thread::sleep(Duration::from_millis(20));
    assert!(!handle.is_finished());
    engine.advance_clock(1).expect("the clock moves");
    assert_eq!(reply(handle), "nil");
}

#[test]
fn nothing_waits_in_scripts_and_transactions() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    play(&session, &[("MULTI", "OK"), ("BLPOP k 0", "QUEUED")]);
    play(&session, &[("BLMOVE k l LEFT LEFT 0", "QUEUED"), ("EXEC", "[nil nil]")]);
    session.begin().expect("it begins");
    play(&session, &[("BZPOPMAX k 0", "nil")]);
    session.commit().expect("it ends");
    let refused = run(&session, "EVAL return(redis.pcall('blpop','k',0)) 0");
    assert!(refused.contains("not allowed from script"), "{refused}");
    // Unlike all others these two may be called there; they find nothing.
    for call in ["'blmpop',0,1,'k','left'", "'bzmpop',0,1,'k','max'"] {
        let script = format!("EVAL return(redis.call({call})) 0");
        play(&session, &[(&script, "nil")]);
    }
}

#[test]
fn timeouts_that_make_no_sense_are_errors() {
    let engine = engine();
    let session = engine.session().expect("a session opens");
    for (command, expected) in [
        ("BLPOP k x", "-ERR timeout is not a float or out of range"),
        ("BLPOP k -1", "-ERR timeout is negative"),
        ("BLPOP k 1e400", "-ERR timeout is negative"),
        ("BLMOVE a b LEFT UP 0", "-ERR syntax error"),
        ("BLMPOP x 0 k UP", "-ERR numkeys should be greater than 0"),
        ("BLMPOP x 1 k LEFT", "-ERR timeout is not a float or out of range"),
        ("BZMPOP 0 0 k MIN", "-ERR numkeys should be greater than 0"),
        ("BZPOPMIN k nan", "-ERR timeout is not a float or out of range"),
    ] {
        play(&session, &[(command, expected)]);
    }
}

#[test]
fn the_host_is_asked_while_a_call_waits_and_may_end_it() {
    let engine = Arc::new(engine());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // It may use the engine meanwhile: no lock is held.
    let other = Arc::downgrade(&engine);
    engine.set_interrupt(Some(Box::new(move || {
        let engine = other.upgrade().expect("whoever waits holds it");
        assert_eq!(engine.command(&["PING"]), Ok(Reply::Status("PONG".to_owned())));
        count.fetch_add(1, Ordering::Relaxed) == 2
    })));
    let session = engine.session().expect("a session opens");
    play(&session, &[("BLPOP k 0", "-ERR the call was cancelled by the host")]);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    play(&session, &[("RPUSH k x", "1"), ("BLPOP k 0", "[k x]"), ("BLPOP k 0.13", "nil")]);
    // A call that is served while the host may be asked.
    let handle = waiting(&engine, "BLPOP k 0");
    play(&session, &[("RPUSH k y", "1")]);
    assert_eq!(reply(handle), "[k y]");
    let before = asked.load(Ordering::Relaxed);
    engine.set_interrupt(None);
    play(&session, &[("BLPOP k 0.13", "nil")]);
    assert_eq!(asked.load(Ordering::Relaxed), before);
}

#[test]
fn the_host_may_end_waiting_for_a_transaction() {
    let mut options = Options::default();
    options.busy_timeout = None;
    let engine = Arc::new(Engine::open(&options).expect("an engine opens"));
    engine.set_interrupt(Some(Box::new(|| panic!("counts as true"))));
    let session = engine.session().expect("a session opens");
    session.begin().expect("it begins");
    let other = Arc::clone(&engine);
    let ended = thread::spawn(move || other.command(&["PING"])).join().expect("no panic");
    assert_eq!(ended, Err(Error::Busy));
    session.rollback().expect("it ends");
    assert_eq!(shown(engine.command(&["PING"])), "PONG");
}

#[test]
fn scripts_by_sha1_and_by_handle_see_the_sessions_state() {
    let (engine, other) = (engine(), self::engine());
    let script = engine.prepare("return redis.call('incr',KEYS[1])").expect("it compiles");
    let strange = other.prepare("return 1").expect("it compiles");
    let session = engine.session().expect("a session opens");
    play(&session, &[("SELECT 2", "OK"), ("SET n 5", "OK")]);
    assert_eq!(shown(session.evalsha(script.sha1(), &["n"], &[""; 0])), "6");
    assert_eq!(shown(session.run(&script, &["n"], &[""; 0])), "7");
    let refused = session.run(&strange, &["n"], &[""; 0]);
    assert!(matches!(refused, Err(Error::Options { .. })), "{refused:?}");
    play(&session, &[("MULTI", "OK")]);
    assert_eq!(shown(session.evalsha(script.sha1(), &["n"], &[""; 0])), "QUEUED");
    assert_eq!(shown(session.run(&script, &["n"], &[""; 0])), "QUEUED");
    play(&session, &[("EXEC", "[8 9]")]);
    assert_eq!(shown(engine.command(&["EXISTS", "n"])), "0");
}

//! Clients of an engine beside clients of a real redis-server: what each of them is written, to the
//! byte and in order, when they call, tell one another things, and close one another.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "clients/both.rs"]
mod both;
#[path = "clients/events.rs"]
mod events;

use both::{Ours, Side, Theirs, masked};
use moonkv::{Call, Engine, Error, Options, Origin, Protocol, Reply, ReplyBuf, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Plays a transcript on both sides: lines of a client's letter and its calls, which are separated
/// by `;`. A letter that is new is a new client.
#[track_caller]
fn check(transcript: &str) {
    let Some(mut theirs) = Theirs::start() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let mut ours = Ours::new(theirs.next_id());
    let lines = || transcript.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected = play(&mut theirs, lines());
    let got = play(&mut ours, lines());
    for (name, expected) in &expected {
        let got = got.iter().find(|(other, _)| other == name).map(|(_, got)| got.as_str());
        assert_eq!(got, Some(expected.as_str()), "client {name}");
    }
}

fn play<'t>(side: &mut impl Side, lines: impl Iterator<Item = &'t str>) -> Vec<(char, String)> {
    let mut names: Vec<char> = Vec::new();
    for line in lines {
        let (name, calls) = line.split_once(": ").expect("a letter and calls");
        let name = name.chars().next().expect("a letter");
        if !names.contains(&name) {
            names.push(name);
            side.open(name);
        }
        let calls: Vec<&str> = calls.split(" ; ").collect();
        side.call(name, &calls);
    }
    // Once more, so that all has arrived that others did.
    names.iter().for_each(|name| side.call(*name, &[]));
    names.into_iter().map(|name| (name, masked(&side.written(name)))).collect()
}

#[test]
fn channels() {
    check(
        "a: HELLO 3
         a: SUBSCRIBE a b a
         a: PUBLISH a m
         a: EVAL redis.call('publish','a','x')return_5 0
         a: PSUBSCRIBE a* b?
         a: PUBLISH a m
         b: SUBSCRIBE a
         b: PING ; PING x ; PING x y ; GET ; NOSUCH ; GET a ; EXEC ; HELLO 3 ; CLIENT ID
         c: PUBLISH a one ; PUBLISH b two ; PUBLISH bb three ; PUBLISH zzz four
         c: PUBSUB CHANNELS b* ; PUBSUB NUMSUB a b c ; PUBSUB NUMPAT
         c: PUBSUB CHANNELS a b ; PUBSUB NUMSUB ; PUBSUB FOO ; PUBSUB HELP
         a: UNSUBSCRIBE a zz ; UNSUBSCRIBE ; PUNSUBSCRIBE b? ; PUNSUBSCRIBE ; UNSUBSCRIBE
         c: PUBLISH a one
         b: SSUBSCRIBE s ; PSUBSCRIBE p ; UNSUBSCRIBE ; PUNSUBSCRIBE ; PING ; SUNSUBSCRIBE ; PING
         c: PUBLISH a none
         b: SUBSCRIBE q ; RESET ; PING
         c: PUBLISH q none",
    );
}

#[test]
fn channels_of_shards() {
    check(
        "a: HELLO 3
         a: SSUBSCRIBE s t ; SPUBLISH s m ; PUBLISH s m
         b: SSUBSCRIBE s ; SUBSCRIBE s
         c: SPUBLISH s one ; PUBLISH s two ; PUBSUB SHARDCHANNELS t* ; PUBSUB SHARDNUMSUB s t u
         c: PUBSUB SHARDCHANNELS s ; PUBSUB SHARDNUMSUB ; PUBSUB NUMSUB s
         a: SUNSUBSCRIBE s ; SUNSUBSCRIBE nope ; SUNSUBSCRIBE ; SUNSUBSCRIBE
         c: SPUBLISH s one",
    );
}

#[test]
fn channels_within_transactions() {
    check(
        "a: SUBSCRIBE x
         b: MULTI ; PUBLISH x 1 ; SET k v ; PUBLISH x 2 ; EXEC
         b: MULTI ; PUBLISH x 3 ; DISCARD
         b: MULTI ; SUBSCRIBE y ; EXEC ; PING
         c: PUBLISH y m",
    );
}

#[test]
fn what_clients_say_of_themselves() {
    check(
        "a: CLIENT ID ; CLIENT GETNAME ; CLIENT SETNAME x ; CLIENT GETNAME ; CLIENT SETNAME \"\"
         a: CLIENT GETNAME ; CLIENT SETNAME a_b ; CLIENT ; CLIENT FOO ; CLIENT HELP ; CLIENT ID x
         a: CLIENT LIST TYPE foo ; CLIENT LIST TYPE pubsub ; CLIENT LIST ID ; CLIENT LIST ID x
         a: CLIENT LIST ID 999 998 ; CLIENT LIST TYPE replica ; CLIENT LIST FOO x ; CLIENT LIST TYPE
         a: CLIENT LIST TYPE normal x ; CLIENT LIST TYPE master ; CLIENT LIST TYPE slave
         a: CLIENT KILL ; CLIENT KILL a b c ; CLIENT KILL ID x ; CLIENT KILL ID 0 ; CLIENT KILL a
         a: CLIENT KILL TYPE x ; CLIENT KILL USER x ; CLIENT KILL SKIPME x ; CLIENT KILL ADDR x
         a: CLIENT KILL ID 999 ; CLIENT KILL LADDR x SKIPME yes ; CLIENT KILL TYPE pubsub
         a: CLIENT KILL MAXAGE 1 ; CLIENT KILL USER default ID 999
         a: CLIENT NO-EVICT x ; CLIENT NO-EVICT on ; CLIENT NO-EVICT off ; CLIENT REPLY x
         a: CLIENT REPLY ON ; CLIENT PAUSE ; CLIENT PAUSE x ; CLIENT PAUSE -1 ; CLIENT PAUSE 10 x
         a: CLIENT PAUSE 10 all x ; CLIENT UNPAUSE ; CLIENT PAUSE 99999999999999999999
         a: CLIENT UNBLOCK x ; CLIENT UNBLOCK 999 ; CLIENT UNBLOCK 1 x ; CLIENT UNBLOCK 1 error x
         a: CLIENT UNBLOCK x foo ; EVAL return_redis.call('client','id') 0",
    );
}

#[test]
fn lines_of_clients() {
    check(
        "a: CLIENT SETNAME me ; SELECT 3 ; SUBSCRIBE x y ; PSUBSCRIBE z ; SSUBSCRIBE s
         b: HELLO 3 SETNAME you ; CLIENT TRACKING on BCAST ; CLIENT NO-EVICT on ; MULTI ; GET k
         c: MONITOR
         d: CLIENT TRACKING on REDIRECT {b} ; WATCH k ; CLIENT INFO
         d: CLIENT LIST ID {a} {b} {c} {d} ; CLIENT LIST TYPE pubsub
         e: HELLO 3 ; CLIENT INFO ; CLIENT LIST ID {e} ; SET k v ; CLIENT LIST ID {d}
         b: EXEC ; CLIENT LIST ID {b} ; RESET ; CLIENT INFO",
    );
}

#[test]
fn hello_auth_and_reset() {
    check(
        "a: HELLO ; HELLO x ; HELLO 1 ; HELLO 3 AUTH ; HELLO 3 AUTH a ; HELLO 3 AUTH a b
         a: HELLO 3 SETNAME ; HELLO 3 SETNAME a_b ; HELLO 3 SETNAME ab AUTH default x
         a: CLIENT GETNAME ; HELLO 2 FOO ; HELLO 2 ; HELLO 99999999999999999999 ; AUTH
         a: AUTH x ; AUTH a b ; AUTH a b c ; AUTH default x
         r: CONFIG SET requirepass pw
         b: PING ; GET ; NOSUCH ; HELLO ; HELLO 3 ; HELLO 3 AUTH default bad ; AUTH bad
         b: AUTH default bad ; CLIENT ID ; RESET ; MULTI ; EXEC ; COMMAND COUNT ; CLIENT ; CLIENT NO
         b: AUTH pw ; PING ; RESET ; PING ; HELLO 2 AUTH default pw SETNAME zz ; CLIENT GETNAME
         b: RESET ; AUTH default pw ; CLIENT GETNAME ; HELLO 3 SETNAME b_b
         r: PING ; CONFIG GET requirepass
         c: GET k
         r: CONFIG SET requirepass \"\"
         c: GET k ; AUTH x
         d: HELLO 3 ; CLIENT SETNAME n ; SELECT 4 ; SET k v ; CLIENT TRACKING on ; WATCH k
         d: MULTI ; SUBSCRIBE x ; RESET ; CLIENT GETNAME ; CLIENT TRACKINGINFO ; GET k
         d: EXEC ; DISCARD ; MULTI ; RESET ; EXEC ; QUIT now",
    );
}

#[test]
fn replies_that_nobody_wants() {
    check(
        "a: CLIENT REPLY OFF ; PING ; NOSUCH ; CLIENT REPLY ON ; CLIENT REPLY SKIP ; PING a ; PING b
         a: CLIENT REPLY OFF ; SUBSCRIBE ch ; PING ; RESET
         b: HELLO 3 ; CLIENT REPLY OFF ; SUBSCRIBE ch ; PING ; PUBLISH ch m ; CLIENT REPLY ON
         b: CLIENT REPLY SKIP ; SUBSCRIBE q ; CLIENT REPLY SKIP ; MULTI ; PING ; EXEC
         b: CLIENT REPLY SKIP ; CLIENT REPLY SKIP ; PING",
    );
}

#[test]
fn what_caches_have_to_forget() {
    check(
        "t: HELLO 3 ; CLIENT TRACKING on
         t: GET k1 ; MGET k2 k3 ; SET k4 x ; EVAL return_redis.call('get',KEYS[1]) 1 k5 ; HGET k6 f
         w: SET k1 v ; SET k1 w ; MSET k2 1 k3 2 ; SET k4 y ; SET k5 y ; HSET k6 a b
         t: GET k1 ; SET k1 q ; GET k1 ; GET k2
         w: MULTI ; SET k1 a ; SET k2 b ; EXEC
         t: GET k1
         w: FLUSHALL ; FLUSHDB
         t: GET k1 ; FLUSHDB ; GET k1 ; MULTI ; FLUSHALL ; EXEC ; GET k1
         w: SELECT 2 ; SET k1 x ; SELECT 0
         t: GET k1
         w: EVAL redis.call('set','k1','x')redis.call('set','k1','y') 0
         t: MULTI ; GET m1 ; SET m1 x ; EXEC
         w: SET m1 r
         t: EXISTS x1
         w: SET x1 r
         t: TTL x1 ; DBSIZE
         w: SET x1 r
         t: GET x1
         w: DEL x1
         t: GET x1
         w: DEL x1 ; SET r0 x
         t: GET r1
         w: RENAME r0 r1
         t: CLIENT TRACKING off ; CLIENT TRACKING on NOLOOP ; GET k1 ; SET k1 x
         w: SET k1 z
         t: CLIENT TRACKINGINFO ; CLIENT GETREDIR",
    );
}

#[test]
fn caches_that_are_told_of_prefixes() {
    check(
        "t: HELLO 3 ; CLIENT TRACKING on BCAST PREFIX a PREFIX b ; CLIENT TRACKINGINFO
         w: SET a1 x
         t: PING
         w: SET c1 x
         t: PING
         w: MSET a1 x b1 y a2 z
         t: PING ; CLIENT TRACKING on BCAST PREFIX ab ; CLIENT TRACKING on BCAST PREFIX zed
         t: CLIENT TRACKINGINFO ; CLIENT TRACKING on ; CLIENT TRACKING off
         t: CLIENT TRACKING on BCAST ; CLIENT TRACKINGINFO ; CLIENT CACHING yes
         w: FLUSHALL",
    );
}

#[test]
fn caches_are_told_of_evicted_keys_before_the_reply() {
    check(
        "t: HELLO 3 ; CLIENT TRACKING on
         t: CONFIG SET maxmemory 8mb maxmemory-policy volatile-random
         t: SET v x EX 1000 ; GET v ; SETBIT big 80000000 0 ; GETBIT big 0 ; GETBIT big 0
         t: EXISTS v ; DEL big ; CLIENT TRACKING off ; CLIENT TRACKING on NOLOOP
         t: SET v x EX 1000 ; GET v ; SETBIT big 80000000 0 ; GETBIT big 0 ; GETBIT big 0",
    );
}

#[test]
fn the_table_of_cached_keys_can_be_told_and_made_smaller() {
    let engine = Engine::new().expect("an engine opens");
    let [cache, other] = [(); 2].map(|()| engine.session().expect("a session opens"));
    let run = |session: &Session, line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        session.command(&words).expect("it is known")
    };
    for line in ["HELLO 3", "CLIENT TRACKING ON NOLOOP"] {
        run(&cache, line);
    }
    for line in ["HELLO 3", "CLIENT TRACKING ON BCAST PREFIX a PREFIX b"] {
        run(&other, line);
    }
    (0..250).for_each(|key| drop(run(&cache, &format!("GET k{key}"))));
    let counts = || {
        let info = engine.command(&["INFO"]).expect("it is known");
        let info = info.as_str().expect("a text").to_owned();
        let value = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.parse::<usize>().ok())
        };
        let names = ["total_keys", "total_items", "total_prefixes", "clients"];
        names.map(|name| value(&format!("tracking_{name}")).expect("it is told"))
    };
    assert_eq!(counts(), [250, 250, 2, 2]);
    // It is no change of its own.
    run(&cache, "CONFIG SET tracking-table-max-keys 1");
    assert_eq!(cache.take_messages(&mut |_| ()), 249);
    assert_eq!(counts(), [1, 1, 2, 2]);
    drop(other);
    assert_eq!(counts(), [1, 1, 0, 1]);
    run(&cache, "CLIENT TRACKING OFF");
    run(&cache, "FLUSHALL");
    assert_eq!(counts(), [0, 0, 0, 0], "no key is left that was shown to anybody");
}

#[test]
fn caches_that_choose_what_they_keep() {
    check(
        "t: HELLO 3 ; CLIENT TRACKINGINFO ; CLIENT CACHING yes ; CLIENT TRACKING x
         t: CLIENT TRACKING on REDIRECT 999 ; CLIENT TRACKING on REDIRECT x ; CLIENT TRACKING on x
         t: CLIENT TRACKING on PREFIX a ; CLIENT TRACKING on OPTIN OPTOUT
         t: CLIENT TRACKING on BCAST OPTIN ; CLIENT TRACKING on BCAST PREFIX ab PREFIX a
         t: CLIENT TRACKING on OPTIN ; CLIENT CACHING no ; CLIENT CACHING x ; CLIENT TRACKING on OPTOUT
         t: GET a ; CLIENT CACHING yes ; CLIENT TRACKINGINFO ; CLIENT TRACKINGINFO ; GET b ; GET c
         t: CLIENT CACHING yes ; MULTI ; GET d ; GET e ; EXEC ; CLIENT TRACKINGINFO
         w: MSET a 1 b 1 c 1 d 1 e 1
         t: CLIENT TRACKING off x ; CLIENT TRACKING off ; CLIENT TRACKING on OPTOUT NOLOOP
         t: CLIENT CACHING yes ; CLIENT CACHING no ; CLIENT TRACKINGINFO ; GET a ; GET b
         w: MSET a 1 b 1
         t: CLIENT TRACKING on BCAST ; CLIENT TRACKING on",
    );
}

#[test]
fn caches_that_others_listen_for() {
    check(
        "e: SUBSCRIBE __redis__:invalidate
         t: CLIENT TRACKING on REDIRECT {e} ; CLIENT TRACKINGINFO ; CLIENT GETREDIR ; GET k1
         w: SET k1 x ; FLUSHALL
         f: HELLO 3
         u: HELLO 3 ; CLIENT TRACKING on REDIRECT {f} ; GET k1
         w: SET k1 y
         u: GET k1
         w: CLIENT KILL ID {f} ; SET k1 z
         u: PING
         u: CLIENT TRACKINGINFO
         r: CLIENT TRACKING on ; GET k1
         w: SET k1 z
         r: PING",
    );
}

#[test]
fn every_call_is_shown() {
    check(
        r#"m: MONITOR
         a: SET a b"\x ; EVAL redis.call('set','x','y')return_redis.pcall('get','x') 0
         a: MULTI ; SET q 1 ; CONFIG GET databases ; EXEC ; GET ; NOSUCH ; SELECT 3 ; GET nox
         a: AUTH x ; AUTH default x ; HELLO 2 AUTH default pw ; CLIENT ID
         a: SUBSCRIBE z ; UNSUBSCRIBE z ; PUBLISH z m ; BLPOP l 0.01 ; LPUSH x y
         m: GET x ; SET x y ; PING ; CLIENT GETNAME ; SUBSCRIBE a ; RESET ; PING"#,
    );
}

#[test]
fn clients_close_one_another() {
    check(
        "a: PING
         b: SUBSCRIBE x
         c: CLIENT KILL ID {a} ; CLIENT KILL TYPE pubsub ; CLIENT KILL ID {a}
         d: CLIENT KILL ID {d} SKIPME yes ; CLIENT KILL ID {d} SKIPME no ; PING
         e: QUIT ; PING
         g: ACL SETUSER u on nopass ~* +@all ; CLIENT KILL USER u ; CLIENT KILL USER nobody
         h: AUTH u x ; PING
         g: CLIENT KILL USER u ; CLIENT KILL USER u ID 1 ADDR ; ACL DELUSER u ; CLIENT KILL USER u
         h: PING",
    );
}

#[test]
fn events_of_keys_are_those_of_redis() {
    let Some(theirs) = Theirs::start() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let next_id = theirs.next_id();
    let (expected, got) = (events::record(theirs), events::record(Ours::new(next_id)));
    let differ: Vec<String> = events::COMMANDS
        .lines()
        .zip(expected.iter().zip(&got))
        .filter(|(_, (expected, got))| expected != got)
        .map(|(command, (expected, got))| format!("{command}\n  {expected:?}\n  {got:?}"))
        .collect();
    assert_eq!(expected.len(), got.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

// ---- What a real server has no word for.

fn texts(session: &Session) -> Vec<String> {
    let mut texts = Vec::new();
    session.take_messages(&mut |message| {
        let reply = message.to_reply(Protocol::Resp2);
        let parts = reply.as_array().unwrap_or_default();
        let text = |part: &Reply| part.as_str().unwrap_or("?").to_owned();
        texts.push(parts.iter().map(text).collect::<Vec<_>>().join(" "));
    });
    texts
}

#[test]
fn what_is_undone_tells_nobody() {
    let engine = Engine::new().expect("an engine opens");
    let [listener, teller] = [(); 2].map(|()| engine.session().expect("a session opens"));
    engine.command(&["CONFIG", "SET", "notify-keyspace-events", "KA"]).expect("it is known");
    listener.command(&["PSUBSCRIBE", "*"]).expect("it listens");
    let failing = "redis.call('PUBLISH', 'c', 'm') redis.call('SET', 'k', 'v') error('no')";
    teller.eval(failing, &[""; 0], &[""; 0]).expect_err("it fails");
    assert_eq!(texts(&listener), [""; 0]);
    teller.begin().expect("a transaction begins");
    teller.command(&["SET", "k", "1"]).expect("it is set");
    let savepoint = teller.savepoint().expect("there is a transaction");
    teller.command(&["PUBLISH", "c", "undone"]).expect("it is told");
    teller.rollback_to(savepoint).expect("there is a savepoint");
    teller.command(&["PUBLISH", "c", "kept"]).expect("it is told");
    assert_eq!(texts(&listener), [""; 0], "not before the transaction is over");
    teller.commit().expect("it ends");
    let told = texts(&listener);
    assert_eq!(told, ["pmessage * __keyspace@0__:k set", "pmessage * c kept"]);
}

#[test]
fn a_cache_keeps_what_is_undone() {
    let engine = Engine::new().expect("an engine opens");
    let cache = engine.session().expect("a session opens");
    cache.command(&["HELLO", "3"]).expect("it is known");
    cache.command(&["CLIENT", "TRACKING", "ON"]).expect("it is known");
    cache.command(&["GET", "k"]).expect("it is shown");
    let failing = "redis.call('SET', 'k', 'v') error('no')";
    engine.eval(failing, &[""; 0], &[""; 0]).expect_err("it fails");
    assert_eq!(cache.take_messages(&mut |_| ()), 0);
    engine.command(&["SET", "k", "v"]).expect("it is set");
    assert_eq!(cache.take_messages(&mut |_| ()), 1);
}

#[test]
fn doors_are_woken_after_the_lock_is_given_back() {
    let engine = Arc::new(Engine::new().expect("an engine opens"));
    let session = engine.session().expect("a session opens");
    let (woken, inside) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&engine));
    let count = Arc::clone(&woken);
    let waker = move || {
        // Within the lock this would be an error.
        inside.command(&["PING"]).expect("the lock is free");
        count.fetch_add(1, Ordering::SeqCst);
    };
    session.attach(Origin::default(), Arc::new(waker)).expect("it is open");
    session.command(&["SUBSCRIBE", "c"]).expect("it listens");
    engine.command(&["PUBLISH", "c", "m"]).expect("it is told");
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert_eq!(texts(&session), ["message c m"]);
}

#[test]
fn who_takes_nothing_is_closed() {
    let engine = Engine::new().expect("an engine opens");
    let slow = engine.session().expect("a session opens");
    let limits = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 4kb 0 0"];
    engine.command(&limits).expect("it is known");
    slow.command(&["SUBSCRIBE", "c"]).expect("it listens");
    let text = "x".repeat(1000);
    let heard = (0..10).map(|_| engine.command(&["PUBLISH", "c", &text]).expect("it is told"));
    let heard: Vec<Reply> = heard.collect();
    assert_eq!(heard.first(), Some(&Reply::Integer(1)));
    assert_eq!(heard.last(), Some(&Reply::Integer(0)));
    assert!(slow.is_closing());
    assert_eq!(slow.take_messages(&mut |_| ()), 0);
    let error = slow.command(&["PING"]).expect_err("it is closed");
    assert_eq!(error.to_string(), "ERR the session is closed");
}

/// A session that waits for a key, and what ends its wait.
#[track_caller]
fn check_wait(end: impl Fn(&Engine, u64) -> Result<Reply, Error>, expected: Result<Reply, &str>) {
    let engine = Engine::new().expect("an engine opens");
    let waiting = engine.session().expect("a session opens");
    let id = waiting.client_id();
    let got = thread::scope(|scope| {
        let got = scope.spawn(|| waiting.command(&["BLPOP", "k", "0"]));
        while end(&engine, id).expect("it is known") != Reply::Integer(1) {
            thread::yield_now();
        }
        got.join().expect("no panic")
    });
    assert_eq!(got.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
}

#[test]
fn waits_end_by_word_of_another_client() {
    let id = |id: u64| id.to_string();
    let unblock = |how: &'static str| {
        move |engine: &Engine, client| engine.command(&["CLIENT", "UNBLOCK", &id(client), how])
    };
    check_wait(unblock("TIMEOUT"), Ok(Reply::Null));
    check_wait(unblock("ERROR"), Err("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
    let kill = |engine: &Engine, client: u64| {
        // Not before it waits: it is to be closed in the middle of that.
        let list = engine.command(&["CLIENT", "LIST", "ID", &client.to_string()])?;
        match list.as_str().is_some_and(|list| list.contains("flags=b ")) {
            true => engine.command(&["CLIENT", "KILL", "ID", &client.to_string()]),
            false => Ok(Reply::Null),
        }
    };
    check_wait(kill, Err("ERR the session is closed"));
}

#[test]
fn calls_are_put_off_while_clients_are_paused() {
    let mut options = Options::redis();
    options.clock = moonkv::Clock::Manual { start_ms: 1000 };
    let engine = Engine::open(&options).expect("an engine opens");
    let [paused, other] = [(); 2].map(|()| engine.session().expect("a session opens"));
    let pause = |ms: &str| other.command(&["CLIENT", "PAUSE", ms, "WRITE"]).expect("it is known");
    let is_put_off = || {
        let list = other.command(&["CLIENT", "LIST"]).expect("it is known");
        list.as_str().is_some_and(|list| list.contains("flags=b "))
    };
    // By word of a client.
    pause("1000000");
    thread::scope(|scope| {
        let set = scope.spawn(|| paused.command(&["SET", "k", "v"]));
        while !is_put_off() {
            thread::yield_now();
        }
        assert_eq!(other.command(&["GET", "k"]), Ok(Reply::Null));
        other.command(&["CLIENT", "UNPAUSE"]).expect("it is known");
        assert_eq!(set.join().expect("no panic"), Ok(Reply::Status("OK".into())));
    });
    // By its time. A call that waits for a key waits on then.
    pause("500");
    thread::scope(|scope| {
        let popped = scope.spawn(|| paused.command(&["BLPOP", "list", "0"]));
        while !is_put_off() {
            thread::yield_now();
        }
        engine.advance_clock(501).expect("the clock is the host's");
        let push = || other.command(&["RPUSH", "list", "x"]).expect("it is a list");
        push();
        let element = Reply::Array(vec![Reply::Bulk(b"list".into()), Reply::Bulk(b"x".into())]);
        assert_eq!(popped.join().expect("no panic"), Ok(element));
    });
}

#[test]
fn several_replies_are_an_array_to_who_wants_one() {
    let engine = Engine::new().expect("an engine opens");
    let session = engine.session().expect("a session opens");
    let Ok(Reply::Array(confirmed)) = session.command(&["SUBSCRIBE", "a", "b"]) else {
        panic!("two confirmations");
    };
    assert_eq!(confirmed.len(), 2);
    let mut reply = ReplyBuf::new();
    session.call(Call::Command(&[b"UNSUBSCRIBE"]), &mut reply).expect("the engine answers");
    let one = "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n";
    assert!(reply.to_resp(Protocol::Resp2).starts_with(one.as_bytes()));
}

#[test]
fn the_engine_itself_can_be_told_nothing() {
    let engine = Engine::new().expect("an engine opens");
    for argv in [&["SUBSCRIBE", "c"][..], &["MONITOR"], &["CLIENT", "TRACKING", "ON"]] {
        let error = engine.command(argv).expect_err("many threads share it");
        assert_eq!(error.to_string(), "ERR this command needs a session of its own");
    }
    assert_eq!(engine.command(&["CLIENT", "ID"]), Ok(Reply::Integer(1)));
    let in_script = engine.eval("return redis.call('SUBSCRIBE', 'c')", &[""; 0], &[""; 0]);
    assert!(in_script.expect_err("not there").to_string().contains("not allowed from script"));
}

// ---- For the host.

#[test]
fn messages_can_be_waited_for() {
    let engine = Engine::new().expect("an engine opens");
    let news = engine.subscription().expect("it opens");
    assert_eq!(news.subscribe(&["a", "b"]), Ok(()));
    assert_eq!(news.psubscribe(&["u:*"]), Ok(()));
    assert_eq!(news.try_message(), None, "confirmations are no messages");
    assert_eq!(news.message(Some(std::time::Duration::ZERO)), None);
    assert_eq!(engine.publish("a", "1"), Ok(1));
    assert_eq!(engine.publish("u:1", "2"), Ok(1));
    assert_eq!(engine.publish("elsewhere", "3"), Ok(0));
    let told = news.message(None).expect("a message");
    assert_eq!((told.channel, told.pattern, told.payload), (b"a".into(), None, b"1".into()));
    let told = news.try_message().expect("a message");
    assert_eq!(told.pattern, Some(b"u:*".into()));
    assert_eq!(news.unsubscribe(&[""; 0]), Ok(()));
    assert_eq!(engine.publish("b", "4"), Ok(0));
    assert_eq!(news.punsubscribe(&["u:*"]), Ok(()));
    assert_eq!(engine.publish("u:1", "5"), Ok(0));
    thread::scope(|scope| {
        let all = scope.spawn(|| news.messages().count());
        engine.close().expect("it closes");
        assert_eq!(all.join().expect("no panic"), 0, "the end of the engine is that of its news");
    });
}

#[test]
fn a_callback_is_called_with_each_message_and_may_call_the_engine() {
    let engine = Arc::new(Engine::new().expect("an engine opens"));
    let news = engine.subscription().expect("it opens");
    let inside = Arc::clone(&engine);
    news.subscribe(&["c"]).expect("it listens");
    engine.publish("c", "before").expect("it is told");
    let append = move |message: moonkv::Message| {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        inside.command(&["RPUSH", "log", &payload]).expect("the lock is free");
        if payload == "1" {
            inside.publish("c", "1 again").expect("it is told");
        }
    };
    news.on_message(Some(Box::new(append)));
    engine.publish("c", "1").expect("it is told");
    engine.eval("redis.call('PUBLISH', 'c', '2')", &[""; 0], &[""; 0]).expect("it runs");
    let log = engine.command(&["LRANGE", "log", "0", "-1"]).expect("a list");
    let log: Vec<&str> = log.as_array().expect("a list").iter().filter_map(Reply::as_str).collect();
    assert_eq!(log, ["before", "1", "1 again", "2"]);
    news.on_message(None);
    engine.publish("c", "3").expect("it is told");
    assert_eq!(news.try_message().map(|message| message.payload), Some(b"3".into()));
}

#[test]
fn a_callback_is_not_called_once_it_was_taken_back() {
    let engine = Engine::new().expect("an engine opens");
    let news = engine.subscription().expect("it opens");
    news.subscribe(&["c"]).expect("it listens");
    let [entered, goes_on, left] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let inside = [&entered, &goes_on, &left].map(Arc::clone);
    news.on_message(Some(Box::new(move |_| {
        let [entered, goes_on, left] = &inside;
        entered.store(1, Ordering::SeqCst);
        while goes_on.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        left.store(1, Ordering::SeqCst);
    })));
    thread::scope(|scope| {
        scope.spawn(|| engine.publish("c", "x").expect("it is told"));
        while entered.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let end = scope.spawn(|| {
            drop(news);
            left.load(Ordering::SeqCst)
        });
        // Its thread has the time to end too early.
        (0..1000).for_each(|_| thread::yield_now());
        goes_on.store(1, Ordering::SeqCst);
        assert_eq!(end.join().expect("no panic"), 1, "whoever is in it is waited for");
    });
    assert_eq!(Arc::strong_count(&left), 1, "the callback is gone");
}

#[test]
fn a_callback_may_let_go_of_its_own_subscription() {
    let engine = Engine::new().expect("an engine opens");
    let news = engine.subscription().expect("it opens");
    news.subscribe(&["c"]).expect("it listens");
    let own = Arc::new(std::sync::Mutex::new(None::<moonkv::Subscription>));
    let held = Arc::downgrade(&own);
    news.on_message(Some(Box::new(move |_| {
        let own = held.upgrade().expect("it is held below");
        let gone = own.lock().expect("no panic").take();
        drop(gone);
    })));
    *own.lock().expect("no panic") = Some(news);
    assert_eq!(engine.publish("c", "x").expect("it is told"), 1);
    assert!(own.lock().expect("no panic").is_none());
    assert_eq!(engine.publish("c", "y").expect("it is told"), 0);
}

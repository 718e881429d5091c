//! What an engine tells of itself and is told: INFO, SLOWLOG, LATENCY, DEBUG and their like, through
//! the public door.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Clock, Engine, Error, Options, Reply, Session};

/// An engine with these parameters, and a session of it, which lives as long.
fn open(config: &[(&str, &str)]) -> (Engine, Session) {
    let mut options = Options::redis();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.config = config.iter().map(owned).collect();
    let engine = Engine::open(&options).expect("an engine opens");
    let session = engine.session().expect("a session");
    (engine, session)
}

/// Runs a command given as words; an error comes back as its text.
fn run(session: &Session, command: &str) -> Reply {
    let words: Vec<&str> = command.split(' ').collect();
    match session.command(&words) {
        Ok(reply) => reply,
        Err(Error::Reply { message, .. }) => Reply::Error(message),
        Err(error) => panic!("{command}: {error}"),
    }
}

fn text(session: &Session, command: &str) -> String {
    match run(session, command) {
        Reply::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
        Reply::Status(text) | Reply::Error(text) => text,
        other => panic!("{command}: {other:?}"),
    }
}

/// The value of a field of INFO.
fn field(session: &Session, section: &str, name: &str) -> Option<String> {
    let info = text(session, &format!("INFO {section}"));
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
    info.lines().find_map(value)
}

#[test]
fn info_has_the_sections_that_are_asked_for() {
    let (_engine, session) = open(&[]);
    run(&session, "SET k v");
    let usual = text(&session, "INFO");
    for heading in ["Server", "Clients", "Memory", "Stats", "CPU", "Errorstats", "Keyspace"] {
        assert!(usual.contains(&format!("# {heading}\r\n")), "{heading} in {usual}");
    }
    assert!(!usual.contains("# Commandstats") && usual.contains("redis_version:7.0.15\r\n"));
    let all = text(&session, "INFO everything");
    assert!(all.contains("cmdstat_set:calls=1,") && all.contains("# Latencystats"));
    let two = text(&session, "INFO keyspace CLUSTER nonsense");
    assert_eq!(
        two,
        "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"
    );
    assert_eq!(text(&session, "INFO nonsense"), "");
    assert_eq!(field(&session, "clients", "connected_clients").as_deref(), Some("1"));
    assert_eq!(field(&session, "replication", "role").as_deref(), Some("master"));
}

#[test]
fn calls_and_errors_are_counted_as_redis_counts_them() {
    let (_engine, session) = open(&[]);
    let stat = |name: &str| field(&session, "commandstats", &format!("cmdstat_{name}"));
    let errors = || field(&session, "stats", "total_error_replies");
    run(&session, "SET s x");
    run(&session, "CONFIG RESETSTAT");
    // The command, what is told of one, and how many errors were counted.
    for (command, name, expected, count) in [
        (
            "INCR s",
            "incr",
            "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            "1",
        ),
        ("GET", "get", "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0", "1"),
        ("NOSUCH", "set", "", "1"),
        (
            "EVAL return(redis.call('incr','s')) 0",
            "eval",
            "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            "1",
        ),
        (
            "EVAL return(redis.pcall('incr','s')and(1)) 0",
            "incr",
            "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            "1",
        ),
        (
            "EVAL return({redis.call('get','x'),redis.call('get','x')}) 0",
            "get",
            "calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
            "0",
        ),
        (
            "EVAL return(redis.call('set','a')) 0",
            "set",
            "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
            "1",
        ),
        ("EVAL return({err='MY_error'}) 0", "set", "", "1"),
    ] {
        run(&session, command);
        assert_eq!(stat(name).unwrap_or_default(), expected, "{command}");
        assert_eq!(errors().as_deref(), Some(count), "{command}");
        run(&session, "CONFIG RESETSTAT");
    }
    run(&session, "INCR s");
    run(&session, "XREADGROUP GROUP g c STREAMS st >");
    assert_eq!(field(&session, "errorstats", "errorstat_ERR").as_deref(), Some("count=1"));
    assert_eq!(field(&session, "errorstats", "errorstat_NOGROUP").as_deref(), Some("count=1"));
}

#[test]
fn what_expires_is_counted() {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: 1_000_000 };
    let engine = Engine::open(&options).expect("an engine opens");
    let session = engine.session().expect("a session");
    run(&session, "SET a 1 PX 10");
    run(&session, "SET b 1 PX 10");
    assert_eq!(field(&session, "keyspace", "db0").as_deref(), Some("keys=2,expires=2,avg_ttl=10"));
    engine.advance_clock(20).expect("the clock moves");
    run(&session, "GET a");
    engine.tick(std::time::Duration::from_secs(1)).expect("it ticks");
    assert_eq!(field(&session, "stats", "expired_keys").as_deref(), Some("2"));
    assert_eq!(
        run(&session, "TIME"),
        Reply::Array(vec![Reply::Bulk(b"1000".to_vec()), Reply::Bulk(b"20000".to_vec())])
    );
}

/// What is counted as a change since the data was saved. Asked of redis-server 7.0.15, which also
/// counts each of several elements that one command adds.
#[test]
fn only_what_changes_data_is_counted_as_a_change() {
    let (_engine, session) = open(&[]);
    let changes = || {
        let count = field(&session, "persistence", "rdb_changes_since_last_save");
        count.and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    for (command, expected) in [
        ("SET s 1", 1),
        ("SET s 1", 1),
        ("GET s", 0),
        ("INCR none-such", 1),
        ("DEL none-such nothing", 1),
        ("SETNX s 2", 0),
        ("RPUSH l a", 1),
        ("LPOP l", 1),
        ("LPOP l", 0),
        ("SADD m a", 1),
        ("SADD m a", 0),
        ("SETBIT b 9 0", 1),
        ("SETBIT b 9 0", 0),
        ("SETBIT b 9 1", 1),
        // A number becomes bytes, which changes its form and not what it is.
        ("SETBIT s 0 0", 0),
        ("BITFIELD f SET i5 0 0", 1),
        ("BITFIELD f SET i5 0 0", 0),
        ("BITFIELD f SET i5 0 1 SET i5 0 2 SET i5 0 2 GET i5 0", 2),
        ("BITFIELD f INCRBY i5 0 0", 0),
        ("BITFIELD f INCRBY i5 0 1", 1),
        ("BITFIELD f SET i5 90 0", 1),
        ("BITFIELD f OVERFLOW FAIL INCRBY i5 200 100", 0),
        ("XADD x 1-1 a b", 1),
        ("XGROUP CREATE x g 0", 1),
        ("XCLAIM x g c 0 1-1", 0),
        ("XCLAIM x g c 0 1-1 FORCE", 1),
        ("XACK x g 1-1", 1),
        ("XACK x g 1-1", 0),
        ("PEXPIRE s 100000", 1),
        ("PERSIST s", 1),
        ("PERSIST s", 0),
        ("MSET a 1 c 2", 2),
        ("RENAME a d", 1),
        ("COPY d e", 1),
        ("SWAPDB 0 1", 1),
        ("CONFIG RESETSTAT", 0),
    ] {
        let before = changes();
        run(&session, command);
        assert_eq!(changes() - before, expected, "{command}");
    }
}

/// The arguments of the calls that were slow, the latest first.
fn slow(session: &Session) -> Vec<Vec<String>> {
    let Reply::Array(calls) = run(session, "SLOWLOG GET -1") else { panic!("an array") };
    let argv = |call: &Reply| {
        let argv = call.as_array().and_then(|facts| facts.get(3)?.as_array()).expect("arguments");
        argv.iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
    };
    calls.iter().map(argv).collect()
}

#[test]
fn slow_calls_are_kept_clipped_and_without_secrets() {
    let (_engine, session) = open(&[]);
    run(&session, "SET k v");
    assert!(slow(&session).is_empty(), "nothing is slow unless somebody asks");
    run(&session, "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 4");
    run(&session, &format!("SET k {}", "x".repeat(200)));
    run(&session, "CONFIG SET masterauth pass timeout 0");
    let many: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    run(&session, &format!("DEL {}", many.join(" ")));
    run(&session, "MULTI");
    run(&session, "GET k");
    run(&session, "EXEC");
    let calls = slow(&session);
    let names: Vec<&str> = calls.iter().map(|call| call[0].as_str()).collect();
    assert_eq!(names, ["GET", "MULTI", "DEL", "CONFIG"]);
    assert_eq!((calls[2].len(), calls[2][31].as_str()), (32, "... (10 more arguments)"));
    assert_eq!(calls[3], ["CONFIG", "SET", "masterauth", "(redacted)", "timeout", "0"]);
    run(&session, "SLOWLOG RESET");
    run(&session, &format!("SET k {}", "x".repeat(200)));
    assert_eq!(slow(&session)[0][2], format!("{}... (72 more bytes)", "x".repeat(128)));
    for bad in ["SLOWLOG GET x", "SLOWLOG GET -2"] {
        assert_eq!(text(&session, bad), "ERR count should be greater than or equal to -1");
    }
}

#[test]
fn latencies_are_told_where_they_are_tracked() {
    let (_engine, session) =
        open(&[("latency-tracking", "yes"), ("enable-debug-command", "local")]);
    run(&session, "SET k v");
    let Reply::Array(told) = run(&session, "LATENCY HISTOGRAM set nosuch") else {
        panic!("an array")
    };
    assert_eq!(told[0], Reply::Bulk(b"set".to_vec()));
    assert_eq!(told[1].as_array().map(<[Reply]>::len), Some(4));
    assert!(text(&session, "INFO latencystats").contains("latency_percentiles_usec_set:p50="));
    assert!(text(&session, "LATENCY GRAPH command").starts_with("ERR No samples available"));
    run(&session, "CONFIG SET latency-monitor-threshold 1");
    run(&session, "DEBUG SLEEP 0.003");
    let Reply::Array(events) = run(&session, "LATENCY LATEST") else { panic!("an array") };
    assert_eq!(events.len(), 1);
    assert!(text(&session, "LATENCY GRAPH command").starts_with("command - high "));
    assert!(text(&session, "LATENCY DOCTOR").contains("command: 1 latency spikes"));
    assert_eq!(run(&session, "LATENCY RESET command nosuch"), Reply::Integer(1));
}

#[test]
fn debug_is_closed_unless_the_engine_was_opened_with_it() {
    let (_engine, closed) = open(&[]);
    assert!(text(&closed, "DEBUG SLEEP 0").starts_with("ERR DEBUG command not allowed."));
    let (_engine, open) = open(&[("enable-debug-command", "yes")]);
    let unknown =
        "ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.";
    assert_eq!(text(&open, "DEBUG SLEEP"), unknown);
    assert_eq!(run(&open, "DEBUG STRINGMATCH-LEN 3 a*"), Reply::Integer(1));
    assert_eq!(text(&open, "DEBUG ERROR MYCODE text"), unknown.replace("SLEEP", "ERROR"));
    assert_eq!(text(&open, "DEBUG ERROR MYCODE"), "MYCODE");
    assert!(text(&open, "DEBUG OBJECT nokey").starts_with("ERR no such key"));
}

#[test]
fn a_reload_keeps_all_data_and_its_fingerprint() {
    let (_engine, session) = open(&[("enable-debug-command", "yes")]);
    assert_eq!(text(&session, "DEBUG DIGEST"), "0".repeat(40));
    for command in [
        "SET s text",
        "SET i 12",
        "SET e x PX 100000",
        "RPUSH l 1 b 3",
        "SADD ints 1 2 3",
        "SADD texts a b",
        "HSET h f v g w",
        "ZADD z 1 a 2.5 b",
        "XADD x 1-1 f v",
        "XGROUP CREATE x g 0",
        "SELECT 3",
        "SET other db",
        "SELECT 0",
    ] {
        run(&session, command);
    }
    let before = text(&session, "DEBUG DIGEST");
    for reload in ["DEBUG RELOAD", "DEBUG RELOAD MERGE", "DEBUG RELOAD NOFLUSH MERGE"] {
        assert_eq!(text(&session, reload), "OK");
        assert_eq!(text(&session, "DEBUG DIGEST"), before, "{reload}");
    }
    assert!(text(&session, "DEBUG RELOAD NONSENSE").starts_with("ERR DEBUG RELOAD only"));
    for from_file in ["DEBUG LOADAOF", "DEBUG RELOAD NOSAVE"] {
        assert!(text(&session, from_file).starts_with("ERR nothing is saved"), "{from_file}");
        assert_eq!(text(&session, "DEBUG DIGEST"), before, "{from_file}");
    }
    assert!(text(&session, "DEBUG OBJECT h").contains("encoding:listpack serializedlength:"));
    // The same data in another form has the same fingerprint; other data has another.
    run(&session, "HSET same g w f v");
    run(&session, "CONFIG SET hash-max-listpack-entries 0");
    run(&session, "HSET large g w f v");
    let Reply::Array(values) = run(&session, "DEBUG DIGEST-VALUE h same large l nokey") else {
        panic!("an array")
    };
    assert!(values[0] == values[1] && values[1] == values[2] && values[2] != values[3]);
    assert_ne!(text(&session, "DEBUG DIGEST"), before);
}

#[test]
fn what_is_not_here_is_told_clearly() {
    let (engine, session) = open(&[]);
    for (command, begin) in [
        ("SAVE", "ERR nothing is saved"),
        ("BGSAVE SCHEDULE", "ERR nothing is saved"),
        ("BGSAVE x", "ERR syntax error"),
        ("BGREWRITEAOF", "ERR nothing is saved"),
        ("REPLICAOF NO ONE", "OK"),
        (
            "SLAVEOF localhost 1",
            "ERR this engine does not listen: only one that does can follow another",
        ),
        ("REPLICAOF a b", "ERR Invalid master port"),
        ("FAILOVER", "ERR FAILOVER requires connected replicas."),
        ("FAILOVER TIMEOUT 0", "ERR FAILOVER timeout must be greater than 0"),
        ("CLUSTER INFO", "ERR This instance has cluster support disabled"),
        ("MODULE LOAD x", "ERR MODULE command not allowed."),
        ("SHUTDOWN", "ERR the engine is embedded"),
        ("SHUTDOWN SAVE NOSAVE", "ERR syntax error"),
        ("SHUTDOWN ABORT", "ERR No shutdown in progress."),
        ("WAIT 0 x", "ERR timeout is not an integer or out of range"),
    ] {
        let told = text(&session, command);
        assert!(told.starts_with(begin), "{command}: {told}");
    }
    run(&session, "MULTI");
    assert_eq!(text(&session, "SAVE"), "ERR Command not allowed inside a transaction");
    assert!(text(&session, "EXEC").starts_with("EXECABORT"));
    assert!(text(&session, "LOLWUT VERSION 5 3").ends_with("Redis ver. 7.0.15\n"));
    assert_eq!(engine.shutdown_asked(), Ok(false));
}

#[test]
fn a_program_that_listens_can_be_asked_to_end() {
    let (engine, session) = open(&[]);
    engine.await_shutdown().expect("it listens");
    assert!(text(&session, "SHUTDOWN SAVE").starts_with("ERR nothing is saved"));
    assert_eq!(engine.shutdown_asked(), Ok(false));
    assert_eq!(text(&session, "SHUTDOWN NOSAVE NOW"), "OK");
    assert_eq!(engine.shutdown_asked(), Ok(true));
    assert_eq!(text(&session, "SHUTDOWN ABORT"), "OK");
    assert_eq!(engine.shutdown_asked(), Ok(false));
}

/// The texts of replies to commands given one a line.
fn told(session: &Session, commands: &str) -> Vec<String> {
    let told = |command: &str| match run(session, command) {
        Reply::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
        Reply::Status(text) | Reply::Error(text) => text,
        other => format!("{other:?}"),
    };
    commands.lines().map(|command| told(command.trim())).collect()
}

/// Nobody follows, so that whoever asks for replicas may not write. As redis-server answers.
#[test]
fn nothing_is_written_where_too_few_replicas_follow() {
    const REFUSED: &str = "NOREPLICAS Not enough good replicas to write.";
    let (_engine, session) = open(&[]);
    run(&session, "SET k v");
    run(&session, "CONFIG SET min-replicas-to-write 1");
    for command in ["SET k w", "DEL nothing", "LPUSH k x", "FLUSHALL", "SORT a STORE b"] {
        assert_eq!(text(&session, command), REFUSED, "{command}");
    }
    let arity = "ERR wrong number of arguments for 'incr' command";
    assert_eq!(told(&session, "GET k\nINCR k k\nPFCOUNT nothing"), ["v", arity, "Integer(0)"]);
    let scripts = [
        ("return redis.call('GET', 'k')", "v"),
        ("#!lua flags=no-writes\nreturn redis.call('GET', 'k')", "v"),
        ("#!lua\nreturn redis.call('GET', 'k')", REFUSED),
        ("return redis.pcall('SET', 'k', 'w')", REFUSED),
        (
            "return redis.call('SET', 'k', 'w')",
            "NOREPLICAS Not enough good replicas to write. script: ",
        ),
    ];
    for (script, begin) in scripts {
        let reply = session.eval(script, &[""; 0], &[""; 0]);
        let reply = reply.map_or_else(
            |error| error.to_string(),
            |reply| match reply {
                Reply::Error(text) => text,
                reply => reply.as_str().unwrap_or_default().to_owned(),
            },
        );
        assert!(reply.starts_with(begin), "{script}: {reply}");
    }
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(told(&session, "MULTI\nSET k w\nEXEC"), ["OK", REFUSED, aborted]);
    run(&session, "CONFIG SET min-replicas-to-write 0");
    assert_eq!(told(&session, "MULTI\nSET k w"), ["OK", "QUEUED"]);
    let (engine, changes) = (&_engine, ["CONFIG", "SET", "min-replicas-to-write", "1"]);
    engine.command(&changes).expect("it is set");
    let aborted = format!("EXECABORT Transaction discarded because of: {REFUSED}");
    assert_eq!(told(&session, "EXEC\nGET k"), [aborted.as_str(), "v"]);
    run(&session, "CONFIG SET min-replicas-max-lag 0");
    assert_eq!(text(&session, "SET k w"), "OK", "who asks for no delay asks for no replicas");
}

#[test]
fn sockets_stay_as_they_were_opened() {
    let (_engine, session) = open(&[("port", "7000"), ("bind", "127.0.0.1")]);
    assert_eq!(text(&session, "CONFIG SET port 7000 bind 127.0.0.1"), "OK");
    let refused = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on \
                   this port. Check server logs.";
    assert_eq!(text(&session, "CONFIG SET maxmemory 1mb port 7001"), refused);
    assert!(
        text(&session, "CONFIG SET bind 0.0.0.0")
            .ends_with("Failed to bind to specified addresses.")
    );
    assert_eq!(field(&session, "memory", "maxmemory").as_deref(), Some("0"), "all or none");
}

#[test]
fn no_data_fits_into_no_memory() {
    let (_engine, session) = open(&[("maxmemory", "1")]);
    let full = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(text(&session, "SET k v"), full);
    assert_eq!(text(&session, "FUNCTION LOAD x"), full);
    assert_eq!(told(&session, "GET k\nPING"), ["Null", "PONG"]);
    assert_ne!(field(&session, "memory", "used_memory").as_deref(), Some("0"));
}

#[test]
fn what_is_past_its_deadline_is_there_for_debug_alone() {
    let mut options = Options::redis();
    options.clock = Clock::Manual { start_ms: 1_000_000 };
    options.config = vec![("enable-debug-command".to_owned(), "yes".to_owned())];
    let engine = Engine::open(&options).expect("an engine opens");
    let session = engine.session().expect("a session");
    run(&session, "SET x v PX 1");
    engine.advance_clock(5).expect("the clock is the host's");
    assert!(text(&session, "DEBUG OBJECT x").contains(" encoding:embstr "));
    // Exchanging it with nothing, or with another such key, changes nothing.
    for prepare in ["PING", "SET x w PX 1"] {
        run(&session, "SELECT 1");
        run(&session, prepare);
        engine.advance_clock(5).expect("the clock is the host's");
        run(&session, "WATCH x");
        run(&session, "SWAPDB 0 1");
        assert_eq!(told(&session, "MULTI\nPING")[0], "OK");
        assert_eq!(run(&session, "EXEC"), Reply::Array(vec![Reply::Status("PONG".to_owned())]));
    }
    run(&session, "WATCH x");
    run(&session, "SELECT 0");
    run(&session, "SET x w");
    run(&session, "SWAPDB 0 1");
    assert_eq!(told(&session, "MULTI\nPING\nEXEC")[2], "Null");
    run(&session, "DEBUG RELOAD");
    let twice = "ERR Error trying to load the RDB dump: the key 'x' is there twice";
    assert_eq!(told(&session, "DEBUG RELOAD NOFLUSH\nDEBUG RELOAD NOFLUSH MERGE"), [twice, "OK"]);
}

#[test]
fn what_others_would_free_is_counted() {
    let (_engine, session) = open(&[("hash-max-listpack-entries", "10")]);
    let count = || {
        let freed = field(&session, "memory", "lazyfreed_objects");
        freed.and_then(|freed| freed.parse::<i64>().ok()).expect("it is told")
    };
    let freed = |line: &str| {
        let before = count();
        run(&session, line);
        count() - before
    };
    let fill = "for n = 1, 100 do redis.call('SADD', KEYS[1], 'm' .. n) \
                redis.call('HSET', KEYS[2], 'f' .. n, 'v') redis.call('SET', 'k' .. n, n) end";
    session.eval(fill, &["set", "hash"], &[""; 0]).expect("it runs");
    assert_eq!(freed("UNLINK k1 k2 none"), 0, "small values are gone at once");
    assert_eq!(freed("UNLINK set hash"), 2);
    session.eval(fill, &["set", "hash"], &[""; 0]).expect("it runs");
    assert_eq!(freed("DEL set"), 0);
    assert_eq!(freed("FLUSHALL SYNC"), 0);
    session.eval(fill, &["set", "hash"], &[""; 0]).expect("it runs");
    assert_eq!(freed("FLUSHDB ASYNC"), 102, "one for each key");
}

//! Following a real redis-server: its data and its changes come over, others may not write
//! meanwhile, and a link that breaks is made anew.

#![cfg(feature = "listen")]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod real_server;

use moonkv::{Engine, ListenOptions, Listener, Options, Reply};
use real_server::{Directory, Running, connected, request};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// A real server; it ends with the value.
struct Server {
    _running: Running,
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Server {
    /// None, said aloud, if the program is not installed.
    fn start(directory: &Path, port: u16, options: &[&str]) -> Option<Server> {
        let number = port.to_string();
        let usual = ["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];
        let all = [&usual, &["--port", &number][..], options].concat();
        let running = Running::start(directory, &all)?;
        let stream = BufReader::new(connected(|| TcpStream::connect(("127.0.0.1", port))));
        Some(Server { _running: running, port, stream })
    }

    /// The first line of a reply, or a string.
    fn ask(&mut self, argv: &[&str]) -> String {
        self.stream.get_mut().write_all(&request(argv)).expect("the server reads");
        self.reply()
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        let parts = line.strip_prefix('*').and_then(|count| count.trim_end().parse().ok());
        (0..parts.unwrap_or(0)).for_each(|_| drop(self.reply()));
        match line.strip_prefix('$').and_then(|len| len.trim_end().parse::<usize>().ok()) {
            None => line.trim_end().to_owned(),
            Some(len) => {
                let mut text = vec![0; len + 2];
                self.stream.read_exact(&mut text).expect("all of it");
                String::from_utf8_lossy(&text).trim_end().to_owned()
            }
        }
    }

    fn run(&mut self, command: &str) -> String {
        self.ask(&command.split(' ').collect::<Vec<_>>())
    }
}

/// A port that nobody has.
fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is one");
    socket.local_addr().expect("it is known").port()
}

/// An engine that listens.
fn engine(directory: &Directory) -> (Engine, Listener) {
    let mut options = Options::server();
    options.directory = Some(directory.0.clone());
    let engine = Engine::open(&options).expect("an engine opens");
    let listener = engine.listen(&ListenOptions::default()).expect("it listens");
    (engine, listener)
}

fn run(engine: &Engine, command: &str) -> Reply {
    engine
        .command(&command.split(' ').collect::<Vec<_>>())
        .unwrap_or_else(|error| Reply::Error(error.to_string()))
}

fn error(engine: &Engine, command: &str) -> String {
    match run(engine, command) {
        Reply::Error(text) => text,
        other => panic!("{command}: {other:?}"),
    }
}

fn info(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")[..]));
    line.unwrap_or_default().trim().to_owned()
}

fn told(engine: &Engine, name: &str) -> String {
    info(run(engine, "INFO replication").as_str().expect("a text"), name)
}

#[track_caller]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

fn follow(engine: &Engine, master: &Server) {
    assert_eq!(run(engine, &format!("REPLICAOF 127.0.0.1 {}", master.port)).as_str(), Some("OK"));
    wait_until("the link is up", || told(engine, "master_link_status") == "up");
}

/// Looks at the keys that do not live long, so that the master does not go on keeping any.
fn remove_expired(master: &mut Server) {
    std::thread::sleep(Duration::from_millis(60));
    let gone: String = (0..12).map(|key| format!(" gone{key}")).collect();
    for database in 0..3 {
        assert_eq!(master.run(&format!("SELECT {database}")), "+OK");
        assert_eq!(master.run(&format!("EXISTS{gone}")), ":0");
    }
}

/// All that the master has changed has come over.
fn catch_up(engine: &Engine, master: &mut Server) {
    wait_until("all changes are there", || {
        let offset = info(&master.ask(&["INFO", "replication"]), "master_repl_offset");
        offset == told(engine, "slave_repl_offset")
    });
}

/// What a real server says that has loaded what the engine saves.
fn digest(engine: &Engine, directory: &Directory) -> String {
    assert_eq!(run(engine, "SAVE").as_str(), Some("OK"));
    let mut server = Server::start(&directory.0, free_port(), &[]).expect("it is installed");
    wait_until("the file is loaded", || server.run("PING") == "+PONG");
    server.run("DEBUG DIGEST")
}

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One of many commands, on one of few keys.
fn random_command(chance: &mut Chance) -> String {
    let (key, number) = (chance.below(12), chance.below(40));
    match chance.below(22) {
        0 => format!("SET string{key} {number}"),
        1 => format!("SET string{key} x EX {}", 1000 + number),
        2 => format!("INCRBY counter{key} {number}"),
        3 => format!("APPEND string{key} {number}"),
        4 => format!("LPUSH list{key} {number} a b"),
        5 => format!("RPOPLPUSH list{key} list{}", number % 12),
        6 => format!("SADD set{key} {number} m{number}"),
        7 => format!("SPOP set{key}"),
        8 => format!("HSET hash{key} f{number} {number}"),
        9 => format!("HINCRBYFLOAT hash{key} g 0.5"),
        10 => format!("ZADD zset{key} {number}.25 m{number}"),
        11 => format!("ZUNIONSTORE zset{key} 2 zset{} zset{key}", number % 12),
        12 => format!("XADD stream{key} * f {number}"),
        13 => format!("PEXPIRE list{key} {}", 100_000 + number),
        14 => format!("DEL string{key} set{}", number % 12),
        15 => format!("RENAME counter{key} counter{}", number % 12),
        16 => format!("SELECT {}", number % 3),
        17 => format!("PFADD sketch{key} {number}"),
        18 => format!("SET gone{key} x PX {}", 1 + number),
        19 => format!("SETRANGE string{key} {number} abc"),
        20 => format!(
            "EVAL redis.call('incr','counter{key}')redis.call('rpush','list{key}',{number}) 0"
        ),
        _ => format!("COPY hash{key} hash{} REPLACE", number % 12),
    }
}

#[test]
fn a_follower_ends_with_the_same_data() {
    let (theirs, ours) = (Directory::new("follow-master"), Directory::new("follow-same"));
    for diskless in ["yes", "no"] {
        let options = ["--repl-diskless-sync", diskless, "--requirepass", "word"];
        let Some(mut master) = Server::start(&theirs.0, free_port(), &options) else { return };
        assert_eq!(master.run("AUTH word"), "+OK");
        let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
        assert_eq!(master.ask(&["FUNCTION", "LOAD", library]), "lib");
        let mut chance = Chance(7);
        (0..500).for_each(|_| drop(master.run(&random_command(&mut chance))));
        let (engine, _listener) = engine(&ours);
        run(&engine, "SET own 1");
        run(&engine, "CONFIG SET masterauth word");
        follow(&engine, &master);
        assert_eq!(run(&engine, "GET own"), Reply::Null);
        for step in 0..1500 {
            let command = random_command(&mut chance);
            if step % 10 == 0 {
                assert_eq!(master.run("MULTI"), "+OK");
                master.run(&command);
                master.run("INCR within");
                master.run("EXEC");
            } else {
                master.run(&command);
            }
        }
        remove_expired(&mut master);
        catch_up(&engine, &mut master);
        assert_eq!(digest(&engine, &ours), master.run("DEBUG DIGEST"), "diskless {diskless}");
        assert_eq!(run(&engine, "FUNCTION LIST").as_array().map(<[_]>::len), Some(1));
    }
}

#[test]
fn only_the_master_writes() {
    let (theirs, ours) = (Directory::new("follow-only"), Directory::new("follow-only-here"));
    let Some(mut master) = Server::start(&theirs.0, free_port(), &[]) else { return };
    let (engine, _listener) = engine(&ours);
    follow(&engine, &master);
    let text = "READONLY You can't write against a read only replica.";
    for command in ["SET a 1", "DEL a", "FLUSHALL", "FUNCTION FLUSH", "LPUSH l x"] {
        assert_eq!(error(&engine, command), text, "{command}");
    }
    let write = engine.eval("return redis.call('set', 'a', 1)", &[""; 0], &[""; 0]);
    assert!(write.expect_err("it writes").to_string().starts_with(text));
    let declared = engine.eval("#!lua\nreturn 1", &[""; 0], &[""; 0]);
    assert_eq!(declared.expect_err("it may write").to_string(), text);
    let reads = engine.eval("#!lua flags=no-writes\nreturn 1", &[""; 0], &[""; 0]);
    assert_eq!(reads, Ok(Reply::Integer(1)));
    let session = engine.session().expect("a session");
    session.command(&["MULTI"]).expect("it is begun");
    assert_eq!(session.command(&["SET", "a", "1"]).expect_err("it writes").to_string(), text);
    let refused = session.command(&["EXEC"]).expect_err("it was refused").to_string();
    assert!(refused.starts_with("EXECABORT"), "{refused}");
    let role = run(&engine, "ROLE");
    let role: Vec<Option<&str>> =
        role.as_array().expect("an array").iter().map(Reply::as_str).collect();
    assert_eq!(role[..2], [Some("slave"), Some("127.0.0.1")]);
    assert_eq!(role[3], Some("connected"));
    // The master says when keys go: until then they are hidden.
    assert_eq!(master.run("DEBUG SET-ACTIVE-EXPIRE 0"), "+OK");
    assert_eq!(master.run("SET short x PX 1"), "+OK");
    assert_eq!(master.run("SET long x"), "+OK");
    catch_up(&engine, &mut master);
    wait_until("its time is up", || run(&engine, "GET short") == Reply::Null);
    assert_eq!(run(&engine, "DBSIZE"), Reply::Integer(2));
    assert_eq!(run(&engine, "EXISTS short long"), Reply::Integer(1));
    assert_eq!(master.run("EXISTS short"), ":0");
    catch_up(&engine, &mut master);
    wait_until("it goes", || run(&engine, "DBSIZE") == Reply::Integer(1));
    run(&engine, "CONFIG SET replica-read-only no");
    assert_eq!(run(&engine, "SET own 1").as_str(), Some("OK"));
    assert_eq!(run(&engine, "REPLICAOF NO ONE").as_str(), Some("OK"));
    run(&engine, "CONFIG SET replica-read-only yes");
    assert_eq!(run(&engine, "SET own 2").as_str(), Some("OK"));
    assert_eq!(told(&engine, "role"), "master");
}

#[test]
fn a_link_that_breaks_is_told_and_made_anew() {
    let (theirs, ours) = (Directory::new("follow-link"), Directory::new("follow-link-here"));
    let port = free_port();
    let Some(mut master) = Server::start(&theirs.0, port, &[]) else { return };
    assert_eq!(master.run("SET a 1"), "+OK");
    let (engine, _listener) = engine(&ours);
    follow(&engine, &master);
    run(&engine, "CONFIG SET replica-serve-stale-data no");
    assert_eq!(run(&engine, "GET a"), Reply::Bulk(b"1".to_vec()));
    drop(master);
    wait_until("the link is down", || told(&engine, "master_link_status") == "down");
    let text = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    assert_eq!(error(&engine, "GET a"), text);
    for script in ["return 1", "#!lua flags=no-writes\nreturn 1"] {
        let refused = engine.eval(script, &[""; 0], &[""; 0]);
        assert_eq!(refused.expect_err("it is stale").to_string(), text);
    }
    let stale = "#!lua flags=allow-stale,no-writes\n";
    let allowed = engine.eval(format!("{stale}return 1"), &[""; 0], &[""; 0]);
    assert_eq!(allowed, Ok(Reply::Integer(1)));
    let reads = engine.eval(format!("{stale}return redis.call('get', 'a')"), &[""; 0], &[""; 0]);
    let reads = reads.expect_err("it reads").to_string();
    assert!(reads.starts_with("ERR Can not execute the command on a stale replica"), "{reads}");
    run(&engine, "CONFIG SET replica-serve-stale-data yes");
    assert_eq!(run(&engine, "GET a"), Reply::Bulk(b"1".to_vec()));
    let mut master = Server::start(&theirs.0, port, &[]).expect("it is installed");
    assert_eq!(master.run("SET b 2"), "+OK");
    wait_until("the link is up", || told(&engine, "master_link_status") == "up");
    catch_up(&engine, &mut master);
    assert_eq!(
        run(&engine, "MGET a b"),
        Reply::Array(vec![Reply::Null, Reply::Bulk(b"2".to_vec())])
    );
}

#[test]
fn whom_nobody_can_follow() {
    let engine = Engine::new().expect("an engine opens");
    let text = "ERR this engine does not listen: only one that does can follow another";
    assert_eq!(error(&engine, "REPLICAOF 127.0.0.1 6379"), text);
    assert_eq!(error(&engine, "REPLICAOF 127.0.0.1 x"), "ERR Invalid master port");
    assert_eq!(error(&engine, "REPLICAOF 127.0.0.1 65536"), "ERR Invalid master port");
    assert_eq!(run(&engine, "REPLICAOF no One").as_str(), Some("OK"));
    assert_eq!(run(&engine, "SET a 1").as_str(), Some("OK"));
}

/// Keys are handed over to a real server, and back.
#[test]
fn keys_move_to_another_server() {
    let directory = Directory::new("follow-migrate");
    let Some(mut server) = Server::start(&directory.0, free_port(), &["--requirepass", "word"])
    else {
        return;
    };
    assert_eq!(server.run("AUTH word"), "+OK");
    let (engine, listener) = engine(&directory);
    let at = format!("MIGRATE 127.0.0.1 {}", server.port);
    run(&engine, "MSET a 1 b 2 c 3");
    run(&engine, "PEXPIRE c 100000");
    let denied = "ERR Target instance replied with error: NOAUTH Authentication required.";
    assert_eq!(error(&engine, &format!("{at} a 0 1000")), denied);
    assert_eq!(run(&engine, &format!("{at} nokey 0 1000")).as_str(), Some("NOKEY"));
    assert_eq!(run(&engine, &format!("{at} a 3 1000 COPY AUTH word")).as_str(), Some("OK"));
    let busy = "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(error(&engine, &format!("{at} a 3 1000 AUTH word")), busy);
    assert_eq!(run(&engine, "EXISTS a"), Reply::Integer(1));
    let both = format!("{at}  3 1000 REPLACE AUTH2 default word KEYS a b nokey c");
    assert_eq!(run(&engine, &both).as_str(), Some("OK"));
    assert_eq!(run(&engine, "DBSIZE"), Reply::Integer(0));
    assert_eq!(server.run("SELECT 3"), "+OK");
    assert_eq!(server.run("DBSIZE"), ":3");
    assert_ne!(server.run("PTTL c"), ":-1");
    let port = listener.port().expect("it listens");
    assert_eq!(server.run(&format!("MIGRATE 127.0.0.1 {port} a 1 1000")), "+OK");
    assert_eq!(run(&engine, "DBSIZE"), Reply::Integer(0));
    assert_eq!(run(&engine, "SWAPDB 0 1").as_str(), Some("OK"));
    assert_eq!(run(&engine, "GET a"), Reply::Bulk(b"1".to_vec()));
    let nobody = free_port();
    let gone = error(&engine, &format!("MIGRATE 127.0.0.1 {nobody} a 0 1000"));
    assert_eq!(gone, "IOERR error or timeout writing to target instance");
    for (options, text) in [
        ("a 0 1000 NOW", "ERR syntax error"),
        ("a 0 1000 AUTH2 x", "ERR syntax error"),
        ("a x 1000", "ERR value is not an integer or out of range"),
        (
            "a 0 1000 KEYS a",
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        ),
    ] {
        assert_eq!(error(&engine, &format!("{at} {options}")), text);
    }
}

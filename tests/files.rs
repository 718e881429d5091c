//! Files of all data: what SAVE writes a real redis-server loads, and the other way round; what is
//! damaged changes nothing; and where no directory was given, no file is touched.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod real_server;

use moonkv::{Engine, Error, Options, Reply};
use real_server::{Directory, Running, connected, request};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

impl Directory {
    fn engine(&self) -> Engine {
        let mut options = Options::default();
        options.directory = Some(self.0.clone());
        options.config.push(("enable-debug-command".to_owned(), "yes".to_owned()));
        Engine::open(&options).expect("an engine opens")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.flatten().map(name).collect();
        names.sort();
        names
    }
}

/// A real server that works in a directory; it ends with the value.
struct Server {
    _running: Running,
    stream: BufReader<UnixStream>,
}

impl Server {
    /// None, said aloud, if the program is not installed.
    fn start(directory: &Path, options: &[&str]) -> Option<Server> {
        let socket = directory.join("redis.sock");
        let path = socket.to_str().expect("a plain name");
        let usual = ["--port", "0", "--enable-debug-command", "yes", "--unixsocket", path];
        let running = Running::start(directory, &[&usual, options].concat())?;
        let stream = BufReader::new(connected(|| UnixStream::connect(&socket)));
        let mut server = Server { _running: running, stream };
        // It answers before it has loaded its file.
        for _ in 0..500 {
            if server.line(&["PING"]) == "+PONG" {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not load its file");
    }

    /// The first line of a reply.
    fn line(&mut self, argv: &[&str]) -> String {
        self.stream.get_mut().write_all(&request(argv)).expect("the server reads");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        if let Some(len) =
            line.strip_prefix('$').and_then(|len| len.trim_end().parse::<usize>().ok())
        {
            let mut rest = vec![0; len + 2];
            self.stream.read_exact(&mut rest).expect("all of it");
        }
        line.trim_end().to_owned()
    }
}

impl Server {
    /// Makes the commands, and loads the library.
    fn fill(&mut self, directory: &Path) {
        for command in commands() {
            let line = self.line(&command.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(!line.starts_with('-'), "{command:?}: {line}");
            if line.starts_with('*') {
                // What XREADGROUP answers is of no interest: a new connection has nothing to read.
                let stream = UnixStream::connect(directory.join("redis.sock"));
                self.stream = BufReader::new(stream.expect("redis-server listens"));
            }
        }
        assert_eq!(self.line(&["FUNCTION", "LOAD", LIBRARY]), "$3");
    }
}

/// What a real server says that has made the commands itself; none if it is not installed.
fn digest_of_commands() -> Option<String> {
    let directory = Directory::new(&format!("files-peer-{:?}", std::thread::current().id()));
    let mut server = Server::start(&directory.0, &[])?;
    server.fill(&directory.0);
    Some(server.line(&["DEBUG", "DIGEST"]))
}

/// Commands that make something of every type and in every encoding, in several databases.
fn commands() -> Vec<Vec<String>> {
    let long = "x".repeat(100);
    let mut texts: Vec<String> = [
        "SET text hello",
        "SET number 12345",
        "SET huge 9223372036854775807",
        "SET negative -70000",
        "SET later soon PXAT 99999999999999",
        "APPEND raw abc",
        "RPUSH list a b c 1 2 3",
        "SADD ints 1 2 300000 -5",
        "SADD texts a b c",
        "HSET hash f v g 17",
        "ZADD zset 1 a 2.5 b -inf c inf d",
        "PEXPIREAT zset 99999999999998",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 a 1 b 3",
        "XADD stream 2-1 other 3",
        "XDEL stream 1-2",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
        "XADD empty 5-5 a 1",
        "XTRIM empty MAXLEN 0",
        "PFADD sketch a b c d",
        "SETBIT bits 1000 1",
        "GEOADD geo 13.361389 38.115556 Palermo",
        "SELECT 3",
        "SET third yes",
        "SELECT 15",
        "SET last yes",
        "SELECT 0",
    ]
    .map(str::to_owned)
    .to_vec();
    for number in 0..600 {
        texts.push(format!("RPUSH longlist {number}{long}"));
        texts.push(format!("SADD longset member{number}"));
        texts.push(format!("HSET longhash field{number} {number}"));
        texts.push(format!("ZADD longzset {number}.5 member{number}"));
        texts.push(format!("XADD longstream {}-0 field {number}", number + 1));
    }
    texts.push(format!("SET compressed {}", long.repeat(10)));
    texts.push(format!("RPUSH packed {long} {}", long.repeat(300)));
    texts.iter().map(|text| text.split(' ').map(str::to_owned).collect()).collect()
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";

fn fill(engine: &Engine) {
    for command in commands() {
        engine.command(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }
    engine.command(&["FUNCTION", "LOAD", LIBRARY]).expect("a library");
}

fn digest(engine: &Engine) -> String {
    match engine.command(&["DEBUG", "DIGEST"]) {
        Ok(Reply::Status(digest)) => digest,
        other => panic!("{other:?}"),
    }
}

fn info(engine: &Engine, name: &str) -> String {
    let reply = engine.command(&["INFO", "persistence"]).expect("it is told");
    let text = reply.as_str().expect("a text").to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")[..]));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

/// Waits for what is written in the background.
fn wait_for(engine: &Engine, name: &str) {
    for _ in 0..1000 {
        if info(engine, name) == "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{name} does not end");
}

#[test]
fn a_file_is_read_from_anywhere() {
    let directory = Directory::new("files-anywhere");
    let engine = directory.engine();
    engine.command(&["MSET", "a", "1", "b", "2"]).expect("it is set");
    engine.command(&["SAVE"]).expect("it is saved");
    let other = Engine::new().expect("an engine opens");
    other.command(&["SET", "before", "1"]).expect("it is set");
    assert_eq!(other.load_from(directory.0.join("none.rdb")), Ok(None));
    assert_eq!(other.command(&["EXISTS", "before"]), Ok(Reply::Integer(1)));
    assert_eq!(other.load_from(directory.0.join("dump.rdb")), Ok(Some(2)));
    assert_eq!(other.command(&["EXISTS", "before", "a", "b"]), Ok(Reply::Integer(2)));
    let error = other.load().expect_err("it has no directory").to_string();
    assert!(error.contains("nothing is saved"), "{error}");
    let error = other.load_from(&directory.0).expect_err("a directory is no file").to_string();
    assert!(error.contains("RDB"), "{error}");
    assert_eq!(other.command(&["DBSIZE"]), Ok(Reply::Integer(2)));
}

#[test]
fn a_relative_directory_begins_where_the_engine_was_opened() {
    let mut options = Options::default();
    options.directory = Some("target".into());
    let engine = Engine::open(&options).expect("an engine opens");
    let meant = std::env::current_dir().expect("there is one").join("target");
    assert_eq!(engine.options().directory.as_deref(), Some(meant.as_path()));
    let told = engine.command(&["CONFIG", "GET", "dir"]).expect("it is told");
    let Some([_, Reply::Bulk(told)]) = told.as_array() else { panic!("{told:?}") };
    assert_eq!(&**told, meant.as_os_str().as_encoded_bytes());
}

#[test]
fn redis_loads_what_is_saved_here() {
    let directory = Directory::new("files-out");
    let engine = directory.engine();
    fill(&engine);
    assert_eq!(engine.command(&["SAVE"]).expect("it is saved"), Reply::Status("OK".to_owned()));
    assert_eq!(directory.names(), ["dump.rdb"]);
    let Some(mut server) = Server::start(&directory.0, &[]) else { return };
    let Some(digest) = digest_of_commands() else { return };
    assert_eq!(server.line(&["DEBUG", "DIGEST"]), digest);
    assert_eq!(server.line(&["FCALL", "f", "0"]), ":1");
    assert_eq!(server.line(&["PEXPIRETIME", "later"]), ":99999999999999");
    let size = engine.command(&["DBSIZE"]).expect("a size").as_integer().expect("a number");
    assert_eq!(server.line(&["DBSIZE"]), format!(":{size}"));
}

#[test]
fn what_redis_has_saved_is_loaded_here() {
    let directory = Directory::new("files-in");
    let Some(mut server) = Server::start(&directory.0, &["--dbfilename", "theirs.rdb"]) else {
        return;
    };
    server.fill(&directory.0);
    for policy in ["noeviction", "allkeys-lru", "allkeys-lfu"] {
        assert_eq!(server.line(&["CONFIG", "SET", "maxmemory-policy", policy]), "+OK");
        assert_eq!(server.line(&["SAVE"]), "+OK");
        let from = directory.0.join("theirs.rdb");
        fs::copy(from, directory.0.join("dump.rdb")).expect("a copy");
        let engine = directory.engine();
        assert!(engine.load().expect("it is read").is_some_and(|keys| keys > 20));
        // What was loaded is what is saved then.
        let copy = Directory::new("files-copy");
        engine.command(&["SAVE"]).expect("it is saved");
        fs::copy(directory.0.join("dump.rdb"), copy.0.join("dump.rdb")).expect("a copy");
        let mut other = Server::start(&copy.0, &[]).expect("it is installed");
        assert_eq!(other.line(&["DEBUG", "DIGEST"]), server.line(&["DEBUG", "DIGEST"]), "{policy}");
        assert_eq!(engine.command(&["FCALL", "f", "0"]), Ok(Reply::Integer(1)));
    }
}

#[test]
fn a_log_that_is_written_here_is_read_here_and_there() {
    let directory = Directory::new("files-log");
    let engine = directory.engine();
    fill(&engine);
    for number in 1..=2 {
        engine.command(&["BGREWRITEAOF"]).expect("it begins");
        wait_for(&engine, "aof_rewrite_in_progress");
        assert_eq!(info(&engine, "aof_last_bgrewrite_status"), "ok");
        let manifest =
            fs::read_to_string(directory.0.join("appendonlydir/appendonly.aof.manifest"));
        let expected = format!("file appendonly.aof.{number}.base.rdb seq {number} type b\n");
        assert_eq!(manifest.expect("a manifest"), expected);
    }
    let before = digest(&engine);
    engine.command(&["FLUSHALL"]).expect("it is emptied");
    engine.command(&["DEBUG", "LOADAOF"]).expect("it is read");
    assert_eq!(digest(&engine), before);
    let Some(mut server) = Server::start(&directory.0, &["--appendonly", "yes"]) else { return };
    assert_eq!(Some(server.line(&["DEBUG", "DIGEST"])), digest_of_commands());
}

#[test]
fn damage_is_told_and_changes_nothing() {
    let directory = Directory::new("files-damage");
    let engine = directory.engine();
    for command in ["SET a 1", "RPUSH b 1 2 3", "HSET c d e", "ZADD f 1 g", "XADD s 1-1 a b"] {
        engine.command(&command.split(' ').collect::<Vec<_>>()).expect("it is done");
    }
    engine.command(&["SAVE"]).expect("it is saved");
    let path = directory.0.join("dump.rdb");
    let whole = fs::read(&path).expect("it is there");
    engine.command(&["SET", "later", "1"]).expect("it is done");
    let before = digest(&engine);
    let fails = |bytes: &[u8], what: String| {
        fs::write(&path, bytes).expect("it is written");
        let error = engine.load().expect_err(&what).to_string();
        assert!(error.starts_with("ERR Error trying to load the RDB dump: "), "{what}: {error}");
        let reload = engine.command(&["DEBUG", "RELOAD", "NOSAVE"]);
        assert_eq!(reload.expect_err(&what).to_string(), error);
        assert_eq!(digest(&engine), before, "{what}");
    };
    for len in 0..whole.len() {
        fails(&whole[..len], format!("{len} bytes"));
    }
    for at in 0..whole.len() - 8 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fails(&bytes, format!("byte {at} is another"));
    }
    fails(b"REDIS0011\xff\0\0\0\0\0\0\0\0", "a version that is not known".to_owned());
    fails(b"REDIS0010\xfe\x10\xff\0\0\0\0\0\0\0\0", "a database that is not there".to_owned());
    let twice = b"REDIS0010\xfe\x00\x00\x01a\x01b\x00\x01a\x01c\xff\0\0\0\0\0\0\0\0";
    fails(twice, "a key that is there twice".to_owned());
    let library = b"REDIS0010\xf5\x03abc\xff\0\0\0\0\0\0\0\0";
    fails(library, "a library that is none".to_owned());
    let module = b"REDIS0010\xfe\x00\x07\x01a\x81\0\0\0\0\0\0\0\0\x00\xff\0\0\0\0\0\0\0\0";
    fails(module, "a module's value".to_owned());
}

#[test]
fn older_files_are_read() {
    let directory = Directory::new("files-old");
    let engine = directory.engine();
    // Seconds as 32 bits, no sum, and what a module has written beside the keys.
    let old = b"REDIS0003\xfe\x00\xfd\xff\xff\xff\x7f\x00\x01a\x01b\xfd\x01\x00\x00\x00\x00\x01c\x01d\xff";
    fs::write(directory.0.join("dump.rdb"), old).expect("it is written");
    assert_eq!(engine.load(), Ok(Some(1)));
    assert_eq!(engine.command(&["EXPIRETIME", "a"]), Ok(Reply::Integer(2_147_483_647)));
    assert_eq!(info(&engine, "rdb_last_load_keys_expired"), "1");
    let module = b"REDIS0010\xf7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x01\x02\x05\x05\x01x\x03\0\0\0\0\x00\xfe\x00\x00\x01a\x01z\xff\0\0\0\0\0\0\0\0";
    fs::write(directory.0.join("dump.rdb"), module).expect("it is written");
    assert_eq!(engine.load(), Ok(Some(1)));
    assert_eq!(engine.command(&["GET", "a"]), Ok(Reply::Bulk(b"z".to_vec())));
}

#[test]
fn reload_keeps_what_it_is_told_to_keep() {
    let directory = Directory::new("files-reload");
    let engine = directory.engine();
    let run = |command: &str| engine.command(&command.split(' ').collect::<Vec<_>>());
    let error = |command: &str| run(command).expect_err(command).to_string();
    run("SET a 1").expect("it is done");
    run("DEBUG RELOAD").expect("it is done");
    run("SET a 2").expect("it is done");
    run("SET b 2").expect("it is done");
    assert!(error("DEBUG RELOAD NOSAVE NOFLUSH").ends_with("the key 'a' is there twice"));
    run("DEBUG RELOAD NOSAVE NOFLUSH MERGE").expect("it is done");
    let both = ["1", "2"].map(|text| Reply::Bulk(text.into())).to_vec();
    assert_eq!(run("MGET a b"), Ok(Reply::Array(both)));
    run("DEBUG RELOAD NOSAVE").expect("it is done");
    assert_eq!(run("EXISTS b"), Ok(Reply::Integer(0)));
    assert!(error("DEBUG RELOAD NOW").contains("only supports the MERGE, NOFLUSH and NOSAVE"));
}

#[test]
fn what_is_saved_in_the_background_is_told() {
    let directory = Directory::new("files-background");
    let engine = directory.engine();
    let run = |command: &str| engine.command(&command.split(' ').collect::<Vec<_>>());
    run("SET a 1").expect("it is done");
    assert_eq!(info(&engine, "rdb_changes_since_last_save"), "1");
    run("CONFIG SET rdb-key-save-delay 100000000").expect("it is set");
    run("BGSAVE").expect("it begins");
    assert_eq!(info(&engine, "rdb_bgsave_in_progress"), "1");
    for command in ["BGSAVE", "BGSAVE SCHEDULE", "SAVE"] {
        let error = run(command).expect_err(command).to_string();
        assert_eq!(error, "ERR Background save already in progress");
    }
    let scheduled = "Background append only file rewriting scheduled".to_owned();
    assert_eq!(run("BGREWRITEAOF"), Ok(Reply::Status(scheduled)));
    assert_eq!(run("BGSAVE NOW").expect_err("a word").to_string(), "ERR syntax error");
    // The engine's end is that of what it writes, which leaves nothing.
    drop(engine);
    assert_eq!(directory.names(), [""; 0]);
    let engine = directory.engine();
    engine.command(&["SET", "a", "1"]).expect("it is done");
    engine.command(&["BGSAVE"]).expect("it begins");
    wait_for(&engine, "rdb_bgsave_in_progress");
    assert_eq!(info(&engine, "rdb_last_bgsave_status"), "ok");
    assert_eq!(info(&engine, "rdb_changes_since_last_save"), "0");
    assert_eq!(directory.names(), ["dump.rdb"]);
}

#[test]
fn what_cannot_be_written_is_told() {
    let directory = Directory::new("files-gone");
    let engine = directory.engine();
    fs::remove_dir_all(&directory.0).expect("it goes");
    let error = engine.command(&["SAVE"]).expect_err("there is no directory").to_string();
    assert!(error.starts_with("ERR cannot save: "), "{error}");
    engine.command(&["BGSAVE"]).expect("it begins");
    wait_for(&engine, "rdb_bgsave_in_progress");
    assert_eq!(info(&engine, "rdb_last_bgsave_status"), "err");
    assert_eq!(engine.load(), Ok(None));
}

#[test]
fn without_a_directory_no_file_is_touched() {
    let mut options = Options::default();
    options.config.push(("enable-debug-command".to_owned(), "yes".to_owned()));
    let engine = Engine::open(&options).expect("an engine opens");
    fill(&engine);
    let before = digest(&engine);
    for command in ["SAVE", "BGSAVE", "BGREWRITEAOF", "DEBUG LOADAOF", "DEBUG RELOAD NOSAVE"] {
        let error = engine.command(&command.split(' ').collect::<Vec<_>>()).expect_err(command);
        let text = "ERR nothing is saved: this engine keeps its data in memory only";
        assert_eq!(error, Error::reply(text), "{command}");
    }
    assert!(engine.load().is_err());
    engine.save_at_end().expect("there is nothing to be done");
    engine.command(&["DEBUG", "RELOAD"]).expect("it is done in memory");
    assert_eq!(digest(&engine), before);
}

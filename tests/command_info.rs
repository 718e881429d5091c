//! What COMMAND tells, beside what a real redis-server tells: of every command there is here, and
//! of the keys in calls that try each way of finding them.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod real_server;

use moonkv::{CommandInfo, Engine, Error, Options, Reply};
use real_server::{Directory, Running, connected, request};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// The version whose answers are ours.
const VERSION: &str = "redis_version:7.0.15";

/// A running redis-server and a connection to it; both gone with the value.
struct Server {
    _running: Running,
    _folder: Directory,
    stream: BufReader<UnixStream>,
}

impl Server {
    /// Starts a server; none, said aloud, if it is not installed or of another version.
    fn start(test: &str) -> Option<Server> {
        let folder = Directory::new(test);
        let socket = folder.0.join("redis.sock");
        let path = socket.to_str().expect("a plain name");
        let running = Running::start(&folder.0, &["--port", "0", "--unixsocket", path])?;
        let stream = BufReader::new(connected(|| UnixStream::connect(&socket)));
        let mut server = Server { _running: running, _folder: folder, stream };
        let info = server.call(&["INFO", "server"]);
        if !info.as_str().is_some_and(|info| info.contains(VERSION)) {
            println!("{test}: SKIPPED, redis-server is not {VERSION}");
            return None;
        }
        Some(server)
    }

    fn call(&mut self, argv: &[&str]) -> Reply {
        self.stream.get_mut().write_all(&request(argv)).expect("the server reads");
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        let (kind, text) = line.trim_end().split_at(1);
        let number = || text.parse::<i64>().expect("a number");
        match kind {
            "+" => Reply::Status(text.to_owned()),
            "-" => Reply::Error(text.to_owned()),
            ":" => Reply::Integer(number()),
            "$" | "*" if number() < 0 => Reply::Null,
            "$" => {
                let mut bytes = vec![0; usize::try_from(number()).expect("a length") + 2];
                self.stream.read_exact(&mut bytes).expect("all of it");
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..number()).map(|_| self.reply()).collect()),
            _ => panic!("no reply of RESP2: {line}"),
        }
    }
}

fn engine() -> Engine {
    Engine::open(&Options::redis()).expect("an engine opens")
}

/// The commands that Redis has too.
fn redis_commands() -> Vec<CommandInfo> {
    let commands = moonkv::commands().into_iter();
    commands.filter(|command| command.group != "moonkv").collect()
}

/// Our reply, an error of the whole being a reply like any other.
fn ours(engine: &Engine, argv: &[&str]) -> Reply {
    match engine.command(argv) {
        Ok(reply) => reply,
        Err(Error::Reply { message, .. }) => Reply::Error(message),
        Err(error) => panic!("{argv:?}: {error}"),
    }
}

/// What each part of an answer of COMMAND INFO says, but for the last, the subcommands.
const PARTS: [&str; 9] = [
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "categories",
    "tips",
    "key specifications",
];

/// The parts of the only element of an answer, without the notes on keys, which are prose.
fn parts(reply: &Reply) -> Vec<Reply> {
    let [Reply::Array(parts)] = reply.as_array().unwrap_or_default() else {
        panic!("one command was asked for, not {reply:?}");
    };
    assert_eq!(parts.len(), PARTS.len() + 1);
    let mut parts = parts[..PARTS.len()].to_vec();
    if let Some(Reply::Array(specs)) = parts.last_mut() {
        specs.iter_mut().for_each(drop_notes);
    }
    parts
}

fn drop_notes(spec: &mut Reply) {
    if let Reply::Array(facts) = spec
        && facts.first().is_some_and(|name| name.as_str() == Some("notes"))
    {
        facts.drain(..2);
    }
}

#[test]
fn every_command_is_told_of_as_redis_does() {
    let Some(mut redis) = Server::start("command-info") else { return };
    let (engine, mut different) = (engine(), Vec::new());
    for command in redis_commands() {
        let argv = ["COMMAND", "INFO", command.name];
        let (theirs, mine) = (parts(&redis.call(&argv)), parts(&ours(&engine, &argv)));
        for (part, (theirs, mine)) in PARTS.iter().zip(theirs.iter().zip(&mine)) {
            if theirs != mine {
                let name = command.name;
                different.push(format!("{name}: {part}\n  Redis's {theirs:?}\n  ours    {mine:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

/// Calls, with words that are no command at the end of some.
const CALLS: [&str; 40] = [
    "GET k",
    "get k x",
    "set k v",
    "SET k v ex 1 get",
    "SET get v",
    "MSET a 1 b 2",
    "MSET a 1 b",
    "DEL a b c",
    "RENAME a b",
    "RENAME a",
    "LMOVE a b LEFT LEFT",
    "OBJECT ENCODING k",
    "object Encoding k",
    "OBJECT NOSUCH k",
    "OBJECT k",
    "OBJECT HELP",
    "PING a",
    "PING a b c",
    "NOSUCH a",
    "SCRIPT LOAD x",
    "COMMAND GETKEYS GET a",
    "EVAL x 0",
    "EVAL x 0 a",
    "EVAL x 2 a b c",
    "EVAL x 02 a b c",
    "EVAL x 3 a b",
    "EVAL x -1 a",
    "EVAL x y a",
    "EVAL x 1.5 a",
    "EVALSHA_RO x 1 a",
    "ZADD z 1 a",
    "GEORADIUS k 1 1 1 m",
    "GEORADIUS k 1 1 1 m STORE d",
    "GEORADIUS k 1 1 1 m storedist d",
    "GEORADIUS k 1 1 1 m STORE d STOREDIST e",
    "GEORADIUS k 1 1 1 m COUNT STORE STORE",
    "GEORADIUS k STORE d 1 m STORE",
    "GEORADIUSBYMEMBER k m 1 m STORE d",
    "GEOSEARCHSTORE d k FROMMEMBER m BYRADIUS 1 m",
    "GEOSEARCH k FROMMEMBER m BYRADIUS 1 m",
];

/// Calls of commands that may not be there.
const CALLS_OF_MORE: [&str; 30] = [
    "BITFIELD k GET u8 0",
    "BITFIELD k GET u8 0 SET u8 0 1",
    "BITFIELD k OVERFLOW SAT GET u8 0",
    "BITOP AND d a b",
    "BITOP NOT d",
    "BLMPOP 0 2 a b LEFT",
    "BLPOP a b 0",
    "COPY a b",
    "LCS a b LEN",
    "LMPOP 2 a b LEFT",
    "LMPOP 3 a b LEFT",
    "MEMORY USAGE k",
    "PFMERGE d a b",
    "SINTERCARD 2 a b",
    "SINTERSTORE d a b",
    "SORT a BY x STORE d",
    "SORT a GET STORE",
    "SORT a STORE d STORE e",
    "SORT a LIMIT STORE d STORE e",
    "SORT_RO a BY x",
    "SPUBLISH channel text",
    "SSUBSCRIBE a b",
    "WATCH a b",
    "XREAD COUNT 1 STREAMS a b 0 0",
    "XREAD STREAMS a b 0",
    "XREADGROUP GROUP g c STREAMS a >",
    "ZUNION 0 a",
    "ZUNION 3 a b",
    "ZUNIONSTORE d 2 a b",
    "ZUNIONSTORE d x a b",
];

#[test]
fn keys_are_found_as_redis_finds_them() {
    let Some(mut redis) = Server::start("command-getkeys") else { return };
    let engine = engine();
    let names: Vec<&str> = moonkv::commands().iter().map(|command| command.name).collect();
    let name = |call: &str| call.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    let more = CALLS_OF_MORE.iter().filter(|call| names.contains(&name(call).as_str()));
    let mut different = Vec::new();
    for call in CALLS.iter().chain(more) {
        for finder in ["GETKEYS", "GETKEYSANDFLAGS"] {
            let argv: Vec<&str> = ["COMMAND", finder].into_iter().chain(call.split(' ')).collect();
            let (theirs, mine) = (redis.call(&argv), ours(&engine, &argv));
            if theirs != mine {
                different.push(format!("{argv:?}\n  Redis's {theirs:?}\n  ours    {mine:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

/// The names in an answer, in order, those left out that are not here.
fn names_of(reply: &Reply, here: &[&str]) -> Vec<String> {
    let names = reply.as_array().expect("an array").iter().map(|name| name.as_str());
    let names = names.map(|name| name.expect("a name").to_owned());
    let mut names: Vec<String> = names.filter(|name| here.contains(&name.as_str())).collect();
    names.sort();
    names
}

#[test]
fn lists_hold_what_redis_lists() {
    let Some(mut redis) = Server::start("command-list") else { return };
    let (engine, commands) = (engine(), redis_commands());
    let here: Vec<&str> = commands.iter().map(|command| command.name).collect();
    for rest in [
        "",
        " FILTERBY ACLCAT hash",
        " filterby aclcat DANGEROUS",
        " FILTERBY ACLCAT nosuch",
        " FILTERBY PATTERN Sc*",
        " FILTERBY PATTERN object|*",
        " FILTERBY MODULE none",
    ] {
        let call = format!("COMMAND LIST{rest}");
        let argv: Vec<&str> = call.split(' ').collect();
        let theirs = names_of(&redis.call(&argv), &here);
        assert_eq!(names_of(&ours(&engine, &argv), &here), theirs, "{call}");
    }
    for rest in ["x", "FILTERBY ACLCAT", "FILTERBY ACLCAT a b", "FILTERBY FOO bar"] {
        let call = format!("COMMAND LIST {rest}");
        let argv: Vec<&str> = call.split(' ').collect();
        assert_eq!(ours(&engine, &argv), redis.call(&argv), "{call}");
    }
}

#[test]
fn all_commands_are_counted_told_of_and_explained() {
    let engine = engine();
    let top = moonkv::commands().iter().filter(|command| !command.name.contains('|')).count();
    let len = |argv: &[&str]| ours(&engine, argv).as_array().map_or(0, <[Reply]>::len);
    assert_eq!(ours(&engine, &["COMMAND", "COUNT"]).as_integer(), i64::try_from(top).ok());
    assert_eq!(len(&["COMMAND"]), top);
    assert_eq!(len(&["COMMAND", "INFO"]), top);
    // Names and explanations in turn, and no place for names that do not exist.
    assert_eq!(len(&["COMMAND", "DOCS"]), 2 * top);
    assert_eq!(len(&["COMMAND", "DOCS", "Get", "nosuch", "script|load"]), 4);
    let docs = ours(&engine, &["COMMAND", "DOCS", "script"]);
    let facts = docs.as_array().and_then(|docs| docs[1].as_array()).expect("an explanation");
    let names: Vec<_> =
        facts.iter().step_by(2).map(|name| name.as_str().expect("a name")).collect();
    assert_eq!(names, ["summary", "since", "group", "complexity", "subcommands"]);
    assert_eq!(ours(&engine, &["COMMAND", "INFO", "nosuch"]), Reply::Array(vec![Reply::Null]));
    assert!(len(&["COMMAND", "HELP"]) > 10);
}

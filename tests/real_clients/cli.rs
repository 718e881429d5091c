//! redis-cli: whatever it prints for Redis, it prints for moonkv.

use super::Server;
use super::peer::Peer;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// Runs redis-cli at a socket.
fn cli(socket: &Path, words: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("redis-cli")
        .arg("-s")
        .arg(socket)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-server comes with redis-cli");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // It may end without having read all.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// moonkv and redis-server, and the socket of each.
struct Both {
    sockets: [PathBuf; 2],
    _server: Server,
    _peer: Peer,
}

impl Both {
    fn start(name: &str) -> Option<Both> {
        let Some(peer) = Peer::start() else {
            println!("SKIPPED: redis-server is not installed here");
            return None;
        };
        let server = Server::start(name);
        let address = peer.connection().peer_addr().expect("it is connected");
        let path = address.as_pathname().expect("it has a name").to_owned();
        Some(Both { sockets: [server.path(), path], _server: server, _peer: peer })
    }

    /// What redis-cli prints for each, and its exit code.
    fn print(&self, words: &[&str], input: &[u8]) -> [(String, Option<i32>); 2] {
        [0, 1].map(|i| {
            let output = cli(&self.sockets[i], words, input);
            let text = [output.stdout, output.stderr].concat();
            (String::from_utf8_lossy(&text).into_owned(), output.status.code())
        })
    }

    fn check(&self, words: &[&str], input: &[u8]) {
        let [ours, redis] = self.print(words, input);
        assert_eq!(ours, redis, "{words:?}");
    }
}

/// Lines typed as if at its prompt; each command's output is compared as a whole.
const TYPED: &str = include_str!("typed.txt");

#[test]
fn what_is_typed_is_answered_alike() {
    let Some(both) = Both::start("typed") else { return };
    for form in ["--raw", "--no-raw", "--csv", "--json", "--quoted-json"] {
        for protocol in ["-2", "-3"] {
            both.check(&["FLUSHALL"], b"");
            both.check(&[form, protocol], TYPED.as_bytes());
        }
    }
}

#[test]
fn its_options_work() {
    let Some(both) = Both::start("options") else { return };
    let script = std::env::temp_dir().join(format!("kv-cli-{}.lua", std::process::id()));
    let lua = "#!lua flags=no-writes\n-- two keys\nreturn {KEYS, ARGV, redis.call('GET', KEYS[1])}";
    std::fs::write(&script, lua).expect("there is room");
    let file = script.to_str().expect("its name is text");
    for (words, input) in [
        (&["-x", "SET", "stdin"][..], "from\nstandard input\0"),
        (&["-X", "tag", "SET", "tagged", "tag", "EX", "100"], "value"),
        (&["GET", "stdin"], ""),
        (&["-r", "5", "INCR", "n"], ""),
        (&["-r", "3", "-i", "0.01", "-D", "|", "INCR", "n"], ""),
        (&["-d", ", ", "MGET", "stdin", "n"], ""),
        (&["-n", "3", "SET", "x", "y"], ""),
        (&["-n", "3", "DBSIZE"], ""),
        (&["-n", "99", "DBSIZE"], ""),
        (&["-e", "INCR", "stdin"], ""),
        (&["INCR", "stdin"], ""),
        (&["--quoted-input", "SET", r#""a\x00b""#, r#""c\xff""#], ""),
        (&["--quoted-input", "--no-raw", "GET", r#""a\x00b""#], ""),
        (&["--eval", file, "stdin", "k2", ",", "a1", "a2", "a3"], ""),
        (&["--no-raw", "--eval", file, "stdin", ",", "a1"], ""),
        (&["-3", "--json", "--eval", file, "stdin"], ""),
        (&["--eval", file], ""),
        (&["ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@read", "+@connection"], ""),
        (&["--user", "ann", "--pass", "pw", "--no-auth-warning", "GET", "stdin"], ""),
        (&["--user", "ann", "--pass", "pw", "--no-auth-warning", "DEL", "stdin"], ""),
        (&["--user", "ann", "--pass", "no", "--no-auth-warning", "GET", "stdin"], ""),
        (&["-a", "pw", "GET", "stdin"], ""),
        (&["-3", "--no-raw", "HELLO", "4"], ""),
    ] {
        both.check(words, input.as_bytes());
    }
    let _ = std::fs::remove_file(script);
}

/// Commands that make many keys, as raw requests; some of them fail.
fn requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |words: &[&str]| bytes.extend(peer_encode(words));
    for i in 0..2000 {
        let (key, value) = (format!("string:{i}"), "v".repeat(i % 97));
        add(&["SET", &key, &value]);
        add(&["RPUSH", &format!("list:{}", i % 31), &value]);
        add(&["SADD", &format!("set:{}", i % 13), &i.to_string()]);
        add(&["ZADD", &format!("zset:{}", i % 7), &i.to_string(), &key]);
        add(&["HSET", &format!("hash:{}", i % 5), &key, &value]);
        add(&["XADD", "stream", &format!("{}-1", i + 1), "n", &value]);
        if i % 100 == 0 {
            add(&["INCR", "list:0"]);
        }
    }
    bytes
}

fn peer_encode(words: &[&str]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    super::peer::encode(&words)
}

#[test]
fn it_fills_and_searches_the_keys() {
    let Some(both) = Both::start("pipe") else { return };
    let [ours, redis] = both.print(&["--pipe"], &requests());
    let last =
        |text: &str| text.lines().find(|line| line.starts_with("errors:")).map(str::to_owned);
    assert_eq!((last(&ours.0), ours.1), (last(&redis.0), redis.1));
    assert_eq!(last(&ours.0).as_deref(), Some("errors: 20, replies: 12020"));
    both.check(&["DBSIZE"], b"");

    for words in [
        &["--scan"][..],
        &["--scan", "--pattern", "*:1?"],
        &["--scan", "--count", "7", "--pattern", "z*"],
    ] {
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let [ours, redis] = both.print(words, b"").map(|(text, _)| sorted(&text));
        assert!(!ours.is_empty() && ours == redis, "{words:?}: {ours:?}");
    }

    // Which of several that are equally big is found first is up to the order of the keys.
    let counted = |text: &str| -> Vec<String> {
        let summary = text.split_once("-------- summary -------").map_or("", |(_, rest)| rest);
        let counts = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        summary.lines().filter(counts).map(str::to_owned).collect()
    };
    let [ours, redis] = both.print(&["--bigkeys"], b"").map(|(text, _)| counted(&text));
    assert_eq!(ours.len(), 6, "{ours:?}");
    assert_eq!(ours, redis);
    let [(ours, code), _] = both.print(&["--memkeys", "--memkeys-samples", "0"], b"");
    assert!(code == Some(0) && ours.contains("\"stream\"' has"), "{ours}");
    both.check(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"], b"");
    both.check(&["SET", "hot", "x"], b"");
    both.check(&["-r", "300", "GET", "hot"], b"");
    let [(ours, code), _] = both.print(&["--hotkeys"], b"");
    assert!(code == Some(0) && ours.contains("keyname: \"hot\""), "{ours}");
}

/// A redis-cli that listens until it is let go.
struct Listening {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Listening {
    fn start(socket: &Path, words: &[&str]) -> Listening {
        let mut child = Command::new("redis-cli")
            .arg("-s")
            .arg(socket)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server comes with redis-cli");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for"));
        Listening { child, lines }
    }

    fn lines(&mut self, count: usize) -> Vec<String> {
        let mut line = || {
            let mut line = String::new();
            self.lines.read_line(&mut line).expect("it prints");
            line.trim_end().to_owned()
        };
        (0..count).map(|_| line()).collect()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_watches_what_others_do() {
    let Some(both) = Both::start("monitor") else { return };
    let [ours, redis] = [0, 1].map(|i| {
        let socket = &both.sockets[i];
        let mut monitor = Listening::start(socket, &["MONITOR"]);
        assert_eq!(monitor.lines(1), ["OK"]);
        for words in [
            &["SET", "a \"b\"\n", "\u{e9}\0".trim_end_matches('\0')][..],
            &["-n", "3", "EVAL", "return redis.call('INCR', KEYS[1])", "1", "n"],
            &["NOSUCH", "x"],
            &["GET"],
            &["AUTH", "secret"],
            &["CONFIG", "GET", "maxmemory"],
            &["PING"],
        ] {
            cli(socket, words, b"");
        }
        // When and from where is each one's own; so are the first words of a connection.
        let mut seen = Vec::new();
        while seen.last().is_none_or(|line: &String| !line.contains("PING")) {
            let line = monitor.lines(1).remove(0);
            let (head, words) = line.split_once("] ").expect("a line of MONITOR's");
            let database = head.split_once('[').and_then(|(_, rest)| rest.split_once(' '));
            let (database, from) = database.expect("a database, and who");
            let own = if from == "lua" { "lua" } else { "unix" };
            assert!(from == "lua" || from.starts_with("unix:"), "{line}");
            seen.push(format!("{database} {own} {words}"));
        }
        seen
    });
    assert_eq!(ours, redis);
}

#[test]
fn it_listens_to_channels() {
    let Some(both) = Both::start("subscribe") else { return };
    for form in [&["--no-raw"][..], &["--raw"], &["-3", "--no-raw"], &["--csv"]] {
        let [ours, redis] = [0, 1].map(|i| {
            let socket = &both.sockets[i];
            let words = [form, &["SUBSCRIBE", "news", "weather"]].concat();
            let mut listens = Listening::start(socket, &words);
            let asked = ["PUBSUB", "NUMSUB", "weather"];
            while cli(socket, &asked, b"").stdout != b"weather\n1\n" {}
            cli(socket, &["PUBLISH", "news", "one"], b"");
            cli(socket, &["PUBLISH", "weather", "rain \"cold\""], b"");
            let mut printed = Vec::new();
            while printed.last().is_none_or(|line: &String| !line.contains("rain")) {
                printed.extend(listens.lines(1));
            }
            printed
        });
        assert_eq!(ours, redis, "{form:?}");
    }
}

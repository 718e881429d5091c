//! The program `moonkv` as it is used: `serve` in place of redis-server, `shell` and `eval` in place
//! of redis-cli, and beside them.

#![cfg(all(feature = "cli", unix))]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "../benches/peer/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod peer;

use peer::Peer;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Runs a program with something on its standard input; what it prints, and its exit code.
fn run(program: &str, words: &[&str], input: &str) -> (String, Option<i32>) {
    let mut child = Command::new(program)
        .args(words)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // It may end without having read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.code())
}

fn moonkv(words: &[&str], input: &str) -> (String, Option<i32>) {
    run(env!("CARGO_BIN_EXE_moonkv"), words, input)
}

/// What redis-cli prints at a socket.
fn cli(socket: &Path, words: &[&str], input: &str) -> String {
    let socket = socket.to_str().expect("its name is text");
    run("redis-cli", &[&["-s", socket], words].concat(), input).0
}

/// A redis-server and the path of its socket; none, aloud, where it is not installed.
fn redis() -> Option<(Peer, PathBuf)> {
    let Some(peer) = Peer::start() else {
        println!("SKIPPED: redis-server is not installed here");
        return None;
    };
    let address = peer.connection().peer_addr().expect("it is connected");
    let path = address.as_pathname().expect("it has a name").to_owned();
    Some((peer, path))
}

/// A folder of a test's own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("kv-program-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("there is room");
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A `moonkv serve` that is ready.
struct Served {
    child: Child,
    _lines: BufReader<ChildStdout>,
}

impl Served {
    fn start(words: &[&str]) -> Served {
        let mut child = Command::new(env!("CARGO_BIN_EXE_moonkv"))
            .arg("serve")
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        while !line.starts_with("Ready") {
            line.clear();
            let len = lines.read_line(&mut line).expect("it prints");
            assert_ne!(len, 0, "it ended: {words:?}");
        }
        Served { child, _lines: lines }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("it is a child")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Scripts that show each kind of reply, and errors.
const SCRIPTS: [&str; 8] = [
    "return {1, {2, 'x', {}}, false, true, redis.status_reply('FINE')}",
    "return {KEYS, ARGV}",
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])",
    "return 'a \"quoted\"\\n line'",
    "return redis.error_reply('OWN error')",
    "return redis.call('INCR', KEYS[1], 1)",
    "return nil",
    "return {",
];

#[test]
fn eval_prints_what_redis_cli_prints() {
    let Some((_peer, socket)) = redis() else { return };
    let folder = Folder::new("eval");
    let file = folder.file("script.lua");
    let served = folder.file("served.sock");
    let _served = Served::start(&["--port", "0", "--unixsocket", &served]);
    for script in SCRIPTS {
        fs::write(&file, script).expect("there is room");
        for form in ["--raw", "--no-raw"] {
            let words = ["key", ",", "arg 1", "-2"];
            let expected = cli(&socket, &[&[form, "--eval", &file], &words[..]].concat(), "");
            let remote = socket.to_str().expect("its name is text");
            for target in [&[][..], &["--connect", &served], &["--connect", remote]] {
                let all = [&["eval", form], target, &[&*file], &words].concat();
                let (printed, code) = moonkv(&all, "");
                assert_eq!(printed, expected, "{script} {form} {target:?}");
                let is_error = script.contains("error") || script.contains("INCR");
                assert_eq!(code, Some(i32::from(is_error || script.ends_with('{'))), "{script}");
            }
        }
        let from_input = moonkv(&["eval", "--raw", "-", "key", ",", "arg 1", "-2"], script).0;
        let from_file = moonkv(&["eval", &file, "key", ",", "arg 1", "-2"], "").0;
        assert_eq!(from_input, from_file, "{script}");
    }
    let (printed, code) = moonkv(&["eval", "--connect", "/nonexistent/s", &file], "");
    assert!(code == Some(1) && printed.starts_with("moonkv: /nonexistent/s: "), "{printed}");
}

#[test]
fn the_shell_answers_as_redis_cli() {
    let Some((_peer, socket)) = redis() else { return };
    let typed = include_str!("real_clients/typed.txt");
    let expected = cli(&socket, &["--raw"], typed);
    assert!(expected.lines().count() > 100, "{expected}");
    assert_eq!(moonkv(&["shell"], typed), (expected.clone(), Some(0)));
    let folder = Folder::new("shell");
    let served = folder.file("served.sock");
    let _served = Served::start(&["--port", "0", "--unixsocket", &served]);
    assert_eq!(moonkv(&["shell", "--connect", &served], typed), (expected, Some(0)));
    assert_eq!(moonkv(&["shell"], "exit\nPING\n"), (String::new(), Some(0)));
    assert_eq!(
        moonkv(&["shell"], "get \"a\nPING"),
        ("Invalid argument(s)\nPONG\n".into(), Some(0))
    );
}

#[test]
fn the_shell_shows_the_messages_of_a_server() {
    let folder = Folder::new("messages");
    let socket = folder.file("served.sock");
    let mut served = Served::start(&["--port", "0", "--unixsocket", &socket]);
    let mut shell = Command::new(env!("CARGO_BIN_EXE_moonkv"))
        .args(["shell", "--connect", &socket])
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was built");
    let mut keyboard = shell.stdin.take().expect("it was asked for");
    keyboard.write_all(b"subscribe news weather\n").expect("it reads");
    let lines = BufReader::new(shell.stdout.take().expect("it was asked for")).lines();
    let mut lines = lines.map(|line| line.expect("it prints text"));
    let mut next = |count| lines.by_ref().take(count).collect::<Vec<_>>().join(" ");
    assert_eq!(next(6), "subscribe news 1 subscribe weather 2");
    for (channel, text) in [("news", "first"), ("weather", "rain")] {
        moonkv(
            &["eval", "--connect", &socket, "-"],
            &format!("redis.call('publish', '{channel}', '{text}')"),
        );
        assert_eq!(next(3), format!("message {channel} {text}"));
    }
    served.signal("-TERM");
    served.end();
    assert_eq!(next(1), "", "that is all");
    assert_eq!(shell.wait().expect("it is a child").code(), Some(1), "the server is gone");
}

#[test]
fn the_shell_is_for_people_at_a_terminal() {
    let shell = format!("{} shell", env!("CARGO_BIN_EXE_moonkv"));
    let at_terminal = ["-qec", &shell, "/dev/null"];
    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: script is not installed here");
        return;
    }
    let mut child = Command::new("script")
        .args(at_terminal)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut keyboard = child.stdin.take().expect("it was asked for");
    let mut screen = child.stdout.take().expect("it was asked for");
    // What is typed before the prompt is there may be lost.
    for (shown, typed) in [
        ("moonkv> ", "rpush list a b\r"),
        ("(integer) 2", ""),
        ("moonkv> ", "lrange list 0 -1\r"),
        ("1) \"a\"", ""),
        ("2) \"b\"", ""),
        ("moonkv> ", "get list\r"),
        ("(error) WRONGTYPE ", ""),
        ("moonkv> ", "exit\r"),
    ] {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(shown) {
            let mut byte = [0];
            screen.read_exact(&mut byte).expect("there is more to come");
            seen.push(byte[0]);
        }
        keyboard.write_all(typed.as_bytes()).expect("it reads");
    }
    let _ = std::io::copy(&mut screen, &mut std::io::sink());
    assert!(child.wait().is_ok_and(|status| status.success()));
}

#[test]
fn serve_reads_the_files_of_a_redis_server() {
    let folder = Folder::new("config");
    let (main, more, socket) = (folder.file("main.conf"), folder.file("more"), folder.file("s"));
    let text = format!(
        "# a comment\n\nport 0\n  Maxmemory 10mb\nrequirepass \"pass word\"\ninclude {more}\n\
         maxmemory-policy allkeys-lru\nsave \"\"\nunixsocketperm 700\n"
    );
    fs::write(&main, text).expect("there is room");
    fs::write(&more, "databases 4\nmaxmemory 20mb\nhash-max-listpack-entries 7\n").expect("room");
    let words = [&*main, "--unixsocket", &socket, "--maxmemory-samples", "9"];
    let _served = Served::start(&words);
    let redis = folder.file("redis");
    let other = [&*main, "--unixsocket", &redis, "--maxmemory-samples", "9"];
    let mut theirs = Command::new("redis-server");
    theirs.args(other).current_dir(&folder.0).stdout(Stdio::null());
    let Ok(mut child) = theirs.spawn() else {
        println!("SKIPPED: redis-server is not installed here");
        return;
    };
    while UnixStream::connect(&redis).is_err() {
        assert!(child.try_wait().is_ok_and(|ended| ended.is_none()), "redis-server ended");
    }
    let login = ["-a", "pass word", "--no-auth-warning"];
    for asked in [
        &["CONFIG", "GET", "maxmemory*"][..],
        &["CONFIG", "GET", "*-listpack-entries"],
        &["CONFIG", "GET", "databases"],
        &["CONFIG", "GET", "requirepass"],
        &["CONFIG", "GET", "unixsocketperm"],
        &["SELECT", "4"],
    ] {
        let [ours, redis] =
            [&socket, &redis].map(|path| cli(Path::new(path), &[&login, asked].concat(), ""));
        // The order of parameters means nothing.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours), sorted(&redis), "{asked:?}");
    }
    assert!(cli(Path::new(&socket), &["PING"], "").starts_with("NOAUTH "));
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn serve_says_what_is_wrong_and_ends() {
    let folder = Folder::new("wrong");
    let (own, other) = (folder.file("own.conf"), folder.file("other.conf"));
    fs::write(&own, format!("include {other}\n")).expect("there is room");
    fs::write(&other, format!("include {own}\n")).expect("there is room");
    for (words, part) in [
        (&["--port", "99999"][..], "bad value of port: '99999'"),
        (&["--port"], "port"),
        (&["--nosuch", "1"], "nosuch"),
        (&["--maxmemory", "x"], "argument must be a memory value"),
        (&["--databases", "0"], "databases must be"),
        (&["/nonexistent.conf"], "/nonexistent.conf: "),
        (&["--port", "0"], "neither a port nor a Unix socket"),
        (&["--port", "0", "--unixsocket", "/nonexistent/s"], "/nonexistent/s: "),
        (&["--bind", "0.0.0.0"], "set a password"),
        (&[&*own], "files include one another"),
    ] {
        let (printed, code) = moonkv(&[&["serve"], words].concat(), "");
        assert_eq!(code, Some(1), "{words:?}: {printed}");
        assert!(printed.starts_with("moonkv serve: ") && printed.contains(part), "{printed}");
    }
}

#[test]
fn signals_and_shutdown_end_it_well() {
    let folder = Folder::new("end");
    let socket = folder.file("s");
    let path = Path::new(&socket);
    for how in ["-TERM", "-INT", "SHUTDOWN", "SHUTDOWN NOSAVE", "shutdown now force"] {
        let mut served = Served::start(&["--port", "0", "--unixsocket", &socket]);
        let mut idle = UnixStream::connect(&socket).expect("it listens");
        idle.write_all(b"PING\r\n").expect("it reads");
        idle.read_exact(&mut [0; 7]).expect("it answers");
        assert_eq!(cli(path, &["SHUTDOWN", "ABORT"], ""), "ERR No shutdown in progress.\n\n");
        match how.starts_with('-') {
            true => served.signal(how),
            false => drop(cli(path, &how.split(' ').collect::<Vec<_>>(), "")),
        }
        assert_eq!(served.end().code(), Some(0), "{how}");
        assert_eq!(idle.read(&mut [0; 1]).ok(), Some(0), "{how}: it was disconnected");
        assert!(!path.exists(), "{how}: the socket is gone");
    }
}

/// A server whose script runs without end, and the connection that waits for it.
fn busy(socket: &str) -> (Served, UnixStream) {
    let served =
        Served::start(&["--port", "0", "--unixsocket", socket, "--busy-reply-threshold", "20"]);
    let mut runs = UnixStream::connect(socket).expect("it listens");
    let endless = "EVAL 'redis.call(\"SET\", \"k\", 1) while true do end' 0\r\n";
    runs.write_all(endless.as_bytes()).expect("it reads");
    let refused = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or \
                   SHUTDOWN NOSAVE.\n\n";
    for asked in ["EXISTS", "SHUTDOWN"] {
        let words = [asked, "k"];
        let words = if asked == "EXISTS" { &words[..] } else { &words[..1] };
        assert_eq!(cli(Path::new(socket), words, ""), refused, "{asked}");
    }
    let unkillable = cli(Path::new(socket), &["SCRIPT", "KILL"], "");
    assert!(unkillable.starts_with("UNKILLABLE "), "{unkillable}");
    (served, runs)
}

#[test]
fn a_script_without_end_does_not_keep_it_from_ending() {
    let folder = Folder::new("busy");
    let socket = folder.file("s");
    let (mut served, _runs) = busy(&socket);
    cli(Path::new(&socket), &["SHUTDOWN", "NOSAVE"], "");
    assert_eq!(served.end().code(), Some(0));
    // One signal may leave the script some time; whoever insists does not wait for it. Either way
    // it is the program that ends, not the system that ends it.
    for signal in ["-TERM", "-INT"] {
        let (mut served, _runs) = busy(&socket);
        while served.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            served.signal(signal);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(matches!(served.end().code(), Some(0 | 1)), "{signal}");
    }
}

//! Both sides by raw sockets: clients that call, and one that is sent the feed.

use moonkv::{Engine, ListenOptions, Listener, Options};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The longest anybody waits for an answer before a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command as it was sent, or a reply that is an array.
pub type Words = Vec<String>;

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A line, with its letter.
    Line(String),
    Bulk(Option<Vec<u8>>),
    Array(Vec<Received>),
}

/// Bytes as text that can be told apart: those that are no UTF-8 as Latin-1.
fn text(bytes: &[u8]) -> String {
    let latin = || bytes.iter().map(|&byte| char::from(byte)).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned)
}

impl Received {
    /// What it says, in one line.
    pub fn text(&self) -> String {
        match self {
            Received::Line(line) => line.clone(),
            Received::Bulk(bulk) => bulk.as_deref().map_or_else(|| "(nil)".to_owned(), text),
            Received::Array(items) => {
                format!("[{}]", items.iter().map(Received::text).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn words(&self) -> Words {
        match self {
            Received::Array(items) => items.iter().map(Received::text).collect(),
            other => vec![other.text()],
        }
    }
}

/// A connection.
pub struct Wire {
    socket: UnixStream,
    received: Vec<u8>,
}

impl Wire {
    pub fn connect(path: &Path) -> Wire {
        let socket = UnixStream::connect(path).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Wire { socket, received: Vec::new() }
    }

    pub fn send(&mut self, words: &[impl AsRef<[u8]>]) {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.socket.write_all(&request).expect("the other side reads");
    }

    pub fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Received {
        self.send(words);
        self.receive()
    }

    fn fill(&mut self) {
        let mut buffer = [0; 1 << 14];
        let len = self.socket.read(&mut buffer).expect("the other side writes");
        assert!(len > 0, "closed after {:?}", text(&self.received));
        self.received.extend_from_slice(&buffer[..len]);
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return text(&line[..end]);
            }
            self.fill();
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.fill();
        }
        self.received.drain(..count).collect()
    }

    pub fn receive(&mut self) -> Received {
        let line = self.line();
        let count =
            |line: &str| line[1..].parse::<i64>().ok().and_then(|n| usize::try_from(n).ok());
        match line.as_bytes().first() {
            Some(b'$') => Received::Bulk(count(&line).map(|len| {
                let bytes = self.take(len);
                self.take(2);
                bytes
            })),
            Some(b'*') => {
                Received::Array((0..count(&line).unwrap_or(0)).map(|_| self.receive()).collect())
            }
            _ => Received::Line(line),
        }
    }

    /// Whether the other side has closed, once it has said all.
    pub fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 1 << 14];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => (),
                Err(_) => return false,
            }
        }
    }
}

/// Who is sent the feed.
pub struct Follower(Wire);

impl Follower {
    /// Becomes a replica, and takes the snapshot.
    pub fn begin(path: &Path) -> Follower {
        let mut wire = Wire::connect(path);
        wire.socket.write_all(b"SYNC\r\n").expect("the other side reads");
        // Empty lines say that the snapshot is still being made.
        let head = loop {
            let line = wire.line();
            if let Some(at) = line.find('$') {
                break line[at + 1..].to_owned();
            }
        };
        match head.strip_prefix("EOF:") {
            Some(mark) => {
                let mark = mark.as_bytes().to_vec();
                while !wire.received.ends_with(&mark) {
                    wire.fill();
                }
                wire.received.clear();
            }
            None => drop(wire.take(head.parse().expect("a length"))),
        }
        Follower(wire)
    }

    /// The next command, signs of life left out.
    pub fn next(&mut self) -> Words {
        loop {
            let words = self.0.receive().words();
            if !matches!(words[0].to_ascii_uppercase().as_str(), "PING" | "REPLCONF") {
                return words;
            }
        }
    }

    /// All commands up to one.
    pub fn until(&mut self, last: &[&str]) -> Vec<Words> {
        std::iter::from_fn(|| Some(self.next()).filter(|words| words != last)).collect()
    }

    pub fn wire(&mut self) -> &mut Wire {
        &mut self.0
    }
}

/// A path for this process alone; short, as those of sockets must be.
pub fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("kvr-{}-{count}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// An engine with a listener.
pub struct Ours {
    pub engine: Engine,
    pub listener: Listener,
    pub path: PathBuf,
}

impl Ours {
    pub fn open(change: impl FnOnce(&mut Options)) -> Ours {
        let mut options = Options::redis();
        options.config.push(("enable-debug-command".into(), "yes".into()));
        change(&mut options);
        let engine = Engine::open(&options).expect("the options make sense");
        let mut listening = ListenOptions::default();
        let path = scratch("ours");
        listening.unix = Some(path.clone());
        let listener = engine.listen(&listening).expect("there is a free port");
        Ours { engine, listener, path }
    }

    pub fn client(&self) -> Wire {
        Wire::connect(&self.path)
    }
}

/// A redis-server in a folder of its own, as one that follows writes down what it was sent and
/// another would begin with that; gone with the value.
pub struct Theirs {
    child: Child,
    folder: PathBuf,
    pub path: PathBuf,
}

impl Theirs {
    /// Starts one; none, aloud, where there is none of the right version.
    pub fn start() -> Option<Theirs> {
        let folder = scratch("redis");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("the folder is new");
        let path = folder.join("s");
        let options = ["--port", "0", "--save", "", "--enable-debug-command", "yes"];
        let spawned = Command::new("redis-server")
            .args(options)
            .args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"])
            .arg("--unixsocket")
            .arg(&path)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            println!("SKIPPED: redis-server is not installed");
            return None;
        };
        let server = Theirs { child, folder, path };
        while UnixStream::connect(&server.path).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !server.client().ask(&["INFO", "server"]).text().contains("redis_version:7.0.") {
            println!("SKIPPED: redis-server is not 7.0");
            return None;
        }
        Some(server)
    }

    pub fn client(&self) -> Wire {
        Wire::connect(&self.path)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

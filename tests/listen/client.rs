//! A client that sends and receives bytes, and the real server beside which ours is put.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The longest anybody waits for an answer before a test is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A socket of either kind.
pub(crate) trait Socket: Read + Write {
    fn end(&self);
}

impl Socket for TcpStream {
    fn end(&self) {
        self.shutdown(Shutdown::Write).expect("the socket is open");
    }
}

impl Socket for UnixStream {
    fn end(&self) {
        // It may have been closed from the other side.
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// A raw client.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) socket: S,
    received: Vec<u8>,
}

impl Client<TcpStream> {
    pub(crate) fn tcp(port: u16) -> Client<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        socket.set_nodelay(true).expect("a socket has options");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Client { socket, received: Vec::new() }
    }
}

impl Client<UnixStream> {
    pub(crate) fn unix(path: &Path) -> Client<UnixStream> {
        let socket = UnixStream::connect(path).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Client { socket, received: Vec::new() }
    }
}

impl<S: Socket> Client<S> {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).expect("the other side reads");
    }

    /// Sends words as an array and returns the reply, as bytes.
    pub(crate) fn ask(&mut self, words: &[&str]) -> String {
        self.send(request(words));
        self.reply()
    }

    /// The next reply, its bytes as text.
    pub(crate) fn reply(&mut self) -> String {
        let bytes = self.reply_bytes();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn reply_bytes(&mut self) -> Vec<u8> {
        loop {
            if let Some(len) = reply_len(&self.received) {
                return self.received.drain(..len).collect();
            }
            assert!(self.receive(), "closed within a reply: {:?}", self.text());
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Receives some bytes; false once there are no more.
    fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                self.received.extend_from_slice(&buffer[..len]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, after {:?}", self.text()),
        }
    }

    /// Everything that comes until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    pub(crate) fn rest_text(&mut self) -> String {
        String::from_utf8_lossy(&self.rest()).into_owned()
    }

    /// Sends no more, and receives everything.
    pub(crate) fn end(&mut self) -> String {
        self.socket.end();
        self.rest_text()
    }
}

/// Words as an array of bulk strings.
pub(crate) fn request(words: &[&str]) -> Vec<u8> {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let bulks: String = words.iter().map(bulk).collect();
    format!("*{}\r\n{bulks}", words.len()).into_bytes()
}

/// A text as a bulk string.
pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The length of the reply at the front, if it is complete.
fn reply_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut pending) = (0, 1_usize);
    while pending > 0 {
        pending -= 1;
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|pair| pair == b"\r\n")?;
        let head = std::str::from_utf8(&line[1..end]).ok();
        let number = head.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0).max(0) as usize;
        let is_nil = head == Some("-1");
        at += end + 2;
        match line[0] {
            b'$' | b'=' if !is_nil => at += number + 2,
            b'*' | b'~' | b'>' => pending += number,
            b'%' => pending += 2 * number,
            _ => (),
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// A redis-server of the reference's version in a folder of its own; gone with the value.
pub(crate) struct RedisServer {
    child: Child,
    folder: PathBuf,
    pub(crate) path: PathBuf,
}

impl RedisServer {
    /// Starts one; none, aloud, where there is none.
    pub(crate) fn start(test: &str) -> Option<RedisServer> {
        let folder = scratch(&format!("{test}-redis"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("the folder is new");
        let path = folder.join("s");
        let spawned = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&path)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            println!("{test}: SKIPPED, redis-server is not installed");
            return None;
        };
        let server = RedisServer { child, folder, path };
        while UnixStream::connect(&server.path).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !Client::unix(&server.path).ask(&["INFO", "server"]).contains("redis_version:7.0.") {
            println!("{test}: SKIPPED, redis-server is not 7.0");
            return None;
        }
        Some(server)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A path for this process alone; short, as those of sockets must be.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("kv-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

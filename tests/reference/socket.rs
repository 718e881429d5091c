//! The same cases by way of a socket: a connection to a listener in place of a session.

use super::{Caller, FLUSHES, Known, check, open};
use moonkv::{Engine, ListenOptions, Listener, Protocol};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// A connection that speaks one protocol.
struct Connection {
    socket: Mutex<(UnixStream, Vec<u8>)>,
}

impl Connection {
    fn open(path: &Path, protocol: Protocol) -> Connection {
        let socket = UnixStream::connect(path).expect("it listens");
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).expect("a socket has timeouts");
        let connection = Connection { socket: Mutex::new((socket, Vec::new())) };
        if protocol == Protocol::Resp3 {
            let hello = connection.ask(Protocol::Resp3, &[b"HELLO", b"3"]);
            assert!(hello.starts_with(b"%"), "{}", String::from_utf8_lossy(&hello));
        }
        connection
    }
}

impl Caller for Connection {
    fn ask(&self, _: Protocol, words: &[&[u8]]) -> Vec<u8> {
        let mut socket = self.socket.lock().expect("nobody panicked");
        let (socket, received) = &mut *socket;
        socket.write_all(&request(words)).expect("the listener reads");
        loop {
            if let Some(len) = reply_len(received) {
                return received.drain(..len).collect();
            }
            let mut chunk = [0; 64 << 10];
            let len = socket.read(&mut chunk).expect("the listener answers");
            assert_ne!(len, 0, "closed within a reply: {}", String::from_utf8_lossy(received));
            received.extend_from_slice(&chunk[..len]);
        }
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The length of the reply at the front, once it is there as a whole.
fn reply_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut pending) = (0, 1_usize);
    while pending > 0 {
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|pair| pair == b"\r\n")?;
        let number = std::str::from_utf8(&line[1..end]).ok().and_then(|text| text.parse().ok());
        let count = number.map(|number: i64| usize::try_from(number).unwrap_or(0));
        at += end + 2;
        pending -= 1;
        match (line[0], count) {
            (b'$' | b'=', Some(count)) if number != Some(-1) => at += count + 2,
            (b'*' | b'~' | b'>', Some(count)) => pending += count,
            (b'%', Some(count)) => pending += 2 * count,
            (b'|', Some(count)) => pending += 2 * count + 1,
            _ => (),
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// An engine and where it listens; the file goes with the listener.
struct Server {
    path: PathBuf,
    _listener: Listener,
    _engine: Engine,
}

impl Server {
    fn start() -> Server {
        let path = std::env::temp_dir().join(format!("kv-reference-{}.sock", std::process::id()));
        let engine = open(Protocol::Resp2);
        let mut options = ListenOptions::default();
        (options.port, options.unix) = (None, Some(path.clone()));
        let listener = engine.listen(&options).expect("the path is free");
        Server { path, _listener: listener, _engine: engine }
    }
}

#[test]
fn recorded_answers_hold_at_a_socket() {
    let known = Known::new();
    let server = Server::start();
    check(&known, |protocol| {
        let connection = Connection::open(&server.path, protocol);
        for words in FLUSHES {
            connection.ask(protocol, &words.map(str::as_bytes));
        }
        Box::new(connection)
    });
}

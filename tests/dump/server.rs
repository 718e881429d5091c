//! A real redis-server for a test, and what is asked of it.

#[path = "../../benches/peer/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod peer;

use peer::{Peer, encode};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// A running server and a connection to it.
pub struct Server {
    stream: BufReader<UnixStream>,
    /// The server ends with it.
    _peer: Peer,
}

impl Server {
    /// Starts a server; none if the program is not installed.
    pub fn start() -> Option<Server> {
        let options = ["--enable-debug-command", "yes", "--sanitize-dump-payload", "yes"];
        let peer = Peer::start_with(&options)?;
        Some(Server { stream: BufReader::new(peer.connection()), _peer: peer })
    }

    /// Runs a command; its reply's first line.
    pub fn line(&mut self, argv: &[&[u8]]) -> String {
        let request = encode(argv);
        self.stream.get_mut().write_all(&request).expect("the server reads");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        assert!(!line.starts_with('-'), "redis-server: {line}");
        line.trim_end().to_owned()
    }

    /// What tells the content of a key from any other.
    pub fn digest(&mut self, key: &[u8]) -> String {
        assert_eq!(self.line(&[b"DEBUG", b"DIGEST-VALUE", key]), "*1");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        line
    }

    /// Runs a command that answers OK.
    pub fn ok(&mut self, argv: &[&[u8]]) {
        assert_eq!(self.line(argv), "+OK");
    }

    /// Runs a command that answers with a string.
    pub fn bytes(&mut self, argv: &[&[u8]]) -> Vec<u8> {
        let line = self.line(argv);
        let len = line.strip_prefix('$').and_then(|len| len.parse::<usize>().ok());
        let mut bytes = vec![0; len.expect("a string") + 2];
        self.stream.read_exact(&mut bytes).expect("the server answers");
        bytes.truncate(bytes.len() - 2);
        bytes
    }
}

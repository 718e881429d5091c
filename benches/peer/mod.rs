//! A real redis-server to measure beside: started on a Unix socket in a folder of its own, and
//! gone with the value.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A running redis-server and a connection to it.
pub struct Peer {
    child: Child,
    folder: PathBuf,
    stream: UnixStream,
    reply: Vec<u8>,
}

impl Peer {
    /// Starts a server; none if the program is not installed.
    pub fn start() -> Option<Peer> {
        Peer::start_with(&[])
    }

    /// Starts a server with further options.
    pub fn start_with(options: &[&str]) -> Option<Peer> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("moonkv-peer-{process}-{count}"));
        std::fs::create_dir_all(&folder).ok()?;
        let socket = folder.join("redis.sock");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", ""])
            .args(options)
            .arg("--unixsocket")
            .arg(&socket)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = UnixStream::connect(&socket) {
                return Some(Peer { child, folder, stream, reply: vec![0; 1 << 16] });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("redis-server is installed but does not answer");
    }

    /// Sends one command and waits for its reply, whose first line is returned.
    pub fn command(&mut self, argv: &[&[u8]]) -> String {
        let request = encode(argv);
        self.round_trip(&request)
    }

    /// Sends bytes that are one command and waits for the reply, which must be short.
    pub fn round_trip(&mut self, request: &[u8]) -> String {
        self.stream.write_all(request).expect("the server reads");
        let mut len = 0;
        while !self.reply[..len].ends_with(b"\r\n") {
            len += self.stream.read(&mut self.reply[len..]).expect("the server answers");
        }
        let text = String::from_utf8_lossy(&self.reply[..len]);
        assert!(!text.starts_with('-'), "redis-server: {text}");
        text.into_owned()
    }

    /// The connection itself, for those who do the talking themselves.
    pub fn connection(&self) -> UnixStream {
        self.stream.try_clone().expect("a socket can be cloned")
    }

    /// Sends many commands at once and reads their one-line replies.
    pub fn pipeline(&mut self, requests: &[u8], mut replies: usize) {
        let mut reader = self.connection();
        let counting = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while replies > 0 {
                let len = reader.read(&mut buffer).expect("the server answers");
                replies -= buffer[..len].iter().filter(|&&b| b == b'\n').count().min(replies);
            }
        });
        self.stream.write_all(requests).expect("the server reads");
        counting.join().expect("the reader ends");
    }

    /// Resident memory of the server, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.child.id())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A command as a client sends it.
pub fn encode(argv: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", argv.len()).into_bytes();
    for arg in argv {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Memory that a process has for its data, in bytes; that of its program does not count.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

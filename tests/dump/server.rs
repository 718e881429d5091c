//! A real redis-server for a test: on a Unix socket in a folder of its own, gone with the value.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server and a connection to it.
pub struct Server {
    child: Child,
    folder: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Server {
    /// Starts a server; none if the program is not installed.
    pub fn start() -> Option<Server> {
        let folder = std::env::temp_dir().join(format!("moonkv-dump-{}", std::process::id()));
        std::fs::create_dir_all(&folder).ok()?;
        let socket = folder.join("redis.sock");
        let fixed = ["--port", "0", "--save", "", "--enable-debug-command", "yes"];
        let strict = ["--sanitize-dump-payload", "yes", "--unixsocket"];
        let mut child = Command::new("redis-server")
            .args(fixed.iter().chain(&strict))
            .arg(&socket)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = UnixStream::connect(&socket) {
                return Some(Server { child, folder, stream: BufReader::new(stream) });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("redis-server is installed but does not answer");
    }

    /// Runs a command; its reply's first line.
    pub fn line(&mut self, argv: &[&[u8]]) -> String {
        let mut request = format!("*{}\r\n", argv.len()).into_bytes();
        for word in argv {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
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

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

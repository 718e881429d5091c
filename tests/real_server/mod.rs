//! A real redis-server to compare with, and a directory for it to work in.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A directory that goes with the value.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(test: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("moonkv-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory of our own");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs; it ends with the value.
pub struct Running(Child);

impl Running {
    /// None, said aloud, if the program is not installed.
    pub fn start(directory: &Path, options: &[&str]) -> Option<Running> {
        let spawned = Command::new("redis-server")
            .args(["--save", ""])
            .args(options)
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if spawned.is_err() {
            println!("SKIPPED, redis-server is not installed");
        }
        spawned.ok().map(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries to connect until that works.
pub fn connected<S, E>(connect: impl Fn() -> Result<S, E>) -> S {
    let attempt = |_| {
        std::thread::sleep(Duration::from_millis(20));
        connect().ok()
    };
    (0..500).find_map(attempt).expect("redis-server listens")
}

/// A call as it is sent.
pub fn request(argv: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", argv.len());
    argv.iter().for_each(|arg| request += &format!("${}\r\n{arg}\r\n", arg.len()));
    request.into_bytes()
}

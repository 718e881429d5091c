//! Clients that others wrote at work on a listener: Redis's own tools, and the libraries that
//! programs talk to Redis by. Each library has a program beside this file that uses it as its users
//! do and ends well only if all answers were right. What cannot be had on this machine is skipped,
//! aloud.
//!
//! A program can be tried on its own, on moonkv or on Redis: `python redis_py.py 6379`.

#![cfg(all(feature = "listen", unix))]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod cli;
mod packages;
#[path = "../../benches/peer/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod peer;
mod tools;

use moonkv::{Engine, ListenOptions, Listener, Options};
use std::path::PathBuf;
use std::process::Command;

/// An engine behind sockets.
struct Server {
    listener: Listener,
    _engine: Engine,
}

impl Server {
    /// With settings as `moonkv serve` has them, on a free port and a Unix socket.
    fn start(name: &str) -> Server {
        let engine = Engine::open(&Options::server()).expect("an engine opens");
        let mut options = ListenOptions::default();
        let file = format!("kv-clients-{}-{name}.sock", std::process::id());
        options.unix = Some(std::env::temp_dir().join(file));
        let listener = engine.listen(&options).expect("there is a free port");
        Server { listener, _engine: engine }
    }

    fn port(&self) -> String {
        self.listener.port().expect("it listens on TCP").to_string()
    }

    fn path(&self) -> PathBuf {
        self.listener.unix().expect("it listens on a Unix socket").to_owned()
    }
}

/// Runs a program at a server's port; it tells by its exit code whether all is well.
fn run(mut program: Command, server: &Server) {
    let output = program.arg(server.port()).output().expect("the program is there");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

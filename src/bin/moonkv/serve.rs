//! `moonkv serve`: an engine behind a socket, in place of a Redis server.

use crate::config::Directives;
use moonkv::{Engine, ListenOptions, Options};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::Signals;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often it looks whether it is to end.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs an engine that listens for Redis clients, with Redis's own settings.
///
/// Options are a Redis server's: `--port 6400`, `--unixsocket PATH`, `--bind ADDRESS`,
/// `--requirepass WORD`, `--maxmemory 100mb`, and a file of such directives in front of them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// [FILE] [--NAME VALUE...]...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    directives: Vec<String>,
}

impl Arguments {
    pub(crate) fn run(&self) -> ExitCode {
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("moonkv serve: {message}");
                ExitCode::FAILURE
            }
        }
    }

    fn serve(&self) -> Result<(), String> {
        let (mut options, listen) = Directives::parse(&self.directives)?.settle()?;
        let directory = options.directory.take().unwrap_or_else(|| ".".into());
        let found = directory.canonicalize();
        options.directory =
            Some(found.map_err(|error| format!("{}: {error}", directory.display()))?);
        if options.config.iter().any(|(name, value)| name == "appendonly" && value == "yes") {
            eprintln!(
                "moonkv serve: appendonly: changes are not logged; SAVE and `save` write all data"
            );
        }
        // Before anything listens, so that no signal is missed.
        let ending = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            register_conditional_shutdown(signal, 1, Arc::clone(&ending)).map_err(text)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(text)?;
        let master =
            options.config.iter().find(|(name, _)| name == "replicaof" || name == "slaveof");
        let master = master.map(|(_, master)| master.clone()).filter(|master| !master.is_empty());
        let engine = Engine::open(&options).map_err(text)?;
        // And before the first client may run a script without end.
        engine.await_shutdown().map_err(text)?;
        if let Some(keys) = engine.load().map_err(text)? {
            println!("moonkv {} has read {keys} keys", env!("CARGO_PKG_VERSION"));
        }
        let listener = engine.listen(&listen).map_err(text)?;
        for address in listener.addresses() {
            println!("moonkv {} listens on {address}", env!("CARGO_PKG_VERSION"));
        }
        if let Some(path) = listener.unix() {
            println!("moonkv {} listens on {}", env!("CARGO_PKG_VERSION"), path.display());
        }
        if let Some(master) = &master {
            let words: Vec<&str> = master.split(' ').collect();
            let [host, port] = *words else {
                return Err(format!("bad value of replicaof: '{master}'"));
            };
            engine.command(&["REPLICAOF", host, port]).map_err(text)?;
        }
        println!("Ready to accept connections");
        let asked = |signals: &mut Signals| {
            signals.pending().next().is_some() || engine.shutdown_asked() != Ok(false)
        };
        while !asked(&mut signals) && !listener.is_over() {
            thread::sleep(PAUSE);
        }
        // A script gets the time that clients are given; whoever asks again does not wait for it.
        ending.store(true, Ordering::SeqCst);
        listener.close();
        match engine.shutdown_asked() {
            // SHUTDOWN has saved what is to be saved.
            Ok(true) => Ok(()),
            _ => engine.save_at_end().map_err(text),
        }
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// What a Redis server does where nobody says otherwise.
pub(crate) fn as_redis() -> (Options, ListenOptions) {
    let mut options = Options::server();
    (options.script_timeout, options.script_memory) = (None, None);
    let mut listen = ListenOptions::default();
    listen.port = Some(6379);
    (options, listen)
}

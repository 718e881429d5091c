//! What an engine knows of itself as a server: its parameters, what it has counted and measured,
//! and what it was asked to do. The commands that tell of it and change it are in `command/`.
//!
//! Nothing here is measured unless somebody asks for it: an engine that is not, reads no clock for
//! it. Counting a call is one increment.

mod histogram;
mod latency;
mod slowlog;
mod stats;
mod system;

pub(crate) use histogram::Histogram;
pub(crate) use latency::{Events, Latency, Sample};
pub(crate) use slowlog::SlowLog;
#[cfg(test)]
pub(crate) use stats::ROOM;
pub(crate) use stats::Stats;
pub(crate) use system::{hex_digits, system_name, usage};

use crate::acl::{Entry, Users};
use crate::clock::unix_us;
use crate::config::Config;
use crate::error::CommandError;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What an engine knows of itself.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) stats: Stats,
    pub(crate) slowlog: SlowLog,
    pub(crate) latency: Latency,
    /// What is measured, as the parameters say.
    pub(crate) measures: Measures,
    /// The arguments of the call under way that are not to be shown anywhere.
    pub(crate) secret: SmallVec<[usize; 4]>,
    /// What SHUTDOWN asked for.
    pub(crate) shutdown: Shutdown,
    /// Counts how often parameters were changed, for doors that act on some of them.
    pub(crate) changes: Arc<AtomicU64>,
    /// When the engine was opened.
    pub(crate) opened: Instant,
    /// A name of its own for this run of the engine, 40 hexadecimal digits.
    pub(crate) run_id: String,
    pub(crate) debug: Debug,
    pub(crate) users: Users,
    pub(crate) clients: Clients,
    /// The most memory that was seen to be used.
    pub(crate) peak_memory: usize,
    /// When the engine was opened, in seconds since 1970.
    pub(crate) opened_at: i64,
}

/// How many there are who call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clients {
    /// Sessions that are open.
    pub(crate) open: usize,
    /// Sessions there ever were.
    pub(crate) opened: u64,
    /// Calls that wait for a key.
    pub(crate) waiting: usize,
}

/// The parameter that is the password of the user `default`.
const PASSWORD: &str = "requirepass";

/// What is measured.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measures {
    /// Whether calls are timed at all.
    pub(crate) timed: bool,
    /// Whether their times are kept for `LATENCY HISTOGRAM`.
    pub(crate) tracked: bool,
    /// From how many microseconds on a call is slow; negative: none is.
    pub(crate) slow_us: i64,
    /// From how many milliseconds on a latency is an event; none with 0.
    pub(crate) event_ms: i64,
    /// The longest argument.
    pub(crate) argument_most: usize,
}

/// How it stands with ending the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// The program is the host's, which nobody may end from here.
    #[default]
    Refused,
    /// The program looks now and then whether it is asked to end.
    Awaited,
    /// It is.
    Asked,
}

/// What DEBUG has changed.
#[derive(Clone, Copy)]
pub(crate) struct Debug {
    /// Whether keys that are past their deadline go without being asked for.
    pub(crate) expires: bool,
    /// Whether nothing is done between calls.
    pub(crate) rests: bool,
    /// Whether scripts may run what they otherwise may not.
    pub(crate) scripts_run_all: bool,
}

impl Debug {
    /// Whether keys past their deadline stay until they are asked for.
    pub(crate) fn expires_not(self) -> bool {
        !self.expires || self.rests
    }
}

impl Server {
    /// What a new engine knows.
    pub(crate) fn new(config: Config) -> Server {
        let mut server = Server {
            config,
            stats: Stats::new(),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            measures: Measures::default(),
            secret: SmallVec::new(),
            shutdown: Shutdown::Refused,
            changes: Arc::default(),
            opened: Instant::now(),
            run_id: system::hex_digits(40),
            debug: Debug { expires: true, rests: false, scripts_run_all: false },
            users: Users::default(),
            clients: Clients::default(),
            peak_memory: 0,
            opened_at: unix_us() / 1_000_000,
        };
        server.obey();
        let password = server.config.text(PASSWORD).to_vec();
        if !password.is_empty() {
            server.users.set_password(&password);
        }
        server
    }

    /// Gives parameters other values, and acts on them.
    pub(crate) fn configure<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), CommandError> {
        let before = self.config.text(PASSWORD).to_vec();
        self.config.set(pairs)?;
        self.obey();
        let password = self.config.text(PASSWORD);
        if *password != *before {
            self.users.set_password(password);
        }
        Ok(())
    }

    /// Acts on what the parameters say.
    fn obey(&mut self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let config = &self.config;
        let tracked = config.flag("latency-tracking");
        let slow_us = config.number("slowlog-log-slower-than");
        let event_ms = config.number("latency-monitor-threshold");
        let argument_most = config.count("proto-max-bulk-len");
        let timed = tracked || slow_us >= 0 || event_ms > 0;
        self.measures = Measures { timed, tracked, slow_us, event_ms, argument_most };
        self.slowlog.keep(config.count("slowlog-max-len"));
    }

    /// Notes how long a call took, and keeps it if that was long.
    pub(crate) fn note_time(&mut self, call: Timed<'_>, took: Duration, now_ms: i64) {
        let us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.stats.timed(call.number, took, self.measures.tracked);
        let Measures { slow_us, event_ms, .. } = self.measures;
        if (0..=us).contains(&slow_us) && !call.is_never_slow {
            self.slowlog.add(call.argv, &self.secret, us, now_ms, call.client);
        }
        if (1..=us / 1000).contains(&event_ms) {
            let event = if call.is_fast { "fast-command" } else { "command" };
            self.latency.add(event, us / 1000, now_ms / 1000);
        }
    }

    /// Notes that something was denied.
    pub(crate) fn note_denial(&mut self, entry: Entry) {
        self.users.log.add(entry, self.config.count("acllog-max-len"));
    }

    /// Says that an argument of the call under way, the command's name being 0, is secret.
    pub(crate) fn hide(&mut self, argument: usize) {
        if self.measures.timed {
            self.secret.push(argument);
        }
    }
}

/// A call whose time was taken.
pub(crate) struct Timed<'a> {
    /// The number of its command.
    pub(crate) number: usize,
    pub(crate) argv: &'a [&'a [u8]],
    /// The address and the name of who called.
    pub(crate) client: (&'a [u8], &'a [u8]),
    /// Whether the command says that it is fast.
    pub(crate) is_fast: bool,
    /// Whether it is not noted as slow, as what it runs is.
    pub(crate) is_never_slow: bool,
}

/// Takes the time of a call.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

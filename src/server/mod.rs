//! What an engine knows of itself as a server: its parameters, what it has counted and measured,
//! and what it was asked to do. The commands that tell of it and change it are in `command/`.
//!
//! Nothing here is measured unless somebody asks for it: an engine that is not, reads no clock for
//! it. Counting a call is one increment.

mod following;
mod histogram;
mod latency;
mod shutdown;
mod slowlog;
mod stats;
mod system;

pub(crate) use following::{Following, Link, Master};
pub(crate) use histogram::Histogram;
pub(crate) use latency::{Events, Latency, Sample};
pub(crate) use shutdown::Shutdown;
pub(crate) use slowlog::SlowLog;
#[cfg(test)]
pub(crate) use stats::ROOM;
pub(crate) use stats::Stats;
pub(crate) use system::{hex_digits, system_name, usage};

use crate::acl::{Entry, Users};
use crate::config::{Config, MASTER};
use crate::error::CommandError;
use crate::persist::Saving;
use smallvec::SmallVec;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What an engine knows of itself.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) stats: Stats,
    pub(crate) slowlog: SlowLog,
    pub(crate) latency: Latency,
    /// What is measured and refused, as the parameters say.
    pub(crate) measures: Measures,
    /// When the call before was over, if the one under way follows it at once.
    pub(crate) handed_over: Option<Instant>,
    /// The arguments of the call under way that are not to be shown anywhere.
    pub(crate) secret: SmallVec<[usize; 4]>,
    /// What SHUTDOWN asked for.
    pub(crate) shutdown: Arc<Shutdown>,
    /// Counts how often parameters were changed, for doors that act on some of them.
    pub(crate) changes: Arc<AtomicU64>,
    /// When the engine was opened.
    pub(crate) opened: Instant,
    /// A name of its own for this run of the engine, 40 hexadecimal digits.
    pub(crate) run_id: String,
    pub(crate) debug: Debug,
    pub(crate) users: Users,
    pub(crate) clients: Clients,
    /// How many replicas were heard of lately.
    good_replicas: usize,
    /// The most memory that was seen to be used.
    pub(crate) peak_memory: usize,
    /// The server it follows.
    pub(crate) following: Following,
    /// The files it writes.
    pub(crate) saving: Saving,
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

/// What is measured, and what else calls are held to by parameters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measures {
    /// Whether calls are timed at all.
    pub(crate) timed: bool,
    /// Which of those that scripts make are.
    pub(crate) inner: Inner,
    /// Whether their times are kept for `LATENCY HISTOGRAM`.
    pub(crate) tracked: bool,
    /// From how many microseconds on a call is slow; negative: none is.
    pub(crate) slow_us: i64,
    /// From how many milliseconds on a latency is an event; none with 0.
    pub(crate) event_ms: i64,
    /// Whether nothing is to be written because too few replicas follow.
    pub(crate) lacks_replicas: bool,
    /// Whether another server is followed.
    pub(crate) follows: bool,
    /// Whether only that one may write then.
    pub(crate) read_only: bool,
    /// Whether calls have to be looked at for one of these.
    pub(crate) guarded: bool,
    /// The longest argument.
    pub(crate) argument_most: usize,
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

/// Which of the calls that scripts make are timed. Two looks at the clock are as long as many a
/// command takes, so those that take no time to speak of are not, unless that is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inner {
    /// None: nobody wants to know.
    #[default]
    None,
    /// Those of commands that may take long.
    Long,
    /// All.
    All,
}

/// A call that takes less than this many microseconds is noted as slow only by those who want to
/// see every call.
const SLOW_LEAST_US: i64 = 1000;

impl Inner {
    fn of(slow_us: i64, event_ms: i64) -> Inner {
        match slow_us {
            0..SLOW_LEAST_US => Inner::All,
            SLOW_LEAST_US.. => Inner::Long,
            _ if event_ms > 0 => Inner::Long,
            _ => Inner::None,
        }
    }
}

impl Debug {
    /// Whether keys past their deadline stay until they are asked for.
    pub(crate) fn expires_not(self) -> bool {
        !self.expires || self.rests
    }
}

impl Server {
    /// What a new engine knows, which may write files to a directory.
    pub(crate) fn new(config: Config, directory: Option<PathBuf>) -> Server {
        let mut server = Server {
            config,
            stats: Stats::new(),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            measures: Measures::default(),
            handed_over: None,
            secret: SmallVec::new(),
            shutdown: Arc::default(),
            changes: Arc::default(),
            opened: Instant::now(),
            run_id: system::hex_digits(40),
            debug: Debug { expires: true, rests: false, scripts_run_all: false },
            users: Users::default(),
            clients: Clients::default(),
            good_replicas: 0,
            peak_memory: 0,
            following: Following::default(),
            saving: Saving::new(directory),
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
        let inner = Inner::of(slow_us, event_ms);
        self.slowlog.keep(config.count("slowlog-max-len"));
        let lacks_replicas = self.lacks_replicas();
        let follows = self.following.master.is_some();
        let read_only = self.config.flag("replica-read-only");
        let guarded = lacks_replicas || follows;
        self.measures = Measures {
            lacks_replicas,
            follows,
            read_only,
            guarded,
            timed,
            inner,
            tracked,
            slow_us,
            event_ms,
            argument_most,
        };
    }

    /// Whether too few replicas follow for anything to be written.
    fn lacks_replicas(&self) -> bool {
        let needed = self.config.count("min-replicas-to-write");
        self.following.master.is_none()
            && self.config.number("min-replicas-max-lag") > 0
            && self.good_replicas < needed
    }

    /// So many replicas follow and were heard of lately.
    #[inline]
    pub(crate) fn set_good_replicas(&mut self, count: usize) {
        if self.good_replicas != count {
            self.good_replicas = count;
            self.measures.lacks_replicas = self.lacks_replicas();
            self.measures.guarded = self.measures.lacks_replicas || self.measures.follows;
        }
    }

    /// Follows another server from now on, or none.
    pub(crate) fn follow(&mut self, master: Option<(String, u16)>) {
        let told = master.as_ref().map(|(host, port)| format!("{host} {port}"));
        self.config.preset(MASTER, told.unwrap_or_default().as_bytes());
        self.following.turn_to(master);
        self.obey();
    }

    /// Whether what is here may be older than it should: the server that is followed cannot be
    /// heard, and `replica-serve-stale-data` says that this matters.
    pub(crate) fn is_stale(&self) -> bool {
        let is_down = |master: &Master| master.link != Link::Connected;
        self.following.master.as_ref().is_some_and(is_down)
            && !self.config.flag("replica-serve-stale-data")
    }

    /// Whether the server that is followed looks after memory, too.
    pub(crate) fn follower_ignores_memory(&self) -> bool {
        self.config.flag("replica-ignore-maxmemory")
    }

    /// Why a call is refused here, which may write, and may read what is old: too few follow, or
    /// another server is followed.
    pub(crate) fn refusal(&self, writes: bool, reads_stale: bool) -> Option<CommandError> {
        if writes && self.measures.lacks_replicas {
            return Some(CommandError::NoReplicas);
        }
        if !self.measures.follows || self.following.obeys {
            return None;
        }
        if writes && self.measures.read_only {
            return Some(CommandError::ReadOnlyReplica);
        }
        (!reads_stale && self.is_stale()).then_some(CommandError::MasterDown)
    }

    /// Notes how long a call took, and keeps it if that was long.
    pub(crate) fn note_time(&mut self, call: Timed<'_>, took: Duration, now_ms: impl Fn() -> i64) {
        let us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.stats.timed(call.number, took, self.measures.tracked);
        let slow_us = self.measures.slow_us;
        if (0..=us).contains(&slow_us) && !call.is_never_slow {
            self.slowlog.add(call.argv, &self.secret, us, now_ms(), call.client);
        }
        self.note_event(if call.is_fast { "fast-command" } else { "command" }, took, now_ms);
    }

    /// Keeps how long something took that is watched, if that was long.
    pub(crate) fn note_event(
        &mut self,
        event: &'static str,
        took: Duration,
        now_ms: impl Fn() -> i64,
    ) {
        let ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        if (1..=ms).contains(&self.measures.event_ms) {
            self.latency.add(event, ms, now_ms() / 1000);
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
    /// Starts one: now, or when the call before was over. Reading the time is a good part of what a
    /// short call takes, so of calls that follow one another it is read once for each.
    pub(crate) fn start(handed_over: Option<Instant>) -> Stopwatch {
        Stopwatch(handed_over.unwrap_or_else(Instant::now))
    }

    /// The time since, and when that was.
    pub(crate) fn stop(&self) -> (Duration, Instant) {
        let end = Instant::now();
        (end.saturating_duration_since(self.0), end)
    }
}

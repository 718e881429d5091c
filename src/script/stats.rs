//! What became of the runs of each script and function: how many, how many failed, how long they took.
//!
//! Counting costs next to nothing and is always done. Reading the clock twice in each run costs as
//! much as a short script takes, so times are kept only where the host asks for them.

use super::failure::Origin;
use crate::reply::ReplyBuf;
use std::time::Duration;

/// What became of the runs of a script or function; see [`crate::Engine::script_stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptStats {
    /// The script's SHA-1 in hexadecimal digits, or the function's name.
    pub name: String,
    /// The library the function is of; none of a script.
    pub library: Option<String>,
    /// How often it was run.
    pub runs: u64,
    /// How often a run failed.
    pub errors: u64,
    /// The time of all runs; none unless the engine was opened with
    /// [`crate::Options::script_statistics`].
    pub total: Option<Duration>,
    /// The longest run, likewise.
    pub worst: Option<Duration>,
    /// The last run that failed.
    pub last_error: Option<LastError>,
}

/// How a script failed last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The whole text of the error.
    pub message: String,
    /// When it was, by the engine's clock, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The same while it is counted.
#[derive(Clone, Default)]
pub(super) struct Counts {
    runs: u64,
    errors: u64,
    total: Duration,
    worst: Duration,
    last_error: Option<Box<LastError>>,
}

/// One run that is over.
pub(super) struct Outcome {
    /// How long it took; 0 if that was not asked.
    pub(super) nanos: u64,
    pub(super) error: Option<Box<LastError>>,
}

impl Counts {
    #[inline]
    pub(super) fn note(&mut self, outcome: Outcome) {
        self.runs += 1;
        if outcome.nanos > 0 {
            let time = Duration::from_nanos(outcome.nanos);
            self.total += time;
            self.worst = self.worst.max(time);
        }
        if outcome.error.is_some() {
            self.errors += 1;
            self.last_error = outcome.error;
        }
    }

    /// Whether what a run told of the script's own functions is misleading from here on: LuaJIT
    /// ties machine code to the functions it saw, until three were made in one place. A script
    /// makes its local functions in each run, so what was compiled in the first two would lie in
    /// the way of all that follow.
    #[cfg(feature = "luajit")]
    #[inline]
    pub(super) fn settles(&self) -> bool {
        self.runs == 2
    }

    /// What was counted of a script, with times if they were kept.
    pub(super) fn told(&self, origin: Origin<'_>, timed: bool) -> ScriptStats {
        ScriptStats {
            name: origin.name(),
            library: origin.library(),
            runs: self.runs,
            errors: self.errors,
            total: timed.then_some(self.total),
            worst: timed.then_some(self.worst),
            last_error: self.last_error.as_deref().cloned(),
        }
    }
}

/// Writes statistics as an array of maps.
pub(crate) fn write(stats: &[ScriptStats], reply: &mut ReplyBuf) {
    reply.array(stats.len());
    for script in stats {
        reply.map(8);
        reply.bulk(b"name");
        reply.bulk(script.name.as_bytes());
        reply.bulk(b"library");
        reply.bulk_or_null(script.library.as_deref().map(str::as_bytes));
        for (name, count) in [("runs", script.runs), ("errors", script.errors)] {
            reply.bulk(name.as_bytes());
            reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (name, time) in [("total-usec", script.total), ("worst-usec", script.worst)] {
            reply.bulk(name.as_bytes());
            match time {
                Some(time) => reply.integer(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)),
                None => reply.null(),
            }
        }
        let last = script.last_error.as_ref();
        reply.bulk(b"last-error");
        reply.bulk_or_null(last.map(|last| last.message.as_bytes()));
        reply.bulk(b"last-error-ms");
        match last {
            Some(last) => reply.integer(last.at_ms),
            None => reply.null(),
        }
    }
}

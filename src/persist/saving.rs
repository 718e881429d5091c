//! What an engine knows of the files it writes: where they are, when the last one was written and
//! how that went, and what is being written beside it.
//!
//! What is written in the background is written by a thread of its own from a copy of the keys. It
//! leaves how it went, which is looked at when somebody asks; nobody waits for it but the end of the
//! engine, which stops it.

use super::log::Place;
use super::write::{Extra, Purpose, write};
use super::{Whole, files};
use crate::clock::unix_us;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of all data.
    Snapshot,
    /// The beginning of an append-only log.
    Rewrite,
}

/// Why nothing is written in the background now.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something is being written already.
    Busy,
    /// No thread could be started.
    Thread(io::Error),
}

/// What is to be written, and where.
pub(crate) struct Origin {
    pub(crate) whole: Whole,
    pub(crate) unsummed: bool,
    /// How many changes there were by then.
    pub(crate) changes: u64,
    /// How long to wait after each key: for tests of what takes long.
    pub(crate) pause: Duration,
    pub(crate) directory: PathBuf,
    pub(crate) file: String,
    pub(crate) log: Place,
}

impl Origin {
    /// Writes it; ends with an error as soon as it is told to stop.
    fn write(&self, kind: Kind, stop: &AtomicBool) -> io::Result<()> {
        let purpose = match kind {
            Kind::Snapshot => Purpose::Snapshot,
            Kind::Rewrite => Purpose::LogBase,
        };
        let extra = Extra { purpose, unsummed: self.unsummed, stream: None };
        let fill = |give: files::Sink<'_>| {
            write(&self.whole, &extra, self.pause, |bytes| match stop.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => give(bytes),
            })
        };
        match kind {
            Kind::Snapshot => files::replace(&self.directory, &self.file, fill),
            Kind::Rewrite => self.log.rewrite(fill),
        }
    }
}

/// How writing files of one kind went so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Whether the last one was written in the background without an error.
    pub(crate) ok: bool,
    /// How many seconds that took.
    pub(crate) took: Option<u64>,
    /// How many were written.
    pub(crate) count: u64,
}

const UNTRIED: Status = Status { ok: true, took: None, count: 0 };

/// What is being written in the background.
struct Job {
    kind: Kind,
    started: Instant,
    changes: u64,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

/// What an engine knows of its files.
pub(crate) struct Saving {
    /// The directory that the engine was opened with; without one there are no files.
    base: Option<PathBuf>,
    /// When the data was last written, or the engine opened, in seconds since 1970.
    pub(crate) saved_at: i64,
    /// How many changes there were by then.
    pub(crate) changes: u64,
    pub(crate) snapshots: Status,
    pub(crate) rewrites: Status,
    /// Keys of the file that was read last: how many there were, and how many were left out because
    /// their time was up.
    pub(crate) read: (u64, u64),
    /// When a background save last began, as far as one is begun by itself.
    tried: Option<Instant>,
    /// What is to be written when nothing is any more.
    scheduled: Option<Kind>,
    job: Option<Job>,
}

impl Saving {
    /// Nothing was written yet.
    pub(crate) fn new(base: Option<PathBuf>) -> Saving {
        Saving {
            base,
            saved_at: unix_us() / 1_000_000,
            changes: 0,
            snapshots: UNTRIED,
            rewrites: UNTRIED,
            read: (0, 0),
            tried: None,
            scheduled: None,
            job: None,
        }
    }

    /// The directory that a parameter names, if there are files at all.
    pub(crate) fn directory(&self, named: &Path) -> Option<PathBuf> {
        self.base.as_ref().map(|base| base.join(named))
    }

    /// What is being written in the background, and since when.
    pub(crate) fn active(&mut self) -> Option<(Kind, Duration)> {
        self.collect();
        self.job.as_ref().map(|job| (job.kind, job.started.elapsed()))
    }

    /// What is to be written next.
    pub(crate) fn scheduled(&self) -> Option<Kind> {
        self.scheduled
    }

    /// Has something written when nothing else is.
    pub(crate) fn schedule(&mut self, kind: Kind) {
        self.scheduled = Some(kind);
    }

    /// What was scheduled and can be written now.
    pub(crate) fn take_scheduled(&mut self) -> Option<Kind> {
        if self.scheduled.is_none() || self.active().is_some() {
            return None;
        }
        self.scheduled.take()
    }

    /// Writes the beginning of an append-only log now.
    pub(crate) fn rewrite(&mut self, origin: &Origin) -> io::Result<()> {
        origin.write(Kind::Rewrite, &AtomicBool::new(false))
    }

    /// Writes a file of all data now.
    pub(crate) fn save(&mut self, origin: &Origin) -> io::Result<()> {
        origin.write(Kind::Snapshot, &AtomicBool::new(false))?;
        self.note_saved(origin.changes);
        self.snapshots.ok = true;
        Ok(())
    }

    fn note_saved(&mut self, changes: u64) {
        self.saved_at = unix_us() / 1_000_000;
        self.changes = changes;
        self.snapshots.count += 1;
    }

    /// Begins to write something in the background.
    pub(crate) fn begin(&mut self, kind: Kind, origin: Origin) -> Result<(), Refusal> {
        if self.active().is_some() {
            return Err(Refusal::Busy);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (changes, told) = (origin.changes, Arc::clone(&stop));
        let thread = thread::Builder::new().name("moonkv-save".to_owned());
        let thread = thread.spawn(move || origin.write(kind, &told)).map_err(Refusal::Thread)?;
        self.tried = Some(Instant::now());
        self.job = Some(Job { kind, started: Instant::now(), changes, stop, thread });
        Ok(())
    }

    /// Notes how it went with what was written, if that is over.
    pub(crate) fn collect(&mut self) {
        let Some(job) = self.job.take_if(|job| job.thread.is_finished()) else { return };
        // A thread that panicked has written nothing.
        let ok = job.thread.join().is_ok_and(|written| written.is_ok());
        let took = Some(job.started.elapsed().as_secs());
        match job.kind {
            Kind::Snapshot => {
                (self.snapshots.ok, self.snapshots.took) = (ok, took);
                if ok {
                    self.note_saved(job.changes);
                }
            }
            Kind::Rewrite => {
                let count = self.rewrites.count + 1;
                self.rewrites = Status { ok, took, count };
            }
        }
    }

    /// Ends what is being written, which leaves nothing.
    pub(crate) fn stop(&mut self) {
        if let Some(job) = self.job.take() {
            job.stop.store(true, Ordering::Relaxed);
            let _ = job.thread.join();
        }
    }

    /// Whether the data is to be written, after so many changes: one of the pairs of seconds and
    /// changes is fulfilled, and it is not only just that this failed.
    pub(crate) fn is_due(&mut self, points: &[(i64, u64)], changes: u64) -> bool {
        const AGAIN: Duration = Duration::from_secs(5);
        if points.is_empty() || self.active().is_some() {
            return false;
        }
        let passed = unix_us() / 1_000_000 - self.saved_at;
        let is_reached = |(seconds, least): &(i64, u64)| {
            passed > *seconds && changes.saturating_sub(self.changes) >= *least
        };
        let may_try = self.snapshots.ok || self.tried.is_none_or(|tried| tried.elapsed() > AGAIN);
        may_try && points.iter().any(is_reached)
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The bytes of a file; none if there is none.
pub(crate) fn bytes_of(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

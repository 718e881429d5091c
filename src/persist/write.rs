//! Writing a whole file: a head, what is told beside the keys, libraries, and database by database
//! the keys; at the end a checksum of all.

use super::{SIGNATURE, Whole, opcode, source};
use crate::clock::unix_us;
use crate::keyspace::{Kept, Keyspace, NEVER, Use};
use crate::rdb::{self, CRC, VERSION, Writer};
use crc::{Digest, Table};
use std::thread;
use std::time::Duration;

/// What a file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It stands for itself, or goes to a replica.
    #[default]
    Snapshot,
    /// An append-only log begins with it.
    LogBase,
}

/// What is told in a file beside its keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) purpose: Purpose,
    /// Whether the sum is left out.
    pub(crate) unsummed: bool,
    /// The name of the stream of changes that goes on where the file ends, and how many bytes of it
    /// there were by then.
    pub(crate) stream: Option<(String, u64)>,
}

/// So many bytes are given on together.
const CHUNK_BYTES: usize = 64 << 10;

/// The longest rest in which nobody is asked whether to go on.
const STEP: Duration = Duration::from_millis(10);

/// Writes a whole file piece by piece, and rests after each key for a time.
pub(crate) fn write<E>(
    whole: &Whole,
    extra: &Extra,
    pause: Duration,
    give: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let digest = (!extra.unsummed).then(|| CRC.digest());
    let mut file = File { out: Writer::new(), value: Writer::new(), digest, pause, give };
    file.head(&whole.keys, extra);
    for library in &whole.libraries {
        file.out.byte(opcode::FUNCTION);
        file.out.string(library);
        file.flush(CHUNK_BYTES)?;
    }
    for database in 0..whole.keys.database_count() {
        file.database(&whole.keys, database)?;
    }
    file.end()
}

/// A file that is being written.
struct File<G> {
    /// What is not given on yet.
    out: Writer,
    /// The value that is being written.
    value: Writer,
    digest: Option<Digest<'static, u64, Table<16>>>,
    pause: Duration,
    give: G,
}

impl<E, G: FnMut(&[u8]) -> Result<(), E>> File<G> {
    fn head(&mut self, keys: &Keyspace, extra: &Extra) {
        self.out.bytes(SIGNATURE);
        self.out.bytes(format!("{VERSION:04}").as_bytes());
        self.aux("redis-ver", b"7.0.15");
        self.aux("redis-bits", usize::BITS.to_string().as_bytes());
        self.aux("ctime", (unix_us() / 1_000_000).to_string().as_bytes());
        self.aux("used-mem", keys.used_memory().to_string().as_bytes());
        if let Some((name, offset)) = &extra.stream {
            self.aux("repl-stream-db", b"0");
            self.aux("repl-id", name.as_bytes());
            self.aux("repl-offset", offset.to_string().as_bytes());
        }
        let is_base: &[u8] = if extra.purpose == Purpose::LogBase { b"1" } else { b"0" };
        self.aux("aof-base", is_base);
    }

    fn aux(&mut self, name: &str, value: &[u8]) {
        self.out.byte(opcode::AUX);
        self.out.string(name.as_bytes());
        self.out.string(value);
    }

    fn database(&mut self, keys: &Keyspace, database: usize) -> Result<(), E> {
        let (count, expire) = keys.counts_of(database);
        if count == 0 {
            return Ok(());
        }
        self.out.byte(opcode::SELECT);
        self.out.length(database);
        self.out.byte(opcode::RESIZE);
        self.out.length(count);
        self.out.length(expire);
        keys.visit_kept(database, |kept| {
            self.key(keys, kept);
            if self.pause.is_zero() {
                return self.flush(CHUNK_BYTES);
            }
            self.rest()?;
            self.flush(CHUNK_BYTES)
        })
    }

    fn key(&mut self, keys: &Keyspace, kept: Kept<'_>) {
        if kept.deadline != NEVER {
            self.out.byte(opcode::EXPIRE_MS);
            self.out.bytes(&kept.deadline.to_le_bytes());
        }
        match kept.used {
            None => (),
            Some(Use::Idle(seconds)) => {
                self.out.byte(opcode::IDLE);
                self.out.number(seconds.into());
            }
            Some(Use::Frequency(counter)) => {
                self.out.byte(opcode::FREQUENCY);
                self.out.byte(counter);
            }
        }
        // The kind of a value stands before the key, the value itself behind it.
        self.value.clear();
        rdb::write(&mut self.value, source(kept.held), keys.limits());
        if let Some((&kind, value)) = self.value.as_bytes().split_first() {
            self.out.byte(kind);
            self.out.string(kept.key);
            self.out.bytes(value);
        }
    }

    /// Waits for the time of the pause, and lets whoever takes the bytes end it.
    fn rest(&mut self) -> Result<(), E> {
        let mut left = self.pause;
        while !left.is_zero() {
            let now = left.min(STEP);
            thread::sleep(now);
            left -= now;
            (self.give)(b"")?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), E> {
        self.out.byte(opcode::END);
        self.flush(0)?;
        // Without a sum there are zeros in its place.
        let sum = self.digest.take().map_or(0_u64, |digest| digest.finalize());
        (self.give)(&sum.to_le_bytes())
    }

    /// Gives on what there is, if it is as much as that.
    fn flush(&mut self, least: usize) -> Result<(), E> {
        if self.out.as_bytes().len() < least {
            return Ok(());
        }
        if let Some(digest) = &mut self.digest {
            digest.update(self.out.as_bytes());
        }
        (self.give)(self.out.as_bytes())?;
        self.out.clear();
        Ok(())
    }
}

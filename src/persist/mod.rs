//! All data of an engine as one file in Redis's own format, RDB, and the files themselves.
//!
//! `write.rs` writes a file of version 10, as Redis 7.0 does; `read.rs` reads what Redis 2.0 to 7.0
//! wrote, every byte of which may be damaged. `files.rs` puts files in their place whole or not at
//! all, `log.rs` is the directory of an append-only log, and `saving.rs` is what an engine knows of
//! the files it has written, on its own thread or on one that it started for that.
//!
//! This room knows the keyspace and values as `rdb/` writes them. It knows no commands and no
//! replies, and touches no file but in the directory that the engine was opened with.

mod files;
mod log;
mod read;
mod saving;
mod write;

pub(crate) use log::Place;
pub(crate) use read::{Damage, Read, Rule, read};
pub(crate) use saving::{Kind, Origin, Refusal, Saving, bytes_of};
pub(crate) use write::Extra;

use write::write;

use crate::keyspace::{Content, Held, Keyspace, Text};
use crate::rdb::{Loaded, Source};
use std::convert::Infallible;
use std::time::Duration;

/// The numbers in front of what is no key.
mod opcode {
    pub(super) const FUNCTION: u8 = 245;
    /// A library as a candidate of Redis 7.0 wrote it.
    pub(super) const FUNCTION_BEFORE_RELEASE: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE_SECONDS: u8 = 253;
    pub(super) const SELECT: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// In front of the version.
const SIGNATURE: &[u8] = b"REDIS";

/// All that a file holds: the keys of all databases, and the texts of the libraries of functions.
pub(crate) struct Whole {
    pub(crate) keys: Keyspace,
    pub(crate) libraries: Vec<Vec<u8>>,
}

/// What a key holds, to be written.
pub(crate) fn source(held: Held<'_>) -> Source<'_> {
    match held {
        Held::Text(Text::Integer(value)) => Source::Integer(value),
        Held::Text(Text::Bytes(bytes)) => Source::Bytes(bytes),
        Held::Value(value) => Source::Value(value),
    }
}

/// Gives a key what was read.
pub(crate) fn put(keys: &mut Keyspace, key: &[u8], loaded: Loaded, deadline: i64) {
    match loaded {
        Loaded::Text(text) => {
            let slot = keys.slot(key);
            keys.put(slot, key, Content::of(&text), deadline);
        }
        Loaded::Value(value) => keys.put_value(key, value, deadline),
    }
}

/// A whole file in memory.
pub(crate) fn file(whole: &Whole, extra: &Extra) -> Vec<u8> {
    let mut file = Vec::new();
    let written: Result<(), Infallible> = write(whole, extra, Duration::ZERO, |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    });
    let Ok(()) = written;
    file
}

//! Reading a whole file, into a keyspace of its own: a file that is damaged changes nothing.

use super::{SIGNATURE, opcode, put};
use crate::keyspace::{Keyspace, NEVER, Use};
use crate::rdb::{self, CRC, Reader, VERSION};
use std::fmt;

/// From this version on there is a sum at the end.
const SUMMED_SINCE: u32 = 5;

/// The kinds of values that modules have made.
const MODULES: std::ops::RangeInclusive<u8> = 6..=7;

/// The parts of what a module has written beside the keys.
mod part {
    pub(super) const END: u64 = 0;
    pub(super) const SIGNED: u64 = 1;
    pub(super) const UNSIGNED: u64 = 2;
    pub(super) const FLOAT: u64 = 3;
    pub(super) const DOUBLE: u64 = 4;
    pub(super) const STRING: u64 = 5;
}

/// Why a file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It is none.
    Signature,
    /// It is newer than what can be read.
    Version(u32),
    /// Its bytes are not those that were written.
    Sum,
    /// There is no sense in the bytes at this place, or they end there.
    Bytes(usize),
    /// A key holds what a module has made.
    Module(Vec<u8>),
    /// A library is written as before the release of Redis 7.0.
    OldLibrary,
    /// There are not so many databases here.
    Database(u64),
    /// A key is there twice.
    Twice(Vec<u8>),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Damage::Signature => write!(f, "not an RDB file"),
            Damage::Version(version) => write!(f, "version {version} of RDB is not known"),
            Damage::Sum => write!(f, "the checksum is wrong"),
            Damage::Bytes(at) => write!(f, "damaged at byte {at}"),
            Damage::Module(key) => write!(f, "the key '{}' holds a module's value", text(key)),
            Damage::OldLibrary => write!(f, "a library of functions from before Redis 7.0"),
            Damage::Database(number) => write!(f, "there is no database {number}"),
            Damage::Twice(key) => write!(f, "the key '{}' is there twice", text(key)),
        }
    }
}

/// What becomes of keys whose time was up before they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// They are left out.
    Live,
    /// They are kept: somebody else says when they go.
    All,
}

/// What a file holds.
pub(crate) struct Read {
    pub(crate) keys: Keyspace,
    /// The texts of the libraries.
    pub(crate) libraries: Vec<Vec<u8>>,
    /// Keys that were read, and that were left out because their time was up.
    pub(crate) loaded: u64,
    pub(crate) expired: u64,
}

/// Reads a file into an empty keyspace. What lies behind its end is passed over.
pub(crate) fn read(bytes: &[u8], into: Keyspace, rule: Rule) -> Result<Read, Damage> {
    let version = version(bytes)?;
    let mut reader = Reader::new(bytes);
    reader.take(SIGNATURE.len() + 4);
    let contents = Read { keys: into, libraries: Vec::new(), loaded: 0, expired: 0 };
    let mut file = File { len: bytes.len(), reader, read: contents, rule, next: Next::default() };
    while file.step()? {}
    let end = file.at();
    if version >= SUMMED_SINCE {
        let sum = file.reader.array().map(u64::from_le_bytes).ok_or(Damage::Bytes(end))?;
        let summed = bytes.get(..end).unwrap_or_default();
        // Who leaves the sum out writes zeros.
        if sum != 0 && sum != CRC.checksum(summed) {
            return Err(Damage::Sum);
        }
    }
    file.read.keys.select(0);
    Ok(file.read)
}

fn version(bytes: &[u8]) -> Result<u32, Damage> {
    let digits = bytes.strip_prefix(SIGNATURE).and_then(|rest| rest.get(..4));
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match number.ok_or(Damage::Signature)? {
        version if (1..=u32::from(VERSION)).contains(&version) => Ok(version),
        version => Err(Damage::Version(version)),
    }
}

/// What was told of the key that comes next.
#[derive(Default)]
struct Next {
    deadline: Option<i64>,
    used: Option<Use>,
}

/// A file that is being read.
struct File<'a> {
    len: usize,
    reader: Reader<'a>,
    read: Read,
    rule: Rule,
    next: Next,
}

impl File<'_> {
    /// The place of the next byte.
    fn at(&self) -> usize {
        self.len - self.reader.len()
    }

    /// Reads one thing; false at the end.
    fn step(&mut self) -> Result<bool, Damage> {
        let at = self.at();
        let code = self.reader.byte().ok_or(Damage::Bytes(at))?;
        match code {
            opcode::END => return Ok(false),
            opcode::FUNCTION_BEFORE_RELEASE => return Err(Damage::OldLibrary),
            opcode::SELECT => self.select()?,
            opcode::FUNCTION..=opcode::EXPIRE_SECONDS => {
                self.beside(code).ok_or(Damage::Bytes(at))?;
            }
            kind => self.key(kind, at)?,
        }
        Ok(true)
    }

    fn select(&mut self) -> Result<(), Damage> {
        let number = self.reader.count().ok_or(Damage::Bytes(self.at()))?;
        let exists = usize::try_from(number).is_ok_and(|number| self.read.keys.select(number));
        if exists { Ok(()) } else { Err(Damage::Database(number)) }
    }

    /// Reads what is no key.
    fn beside(&mut self, code: u8) -> Option<()> {
        let reader = &mut self.reader;
        match code {
            opcode::FUNCTION => self.read.libraries.push(reader.string()?.into_vec()),
            opcode::MODULE_AUX => skip_module(reader)?,
            opcode::IDLE => {
                let seconds = u32::try_from(reader.count()?).unwrap_or(u32::MAX);
                self.next.used = Some(Use::Idle(seconds));
            }
            opcode::FREQUENCY => self.next.used = Some(Use::Frequency(reader.byte()?)),
            opcode::AUX => {
                reader.string()?;
                reader.string()?;
            }
            opcode::RESIZE => {
                reader.count()?;
                reader.count()?;
            }
            opcode::EXPIRE_MS => self.next.deadline = Some(i64::from_le_bytes(reader.array()?)),
            opcode::EXPIRE_SECONDS => {
                let seconds = i32::from_le_bytes(reader.array()?);
                self.next.deadline = Some(i64::from(seconds) * 1000);
            }
            _ => return None,
        }
        Some(())
    }

    fn key(&mut self, kind: u8, at: usize) -> Result<(), Damage> {
        let damaged = Damage::Bytes(at);
        let key = self.reader.string().ok_or_else(|| damaged.clone())?.into_vec();
        if MODULES.contains(&kind) {
            return Err(Damage::Module(key));
        }
        let Read { keys, loaded, expired, .. } = &mut self.read;
        let value = rdb::read(&mut self.reader, kind, keys.limits()).ok_or(damaged)?;
        let Next { deadline, used } = std::mem::take(&mut self.next);
        let deadline = deadline.map_or(NEVER, |deadline| deadline.min(NEVER - 1));
        if deadline < keys.now() && self.rule == Rule::Live {
            *expired += 1;
            return Ok(());
        }
        if keys.holds(&key) {
            return Err(Damage::Twice(key));
        }
        put(keys, &key, value, deadline);
        *loaded += 1;
        let slot = keys.lingering_slot(&key);
        match used {
            Some(Use::Idle(seconds)) => keys.set_idle_seconds(slot, seconds.into()),
            Some(Use::Frequency(counter)) => keys.set_frequency(slot, counter),
            None => (),
        }
        Ok(())
    }
}

/// Passes over what a module has written beside the keys: its number, when it is to be read, and
/// parts that say what they are.
fn skip_module(reader: &mut Reader<'_>) -> Option<()> {
    reader.count()?;
    loop {
        match reader.count()? {
            part::END => return Some(()),
            part::SIGNED | part::UNSIGNED => _ = reader.count()?,
            part::FLOAT => _ = reader.take(4)?,
            part::DOUBLE => _ = reader.take(8)?,
            part::STRING => _ = reader.string()?,
            _ => return None,
        }
    }
}

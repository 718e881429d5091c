//! Saving and reading files: SAVE and its like, what DEBUG reads in again, what is saved by itself.
//!
//! An embedded engine touches no file unless its opener has named a directory. Where there is none,
//! to answer that something was saved would be a lie.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Family, Flags, Group, keyless as row, tips};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::number::parse_i64;
use crate::persist::{
    self, Damage, Extra, Kind, Origin, Place, Read, Refusal, Rule, Whole, bytes_of,
};
use crate::script::{RestorePolicy, Scripts};
use crate::server::Server;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SYNCED: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING);
const FAST: Flags = Flags::LOADING.and(Flags::STALE).and(Flags::FAST);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[
        row("bgrewriteaof", Exactly(1), SYNCED, "1.0.0", "O(N) in keys and their bytes",
            "Writes all data as an append-only log that nothing is appended to, in the background.",
            bgrewriteaof),
        row("bgsave", AtLeast(1), SYNCED, "1.0.0", "O(N) in keys and their bytes",
            "Writes all data to a file in the background.", bgsave),
        row("lastsave", Exactly(1), FAST, "1.0.0", "O(1)",
            "When all data was last written to a file, or the engine opened.", lastsave)
            .categories(&["admin", "dangerous"]).tips(tips::VARYING_OUTPUT),
        row("save", Exactly(1), SYNCED.and(Flags::NO_MULTI), "1.0.0",
            "O(N) in keys and their bytes", "Writes all data to a file.", save),
    ],
};

const NO_FILES: CommandError =
    CommandError::text("ERR nothing is saved: this engine keeps its data in memory only");

const SAVING: CommandError = CommandError::text("ERR Background save already in progress");

fn failed(what: &str, why: impl Display) -> CommandError {
    CommandError::Text(format!("ERR {what}: {why}").into())
}

/// The file of all data, and the log, as the parameters name them; none where there are no files.
fn places(server: &Server) -> Option<(PathBuf, String, Place)> {
    let text = |name| String::from_utf8_lossy(server.config.text(name)).into_owned();
    let directory = server.saving.directory(Path::new(&text("dir")))?;
    let log =
        Place { directory: directory.join(text("appenddirname")), name: text("appendfilename") };
    Some((directory, text("dbfilename"), log))
}

/// All data as it is now.
pub(super) fn whole(keys: &Keyspace, scripts: &Scripts) -> Whole {
    Whole { keys: keys.snapshot(), libraries: scripts.library_codes() }
}

/// What is to be written now, and where.
fn origin(keys: &Keyspace, scripts: &Scripts, server: &Server) -> Result<Origin, CommandError> {
    let (directory, file, log) = places(server).ok_or(NO_FILES)?;
    let config = &server.config;
    Ok(Origin {
        whole: whole(keys, scripts),
        unsummed: !config.flag("rdbchecksum"),
        changes: keys.change_count(),
        pause: Duration::from_micros(config.count("rdb-key-save-delay") as u64),
        directory,
        file,
        log,
    })
}

fn save(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    if let Some((Kind::Snapshot, _)) = cx.server.saving.active() {
        return Err(SAVING);
    }
    let (host, keys, server, reply) = cx.with_host()?;
    save_now(keys, host.scripts, server)?;
    reply.ok();
    Ok(())
}

fn save_now(keys: &Keyspace, scripts: &Scripts, server: &mut Server) -> CommandResult {
    let origin = origin(keys, scripts, server)?;
    server.saving.save(&origin).map_err(|error| failed("cannot save", error))
}

/// Saves before the program ends, if that is asked for or done now and then anyway.
pub(crate) fn save_at_end(
    keys: &Keyspace,
    scripts: &Scripts,
    server: &mut Server,
    asked: bool,
) -> CommandResult {
    if !asked && (places(server).is_none() || points(server).is_empty()) {
        return Ok(());
    }
    server.saving.stop();
    save_now(keys, scripts, server)
}

/// Begins to write something in the background.
fn begin(
    kind: Kind,
    keys: &Keyspace,
    scripts: &Scripts,
    server: &mut Server,
) -> Result<(), CommandError> {
    let origin = origin(keys, scripts, server)?;
    server.saving.begin(kind, origin).map_err(|refusal| match refusal {
        Refusal::Busy => SAVING,
        Refusal::Thread(error) => failed("cannot save", error),
    })
}

fn bgsave(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let schedules = args.take_word("schedule");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    let (host, keys, server, reply) = cx.with_host()?;
    match server.saving.active() {
        Some((Kind::Snapshot, _)) => return Err(SAVING),
        Some((Kind::Rewrite, _)) if schedules => {
            server.saving.schedule(Kind::Snapshot);
            reply.status(b"Background saving scheduled");
            return Ok(());
        }
        Some((Kind::Rewrite, _)) => {
            return Err(CommandError::text(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE \
                 SCHEDULE in order to schedule a BGSAVE whenever possible.",
            ));
        }
        None => begin(Kind::Snapshot, keys, host.scripts, server)?,
    }
    reply.status(b"Background saving started");
    Ok(())
}

fn bgrewriteaof(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let (host, keys, server, reply) = cx.with_host()?;
    match server.saving.active() {
        Some((Kind::Rewrite, _)) => {
            let text = "ERR Background append only file rewriting already in progress";
            return Err(CommandError::text(text));
        }
        Some((Kind::Snapshot, _)) => {
            server.saving.schedule(Kind::Rewrite);
            reply.status(b"Background append only file rewriting scheduled");
            return Ok(());
        }
        None => begin(Kind::Rewrite, keys, host.scripts, server)?,
    }
    reply.status(b"Background append only file rewriting started");
    Ok(())
}

fn lastsave(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.server.saving.collect();
    cx.reply.integer(cx.server.saving.saved_at);
    Ok(())
}

/// The pairs of seconds and changes after which the data is saved by itself.
fn points(server: &Server) -> Vec<(i64, u64)> {
    let numbers = server.config.text("save").split(|byte| *byte == b' ').map(parse_i64);
    let numbers: Vec<i64> = numbers.map_while(|number| number).collect();
    numbers.as_chunks().0.iter().map(|&[seconds, changes]| (seconds, changes as u64)).collect()
}

/// Begins to write what was scheduled, or what is due by itself. A failure shows in INFO.
pub(crate) fn keep_files(keys: &Keyspace, scripts: &Scripts, server: &mut Server) {
    let scheduled = server.saving.take_scheduled();
    let points = points(server);
    let is_due = server.saving.is_due(&points, keys.change_count());
    if let Some(kind) = scheduled.or(is_due.then_some(Kind::Snapshot)) {
        let _ = begin(kind, keys, scripts, server);
    }
}

/// How what is read joins what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// In place of it.
    Replace,
    /// Beside it; it is an error if both have a key or a library.
    Beside,
    /// Beside it, and in place of what both have.
    Over,
}

/// Puts what was read in place of the keys and the libraries; on an error neither is changed.
#[cfg(feature = "listen")]
pub(crate) fn install(
    keys: &mut Keyspace,
    scripts: &mut Scripts,
    read: Read,
) -> Result<(), CommandError> {
    add(keys, scripts, read, Join::Replace)
}

/// Puts what was read among the keys and the libraries; on an error neither is changed.
fn add(
    keys: &mut Keyspace,
    scripts: &mut Scripts,
    read: Read,
    join: Join,
) -> Result<(), CommandError> {
    if join == Join::Beside
        && let Some(key) = keys.common_key(&read.keys)
    {
        return Err(unloaded(Damage::Twice(key.into_vec())));
    }
    let policy = match join {
        Join::Replace => RestorePolicy::Flush,
        Join::Beside => RestorePolicy::Append,
        Join::Over => RestorePolicy::Replace,
    };
    scripts.load_libraries(read.libraries.into_iter().map(Ok), policy).map_err(unloaded)?;
    match join {
        Join::Replace => keys.adopt(read.keys),
        Join::Beside | Join::Over => keys.absorb(read.keys),
    }
    Ok(())
}

fn unloaded(why: impl Display) -> CommandError {
    failed("Error trying to load the RDB dump", why)
}

/// Reads the bytes of a file and puts in place what it holds.
fn take_in(
    keys: &mut Keyspace,
    scripts: &mut Scripts,
    server: &mut Server,
    (bytes, join): (&[u8], Join),
) -> CommandResult {
    let read = persist::read(bytes, keys.blank(), Rule::Live).map_err(unloaded)?;
    let counts = (read.loaded, read.expired);
    add(keys, scripts, read, join)?;
    server.saving.read = counts;
    server.saving.changes = keys.change_count();
    Ok(())
}

/// Reads a file of all data in place of what there is, the engine's own if none is named; tells how
/// many keys it has, none if there is no file.
pub(crate) fn load_file(
    keys: &mut Keyspace,
    scripts: &mut Scripts,
    server: &mut Server,
    named: Option<&Path>,
) -> Result<Option<u64>, CommandError> {
    let bytes = match named {
        Some(path) => bytes_of(path),
        None => {
            let (directory, file, _) = places(server).ok_or(NO_FILES)?;
            bytes_of(&directory.join(file))
        }
    };
    let bytes = bytes.map_err(unloaded)?;
    let Some(bytes) = bytes else { return Ok(None) };
    take_in(keys, scripts, server, (&bytes, Join::Replace))?;
    Ok(Some(server.saving.read.0))
}

/// Writes all data out and reads it in again, as a server does that is started anew. Where there are
/// no files that is done in memory.
pub(super) fn read_again(cx: &mut Context<'_>, saves: bool, join: Join) -> CommandResult {
    let (host, keys, server, reply) = cx.with_host()?;
    let bytes = match places(server) {
        Some((directory, file, _)) => {
            if saves {
                server.saving.stop();
                save_now(keys, host.scripts, server)?;
            }
            bytes_of(&directory.join(file)).map_err(unloaded)?.ok_or_else(|| unloaded("no file"))?
        }
        None if saves => persist::file(&whole(keys, host.scripts), &Extra::default()),
        None => return Err(NO_FILES),
    };
    take_in(keys, host.scripts, server, (&bytes, join))?;
    reply.ok();
    Ok(())
}

/// Reads in again what BGREWRITEAOF has written. With `appendonly` a log would have all changes up to
/// now, so that one is written first which does.
pub(super) fn read_log(cx: &mut Context<'_>) -> CommandResult {
    let failed = |why: &dyn Display| failed("Error trying to load the AOF files", why);
    let (host, keys, server, reply) = cx.with_host()?;
    let (_, _, log) = places(server).ok_or(NO_FILES)?;
    if server.config.flag("appendonly") {
        server.saving.stop();
        let origin = origin(keys, host.scripts, server)?;
        server.saving.rewrite(&origin).map_err(|error| failed(&error))?;
    }
    let base = log.base().map_err(|error| failed(&error))?;
    let base = base.ok_or_else(|| failed(&"there are none"))?;
    take_in(keys, host.scripts, server, (&base, Join::Replace))?;
    reply.ok();
    Ok(())
}

//! Scripts: compile once, run atomically.
//!
//! The story of one run: the script is found in the cache, or compiled and cached; an atomic
//! section of the keyspace is opened; the VM sets KEYS and ARGV, runs the function under the
//! limits and turns its result into the reply; on an error the section is rolled back and the
//! reply is the error, with the script's SHA-1 and the line, as Redis 7.0 words it.
//!
//! Everything that touches Lua itself is in `vm/`; `pattern/` is the matcher of Lua's patterns, which
//! knows bytes only.

pub(crate) mod cache;
mod failure;
mod flags;
mod functions;
mod lib;
mod metadata;
mod pattern;
mod profile;
mod running;
pub(crate) mod stats;
pub(crate) mod vm;

pub(crate) use cache::{ScriptId, Sha1Hex, sha1_hex};
pub(crate) use functions::{Callee, Functions, Library, RestorePolicy};
pub(crate) use metadata::ENGINE;
#[cfg(feature = "cli")]
pub(crate) use metadata::is_library;
pub use profile::Profile;
pub(crate) use running::{Ask, Kind, Running, Story};
pub use stats::{LastError, ScriptStats};

use crate::command::Registry;
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::options::{Limits, OnError, Options};
use crate::rdb::{self, LibraryDamage};
use crate::reply::ReplyBuf;
use crate::server::Server;
use cache::Cache;
use failure::Origin;
use stats::{Counts, Outcome};
use std::sync::Arc;
use std::time::Instant;
use vm::{Failure, Function, Run, Vm};

pub(crate) use vm::LimitsBefore;

/// How important a message of `redis.log` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `redis.LOG_DEBUG`
    Debug = 0,
    /// `redis.LOG_VERBOSE`
    Verbose = 1,
    /// `redis.LOG_NOTICE`
    Notice = 2,
    /// `redis.LOG_WARNING`
    Warning = 3,
}

/// Where `redis.log` goes.
pub type LogCallback = Box<dyn FnMut(LogLevel, &[u8]) + Send>;

/// What a script is run with.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) args: &'a [&'a [u8]],
    /// The command's own name, as its caller wrote it.
    pub(crate) called: &'a [u8],
    /// Called by one of the `_RO` commands.
    pub(crate) read_only: bool,
}

/// The scripts of one engine: the interpreter, the cache, and the libraries of functions.
pub(crate) struct Scripts {
    vm: Vm,
    cache: Cache,
    functions: Functions,
    on_error: OnError,
    running: Arc<Running>,
    /// Whether runs are timed.
    timed: bool,
}

impl Scripts {
    /// Starts an interpreter. `running` is where others see what runs.
    pub(crate) fn new(options: &Options, running: Arc<Running>) -> Result<Scripts, String> {
        let vm = Vm::new(options, Arc::clone(&running))?;
        let (cache, functions) = (Cache::default(), Functions::default());
        let (on_error, timed) = (options.on_error, options.script_statistics);
        Ok(Scripts { vm, cache, functions, on_error, running, timed })
    }

    /// Directs `redis.log` to a callback, or nowhere.
    pub(crate) fn set_log(&mut self, sink: Option<LogCallback>) {
        self.vm.set_log(sink);
    }

    /// Tells scripts of the commands that the host has added.
    pub(crate) fn set_hosted(&mut self, hosted: Arc<Registry>) {
        self.vm.set_hosted(hosted);
    }

    /// Has scripts keep to a call's limits while it lasts.
    pub(crate) fn limit(&mut self, limits: &Limits) -> LimitsBefore {
        self.vm.set_limits(limits)
    }

    /// Ends what [`Scripts::limit`] began.
    pub(crate) fn unlimit(&mut self, before: LimitsBefore) {
        self.vm.restore_limits(before);
    }

    /// Compiles and caches a script, unless it is cached already.
    pub(crate) fn load(&mut self, source: &[u8]) -> Result<ScriptId, CommandError> {
        if let Some(id) = self.cache.find_source(source) {
            return Ok(id);
        }
        let (flags, body) = flags::parse(source)?;
        let function = self.vm.compile(body)?;
        Ok(self.cache.insert(source, function, flags))
    }

    /// The SHA-1 of a script that is cached or held.
    pub(crate) fn sha(&self, id: ScriptId) -> Sha1Hex {
        self.cache.get(id).map_or([b'0'; 40], |script| script.sha)
    }

    /// A cached script by its SHA-1.
    pub(crate) fn find(&self, sha: &[u8]) -> Option<ScriptId> {
        self.cache.find_sha(sha)
    }

    /// Compiles a script, if need be, and keeps it until it is let go, whatever is flushed.
    pub(crate) fn hold(&mut self, source: &[u8]) -> Result<ScriptId, CommandError> {
        let id = self.load(source)?;
        self.cache.hold(id);
        Ok(id)
    }

    /// Ends what [`Scripts::hold`] began.
    pub(crate) fn let_go(&mut self, id: ScriptId) {
        if let Some(function) = self.cache.let_go(id) {
            self.vm.release(function);
        }
    }

    /// Empties the cache.
    pub(crate) fn flush(&mut self) {
        for function in self.cache.flush() {
            self.vm.release(function);
        }
        self.vm.collect();
    }

    /// Bytes the interpreter uses, without what it is about to let go, and the number and bytes of
    /// the texts that are cached.
    pub(crate) fn sizes(&mut self) -> (usize, usize, usize) {
        if self.vm.bytes_in_use() < LARGE_HEAP_BYTES {
            self.vm.collect();
        }
        let (count, bytes) = self.cache.sizes();
        (self.vm.bytes_in_use(), count, bytes)
    }

    /// Runs a script as one atomic step; the reply is its result or its error.
    #[inline]
    pub(crate) fn run(
        &mut self,
        id: ScriptId,
        input: &Input<'_>,
        keys: &mut Keyspace,
        server: &mut Server,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let script = self.cache.get(id).ok_or(CommandError::NoScript)?;
        let declared = script.flags;
        if input.read_only && declared.declared && !declared.no_writes {
            return Err(MAY_WRITE);
        }
        let (function, sha) = (script.function, script.sha);
        // Without a `#!` line it is asked call by call.
        let refused = declared.declared && !declared.no_writes && !declared.allow_oom;
        begin_limited(keys, refused, declared.allow_oom)?;
        check_standing(server, declared.declared && !declared.no_writes, declared.allow_stale)?;
        let read_only = input.read_only || declared.no_writes;
        let run = Run { input, read_only, name: &sha, keys, server, reply };
        let outcome = self.perform(function, Origin::Script(&sha), run);
        if let Some(counts) = self.cache.counts(id) {
            note(counts, outcome, &mut self.vm, function);
        }
        Ok(())
    }

    /// Calls a function of a library as one atomic step; the reply is its result or its error.
    pub(crate) fn call(
        &mut self,
        callee: &Callee,
        input: &Input<'_>,
        keys: &mut Keyspace,
        server: &mut Server,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let read_only = callee.flags.no_writes();
        if input.read_only && !read_only {
            return Err(MAY_WRITE);
        }
        let allow_oom = callee.flags.allow_oom();
        begin_limited(keys, !read_only && !allow_oom, allow_oom)?;
        check_standing(server, !read_only, callee.flags.allow_stale())?;
        let run = Run { input, read_only, name: &callee.name, keys, server, reply };
        let outcome = self.perform(callee.function, callee.origin(), run);
        if let Some(counts) = self.functions.counts(callee.place) {
            note(counts, outcome, &mut self.vm, callee.function);
        }
        Ok(())
    }

    /// Runs what is compiled.
    #[inline]
    fn perform(&mut self, function: Function, origin: Origin<'_>, run: Run<'_>) -> Outcome {
        let Run { input, read_only, name, keys, server, reply } = run;
        let started = self.timed.then(Instant::now);
        let mark = reply.mark();
        keys.hold_time();
        keys.news_mut().declare(input.keys);
        server.stats.begin_script();
        let database = keys.database();
        let section = (self.on_error == OnError::Rollback).then(|| keys.begin());
        let outcome = self.vm.run(function, Run { input, read_only, name, keys, server, reply });
        keys.refuse_growth(false);
        keys.news_mut().feed.muted = false;
        // A script's SELECT ends with it.
        keys.select(database);
        if let Some(section) = section {
            match outcome {
                Ok(()) => keys.commit(section),
                Err(_) => keys.rollback(section),
            }
        }
        let error = match outcome {
            Ok(()) => None,
            Err(failure) => {
                reply.truncate(mark);
                Some(answer_failure(failure, origin, keys.now(), reply))
            }
        };
        if let Some(text) = reply.error_at(mark) {
            server.stats.script_error(text);
        }
        Outcome { nanos: started.map_or(0, |started| nanos_since(&started)), error }
    }
}

/// What is told of runs.
impl Scripts {
    /// What became of the runs of all scripts that are cached or held, and of all functions; of
    /// those of these names, if there are any.
    pub(crate) fn stats(&self, names: &[&[u8]]) -> Vec<ScriptStats> {
        let mut stats = self.cache.stats(self.timed);
        stats.extend(self.functions.stats(self.timed));
        let is =
            |script: &ScriptStats, name: &&[u8]| name.eq_ignore_ascii_case(script.name.as_bytes());
        stats.retain(|script| names.is_empty() || names.iter().any(|name| is(script, name)));
        stats
    }

    /// Counts from zero again.
    pub(crate) fn reset_stats(&mut self) {
        self.cache.reset_stats();
        self.functions.reset_stats();
    }

    /// Begins to profile what is run; it takes much longer meanwhile.
    pub(crate) fn begin_profile(&mut self) {
        self.vm.begin_profile();
    }

    /// Ends what [`Scripts::begin_profile`] began; returns where the time went. `source` is the text
    /// of the script.
    pub(crate) fn end_profile(&mut self, source: &[u8]) -> Profile {
        Profile::new(self.vm.end_profile(), source)
    }
}

/// Libraries of functions.
impl Scripts {
    /// The libraries there are.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Loads a library; returns its name.
    pub(crate) fn load_library(
        &mut self,
        code: &[u8],
        replace: bool,
    ) -> Result<Vec<u8>, CommandError> {
        let loaded = self.functions.load(&mut self.vm, code, replace);
        self.count();
        loaded
    }

    /// Deletes a library; false if there is none of that name.
    pub(crate) fn delete_library(&mut self, name: &[u8]) -> bool {
        let deleted = self.functions.delete(&mut self.vm, name);
        self.count();
        deleted
    }

    /// Deletes all libraries.
    pub(crate) fn flush_libraries(&mut self) {
        self.functions.flush(&mut self.vm);
        self.count();
    }

    /// Tells those who find the engine taken how many libraries and functions there are.
    fn count(&self) {
        let libraries = self.functions.libraries();
        let counts = libraries
            .fold((0, 0), |(count, all), (_, library)| (count + 1, all + library.functions.len()));
        self.running.set_counts(counts.0, counts.1);
    }

    /// How many libraries and functions there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.running.counts()
    }

    /// The texts of all libraries.
    pub(crate) fn library_codes(&self) -> Vec<Vec<u8>> {
        self.functions.libraries().map(|(_, library)| library.code.to_vec()).collect()
    }

    /// All libraries as one payload.
    pub(crate) fn dump_libraries(&self) -> Vec<u8> {
        rdb::dump_libraries(self.functions.libraries().map(|(_, library)| &*library.code))
    }

    /// Loads the libraries of a payload; on an error none of them.
    pub(crate) fn restore_libraries(
        &mut self,
        payload: &[u8],
        policy: RestorePolicy,
    ) -> Result<(), CommandError> {
        let codes = rdb::libraries(payload).map_err(|_| CommandError::PayloadFooter)?;
        self.load_libraries(codes.map(|code| code.map_err(damage_error)), policy)
    }

    /// Loads libraries by their texts; on an error none of them.
    pub(crate) fn load_libraries(
        &mut self,
        codes: impl Iterator<Item = Result<Vec<u8>, CommandError>>,
        policy: RestorePolicy,
    ) -> Result<(), CommandError> {
        let mut fresh = Functions::default();
        let loaded = codes.map(|code| fresh.load(&mut self.vm, &code?, false));
        let loaded = loaded.collect::<Result<Vec<_>, _>>();
        let joined = match loaded {
            Ok(_) => self.functions.join(&mut self.vm, fresh, policy),
            Err(error) => Err((fresh, error)),
        };
        self.count();
        joined.map_err(|(mut fresh, error)| {
            fresh.flush(&mut self.vm);
            error
        })
    }
}

/// Counts a run of a function.
#[inline]
#[cfg_attr(feature = "lua51", expect(unused_variables, reason = "it is LuaJIT's affair"))]
fn note(counts: &mut Counts, outcome: Outcome, vm: &mut Vm, function: Function) {
    counts.note(outcome);
    #[cfg(feature = "luajit")]
    if counts.settles() {
        vm.forget_compiled(function);
    }
}

fn nanos_since(started: &Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Answers with the error that a script ended in; returns what is kept of it.
#[cold]
fn answer_failure(
    failure: Box<Failure>,
    origin: Origin<'_>,
    at_ms: i64,
    reply: &mut ReplyBuf,
) -> Box<LastError> {
    let text = failure::text(&failure, origin);
    reply.error_text(&text);
    reply.set_traceback(failure::traceback(*failure, origin));
    let message = String::from_utf8_lossy(&text).into_owned();
    Box::new(LastError { message, at_ms })
}

/// Begins a script where memory is limited: one that may write is refused if there is not enough,
/// unless it allows for that.
#[inline]
fn begin_limited(keys: &mut Keyspace, refused: bool, allow_oom: bool) -> Result<(), CommandError> {
    if keys.is_over() {
        if refused {
            return Err(CommandError::OutOfMemory);
        }
        keys.refuse_growth(!allow_oom);
    }
    Ok(())
}

/// Refuses what says that it may write, or cannot read what is old, where too few replicas follow or
/// another server is followed. What says nothing of writing is asked call by call.
#[inline]
fn check_standing(server: &Server, may_write: bool, reads_stale: bool) -> Result<(), CommandError> {
    match server.measures.guarded {
        true => server.refusal(may_write, reads_stale).map_or(Ok(()), Err),
        false => Ok(()),
    }
}

/// A heap from here on takes too long to be looked through for a number.
const LARGE_HEAP_BYTES: usize = 4 << 20;

/// One of the `_RO` commands was called with what may write.
const MAY_WRITE: CommandError =
    CommandError::text("ERR Can not execute a script with write flag using *_ro command.");

fn damage_error(damage: LibraryDamage) -> CommandError {
    CommandError::text(match damage {
        LibraryDamage::Kind => "ERR given type is not a function",
        LibraryDamage::Name => "ERR Failed loading library name",
        LibraryDamage::Text => "ERR Failed loading library payload",
    })
}

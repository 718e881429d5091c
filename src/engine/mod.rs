//! The engine: lock, clock, limits; the one thing every door talks to.
//!
//! An [`Engine`] may be used from any thread; calls are serialised by one lock. A panic inside a
//! call is caught, answered with an error and poisons the engine. A call from inside a callback
//! on the same thread is an error rather than a deadlock.

mod busy;
mod delivery;
#[cfg(feature = "listen")]
mod door;
mod feed;
#[cfg(feature = "listen")]
mod following;
mod hosted;
mod interrupt;
mod script;
mod session;
mod shared;
mod state;
mod subscription;
mod waiting;

#[cfg(feature = "c-abi")]
pub(crate) use crate::command::{HostCall, HostCommand};
pub use busy::WhenBusy;
#[cfg(feature = "listen")]
pub(crate) use door::{ClientLimits, Door, Pending, Submitted};
#[cfg(feature = "listen")]
pub(crate) use following::Course;
pub use script::Script;
pub use session::Session;
pub use subscription::{Message, Subscription};

use crate::clients::Bells;
use crate::clock::Now;
use crate::command::{self, Registry};
use crate::config::Config;
use crate::error::{CommandError, Error};
use crate::keyspace::Keyspace;
use crate::options::{Clock, Limits, OnError, Options};
use crate::reply::{Protocol, Reply, ReplyBuf};
use crate::script::{LogCallback, Profile, Running, ScriptStats, Scripts, Sha1Hex, stats};
use crate::server::Server;
use shared::Shared;
use smallvec::SmallVec;
use state::{COMMON, State};
use std::path::{self, Path};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// An embedded engine: keys and values in this process, and the scripts that work on them.
///
/// ```
/// use moonkv::{Engine, Reply};
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// engine.command(&["SET", "greeting", "hello"])?;
/// let reply = engine.eval(
///     "return redis.call('GET', KEYS[1]) .. ' ' .. ARGV[1]",
///     &["greeting"],
///     &["world"],
/// )?;
/// assert_eq!(reply, Reply::Bulk(b"hello world".to_vec()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// One call on an engine, for callers that bring their own buffers; see [`Engine::call`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// A command: its name and arguments.
    Command(&'a [&'a [u8]]),
    /// A script by its text, with KEYS and ARGV.
    Eval(&'a [u8], &'a [&'a [u8]], &'a [&'a [u8]]),
    /// A cached script by its SHA-1 in hexadecimal digits, with KEYS and ARGV.
    EvalSha(&'a [u8], &'a [&'a [u8]], &'a [&'a [u8]]),
    /// A prepared script, with KEYS and ARGV.
    Run(&'a Script, &'a [&'a [u8]], &'a [&'a [u8]]),
    /// Another call whose scripts keep to limits of their own. After `MULTI` a script is refused,
    /// as limits are not queued: they can be given to `EXEC`.
    Limited(&'a Limits, &'a Call<'a>),
}

impl<'a> Call<'a> {
    /// The prepared script that it runs, if it does.
    fn script(&self) -> Option<&'a Script> {
        match self {
            Call::Run(script, ..) => Some(script),
            Call::Limited(_, call) => call.script(),
            _ => None,
        }
    }

    /// Refuses limits under which no script could run.
    #[inline]
    fn check_limits(&self) -> Result<(), Error> {
        match self {
            Call::Limited(limits, call) => limits.check().and_then(|()| call.check_limits()),
            _ => Ok(()),
        }
    }
}

/// What a [`Engine::tick`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Keys that were past their deadline and are removed.
    pub expired: usize,
    /// Whether nothing more was due; false when the time was up first.
    pub complete: bool,
}

impl Engine {
    /// Opens an engine with the default [`Options`].
    ///
    /// # Errors
    /// [`Error::Interpreter`] if there is no memory for the Lua state.
    pub fn new() -> Result<Engine, Error> {
        Engine::open(&Options::default())
    }

    /// Opens an engine.
    ///
    /// # Errors
    /// [`Error::Options`] for limits under which nothing could run, or for a directory that has no
    /// absolute path; [`Error::Interpreter`] if there is no memory for the Lua state.
    pub fn open(options: &Options) -> Result<Engine, Error> {
        let now = match options.clock {
            Clock::System => Now::default(),
            Clock::Manual { start_ms } => Now::manual(start_ms),
        };
        options.check()?;
        let options = with_absolute_directory(options)?;
        let mut keys = Keyspace::new(now, options.databases);
        let pairs = options.config.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let mut config = Config::open(options.databases, pairs)
            .map_err(|error| Error::Options { message: error.to_string() })?;
        if let Some(directory) = &options.directory {
            config.preset("dir", directory.as_os_str().as_encoded_bytes());
        }
        command::act(&mut keys, &config);
        Engine::with_keys(options, keys, config)
    }

    fn with_keys(options: Options, keys: Keyspace, config: Config) -> Result<Engine, Error> {
        let running = Arc::new(Running::new(options.on_error == OnError::Keep));
        let scripts = Scripts::new(&options, Arc::clone(&running))
            .map_err(|message| Error::Interpreter { message })?;
        let bells = Arc::new(Bells::default());
        let hosted = Arc::new(Registry::new(options.protocol));
        let server = Server::new(config, options.directory.clone());
        let shutdown = Arc::clone(&server.shutdown);
        let shared = Shared {
            state: Mutex::new(Some(State::new(
                (keys, scripts, server),
                hosted,
                Arc::clone(&bells),
                &options,
            ))),
            inside: AtomicUsize::new(0),
            running,
            dropped: Mutex::new(Vec::new()),
            abandoned: Mutex::new(Vec::new()),
            waits: Mutex::new(Vec::new()),
            shutdown,
            turn: Condvar::new(),
            interrupt: Mutex::new(None),
            bells,
            options,
        };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// Opens a second engine with the same options and a copy of all keys, which costs a few
    /// hundred nanoseconds per thousand keys: what both hold is shared until one changes it.
    /// Libraries of functions are loaded anew; cached scripts, the log callback and the host's own
    /// commands are not copied.
    ///
    /// ```
    /// # use moonkv::{Engine, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// let engine = Engine::new()?;
    /// engine.command(&["SET", "gold", "10"])?;
    /// let what_if = engine.fork()?;
    /// what_if.command(&["DECRBY", "gold", "7"])?;
    /// assert_eq!(engine.command(&["GET", "gold"])?, Reply::Bulk(b"10".to_vec()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Engine::open`] and [`Engine::call`].
    pub fn fork(&self) -> Result<Engine, Error> {
        let copied = |state: &mut State| {
            let (config, users) = (state.server.config.clone(), state.server.users.copy());
            (state.keys.snapshot(), config, users, state.scripts.library_codes())
        };
        let (keys, config, users, codes) = self.shared.enter_as(COMMON, copied)?;
        let engine = Engine::with_keys(self.shared.options.clone(), keys, config)?;
        engine.shared.enter_as(COMMON, |state| state.server.users = users)?;
        for code in codes {
            let load = |state: &mut State| state.scripts.load_library(&code, false);
            let loaded = engine.shared.enter_as(COMMON, load)?;
            loaded.map_err(|error| Error::Interpreter { message: error.to_string() })?;
        }
        Ok(engine)
    }

    /// The options the engine was opened with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Makes one call and leaves its reply in the caller's buffer, errors of commands and
    /// scripts included. Nothing is allocated but what the reply needs beyond the buffer's room.
    ///
    /// # Errors
    /// Only where there is no reply: [`Error::Closed`], [`Error::Reentrant`],
    /// [`Error::Poisoned`].
    pub fn call(&self, call: Call<'_>, reply: &mut ReplyBuf) -> Result<(), Error> {
        if let Some(script) = call.script()
            && !Arc::ptr_eq(&self.shared, &script.shared)
        {
            return script.shared.call(COMMON, None, call, reply);
        }
        self.shared.call(COMMON, None, call, reply)
    }

    /// Runs a command: its name and arguments.
    ///
    /// ```
    /// # use moonkv::{Engine, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// assert_eq!(engine.command(&["INCRBY", "n", "5"])?, Reply::Integer(5));
    /// assert!(engine.command(&["INCR"]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Reply`] with Redis's text, or as [`Engine::call`].
    pub fn command<A: AsRef<[u8]>>(&self, argv: &[A]) -> Result<Reply, Error> {
        self.shared.reply(COMMON, None, Call::Command(&slices(argv)))
    }

    /// Runs a command and returns its reply as a Redis server would send it.
    ///
    /// # Errors
    /// As [`Engine::call`]; the errors of commands are replies here.
    pub fn command_resp<A: AsRef<[u8]>>(
        &self,
        argv: &[A],
        protocol: Protocol,
    ) -> Result<Vec<u8>, Error> {
        self.shared.resp(COMMON, None, &slices(argv), protocol)
    }

    /// Runs a script as one atomic step; it is cached by its SHA-1. As `EVAL` in Redis 7.0.
    ///
    /// # Errors
    /// [`Error::Reply`] with the text of what went wrong; under [`crate::OnError::Rollback`]
    /// nothing has changed then. Or as [`Engine::call`].
    pub fn eval<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        script: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.reply(COMMON, None, Call::Eval(script.as_ref(), &slices(keys), &slices(args)))
    }

    /// [`Engine::eval`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`Engine::eval`]; [`Error::Options`] for limits under which nothing could run.
    pub fn eval_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        script: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::Eval(script.as_ref(), &keys, &args);
        self.shared.reply(COMMON, None, Call::Limited(limits, &call))
    }

    /// Runs a cached script by its SHA-1. As `EVALSHA` in Redis 7.0.
    ///
    /// # Errors
    /// [`Error::Reply`], which starts with `NOSCRIPT` if no such script is cached; or as
    /// [`Engine::call`].
    pub fn evalsha<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        sha1: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.reply(COMMON, None, Call::EvalSha(sha1.as_ref(), &slices(keys), &slices(args)))
    }

    /// [`Engine::evalsha`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`Engine::evalsha`]; [`Error::Options`] for limits under which nothing could run.
    pub fn evalsha_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        sha1: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::EvalSha(sha1.as_ref(), &keys, &args);
        self.shared.reply(COMMON, None, Call::Limited(limits, &call))
    }

    /// Compiles and caches a script without running it; returns its SHA-1 in 40 hexadecimal
    /// digits. As `SCRIPT LOAD` in Redis 7.0.
    ///
    /// ```
    /// # use moonkv::{Engine, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// let sha1 = engine.script_load("return ARGV[1]")?;
    /// assert_eq!(engine.evalsha(&sha1, &[""; 0], &["x"])?, Reply::Bulk(b"x".to_vec()));
    /// assert_eq!(engine.script_exists(&[sha1.as_str(), "ffff"])?, [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Reply`] if it does not compile, or as [`Engine::call`].
    pub fn script_load(&self, script: impl AsRef<[u8]>) -> Result<String, Error> {
        let loaded = self.shared.enter(|state| {
            let id = state.scripts.load(script.as_ref())?;
            Ok(state.scripts.sha(id))
        })?;
        loaded.map(|sha| hex(&sha)).map_err(|error| reply_error(&error))
    }

    /// Tells of each SHA-1 whether its script is cached. As `SCRIPT EXISTS` in Redis 7.0.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn script_exists<S: AsRef<[u8]>>(&self, sha1s: &[S]) -> Result<Vec<bool>, Error> {
        self.shared.enter(|state| {
            sha1s.iter().map(|sha1| state.scripts.find(sha1.as_ref()).is_some()).collect()
        })
    }

    /// Empties the script cache. Prepared scripts stay. As `SCRIPT FLUSH` in Redis 7.0.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn script_flush(&self) -> Result<(), Error> {
        self.shared.let_go_dropped()?;
        self.shared.enter(|state| state.scripts.flush())
    }

    /// Compiles a script and returns a handle to run it by, without looking it up again.
    ///
    /// ```
    /// # use moonkv::{Engine, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// let add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])")?;
    /// assert_eq!(add.run(&["n"], &["2"])?, Reply::Integer(2));
    /// assert_eq!(add.run(&["n"], &["3"])?, Reply::Integer(5));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Reply`] if it does not compile, or as [`Engine::call`].
    pub fn prepare(&self, script: impl AsRef<[u8]>) -> Result<Script, Error> {
        self.shared.let_go_dropped()?;
        let held = self.shared.enter(|state| {
            let id = state.scripts.hold(script.as_ref())?;
            Ok((id, state.scripts.sha(id)))
        })?;
        let (id, sha) = held.map_err(|error: CommandError| reply_error(&error))?;
        Ok(Script { shared: Arc::clone(&self.shared), id, sha })
    }

    /// Runs a script as [`Engine::eval`] does, and tells where its time went. It takes several times
    /// as long meanwhile; what looking costs is left out of the times.
    ///
    /// ```
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = moonkv::Engine::new()?;
    /// let script = "for i = 1, 3 do\n  redis.call('INCR', KEYS[1])\nend";
    /// let (reply, profile) = engine.profile(script, &["n"], &[""; 0]);
    /// assert!(reply?.is_null());
    /// assert!(profile.collapsed().contains("main:2;redis.call INCR "));
    /// println!("{}", profile.table());
    /// # Ok(())
    /// # }
    /// ```
    pub fn profile<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        script: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> (Result<Reply, Error>, Profile) {
        let mut reply = ReplyBuf::new();
        let (keys, args) = (slices(keys), slices(args));
        let (outcome, profile) = self.profile_into(script.as_ref(), &keys, &args, &mut reply);
        (outcome.and_then(|()| tree(reply, self.shared.options.protocol)), profile)
    }

    /// [`Engine::profile`] with the reply left in the caller's buffer, errors of scripts included.
    pub fn profile_into(
        &self,
        script: &[u8],
        keys: &[&[u8]],
        args: &[&[u8]],
        reply: &mut ReplyBuf,
    ) -> (Result<(), Error>, Profile) {
        reply.clear();
        let profiled = self.shared.enter_as(COMMON, |state| {
            state.scripts.begin_profile();
            state.call(COMMON, Call::Eval(script, keys, args), reply);
            state.scripts.end_profile(script)
        });
        match profiled {
            Ok(profile) => (Ok(()), profile),
            Err(error) => (Err(error), Profile::default()),
        }
    }

    /// What became of the runs of each script that is cached or prepared, and of each function:
    /// how many there were, how many failed and how, and under
    /// [`Options::script_statistics`] how long they took. As `MOONKV STATS`.
    ///
    /// ```
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = moonkv::Engine::new()?;
    /// let faulty = engine.prepare("return redis.call('INCR', KEYS[1])")?;
    /// faulty.run(&["n"], &[""; 0])?;
    /// engine.command(&["LPUSH", "list", "x"])?;
    /// assert!(faulty.run(&["list"], &[""; 0]).is_err());
    /// let stats = &engine.script_stats()?[0];
    /// assert_eq!((stats.name.clone(), stats.runs, stats.errors), (faulty.sha1(), 2, 1));
    /// assert!(stats.last_error.as_ref().unwrap().message.starts_with("WRONGTYPE"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn script_stats(&self) -> Result<Vec<ScriptStats>, Error> {
        self.shared.enter(|state| state.scripts.stats(&[]))
    }

    /// Leaves what [`Engine::script_stats`] tells in a buffer, as an array of maps.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn script_stats_into(&self, reply: &mut ReplyBuf) -> Result<(), Error> {
        let stats = self.script_stats()?;
        reply.clear();
        stats::write(&stats, reply);
        Ok(())
    }

    /// Counts runs, errors and times from zero again.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn reset_script_stats(&self) -> Result<(), Error> {
        self.shared.enter(|state| state.scripts.reset_stats())
    }

    /// Stops the script that is running, if one is, and ends the calls that wait for a key. They
    /// end with an error; under [`crate::OnError::Rollback`] the script leaves no trace. May be
    /// called from any thread.
    pub fn cancel(&self) {
        self.shared.running.cancel();
        self.shared.cancel_waits(None);
    }

    /// Removes keys past their deadline, for at most about as long as `budget`. Without it such
    /// keys go when they are next asked for.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn tick(&self, budget: Duration) -> Result<Tick, Error> {
        self.shared.tick(budget)
    }

    /// The bytes that the data takes: counted while `maxmemory` limits them, estimated from some of
    /// the keys otherwise. What the interpreter and the engine itself take is not in it.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn used_memory(&self) -> Result<usize, Error> {
        self.shared.enter_as(COMMON, |state| state.keys.used_memory())
    }

    /// How many keys were evicted to keep to `maxmemory`.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn evicted_keys(&self) -> Result<u64, Error> {
        self.shared.enter_as(COMMON, |state| state.keys.evicted_keys())
    }

    /// Moves a [`Clock::Manual`] forward; returns its time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Error::Options`] if the engine follows the system's clock or the time would overflow;
    /// or as [`Engine::call`].
    pub fn advance_clock(&self, milliseconds: u64) -> Result<i64, Error> {
        let moved = self.shared.enter_as(COMMON, |state| {
            let moved = state.keys.clock().advance(milliseconds)?;
            state.waiters.end_due(moved);
            Some(moved)
        })?;
        let message = "the clock is the system's, or would overflow".to_owned();
        moved.ok_or(Error::Options { message })
    }

    /// Reads the file of all data, as `SAVE` or a Redis server wrote it, in place of what the engine
    /// holds: `dbfilename` in [`Options::directory`]. Tells how many keys it has, none if there is no
    /// such file. A damaged file changes nothing.
    ///
    /// ```
    /// use moonkv::{Engine, Options, Reply};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("moonkv-load-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut options = Options::default();
    /// options.directory = Some(directory.clone());
    /// let game = Engine::open(&options)?;
    /// game.command(&["SET", "gold", "10"])?;
    /// game.command(&["SAVE"])?;
    /// let later = Engine::open(&options)?;
    /// assert_eq!(later.load()?, Some(1));
    /// assert_eq!(later.command(&["GET", "gold"])?, Reply::Bulk(b"10".to_vec()));
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Reply`] that says why the file was not read, or that there is no directory; or as
    /// [`Engine::call`].
    pub fn load(&self) -> Result<Option<u64>, Error> {
        self.load_file(None)
    }

    /// The same with a file that lies anywhere; it needs no directory.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_from(&self, path: impl AsRef<Path>) -> Result<Option<u64>, Error> {
        self.load_file(Some(path.as_ref()))
    }

    fn load_file(&self, path: Option<&Path>) -> Result<Option<u64>, Error> {
        let loaded = self.shared.enter_as(COMMON, |state| {
            let State { keys, scripts, server, .. } = state;
            let loaded = command::load_file(keys, scripts, server, path);
            state.settle();
            loaded
        })?;
        loaded.map_err(|error| reply_error(&error))
    }

    /// Writes the file of all data if `save` says that this is done now and then, and there is a
    /// directory for it: what a server does before it ends.
    ///
    /// # Errors
    /// [`Error::Reply`] that says why it was not written; or as [`Engine::call`].
    pub fn save_at_end(&self) -> Result<(), Error> {
        let saved = self.shared.enter_as(COMMON, |state| {
            let State { keys, scripts, server, .. } = state;
            command::save_at_end(keys, scripts, server, false)
        })?;
        saved.map_err(|error| reply_error(&error))
    }

    /// Lets `SHUTDOWN` ask this program to end, which looks by [`Engine::shutdown_asked`] whether it
    /// is asked. Without this it is an error: the program is the host's. A script that runs on past
    /// `busy-reply-threshold` is ended by `SHUTDOWN NOSAVE`.
    ///
    /// ```
    /// # fn main() -> Result<(), moonkv::Error> {
    /// let engine = moonkv::Engine::new()?;
    /// assert!(engine.command(&["SHUTDOWN"]).is_err());
    /// engine.await_shutdown()?;
    /// engine.command(&["SHUTDOWN"])?;
    /// assert!(engine.shutdown_asked()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn await_shutdown(&self) -> Result<(), Error> {
        self.shared.enter(|state| state.server.shutdown.allow())
    }

    /// Whether the program is asked to end. It waits for nothing, whatever runs.
    ///
    /// # Errors
    /// None: the program may want to look while the engine is closed or poisoned.
    pub fn shutdown_asked(&self) -> Result<bool, Error> {
        Ok(self.shared.shutdown.is_asked())
    }

    /// Directs `redis.log` of scripts to a callback; without one it is silent. The callback runs
    /// inside the call that runs the script, and may not call the engine.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn set_log(&self, callback: Option<LogCallback>) -> Result<(), Error> {
        self.shared.enter(|state| state.scripts.set_log(callback))
    }

    /// Closes the engine at once, whoever still holds a prepared script of it; their calls are
    /// [`Error::Closed`] from now on. Dropping the engine does the same.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn close(&self) -> Result<(), Error> {
        self.shared.close()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A poisoned or busy engine is freed with its last handle.
        let _ = self.shared.close();
    }
}

/// The options with the directory's absolute path: where files lie must not depend on what the
/// working directory is later on.
fn with_absolute_directory(options: &Options) -> Result<Options, Error> {
    let mut options = options.clone();
    if let Some(directory) = &mut options.directory {
        let found = path::absolute(&*directory);
        *directory =
            found.map_err(|error| Error::Options { message: format!("the directory: {error}") })?;
    }
    Ok(options)
}

/// A reply as a tree, or its error as one.
fn tree(mut reply: ReplyBuf, protocol: Protocol) -> Result<Reply, Error> {
    match reply.to_reply(protocol) {
        Reply::Error(message) => Err(Error::Reply { message, traceback: reply.take_traceback() }),
        reply => Ok(reply),
    }
}

fn slices<A: AsRef<[u8]>>(texts: &[A]) -> SmallVec<[&[u8]; 8]> {
    texts.iter().map(AsRef::as_ref).collect()
}

fn hex(sha: &Sha1Hex) -> String {
    String::from_utf8_lossy(sha).into_owned()
}

fn reply_error(error: &CommandError) -> Error {
    Error::reply(error.to_string())
}

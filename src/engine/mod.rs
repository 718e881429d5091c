//! The engine: lock, clock, limits; the one thing every door talks to.
//!
//! An [`Engine`] may be used from any thread; calls are serialised by one lock. A panic inside a
//! call is caught, answered with an error and poisons the engine. A call from inside a callback
//! on the same thread is an error rather than a deadlock.

mod busy;
mod delivery;
#[cfg(feature = "listen")]
mod door;
mod hosted;
mod interrupt;
mod session;
mod state;
mod subscription;
mod waiting;

#[cfg(feature = "c-abi")]
pub(crate) use crate::command::{HostCall, HostCommand};
use busy::Busy;
pub use busy::WhenBusy;
#[cfg(feature = "listen")]
pub(crate) use door::{ClientLimits, Door, Pending, Submitted};
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
use crate::resp;
use crate::script::{self, LogCallback, Profile, Running, ScriptId, ScriptStats, Scripts, Sha1Hex};
use crate::server::{Server, Shutdown};
use delivery::Replayed;
use smallvec::SmallVec;
use state::{COMMON, State, Turn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use waiting::{Outcome, Ticket, Waits};

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

/// What an engine and its prepared scripts share.
struct Shared {
    /// None once closed.
    state: Mutex<Option<State>>,
    /// Marks the thread that is inside the lock, 0 for none.
    inside: AtomicUsize,
    /// What runs, for those who find the lock taken.
    running: Arc<Running>,
    /// Handles that were dropped; let go at the next call that touches the cache.
    dropped: Mutex<Vec<ScriptId>>,
    /// Sessions that were dropped inside a callback; closed as the next one is opened.
    abandoned: Mutex<Vec<usize>>,
    /// The calls that wait for a key, each with its session.
    waits: Mutex<Vec<(usize, Arc<Ticket>)>>,
    /// Rung when a transaction has ended.
    turn: Condvar,
    /// Asked by calls that wait whether they shall.
    interrupt: Mutex<Option<Arc<interrupt::Interrupt>>>,
    /// Whom to wake once the lock is given back.
    bells: Arc<Bells>,
    options: Options,
}

/// The lock, taken.
type StateGuard<'a> = MutexGuard<'a, Option<State>>;

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
    /// [`Error::Options`] for limits under which nothing could run, [`Error::Interpreter`] if
    /// there is no memory for the Lua state.
    pub fn open(options: &Options) -> Result<Engine, Error> {
        let now = match options.clock {
            Clock::System => Now::default(),
            Clock::Manual { start_ms } => Now::manual(start_ms),
        };
        options.check()?;
        let mut keys = Keyspace::new(now, options.databases);
        let pairs = options.config.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let config = Config::open(options.databases, pairs)
            .map_err(|error| Error::Options { message: error.to_string() })?;
        command::act(&mut keys, &config);
        Engine::with_keys(options, keys, config)
    }

    fn with_keys(options: &Options, keys: Keyspace, config: Config) -> Result<Engine, Error> {
        let running = Arc::new(Running::new(options.on_error == OnError::Keep));
        let scripts = Scripts::new(options, Arc::clone(&running))
            .map_err(|message| Error::Interpreter { message })?;
        let bells = Arc::new(Bells::default());
        let hosted = Arc::new(Registry::new(options.protocol));
        let server = Server::new(config);
        let shared = Shared {
            state: Mutex::new(Some(State::new(
                (keys, scripts, server),
                hosted,
                Arc::clone(&bells),
                options,
            ))),
            inside: AtomicUsize::new(0),
            running,
            dropped: Mutex::new(Vec::new()),
            abandoned: Mutex::new(Vec::new()),
            waits: Mutex::new(Vec::new()),
            turn: Condvar::new(),
            interrupt: Mutex::new(None),
            bells,
            options: options.clone(),
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
        let engine = Engine::with_keys(&self.shared.options, keys, config)?;
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
        script::stats::write(&stats, reply);
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

    /// Lets `SHUTDOWN` ask this program to end, which looks by [`Engine::shutdown_asked`] whether it
    /// is asked. Without this it is an error: the program is the host's.
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
        self.shared.enter(|state| state.server.shutdown = Shutdown::Awaited)
    }

    /// Whether the program is asked to end.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn shutdown_asked(&self) -> Result<bool, Error> {
        self.shared.enter(|state| state.server.shutdown == Shutdown::Asked)
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

/// A compiled script, run by handle. It outlives `SCRIPT FLUSH`, and reports
/// [`Error::Closed`] once its engine is closed.
#[derive(Debug)]
pub struct Script {
    shared: Arc<Shared>,
    id: ScriptId,
    sha: Sha1Hex,
}

impl Script {
    /// Runs the script as one atomic step.
    ///
    /// # Errors
    /// As [`Engine::eval`].
    pub fn run<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.reply(COMMON, None, Call::Run(self, &slices(keys), &slices(args)))
    }

    /// [`Script::run`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`Engine::eval_with`].
    pub fn run_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::Run(self, &keys, &args);
        self.shared.reply(COMMON, None, Call::Limited(limits, &call))
    }

    /// Runs the script and leaves the reply in the caller's buffer; see [`Engine::call`].
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn call(&self, keys: &[&[u8]], args: &[&[u8]], reply: &mut ReplyBuf) -> Result<(), Error> {
        self.shared.call(COMMON, None, Call::Run(self, keys, args), reply)
    }

    /// [`Script::call`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`Engine::call`]; [`Error::Options`] for limits under which nothing could run.
    pub fn call_with(
        &self,
        limits: &Limits,
        keys: &[&[u8]],
        args: &[&[u8]],
        reply: &mut ReplyBuf,
    ) -> Result<(), Error> {
        self.shared.call(COMMON, None, Call::Limited(limits, &Call::Run(self, keys, args)), reply)
    }

    /// The script's SHA-1 in 40 hexadecimal digits.
    pub fn sha1(&self) -> String {
        hex(&self.sha)
    }

    /// The protocol the script's engine was opened with.
    pub fn protocol(&self) -> Protocol {
        self.shared.options.protocol
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A number that tells threads apart: the address of something each has one of.
fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark) as usize)
}

/// Marks a thread as inside an engine for as long as it lives.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn mark(inside: &'a AtomicUsize, thread: usize) -> Self {
        inside.store(thread, Ordering::Relaxed);
        Inside(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Shared {
    /// Takes the lock in some way and works on the place of the state. Every way to the state leads
    /// through here: none is open to the thread that is inside, and a panic is the engine's end.
    #[inline]
    fn locked<'a, R>(
        &'a self,
        lock: impl FnOnce() -> Result<StateGuard<'a>, Error>,
        work: impl FnOnce(&mut Option<State>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let thread = this_thread();
        if self.inside.load(Ordering::Relaxed) == thread {
            return Err(Error::Reentrant);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut state = lock()?;
            let _inside = Inside::mark(&self.inside, thread);
            work(&mut state)
        }))
        .unwrap_or_else(|_| {
            // Nobody will serve them any more.
            self.end_all_waits();
            Err(Error::Poisoned)
        });
        self.bells.ring();
        result
    }

    /// Takes the lock, tells the keys the time and works on the state.
    fn enter<R>(&self, work: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        self.locked(|| self.lock(), |place| self.begin(place, work))
    }

    /// The same, when it is a session's turn to work on the keys.
    fn enter_as<R>(&self, id: usize, work: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        self.locked(|| self.wait_for_turn(id, self.lock()?), |place| self.begin(place, work))
    }

    /// The same, by a lock that the caller holds already.
    #[inline]
    fn enter_by<'a, R>(
        &'a self,
        id: usize,
        lock: StateGuard<'a>,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Error> {
        self.locked(|| self.wait_for_turn(id, lock), |place| self.begin(place, work))
    }

    #[inline]
    fn begin<R>(
        &self,
        place: &mut Option<State>,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<R, Error> {
        let state = place.as_mut().ok_or(Error::Closed)?;
        // A cancel stops what is running, never what begins later.
        self.running.begin_call();
        state.keys.clock().begin_call();
        Ok(work(state))
    }

    #[inline]
    fn lock(&self) -> Result<StateGuard<'_>, Error> {
        self.state.lock().map_err(|_| Error::Poisoned)
    }

    /// Holds the lock while no other session's transaction is open.
    #[inline]
    fn wait_for_turn<'a>(
        &'a self,
        id: usize,
        state: StateGuard<'a>,
    ) -> Result<StateGuard<'a>, Error> {
        match state.as_ref().map_or(Turn::Yes, |state| state.turn(id)) {
            Turn::Yes => Ok(state),
            Turn::Never => Err(Error::Busy),
            Turn::Wait => self.wait_longer(id, state),
        }
    }

    fn close(&self) -> Result<(), Error> {
        let drop_state = |place: &mut Option<State>| {
            if let Some(mut state) = place.take() {
                state.close_mailboxes();
            }
            Ok(())
        };
        self.locked(|| self.lock(), drop_state)?;
        self.end_all_waits();
        self.turn.notify_all();
        Ok(())
    }

    fn tick(&self, budget: Duration) -> Result<Tick, Error> {
        let start = Instant::now();
        self.enter_as(COMMON, |state| {
            if state.server.debug.expires_not() {
                return Tick { expired: 0, complete: true };
            }
            let (expired, complete) = state.keys.expire_due(|| start.elapsed() >= budget);
            state.settle();
            Tick { expired, complete }
        })
    }

    fn let_go_dropped(&self) -> Result<(), Error> {
        let dropped =
            std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        if dropped.is_empty() {
            return Ok(());
        }
        self.enter(|state| dropped.into_iter().for_each(|id| state.scripts.let_go(id)))
    }

    fn call(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), Error> {
        reply.clear();
        call.check_limits()?;
        let mut waits = None;
        self.enter_or_aside(id, busy, call, reply, |state, reply| {
            waits = self.note_wait(id, state.call(id, call, reply));
        })?;
        match waits {
            None => Ok(()),
            Some(waits) => self.wait(waits, reply),
        }
    }

    /// Makes a wait known to those who may end it, while the lock is still held.
    #[inline]
    fn note_wait(&self, id: usize, waits: Option<Waits>) -> Option<Waits> {
        let waits = waits?;
        self.waits().push((id, Arc::clone(&waits.ticket)));
        Some(waits)
    }

    /// Sleeps until a call is served, or its time is up.
    #[cold]
    fn wait(&self, mut waits: Waits, reply: &mut ReplyBuf) -> Result<(), Error> {
        loop {
            let outcome = self.sleep(&waits);
            match self.end_wait(&waits, outcome, reply)? {
                None => return Ok(()),
                Some(again) => waits = again,
            }
        }
    }

    /// Writes the reply of a call whose wait is over. One that was put off is made, and may wait
    /// for something else then.
    fn end_wait(
        &self,
        waits: &Waits,
        outcome: Outcome,
        reply: &mut ReplyBuf,
    ) -> Result<Option<Waits>, Error> {
        self.waits().retain(|(_, ticket)| !Arc::ptr_eq(ticket, &waits.ticket));
        if let Outcome::Served(served) = outcome {
            *reply = served;
            return Ok(None);
        }
        match self.enter(|state| state.end_pause(&waits.ticket, &outcome, reply))? {
            Replayed::Waits(session, waits) => return Ok(self.note_wait(session, Some(waits))),
            Replayed::Done => return Ok(None),
            Replayed::No => (),
        }
        match outcome {
            Outcome::Cancelled => reply.error(&CommandError::CANCELLED),
            _ => reply.null_array(),
        }
        Ok(None)
    }

    fn waits(&self) -> MutexGuard<'_, Vec<(usize, Arc<Ticket>)>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the waits of one session with an error, or those of all.
    fn cancel_waits(&self, session: Option<usize>) {
        let waits = self.waits();
        let meant = waits.iter().filter(|(id, _)| session.is_none_or(|session| session == *id));
        meant.for_each(|(_, ticket)| ticket.end(Outcome::Cancelled));
    }

    /// Wakes whoever waits: the engine is not there any more.
    fn end_all_waits(&self) {
        self.waits().iter().for_each(|(_, ticket)| ticket.end(Outcome::Closed));
    }

    /// Runs a command and returns its reply as RESP.
    fn resp(
        &self,
        id: usize,
        busy: Option<&Busy>,
        argv: &[&[u8]],
        protocol: Protocol,
    ) -> Result<Vec<u8>, Error> {
        let (mut reply, mut out) = (ReplyBuf::new(), Vec::new());
        self.call(id, busy, Call::Command(argv), &mut reply)?;
        resp::encode(&reply, protocol, &mut out);
        Ok(out)
    }

    /// Makes a call and returns its reply as a tree, or its error as one.
    fn reply(&self, id: usize, busy: Option<&Busy>, call: Call<'_>) -> Result<Reply, Error> {
        self.reply_in(id, busy, call, || self.options.protocol)
    }

    /// The same, in a protocol that the call may choose itself.
    fn reply_in(
        &self,
        id: usize,
        busy: Option<&Busy>,
        call: Call<'_>,
        protocol: impl FnOnce() -> Protocol,
    ) -> Result<Reply, Error> {
        let mut reply = ReplyBuf::new();
        self.call(id, busy, call, &mut reply)?;
        tree(reply, protocol())
    }
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

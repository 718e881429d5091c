//! What an engine is opened with; each option with its default and its reason.

use crate::error::Error;
use crate::reply::Protocol;
use std::path::PathBuf;
use std::time::Duration;

/// More databases than anybody uses; each takes some bytes even while it is empty.
const DATABASES_MOST: usize = 1 << 16;

/// What becomes of a script's writes when it ends in an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// They are undone: a script that fails leaves no trace.
    #[default]
    Rollback,
    /// They stay, as in Redis.
    Keep,
}

/// What `math.random` does in a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LuaRandom {
    /// It is an error that names this option: chance belongs into the arguments.
    #[default]
    Denied,
    /// The same sequence in every run, Redis's own.
    Seeded,
    /// That sequence, going on from run to run: what a Redis server does. A run is no longer
    /// repeatable by itself.
    Continued,
}

/// What a script's `false` becomes in the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LuaFalse {
    /// Null, as in Redis. A null reply is `false` in Lua, so a missing key stays a null.
    #[default]
    Nil,
    /// Integer 0, the counterpart of `true`, which is always integer 1.
    Integer,
}

/// Where the engine takes the time from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// The host's own: it starts here and moves by [`crate::Engine::advance_clock`] only.
    Manual {
        /// Milliseconds since 1970.
        start_ms: i64,
    },
}

/// Limits for the scripts of one call in place of the engine's own; see [`crate::Engine::eval_with`].
///
/// Each one that is not set is as the engine was opened with. They may be wider than the engine's,
/// too.
///
/// ```
/// use moonkv::{Engine, Limits};
/// use std::time::Duration;
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// let frame = Limits::default().timeout(Duration::from_millis(4)).instructions(1_000_000);
/// let error = engine.eval_with(&frame, "while true do end", &[""; 0], &[""; 0]).unwrap_err();
/// assert!(error.to_string().contains("limit"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    timeout: Option<Option<Duration>>,
    memory: Option<Option<usize>>,
    instructions: Option<Option<u64>>,
}

impl Limits {
    /// The longest the script may run, `None` for no limit; as [`Options::script_timeout`].
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Limits {
        self.timeout = Some(limit.into());
        self
    }

    /// The most memory it may add to the Lua heap, in bytes, `None` for no limit; as
    /// [`Options::script_memory`].
    pub fn memory(mut self, limit: impl Into<Option<usize>>) -> Limits {
        self.memory = Some(limit.into());
        self
    }

    /// The most Lua VM instructions it may execute, `None` for no limit; as
    /// [`Options::script_instructions`].
    pub fn instructions(mut self, limit: impl Into<Option<u64>>) -> Limits {
        self.instructions = Some(limit.into());
        self
    }

    /// The time limit, given the one that holds otherwise; likewise below.
    pub(crate) fn timeout_or(&self, otherwise: Option<Duration>) -> Option<Duration> {
        self.timeout.unwrap_or(otherwise)
    }

    pub(crate) fn memory_or(&self, otherwise: Option<usize>) -> Option<usize> {
        self.memory.unwrap_or(otherwise)
    }

    pub(crate) fn instructions_or(&self, otherwise: Option<u64>) -> Option<u64> {
        self.instructions.unwrap_or(otherwise)
    }

    /// Refuses limits under which no script could run.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_limits(self.timeout_or(None), self.memory_or(None), self.instructions_or(None))
    }
}

/// The same for an engine's and a call's.
fn check_limits(
    timeout: Option<Duration>,
    memory: Option<usize>,
    instructions: Option<u64>,
) -> Result<(), Error> {
    let refuse = |message: &str| Err(Error::Options { message: message.to_owned() });
    if timeout.is_some_and(|limit| limit.is_zero()) {
        return refuse("script_timeout must be longer than nothing, or none");
    }
    if memory.is_some_and(|limit| limit < 64 << 10) {
        return refuse("script_memory must be at least 65536 bytes, or none");
    }
    if instructions == Some(0) {
        return refuse("script_instructions must be at least 1, or none");
    }
    Ok(())
}

/// What an engine is opened with.
///
/// ```
/// use moonkv::{Engine, Options};
/// use std::time::Duration;
/// # fn main() -> Result<(), moonkv::Error> {
/// let mut options = Options::default();
/// options.script_timeout = Some(Duration::from_millis(20));
/// let engine = Engine::open(&options)?;
/// let error = engine.eval("while true do end", &[""; 0], &[""; 0]).unwrap_err();
/// assert!(error.to_string().contains("time limit of 20 ms"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What becomes of a failed script's writes; default [`OnError::Rollback`], because half a
    /// script is what nobody planned for.
    pub on_error: OnError,
    /// What `math.random` does; default [`LuaRandom::Denied`], so that a script gives the same
    /// result wherever it is replayed.
    pub lua_random: LuaRandom,
    /// What a script's `false` becomes; default [`LuaFalse::Nil`].
    pub lua_false: LuaFalse,
    /// The longest a script may run; default 5 seconds, `None` for no limit.
    pub script_timeout: Option<Duration>,
    /// The most memory a script may add to the Lua heap, in bytes; default 256 MiB, `None` for
    /// no limit. What was not yet collected counts.
    pub script_memory: Option<usize>,
    /// The most Lua VM instructions a script may execute, checked every thousand; default
    /// `None`. Unlike time the same on every machine.
    ///
    /// A call of a library's function is one instruction, whatever it does. Only a search for a
    /// pattern (`string.find`, `match`, `gmatch`, `gsub`) also counts its steps, and looks at the
    /// limits every 4,096 of them: up to as many are not counted when a script ends.
    pub script_instructions: Option<u64>,
    /// Whether the time that each script takes is kept for [`crate::Engine::script_stats`], beside
    /// the number of its runs and errors; default false, because the clock would be read twice in
    /// each run, which costs about as much as a short script.
    pub script_statistics: bool,
    /// Where the time comes from; default [`Clock::System`].
    pub clock: Clock,
    /// Parameters of `CONFIG SET` with their values, such as `hash-max-listpack-entries`; default
    /// none, which leaves them as Redis 7.0 has them.
    pub config: Vec<(String, String)>,
    /// How many databases there are, for SELECT; default 16.
    pub databases: usize,
    /// The directory in which `SAVE` and its like write files and from which
    /// [`crate::Engine::load`] reads; default `None`, because an embedded engine touches no file
    /// unless it is asked to: those commands are errors then. A relative path begins at what is the
    /// working directory as the engine is opened.
    pub directory: Option<PathBuf>,
    /// How long a call waits for the end of another session's transaction before it is
    /// [`Error::Busy`]; default 5 seconds, `None` for as long as it takes.
    pub busy_timeout: Option<Duration>,
    /// The shape of replies; default [`Protocol::Resp2`], what a Redis client gets unless it asks
    /// for more.
    pub protocol: Protocol,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on_error: OnError::Rollback,
            lua_random: LuaRandom::Denied,
            lua_false: LuaFalse::Nil,
            script_timeout: Some(Duration::from_millis(5000)),
            script_memory: Some(256 << 20),
            script_instructions: None,
            script_statistics: false,
            clock: Clock::System,
            config: Vec::new(),
            databases: 16,
            directory: None,
            busy_timeout: Some(Duration::from_millis(5000)),
            protocol: Protocol::Resp2,
        }
    }
}

impl Options {
    /// Redis's own settings: writes before an error stay, `math.random` is seeded.
    pub fn redis() -> Options {
        Options { on_error: OnError::Keep, lua_random: LuaRandom::Seeded, ..Options::default() }
    }

    /// The same for an engine that serves clients: its calls are timed, as Redis times them, for
    /// `SLOWLOG` and `LATENCY`, and what `math.random` gives goes on from script to script.
    pub fn server() -> Options {
        let timed = [("latency-tracking", "yes"), ("slowlog-log-slower-than", "10000")];
        let config = timed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Options { config, lua_random: LuaRandom::Continued, ..Options::redis() }
    }

    /// Refuses limits under which no script could run.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_limits(self.script_timeout, self.script_memory, self.script_instructions)?;
        if !(1..=DATABASES_MOST).contains(&self.databases) {
            return Err(Error::Options { message: "databases must be 1 to 65536".to_owned() });
        }
        Ok(())
    }
}

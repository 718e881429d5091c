//! `Engine`: the engine as a Python object. Each method turns its arguments into slices and calls
//! the engine while the interpreter's lock is free.

use crate::convert::{self, Argument, Sequence, Style, Text};
use crate::errors;
use crate::host::{Functions, Place};
use crate::limits::{Limit, limits};
use crate::listen::{Keywords, Listener};
use crate::log::Log;
use crate::profile::{self, Profile};
use crate::pubsub::PubSub;
use crate::script::Script;
use crate::session::Session;
use crate::transaction::Transaction;
use crate::wait::{detached, watch_signals};
use moonkv::{Call, Clock, HostCommand, LuaFalse, LuaRandom, OnError, Options, Protocol, ReplyBuf};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use smallvec::SmallVec;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An embedded engine: keys and values in this process, and the scripts that work on them.
///
/// All options are keywords:
///
/// * ``on_error``: what becomes of the writes of a script that ends in an error. ``"rollback"``
///   undoes them; ``"keep"`` leaves them, as Redis does.
/// * ``lua_random``: what ``math.random`` does in a script. ``"denied"`` makes it an error,
///   ``"seeded"`` gives the same sequence in every run, ``"continued"`` lets it go on from run
///   to run, as a Redis server does.
/// * ``lua_false``: what a script's ``false`` becomes. ``"nil"``: ``None``, as in Redis;
///   ``"integer"``: 0.
/// * ``script_timeout``: the longest a script may run, in seconds; ``None`` for no limit.
/// * ``script_memory``: the most memory a script may add to the Lua heap, in bytes (at least
///   65536); ``None`` for no limit.
/// * ``script_instructions``: the most Lua VM instructions a script may execute; ``None`` for no
///   limit.
/// * ``clock_start_ms``: if given, the engine's clock starts at so many milliseconds since 1970
///   and moves by :meth:`advance_clock` only; ``None`` follows the system's clock.
/// * ``databases``: how many databases there are, for ``SELECT``.
/// * ``directory``: where ``SAVE`` and its like write files and :meth:`load` reads; ``None`` for
///   nowhere: an engine touches no file unless it is asked to, so those are errors.
/// * ``busy_timeout``: how long a call waits for the end of another session's transaction before
///   it raises :class:`BusyError`, in seconds; ``None`` for as long as it takes.
/// * ``config``: a dict of parameters of ``CONFIG SET`` and their values, such as
///   ``{"hash-max-listpack-entries": 64}``.
/// * ``protocol``: 2 or 3, the RESP version that replies are shaped for. Under 2 a map is a flat
///   list and a double a string.
/// * ``decode_responses``: strings come back as ``str`` (UTF-8) instead of ``bytes``.
/// * ``script_statistics``: keep the time that scripts take, for :meth:`script_stats`.
///
/// An engine may be used from any thread. Calls on one engine are serialised; while one works or
/// waits, other Python threads run. Ctrl-C ends a call that waits for a key or for another
/// session's transaction. It does not interrupt a running script: that ends at its limits or by
/// :meth:`cancel` from another thread, and only then is ``KeyboardInterrupt`` raised.
/// After ``os.fork`` parent and child each have a copy; fork only while no other thread is inside
/// the engine, whose lock would stay taken in the child.
///
/// :raises OptionError: An option has no meaning.
///
/// >>> import moonkv
/// >>> with moonkv.Engine(decode_responses=True) as engine:
/// ...     engine.command("SET", "greeting", "hello")
/// ...     engine.eval("return redis.call('GET', KEYS[1]) .. ' ' .. ARGV[1]",
/// ...                 keys=["greeting"], args=["world"])
/// 'OK'
/// 'hello world'
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Engine {
    inner: moonkv::Engine,
    /// The buffer of the last call, for the next one; in a box, so that only its address moves.
    spare: Mutex<Option<Box<ReplyBuf>>>,
    log: Arc<Log>,
    functions: Functions,
    style: Style,
}

impl Engine {
    fn new(inner: moonkv::Engine, style: Style) -> Self {
        watch_signals(&inner);
        Engine {
            inner,
            spare: Mutex::new(None),
            log: Arc::default(),
            functions: Functions::default(),
            style,
        }
    }

    /// Makes one call and builds its reply.
    pub(crate) fn call<'py>(&self, py: Python<'py>, call: Call<'_>) -> PyResult<Bound<'py, PyAny>> {
        self.reply(py, |reply| self.inner.call(call, reply))
    }

    /// Builds the reply that a call leaves in a buffer.
    pub(crate) fn reply<'py>(
        &self,
        py: Python<'py>,
        call: impl FnOnce(&mut ReplyBuf) -> Result<(), moonkv::Error> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut reply = self.take_buffer();
        let built = match detached(py, || call(&mut reply)) {
            Ok(()) => self.style.reply(py, &reply),
            Err(error) => Err(error),
        };
        self.put_buffer(reply);
        built
    }

    /// Makes one call under limits of its own, if there are any.
    pub(crate) fn call_limited<'py>(
        &self,
        py: Python<'py>,
        limits: Option<&moonkv::Limits>,
        call: Call<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match limits {
            Some(limits) => self.call(py, Call::Limited(limits, &call)),
            None => self.call(py, call),
        }
    }

    /// Does something else on the engine.
    pub(crate) fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&moonkv::Engine) -> Result<T, moonkv::Error> + Send,
    ) -> PyResult<T> {
        detached(py, || work(&self.inner))
    }

    /// How replies look.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    // Two threads may want a buffer at once, and building a reply may run code that calls the
    // engine again: whoever finds none makes one.
    fn take_buffer(&self) -> Box<ReplyBuf> {
        self.spare.try_lock().ok().and_then(|mut spare| spare.take()).unwrap_or_default()
    }

    fn put_buffer(&self, buffer: Box<ReplyBuf>) {
        if let Ok(mut spare) = self.spare.try_lock() {
            *spare = Some(buffer);
        }
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(
        signature = (*, on_error = "rollback", lua_random = "denied", lua_false = "nil",
            script_timeout = Some(5.0), script_memory = Some(268_435_456),
            script_instructions = None, clock_start_ms = None, databases = 16,
            busy_timeout = Some(5.0), config = None, protocol = 2, decode_responses = false,
            script_statistics = false, directory = None),
        text_signature = "(*, on_error='rollback', lua_random='denied', lua_false='nil', \
            script_timeout=5.0, script_memory=268435456, script_instructions=None, \
            clock_start_ms=None, databases=16, busy_timeout=5.0, config=None, protocol=2, \
            decode_responses=False, script_statistics=False, directory=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords to Python")]
    fn open(
        py: Python<'_>,
        on_error: &str,
        lua_random: &str,
        lua_false: &str,
        script_timeout: Option<f64>,
        script_memory: Option<i64>,
        script_instructions: Option<i64>,
        clock_start_ms: Option<i64>,
        databases: i64,
        busy_timeout: Option<f64>,
        config: Option<Bound<'_, PyDict>>,
        protocol: i64,
        decode_responses: bool,
        script_statistics: bool,
        directory: Option<PathBuf>,
    ) -> PyResult<Self> {
        let mut options = Options::default();
        options.on_error = on_error_of(on_error)?;
        options.lua_random = lua_random_of(lua_random)?;
        options.lua_false = lua_false_of(lua_false)?;
        options.script_timeout =
            script_timeout.map(|limit| seconds("script_timeout", limit)).transpose()?;
        options.script_memory =
            script_memory.map(|limit| whole("script_memory", limit)).transpose()?;
        options.script_instructions =
            script_instructions.map(|limit| whole("script_instructions", limit)).transpose()?;
        options.clock = clock_start_ms.map_or(Clock::System, |start_ms| Clock::Manual { start_ms });
        options.databases = whole("databases", databases)?;
        options.busy_timeout =
            busy_timeout.map(|limit| seconds("busy_timeout", limit)).transpose()?;
        options.config = config.as_ref().map_or_else(|| Ok(Vec::new()), parameters)?;
        options.protocol = protocol_of(protocol)?;
        options.script_statistics = script_statistics;
        options.directory = directory;
        let style = Style { protocol: options.protocol, decode: decode_responses };
        let inner = py.detach(|| moonkv::Engine::open(&options)).map_err(errors::call)?;
        Ok(Engine::new(inner, style))
    }

    /// Runs a command: its name and arguments.
    ///
    /// An argument is ``bytes``, ``bytearray``, ``memoryview``, ``str`` (as UTF-8), ``int``
    /// (decimal digits) or ``float`` (the shortest digits that read back the same, as ``repr``
    /// writes them: ``0.1``, ``3.0``, ``1e+16``, ``inf``). Everything else is a ``TypeError``,
    /// ``bool`` and ``None`` too. ``bytes`` and ``str`` are not copied.
    ///
    /// What comes back:
    ///
    /// * string: ``bytes``, or ``str`` with ``decode_responses``; then bytes that are not UTF-8
    ///   raise ``UnicodeDecodeError``, after the command has taken effect
    /// * status: ``str``; integer: ``int``; null: ``None``; array: ``list``
    /// * an error inside an array: a :class:`ResponseError` instance, not raised
    /// * with ``protocol=3`` also map: ``dict``; set: ``set``; double: ``float``; boolean:
    ///   ``bool``; big number: ``int`` (``str`` if it is none); verbatim string: as string.
    ///   Where Python cannot hash an element, a set comes as a ``list`` and a map as a ``list``
    ///   of pairs.
    ///
    /// :raises ResponseError: The reply is an error.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.command("INCRBY", "n", 5)
    /// 5
    /// >>> engine.command("GET", b"n")
    /// b'5'
    /// >>> engine.command("INCR")
    /// Traceback (most recent call last):
    ///     ...
    /// moonkv.ResponseError: ERR wrong number of arguments for 'incr' command
    #[pyo3(signature = (*args), text_signature = "($self, *args)")]
    fn command<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        convert::lend(args, |argv| self.call(py, Call::Command(argv)))
    }

    /// Runs a script as one atomic step, and caches it by its SHA-1.
    ///
    /// :param script: The Lua text, ``str`` or ``bytes``.
    /// :param keys: KEYS: a tuple, a list or another iterable of arguments.
    /// :param args: ARGV, likewise.
    /// :param timeout: The longest it may run, in seconds; ``None`` for no limit, and ``...``, as
    ///     it is if not given, for the engine's own limit. Likewise:
    /// :param memory: The most memory it may add to the Lua heap, in bytes.
    /// :param instructions: The most Lua VM instructions it may execute.
    /// :return: The reply, as :meth:`command` describes.
    /// :raises ResponseError: The script does not compile or failed; by default nothing has
    ///     changed then.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.eval("return {KEYS[1], ARGV[1], 3}", ["key"], [0.1])
    /// [b'key', b'0.1', 3]
    #[pyo3(
        signature = (script, keys = Sequence::EMPTY, args = Sequence::EMPTY, *,
            timeout = Limit::Own, memory = Limit::Own, instructions = Limit::Own),
        text_signature = "($self, script, keys=(), args=(), *, timeout=..., memory=..., \
            instructions=...)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords to Python")]
    fn eval<'py>(
        &self,
        py: Python<'py>,
        script: Text<'_, 'py>,
        keys: Sequence<'py>,
        args: Sequence<'py>,
        timeout: Limit<f64>,
        memory: Limit<i64>,
        instructions: Limit<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = limits(timeout, memory, instructions)?;
        keys.lend_with(&args, |keys, args| {
            self.call_limited(py, limits.as_deref(), Call::Eval(script.as_bytes(), keys, args))
        })
    }

    /// Runs a cached script by its SHA-1 in hexadecimal digits.
    ///
    /// :param keys: KEYS, as in :meth:`eval`.
    /// :param args: ARGV, likewise.
    /// :param timeout: Likewise, as are the other limits for this one run:
    /// :param memory: In bytes.
    /// :param instructions: A number of them.
    /// :raises NoScriptError: No such script is cached.
    /// :raises ResponseError: The script failed.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> sha1 = engine.script_load("return #KEYS + #ARGV")
    /// >>> engine.evalsha(sha1, ["a", "b"], [1, 2, 3])
    /// 5
    #[pyo3(
        signature = (sha1, keys = Sequence::EMPTY, args = Sequence::EMPTY, *,
            timeout = Limit::Own, memory = Limit::Own, instructions = Limit::Own),
        text_signature = "($self, sha1, keys=(), args=(), *, timeout=..., memory=..., \
            instructions=...)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords to Python")]
    fn evalsha<'py>(
        &self,
        py: Python<'py>,
        sha1: Text<'_, 'py>,
        keys: Sequence<'py>,
        args: Sequence<'py>,
        timeout: Limit<f64>,
        memory: Limit<i64>,
        instructions: Limit<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = limits(timeout, memory, instructions)?;
        keys.lend_with(&args, |keys, args| {
            self.call_limited(py, limits.as_deref(), Call::EvalSha(sha1.as_bytes(), keys, args))
        })
    }

    /// Compiles and caches a script without running it; returns its SHA-1.
    ///
    /// :raises ResponseError: It does not compile.
    ///
    /// >>> import moonkv
    /// >>> moonkv.Engine().script_load("return 1")
    /// 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'
    #[pyo3(text_signature = "($self, script)")]
    fn script_load(&self, py: Python<'_>, script: Text<'_, '_>) -> PyResult<String> {
        let script = script.as_bytes();
        self.run(py, |engine| engine.script_load(script))
    }

    /// Tells of each SHA-1 whether its script is cached.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.script_exists(engine.script_load("return 1"), "0" * 40)
    /// [True, False]
    #[pyo3(signature = (*sha1s), text_signature = "($self, *sha1s)")]
    fn script_exists<'py>(
        &self,
        py: Python<'py>,
        sha1s: &Bound<'py, PyTuple>,
    ) -> PyResult<Vec<bool>> {
        let texts: SmallVec<[Text<'_, '_>; 4]> =
            sha1s.iter_borrowed().map(Text::extract).collect::<PyResult<_>>()?;
        let sha1s: SmallVec<[&[u8]; 4]> = texts.iter().map(Text::as_bytes).collect();
        self.run(py, |engine| engine.script_exists(&sha1s))
    }

    /// Empties the script cache. Prepared scripts stay usable.
    #[pyo3(text_signature = "($self)")]
    fn script_flush(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, moonkv::Engine::script_flush)
    }

    /// What became of the runs of each script that is cached or prepared, and of each function: a
    /// list of dicts with ``name`` (its SHA-1, or the function's name), ``library``, ``runs``,
    /// ``errors``, ``total`` and ``worst`` (seconds, ``None`` unless the engine was opened with
    /// ``script_statistics``), ``last_error`` (its text) and ``last_error_ms``.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.eval("return 1")
    /// 1
    /// >>> [(script["runs"], script["errors"]) for script in engine.script_stats()]
    /// [(1, 0)]
    #[pyo3(text_signature = "($self)")]
    fn script_stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let stats = self.run(py, moonkv::Engine::script_stats)?;
        stats.iter().map(|script| profile::stats(py, script)).collect()
    }

    /// Counts what :meth:`script_stats` tells from zero again.
    #[pyo3(text_signature = "($self)")]
    fn reset_script_stats(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, moonkv::Engine::reset_script_stats)
    }

    /// Runs a script as :meth:`eval` does, and tells where its time went. It takes several times as
    /// long meanwhile; what looking costs is left out of the times. An error of the script is in the
    /// :class:`Profile` rather than raised.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> profile = engine.profile("return redis.call('INCR', KEYS[1])", ["n"])
    /// >>> profile.result
    /// 1
    /// >>> "main:1;redis.call INCR" in profile.collapsed()
    /// True
    #[pyo3(
        signature = (script, keys = Sequence::EMPTY, args = Sequence::EMPTY),
        text_signature = "($self, script, keys=(), args=())"
    )]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        script: Text<'_, 'py>,
        keys: Sequence<'py>,
        args: Sequence<'py>,
    ) -> PyResult<Profile> {
        let mut made = moonkv::Profile::default();
        let script = script.as_bytes();
        let reply = keys.lend_with(&args, |keys, args| {
            self.reply(py, |buffer| {
                let outcome;
                (outcome, made) = self.inner.profile_into(script, keys, args, buffer);
                outcome
            })
        });
        Profile::new(py, made, reply)
    }

    /// Compiles a script and returns a :class:`Script` to call, the fastest way to run one often.
    ///
    /// :raises ResponseError: It does not compile.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    /// >>> add(["n"], [2])
    /// 2
    /// >>> engine.script_flush()
    /// >>> add(keys=["n"], args=[3])
    /// 5
    #[pyo3(text_signature = "($self, script)")]
    fn prepare(slf: &Bound<'_, Self>, script: Text<'_, '_>) -> PyResult<Script> {
        let script = script.as_bytes();
        let inner = slf.get().run(slf.py(), |engine| engine.prepare(script))?;
        Ok(Script::new(slf.clone().unbind(), inner))
    }

    /// Opens a :class:`Session`: what a connection is to a server, with a selected database,
    /// ``MULTI`` and ``WATCH``, and transactions of its own.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> with engine.session() as session:
    /// ...     session.command("SELECT", 1)
    /// ...     session.command("DBSIZE")
    /// 'OK'
    /// 0
    #[pyo3(text_signature = "($self)")]
    fn session(slf: &Bound<'_, Self>) -> PyResult<Session> {
        Session::open(slf)
    }

    /// Listens on sockets, on a thread of its own: any Redis client can call the engine then, and
    /// works on the same keys as this process.
    ///
    /// :param host: The address to listen on. Nobody can reach the default from elsewhere.
    /// :param port: The TCP port; 0 picks one that is free, see :attr:`Listener.port`. ``None``
    ///     for no TCP at all.
    /// :param unix: The path of a Unix socket.
    /// :param unix_permissions: Those of that file, such as ``0o700``.
    /// :param password: What clients have to give first.
    /// :param exposed: Lets others than this machine's own connect without a password; otherwise an
    ///     address that they can reach is an error unless a password is set.
    /// :raises MoonkvError: An address cannot be had, or must not be.
    ///
    /// >>> import moonkv
    /// >>> with moonkv.Engine() as engine, engine.listen() as listener:
    /// ...     listener.port > 0
    /// True
    #[pyo3(
        signature = (host = "127.0.0.1", port = Some(0), *, unix = None, unix_permissions = None,
            password = None, exposed = false),
        text_signature = "($self, host='127.0.0.1', port=0, *, unix=None, unix_permissions=None, \
            password=None, exposed=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords to Python")]
    fn listen(
        &self,
        py: Python<'_>,
        host: &str,
        port: Option<u16>,
        unix: Option<PathBuf>,
        unix_permissions: Option<u32>,
        password: Option<String>,
        exposed: bool,
    ) -> PyResult<Listener> {
        let host = host.to_owned();
        let how = Keywords { host, port, unix, unix_permissions, password, exposed };
        Listener::open(py, self, how)
    }

    /// Opens a :class:`PubSub`, which listens to channels.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine(decode_responses=True)
    /// >>> with engine.pubsub() as news:
    /// ...     news.subscribe("news")
    /// ...     engine.command("PUBLISH", "news", "hello")
    /// ...     news.get_message()["data"]
    /// 1
    /// 'hello'
    #[pyo3(text_signature = "($self)")]
    fn pubsub(slf: &Bound<'_, Self>) -> PyResult<PubSub> {
        PubSub::open(slf)
    }

    /// A transaction in a session of its own, as a context manager: committed at the end of the
    /// ``with`` block, rolled back by an exception. Calls of others wait meanwhile, and those of
    /// this thread that do not go through the session raise :class:`BusyError`.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> with engine.transaction() as session:
    /// ...     session.command("SET", "gold", 10)
    /// ...     session.command("INCRBY", "gold", 5)
    /// 'OK'
    /// 15
    #[pyo3(text_signature = "($self)")]
    fn transaction(slf: &Bound<'_, Self>) -> PyResult<Transaction> {
        Transaction::on(slf)
    }

    /// Stops the script that is running, if one is, and ends the calls that wait for a key; to be
    /// called from another thread or from the log callback. They end with a
    /// :class:`ResponseError`. Does not wait.
    #[pyo3(text_signature = "($self)")]
    fn cancel(&self) {
        self.inner.cancel();
    }

    /// Removes keys past their deadline, for at most about ``budget`` seconds. Without it such
    /// keys go when they are next asked for.
    ///
    /// :return: ``Tick(expired, complete)``: how many keys were removed, and whether nothing
    ///     more was due (``False``: the time was up first).
    /// :raises OptionError: The budget is negative or no number.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine(clock_start_ms=0)
    /// >>> engine.command("SET", "session", "x", "PX", 100)
    /// 'OK'
    /// >>> engine.advance_clock(101)
    /// 101
    /// >>> engine.tick(budget=0.001)
    /// Tick(expired=1, complete=True)
    #[pyo3(signature = (budget), text_signature = "($self, budget)")]
    fn tick<'py>(&self, py: Python<'py>, budget: f64) -> PyResult<Bound<'py, PyAny>> {
        let budget = seconds("budget", budget)?;
        let tick = self.run(py, |engine| engine.tick(budget))?;
        tick_class(py)?.call1((tick.expired, tick.complete))
    }

    /// Moves the engine's own clock forward; returns its time in milliseconds since 1970.
    ///
    /// :param milliseconds: By how much, 0 or more.
    /// :raises OptionError: The engine follows the system's clock (it was opened without
    ///     ``clock_start_ms``), or the step is negative or too large.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine(clock_start_ms=1_000_000)
    /// >>> engine.advance_clock(500)
    /// 1000500
    #[pyo3(signature = (milliseconds), text_signature = "($self, milliseconds)")]
    fn advance_clock(&self, py: Python<'_>, milliseconds: i64) -> PyResult<i64> {
        let step = whole("milliseconds", milliseconds)?;
        self.run(py, |engine| engine.advance_clock(step))
    }

    /// Reads a file of all data, as ``SAVE`` or a Redis server wrote it, in place of what the engine
    /// holds. A damaged file changes nothing.
    ///
    /// :param path: The file, ``str`` or :class:`os.PathLike`; ``None`` for the parameter
    ///     ``dbfilename`` in the engine's ``directory``.
    /// :return: How many keys the file has; ``None`` if there is no such file.
    /// :raises ResponseError: Why it was not read, or that there is no directory.
    ///
    /// >>> import moonkv, tempfile
    /// >>> with tempfile.TemporaryDirectory() as directory:
    /// ...     game = moonkv.Engine(directory=directory)
    /// ...     game.command("SET", "gold", 10)
    /// ...     game.command("SAVE")
    /// ...     later = moonkv.Engine(directory=directory)
    /// ...     later.load()
    /// ...     later.command("GET", "gold")
    /// 'OK'
    /// 'OK'
    /// 1
    /// b'10'
    #[pyo3(signature = (path = None), text_signature = "($self, path=None)")]
    fn load(&self, py: Python<'_>, path: Option<PathBuf>) -> PyResult<Option<u64>> {
        self.run(py, |engine| match path {
            Some(path) => engine.load_from(path),
            None => engine.load(),
        })
    }

    /// Directs ``redis.log`` of scripts to a callback; with ``None``, as at first, it is silent.
    ///
    /// The callback is called as ``callback(level, message)``: ``level`` is 0 (debug), 1
    /// (verbose), 2 (notice) or 3 (warning), ``message`` is ``bytes``. It runs in the thread that
    /// runs the script, in the middle of the script: it may call :meth:`cancel`, but any other
    /// call on the same engine raises :class:`ReentrantError`, and it must not wait for a thread
    /// that uses the engine. What it raises does not reach the script or its caller but goes to
    /// ``sys.unraisablehook``, which prints it; a ``KeyboardInterrupt`` too.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.set_log(lambda level, message: print(level, message))
    /// >>> engine.eval("redis.log(redis.LOG_WARNING, 'almost full')")
    /// 3 b'almost full'
    #[pyo3(signature = (callback), text_signature = "($self, callback)")]
    fn set_log(&self, py: Python<'_>, callback: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(callback) = callback.as_ref().filter(|callback| !callback.is_callable()) {
            let kind = callback.get_type().name()?;
            let message = format!("the callback must be callable or None, not {kind}");
            return Err(PyTypeError::new_err(message));
        }
        let sink = callback.as_ref().map(|_| self.log.sink());
        self.run(py, |engine| engine.set_log(sink))?;
        self.log.set(callback.map(Bound::unbind));
        Ok(())
    }

    /// Registers a function as a command: scripts reach it by ``redis.call``, all others by its
    /// name. A function of the same name is replaced.
    ///
    /// The function is called with the arguments behind the name, as strings come back from
    /// :meth:`command`. What it returns is the reply: ``None``, ``bool``, ``int``, ``float``,
    /// ``str``, ``bytes``, and lists, tuples, sets and dicts of these. What it raises is an error
    /// of the call: the text of a :class:`ResponseError`, or the exception's name and text.
    ///
    /// To run commands it is a generator: what it yields, a tuple or list, is run as a command, and
    /// ``yield`` gives its reply or raises its error. What these commands do is part of the atomic
    /// step of whoever called the function, and is undone if it raises. Calls on the engine itself
    /// raise :class:`ReentrantError` meanwhile, except :meth:`cancel`; and the function must not
    /// wait for a thread that uses the engine.
    ///
    /// :param name: 1 to 64 printable ASCII characters, without spaces and ``|``; the names of the
    ///     engine's own commands are refused.
    /// :param arity: How many arguments it takes, the name counted; negative: so many or more.
    /// :param flags: Redis's flags with spaces between: ``write`` or ``readonly``, and any of
    ///     ``denyoom``, ``fast``, ``noscript``, ``admin`` and ``no_mandatory_keys``. Without
    ///     ``write`` the commands that it runs may not write either.
    /// :param keys: Where its keys are: first, last (negative: from the end) and step.
    /// :raises OptionError: One of these makes no sense.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> def spawn(area, monster):
    /// ...     if monster == b"dragon":
    /// ...         raise moonkv.ResponseError("NODRAGONS in this game")
    /// ...     return (yield "RPUSH", area, monster)
    /// >>> engine.register("GAME.SPAWN", spawn, arity=3, keys=(1, 1, 1))
    /// >>> engine.eval("return redis.call('GAME.SPAWN', KEYS[1], ARGV[1])", ["cave"], ["rat"])
    /// 1
    #[pyo3(
        signature = (name, function, *, arity = -1, flags = "write", keys = (0, 0, 0)),
        text_signature = "($self, name, function, *, arity=-1, flags='write', keys=(0, 0, 0))"
    )]
    fn register(
        &self,
        py: Python<'_>,
        name: &str,
        function: &Bound<'_, PyAny>,
        arity: i64,
        flags: &str,
        keys: (i32, i32, i32),
    ) -> PyResult<()> {
        if !function.is_callable() {
            let kind = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("the function must be callable, not {kind}")));
        }
        let (first, last, step) = keys;
        let command = HostCommand::new(name).arity(arity).flags(flags).keys(first, last, step);
        let place = Place::new(function.clone().unbind());
        let (held, style) = (Arc::clone(&place), self.style);
        self.run(py, |engine| engine.register(command, move |call| held.run(call, style)))?;
        self.functions.insert(name, place);
        Ok(())
    }

    /// Takes back what :meth:`register` did; ``False`` if there is no function of this name.
    #[pyo3(signature = (name), text_signature = "($self, name)")]
    fn unregister(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let was_there = self.run(py, |engine| engine.unregister(name))?;
        self.functions.remove(name);
        Ok(was_there)
    }

    /// Opens a second engine with the same options and a copy of all keys, cheaply: what both
    /// hold is shared until one changes it. Cached scripts, registered
    /// functions and the log callback are not copied.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.command("SET", "gold", 10)
    /// 'OK'
    /// >>> what_if = engine.fork()
    /// >>> what_if.command("DECRBY", "gold", 7)
    /// 3
    /// >>> engine.command("GET", "gold")
    /// b'10'
    #[pyo3(text_signature = "($self)")]
    fn fork(&self, py: Python<'_>) -> PyResult<Engine> {
        let inner = self.run(py, moonkv::Engine::fork)?;
        Ok(Engine::new(inner, self.style))
    }

    /// Closes the engine at once and frees its data; waits for a call that is under way. Every
    /// later call raises :class:`ClosedError`, except ``close`` and ``cancel``.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> engine.close()
    /// >>> engine.command("PING")
    /// Traceback (most recent call last):
    ///     ...
    /// moonkv.ClosedError: the engine is closed
    #[pyo3(text_signature = "($self)")]
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, moonkv::Engine::close)?;
        self.log.set(None);
        self.functions.clear();
        Ok(())
    }

    /// Returns the engine itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the engine.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.log.traverse(&visit)?;
        self.functions.traverse(&visit)
    }

    fn __clear__(&self) {
        self.log.set(None);
        self.functions.clear();
    }
}

/// The class of what `tick` returns: a named tuple.
pub(crate) fn tick_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let keywords = PyDict::new(py);
        keywords.set_item("module", "moonkv")?;
        let namedtuple = py.import("collections")?.getattr("namedtuple")?;
        let class = namedtuple.call(("Tick", ["expired", "complete"]), Some(&keywords))?;
        class.setattr("__doc__", "What a tick did: keys removed, and whether none was left.")?;
        Ok::<_, PyErr>(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// The parameters and their values, which may be numbers.
fn parameters(config: &Bound<'_, PyDict>) -> PyResult<Vec<(String, String)>> {
    let pair = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let value: Argument<'_, '_> = Argument::extract(value.as_borrowed())?;
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok((name.extract()?, value))
    };
    config.iter().map(pair).collect()
}

fn unknown(name: &str, value: &str, words: &str) -> PyErr {
    errors::option(format!("{name} must be {words}, not '{value}'"))
}

fn on_error_of(value: &str) -> PyResult<OnError> {
    match value {
        "rollback" => Ok(OnError::Rollback),
        "keep" => Ok(OnError::Keep),
        _ => Err(unknown("on_error", value, "'rollback' or 'keep'")),
    }
}

fn lua_random_of(value: &str) -> PyResult<LuaRandom> {
    match value {
        "denied" => Ok(LuaRandom::Denied),
        "seeded" => Ok(LuaRandom::Seeded),
        "continued" => Ok(LuaRandom::Continued),
        _ => Err(unknown("lua_random", value, "'denied', 'seeded' or 'continued'")),
    }
}

fn lua_false_of(value: &str) -> PyResult<LuaFalse> {
    match value {
        "nil" => Ok(LuaFalse::Nil),
        "integer" => Ok(LuaFalse::Integer),
        _ => Err(unknown("lua_false", value, "'nil' or 'integer'")),
    }
}

fn protocol_of(value: i64) -> PyResult<Protocol> {
    match value {
        2 => Ok(Protocol::Resp2),
        3 => Ok(Protocol::Resp3),
        _ => Err(errors::option(format!("protocol must be 2 or 3, not {value}"))),
    }
}

pub(crate) fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| errors::option(format!("{name} must be a number of seconds: {error}")))
}

/// A number that must not be negative.
pub(crate) fn whole<T: TryFrom<i64>>(name: &str, value: i64) -> PyResult<T> {
    T::try_from(value).map_err(|_| errors::option(format!("{name} must be 0 or more, not {value}")))
}

//! `Session`: one who calls an engine with a state of its own.

use crate::convert::{self, Sequence, Text};
use crate::engine::Engine;
use crate::errors;
use crate::limits::{Limit, limits};
use crate::script::Script;
use crate::transaction::{Savepoint, Transaction};
use crate::wait::detached;
use moonkv::Call;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One who calls an engine with a state of its own, as a connection does a server; made by
/// :meth:`Engine.session`.
///
/// The selected database (``SELECT``), the commands that ``MULTI`` has begun to queue, the keys
/// of ``WATCH`` and the open transaction are a session's own. It may be used from any thread; as
/// a rule each thread has its own. As a context manager it closes itself at the end.
///
/// Commands that wait for a key, such as ``BLPOP``, let other Python threads and other users of
/// the engine go on. Ctrl-C ends them: ``KeyboardInterrupt`` is raised within a tenth of a
/// second.
///
/// >>> import moonkv
/// >>> engine = moonkv.Engine(decode_responses=True)
/// >>> with engine.session() as session:
/// ...     session.command("MULTI")
/// ...     session.command("RPUSH", "jobs", "a", "b")
/// ...     session.command("LPOP", "jobs")
/// ...     session.command("EXEC")
/// 'OK'
/// 'QUEUED'
/// 'QUEUED'
/// [2, 'a']
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Session {
    engine: Py<Engine>,
    /// None once closed. Taken for a moment only.
    inner: Mutex<Option<Arc<moonkv::Session>>>,
}

impl Session {
    pub(crate) fn open(engine: &Bound<'_, Engine>) -> PyResult<Session> {
        let inner = engine.get().run(engine.py(), moonkv::Engine::session)?;
        let inner = Mutex::new(Some(Arc::new(inner)));
        Ok(Session { engine: engine.clone().unbind(), inner })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<moonkv::Session>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> PyResult<Arc<moonkv::Session>> {
        self.lock().clone().ok_or_else(errors::session_closed)
    }

    /// Makes one call and builds its reply.
    fn call<'py>(&self, py: Python<'py>, call: Call<'_>) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.inner()?;
        let reply = self.engine.get().reply(py, |buffer| inner.call(call, buffer));
        release(py, inner);
        reply
    }

    /// Makes one call under limits of its own, if there are any.
    fn call_limited<'py>(
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

    /// Does something else on the session.
    pub(crate) fn act<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&moonkv::Session) -> Result<T, moonkv::Error> + Send,
    ) -> PyResult<T> {
        let inner = self.inner()?;
        let done = detached(py, || work(&inner));
        release(py, inner);
        done
    }
}

/// Lets go of a session without the interpreter's lock: the last to do so takes the engine's,
/// whose holder may be waiting for the interpreter's to log something.
fn release(py: Python<'_>, session: Arc<moonkv::Session>) {
    if let Some(last) = Arc::into_inner(session) {
        py.detach(|| drop(last));
    }
}

#[pymethods]
impl Session {
    /// Runs a command: its name and arguments; see :meth:`Engine.command`.
    ///
    /// >>> import moonkv
    /// >>> session = moonkv.Engine().session()
    /// >>> session.command("SELECT", 3)
    /// 'OK'
    /// >>> session.command("INCR", "n")
    /// 1
    #[pyo3(signature = (*args), text_signature = "($self, *args)")]
    fn command<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        convert::lend(args, |argv| self.call(py, Call::Command(argv)))
    }

    /// Runs a script as one atomic step, as :meth:`Engine.eval` does; after ``MULTI`` it is
    /// queued. In a transaction a script that fails undoes only what it did itself.
    ///
    /// :param timeout: As in :meth:`Engine.eval`: limits for this one run. After ``MULTI`` a
    ///     script with limits is refused, as they are not queued.
    /// :param memory: Likewise.
    /// :param instructions: Likewise.
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

    /// Runs a cached script by its SHA-1, as :meth:`Engine.evalsha` does; after ``MULTI`` it is
    /// queued. Limits are those of :meth:`eval`.
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

    /// Runs a prepared :class:`Script` of the same engine; after ``MULTI`` it is queued. Limits are
    /// those of :meth:`eval`.
    ///
    /// :raises OptionError: The script is another engine's.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    /// >>> engine.session().run(add, ["n"], [2])
    /// 2
    #[pyo3(
        signature = (script, keys = Sequence::EMPTY, args = Sequence::EMPTY, *,
            timeout = Limit::Own, memory = Limit::Own, instructions = Limit::Own),
        text_signature = "($self, script, keys=(), args=(), *, timeout=..., memory=..., \
            instructions=...)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords to Python")]
    fn run<'py>(
        &self,
        py: Python<'py>,
        script: &Bound<'py, Script>,
        keys: Sequence<'py>,
        args: Sequence<'py>,
        timeout: Limit<f64>,
        memory: Limit<i64>,
        instructions: Limit<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = limits(timeout, memory, instructions)?;
        let script = script.get().inner();
        keys.lend_with(&args, |keys, args| {
            self.call_limited(py, limits.as_deref(), Call::Run(script, keys, args))
        })
    }

    /// A transaction as a context manager: it begins at the start of the ``with`` block, is
    /// committed at its end and rolled back by an exception. The block may also end it itself, by
    /// :meth:`rollback` or :meth:`commit`. Calls of others wait meanwhile.
    ///
    /// >>> import moonkv
    /// >>> session = moonkv.Engine().session()
    /// >>> with session.transaction():
    /// ...     session.command("SET", "gold", 10)
    /// 'OK'
    /// >>> with session.transaction():
    /// ...     session.command("DECRBY", "gold", 7)
    /// ...     raise LookupError("no such shop")
    /// Traceback (most recent call last):
    ///     ...
    /// LookupError: no such shop
    /// >>> session.command("GET", "gold")
    /// b'10'
    #[pyo3(text_signature = "($self)")]
    fn transaction(slf: Py<Self>) -> Transaction {
        Transaction::of(slf)
    }

    /// Begins a transaction, to be ended by :meth:`commit` or :meth:`rollback`; better use
    /// :meth:`transaction`.
    ///
    /// :raises TransactionError: One is open already, or ``MULTI`` has begun to queue commands.
    /// :raises BusyError: Another session's transaction did not end within ``busy_timeout``, or
    ///     is held by this very thread.
    #[pyo3(text_signature = "($self)")]
    pub(crate) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        self.act(py, moonkv::Session::begin)
    }

    /// Ends the transaction; its changes stay.
    ///
    /// :raises TransactionError: None is open.
    #[pyo3(text_signature = "($self)")]
    pub(crate) fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.act(py, moonkv::Session::commit)
    }

    /// Ends the transaction and undoes all it did.
    ///
    /// :raises TransactionError: None is open.
    #[pyo3(text_signature = "($self)")]
    pub(crate) fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.act(py, moonkv::Session::rollback)
    }

    /// Whether a transaction is open.
    #[pyo3(text_signature = "($self)")]
    pub(crate) fn in_transaction(&self, py: Python<'_>) -> PyResult<bool> {
        self.act(py, moonkv::Session::in_transaction)
    }

    /// Sets a savepoint in the transaction. Savepoints nest.
    ///
    /// As a context manager it undoes what an exception leaves half done, and is released at the
    /// end of the block.
    ///
    /// :raises TransactionError: No transaction is open.
    ///
    /// >>> import moonkv
    /// >>> session = moonkv.Engine().session()
    /// >>> with session.transaction():
    /// ...     session.command("RPUSH", "log", "kept")
    /// ...     with session.savepoint() as before:
    /// ...         session.command("RPUSH", "log", "dropped")
    /// ...         before.rollback()
    /// 1
    /// 2
    /// >>> session.command("LRANGE", "log", 0, -1)
    /// [b'kept']
    #[pyo3(text_signature = "($self)")]
    fn savepoint(slf: Py<Self>, py: Python<'_>) -> PyResult<Savepoint> {
        Savepoint::set(py, slf)
    }

    /// Ends the call of this session that waits for a key, if there is one: it raises
    /// :class:`ResponseError`. To be called from another thread; does not wait.
    #[pyo3(text_signature = "($self)")]
    fn cancel(&self) {
        if let Some(inner) = &*self.lock() {
            inner.cancel();
        }
    }

    /// Closes the session: what it queued is dropped, what it began is rolled back, a call that
    /// waits ends. Every later call raises :class:`ClosedError`, except ``close`` and ``cancel``.
    #[pyo3(text_signature = "($self)")]
    pub(crate) fn close(&self, py: Python<'_>) {
        let inner = self.lock().take();
        if let Some(inner) = inner {
            inner.cancel();
            release(py, inner);
        }
    }

    /// Returns the session itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the session.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        self.close(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let inner = self.lock().take();
        if let Some(inner) = inner {
            // Without an interpreter it simply goes.
            let _ = Python::try_attach(|py| release(py, inner));
        }
    }
}

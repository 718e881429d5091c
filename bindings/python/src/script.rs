//! `Script`: a compiled script, run by handle.

use crate::convert::Sequence;
use crate::engine::Engine;
use crate::limits::{Limit, limits};
use moonkv::Call;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

/// A compiled script, made by [`Engine.prepare`]; call it to run it.
///
/// It keeps its engine alive, outlives ``script_flush`` and raises
/// :class:`ClosedError` once the engine is closed. It may be called from any thread.
///
/// >>> import moonkv
/// >>> engine = moonkv.Engine()
/// >>> take = engine.prepare('''
/// ...     local left = tonumber(redis.call('GET', KEYS[1]))
/// ...     if left < tonumber(ARGV[1]) then return redis.error_reply('SOLDOUT only ' .. left) end
/// ...     return redis.call('DECRBY', KEYS[1], ARGV[1])
/// ... ''')
/// >>> engine.command("SET", "stock:apple", 3)
/// 'OK'
/// >>> take(["stock:apple"], [2])
/// 1
/// >>> take(["stock:apple"], [2])
/// Traceback (most recent call last):
///     ...
/// moonkv.ResponseError: SOLDOUT only 1
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Script {
    engine: Py<Engine>,
    inner: moonkv::Script,
}

impl Script {
    pub(crate) fn new(engine: Py<Engine>, inner: moonkv::Script) -> Self {
        Script { engine, inner }
    }

    pub(crate) fn inner(&self) -> &moonkv::Script {
        &self.inner
    }
}

#[pymethods]
impl Script {
    /// Runs the script as one atomic step.
    ///
    /// :param keys: KEYS: a tuple, a list or another iterable of arguments.
    /// :param args: ARGV, likewise.
    /// :param timeout: As in :meth:`Engine.eval`: limits for this one run.
    /// :param memory: Likewise.
    /// :param instructions: Likewise.
    /// :return: The reply, as :meth:`Engine.command` describes.
    /// :raises ResponseError: The script failed; by default nothing has changed then.
    #[pyo3(
        signature = (keys = Sequence::EMPTY, args = Sequence::EMPTY, *, timeout = Limit::Own,
            memory = Limit::Own, instructions = Limit::Own)
    )]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        keys: Sequence<'py>,
        args: Sequence<'py>,
        timeout: Limit<f64>,
        memory: Limit<i64>,
        instructions: Limit<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = limits(timeout, memory, instructions)?;
        keys.lend_with(&args, |keys, args| {
            let call = Call::Run(&self.inner, keys, args);
            self.engine.get().call_limited(py, limits.as_deref(), call)
        })
    }

    /// The script's SHA-1, 40 hexadecimal digits: what ``evalsha`` takes.
    #[getter]
    fn sha1(&self) -> String {
        self.inner.sha1()
    }

    fn __repr__(&self) -> String {
        format!("<moonkv.Script {}>", self.inner.sha1())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }
}

//! `PubSub`: messages of channels, to ask for or to wait for.

use crate::convert::{Arguments, Style};
use crate::engine::Engine;
use crate::errors;
use crate::wait::detached;
use moonkv::{Message, Subscription};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait at most before signals are looked at.
const SLICE: Duration = Duration::from_millis(50);

/// What a listener calls on the engine's side.
type Change = fn(&Subscription, &[&[u8]]) -> Result<(), moonkv::Error>;

/// One who listens to channels; made by :meth:`Engine.pubsub`.
///
/// Messages are dictionaries as redis-py has them; the confirmations of ``subscribe`` are not among
/// them. What a script or transaction publishes comes once that is over, and not at all if it is
/// undone. May be used from any thread. As a context manager it closes itself at the end.
///
/// >>> import moonkv
/// >>> engine = moonkv.Engine(decode_responses=True)
/// >>> with engine.pubsub() as news:
/// ...     news.subscribe("news")
/// ...     news.psubscribe("user:*")
/// ...     engine.command("PUBLISH", "user:7", "hello")
/// ...     news.get_message()
/// 1
/// {'type': 'pmessage', 'pattern': 'user:*', 'channel': 'user:7', 'data': 'hello'}
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct PubSub {
    engine: Py<Engine>,
    /// None once closed. Taken for a moment only.
    inner: Mutex<Option<Arc<Subscription>>>,
}

impl PubSub {
    pub(crate) fn open(engine: &Bound<'_, Engine>) -> PyResult<PubSub> {
        let inner = engine.get().run(engine.py(), moonkv::Engine::subscription)?;
        let inner = Mutex::new(Some(Arc::new(inner)));
        Ok(PubSub { engine: engine.clone().unbind(), inner })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Subscription>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> PyResult<Arc<Subscription>> {
        self.lock().clone().ok_or_else(errors::pubsub_closed)
    }

    fn change(&self, py: Python<'_>, names: &Bound<'_, PyTuple>, change: Change) -> PyResult<()> {
        let inner = self.inner()?;
        let names = Arguments::of(names)?;
        let slices = names.slices();
        let done = detached(py, || change(&inner, &slices));
        release(py, inner);
        done
    }

    /// Waits for a message, at most until a time, and with an eye on Ctrl-C.
    fn wait(&self, py: Python<'_>, until: Option<Instant>) -> PyResult<Option<Message>> {
        loop {
            let inner = self.inner()?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let message = py.detach(|| inner.message(Some(slice)));
            let is_over = inner.is_closed() || left.is_some_and(|left| left <= slice);
            release(py, inner);
            py.check_signals()?;
            if message.is_some() || is_over {
                return Ok(message);
            }
        }
    }

    fn style(&self) -> Style {
        self.engine.get().style()
    }
}

/// Lets go of a subscription without the interpreter's lock: the last to do so takes the engine's.
fn release(py: Python<'_>, subscription: Arc<Subscription>) {
    if let Some(last) = Arc::into_inner(subscription) {
        py.detach(|| drop(last));
    }
}

fn dictionary<'py>(
    py: Python<'py>,
    style: Style,
    message: &Message,
) -> PyResult<Bound<'py, PyDict>> {
    let pattern = message.pattern.as_deref().map(|pattern| style.text(py, pattern)).transpose()?;
    let dictionary = PyDict::new(py);
    let kind = if pattern.is_some() { "pmessage" } else { "message" };
    dictionary.set_item("type", kind)?;
    dictionary.set_item("pattern", pattern)?;
    dictionary.set_item("channel", style.text(py, &message.channel)?)?;
    dictionary.set_item("data", style.text(py, &message.payload)?)?;
    Ok(dictionary)
}

#[pymethods]
impl PubSub {
    /// Listens to channels.
    #[pyo3(signature = (*channels), text_signature = "($self, *channels)")]
    fn subscribe(&self, py: Python<'_>, channels: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.change(py, channels, |inner, names| inner.subscribe(names))
    }

    /// Listens to all channels whose names match patterns.
    #[pyo3(signature = (*patterns), text_signature = "($self, *patterns)")]
    fn psubscribe(&self, py: Python<'_>, patterns: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.change(py, patterns, |inner, names| inner.psubscribe(names))
    }

    /// Listens to channels no more; to none at all if none is given.
    #[pyo3(signature = (*channels), text_signature = "($self, *channels)")]
    fn unsubscribe(&self, py: Python<'_>, channels: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.change(py, channels, |inner, names| inner.unsubscribe(names))
    }

    /// Listens by patterns no more; by none at all if none is given.
    #[pyo3(signature = (*patterns), text_signature = "($self, *patterns)")]
    fn punsubscribe(&self, py: Python<'_>, patterns: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.change(py, patterns, |inner, names| inner.punsubscribe(names))
    }

    /// The oldest message that was not taken yet, or ``None``. Waits for one for ``timeout``
    /// seconds, with ``None`` for as long as it takes; other threads go on meanwhile.
    ///
    /// >>> import moonkv
    /// >>> engine = moonkv.Engine()
    /// >>> news = engine.pubsub()
    /// >>> news.subscribe("news")
    /// >>> print(news.get_message(timeout=0.001))
    /// None
    /// >>> engine.command("PUBLISH", "news", "hello")
    /// 1
    /// >>> news.get_message()
    /// {'type': 'message', 'pattern': None, 'channel': b'news', 'data': b'hello'}
    #[pyo3(signature = (timeout = Some(0.0)), text_signature = "($self, timeout=0.0)")]
    fn get_message<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let refused = |_| PyValueError::new_err("timeout must be a number of seconds, or None");
        let time = timeout.map(Duration::try_from_secs_f64).transpose().map_err(refused)?;
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let message = self.wait(py, until)?;
        message.map(|message| dictionary(py, self.style(), &message)).transpose()
    }

    /// All messages from now on, as they come: the object itself, which can be iterated over. The
    /// end is that of the engine.
    #[pyo3(text_signature = "($self)")]
    fn listen(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let message = self.wait(py, None)?;
        message.map(|message| dictionary(py, self.style(), &message)).transpose()
    }

    /// Listens no more. Every later call raises :class:`ClosedError`, except ``close``.
    #[pyo3(text_signature = "($self)")]
    fn close(&self, py: Python<'_>) {
        let inner = self.lock().take();
        if let Some(inner) = inner {
            release(py, inner);
        }
    }

    /// Returns the object itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes it.
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

impl Drop for PubSub {
    fn drop(&mut self) {
        let inner = self.lock().take();
        if let Some(inner) = inner {
            // Without an interpreter it simply goes.
            let _ = Python::try_attach(|py| release(py, inner));
        }
    }
}

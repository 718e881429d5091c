//! Where `redis.log` of an engine's scripts goes: a Python callable.

use moonkv::LogLevel;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the engine takes as a log callback.
type Sink = Box<dyn FnMut(LogLevel, &[u8]) + Send>;

/// Holds the callback. Owned by the Python engine, so that Python's collector sees through it;
/// the engine's sink holds the place, not the callback.
#[derive(Default)]
pub(crate) struct Log {
    // Taken for a moment only, never while waiting for the interpreter's lock.
    callback: Mutex<Option<Py<PyAny>>>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, callback: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut *self.lock(), callback);
        // Only here, unlocked: the last reference may run any code.
        drop(before);
    }

    /// What the engine calls with each message.
    pub(crate) fn sink(self: &Arc<Self>) -> Sink {
        let log = Arc::clone(self);
        Box::new(move |level, message| {
            // No interpreter, no message: it is shutting down.
            let _ = Python::try_attach(|py| log.report(py, level, message));
        })
    }

    fn report(&self, py: Python<'_>, level: LogLevel, message: &[u8]) {
        let callback = self.lock().as_ref().map(|callback| callback.clone_ref(py));
        let Some(callback) = callback else { return };
        let message = PyBytes::new(py, message);
        if let Err(error) = callback.call1(py, (level as u8, message)) {
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.callback.try_lock() {
            Ok(callback) => visit.call(&*callback),
            Err(_) => Ok(()),
        }
    }
}

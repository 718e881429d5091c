//! `Listener`: an engine behind a socket.

use crate::engine::Engine;
use moonkv::ListenOptions;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An engine that listens: any Redis client can call it through a socket; made by
/// :meth:`Engine.listen`. As a context manager it closes itself at the end.
///
/// >>> import moonkv, socket
/// >>> engine = moonkv.Engine()
/// >>> with engine.listen() as listener:
/// ...     with socket.create_connection(("127.0.0.1", listener.port)) as client:
/// ...         client.sendall(b"INCR visits\r\n")
/// ...         client.recv(100)
/// b':1\r\n'
/// >>> engine.command("GET", "visits")
/// b'1'
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Listener {
    port: Option<u16>,
    unix: Option<PathBuf>,
    /// None once closed. Taken for a moment only.
    inner: Mutex<Option<moonkv::Listener>>,
}

/// How to listen, as Python's keywords say it.
pub(crate) struct Keywords {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) unix: Option<PathBuf>,
    pub(crate) unix_permissions: Option<u32>,
    pub(crate) password: Option<String>,
    pub(crate) exposed: bool,
}

impl Keywords {
    fn options(self) -> ListenOptions {
        let mut options = ListenOptions::default();
        (options.bind, options.port) = (vec![self.host], self.port);
        (options.unix, options.unix_permissions) = (self.unix, self.unix_permissions);
        (options.password, options.exposed) = (self.password, self.exposed);
        options
    }
}

impl Listener {
    pub(crate) fn open(py: Python<'_>, engine: &Engine, how: Keywords) -> PyResult<Listener> {
        let options = how.options();
        let inner = engine.run(py, |engine| engine.listen(&options))?;
        let unix = inner.unix().map(Into::into);
        Ok(Listener { port: inner.port(), unix, inner: Mutex::new(Some(inner)) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<moonkv::Listener>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its thread may be within a function of Python's: it has to be able to end that.
    fn end(&self, py: Python<'_>) {
        let inner = self.lock().take();
        py.detach(|| drop(inner));
    }
}

#[pymethods]
impl Listener {
    /// The TCP port; ``None`` if it listens on a Unix socket only.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path of the Unix socket, if it listens on one.
    #[getter]
    fn unix(&self) -> Option<PathBuf> {
        self.unix.clone()
    }

    /// Disconnects all clients and stops listening; returns when that is done.
    #[pyo3(text_signature = "($self)")]
    fn close(&self, py: Python<'_>) {
        self.end(py);
    }

    /// Returns the listener itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the listener.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        self.end(py);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Without an interpreter it simply goes.
        let _ = Python::try_attach(|py| self.end(py));
    }
}

//! `Transaction` and `Savepoint`: what `with` blocks undo if they end in an exception.

use crate::engine::Engine;
use crate::session::Session;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// A transaction as a context manager, made by :meth:`Session.transaction` or
/// :meth:`Engine.transaction`. Entering it gives the session.
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Transaction {
    session: Py<Session>,
    /// Whether the session is its own, to be closed at the end.
    owned: bool,
}

impl Transaction {
    pub(crate) fn of(session: Py<Session>) -> Self {
        Transaction { session, owned: false }
    }

    pub(crate) fn on(engine: &Bound<'_, Engine>) -> PyResult<Self> {
        let session = Py::new(engine.py(), Session::open(engine)?)?;
        Ok(Transaction { session, owned: true })
    }

    fn end(&self, py: Python<'_>, failed: bool) -> PyResult<()> {
        let session = self.session.get();
        if failed {
            // The exception that ended the block tells more than one about its end.
            let _ = session.rollback(py);
            return Ok(());
        }
        // The block may have ended it itself.
        if session.in_transaction(py)? { session.commit(py) } else { Ok(()) }
    }
}

#[pymethods]
impl Transaction {
    /// Begins the transaction and returns its session.
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<Session>> {
        self.session.get().begin(py)?;
        Ok(self.session.clone_ref(py))
    }

    /// Commits, or rolls back after an exception.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let ended = self.end(py, !error.is_none());
        if self.owned {
            self.session.get().close(py);
        }
        ended
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.session)
    }
}

/// A savepoint in a transaction, made by :meth:`Session.savepoint`.
#[pyclass(module = "moonkv", frozen, weakref)]
pub(crate) struct Savepoint {
    session: Py<Session>,
    number: usize,
    released: AtomicBool,
}

impl Savepoint {
    pub(crate) fn set(py: Python<'_>, session: Py<Session>) -> PyResult<Self> {
        let number = session.get().act(py, moonkv::Session::savepoint)?;
        Ok(Savepoint { session, number, released: AtomicBool::new(false) })
    }
}

#[pymethods]
impl Savepoint {
    /// The savepoint's number; the first in a transaction is 1.
    #[getter]
    fn number(&self) -> usize {
        self.number
    }

    /// Undoes what was done since; the savepoint stays, later ones are gone.
    ///
    /// :raises TransactionError: It was released, or the transaction is over.
    #[pyo3(text_signature = "($self)")]
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.session.get().act(py, |session| session.rollback_to(self.number))
    }

    /// Forgets the savepoint and those after it; what was done since stays part of the
    /// transaction.
    ///
    /// :raises TransactionError: It was released, or the transaction is over.
    #[pyo3(text_signature = "($self)")]
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.session.get().act(py, |session| session.release(self.number))?;
        self.released.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the savepoint itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Releases it; after an exception, undoes what was done since.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if !error.is_none() {
            // The exception that ended the block tells more than one about its end.
            let _ = self.rollback(py).and_then(|()| self.release(py));
            return Ok(());
        }
        // The block may have ended it, or the transaction, itself.
        let over = self.released.load(Ordering::Relaxed);
        if over || !self.session.get().in_transaction(py)? { Ok(()) } else { self.release(py) }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.session)
    }
}

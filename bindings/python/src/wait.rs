//! Calls that may wait: without the interpreter's lock, and with an eye on Ctrl-C.

use crate::errors;
use pyo3::prelude::*;
use std::cell::Cell;

thread_local! {
    /// What a signal's handler raised while this thread waited; in a box, because each call looks here.
    static RAISED: Cell<Option<Box<PyErr>>> = const { Cell::new(None) };
}

/// Has an engine ask for signals while one of its calls waits.
pub(crate) fn watch_signals(engine: &moonkv::Engine) {
    engine.set_interrupt(Some(Box::new(|| {
        // Without an interpreter there is nobody left to wait for.
        Python::try_attach(|py| match py.check_signals() {
            Ok(()) => false,
            Err(error) => {
                RAISED.set(Some(Box::new(error)));
                true
            }
        })
        .unwrap_or(true)
    })));
}

/// Does work that may wait; what a signal raises meanwhile comes before the work's own result.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, moonkv::Error> + Send,
) -> PyResult<T> {
    let outcome = py.detach(work);
    match RAISED.take() {
        Some(error) => Err(*error),
        None => outcome.map_err(errors::call),
    }
}

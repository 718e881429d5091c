//! Errors of the engine as Python exceptions. The classes themselves are Python's, in
//! `python/moonkv/_errors.py`; this room only chooses one.

use moonkv::Traceback;
use pyo3::PyErr;
use pyo3::prelude::*;

pyo3::import_exception!(moonkv._errors, BusyError);
pyo3::import_exception!(moonkv._errors, ClosedError);
pyo3::import_exception!(moonkv._errors, MoonkvError);
pyo3::import_exception!(moonkv._errors, NoScriptError);
pyo3::import_exception!(moonkv._errors, OptionError);
pyo3::import_exception!(moonkv._errors, PoisonedError);
pyo3::import_exception!(moonkv._errors, ReentrantError);
pyo3::import_exception!(moonkv._errors, ResponseError);
pyo3::import_exception!(moonkv._errors, TransactionError);
pyo3::import_exception!(moonkv._errors, WrongTypeError);

/// The exception for an error reply that may be of a script that failed.
pub(crate) fn failure(py: Python<'_>, text: &[u8], traceback: Option<&Traceback>) -> PyErr {
    let error = response(text);
    let Some(Traceback { name, library, line, frames, .. }) = traceback else { return error };
    let told = (name, library.as_deref(), line, frames);
    // What cannot be told of a failure must not hide it.
    error.value(py).setattr("_where", told).map_or_else(|other| other, |()| error)
}

/// The exception for an error reply, chosen by the code it begins with.
pub(crate) fn response(text: &[u8]) -> PyErr {
    let message = String::from_utf8_lossy(text).into_owned();
    match text.split(|&byte| byte == b' ').next() {
        Some(b"NOSCRIPT") => NoScriptError::new_err(message),
        Some(b"WRONGTYPE") => WrongTypeError::new_err(message),
        _ => ResponseError::new_err(message),
    }
}

/// The exception for an option or number that makes no sense.
pub(crate) fn option(message: impl Into<String>) -> PyErr {
    OptionError::new_err(message.into())
}

/// The exception for a call on a subscription that was closed.
pub(crate) fn pubsub_closed() -> PyErr {
    ClosedError::new_err("the subscription is closed")
}

/// The exception for a call on a session that was closed.
pub(crate) fn session_closed() -> PyErr {
    ClosedError::new_err("the session is closed")
}

/// The exception for a call that gave no reply.
pub(crate) fn call(error: moonkv::Error) -> PyErr {
    let text = error.to_string();
    let plain = text.strip_prefix("ERR ").unwrap_or(&text).to_owned();
    match error {
        moonkv::Error::Reply { message, .. } => response(message.as_bytes()),
        moonkv::Error::Closed => ClosedError::new_err(plain),
        moonkv::Error::Reentrant => ReentrantError::new_err(plain),
        moonkv::Error::Busy => BusyError::new_err(plain),
        moonkv::Error::Transaction { .. } => TransactionError::new_err(plain),
        moonkv::Error::Poisoned => PoisonedError::new_err(plain),
        moonkv::Error::Options { message } => option(message),
        _ => MoonkvError::new_err(plain),
    }
}

//! Python functions that are registered as commands.
//!
//! A function that runs commands is a generator: what it yields is a command, and what it is sent
//! is the reply. So nothing of a call has to outlive it.

use crate::convert::{Argument, Sequence, Style};
use crate::errors;
use moonkv::{Error, HostCall, Reply, ReplyBuf};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyStopIteration, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyTuple, PyType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How deep a reply may nest: a list may contain itself.
const DEPTH_MOST: usize = 100;

/// The place of one function. The engine holds the place, not the function, so that Python's
/// collector sees through the Python engine, which owns it.
pub(crate) struct Place(Mutex<Option<Py<PyAny>>>);

/// The functions of one engine by their names in lower case.
#[derive(Default)]
pub(crate) struct Functions(Mutex<HashMap<String, Arc<Place>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Taken for a moment only, never while waiting for the interpreter's lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Functions {
    pub(crate) fn insert(&self, name: &str, place: Arc<Place>) {
        let before = lock(&self.0).insert(name.to_ascii_lowercase(), place);
        // Only here, unlocked: the last reference may run any code.
        drop(before);
    }

    pub(crate) fn remove(&self, name: &str) {
        let before = lock(&self.0).remove(&name.to_ascii_lowercase());
        drop(before);
    }

    pub(crate) fn clear(&self) {
        let places = std::mem::take(&mut *lock(&self.0));
        for place in places.values() {
            let function = lock(&place.0).take();
            drop(function);
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(places) = self.0.try_lock() else { return Ok(()) };
        for place in places.values() {
            if let Ok(function) = place.0.try_lock() {
                visit.call(&*function)?;
            }
        }
        Ok(())
    }
}

impl Place {
    pub(crate) fn new(function: Py<PyAny>) -> Arc<Place> {
        Arc::new(Place(Mutex::new(Some(function))))
    }

    /// What the engine calls.
    pub(crate) fn run(&self, call: &mut HostCall<'_>, style: Style) -> Result<Reply, Error> {
        let answered = Python::try_attach(|py| {
            let function = lock(&self.0).as_ref().map(|function| function.clone_ref(py));
            let Some(function) = function else {
                return Err(Error::reply("the function is gone"));
            };
            answer(py, function.bind(py), call, style).map_err(|error| told(py, &error))
        });
        answered.unwrap_or_else(|| Err(Error::reply("the interpreter is shutting down")))
    }
}

/// An exception as the error of a command: a ResponseError's own text, or the exception's name with
/// its text.
fn told(py: Python<'_>, error: &PyErr) -> Error {
    let text = error.value(py).str().map_or_else(|_| String::new(), |text| text.to_string());
    if error.is_instance_of::<errors::ResponseError>(py) {
        return Error::reply(text);
    }
    let kind = error.get_type(py);
    let name = kind.name().map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
    Error::reply(format!("{name}: {text}"))
}

fn answer(
    py: Python<'_>,
    function: &Bound<'_, PyAny>,
    call: &mut HostCall<'_>,
    style: Style,
) -> PyResult<Reply> {
    let arguments = call.args().iter().map(|text| style.text(py, text));
    let arguments = PyTuple::new(py, arguments.collect::<PyResult<Vec<_>>>()?)?;
    let result = function.call1(arguments)?;
    let generator = py.import("types")?.getattr("GeneratorType")?.cast_into::<PyType>()?;
    match result.is_instance(&generator)? {
        true => reply(&drive(py, &result, call, style)?, DEPTH_MOST),
        false => reply(&result, DEPTH_MOST),
    }
}

/// Runs the commands that a generator yields; returns what it returns.
fn drive<'py>(
    py: Python<'py>,
    generator: &Bound<'py, PyAny>,
    call: &mut HostCall<'_>,
    style: Style,
) -> PyResult<Bound<'py, PyAny>> {
    let mut buffer = ReplyBuf::new();
    let mut step = generator.call_method1("send", (py.None(),));
    loop {
        let yielded = match step {
            Ok(yielded) => yielded,
            Err(end) if end.is_instance_of::<PyStopIteration>(py) => {
                return end.value(py).getattr("value");
            }
            Err(error) => return Err(error),
        };
        let ran = Sequence::extract(yielded.as_borrowed()).and_then(|command| {
            command.lend(|argv| {
                call.call(argv, &mut buffer);
                style.reply(py, &buffer)
            })
        });
        step = match ran {
            Ok(reply) => generator.call_method1("send", (reply,)),
            Err(error) => generator.call_method1("throw", (error.into_value(py),)),
        };
    }
}

/// What a function returned as a reply.
fn reply(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Reply> {
    if depth == 0 {
        return Err(PyValueError::new_err("the reply nests too deeply"));
    }
    let each = |value: Bound<'_, PyAny>| reply(&value, depth - 1);
    if value.is_none() {
        Ok(Reply::Null)
    } else if value.is_instance_of::<PyBool>() {
        Ok(Reply::Boolean(value.extract()?))
    } else if value.is_instance_of::<PyInt>() {
        Ok(Reply::Integer(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Ok(Reply::Double(value.extract()?))
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        value.try_iter()?.map(|element| each(element?)).collect::<PyResult<_>>().map(Reply::Array)
    } else if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        value.try_iter()?.map(|element| each(element?)).collect::<PyResult<_>>().map(Reply::Set)
    } else if let Ok(dict) = value.cast::<PyDict>() {
        let pairs = dict.iter().map(|(key, value)| Ok((each(key)?, each(value)?)));
        pairs.collect::<PyResult<_>>().map(Reply::Map)
    } else {
        let text = Argument::extract(value.as_borrowed()).map_err(|_| no_reply(value))?;
        Ok(Reply::Bulk(text.as_bytes().to_vec()))
    }
}

fn no_reply(value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
    PyTypeError::new_err(format!("{kind} is no reply"))
}

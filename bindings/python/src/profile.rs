//! `Profile`, and statistics of scripts as dicts.

use crate::errors::MoonkvError;
use moonkv::ScriptStats;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

/// Where the time of one run of a script went, made by [`Engine.profile`].
#[pyclass(module = "moonkv", frozen)]
pub(crate) struct Profile {
    made: moonkv::Profile,
    result: Option<Py<PyAny>>,
    error: Option<Py<PyAny>>,
}

impl Profile {
    /// A profile with the script's reply, or its error. What is no error of the engine's is raised.
    pub(crate) fn new(
        py: Python<'_>,
        made: moonkv::Profile,
        reply: PyResult<Bound<'_, PyAny>>,
    ) -> PyResult<Profile> {
        match reply {
            Ok(result) => Ok(Profile { made, result: Some(result.unbind()), error: None }),
            Err(error) if error.is_instance_of::<MoonkvError>(py) => {
                let error = error.into_value(py).into_any();
                Ok(Profile { made, result: None, error: Some(error) })
            }
            Err(other) => Err(other),
        }
    }
}

#[pymethods]
impl Profile {
    /// What the script returned.
    #[getter]
    fn result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.result.as_ref().map(|result| result.clone_ref(py))
    }

    /// The exception, if it failed.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.error.as_ref().map(|error| error.clone_ref(py))
    }

    /// The time of the whole run, in seconds.
    #[getter]
    fn total(&self) -> f64 {
        self.made.total().as_secs_f64()
    }

    /// Tables of lines and of commands, with times in microseconds.
    #[pyo3(text_signature = "($self)")]
    fn table(&self) -> String {
        self.made.table()
    }

    /// Stacks with nanoseconds, one a line, for flamegraph.pl, inferno or speedscope.
    #[pyo3(text_signature = "($self)")]
    fn collapsed(&self) -> String {
        self.made.collapsed()
    }
}

/// What became of a script's runs.
pub(crate) fn stats<'py>(py: Python<'py>, script: &ScriptStats) -> PyResult<Bound<'py, PyDict>> {
    let (dict, last) = (PyDict::new(py), script.last_error.as_ref());
    dict.set_item("name", &script.name)?;
    dict.set_item("library", script.library.as_deref())?;
    dict.set_item("runs", script.runs)?;
    dict.set_item("errors", script.errors)?;
    dict.set_item("total", script.total.map(|time: Duration| time.as_secs_f64()))?;
    dict.set_item("worst", script.worst.map(|time: Duration| time.as_secs_f64()))?;
    dict.set_item("last_error", last.map(|last| &last.message))?;
    dict.set_item("last_error_ms", last.map(|last| last.at_ms))?;
    Ok(dict)
}

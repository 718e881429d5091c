//! Limits for one run, as keywords.

use crate::engine::{seconds, whole};
use moonkv::Limits;
use pyo3::prelude::*;
use pyo3::types::PyEllipsis;

/// A limit as it is given: `...` for the engine's own, `None` for none.
#[derive(Clone, Copy)]
pub(crate) enum Limit<T> {
    Own,
    Set(Option<T>),
}

impl<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>> FromPyObject<'a, 'py> for Limit<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyEllipsis>() {
            return Ok(Limit::Own);
        }
        if object.is_none() {
            return Ok(Limit::Set(None));
        }
        T::extract(object).map(|limit| Limit::Set(Some(limit)))
    }
}

/// The limits of these keywords; none if all are the engine's own. In a box, so that none is a word.
pub(crate) fn limits(
    timeout: Limit<f64>,
    memory: Limit<i64>,
    instructions: Limit<i64>,
) -> PyResult<Option<Box<Limits>>> {
    if let (Limit::Own, Limit::Own, Limit::Own) = (&timeout, &memory, &instructions) {
        return Ok(None);
    }
    let mut limits = Limits::default();
    if let Limit::Set(limit) = timeout {
        limits = limits.timeout(limit.map(|limit| seconds("timeout", limit)).transpose()?);
    }
    if let Limit::Set(limit) = memory {
        limits = limits.memory(limit.map(|limit| whole("the memory", limit)).transpose()?);
    }
    if let Limit::Set(limit) = instructions {
        limits = limits.instructions(limit.map(|limit| whole("instructions", limit)).transpose()?);
    }
    Ok(Some(Box::new(limits)))
}

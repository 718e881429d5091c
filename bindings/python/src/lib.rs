//! The Python door: the native module `moonkv._moonkv`.
//!
//! It turns Python objects into byte slices, calls the engine without the interpreter's lock, and
//! walks the reply out into Python objects. It knows no command. The exceptions are Python
//! classes, in `python/moonkv/_errors.py`.

mod convert;
mod engine;
mod errors;
mod host;
mod limits;
mod listen;
mod log;
mod profile;
mod pubsub;
mod script;
mod session;
mod transaction;
mod wait;

use pyo3::prelude::*;

/// The native part of moonkv; import `moonkv` instead.
#[pymodule]
#[pyo3(name = "_moonkv")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<listen::Listener>()?;
    module.add_class::<profile::Profile>()?;
    module.add_class::<pubsub::PubSub>()?;
    module.add_class::<script::Script>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<transaction::Savepoint>()?;
    module.add_class::<transaction::Transaction>()?;
    module.add("Tick", engine::tick_class(module.py())?)
}

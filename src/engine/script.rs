//! The handle of a prepared script.

use super::shared::Shared;
use super::state::COMMON;
use super::{Call, hex, slices};
use crate::error::Error;
use crate::options::Limits;
use crate::reply::{Protocol, Reply, ReplyBuf};
use crate::script::{ScriptId, Sha1Hex};
use std::sync::{Arc, PoisonError};

/// A compiled script, run by handle. It outlives `SCRIPT FLUSH`, and reports
/// [`Error::Closed`] once its engine is closed.
#[derive(Debug)]
pub struct Script {
    pub(super) shared: Arc<Shared>,
    pub(super) id: ScriptId,
    pub(super) sha: Sha1Hex,
}

impl Script {
    /// Runs the script as one atomic step.
    ///
    /// # Errors
    /// As [`crate::Engine::eval`].
    pub fn run<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.reply(COMMON, None, Call::Run(self, &slices(keys), &slices(args)))
    }

    /// [`Script::run`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`crate::Engine::eval_with`].
    pub fn run_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::Run(self, &keys, &args);
        self.shared.reply(COMMON, None, Call::Limited(limits, &call))
    }

    /// Runs the script and leaves the reply in the caller's buffer; see [`crate::Engine::call`].
    ///
    /// # Errors
    /// As [`crate::Engine::call`].
    pub fn call(&self, keys: &[&[u8]], args: &[&[u8]], reply: &mut ReplyBuf) -> Result<(), Error> {
        self.shared.call(COMMON, None, Call::Run(self, keys, args), reply)
    }

    /// [`Script::call`] under limits for this one run; those that are not set are the engine's.
    ///
    /// # Errors
    /// As [`crate::Engine::call`]; [`Error::Options`] for limits under which nothing could run.
    pub fn call_with(
        &self,
        limits: &Limits,
        keys: &[&[u8]],
        args: &[&[u8]],
        reply: &mut ReplyBuf,
    ) -> Result<(), Error> {
        self.shared.call(COMMON, None, Call::Limited(limits, &Call::Run(self, keys, args)), reply)
    }

    /// The script's SHA-1 in 40 hexadecimal digits.
    pub fn sha1(&self) -> String {
        hex(&self.sha)
    }

    /// The protocol the script's engine was opened with.
    pub fn protocol(&self) -> Protocol {
        self.shared.options.protocol
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
    }
}

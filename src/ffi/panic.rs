//! Where a panic stops, and how failures become what C gets.

use super::reply::kv_reply;
use crate::error::Error;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call gave no reply of its own.
pub(super) enum Failure {
    /// The caller broke the contract in a way that can be seen.
    Misuse(&'static CStr),
    /// What the engine says.
    Engine(Error),
}

impl From<&'static CStr> for Failure {
    fn from(text: &'static CStr) -> Self {
        Failure::Misuse(text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Engine(error)
    }
}

impl From<Failure> for kv_reply {
    #[cold]
    fn from(failure: Failure) -> kv_reply {
        match failure {
            Failure::Misuse(text) => kv_reply::static_error(text),
            Failure::Engine(error) => kv_reply::error(&error.to_string()),
        }
    }
}

pub(super) const NULL_ENGINE: &CStr = c"ERR the engine is NULL";
pub(super) const NULL_SCRIPT: &CStr = c"ERR the script is NULL";
pub(super) const NULL_SESSION: &CStr = c"ERR the session is NULL";
const PANIC: &CStr = c"ERR an internal failure was caught";

/// Does the work of a function that returns a reply.
pub(super) fn guard(work: impl FnOnce() -> Result<kv_reply, Failure>) -> kv_reply {
    guard_out(|out| {
        *out = work()?;
        Ok(())
    })
}

/// The same for work that writes the reply, a nil so far, where it is returned: a reply is large, and
/// to hand it on from place to place would take a good part of a short call.
#[inline(always)]
pub(super) fn guard_out(work: impl FnOnce(&mut kv_reply) -> Result<(), Failure>) -> kv_reply {
    let mut reply = kv_reply::NIL;
    let done = catch_unwind(AssertUnwindSafe(|| {
        if let Err(failure) = work(&mut reply) {
            reply = failure.into();
        }
    }));
    if let Err(payload) = done {
        // What a panic carries could panic again as it is dropped.
        std::mem::forget(payload);
        reply = kv_reply::static_error(PANIC);
    }
    reply
}

/// Does the work of a function that returns a handle; its error goes where the caller wants it.
pub(super) fn guard_handle<T>(
    out_error: Option<&mut MaybeUninit<kv_reply>>,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Option<Box<T>> {
    let (handle, error) = match caught(|| work().map(Box::new)) {
        Ok(handle) => (Some(handle), kv_reply::NIL),
        Err(failure) => (None, out_error.as_ref().map_or(kv_reply::NIL, |_| failure.into())),
    };
    if let Some(place) = out_error {
        place.write(error);
    }
    handle
}

/// Does work that has nothing to say, should it panic.
pub(super) fn guard_quiet(work: impl FnOnce()) {
    let _ = caught(|| {
        work();
        Ok(())
    });
}

fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // What a panic carries could panic again as it is dropped.
        std::mem::forget(payload);
        Err(Failure::Misuse(PANIC))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text(reply: &kv_reply) -> &str {
        // SAFETY: a reply's text ends with a NUL.
        unsafe { CStr::from_ptr(reply.str) }.to_str().unwrap()
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let reply = guard(|| panic!("for the test"));
        assert_eq!(text(&reply), "ERR an internal failure was caught");
        let mut error = MaybeUninit::uninit();
        assert!(guard_handle::<u8>(Some(&mut error), || panic!("for the test")).is_none());
        // SAFETY: guard_handle always writes it.
        assert_eq!(text(unsafe { error.assume_init_ref() }), "ERR an internal failure was caught");
        guard_quiet(|| panic!("for the test"));
    }
}

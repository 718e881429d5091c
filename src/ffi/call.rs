//! What the functions of an engine and those of a session share: lists from C, one call, a reply.

use super::bytes::{Room, kv_bytes, list};
use super::panic::Failure;
use super::reply::kv_reply;
use crate::engine::Call;
use std::ffi::CStr;

const NO_NAME: &CStr = c"ERR a command needs at least its name";

/// An engine or a session: what calls are made on.
pub(super) trait Caller {
    /// The error for NULL in its place.
    const NULL: &'static CStr;

    /// Makes one call and walks its reply out.
    fn answer(&self, call: Call<'_>, out: &mut kv_reply) -> Result<(), Failure>;
}

/// Runs one command.
///
/// # Safety
/// `argv`, if not NULL, must point to `argc` strings as [`kv_bytes::slice`] needs them.
pub(super) unsafe fn command<C: Caller>(
    caller: Option<&C>,
    argc: usize,
    argv: *const kv_bytes,
    out: &mut kv_reply,
) -> Result<(), Failure> {
    let caller = caller.ok_or(C::NULL)?;
    let mut room = Room::new();
    // SAFETY: the caller's promise.
    match unsafe { list(&mut room, argc, argv)? } {
        [] => Err(NO_NAME.into()),
        argv => caller.answer(Call::Command(argv), out),
    }
}

/// KEYS and ARGV as they come from C.
#[derive(Clone, Copy)]
pub(super) struct Input {
    pub(super) nkeys: usize,
    pub(super) keys: *const kv_bytes,
    pub(super) nargs: usize,
    pub(super) args: *const kv_bytes,
}

impl Input {
    /// Works on them as slices.
    ///
    /// # Safety
    /// Each pointer, if not NULL, must point to as many strings as its count says, as
    /// [`kv_bytes::slice`] needs them.
    pub(super) unsafe fn lend<R>(
        self,
        work: impl FnOnce(&[&[u8]], &[&[u8]]) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let (mut key_room, mut arg_room) = (Room::new(), Room::new());
        // SAFETY: the caller's promise.
        let keys = unsafe { list(&mut key_room, self.nkeys, self.keys)? };
        // SAFETY: the same.
        let args = unsafe { list(&mut arg_room, self.nargs, self.args)? };
        work(keys, args)
    }
}

/// Runs a script by its text or its SHA-1, as `form` makes a call of it.
///
/// # Safety
/// As [`kv_bytes::slice`] and [`Input::lend`].
pub(super) unsafe fn run<C: Caller>(
    caller: Option<&C>,
    form: impl for<'a> FnOnce(&'a [u8], &'a [&'a [u8]], &'a [&'a [u8]]) -> Call<'a>,
    text: kv_bytes,
    input: Input,
    out: &mut kv_reply,
) -> Result<(), Failure> {
    let caller = caller.ok_or(C::NULL)?;
    // SAFETY: the caller's promise.
    let text = unsafe { text.slice()? };
    // SAFETY: the same.
    unsafe { input.lend(|keys, args| caller.answer(form(text, keys, args), out)) }
}

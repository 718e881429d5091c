//! `kv_call`: functions of C that are registered as commands.

use super::bytes::{Room, kv_bytes, list};
use super::engine::kv_engine;
use super::panic::{Failure, NULL_ENGINE, guard, guard_out, guard_quiet};
use super::reply::kv_reply;
use crate::engine::{HostCall, HostCommand};
use crate::error::{CommandError, Error};
use crate::reply::ReplyBuf;
use smallvec::SmallVec;
use std::ffi::{CStr, c_void};
use std::ptr;

/// A call of a registered function, for as long as that runs: what it runs commands by and leaves
/// its reply with. To be used on the thread of the call only, and not after the function returns.
pub struct kv_call {
    call: *mut HostCall<'static>,
    /// How many more items the reply needs.
    pending: usize,
    written: bool,
    /// Whether there were more than it needs.
    excess: bool,
    error: Option<Vec<u8>>,
}

/// A function that is a command. It runs inside the call that names it, on that thread, and leaves
/// its reply by kv_call_reply_... or kv_call_error; without any the reply is nil. It may not call
/// the engine but by kv_call_command: the engine answers with an error, except to kv_cancel. It
/// may not leave by longjmp or by a C++ exception.
///
/// argv has the command's name and its arguments; they are borrowed until the function returns.
pub type kv_call_fn = Option<
    extern "C" fn(call: *mut kv_call, argc: usize, argv: *const kv_bytes, user_data: *mut c_void),
>;

/// What the host wants back with each call.
struct UserData(*mut c_void);

// SAFETY: the pointer is only handed back; the header asks for data that any thread may use.
unsafe impl Send for UserData {}
// SAFETY: the same.
unsafe impl Sync for UserData {}

const NULL_FUNCTION: &CStr = c"ERR the function is NULL";
const NULL_CALL: &CStr = c"ERR the call is NULL";
const NO_NAME: &CStr = c"ERR a command needs at least its name";
const BAD_TEXT: &CStr = c"ERR names and flags of commands are texts of UTF-8";
const UNFINISHED: &str = "ERR the host function left its reply unfinished";
const EXCESS: &str = "ERR the host function replied with more than one reply";

/// Registers a function as a command: scripts reach it by redis.call, all others by its name. What
/// it does through kv_call_command is part of the atomic step it is called in: it is undone with
/// the script or transaction, and if the function answers with an error. A function of the same
/// name is replaced.
///
/// @param engine     Borrowed. NULL gives an error reply.
/// @param name       Borrowed. 1 to 64 printable ASCII characters without spaces and |; the names
///                   of the engine's own commands are refused.
/// @param arity      How many arguments it takes, the name counted; negative: so many or more.
/// @param flags      Borrowed. Redis's names with spaces between: "write" or "readonly", and any
///                   of denyoom, fast, noscript, admin and no_mandatory_keys. Without "write" the
///                   commands that it runs may not write either.
/// @param first_key  Where the keys among its arguments begin, the name being at 0; 0 for none.
/// @param last_key   The last of them; negative: from the end.
/// @param key_step   From each to the next.
/// @param function   Called for each call. NULL gives an error reply.
/// @param user_data  Passed to the function. Must live until that is replaced or unregistered or
///                   the engine closed, and be fit for every thread that makes calls.
/// @return Status OK, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_register(
    engine: Option<&kv_engine>,
    name: kv_bytes,
    arity: i64,
    flags: kv_bytes,
    first_key: i32,
    last_key: i32,
    key_step: i32,
    function: kv_call_fn,
    user_data: *mut c_void,
) -> kv_reply {
    guard(|| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        let function = function.ok_or(NULL_FUNCTION)?;
        // SAFETY: by contract the caller lends both until this returns.
        let (name, flags) = unsafe { (text(name)?, text(flags)?) };
        let command =
            HostCommand::new(name).arity(arity).flags(flags).keys(first_key, last_key, key_step);
        let user_data = UserData(user_data);
        engine.register_writing(
            command,
            Box::new(move |call| {
                // The whole of it, or the closure would hold the bare pointer.
                let user_data: &UserData = &user_data;
                run(call, |call, argv| function(call, argv.len(), argv.as_ptr(), user_data.0))
            }),
        )?;
        Ok(kv_reply::OK)
    })
}

/// Takes back what kv_register did.
///
/// @param engine  Borrowed. NULL gives an error reply.
/// @param name    Borrowed. In any case.
/// @return Integer 1, or 0 if there is no function of this name; or an error, which kv_reply_free
///         releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_unregister(engine: Option<&kv_engine>, name: kv_bytes) -> kv_reply {
    guard(|| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        // SAFETY: by contract the caller lends it until this returns.
        let name = unsafe { text(name)? };
        Ok(kv_reply::integer(engine.unregister(name)?.into()))
    })
}

/// # Safety
/// As [`kv_bytes::slice`].
unsafe fn text<'a>(bytes: kv_bytes) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes.slice()? };
    std::str::from_utf8(bytes).map_err(|_| BAD_TEXT.into())
}

/// Runs the host's function and makes an error of a reply that is none.
fn run(
    call: &mut HostCall<'_>,
    function: impl FnOnce(*mut kv_call, &[kv_bytes]),
) -> Result<(), CommandError> {
    let name = std::iter::once(call.name());
    let argv: SmallVec<[kv_bytes; 8]> =
        name.chain(call.args().iter().copied()).map(kv_bytes::lend).collect();
    let mut frame = kv_call {
        call: ptr::from_mut(call).cast(),
        pending: 1,
        written: false,
        excess: false,
        error: None,
    };
    function(&raw mut frame, &argv);
    match frame {
        kv_call { error: Some(error), .. } => Err(CommandError::of_host(&error)),
        kv_call { excess: true, .. } => Err(CommandError::text(EXCESS)),
        kv_call { written: false, .. } => {
            call.reply().null();
            Ok(())
        }
        kv_call { pending: 0, .. } => Ok(()),
        _ => Err(CommandError::text(UNFINISHED)),
    }
}

impl kv_call {
    /// Where the next item of the reply goes, which so many others follow.
    fn item(&mut self, parts: usize) -> Option<&mut ReplyBuf> {
        self.written = true;
        self.excess |= self.pending == 0;
        self.pending = self.pending.checked_sub(1)?.saturating_add(parts);
        // SAFETY: a call lives as long as its function runs, which is the only user of it, and by
        // contract this is called from there.
        Some(unsafe { &mut *self.call }.reply())
    }
}

/// Writes an item, if there is a call and it wants one.
fn write(call: Option<&mut kv_call>, parts: usize, write: impl FnOnce(&mut ReplyBuf)) {
    guard_quiet(|| {
        if let Some(reply) = call.and_then(|call| call.item(parts)) {
            write(reply);
        }
    });
}

/// Runs a command within a call, as part of the same atomic step: those that scripts may run too.
/// One that would wait for a key answers at once.
///
/// @param call  Borrowed. NULL gives an error reply.
/// @param argc  The number of strings in argv.
/// @param argv  Borrowed. The command's name in any case, then its arguments.
/// @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included.
///
/// Only from the function, on its thread.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_command(
    call: Option<&mut kv_call>,
    argc: usize,
    argv: *const kv_bytes,
) -> kv_reply {
    guard_out(|out| {
        let call = call.ok_or(NULL_CALL)?;
        let mut room = Room::new();
        // SAFETY: by contract the caller lends them until this returns.
        let argv = unsafe { list(&mut room, argc, argv)? };
        if argv.is_empty() {
            return Err(NO_NAME.into());
        }
        // SAFETY: as in item.
        let call = unsafe { &mut *call.call };
        out.answer(call.protocol(), |buffer| {
            call.call(argv, buffer);
            Ok::<(), Error>(())
        })
    })
}

/// Whether commands that write are refused in a call: the function is not registered with "write",
/// or it was called by a script that promised not to.
///
/// @param call  Borrowed. NULL gives false.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_is_read_only(call: Option<&kv_call>) -> bool {
    // SAFETY: as in item.
    call.is_some_and(|call| unsafe { &*call.call }.is_read_only())
}

/// Has the call answer with an error, whatever else it replies, and undoes what it did. A text
/// without a code in front, a word in capitals such as NOGOLD, gets ERR.
///
/// @param call     Borrowed. NULL does nothing, here and below.
/// @param message  Borrowed, here and below.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_error(call: Option<&mut kv_call>, message: kv_bytes) {
    guard_quiet(|| {
        let Some(call) = call else { return };
        // SAFETY: by contract the caller lends it until this returns.
        let message = unsafe { message.slice() }.unwrap_or(b"the message is NULL");
        call.error = Some(message.to_vec());
    });
}

/// Replies with nil. A call has one reply; one that is an array or a map is followed by its
/// elements.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_nil(call: Option<&mut kv_call>) {
    write(call, 0, ReplyBuf::null);
}

/// Replies with an integer.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_integer(call: Option<&mut kv_call>, value: i64) {
    write(call, 0, |reply| reply.integer(value));
}

/// Replies with a double, which under protocol 2 is a string.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_double(call: Option<&mut kv_call>, value: f64) {
    write(call, 0, |reply| reply.double(value));
}

/// Replies with a boolean, which under protocol 2 is an integer.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_bool(call: Option<&mut kv_call>, value: bool) {
    write(call, 0, |reply| reply.boolean(value));
}

/// Replies with a string of any bytes.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_string(call: Option<&mut kv_call>, value: kv_bytes) {
    // SAFETY: by contract the caller lends it until this returns.
    match unsafe { value.slice() } {
        Ok(text) => write(call, 0, |reply| reply.bulk(text)),
        Err(_) => kv_call_error(call, kv_bytes::lend(b"a string's data is NULL")),
    }
}

/// Replies with a status such as OK.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_status(call: Option<&mut kv_call>, value: kv_bytes) {
    // SAFETY: by contract the caller lends it until this returns.
    match unsafe { value.slice() } {
        Ok(text) => write(call, 0, |reply| reply.status_line(text)),
        Err(_) => kv_call_error(call, kv_bytes::lend(b"a string's data is NULL")),
    }
}

/// Replies with an array of so many elements, which follow.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_array(call: Option<&mut kv_call>, count: usize) {
    write(call, count, |reply| reply.array(count));
}

/// Replies with a map of so many pairs, whose keys and values follow in turn. Under protocol 2 it
/// is an array of both.
#[unsafe(no_mangle)]
pub extern "C" fn kv_call_reply_map(call: Option<&mut kv_call>, pairs: usize) {
    write(call, pairs.saturating_mul(2), |reply| reply.map(pairs));
}

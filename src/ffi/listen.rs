//! `kv_listener`: an engine behind a socket.

use super::bytes::kv_bytes;
use super::engine::kv_engine;
use super::panic::{Failure, NULL_ENGINE, guard_handle, guard_quiet};
use super::reply::kv_reply;
use crate::listen::{ListenOptions, Listener};
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// A listener: any Redis client can call its engine through a socket.
pub struct kv_listener(Listener);

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<kv_listener>();
};

/// How an engine listens. A struct of zeros but for struct_size has the defaults: 127.0.0.1, a free
/// port, no password. How many clients there may be, how long they may be silent and so on are
/// parameters of CONFIG SET, as in Redis: maxclients, timeout, client-output-buffer-limit ...
#[derive(Clone, Copy)]
#[repr(C)]
pub struct kv_listen_options {
    /// sizeof(kv_listen_options), as the program was compiled with.
    pub struct_size: usize,
    /// The address or name of a host to listen on. Empty for 127.0.0.1, which nobody can reach from
    /// elsewhere; "*" for all of this machine's.
    pub host: kv_bytes,
    /// The TCP port; 0 picks one that is free, see kv_listener_port.
    pub port: u16,
    /// 1 for no TCP at all, only a Unix socket.
    pub no_tcp: u8,
    /// 1 to let others than this machine's own connect without a password; otherwise an address that
    /// they can reach is an error unless a password is set.
    pub exposed: u8,
    /// The permissions of the Unix socket, such as 0700; 0 for those that the umask leaves.
    pub unix_permissions: u32,
    /// The path of a Unix socket; empty for none.
    pub unix_path: kv_bytes,
    /// The password that clients have to give first; empty for none.
    pub password: kv_bytes,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kv_listen_options>() == 64);

const BAD_SIZE: &CStr = c"ERR invalid options: struct_size must be sizeof(kv_listen_options)";
const BAD_TEXT: &CStr = c"ERR invalid options: host, unix_path and password must be UTF-8";

impl kv_listen_options {
    /// # Safety
    /// `options` must be NULL or point to a struct of the size it tells, whose texts stay unchanged
    /// for the call.
    unsafe fn read(options: *const kv_listen_options) -> Result<ListenOptions, Failure> {
        let mut listen = ListenOptions::default();
        if options.is_null() {
            return Ok(listen);
        }
        // SAFETY: not NULL, and every version begins with the size.
        if unsafe { options.cast::<usize>().read() } != size_of::<kv_listen_options>() {
            return Err(BAD_SIZE.into());
        }
        // SAFETY: it is of this size.
        let options = unsafe { options.read() };
        // SAFETY: by contract they point to as many bytes as they tell.
        let (host, path, password) =
            unsafe { (text(options.host)?, text(options.unix_path)?, text(options.password)?) };
        listen.bind = host.map_or(listen.bind, |host| vec![host]);
        listen.port = Some(options.port).filter(|_| options.no_tcp == 0);
        listen.exposed = options.exposed != 0;
        listen.unix = path.map(Into::into);
        listen.unix_permissions = Some(options.unix_permissions).filter(|mode| *mode != 0);
        listen.password = password;
        Ok(listen)
    }
}

/// A text of the caller's; none if it is empty.
///
/// # Safety
/// As [`kv_bytes::slice`].
unsafe fn text(bytes: kv_bytes) -> Result<Option<String>, Failure> {
    // SAFETY: by contract.
    let bytes = unsafe { bytes.slice()? };
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::from(BAD_TEXT))?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// Has an engine listen for Redis clients, on a thread of its own. Clients and this program work on
/// the same keys; each client is a session.
///
/// @param engine     Borrowed for the call. NULL is an error.
/// @param options    Borrowed for the call. NULL for the defaults.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_listener_close. NULL on an error, such as a port that is taken.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_listen(
    engine: Option<&kv_engine>,
    options: *const kv_listen_options,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_listener>> {
    guard_handle(out_error, || {
        // SAFETY: by contract NULL or options of the size they tell.
        let options = unsafe { kv_listen_options::read(options)? };
        Ok(kv_listener(engine.ok_or(NULL_ENGINE)?.0.listen(&options)?))
    })
}

/// The TCP port that a listener listens on.
///
/// @param listener  Borrowed. NULL gives 0.
/// @return The port, or 0 if it listens on a Unix socket only.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_listener_port(listener: Option<&kv_listener>) -> u16 {
    listener.and_then(|listener| listener.0.port()).unwrap_or(0)
}

/// Disconnects all clients, stops listening and ends the thread; returns when that is done. Closing
/// the engine does the same, but leaves the handle to be released here.
///
/// @param listener  Consumed. NULL does nothing. Not from inside of a callback of the engine's.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_listener_close(listener: Option<Box<kv_listener>>) {
    guard_quiet(|| drop(listener));
}

//! `kv_log_fn`: what scripts log, handed to C.

use super::bytes::kv_bytes;
use super::engine::kv_engine;
use super::panic::{NULL_ENGINE, guard};
use super::reply::kv_reply;
use crate::script::LogLevel;
use std::ffi::c_void;

/// redis.LOG_DEBUG
pub const KV_LOG_DEBUG: u32 = 0;
/// redis.LOG_VERBOSE
pub const KV_LOG_VERBOSE: u32 = 1;
/// redis.LOG_NOTICE
pub const KV_LOG_NOTICE: u32 = 2;
/// redis.LOG_WARNING
pub const KV_LOG_WARNING: u32 = 3;

const _: () = assert!(
    LogLevel::Debug as u32 == KV_LOG_DEBUG
        && LogLevel::Verbose as u32 == KV_LOG_VERBOSE
        && LogLevel::Notice as u32 == KV_LOG_NOTICE
        && LogLevel::Warning as u32 == KV_LOG_WARNING
);

/// Takes one message of redis.log, on the thread that runs the script and while it runs. The
/// message is borrowed until the callback returns. It may not call the engine, which answers with
/// an error, except for kv_cancel; it may not leave by longjmp or by a C++ exception.
pub type kv_log_fn = Option<extern "C" fn(user_data: *mut c_void, level: u32, message: kv_bytes)>;

/// What the host wants back with each message.
struct UserData(*mut c_void);

// SAFETY: the pointer is only handed back; the header asks for data that any thread may use.
unsafe impl Send for UserData {}

/// Directs what scripts log with redis.log to a callback. Without one it is dropped.
///
/// @param engine     Borrowed. NULL gives an error reply.
/// @param callback   Called for each message. NULL for none.
/// @param user_data  Passed to the callback. Must live until the callback is replaced or the
///                   engine closed, and be fit for every thread that runs scripts.
/// @return Status OK, or an error, which kv_reply_free releases.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_log_set(
    engine: Option<&kv_engine>,
    callback: kv_log_fn,
    user_data: *mut c_void,
) -> kv_reply {
    guard(|| {
        let engine = &engine.ok_or(NULL_ENGINE)?.0;
        let user_data = UserData(user_data);
        engine.set_log(callback.map(|callback| {
            Box::new(move |level: LogLevel, message: &[u8]| {
                // The whole of it, or the closure would hold the bare pointer.
                let user_data: &UserData = &user_data;
                callback(user_data.0, level as u32, kv_bytes::lend(message));
            }) as Box<dyn FnMut(LogLevel, &[u8]) + Send>
        }))?;
        Ok(kv_reply::OK)
    })
}

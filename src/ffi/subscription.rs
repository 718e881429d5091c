//! `kv_subscription`: messages of channels, handed to C.

use super::bytes::{Room, kv_bytes, list};
use super::engine::kv_engine;
use super::panic::{NULL_ENGINE, guard, guard_handle, guard_quiet};
use super::reply::kv_reply;
use crate::engine::{Message, Subscription};
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::time::Duration;

/// One who listens to channels. It holds its engine's memory, but does not keep the engine open.
///
/// May be used from any thread.
pub struct kv_subscription(Subscription);

/// Takes one message of a channel: the channel, the pattern by which it was listened for (NULL data
/// if it was by the channel's name), and what was published. All are borrowed until the callback
/// returns. It runs on the thread that has published the message, once the engine can be called
/// again: it may call the engine. Messages come one after the other and in order. It may not close
/// its own subscription, nor leave by longjmp or by a C++ exception.
pub type kv_message_fn = Option<
    extern "C" fn(user_data: *mut c_void, channel: kv_bytes, pattern: kv_bytes, message: kv_bytes),
>;

/// What the host wants back with each message.
struct UserData(*mut c_void);

// SAFETY: the pointer is only handed back; the header asks for data that any thread may use.
unsafe impl Send for UserData {}
// SAFETY: the same.
unsafe impl Sync for UserData {}

const NULL_SUBSCRIPTION: &CStr = c"ERR the subscription is NULL";

/// Listens to channels by name and by pattern.
///
/// @param engine     Borrowed for the call. NULL is an error.
/// @param nchannels  The number of channels.
/// @param channels   Borrowed. Their names.
/// @param npatterns  The number of patterns.
/// @param patterns   Borrowed. Patterns as PSUBSCRIBE has them.
/// @param callback   Called for each message. NULL if they are to wait for kv_subscription_next.
/// @param user_data  Passed to the callback. Must live until the subscription is closed, and be fit
///                   for every thread that publishes.
/// @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
/// @return Owned; release with kv_subscription_close. NULL on an error.
///
/// Thread-safe: calls on one engine are serialised.
#[unsafe(no_mangle)]
pub extern "C" fn kv_subscribe(
    engine: Option<&kv_engine>,
    nchannels: usize,
    channels: *const kv_bytes,
    npatterns: usize,
    patterns: *const kv_bytes,
    callback: kv_message_fn,
    user_data: *mut c_void,
    out_error: Option<&mut MaybeUninit<kv_reply>>,
) -> Option<Box<kv_subscription>> {
    guard_handle(out_error, || {
        let subscription = engine.ok_or(NULL_ENGINE)?.0.subscription()?;
        let (mut by_name, mut by_pattern) = (Room::new(), Room::new());
        // SAFETY: by contract the caller lends them until this returns.
        let names = unsafe { list(&mut by_name, nchannels, channels)? };
        // SAFETY: the same.
        let globs = unsafe { list(&mut by_pattern, npatterns, patterns)? };
        subscription.on_message(callback.map(|callback| {
            let user_data = UserData(user_data);
            Box::new(move |message: Message| {
                // The whole of it, or the closure would hold the bare pointer.
                let user_data: &UserData = &user_data;
                let none = kv_bytes { data: std::ptr::null(), len: 0 };
                let pattern = message.pattern.as_deref().map_or(none, kv_bytes::lend);
                let (channel, payload) = (&message.channel, &message.payload);
                callback(user_data.0, kv_bytes::lend(channel), pattern, kv_bytes::lend(payload));
            }) as Box<dyn Fn(Message) + Send + Sync>
        }));
        subscription.subscribe(names)?;
        subscription.psubscribe(globs)?;
        Ok(kv_subscription(subscription))
    })
}

/// The oldest message that was not taken yet.
///
/// @param subscription  Borrowed. NULL gives an error reply.
/// @param timeout_ms    How long to wait for one, in milliseconds; 0 not at all, negative for as
///                      long as it takes.
/// @return Owned; release with kv_reply_free. An array of the channel, the pattern or nil, and what
///         was published; nil if there is none in time, or the engine was closed.
///
/// Thread-safe. It keeps nobody else from the engine while it waits.
#[unsafe(no_mangle)]
pub extern "C" fn kv_subscription_next(
    subscription: Option<&kv_subscription>,
    timeout_ms: i64,
) -> kv_reply {
    guard(|| {
        let subscription = &subscription.ok_or(NULL_SUBSCRIPTION)?.0;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let Some(message) = subscription.message(timeout) else { return Ok(kv_reply::NIL) };
        Ok(kv_reply::written(|reply| {
            reply.array(3);
            reply.bulk(&message.channel);
            reply.bulk_or_null(message.pattern.as_deref());
            reply.bulk(&message.payload);
        }))
    })
}

/// Listens no more. The callback is not called any more once this returns: it waits for a thread
/// that is in it.
///
/// @param subscription  Consumed; no other thread may be using it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn kv_subscription_close(subscription: Option<Box<kv_subscription>>) {
    guard_quiet(|| drop(subscription));
}

//! `kv_last_traceback`: where the script was that failed last.

use super::panic::guard;
use super::reply::kv_reply;
use crate::error::Traceback;
use crate::reply::ReplyBuf;
use std::cell::Cell;

thread_local!(static LAST: Cell<Option<Box<Traceback>>> = const { Cell::new(None) });

/// Keeps a traceback for its thread, in place of the one before.
pub(super) fn keep(traceback: Box<Traceback>) {
    // As a thread ends there may be no place any more.
    let _ = LAST.try_with(|last| last.set(Some(traceback)));
}

/// Takes what is known of the last script or function that failed in a call of this thread, on
/// whatever engine.
///
/// @return Owned; release with kv_reply_free. An array of four: the script's SHA-1 or the function's
///         name; the function's library, or nil; the line, or nil if that is not known; and the calls
///         that were under way, an array of strings, the innermost first, as Lua's debug.traceback
///         words them. Nil if no script has failed, or this was asked since.
///
/// Thread-safe: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn kv_last_traceback() -> kv_reply {
    guard(|| {
        let last = LAST.try_with(Cell::take).ok().flatten();
        Ok(last.map_or(kv_reply::NIL, |last| kv_reply::written(|buffer| write(&last, buffer))))
    })
}

fn write(traceback: &Traceback, buffer: &mut ReplyBuf) {
    buffer.array(4);
    buffer.bulk(traceback.name.as_bytes());
    buffer.bulk_or_null(traceback.library.as_deref().map(str::as_bytes));
    match traceback.line {
        Some(line) => buffer.integer(line.into()),
        None => buffer.null(),
    }
    buffer.array(traceback.frames.len());
    traceback.frames.iter().for_each(|frame| buffer.bulk(frame.as_bytes()));
}

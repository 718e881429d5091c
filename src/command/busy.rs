//! What a call answers while a script holds the engine: known from its row and its form alone,
//! since nothing else can be looked at.

use super::admin::{NOT_ENDING, SHUTDOWN_NAME};
use super::spec::Beside;
use super::transaction::{
    DISCARD_ALONE, DISCARD_NAME, EXEC_NAME, MULTI_NAME, NESTED, UNWATCH_NAME, WATCH_INSIDE,
    WATCH_NAME,
};
use super::{ARGUMENT_MOST, Caller, admit, find, resolve};
use crate::error::CommandError;

/// How a call stands while a script holds the engine.
pub(crate) enum Standing {
    /// It would be an error at any time.
    Wrong(CommandError),
    /// The script that runs answers it.
    Asks(Beside),
    /// It changes but the session's transaction: it is done once the engine is free, and answered
    /// now. Whether the session queues commands afterwards, where that changes.
    Kept(Option<bool>),
    /// It is queued once the engine is free, and answered now.
    Queued,
    /// It may be called, but cannot be answered without the engine.
    Waits,
    /// The same; it ends the program, and the script with it, where clients may do that.
    Ends,
    /// It is refused, and with it the transaction that is being queued.
    Refused,
    /// It is refused, and ends the transaction.
    Aborts,
}

/// How a call stands, of a session that queues commands or does not.
pub(crate) fn standing(argv: &[&[u8]], queues: bool) -> Standing {
    // Whether the host has added a command of a name is known to the engine alone.
    let Some(found) = argv.first().and_then(|name| find(name)) else { return Standing::Refused };
    if argv.iter().any(|arg| arg.len() > ARGUMENT_MOST) {
        return Standing::Wrong(CommandError::StringTooLong);
    }
    let (row, _) = match resolve(found, argv, Caller::Host) {
        Ok(found) => found,
        Err(error) => return Standing::Wrong(error),
    };
    let row = row.command;
    if let Err(error) = admit(row, argv.len(), Caller::Host) {
        return Standing::Wrong(error);
    }
    match (row.name, row.details.beside) {
        (EXEC_NAME, _) => Standing::Aborts,
        _ if !row.is_allowed_busy() => Standing::Refused,
        _ if queues && !row.is_unqueued() => Standing::Queued,
        (MULTI_NAME, _) if queues => Standing::Wrong(NESTED),
        (WATCH_NAME, _) if queues => Standing::Wrong(WATCH_INSIDE),
        (DISCARD_NAME, _) if !queues => Standing::Wrong(DISCARD_ALONE),
        (MULTI_NAME, _) => Standing::Kept(Some(true)),
        (DISCARD_NAME, _) => Standing::Kept(Some(false)),
        (WATCH_NAME | UNWATCH_NAME, _) => Standing::Kept(None),
        (_, Some(beside)) => Standing::Asks(beside),
        (SHUTDOWN_NAME, _) => shutdown(argv),
        _ => Standing::Waits,
    }
}

/// SHUTDOWN has to say that it does not mind what is lost.
fn shutdown(argv: &[&[u8]]) -> Standing {
    let says = |word: &[u8]| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    match () {
        () if says(b"nosave") => Standing::Ends,
        () if says(b"abort") => Standing::Wrong(NOT_ENDING),
        () => Standing::Refused,
    }
}

//! What a call answers while a script holds the engine: known from its row and its form alone,
//! since nothing else can be looked at.

use super::admin::{Ending, SHUTDOWN_NAME};
use super::args::Args;
use super::dispatch::NOT_QUEUED;
use super::gate::admit;
use super::index::{find, resolve};
use super::spec::Beside;
use super::transaction::{
    DISCARD_ALONE, DISCARD_NAME, EXEC_NAME, MULTI_NAME, NESTED, UNWATCH_NAME, WATCH_INSIDE,
    WATCH_NAME,
};
use super::{ARGUMENT_MOST, Caller};
use crate::error::CommandError;

/// How a call stands while a script holds the engine.
pub(crate) enum Standing {
    /// It would be an error at any time.
    Wrong(CommandError),
    /// The script that runs answers it.
    Asks(Beside),
    /// It asks the program to end, and with it the script, or not to.
    Ends(Ending),
    /// It changes but the session's transaction: it is done once the engine is free, and answered
    /// now. Whether the session queues commands afterwards, where that changes.
    Kept(Option<bool>),
    /// It is queued once the engine is free, and answered now.
    Queued,
    /// It may be called, but cannot be answered without the engine.
    Waits,
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
        _ if queues && row.is_never_queued() => Standing::Wrong(NOT_QUEUED),
        _ if queues && !row.is_unqueued() => Standing::Queued,
        (MULTI_NAME, _) if queues => Standing::Wrong(NESTED),
        (WATCH_NAME, _) if queues => Standing::Wrong(WATCH_INSIDE),
        (DISCARD_NAME, _) if !queues => Standing::Wrong(DISCARD_ALONE),
        (MULTI_NAME, _) => Standing::Kept(Some(true)),
        (DISCARD_NAME, _) => Standing::Kept(Some(false)),
        (WATCH_NAME | UNWATCH_NAME, _) => Standing::Kept(None),
        (SHUTDOWN_NAME, _) => standing_of_end(argv),
        (_, Some(beside)) => Standing::Asks(beside),
        _ => Standing::Waits,
    }
}

/// How SHUTDOWN stands: while a script runs, it has to say that nothing is to be saved.
fn standing_of_end(argv: &[&[u8]]) -> Standing {
    let args = Args::new(SHUTDOWN_NAME, argv.get(1..).unwrap_or_default());
    match Ending::read(args) {
        Err(error) => Standing::Wrong(error),
        Ok(ending) if ending.saves_not || ending.aborts => Standing::Ends(ending),
        Ok(_) => Standing::Refused,
    }
}

//! What clients may call that may not call everything: those that have not said who they are, that
//! listen to channels in RESP2, or that see every call.

use super::context::Context;
use super::gate::admit;
use super::spec::{Command, Flags};
use super::transaction;
use crate::clients::Client;
use crate::error::{CommandError, CommandResult};

/// Refuses a call, if it is to be refused: after a wrong number of arguments, which Redis sees
/// first. A name that is not known at all is somebody else's business.
#[cold]
pub(super) fn refuse(
    cx: &mut Context<'_>,
    command: Option<&'static Command>,
    argv: &[&[u8]],
) -> CommandResult {
    let hosted = || argv.first().and_then(|name| cx.hosted.find(name)).map(|row| row.facts());
    let (name, flags) = match command {
        Some(command) if argv.len() == 1 && !command.subcommands.is_empty() => return Ok(()),
        Some(command) => {
            admit(command, argv.len(), cx.caller)?;
            (command.name.to_owned(), command.flags)
        }
        None => match hosted() {
            Some(facts) => facts,
            None => return Ok(()),
        },
    };
    let needs_password = cx.server.users.needs_login();
    let client = &cx.host()?.session.client;
    match refusal(client, needs_password, &name, flags) {
        None => Ok(()),
        Some(error) if name == transaction::EXEC_NAME => Err(transaction::abandon(cx, &error)),
        Some(error) => Err(error),
    }
}

fn refusal(
    client: &Client,
    needs_password: bool,
    name: &str,
    flags: Flags,
) -> Option<CommandError> {
    let touches_keys = Flags::READONLY.and(Flags::WRITE).and(Flags::MAY_WRITE);
    match () {
        () if !client.authenticated && needs_password && !flags.has(Flags::NO_AUTH) => {
            Some(CommandError::text("NOAUTH Authentication required."))
        }
        () if client.only_listens() && !flags.has(Flags::LISTENING) => Some(CommandError::quoting(&[
            b"ERR Can't execute '",
            name.as_bytes(),
            b"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
              context",
        ])),
        () if client.monitors && flags.has_any(touches_keys) => {
            Some(CommandError::text("ERR Replica can't interact with the keyspace"))
        }
        () => None,
    }
}

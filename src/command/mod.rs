//! Commands: the table of their rows and the one gate to their handlers.
//!
//! Every command, from the host, a client or a script, passes [`dispatch`]. Arity, read-only and
//! no-script gates are there and nowhere else, read from the row. Handlers parse all arguments,
//! look up, change, reply.
//!
//! A new command is one row and one function in its family's file.

mod args;
mod connection;
mod context;
mod expire;
mod generic;
mod hash;
mod introspect;
mod list;
mod range;
mod scan;
mod scripting;
mod server;
mod spec;
mod string;
mod zset;

pub(crate) use args::Args;
pub(crate) use context::{Caller, Context};
pub use introspect::{CommandInfo, commands};
pub(crate) use spec::{Command, Flags};

use crate::error::CommandError;
use crate::table::hash;
use hashbrown::HashTable;
use smallvec::SmallVec;
use spec::Family;
use std::sync::OnceLock;

/// All commands, by family.
pub(crate) const FAMILIES: &[Family] = &[
    connection::FAMILY,
    generic::FAMILY,
    expire::FAMILY,
    scan::FAMILY,
    hash::FAMILY,
    list::FAMILY,
    scripting::FAMILY,
    server::FAMILY,
    string::FAMILY,
    zset::FAMILY,
];

/// The most bytes an argument may have, `proto-max-bulk-len`.
pub(crate) const ARGUMENT_MOST: usize = 512 << 20;

/// Longest name a command has; longer ones need no search.
const NAME_MOST: usize = 24;

/// The rows by name, computed once from [`FAMILIES`].
fn index() -> &'static HashTable<&'static Command> {
    static INDEX: OnceLock<HashTable<&'static Command>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut table = HashTable::new();
        for command in FAMILIES.iter().flat_map(|family| family.commands) {
            let row = |c: &&'static Command| hash(c.name.as_bytes());
            table.insert_unique(hash(command.name.as_bytes()), command, row);
        }
        table
    })
}

/// The row of a command by its name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    if name.len() > NAME_MOST {
        return None;
    }
    let mut lower = SmallVec::<[u8; NAME_MOST]>::from_slice(name);
    lower.make_ascii_lowercase();
    index().find(hash(&lower), |c| c.name.as_bytes() == lower.as_slice()).copied()
}

/// Runs one command. Its reply, or its error as a reply, is in `cx.reply` afterwards.
pub(crate) fn dispatch(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let found = argv.first().and_then(|name| find(name));
    let outcome = match found {
        Some(command) => run(cx, command, argv),
        None if cx.caller == Caller::Host => Err(CommandError::unknown_command(argv)),
        None => Err(CommandError::ScriptUnknown),
    };
    if let Err(error) = outcome {
        cx.reply.error(&error);
    }
}

/// Runs a command whose row is at hand; on an error nothing is left in the reply.
pub(crate) fn run(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    let (command, words) = resolve(command, argv, cx.caller)?;
    admit(command, argv.len(), cx.caller)?;
    if argv.iter().any(|arg| arg.len() > ARGUMENT_MOST) {
        return Err(CommandError::StringTooLong);
    }
    let args = Args::new(command.name, argv.get(words..).unwrap_or_default());
    let mark = cx.reply.mark();
    (command.run)(cx, args).inspect_err(|_| cx.reply.truncate(mark))
}

/// The row that a call means, the command's own or that of the subcommand it names, and how many
/// words its name takes.
#[inline]
fn resolve(
    command: &'static Command,
    argv: &[&[u8]],
    caller: Caller,
) -> Result<(&'static Command, usize), CommandError> {
    if command.subcommands.is_empty() {
        return Ok((command, 1));
    }
    let Some(name) = argv.get(1) else { return Ok((command, 1)) };
    let named = |c: &&Command| c.own_name().as_bytes().eq_ignore_ascii_case(name);
    let found = command.subcommands.iter().find(named).map(|found| (found, 2));
    found.ok_or_else(|| match caller {
        Caller::Host => CommandError::unknown_subcommand(command.name, name),
        Caller::Script { .. } => CommandError::ScriptUnknown,
    })
}

/// The gates, in the order in which Redis asks.
#[inline]
fn admit(command: &'static Command, argc: usize, caller: Caller) -> Result<(), CommandError> {
    let Caller::Script { read_only } = caller else {
        return match command.arity.admits(argc) {
            true => Ok(()),
            false => Err(CommandError::Arity(command.name)),
        };
    };
    if !command.arity.admits(argc) {
        return Err(CommandError::ScriptArity);
    }
    if command.flags.has(Flags::NOSCRIPT) {
        return Err(CommandError::ScriptForbidden);
    }
    if read_only && command.flags.has(Flags::WRITE) {
        return Err(CommandError::ScriptReadOnly);
    }
    Ok(())
}

impl Command {
    /// The name without its container's.
    pub(crate) fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, own)| own)
    }
}

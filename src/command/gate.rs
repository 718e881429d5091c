//! The gates: what is asked before a command is run. Arity, what its caller may do, whether a script
//! may call it, whether there is memory for what writes. They are here and nowhere else, and read
//! from the row.

use super::context::{Caller, Context};
use super::index::{Found, find, flags_of_call, resolve};
use super::permission;
use super::spec::{Arity, Command, Flags, Keys};
use super::transaction;
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::server::{Inner, Server};

/// Which calls of a script are looked at one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// None.
    No,
    /// Those of commands that may take long: they are timed.
    Long,
    /// All.
    All,
}

impl Watched {
    /// Whether the calls of a command are.
    #[inline(always)]
    pub(super) fn has(self, command: &Command) -> bool {
        match self {
            Watched::No => false,
            Watched::Long => command.may_take_long(),
            Watched::All => true,
        }
    }
}

/// Which calls of a script that begins now are to be looked at one by one: all, where who calls may
/// not do everything, there is not enough memory, somebody hears what is called, all calls are timed,
/// too few replicas follow or another server is followed, or DEBUG lets scripts run anything. None of
/// it comes about while a script runs.
#[inline]
pub(crate) fn watched(keys: &Keyspace, server: &Server) -> Watched {
    let all = server.users.acting().is_some()
        | keys.refuses_growth()
        | keys.news().is_overheard()
        | server.debug.scripts_run_all
        | (server.measures.inner == Inner::All)
        | server.measures.guarded;
    match server.measures.inner {
        _ if all => Watched::All,
        Inner::None => Watched::No,
        Inner::Long | Inner::All => Watched::Long,
    }
}

/// Whether a call of a script passes all gates that do not depend on what else there is.
#[inline(always)]
pub(super) fn passes_at_once(command: &Command, argc: usize, caller: Caller) -> bool {
    let forbidden = match caller {
        Caller::Script { read_only: false } => Flags::NOSCRIPT,
        _ => Flags::NOSCRIPT.and(Flags::WRITE).and(Flags::MAY_WRITE),
    };
    command.subcommands.is_empty()
        && command.arity.admits(argc)
        && !command.flags.has_any(forbidden)
}

/// Whether a call of the host's, or of a client's, passes all gates as they stand now: its name is one
/// word, its arguments are of the right number, and nothing else is asked of anybody.
#[inline(always)]
pub(super) fn opens_at_once(cx: &Context<'_>, command: &Command, argc: usize) -> bool {
    command.subcommands.is_empty()
        && command.arity.admits(argc)
        && cx.caller == Caller::Host
        && cx.server.users.acting().is_none()
        && !cx.keys.refuses_growth()
        && !cx.server.measures.guarded
}

/// Finds the row that a call means and passes it through the gates; tells how many words its name
/// takes.
#[inline(always)]
pub(super) fn enter(
    cx: &mut Context<'_>,
    found: Found,
    argv: &[&[u8]],
) -> Result<(Found, usize), CommandError> {
    let (found, words) = resolve(found, argv, cx.caller)?;
    let admitted = match admit(found.command, argv.len(), cx.caller) {
        Err(CommandError::ScriptForbidden) if cx.server.debug.scripts_run_all => Ok(()),
        Ok(()) if cx.server.users.acting().is_some() => permission::permit(cx, found, argv),
        admitted => admitted,
    };
    let admitted = match admitted {
        Ok(()) if cx.keys.refuses_growth() => check_growth(cx, found.command),
        admitted => admitted,
    };
    let admitted = match admitted {
        Ok(()) if cx.server.measures.guarded => {
            check_standing(cx, found.command.name, found.command.flags)
        }
        admitted => admitted,
    };
    match admitted {
        Ok(()) => Ok((found, words)),
        Err(error) => {
            cx.server.stats.rejected(found.number);
            Err(error)
        }
    }
}

/// Whether a number of arguments, the name counted, is right.
pub(super) fn check_arity(command: &Command, argc: usize) -> Result<(), CommandError> {
    if command.arity.admits(argc) { Ok(()) } else { Err(CommandError::Arity(command.name)) }
}

/// Whether a script may call a command while there is not enough memory: not one that may need more,
/// unless the script has written before.
#[cold]
fn check_growth(cx: &mut Context<'_>, command: &Command) -> Result<(), CommandError> {
    if cx.caller == Caller::Host {
        return Ok(());
    }
    if command.flags.has(Flags::DENYOOM) {
        return Err(CommandError::OutOfMemory);
    }
    if command.flags.has(Flags::WRITE) {
        cx.keys.refuse_growth(false);
    }
    Ok(())
}

/// Whether a command may be called while too few replicas follow, or another server is followed. Of
/// EXEC it is asked what it would run; what EXEC runs was looked at by then.
#[cold]
pub(super) fn check_standing(
    cx: &mut Context<'_>,
    name: &str,
    flags: Flags,
) -> Result<(), CommandError> {
    if cx.caller != Caller::Host {
        return match cx.server.refusal(false, flags.has(Flags::STALE)) {
            Some(CommandError::MasterDown) => Err(CommandError::StaleCommand),
            _ => cx.server.refusal(writes(flags), true).map_or(Ok(()), Err),
        };
    }
    if cx.server.users.executing {
        return Ok(());
    }
    let (mut may_write, mut reads_stale) = (writes(flags), flags.has(Flags::STALE));
    let executes = name == transaction::EXEC_NAME;
    if let Some(queue) = cx.queue().filter(|queue| executes && !queue.refused) {
        let queued = queue.commands.iter();
        for flags in queued.filter_map(|argv| flags_of_call(&argv.slices())) {
            may_write |= writes(flags);
            reads_stale &= flags.has(Flags::STALE);
        }
    }
    match cx.server.refusal(may_write, reads_stale) {
        None => Ok(()),
        Some(why) if executes => Err(transaction::abandon(cx, &why)),
        Some(why) => Err(why),
    }
}

/// Makes room before a call from outside, where memory is limited; an error if there is not enough
/// and the command may need more, or would be queued.
#[cold]
pub(crate) fn make_room(cx: &mut Context<'_>, argv: &[&[u8]]) -> Result<(), CommandError> {
    let is_master_asked = cx.server.measures.follows && cx.server.follower_ignores_memory();
    if is_master_asked || cx.keys.make_room() {
        return Ok(());
    }
    let Some(Found { command, .. }) = argv.first().and_then(|name| find(name)) else {
        return Ok(());
    };
    let grows = |argv: &[&[u8]]| {
        let found = argv.first().and_then(|name| find(name));
        let row = found.and_then(|command| resolve(command, argv, Caller::Host).ok());
        row.is_some_and(|(row, _)| row.command.flags.has(Flags::DENYOOM))
    };
    let Some(queue) = cx.queue() else {
        return if grows(argv) { Err(CommandError::OutOfMemory) } else { Ok(()) };
    };
    if !command.flags.has(Flags::UNQUEUED) {
        queue.refused = true;
        return Err(CommandError::OutOfMemory);
    }
    if command.name == transaction::EXEC_NAME
        && !queue.refused
        && queue.commands.iter().any(|c| grows(&c.slices()))
    {
        queue.refused = true;
        return Err(transaction::abandon(cx, &CommandError::OutOfMemory));
    }
    Ok(())
}

/// Whether a row lets a call through.
#[inline]
pub(super) fn admit(
    command: &'static Command,
    argc: usize,
    caller: Caller,
) -> Result<(), CommandError> {
    let arity_error = || CommandError::Arity(command.name);
    let gated = Gated { arity: command.arity, flags: command.flags };
    pass(gated, argc, caller, arity_error)
}

/// What the gates ask of a command.
#[derive(Clone, Copy)]
pub(super) struct Gated {
    pub(super) arity: Arity,
    pub(super) flags: Flags,
}

/// The gates, in the order in which Redis asks.
#[inline]
pub(super) fn pass(
    command: Gated,
    argc: usize,
    caller: Caller,
    arity_error: impl FnOnce() -> CommandError,
) -> Result<(), CommandError> {
    let (read_only, in_script) = match caller {
        Caller::Host if command.arity.admits(argc) => return Ok(()),
        Caller::Host => return Err(arity_error()),
        Caller::Script { read_only } => (read_only, true),
        Caller::Function { read_only, .. } => (read_only, false),
    };
    let writes = command.flags.has_any(Flags::WRITE.and(Flags::MAY_WRITE));
    match () {
        () if !command.arity.admits(argc) && in_script => Err(CommandError::ScriptArity),
        () if !command.arity.admits(argc) => Err(arity_error()),
        () if command.flags.has(Flags::NOSCRIPT) && in_script => Err(CommandError::ScriptForbidden),
        () if command.flags.has(Flags::NOSCRIPT) => Err(CommandError::HostForbidden),
        () if read_only && writes && in_script => Err(CommandError::ScriptReadOnly),
        () if read_only && writes => Err(CommandError::HostReadOnly),
        () => Ok(()),
    }
}

/// Whether what a command of these flags runs in turn may not write.
pub(super) fn is_read_only(flags: Flags, caller: Caller) -> bool {
    let promised = match caller {
        Caller::Host => false,
        Caller::Script { read_only } | Caller::Function { read_only, .. } => read_only,
    };
    promised || !flags.has(Flags::WRITE)
}

/// Whether a command of these flags may change data.
pub(super) fn writes(flags: Flags) -> bool {
    flags.has(Flags::WRITE)
}

impl Command {
    /// Whether it may change data.
    #[inline]
    pub(crate) fn writes(&self) -> bool {
        writes(self.flags)
    }

    /// Whether it looks at keys that it was not given.
    pub(super) fn wanders(&self) -> bool {
        let reads = self.flags.has(Flags::READONLY) && !self.flags.has(Flags::MOVABLEKEYS);
        reads && self.keys == Keys::NONE
    }

    /// Whether the time it takes grows with the data by more than a logarithm.
    #[inline]
    pub(super) fn may_take_long(&self) -> bool {
        !self.flags.has(Flags::FAST) && self.complexity != "O(1)"
    }

    /// Whether it may be called while a script runs for long.
    pub(super) fn is_allowed_busy(&self) -> bool {
        self.flags.has(Flags::ALLOW_BUSY)
    }

    /// Whether it may not be part of a transaction.
    pub(super) fn is_never_queued(&self) -> bool {
        self.flags.has(Flags::NO_MULTI)
    }

    /// Whether it is run at once after MULTI.
    pub(super) fn is_unqueued(&self) -> bool {
        self.flags.has(Flags::UNQUEUED)
    }

    /// The name without its container's.
    pub(crate) fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, own)| own)
    }
}

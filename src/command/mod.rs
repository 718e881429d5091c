//! Commands: the table of their rows and the one gate to their handlers.
//!
//! Every command, from the host, a client or a script, passes [`dispatch`]. Arity, read-only and
//! no-script gates are there and nowhere else, read from the row. Handlers parse all arguments,
//! look up, change, reply.
//!
//! A new command is one row and one function in its family's file.

mod acl;
mod admin;
mod args;
mod bitfield;
mod bitmap;
mod blocking;
mod busy;
mod client;
mod config;
mod connection;
mod context;
mod debug;
mod digest;
mod dump;
mod expire;
#[cfg(feature = "cli")]
mod foresee;
mod function;
mod generic;
mod geo;
mod geosearch;
mod hash;
mod hosted;
mod hyperloglog;
mod info;
mod introspect;
mod keyspec;
mod latency;
mod lcs;
mod list;
mod memory;
mod migrate;
mod monitor;
mod own;
mod partial_sort;
mod permission;
mod persistence;
mod pubsub;
mod random;
mod range;
mod restricted;
mod scan;
mod scripting;
mod server;
mod set;
mod set_algebra;
mod slowlog;
mod sort;
mod spec;
mod stream;
mod stream_claim;
mod stream_group;
mod stream_id;
mod stream_info;
mod stream_read;
mod string;
mod tracking;
mod transaction;
mod zset;
mod zset_algebra;

pub(crate) use admin::Ending;
pub(crate) use args::Args;
pub(crate) use busy::{Standing, standing};
pub(crate) use config::act;
pub(crate) use connection::leave_all;
pub(crate) use context::{Caller, Context, Host};
#[cfg(feature = "cli")]
pub(crate) use foresee::{Foreseen, foresee};
pub(crate) use hosted::{Function, Registry, returning};
pub use hosted::{HostCall, HostCommand};
pub(crate) use introspect::{CATEGORIES, catalog};
pub use introspect::{CommandInfo, commands};
pub(crate) use permission::may_call;
#[cfg(feature = "listen")]
pub(crate) use persistence::install;
pub(crate) use persistence::{keep_files, load_file, save_at_end};
pub(crate) use pubsub::{PSUBSCRIBE, PUBLISH, PUNSUBSCRIBE, SUBSCRIBE, UNSUBSCRIBE};
pub(crate) use scripting::{EVAL, EVALSHA};
pub(crate) use spec::{Command, Flags};
pub(crate) use transaction::DISCARD_NAME;

use crate::clients::address;
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::server::{Inner, Server, Stopwatch, Timed};
use crate::table::hash;
use smallvec::SmallVec;
use spec::{Arity, Family};
use std::sync::OnceLock;

/// All commands, by family.
pub(crate) const FAMILIES: &[Family] = &[
    acl::FAMILY,
    admin::CLUSTER,
    admin::FAMILY,
    admin::GENERIC,
    blocking::LISTS,
    blocking::SORTED_SETS,
    client::FAMILY,
    config::FAMILY,
    connection::FAMILY,
    debug::FAMILY,
    bitfield::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
    info::FAMILY,
    latency::FAMILY,
    lcs::FAMILY,
    sort::FAMILY,
    generic::FAMILY,
    geo::FAMILY,
    dump::FAMILY,
    expire::FAMILY,
    function::FAMILY,
    scan::FAMILY,
    hash::FAMILY,
    introspect::FAMILY,
    list::FAMILY,
    memory::FAMILY,
    migrate::FAMILY,
    monitor::FAMILY,
    own::FAMILY,
    persistence::FAMILY,
    pubsub::FAMILY,
    scripting::FAMILY,
    server::FAMILY,
    set::FAMILY,
    set_algebra::FAMILY,
    slowlog::FAMILY,
    stream::FAMILY,
    stream_claim::FAMILY,
    stream_group::FAMILY,
    stream_info::FAMILY,
    stream_read::FAMILY,
    string::FAMILY,
    transaction::FAMILY,
    zset::FAMILY,
    zset_algebra::FAMILY,
];

/// The most bytes a string may grow to; arguments are held to `proto-max-bulk-len`.
pub(crate) const ARGUMENT_MOST: usize = 512 << 20;

/// Longest name a command has; longer ones need no search.
const NAME_MOST: usize = 24;

/// A row with its number: commands and subcommands are counted in the order of [`FAMILIES`], and
/// what is known of their calls lies in that order.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) command: &'static Command,
    pub(crate) number: usize,
}

/// All commands without what containers contain, with their numbers.
pub(crate) fn numbered() -> impl Iterator<Item = Found> + Clone {
    let rows = FAMILIES.iter().flat_map(|family| family.commands);
    rows.scan(0, |next, command| {
        let number = *next;
        *next += 1 + command.subcommands.len();
        Some(Found { command, number })
    })
}

impl Found {
    /// The subcommand at a place in the container's list.
    fn subcommand(self, place: usize) -> Option<Found> {
        let command = self.command.subcommands.get(place)?;
        Some(Found { command, number: self.number + 1 + place })
    }

    /// A command and its subcommands.
    pub(crate) fn family(self) -> impl Iterator<Item = Found> + Clone {
        let own = (0..self.command.subcommands.len()).filter_map(move |at| self.subcommand(at));
        std::iter::once(self).chain(own)
    }
}

/// The rows by the hash of their names, computed once from [`FAMILIES`]: open addressing in twice
/// as many slots as there are rows or more.
struct Index(Vec<Option<Found>>);

impl Index {
    fn new() -> Index {
        let rows = numbered();
        let mut slots = vec![None; (rows.clone().count() * 2).next_power_of_two()];
        for row in rows {
            let name = row.command.name.as_bytes();
            let free = Index::probe(&slots, name).find(|&at| slots[at].is_none());
            if let Some(place) = free.and_then(|at| slots.get_mut(at)) {
                *place = Some(row);
            }
        }
        Index(slots)
    }

    /// The slots to look at for a name, in order.
    fn probe<T>(slots: &[T], name: &[u8]) -> impl Iterator<Item = usize> + use<T> {
        let (start, count) = (hash(name) as usize, slots.len());
        (0..count).map(move |step| start.wrapping_add(step) & (count - 1))
    }

    fn find(&self, name: &[u8]) -> Option<Found> {
        let found = Index::probe(&self.0, name).map_while(|at| self.0.get(at).copied().flatten());
        found.into_iter().find(|row| row.command.name.as_bytes() == name)
    }
}

/// The row of a command by its name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<Found> {
    static INDEX: OnceLock<Index> = OnceLock::new();
    if name.len() > NAME_MOST {
        return None;
    }
    let mut lower = SmallVec::<[u8; NAME_MOST]>::from_slice(name);
    lower.make_ascii_lowercase();
    INDEX.get_or_init(Index::new).find(&lower)
}

/// Whether there is a command of this name, with a subcommand of this one if it is a container.
pub(crate) fn is_known(name: &[u8], own: Option<&[u8]>) -> bool {
    let Some(found) = find(name) else { return false };
    let own = own.filter(|_| !found.command.subcommands.is_empty());
    own.is_none_or(|own| resolve(found, &[name, own], Caller::Host).is_ok())
}

/// The flags of the command, or subcommand, that a call means.
pub(crate) fn flags_of_call(argv: &[&[u8]]) -> Option<Flags> {
    let found = find(argv.first()?)?;
    let meant = resolve(found, argv, Caller::Host);
    Some(meant.map_or(found.command.flags, |(found, _)| found.command.flags))
}

/// Runs one command. Its reply, or its error as a reply, is in `cx.reply` afterwards.
pub(crate) fn dispatch(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let found = argv.first().and_then(|name| find(name));
    let outcome = match found {
        // Scripts are held to less by their memory limit.
        Some(_) if argv.iter().any(|arg| arg.len() > cx.server.measures.argument_most) => {
            Err(CommandError::StringTooLong)
        }
        found => match refuse_restricted(cx, found, argv) {
            Err(error) => Err(error),
            Ok(()) => match found {
                Some(found) => queue_or_run(cx, found, argv),
                None => hosted::queue_or_run(cx, argv),
            },
        },
    };
    if let Err(mut error) = outcome {
        if error == CommandError::Arity(transaction::EXEC_NAME) {
            error = transaction::abandon(cx, &error);
        }
        // EXEC answers with an error where a command could not be queued.
        if found.is_none_or(|found| !found.command.flags.has(Flags::UNQUEUED))
            && let Some(queue) = cx.queue()
        {
            queue.refused = true;
        }
        refuse(cx, &error);
    }
}

/// Answers with an error, and counts it.
#[cold]
fn refuse(cx: &mut Context<'_>, error: &CommandError) {
    let mark = cx.reply.mark();
    cx.reply.error(error);
    if let Some(text) = cx.reply.error_at(mark) {
        cx.server.stats.error(text);
    }
}

/// Looks at the calls of a client that may not call everything, and notes what any client called
/// last.
#[inline]
fn refuse_restricted(
    cx: &mut Context<'_>,
    found: Option<Found>,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    let Some(host) = &mut cx.host else { return Ok(()) };
    let command = match found {
        Some(found) if !found.command.subcommands.is_empty() => {
            match resolve(found, argv, cx.caller) {
                Ok((found, _)) => Some(found.command),
                // The gate says so to everybody.
                Err(_) => return Ok(()),
            }
        }
        found => found.map(|found| found.command),
    };
    host.session.client.last_command = command.map(|command| command.name);
    match host.session.client.restricted {
        true => restricted::refuse(cx, command, argv),
        false => Ok(()),
    }
}

/// Of a command that may not be part of a transaction.
const NOT_QUEUED: CommandError = CommandError::text("ERR Command not allowed inside a transaction");

/// Runs a command, or keeps it for EXEC where the session queues.
fn queue_or_run(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    if found.command.flags.has(Flags::UNQUEUED) || cx.queue().is_none() {
        return run_and_note(cx, found, argv);
    }
    let (found, _) = enter(cx, found, argv)?;
    if found.command.flags.has(Flags::NO_MULTI) {
        return Err(NOT_QUEUED);
    }
    cx.enqueue(argv);
    Ok(())
}

/// Runs a command that has waited; it is not queued.
pub(crate) fn serve(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let Some(found) = argv.first().and_then(|name| find(name)) else { return };
    if let Err(error) = run_and_note(cx, found, argv) {
        refuse(cx, &error);
    }
}

/// Counts a call that has waited in vain.
pub(crate) fn count_waited(server: &mut Server, argv: &[&[u8]]) {
    if let Some(found) = argv.first().and_then(|name| find(name)) {
        server.stats.called(found.number);
    }
}

/// Runs a command, and notes how that went: how long it took, where that is asked for, and whether
/// it answered with an error.
fn run_and_note(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    let (found, words) = enter(cx, found, argv)?;
    let mark = cx.reply.mark();
    let outcome = match cx.server.measures.timed {
        true => perform_timed(cx, found, words, argv),
        false => perform(cx, found.command, words, argv),
    };
    if cx.waits() {
        // It is counted when it is served.
        return outcome;
    }
    cx.server.stats.called(found.number);
    if outcome.is_err() || cx.reply.error_at(mark).is_some() {
        cx.server.stats.failed(found.number);
    }
    outcome
}

/// The address that is told of what a script calls.
const NOBODY: &[u8] = b"?:0";

#[cold]
fn perform_timed(
    cx: &mut Context<'_>,
    Found { command, number }: Found,
    words: usize,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    cx.server.secret.clear();
    let watch = Stopwatch::start();
    let outcome = perform(cx, command, words, argv);
    let took = watch.elapsed();
    if cx.waits() {
        return outcome;
    }
    let is_fast = command.flags.has(Flags::FAST);
    let is_never_slow = command.flags.has(Flags::SKIP_SLOWLOG);
    let client = cx.host.as_ref().map(|host| &host.session.client);
    let client = client.map_or((NOBODY, &b""[..]), |client| {
        (address(&client.origin.peer).as_bytes(), &client.name)
    });
    let call = Timed { number, argv, client, is_fast, is_never_slow };
    cx.server.note_time(call, took, cx.keys.now());
    outcome
}

/// Whether the calls of a script that begins now are to be looked at one by one: who calls may not
/// do everything, there is not enough memory, somebody hears what is called, calls are timed, too few
/// replicas follow or another server is followed, or DEBUG lets scripts run anything. None of it comes about while a script runs.
#[inline]
pub(crate) fn are_watched(keys: &Keyspace, server: &Server) -> bool {
    server.users.acting().is_some()
        | keys.refuses_growth()
        | keys.news().is_overheard()
        | server.debug.scripts_run_all
        | (server.measures.inner != Inner::None)
        | server.measures.guarded
}

/// Runs a command of a script's, whose row is at hand; on an error nothing is left in the reply.
/// What is not watched and passes all gates at once goes straight to its handler.
#[inline(always)]
pub(crate) fn run(
    cx: &mut Context<'_>,
    found: Found,
    argv: &[&[u8]],
    watched: bool,
) -> Result<(), CommandError> {
    if watched || !passes_at_once(found.command, argv.len(), cx.caller) {
        return run_watched(cx, found, argv);
    }
    cx.server.stats.called(found.number);
    let outcome = call(cx, found.command, argv, 1);
    outcome.inspect_err(|_| cx.server.stats.failed(found.number))
}

/// Whether a call of a script passes all gates that do not depend on what else there is.
#[inline(always)]
fn passes_at_once(command: &Command, argc: usize, caller: Caller) -> bool {
    let forbidden = match caller {
        Caller::Script { read_only: false } => Flags::NOSCRIPT,
        _ => Flags::NOSCRIPT.and(Flags::WRITE).and(Flags::MAY_WRITE),
    };
    command.subcommands.is_empty()
        && command.arity.admits(argc)
        && !command.flags.has_any(forbidden)
}

/// The same, gate by gate.
#[cold]
#[inline(never)]
fn run_watched(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> Result<(), CommandError> {
    let (found, words) = enter(cx, found, argv)?;
    cx.server.stats.called(found.number);
    let is_timed = match cx.server.measures.inner {
        Inner::None => false,
        Inner::Long => found.command.may_take_long(),
        Inner::All => true,
    };
    let outcome = match is_timed {
        true => perform_timed(cx, found, words, argv),
        false => perform(cx, found.command, words, argv),
    };
    outcome.inspect_err(|_| cx.server.stats.failed(found.number))
}

/// Finds the row that a call means and passes it through the gates; tells how many words its name
/// takes.
#[inline(always)]
fn enter(
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
fn check_arity(command: &Command, argc: usize) -> Result<(), CommandError> {
    if command.arity.admits(argc) { Ok(()) } else { Err(CommandError::Arity(command.name)) }
}

/// Runs the handler of a call that was let through.
#[inline(always)]
fn perform(
    cx: &mut Context<'_>,
    command: &'static Command,
    words: usize,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    match cx.keys.news().is_overheard() {
        true => monitor::run_overheard(cx, command, argv, words),
        false => call(cx, command, argv, words),
    }
}

/// Calls the handler of a row whose gates are passed.
#[inline(always)]
fn call(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
    words: usize,
) -> Result<(), CommandError> {
    let args = Args::new(command.name, argv.get(words..).unwrap_or_default());
    let args = args.called(argv.get(words - 1));
    let mark = cx.reply.mark();
    (command.run)(cx, args).inspect_err(|_| cx.reply.truncate(mark))
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
fn check_standing(cx: &mut Context<'_>, name: &str, flags: Flags) -> Result<(), CommandError> {
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

/// Runs a command that is not in the table, for a script: one that the host has added.
#[cold]
pub(crate) fn run_hosted(cx: &mut Context<'_>, argv: &[&[u8]]) -> Result<(), CommandError> {
    hosted::queue_or_run(cx, argv)
}

/// The row that a call means, the command's own or that of the subcommand it names, and how many
/// words its name takes.
#[inline(always)]
fn resolve(found: Found, argv: &[&[u8]], caller: Caller) -> Result<(Found, usize), CommandError> {
    match found.command.subcommands.is_empty() {
        true => Ok((found, 1)),
        false => resolve_own(found, argv, caller),
    }
}

/// The same for a container.
#[inline(never)]
fn resolve_own(
    found: Found,
    argv: &[&[u8]],
    caller: Caller,
) -> Result<(Found, usize), CommandError> {
    let command = found.command;
    let Some(name) = argv.get(1) else { return Ok((found, 1)) };
    let named = |c: &Command| c.own_name().as_bytes().eq_ignore_ascii_case(name);
    let place = command.subcommands.iter().position(named);
    let own = place.and_then(|place| found.subcommand(place)).map(|found| (found, 2));
    own.ok_or_else(|| match caller {
        Caller::Script { .. } => CommandError::ScriptUnknown,
        _ => CommandError::unknown_subcommand(command.name, name),
    })
}

/// Whether a row lets a call through.
#[inline]
fn admit(command: &'static Command, argc: usize, caller: Caller) -> Result<(), CommandError> {
    let arity_error = || CommandError::Arity(command.name);
    let gated = Gated { arity: command.arity, flags: command.flags };
    pass(gated, argc, caller, arity_error)
}

/// What the gates ask of a command.
#[derive(Clone, Copy)]
struct Gated {
    arity: Arity,
    flags: Flags,
}

/// The gates, in the order in which Redis asks.
#[inline]
fn pass(
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
fn is_read_only(flags: Flags, caller: Caller) -> bool {
    let promised = match caller {
        Caller::Host => false,
        Caller::Script { read_only } | Caller::Function { read_only, .. } => read_only,
    };
    promised || !flags.has(Flags::WRITE)
}

/// Whether a command of these flags may change data.
fn writes(flags: Flags) -> bool {
    flags.has(Flags::WRITE)
}

impl Command {
    /// Whether it may change data.
    #[inline]
    pub(crate) fn writes(&self) -> bool {
        writes(self.flags)
    }

    /// Whether the time it takes grows with the data by more than a logarithm.
    #[inline]
    fn may_take_long(&self) -> bool {
        !self.flags.has(Flags::FAST) && self.complexity != "O(1)"
    }

    /// Whether it may be called while a script runs for long.
    fn is_allowed_busy(&self) -> bool {
        self.flags.has(Flags::ALLOW_BUSY)
    }

    /// Whether it may not be part of a transaction.
    fn is_never_queued(&self) -> bool {
        self.flags.has(Flags::NO_MULTI)
    }

    /// Whether it is run at once after MULTI.
    fn is_unqueued(&self) -> bool {
        self.flags.has(Flags::UNQUEUED)
    }

    /// The name without its container's.
    pub(crate) fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, own)| own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::{Arity, Group};
    use std::collections::{BTreeMap, BTreeSet};

    /// Redis's own table of 7.0.15.
    const REDIS: &str = include_str!("../../tests/reference/commands.tsv");

    /// Every row, those of subcommands included, with its group.
    fn rows() -> Vec<(Group, &'static Command)> {
        let with_own =
            |command: &'static Command| std::iter::once(command).chain(command.subcommands.iter());
        let of_family = |family: &'static Family| {
            family.commands.iter().flat_map(with_own).map(|row| (family.group, row))
        };
        FAMILIES.iter().flat_map(of_family).collect()
    }

    /// The facts of a row in the form Redis's table has them.
    fn facts(group: Group, row: &Command) -> [String; 8] {
        let arity = match row.arity {
            Arity::Exactly(n) => format!("{n}"),
            Arity::AtLeast(n) => format!("-{n}"),
        };
        let named = Flags::NAMES.iter().filter(|(flag, _)| row.flags.has(*flag));
        let flags: BTreeSet<&str> = named.map(|(_, name)| *name).collect();
        let keys = [row.keys.first, row.keys.last, row.keys.step].map(|n| n.to_string());
        let flags = flags.into_iter().collect::<Vec<_>>().join(" ");
        let [first, last, step] = keys;
        let categories = introspect::categories(group, row);
        let categories = categories.map(|name| format!("@{name}")).collect::<Vec<_>>().join(" ");
        let (group, since) = (group.name().to_owned(), row.since.to_owned());
        [arity, flags, group, since, first, last, step, categories]
    }

    #[test]
    fn rows_say_what_redis_says() {
        let table = REDIS.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
        let redis: BTreeMap<&str, Vec<&str>> =
            table.map(|cells| (cells[0], cells[1..9].to_vec())).collect();
        let mut different = Vec::new();
        // What is our own has nothing to be compared with.
        for (group, row) in rows().into_iter().filter(|(group, _)| *group != Group::Own) {
            let (ours, theirs) = (facts(group, row), redis.get(row.name));
            if theirs.is_none_or(|theirs| ours != theirs.as_slice()) {
                different.push(format!("{}\n  ours   {ours:?}\n  Redis's {theirs:?}", row.name));
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    #[test]
    fn numbers_are_those_of_the_order_and_have_room() {
        let numbers: Vec<usize> =
            numbered().flat_map(Found::family).map(|found| found.number).collect();
        assert_eq!(numbers, (0..rows().len()).collect::<Vec<_>>());
        assert!(numbers.len() <= crate::server::ROOM, "there is room for {}", numbers.len());
    }

    #[test]
    fn names_are_unique_lower_case_and_found() {
        let mut seen = BTreeSet::new();
        for (_, row) in rows() {
            assert!(seen.insert(row.name), "{} is there twice", row.name);
            assert_eq!(row.name, row.name.to_ascii_lowercase());
        }
        for command in FAMILIES.iter().flat_map(|family| family.commands) {
            assert!(command.name.len() <= NAME_MOST, "{} is too long to be found", command.name);
            let upper = command.name.to_ascii_uppercase();
            assert!(find(upper.as_bytes()).is_some_and(|found| found.command.name == command.name));
            let own = |sub: &Command| sub.name.strip_prefix(command.name).map(str::to_owned);
            let prefixed = |sub| own(sub).is_some_and(|rest| rest.starts_with('|'));
            assert!(command.subcommands.iter().all(prefixed), "subcommands of {}", command.name);
        }
    }

    #[test]
    fn rows_are_sorted_within_a_family() {
        let commands = FAMILIES.iter().map(|family| family.commands);
        let subcommands = rows().into_iter().map(|(_, row)| row.subcommands);
        for rows in commands.chain(subcommands) {
            let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
            assert!(names.is_sorted(), "{names:?}");
        }
    }

    #[test]
    fn texts_are_written_alike() {
        for (_, row) in rows() {
            let Command { name, summary, complexity, .. } = row;
            let begins = summary.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(begins && summary.ends_with('.'), "{name}: {summary}");
            assert!(!complexity.is_empty() && !complexity.ends_with('.'), "{name}: {complexity}");
        }
    }

    #[test]
    fn a_flag_has_one_name() {
        let names: BTreeSet<&str> = Flags::NAMES.iter().map(|(_, name)| *name).collect();
        assert_eq!(names.len(), Flags::NAMES.len());
        for (at, (flag, name)) in Flags::NAMES.iter().enumerate() {
            let others = Flags::NAMES.iter().enumerate().filter(|(other, _)| *other != at);
            assert!(others.map(|(_, (other, _))| *other).all(|other| !other.has(*flag)), "{name}");
        }
    }
}

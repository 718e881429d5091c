//! Commands: the table of their rows and the one gate to their handlers.
//!
//! Every command, from the host, a client or a script, passes [`dispatch`]. Arity, read-only and
//! no-script gates are there and nowhere else, read from the row. Handlers parse all arguments,
//! look up, change, reply.
//!
//! A new command is one row and one function in its family's file.

mod args;
mod bitfield;
mod bitmap;
mod blocking;
mod config;
mod connection;
mod context;
mod dump;
mod expire;
mod function;
mod generic;
mod geo;
mod geosearch;
mod hash;
mod hosted;
mod hyperloglog;
mod introspect;
mod keyspec;
mod lcs;
mod list;
mod memory;
mod partial_sort;
mod random;
mod range;
mod scan;
mod scripting;
mod server;
mod set;
mod set_algebra;
mod sort;
mod spec;
mod stream;
mod stream_claim;
mod stream_group;
mod stream_id;
mod stream_info;
mod stream_read;
mod string;
mod transaction;
mod zset;
mod zset_algebra;

pub(crate) use args::Args;
pub(crate) use config::configure;
pub(crate) use context::{Caller, Context, Host};
pub(crate) use hosted::{Function, Registry, returning};
pub use hosted::{HostCall, HostCommand};
pub use introspect::{CommandInfo, commands};
pub(crate) use scripting::{EVAL, EVALSHA};
pub(crate) use spec::{Command, Flags};

use crate::error::CommandError;
use crate::session::Argv;
use crate::table::hash;
use smallvec::SmallVec;
use spec::{Arity, Family};
use std::sync::OnceLock;

/// All commands, by family.
pub(crate) const FAMILIES: &[Family] = &[
    blocking::LISTS,
    blocking::SORTED_SETS,
    config::FAMILY,
    connection::FAMILY,
    bitfield::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
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
    scripting::FAMILY,
    server::FAMILY,
    set::FAMILY,
    set_algebra::FAMILY,
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

/// The most bytes an argument may have, `proto-max-bulk-len`.
pub(crate) const ARGUMENT_MOST: usize = 512 << 20;

/// Longest name a command has; longer ones need no search.
const NAME_MOST: usize = 24;

/// The rows by the hash of their names, computed once from [`FAMILIES`]: open addressing in twice
/// as many slots as there are rows or more.
struct Index(Vec<Option<&'static Command>>);

impl Index {
    fn new() -> Index {
        let rows = FAMILIES.iter().flat_map(|family| family.commands);
        let mut slots = vec![None; (rows.clone().count() * 2).next_power_of_two()];
        for row in rows {
            let free = Index::probe(&slots, row.name.as_bytes()).find(|&at| slots[at].is_none());
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

    fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let found = Index::probe(&self.0, name).map_while(|at| self.0.get(at).copied().flatten());
        found.into_iter().find(|row| row.name.as_bytes() == name)
    }
}

/// The row of a command by its name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
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
    let Some(command) = find(name) else { return false };
    let own = own.filter(|_| !command.subcommands.is_empty());
    own.is_none_or(|own| resolve(command, &[name, own], Caller::Host).is_ok())
}

/// Runs one command. Its reply, or its error as a reply, is in `cx.reply` afterwards.
pub(crate) fn dispatch(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let found = argv.first().and_then(|name| find(name));
    let outcome = match found {
        // Scripts are held to less by their memory limit.
        Some(_) if argv.iter().any(|arg| arg.len() > ARGUMENT_MOST) => {
            Err(CommandError::StringTooLong)
        }
        Some(command) => queue_or_run(cx, command, argv),
        None => hosted::queue_or_run(cx, argv),
    };
    if let Err(mut error) = outcome {
        if error == CommandError::Arity(transaction::EXEC_NAME) {
            error = transaction::abandon(cx);
        }
        // EXEC answers with an error where a command could not be queued.
        if found.is_none_or(|command| !command.flags.has(Flags::UNQUEUED))
            && let Some(queue) = cx.queue()
        {
            queue.refused = true;
        }
        cx.reply.error(&error);
    }
}

/// Runs a command, or keeps it for EXEC where the session queues.
fn queue_or_run(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    if command.flags.has(Flags::UNQUEUED) || cx.queue().is_none() {
        return run(cx, command, argv);
    }
    let (command, _) = resolve(command, argv, cx.caller)?;
    admit(command, argv.len(), cx.caller)?;
    if let Some(queue) = cx.queue() {
        queue.commands.push(Argv::new(argv));
    }
    cx.reply.status(b"QUEUED");
    Ok(())
}

/// Runs a command that has waited; it is neither queued nor looked at again for its form.
pub(crate) fn serve(cx: &mut Context<'_>, argv: &[&[u8]]) {
    let Some(command) = argv.first().and_then(|name| find(name)) else { return };
    if let Err(error) = run(cx, command, argv) {
        cx.reply.error(&error);
    }
}

/// Runs a command whose row is at hand; on an error nothing is left in the reply.
#[inline(always)]
pub(crate) fn run(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
) -> Result<(), CommandError> {
    let (command, words) = resolve(command, argv, cx.caller)?;
    admit(command, argv.len(), cx.caller)?;
    if cx.keys.refuses_growth() {
        check_growth(cx, command)?;
    }
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

/// Makes room before a call from outside, where memory is limited; an error if there is not enough
/// and the command may need more, or would be queued.
#[cold]
pub(crate) fn make_room(cx: &mut Context<'_>, argv: &[&[u8]]) -> Result<(), CommandError> {
    if cx.keys.make_room() {
        return Ok(());
    }
    let Some(command) = argv.first().and_then(|name| find(name)) else { return Ok(()) };
    let grows = |argv: &[&[u8]]| {
        let found = argv.first().and_then(|name| find(name));
        let row = found.and_then(|command| resolve(command, argv, Caller::Host).ok());
        row.is_some_and(|(row, _)| row.flags.has(Flags::DENYOOM))
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
        return Err(transaction::abandon_without_memory(cx));
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

impl Command {
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
        for (group, row) in rows() {
            let (ours, theirs) = (facts(group, row), redis.get(row.name));
            if theirs.is_none_or(|theirs| ours != theirs.as_slice()) {
                different.push(format!("{}\n  ours   {ours:?}\n  Redis's {theirs:?}", row.name));
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    #[test]
    fn names_are_unique_lower_case_and_found() {
        let mut seen = BTreeSet::new();
        for (_, row) in rows() {
            assert!(seen.insert(row.name), "{} is there twice", row.name);
            assert_eq!(row.name, row.name.to_ascii_lowercase());
            assert!(row.name.len() <= NAME_MOST, "{} is too long to be found", row.name);
        }
        for command in FAMILIES.iter().flat_map(|family| family.commands) {
            let upper = command.name.to_ascii_uppercase();
            assert!(find(upper.as_bytes()).is_some_and(|found| found.name == command.name));
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

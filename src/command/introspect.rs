//! COMMAND, and what else can be told of the commands: all of it computed from their rows.

use super::args::Args;
use super::context::Context;
use super::hosted;
use super::keyspec::uses::NOT_KEY;
use super::keyspec::{Begin, Find, KeySpec, UseOfCall, find_keys, fixed_specs, specs_of};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Arity, Command, Details, Family, Flags, Group, Keys, keyless, tips};
use super::{FAMILIES, Found, Registry, find, numbered};
use crate::error::{CommandError, CommandResult};
use crate::glob;
use crate::reply::ReplyBuf;

const ANYWHERE: Flags = Flags::LOADING.and(Flags::STALE);

pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[Command {
        name: "command",
        arity: AtLeast(1),
        flags: ANYWHERE,
        keys: Keys::NONE,
        since: "2.8.13",
        complexity: "O(N) in commands",
        summary: "Tells of all commands.",
        subcommands: SUBCOMMANDS,
        details: Details { categories: HARMLESS, tips: tips::VARYING_ORDER, ..Details::NONE },
        run: command,
    }],
};

/// Of this group, but as harmless as what is said on a connection about itself.
const HARMLESS: Option<&[&str]> = Some(&["connection"]);

const fn row(
    name: &'static str,
    arity: Arity,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    run: fn(&mut Context<'_>, Args<'_>) -> CommandResult,
) -> Command {
    let row = keyless(name, arity, ANYWHERE, since, complexity, summary, run);
    Command { details: Details { categories: HARMLESS, ..Details::NONE }, ..row }
}

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    row("command|count", Exactly(2), "2.8.13", "O(1)",
        "The number of commands.", command_count),
    row("command|docs", AtLeast(2), "7.0.0", "O(N) in commands asked for",
        "Explains commands.", command_docs).tips(tips::VARYING_ORDER),
    row("command|getkeys", AtLeast(4), "2.8.13", "O(N) in arguments",
        "The keys in a call.", command_getkeys),
    row("command|getkeysandflags", AtLeast(4), "7.0.0", "O(N) in arguments",
        "The keys in a call, and what becomes of each.", command_getkeysandflags),
    row("command|help", Exactly(2), "5.0.0", "O(1)",
        "What there is.", command_help),
    row("command|info", AtLeast(2), "2.8.13", "O(N) in commands asked for",
        "Tells of commands.", command_info).tips(tips::VARYING_ORDER),
    row("command|list", AtLeast(2), "7.0.0", "O(N) in commands",
        "The names of commands.", command_list).tips(tips::VARYING_ORDER),
];

/// A command with the group its family belongs to.
type Row = (Group, &'static Command);

/// The commands, without what containers contain.
fn rows() -> impl Iterator<Item = Row> + Clone {
    let of_family =
        |family: &'static Family| family.commands.iter().map(|command| (family.group, command));
    FAMILIES.iter().flat_map(of_family)
}

/// The same with the subcommands of each behind it.
fn rows_and_subcommands() -> impl Iterator<Item = Row> {
    rows().flat_map(|(group, command)| {
        std::iter::once(command).chain(command.subcommands).map(move |row| (group, row))
    })
}

/// The row with a full name, in any case.
fn row_named(name: &[u8]) -> Option<Row> {
    rows_and_subcommands().find(|(_, row)| row.name.as_bytes().eq_ignore_ascii_case(name))
}

fn command(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    reply_all_info(cx);
    Ok(())
}

fn command_count(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.count(rows().count() + cx.hosted.len());
    Ok(())
}

fn command_info(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.is_empty() {
        reply_all_info(cx);
        return Ok(());
    }
    cx.reply.array(args.len());
    for name in args.rest() {
        match (row_named(name), cx.hosted.find(name)) {
            (Some(row), _) => reply_info(cx.reply, row),
            (None, Some(row)) => reply_hosted_info(cx.reply, row),
            (None, None) => cx.reply.null(),
        }
    }
    Ok(())
}

fn reply_all_info(cx: &mut Context<'_>) {
    cx.reply.array(rows().count() + cx.hosted.len());
    rows().for_each(|row| reply_info(cx.reply, row));
    cx.hosted.rows().for_each(|row| reply_hosted_info(cx.reply, row));
}

fn reply_info(reply: &mut ReplyBuf, (group, row): Row) {
    reply.array(10);
    reply_form(reply, row.name, (row.arity, row.flags, row.keys));
    let categories: Vec<_> = categories(group, row).map(|name| format!("@{name}")).collect();
    reply_statuses(reply, &categories);
    reply_tips_and_specs(reply, row.details.tips, &specs_of(row));
    // In RESP3 Redis sends a set only where there are none.
    match row.subcommands.len() {
        0 => reply.set(0),
        len => reply.array(len),
    }
    row.subcommands.iter().for_each(|row| reply_info(reply, (group, row)));
}

/// Tells of a command that the host has added.
fn reply_hosted_info(reply: &mut ReplyBuf, row: &hosted::Row) {
    reply.array(10);
    reply_form(reply, &row.name, (row.arity, row.flags, row.keys));
    let categories: Vec<_> =
        categories_of(row.flags, &[], true).map(|name| format!("@{name}")).collect();
    reply_statuses(reply, &categories);
    reply_tips_and_specs(reply, &[], &specs_of_hosted(row));
    reply.set(0);
}

fn specs_of_hosted(row: &hosted::Row) -> Vec<KeySpec> {
    fixed_specs(row.keys, row.flags, &[])
}

/// The first six of the ten facts.
fn reply_form(reply: &mut ReplyBuf, name: &str, (arity, flags, keys): (Arity, Flags, Keys)) {
    reply.bulk(name.as_bytes());
    reply.integer(arity_number(arity));
    reply_statuses(reply, &flag_names(flags));
    for place in [keys.first, keys.last, keys.step] {
        reply.integer(place.into());
    }
}

fn reply_tips_and_specs(reply: &mut ReplyBuf, tips: &[&str], specs: &[KeySpec]) {
    reply.set(tips.len());
    tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(specs.len());
    specs.iter().for_each(|spec| reply_spec(reply, spec));
}

fn reply_statuses(reply: &mut ReplyBuf, names: &[impl AsRef<[u8]>]) {
    reply.set(names.len());
    names.iter().for_each(|name| reply.status(name.as_ref()));
}

/// Where a run of keys begins.
fn reply_begin(reply: &mut ReplyBuf, begin: Begin) {
    let mut keyword = |word: &str, from: i64| {
        reply_typed(reply, "keyword", 2);
        reply.bulk(b"keyword");
        reply.bulk(word.as_bytes());
        reply_fact(reply, "startfrom", from);
    };
    match begin {
        Begin::Index(at) => {
            reply_typed(reply, "index", 1);
            reply_fact(reply, "index", at as i64);
        }
        Begin::Keyword(word, from) => keyword(word, from as i64),
        Begin::KeywordBefore(word, from) => keyword(word, from),
        Begin::Told(told, _) => reply_begin(reply, *told),
        Begin::Unknown(_) => reply_typed(reply, "unknown", 0),
    }
}

/// Describes a run of keys. Redis adds notes to a few, in English.
fn reply_spec(reply: &mut ReplyBuf, spec: &KeySpec) {
    reply.map(3);
    reply.bulk(b"flags");
    reply_statuses(reply, spec.uses);
    reply.bulk(b"begin_search");
    reply_begin(reply, spec.begin);
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            reply_typed(reply, "range", 3);
            reply_fact(reply, "lastkey", last.into());
            reply_fact(reply, "keystep", step.into());
            reply_fact(reply, "limit", limit.into());
        }
        Find::Count => {
            reply_typed(reply, "keynum", 3);
            reply_fact(reply, "keynumidx", 0);
            reply_fact(reply, "firstkey", 1);
            reply_fact(reply, "keystep", 1);
        }
        Find::Unknown => reply_typed(reply, "unknown", 0),
    }
}

/// Begins a map of a type and so many facts, which follow.
fn reply_typed(reply: &mut ReplyBuf, name: &str, facts: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(name.as_bytes());
    reply.bulk(b"spec");
    reply.map(facts);
}

fn reply_fact(reply: &mut ReplyBuf, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}

fn command_docs(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (asked, hosted): (Vec<Row>, Vec<&hosted::Row>) = match args.is_empty() {
        true => (rows().collect(), cx.hosted.rows().collect()),
        false => (
            args.rest().iter().filter_map(|name| row_named(name)).collect(),
            args.rest().iter().filter_map(|name| cx.hosted.find(name)).collect(),
        ),
    };
    cx.reply.map(asked.len() + hosted.len());
    reply_docs(cx.reply, &asked);
    for row in hosted {
        cx.reply.bulk(row.name.as_bytes());
        cx.reply.map(1);
        cx.reply.bulk(b"group");
        cx.reply.bulk(MODULE.as_bytes());
    }
    Ok(())
}

/// What Redis calls the group of commands that it does not have itself.
const MODULE: &str = "module";

/// The names and docs of a map that has been begun.
fn reply_docs(reply: &mut ReplyBuf, rows: &[Row]) {
    for &(group, row) in rows {
        let has_subcommands = !row.subcommands.is_empty();
        reply.bulk(row.name.as_bytes());
        reply.map(4 + usize::from(has_subcommands));
        for (name, text) in [
            ("summary", row.summary),
            ("since", row.since),
            ("group", group.name()),
            ("complexity", row.complexity),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        if has_subcommands {
            reply.bulk(b"subcommands");
            let subcommands: Vec<Row> = row.subcommands.iter().map(|sub| (group, sub)).collect();
            reply.map(subcommands.len());
            reply_docs(reply, &subcommands);
        }
    }
}

fn command_list(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let filter = ListFilter::parse(&mut args)?;
    let own = rows_and_subcommands().filter(|&row| filter.admits(row)).map(|(_, row)| row.name);
    let hosted = cx.hosted.rows().filter(|row| filter.admits_hosted(row)).map(|row| &*row.name);
    let names: Vec<&str> = own.chain(hosted).collect();
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name.as_bytes()));
    Ok(())
}

/// Which commands COMMAND LIST lists.
enum ListFilter<'a> {
    All,
    /// Those of a module, of which there are none.
    Module,
    Category(&'a [u8]),
    /// A pattern in lower case.
    Pattern(Vec<u8>),
}

impl<'a> ListFilter<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Self, CommandError> {
        if args.is_empty() {
            return Ok(ListFilter::All);
        }
        if args.len() != 3 || !args.take_word("filterby") {
            return Err(CommandError::Syntax);
        }
        if args.take_word(MODULE) {
            Ok(ListFilter::Module)
        } else if args.take_word("aclcat") {
            Ok(ListFilter::Category(args.next()?))
        } else if args.take_word("pattern") {
            Ok(ListFilter::Pattern(args.next()?.to_ascii_lowercase()))
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn admits(&self, (group, row): Row) -> bool {
        match self {
            ListFilter::All => true,
            ListFilter::Module => false,
            ListFilter::Category(wanted) => {
                let is_wanted = |name: &str| name.as_bytes().eq_ignore_ascii_case(wanted);
                categories(group, row).any(is_wanted)
            }
            ListFilter::Pattern(pattern) => glob::matches(pattern, row.name.as_bytes()),
        }
    }

    fn admits_hosted(&self, row: &hosted::Row) -> bool {
        match self {
            ListFilter::All => true,
            ListFilter::Module => false,
            ListFilter::Category(wanted) => {
                let is_wanted = |name: &str| name.as_bytes().eq_ignore_ascii_case(wanted);
                categories_of(row.flags, &[], true).any(is_wanted)
            }
            ListFilter::Pattern(pattern) => glob::matches(pattern, row.name.as_bytes()),
        }
    }
}

fn command_getkeys(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_keys(cx, args, false)
}

fn command_getkeysandflags(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_keys(cx, args, true)
}

fn reply_keys(cx: &mut Context<'_>, args: Args<'_>, with_uses: bool) -> CommandResult {
    let argv = args.rest();
    let form = Form::of_call(argv, cx.hosted);
    let Form { arity, flags, specs, varies } =
        form.ok_or(CommandError::text("ERR Invalid command specified"))?;
    if specs.iter().all(|spec| spec.uses == NOT_KEY) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !arity.admits(argv.len()) {
        return Err(CommandError::text("ERR Invalid number of arguments specified for command"));
    }
    let keys = match find_keys(&specs, varies, argv) {
        Some(keys) if !keys.is_empty() => keys,
        _ if flags.has(Flags::NO_MANDATORY_KEYS) => Vec::new(),
        _ => return Err(CommandError::text("ERR Invalid arguments specified for command")),
    };
    cx.reply.array(keys.len());
    for (at, uses) in keys {
        if with_uses {
            cx.reply.array(2);
        }
        cx.reply.bulk(argv.get(at).copied().unwrap_or_default());
        if with_uses {
            reply_statuses(cx.reply, uses);
        }
    }
    Ok(())
}

/// What must be known of a command to find its keys.
struct Form {
    arity: Arity,
    flags: Flags,
    specs: Vec<KeySpec>,
    varies: Option<UseOfCall>,
}

impl Form {
    /// That of the command which a call names.
    fn of_call(argv: &[&[u8]], hosted: &Registry) -> Option<Form> {
        if let Some(row) = row_of_call(argv) {
            let (arity, flags, varies) = (row.arity, row.flags, row.details.varies);
            return Some(Form { arity, flags, specs: specs_of(row), varies });
        }
        let row = hosted.find(argv.first()?)?;
        let (arity, flags) = (row.arity, row.flags);
        Some(Form { arity, flags, specs: specs_of_hosted(row), varies: None })
    }
}

/// The row that a call means; none if it names a container without what it contains.
fn row_of_call(argv: &[&[u8]]) -> Option<&'static Command> {
    let row = find(argv.first()?)?.command;
    if row.subcommands.is_empty() {
        return Some(row);
    }
    let own = argv.get(1)?;
    row.subcommands.iter().find(|sub| sub.own_name().as_bytes().eq_ignore_ascii_case(own))
}

fn command_help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Tell of all commands.",
        "COUNT",
        "    Tell how many commands there are.",
        "DOCS [<command-name> ...]",
        "    Explain these commands, or all.",
        "GETKEYS <full-command>",
        "    Tell which arguments of a call are keys.",
        "GETKEYSANDFLAGS <full-command>",
        "    Tell which arguments of a call are keys, and what becomes of them.",
        "INFO [<command-name> ...]",
        "    Tell of these commands, or of all.",
        "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Tell the names of these commands, or of all.",
        "HELP",
        "    This text.",
    ];
    cx.reply.statuses(&lines);
    Ok(())
}

/// The group of a command that is no subcommand.
#[cfg(feature = "cli")]
pub(super) fn group_of(command: &Command) -> Option<Group> {
    let is_it = |row: &Command| row.name == command.name;
    let family = FAMILIES.iter().find(|family| family.commands.iter().any(is_it))?;
    Some(family.group)
}

/// What there is to know about one command.
///
/// ```
/// let commands = moonkv::commands();
/// let get = commands.iter().find(|command| command.name == "get").unwrap();
/// assert_eq!((get.group, get.arity, get.since), ("string", 2, "1.0.0"));
/// assert_eq!(get.flags, ["readonly", "fast"]);
/// assert_eq!(get.keys, Some((1, 1, 1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The name in lower case; a subcommand's is `container|name`.
    pub name: &'static str,
    /// The group of Redis's documentation it belongs to; `moonkv` for what Redis does not have.
    pub group: &'static str,
    /// The number of arguments, the name counted; negative: at least so many. As in Redis's
    /// `COMMAND INFO`.
    pub arity: i64,
    /// Redis's flags that hold for it.
    pub flags: Vec<&'static str>,
    /// The first key's position, the last one's (negative: from the end) and the step between
    /// keys; none if it has no keys at fixed positions.
    pub keys: Option<(i32, i32, i32)>,
    /// The version of Redis that had it first; our own for what Redis does not have.
    pub since: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// All commands there are, subcommands behind their containers.
pub fn commands() -> Vec<CommandInfo> {
    rows_and_subcommands().map(info).collect()
}

fn info((group, command): Row) -> CommandInfo {
    let keys = command.keys;
    CommandInfo {
        name: command.name,
        group: group.name(),
        arity: arity_number(command.arity),
        flags: flag_names(command.flags),
        keys: (keys.first != 0).then_some((keys.first, keys.last, keys.step)),
        since: command.since,
        complexity: command.complexity,
        summary: command.summary,
    }
}

/// Redis's number for it: negative for a least number.
fn arity_number(arity: Arity) -> i64 {
    match arity {
        Arity::Exactly(count) => count as i64,
        Arity::AtLeast(count) => -(count as i64),
    }
}

fn flag_names(flags: Flags) -> Vec<&'static str> {
    let set = Flags::NAMES.iter().filter(|(flag, _)| flags.has(*flag));
    set.map(|(_, name)| *name).collect()
}

/// The ACL categories, in the order in which Redis lists them.
pub(crate) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The ACL categories of a command: that of its group or those its row has instead, and what
/// follows from its flags.
pub(super) fn categories(group: Group, row: &Command) -> impl Iterator<Item = &'static str> {
    let named = match row.details.categories {
        Some(categories) => categories,
        None if row.subcommands.is_empty() => group.category(),
        None => &[],
    };
    // What a script reads is up to the script.
    categories_of(row.flags, named, group != Group::Scripting)
}

/// All commands and subcommands with their ACL categories.
pub(crate) fn catalog() -> impl Iterator<Item = (Found, Vec<&'static str>)> {
    numbered().zip(rows()).flat_map(|(found, (group, _))| {
        found.family().map(move |row| (row, categories(group, row.command).collect()))
    })
}

/// Those of these names, and what follows from flags.
fn categories_of(
    flags: Flags,
    named: &[&'static str],
    tells_reads: bool,
) -> impl Iterator<Item = &'static str> + use<> {
    // Several flags are categories of the same name.
    let mut held = flag_names(flags);
    held.extend(named);
    if flags.has(Flags::READONLY) && tells_reads {
        held.push("read");
    }
    if held.contains(&"admin") {
        held.push("dangerous");
    }
    if !flags.has(Flags::FAST) {
        held.push("slow");
    }
    CATEGORIES.into_iter().filter(move |name| held.contains(name))
}

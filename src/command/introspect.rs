//! What can be told of the commands, computed from their rows.

use super::FAMILIES;
use super::spec::{Arity, Command, Flags, Group};

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
    /// The group of Redis's documentation it belongs to.
    pub group: &'static str,
    /// The number of arguments, the name counted; negative: at least so many. As in Redis's
    /// `COMMAND INFO`.
    pub arity: i64,
    /// Redis's flags that hold for it.
    pub flags: Vec<&'static str>,
    /// The first key's position, the last one's (negative: from the end) and the step between
    /// keys; none if it has no keys at fixed positions.
    pub keys: Option<(i32, i32, i32)>,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// All commands there are, subcommands behind their containers.
pub fn commands() -> Vec<CommandInfo> {
    let rows = FAMILIES
        .iter()
        .flat_map(|family| family.commands.iter().map(move |command| (family.group, command)));
    rows.flat_map(|(group, command)| {
        std::iter::once(command).chain(command.subcommands).map(move |c| info(group, c))
    })
    .collect()
}

fn info(group: Group, command: &'static Command) -> CommandInfo {
    let keys = command.keys;
    CommandInfo {
        name: command.name,
        group: group.name(),
        arity: match command.arity {
            Arity::Exactly(count) => count as i64,
            Arity::AtLeast(count) => -(count as i64),
        },
        flags: flag_names(command.flags),
        keys: (keys.first != 0).then_some((keys.first, keys.last, keys.step)),
        since: command.since,
        complexity: command.complexity,
        summary: command.summary,
    }
}

fn flag_names(flags: Flags) -> Vec<&'static str> {
    let set = Flags::NAMES.iter().filter(|(flag, _)| flags.has(*flag));
    set.map(|(_, name)| *name).collect()
}

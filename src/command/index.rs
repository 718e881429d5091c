//! Finding the row that a call means: by its name, and by its subcommand's where it is a container.

use super::FAMILIES;
use super::context::Caller;
use super::spec::{Command, Flags};
use crate::bytes::{SHORT_MOST, number};
use crate::error::CommandError;
use std::sync::OnceLock;

/// Longest name a command has; longer ones need no search.
const NAME_MOST: usize = 24;

/// A name in any case as three words, which may overlap, and its length: two names are equal where
/// these are. It is read in few loads, where letter by letter a search takes longer than its command.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed([u64; 3], usize);

impl Packed {
    #[inline]
    fn of(name: &[u8]) -> Option<Packed> {
        let word = |chunk: Option<&[u8; 8]>| chunk.map(|bytes| u64::from_le_bytes(*bytes));
        let words = match name.len() {
            1..=SHORT_MOST => [number(name), 0, 0],
            9..=NAME_MOST => {
                let middle = name.get(8..).and_then(<[u8]>::first_chunk);
                [word(name.first_chunk())?, word(middle).unwrap_or(0), word(name.last_chunk())?]
            }
            _ => return None,
        };
        Some(Packed(words.map(lower), name.len()))
    }

    #[inline]
    fn hash(&self) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let Packed([first, middle, last], len) = *self;
        let mixed = first ^ middle.rotate_left(21) ^ last.rotate_left(43) ^ len as u64;
        (mixed.wrapping_mul(SPREAD) >> 32) as usize
    }
}

/// Eight letters in lower case.
#[inline]
fn lower(letters: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = letters & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let past_z = low + (0x7f - b'Z' as u64) * EACH;
    let capital = (from_a ^ past_z) & !letters & (0x80 * EACH);
    letters | capital >> 2
}

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

/// The rows by the hash of their names, computed once from [`FAMILIES`]: open addressing in four
/// times as many slots as there are rows or more.
struct Index(Vec<Option<(Packed, Found)>>);

impl Index {
    fn new() -> Index {
        let rows = numbered();
        let mut slots = vec![None; (rows.clone().count() * 4).next_power_of_two()];
        for row in rows {
            let Some(name) = Packed::of(row.command.name.as_bytes()) else { continue };
            let free = Index::probe(&slots, name).find(|&at| slots[at].is_none());
            if let Some(place) = free.and_then(|at| slots.get_mut(at)) {
                *place = Some((name, row));
            }
        }
        Index(slots)
    }

    /// The slots to look at for a name, in order.
    fn probe<T>(slots: &[T], name: Packed) -> impl Iterator<Item = usize> + use<T> {
        let (start, count) = (name.hash(), slots.len());
        (0..count).map(move |step| start.wrapping_add(step) & (count - 1))
    }

    #[inline]
    fn find(&self, name: Packed) -> Option<Found> {
        let mut looked = Index::probe(&self.0, name).map_while(|at| self.0.get(at)?.as_ref());
        looked.find(|(own, _)| *own == name).map(|(_, found)| *found)
    }
}

/// The row of a command by its name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<Found> {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(Index::new).find(Packed::of(name)?)
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

/// The row that a call means, the command's own or that of the subcommand it names, and how many
/// words its name takes.
#[inline(always)]
pub(super) fn resolve(
    found: Found,
    argv: &[&[u8]],
    caller: Caller,
) -> Result<(Found, usize), CommandError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::introspect;
    use crate::command::spec::{Arity, Family, Group};
    use std::collections::{BTreeMap, BTreeSet};

    /// Redis's own table of 7.0.15.
    const REDIS: &str = include_str!("../../tests/reference/commands.tsv");

    #[test]
    fn rows_are_found_in_any_case_and_nothing_else_is() {
        for Found { command, number } in numbered() {
            let upper = command.name.to_ascii_uppercase();
            for name in [command.name, &upper] {
                assert_eq!(find(name.as_bytes()).map(|found| found.number), Some(number), "{name}");
            }
            for place in 0..command.name.len() {
                let mut other = command.name.as_bytes().to_vec();
                for wrong in [b'~', b'@', b'[', 0xc1, 0] {
                    other[place] = wrong;
                    assert!(find(&other).is_none(), "{other:?}");
                }
            }
            assert!(find(format!("{}\0", command.name).as_bytes()).is_none());
        }
        assert!(find(b"").is_none());
        assert!(find(&[b'a'; 1000]).is_none());
        for byte in 0..=u8::MAX {
            let lowered = lower(u64::from(byte)) as u8;
            assert_eq!(lowered, byte.to_ascii_lowercase());
        }
    }

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

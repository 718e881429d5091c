//! What is allowed: commands, patterns of keys and of channels.

use super::user::Wrong;
use crate::command::{Found, catalog, find, numbered};
use crate::glob;
use std::collections::{BTreeMap, BTreeSet};

/// What a command needs of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Keys that may be read, written, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    pattern: Box<[u8]>,
    may: Need,
}

/// What is allowed.
#[derive(Clone)]
pub(crate) struct Selector {
    /// The numbers of the commands.
    pub(super) commands: BTreeSet<usize>,
    /// Whether commands are allowed that there are not yet.
    pub(super) future: bool,
    /// Commands that are allowed with some first arguments only.
    pub(super) first_arguments: BTreeMap<usize, Vec<Box<[u8]>>>,
    all_keys: bool,
    keys: Vec<KeyPattern>,
    all_channels: bool,
    channels: Vec<Box<[u8]>>,
}

impl Selector {
    /// Nothing but, perhaps, all channels.
    pub(super) fn new(hears_all: bool) -> Selector {
        Selector {
            commands: BTreeSet::new(),
            future: false,
            first_arguments: BTreeMap::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels: hears_all,
            channels: Vec::new(),
        }
    }

    /// Everything.
    pub(super) fn free() -> Selector {
        let mut selector = Selector { all_keys: true, ..Selector::new(true) };
        selector.set_all(true);
        selector
    }

    /// Whether everything is allowed.
    pub(super) fn is_free(&self) -> bool {
        let count = || numbered().flat_map(Found::family).count();
        self.future && self.all_keys && self.all_channels && self.commands.len() == count()
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), Wrong> {
        let word = rule.to_ascii_lowercase();
        match (word.as_slice(), rule.split_first()) {
            (b"allkeys" | b"~*", _) => {
                self.all_keys = true;
                self.keys.clear();
            }
            (b"resetkeys", _) => {
                self.all_keys = false;
                self.keys.clear();
            }
            (b"allchannels" | b"&*", _) => {
                self.all_channels = true;
                self.channels.clear();
            }
            (b"resetchannels", _) => {
                self.all_channels = false;
                self.channels.clear();
            }
            (b"allcommands" | b"+@all", _) => self.set_all(true),
            (b"nocommands" | b"-@all", _) => self.set_all(false),
            (_, Some((b'~', pattern))) => {
                self.add_keys(pattern, Need { read: true, write: true })?;
            }
            (_, Some((b'%', rest))) => {
                let tilde = rest.iter().position(|&byte| byte == b'~');
                let (modes, pattern) = match tilde.and_then(|at| rest.split_at_checked(at)) {
                    Some((modes, pattern)) => (modes, pattern.get(1..).unwrap_or_default()),
                    None => (rest, &b""[..]),
                };
                self.add_keys(pattern, modes_of(modes)?)?;
            }
            (_, Some((b'&', pattern))) => self.add_channel(pattern)?,
            (_, Some((b'+', name))) => self.set_named(name, true)?,
            (_, Some((b'-', name))) => self.set_named(name, false)?,
            _ => return Err(Wrong::Syntax),
        }
        Ok(())
    }

    fn add_keys(&mut self, pattern: &[u8], may: Need) -> Result<(), Wrong> {
        if self.all_keys {
            return Err(Wrong::KeyAfterAll);
        }
        match self.keys.iter_mut().find(|known| *known.pattern == *pattern) {
            Some(known) => {
                known.may.read |= may.read;
                known.may.write |= may.write;
            }
            None => self.keys.push(KeyPattern { pattern: pattern.into(), may }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), Wrong> {
        if self.all_channels {
            return Err(Wrong::ChannelAfterAll);
        }
        if !self.channels.iter().any(|known| **known == *pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    fn set_all(&mut self, allowed: bool) {
        self.future = allowed;
        self.first_arguments.clear();
        self.commands.clear();
        if allowed {
            self.commands.extend(catalog().map(|(found, _)| found.number));
        }
    }

    /// Allows or forbids a command with its subcommands, a subcommand, or a category.
    fn set_named(&mut self, name: &[u8], allowed: bool) -> Result<(), Wrong> {
        if let Some(category) = name.strip_prefix(b"@") {
            let category = category.to_ascii_lowercase();
            return match self.set_category(&category, allowed) {
                true => Ok(()),
                false => Err(Wrong::Unknown),
            };
        }
        let mut words = name.splitn(2, |&byte| byte == b'|');
        let found = find(words.next().unwrap_or_default()).ok_or(Wrong::Unknown)?;
        match words.next() {
            None => found.family().for_each(|found| self.set(found.number, allowed)),
            Some(own) => self.set_own(found, own, allowed)?,
        }
        Ok(())
    }

    /// The same for a subcommand, or a command with this first argument.
    fn set_own(&mut self, container: Found, own: &[u8], allowed: bool) -> Result<(), Wrong> {
        if container.command.subcommands.is_empty() {
            if !allowed || own.contains(&b'|') {
                return Err(Wrong::Unknown);
            }
            if self.commands.contains(&container.number) {
                return Ok(()); // with any argument already
            }
            let known = self.first_arguments.entry(container.number).or_default();
            if !known.iter().any(|known| known.eq_ignore_ascii_case(own)) {
                known.push(own.into());
            }
            return Ok(());
        }
        let own_name = own.split(|&byte| byte == b'|').next().unwrap_or_default();
        let is_it =
            |found: &Found| found.command.own_name().as_bytes().eq_ignore_ascii_case(own_name);
        let found = container.family().skip(1).find(is_it).ok_or(Wrong::Unknown)?;
        if own_name.len() < own.len() {
            return Err(Wrong::FirstArgument);
        }
        self.set(found.number, allowed);
        Ok(())
    }

    /// Allows or forbids a command as a whole.
    fn set(&mut self, number: usize, allowed: bool) {
        self.first_arguments.remove(&number);
        match allowed {
            true => self.commands.insert(number),
            false => self.commands.remove(&number),
        };
    }

    /// The same for all of a category; false if there is none of this name.
    pub(super) fn set_category(&mut self, category: &[u8], allowed: bool) -> bool {
        let is_in = |categories: &[&str]| categories.iter().any(|own| own.as_bytes() == category);
        let found = catalog().filter(|(_, categories)| is_in(categories));
        let numbers: Vec<usize> = found.map(|(found, _)| found.number).collect();
        numbers.iter().for_each(|number| self.set(*number, allowed));
        !numbers.is_empty()
            || crate::command::CATEGORIES.iter().any(|own| own.as_bytes() == category)
    }
}

/// `R`, `W`, or both.
fn modes_of(text: &[u8]) -> Result<Need, Wrong> {
    let mut need = Need::default();
    for mode in text {
        match mode.to_ascii_uppercase() {
            b'R' if !need.read => need.read = true,
            b'W' if !need.write => need.write = true,
            _ => return Err(Wrong::Syntax),
        }
    }
    if need == Need::default() { Err(Wrong::Syntax) } else { Ok(need) }
}

/// What calls ask.
impl Selector {
    /// Whether a command may be called, with this first argument.
    pub(crate) fn allows(&self, number: usize, first: Option<&[u8]>) -> bool {
        let is_first = |known: &[u8]| first.is_some_and(|first| known.eq_ignore_ascii_case(first));
        let by_first = |known: &Vec<Box<[u8]>>| known.iter().any(|known| is_first(known));
        self.commands.contains(&number) || self.first_arguments.get(&number).is_some_and(by_first)
    }

    /// Whether a command may be called that is not in the table.
    pub(crate) fn allows_others(&self) -> bool {
        self.future
    }

    /// Whether a key may be used as it is needed.
    pub(crate) fn allows_key(&self, key: &[u8], need: Need) -> bool {
        let suits = |known: &KeyPattern| {
            (known.may.read || !need.read)
                && (known.may.write || !need.write)
                && glob::matches(&known.pattern, key)
        };
        self.all_keys || self.keys.iter().any(suits)
    }

    /// Whether every key may be.
    pub(crate) fn allows_every_key(&self, need: Need) -> bool {
        let suits = |known: &KeyPattern| {
            *known.pattern == *b"*"
                && (known.may.read || !need.read)
                && (known.may.write || !need.write)
        };
        self.all_keys || self.keys.iter().any(suits)
    }

    /// Whether a channel may be used; a pattern of channels only where it is one of those here.
    pub(crate) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        let suits = |known: &[u8]| match is_pattern {
            true => known == channel,
            false => glob::matches(known, channel),
        };
        self.all_channels || self.channels.iter().any(|known| suits(known))
    }
}

/// How it is told.
impl Selector {
    /// The patterns of keys.
    pub(crate) fn keys_line(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let piece = |known: &KeyPattern| {
            let mode: &[u8] = match (known.may.read, known.may.write) {
                (true, true) => b"~",
                (true, false) => b"%R~",
                _ => b"%W~",
            };
            [mode, &known.pattern].concat()
        };
        self.keys.iter().map(piece).collect::<Vec<_>>().join(&b' ')
    }

    /// The patterns of channels.
    pub(crate) fn channels_line(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let piece = |known: &[u8]| [b"&", known].concat();
        self.channels.iter().map(|known| piece(known)).collect::<Vec<_>>().join(&b' ')
    }

    /// All of it as rules.
    pub(crate) fn line(&self) -> Vec<u8> {
        let channels = match self.all_channels {
            true => self.channels_line(),
            false => [b"resetchannels".to_vec(), self.channels_line()].join(&b' '),
        };
        let pieces = [self.keys_line(), channels, self.commands_line().into_bytes()];
        let pieces: Vec<Vec<u8>> = pieces
            .into_iter()
            .map(|piece| piece.trim_ascii_end().to_vec())
            .filter(|piece| !piece.is_empty())
            .collect();
        pieces.join(&b' ')
    }
}

//! One user, and the rules that make them.

use super::selector::Selector;
use crate::error::CommandError;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A user.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: Box<[u8]>,
    pub(crate) is_on: bool,
    pub(crate) needs_no_password: bool,
    /// Whether what is restored is looked through, if anybody has said so.
    sanitizes: Option<bool>,
    /// SHA-256 in hexadecimal digits.
    pub(crate) passwords: Vec<String>,
    /// What is allowed: what the first allows, or what another one does.
    pub(crate) selectors: Vec<Selector>,
    /// Whether that is everything.
    is_free: bool,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Syntax,
    /// No such command or category.
    Unknown,
    /// A pattern for keys where all are allowed.
    KeyAfterAll,
    /// The same for channels.
    ChannelAfterAll,
    NoSuchPassword,
    Hash,
    /// A first argument of what is a subcommand already.
    FirstArgument,
}

impl Wrong {
    /// What is told of it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Wrong::Syntax => "Syntax error",
            Wrong::Unknown => "Unknown command or category name in ACL",
            Wrong::KeyAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does \
                 not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Wrong::ChannelAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            Wrong::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Wrong::Hash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            Wrong::FirstArgument => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// The hash of a password.
fn hash(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that was given as one.
fn given_hash(text: &[u8]) -> Result<String, Wrong> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == 64 && text.iter().all(is_digit) {
        true => Ok(String::from_utf8_lossy(text).into_owned()),
        false => Err(Wrong::Hash),
    }
}

impl User {
    /// One who is off and may do nothing.
    pub(super) fn new(name: &[u8], hears_all: bool) -> User {
        User {
            name: name.into(),
            is_on: false,
            needs_no_password: false,
            sanitizes: None,
            passwords: Vec::new(),
            selectors: vec![Selector::new(hears_all)],
            is_free: false,
        }
    }

    /// One who needs no password and may do everything.
    pub(super) fn free(name: &[u8]) -> User {
        let selectors = vec![Selector::free()];
        let is_free = true;
        User { is_on: true, needs_no_password: true, selectors, is_free, ..User::new(name, true) }
    }

    /// Whether everything is allowed.
    pub(crate) fn is_free(&self) -> bool {
        self.is_free
    }

    /// To be called after rules were applied.
    pub(super) fn settle(&mut self) {
        self.is_free = self.selectors.iter().any(Selector::is_free);
    }

    /// Whether a password lets somebody in. The time it takes tells nothing of the passwords.
    pub(super) fn admits(&self, password: &[u8]) -> bool {
        let hash = hash(password);
        let differ = |known: &String| {
            known.bytes().zip(hash.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) != 0
        };
        let known = self.passwords.iter().fold(false, |found, known| found | !differ(known));
        self.is_on && (self.needs_no_password || known)
    }

    pub(super) fn set_password(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.needs_no_password = password.is_empty();
        if !password.is_empty() {
            self.passwords.push(hash(password));
        }
    }

    /// Applies one rule; new rules of channels begin with all or none.
    pub(super) fn apply(&mut self, rule: &[u8], hears_all: bool) -> Result<(), Wrong> {
        let word = rule.to_ascii_lowercase();
        match (word.as_slice(), rule.split_first()) {
            (b"", _) => (),
            (b"on", _) => self.is_on = true,
            (b"off", _) => self.is_on = false,
            (b"sanitize-payload", _) => self.sanitizes = Some(true),
            (b"skip-sanitize-payload", _) => self.sanitizes = Some(false),
            (b"nopass", _) => {
                self.needs_no_password = true;
                self.passwords.clear();
            }
            (b"resetpass", _) => {
                self.needs_no_password = false;
                self.passwords.clear();
            }
            (b"clearselectors", _) => self.selectors.truncate(1),
            (b"reset", _) => {
                let sanitizes = Some(true);
                *self = User { sanitizes, ..User::new(&self.name, hears_all) };
            }
            (_, Some((b'>', password))) => self.add_password(hash(password)),
            (_, Some((b'#', digits))) => self.add_password(given_hash(digits)?),
            (_, Some((b'<', password))) => self.remove_password(&hash(password))?,
            (_, Some((b'!', digits))) => self.remove_password(&given_hash(digits)?)?,
            (_, Some((b'(', rules))) => {
                let rules = rules.strip_suffix(b")").ok_or(Wrong::Syntax)?;
                let mut selector = Selector::new(hears_all);
                for rule in rules.split(|&byte| byte == b' ').filter(|rule| !rule.is_empty()) {
                    selector.apply(rule)?;
                }
                self.selectors.push(selector);
            }
            _ => return self.selectors.first_mut().map_or(Ok(()), |root| root.apply(rule)),
        }
        Ok(())
    }

    fn add_password(&mut self, hash: String) {
        self.needs_no_password = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), Wrong> {
        let place = self.passwords.iter().position(|known| known == hash);
        place.map(|place| drop(self.passwords.remove(place))).ok_or(Wrong::NoSuchPassword)
    }

    /// The flags, as they are told.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let sanitizes = match self.sanitizes {
            Some(true) => Some("sanitize-payload"),
            Some(false) => Some("skip-sanitize-payload"),
            None => None,
        };
        let on = if self.is_on { "on" } else { "off" };
        let nopass = self.needs_no_password.then_some("nopass");
        [Some(on), nopass, sanitizes].into_iter().flatten().collect()
    }

    /// The user as rules that would make the same one.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = [b"user ", &*self.name].concat();
        for flag in self.flags() {
            line.extend_from_slice(format!(" {flag}").as_bytes());
        }
        for hash in &self.passwords {
            line.extend_from_slice(format!(" #{hash}").as_bytes());
        }
        for (at, selector) in self.selectors.iter().enumerate() {
            let (open, close): (&[u8], &[u8]) = if at == 0 { (b" ", b"") } else { (b" (", b")") };
            line.extend_from_slice(&[open, &selector.line(), close].concat());
        }
        line
    }
}

/// Joins rules in parentheses that came as several arguments.
pub(super) fn join_selectors<'a>(rules: &[&'a [u8]]) -> Result<Vec<Cow<'a, [u8]>>, CommandError> {
    let mut joined: Vec<Cow<'a, [u8]>> = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for &rule in rules {
        match &mut open {
            Some(begun) => begun.extend_from_slice(&[b" ", rule].concat()),
            None if rule.starts_with(b"(") => open = Some(rule.to_vec()),
            None => joined.push(Cow::Borrowed(rule)),
        }
        joined.extend(open.take_if(|begun| begun.ends_with(b")")).map(Cow::Owned));
    }
    match open {
        None => Ok(joined),
        Some(_) => {
            let first = rules.iter().rev().find(|rule| rule.starts_with(b"("));
            let first = first.copied().unwrap_or_default();
            let begin = b"ERR Unmatched parenthesis in acl selector starting at '";
            Err(CommandError::quoting(&[begin, first, b"'."]))
        }
    }
}

//! Where a command's keys are among its arguments, and what becomes of them.
//!
//! Most rows say enough with their [`Keys`](super::spec::Keys): one run of keys, read or changed as
//! the flags tell. Rows with several runs, or with keys at places that depend on the arguments,
//! have [`KeySpec`]s. COMMAND INFO shows them, COMMAND GETKEYS finds keys by them.

use super::spec::{Command, Flags, Keys};
use crate::number::parse_i64;

/// What a command does to a key, in Redis's words and their order: how the key as a whole is
/// treated (`RO` reads, `RW` changes, `OW` overwrites, `RM` removes), then what is done to the
/// data in it.
pub(crate) type Use = &'static [&'static str];

/// What a command does to its keys in one call, the name being its first word.
pub(crate) type UseOfCall = fn(&[&[u8]]) -> Use;

/// The uses there are.
pub(crate) mod uses {
    use super::Use;

    /// Reads facts about a value, but no data of it.
    pub(crate) const RO: Use = &["RO"];
    pub(crate) const RO_ACCESS: Use = &["RO", "access"];
    pub(crate) const RW_ACCESS: Use = &["RW", "access"];
    pub(crate) const RW_UPDATE: Use = &["RW", "update"];
    pub(crate) const RW_INSERT: Use = &["RW", "insert"];
    pub(crate) const RW_DELETE: Use = &["RW", "delete"];
    pub(crate) const RW_ACCESS_UPDATE: Use = &["RW", "access", "update"];
    pub(crate) const RW_ACCESS_INSERT: Use = &["RW", "access", "insert"];
    pub(crate) const RW_ACCESS_DELETE: Use = &["RW", "access", "delete"];
    /// The same, where not all that is told is right.
    pub(crate) const RW_ACCESS_DELETE_INCOMPLETE: Use = &["RW", "access", "delete", "incomplete"];
    pub(crate) const OW_UPDATE: Use = &["OW", "update"];
    pub(crate) const OW_INSERT: Use = &["OW", "insert"];
    pub(crate) const RM_DELETE: Use = &["RM", "delete"];
    /// Reads or writes, as the arguments say.
    pub(crate) const VARIABLE: Use = &["RW", "access", "update", "variable_flags"];
    /// Something else that a cluster finds its nodes by, such as a shard's channel.
    pub(crate) const NOT_KEY: Use = &["not_key"];
}

/// One run of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) begin: Begin,
    pub(crate) find: Find,
    pub(crate) uses: Use,
}

/// Where a run of keys begins, the command's name being at 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    /// At a place of its own.
    Index(usize),
    /// Behind a word, which is looked for from a place on.
    Keyword(&'static str, usize),
    /// Behind a word, which is looked for from so many places before the end on, backwards.
    KeywordBefore(&'static str, i64),
    /// Told as another one, but found by a function.
    Told(&'static Begin, fn(&[&[u8]]) -> Option<usize>),
    /// Where no simple rule tells; a function does.
    Unknown(fn(&[&[u8]]) -> Option<usize>),
}

/// How far a run of keys goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// Every `step`th argument up to the `last`: counted from the first key or, if it is negative,
    /// from the end of as much as one in `limit` of the arguments, 0 being all.
    Range { last: i32, step: i32, limit: i32 },
    /// As many as the argument there says; they follow it.
    Count,
    /// The one.
    Unknown,
}

impl KeySpec {
    /// One key at a place.
    pub(crate) const fn one(at: usize, uses: Use) -> KeySpec {
        KeySpec { begin: Begin::Index(at), find: Find::ONE, uses }
    }

    /// All arguments from a place on.
    pub(crate) const fn rest(at: usize, uses: Use) -> KeySpec {
        KeySpec::range(at, -1, 1, uses)
    }

    /// Every `step`th argument from one place to another.
    const fn range(at: usize, last: i32, step: i32, uses: Use) -> KeySpec {
        KeySpec { begin: Begin::Index(at), find: Find::Range { last, step, limit: 0 }, uses }
    }

    /// Keys behind their number, which is at a place.
    pub(crate) const fn counted(at: usize, uses: Use) -> KeySpec {
        KeySpec { begin: Begin::Index(at), find: Find::Count, uses }
    }

    /// One key behind a word, which is looked for from a place on.
    pub(crate) const fn behind(word: &'static str, from: usize, uses: Use) -> KeySpec {
        KeySpec { begin: Begin::Keyword(word, from), find: Find::ONE, uses }
    }

    /// The first half of all that follows a word.
    pub(crate) const fn half_behind(word: &'static str, from: usize, uses: Use) -> KeySpec {
        let find = Find::Range { last: -1, step: 1, limit: 2 };
        KeySpec { begin: Begin::Keyword(word, from), find, uses }
    }

    /// One key at a place that a function finds, or none.
    pub(crate) const fn found_by(find: fn(&[&[u8]]) -> Option<usize>, uses: Use) -> KeySpec {
        KeySpec { begin: Begin::Unknown(find), find: Find::Unknown, uses }
    }
}

impl KeySpec {
    /// Whether the keys are behind a number that only a loose reading takes for one.
    fn is_loose(&self, argv: &[&[u8]]) -> bool {
        let number = self.begin.find(argv).and_then(|at| argv.get(at));
        matches!(self.find, Find::Count) && number.is_some_and(|text| parse_i64(text).is_none())
    }
}

impl Find {
    const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };
}

/// Sets of specs that several commands share, and those of single ones.
pub(crate) mod specs {
    use super::uses::*;
    use super::{Begin, KeySpec, migrated_key, migrated_keys, sort_store};

    /// Takes from the first key what it puts into the second.
    pub(crate) const TAKE_AND_PUT: &[KeySpec] =
        &[KeySpec::one(1, RW_ACCESS_DELETE), KeySpec::one(2, RW_INSERT)];
    /// Moves the first key to the second.
    pub(crate) const RENAME: &[KeySpec] =
        &[KeySpec::one(1, RW_ACCESS_DELETE), KeySpec::one(2, OW_UPDATE)];
    /// The same where the second does not exist.
    pub(crate) const RENAME_ABSENT: &[KeySpec] =
        &[KeySpec::one(1, RW_ACCESS_DELETE), KeySpec::one(2, OW_INSERT)];
    /// Copies the first key to the second.
    pub(crate) const COPY: &[KeySpec] = &[KeySpec::one(1, RO_ACCESS), KeySpec::one(2, OW_UPDATE)];
    /// Stores in the first key what it makes of the second.
    pub(crate) const STORE_OF_ONE: &[KeySpec] =
        &[KeySpec::one(1, OW_UPDATE), KeySpec::one(2, RO_ACCESS)];
    /// Stores in the first key what it makes of all others.
    pub(crate) const STORE_OF_REST: &[KeySpec] =
        &[KeySpec::one(1, OW_UPDATE), KeySpec::rest(2, RO_ACCESS)];
    /// The same, where the first is said to be changed rather than overwritten.
    pub(crate) const UPDATE_OF_REST: &[KeySpec] =
        &[KeySpec::one(1, RW_UPDATE), KeySpec::rest(2, RO_ACCESS)];
    /// Adds all others to the first key.
    pub(crate) const MERGE_OF_REST: &[KeySpec] =
        &[KeySpec::one(1, RW_ACCESS_INSERT), KeySpec::rest(2, RO_ACCESS)];
    /// Behind an operation, stores in one key what it makes of all others.
    pub(crate) const OPERATION_OF_REST: &[KeySpec] =
        &[KeySpec::one(2, OW_UPDATE), KeySpec::rest(3, RO_ACCESS)];
    /// Stores in the first key what it makes of a number of others.
    pub(crate) const STORE_OF_COUNTED: &[KeySpec] =
        &[KeySpec::one(1, OW_UPDATE), KeySpec::counted(2, RO_ACCESS)];
    /// Reads a number of keys.
    pub(crate) const READ_COUNTED: &[KeySpec] = &[KeySpec::counted(1, RO_ACCESS)];
    /// Takes from one of a number of keys.
    pub(crate) const TAKE_COUNTED: &[KeySpec] = &[KeySpec::counted(1, RW_ACCESS_DELETE)];
    /// The same, behind a timeout.
    pub(crate) const WAIT_COUNTED: &[KeySpec] = &[KeySpec::counted(2, RW_ACCESS_DELETE)];
    /// A script's keys: it may do anything to them.
    pub(crate) const SCRIPT: &[KeySpec] = &[KeySpec::counted(2, RW_ACCESS_UPDATE)];
    /// The keys of a script that promised not to write.
    pub(crate) const SCRIPT_RO: &[KeySpec] = &[KeySpec::counted(2, RO_ACCESS)];
    /// A search around a place that may store what it finds.
    pub(crate) const GEO_AROUND_PLACE: &[KeySpec] = &[
        KeySpec::one(1, RO_ACCESS),
        KeySpec::behind("STORE", 6, OW_UPDATE),
        KeySpec::behind("STOREDIST", 6, OW_UPDATE),
    ];
    /// A search around a member that may store what it finds.
    pub(crate) const GEO_AROUND_MEMBER: &[KeySpec] = &[
        KeySpec::one(1, RO_ACCESS),
        KeySpec::behind("STORE", 5, OW_UPDATE),
        KeySpec::behind("STOREDIST", 5, OW_UPDATE),
    ];
    /// What is handed to another server: one key, or if that is empty those behind KEYS.
    pub(crate) const MIGRATE: &[KeySpec] = &[
        KeySpec {
            begin: Begin::Told(&Begin::Index(3), migrated_key),
            ..KeySpec::one(3, RW_ACCESS_DELETE)
        },
        KeySpec {
            begin: Begin::Told(&Begin::KeywordBefore("KEYS", -2), migrated_keys),
            ..KeySpec::rest(0, RW_ACCESS_DELETE_INCOMPLETE)
        },
    ];
    /// Streams, of which the second half of the words behind STREAMS says from where to read.
    pub(crate) const STREAMS: &[KeySpec] = &[KeySpec::half_behind("STREAMS", 1, RO_ACCESS)];
    /// The same behind the name of a group.
    pub(crate) const STREAMS_OF_GROUP: &[KeySpec] =
        &[KeySpec::half_behind("STREAMS", 4, RO_ACCESS)];
    /// What is sorted, the keys that patterns lead to, and where the result goes.
    pub(crate) const SORT: &[KeySpec] = &[
        KeySpec::one(1, RO_ACCESS),
        KeySpec::found_by(|_| None, RO_ACCESS),
        KeySpec::found_by(sort_store, OW_UPDATE),
    ];
    /// The same without the last.
    pub(crate) const SORT_RO: &[KeySpec] =
        &[KeySpec::one(1, RO_ACCESS), KeySpec::found_by(|_| None, RO_ACCESS)];
}

/// Where SORT's result goes: the last STORE counts, and no option's argument is one.
fn sort_store(argv: &[&[u8]]) -> Option<usize> {
    let (mut at, mut found) = (2, None);
    while let Some(word) = argv.get(at) {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        at += match () {
            () if is("limit") => 3,
            () if is("get") || is("by") => 2,
            () if is("store") && at + 1 < argv.len() => {
                found = Some(at + 1);
                2
            }
            () => 1,
        };
    }
    found
}

/// What follows MIGRATE's option KEYS, if anything does.
fn behind_keys(argv: &[&[u8]]) -> Option<usize> {
    let mut at = 6;
    while let Some(word) = argv.get(at) {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        at += match () {
            () if is("keys") => return argv.get(at + 1).map(|_| at + 1),
            () if is("auth") => 2,
            () if is("auth2") => 3,
            () => 1,
        };
    }
    None
}

/// Where MIGRATE's keys begin, if it has more than one. A key before them is a mistake that the
/// command tells of: such a call names no keys at all.
fn migrated_keys(argv: &[&[u8]]) -> Option<usize> {
    behind_keys(argv).filter(|_| argv.get(3).is_some_and(|key| key.is_empty()))
}

/// Where MIGRATE's only key is.
fn migrated_key(argv: &[&[u8]]) -> Option<usize> {
    if behind_keys(argv).is_some() { None } else { Some(3) }
}

/// What SET does to its key: with GET it reads it too.
pub(crate) fn use_of_set(argv: &[&[u8]]) -> Use {
    let is_get = |word: &&[u8]| word.eq_ignore_ascii_case(b"get");
    match argv.iter().skip(3).any(is_get) {
        true => uses::RW_ACCESS_UPDATE,
        false => uses::OW_UPDATE,
    }
}

/// What BITFIELD does to its key: with nothing but GET it only reads it.
pub(crate) fn use_of_bitfield(argv: &[&[u8]]) -> Use {
    let mut at = 2;
    while let Some(word) = argv.get(at) {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        at += match () {
            () if is("get") => 3,
            () if is("overflow") => 2,
            () => return uses::RW_ACCESS_UPDATE,
        };
    }
    uses::RO_ACCESS
}

/// The runs of keys of a command, also where its row does not spell them out.
pub(crate) fn specs_of(command: &Command) -> Vec<KeySpec> {
    let details = &command.details;
    match details.specs {
        [] => fixed_specs(command.keys, command.flags, details.uses),
        specs => specs.to_vec(),
    }
}

/// The run of keys at fixed places, if there is one; their use is told by flags unless it is given.
pub(crate) fn fixed_specs(keys: Keys, flags: Flags, uses: Use) -> Vec<KeySpec> {
    let Some(first @ 1..) = usize::try_from(keys.first).ok() else { return Vec::new() };
    let by_flags = if flags.has(Flags::WRITE) { uses::RW_UPDATE } else { uses::RO_ACCESS };
    let uses = if uses.is_empty() { by_flags } else { uses };
    let last = if keys.last < 0 { keys.last } else { keys.last - keys.first };
    vec![KeySpec::range(first, last, keys.step, uses)]
}

/// The places of the keys in a call, each with its use; none if the arguments make no sense.
pub(crate) fn find_keys(
    specs: &[KeySpec],
    varies: Option<UseOfCall>,
    argv: &[&[u8]],
) -> Option<Vec<(usize, Use)>> {
    let mut found = Vec::new();
    // Redis knows no use of keys whose number it did not understand at first.
    let is_loose = specs.iter().any(|spec| spec.is_loose(argv));
    for spec in specs.iter().filter(|spec| spec.uses != uses::NOT_KEY) {
        let uses = match varies {
            _ if is_loose => &[],
            Some(varies) => varies(argv),
            None => spec.uses,
        };
        let Some(first) = spec.begin.find(argv) else { continue };
        let (first, last, step) = spec.find.bounds(first, argv)?;
        if last < first || last >= argv.len() {
            return None;
        }
        found.extend((first..=last).step_by(step).map(|at| (at, uses)));
    }
    Some(found)
}

impl Begin {
    fn find(self, argv: &[&[u8]]) -> Option<usize> {
        match self {
            Begin::Index(at) => Some(at),
            Begin::Keyword(word, from) => {
                // As in Redis, the very last argument is no keyword: nothing could follow it.
                let words = argv.split_last().map_or(argv, |(_, before)| before);
                let is_word = |found: &&[u8]| found.eq_ignore_ascii_case(word.as_bytes());
                words.iter().skip(from).position(is_word).map(|at| at + from + 1)
            }
            Begin::KeywordBefore(word, from) => {
                let is_word = |found: &&[u8]| found.eq_ignore_ascii_case(word.as_bytes());
                let from = argv.len().checked_add_signed(isize::try_from(from).ok()?)?;
                argv.get(..=from)?.iter().rposition(is_word).map(|at| at + 1)
            }
            Begin::Told(_, find) | Begin::Unknown(find) => find(argv),
        }
    }
}

impl Find {
    /// The first key, the last and the step between, of a run that begins somewhere.
    fn bounds(self, begin: usize, argv: &[&[u8]]) -> Option<(usize, usize, usize)> {
        match self {
            Find::Range { last, step, limit } => {
                let end = match usize::try_from(limit) {
                    Ok(limit @ 1..) => begin + argv.len().checked_sub(begin)? / limit,
                    _ => argv.len(),
                };
                let from = if last < 0 { end } else { begin };
                let last = from.checked_add_signed(isize::try_from(last).ok()?)?;
                Some((begin, last, usize::try_from(step).ok()?))
            }
            Find::Count => {
                let count = leading_number(argv.get(begin)?);
                Some((begin + 1, begin.checked_add(count)?, 1))
            }
            Find::Unknown => Some((begin, begin, 1)),
        }
    }
}

/// A number of keys, read as loosely as C's `atoi` does.
fn leading_number(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_usize, |value, byte| {
        value.saturating_mul(10).saturating_add(usize::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that a run has in a call, written with spaces.
    fn places(spec: KeySpec, call: &str) -> Option<Vec<usize>> {
        let argv: Vec<&[u8]> = call.split(' ').map(str::as_bytes).collect();
        let Some(begin) = spec.begin.find(&argv) else { return Some(Vec::new()) };
        let (first, last, step) = spec.find.bounds(begin, &argv)?;
        Some((first..=last).step_by(step).collect())
    }

    #[test]
    fn runs_are_found() {
        for (spec, call, expected) in [
            (KeySpec::one(1, uses::RO), "get k", vec![1]),
            (KeySpec::rest(2, uses::RO), "store d a b", vec![2, 3]),
            (KeySpec::range(1, -2, 1, uses::RO), "wait a b 0", vec![1, 2]),
            (KeySpec::range(1, -1, 2, uses::RO), "mset a 1 b 2", vec![1, 3]),
            (KeySpec::counted(1, uses::RO), "union 2 a b x", vec![2, 3]),
            (KeySpec::counted(1, uses::RO), "union 02x a b x", vec![2, 3]),
            (KeySpec::behind("store", 3, uses::RO), "geo store x Store d", vec![4]),
            (KeySpec::behind("store", 3, uses::RO), "geo store x y store", vec![]),
            (KeySpec::half_behind("streams", 1, uses::RO), "read streams a b 0 0", vec![2, 3]),
            (KeySpec::half_behind("streams", 1, uses::RO), "read streams a b 0", vec![2]),
            (specs::SORT[2], "sort a by store get store store d store e", vec![9]),
            (specs::SORT[2], "sort a limit store 1 store", vec![]),
        ] {
            assert_eq!(places(spec, call), Some(expected), "{call}");
        }
    }

    #[test]
    fn uses_follow_the_arguments() {
        let argv = |call: &'static str| call.split(' ').map(str::as_bytes).collect::<Vec<_>>();
        assert_eq!(use_of_set(&argv("set get v")), uses::OW_UPDATE);
        assert_eq!(use_of_set(&argv("set k v ex 1 GET")), uses::RW_ACCESS_UPDATE);
        assert_eq!(use_of_bitfield(&argv("bitfield k get u8 0 overflow sat")), uses::RO_ACCESS);
        assert_eq!(use_of_bitfield(&argv("bitfield k set u8 0 1")), uses::RW_ACCESS_UPDATE);
    }
}

//! CONFIG: the parameters that can be asked for and set while the engine runs.
//!
//! [`PARAMETERS`] is the one list of them. What an engine is opened with comes through here too,
//! so that a parameter has one name, one range and one text for what is wrong with it.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Command, Details, Family, Flags, Group, Keys, tips};
use crate::error::{CommandError, CommandResult, clipped};
use crate::glob;
use crate::keyspace::{Eviction, Keyspace, Policy};
use crate::number::{IntText, parse_i64};
use crate::value::Limits;
use crate::value::list::ChunkLimit;
use std::ops::{Deref, DerefMut};

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[Command {
        name: "config",
        arity: AtLeast(2),
        flags: Flags::NONE,
        keys: Keys::NONE,
        since: "2.0.0",
        complexity: "Depends on the subcommand",
        summary: "The engine's parameters.",
        subcommands: CONFIG,
        details: Details::NONE,
        run: container,
    }],
};

#[rustfmt::skip]
const CONFIG: &[Command] = &[
    row("config|get", AtLeast(3), ADMIN, "2.0.0", "O(N) in patterns",
        "The parameters that match patterns, with their values.", get).categories(&[]),
    row("config|help", Exactly(2), Flags::LOADING.and(Flags::STALE), "5.0.0", "O(1)",
        "What there is.", help).categories(&[]),
    row("config|resetstat", Exactly(2), ADMIN, "2.0.0", "O(1)",
        "Accepted for compatibility: nothing is counted.", resetstat).categories(&[]),
    row("config|rewrite", Exactly(2), ADMIN, "2.8.0", "O(1)",
        "An error: there is no configuration file.", rewrite).categories(&[]),
    row("config|set", AtLeast(4), ADMIN, "2.0.0", "O(N) in parameters",
        "Gives parameters other values, all or none.", set)
        .categories(&[]).tips(tips::ALL_NODES),
];

/// What parameters change.
#[derive(Clone, Copy)]
struct Settings {
    limits: Limits,
    eviction: Eviction,
}

impl Deref for Settings {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

/// A parameter.
struct Parameter {
    name: &'static str,
    /// The name it had before Redis 7.0.
    old_name: Option<&'static str>,
    /// The smallest and the largest value.
    range: (i64, i64),
    /// Whether it is a number of bytes, which may be given with a unit.
    is_memory: bool,
    /// The words it can be, where it is no number but the place of a word.
    words: &'static [&'static str],
    get: fn(&Keyspace) -> i64,
    /// None if it stays as it is.
    set: Option<fn(&mut Settings, i64)>,
}

/// Anything that is not negative.
const COUNT: (i64, i64) = (0, i64::MAX);

const fn count(
    name: &'static str,
    old_name: Option<&'static str>,
    get: fn(&Keyspace) -> i64,
    set: fn(&mut Settings, i64),
) -> Parameter {
    Parameter { name, old_name, range: COUNT, is_memory: false, words: &[], get, set: Some(set) }
}

const fn memory(
    name: &'static str,
    old_name: Option<&'static str>,
    get: fn(&Keyspace) -> i64,
    set: fn(&mut Settings, i64),
) -> Parameter {
    Parameter { is_memory: true, ..count(name, old_name, get, set) }
}

#[rustfmt::skip]
const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "databases", old_name: None, range: COUNT, is_memory: false, words: &[],
        get: |keys| keys.database_count() as i64, set: None,
    },
    count("hash-max-listpack-entries", Some("hash-max-ziplist-entries"),
        |keys| keys.limits().hash.entries as i64, |limits, value| limits.hash.entries = value as usize),
    memory("hash-max-listpack-value", Some("hash-max-ziplist-value"),
        |keys| keys.limits().hash.value_bytes as i64,
        |limits, value| limits.hash.value_bytes = value as usize),
    memory("hll-sparse-max-bytes", None,
        |keys| keys.limits().sketch_bytes as i64, |limits, value| limits.sketch_bytes = value as usize),
    Parameter {
        range: COUNT_32,
        ..count("lfu-decay-time", None,
            |keys| keys.eviction().decay_minutes.into(),
            |settings, value| settings.eviction.decay_minutes = value as u32)
    },
    Parameter {
        range: COUNT_32,
        ..count("lfu-log-factor", None,
            |keys| keys.eviction().log_factor.into(),
            |settings, value| settings.eviction.log_factor = value as u32)
    },
    Parameter {
        name: "list-max-listpack-size", old_name: Some("list-max-ziplist-size"),
        range: (i32::MIN as i64, i32::MAX as i64), is_memory: false, words: &[],
        get: |keys| keys.limits().list_size, set: Some(set_list_size),
    },
    memory("maxmemory", None,
        |keys| keys.eviction().memory_most as i64,
        |settings, value| settings.eviction.memory_most = value as u64),
    Parameter {
        words: &POLICIES,
        ..count("maxmemory-policy", None,
            |keys| {
                let policy = keys.eviction().policy;
                Policy::ALL.iter().position(|(other, _)| *other == policy).unwrap_or(0) as i64
            },
            set_policy)
    },
    Parameter {
        range: (1, i32::MAX as i64),
        ..count("maxmemory-samples", None,
            |keys| keys.eviction().samples as i64,
            |settings, value| settings.eviction.samples = value as usize)
    },
    count("set-max-intset-entries", None,
        |keys| keys.limits().set_intset_entries as i64,
        |limits, value| limits.set_intset_entries = value as usize),
    memory("stream-node-max-bytes", None,
        |keys| keys.limits().stream.bytes as i64, |limits, value| limits.stream.bytes = value as usize),
    count("stream-node-max-entries", None,
        |keys| keys.limits().stream.entries as i64,
        |limits, value| limits.stream.entries = value as usize),
    count("zset-max-listpack-entries", Some("zset-max-ziplist-entries"),
        |keys| keys.limits().zset.entries as i64, |limits, value| limits.zset.entries = value as usize),
    memory("zset-max-listpack-value", Some("zset-max-ziplist-value"),
        |keys| keys.limits().zset.value_bytes as i64,
        |limits, value| limits.zset.value_bytes = value as usize),
];

/// The names of the policies.
const POLICIES: [&str; Policy::ALL.len()] = {
    let mut names = [""; Policy::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Policy::ALL[at].1;
        at += 1;
    }
    names
};

const COUNT_32: (i64, i64) = (0, i32::MAX as i64);

fn set_policy(settings: &mut Settings, place: i64) {
    settings.eviction.policy = Policy::of_number(place as usize).unwrap_or_default();
}

fn set_list_size(limits: &mut Settings, size: i64) {
    limits.list_size = size;
    limits.list = ChunkLimit::of_size(size);
}

/// A parameter by one of its names, in any case.
fn find(name: &[u8]) -> Option<&'static Parameter> {
    let same = |own: &str| own.as_bytes().eq_ignore_ascii_case(name);
    PARAMETERS.iter().find(|parameter| same(parameter.name) || parameter.old_name.is_some_and(same))
}

impl Parameter {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.old_name].into_iter().flatten()
    }

    /// The value, as CONFIG GET tells it.
    fn text(&self, keys: &Keyspace) -> Vec<u8> {
        let value = (self.get)(keys);
        match self.words.get(value as usize) {
            Some(word) => word.as_bytes().to_vec(),
            None => IntText::new(value).as_bytes().to_vec(),
        }
    }

    /// The value a text stands for, or what is wrong with it.
    fn parse(&self, text: &[u8]) -> Result<i64, String> {
        if !self.words.is_empty() {
            let is_it = |word: &&str| word.as_bytes().eq_ignore_ascii_case(text);
            return self.words.iter().position(is_it).map(|at| at as i64).ok_or_else(|| {
                let words = self.words.join(", ");
                format!("argument(s) must be one of the following: {words}")
            });
        }
        let value = if self.is_memory {
            parse_memory(text).ok_or("argument must be a memory value")?
        } else {
            parse_i64(text).ok_or("argument couldn't be parsed into an integer")?.into()
        };
        let (least, most) = self.range;
        let fits = i64::try_from(value).ok().filter(|value| (least..=most).contains(value));
        fits.ok_or_else(|| format!("argument must be between {least} and {most} inclusive"))
    }
}

/// A number of bytes, perhaps with a unit: `1kb` is 1024 bytes, `1k` is 1000. No digits are a
/// zero, as in Redis.
fn parse_memory(text: &[u8]) -> Option<i128> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = number.iter().fold(0_i128, |number, digit| {
        number.saturating_mul(10).saturating_add((digit - b'0').into())
    });
    Some(number.saturating_mul(factor))
}

/// Gives parameters other values: all of them, or on an error none. Every name is looked at before
/// any value.
pub(crate) fn configure<'a>(
    keys: &mut Keyspace,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> CommandResult {
    let mut settings = Settings { limits: *keys.limits(), eviction: *keys.eviction() };
    let mut named = Vec::<(fn(&mut Settings, i64), &Parameter, &[u8], &[u8])>::new();
    for (name, text) in pairs {
        let parameter = find(name).ok_or_else(|| {
            let begin = b"ERR Unknown option or number of arguments for CONFIG SET - '";
            CommandError::quoting(&[begin, clipped(name, usize::MAX), b"'"])
        })?;
        let set = parameter.set.ok_or_else(|| refused(name, "can't set immutable config"))?;
        if named.iter().any(|(_, _, earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            return Err(refused(name, "duplicate parameter"));
        }
        named.push((set, parameter, name, text));
    }
    for (set, parameter, name, text) in named {
        set(&mut settings, parameter.parse(text).map_err(|why| refused(name, &why))?);
    }
    keys.set_limits(settings.limits);
    keys.set_eviction(settings.eviction);
    if !keys.in_section() {
        keys.make_room();
    }
    Ok(())
}

fn refused(name: &[u8], why: &str) -> CommandError {
    let begin = b"ERR CONFIG SET failed (possibly related to argument '";
    CommandError::quoting(&[begin, name, b"') - ", why.as_bytes()])
}

/// A container alone: dispatch finds its subcommand before it comes here.
fn container(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

fn set(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (pairs, odd) = args.rest().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(CommandError::Syntax);
    }
    configure(cx.keys, pairs.iter().map(|[name, value]| (*name, *value)))?;
    cx.reply.ok();
    Ok(())
}

/// A name without wildcards is answered as it was asked for.
fn get(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for pattern in args.rest() {
        if let Some(parameter) = find(pattern) {
            found.push((pattern.to_vec(), parameter.text(cx.keys)));
            continue;
        }
        for parameter in PARAMETERS {
            let matching = parameter
                .names()
                .filter(|name| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
            let value = parameter.text(cx.keys);
            found.extend(matching.map(|name| (name.as_bytes().to_vec(), value.clone())));
        }
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    found.retain(|(name, _)| {
        let is_new = !seen.contains(&name.to_ascii_lowercase());
        seen.push(name.to_ascii_lowercase());
        is_new
    });
    cx.reply.map(found.len());
    for (name, value) in found {
        cx.reply.bulk(&name);
        cx.reply.bulk(&value);
    }
    Ok(())
}

fn resetstat(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.ok();
    Ok(())
}

fn rewrite(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text("ERR The server is running without a config file"))
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        "HELP",
        "    Prints this help.",
    ];
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.status(line.as_bytes()));
    Ok(())
}

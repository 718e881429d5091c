//! CONFIG: the parameters that can be asked for and set while the engine runs.
//!
//! [`PARAMETERS`] is the one list of them. What an engine is opened with comes through here too,
//! so that a parameter has one name, one range and one text for what is wrong with it.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Command, Details, Family, Flags, Group, Keys, tips};
use crate::clients::{self, Setting};
use crate::error::{CommandError, CommandResult, clipped};
use crate::glob;
use crate::keyspace::Keyspace;
use crate::number::{IntText, parse_i64};
use crate::value::Limits;
use crate::value::list::ChunkLimit;

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

/// A parameter.
struct Parameter {
    name: &'static str,
    /// The name it had before Redis 7.0.
    old_name: Option<&'static str>,
    /// The smallest and the largest value.
    range: (i64, i64),
    /// Whether it is a number of bytes, which may be given with a unit.
    is_memory: bool,
    get: fn(&Keyspace) -> i64,
    /// None if it stays as it is.
    set: Option<fn(&mut Limits, i64)>,
}

/// Anything that is not negative.
const COUNT: (i64, i64) = (0, i64::MAX);

const fn count(
    name: &'static str,
    old_name: Option<&'static str>,
    get: fn(&Keyspace) -> i64,
    set: fn(&mut Limits, i64),
) -> Parameter {
    Parameter { name, old_name, range: COUNT, is_memory: false, get, set: Some(set) }
}

const fn memory(
    name: &'static str,
    old_name: Option<&'static str>,
    get: fn(&Keyspace) -> i64,
    set: fn(&mut Limits, i64),
) -> Parameter {
    Parameter { is_memory: true, ..count(name, old_name, get, set) }
}

#[rustfmt::skip]
const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "databases", old_name: None, range: COUNT, is_memory: false,
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
        name: "list-max-listpack-size", old_name: Some("list-max-ziplist-size"),
        range: (i32::MIN as i64, i32::MAX as i64), is_memory: false,
        get: |keys| keys.limits().list_size, set: Some(set_list_size),
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

fn set_list_size(limits: &mut Limits, size: i64) {
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

    /// The value a text stands for, or what is wrong with it.
    fn parse(&self, text: &[u8]) -> Result<i64, String> {
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
pub(crate) fn parse_memory(text: &[u8]) -> Option<i128> {
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
    let mut limits = *keys.limits();
    let mut named = Vec::<(fn(&mut Limits, i64), &Parameter, &[u8], &[u8])>::new();
    let mut of_clients = Vec::<(&[u8], Setting)>::new();
    for (name, text) in pairs {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if let Some(setting) = Setting::parse(&lower, text, keys) {
            let setting = setting.map_err(|why| refused(name, &why))?;
            if of_clients.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
                return Err(refused(name, "duplicate parameter"));
            }
            of_clients.push((name, setting));
            continue;
        }
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
        set(&mut limits, parameter.parse(text).map_err(|why| refused(name, &why))?);
    }
    keys.set_limits(limits);
    of_clients.into_iter().for_each(|(_, setting)| setting.apply(keys));
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
    let shown = |value: i64| IntText::new(value).as_bytes().to_vec();
    for pattern in args.rest() {
        if let Some(parameter) = find(pattern) {
            found.push((pattern.to_vec(), shown((parameter.get)(cx.keys))));
            continue;
        }
        let lower = pattern.to_ascii_lowercase();
        for name in clients::NAMES {
            if glob::matches(&lower, name.as_bytes()) {
                let value = clients::setting(name, cx.keys).unwrap_or_default();
                found.push((name.as_bytes().to_vec(), value));
            }
        }
        for parameter in PARAMETERS {
            let matching = parameter
                .names()
                .filter(|name| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
            let value = shown((parameter.get)(cx.keys));
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

//! DEBUG: what tests of clients and servers ask for. Only where `enable-debug-command` says so.

use super::admin::check_enabled;
use super::args::Args;
use super::context::Context;
use super::digest;
use super::dump::source_of;
use super::generic::{encoding, encoding_at};
use super::persistence::{Join, read_again, read_log};
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, keyless};
use crate::config::parse_memory;
use crate::error::{CommandError, CommandResult};
use crate::glob;
use crate::keyspace::{Content, NEVER};
use crate::number::{parse_f64, parse_i64};
use crate::rdb;
use crate::reply::Protocol;
use std::time::Duration;

pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[keyless(
        "debug",
        AtLeast(2),
        Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
        "1.0.0",
        "Depends on the subcommand",
        "For tests, where enable-debug-command allows it.",
        debug,
    )],
};

type Run = fn(&mut Context<'_>, Args<'_>) -> CommandResult;

/// What there is: its name, how few and how many arguments it takes, and what does it.
const WORDS: [(&str, usize, usize, Run); 25] = [
    ("aof-flush-sleep", 1, 1, accept),
    ("change-repl-id", 0, 0, change_id),
    ("digest", 0, 0, digest_all),
    ("digest-value", 0, usize::MAX, digest_value),
    ("drop-cluster-packet-filter", 1, 1, accept),
    ("error", 1, 1, error),
    ("help", 0, 0, help),
    ("htstats", 1, 1, htstats),
    ("htstats-key", 1, 1, htstats_key),
    ("listpack", 1, 1, listpack),
    ("loadaof", 0, 0, load_log),
    ("log", 1, 1, accept),
    ("object", 1, 1, object),
    ("pause-cron", 1, 1, pause_cron),
    ("populate", 1, 3, populate),
    ("protocol", 1, 1, protocol),
    ("quicklist", 1, 2, quicklist),
    ("quicklist-packed-threshold", 1, 1, packed_threshold),
    ("reload", 0, usize::MAX, reload),
    ("replybuffer", 2, 2, accept),
    ("set-active-expire", 1, 1, set_active_expire),
    ("set-disable-deny-scripts", 1, 1, set_disable_deny_scripts),
    ("set-skip-checksum-validation", 1, 1, accept),
    ("sleep", 1, 1, sleep),
    ("stringmatch-len", 2, 2, stringmatch),
];

fn debug(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    check_enabled(cx, "DEBUG", "enable-debug-command")?;
    let word = args.next()?;
    let named = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
    let fits = |least: usize, most: usize| (least..=most).contains(&args.len());
    let found = WORDS.iter().find(|(name, least, most, _)| named(name) && fits(*least, *most));
    match found {
        Some((_, _, _, run)) => run(cx, args),
        None => Err(CommandError::subcommand_syntax(args.command(), word)),
    }
}

/// Of something that is not here; there is nothing to change.
fn accept(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.ok();
    Ok(())
}

/// Sleeps inside the lock, which is what it is for.
fn sleep(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let seconds = parse_f64(args.next()?).unwrap_or(0.0);
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    accept(cx, args)
}

fn is_set(args: &mut Args<'_>) -> Result<bool, CommandError> {
    Ok(parse_i64(args.next()?).is_some_and(|number| number != 0))
}

fn set_active_expire(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.server.debug.expires = is_set(&mut args)?;
    accept(cx, args)
}

fn pause_cron(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.server.debug.rests = is_set(&mut args)?;
    accept(cx, args)
}

fn set_disable_deny_scripts(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.server.debug.scripts_run_all = is_set(&mut args)?;
    accept(cx, args)
}

fn packed_threshold(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let text = "ERR argument must be a memory value bigger than 1 and smaller than 4gb";
    let bytes = parse_memory(args.next()?).filter(|bytes| *bytes < 1 << 32);
    bytes.ok_or(CommandError::text(text))?;
    accept(cx, args)
}

fn change_id(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    cx.server.run_id = crate::server::hex_digits(40);
    accept(cx, args)
}

fn error(_: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    Err(CommandError::quoting(&[args.next()?]))
}

fn stringmatch(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (count, pattern) = (args.next()?, args.next()?);
    let count = parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let text = vec![b'a'; count.unwrap_or(0).min(1 << 24)];
    cx.reply.integer(glob::matches(pattern, &text).into());
    Ok(())
}

fn populate(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let count = parse_i64(args.next()?).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(CommandError::NotPositive)?;
    let prefix = args.maybe_next().unwrap_or(b"key");
    let size = args.maybe_next().map(|size| parse_i64(size).ok_or(CommandError::NotPositive));
    let size = size.transpose()?.and_then(|size| usize::try_from(size).ok());
    for number in 0..count {
        let number = number.to_string();
        let key = [prefix, b":", number.as_bytes()].concat();
        let slot = cx.keys.slot(&key);
        if slot.exists() {
            continue;
        }
        let mut value = [b"value:", number.as_bytes()].concat();
        if let Some(size) = size {
            value.resize(size, 0);
        }
        cx.keys.put(slot, &key, Content::Bytes(&value), NEVER);
    }
    cx.reply.ok();
    Ok(())
}

fn reload(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (mut merges, mut flushes, mut saves) = (false, true, true);
    while !args.is_empty() {
        if args.take_word("merge") {
            merges = true;
        } else if args.take_word("noflush") {
            flushes = false;
        } else if args.take_word("nosave") {
            saves = false;
        } else {
            let text = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
            return Err(CommandError::text(text));
        }
    }
    let join = match (flushes, merges) {
        (true, _) => Join::Replace,
        (false, false) => Join::Beside,
        (false, true) => Join::Over,
    };
    read_again(cx, saves, join)
}

fn load_log(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    read_log(cx)
}

fn object(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let slot = cx.keys.lingering_slot(args.next()?);
    let Some(source) = source_of(cx.keys, slot) else { return Err(CommandError::NoSuchKey) };
    let bytes = rdb::value_bytes(source, cx.keys.limits());
    let encoding = encoding_at(cx.keys, slot).unwrap_or_default();
    let lru = (cx.keys.now() / 1000) & 0xff_ffff;
    let text = format!(
        "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{bytes} lru:{lru} \
         lru_seconds_idle:0"
    );
    cx.reply.status(text.as_bytes());
    Ok(())
}

/// Tells that what a key holds has a form; an error if it is another one.
fn check_encoding(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    wanted: &str,
    told: &[u8],
) -> CommandResult {
    match encoding(cx.keys, args.next()?) {
        None => Err(CommandError::NoSuchKey),
        Some(encoding) if encoding == wanted => {
            cx.reply.status(told);
            Ok(())
        }
        Some(_) => {
            let text = format!("ERR Not a {wanted} encoded object.");
            Err(CommandError::Text(text.into()))
        }
    }
}

fn listpack(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_encoding(cx, args, "listpack", b"Listpack structure printed on stdout")
}

fn quicklist(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_encoding(cx, args, "quicklist", b"Quicklist structure printed on stdout")
}

/// Says of a database how large its table is: nothing is chained here.
fn htstats(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let number = args.integer()?;
    let database = super::server::database(cx.keys, number);
    let database = database.ok_or(CommandError::text("ERR Out of range database"))?;
    let (count, expires) = cx.keys.in_database(database, |keys| (keys.len(), keys.deadlines().0));
    let text = format!(
        "[Dictionary HT]\n number of elements: {count}\n[Expires HT]\n number of elements: {expires}\n"
    );
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn htstats_key(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let encoding = encoding(cx.keys, args.next()?).ok_or(CommandError::NoSuchKey)?;
    if !["hashtable", "skiplist"].contains(&encoding) {
        let text =
            "ERR The value stored at the specified key is not represented using an hash table";
        return Err(CommandError::text(text));
    }
    cx.reply.verbatim(b"txt", b"Hash table 0 stats (main hash table):\n");
    Ok(())
}

fn digest_value(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    cx.reply.array(args.len());
    for key in args.rest() {
        cx.reply.status(&digest::of_key(cx.keys, key).unwrap_or(digest::NOTHING));
    }
    Ok(())
}

fn digest_all(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.status(&digest::of_all(cx.keys));
    Ok(())
}

/// A reply of each kind.
#[expect(clippy::approx_constant, reason = "Redis answers with this number, which is not pi")]
fn protocol(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let kind = args.next()?.to_ascii_lowercase();
    let reply = &mut *cx.reply;
    match kind.as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(3.141),
        b"null" => reply.null(),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            reply.attribute(1);
            reply.bulk(b"key-popularity");
            reply.array(2);
            reply.bulk(b"key:123");
            reply.integer(90);
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => return push(cx),
        _ => {
            return Err(CommandError::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// What is pushed comes before the reply, and only where the protocol tells the two apart.
fn push(cx: &mut Context<'_>) -> CommandResult {
    if cx.host()?.session.client.protocol() == Protocol::Resp2 {
        return Err(CommandError::text("ERR RESP2 is not supported by this command"));
    }
    cx.reply.push(2);
    cx.reply.bulk(b"server-cpu-usage");
    cx.reply.integer(42);
    cx.reply.bulk(b"Some real reply following the push reply");
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANGE-REPL-ID",
        "    Give this run of the engine another name.",
        "DIGEST",
        "    Tell a fingerprint of all data.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Tell a fingerprint of what each of these keys holds.",
        "ERROR <string>",
        "    Answer with this error.",
        "HTSTATS <dbid>",
        "    Tell how many keys a database has.",
        "LISTPACK <key>, QUICKLIST <key>",
        "    Tell whether what a key holds has this form.",
        "OBJECT <key>",
        "    Tell how what a key holds is kept.",
        "PAUSE-CRON <0|1>, SET-ACTIVE-EXPIRE <0|1>",
        "    Whether keys past their deadline stay until they are asked for.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Make so many keys.",
        "PROTOCOL <type>",
        "    Answer with a value of this type of the protocol.",
        "LOADAOF",
        "    Read in again what BGREWRITEAOF has written.",
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "    Write all data out and read it in again.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Whether scripts may run what they otherwise may not.",
        "SLEEP <seconds>",
        "    Let everybody wait.",
        "STRINGMATCH-LEN <length> <pattern>",
        "    Match a pattern against so many letters.",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

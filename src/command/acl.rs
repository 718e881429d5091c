//! ACL: users, and what they may do.

use super::args::Args;
use super::context::{Context, Host};
use super::gate::check_arity;
use super::index::{find, resolve};
use super::permission::{Denial, denial};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Command, Family, Flags, Group, container, keyless as row};
use super::{CATEGORIES, catalog};
use crate::acl::{DEFAULT, Entry, Selector};
use crate::error::{CommandError, CommandResult, clipped};
use crate::reply::ReplyBuf;
use crate::server::hex_digits;
use crate::session::Order;

const HELP: Flags = Flags::LOADING.and(Flags::STALE);
const ANYBODY: Flags = HELP.and(Flags::NOSCRIPT);
const ADMIN: Flags = ANYBODY.and(Flags::ADMIN);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[container("acl", "6.0.0", "Depends on the subcommand",
        "Users, and what they may do.", ACL)],
};

#[rustfmt::skip]
const ACL: &[Command] = &[
    row("acl|cat", AtLeast(2), ANYBODY, "6.0.0", "O(N) in commands",
        "The categories of commands, or the commands of one.", cat),
    row("acl|deluser", AtLeast(3), ADMIN, "6.0.0", "O(1) per user", "Removes users.", deluser),
    row("acl|dryrun", AtLeast(4), ADMIN, "7.0.0", "O(N) in arguments",
        "Tells whether a user may make a call, and does not make it.", dryrun),
    row("acl|genpass", AtLeast(2), ANYBODY, "6.0.0", "O(1)",
        "A password that nobody can guess.", genpass),
    row("acl|getuser", Exactly(3), ADMIN, "6.0.0", "O(N) in the user's rules",
        "What there is to know of a user.", getuser),
    row("acl|help", Exactly(2), HELP, "6.0.0", "O(1)", "What there is.", help),
    row("acl|list", Exactly(2), ADMIN, "6.0.0", "O(N) in users and their rules",
        "All users, as rules.", list),
    row("acl|load", Exactly(2), ADMIN, "6.0.0", "O(1)", "An error: there is no file of users.", no_file),
    row("acl|log", AtLeast(2), ADMIN, "6.0.0", "O(N) in entries shown",
        "What was denied, or nothing of it any more.", log),
    row("acl|save", Exactly(2), ADMIN, "6.0.0", "O(1)", "An error: there is no file of users.", no_file),
    row("acl|setuser", AtLeast(3), ADMIN, "6.0.0", "O(N) in rules",
        "Changes a user by rules, or makes one.", setuser),
    row("acl|users", Exactly(2), ADMIN, "6.0.0", "O(N) in users", "The names of all users.", users),
    row("acl|whoami", Exactly(2), ANYBODY, "6.0.0", "O(1)", "The name of who asks.", whoami),
];

fn cat(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let names: Vec<&str> = match args.rest() {
        [] => CATEGORIES.to_vec(),
        [wanted] => {
            let is_it = |name: &&&str| name.as_bytes().eq_ignore_ascii_case(wanted);
            let Some(category) = CATEGORIES.iter().find(is_it) else {
                return Err(CommandError::quoting(&[b"ERR Unknown category '", wanted, b"'"]));
            };
            let in_it = catalog().filter(|(_, categories)| categories.contains(category));
            in_it.map(|(found, _)| found.command.name).collect()
        }
        _ => return Err(args.subcommand_error()),
    };
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name.as_bytes()));
    Ok(())
}

fn setuser(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    (2..2 + args.len()).for_each(|at| cx.server.hide(at));
    let Some((name, rules)) = args.rest().split_first() else { return Err(args.arity_error()) };
    let hears_all = cx.server.config.text("acl-pubsub-default") == b"allchannels";
    cx.server.users.change(name, rules, hears_all)?;
    cx.reply.ok();
    Ok(())
}

fn deluser(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    (2..2 + args.len()).for_each(|at| cx.server.hide(at));
    if args.rest().contains(&DEFAULT) {
        return Err(CommandError::text("ERR The 'default' user cannot be removed"));
    }
    let removed = args.rest().iter().filter(|name| cx.server.users.remove(name)).count();
    close_clients_of(cx, args.rest())?;
    cx.reply.count(removed);
    Ok(())
}

/// Whoever was a user that there is no more is disconnected.
fn close_clients_of(cx: &mut Context<'_>, names: &[&[u8]]) -> CommandResult {
    let Host { session, place, others, orders, .. } = cx.host()?;
    let others = others.iter_mut().enumerate();
    let others = others.filter_map(|(at, other)| Some((at, other.as_deref_mut()?)));
    for (at, session) in others.chain(std::iter::once((*place, &mut **session))) {
        if names.contains(&&*session.client.user) && session.client.attached {
            session.client.closing = true;
            orders.push(Order::Close(at));
        }
    }
    Ok(())
}

fn getuser(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let Some(user) = cx.server.users.find(args.next()?) else {
        cx.reply.null();
        return Ok(());
    };
    let reply = &mut *cx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(user.passwords.len());
    user.passwords.iter().for_each(|hash| reply.bulk(hash.as_bytes()));
    let Some((root, others)) = user.selectors.split_first() else { return Ok(()) };
    tell_selector(reply, root);
    reply.bulk(b"selectors");
    reply.array(others.len());
    for selector in others {
        reply.map(3);
        tell_selector(reply, selector);
    }
    Ok(())
}

/// Three pairs of a map.
fn tell_selector(reply: &mut ReplyBuf, selector: &Selector) {
    reply.bulk(b"commands");
    reply.bulk(selector.commands_line().as_bytes());
    reply.bulk(b"keys");
    reply.bulk(&selector.keys_line());
    reply.bulk(b"channels");
    reply.bulk(&selector.channels_line());
}

fn list(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let users = cx.server.users.all();
    cx.reply.array(users.len());
    users.for_each(|user| cx.reply.bulk(&user.line()));
    Ok(())
}

fn users(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let users = cx.server.users.all();
    cx.reply.array(users.len());
    users.for_each(|user| cx.reply.bulk(&user.name));
    Ok(())
}

fn whoami(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let name = cx.host()?.session.client.user.clone();
    cx.reply.bulk(&name);
    Ok(())
}

/// How many bits a password has unless the caller says, and at most.
const BITS: i64 = 256;
const BITS_MOST: i64 = 4096;

fn genpass(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(args.subcommand_error());
    }
    let bits = if args.is_empty() { BITS } else { args.integer()? };
    if !(1..=BITS_MOST).contains(&bits) {
        return Err(CommandError::text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a \
             positive number up to 4096",
        ));
    }
    let digits = usize::try_from(bits).unwrap_or(0).div_ceil(4);
    cx.reply.bulk(hex_digits(digits).as_bytes());
    Ok(())
}

fn dryrun(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let [name, argv @ ..] = args.rest() else { return Err(args.arity_error()) };
    let Some(user) = cx.server.users.find(name) else {
        let name = clipped(name, usize::MAX);
        return Err(CommandError::quoting(&[b"ERR User '", name, b"' not found"]));
    };
    let found = argv.first().and_then(|command| find(command));
    let found = found.and_then(|found| resolve(found, argv, cx.caller).ok());
    let Some((found, _)) = found else {
        let word = argv.first().copied().unwrap_or_default();
        return Err(CommandError::quoting(&[b"ERR Command '", word, b"' not found"]));
    };
    check_arity(found.command, argv.len())?;
    let object = |at: usize| String::from_utf8_lossy(argv.get(at).copied().unwrap_or_default());
    let text = match denial(user, found, argv) {
        None => {
            cx.reply.ok();
            return Ok(());
        }
        Some(Denial::Command) => format!("run the '{}' command", found.command.name),
        Some(Denial::Key(at)) => format!("access the '{}' key", object(at)),
        Some(Denial::Channel(at)) => format!("access the '{}' channel", object(at)),
    };
    cx.reply.bulk(format!("This user has no permissions to {text}").as_bytes());
    Ok(())
}

/// How many entries are shown unless the caller says.
const ENTRIES: i64 = 10;

fn log(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(args.subcommand_error());
    }
    if args.take_word("reset") {
        cx.server.users.log.clear();
        cx.reply.ok();
        return Ok(());
    }
    let most = if args.is_empty() { ENTRIES } else { args.integer()? };
    let most = usize::try_from(most).unwrap_or(0);
    let (now, log) = (cx.keys.now(), &cx.server.users.log);
    cx.reply.array(log.len().min(most));
    log.entries().take(most).for_each(|entry| tell_entry(cx.reply, entry, now));
    Ok(())
}

fn tell_entry(reply: &mut ReplyBuf, entry: &Entry, now: i64) {
    reply.map(7);
    reply.bulk(b"count");
    reply.integer(entry.count);
    for (name, text) in [
        ("reason", entry.reason.name().as_bytes()),
        ("context", entry.context.as_bytes()),
        ("object", &entry.object),
        ("username", &entry.username),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text);
    }
    reply.bulk(b"age-seconds");
    reply.double((now - entry.at_ms) as f64 / 1000.0);
    reply.bulk(b"client-info");
    reply.bulk(&entry.client);
}

fn no_file(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users \
         via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
         configuration file set) in order to store users in the Redis configuration.",
    ))
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAT [<category>]",
        "    Tell all categories of commands, or the commands of one.",
        "DELUSER <username> [<username> ...]",
        "    Remove users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Tell whether a user may make a call, and do not make it.",
        "GETUSER <username>",
        "    Tell what there is to know of a user.",
        "GENPASS [<bits>]",
        "    Make a password that nobody can guess.",
        "LIST",
        "    Tell all users, as rules.",
        "LOAD, SAVE",
        "    Errors: there is no file of users.",
        "LOG [<count> | RESET]",
        "    Tell what was denied, or forget it.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Change a user by rules, or make one.",
        "USERS",
        "    Tell the names of all users.",
        "WHOAMI",
        "    Tell the name of who asks.",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

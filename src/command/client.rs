//! CLIENT: what clients say of themselves and of one another.
//!
//! Other sessions lie beside the caller's own in the context. What has to be done to one of them
//! beyond its state, ending its wait or its connection, is left to the engine as an order.

use super::args::Args;
use super::context::{Context, Host};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Command, Details, Family, Flags, Group, Keys, tips};
use super::tracking;
use crate::acl::Users;
use crate::clients::{Kin, Pause, Replies, address, describe};
use crate::error::{CommandError, CommandResult};
use crate::number::{IntText, parse_i64};
use crate::session::{Order, Session};

pub(super) const OWN: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = OWN.and(Flags::ADMIN);
const HELP: Flags = Flags::LOADING.and(Flags::STALE);

pub(super) const FAMILY: Family = Family {
    group: Group::Connection,
    commands: &[Command {
        name: "client",
        arity: AtLeast(2),
        flags: Flags::NONE,
        keys: Keys::NONE,
        since: "2.4.0",
        complexity: "Depends on the subcommand",
        summary: "Tells of clients, and what they want.",
        subcommands: CLIENT,
        details: Details { categories: Some(&["slow"]), ..Details::NONE },
        run: container,
    }],
};

#[rustfmt::skip]
const CLIENT: &[Command] = &[
    tracking::CACHING,
    row("client|getname", Exactly(2), OWN, "2.6.9", "O(1)", "The client's name.", getname),
    tracking::GETREDIR,
    row("client|help", Exactly(2), HELP, "5.0.0", "O(1)", "What there is.", help),
    row("client|id", Exactly(2), OWN, "5.0.0", "O(1)", "The client's number.", id),
    row("client|info", Exactly(2), OWN, "6.2.0", "O(1)", "The client's line in CLIENT LIST.", info)
        .tips(tips::VARYING_OUTPUT),
    row("client|kill", AtLeast(3), ADMIN, "2.4.0", "O(N) in clients", "Closes clients.", kill),
    row("client|list", AtLeast(2), ADMIN, "2.4.0", "O(N) in clients",
        "A line for each client.", list).tips(tips::VARYING_OUTPUT),
    row("client|no-evict", Exactly(3), ADMIN, "7.0.0", "O(1)",
        "Whether the client is spared when memory is short.", no_evict),
    row("client|pause", AtLeast(3), ADMIN, "2.9.50", "O(1)",
        "Puts off what clients call, for a while.", pause),
    row("client|reply", Exactly(3), OWN, "3.2.0", "O(1)", "Which replies the client wants.", reply),
    row("client|setname", Exactly(3), OWN, "2.6.9", "O(1)", "Gives the client a name.", setname),
    tracking::TRACKING,
    tracking::TRACKINGINFO,
    row("client|unblock", AtLeast(3), ADMIN, "5.0.0", "O(log N) in clients",
        "Ends the wait of a client.", unblock),
    row("client|unpause", Exactly(2), ADMIN, "6.2.0", "O(N) in clients put off",
        "Ends what CLIENT PAUSE began.", unpause),
];

/// A container alone: dispatch finds its subcommand before it comes here.
fn container(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

fn id(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let id = cx.host()?.session.client.id;
    cx.reply.integer(id as i64);
    Ok(())
}

fn getname(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let Context { host, reply, .. } = cx;
    let host = host.as_ref().ok_or(CommandError::ScriptForbidden)?;
    let name = &*host.session.client.name;
    reply.bulk_or_null((!name.is_empty()).then_some(name));
    Ok(())
}

fn setname(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let name = client_name(args.next()?)?;
    cx.host()?.session.client.name = name.into();
    cx.reply.ok();
    Ok(())
}

/// A name that a line of CLIENT LIST can show.
pub(super) fn client_name(name: &[u8]) -> Result<&[u8], CommandError> {
    match name.iter().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(name),
        false => Err(CommandError::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        )),
    }
}

/// How many bytes the request took in which this command came, name and arguments.
fn request_bytes(args: &Args<'_>) -> usize {
    let digits = |number: usize| IntText::new(number as i64).as_bytes().len();
    let name = args.command().split('|').map(str::len);
    let lens = name.chain(args.rest().iter().map(|arg| arg.len()));
    // A sign and two bytes for the end of each line, of which an argument has two.
    let bytes: usize = lens.clone().map(|len| digits(len) + len + 5).sum();
    digits(lens.count()) + 3 + bytes
}

fn info(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let request = request_bytes(&args);
    let now = cx.keys.now();
    let Context { host, reply, .. } = cx;
    let host = host.as_ref().ok_or(CommandError::ScriptForbidden)?;
    let mut text = Vec::new();
    describe(host.session, now, request, &mut text);
    text.push(b'\n');
    reply.verbatim(b"txt", &text);
    Ok(())
}

/// Which clients a line is wanted of.
enum Wanted {
    All,
    Kin(Kin),
    Ids(Vec<u64>),
}

fn list(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let request = request_bytes(&args);
    let wanted = match args.len() {
        0 => Wanted::All,
        2 if args.take_word("type") => Wanted::Kin(kin(args.next()?)?),
        2.. if args.take_word("id") => Wanted::Ids(ids(args)?),
        _ => return Err(CommandError::Syntax),
    };
    let now = cx.keys.now();
    let mut text = Vec::new();
    let host = cx.host()?;
    let own = host.session.client.id;
    for session in host.all_shown() {
        let shown = match &wanted {
            Wanted::All => true,
            Wanted::Kin(kin) => Kin::of(session) == *kin,
            Wanted::Ids(ids) => ids.contains(&session.client.id),
        };
        if shown {
            let request = if session.client.id == own { request } else { 0 };
            describe(session, now, request, &mut text);
            text.push(b'\n');
        }
    }
    cx.reply.verbatim(b"txt", &text);
    Ok(())
}

fn kin(name: &[u8]) -> Result<Kin, CommandError> {
    let unknown = || CommandError::quoting(&[b"ERR Unknown client type '", name, b"'"]);
    Kin::parse(name).ok_or_else(unknown)
}

fn ids(args: Args<'_>) -> Result<Vec<u64>, CommandError> {
    let id = |text: &&[u8]| parse_i64(text).and_then(|id| u64::try_from(id).ok());
    let ids: Option<Vec<u64>> = args.rest().iter().map(id).collect();
    ids.ok_or(CommandError::text("ERR Invalid client ID"))
}

/// What clients have to be like that are to be closed.
#[derive(Default)]
struct Victims<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    kin: Option<Kin>,
    user: Option<&'a [u8]>,
    with_self: bool,
}

impl Victims<'_> {
    fn has(&self, session: &Session) -> bool {
        let client = &session.client;
        let is = |wanted: Option<&[u8]>, text: &str| {
            wanted.is_none_or(|wanted| wanted == address(text).as_bytes())
        };
        self.id.is_none_or(|id| id == client.id)
            && is(self.peer, &client.origin.peer)
            && is(self.local, &client.origin.local)
            && self.kin.is_none_or(|kin| kin == Kin::of(session))
            && self.user.is_none_or(|user| *user == *client.user)
    }
}

fn kill(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let is_old_form = args.len() == 1;
    let victims = match is_old_form {
        true => Victims { peer: args.maybe_next(), with_self: true, ..Victims::default() },
        false => victims(args, &cx.server.users)?,
    };
    let killed = end(cx.host()?, &victims);
    match is_old_form {
        true if killed == 0 => return Err(CommandError::text("ERR No such client")),
        true => cx.reply.ok(),
        false => cx.reply.count(killed),
    }
    Ok(())
}

fn victims<'a>(mut args: Args<'a>, users: &Users) -> Result<Victims<'a>, CommandError> {
    let mut victims = Victims::default();
    while let Some(word) = args.maybe_next() {
        let value = args.next()?;
        match word.to_ascii_lowercase().as_slice() {
            b"id" => {
                let id = parse_i64(value).filter(|id| *id > 0);
                let refused = CommandError::text("ERR client-id should be greater than 0");
                victims.id = Some(id.ok_or(refused)?.unsigned_abs());
            }
            b"type" => victims.kin = Some(kin(value)?),
            b"addr" => victims.peer = Some(value),
            b"laddr" => victims.local = Some(value),
            b"user" if users.find(value).is_none() => {
                return Err(CommandError::quoting(&[b"ERR No such user '", value, b"'"]));
            }
            b"user" => victims.user = Some(value),
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => victims.with_self = false,
            b"skipme" if value.eq_ignore_ascii_case(b"no") => victims.with_self = true,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(victims)
}

/// Has the engine close clients; returns how many. The engine itself, which all its users share, is
/// none.
fn end(host: &mut Host<'_>, victims: &Victims<'_>) -> usize {
    let Host { session, others, orders, place, .. } = host;
    let doomed = |session: &Session| {
        let client = &session.client;
        !(session.common || client.closing || client.spare) && victims.has(session)
    };
    let mut killed = 0;
    for (place, other) in others.iter_mut().enumerate() {
        if let Some(other) = other.as_deref_mut().filter(|other| doomed(other)) {
            other.client.closing = true;
            orders.push(Order::Close(place));
            killed += 1;
        }
    }
    if victims.with_self && doomed(session) {
        session.client.closing = true;
        orders.push(Order::Close(*place));
        killed += 1;
    }
    killed
}

fn no_evict(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let on = args.take_word("on");
    if !on && !args.take_word("off") {
        return Err(CommandError::Syntax);
    }
    cx.host()?.session.client.no_evict = on;
    cx.reply.ok();
    Ok(())
}

fn reply(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let client = &mut cx.host()?.session.client;
    match () {
        () if args.take_word("on") => {
            client.replies = Replies::All;
            cx.reply.ok();
        }
        () if args.take_word("off") => client.replies = Replies::Off,
        () if args.take_word("skip") => {
            if client.replies != Replies::Off {
                client.replies = Replies::SkipNext;
            }
        }
        () => return Err(CommandError::Syntax),
    }
    Ok(())
}

fn pause(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let time = args.next()?;
    let writes_only = match args.maybe_next() {
        None => false,
        Some(_) if !args.is_empty() => return Err(args.subcommand_error()),
        Some(mode) if mode.eq_ignore_ascii_case(b"write") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"all") => false,
        Some(_) => {
            return Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
    };
    let refused = CommandError::text("ERR timeout is not an integer or out of range");
    let time = parse_i64(time).ok_or(refused)?;
    if time < 0 {
        return Err(CommandError::text("ERR timeout is negative"));
    }
    let until_ms = cx.keys.now().saturating_add(time);
    // A pause under way is not made shorter or weaker.
    let before = cx.keys.news().pause.filter(|pause| pause.until_ms > cx.keys.now());
    let pause = match before {
        Some(before) => Pause {
            until_ms: before.until_ms.max(until_ms),
            writes_only: before.writes_only && writes_only,
        },
        None => Pause { until_ms, writes_only },
    };
    cx.keys.news_mut().pause = Some(pause);
    cx.reply.ok();
    Ok(())
}

fn unpause(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.keys.news_mut().pause = None;
    cx.host()?.orders.push(Order::Resume);
    cx.reply.ok();
    Ok(())
}

fn unblock(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let id = args.next()?;
    let with_error = match args.maybe_next() {
        None => false,
        Some(_) if !args.is_empty() => return Err(args.subcommand_error()),
        Some(word) if word.eq_ignore_ascii_case(b"timeout") => false,
        Some(word) if word.eq_ignore_ascii_case(b"error") => true,
        Some(_) => {
            let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(CommandError::text(text));
        }
    };
    let id = u64::try_from(parse_i64(id).ok_or(CommandError::NotInteger)?).ok();
    let host = cx.host()?;
    let waits = |session: &Session| Some(session.client.id) == id && session.client.blocked;
    let found = host.others.iter().position(|other| other.as_deref().is_some_and(waits));
    if let Some(place) = found {
        host.orders.push(Order::Unblock { place, with_error });
    }
    cx.reply.count(usize::from(found.is_some()));
    Ok(())
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.array(HELP_LINES.len());
    HELP_LINES.iter().for_each(|line| cx.reply.status(line.as_bytes()));
    Ok(())
}

const HELP_LINES: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "HELP",
    "    Prints this help.",
];

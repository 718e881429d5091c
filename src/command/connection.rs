//! What a client says of its connection: AUTH, ECHO, HELLO, PING, QUIT, RESET and SELECT.

use super::args::Args;
use super::client::client_name;
use super::context::{Context, Host};
use super::permission::note_denial;
use super::server::next_database;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Command, Details, Family, Flags, Group, Keys, keyless};
use crate::acl::{DEFAULT, Reason};
use crate::clients::{Client, Replies};
use crate::error::{CommandError, CommandResult, clipped};
use crate::keyspace::Keyspace;
use crate::number::parse_i64;
use crate::reply::Protocol;
use crate::session::Order;

/// The commands whose arguments are not shown.
pub(super) const AUTH: &str = "auth";
pub(super) const HELLO: &str = "hello";

/// Allowed before a client has said who it is.
const UNKNOWN: Flags = Flags::NOSCRIPT
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::NO_AUTH)
    .and(Flags::ALLOW_BUSY);

pub(super) const FAMILY: Family = Family {
    group: Group::Connection,
    commands: &[
        keyless(
            AUTH,
            AtLeast(2),
            UNKNOWN,
            "1.0.0",
            "O(N) in the user's passwords",
            "Says who the client is.",
            auth,
        ),
        Command {
            name: "echo",
            arity: Exactly(2),
            flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Answers with its argument.",
            subcommands: &[],
            details: Details::NONE,
            run: echo,
        },
        keyless(
            HELLO,
            AtLeast(1),
            UNKNOWN,
            "6.0.0",
            "O(1)",
            "Chooses the shape of replies, and says who the client is.",
            hello,
        ),
        Command {
            name: "ping",
            arity: AtLeast(1),
            flags: Flags::FAST.and(Flags::LISTENING),
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Answers PONG, or with its argument.",
            subcommands: &[],
            details: Details { tips: tips::ALL_SHARDS, ..Details::NONE },
            run: ping,
        },
        keyless(
            "quit",
            AtLeast(1),
            UNKNOWN.and(Flags::UNQUEUED).and(Flags::LISTENING),
            "1.0.0",
            "O(1)",
            "Ends the connection.",
            quit,
        ),
        keyless(
            "reset",
            Exactly(1),
            UNKNOWN.and(Flags::UNQUEUED).and(Flags::LISTENING),
            "6.2.0",
            "O(1)",
            "Makes the connection what it was at first.",
            reset,
        ),
        Command {
            name: "select",
            arity: Exactly(2),
            flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
            keys: Keys::NONE,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "Selects the database that the session's commands work on.",
            subcommands: &[],
            details: Details::NONE,
            run: select,
        },
    ],
};

fn echo(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.reply.bulk(args.next()?);
    Ok(())
}

fn ping(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        return Err(args.arity_error());
    }
    let text = args.maybe_next();
    // Among messages of channels a reply has to look like one.
    if cx.host.as_ref().is_some_and(|host| host.session.client.only_listens()) {
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(text.unwrap_or_default());
        return Ok(());
    }
    match text {
        Some(text) => cx.reply.bulk(text),
        None => cx.reply.status(b"PONG"),
    }
    Ok(())
}

const WRONG_PASSWORD: CommandError =
    CommandError::text("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD: CommandError = CommandError::text(
    "ERR AUTH <password> called without any password configured for the default user. Are you \
     sure your configuration is correct?",
);
const HELLO_FIRST: CommandError = CommandError::text(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
     <user> <pass> option can be used to authenticate the client and select the RESP protocol \
     version at the same time",
);

/// Lets a client in as a user, if the password is the user's.
fn authenticate(
    cx: &mut Context<'_>,
    command: &'static str,
    user: &[u8],
    password: &[u8],
) -> CommandResult {
    if !cx.server.users.authenticate(user, password) {
        note_denial(cx, Reason::Auth, command.to_ascii_uppercase().as_bytes(), user);
        return Err(WRONG_PASSWORD);
    }
    let client = &mut cx.host()?.session.client;
    client.user = user.into();
    client.authenticated = true;
    client.restrict();
    Ok(())
}

fn auth(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let name = args.command();
    (1..=args.len()).for_each(|at| cx.server.hide(at));
    match *args.rest() {
        [_] if cx.server.users.default_needs_no_password() => return Err(NO_PASSWORD),
        [password] => authenticate(cx, name, DEFAULT, password)?,
        [user, password] => authenticate(cx, name, user, password)?,
        _ => return Err(CommandError::Syntax),
    }
    cx.reply.ok();
    Ok(())
}

fn hello(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (command, argc) = (args.command(), 1 + args.len());
    let protocol = args.maybe_next().map(protocol).transpose()?;
    let (mut login, mut name) = (None, None);
    while let Some(word) = args.maybe_next() {
        match () {
            () if word.eq_ignore_ascii_case(AUTH.as_bytes()) && args.len() >= 2 => {
                let at = argc - args.len();
                [at, at + 1].into_iter().for_each(|at| cx.server.hide(at));
                login = Some((args.next()?, args.next()?));
            }
            () if word.eq_ignore_ascii_case(b"setname") && !args.is_empty() => {
                name = Some(client_name(args.next()?)?);
            }
            () => {
                let begin = b"ERR Syntax error in HELLO option '";
                return Err(CommandError::quoting(&[begin, clipped(word, usize::MAX), b"'"]));
            }
        }
    }
    if let Some((user, password)) = login {
        authenticate(cx, command, user, password)?;
    }
    let needs_password = cx.server.users.needs_login();
    let client = &mut cx.host()?.session.client;
    if needs_password && !client.authenticated {
        return Err(HELLO_FIRST);
    }
    if let Some(name) = name {
        client.name = name.into();
    }
    if let Some(protocol) = protocol {
        client.mailbox.set_protocol(protocol);
        client.restrict();
    }
    greet(cx)
}

fn protocol(text: &[u8]) -> Result<Protocol, CommandError> {
    match parse_i64(text) {
        None => Err(CommandError::text("ERR Protocol version is not an integer or out of range")),
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::text("NOPROTO unsupported protocol version")),
    }
}

/// What HELLO answers.
fn greet(cx: &mut Context<'_>) -> CommandResult {
    let client = &cx.host()?.session.client;
    let (id, is_resp3) = (client.id, client.protocol() == Protocol::Resp3);
    let reply = &mut *cx.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", "7.0.15")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(if is_resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// A session without a door has nothing to close: it goes with its handle.
fn quit(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let host = cx.host()?;
    if host.session.client.attached {
        host.session.client.closing = true;
        host.orders.push(Order::Close(host.place));
    }
    cx.reply.ok();
    Ok(())
}

fn reset(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let Context { keys, host, server, .. } = cx;
    let Host { session, place, .. } = host.as_mut().ok_or(CommandError::ScriptForbidden)?;
    session.queue = None;
    session.dirty = false;
    session.watched.drain(..).for_each(|watched| keys.unlisten(&watched.name));
    leave_all(keys, *place, &mut session.client);
    let needs_password = server.users.needs_login();
    let client = &mut session.client;
    client.mailbox.set_protocol(Protocol::Resp2);
    client.name = Box::default();
    client.user = DEFAULT.into();
    client.replies = Replies::All;
    client.authenticated = !(client.attached && needs_password);
    client.restrict();
    keys.select(0);
    cx.reply.status(args.command().to_ascii_uppercase().as_bytes());
    Ok(())
}

/// A client is told of nothing any more.
pub(crate) fn leave_all(keys: &mut Keyspace, place: usize, client: &mut Client) {
    keys.news_mut().subscriptions.remove_all(place, &mut client.listening);
    if std::mem::take(&mut client.monitors) {
        keys.news_mut().count_monitor(false);
    }
    if client.is_replica() {
        keys.news_mut().feed.remove_replica();
    }
    client.replica = None;
    if let Some(tracking) = client.tracking.take() {
        keys.follow(|followed| followed.change(Some(&tracking), None));
    }
    client.restrict();
}

/// Within a script it holds until the script ends.
fn select(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let database = next_database(cx.keys, &mut args)?;
    cx.keys.select(database);
    cx.reply.ok();
    Ok(())
}

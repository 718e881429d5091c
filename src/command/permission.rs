//! Whether a user may make a call. Asked at the gate only of those who may not do everything.

use super::context::{Caller, Context};
use super::index::{Found, find, resolve};
use super::keyspec::{Use, find_keys, specs_of};
use super::transaction::MULTI_NAME;
use super::{PUBLISH, SUBSCRIBE, UNSUBSCRIBE, hosted};
use crate::acl::{Entry, Need, Reason, Selector, User};
use crate::clients::describe;
use crate::error::{CommandError, CommandResult};
use crate::server::Server;

/// What is denied: the command, or an argument of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Denial {
    Command,
    Key(usize),
    Channel(usize),
}

impl Denial {
    /// How far the call came: what is told is the denial that came latest.
    fn depth(self) -> (u8, usize) {
        match self {
            Denial::Command => (0, 0),
            Denial::Key(at) => (1, at),
            Denial::Channel(at) => (2, at),
        }
    }

    fn reason(self) -> Reason {
        match self {
            Denial::Command => Reason::Command,
            Denial::Key(_) => Reason::Key,
            Denial::Channel(_) => Reason::Channel,
        }
    }

    /// The command, key or channel.
    fn object<'a>(self, name: &'a str, argv: &[&'a [u8]]) -> &'a [u8] {
        match self {
            Denial::Command => name.as_bytes(),
            Denial::Key(at) | Denial::Channel(at) => argv.get(at).copied().unwrap_or_default(),
        }
    }
}

/// What of a call a user is denied, if anything is.
pub(super) fn denial(user: &User, found: Found, argv: &[&[u8]]) -> Option<Denial> {
    let specs = specs_of(found.command);
    let keys = find_keys(&specs, found.command.details.varies, argv).unwrap_or_default();
    let mut latest: Option<Denial> = None;
    for selector in &user.selectors {
        let denied = denied_by(selector, found, argv, &keys)?;
        if latest.is_none_or(|latest| denied.depth() > latest.depth()) {
            latest = Some(denied);
        }
    }
    latest
}

/// The same of one selector.
fn denied_by(
    selector: &Selector,
    found: Found,
    argv: &[&[u8]],
    keys: &[(usize, Use)],
) -> Option<Denial> {
    let argument = |at: usize| argv.get(at).copied().unwrap_or_default();
    if !selector.allows(found.number, argv.get(1).copied()) {
        return Some(Denial::Command);
    }
    let key = keys.iter().find(|(at, uses)| !selector.allows_key(argument(*at), need_of(uses)));
    if let Some((at, _)) = key {
        return Some(Denial::Key(*at));
    }
    let (first, last, is_pattern) = channels_of(found, argv.len())?;
    let mut places = first..=last;
    places.find(|at| !selector.allows_channel(argument(*at), is_pattern)).map(Denial::Channel)
}

/// What a use of a key needs.
fn need_of(uses: Use) -> Need {
    let has = |wanted: &str| uses.contains(&wanted);
    Need { read: has("access"), write: has("insert") || has("delete") || has("update") }
}

/// Which arguments are channels, and whether they are patterns: those behind the name of what
/// listens, the first one of what tells. To leave a channel nothing is needed.
fn channels_of(found: Found, argc: usize) -> Option<(usize, usize, bool)> {
    let name = found.command.name;
    if name.ends_with(PUBLISH) {
        return Some((1, 1, false));
    }
    let listens = name.ends_with(SUBSCRIBE) && !name.ends_with(UNSUBSCRIBE);
    listens.then(|| (1, argc.saturating_sub(1), name.starts_with('p')))
}

/// Refuses a call that who calls may not make.
#[cold]
pub(super) fn permit(cx: &mut Context<'_>, found: Found, argv: &[&[u8]]) -> CommandResult {
    let Some(user) = cx.server.users.acting().cloned() else { return Ok(()) };
    // Whoever has not said who they are must be able to.
    if found.command.flags.has_any(super::Flags::NO_AUTH) {
        return Ok(());
    }
    match denial(&user, found, argv) {
        None => Ok(()),
        Some(denied) => Err(refuse(cx, &user, denied, found.command.name, argv)),
    }
}

/// The same for a command that the host has added.
pub(super) fn permit_hosted(
    cx: &mut Context<'_>,
    row: &hosted::Row,
    argv: &[&[u8]],
) -> CommandResult {
    let Some(user) = cx.server.users.acting().cloned() else { return Ok(()) };
    match user.selectors.iter().any(Selector::allows_others) {
        true => Ok(()),
        false => Err(refuse(cx, &user, Denial::Command, &row.name, argv)),
    }
}

/// Notes a denial, and words it.
fn refuse(
    cx: &mut Context<'_>,
    user: &User,
    denied: Denial,
    name: &str,
    argv: &[&[u8]],
) -> CommandError {
    note_denial(cx, denied.reason(), denied.object(name, argv), &user.name);
    match cx.caller {
        Caller::Script { .. } | Caller::Function { .. } => {
            CommandError::denied_in_script(denied.reason())
        }
        Caller::Host if cx.server.users.executing => CommandError::denied_since(denied.reason()),
        Caller::Host => CommandError::denied(denied.reason(), name),
    }
}

/// Notes that something was denied to a user.
pub(super) fn note_denial(cx: &mut Context<'_>, reason: Reason, object: &[u8], username: &[u8]) {
    let in_transaction = cx.server.users.executing || cx.queue().is_some();
    let context = match cx.caller {
        Caller::Script { .. } | Caller::Function { .. } => "lua",
        Caller::Host if in_transaction => MULTI_NAME,
        Caller::Host => "toplevel",
    };
    let at_ms = cx.keys.now();
    let mut client = Vec::new();
    if let Some(host) = &cx.host {
        describe(host.session, at_ms, 0, &mut client);
    }
    let (object, username, client) = (object.into(), username.into(), client.into());
    cx.server.note_denial(Entry { count: 1, reason, context, object, username, at_ms, client });
}

/// Whether who calls may make a call, for a script that asks.
pub(crate) fn may_call(server: &Server, argv: &[&[u8]]) -> bool {
    let Some(user) = server.users.acting() else { return true };
    match argv.first().and_then(|name| find(name)) {
        Some(found) => match resolve(found, argv, Caller::Host) {
            Ok((found, _)) => denial(user, found, argv).is_none(),
            Err(_) => false,
        },
        None => user.selectors.iter().any(Selector::allows_others),
    }
}

/// Whether who calls may read any key.
pub(super) fn may_read_all(cx: &Context<'_>) -> bool {
    let Some(user) = cx.server.users.acting() else { return true };
    let read = Need { read: true, write: false };
    user.selectors.iter().any(|selector| selector.allows_every_key(read))
}

//! MONITOR, and what is noted of calls for those who want to know of them.

use super::args::Args;
use super::context::{Context, own_session};
use super::keyspec::{find_keys, specs_of};
use super::spec::Arity::Exactly;
use super::spec::{Command, Family, Flags, Group, keyless};
use super::{Caller, call};
use crate::clients::{Events, Misses, line, redacted};
use crate::error::CommandResult;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[
        keyless("monitor", Exactly(1), ADMIN, "1.0.0", "O(1)",
            "Shows every call that is made.", monitor).categories(&[]),
    ],
};

fn monitor(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let client = &mut own_session(cx)?.session.client;
    if !client.monitors {
        client.monitors = true;
        client.restrict();
        cx.keys.news_mut().count_monitor(true);
    }
    cx.reply.ok();
    Ok(())
}

/// Runs a command, and notes what somebody wants to know of it: the keys that the client is shown,
/// and the call itself. Passwords are never shown, nor is what is for who runs the engine.
#[cold]
pub(super) fn run_overheard(
    cx: &mut Context<'_>,
    command: &'static Command,
    argv: &[&[u8]],
    words: usize,
) -> CommandResult {
    let is_seen = cx.keys.news().is_monitored() && !command.flags.has(Flags::ADMIN);
    // What runs others in turn is shown before them.
    let is_first = command.flags.has(Flags::SKIP_MONITOR);
    if is_seen && is_first {
        see(cx, command, argv);
    }
    let misses = match cx.keys.news().events().has_any(Events::MISS) {
        true => misses(command, argv),
        false => Misses::None,
    };
    let before = cx.keys.news_mut().set_misses(misses);
    let outcome = call(cx, command, argv, words);
    cx.keys.news_mut().set_misses(before);
    note_shown(cx, command, argv);
    if is_seen && !is_first {
        see(cx, command, argv);
    }
    outcome
}

/// Which keys a command asks for to read them, of those that do not exist.
fn misses(command: &Command, argv: &[&[u8]]) -> Misses {
    let but = |at: usize| Misses::But(argv.get(at).copied().unwrap_or_default().into());
    match command.name {
        "getdel" | "getex" | "getset" | "pfmerge" => Misses::All,
        "sdiffstore" | "sinterstore" | "sunionstore" => but(1),
        "zdiffstore" | "zinterstore" | "zunionstore" | "zrangestore" => but(1),
        "geosearchstore" => but(1),
        "bitop" => but(2),
        "sort" => {
            let at = argv.iter().position(|word| word.eq_ignore_ascii_case(b"store"));
            at.map_or(Misses::All, |at| but(at + 1))
        }
        // These look without asking.
        name if name.starts_with("object|") || name == "memory|usage" => Misses::None,
        _ if command.flags.has(Flags::READONLY) => Misses::All,
        _ => Misses::None,
    }
}

fn see(cx: &mut Context<'_>, command: &Command, argv: &[&[u8]]) {
    let from = match (cx.caller, &cx.host) {
        (Caller::Host, Some(host)) => host.session.client.origin.shown(),
        (Caller::Host, None) => String::new(),
        (Caller::Script { .. } | Caller::Function { .. }, _) => "lua".to_owned(),
    };
    let shown = line(cx.keys.now(), cx.keys.database(), &from, &redacted(command.name, argv));
    cx.keys.news_mut().see(shown);
}

/// Remembers the keys that a call has shown.
fn note_shown(cx: &mut Context<'_>, command: &Command, argv: &[&[u8]]) {
    if !command.flags.has(Flags::READONLY) {
        return;
    }
    let Some(follower) = cx.keys.news().follower() else { return };
    let found = find_keys(&specs_of(command), command.details.varies, argv).unwrap_or_default();
    for key in found.into_iter().filter_map(|(at, _)| argv.get(at)) {
        cx.keys.follow(|followed| followed.show(key, follower));
    }
}

//! MONITOR, and what is noted of calls for those who want to know of them.

use super::Caller;
use super::args::Args;
use super::connection::{AUTH, HELLO};
use super::context::{Context, own_session};

use super::effects;
use super::keyspec::{find_keys, specs_of};
use super::migrate;
use super::spec::Arity::Exactly;
use super::spec::{Command, Family, Flags, Group, keyless};
use crate::clients::{Events, Misses, line};
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
    let outcome = effects::run_told(cx, command, argv, words);
    cx.keys.news_mut().set_misses(before);
    note_shown(cx, command, argv);
    if is_seen && !is_first {
        see(cx, command, argv);
    }
    outcome
}

/// Which keys a command asks for to read them, of those that do not exist: all, or for one that
/// writes those that it only reads.
fn misses(command: &Command, argv: &[&[u8]]) -> Misses {
    if command.flags.has(Flags::READONLY) {
        return Misses::All;
    }
    let found = find_keys(&specs_of(command), command.details.varies, argv).unwrap_or_default();
    let read = found.into_iter().filter(|(_, uses)| uses.first() == Some(&"RO"));
    let keys: Vec<Box<[u8]>> =
        read.filter_map(|(at, _)| argv.get(at)).map(|&key| key.into()).collect();
    if keys.is_empty() { Misses::None } else { Misses::Of(keys) }
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

/// Remembers the keys that a call has shown. What a script reads are the keys that it was called
/// with, and a script by itself shows nothing.
fn note_shown(cx: &mut Context<'_>, command: &Command, argv: &[&[u8]]) {
    if !command.flags.has(Flags::READONLY) || command.flags.has(Flags::SKIP_MONITOR) {
        return;
    }
    let Some(follower) = cx.keys.news().follower() else { return };
    if matches!(cx.caller, Caller::Script { .. }) {
        let declared = cx.keys.news_mut().take_declared();
        cx.keys.follow(|followed| declared.iter().for_each(|key| followed.show(key, follower)));
        return;
    }
    let found = find_keys(&specs_of(command), command.details.varies, argv).unwrap_or_default();
    for key in found.into_iter().filter_map(|(at, _)| argv.get(at)) {
        cx.keys.follow(|followed| followed.show(key, follower));
    }
}

/// The arguments of a command with passwords left out.
fn redacted<'a>(name: &str, argv: &[&'a [u8]]) -> Vec<&'a [u8]> {
    const HIDDEN: &[u8] = b"(redacted)";
    let mut shown = argv.to_vec();
    if name == migrate::NAME {
        for at in migrate::secrets(argv) {
            shown.get_mut(at).into_iter().for_each(|word| *word = HIDDEN);
        }
    }
    let hidden = match name {
        AUTH => 1..argv.len(),
        HELLO => {
            let at =
                argv.iter().skip(2).position(|word| word.eq_ignore_ascii_case(AUTH.as_bytes()));
            at.map_or(0..0, |at| at + 3..at + 5)
        }
        _ => 0..0,
    };
    for argument in shown.iter_mut().take(hidden.end).skip(hidden.start) {
        *argument = HIDDEN;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, argv: &[&str], expected: &[&str]) {
        let bytes: Vec<&[u8]> = argv.iter().map(|text| text.as_bytes()).collect();
        let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(redacted(name, &bytes), expected);
    }

    #[test]
    fn passwords_are_hidden() {
        let hidden = "(redacted)";
        check(AUTH, &["AUTH", "u", "p"], &["AUTH", hidden, hidden]);
        check(HELLO, &["HELLO", "3", "SETNAME", "x"], &["HELLO", "3", "SETNAME", "x"]);
        check(
            HELLO,
            &["HELLO", "3", "Auth", "u", "p", "SETNAME", "x"],
            &["HELLO", "3", "Auth", hidden, hidden, "SETNAME", "x"],
        );
        check("get", &["GET", "auth"], &["GET", "auth"]);
    }
}

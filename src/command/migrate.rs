//! MIGRATE: keys are handed to another server, and are gone here once that one has them.

use super::args::Args;
use super::context::Context;
use super::dump::source_of;
use super::keyspec::specs;
use super::spec::Arity::AtLeast;
use super::spec::keyed as row;
use super::spec::{Family, Flags, Group, Keys};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::NEVER;
use crate::number::parse_i64;
use crate::rdb;
use crate::resp;
use crate::transfer::{Failure, Target};
use smallvec::SmallVec;
use std::time::Duration;

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        row(NAME, AtLeast(6), Flags::WRITE.and(Flags::MOVABLEKEYS),
            Keys { first: 3, last: 3, step: 1 }, "2.6.0", "O(N) in keys and their bytes",
            "Hands keys to another server.", migrate)
            .specs(specs::MIGRATE).categories(&["keyspace", "dangerous"])
            .tips(&["nondeterministic_output"]),
    ],
};

/// What names this command elsewhere: its passwords are shown nowhere.
pub(super) const NAME: &str = "migrate";

/// How long a step may take if nobody says.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first of the options, the name being at 0.
const OPTIONS: usize = 6;

/// What MIGRATE is asked for beside its target.
#[derive(Default)]
struct Wish<'a> {
    copies: bool,
    replaces: bool,
    /// A user and a password, or a password.
    login: &'a [&'a [u8]],
    keys: &'a [&'a [u8]],
}

/// The places of passwords in a call.
pub(super) fn secrets(argv: &[&[u8]]) -> SmallVec<[usize; 4]> {
    let mut found = SmallVec::new();
    let mut at = OPTIONS;
    while let Some(word) = argv.get(at) {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        let count = match () {
            () if is("keys") => break,
            () if is(super::connection::AUTH) => 1,
            () if is("auth2") => 2,
            () => 0,
        };
        found.extend((at + 1..=at + count).filter(|at| *at < argv.len()));
        at += count + 1;
    }
    found
}

impl<'a> Wish<'a> {
    fn parse(mut args: Args<'a>, key: &'a [&'a [u8]]) -> Result<Wish<'a>, CommandError> {
        let mut wish = Wish { keys: key, ..Wish::default() };
        while !args.is_empty() {
            if args.take_word("copy") {
                wish.copies = true;
            } else if args.take_word("replace") {
                wish.replaces = true;
            } else if args.take_word(super::connection::AUTH) {
                wish.login = args.take(1).ok_or(CommandError::Syntax)?;
            } else if args.take_word("auth2") {
                wish.login = args.take(2).ok_or(CommandError::Syntax)?;
            } else if args.take_word("keys") {
                if key.first().is_some_and(|key| !key.is_empty()) {
                    return Err(CommandError::text(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the \
                         empty string",
                    ));
                }
                wish.keys = args.rest();
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(wish)
    }
}

fn migrate(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (host, port) = (args.next()?, args.next()?);
    let key = args.take(1).ok_or(CommandError::Syntax)?;
    let (database, timeout) = (args.next()?, args.next()?);
    hide_login(cx, args.rest());
    let wish = Wish::parse(args, key)?;
    let patience = parse_i64(timeout).ok_or(CommandError::NotInteger)?;
    let database = parse_i64(database).ok_or(CommandError::NotInteger)?;
    let patience = match u64::try_from(patience) {
        Ok(ms @ 1..) => Duration::from_millis(ms),
        _ => PATIENCE,
    };
    let (requests, sent) = requests(cx, &wish, database);
    if sent.is_empty() {
        cx.reply.status(b"NOKEY");
        return Ok(());
    }
    let port = parse_i64(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| failed(Failure::Write))?;
    let mut target =
        Target::open(&String::from_utf8_lossy(host), port, patience).map_err(failed)?;
    target.send(&requests).map_err(failed)?;
    hand_over(cx, &mut target, &wish, &sent)?;
    cx.reply.ok();
    Ok(())
}

/// The words of a login are shown nowhere.
fn hide_login(cx: &mut Context<'_>, options: &[&[u8]]) {
    let argv: Vec<&[u8]> =
        std::iter::repeat_n(&b""[..], OPTIONS).chain(options.iter().copied()).collect();
    secrets(&argv).into_iter().for_each(|at| cx.server.hide(at));
}

/// What is asked of the other server, and the keys that it is given.
fn requests<'a>(cx: &mut Context<'_>, wish: &Wish<'a>, database: i64) -> (Vec<u8>, Vec<&'a [u8]>) {
    let (mut requests, mut sent) = (Vec::new(), Vec::new());
    if !wish.login.is_empty() {
        let words: &[&[u8]] = &[b"AUTH"];
        resp::request(&[words, wish.login].concat(), &mut requests);
    }
    resp::request(&[b"SELECT", database.to_string().as_bytes()], &mut requests);
    let now = cx.keys.now();
    for &key in wish.keys {
        let slot = cx.keys.slot(key);
        let payload = source_of(cx.keys, slot).map(|source| rdb::dump(source, cx.keys.limits()));
        let Some(payload) = payload else { continue };
        let left = match cx.keys.deadline_at(slot) {
            NEVER => 0,
            deadline => (deadline - now).max(1),
        };
        let left = left.to_string();
        let words: [&[u8]; 5] = [b"RESTORE", key, left.as_bytes(), &payload, b"REPLACE"];
        let words = words.get(..4 + usize::from(wish.replaces)).unwrap_or(&words);
        resp::request(words, &mut requests);
        sent.push(key);
    }
    (requests, sent)
}

/// Reads what the other server answers, and removes the keys that it has.
fn hand_over(
    cx: &mut Context<'_>,
    target: &mut Target,
    wish: &Wish<'_>,
    sent: &[&[u8]],
) -> CommandResult {
    let mut refused = None;
    let heads = 1 + usize::from(!wish.login.is_empty());
    for _ in 0..heads {
        if let Err(error) = target.answer().map_err(failed)? {
            refused = refused.or(Some(error));
        }
    }
    let is_welcome = refused.is_none();
    for key in sent {
        match target.answer().map_err(failed)? {
            Err(error) => refused = refused.or(Some(error)),
            // What is taken where it was not to go is not taken for good.
            Ok(()) if is_welcome && !wish.copies => {
                if cx.keys.remove(key) {
                    cx.event(Event::DEL, key);
                }
            }
            Ok(()) => (),
        }
    }
    match refused {
        None => Ok(()),
        Some(error) => {
            Err(CommandError::quoting(&[b"ERR Target instance replied with error: ", &error]))
        }
    }
}

fn failed(failure: Failure) -> CommandError {
    CommandError::text(match failure {
        Failure::Connect => "IOERR error or timeout connecting to the client",
        Failure::Write => "IOERR error or timeout writing to target instance",
        Failure::Read => "IOERR error or timeout reading from target instance",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found() {
        let places =
            |call: &str| secrets(&call.split(' ').map(str::as_bytes).collect::<Vec<_>>()).to_vec();
        assert_eq!(places("migrate h 1 k 0 1"), [0; 0]);
        assert_eq!(places("migrate h 1 k 0 1 AUTH pw COPY"), [7]);
        assert_eq!(places("migrate h 1 k 0 1 copy auth2 u pw keys auth x"), [8, 9]);
        assert_eq!(places("migrate h 1 k 0 1 auth"), [0; 0]);
    }
}

//! Deadlines of keys: the EXPIRE commands, the TTL commands and PERSIST.
//!
//! [`Unit`] and [`deadline_from`] also read the deadlines that SET and its relatives are given.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Arity, Command, Family, Flags, Group, Keys, keyed};
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult, error_end};
use crate::keyspace::NEVER;
use crate::number::{IntText, parse_i64};

const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

/// A row of this family: all of them have one key, the first argument.
const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
    run: fn(&mut Context<'_>, Args<'_>) -> CommandResult,
) -> Command {
    let (keys, complexity) = (Keys::FIRST, "O(1)");
    keyed(name, arity, flags, keys, since, complexity, summary, run)
}

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        row("expire", AtLeast(3), WRITE_FAST, "1.0.0",
            "Lets a key expire after some seconds.", expire),
        row("expireat", AtLeast(3), WRITE_FAST, "1.2.0",
            "Lets a key expire at a Unix time in seconds.", expireat),
        row("expiretime", Exactly(2), READ_FAST, "7.0.0",
            "The Unix time in seconds at which a key expires.", expiretime),
        row("persist", Exactly(2), WRITE_FAST, "2.2.0",
            "Takes a key's deadline away.", persist),
        row("pexpire", AtLeast(3), WRITE_FAST, "2.6.0",
            "Lets a key expire after some milliseconds.", pexpire),
        row("pexpireat", AtLeast(3), WRITE_FAST, "2.6.0",
            "Lets a key expire at a Unix time in milliseconds.", pexpireat),
        row("pexpiretime", Exactly(2), READ_FAST, "7.0.0",
            "The Unix time in milliseconds at which a key expires.", pexpiretime),
        row("pttl", Exactly(2), READ_FAST, "2.6.0",
            "How many milliseconds a key has left.", pttl).tips(tips::VARYING_OUTPUT),
        row("ttl", Exactly(2), READ_FAST, "1.0.0",
            "How many seconds a key has left.", ttl).tips(tips::VARYING_OUTPUT),
    ],
};

/// How a deadline is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// In seconds from now.
    Seconds,
    /// In milliseconds from now.
    Milliseconds,
    /// As seconds since 1970.
    SecondsAt,
    /// As milliseconds since 1970.
    MillisecondsAt,
    /// Not at all: the key loses the one it has.
    Persist,
}

impl Unit {
    /// What an option of SET and GETEX stands for, in any case.
    pub(super) fn from_option(word: &[u8]) -> Option<Unit> {
        let options = [
            ("ex", Unit::Seconds),
            ("px", Unit::Milliseconds),
            ("exat", Unit::SecondsAt),
            ("pxat", Unit::MillisecondsAt),
        ];
        let named = |(name, _): &(&str, Unit)| word.eq_ignore_ascii_case(name.as_bytes());
        options.into_iter().find(named).map(|(_, unit)| unit)
    }

    /// A time in this unit as milliseconds since 1970, unless those leave 64 bits.
    fn deadline(self, time: i64, now_ms: i64) -> Option<i64> {
        let deadline = match self {
            Unit::Seconds => time.checked_mul(1000)?.checked_add(now_ms)?,
            Unit::Milliseconds => time.checked_add(now_ms)?,
            Unit::SecondsAt => time.checked_mul(1000)?,
            Unit::MillisecondsAt => time,
            Unit::Persist => return Some(NEVER),
        };
        // The last millisecond of all means "never" here; Redis has it as a deadline like others.
        Some(deadline.min(NEVER - 1))
    }
}

/// The deadline in an option of SET, GETEX or SETEX, in milliseconds since 1970. It must be
/// above zero, but may lie in the past: then the key is written and has expired at once.
pub(super) fn deadline_from(
    text: &[u8],
    unit: Unit,
    now_ms: i64,
    command: &'static str,
) -> Result<i64, CommandError> {
    let time = parse_i64(text).ok_or(CommandError::NotInteger)?;
    let deadline = if time > 0 { unit.deadline(time, now_ms) } else { None };
    deadline.ok_or(CommandError::InvalidExpire(command))
}

/// Under which conditions EXPIRE and its relatives set a deadline.
#[derive(Clone, Copy, Default)]
struct Conditions {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Conditions {
    fn parse(mut args: Args<'_>) -> Result<Conditions, CommandError> {
        let mut chosen = Conditions::default();
        while !args.is_empty() {
            let option = match () {
                () if args.take_word("nx") => &mut chosen.if_none,
                () if args.take_word("xx") => &mut chosen.if_any,
                () if args.take_word("gt") => &mut chosen.if_later,
                () if args.take_word("lt") => &mut chosen.if_earlier,
                () => return Err(unsupported_option(args.next()?)),
            };
            *option = true;
        }
        chosen.check().map(|()| chosen)
    }

    fn check(self) -> CommandResult {
        if self.if_none && (self.if_any || self.if_later || self.if_earlier) {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if self.if_later && self.if_earlier {
            return Err(CommandError::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(())
    }

    /// Whether a deadline may take the place of another; none counts as later than any.
    fn allow(self, new: i64, old: i64) -> bool {
        !(self.if_none && old != NEVER
            || self.if_any && old == NEVER
            || self.if_later && new <= old
            || self.if_earlier && new >= old)
    }
}

fn unsupported_option(word: &[u8]) -> CommandError {
    CommandError::quoting(&[b"ERR Unsupported option ", error_end(word)])
}

fn expire(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_deadline(cx, args, Unit::Seconds)
}

fn pexpire(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_deadline(cx, args, Unit::Milliseconds)
}

fn expireat(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_deadline(cx, args, Unit::SecondsAt)
}

fn pexpireat(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_deadline(cx, args, Unit::MillisecondsAt)
}

fn set_deadline(cx: &mut Context<'_>, mut args: Args<'_>, unit: Unit) -> CommandResult {
    let (key, time) = (args.key()?, args.next()?);
    // Redis complains of the options before it looks at the time.
    let (conditions, words) = (Conditions::parse(args)?, args.rest());
    let time = parse_i64(time).ok_or(CommandError::NotInteger)?;
    let now = cx.keys.now();
    let invalid = CommandError::InvalidExpire(args.command());
    let deadline = unit.deadline(time, now).ok_or(invalid)?;
    let slot = cx.keys.slot(key);
    let changes = slot.exists() && conditions.allow(deadline, cx.keys.deadline_at(slot));
    if changes && deadline <= now {
        cx.keys.remove_slot(slot);
        cx.effect_of_removal(cx.keys.news().feed.lazily.expires, key);
        cx.event(Event::DEL, key);
    } else if changes {
        cx.keys.set_deadline(slot, key, deadline);
        if cx.has_replicas() {
            let at = IntText::new(deadline);
            cx.effect(&[&[words::PEXPIREAT, key, at.as_bytes()][..], words].concat());
        }
        cx.event(Event::EXPIRE, key);
    }
    cx.reply.integer(changes.into());
    Ok(())
}

fn persist(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let slot = cx.keys.slot(key);
    let expires = cx.keys.deadline_at(slot) != NEVER;
    cx.keys.set_deadline(slot, key, NEVER);
    if expires {
        cx.event(Event::PERSIST, key);
    }
    cx.reply.integer(expires.into());
    Ok(())
}

fn ttl(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_deadline(cx, args, |deadline, now| to_seconds(deadline - now))
}

fn pttl(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_deadline(cx, args, |deadline, now| deadline - now)
}

fn expiretime(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_deadline(cx, args, |deadline, _| to_seconds(deadline))
}

fn pexpiretime(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_deadline(cx, args, |deadline, _| deadline)
}

/// Answers -2 for a missing key, -1 for one that never expires, else what `show` makes of the
/// deadline and the present. A live key's deadline is not before the present.
fn reply_deadline(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    show: impl FnOnce(i64, i64) -> i64,
) -> CommandResult {
    let slot = cx.keys.slot_unused(args.key()?);
    let answer = match cx.keys.deadline_at(slot) {
        _ if !slot.exists() => -2,
        NEVER => -1,
        deadline => show(deadline, cx.keys.now()),
    };
    cx.reply.integer(answer);
    Ok(())
}

/// Milliseconds as the nearest whole seconds.
fn to_seconds(milliseconds: i64) -> i64 {
    milliseconds.saturating_add(500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_set() {
        let set = |text: &str, unit| deadline_from(text.as_bytes(), unit, 1_000, "set");
        let invalid = Err(CommandError::InvalidExpire("set"));
        assert_eq!(set("10", Unit::Seconds), Ok(11_000));
        assert_eq!(set("10", Unit::Milliseconds), Ok(1_010));
        assert_eq!(set("10", Unit::SecondsAt), Ok(10_000));
        assert_eq!(set("10", Unit::MillisecondsAt), Ok(10));
        assert_eq!(set("9223372036854775807", Unit::MillisecondsAt), Ok(NEVER - 1));
        assert_eq!(set("x", Unit::Seconds), Err(CommandError::NotInteger));
        for (text, unit) in [
            ("0", Unit::SecondsAt),
            ("-1", Unit::Milliseconds),
            ("9223372036854775", Unit::Seconds),
            ("9223372036854776", Unit::SecondsAt),
            ("9223372036854775000", Unit::Milliseconds),
        ] {
            assert_eq!(set(text, unit), invalid, "{text}");
        }
    }

    #[test]
    fn options_name_units_in_any_case() {
        assert_eq!(Unit::from_option(b"EX"), Some(Unit::Seconds));
        assert_eq!(Unit::from_option(b"pX"), Some(Unit::Milliseconds));
        assert_eq!(Unit::from_option(b"ExAt"), Some(Unit::SecondsAt));
        assert_eq!(Unit::from_option(b"pxat"), Some(Unit::MillisecondsAt));
        assert_eq!(Unit::from_option(b"exa"), None);
    }

    #[test]
    fn a_missing_deadline_is_later_than_any() {
        let later = Conditions { if_later: true, ..Conditions::default() };
        let earlier = Conditions { if_earlier: true, ..Conditions::default() };
        assert!(!later.allow(5, NEVER) && later.allow(5, 4) && !later.allow(5, 5));
        assert!(earlier.allow(5, NEVER) && earlier.allow(5, 6) && !earlier.allow(5, 5));
    }
}

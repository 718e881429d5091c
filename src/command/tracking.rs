//! Caches on the clients' side: CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR.
//!
//! What is remembered, and who is told, is in `clients/tracking.rs` and `engine/delivery.rs`.

use super::args::Args;
use super::client::OWN;
use super::context::{Context, own_session};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::Command;
use super::spec::keyless as row;
use crate::clients::{Client, Mode, Tracking};
use crate::error::{CommandError, CommandResult};
use std::collections::BTreeSet;

// Their rows, which are part of CLIENT's.
pub(super) const CACHING: Command = row(
    "client|caching",
    Exactly(3),
    OWN,
    "6.0.0",
    "O(1)",
    "Whether the client keeps what the next command shows.",
    caching,
);
pub(super) const GETREDIR: Command = row(
    "client|getredir",
    Exactly(2),
    OWN,
    "6.0.0",
    "O(1)",
    "The client that is told of changed keys instead.",
    getredir,
);
pub(super) const TRACKING: Command = row(
    "client|tracking",
    AtLeast(3),
    OWN,
    "6.0.0",
    "O(1), or O(N) in prefixes",
    "Whether the client is told of keys that change.",
    tracking,
);
pub(super) const TRACKINGINFO: Command = row(
    "client|trackinginfo",
    Exactly(2),
    OWN,
    "6.2.0",
    "O(1)",
    "How the client is told of keys that change.",
    trackinginfo,
);

/// What the arguments of CLIENT TRACKING say.
#[derive(Default)]
struct Wish {
    on: bool,
    redirect: Option<u64>,
    broadcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
    prefixes: Vec<Box<[u8]>>,
}

const SWITCH_BCAST: CommandError = CommandError::text(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
     re-enabling it with a different mode.",
);
const SWITCH_OPT: CommandError = CommandError::text(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
     re-enabling it with a different mode.",
);
const NO_CACHING: CommandError = CommandError::text(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
     OPTOUT mode enabled",
);

fn tracking(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    own_session(cx)?;
    let wish = parse(cx, args)?;
    let Context { keys, host, .. } = cx;
    let host = host.as_mut().ok_or(CommandError::ScriptForbidden)?;
    let client = &mut host.session.client;
    let before = client.tracking.as_deref();
    let after = match wish.on {
        true => Some(Box::new(wish.grant(before)?)),
        false => None,
    };
    keys.follow(|followed| followed.change(before, after.as_deref()));
    client.tracking = after;
    cx.reply.ok();
    Ok(())
}

fn parse(cx: &mut Context<'_>, mut args: Args<'_>) -> Result<Wish, CommandError> {
    let word = args.next()?;
    let mut wish = Wish::default();
    while !args.is_empty() {
        let more = args.len() > 1;
        match () {
            () if more && args.take_word("redirect") => {
                if wish.redirect.is_some() {
                    let twice = "ERR A client can only redirect to a single other client";
                    return Err(CommandError::text(twice));
                }
                wish.redirect = Some(redirection(cx, args.integer()?)?);
            }
            () if args.take_word("bcast") => wish.broadcast = true,
            () if args.take_word("optin") => wish.optin = true,
            () if args.take_word("optout") => wish.optout = true,
            () if args.take_word("noloop") => wish.noloop = true,
            () if more && args.take_word("prefix") => wish.prefixes.push(args.next()?.into()),
            () => return Err(CommandError::Syntax),
        }
    }
    match () {
        () if word.eq_ignore_ascii_case(b"on") => wish.on = true,
        () if word.eq_ignore_ascii_case(b"off") => (),
        () => return Err(CommandError::Syntax),
    }
    Ok(wish)
}

/// A client that exists, by its number.
fn redirection(cx: &mut Context<'_>, id: i64) -> Result<u64, CommandError> {
    let exists = |client: &Client| u64::try_from(id) == Ok(client.id);
    let missing = CommandError::text("ERR The client ID you want redirect to does not exist");
    let host = cx.host()?;
    let found = host.all().find(|session| exists(&session.client));
    found.map(|session| session.client.id).ok_or(missing)
}

impl Wish {
    /// What it comes to, given how things stood, or what speaks against it.
    fn grant(self, before: Option<&Tracking>) -> Result<Tracking, CommandError> {
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(CommandError::text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        let mode = before.map(|before| before.mode);
        if mode.is_some_and(|mode| (mode == Mode::Broadcast) != self.broadcast) {
            return Err(SWITCH_BCAST);
        }
        if self.broadcast && (self.optin || self.optout) {
            let both = "ERR OPTIN and OPTOUT are not compatible with BCAST";
            return Err(CommandError::text(both));
        }
        if self.optin && self.optout {
            let both = "ERR You can't specify both OPTIN mode and OPTOUT mode";
            return Err(CommandError::text(both));
        }
        if self.optin && mode == Some(Mode::OptOut) || self.optout && mode == Some(Mode::OptIn) {
            return Err(SWITCH_OPT);
        }
        let kept = before.map(|before| before.prefixes.clone()).unwrap_or_default();
        let prefixes = self.join_prefixes(kept)?;
        let mode = match () {
            () if self.broadcast => Mode::Broadcast,
            () if self.optin => Mode::OptIn,
            () if self.optout => Mode::OptOut,
            () => Mode::Shown,
        };
        Ok(Tracking {
            mode,
            noloop: self.noloop,
            redirect: self.redirect,
            broken: false,
            caching: false,
            prefixes,
        })
    }

    /// No two prefixes of a client may hold a key in common.
    fn join_prefixes(
        &self,
        mut prefixes: BTreeSet<Box<[u8]>>,
    ) -> Result<BTreeSet<Box<[u8]>>, CommandError> {
        if self.broadcast && self.prefixes.is_empty() {
            prefixes.insert(Box::default());
        }
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        for (at, own) in self.prefixes.iter().enumerate() {
            if let Some(other) = prefixes.iter().find(|other| overlap(own, other)) {
                return Err(overlapping(own, b"an existing", other));
            }
            let rest = self.prefixes.iter().skip(at + 1);
            if let Some(other) = rest.clone().find(|other| overlap(own, other)) {
                return Err(overlapping(own, b"another provided", other));
            }
        }
        prefixes.extend(self.prefixes.iter().cloned());
        Ok(prefixes)
    }
}

fn overlapping(own: &[u8], which: &[u8], other: &[u8]) -> CommandError {
    let end = b"'. Prefixes for a single client must not overlap.";
    let parts = [b"ERR Prefix '", own, b"' overlaps with ", which, b" prefix '", other, end];
    CommandError::quoting(&parts)
}

fn caching(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let word = args.next()?;
    let tracking = cx.host()?.session.client.tracking.as_mut().ok_or(NO_CACHING)?;
    let mode = match () {
        () if word.eq_ignore_ascii_case(b"yes") => Mode::OptIn,
        () if word.eq_ignore_ascii_case(b"no") => Mode::OptOut,
        () => return Err(CommandError::Syntax),
    };
    if tracking.mode != mode {
        return Err(wrong_mode(mode));
    }
    tracking.caching = true;
    cx.reply.ok();
    Ok(())
}

/// CLIENT CACHING said what has no meaning in the mode there is.
fn wrong_mode(meant: Mode) -> CommandError {
    CommandError::text(match meant {
        Mode::OptIn => {
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
        }
        _ => "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
    })
}

fn getredir(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let redirect = redirect(cx.host()?.session.client.tracking.as_deref());
    cx.reply.integer(redirect);
    Ok(())
}

/// The number of the client that is told instead; 0 for none, -1 where nobody is told.
fn redirect(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.redirect.unwrap_or(0) as i64)
}

fn trackinginfo(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let Context { host, reply, .. } = cx;
    let host = host.as_ref().ok_or(CommandError::ScriptForbidden)?;
    let tracking = host.session.client.tracking.as_deref();
    reply.map(3);
    reply.bulk(b"flags");
    let flags = flags(tracking);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect(tracking));
    reply.bulk(b"prefixes");
    let none = BTreeSet::new();
    let prefixes = tracking.map_or(&none, |tracking| &tracking.prefixes);
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    Ok(())
}

fn flags(tracking: Option<&Tracking>) -> Vec<&'static str> {
    let Some(tracking) = tracking else { return vec!["off"] };
    let caching = tracking.caching;
    let all = [
        ("on", true),
        ("bcast", tracking.mode == Mode::Broadcast),
        ("optin", tracking.mode == Mode::OptIn),
        ("caching-yes", tracking.mode == Mode::OptIn && caching),
        ("optout", tracking.mode == Mode::OptOut),
        ("caching-no", tracking.mode == Mode::OptOut && caching),
        ("noloop", tracking.noloop),
        ("broken_redirect", tracking.broken),
    ];
    all.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect()
}

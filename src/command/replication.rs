//! Replicas: how one begins to follow the engine, what it says of itself, and what is told of it.
//!
//! A replica is sent a snapshot of everything and then each effect. It is never sent a part of what
//! it has missed: who comes back begins anew.

use super::args::Args;
use super::context::{Context, Host, own_session};
use super::persistence::whole;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::keyless as row;
use super::spec::{Family, Flags, Group};
use crate::clients::{Client, Replica};
use crate::error::{CommandError, CommandResult};
use crate::number::parse_i64;
use crate::persist::{self, Extra};
use crate::session::{Argv, Order, Otherwise, Session, Wait, WaitKind};

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT);
const SYNC: Flags = ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI);
const ANYWHERE: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const SAYS: Flags = ANYWHERE.and(Flags::ADMIN).and(Flags::ALLOW_BUSY);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[
        row("psync", AtLeast(3), SYNC, "2.8.0", "O(N) in the data",
            "Makes the client a replica, which begins with a snapshot.", psync),
        row("replconf", AtLeast(1), SAYS, "3.0.0", "O(1)",
            "What a replica says of itself, and how far it has got.", replconf),
        row("role", Exactly(1), ANYWHERE.and(Flags::FAST), "2.8.12", "O(1)",
            "Tells how far replicas have got, or how far what is followed has.", role)
            .categories(&["admin", "dangerous"]),
        row("sync", Exactly(1), SYNC, "1.0.0", "O(N) in the data",
            "The same as PSYNC for a replica that does not say how far it has got.", sync),
    ],
};

#[rustfmt::skip]
pub(super) const GENERIC: Family = Family {
    group: Group::Generic,
    commands: &[
        row("wait", Exactly(3), Flags::NOSCRIPT, "3.0.0", "O(1)",
            "Waits for replicas to have what the client has changed.", wait)
            .categories(&["connection"])
            .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    ],
};

fn sync(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    begin(cx, false)
}

fn psync(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    begin(cx, true)
}

/// Makes the client a replica. With a newer kind of replica goes where the feed has got to, so that
/// it can tell how far it has got itself.
fn begin(cx: &mut Context<'_>, acknowledges: bool) -> CommandResult {
    let now = cx.keys.now();
    let host = connected(cx)?;
    let (client, place) = (&mut host.session.client, host.place);
    if client.is_replica() {
        return Ok(());
    }
    let replica = client.replica.get_or_insert_default();
    (replica.begun, replica.acknowledges, replica.heard_ms) = (true, acknowledges, now);
    host.orders.push(Order::Feed(place));
    let (host, keys, server, reply) = cx.with_host()?;
    keys.news_mut().feed.add_replica(now);
    let offset = keys.news().feed.offset();
    let id = server.run_id.clone();
    if acknowledges {
        reply.status(format!("FULLRESYNC {id} {offset}").as_bytes());
    }
    let extra = Extra { stream: Some((id, offset)), ..Extra::default() };
    let file = persist::file(&whole(keys, host.scripts), &extra);
    host.session.client.mailbox.begin_feed(snapshot(&file));
    Ok(())
}

/// A file as it is sent: with its length in front, and nothing behind.
fn snapshot(file: &[u8]) -> Vec<u8> {
    let mut bytes = format!("${}\r\n", file.len()).into_bytes();
    bytes.extend_from_slice(file);
    bytes
}

/// The session of a caller that can be sent what is no reply.
fn connected<'c, 'a>(cx: &'c mut Context<'a>) -> Result<&'c mut Host<'a>, CommandError> {
    let host = own_session(cx)?;
    match host.session.client.attached {
        true => Ok(host),
        false => Err(CommandError::text("ERR a replica needs a connection")),
    }
}

fn replconf(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let now = cx.keys.now();
    while let Some(option) = args.maybe_next() {
        let value = args.next()?;
        let host = connected(cx)?;
        let replica = host.session.client.replica.get_or_insert_default();
        match option.to_ascii_lowercase().as_slice() {
            b"listening-port" => {
                replica.port = parse_i64(value).ok_or(CommandError::NotInteger)?;
            }
            b"ip-address" => replica.host = value.into(),
            // What it can do beyond what is done for every replica.
            b"capa" => (),
            b"rdb-only" => _ = parse_i64(value).ok_or(CommandError::NotInteger)?,
            b"ack" => return note_acknowledged(cx, value, now),
            // This is asked of replicas, and none of them answers.
            b"getack" => return Ok(()),
            _ => {
                return Err(CommandError::quoting(&[
                    b"ERR Unrecognized REPLCONF option: ",
                    option,
                ]));
            }
        }
    }
    cx.reply.ok();
    Ok(())
}

/// A replica tells how far it has got, to which nobody answers.
fn note_acknowledged(cx: &mut Context<'_>, offset: &[u8], now: i64) -> CommandResult {
    let host = own_session(cx)?;
    let replica = host.session.client.replica.as_deref_mut().filter(|replica| replica.begun);
    if let Some(replica) = replica
        && let Some(offset) = parse_i64(offset).and_then(|offset| u64::try_from(offset).ok())
    {
        replica.offset = replica.offset.max(offset);
        (replica.acknowledges, replica.heard_ms) = (true, now);
        host.orders.push(Order::Acknowledge);
    }
    Ok(())
}

/// The replicas there are, each with its session, in the order in which they came.
pub(super) fn replicas<'c>(cx: &'c Context<'_>) -> Vec<(&'c Client, &'c Replica)> {
    let of = |session: &'c Session| {
        let client = &session.client;
        client.replica.as_deref().filter(|replica| replica.begun).map(|replica| (client, replica))
    };
    let all = cx.host.iter().flat_map(|host| host.all());
    let mut replicas: Vec<_> = all.filter_map(of).collect();
    replicas.sort_by_key(|(client, _)| client.id);
    replicas
}

/// Where a replica is, as it says or as its door knows.
pub(super) fn host_of(client: &Client, replica: &Replica) -> String {
    match replica.host.is_empty() {
        false => String::from_utf8_lossy(&replica.host).into_owned(),
        true => {
            let peer = &client.origin.peer;
            let host = peer.rsplit_once(':').map_or(&**peer, |(host, _)| host);
            host.trim_matches(['[', ']']).to_owned()
        }
    }
}

fn role(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    if let Some(master) = &cx.server.following.master {
        cx.reply.array(5);
        cx.reply.bulk(super::admin::FOLLOWING.as_bytes());
        cx.reply.bulk(master.host.as_bytes());
        cx.reply.integer(master.port.into());
        cx.reply.bulk(master.link.name().as_bytes());
        cx.reply.integer(master.offset.map_or(-1, u64::cast_signed));
        return Ok(());
    }
    let offset = cx.keys.news().feed.offset();
    let of = |(client, replica): (&Client, &Replica)| {
        [host_of(client, replica), replica.port.to_string(), replica.offset.to_string()]
    };
    let replicas: Vec<[String; 3]> = replicas(cx).into_iter().map(of).collect();
    cx.reply.array(3);
    cx.reply.bulk(super::admin::ROLE.as_bytes());
    cx.reply.integer(offset.cast_signed());
    cx.reply.array(replicas.len());
    for replica in replicas {
        cx.reply.array(replica.len());
        replica.iter().for_each(|text| cx.reply.bulk(text.as_bytes()));
    }
    Ok(())
}

fn wait(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let count = args.integer()?;
    let timeout = parse_i64(args.next()?);
    let timeout =
        timeout.ok_or(CommandError::text("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(CommandError::text("ERR timeout is negative"));
    }
    let host = cx.host()?;
    let offset = host.session.client.changed_at;
    let acknowledging = host.all().filter(|one| one.client.has_acknowledged(offset)).count();
    let count = usize::try_from(count).unwrap_or(0);
    if acknowledging >= count || !cx.may_wait() {
        cx.reply.count(acknowledging);
        return Ok(());
    }
    cx.host()?.orders.push(Order::AskReplicas);
    cx.wait(Wait {
        keys: Vec::new(),
        kind: WaitKind::Replicas { count, offset },
        timeout_ms: Some(timeout).filter(|&ms| ms > 0),
        argv: Argv::default(),
        refused: Otherwise::Null,
    });
    Ok(())
}

//! A client's line in CLIENT LIST.

use crate::session::Session;

/// The kinds of clients that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kin {
    Normal,
    /// It listens to channels.
    PubSub,
    /// It is sent all effects.
    Replica,
    /// Another server, of which there are none here.
    Server,
}

impl Kin {
    /// A kind by its name, in any case.
    pub(crate) fn parse(name: &[u8]) -> Option<Kin> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(Kin::Normal),
            b"pubsub" => Some(Kin::PubSub),
            b"replica" | b"slave" => Some(Kin::Replica),
            b"master" => Some(Kin::Server),
            _ => None,
        }
    }

    /// What a client is.
    pub(crate) fn of(session: &Session) -> Kin {
        match () {
            () if session.client.is_replica() => Kin::Replica,
            () if session.client.listening.is_empty() => Kin::Normal,
            () => Kin::PubSub,
        }
    }
}

/// An address as it is shown; a session of the host's own has none.
pub(crate) fn address(text: &str) -> &str {
    if text.is_empty() { "?:0" } else { text }
}

/// The letters of what a client is about.
fn flags(session: &Session) -> String {
    let client = &session.client;
    let tracking = client.tracking.as_deref();
    let letters = [
        ('S', client.is_replica()),
        ('O', client.monitors),
        ('M', client.is_master),
        ('P', !client.listening.is_empty()),
        ('x', session.queue.is_some()),
        ('b', client.blocked),
        ('t', tracking.is_some()),
        ('R', tracking.is_some_and(|tracking| tracking.broken)),
        ('B', tracking.is_some_and(|tracking| tracking.mode == super::Mode::Broadcast)),
        ('d', session.dirty),
        ('c', client.closing),
        ('U', client.origin.unix),
        ('e', client.no_evict),
    ];
    let set: String = letters.iter().filter(|(_, is)| *is).map(|(letter, _)| *letter).collect();
    if set.is_empty() { "N".to_owned() } else { set }
}

/// The line of a client, without its end. What only a socket has is shown as nothing, but for the
/// request that is being executed, if it is this client's: so many bytes of it lie there.
pub(crate) fn describe(session: &Session, now_ms: i64, request: usize, out: &mut Vec<u8>) {
    use super::Kind::{Channel, Pattern, Shard};
    let client = &session.client;
    let count = |kind| client.listening.names(kind).len();
    let age = |since: i64| (now_ms - since).max(0) / 1000;
    let (messages, bytes) = client.mailbox.held();
    let multi = session.queue.as_ref().map_or(-1, |queue| queue.commands.len() as i64);
    let redirect = client.tracking.as_ref().map(|tracking| tracking.redirect.unwrap_or(0));
    let head = format!(
        "id={} addr={} laddr={} fd={} name=",
        client.id,
        address(&client.origin.peer),
        address(&client.origin.local),
        client.origin.descriptor,
    );
    let middle = format!(
        " age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={multi} qbuf={} qbuf-free=0 \
         argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={messages} omem={bytes} tot-mem={} events=r \
         cmd={} user=",
        age(client.created_ms),
        age(client.seen_ms),
        flags(session),
        session.database,
        count(Channel),
        count(Pattern),
        count(Shard),
        if client.attached { request } else { 0 },
        size_of::<Session>() + bytes,
        client.last_command.unwrap_or("NULL"),
    );
    let redirect = redirect.map_or("-1".to_owned(), |id| id.to_string());
    let resp = if client.protocol() == crate::reply::Protocol::Resp3 { 3 } else { 2 };
    let tail = format!(" redir={redirect} resp={resp}");
    for part in [head.as_bytes(), &client.name, middle.as_bytes(), &client.user, tail.as_bytes()] {
        out.extend_from_slice(part);
    }
}

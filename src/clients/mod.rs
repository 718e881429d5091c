//! The clients of an engine: who they are to one another, and what is told to them out of turn.
//!
//! Every session is a client. A door that serves sockets attaches to its session, which gives it
//! addresses and somebody to wake; to the host's own sessions nothing of this costs anything. This
//! room holds state only: the commands that change it are in `command/`, and `engine/` delivers.

mod events;
mod feed;
mod limits;
mod list;
mod mailbox;
mod monitor;
mod news;
mod subscriptions;
mod tracking;

pub(crate) use events::{Event, Events};
pub(crate) use feed::{Effect, Lazily, Replica, removal, words};
pub(crate) use limits::{OutputLimit, OutputLimits};
pub(crate) use list::{Kin, address, describe};
pub use mailbox::Waker;
pub(crate) use mailbox::{Bells, Mailbox};
pub(crate) use monitor::line;
pub(crate) use news::{Misses, News, Pause, Told};
pub(crate) use subscriptions::{Kind, Listening};
pub(crate) use tracking::{Followed, Follower, Mode, Touched, Tracking};

use crate::acl::DEFAULT;
use crate::reply::Protocol;
use std::sync::Arc;

/// Where a client comes from, as its door knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Its own address: `127.0.0.1:50312`, or the path of a Unix socket with `:0`.
    pub peer: String,
    /// The address it called: `127.0.0.1:6379`, or the same path with `:0`.
    pub local: String,
    /// The number of its socket, if it has one.
    pub descriptor: i64,
    /// Whether it came through a Unix socket.
    pub unix: bool,
}

impl Origin {
    /// Whether it is on this machine: the process itself, or through its own socket or address.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.peer.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        self.unix || host.map_or(self.peer.is_empty(), |host| host.is_loopback())
    }

    /// As MONITOR shows it.
    pub(crate) fn shown(&self) -> String {
        let peer = address(&self.peer);
        match self.unix {
            true => format!("unix:{}", peer.strip_suffix(":0").unwrap_or(peer)),
            false => peer.to_owned(),
        }
    }
}

/// What is known of a client beyond its session.
pub(crate) struct Client {
    /// Never given twice.
    pub(crate) id: u64,
    /// The name it gave itself.
    pub(crate) name: Box<[u8]>,
    pub(crate) user: Box<[u8]>,
    /// Whether it may call anything: false until it has said who it is.
    pub(crate) authenticated: bool,
    pub(crate) origin: Origin,
    /// Whether a door is attached, which writes all that there is in the order in which it came.
    pub(crate) attached: bool,
    /// Whether it is nobody yet: a door keeps it for one who is to come.
    pub(crate) spare: bool,
    /// Whether it is the server that is followed.
    pub(crate) is_master: bool,
    pub(crate) created_ms: i64,
    /// When it last called, as far as that is known.
    pub(crate) seen_ms: i64,
    /// The full name of the command it called last.
    pub(crate) last_command: Option<&'static str>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Which replies it wants.
    pub(crate) replies: Replies,
    /// Whether it sees every command.
    pub(crate) monitors: bool,
    /// Whether its call waits for a key.
    pub(crate) blocked: bool,
    /// Whether it is spared when memory is short.
    pub(crate) no_evict: bool,
    /// Whether it was closed by another, or is as soon as its reply is written.
    pub(crate) closing: bool,
    pub(crate) listening: Listening,
    /// How it wants to be told of keys it may have kept.
    pub(crate) tracking: Option<Box<Tracking>>,
    /// What it says of itself as a replica, or a client that is going to be one.
    pub(crate) replica: Option<Box<Replica>>,
    /// How far the feed of effects had got when it had changed something last.
    pub(crate) changed_at: u64,
    /// Since when it has left more untaken than it should.
    pub(crate) over_since: Option<i64>,
    /// Whether calls have to be looked at before they are let through: it has not said who it is,
    /// listens to channels in RESP2, or sees every call.
    pub(crate) restricted: bool,
}

/// Which replies a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Replies {
    #[default]
    All,
    /// None from here on.
    Off,
    /// Not to the command that comes next.
    SkipNext,
    /// Not to this one.
    Skip,
}

impl Default for Client {
    fn default() -> Client {
        Client {
            id: 1,
            name: Box::default(),
            user: DEFAULT.into(),
            authenticated: true,
            origin: Origin::default(),
            attached: false,
            spare: false,
            is_master: false,
            created_ms: 0,
            seen_ms: 0,
            last_command: None,
            mailbox: Arc::default(),
            replies: Replies::All,
            monitors: false,
            blocked: false,
            no_evict: false,
            closing: false,
            listening: Listening::default(),
            tracking: None,
            replica: None,
            changed_at: 0,
            over_since: None,
            restricted: false,
        }
    }
}

impl Client {
    /// A client of this number, which is told things in a protocol.
    pub(crate) fn new(id: u64, now_ms: i64, protocol: Protocol) -> Client {
        let client = Client { id, created_ms: now_ms, seen_ms: now_ms, ..Client::default() };
        client.mailbox.set_protocol(protocol);
        client
    }

    /// To be called after any change of what makes it restricted.
    pub(crate) fn restrict(&mut self) {
        self.mailbox.set_stranger(!self.authenticated);
        self.restricted = !self.authenticated || self.monitors || self.only_listens();
    }

    /// Whether it listens to channels in RESP2, where nothing tells messages from replies.
    pub(crate) fn only_listens(&self) -> bool {
        !self.listening.is_empty() && self.protocol() == Protocol::Resp2
    }

    /// Whether it is sent all effects.
    pub(crate) fn is_replica(&self) -> bool {
        self.replica.as_deref().is_some_and(|replica| replica.begun)
    }

    /// Whether it is a replica that says it has got as far as this.
    pub(crate) fn has_acknowledged(&self, offset: u64) -> bool {
        let replica = self.replica.as_deref();
        replica.is_some_and(|replica| replica.begun && replica.offset >= offset)
    }

    /// Whether a reply is not to be written to it, and forgets what was said of this one alone.
    pub(crate) fn swallows_reply(&mut self) -> bool {
        match self.replies {
            Replies::All => false,
            Replies::Off => true,
            Replies::SkipNext => {
                self.replies = Replies::Skip;
                true
            }
            Replies::Skip => {
                self.replies = Replies::All;
                true
            }
        }
    }

    /// It as a follower of keys, if those it is shown now are to be remembered.
    #[inline]
    pub(crate) fn as_follower(&self, place: usize) -> Option<Follower> {
        let tracking = self.tracking.as_ref()?;
        tracking.remembers().then_some((place, self.id))
    }

    /// The shape of its replies.
    pub(crate) fn protocol(&self) -> Protocol {
        self.mailbox.protocol()
    }
}

//! The server that this one follows: what it was told to follow, and how that goes. The following
//! itself is done by a listener's side (`follow/`).

use std::time::Instant;

/// Whom this server follows, and who does it.
#[derive(Default)]
pub(crate) struct Following {
    /// Whether there is somebody to do it.
    pub(crate) able: bool,
    /// Counts how often it was said whom to follow: what was begun before is not wanted any more.
    pub(crate) turn: u64,
    pub(crate) master: Option<Master>,
    /// Whether the call under way is what the master says.
    pub(crate) obeys: bool,
}

/// The server that is followed.
pub(crate) struct Master {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) link: Link,
    /// How many bytes of its stream of changes were applied; none before the first of its files.
    pub(crate) offset: Option<u64>,
    /// The name of that stream.
    pub(crate) stream: String,
    /// When it was last heard of.
    heard: Option<Instant>,
    /// Since when the link is down that was up before.
    lost: Option<Instant>,
}

/// How it stands with the connection to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is none yet, or no more.
    Connect,
    /// One is being made.
    Connecting,
    /// Both sides tell who they are.
    Handshake,
    /// All its data is being sent.
    Sync,
    /// Its changes are applied as they come.
    Connected,
}

impl Link {
    /// As ROLE tells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Link::Connect => "connect",
            Link::Connecting => "connecting",
            Link::Handshake => "handshake",
            Link::Sync => "sync",
            Link::Connected => "connected",
        }
    }
}

impl Following {
    /// Follows a server from now on, or none.
    pub(super) fn turn_to(&mut self, master: Option<(String, u16)>) {
        self.turn += 1;
        self.master = master.map(|(host, port)| Master {
            host,
            port,
            link: Link::Connect,
            offset: None,
            stream: String::new(),
            heard: None,
            lost: None,
        });
    }
}

impl Master {
    /// The link is in another state.
    pub(crate) fn turn_link(&mut self, link: Link) {
        let was_up = self.link == Link::Connected;
        self.link = link;
        if link == Link::Connected {
            self.lost = None;
        } else if was_up {
            self.lost = Some(Instant::now());
        }
    }

    /// It was heard of.
    pub(crate) fn hear(&mut self) {
        self.heard = Some(Instant::now());
    }

    /// For how many seconds nothing was heard; -1 while there is no link.
    pub(crate) fn silent_seconds(&self) -> i64 {
        let heard = self.heard.filter(|_| self.link == Link::Connected);
        heard.map_or(-1, |heard| heard.elapsed().as_secs() as i64)
    }

    /// For how many seconds the link is down; -1 if it never was up.
    pub(crate) fn down_seconds(&self) -> i64 {
        self.lost.map_or(-1, |lost| lost.elapsed().as_secs() as i64)
    }
}

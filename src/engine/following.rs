//! What a door needs that follows another server: whom, what it has told, and to be told how that
//! goes.

use super::shared::Shared;
use super::state::{COMMON, State};
use super::{Door, Session};
use crate::clients::Origin;
use crate::command;
use crate::error::{CommandError, Error};
use crate::keyspace::{Keyspace, Lapse};
use crate::persist::Read;
use crate::server::Link;
use std::sync::Arc;
use std::time::Duration;

/// Where to go, and what to say there.
#[derive(Clone)]
pub(crate) struct Course {
    /// Which of those that were said this is.
    pub(crate) turn: u64,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The user and the password to give there; none has to be given where that is empty.
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
    /// The port that is to be told there.
    pub(crate) own_port: Vec<u8>,
    /// After how long a silence the link is given up.
    pub(crate) patience: Duration,
}

impl Door {
    /// Another one to the same engine.
    pub(crate) fn again(&self) -> Door {
        Door { shared: Arc::clone(&self.shared), changes: Arc::clone(&self.changes) }
    }

    /// Somebody is here who follows whom the engine is told to follow.
    pub(crate) fn allow_following(&self) -> Result<(), Error> {
        self.shared.enter(|state| state.server.following.able = true)
    }

    /// How often it was said whom to follow, and who that is, if anybody.
    pub(crate) fn course(&self) -> Result<(u64, Option<Course>), Error> {
        self.shared.enter(|state| {
            let (following, config) = (&state.server.following, &state.server.config);
            let announced = config.text("replica-announce-port");
            let port = if announced == b"0" { config.text("port") } else { announced };
            let course = following.master.as_ref().map(|master| Course {
                turn: following.turn,
                host: master.host.clone(),
                port: master.port,
                user: config.text("masteruser").to_vec(),
                password: config.text("masterauth").to_vec(),
                own_port: port.to_vec(),
                patience: Duration::from_secs(config.count("repl-timeout") as u64),
            });
            (following.turn, course)
        })
    }

    /// An empty keyspace to read the master's data into.
    pub(crate) fn blank(&self) -> Result<Keyspace, Error> {
        self.shared.enter(|state| state.keys.blank())
    }

    /// The link to the master is in another state; false if it is not to be followed any more.
    pub(crate) fn note_link(&self, turn: u64, link: Link) -> Result<bool, Error> {
        self.shared.enter(|state| state.note_link(turn, link))
    }

    /// So many bytes of the master's stream were applied; false as above.
    pub(crate) fn note_offset(&self, turn: u64, offset: u64) -> Result<bool, Error> {
        self.shared.enter(|state| match &mut state.server.following {
            following if following.turn != turn => false,
            following => {
                if let Some(master) = &mut following.master {
                    master.offset = Some(offset);
                    master.hear();
                }
                true
            }
        })
    }

    /// Takes the master's data in place of all there is; false as above.
    pub(crate) fn take_over(
        &self,
        turn: u64,
        read: Read,
        (stream, offset): (String, u64),
    ) -> Result<bool, Error> {
        let taken = self.shared.enter_as(COMMON, |state| {
            if state.server.following.turn != turn {
                return Ok(false);
            }
            state.keys.set_lapse(Lapse::Ignored);
            let State { keys, scripts, server, .. } = state;
            command::install(keys, scripts, read)?;
            if let Some(master) = &mut server.following.master {
                (master.stream, master.offset) = (stream, Some(offset));
                master.hear();
            }
            state.settle();
            Ok(state.note_link(turn, Link::Connected))
        })?;
        taken.map_err(|error: CommandError| Error::reply(error.to_string()))
    }

    /// A session in which the master speaks; none if it is not to be followed any more.
    pub(crate) fn master_session(&self, turn: u64, peer: &str) -> Result<Option<Session>, Error> {
        let session = Shared::open_session(&self.shared)?;
        let origin = Origin { peer: peer.to_owned(), ..Origin::default() };
        let wanted = self.shared.enter(|state| {
            let is_wanted = state.server.following.turn == turn;
            if let Some(session) = state.session(session.id) {
                session.client.origin = origin;
                session.client.is_master = is_wanted;
            }
            is_wanted
        })?;
        Ok(wanted.then_some(session))
    }
}

impl State {
    fn note_link(&mut self, turn: u64, link: Link) -> bool {
        let following = &mut self.server.following;
        if following.turn == turn
            && let Some(master) = &mut following.master
        {
            master.turn_link(link);
            return true;
        }
        false
    }

    /// Begins a call while another server is followed: the keys are that one's, who says when they
    /// go; those past their deadline are hidden from all others.
    #[cold]
    pub(super) fn begin_following(&mut self, id: usize) {
        let is_master = self.session(id).is_some_and(|session| session.client.is_master);
        self.server.following.obeys = is_master;
        let lapse = match (is_master, self.server.measures.read_only) {
            (true, _) => Lapse::Ignored,
            (false, true) => Lapse::Hidden,
            (false, false) => Lapse::Removed,
        };
        self.keys.set_lapse(lapse);
    }
}

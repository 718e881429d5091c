//! What a handler works with.

use super::hosted::Registry;
use crate::clients::{Event, Events};
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::reply::ReplyBuf;
use crate::script::Scripts;
use crate::server::Server;
use crate::session::{Argv, Blocking, Order, Queue, Session, Sessions, Wait};

/// Who calls a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The host, or a client.
    Host,
    /// A script, which may have promised not to write.
    Script {
        /// No command that writes is let through.
        read_only: bool,
    },
    /// A function of the host's, which may be called by a script in turn.
    Function {
        /// No command that writes is let through.
        read_only: bool,
        /// How many functions are within one another.
        depth: u8,
    },
}

/// What a handler works with: the keys, the reply, and for the host's commands who calls.
pub(crate) struct Context<'a> {
    pub(crate) keys: &'a mut Keyspace,
    pub(crate) reply: &'a mut ReplyBuf,
    pub(crate) caller: Caller,
    /// What the engine knows of itself.
    pub(crate) server: &'a mut Server,
    /// The commands that the host has added.
    pub(crate) hosted: &'a Registry,
    /// None inside a script or a function of the host's, which cannot run or load another, queue or wait.
    pub(crate) host: Option<Host<'a>>,
}

/// What only the host's commands have to do with.
pub(crate) struct Host<'a> {
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) session: &'a mut Session,
    pub(crate) blocking: Blocking<'a>,
    /// The session's place among all.
    pub(crate) place: usize,
    /// All other sessions.
    pub(crate) others: &'a mut Sessions,
    /// What the engine is to do once the call is over.
    pub(crate) orders: &'a mut Vec<Order>,
}

impl Host<'_> {
    /// All sessions, the caller's own among them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        let own = std::iter::once(&*self.session);
        own.chain(self.others.iter().filter_map(Option::as_deref))
    }

    /// The clients that are shown to others, in the order in which they came: all but the engine
    /// itself, unless it is who asks, and those that are being closed.
    pub(crate) fn all_shown(&self) -> Vec<&Session> {
        let own = self.session.client.id;
        let is_shown = |session: &&Session| {
            let client = &session.client;
            client.id == own || !(session.common || client.closing || client.spare)
        };
        let mut shown: Vec<&Session> = self.all().filter(is_shown).collect();
        shown.sort_by_key(|session| session.client.id);
        shown
    }
}

/// The session of a caller that has one of its own: what many threads share can be told nothing out
/// of turn.
pub(super) fn own_session<'c, 'a>(
    cx: &'c mut Context<'a>,
) -> Result<&'c mut Host<'a>, CommandError> {
    let host = cx.host()?;
    match host.session.common {
        true => Err(CommandError::text("ERR this command needs a session of its own")),
        false => Ok(host),
    }
}

impl<'a> Context<'a> {
    /// What only the host has; an error inside a script.
    pub(crate) fn host(&mut self) -> Result<&mut Host<'a>, CommandError> {
        Ok(self.with_host()?.0)
    }

    /// The same with the keys and the reply, for what works on all of them at once.
    pub(crate) fn with_host(
        &mut self,
    ) -> Result<(&mut Host<'a>, &mut Keyspace, &mut Server, &mut ReplyBuf), CommandError> {
        let host = self.host.as_mut().ok_or(CommandError::ScriptForbidden)?;
        Ok((host, self.keys, self.server, self.reply))
    }

    /// The scripts; an error inside one.
    pub(crate) fn scripts(&mut self) -> Result<&mut Scripts, CommandError> {
        self.host().map(|host| &mut *host.scripts)
    }

    /// The transaction that is being queued, if one is.
    pub(crate) fn queue(&mut self) -> Option<&mut Queue> {
        self.host.as_mut()?.session.queue.as_mut()
    }

    /// Keeps a call for EXEC, which the gates have let through, and answers so.
    pub(crate) fn enqueue(&mut self, argv: &[&[u8]]) {
        if let Some(queue) = self.queue() {
            queue.commands.push(Argv::new(argv));
        }
        self.reply.status(b"QUEUED");
    }

    /// Whether a command that may wait is to look at a key: once it has waited, only at the one
    /// that was touched.
    pub(crate) fn looks_at(&self, key: &[u8]) -> bool {
        match &self.host {
            Some(Host { blocking: Blocking::Serving(only, _), .. }) => *only == key,
            _ => true,
        }
    }

    /// Whether the command has waited, and is run by whoever touched its key.
    pub(super) fn has_waited(&self) -> bool {
        let blocking = self.host.as_ref().map(|host| &host.blocking);
        matches!(blocking, Some(Blocking::Serving(..)))
    }

    /// Takes from the first of some keys that has something; false if none has.
    pub(crate) fn take_first(
        &mut self,
        keys: &[&[u8]],
        mut take: impl FnMut(&mut Self, &[u8]) -> Result<bool, CommandError>,
    ) -> Result<bool, CommandError> {
        for key in keys {
            if self.looks_at(key) && take(self, key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Something happened to a key, which those are told who want to know.
    #[inline]
    pub(crate) fn event(&mut self, event: Event, key: &[u8]) {
        self.keys.notify(event, key);
    }

    /// The same where something was taken from a key, which may be gone with it.
    #[inline]
    pub(crate) fn event_of_taking(&mut self, event: Event, key: &[u8]) {
        self.keys.notify(event, key);
        if self.keys.news().events().has_any(Events::GENERIC) && !self.keys.holds(key) {
            self.keys.notify_beside(Event::DEL, key);
        }
    }

    /// Whether the command may wait.
    pub(super) fn may_wait(&self) -> bool {
        let blocking = self.host.as_ref().map(|host| &host.blocking);
        matches!(blocking, Some(Blocking::Allowed(_)))
    }

    /// Whether the command that was run waits now.
    pub(super) fn waits(&self) -> bool {
        match self.host.as_ref().map(|host| &host.blocking) {
            Some(Blocking::Allowed(place)) => place.is_some(),
            Some(Blocking::Serving(_, waits_on)) => **waits_on,
            Some(Blocking::Refused) | None => false,
        }
    }

    /// There is nothing to answer with: waits where that may be, and answers with a null where not.
    pub(crate) fn wait(&mut self, wait: Wait) {
        match self.host.as_mut().map(|host| &mut host.blocking) {
            Some(Blocking::Allowed(place)) => **place = Some(wait),
            Some(Blocking::Serving(_, waits_on)) => **waits_on = true,
            Some(Blocking::Refused) | None => wait.refused.write(self.reply),
        }
    }
}

//! What the engine's lock guards, and what one call does with it.

use super::waiting::{Ticket, Waiter, Waiters, Waits};
use super::{Call, Script};
use crate::command::{self, Caller, Context, EVAL, EVALSHA, Host, Registry, dispatch};
use crate::error::{CommandError, Error};
use crate::keyspace::{KeyName, Keyspace};
use crate::number::IntText;
use crate::options::Limits;
use crate::reply::ReplyBuf;
use crate::script::{Input, ScriptId, Scripts};
use crate::session::{Blocking, Session, Wait, WaitKind};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// The session that stands for the engine itself.
pub(super) const COMMON: usize = 0;

pub(super) struct State {
    pub(super) keys: Keyspace,
    pub(super) scripts: Scripts,
    /// The commands that the host has added; the scripts know them too.
    hosted: Arc<Registry>,
    /// By their number; none where one was closed.
    sessions: Vec<Option<Session>>,
    pub(super) waiters: Waiters,
    /// The session whose transaction is open, and the thread that opened it.
    owner: Option<(usize, ThreadId)>,
    /// Whether the host moves the clock.
    manual_clock: bool,
}

/// Whether a session may work on the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may.
    Yes,
    /// Another one's transaction is open.
    Wait,
    /// The same, and it was opened by this very thread, which would wait for itself.
    Never,
}

impl State {
    pub(super) fn new(
        keys: Keyspace,
        scripts: Scripts,
        hosted: Arc<Registry>,
        manual_clock: bool,
    ) -> State {
        let common = Session { common: true, database: keys.database(), ..Session::default() };
        State {
            keys,
            scripts,
            hosted,
            sessions: vec![Some(common)],
            waiters: Waiters::default(),
            owner: None,
            manual_clock,
        }
    }

    /// The commands that the host has added.
    pub(super) fn hosted(&self) -> &Arc<Registry> {
        &self.hosted
    }

    /// Sets them, here and for scripts; returns those there were, which may own anything.
    pub(super) fn set_hosted(&mut self, hosted: Arc<Registry>) -> Arc<Registry> {
        self.scripts.set_hosted(Arc::clone(&hosted));
        std::mem::replace(&mut self.hosted, hosted)
    }

    /// Opens a session; returns its number.
    pub(super) fn open_session(&mut self) -> usize {
        let session = Some(Session::default());
        match self.sessions.iter().position(Option::is_none) {
            Some(free) => {
                self.sessions[free] = session;
                free
            }
            None => {
                self.sessions.push(session);
                self.sessions.len() - 1
            }
        }
    }

    /// Closes a session: what it queued is dropped, what it began is undone.
    pub(super) fn close_session(&mut self, id: usize) {
        while self.sections(id) > 0 {
            self.end_section(id, false);
        }
        if let Some(session) = self.sessions.get_mut(id).and_then(Option::take) {
            session.watched.iter().for_each(|watched| self.keys.unlisten(&watched.name));
        }
        self.settle();
    }

    /// Whether it is a session's turn, or, with none, that of anything else on the keys.
    #[inline]
    pub(super) fn turn(&self, id: usize) -> Turn {
        match self.owner {
            None => Turn::Yes,
            Some((owner, _)) if owner == id => Turn::Yes,
            Some((_, thread)) if thread == thread::current().id() => Turn::Never,
            Some(_) => Turn::Wait,
        }
    }

    /// Makes one call. Its reply is in the buffer, or it waits for the ticket.
    pub(super) fn call(
        &mut self,
        id: usize,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Option<Waits> {
        let Some(session) = self.sessions.get(id).and_then(Option::as_ref) else {
            reply.error(&CommandError::text("ERR the session is closed"));
            return None;
        };
        self.keys.select(session.database);
        let waiting = match call {
            Call::Command(argv) => self.command(id, argv, reply),
            Call::Limited(limits, call) => return self.limited(id, limits, *call, reply),
            // A transaction that is being queued takes scripts as the commands they stand for.
            _ if session.queue.is_some() => self.command_of(id, call, reply),
            _ => {
                if let Err(error) = self.script(call, reply) {
                    reply.error(&error);
                }
                None
            }
        };
        if self.keys.has_touched() {
            self.settle();
        }
        waiting
    }

    /// Makes a call whose scripts have limits of their own.
    fn limited(
        &mut self,
        id: usize,
        limits: &Limits,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Option<Waits> {
        let queues = self.session(id).is_some_and(|session| session.queue.is_some());
        if queues && !matches!(call, Call::Command(_)) {
            let message = "ERR the limits of a call cannot be queued; give them to EXEC";
            reply.error(&CommandError::text(message));
            return None;
        }
        let before = self.scripts.limit(limits);
        let waits = self.call(id, call, reply);
        self.scripts.unlimit(before);
        waits
    }

    fn command(&mut self, id: usize, argv: &[&[u8]], reply: &mut ReplyBuf) -> Option<Waits> {
        let mut wait = None;
        let State { keys, scripts, hosted, sessions, .. } = self;
        let session = sessions.get_mut(id)?.as_mut()?;
        let blocking = match session.sections.is_empty() {
            true => Blocking::Allowed(&mut wait),
            false => Blocking::Refused,
        };
        let host = Some(Host { scripts, session, blocking });
        let mut cx = Context { keys, reply, caller: Caller::Host, hosted, host };
        let has_room = match cx.keys.is_limited() {
            true => command::make_room(&mut cx, argv),
            false => Ok(()),
        };
        match has_room {
            Ok(()) => dispatch(&mut cx, argv),
            Err(error) => cx.reply.error(&error),
        }
        let database = self.keys.database();
        let session = self.sessions.get_mut(id)?.as_mut()?;
        session.database = database;
        Some(self.begin_wait(id, database, wait?))
    }

    fn begin_wait(&mut self, session: usize, database: usize, wait: Wait) -> Waits {
        let ticket = Arc::new(Ticket::default());
        let (now, most) = (self.keys.now(), wait.timeout_ms);
        // By a clock that the host moves the time is up when it says so; else the thread wakes.
        let (deadline, most) = match self.manual_clock {
            true => (most.map(|most| now.saturating_add(most)), None),
            false => (None, most.map(|most| Duration::from_millis(most.unsigned_abs()))),
        };
        let waiter = Waiter { ticket: Arc::clone(&ticket), session, database, wait, deadline };
        self.waiters.add(&mut self.keys, waiter);
        Waits { ticket, most }
    }

    /// A call does not wait any more.
    pub(super) fn forget_wait(&mut self, ticket: &Arc<Ticket>) {
        self.waiters.forget(&mut self.keys, ticket);
    }

    /// Makes a call on a script in the form of a command.
    fn command_of(&mut self, id: usize, call: Call<'_>, reply: &mut ReplyBuf) -> Option<Waits> {
        let sha;
        let (name, script, keys, args): (&str, _, _, _) = match call {
            Call::Command(_) | Call::Limited(..) => return self.call(id, call, reply),
            Call::Eval(source, keys, args) => (EVAL, source, keys, args),
            Call::EvalSha(sha1, keys, args) => (EVALSHA, sha1, keys, args),
            Call::Run(script, keys, args) => {
                sha = self.scripts.sha(script.id);
                (EVALSHA, &sha[..], keys, args)
            }
        };
        let count = IntText::new(keys.len() as i64);
        let argv = [&[name.as_bytes(), script, count.as_bytes()], keys, args].concat();
        self.command(id, &argv, reply)
    }

    #[inline]
    fn script(&mut self, call: Call<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let (id, keys, args) = match call {
            Call::Command(_) | Call::Limited(..) => return Ok(()),
            Call::Eval(source, keys, args) => (self.scripts.load(source)?, keys, args),
            Call::EvalSha(sha1, keys, args) => {
                (self.scripts.find(sha1).ok_or(CommandError::NoScript)?, keys, args)
            }
            Call::Run(Script { id, .. }, keys, args) => (*id, keys, args),
        };
        self.run(id, keys, args, reply)
    }

    fn run(
        &mut self,
        id: ScriptId,
        keys: &[&[u8]],
        args: &[&[u8]],
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        if self.keys.is_limited() {
            self.keys.make_room();
        }
        let input = Input { keys, args, read_only: false };
        self.scripts.run(id, input, &mut self.keys, reply)
    }
}

/// What follows from changed keys.
impl State {
    /// Tells sessions that a key they watch was changed, and serves the calls that wait for one;
    /// not before a transaction is over.
    pub(super) fn settle(&mut self) {
        while self.keys.has_touched() && !self.keys.in_section() {
            for name in self.keys.take_touched() {
                self.tell_watchers(&name);
                self.serve_waiters(&name);
            }
        }
    }

    fn tell_watchers(&mut self, name: &KeyName) {
        for session in self.sessions.iter_mut().flatten() {
            session.dirty |= session.watched.iter().any(|watched| watched.name == *name);
        }
    }

    fn serve_waiters(&mut self, name: &KeyName) {
        let mut from = 0;
        while let Some((place, waiter)) = self.waiters.next_for(name, from) {
            let (session, kind) = (waiter.session, waiter.wait.kind);
            let (argv, ticket) = (waiter.wait.argv.clone(), Arc::clone(&waiter.ticket));
            if !ticket.claim() {
                from = place + 1;
                continue;
            }
            match self.serve(name, session, kind, &argv.slices()) {
                Some(reply) => {
                    self.waiters.remove(&mut self.keys, place);
                    ticket.serve(reply);
                    from = place;
                }
                None => {
                    ticket.unclaim();
                    from = place + 1;
                }
            }
        }
    }

    /// Runs a waiting command for a key that was touched; none if it has to wait on.
    fn serve(
        &mut self,
        name: &KeyName,
        session: usize,
        kind: WaitKind,
        argv: &[&[u8]],
    ) -> Option<ReplyBuf> {
        let State { keys, scripts, hosted, sessions, .. } = self;
        let session = sessions.get_mut(session)?.as_mut()?;
        let mut reply = ReplyBuf::new();
        keys.select(name.database);
        let slot = keys.slot_unused(&name.key);
        if keys.type_name(slot) != Some(kind.type_name()) {
            if kind != WaitKind::Group {
                return None;
            }
            reply.error(&CommandError::text("UNBLOCKED the stream key no longer exists"));
            return Some(reply);
        }
        let mut waits_on = false;
        let blocking = Blocking::Serving(&name.key, &mut waits_on);
        let host = Some(Host { scripts, session, blocking });
        let mut cx = Context { keys, reply: &mut reply, caller: Caller::Host, hosted, host };
        command::serve(&mut cx, argv);
        (!waits_on).then_some(reply)
    }
}

/// Transactions of the host's own.
impl State {
    /// How many sections a session has open: the transaction, and its savepoints.
    pub(super) fn sections(&self, id: usize) -> usize {
        self.sessions.get(id).and_then(Option::as_ref).map_or(0, |session| session.sections.len())
    }

    /// Opens a transaction, or a savepoint in it.
    pub(super) fn begin_section(&mut self, id: usize) {
        let section = self.keys.begin();
        self.owner = Some((id, thread::current().id()));
        if let Some(session) = self.session(id) {
            session.sections.push(section);
        }
    }

    /// Closes the innermost section, keeping or undoing its changes.
    pub(super) fn end_section(&mut self, id: usize, keep: bool) {
        let Some(section) = self.session(id).and_then(|session| session.sections.pop()) else {
            return;
        };
        match keep {
            true => self.keys.commit(section),
            false => self.keys.rollback(section),
        }
        if self.sections(id) == 0 {
            self.owner = None;
            self.settle();
        }
    }

    /// Undoes the changes since the innermost section was opened; it stays open.
    pub(super) fn undo_section(&mut self, id: usize) {
        let State { keys, sessions, .. } = self;
        let session = sessions.get(id).and_then(Option::as_ref);
        if let Some(section) = session.and_then(|session| session.sections.last()) {
            keys.undo_section(section);
        }
    }

    pub(super) fn session(&mut self, id: usize) -> Option<&mut Session> {
        self.sessions.get_mut(id)?.as_mut()
    }

    /// Whether a session can begin a transaction.
    pub(super) fn check_begin(&mut self, id: usize) -> Result<(), Error> {
        let misuse = |message: &str| Err(Error::Transaction { message: message.to_owned() });
        match self.session(id) {
            None => Err(Error::Closed),
            Some(session) if !session.sections.is_empty() => {
                misuse("the session has a transaction open; use a savepoint within it")
            }
            Some(session) if session.queue.is_some() => {
                misuse("the session is queueing commands since MULTI")
            }
            Some(_) => Ok(()),
        }
    }
}

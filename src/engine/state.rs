//! What the engine's lock guards, and what one call does with it.

use super::waiting::{Ticket, Waiter, Waiters, Waits};
use super::{Call, Script};
use crate::clients::{Bells, Client, Mailbox, Origin};
use crate::command::{self, Caller, Context, EVAL, EVALSHA, Host, Registry, dispatch};
use crate::error::{CommandError, Error};
use crate::keyspace::{KeyName, Keyspace};
use crate::number::IntText;
use crate::options::{Clock, Limits, Options};
use crate::reply::{Protocol, ReplyBuf};
use crate::script::{Input, ScriptId, Scripts};
use crate::server::Server;
use crate::session::{Argv, Blocking, Order, Session, Sessions, Wait, WaitKind};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// The session that stands for the engine itself.
pub(super) const COMMON: usize = 0;

pub(super) struct State {
    pub(super) keys: Keyspace,
    pub(super) scripts: Scripts,
    pub(super) server: Server,
    /// The commands that the host has added; the scripts know them too.
    hosted: Arc<Registry>,
    /// By their number; none where one was closed.
    pub(super) sessions: Sessions,
    /// How many clients there were so far; each is numbered by it.
    clients: u64,
    /// The mailboxes with something new in them.
    pub(super) bells: Arc<Bells>,
    protocol: Protocol,
    /// When the call was over, if its time was taken, that was made when the engine was entered last.
    pub(super) before: Option<Instant>,
    /// The place of the session that called last.
    pub(super) speaker: usize,
    /// What a call left to be done once it is over.
    pub(super) orders: Vec<Order>,
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
        (keys, scripts, server): (Keyspace, Scripts, Server),
        hosted: Arc<Registry>,
        bells: Arc<Bells>,
        options: &Options,
    ) -> State {
        let client = Client::new(1, keys.now(), options.protocol);
        let database = keys.database();
        let common = Session { common: true, database, client, ..Session::default() };
        State {
            keys,
            scripts,
            server,
            hosted,
            sessions: vec![Some(Box::new(common))],
            clients: 1,
            bells,
            protocol: options.protocol,
            before: None,
            speaker: COMMON,
            orders: Vec::new(),
            waiters: Waiters::default(),
            owner: None,
            manual_clock: options.clock != Clock::System,
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

    /// Opens a session; returns its place, its client's number and its mailbox.
    pub(super) fn open_session(&mut self) -> (usize, u64, Arc<Mailbox>) {
        self.server.clients.open += 1;
        self.server.clients.opened += 1;
        self.clients += 1;
        let client = Client::new(self.clients, self.keys.now(), self.protocol);
        let mailbox = Arc::clone(&client.mailbox);
        let session = Some(Box::new(Session { client, ..Session::default() }));
        (self.place_session(session), self.clients, mailbox)
    }

    fn place_session(&mut self, session: Option<Box<Session>>) -> usize {
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

    /// A door has come for a session.
    pub(super) fn attach(&mut self, id: usize, origin: Origin) {
        if let Some(session) = self.session(id) {
            session.client.mailbox.set_protocol(Protocol::Resp2);
            session.client.origin = origin;
            session.client.attached = true;
            session.client.spare = false;
        }
        // The host's own sessions are trusted; who comes from elsewhere has to say who it is.
        let needs_password = self.server.users.needs_login();
        if let Some(session) = self.session(id) {
            session.client.authenticated = !needs_password;
            session.client.restrict();
        }
    }

    /// A session is kept for one who is to come.
    #[cfg(feature = "listen")]
    pub(super) fn set_spare(&mut self, id: usize) {
        let needs_password = self.server.users.needs_login();
        if let Some(session) = self.session(id) {
            session.client.spare = true;
            session.client.mailbox.set_stranger(needs_password);
        }
    }

    /// Closes a session: what it queued is dropped, what it began is undone.
    pub(super) fn close_session(&mut self, id: usize) {
        self.retire(id);
        if let Some(place) = self.sessions.get_mut(id)
            && place.take().is_some()
        {
            self.server.clients.open -= 1;
        }
        self.settle();
    }

    /// Ends all that a session has to do with others. Its place is kept for as long as its handle.
    pub(super) fn retire(&mut self, id: usize) {
        while self.sections(id) > 0 {
            self.end_section(id, false);
        }
        let State { keys, sessions, .. } = self;
        let Some(session) = sessions.get_mut(id).and_then(Option::as_deref_mut) else { return };
        session.queue = None;
        session.watched.drain(..).for_each(|watched| keys.unlisten(&watched.name));
        command::leave_all(keys, id, &mut session.client);
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
    ) -> Option<Box<Waits>> {
        let Some(session) = self.sessions.get(id).and_then(Option::as_deref) else {
            reply.error(&CommandError::text("ERR the session is closed"));
            return None;
        };
        if session.client.closing {
            reply.error(&CommandError::text("ERR the session is closed"));
            return None;
        }
        let attached = session.client.attached;
        self.speaker = id;
        self.keys.select(session.database);
        self.server.users.act_as(session.user());
        self.keys.news_mut().begin_call(session.client.as_follower(id));
        #[cfg(feature = "listen")]
        if self.server.measures.follows {
            self.begin_following(id);
        }
        if let Some(pause) = self.keys.news().pause
            && let Some(waits) = self.put_off(id, pause, call)
        {
            return Some(waits);
        }
        let waiting = self.perform(id, call, reply);
        if attached {
            self.conclude(id, waiting.is_some(), reply);
        }
        if self.is_unsettled() {
            self.settle();
        }
        waiting
    }

    #[inline(always)]
    fn perform(&mut self, id: usize, call: Call<'_>, reply: &mut ReplyBuf) -> Option<Box<Waits>> {
        let session = self.sessions.get(id).and_then(Option::as_deref)?;
        match call {
            Call::Command(argv) => self.command(id, argv, reply),
            Call::Limited(limits, call) => self.limited(id, limits, *call, reply),
            // A transaction that is being queued takes scripts as the commands they stand for, and
            // so does who sees every call.
            _ if session.queue.is_some() || self.keys.news().is_monitored() => {
                self.command_of(id, call, reply)
            }
            _ => {
                if let Err(error) = self.script(call, reply) {
                    reply.error(&error);
                }
                None
            }
        }
    }

    /// Makes a call whose scripts have limits of their own.
    #[inline(never)]
    fn limited(
        &mut self,
        id: usize,
        limits: &Limits,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Option<Box<Waits>> {
        let queues = self.session(id).is_some_and(|session| session.queue.is_some());
        if queues && !matches!(call, Call::Command(_)) {
            let message = "ERR the limits of a call cannot be queued; give them to EXEC";
            reply.error(&CommandError::text(message));
            return None;
        }
        let before = self.scripts.limit(limits);
        let waits = self.perform(id, call, reply);
        self.scripts.unlimit(before);
        waits
    }

    fn command(&mut self, id: usize, argv: &[&[u8]], reply: &mut ReplyBuf) -> Option<Box<Waits>> {
        let mut wait = None;
        if self.keys.is_limited() && !self.keys.followed().is_idle() {
            self.make_room_and_tell();
        }
        let State { keys, scripts, server, hosted, sessions, orders, .. } = self;
        // Taken from among the others, so that the command can look at those too.
        let mut session = sessions.get_mut(id)?.take()?;
        let blocking = match session.sections.is_empty() {
            true => Blocking::Allowed(&mut wait),
            false => Blocking::Refused,
        };
        let own = &mut *session;
        let host =
            Some(Host { scripts, session: own, blocking, place: id, others: sessions, orders });
        let mut cx = Context { keys, reply, caller: Caller::Host, server, hosted, host };
        let has_room = match cx.keys.is_limited() {
            true => command::make_room(&mut cx, argv),
            false => Ok(()),
        };
        match has_room {
            Ok(()) => dispatch(&mut cx, argv),
            Err(error) => cx.reply.error(&error),
        }
        let database = self.keys.database();
        session.database = database;
        if let Some(tracking) = &mut session.client.tracking
            && tracking.caching
            && session.queue.is_none()
            && !session.client.last_command.is_some_and(|name| name.starts_with("client|"))
        {
            // What CLIENT CACHING said was of this command.
            tracking.caching = false;
        }
        *self.sessions.get_mut(id)? = Some(session);
        Some(self.begin_wait(id, database, wait?))
    }

    pub(super) fn begin_wait(&mut self, session: usize, database: usize, wait: Wait) -> Box<Waits> {
        let ticket = Arc::new(Ticket::default());
        // By a clock that the host moves the time is up when it says so; else the thread wakes.
        let (deadline, most) = match (wait.timeout_ms, self.manual_clock) {
            (None, _) => (None, None),
            (Some(most), true) => (Some(self.keys.now().saturating_add(most)), None),
            (Some(most), false) => (None, Some(Duration::from_millis(most.unsigned_abs()))),
        };
        let waiter = Waiter { ticket: Arc::clone(&ticket), session, database, wait, deadline };
        self.waiters.add(&mut self.keys, waiter);
        self.mark_blocked(session, true);
        self.server.clients.waiting = self.waiters.len();
        Box::new(Waits { ticket, most })
    }

    /// A call does not wait any more.
    pub(super) fn forget_wait(&mut self, ticket: &Arc<Ticket>) -> Option<Waiter> {
        let waiter = self.waiters.forget(&mut self.keys, ticket)?;
        self.mark_blocked(waiter.session, false);
        self.server.clients.waiting = self.waiters.len();
        Some(waiter)
    }

    fn mark_blocked(&mut self, id: usize, blocked: bool) {
        if let Some(session) = self.session(id) {
            session.client.blocked = blocked;
        }
    }

    /// Makes a call on a script in the form of a command.
    #[cold]
    fn command_of(
        &mut self,
        id: usize,
        call: Call<'_>,
        reply: &mut ReplyBuf,
    ) -> Option<Box<Waits>> {
        let argv = self.argv_of(call)?;
        self.command(id, &argv.slices(), reply)
    }

    /// A call in the form of a command; none if it has limits of its own.
    pub(super) fn argv_of(&self, call: Call<'_>) -> Option<Argv> {
        let sha;
        let (name, script, keys, args): (&str, _, _, _) = match call {
            Call::Command(argv) => return Some(Argv::new(argv)),
            Call::Limited(..) => return None,
            Call::Eval(source, keys, args) => (EVAL, source, keys, args),
            Call::EvalSha(sha1, keys, args) => (EVALSHA, sha1, keys, args),
            Call::Run(script, keys, args) => {
                sha = self.scripts.sha(script.id);
                (EVALSHA, &sha[..], keys, args)
            }
        };
        let count = IntText::new(keys.len() as i64);
        let argv = [&[name.as_bytes(), script, count.as_bytes()], keys, args].concat();
        Some(Argv::new(&argv))
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

    #[inline]
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
        let input = Input { keys, args, called: EVAL.as_bytes(), read_only: false };
        self.scripts.run(id, &input, &mut self.keys, &mut self.server, reply)
    }
}

/// What follows from changed keys.
impl State {
    /// Tells everybody what there is to tell: messages to those who listen, sessions that a key
    /// they watch was changed, clients that were shown one; and serves the calls that wait for one.
    /// Not before a transaction is over. Then does what the call left to be done.
    pub(super) fn settle(&mut self) {
        while !self.keys.in_section() && (self.keys.has_touched() || self.keys.news().is_pending())
        {
            self.deliver(true);
            for name in self.keys.take_touched() {
                self.tell_watchers(&name);
                self.serve_waiters(&name);
            }
            self.tell_followers();
        }
        self.show_monitors();
        self.carry_out();
    }

    /// Whether there is anything to settle.
    #[inline]
    pub(super) fn is_unsettled(&self) -> bool {
        let news = self.keys.news();
        self.keys.has_touched()
            || news.is_pending()
            || news.is_monitored()
            || !self.orders.is_empty()
    }

    fn tell_watchers(&mut self, name: &KeyName) {
        for session in self.sessions.iter_mut().flatten() {
            session.dirty |= session.watched.iter().any(|watched| watched.name == *name);
        }
    }

    fn serve_waiters(&mut self, name: &KeyName) {
        let mut from = 0;
        while let Some((place, waiter)) = self.waiters.next_for(name, from) {
            from = place + 1;
            let ticket = Arc::clone(&waiter.ticket);
            if !ticket.claim() {
                continue;
            }
            let (session, kind) = (waiter.session, waiter.wait.kind);
            // A call of its own: meanwhile the key may have expired.
            self.keys.clock().begin_call();
            let argv = std::mem::take(&mut waiter.wait.argv);
            match self.serve(name, session, kind, &argv) {
                Some(reply) => {
                    self.waiters.remove(&mut self.keys, place);
                    self.mark_blocked(session, false);
                    self.server.clients.waiting = self.waiters.len();
                    self.deliver_for(session);
                    ticket.serve(reply);
                    from = place;
                }
                None => {
                    self.waiters.give_back(place, argv);
                    ticket.unclaim();
                }
            }
        }
    }

    /// Tells what was done for a session whose wait is over: a step of its own.
    fn deliver_for(&mut self, session: usize) {
        let speaker = std::mem::replace(&mut self.speaker, session);
        self.deliver(true);
        self.speaker = speaker;
    }

    /// Runs a waiting command for a key that was touched; none if it has to wait on.
    fn serve(
        &mut self,
        name: &KeyName,
        session: usize,
        kind: WaitKind,
        argv: &Argv,
    ) -> Option<ReplyBuf> {
        let place = session;
        let mut session = self.sessions.get_mut(place)?.take()?;
        let reply = self.serve_as(name, &mut session, place, kind, argv);
        *self.sessions.get_mut(place)? = Some(session);
        reply
    }

    fn serve_as(
        &mut self,
        name: &KeyName,
        session: &mut Session,
        place: usize,
        kind: WaitKind,
        argv: &Argv,
    ) -> Option<ReplyBuf> {
        let State { keys, scripts, server, hosted, sessions, orders, .. } = self;
        server.users.act_as(session.user());
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
        let host = Some(Host { scripts, session, blocking, place, others: sessions, orders });
        let mut cx =
            Context { keys, reply: &mut reply, caller: Caller::Host, server, hosted, host };
        command::serve(&mut cx, &argv.slices());
        (!waits_on).then_some(reply)
    }
}

/// Transactions of the host's own.
impl State {
    /// How many sections a session has open: the transaction, and its savepoints.
    pub(super) fn sections(&self, id: usize) -> usize {
        self.sessions.get(id).and_then(Option::as_deref).map_or(0, |session| session.sections.len())
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
        let session = sessions.get(id).and_then(Option::as_deref);
        if let Some(section) = session.and_then(|session| session.sections.last()) {
            keys.undo_section(section);
        }
    }

    /// Whether a session queues commands.
    pub(super) fn queues(&self, id: usize) -> bool {
        let session = self.sessions.get(id).and_then(Option::as_ref);
        session.is_some_and(|session| session.queue.is_some())
    }

    /// Has EXEC refuse what a session is queueing.
    pub(super) fn refuse_queue(&mut self, id: usize) {
        if let Some(queue) = self.session(id).and_then(|session| session.queue.as_mut()) {
            queue.refused = true;
        }
    }

    pub(super) fn session(&mut self, id: usize) -> Option<&mut Session> {
        self.sessions.get_mut(id)?.as_deref_mut()
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

//! Sessions: what a connection is to a server.

use super::busy::Busy;
use super::shared::Shared;
use super::{Call, Engine, Script, slices};
use crate::clients::{Mailbox, Origin, Waker};
use crate::error::Error;
use crate::options::Limits;
use crate::reply::{Protocol, Reply, ReplyBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

/// One who calls an engine with a state of its own: the selected database (`SELECT`), a
/// transaction that is being queued (`MULTI`, `EXEC`, `DISCARD`), watched keys (`WATCH`), and
/// transactions that can be rolled back. What a connection is to a Redis server.
///
/// The engine itself is a session that everybody shares: it has a selected database, but queues
/// nothing.
///
/// ```
/// use moonkv::{Engine, Reply};
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// let session = engine.session()?;
/// session.command(&["WATCH", "stock"])?;
/// session.command(&["MULTI"])?;
/// session.command(&["INCRBY", "stock", "5"])?;
/// assert_eq!(session.command(&["EXEC"])?, Reply::Array(vec![Reply::Integer(5)]));
///
/// session.begin()?;
/// session.command(&["INCRBY", "stock", "100"])?;
/// session.rollback()?;
/// assert_eq!(engine.command(&["GET", "stock"])?, Reply::Bulk(b"5".to_vec()));
/// # Ok(())
/// # }
/// ```
///
/// Dropping it drops what was queued and rolls back what was begun.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    /// Its place among the sessions.
    pub(super) id: usize,
    /// Its client's number.
    client: u64,
    mailbox: Arc<Mailbox>,
    pub(super) busy: Busy,
}

impl Engine {
    /// Opens a session.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn session(&self) -> Result<Session, Error> {
        self.shared.open_session()
    }

    /// Runs a closure in a transaction of a session of its own: what it does through the session
    /// is kept if it returns `Ok`, and undone if it returns an error or panics. Other callers
    /// wait meanwhile.
    ///
    /// ```
    /// # use moonkv::{Engine, Error, Reply};
    /// # fn main() -> Result<(), Error> {
    /// # let engine = Engine::new()?;
    /// let failed = engine.transaction(|session| {
    ///     session.command(&["SET", "a", "1"])?;
    ///     session.command(&["LPUSH", "a", "2"])
    /// });
    /// assert!(failed.is_err());
    /// assert_eq!(engine.command(&["EXISTS", "a"])?, Reply::Integer(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the closure returns, or as [`Session::begin`].
    pub fn transaction<R>(
        &self,
        work: impl FnOnce(&Session) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let session = self.session()?;
        session.begin()?;
        let result = work(&session)?;
        session.commit()?;
        Ok(result)
    }
}

impl Session {
    /// Makes one call; see [`Engine::call`].
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn call(&self, call: Call<'_>, reply: &mut ReplyBuf) -> Result<(), Error> {
        if let Some(script) = call.script() {
            self.shared.check_own(script)?;
        }
        self.shared.call(self.id, Some(&self.busy), call, reply)
    }

    /// Runs a command: its name and arguments.
    ///
    /// # Errors
    /// As [`Engine::command`].
    pub fn command<A: AsRef<[u8]>>(&self, argv: &[A]) -> Result<Reply, Error> {
        self.reply(Call::Command(&slices(argv)))
    }

    /// Runs a command and returns its reply as a Redis server would send it.
    ///
    /// # Errors
    /// As [`Engine::call`]; the errors of commands are replies here.
    pub fn command_resp<A: AsRef<[u8]>>(
        &self,
        argv: &[A],
        protocol: Protocol,
    ) -> Result<Vec<u8>, Error> {
        self.shared.resp(self.id, Some(&self.busy), &slices(argv), protocol)
    }

    /// Runs a script as one atomic step; after `MULTI` it is queued.
    ///
    /// # Errors
    /// As [`Engine::eval`].
    pub fn eval<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        script: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.reply(Call::Eval(script.as_ref(), &slices(keys), &slices(args)))
    }

    /// [`Session::eval`] under limits for this one run; those that are not set are the engine's.
    /// After `MULTI` it is refused, as limits are not queued: give them to `EXEC`, by
    /// [`Call::Limited`].
    ///
    /// ```
    /// # use moonkv::{Engine, Limits};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// let session = engine.session()?;
    /// let few = Limits::default().instructions(100_000);
    /// assert!(session.eval_with(&few, "while true do end", &[""; 0], &[""; 0]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Engine::eval_with`].
    pub fn eval_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        script: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::Eval(script.as_ref(), &keys, &args);
        self.reply(Call::Limited(limits, &call))
    }

    /// Runs a cached script by its SHA-1; after `MULTI` it is queued.
    ///
    /// # Errors
    /// As [`Engine::evalsha`].
    pub fn evalsha<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        sha1: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.reply(Call::EvalSha(sha1.as_ref(), &slices(keys), &slices(args)))
    }

    /// [`Session::evalsha`] under limits for this one run, as [`Session::eval_with`] has them.
    ///
    /// # Errors
    /// As [`Engine::evalsha_with`].
    pub fn evalsha_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        sha1: impl AsRef<[u8]>,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::EvalSha(sha1.as_ref(), &keys, &args);
        self.reply(Call::Limited(limits, &call))
    }

    /// Runs a prepared script of the session's engine; after `MULTI` it is queued.
    ///
    /// # Errors
    /// As [`Engine::eval`]; [`Error::Options`] if the script is another engine's.
    pub fn run<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        script: &Script,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.check_own(script)?;
        self.reply(Call::Run(script, &slices(keys), &slices(args)))
    }

    /// [`Session::run`] under limits for this one run, as [`Session::eval_with`] has them.
    ///
    /// # Errors
    /// As [`Session::run`]; [`Error::Options`] also for limits under which nothing could run.
    pub fn run_with<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        limits: &Limits,
        script: &Script,
        keys: &[K],
        args: &[A],
    ) -> Result<Reply, Error> {
        self.shared.check_own(script)?;
        let (keys, args) = (slices(keys), slices(args));
        let call = Call::Run(script, &keys, &args);
        self.reply(Call::Limited(limits, &call))
    }

    fn reply(&self, call: Call<'_>) -> Result<Reply, Error> {
        self.shared.reply_in(self.id, Some(&self.busy), call, || self.protocol())
    }

    /// The shape of its replies: the one the engine was opened with, until `HELLO` chooses another.
    pub fn protocol(&self) -> Protocol {
        self.mailbox.protocol()
    }

    /// The number that `CLIENT ID` answers; no two sessions of an engine have the same.
    pub fn client_id(&self) -> u64 {
        self.client
    }

    /// Makes the session that of a socket, or of anything else that writes replies out as they come.
    /// It begins in RESP2, and has to say who it is where a password is set. From here on `waker` is
    /// called whenever there is something in [`Session::take_messages`] or the session is to be
    /// closed, and a call's reply has in front of it what was told before.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn attach(&self, origin: Origin, waker: Waker) -> Result<(), Error> {
        self.mailbox.set_waker(Some(waker));
        self.shared.enter(|state| state.attach(self.id, origin))
    }

    /// Takes what was told to the session out of turn: messages of channels, lines of `MONITOR`,
    /// keys that a cache has to forget. Each is a reply of its own, to be written in the session's
    /// protocol. Returns how many there were. Takes no lock of the engine's.
    ///
    /// ```
    /// # use moonkv::{Engine, Protocol, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// let session = engine.session()?;
    /// session.command(&["SUBSCRIBE", "news"])?;
    /// engine.command(&["PUBLISH", "news", "it works"])?;
    /// session.take_messages(&mut |message| {
    ///     let reply = message.to_reply(Protocol::Resp2);
    ///     assert_eq!(reply.as_array().unwrap()[2], Reply::Bulk(b"it works".to_vec()));
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_messages(&self, out: &mut impl FnMut(&ReplyBuf)) -> usize {
        let messages = std::iter::from_fn(|| self.mailbox.take());
        messages.map(|message| out(&message)).count()
    }

    /// Whether it has yet to say who it is.
    #[cfg(feature = "listen")]
    pub(crate) fn is_stranger(&self) -> bool {
        self.mailbox.is_stranger()
    }

    /// Whether it is a replica, which is sent more than replies.
    #[cfg(feature = "listen")]
    pub(crate) fn is_replica(&self) -> bool {
        self.mailbox.is_replica()
    }

    /// Takes what it is sent as a replica: a snapshot, and what has changed since.
    #[cfg(feature = "listen")]
    pub(crate) fn take_feed(&self) -> Vec<u8> {
        self.mailbox.take_feed()
    }

    /// Where what is told to it lies.
    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Whether the session is to be closed, once the replies there are have been written.
    pub fn is_closing(&self) -> bool {
        self.mailbox.is_closing()
    }

    /// Ends the call of this session that waits for a key, if there is one, with an error. May be
    /// called from any thread.
    pub fn cancel(&self) {
        self.shared.cancel_waits(Some(self.id));
    }

    /// Begins a transaction: what follows on this session is undone by [`Session::rollback`].
    /// Until it ends other callers wait, and commands that block answer at once.
    ///
    /// # Errors
    /// [`Error::Transaction`] if one is open already; [`Error::Busy`] if another session's is, for
    /// longer than [`crate::Options::busy_timeout`] or on this very thread; or as
    /// [`Engine::call`].
    pub fn begin(&self) -> Result<(), Error> {
        self.shared.enter_as(self.id, |state| {
            state.check_begin(self.id)?;
            state.begin_section(self.id);
            Ok(())
        })?
    }

    /// Ends the transaction; its changes stay.
    ///
    /// # Errors
    /// [`Error::Transaction`] if none is open; or as [`Engine::call`].
    pub fn commit(&self) -> Result<(), Error> {
        self.end(true)
    }

    /// Ends the transaction and undoes all it did.
    ///
    /// # Errors
    /// As [`Session::commit`].
    pub fn rollback(&self) -> Result<(), Error> {
        self.end(false)
    }

    /// Sets a savepoint in the transaction; returns its number, which counts from 1.
    ///
    /// ```
    /// # use moonkv::{Engine, Reply};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// # let session = engine.session()?;
    /// session.begin()?;
    /// session.command(&["RPUSH", "log", "kept"])?;
    /// let before = session.savepoint()?;
    /// session.command(&["RPUSH", "log", "dropped"])?;
    /// session.rollback_to(before)?;
    /// session.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::commit`].
    pub fn savepoint(&self) -> Result<usize, Error> {
        self.within(|state, open| {
            state.begin_section(self.id);
            Ok(open)
        })
    }

    /// Undoes what was done since a savepoint, which stays; later ones are gone.
    ///
    /// # Errors
    /// [`Error::Transaction`] if there is no such savepoint; or as [`Engine::call`].
    pub fn rollback_to(&self, savepoint: usize) -> Result<(), Error> {
        self.within(|state, open| {
            for _ in check(savepoint, open)? + 1..open {
                state.end_section(self.id, false);
            }
            state.undo_section(self.id);
            Ok(())
        })
    }

    /// Forgets a savepoint and those after it; what was done since stays part of the transaction.
    ///
    /// # Errors
    /// As [`Session::rollback_to`].
    pub fn release(&self, savepoint: usize) -> Result<(), Error> {
        self.within(|state, open| {
            for _ in check(savepoint, open)?..open {
                state.end_section(self.id, true);
            }
            Ok(())
        })
    }

    /// Whether a transaction is open.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn in_transaction(&self) -> Result<bool, Error> {
        self.shared.enter(|state| state.sections(self.id) > 0)
    }

    fn end(&self, keep: bool) -> Result<(), Error> {
        let ended = self.within(|state, open| {
            (0..open).for_each(|_| state.end_section(self.id, keep));
            Ok(())
        });
        self.shared.turn.notify_all();
        ended
    }

    /// Does something in the open transaction; it is told how many sections there are.
    fn within<R>(
        &self,
        work: impl FnOnce(&mut super::State, usize) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.shared.enter_as(self.id, |state| match state.sections(self.id) {
            0 => Err(Error::Transaction { message: "no transaction is open".to_owned() }),
            open => work(state, open),
        })?
    }
}

impl Shared {
    pub(super) fn open_session(self: &Arc<Self>) -> Result<Session, Error> {
        let (id, client, mailbox) = self.enter(|state| {
            self.abandoned().drain(..).for_each(|id| state.close_session(id));
            state.open_session()
        })?;
        Ok(Session { shared: Arc::clone(self), id, client, mailbox, busy: Busy::default() })
    }

    fn abandoned(&self) -> MutexGuard<'_, Vec<usize>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_own(self: &Arc<Self>, script: &Script) -> Result<(), Error> {
        match Arc::ptr_eq(self, &script.shared) {
            true => Ok(()),
            false => Err(Error::Options { message: "the script is another engine's".to_owned() }),
        }
    }
}

/// A savepoint's number, if it is one of those set: the section of this index.
fn check(savepoint: usize, open: usize) -> Result<usize, Error> {
    match savepoint {
        1.. if savepoint < open => Ok(savepoint),
        _ => Err(Error::Transaction { message: format!("there is no savepoint {savepoint}") }),
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.client).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Where the engine is closed or poisoned, there is nothing left to close. Within a callback
        // no transaction of its own is open: nobody waits for its end.
        if self.shared.enter(|state| state.close_session(self.id)) == Err(Error::Reentrant) {
            self.shared.abandoned().push(self.id);
        }
        self.shared.turn.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_dropped_in_a_callback_is_closed_before_the_next_is_opened() {
        let engine = Engine::new().unwrap();
        let session = engine.session().unwrap();
        session.command(&["WATCH", "k"]).unwrap();
        let id = session.id;
        let mut held = Some(session);
        engine.set_log(Some(Box::new(move |_, _| drop(held.take())))).unwrap();
        engine.eval("redis.log(3, 'x')", &[""; 0], &[""; 0]).unwrap();
        assert_eq!(*engine.shared.abandoned(), [id]);
        assert_eq!(engine.session().unwrap().id, id, "its place is free");
        assert!(engine.shared.abandoned().is_empty());
    }
}

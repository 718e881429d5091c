//! Commands that the host adds to an engine.

use super::Engine;
use crate::command::{Function, HostCall, HostCommand, Registry, returning};
use crate::error::Error;
use crate::reply::Reply;
use std::sync::Arc;

impl Engine {
    /// Registers a function of the host's as a command: scripts reach it by `redis.call`, all
    /// others by its name. It runs on the thread and inside the call that names it, and runs
    /// commands by the [`HostCall`] it is given; the engine's handles are [`Error::Reentrant`]
    /// meanwhile. What it does is part of the atomic step it is called in, and is undone if it
    /// answers with an error or panics, which is an error too. A function of the same name is
    /// replaced.
    ///
    /// ```
    /// use moonkv::{Engine, Error, HostCommand, Reply};
    /// # fn main() -> Result<(), Error> {
    /// let engine = Engine::new()?;
    /// engine.register(HostCommand::new("GAME.SPAWN").arity(3).keys(1, 1, 1), |call| {
    ///     let (area, monster) = (call.args()[0].to_vec(), call.args()[1].to_vec());
    ///     if monster == b"dragon" {
    ///         return Err(Error::reply("NODRAGONS not in this game"));
    ///     }
    ///     call.command(&[b"RPUSH", &area[..], &monster])
    /// })?;
    /// let spawned = engine.eval(
    ///     "redis.call('GAME.SPAWN', KEYS[1], 'rat') return redis.call('GAME.SPAWN', KEYS[1], 'bat')",
    ///     &["cave"],
    ///     &[""; 0],
    /// )?;
    /// assert_eq!(spawned, Reply::Integer(2));
    /// assert!(engine.command(&["GAME.SPAWN", "cave", "dragon"]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Options`] if the name is one of the engine's own commands or no name, or if flags
    /// or keys make no sense; or as [`Engine::call`].
    pub fn register(
        &self,
        command: HostCommand,
        function: impl Fn(&mut HostCall<'_>) -> Result<Reply, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.register_writing(command, returning(function))
    }

    /// The same with a function that writes its reply.
    pub(crate) fn register_writing(
        &self,
        command: HostCommand,
        function: Function,
    ) -> Result<(), Error> {
        let row = command.with(function)?;
        self.change_hosted(|hosted| hosted.insert(row))
    }

    /// Takes back what [`Engine::register`] did; false if there is no function of this name.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn unregister(&self, name: &str) -> Result<bool, Error> {
        self.change_hosted(|hosted| hosted.remove(name))
    }

    /// Changes a copy and puts it in place of the registry. What it replaces is dropped outside
    /// the lock: a function may own anything.
    fn change_hosted<R>(&self, change: impl FnOnce(&mut Registry) -> R) -> Result<R, Error> {
        let (_gone, changed) = self.shared.enter(|state| {
            let mut hosted = Registry::clone(state.hosted());
            let changed = change(&mut hosted);
            (state.set_hosted(Arc::new(hosted)), changed)
        })?;
        Ok(changed)
    }
}

//! Users: who may call what, on which keys and channels.
//!
//! A [`User`] is made of rules. The host itself is nobody's user and may do everything; a session
//! acts as the user `default` until it says otherwise. Where that one may do everything too, which
//! is so until somebody changes it, nothing is asked of any call.
//!
//! This room knows commands by their numbers and categories only; `command/permission.rs` asks it.

mod describe;
mod log;
mod selector;
mod user;

pub(crate) use log::{Entry, Log, Reason};
pub(crate) use selector::{Need, Selector};
pub(crate) use user::User;

use crate::error::{CommandError, clipped};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The user that a session is at first.
pub(crate) const DEFAULT: &[u8] = b"default";

/// The users of an engine.
pub(crate) struct Users {
    users: BTreeMap<Box<[u8]>, Arc<User>>,
    /// Whether there is nobody but the user `default`, who may do everything.
    is_open: bool,
    /// Who calls, unless they may do everything.
    acting: Option<Arc<User>>,
    /// Whether the call is one of a transaction that is executed.
    pub(crate) executing: bool,
    /// What was denied.
    pub(crate) log: Log,
}

impl Default for Users {
    fn default() -> Users {
        let users = BTreeMap::from([(DEFAULT.into(), Arc::new(User::free(DEFAULT)))]);
        Users { users, is_open: true, acting: None, executing: false, log: Log::default() }
    }
}

impl Users {
    /// The same users, for a copy of the engine.
    pub(crate) fn copy(&self) -> Users {
        Users { users: self.users.clone(), is_open: self.is_open, ..Users::default() }
    }

    /// A call begins: of the host, with no name, or of a user.
    #[inline(always)]
    pub(crate) fn act_as(&mut self, name: Option<&[u8]>) {
        if name.is_some() || self.acting.is_some() {
            self.choose(name);
        }
    }

    fn choose(&mut self, name: Option<&[u8]>) {
        self.acting = match name {
            Some(name) if !(self.is_open && name == DEFAULT) => self.limited(name),
            _ => None,
        };
    }

    /// A user, unless everything is allowed to them. One who was removed may do nothing.
    fn limited(&self, name: &[u8]) -> Option<Arc<User>> {
        match self.users.get(name) {
            Some(user) if user.is_free() => None,
            Some(user) => Some(Arc::clone(user)),
            None => Some(Arc::new(User::new(name, false))),
        }
    }

    /// Who calls, unless they may do everything.
    #[inline(always)]
    pub(crate) fn acting(&self) -> Option<&Arc<User>> {
        self.acting.as_ref()
    }

    /// A user by name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&User> {
        self.users.get(name).map(AsRef::as_ref)
    }

    /// All users, by name.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &User> {
        self.users.values().map(AsRef::as_ref)
    }

    /// Whether there is such a user, who is not off and has this password, or needs none.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> bool {
        self.find(name).is_some_and(|user| user.admits(password))
    }

    /// Whether a client has to say who it is before it may call anything.
    pub(crate) fn needs_login(&self) -> bool {
        self.find(DEFAULT).is_some_and(|user| !(user.is_on && user.needs_no_password))
    }

    /// Whether no password is needed to be the user `default`.
    pub(crate) fn default_needs_no_password(&self) -> bool {
        self.find(DEFAULT).is_some_and(|user| user.needs_no_password)
    }

    /// Changes a user by rules, or makes one; on an error nothing is changed.
    pub(crate) fn change(
        &mut self,
        name: &[u8],
        rules: &[&[u8]],
        new_hear_all: bool,
    ) -> Result<(), CommandError> {
        if name.iter().any(|byte| matches!(byte, b' ' | 0)) {
            let text = "ERR Usernames can't contain spaces or null characters";
            return Err(CommandError::text(text));
        }
        let new = || User::new(name, new_hear_all);
        let mut user = self.find(name).cloned().unwrap_or_else(new);
        for rule in user::join_selectors(rules)? {
            user.apply(&rule, new_hear_all).map_err(|wrong| {
                let begin = b"ERR Error in ACL SETUSER modifier '";
                CommandError::quoting(&[
                    begin,
                    clipped(&rule, usize::MAX),
                    b"': ",
                    wrong.text().as_bytes(),
                ])
            })?;
        }
        user.settle();
        self.users.insert(name.into(), Arc::new(user));
        self.settle();
        Ok(())
    }

    /// Gives the user `default` one password, or with an empty one none.
    pub(crate) fn set_password(&mut self, password: &[u8]) {
        if let Some(user) = self.users.get_mut(DEFAULT) {
            Arc::make_mut(user).set_password(password);
        }
    }

    /// Removes a user; false if there is none of this name.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let removed = self.users.remove(name).is_some();
        self.settle();
        removed
    }

    fn settle(&mut self) {
        self.is_open = self.users.len() == 1 && self.users.values().all(|user| user.is_free());
    }
}

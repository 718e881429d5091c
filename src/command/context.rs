//! What a handler works with.

use crate::keyspace::Keyspace;
use crate::reply::ReplyBuf;
use crate::script::Scripts;

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
}

/// What a handler works with: the keys, the reply, and for the host's commands the scripts.
pub(crate) struct Context<'a> {
    pub(crate) keys: &'a mut Keyspace,
    pub(crate) reply: &'a mut ReplyBuf,
    /// None inside a script, which cannot run or load another.
    pub(crate) scripts: Option<&'a mut Scripts>,
    pub(crate) caller: Caller,
}

//! What is known of one who calls: the selected database, a transaction that is being queued,
//! the keys that are watched, and what a call waits for.
//!
//! This room holds state only. The commands that change it are in `command/`; the engine keeps
//! one session for each handle, and tells it when a watched key changed.

use crate::clients::Client;
use crate::keyspace::{KeyName, Section};
use crate::reply::ReplyBuf;

/// One who calls.
#[derive(Default)]
pub(crate) struct Session {
    /// The database its commands work on.
    pub(crate) database: usize,
    /// The commands since MULTI.
    pub(crate) queue: Option<Queue>,
    /// The keys of WATCH.
    pub(crate) watched: Vec<Watched>,
    /// Whether one of them changed.
    pub(crate) dirty: bool,
    /// The host's own transaction and its savepoints, outermost first.
    pub(crate) sections: Vec<Section>,
    /// Whether it stands for the engine itself, which many threads call at once: no place for
    /// transactions.
    pub(crate) common: bool,
    /// Who it is to others.
    pub(crate) client: Client,
}

/// All sessions by their place; none where one was closed, or is calling.
pub(crate) type Sessions = Vec<Option<Box<Session>>>;

/// What a command leaves to the engine, to be done once it is over.
pub(crate) enum Order {
    /// Close the client in this place; what it is owed is written first.
    Close(usize),
    /// End the wait of the one in this place, as if its time were up or with an error.
    Unblock { place: usize, with_error: bool },
    /// Make the calls that were put off.
    Resume,
    /// A replica has told how far it has got, which others may wait for.
    Acknowledge,
    /// Ask replicas how far they have got.
    AskReplicas,
    /// Remove the keys that calls wait for and that have expired: they came to be there just now.
    LookAgain,
    /// There is something for the replica in this place.
    Feed(usize),
}

impl Session {
    /// The user whose rights count; none for the engine itself and for the server it follows, which
    /// may do everything.
    #[inline]
    pub(crate) fn user(&self) -> Option<&[u8]> {
        (!self.common && !self.client.is_master).then_some(&self.client.user)
    }
}

/// A watched key.
pub(crate) struct Watched {
    pub(crate) name: KeyName,
    /// Whether it existed then: one that has expired since has changed.
    pub(crate) existed: bool,
}

/// The commands of a transaction that is being queued.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) commands: Vec<Argv>,
    /// Whether one of them was refused, so that EXEC will be.
    pub(crate) refused: bool,
}

/// A command with its arguments, kept for a while.
#[derive(Default)]
pub(crate) struct Argv(Vec<Box<[u8]>>);

impl Argv {
    /// A copy of a command.
    pub(crate) fn new(argv: &[&[u8]]) -> Argv {
        Argv(argv.iter().map(|&arg| arg.into()).collect())
    }

    /// The command as it is called.
    pub(crate) fn slices(&self) -> Vec<&[u8]> {
        self.0.iter().map(AsRef::as_ref).collect()
    }
}

/// What a command waits for that found nothing.
pub(crate) struct Wait {
    /// The keys one of which must get something.
    pub(crate) keys: Vec<Box<[u8]>>,
    /// The type of what they must hold.
    pub(crate) kind: WaitKind,
    /// For how long, in milliseconds; none for ever.
    pub(crate) timeout_ms: Option<i64>,
    /// The command to run once there is something.
    pub(crate) argv: Argv,
    /// The answer where waiting is refused; the one when the time is up is always a null array.
    pub(crate) refused: Otherwise,
}

/// What the keys of a waiting command must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKind {
    /// Elements of a list.
    List,
    /// Members of a sorted set.
    SortedSet,
    /// Entries of a stream.
    Stream,
    /// Entries for a consumer group, which may go away meanwhile.
    Group,
    /// Nothing but the end of a pause: the call was put off.
    Pause,
    /// So many replicas that have got as far as this.
    Replicas { count: usize, offset: u64 },
}

impl WaitKind {
    /// The name TYPE has for it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            WaitKind::List => "list",
            WaitKind::SortedSet => "zset",
            WaitKind::Stream | WaitKind::Group => "stream",
            WaitKind::Pause | WaitKind::Replicas { .. } => "none",
        }
    }
}

/// The null that a command answers which may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Where an element would be.
    Null,
    /// Where an array would be.
    NullArray,
}

impl Otherwise {
    /// Writes it.
    pub(crate) fn write(self, reply: &mut ReplyBuf) {
        match self {
            Otherwise::Null => reply.null(),
            Otherwise::NullArray => reply.null_array(),
        }
    }
}

/// Whether a command that finds nothing may wait.
pub(crate) enum Blocking<'a> {
    /// It answers at once: it is part of a script or a transaction.
    Refused,
    /// It leaves here what it waits for.
    Allowed(&'a mut Option<Wait>),
    /// It has waited, and this key was touched: it may take from no other.
    Serving(&'a [u8], &'a mut bool),
}

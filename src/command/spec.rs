//! The form of a command's row: everything there is to know about a command, once.

use super::args::Args;
use super::context::Context;
use super::keyspec::{KeySpec, Use, UseOfCall};
use crate::error::CommandResult;
use crate::reply::ReplyBuf;
use crate::script::{Ask, Story};

/// A command: its facts and its handler.
pub(crate) struct Command {
    /// The full name in lower case; a subcommand's is `container|name`.
    pub(crate) name: &'static str,
    /// How many arguments, the name counted; a subcommand's container too.
    pub(crate) arity: Arity,
    /// What it does and where it may be called.
    pub(crate) flags: Flags,
    /// Which arguments are keys.
    pub(crate) keys: Keys,
    /// The version of Redis that had it first; our own for what Redis does not have.
    pub(crate) since: &'static str,
    /// What it costs.
    pub(crate) complexity: &'static str,
    /// What it does, in one line.
    pub(crate) summary: &'static str,
    /// What it consists of, if it is a container.
    pub(crate) subcommands: &'static [Command],
    /// What only those want to know who ask for it.
    pub(crate) details: Details,
    /// The handler.
    pub(crate) run: Handler,
}

/// What COMMAND tells of a row, where it cannot be told from the rest of it.
#[derive(Clone, Copy)]
pub(crate) struct Details {
    /// The runs of keys, if `keys` and `uses` do not say all.
    pub(crate) specs: &'static [KeySpec],
    /// What is done to the keys; empty: reads or changes them, as the flags say.
    pub(crate) uses: Use,
    /// The same where it depends on the arguments.
    pub(crate) varies: Option<UseOfCall>,
    /// The ACL categories in place of the one of its group.
    pub(crate) categories: Option<&'static [&'static str]>,
    /// Hints for clients: how to spread a call over a cluster, and what not to rely on.
    pub(crate) tips: &'static [&'static str],
    /// How a call is answered while a script holds the engine.
    pub(crate) beside: Option<Beside>,
}

/// A call that is answered beside the engine, by the script that runs.
#[derive(Clone, Copy)]
pub(crate) struct Beside {
    /// What the script is asked.
    pub(crate) ask: Ask,
    /// Writes the reply, of what the script tells and how many libraries and functions there are.
    pub(crate) write: fn(Option<&Story>, (usize, usize), &mut ReplyBuf),
}

impl Details {
    /// Nothing but what follows from the rest.
    pub(crate) const NONE: Details =
        Details { specs: &[], uses: &[], varies: None, categories: None, tips: &[], beside: None };
}

/// Each of these completes a row.
impl Command {
    /// With these runs of keys.
    pub(super) const fn specs(mut self, specs: &'static [KeySpec]) -> Command {
        self.details.specs = specs;
        self
    }

    /// With this use of its keys.
    pub(super) const fn uses(mut self, uses: Use) -> Command {
        self.details.uses = uses;
        self
    }

    /// With a use of its keys that depends on the arguments.
    pub(super) const fn varies(mut self, varies: UseOfCall) -> Command {
        self.details.varies = Some(varies);
        self
    }

    /// In these ACL categories rather than that of its group.
    pub(super) const fn categories(mut self, categories: &'static [&'static str]) -> Command {
        self.details.categories = Some(categories);
        self
    }

    /// Answered like this while a script holds the engine.
    pub(super) const fn beside(mut self, beside: Beside) -> Command {
        self.details.beside = Some(beside);
        self
    }

    /// With these hints for clients.
    pub(super) const fn tips(mut self, tips: &'static [&'static str]) -> Command {
        self.details.tips = tips;
        self
    }
}

/// Tips that many rows give.
pub(super) mod tips {
    /// The same call may answer otherwise on the same data.
    pub(crate) const VARYING_OUTPUT: &[&str] = &["nondeterministic_output"];
    /// The same call may answer in another order on the same data.
    pub(crate) const VARYING_ORDER: &[&str] = &["nondeterministic_output_order"];
    /// A call may be split by keys, and its answers added up.
    pub(crate) const SPLIT_AND_ADD: &[&str] =
        &["request_policy:multi_shard", "response_policy:agg_sum"];
    /// To be sent to each shard, and to succeed on all.
    pub(crate) const ALL_SHARDS: &[&str] =
        &["request_policy:all_shards", "response_policy:all_succeeded"];
    /// To be sent to each shard, and to succeed on one.
    pub(crate) const ONE_OF_ALL_SHARDS: &[&str] =
        &["request_policy:all_shards", "response_policy:one_succeeded"];
    /// To be sent to each node, and to succeed on all.
    pub(crate) const ALL_NODES: &[&str] =
        &["request_policy:all_nodes", "response_policy:all_succeeded"];
}

type Handler = fn(&mut Context<'_>, Args<'_>) -> CommandResult;

/// The row of a command with keys at fixed places.
#[expect(clippy::too_many_arguments, reason = "one for each fact of a row")]
pub(super) const fn keyed(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: Keys,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    run: Handler,
) -> Command {
    let (subcommands, details) = (&[], Details::NONE);
    Command { name, arity, flags, keys, since, complexity, summary, subcommands, details, run }
}

/// The row of a command with one key, the first argument.
pub(super) const fn one_key(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    run: Handler,
) -> Command {
    keyed(name, arity, flags, Keys::FIRST, since, complexity, summary, run)
}

/// The row of a command without keys at fixed places.
pub(super) const fn keyless(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    run: Handler,
) -> Command {
    keyed(name, arity, flags, Keys::NONE, since, complexity, summary, run)
}

/// The row of a command that consists of subcommands and does nothing by itself.
pub(super) const fn container(
    name: &'static str,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    subcommands: &'static [Command],
) -> Command {
    let row = keyless(name, Arity::AtLeast(2), Flags::NONE, since, complexity, summary, alone);
    Command { subcommands, ..row }
}

/// A container alone: the gates ask for a subcommand, which is found before this is reached.
fn alone(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

/// Commands of one kind, in one file.
pub(crate) struct Family {
    /// What Redis groups them under in its documentation.
    pub(crate) group: Group,
    /// Their rows.
    pub(crate) commands: &'static [Command],
}

/// The groups of commands that exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    /// What Redis does not have.
    Own,
    PubSub,
    Scripting,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
}

impl Group {
    /// The name in Redis's documentation.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::Own => "moonkv",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }

    /// The ACL category of the group's commands, if they have one of their own.
    pub(crate) const fn category(self) -> &'static [&'static str] {
        match self {
            Group::Bitmap => &["bitmap"],
            Group::Connection => &["connection"],
            Group::Generic => &["keyspace"],
            Group::Geo => &["geo"],
            Group::Hash => &["hash"],
            Group::HyperLogLog => &["hyperloglog"],
            Group::List => &["list"],
            Group::PubSub => &["pubsub"],
            Group::Own | Group::Scripting => &["scripting"],
            Group::Cluster | Group::Server => &[],
            Group::Set => &["set"],
            Group::SortedSet => &["sortedset"],
            Group::Stream => &["stream"],
            Group::String => &["string"],
            Group::Transactions => &["transaction"],
        }
    }
}

/// How many arguments a command takes, its name counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    /// Just so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether a number of arguments is right.
    #[inline]
    pub(crate) const fn admits(self, count: usize) -> bool {
        match self {
            Arity::Exactly(n) => count == n,
            Arity::AtLeast(n) => count >= n,
        }
    }
}

/// Where the keys are among the arguments: the first, the last (negative: from the end), and
/// the step from one to the next; none where `first` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) first: i32,
    pub(crate) last: i32,
    pub(crate) step: i32,
}

impl Keys {
    /// No keys, or none at a fixed place.
    pub(crate) const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    /// The first argument.
    pub(crate) const FIRST: Keys = Keys { first: 1, last: 1, step: 1 };
    /// The first two arguments.
    pub(crate) const FIRST_TWO: Keys = Keys { first: 1, last: 2, step: 1 };
    /// All arguments.
    pub(crate) const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
    /// Every other argument, from the first on.
    pub(crate) const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };
}

/// A set of flags, Redis's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const NONE: Flags = Flags(0);
    /// May change data.
    pub(crate) const WRITE: Flags = Flags(1);
    /// Only reads data.
    pub(crate) const READONLY: Flags = Flags(1 << 1);
    /// May make data grow.
    pub(crate) const DENYOOM: Flags = Flags(1 << 2);
    /// Takes constant or logarithmic time.
    pub(crate) const FAST: Flags = Flags(1 << 3);
    /// Scripts may not call it.
    pub(crate) const NOSCRIPT: Flags = Flags(1 << 4);
    /// Allowed while data is loaded.
    pub(crate) const LOADING: Flags = Flags(1 << 5);
    /// Allowed on a replica that has lost its primary.
    pub(crate) const STALE: Flags = Flags(1 << 6);
    /// Not shown to MONITOR.
    pub(crate) const SKIP_MONITOR: Flags = Flags(1 << 7);
    /// Has keys at places that depend on the arguments.
    pub(crate) const MOVABLEKEYS: Flags = Flags(1 << 8);
    /// May be called without keys.
    pub(crate) const NO_MANDATORY_KEYS: Flags = Flags(1 << 9);
    /// Allowed while a script runs past its time.
    pub(crate) const ALLOW_BUSY: Flags = Flags(1 << 10);
    /// May wait for a key to get something.
    pub(crate) const BLOCKING: Flags = Flags(1 << 11);
    /// Allowed before a client has said who it is.
    pub(crate) const NO_AUTH: Flags = Flags(1 << 12);
    /// Not noted as slow: what it runs is.
    pub(crate) const SKIP_SLOWLOG: Flags = Flags(1 << 13);
    /// For who runs the engine.
    pub(crate) const ADMIN: Flags = Flags(1 << 14);
    /// Has to do with channels.
    pub(crate) const PUBSUB: Flags = Flags(1 << 15);
    /// Not allowed while data is loaded in the background.
    pub(crate) const NO_ASYNC_LOADING: Flags = Flags(1 << 16);
    /// Not allowed in a transaction.
    pub(crate) const NO_MULTI: Flags = Flags(1 << 17);
    /// Is run after MULTI rather than queued. Redis has no name for this one.
    pub(crate) const UNQUEUED: Flags = Flags(1 << 31);
    /// Allowed to a client that listens to channels in RESP2. Redis does not show this one.
    pub(crate) const LISTENING: Flags = Flags(1 << 29);
    /// Only reads as far as its flags tell, but may change what replicas would have to be told.
    /// Scripts that promise not to write may not call it. Redis does not show this one either.
    pub(crate) const MAY_WRITE: Flags = Flags(1 << 30);

    /// Every flag of Redis's with its name, in the order in which COMMAND INFO shows them.
    pub(crate) const NAMES: [(Flags, &'static str); 18] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::MOVABLEKEYS, "movablekeys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];

    /// Both sets together.
    pub(crate) const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether one flag or more of another set is in this one.
    pub(crate) const fn has_any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all flags of another set are in this one.
    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

//! Commands: the table of their rows and the one gate to their handlers.
//!
//! Every command, from the host, a client or a script, goes the way in `dispatch.rs` and passes what
//! is in `gate.rs`; `index.rs` finds its row. Handlers parse all arguments, look up, change, reply.
//!
//! A new command is one row and one function in its family's file.

mod acl;
mod admin;
mod args;
mod bitfield;
mod bitmap;
mod blocking;
mod busy;
mod client;
mod config;
mod connection;
mod context;
mod debug;
mod digest;
mod dispatch;
mod dump;
mod effects;
mod expire;
#[cfg(feature = "cli")]
mod foresee;
mod function;
mod gate;
mod generic;
mod geo;
mod geosearch;
mod hash;
mod hosted;
mod hyperloglog;
mod index;
mod info;
mod introspect;
mod keyspec;
mod latency;
mod lcs;
mod list;
mod memory;
mod migrate;
mod monitor;
mod own;
mod partial_sort;
mod permission;
mod persistence;
mod pubsub;
mod random;
mod range;
mod replication;
mod restricted;
mod scan;
mod scripting;
mod server;
mod set;
mod set_algebra;
mod slowlog;
mod sort;
mod spec;
mod stream;
mod stream_claim;
mod stream_group;
mod stream_id;
mod stream_info;
mod stream_read;
mod stream_told;
mod string;
mod tracking;
mod transaction;
mod zset;
mod zset_algebra;

pub(crate) use admin::Ending;
pub(crate) use busy::{Standing, standing};
pub(crate) use config::act;
pub(crate) use connection::leave_all;
pub(crate) use context::{Caller, Context, Host};
pub(crate) use dispatch::{count_waited, dispatch, run, run_hosted, serve};
#[cfg(feature = "cli")]
pub(crate) use foresee::{Foreseen, foresee};
pub(crate) use gate::{Watched, make_room, watched};
pub(crate) use hosted::{Function, Registry, returning};
pub use hosted::{HostCall, HostCommand};
pub(crate) use index::{Found, find, flags_of_call, is_known, numbered};
pub(crate) use introspect::{CATEGORIES, catalog};
pub use introspect::{CommandInfo, commands};
pub(crate) use permission::may_call;
#[cfg(feature = "listen")]
pub(crate) use persistence::install;
pub(crate) use persistence::{keep_files, load_file, save_at_end};
pub(crate) use pubsub::{PSUBSCRIBE, PUBLISH, PUNSUBSCRIBE, SUBSCRIBE, UNSUBSCRIBE};
pub(crate) use scripting::{EVAL, EVALSHA};
pub(crate) use spec::Flags;
pub(crate) use transaction::DISCARD_NAME;

use spec::Family;

/// All commands, by family.
pub(crate) const FAMILIES: &[Family] = &[
    acl::FAMILY,
    admin::CLUSTER,
    admin::FAMILY,
    blocking::LISTS,
    blocking::SORTED_SETS,
    client::FAMILY,
    config::FAMILY,
    connection::FAMILY,
    debug::FAMILY,
    bitfield::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
    info::FAMILY,
    latency::FAMILY,
    lcs::FAMILY,
    sort::FAMILY,
    generic::FAMILY,
    geo::FAMILY,
    dump::FAMILY,
    expire::FAMILY,
    function::FAMILY,
    scan::FAMILY,
    hash::FAMILY,
    introspect::FAMILY,
    list::FAMILY,
    memory::FAMILY,
    migrate::FAMILY,
    monitor::FAMILY,
    own::FAMILY,
    persistence::FAMILY,
    pubsub::FAMILY,
    replication::FAMILY,
    replication::GENERIC,
    scripting::FAMILY,
    server::FAMILY,
    set::FAMILY,
    set_algebra::FAMILY,
    slowlog::FAMILY,
    stream::FAMILY,
    stream_claim::FAMILY,
    stream_group::FAMILY,
    stream_info::FAMILY,
    stream_read::FAMILY,
    string::FAMILY,
    transaction::FAMILY,
    zset::FAMILY,
    zset_algebra::FAMILY,
];

/// The most bytes a string may grow to; arguments are held to `proto-max-bulk-len`.
pub(crate) const ARGUMENT_MOST: usize = 512 << 20;

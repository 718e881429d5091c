//! moonkv: an embedded, in-process, Redis-compatible key-value engine whose point is atomic
//! Lua 5.1 scripting. What SQLite is to a SQL server, moonkv is to Redis.
//!
//! ```
//! use moonkv::{Engine, Reply};
//!
//! # fn main() -> Result<(), moonkv::Error> {
//! let engine = Engine::new()?;
//! engine.command(&["SET", "stock:apple", "3"])?;
//!
//! // One atomic step: take as many as there are, never more.
//! let take = engine.prepare(
//!     "local left = tonumber(redis.call('GET', KEYS[1]))
//!      if left < tonumber(ARGV[1]) then return redis.error_reply('SOLDOUT only ' .. left) end
//!      return redis.call('DECRBY', KEYS[1], ARGV[1])",
//! )?;
//! assert_eq!(take.run(&["stock:apple"], &["2"])?, Reply::Integer(1));
//! let error = take.run(&["stock:apple"], &["2"]).unwrap_err();
//! assert_eq!(error.to_string(), "SOLDOUT only 1");
//! # Ok(())
//! # }
//! ```
//!
//! An [`Engine`] holds keys with values, Redis's data model, and runs Redis's commands and
//! scripts on them. Every script is atomic: while it runs nothing else does, and if it ends in an
//! error nothing it did remains. Scripts are sandboxed, limited in time and memory, and
//! deterministic.

#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::todo))]

#[cfg(all(feature = "lua51", feature = "luajit"))]
compile_error!(
    "the features `lua51` and `luajit` exclude one another: luajit takes --no-default-features"
);
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
compile_error!("one of the features `lua51` and `luajit` brings the Lua that runs scripts");

mod acl;
mod bytes;
#[cfg(feature = "cli")]
pub mod check;
mod clients;
mod clock;
mod command;
mod config;
mod cow;
mod engine;
mod error;
#[cfg(feature = "c-abi")]
mod ffi;
#[cfg(feature = "listen")]
mod follow;
mod glob;
mod keyspace;
#[cfg(feature = "listen")]
mod listen;
mod number;
mod options;
mod persist;
mod rdb;
mod reply;
mod resp;
mod script;
mod server;
mod session;
mod table;
mod transfer;
mod value;
mod words;

pub use clients::{Origin, Waker};
pub use command::{CommandInfo, HostCall, HostCommand, commands};
pub use engine::{Call, Engine, Message, Script, Session, Subscription, Tick, WhenBusy};
pub use error::{Error, Traceback};
#[cfg(feature = "listen")]
pub use listen::{ListenOptions, Listener};
pub use options::{Clock, Limits, LuaFalse, LuaRandom, OnError, Options};
pub use reply::{Item, Protocol, Reply, ReplyBuf, Walker};
pub use script::{LastError, LogCallback, LogLevel, Profile, ScriptStats};
pub use words::split_words;

/// The Rust blocks of the guide and the README, run by `cargo test --doc`.
#[cfg(doctest)]
mod guide {
    #[cfg(feature = "listen")]
    #[doc = include_str!("../docs/listening.md")]
    mod listening {}
    #[doc = include_str!("../docs/scripting.md")]
    mod scripting {}
    #[doc = include_str!("../docs/sessions.md")]
    mod sessions {}
    #[doc = include_str!("../docs/tooling.md")]
    mod tooling {}
    #[doc = include_str!("../README.md")]
    mod readme {}
}

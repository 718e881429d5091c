//! stand-in
mod command;
mod error;
mod glob;
mod keyspace;
mod number;
mod reply;
mod script;
mod table;
mod value;
pub use error::Error;
pub use reply::{Protocol, Reply, ReplyBuf};

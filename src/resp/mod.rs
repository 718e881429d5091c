//! Redis's wire protocol, RESP2 and RESP3.
//!
//! This room turns replies into bytes, and bytes into requests. It knows no commands and no
//! sockets.

#[cfg(feature = "listen")]
mod decode;
mod encode;

#[cfg(feature = "listen")]
pub(crate) use decode::{Allowed, Decoder, Step};
pub(crate) use encode::{encode, request};

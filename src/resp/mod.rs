//! Redis's wire protocol, RESP2 and RESP3.
//!
//! This room turns replies into bytes. It knows no commands and no sockets.

mod encode;

pub(crate) use encode::encode;

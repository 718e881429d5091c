//! The C ABI: a thin skin over [`crate::Engine`], one file per C type.
//!
//! It turns the caller's pointers and lengths into slices, makes one call and walks the reply out
//! into one block of memory. There is no logic here and no command's name. Panics stop here.
//! `include/moonkv.h` is generated from these files by cbindgen, so the comments on public items
//! are written for C programmers: they are the manual. See `tests/header.rs`.

#![expect(non_camel_case_types, reason = "the names are those of the C header")]
#![expect(unreachable_pub, reason = "what the header is made from must be pub for cbindgen")]

mod bytes;
mod call;
mod engine;
mod host;
mod limits;
#[cfg(feature = "listen")]
mod listen;
mod log;
mod options;
mod panic;
mod reply;
mod script;
mod session;
mod statistics;
mod subscription;
mod traceback;
mod version;

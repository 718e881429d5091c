//! The formats behind the libraries that scripts find beside Lua's own: cjson, cmsgpack, struct, bit.
//!
//! Here is what can be said of bytes and numbers alone: how a number is written, what an escape
//! means, where a token ends, how an option of a format string is read. The walks over Lua's values
//! are in `vm/`, since only that room knows Lua.

pub(crate) mod bits;
pub(crate) mod json;
pub(crate) mod msgpack;
pub(crate) mod structure;

//! Which library this is.

use std::ffi::{CStr, c_char};

/// The number of the binary interface: it grows when a program has to be compiled anew.
pub const KV_ABI_VERSION: u32 = 1;

/// The package's version with a NUL at its end.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Which version the library has, as opposed to the header's KV_VERSION.
///
/// @return Static text such as "0.1.0". Never NULL, never freed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_version() -> *const c_char {
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or_default().as_ptr()
}

/// Which binary interface the library has. A program that loads the library at run time should
/// compare it with the KV_ABI_VERSION it was compiled with, and go on only if they are equal.
///
/// @return The library's KV_ABI_VERSION.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn kv_abi_version() -> u32 {
    KV_ABI_VERSION
}

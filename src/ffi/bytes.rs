//! `kv_bytes`, and lists of them, as slices.

use super::panic::Failure;
use smallvec::SmallVec;
use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::slice;

/// A string of any bytes: where it begins and how long it is. Passed by value, always borrowed:
/// no function keeps it after it returns. It needs no NUL at its end and may have NULs within.
/// NULL with length 0 is the empty string; NULL with another length is answered with an error.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct kv_bytes {
    /// The first byte.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

const NULL_DATA: &CStr = c"ERR a string's data is NULL and its length is not 0";
const NULL_LIST: &CStr = c"ERR a list of strings is NULL and its count is not 0";
const LONG: &CStr = c"ERR a string's length is out of range";
#[cfg(not(unix))]
const PATH_TEXT: &CStr = c"ERR a path must be UTF-8";
const MANY: &CStr = c"ERR a list's count is out of range";

/// More than this in one list is a mistake, as it is in Redis.
const MOST: usize = i32::MAX as usize;

impl kv_bytes {
    /// Lends bytes to C.
    pub(super) fn lend(bytes: &[u8]) -> kv_bytes {
        kv_bytes { data: bytes.as_ptr().cast(), len: bytes.len() }
    }

    /// The path that they name; none if they are empty.
    ///
    /// # Safety
    /// As [`kv_bytes::slice`].
    pub(super) unsafe fn path(self) -> Result<Option<PathBuf>, Failure> {
        // SAFETY: the caller's promise.
        match unsafe { self.slice()? } {
            b"" => Ok(None),
            bytes => path_of(bytes).map(Some),
        }
    }

    /// The bytes themselves.
    ///
    /// # Safety
    /// `data`, if not NULL, must point to `len` bytes that stay unchanged for `'a`.
    pub(super) unsafe fn slice<'a>(self) -> Result<&'a [u8], Failure> {
        match (self.data.is_null(), self.len) {
            (_, 0) => Ok(&[]),
            (true, _) => Err(NULL_DATA.into()),
            (false, len) if isize::try_from(len).is_err() => Err(LONG.into()),
            // SAFETY: not NULL, not too long; the rest is the caller's promise.
            (false, len) => Ok(unsafe { slice::from_raw_parts(self.data.cast(), len) }),
        }
    }
}

/// On Unix a path is any bytes.
#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

/// Elsewhere it is text.
#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Result<PathBuf, Failure> {
    std::str::from_utf8(bytes).map(PathBuf::from).map_err(|_| PATH_TEXT.into())
}

/// Room for a list from C as slices: on the stack, if it is a short one. It is filled in place,
/// because moving it costs more than a short list itself.
pub(super) type Room<'a> = SmallVec<[&'a [u8]; 8]>;

/// A list of strings from C.
///
/// # Safety
/// `first`, if not NULL, must point to `count` strings as [`kv_bytes::slice`] needs them.
pub(super) unsafe fn list<'a, 'r>(
    room: &'r mut Room<'a>,
    count: usize,
    first: *const kv_bytes,
) -> Result<&'r [&'a [u8]], Failure> {
    match (first.is_null(), count) {
        (_, 0) => return Ok(&[]),
        (true, _) => return Err(NULL_LIST.into()),
        (false, MOST..) => return Err(MANY.into()),
        (false, _) => room.reserve(count),
    }
    // SAFETY: not NULL, not too many; the rest is the caller's promise.
    for bytes in unsafe { slice::from_raw_parts(first, count) } {
        // SAFETY: the caller's promise.
        room.push(unsafe { bytes.slice()? });
    }
    Ok(room)
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kv_bytes>() == 16);

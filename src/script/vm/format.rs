//! `string.format` and the texts of numbers, without C's printf for what is usual.
//!
//! Most formats have nothing but `%d`, `%s` and the like of `%.2f`, and come to short texts. These are
//! put together here; whatever is not certain to come out as Lua's own does is left to that.

use super::guard::Guard;
use super::peek::{self, Argument, Value};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::cell::Cell;
use std::io::Write;
use std::os::raw::c_int;

/// The longest text that is made here.
const ROOM: usize = 512;

/// Whole numbers below this have up to 14 digits, which is how many Lua writes.
const WHOLE_BELOW: f64 = 1e14;

/// Lua's own `string.format`, which has no upvalues.
pub(super) type Stock = Cell<Option<ffi::lua_CFunction>>;

/// A text while it is put together.
struct Text {
    bytes: [u8; ROOM],
    len: usize,
}

impl Text {
    /// None where there is no room.
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }
}

/// The digits of a whole number, as both `%d` and `%.14g` write it.
#[inline]
pub(super) fn whole(number: f64) -> Option<i64> {
    let whole = number as i64;
    let is_whole = number.abs() < WHOLE_BELOW && whole as f64 == number;
    // A zero may be a negative one, which is written as such.
    (is_whole && (whole != 0 || number.is_sign_positive())).then_some(whole)
}

/// `string.format(format, ...)`
pub(super) unsafe extern "C-unwind" fn format(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let mut text = Text { bytes: [0; ROOM], len: 0 };
        if put_together(&mut text, peek::arguments(l)).is_some() {
            ffi::lua_pushlstring_(l, text.bytes.as_ptr().cast(), text.len);
            return 1;
        }
        match Guard::of_state(l).fixtures.format.get() {
            Some(function) => function(l),
            None => ffi::luaL_error(l, c"this function is not available".as_ptr()),
        }
    }
}

/// Puts a format and its arguments together; none if that is not to be done here.
///
/// # Safety
/// The arguments stay on the stack.
#[inline]
unsafe fn put_together(text: &mut Text, arguments: &[Value]) -> Option<()> {
    let (format, mut arguments) = arguments.split_first()?;
    // SAFETY: the caller's promise.
    let Argument::Text(mut rest) = (unsafe { format.read() }) else { return None };
    while let Some(percent) = memchr::memchr(b'%', rest) {
        let (before, directive) = rest.split_at_checked(percent)?;
        text.put(before)?;
        if let [b'%', b'%', behind @ ..] = directive {
            text.put(b"%")?;
            rest = behind;
            continue;
        }
        let (argument, others) = arguments.split_first()?;
        arguments = others;
        // SAFETY: the caller's promise.
        let argument = unsafe { argument.read() };
        rest = put_argument(text, directive.get(1..)?, &argument)?;
    }
    text.put(rest)
}

/// Writes an argument as the directive, whose `%` is gone, says; what is behind that.
#[inline]
fn put_argument<'a>(
    text: &mut Text,
    directive: &'a [u8],
    argument: &Argument<'_>,
) -> Option<&'a [u8]> {
    let (&kind, behind) = directive.split_first()?;
    match (kind, argument) {
        (b'd' | b's', &Argument::Number(number)) => {
            text.put(itoa::Buffer::new().format(whole(number)?).as_bytes())?;
        }
        // C ends a text at a zero.
        (b's', Argument::Text(bytes)) if bytes.len() < ROOM && !bytes.contains(&0) => {
            text.put(bytes)?;
        }
        (b'0'..=b'9' | b'.', &Argument::Number(number)) => {
            return put_fixed(text, directive, number);
        }
        _ => return None,
    }
    Some(behind)
}

/// The same for a number with so many places behind its point: `%.2f`, `%5.2f`.
fn put_fixed<'a>(text: &mut Text, directive: &'a [u8], number: f64) -> Option<&'a [u8]> {
    let (width, rest) = digit(directive);
    let (places, rest) = digit(rest.strip_prefix(b".")?);
    let behind = rest.strip_prefix(b"f")?;
    // Of a long number Rust writes all digits too, but slowly.
    if !number.is_finite() || number.abs() >= WHOLE_BELOW || width == Some(0) {
        return None;
    }
    let mut room = text.bytes.get_mut(text.len..)?;
    let before = room.len();
    write!(room, "{number:>0$.1$}", width.unwrap_or(0), places?).ok()?;
    text.len += before - room.len();
    Some(behind)
}

/// The one digit in front, if there is one, and what is behind it. A second digit is left there.
fn digit(text: &[u8]) -> (Option<usize>, &[u8]) {
    match text.split_first() {
        Some((digit @ b'0'..=b'9', rest)) => (Some(usize::from(digit - b'0')), rest),
        _ => (None, text),
    }
}

//! What was being called when a script failed, in the words of Lua 5.1's `debug.traceback`.
//!
//! The trace is taken by the message handler of a run, where the calls are still on the stack: an
//! error that the script catches costs nothing.

use super::base;
use super::bridge::Bridge;
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::ffi::{CStr, c_char};
use std::os::raw::c_int;

/// So many of the innermost calls are told.
const INNERMOST: c_int = 10;
/// So many of the outermost.
const OUTERMOST: c_int = 10;

/// The calls that were under way, the innermost first.
#[derive(Default)]
pub(crate) struct Trace {
    /// The line of the innermost call that is Lua's.
    pub(crate) line: Option<u32>,
    pub(crate) frames: Vec<String>,
}

/// The message handler of a run: takes the trace, then makes the error what callers see.
pub(super) unsafe extern "C-unwind" fn traced_handler(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua, as a closure made by `sandbox::push_function`, on a state with a bridge.
    // Taking the trace raises nothing, and owns nothing any more when the handler goes on.
    unsafe {
        (*Bridge::of_state(l)).trace = Some(Trace::of(l));
        base::error_handler(l)
    }
}

impl Trace {
    /// # Safety
    /// Called from a message handler, which is level 0. Cannot raise.
    unsafe fn of(l: *mut lua_State) -> Trace {
        let mut trace = Trace::default();
        // SAFETY: the levels are there; lua_Debug is plain data that lua_getinfo fills.
        unsafe {
            let count = count_levels(l);
            for level in 1..count {
                if level > INNERMOST && level < count - OUTERMOST {
                    if level == INNERMOST + 1 {
                        trace.frames.push("...".to_owned());
                    }
                    continue;
                }
                let mut frame: ffi::lua_Debug = std::mem::zeroed();
                ffi::lua_getstack(l, level, &raw mut frame);
                ffi::lua_getinfo(l, c"Snl".as_ptr(), &raw mut frame);
                let is_engine = level == count - 1 && text(frame.what) == "C";
                if !is_engine {
                    trace.add(&frame);
                }
            }
        }
        trace
    }

    /// # Safety
    /// The frame was filled, and its texts are alive.
    unsafe fn add(&mut self, frame: &ffi::lua_Debug) {
        let line = u32::try_from(frame.currentline).ok().filter(|line| *line > 0);
        self.line = self.line.or(line);
        // SAFETY: the caller's promise.
        unsafe { self.frames.push(describe(frame, line)) };
    }
}

/// How many levels the stack has: found by halving, as each look walks the stack.
///
/// # Safety
/// Called from a C function. Cannot raise.
unsafe fn count_levels(l: *mut lua_State) -> c_int {
    // SAFETY: the caller's promise; the frame is written, never read.
    let is_there = |level| unsafe {
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        ffi::lua_getstack(l, level, &raw mut frame) != 0
    };
    let (mut inside, mut beyond) = (0, 1);
    while is_there(beyond) {
        (inside, beyond) = (beyond, beyond * 2);
    }
    while beyond - inside > 1 {
        let middle = inside + (beyond - inside) / 2;
        match is_there(middle) {
            true => inside = middle,
            false => beyond = middle,
        }
    }
    beyond
}

/// A call in one line.
///
/// # Safety
/// As [`Trace::add`].
unsafe fn describe(frame: &ffi::lua_Debug, line: Option<u32>) -> String {
    // SAFETY: the caller's promise.
    let [name, kind, what, source] = unsafe {
        [frame.name, frame.namewhat, frame.what, frame.short_src.as_ptr()].map(|at| text(at))
    };
    let place = match line {
        Some(line) => format!("{source}:{line}:"),
        None => format!("{source}:"),
    };
    match what {
        _ if !kind.is_empty() => format!("{place} in function '{name}'"),
        "main" => format!("{place} in main chunk"),
        "C" | "tail" => format!("{place} ?"),
        _ => format!("{place} in function <{source}:{}>", frame.linedefined),
    }
}

/// A text of Lua's; empty if there is none. What is no UTF-8, in a name that somebody gave to `load`,
/// is left out.
///
/// # Safety
/// Null, or a C string that stays while the text is used.
pub(super) unsafe fn text<'a>(at: *const c_char) -> &'a str {
    match at.is_null() {
        true => "",
        // SAFETY: the caller's promise.
        false => unsafe { CStr::from_ptr(at) }.to_str().unwrap_or_default(),
    }
}

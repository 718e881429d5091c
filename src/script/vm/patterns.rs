//! `string.find`, `match`, `gmatch` and `gsub`, on the matcher in `script/pattern`.
//!
//! The stock functions recurse on the host's stack and look at no limits. Here the matcher does the
//! search in one go, owns its buffers in the guard, and gives back plain data; only then results are
//! pushed, errors raised and the script's functions called. Argument checks and error texts are Lua
//! 5.1's.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::os::raw::c_int;
use std::ptr;

use mlua_sys as ffi;
use mlua_sys::lua_State;

use super::guard::Guard;
use super::peek::{self, Argument};
use crate::script::pattern::{self, Captured, Fault, Limits, Matcher, Span, Task};

/// Steps of a search between two looks at the limits; a step takes some nanoseconds.
const STEP_INTERVAL: i64 = 4_096;
/// Plain bytes searched that count as one unit of announced work.
const BYTES_A_UNIT: usize = 256;
/// What [`gsub`] keeps in its own frame.
const NEAR_BYTES: usize = 256;

/// Stack slots that a C function has left here, of the 20 that Lua promises beside its arguments.
const FREE_SLOTS: usize = 8;

/// The matcher of one state.
pub(super) struct Patterns {
    matcher: UnsafeCell<Matcher>,
    steps: Cell<i64>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Self { matcher: UnsafeCell::new(Matcher::new()), steps: Cell::new(STEP_INTERVAL) }
    }

    /// Begins a run: steps are counted anew, so that an instruction limit ends the same script at the
    /// same place.
    pub(super) fn begin(&self) {
        self.steps.set(STEP_INTERVAL);
    }

    /// Ends a run: a long text that a raise kept from being given back is.
    pub(super) fn end(&self) {
        // SAFETY: no search is under way between runs.
        unsafe { (*self.matcher.get()).drop_output() };
    }
}

/// The limits of a run, as a search sees them. A step counts as an instruction.
struct RunLimits<'a> {
    l: *mut lua_State,
    guard: &'a Guard,
}

impl Limits for RunLimits<'_> {
    fn steps(&self) -> &Cell<i64> {
        &self.guard.patterns.steps
    }

    fn go_on(&self) -> bool {
        let steps = self.steps();
        let taken = STEP_INTERVAL.saturating_sub(steps.replace(STEP_INTERVAL));
        self.guard.count(u64::try_from(taken).unwrap_or(0));
        !self.guard.check()
    }

    fn permits(&self, bytes: usize) -> bool {
        // SAFETY: a search runs below a C function, and collecting garbage raises nothing.
        unsafe { self.guard.make_room(self.l, bytes) };
        self.guard.permits(bytes)
    }
}

/// Raises a search's fault. What the limits said is raised as doom.
///
/// # Safety
/// Called from a C function that owns nothing.
#[cold]
unsafe fn raise(l: *mut lua_State, guard: &Guard, fault: Fault) -> c_int {
    // SAFETY: the caller owns nothing; %s takes a C string.
    unsafe {
        guard.reraise(l);
        ffi::luaL_error(l, c"%s".as_ptr(), fault.text().as_ptr())
    }
}

/// The string argument at an index; a number there becomes its text, anything else is an error.
///
/// # Safety
/// Called from a C function that owns nothing; the argument stays on the stack while the result is in
/// use.
unsafe fn check_text<'a>(l: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the caller's promise.
    unsafe {
        let text = ffi::luaL_checklstring(l, index, &raw mut length);
        std::slice::from_raw_parts(text.cast::<u8>(), length)
    }
}

/// The subject and the pattern, arguments 1 and 2.
///
/// # Safety
/// As [`check_text`].
#[inline]
unsafe fn check_texts<'a>(l: *mut lua_State) -> (&'a [u8], &'a [u8]) {
    // SAFETY: the caller's promise.
    unsafe {
        if let [subject, pattern, ..] = peek::arguments(l)
            && let (Argument::Text(subject), Argument::Text(pattern)) =
                (subject.read(), pattern.read())
        {
            return (subject, pattern);
        }
        (check_text(l, 1), check_text(l, 2))
    }
}

/// Where a search begins, argument 3, counted from 0.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
unsafe fn check_start(l: *mut lua_State, length: usize) -> usize {
    // SAFETY: the caller owns nothing.
    let start = unsafe {
        if peek::arguments(l).len() < 3 {
            return 0;
        }
        ffi::luaL_optinteger(l, 3, 1)
    };
    let from_end = if start < 0 { length as i64 + 1 } else { 0 };
    let start = (start as i64).saturating_add(from_end);
    usize::try_from(start.saturating_sub(1)).unwrap_or(0).min(length)
}

/// Searches; what it found is plain data, its captures are in the matcher until the next search.
///
/// # Safety
/// Called from a C function, on a state whose guard this is.
#[inline]
unsafe fn search(
    l: *mut lua_State,
    guard: &Guard,
    task: &Task<'_>,
    from: usize,
) -> Result<Option<Span>, Fault> {
    // SAFETY: nobody else uses the matcher during a search: a search calls nothing of Lua's but the
    // collector, which runs no code.
    let matcher = unsafe { &mut *guard.patterns.matcher.get() };
    matcher.find(task, from, &RunLimits { l, guard })
}

/// Pushes the captures of the last match; when there are none and `or_whole`, the match. Gives their
/// number.
///
/// # Safety
/// Called from a C function that owns nothing, directly after the search.
#[inline]
unsafe fn push_captures(
    l: *mut lua_State,
    guard: &Guard,
    subject: &[u8],
    whole: Span,
    or_whole: bool,
) -> c_int {
    // SAFETY: the caller's promise; a push runs no code that searches.
    unsafe {
        let count = (*guard.patterns.matcher.get()).captures().max(usize::from(or_whole));
        if count > FREE_SLOTS {
            ffi::luaL_checkstack_(l, count as c_int, c"too many captures".as_ptr());
        }
        for index in 0..count {
            push_capture(l, guard, subject, whole, index);
        }
        count as c_int
    }
}

/// # Safety
/// As [`push_captures`], with a free stack slot.
#[inline]
unsafe fn push_capture(
    l: *mut lua_State,
    guard: &Guard,
    subject: &[u8],
    whole: Span,
    index: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match (*guard.patterns.matcher.get()).capture(index, whole) {
            Ok(Captured::Text(span)) => push_part(l, subject, span),
            Ok(Captured::Position(at)) => ffi::lua_pushnumber(l, (at + 1) as f64),
            Err(fault) => {
                raise(l, guard, fault);
            }
        }
    }
}

/// # Safety
/// Called from a C function that owns nothing, with a free stack slot.
#[inline]
unsafe fn push_part(l: *mut lua_State, subject: &[u8], part: Span) {
    let part = subject.get(part.start..part.end).unwrap_or_default();
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_pushlstring_(l, part.as_ptr().cast(), part.len()) };
}

/// `string.find(s, pattern [, init [, plain]])`
pub(super) unsafe extern "C-unwind" fn find(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let (subject, pattern) = check_texts(l);
        let from = check_start(l, subject.len());
        let plain = peek::arguments(l).len() > 3 && ffi::lua_toboolean(l, 4) != 0;
        if plain || pattern::is_plain(pattern) {
            return find_plain(l, guard, subject, pattern, from);
        }
        match search(l, guard, &Task::new(subject, pattern), from) {
            Ok(Some(found)) => {
                ffi::lua_pushnumber(l, (found.start + 1) as f64);
                ffi::lua_pushnumber(l, found.end as f64);
                2 + push_captures(l, guard, subject, found, false)
            }
            Ok(None) => push_nil(l),
            Err(fault) => raise(l, guard, fault),
        }
    }
}

/// # Safety
/// Called from a C function that owns nothing.
unsafe fn find_plain(
    l: *mut lua_State,
    guard: &Guard,
    subject: &[u8],
    text: &[u8],
    from: usize,
) -> c_int {
    let rest = subject.get(from..).unwrap_or_default();
    let found = pattern::find_text(rest, text);
    // SAFETY: the caller's promise; the search is over and owned nothing that is left.
    unsafe {
        guard.work(l, (found.unwrap_or(rest.len()) + text.len()) / BYTES_A_UNIT);
        let Some(found) = found else { return push_nil(l) };
        let start = from + found;
        ffi::lua_pushnumber(l, (start + 1) as f64);
        ffi::lua_pushnumber(l, (start + text.len()) as f64);
        2
    }
}

/// # Safety
/// A free stack slot.
unsafe fn push_nil(l: *mut lua_State) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_pushnil(l) };
    1
}

/// `string.match(s, pattern [, init])`
pub(super) unsafe extern "C-unwind" fn r#match(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let (subject, pattern) = check_texts(l);
        let from = check_start(l, subject.len());
        match search(l, guard, &Task::new(subject, pattern), from) {
            Ok(Some(found)) => push_captures(l, guard, subject, found, true),
            Ok(None) => push_nil(l),
            Err(fault) => raise(l, guard, fault),
        }
    }
}

/// `string.gmatch(s, pattern)`; its older name is `string.gfind`.
pub(super) unsafe extern "C-unwind" fn gmatch(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        check_text(l, 1);
        check_text(l, 2);
        ffi::lua_settop(l, 2);
        ffi::lua_pushnumber(l, 0.0);
        ffi::lua_pushcclosure(l, gmatch_next, 3);
        1
    }
}

/// The function that `gmatch` gives. Its upvalues are the subject, the pattern, and where the next
/// search begins.
unsafe extern "C-unwind" fn gmatch_next(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything, and upvalues outlive the call.
    unsafe {
        let guard = Guard::of_state(l);
        let subject = check_text(l, ffi::lua_upvalueindex(1));
        let pattern = check_text(l, ffi::lua_upvalueindex(2));
        let place = ffi::lua_upvalueindex(3);
        let from = ffi::lua_tonumber(l, place) as usize;
        let Some(found) = next_match(l, guard, subject, pattern, from) else { return 0 };
        ffi::lua_pushnumber(l, behind(found));
        ffi::lua_replace(l, place);
        push_captures(l, guard, subject, found, true)
    }
}

/// The same for `gmatch` as LuaJIT has it (`dialect.rs`). Subject, pattern and place are the elements
/// of a list, whose other users know them to be texts and a number.
#[cfg(feature = "luajit")]
pub(super) unsafe extern "C-unwind" fn gmatch_step(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with such a list, which keeps its elements; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        (1..=3).for_each(|index| ffi::lua_rawgeti_(l, 1, index));
        let (subject, pattern) = (check_text(l, 2), check_text(l, 3));
        let from = ffi::lua_tonumber(l, 4) as usize;
        let Some(found) = next_match(l, guard, subject, pattern, from) else { return 0 };
        ffi::lua_pushnumber(l, behind(found));
        ffi::lua_rawseti_(l, 1, 3);
        push_captures(l, guard, subject, found, true)
    }
}

/// The match that comes next, if one does.
///
/// # Safety
/// Called from a C function that owns nothing.
#[inline]
unsafe fn next_match(
    l: *mut lua_State,
    guard: &Guard,
    subject: &[u8],
    pattern: &[u8],
    from: usize,
) -> Option<Span> {
    if from > subject.len() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe {
        match search(l, guard, &Task::unanchored(subject, pattern), from) {
            Ok(found) => found,
            Err(fault) => {
                raise(l, guard, fault);
                None
            }
        }
    }
}

/// Where the search behind a match begins: an empty one is not to be found again.
fn behind(found: Span) -> f64 {
    (found.end + usize::from(found.end == found.start)) as f64
}

/// `string.gsub(s, pattern, by [, n])`
pub(super) unsafe extern "C-unwind" fn gsub(l: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing here owns anything.
    unsafe {
        let guard = Guard::of_state(l);
        let (subject, pattern) = check_texts(l);
        let kind = ffi::lua_type(l, 3);
        // As in Lua, the number is cut to a C int before it is looked at.
        let most = ffi::luaL_optinteger(l, 4, subject.len() as ffi::lua_Integer + 1) as i32;
        let most = usize::try_from(most).unwrap_or(0);
        let task = Task::new(subject, pattern);
        match kind {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => gsub_by_text(l, guard, &task, most),
            ffi::LUA_TTABLE | ffi::LUA_TFUNCTION => gsub_by_call(l, guard, &task, most),
            _ => {
                ffi::luaL_argcheck(l, 0, 3, c"string/function/table expected".as_ptr());
                0
            }
        }
    }
}

/// # Safety
/// Called from a C function that owns nothing, with a text or number at index 3.
unsafe fn gsub_by_text(l: *mut lua_State, guard: &Guard, task: &Task<'_>, most: usize) -> c_int {
    // SAFETY: the caller's promise. The matcher is the guard's, so that a raise in the push loses
    // nothing, and nobody else uses it meanwhile.
    unsafe {
        let by = check_text(l, 3);
        let matcher = guard.patterns.matcher.get();
        match (*matcher).substitute(task, by, most, &RunLimits { l, guard }) {
            Ok(0) => {
                ffi::lua_pushvalue(l, 1);
                ffi::lua_pushnumber(l, 0.0);
                2
            }
            Ok(count) => {
                let output = (*matcher).output();
                ffi::lua_pushlstring_(l, output.as_ptr().cast(), output.len());
                (*matcher).drop_output();
                ffi::lua_pushnumber(l, count as f64);
                2
            }
            Err(fault) => {
                (*matcher).drop_output();
                raise(l, guard, fault)
            }
        }
    }
}

/// Bytes in the C function's frame, and when they are more than that has room for, in a userdata of
/// Lua's, which collects it whenever a script's function raises.
struct Buffer {
    start: *mut u8,
    length: usize,
    capacity: usize,
    /// The stack index of the userdata.
    slot: c_int,
}

impl Buffer {
    /// # Safety
    /// As for [`gsub_by_call`]; `bytes` is not of this buffer.
    unsafe fn put(&mut self, l: *mut lua_State, guard: &Guard, bytes: &[u8]) {
        // SAFETY: the caller's promise; there is room behind `length`.
        unsafe {
            if self.capacity - self.length < bytes.len() {
                self.grow(l, guard, bytes.len());
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.length), bytes.len());
        }
        self.length += bytes.len();
    }

    /// # Safety
    /// As [`Buffer::put`].
    #[cold]
    unsafe fn grow(&mut self, l: *mut lua_State, guard: &Guard, more: usize) {
        let capacity = self.length.saturating_add(more.max(self.length));
        // SAFETY: the caller's promise; the old userdata is on the stack until it is copied.
        unsafe {
            guard.make_room(l, capacity);
            let start = ffi::lua_newuserdata(l, capacity).cast::<u8>();
            if self.length > 0 {
                ptr::copy_nonoverlapping(self.start, start, self.length);
            }
            ffi::lua_replace(l, self.slot);
            (self.start, self.capacity) = (start, capacity);
        }
    }
}

/// # Safety
/// Called from a C function that owns nothing, with a table or function at index 3.
unsafe fn gsub_by_call(l: *mut lua_State, guard: &Guard, task: &Task<'_>, most: usize) -> c_int {
    const SLOT: c_int = 4;
    let subject = task.subject;
    // SAFETY: the caller's promise. Whatever a called function does, the arguments stay on the stack,
    // and between two searches nothing of the matcher is in use.
    unsafe {
        ffi::lua_settop(l, 3);
        ffi::lua_pushnil(l);
        let mut near = [MaybeUninit::<u8>::uninit(); NEAR_BYTES];
        let start = near.as_mut_ptr().cast();
        let mut buffer = Buffer { start, length: 0, capacity: NEAR_BYTES, slot: SLOT };
        let (mut at, mut count) = (0, 0_usize);
        while count < most {
            let found = match search(l, guard, task, at) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(fault) => return raise(l, guard, fault),
            };
            count += 1;
            push_replacement(l, guard, subject, found);
            buffer.put(l, guard, subject.get(at..found.start).unwrap_or_default());
            buffer.put(l, guard, result_text(l, subject, found));
            ffi::lua_settop(l, SLOT);
            at = found.end;
            if found.end == found.start {
                let Some(byte) = subject.get(at..=at) else { break };
                buffer.put(l, guard, byte);
                at += 1;
            }
            if task.is_anchored() {
                break;
            }
        }
        if count == 0 {
            ffi::lua_pushvalue(l, 1);
        } else {
            buffer.put(l, guard, subject.get(at..).unwrap_or_default());
            ffi::lua_pushlstring_(l, buffer.start.cast(), buffer.length);
        }
        ffi::lua_pushnumber(l, count as f64);
        2
    }
}

/// Pushes what the function or the table at index 3 gives for a match.
///
/// # Safety
/// As [`gsub_by_call`], directly after the search.
unsafe fn push_replacement(l: *mut lua_State, guard: &Guard, subject: &[u8], found: Span) {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_type(l, 3) == ffi::LUA_TFUNCTION {
            ffi::lua_pushvalue(l, 3);
            let count = push_captures(l, guard, subject, found, true);
            guard.call(l, count, 1);
        } else {
            push_capture(l, guard, subject, found, 0);
            let depth = guard.deepen(l);
            ffi::lua_gettable_(l, 3);
            guard.rise(depth);
        }
    }
}

/// The text on top of the stack; for nil and false the match stays.
///
/// # Safety
/// As [`gsub_by_call`]; the value stays on the stack while the result is in use.
unsafe fn result_text(l: *mut lua_State, subject: &[u8], found: Span) -> &[u8] {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(Argument::Text(text)) = peek::arguments(l).last().map(|value| value.read()) {
            return text;
        }
        if ffi::lua_toboolean(l, -1) == 0 {
            return subject.get(found.start..found.end).unwrap_or_default();
        }
        if ffi::lua_isstring(l, -1) == 0 {
            let kind = ffi::lua_typename(l, ffi::lua_type(l, -1));
            ffi::luaL_error(l, c"invalid replacement value (a %s)".as_ptr(), kind);
        }
        check_text(l, -1)
    }
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;

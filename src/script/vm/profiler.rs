//! The profiler: Lua's hooks for calls, returns and lines, with a clock.
//!
//! What goes by between two events is the time of the place before; what the hook itself takes is
//! nobody's. Errors leave functions without a return, so each event tells by its depth which of the
//! calls that were noted are still there.

use super::call::{redis_call, redis_pcall};
use super::guard::{Guard, on_count};
use super::{pull, trace};
use crate::script::profile::{CallTree, Frame, NodeId, ROOT};
use mlua_sys as ffi;
use mlua_sys::lua_State;
use std::mem::offset_of;
use std::os::raw::{c_char, c_int};
use std::time::Instant;

/// The events a profile needs, beside those of the limits.
pub(super) const EVENTS: c_int =
    ffi::LUA_MASKCOUNT | ffi::LUA_MASKCALL | ffi::LUA_MASKRET | ffi::LUA_MASKLINE;

/// The longest name of a command that is shown.
const NAME_MOST: usize = 32;

/// A function in Lua: the text it is in, and the line where it begins.
type Identity = (*const c_char, c_int);

/// A call that is under way.
struct Call {
    /// How deep it is on its stack.
    depth: c_int,
    /// Where it was made.
    from: NodeId,
    /// Where it is.
    at: NodeId,
    identity: Identity,
    /// Its name, by number.
    name: u32,
}

/// The calls of the main state, or of a coroutine.
struct Stack {
    state: *mut lua_State,
    calls: Vec<Call>,
    /// Where it was begun.
    from: NodeId,
}

/// One profile while it is made.
pub(super) struct Profiler {
    tree: CallTree,
    stacks: Vec<Stack>,
    at: NodeId,
    /// When the last event was over; none before the first.
    since: Option<Instant>,
}

/// The hook of a run that is profiled.
pub(super) unsafe extern "C-unwind" fn on_event(l: *mut lua_State, event: *mut ffi::lua_Debug) {
    // SAFETY: Lua calls hooks with a live state, free stack slots and the event. What is borrowed
    // here is given back before the limits may raise.
    unsafe {
        if (*event).event == ffi::LUA_HOOKCOUNT {
            return on_count(l, event);
        }
        if let Some(profiler) = &mut *Guard::of_state(l).profiler.borrow_mut() {
            profiler.note(l, event);
        }
    }
}

impl Profiler {
    pub(super) fn new() -> Profiler {
        Profiler { tree: CallTree::default(), stacks: Vec::new(), at: ROOT, since: None }
    }

    /// Ends the profile.
    pub(super) fn finish(self) -> CallTree {
        self.tree
    }

    /// Lua is left: what goes by from now on is the engine's time.
    pub(super) fn leave(&mut self) {
        self.account();
        (self.since, self.at) = (None, ROOT);
        self.stacks.clear();
    }

    fn account(&mut self) {
        if let Some(since) = self.since.filter(|_| self.at != ROOT) {
            self.tree.spend(self.at, since.elapsed());
        }
    }

    /// # Safety
    /// Called from a hook with its event. Cannot raise.
    unsafe fn note(&mut self, l: *mut lua_State, event: *mut ffi::lua_Debug) {
        self.account();
        let stack = self.stack(l);
        // SAFETY: the caller's promise.
        unsafe {
            match (*event).event {
                ffi::LUA_HOOKCALL => self.call(stack, l, event),
                ffi::LUA_HOOKRET => self.cut(stack, depth(event)),
                ffi::LUA_HOOKLINE => self.line(stack, l, event),
                // The caller of a tail call, which was left when that was made.
                _ => (),
            }
        }
        if let Some(stack) = self.stacks.get(stack) {
            self.at = stack.calls.last().map_or(stack.from, |call| call.at);
        }
        self.since = Some(Instant::now());
    }

    /// The number of a state's stack.
    fn stack(&mut self, state: *mut lua_State) -> usize {
        // A coroutine is mostly the latest one.
        if let Some(place) = self.stacks.iter().rposition(|stack| stack.state == state) {
            return place;
        }
        self.stacks.push(Stack { state, calls: Vec::new(), from: self.at });
        self.stacks.len() - 1
    }

    /// Forgets calls from a depth on.
    fn cut(&mut self, stack: usize, depth: c_int) {
        let Some(stack) = self.stacks.get_mut(stack) else { return };
        while stack.calls.pop_if(|call| call.depth >= depth).is_some() {}
    }

    /// # Safety
    /// As [`Profiler::note`].
    unsafe fn call(&mut self, stack: usize, l: *mut lua_State, event: *mut ffi::lua_Debug) {
        // SAFETY: the caller's promise.
        let depth = unsafe { depth(event) };
        self.cut(stack, depth);
        // SAFETY: the same; the function is pushed and popped.
        let frame = unsafe {
            ffi::lua_getinfo(l, c"nS".as_ptr(), event);
            let is_native = trace::text((*event).what) == "C";
            if is_native { Some(self.native(l, event)) } else { None }
        };
        // SAFETY: the same.
        let (identity, name) = unsafe { (identity(event), self.name(event)) };
        let Some(stack) = self.stacks.get_mut(stack) else { return };
        if stack.calls.is_empty() {
            // A coroutine that has just begun, perhaps where an older one was.
            stack.from = self.at;
        }
        let from = stack.calls.last().map_or(stack.from, |call| call.at);
        let at = match frame {
            Some(Some(frame)) => self.tree.enter(from, frame),
            // Of a function in Lua the line is still to come; the engine's own frames have no name.
            _ => from,
        };
        stack.calls.push(Call { depth, from, at, identity, name });
    }

    /// # Safety
    /// As [`Profiler::note`].
    unsafe fn line(&mut self, stack: usize, l: *mut lua_State, event: *mut ffi::lua_Debug) {
        // SAFETY: the caller's promise.
        let (depth, identity, line) = unsafe {
            ffi::lua_getinfo(l, c"S".as_ptr(), event);
            (depth(event), identity(event), (*event).currentline)
        };
        self.cut(stack, depth + 1);
        // SAFETY: the same.
        let other = unsafe { self.name(event) };
        let Some(stack) = self.stacks.get_mut(stack) else { return };
        if stack.calls.last().is_none_or(|call| call.depth < depth) {
            let from = stack.calls.last().map_or(stack.from, |call| call.at);
            stack.calls.push(Call { depth, from, at: from, identity, name: other });
        }
        let Some(call) = stack.calls.last_mut() else { return };
        if call.identity != identity {
            // A tail call has taken the place of its caller.
            (call.identity, call.name) = (identity, other);
        }
        let line = u32::try_from(line).unwrap_or(0);
        call.at = self.tree.enter(call.from, Frame::Line(call.name, line));
    }

    /// The number of a name for a function in Lua.
    ///
    /// # Safety
    /// The event's source, and its name if there is one, were filled.
    unsafe fn name(&mut self, event: *mut ffi::lua_Debug) -> u32 {
        // SAFETY: the caller's promise.
        let (what, name, line) = unsafe {
            let name = match (*event).event {
                ffi::LUA_HOOKCALL => trace::text((*event).name),
                _ => "",
            };
            (trace::text((*event).what), name, (*event).linedefined)
        };
        match (what, name) {
            ("main", _) => self.tree.number("main"),
            (_, "") => self.tree.number(&format!("function@{line}")),
            (_, name) => self.tree.number(name),
        }
    }

    /// The frame of a function in C; none for one that nothing in Lua has called.
    ///
    /// # Safety
    /// As [`Profiler::note`], in the event of its call, whose arguments are on the stack.
    unsafe fn native(&mut self, l: *mut lua_State, event: *mut ffi::lua_Debug) -> Option<Frame> {
        // SAFETY: the caller's promise; a hook has free stack slots.
        let (function, name) = unsafe {
            ffi::lua_getinfo(l, c"f".as_ptr(), event);
            let function = ffi::lua_tocfunction(l, -1).map(|function| function as usize);
            ffi::lua_settop(l, -2);
            (function, trace::text((*event).name))
        };
        let is = |own: ffi::lua_CFunction| function == Some(own as usize);
        let own = match () {
            () if is(redis_call) => "redis.call",
            () if is(redis_pcall) => "redis.pcall",
            () if name.is_empty() => return None,
            () => return Some(Frame::Native(self.tree.number(name))),
        };
        // SAFETY: the first argument, if there is one.
        let command = unsafe { if ffi::lua_gettop(l) > 0 { pull::text(l, 1) } else { None } };
        let command = command.unwrap_or_default();
        let command = String::from_utf8_lossy(command.get(..NAME_MOST).unwrap_or(command));
        let shown = |c: char| if c.is_ascii_graphic() && c != ';' { c } else { '?' };
        let command: String = command.chars().map(shown).collect();
        let label = format!("{own} {}", command.to_ascii_uppercase());
        Some(Frame::Command(self.tree.number(&label)))
    }
}

/// How deep the call of an event is. Lua keeps that behind what it shows.
///
/// # Safety
/// The event is a hook's.
unsafe fn depth(event: *mut ffi::lua_Debug) -> c_int {
    // SAFETY: the text is followed by an int in Lua 5.1's layout, which ends with it.
    unsafe {
        let shown = offset_of!(ffi::lua_Debug, short_src) + (*event).short_src.len();
        event.byte_add(shown).cast::<c_int>().read()
    }
}

/// # Safety
/// The event's source was filled.
unsafe fn identity(event: *mut ffi::lua_Debug) -> Identity {
    // SAFETY: the caller's promise.
    unsafe { ((*event).source, (*event).linedefined) }
}

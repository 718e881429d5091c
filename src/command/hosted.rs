//! Commands that the host adds: functions of its own, registered under a name.
//!
//! They are looked up where the table of built-in commands has no such name, pass the same gates
//! and may run commands themselves. What one does is undone if it fails, so that it is a command
//! like any other: one that answers with an error has changed nothing.

use super::context::{Caller, Context};
use super::gate::{Gated, check_standing, is_read_only, pass, writes};
use super::permission::permit_hosted;
use super::spec::{Arity, Flags, Keys};
use super::{dispatch, find};
use crate::error::{CommandError, CommandResult, Error};
use crate::keyspace::Keyspace;
use crate::reply::{Protocol, Reply, ReplyBuf};
use crate::server::Server;
use smallvec::SmallVec;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// The longest name a function may have.
const NAME_MOST: usize = 64;
/// How deep functions may call one another. Each level takes some of the thread's stack.
const DEPTH_MOST: u8 = 16;

/// Flags that a function may have; the others would promise what is not kept.
const ALLOWED: Flags = Flags::WRITE
    .and(Flags::READONLY)
    .and(Flags::DENYOOM)
    .and(Flags::FAST)
    .and(Flags::NOSCRIPT)
    .and(Flags::ADMIN)
    .and(Flags::NO_MANDATORY_KEYS);

/// Under which name a host's function is registered, and what is known of it; see
/// [`crate::Engine::register`].
///
/// ```
/// use moonkv::HostCommand;
/// // The name, two arguments, the first of them a key; it only reads.
/// let command = HostCommand::new("INVENTORY.WORTH").arity(3).flags("readonly").keys(1, 1, 1);
/// # let _ = command;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCommand {
    name: String,
    arity: i64,
    flags: String,
    keys: (i32, i32, i32),
}

impl HostCommand {
    /// A command of this name, in any case; that takes any number of arguments, may write, and has
    /// no keys among its arguments.
    pub fn new(name: impl Into<String>) -> HostCommand {
        HostCommand { name: name.into(), arity: -1, flags: "write".to_owned(), keys: (0, 0, 0) }
    }

    /// How many arguments it takes, the name counted; negative: so many or more. As in Redis's
    /// `COMMAND INFO`.
    pub fn arity(mut self, arity: i64) -> HostCommand {
        self.arity = arity;
        self
    }

    /// Its flags, by Redis's names and with spaces between: `write` or `readonly`, and any of
    /// `denyoom`, `fast`, `noscript`, `admin` and `no_mandatory_keys`. Without `write` the commands
    /// that it runs may not write either.
    pub fn flags(mut self, flags: impl Into<String>) -> HostCommand {
        self.flags = flags.into();
        self
    }

    /// Which arguments are keys: the first, the last (negative: from the end) and the step
    /// between them, the name being at 0. As in Redis's `COMMAND INFO`.
    pub fn keys(mut self, first: i32, last: i32, step: i32) -> HostCommand {
        self.keys = (first, last, step);
        self
    }

    /// Checks the facts and makes a row of them.
    pub(crate) fn with(self, function: Function) -> Result<Row, Error> {
        let refuse = |what: &str| Error::Options { message: format!("host command {what}") };
        let name = self.name.to_ascii_lowercase();
        let is_fit = |c: char| c.is_ascii_graphic() && c != '|';
        if !(1..=NAME_MOST).contains(&name.len()) || !name.chars().all(is_fit) {
            return Err(refuse(
                "names are 1 to 64 printable ASCII characters without | and spaces",
            ));
        }
        if find(name.as_bytes()).is_some() {
            return Err(refuse(&format!("'{name}' would hide a command of the engine")));
        }
        let count = usize::try_from(self.arity.unsigned_abs()).unwrap_or(0);
        let arity = match self.arity {
            1.. => Arity::Exactly(count),
            0 => return Err(refuse("arity counts the name, so it is never 0")),
            _ => Arity::AtLeast(count),
        };
        let flags = flags_of(&self.flags).ok_or_else(|| {
            refuse(
                "flags are write or readonly, and denyoom, fast, noscript, admin, no_mandatory_keys",
            )
        })?;
        let (first, last, step) = self.keys;
        let keys = Keys { first, last, step };
        if keys != Keys::NONE && (first < 1 || step < 1 || (0..first).contains(&last)) {
            return Err(refuse("keys are a first position, a last one behind it, and a step"));
        }
        Ok(Row { name: name.into(), arity, flags, keys, function })
    }
}

/// The flags of these names; none if there is one that a function cannot have.
fn flags_of(names: &str) -> Option<Flags> {
    let mut flags = Flags::NONE;
    for word in names.split_ascii_whitespace() {
        let (flag, _) = Flags::NAMES.iter().find(|(_, name)| word.eq_ignore_ascii_case(name))?;
        flags = flags.and(*flag);
    }
    let both = Flags::WRITE.and(Flags::READONLY);
    (ALLOWED.has(flags) && !flags.has(both)).then_some(flags)
}

/// What a registered name stands for. It writes its reply, or returns its error.
pub(crate) type Function = Box<dyn Fn(&mut HostCall<'_>) -> CommandResult + Send + Sync>;

/// A registered function with its facts.
pub(crate) struct Row {
    /// In lower case.
    pub(crate) name: Box<str>,
    pub(crate) arity: Arity,
    pub(crate) flags: Flags,
    pub(crate) keys: Keys,
    function: Function,
}

/// The functions of one engine. It is replaced as a whole when one is added, so that a call may
/// hold on to it.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    rows: BTreeMap<Box<[u8]>, Arc<Row>>,
    protocol: Protocol,
}

impl Registry {
    /// No functions, for an engine whose replies have this shape.
    pub(crate) fn new(protocol: Protocol) -> Registry {
        Registry { rows: BTreeMap::new(), protocol }
    }

    /// The function of this name, in any case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Row> {
        if self.rows.is_empty() || name.len() > NAME_MOST {
            return None;
        }
        let mut lower = SmallVec::<[u8; NAME_MOST]>::from_slice(name);
        lower.make_ascii_lowercase();
        self.rows.get(&lower[..]).map(AsRef::as_ref)
    }

    /// Whether a call of this name may write.
    pub(crate) fn writes(&self, name: &[u8]) -> bool {
        self.find(name).is_some_and(|row| writes(row.flags))
    }

    /// All of them, in the order of their names.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.rows.values().map(AsRef::as_ref)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds one, in place of the one of the same name.
    pub(crate) fn insert(&mut self, row: Row) {
        self.rows.insert(row.name.as_bytes().into(), Arc::new(row));
    }

    /// Removes the one of this name, in any case; false if there is none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.rows.remove(name.to_ascii_lowercase().as_bytes()).is_some()
    }
}

/// A call of a host's function: its arguments, and a way to run commands within it.
///
/// What it does on the keys is part of the atomic step it is called in: of the script, the
/// transaction, or just its own. The engine's own handles answer [`Error::Reentrant`] meanwhile.
pub struct HostCall<'a> {
    keys: &'a mut Keyspace,
    server: &'a mut Server,
    registry: &'a Registry,
    reply: &'a mut ReplyBuf,
    argv: &'a [&'a [u8]],
    read_only: bool,
    depth: u8,
    /// A panic of the engine itself, which the function must not swallow.
    panic: Option<Box<dyn Any + Send>>,
}

impl HostCall<'_> {
    /// The name it was called by, as the caller wrote it.
    pub fn name(&self) -> &[u8] {
        self.argv.first().copied().unwrap_or_default()
    }

    /// The arguments behind the name.
    pub fn args(&self) -> &[&[u8]] {
        self.argv.get(1..).unwrap_or_default()
    }

    /// An argument behind the name, counted from 0.
    pub fn arg(&self, at: usize) -> Option<&[u8]> {
        self.args().get(at).copied()
    }

    /// Whether commands that write are refused: the function is not registered as one that
    /// writes, or it was called by a script that promised not to.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Runs a command on the same keys: its name and arguments. Not every command may be run here,
    /// in general those that a script may run; one that would wait answers at once.
    ///
    /// # Errors
    /// [`Error::Reply`] with Redis's text.
    pub fn command<A: AsRef<[u8]>>(&mut self, argv: &[A]) -> Result<Reply, Error> {
        let argv: SmallVec<[&[u8]; 8]> = argv.iter().map(AsRef::as_ref).collect();
        let mut reply = ReplyBuf::new();
        self.call(&argv, &mut reply);
        match reply.to_reply(self.registry.protocol) {
            Reply::Error(message) => Err(Error::reply(message)),
            reply => Ok(reply),
        }
    }

    /// Runs a command and leaves its reply, or its error, in the caller's buffer.
    pub fn call(&mut self, argv: &[&[u8]], reply: &mut ReplyBuf) {
        reply.clear();
        if self.panic.is_none() {
            let caller = Caller::Function { read_only: self.read_only, depth: self.depth };
            let (keys, server, hosted) = (&mut *self.keys, &mut *self.server, self.registry);
            let mut cx = Context { keys, reply, caller, server, hosted, host: None };
            let done = catch_unwind(AssertUnwindSafe(|| dispatch(&mut cx, argv)));
            self.panic = done.err();
        }
        if self.panic.is_some() {
            reply.clear();
            reply.error(&CommandError::text("ERR internal failure"));
        }
    }

    /// Where the function's reply is written.
    pub(crate) fn reply(&mut self) -> &mut ReplyBuf {
        self.reply
    }

    /// The protocol the engine was opened with.
    pub fn protocol(&self) -> Protocol {
        self.registry.protocol
    }
}

impl std::fmt::Debug for HostCall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostCall").field("argv", &self.argv).finish_non_exhaustive()
    }
}

/// Runs the function that a call names, or keeps it for EXEC where the session queues.
pub(super) fn queue_or_run(cx: &mut Context<'_>, argv: &[&[u8]]) -> CommandResult {
    let Some(row) = argv.first().and_then(|name| cx.hosted.find(name)) else {
        return Err(match cx.caller {
            Caller::Script { .. } => CommandError::ScriptUnknown,
            _ => CommandError::unknown_command(argv),
        });
    };
    if cx.queue().is_none() {
        return run(cx, row, argv);
    }
    row.admit(cx, argv)?;
    cx.enqueue(argv);
    Ok(())
}

impl Row {
    /// Its name and flags.
    pub(super) fn facts(&self) -> (String, Flags) {
        (self.name.to_string(), self.flags)
    }

    /// Whether the gates let a call through.
    fn admit(&self, cx: &mut Context<'_>, argv: &[&[u8]]) -> CommandResult {
        let arity_error = || CommandError::wrong_arity(&self.name);
        let gated = Gated { arity: self.arity, flags: self.flags };
        pass(gated, argv.len(), cx.caller, arity_error)?;
        permit_hosted(cx, self, argv)?;
        if cx.server.measures.guarded {
            check_standing(cx, &self.name, self.flags)?;
        }
        Ok(())
    }
}

/// Runs a function as a step of its own: if it fails, nothing it did remains.
fn run(cx: &mut Context<'_>, row: &Row, argv: &[&[u8]]) -> CommandResult {
    row.admit(cx, argv)?;
    let depth = match cx.caller {
        Caller::Function { depth, .. } => depth,
        Caller::Host | Caller::Script { .. } => 0,
    };
    if depth == DEPTH_MOST {
        return Err(CommandError::text("ERR host functions call one another too deeply"));
    }
    let (mark, database) = (cx.reply.mark(), cx.keys.database());
    cx.keys.hold_time();
    let section = cx.keys.begin();
    let mut call = HostCall {
        keys: cx.keys,
        server: cx.server,
        registry: cx.hosted,
        reply: cx.reply,
        argv,
        read_only: is_read_only(row.flags, cx.caller),
        depth: depth + 1,
        panic: None,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| (row.function)(&mut call)));
    if let Some(panic) = call.panic {
        // The engine's own failure, whatever the function made of it.
        resume_unwind(panic);
    }
    // What it selects ends with it.
    cx.keys.select(database);
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&row.name, panic)));
    match outcome {
        Ok(()) => cx.keys.commit(section),
        Err(_) => cx.keys.rollback(section),
    }
    outcome.inspect_err(|_| cx.reply.truncate(mark))
}

/// The error of a function that panicked.
fn panicked(name: &str, panic: Box<dyn Any + Send>) -> CommandError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = CommandError::host_panic(name, text.unwrap_or("no message"));
    // What a panic carries could panic again as it is dropped.
    std::mem::forget(panic);
    error
}

/// A function that returns its reply as a tree.
pub(crate) fn returning(
    function: impl Fn(&mut HostCall<'_>) -> Result<Reply, Error> + Send + Sync + 'static,
) -> Function {
    Box::new(move |call| match function(call) {
        Ok(Reply::Error(message)) => Err(CommandError::of_host(message.as_bytes())),
        Ok(reply) => {
            call.reply().tree(&reply);
            Ok(())
        }
        Err(error) => Err(CommandError::of_host(error.to_string().as_bytes())),
    })
}

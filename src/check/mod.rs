//! The checker of scripts: what is wrong with a script, told without running it.
//!
//! What can be asked is asked where it is known: whether a text is Lua, of the compiler; what a
//! script may call, of the engine's own sandbox; what a command takes, of the gate it passes. What is
//! left is to follow names through their scopes (`walk.rs`), to tell as far as possible what an
//! expression is (`value.rs`), and to look at each `redis.call` (`calls.rs`).
//!
//! What cannot be told is passed over: a finding is there to be acted on.

mod calls;
mod value;
mod walk;
mod world;

use crate::error::Error;
use crate::options::Options;
use crate::script::{Running, Scripts, is_library};
use std::fmt;
use std::sync::Arc;
use walk::Walk;
use world::World;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It may fail, or will on a cluster.
    Warning,
    /// It fails when it is come to.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Something to be said of a place in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How much it matters.
    pub severity: Severity,
    /// The rule that says so.
    pub rule: &'static str,
    /// What is to be said.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { line, column, severity, rule, message } = self;
        write!(f, "{line}:{column}: {severity}: {message} [{rule}]")
    }
}

/// Checks scripts, one after the other.
///
/// ```
/// # fn main() -> Result<(), moonkv::Error> {
/// let mut checker = moonkv::check::Checker::new()?;
/// let findings = checker.check(b"retrun redis.call('GET', KEYS[1])");
/// assert_eq!((findings[0].line, findings[0].rule), (1, "syntax"));
/// assert_eq!(checker.check(b"return redis.call('GET', KEYS[1])"), []);
/// # Ok(())
/// # }
/// ```
pub struct Checker {
    scripts: Scripts,
    world: World,
}

impl Checker {
    /// A checker for what scripts may do here.
    ///
    /// # Errors
    /// [`Error::Interpreter`] if there is no memory for the Lua state.
    pub fn new() -> Result<Checker, Error> {
        let scripts = Scripts::new(&Options::redis(), Arc::new(Running::new(false)))
            .map_err(|message| Error::Interpreter { message })?;
        Ok(Checker { scripts, world: World::new()? })
    }

    /// What there is to be said of a script, or of a library of functions, in order. Of a library the
    /// code that registers its functions is run, as `FUNCTION LOAD` does, to see whether it loads.
    pub fn check(&mut self, source: &[u8]) -> Vec<Finding> {
        let library = is_library(source);
        let loaded = match library {
            true => self.scripts.load_library(source, true).map(|_| ()),
            false => self.scripts.load(source).map(|_| ()),
        };
        self.scripts.flush();
        self.scripts.flush_libraries();
        let text = String::from_utf8_lossy(source);
        let mut findings = Vec::new();
        if let Err(error) = loaded {
            findings.push(refused(&error.to_string(), &text));
        }
        // Lua's own compiler has the last word on what is Lua: a text that it takes and this parser
        // does not is left alone.
        let body = without_first_line(&text);
        if let Ok(ast) =
            full_moon::parse_fallible(&body, full_moon::LuaVersion::lua51()).into_result()
        {
            let read_only = !library && declares(&text, "no-writes");
            findings.extend(Walk::over(&ast, &self.world, library, read_only));
        }
        findings.sort_by_key(|found| (found.line, found.column));
        findings.dedup();
        findings
    }
}

/// A text with an empty line in place of one that begins with `#!`.
fn without_first_line(text: &str) -> String {
    match text.strip_prefix("#!").and_then(|rest| rest.find('\n').map(|end| &rest[end..])) {
        Some(rest) => rest.to_owned(),
        None => text.to_owned(),
    }
}

/// Whether the first line declares a flag.
fn declares(text: &str, flag: &str) -> bool {
    let line = text.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default();
    let flags = line.split_whitespace().filter_map(|word| word.strip_prefix("flags="));
    flags.flat_map(|flags| flags.split(',')).any(|declared| declared == flag)
}

/// Why a text did not load. Lua's messages name the line behind the chunk's name.
fn refused(message: &str, text: &str) -> Finding {
    let severity = Severity::Error;
    let place = ["user_script:", "user_function:"].into_iter().find_map(|chunk| {
        let (_, rest) = message.rsplit_once(chunk)?;
        let (line, what) = rest.split_once(": ")?;
        Some((line.parse::<usize>().ok()?, what))
    });
    match place {
        Some((line, what)) => {
            let rule = if message.contains("rror compiling") { "syntax" } else { "load" };
            Finding {
                line,
                column: column_of(text, line, what),
                severity,
                rule,
                message: what.to_owned(),
            }
        }
        None => {
            let message = message.strip_prefix("ERR ").unwrap_or(message).to_owned();
            Finding { line: 1, column: 1, severity, rule: "shebang", message }
        }
    }
}

/// Where the text stands that Lua's message says it was near to; else where the line begins.
fn column_of(text: &str, line: usize, what: &str) -> usize {
    let content = line.checked_sub(1).and_then(|at| text.lines().nth(at)).unwrap_or_default();
    let near = what.rsplit_once(" near '").and_then(|(_, near)| near.strip_suffix('\''));
    let at = near.and_then(|near| content.rfind(near));
    let at = at.unwrap_or(content.len() - content.trim_start().len());
    content.get(..at).map_or(1, |before| before.chars().count() + 1)
}

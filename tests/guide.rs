//! Runs every code block of the guides in `docs/` and of `README.md`, so that none can state what is
//! not so. The kinds of block, by the first word behind the fence:
//!
//! - `redis`: lines `> COMMAND argument ...`, quoted as in redis-cli (a quote may stay open over
//!   several lines), each followed by its reply as redis-cli prints it.
//! - `lua`: scripts, each ended by the comment `-- => reply` on its last line or below it (a reply
//!   of several lines has one such comment for each). Comments of these forms tell how to run it:
//!   `-- GIVEN: command` runs first, `-- KEYS: ... ARGV: ...` are its arguments,
//!   `-- log => level: text` is what it logs, `-- THEN: command => reply` is asked afterwards.
//! - `c`, `python`: programs; the comments `// => line` and `# => line` are what they print. C
//!   without a `main` is the body of one, with an `engine` that is open.
//! - `rust`: run by `cargo test --doc`, see the end of `src/lib.rs`.
//! - `text`: not run.
//!
//! Words after `redis` or `lua` are options of the engine (`on_error:keep`), or `continued`: the
//! block goes on with the engine of the block before. Every other block begins with a new one.
//! `...` in a reply stands for any text.
//!
//! The README's list of commands is held to those there are.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{
    Engine, Error, LogLevel, LuaFalse, LuaRandom, OnError, Options, Protocol, Reply, Session,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FILES: [&str; 5] =
    ["docs/listening.md", "docs/scripting.md", "docs/sessions.md", "docs/tooling.md", "README.md"];

/// At least so many blocks of each kind are there: nothing stops running unnoticed.
const BLOCKS_LEAST: [(&str, usize); 5] =
    [("redis", 30), ("lua", 28), ("rust", 8), ("c", 4), ("python", 12)];

/// At least so many replies are compared.
const REPLIES_LEAST: usize = 220;

#[test]
fn every_block_is_of_a_known_kind() {
    let blocks = all_blocks();
    for block in &blocks {
        let known =
            block.kind == "text" || BLOCKS_LEAST.iter().any(|(kind, _)| block.kind == *kind);
        assert!(known, "{}: no kind of block: `{}`", block.place(0), block.kind);
    }
    for (kind, least) in BLOCKS_LEAST {
        let count = blocks.iter().filter(|block| block.kind == kind).count();
        println!("{count} blocks of {kind}");
        assert!(count >= least, "only {count} blocks of {kind}, {least} were there before");
    }
}

#[test]
fn transcripts_and_scripts_are_true() {
    let mut seat = Seat::new(&[]);
    let (mut blocks, mut replies, mut wrong) = (0, 0, Vec::new());
    for block in all_blocks().iter().filter(|block| ["redis", "lua"].contains(&&*block.kind)) {
        let options: Vec<&str> = block.words.iter().map(String::as_str).collect();
        if options != ["continued"] {
            seat = Seat::new(&options);
        }
        let checks = if block.kind == "redis" { transcript(block) } else { scripts(block) };
        assert!(!checks.is_empty(), "{}: nothing to run", block.place(0));
        blocks += 1;
        for check in checks {
            let got = seat.perform(&check.action);
            replies += 1;
            if !agrees(&check.expected, &got) {
                let place = block.place(check.line);
                wrong.push(format!("{place}\nexpected\n{}\ngot\n{got}\n", check.expected));
            }
        }
    }
    println!("{blocks} blocks ran, {replies} replies compared, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} replies are wrong:\n\n{}", wrong.len(), wrong.join("\n"));
    assert!(replies >= REPLIES_LEAST, "only {replies} replies, {REPLIES_LEAST} before");
}

#[test]
fn c_blocks_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (header, library) = (root.join("include/moonkv.h"), library());
    let missing = match &library {
        _ if !header.exists() => Some("include/moonkv.h"),
        None => Some("the library libmoonkv"),
        _ if !succeeds("cc", &["--version"]) => Some("the C compiler cc"),
        _ => None,
    };
    programs("c", missing, |block, at| {
        let (source, binary) = (at.with_extension("c"), at.with_extension("bin"));
        fs::write(&source, c_program(&block.text)).expect("the source is written");
        let room = library.as_deref().and_then(Path::parent).expect("a folder with the library");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&binary).arg(&source);
        cc.arg("-I").arg(root.join("include")).arg("-L").arg(room).arg("-lmoonkv");
        cc.arg(format!("-Wl,-rpath,{}", room.display()));
        output(&mut cc)?;
        // cargo's own setting would go before the path in the program.
        let paths = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
        output(Command::new(&binary).envs(paths.map(|name| (name, room))))
    });
}

#[test]
fn python_blocks_run() {
    let python = python();
    let has_module = succeeds(&python, &["-c", "import moonkv"]);
    programs("python", (!has_module).then_some("the Python module moonkv"), |block, at| {
        let source = at.with_extension("py");
        fs::write(&source, &block.text).expect("the source is written");
        output(Command::new(&python).arg(&source))
    });
}

#[test]
fn the_readme_lists_the_commands_there_are() {
    let readme = read("README.md");
    let list = readme.split("\n## ").find(|part| part.starts_with("Commands")).expect("a list");
    let named = list.split('`').skip(1).step_by(2).map(str::to_lowercase);
    let mut listed: Vec<String> = named.filter(|name| !name.contains('/')).collect();
    let own_name = |name: &str| name.rsplit('|').next().unwrap_or(name).to_owned();
    let shown = |name: &&str| !name.contains('|') || name.starts_with("script|");
    let names = moonkv::commands().into_iter().map(|command| command.name);
    let mut there: Vec<String> = names.filter(shown).map(own_name).collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there, "README.md lists other commands than there are");
}

/// Runs all blocks of a language, and compares what they print with what their comments say.
fn programs(
    kind: &str,
    missing: Option<&str>,
    run: impl Fn(&Block, &Path) -> Result<String, String>,
) {
    let blocks: Vec<Block> = all_blocks().into_iter().filter(|b| b.kind == kind).collect();
    if let Some(missing) = missing {
        println!("SKIPPED: {} blocks of {kind}, because {missing} is missing", blocks.len());
        return;
    }
    let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mark = if kind == "c" { "// => " } else { "# => " };
    let mut wrong = Vec::new();
    for block in &blocks {
        let at = room.join(format!("guide_{kind}_{}", block.line));
        let told = |line: &str| line.split_once(mark).map(|(_, told)| told.to_owned());
        let expected: Vec<String> = block.text.lines().filter_map(told).collect();
        match run(block, &at) {
            Ok(printed) if agrees(&expected.join("\n"), printed.trim_end()) => (),
            Ok(printed) => wrong.push(format!("{}: it printed\n{printed}", block.place(0))),
            Err(error) => wrong.push(format!("{}: it failed:\n{error}", block.place(0))),
        }
    }
    println!("{} blocks of {kind} ran, {} wrong", blocks.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn c_program(text: &str) -> String {
    if text.contains("int main(") {
        return text.to_owned();
    }
    format!(
        "#include <assert.h>\n#include <stdio.h>\n#include <string.h>\n#include <moonkv.h>\n\
         int main(void) {{\nkv_engine *engine = kv_open(NULL, NULL);\nassert(engine);\n\
         {text}\nkv_close(engine);\nreturn 0;\n}}\n"
    )
}

/// The shared library beside this test, the newest if there are several.
fn library() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let deps = exe.parent()?;
    let names = ["libmoonkv.so", "libmoonkv.dylib"];
    let places = [deps, deps.parent()?].map(|room| names.map(|name| room.join(name)));
    let found = places.into_iter().flatten().filter(|path| path.exists());
    found.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}

/// The Python to run, by the environment's PYTHON if that is set.
fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|done| done.status.success())
}

/// What a program prints; what it complains of if it fails.
fn output(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(format!("{}\n{}{}", done.status, text(&done.stdout), text(&done.stderr))),
    }
}

/// A fenced block.
struct Block {
    file: &'static str,
    /// The line of its fence, from 1.
    line: usize,
    kind: String,
    /// What follows the kind.
    words: Vec<String>,
    text: String,
}

impl Block {
    /// Where a line of the block is, from 1; 0 is its fence.
    fn place(&self, line: usize) -> String {
        format!("{}:{}", self.file, self.line + line)
    }
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn all_blocks() -> Vec<Block> {
    FILES.into_iter().flat_map(blocks).collect()
}

fn blocks(file: &'static str) -> Vec<Block> {
    let text = read(file);
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open.as_mut()) {
            (Some(info), None) => {
                // rustdoc takes a comma too: `rust,no_run`.
                let mut words = info.split([' ', ',']).map(str::to_owned);
                let kind = words.next().unwrap_or_default();
                let words = words.collect();
                open = Some(Block { file, line: index + 1, kind, words, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => (),
        }
    }
    assert!(open.is_none(), "{file}: a block is not closed");
    found
}

/// One thing to do and what it answers.
struct Check {
    /// The line in its block, from 1.
    line: usize,
    action: Action,
    expected: String,
}

enum Action {
    Command(Vec<Vec<u8>>),
    Script { given: Vec<String>, source: String, keys: Vec<Vec<u8>>, args: Vec<Vec<u8>> },
}

/// The commands of a block of kind `redis`.
fn transcript(block: &Block) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let mut lines = block.text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(command) = line.strip_prefix("> ") else {
            if let Some(check) = checks.last_mut() {
                check.expected.push_str(line);
                check.expected.push('\n');
            }
            continue;
        };
        let mut command = command.to_owned();
        let words = loop {
            match words(&command) {
                Some(words) => break words,
                None => {
                    let (more, _) = lines.next().unwrap_or_else(|| {
                        panic!("{}: a quote is not closed", block.place(number))
                    });
                    command.push('\n');
                    command.push_str(more);
                }
            }
        };
        let action = Action::Command(words);
        checks.push(Check { line: number, action, expected: String::new() });
    }
    checks
}

/// The scripts of a block of kind `lua`.
fn scripts(block: &Block) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let mut source = String::new();
    for (line, number) in block.text.lines().zip(1..) {
        if let (Some(asked), "") = (line.strip_prefix("-- THEN: "), &*source) {
            let (command, reply) = asked.split_once(" => ").expect("THEN: command => reply");
            let action = Action::Command(words(command).expect("quotes are closed"));
            checks.push(Check { line: number, action, expected: reply.to_owned() });
        } else if let Some((code, reply)) = line.split_once("-- => ") {
            source.push_str(code);
            match checks.last_mut() {
                Some(check) if source.trim().is_empty() => {
                    check.expected.push('\n');
                    check.expected.push_str(reply);
                }
                _ => checks.push(script(number, &source, reply)),
            }
            source.clear();
        } else if !source.is_empty() || !line.trim().is_empty() {
            source.push_str(line);
            source.push('\n');
        }
    }
    assert!(source.is_empty(), "{}: a script without `-- => reply`:\n{source}", block.place(0));
    checks
}

fn script(line: usize, source: &str, reply: &str) -> Check {
    let quoted = |text: &str| words(text).expect("quotes are closed");
    let (mut keys, mut args, mut given, mut expected) = (vec![], vec![], vec![], String::new());
    for line in source.lines() {
        if let Some(command) = line.strip_prefix("-- GIVEN: ") {
            given.push(command.to_owned());
        } else if let Some(logged) = line.split_once("-- log => ").map(|(_, logged)| logged) {
            expected.push_str(&format!("log: {logged}\n"));
        } else if let Some(names) = line.strip_prefix("-- KEYS: ") {
            let (names, values) = names.split_once("ARGV: ").unwrap_or((names, ""));
            (keys, args) = (quoted(names), quoted(values));
        } else if let Some(values) = line.strip_prefix("-- ARGV: ") {
            args = quoted(values);
        }
    }
    expected.push_str(reply);
    let action = Action::Script { given, source: source.to_owned(), keys, args };
    Check { line, action, expected }
}

/// Splits a line as redis-cli does; none if a quote is open at its end.
fn words(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut bytes = line.bytes().peekable();
    let mut words = Vec::new();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
            if byte != b'"' && byte != b'\'' {
                word.push(byte);
                continue;
            }
            loop {
                match bytes.next()? {
                    end if end == byte => break,
                    b'\\' if byte == b'\'' && bytes.peek() == Some(&b'\'') => {
                        word.extend(bytes.next());
                    }
                    b'\\' if byte == b'"' => word.push(escaped(&mut bytes)?),
                    other => word.push(other),
                }
            }
        }
        words.push(word);
    }
}

/// The byte that an escape in double quotes stands for.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        }
        other => other,
    })
}

/// An engine, a session on it, and what its scripts log.
struct Seat {
    session: Session,
    /// Open as long as the seat is there.
    _engine: Engine,
    logged: Arc<Mutex<String>>,
}

impl Seat {
    fn new(words: &[&str]) -> Seat {
        let engine = Engine::open(&options(words)).expect("an engine opens");
        let logged = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&logged);
        let write = move |level: LogLevel, text: &[u8]| {
            let (level, text) =
                (format!("{level:?}").to_lowercase(), String::from_utf8_lossy(text));
            let mut log = log.lock().expect("no panic has happened");
            log.push_str(&format!("log: {level}: {text}\n"));
        };
        engine.set_log(Some(Box::new(write))).expect("a new engine is open");
        let session = engine.session().expect("a new engine is open");
        Seat { session, _engine: engine, logged }
    }

    fn perform(&mut self, action: &Action) -> String {
        let reply = match action {
            Action::Command(argv) => self.session.command(argv),
            Action::Script { given, source, keys, args } => {
                for command in given {
                    let argv = words(command).expect("quotes are closed");
                    self.session.command(&argv).unwrap_or_else(|e| panic!("{command}: {e}"));
                }
                self.session.eval(source, keys, args)
            }
        };
        let logged = std::mem::take(&mut *self.logged.lock().expect("no panic has happened"));
        logged + &shown_whole(reply)
    }
}

fn options(words: &[&str]) -> Options {
    let mut options = Options::default();
    for word in words {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = || value.parse::<u64>().unwrap_or_else(|_| panic!("no number: {word}"));
        match (name, value) {
            ("on_error", "keep") => options.on_error = OnError::Keep,
            ("lua_random", "seeded") => options.lua_random = LuaRandom::Seeded,
            ("lua_false", "integer") => options.lua_false = LuaFalse::Integer,
            ("protocol", "resp3") => options.protocol = Protocol::Resp3,
            ("script_timeout_ms", _) => {
                options.script_timeout = Some(Duration::from_millis(number()));
            }
            ("script_memory", _) => options.script_memory = Some(number() as usize),
            ("script_instructions", _) => options.script_instructions = Some(number()),
            _ => panic!("no option of a block: {word}"),
        }
    }
    options
}

/// Whether a text is as expected, where `...` stands for anything.
fn agrees(expected: &str, got: &str) -> bool {
    let mut pieces = expected.trim_end().split("...");
    let Some(mut rest) = pieces.next().and_then(|first| got.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let found = if pieces.peek().is_none() { rest.rfind(piece) } else { rest.find(piece) };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

/// A reply as redis-cli prints it to a terminal.
fn shown_whole(reply: Result<Reply, Error>) -> String {
    match reply {
        Ok(reply) => shown(&reply, ""),
        Err(error) => format!("(error) {error}"),
    }
}

/// The same for a reply within another, whose further lines are indented.
fn shown(reply: &Reply, indent: &str) -> String {
    match reply {
        Reply::Null => "(nil)".to_owned(),
        Reply::Integer(value) => format!("(integer) {value}"),
        Reply::Bulk(bytes) => quoted(bytes),
        Reply::Status(text) | Reply::BigNumber(text) => text.clone(),
        Reply::Error(text) => format!("(error) {text}"),
        Reply::Double(value) => format!("(double) {value}"),
        Reply::Boolean(value) => format!("({value})"),
        Reply::Verbatim { text, .. } => String::from_utf8_lossy(text).into_owned(),
        Reply::Array(items) => listed(items.iter(), ')', "array", indent, shown),
        Reply::Set(items) => listed(items.iter(), '~', "set", indent, shown),
        Reply::Map(pairs) => listed(pairs.iter(), '#', "hash", indent, |(key, value), indent| {
            format!("{} => {}", shown(key, indent), shown(value, indent))
        }),
        other => panic!("a reply of a new kind: {other:?}"),
    }
}

fn listed<T>(
    items: impl ExactSizeIterator<Item = T>,
    mark: char,
    name: &str,
    indent: &str,
    show: impl Fn(T, &str) -> String,
) -> String {
    let width = items.len().to_string().len();
    if items.len() == 0 {
        return format!("(empty {name})");
    }
    let inner = format!("{indent}{}", " ".repeat(width + 2));
    let line = |(item, number): (T, usize)| format!("{number:width$}{mark} {}", show(item, &inner));
    items.zip(1..).map(line).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text + "\""
}

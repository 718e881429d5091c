//! The invariants of the design and the rules of the house, as checks on the source tree.
//!
//! Each check is a function from files to violations, so that the same function runs on the tree
//! and, to show that it can fail, on small texts that break the rule.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

// ---- Reading sources.

/// A Rust source, taken apart. Both texts have the lines of the file, so places agree.
struct Source {
    path: String,
    /// As it is in the file.
    text: String,
    /// Without comments, without what is in string and character literals, without tests.
    code: String,
    /// The string literals outside of tests, each with its line.
    literals: Vec<(usize, String)>,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let (masked, literals) = mask(text);
        let is_test = test_lines(path, &masked);
        let keep = |(number, line)| if is_test.contains(&(number + 1)) { "" } else { line };
        let code = masked.lines().enumerate().map(keep).collect::<Vec<_>>().join("\n");
        let literals = literals.into_iter().filter(|(line, _)| !is_test.contains(line)).collect();
        Source { path: path.to_owned(), text: text.to_owned(), code, literals }
    }

    fn is_in(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| self.path.starts_with(room))
    }

    /// A violation for each line of code that contains a text.
    fn lines_with(&self, wanted: &str, why: &str) -> Vec<String> {
        let lines = self.code.lines().enumerate().filter(|(_, line)| has_word(line, wanted));
        lines.map(|(i, line)| self.at(i + 1, &format!("{why}: `{}`", line.trim()))).collect()
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Whether a text stands in a line, and not as a part of longer words.
fn has_word(line: &str, wanted: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(wanted).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + wanted.len()..].chars().next().is_some_and(is_word);
        !(before && wanted.starts_with(is_word) || after && wanted.ends_with(is_word))
    })
}

/// Blanks comments and the insides of literals; returns the string literals with their lines.
fn mask(text: &str) -> (String, Vec<(usize, String)>) {
    let mut masked = String::with_capacity(text.len());
    let (mut literals, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let (kind, len) = token(rest, masked.chars().next_back());
        let piece = &rest[..len];
        match kind {
            Kind::Code => masked.push(first),
            Kind::Hidden => masked.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' })),
            Kind::Text => {
                let open = piece.find('"').unwrap_or(0) + 1;
                let close = piece.rfind('"').unwrap_or(len).max(open);
                literals.push((line, piece[open..close].to_owned()));
                masked.push('"');
                masked.extend(piece[open..close].chars().filter(|&c| c == '\n'));
                masked.push('"');
            }
        }
        line += piece.matches('\n').count();
        rest = &rest[len..];
    }
    (masked, literals)
}

enum Kind {
    Code,
    Hidden,
    Text,
}

/// What a text begins with, and how many bytes it takes. `before` is what stood there last.
fn token(rest: &str, before: Option<char>) -> (Kind, usize) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let first_len = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with("//") {
        return (Kind::Hidden, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Hidden, block_comment(rest));
    }
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or("x");
        let raw = prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"');
        (raw || after.starts_with('"')) && (!in_word || prefix.is_empty())
    });
    match prefix {
        Some(prefix) => (Kind::Text, prefix.len() + string(&rest[prefix.len()..], prefix)),
        None if rest.starts_with('\'') => match character(rest) {
            Some(len) => (Kind::Hidden, len),
            None => (Kind::Code, first_len),
        },
        None => (Kind::Code, first_len),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a string literal behind its prefix.
fn string(rest: &str, prefix: &str) -> usize {
    if prefix.ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = hashes + 1;
        return rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The length of a character literal; none for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    match chars.next()?.1 {
        '\\' => chars.skip(1).find(|&(_, c)| c == '\'').map(|(at, _)| at + 1),
        _ => chars.next().filter(|&(_, c)| c == '\'').map(|(at, _)| at + 1),
    }
}

/// The lines of items under `#[cfg(test)]`, and all lines of files that are nothing else.
fn test_lines(path: &str, code: &str) -> BTreeSet<usize> {
    if path.ends_with("_tests.rs") {
        return (1..=code.lines().count()).collect();
    }
    let starts = code.match_indices("#[cfg(test)]");
    let lines = starts.flat_map(|(at, _)| {
        let item = &code[at..];
        let first = code[..at].matches('\n').count() + 1;
        first..=first + item[..item_end(item)].matches('\n').count()
    });
    lines.collect()
}

/// Where an item ends: at the semicolon or comma that comes before any brace, or at the closing
/// one.
fn item_end(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    return at;
                }
            }
            ';' | ',' if depth == 0 => return at,
            _ => (),
        }
    }
    item.len()
}

/// The sources under some places of the tree, in order.
fn sources(places: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    places.iter().for_each(|place| walk(&root().join(place), &mut paths));
    paths.retain(|path| path.ends_with(".rs"));
    let read = |path: &String| Source::new(path, &file(path));
    let sources: Vec<Source> = paths.iter().map(read).collect();
    assert!(!sources.is_empty(), "no sources under {places:?}");
    sources
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Collects the paths of all files, relative to the root; what is built is no source.
fn walk(place: &Path, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "__pycache__"].contains(&name) {
                walk(&path, paths);
            }
            continue;
        }
        let relative = path.strip_prefix(root()).expect("below the root");
        paths.push(relative.to_str().expect("a plain name").to_owned());
    }
}

/// Fails with all violations, one a line.
fn check(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

/// The rule is broken so often in a text that is at this path.
fn check_breaks(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str, times: usize) {
    let found = rule(&[Source::new(path, text)]);
    assert_eq!(found.len(), times, "in {path}: {text}\nfound {found:?}");
}

// ---- 1. The doors hold no logic.

fn doors() -> Vec<Source> {
    sources(&["src/ffi", "src/resp", "bindings/python/src"])
}

/// The names of Redis's commands, containers included, in lower case.
fn command_names() -> BTreeSet<String> {
    let table = file("tests/reference/commands.tsv");
    let names = table.lines().skip(1).filter_map(|line| line.split('\t').next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 300, "Redis has more commands than {}", names.len());
    names
}

fn names_in_doors(doors: &[Source]) -> Vec<String> {
    let names = command_names();
    // `module` is what Python calls the place of a class, `type` what redis-py calls that of a message.
    let others = ["module", "type"];
    let is_name =
        |text: &str| names.contains(&text.to_ascii_lowercase()) && !others.contains(&text);
    let violations = doors.iter().flat_map(|source| {
        let found = source.literals.iter().filter(|(_, text)| is_name(text));
        found.map(|(line, text)| source.at(*line, &format!("a command's name in a door: {text:?}")))
    });
    violations.collect()
}

#[test]
fn no_command_name_in_a_door() {
    check(names_in_doors(&doors()));
    check_breaks(names_in_doors, "src/ffi/x.rs", "fn f() { call(\"HGET\", b\"script|load\") }", 2);
    check_breaks(names_in_doors, "src/ffi/x.rs", "// \"HGET\"\nfn f() { call(\"hgett\") }", 0);
}

/// The doors reach what is inside through the engine, its options, replies and errors only.
fn imports_of_doors(doors: &[Source]) -> Vec<String> {
    uses(doors, &["src/ffi", "src/resp"], &["command", "keyspace", "value", "table", "journal"])
}

#[test]
fn doors_know_the_engine_only() {
    check(imports_of_doors(&doors()));
    check_breaks(imports_of_doors, "src/resp/x.rs", "use crate::keyspace::Keyspace;", 1);
    check_breaks(imports_of_doors, "src/ffi/x.rs", "use crate::{engine, command::find};", 1);
    check_breaks(imports_of_doors, "src/ffi/x.rs", "use crate::engine::Engine;", 0);
}

/// Violations for each `crate::room` that a file in `places` names.
fn uses(sources: &[Source], places: &[&str], rooms: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.is_in(places)) {
        for room in named_rooms(&source.code) {
            if rooms.contains(&room.1.as_str()) {
                violations
                    .push(source.at(room.0, &format!("crate::{} is not to be known", room.1)));
            }
        }
    }
    violations
}

/// The rooms named behind `crate::`, with their lines; of `crate::{a, b::c}` that is a and b.
fn named_rooms(code: &str) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + prefix.len()..];
        let heads: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list[..closing(list)].split(',').collect(),
            None => vec![rest],
        };
        for head in heads {
            let is_end = |c: char| !(c.is_alphanumeric() || c == '_');
            let name = head.trim_start().split(is_end).next().unwrap_or_default();
            rooms.push((line, name.to_owned()));
        }
    }
    rooms
}

/// Where the brace that was opened before a text closes.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let closes = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    };
    text.find(closes).unwrap_or(text.len())
}

// ---- 2. One gate.

const GATE: [&str; 2] = ["src/command/dispatch.rs", "src/command/gate.rs"];

/// Its rooms for the few calls that are watched, are restricted or come while a script runs.
const GATE_ROOMS: [&str; 3] =
    ["src/command/busy.rs", "src/command/monitor.rs", "src/command/restricted.rs"];

/// What the gate reads from a row, and the errors it alone answers with.
const GATED: [&str; 5] = [
    ".arity.admits(",
    ".run)(",
    ".flags.has(",
    "CommandError::ScriptArity",
    "CommandError::ScriptReadOnly",
];

fn gates(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| !GATE.contains(&source.path.as_str()));
    let others = others.filter(|source| source.path != "src/error.rs");
    let others = others.filter(|source| !GATE_ROOMS.contains(&source.path.as_str()));
    let found = |source: &Source| -> Vec<String> {
        GATED.iter().flat_map(|text| source.lines_with(text, "only for the gate")).collect()
    };
    others.flat_map(found).collect()
}

#[test]
fn only_the_gate_looks_at_a_row_and_runs_it() {
    check(gates(&sources(&["src"])));
    let gate = GATE.map(|path| Source::new(path, &file(path)));
    for text in GATED {
        let has = gate.iter().any(|source| !source.lines_with(text, "").is_empty());
        assert!(has, "{GATE:?} have no `{text}`: is it called else?");
    }
    check_breaks(gates, "src/script/x.rs", "fn f() {\n(row.run)(cx, args);\n}", 1);
    check_breaks(gates, "src/command/hash.rs", "if c.flags.has(Flags::WRITE) {}", 1);
    check_breaks(gates, GATE[0], "if c.flags.has(Flags::WRITE) {}", 0);
}

/// Handlers are private to their family, so nobody can go around the gate.
fn open_handlers(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.is_in(&["src/command/"])) {
        for (i, line) in source.code.lines().enumerate() {
            let takes_context = line.contains("fn ") && line.contains("&mut Context<'_>, ");
            if takes_context && line.contains("Args<'_>") && line.trim_start().starts_with("pub") {
                violations
                    .push(source.at(i + 1, &format!("a handler is public: `{}`", line.trim())));
            }
        }
    }
    violations
}

#[test]
fn handlers_are_private() {
    check(open_handlers(&sources(&["src/command"])));
    let handler = "fn get(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {}";
    check_breaks(open_handlers, "src/command/x.rs", &format!("pub(crate) {handler}"), 1);
    check_breaks(open_handlers, "src/command/x.rs", handler, 0);
}

// ---- 3. A fact once.

/// Words that name a command and an option of others, a type, a flag, a group or a section.
#[rustfmt::skip]
const OTHER_MEANINGS: [&str; 25] = [
    "append", "auth", "cluster", "command", "debug", "get", "incr", "incrby", "info", "keys",
    "memory", "module", "object", "persist", "pubsub", "readonly", "replicaof", "reset", "role", "save",
    "set", "subscribe", "sync", "time", "type",
];

/// A command's name stands in its row and nowhere else in the engine.
fn repeated_names(sources: &[Source]) -> Vec<String> {
    let names = command_names();
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    // Lua, events and some parameters have names that commands have too; the program calls
    // commands as anybody does, and so does who follows another server, or hands keys to one; and
    // replicas are told commands.
    let elsewhere = [
        "src/command/migrate.rs",
        "src/follow/",
        "src/script/vm/",
        "src/check/",
        "src/config/table.rs",
        "src/clients/events.rs",
        "src/clients/feed.rs",
        "src/bin/",
    ];
    for source in sources.iter().filter(|source| !source.is_in(&elsewhere)) {
        for (line, text) in &source.literals {
            let lower = text.to_ascii_lowercase();
            let other = OTHER_MEANINGS.contains(&lower.as_str());
            if names.contains(&lower) && !other && !seen.insert(lower) {
                violations.push(source.at(*line, &format!("the name {text:?} a second time")));
            }
            if names.contains(text) && !other && !source.is_in(&["src/command/"]) {
                violations
                    .push(source.at(*line, &format!("the name {text:?} outside of command/")));
            }
        }
    }
    violations
}

#[test]
fn a_command_is_named_once() {
    check(repeated_names(&sources(&["src"])));
    check_breaks(repeated_names, "src/command/x.rs", "row(\"hset\"); is(\"HSET\"); \"hget\"", 1);
    check_breaks(repeated_names, "src/engine.rs", "fn f() { \"hget\" }", 1);
    check_breaks(
        repeated_names,
        "src/command/x.rs",
        "row(\"hset\"); word(\"get\"); row(\"get\")",
        0,
    );
}

// ---- 4. WRONGTYPE is made in the keyspace.

fn wrong_types(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let says = source.literals.iter().filter(|(_, text)| text.contains("WRONGTYPE"));
        if source.path != "src/error.rs" {
            violations.extend(says.map(|(line, _)| source.at(*line, "the text WRONGTYPE")));
        }
        if !source.is_in(&["src/keyspace/", "src/error.rs"]) {
            violations.extend(source.lines_with("CommandError::WrongType", "made elsewhere"));
        }
    }
    violations
}

#[test]
fn wrongtype_is_made_in_the_keyspace() {
    check(wrong_types(&sources(&["src"])));
    check_breaks(wrong_types, "src/command/x.rs", "return Err(CommandError::WrongType);", 1);
    check_breaks(
        wrong_types,
        "src/keyspace/x.rs",
        "f(\"WRONGTYPE of\", CommandError::WrongType)",
        1,
    );
}

// ---- 5. What the inner rooms do not know.

const ABOVE_KEYSPACE: [&str; 7] =
    ["command", "script", "reply", "resp", "ffi", "engine", "options"];

fn inner_rooms(sources: &[Source]) -> Vec<String> {
    let mut violations = uses(sources, &["src/keyspace/"], &ABOVE_KEYSPACE);
    violations.extend(uses(sources, &["src/value/"], &ABOVE_KEYSPACE));
    violations.extend(uses(sources, &["src/value/"], &["keyspace", "error"]));
    violations.extend(uses(
        sources,
        &["src/table.rs", "src/number/", "src/glob.rs"],
        &ABOVE_KEYSPACE,
    ));
    violations.extend(uses(sources, &["src/error.rs", "src/reply.rs"], &["command", "keyspace"]));
    for source in
        sources.iter().filter(|s| s.is_in(&["src/value/", "src/keyspace/", "src/command/"]))
    {
        for clock in ["SystemTime", "Instant"] {
            violations.extend(source.lines_with(clock, "time comes from the engine"));
        }
    }
    violations
}

#[test]
fn inner_rooms_do_not_know_the_outer() {
    check(inner_rooms(&sources(&["src"])));
    check_breaks(inner_rooms, "src/value/x.rs", "use crate::keyspace::NEVER;", 1);
    check_breaks(inner_rooms, "src/keyspace/x.rs", "use crate::reply::ReplyBuf;", 1);
    check_breaks(inner_rooms, "src/keyspace/x.rs", "use crate::value::Value;", 0);
    check_breaks(inner_rooms, "src/command/x.rs", "let now = SystemTime::now();", 1);
    check_breaks(inner_rooms, "src/value/x.rs", "#[cfg(test)]\nmod tests { use crate::reply; }", 0);
}

// ---- 6. Unsafe code and Lua.

fn unsafe_code(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| !source.is_in(&["src/ffi/", "src/script/vm/"]));
    others
        .flat_map(|source| source.lines_with("unsafe", "only in src/ffi and src/script/vm"))
        .collect()
}

#[test]
fn unsafe_is_in_two_rooms() {
    check(unsafe_code(&sources(&["src", "bindings/python/src"])));
    check_breaks(unsafe_code, "src/table.rs", "unsafe { f() }\n// unsafe\nlet unsafe_ = 1;", 1);
    check_breaks(unsafe_code, "src/ffi/x.rs", "unsafe { f() }", 0);
}

fn lua_crate(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| !source.is_in(&["src/script/"]));
    let names = |source: &Source| {
        let mut lines = source.lines_with("mlua", "mlua is for src/script");
        lines.extend(source.lines_with("mlua_sys", "mlua is for src/script"));
        lines
    };
    others.flat_map(names).collect()
}

#[test]
fn mlua_is_in_one_room() {
    check(lua_crate(&sources(&["src", "bindings/python/src"])));
    check_breaks(lua_crate, "src/engine.rs", "use mlua_sys as ffi;\nuse mlua::Lua;", 2);
    check_breaks(lua_crate, "src/script/vm/x.rs", "use mlua_sys as ffi;", 0);
}

// ---- 7. No global state.

/// What is computed once and never changes, and what each thread has of its own: an address that
/// tells it apart, a buffer that holds nothing between two calls, an exception on its way out of
/// one, the traceback of its last failure.
const HARMLESS_STATICS: [(&str, &str); 8] = [
    ("src/command/index.rs", "static INDEX: OnceLock<"),
    ("src/engine/shared.rs", "static MARK: u8"),
    ("src/ffi/reply.rs", "static KEPT: Cell<Option<Box<ReplyBuf>>>"),
    ("src/ffi/traceback.rs", "static LAST: Cell<Option<Box<Traceback>>>"),
    ("src/script/vm/base.rs", "static GC_OPTIONS: Options<"),
    ("src/script/vm/locale.rs", "static C_LOCALE: OnceLock<"),
    ("bindings/python/src/engine.rs", "static CLASS: PyOnceLock<"),
    ("bindings/python/src/wait.rs", "static RAISED: Cell<Option<Box<PyErr>>>"),
];

/// Where threads are started: what listens, what follows another server and what saves in the
/// background are asked for, and LuaJIT has a watchdog.
const THREADS: [&str; 4] = [
    "src/follow/mod.rs",
    "src/listen/mod.rs",
    "src/persist/saving.rs",
    "src/script/vm/watchdog.rs",
];

fn globals(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for (i, line) in source.code.lines().enumerate() {
            let line = line.trim();
            let harmless =
                |(path, start): &(&str, &str)| source.path == *path && line.contains(start);
            let is_static = has_word(&line.replace("'static", ""), "static");
            if is_static && !HARMLESS_STATICS.iter().any(harmless) {
                violations.push(source.at(i + 1, &format!("global state: `{line}`")));
            }
        }
        let starts = ["thread::spawn", "thread::Builder", "thread::scope", "rayon"];
        for start in starts.iter().filter(|_| !THREADS.contains(&source.path.as_str())) {
            violations.extend(source.lines_with(start, "a thread"));
        }
    }
    violations
}

#[test]
fn no_global_state_and_no_threads() {
    check(globals(&sources(&["src", "bindings/python/src"])));
    check_breaks(globals, "src/x.rs", "static mut N: u8 = 0;\nstatic M: Mutex<u8> = f();", 2);
    check_breaks(globals, "src/x.rs", "fn f() { std::thread::spawn(g); }", 1);
    check_breaks(globals, "src/x.rs", "fn f() -> &'static str { \"static mut\" }", 0);
    check_breaks(globals, "src/engine/shared.rs", "static MARK: u8 = 0;\nstatic OTHER: u8 = 0;", 1);
}

// ---- The rules of the house.

/// Every Rust file we wrote.
fn all_sources() -> Vec<Source> {
    sources(&["src", "tests", "benches", "examples", "bindings/python/src"])
}

const FUNCTION_LINES_MOST: usize = 70;
const FILE_LINES_MOST: usize = 1_000;

fn long_functions(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        // Tests count too, so this looks at the masked text with them.
        let (code, _) = mask(&source.text);
        for (at, _) in code.match_indices("fn ") {
            let body = &code[at..];
            let head = body.find(['{', ';']).unwrap_or(body.len());
            if !body[head..].starts_with('{') || !starts_item(&code[..at]) {
                continue;
            }
            let end = head + 1 + closing(&body[head + 1..]);
            let lines = body[..end].matches('\n').count() + 1;
            if lines > FUNCTION_LINES_MOST {
                let name: String =
                    body[3..].chars().take_while(|&c| c != '(' && c != '<').collect();
                let line = code[..at].matches('\n').count() + 1;
                violations.push(source.at(line, &format!("{name} has {lines} lines")));
            }
        }
    }
    violations
}

/// Whether `fn` behind this text begins an item, and is not the type of a function.
fn starts_item(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\n']);
    let words = ["pub", "const", "unsafe", "async", "\"\"", ")", "}", "{", ";", "]"];
    before.is_empty() || words.iter().any(|word| before.ends_with(word))
}

#[test]
fn functions_fit_a_screen() {
    check(long_functions(&all_sources()));
    let long = format!("fn f() {{\n{}}}", "g();\n".repeat(FUNCTION_LINES_MOST));
    check_breaks(long_functions, "src/x.rs", &long, 1);
    check_breaks(long_functions, "src/x.rs", &format!("pub(crate) unsafe extern \"C\" {long}"), 1);
    check_breaks(long_functions, "src/x.rs", &long.replacen("g();\n", "", 2), 0);
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let long = sources.iter().filter(|source| lines(source) > FILE_LINES_MOST);
    long.map(|source| format!("{} has {} lines", source.path, lines(source))).collect()
}

#[test]
fn files_are_not_too_long() {
    check(long_files(&all_sources()));
    check_breaks(long_files, "src/x.rs", &"\n".repeat(FILE_LINES_MOST + 1), 1);
    check_breaks(long_files, "src/x.rs", &"\n".repeat(FILE_LINES_MOST), 0);
}

/// Marks of work that was left; written in two parts, lest they are found here.
const LEFT: [(&str, &str); 6] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("todo", "!"),
    ("unimplemented", "!"),
    ("#[ign", "ore"),
];

fn left_work(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for (i, line) in source.text.lines().enumerate() {
            for (first, second) in LEFT {
                if has_word(line, &format!("{first}{second}")) {
                    violations.push(source.at(i + 1, &format!("left work: `{}`", line.trim())));
                }
            }
        }
    }
    violations
}

#[test]
fn no_work_is_left() {
    check(left_work(&all_sources()));
    for (first, second) in LEFT {
        check_breaks(
            left_work,
            "src/x.rs",
            &format!("fn f() {{\n    // {first}{second} it\n}}"),
            1,
        );
    }
    check_breaks(left_work, "src/x.rs", "let mastodon = XXXL;", 0);
}

fn unwraps(sources: &[Source]) -> Vec<String> {
    let calls = [".unwrap()", ".expect(", "panic!("];
    let found = |source: &Source| -> Vec<String> {
        calls.iter().flat_map(|call| source.lines_with(call, "may panic")).collect()
    };
    sources.iter().flat_map(found).collect()
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    check(unwraps(&sources(&["src", "bindings/python/src"])));
    check_breaks(unwraps, "src/x.rs", "let a = f().unwrap();\nlet b = f()\n    .expect(\"b\");", 2);
    check_breaks(unwraps, "src/x.rs", "let a = f().unwrap_or(0); /* .unwrap() */", 0);
    check_breaks(unwraps, "src/x.rs", "#[cfg(test)]\nmod tests {\n fn f() { g().unwrap() }\n}", 0);
    check_breaks(unwraps, "src/x_tests.rs", "fn f() { g().unwrap() }", 0);
}

fn heads(sources: &[Source]) -> Vec<String> {
    let headless = sources.iter().filter(|source| !source.text.starts_with("//! "));
    headless.map(|source| source.at(1, "no head: a file begins with `//! `")).collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    check(heads(&all_sources()));
    check_breaks(heads, "src/x.rs", "use std::fs;\n//! late\n", 1);
    check_breaks(heads, "src/x.rs", "//! What it is for.\n", 0);
}

/// The names in the sections of dependencies of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies")
            && let Some((name, _)) = line.split_once(['=', '.'])
        {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

fn unexplained(manifest: &str, document: &str) -> Vec<String> {
    let missing = dependencies(manifest).into_iter().filter(|name| !has_word(document, name));
    missing.map(|name| format!("ARCHITECTURE.md does not name the dependency {name}")).collect()
}

#[test]
fn architecture_names_every_dependency() {
    let manifest = file("Cargo.toml");
    assert!(dependencies(&manifest).contains("mlua-sys"));
    check(unexplained(&manifest, &file("ARCHITECTURE.md")));
    let manifest = "[dependencies]\na = \"1\"\nb.workspace = true\n[features]\nc = []";
    assert_eq!(unexplained(manifest, "We use a."), unexplained("[dependencies]\nb = \"1\"", ""));
    assert_eq!(unexplained(manifest, "We use a and b."), [""; 0]);
}

// ---- The scanner itself.

#[test]
fn the_scanner_reads_literals_and_comments() {
    let text = r###"let a = "x \" // y"; // "no"
/* "no" /* nested */ */ let b = r#"raw " text"#; let c = b"bytes"; let d = c"c";
let e = '"'; let f: &'static str = "z"; let g = '\''; let h = "two
lines"; var"i" "###;
    let (masked, literals) = mask(text);
    let found: Vec<(usize, &str)> = literals.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let expected = [
        (1, r#"x \" // y"#),
        (2, "raw \" text"),
        (2, "bytes"),
        (2, "c"),
        (3, "z"),
        (3, "two\nlines"),
        (4, "i"),
    ];
    assert_eq!(found, expected);
    assert!(!masked.contains("no") && masked.contains("&'static str"), "{masked}");
    assert_eq!(masked.lines().count(), text.lines().count());
}

#[test]
fn the_scanner_leaves_tests_out() {
    let text =
        "fn a() {}\n#[cfg(test)]\nfn b() {\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\nfn d() {}";
    let source = Source::new("src/x.rs", text);
    let lines: Vec<&str> = source.code.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["fn a() {}", "fn c() {}", "fn d() {}"]);
}

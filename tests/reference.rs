//! Plays the answers recorded from Redis 7.0.15 (`tests/reference/`) and compares.
//!
//! A case that needs a command which does not exist here yet waits: it is counted
//! and not run. A floor under the number of those that run keeps this from hiding anything.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod dialect;
#[cfg(all(feature = "listen", unix))]
#[path = "reference/socket.rs"]
mod socket;

use dialect::plain;
use moonkv::{Engine, Options, Protocol, Session};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// At least so many cases run; raise it when commands are added.
const CASES_LEAST: usize = 3251;

/// Answers that are other ones here by decision: in a script time stands still.
const DECIDED: [&str; 1] = ["script_cmd-055"];

/// A script's complaint that a command does not exist.
const SCRIPT_UNKNOWN: &str = "Unknown Redis command called from script";

/// Commands that see every key, so that each setup command matters to them.
const SEES_ALL: [&str; 6] = ["KEYS", "SCAN", "DBSIZE", "RANDOMKEY", "SWAPDB", "MOVE"];

type Argv = Vec<Vec<u8>>;

/// What each case begins with.
const FLUSHES: [[&str; 2]; 3] = [["FLUSHALL", "SYNC"], ["SCRIPT", "FLUSH"], ["FUNCTION", "FLUSH"]];

/// Who runs commands one after the other: a session, or a connection to a listener.
trait Caller {
    /// The bytes of one reply.
    fn ask(&self, protocol: Protocol, words: &[&[u8]]) -> Vec<u8>;
}

impl Caller for Session {
    fn ask(&self, protocol: Protocol, words: &[&[u8]]) -> Vec<u8> {
        self.command_resp(words, protocol).expect("every command gets a reply")
    }
}

#[test]
fn recorded_answers_hold() {
    let engines = [Protocol::Resp2, Protocol::Resp3].map(open);
    check(&Known::new(), |protocol| {
        let engine = &engines[usize::from(protocol == Protocol::Resp3)];
        let session = engine.session().expect("a session opens");
        for words in FLUSHES {
            session.ask(protocol, &words.map(str::as_bytes));
        }
        Box::new(session)
    });
}

/// Plays all cases, each with a caller of its own on an empty engine.
fn check(known: &Known, begin: impl Fn(Protocol) -> Box<dyn Caller>) {
    let mut cases: Vec<Case> = ["errors", "matrix", "lua"].iter().flat_map(|f| cases(f)).collect();
    if cfg!(feature = "luajit") {
        replace_replies(&mut cases);
    }
    cases.retain(|case| !DECIDED.contains(&case.id.as_str()));
    let (mut ran, mut waiting, mut different) = (0, 0, Vec::new());
    for case in &cases {
        match play(&begin, case, known) {
            Outcome::Agrees => ran += 1,
            Outcome::Waits => waiting += 1,
            Outcome::Differs { expected, got } if is_reordered(&expected, &got) => ran += 1,
            Outcome::Differs { expected, got } => {
                ran += 1;
                different.push(format!(
                    "{}\n  cmd {}\n  expected {expected}\n  got {got}",
                    case.id, case.shown
                ));
            }
        }
    }
    let differ = different.len();
    println!("{ran} cases ran, {waiting} wait for commands of later work, {differ} differ");
    different.iter().for_each(|line| println!("{line}"));
    assert_eq!(differ, 0, "answers differ from Redis's");
    assert!(ran >= CASES_LEAST, "only {ran} cases ran, {CASES_LEAST} did before");
}

/// Whether two maps differ in nothing but their order, which is LuaJIT's own there.
fn is_reordered(expected: &Value, got: &Value) -> bool {
    let bytes = |answer: &Value| {
        let mut bytes = answer.to_string().into_bytes();
        bytes.sort_unstable();
        bytes
    };
    let are_maps = [expected, got].iter().all(|answer| answer["t"] == "map");
    cfg!(feature = "luajit") && are_maps && bytes(expected) == bytes(got)
}

/// Where LuaJIT's answer is another one, with its reason.
fn replace_replies(cases: &mut [Case]) {
    for line in reference("luajit.jsonl").lines() {
        let other: Value = serde_json::from_str(line).expect("a case is JSON");
        assert!(other["why"].is_string(), "{line}");
        let case = cases.iter_mut().find(|case| other["id"] == case.id);
        let case = case.unwrap_or_else(|| panic!("there is no case {}", other["id"]));
        assert_ne!(case.reply, other["reply"], "{}: it answers like Redis", case.id);
        case.reply = other["reply"].clone();
    }
}

/// An engine with Redis's own settings.
fn open(protocol: Protocol) -> Engine {
    let mut options = Options::redis();
    options.protocol = protocol;
    // As the server was started that gave the answers.
    options.config.push(("enable-debug-command".to_owned(), "yes".to_owned()));
    Engine::open(&options).expect("an engine opens")
}

/// One recorded case.
struct Case {
    id: String,
    /// The command as it was recorded.
    shown: String,
    setup: Vec<Argv>,
    cmd: Argv,
    protocol: Protocol,
    reply: Value,
}

fn reference(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(name: &str) -> Vec<Case> {
    reference(&format!("{name}.jsonl")).lines().map(case).collect()
}

fn case(line: &str) -> Case {
    let mut case: Value = serde_json::from_str(line).expect("a case is JSON");
    Case {
        id: case["id"].as_str().expect("an id").to_owned(),
        shown: case["cmd"].to_string(),
        setup: list(&case["setup"]).iter().map(argv).collect(),
        cmd: argv(&case["cmd"]),
        protocol: if case["resp"] == 3 { Protocol::Resp3 } else { Protocol::Resp2 },
        reply: case["reply"].take(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn argv(value: &Value) -> Argv {
    list(value).iter().map(argument).collect()
}

fn argument(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    let hex = value["hex"].as_str().expect("an argument is text or hex");
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("two digits a byte");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The opposite of [`argument`].
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() }),
    }
}

/// A command's name as Redis's table has it.
fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

fn is_named(argv: &[Vec<u8>], name: &str) -> bool {
    argv.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

/// Which of Redis's commands exist here.
struct Known {
    probe: Engine,
    /// All that Redis has, subcommands as `container|name`, and whether it only writes the key
    /// that is its first argument.
    redis: HashMap<String, bool>,
    /// What was found out.
    exists: RefCell<HashMap<String, bool>>,
}

impl Known {
    fn new() -> Known {
        let table = reference("commands.tsv");
        let row = |line: &str| match *line.split('\t').collect::<Vec<_>>() {
            [name, _, flags, _, _, first, last, ..] => {
                let one_key = first == "1" && last == "1";
                (name.to_owned(), one_key && flags.split(' ').any(|flag| flag == "write"))
            }
            _ => panic!("a row has eight facts and more: {line}"),
        };
        Known {
            probe: open(Protocol::Resp2),
            redis: table.lines().skip(1).map(row).collect(),
            exists: RefCell::default(),
        }
    }

    /// Whether Redis has this command and we do not. A name that Redis does not know either is
    /// no reason to wait: its error is what was recorded.
    fn is_later(&self, argv: &[Vec<u8>]) -> bool {
        let Some((first, rest)) = argv.split_first() else { return false };
        let name = lower(first);
        let full = rest.first().map(|own| format!("{name}|{}", lower(own)));
        let full = full.filter(|full| self.redis.contains_key(full));
        // COMMAND GETKEYS and its like ask about a whole call.
        if name == "command" && rest.len() > 1 && self.is_later(&rest[1..]) {
            return true;
        }
        [Some(name), full].iter().flatten().any(|name| self.is_missing(name))
    }

    /// The same for one name, a subcommand's in full.
    fn is_missing(&self, name: &str) -> bool {
        let ask = || {
            let words: Argv = name.split('|').map(|word| word.as_bytes().to_vec()).collect();
            let session = self.probe.session().expect("a session opens");
            let answer = run(&session, Protocol::Resp2, &words);
            let error = answer["v"].as_str().filter(|_| answer["t"] == "error").unwrap_or("");
            !error.starts_with("ERR unknown command")
                && !error.starts_with("ERR unknown subcommand")
        };
        let mut exists = self.exists.borrow_mut();
        self.redis.contains_key(name) && !*exists.entry(name.to_owned()).or_insert_with(ask)
    }

    fn writes_one_key(&self, argv: &[Vec<u8>]) -> bool {
        argv.first().is_some_and(|name| self.redis.get(&lower(name)) == Some(&true))
    }

    /// Whether a script calls, by name, a command of later work.
    fn calls_later(&self, script: &[u8]) -> bool {
        let script = String::from_utf8_lossy(script);
        let calls = script.split("redis.call").chain(script.split("redis.pcall"));
        calls.skip(1).filter_map(called).any(|name| self.is_missing(&name))
    }
}

/// The name in what follows `redis.call`, if it is a plain string.
fn called(rest: &str) -> Option<String> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('(').unwrap_or(rest).trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    rest[1..].split_once(quote).map(|(name, _)| name.to_ascii_lowercase())
}

/// How a case went.
enum Outcome {
    Agrees,
    Waits,
    Differs { expected: Value, got: Value },
}

/// The commands of a case that have to run before the one whose reply counts; none if the case
/// has to wait.
fn setup<'a>(case: &'a Case, known: &Known) -> Option<Vec<&'a Argv>> {
    let is_needless = |argv: &Argv| known.writes_one_key(argv) && is_needless(argv, case);
    let needed = |argv: &&Argv| !(known.is_later(argv) && is_needless(argv));
    let before: Vec<&Argv> = case.setup.iter().filter(needed).collect();
    let all = || before.iter().copied().chain([&case.cmd]);
    let waits = all().any(|argv| known.is_later(argv))
        || all().any(|argv| argv.iter().any(|argument| known.calls_later(argument)));
    (!waits).then_some(before)
}

/// Whether a setup command that writes its key writes one that nothing else in the case looks at,
/// as in the matrix: then the case can do without it.
fn is_needless(setup: &Argv, case: &Case) -> bool {
    let Some(key) = setup.get(1) else { return false };
    let others = || case.setup.iter().chain([&case.cmd]).filter(|argv| *argv != setup);
    let mentions = |argument: &Vec<u8>| {
        let argument = String::from_utf8_lossy(argument);
        let key = String::from_utf8_lossy(key);
        argument == key || ['\'', '"'].iter().any(|q| argument.contains(&format!("{q}{key}{q}")))
    };
    let sees_all = SEES_ALL.iter().any(|name| others().any(|argv| is_named(argv, name)));
    !sees_all && !others().any(|argv| argv.iter().skip(1).any(mentions))
}

fn play(begin: impl Fn(Protocol) -> Box<dyn Caller>, case: &Case, known: &Known) -> Outcome {
    let Some(before) = setup(case, known) else { return Outcome::Waits };
    let caller = &*begin(case.protocol);
    for argv in &before {
        run(caller, case.protocol, argv);
    }
    let mut expected = case.reply.clone();
    let mut got = run(caller, case.protocol, &case.cmd);
    if got == expected {
        return Outcome::Agrees;
    }
    if got.to_string().contains(SCRIPT_UNKNOWN) {
        return Outcome::Waits;
    }
    for reply in [&mut got, &mut expected] {
        forget_order(caller, case, &before, reply);
    }
    match plain(&got.to_string()) == plain(&expected.to_string()) {
        true => Outcome::Agrees,
        false => Outcome::Differs { expected, got },
    }
}

/// Brings the parts of a reply whose order means nothing into one order.
fn forget_order(caller: &dyn Caller, case: &Case, before: &[&Argv], reply: &mut Value) {
    if !is_named(&case.cmd, "EXEC") {
        return Order::of(caller, &case.cmd).forget(reply);
    }
    let queued = before.iter().skip_while(|argv| !is_named(argv, "MULTI")).skip(1);
    let replies = reply["v"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    for (argv, reply) in queued.zip(replies) {
        Order::of(caller, argv).forget(reply);
    }
}

/// Runs a command; its reply in the form of the records.
fn run(caller: &dyn Caller, protocol: Protocol, argv: &[Vec<u8>]) -> Value {
    let words: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
    let bytes = caller.ask(protocol, &words);
    let mut reader = Reader { rest: &bytes };
    let value = reader.value();
    assert!(reader.rest.is_empty(), "bytes behind the reply to {argv:?}");
    value
}

/// Where the order of a reply means nothing.
enum Order {
    Matters,
    /// The elements are groups of so many, in any order.
    Groups(usize),
    /// The same for the second element, behind a cursor.
    GroupsBehindCursor(usize),
}

impl Order {
    /// Small collections keep their order, so there it is compared.
    fn of(caller: &dyn Caller, argv: &Argv) -> Order {
        let name = argv.first().map(|name| lower(name)).unwrap_or_default();
        let is_large = || {
            let key = argv.get(1).cloned().unwrap_or_default();
            let ask = [b"OBJECT".to_vec(), b"ENCODING".to_vec(), key];
            let encoding = run(caller, Protocol::Resp2, &ask);
            encoding["v"] == "hashtable" || encoding["v"] == "skiplist"
        };
        match name.as_str() {
            "keys" | "smembers" | "sinter" | "sunion" | "sdiff" => Order::Groups(1),
            "scan" | "sscan" => Order::GroupsBehindCursor(1),
            "hkeys" | "hvals" if is_large() => Order::Groups(1),
            "hgetall" if is_large() => Order::Groups(2),
            "hscan" | "zscan" if is_large() => Order::GroupsBehindCursor(2),
            _ => Order::Matters,
        }
    }

    /// Brings a reply into one order.
    fn forget(&self, reply: &mut Value) {
        let (elements, width) = match self {
            Order::Matters => return,
            // The pairs of a map are elements already.
            Order::Groups(_) if reply["t"] == "map" => (&mut reply["v"], 1),
            Order::Groups(width) => (&mut reply["v"], *width),
            Order::GroupsBehindCursor(width) => (&mut reply["v"][1]["v"], *width),
        };
        if let Some(elements) = elements.as_array_mut() {
            let mut groups: Vec<Vec<Value>> = elements.chunks(width).map(<[_]>::to_vec).collect();
            groups.sort_by_key(|group| json!(group).to_string());
            *elements = groups.concat();
        }
    }
}

/// Reads RESP into the form of the records.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> &[u8] {
        let (taken, rest) = self.rest.split_at_checked(len).expect("the reply is complete");
        self.rest = rest;
        taken
    }

    fn line(&mut self) -> String {
        let len = self.rest.windows(2).position(|pair| pair == b"\r\n").expect("a line ends");
        let line = String::from_utf8_lossy(self.take(len)).into_owned();
        self.take(2);
        line
    }

    /// The text whose length was read.
    fn sized(&mut self, len: &str) -> Value {
        let bytes = text(self.take(len.parse().expect("a length")));
        assert_eq!(self.take(2), b"\r\n");
        bytes
    }

    fn elements(&mut self, len: &str) -> Vec<Value> {
        (0..len.parse().expect("a length")).map(|_| self.value()).collect()
    }

    fn pairs(&mut self, len: &str) -> Vec<Value> {
        let len: usize = len.parse().expect("a length");
        (0..len).map(|_| json!([self.value(), self.value()])).collect()
    }

    fn value(&mut self) -> Value {
        let letter = self.take(1)[0];
        let line = self.line();
        match (letter, line.as_str()) {
            (b'$', "-1") => json!({ "t": "nullbulk" }),
            (b'*', "-1") => json!({ "t": "nullarray" }),
            (b'_', "") => json!({ "t": "null" }),
            (b'+', _) => json!({ "t": "simple", "v": line }),
            (b'-', _) => json!({ "t": "error", "v": line }),
            (b':', _) => json!({ "t": "int", "v": line.parse::<i64>().expect("an integer") }),
            (b',', _) => json!({ "t": "double", "v": line }),
            (b'(', _) => json!({ "t": "bignum", "v": line }),
            (b'#', "t" | "f") => json!({ "t": "bool", "v": line == "t" }),
            (b'$', len) => json!({ "t": "bulk", "v": self.sized(len) }),
            (b'=', len) => json!({ "t": "verbatim", "v": self.sized(len) }),
            (b'*', len) => json!({ "t": "array", "v": self.elements(len) }),
            (b'~', len) => json!({ "t": "set", "v": self.elements(len) }),
            (b'>', len) => json!({ "t": "push", "v": self.elements(len) }),
            (b'%', len) => json!({ "t": "map", "v": self.pairs(len) }),
            (b'|', len) => json!({ "t": "attr", "a": self.pairs(len), "v": self.value() }),
            _ => panic!("no reply begins with {:?}", char::from(letter)),
        }
    }
}

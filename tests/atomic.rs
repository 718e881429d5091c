//! A script that ends in an error leaves no trace, whatever it did and however it ended.
//!
//! The proof is a full dump before and after: every key with its type, encoding, deadline and
//! content in stored order. Scripts written by hand try every way to end; scripts made at random
//! try every command that writes.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "atomic/cost.rs"]
mod cost;
#[path = "atomic/random.rs"]
mod random;

use cost::shortest;
use moonkv::{Clock, Engine, OnError, Options, Reply, Session};
use random::{Commands, Random, writers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const NO_KEYS: [&str; 0] = [];

const START_MS: i64 = 1_700_000_000_000;

fn options() -> Options {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: START_MS };
    options
}

fn open(options: &Options) -> Engine {
    Engine::open(options).expect("an engine opens")
}

type Argv = Vec<Vec<u8>>;

fn argv(words: &str) -> Argv {
    words.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Who can be asked what keys hold.
trait Ask {
    fn ask(&self, words: &[&[u8]]) -> Reply;
}

impl Ask for Engine {
    fn ask(&self, words: &[&[u8]]) -> Reply {
        self.command(words).unwrap_or_else(|error| Reply::Error(error.to_string()))
    }
}

impl Ask for Session {
    fn ask(&self, words: &[&[u8]]) -> Reply {
        self.command(words).unwrap_or_else(|error| Reply::Error(error.to_string()))
    }
}

// ---- The dump.

/// What a key holds, as far as commands can tell.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    kind: Reply,
    encoding: Reply,
    deadline: Reply,
    /// What the command for the number of elements answers.
    len: Reply,
    content: Vec<Reply>,
    /// The value in Redis's serialisation, where it is the same for the same value.
    bytes: Reply,
}

impl Held {
    fn encoding(&self) -> &str {
        self.encoding.as_str().unwrap_or("none")
    }
}

type Dump = BTreeMap<Vec<u8>, Held>;

/// All keys of the two databases that the commands here reach, those of the second behind its number.
fn dump(engine: &impl Ask) -> Dump {
    let mut all = Dump::new();
    for database in ["1", "0"] {
        engine.ask(&[b"SELECT", database.as_bytes()]);
        let keys = engine.ask(&[b"KEYS", b"*"]);
        let keys = keys.as_array().expect("KEYS answers with an array");
        for name in keys.iter().map(|key| key.as_bytes().expect("a key is a string")) {
            let shown = if database == "0" { name.to_vec() } else { [b"1: ", name].concat() };
            all.insert(shown, held(engine, name));
        }
    }
    all
}

/// How each type is asked what is in it: the number of elements, all of them, and how many of the
/// answer's parts make an element.
const TYPES: [(&str, &str, &str, usize); 6] = [
    ("string", "STRLEN", "GET key", 1),
    ("list", "LLEN", "LRANGE key 0 -1", 1),
    ("hash", "HLEN", "HGETALL key", 2),
    ("set", "SCARD", "SMEMBERS key", 1),
    ("zset", "ZCARD", "ZRANGE key 0 -1 WITHSCORES", 2),
    ("stream", "XLEN", "XINFO STREAM key FULL COUNT 0", 2),
];

fn held(engine: &impl Ask, key: &[u8]) -> Held {
    let kind = engine.ask(&[b"TYPE", key]);
    let encoding = engine.ask(&[b"OBJECT", b"ENCODING", key]);
    let known = TYPES.iter().find(|(name, ..)| Some(*name) == kind.as_str());
    let Some((_, len, all, width)) = known else {
        panic!("the dump does not know what is in a key of type {kind:?}")
    };
    let all: Vec<&[u8]> =
        all.split(' ').map(|word| if word == "key" { key } else { word.as_bytes() }).collect();
    let mut content = match engine.ask(&all) {
        Reply::Array(elements) => elements,
        scalar => vec![scalar],
    };
    // A hash table has no order to keep; everything else has.
    if encoding.as_str() == Some("hashtable") {
        let mut elements: Vec<_> = content.chunks(*width).map(<[Reply]>::to_vec).collect();
        elements.sort_by(|a, b| a[0].as_bytes().cmp(&b[0].as_bytes()));
        content = elements.concat();
    }
    // Its bytes also tell in how many bytes integers are kept. Elsewhere they say more than Redis
    // promises: in which order a hash table is walked, where the nodes of a list end.
    let bytes = match encoding.as_str() {
        Some("intset" | "listpack") => engine.ask(&[b"DUMP", key]),
        _ => Reply::Null,
    };
    let deadline = engine.ask(&[b"PEXPIRETIME", key]);
    Held { kind, encoding, deadline, len: engine.ask(&[len.as_bytes(), key]), content, bytes }
}

/// Compares two dumps and tells where they differ, each side cut to a readable length.
fn check_same(before: &Dump, after: &Dump, what: &str) {
    let keys: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&&Vec<u8>| before.get(**key) != after.get(**key);
    let show = |held: Option<&Held>| match held {
        None => "nothing".to_owned(),
        Some(held) => {
            let text = format!("{held:?}");
            text.chars().take(400).collect()
        }
    };
    let lines: Vec<String> = keys
        .iter()
        .filter(differs)
        .map(|key| {
            let name = String::from_utf8_lossy(key);
            format!(
                "{name}\n  expected {}\n  got {}",
                show(before.get(*key)),
                show(after.get(*key))
            )
        })
        .collect();
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

// ---- Every way to end.

/// Data of every type and encoding.
const GROUND: [&str; 11] = [
    "SET n 41",
    "SET text some",
    "APPEND text thing",
    "RPUSH list a b c",
    "HSET hash f 1 g 2 h 3",
    "SADD ints 1 2 3",
    "SADD set a b 3",
    "ZADD zset 1 one 2 two",
    "SET fleeting soon PX 5000",
    "RPUSH fleeting-list x",
    "PEXPIRE fleeting-list 9000",
];

/// Writes to all of it.
const WRITES: &str = "
    redis.call('INCR', 'n')
    redis.call('SETRANGE', 'text', 2, 'XYZ')
    redis.call('LPUSH', 'list', 'new')
    redis.call('LREM', 'list', 0, 'b')
    redis.call('HDEL', 'hash', 'f')
    redis.call('HSET', 'hash', 'z', string.rep('long', 30))
    redis.call('SREM', 'ints', 2)
    redis.call('SADD', 'ints', 4, 100000, 'x')
    redis.call('SMOVE', 'set', 'ints', 'a')
    redis.call('SPOP', 'set')
    redis.call('ZADD', 'zset', 3, 'two')
    redis.call('PERSIST', 'fleeting')
    redis.call('PEXPIRE', 'fleeting-list', -1)
    redis.call('RENAME', 'list', 'elsewhere')
    redis.call('SET', 'new', 'value')
";

/// How a script ends, under which options, and what its error says.
struct Ending {
    name: &'static str,
    script: &'static str,
    limit: fn(&mut Options),
    says: &'static str,
}

const fn ending(name: &'static str, script: &'static str, says: &'static str) -> Ending {
    Ending { name, script, limit: |_| (), says }
}

const ENDINGS: [Ending; 17] = [
    ending("raised text", "error('boom')", "boom"),
    ending("raised table", "error({err = 'OWN code'})", "OWN code"),
    ending("raised empty table", "error({})", "ERR unknown error"),
    ending("raised nil", "error(nil)", "ERR nil"),
    ending("raised number", "error(12)", "12"),
    ending("failed assert", "assert(false, 'not so')", "not so"),
    ending("failed call", "redis.call('LPUSH', 'n', 'x')", "WRONGTYPE"),
    ending("unknown command", "redis.call('NOSUCH')", "ERR Unknown Redis command"),
    ending("wrong number of arguments", "redis.call('GET')", "ERR Wrong number of args"),
    ending("forbidden command", "redis.call('SCRIPT', 'LOAD', '')", "not allowed from script"),
    ending("arithmetic on nil", "return nothing + 1", "nothing"),
    ending("stack overflow", "local function f() return 1 + f() end f()", "stack overflow"),
    ending(
        "error in a coroutine",
        "coroutine.wrap(function() redis.call('DEL', 'zset') error('inside') end)()",
        "inside",
    ),
    Ending {
        name: "time limit",
        script: "while true do redis.call('INCR', 'n') end",
        limit: |options| options.script_timeout = Some(Duration::from_millis(30)),
        says: "time limit of 30 ms",
    },
    Ending {
        name: "instruction limit",
        script: "while true do redis.call('RPUSH', 'numbers', 'x') end",
        limit: |options| options.script_instructions = Some(100_000),
        says: "limit of 100000 instructions",
    },
    Ending {
        name: "memory limit",
        script: "local t = {} while true do t[#t + 1] = redis.call('APPEND', 'text', 'x') .. '' end",
        limit: |options| options.script_memory = Some(1 << 20),
        says: "memory limit of 1048576 bytes",
    },
    Ending {
        name: "limit inside pcall",
        script: "while true do pcall(function() while true do redis.call('INCR', 'n') end end) end",
        limit: |options| options.script_timeout = Some(Duration::from_millis(30)),
        says: "time limit of 30 ms",
    },
];

fn on_ground(options: &Options) -> Engine {
    let engine = open(options);
    for command in GROUND {
        engine.command(&argv(command)).expect("the ground is laid");
    }
    engine
}

/// The error of a script that writes and then ends.
fn fail(engine: &Engine, script: &str, name: &str) -> String {
    let script = format!("{WRITES} {script}");
    match engine.eval(script, &NO_KEYS, &NO_KEYS) {
        Ok(reply) => panic!("{name}: the script ended well, with {reply:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_failed_script_leaves_no_trace() {
    for Ending { name, script, limit, says } in ENDINGS {
        let mut options = options();
        limit(&mut options);
        let engine = on_ground(&options);
        let before = dump(&engine);
        let error = fail(&engine, script, name);
        assert!(error.contains(says), "{name}: {error}");
        check_same(&before, &dump(&engine), name);
        let next = engine.eval("return redis.call('INCR', 'n')", &NO_KEYS, &NO_KEYS);
        assert_eq!(next, Ok(Reply::Integer(42)), "{name}: the engine goes on");
    }
}

/// A string that is overwritten by one of its form and length stays where it is, and what it was is
/// copied; so is a small key that goes.
#[test]
fn what_was_overwritten_where_it_lay_comes_back() {
    let engine = open(&options());
    let long = "x".repeat(1_000);
    let ground = ["SET text abc", "SET due abc PX 5000", "SET number 41", "SET empty "];
    let ground =
        ground.iter().copied().chain(["HSET hash f v", "APPEND raw abc", "RPUSH list a b"]);
    for words in ground.map(str::to_owned).chain([format!("SET long {long}")]) {
        engine.command(&argv(&words)).expect("the ground is laid");
    }
    let calls = [
        "'SET', 'text', 'xyz'",
        "'SET', 'due', 'xyz', 'KEEPTTL'",
        "'SET', 'due', 'xyz', 'PX', 9000",
        "'SET', 'number', 7",
        "'SET', 'empty', ''",
        "'SET', 'long', string.rep('y', 1000)",
        "'SETRANGE', 'raw', 0, 'xyz'",
        "'GETSET', 'text', 'uvw'",
        "'INCRBY', 'number', 7",
        "'APPEND', 'text', 'd'",
        "'PEXPIRE', 'text', 100",
        "'PERSIST', 'due'",
        "'RENAME', 'text', 'other'",
        "'DEL', 'text', 'due', 'number', 'raw', 'hash', 'list', 'long', 'empty'",
    ];
    let before = dump(&engine);
    // Each call behind each other one, and behind itself.
    for first in calls {
        for second in calls {
            let again = "pcall(redis.call, 'SET', 'text', 'abc')";
            let script = format!(
                "redis.pcall({first}) redis.pcall({second}) {again} redis.pcall({first}) error('x')"
            );
            fail(&engine, &script, &script);
            check_same(&before, &dump(&engine), &script);
        }
    }
}

#[test]
fn a_cancelled_script_leaves_no_trace() {
    let engine = on_ground(&options());
    let before = dump(&engine);
    let ended = AtomicBool::new(false);
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            // A cancel that comes before the script began is not meant for it.
            while !ended.load(Ordering::Relaxed) {
                engine.cancel();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let error = fail(&engine, "while true do redis.call('INCR', 'n') end", "cancel");
        ended.store(true, Ordering::Relaxed);
        error
    });
    assert!(error.contains("cancelled by the host"), "{error}");
    check_same(&before, &dump(&engine), "cancel");
}

#[test]
fn under_keep_the_writes_before_an_error_stay() {
    for Ending { name, script, limit, says } in ENDINGS {
        // Those that write in their last words are compared without what these write.
        if script.contains("INCR") || script.contains("'text'") || script.contains("RPUSH") {
            continue;
        }
        let mut options = options();
        limit(&mut options);
        options.on_error = OnError::Keep;
        let (engine, other) = (on_ground(&options), on_ground(&options));
        let error = fail(&engine, script, name);
        assert!(error.contains(says), "{name}: {error}");
        other.eval(WRITES, &NO_KEYS, &NO_KEYS).expect("the writes succeed");
        if script.contains("'DEL', 'zset'") {
            other.command(&["DEL", "zset"]).expect("a key is removed");
        }
        assert!(dump(&on_ground(&options)) != dump(&other), "{name}: the writes change something");
        check_same(&dump(&other), &dump(&engine), name);
    }
}

#[test]
fn a_script_that_catches_its_errors_keeps_what_it_wrote() {
    let cases = [
        ("a returned error is a result", "return redis.error_reply('MINE')"),
        ("an error table is a result", "return {err = 'MINE'}"),
        ("pcall", "redis.call('NOSUCH')"),
        ("pcall around a call", "pcall(function() redis.call('NOSUCH') end)"),
        ("redis.pcall", "redis.pcall('LPUSH', 'n', 'x')"),
        (
            "pcall keeps what it wrote inside",
            "pcall(function() redis.call('SET', 'in', 1) error() end)",
        ),
    ];
    for (name, script) in cases {
        let (engine, other) = (on_ground(&options()), on_ground(&options()));
        let script = match name {
            "pcall" => format!("pcall(function() {WRITES} {script} end)"),
            _ => format!("{WRITES} {script}"),
        };
        let outcome = engine.eval(script, &NO_KEYS, &NO_KEYS);
        let returned = name.contains("result");
        assert_eq!(outcome.is_err(), returned, "{name}: {outcome:?}");
        other.eval(WRITES, &NO_KEYS, &NO_KEYS).expect("the writes succeed");
        if name.contains("inside") {
            other.command(&["SET", "in", "1"]).expect("a string is set");
        }
        check_same(&dump(&other), &dump(&engine), name);
    }
}

// ---- Every command that writes, at random.

/// Runs the commands in ARGV, each behind its length, and fails if KEYS says so.
const PLAY: &str = "
    local at = 1
    while at <= #ARGV do
        local count = tonumber(ARGV[at])
        redis.pcall(unpack(ARGV, at + 1, at + count))
        at = at + count + 1
    end
    if KEYS[1] == 'fail' then error('and now undo it') end
    return 'done'
";

fn packed(commands: &[Argv]) -> Argv {
    let words = |command: &Argv| {
        let len = command.len().to_string().into_bytes();
        std::iter::once(len).chain(command.iter().cloned()).collect::<Argv>()
    };
    commands.iter().flat_map(words).collect()
}

/// More bytes than a list keeps in one chunk or two.
const SEVERAL_CHUNKS: usize = 20_000;

/// What was met on the way: a property that holds of nothing would prove nothing.
#[derive(Default)]
struct Seen {
    encodings: BTreeSet<String>,
    /// Commands that did something without an error.
    worked: BTreeSet<String>,
    with_deadline: usize,
    long_lists: usize,
    changed: usize,
}

impl Seen {
    fn note(&mut self, dump: &Dump) {
        for held in dump.values() {
            self.encodings.insert(held.encoding().to_owned());
            self.with_deadline += usize::from(held.deadline != Reply::Integer(-1));
            let bytes = |element: &Reply| element.as_bytes().map_or(0, <[u8]>::len);
            let is_long = held.content.iter().map(bytes).sum::<usize>() > SEVERAL_CHUNKS;
            self.long_lists += usize::from(held.encoding() == "quicklist" && is_long);
        }
    }
}

fn play_on_host(engine: &Engine, commands: &[Argv], seen: &mut Seen) {
    let alone = engine.prepare("return redis.call(unpack(ARGV))").expect("the script compiles");
    for command in commands {
        // Nobody would end the wait: the clock stands still, and there is no other caller.
        let waits = command.iter().any(|word| word == random::WAIT_SECONDS.as_bytes());
        let done = if waits { alone.run(&NO_KEYS, command) } else { engine.command(command) };
        if done.is_ok() {
            seen.worked.insert(random::name(command));
        }
    }
}

const SCRIPTS: usize = 300;
const COMMANDS_PER_SCRIPT: usize = 60;

#[test]
fn random_scripts_leave_no_trace_or_what_the_host_would() {
    let engine = open(&options());
    let play = engine.prepare(PLAY).expect("the script compiles");
    let maker = Commands::new();
    let mut seen = Seen::default();
    for seed in 0..SCRIPTS {
        let mut random = Random(seed as u64);
        let commands: Vec<Argv> =
            (0..COMMANDS_PER_SCRIPT).map(|_| maker.make(&mut random)).collect();
        let what = format!("seed {seed}");
        let before = dump(&engine);
        seen.note(&before);
        // Every other time what is undone is shared with a copy, which must not notice either.
        let copy = (seed % 2 == 0).then(|| engine.fork().expect("a copy"));

        let failed = play.run(&["fail"], &packed(&commands)).expect_err("it fails").to_string();
        assert!(failed.contains("and now undo it"), "{what}: {failed}");
        check_same(&before, &dump(&engine), &format!("{what}, undone"));
        if let Some(copy) = &copy {
            check_same(&before, &dump(copy), &format!("{what}, the copy"));
        }

        let twin = engine.fork().expect("a copy");
        play_on_host(&twin, &commands, &mut seen);
        let done = play.run(&["keep"], &packed(&commands)).expect("it succeeds");
        assert_eq!(done.as_str(), Some("done"), "{what}");
        let after = dump(&twin);
        check_same(&after, &dump(&engine), &format!("{what}, script and host"));
        seen.changed += usize::from(before != after);
        engine.advance_clock(random.below(3000) as u64).expect("the clock is manual");
    }
    let encodings =
        ["int", "embstr", "raw", "quicklist", "listpack", "hashtable", "intset", "skiplist"];
    let mut encodings: BTreeSet<String> = encodings.map(str::to_owned).into();
    if writers().contains("XADD") {
        encodings.insert("stream".to_owned());
    }
    assert_eq!(seen.encodings, encodings, "encodings met");
    assert_eq!(seen.worked, writers(), "commands that worked");
    assert!(seen.with_deadline > SCRIPTS / 2, "{} keys had deadlines", seen.with_deadline);
    assert!(seen.long_lists > SCRIPTS / 10, "{} lists were long", seen.long_lists);
    assert!(seen.changed > SCRIPTS * 9 / 10, "{} scripts changed something", seen.changed);
    println!("{SCRIPTS} scripts of {COMMANDS_PER_SCRIPT} commands");
}

/// Transactions of this many stretches of commands, with a savepoint before each but the first.
const STRETCHES: usize = 4;

/// The same for savepoints: going back to one restores what was there when it was set, with the
/// scripts that failed in between, and the end of the transaction what was there at its beginning.
#[test]
fn random_commands_are_undone_to_any_savepoint() {
    let engine = open(&options());
    let session = engine.session().expect("a session opens");
    let maker = Commands::new();
    for seed in 0..SCRIPTS / 2 {
        let mut random = Random(seed as u64 + 1_000_000);
        let before = dump(&session);
        session.begin().expect("it begins");
        let mut marks = Vec::new();
        for stretch in 0..STRETCHES {
            if stretch > 0 {
                marks.push((session.savepoint().expect("a savepoint"), dump(&session)));
            }
            for _ in 0..COMMANDS_PER_SCRIPT / 4 {
                let argv = maker.make(&mut random);
                session.ask(&argv.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            let failing = "redis.call('SET', 'list', 'x') redis.call('FLUSHALL') error('no')";
            session.eval(failing, &NO_KEYS, &NO_KEYS).expect_err("it fails");
        }
        for (savepoint, then) in marks.iter().rev().take(1 + seed % STRETCHES) {
            session.rollback_to(*savepoint).expect("back to a savepoint");
            check_same(then, &dump(&session), &format!("seed {seed}, savepoint {savepoint}"));
        }
        if seed % 3 == 0 {
            let kept = dump(&session);
            session.commit().expect("it ends");
            check_same(&kept, &dump(&session), &format!("seed {seed}, kept"));
        } else {
            session.rollback().expect("it ends");
            check_same(&before, &dump(&session), &format!("seed {seed}, undone"));
        }
        engine.advance_clock(random.below(3000) as u64).expect("the clock is manual");
    }
}

#[test]
fn every_command_that_writes_has_a_shape() {
    assert_eq!(Commands::new().names(), writers());
}

// ---- What undo costs.

/// Undo records what changed and not what could have: a copy of the collection would cost thousands
/// of times as much for the large one.
fn check_costs(fill: &str, scripts: &[&str]) -> Engine {
    let mut options = options();
    options.script_timeout = None;
    let engine = open(&options);
    for (key, elements) in [("small", "1000"), ("large", "1000000")] {
        engine.eval(fill, &[key], &[elements]).expect("elements are added");
    }
    for script in scripts {
        let [small, large] = ["small", "large"].map(|key| shortest(&engine, script, key));
        println!("{script}: {small:?} for a thousand elements, {large:?} for a million");
        assert!(large < small * 50, "{script}: {small:?} small, {large:?} large");
    }
    engine
}

#[test]
fn undoing_a_change_does_not_cost_the_hash() {
    let engine = check_costs(
        "for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'f' .. i, 'v') end",
        &[
            "redis.call('HSET', KEYS[1], 'f500', 'another')",
            "redis.call('HSET', KEYS[1], 'new', 'v')",
            "redis.call('HDEL', KEYS[1], 'f500')",
            "redis.call('PEXPIRE', KEYS[1], 1000)",
            "redis.call('RENAME', KEYS[1], 'other')",
            "redis.call('SET', KEYS[1], 'a string')",
            "redis.call('DEL', KEYS[1])",
            "redis.call('FLUSHALL')",
        ],
    );
    assert_eq!(engine.command(&["HLEN", "large"]), Ok(Reply::Integer(1_000_000)));
}

#[test]
fn undoing_a_change_does_not_cost_the_set() {
    let engine = check_costs(
        "for i = 1, ARGV[1] do redis.call('SADD', KEYS[1], 'm' .. i) end",
        &[
            "redis.call('SADD', KEYS[1], 'new')",
            "redis.call('SREM', KEYS[1], 'm500')",
            "redis.call('SPOP', KEYS[1])",
            "redis.call('SMOVE', KEYS[1], 'other', 'm500')",
            "redis.call('SADD', 'few', 'm1') redis.call('SINTERSTORE', KEYS[1], 'few', KEYS[1])",
            "redis.call('DEL', KEYS[1])",
        ],
    );
    assert_eq!(engine.command(&["SCARD", "large"]), Ok(Reply::Integer(1_000_000)));
}

#[test]
fn undoing_a_change_does_not_cost_the_string() {
    let engine = check_costs(
        "redis.call('SETRANGE', KEYS[1], ARGV[1] - 1, 'x')",
        &[
            "redis.call('SETBIT', KEYS[1], 700, 1)",
            "redis.call('BITFIELD', KEYS[1], 'SET', 'u12', 700, 4095, 'INCRBY', 'i5', 1, 3)",
            "redis.call('SETRANGE', KEYS[1], 500, 'another')",
            "redis.call('APPEND', KEYS[1], 'more')",
        ],
    );
    assert_eq!(engine.command(&["STRLEN", "large"]), Ok(Reply::Integer(1_000_000)));
    assert_eq!(engine.command(&["BITCOUNT", "large"]), Ok(Reply::Integer(4)), "the bits of one x");
}

//! A script that ends in an error leaves no trace, whatever it did and however it ended.
//!
//! The proof is a full dump before and after: every key with its type, encoding, deadline and
//! content in stored order. Scripts written by hand try every way to end; scripts made at random
//! try every command that writes.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Clock, Engine, OnError, Options, Reply};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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

fn ask(engine: &Engine, words: &[&[u8]]) -> Reply {
    engine.command(words).unwrap_or_else(|error| Reply::Error(error.to_string()))
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
}

impl Held {
    fn encoding(&self) -> &str {
        self.encoding.as_str().unwrap_or("none")
    }
}

type Dump = BTreeMap<Vec<u8>, Held>;

fn dump(engine: &Engine) -> Dump {
    let keys = ask(engine, &[b"KEYS", b"*"]);
    let keys = keys.as_array().expect("KEYS answers with an array");
    let names = keys.iter().map(|key| key.as_bytes().expect("a key is a string").to_vec());
    names.map(|name| (name.clone(), held(engine, &name))).collect()
}

fn held(engine: &Engine, key: &[u8]) -> Held {
    let kind = ask(engine, &[b"TYPE", key]);
    let encoding = ask(engine, &[b"OBJECT", b"ENCODING", key]);
    let (len, all): (&[u8], Vec<&[u8]>) = match kind.as_str() {
        Some("string") => (b"STRLEN", vec![b"GET", key]),
        Some("list") => (b"LLEN", vec![b"LRANGE", key, b"0", b"-1"]),
        Some("hash") => (b"HLEN", vec![b"HGETALL", key]),
        Some("zset") => (b"ZCARD", vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        other => panic!("the dump does not know what is in a key of type {other:?}"),
    };
    let mut content = match ask(engine, &all) {
        Reply::Array(elements) => elements,
        scalar => vec![scalar],
    };
    // A hash table has no order to keep; everything else has.
    if encoding.as_str() == Some("hashtable") {
        let mut pairs: Vec<_> = content.chunks(2).map(<[Reply]>::to_vec).collect();
        pairs.sort_by(|a, b| a[0].as_bytes().cmp(&b[0].as_bytes()));
        content = pairs.concat();
    }
    let deadline = ask(engine, &[b"PEXPIRETIME", key]);
    Held { kind, encoding, deadline, len: ask(engine, &[len, key]), content }
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
const GROUND: [&str; 9] = [
    "SET n 41",
    "SET text some",
    "APPEND text thing",
    "RPUSH list a b c",
    "HSET hash f 1 g 2 h 3",
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

/// A small generator of its own, so that a seed means the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The shapes of calls: a word in capitals stands for itself, one in small letters for what
/// [`word`] makes of it. Every command that writes must be here; see [`writers`].
const SHAPES: &[&str] = &[
    "APPEND string value",
    "APPEND string value",
    "COPY key key",
    "COPY key key REPLACE",
    "DECR string",
    "DECRBY string integer",
    "DEL key key",
    "EXPIRE key seconds",
    "EXPIRE key seconds GT",
    "EXPIREAT key past",
    "FLUSHALL",
    "FLUSHDB ASYNC",
    "GETDEL string",
    "GETEX string",
    "GETEX string PX milliseconds",
    "GETEX string PXAT past",
    "GETEX string PERSIST",
    "GETSET string value",
    "HDEL hash field field field",
    "HDEL hash fields",
    "HINCRBY hash counter integer",
    "HINCRBYFLOAT hash counter float",
    "HMSET hash field value field value",
    "HSET hash field value",
    "HSET hash field value field value field value",
    "HSET hash pairs",
    "HSETNX hash field value",
    "INCR string",
    "INCRBY string integer",
    "INCRBYFLOAT string float",
    "LINSERT list BEFORE element element",
    "LINSERT list AFTER element value",
    "LMOVE list list LEFT RIGHT",
    "LMOVE list list RIGHT LEFT",
    "LPOP list",
    "LPOP list count",
    "LPUSH list element value",
    "LPUSH list elements",
    "LPUSHX list element",
    "LREM list index element",
    "LSET list index value",
    "LSET list index value",
    "LTRIM list index -1",
    "LTRIM list index index",
    "MSET string value string value",
    "MSETNX string value string value",
    "PERSIST key",
    "PEXPIRE key milliseconds",
    "PEXPIRE key milliseconds NX",
    "PEXPIREAT key future",
    "PEXPIREAT key past",
    "PSETEX string milliseconds value",
    "RENAME key key",
    "RENAMENX key key",
    "RESTORE key 0 payload",
    "RESTORE key milliseconds payload REPLACE",
    "RPOP list",
    "RPOP list count",
    "RPOPLPUSH list list",
    "RPUSH list element",
    "RPUSH list elements",
    "RPUSHX list value",
    "SET string value",
    "SET key value",
    "SET string integer",
    "SET string value KEEPTTL",
    "SET string value XX GET",
    "SET string value PX milliseconds",
    "SET string value PXAT past",
    "SETEX string seconds value",
    "SETNX string value",
    "SETRANGE string offset value",
    "SETRANGE string offset value",
    "UNLINK key",
    "ZADD zset score member",
    "ZADD zset scored",
    "ZADD zset GT CH score member score member",
    "ZADD zset XX score member",
    "ZADD zset INCR score member",
    "ZINCRBY zset score member",
    "ZPOPMAX zset",
    "ZPOPMAX zset count",
    "ZPOPMIN zset",
    "ZPOPMIN zset count",
    "ZREM zset member member member",
    "ZREMRANGEBYLEX zset [m1 [m3",
    "ZREMRANGEBYRANK zset index index",
    "ZREMRANGEBYSCORE zset score score",
];

/// Keys that begin in a family mostly hold its type; renames see to the rest.
const FAMILIES: [&str; 4] = ["string", "hash", "list", "zset"];
const KEYS_PER_FAMILY: usize = 3;

fn key(random: &mut Random, family: &str) -> Vec<u8> {
    let family = if random.one_in(8) { random.pick(&FAMILIES) } else { family };
    format!("{family}{}", random.below(KEYS_PER_FAMILY)).into_bytes()
}

/// Lengths on both sides of where something changes its form.
fn value(random: &mut Random) -> Vec<u8> {
    let len = random.pick(&[0, 1, 3, 12, 43, 44, 45, 63, 64, 65, 127, 128, 511, 512, 513, 2000]);
    match random.below(4) {
        0 => random.pick(&["0", "-1", "42", "9223372036854775807", "3.5", "007"]).into(),
        1 => (0..len).map(|_| random.below(256) as u8).collect(),
        _ => vec![b'a' + random.below(26) as u8; len],
    }
}

fn numbered(random: &mut Random, letter: char, most: usize) -> Vec<u8> {
    format!("{letter}{}", random.below(most)).into_bytes()
}

fn score(random: &mut Random) -> Vec<u8> {
    random.pick(&["0", "-0", "1", "1.5", "-3", "7", "1e300", "inf", "-inf", "2", "5"]).into()
}

/// What DUMP answers for a value of each type.
const PAYLOADS: [&[u8]; 5] = [
    b"\0\xc0*\x0a\0\x81\xfb\x5c\xfa\x86cOP",
    b"\x12\x01\x02\x13\x13\0\0\0\x03\0\x82e1\x03\x82e2\x03\x82e3\x03\xff\x0a\0\x14\x89\xc9K\x94\xa7Y\xb0",
    b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x01\0\x07\0\x0a\0\xa7\xb0\x8b\xbd\x7fn\xf6\xc7",
    b"\x10\x15\x15\0\0\0\x04\0\x82f1\x03\x81v\x02\x82f2\x03\x817\x02\xff\x0a\0o\x0c\xc5\xd5l\xdb\xb8\xef",
    b"\x05\x02\x02m1\0\0\0\0\0\0\xf0?\x02m2\0\0\0\0\0\0\x04@\x0a\0\xbd\xa0i\x1a\x80\xcf\xec\xf8",
];

/// Appends what a word of a shape stands for.
fn word(random: &mut Random, word: &str, argv: &mut Argv) {
    let text = |text: &str| text.as_bytes().to_vec();
    let made = match word {
        "key" => {
            let family = random.pick(&FAMILIES);
            key(random, family)
        }
        "string" | "hash" | "list" | "zset" => key(random, word),
        "value" => value(random),
        "integer" => text(random.pick(&["0", "1", "-7", "10000", "-9223372036854775808"])),
        "float" => text(random.pick(&["0.5", "-2", "1e10", "3.25"])),
        "seconds" => text(random.pick(&["-1", "0", "1", "5", "100"])),
        "milliseconds" => text(random.pick(&["-5", "0", "1", "800", "4000", "90000"])),
        "past" => text(random.pick(&["1", "1000", "1699999999"])),
        "future" => format!("{}", START_MS + random.below(4_000_000) as i64).into_bytes(),
        "payload" => random.pick(&PAYLOADS).to_vec(),
        "offset" => text(random.pick(&["0", "1", "40", "500", "512", "600"])),
        "index" => text(random.pick(&["0", "1", "-1", "5", "-6", "40", "-100", "300"])),
        "count" => text(random.pick(&["0", "1", "2", "7", "200"])),
        "score" => score(random),
        "member" => numbered(random, 'm', 160),
        "element" => numbered(random, 'e', 5),
        "counter" => numbered(random, 'c', 3),
        "field" if random.one_in(30) => vec![b'f'; random.pick(&[64, 65])],
        "field" => numbered(random, 'f', 700),
        "fields" | "pairs" | "scored" | "elements" => return many(random, word, argv),
        _ => text(word),
    };
    argv.push(made);
}

/// Appends so many arguments that a collection can outgrow its small form.
fn many(random: &mut Random, word: &str, argv: &mut Argv) {
    let most = if random.one_in(3) { 300 } else { 60 };
    let first = random.below(500);
    for i in first..first + 1 + random.below(most) {
        match word {
            "fields" => argv.push(format!("f{i}").into_bytes()),
            "pairs" => {
                argv.extend([format!("f{i}").into_bytes(), format!("{}", i % 7).into_bytes()])
            }
            "scored" => argv.extend([score(random), format!("m{}", i % 160).into_bytes()]),
            _ if random.one_in(20) => argv.push(value(random)),
            _ => argv.push(vec![b'e'; 1 + random.below(200)]),
        }
    }
}

fn command(random: &mut Random) -> Argv {
    let shape = loop {
        let shape = random.pick(SHAPES);
        // What removes everything would leave little to undo if it were as usual as the rest.
        let rare = if shape.starts_with("FLUSH") { 12 } else { 1 };
        if random.one_in(rare) {
            break shape;
        }
    };
    let mut argv = Argv::new();
    for part in shape.split(' ') {
        match part.chars().any(|c| c.is_ascii_lowercase()) && !part.starts_with('[') {
            true => word(random, part, &mut argv),
            false => argv.push(part.as_bytes().to_vec()),
        }
    }
    argv
}

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
    for command in commands {
        if engine.command(command).is_ok() {
            seen.worked.insert(String::from_utf8_lossy(&command[0]).into_owned());
        }
    }
}

const SCRIPTS: usize = 300;
const COMMANDS_PER_SCRIPT: usize = 60;

#[test]
fn random_scripts_leave_no_trace_or_what_the_host_would() {
    let engine = open(&options());
    let play = engine.prepare(PLAY).expect("the script compiles");
    let mut seen = Seen::default();
    for seed in 0..SCRIPTS {
        let mut random = Random(seed as u64);
        let commands: Vec<Argv> = (0..COMMANDS_PER_SCRIPT).map(|_| command(&mut random)).collect();
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
    let encodings = ["int", "embstr", "raw", "quicklist", "listpack", "hashtable", "skiplist"];
    assert_eq!(seen.encodings, encodings.map(str::to_owned).into(), "encodings met");
    assert_eq!(seen.worked, writers(), "commands that worked");
    assert!(seen.with_deadline > SCRIPTS / 2, "{} keys had deadlines", seen.with_deadline);
    assert!(seen.long_lists > SCRIPTS / 10, "{} lists were long", seen.long_lists);
    assert!(seen.changed > SCRIPTS * 9 / 10, "{} scripts changed something", seen.changed);
    println!("{SCRIPTS} scripts of {COMMANDS_PER_SCRIPT} commands");
}

/// The commands that write, of those which exist here, by Redis's own table.
fn writers() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/commands.tsv");
    let table = fs::read_to_string(path).expect("Redis's table is there");
    let engine = open(&options());
    let writes = |line: &&str| {
        let mut facts = line.split('\t').skip(2);
        facts.next().is_some_and(|flags| flags.split(' ').any(|flag| flag == "write"))
    };
    let names = table.lines().skip(1).filter(writes).filter_map(|line| line.split('\t').next());
    let exists = |name: &&str| {
        let answer = engine.command(&[*name]).err().map(|error| error.to_string());
        !answer.is_some_and(|answer| answer.starts_with("ERR unknown command"))
    };
    names.filter(exists).map(str::to_ascii_uppercase).collect()
}

#[test]
fn every_command_that_writes_has_a_shape() {
    let shapes = SHAPES.iter().filter_map(|shape| shape.split(' ').next()).map(str::to_owned);
    assert_eq!(shapes.collect::<BTreeSet<_>>(), writers());
}

// ---- What undo costs.

/// The shortest of several runs of a script that fails.
fn shortest(engine: &Engine, script: &str, key: &str) -> Duration {
    let script = engine.prepare(format!("{script} error('undo')")).expect("it compiles");
    let timed = |_| {
        let start = Instant::now();
        script.run(&[key], &NO_KEYS).expect_err("it fails");
        start.elapsed()
    };
    (0..30).map(timed).min().expect("it ran")
}

/// Undo records what changed and not what could have: a copy of the hash would cost thousands of
/// times as much for the large one.
#[test]
fn undoing_a_change_does_not_cost_the_collection() {
    let mut options = options();
    options.script_timeout = None;
    let engine = open(&options);
    let fill = "for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'f' .. i, 'v') end";
    for (key, fields) in [("small", "1000"), ("large", "1000000")] {
        engine.eval(fill, &[key], &[fields]).expect("fields are set");
    }
    let scripts = [
        "redis.call('HSET', KEYS[1], 'f500', 'another')",
        "redis.call('HSET', KEYS[1], 'new', 'v')",
        "redis.call('HDEL', KEYS[1], 'f500')",
        "redis.call('PEXPIRE', KEYS[1], 1000)",
        "redis.call('RENAME', KEYS[1], 'other')",
        "redis.call('SET', KEYS[1], 'a string')",
        "redis.call('DEL', KEYS[1])",
        "redis.call('FLUSHALL')",
    ];
    for script in scripts {
        let [small, large] = ["small", "large"].map(|key| shortest(&engine, script, key));
        println!("{script}: {small:?} for a thousand fields, {large:?} for a million");
        assert!(large < small * 50, "{script}: {small:?} small, {large:?} large");
    }
    assert_eq!(engine.command(&["HLEN", "large"]), Ok(Reply::Integer(1_000_000)));
}

//! DUMP, RESTORE, COPY and MEMORY USAGE: every form in which Redis ever wrote a value, round trips
//! here and with a real redis-server, and damaged payloads by the hundred thousand.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "dump/server.rs"]
mod server;

use moonkv::{Clock, Engine, Options, Reply};
use serde_json::Value;
use server::Server;

const START_MS: i64 = 1_700_000_000_000;

/// Bytes of the version and the checksum behind a value.
const FOOTER_BYTES: usize = 10;

/// The last version of the format that Redis 7.0 knows.
const VERSION: u16 = 10;

fn open() -> Engine {
    let mut options = Options::default();
    options.clock = Clock::Manual { start_ms: START_MS };
    Engine::open(&options).expect("an engine opens")
}

fn ask<A: AsRef<[u8]>>(engine: &Engine, words: &[A]) -> Reply {
    engine.command(words).unwrap_or_else(|error| Reply::Error(error.to_string()))
}

/// Runs commands whose words have no spaces.
fn lay(engine: &Engine, commands: &[&str]) {
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        engine.command(&words).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

fn says(engine: &Engine, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    show(&ask(engine, &words))
}

/// A reply in one line.
fn show(reply: &Reply) -> String {
    match reply {
        Reply::Null => "nil".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Array(elements) => elements.iter().map(show).collect::<Vec<_>>().join(" "),
        Reply::Error(text) => text.clone(),
        other => String::from_utf8_lossy(other.as_bytes().unwrap_or(b"?")).into_owned(),
    }
}

fn bytes(reply: Reply) -> Vec<u8> {
    reply.as_bytes().expect("a string").to_vec()
}

fn payload(engine: &Engine, key: &str) -> Vec<u8> {
    bytes(ask(engine, &["DUMP", key]))
}

fn restore(engine: &Engine, key: &str, ttl: &str, payload: &[u8], options: &[&str]) -> String {
    let mut words: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), ttl.as_bytes(), payload];
    words.extend(options.iter().map(|option| option.as_bytes()));
    show(&ask(engine, &words))
}

/// The checksum that Redis puts behind a payload, a bit at a time.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x95ac_9329_ac4b_c9b5 } else { 0 }
        })
    })
}

fn seal(value: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [value, &version.to_le_bytes()].concat();
    payload.extend(crc64(&payload).to_le_bytes());
    payload
}

// ---- Forms that Redis wrote.

/// A value in some form, what Redis makes of it, and how that is asked.
struct Form {
    name: String,
    value: Vec<u8>,
    ask: Vec<String>,
    reply: Vec<String>,
    encoding: String,
}

/// The key the cases ask for.
const KEY: &str = "k";

fn forms() -> Vec<Form> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let texts = |value: &Value| value.as_array().expect("texts").iter().map(text).collect();
    let form = |line: &str| {
        let case: Value = serde_json::from_str(line).expect("a line is a case");
        Form {
            name: text(&case["name"]),
            value: from_hex(&text(&case["value"])),
            ask: texts(&case["ask"]),
            reply: texts(&case["reply"]),
            encoding: text(&case["encoding"]),
        }
    };
    include_str!("dump/forms.jsonl").lines().map(form).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect()
}

/// What a key holds, in an order that means something.
fn held(engine: &Engine, ask: &[String], encoding: &str) -> Vec<String> {
    let reply = engine.command(ask).expect("the key is asked for what it holds");
    let elements = match &reply {
        Reply::Array(elements) => elements.iter().map(show).collect(),
        other => vec![show(other)],
    };
    let width = if ask.first().is_some_and(|name| name == "hgetall") { 2 } else { 1 };
    let mut groups: Vec<&[String]> = elements.chunks(width).collect();
    if encoding == "hashtable" {
        groups.sort();
    }
    groups.concat()
}

#[test]
fn every_form_that_redis_wrote_is_read() {
    let engine = open();
    for Form { name, value, ask, reply, encoding } in forms() {
        for version in [VERSION, 6, 0] {
            let done = restore(&engine, "k", "0", &seal(&value, version), &["REPLACE"]);
            assert_eq!(done, "OK", "{name}, version {version}");
        }
        assert_eq!(says(&engine, "OBJECT ENCODING k"), encoding, "{name}");
        assert_eq!(held(&engine, &ask, &encoding), reply, "{name}");
        // What is written anew, in today's form, is the same value.
        let again = payload(&engine, "k");
        assert_eq!(restore(&engine, "again", "0", &again, &["REPLACE"]), "OK", "{name}");
        let again: Vec<String> = ask.iter().map(|word| word.replace(KEY, "again")).collect();
        assert_eq!(held(&engine, &again, &encoding), reply, "{name}, again");
        assert_eq!(says(&engine, "OBJECT ENCODING again"), encoding, "{name}, again");
    }
}

#[test]
fn payloads_are_those_of_redis() {
    let engine = open();
    lay(&engine, &["SET n 10", "SET s hello", "RPUSH l a 300", "HSET h f v", "ZADD z 2.5 a"]);
    let cases: [(&str, &[u8]); 5] = [
        ("n", b"\x00\xc0\x0a"),
        ("s", b"\x00\x05hello"),
        ("l", b"\x12\x01\x02\x0d\x0d\0\0\0\x02\0\x81a\x02\xc1\x2c\x02\xff"),
        ("h", b"\x10\x0d\x0d\0\0\0\x02\0\x81f\x02\x81v\x02\xff"),
        ("z", b"\x11\x0f\x0f\0\0\0\x02\0\x81a\x02\x832.5\x04\xff"),
    ];
    for (key, value) in cases {
        assert_eq!(payload(&engine, key), seal(value, VERSION), "{key}");
    }
    assert_eq!(ask(&engine, &["DUMP", "none"]), Reply::Null);
}

// ---- Round trips.

/// Keys of every type and encoding, up to sizes that take several nodes and segments.
fn ground(engine: &Engine) -> Vec<&'static str> {
    lay(engine, &["SET int -5", "SET embstr text", "APPEND raw te", "APPEND raw xt"]);
    lay(engine, &["RPUSH list a b 3", "HSET hash f v n 7", "ZADD zset 1 a -0.5 b inf c"]);
    lay(engine, &["SADD ints 5 -70000 8", "SADD set a b 3", "SET big 98765432109"]);
    let fill = "
        redis.call('SET', 'long', string.rep('compress me ', 500))
        for i = 1, 3000 do
            redis.call('RPUSH', 'long-list', 'element ' .. i, i, string.rep('x', i % 90))
            redis.call('HSET', 'large-hash', 'field ' .. i, string.rep('v', i % 70))
            redis.call('ZADD', 'large-zset', i / 8, 'member ' .. i)
            redis.call('SADD', 'many-ints', i * 3 % 401)
            redis.call('SADD', 'large-set', 'member ' .. i)
            redis.call('XADD', 'stream', i .. '-' .. i % 7, 'field', i, 'i' .. i % 3, 'v')
        end
        redis.call('XADD', 'groups', '5-1', 'field', 'value')
        redis.call('XADD', 'groups', '6-1', 'field', '12')
        redis.call('XGROUP', 'CREATE', 'groups', 'first', 0)
        redis.call('XGROUP', 'CREATE', 'groups', '2', '5-1', 'ENTRIESREAD', 1)
        redis.call('XREADGROUP', 'GROUP', 'first', 'alice', 'STREAMS', 'groups', '>')
        redis.call('RPUSH', 'wide-list', string.rep('wide', 5000), 'narrow')";
    engine.eval(fill, &[""; 0], &[""; 0]).expect("the ground is laid");
    vec![
        "int",
        "embstr",
        "raw",
        "list",
        "hash",
        "zset",
        "ints",
        "set",
        "big",
        "long",
        "long-list",
        "large-hash",
        "large-zset",
        "many-ints",
        "large-set",
        "wide-list",
        "stream",
        "groups",
    ]
}

/// What a key holds, with its encoding; unordered collections sorted.
fn content(engine: &Engine, key: &str) -> (String, Vec<String>) {
    let all = match says(engine, &format!("TYPE {key}")).as_str() {
        "string" => vec!["get", key],
        "list" => vec!["lrange", key, "0", "-1"],
        "hash" => vec!["hgetall", key],
        "zset" => vec!["zrange", key, "0", "-1", "WITHSCORES"],
        "set" => vec!["smembers", key],
        "stream" => vec!["xinfo", "stream", key, "FULL", "COUNT", "0"],
        other => panic!("{key} holds {other}"),
    };
    let ask: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let encoding = says(engine, &format!("OBJECT ENCODING {key}"));
    let held = held(engine, &ask, &encoding);
    (encoding, held)
}

#[test]
fn what_is_dumped_is_restored() {
    let engine = open();
    for key in ground(&engine) {
        assert_eq!(restore(&engine, "back", "0", &payload(&engine, key), &["REPLACE"]), "OK");
        let mut expected = content(&engine, key);
        // That a string was written in place is not told.
        if key == "raw" {
            expected.0 = "embstr".to_owned();
        }
        assert_eq!(content(&engine, "back"), expected, "{key}");
        assert_eq!(says(&engine, "PTTL back"), "-1", "{key}");
    }
}

#[test]
fn what_is_copied_is_the_same_and_goes_its_own_way() {
    let engine = open();
    for key in ground(&engine) {
        lay(&engine, &[&format!("PEXPIRE {key} 5000"), &format!("COPY {key} copy REPLACE")]);
        let original = content(&engine, key);
        assert_eq!(content(&engine, "copy"), original, "{key}");
        assert_eq!(says(&engine, "PTTL copy"), "5000", "{key}");
        let changes = ["SETRANGE copy 0 ZZ", "LSET copy 0 z", "HSET copy new z", "ZADD copy 9 new"];
        let changes =
            changes.into_iter().chain(["SADD copy new", "LPOP copy 1", "XADD copy * f v"]);
        let worked = changes.filter(|change| !says(&engine, change).starts_with("WRONGTYPE"));
        assert!(worked.count() > 0, "{key}: nothing changed it");
        assert_ne!(content(&engine, "copy"), original, "{key}");
        assert_eq!(content(&engine, key), original, "{key} does not see what its copy does");
    }
}

#[test]
fn copy_says_what_it_did() {
    let engine = open();
    lay(&engine, &["SET a 1", "SET b 2 PX 100"]);
    for (command, reply) in [
        ("COPY a b", "0"),
        ("COPY none b REPLACE", "0"),
        ("COPY a c", "1"),
        ("COPY a b REPLACE DB 0", "1"),
        ("GET b", "1"),
        ("PTTL b", "-1"),
        ("COPY a a", "ERR source and destination objects are the same"),
        ("COPY none none", "ERR source and destination objects are the same"),
        ("COPY a a DB 1", "1"),
        ("COPY a a DB 1", "0"),
        ("COPY c a REPLACE DB 1", "1"),
        ("COPY a d DB 99", "ERR DB index is out of range"),
        ("COPY a d DB -1", "ERR DB index is out of range"),
        (
            "COPY a d DB 4294967296",
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("COPY a d DB x", "ERR value is not an integer or out of range"),
        ("COPY a d DB", "ERR syntax error"),
        ("COPY a d REPLACED", "ERR syntax error"),
        ("DBSIZE", "3"),
    ] {
        assert_eq!(says(&engine, command), reply, "{command}");
    }
    let other = engine.session().expect("a session");
    let reply = |words: &[&str]| show(&other.command(words).expect("it succeeds"));
    assert_eq!(reply(&["SELECT", "1"]), "OK");
    assert_eq!((reply(&["DBSIZE"]), reply(&["GET", "a"])), ("1".to_owned(), "1".to_owned()));
}

#[test]
fn a_failed_script_takes_restored_and_copied_keys_back() {
    let engine = open();
    ground(&engine);
    let payload = payload(&engine, "large-hash");
    let script = "
        redis.call('RESTORE', 'list', 0, ARGV[1], 'REPLACE')
        redis.call('HSET', 'list', 'new', 'v')
        redis.call('RESTORE', 'fresh', 5000, ARGV[1])
        redis.call('COPY', 'zset', 'set', 'REPLACE')
        redis.call('ZADD', 'set', 5, 'five')
        redis.call('COPY', 'large-zset', 'large')
        redis.call('ZREM', 'large', 'member 5')
        redis.call('ZREM', 'large-zset', 'member 6')
        error('undo')";
    let before: Vec<_> =
        ["list", "set", "zset", "large-zset"].map(|key| content(&engine, key)).into();
    engine.eval(script, &[""; 0], &[payload]).expect_err("it fails");
    let after: Vec<_> =
        ["list", "set", "zset", "large-zset"].map(|key| content(&engine, key)).into();
    assert_eq!(after, before);
    assert_eq!(says(&engine, "EXISTS fresh large"), "0");
}

// ---- RESTORE's options and errors.

#[test]
fn restore_gives_a_deadline() {
    let engine = open();
    lay(&engine, &["SET s text"]);
    let payload = payload(&engine, "s");
    for (ttl, options, left) in [
        ("0", &["REPLACE"][..], "-1"),
        ("1500", &["REPLACE"], "1500"),
        ("1700000002000", &["ABSTTL", "replace"], "2000"),
        ("1000", &["REPLACE", "ABSTTL"], "-2"),
        ("700", &["IDLETIME", "100"], "700"),
        ("0", &["FREQ", "255", "REPLACE"], "-1"),
        ("9223372036854775807", &["ABSTTL", "REPLACE"], "9223370336854775806"),
    ] {
        assert_eq!(restore(&engine, "k", ttl, &payload, options), "OK", "{ttl} {options:?}");
        assert_eq!(says(&engine, "PTTL k"), left, "{ttl} {options:?}");
    }
}

/// Key, time to live, payload, options, and the error.
type Refused<'a> = (&'a str, &'a str, &'a [u8], &'a [&'a str], &'a str);

#[test]
fn restore_refuses_in_the_order_of_redis() {
    let engine = open();
    lay(&engine, &["SET s text", "SET taken x"]);
    let good = payload(&engine, "s");
    let mut torn = good.clone();
    torn[2] ^= 1;
    let (newer, empty) = (seal(b"\0\x01a", VERSION + 1), seal(b"\x01\0", VERSION));
    let footer = "ERR DUMP payload version or checksum are wrong";
    let idle = "ERR Invalid IDLETIME value, must be >= 0";
    let freq = "ERR Invalid FREQ value, must be >= 0 and <= 255";
    let cases: [Refused<'_>; 16] = [
        ("taken", "x", b"", &["NOPE"], "ERR syntax error"),
        ("taken", "x", b"", &[], "BUSYKEY Target key name already exists."),
        ("taken", "x", b"", &["REPLACE"], "ERR value is not an integer or out of range"),
        ("k", "-1", b"", &[], "ERR Invalid TTL value, must be >= 0"),
        ("k", "0", b"", &[], footer),
        ("k", "0", &good[..9], &[], footer),
        ("k", "0", &torn, &[], footer),
        ("k", "0", &newer, &[], footer),
        ("k", "0", &empty, &[], "ERR Bad data format"),
        ("k", "0", &seal(b"", VERSION), &[], "ERR Bad data format"),
        ("k", "0", &good, &["IDLETIME"], "ERR syntax error"),
        ("k", "0", &good, &["IDLETIME", "-1"], idle),
        ("k", "0", &good, &["IDLETIME", "x"], "ERR value is not an integer or out of range"),
        ("k", "0", &good, &["FREQ", "256"], freq),
        ("k", "0", &good, &["FREQ", "1", "IDLETIME", "1"], "ERR syntax error"),
        ("taken", "1", &torn, &["REPLACE"], footer),
    ];
    for (key, ttl, payload, options, error) in cases {
        let what = format!("{key} {ttl} {options:?}");
        assert_eq!(restore(&engine, key, ttl, payload, options), error, "{what}");
    }
    assert_eq!(says(&engine, "GET taken"), "x");
    assert_eq!(says(&engine, "EXISTS k"), "0");
}

// ---- Damage.

/// A small generator of its own, so that a seed means the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Changes a value in a place or a few.
fn damage(random: &mut Random, value: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let len = value.len();
        let reach = random.pick(&[len, len.min(16)]);
        let place = random.below(reach);
        match random.below(8) {
            0..4 => value[place] = random.below(256) as u8,
            4 => value[place] = random.pick(&[0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff]),
            5 if len > 1 => drop(value.remove(place)),
            6 => value.insert(place, random.below(256) as u8),
            7 if len > 1 => value.truncate(place.max(1)),
            _ => value[place] ^= 1 << random.below(8),
        }
    }
}

const DAMAGED: usize = 300_000;

/// A damaged payload is refused or read as some other value, which can be used like any. A panic
/// would poison the engine, and what took long or much memory would be noticed.
#[test]
fn damaged_payloads_do_no_harm() {
    let engine = open();
    let mut values: Vec<Vec<u8>> = forms().into_iter().map(|form| form.value).collect();
    for key in ground(&engine) {
        let payload = payload(&engine, key);
        values.push(payload[..payload.len() - FOOTER_BYTES].to_vec());
    }
    values.retain(|value| value.len() < 600);
    let (mut random, mut refused, mut read) = (Random(7), 0, 0);
    for _ in 0..DAMAGED {
        let at = random.below(values.len());
        let mut value = values[at].clone();
        damage(&mut random, &mut value);
        match restore(&engine, "k", "0", &seal(&value, VERSION), &["REPLACE"]).as_str() {
            "OK" => {
                read += 1;
                let (_, held) = content(&engine, "k");
                assert!(!held.is_empty(), "{value:02x?} holds nothing");
                let again = payload(&engine, "k");
                assert_eq!(restore(&engine, "again", "0", &again, &["REPLACE"]), "OK");
                assert_eq!(content(&engine, "again").1, held, "{value:02x?}");
            }
            "ERR Bad data format" => refused += 1,
            other => panic!("{value:02x?}: {other}"),
        }
    }
    println!("{read} of {DAMAGED} damaged payloads were read, {refused} refused");
    assert!(read > DAMAGED / 20 && refused > DAMAGED / 4);
}

/// Lengths that lie: what they promise is not allocated.
#[test]
fn a_lying_length_costs_nothing() {
    let engine = open();
    let huge = [0x81, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for kind in (0..=5).chain(9..=19) {
        let plain = [&[kind][..], &huge, b"abc"].concat();
        let compressed = [&[kind, 0xc3, 3][..], &huge, b"\0ab"].concat();
        let long = [&[kind, 0xc3][..], &huge, &huge, b"\0ab"].concat();
        for value in [plain, compressed, long] {
            let reply = restore(&engine, "k", "0", &seal(&value, VERSION), &[]);
            assert_eq!(reply, "ERR Bad data format", "{value:02x?}");
        }
    }
}

// ---- Beside a real server.

#[test]
fn a_real_server_reads_what_is_written_here_and_the_other_way_round() {
    let Some(mut server) = Server::start() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let engine = open();
    for key in ground(&engine) {
        let ours = payload(&engine, key);
        server.ok(&[b"RESTORE", b"ours", b"0", &ours, b"REPLACE"]);
        let theirs = server.bytes(&[b"DUMP", b"ours"]);
        let encoding = server.bytes(&[b"OBJECT", b"ENCODING", b"ours"]);
        // Only hash tables have an order of their own.
        assert!(theirs == ours || encoding == b"hashtable", "{key}: not the same to the byte");
        assert_eq!(restore(&engine, "theirs", "0", &theirs, &["REPLACE"]), "OK", "{key}");
        assert_eq!(says(&engine, "OBJECT ENCODING theirs").as_bytes(), encoding, "{key}");
        server.ok(&[b"RESTORE", b"back", b"0", &payload(&engine, "theirs"), b"REPLACE"]);
        let digests = [b"ours", b"back"].map(|key| server.digest(key));
        assert_eq!(digests[0], digests[1], "{key}");
        assert_eq!(content(&engine, "theirs").1, content(&engine, key).1, "{key}");
    }
    for Form { name, value, .. } in forms() {
        let payload = seal(&value, VERSION);
        server.ok(&[b"RESTORE", b"form", b"0", &payload, b"REPLACE"]);
        assert_eq!(restore(&engine, "form", "0", &payload, &["REPLACE"]), "OK", "{name}");
        server.ok(&[b"RESTORE", b"back", b"0", &self::payload(&engine, "form"), b"REPLACE"]);
        let digests = [b"form", b"back"].map(|key| server.digest(key));
        assert_eq!(digests[0], digests[1], "{name}");
    }
}

// ---- Memory.

#[test]
fn memory_usage_follows_the_value() {
    let engine = open();
    ground(&engine);
    let usage = |key: &str| match ask(&engine, &["MEMORY", "USAGE", key]) {
        Reply::Integer(bytes) => bytes,
        other => panic!("{key}: {other:?}"),
    };
    // The bytes of the elements themselves, and several times as much.
    for (key, least, most) in [
        ("int", 3, 64),
        ("list", 3, 300),
        ("long", 6_000, 7_000),
        ("long-list", 170_000, 400_000),
        ("large-hash", 130_000, 500_000),
        ("large-zset", 60_000, 500_000),
        ("many-ints", 800, 2_000),
        ("large-set", 33_000, 200_000),
        ("stream", 30_000, 200_000),
    ] {
        let bytes = usage(key);
        assert!((least..most).contains(&bytes), "{key} takes {bytes} bytes");
        let exact = says(&engine, &format!("MEMORY USAGE {key} SAMPLES 0"));
        let exact: i64 = exact.parse().expect("a number");
        assert!((bytes - exact).abs() * 5 < exact, "{key}: {bytes} of {exact}");
    }
}

#[test]
fn memory_usage_refuses_what_redis_refuses() {
    let engine = open();
    lay(&engine, &["SET s text"]);
    for (command, reply) in [
        ("MEMORY USAGE none", "nil"),
        ("MEMORY USAGE none SAMPLES -1", "ERR syntax error"),
        ("MEMORY USAGE s SAMPLES", "ERR syntax error"),
        ("MEMORY USAGE s SAMPLES x", "ERR value is not an integer or out of range"),
        ("MEMORY USAGE s NOPE 1", "ERR syntax error"),
        ("MEMORY USAGE", "ERR wrong number of arguments for 'memory|usage' command"),
        ("MEMORY NOPE", "ERR unknown subcommand 'NOPE'. Try MEMORY HELP."),
    ] {
        assert_eq!(says(&engine, command), reply, "{command}");
    }
}

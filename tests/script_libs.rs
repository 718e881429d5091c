//! The libraries cjson, cmsgpack, struct and bit, as scripts see them: answers recorded from
//! redis-server 7.0.15 (beside those in `tests/reference/`), random calls compared with a real
//! redis-server where there is one, and what no script may do with them: pass a limit, change them,
//! leave a setting behind.
//!
//! From the environment: `SEED` and `COUNT`, how many random calls.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod dialect;
#[path = "script_libs/draw.rs"]
mod draw;
#[path = "../benches/peer/mod.rs"]
#[allow(dead_code, reason = "each of its users uses a part of it")]
mod peer;

use dialect::plain;
use draw::Draw;
use moonkv::{Engine, Options, Protocol};
use peer::{Peer, encode};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Random calls where `COUNT` says nothing.
const COUNT: u64 = 4_000;

/// At least so many recorded cases run.
const RECORDED_LEAST: usize = 400;

/// What redis-server, whose settings outlive a script, has to forget before each.
const RESET: &str = "cjson.encode_max_depth(1000) cjson.decode_max_depth(1000) \
    cjson.encode_number_precision(14) cjson.encode_sparse_array(false, 2, 10) \
    cjson.encode_invalid_numbers(false) cjson.decode_invalid_numbers(true) ";

fn open(change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options::redis();
    change(&mut options);
    Engine::open(&options).expect("an engine opens")
}

/// A script's reply as redis-server would send it.
fn eval(engine: &Engine, script: &[u8]) -> Vec<u8> {
    let argv: [&[u8]; 3] = [b"EVAL", script, b"0"];
    engine.command_resp(&argv, Protocol::Resp2).expect("every command gets a reply")
}

/// The reply in the form of the records.
fn answer(engine: &Engine, script: &str) -> Value {
    value(&mut eval(engine, script.as_bytes()).as_slice())
}

/// Reads one reply of RESP2.
fn value(reply: &mut dyn BufRead) -> Value {
    let mut line = String::new();
    reply.read_line(&mut line).expect("a reply is complete");
    let (kind, line) = line.trim_end().split_at(1);
    let number = || line.parse::<i64>().expect("a number");
    match kind {
        "+" => json!({ "status": line }),
        "-" => json!({ "error": line }),
        ":" => json!(number()),
        "*" => (0..number()).map(|_| value(reply)).collect(),
        "$" if line == "-1" => Value::Null,
        "$" => {
            let mut text = vec![0; number() as usize + 2];
            reply.read_exact(&mut text).expect("a reply is complete");
            text.truncate(text.len() - 2);
            match String::from_utf8(text) {
                Ok(text) if text.is_ascii() => json!(text),
                Ok(text) => json!({ "hex": hex(text.as_bytes()) }),
                Err(error) => json!({ "hex": hex(error.as_bytes()) }),
            }
        }
        _ => panic!("no reply begins with {kind:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string works");
        text
    })
}

fn records(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script_libs").join(file);
    let text = std::fs::read_to_string(path).expect("the records are there");
    text.lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

/// Whether two answers differ in nothing but their order, which on LuaJIT depends on what the engine
/// has done before. Of two errors it was another one that came first.
fn is_reordered(expected: &Value, ours: &Value) -> bool {
    let bytes = |answer: &Value| {
        let mut bytes = answer.to_string().into_bytes();
        bytes.sort_unstable();
        bytes
    };
    let is_error = |answer: &Value| answer["error"].is_string();
    bytes(expected) == bytes(ours) || is_error(expected) && is_error(ours)
}

#[test]
fn recorded_answers_hold() {
    let engine = open(|_| ());
    let cases = records("recorded.jsonl");
    let others = if cfg!(feature = "luajit") { records("luajit.jsonl") } else { Vec::new() };
    let mut different = Vec::new();
    for case in &cases {
        let script = case["script"].as_str().expect("a script");
        let other = others.iter().find(|other| other["script"] == script);
        let expected = &other.unwrap_or(case)["reply"];
        let ours = answer(&engine, script);
        let is_ordered = other.is_none_or(|other| other["why"] != "pairs has an order of its own");
        let is_same = match is_ordered {
            true => plain(&ours.to_string()) == plain(&expected.to_string()),
            false => is_reordered(expected, &ours),
        };
        if !is_same {
            different.push(json!({ "script": script, "reply": ours }).to_string());
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    let count = cases.len();
    assert!(count >= RECORDED_LEAST, "only {count} cases ran, {RECORDED_LEAST} did before");
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Runs scripts on the server; their replies as they came.
fn theirs(stream: &mut BufReader<UnixStream>, scripts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let run = |script: &Vec<u8>| {
        [encode(&[b"EVAL", RESET.as_bytes(), b"0"]), encode(&[b"EVAL", script, b"0"])].concat()
    };
    let request: Vec<u8> = scripts.iter().flat_map(run).collect();
    let mut writer = stream.get_ref().try_clone().expect("a socket can be cloned");
    let writing = std::thread::spawn(move || writer.write_all(&request));
    let replies = scripts.iter().map(|_| {
        raw(stream);
        raw(stream)
    });
    let replies = replies.collect();
    writing.join().expect("the writer ends").expect("the server reads");
    replies
}

/// Reads one reply that is no array; the scripts give none.
fn raw(stream: &mut BufReader<UnixStream>) -> Vec<u8> {
    let mut reply = Vec::new();
    stream.read_until(b'\n', &mut reply).expect("the server answers");
    assert_ne!(reply.first(), Some(&b'*'), "an array");
    let len = reply.strip_prefix(b"$").and_then(|len| std::str::from_utf8(len).ok());
    if let Some(len) = len.and_then(|len| len.trim_end().parse::<usize>().ok()) {
        let mut text = vec![0; len + 2];
        stream.read_exact(&mut text).expect("the server answers");
        reply.extend(text);
    }
    reply
}

#[test]
fn random_calls_get_the_same_answers() {
    if cfg!(feature = "luajit") {
        println!("skipped: LuaJIT walks tables in an order of its own, which what is packed shows");
        return;
    }
    let Some(peer) = Peer::start() else {
        println!("skipped: there is no redis-server to compare with");
        return;
    };
    let engine = open(|_| ());
    let mut stream = BufReader::new(peer.connection());
    let mut draw = Draw::new(from_environment("SEED", 1));
    let count = from_environment("COUNT", COUNT);
    let mut errors = 0;
    for _ in 0..count.div_ceil(100) {
        let scripts: Vec<Vec<u8>> = (0..100).map(|_| draw.script()).collect();
        for (script, theirs) in scripts.iter().zip(theirs(&mut stream, &scripts)) {
            let ours = eval(&engine, script);
            errors += u64::from(ours.starts_with(b"-"));
            let show = String::from_utf8_lossy;
            assert_eq!(show(&ours), show(&theirs), "{}", show(script));
            assert_eq!(ours, theirs, "{}", show(script));
        }
    }
    println!("{count} calls, {errors} of them errors");
    assert!(errors > count / 50 && errors < count / 2, "{errors} errors: the draw is lopsided");
}

// ---- What stays as it was.

#[test]
fn settings_end_with_the_run() {
    let engine = open(|_| ());
    let changes = "cjson.encode_number_precision(3) cjson.encode_max_depth(1) \
        cjson.decode_max_depth(1) cjson.encode_sparse_array(true, 1, 1) \
        cjson.encode_invalid_numbers(true) cjson.decode_invalid_numbers(false) \
        cjson.encode_keep_buffer(false) ";
    let ask = "return {cjson.encode_number_precision(), cjson.encode_max_depth(), \
        cjson.decode_max_depth(), cjson.encode_sparse_array()} ";
    assert_eq!(answer(&engine, &format!("{changes}{ask}")), json!([3, 1, 1, 1, 1, 1]));
    assert_eq!(answer(&engine, ask), json!([14, 1000, 1000, null, 2, 10]));
    answer(&engine, &format!("{changes} error('no')"));
    assert_eq!(answer(&engine, ask), json!([14, 1000, 1000, null, 2, 10]));
    let rest = "return {cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers(), \
        cjson.encode_keep_buffer()}";
    assert_eq!(answer(&engine, rest), json!([null, 1, 1]));
}

#[test]
fn a_copy_has_settings_of_its_own() {
    let engine = open(|_| ());
    let script = "local a, b = cjson.new(), cjson.new() a.encode_number_precision(2) \
        cjson.encode_number_precision(5) collectgarbage() \
        return {a.encode(1/3), b.encode(1/3), cjson.encode(1/3), a.new().encode(1/3)}";
    let expected = json!(["0.33", "0.33333333333333", "0.33333", "0.33333333333333"]);
    assert_eq!(answer(&engine, script), expected);
}

#[test]
fn the_libraries_cannot_be_changed() {
    let engine = open(|_| ());
    for library in ["cjson", "cmsgpack", "struct", "bit"] {
        for script in [
            format!("{library}.pack = 1"),
            format!("{library} = nil"),
            format!("rawset({library}, 'x', 1)"),
            format!("setmetatable({library}, {{}})"),
            format!("table.insert({library}, 1)"),
        ] {
            let answer = answer(&engine, &script).to_string();
            assert!(answer.contains("Attempt to modify a readonly table"), "{script}: {answer}");
        }
    }
    let untouched = "return {type(cjson.encode), type(cmsgpack.pack), cmsgpack.x}";
    assert_eq!(answer(&engine, untouched), json!(["function", "function"]));
}

#[test]
fn proxies_are_walked_as_the_tables_they_stand_for() {
    let engine = open(|_| ());
    let script = "return cmsgpack.unpack(cmsgpack.pack(cmsgpack))._VERSION";
    assert_eq!(answer(&engine, script), json!("lua-cmsgpack 0.4.0"));
    let refused = answer(&engine, "return cjson.encode(struct)").to_string();
    assert!(refused.contains("Cannot serialise function: type not supported"), "{refused}");
}

// ---- Limits.

/// Work without end in one call each, or in few.
const ENDLESS: [&str; 7] = [
    "local t = {} for i = 1, 9 do t = {t, t, t, t, t, t, t, t, t, t} end pcall(cjson.encode, t) \
     while true do pcall(cjson.encode, t) end",
    "local t = {} for i = 1, 9 do t = {t, t, t, t, t, t, t, t, t, t} end \
     while true do pcall(cmsgpack.pack, t) end",
    "local s = '[' .. ('1,'):rep(1e6) .. '1]' while true do pcall(cjson.decode, s) end",
    "local s = '\\221\\0\\15\\66\\64' .. ('\\1'):rep(1e6) while true do pcall(cmsgpack.unpack, s) end",
    "local s = ('i32'):rep(1e5) while true do pcall(struct.size, s) end",
    "local s = ('x'):rep(1e6) local d = s while true do pcall(struct.unpack, s, d) end",
    "local s = ('x'):rep(1e6) while true do pcall(cjson.encode, {s, s, s, s, s, s, s, s}) end",
];

#[test]
fn time_stops_every_library() {
    let engine = open(|options| options.script_timeout = Some(Duration::from_millis(150)));
    for script in ENDLESS {
        let begun = Instant::now();
        let answer = answer(&engine, script).to_string();
        assert!(answer.contains("time limit of 150 ms"), "{script}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{script}: {:?}", begun.elapsed());
        assert_eq!(eval(&engine, b"return cjson.encode({1, 'a'})"), b"$7\r\n[1,\"a\"]\r\n");
    }
}

#[test]
fn memory_stops_every_library() {
    let engine = open(|options| options.script_memory = Some(2 << 20));
    let many = "local t, s = {}, ('\\1'):rep(1e5) for i = 1, 500 do t[i] = s end ";
    for script in [
        format!("{many} return #cjson.encode(t)"),
        format!("{many} return #cmsgpack.pack(t)"),
        format!("{many} return #struct.pack(('s'):rep(500), unpack(t))"),
        "return #struct.pack(('i32'):rep(99999), unpack({}, 1, 7000))".to_owned(),
        "return #cjson.decode('[' .. ('[],'):rep(3e5) .. '1]')".to_owned(),
        "return #cmsgpack.unpack('\\221\\0\\15\\66\\64' .. ('\\144'):rep(1e6))".to_owned(),
        // Caught, the error ends the run all the same.
        format!("{many} while true do pcall(cjson.encode, t) end"),
    ] {
        let answer = answer(&engine, &script).to_string();
        let stopped = answer.contains("memory limit of 2097152 bytes");
        let refused = answer.contains("number expected, got nil");
        assert!(stopped || refused, "{script}: {answer}");
        assert_eq!(eval(&engine, b"return #cjson.encode(('x'):rep(9))"), b":11\r\n", "{script}");
    }
}

#[test]
fn long_strings_are_written_piece_by_piece() {
    let engine = open(|_| ());
    for len in [4095, 4096, 4097, 8192, 8193, 20_000] {
        let script = format!(
            "local s = ('ab\\n\"/\\127'):rep(4000):sub(1, {len}) \
             return tostring(cjson.decode(cjson.encode({{s}}))[1] == s) .. #cjson.encode(s)"
        );
        // Of six bytes four are escaped: three to two bytes, one to six.
        let escaped = |at: usize| [1, 1, 2, 2, 2, 6][at % 6];
        let expected: usize = (0..len).map(escaped).sum::<usize>() + 2;
        assert_eq!(answer(&engine, &script), json!(format!("true{expected}")), "{len}");
    }
}

#[test]
fn errors_leave_nothing_behind() {
    let engine = open(|_| ());
    let script = "local function e(f, ...) local ok, why = pcall(f, ...) assert(not ok) end \
        for i = 1, 3000 do e(cjson.encode, {{{'x', e}}}) e(cjson.decode, '[[[\"a\\\\n\",{\"b\":') \
        e(cmsgpack.unpack, '\\147\\147\\129\\1') e(struct.pack, 'ssi', 'a', 'b') end \
        return cjson.encode({cmsgpack.unpack(cmsgpack.pack({1, {a = 'b'}})), \
        struct.unpack('s', struct.pack('s', 'c'))})";
    assert_eq!(answer(&engine, script), json!("[[1,{\"a\":\"b\"}],\"c\",3]"));
}

#[test]
fn coroutines_may_use_the_libraries() {
    let engine = open(|_| ());
    let script = "local f = coroutine.wrap(function() for i = 1, 3 do \
        coroutine.yield(cjson.encode({i, cmsgpack.unpack(cmsgpack.pack(i))})) end end) \
        return f() .. f() .. f()";
    assert_eq!(answer(&engine, script), json!("[1,1][2,2][3,3]"));
}

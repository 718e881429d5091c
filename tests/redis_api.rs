//! The world a script sees: every name there is, every function of `redis`, and the conversion of
//! replies under RESP2 and RESP3. What redis-server 7.0.15 answers is recorded; where there is a
//! server, the records are held to it.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

#[path = "../benches/peer/mod.rs"]
#[allow(dead_code, reason = "each of its users uses a part of it")]
mod peer;

use moonkv::{Engine, Options, Protocol};
use peer::{Peer, encode};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// At least so many recorded cases run.
const RECORDED_LEAST: usize = 400;

/// Lists all names a script can reach, with the types of what they stand for.
const NAMES: &str = "local seen, out = {}, {}
    local function walk(path, t)
      if seen[t] then return end
      seen[t] = true
      for k, v in pairs(t) do
        out[#out + 1] = path .. tostring(k) .. ' ' .. type(v)
        if type(v) == 'table' then walk(path .. tostring(k) .. '.', v) end
      end
    end
    walk('', _G)
    for k, v in pairs(getmetatable('')) do out[#out + 1] = 'string: ' .. k .. ' ' .. type(v) end
    table.sort(out) return table.concat(out, '\\n')";

/// What [`NAMES`] answers but for the libraries' own: Redis's names of the base library.
const GLOBALS: &str = "_G table\n_VERSION string\n__redis__err__handler function\nassert function\n\
    bit table\ncjson table\ncmsgpack table\ncollectgarbage function\ncoroutine table\n\
    error function\ngcinfo function\ngetmetatable function\nipairs function\nload function\n\
    loadstring function\nmath table\nnext function\npairs function\npcall function\n\
    rawequal function\nrawget function\nrawset function\nredis table\nselect function\n\
    setmetatable function\nstring table\nstruct table\ntable table\ntonumber function\n\
    tostring function\ntype function\nunpack function\nxpcall function";

struct Case {
    protocol: Protocol,
    script: String,
    /// As it comes on the wire.
    reply: Vec<u8>,
}

fn recorded() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redis_api/recorded.jsonl");
    let text = std::fs::read_to_string(path).expect("the records are there");
    let case = |line: &str| {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let text = |name: &str| case[name].as_str().expect("a text").to_owned();
        let protocol = if case["resp"] == 3 { Protocol::Resp3 } else { Protocol::Resp2 };
        // Each character of the record is one byte.
        let reply = text("reply").chars().map(|c| u8::try_from(c).expect("a byte")).collect();
        Case { protocol, script: text("script"), reply }
    };
    let cases: Vec<Case> = text.lines().map(case).collect();
    assert!(cases.len() >= RECORDED_LEAST, "only {} cases, {RECORDED_LEAST} before", cases.len());
    cases
}

fn open() -> Engine {
    Engine::open(&Options::redis()).expect("an engine opens")
}

fn ours(engine: &Engine, script: &str, protocol: Protocol) -> Vec<u8> {
    engine.command_resp(&["EVAL", script, "0"], protocol).expect("every command gets a reply")
}

fn show(reply: &[u8]) -> String {
    reply.escape_ascii().to_string()
}

/// The scripts whose replies are not those expected.
fn differences(cases: &[Case], mut answer: impl FnMut(&Case) -> Vec<u8>) -> Vec<String> {
    let different = cases.iter().filter_map(|case| {
        let reply = answer(case);
        let (ours, theirs) = (show(&reply), show(&case.reply));
        let text = || format!("{:?}: {}\n  {ours}\n  {theirs}", case.protocol, case.script);
        (reply != case.reply).then(text)
    });
    different.collect()
}

#[test]
fn recorded_answers_hold() {
    let mut engine = (open(), Protocol::Resp2);
    let wrong = differences(&recorded(), |case| {
        if engine.1 != case.protocol {
            engine = (open(), case.protocol);
        }
        ours(&engine.0, &case.script, case.protocol)
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_real_server_answers_as_recorded() {
    let Some(peer) = Peer::start() else {
        println!("SKIPPED: there is no redis-server to compare with");
        return;
    };
    let mut stream = BufReader::new(peer.connection());
    let mut protocol = Protocol::Resp2;
    let mut wrong = differences(&recorded(), |case| {
        if case.protocol != protocol {
            protocol = case.protocol;
            theirs(&mut stream, &[b"HELLO", b"3"]);
            theirs(&mut stream, &[b"FLUSHALL"]);
        }
        theirs(&mut stream, &[b"EVAL", case.script.as_bytes(), b"0"])
    });
    let engine = open();
    let names = Case {
        protocol: Protocol::Resp2,
        script: NAMES.to_owned(),
        reply: theirs(&mut stream, &[b"EVAL", NAMES.as_bytes(), b"0"]),
    };
    wrong.extend(differences(&[names], |case| ours(&engine, &case.script, Protocol::Resp2)));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_other_name_can_be_reached() {
    let reply = open().eval(NAMES, &[""; 0], &[""; 0]).expect("the names are listed");
    let names = reply.as_str().expect("a text");
    let own: Vec<&str> =
        names.lines().filter(|name| !name.contains('.') && !name.contains(": ")).collect();
    let wanted: Vec<&str> = GLOBALS.lines().collect();
    let own: Vec<&str> =
        own.into_iter().filter(|name| !["KEYS table", "ARGV table"].contains(name)).collect();
    assert_eq!(own, wanted);
    assert_eq!(names.lines().count(), 156, "{names}");
}

fn theirs(stream: &mut BufReader<UnixStream>, argv: &[&[u8]]) -> Vec<u8> {
    stream.get_mut().write_all(&encode(argv)).expect("the server reads");
    let mut reply = Vec::new();
    read_reply(stream, &mut reply);
    reply
}

/// Reads one whole reply as it comes.
fn read_reply(stream: &mut BufReader<UnixStream>, reply: &mut Vec<u8>) {
    let start = reply.len();
    stream.read_until(b'\n', reply).expect("the server answers");
    let line = std::str::from_utf8(&reply[start + 1..]).unwrap_or_default().trim_end();
    let count = line.parse::<i64>().unwrap_or(-1);
    match reply[start] {
        b'$' | b'=' if count >= 0 => {
            let mut text = vec![0; count as usize + 2];
            stream.read_exact(&mut text).expect("the server answers");
            reply.extend(text);
        }
        b'*' | b'~' | b'>' => (0..count).for_each(|_| read_reply(stream, reply)),
        b'%' => (0..count * 2).for_each(|_| read_reply(stream, reply)),
        _ => {}
    }
}

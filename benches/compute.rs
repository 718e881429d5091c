//! What does a script that computes take, and the libraries it may call? Whole scripts that touch no
//! keys, beside a real redis-server that runs the same: the language itself, its strings and
//! tables, and JSON, MessagePack and `struct` with a document as applications have them. Both in
//! turn and in short rounds; the round trip of the one EVAL is in redis-server's times, a script
//! being long enough that it does not show. Shown are the times of the middle round and the middle
//! of the rounds' ratios.
//!
//! `cargo bench --bench compute [-- words]` measures the rows whose names contain one of the words.

#[allow(dead_code, reason = "each bench uses a part of it")]
mod loops;
#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;

use loops::{median, median_ratio, timed, turns};
use moonkv::{Engine, Options};
use peer::{Peer, encode};
use std::time::Duration;

const ROUNDS: usize = 25;

/// What is done so many times, and what comes first in the script, which is in the times.
type Work = (&'static str, u32, &'static str, &'static str);

const FIB: &str =
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end";
/// The same with something that is another one in each run.
const COUNTED_FIB: &str = "local calls = 0 local function fib(n) calls = calls + 1 \
    if n < 2 then return n end return fib(n - 1) + fib(n - 2) end";
/// Numbers in no order, the same ones on both sides.
const NUMBERS: &str = "local x = 42 local function numbers(n) local t = {} for j = 1, n do \
    x = (x * 16807) % 2147483647 t[j] = x end return t end";
const WORDS: &str = "local s = 'the quick brown fox.' local words = {} \
    for j = 1, 200 do words[j] = 'word' .. j end";
const OBJECT: &str = "local Account = {} Account.__index = Account \
    function Account.add(self, n) self.sum = self.sum + n return self.sum end \
    local a = setmetatable({sum = 0}, Account)";

const LANGUAGE: &[Work] = &[
    ("fib(25)", 1, FIB, "fib(25)"),
    ("fib(25), counted", 1, COUNTED_FIB, "fib(25)"),
    ("empty loop", 1_000_000, "", ""),
    ("arithmetic", 200_000, "local x = 1", "x = (x * 3 + i) % 1000003"),
    ("calls of a method", 100_000, OBJECT, "a:add(i)"),
    ("closures", 50_000, "", "local f = function() return i end f()"),
    (
        "sieve to 50,000",
        1,
        "",
        "local t = {} for a = 2, 50000 do if t[a] == nil then \
        for b = a * a, 50000, a do t[b] = false end end end",
    ),
    ("pcall", 50_000, "local f = function() end", "pcall(f)"),
];

const TABLES: &[Work] = &[
    ("sort of 5,000", 1, NUMBERS, "table.sort(numbers(5000))"),
    ("sort, own order", 1, NUMBERS, "table.sort(numbers(5000), function(a, b) return a > b end)"),
    (
        "insert, remove",
        50_000,
        "local t = {}",
        "table.insert(t, i) table.insert(t, i) table.remove(t)",
    ),
    ("small tables", 50_000, "", "local t = {i, i + 1, name = i}"),
    (
        "pairs",
        500,
        "local t = {} for j = 1, 200 do t['k' .. j] = j end",
        "for k, v in pairs(t) do end",
    ),
    ("ipairs", 500, "local t = {} for j = 1, 200 do t[j] = j end", "for k, v in ipairs(t) do end"),
    ("unpack, select", 20_000, "local t = {1, 2, 3, 4, 5}", "local a = select('#', unpack(t))"),
];

const STRINGS: &[Work] = &[
    ("building by ..", 50, "", "local s = '' for j = 1, 500 do s = s .. 'part' end"),
    ("short ..", 50_000, "local s = 'name:'", "local t = s .. 'part' .. s"),
    ("number .. text", 50_000, "", "local t = 'item' .. i"),
    ("table.concat", 500, WORDS, "table.concat(words, ',')"),
    ("format %d %s", 50_000, "local f = string.format", "f('%d:%s', i, 'text')"),
    ("format %5.2f", 50_000, "local f = string.format", "f('%5.2f', i / 3)"),
    ("tostring, tonumber", 50_000, "", "tonumber(tostring(i))"),
    ("sub, byte, char", 50_000, WORDS, "s:sub(2, 9) s:byte(i % 20) string.char(65 + i % 26)"),
    ("upper, rep, reverse", 20_000, WORDS, "s:upper() s:rep(3) s:reverse()"),
    ("find", 20_000, WORDS, "s:find('fox')"),
    ("match", 20_000, "", "('user:42'):match('^(%a+):(%d+)$')"),
    ("gmatch", 5_000, WORDS, "for w in s:gmatch('%a+') do end"),
    ("gsub by text", 10_000, WORDS, "s:gsub('o', '0')"),
    ("gsub by function", 5_000, WORDS, "s:gsub('%w+', function(w) return w end)"),
];

/// A document of about 1 KB.
const DOCUMENT: &str = "local d = {id = 123456, name = 'A name of some length', price = 1999.95, \
    tags = {'one', 'two', 'three', 'four'}, active = true, none = cjson.null, items = {}} \
    for j = 1, 8 do d.items[j] = {sku = 'SKU-' .. j, quantity = j, price = j * 1.25, \
    note = 'text with \"quotes\" and some more words', options = {j, j + 1, j + 2}} end";

/// A document that is its own text in JSON and in MessagePack, too.
const AS_JSON: &str = "local json = cjson.encode(d)";
const AS_MSGPACK: &str = "local msgpack = cmsgpack.pack(d)";
const PACKED: &str = "local p = struct.pack('>I4hBds', 1, 2, 3, 4.5, 'text')";
const FLOATS: &str = "local d = {} for j = 1, 100 do d[j] = j / 7 end";

const LIBRARIES: &[(&str, u32, &[&str], &str)] = &[
    ("cjson.encode", 2_000, &[DOCUMENT], "cjson.encode(d)"),
    ("cjson.decode", 2_000, &[DOCUMENT, AS_JSON], "cjson.decode(json)"),
    ("cjson.encode floats", 500, &[FLOATS], "cjson.encode(d)"),
    ("cjson.decode floats", 500, &[FLOATS, AS_JSON], "cjson.decode(json)"),
    ("cjson.encode small", 20_000, &[], "cjson.encode({id = i, name = 'a name'})"),
    ("cjson.decode small", 20_000, &[], "cjson.decode('{\"id\":1,\"name\":\"a name\"}')"),
    ("cmsgpack.pack", 2_000, &[DOCUMENT], "cmsgpack.pack(d)"),
    ("cmsgpack.unpack", 2_000, &[DOCUMENT, AS_MSGPACK], "cmsgpack.unpack(msgpack)"),
    ("struct.pack", 50_000, &[], "struct.pack('>I4hBds', 1, 2, 3, 4.5, 'text')"),
    ("struct.unpack", 50_000, &[PACKED], "struct.unpack('>I4hBds', p)"),
    ("bit", 50_000, &[], "bit.band(bit.bxor(i, 255), bit.lshift(1, 5))"),
    ("redis.sha1hex", 20_000, &[], "redis.sha1hex('some text')"),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Under `cargo test` benches are only built, and run with this flag.
    if words.iter().any(|word| word == "--test") {
        return;
    }
    let words: Vec<_> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    let mut bench = Bench::new();
    for (group, works) in [("language", LANGUAGE), ("tables", TABLES), ("strings", STRINGS)] {
        println!("{group}");
        for (name, count, first, work) in works.iter().filter(|row| is_wanted(row.0)) {
            bench.row(name, *count, first, work);
        }
    }
    println!("libraries");
    for (name, count, first, work) in LIBRARIES.iter().filter(|row| is_wanted(row.0)) {
        bench.row(name, *count, &first.join(" "), work);
    }
    bench.finish();
}

struct Bench {
    engine: Engine,
    peer: Option<Peer>,
    /// The rows in which redis-server was faster, and how much.
    slower: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        let peer = Peer::start();
        if peer.is_none() {
            println!("redis-server is not installed: its columns are missing");
        }
        println!("A script that does it so often, ns each");
        println!("{:24}{:>9}{:>11}{:>11}{:>14}", "", "times", "moonkv", "redis", "redis/moonkv");
        let engine = Engine::open(&Options::default()).expect("an engine opens");
        Bench { engine, peer, slower: Vec::new() }
    }

    fn row(&mut self, name: &str, count: u32, first: &str, work: &str) {
        let script = format!("{first} for i = 1, {count} do {work} end");
        let prepared = self.engine.prepare(&script).expect("the script compiles");
        let request = encode(&[b"EVAL", script.as_bytes(), b"0"]);
        let peer = &mut self.peer;
        let [ours, theirs] = turns(
            ROUNDS,
            count,
            [
                &mut || timed(|| drop(prepared.run(&[""; 0], &[""; 0]).expect("the run works"))),
                &mut || {
                    let trip = |peer: &mut Peer| timed(|| drop(peer.round_trip(&request)));
                    peer.as_mut().map_or(Duration::ZERO, trip)
                },
            ],
        );
        let ratio = median_ratio(&ours, &theirs);
        let [ours, theirs] = [ours, theirs].map(median);
        println!("  {name:22}{count:>9}{ours:>11.0}{theirs:>11.0}{ratio:>14.2}");
        if self.peer.is_some() && ratio < 1.0 {
            self.slower.push(format!("{name} {ratio:.2}"));
        }
    }

    fn finish(&self) {
        match self.slower.as_slice() {
            [] => println!("redis-server is faster in none"),
            slower => println!("redis-server is faster in: {}", slower.join(", ")),
        }
    }
}

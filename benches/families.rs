//! Every family beside a redis-server started for it: what a call inside a script costs, and what
//! data weighs. A row whose commands do not exist here is skipped, and says so.
//!
//! `cargo bench --bench families [-- words]` measures the rows whose names contain one of the words.

mod loops;
#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;

use loops::{best, engine_loop, peer_loop};
use moonkv::{Call, Engine, Options, ReplyBuf};
use peer::{Peer, encode, resident_bytes};
use std::process::Command;
use std::time::Duration;

/// Calls in one script, and how often it is run.
const CALLS: u32 = 20_000;
const ROUNDS: usize = 10;

/// What one call looks like and what must have been done before, by family. `k` is the key, `i`
/// counts the calls; a name in lower case tells what is special.
type Row = (&'static str, &'static str, &'static str);

const TEN_FIELDS: &str = "for i = 1, 10 do redis.call('HSET', KEYS[1], 'field' .. i, i) end";
const HUNDRED_ELEMENTS: &str = "for i = 1, 100 do redis.call('RPUSH', KEYS[1], 'value' .. i) end";
const TEN_INTEGERS: &str = "for i = 1, 10 do redis.call('SADD', KEYS[1], i * 3) end";
const TEN_ITEMS: &str = "for i = 1, 10 do redis.call('SADD', KEYS[1], 'item' .. i) end";
const MANY_ITEMS: &str = "for i = 1, 20000 do redis.call('SADD', KEYS[1], 'item' .. i) end";
const TWO_SETS: &str = "for i = 1, 50 do redis.call('SADD', KEYS[1], 'item' .. i)
    redis.call('SADD', 'other', 'item' .. i * 3) end";
const TEN_SCORES: &str = "for i = 1, 10 do redis.call('ZADD', KEYS[1], i, 'member' .. i) end";
const MANY_SCORES: &str = "for i = 1, 20000 do redis.call('ZADD', KEYS[1], i, 'member' .. i) end";
const PLACES: &str = "for i = 1, 1000 do
    redis.call('GEOADD', KEYS[1], i % 90, i % 70 + i / 1000, 'place' .. i) end";
const BITS: &str = "for i = 1, 800, 3 do redis.call('SETBIT', KEYS[1], i, 1) end";
const ENTRIES: &str = "for i = 1, 1000 do redis.call('XADD', KEYS[1], i .. '-1', 'field', i) end";

const ROWS: &[(&str, &[Row])] = &[
    (
        "string",
        &[
            ("GET", "c('GET', k)", "redis.call('SET', KEYS[1], 'value')"),
            ("SET", "c('SET', k, 'value')", ""),
            ("SET px", "c('SET', k, 'value', 'PX', 100000)", ""),
            ("INCR", "c('INCR', k)", ""),
            ("INCRBYFLOAT", "c('INCRBYFLOAT', k, '0.5')", ""),
            ("APPEND", "c('APPEND', k, 'x')", ""),
            ("GETRANGE", "c('GETRANGE', k, 2, 5)", "redis.call('SET', KEYS[1], 'some value')"),
            ("MGET", "c('MGET', k, 'a', 'b')", "redis.call('MSET', KEYS[1], 'v', 'a', 'w')"),
        ],
    ),
    (
        "bitmap",
        &[
            ("SETBIT", "c('SETBIT', k, i % 1000, 1)", BITS),
            ("GETBIT", "c('GETBIT', k, i % 1000)", BITS),
            ("BITCOUNT", "c('BITCOUNT', k)", BITS),
            ("BITPOS", "c('BITPOS', k, 0, 10)", BITS),
            ("BITFIELD", "c('BITFIELD', k, 'INCRBY', 'u8', 8, 1)", BITS),
        ],
    ),
    (
        "hyperloglog",
        &[
            ("PFADD", "c('PFADD', k, i)", ""),
            ("PFCOUNT", "c('PFCOUNT', k)", "redis.call('PFADD', KEYS[1], 'a', 'b')"),
        ],
    ),
    (
        "hash",
        &[
            ("HSET", "c('HSET', k, 'field5', 'value')", TEN_FIELDS),
            ("HGET", "c('HGET', k, 'field5')", TEN_FIELDS),
            ("HMGET", "c('HMGET', k, 'field2', 'field5', 'none')", TEN_FIELDS),
            ("HGETALL", "c('HGETALL', k)", TEN_FIELDS),
            ("HINCRBY", "c('HINCRBY', k, 'field5', 1)", TEN_FIELDS),
            ("HSET large", "c('HSET', k, i, 'value')", ""),
        ],
    ),
    (
        "list",
        &[
            ("LPUSH", "c('LPUSH', k, 'value')", ""),
            ("RPOP", "c('RPOP', k)", "for i = 1, 20000 do redis.call('LPUSH', KEYS[1], i) end"),
            ("LINDEX", "c('LINDEX', k, 50)", HUNDRED_ELEMENTS),
            ("LRANGE", "c('LRANGE', k, 0, 9)", HUNDRED_ELEMENTS),
            ("LMOVE", "c('LMOVE', k, k, 'LEFT', 'RIGHT')", HUNDRED_ELEMENTS),
        ],
    ),
    (
        "set",
        &[
            ("SADD integer", "c('SADD', k, 15)", TEN_INTEGERS),
            ("SADD", "c('SADD', k, 'item5')", TEN_ITEMS),
            ("SADD large", "c('SADD', k, 'item' .. i)", ""),
            ("SISMEMBER integer", "c('SISMEMBER', k, 15)", TEN_INTEGERS),
            ("SISMEMBER", "c('SISMEMBER', k, 'item5')", TEN_ITEMS),
            ("SISMEMBER large", "c('SISMEMBER', k, 'item5')", MANY_ITEMS),
            ("SREM, SADD", "c('SREM', k, 'item5') c('SADD', k, 'item5')", TEN_ITEMS),
            ("SCARD", "c('SCARD', k)", TEN_ITEMS),
            ("SMEMBERS", "c('SMEMBERS', k)", TEN_ITEMS),
            ("SMEMBERS integer", "c('SMEMBERS', k)", TEN_INTEGERS),
            ("SPOP large", "c('SPOP', k)", MANY_ITEMS),
            ("SRANDMEMBER", "c('SRANDMEMBER', k)", TEN_ITEMS),
            ("SRANDMEMBER large", "c('SRANDMEMBER', k, 5)", MANY_ITEMS),
            ("SINTER", "c('SINTER', k, 'other')", TWO_SETS),
            ("SINTERCARD", "c('SINTERCARD', 2, k, 'other')", TWO_SETS),
            ("SUNIONSTORE", "c('SUNIONSTORE', 'to', k, 'other')", TWO_SETS),
            ("SDIFF", "c('SDIFF', k, 'other')", TWO_SETS),
        ],
    ),
    (
        "sorted-set",
        &[
            ("ZADD", "c('ZADD', k, i, 'member5')", TEN_SCORES),
            ("ZADD large", "c('ZADD', k, i, 'member' .. i)", ""),
            ("ZINCRBY", "c('ZINCRBY', k, 1, 'member5')", TEN_SCORES),
            ("ZSCORE", "c('ZSCORE', k, 'member5')", TEN_SCORES),
            ("ZRANK large", "c('ZRANK', k, 'member500')", MANY_SCORES),
            ("ZRANGE large", "c('ZRANGE', k, 500, 509)", MANY_SCORES),
            ("ZRANGEBYSCORE large", "c('ZRANGEBYSCORE', k, 500, 509)", MANY_SCORES),
            ("ZPOPMIN large", "c('ZPOPMIN', k)", MANY_SCORES),
            ("ZUNION", "c('ZUNION', 2, k, 'none')", TEN_SCORES),
        ],
    ),
    (
        "geo",
        &[
            ("GEOADD", "c('GEOADD', k, 13.5, 37.25, 'place')", PLACES),
            ("GEODIST", "c('GEODIST', k, 'place1', 'place500')", PLACES),
            ("GEOSEARCH", "c('GEOSEARCH', k, 'FROMLONLAT', 30, 30, 'BYRADIUS', 500, 'km')", PLACES),
        ],
    ),
    (
        "stream",
        &[
            ("XADD", "c('XADD', k, i .. '-1', 'field', 'value')", ""),
            ("XADD maxlen", "c('XADD', k, 'MAXLEN', '~', 100, i .. '-1', 'field', 'value')", ""),
            ("XLEN", "c('XLEN', k)", ENTRIES),
            ("XRANGE", "c('XRANGE', k, '500', '+', 'COUNT', 5)", ENTRIES),
        ],
    ),
    (
        "generic",
        &[
            ("EXISTS", "c('EXISTS', k)", "redis.call('SET', KEYS[1], 'value')"),
            ("TYPE", "c('TYPE', k)", "redis.call('SET', KEYS[1], 'value')"),
            ("EXPIRE", "c('EXPIRE', k, 100)", "redis.call('SET', KEYS[1], 'value')"),
            ("SET, DEL", "c('SET', k, 'value') c('DEL', k)", ""),
            ("DUMP", "c('DUMP', k)", TEN_FIELDS),
            ("SORT", "c('SORT', k)", TEN_INTEGERS),
        ],
    ),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // Under `cargo test` benches are only built, and run with this flag.
        words if words.contains(&"--test") => (),
        ["--weigh", name] => weigh_here(name),
        words => {
            let wanted = |name: &str| {
                let mut words = words.iter().filter(|word| !word.starts_with("--")).peekable();
                words.peek().is_none() || words.any(|word| name.contains(word))
            };
            in_script(&wanted);
            memory(&wanted);
        }
    }
}

/// The first command, of those a row calls, which does not exist here.
fn missing(text: &str) -> Option<String> {
    let known = moonkv::commands();
    let behind = |call: &str| text.split(call).skip(1).map(str::to_owned).collect::<Vec<_>>();
    let calls = ["c('", "redis.call('"].map(behind).concat();
    let names = calls.iter().filter_map(|rest| rest.split('\'').next());
    let missing = |name: &String| !known.iter().any(|info| info.name == name);
    names.map(str::to_ascii_lowercase).find(missing)
}

// ---- Time.

fn in_script(wanted: &dyn Fn(&str) -> bool) {
    let mut peer = Peer::start();
    if peer.is_none() {
        println!("redis-server is not installed: its columns are missing");
    }
    println!("One call inside a script, ns (the loop around it included)");
    println!("{:24}{:>9}{:>9}{:>14}{:>10}", "", "moonkv", "redis", "redis/moonkv", "rollback");
    for (family, rows) in ROWS {
        let rows: Vec<&Row> = rows.iter().filter(|row| wanted(family) || wanted(row.0)).collect();
        if !rows.is_empty() {
            println!("{family}");
        }
        for (name, call, before) in rows {
            match missing(call).or_else(|| missing(before)) {
                Some(command) => println!("  {name:22}  skipped: there is no {command} here"),
                None => measure(name, call, before, &mut peer),
            }
        }
    }
    println!("moonkv: on_error=keep, as redis-server; rollback: the default, all undoable\n");
}

fn measure(name: &str, call: &str, before: &str, peer: &mut Option<Peer>) {
    let keep = Engine::open(&Options::redis()).expect("an engine opens");
    let rollback = Engine::new().expect("an engine opens");
    let [ours, undoable, theirs] = best(
        ROUNDS,
        CALLS,
        [
            &mut || engine_loop(&keep, call, before, CALLS),
            &mut || engine_loop(&rollback, call, before, CALLS),
            &mut || {
                peer.as_mut().map_or(Duration::ZERO, |peer| peer_loop(peer, call, before, CALLS))
            },
        ],
    );
    println!("  {name:22}{ours:>9.0}{theirs:>9.0}{:>14.2}{undoable:>10.0}", theirs / ours);
}

// ---- Memory.

/// A heap of data: its name, how many commands make it, and the words of each.
type Heap = (&'static str, usize, fn(usize) -> Vec<String>);

/// Words of a command, cut at spaces.
fn words(text: String) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A command with so many further arguments.
fn with(start: String, count: usize, argument: impl Fn(usize) -> String) -> Vec<String> {
    words(start).into_iter().chain((0..count).flat_map(|at| words(argument(at)))).collect()
}

const HEAPS: &[Heap] = &[
    ("1,000,000 small strings", 1_000_000, |i| words(format!("SET user:{i} value:{i}"))),
    ("100,000 hashes of 10 fields", 100_000, |i| {
        with(format!("HSET user:{i}"), 10, |at| format!("field{at} value{at}"))
    }),
    ("10,000 lists of 100", 10_000, |i| {
        with(format!("RPUSH list:{i}"), 100, |at| format!("value:{at}"))
    }),
    ("sorted set of 100,000", 1_000, |i| {
        with("ZADD zset".to_owned(), 100, |at| format!("{}.5 member:{}", i * at, i * 100 + at))
    }),
    ("set of 100,000 words", 1_000, |i| {
        with("SADD set".to_owned(), 100, |at| format!("member:{}", i * 100 + at))
    }),
    ("set of 100,000 integers", 1_000, |i| {
        with("SADD set".to_owned(), 100, |at| format!("{}", (i * 100 + at) * 7))
    }),
    ("set of 100,000 of 36 bytes", 1_000, |i| {
        with("SADD set".to_owned(), 100, |at| format!("{:036}", i * 100 + at))
    }),
    ("100,000 sets of 10 integers", 100_000, |i| {
        with(format!("SADD set:{i}"), 10, |at| format!("{}", i + at))
    }),
    ("100,000 sets of 10 words", 100_000, |i| {
        with(format!("SADD set:{i}"), 10, |at| format!("member:{at}"))
    }),
    ("10,000 sets of 100 words", 10_000, |i| {
        with(format!("SADD set:{i}"), 100, |at| format!("member:{at}"))
    }),
    ("stream of 100,000 entries", 100_000, |i| {
        words(format!("XADD stream {}-1 field value:{i} other {i}", i + 1))
    }),
];

fn memory(wanted: &dyn Fn(&str) -> bool) {
    println!("Memory, MB: resident here; used_memory and resident of redis-server");
    println!("{:30}{:>9}{:>9}{:>10}{:>16}", "", "moonkv", "redis", "resident", "moonkv / redis");
    for (name, commands, words) in HEAPS.iter().filter(|(name, ..)| wanted(name)) {
        let command = words(0).first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        if !moonkv::commands().iter().any(|info| info.name == command) {
            println!("{name:30}  skipped: there is no {command} here");
            continue;
        }
        let ours = weigh_apart(name) / 1e6;
        match Peer::start() {
            Some(mut peer) => {
                let [used, resident] = weigh_peer(&mut peer, *commands, words).map(|b| b / 1e6);
                println!("{name:30}{ours:>9.1}{used:>9.1}{resident:>10.1}{:>16.2}", ours / used);
            }
            None => println!("{name:30}{ours:>9.1}"),
        }
    }
}

/// Weighs in a process of its own, where nothing was freed before that could be used again.
fn weigh_apart(name: &str) -> f64 {
    let program = std::env::current_exe().expect("the bench has a path");
    let output = Command::new(program).args(["--weigh", name]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("it prints a number of bytes")
}

fn weigh_here(name: &str) {
    let heap = HEAPS.iter().find(|heap| heap.0 == name);
    let (_, commands, words) = heap.expect("a heap of this name");
    let engine = Engine::new().expect("an engine opens");
    let mut reply = ReplyBuf::new();
    let before = resident_bytes(std::process::id());
    for i in 0..*commands {
        let words = words(i);
        let argv: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        engine.call(Call::Command(&argv), &mut reply).expect("the command works");
        assert!(!reply.is_error(), "{words:?}");
    }
    println!("{}", resident_bytes(std::process::id()) - before);
}

/// The growth of `used_memory` and of what is resident.
fn weigh_peer(peer: &mut Peer, commands: usize, words: &fn(usize) -> Vec<String>) -> [f64; 2] {
    let before = [used_memory(peer), peer.resident_bytes() as f64];
    let mut requests = Vec::new();
    for i in 0..commands {
        let words = words(i);
        requests.extend(encode(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()));
    }
    // XADD answers with a bulk string, which takes two lines.
    let lines = if requests.windows(4).next() == Some(b"*7\r\n") { 2 } else { 1 };
    peer.pipeline(&requests, commands * lines);
    let after = [used_memory(peer), peer.resident_bytes() as f64];
    [after[0] - before[0], after[1] - before[1]]
}

fn used_memory(peer: &mut Peer) -> f64 {
    let info = peer.command(&[b"INFO", b"memory"]);
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("INFO tells used_memory")
}

//! Every family beside a redis-server started for it: what a call inside a script costs, and what
//! data weighs. A row whose commands do not exist here is skipped, and says so.
//!
//! What is timed is a script: a loop of calls, which takes the answers of all commands but those that
//! are called for what they do. Where the calls take what the script has to make
//! first, members with a number in their name for one, a script is timed too, on each side, that
//! makes the same and whose loop only reads what the calls would take; its time is taken off.
//! Nothing else is: the other loops, and on redis-server's side the round trip of the one EVAL, are
//! in the times, and so is what becomes of the answers in Lua. Both sides and both
//! scripts take turns, round after round. Shown are the times of the middle round, and the middle
//! of the rounds' ratios: these hold where the machine's speed changes from second to second.
//!
//! `cargo bench --bench families [-- words]` measures the rows whose names contain one of the words,
//! `cargo bench --bench families -- --call "c('GET', k)" "redis.call('SET', KEYS[1], 1)"` any other
//! call, with what has to be done before it.

mod loops;
#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;
mod rows;

use loops::{Loop, engine_loop, median, median_ratio, peer_loop, turns};
use moonkv::{Call, Engine, Options, ReplyBuf};
use peer::{Peer, encode, resident_bytes};
use rows::{PREPARED, ROWS, Row};
use std::process::Command;
use std::time::Duration;

/// Calls in one script, and how often it is run; fewer where a call takes long.
const CALLS: u32 = 20_000;
const CALLS_LONG: u32 = 2_000;
const LONG: Duration = Duration::from_micros(2);
const ROUNDS: usize = 25;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // Under `cargo test` benches are only built, and run with this flag.
        words if words.contains(&"--test") => (),
        ["--weigh", name] => weigh_here(name),
        ["--call", call, before @ ..] => {
            header();
            let _ = measure("", call, &before.concat(), &mut Peer::start());
        }
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

/// Commands that scripts call for what they do: the rows take no answer of them, but of all others.
const EFFECTS: &[&str] = &[
    "APPEND",
    "BITOP",
    "COPY",
    "DEL",
    "EXPIRE",
    "GEOADD",
    "HDEL",
    "HSET",
    "LPUSH",
    "LSET",
    "MSET",
    "PFADD",
    "PFMERGE",
    "RESTORE",
    "SADD",
    "SET",
    "SETBIT",
    "SREM",
    "SUNIONSTORE",
    "XACK",
    "XADD",
    "ZADD",
    "ZREM",
];

/// The calls of a row, each of which is made for its answer or for its effect.
fn taking_answers(calls: &str) -> String {
    let mut parts = calls.split("c('");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_effect = EFFECTS.iter().any(|name| part.split('\'').next() == Some(name));
        text.push_str(if is_effect { "c('" } else { "local _ = c('" });
        text.push_str(part);
    }
    text
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
    header();
    for (family, rows) in ROWS {
        let rows: Vec<&Row> = rows.iter().filter(|row| wanted(family) || wanted(row.0)).collect();
        if !rows.is_empty() {
            println!("{family}");
        }
        let mut ratios = Vec::new();
        for (name, call, before) in rows {
            match missing(call).or_else(|| missing(before)) {
                Some(command) => println!("  {name:22}  skipped: there is no {command} here"),
                None => {
                    let call = taking_answers(call);
                    ratios.push((*name, measure(name, &call, before, &mut peer)));
                }
            }
        }
        if peer.is_some() {
            print_mean(family, &ratios);
        }
    }
    println!("moonkv: on_error=keep, as redis-server; rollback: the default, all undoable\n");
}

/// Prints the geometric mean of a family's ratios, and the row that is lowest.
fn print_mean(family: &str, ratios: &[(&str, f64)]) {
    let Some((lowest, least)) = ratios.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    let logarithms = ratios.iter().map(|(_, ratio)| ratio.ln());
    let mean = (logarithms.sum::<f64>() / ratios.len() as f64).exp();
    println!(
        "  {:40}{mean:>14.2}  lowest: {lowest} {least:.2}",
        format!("{family}, geometric mean")
    );
}

fn header() {
    println!("One call inside a script, ns: the time of a script that calls in a loop, per call.");
    println!(
        "Only what the script makes for its calls and reads, as members, is measured and taken off."
    );
    println!("{:24}{:>9}{:>9}{:>14}{:>10}", "", "moonkv", "redis", "redis/moonkv", "rollback");
}

/// Statements that read what was made for the rounds of a loop, as the call does.
fn reads(call: &str) -> String {
    let lists = PREPARED.iter().filter(|(word, _)| word.ends_with('[') && call.contains(word));
    lists.map(|(word, _)| format!("local _ = {word}i] ")).collect()
}

/// Measures a call and prints its row; returns the ratio.
fn measure(name: &str, call: &str, before: &str, peer: &mut Option<Peer>) -> f64 {
    let keep = Engine::open(&Options::redis()).expect("an engine opens");
    let rollback = Engine::new().expect("an engine opens");
    let needed = PREPARED.iter().filter(|(word, _)| call.contains(word)).map(|(_, text)| *text);
    let prepare = needed.collect::<Vec<_>>().join(" ");
    let work = |calls, rounds| Loop { before, prepare: &prepare, call, calls, rounds };
    let is_long = engine_loop(&keep, &work(200, 200)) > LONG * 200;
    let calls = if is_long { CALLS_LONG } else { CALLS };
    let all = work(calls, calls);
    // What is made before the loop, and read in it, is timed by a loop that calls nothing.
    let reads = reads(call);
    let made = (!prepare.is_empty()).then(|| {
        let rounds = if reads.is_empty() { 0 } else { calls };
        Loop { call: &reads, ..work(calls, rounds) }
    });
    let ours = |engine, work: &Option<Loop>| {
        work.as_ref().map_or(Duration::ZERO, |work| engine_loop(engine, work))
    };
    let peer = std::cell::RefCell::new(peer);
    let theirs = |work: &Option<Loop>| match (peer.borrow_mut().as_mut(), work) {
        (Some(peer), Some(work)) => peer_loop(peer, work),
        _ => Duration::ZERO,
    };
    let all = Some(all);
    let [a, a_made, b, b_made, c, c_made] = turns(
        ROUNDS,
        calls,
        [
            &mut || ours(&keep, &all),
            &mut || ours(&keep, &made),
            &mut || ours(&rollback, &all),
            &mut || ours(&rollback, &made),
            &mut || theirs(&all),
            &mut || theirs(&made),
        ],
    );
    let less = |all: Vec<f64>, made: Vec<f64>| -> Vec<f64> {
        all.iter().zip(made).map(|(all, made)| all - made).collect()
    };
    let [ours, undoable, theirs] = [less(a, a_made), less(b, b_made), less(c, c_made)];
    let ratio = median_ratio(&ours, &theirs);
    let [ours, undoable, theirs] = [ours, undoable, theirs].map(median);
    println!("  {name:22}{ours:>9.0}{theirs:>9.0}{ratio:>14.2}{undoable:>10.0}");
    ratio
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

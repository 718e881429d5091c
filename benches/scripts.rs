//! What does a script cost? Per `redis.call` inside a script, and per whole run from the host,
//! beside the bare limit (a raw C function with one hash-table access in the same Lua) and beside
//! a real redis-server doing the same script. One run, all of them in turn and in short rounds, so
//! that the ratios hold where the machine's speed drifts; the best round of each counts.
//!
//! `cargo bench --bench scripts`

mod bare;
mod loops;
#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;

use bare::Bare;
use loops::{KEY, Loop, best, engine_loop, peer_loop, timed};
use moonkv::{Call, Engine, ReplyBuf};
use peer::{Peer, encode};
use std::process::Command;
use std::time::Duration;

/// Calls in one script.
const CALLS: u32 = 50_000;
/// Whole runs in one measurement.
const RUNS: u32 = 20_000;
const ROUNDS: usize = 40;

/// Name, what one call looks like, and what must have been done before.
const CALLS_MEASURED: [(&str, &str, &str); 8] = [
    ("GET", "local _ = c('GET', k)", "redis.call('SET', KEYS[1], 'value')"),
    ("SET", "c('SET', k, 'value')", ""),
    ("INCR", "local _ = c('INCR', k)", ""),
    ("HSET", "c('HSET', k, 'field', 'value')", ""),
    ("HGET", "local _ = c('HGET', k, 'field')", "redis.call('HSET', KEYS[1], 'field', 'value')"),
    ("LPUSH", "c('LPUSH', k, 'value')", ""),
    (
        "RPOP",
        "local _ = c('RPOP', k)",
        "for i = 1, CALLS do redis.call('LPUSH', KEYS[1], 'value') end",
    ),
    ("ZADD", "c('ZADD', k, '1', 'member')", ""),
];

const ONE_LINE: &str = "return redis.call('INCR', KEYS[1])";

fn main() {
    // Under `cargo test` benches are only built, and run with this flag.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let mut peer = Peer::start();
    if peer.is_none() {
        println!("redis-server is not installed: its columns are missing");
    }
    in_script(&mut peer);
    whole_runs(&mut peer);
}

fn in_script(peer: &mut Option<Peer>) {
    println!("One call inside a script, ns (the loop around it included)");
    println!(
        "{:8}{:>9}{:>9}{:>9}{:>12}{:>12}{:>9}",
        "", "moonkv", "bare", "redis", "moonkv/bare", "redis/moonkv", "rollback"
    );
    for (name, call, before) in CALLS_MEASURED {
        let before = before.replace("CALLS", &CALLS.to_string());
        let keep = Engine::open(&moonkv::Options::redis()).expect("an engine opens");
        let rollback = Engine::new().expect("an engine opens");
        let work = Loop::plain(call, &before, CALLS);
        let [ours, undoable, bare, theirs] = best(
            ROUNDS,
            CALLS,
            [
                &mut || engine_loop(&keep, &work),
                &mut || engine_loop(&rollback, &work),
                &mut || Bare::new().run_loop(call, KEY, CALLS),
                &mut || peer.as_mut().map_or(Duration::ZERO, |p| peer_loop(p, &work)),
            ],
        );
        println!(
            "{name:8}{ours:>9.0}{bare:>9.0}{theirs:>9.0}{:>12.2}{:>12.2}{undoable:>9.0}",
            ours / bare,
            theirs / ours
        );
    }
    println!(
        "moonkv: on_error=keep, as redis-server; rollback: the default, every change undoable\n"
    );
}

fn whole_runs(peer: &mut Option<Peer>) {
    println!("One whole run of `{ONE_LINE}`, ns");
    let engine = Engine::new().expect("an engine opens");
    let request = peer.as_mut().map(peer_request);
    let [bare, prepared, eval, trip] = best(
        ROUNDS,
        RUNS,
        [
            &mut || Bare::new().run_whole(ONE_LINE, KEY, RUNS),
            &mut || rust_prepared(&engine),
            &mut || rust_eval(&engine),
            &mut || match (peer.as_mut(), &request) {
                (Some(peer), Some(request)) => peer_trips(peer, request),
                _ => Duration::ZERO,
            },
        ],
    );
    let row = |name: &str, ns: f64| println!("{name:44}{ns:>9.0}{:>9.2} x bare", ns / bare);
    row("bare limit (KEYS, ARGV, pcall, result)", bare);
    row("Rust, prepared, buffer reused", prepared);
    row("Rust, eval", eval);
    let in_c = c_runs();
    match in_c {
        Some((prepared, eval)) => {
            row("C, prepared", prepared);
            row("C, eval", eval);
        }
        None => println!("C: skipped, no C compiler or no shared library"),
    }
    match python_runs() {
        Some((prepared, eval)) => {
            row("Python, prepared", prepared);
            row("Python, eval", eval);
        }
        None => println!("Python: skipped, the module is not installed for python3"),
    }
    if peer.is_some() {
        row("redis-server, EVALSHA over a Unix socket", trip);
        let ours = in_c.map_or(prepared, |(prepared, _)| prepared);
        println!("redis-server / moonkv prepared: {:.0}", trip / ours);
    }
}

fn rust_prepared(engine: &Engine) -> Duration {
    let script = engine.prepare(ONE_LINE).expect("the script compiles");
    let mut reply = ReplyBuf::new();
    timed(|| {
        for _ in 0..RUNS {
            script.call(&[KEY.as_bytes()], &[], &mut reply).expect("the run works");
        }
    })
}

fn rust_eval(engine: &Engine) -> Duration {
    let mut reply = ReplyBuf::new();
    timed(|| {
        for _ in 0..RUNS {
            let call = Call::Eval(ONE_LINE.as_bytes(), &[KEY.as_bytes()], &[]);
            engine.call(call, &mut reply).expect("the run works");
        }
    })
}

/// Loads the script and returns the request that runs it.
fn peer_request(peer: &mut Peer) -> Vec<u8> {
    peer.command(&[b"FLUSHALL"]);
    let loaded = peer.command(&[b"SCRIPT", b"LOAD", ONE_LINE.as_bytes()]);
    let sha = loaded.lines().nth(1).expect("SCRIPT LOAD answers with a SHA-1");
    encode(&[b"EVALSHA", sha.as_bytes(), b"1", KEY.as_bytes()])
}

/// The time of [`RUNS`] round trips, of which fewer are made, because they take so long.
fn peer_trips(peer: &mut Peer, request: &[u8]) -> Duration {
    const SHARE: u32 = 20;
    let took = timed(|| {
        for _ in 0..RUNS / SHARE {
            peer.round_trip(request);
        }
    });
    took * SHARE
}

/// Builds and runs `whole_runs.c` against the shared library of this profile.
fn c_runs() -> Option<(f64, f64)> {
    let root = env!("CARGO_MANIFEST_DIR");
    let library = std::env::current_exe().ok()?.parent()?.parent()?.to_path_buf();
    let program = std::env::temp_dir().join(format!("moonkv-whole-runs-{}", std::process::id()));
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(format!("{root}/benches/whole_runs.c"))
        .arg(format!("-I{root}/include"))
        .arg(format!("-L{}", library.display()))
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .arg("-lmoonkv")
        .status();
    let result = built
        .ok()
        .filter(|status| status.success())
        .and_then(|_| two_numbers(Command::new(&program).arg(RUNS.to_string()).arg(ONE_LINE)));
    let _ = std::fs::remove_file(&program);
    result
}

/// Runs `whole_runs.py` with the interpreter named by PYTHON, or python3.
fn python_runs() -> Option<(f64, f64)> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/whole_runs.py");
    two_numbers(Command::new(python).arg(script).arg(RUNS.to_string()).arg(ONE_LINE))
}

/// Runs a program that prints two numbers.
fn two_numbers(command: &mut Command) -> Option<(f64, f64)> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

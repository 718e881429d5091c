//! Does the keyspace pause, and what does a key weigh? A million keys of 16 bytes with values of
//! 32 bytes, from empty, each SET timed; then resident memory beside redis-server's in the same
//! run; then the price of a copy of it all.
//!
//! `cargo bench --bench keyspace`

#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;

use moonkv::{Call, Engine, ReplyBuf};
use peer::{Peer, encode, resident_bytes};
use std::time::Instant;

const KEYS: usize = 1_000_000;

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let engine = Engine::new().expect("an engine opens");
    let mut took: Vec<u32> = vec![1; KEYS];
    let before = resident_bytes(std::process::id());
    let start = Instant::now();
    fill(&engine, &mut took);
    let total = start.elapsed();
    let ours = (resident_bytes(std::process::id()) - before) as f64 / KEYS as f64;
    took.sort_unstable();
    let at = |share: f64| f64::from(took[((KEYS - 1) as f64 * share) as usize]) / 1000.0;
    println!(
        "{KEYS} SETs from empty through Rust: {:.0} ns each",
        total.as_nanos() as f64 / KEYS as f64
    );
    println!(
        "one SET, µs: median {:.2}, p99 {:.2}, p99.99 {:.2}, worst {:.1}",
        at(0.5),
        at(0.99),
        at(0.9999),
        at(1.0)
    );
    println!("moonkv: {ours:.1} bytes a key (16-byte keys, 32-byte values, resident memory)");
    match Peer::start() {
        Some(mut peer) => {
            let theirs = peer_bytes(&mut peer);
            println!(
                "redis-server: {theirs:.1} bytes a key; moonkv / redis-server: {:.2}",
                ours / theirs
            );
        }
        None => println!("redis-server is not installed: nothing to compare with"),
    }
    copy(&engine);
}

fn key(i: usize) -> String {
    format!("key:{i:012}")
}

fn fill(engine: &Engine, took: &mut [u32]) {
    let mut reply = ReplyBuf::new();
    for (i, took) in took.iter_mut().enumerate() {
        let (key, value) = (key(i), format!("{i:032x}"));
        let argv: [&[u8]; 3] = [b"SET", key.as_bytes(), value.as_bytes()];
        let start = Instant::now();
        engine.call(Call::Command(&argv), &mut reply).expect("SET works");
        *took = start.elapsed().as_nanos().min(u32::MAX as u128) as u32;
    }
}

fn peer_bytes(peer: &mut Peer) -> f64 {
    let before = peer.resident_bytes();
    let mut requests = Vec::new();
    for i in 0..KEYS {
        let value = format!("{i:032x}");
        requests.extend(encode(&[b"SET", key(i).as_bytes(), value.as_bytes()]));
    }
    peer.pipeline(&requests, KEYS);
    (peer.resident_bytes() - before) as f64 / KEYS as f64
}

/// A copy of the engine, and the first writes to what both share.
fn copy(engine: &Engine) {
    let start = Instant::now();
    let copy = engine.fork().expect("the engine is copied");
    println!(
        "fork() of {KEYS} keys: {:.2} ms (a new Lua state included)",
        start.elapsed().as_secs_f64() * 1e3
    );
    let mut reply = ReplyBuf::new();
    let start = Instant::now();
    for i in 0..10_000 {
        let key = key(i * 97);
        let argv: [&[u8]; 3] = [b"SET", key.as_bytes(), b"changed"];
        engine.call(Call::Command(&argv), &mut reply).expect("SET works");
    }
    println!("SET of a shared key: {:.2} µs", start.elapsed().as_secs_f64() * 1e6 / 10_000.0);
    drop(copy);
}

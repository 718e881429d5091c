//! Loops of one call inside a script, here and on a redis-server, and the taking of times in turn.

use crate::peer::{Peer, encode};
use moonkv::Engine;
use std::time::{Duration, Instant};

/// The key that the measured calls work on.
pub const KEY: &str = "user:1000";

/// Measures several things in turn, `rounds` times, so that the ratios hold where the machine's
/// speed drifts; the best of each, in nanoseconds per unit.
pub fn best<const N: usize>(
    rounds: usize,
    units: u32,
    mut works: [&mut dyn FnMut() -> Duration; N],
) -> [f64; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..rounds {
        for (best, work) in best.iter_mut().zip(&mut works) {
            *best = (*best).min(work());
        }
    }
    best.map(|time| time.as_nanos() as f64 / f64::from(units))
}

pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The measured script: setting up is a script of its own.
fn looped(call: &str, calls: u32) -> String {
    format!("local c, k = redis.call, KEYS[1] for i = 1, {calls} do {call} end")
}

pub fn engine_loop(engine: &Engine, call: &str, before: &str, calls: u32) -> Duration {
    engine.command(&["FLUSHALL"]).expect("FLUSHALL works");
    engine.eval(before, &[KEY], &[""; 0]).expect("the script works");
    let script = looped(call, calls);
    timed(|| {
        engine.eval(&script, &[KEY], &[""; 0]).expect("the script works");
    })
}

pub fn peer_loop(peer: &mut Peer, call: &str, before: &str, calls: u32) -> Duration {
    peer.command(&[b"FLUSHALL"]);
    peer.command(&[b"EVAL", before.as_bytes(), b"1", KEY.as_bytes()]);
    let request = encode(&[b"EVAL", looped(call, calls).as_bytes(), b"1", KEY.as_bytes()]);
    timed(|| {
        peer.round_trip(&request);
    })
}

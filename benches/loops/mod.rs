//! Loops of one call inside a script, here and on a redis-server, and the taking of times in turn.

use crate::peer::{Peer, encode};
use moonkv::Engine;
use std::time::{Duration, Instant};

/// The key that the measured calls work on.
pub const KEY: &str = "user:1000";

/// Measures several things in turn, `rounds` times, so that the ratios hold where the machine's
/// speed drifts; the best of each, in nanoseconds per unit.
#[allow(dead_code, reason = "not every bench is for the best")]
pub fn best<const N: usize>(
    rounds: usize,
    units: u32,
    works: [&mut dyn FnMut() -> Duration; N],
) -> [f64; N] {
    turns(rounds, units, works).map(|times| times.into_iter().fold(f64::INFINITY, f64::min))
}

/// Measures several things in turn and gives all times, in nanoseconds per unit: what is measured
/// in one round meets the same machine.
pub fn turns<const N: usize>(
    rounds: usize,
    units: u32,
    mut works: [&mut dyn FnMut() -> Duration; N],
) -> [Vec<f64>; N] {
    let mut times = [(); N].map(|()| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for (times, work) in times.iter_mut().zip(&mut works) {
            times.push(work().as_nanos() as f64 / f64::from(units));
        }
    }
    times
}

/// The one in the middle.
#[allow(dead_code, reason = "not every bench is for the middle")]
pub fn median(times: impl IntoIterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.into_iter().collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// How many times as long the second of each pair takes, in the middle.
#[allow(dead_code, reason = "not every bench is for the middle")]
pub fn median_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours))
}

pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A script to measure, and what is done before it in a script of its own.
pub struct Loop<'a> {
    pub before: &'a str,
    /// What the script makes before its loop.
    pub prepare: &'a str,
    pub call: &'a str,
    /// The `n` that the script makes things for.
    pub calls: u32,
    /// How often it calls.
    pub rounds: u32,
}

impl<'a> Loop<'a> {
    #[allow(dead_code, reason = "one bench prepares nothing, another always says what")]
    pub fn plain(call: &'a str, before: &'a str, calls: u32) -> Loop<'a> {
        Loop { before, prepare: "", call, calls, rounds: calls }
    }

    fn script(&self) -> String {
        let Loop { prepare, call, calls, rounds, .. } = self;
        format!(
            "local c, k, n = redis.call, KEYS[1], {calls} {prepare} for i = 1, {rounds} do {call} end"
        )
    }
}

pub fn engine_loop(engine: &Engine, work: &Loop<'_>) -> Duration {
    engine.command(&["FLUSHALL"]).expect("FLUSHALL works");
    engine.eval(work.before, &[KEY], &[""; 0]).expect("the script works");
    let script = work.script();
    timed(|| {
        engine.eval(&script, &[KEY], &[""; 0]).expect("the script works");
    })
}

pub fn peer_loop(peer: &mut Peer, work: &Loop<'_>) -> Duration {
    peer.command(&[b"FLUSHALL"]);
    peer.command(&[b"EVAL", work.before.as_bytes(), b"1", KEY.as_bytes()]);
    let request = encode(&[b"EVAL", work.script().as_bytes(), b"1", KEY.as_bytes()]);
    timed(|| {
        peer.round_trip(&request);
    })
}

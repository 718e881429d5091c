//! What it costs to undo a script.

use moonkv::Engine;
use std::time::{Duration, Instant};

/// The shortest of several runs of a script that fails.
pub fn shortest(engine: &Engine, script: &str, key: &str) -> Duration {
    let script = engine.prepare(format!("{script} error('undo')")).expect("it compiles");
    let timed = |_| {
        let start = Instant::now();
        script.run(&[key], &[""; 0]).expect_err("it fails");
        start.elapsed()
    };
    (0..30).map(timed).min().expect("it ran")
}

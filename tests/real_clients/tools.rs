//! redis-benchmark, with each of its tests.

use super::Server;
use std::process::Command;

/// The tests that redis-benchmark makes where nobody says which.
const TESTS_LEAST: usize = 20;

/// Runs redis-benchmark; its lines, or none, aloud, where it is not installed.
fn benchmark(server: &Server, words: &[&str]) -> Option<Vec<String>> {
    let mut program = Command::new("redis-benchmark");
    program.args(["-h", "127.0.0.1", "-p", &server.port(), "--csv", "-c", "20"]).args(words);
    let Ok(output) = program.output() else {
        println!("SKIPPED: redis-benchmark is not installed here");
        return None;
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (table, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{words:?}: {table}{errors}");
    // It goes on after an error that it is answered with.
    assert!(!format!("{table}{errors}").to_lowercase().contains("error"), "{table}{errors}");
    Some(table.lines().skip(1).map(str::to_owned).collect())
}

#[test]
fn redis_benchmark_makes_all_its_tests() {
    let server = Server::start("benchmark");
    for words in [["-n", "1000", "-P", "1"], ["-n", "4000", "-P", "16"]] {
        let Some(lines) = benchmark(&server, &words) else { return };
        assert!(lines.len() >= TESTS_LEAST, "{lines:#?}");
    }
}

#[test]
fn redis_benchmark_runs_scripts() {
    let server = Server::start("benchmark-eval");
    let script = "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[2], ARGV[1])";
    let load = [&["-n", "4000", "-P", "16", "-r", "50", "--threads", "2"][..]];
    let eval = ["EVAL", script, "2", "n:__rand_int__", "l:__rand_int__", "x"];
    let Some(lines) = benchmark(&server, &[load[0], &eval].concat()) else { return };
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let none: [&str; 0] = [];
    let sum = "local sum = 0 for _, key in ipairs(redis.call('KEYS', 'n:*')) do \
               sum = sum + redis.call('GET', key) end return sum";
    let sum = server._engine.eval(sum, &none, &none).expect("a script runs");
    assert_eq!(sum, moonkv::Reply::Integer(4000), "each request was made once");
}

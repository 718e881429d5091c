//! Redis's own tools as clients.

use crate::open;
use std::process::Command;

/// Runs a tool against a port; none, aloud, where it is not installed.
fn run(test: &str, tool: &str, port: u16, words: &[&str]) -> Option<String> {
    let port = port.to_string();
    let Ok(output) = Command::new(tool).args(["-h", "127.0.0.1", "-p", &port]).args(words).output()
    else {
        println!("{test}: SKIPPED, {tool} is not installed");
        return None;
    };
    assert!(output.status.success(), "{words:?}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn redis_cli_talks_to_it() {
    let (_engine, listener) = open(|_| ());
    let port = listener.port().expect("it listens on TCP");
    let cli = |words: &[&str]| run("redis_cli", "redis-cli", port, words);
    let Some(reply) = cli(&["SET", "greeting", "hello"]) else { return };
    assert_eq!(reply, "OK\n");
    let eval = ["EVAL", "return {redis.call('GET', KEYS[1]), 7}", "1", "greeting"];
    assert_eq!(cli(&eval).as_deref(), Some("hello\n7\n"));
    assert_eq!(cli(&["-3", "HGETALL", "missing"]).as_deref(), Some("\n"));
    let scan = cli(&["--scan"]);
    assert_eq!(scan.as_deref(), Some("greeting\n"));
}

#[test]
fn redis_benchmark_runs_through() {
    let (_engine, listener) = open(|_| ());
    let port = listener.port().expect("it listens on TCP");
    for depth in ["1", "16"] {
        let tests = "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,lrange_100,mset";
        let words = ["-q", "--csv", "-n", "2000", "-P", depth, "-t", tests];
        let Some(table) = run("redis_benchmark", "redis-benchmark", port, &words) else { return };
        assert!(table.lines().count() >= 14, "{table}");
    }
}

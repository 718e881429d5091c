//! What those who run a server ask of it while it serves: to end, who is there, what is slow.

use crate::client::{Client, bulk, request};
use crate::{connect, open, open_with};
use moonkv::{Engine, Listener, LuaRandom, Options};

const BUSY: &str =
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";

/// A server that does not stop scripts by itself, and says after 20 ms that one is running.
fn patient() -> (Engine, Listener) {
    let change = |options: &mut Options| {
        options.script_timeout = None;
        options.config.push(("busy-reply-threshold".into(), "20".into()));
    };
    open_with(change, |_| ())
}

/// Runs a script that never ends; returns who called it and somebody who is told so.
fn occupy(listener: &Listener) -> (Client, Client) {
    let (mut slow, mut other) = (connect(listener), connect(listener));
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
    slow.send(request(&["EVAL", "redis.call('SET', 'k', 'v') while true do end", "0"]));
    while other.ask(&["PING"]) != BUSY {}
    (slow, other)
}

#[test]
fn a_program_ends_although_a_script_does_not() {
    let (engine, listener) = patient();
    engine.await_shutdown().expect("it is there");
    let (mut slow, mut other) = occupy(&listener);
    assert_eq!(engine.shutdown_asked(), Ok(false), "asked beside the script");
    for (command, answer) in [
        ("SCRIPT KILL", "-UNKILLABLE "),
        ("SHUTDOWN", BUSY),
        ("SHUTDOWN SAVE", BUSY),
        ("SHUTDOWN NOW FORCE", BUSY),
        ("SHUTDOWN NOSAVE x", "-ERR syntax error\r\n"),
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let told = other.ask(&words);
        assert!(told.starts_with(answer), "{command}: {told}");
    }
    assert_eq!(engine.shutdown_asked(), Ok(false));
    assert_eq!(other.ask(&["SHUTDOWN", "NOSAVE"]), "+OK\r\n");
    assert_eq!(engine.shutdown_asked(), Ok(true));
    assert!(slow.reply().starts_with("-ERR script was cancelled by the host"));
}

#[test]
fn what_is_embedded_is_not_ended_by_a_client() {
    let (engine, listener) = patient();
    let (_slow, mut other) = occupy(&listener);
    let refused = "-ERR the engine is embedded: its program ends it\r\n";
    assert_eq!(other.ask(&["SHUTDOWN", "NOSAVE"]), refused);
    assert_eq!(engine.shutdown_asked(), Ok(false));
    assert_eq!(other.ask(&["PING"]), BUSY, "and the script goes on");
    engine.cancel();
}

#[test]
fn a_listener_can_be_closed_although_a_script_does_not_end() {
    let (engine, listener) = patient();
    let (mut slow, _other) = occupy(&listener);
    listener.close();
    assert!(slow.rest_text().starts_with("-ERR script was cancelled by the host"));
    engine.command(&["PING"]).expect("the engine goes on");
}

#[test]
fn sessions_that_are_kept_ready_are_nobody() {
    let (_engine, listener) = open(|_| ());
    let mut clients = [(); 3].map(|()| connect(&listener));
    clients.iter_mut().for_each(|client| assert_eq!(client.ask(&["PING"]), "+PONG\r\n"));
    let [first, second, third] = &mut clients;
    assert!(first.ask(&["INFO", "clients"]).contains("\r\nconnected_clients:3\r\n"));
    assert_eq!(first.ask(&["CLIENT", "KILL", "SKIPME", "yes"]), ":2\r\n");
    assert!(first.ask(&["INFO", "clients"]).contains("\r\nconnected_clients:1\r\n"));
    assert_eq!(second.rest_text() + &third.rest_text(), "");
    assert_eq!(connect(&listener).ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn a_request_lies_in_its_buffer_while_it_is_executed() {
    let (_engine, listener) = open(|_| ());
    let (mut client, mut other) = (connect(&listener), connect(&listener));
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
    // What redis-server shows: the bytes of the request.
    assert!(client.ask(&["CLIENT", "INFO"]).contains(" qbuf=26 qbuf-free="));
    let list = client.ask(&["CLIENT", "LIST", "TYPE", "normal"]);
    assert!(list.contains(" qbuf=48 qbuf-free=") && list.contains(" qbuf=0 "), "{list}");
}

#[test]
fn what_scripts_call_is_slow_too() {
    let (_engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    client.ask(&["SLOWLOG", "RESET"]);
    client.ask(&["EVAL", "redis.call('SET', 'k', 'v') return redis.pcall('INCR', 'k')", "0"]);
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let told = client.ask(&["SLOWLOG", "GET", "-1"]);
    let place = |words: &[&str]| {
        let words: String = words.iter().map(|word| bulk(word)).collect();
        told.find(&words).unwrap_or_else(|| panic!("{words} in {told}"))
    };
    // The latest comes first; nobody in particular called for the script.
    let [eval, incr, set] =
        [place(&["EVAL"]), place(&["INCR", "k", "?:0", ""]), place(&["SET", "k", "v", "?:0", ""])];
    assert!(eval < incr && incr < set, "{told}");
}

#[test]
fn a_call_that_waits_is_noted_once_it_is_served() {
    let (engine, listener) = open(|_| ());
    let (mut client, mut waits) = (connect(&listener), connect(&listener));
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    waits.send(request(&["BLPOP", "l", "0"]));
    while !client.ask(&["INFO", "clients"]).contains("blocked_clients:1\r\n") {}
    assert!(!client.ask(&["INFO", "commandstats"]).contains("cmdstat_blpop"));
    client.ask(&["SLOWLOG", "RESET"]);
    assert_eq!(client.ask(&["LPUSH", "l", "x"]), ":1\r\n");
    assert_eq!(waits.reply(), format!("*2\r\n{}{}", bulk("l"), bulk("x")));
    assert!(client.ask(&["SLOWLOG", "GET", "1"]).contains(&bulk("blpop")));
    waits.send(request(&["BLPOP", "l", "0.001"]));
    assert_eq!(waits.reply(), "*-1\r\n");
    let stats = engine.command(&["INFO", "commandstats"]).expect("it tells");
    let stats = String::from_utf8_lossy(stats.as_bytes().expect("a text")).into_owned();
    assert!(stats.contains("cmdstat_blpop:calls=2,"), "{stats}");
}

#[test]
fn that_a_key_expired_is_nobodys_own_change() {
    let (_engine, listener) = open(|_| ());
    let (mut client, mut listens) = (connect(&listener), connect(&listener));
    let id = listens.ask(&["CLIENT", "ID"]);
    listens.ask(&["SUBSCRIBE", "__redis__:invalidate"]);
    let id = id.trim_matches([':', '\r', '\n']);
    let tracking = ["CLIENT", "TRACKING", "ON", "REDIRECT", id, "BCAST", "NOLOOP"];
    assert_eq!(client.ask(&tracking), "+OK\r\n");
    assert_eq!(client.ask(&["SET", "short", "v", "PX", "1"]), "+OK\r\n");
    assert_eq!(client.ask(&["SET", "long", "v"]), "+OK\r\n");
    let expected =
        format!("*3\r\n{}{}*1\r\n{}", bulk("message"), bulk("__redis__:invalidate"), bulk("short"));
    assert_eq!(listens.reply(), expected);
}

#[test]
fn chance_goes_on_from_script_to_script() {
    assert_eq!(Options::server().lua_random, LuaRandom::Continued);
    let draws = |random| {
        let mut options = Options::redis();
        options.lua_random = random;
        let engine = Engine::open(&options).expect("an engine opens");
        let draw = || engine.eval("return tostring(math.random())", &[""; 0], &[""; 0]);
        [draw().expect("a number"), draw().expect("a number")]
    };
    let ([a, b], [c, d]) = (draws(LuaRandom::Continued), draws(LuaRandom::Seeded));
    assert!(a == c && a != b && c == d);
}

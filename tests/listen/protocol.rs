//! What goes over the wire: pipelines, lines, pieces, large values, and what is no request.

use crate::client::{Client, RedisServer, bulk, request, scratch};
use crate::{connect, open, open_set};
use std::io::Read;

#[test]
fn a_pipeline_is_answered_in_order() {
    let (_engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    let count = 20_000;
    let mut writer = client.socket.try_clone().expect("a socket can be cloned");
    let sent = std::thread::spawn(move || {
        let requests: Vec<u8> =
            (0..count).flat_map(|i| request(&["ECHO", &format!("number {i}")])).collect();
        std::io::Write::write_all(&mut writer, &requests)
    });
    for i in 0..count {
        assert_eq!(client.reply(), bulk(&format!("number {i}")));
    }
    sent.join().expect("it was sent").expect("the listener reads");
}

/// Sends requests as fast as they are taken, and checks the answers.
fn check_pipeline(client: &mut Client, calls: &[(Vec<String>, String)]) {
    let words = |call: &[String]| request(&call.iter().map(String::as_str).collect::<Vec<_>>());
    let requests: Vec<u8> = calls.iter().flat_map(|(call, _)| words(call)).collect();
    let mut writer = client.socket.try_clone().expect("a socket can be cloned");
    let sent = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &requests));
    for (call, expected) in calls {
        assert_eq!(client.reply(), *expected, "{call:?}");
    }
    sent.join().expect("it was sent").expect("the listener reads");
}

#[test]
fn what_is_read_ahead_of_a_pipeline_changes_no_answer() {
    let (_engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    // So much that it is fetched ahead, and not in the first database.
    assert_eq!(client.ask(&["SELECT", "3"]), "+OK\r\n");
    let call = |text: String, reply: &str| {
        (text.split(' ').map(str::to_owned).collect::<Vec<_>>(), reply.to_owned())
    };
    let count = 24_000;
    let filled = (0..count).map(|i| call(format!("SET key:{i} {i}"), "+OK\r\n"));
    let filled = filled.chain((0..count).flat_map(|i| {
        [
            call(format!("HSET hash field:{i} {i}"), ":1\r\n"),
            call(format!("SADD set member:{i}"), ":1\r\n"),
        ]
    }));
    let filled = filled.chain((0..count).map(|i| call(format!("ZADD zset {i} m:{i}"), ":1\r\n")));
    check_pipeline(&mut client, &filled.collect::<Vec<_>>());
    let asked = (0..count).map(|i| i * 7919 % count);
    let keys = asked.clone().flat_map(|i| {
        [
            call(format!("GET key:{i}"), &bulk(&i.to_string())),
            call(format!("INCR key:{i}"), &format!(":{}\r\n", i + 1)),
            call(format!("GET absent:{i}"), "$-1\r\n"),
            call(format!("DEL key:{i}"), ":1\r\n"),
        ]
    });
    check_pipeline(&mut client, &keys.collect::<Vec<_>>());
    let fields = asked.clone().map(|i| call(format!("HGET hash field:{i}"), &bulk(&i.to_string())));
    let members = asked.clone().map(|i| call(format!("SISMEMBER set member:{i}"), ":1\r\n"));
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let scores = asked.flat_map(|i| {
        [
            call(format!("ZSCORE zset m:{i}"), &bulk(&i.to_string())),
            call(format!("HGET zset m:{i}"), wrong),
        ]
    });
    check_pipeline(&mut client, &fields.chain(members).chain(scores).collect::<Vec<_>>());
}

#[test]
fn what_is_read_ahead_waits_behind_a_call_that_does() {
    let (_engine, listener) = open(|_| ());
    let (mut client, mut other) = (connect(&listener), connect(&listener));
    let calls = [
        request(&["SET", "key", "1"]),
        request(&["BLPOP", "list", "0"]),
        request(&["INCR", "key"]),
        b"INCR key\r\n".to_vec(),
        request(&["INCR", "key"]),
        b"*2\r\n$4\r\nINCR\r\n$3".to_vec(),
    ];
    client.send(calls.concat());
    while !other.ask(&["INFO", "clients"]).contains("blocked_clients:1\r\n") {}
    assert_eq!(other.ask(&["INCRBY", "key", "10"]), ":11\r\n");
    assert_eq!(client.reply(), "+OK\r\n");
    client.send("\r\nkey\r\n");
    assert_eq!(other.ask(&["RPUSH", "list", "x"]), ":1\r\n");
    assert_eq!(client.reply(), format!("*2\r\n{}{}", bulk("list"), bulk("x")));
    for expected in [":12\r\n", ":13\r\n", ":14\r\n", ":15\r\n"] {
        assert_eq!(client.reply(), expected);
    }
}

#[test]
fn requests_come_in_pieces_of_any_size() {
    let (_engine, listener) = open(|_| ());
    let stream = [
        request(&["SET", "key", "a\r\nb"]),
        b"GET key\r\n".to_vec(),
        b"\r\n*0\r\nECHO 'two words'\n".to_vec(),
        request(&["APPEND", "key", &"x".repeat(100)]),
        request(&["ECHO", ""]),
    ]
    .concat();
    let expected = "+OK\r\n$4\r\na\r\nb\r\n$9\r\ntwo words\r\n:104\r\n$0\r\n\r\n";
    for size in [1, 2, 3, 7, 20, stream.len()] {
        let mut client = connect(&listener);
        for piece in stream.chunks(size) {
            client.send(piece);
            std::thread::yield_now();
        }
        assert_eq!(client.end(), expected, "in pieces of {size}");
    }
}

/// Streams of requests, well-formed and not.
fn streams() -> Vec<Vec<u8>> {
    let mut streams: Vec<Vec<u8>> = [
        "*x\r\n",
        "*-1\r\nPING\r\n",
        "*0\r\nPING\r\n",
        "*2147483648\r\n",
        "*\r\n",
        "*+1\r\n",
        "*01\r\n",
        "*1\r\nPING\r\n",
        "*1\r\n\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        "*1\r\n$0\r\n\r\nPING\r\n",
        "*1\rX$4\rXPING\r\n",
        "*1\r\n$4\n\nPING\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n+x\r\n",
        "*1\r\n\u{80}\r\n",
        "*-5\r\nPING\r\n",
        "*1\r\n$ 4\r\nPING\r\n",
        "*1 \r\n$4\r\nPING\r\n",
        "PING\r\n",
        "PING\n",
        "\r\n\n  \r\nPING\r\n",
        "SET a \"x y\\x41\\n\"\r\nGET a\r\n",
        "SET a \"x\r\n",
        "SET a 'x\\'y'\r\nGET a\r\n",
        "SET a \"x\"y\r\n",
        "SET \"a\\\r\n",
        "SET a x\"y z\"\r\nGET a\r\n",
        "PI\0NG\r\nPING\r\n",
        "PING\r\r\n",
        "SET a \"\\xzz\\q\\xa\"\r\nGET a\r\n",
        "\x0bPING\x0c hi\r\n",
        "''\r\nPING\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nPING\r\n",
        "host: x\r\nPING\r\n",
        "*1\r\n$4\r\nPOST\r\nPING\r\n",
        "PING\r\n*x\r\nPING\r\n",
        "QUIT\r\nPING\r\n",
        "*1\r\n$4\r\nPI",
        "*2\r\n$4\r\nECHO\r\n",
        "PIN",
        "$1\r\nPING\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for head in ["", "*", "*1\r\n$"] {
        streams.push([head.as_bytes(), &[b'1'; 70_000]].concat());
    }
    streams
}

#[test]
fn what_redis_says_to_all_kinds_of_streams() {
    let Some(redis) = RedisServer::start("streams") else { return };
    let path = scratch("streams.sock");
    let (_engine, _listener) = open(|options| options.unix = Some(path.clone()));
    for stream in streams() {
        let ask = |path| {
            let mut client = Client::unix(path);
            // It may be closed before all is sent.
            let _ = std::io::Write::write_all(&mut client.socket, &stream);
            client.end()
        };
        let shown = String::from_utf8_lossy(&stream[..stream.len().min(60)]).into_owned();
        assert_eq!(ask(&path), ask(&redis.path), "{shown:?}");
    }
}

#[test]
fn large_values_pass_in_both_directions() {
    let (engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    let large: Vec<u8> =
        (0..48_usize << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    let head = format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${}\r\n", large.len());
    client.send([head.as_bytes(), &large, b"\r\n"].concat());
    assert_eq!(client.reply(), "+OK\r\n");
    assert!(engine.command(&["GET", "large"]) == Ok(moonkv::Reply::Bulk(large.clone())));
    client.send(request(&["GET", "large"]));
    let mut received = vec![0; large.len() + 13];
    client.socket.read_exact(&mut received).expect("it comes whole");
    assert!(received[11..received.len() - 2] == large, "as it was sent");
}

#[test]
fn arguments_may_be_limited() {
    let (_engine, listener) = open_set("proto-max-bulk-len", "1048576");
    let mut client = connect(&listener);
    client.send("PING\r\n*2\r\n$4\r\nECHO\r\n$1048577\r\n");
    assert_eq!(client.rest_text(), "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
    let mut client = connect(&listener);
    let most = "x".repeat(1 << 20);
    assert_eq!(client.ask(&["ECHO", &most]), bulk(&most));
}

#[test]
fn requests_that_are_never_whole_have_an_end() {
    let (_engine, listener) = open_set("client-query-buffer-limit", "1048576");
    let mut client = connect(&listener);
    client.send("*2\r\n$4\r\nECHO\r\n$100000000\r\n");
    let chunk = [0; 64 << 10];
    while std::io::Write::write_all(&mut client.socket, &chunk).is_ok() {}
    assert_eq!(connect(&listener).ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn a_thousand_arguments_are_one_request() {
    let (_engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    let members: Vec<String> = (0..50_000).map(|i| format!("member:{i}")).collect();
    let words: Vec<&str> =
        ["SADD", "set"].into_iter().chain(members.iter().map(String::as_str)).collect();
    let bytes = request(&words);
    for piece in bytes.chunks(1000) {
        client.send(piece);
    }
    assert_eq!(client.reply(), ":50000\r\n");
}

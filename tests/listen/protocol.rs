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

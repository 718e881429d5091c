//! What clients and the host's own threads do with one another: waiting, channels, transactions.

use crate::client::{Client, bulk};
use crate::{connect, open};
use moonkv::{Engine, Reply};

/// Waits until so many clients wait for a key.
fn until_blocked(engine: &Engine, count: usize) {
    loop {
        let Ok(Reply::Bulk(list)) = engine.command(&["CLIENT", "LIST"]) else {
            panic!("a list of clients")
        };
        let list = String::from_utf8_lossy(&list).into_owned();
        if list.matches("flags=b ").count() == count {
            return;
        }
    }
}

fn popped(key: &str, element: &str) -> String {
    format!("*2\r\n{}{}", bulk(key), bulk(element))
}

#[test]
fn who_waits_first_is_served_first() {
    let (engine, listener) = open(|_| ());
    let mut first = connect(&listener);
    first.send("BLPOP list 0\r\n");
    until_blocked(&engine, 1);
    std::thread::scope(|scope| {
        let embedded = scope.spawn(|| engine.session()?.command(&["BLPOP", "list", "0"]));
        until_blocked(&engine, 2);
        let mut third = connect(&listener);
        third.send("BLPOP list 0\r\n");
        until_blocked(&engine, 3);
        let mut pushes = connect(&listener);
        assert_eq!(pushes.ask(&["RPUSH", "list", "a", "b"]), ":2\r\n");
        assert_eq!(first.reply(), popped("list", "a"));
        let served = embedded.join().expect("it does not panic");
        let pair = ["list", "b"].map(|text| Reply::Bulk(text.into()));
        assert_eq!(served, Ok(Reply::Array(pair.to_vec())));
        assert_eq!(engine.command(&["RPUSH", "list", "c"]), Ok(Reply::Integer(1)));
        assert_eq!(third.reply(), popped("list", "c"));
    });
}

#[test]
fn what_comes_behind_a_call_that_waits_has_to_wait() {
    let (engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    client.send("SET a 1\r\nBLPOP list 0\r\nGET a\r\nBLPOP list 0.01\r\n");
    client.send("INCR a\r\n");
    assert_eq!(client.reply(), "+OK\r\n");
    until_blocked(&engine, 1);
    client.send("GET a\r\n");
    assert_eq!(engine.command(&["SET", "a", "7"]), Ok(Reply::Status("OK".into())));
    assert_eq!(engine.command(&["RPUSH", "list", "x"]), Ok(Reply::Integer(1)));
    assert_eq!(client.reply(), popped("list", "x"));
    assert_eq!(client.reply(), bulk("7"));
    assert_eq!(client.reply(), "*-1\r\n", "the time was up");
    assert_eq!(client.reply(), ":8\r\n");
    assert_eq!(client.reply(), bulk("8"));
}

#[test]
fn one_who_goes_while_he_waits_takes_nothing() {
    let (engine, listener) = open(|_| ());
    for _ in 0..20 {
        let mut goes = connect(&listener);
        goes.send("BLPOP list 0\r\n");
        let mut stays = connect(&listener);
        stays.send("BRPOP other 0\r\n");
        until_blocked(&engine, 2);
        drop(goes);
        until_blocked(&engine, 1);
        assert_eq!(engine.command(&["RPUSH", "list", "x"]), Ok(Reply::Integer(1)));
        assert_eq!(engine.command(&["LPOP", "list"]), Ok(Reply::Bulk(b"x".to_vec())));
        assert_eq!(engine.command(&["RPUSH", "other", "y"]), Ok(Reply::Integer(1)));
        assert_eq!(stays.reply(), popped("other", "y"));
    }
}

#[test]
fn many_wait_and_each_gets_one() {
    let (engine, listener) = open(|_| ());
    let mut clients: Vec<Client> = (0..200).map(|_| connect(&listener)).collect();
    clients.iter_mut().for_each(|client| client.send("BLPOP list 0\r\n"));
    until_blocked(&engine, clients.len());
    let elements: Vec<String> = (0..clients.len()).map(|i| format!("{i:03}")).collect();
    let push: Vec<&str> =
        ["RPUSH", "list"].into_iter().chain(elements.iter().map(String::as_str)).collect();
    assert_eq!(engine.command(&push), Ok(Reply::Integer(clients.len() as i64)));
    let mut replies: Vec<String> = clients.iter_mut().map(Client::reply).collect();
    replies.sort();
    let expected: Vec<String> = elements.iter().map(|element| popped("list", element)).collect();
    assert_eq!(replies, expected);
}

#[test]
fn channels_join_sockets_and_the_host() {
    let (engine, listener) = open(|_| ());
    let mut listens = connect(&listener);
    let subscribed = listens.ask(&["SUBSCRIBE", "news"]);
    assert_eq!(subscribed, format!("*3\r\n{}{}:1\r\n", bulk("subscribe"), bulk("news")));
    let told = |text| format!("*3\r\n{}{}{}", bulk("message"), bulk("news"), bulk(text));
    assert_eq!(engine.command(&["PUBLISH", "news", "from within"]), Ok(Reply::Integer(1)));
    assert_eq!(listens.reply(), told("from within"));
    let mut tells = connect(&listener);
    for text in ["one", "two", "three"] {
        assert_eq!(tells.ask(&["PUBLISH", "news", text]), ":1\r\n");
    }
    for text in ["one", "two", "three"] {
        assert_eq!(listens.reply(), told(text));
    }
}

#[test]
fn each_connection_has_its_own_state() {
    let (engine, listener) = open(|_| ());
    let [mut one, mut other] = [connect(&listener), connect(&listener)];
    assert_eq!(one.ask(&["SELECT", "3"]), "+OK\r\n");
    assert_eq!(one.ask(&["SET", "a", "in three"]), "+OK\r\n");
    assert_eq!(other.ask(&["GET", "a"]), "$-1\r\n");
    assert_eq!(one.ask(&["WATCH", "a"]), "+OK\r\n");
    assert_eq!(one.ask(&["MULTI"]), "+OK\r\n");
    assert_eq!(one.ask(&["GET", "a"]), "+QUEUED\r\n");
    assert_eq!(other.ask(&["SELECT", "3"]), "+OK\r\n");
    assert_eq!(other.ask(&["SET", "a", "changed"]), "+OK\r\n");
    assert_eq!(one.ask(&["EXEC"]), "*-1\r\n");
    assert!(one.ask(&["HELLO", "3"]).starts_with('%'), "each speaks its own protocol");
    assert_eq!(one.ask(&["GET", "missing"]), "_\r\n");
    assert_eq!(other.ask(&["GET", "missing"]), "$-1\r\n");
    assert_eq!(
        engine.command(&["EXISTS", "a"]),
        Ok(Reply::Integer(0)),
        "the host is in database 0"
    );
}

#[test]
fn one_client_can_disconnect_another() {
    let (_engine, listener) = open(|_| ());
    let [mut one, mut other] = [connect(&listener), connect(&listener)];
    let id = other.ask(&["CLIENT", "ID"]);
    let id = id.trim_start_matches(':').trim();
    assert_eq!(one.ask(&["CLIENT", "KILL", "ID", id]), ":1\r\n");
    assert_eq!(other.rest_text(), "");
    assert_eq!(one.ask(&["QUIT"]), "+OK\r\n");
    assert_eq!(one.rest_text(), "");
}

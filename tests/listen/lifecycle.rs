//! Listeners and connections come and go: addresses, limits, passwords, disconnects, the end.

use crate::client::{Client, bulk, request, scratch};
use crate::{connect, open, open_set, open_with};
use moonkv::{Engine, Error, ListenOptions, Reply};
use std::os::unix::fs::PermissionsExt;

#[test]
fn every_listener_has_a_port_of_its_own() {
    let (engine, first) = open(|_| ());
    let second = engine.listen(&ListenOptions::default()).expect("there is another port");
    assert_ne!(first.port(), second.port());
    assert_eq!(connect(&first).ask(&["SET", "a", "1"]), "+OK\r\n");
    assert_eq!(connect(&second).ask(&["GET", "a"]), bulk("1"), "the same engine");

    let mut taken = ListenOptions::default();
    taken.port = first.port();
    let error = engine.listen(&taken).expect_err("the port is taken");
    assert!(error.to_string().starts_with("ERR cannot listen: 127.0.0.1:"), "{error}");
}

#[test]
fn a_unix_socket_comes_and_goes() {
    let path = scratch("own.sock");
    let unix_only = |options: &mut ListenOptions| {
        (options.port, options.unix, options.unix_permissions) =
            (None, Some(path.clone()), Some(0o700));
    };
    let (engine, listener) = open(unix_only);
    assert_eq!((listener.port(), listener.unix()), (None, Some(&*path)));
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(Client::unix(&path).ask(&["PING"]), "+PONG\r\n");

    let mut options = ListenOptions::default();
    unix_only(&mut options);
    let error = engine.listen(&options).expect_err("somebody listens there");
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    listener.close();
    assert!(!path.exists());

    // One that nobody listens on any more is replaced; anything else is not.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the path is free"));
    let listener = engine.listen(&options).expect("a stale socket is no obstacle");
    assert_eq!(Client::unix(&path).ask(&["PING"]), "+PONG\r\n");
    listener.close();
    std::fs::write(&path, "precious").expect("the path is free");
    engine.listen(&options).expect_err("a file is in the way");
    assert_eq!(std::fs::read_to_string(&path).expect("it is still there"), "precious");
    let _ = std::fs::remove_file(&path);
}

#[test]
fn nobody_is_let_in_by_oversight() {
    let engine = Engine::new().expect("an engine opens");
    let mut options = ListenOptions::default();
    options.bind = vec!["0.0.0.0".to_owned()];
    let error = engine.listen(&options).expect_err("others could reach it");
    assert!(error.to_string().contains("set a password"), "{error}");
    options.exposed = true;
    engine.listen(&options).expect("it was said to be meant").close();
    (options.exposed, options.password) = (false, Some("secret".to_owned()));
    engine.listen(&options).expect("there is a password").close();
    (options.bind, options.port) = (vec![], None);
    engine.listen(&options).expect_err("there is nothing to listen on");
}

#[test]
fn a_password_keeps_strangers_out() {
    let (engine, listener) = open(|options| options.password = Some("secret".to_owned()));
    let mut client = connect(&listener);
    assert_eq!(client.ask(&["GET", "a"]), "-NOAUTH Authentication required.\r\n");
    assert!(client.ask(&["AUTH", "wrong"]).starts_with("-WRONGPASS "));
    let mut large = connect(&listener);
    large.send("*11\r\n");
    let refusal = "-ERR Protocol error: unauthenticated multibulk length\r\n";
    assert_eq!(large.rest_text(), refusal);
    assert_eq!(client.ask(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.ask(&["MSET", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5"]), "+OK\r\n");
    assert_eq!(
        engine.command(&["GET", "e"]),
        Ok(Reply::Bulk(b"5".to_vec())),
        "the host is trusted"
    );
}

#[test]
fn one_client_too_many_is_told_so() {
    let (_engine, listener) = open_set("maxclients", "2");
    let mut clients = [connect(&listener), connect(&listener)];
    clients.iter_mut().for_each(|client| assert_eq!(client.ask(&["PING"]), "+PONG\r\n"));
    assert_eq!(connect(&listener).rest_text(), "-ERR max number of clients reached\r\n");
    assert_eq!(clients[0].ask(&["CONFIG", "SET", "maxclients", "3"]), "+OK\r\n");
    assert_eq!(connect(&listener).ask(&["PING"]), "+PONG\r\n", "it holds at once");
    assert_eq!(clients[0].ask(&["CONFIG", "SET", "maxclients", "2"]), "+OK\r\n");
    drop(clients);
    // Somebody else may come as soon as it is noticed that they went.
    while connect(&listener).end().starts_with("-ERR max") {}
}

#[test]
fn silent_clients_are_disconnected() {
    let (_engine, listener) = open_set("timeout", "1");
    assert_eq!(connect(&listener).rest_text(), "");
    let mut waits = connect(&listener);
    assert_eq!(waits.ask(&["BLPOP", "nothing", "1.5"]), "*-1\r\n", "it is not silent, it waits");
}

#[test]
fn half_closed_clients_get_their_replies() {
    let (_engine, listener) = open(|_| ());
    let mut client = connect(&listener);
    let large = "x".repeat(100_000);
    assert_eq!(client.ask(&["SET", "large", &large]), "+OK\r\n");
    client.send(b"GET large\r\n".repeat(200));
    assert_eq!(client.end().len(), 200 * (large.len() + 11));
}

#[test]
fn one_who_does_not_read_is_given_up() {
    let (_engine, listener) = open_set("client-output-buffer-limit", "normal 4mb 0 0");
    let mut other = connect(&listener);
    assert_eq!(other.ask(&["SET", "large", &"x".repeat(1 << 20)]), "+OK\r\n");
    let mut client = connect(&listener);
    client.send(b"GET large\r\n".repeat(100));
    assert!(client.rest().len() < 100 << 20, "it was disconnected before all was sent");
    assert_eq!(other.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn one_who_does_not_listen_to_his_channels_is_given_up() {
    let (engine, listener) = open(|_| ());
    let mut listens = connect(&listener);
    assert_eq!(
        listens.ask(&["SUBSCRIBE", "news"]),
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
    );
    let message = "x".repeat(1 << 20);
    // Its limit is 32 MB, and the system's own buffers hold some more.
    while engine.command(&["PUBLISH", "news", &message]) == Ok(Reply::Integer(1)) {}
    assert!(!listens.rest().is_empty());
}

#[test]
fn clients_disconnect_in_the_middle() {
    let (engine, listener) = open_set("maxclients", "3");
    for round in 0..60 {
        let mut client = connect(&listener);
        let whole = request(&["SET", "key", "value"]);
        let part = &whole[..round % whole.len()];
        if std::io::Write::write_all(&mut client.socket, part).is_err() {
            continue;
        }
    }
    assert_eq!(engine.command(&["EXISTS", "key"]), Ok(Reply::Integer(0)), "none was whole");
    loop {
        let mut client = connect(&listener);
        client.send("SET key 1\r\n");
        if client.end() == "+OK\r\n" {
            break;
        }
    }
}

#[test]
fn a_stop_is_clean_with_clients_attached() {
    let (engine, listener) = open(|_| ());
    let mut idle = connect(&listener);
    assert_eq!(idle.ask(&["PING"]), "+PONG\r\n");
    let mut within = connect(&listener);
    within.send("*2\r\n$4\r\nECHO\r\n$100\r\nabc");
    let mut waits = connect(&listener);
    waits.send("PING\r\nBLPOP nothing 0\r\n");
    assert_eq!(waits.reply(), "+PONG\r\n");
    let mut queues = connect(&listener);
    assert_eq!(queues.ask(&["MULTI"]), "+OK\r\n");
    assert_eq!(queues.ask(&["SET", "a", "1"]), "+QUEUED\r\n");
    listener.close();
    for mut client in [idle, within, waits, queues] {
        assert_eq!(client.rest_text(), "");
    }
    assert_eq!(engine.command(&["EXISTS", "a"]), Ok(Reply::Integer(0)));
    let again = engine.listen(&ListenOptions::default()).expect("it can listen again");
    assert_eq!(connect(&again).ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn a_closed_engine_ends_its_listeners() {
    let (engine, mut listener) = open(|_| ());
    let mut client = connect(&listener);
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    engine.close().expect("nobody is within");
    listener.wait();
    assert_eq!(client.rest_text(), "");
}

#[test]
fn keys_expire_without_being_asked_for() {
    let (engine, listener) = open(|_| ());
    assert_eq!(connect(&listener).ask(&["SET", "a", "1", "PX", "20"]), "+OK\r\n");
    while engine.command(&["DBSIZE"]) != Ok(Reply::Integer(0)) {}
}

#[test]
fn a_slow_script_can_be_killed_by_one_who_comes_meanwhile() {
    let (_engine, listener) = open_with(
        |options| {
            options.script_timeout = None;
            options.config.push(("busy-reply-threshold".into(), "20".into()));
        },
        |_| (),
    );
    let mut bystander = connect(&listener);
    assert_eq!(bystander.ask(&["PING"]), "+PONG\r\n");
    let mut slow = connect(&listener);
    slow.send(request(&["EVAL", "while true do end", "0"]));
    let busy = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                NOSAVE.\r\n";
    let mut reply = bystander.ask(&["GET", "a"]);
    while reply == "$-1\r\n" {
        // The script has not begun yet.
        reply = bystander.ask(&["GET", "a"]);
    }
    assert_eq!(reply, busy);
    let mut newcomer = connect(&listener);
    assert_eq!(newcomer.ask(&["GET", "a"]), busy);
    assert_eq!(newcomer.ask(&["SCRIPT", "KILL"]), "+OK\r\n");
    assert!(slow.reply().starts_with("-ERR Script killed by user with SCRIPT KILL"));
    for client in [&mut bystander, &mut newcomer, &mut slow] {
        assert_eq!(client.ask(&["GET", "a"]), "$-1\r\n");
    }
}

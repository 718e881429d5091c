//! Many clients at once that do all that clients do and should not: disconnect in the middle, send
//! what is no request, leave replies unread. Those that behave get right answers throughout.
//!
//! `SOAK_SECONDS=600 cargo test --release --test listen soak -- --nocapture` runs it for longer.

use crate::client::{Client, bulk, request};
use crate::{connect, open};
use fastrand::Rng;
use moonkv::{Engine, Listener, Reply};
use std::io::Write;
use std::time::{Duration, Instant};

/// How many clients there are at a time.
const CLIENTS: usize = 200;

/// The rounds of a short run.
const ROUNDS: usize = 40;

/// A client that behaves: it knows what its own keys hold.
struct Honest {
    client: Client,
    name: String,
    counter: i64,
    elements: Vec<String>,
    owed: Vec<String>,
}

impl Honest {
    fn new(listener: &Listener, name: String) -> Honest {
        let client = connect(listener);
        Honest { client, name, counter: 0, elements: Vec::new(), owed: Vec::new() }
    }

    /// Sends some requests, whole or in pieces, and notes what they must be answered with.
    fn send(&mut self, random: &mut Rng) {
        let (counter, list) = (format!("{}:n", self.name), format!("{}:l", self.name));
        let mut stream = Vec::new();
        for _ in 0..random.usize(1..30) {
            let (words, reply): (Vec<String>, String) = match random.u32(..7) {
                0 => {
                    self.counter += 1;
                    (vec!["INCR".into(), counter.clone()], format!(":{}\r\n", self.counter))
                }
                1 => {
                    let element = "x".repeat(random.usize(..300));
                    self.elements.push(element.clone());
                    let reply = format!(":{}\r\n", self.elements.len());
                    (vec!["RPUSH".into(), list.clone(), element], reply)
                }
                2 if !self.elements.is_empty() => {
                    let first = self.elements.remove(0);
                    (vec!["LPOP".into(), list.clone()], bulk(&first))
                }
                3 if !self.elements.is_empty() => {
                    let first = self.elements.remove(0);
                    let reply = format!("*2\r\n{}{}", bulk(&list), bulk(&first));
                    (vec!["BLPOP".into(), list.clone(), "0".into()], reply)
                }
                4 => {
                    let script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
                    self.counter += 5;
                    let words = ["EVAL", script, "1", &counter, "5"].map(str::to_owned);
                    (words.to_vec(), format!(":{}\r\n", self.counter))
                }
                _ => {
                    let text = "y".repeat(random.usize(..2000));
                    (vec!["ECHO".into(), text.clone()], bulk(&text))
                }
            };
            stream.extend(request(&words.iter().map(String::as_str).collect::<Vec<_>>()));
            self.owed.push(reply);
        }
        let most = random.usize(1..2000);
        for piece in stream.chunks(if random.bool() { most } else { stream.len() }) {
            self.client.send(piece);
        }
    }

    fn receive(&mut self) {
        for expected in self.owed.drain(..) {
            assert_eq!(self.client.reply(), expected, "{}", self.name);
        }
    }
}

/// One that does not behave; it is dropped as it stands.
fn misbehave(listener: &Listener, random: &mut Rng) -> Client {
    let mut client = connect(listener);
    let stream: Vec<u8> = match random.u32(..6) {
        0 => (0..random.usize(..500)).map(|_| random.u8(..)).collect(),
        1 => {
            let whole = request(&["SET", "wild", &"z".repeat(random.usize(..5000))]);
            whole[..random.usize(..whole.len())].to_vec()
        }
        2 => request(&["BLPOP", "never", "0"]),
        3 => request(&["GET", "large"]).repeat(random.usize(1..50)),
        4 => request(&["SUBSCRIBE", "news"]),
        _ => [request(&["MULTI"]), request(&["SET", "wild", "1"])].concat(),
    };
    // It may have been disconnected for what it sent.
    let _ = client.socket.write_all(&stream);
    if random.bool() {
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
    }
    client
}

/// How many clients the engine knows of.
fn known(engine: &Engine) -> usize {
    match engine.command(&["CLIENT", "LIST"]) {
        Ok(Reply::Bulk(list)) => list.iter().filter(|byte| **byte == b'\n').count(),
        other => panic!("{other:?}"),
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn soak() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let (engine, listener) = open(|_| ());
    engine.command(&["SET", "large", &"L".repeat(200_000)]).expect("there is room");
    let before = (known(&engine), descriptors());
    let mut honest: Vec<Honest> =
        (0..CLIENTS / 2).map(|i| Honest::new(&listener, format!("honest{i}"))).collect();
    let mut wild: Vec<Client> = Vec::new();
    let (start, mut round) = (Instant::now(), 0);
    while seconds.map_or(round < ROUNDS, |most| start.elapsed() < Duration::from_secs(most)) {
        round += 1;
        honest.iter_mut().for_each(|client| client.send(&mut random));
        for _ in 0..CLIENTS / 8 {
            wild.push(misbehave(&listener, &mut random));
        }
        engine.command(&["PUBLISH", "news", &"n".repeat(1000)]).expect("anybody may");
        while wild.len() > CLIENTS / 2 {
            drop(wild.swap_remove(random.usize(..wild.len())));
        }
        honest.iter_mut().for_each(Honest::receive);
    }
    println!("{round} rounds in {:?}", start.elapsed());
    drop((honest, wild));
    // All are forgotten in time.
    while known(&engine) > before.0 {}
    listener.close();
    // Only where no other test of this process opens any.
    assert!(seconds.is_none() || descriptors() <= before.1, "sockets were left open");
}

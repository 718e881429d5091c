//! Many clients at once that do all that clients do and should not: send commands at random, disconnect
//! in the middle, send what is no request, leave replies unread. Those that behave get right answers
//! throughout.
//!
//! `make soak-listen` runs it for ten minutes; `SOAK_SECONDS` and `SEED` may be set.

use crate::client::{Client, bulk, request};
use crate::{connect, open};
use fastrand::Rng;
use moonkv::{Engine, Listener, Reply};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

/// How many clients there are at a time.
const CLIENTS: usize = 200;

/// How many of them listen to a channel.
const LISTENERS: usize = 10;

/// The rounds of a short run.
const ROUNDS: usize = 40;

/// After so many rounds no more memory is needed than before.
const WARM: usize = 400;

/// What wild clients write to, and other words that they send.
const WILD_KEYS: [&str; 6] = ["wild", "wild:1", "wild:2", "wild:3", "wild:4", "large"];
const WORDS: [&str; 24] = [
    "0",
    "1",
    "-1",
    "2.5",
    "100",
    "a",
    "b",
    "",
    "*",
    "(1",
    "+inf",
    "$",
    ">",
    "0-1",
    "LEFT",
    "EX",
    "NX",
    "GET",
    "LIMIT",
    "COUNT",
    "WITHSCORES",
    "STORE",
    "STREAMS",
    "\r\n",
];

/// Commands that wild clients do not send: they change what the others rely on.
const TAME: [&str; 24] = [
    "acl",
    "bgrewriteaof",
    "bgsave",
    "client",
    "config",
    "debug",
    "failover",
    "flushall",
    "flushdb",
    "function",
    "memory",
    "migrate",
    "moonkv",
    "move",
    "psync",
    "replconf",
    "replicaof",
    "reset",
    "save",
    "script",
    "shutdown",
    "slaveof",
    "swapdb",
    "sync",
];

/// Removes what wild clients have written, under whatever name and in whatever database.
const REMOVE: &str = "for number = 1, 15 do redis.call('SELECT', number) redis.call('FLUSHDB') end \
    redis.call('SELECT', 0) \
    for _, key in ipairs(redis.call('KEYS', '*')) do \
      if not key:find('^honest') then redis.call('DEL', key) end \
    end";

/// A client that behaves: it knows what its own keys hold.
struct Honest {
    client: Client,
    name: String,
    counter: i64,
    elements: Vec<String>,
    fields: BTreeMap<String, String>,
    owed: Vec<String>,
}

impl Honest {
    fn new(listener: &Listener, name: String) -> Honest {
        Honest {
            client: connect(listener),
            name,
            counter: 0,
            elements: Vec::new(),
            fields: BTreeMap::new(),
            owed: Vec::new(),
        }
    }

    /// Sends some requests, whole or in pieces, and notes what they must be answered with.
    fn send(&mut self, random: &mut Rng) {
        let mut stream = Vec::new();
        for _ in 0..random.usize(1..30) {
            let (words, reply) = self.request(random);
            stream.extend(request(&words.iter().map(String::as_str).collect::<Vec<_>>()));
            self.owed.push(reply);
        }
        let most = random.usize(1..2000);
        for piece in stream.chunks(if random.bool() { most } else { stream.len() }) {
            self.client.send(piece);
        }
    }

    /// A request, and what it must be answered with.
    fn request(&mut self, random: &mut Rng) -> (Vec<String>, String) {
        let own = |kind: &str| format!("{}:{kind}", self.name);
        let (counter, list, hash) = (own("n"), own("l"), own("h"));
        let text = |most| "x".repeat(most);
        let (words, reply): (Vec<&str>, String) = match random.u32(..10) {
            0 => {
                self.counter += 1;
                (vec!["INCR", &counter], format!(":{}\r\n", self.counter))
            }
            1 => {
                let element = text(random.usize(..300));
                self.elements.push(element.clone());
                let reply = format!(":{}\r\n", self.elements.len());
                return (owned(&["RPUSH", &list, &element]), reply);
            }
            2 if !self.elements.is_empty() => (vec!["LPOP", &list], bulk(&self.elements.remove(0))),
            3 if !self.elements.is_empty() => {
                let first = self.elements.remove(0);
                (vec!["BLPOP", &list, "0"], format!("*2\r\n{}{}", bulk(&list), bulk(&first)))
            }
            4 => {
                let script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
                self.counter += 5;
                (vec!["EVAL", script, "1", &counter, "5"], format!(":{}\r\n", self.counter))
            }
            5 => {
                let (field, value) = (random.u32(..20).to_string(), text(random.usize(..100)));
                let is_new = self.fields.insert(field.clone(), value.clone()).is_none();
                let reply = format!(":{}\r\n", i32::from(is_new));
                return (owned(&["HSET", &hash, &field, &value]), reply);
            }
            6 => {
                let field = random.u32(..20).to_string();
                let value = self.fields.get(&field).map_or("$-1\r\n".to_owned(), |it| bulk(it));
                return (owned(&["HGET", &hash, &field]), value);
            }
            7 if !self.fields.is_empty() => {
                let wrong =
                    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
                (vec!["INCR", &hash], wrong.to_owned())
            }
            8 => (vec!["GET", &counter], self.counted()),
            _ => return (owned(&["ECHO", &text(5000)]), bulk(&text(5000))),
        };
        (owned(&words), reply)
    }

    fn counted(&self) -> String {
        if self.counter == 0 { "$-1\r\n".to_owned() } else { bulk(&self.counter.to_string()) }
    }

    fn receive(&mut self) {
        for expected in self.owed.drain(..) {
            assert_eq!(self.client.reply(), expected, "{}", self.name);
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// One that hears all that is published, in order.
struct Hears {
    client: Client,
    rounds: usize,
}

impl Hears {
    fn new(listener: &Listener) -> Hears {
        let mut client = connect(listener);
        assert!(client.ask(&["SUBSCRIBE", "rounds"]).ends_with(":1\r\n"));
        Hears { client, rounds: 0 }
    }

    fn receive(&mut self) {
        self.rounds += 1;
        let (kind, number) = (bulk("message"), bulk(&self.rounds.to_string()));
        assert_eq!(self.client.reply(), format!("*3\r\n{kind}{}{number}", bulk("rounds")));
    }
}

/// What wild clients may send.
fn wild_commands() -> Vec<String> {
    let names = moonkv::commands().into_iter().map(|command| command.name.replace('|', " "));
    let is_tame = |name: &str| TAME.contains(&name.split(' ').next().unwrap_or_default());
    names.filter(|name| !is_tame(name)).collect()
}

/// A command with words that may or may not suit it.
fn random_request(commands: &[String], random: &mut Rng) -> Vec<u8> {
    let name = &commands[random.usize(..commands.len())];
    let mut words: Vec<&str> = name.split(' ').collect();
    for at in 0..random.usize(..6) {
        words.push(match at == 0 || random.u32(..4) == 0 {
            true => WILD_KEYS[random.usize(..WILD_KEYS.len())],
            false => WORDS[random.usize(..WORDS.len())],
        });
    }
    request(&words)
}

/// One that does not behave; it is dropped as it stands.
fn misbehave(listener: &Listener, commands: &[String], random: &mut Rng) -> Client {
    let mut client = connect(listener);
    let stream: Vec<u8> = match random.u32(..9) {
        0 => (0..random.usize(..500)).map(|_| random.u8(..)).collect(),
        1 => {
            let whole = request(&["SET", "wild", &"z".repeat(random.usize(..5000))]);
            whole[..random.usize(..whole.len())].to_vec()
        }
        2 => request(&["BLPOP", "never", "0"]),
        3 => request(&["GET", "large"]).repeat(random.usize(1..50)),
        4 => request(&[["SUBSCRIBE", "news"], ["PSUBSCRIBE", "n*"]][random.usize(..2)]),
        5 => [request(&["MULTI"]), request(&["SET", "wild", "1"])].concat(),
        6 => {
            let mut stream = request(&["HELLO", "3"]);
            stream.extend(request(&["CLIENT", "TRACKING", "ON"]));
            stream.extend(request(&["GET", "wild"]));
            stream
        }
        _ => {
            let many = random.usize(1..20);
            let mut stream: Vec<u8> =
                (0..many).flat_map(|_| random_request(commands, random)).collect();
            if random.bool() {
                // A byte of it is another one, or all behind some point is missing.
                let at = random.usize(..stream.len());
                stream[at] = random.u8(..);
                stream.truncate(random.usize(at..=stream.len()));
            }
            stream
        }
    };
    // It may have been disconnected for what it sent.
    let _ = client.socket.write_all(&stream);
    if random.bool() {
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
    }
    client
}

/// What the engine's data takes, in bytes.
fn data(engine: &Engine) -> usize {
    let info = engine.command(&["INFO", "memory"]).expect("the host may");
    let lines = info.as_str().unwrap_or_default().lines();
    let value = lines.filter_map(|line| line.strip_prefix("used_memory:")).next();
    value.and_then(|value| value.parse().ok()).expect("it is told")
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

/// The memory of this process, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0) << 10
}

/// All that take part.
struct Crowd {
    engine: Engine,
    listener: Listener,
    honest: Vec<Honest>,
    hearing: Vec<Hears>,
    wild: Vec<Client>,
    commands: Vec<String>,
    /// How many clients the engine knows of while there is none.
    nobody: usize,
}

impl Crowd {
    fn new() -> Crowd {
        let (engine, listener) = open(|_| ());
        let nobody = known(&engine);
        let honest = (0..CLIENTS / 2).map(|i| Honest::new(&listener, format!("honest{i}")));
        let hearing = (0..LISTENERS).map(|_| Hears::new(&listener)).collect();
        Crowd {
            honest: honest.collect(),
            hearing,
            wild: Vec::new(),
            commands: wild_commands(),
            engine,
            listener,
            nobody,
        }
    }

    fn round(&mut self, number: usize, random: &mut Rng) {
        let large = "L".repeat(200_000);
        self.tell(&["EVAL", REMOVE, "0"]);
        self.tell(&["SET", "large", &large]);
        self.honest.iter_mut().for_each(|client| client.send(random));
        for _ in 0..CLIENTS / 8 {
            self.wild.push(misbehave(&self.listener, &self.commands, random));
        }
        self.tell(&["PUBLISH", "news", &"n".repeat(1000)]);
        self.tell(&["PUBLISH", "rounds", &number.to_string()]);
        while self.wild.len() > CLIENTS / 2 - LISTENERS {
            drop(self.wild.swap_remove(random.usize(..self.wild.len())));
        }
        self.honest.iter_mut().for_each(Honest::receive);
        self.hearing.iter_mut().for_each(Hears::receive);
    }

    /// Lets go of all who do not behave, and waits until they are forgotten. What is left is the
    /// same at any time.
    fn rest(&mut self) {
        self.wild.clear();
        while known(&self.engine) > self.nobody + self.honest.len() + self.hearing.len() {}
        self.tell(&["EVAL", REMOVE, "0"]);
    }

    fn tell(&self, words: &[&str]) {
        self.engine.command(words).expect("the host may");
    }
}

#[test]
fn soak() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let before = descriptors();
    let mut crowd = Crowd::new();
    let (start, mut round, mut warm) = (Instant::now(), 0, None);
    while seconds.map_or(round < ROUNDS, |most| start.elapsed() < Duration::from_secs(most)) {
        round += 1;
        crowd.round(round, &mut random);
        if round % WARM == 0 {
            crowd.rest();
            let (all, data) = (memory(), data(&crowd.engine));
            println!("{round} rounds in {:?}: {all} bytes, {data} of them data", start.elapsed());
            warm.get_or_insert(all);
        }
    }
    crowd.rest();
    let Crowd { engine, listener, honest, hearing, wild, nobody, .. } = crowd;
    let after = memory();
    drop((honest, hearing, wild));
    // All are forgotten in time.
    while known(&engine) > nobody {}
    drop((engine, listener));
    // Only where no other test of this process opens any.
    assert!(seconds.is_none() || descriptors() <= before, "sockets were left open");
    let most = warm.map_or(usize::MAX, |warm| warm + (32 << 20));
    assert!(after <= most, "{after} bytes of memory after {warm:?}");
}

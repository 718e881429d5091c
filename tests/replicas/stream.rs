//! The feed beside the one that a real redis-server sends for the same calls.

use crate::wire::{Follower, Ours, Received, Theirs, Wire, Words};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What ends the feed of one call.
const MARK: [&str; 3] = ["PUBLISH", "!", "mark"];

/// Times that are read off a clock are taken for equal if they are so near to one another, in
/// milliseconds.
const NEAR_MS: u64 = 30_000;

/// Longer than keys live that are to expire.
const EXPIRY: Duration = Duration::from_millis(30);

/// A line of a transcript.
#[derive(Debug)]
struct Line<'t> {
    client: &'t str,
    /// Whether a reply is waited for.
    waits: bool,
    call: &'t str,
}

impl<'t> Line<'t> {
    /// `client: call`; with `client! call` the reply is left until `client: (reply)`.
    fn parse(line: &'t str) -> Line<'t> {
        match line.split_once([':', '!']) {
            Some((client, call)) if client.len() == 1 && call.starts_with(' ') => {
                Line { client, waits: line.as_bytes()[1] == b':', call: call.trim() }
            }
            _ => Line { client: "a", waits: true, call: line },
        }
    }
}

/// The words of a call: `"..."` may hold spaces, `\n` and `\x..`.
fn words(call: &str) -> Vec<Vec<u8>> {
    let split = |call: &str| moonkv::split_words(call.as_bytes());
    split(call).unwrap_or_else(|| panic!("{call} is no call"))
}

/// One side, with its clients by name.
struct Side {
    path: PathBuf,
    clients: BTreeMap<String, Wire>,
    marker: Wire,
    follower: Follower,
    /// The payload that DUMP gave last, which stands for `{dumped}`.
    dumped: Vec<u8>,
}

impl Side {
    /// Keys are found to have expired by calls alone, as otherwise the clock would decide whether
    /// a call or the background does.
    fn new(path: &Path) -> Side {
        let mut marker = Wire::connect(path);
        assert_eq!(marker.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).text(), "+OK");
        Side {
            path: path.to_owned(),
            clients: BTreeMap::new(),
            marker,
            follower: Follower::begin(path),
            dumped: Vec::new(),
        }
    }

    /// Makes a call; returns what was answered, and what replicas were told.
    fn play(&mut self, line: &Line<'_>) -> (String, Vec<Words>) {
        let path = &self.path;
        let client = self.clients.entry(line.client.to_owned());
        let client = client.or_insert_with(|| Wire::connect(path));
        let mut reply = String::new();
        match line.call {
            "(reply)" => reply = client.receive().text(),
            "(pause)" => std::thread::sleep(EXPIRY),
            call => {
                let mut argv = words(call);
                for word in argv.iter_mut().filter(|word| *word == b"{dumped}") {
                    word.clone_from(&self.dumped);
                }
                client.send(&argv);
                if line.waits {
                    let received = client.receive();
                    reply = received.text();
                    if let (true, Received::Bulk(Some(payload))) = (call.contains("DUMP"), received)
                    {
                        self.dumped = payload;
                    }
                } else {
                    self.until_blocked();
                }
            }
        }
        self.marker.ask(&MARK);
        (reply, self.follower.until(&MARK))
    }

    /// Returns once a call that waits does so, or has had no need to.
    fn until_blocked(&mut self) {
        for _ in 0..20 {
            if self.marker.ask(&["CLIENT", "LIST"]).text().contains(" flags=b ") {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether two words are the same, up to when they were said.
fn is_alike(a: &str, b: &str) -> bool {
    let time = |word: &str| -> Option<u64> {
        let ms = word.split_once('-').map_or(word, |(ms, _)| ms);
        ms.parse().ok().filter(|ms| (1_600_000_000_000..4_000_000_000_000).contains(ms))
    };
    match (time(a), time(b)) {
        (Some(a), Some(b)) => a.abs_diff(b) < NEAR_MS,
        _ => a == b,
    }
}

fn are_alike(ours: &[Words], theirs: &[Words]) -> bool {
    let is_same = |(a, b): (&Words, &Words)| {
        // Which members SPOP takes is up to chance.
        let said = if a[0] == "SREM" { 2 } else { a.len() };
        a.len() == b.len() && a.iter().zip(b).take(said).all(|(a, b)| is_alike(a, b))
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same)
}

/// Plays a transcript on both sides, and compares what replicas are told of each call.
#[track_caller]
fn check(transcript: &str) {
    let Some(theirs) = Theirs::start() else { return };
    let ours = Ours::open(|_| ());
    let (mut our_side, mut their_side) = (Side::new(&ours.path), Side::new(&theirs.path));
    let mut different = Vec::new();
    let lines = transcript.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parsed = Line::parse(line);
        let (expected, got) = (their_side.play(&parsed), our_side.play(&parsed));
        if !are_alike(&got.1, &expected.1) {
            let shown = |told: &[Words]| {
                let lines = told.iter().map(|words| format!("\n      {}", words.join(" ")));
                lines.collect::<String>()
            };
            different.push(format!(
                "{line}\n    Redis: {}{}\n    here: {}{}",
                expected.0,
                shown(&expected.1),
                got.0,
                shown(&got.1)
            ));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn strings_and_keys() {
    check(include_str!("strings.txt"));
}

#[test]
fn collections() {
    check(include_str!("collections.txt"));
}

#[test]
fn streams() {
    check(include_str!("streams.txt"));
}

#[test]
fn steps() {
    check(include_str!("steps.txt"));
}

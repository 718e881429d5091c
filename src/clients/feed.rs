//! The feed of effects: what changes, told as commands that make the same changes elsewhere.
//!
//! A replica is sent a snapshot of it, and from then on each effect. Effects are news
//! like any other: what is undone is not told. What one step has done is told at once, within
//! MULTI and EXEC where it is more than one effect.
//!
//! This room knows what the wire of it looks like, but no commands: what stands for a change is
//! said by whoever makes it.

use crate::number::IntText;
use crate::resp;

/// The names of commands as they are told: those that take the place of others, and those of the feed
/// itself.
pub(crate) mod words {
    pub(crate) const DEL: &[u8] = b"DEL";
    pub(crate) const EXEC: &[u8] = b"EXEC";
    pub(crate) const HSET: &[u8] = b"HSET";
    pub(crate) const LMOVE: &[u8] = b"LMOVE";
    pub(crate) const LPOP: &[u8] = b"LPOP";
    pub(crate) const MULTI: &[u8] = b"MULTI";
    pub(crate) const PERSIST: &[u8] = b"PERSIST";
    pub(crate) const PEXPIREAT: &[u8] = b"PEXPIREAT";
    pub(crate) const PING: &[u8] = b"PING";
    pub(crate) const REPLCONF: &[u8] = b"REPLCONF";
    pub(crate) const RPOP: &[u8] = b"RPOP";
    pub(crate) const RPOPLPUSH: &[u8] = b"RPOPLPUSH";
    pub(crate) const SELECT: &[u8] = b"SELECT";
    pub(crate) const SET: &[u8] = b"SET";
    pub(crate) const SREM: &[u8] = b"SREM";
    pub(crate) const UNLINK: &[u8] = b"UNLINK";
    pub(crate) const XCLAIM: &[u8] = b"XCLAIM";
    pub(crate) const XGROUP: &[u8] = b"XGROUP";
    pub(crate) const ZPOPMAX: &[u8] = b"ZPOPMAX";
    pub(crate) const ZPOPMIN: &[u8] = b"ZPOPMIN";
    /// Places are told of in lower case.
    pub(crate) const ZADD: &[u8] = b"zadd";
}

/// A change, as a command.
pub(crate) struct Effect {
    /// The database it is made in.
    pub(crate) database: usize,
    /// Whether it belongs to no step: keys that go by themselves go one by one.
    pub(crate) alone: bool,
    /// The command as it is sent.
    pub(crate) request: Vec<u8>,
}

/// Which removals are told as UNLINK, so that replicas may take their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lazily {
    pub(crate) expires: bool,
    pub(crate) evicts: bool,
    /// What commands remove beside what they are for.
    pub(crate) removes: bool,
}

/// How a key that is removed is told of.
pub(crate) fn removal(lazily: bool) -> &'static [u8] {
    if lazily { words::UNLINK } else { words::DEL }
}

/// What is known of the feed as a whole.
#[derive(Default)]
pub(crate) struct Feed {
    /// How many replicas there are.
    replicas: usize,
    pub(crate) lazily: Lazily,
    /// Whether the script at work keeps to itself what it does.
    pub(crate) muted: bool,
    /// Whether the command at work looks at keys that it was not given: those that are found to
    /// have expired go one by one.
    pub(crate) wanders: bool,
    /// Whether the command at work has told its effects itself.
    told: bool,
    /// The database that was selected last; none where it has to be said.
    database: Option<usize>,
    /// Bytes that were told so far.
    offset: u64,
    /// When replicas were last shown that somebody is here.
    pub(crate) pinged_ms: i64,
}

impl Feed {
    /// Whether there are replicas.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.replicas > 0
    }

    /// Bytes that were told so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// There is one replica more, from now on.
    pub(crate) fn add_replica(&mut self, now_ms: i64) {
        if self.replicas == 0 {
            self.pinged_ms = now_ms;
        }
        self.replicas += 1;
        self.database = None;
    }

    /// There is one replica less.
    pub(crate) fn remove_replica(&mut self) {
        self.replicas = self.replicas.saturating_sub(1);
    }

    /// A command begins; returns what is to be given back when it is over.
    pub(crate) fn begin_command(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }

    /// A command is over; tells whether it has told its effects itself.
    pub(crate) fn end_command(&mut self, outer: bool) -> bool {
        std::mem::replace(&mut self.told, outer)
    }

    /// The command at work tells its effects itself, of which there may be none.
    pub(crate) fn set_told(&mut self) {
        self.told = true;
    }

    /// The bytes of effects, in order; what one step has done is a transaction.
    pub(crate) fn write(&mut self, effects: &[Effect]) -> Vec<u8> {
        let mut out = Vec::new();
        for step in effects.chunk_by(|a, b| !(a.alone || b.alone)) {
            let is_several = step.len() > 1;
            for (at, effect) in step.iter().enumerate() {
                self.select(effect.database, &mut out);
                if at == 0 && is_several {
                    resp::request(&[words::MULTI], &mut out);
                }
                out.extend_from_slice(&effect.request);
            }
            if is_several {
                resp::request(&[words::EXEC], &mut out);
            }
        }
        self.offset += out.len() as u64;
        out
    }

    /// The bytes of what is no change, and the same in every database.
    pub(crate) fn write_other(&mut self, command: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        resp::request(command, &mut out);
        self.offset += out.len() as u64;
        out
    }

    fn select(&mut self, database: usize, out: &mut Vec<u8>) {
        if self.database != Some(database) {
            self.database = Some(database);
            let number = IntText::new(database as i64);
            resp::request(&[words::SELECT, number.as_bytes()], out);
        }
    }
}

/// What is known of a replica, or of a client that is going to be one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Whether it is one: it was sent a snapshot.
    pub(crate) begun: bool,
    /// Whether it says what it has got.
    pub(crate) acknowledges: bool,
    /// How far it says it has got, and when it said so.
    pub(crate) offset: u64,
    pub(crate) heard_ms: i64,
    /// Where it listens itself, as it says.
    pub(crate) port: i64,
    pub(crate) host: Box<[u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(database: usize, alone: bool, word: &str) -> Effect {
        let mut request = Vec::new();
        resp::request(&[word.as_bytes()], &mut request);
        Effect { database, alone, request }
    }

    /// The words of a feed, one to a request but for SELECT.
    fn told(feed: &mut Feed, effects: &[Effect]) -> String {
        let text = String::from_utf8(feed.write(effects)).unwrap();
        let words = text.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_one_step_does_is_a_transaction() {
        let mut feed = Feed::default();
        assert_eq!(told(&mut feed, &[effect(0, false, "a")]), "SELECT 0 a");
        let both = [effect(0, false, "a"), effect(0, false, "b")];
        assert_eq!(told(&mut feed, &both), "MULTI a b EXEC");
        let apart = [effect(3, false, "a"), effect(4, false, "b")];
        assert_eq!(told(&mut feed, &apart), "SELECT 3 MULTI a SELECT 4 b EXEC");
        let evicted = [effect(4, true, "a"), effect(4, true, "b"), effect(4, false, "c")];
        assert_eq!(told(&mut feed, &evicted), "a b c");
    }

    #[test]
    fn a_newcomer_is_told_the_database_again() {
        let mut feed = Feed::default();
        feed.add_replica(0);
        told(&mut feed, &[effect(2, false, "a")]);
        let before = feed.offset();
        feed.add_replica(0);
        assert_eq!(told(&mut feed, &[effect(2, false, "a")]), "SELECT 2 a");
        assert_eq!(feed.offset(), before + 34);
    }
}

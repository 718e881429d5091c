//! One list of commands on both sides: an engine in this process and a real redis-server.

use crate::families::LIMITS;
use crate::grammar::Argv;
use crate::peer::{Peer, encode};
use crate::reply::{self, Reply};
use crate::rule::{Rule, name_of};
use moonkv::{Engine, OnError, Options, Protocol, Session};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// Commands that belong together; one of them alone might leave the sides apart.
pub(crate) type Step = Vec<Argv>;

/// Where the two sides part.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The step, or none if only the data in the end differ.
    pub(crate) step: Option<usize>,
    pub(crate) argv: Argv,
    pub(crate) ours: Reply,
    pub(crate) theirs: Reply,
}

/// The longest the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both sides.
pub(crate) struct Duel {
    stream: UnixStream,
    /// What the server sent and nobody has read yet.
    received: Vec<u8>,
}

/// A command that our side has run.
struct Ran {
    step: Option<usize>,
    argv: Argv,
    rule: Rule,
    reply: Vec<u8>,
}

impl Duel {
    pub(crate) fn new(peer: &Peer) -> Duel {
        let stream = peer.connection();
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Duel { stream, received: Vec::new() }
    }

    /// Runs the steps on fresh data on both sides, then compares all data.
    pub(crate) fn play(&mut self, steps: &[Step], protocol: Protocol) -> Option<Difference> {
        let mut ours = Ours::open(protocol, OnError::Keep);
        ours.run_all(steps, |_| true);
        self.begin(protocol);
        let ran = std::mem::take(&mut ours.ran);
        self.send_and_compare(ran).or_else(|| ours.walk()).or_else(|| self.cross(&mut ours))
    }

    /// Empties the server, gives it back its own limits and has it speak a protocol.
    fn begin(&mut self, protocol: Protocol) {
        let hello: &[u8] = if protocol == Protocol::Resp3 { b"3" } else { b"2" };
        self.ask(&[b"HELLO", hello]);
        let limits = LIMITS.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let argv: Vec<&[u8]> = [&b"CONFIG"[..], b"SET"].into_iter().chain(limits).collect();
        assert_eq!(self.ask(&argv).text, b"OK");
        self.ask(&[b"FLUSHALL", b"SYNC"]);
        self.ask(&[b"SCRIPT", b"FLUSH", b"SYNC"]);
    }

    fn ask(&mut self, argv: &[&[u8]]) -> Reply {
        self.stream.write_all(&encode(argv)).expect("the server reads");
        self.receive()
    }

    /// Sends everything at once while the replies are read.
    fn send_and_compare(&mut self, ran: Vec<Ran>) -> Option<Difference> {
        let request: Vec<u8> = ran.iter().flat_map(|ran| encode(&slices(&ran.argv))).collect();
        let mut writer = self.stream.try_clone().expect("a socket can be cloned");
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&request).expect("the server reads"));
            self.compare(ran)
        })
    }

    /// Lets each side restore what the other dumps, and compares what comes of it.
    fn cross(&mut self, ours: &mut Ours) -> Option<Difference> {
        for key in ours.keys() {
            let theirs = self.ask(&[b"DUMP", &key]).text;
            ours.cross(&key, &theirs);
        }
        self.send_and_compare(std::mem::take(&mut ours.ran))
    }

    /// Reads all replies of the server; tells of the first that differs.
    fn compare(&mut self, ran: Vec<Ran>) -> Option<Difference> {
        let (mut difference, mut is_lost) = (None, false);
        let mut at = 0;
        for Ran { step, argv, rule, reply } in ran {
            // What begins with our reply is our reply: none is the beginning of another.
            if self.received[at..].starts_with(&reply) {
                at += reply.len();
                continue;
            }
            self.received.drain(..at);
            at = 0;
            let theirs = self.receive();
            let (ours, _) = reply::read(&reply).expect("our replies are complete");
            is_lost = is_lost || difference.is_none() && is_stale_error(&ours, &theirs);
            if difference.is_none() && !is_lost && !rule.agree(&ours, &theirs) {
                difference = Some(Difference { step, argv, ours, theirs });
            }
        }
        self.received.drain(..at);
        difference
    }

    /// The next reply of the server.
    fn receive(&mut self) -> Reply {
        loop {
            if let Some((reply, len)) = reply::read(&self.received) {
                self.received.drain(..len);
                return reply;
            }
            let mut buffer = [0; 1 << 16];
            let len = self.stream.read(&mut buffer).expect("the server answers");
            assert!(len > 0, "the server has gone");
            self.received.extend_from_slice(&buffer[..len]);
        }
    }
}

/// Whether only the server has SORT refuse its weights. It looks at C's `errno` and does not clear
/// it first, so that an error of some earlier command counts; what follows is lost.
fn is_stale_error(ours: &Reply, theirs: &Reply) -> bool {
    let [ours, theirs] = [ours, theirs].map(|side| side.texts().concat());
    let is_in = |text: &[u8]| memchr::memmem::find(text, STALE_ERROR).is_some();
    is_in(&theirs) && !is_in(&ours)
}

const STALE_ERROR: &[u8] = b"One or more scores can't be converted into double";

/// Runs the steps on an engine that undoes scripts that fail, and on one that never runs those
/// that [`is_undone`]; tells where the two part.
pub(crate) fn play_undone(steps: &[Step], protocol: Protocol) -> Option<Difference> {
    let [mut ours, mut theirs] = [(); 2].map(|()| Ours::open(protocol, OnError::Rollback));
    ours.run_all(steps, |_| true);
    theirs.run_all(steps, |step| !is_undone(step));
    let shown =
        ours.ran.into_iter().filter(|ran| !ran.step.is_some_and(|at| is_undone(&steps[at])));
    let tree = |bytes: &[u8]| reply::read(bytes).expect("our replies are complete").0;
    shown.zip(theirs.ran).find_map(|(Ran { step, argv, rule, reply }, other)| {
        let (ours, theirs) = (tree(&reply), tree(&other.reply));
        let same = argv == other.argv && rule.agree(&ours, &theirs);
        (!same).then_some(Difference { step, argv, ours, theirs })
    })
}

/// How the scripts of such steps end.
pub(crate) const UNDONE: &str = "error('undone')";

/// Whether a step is a script that fails in the end.
fn is_undone(step: &Step) -> bool {
    step.iter().flatten().any(|word| word.ends_with(UNDONE.as_bytes()))
}

fn slices(argv: &Argv) -> Vec<&[u8]> {
    argv.iter().map(Vec::as_slice).collect()
}

/// Our side: an engine with Redis's own settings, and what it has run.
struct Ours {
    engine: Engine,
    session: Session,
    protocol: Protocol,
    ran: Vec<Ran>,
}

impl Ours {
    fn open(protocol: Protocol, on_error: OnError) -> Ours {
        let mut options = Options::redis();
        (options.protocol, options.on_error) = (protocol, on_error);
        let engine = Engine::open(&options).expect("an engine opens");
        let session = engine.session().expect("a session opens");
        Ours { engine, session, protocol, ran: Vec::new() }
    }

    /// Asks something that is no part of the steps, and stands outside of any transaction.
    fn ask(&self, argv: &[&[u8]]) -> Reply {
        let answer = self.engine.command_resp(argv, Protocol::Resp2);
        reply::read(&answer.expect("an engine answers")).expect("our replies are complete").0
    }

    /// Runs the steps that are wanted, and then looks at what there is.
    fn run_all(&mut self, steps: &[Step], wanted: impl Fn(&Step) -> bool) {
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| wanted(step)) {
            step.iter().for_each(|argv| self.run(Some(at), argv.clone()));
        }
        self.run_dump();
    }

    fn run(&mut self, step: Option<usize>, argv: Argv) {
        let rule = Rule::of(&argv, &mut |question| self.ask(question));
        let answer = self.session.command_resp(&slices(&argv), self.protocol);
        let reply = answer.unwrap_or_else(|error| format!("-{error}\r\n").into_bytes());
        self.ran.push(Ran { step, argv, rule, reply });
    }

    /// Looks at all there is, in ways that both sides can be compared by.
    fn run_dump(&mut self) {
        self.look(&[b"KEYS", b"*"]);
        for key in self.keys() {
            self.look_at(&key);
        }
    }

    /// The keys of the first database, in order.
    fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys = self.ask(&[b"KEYS", b"*"]).elements;
        keys.sort();
        keys.into_iter().map(|key| key.text).collect()
    }

    fn look(&mut self, argv: &[&[u8]]) {
        self.run(None, argv.iter().map(|word| word.to_vec()).collect());
    }

    /// Looks at all there is to one key.
    fn look_at(&mut self, key: &[u8]) {
        self.look(&[b"TYPE", key]);
        self.look(&[b"OBJECT", b"ENCODING", key]);
        self.look(&[b"PTTL", key]);
        match self.ask(&[b"TYPE", key]).text.as_slice() {
            b"string" => self.look(&[b"GET", key]),
            b"list" => self.look(&[b"LRANGE", key, b"0", b"-1"]),
            b"set" => self.look(&[b"SMEMBERS", key]),
            b"hash" => self.look(&[b"HGETALL", key]),
            b"zset" => self.look(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
            b"stream" => {
                self.look(&[b"XRANGE", key, b"-", b"+"]);
                self.look(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]);
            }
            _ => (),
        }
    }

    /// Restores what the other side dumped and looks at it; the other side is to do the same with
    /// what is dumped here.
    fn cross(&mut self, key: &[u8], theirs: &[u8]) {
        let restore = |payload: &[u8]| -> Argv {
            [b"RESTORE", CROSSED, b"0", payload, b"REPLACE"].map(<[u8]>::to_vec).into()
        };
        let ours = self.ask(&[b"DUMP", key]).text;
        self.run(None, restore(theirs));
        if let Some(ran) = self.ran.last_mut() {
            ran.argv = restore(&ours);
        }
        let from = self.ran.len();
        self.look_at(CROSSED);
        // A large hash that has become small is read in the order of whoever dumped it.
        for ran in self.ran.iter_mut().skip(from).filter(|ran| name_of(&ran.argv) == "hgetall") {
            ran.rule = Rule::Groups(2);
        }
    }

    /// Walks all keys and all that is in them in small steps, and tells where a walk finds
    /// something else than there is.
    fn walk(&self) -> Option<Difference> {
        let keys = self.keys();
        let of_key = keys.iter().filter_map(|key| {
            let (scan, all): (&[u8], &[&[u8]]) = match self.ask(&[b"TYPE", key]).text.as_slice() {
                b"set" => (b"SSCAN", &[b"SMEMBERS", key]),
                b"hash" => (b"HSCAN", &[b"HGETALL", key]),
                b"zset" => (b"ZSCAN", &[b"ZRANGE", key, b"0", b"-1"]),
                _ => return None,
            };
            self.walk_one(&[scan, key], all)
        });
        self.walk_one(&[b"SCAN"], &[b"KEYS", b"*"]).into_iter().chain(of_key).next()
    }

    fn walk_one(&self, scan: &[&[u8]], all: &[&[u8]]) -> Option<Difference> {
        let mut theirs = self.ask(all);
        let mut found = Reply { elements: Vec::new(), ..theirs.clone() };
        // A walk writes some scores otherwise than ZRANGE does, so members are enough.
        let (width, part) = match scan {
            [b"HSCAN", _] => (2, 1),
            [b"ZSCAN", _] => (1, 2),
            _ => (1, 1),
        };
        let mut cursor = b"0".to_vec();
        loop {
            let argv = [scan, &[&cursor, b"COUNT", b"3"]].concat();
            let mut step = self.ask(&argv).elements;
            found.elements.extend(step.pop()?.elements.into_iter().step_by(part));
            cursor = step.pop()?.text;
            if cursor == b"0" {
                break;
            }
        }
        [&mut found, &mut theirs].into_iter().for_each(|side| side.sort_groups(width));
        let argv = scan.iter().map(|word| word.to_vec()).collect();
        (found != theirs).then_some(Difference { step: None, argv, ours: found, theirs })
    }
}

/// The key under which each side restores what the other dumped.
const CROSSED: &[u8] = b"crossed";

/// A command as one would type it into redis-cli.
pub(crate) fn show(argv: &Argv) -> String {
    let word = |word: &Vec<u8>| {
        let plain = |b: &u8| b.is_ascii_graphic() && !b"\"'\\".contains(b);
        match word.iter().all(plain) && !word.is_empty() {
            true => String::from_utf8_lossy(word).into_owned(),
            false => format!("\"{}\"", word.escape_ascii().to_string().replace("\\'", "'")),
        }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

impl Difference {
    /// What differences of one cause have in common, more or less.
    pub(crate) fn kind(&self) -> String {
        let start = |reply: &Reply| reply.to_string().chars().take(30).collect::<String>();
        let (ours, theirs) = self.ours.first_difference(&self.theirs);
        let name = name_of(&self.argv);
        let name = if name.starts_with("eval") || name == "exec" { "" } else { name.as_str() };
        let place = if self.step.is_none() { "data" } else { "" };
        format!("{place} {name} {} {}", start(ours), start(theirs))
    }
}

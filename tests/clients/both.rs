//! The same calls of the same clients here and at a real redis-server, and all that is written to
//! each of them.

#[path = "../../benches/peer/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod peer;

use moonkv::{Call, Engine, Options, Origin, ReplyBuf, Session};
use peer::{Peer, encode};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// The longest the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// No command, so that its answer, which any client is given, tells that all before it has been
/// answered.
const BARRIER: &str = "BARRIER here";

/// That answer.
const REACHED: &[u8] = b"-ERR unknown command 'BARRIER', with args beginning with: 'here' \r\n";

/// The words of a command: `{a}` is the number of client a, `""` is nothing.
fn words(command: &str, ids: &BTreeMap<char, u64>) -> Vec<Vec<u8>> {
    let word = |word: &str| {
        let mut word = word.replace("\"\"", "").replace('_', " ");
        for (name, id) in ids {
            word = word.replace(&format!("{{{name}}}"), &id.to_string());
        }
        word.into_bytes()
    };
    command.split_whitespace().map(word).collect()
}

fn slices(argv: &[Vec<u8>]) -> Vec<&[u8]> {
    argv.iter().map(Vec::as_slice).collect()
}

/// One side: clients by their letters, and what each was written so far.
pub trait Side {
    /// Opens a client.
    fn open(&mut self, name: char);
    /// Makes a client's calls, one behind the other, and waits until all are answered.
    fn call(&mut self, name: char, commands: &[&str]);
    /// What a client was written, once everything has arrived.
    fn written(&mut self, name: char) -> Vec<u8>;
}

/// An engine, with a door's sessions.
pub struct Ours {
    engine: Engine,
    clients: BTreeMap<char, (Session, Vec<u8>)>,
    ids: BTreeMap<char, u64>,
}

impl Ours {
    /// An engine whose next client has a number.
    pub fn new(next_id: u64) -> Ours {
        let engine = Engine::open(&Options::redis()).expect("an engine opens");
        let unused = std::iter::repeat_with(|| engine.session().expect("a session opens"));
        unused.take_while(|session| session.client_id() + 1 < next_id).for_each(drop);
        Ours { engine, clients: BTreeMap::new(), ids: BTreeMap::new() }
    }
}

impl Side for Ours {
    fn open(&mut self, name: char) {
        let session = self.engine.session().expect("a session opens");
        let mut origin = Origin::default();
        (origin.peer, origin.local) = ("/redis.sock:0".to_owned(), "/redis.sock:0".to_owned());
        origin.unix = true;
        session.attach(origin, Arc::new(|| ())).expect("it is open");
        self.ids.insert(name, session.client_id());
        self.clients.insert(name, (session, Vec::new()));
    }

    fn call(&mut self, name: char, commands: &[&str]) {
        let (session, written) = self.clients.get_mut(&name).expect("the client is open");
        if session.is_closing() {
            return;
        }
        for command in commands.iter().chain([&BARRIER]) {
            take(session, written);
            let argv = words(command, &self.ids);
            let mut reply = ReplyBuf::new();
            session.call(Call::Command(&slices(&argv)), &mut reply).expect("the engine answers");
            written.extend(reply.to_resp(session.protocol()));
            take(session, written);
            if session.is_closing() {
                break;
            }
        }
    }

    fn written(&mut self, name: char) -> Vec<u8> {
        let (session, written) = self.clients.get_mut(&name).expect("the client is open");
        take(session, written);
        if session.is_closing() {
            written.extend_from_slice(b"closed");
        }
        std::mem::take(written)
    }
}

fn take(session: &Session, written: &mut Vec<u8>) {
    let protocol = session.protocol();
    session.take_messages(&mut |message| written.extend(message.to_resp(protocol)));
}

/// A real server.
pub struct Theirs {
    peer: Peer,
    clients: BTreeMap<char, (UnixStream, Vec<u8>)>,
    ids: BTreeMap<char, u64>,
    next_id: u64,
}

impl Theirs {
    /// Starts a server; none if the program is not installed.
    pub fn start() -> Option<Theirs> {
        let mut peer = Peer::start()?;
        let id = peer.command(&[b"CLIENT", b"ID"]);
        let id: u64 = id.trim_start_matches(':').trim().parse().expect("a number");
        let (clients, ids) = (BTreeMap::new(), BTreeMap::new());
        Some(Theirs { peer, clients, ids, next_id: id + 1 })
    }

    /// The number of the next client.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Reads what a client is written, up to the answer to the barrier.
    fn read_to_barrier(stream: &mut UnixStream, written: &mut Vec<u8>) {
        let start = written.len();
        let mut buffer = [0; 1 << 14];
        while !written[start..].windows(REACHED.len()).any(|window| window == REACHED) {
            match stream.read(&mut buffer) {
                Ok(len @ 1..) => written.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer"),
                // It was closed; with what is unread on its way that is an error.
                Ok(_) | Err(_) => {
                    if !written.ends_with(b"closed") {
                        written.extend_from_slice(b"closed");
                    }
                    return;
                }
            }
        }
    }
}

impl Side for Theirs {
    fn open(&mut self, name: char) {
        let address = self.peer.connection().peer_addr().expect("an address");
        let path = address.as_pathname().expect("a path").to_owned();
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        self.ids.insert(name, self.next_id);
        self.next_id += 1;
        self.clients.insert(name, (stream, Vec::new()));
        // A number is given when the server takes the connection, not before.
        let (stream, written) = self.clients.get_mut(&name).expect("it was opened");
        stream.write_all(&encode(&[b"BARRIER", b"here"])).expect("the server reads");
        Theirs::read_to_barrier(stream, written);
        written.clear();
    }

    fn call(&mut self, name: char, commands: &[&str]) {
        let mut request = Vec::new();
        for command in commands.iter().chain([&BARRIER]) {
            request.extend(encode(&slices(&words(command, &self.ids))));
        }
        let (stream, written) = self.clients.get_mut(&name).expect("the client is open");
        // One that was closed can still be read from.
        let _ = stream.write_all(&request);
        Theirs::read_to_barrier(stream, written);
    }

    fn written(&mut self, name: char) -> Vec<u8> {
        let (_, written) = self.clients.get_mut(&name).expect("the client is open");
        std::mem::take(written)
    }
}

/// What only a socket has, or that differs from run to run.
const VARYING: [&str; 14] = [
    "addr",
    "laddr",
    "fd",
    "age",
    "idle",
    "qbuf",
    "qbuf-free",
    "argv-mem",
    "multi-mem",
    "rbs",
    "rbp",
    "obl",
    "oll",
    "omem",
];

/// Without the time and place in the lines of MONITOR, and without what varies in those of CLIENT.
pub fn masked(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split("\r\n").map(masked_line).collect::<Vec<_>>().join("\n")
}

fn masked_line(line: &str) -> String {
    if let Some((_, rest)) = line.split_once(" [").filter(|_| line.starts_with("+1")) {
        let (place, call) = rest.split_once(']').unwrap_or((rest, ""));
        let place = place.split_once(" unix:").map_or(place, |(database, _)| database);
        return format!("+time [{place}]{call}");
    }
    // The length of a text of such lines.
    let digits = line.trim_start_matches(['$', '=']);
    if digits.len() > 2 && digits.len() < line.len() && digits.parse::<u32>().is_ok() {
        return "length".to_owned();
    }
    if !line.contains(" laddr=") {
        return line.to_owned();
    }
    let field = |field: &str| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let varies = VARYING.contains(&name) || name == "tot-mem";
        if varies { name.to_owned() } else { format!("{name}={value}") }
    };
    line.split(' ').map(field).collect::<Vec<_>>().join(" ")
}

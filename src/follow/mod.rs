//! Following another server, as a replica of Redis's: all its data is taken over, and its changes
//! are applied as they come.
//!
//! One thread does it, which REPLICAOF asked for and which the listener starts (`listen/`), as it is
//! the program that serves. It connects, tells who it is, reads the master's file, and makes the
//! calls that the master sends by a session that is known as the master's. When the link breaks it
//! begins anew. `link.rs` is the connection. This room knows the engine as doors do, and the few
//! words in which two servers speak.

mod link;

use crate::engine::{Call, Course, Door, Session};
use crate::error::Error;
use crate::persist::{self, Rule};
use crate::reply::ReplyBuf;
use crate::resp::{Allowed, Decoder, Step};
use crate::server::Link as State;
use link::{Broken, Link};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the master is told how far its changes are applied.
const ROUND: Duration = Duration::from_secs(1);

/// How often a thread that waits looks whether it is to end.
const STEP: Duration = Duration::from_millis(20);

/// One who follows. Dropped, it ends.
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows a server, on a thread of its own. One who did it before ends first.
    pub(crate) fn start(
        door: Door,
        course: Course,
        before: Option<Follower>,
    ) -> std::io::Result<Follower> {
        let stop = Arc::new(AtomicBool::new(false));
        let journey = Journey { door, course, stop: Arc::clone(&stop) };
        let thread = thread::Builder::new().name("moonkv-follow".to_owned());
        if let Some(before) = &before {
            before.stop.store(true, Ordering::Relaxed);
        }
        let thread = thread.spawn(move || {
            drop(before);
            journey.run();
        })?;
        Ok(Follower { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// What the thread has with it.
struct Journey {
    door: Door,
    course: Course,
    stop: Arc<AtomicBool>,
}

/// Where the master's stream of changes begins that belongs to its file.
struct Beginning {
    stream: String,
    offset: u64,
}

impl Journey {
    fn run(&self) {
        while !self.is_over() {
            // Why a link broke shows in how the next try goes.
            let _ = self.follow();
            match self.door.note_link(self.course.turn, State::Connect) {
                Ok(true) => self.rest(),
                // Another is to be followed, or the engine is closed.
                Ok(false) | Err(_) => return,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn rest(&self) {
        let until = Instant::now() + PAUSE;
        while !self.is_over() && Instant::now() < until {
            thread::sleep(STEP);
        }
    }

    /// The link is in another state; an error if nobody wants it any more.
    fn note(&self, state: State) -> Result<(), Broken> {
        match self.door.note_link(self.course.turn, state)? {
            true => Ok(()),
            false => Err(Broken::Unwanted),
        }
    }

    /// Follows until the link breaks.
    fn follow(&self) -> Result<(), Broken> {
        let Course { host, port, patience, .. } = &self.course;
        self.note(State::Connecting)?;
        let mut link = Link::open(host, *port, *patience, &self.stop)?;
        self.note(State::Handshake)?;
        let beginning = self.introduce(&mut link)?;
        self.note(State::Sync)?;
        let file = link.file()?;
        let read = persist::read(&file, self.door.blank()?, Rule::All).map_err(Broken::File)?;
        drop(file);
        let Beginning { stream, offset } = beginning;
        let session = self.session(&link)?;
        match self.door.take_over(self.course.turn, read, (stream, offset))? {
            true => self.apply(&mut link, &session, offset),
            false => Err(Broken::Unwanted),
        }
    }

    /// Tells who is here, and what it wants.
    fn introduce(&self, link: &mut Link) -> Result<Beginning, Broken> {
        let course = &self.course;
        let answer = link.ask(&[b"PING"])?;
        let is_known = ["+", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
        if !is_known.iter().any(|begin| answer.starts_with(begin)) {
            return Err(Broken::Refused(answer));
        }
        if !course.password.is_empty() {
            let mut words: Vec<&[u8]> = vec![b"AUTH"];
            if !course.user.is_empty() {
                words.push(&course.user);
            }
            words.push(&course.password);
            link.ask_ok(&words)?;
        }
        // A master that does not know these goes without.
        link.ask(&[b"REPLCONF", b"listening-port", &course.own_port])?;
        link.ask(&[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"])?;
        let answer = link.ask(&[b"PSYNC", b"?", b"-1"])?;
        let words: Vec<&str> = answer.split(' ').collect();
        match *words {
            ["+FULLRESYNC", stream, offset] => {
                let offset = offset.parse().map_err(|_| Broken::Refused(answer.clone()))?;
                Ok(Beginning { stream: stream.to_owned(), offset })
            }
            _ => Err(Broken::Refused(answer)),
        }
    }

    fn session(&self, link: &Link) -> Result<Session, Broken> {
        let session = self.door.master_session(self.course.turn, link.peer())?;
        session.ok_or(Broken::Unwanted)
    }

    /// Makes the calls that the master sends, and tells it how far that came.
    fn apply(&self, link: &mut Link, session: &Session, begin: u64) -> Result<(), Broken> {
        let mut decoder = Decoder::default();
        let (mut offset, mut reply) = (begin, ReplyBuf::new());
        let mut told = None::<Instant>;
        loop {
            if told.is_none_or(|told| told.elapsed() >= ROUND) {
                tell(link, offset)?;
                told = Some(Instant::now());
            }
            let before = offset;
            let asked = self.apply_all(link, &mut decoder, session, (&mut offset, &mut reply))?;
            if asked {
                tell(link, offset)?;
            }
            if offset != before && !self.door.note_offset(self.course.turn, offset)? {
                return Err(Broken::Unwanted);
            }
            link.read_some()?;
        }
    }

    /// Makes the calls that have come; tells whether the master asked how far they are made.
    fn apply_all(
        &self,
        link: &mut Link,
        decoder: &mut Decoder,
        session: &Session,
        (offset, reply): (&mut u64, &mut ReplyBuf),
    ) -> Result<bool, Broken> {
        const ALLOWED: Allowed = Allowed { bulk_most: usize::MAX >> 1, stranger: false };
        let mut asked = false;
        let mut spent = decoder.spent();
        while decoder.next(link.unread(), ALLOWED).map_err(|_| Broken::Stream)? == Step::Request {
            let words: SmallVec<[&[u8]; 8]> = decoder.words(link.unread()).collect();
            match *words {
                [name, what, _] if is(name, "REPLCONF") => asked |= is(what, "GETACK"),
                [name] if is(name, "PING") => (),
                // An error is an answer; the master has done what it says.
                _ => session.call(Call::Command(&words), reply)?,
            }
            *offset += (decoder.spent() - spent) as u64;
            spent = decoder.spent();
            if self.is_over() {
                return Err(Broken::Unwanted);
            }
        }
        link.forget(decoder.spent());
        decoder.forget_spent();
        Ok(asked)
    }
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// Tells the master how far its changes are applied.
fn tell(link: &mut Link, offset: u64) -> Result<(), Broken> {
    link.say(&[b"REPLCONF", b"ACK", offset.to_string().as_bytes()])
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken::Engine(error)
    }
}

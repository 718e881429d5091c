//! One client: what is read from its socket is executed by its session, and the replies are
//! written back.
//!
//! A connection that has nothing to do owns next to nothing: room to read into, to execute in and
//! to write from is lent to it for each turn. It keeps what is left over: a request that has not
//! come whole, requests behind one that waits, replies that the socket does not take yet.

use super::output::Output;
use super::stream::Stream;
use crate::clients::{Origin, Waker};
use crate::engine::{ClientLimits, Pending, Session, Submitted, WhenBusy};
use crate::error::{CommandError, Error};
use crate::reply::ReplyBuf;
use crate::resp::{Allowed, Decoder, Step, encode};
use crate::session::Argv;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use smallvec::SmallVec;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much is read at a time: others have their turn in between.
const CHUNK_BYTES: usize = 64 << 10;

/// Replies to one pipeline are gathered up to about this much before they are written.
pub(super) const GATHERED_BYTES: usize = 256 << 10;

/// How long the last replies to a client that is done may take to be read.
const LINGER: Duration = Duration::from_secs(30);

/// How many requests of a pipeline are read ahead of the one that is executed.
const AHEAD_MOST: usize = 32;

/// Larger buffers are given back after use rather than kept.
pub(super) const KEPT_BYTES: usize = 1 << 20;

/// A client.
pub(super) struct Connection {
    stream: Stream,
    token: Token,
    session: Session,
    waker: Waker,
    unread: Option<Box<Unread>>,
    output: Output,
    /// Whether the loop is asked to tell when the socket takes more.
    wants_to_write: bool,
    /// The call that waits for a key.
    pending: Option<Pending>,
    /// When that call is given up.
    pub(super) deadline: Option<Instant>,
    /// A request that could not be made because the engine is busy.
    held_up: Option<Argv>,
    /// What its session could not look at because the engine is busy.
    unheard: bool,
    /// Nothing more is executed; it ends once all is written.
    closing: bool,
    /// When it was last heard of.
    heard: Instant,
}

/// Requests that could not be executed yet.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    decoder: Decoder,
}

/// What a connection is lent for a turn.
pub(super) struct Lent {
    chunk: Vec<u8>,
    decoder: Decoder,
    reply: ReplyBuf,
    /// What is to be written at the end of the turn.
    pub(super) output: Vec<u8>,
}

impl Default for Lent {
    fn default() -> Lent {
        Lent {
            chunk: vec![0; CHUNK_BYTES],
            decoder: Decoder::default(),
            reply: ReplyBuf::new(),
            output: Vec::new(),
        }
    }
}

/// Why a connection has its turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    /// There is something to read, or the other end has closed.
    pub(super) readable: bool,
    /// The other end sends no more.
    pub(super) ended: bool,
    /// The socket takes more.
    pub(super) writable: bool,
    /// Its session has something to look at.
    pub(super) woken: bool,
}

/// No reason at all.
pub(super) const NOTHING: Signs =
    Signs { readable: false, ended: false, writable: false, woken: false };

/// What a turn is held to.
pub(super) struct Scene<'a> {
    pub(super) limits: ClientLimits,
    /// How often the engine's parameters had changed by then.
    pub(super) changes: u64,
    pub(super) registry: &'a Registry,
    pub(super) now: Instant,
    /// Whether the turn is within a call of another connection's, whose script runs for long.
    pub(super) busy: bool,
}

/// How a turn went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All that there was to read is read.
    Done,
    /// There may be more.
    More,
    /// The socket failed.
    Failed,
}

/// What becomes of a connection after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has nothing to do until something happens.
    Rest,
    /// There may be more to read.
    Again,
    /// It is over.
    Close,
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        token: Token,
        session: Session,
        waker: Waker,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            token,
            session,
            waker,
            unread: None,
            output: Output::default(),
            wants_to_write: false,
            pending: None,
            deadline: None,
            held_up: None,
            unheard: false,
            closing: false,
            heard: now,
        }
    }

    /// Has the loop told when there is something to read.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.register(registry, self.token, Interest::READABLE)
    }

    /// Tells the engine who it is. It is woken from then on when there is something to tell it.
    pub(super) fn attach(&mut self, origin: Origin) {
        // A closed engine answers its first call with that.
        let _ = self.session.attach(origin, Arc::clone(&self.waker));
    }

    /// Whether there is something that it could not do because the engine is busy.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up.is_some() || self.unheard
    }

    /// Its call's time is up.
    pub(super) fn time_out(&mut self) {
        if let Some(pending) = &self.pending {
            pending.time_out();
        }
    }

    /// Whether it has been silent, or leaves its replies unread, for longer than it may.
    pub(super) fn is_over(&mut self, scene: &Scene<'_>) -> bool {
        let most = if self.closing { Some(LINGER) } else { scene.limits.idle };
        let silent = scene.now.saturating_duration_since(self.heard);
        let is_fed = self.session.is_replica() && !self.closing;
        let is_free = self.pending.is_none() && !is_fed;
        let is_silent = is_free && most.is_some_and(|most| silent > most);
        is_silent || self.is_too_slow(scene)
    }

    /// Whether it leaves more of its replies unread than it may.
    fn is_too_slow(&mut self, scene: &Scene<'_>) -> bool {
        !self.session.is_replica() && self.output.exceeds(&scene.limits.output, scene.now)
    }

    /// Does what there is to do. What is to be written for it is left in what is lent;
    /// [`Connection::end_turn`] writes it.
    pub(super) fn turn(&mut self, signs: Signs, lent: &mut Lent, scene: &Scene<'_>) -> Turn {
        lent.output.clear();
        match self.work(signs, lent, scene) {
            Ok(true) => Turn::More,
            Ok(false) => Turn::Done,
            Err(_) => Turn::Failed,
        }
    }

    /// Writes what a turn came to, and tells what becomes of the connection.
    pub(super) fn end_turn(&mut self, turn: Turn, output: &[u8], scene: &Scene<'_>) -> Next {
        let sent = match turn {
            Turn::Failed => Err(io::ErrorKind::ConnectionAborted.into()),
            _ if output.is_empty() => Ok(()),
            _ => self.output.send(output, &mut self.stream),
        };
        let sent = sent.and_then(|()| self.want_to_write(scene.registry));
        match () {
            () if sent.is_err() || self.is_too_slow(scene) => Next::Close,
            () if self.closing && self.output.is_empty() => Next::Close,
            () if turn == Turn::More => Next::Again,
            () => Next::Rest,
        }
    }

    /// Tells whether there may be more to read.
    fn work(&mut self, signs: Signs, lent: &mut Lent, scene: &Scene<'_>) -> io::Result<bool> {
        if signs.writable && !self.output.is_empty() {
            self.output.resume(&mut self.stream)?;
            self.heard = scene.now;
            // There may be messages that were not taken meanwhile.
            self.unheard = true;
        }
        self.session.set_when_busy(match self.session.is_stranger() {
            true => WhenBusy::Hold,
            false => WhenBusy::Answer,
        });
        self.unheard |= signs.woken;
        if self.is_held_up() && !scene.busy {
            self.listen_to_session(lent, scene)?;
        }
        let more = signs.readable && !self.closing && self.read(lent, scene, signs.ended)?;
        self.follow(lent);
        Ok(more)
    }

    /// Looks whether the call that waits is over, and what was told out of turn.
    fn listen_to_session(&mut self, lent: &mut Lent, scene: &Scene<'_>) -> io::Result<()> {
        self.unheard = false;
        if let Some(request) = self.held_up.take() {
            self.request(&request.slices(), false, lent, scene);
        }
        if let Some(pending) = &mut self.pending {
            match pending.take(&mut lent.reply) {
                Ok(false) => self.deadline = pending.deadline(),
                Ok(true) => self.end_wait(lent),
                Err(error) => self.fail(&error, lent),
            }
        }
        // To one who does not read them messages stay where the engine sees how many there are.
        if self.output.is_empty() {
            let (output, protocol) = (&mut lent.output, self.session.protocol());
            self.session.take_messages(&mut |message| encode(message, protocol, output));
        }
        self.closing |= self.session.is_closing();
        // What came behind a call that waited has its turn.
        if self.is_free() && self.unread.is_some() {
            self.execute_unread(lent, scene)?;
        }
        Ok(())
    }

    /// Takes what a replica is sent, as long as it reads what it was sent before: what it leaves is
    /// counted where the rest of it comes from.
    fn follow(&mut self, lent: &mut Lent) {
        if self.output.is_empty() && self.session.is_replica() {
            lent.output.extend_from_slice(&self.session.take_feed());
        }
    }

    fn end_wait(&mut self, lent: &mut Lent) {
        (self.pending, self.deadline) = (None, None);
        encode(&lent.reply, self.session.protocol(), &mut lent.output);
    }

    /// Reads once, and executes what is complete. Tells whether there may be more to read.
    fn read(&mut self, lent: &mut Lent, scene: &Scene<'_>, ended: bool) -> io::Result<bool> {
        let len = match self.stream.read(&mut lent.chunk) {
            Ok(0) => {
                self.closing = true;
                return Ok(false);
            }
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        self.heard = scene.now;
        match &mut self.unread {
            Some(unread) => {
                unread.push(lent.chunk.get(..len).unwrap_or_default());
                if unread.len() > scene.limits.input_most {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                if self.is_free() {
                    self.execute_unread(lent, scene)?;
                }
            }
            None => self.execute_chunk(len, lent, scene)?,
        }
        // A socket that gave less than was asked for has no more, unless it has come to its end.
        Ok(!self.closing && (len == lent.chunk.len() || ended))
    }

    /// Whether its next request can be executed.
    fn is_free(&self) -> bool {
        self.pending.is_none() && self.held_up.is_none() && !self.closing
    }

    /// Executes requests where they were read.
    fn execute_chunk(&mut self, len: usize, lent: &mut Lent, scene: &Scene<'_>) -> io::Result<()> {
        let chunk = std::mem::take(&mut lent.chunk);
        let mut decoder = std::mem::take(&mut lent.decoder);
        let input = chunk.get(..len).unwrap_or_default();
        let executed = self.execute(input, &mut decoder, lent, scene);
        let rest = input.get(decoder.spent()..).unwrap_or_default();
        decoder.forget_spent();
        match rest.is_empty() || self.closing {
            // What a connection left in the middle must not be the next one's beginning.
            true if decoder.is_between() => lent.decoder = decoder,
            true => (),
            false => self.unread = Some(Box::new(Unread { bytes: rest.to_vec(), decoder })),
        }
        lent.chunk = chunk;
        executed
    }

    /// Executes requests that were kept.
    fn execute_unread(&mut self, lent: &mut Lent, scene: &Scene<'_>) -> io::Result<()> {
        let Some(mut unread) = self.unread.take() else { return Ok(()) };
        let Unread { bytes, decoder } = &mut *unread;
        let executed = self.execute(bytes, decoder, lent, scene);
        if unread.len() > 0 && !self.closing {
            unread.forget_spent();
            self.unread = Some(unread);
        }
        executed
    }

    /// Executes all requests that are complete, up to one that waits.
    fn execute(
        &mut self,
        input: &[u8],
        decoder: &mut Decoder,
        lent: &mut Lent,
        scene: &Scene<'_>,
    ) -> io::Result<()> {
        let mut at_once = false;
        while self.is_free() {
            let stranger = self.session.is_stranger();
            let allowed = Allowed { bulk_most: scene.limits.bulk_most, stranger };
            match decoder.next(input, allowed) {
                Ok(Step::More) => break,
                Ok(Step::Request) => {
                    if !stranger && !decoder.is_ahead() {
                        self.look_ahead(input, decoder, allowed);
                        at_once = false;
                    }
                    let words: SmallVec<[&[u8]; 8]> = decoder.words(input).collect();
                    self.request(&words, at_once, lent, scene);
                    at_once = true;
                }
                Err(error) => self.refuse(&error, lent),
            }
            if lent.output.len() > GATHERED_BYTES {
                self.send(lent)?;
                at_once = false;
            }
        }
        Ok(())
    }

    /// Reads further requests of a pipeline, and has the engine prepare for what they will ask for:
    /// the word behind a command's name is a key more often than not.
    fn look_ahead(&self, input: &[u8], decoder: &mut Decoder, allowed: Allowed) {
        decoder.read_ahead(input, allowed, AHEAD_MOST);
        if decoder.is_ahead() {
            let calls = decoder.upcoming(input).filter_map(|mut words| {
                let key = words.nth(1)?;
                Some((key, [(); 2].map(|()| words.next().unwrap_or_default())))
            });
            self.session.prefetch(&calls.collect::<SmallVec<[_; AHEAD_MOST]>>());
        }
    }

    #[inline]
    fn request(&mut self, words: &[&[u8]], at_once: bool, lent: &mut Lent, scene: &Scene<'_>) {
        if is_from_a_browser(words) {
            lent.output.clear();
            self.closing = true;
            return;
        }
        match self.session.submit(words, at_once, &mut lent.reply) {
            Ok(Submitted::Done) => {
                encode(&lent.reply, self.session.protocol(), &mut lent.output);
                self.closing |= self.session.is_closing();
            }
            Ok(Submitted::Waits(pending)) => self.begin_wait(pending),
            Err(Error::Busy) if scene.busy => self.held_up = Some(Argv::new(words)),
            Err(error) => self.fail(&error, lent),
        }
    }

    fn begin_wait(&mut self, mut pending: Pending) {
        self.deadline = pending.deadline();
        pending.wake_by(Arc::clone(&self.waker));
        self.pending = Some(pending);
    }

    /// What the client sends is no request: where the next would begin cannot be told.
    fn refuse(&mut self, error: &CommandError, lent: &mut Lent) {
        lent.reply.clear();
        lent.reply.error(error);
        encode(&lent.reply, self.session.protocol(), &mut lent.output);
        self.closing = true;
    }

    /// The engine gave no reply.
    fn fail(&mut self, error: &Error, lent: &mut Lent) {
        (self.pending, self.deadline) = (None, None);
        lent.reply.clear();
        lent.reply.error_text(error.to_string().as_bytes());
        encode(&lent.reply, self.session.protocol(), &mut lent.output);
        self.closing |= matches!(error, Error::Closed | Error::Poisoned);
    }

    /// Writes what was gathered so far, where that is much.
    fn send(&mut self, lent: &mut Lent) -> io::Result<()> {
        if !lent.output.is_empty() {
            self.output.send(&lent.output, &mut self.stream)?;
            lent.output.clear();
        }
        Ok(())
    }

    /// Has the loop tell when the socket takes more, as long as there is more.
    fn want_to_write(&mut self, registry: &Registry) -> io::Result<()> {
        let wants = !self.output.is_empty();
        if wants != self.wants_to_write {
            self.wants_to_write = wants;
            let both = Interest::READABLE | Interest::WRITABLE;
            let interest = if wants { both } else { Interest::READABLE };
            self.stream.reregister(registry, self.token, interest)?;
        }
        Ok(())
    }
}

impl Unread {
    fn len(&self) -> usize {
        self.bytes.len() - self.decoder.spent()
    }

    /// Adds what was read. Room is made for the whole of a long argument, as much at a time as
    /// has come already: a length that is only announced costs nothing.
    fn push(&mut self, bytes: &[u8]) {
        let wanted = self.decoder.wants(&self.bytes).max(bytes.len());
        self.bytes.reserve_exact(wanted.min(self.bytes.len().max(CHUNK_BYTES)).max(bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes what was executed off the front, where that is worth the move.
    fn forget_spent(&mut self) {
        let spent = self.decoder.spent();
        if spent > self.bytes.len() / 2 {
            self.bytes.drain(..spent);
            self.decoder.forget_spent();
        }
    }
}

/// Whether this is HTTP rather than a request: a page in a browser tries to talk to the engine.
/// As Redis, it hangs up without a word.
fn is_from_a_browser(words: &[&[u8]]) -> bool {
    let Some(first) = words.first() else { return false };
    matches!(first, [b'P' | b'p' | b'H' | b'h', _, _, _, ..])
        && (first.eq_ignore_ascii_case(b"post") || first.eq_ignore_ascii_case(b"host:"))
}

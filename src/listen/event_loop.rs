//! The loop: one thread that waits for all sockets at once and gives each connection its turn.
//!
//! Its own state is under a lock that is never held while a connection has its turn. A script that
//! runs for long lets the loop go on from inside of it ([`EventLoop::meanwhile`]): others are told
//! that the engine is busy, and may end the script. What cannot be done there, because it needs the
//! engine, is left for the turn after.
//!
//! What is to be written is written when all have had their turns: whoever is at the other end of
//! many connections, and runs beside the loop, is woken once for all of them rather than for each.
//! In return the loop, as long as it does not sleep for longer than a moment, looks out for so long
//! before it does: whoever sends something then does not have to wake it.

use super::acceptor::Acceptor;
use super::connection::{
    Connection, GATHERED_BYTES, KEPT_BYTES, Lent, NOTHING, Next, Scene, Signs, Turn,
};
use super::stream::Stream;
use super::wakeups::Wakeups;
use crate::clients::{Origin, Waker};
use crate::engine::{ClientLimits, Door, Session};
use crate::error::Error;
use crate::follow::Follower;
use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// The token of the wakeups; those of acceptors follow.
const WAKE: Token = Token(0);

/// The first token of a connection.
const CONNECTIONS: usize = 64;

/// How often the loop looks after what happens without anybody asking: keys that expire, clients
/// that are silent.
const ROUND: Duration = Duration::from_millis(100);

/// The longest that one round removes expired keys.
const EXPIRY_BUDGET: Duration = Duration::from_millis(5);

/// How long the loop looks out before it sleeps: about as long as it takes to be woken.
const LOOKOUT: Duration = Duration::from_micros(20);

/// How many sessions are kept ready for those who come while the engine is busy.
const SPARE_SESSIONS: usize = 4;

/// How many sockets are looked at together.
const EVENTS: usize = 1024;

pub(super) struct EventLoop {
    state: Mutex<State>,
    registry: Registry,
    wakeups: Arc<Wakeups>,
    door: Door,
}

struct State {
    poll: Poll,
    events: Events,
    /// Whether others can run while the loop looks out, and whether something came within a moment
    /// when it last waited.
    has_company: bool,
    is_brisk: bool,
    acceptors: Vec<Acceptor>,
    slots: Vec<Slot>,
    /// The slots that are free, and how many are not.
    free: Vec<usize>,
    connected: usize,
    /// Connections whose turn it is. A turn within a turn takes its share of them: whoever comes
    /// behind a script that runs for long must not have to wait for it.
    turns: VecDeque<(usize, Signs)>,
    /// Connections that have more to do, when all others have had their turn.
    again: Vec<(usize, Signs)>,
    /// When calls that wait are given up.
    deadlines: BTreeSet<(Instant, usize)>,
    next_round: Instant,
    /// What the engine's parameters say of clients, and how often those had changed by then.
    limits: ClientLimits,
    changes: u64,
    /// Who follows another server, and how often it was said whom by then.
    follower: Option<Follower>,
    turn: u64,
    lent: Vec<Lent>,
    /// Those who have had their turns, and what is to be written to them, one behind the other.
    served: Vec<Served>,
    replies: Vec<u8>,
    /// Sessions for those who come while the engine is busy, and who has come in that way: the
    /// engine does not know them yet.
    spare: Vec<Session>,
    newcomers: Vec<(usize, Origin)>,
    /// Connections that are over, and were while the engine was busy.
    #[expect(clippy::vec_box, reason = "boxed they are moved out of their places")]
    doomed: Vec<Box<Connection>>,
}

/// A place for a connection.
enum Slot {
    Free,
    Resting(Box<Connection>),
    /// It has its turn.
    Busy,
    /// It has had its turn, and is still to be written what that came to.
    Served,
}

/// What comes of taking a connection out for its turn.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Taken {
    Connection(Box<Connection>, Lent),
    /// Its last turn has to be ended before.
    Served,
    /// It is not there, or has its turn already.
    No,
}

/// A connection that has had its turn.
struct Served {
    slot: usize,
    connection: Box<Connection>,
    turn: Turn,
    /// Where among all replies its own end.
    end: usize,
    /// The deadline it had before.
    deadline: Option<Instant>,
}

/// What a turn of the loop has to do.
#[derive(Default)]
struct Work {
    accepts: bool,
    round: bool,
}

impl EventLoop {
    /// A loop for sockets that are bound.
    pub(super) fn new(
        mut acceptors: Vec<Acceptor>,
        door: Door,
        limits: ClientLimits,
    ) -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let wakeups = Arc::new(Wakeups::new(mio::Waker::new(&registry, WAKE)?));
        for (at, acceptor) in acceptors.iter_mut().enumerate() {
            acceptor.register(&registry, Token(at + 1))?;
        }
        let state = State {
            poll,
            events: Events::with_capacity(EVENTS),
            has_company: available_parallelism().is_ok_and(|count| count.get() > 1),
            is_brisk: false,
            acceptors,
            slots: Vec::new(),
            free: Vec::new(),
            connected: 0,
            turns: VecDeque::new(),
            again: Vec::new(),
            deadlines: BTreeSet::new(),
            next_round: Instant::now() + ROUND,
            limits,
            changes: door.changes(),
            follower: None,
            turn: 0,
            lent: Vec::new(),
            served: Vec::new(),
            replies: Vec::new(),
            spare: Vec::new(),
            newcomers: Vec::new(),
            doomed: Vec::new(),
        };
        Ok(EventLoop { state: Mutex::new(state), registry, wakeups, door })
    }

    /// What wakes the loop from elsewhere.
    pub(super) fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }

    /// Runs until it is stopped or the engine is closed.
    pub(super) fn run(self: &Arc<Self>) {
        let own = Arc::downgrade(self);
        self.door.set_meanwhile(Some(Arc::new(move || {
            if let Some(event_loop) = own.upgrade() {
                event_loop.meanwhile();
            }
        })));
        while !self.wakeups.is_stopping() && self.turn() {}
        self.door.set_meanwhile(None);
        let slots = std::mem::take(&mut self.state().slots);
        drop(slots);
        self.state().acceptors.clear();
        let follower = self.state().follower.take();
        drop(follower);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do, and does it. False once the engine is closed.
    fn turn(&self) -> bool {
        let work = self.state().wait(&self.wakeups);
        self.settle_newcomers();
        self.heed_changes();
        self.work(&work, false);
        !work.round || self.round(&self.scene(false))
    }

    /// What the loop does while a script that one of its clients called runs for long, on the same
    /// thread and within that client's turn.
    fn meanwhile(&self) {
        if self.wakeups.is_stopping() {
            // Whoever closes the listener waits for its thread, and the script holds that.
            return self.door.cancel_script();
        }
        let work = self.state().look(&self.wakeups, Duration::ZERO);
        self.work(&work, true);
    }

    /// Looks at the engine's parameters again, if some have changed; tells whether it did.
    fn heed_changes(&self) -> bool {
        let changes = self.door.changes();
        if changes == self.state().changes {
            return false;
        }
        // Not while the engine is busy.
        let Ok(limits) = self.door.limits() else { return false };
        let mut state = self.state();
        (state.limits, state.changes) = (limits, changes);
        drop(state);
        self.follow();
        true
    }

    /// Follows another server, if that is said and was not before.
    fn follow(&self) {
        let Ok((turn, course)) = self.door.course() else { return };
        let mut state = self.state();
        if turn == state.turn {
            return;
        }
        state.turn = turn;
        let before = state.follower.take();
        match course.map(|course| Follower::start(self.door.again(), course, before)) {
            // Without a thread the link stays down, as INFO says.
            Some(Err(_)) | None => (),
            Some(Ok(follower)) => state.follower = Some(follower),
        }
    }

    fn scene(&self, busy: bool) -> Scene<'_> {
        let (limits, changes) = {
            let state = self.state();
            (state.limits, state.changes)
        };
        Scene { limits, changes, registry: &self.registry, now: Instant::now(), busy }
    }

    fn work(&self, work: &Work, busy: bool) {
        let mut scene = self.scene(busy);
        if busy {
            // Others need not wait for the script that has called this.
            self.end_turns(&scene);
        }
        while let Some((slot, signs)) = self.next_turn() {
            self.serve(slot, signs, &scene);
            // What one client sets holds for the next.
            if self.door.changes() != scene.changes && self.heed_changes() {
                scene = self.scene(busy);
            }
        }
        self.end_turns(&scene);
        if work.accepts || work.round {
            self.accept_all(&scene);
        }
    }

    fn next_turn(&self) -> Option<(usize, Signs)> {
        self.state().turns.pop_front()
    }

    /// Gives a connection its turn.
    fn serve(&self, slot: usize, signs: Signs, scene: &Scene<'_>) {
        let mut taken = self.state().take(slot);
        if let Taken::Served = taken {
            self.end_turns(scene);
            taken = self.state().take(slot);
        }
        let (mut connection, mut lent) = match taken {
            Taken::Connection(connection, lent) => (connection, lent),
            // What it is told while it has its turn must not be lost.
            Taken::Served => return self.state().again.push((slot, signs)),
            Taken::No => return self.state().note_if_busy(slot, signs),
        };
        let deadline = connection.deadline;
        let turn = connection.turn(signs, &mut lent, scene);
        let gathered = {
            let mut state = self.state();
            state.replies.extend_from_slice(&lent.output);
            let end = state.replies.len();
            if let Some(place) = state.slots.get_mut(slot) {
                *place = Slot::Served;
            }
            state.served.push(Served { slot, connection, turn, end, deadline });
            if lent.output.capacity() > KEPT_BYTES {
                lent.output = Vec::new();
            }
            state.lent.push(lent);
            end
        };
        if gathered > GATHERED_BYTES {
            self.end_turns(scene);
        }
    }

    /// Writes what all who have had their turns are to be written.
    fn end_turns(&self, scene: &Scene<'_>) {
        let (mut served, mut replies) = {
            let mut state = self.state();
            (take(&mut state.served), take(&mut state.replies))
        };
        let mut start = 0;
        for Served { slot, mut connection, turn, end, deadline } in served.drain(..) {
            let output = replies.get(start..end).unwrap_or_default();
            start = end;
            let next = connection.end_turn(turn, output, scene);
            let over = self.state().put_back(slot, connection, next, deadline);
            // It is dropped with the lock given back, and when the engine can be called: that
            // closes its session.
            match over {
                Some(over) if scene.busy => self.state().doomed.push(over),
                over => drop(over),
            }
        }
        replies.clear();
        let mut state = self.state();
        // Another thread, whose script lets the loop go on there, may have served others meanwhile.
        let is_empty = state.served.is_empty() && state.replies.is_empty();
        if is_empty && replies.capacity() <= KEPT_BYTES {
            (state.served, state.replies) = (served, replies);
        }
    }

    /// Tells the engine who came while it was busy, and keeps sessions ready for others who will.
    fn settle_newcomers(&self) {
        let (newcomers, doomed, missing) = {
            let mut state = self.state();
            let (newcomers, doomed) = (take(&mut state.newcomers), take(&mut state.doomed));
            (newcomers, doomed, SPARE_SESSIONS.saturating_sub(state.spare.len()))
        };
        drop(doomed);
        for (slot, origin) in newcomers {
            if let Some(Slot::Resting(connection)) = self.state().slots.get_mut(slot) {
                connection.attach(origin);
            }
        }
        for _ in 0..missing {
            // Without them those who come have to wait until the engine is not busy any more.
            let Ok(session) = self.door.spare_session() else { return };
            self.state().spare.push(session);
        }
    }

    /// Accepts all who wait for it.
    fn accept_all(&self, scene: &Scene<'_>) {
        let count = self.state().acceptors.len();
        for at in 0..count {
            while let Some((stream, origin)) = self.accept(at) {
                self.welcome(stream, origin, scene);
            }
        }
    }

    /// Accepts one; none if none waits, or there are no descriptors left: the next round tries
    /// again.
    fn accept(&self, at: usize) -> Option<(Stream, Origin)> {
        let state = self.state();
        state.acceptors.get(at)?.accept(state.limits.keepalive).ok()?
    }

    /// Makes a client of a socket; one too many is told so.
    fn welcome(&self, mut stream: Stream, origin: Origin, scene: &Scene<'_>) {
        if self.state().connected >= scene.limits.most {
            // Whoever does not read even this much is not waited for.
            let _ = stream.write(b"-ERR max number of clients reached\r\n");
            return;
        }
        let slot = self.state().reserve();
        match self.connect(slot, stream, origin, scene) {
            Ok(connection) => self.state().place(slot, connection),
            Err(_) => self.state().release(slot),
        }
    }

    fn connect(
        &self,
        slot: usize,
        stream: Stream,
        origin: Origin,
        scene: &Scene<'_>,
    ) -> Result<Box<Connection>, Error> {
        let session = match scene.busy {
            true => self.state().spare.pop().ok_or(Error::Busy)?,
            false => self.door.session()?,
        };
        let wakeups = Arc::clone(&self.wakeups);
        let waker: Waker = Arc::new(move || wakeups.wake(slot));
        let token = Token(CONNECTIONS + slot);
        let mut connection = Box::new(Connection::new(stream, token, session, waker, scene.now));
        match scene.busy {
            true => self.state().newcomers.push((slot, origin)),
            false => connection.attach(origin),
        }
        let registered = connection.register(&self.registry);
        registered.map_err(|error| Error::Listen { message: error.to_string() })?;
        Ok(connection)
    }

    /// What is done now and then. False once the engine is closed.
    fn round(&self, scene: &Scene<'_>) -> bool {
        let over = self.state().over(scene);
        drop(over);
        match self.door.tick(EXPIRY_BUDGET) {
            Err(Error::Closed | Error::Poisoned) => false,
            Ok(_) | Err(_) => true,
        }
    }
}

impl State {
    /// Waits until there is something to do.
    fn wait(&mut self, wakeups: &Wakeups) -> Work {
        let seen = if self.is_brisk { self.look_out(wakeups) } else { None };
        let mut work = seen.unwrap_or_else(|| self.sleep(wakeups));
        let now = Instant::now();
        self.time_out(now);
        work.round = now >= self.next_round;
        if work.round {
            self.next_round = now + ROUND;
        }
        work
    }

    /// Looks for something to do again and again, for a moment.
    fn look_out(&mut self, wakeups: &Wakeups) -> Option<Work> {
        let end = Instant::now() + LOOKOUT;
        loop {
            let work = self.look(wakeups, Duration::ZERO);
            if work.accepts || !self.turns.is_empty() || wakeups.is_stopping() {
                return Some(work);
            }
            if Instant::now() >= end {
                return None;
            }
            std::hint::spin_loop();
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self, wakeups: &Wakeups) -> Work {
        let rests = wakeups.lie_down() && self.again.is_empty();
        let until = self.deadlines.first().map_or(self.next_round, |(at, _)| *at);
        let start = Instant::now();
        let left = until.min(self.next_round).saturating_duration_since(start);
        let work = self.look(wakeups, if rests { left } else { Duration::ZERO });
        self.is_brisk = self.has_company && start.elapsed() < LOOKOUT;
        work
    }

    /// Looks what there is to do, and waits for it at most for a time.
    fn look(&mut self, wakeups: &Wakeups, time: Duration) -> Work {
        let polled = self.poll.poll(&mut self.events, Some(time));
        wakeups.get_up();
        let mut work = Work::default();
        self.turns.extend(self.again.drain(..));
        // A signal wakes it early; nothing was looked at then.
        if polled.is_ok() {
            for event in &self.events {
                work.note(event, &mut self.turns);
            }
        }
        // Who is told many things is woken for each, and looks at all of them at once.
        let mut woken = wakeups.take();
        woken.sort_unstable();
        woken.dedup();
        let woken = woken.into_iter();
        self.turns.extend(woken.map(|slot| (slot, Signs { woken: true, ..NOTHING })));
        work
    }

    /// Gives up the calls whose time is up: their connections are woken by that.
    fn time_out(&mut self, now: Instant) {
        while let Some((at, slot)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, slot));
            if let Some(Slot::Resting(connection)) = self.slots.get_mut(slot) {
                connection.time_out();
            }
        }
    }

    /// Takes a connection out for its turn, with what it is lent.
    fn take(&mut self, slot: usize) -> Taken {
        let Some(place) = self.slots.get_mut(slot) else { return Taken::No };
        match std::mem::replace(place, Slot::Busy) {
            Slot::Resting(connection) => {
                Taken::Connection(connection, self.lent.pop().unwrap_or_default())
            }
            Slot::Served => {
                *place = Slot::Served;
                Taken::Served
            }
            Slot::Free => {
                *place = Slot::Free;
                Taken::No
            }
            Slot::Busy => Taken::No,
        }
    }

    /// Keeps what a connection is told that has its turn.
    fn note_if_busy(&mut self, slot: usize, signs: Signs) {
        if let Some(Slot::Busy) = self.slots.get(slot) {
            self.again.push((slot, signs));
        }
    }

    /// Puts a connection back; returns it if it is over.
    fn put_back(
        &mut self,
        slot: usize,
        connection: Box<Connection>,
        next: Next,
        before: Option<Instant>,
    ) -> Option<Box<Connection>> {
        let after = connection.deadline;
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, slot)));
            after.map(|at| self.deadlines.insert((at, slot)));
        }
        if next == Next::Close {
            after.map(|at| self.deadlines.remove(&(at, slot)));
            self.release(slot);
            return Some(connection);
        }
        match next {
            // The end of the stream may have been told already; reading finds it.
            Next::Again => self.again.push((
                slot,
                Signs { readable: true, ended: true, woken: connection.is_held_up(), ..NOTHING },
            )),
            _ if connection.is_held_up() => {
                self.again.push((slot, Signs { woken: true, ..NOTHING }))
            }
            _ => (),
        }
        self.place(slot, connection);
        None
    }

    fn place(&mut self, slot: usize, connection: Box<Connection>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Resting(connection);
        }
    }

    /// Takes a slot for a connection that is to come.
    fn reserve(&mut self) -> usize {
        self.connected += 1;
        let free = self.free.pop();
        free.unwrap_or_else(|| {
            self.slots.push(Slot::Busy);
            self.slots.len() - 1
        })
    }

    fn release(&mut self, slot: usize) {
        self.connected -= 1;
        self.free.push(slot);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Free;
        }
    }

    /// Takes out the connections that are silent, or leave their replies unread, for too long.
    #[expect(clippy::vec_box, reason = "boxed they are moved out of their places")]
    fn over(&mut self, scene: &Scene<'_>) -> Vec<Box<Connection>> {
        let mut over = Vec::new();
        for slot in 0..self.slots.len() {
            let Some(Slot::Resting(connection)) = self.slots.get_mut(slot) else { continue };
            if !connection.is_over(scene) {
                continue;
            }
            let deadline = connection.deadline;
            if let Some(Slot::Resting(gone)) =
                self.slots.get_mut(slot).map(|place| std::mem::replace(place, Slot::Busy))
            {
                deadline.map(|at| self.deadlines.remove(&(at, slot)));
                self.release(slot);
                over.push(gone);
            }
        }
        over
    }
}

impl Work {
    fn note(&mut self, event: &Event, turns: &mut VecDeque<(usize, Signs)>) {
        match event.token() {
            WAKE => (),
            Token(token) if token < CONNECTIONS => self.accepts = true,
            Token(token) => {
                let ended = event.is_read_closed() || event.is_error();
                let readable = event.is_readable() || ended;
                // A write finds out what is wrong with the socket.
                let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                turns.push_back((
                    token - CONNECTIONS,
                    Signs { readable, ended, writable, woken: false },
                ));
            }
        }
    }
}

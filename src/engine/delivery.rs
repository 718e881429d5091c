//! What follows from a call for other clients than the one that made it: messages, keys that caches
//! have to forget, lines of MONITOR, and the orders of CLIENT.
//!
//! All of it goes into mailboxes, whose doors are woken once the engine's lock is given back.

use super::Call;
use super::state::State;
use super::waiting::{Outcome, Waits};
use crate::clients::{Bells, Client, Follower, Kind, Mode, OutputLimits, Pause, Told, Touched};
use crate::command::{self, Flags};
use crate::error::CommandError;
use crate::reply::{Protocol, ReplyBuf};
use crate::session::{Order, Otherwise, Session, Sessions, Wait, WaitKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The channel on which clients in RESP2 are told which keys to forget.
const INVALIDATE: &[u8] = b"__redis__:invalidate";

/// How messages get to clients.
struct Post<'a> {
    sessions: &'a mut Sessions,
    bells: &'a Bells,
    limits: OutputLimits,
    orders: &'a mut Vec<Order>,
    now: i64,
}

impl Post<'_> {
    /// The client in a place.
    fn client(&mut self, place: usize) -> Option<&mut Client> {
        let session = self.sessions.get_mut(place)?.as_deref_mut()?;
        (!session.client.closing).then_some(&mut session.client)
    }

    /// Puts a message in a client's mailbox, and gives up a client that leaves too much untaken.
    fn send(&mut self, place: usize, message: ReplyBuf) {
        let (now, limits, bells) = (self.now, self.limits, self.bells);
        let Some(client) = self.client(place) else { return };
        let bytes = client.mailbox.put(message);
        bells.add(&client.mailbox);
        let limit = match client.listening.is_empty() {
            true => limits.normal,
            false => limits.pubsub,
        };
        if limit.closes(bytes, now, &mut client.over_since) {
            client.mailbox.clear();
            client.closing = true;
            self.orders.push(Order::Close(place));
        }
    }
}

/// A message of so many parts, all of them strings.
fn message(parts: &[&[u8]]) -> ReplyBuf {
    let mut message = ReplyBuf::new();
    message.push(parts.len());
    parts.iter().for_each(|part| message.bulk(part));
    message
}

impl State {
    /// What there is to tell is put into the mailboxes of those it is for. As Redis, who removes all
    /// keys is told so behind the reply: not before the call is `answered`.
    pub(super) fn deliver(&mut self, answered: bool) {
        let mut effects = Vec::new();
        for told in self.keys.news_mut().take() {
            match told {
                Told::Message { kind, channel, text } => self.send_message(kind, &channel, &text),
                Told::Flushed => self.send_flushed(answered),
                Told::FlushedByCaller if answered => self.tell_forgotten(self.speaker, None),
                Told::FlushedByCaller => self.keys.news_mut().flushed_by_caller(),
                Told::Effect(effect) => effects.push(effect),
            }
        }
        if !effects.is_empty() {
            self.feed(&effects);
        }
    }

    fn send_message(&mut self, kind: Kind, channel: &[u8], text: &[u8]) {
        let State { keys, sessions, bells, orders, .. } = self;
        let (now, news) = (keys.now(), keys.news());
        let mut post = Post { sessions, bells, limits: news.output_limits, orders, now };
        let word: &[u8] = if kind == Kind::Shard { b"smessage" } else { b"message" };
        for &place in news.subscriptions.listeners(kind, channel) {
            post.send(place, message(&[word, channel, text]));
        }
        if kind == Kind::Shard {
            return;
        }
        for (pattern, places) in news.subscriptions.matching(channel) {
            for &place in places {
                post.send(place, message(&[b"pmessage", pattern, channel, text]));
            }
        }
    }

    /// Tells every client that has to know of changed keys that all are gone.
    fn send_flushed(&mut self, answered: bool) {
        self.keys.follow(|followed| followed.clear());
        let tracks = |session: &Session| session.client.tracking.is_some();
        for place in self.places(tracks) {
            match answered || place != self.speaker {
                true => self.tell_forgotten(place, None),
                false => self.keys.news_mut().flushed_by_caller(),
            }
        }
    }

    /// The places of the sessions that are like this.
    pub(super) fn places(&self, is: impl Fn(&Session) -> bool) -> Vec<usize> {
        let places = self.sessions.iter().enumerate();
        let found = places.filter(|(_, session)| session.as_deref().is_some_and(&is));
        found.map(|(place, _)| place).collect()
    }

    /// Tells clients which of the keys they were shown have changed.
    pub(super) fn tell_followers(&mut self) {
        let touched = self.keys.follow(|followed| followed.take_touched());
        if touched.is_empty() {
            return;
        }
        for Touched { key, followers, by_itself } in &touched {
            for follower in followers {
                if self.is_told(*follower, *by_itself) {
                    self.tell_forgotten(follower.0, Some(&[&**key]));
                }
            }
        }
        let keys = touched.iter().map(|touched| (&*touched.key, touched.by_itself)).collect();
        self.tell_broadcast(&keys);
    }

    /// Whether one who was shown a key is to be told of it, which may have gone by itself.
    fn is_told(&self, (place, id): Follower, by_itself: bool) -> bool {
        let session = self.sessions.get(place).and_then(Option::as_deref);
        let Some(client) = session.map(|session| &session.client) else { return false };
        client.id == id
            && client.tracking.as_deref().is_some_and(|tracking| {
                let is_own = place == self.speaker && !by_itself;
                tracking.mode != Mode::Broadcast && !(tracking.noloop && is_own)
            })
    }

    /// Makes room for a call that is about to be made. Who was shown what goes for it is told before
    /// the call is answered, unless it may yet come back.
    #[cold]
    pub(super) fn make_room_and_tell(&mut self) {
        self.keys.make_room();
        if !self.keys.in_section() {
            self.tell_followers();
        }
    }

    /// Tells those who want to know of all keys with certain prefixes, prefix by prefix. Of each key
    /// is known whether it went by itself.
    fn tell_broadcast(&mut self, keys: &BTreeMap<&[u8], bool>) {
        let mode = |session: &Session| session.client.tracking.as_deref().map(|t| t.mode);
        for place in self.places(|session| mode(session) == Some(Mode::Broadcast)) {
            let session = self.sessions.get(place).and_then(Option::as_deref);
            let Some(tracking) = session.and_then(|s| s.client.tracking.as_deref()) else {
                continue;
            };
            let skips_own = tracking.noloop && place == self.speaker;
            let told = |(_, by_itself): &(&&[u8], &bool)| !skips_own || **by_itself;
            for prefix in tracking.prefixes.clone() {
                let told = keys.iter().filter(told).map(|(key, _)| *key);
                let with: Vec<&[u8]> = told.filter(|key| key.starts_with(&prefix)).collect();
                if !with.is_empty() {
                    self.tell_forgotten(place, Some(&with));
                }
            }
        }
    }

    /// Tells a client, or the one it has named instead, to forget keys; all of them with none.
    fn tell_forgotten(&mut self, place: usize, keys: Option<&[&[u8]]>) {
        let redirect = self
            .session(place)
            .and_then(|session| session.client.tracking.as_deref())
            .and_then(|tracking| tracking.redirect);
        let target = match redirect {
            None => Some(place),
            Some(id) => {
                let is = |session: &Session| session.client.id == id && !session.client.closing;
                self.places(is).first().copied()
            }
        };
        let Some(target) = target else { return self.tell_broken(place) };
        let Some(session) = self.session(target) else { return };
        let client = &session.client;
        let mut message = ReplyBuf::new();
        match client.protocol() {
            Protocol::Resp3 => {
                message.push(2);
                message.bulk(b"invalidate");
            }
            // Without a redirection nobody in RESP2 can be told, who does not listen at all neither.
            Protocol::Resp2 if redirect.is_some() && !client.listening.is_empty() => {
                message.push(3);
                message.bulk(b"message");
                message.bulk(INVALIDATE);
            }
            Protocol::Resp2 => return,
        }
        match keys {
            None => message.null(),
            Some(keys) => {
                message.array(keys.len());
                keys.iter().for_each(|key| message.bulk(key));
            }
        }
        self.send(target, message);
    }

    /// The client that was to be told in another's place is gone.
    fn tell_broken(&mut self, place: usize) {
        let Some(session) = self.session(place) else { return };
        let Some(tracking) = session.client.tracking.as_deref_mut() else { return };
        tracking.broken = true;
        let id = tracking.redirect.unwrap_or(0);
        if session.client.protocol() == Protocol::Resp3 {
            let mut message = ReplyBuf::new();
            message.push(2);
            message.bulk(b"tracking-redir-broken");
            message.integer(id as i64);
            self.send(place, message);
        }
    }

    fn send(&mut self, place: usize, message: ReplyBuf) {
        let State { keys, sessions, bells, orders, .. } = self;
        let (now, limits) = (keys.now(), keys.news().output_limits);
        Post { sessions, bells, limits, orders, now }.send(place, message);
    }

    /// Shows the calls that were seen to those who see every call.
    pub(super) fn show_monitors(&mut self) {
        if !self.keys.news().is_monitored() {
            return;
        }
        for line in self.keys.news_mut().take_seen() {
            for place in self.places(|session| session.client.monitors) {
                let mut message = ReplyBuf::new();
                message.status(line.as_bytes());
                self.send(place, message);
            }
        }
    }

    /// What a door's client has to be written for a call: the reply, if it wants one, and before it
    /// what it was told until then.
    pub(super) fn conclude(&mut self, id: usize, waits: bool, reply: &mut ReplyBuf) {
        if !self.keys.in_section() && self.keys.news().is_pending() {
            self.deliver(false);
        }
        // To the second is enough, so the time is not read for it.
        let now = self.keys.clock().latest_ms();
        let Some(session) = self.session(id) else { return };
        let client = &mut session.client;
        client.seen_ms = now;
        if waits {
            return;
        }
        if client.replies != crate::clients::Replies::All && client.swallows_reply() {
            reply.keep_pushed();
        }
        if client.mailbox.is_filled() {
            let mut all = ReplyBuf::new();
            while let Some(message) = client.mailbox.take() {
                all.append(&message);
            }
            all.append(reply);
            *reply = all;
        }
    }
}

/// What CLIENT has the engine do.
impl State {
    /// The engine is closed: nobody is told anything any more.
    pub(super) fn close_mailboxes(&mut self) {
        for session in self.sessions.iter().flatten() {
            session.client.mailbox.close();
            self.bells.add(&session.client.mailbox);
        }
    }

    /// Does what calls have left to be done.
    pub(super) fn carry_out(&mut self) {
        while let Some(order) = self.orders.pop() {
            match order {
                Order::Close(place) => self.hang_up(place),
                Order::Unblock { place, with_error } => self.unblock(place, with_error),
                Order::Resume => self.waiters.end_all_of(WaitKind::Pause),
                Order::Acknowledge => self.serve_acknowledged(),
                Order::AskReplicas => self.ask_replicas(),
                Order::LookAgain => self.expire_waited(),
                Order::Feed(place) => self.ring(place),
            }
        }
    }

    /// Looks at the keys that calls wait for. One that has expired is removed, as a step of its own.
    fn expire_waited(&mut self) {
        for name in self.waiters.names() {
            self.keys.in_database(name.database, |keys| _ = keys.slot_unused(&name.key));
        }
        if !self.keys.in_section() {
            self.deliver(true);
        }
    }

    /// Closes a client: whatever it has to do with others ends now, its connection when its door
    /// has written what there is for it.
    fn hang_up(&mut self, place: usize) {
        self.end_wait_of(place, |reply| {
            reply.error(&CommandError::text("ERR the session is closed"));
        });
        self.retire(place);
        if let Some(session) = self.session(place) {
            session.client.mailbox.close();
            let mailbox = Arc::clone(&session.client.mailbox);
            self.bells.add(&mailbox);
        }
    }

    fn unblock(&mut self, place: usize, with_error: bool) {
        self.end_wait_of(place, |reply| match with_error {
            true => {
                let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
                reply.error(&CommandError::text(text));
            }
            false => reply.null_array(),
        });
    }

    /// Ends the wait of the session in a place, if it waits for a key, with a reply.
    fn end_wait_of(&mut self, place: usize, write: impl FnOnce(&mut ReplyBuf)) {
        let Some(ticket) = self.waiters.ticket_of(place) else { return };
        if ticket.claim() {
            self.forget_wait(&ticket);
            let mut reply = ReplyBuf::new();
            write(&mut reply);
            ticket.serve(reply);
        }
    }

    /// Puts a call off while calls like it are paused.
    #[cold]
    pub(super) fn put_off(
        &mut self,
        id: usize,
        pause: Pause,
        call: Call<'_>,
    ) -> Option<Box<Waits>> {
        let left = pause.until_ms - self.keys.now();
        if left <= 0 {
            self.keys.news_mut().pause = None;
            return None;
        }
        if self.sections(id) > 0 {
            return None;
        }
        let argv = self.argv_of(call)?;
        if pause.writes_only && !self.may_write(id, &argv.slices()) {
            return None;
        }
        let database = self.keys.database();
        let wait = Wait {
            keys: Vec::new(),
            kind: WaitKind::Pause,
            timeout_ms: Some(left),
            argv,
            refused: Otherwise::Null,
        };
        Some(self.begin_wait(id, database, wait))
    }

    /// Whether a call may change data, or what EXEC would run may.
    fn may_write(&self, id: usize, argv: &[&[u8]]) -> bool {
        let session = self.sessions.get(id).and_then(Option::as_deref);
        let queue = session.and_then(|session| session.queue.as_ref());
        let Some(flags) = command::flags_of_call(argv) else { return false };
        let writes = flags.has_any(Flags::WRITE.and(Flags::MAY_WRITE));
        match queue {
            None => writes,
            Some(queue) if flags.has(Flags::UNQUEUED) => queue.commands.iter().any(|argv| {
                command::flags_of_call(&argv.slices())
                    .is_some_and(|flags| flags.has_any(Flags::WRITE.and(Flags::MAY_WRITE)))
            }),
            Some(_) => false,
        }
    }

    /// The time of a wait is up: a call that was put off is made now.
    pub(super) fn end_pause(
        &mut self,
        ticket: &Arc<super::waiting::Ticket>,
        outcome: &Outcome,
        reply: &mut ReplyBuf,
    ) -> Replayed {
        let Some(waiter) = self.forget_wait(ticket) else { return Replayed::No };
        let argv = &waiter.wait.argv.slices();
        if let WaitKind::Replicas { offset, .. } = waiter.wait.kind
            && matches!(outcome, Outcome::TimedOut)
        {
            reply.count(self.acknowledging(offset));
            return Replayed::Done;
        }
        if waiter.wait.kind != WaitKind::Pause {
            command::count_waited(&mut self.server, argv);
            return Replayed::No;
        }
        if !matches!(outcome, Outcome::TimedOut) {
            return Replayed::No;
        }
        match self.call(waiter.session, Call::Command(argv), reply) {
            None => Replayed::Done,
            Some(waits) => Replayed::Waits(waiter.session, waits),
        }
    }
}

/// What became of a call that was put off.
pub(super) enum Replayed {
    /// It was not put off.
    No,
    Done,
    Waits(usize, Box<Waits>),
}

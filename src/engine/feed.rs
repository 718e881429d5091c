//! What replicas are sent: effects, signs of life, and the question how far they have got.

use super::state::State;
use crate::clients::{Effect, Replica, words};
use crate::reply::ReplyBuf;
use crate::session::Order;
use std::sync::Arc;

/// What replicas are asked, to which they answer with the bytes that they have got.
const ASK: [&[u8]; 3] = [words::REPLCONF, b"GETACK", b"*"];

impl State {
    /// Sends replicas what a step has done, and notes how far the feed had got then for who did it.
    pub(super) fn feed(&mut self, effects: &[Effect]) {
        let feed = &mut self.keys.news_mut().feed;
        let bytes = feed.write(effects);
        let offset = feed.offset();
        self.send_replicas(&bytes);
        let speaker = self.speaker;
        if let Some(session) = self.session(speaker) {
            session.client.changed_at = offset;
        }
    }

    /// Puts bytes into the mailboxes of all replicas, and gives up one that leaves too much untaken.
    fn send_replicas(&mut self, bytes: &[u8]) {
        let (now, limit) = (self.keys.now(), self.keys.news().output_limits.replica);
        for place in self.places(|session| session.client.is_replica()) {
            let Some(session) = self.session(place) else { continue };
            let client = &mut session.client;
            let piled_up = client.mailbox.feed(bytes);
            if limit.closes(piled_up, now, &mut client.over_since) {
                client.mailbox.clear();
                client.closing = true;
                self.orders.push(Order::Close(place));
            }
            self.ring(place);
        }
    }

    /// Wakes the door of the session in a place.
    pub(super) fn ring(&mut self, place: usize) {
        if let Some(session) = self.session(place) {
            let mailbox = Arc::clone(&session.client.mailbox);
            self.bells.add(&mailbox);
        }
    }

    /// Does for replicas what is done now and then: shows them that somebody is here, and gives up
    /// those that have been silent for too long.
    pub(super) fn look_after_replicas(&mut self) {
        if !self.keys.news().feed.is_open() {
            return self.server.set_good_replicas(0);
        }
        self.count_replicas();
        let now = self.keys.now();
        let ms = |name| self.server.config.number(name).saturating_mul(1000);
        let (period, most) = (ms("repl-ping-replica-period"), ms("repl-timeout"));
        let is_silent = |replica: &Replica| {
            replica.begun && replica.acknowledges && now - replica.heard_ms > most
        };
        let silent =
            self.places(|session| session.client.replica.as_deref().is_some_and(is_silent));
        for place in silent {
            if let Some(session) = self.session(place) {
                session.client.closing = true;
            }
            self.orders.push(Order::Close(place));
        }
        let feed = &mut self.keys.news_mut().feed;
        if now - feed.pinged_ms >= period {
            feed.pinged_ms = now;
            let bytes = feed.write_other(&[words::PING]);
            self.send_replicas(&bytes);
        }
        self.carry_out();
    }

    /// Asks replicas how far they have got.
    pub(super) fn ask_replicas(&mut self) {
        if self.keys.news().feed.is_open() {
            let bytes = self.keys.news_mut().feed.write_other(&ASK);
            self.send_replicas(&bytes);
        }
    }

    /// How many replicas say that they have got as far as this.
    pub(super) fn acknowledging(&self, offset: u64) -> usize {
        let sessions = self.sessions.iter().flatten();
        sessions.filter(|session| session.client.has_acknowledged(offset)).count()
    }

    /// Counts the replicas that were heard of lately: with too few nothing is to be written.
    fn count_replicas(&mut self) {
        let most_ms = self.server.config.number("min-replicas-max-lag").saturating_mul(1000);
        let now = self.keys.now();
        let is_good = |replica: &Replica| replica.begun && now - replica.heard_ms <= most_ms;
        let sessions = self.sessions.iter().flatten();
        let replicas = sessions.filter_map(|session| session.client.replica.as_deref());
        let good = replicas.filter(|replica| is_good(replica)).count();
        self.server.set_good_replicas(good);
    }

    /// Ends the waits for replicas that are over now.
    pub(super) fn serve_acknowledged(&mut self) {
        self.count_replicas();
        let mut from = 0;
        while let Some((place, count, offset)) = self.waiters.next_for_replicas(from) {
            from = place + 1;
            let acknowledging = self.acknowledging(offset);
            let Some(ticket) = self.waiters.ticket_at(place) else { return };
            if acknowledging >= count && ticket.claim() {
                self.forget_wait(&ticket);
                let mut reply = ReplyBuf::new();
                reply.count(acknowledging);
                ticket.serve(reply);
                from = place;
            }
        }
    }
}

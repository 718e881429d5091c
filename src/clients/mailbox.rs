//! What is told to one client out of turn: messages, until its door takes them.
//!
//! Whoever has something to tell holds the engine's lock and puts it here; the door is woken once
//! that lock is given back. A door that does not take what there is for it is given up: beyond the
//! limits the mailbox is emptied and the client is to be closed.

use crate::reply::{Protocol, ReplyBuf};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Called when there is something in a mailbox, or its client is to be closed. It may be called
/// from any thread, and must not call the engine.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// What is told to one client.
#[derive(Default)]
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Condvar,
    /// Whether there are any: asked before each call without taking the lock.
    filled: AtomicBool,
    /// Whether the client is to be closed once it has been written what there is.
    closing: AtomicBool,
    /// Whether replies are in RESP3.
    resp3: AtomicBool,
    /// Whether the client has yet to say who it is.
    stranger: AtomicBool,
    /// Whether the client is a replica, which takes bytes that are no replies.
    replica: AtomicBool,
}

#[derive(Default)]
struct Letters {
    messages: VecDeque<ReplyBuf>,
    bytes: usize,
    /// What a replica is sent, behind the messages.
    feed: Vec<u8>,
    /// How much of that is no effect: what it began with.
    snapshot: usize,
    waker: Option<Waker>,
}

impl Mailbox {
    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody woken, from now on, when there is something.
    pub(crate) fn set_waker(&self, waker: Option<Waker>) {
        self.letters().waker = waker;
    }

    /// Puts a message in; returns how many bytes are in there then.
    pub(crate) fn put(&self, message: ReplyBuf) -> usize {
        let mut letters = self.letters();
        letters.bytes += message.size();
        letters.messages.push_back(message);
        self.filled.store(true, Ordering::Release);
        letters.bytes
    }

    /// Takes the oldest message.
    pub(crate) fn take(&self) -> Option<ReplyBuf> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut letters = self.letters();
        let message = letters.messages.pop_front();
        letters.bytes -= message.as_ref().map_or(0, ReplyBuf::size);
        self.filled.store(!letters.messages.is_empty(), Ordering::Release);
        message
    }

    /// Makes the client a replica, which is sent a snapshot first.
    pub(crate) fn begin_feed(&self, snapshot: Vec<u8>) {
        let mut letters = self.letters();
        (letters.snapshot, letters.feed) = (snapshot.len(), snapshot);
        self.replica.store(true, Ordering::Release);
    }

    /// Adds to what a replica is sent; returns how much of it has piled up, the snapshot left out.
    pub(crate) fn feed(&self, bytes: &[u8]) -> usize {
        let mut letters = self.letters();
        letters.feed.extend_from_slice(bytes);
        letters.feed.len() - letters.snapshot
    }

    /// Takes what a replica is to be sent.
    pub(crate) fn take_feed(&self) -> Vec<u8> {
        if !self.is_replica() {
            return Vec::new();
        }
        let mut letters = self.letters();
        letters.snapshot = 0;
        std::mem::take(&mut letters.feed)
    }

    /// Whether the client is a replica.
    pub(crate) fn is_replica(&self) -> bool {
        self.replica.load(Ordering::Acquire)
    }

    /// Takes the oldest message, and waits for one for so long; none for as long as it takes. What
    /// ends the wait early is that the client is to be closed.
    pub(crate) fn take_within(&self, time: Option<Duration>) -> Option<ReplyBuf> {
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let mut letters = self.letters();
        while letters.messages.is_empty() && !self.is_closing() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            let woken = self.arrived.wait_timeout(letters, left.unwrap_or(LONG).min(LONG));
            letters = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(letters);
        self.take()
    }

    /// Whether there is a message.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// How many messages there are, and their bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        let letters = self.letters();
        (letters.messages.len(), letters.bytes + letters.feed.len())
    }

    /// Forgets all messages.
    pub(crate) fn clear(&self) {
        let mut letters = self.letters();
        letters.messages.clear();
        letters.feed = Vec::new();
        (letters.bytes, letters.snapshot) = (0, 0);
        self.filled.store(false, Ordering::Release);
    }

    /// The client is to be closed.
    pub(crate) fn close(&self) {
        // Under the lock, so that whoever waits has not looked at it just before.
        let _letters = self.letters();
        self.closing.store(true, Ordering::Release);
    }

    /// Whether the client is to be closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Wakes whoever waits for something.
    pub(crate) fn wake(&self) {
        self.arrived.notify_all();
        let waker = self.letters().waker.clone();
        if let Some(waker) = waker {
            waker();
        }
    }

    /// Whether the client has yet to say who it is, and is trusted with little until then.
    pub(crate) fn is_stranger(&self) -> bool {
        self.stranger.load(Ordering::Relaxed)
    }

    /// Notes whether it has.
    pub(crate) fn set_stranger(&self, stranger: bool) {
        self.stranger.store(stranger, Ordering::Relaxed);
    }

    /// The shape of replies, which HELLO chooses.
    pub(crate) fn protocol(&self) -> Protocol {
        match self.resp3.load(Ordering::Relaxed) {
            true => Protocol::Resp3,
            false => Protocol::Resp2,
        }
    }

    /// Chooses it.
    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.resp3.store(protocol == Protocol::Resp3, Ordering::Relaxed);
    }
}

/// Some systems cannot wait for ever.
const LONG: Duration = Duration::from_secs(3600);

/// The mailboxes whose doors are to be woken once the engine's lock is given back.
#[derive(Default)]
pub(crate) struct Bells {
    any: AtomicBool,
    waiting: Mutex<Vec<Arc<Mailbox>>>,
}

impl Bells {
    /// Something is in a mailbox.
    pub(crate) fn add(&self, mailbox: &Arc<Mailbox>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|other| Arc::ptr_eq(other, mailbox)) {
            waiting.push(Arc::clone(mailbox));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Wakes the doors of all these.
    #[inline]
    pub(crate) fn ring(&self) {
        if self.any.load(Ordering::Relaxed) {
            self.ring_all();
        }
    }

    #[cold]
    fn ring_all(&self) {
        self.any.store(false, Ordering::Release);
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        waiting.iter().for_each(|mailbox| mailbox.wake());
    }
}

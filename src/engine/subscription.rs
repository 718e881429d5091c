//! Messages of channels for the host: to wait for, to ask for, or to be called with.

use super::shared::this_thread;
use super::{Call, Engine, Session, slices};
use crate::clients::{Mailbox, Waker};
use crate::command::{PSUBSCRIBE, PUBLISH, PUNSUBSCRIBE, SUBSCRIBE, UNSUBSCRIBE};
use crate::error::Error;
use crate::reply::{Protocol, Reply, ReplyBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel it was published on.
    pub channel: Vec<u8>,
    /// The pattern by which it was listened for, if it was.
    pub pattern: Option<Vec<u8>>,
    /// What was published.
    pub payload: Vec<u8>,
}

/// One who listens to channels, as a connection to a Redis server does.
///
/// ```
/// use moonkv::Engine;
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// let news = engine.subscription()?;
/// news.subscribe(&["news"])?;
/// news.psubscribe(&["user:*"])?;
///
/// engine.command(&["PUBLISH", "user:7", "hello"])?;
/// let message = news.try_message().unwrap();
/// assert_eq!((message.channel, message.payload), (b"user:7".to_vec(), b"hello".to_vec()));
/// assert_eq!(message.pattern, Some(b"user:*".to_vec()));
/// # Ok(())
/// # }
/// ```
///
/// What a script or transaction publishes is told once that is over, and not at all if it is
/// undone. Dropped, it listens no more. Who takes nothing is closed one day, as
/// `client-output-buffer-limit` says.
#[derive(Debug)]
pub struct Subscription {
    session: Session,
    /// Who is called with the messages.
    hearer: Mutex<Option<Arc<Hearer>>>,
}

/// What is called with messages.
type Callback = Box<dyn Fn(Message) + Send + Sync>;

/// A callback that is called with messages.
struct Hearer {
    /// None once it is not to be called any more.
    callback: Mutex<Option<Callback>>,
    /// Marks the thread that is in it, 0 for none.
    inside: AtomicUsize,
}

impl Hearer {
    /// Calls it with all there is. While a thread is in it the messages of others are left to that.
    fn hear(&self, mailbox: &Mailbox) {
        while mailbox.is_filled() {
            let Ok(callback) = self.callback.try_lock() else { return };
            let Some(callback) = &*callback else { return };
            self.inside.store(this_thread(), Ordering::Relaxed);
            while let Some(message) = mailbox.take() {
                message_of(&message).into_iter().for_each(callback);
            }
            self.inside.store(0, Ordering::Relaxed);
        }
    }

    /// Calls it no more; waits for a thread that is in it, unless it is this one.
    fn end(&self) {
        if self.inside.load(Ordering::Relaxed) != this_thread() {
            self.callback.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

impl std::fmt::Debug for Hearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearer").finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens a subscription, to nothing yet.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub fn subscription(&self) -> Result<Subscription, Error> {
        Ok(Subscription { session: self.session()?, hearer: Mutex::default() })
    }

    /// Tells a message to those who listen to a channel; returns how many do.
    ///
    /// # Errors
    /// As [`Engine::command`].
    pub fn publish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<usize, Error> {
        let argv = [PUBLISH.as_bytes(), channel.as_ref(), payload.as_ref()];
        let heard = self.command(&argv)?.as_integer().unwrap_or(0);
        Ok(usize::try_from(heard).unwrap_or(0))
    }
}

impl Subscription {
    /// Listens to channels.
    ///
    /// # Errors
    /// [`Error::Reply`] if it was closed; or as [`Engine::call`].
    pub fn subscribe<C: AsRef<[u8]>>(&self, channels: &[C]) -> Result<(), Error> {
        self.run(SUBSCRIBE, channels)
    }

    /// Listens to all channels whose names match patterns.
    ///
    /// # Errors
    /// As [`Subscription::subscribe`].
    pub fn psubscribe<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Result<(), Error> {
        self.run(PSUBSCRIBE, patterns)
    }

    /// Listens to channels no more; to none at all if none is given.
    ///
    /// # Errors
    /// As [`Subscription::subscribe`].
    pub fn unsubscribe<C: AsRef<[u8]>>(&self, channels: &[C]) -> Result<(), Error> {
        self.run(UNSUBSCRIBE, channels)
    }

    /// Listens by patterns no more; by none at all if none is given.
    ///
    /// # Errors
    /// As [`Subscription::subscribe`].
    pub fn punsubscribe<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Result<(), Error> {
        self.run(PUNSUBSCRIBE, patterns)
    }

    fn run<A: AsRef<[u8]>>(&self, command: &str, names: &[A]) -> Result<(), Error> {
        let names = slices(names);
        if names.is_empty() && [SUBSCRIBE, PSUBSCRIBE].contains(&command) {
            return Ok(());
        }
        let argv = [&[command.as_bytes()][..], &names].concat();
        let mut reply = ReplyBuf::new();
        self.session.call(Call::Command(&argv), &mut reply)?;
        match reply.to_reply(Protocol::Resp2) {
            Reply::Error(message) => Err(Error::reply(message)),
            _ => Ok(()),
        }
    }

    /// The oldest message that was not taken yet, if there is one.
    pub fn try_message(&self) -> Option<Message> {
        std::iter::from_fn(|| self.session.mailbox().take())
            .find_map(|message| message_of(&message))
    }

    /// The same; waits for one for so long, or without a time for as long as it takes. None also
    /// once the engine is closed.
    pub fn message(&self, timeout: Option<Duration>) -> Option<Message> {
        message_of(&self.session.mailbox().take_within(timeout)?)
    }

    /// All messages from now on, as they come; the end is that of the engine.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        std::iter::from_fn(|| self.message(None))
    }

    /// Whether nothing will come any more: it was given up, or the engine closed.
    pub fn is_closed(&self) -> bool {
        self.session.is_closing()
    }

    /// Has a callback called with each message rather than that it waits to be taken: on the
    /// thread that has published it, once the engine can be called again. Messages come one after
    /// the other and in order, whoever publishes them; while it is called with one, those that
    /// others publish are left to it. Without a callback they wait to be taken again.
    ///
    /// The callback there was is not called any more once this returns, or the subscription is
    /// dropped: either waits for a thread that is in it, unless it is this very thread.
    pub fn on_message(&self, callback: Option<Box<dyn Fn(Message) + Send + Sync>>) {
        let mailbox = self.session.mailbox();
        let hearer = callback.map(|callback| {
            let callback = Mutex::new(Some(callback));
            Arc::new(Hearer { callback, inside: AtomicUsize::new(0) })
        });
        let own = hearer.clone();
        let mut place = self.hearer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, hearer);
        mailbox.set_waker(own.map(|hearer| {
            // Weakly, or the mailbox would hold itself.
            let mailbox = Arc::downgrade(mailbox);
            let hear = move || {
                let Some(mailbox) = mailbox.upgrade() else { return };
                hearer.hear(&mailbox);
            };
            Arc::new(hear) as Waker
        }));
        drop(place);
        before.into_iter().for_each(|before| before.end());
        mailbox.wake();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.on_message(None);
    }
}

/// A message, if that is what was told.
fn message_of(told: &ReplyBuf) -> Option<Message> {
    let reply = told.to_reply(Protocol::Resp2);
    let text = |part: &Reply| part.as_bytes().unwrap_or_default().to_vec();
    match reply.as_array()? {
        [_, channel, payload] => {
            Some(Message { channel: text(channel), pattern: None, payload: text(payload) })
        }
        [_, pattern, channel, payload] => Some(Message {
            channel: text(channel),
            pattern: Some(text(pattern)),
            payload: text(payload),
        }),
        _ => None,
    }
}

//! The RESP door: any Redis client talks to the engine through a socket.
//!
//! One thread per listener runs an event loop (`event_loop.rs`); each connection (`connection.rs`)
//! has a session of its own, and its requests are calls on that session, made on the loop's thread.
//! This room knows sockets and bytes. What a command is it does not know.

mod acceptor;
mod connection;
mod event_loop;
mod options;
mod output;
mod stream;
mod wakeups;

pub use options::ListenOptions;

use crate::engine::Engine;
use crate::error::Error;
use acceptor::Acceptor;
use event_loop::EventLoop;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use wakeups::Wakeups;

/// An engine that listens: any Redis client can call it through a socket.
///
/// It ends when it is dropped, or the engine is: its clients are disconnected, and its thread and
/// sockets are gone by then.
#[derive(Debug)]
pub struct Listener {
    addresses: Vec<SocketAddr>,
    unix: Option<PathBuf>,
    wakeups: Arc<Wakeups>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Listens on sockets, on a thread of its own. Clients and this process work on the same keys:
    /// each client is a [`crate::Session`].
    ///
    /// ```
    /// use moonkv::{Engine, ListenOptions, Reply};
    /// use std::io::{Read, Write};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new()?;
    /// let listener = engine.listen(&ListenOptions::default())?;
    ///
    /// let mut client = std::net::TcpStream::connect(listener.addresses()[0])?;
    /// client.write_all(b"INCR visits\r\n")?;
    /// let mut reply = [0; 4];
    /// client.read_exact(&mut reply)?;
    /// assert_eq!(&reply, b":1\r\n");
    /// assert_eq!(engine.command(&["GET", "visits"])?, Reply::Bulk(b"1".to_vec()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Listen`] if an address cannot be had, or others can reach it and neither a password
    /// is set nor [`ListenOptions::exposed`]; or as [`Engine::call`].
    pub fn listen(&self, options: &ListenOptions) -> Result<Listener, Error> {
        let acceptors = acceptor::bind(options)?;
        let addresses = acceptors.iter().filter_map(Acceptor::address).collect();
        if let Some(password) = &options.password {
            self.set_password(password)?;
        }
        let failed = |error: std::io::Error| Error::Listen { message: error.to_string() };
        let door = self.door()?;
        let limits = door.limits()?;
        door.allow_following()?;
        let event_loop = EventLoop::new(acceptors, door, limits).map_err(failed)?;
        let event_loop = Arc::new(event_loop);
        let wakeups = Arc::clone(event_loop.wakeups());
        let thread = thread::Builder::new().name("moonkv-listen".to_owned());
        let thread = thread.spawn(move || event_loop.run()).map_err(failed)?;
        Ok(Listener { addresses, unix: options.unix.clone(), wakeups, thread: Some(thread) })
    }
}

impl Listener {
    /// The TCP addresses it listens on, with the ports that were picked.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The TCP port; none if it listens on a Unix socket only.
    pub fn port(&self) -> Option<u16> {
        self.addresses.first().map(SocketAddr::port)
    }

    /// The path of the Unix socket, if it listens on one.
    pub fn unix(&self) -> Option<&Path> {
        self.unix.as_deref()
    }

    /// Disconnects all clients and stops listening; returns when that is done. Dropping the
    /// listener does the same.
    pub fn close(self) {}

    /// Whether the listener has ended: because the engine is closed, as long as nobody closes this.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the listener has ended: because the engine is closed, as long as nobody closes
    /// this.
    pub fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A loop that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.wakeups.stop();
        // Dropped from within a call that a client made, it ends when that call has.
        let own = self.thread.as_ref().is_some_and(|it| it.thread().id() == thread::current().id());
        if !own {
            self.wait();
        }
    }
}

impl std::fmt::Debug for Wakeups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wakeups").finish_non_exhaustive()
    }
}

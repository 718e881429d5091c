//! The connection to a master: what is said, lines, and the file of all its data.

use crate::error::Error;
use crate::persist::Damage;
use crate::resp;
use memchr::memmem;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a read looks whether it is to end.
const STEP: Duration = Duration::from_millis(50);

/// The longest try to connect.
const CONNECT_MOST: Duration = Duration::from_secs(2);

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Nothing that is answered in the beginning is longer.
const LINE_MOST: usize = 4 << 10;

/// What stands for the end of a file whose length nobody knows.
const MARK_BYTES: usize = 40;

/// Why a link is over.
#[derive(Debug)]
#[expect(dead_code, reason = "what is in it is for those who look")]
pub(super) enum Broken {
    Socket(io::Error),
    /// Nothing was heard for too long.
    Silence,
    /// The master does not do what it is asked for.
    Refused(String),
    File(Damage),
    /// What came is no request.
    Stream,
    Engine(Error),
    /// It is not to be followed any more.
    Unwanted,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Socket(error)
    }
}

/// A connection.
pub(super) struct Link {
    socket: TcpStream,
    peer: String,
    /// What has come and was not used yet.
    unread: Vec<u8>,
    chunk: Vec<u8>,
    heard: Instant,
    patience: Duration,
    stop: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn open(
        host: &str,
        port: u16,
        patience: Duration,
        stop: &Arc<AtomicBool>,
    ) -> Result<Link, Broken> {
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_MOST.min(patience)) {
                Ok(socket) => return Link::new(socket, address.to_string(), patience, stop),
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    fn new(
        socket: TcpStream,
        peer: String,
        patience: Duration,
        stop: &Arc<AtomicBool>,
    ) -> Result<Link, Broken> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(STEP))?;
        socket.set_write_timeout(Some(patience))?;
        Ok(Link {
            socket,
            peer,
            unread: Vec::new(),
            chunk: vec![0; CHUNK_BYTES],
            heard: Instant::now(),
            patience,
            stop: Arc::clone(stop),
        })
    }

    /// The address of the master.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// What has come and was not used yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// So many bytes of that were used.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.unread.drain(..bytes.min(self.unread.len()));
    }

    /// Reads what has come; returns after a moment in which nothing does.
    pub(super) fn read_some(&mut self) -> Result<(), Broken> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Broken::Unwanted);
        }
        match self.socket.read(&mut self.chunk) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(len) => {
                self.unread.extend_from_slice(self.chunk.get(..len).unwrap_or_default());
                self.heard = Instant::now();
                Ok(())
            }
            Err(error) if is_nothing(&error) && self.heard.elapsed() < self.patience => Ok(()),
            Err(error) if is_nothing(&error) => Err(Broken::Silence),
            Err(error) => Err(error.into()),
        }
    }

    /// Says something.
    pub(super) fn say(&mut self, words: &[&[u8]]) -> Result<(), Broken> {
        let mut request = Vec::new();
        resp::request(words, &mut request);
        Ok(self.socket.write_all(&request)?)
    }

    /// Says something; returns the line that is answered.
    pub(super) fn ask(&mut self, words: &[&[u8]]) -> Result<String, Broken> {
        self.say(words)?;
        self.line()
    }

    /// The same where anything but a yes is the end.
    pub(super) fn ask_ok(&mut self, words: &[&[u8]]) -> Result<(), Broken> {
        let answer = self.ask(words)?;
        if answer.starts_with('+') { Ok(()) } else { Err(Broken::Refused(answer)) }
    }

    /// A line that has something on it: empty ones say that the other end lives.
    fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    return Ok(line);
                }
            } else if self.unread.len() > LINE_MOST {
                return Err(Broken::Stream);
            } else {
                self.read_some()?;
            }
        }
    }

    /// The file of all data: its length is told, or what stands for its end.
    pub(super) fn file(&mut self) -> Result<Vec<u8>, Broken> {
        let head = self.line()?;
        let head = head.strip_prefix('$').ok_or_else(|| Broken::Refused(head.clone()))?;
        if let Some(mark) = head.strip_prefix("EOF:").filter(|mark| mark.len() == MARK_BYTES) {
            return self.file_up_to(mark.as_bytes());
        }
        let len: usize = head.parse().map_err(|_| Broken::Refused(head.to_owned()))?;
        while self.unread.len() < len {
            self.read_some()?;
        }
        Ok(self.unread.drain(..len).collect())
    }

    fn file_up_to(&mut self, mark: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut seen = 0;
        loop {
            let unseen = self.unread.get(seen..).unwrap_or_default();
            if let Some(at) = memmem::find(unseen, mark) {
                let file = self.unread.drain(..seen + at).collect();
                self.forget(mark.len());
                return Ok(file);
            }
            // The mark may have come in part.
            seen = self.unread.len().saturating_sub(mark.len());
            self.read_some()?;
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

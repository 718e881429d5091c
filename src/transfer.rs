//! Handing keys to another server: a connection, requests all at once, and the lines they are
//! answered with.
//!
//! This room knows bytes and sockets, and no keys. What it does takes as long as the other server
//! does, up to a time for each step.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest line that is read of an answer.
const LINE_MOST: u64 = 4 << 10;

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Connect,
    Write,
    Read,
}

/// A connection to another server.
pub(crate) struct Target(BufReader<TcpStream>);

impl Target {
    /// Connects to a server; no step takes longer than a time.
    pub(crate) fn open(host: &str, port: u16, patience: Duration) -> Result<Target, Failure> {
        let addresses = (host, port).to_socket_addrs().map_err(|_| Failure::Connect)?;
        let mut failure = Failure::Connect;
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(socket) => {
                    let limited = socket
                        .set_read_timeout(Some(patience))
                        .and_then(|()| socket.set_write_timeout(Some(patience)))
                        .and_then(|()| socket.set_nodelay(true));
                    return limited
                        .map(|()| Target(BufReader::new(socket)))
                        .map_err(|_| Failure::Connect);
                }
                // Redis learns of one that does not listen when it writes.
                Err(error) if error.kind() != io::ErrorKind::TimedOut => failure = Failure::Write,
                Err(_) => failure = Failure::Connect,
            }
        }
        Err(failure)
    }

    /// Sends requests, all together.
    pub(crate) fn send(&mut self, requests: &[u8]) -> Result<(), Failure> {
        self.0.get_mut().write_all(requests).map_err(|_| Failure::Write)
    }

    /// The line of the next answer; an error as what it says.
    pub(crate) fn answer(&mut self) -> Result<Result<(), Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(LINE_MOST).read_until(b'\n', &mut line);
        if read.is_err() || !line.ends_with(b"\n") {
            return Err(Failure::Read);
        }
        let line = line.trim_ascii_end();
        Ok(match line.strip_prefix(b"-") {
            Some(error) => Err(error.to_vec()),
            None => Ok(()),
        })
    }
}

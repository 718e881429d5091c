//! The two kinds of socket behind one type.

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};

/// A connected socket.
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Does the same with either socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $work:expr) => {
        match $stream {
            Stream::Tcp($socket) => $work,
            #[cfg(unix)]
            Stream::Unix($socket) => $work,
        }
    };
}

impl Stream {
    /// The number the system knows it by.
    #[cfg(unix)]
    pub(super) fn descriptor(&self) -> i64 {
        use std::os::fd::AsRawFd;
        i64::from(either!(self, socket => socket.as_raw_fd()))
    }

    /// There is none that others would know.
    #[cfg(not(unix))]
    pub(super) fn descriptor(&self) -> i64 {
        -1
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => socket.read(buffer))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, socket => socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        either!(self, socket => socket.register(registry, token, what))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        either!(self, socket => socket.reregister(registry, token, what))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        either!(self, socket => socket.deregister(registry))
    }
}

//! Sockets that are listened on: how they are bound, and what comes out of them.

use super::ListenOptions;
use super::stream::Stream;
use crate::clients::Origin;
use crate::error::Error;
use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A socket that is listened on.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

/// Binds all that the options ask for.
pub(super) fn bind(options: &ListenOptions) -> Result<Vec<Acceptor>, Error> {
    let mut acceptors = Vec::new();
    if let Some(mut port) = options.port {
        for host in &options.bind {
            let address = resolve(host, port)?;
            check_exposed(options, address)?;
            let listener = tcp(address, options.backlog).map_err(|e| refused(&address, &e))?;
            // One port for all addresses, whoever picked it.
            port = listener.local_addr().map_or(port, |bound| bound.port());
            acceptors.push(Acceptor::Tcp(listener));
        }
    }
    if let Some(path) = &options.unix {
        acceptors.push(unix(path, options)?);
    }
    match acceptors.is_empty() {
        true => Err(listen_error("neither a port nor a Unix socket is given")),
        false => Ok(acceptors),
    }
}

fn listen_error(message: impl Into<String>) -> Error {
    Error::Listen { message: message.into() }
}

fn refused(address: &dyn Display, error: &dyn Display) -> Error {
    listen_error(format!("{address}: {error}"))
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let name = if host == "*" { "0.0.0.0" } else { host };
    let mut found = (name, port).to_socket_addrs().map_err(|error| refused(&host, &error))?;
    found.next().ok_or_else(|| refused(&host, &"no such address"))
}

/// Whoever can reach an engine can do as he likes with it: not by oversight.
fn check_exposed(options: &ListenOptions, address: SocketAddr) -> Result<(), Error> {
    let has_password = options.password.as_ref().is_some_and(|password| !password.is_empty());
    match address.ip().is_loopback() || has_password || options.exposed {
        true => Ok(()),
        false => {
            Err(refused(&address, &"others can reach this address: set a password, or `exposed`"))
        }
    }
}

fn tcp(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(unix)]
fn unix(path: &Path, options: &ListenOptions) -> Result<Acceptor, Error> {
    let bound = || {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Before anybody can connect.
        if let Some(mode) = options.unix_permissions {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        Ok(UnixListener::from_std(socket.into()))
    };
    let bound = bound().map_err(|error: io::Error| refused(&path.display(), &error))?;
    Ok(Acceptor::Unix(bound, path.to_owned()))
}

#[cfg(not(unix))]
fn unix(path: &Path, _options: &ListenOptions) -> Result<Acceptor, Error> {
    Err(refused(&path.display(), &"there are no Unix sockets on this system"))
}

/// Removes the socket of a listener that is gone; anything else stays, and is in the way.
#[cfg(unix)]
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

impl Acceptor {
    /// The address of a TCP socket.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Acceptor::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Acceptor::Unix(..) => None,
        }
    }

    /// Accepts one connection; none if none waits.
    pub(super) fn accept(
        &self,
        keepalive: Option<Duration>,
    ) -> io::Result<Option<(Stream, Origin)>> {
        let accepted = match self {
            Acceptor::Tcp(listener) => accept_tcp(listener, keepalive),
            #[cfg(unix)]
            Acceptor::Unix(listener, path) => accept_unix(listener, path),
        };
        match accepted {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the loop told when somebody connects.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Acceptor::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Acceptor::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

fn accept_tcp(listener: &TcpListener, keepalive: Option<Duration>) -> io::Result<(Stream, Origin)> {
    let (socket, peer) = listener.accept()?;
    // A socket that is closed again already may refuse these; its first read tells.
    let _ = socket.set_nodelay(true);
    if let Some(time) = keepalive {
        let keepalive = TcpKeepalive::new().with_time(time);
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        let keepalive = keepalive.with_interval(time / 3).with_retries(3);
        let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
    }
    let local = socket.local_addr().map_or(String::new(), |local| local.to_string());
    let stream = Stream::Tcp(socket);
    let descriptor = stream.descriptor();
    Ok((stream, Origin { peer: peer.to_string(), local, descriptor, unix: false }))
}

#[cfg(unix)]
fn accept_unix(listener: &UnixListener, path: &Path) -> io::Result<(Stream, Origin)> {
    let (socket, _) = listener.accept()?;
    let stream = Stream::Unix(socket);
    let name = format!("{}:0", path.display());
    let descriptor = stream.descriptor();
    Ok((stream, Origin { peer: name.clone(), local: name, descriptor, unix: true }))
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        match self {
            Acceptor::Tcp(_) => (),
            // Nobody can connect to it any more; somebody may have removed it already.
            #[cfg(unix)]
            Acceptor::Unix(_, path) => drop(std::fs::remove_file(path)),
        }
    }
}

//! What commands are run on: an engine of the program's own, or a server at the other end of a
//! socket.

use moonkv::{Engine, Error, Options, Protocol, Reply, Session};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Where commands go.
pub(crate) enum Target {
    /// The engine is open for as long as it is held.
    Embedded {
        session: Session,
        _engine: Engine,
    },
    Remote(BufReader<Box<dyn Connection>>),
}

/// A socket of any kind.
pub(crate) trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

impl Target {
    /// An engine of its own with Redis's settings, or a server: `HOST:PORT`, or the path of a Unix
    /// socket.
    pub(crate) fn open(address: Option<&str>) -> Result<Target, String> {
        let Some(address) = address else {
            let engine = Engine::open(&Options::redis()).map_err(|error| error.to_string())?;
            let session = engine.session().map_err(|error| error.to_string())?;
            return Ok(Target::Embedded { session, _engine: engine });
        };
        let connection = connect(address).map_err(|error| format!("{address}: {error}"))?;
        Ok(Target::Remote(BufReader::new(connection)))
    }

    /// Runs a command; an error that it answers with is a reply.
    ///
    /// # Errors
    /// Where there is no reply.
    pub(crate) fn command(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Reply, String> {
        match self {
            Target::Embedded { session, .. } => match session.command(words) {
                Err(Error::Reply { message, .. }) => Ok(Reply::Error(message)),
                other => other.map_err(|error| error.to_string()),
            },
            Target::Remote(connection) => {
                let asked = connection.get_mut().write_all(&request(words));
                asked.and_then(|()| read_reply(connection)).map_err(|error| error.to_string())
            }
        }
    }

    /// What comes next from a server that was asked for no more than that.
    ///
    /// # Errors
    /// Where nothing will come.
    pub(crate) fn next_message(&mut self) -> Result<Reply, String> {
        match self {
            Target::Embedded { .. } => Err("nobody else can send messages".to_owned()),
            Target::Remote(connection) => read_reply(connection).map_err(|error| error.to_string()),
        }
    }

    /// Whether others can send messages.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Target::Remote(_))
    }

    /// Takes the messages that came out of turn.
    pub(crate) fn take_messages(&self) -> Vec<Reply> {
        let mut messages = Vec::new();
        if let Target::Embedded { session, .. } = self {
            session.take_messages(&mut |message| messages.push(message.to_reply(Protocol::Resp2)));
        }
        messages
    }
}

fn connect(address: &str) -> io::Result<Box<dyn Connection>> {
    #[cfg(unix)]
    if address.contains('/') {
        return Ok(Box::new(std::os::unix::net::UnixStream::connect(address)?));
    }
    let port_only = address.bytes().all(|byte| byte.is_ascii_digit());
    let address = if port_only { format!("127.0.0.1:{address}") } else { address.to_owned() };
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    Ok(Box::new(socket))
}

/// Words as a request.
fn request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads one reply of either protocol.
fn read_reply(from: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    let [kind, text @ .., b'\r', b'\n'] = line.as_slice() else {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let number = || text.parse::<i64>().map_err(|_| malformed(&text));
    let len = || number().map(|number| usize::try_from(number).ok());
    Ok(match kind {
        b'+' => Reply::Status(text),
        b'-' => Reply::Error(text),
        b':' => Reply::Integer(number()?),
        b'$' => match len()? {
            None => Reply::Null,
            Some(len) => Reply::Bulk(read_text(len, from)?),
        },
        b'*' | b'>' => match len()? {
            None => Reply::Null,
            Some(len) => Reply::Array(read_all(len, from)?),
        },
        b'~' => Reply::Set(read_all(len()?.unwrap_or(0), from)?),
        b'%' => {
            let pair = |_| Ok((read_reply(from)?, read_reply(from)?));
            Reply::Map((0..len()?.unwrap_or(0)).map(pair).collect::<io::Result<_>>()?)
        }
        b'_' => Reply::Null,
        b'#' => Reply::Boolean(text == "t"),
        b',' => Reply::Double(text.parse().map_err(|_| malformed(&text))?),
        b'(' => Reply::BigNumber(text),
        b'=' => {
            let whole = read_text(len()?.unwrap_or(0), from)?;
            let (format, text) = whole.split_at_checked(4).unwrap_or((b"txt:", &whole));
            let format = String::from_utf8_lossy(format).trim_end_matches(':').to_owned();
            Reply::Verbatim { format, text: text.to_vec() }
        }
        _ => return Err(malformed(&String::from_utf8_lossy(&line))),
    })
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no reply of Redis's: {what:?}"))
}

fn read_all(len: usize, from: &mut impl BufRead) -> io::Result<Vec<Reply>> {
    (0..len).map(|_| read_reply(from)).collect()
}

fn read_text(len: usize, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.by_ref().take(len as u64 + 2).read_to_end(&mut text)?;
    text.truncate(len);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Reply) {
        let read = read_reply(&mut bytes.as_bytes());
        assert_eq!(read.expect("it is a reply"), expected, "{bytes:?}");
    }

    #[test]
    fn replies_of_both_protocols() {
        let bulk = |text: &str| Reply::Bulk(text.into());
        check("+OK\r\n", Reply::Status("OK".into()));
        check("-ERR x\r\n", Reply::Error("ERR x".into()));
        check(":-7\r\n", Reply::Integer(-7));
        check("$3\r\na\r\n\r\n", bulk("a\r\n"));
        check("$-1\r\n", Reply::Null);
        check("*-1\r\n", Reply::Null);
        check("*2\r\n$0\r\n\r\n*0\r\n", Reply::Array(vec![bulk(""), Reply::Array(vec![])]));
        check(
            "%1\r\n+a\r\n:1\r\n",
            Reply::Map(vec![(Reply::Status("a".into()), Reply::Integer(1))]),
        );
        check("~1\r\n#t\r\n", Reply::Set(vec![Reply::Boolean(true)]));
        check(",1.5\r\n", Reply::Double(1.5));
        check("_\r\n", Reply::Null);
        check("(123\r\n", Reply::BigNumber("123".into()));
        check("=5\r\ntxt:x\r\n", Reply::Verbatim { format: "txt".into(), text: b"x".to_vec() });
    }

    #[test]
    fn what_is_no_reply() {
        for bytes in ["", "+OK", "x\r\n", ":x\r\n", "*1\r\n", ",x\r\n"] {
            assert!(read_reply(&mut bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}

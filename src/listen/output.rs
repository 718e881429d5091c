//! What a client has been answered and its socket has not taken yet.

use crate::clients::OutputLimit;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Bytes on their way out. It owns memory only while a client does not read.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// How many of them the socket took.
    sent: usize,
    /// Since when there are more than a limit allows for a while.
    above_since: Option<Instant>,
}

impl Output {
    /// Whether the socket took all.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes it has not taken.
    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes bytes to a socket, behind those that it has not taken yet, and keeps what it does
    /// not take.
    pub(super) fn send(&mut self, bytes: &[u8], socket: &mut impl Write) -> io::Result<()> {
        if self.is_empty() {
            let sent = write(bytes, socket)?;
            self.bytes.extend_from_slice(bytes.get(sent..).unwrap_or_default());
            return Ok(());
        }
        // What was taken goes when it is worth it, so that each byte is moved once.
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes on, now that the socket takes more.
    pub(super) fn resume(&mut self, socket: &mut impl Write) -> io::Result<()> {
        self.sent += write(self.bytes.get(self.sent..).unwrap_or_default(), socket)?;
        if self.sent == self.bytes.len() {
            *self = Output::default();
        }
        Ok(())
    }

    /// Whether there is more than a client may leave unread.
    pub(super) fn exceeds(&mut self, limit: &OutputLimit, now: Instant) -> bool {
        let len = self.len();
        if limit.hard > 0 && len > limit.hard {
            return true;
        }
        if limit.soft == 0 || len <= limit.soft {
            self.above_since = None;
            return false;
        }
        let most = Duration::from_secs(u64::try_from(limit.soft_seconds).unwrap_or(0));
        now.saturating_duration_since(*self.above_since.get_or_insert(now)) > most
    }
}

/// Writes as much as a socket takes; returns how much that is.
fn write(bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match socket.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => sent += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes so many bytes at a time, and then would block.
    struct Slow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room).min(3);
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            if n == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_not_taken_is_kept_in_order() {
        let (mut output, mut socket) = (Output::default(), Slow { taken: vec![], room: 4 });
        output.send(b"abcdefghij", &mut socket).unwrap();
        assert!(!output.is_empty());
        for more in [b"klm", b"nop", b"qrs"] {
            socket.room = 5;
            output.resume(&mut socket).unwrap();
            output.send(more, &mut socket).unwrap();
        }
        assert_eq!(output.len(), 19 - socket.taken.len());
        socket.room = 100;
        output.resume(&mut socket).unwrap();
        assert_eq!(socket.taken, b"abcdefghijklmnopqrs");
        assert!(output.is_empty() && output.bytes.capacity() == 0);
    }

    #[test]
    fn limits_are_hard_or_soft() {
        let (mut output, mut socket) = (Output::default(), Slow { taken: vec![], room: 0 });
        output.send(&[0; 100], &mut socket).unwrap();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let limit = |hard, soft| OutputLimit { hard, soft, soft_seconds: 10 };
        let hard = |most| limit(most, 0);
        assert!(!output.exceeds(&limit(0, 0), start));
        assert!(!output.exceeds(&hard(100), start) && output.exceeds(&hard(99), start));
        let soft = |most| limit(0, most);
        assert!(!output.exceeds(&soft(99), start) && !output.exceeds(&soft(99), after(10)));
        assert!(output.exceeds(&soft(99), after(11)));
        assert!(!output.exceeds(&soft(100), after(12)), "and the time begins anew");
        assert!(!output.exceeds(&soft(99), after(13)));
    }
}

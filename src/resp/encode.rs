//! Replies as the bytes that a Redis 7.0 server would send.

use crate::number::F64Text;
use crate::reply::{Item, Protocol, ReplyBuf};

/// Appends all that a buffer holds to `out`: one reply, several, or none. What RESP2 lacks, the walk
/// has stepped down already.
pub(crate) fn encode(reply: &ReplyBuf, protocol: Protocol, out: &mut Vec<u8>) {
    let mut walker = reply.walk(protocol);
    while !walker.is_done() {
        if let Some(len) = walker.attribute() {
            container(out, b'|', len);
            continue;
        }
        let double_text = if walker.is_at_decimal() { F64Text::decimal } else { F64Text::new };
        encode_item(walker.next(), protocol, double_text, out);
    }
}

/// Appends a request as clients send it.
pub(crate) fn request(words: &[&[u8]], out: &mut Vec<u8>) {
    container(out, b'*', words.len());
    words.iter().for_each(|word| sized(out, b'$', word));
}

impl ReplyBuf {
    /// All that the buffer holds as the bytes that a Redis server would send.
    ///
    /// ```
    /// # use moonkv::{Call, Engine, Protocol, ReplyBuf};
    /// # fn main() -> Result<(), moonkv::Error> {
    /// # let engine = Engine::new()?;
    /// let mut reply = ReplyBuf::new();
    /// engine.call(Call::Command(&[b"SET", b"k", b"v"]), &mut reply)?;
    /// assert_eq!(reply.to_resp(Protocol::Resp3), b"+OK\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_resp(&self, protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        encode(self, protocol, &mut out);
        out
    }
}

/// Appends one item; those that belong to a container follow it.
fn encode_item(
    item: Item<'_>,
    protocol: Protocol,
    double_text: fn(f64) -> F64Text,
    out: &mut Vec<u8>,
) {
    match item {
        Item::Null if protocol == Protocol::Resp3 => line(out, b'_', b""),
        Item::Null => line(out, b'$', b"-1"),
        Item::NullArray => line(out, b'*', b"-1"),
        Item::Integer(value) => line(out, b':', itoa::Buffer::new().format(value).as_bytes()),
        Item::Double(value) => line(out, b',', double_text(value).as_bytes()),
        Item::Boolean(value) => line(out, b'#', if value { b"t" } else { b"f" }),
        Item::Bulk(text) => sized(out, b'$', text),
        Item::Status(text) => line(out, b'+', text),
        Item::Error(text) => line(out, b'-', text),
        Item::BigNumber(text) => line(out, b'(', text),
        Item::Verbatim(text) => sized(out, b'=', text),
        Item::Array(len) => container(out, b'*', len),
        Item::Map(len) => container(out, b'%', len),
        Item::Set(len) => container(out, b'~', len),
        Item::Push(len) => container(out, b'>', len),
    }
}

/// A type's letter with what fits on its line.
fn line(out: &mut Vec<u8>, letter: u8, text: &[u8]) {
    out.push(letter);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// A type's letter with a length, then so many bytes of any kind.
fn sized(out: &mut Vec<u8>, letter: u8, text: &[u8]) {
    line(out, letter, itoa::Buffer::new().format(text.len()).as_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// The head of a container.
fn container(out: &mut Vec<u8>, letter: u8, len: usize) {
    line(out, letter, itoa::Buffer::new().format(len).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CommandError;

    /// Checks the bytes of a reply in both protocols.
    fn check(write: impl Fn(&mut ReplyBuf), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let (mut reply, mut bytes) = (ReplyBuf::new(), b"before ".to_vec());
            write(&mut reply);
            encode(&reply, protocol, &mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), format!("before {expected}"));
        }
    }

    /// Checks a reply that is the same in both.
    fn check_both(write: impl Fn(&mut ReplyBuf), expected: &str) {
        check(write, expected, expected);
    }

    #[test]
    fn scalars_of_both_protocols() {
        check_both(|r| r.integer(i64::MIN), ":-9223372036854775808\r\n");
        check_both(|r| r.bulk(b""), "$0\r\n\r\n");
        check_both(|r| r.bulk(b"a\r\nb\0"), "$5\r\na\r\nb\0\r\n");
        check_both(ReplyBuf::ok, "+OK\r\n");
        check_both(|r| r.error(&CommandError::Syntax), "-ERR syntax error\r\n");
        check_both(|r| r.error_text(b"ERR a\r\nb"), "-ERR a  b\r\n");
    }

    #[test]
    fn nulls() {
        check(ReplyBuf::null, "$-1\r\n", "_\r\n");
        check(ReplyBuf::null_array, "*-1\r\n", "_\r\n");
    }

    #[test]
    fn scalars_of_resp3_step_down() {
        check(|r| r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(|r| r.double(3.0), "$1\r\n3\r\n", ",3\r\n");
        check(|r| r.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
        check(|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
        check(|r| r.double(f64::NAN.copysign(1.0)), "$3\r\nnan\r\n", ",nan\r\n");
        check(
            |r| r.decimal(13.361389338970184),
            "$20\r\n13.36138933897018433\r\n",
            ",13.36138933897018433\r\n",
        );
        check(|r| r.boolean(true), ":1\r\n", "#t\r\n");
        check(|r| r.boolean(false), ":0\r\n", "#f\r\n");
        check(
            |r| r.big_number(b"12345678901234567890"),
            "$20\r\n12345678901234567890\r\n",
            "(12345678901234567890\r\n",
        );
        check(|r| r.verbatim(b"txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
    }

    #[test]
    fn containers() {
        check_both(|r| r.array(0), "*0\r\n");
        let map = |r: &mut ReplyBuf| {
            r.map(1);
            r.bulk(b"k");
            r.set(2);
            r.integer(1);
            r.integer(2);
        };
        check(map, "*2\r\n$1\r\nk\r\n*2\r\n:1\r\n:2\r\n", "%1\r\n$1\r\nk\r\n~2\r\n:1\r\n:2\r\n");
        let pairs = |r: &mut ReplyBuf| {
            r.array(2);
            r.pairs(1);
            r.bulk(b"a");
            r.double(1.0);
            r.null();
        };
        check(
            pairs,
            "*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n$-1\r\n",
            "*2\r\n*1\r\n*2\r\n$1\r\na\r\n,1\r\n_\r\n",
        );
    }

    #[test]
    fn several_replies_and_none() {
        let confirmed = |r: &mut ReplyBuf| {
            for count in 1..3 {
                r.push(2);
                r.bulk(b"subscribe");
                r.integer(count);
            }
            r.ok();
        };
        let one = |head, count| format!("{head}2\r\n$9\r\nsubscribe\r\n:{count}\r\n");
        let [resp2, resp3] = ["*", ">"].map(|head| one(head, 1) + &one(head, 2) + "+OK\r\n");
        check(confirmed, &resp2, &resp3);
        check_both(|_| (), "");
    }

    #[test]
    fn depth_costs_no_stack() {
        let nested = |r: &mut ReplyBuf| {
            (0..100_000).for_each(|_| r.array(1));
            r.null();
        };
        check(
            nested,
            &("*1\r\n".repeat(100_000) + "$-1\r\n"),
            &("*1\r\n".repeat(100_000) + "_\r\n"),
        );
    }
}

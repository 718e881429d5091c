//! Requests whole, in pieces, and what is no request.

use super::*;

const ALL: Allowed = Allowed { bulk_most: 512 << 20, stranger: false };
const STRANGER: Allowed = Allowed { stranger: true, ..ALL };

type Requests = Vec<Vec<Vec<u8>>>;

/// Shows a stream to a decoder in pieces, as a connection does; returns the requests it makes and
/// the error it ends in.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    allowed: Allowed,
) -> (Requests, Option<String>) {
    decode_ahead(pieces, allowed, 0)
}

/// The same, where up to so many requests are read ahead.
fn decode_ahead<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    allowed: Allowed,
    most: usize,
) -> (Requests, Option<String>) {
    let (mut decoder, mut input, mut requests) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.next(&input, allowed) {
                Ok(Step::Request) => {
                    requests.push(decoder.words(&input).map(<[u8]>::to_vec).collect());
                    decoder.read_ahead(&input, allowed, most);
                }
                Ok(Step::More) => break,
                Err(error) => return (requests, Some(error.to_string())),
            }
        }
        input.drain(..decoder.spent());
        decoder.forget_spent();
    }
    (requests, None)
}

/// Checks the requests of a stream, given as words parted by `|`, requests by `;`.
fn check(stream: &[u8], expected: &str) {
    let (requests, error) = decode([stream], ALL);
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let request = |words: &Vec<Vec<u8>>| words.iter().map(text).collect::<Vec<_>>().join("|");
    let mut found = requests.iter().map(request).collect::<Vec<_>>();
    found.extend(error);
    assert_eq!(found.join(";"), expected, "{:?}", String::from_utf8_lossy(stream));
}

fn check_error(stream: &[u8], allowed: Allowed, expected: &str) {
    let (_, error) = decode([stream], allowed);
    assert_eq!(error.as_deref(), Some(&*format!("ERR Protocol error: {expected}")));
}

#[test]
fn arrays_of_bulks() {
    check(b"*1\r\n$4\r\nPING\r\n", "PING");
    check(b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n*1\r\n$4\r\nPING\r\n", "ECHO|a\r\n;PING");
    check(b"*1\r\n$0\r\n\r\n", "");
    check(b"*0\r\n*-1\r\n*-7\r\nPING\r\n", "PING");
    check(b"*1\rX$4\rYPINGxx*1\r\n$1\r\na\r\n", "PING;a");
    check(b"*1\r\n$4\r\nPIN", "");
}

#[test]
fn lines_of_words() {
    check(b"PING\r\nPING\n\r\n \n PING \r\n", "PING;PING;PING");
    check(br#"SET a "x y\x41\n\"" 'b\'\n'"#, "");
    check(b"SET a \"x y\\x41\\n\\\"\" 'b\\'\\n'\r\n", "SET|a|x yA\n\"|b'\\n");
    check(b"a x\"y z\" \"\" ''\r\n", "a|xy z||");
    check(b"a \"\\xzz\\q\\xa\\t\\r\\a\\b\"\r\n", "a|xzzqxa\t\r\x07\x08");
    check(b"\x0bPING\x0c hi\tho\r\n", "PING\x0c|hi|ho");
    check(b"PI\0NG\r\nPING\r\n", "");
}

#[test]
fn what_is_no_request() {
    for head in
        ["*x", "*", "*+1", "*01", "*-0", "* 1", "*1 ", "*2147483648", "*99999999999999999999"]
    {
        check_error(format!("{head}\r\n").as_bytes(), ALL, "invalid multibulk length");
    }
    for head in ["$x", "$", "$-1", "$-0", "$04", "$ 4", "$4\n", "$536870913"] {
        let stream = format!("*1\r\n{head}\r\n");
        check_error(stream.as_bytes(), ALL, "invalid bulk length");
    }
    check_error(b"*1\r\nPING\r\n", ALL, "expected '$', got 'P'");
    check_error(b"*2\r\n$1\r\na\r\n:1\r\n", ALL, "expected '$', got ':'");
    for line in ["a \"x", "a 'x", "a \"x\"y", "a 'x'y", "a \"\"\"\"", "a \"x\\", "a 'x\\'"] {
        check_error(format!("{line}\r\n").as_bytes(), ALL, "unbalanced quotes in request");
    }
    check(b"PING\r\n*x\r\nPING\r\n", "PING;ERR Protocol error: invalid multibulk length");
}

#[test]
fn lines_have_a_longest_length() {
    let long = |head: &str, len: usize| [head.as_bytes(), &vec![b'1'; len]].concat();
    check_error(&long("", LINE_MOST + 1), ALL, "too big inline request");
    check_error(&long("*", LINE_MOST), ALL, "too big mbulk count string");
    check_error(&long("*1\r\n$", LINE_MOST), ALL, "too big bulk count string");
    for head in ["", "*", "*1\r\n$"] {
        assert_eq!(decode([&*long(head, LINE_MOST - 1)], ALL), (vec![], None));
    }
}

#[test]
fn strangers_may_send_little() {
    check_error(b"*11\r\n", STRANGER, "unauthenticated multibulk length");
    check_error(b"*1\r\n$16385\r\n", STRANGER, "unauthenticated bulk length");
    check_error(b"*x\r\n", STRANGER, "invalid multibulk length");
    assert_eq!(decode([&b"*10\r\n$16384\r\n"[..]], STRANGER), (vec![], None));
}

#[test]
fn it_says_how_much_it_wants() {
    let mut decoder = Decoder::default();
    let input = b"*1\r\n$100\r\nabc";
    assert_eq!(decoder.next(input, ALL), Ok(Step::More));
    assert_eq!(decoder.wants(input), 99);
    assert_eq!(decoder.spent(), 0, "its words have to stay");
}

/// A stream of all kinds of requests, made by chance.
fn stream(random: &mut fastrand::Rng) -> (Vec<u8>, Requests) {
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(1..8) {
        let word = |random: &mut fastrand::Rng| -> Vec<u8> {
            (0..random.usize(0..20)).map(|_| random.u8(..)).collect()
        };
        let mut words: Vec<Vec<u8>> = (0..random.usize(1..6)).map(|_| word(random)).collect();
        if random.bool() {
            bytes.extend(format!("*{}\r\n", words.len()).bytes());
            for word in &words {
                bytes.extend(format!("${}\r\n", word.len()).bytes());
                bytes.extend([word, &b"\r\n"[..]].concat());
            }
        } else {
            words[0] = b"word".to_vec();
            for word in &words {
                let hex = word.iter().map(|byte| format!("\\x{byte:02x}"));
                bytes.extend(format!("\"{}\" ", hex.collect::<String>()).bytes());
            }
            bytes.extend(b"\r\n");
        }
        requests.push(words);
    }
    (bytes, requests)
}

#[test]
fn pieces_make_no_difference() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let (bytes, requests) = stream(&mut random);
        let every_byte = decode(bytes.chunks(1), ALL);
        assert_eq!(every_byte, (requests.clone(), None));
        for _ in 0..10 {
            let most = random.usize(1..40);
            let pieces = bytes.chunk_by(|_, _| random.usize(..most) > 0);
            assert_eq!(decode(pieces, ALL), (requests.clone(), None));
        }
    }
}

#[test]
fn what_is_read_ahead_is_given_out_as_if_it_was_not() {
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..300 {
        let (mut bytes, requests) = stream(&mut random);
        for most in [1, 2, 32] {
            assert_eq!(decode_ahead(bytes.chunks(5), ALL, most), (requests.clone(), None));
        }
        // What is wrong behind them is told when they have been given out.
        bytes.extend(b"*1\r\n:1\r\n");
        assert_eq!(decode_ahead([&*bytes], ALL, 32), decode([&*bytes], ALL));
    }
}

#[test]
fn what_was_read_ahead_is_known_and_can_be_left() {
    let input = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$2\r\nbc\r\n*2\r\n$3";
    let mut decoder = Decoder::default();
    assert_eq!(decoder.next(input, ALL), Ok(Step::Request));
    let end_of_first = decoder.spent();
    decoder.read_ahead(input, ALL, 32);
    assert!(decoder.is_ahead());
    assert_eq!(decoder.spent(), end_of_first);
    assert_eq!(decoder.words(input).collect::<Vec<_>>(), [&b"GET"[..], b"a"]);
    let ahead: Vec<Vec<&[u8]>> = decoder.upcoming(input).map(Iterator::collect).collect();
    assert_eq!(ahead, [vec![&b"PING"[..]], vec![b"GET", b"bc"]]);
    assert_eq!(decoder.next(input, ALL), Ok(Step::Request));
    decoder.forget_spent();
    assert!(!decoder.is_ahead(), "it is read anew");
    let rest = &input[end_of_first + 14..];
    assert_eq!(decoder.next(rest, ALL), Ok(Step::Request));
    assert_eq!(decoder.words(rest).collect::<Vec<_>>(), [&b"GET"[..], b"bc"]);
    assert_eq!(decoder.next(rest, ALL), Ok(Step::More));
}

#[test]
fn strangers_are_held_to_less_than_when_it_was_read() {
    let input = [&b"*1\r\n$5\r\nRESET\r\n*1\r\n$16385\r\n"[..], &[b'x'; 16385], b"\r\n"].concat();
    let mut decoder = Decoder::default();
    assert_eq!(decoder.next(&input, ALL), Ok(Step::Request));
    decoder.read_ahead(&input, ALL, 32);
    assert!(decoder.is_ahead());
    let refused = decoder.next(&input, STRANGER).unwrap_err().to_string();
    assert_eq!(refused, "ERR Protocol error: unauthenticated bulk length");
}

#[test]
fn any_bytes_are_survived_and_pieces_make_no_difference_to_them() {
    let mut random = fastrand::Rng::with_seed(8);
    let alphabet = b"**$$$\r\r\n\n\n\"'\\x0123449-+ aPING\0\xff";
    for _ in 0..5_000 {
        let len = random.usize(..60);
        let bytes: Vec<u8> = (0..len).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
        let whole = decode([&*bytes], ALL);
        assert_eq!(decode(bytes.chunks(1), ALL), whole, "{:?}", String::from_utf8_lossy(&bytes));
        let most = random.usize(1..9);
        assert_eq!(decode(bytes.chunk_by(|_, _| random.usize(..most) > 0), ALL), whole);
        assert_eq!(decode_ahead([&*bytes], ALL, 1 + most), whole);
    }
}

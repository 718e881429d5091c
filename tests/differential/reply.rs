//! Replies as trees: read from RESP bytes, shown to people, brought into one order.

use std::fmt;

/// One reply or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reply {
    /// The letter it begins with in RESP; a null's is that of what is missing.
    pub(crate) letter: u8,
    /// A scalar's text; of a container nothing.
    pub(crate) text: Vec<u8>,
    /// A container's elements; a map's keys and values take turns.
    pub(crate) elements: Vec<Reply>,
    pub(crate) is_null: bool,
}

impl Reply {
    fn scalar(letter: u8, text: &[u8]) -> Reply {
        Reply { letter, text: text.to_vec(), elements: Vec::new(), is_null: false }
    }

    fn null(letter: u8) -> Reply {
        Reply { is_null: true, ..Reply::scalar(letter, b"") }
    }

    /// The integer, if it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        let text = std::str::from_utf8(&self.text).ok()?;
        if self.letter == b':' { text.parse().ok() } else { None }
    }

    /// The texts of all scalars in it, in order.
    pub(crate) fn texts(&self) -> Vec<&[u8]> {
        if self.elements.is_empty() && !matches!(self.letter, b'*' | b'%' | b'~') {
            return vec![&self.text];
        }
        self.elements.iter().flat_map(Reply::texts).collect()
    }

    /// The first places inside where two replies differ.
    pub(crate) fn first_difference<'a>(&'a self, other: &'a Reply) -> (&'a Reply, &'a Reply) {
        let mut pairs = self.elements.iter().zip(&other.elements);
        let same_head = self.letter == other.letter && self.elements.len() == other.elements.len();
        match pairs.find(|(one, another)| one != another) {
            Some((one, another)) if same_head => one.first_difference(another),
            _ => (self, other),
        }
    }

    /// Sorts the elements in groups of so many.
    pub(crate) fn sort_groups(&mut self, width: usize) {
        let width = if self.letter == b'%' { 2 } else { width };
        let mut groups: Vec<Vec<Reply>> = self.elements.chunks(width).map(<[_]>::to_vec).collect();
        groups.sort();
        self.elements = groups.concat();
    }

    /// Sorts everything, inside first.
    pub(crate) fn sort_all(&mut self) {
        self.elements.iter_mut().for_each(Reply::sort_all);
        self.sort_groups(1);
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.letter);
        if self.is_null {
            return write!(f, "null({letter})");
        }
        if !matches!(letter, '*' | '%' | '~' | '>') {
            let quotes = if letter == '$' { "\"" } else { "" };
            let sign = if letter == '$' { String::new() } else { letter.to_string() };
            return write!(f, "{sign}{quotes}{}{quotes}", self.text.escape_ascii());
        }
        write!(f, "{letter}[")?;
        for (at, element) in self.elements.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{element}")?;
        }
        f.write_str("]")
    }
}

/// Reads the reply at the start of some bytes and how many it takes; none if it is not complete.
pub(crate) fn read(bytes: &[u8]) -> Option<(Reply, usize)> {
    let mut at = 0;
    let reply = read_at(bytes, &mut at)?;
    Some((reply, at))
}

fn read_at(bytes: &[u8], at: &mut usize) -> Option<Reply> {
    let rest = bytes.get(*at..)?;
    let len = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (letter, line) = (*rest.first()?, &rest[1..len]);
    *at += len + 2;
    let count = || std::str::from_utf8(line).ok().and_then(|text| text.parse::<i64>().ok());
    let elements = match letter {
        b'_' => return Some(Reply::null(letter)),
        b'$' | b'=' | b'*' if line == b"-1" => return Some(Reply::null(letter)),
        b'$' | b'=' => {
            let len = usize::try_from(count()?).ok()?;
            let text = bytes.get(*at..*at + len)?;
            bytes.get(*at + len..*at + len + 2)?;
            *at += len + 2;
            return Some(Reply::scalar(letter, text));
        }
        b'*' | b'~' | b'>' => count()?,
        b'%' => count()? * 2,
        _ => return Some(Reply::scalar(letter, line)),
    };
    let elements = (0..elements).map(|_| read_at(bytes, at)).collect::<Option<Vec<Reply>>>()?;
    Some(Reply { elements, ..Reply::scalar(letter, b"") })
}

#[test]
fn replies_are_read_whole_or_not_at_all() {
    let bytes = b"*3\r\n:1\r\n$3\r\na\r\n\r\n%1\r\n+k\r\n_\r\n:7\r\n";
    let (reply, len) = read(bytes).expect("it is complete");
    assert_eq!(len, bytes.len() - 4);
    assert_eq!(reply.to_string(), "*[:1 \"a\\r\\n\" %[+k null(_)]]");
    assert!((0..len).all(|end| read(&bytes[..end]).is_none()));
}

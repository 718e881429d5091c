//! What commands answer: [`ReplyBuf`], the flat buffer that handlers write, and [`Reply`], the
//! owned tree that Rust callers get.
//!
//! Handlers write typed nodes, RESP3's types, one after the other; a container is a node that
//! tells how many follow it. Each door walks the buffer once into its own form with a
//! [`Walker`], which also steps RESP3's types down to RESP2's where the door speaks that.
//! The buffer is reused from call to call, so a reply costs no allocation.

use crate::error::{CommandError, Traceback};
use crate::number::{F64Text, IntText, parse_f64};
use std::fmt::Write;

/// Which of Redis's two protocols a reply is shaped for.
///
/// `Resp2` knows integers, strings, statuses, errors, arrays and null; `Resp3` adds maps, sets,
/// doubles, booleans, big numbers and verbatim strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// As Redis answers before `HELLO 3`: a map is a flat array, a double is a string.
    #[default]
    Resp2,
    /// As Redis answers after `HELLO 3`.
    Resp3,
}

/// One node of a reply buffer. Texts give their length; their bytes lie in order in the buffer.
#[derive(Clone, Copy, Debug)]
enum Node {
    Null,
    NullArray,
    Integer(i64),
    Double(f64),
    /// A double whose text is written out to 17 decimal places.
    Decimal(f64),
    Boolean(bool),
    Bulk(usize),
    Status(usize),
    Error(usize),
    BigNumber(usize),
    Verbatim(usize),
    Array(usize),
    Map(usize),
    Set(usize),
    /// So many pairs that are told about what follows them; only RESP3 has such a thing.
    Attribute(usize),
    /// So many pairs of scalars: a flat array in RESP2, an array of arrays of two in RESP3.
    Pairs(usize),
    /// So many keys with what belongs to each, a [`Node::Keyed`] before each: an array of arrays
    /// of two in RESP2, a map in RESP3.
    ByKey(usize),
    Keyed,
    /// So many elements of what is told rather than answered: an array in RESP2.
    Push(usize),
}

/// A reply in one flat, reusable buffer.
///
/// A caller that makes many calls keeps one and passes it to [`crate::Engine::call`] each time.
#[derive(Debug, Default)]
pub struct ReplyBuf {
    nodes: Vec<Node>,
    bytes: Vec<u8>,
    /// Where the script was whose error is in here.
    traceback: Option<Box<Traceback>>,
}

/// How far a buffer was written at some moment, to cut it back to or to fill in a container's
/// length later.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    nodes: usize,
    bytes: usize,
}

/// Buffers above this many bytes are given back after use rather than kept.
const KEPT_BYTES: usize = 1 << 20;

impl ReplyBuf {
    /// An empty buffer.
    pub fn new() -> ReplyBuf {
        ReplyBuf::default()
    }

    /// Empties the buffer and keeps its room, unless that has become very large.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.traceback.is_some() || self.heap_size() > KEPT_BYTES {
            self.let_go();
        }
        self.nodes.clear();
        self.bytes.clear();
    }

    /// Gives back what is not kept from call to call.
    #[cold]
    fn let_go(&mut self) {
        self.traceback = None;
        if self.heap_size() > KEPT_BYTES {
            *self = ReplyBuf::default();
        }
    }

    /// Where the script was that failed, if one did in the call that this is the reply of.
    pub fn traceback(&self) -> Option<&Traceback> {
        self.traceback.as_deref()
    }

    pub(crate) fn set_traceback(&mut self, traceback: Traceback) {
        self.traceback = Some(Box::new(traceback));
    }

    pub(crate) fn take_traceback(&mut self) -> Option<Box<Traceback>> {
        self.traceback.take()
    }

    /// Bytes allocated.
    #[inline]
    pub(crate) fn heap_size(&self) -> usize {
        self.bytes.capacity() + self.nodes.capacity() * size_of::<Node>()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { nodes: self.nodes.len(), bytes: self.bytes.len() }
    }

    /// Forgets what was written after a mark.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.nodes.truncate(mark.nodes);
        self.bytes.truncate(mark.bytes);
    }

    pub(crate) fn null(&mut self) {
        self.nodes.push(Node::Null);
    }

    /// Where RESP2 has a null array rather than a null string.
    pub(crate) fn null_array(&mut self) {
        self.nodes.push(Node::NullArray);
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.nodes.push(Node::Integer(value));
    }

    /// A length or count.
    pub(crate) fn count(&mut self, value: usize) {
        self.integer(value as i64);
    }

    pub(crate) fn double(&mut self, value: f64) {
        self.nodes.push(Node::Double(value));
    }

    /// A double that is written without an exponent, as coordinates are.
    pub(crate) fn decimal(&mut self, value: f64) {
        self.nodes.push(Node::Decimal(value));
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.nodes.push(Node::Boolean(value));
    }

    pub(crate) fn bulk(&mut self, text: &[u8]) {
        self.nodes.push(Node::Bulk(text.len()));
        self.bytes.extend_from_slice(text);
    }

    /// A bulk string that is appended to the bytes of others.
    pub(crate) fn bulk_by(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.nodes.push(Node::Bulk(self.bytes.len() - start));
    }

    /// A bulk string in place of the null at a mark, ahead of all that was written behind it.
    pub(crate) fn bulk_at(&mut self, at: Mark, text: &[u8]) {
        if let Some(node) = self.nodes.get_mut(at.nodes) {
            *node = Node::Bulk(text.len());
            self.bytes.extend_from_slice(text);
            if let Some(behind) = self.bytes.get_mut(at.bytes..) {
                behind.rotate_right(text.len());
            }
        }
    }

    /// A bulk string, or null where there is none.
    pub(crate) fn bulk_or_null(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.bulk(text),
            None => self.null(),
        }
    }

    /// An integer as a bulk string.
    pub(crate) fn bulk_integer(&mut self, value: i64) {
        self.bulk(IntText::new(value).as_bytes());
    }

    pub(crate) fn status(&mut self, text: &[u8]) {
        self.nodes.push(Node::Status(text.len()));
        self.bytes.extend_from_slice(text);
    }

    /// An array of statuses: the lines of a HELP.
    pub(crate) fn statuses(&mut self, lines: &[&str]) {
        self.array(lines.len());
        lines.iter().for_each(|line| self.status(line.as_bytes()));
    }

    pub(crate) fn ok(&mut self) {
        self.status(b"OK");
    }

    pub(crate) fn error(&mut self, error: &CommandError) {
        let start = self.bytes.len();
        match error {
            CommandError::Quoting(text) => self.bytes.extend_from_slice(text),
            // Writing to a Vec through this adapter cannot fail.
            error => drop(write!(BytesOf(&mut self.bytes), "{error}")),
        }
        self.finish_error(start);
    }

    pub(crate) fn error_text(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.finish_error(start);
    }

    /// An error is one line: CR and LF within it would end it early on a socket.
    fn finish_error(&mut self, start: usize) {
        one_line(&mut self.bytes[start..]);
        self.nodes.push(Node::Error(self.bytes.len() - start));
    }

    /// A status whose text comes from a script: kept to one line.
    pub(crate) fn status_line(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.status(text);
        one_line(&mut self.bytes[start..]);
    }

    pub(crate) fn big_number(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        one_line(&mut self.bytes[start..]);
        self.nodes.push(Node::BigNumber(text.len()));
    }

    /// A text with a format of three letters: `txt:...`.
    pub(crate) fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        let mut tag = [b' '; 3];
        for (to, from) in tag.iter_mut().zip(format) {
            *to = *from;
        }
        self.bytes.extend_from_slice(&tag);
        self.bytes.push(b':');
        self.bytes.extend_from_slice(text);
        self.nodes.push(Node::Verbatim(text.len() + 4));
    }

    /// Begins an array of as many elements as given; they follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.nodes.push(Node::Array(len));
    }

    /// Begins a map of so many pairs; keys and values follow in turn.
    pub(crate) fn map(&mut self, len: usize) {
        self.nodes.push(Node::Map(len));
    }

    /// Begins so many pairs that tell something about what follows them; RESP2 leaves them out.
    pub(crate) fn attribute(&mut self, len: usize) {
        self.nodes.push(Node::Attribute(len));
    }

    /// Begins a set of so many elements.
    pub(crate) fn set(&mut self, len: usize) {
        self.nodes.push(Node::Set(len));
    }

    /// Begins so many pairs of scalars, such as members with their scores.
    pub(crate) fn pairs(&mut self, len: usize) {
        self.nodes.push(Node::Pairs(len));
    }

    /// Begins so many keys with what belongs to each, where RESP2 has an array for each of them;
    /// [`ReplyBuf::keyed`] comes before each.
    pub(crate) fn by_key(&mut self, len: usize) {
        self.nodes.push(Node::ByKey(len));
    }

    /// Begins one of those: the key and what belongs to it follow.
    pub(crate) fn keyed(&mut self) {
        self.nodes.push(Node::Keyed);
    }

    /// Begins so many elements of what is told rather than answered, such as a message of a channel.
    pub(crate) fn push(&mut self, len: usize) {
        self.nodes.push(Node::Push(len));
    }

    /// Whether nothing at all is written, which is what a client gets that asked for no replies.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Keeps what is told rather than answered, of a buffer that has nothing but the one or the other.
    pub(crate) fn keep_pushed(&mut self) {
        if !matches!(self.nodes.first(), Some(Node::Push(_))) {
            self.clear();
        }
    }

    /// Writes what another buffer holds behind what is here.
    pub(crate) fn append(&mut self, other: &ReplyBuf) {
        self.nodes.extend_from_slice(&other.nodes);
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Bytes that the texts take, and a little for each node.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.nodes.len() * size_of::<Node>()
    }

    /// Writes a tree.
    pub(crate) fn tree(&mut self, reply: &Reply) {
        match reply {
            Reply::Null => self.null(),
            Reply::Integer(value) => self.integer(*value),
            Reply::Bulk(text) => self.bulk(text),
            Reply::Status(text) => self.status_line(text.as_bytes()),
            Reply::Error(text) => self.error_text(text.as_bytes()),
            Reply::Double(value) => self.double(*value),
            Reply::Boolean(value) => self.boolean(*value),
            Reply::BigNumber(text) => self.big_number(text.as_bytes()),
            Reply::Verbatim { format, text } => self.verbatim(format.as_bytes(), text),
            Reply::Array(elements) => {
                self.array(elements.len());
                elements.iter().for_each(|element| self.tree(element));
            }
            Reply::Set(elements) => {
                self.set(elements.len());
                elements.iter().for_each(|element| self.tree(element));
            }
            Reply::Map(pairs) => {
                self.map(pairs.len());
                for (key, value) in pairs {
                    self.tree(key);
                    self.tree(value);
                }
            }
        }
    }

    /// Sets the length of the container that was begun at a mark, once it is known.
    pub(crate) fn set_len(&mut self, at: Mark, len: usize) {
        if let Some(
            Node::Array(n)
            | Node::Map(n)
            | Node::Set(n)
            | Node::Pairs(n)
            | Node::ByKey(n)
            | Node::Push(n),
        ) = self.nodes.get_mut(at.nodes)
        {
            *n = len;
        }
    }

    /// The reply, if it is a single integer, string or status: what most commands answer.
    #[inline]
    pub(crate) fn plain(&self) -> Option<Item<'_>> {
        match self.nodes.as_slice() {
            [Node::Integer(value)] => Some(Item::Integer(*value)),
            [Node::Bulk(_)] => Some(Item::Bulk(&self.bytes)),
            [Node::Status(_)] => Some(Item::Status(&self.bytes)),
            _ => None,
        }
    }

    /// Whether the reply as a whole is an error.
    pub fn is_error(&self) -> bool {
        matches!(self.nodes.first(), Some(Node::Error(_)))
    }

    /// The text of what was written after a mark, if that is an error.
    pub(crate) fn error_at(&self, mark: Mark) -> Option<&[u8]> {
        match self.nodes.get(mark.nodes) {
            Some(Node::Error(len)) => self.bytes.get(mark.bytes..mark.bytes + len),
            _ => None,
        }
    }

    /// Walks the buffer from its first node, in the shape of a protocol.
    pub fn walk(&self, protocol: Protocol) -> Walker<'_> {
        self.walk_from(Mark { nodes: 0, bytes: 0 }, protocol)
    }

    /// Walks what was written after a mark.
    pub(crate) fn walk_from(&self, mark: Mark, protocol: Protocol) -> Walker<'_> {
        Walker {
            nodes: self.nodes.get(mark.nodes..).unwrap_or_default(),
            bytes: self.bytes.get(mark.bytes..).unwrap_or_default(),
            protocol,
            pairs_left: 0,
            in_pair: 0,
            text: F64Text::EMPTY,
        }
    }

    /// The reply as an owned tree. A command that answers several times, as SUBSCRIBE does for each
    /// channel, gives an array of its answers.
    pub fn to_reply(&self, protocol: Protocol) -> Reply {
        let mut walker = self.walk(protocol);
        let first = walker.tree();
        if walker.is_done() {
            return first;
        }
        let mut all = vec![first];
        while !walker.is_done() {
            all.push(walker.tree());
        }
        Reply::Array(all)
    }
}

/// CR and LF become spaces.
fn one_line(text: &mut [u8]) {
    for byte in text.iter_mut().filter(|b| matches!(b, b'\r' | b'\n')) {
        *byte = b' ';
    }
}

/// Formats into a byte vector.
struct BytesOf<'a>(&'a mut Vec<u8>);

impl Write for BytesOf<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

/// One step of a walk. A container tells how many items follow that belong to it: `Map(n)` is
/// followed by `2 * n` items, keys and values in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// No value.
    Null,
    /// No value, where RESP2 sends a null array.
    NullArray,
    /// An integer.
    Integer(i64),
    /// A double (RESP3).
    Double(f64),
    /// A boolean (RESP3).
    Boolean(bool),
    /// A string of any bytes.
    Bulk(&'a [u8]),
    /// A status such as `OK`.
    Status(&'a [u8]),
    /// An error's text.
    Error(&'a [u8]),
    /// A number of any size, in decimal digits (RESP3).
    BigNumber(&'a [u8]),
    /// A text behind its format of three letters and a colon (RESP3).
    Verbatim(&'a [u8]),
    /// So many elements follow.
    Array(usize),
    /// So many pairs follow (RESP3).
    Map(usize),
    /// So many elements follow (RESP3).
    Set(usize),
    /// So many elements follow, which were not asked for (RESP3).
    Push(usize),
}

/// Reads a reply buffer node by node; see [`ReplyBuf::walk`].
#[derive(Debug)]
pub struct Walker<'a> {
    nodes: &'a [Node],
    bytes: &'a [u8],
    protocol: Protocol,
    pairs_left: usize,
    in_pair: u8,
    text: F64Text,
}

impl<'a> Walker<'a> {
    /// The next item; null when nothing is left.
    // Not an Iterator: a double's text lives in the walker itself.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Item<'_> {
        if self.pairs_left > 0 && self.in_pair == 0 {
            self.pairs_left -= 1;
            self.in_pair = 2;
            return Item::Array(2);
        }
        while let Some(&Node::Attribute(len)) = self.nodes.first() {
            self.skip_attribute(len);
        }
        self.in_pair = self.in_pair.saturating_sub(1);
        let Some((&node, rest)) = self.nodes.split_first() else { return Item::Null };
        self.nodes = rest;
        let resp2 = self.protocol == Protocol::Resp2;
        match node {
            Node::Null => Item::Null,
            Node::NullArray if resp2 => Item::NullArray,
            Node::NullArray => Item::Null,
            Node::Integer(value) => Item::Integer(value),
            Node::Boolean(value) if resp2 => Item::Integer(value.into()),
            Node::Boolean(value) => Item::Boolean(value),
            Node::Double(value) if resp2 => {
                self.text = F64Text::new(value);
                Item::Bulk(self.text.as_bytes())
            }
            Node::Decimal(value) if resp2 => {
                self.text = F64Text::decimal(value);
                Item::Bulk(self.text.as_bytes())
            }
            Node::Double(value) => Item::Double(value),
            Node::Decimal(value) => Item::Double(as_told(value)),
            Node::Bulk(len) => Item::Bulk(self.take(len)),
            Node::Status(len) => Item::Status(self.take(len)),
            Node::Error(len) => Item::Error(self.take(len)),
            Node::BigNumber(len) if resp2 => Item::Bulk(self.take(len)),
            Node::BigNumber(len) => Item::BigNumber(self.take(len)),
            Node::Verbatim(len) if resp2 => Item::Bulk(self.take(len).get(4..).unwrap_or_default()),
            Node::Verbatim(len) => Item::Verbatim(self.take(len)),
            Node::Array(len) => Item::Array(len),
            Node::ByKey(len) if resp2 => Item::Array(len),
            Node::ByKey(len) => Item::Map(len),
            Node::Keyed if resp2 => Item::Array(2),
            // RESP3 has the key itself here.
            Node::Keyed => self.next(),
            Node::Map(len) | Node::Pairs(len) if resp2 => Item::Array(len * 2),
            Node::Map(len) => Item::Map(len),
            Node::Set(len) if resp2 => Item::Array(len),
            Node::Set(len) => Item::Set(len),
            Node::Push(len) if resp2 => Item::Array(len),
            Node::Push(len) => Item::Push(len),
            Node::Pairs(len) => {
                self.pairs_left = len;
                Item::Array(len)
            }
            // They are all passed over above.
            Node::Attribute(_) => Item::Null,
        }
    }

    #[cold]
    fn skip_attribute(&mut self, len: usize) {
        self.nodes = self.nodes.get(1..).unwrap_or_default();
        (0..2 * len).for_each(|_| drop(self.tree()));
    }

    /// How many pairs come first that tell something about the next item, if there are some and
    /// the protocol has room for them; without this they are passed over.
    pub(crate) fn attribute(&mut self) -> Option<usize> {
        let Some(&Node::Attribute(len)) = self.nodes.first() else { return None };
        if self.protocol == Protocol::Resp2 {
            return None;
        }
        self.nodes = self.nodes.get(1..).unwrap_or_default();
        Some(len)
    }

    /// Whether nothing is left. A buffer may hold several replies, one behind the other.
    pub fn is_done(&self) -> bool {
        self.nodes.is_empty() && self.pairs_left == 0
    }

    /// Whether the next item is a double that RESP writes without an exponent.
    pub(crate) fn is_at_decimal(&self) -> bool {
        matches!(self.nodes.first(), Some(Node::Decimal(_)))
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (text, rest) = self.bytes.split_at_checked(len).unwrap_or_default();
        self.bytes = rest;
        text
    }

    /// The next item and all that belongs to it, as an owned tree.
    pub fn tree(&mut self) -> Reply {
        // Depth costs no stack: hosts call from threads that have little.
        let mut open: Vec<Container> = Vec::new();
        loop {
            let mut done = None;
            match self.next() {
                Item::Array(len) | Item::Push(len) => open.push(Container::new(Reply::Array, len)),
                Item::Map(len) => open.push(Container::new(|all| Reply::Map(pairs(all)), len * 2)),
                Item::Set(len) => open.push(Container::new(Reply::Set, len)),
                leaf => done = Some(Reply::of_leaf(leaf)),
            }
            while let Some(container) = open.last_mut() {
                container.elements.extend(done.take());
                if container.elements.len() < container.len {
                    break;
                }
                done = open.pop().map(Container::close);
            }
            if let Some(done) = done {
                return done;
            }
        }
    }
}

/// A container whose elements are being read.
struct Container {
    make: fn(Vec<Reply>) -> Reply,
    elements: Vec<Reply>,
    len: usize,
}

impl Container {
    fn new(make: fn(Vec<Reply>) -> Reply, len: usize) -> Container {
        Container { make, elements: Vec::with_capacity(len), len }
    }

    fn close(self) -> Reply {
        (self.make)(self.elements)
    }
}

impl Reply {
    /// What stands for itself alone.
    fn of_leaf(item: Item<'_>) -> Reply {
        match item {
            Item::Null | Item::NullArray => Reply::Null,
            Item::Array(_) | Item::Push(_) | Item::Map(_) | Item::Set(_) => Reply::Null,
            Item::Integer(value) => Reply::Integer(value),
            Item::Double(value) => Reply::Double(value),
            Item::Boolean(value) => Reply::Boolean(value),
            Item::Bulk(text) => Reply::Bulk(text.to_vec()),
            Item::Status(text) => Reply::Status(lossy(text)),
            Item::Error(text) => Reply::Error(lossy(text)),
            Item::BigNumber(text) => Reply::BigNumber(lossy(text)),
            Item::Verbatim(text) => {
                let (format, text) = text.split_at_checked(4).unwrap_or_default();
                let format = lossy(&format[..format.len().min(3)]);
                Reply::Verbatim { format, text: text.to_vec() }
            }
        }
    }
}

fn pairs(elements: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut elements = elements.into_iter();
    std::iter::from_fn(|| elements.next().zip(elements.next())).collect()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A reply as an owned tree.
///
/// ```
/// use moonkv::{Engine, Reply};
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// let reply = engine.eval("return {1, 'two', {ok='THREE'}, false}", &[""; 0], &[""; 0])?;
/// assert_eq!(
///     reply,
///     Reply::Array(vec![
///         Reply::Integer(1),
///         Reply::Bulk(b"two".to_vec()),
///         Reply::Status("THREE".into()),
///         Reply::Null,
///     ])
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// No value: a missing key, or a script's `nil` or `false`.
    Null,
    /// An integer of 64 bits.
    Integer(i64),
    /// A string of any bytes.
    Bulk(Vec<u8>),
    /// A status such as `OK`.
    Status(String),
    /// An error inside a larger reply; a reply that is an error as a whole is
    /// [`crate::Error::Reply`] instead.
    Error(String),
    /// Elements in order.
    Array(Vec<Reply>),
    /// Pairs of key and value, only under [`Protocol::Resp3`].
    Map(Vec<(Reply, Reply)>),
    /// Elements without order, only under [`Protocol::Resp3`].
    Set(Vec<Reply>),
    /// A double, only under [`Protocol::Resp3`].
    Double(f64),
    /// A boolean, only under [`Protocol::Resp3`].
    Boolean(bool),
    /// A number of any size in decimal digits, only under [`Protocol::Resp3`].
    BigNumber(String),
    /// A text with its format, such as `txt` or `mkd`, only under [`Protocol::Resp3`].
    Verbatim {
        /// Three letters.
        format: String,
        /// The text itself.
        text: Vec<u8>,
    },
}

impl Reply {
    /// The integer, if the reply is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Reply::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The bytes of a string or the text of a status.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Reply::Bulk(text) | Reply::Verbatim { text, .. } => Some(text),
            Reply::Status(text) | Reply::BigNumber(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The string or status as UTF-8 text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The elements of an array or set.
    pub fn as_array(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(elements) | Reply::Set(elements) => Some(elements),
            _ => None,
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Reply::Null)
    }
}

/// A double that is written without an exponent, as who reads it gets it: of a small one the last
/// digits are not written.
fn as_told(value: f64) -> f64 {
    parse_f64(F64Text::decimal(value).as_bytes()).unwrap_or(value)
}

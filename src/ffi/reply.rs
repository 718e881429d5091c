//! `kv_reply`: a [`ReplyBuf`] walked out into one block of memory.

use super::panic::{Failure, guard_quiet};
use crate::reply::{Item, Protocol, ReplyBuf, Walker};
use smallvec::SmallVec;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;

/// A string of any bytes: str, len.
pub const KV_REPLY_STRING: u32 = 1;
/// Elements in order: count, elements.
pub const KV_REPLY_ARRAY: u32 = 2;
/// An integer: integer.
pub const KV_REPLY_INTEGER: u32 = 3;
/// No value: a missing key, or a script's nil or false.
pub const KV_REPLY_NIL: u32 = 4;
/// A status such as OK: str, len.
pub const KV_REPLY_STATUS: u32 = 5;
/// An error: str, len. The first word tells which, such as ERR, WRONGTYPE or NOSCRIPT.
pub const KV_REPLY_ERROR: u32 = 6;
/// A double: number. Only under protocol 3, like all that follow.
pub const KV_REPLY_DOUBLE: u32 = 7;
/// A boolean: integer, which is 0 or 1.
pub const KV_REPLY_BOOL: u32 = 8;
/// Keys and values in turn: count is twice the number of pairs, elements.
pub const KV_REPLY_MAP: u32 = 9;
/// Elements without order: count, elements.
pub const KV_REPLY_SET: u32 = 10;
/// A number of any size in decimal digits: str, len.
pub const KV_REPLY_BIGNUM: u32 = 13;
/// A text with a format such as "txt": str, len, format.
pub const KV_REPLY_VERB: u32 = 14;

/// What a call answers. The type, whose numbers are hiredis's, tells which fields are set; the
/// others are 0 or NULL. Everything below a reply lies in one block that the outermost reply owns.
///
/// Read the fields, do not change them. A copy of the struct is a second name for the same
/// memory: release only one of them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kv_reply {
    /// One of KV_REPLY_...
    pub r#type: u32,
    /// Of KV_REPLY_VERB: three letters and a NUL.
    pub format: [c_char; 4],
    /// Of KV_REPLY_INTEGER and KV_REPLY_BOOL.
    pub integer: i64,
    /// Of KV_REPLY_DOUBLE.
    pub number: f64,
    /// Of the types with a text: its bytes, any bytes, with a NUL behind the last.
    pub str: *const c_char,
    /// The text's length in bytes, without the NUL.
    pub len: usize,
    /// How many elements there are.
    pub count: usize,
    /// Of KV_REPLY_ARRAY, KV_REPLY_MAP and KV_REPLY_SET: the elements, NULL if there are none.
    /// They go when the outermost reply is released.
    pub elements: *const kv_reply,
    /// Private.
    pub owner: *mut c_void,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kv_reply>() == 64 && align_of::<kv_reply>() == 8);

/// Releases a reply and all below it, and makes it a nil.
///
/// @param reply  The outermost reply of a call. Harmless on NULL, on a reply that was released
///               already or that owns no memory, and on an element of another reply, which is
///               released with the whole.
///
/// Thread-safe for different replies; a reply may be released on another thread than made it, and
/// after its engine is closed.
#[unsafe(no_mangle)]
pub extern "C" fn kv_reply_free(reply: *mut kv_reply) {
    guard_quiet(|| {
        if reply.is_null() {
            return;
        }
        // SAFETY: not NULL, so by contract a reply of ours. Nobody else uses it meanwhile.
        let gone = unsafe { reply.replace(kv_reply::NIL) };
        // SAFETY: the owner is NULL or the block that was allocated for this very reply.
        unsafe { libc::free(gone.owner) };
    });
}

const NO_MEMORY: &CStr = c"ERR out of memory for the reply";

impl kv_reply {
    /// No value; also what every other reply starts from.
    pub(super) const NIL: kv_reply = kv_reply {
        r#type: KV_REPLY_NIL,
        format: [0; 4],
        integer: 0,
        number: 0.0,
        str: ptr::null(),
        len: 0,
        count: 0,
        elements: ptr::null(),
        owner: ptr::null_mut(),
    };

    pub(super) const OK: kv_reply = kv_reply::fixed(KV_REPLY_STATUS, c"OK");

    pub(super) const fn static_error(text: &'static CStr) -> kv_reply {
        kv_reply::fixed(KV_REPLY_ERROR, text)
    }

    pub(super) fn error(text: &str) -> kv_reply {
        kv_reply::written(|buffer| buffer.error_text(text.as_bytes()))
    }

    pub(super) const fn integer(value: i64) -> kv_reply {
        kv_reply { r#type: KV_REPLY_INTEGER, integer: value, ..kv_reply::NIL }
    }

    /// A reply that is made here rather than by the engine.
    pub(super) fn written(write: impl FnOnce(&mut ReplyBuf)) -> kv_reply {
        let mut buffer = ReplyBuf::new();
        write(&mut buffer);
        kv_reply::walked(&buffer, Protocol::Resp2)
    }

    /// From a nil it becomes the reply of a call that leaves it in a buffer. The buffer is kept from
    /// call to call, one for each thread, in a box, so that only its address is taken and put back; a
    /// call from within a callback finds none and takes a new one.
    #[inline]
    pub(super) fn answer<E>(
        &mut self,
        protocol: Protocol,
        call: impl FnOnce(&mut ReplyBuf) -> Result<(), E>,
    ) -> Result<(), Failure>
    where
        Failure: From<E>,
    {
        thread_local!(static KEPT: Cell<Option<Box<ReplyBuf>>> = const { Cell::new(None) });
        // As a thread ends, what it kept may be gone before its last call.
        let mut buffer = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
        call(&mut buffer)?;
        self.walk_out(&buffer, protocol);
        if let Some(traceback) = buffer.take_traceback() {
            super::traceback::keep(traceback);
        }
        buffer.clear();
        let _ = KEPT.try_with(|kept| kept.set(Some(buffer)));
        Ok(())
    }

    /// From a nil it becomes what is in the buffer. What most calls answer is written at once.
    #[inline]
    fn walk_out(&mut self, buffer: &ReplyBuf, protocol: Protocol) {
        match buffer.walk(protocol).next() {
            Item::Null | Item::NullArray => (),
            Item::Integer(value) => (self.r#type, self.integer) = (KV_REPLY_INTEGER, value),
            Item::Status(b"OK") => *self = kv_reply::OK,
            Item::Bulk(text) if !text.is_empty() => self.own(text),
            _ => *self = kv_reply::walked(buffer, protocol),
        }
    }

    /// From a nil it becomes a string, which is not empty, in a block of its own.
    fn own(&mut self, text: &[u8]) {
        // SAFETY: the size is not 0.
        let block = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
        if block.is_null() {
            *self = kv_reply::static_error(NO_MEMORY);
            return;
        }
        // SAFETY: the block has room for the text and a NUL.
        unsafe {
            block.copy_from_nonoverlapping(text.as_ptr(), text.len());
            block.add(text.len()).write(0);
        }
        (self.r#type, self.str, self.len) = (KV_REPLY_STRING, block.cast(), text.len());
        self.owner = block.cast();
    }

    /// Walks the buffer twice: to measure it, then to fill one block of just that size. Once is
    /// enough for what owns no memory.
    fn walked(buffer: &ReplyBuf, protocol: Protocol) -> kv_reply {
        if let (reply @ kv_reply { count: 0, .. }, None) = parts(buffer.walk(protocol).next()) {
            return reply;
        }
        let size = Size::of(&mut buffer.walk(protocol));
        let mut walker = buffer.walk(protocol);
        match size.bytes_in_all() {
            Some(0) => parts(walker.next()).0,
            Some(bytes) => {
                // SAFETY: the size is not 0.
                let block = unsafe { libc::malloc(bytes) };
                if block.is_null() {
                    return kv_reply::static_error(NO_MEMORY);
                }
                // SAFETY: the block is as large as was measured, aligned for anything, and the
                // second walk meets the same items as the first.
                unsafe { Block::new(block, size.elements).fill(&mut walker) }
            }
            None => kv_reply::static_error(NO_MEMORY),
        }
    }

    /// A text that is part of the program.
    const fn fixed(r#type: u32, text: &'static CStr) -> kv_reply {
        kv_reply { r#type, str: text.as_ptr(), len: text.count_bytes(), ..kv_reply::NIL }
    }
}

/// One item: what it is without its pointers, and the text that has to be copied for it.
fn parts(item: Item<'_>) -> (kv_reply, Option<&[u8]>) {
    let of = |r#type| kv_reply { r#type, ..kv_reply::NIL };
    let count = |r#type, count| (kv_reply { r#type, count, ..kv_reply::NIL }, None);
    match item {
        Item::Null | Item::NullArray => (kv_reply::NIL, None),
        Item::Integer(value) => (kv_reply::integer(value), None),
        Item::Double(number) => (kv_reply { number, ..of(KV_REPLY_DOUBLE) }, None),
        Item::Boolean(value) => (kv_reply { integer: value.into(), ..of(KV_REPLY_BOOL) }, None),
        Item::Bulk(b"") => (kv_reply::fixed(KV_REPLY_STRING, c""), None),
        Item::Bulk(text) => (of(KV_REPLY_STRING), Some(text)),
        Item::Status(b"OK") => (kv_reply::OK, None),
        Item::Status(text) => (of(KV_REPLY_STATUS), Some(text)),
        Item::Error(text) => (of(KV_REPLY_ERROR), Some(text)),
        Item::BigNumber(text) => (of(KV_REPLY_BIGNUM), Some(text)),
        Item::Verbatim(text) => {
            let (format, text) = text.split_at_checked(4).unwrap_or_default();
            let mut verbatim = of(KV_REPLY_VERB);
            for (to, from) in verbatim.format.iter_mut().zip(format.iter().take(3)) {
                *to = *from as c_char;
            }
            (verbatim, Some(text))
        }
        Item::Array(len) | Item::Push(len) => count(KV_REPLY_ARRAY, len),
        Item::Map(len) => count(KV_REPLY_MAP, len.saturating_mul(2)),
        Item::Set(len) => count(KV_REPLY_SET, len),
    }
}

/// What a reply needs: the elements of all its containers, and the bytes of its texts with a NUL
/// after each.
struct Size {
    elements: usize,
    bytes: usize,
}

impl Size {
    fn of(walker: &mut Walker<'_>) -> Size {
        let mut size = Size { elements: 0, bytes: 0 };
        let mut pending = 1_usize;
        while pending > 0 {
            let (reply, text) = parts(walker.next());
            pending = (pending - 1).saturating_add(reply.count);
            size.elements = size.elements.saturating_add(reply.count);
            size.bytes = size.bytes.saturating_add(text.map_or(0, |text| text.len() + 1));
        }
        size
    }

    fn bytes_in_all(&self) -> Option<usize> {
        self.elements.checked_mul(size_of::<kv_reply>())?.checked_add(self.bytes)
    }
}

/// The block as it fills: elements from its start, texts behind all of them.
struct Block {
    block: *mut c_void,
    element: *mut kv_reply,
    text: *mut u8,
}

impl Block {
    /// # Safety
    /// The block has room for the elements and is aligned for them.
    unsafe fn new(block: *mut c_void, elements: usize) -> Block {
        let element = block.cast::<kv_reply>();
        // SAFETY: within the block or at its end.
        let text = unsafe { element.add(elements) }.cast();
        Block { block, element, text }
    }

    /// Fills the block and returns the reply that owns it. Depth costs no stack.
    ///
    /// # Safety
    /// The block has the size that was measured on the same walk.
    unsafe fn fill(mut self, walker: &mut Walker<'_>) -> kv_reply {
        // Where the next element of each open container goes, and how many are still to come.
        let mut open = SmallVec::<[(*mut kv_reply, usize); 16]>::new();
        // SAFETY: the walk has been measured.
        let mut root = unsafe { self.next(walker) };
        open.push((root.elements.cast_mut(), root.count));
        while let Some((place, left)) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            // SAFETY: the walk has been measured.
            let reply = unsafe { self.next(walker) };
            // SAFETY: as many elements were set aside as the container has.
            unsafe {
                place.write(reply);
                *place = place.add(1);
            }
            if reply.count > 0 {
                open.push((reply.elements.cast_mut(), reply.count));
            }
        }
        root.owner = self.block;
        root
    }

    /// Takes one item: copies its text, or sets aside room for its elements.
    ///
    /// # Safety
    /// The block has room for both.
    unsafe fn next(&mut self, walker: &mut Walker<'_>) -> kv_reply {
        let (mut reply, text) = parts(walker.next());
        if let Some(text) = text {
            reply.str = self.text.cast();
            reply.len = text.len();
            // SAFETY: the text and its NUL were counted.
            unsafe {
                self.text.copy_from_nonoverlapping(text.as_ptr(), text.len());
                self.text.add(text.len()).write(0);
                self.text = self.text.add(text.len() + 1);
            }
        }
        if reply.count > 0 {
            reply.elements = self.element;
            // SAFETY: the elements were counted.
            self.element = unsafe { self.element.add(reply.count) };
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_costs_no_stack() {
        let mut reply = kv_reply::written(|buffer| {
            (0..100_000).for_each(|_| buffer.array(1));
            buffer.bulk(b"deep");
        });
        let mut inner = &reply;
        while inner.r#type == KV_REPLY_ARRAY {
            // SAFETY: every array here has one element.
            inner = unsafe { &*inner.elements };
        }
        assert_eq!((inner.r#type, inner.len), (KV_REPLY_STRING, 4));
        kv_reply_free(&raw mut reply);
        kv_reply_free(&raw mut reply);
        assert_eq!(reply.r#type, KV_REPLY_NIL);
    }

    #[test]
    fn the_types_of_resp3() {
        let mut buffer = ReplyBuf::new();
        buffer.map(1);
        buffer.verbatim(b"mkd", b"# a");
        buffer.set(3);
        buffer.double(1.5);
        buffer.boolean(true);
        buffer.big_number(b"123456789012345678901");
        let mut reply = kv_reply::walked(&buffer, Protocol::Resp3);
        assert_eq!((reply.r#type, reply.count), (KV_REPLY_MAP, 2));
        // SAFETY: a map of one pair.
        let pair = unsafe { std::slice::from_raw_parts(reply.elements, 2) };
        let [verbatim, set] = pair else { panic!("two elements") };
        assert_eq!(verbatim.format.map(|c| c as u8), *b"mkd\0");
        assert_eq!((verbatim.r#type, verbatim.len), (KV_REPLY_VERB, 3));
        // SAFETY: a set of three.
        let members = unsafe { std::slice::from_raw_parts(set.elements, 3) };
        let [double, boolean, number] = members else { panic!("three elements") };
        assert_eq!((double.r#type, double.number), (KV_REPLY_DOUBLE, 1.5));
        assert_eq!((boolean.r#type, boolean.integer), (KV_REPLY_BOOL, 1));
        assert_eq!((number.r#type, number.len), (KV_REPLY_BIGNUM, 21));
        kv_reply_free(&raw mut reply);
    }
}

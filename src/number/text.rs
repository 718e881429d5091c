//! The place where numbers are written, without heap.

use std::fmt::{self, Write};

/// Text in a small array. Everything written here has a known bound below its
/// size; what would not fit is dropped rather than a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackText {
    /// The text, then unused bytes.
    bytes: [u8; 32],
    /// How many bytes are text.
    len: usize,
}

impl StackText {
    /// An empty text.
    pub(super) const fn new() -> Self {
        StackText { bytes: [0; 32], len: 0 }
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(text);
            self.len = end;
        }
    }

    /// Appends zeros.
    pub(super) fn push_zeros(&mut self, count: usize) {
        (0..count).for_each(|_| self.push(b"0"));
    }

    /// Appends a point and digits, or nothing when there are no digits.
    pub(super) fn push_fraction(&mut self, digits: &[u8]) {
        if !digits.is_empty() {
            self.push(b".");
            self.push(digits);
        }
    }

    /// The text written so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

//! What a compiled text does with its globals, seen in its instructions.
//!
//! Scripts see the globals through a proxy, which keeps them from writing there and costs each
//! reading a second look-up. Only one instruction writes to globals; a script that has none of it,
//! which is nearly every script, may have the real table as its environment: no function that a
//! script can reach shows a function's environment or changes it.
//!
//! The form read here is what Lua 5.1 dumps a function as. Of any other form, that of another
//! interpreter or another word size, nothing is said.

/// What a dump begins with: Lua 5.1's own form, low bytes first, with 4 bytes for an int, 8 for a
/// size, 4 for an instruction and 8 for a number, which is a double.
const HEADER: [u8; 12] = [0x1b, b'L', b'u', b'a', 0x51, 0, 1, 4, 8, 4, 8, 0];

/// The bits of an instruction that say what it does, in its lowest byte.
const OPERATION: u8 = 0x3f;
/// Sets a global.
const SET_GLOBAL: u8 = 7;

/// The bytes of an instruction, an int, a size and a number.
const INSTRUCTION: usize = 4;
const INT: usize = 4;
const SIZE: usize = 8;
const NUMBER: usize = 8;

/// Bytes in front of a function's instructions, behind its source: two lines and four counts.
const PROLOGUE: usize = 2 * INT + 4;

/// Whether a dumped function, and every function within it, is seen to set no global.
pub(super) fn sets_no_globals(dump: &[u8]) -> bool {
    let function = dump.strip_prefix(&HEADER);
    function.is_some_and(|rest| Rest(rest).function() == Some(()))
}

/// What is left of a dump.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A count.
    fn int(&mut self) -> Option<usize> {
        let bytes = self.take(INT)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    }

    /// So many things of a size, their number in front.
    fn array(&mut self, size: usize) -> Option<&'a [u8]> {
        let count = self.int()?;
        self.take(count.checked_mul(size)?)
    }

    fn text(&mut self) -> Option<()> {
        let bytes = self.take(SIZE)?.first_chunk()?;
        self.take(usize::try_from(u64::from_le_bytes(*bytes)).ok()?).map(drop)
    }

    /// A function; none if it sets a global or is not understood.
    fn function(&mut self) -> Option<()> {
        self.text()?;
        self.take(PROLOGUE)?;
        let code = self.array(INSTRUCTION)?;
        let sets = |instruction: &[u8]| {
            instruction.first().is_none_or(|low| low & OPERATION == SET_GLOBAL)
        };
        if code.chunks(INSTRUCTION).any(sets) {
            return None;
        }
        for _ in 0..self.int()? {
            self.constant()?;
        }
        for _ in 0..self.int()? {
            self.function()?;
        }
        // What errors tell: lines, and the names of locals and upvalues.
        self.array(INT)?;
        for _ in 0..self.int()? {
            self.text()?;
            self.take(2 * INT)?;
        }
        for _ in 0..self.int()? {
            self.text()?;
        }
        Some(())
    }

    fn constant(&mut self) -> Option<()> {
        match self.take(1)? {
            // nil, a boolean, a number, a string
            [0] => Some(()),
            [1] => self.take(1).map(drop),
            [3] => self.take(NUMBER).map(drop),
            [4] => self.text(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_may_set_globals() {
        assert!(!sets_no_globals(b""));
        assert!(!sets_no_globals(&HEADER));
        assert!(!sets_no_globals(b"\x1bLJ\x02"));
        assert!(!sets_no_globals(&[&HEADER[..], &[0xff; 64]].concat()));
    }
}

//! What a compiled text does with its globals, seen in its instructions.
//!
//! Scripts see the globals, and each library among them, through proxies, which keep them from
//! writing there and cost each reading a second look-up. Only one instruction writes to globals; a
//! script that has none of it, which is nearly every script, may have the real table as its
//! environment: no function that a script can reach shows a function's environment or changes it.
//!
//! The same with libraries. `string.rep` is two instructions: one takes the library from the globals
//! to a register, the next one puts the field in its place. Where every reading of a library goes on
//! like this at once, no library is ever in a script's hands, and it may read the real ones.
//!
//! The form read here is what Lua 5.1 dumps a function as. Of any other form, that of another
//! interpreter or another word size, nothing is said.

/// What is seen of a script's use of its globals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// It may do anything.
    Anything,
    /// It sets no global.
    ReadsGlobals,
    /// It sets none, and takes nothing from libraries but their fields.
    ReadsFields,
}

/// The globals that are libraries.
pub(super) const LIBRARIES: [&str; 9] =
    ["bit", "cjson", "cmsgpack", "coroutine", "math", "redis", "string", "struct", "table"];

/// The globals that a run sets.
const LISTS: [&str; 2] = ["KEYS", "ARGV"];

/// What a dump begins with: Lua 5.1's own form, low bytes first, with 4 bytes for an int, 8 for a
/// size, 4 for an instruction and 8 for a number, which is a double.
const HEADER: [u8; 12] = [0x1b, b'L', b'u', b'a', 0x51, 0, 1, 4, 8, 4, 8, 0];

/// Takes a global to a register.
const GET_GLOBAL: u32 = 5;
/// Takes a field of a table in a register to a register.
const GET_FIELD: u32 = 6;
/// Sets a global.
const SET_GLOBAL: u32 = 7;

/// The bytes of an instruction, an int, a size and a number.
const INSTRUCTION: usize = 4;
const INT: usize = 4;
const SIZE: usize = 8;
const NUMBER: usize = 8;

/// Bytes in front of a function's instructions, behind its source: two lines and four counts.
const PROLOGUE: usize = 2 * INT + 4;

/// What is seen of a dumped function and every function within it.
pub(super) fn reach(dump: &[u8]) -> Reach {
    reach_of(dump, &LIBRARIES)
}

/// Whether KEYS and ARGV are never in its hands: it takes nothing from them but elements, at once.
pub(super) fn takes_elements_only(dump: &[u8]) -> bool {
    reach_of(dump, &LISTS) == Reach::ReadsFields
}

/// The same as [`reach`] for other tables among the globals than libraries.
fn reach_of(dump: &[u8], tables: &[&str]) -> Reach {
    let function = dump.strip_prefix(&HEADER).and_then(|rest| Rest(rest).function(tables));
    function.unwrap_or(Reach::Anything)
}

/// An instruction: what it does, and its operands.
#[derive(Clone, Copy)]
struct Instruction(u32);

impl Instruction {
    fn operation(self) -> u32 {
        self.0 & 0x3f
    }

    /// The register it sets.
    fn target(self) -> u32 {
        self.0 >> 6 & 0xff
    }

    /// Where an instruction of three operands finds its table.
    fn table(self) -> u32 {
        self.0 >> 23
    }

    /// The constant of an instruction of two operands.
    fn constant(self) -> usize {
        (self.0 >> 14) as usize
    }

    /// Whether it replaces what the one before took by one of its fields.
    fn replaces(self, before: Instruction) -> bool {
        let register = before.target();
        self.operation() == GET_FIELD && self.target() == register && self.table() == register
    }
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

    /// A text, with the zero behind it.
    fn text(&mut self) -> Option<&'a [u8]> {
        let bytes = self.take(SIZE)?.first_chunk()?;
        self.take(usize::try_from(u64::from_le_bytes(*bytes)).ok()?)
    }

    /// A function and those within it; none if it is not understood.
    fn function(&mut self, tables: &[&str]) -> Option<Reach> {
        self.text()?;
        self.take(PROLOGUE)?;
        let code = self.array(INSTRUCTION)?.as_chunks().0;
        let code = || code.iter().map(|bytes| Instruction(u32::from_le_bytes(*bytes)));
        let mut is_library = Vec::new();
        for _ in 0..self.int()? {
            let text = self.constant()?;
            is_library
                .push(tables.iter().any(|name| text.strip_suffix(b"\0") == Some(name.as_bytes())));
        }
        let mut reach = of_code(code, &is_library);
        for _ in 0..self.int()? {
            reach = reach.min(self.function(tables)?);
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
        Some(reach)
    }

    /// A constant; its text if it is one.
    fn constant(&mut self) -> Option<&'a [u8]> {
        match self.take(1)? {
            // nil, a boolean, a number, a string
            [0] => Some(b""),
            [1] => self.take(1).map(|_| &b""[..]),
            [3] => self.take(NUMBER).map(|_| &b""[..]),
            [4] => self.text(),
            _ => None,
        }
    }
}

/// What is seen of one function's instructions. Among them are words that are none; taken for
/// instructions they are no reason to say more than without them, since what follows an instruction
/// that takes a global is always one.
fn of_code<I: Iterator<Item = Instruction>>(code: impl Fn() -> I, is_library: &[bool]) -> Reach {
    if code().any(|instruction| instruction.operation() == SET_GLOBAL) {
        return Reach::Anything;
    }
    let takes_library = |instruction: Instruction| {
        instruction.operation() == GET_GLOBAL
            && is_library.get(instruction.constant()).is_none_or(|library| *library)
    };
    let keeps_one = |(taking, next): (Instruction, Instruction)| {
        takes_library(taking) && !next.replaces(taking)
    };
    // The last instruction of a function is a return.
    match code().zip(code().skip(1)).any(keeps_one) {
        true => Reach::ReadsGlobals,
        false => Reach::ReadsFields,
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;

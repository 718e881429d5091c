//! Functions that are the same in every run of a script, made once.
//!
//! A script makes its local functions anew in each run. LuaJIT ties machine code to the very function
//! it saw, until it has seen three made in one place; from then on it looks, at each call, which
//! function it is and what that one refers to, which makes a recursion two to three times as slow. So
//! functions that cannot tell one run from another are made when the script is compiled, and a run takes
//! them from upvalues of the script's own.
//!
//! Such is a function that is made once in a run and refers to nothing but itself, others of the kind,
//! and variables that are a number, a text or the like from their beginning to their end. It has nothing
//! in it that could change, and nobody can compare it with that of another run. It has to be a local
//! variable's first value, too: what errors call it stays as it is then.
//!
//! What is read and written here are dumps in LuaJIT's own form, version 2. Of any other nothing is made.

use std::ops::Range;

/// Two scripts in LuaJIT's form, which share so many upvalues.
pub(super) struct Hoisted {
    /// Makes the functions and leaves them in its upvalues.
    pub(super) maker: Vec<u8>,
    /// The script, which expects them in its own.
    pub(super) script: Vec<u8>,
    pub(super) count: u8,
}

/// What a dump begins with: the form's name and version, low bytes first, with frames of two slots and
/// the names of variables, without objects of the foreign function interface.
const HEADER: [u8; 5] = [0x1b, b'L', b'J', 2, 0x08];

/// What a function's constants begin with: the function of another one, a table, and whatever is not
/// of Lua 5.1 up to texts.
const CHILD: usize = 0;
const TABLE: usize = 1;
const TEXT: usize = 5;
/// What the keys and values of a constant table begin with.
const PLAIN_MOST: usize = 2;
const INTEGER: usize = 3;
const NUMBER: usize = 4;

/// Instructions: their last halves are an operand, or where they jump to from the next one, with an
/// offset. The first ones load a constant.
const LOADS: [u32; 4] = [39, 41, 42, 43];
const UPVALUE_GET: u32 = 45;
const UPVALUE_SET: u32 = 46;
const UPVALUES_CLOSE: u32 = 50;
const FUNCTION_NEW: u32 = 51;
const RETURN: u32 = 75;
const JUMPS: [u32; 7] = [UPVALUES_CLOSE, 72, 77, 79, 82, 85, 88];
const JUMP_OFFSET: usize = 0x8000;

/// What an upvalue refers to: a local variable of the function around it, by its slot, that is never
/// set again.
const IS_LOCAL: u16 = 0x8000;
const IS_CONSTANT: u16 = 0x4000;

/// As many upvalues as a function has at most.
const MOST: usize = 60;

/// Names of variables from this byte on are texts; lower ones are known by their number.
const NAME_LEAST: u8 = 7;

/// Finds the functions of a dumped script that are the same in every run. None if there are none.
pub(super) fn hoist(dump: &[u8]) -> Option<Hoisted> {
    let mut rest = Rest(dump.strip_prefix(&HEADER)?);
    let name_len = rest.count()?;
    rest.take(name_len)?;
    // Functions come after those within them, the script itself last.
    let (mut open, mut start) = (Vec::new(), dump.len() - rest.0.len());
    let main = loop {
        let len = rest.count()?;
        let function = Function::parse(Rest(rest.take(len)?))?;
        if rest.0 == [0] {
            break function;
        }
        open.truncate(open.len().checked_sub(function.children.len())?);
        open.push(function.upvalues);
        start = dump.len() - rest.0.len();
    };
    let script = Script::new(main, open)?;
    let constants = script.constants();
    let is_function = |at: &usize| script.operation(*at) == Some(FUNCTION_NEW);
    let found: Vec<usize> = constants.iter().copied().filter(is_function).collect();
    if found.is_empty() {
        return None;
    }
    let whole = |main: Vec<u8>| {
        let mut whole = dump.get(..start)?.to_vec();
        push_count(&mut whole, main.len());
        whole.extend_from_slice(&main);
        whole.push(0);
        Some(whole)
    };
    Some(Hoisted {
        maker: whole(script.maker(&constants, found.len()))?,
        script: whole(script.without(&found))?,
        count: u8::try_from(found.len()).ok()?,
    })
}

/// An instruction.
#[derive(Clone, Copy)]
struct Instruction(u32);

impl Instruction {
    fn new(operation: u32, register: u32, operand: u32) -> Instruction {
        Instruction(operation | register << 8 | operand << 16)
    }

    fn operation(self) -> u32 {
        self.0 & 0xff
    }

    fn register(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    fn operand(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Where it jumps to if it does, being the one at `at`.
    fn jumps_to(self, at: usize) -> Option<usize> {
        JUMPS
            .contains(&self.operation())
            .then(|| (at + 1 + self.operand()).saturating_sub(JUMP_OFFSET))
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

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number in groups of seven bits, low ones first.
    fn count(&mut self) -> Option<usize> {
        let (mut count, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            count |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                return Some(count);
            }
        }
    }

    fn counts(&mut self, number: usize) -> Option<()> {
        (0..number).try_for_each(|_| self.count().map(drop))
    }

    /// A constant that is an object; whether it is a function.
    fn object(&mut self) -> Option<bool> {
        match self.count()? {
            CHILD => return Some(true),
            TABLE => {
                let (elements, fields) = (self.count()?, self.count()?);
                (0..elements).try_for_each(|_| self.element())?;
                (0..fields).try_for_each(|_| self.element().and_then(|()| self.element()))?;
            }
            text => drop(self.take(text.checked_sub(TEXT)?)?),
        }
        Some(false)
    }

    /// A key or a value of a constant table.
    fn element(&mut self) -> Option<()> {
        match self.count()? {
            0..=PLAIN_MOST => Some(()),
            INTEGER => self.counts(1),
            NUMBER => self.counts(2),
            text => self.take(text.checked_sub(TEXT)?).map(drop),
        }
    }

    /// A constant that is a number: with the lowest bit there is a second half.
    fn number(&mut self) -> Option<()> {
        let halves = 1 + usize::from(self.0.first()? & 1);
        self.counts(halves)
    }
}

/// Writes a number in groups of seven bits.
fn push_count(bytes: &mut Vec<u8>, mut count: usize) {
    while count >= 0x80 {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
}

/// A function as it is dumped.
struct Function<'a> {
    /// Its kind, its parameters and the size of its frame.
    head: &'a [u8],
    objects: usize,
    numbers: usize,
    code: Vec<Instruction>,
    upvalues: Vec<u16>,
    /// Of its objects the functions, by what instructions call them.
    children: Vec<usize>,
    constants: &'a [u8],
    /// Its first line, and how many there are.
    lines: [usize; 2],
    debug: &'a [u8],
}

impl<'a> Function<'a> {
    fn parse(mut rest: Rest<'a>) -> Option<Function<'a>> {
        let head = rest.take(3)?;
        let upvalue_count = usize::from(rest.byte()?);
        let (objects, numbers, length) = (rest.count()?, rest.count()?, rest.count()?);
        let debug_len = rest.count()?;
        let lines = match debug_len {
            0 => [0, 0],
            _ => [rest.count()?, rest.count()?],
        };
        let code = rest.take(length.checked_mul(4)?)?.as_chunks().0;
        let code = code.iter().map(|bytes| Instruction(u32::from_le_bytes(*bytes))).collect();
        let upvalues = rest.take(upvalue_count * 2)?.as_chunks().0;
        let upvalues = upvalues.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        let (constants, mut children) = (rest.0, Vec::new());
        for object in (0..objects).rev() {
            if rest.object()? {
                children.push(object);
            }
        }
        (0..numbers).try_for_each(|_| rest.number())?;
        let constants = constants.get(..constants.len() - rest.0.len())?;
        let debug = rest.take(debug_len)?;
        rest.0.is_empty().then_some(Function {
            head,
            objects,
            numbers,
            code,
            upvalues,
            children,
            constants,
            lines,
            debug,
        })
    }

    /// The same with other code, so many upvalues, and what is told of variables and lines.
    fn write(&self, code: &[Instruction], upvalues: &[u16], debug: &[u8]) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        bytes.push(upvalues.len() as u8);
        for count in [self.objects, self.numbers, code.len(), debug.len()] {
            push_count(&mut bytes, count);
        }
        if !debug.is_empty() {
            self.lines.into_iter().for_each(|lines| push_count(&mut bytes, lines));
        }
        bytes.extend(code.iter().flat_map(|instruction| instruction.0.to_le_bytes()));
        bytes.extend(upvalues.iter().flat_map(|upvalue| upvalue.to_le_bytes()));
        bytes.extend_from_slice(self.constants);
        bytes.extend_from_slice(debug);
        bytes
    }

    /// Where what is told of variables begins: behind the line of each instruction, in so many
    /// bytes as lines need. A script has no upvalues, whose names would come first.
    fn variables_at(&self) -> usize {
        let [_, lines] = self.lines;
        let shift = u32::from(lines > 0xff) + u32::from(lines > 0xffff);
        self.code.len() << shift
    }

    /// Where each variable is known, in the order in which they begin. Instructions are counted from
    /// one.
    fn variables(&self) -> Option<Vec<Range<usize>>> {
        let mut rest = Rest(self.debug.get(self.variables_at()..)?);
        let (mut variables, mut start) = (Vec::new(), 0);
        loop {
            match rest.byte()? {
                0 => return Some(variables),
                1..NAME_LEAST => (),
                _ => while rest.byte()? != 0 {},
            }
            start = rest.count()?.checked_add(start)?;
            variables.push(start..rest.count()?.checked_add(start)?);
        }
    }
}

/// A script, with what is known of its variables and the functions in it.
struct Script<'a> {
    main: Function<'a>,
    variables: Vec<Range<usize>>,
    /// Upvalues of the functions that it makes, in the order of its children.
    upvalues: Vec<Vec<u16>>,
}

impl<'a> Script<'a> {
    fn new(main: Function<'a>, mut upvalues: Vec<Vec<u16>>) -> Option<Script<'a>> {
        // The last one that was read is taken first.
        upvalues.reverse();
        let is_whole = upvalues.len() == main.children.len() && main.upvalues.is_empty();
        let variables = main.variables()?;
        is_whole.then_some(Script { main, variables, upvalues })
    }

    /// The instructions that give variables a first value which is the same in every run: constants, and
    /// functions that refer to nothing else.
    fn constants(&self) -> Vec<usize> {
        let (mut found, mut variables, mut functions) = (Vec::new(), Vec::new(), 0);
        for (at, instruction) in self.main.code.iter().enumerate() {
            let is_constant = match instruction.operation() {
                FUNCTION_NEW => functions < MOST && !self.repeats(at),
                other => LOADS.contains(&other),
            };
            let register = instruction.register();
            let Some(variable) = self.variable_begun(at, register).filter(|_| is_constant) else {
                continue;
            };
            if instruction.operation() == FUNCTION_NEW {
                if !self.refers_to(at, *instruction, &variables) {
                    continue;
                }
                functions += 1;
            }
            found.push(at);
            variables.push(variable);
        }
        found
    }

    /// Whether a function that is made refers to nothing but itself and these variables, none of which
    /// is set again. Itself is not known yet where it is made.
    fn refers_to(&self, at: usize, make: Instruction, variables: &[usize]) -> bool {
        let is_constant = |upvalue: &u16| {
            let slot = u32::from(upvalue & 0xff);
            let variable = self.variable(at, slot);
            upvalue & IS_LOCAL != 0
                && upvalue & IS_CONSTANT != 0
                && (slot == make.register()
                    || variable.is_some_and(|variable| variables.contains(&variable)))
        };
        self.upvalues_of(make.operand()).is_some_and(|upvalues| upvalues.iter().all(is_constant))
    }

    /// Whether the instruction may be met twice in a run: a jump behind it goes back beyond it.
    fn repeats(&self, at: usize) -> bool {
        let jumps = self.main.code.iter().enumerate().skip(at);
        let mut targets = jumps.filter_map(|(from, jump)| jump.jumps_to(from));
        targets.any(|target| target <= at)
    }

    /// The variable that begins with what the instruction puts into a register: it is known from the
    /// next one on, to which there must be no other way.
    fn variable_begun(&self, at: usize, register: u32) -> Option<usize> {
        let variable = self.variable(at + 1, register)?;
        let begins = self.variables.get(variable)?.start == at + 2;
        let mut code = self.main.code.iter().enumerate();
        (begins && code.all(|(from, jump)| jump.jumps_to(from) != Some(at + 1))).then_some(variable)
    }

    /// The variable that a slot is at an instruction: slots are taken in the order of variables.
    fn variable(&self, at: usize, slot: u32) -> Option<usize> {
        let known =
            self.variables.iter().enumerate().filter(|(_, range)| range.contains(&(at + 1)));
        known.map(|(variable, _)| variable).nth(slot as usize)
    }

    /// The upvalues of a function, by what instructions call it.
    fn upvalues_of(&self, object: usize) -> Option<&[u16]> {
        let child = self.main.children.iter().position(|child| *child == object)?;
        self.upvalues.get(child).map(Vec::as_slice)
    }

    /// A script that makes what is at these places, and leaves the functions among it, so many, in its
    /// upvalues. Each variable that one refers to is closed before its slot may become another one.
    fn maker(&self, constants: &[usize], functions: usize) -> Vec<u8> {
        let close = |slot| Instruction::new(UPVALUES_CLOSE, slot, JUMP_OFFSET as u32);
        let (mut code, mut upvalue) = (Vec::new(), 0);
        for make in self.instructions(constants) {
            let slot = make.register();
            code.extend([close(slot), make]);
            if make.operation() == FUNCTION_NEW {
                code.push(Instruction::new(UPVALUE_SET, upvalue, slot));
                upvalue += 1;
            }
        }
        code.extend([close(0), Instruction::new(RETURN, 0, 1)]);
        self.main.write(&code, &vec![0; functions], &[])
    }

    /// The script that takes the functions at these places from its upvalues, which have no names.
    fn without(&self, found: &[usize]) -> Vec<u8> {
        let mut code = self.main.code.clone();
        for (upvalue, (at, make)) in (0..).zip(found.iter().zip(self.instructions(found))) {
            if let Some(place) = code.get_mut(*at) {
                *place = Instruction::new(UPVALUE_GET, make.register(), upvalue);
            }
        }
        let upvalues = (0..).take(found.len()).map(|upvalue| upvalue | IS_CONSTANT);
        let upvalues = upvalues.collect::<Vec<u16>>();
        let (lines, variables) = self.main.debug.split_at(self.main.variables_at());
        let debug = [lines, &vec![0; found.len()], variables].concat();
        self.main.write(&code, &upvalues, &debug)
    }

    fn operation(&self, at: usize) -> Option<u32> {
        self.main.code.get(at).map(|instruction| instruction.operation())
    }

    fn instructions(&self, found: &[usize]) -> impl Iterator<Item = Instruction> {
        found.iter().filter_map(|at| self.main.code.get(*at).copied())
    }
}

#[cfg(test)]
#[path = "hoist_tests.rs"]
mod tests;

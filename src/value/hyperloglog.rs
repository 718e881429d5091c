//! HyperLogLogs: how many different elements were added, give or take a percent, in 12 KB or less.
//!
//! A HyperLogLog is a string in Redis's own format, so these are functions on bytes. A header of
//! 16 bytes (`HYLL`, the form, three unused bytes, the last estimate in 8 bytes, whose highest bit
//! says that it is out of date) is followed by 2^14 registers in one of two forms. The dense form
//! has 6 bits for each, the lowest bits first. The sparse form says in one or two bytes which
//! value so many registers in a row have (see [`Run`]).
//!
//! An element's hash names a register, and the register keeps the longest run of zeros seen at
//! the end of the rest of such hashes. The estimate from the registers is Otmar Ertl's ("New
//! cardinality estimation algorithms for HyperLogLog sketches", 2017).

use smallvec::SmallVec;

/// How many registers there are.
pub(crate) const REGISTERS: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 14;
/// The bits of a hash that count zeros.
const COUNT_BITS: u32 = 64 - INDEX_BITS;
const REGISTER_BITS: usize = 6;
const MAGIC: &[u8] = b"HYLL";
const HEADER_BYTES: usize = 16;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the header keeps the estimate.
pub(crate) const ESTIMATE_AT: usize = 8;
/// The byte of the header that says whether the estimate is out of date, by its highest bit.
pub(crate) const STALE_AT: usize = 15;
const STALE: u8 = 0x80;
const SEED: u64 = 0xadc8_3b19;

/// Why bytes are no HyperLogLog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They do not look like one.
    Foreign,
    /// The registers do not add up.
    Corrupt,
}

/// The form in which registers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 6 bits for each.
    Dense,
    /// Runs of the same value.
    Sparse,
}

/// A HyperLogLog without elements.
pub(crate) fn empty() -> Vec<u8> {
    let mut bytes = header(SPARSE);
    Run { value: 0, len: REGISTERS }.write(&mut |byte| bytes.push(byte));
    bytes
}

fn header(form: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    let start = MAGIC.iter().chain([&form]);
    bytes.iter_mut().zip(start).for_each(|(to, from)| *to = *from);
    bytes
}

/// The form of a HyperLogLog, if the bytes are one as far as the header tells.
pub(crate) fn form(bytes: &[u8]) -> Result<Form, Fault> {
    match bytes.strip_prefix(MAGIC).and_then(|rest| rest.first()) {
        Some(&DENSE) if bytes.len() == DENSE_BYTES => Ok(Form::Dense),
        Some(&SPARSE) if bytes.len() >= HEADER_BYTES => Ok(Form::Sparse),
        _ => Err(Fault::Foreign),
    }
}

/// The estimate in the header, unless it is out of date.
pub(crate) fn estimate(bytes: &[u8]) -> Option<u64> {
    let estimate = u64::from_le_bytes(*bytes.get(ESTIMATE_AT..)?.first_chunk()?);
    (estimate >> 63 == 0).then_some(estimate)
}

/// What the header's last byte becomes when the estimate goes out of date; none if it is.
pub(crate) fn stale_byte(bytes: &[u8]) -> Option<u8> {
    let byte = bytes.get(STALE_AT)?;
    (byte & STALE == 0).then_some(byte | STALE)
}

/// Marks the estimate in the header as out of date.
pub(crate) fn set_stale(bytes: &mut [u8]) {
    if let Some(byte) = bytes.get_mut(STALE_AT) {
        *byte |= STALE;
    }
}

/// The register of an element, and the value it raises that to.
pub(crate) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element);
    // A bit above all others ends the longest run.
    let rest = hash >> INDEX_BITS | 1 << COUNT_BITS;
    (hash as usize % REGISTERS, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A by Austin Appleby, with Redis's seed.
fn murmur(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |word: u64| {
        let word = word.wrapping_mul(FACTOR);
        (word ^ word >> 47).wrapping_mul(FACTOR)
    };
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(FACTOR);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(FACTOR);
    hash ^ hash >> 47
}

/// So many registers in a row with the same value. In bytes: `00llllll` for up to 64 zeros,
/// `01llllll llllllll` for any number of zeros, `1vvvvvll` for up to 4 of a value up to 32; all
/// are written less one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) value: u8,
    pub(crate) len: usize,
}

const SHORT_ZEROS_MOST: usize = 64;
const VALUE_MOST: u8 = 32;
const VALUES_MOST: usize = 4;

impl Run {
    /// The run that bytes begin with, and how many it takes. One that is cut off goes on with a
    /// zero: to Redis, a NUL follows every string.
    fn read(bytes: &[u8]) -> Option<(Run, usize)> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        let second = usize::from(bytes.get(1).copied().unwrap_or(0));
        Some(match first >> 6 {
            0 => (Run { value: 0, len: low + 1 }, 1),
            1 => (Run { value: 0, len: (low << 8 | second) + 1 }, 2),
            _ => (Run { value: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1 }, 1),
        })
    }

    /// Whether one byte has room for the run.
    pub(crate) fn is_short(self) -> bool {
        self.len <= if self.value == 0 { SHORT_ZEROS_MOST } else { VALUES_MOST }
    }

    /// Writes a run in as few bytes as it takes; one of none takes none.
    fn write(self, push: &mut impl FnMut(u8)) {
        let Some(less) = self.len.checked_sub(1) else { return };
        match self.value {
            0 if self.len <= SHORT_ZEROS_MOST => push(less as u8),
            0 => {
                push(0x40 | (less >> 8) as u8);
                push(less as u8);
            }
            value => push(0x80 | (value - 1) << 2 | less as u8),
        }
    }
}

/// The runs of the sparse form, as far as they can be read.
pub(crate) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    Runs { bytes, at: HEADER_BYTES, first: 0 }.map(|found| found.run)
}

/// Reads runs one after another.
struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    first: usize,
}

/// A run and where it is.
#[derive(Clone, Copy)]
struct Found {
    run: Run,
    /// The bytes it takes: the first, and how many.
    at: usize,
    width: usize,
    /// Its first register.
    first: usize,
}

impl Iterator for Runs<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let (run, width) = Run::read(self.bytes.get(self.at..)?)?;
        let found = Found { run, at: self.at, width, first: self.first };
        self.at += width;
        self.first += run.len;
        Some(found)
    }
}

/// How the bytes of a HyperLogLog change when a register is raised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raise {
    /// The register is as high already.
    None,
    /// Other bytes stand in place of so many, from `at` on.
    Splice { at: usize, removed: usize, bytes: Bytes },
    /// All is kept in the dense form from now on.
    Dense(Vec<u8>),
}

/// The bytes around a change.
type Bytes = SmallVec<[u8; 32]>;

/// Raises a register to a value, unless it is as high. The sparse form is left when it would take
/// more than `sparse_most` bytes.
pub(crate) fn raise(
    bytes: &[u8],
    register: usize,
    value: u8,
    sparse_most: usize,
) -> Result<Raise, Fault> {
    match form(bytes)? {
        Form::Dense => Ok(raise_dense(bytes, register, value)),
        Form::Sparse => raise_sparse(bytes, register, value, sparse_most),
    }
}

/// Where the dense form has a register: its first byte, and how many bits of that are others'.
fn dense_place(register: usize) -> (usize, usize) {
    let bit = register * REGISTER_BITS;
    (HEADER_BYTES + bit / 8, bit % 8)
}

/// The register's two bytes, the second of which the last register does not need.
fn dense_word(bytes: &[u8], at: usize) -> u16 {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    u16::from_le_bytes([byte(at), byte(at + 1)])
}

fn raise_dense(bytes: &[u8], register: usize, value: u8) -> Raise {
    let (at, shift) = dense_place(register);
    let word = dense_word(bytes, at);
    if (word >> shift & 0x3f) as u8 >= value {
        return Raise::None;
    }
    let new = (word & !(0x3f << shift) | u16::from(value) << shift).to_le_bytes();
    let width = (shift + REGISTER_BITS).div_ceil(8);
    Raise::Splice { at, removed: width, bytes: new.into_iter().take(width).collect() }
}

/// The run that has a register, and where the one before it is.
fn run_of(bytes: &[u8], register: usize) -> Option<(Found, Option<usize>)> {
    let (mut at, mut first, mut before) = (HEADER_BYTES, 0, None);
    loop {
        if let Some(len) = short_runs(bytes, at).filter(|len| register >= first + len) {
            (at, first, before) = (at + EIGHT, first + len, Some(at + EIGHT - 1));
            continue;
        }
        let (run, width) = Run::read(bytes.get(at..)?)?;
        if register < first + run.len {
            return Some((Found { run, at, width, first }, before));
        }
        (at, first, before) = (at + width, first + run.len, Some(at));
    }
}

/// Runs that are stepped over at once.
const EIGHT: usize = size_of::<u64>();

/// How many registers eight runs have together, if there are so many and each takes one byte. To
/// walk to a run is most of the time an element takes, and most runs are such.
#[inline]
fn short_runs(bytes: &[u8], at: usize) -> Option<usize> {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    const LENGTHS: u64 = 0x3f3f_3f3f_3f3f_3f3f;
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<EIGHT>()?);
    let values = word & HIGHEST;
    if word << 1 & HIGHEST & !values != 0 {
        return None;
    }
    // Of a run of values, the two lowest bits tell its length, of zeros six.
    let less = word & LENGTHS & !((values >> 7) * 0x3c);
    // Sums of two in sixteen bits each, which are added up in the highest sixteen.
    let pairs = (less & EVEN) + (less >> 8 & EVEN);
    Some((pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize + EIGHT)
}

fn raise_sparse(
    bytes: &[u8],
    register: usize,
    value: u8,
    sparse_most: usize,
) -> Result<Raise, Fault> {
    if value > VALUE_MOST {
        return raised_dense(bytes, register, value);
    }
    let (found, before) = run_of(bytes, register).ok_or(Fault::Corrupt)?;
    let Found { run, at, width, first } = found;
    if run.value >= value {
        return Ok(Raise::None);
    }
    let mut parts = Bytes::new();
    let mut push = |byte| parts.push(byte);
    Run { len: register - first, ..run }.write(&mut push);
    Run { value, len: 1 }.write(&mut push);
    Run { len: first + run.len - register - 1, ..run }.write(&mut push);
    if parts.len() > width && bytes.len() + parts.len() - width > sparse_most {
        return raised_dense(bytes, register, value);
    }
    Ok(merge_runs(bytes, before.unwrap_or(at), at, at + width, &parts))
}

/// How many runs are looked at for neighbours to merge with, and the bytes these may take.
const MERGE_STEPS: usize = 5;
const MERGE_BYTES: usize = 2 * MERGE_STEPS + 1;

/// Puts new runs in place of those from `at` to `end`, and merges what lies next to each other
/// with the same value where the result fits one run. As in Redis, whose bytes ours equal, only
/// so many steps from the run before, at `from`, are looked at, and zeros are not merged.
fn merge_runs(bytes: &[u8], from: usize, at: usize, end: usize, parts: &[u8]) -> Raise {
    let behind = bytes.len().min(end + MERGE_BYTES);
    let slice = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    let mut text = Bytes::from_slice(slice(from, at));
    text.extend_from_slice(parts);
    text.extend_from_slice(slice(end, behind));
    let mut cursor = 0;
    for _ in 0..MERGE_STEPS {
        let Some((run, width)) = text.get(cursor..).and_then(Run::read) else { break };
        let next = text.get(cursor + width..).and_then(Run::read);
        match next {
            Some((next, _))
                if run.value != 0
                    && next.value == run.value
                    && run.len + next.len <= VALUES_MOST =>
            {
                text.remove(cursor);
                if let Some(place) = text.get_mut(cursor) {
                    Run { len: run.len + next.len, ..run }.write(&mut |byte| *place = byte);
                }
            }
            _ => cursor += width,
        }
    }
    Raise::Splice { at: from, removed: behind - from, bytes: text }
}

/// All in the dense form, with one register raised.
fn raised_dense(bytes: &[u8], register: usize, value: u8) -> Result<Raise, Fault> {
    let mut dense = to_dense(bytes)?;
    let raise = raise_dense(&dense, register, value);
    apply(&mut dense, raise);
    Ok(Raise::Dense(dense))
}

/// Makes a change.
fn apply(bytes: &mut Vec<u8>, raise: Raise) {
    match raise {
        Raise::None => (),
        Raise::Splice { at, removed, bytes: new } => {
            bytes.splice(at..at + removed, new);
        }
        Raise::Dense(dense) => *bytes = dense,
    }
}

/// The same in the dense form; its header is kept, to the bytes that are not used.
pub(crate) fn to_dense(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let registers = Registers::read(bytes)?;
    let mut dense = Vec::with_capacity(DENSE_BYTES);
    dense.extend_from_slice(bytes.get(..HEADER_BYTES).unwrap_or_default());
    if let Some(form) = dense.get_mut(MAGIC.len()) {
        *form = DENSE;
    }
    let (fours, _) = registers.0.as_chunks::<4>();
    for &[a, b, c, d] in fours {
        dense.extend_from_slice(&[a | b << 6, b >> 2 | c << 4, c >> 4 | d << 2]);
    }
    Ok(dense)
}

/// The values of all registers.
pub(crate) struct Registers(Box<[u8; REGISTERS]>);

impl Registers {
    /// All zero.
    pub(crate) fn new() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }

    /// Those of a HyperLogLog.
    pub(crate) fn read(bytes: &[u8]) -> Result<Registers, Fault> {
        let mut registers = Registers::new();
        registers.merge(bytes)?;
        Ok(registers)
    }

    /// The values, in order.
    pub(crate) fn values(&self) -> &[u8] {
        &self.0[..]
    }

    /// Raises each register to what a HyperLogLog has in its place.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Result<Form, Fault> {
        let form = form(bytes)?;
        match form {
            Form::Dense => {
                let (threes, _) = bytes.get(HEADER_BYTES..).unwrap_or_default().as_chunks::<3>();
                let (fours, _) = self.0.as_chunks_mut::<4>();
                for (registers, three) in fours.iter_mut().zip(threes) {
                    let values = unpack(*three);
                    registers.iter_mut().zip(values).for_each(|(old, new)| *old = new.max(*old));
                }
            }
            Form::Sparse => self.merge_runs(bytes)?,
        }
        Ok(form)
    }

    fn merge_runs(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut rest = &mut self.0[..];
        for run in runs(bytes) {
            let (registers, behind) = rest.split_at_mut_checked(run.len).ok_or(Fault::Corrupt)?;
            if run.value > 0 {
                registers.iter_mut().for_each(|old| *old = run.value.max(*old));
            }
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(Fault::Corrupt) }
    }

    /// The estimate.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = [0; 64];
        self.values().iter().for_each(|&value| histogram[usize::from(value & 63)] += 1);
        cardinality(&histogram)
    }
}

/// Four registers out of three bytes of the dense form.
fn unpack([a, b, c]: [u8; 3]) -> [u8; 4] {
    [a & 0x3f, a >> 6 | b << 2 & 0x3f, b >> 4 | c << 4 & 0x3f, c >> 2]
}

/// The estimate for a HyperLogLog.
pub(crate) fn count(bytes: &[u8]) -> Result<u64, Fault> {
    let mut histogram = [0; 64];
    match form(bytes)? {
        Form::Dense => {
            let (threes, _) = bytes.get(HEADER_BYTES..).unwrap_or_default().as_chunks::<3>();
            for values in threes.iter().map(|three| unpack(*three)) {
                values.iter().for_each(|&value| histogram[usize::from(value & 63)] += 1);
            }
        }
        Form::Sparse => {
            runs(bytes).for_each(|run| histogram[usize::from(run.value)] += run.len as u32);
            if histogram.iter().map(|&count| count as usize).sum::<usize>() != REGISTERS {
                return Err(Fault::Corrupt);
            }
        }
    }
    Ok(cardinality(&histogram))
}

/// Ertl's estimate from how many registers have each value.
fn cardinality(histogram: &[u32; 64]) -> u64 {
    const REGISTERS_F64: f64 = REGISTERS as f64;
    /// 1 / (2 ln 2)
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let (counted, saturated) = histogram.split_at(COUNT_BITS as usize + 1);
    let saturated = f64::from(saturated.first().copied().unwrap_or(0));
    let (zeros, counted) = counted.split_first().map_or((0, counted), |(zeros, c)| (*zeros, c));
    let mut sum = REGISTERS_F64 * tau((REGISTERS_F64 - saturated) / REGISTERS_F64);
    for count in counted.iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += REGISTERS_F64 * sigma(f64::from(zeros) / REGISTERS_F64);
    (ALPHA * REGISTERS_F64 * REGISTERS_F64 / sum).round() as u64
}

/// Corrects for registers that are zero: x + x^2 + 2 x^4 + 4 x^8 ...
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// Corrects for registers that are as high as can be.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// Registers that are passed over at once if none of them is raised.
const ZEROS_AT_ONCE: usize = 32;
const ZEROS: [u8; ZEROS_AT_ONCE] = [0; ZEROS_AT_ONCE];

/// A HyperLogLog with each register raised to another's, its estimate out of date.
pub(crate) fn merged(
    mut bytes: Vec<u8>,
    registers: &Registers,
    sparse_most: usize,
) -> Result<Vec<u8>, Fault> {
    // Most registers of a small HyperLogLog are zero.
    let (groups, _) = registers.0.as_chunks::<ZEROS_AT_ONCE>();
    for (nth, group) in groups.iter().enumerate().filter(|(_, group)| **group != ZEROS) {
        for (at, &value) in group.iter().enumerate().filter(|(_, value)| **value != 0) {
            let change = raise(&bytes, nth * ZEROS_AT_ONCE + at, value, sparse_most)?;
            apply(&mut bytes, change);
        }
    }
    set_stale(&mut bytes);
    Ok(bytes)
}

/// Adds an element; tells whether that raised a register.
fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_most: usize) -> Result<bool, Fault> {
    let (register, value) = place(element);
    let change = raise(bytes, register, value, sparse_most)?;
    let raised = change != Raise::None;
    apply(bytes, change);
    Ok(raised)
}

/// Counts known numbers of elements in both forms; the error is one of the wire.
pub(crate) fn self_test(sparse_most: usize) -> Result<(), &'static str> {
    const CORRUPT: &str = "TESTFAILED a HyperLogLog became corrupt";
    let mut sparse = empty();
    let mut dense = to_dense(&sparse).map_err(|_| CORRUPT)?;
    for element in 1_u32..=SELF_TEST_ELEMENTS {
        let bytes = element.to_le_bytes();
        let left = add(&mut sparse, &bytes, sparse_most).map_err(|_| CORRUPT)?;
        let right = add(&mut dense, &bytes, sparse_most).map_err(|_| CORRUPT)?;
        if left != right {
            return Err("TESTFAILED the sparse and the dense form disagree");
        }
        if element.is_power_of_two() || element == SELF_TEST_ELEMENTS {
            let counts = [count(&sparse), count(&dense)];
            let [Ok(left), Ok(right)] = counts else { return Err(CORRUPT) };
            // Four standard errors, and one for small numbers.
            let allowed = f64::from(element) * 4.0 * 1.04 / (REGISTERS as f64).sqrt() + 1.0;
            if left != right || (left as f64 - f64::from(element)).abs() > allowed {
                return Err("TESTFAILED an estimate is too far from the truth");
            }
        }
    }
    Ok(())
}

/// Enough for the dense form to be reached and most registers to be used.
const SELF_TEST_ELEMENTS: u32 = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SPARSE_MOST: usize = 3000;

    fn filled(elements: std::ops::Range<u32>) -> Vec<u8> {
        let mut bytes = empty();
        elements.for_each(|element| {
            add(&mut bytes, &element.to_le_bytes(), SPARSE_MOST).unwrap();
        });
        bytes
    }

    #[test]
    fn both_forms_have_the_same_registers() {
        let (mut sparse, mut naive) = (empty(), Registers::new());
        let mut dense = to_dense(&sparse).unwrap();
        for element in 0_u32..20_000 {
            let (register, value) = place(&element.to_le_bytes());
            naive.0[register] = value.max(naive.0[register]);
            add(&mut sparse, &element.to_le_bytes(), SPARSE_MOST).unwrap();
            add(&mut dense, &element.to_le_bytes(), SPARSE_MOST).unwrap();
            if element.is_power_of_two() {
                assert_eq!(Registers::read(&sparse).unwrap().0, naive.0, "{element}");
                assert_eq!(Registers::read(&dense).unwrap().0, naive.0, "{element}");
                assert_eq!(to_dense(&sparse).unwrap(), dense, "{element}");
                assert_eq!(count(&sparse), count(&dense), "{element}");
                assert_eq!(count(&dense), Ok(naive.count()), "{element}");
            }
        }
        assert_eq!(sparse, dense, "the sparse form is left in time");
    }

    /// What redis-server 7.0.15 has after PFADD of these elements.
    #[test]
    fn bytes_are_those_of_redis() {
        let mut bytes = empty();
        for element in ["a", "b", "c", "", "0123456789", "12345678", "foo", "bar", "baz"] {
            add(&mut bytes, element.as_bytes(), SPARSE_MOST).unwrap();
        }
        set_stale(&mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "48594c4c01000000000000000000008043fc84533384426a8c431490443e80462180423a884852844bfb80\
             425a"
        );
        assert_eq!((estimate(&bytes), count(&bytes)), (None, Ok(9)));
        let mut bytes = empty();
        for (upto, len, estimate) in [(400, 878, 402), (2_000, DENSE_BYTES, 2_007)] {
            for element in 0..upto {
                add(&mut bytes, format!("{element}").as_bytes(), SPARSE_MOST).unwrap();
            }
            assert_eq!((bytes.len(), count(&bytes)), (len, Ok(estimate)));
        }
    }

    #[test]
    fn runs_are_found_however_they_are_stepped_over() {
        for elements in [0, 1, 5, 60, 400, 1_300] {
            let bytes = filled(0..elements);
            assert_eq!(form(&bytes), Ok(Form::Sparse));
            let all: Vec<Found> = Runs { bytes: &bytes, at: HEADER_BYTES, first: 0 }.collect();
            for (nth, found) in all.iter().enumerate() {
                let before = nth.checked_sub(1).map(|nth| all[nth].at);
                for register in [found.first, found.first + found.run.len - 1] {
                    let (other, other_before) = run_of(&bytes, register).unwrap();
                    let place = |found: &Found| (found.run, found.at, found.width, found.first);
                    assert_eq!((place(&other), other_before), (place(found), before));
                }
            }
            assert!(run_of(&bytes, REGISTERS).is_none());
        }
    }

    #[test]
    fn estimates_are_close() {
        for elements in [0, 1, 10, 100, 1_000, 10_000, 100_000] {
            let estimate = count(&filled(0..elements)).unwrap() as f64;
            let error = (estimate - f64::from(elements)).abs() / f64::from(elements.max(1));
            assert!(error < 0.03, "{elements}: {estimate}");
        }
    }

    #[test]
    fn the_sparse_form_is_left_at_its_limit_and_above_its_highest_value() {
        let mut bytes = filled(0..200);
        let room = bytes.len() + 2;
        let change = raise(&bytes, 8_000, 20, room - 3).unwrap();
        assert!(matches!(change, Raise::Dense(_)));
        assert!(matches!(raise(&bytes, 8_000, 33, SPARSE_MOST), Ok(Raise::Dense(_))));
        let change = raise(&bytes, 8_000, 32, SPARSE_MOST).unwrap();
        apply(&mut bytes, change);
        assert_eq!(form(&bytes), Ok(Form::Sparse));
        assert_eq!(Registers::read(&bytes).unwrap().0[8_000], 32);
    }

    #[test]
    fn merging_is_as_good_as_adding() {
        let (left, right, both) = (filled(0..500), filled(300..900), filled(0..900));
        let registers = Registers::read(&right).unwrap();
        let merged = merged(left, &registers, SPARSE_MOST).unwrap();
        assert_eq!(Registers::read(&merged).unwrap().0, Registers::read(&both).unwrap().0);
        assert_eq!(estimate(&merged), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(form(b""), Err(Fault::Foreign));
        assert_eq!(form(&empty()[..10]), Err(Fault::Foreign));
        assert_eq!(form(&to_dense(&empty()).unwrap()[..DENSE_BYTES - 1]), Err(Fault::Foreign));
        let mut foreign = empty();
        foreign[4] = 2;
        assert_eq!(form(&foreign), Err(Fault::Foreign));
        let mut short = empty();
        short[17] = 0xf0;
        assert_eq!(count(&short), Err(Fault::Corrupt));
        assert_eq!(to_dense(&short), Err(Fault::Corrupt));
        assert_eq!(raise(&short, REGISTERS - 1, 1, SPARSE_MOST), Err(Fault::Corrupt));
        let mut long = empty();
        long.push(0);
        assert_eq!(count(&long), Err(Fault::Corrupt));
        assert!(Registers::read(&long).is_err());
    }

    #[test]
    fn the_highest_values_are_counted() {
        let mut histogram = [0; 64];
        histogram[51] = REGISTERS as u32;
        assert!(cardinality(&histogram) > 1 << 62);
        histogram[51] = 1;
        histogram[50] = REGISTERS as u32 - 1;
        assert!(cardinality(&histogram) > 1 << 60);
    }
}

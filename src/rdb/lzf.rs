//! LZF, the compression of strings inside payloads.
//!
//! Compressed bytes are runs. A run begins with a byte below 32, one less than the number of
//! literal bytes that follow; or with three bits of length (7: a byte with more follows) and
//! thirteen bits of distance, for bytes that are repeated from as far back. The shortest
//! repetition is three bytes.
//!
//! The compressor looks for repetitions where Redis looks and gives up where Redis gives up, so
//! that it mostly writes the same bytes.

/// The longest literal run.
const LITERALS_MOST: usize = 32;
/// The longest repetition.
const REPEAT_MOST: usize = 264;
/// The farthest that a repetition reaches back.
const DISTANCE_MOST: usize = 8192;
/// The shortest repetition.
const REPEAT_LEAST: usize = 3;
/// Compressed bytes must be fewer by so many to be worth it.
const SAVED_LEAST: usize = 4;
/// Hashes there are of three bytes.
const HASHES: usize = 1 << 16;
/// No repetition can compress to less than a byte in so many.
const RATIO_MOST: usize = 88;
/// More bytes than a string or a packed form of Redis has.
const BYTES_MOST: usize = 1 << 30;
/// Up to so many bytes, room is made for all at once.
const ROOM_MOST: usize = 1 << 20;

/// What was compressed, if the bytes are well formed and give just this length.
pub(super) fn decompress(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    // A length that these bytes cannot give is not even begun.
    if len > compressed.len().saturating_mul(RATIO_MOST).min(BYTES_MOST) {
        return None;
    }
    let mut out = Vec::with_capacity(len.min(ROOM_MOST));
    let mut rest = compressed;
    while let Some((&control, after)) = rest.split_first() {
        rest = match usize::from(control) {
            control if control < LITERALS_MOST => {
                let (literals, after) = after.split_at_checked(control + 1)?;
                out.extend_from_slice(literals);
                after
            }
            control => repeat(&mut out, control, after, len)?,
        };
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// Appends a repetition; returns what follows it.
fn repeat<'a>(out: &mut Vec<u8>, control: usize, after: &'a [u8], most: usize) -> Option<&'a [u8]> {
    let (mut len, mut after) = (control >> 5, after);
    if len == 7 {
        let (&more, rest) = after.split_first()?;
        (len, after) = (len + usize::from(more), rest);
    }
    let (&low, rest) = after.split_first()?;
    let distance = ((control & 0x1f) << 8 | usize::from(low)) + 1;
    let (start, len) = (out.len().checked_sub(distance)?, len + 2);
    if out.len() + len > most {
        return None;
    }
    if len <= distance {
        out.extend_from_within(start..start + len);
        return Some(rest);
    }
    // It overlaps itself: the bytes it has just written go on repeating.
    for at in start..start + len {
        out.push(*out.get(at)?);
    }
    Some(rest)
}

/// The compressed bytes, unless they would not be fewer by enough.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut runs = Runs::new(bytes, bytes.len().checked_sub(SAVED_LEAST)?);
    // Many slots mean few that are taken by another hash, but more to clear.
    let many = (bytes.len() * 8).next_power_of_two().min(SLOTS_FEW);
    let slots = (bytes.len() * 2).next_power_of_two().max(many).min(HASHES);
    let (mut few, mut many) = ([0; SLOTS_FEW], Vec::new());
    let slots = match few.get_mut(..slots) {
        Some(few) => few,
        None => {
            many.resize(slots, 0);
            many.as_mut_slice()
        }
    };
    let mut seen = Seen { bytes, slots, is_sparse: bytes.len() <= HASHES / 2 };
    let mut at = 0;
    while let Some(three) = three_at(bytes, at) {
        let Some((distance, len)) = seen.repetition(three, at) else {
            at += 1;
            continue;
        };
        runs.repeat(at, distance, len)?;
        at += len;
        if at + 2 >= bytes.len() {
            break;
        }
        for before in [at - 2, at - 1] {
            if let Some(three) = three_at(bytes, before) {
                seen.note(three, before);
            }
        }
    }
    runs.finish()
}

/// Slots that need no allocation; enough for most packed forms.
const SLOTS_FEW: usize = 1024;

/// Three bytes as a number.
#[inline]
fn three_at(bytes: &[u8], at: usize) -> Option<u32> {
    let &[a, b, c] = bytes.get(at..at + 3)?.first_chunk()?;
    Some(u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c))
}

/// Where three bytes were last seen, by a hash of sixteen bits, as Redis has it.
///
/// Redis has a slot for each hash. To make and clear so many costs more than to compress a short
/// string, so for such a one there are fewer, which hold the hash above the place. Place 0, which
/// Redis never looks at, stands for none.
struct Seen<'a> {
    bytes: &'a [u8],
    /// A power of two of them.
    slots: &'a mut [u32],
    is_sparse: bool,
}

impl Seen<'_> {
    /// Notes where three bytes are; returns where the last ones with their hash were, 0 for none.
    #[inline]
    fn note(&mut self, three: u32, at: usize) -> usize {
        let hash = (three >> 8).wrapping_sub(three.wrapping_mul(5)) & (HASHES - 1) as u32;
        if self.is_sparse {
            return self.note_sparsely(hash, at as u32);
        }
        match self.slots.get_mut(hash as usize) {
            Some(place) => std::mem::replace(place, at as u32) as usize,
            None => 0,
        }
    }

    /// The same where there are at least twice as many slots as places.
    #[inline]
    fn note_sparsely(&mut self, hash: u32, at: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(held) = self.slots.get_mut(slot) {
            if *held == 0 || *held >> 16 == hash {
                return (std::mem::replace(held, hash << 16 | at) & 0xffff) as usize;
            }
            slot = (slot + 1) & mask;
        }
        0
    }

    /// How far back and how long the bytes from here on were there before. Where a repetition could
    /// go on to the very end Redis leaves the last two bytes out, but for the shortest ones and for
    /// those of nineteen.
    #[inline]
    fn repetition(&mut self, three: u32, at: usize) -> Option<(usize, usize)> {
        let from = self.note(three, at);
        let distance = at.checked_sub(from).filter(|&far| (1..=DISTANCE_MOST).contains(&far))?;
        if from == 0 || three_at(self.bytes, from)? != three {
            return None;
        }
        let (old, new) = (self.bytes.get(from..)?, self.bytes.get(at..)?);
        let most = match new.len().saturating_sub(2).min(REPEAT_MOST) {
            most if most > 16 => most.max(19),
            most => most.max(REPEAT_LEAST),
        };
        let further = old.iter().zip(new).take(most).skip(REPEAT_LEAST);
        let len = REPEAT_LEAST + further.take_while(|(old, new)| old == new).count();
        Some((distance, len))
    }
}

/// The runs written so far.
struct Runs<'a> {
    bytes: &'a [u8],
    out: Vec<u8>,
    /// The first byte that is in no run yet.
    open: usize,
    /// The most bytes that may be written.
    room: usize,
}

impl<'a> Runs<'a> {
    fn new(bytes: &'a [u8], room: usize) -> Self {
        Runs { bytes, out: Vec::with_capacity(room.min(4096)), open: 0, room }
    }

    /// Bytes written once so many more are literals, with the byte for the next run.
    fn len_with(&self, literals: usize) -> usize {
        self.out.len() + literals + literals / LITERALS_MOST + 1
    }

    /// Writes what is in no run yet and lies before `end` as literals.
    fn literals(&mut self, end: usize) -> Option<()> {
        for literals in self.bytes.get(self.open..end)?.chunks(LITERALS_MOST) {
            self.out.push((literals.len() - 1) as u8);
            self.out.extend_from_slice(literals);
        }
        self.open = end;
        Some(())
    }

    /// Writes that the bytes at `at` are a repetition, and what comes before them.
    fn repeat(&mut self, at: usize, distance: usize, len: usize) -> Option<()> {
        // The last literal must leave room, as each before it.
        if let Some(before_last) = (at - self.open).checked_sub(1)
            && self.len_with(before_last) >= self.room
        {
            return None;
        }
        self.literals(at)?;
        if self.out.len() + 4 >= self.room {
            return None;
        }
        let (far, code) = (distance - 1, len - 2);
        let high = (far >> 8) as u8;
        match code {
            ..7 => self.out.push((code << 5) as u8 | high),
            _ => self.out.extend_from_slice(&[7 << 5 | high, (code - 7) as u8]),
        }
        self.out.push(far as u8);
        self.open = at + len;
        Some(())
    }

    /// Writes the rest. Its last two bytes are too few to be looked up, and are not asked for room
    /// one by one.
    fn finish(mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.len() - self.open;
        // Behind a repetition there may be fewer than two.
        if self.len_with(rest.saturating_sub(2)) + 3 > self.room {
            return None;
        }
        self.literals(self.bytes.len())?;
        Some(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Option<usize> {
        let compressed = compress(bytes)?;
        assert!(compressed.len() + SAVED_LEAST <= bytes.len());
        assert_eq!(decompress(&compressed, bytes.len()).as_deref(), Some(bytes));
        Some(compressed.len())
    }

    #[test]
    fn what_repeats_is_compressed_and_comes_back() {
        assert_eq!(check(&[b'a'; 100]), Some(9));
        assert_eq!(check(&[b'a'; 21]), Some(6));
        assert_eq!(check(&b"abc".repeat(9)), Some(11));
        let numbers: Vec<u8> = (0..20_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        assert!(check(&numbers).is_some_and(|len| len < numbers.len() / 2));
        assert!(check(&vec![0; 1 << 20]).is_some());
    }

    #[test]
    fn what_does_not_repeat_is_left() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(compress(&bytes), None);
        assert_eq!(compress(b"abc"), None);
        assert_eq!(compress(b""), None);
    }

    #[test]
    fn damaged_runs_are_refused() {
        let whole = compress(&[b'a'; 100]).unwrap();
        assert_eq!(decompress(&whole, 99), None);
        assert_eq!(decompress(&whole, 101), None);
        for cut in 1..whole.len() {
            assert_eq!(decompress(&whole[..cut], 100), None, "{cut}");
        }
        // Farther back than there are bytes, and more than the bytes can give.
        assert_eq!(decompress(&[0, b'a', 0x20, 1], 4), None);
        assert_eq!(decompress(&[0, b'a'], usize::MAX), None);
        assert_eq!(decompress(&[], 0), Some(Vec::new()));
    }
}

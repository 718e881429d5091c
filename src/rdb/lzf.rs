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
    let mut runs = Runs::new(bytes.len().checked_sub(SAVED_LEAST)?);
    let mut seen = Seen::new(bytes);
    let mut at = 0;
    while at + 2 < bytes.len() {
        match seen.repetition(at) {
            Some((distance, len)) => {
                runs.repeat(distance, len)?;
                at += len;
                if at + 2 >= bytes.len() {
                    break;
                }
                seen.note(at - 2);
                seen.note(at - 1);
            }
            None => {
                runs.literal(*bytes.get(at)?)?;
                at += 1;
            }
        }
    }
    runs.finish(bytes.get(at..)?)
}

/// Where three bytes were last seen, by a hash of sixteen bits, as Redis has it.
///
/// Redis has a slot for each hash. To make and clear so many costs more than to compress a short
/// string, so for such a one there are fewer, which hold the hash above the place. Place 0, which
/// Redis never looks at, stands for none.
struct Seen<'a> {
    bytes: &'a [u8],
    slots: Vec<u32>,
}

impl<'a> Seen<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let slots = (bytes.len() * 2).next_power_of_two().min(HASHES);
        Seen { bytes, slots: vec![0; slots] }
    }

    /// Notes where three bytes are; returns where the last ones with their hash were, 0 for none.
    fn note(&mut self, at: usize) -> usize {
        let Some([a, b, c]) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) else { return 0 };
        let three = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        let hash = (three >> 8).wrapping_sub(three.wrapping_mul(5)) & (HASHES - 1) as u32;
        match self.slots.get_mut(hash as usize) {
            Some(place) if self.bytes.len() > HASHES / 2 => {
                std::mem::replace(place, at as u32) as usize
            }
            _ => self.note_sparsely(hash, at as u32),
        }
    }

    /// The same where there are at least twice as many slots as places.
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
    fn repetition(&mut self, at: usize) -> Option<(usize, usize)> {
        let from = self.note(at);
        let distance = at.checked_sub(from).filter(|&far| (1..=DISTANCE_MOST).contains(&far))?;
        let (old, new) = (self.bytes.get(from..)?, self.bytes.get(at..)?);
        if from == 0 || old.get(..REPEAT_LEAST)? != new.get(..REPEAT_LEAST)? {
            return None;
        }
        let most = match new.len().saturating_sub(2).min(REPEAT_MOST) {
            most if most > 16 => most.max(19),
            most => most.max(REPEAT_LEAST),
        };
        let further = old.iter().zip(new).take(most).skip(REPEAT_LEAST);
        let len = REPEAT_LEAST + further.take_while(|(old, new)| old == new).count();
        Some((distance, len))
    }
}

/// The runs written so far. The byte that begins a literal run is there before the run is.
struct Runs {
    out: Vec<u8>,
    /// Literals in the open run.
    literals: usize,
    /// The most bytes that may be written.
    room: usize,
}

impl Runs {
    fn new(room: usize) -> Runs {
        Runs { out: Vec::with_capacity(room.min(4096)), literals: 0, room }
    }

    /// Bytes written, with the byte for the next run.
    fn len(&self) -> usize {
        self.out.len() + usize::from(self.literals == 0)
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        if self.len() >= self.room {
            return None;
        }
        self.push(byte);
        Some(())
    }

    fn push(&mut self, byte: u8) {
        if self.literals == 0 {
            self.out.push(0);
        }
        self.out.push(byte);
        self.literals += 1;
        if self.literals == LITERALS_MOST {
            self.close();
        }
    }

    /// Ends the open literal run, if there is one.
    fn close(&mut self) {
        if let Some(last) = self.literals.checked_sub(1) {
            let start = self.out.len() - self.literals - 1;
            if let Some(control) = self.out.get_mut(start) {
                *control = last as u8;
            }
        }
        self.literals = 0;
    }

    fn repeat(&mut self, distance: usize, len: usize) -> Option<()> {
        self.close();
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
        Some(())
    }

    /// Writes the last bytes, which are too few to be looked up.
    fn finish(mut self, last: &[u8]) -> Option<Vec<u8>> {
        if self.len() + 3 > self.room {
            return None;
        }
        last.iter().for_each(|&byte| self.push(byte));
        self.close();
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

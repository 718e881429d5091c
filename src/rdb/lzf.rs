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
/// Up to so many bytes, room is made for all at once; for more only as they come.
const ROOM_MOST: usize = 1 << 20;

/// What was compressed, if the bytes are well formed and give just this length.
pub(super) fn decompress(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    // A length that these bytes cannot give is not even begun.
    if len > compressed.len().saturating_mul(RATIO_MOST).min(BYTES_MOST) {
        return None;
    }
    let mut out = vec![0; len.min(ROOM_MOST)];
    let (mut rest, mut end) = (compressed, 0);
    while let Some((&control, after)) = rest.split_first() {
        if out.len() - end < REPEAT_MOST && out.len() < len {
            out.resize(len.min(2 * out.len()), 0);
        }
        (rest, end) = match usize::from(control) {
            control if control < LITERALS_MOST => {
                let len = control + 1;
                copy(after, 0, out.get_mut(end..)?, len)?;
                (after.get(len..)?, end + len)
            }
            control => repeat(&mut out, end, control, after)?,
        };
    }
    (end == len).then_some(out)
}

/// Writes a repetition behind what there is; returns what follows it, and the new end.
#[inline]
fn repeat<'a>(
    out: &mut [u8],
    end: usize,
    control: usize,
    after: &'a [u8],
) -> Option<(&'a [u8], usize)> {
    let (mut len, mut after) = (control >> 5, after);
    if len == 7 {
        let (&more, rest) = after.split_first()?;
        (len, after) = (len + usize::from(more), rest);
    }
    let (&low, rest) = after.split_first()?;
    let distance = ((control & 0x1f) << 8 | usize::from(low)) + 1;
    let (start, len) = (end.checked_sub(distance)?, len + 2);
    if len <= distance {
        let (old, new) = out.split_at_mut_checked(end)?;
        copy(old, start, new, len)?;
    } else {
        // It overlaps itself: the bytes it has just written go on repeating.
        let bytes = out.get_mut(start..end + len)?;
        for at in distance..bytes.len() {
            let byte = *bytes.get(at - distance)?;
            *bytes.get_mut(at)? = byte;
        }
    }
    Some((rest, end + len))
}

/// Bytes that are copied as one word.
const WORD: usize = size_of::<u64>();

/// Copies so many bytes from an offset to the beginning of others. Most are few: those are copied
/// as a word, with what happens to lie behind them, where both sides have room for that.
#[inline]
fn copy(from: &[u8], at: usize, to: &mut [u8], len: usize) -> Option<()> {
    if len <= WORD
        && let (Some(old), Some(new)) = (word_at(from, at), to.first_chunk_mut::<WORD>())
    {
        *new = *old;
    } else {
        to.get_mut(..len)?.copy_from_slice(from.get(at..at + len)?);
    }
    Some(())
}

/// The word at an offset, if there are so many bytes.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<&[u8; WORD]> {
    bytes.get(at..)?.first_chunk()
}

/// Compresses into `out`, which is at least as long as the bytes. Returns the number of compressed
/// bytes, unless they would not be fewer by enough.
pub(super) fn compress(bytes: &[u8], out: &mut [u8]) -> Option<usize> {
    let room = bytes.len().checked_sub(SAVED_LEAST)?;
    let runs = Runs { bytes, out, len: 0, open: 0, room };
    // Many slots mean few that are taken by another hash, but more to clear.
    match bytes.len() {
        0..=128 => compress_with(&mut Sparse { slots: &mut [0; 512] }, runs),
        129..=512 => compress_with(&mut Sparse { slots: &mut [0; 1024] }, runs),
        len if len <= HASHES / 2 => {
            let mut slots = vec![0; (len * 2).next_power_of_two().min(HASHES)];
            compress_with(&mut Sparse { slots: slots.as_mut_slice() }, runs)
        }
        _ => compress_with(&mut vec![0; HASHES], runs),
    }
}

fn compress_with(seen: &mut impl Seen, mut runs: Runs<'_>) -> Option<usize> {
    let bytes = runs.bytes;
    let mut at = 0;
    while let Some(three) = three_at(bytes, at) {
        let Some((distance, len)) = repetition(bytes, seen.note(hash_of(three), at), three, at)
        else {
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
                seen.note(hash_of(three), before);
            }
        }
    }
    runs.finish()
}

/// Three bytes as a number.
#[inline(always)]
fn three_at(bytes: &[u8], at: usize) -> Option<u32> {
    let rest = bytes.get(at..)?;
    if let Some(four) = rest.first_chunk() {
        return Some(u32::from_be_bytes(*four) >> 8);
    }
    let &[a, b, c] = rest.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

/// The hash of three bytes, sixteen bits, as Redis has it.
#[inline(always)]
fn hash_of(three: u32) -> u32 {
    (three >> 8).wrapping_sub(three.wrapping_mul(5)) & (HASHES - 1) as u32
}

/// Where hashes were last seen. Place 0, which Redis never looks at, stands for none.
trait Seen {
    /// Notes the place of a hash; returns the last one, 0 for none.
    fn note(&mut self, hash: u32, at: usize) -> usize;
}

/// A slot for each hash, as Redis has it.
impl Seen for Vec<u32> {
    fn note(&mut self, hash: u32, at: usize) -> usize {
        match self.get_mut(hash as usize) {
            Some(place) => std::mem::replace(place, at as u32) as usize,
            None => 0,
        }
    }
}

/// Fewer slots, which hold the hash above the place: to make and clear one for each costs more than
/// to compress a short string. They are a power of two, and at least twice as many as places.
struct Sparse<'a, S: ?Sized> {
    slots: &'a mut S,
}

impl<S: AsMut<[u32]> + ?Sized> Seen for Sparse<'_, S> {
    #[inline(always)]
    fn note(&mut self, hash: u32, at: usize) -> usize {
        let slots = self.slots.as_mut();
        let mask = slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(held) = slots.get_mut(slot) {
            if *held == 0 || *held >> 16 == hash {
                return (std::mem::replace(held, hash << 16 | at as u32) & 0xffff) as usize;
            }
            slot = (slot + 1) & mask;
        }
        0
    }
}

/// How far back and how long the bytes from `at` on were there before, by where their first three
/// may have been last. Where a repetition could go on to the very end Redis leaves the last two
/// bytes out, but for the shortest ones and for those of nineteen.
#[inline(always)]
fn repetition(bytes: &[u8], from: usize, three: u32, at: usize) -> Option<(usize, usize)> {
    let distance = at - from;
    if from == 0 || distance > DISTANCE_MOST || three_at(bytes, from)? != three {
        return None;
    }
    let most = match (bytes.len() - at).saturating_sub(2).min(REPEAT_MOST) {
        most if most > 16 => most.max(19),
        most => most.max(REPEAT_LEAST),
    };
    let (old, new) = (bytes.get(from..from + most)?, bytes.get(at..at + most)?);
    Some((distance, equal_bytes(old, new)))
}

/// How many bytes two strings have in common at their beginning.
#[inline]
fn equal_bytes(a: &[u8], b: &[u8]) -> usize {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<WORD>(), b.as_chunks::<WORD>());
    for (at, (a, b)) in a_words.iter().zip(b_words).enumerate() {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return at * WORD + differing.trailing_zeros() as usize / 8;
        }
    }
    let rest = a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b);
    a_words.len() * WORD + rest.count()
}

/// The runs written so far.
struct Runs<'a> {
    bytes: &'a [u8],
    out: &'a mut [u8],
    /// How many bytes are written.
    len: usize,
    /// The first byte that is in no run yet.
    open: usize,
    /// The most bytes that may be written.
    room: usize,
}

impl Runs<'_> {
    /// Bytes written once so many more are literals, with the byte for the next run.
    fn len_with(&self, literals: usize) -> usize {
        self.len + literals + literals / LITERALS_MOST + 1
    }

    #[inline]
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.out.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }

    /// Writes what is in no run yet and lies before `end` as literals.
    #[inline]
    fn literals(&mut self, end: usize) -> Option<()> {
        while self.open < end {
            let count = (end - self.open).min(LITERALS_MOST);
            self.push((count - 1) as u8)?;
            copy(self.bytes, self.open, self.out.get_mut(self.len..)?, count)?;
            self.len += count;
            self.open += count;
        }
        Some(())
    }

    /// Writes that the bytes at `at` are a repetition, and what comes before them.
    #[inline]
    fn repeat(&mut self, at: usize, distance: usize, len: usize) -> Option<()> {
        // The last literal must leave room, as each before it.
        if let Some(before_last) = (at - self.open).checked_sub(1)
            && self.len_with(before_last) >= self.room
        {
            return None;
        }
        self.literals(at)?;
        if self.len + 4 >= self.room {
            return None;
        }
        let (far, code) = (distance - 1, len - 2);
        let high = (far >> 8) as u8;
        match code {
            ..7 => self.push((code << 5) as u8 | high)?,
            _ => {
                self.push(7 << 5 | high)?;
                self.push((code - 7) as u8)?;
            }
        }
        self.push(far as u8)?;
        self.open = at + len;
        Some(())
    }

    /// Writes the rest. Its last two bytes are too few to be looked up, and are not asked for room
    /// one by one.
    fn finish(mut self) -> Option<usize> {
        let rest = self.bytes.len() - self.open;
        // Behind a repetition there may be fewer than two.
        if self.len_with(rest.saturating_sub(2)) + 3 > self.room {
            return None;
        }
        self.literals(self.bytes.len())?;
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; bytes.len()];
        let len = compress(bytes, &mut out)?;
        out.truncate(len);
        Some(out)
    }

    fn check(bytes: &[u8]) -> Option<usize> {
        let compressed = compressed(bytes)?;
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
        assert!(check(&vec![0; (5 << 20) + 77]).is_some());
    }

    #[test]
    fn what_does_not_repeat_is_left() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(compressed(&bytes), None);
        assert_eq!(compressed(b"abc"), None);
        assert_eq!(compressed(b""), None);
    }

    #[test]
    fn damaged_runs_are_refused() {
        let whole = compressed(&[b'a'; 100]).unwrap();
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

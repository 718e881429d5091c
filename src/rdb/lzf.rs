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
        (rest, end) = run(&mut out, end, control, after)?;
    }
    (end == len).then_some(out)
}

/// The same for at most [`SHORT_MOST`] bytes, which are written into an array.
pub(super) fn decompress_short<'a>(
    compressed: &[u8],
    len: usize,
    out: &'a mut Short,
) -> Option<&'a [u8]> {
    let (mut rest, mut end) = (compressed, 0);
    while let Some((&control, after)) = rest.split_first() {
        (rest, end) = run(out, end, control, after)?;
    }
    if end == len { out.get(..len) } else { None }
}

/// Writes what a run stands for behind what there is; returns what follows the run, and the new end.
#[inline(always)]
fn run<'a>(out: &mut [u8], end: usize, control: u8, after: &'a [u8]) -> Option<(&'a [u8], usize)> {
    let control = usize::from(control);
    if control >= LITERALS_MOST {
        return repeat(out, end, control, after);
    }
    let len = control + 1;
    copy(after, 0, out.get_mut(end..)?, len)?;
    Some((after.get(len..)?, end + len))
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
/// as a word or some, with what happens to lie behind them, where both sides have room for that.
#[inline(always)]
fn copy(from: &[u8], at: usize, to: &mut [u8], len: usize) -> Option<()> {
    let from = from.get(at..)?;
    if len <= WORD
        && let (Some(old), Some(new)) = (from.first_chunk::<WORD>(), to.first_chunk_mut())
    {
        *new = *old;
    } else if len <= LITERALS_MOST
        && let (Some(old), Some(new)) = (from.first_chunk::<LITERALS_MOST>(), to.first_chunk_mut())
    {
        *new = *old;
    } else {
        to.get_mut(..len)?.copy_from_slice(from.get(..len)?);
    }
    Some(())
}

/// The word at an offset, if there are so many bytes.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<&[u8; WORD]> {
    bytes.get(at..)?.first_chunk()
}

/// Bytes behind a text, and behind what is made of it, which are loaded and stored together with
/// others and mean nothing.
pub(super) const SLACK: usize = WORD;

/// Texts of up to so many bytes lie in arrays of a fixed size: no access to these is checked.
pub(super) const SHORT_MOST: usize = 256;

/// A short text with its slack.
pub(super) type Short = [u8; SHORT_MOST + SLACK];
/// Room for one.
pub(super) const SHORT: Short = [0; SHORT_MOST + SLACK];

/// Bytes before a slack, accessed a word at a time. Of an array offsets are taken modulo its length
/// without the slack, a power of two; they are less, so this only tells the compiler.
trait Padded {
    fn word(&self, at: usize) -> u64;
    fn set_word(&mut self, at: usize, word: u64);
    fn set(&mut self, at: usize, byte: u8);

    /// Three bytes as a number.
    #[inline(always)]
    fn three(&self, at: usize) -> u32 {
        (self.word(at) as u32).swap_bytes() >> 8
    }
}

impl<const N: usize> Padded for [u8; N] {
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        let at = at % (N - SLACK);
        self.get(at..at + WORD).and_then(|bytes| bytes.first_chunk()).map_or(0, to_word)
    }

    #[inline(always)]
    fn set_word(&mut self, at: usize, word: u64) {
        let at = at % (N - SLACK);
        if let Some(bytes) = self.get_mut(at..at + WORD) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    #[inline(always)]
    fn set(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.get_mut(at % (N - SLACK)) {
            *place = byte;
        }
    }
}

impl Padded for [u8] {
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        word_at(self, at).map_or(0, to_word)
    }

    #[inline(always)]
    fn set_word(&mut self, at: usize, word: u64) {
        if let Some(place) = self.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut()) {
            *place = word.to_le_bytes();
        }
    }

    #[inline(always)]
    fn set(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.get_mut(at) {
            *place = byte;
        }
    }
}

#[inline(always)]
fn to_word(bytes: &[u8; WORD]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// Compresses so many bytes, behind which there is a slack, into `out`, which has room for as many
/// and a slack. Returns the number of compressed bytes, unless they would not be fewer by enough.
pub(super) fn compress(bytes: &[u8], len: usize, out: &mut [u8]) -> Option<usize> {
    let runs = Runs::new(bytes, len, out)?;
    // Many slots mean few that are taken by another hash, but more to clear.
    match len {
        len if len < HASHES => {
            compress_with(&mut vec![0_u16; (len * 2).next_power_of_two().min(HASHES)], runs)
        }
        _ => compress_with(&mut vec![0_u32; HASHES], runs),
    }
}

/// The same for at most [`SHORT_MOST`] bytes.
pub(super) fn compress_short(bytes: &Short, len: usize, out: &mut Short) -> Option<usize> {
    let runs = Runs::new(bytes, len, out)?;
    match len {
        0..=128 => compress_with(&mut [0_u8; 1024], runs),
        _ => compress_with(&mut [0_u8; 2048], runs),
    }
}

#[inline(always)]
fn compress_with<B: Padded + ?Sized>(seen: &mut impl Seen, mut runs: Runs<'_, B>) -> Option<usize> {
    let (bytes, end) = (runs.bytes, runs.end);
    let mut at = 0;
    while at + 2 < end {
        let from = seen.note(bytes, bytes.three(at), at);
        if from == 0 || at - from > DISTANCE_MOST {
            at += 1;
            continue;
        }
        let len = repetition(bytes, from, at, end - at);
        runs.repeat(at, at - from, len)?;
        at += len;
        if at + 2 >= end {
            break;
        }
        for before in [at - 2, at - 1] {
            seen.note(bytes, bytes.three(before), before);
        }
    }
    runs.finish()
}

/// The hash of three bytes, sixteen bits, as Redis has it.
#[inline(always)]
fn hash_of(three: u32) -> u32 {
    (three >> 8).wrapping_sub(three.wrapping_mul(5)) & (HASHES - 1) as u32
}

/// Where hashes were last seen. Place 0, which Redis never looks at, stands for none.
trait Seen {
    /// Notes the place of the hash of three bytes; returns the last one if it is that of the same
    /// three bytes, 0 otherwise.
    fn note<B: Padded + ?Sized>(&mut self, bytes: &B, three: u32, at: usize) -> usize;
}

/// A slot, as wide as places are. To make and clear slots costs more than to compress a short
/// string, so that is given fewer and narrow ones; with eight for a place two hashes rarely want the
/// same, and to look for another costs more than to clear these. They are a power of two, and at
/// least twice as many as places, unless there is one for each hash.
trait Slot: Copy {
    fn holding(place: usize) -> Self;
    fn place(self) -> usize;
}

macro_rules! slot {
    ($($width:ty),*) => {$(
        impl Slot for $width {
            #[inline(always)]
            fn holding(place: usize) -> Self {
                place as $width
            }
            #[inline(always)]
            fn place(self) -> usize {
                self as usize
            }
        }
    )*};
}

slot!(u8, u16, u32);

impl<T: Slot, const N: usize> Seen for [T; N] {
    #[inline(always)]
    fn note<B: Padded + ?Sized>(&mut self, bytes: &B, three: u32, at: usize) -> usize {
        note_in(self, bytes, three, at)
    }
}

impl<T: Slot> Seen for Vec<T> {
    #[inline(always)]
    fn note<B: Padded + ?Sized>(&mut self, bytes: &B, three: u32, at: usize) -> usize {
        note_in(self, bytes, three, at)
    }
}

/// `Seen::note`. Whose hash a slot holds is told by the bytes at its place.
#[inline(always)]
fn note_in<T: Slot, B: Padded + ?Sized>(
    slots: &mut [T],
    bytes: &B,
    three: u32,
    at: usize,
) -> usize {
    let (hash, mask) = (hash_of(three) as usize, slots.len() - 1);
    // Each hash another slot, if there are as many; hashes of small numbers differ in few low bits.
    let mut slot = (hash ^ hash >> 5) & mask;
    while let Some(held) = slots.get_mut(slot) {
        let place = held.place();
        if place == 0 {
            *held = T::holding(at);
            return 0;
        }
        let other = bytes.three(place);
        if other == three {
            *held = T::holding(at);
            return place;
        }
        if hash_of(other) as usize == hash {
            *held = T::holding(at);
            return 0;
        }
        slot = (slot + 1) & mask;
    }
    0
}

/// How long the bytes at `at` are the same as those at `from`, of which the first three are, where
/// so many are left. Where a repetition could go on to the very end Redis leaves the last two
/// bytes out, but for the shortest ones and for those of nineteen.
#[inline(always)]
fn repetition<B: Padded + ?Sized>(bytes: &B, from: usize, at: usize, left: usize) -> usize {
    let differing = bytes.word(from) ^ bytes.word(at);
    // Most are short, and the end is far.
    if differing != 0 && left >= 2 + WORD {
        return differing.trailing_zeros() as usize / 8;
    }
    let most = match (left - 2).min(REPEAT_MOST) {
        most if most > 16 => most.max(19),
        most => most.max(REPEAT_LEAST),
    };
    let mut len = 0;
    while len < most {
        let differing = bytes.word(from + len) ^ bytes.word(at + len);
        if differing != 0 {
            len += differing.trailing_zeros() as usize / 8;
            break;
        }
        len += WORD;
    }
    len.min(most)
}

/// The runs written so far.
struct Runs<'a, B: ?Sized> {
    bytes: &'a B,
    /// Where the bytes end and their slack begins.
    end: usize,
    out: &'a mut B,
    /// How many bytes are written.
    len: usize,
    /// The first byte that is in no run yet.
    open: usize,
    /// The most bytes that may be written.
    room: usize,
}

impl<'a, B: Padded + ?Sized> Runs<'a, B> {
    /// No runs of so many bytes, unless these are too few.
    fn new(bytes: &'a B, end: usize, out: &'a mut B) -> Option<Self> {
        let room = end.checked_sub(SAVED_LEAST)?;
        Some(Runs { bytes, end, out, len: 0, open: 0, room })
    }

    /// Bytes written once so many more are literals, with the byte for the next run.
    #[inline(always)]
    fn len_with(&self, literals: usize) -> usize {
        self.len + literals + literals / LITERALS_MOST + 1
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.out.set(self.len, byte);
        self.len += 1;
    }

    /// Writes what is in no run yet and lies before `end` as literals, as far as there is room.
    #[inline(always)]
    fn literals(&mut self, end: usize) {
        while self.open < end {
            let count = (end - self.open).min(LITERALS_MOST);
            self.push((count - 1) as u8);
            self.out.set_word(self.len, self.bytes.word(self.open));
            for at in (WORD..count).step_by(WORD) {
                self.out.set_word(self.len + at, self.bytes.word(self.open + at));
            }
            self.len += count;
            self.open += count;
        }
    }

    /// Writes that the bytes at `at` are a repetition, and what comes before them.
    #[inline(always)]
    fn repeat(&mut self, at: usize, distance: usize, len: usize) -> Option<()> {
        self.literals(at);
        // Where literals had no room this has none either.
        if self.len + 4 >= self.room {
            return None;
        }
        let (far, code) = (distance - 1, len - 2);
        let (high, low) = (far as u64 >> 8, far as u64 & 0xff);
        let (run, bytes) = match code {
            ..7 => ((code as u64) << 5 | high | low << 8, 2),
            _ => (7 << 5 | high | (code as u64 - 7) << 8 | low << 16, 3),
        };
        self.out.set_word(self.len, run);
        self.len += bytes;
        self.open = at + len;
        Some(())
    }

    /// Writes the rest. Its last two bytes are too few to be looked up, and are not asked for room
    /// one by one.
    fn finish(mut self) -> Option<usize> {
        let rest = self.end - self.open;
        // Behind a repetition there may be fewer than two.
        if self.len_with(rest.saturating_sub(2)) + 3 > self.room {
            return None;
        }
        self.literals(self.end);
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; bytes.len() + SLACK];
        let len = compress(&[bytes, &[0; SLACK]].concat(), bytes.len(), &mut out);
        if bytes.len() <= SHORT_MOST {
            let (mut padded, mut short) = ([7; SHORT_MOST + SLACK], SHORT);
            padded[..bytes.len()].copy_from_slice(bytes);
            assert_eq!(compress_short(&padded, bytes.len(), &mut short), len);
            assert_eq!(short[..len.unwrap_or(0)], out[..len.unwrap_or(0)]);
        }
        out.truncate(len?);
        Some(out)
    }

    fn decompressed(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
        let out = decompress(bytes, len);
        if len <= SHORT_MOST {
            let mut short = SHORT;
            assert_eq!(decompress_short(bytes, len, &mut short), out.as_deref());
        }
        out
    }

    fn check(bytes: &[u8]) -> Option<usize> {
        let compressed = compressed(bytes)?;
        assert!(compressed.len() + SAVED_LEAST <= bytes.len());
        assert_eq!(decompressed(&compressed, bytes.len()).as_deref(), Some(bytes));
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
    fn short_texts_are_compressed_as_long_ones_are() {
        let mut noise = 1_u32;
        for len in (0..=SHORT_MOST).flat_map(|len| [len; 4]) {
            let mut bytes = || {
                noise = noise.wrapping_mul(0x01dd_9305).wrapping_add(0x3779_b98d);
                b"abcd"[(noise >> 30) as usize]
            };
            check(&(0..len).map(|_| bytes()).collect::<Vec<u8>>());
        }
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
        assert_eq!(decompressed(&whole, 99), None);
        assert_eq!(decompressed(&whole, 101), None);
        for cut in 1..whole.len() {
            assert_eq!(decompressed(&whole[..cut], 100), None, "{cut}");
        }
        // Farther back than there are bytes, and more than the bytes can give.
        assert_eq!(decompressed(&[0, b'a', 0x20, 1], 4), None);
        assert_eq!(decompressed(&[0, b'a'], usize::MAX), None);
        assert_eq!(decompressed(&[], 0), Some(Vec::new()));
    }
}

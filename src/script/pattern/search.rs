//! Walking a pattern's items along a subject.
//!
//! Where an item may match in more than one way, the walk takes the first and puts the others on a
//! stack as one [`Choice`]; where it cannot go on, it comes back to the newest of them. There is at
//! most one choice for each item on it, however long the subject. Captures need no undoing: what was
//! taken by a way that failed is taken again before anything reads it.

use super::program::{Groups, Item, Program, Single};
use super::{Captured, Fault, Limits, MOST_CAPTURES, Span, Task};

/// Plain bytes that count as one step: looking for one is that much quicker than a step.
const BYTES_A_STEP: usize = 8;

/// What a search may come back to.
#[derive(Clone, Copy)]
enum Choice {
    /// The item before `next` ended at `most`, and may end earlier, down to `least`.
    Shorter { next: u32, least: usize, most: usize },
    /// An item that takes as few bytes as it can ended at `end`, and may take more.
    Longer { item: u32, end: usize },
}

/// The buffers of a search.
#[derive(Default)]
pub(super) struct Work {
    choices: Vec<Choice>,
    captures: [Span; MOST_CAPTURES],
    pub(super) groups: Groups,
}

impl Work {
    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.choices.capacity() * size_of::<Choice>()
    }

    pub(super) fn shrink(&mut self) {
        self.choices = Vec::new();
    }

    /// A capture of the last match; of a match without any the first is the whole.
    pub(super) fn capture(&self, index: usize, whole: Span) -> Result<Captured, Fault> {
        if index >= self.groups.count {
            return if index == 0 { Ok(Captured::Text(whole)) } else { Err(Fault::NoSuchCapture) };
        }
        if self.groups.open >> index & 1 != 0 {
            return Err(Fault::UnfinishedCapture);
        }
        let span = self.captures.get(index).copied().unwrap_or_default();
        Ok(match self.groups.positions >> index & 1 {
            0 => Captured::Text(span),
            _ => Captured::Position(span.start),
        })
    }
}

/// One search, or one series of them with the same pattern and subject.
pub(super) struct Search<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    anchored: bool,
    /// The pattern is not kept.
    is_long: bool,
    program: &'a mut Program,
    work: &'a mut Work,
    limits: &'a dyn Limits,
    /// The steps left until the limits are asked.
    steps: i64,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        task: &Task<'a>,
        program: &'a mut Program,
        work: &'a mut Work,
        limits: &'a dyn Limits,
    ) -> Search<'a> {
        let anchored = program.is_anchored();
        let pattern = program.effective(task.pattern);
        let is_long = task.pattern.len() > super::KEPT_BYTES;
        let (subject, steps) = (task.subject, limits.steps().get());
        Search { subject, pattern, anchored, is_long, program, work, limits, steps }
    }

    /// The first match at `from` or behind.
    pub(super) fn find(&mut self, from: usize) -> Result<Option<Span>, Fault> {
        let found = self.next(from);
        self.limits.steps().set(self.steps);
        found
    }

    /// Replaces up to `most` matches by a text. Without a match nothing is put out.
    pub(super) fn substitute(
        &mut self,
        by: &[u8],
        most: usize,
        output: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let done = self.substitute_all(by, most, output);
        self.limits.steps().set(self.steps);
        done
    }

    fn substitute_all(
        &mut self,
        by: &[u8],
        most: usize,
        output: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let (mut at, mut count) = (0, 0);
        while count < most {
            let Some(found) = self.next(at)? else { break };
            count += 1;
            self.put(output, self.text(at, found.start))?;
            self.expand(by, found, output)?;
            at = found.end;
            if found.end == found.start {
                let Some(&byte) = self.subject.get(at) else { break };
                self.put(output, &[byte])?;
                at += 1;
            }
            if self.anchored {
                break;
            }
        }
        if count > 0 {
            self.put(output, self.text(at, self.subject.len()))?;
        }
        Ok(count)
    }

    /// Puts out what stands for a match.
    fn expand(&mut self, by: &[u8], whole: Span, output: &mut Vec<u8>) -> Result<(), Fault> {
        let mut rest = by;
        while let Some(percent) = memchr::memchr(b'%', rest) {
            let (before, after) = rest.split_at(percent);
            self.put(output, before)?;
            match after.get(1) {
                Some(b'0') => self.put(output, self.text(whole.start, whole.end))?,
                Some(digit @ b'1'..=b'9') => {
                    match self.work.capture(usize::from(digit - b'1'), whole)? {
                        Captured::Text(span) => {
                            self.put(output, self.text(span.start, span.end))?;
                        }
                        Captured::Position(at) => {
                            self.put(output, itoa::Buffer::new().format(at + 1).as_bytes())?;
                        }
                    }
                }
                Some(other) => self.put(output, &[*other])?,
                // Oddity of Lua 5.1: a `%` at the end takes the zero behind the text.
                None => self.put(output, &[0])?,
            }
            rest = after.get(2..).unwrap_or_default();
        }
        self.put(output, rest)
    }

    #[inline]
    fn put(&mut self, output: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
        if output.capacity() - output.len() < bytes.len() {
            self.grow(output, bytes.len())?;
        }
        output.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn grow(&mut self, output: &mut Vec<u8>, more: usize) -> Result<(), Fault> {
        self.charge(more);
        let more = more.max(output.len() / 2).max(64);
        if !self.limits.permits(output.len().saturating_add(more)) {
            return Err(Fault::Stopped);
        }
        output.try_reserve_exact(more).map_err(|_| Fault::NoMemory)
    }

    fn text(&self, start: usize, end: usize) -> &'a [u8] {
        self.subject.get(start..end).unwrap_or_default()
    }

    fn next(&mut self, from: usize) -> Result<Option<Span>, Fault> {
        let lead = if self.anchored { None } else { self.lead()? };
        let mut start = from;
        loop {
            if let Some(lead) = lead {
                let rest = self.subject.get(start..).unwrap_or_default();
                let skipped = lead.position(rest, self.program.sets());
                self.charge(skipped.unwrap_or(rest.len()));
                if self.steps < 0 {
                    self.ask()?;
                }
                let Some(skipped) = skipped else { return Ok(None) };
                start += skipped;
            }
            if let Some(end) = self.walk(start)? {
                self.work.groups = self.program.groups();
                return Ok(Some(Span { start, end }));
            }
            if self.anchored || start >= self.subject.len() {
                return Ok(None);
            }
            start += 1;
        }
    }

    /// What every match begins with. The items read for it are reached by every search.
    #[inline]
    fn lead(&mut self) -> Result<Option<Single>, Fault> {
        match self.program.lead {
            Some(lead) => Ok(lead),
            None => self.find_lead(),
        }
    }

    fn find_lead(&mut self) -> Result<Option<Single>, Fault> {
        let mut index = 0;
        let lead = loop {
            match self.item(index)? {
                Item::Open(_) => index += 1,
                Item::One(single) | Item::OneOrMore(single) => break Some(single),
                Item::Balanced(open, _) => break Some(Single::Byte(open)),
                _ => break None,
            }
        };
        self.program.lead = Some(lead);
        Ok(lead)
    }

    /// Walks the items from one place of the subject: where the match ends, if there is one.
    fn walk(&mut self, start: usize) -> Result<Option<usize>, Fault> {
        self.work.choices.clear();
        let (mut at, mut index) = (start, 0);
        loop {
            self.step()?;
            let item = self.item(index)?;
            if item == Item::End {
                return Ok(Some(at));
            }
            if let Some(end) = self.take(item, index, at) {
                (at, index) = (end, index + 1);
            } else if let Some(back) = self.come_back() {
                (at, index) = back;
            } else {
                return Ok(None);
            }
        }
    }

    /// Where an item's first way to match ends.
    #[inline]
    fn take(&mut self, item: Item, index: u32, at: usize) -> Option<usize> {
        match item {
            Item::One(single) => self.one(single, at),
            Item::Optional(single) => Some(match self.one(single, at) {
                Some(most) => {
                    let choice = Choice::Shorter { next: index + 1, least: at, most };
                    self.work.choices.push(choice);
                    most
                }
                None => at,
            }),
            Item::Many(single) => self.many(single, index, at, at),
            Item::OneOrMore(single) => self.many(single, index, at, at + 1),
            Item::Few(_) => {
                self.work.choices.push(Choice::Longer { item: index, end: at });
                Some(at)
            }
            Item::Open(capture) | Item::Position(capture) => {
                self.capture_mut(capture).start = at;
                Some(at)
            }
            Item::Close(capture) => {
                self.capture_mut(capture).end = at;
                Some(at)
            }
            Item::Again(capture) => self.again(capture, at),
            Item::Balanced(open, close) => self.balanced(open, close, at),
            Item::Frontier(set) => self.is_frontier(set, at).then_some(at),
            Item::SubjectEnd => (at == self.subject.len()).then_some(at),
            Item::End => Some(at),
        }
    }

    #[inline]
    fn one(&self, single: Single, at: usize) -> Option<usize> {
        let byte = *self.subject.get(at)?;
        single.matches(byte, self.program.sets()).then_some(at + 1)
    }

    /// As many bytes as match, down to `least` when the rest wants it.
    #[inline]
    fn many(&mut self, single: Single, index: u32, at: usize, least: usize) -> Option<usize> {
        let rest = self.subject.get(at..).unwrap_or_default();
        let most = at + single.run(rest, self.program.sets());
        self.charge(most - at);
        if most > least {
            self.work.choices.push(Choice::Shorter { next: index + 1, least, most });
        }
        (most >= least).then_some(most)
    }

    fn again(&mut self, capture: u8, at: usize) -> Option<usize> {
        // Oddity of Lua: a position has a length that no text has.
        if self.program.groups().positions >> capture & 1 != 0 {
            return None;
        }
        let Span { start, end } = *self.capture_mut(capture);
        self.charge(end - start);
        let rest = self.subject.get(at..).unwrap_or_default();
        rest.starts_with(self.text(start, end)).then(|| at + (end - start))
    }

    fn balanced(&mut self, open: u8, close: u8, at: usize) -> Option<usize> {
        let (first, inner) = self.subject.get(at..)?.split_first()?;
        if *first != open {
            return None;
        }
        let mut depth = 1_usize;
        let closing = |byte: &u8| {
            if *byte == close {
                depth -= 1;
            } else if *byte == open {
                depth += 1;
            }
            depth == 0
        };
        let length = inner.iter().position(closing);
        self.charge(length.unwrap_or(inner.len()));
        length.map(|length| at + length + 2)
    }

    /// Whether the set begins here: the subject has a zero before its first byte and behind its last.
    fn is_frontier(&self, set: u32, at: usize) -> bool {
        let byte = |at: usize| self.subject.get(at).copied().unwrap_or(0);
        let before = at.checked_sub(1).map_or(0, byte);
        let set = Single::Set(set);
        !set.matches(before, self.program.sets()) && set.matches(byte(at), self.program.sets())
    }

    /// The newest way that was not taken: a place of the subject, and the item to go on with.
    #[inline]
    fn come_back(&mut self) -> Option<(usize, u32)> {
        loop {
            let way = match *self.work.choices.last()? {
                Choice::Shorter { next, least, most } => self.shorter(next, least, most),
                Choice::Longer { item, end } => self.longer(item, end),
            };
            if way.is_some() {
                return way;
            }
            self.work.choices.pop();
        }
    }

    /// The next shorter way of the newest choice. Where a plain byte comes next, only the places that
    /// have it are ways.
    #[inline]
    fn shorter(&mut self, next: u32, least: usize, most: usize) -> Option<(usize, u32)> {
        let end = match self.program.known(next) {
            Some(Item::One(Single::Byte(byte))) => {
                let found = memchr::memrchr(byte, self.text(least, most));
                self.charge(most - least - found.unwrap_or(0));
                least + found?
            }
            _ => most - 1,
        };
        match self.work.choices.last_mut() {
            Some(Choice::Shorter { most, .. }) if end > least => *most = end,
            _ => drop(self.work.choices.pop()),
        }
        Some((end, next))
    }

    /// The next longer way of the newest choice, found as in [`Search::shorter`].
    #[inline]
    fn longer(&mut self, item: u32, end: usize) -> Option<(usize, u32)> {
        let Some(Item::Few(single)) = self.program.known(item) else { return None };
        let next = item + 1;
        let end = match (single, self.program.known(next)) {
            (Single::Any, Some(Item::One(Single::Byte(byte)))) => {
                let rest = self.subject.get(end + 1..).unwrap_or_default();
                let found = memchr::memchr(byte, rest);
                self.charge(found.unwrap_or(rest.len()));
                end + 1 + found?
            }
            (_, Some(Item::One(wanted))) => self.longer_up_to(single, wanted, end)?,
            _ => self.one(single, end)?,
        };
        if let Some(Choice::Longer { end: last, .. }) = self.work.choices.last_mut() {
            *last = end;
        }
        Some((end, next))
    }

    /// Takes one byte and then more, up to one that is wanted next.
    fn longer_up_to(&mut self, single: Single, wanted: Single, from: usize) -> Option<usize> {
        let sets = self.program.sets();
        let mut end = from;
        let found = loop {
            match self.one(single, end) {
                Some(longer) => end = longer,
                None => break None,
            }
            if self.subject.get(end).is_some_and(|&byte| wanted.matches(byte, sets)) {
                break Some(end);
            }
        };
        self.charge(end - from);
        found
    }

    #[inline]
    fn capture_mut(&mut self, capture: u8) -> &mut Span {
        // No program numbers a capture beyond the last.
        &mut self.work.captures[usize::from(capture) % MOST_CAPTURES]
    }

    #[inline]
    fn item(&mut self, index: u32) -> Result<Item, Fault> {
        match self.program.known(index) {
            Some(item) => Ok(item),
            None => self.read_item(),
        }
    }

    /// Reads the next item of the pattern: the walk comes to each for the first time in their order.
    #[cold]
    fn read_item(&mut self) -> Result<Item, Fault> {
        if self.program.len() >= u32::MAX as usize {
            return Err(Fault::TooComplex);
        }
        if self.program.is_full() {
            let growth = 2 * self.program.bytes() + self.work.bytes();
            if growth > super::IDLE_BYTES && !self.limits.permits(growth) {
                return Err(Fault::Stopped);
            }
            self.program.reserve()?;
        }
        let before = self.program.bytes_read();
        let item = self.program.read(self.pattern)?;
        // A kept pattern must cost the same the second time.
        if self.is_long {
            self.charge(BYTES_A_STEP + self.program.bytes_read() - before);
        }
        Ok(item)
    }

    #[cold]
    fn grow_choices(&mut self) -> Result<(), Fault> {
        let growth = 2 * self.work.bytes() + self.program.bytes();
        if growth > super::IDLE_BYTES && !self.limits.permits(growth) {
            return Err(Fault::Stopped);
        }
        self.work.choices.try_reserve(1).map_err(|_| Fault::NoMemory)
    }

    /// Before each item: the limits are asked in time, and there is room for one choice more.
    #[inline]
    fn step(&mut self) -> Result<(), Fault> {
        self.steps -= 1;
        if self.steps < 0 {
            self.ask()?;
        }
        if self.work.choices.len() == self.work.choices.capacity() {
            self.grow_choices()?;
        }
        Ok(())
    }

    /// Counts bytes that were run over; the next step asks.
    #[inline]
    fn charge(&mut self, bytes: usize) {
        self.steps -= (bytes / BYTES_A_STEP) as i64;
    }

    #[cold]
    fn ask(&mut self) -> Result<(), Fault> {
        self.limits.steps().set(self.steps);
        let go_on = self.limits.go_on();
        self.steps = self.limits.steps().get();
        if go_on { Ok(()) } else { Err(Fault::Stopped) }
    }
}

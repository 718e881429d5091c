//! Some entries of an indexed sorted set in order, as many as a node of its tree may have.
//!
//! Scores lie side by side, apart from their members: what is looked for is found among 64 scores
//! by reading one of each cache line, all at once, and then one line. Members are looked at only
//! where scores are equal.
//!
//! This room knows neither the tree nor the index.

use std::iter::Zip;
use std::slice::Iter;

use super::member::{Member, Place, Scored};

/// The most entries.
pub(super) const WIDTH: usize = 64;

/// Scores in a cache line.
const LINE: usize = 8;

/// Members grow by this many slots: half a leaf lying idle would cost more than the
/// reallocations do.
const GROWTH: usize = 8;

/// Entries in order.
#[derive(Clone)]
pub(super) struct Entries {
    /// The scores, and NaN where there is no entry: that is less than nothing.
    scores: [[f64; LINE]; WIDTH / LINE],
    members: Vec<Member>,
}

/// Entries that follow each other, from either end.
pub(super) type Run<'a> = Zip<Iter<'a, f64>, Iter<'a, Member>>;

impl Entries {
    /// No entries.
    pub(super) fn new() -> Entries {
        Entries { scores: [[f64::NAN; LINE]; WIDTH / LINE], members: Vec::new() }
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes allocated outside of this.
    pub(super) fn heap_size(&self) -> usize {
        self.members.capacity() * size_of::<Member>()
    }

    /// The score at a position, NaN where there is none.
    fn score(&self, at: usize) -> f64 {
        self.scores.as_flattened().get(at).copied().unwrap_or(f64::NAN)
    }

    /// The place at a position.
    pub(super) fn place(&self, at: usize) -> Option<Place<'_>> {
        let member = self.members.get(at)?.as_bytes();
        Some(Place { score: self.score(at), member })
    }

    /// The entries from one position to before another.
    pub(super) fn run(&self, start: usize, end: usize) -> Run<'_> {
        let scores = self.scores.as_flattened().get(start..end).unwrap_or_default();
        scores.iter().zip(self.members.get(start..end).unwrap_or_default())
    }

    /// The number of scores below one.
    #[inline(always)]
    fn count_below(&self, score: f64) -> usize {
        // Sums of numbers as wide as the scores, which compilers make without a branch.
        let lines: u64 = self.scores.iter().map(|line| u64::from(line[LINE - 1] < score)).sum();
        let Some(line) = self.scores.get(lines as usize) else { return WIDTH };
        let below: u64 = line.iter().map(|&other| u64::from(other < score)).sum();
        lines as usize * LINE + below as usize
    }

    /// The number of entries of lower scores, and of those of this score whose members lead.
    #[inline(always)]
    fn search(&self, score: f64, leads: impl Fn(&[u8]) -> bool) -> usize {
        let below = self.count_below(score);
        if self.score(below) == score { self.search_equal(below, score, leads) } else { below }
    }

    /// The rest of a search, from the first entry of an equal score on.
    fn search_equal(&self, from: usize, score: f64, leads: impl Fn(&[u8]) -> bool) -> usize {
        let scores = self.scores.as_flattened().get(from..).unwrap_or_default();
        let equal = scores.iter().take_while(|&&other| other == score).count();
        let members = self.members.get(from..from + equal).unwrap_or_default();
        from + members.partition_point(|member| leads(member.as_bytes()))
    }

    /// The position where a place is or belongs.
    #[inline]
    pub(super) fn position(&self, place: Place<'_>) -> usize {
        self.search(place.score, |member| member < place.member)
    }

    /// The position of a place that is there: only where others have its score, too, members are
    /// looked at.
    #[inline]
    pub(super) fn position_of(&self, place: Place<'_>) -> usize {
        let below = self.count_below(place.score);
        match self.score(below + 1) == place.score {
            true => self.search_equal(below, place.score, |member| member < place.member),
            false => below,
        }
    }

    /// The number of entries up to a place, one that is there included.
    #[inline]
    pub(super) fn count_up_to(&self, place: Place<'_>) -> usize {
        self.search(place.score, |member| member <= place.member)
    }

    /// The number of leading entries for which something is true.
    pub(super) fn count_leading(&self, is_leading: impl Fn(Place<'_>) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.place(middle) {
                Some(place) if is_leading(place) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Adds an entry at a position; there must be room.
    pub(super) fn insert(&mut self, at: usize, entry: Scored) {
        let (scores, len) = (self.scores.as_flattened_mut(), self.members.len());
        scores.copy_within(at..len, at + 1);
        if let Some(score) = scores.get_mut(at) {
            *score = entry.score;
        }
        grow(&mut self.members);
        self.members.insert(at, entry.member);
    }

    /// Takes the entry at a position out, which must be there.
    pub(super) fn remove(&mut self, at: usize) -> Scored {
        let (scores, len) = (self.scores.as_flattened_mut(), self.members.len());
        let score = scores.get(at).copied().unwrap_or(f64::NAN);
        scores.copy_within(at + 1..len, at);
        if let Some(last) = scores.get_mut(len - 1) {
            *last = f64::NAN;
        }
        let member = self.members.remove(at);
        trim(&mut self.members);
        Scored { score, member }
    }

    /// Puts an entry in the place of another.
    pub(super) fn replace(&mut self, at: usize, entry: Scored) {
        let scores = self.scores.as_flattened_mut();
        if let (Some(score), Some(member)) = (scores.get_mut(at), self.members.get_mut(at)) {
            *score = entry.score;
            *member = entry.member;
        }
    }

    /// A copy of the entry at a position.
    pub(super) fn get(&self, at: usize) -> Option<Scored> {
        Some(Scored { score: self.score(at), member: self.members.get(at)?.clone() })
    }

    /// Gives the entry at a position another score, and the position that it has then, if that is
    /// between others of these entries. The ends do not qualify: a neighbour is elsewhere, and the
    /// first entry is known further up.
    pub(super) fn rescore(&mut self, at: usize, score: f64) -> bool {
        let Some(member) = self.members.get(at) else { return false };
        let to = self.position(Place { score, member: member.as_bytes() });
        if at == 0 || to == 0 || to == self.members.len() {
            return false;
        }
        let scores = self.scores.as_flattened_mut();
        // What lies between moves by one towards where the entry was.
        let now = if to > at {
            scores.copy_within(at + 1..to, at);
            self.members.get_mut(at..to).unwrap_or_default().rotate_left(1);
            to - 1
        } else {
            scores.copy_within(to..at, to + 1);
            self.members.get_mut(to..=at).unwrap_or_default().rotate_right(1);
            to
        };
        if let Some(slot) = scores.get_mut(now) {
            *slot = score;
        }
        true
    }

    /// Takes the entries from a position on out.
    pub(super) fn split_off(&mut self, at: usize) -> Entries {
        let mut right = Entries::new();
        right.move_scores(0, self.run(at, self.len()));
        right.members = self.members.split_off(at);
        trim(&mut self.members);
        self.scores.as_flattened_mut().iter_mut().skip(at).for_each(|score| *score = f64::NAN);
        right
    }

    /// Adds entries, which come behind all others, at the end, without idle slots.
    pub(super) fn append(&mut self, right: Entries) {
        self.move_scores(self.len(), right.run(0, right.len()));
        self.members.reserve_exact(right.len());
        self.members.extend(right.members);
    }

    /// Writes the scores of some entries from a position on.
    fn move_scores(&mut self, at: usize, run: Run<'_>) {
        let slots = self.scores.as_flattened_mut().iter_mut().skip(at);
        slots.zip(run).for_each(|(slot, (score, _))| *slot = *score);
    }
}

/// Makes room for one more, and a few slots beside it only.
pub(super) fn grow<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact(GROWTH);
    }
}

/// Gives back idle slots once they are more than two steps of growth.
pub(super) fn trim<T>(items: &mut Vec<T>) {
    if items.capacity() - items.len() > 2 * GROWTH {
        items.shrink_to(items.len() + GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of these scores and members.
    fn entries(places: &[(f64, &str)]) -> Entries {
        let mut entries = Entries::new();
        for (at, &(score, member)) in places.iter().enumerate() {
            entries.insert(at, Scored::new(Place { score, member: member.as_bytes() }));
        }
        entries
    }

    fn shown(entries: &Entries) -> Vec<(f64, String)> {
        let text = |member: &Member| String::from_utf8(member.as_bytes().to_vec()).unwrap();
        entries.run(0, entries.len()).map(|(&score, member)| (score, text(member))).collect()
    }

    fn place(score: f64, member: &str) -> Place<'_> {
        Place { score, member: member.as_bytes() }
    }

    #[test]
    fn positions_are_those_of_a_plain_search() {
        // Runs of equal scores, both infinities, and every number of entries.
        let all: Vec<(f64, String)> = (0..WIDTH)
            .map(|at| match at {
                0 => (f64::NEG_INFINITY, "m".to_owned()),
                63 => (f64::INFINITY, "m".to_owned()),
                _ => (f64::from(at as u32 / 5), format!("m{}", at % 5)),
            })
            .collect();
        for len in 0..=WIDTH {
            let places: Vec<(f64, &str)> =
                all[..len].iter().map(|(score, member)| (*score, member.as_str())).collect();
            let entries = entries(&places);
            for (score, _) in &all {
                for member in ["", "m", "m0", "m2", "m22", "m4", "z"] {
                    let looked_for = place(*score, member);
                    let before =
                        |other: &(f64, &str)| place(other.0, other.1).is_before(looked_for);
                    let position = places.partition_point(before);
                    assert_eq!(entries.position(looked_for), position, "{score} {member}");
                    let there = usize::from(places.get(position) == Some(&(*score, member)));
                    assert_eq!(entries.count_up_to(looked_for), position + there);
                    let leading = entries.count_leading(|other| other.is_before(looked_for));
                    assert_eq!(leading, position);
                }
            }
        }
    }

    #[test]
    fn another_score_moves_an_entry_between_others_only() {
        let places = [(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.0, "d"), (5.0, "e")];
        let moved = |at: usize, score: f64| {
            let mut changed = entries(&places);
            if !changed.rescore(at, score) {
                assert_eq!(shown(&changed), shown(&entries(&places)));
                return None;
            }
            let text: String = shown(&changed).into_iter().map(|(_, member)| member).collect();
            let scores: Vec<f64> = changed.run(0, changed.len()).map(|(&score, _)| score).collect();
            assert!(scores.is_sorted() && scores.contains(&score), "{scores:?}");
            Some(text)
        };
        assert_eq!(moved(1, 2.5).as_deref(), Some("abcde"));
        assert_eq!(moved(1, 4.5).as_deref(), Some("acdbe"));
        assert_eq!(moved(3, 1.5).as_deref(), Some("adbce"));
        assert_eq!(moved(4, 2.0).as_deref(), Some("abecd"));
        assert_eq!(moved(3, 5.0).as_deref(), Some("abcde"));
        assert_eq!([moved(0, 2.5), moved(2, 0.5), moved(2, 9.0)], [None, None, None]);
    }

    #[test]
    fn what_is_split_and_joined_is_the_same() {
        let places: Vec<(f64, &str)> = (0..WIDTH as u32).map(|at| (f64::from(at), "m")).collect();
        for cut in 0..=WIDTH {
            let mut left = entries(&places);
            let right = left.split_off(cut);
            assert_eq!((left.len(), right.len()), (cut, WIDTH - cut));
            assert_eq!(left.position(place(f64::INFINITY, "")), cut);
            assert_eq!(right.position(place(f64::INFINITY, "")), WIDTH - cut);
            left.append(right);
            assert_eq!(shown(&left), shown(&entries(&places)));
            for _ in 0..WIDTH {
                left.remove(left.len() / 2);
            }
            assert_eq!(left.position(place(f64::INFINITY, "")), 0);
        }
    }
}

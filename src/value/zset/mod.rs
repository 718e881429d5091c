//! The sorted set: members with scores, ordered by score, then by bytes.
//!
//! A small set is packed into one allocation; a large one is a counting tree
//! for the order plus an index from member to score. Which of the two it is
//! shows in OBJECT ENCODING, so the caller, who knows the configured limits,
//! decides when to convert: nothing here does so by itself, and nothing
//! converts back.
//!
//! This room may not know of commands, replies, score syntax or options such
//! as NX and GT. Scores are never NaN; refusing that is the caller's part.

mod entries;
mod member;
mod packed;
mod tree;

use std::mem;

use crate::table::{Step, Table, hash};
use crate::value::listpack::Element;

use super::{Borrowed, Kind, Owned, Storage};
use member::{Place, Scored};
use packed::{Found, Packed};
use smallvec::SmallVec;
use tree::Tree;

/// What the index takes for each member, on average: its slot, its share of
/// empty slots and of the segments around them. Measured; the index is not
/// asked, as it would have to visit every segment.
const INDEX_BYTES: usize = 44;

/// Up to which size a sorted set stays packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedLimits {
    /// The most members.
    pub(crate) entries: usize,
    /// The most bytes of a member.
    pub(crate) value_bytes: usize,
}

/// A sorted set. A clone of a large one is cheap: it shares everything until
/// one of the two is changed.
#[derive(Clone)]
pub(crate) struct ZSet<S: Storage = Owned> {
    /// The representation, and in it the members.
    form: Form<S>,
}

/// The two representations.
#[derive(Clone)]
enum Form<S: Storage> {
    /// For small sets.
    Packed(Packed<S::Bytes>),
    /// For large sets; boxed, lest the many small ones take as much room.
    Indexed(S::Large<Indexed>),
}

/// A sorted set, borrowed for reading.
pub(crate) type ZSetView<'a> = ZSet<Borrowed<'a>>;

/// Making and changing.
impl ZSet {
    /// An empty, packed set, without an allocation.
    pub(crate) const fn new() -> ZSet {
        ZSet { form: Form::Packed(Packed::new()) }
    }

    /// An empty, packed set behind a prefix.
    pub(crate) fn behind(prefix: Vec<u8>) -> ZSet {
        ZSet { form: Form::Packed(Packed::behind(prefix)) }
    }

    /// A packed set of the members and scores in a listpack, if they are in order; each member is
    /// shown. Whether one is there twice is not looked at.
    pub(crate) fn of_listpack<'a>(
        elements: &'a [u8],
        score: impl Fn(Element<'a>) -> Option<f64>,
        show: impl FnMut(Element<'a>),
    ) -> Option<ZSet> {
        let packed = Packed::of_listpack(elements, score, show)?;
        Some(ZSet { form: Form::Packed(packed) })
    }

    /// The same set, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> ZSetView<'_> {
        let form = match &self.form {
            Form::Packed(packed) => Form::Packed(packed.view()),
            Form::Indexed(indexed) => Form::Indexed(&**indexed),
        };
        ZSet { form }
    }

    /// The kinds of blocks it lies in.
    pub(super) const KINDS: &'static [Kind] = &[Kind::ZSet];

    /// Opens a block.
    #[inline]
    pub(super) fn from_block(_: Kind, block: Vec<u8>, prefix: usize) -> ZSet {
        ZSet { form: Form::Packed(Packed::from_block(block, prefix)) }
    }

    /// Closes a small set up, if it lies behind a prefix of so many bytes.
    #[inline]
    pub(super) fn close_up(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
        match &mut self.form {
            Form::Packed(packed) => Some((Kind::ZSet, packed.close(prefix)?)),
            Form::Indexed(_) => None,
        }
    }

    /// The members of a small set.
    pub(super) fn packed_mut(&mut self) -> Option<&mut Packed> {
        match &mut self.form {
            Form::Packed(packed) => Some(packed),
            Form::Indexed(_) => None,
        }
    }

    /// A set of members that come in order and are different from each other; packed if it may be,
    /// and then zero has no sign, as Redis keeps it in small sets.
    pub(crate) fn from_sorted<'a>(
        members: impl Iterator<Item = (&'a [u8], f64)> + Clone,
        limits: PackedLimits,
    ) -> ZSet {
        let mut fitting = members.clone().take(limits.entries.saturating_add(1));
        let fits = |count, (member, _): (&[u8], f64)| {
            (member.len() <= limits.value_bytes).then_some(count + 1)
        };
        if fitting.try_fold(0, fits).is_some_and(|count| count <= limits.entries) {
            let mut packed = Packed::new();
            members.for_each(|(member, score)| packed.push(Place { score: score + 0.0, member }));
            return ZSet { form: Form::Packed(packed) };
        }
        let mut indexed = Indexed::new();
        members.for_each(|(member, score)| indexed.add(Place { score, member }));
        ZSet { form: Form::Indexed(Box::new(indexed)) }
    }

    /// Bytes allocated, without padding by the allocator. What clones share is
    /// counted in full in each of them. O(1).
    pub(crate) fn heap_size(&self) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.heap_size(),
            Form::Indexed(indexed) => indexed.heap_size(),
        }
    }

    /// Converts to the indexed form and gives the set as it was, so that the
    /// conversion can be undone by putting that back. A set which is indexed
    /// already stays so, and a clone of it is given.
    pub(crate) fn unpack(&mut self) -> ZSet {
        match &self.form {
            Form::Packed(packed) => {
                let form = Form::Indexed(Box::new(Indexed::from_packed(packed)));
                mem::replace(self, ZSet { form })
            }
            Form::Indexed(_) => self.clone(),
        }
    }

    /// Adds `member`, or gives it another score; returns its former score.
    ///
    /// A score equal to the present one changes nothing, as in Redis; so a
    /// stored -0.0 is not replaced by 0.0. Keeps the representation.
    pub(crate) fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        debug_assert!(!score.is_nan());
        let place = Place { score, member };
        match &mut self.form {
            Form::Packed(packed) => packed.set(place),
            Form::Indexed(indexed) => indexed.set(place),
        }
    }

    /// Makes room for about so many bytes of entries while the set is packed.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        if let Form::Packed(packed) = &mut self.form {
            packed.reserve(bytes);
        }
    }

    /// Adds `member`, which the caller knows to be absent while the set is packed: there it is not
    /// looked for. Otherwise it may be there; the result tells whether it was not.
    pub(crate) fn append(&mut self, member: &[u8], score: f64) -> bool {
        debug_assert!(!score.is_nan());
        let place = Place { score, member };
        match &mut self.form {
            Form::Packed(packed) => {
                packed.append(place);
                true
            }
            Form::Indexed(indexed) => indexed.set(place).is_none(),
        }
    }

    /// The same for a member that comes after all others.
    #[inline]
    pub(crate) fn append_behind(&mut self, member: &[u8], score: f64) -> bool {
        match &mut self.form {
            Form::Packed(packed) => {
                packed.push(Place { score, member });
                true
            }
            Form::Indexed(_) => self.append(member, score),
        }
    }

    /// Gives `member` the score that `decide` makes of the one it has, if any, by one look-up.
    ///
    /// Returns what it had; nothing, and nothing changed, where `decide` gives none. Keeps the
    /// representation.
    pub(crate) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<Option<f64>> {
        match &mut self.form {
            Form::Packed(packed) => packed.update(member, decide),
            Form::Indexed(indexed) => indexed.update(member, decide),
        }
    }

    /// Takes `member` out; returns its score. Keeps the representation.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.form {
            Form::Packed(packed) => packed.remove(member),
            Form::Indexed(indexed) => indexed.remove(member),
        }
    }

    /// Takes the member with this rank out; `taken` sees it and its score. Keeps the representation.
    pub(crate) fn take(&mut self, rank: usize, taken: impl FnOnce(&[u8], f64)) {
        match &mut self.form {
            Form::Packed(packed) => {
                let Some(place) = packed.range(rank, 1).next() else { return };
                let member = SmallVec::<[u8; 64]>::from_slice(place.member);
                taken(&member, place.score);
                packed.remove(&member);
            }
            Form::Indexed(indexed) => {
                if let Some(entry) = indexed.take(rank) {
                    let place = entry.place();
                    taken(place.member, place.score);
                }
            }
        }
    }
}

/// A small sorted set in a block, whose scores change where they lie.
pub(crate) struct InBlock<'a>(Packed<&'a mut [u8]>);

impl<'a> InBlock<'a> {
    /// The set in a block, behind a prefix of so many bytes.
    #[inline]
    pub(crate) fn new(block: &'a mut [u8], prefix: usize) -> Self {
        InBlock(Packed::in_block_mut(block, prefix))
    }

    /// Where a member is, and its score.
    #[inline]
    pub(crate) fn find(&self, member: &[u8]) -> Option<Found> {
        self.0.find(member)
    }

    /// Gives a member another score.
    #[inline]
    pub(crate) fn set(&mut self, found: &Found, member: &[u8], score: f64) {
        self.0.shift(found, Place { score, member });
    }
}

impl<'a> ZSetView<'a> {
    /// The sorted set in a block of a kind, if it is one.
    #[inline]
    pub(super) fn in_block(kind: Kind, block: &'a [u8], prefix: usize) -> Option<Self> {
        let is_zset = kind == Kind::ZSet;
        is_zset.then(|| ZSet { form: Form::Packed(Packed::in_block(block, prefix)) })
    }
}

/// Reading.
impl<S: Storage> ZSet<S> {
    /// The number of members.
    pub(crate) fn len(&self) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.len(),
            Form::Indexed(indexed) => indexed.tree.len(),
        }
    }

    /// True if there are no members.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for the packed form ("listpack"), false for the indexed ("skiplist").
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.form, Form::Packed(_))
    }

    /// True if the set is packed and must be unpacked before a new member of
    /// `member_len` bytes is added.
    pub(crate) fn must_unpack(&self, member_len: usize, limits: PackedLimits) -> bool {
        self.is_packed() && (self.len() >= limits.entries || member_len > limits.value_bytes)
    }

    /// Reads ahead what looking up members of a large set will read: see [`Table::prefetch`].
    #[cfg(feature = "listen")]
    pub(crate) fn prefetch(&self, members: &[&[u8]]) {
        if let Form::Indexed(indexed) = &self.form {
            indexed.index.prefetch(members);
        }
    }

    /// The score of `member`.
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.form {
            Form::Packed(packed) => packed.score(member),
            Form::Indexed(indexed) => indexed.score(member),
        }
    }

    /// The number of members before `member`, if it is there.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.form {
            Form::Packed(packed) => packed.rank(member),
            Form::Indexed(indexed) => indexed.rank(member),
        }
    }

    /// The number of leading members for which `bound` is true.
    ///
    /// `bound` must be true up to some place in the order and false from there
    /// on. If it is not, the result is some rank up to `len()`. O(log n).
    pub(crate) fn rank_of_first(&self, bound: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.count_leading(|place| bound(place.score, place.member)),
            Form::Indexed(indexed) => {
                indexed.tree.count_leading(|place| bound(place.score, place.member))
            }
        }
    }

    /// Up to `count` members from rank `start` on, in ascending order; from
    /// the back in descending order. Either end is found in O(log n).
    pub(crate) fn range(&self, start: usize, count: usize) -> Range<'_> {
        match &self.form {
            Form::Packed(packed) => Range::Packed(packed.range(start, count)),
            Form::Indexed(indexed) => Range::Indexed(indexed.tree.range(start, count)),
        }
    }

    /// All members in ascending order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> Range<'_> {
        self.range(0, usize::MAX)
    }

    /// Visits some members and returns the cursor for the next call, 0 at the
    /// end. A packed set is visited whole; an indexed one in the order of its
    /// index, whose guarantees hold.
    pub(crate) fn scan(&self, step: Step, visit: &mut dyn FnMut(&[u8], f64)) -> u64 {
        let mut visit_place = |place: Place<'_>| visit(place.member, place.score);
        match &self.form {
            Form::Packed(packed) => {
                packed.iter().for_each(visit_place);
                0
            }
            Form::Indexed(indexed) => {
                indexed.index.scan(step, &mut |entry| visit_place(entry.place()))
            }
        }
    }
}

/// The form for large sets. Tree and index always hold the same entries.
#[derive(Clone)]
struct Indexed {
    /// The entries by place and by rank.
    tree: Tree,
    /// The entries by member.
    index: Table<Scored>,
    /// Bytes which long members have allocated, once for tree and index.
    member_bytes: usize,
}

impl Indexed {
    /// No members.
    fn new() -> Indexed {
        Indexed { tree: Tree::new(), index: Table::new(), member_bytes: 0 }
    }

    /// The same members as in `packed`.
    fn from_packed(packed: &Packed) -> Indexed {
        let mut indexed = Indexed::new();
        packed.iter().for_each(|place| indexed.add(place));
        indexed
    }

    /// Bytes allocated, the box around this included.
    fn heap_size(&self) -> usize {
        size_of::<Indexed>()
            + self.tree.heap_size()
            + self.index.len() * INDEX_BYTES
            + self.member_bytes
    }

    /// `ZSet::score`, one look into the index.
    fn score(&self, member: &[u8]) -> Option<f64> {
        self.index.find(member).map(|at| self.index.get(at).score)
    }

    /// `ZSet::rank`: the index gives the place, the tree its rank.
    fn rank(&self, member: &[u8]) -> Option<usize> {
        let place = Place { score: self.score(member)?, member };
        Some(self.tree.rank(place))
    }

    /// `ZSet::set`, in the index first.
    fn set(&mut self, place: Place<'_>) -> Option<f64> {
        let hash = hash(place.member);
        let Some(at) = self.index.find_hashed(hash, place.member) else {
            self.add_hashed(hash, place);
            return None;
        };
        let former = self.index.get(at).score;
        if former != place.score {
            self.index.get_mut(at).score = place.score;
            self.tree.move_to(Place { score: former, ..place }, place.score);
        }
        Some(former)
    }

    /// `ZSet::update`.
    fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<Option<f64>> {
        let hash = hash(member);
        let Some(at) = self.index.find_hashed(hash, member) else {
            self.add_hashed(hash, Place { score: decide(None)?, member });
            return Some(None);
        };
        let former = self.index.get(at).score;
        let score = decide(Some(former))?;
        self.index.get_mut(at).score = score;
        self.tree.move_to(Place { score: former, member }, score);
        Some(Some(former))
    }

    /// Adds a member which is absent.
    fn add(&mut self, place: Place<'_>) {
        self.add_hashed(hash(place.member), place);
    }

    /// The same where the hash of the member is at hand.
    fn add_hashed(&mut self, hash: u64, place: Place<'_>) {
        let entry = Scored::new(place);
        self.member_bytes += entry.heap_size();
        self.index.insert_hashed(hash, entry.clone());
        self.tree.insert(entry);
    }

    /// `ZSet::remove`, from the index first, as that knows the place.
    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.index.find(member)?;
        let entry = self.index.remove(at);
        self.tree.remove(entry.place());
        self.member_bytes = self.member_bytes.saturating_sub(entry.heap_size());
        Some(entry.score)
    }

    /// `ZSet::take`, from the tree first, as that knows ranks.
    fn take(&mut self, rank: usize) -> Option<Scored> {
        let entry = self.tree.remove_rank(rank)?;
        if let Some(at) = self.index.find(entry.place().member) {
            self.index.remove(at);
        }
        self.member_bytes = self.member_bytes.saturating_sub(entry.heap_size());
        Some(entry)
    }
}

/// Members of a sorted set in order, with their scores, from either end.
#[derive(Clone)]
pub(crate) enum Range<'a> {
    /// Of a packed set.
    Packed(packed::Range<'a>),
    /// Of an indexed set.
    Indexed(tree::Range<'a>),
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        let place = match self {
            Range::Packed(range) => range.next(),
            Range::Indexed(range) => range.next(),
        };
        place.map(|place| (place.member, place.score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Range::Packed(range) => range.size_hint(),
            Range::Indexed(range) => range.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let place = match self {
            Range::Packed(range) => range.next_back(),
            Range::Indexed(range) => range.next_back(),
        };
        place.map(|place| (place.member, place.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PackedLimits = PackedLimits { entries: 128, value_bytes: 64 };

    /// The plainest sorted set.
    #[derive(Clone, Default)]
    struct Model(Vec<(f64, Vec<u8>)>);

    impl Model {
        fn remove(&mut self, member: &[u8]) -> Option<f64> {
            let at = self.0.iter().position(|entry| entry.1 == member)?;
            Some(self.0.remove(at).0)
        }

        fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
            let former = self.score(member);
            if former != Some(score) {
                self.remove(member);
                self.0.push((score, member.to_vec()));
                self.0.sort_by(|a, b| a.partial_cmp(b).unwrap());
            }
            former
        }

        fn score(&self, member: &[u8]) -> Option<f64> {
            self.0.iter().find(|entry| entry.1 == member).map(|entry| entry.0)
        }

        fn rank(&self, member: &[u8]) -> Option<usize> {
            self.0.iter().position(|entry| entry.1 == member)
        }

        fn range(&self, start: usize, count: usize) -> Vec<(&[u8], f64)> {
            let picked = self.0.iter().skip(start).take(count);
            picked.map(|(score, member)| (member.as_slice(), *score)).collect()
        }
    }

    /// xorshift64.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) % sides
        }

        fn score(&mut self) -> f64 {
            match self.roll(20) {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                2 => -0.0,
                3 => 0.0,
                4..12 => self.roll(10) as f64 - 5.0,
                _ => self.roll(1 << 40) as f64 / 1e6,
            }
        }

        fn member(&mut self, many: u64) -> Vec<u8> {
            let number = self.roll(many);
            let padding = [0, 0, 3, 40, 200][(number % 5) as usize];
            [format!("{number}").into_bytes(), vec![b'.'; padding]].concat()
        }
    }

    fn check(set: &ZSet, model: &Model, dice: &mut Dice) {
        assert_eq!(set.len(), model.0.len());
        assert_eq!(set.is_empty(), model.0.is_empty());
        assert_eq!(set.iter().collect::<Vec<_>>(), model.range(0, usize::MAX));
        for _ in 0..10 {
            check_range(set, model, dice);
            check_bound(set, model, dice.score());
        }
        let mut seen = Vec::new();
        let mut cursor = 0;
        loop {
            let step = Step { cursor, most: 10 };
            cursor = set.scan(step, &mut |member, score| seen.push((score, member.to_vec())));
            if cursor == 0 {
                break;
            }
        }
        seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
        seen.dedup();
        assert_eq!(seen, model.0);
    }

    fn check_range(set: &ZSet, model: &Model, dice: &mut Dice) {
        let most = set.len() as u64 + 3;
        let (start, count) = (dice.roll(most) as usize, dice.roll(most) as usize);
        let mut expected = model.range(start, count);
        assert_eq!(set.range(start, count).collect::<Vec<_>>(), expected);
        expected.reverse();
        assert_eq!(set.range(start, count).rev().collect::<Vec<_>>(), expected);
    }

    fn check_bound(set: &ZSet, model: &Model, least: f64) {
        let expected = model.0.partition_point(|entry| entry.0 < least);
        assert_eq!(set.rank_of_first(|score, _| score < least), expected);
        let expected = model.0.partition_point(|entry| entry.0 <= least);
        assert_eq!(set.rank_of_first(|score, _| score <= least), expected);
    }

    /// One random operation on both; `growth` of 10 rolls are additions.
    fn step(set: &mut ZSet, model: &mut Model, dice: &mut Dice, many: u64, growth: u64) {
        let member = dice.member(many);
        if dice.roll(10) < growth {
            let score = dice.score();
            assert_eq!(set.set(&member, score), model.set(&member, score));
        } else {
            assert_eq!(set.remove(&member), model.remove(&member));
        }
        let member = dice.member(many);
        assert_eq!(set.score(&member), model.score(&member));
        assert_eq!(set.rank(&member), model.rank(&member));
    }

    fn run(mut set: ZSet, seed: u64, many: u64, steps: usize) {
        let (mut model, mut dice) = (Model::default(), Dice(seed));
        for growth in [8, 5, 9, 0] {
            for at in 0..steps {
                step(&mut set, &mut model, &mut dice, many, growth);
                if at % (steps / 8) == 0 {
                    check(&set, &model, &mut dice);
                }
            }
        }
        check(&set, &model, &mut dice);
    }

    fn indexed() -> ZSet {
        let mut set = ZSet::new();
        set.unpack();
        set
    }

    #[test]
    fn packed_agrees_with_the_model() {
        (1..20).for_each(|seed| run(ZSet::new(), seed, 60, 400));
        run(ZSet::new(), 77, 400, 2_000);
    }

    #[test]
    fn indexed_agrees_with_the_model() {
        (1..10).for_each(|seed| run(indexed(), seed, 100, 400));
        run(indexed(), 77, 3_000, 6_000);
    }

    #[test]
    fn clones_do_not_see_each_others_changes() {
        let (mut set, mut model, mut dice) = (indexed(), Model::default(), Dice(5));
        for _ in 0..8 {
            let (before, model_before) = (set.clone(), model.clone());
            for _ in 0..600 {
                step(&mut set, &mut model, &mut dice, 2_000, 8);
            }
            check(&before, &model_before, &mut dice);
            check(&set, &model, &mut dice);
        }
    }

    #[test]
    fn unpacking_keeps_the_members_and_gives_the_old_form() {
        let (mut set, mut model, mut dice) = (ZSet::new(), Model::default(), Dice(9));
        for _ in 0..300 {
            step(&mut set, &mut model, &mut dice, 200, 9);
        }
        let old = set.unpack();
        assert!(old.is_packed() && !set.is_packed());
        check(&old, &model, &mut dice);
        check(&set, &model, &mut dice);
        assert!(!set.unpack().is_packed());
    }

    #[test]
    fn limits_are_kept_to_the_entry_and_to_the_byte() {
        let mut set = ZSet::new();
        assert!(!set.must_unpack(64, LIMITS));
        assert!(set.must_unpack(65, LIMITS));
        assert!(set.must_unpack(1, PackedLimits { entries: 0, ..LIMITS }));
        for at in 0..127 {
            set.set(format!("{at}").as_bytes(), 0.0);
        }
        assert!(!set.must_unpack(1, LIMITS));
        set.set(b"last", 0.0);
        assert!(set.must_unpack(1, LIMITS));
        set.unpack();
        assert!(!set.must_unpack(1_000, LIMITS));
    }

    #[test]
    fn ranges_by_bytes_use_the_same_bound() {
        for mut set in [ZSet::new(), indexed()] {
            for at in 0..500 {
                set.set(format!("{at:03}").as_bytes(), 0.0);
            }
            assert_eq!(set.rank_of_first(|_, member| member < b"250".as_slice()), 250);
            assert_eq!(set.rank_of_first(|_, member| member <= b"250".as_slice()), 251);
            assert_eq!(set.rank_of_first(|_, _| true), 500);
            assert_eq!(set.rank_of_first(|_, _| false), 0);
        }
    }

    #[test]
    fn a_bound_out_of_order_is_harmless() {
        let (mut set, mut dice) = (indexed(), Dice(3));
        for _ in 0..2_000 {
            set.set(&dice.member(5_000), dice.score());
        }
        assert!(set.rank_of_first(|_, member| member.len() % 2 == 0) <= set.len());
    }

    #[test]
    fn long_members_are_counted_once() {
        let mut set = indexed();
        let empty = set.heap_size();
        set.set(&[b'x'; 100_000], 1.0);
        assert!((100_000..110_000).contains(&(set.heap_size() - empty)));
        set.remove(&[b'x'; 100_000]);
        assert!(set.heap_size() < empty + 10_000);
    }

    #[test]
    fn an_update_decides_by_the_score_it_finds() {
        for unpacked in [false, true] {
            let mut set = ZSet::new();
            let long = [b'x'; 300];
            let members: [&[u8]; 4] = [b"a", b"b", &long, b"d"];
            for (at, member) in (1..).zip(members) {
                set.set(member, f64::from(at));
            }
            if unpacked {
                set.unpack();
            }
            assert_eq!(set.update(b"b", |_| None), None);
            assert_eq!(set.update(b"new", |old| old), None);
            assert_eq!(set.update(b"b", |old| old.map(|score| score + 10.0)), Some(Some(2.0)));
            assert_eq!(set.update(&long, |old| old.map(|score| score - 9.0)), Some(Some(3.0)));
            assert_eq!(set.update(b"new", |old| Some(old.unwrap_or(3.5))), Some(None));
            let expected: [(&[u8], f64); 5] =
                [(&long, -6.0), (b"a", 1.0), (b"new", 3.5), (b"d", 4.0), (b"b", 12.0)];
            assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            assert_eq!((set.score(b"b"), set.rank(b"d")), (Some(12.0), Some(3)));
        }
    }

    #[test]
    fn sorted_members_make_the_form_that_the_limits_ask_for() {
        let names: Vec<Vec<u8>> = (0..200).map(|at| format!("m{at:03}").into_bytes()).collect();
        let of = |count: usize| names.iter().take(count).map(|name| (name.as_slice(), -0.0));
        for (count, is_packed) in [(0, true), (1, true), (128, true), (129, false), (200, false)] {
            let set = ZSet::from_sorted(of(count), LIMITS);
            assert_eq!((set.len(), set.is_packed()), (count, is_packed));
            let members = set.iter().map(|(member, _)| member.to_vec());
            assert!(members.eq(names.iter().take(count).cloned()));
            // Only a small set forgets the sign of zero.
            assert!(set.iter().all(|(_, score)| score.is_sign_negative() != is_packed));
        }
        let (fits, long) = ([b'x'; 64], [b'x'; 65]);
        for (member, is_packed) in [(&fits[..], true), (&long[..], false)] {
            let set = ZSet::from_sorted([(&b"a"[..], 1.0), (member, 2.0)].into_iter(), LIMITS);
            assert_eq!(set.is_packed(), is_packed);
            assert_eq!(set.score(member), Some(2.0));
        }
    }
}

//! The set: distinct members.
//!
//! Integers alone are kept sorted, in 2, 4 or 8 bytes each (Redis's "intset"). Anything else is what
//! Redis calls "hashtable": here a packed sequence while it is small, in the order in which the
//! members were added, and a [`Table`] above. A set goes from form to form as members are added and
//! hands out what it was before, so that the caller can undo; nothing converts back.
//!
//! This room knows no commands, replies or journals.

mod ints;
mod member;

pub(crate) use ints::Ints;

use super::packed::Packed;
use super::{Borrowed, Kind, Owned, Storage};
use crate::bytes::same;
use crate::number::{IntText, parse_i64};
use crate::table::{Location, Step, Table, hash};
use member::Stored;
use smallvec::SmallVec;
use std::collections::HashSet;

/// A packed set has so many members at most: walking more costs more than the table does.
const PACKED_ENTRIES: usize = 32;
/// And none of them is longer than this.
const PACKED_BYTES: usize = 64;

/// A set. The clone of a large one shares its members until one of the two is changed.
#[derive(Clone)]
pub(crate) struct Set<S: Storage = Owned>(Form<S>);

#[derive(Clone)]
enum Form<S: Storage> {
    Ints(Ints<S::Bytes>),
    Packed(Packed<S::Bytes>),
    /// Boxed, lest the many small sets take as much room.
    Table(S::Large<Table<Stored>>),
}

/// A set, borrowed for reading.
pub(crate) type SetView<'a> = Set<Borrowed<'a>>;

/// The packed form of a small set.
pub(super) enum Small<'a> {
    Ints(&'a mut Ints),
    Packed(&'a mut Packed),
}

/// The tables of some large sets.
type Tables<'a> = SmallVec<[&'a Table<Stored>; 8]>;

/// Sets of integers, and of each how many are known to be less than what is sought.
type Sorted<'a> = SmallVec<[(&'a Ints<&'a [u8]>, usize); 8]>;

/// A member as a set holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member<'a> {
    /// Its text is the decimal digits.
    Integer(i64),
    /// Any bytes; they may be an integer's too.
    Bytes(&'a [u8]),
}

impl Member<'_> {
    /// Runs something on the bytes of the member.
    pub(crate) fn with_bytes<R>(self, run: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Member::Integer(value) => run(IntText::new(value).as_bytes()),
            Member::Bytes(bytes) => run(bytes),
        }
    }
}

/// Where a set has a member; good until its next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Counted from the first.
    Index(usize),
    /// In the table.
    At(Location),
}

impl Place {
    /// The index, where the form has one.
    pub(crate) fn index(self) -> usize {
        match self {
            Place::Index(index) => index,
            Place::At(_) => 0,
        }
    }
}

/// What came of adding a member.
pub(crate) enum Added {
    /// It was there before.
    Present,
    /// It is new.
    Placed,
    /// It is new, and the set took another form for it; this is the set of before.
    Converted(Set),
}

impl<S: Storage> From<Ints<S::Bytes>> for Set<S> {
    fn from(ints: Ints<S::Bytes>) -> Set<S> {
        Set(Form::Ints(ints))
    }
}

/// Making and changing.
impl Set {
    /// An empty set, without an allocation.
    pub(crate) const fn new() -> Set {
        Set(Form::Ints(Ints::new()))
    }

    /// An empty set behind a prefix.
    pub(crate) fn behind(prefix: Vec<u8>) -> Set {
        Set(Form::Ints(Ints::behind(prefix, 2)))
    }

    /// The same set, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> SetView<'_> {
        Set(match &self.0 {
            Form::Ints(ints) => Form::Ints(ints.view()),
            Form::Packed(packed) => Form::Packed(packed.view()),
            Form::Table(table) => Form::Table(&**table),
        })
    }

    /// The kinds of blocks it lies in.
    pub(super) const KINDS: &'static [Kind] = &[Kind::Set, Kind::Ints2, Kind::Ints4, Kind::Ints8];

    /// Opens a block of a kind.
    #[inline]
    pub(super) fn from_block(kind: Kind, block: Vec<u8>, prefix: usize) -> Set {
        Set(match kind.ints_width() {
            Some(width) => Form::Ints(Ints::from_block(block, prefix, width)),
            None => Form::Packed(Packed::from_block(block, prefix)),
        })
    }

    /// Closes a small set up, if it lies behind a prefix of so many bytes.
    #[inline]
    pub(super) fn close_up(&mut self, prefix: usize) -> Option<(Kind, Vec<u8>)> {
        match &mut self.0 {
            Form::Ints(ints) => {
                let kind = Kind::of_ints(ints.width());
                Some((kind, ints.close(prefix)?))
            }
            Form::Packed(packed) => Some((Kind::Set, packed.close(prefix)?)),
            Form::Table(_) => None,
        }
    }

    /// The packed form of a small set.
    pub(super) fn small_mut(&mut self) -> Option<Small<'_>> {
        match &mut self.0 {
            Form::Ints(ints) => Some(Small::Ints(ints)),
            Form::Packed(packed) => Some(Small::Packed(packed)),
            Form::Table(_) => None,
        }
    }

    /// Bytes allocated; of a table about so many members are looked at and stand for the others.
    pub(crate) fn heap_size(&self, samples: usize) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.heap_size(),
            Form::Packed(packed) => packed.heap_size(),
            Form::Table(table) => {
                size_of::<Table<Stored>>() + table.heap_size(samples, Stored::heap_size)
            }
        }
    }

    /// Adds a member. Integers are kept as such up to `ints_most` of them.
    pub(crate) fn add(&mut self, member: &[u8], ints_most: usize) -> Added {
        match &mut self.0 {
            Form::Ints(_) => match parse_i64(member) {
                Some(value) => self.add_integer(value, ints_most),
                None => self.convert_and_add(member),
            },
            Form::Packed(packed) => {
                if packed.iter().any(|m| same(m, member)) {
                    return Added::Present;
                }
                if packed.len() >= PACKED_ENTRIES || member.len() > PACKED_BYTES {
                    return self.convert_and_add(member);
                }
                packed.push_back(member);
                Added::Placed
            }
            Form::Table(table) => {
                let hash = hash(member);
                if table.find_hashed(hash, member).is_some() {
                    return Added::Present;
                }
                table.insert_hashed(hash, Stored::new(member));
                Added::Placed
            }
        }
    }

    /// The same for a member that the caller knows to be absent: it is not looked for while the set is
    /// small.
    pub(crate) fn add_new(&mut self, member: &[u8], ints_most: usize) -> Added {
        match &mut self.0 {
            Form::Packed(packed)
                if packed.len() < PACKED_ENTRIES && member.len() <= PACKED_BYTES =>
            {
                packed.push_back(member);
                Added::Placed
            }
            _ => self.add(member, ints_most),
        }
    }

    /// Makes room for about so many bytes of members while the set is small and not of integers.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        if let Form::Packed(packed) = &mut self.0 {
            packed.reserve(bytes);
        }
    }

    /// Adds a member of another set.
    pub(crate) fn add_member(&mut self, member: Member<'_>, ints_most: usize) -> Added {
        match (&self.0, member) {
            (Form::Ints(_), Member::Integer(value)) => self.add_integer(value, ints_most),
            (_, member) => member.with_bytes(|bytes| self.add(bytes, ints_most)),
        }
    }

    fn add_integer(&mut self, value: i64, ints_most: usize) -> Added {
        let text = IntText::new(value);
        let Form::Ints(ints) = &mut self.0 else { return self.add(text.as_bytes(), ints_most) };
        if ints.len() >= ints_most {
            return match ints.find(value) {
                Some(_) => Added::Present,
                None => self.convert_and_add(text.as_bytes()),
            };
        }
        if ints.fits(value) {
            return if ints.insert(value) { Added::Placed } else { Added::Present };
        }
        let mut wider = ints.widened(value);
        wider.insert(value);
        Added::Converted(std::mem::replace(self, Set(Form::Ints(wider))))
    }

    /// Adds a member, which is new, to the next larger form.
    fn convert_and_add(&mut self, member: &[u8]) -> Added {
        let fits = self.len() < PACKED_ENTRIES && member.len() <= PACKED_BYTES;
        let next = match &self.0 {
            Form::Ints(ints) if fits => {
                let mut packed = Packed::new();
                ints.iter().for_each(|value| packed.push_back(IntText::new(value).as_bytes()));
                packed.push_back(member);
                Form::Packed(packed)
            }
            _ => {
                let mut table = self.to_table(self.len() + 1);
                table.insert(Stored::new(member));
                Form::Table(Box::new(table))
            }
        };
        Added::Converted(std::mem::replace(self, Set(next)))
    }

    /// Takes a member of another set out.
    pub(crate) fn remove_member(&mut self, member: Member<'_>) {
        member.with_bytes(|bytes| self.remove(bytes));
    }

    /// Takes a member out; tells whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let found = self.find(member);
        found.map(|place| self.take(place)).is_some()
    }

    /// A set of the members of several others. It begins as a clone of the largest, which shares
    /// what it can, if a set made of the same members would have the same form.
    pub(crate) fn union(sets: &[&SetView<'_>], ints_most: usize) -> Set {
        let largest = (0..sets.len()).max_by_key(|&at| sets.get(at).map_or(0, |set| set.len()));
        let first = largest.filter(|&at| sets.get(at).is_some_and(|s| s.is_no_intset(ints_most)));
        let begin = first.and_then(|at| sets.get(at));
        let mut union = begin.map_or(Set::new(), |set| set.to_set());
        for (_, set) in sets.iter().enumerate().filter(|(at, _)| first != Some(*at)) {
            set.iter().for_each(|member| drop(union.add_member(member, ints_most)));
        }
        union
    }

    /// Visits the members of one set that are in all of some others, until the visitor has seen
    /// enough; returns how many it saw.
    pub(crate) fn intersect(
        set: &SetView<'_>,
        others: &[&SetView<'_>],
        mut visit: impl FnMut(Member<'_>) -> bool,
    ) -> usize {
        let tables = others.iter().map(|other| other.table());
        if let (Some(table), Some(others)) = (set.table(), tables.collect::<Option<Tables<'_>>>()) {
            return table.in_all(&others, |stored| visit(Member::Bytes(stored.as_bytes())));
        }
        let mut count = 0;
        let all_ints = others.iter().map(|other| Some((other.ints()?, 0)));
        if let (Some(ints), Some(mut others)) =
            (set.ints(), all_ints.collect::<Option<Sorted<'_>>>())
        {
            // All are in order, so each search begins where the one before has ended.
            ints.iter().all(|value| {
                let everywhere = others.iter_mut().all(|(other, below)| {
                    *below = other.count_below(value, *below);
                    other.get(*below) == Some(value)
                });
                count += usize::from(everywhere);
                !everywhere || visit(Member::Integer(value))
            });
            return count;
        }
        set.iter().all(|member| {
            let everywhere = others.iter().all(|other| other.has(member));
            count += usize::from(everywhere);
            !everywhere || visit(member)
        });
        count
    }

    /// Takes out the member at a place that `find` or `random` gave.
    pub(crate) fn take(&mut self, place: Place) {
        match (&mut self.0, place) {
            (Form::Ints(ints), Place::Index(rank)) => ints.remove(rank),
            (Form::Packed(packed), Place::Index(index)) => {
                if let Some(position) = packed.position(index) {
                    packed.remove(position);
                }
            }
            (Form::Table(table), Place::At(at)) => {
                table.remove(at);
            }
            _ => foreign(),
        }
    }

    /// Puts a member that was taken out back to where it was.
    pub(crate) fn restore(&mut self, index: usize, member: &[u8]) {
        match &mut self.0 {
            Form::Ints(ints) => {
                ints.insert(parse_i64(member).unwrap_or(0));
            }
            Form::Packed(packed) => packed.insert_index(index, member),
            Form::Table(table) => {
                table.insert(Stored::new(member));
            }
        }
    }
}

/// Reading.
impl<S: Storage> Set<S> {
    /// Number of members.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// The integers, if the set is kept as such: "intset".
    pub(crate) fn ints(&self) -> Option<&Ints<S::Bytes>> {
        match &self.0 {
            Form::Ints(ints) => Some(ints),
            _ => None,
        }
    }

    /// Reads ahead what looking up members of a large set will read: see [`Table::prefetch`].
    #[cfg(feature = "listen")]
    pub(crate) fn prefetch(&self, members: &[&[u8]]) {
        if let Form::Table(table) = &self.0 {
            table.prefetch(members);
        }
    }

    /// Whether a member is in the set.
    #[inline]
    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.find(member).is_some()
    }

    /// Whether a member of another set is in this one.
    #[inline]
    pub(crate) fn has(&self, member: Member<'_>) -> bool {
        match (&self.0, member) {
            (Form::Ints(ints), Member::Integer(value)) => ints.find(value).is_some(),
            (_, member) => member.with_bytes(|bytes| self.contains(bytes)),
        }
    }

    /// The table of a large set.
    fn table(&self) -> Option<&Table<Stored>> {
        match &self.0 {
            Form::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Where a member is.
    #[inline]
    pub(crate) fn find(&self, member: &[u8]) -> Option<Place> {
        match &self.0 {
            Form::Ints(ints) => ints.find(parse_i64(member)?).map(Place::Index),
            Form::Packed(packed) => packed.iter().position(|m| same(m, member)).map(Place::Index),
            Form::Table(table) => table.find(member).map(Place::At),
        }
    }

    /// The member at a place that `find` or `random` gave.
    pub(crate) fn at(&self, place: Place) -> Member<'_> {
        match (&self.0, place) {
            (Form::Ints(ints), Place::Index(i)) => Member::Integer(ints.get(i).unwrap_or(0)),
            (Form::Packed(packed), Place::Index(i)) => {
                Member::Bytes(packed.get(i).unwrap_or_default())
            }
            (Form::Table(table), Place::At(at)) => Member::Bytes(table.get(at).as_bytes()),
            _ => foreign(),
        }
    }

    /// Some member, each as likely as any other; `below` gives numbers below a bound.
    pub(crate) fn random(&self, mut below: impl FnMut(usize) -> usize) -> Option<Place> {
        match &self.0 {
            Form::Table(table) => table.random(below).map(Place::At),
            _ if self.len() == 0 => None,
            _ => Some(Place::Index(below(self.len()))),
        }
    }

    /// So many distinct members at random, or all if there are not more.
    pub(crate) fn sample(
        &self,
        count: usize,
        mut below: impl FnMut(usize) -> usize,
    ) -> Vec<Member<'_>> {
        if count < self.len() / 3 && matches!(self.0, Form::Table(_)) {
            return self.draw(count, below);
        }
        let mut members: Vec<Member<'_>> = self.iter().collect();
        if count < members.len() {
            for chosen in 0..count {
                members.swap(chosen, chosen + below(self.len() - chosen));
            }
            members.truncate(count);
        }
        members
    }

    /// Draws until so many different members were met, for counts far below their number.
    fn draw(&self, count: usize, mut below: impl FnMut(usize) -> usize) -> Vec<Member<'_>> {
        let mut met = HashSet::with_capacity(count);
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let Some(place) = self.random(&mut below) else { break };
            if met.insert(place) {
                drawn.push(self.at(place));
            }
        }
        drawn
    }

    /// A table of the members, with room for so many.
    fn to_table(&self, room: usize) -> Table<Stored> {
        let mut table = Table::with_capacity(room);
        self.iter().for_each(|member| {
            table.insert(member.with_bytes(Stored::new));
        });
        table
    }

    /// Whether no set of the same members could be kept as integers.
    fn is_no_intset(&self, ints_most: usize) -> bool {
        let no_integer = |member: Member<'_>| member.with_bytes(|bytes| parse_i64(bytes).is_none());
        match &self.0 {
            Form::Ints(_) => false,
            _ => self.len() > ints_most || self.iter().any(no_integer),
        }
    }

    /// All members: integers ascending, those of a packed set as they were added, others in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        // One chain of three, of which two are empty: no allocation, and one type.
        let (ints, packed, table) = match &self.0 {
            Form::Ints(ints) => (Some(ints), None, None),
            Form::Packed(packed) => (None, Some(packed), None),
            Form::Table(table) => (None, None, Some(table)),
        };
        let ints = ints.into_iter().flat_map(|ints| ints.iter().map(Member::Integer));
        let packed = packed.into_iter().flat_map(|packed| packed.iter().map(Member::Bytes));
        let table = table
            .into_iter()
            .flat_map(|table| table.iter().map(|member| Member::Bytes(member.as_bytes())));
        ints.chain(packed).chain(table)
    }

    /// One step of SSCAN: only a table takes several.
    pub(crate) fn scan(&self, step: Step, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        match &self.0 {
            Form::Table(table) => {
                table.scan(step, &mut |member| visit(Member::Bytes(member.as_bytes())))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }
}

impl<'a> SetView<'a> {
    /// The set in a block of a kind, if it is one.
    #[inline]
    pub(super) fn in_block(kind: Kind, block: &'a [u8], prefix: usize) -> Option<Self> {
        Some(Set(match kind.ints_width() {
            Some(width) => Form::Ints(Ints::in_block(block, prefix, width)),
            None if kind == Kind::Set => Form::Packed(Packed::in_block(block, prefix)),
            None => return None,
        }))
    }

    /// A copy of its own; of a large set it shares what it can.
    pub(crate) fn to_set(&self) -> Set {
        Set(match &self.0 {
            Form::Ints(ints) => Form::Ints(ints.to_ints()),
            Form::Packed(packed) => Form::Packed(packed.to_packed()),
            Form::Table(table) => Form::Table(Box::new(Table::clone(table))),
        })
    }
}

/// A place is only ever used with the set that gave it.
#[cold]
fn foreign() -> ! {
    unreachable!("a place of another set, or of before a change")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const INTS_MOST: usize = 512;

    fn of<T: AsRef<[u8]>>(members: impl IntoIterator<Item = T>) -> Set {
        let mut set = Set::new();
        for member in members {
            set.add(member.as_ref(), INTS_MOST);
        }
        set
    }

    fn numbered(letter: &str, count: usize) -> Set {
        of((0..count).map(|i| format!("{letter}{i}")))
    }

    fn text(member: Member<'_>) -> String {
        member.with_bytes(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// In the order in which the set shows them.
    fn shown(set: &Set) -> Vec<String> {
        set.iter().map(text).collect()
    }

    fn form(set: &Set) -> &'static str {
        match &set.0 {
            Form::Ints(_) => "ints",
            Form::Packed(_) => "packed",
            Form::Table(_) => "table",
        }
    }

    /// One set in each form.
    fn forms() -> [Set; 3] {
        [numbered("", 30), numbered("m", 30), numbered("m", 300)]
    }

    #[test]
    fn the_form_follows_the_members() {
        let cases = [
            (numbered("", 512), "ints"),
            (numbered("", 513), "table"),
            (numbered("m", 32), "packed"),
            (numbered("m", 33), "table"),
            (of(["1", "2", "x"]), "packed"),
            (of(["007"]), "packed"),
            (of(["-0"]), "packed"),
            (of([""]), "packed"),
            (of(["9223372036854775807", "-9223372036854775808"]), "ints"),
            (of(["9223372036854775808"]), "packed"),
            (of([vec![b'm'; 64]]), "packed"),
            (of([vec![b'm'; 65]]), "table"),
        ];
        for (set, expected) in cases {
            assert_eq!(form(&set), expected, "{:?}", shown(&set));
        }
        let mut few = of(["1", "2"]);
        assert!(matches!(few.add(b"2", 2), Added::Present));
        assert!(matches!(few.add(b"3", 2), Added::Converted(_)));
        assert_eq!((form(&few), shown(&few)), ("packed", vec!["1".into(), "2".into(), "3".into()]));
    }

    #[test]
    fn adding_tells_what_it_came_to() {
        let mut set = of(["3", "1"]);
        assert!(matches!(set.add(b"1", INTS_MOST), Added::Present));
        assert!(matches!(set.add(b"2", INTS_MOST), Added::Placed));
        let Added::Converted(narrow) = set.add(b"70000", INTS_MOST) else { panic!("it is wider") };
        let widths = [&narrow, &set].map(|set| set.ints().map(Ints::width));
        assert_eq!(widths, [Some(2), Some(4)]);
        let Added::Converted(ints) = set.add(b"x", INTS_MOST) else { panic!("it is no integer") };
        assert_eq!(shown(&ints), ["1", "2", "3", "70000"]);
        assert_eq!(shown(&set), ["1", "2", "3", "70000", "x"]);
        assert!(matches!(set.add(b"70000", INTS_MOST), Added::Present));
        for i in 0..27 {
            assert!(matches!(set.add(format!("m{i}").as_bytes(), INTS_MOST), Added::Placed));
        }
        assert!(matches!(set.add(b"m26", INTS_MOST), Added::Present));
        let Added::Converted(packed) = set.add(b"m27", INTS_MOST) else { panic!("it is large") };
        assert_eq!((packed.len(), set.len(), form(&set)), (32, 33, "table"));
        assert!(matches!(set.add(b"m27", INTS_MOST), Added::Present));
    }

    #[test]
    fn every_form_finds_removes_and_puts_back() {
        for mut set in forms() {
            let (before, what) = (shown(&set), form(&set));
            for name in before.iter().step_by(3) {
                let place = set.find(name.as_bytes()).expect("it is there");
                assert_eq!(text(set.at(place)), *name);
                set.take(place);
                assert!(!set.contains(name.as_bytes()), "{what}: {name}");
                assert!(!set.remove(name.as_bytes()), "{what}: {name}");
                set.restore(place.index(), name.as_bytes());
                assert_eq!(set.len(), before.len());
            }
            assert!(!set.contains(b"absent") && !set.contains(b"99999999999"), "{what}");
            let mut after = shown(&set);
            if what == "table" {
                after.sort();
                let mut sorted = before.clone();
                sorted.sort();
                assert_eq!(after, sorted);
            } else {
                assert_eq!(after, before, "{what}");
            }
            assert!(before.iter().all(|name| set.remove(name.as_bytes())), "{what}");
            assert_eq!((set.len(), form(&set)), (0, what), "nothing converts back");
            assert_eq!(set.random(|_| 0), None);
        }
    }

    #[test]
    fn members_of_one_form_are_known_in_another() {
        let ints = of(["1", "-5", "300000"]);
        let mixed = of(["1", "x", "-5"]);
        let known = |a: &Set, b: &Set| a.iter().filter(|member| b.has(*member)).count();
        assert_eq!((known(&ints, &mixed), known(&mixed, &ints)), (2, 2));
        let mut all = Set::new();
        for member in ints.iter().chain(mixed.iter()) {
            all.add_member(member, INTS_MOST);
        }
        assert_eq!(shown(&all), ["-5", "1", "300000", "x"]);
        all.remove_member(Member::Integer(1));
        all.remove_member(Member::Bytes(b"x"));
        assert_eq!(shown(&all), ["-5", "300000"]);
    }

    #[test]
    fn a_union_takes_the_form_its_members_ask_for() {
        let few = |members: [&str; 2]| of(members);
        let mut once_mixed = of(["1", "2", "x"]);
        once_mixed.remove(b"x");
        let mut once_many = numbered("", 600);
        (100..600).for_each(|i| assert!(once_many.remove(i.to_string().as_bytes())));
        let cases = [
            (few(["1", "2"]), few(["2", "3"]), 3, "ints"),
            (few(["1", "2"]), few(["2", "x"]), 3, "packed"),
            (once_mixed, few(["1", "7"]), 3, "ints"),
            (once_many, few(["1", "x"]), 101, "table"),
            (numbered("", 300), of((300..600).map(|i| i.to_string())), 600, "table"),
            (numbered("m", 20), numbered("n", 20), 40, "table"),
            (numbered("m", 300), numbered("m", 310), 310, "table"),
        ];
        for (a, b, len, expected) in cases {
            for sets in [[&a, &b], [&b, &a]] {
                let before = sets.map(shown);
                let views = sets.map(Set::view);
                let mut union = Set::union(&views.each_ref(), INTS_MOST);
                assert_eq!((union.len(), form(&union)), (len, expected), "{before:?}");
                assert!(sets.iter().all(|set| set.iter().all(|member| union.has(member))));
                // What it shares with the largest is its own as soon as it changes.
                for name in before.iter().flatten() {
                    union.remove(name.as_bytes());
                }
                assert_eq!((union.len(), sets.map(shown)), (0, before));
            }
        }
        assert_eq!(Set::union(&[], INTS_MOST).len(), 0);
    }

    #[test]
    fn samples_are_distinct_and_chosen_at_random() {
        let mut random = fastrand::Rng::with_seed(1);
        for set in forms() {
            let all: BTreeSet<String> = shown(&set).into_iter().collect();
            let mut met = BTreeSet::new();
            for count in [0, 1, 5, 29, 30, 31, 299, 1000] {
                let sample = set.sample(count, |bound| random.usize(..bound));
                let names: BTreeSet<String> = sample.into_iter().map(text).collect();
                assert_eq!(names.len(), count.min(set.len()), "{count} of {}", form(&set));
                assert!(names.is_subset(&all));
                met.insert(names);
            }
            let drawn = (0..20_000).filter_map(|_| set.random(|bound| random.usize(..bound)));
            let drawn: BTreeSet<String> = drawn.map(|place| text(set.at(place))).collect();
            assert_eq!(drawn, all, "each is drawn in the end: {}", form(&set));
        }
    }

    #[test]
    fn a_scan_visits_every_member() {
        for set in forms() {
            let (mut seen, mut cursor, mut steps) = (BTreeSet::new(), 0, 0);
            loop {
                cursor = set.scan(Step { cursor, most: 10 }, &mut |member| {
                    seen.insert(text(member));
                });
                steps += 1;
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), set.len());
            assert_eq!(steps > 1, form(&set) == "table");
        }
    }
}

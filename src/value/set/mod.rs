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
use crate::number::{IntText, parse_i64};
use crate::table::{Location, Table, hash};
use member::Stored;
use std::collections::HashSet;

/// A packed set has so many members at most: walking more costs more than the table does.
const PACKED_ENTRIES: usize = 32;
/// And none of them is longer than this.
const PACKED_BYTES: usize = 64;

/// A set. The clone of a large one shares its members until one of the two is changed.
#[derive(Clone)]
pub(crate) struct Set(Form);

#[derive(Clone)]
enum Form {
    Ints(Ints),
    Packed(Packed),
    /// Boxed, lest the many small sets take as much room.
    Table(Box<Table<Stored>>),
}

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

impl From<Ints> for Set {
    fn from(ints: Ints) -> Set {
        Set(Form::Ints(ints))
    }
}

impl Set {
    /// An empty set, without an allocation.
    pub(crate) const fn new() -> Set {
        Set(Form::Ints(Ints::new()))
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

    /// Number of members.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// The integers, if the set is kept as such: "intset".
    pub(crate) fn ints(&self) -> Option<&Ints> {
        match &self.0 {
            Form::Ints(ints) => Some(ints),
            _ => None,
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

    /// Where a member is.
    #[inline]
    pub(crate) fn find(&self, member: &[u8]) -> Option<Place> {
        match &self.0 {
            Form::Ints(ints) => ints.find(parse_i64(member)?).map(Place::Index),
            Form::Packed(packed) => packed.iter().position(|m| m == member).map(Place::Index),
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

    /// Adds a member. Integers are kept as such up to `ints_most` of them.
    pub(crate) fn add(&mut self, member: &[u8], ints_most: usize) -> Added {
        match &mut self.0 {
            Form::Ints(_) => match parse_i64(member) {
                Some(value) => self.add_integer(value, ints_most),
                None => self.convert_and_add(member),
            },
            Form::Packed(packed) => {
                if packed.iter().any(|m| m == member) {
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
                let mut table = Table::new();
                for member in self.iter() {
                    table.insert(member.with_bytes(Stored::new));
                }
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
    pub(crate) fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        match &self.0 {
            Form::Table(table) => {
                table.scan(cursor, &mut |member| visit(Member::Bytes(member.as_bytes())))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }
}

/// A place is only ever used with the set that gave it.
#[cold]
fn foreign() -> ! {
    unreachable!("a place of another set, or of before a change")
}

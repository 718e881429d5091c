//! The commonest changes of small collections, made in the block where they lie; and the commonest
//! look into one.
//!
//! An editor opens a block and closes it again, which costs more than such a change itself. What is
//! of the same length, or has its room in the block, is changed here instead, and recorded as the
//! editor does it; for anything else the editor goes on with what was found so far.

use super::editor::Spot;
use super::journal::{Change, End, Journal};
use super::{Editor, Keyspace, Location};
use crate::error::CommandError;
use crate::value::hash::Hash;
use crate::value::list::{ChunkLimit, List};
use crate::value::packed::{InBlock, Packed};
use crate::value::zset::{self, ZSet};
use crate::value::{Kind, Limits};

impl Keyspace {
    /// Shows the value of a field of the hash a key holds, or that there is none.
    pub(crate) fn show_field(
        &mut self,
        key: &[u8],
        field: &[u8],
        show: impl FnOnce(Option<&[u8]>),
    ) -> Result<(), CommandError> {
        let slot = self.slot(key);
        let Some(entry) = self.entry(slot) else {
            show(None);
            return Ok(());
        };
        if let Some((block, prefix)) = entry.block(Kind::Hash) {
            let hash = Packed::in_block(block, prefix);
            show(hash.find_pair(field).map(|found| hash.at(found.second)));
            return Ok(());
        }
        let hash = entry.collection::<Hash>().ok_or(CommandError::WrongType)?;
        show(hash.get(field));
        Ok(())
    }

    /// Sets a field of the hash a key holds; tells whether it is new.
    pub(crate) fn set_field(
        &mut self,
        key: &[u8],
        field: &[u8],
        value: &[u8],
    ) -> Result<bool, CommandError> {
        let slot = self.slot(key);
        let Some(at) = slot.at else {
            return self
                .edit_new(slot.hash, key, |hash: &mut Editor<'_, Hash>| hash.set(field, value));
        };
        let Keyspace { table, journal, closed, limits, .. } = self;
        let mut spot = Spot::Unknown;
        if let Some((block, prefix)) = table.get_mut(at).block_mut(Kind::Hash)
            && !Hash::too_long(field.len().max(value.len()), limits.hash)
        {
            let mut hash = InBlock::new(block, prefix);
            let journal = journal.unless_covered(key, closed);
            match set_in_block(&mut hash, field, value, journal, key, limits) {
                Ok(is_new) => return Ok(is_new),
                Err(found) => spot = found,
            }
        }
        self.set_at(at, key, spot, field, value)
    }

    #[inline(never)]
    fn set_at(
        &mut self,
        at: Location,
        key: &[u8],
        spot: Spot,
        field: &[u8],
        value: &[u8],
    ) -> Result<bool, CommandError> {
        self.edit_at(at, key, |hash: &mut Editor<'_, Hash>| hash.set_at(spot, field, value))
    }

    /// Adds an element at an end of the list a key holds; returns how many it has then.
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        end: End,
        element: &[u8],
    ) -> Result<usize, CommandError> {
        let slot = self.slot(key);
        let anew = |list: &mut Editor<'_, List>| {
            list.push(end, element);
            list.len()
        };
        let Some(at) = slot.at else { return self.edit_new(slot.hash, key, anew) };
        let Keyspace { table, journal, closed, limits, .. } = self;
        if let Some((block, prefix)) = table.get_mut(at).block_mut(Kind::List) {
            let mut list = InBlock::new(block, prefix);
            if push_in_block(&mut list, end, element, limits.list) {
                let journal = journal.unless_covered(key, closed);
                journal.record(key, |_| Change::Pushed(end));
                return Ok(list.view().len());
            }
        }
        self.edit_at(at, key, anew)
    }

    /// Takes an element off an end of the list a key holds, after it was shown; tells whether there is
    /// such a list.
    pub(crate) fn pop(
        &mut self,
        key: &[u8],
        end: End,
        show: impl FnOnce(&[u8]),
    ) -> Result<bool, CommandError> {
        let Some(at) = self.slot(key).at else { return Ok(false) };
        let Keyspace { table, journal, closed, .. } = self;
        if let Some((block, prefix)) = table.get_mut(at).block_mut(Kind::List) {
            let mut list = InBlock::new(block, prefix);
            let journal = journal.unless_covered(key, closed);
            let at_front = end == End::Left;
            // The last one takes the key with it.
            if list.view().len() > 1
                && let Some(element) = list.droppable(at_front)
            {
                show(element);
                journal.record(key, |j| Change::Popped(end, j.keep(element)));
                let len = element.len();
                list.drop_end(at_front, len);
                return Ok(true);
            }
        }
        self.edit_at(at, key, |list: &mut Editor<'_, List>| list.pop(end, show))
    }

    /// Replaces the element of the list a key holds that `choose` makes of the number of elements;
    /// tells whether there is such an element, none where there is no list.
    pub(crate) fn set_element(
        &mut self,
        key: &[u8],
        choose: impl FnOnce(usize) -> Result<Option<usize>, CommandError>,
        element: &[u8],
    ) -> Result<Option<bool>, CommandError> {
        let Some(at) = self.slot(key).at else { return Ok(None) };
        let Keyspace { table, journal, closed, .. } = self;
        let Some((block, prefix)) = table.get_mut(at).block_mut(Kind::List) else {
            let set = self.edit_at(at, key, |list: &mut Editor<'_, List>| {
                let index = choose(list.len())?;
                Ok(index.is_some_and(|index| list.set(index, element)))
            });
            return set?.map(Some);
        };
        let mut list = InBlock::new(block, prefix);
        let Some(index) = choose(list.view().len())? else { return Ok(Some(false)) };
        let Some(position) = list.view().position(index) else { return Ok(Some(false)) };
        match list.at(position) {
            Some(old) if old.len() == element.len() => {
                let journal = journal.unless_covered(key, closed);
                journal.record(key, |j| Change::Element { index, old: j.keep(old) });
                old.copy_from_slice(element);
                Ok(Some(true))
            }
            _ => self
                .edit_at(at, key, |list: &mut Editor<'_, List>| list.set(index, element))
                .map(Some),
        }
    }

    /// Gives a member of the sorted set a key holds the score that `decide` makes of the one it has,
    /// if any; where it gives none, nothing changes.
    pub(crate) fn update_score(
        &mut self,
        key: &[u8],
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Result<(), CommandError> {
        let slot = self.slot(key);
        let Some(at) = slot.at else {
            return self.edit_new(slot.hash, key, |zset: &mut Editor<'_, ZSet>| {
                zset.update(member, decide);
            });
        };
        let Keyspace { table, journal, closed, .. } = self;
        let Some((block, prefix)) = table.get_mut(at).block_mut(Kind::ZSet) else {
            return self.edit_at(at, key, |zset: &mut Editor<'_, ZSet>| {
                zset.update(member, decide);
            });
        };
        let mut zset = zset::InBlock::new(block, prefix);
        let Some(found) = zset.find(member) else {
            return match decide(None) {
                Some(score) => self.add_member(at, key, member, score),
                None => Ok(()),
            };
        };
        if let Some(score) = decide(Some(found.score)) {
            // As the editor has it, zero has no sign in a small set.
            zset.set(&found, member, score + 0.0);
            let journal = journal.unless_covered(key, closed);
            journal.record_score(key, member, Some(found.score));
        }
        Ok(())
    }

    #[inline(never)]
    fn add_member(
        &mut self,
        at: Location,
        key: &[u8],
        member: &[u8],
        score: f64,
    ) -> Result<(), CommandError> {
        self.edit_at(at, key, |zset: &mut Editor<'_, ZSet>| zset.add(member, score))
    }
}

/// Sets a field of a small hash and tells whether it is new, or where it is if that takes another
/// block.
#[inline(always)]
fn set_in_block(
    hash: &mut InBlock<'_>,
    field: &[u8],
    value: &[u8],
    journal: &mut Journal,
    key: &[u8],
    limits: &Limits,
) -> Result<bool, Spot> {
    let view = hash.view();
    let (found, is_full) = (view.find_pair(field), view.len() / 2 >= limits.hash.entries);
    match found {
        Some(found) => match hash.at(found.second) {
            Some(old) if old.len() == value.len() => {
                journal.record_field(key, field, Some(old));
                old.copy_from_slice(value);
                Ok(false)
            }
            _ => Err(Spot::Known(Some(found))),
        },
        None if !is_full && hash.append([field, value]) => {
            journal.record_field(key, field, None);
            Ok(true)
        }
        None => Err(Spot::Known(None)),
    }
}

/// Adds an element at an end of a small list; false if that takes another block.
#[inline(always)]
fn push_in_block(list: &mut InBlock<'_>, end: End, element: &[u8], limit: ChunkLimit) -> bool {
    limit.admits(&list.view(), element.len())
        && match end {
            End::Left => list.push_front(element),
            End::Right => list.append([element]),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::keyspace::Random;

    /// The kind of what a key holds is its first letter.
    const KEYS: [&str; 6] = ["hash", "h", "list", "l", "zset", "z"];

    /// What the keys hold, in which form, as text.
    fn shown(keys: &mut Keyspace) -> Vec<String> {
        let show = |key: &&str| match &key[..1] {
            "h" => match keys.read::<Hash>(key.as_bytes()).unwrap() {
                Some(hash) => {
                    let mut pairs: Vec<_> = hash.iter().collect();
                    if !hash.is_packed() {
                        pairs.sort();
                    }
                    format!("{} {pairs:?}", hash.is_packed())
                }
                None => String::new(),
            },
            "l" => match keys.read::<List>(key.as_bytes()).unwrap() {
                Some(list) => format!("{:?}", list.iter().collect::<Vec<_>>()),
                None => String::new(),
            },
            _ => match keys.read::<ZSet>(key.as_bytes()).unwrap() {
                Some(zset) => format!("{} {:?}", zset.is_packed(), zset.iter().collect::<Vec<_>>()),
                None => String::new(),
            },
        };
        KEYS.iter().map(show).collect()
    }

    /// A text: one of few names, mostly, lest all are new.
    fn text(random: &mut Random) -> Vec<u8> {
        match random.below(40) {
            0 => vec![b'x'; 60 + random.below(8)],
            1 => vec![b'y'; 100 + random.below(500)],
            n if n < 20 => n.to_string().into_bytes(),
            n => vec![n as u8; random.below(12)],
        }
    }

    /// Makes a random change in place, and by an editor to other keys, which must answer the same.
    fn change(places: &mut Keyspace, editors: &mut Keyspace, random: &mut Random) {
        let key = KEYS[random.below(KEYS.len())];
        let (name, a, b) = (key.as_bytes(), text(random), text(random));
        let end = if random.below(2) == 0 { End::Left } else { End::Right };
        match (&key[..1], random.below(5)) {
            ("h", 0) => {
                let remove = |hash: &mut Editor<'_, Hash>| hash.remove(&a);
                assert_eq!(places.edit(name, remove), editors.edit(name, remove));
            }
            ("h", _) => {
                let set = |hash: &mut Editor<'_, Hash>| hash.set(&a, &b);
                assert_eq!(places.set_field(name, &a, &b), editors.edit(name, set));
            }
            ("l", 0..2) => {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                let popped = places.pop(name, end, |element| one = element.to_vec());
                let pop =
                    |list: &mut Editor<'_, List>| list.pop(end, |element| other = element.to_vec());
                assert_eq!(popped, editors.edit_existing(name, pop).map(|it| it.is_some()));
                assert_eq!(one, other);
            }
            ("l", 2) => {
                let index = random.below(12);
                let choose = |len: usize| match index {
                    11 => Err(CommandError::NotInteger),
                    index => Ok((index < 10).then_some(len.saturating_sub(index))),
                };
                let set = |list: &mut Editor<'_, List>| {
                    let index = choose(list.len())?;
                    Ok(index.is_some_and(|index| list.set(index, &a)))
                };
                let edited = editors.edit_existing(name, set).unwrap().transpose();
                assert_eq!(places.set_element(name, choose, &a), edited);
            }
            ("l", _) => {
                let push = |list: &mut Editor<'_, List>| {
                    list.push(end, &a);
                    list.len()
                };
                assert_eq!(places.push(name, end, &a), editors.edit(name, push));
            }
            (_, 0) => {
                let remove = |zset: &mut Editor<'_, ZSet>| zset.remove(&a);
                assert_eq!(places.edit(name, remove), editors.edit(name, remove));
            }
            _ => {
                let score = random.below(9) as f64 - 4.0;
                let decide = |old: Option<f64>| match old {
                    Some(old) if old == score => None,
                    Some(old) if old > 2.0 => Some(-0.0),
                    _ => Some(score),
                };
                let update = |zset: &mut Editor<'_, ZSet>| zset.update(&a, decide);
                assert_eq!(places.update_score(name, &a, decide), editors.edit(name, update));
            }
        }
    }

    fn keyspace() -> Keyspace {
        let mut keys = Keyspace::new(Now::manual(1_700_000_000_000), 1);
        let mut limits = *keys.limits();
        (limits.hash.entries, limits.zset.entries) = (30, 30);
        keys.set_limits(limits);
        keys
    }

    #[test]
    fn changes_in_place_are_those_of_an_editor_and_are_undone_like_them() {
        for seed in 0..60 {
            let mut random = Random(fastrand::Rng::with_seed(seed));
            let (mut places, mut editors) = (keyspace(), keyspace());
            for _ in 0..60 {
                let before = shown(&mut places);
                let (outer, other) = (places.begin(), editors.begin());
                // What goes on from a savepoint is undone by itself.
                let mut middle = None;
                for step in 0..1 + random.below(40) {
                    if step == 9 {
                        middle = Some((shown(&mut places), places.begin(), editors.begin()));
                    }
                    change(&mut places, &mut editors, &mut random);
                    assert_eq!(shown(&mut places), shown(&mut editors));
                }
                if let Some((then, section, other)) = middle {
                    places.rollback(section);
                    editors.rollback(other);
                    assert_eq!((shown(&mut places), shown(&mut editors)), (then.clone(), then));
                }
                if random.below(2) == 0 {
                    places.rollback(outer);
                    editors.rollback(other);
                    assert_eq!(shown(&mut places), before);
                } else {
                    places.commit(outer);
                    editors.commit(other);
                }
                assert_eq!(shown(&mut places), shown(&mut editors));
                change(&mut places, &mut editors, &mut random);
            }
        }
    }

    #[test]
    fn a_snapshot_keeps_what_is_changed_in_place() {
        let mut keys = keyspace();
        keys.set_field(b"h", b"field", b"old").unwrap();
        keys.push(b"l", End::Right, b"element").unwrap();
        keys.push(b"l", End::Right, b"second").unwrap();
        keys.update_score(b"z", b"member", |_| Some(1.0)).unwrap();
        let before = shown(&mut keys);
        let table = keys.table.clone();
        keys.set_field(b"h", b"field", b"new").unwrap();
        keys.push(b"l", End::Right, b"e").unwrap();
        assert_eq!(keys.set_element(b"l", |_| Ok(Some(1)), b"SECOND"), Ok(Some(true)));
        keys.update_score(b"z", b"member", |_| Some(2.0)).unwrap();
        assert_ne!(shown(&mut keys), before);
        keys.table = table;
        assert_eq!(shown(&mut keys), before);
    }

    #[test]
    fn another_type_is_refused() {
        let mut keys = keyspace();
        keys.push(b"l", End::Left, b"element").unwrap();
        assert_eq!(keys.set_field(b"l", b"f", b"v"), Err(CommandError::WrongType));
        assert_eq!(keys.update_score(b"l", b"m", |_| Some(1.0)), Err(CommandError::WrongType));
        keys.set_field(b"h", b"f", b"v").unwrap();
        assert_eq!(keys.push(b"h", End::Left, b"e"), Err(CommandError::WrongType));
        assert_eq!(keys.pop(b"h", End::Left, |_| ()), Err(CommandError::WrongType));
        assert_eq!(keys.set_element(b"h", |_| Ok(Some(0)), b"e"), Err(CommandError::WrongType));
        assert_eq!(keys.set_element(b"none", |_| Ok(Some(0)), b"e"), Ok(None));
        assert_eq!(keys.pop(b"none", End::Left, |_| ()), Ok(false));
    }
}

//! Sorted sets: members and scores in turn, one by one or packed.

use super::listpack::Listpack;
use super::read::{Element, Marks, Packing, Reader, Room, check_distinct, pairs};
use super::write::Writer;
use super::{kind, listpack};
use crate::number::{F64Text, parse_f64};
use crate::value::listpack::{COUNT_UNKNOWN, elements};
use crate::value::zset::{PackedLimits, ZSet, ZSetView};
use crate::value::{Collection, Value};

/// Scores beyond this are written as text even if they are integers.
const INTEGER_SCORE_MOST: f64 = (i64::MAX / 2) as f64;

/// Writes a sorted set: one listpack while it is small, members one by one from the highest score
/// down otherwise, as that is how Redis best takes them.
pub(super) fn write(out: &mut Writer, zset: &ZSetView<'_>) {
    if zset.is_packed() {
        out.byte(kind::ZSET_LISTPACK);
        out.packed(|out| {
            let mut packed = listpack::Builder::new(out, 0);
            for (member, score) in zset.range(0, usize::MAX) {
                packed.push(member);
                push_score(&mut packed, score);
            }
            packed.finish();
        });
        return;
    }
    out.byte(kind::ZSET_2);
    out.length(zset.len());
    for (member, score) in zset.range(0, usize::MAX).rev() {
        out.string(member);
        out.bytes(&score.to_le_bytes());
    }
}

/// An integer, or text. Zero with a sign, which only older versions packed, stays as they wrote it.
fn push_score(packed: &mut listpack::Builder<'_>, score: f64) {
    let integer = score as i64;
    let is_integer = (integer as f64).to_bits() == score.to_bits();
    if score.abs() <= INTEGER_SCORE_MOST && is_integer {
        packed.push_integer(integer);
    } else {
        packed.push(F64Text::new(score).as_bytes());
    }
}

/// Scores are integers of a few bytes, as a rule, and take eight here: so many bytes more, at most,
/// that is given room for beforehand.
const SCORES_ROOM: usize = 512;

/// A sorted set that is being read.
struct Builder {
    zset: ZSet,
    /// Of the members, while the set is small.
    marks: Marks,
    /// The highest score so far.
    highest: f64,
    limits: PackedLimits,
}

impl Builder {
    fn new(limits: PackedLimits) -> Builder {
        Builder { zset: ZSet::new(), marks: Marks::new(), highest: f64::NEG_INFINITY, limits }
    }

    /// Adds a member, which must not be there yet. That is only seen in the large form; the small
    /// one is looked through once it is complete.
    fn add(&mut self, member: &[u8], score: f64) -> Option<()> {
        if self.zset.is_packed() {
            self.marks.add(member);
        }
        // They mostly come in order.
        let is_new = if score > self.highest {
            self.highest = score;
            self.zset.append_behind(member, score)
        } else {
            self.zset.append(member, score)
        };
        is_new.then_some(())
    }

    /// Goes over to the large form if another member of this length asks for it.
    fn make_room(&mut self, member_len: usize) -> Option<()> {
        if self.zset.must_unpack(member_len, self.limits) {
            self.check_members()?;
            self.zset.unpack();
        }
        Some(())
    }

    fn check_members(&self) -> Option<()> {
        if !self.marks.clash() {
            return Some(());
        }
        check_distinct(self.all().map(|(member, _)| member))
    }

    fn all(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.zset.range(0, usize::MAX)
    }

    /// The sorted set, unless it is empty, which none may be, or a member is there twice.
    fn finish(self) -> Option<Value> {
        if self.zset.is_packed() {
            self.check_members()?;
        }
        (!Collection::is_empty(&self.zset)).then_some(Value::ZSet(self.zset))
    }
}

/// Members one by one, each with what `score` reads.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    limits: PackedLimits,
    score: fn(&mut Reader<'a>) -> Option<f64>,
) -> Option<Value> {
    let mut builder = Builder::new(limits);
    for _ in 0..reader.count()? {
        let (member, score) = (reader.string()?, score(reader)?);
        builder.make_room(member.as_bytes().len())?;
        builder.add(member.as_bytes(), score)?;
    }
    // In the small form zero has no sign, and it is known only now which form it is.
    if builder.zset.is_packed() && builder.all().any(|(_, score)| score == 0.0) {
        let mut unsigned = Builder::new(limits);
        builder.all().try_for_each(|(member, score)| unsigned.add(member, score + 0.0))?;
        builder = unsigned;
    }
    builder.finish()
}

/// A ziplist or a listpack. It may hold longer members than would be packed today: Redis unpacks
/// it for their number only.
pub(super) fn read_packed<P: Packing>(
    reader: &mut Reader<'_>,
    limits: PackedLimits,
) -> Option<Value> {
    let mut room = Room::new();
    unpack::<P>(reader.packed(&mut room)?, limits)
}

/// The same of a listpack, which stays packed unless its members are too many. Its entries are in
/// order, as a rule.
pub(super) fn read_listpack(reader: &mut Reader<'_>, limits: PackedLimits) -> Option<Value> {
    let mut room = Room::new();
    let packed = reader.packed(&mut room)?;
    let (elements, told) = elements(packed)?;
    let mut marks = Marks::new();
    let in_order = match told {
        COUNT_UNKNOWN => None,
        told if usize::from(told) / 2 > limits.entries => None,
        _ => ZSet::of_listpack(elements, score_of, |member| marks.add_element(member)),
    };
    let Some(zset) = in_order.filter(|zset| !marks.clash() && zset.len() * 2 == usize::from(told))
    else {
        return unpack::<Listpack>(packed, limits);
    };
    (!Collection::is_empty(&zset)).then_some(Value::ZSet(zset))
}

/// The score that an element stands for.
#[inline]
fn score_of(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Integer(score) => Some(score as f64),
        Element::Bytes(text) => parse_f64(text),
    }
}

fn unpack<P: Packing>(packed: &[u8], limits: PackedLimits) -> Option<Value> {
    let mut builder = Builder::new(limits);
    builder.zset.reserve(packed.len() + packed.len().min(SCORES_ROOM));
    pairs::<P>(packed, |member, score| {
        builder.make_room(0)?;
        let score = score_of(score)?;
        member.with_bytes(|member| builder.add(member, score))
    })?;
    builder.finish()
}

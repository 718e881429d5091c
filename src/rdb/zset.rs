//! Sorted sets: members and scores in turn, one by one or packed.

use super::read::{Elements, Reader, Text};
use super::write::Writer;
use super::{kind, listpack};
use crate::number::{F64Text, parse_f64};
use crate::value::Value;
use crate::value::zset::{PackedLimits, ZSet};

/// Scores beyond this are written as text even if they are integers.
const INTEGER_SCORE_MOST: f64 = (i64::MAX / 2) as f64;

/// Writes a sorted set: one listpack while it is small, members one by one from the highest score
/// down otherwise, as that is how Redis best takes them.
pub(super) fn write(out: &mut Writer, zset: &ZSet) {
    if zset.is_packed() {
        let mut packed = listpack::Builder::new();
        for (member, score) in zset.range(0, usize::MAX) {
            packed.push(member);
            push_score(&mut packed, score);
        }
        out.byte(kind::ZSET_LISTPACK);
        out.string(&packed.finish());
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
fn push_score(packed: &mut listpack::Builder, score: f64) {
    let integer = score as i64;
    let is_integer = (integer as f64).to_bits() == score.to_bits();
    if score.abs() <= INTEGER_SCORE_MOST && is_integer {
        packed.push_integer(integer);
    } else {
        packed.push(F64Text::new(score).as_bytes());
    }
}

/// Members one by one, each with what `score` reads.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    limits: PackedLimits,
    score: fn(&mut Reader<'a>) -> Option<f64>,
) -> Option<Value> {
    let mut zset = ZSet::new();
    for _ in 0..reader.count()? {
        let (member, score) = (reader.string()?, score(reader)?);
        let member = member.as_bytes();
        if zset.must_unpack(member.len(), limits) {
            zset.unpack();
        }
        add(&mut zset, member, score)?;
    }
    // In the small form zero has no sign, and it is known only now which form it is.
    not_empty(if zset.is_packed() { without_signed_zeros(zset) } else { zset })
}

fn without_signed_zeros(zset: ZSet) -> ZSet {
    let is_signed = |(_, score): (&[u8], f64)| score == 0.0 && score.is_sign_negative();
    if !zset.range(0, usize::MAX).any(is_signed) {
        return zset;
    }
    let mut plain = ZSet::new();
    for (member, score) in zset.range(0, usize::MAX) {
        plain.set(member, score + 0.0);
    }
    plain
}

/// A ziplist or a listpack. It may hold longer members than would be packed today: Redis unpacks
/// it for their number only.
pub(super) fn read_packed(
    reader: &mut Reader<'_>,
    limits: PackedLimits,
    elements: Elements,
) -> Option<Value> {
    let mut zset = ZSet::new();
    let mut member: Option<Text<'_>> = None;
    let packed = reader.string()?;
    elements(packed.as_bytes(), &mut |text| match member.take() {
        Some(member) => {
            if zset.must_unpack(0, limits) {
                zset.unpack();
            }
            add(&mut zset, member.as_bytes(), parse_f64(text.as_bytes())?)
        }
        None => {
            member = Some(text);
            Some(())
        }
    })?;
    if member.is_some() {
        return None;
    }
    not_empty(zset)
}

/// Adds a member, which must not be there yet.
fn add(zset: &mut ZSet, member: &[u8], score: f64) -> Option<()> {
    zset.set(member, score).is_none().then_some(())
}

/// The sorted set, unless it is empty, which none may be.
fn not_empty(zset: ZSet) -> Option<Value> {
    (zset.len() > 0).then_some(Value::ZSet(zset))
}

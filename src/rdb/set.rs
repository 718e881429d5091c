//! Sets: members one by one, or integers side by side.

use super::kind;
use super::read::{Marks, Reader};
use super::write::Writer;
use crate::number::IntText;
use crate::value::set::{Added, Ints, Set, SetView};
use crate::value::{Collection, Value};

/// Writes a set: integers in one string while they are kept as such, members one by one otherwise.
pub(super) fn write(out: &mut Writer, set: &SetView<'_>) {
    let Some(ints) = set.ints() else {
        out.byte(kind::SET);
        out.length(set.len());
        set.iter().for_each(|member| member.with_bytes(|bytes| out.string(bytes)));
        return;
    };
    out.byte(kind::SET_INTSET);
    out.packed(|packed| {
        packed.extend_from_slice(&(ints.width() as u32).to_le_bytes());
        packed.extend_from_slice(&(ints.len() as u32).to_le_bytes());
        packed.extend_from_slice(ints.live());
    });
}

/// Room for so many bytes is made beforehand, if there are as many to be read.
const ROOM_MOST: usize = 512;

/// Members one by one.
pub(super) fn read(reader: &mut Reader<'_>, ints_most: usize) -> Option<Value> {
    let (mut set, mut marks) = (Set::new(), Marks::new());
    for at in 0..reader.count()? {
        let text = reader.string()?;
        let member = text.as_bytes();
        let added = match marks.mark(member) {
            true => set.add_new(member, ints_most),
            false => set.add(member, ints_most),
        };
        if let Added::Present = added {
            return None;
        }
        if at == 0 {
            set.reserve(reader.len().min(ROOM_MOST));
        }
    }
    not_empty(set)
}

/// Integers side by side, behind their width and their number.
pub(super) fn read_ints(reader: &mut Reader<'_>, ints_most: usize) -> Option<Value> {
    let packed = reader.string()?;
    let mut reader = Reader::new(packed.as_bytes());
    let width = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let count = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let ints = Ints::from_bytes(width, reader.take(reader.len())?)?;
    if ints.len() != count {
        return None;
    }
    if count <= ints_most {
        return not_empty(Set::from(ints));
    }
    let mut set = Set::new();
    ints.iter().try_for_each(|value| add(&mut set, IntText::new(value).as_bytes(), ints_most))?;
    not_empty(set)
}

/// Adds a member, which must not be there yet.
fn add(set: &mut Set, member: &[u8], ints_most: usize) -> Option<()> {
    match set.add(member, ints_most) {
        Added::Present => None,
        Added::Placed | Added::Converted(_) => Some(()),
    }
}

/// The set, unless it is empty, which none may be.
fn not_empty(set: Set) -> Option<Value> {
    (!set.is_empty()).then_some(Value::Set(set))
}

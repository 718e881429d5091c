//! List commands.

use super::args::{Args, clamp_range, from_end};
use super::context::Context;
use super::keyspec::{specs, uses};
use super::range::{count, pop_count};
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Command, Family, Flags, Group, Keys};
use super::spec::{keyless, one_key as row};
use crate::clients::{Event, words};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, End};
use crate::number::parse_i64;
use crate::value::Storage;
use crate::value::list::List;
use smallvec::SmallVec;

const READ: Flags = Flags::READONLY;
const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM);
const ADD_FAST: Flags = ADD.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

/// The same row with two keys, the first two arguments.
const fn with_two_keys(command: Command) -> Command {
    Command { keys: Keys::FIRST_TWO, ..command }
}

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::List,
    commands: &[
        row("lindex", Exactly(3), READ, "1.0.0", "O(N) in chunks to the nearer end",
            "The element at an index.", lindex),
        row("linsert", Exactly(5), ADD, "2.2.0", "O(N) in elements before the pivot",
            "Inserts an element next to another.", linsert).uses(uses::RW_INSERT),
        row("llen", Exactly(2), READ.and(Flags::FAST), "1.0.0", "O(1)",
            "The number of elements.", llen).uses(uses::RO),
        with_two_keys(row("lmove", Exactly(5), ADD, "6.2.0", "O(1)",
            "Moves an element from an end of one list to an end of another.", lmove)
            .specs(specs::TAKE_AND_PUT)),
        keyless("lmpop", AtLeast(4), Flags::WRITE.and(Flags::MOVABLEKEYS), "7.0.0",
            "O(N + M) for N keys and M elements taken",
            "Takes elements off the first of some lists that exists.", lmpop)
            .specs(specs::TAKE_COUNTED),
        row("lpop", AtLeast(2), WRITE_FAST, "1.0.0", "O(1) per element",
            "Takes elements off the head.", lpop).uses(uses::RW_ACCESS_DELETE),
        row("lpos", AtLeast(3), READ, "6.0.6", "O(N) in elements looked at",
            "The indices of the elements equal to one.", lpos),
        row("lpush", AtLeast(3), ADD_FAST, "1.0.0", "O(1) per element",
            "Adds elements at the head.", lpush).uses(uses::RW_INSERT),
        row("lpushx", AtLeast(3), ADD_FAST, "2.2.0", "O(1) per element",
            "Adds elements at the head of a list that exists.", lpushx).uses(uses::RW_INSERT),
        row("lrange", Exactly(4), READ, "1.0.0", "O(N) in elements returned",
            "The elements between two indices.", lrange),
        row("lrem", Exactly(4), Flags::WRITE, "1.0.0", "O(N) in elements",
            "Removes the elements equal to one.", lrem).uses(uses::RW_DELETE),
        row("lset", Exactly(4), ADD, "1.0.0", "O(N) in chunks to the nearer end",
            "Replaces the element at an index.", lset),
        row("ltrim", Exactly(4), Flags::WRITE, "1.0.0", "O(N) in chunks removed",
            "Removes all elements but those between two indices.", ltrim).uses(uses::RW_DELETE),
        row("rpop", AtLeast(2), WRITE_FAST, "1.0.0", "O(1) per element",
            "Takes elements off the tail.", rpop).uses(uses::RW_ACCESS_DELETE),
        with_two_keys(row("rpoplpush", Exactly(3), ADD, "1.2.0", "O(1)",
            "Moves an element from the tail of one list to the head of another.", rpoplpush)
            .specs(specs::TAKE_AND_PUT)),
        row("rpush", AtLeast(3), ADD_FAST, "1.0.0", "O(1) per element",
            "Adds elements at the tail.", rpush).uses(uses::RW_INSERT),
        row("rpushx", AtLeast(3), ADD_FAST, "2.2.0", "O(1) per element",
            "Adds elements at the tail of a list that exists.", rpushx).uses(uses::RW_INSERT),
    ],
};

fn lpush(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(cx, args, End::Left)
}

fn rpush(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push(cx, args, End::Right)
}

fn push(cx: &mut Context<'_>, mut args: Args<'_>, end: End) -> CommandResult {
    let key = args.key()?;
    let len = match args.rest() {
        [element] => cx.keys.push(key, end, element)?,
        elements => cx.keys.edit(key, |list| push_all(list, end, elements))?,
    };
    cx.event(push_event(end), key);
    cx.reply.count(len);
    Ok(())
}

fn lpushx(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push_existing(cx, args, End::Left)
}

fn rpushx(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    push_existing(cx, args, End::Right)
}

fn push_existing(cx: &mut Context<'_>, mut args: Args<'_>, end: End) -> CommandResult {
    let key = args.key()?;
    let len = cx.keys.edit_existing(key, |list| push_all(list, end, args.rest()))?;
    if len.is_some() {
        cx.event(push_event(end), key);
    }
    cx.reply.count(len.unwrap_or(0));
    Ok(())
}

/// What is told of a push.
fn push_event(end: End) -> Event {
    match end {
        End::Left => Event::LPUSH,
        End::Right => Event::RPUSH,
    }
}

/// What is told of a pop.
pub(super) fn pop_event(end: End) -> Event {
    match end {
        End::Left => Event::LPOP,
        End::Right => Event::RPOP,
    }
}

/// What stands for a pop from an end.
pub(super) fn pop_command(end: End) -> &'static [u8] {
    match end {
        End::Left => words::LPOP,
        End::Right => words::RPOP,
    }
}

/// Adds elements at an end, one after the other; returns how many the list has then.
fn push_all(list: &mut Editor<'_, List>, end: End, elements: &[&[u8]]) -> usize {
    if elements.len() > 1 && end == End::Right {
        list.make_room_for(elements.iter().copied());
    }
    elements.iter().for_each(|element| list.push(end, element));
    list.len()
}

fn lpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(cx, args, End::Left)
}

fn rpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop(cx, args, End::Right)
}

fn pop(cx: &mut Context<'_>, mut args: Args<'_>, end: End) -> CommandResult {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(args.arity_error());
    }
    if args.is_empty() {
        match cx.keys.pop(key, end, |element| cx.reply.bulk(element))? {
            true => cx.event_of_taking(pop_event(end), key),
            false => cx.reply.null(),
        }
        return Ok(());
    }
    let most = count(&mut args, CommandError::NotPositive)?;
    pop_many(cx, key, most, end).map(drop)
}

/// Takes so many elements off an end. They leave as a range, which is not copied for undoing.
fn pop_many(
    cx: &mut Context<'_>,
    key: &[u8],
    most: usize,
    end: End,
) -> Result<usize, CommandError> {
    let popped = cx.keys.edit_existing(key, |list: &mut Editor<'_, List>| {
        let count = most.min(list.len());
        let at = if end == End::Left { 0 } else { list.len() - count };
        cx.reply.array(count);
        let mut elements = list.range(at, count);
        while let Some(element) = next_from(&mut elements, end) {
            cx.reply.bulk(element);
        }
        list.remove_range(at, count);
        count
    })?;
    match popped {
        None => cx.reply.null_array(),
        Some(_) if most > 0 => cx.event_of_taking(pop_event(end), key),
        Some(_) => (),
    }
    Ok(popped.unwrap_or(0))
}

fn lmpop(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pop = FirstPop::parse(args)?;
    if !pop.run(cx)? {
        cx.reply.null_array();
    }
    Ok(())
}

/// What is asked of LMPOP: so many elements at most, off an end of the first list that exists.
pub(super) struct FirstPop<'a> {
    pub(super) keys: &'a [&'a [u8]],
    end: End,
    most: usize,
}

impl<'a> FirstPop<'a> {
    pub(super) fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let (keys, end) = (args.counted_keys()?, list_end(&mut args)?);
        Ok(FirstPop { keys, end, most: pop_count(args)? })
    }

    /// Answers with the elements; false if there is no list, and then no answer.
    pub(super) fn run(&self, cx: &mut Context<'_>) -> Result<bool, CommandError> {
        cx.take_first(self.keys, |cx, key| {
            if cx.keys.read::<List>(key)?.is_none() {
                return Ok(false);
            }
            cx.reply.array(2);
            cx.reply.bulk(key);
            let popped = pop_many(cx, key, self.most, self.end)?;
            cx.effect_of_pops(pop_command(self.end), key, popped);
            Ok(true)
        })
    }
}

/// The next element of a walk that begins at an end.
fn next_from<I: DoubleEndedIterator>(elements: &mut I, end: End) -> Option<I::Item> {
    match end {
        End::Left => elements.next(),
        End::Right => elements.next_back(),
    }
}

fn llen(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let list = cx.keys.read::<List>(args.key()?)?;
    cx.reply.count(list.as_ref().map_or(0, List::len));
    Ok(())
}

/// An index argument that may count from the end, where a list has it; none before its start.
fn index_in(text: &[u8], len: usize) -> Result<Option<usize>, CommandError> {
    let index = parse_i64(text).ok_or(CommandError::NotInteger)?;
    Ok(usize::try_from(from_end(index, len)).ok())
}

/// The index is read after the key was looked up: for a missing key any text will do, as in
/// Redis.
fn lindex(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, index) = (args.key()?, args.next()?);
    let Some(list) = cx.keys.read::<List>(key)? else {
        cx.reply.null();
        return Ok(());
    };
    let index = index_in(index, list.len())?;
    cx.reply.bulk_or_null(index.and_then(|index| list.get(index)));
    Ok(())
}

/// As in LINDEX, the key is looked at first.
fn lset(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, index, element) = (args.key()?, args.next()?, args.next()?);
    let set = cx.keys.set_element(key, |len| index_in(index, len), element)?;
    match set.ok_or(CommandError::NoSuchKey)? {
        true => {
            cx.event(Event::LSET, key);
            cx.reply.ok();
        }
        false => return Err(CommandError::IndexOutOfRange),
    }
    Ok(())
}

fn lrange(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, start, stop) = (args.key()?, args.integer()?, args.integer()?);
    let Some(list) = cx.keys.read::<List>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let (at, count) = clamp_range(start, stop, list.len());
    cx.reply.array(count);
    list.range(at, count).for_each(|element| cx.reply.bulk(element));
    Ok(())
}

fn ltrim(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, start, stop) = (args.key()?, args.integer()?, args.integer()?);
    let trimmed = cx.keys.edit_existing(key, |list: &mut Editor<'_, List>| {
        let len = list.len();
        let (at, count) = clamp_range(start, stop, len);
        list.remove_range(at + count, len - at - count);
        list.remove_range(0, at);
        count < len
    })?;
    if let Some(any) = trimmed {
        // Though nothing may be gone.
        cx.keys.touch_key(key);
        match any {
            true => cx.event_of_taking(Event::LTRIM, key),
            false => cx.keys.notify_beside(Event::LTRIM, key),
        }
    }
    cx.reply.ok();
    Ok(())
}

fn linsert(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let after = args.take_word("after");
    if !after && !args.take_word("before") {
        return Err(CommandError::Syntax);
    }
    let (pivot, element) = (args.next()?, args.next()?);
    let len = cx.keys.edit_existing(key, |list: &mut Editor<'_, List>| {
        let Some(index) = list.iter().position(|found| found == pivot) else { return -1 };
        list.insert(index + usize::from(after), element);
        list.len() as i64
    })?;
    if len.is_some_and(|len| len > 0) {
        cx.event(Event::LINSERT, key);
    }
    cx.reply.integer(len.unwrap_or(0));
    Ok(())
}

/// Which of the elements looked at, from an end, are equal to one: their indices.
fn positions(
    list: &List<impl Storage>,
    element: &[u8],
    end: End,
    looked_at: usize,
) -> impl Iterator<Item = usize> {
    let len = list.len();
    let mut elements = list.iter();
    std::iter::from_fn(move || next_from(&mut elements, end))
        .take(looked_at)
        .enumerate()
        .filter(move |&(_, found)| found == element)
        .map(move |(step, _)| if end == End::Left { step } else { len - 1 - step })
}

fn lrem(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, count, element) = (args.key()?, args.integer()?, args.next()?);
    let end = if count < 0 { End::Right } else { End::Left };
    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed = cx.keys.edit_existing(key, |list: &mut Editor<'_, List>| {
        let mut found: Vec<usize> = positions(list, element, end, usize::MAX).take(most).collect();
        if end == End::Left {
            found.reverse();
        }
        remove_positions(list, &found);
        found.len()
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.event_of_taking(Event::LREM, key);
    }
    cx.reply.count(removed.unwrap_or(0));
    Ok(())
}

/// Removes the elements at descending indices, neighbours at once. From the back, so that what
/// was removed does not move what is still to be.
fn remove_positions(list: &mut Editor<'_, List>, descending: &[usize]) {
    for run in descending.chunk_by(|&index, &before| before + 1 == index) {
        if let Some(&first) = run.last() {
            list.remove_range(first, run.len());
        }
    }
}

/// The options of LPOS.
struct PosOptions {
    /// From which match on, counted from 1.
    rank: u64,
    /// From which end.
    end: End,
    /// How many matches; none asks for a single one outside an array.
    count: Option<usize>,
    /// How many elements to look at.
    looked_at: usize,
}

fn pos_options(mut args: Args<'_>) -> Result<PosOptions, CommandError> {
    let (mut rank, mut most, mut looked_at) = (1, None, 0);
    while !args.is_empty() {
        if args.take_word("rank") {
            rank = rank_option(&mut args)?;
        } else if args.take_word("count") {
            most = Some(count(&mut args, CommandError::text("ERR COUNT can't be negative"))?);
        } else if args.take_word("maxlen") {
            looked_at = count(&mut args, CommandError::text("ERR MAXLEN can't be negative"))?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    // Redis negates the rank, which leaves the lowest one as it is, below every match: all from
    // the first on are found, however few were asked for.
    if rank == i64::MIN {
        (rank, most) = (-1, most.map(|_| 0));
    }
    Ok(PosOptions {
        rank: rank.unsigned_abs(),
        end: if rank < 0 { End::Right } else { End::Left },
        count: most.map(or_all),
        looked_at: or_all(looked_at),
    })
}

fn rank_option(args: &mut Args<'_>) -> Result<i64, CommandError> {
    match args.integer()? {
        0 => Err(CommandError::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
        )),
        rank => Ok(rank),
    }
}

/// A limit, of which 0 means none.
fn or_all(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

fn lpos(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, element) = (args.key()?, args.next()?);
    let options = pos_options(args)?;
    let list = cx.keys.read::<List>(key)?;
    let found =
        list.iter().flat_map(|list| positions(list, element, options.end, options.looked_at));
    let mut found = found.skip((options.rank - 1) as usize);
    let Some(count) = options.count else {
        match found.next() {
            Some(index) => cx.reply.count(index),
            None => cx.reply.null(),
        }
        return Ok(());
    };
    let start = cx.reply.mark();
    cx.reply.array(0);
    let shown = found.take(count).map(|index| cx.reply.count(index)).count();
    cx.reply.set_len(start, shown);
    Ok(())
}

fn lmove(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to) = (args.key()?, args.key()?);
    let (from_end, to_end) = (list_end(&mut args)?, list_end(&mut args)?);
    move_or_null(cx, (from, from_end), (to, to_end))
}

fn rpoplpush(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (from, to) = (args.key()?, args.key()?);
    move_or_null(cx, (from, End::Right), (to, End::Left))
}

fn move_or_null(cx: &mut Context<'_>, from: (&[u8], End), to: (&[u8], End)) -> CommandResult {
    if !move_element(cx, from, to)? {
        cx.reply.null();
    }
    Ok(())
}

pub(super) fn list_end(args: &mut Args<'_>) -> Result<End, CommandError> {
    if args.take_word("left") {
        Ok(End::Left)
    } else if args.take_word("right") {
        Ok(End::Right)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Moves an element and answers with it; false if there is none, and then no answer.
pub(super) fn move_element(
    cx: &mut Context<'_>,
    (from, from_end): (&[u8], End),
    (to, to_end): (&[u8], End),
) -> Result<bool, CommandError> {
    if cx.keys.read::<List>(from)?.is_none() {
        return Ok(false);
    }
    // A target of another type is an error before anything is popped.
    cx.keys.read::<List>(to)?;
    let mut moved = SmallVec::<[u8; 64]>::new();
    cx.keys.edit(from, |list: &mut Editor<'_, List>| {
        list.pop(from_end, |element| moved.extend_from_slice(element));
        // Within one edit a list of one element is not emptied, and keeps its deadline.
        if from == to {
            list.push(to_end, &moved);
        }
    })?;
    if from != to {
        cx.keys.edit(to, |list: &mut Editor<'_, List>| list.push(to_end, &moved))?;
    }
    cx.event(push_event(to_end), to);
    cx.event_of_taking(pop_event(from_end), from);
    cx.reply.bulk(&moved);
    Ok(true)
}

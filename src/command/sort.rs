//! SORT: the elements of a list, set or sorted set in order, or what belongs to them elsewhere.
//!
//! Elements and what they are sorted by are copied into one piece of memory first, since looking
//! up the keys that a pattern names may remove expired ones.

use super::args::Args;
use super::context::{Caller, Context};
use super::keyspec::specs;
use super::permission::may_read_all;
use super::spec::Arity::AtLeast;
use super::spec::one_key as row;
use super::spec::{Family, Flags, Group};
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, End, Keyspace, Text};
use crate::number::parse_f64;
use crate::reply::ReplyBuf;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::{Member, Set};
use crate::value::zset::ZSet;
use memchr::memmem;
use smallvec::SmallVec;
use std::cmp::Ordering;

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS);
const READ: Flags = Flags::READONLY.and(Flags::MOVABLEKEYS);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Generic,
    commands: &[
        row("sort", AtLeast(2), WRITE, "1.0.0", "O(N + M log M) for N elements and M to be sorted",
            "The elements of a list, set or sorted set in order, or the list they are stored as.",
            sort).specs(specs::SORT).categories(&["set", "sortedset", "list", "dangerous"]),
        row("sort_ro", AtLeast(2), READ, "7.0.0",
            "O(N + M log M) for N elements and M to be sorted",
            "The elements of a list, set or sorted set in order.", sort_ro)
            .specs(specs::SORT_RO).categories(&["set", "sortedset", "list", "dangerous"]),
    ],
};

/// What a pattern makes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// The element itself.
    Element,
    /// Nothing: the pattern has no place for the element.
    Nothing,
    /// What a key holds, or a field of the hash it holds. The key's name is the element between
    /// two texts.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = until_nul(text).iter().position(|&byte| byte == b'*') else {
            return Pattern::Nothing;
        };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        let arrow = memmem::find(until_nul(rest), b"->");
        match arrow.and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?))) {
            Some((after, field)) if !until_nul(field).is_empty() => {
                Pattern::Key { before, after, field: Some(field) }
            }
            _ => Pattern::Key { before, after: rest, field: None },
        }
    }

    /// Shows what the pattern makes of an element.
    fn look_up<R>(
        self,
        keys: &mut Keyspace,
        element: &[u8],
        show: impl FnOnce(Option<Text<'_>>) -> R,
    ) -> R {
        let Pattern::Key { before, after, field } = self else {
            let is_element = self == Pattern::Element;
            return show(is_element.then_some(Text::Bytes(element)));
        };
        let mut key = SmallVec::<[u8; 64]>::from_slice(before);
        key.extend_from_slice(element);
        key.extend_from_slice(after);
        match field {
            Some(field) => {
                let hash = keys.read::<Hash>(&key).unwrap_or(None);
                show(hash.as_ref().and_then(|hash| hash.get(field)).map(Text::Bytes))
            }
            // A key of another type is as good as none here.
            None => show(keys.string(&key).unwrap_or(None)),
        }
    }
}

/// A text as C sees it.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What is asked for.
struct Options<'a> {
    descending: bool,
    alpha: bool,
    offset: i64,
    limit: i64,
    by: Option<Pattern<'a>>,
    get: SmallVec<[Pattern<'a>; 4]>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(mut args: Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let mut options = Options {
            descending: false,
            alpha: false,
            offset: 0,
            limit: -1,
            by: None,
            get: SmallVec::new(),
            store: None,
        };
        while !args.is_empty() {
            if args.take_word("asc") {
                options.descending = false;
            } else if args.take_word("desc") {
                options.descending = true;
            } else if args.take_word("alpha") {
                options.alpha = true;
            } else if args.len() > 2 && args.take_word("limit") {
                (options.offset, options.limit) = (args.integer()?, args.integer()?);
            } else if may_store && args.len() > 1 && args.take_word("store") {
                options.store = Some(args.key()?);
            } else if args.len() > 1 && args.take_word("by") {
                // The first BY that asks for no order is the last that counts.
                let by = Pattern::parse(args.next()?);
                if !options.keeps_order() {
                    options.by = Some(by);
                }
            } else if args.len() > 1 && args.take_word("get") {
                options.get.push(Pattern::parse(args.next()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Patterns name keys that nobody can tell beforehand: only who may read all may use them.
    fn check_rights(&self, cx: &Context<'_>) -> CommandResult {
        let denied = match () {
            () if may_read_all(cx) => return Ok(()),
            () if matches!(self.by, Some(Pattern::Key { .. })) => "BY",
            () if !self.get.is_empty() => "GET",
            () => return Ok(()),
        };
        let text =
            format!("ERR {denied} option of SORT denied due to insufficient ACL permissions.");
        Err(CommandError::Text(text.into()))
    }

    /// Whether the answer is the elements in their own order.
    fn is_plain(&self) -> bool {
        self.by.is_none() && self.get.is_empty() && self.store.is_none()
    }

    /// Whether the elements stay in the order they have.
    fn keeps_order(&self) -> bool {
        matches!(self.by, Some(Pattern::Nothing | Pattern::Element))
    }

    /// What LIMIT leaves of so many elements: the first, and how many.
    fn window(&self, len: usize) -> (usize, usize) {
        let start = usize::try_from(self.offset).unwrap_or(0).min(len);
        let count = usize::try_from(self.limit).unwrap_or(len).min(len - start);
        (start, count)
    }

    /// Sorts a set after all where its order, which is none, would be seen by a script or kept.
    fn settle(&mut self, in_script: bool) {
        if self.keeps_order() && (in_script || self.store.is_some()) {
            self.by = None;
            self.alpha = true;
        }
    }

    /// Whether the order of two elements is sure unless they are the same.
    fn is_total(&self) -> bool {
        !self.alpha || self.by.is_none()
    }
}

/// Some bytes of a [`Sorting`].
#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    len: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

/// An element and what it is sorted by.
#[derive(Clone, Copy)]
struct Item {
    element: Span,
    weight: Weight,
}

/// What an element is sorted by.
#[derive(Clone, Copy)]
enum Weight {
    /// Nothing, or it is not known yet.
    None,
    Score(f64),
    Text(Span),
}

impl Weight {
    fn is_text(self) -> bool {
        matches!(self, Weight::Text(_))
    }
}

/// Of an element that is to be sorted by a number and has none.
const NO_NUMBER: CommandError =
    CommandError::text("ERR One or more scores can't be converted into double");

/// Most elements are not longer.
const LEN_USUAL: usize = 12;

/// Elements on their way into order.
#[derive(Default)]
struct Sorting {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// Whether LIMIT was seen to when the elements were copied.
    is_limited: bool,
}

impl Sorting {
    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span { start, len: bytes.len() }
    }

    fn push(&mut self, element: &[u8]) {
        self.push_weighed(element, Weight::None);
    }

    fn push_weighed(&mut self, element: &[u8], weight: Weight) {
        let element = self.keep(element);
        self.items.push(Item { element, weight });
    }

    /// Makes room for so many elements, most of which are short.
    fn reserve(&mut self, count: usize) {
        self.items.reserve(count);
        self.bytes.reserve(count * LEN_USUAL);
    }

    /// Which elements of so many to copy: all of those that are to be sorted, else those that
    /// LIMIT leaves, counted from the end if the order is descending.
    fn part(&mut self, options: &Options<'_>, len: usize) -> (usize, usize) {
        self.is_limited = options.keeps_order();
        let (start, count) = if self.is_limited { options.window(len) } else { (0, len) };
        self.reserve(count);
        if self.is_limited && options.descending {
            (len - start - count, count)
        } else {
            (start, count)
        }
    }

    /// Copies those elements.
    fn take<'e>(
        &mut self,
        elements: impl DoubleEndedIterator<Item = &'e [u8]>,
        options: &Options<'_>,
    ) {
        if self.is_limited && options.descending {
            elements.rev().for_each(|element| self.push(element));
        } else {
            elements.for_each(|element| self.push(element));
        }
    }

    fn get(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// Finds what each element is sorted by. One that has nothing is sorted by 0, or first.
    fn weigh(&mut self, keys: &mut Keyspace, options: &Options<'_>) -> CommandResult {
        if options.alpha && options.by.is_none() {
            return Ok(());
        }
        let pattern = match options.by {
            None | Some(Pattern::Element) if !options.alpha => return self.weigh_elements(),
            pattern => pattern.unwrap_or(Pattern::Element),
        };
        let mut are_numbers = true;
        for at in 0..self.items.len() {
            let Some(element) = self.items.get(at).map(|item| item.element) else { continue };
            let weight = if options.alpha {
                let mut name = SmallVec::<[u8; 64]>::new();
                name.extend_from_slice(self.get(element));
                let kept = pattern.look_up(keys, &name, |text| {
                    text.map(|text| text.with_bytes(|bytes| self.keep(bytes)))
                });
                kept.map_or(Weight::None, Weight::Text)
            } else {
                let score = pattern.look_up(keys, self.get(element), |text| match text {
                    None => Some(0.0),
                    Some(Text::Integer(value)) => Some(value as f64),
                    Some(Text::Bytes(bytes)) => score(bytes),
                });
                are_numbers &= score.is_some();
                Weight::Score(score.unwrap_or(0.0))
            };
            if let Some(item) = self.items.get_mut(at) {
                item.weight = weight;
            }
        }
        if are_numbers { Ok(()) } else { Err(NO_NUMBER) }
    }

    /// The same where the elements are sorted by the numbers they are.
    fn weigh_elements(&mut self) -> CommandResult {
        let Sorting { bytes, items, .. } = self;
        for item in items {
            if let Weight::None = item.weight {
                let score = score(item.element.of(bytes)).ok_or(NO_NUMBER)?;
                item.weight = Weight::Score(score);
            }
        }
        Ok(())
    }

    /// Sorts what is to be sorted, and leaves what LIMIT leaves.
    fn arrange(&mut self, options: &Options<'_>) {
        if self.is_limited {
            return;
        }
        let (start, count) = options.window(self.items.len());
        if !options.keeps_order() {
            self.sort(options, start + count);
        }
        self.items.truncate(start + count);
        self.items.drain(..start);
    }

    /// Sorts, as far as the first `needed` elements go.
    fn sort(&mut self, options: &Options<'_>, needed: usize) {
        let mut items = std::mem::take(&mut self.items);
        let needed = if options.is_total() { needed } else { items.len() };
        sort_first(&mut items, needed, |a: &Item, b: &Item| self.compare(a, b, options));
        self.items = items;
    }

    fn compare(&self, a: &Item, b: &Item, options: &Options<'_>) -> Ordering {
        let elements = || (self.get(a.element), self.get(b.element));
        let order = match (options.alpha, options.by) {
            (false, _) => {
                let by_score = match (a.weight, b.weight) {
                    (Weight::Score(a), Weight::Score(b)) => a.partial_cmp(&b),
                    _ => None,
                };
                let by_score = by_score.unwrap_or(Ordering::Equal);
                by_score.then_with(|| elements().0.cmp(elements().1))
            }
            (true, None) => collate(elements().0, elements().1, options),
            (true, Some(_)) => match (a.weight, b.weight) {
                (Weight::Text(a), Weight::Text(b)) => collate(self.get(a), self.get(b), options),
                (a, b) => a.is_text().cmp(&b.is_text()),
            },
        };
        if options.descending { order.reverse() } else { order }
    }
}

/// The order of two texts. Redis compares what it stores byte by byte, and else as C does.
fn collate(a: &[u8], b: &[u8], options: &Options<'_>) -> Ordering {
    match options.store {
        Some(_) => a.cmp(b),
        None => until_nul(a).cmp(until_nul(b)),
    }
}

/// The number a text is, read as `strtod` does: space before it is skipped, it ends at a NUL, and
/// nothing at all is 0. What is beyond the normal range of doubles is refused.
fn score(text: &[u8]) -> Option<f64> {
    // Most are numbers without anything else.
    if let Some(score) = parse_f64(text) {
        return (!score.is_subnormal()).then_some(score);
    }
    let text = until_nul(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    parse_f64(text.get(start..)?).filter(|score| !score.is_subnormal())
}

fn sort(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, true)
}

fn sort_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    run(cx, args, false)
}

fn run(cx: &mut Context<'_>, mut args: Args<'_>, may_store: bool) -> CommandResult {
    let key = args.key()?;
    let mut options = Options::parse(args, may_store)?;
    options.check_rights(cx)?;
    let in_script = matches!(cx.caller, Caller::Script { .. });
    if options.is_plain() && reply_plainly(cx, key, &options)? {
        return Ok(());
    }
    let mut sorting = load(cx.keys, key, &mut options, in_script)?;
    if !options.keeps_order() {
        sorting.weigh(cx.keys, &options)?;
    }
    sorting.arrange(&options);
    match options.store {
        Some(target) => store(cx, &sorting, &options, target),
        None => {
            reply(cx, &sorting, &options);
            Ok(())
        }
    }
}

/// Answers with the elements of a list or set by their own order, without copying them; false if
/// the key holds neither.
fn reply_plainly(
    cx: &mut Context<'_>,
    key: &[u8],
    options: &Options<'_>,
) -> Result<bool, CommandError> {
    let slot = cx.keys.slot_unused(key);
    match cx.keys.type_name(slot) {
        Some("list") => {
            let Some(list) = cx.keys.read::<List>(key)? else { return Ok(false) };
            reply_sorted(cx.reply, list.iter().map(Member::Bytes), options)?;
        }
        Some("set") => {
            let Some(set) = cx.keys.read::<Set>(key)? else { return Ok(false) };
            reply_sorted(cx.reply, set.iter(), options)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Elements that lie where they are kept, and their scores.
type InPlace<'e> = SmallVec<[(f64, Member<'e>); 32]>;

/// Answers with elements in their own order.
fn reply_sorted<'e>(
    reply: &mut ReplyBuf,
    elements: impl Iterator<Item = Member<'e>>,
    options: &Options<'_>,
) -> CommandResult {
    let mut items = InPlace::with_capacity(elements.size_hint().0);
    let mut are_numbers = true;
    elements.for_each(|element| {
        let score = match element {
            _ if options.alpha => Some(0.0),
            Member::Integer(value) => Some(value as f64),
            Member::Bytes(bytes) => score(bytes),
        };
        are_numbers &= score.is_some();
        items.push((score.unwrap_or(0.0), element));
    });
    if !are_numbers {
        return Err(NO_NUMBER);
    }
    let (start, count) = options.window(items.len());
    let needed = start + count;
    let compare = |(a_score, a): &(f64, Member<'_>), (b_score, b): &(f64, Member<'_>)| {
        let by_score = a_score.partial_cmp(b_score).unwrap_or(Ordering::Equal);
        let order = by_score.then_with(|| {
            a.with_bytes(|a| {
                b.with_bytes(|b| if options.alpha { collate(a, b, options) } else { a.cmp(b) })
            })
        });
        if options.descending { order.reverse() } else { order }
    };
    sort_first(&mut items, needed, compare);
    reply.array(count);
    for (_, element) in items.get(start..needed).unwrap_or_default() {
        match *element {
            Member::Integer(value) => reply.bulk_integer(value),
            Member::Bytes(bytes) => reply.bulk(bytes),
        }
    }
    Ok(())
}

/// Sorts as far as the first `needed` elements go, where the order of any two is sure unless they
/// are the same.
fn sort_first<T>(items: &mut [T], needed: usize, compare: impl Fn(&T, &T) -> Ordering + Copy) {
    let mut wanted = items;
    if needed < wanted.len() {
        wanted.select_nth_unstable_by(needed, compare);
        wanted = wanted.split_at_mut(needed).0;
    }
    wanted.sort_by(compare);
}

/// Copies the elements, or those that LIMIT leaves where the order is known.
fn load(
    keys: &mut Keyspace,
    key: &[u8],
    options: &mut Options<'_>,
    in_script: bool,
) -> Result<Sorting, CommandError> {
    let mut sorting = Sorting::default();
    let slot = keys.slot_unused(key);
    match keys.type_name(slot) {
        None => (),
        Some("zset") => {
            // Redis sorts large ones only, so small ones become such.
            keys.edit_existing(key, |zset: &mut Editor<'_, ZSet>| zset.unpack())?;
            if let Some(zset) = keys.read::<ZSet>(key)? {
                let (start, count) = sorting.part(options, zset.len());
                let members = zset.range(start, count).map(|(member, _)| member);
                sorting.take(members, options);
            }
        }
        Some("set") => {
            options.settle(in_script);
            if let Some(set) = keys.read::<Set>(key)? {
                sorting.reserve(set.len());
                for member in set.iter() {
                    let weight = match member {
                        Member::Integer(value) => Weight::Score(value as f64),
                        Member::Bytes(_) => Weight::None,
                    };
                    member.with_bytes(|bytes| sorting.push_weighed(bytes, weight));
                }
            }
        }
        Some(_) => {
            if let Some(list) = keys.read::<List>(key)? {
                let (start, count) = sorting.part(options, list.len());
                sorting.take(list.range(start, count), options);
            }
        }
    }
    Ok(sorting)
}

fn reply(cx: &mut Context<'_>, sorting: &Sorting, options: &Options<'_>) {
    cx.reply.array(sorting.items.len() * options.get.len().max(1));
    for item in &sorting.items {
        let element = sorting.get(item.element);
        if options.get.is_empty() {
            cx.reply.bulk(element);
        }
        for pattern in &options.get {
            pattern.look_up(cx.keys, element, |text| match text {
                Some(text) => text.with_bytes(|bytes| cx.reply.bulk(bytes)),
                None => cx.reply.null(),
            });
        }
    }
}

/// Stores what would be the reply; what is missing becomes an empty text.
fn store(
    cx: &mut Context<'_>,
    sorting: &Sorting,
    options: &Options<'_>,
    target: &[u8],
) -> CommandResult {
    let mut found = Sorting::default();
    for item in &sorting.items {
        for pattern in &options.get {
            pattern.look_up(cx.keys, sorting.get(item.element), |text| match text {
                Some(text) => text.with_bytes(|bytes| found.push(bytes)),
                None => found.push(b""),
            });
        }
    }
    let result = if options.get.is_empty() { sorting } else { &found };
    let replaces = cx.keys.remove(target);
    cx.keys.news_mut().set_replacing(replaces);
    cx.keys.edit(target, |list: &mut Editor<'_, List>| {
        result.items.iter().for_each(|item| list.push(End::Right, result.get(item.element)));
    })?;
    cx.keys.news_mut().set_replacing(false);
    match result.items.is_empty() {
        false => cx.event(Event::SORTSTORE, target),
        true if replaces => cx.event(Event::DEL, target),
        true => (),
    }
    cx.reply.count(result.items.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart() {
        let key = |before, after, field: Option<&'static str>| Pattern::Key {
            before: str::as_bytes(before),
            after: str::as_bytes(after),
            field: field.map(str::as_bytes),
        };
        for (text, pattern) in [
            ("#", Pattern::Element),
            ("##", Pattern::Nothing),
            ("nosort", Pattern::Nothing),
            ("a->b", Pattern::Nothing),
            ("a\0*", Pattern::Nothing),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("a->*b", key("a->", "b", None)),
            ("w_*_x->f->g", key("w_", "_x", Some("f->g"))),
            ("*->", key("", "->", None)),
            ("**->f", key("", "*", Some("f"))),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), pattern, "{text:?}");
        }
    }

    #[test]
    fn scores_are_read_as_loosely_as_redis_reads_them() {
        for (text, expected) in [
            ("", Some(0.0)),
            ("1.5", Some(1.5)),
            (" \t2", Some(2.0)),
            ("0x10", Some(16.0)),
            ("3\0x", Some(3.0)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("1 ", None),
            (" ", None),
            ("x", None),
            ("1e400", None),
            ("1e-310", None),
        ] {
            assert_eq!(score(text.as_bytes()), expected, "{text:?}");
        }
    }
}

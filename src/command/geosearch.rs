//! Searches of places: what is asked for, the walk, and what is answered or stored.

use super::args::Args;
use super::context::Context;
use super::partial_sort::sort_first;
use crate::clients::Event;
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Keyspace};
use crate::number::{parse_f64, push_with_four_places};
use crate::reply::ReplyBuf;
use crate::value::geohash::{Area, Point, Shape};
use crate::value::zset::{ZSet, ZSetView};
use smallvec::SmallVec;

const BAD_UNIT: CommandError =
    CommandError::text("ERR unsupported unit provided. please use M, KM, FT, MI");
const NO_MEMBER: CommandError = CommandError::text("ERR could not decode requested zset member");

/// Metres in a unit of length.
pub(super) fn unit_m(name: &[u8]) -> Result<f64, CommandError> {
    let units = [("m", 1.0), ("km", 1_000.0), ("ft", 0.3048), ("mi", 1_609.34)];
    let found = units.iter().find(|(unit, _)| name.eq_ignore_ascii_case(unit.as_bytes()));
    found.map(|(_, metres)| *metres).ok_or(BAD_UNIT)
}

/// The next two arguments, a place.
pub(super) fn point(args: &mut Args<'_>) -> Result<Point, CommandError> {
    let point = Point { lon: args.float()?, lat: args.float()? };
    match point.is_on_grid() {
        true => Ok(point),
        false => Err(CommandError::geo_range(point.lon, point.lat)),
    }
}

/// The next argument, a length, or the given error.
fn length(args: &mut Args<'_>, error: &'static str) -> Result<f64, CommandError> {
    parse_f64(args.next()?).ok_or(CommandError::text(error))
}

/// Where a member is.
pub(super) fn place(zset: &ZSetView<'_>, member: &[u8]) -> Option<Point> {
    zset.score(member).map(Point::of_score)
}

pub(super) fn reply_distance(reply: &mut ReplyBuf, distance: f64) {
    reply.bulk_by(|text| push_with_four_places(text, distance));
}

pub(super) fn reply_point(reply: &mut ReplyBuf, point: Point) {
    reply.array(2);
    reply.decimal(point.lon);
    reply.decimal(point.lat);
}

/// What the center of a search is given by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Two arguments behind the key, with a radius behind them.
    Point,
    /// One argument behind the key, with a radius behind it.
    Member,
    /// An option, as the shape is.
    Option,
}

/// Whether a search stores what it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stores {
    Never,
    /// If an option says where.
    OnDemand,
    /// In the key that is the first argument.
    Always,
}

/// The order of what is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Nearest,
    Farthest,
}

/// What is asked for.
#[derive(Default)]
struct Query<'a> {
    center: Option<Center>,
    shape: Option<Shape>,
    /// Metres in the unit of lengths, asked for and answered.
    unit_m: f64,
    /// No more than so many; 0 is all.
    count: usize,
    /// The first to be found will do.
    any: bool,
    sort: Option<Sort>,
    with_point: bool,
    with_distance: bool,
    with_hash: bool,
    store: Option<&'a [u8]>,
    /// Distances are stored as scores rather than places.
    store_distance: bool,
}

/// The center of a search.
#[derive(Clone, Copy)]
enum Center {
    Point(Point),
    Member(Point),
    /// A member of a key that does not exist.
    Nowhere,
}

impl Center {
    /// Looks a member up.
    fn of_member(zset: Option<&ZSetView<'_>>, member: &[u8]) -> Result<Center, CommandError> {
        let Some(zset) = zset else { return Ok(Center::Nowhere) };
        place(zset, member).map(Center::Member).ok_or(NO_MEMBER)
    }
}

impl<'a> Query<'a> {
    /// Reads all arguments behind the key, in Redis's order: a member is looked up as soon as it
    /// is read, and where there is nothing to search no radius is read.
    fn parse(
        args: &mut Args<'a>,
        zset: Option<&ZSetView<'_>>,
        from: From,
        stores: Stores,
    ) -> Result<Self, CommandError> {
        let mut query = Query { unit_m: 1.0, ..Query::default() };
        match from {
            From::Point => query.center = Some(Center::Point(point(args)?)),
            From::Member => query.center = Some(Center::of_member(zset, args.next()?)?),
            From::Option => {}
        }
        match (from, query.center) {
            (From::Option, _) => {}
            (_, Some(Center::Nowhere)) => _ = (args.next()?, args.next()?),
            _ => query.read_circle(args)?,
        }
        while !args.is_empty() {
            let is_known = query.take_plain(args)?
                || (from == From::Option && query.take_area(args, zset)?)
                || query.take_store(args, stores)?;
            if !is_known {
                return Err(CommandError::Syntax);
            }
        }
        Ok(query)
    }

    /// Takes an option that every search has.
    fn take_plain(&mut self, args: &mut Args<'a>) -> Result<bool, CommandError> {
        if args.take_word("withdist") {
            self.with_distance = true;
        } else if args.take_word("withhash") {
            self.with_hash = true;
        } else if args.take_word("withcoord") {
            self.with_point = true;
        } else if args.take_word("any") {
            self.any = true;
        } else if args.take_word("asc") {
            self.sort = Some(Sort::Nearest);
        } else if args.take_word("desc") {
            self.sort = Some(Sort::Farthest);
        } else if args.len() > 1 && args.take_word("count") {
            let count = usize::try_from(args.integer()?).ok().filter(|&count| count > 0);
            self.count = count.ok_or(CommandError::text("ERR COUNT must be > 0"))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes an option that says where to search. A second one of the other kind is unknown.
    fn take_area(
        &mut self,
        args: &mut Args<'a>,
        zset: Option<&ZSetView<'_>>,
    ) -> Result<bool, CommandError> {
        let is_point = matches!(self.center, Some(Center::Point(_)));
        let is_member = self.center.is_some() && !is_point;
        let is_circle = matches!(self.shape, Some(Shape::Circle { .. }));
        let is_box = matches!(self.shape, Some(Shape::Box { .. }));
        if !is_point && args.len() > 1 && args.take_word("frommember") {
            self.center = Some(Center::of_member(zset, args.next()?)?);
        } else if !is_member && args.len() > 2 && args.take_word("fromlonlat") {
            self.center = Some(Center::Point(point(args)?));
        } else if !is_box && args.len() > 2 && args.take_word("byradius") {
            self.read_circle(args)?;
        } else if !is_circle && args.len() > 3 && args.take_word("bybox") {
            self.read_box(args)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes an option that says what to store.
    fn take_store(&mut self, args: &mut Args<'a>, stores: Stores) -> Result<bool, CommandError> {
        match stores {
            Stores::OnDemand if args.len() > 1 && args.take_word("store") => {
                (self.store, self.store_distance) = (Some(args.key()?), false);
            }
            Stores::OnDemand if args.len() > 1 && args.take_word("storedist") => {
                (self.store, self.store_distance) = (Some(args.key()?), true);
            }
            Stores::Always if args.take_word("storedist") => self.store_distance = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn read_circle(&mut self, args: &mut Args<'a>) -> CommandResult {
        let radius = length(args, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::text("ERR radius cannot be negative"));
        }
        self.unit_m = unit_m(args.next()?)?;
        self.shape = Some(Shape::Circle { radius_m: radius * self.unit_m });
        Ok(())
    }

    fn read_box(&mut self, args: &mut Args<'a>) -> CommandResult {
        let width = length(args, "ERR need numeric width")?;
        let height = length(args, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::text("ERR height or width cannot be negative"));
        }
        self.unit_m = unit_m(args.next()?)?;
        let (width_m, height_m) = (width * self.unit_m, height * self.unit_m);
        self.shape = Some(Shape::Box { width_m, height_m });
        Ok(())
    }

    /// Refuses what does not go together, or lacks something.
    fn check(&self, args: &Args<'_>, from: From, stores: Stores) -> CommandResult {
        let shows = self.with_distance || self.with_hash || self.with_point;
        if shows && stores == Stores::Always {
            return Err(CommandError::geo_store(&args.command().to_ascii_uppercase()));
        }
        if shows && self.store.is_some() {
            return Err(CommandError::geo_store("STORE option in GEORADIUS"));
        }
        if self.center.is_none() {
            return Err(CommandError::geo_choice("FROMMEMBER or FROMLONLAT", args.word()));
        }
        if self.shape.is_none() && from == From::Option {
            return Err(CommandError::geo_choice("BYRADIUS and BYBOX", args.word()));
        }
        if self.any && self.count == 0 {
            return Err(CommandError::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The area to search.
    fn area(&self) -> Option<Area> {
        match self.center? {
            Center::Point(center) | Center::Member(center) => Some(Area::new(center, self.shape?)),
            Center::Nowhere => None,
        }
    }

    /// Whether it matters how far away the members are.
    fn needs_distance(&self) -> bool {
        let chooses = self.count > 0 && !self.any;
        self.with_distance || self.store_distance || self.sort.is_some() || chooses
    }

    /// How many to find before the search may end.
    fn enough(&self) -> usize {
        if self.any { self.count } else { usize::MAX }
    }

    /// Brings what was found into order and leaves as many as are wanted. Unless any will do,
    /// those are the nearest.
    fn choose(&self, found: &mut Found<'_>) {
        let is_short = self.count > 0 && self.count < found.len();
        let nearest = (self.count > 0 && !self.any).then_some(Sort::Nearest);
        if let Some(sort) = self.sort.or(nearest) {
            let order = |a: &Hit<'_>, b: &Hit<'_>| match sort {
                Sort::Nearest => a.distance_m.total_cmp(&b.distance_m),
                Sort::Farthest => b.distance_m.total_cmp(&a.distance_m),
            };
            match is_short {
                true => sort_first(found, self.count, order),
                false => found.sort_by(order),
            }
        }
        if is_short {
            found.truncate(self.count);
        }
    }
}

/// A member within the area.
struct Hit<'a> {
    member: &'a [u8],
    score: f64,
    point: Point,
    /// 0 where it does not matter.
    distance_m: f64,
}

type Found<'a> = SmallVec<[Hit<'a>; 8]>;

/// Answers a call that searches, or stores what it finds.
pub(super) fn run(
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    from: From,
    stores: Stores,
) -> CommandResult {
    let always = if stores == Stores::Always { Some(args.key()?) } else { None };
    let zset = cx.keys.read::<ZSet>(args.key()?)?;
    let query = Query::parse(args, zset.as_ref(), from, stores)?;
    query.check(args, from, stores)?;
    let found = match (&zset, query.area()) {
        (Some(zset), Some(area)) => find(zset, &area, &query),
        _ => Found::new(),
    };
    match always.or(query.store) {
        Some(target) => {
            let copies = Copies::of(found, &query);
            cx.reply.count(copies.members.len());
            let event = match always {
                Some(_) => Event::GEOSEARCHSTORE,
                None => Event::GEORADIUSSTORE,
            };
            copies.store(cx.keys, target, event)
        }
        None => {
            reply_found(cx.reply, &found, &query);
            Ok(())
        }
    }
}

/// Finds the members in the area, range by range.
fn find<'a>(zset: &'a ZSetView<'_>, area: &Area, query: &Query<'_>) -> Found<'a> {
    let mut found = Found::new();
    if zset.is_packed() {
        // To find a range in a packed set is to walk it: once will do for all of them.
        let all: SmallVec<[Scored<'a>; PACKED_USUALLY]> = zset.range(0, usize::MAX).collect();
        for range in area.ranges() {
            let start = all.partition_point(|&(_, score)| score < range.start);
            let members = all.iter().skip(start).copied();
            add_near(&mut found, members, range.end, area, query);
        }
    } else {
        for range in area.ranges() {
            let start = zset.rank_of_first(|score, _| score < range.start);
            let members = zset.range(start, usize::MAX);
            add_near(&mut found, members, range.end, area, query);
        }
    }
    query.choose(&mut found);
    found
}

/// A member with its score.
type Scored<'a> = (&'a [u8], f64);

/// The most members of a packed set unless the engine was told otherwise.
const PACKED_USUALLY: usize = 128;

/// Adds the members in the area whose scores are below the end of a range, until there are enough.
fn add_near<'a>(
    found: &mut Found<'a>,
    members: impl Iterator<Item = Scored<'a>>,
    end: f64,
    area: &Area,
    query: &Query<'_>,
) {
    let (enough, needs_distance) = (query.enough(), query.needs_distance());
    for (member, score) in members.take_while(|&(_, score)| score < end) {
        if found.len() == enough {
            return;
        }
        let point = Point::of_score(score);
        let distance_m = match needs_distance {
            true => area.distance_m(point),
            false => area.contains(point).then_some(0.0),
        };
        if let Some(distance_m) = distance_m {
            found.push(Hit { member, score, point, distance_m });
        }
    }
}

fn reply_found(reply: &mut ReplyBuf, found: &Found<'_>, query: &Query<'_>) {
    let shown = [query.with_distance, query.with_hash, query.with_point];
    let shown = shown.into_iter().filter(|&is_shown| is_shown).count();
    reply.array(found.len());
    for hit in found {
        if shown > 0 {
            reply.array(1 + shown);
        }
        reply.bulk(hit.member);
        if query.with_distance {
            reply_distance(reply, hit.distance_m / query.unit_m);
        }
        if query.with_hash {
            reply.integer(hit.score as i64);
        }
        if query.with_point {
            reply_point(reply, hit.point);
        }
    }
}

/// What was found, out of the sorted set it was found in, which may be the one to be replaced.
struct Copies {
    bytes: Vec<u8>,
    /// Where each member ends in the bytes, and its score.
    members: Vec<(usize, f64)>,
}

impl Copies {
    fn of(found: Found<'_>, query: &Query<'_>) -> Copies {
        let mut copies = Copies { bytes: Vec::new(), members: Vec::with_capacity(found.len()) };
        for hit in found {
            copies.bytes.extend_from_slice(hit.member);
            let distance = hit.distance_m / query.unit_m;
            let score = if query.store_distance { distance } else { hit.score };
            copies.members.push((copies.bytes.len(), score));
        }
        copies
    }

    /// Makes a sorted set of them in place of what a key held.
    fn store(&self, keys: &mut Keyspace, target: &[u8], event: Event) -> CommandResult {
        let replaces = keys.remove(target);
        keys.news_mut().set_replacing(replaces);
        keys.edit(target, |zset: &mut Editor<'_, ZSet>| {
            let mut start = 0;
            for &(end, score) in &self.members {
                zset.set(self.bytes.get(start..end).unwrap_or_default(), score);
                start = end;
            }
        })?;
        keys.news_mut().set_replacing(false);
        match self.members.is_empty() {
            false => keys.notify(event, target),
            true if replaces => keys.notify(Event::DEL, target),
            true => (),
        }
        Ok(())
    }
}

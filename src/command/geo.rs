//! Geo commands: sorted sets whose scores are places.

use super::args::Args;
use super::context::Context;
use super::keyspec::specs;
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, Keys, keyed, one_key as row};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::{Editor, Keyspace};
use crate::number::{F64Text, parse_f64};
use crate::reply::ReplyBuf;
use crate::value::geohash::{Area, Point, Shape};
use crate::value::zset::ZSet;
use smallvec::SmallVec;
use std::cmp::Ordering;

const READ: Flags = Flags::READONLY;
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const MAY_STORE: Flags = WRITE.and(Flags::MOVABLEKEYS);

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Geo,
    commands: &[
        row("geoadd", AtLeast(5), WRITE, "3.2.0", "O(log N) per member",
            "Puts members at places.", geoadd),
        row("geodist", AtLeast(4), READ, "3.2.0", "O(1)",
            "The distance between two members.", geodist),
        row("geohash", AtLeast(2), READ, "3.2.0", "O(1) per member",
            "The places of members as geohashes.", geohash),
        row("geopos", AtLeast(2), READ, "3.2.0", "O(1) per member",
            "The places of members as longitude and latitude.", geopos),
        row("georadius", AtLeast(6), MAY_STORE, "3.2.0", "O(log N + M) for M members around",
            "The members around a place, which may be stored as a sorted set.", georadius)
            .specs(specs::GEO_AROUND_PLACE),
        row("georadius_ro", AtLeast(6), READ, "3.2.10", "O(log N + M) for M members around",
            "The members around a place.", georadius_ro),
        row("georadiusbymember", AtLeast(5), MAY_STORE, "3.2.0", "O(log N + M) for M members around",
            "The members around a member, which may be stored as a sorted set.",
            georadiusbymember).specs(specs::GEO_AROUND_MEMBER),
        row("georadiusbymember_ro", AtLeast(5), READ, "3.2.10", "O(log N + M) for M members around",
            "The members around a member.", georadiusbymember_ro),
        row("geosearch", AtLeast(7), READ, "6.2.0", "O(log N + M) for M members around",
            "The members within a circle or a box.", geosearch),
        keyed("geosearchstore", AtLeast(8), WRITE, Keys::FIRST_TWO, "6.2.0",
            "O(log N + M) for M members around",
            "Stores the members within a circle or a box as a sorted set.", geosearchstore)
            .specs(specs::STORE_OF_ONE),
    ],
};

/// Metres in a unit of length.
fn unit_m(name: &[u8]) -> Result<f64, CommandError> {
    let units = [("m", 1.0), ("km", 1_000.0), ("ft", 0.3048), ("mi", 1_609.34)];
    let found = units.iter().find(|(unit, _)| name.eq_ignore_ascii_case(unit.as_bytes()));
    found.map(|(_, metres)| *metres).ok_or(CommandError::GeoUnit)
}

/// The next two arguments, a place.
fn point(args: &mut Args<'_>) -> Result<Point, CommandError> {
    let point = Point { lon: args.float()?, lat: args.float()? };
    match point.is_on_grid() {
        true => Ok(point),
        false => Err(CommandError::GeoRange { lon: point.lon, lat: point.lat }),
    }
}

/// The next argument, a length, or the given error.
fn length(args: &mut Args<'_>, error: &'static str) -> Result<f64, CommandError> {
    parse_f64(args.next()?).ok_or(CommandError::text(error))
}

fn geoadd(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let key = args.key()?;
    let (mut if_absent, mut if_present, mut count_changed) = (false, false, false);
    loop {
        if args.take_word("nx") {
            if_absent = true;
        } else if args.take_word("xx") {
            if_present = true;
        } else if args.take_word("ch") {
            count_changed = true;
        } else {
            break;
        }
    }
    if args.is_empty() || args.len() % 3 != 0 || (if_absent && if_present) {
        return Err(CommandError::Syntax);
    }
    let mut places = SmallVec::<[(f64, &[u8]); 8]>::with_capacity(args.len() / 3);
    while !args.is_empty() {
        places.push((point(&mut args)?.to_score(), args.next()?));
    }
    let changed = cx.keys.edit(key, |zset: &mut Editor<'_, ZSet>| {
        let mut changed = 0;
        for (score, member) in places {
            let is_counted = match zset.score(member) {
                Some(old) if if_absent || old == score => continue,
                None if if_present => continue,
                old => old.is_none() || count_changed,
            };
            zset.set(member, score);
            changed += usize::from(is_counted);
        }
        changed
    })?;
    cx.reply.count(changed);
    Ok(())
}

fn geodist(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (key, from, to) = (args.key()?, args.next()?, args.next()?);
    let unit_m = match args.len() {
        0 => 1.0,
        1 => unit_m(args.next()?)?,
        _ => return Err(CommandError::Syntax),
    };
    let zset = cx.keys.read::<ZSet>(key)?;
    let place = |member| zset.and_then(|zset| place(zset, member));
    match (place(from), place(to)) {
        (Some(from), Some(to)) => reply_distance(cx.reply, from.distance_m(to) / unit_m),
        _ => cx.reply.null(),
    }
    Ok(())
}

/// Where a member is.
fn place(zset: &ZSet, member: &[u8]) -> Option<Point> {
    zset.score(member).map(Point::of_score)
}

fn reply_distance(reply: &mut ReplyBuf, distance: f64) {
    reply.bulk(F64Text::with_four_places(distance).as_bytes());
}

fn reply_point(reply: &mut ReplyBuf, point: Point) {
    reply.array(2);
    reply.decimal(point.lon);
    reply.decimal(point.lat);
}

fn geohash(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    each_place(cx, args, |reply, place| match place {
        Some(point) => reply.bulk(&point.to_text()),
        None => reply.null(),
    })
}

fn geopos(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    each_place(cx, args, |reply, place| match place {
        Some(point) => reply_point(reply, point),
        None => reply.null_array(),
    })
}

/// Answers for each member with what is made of its place.
fn each_place(
    cx: &mut Context<'_>,
    mut args: Args<'_>,
    show: fn(&mut ReplyBuf, Option<Point>),
) -> CommandResult {
    let zset = cx.keys.read::<ZSet>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        show(cx.reply, zset.and_then(|zset| place(zset, member)));
    }
    Ok(())
}

/// What the center of a search is given by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// Two arguments behind the key, with a radius behind them.
    Point,
    /// One argument behind the key, with a radius behind it.
    Member,
    /// An option, as the shape is.
    Option,
}

/// Whether a search stores what it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stores {
    Never,
    /// If an option says where.
    OnDemand,
    /// In the key that is the first argument.
    Always,
}

fn georadius(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Point, Stores::OnDemand)
}

fn georadius_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Point, Stores::Never)
}

fn georadiusbymember(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Member, Stores::OnDemand)
}

fn georadiusbymember_ro(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Member, Stores::Never)
}

fn geosearch(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Option, Stores::Never)
}

fn geosearchstore(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    search(cx, args, From::Option, Stores::Always)
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
    fn of_member(zset: Option<&ZSet>, member: &[u8]) -> Result<Center, CommandError> {
        let Some(zset) = zset else { return Ok(Center::Nowhere) };
        place(zset, member).map(Center::Member).ok_or(CommandError::GeoMember)
    }
}

impl<'a> Query<'a> {
    /// Reads all arguments behind the key, in Redis's order: a member is looked up as soon as it
    /// is read, and where there is nothing to search no radius is read.
    fn parse(
        args: &mut Args<'a>,
        zset: Option<&ZSet>,
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
        zset: Option<&ZSet>,
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
            return Err(CommandError::GeoStore("GEOSEARCHSTORE"));
        }
        if shows && self.store.is_some() {
            return Err(CommandError::GeoStore("STORE option in GEORADIUS"));
        }
        if self.center.is_none() {
            return Err(CommandError::geo_choice("FROMMEMBER or FROMLONLAT", args.spelled()));
        }
        if self.shape.is_none() && from == From::Option {
            return Err(CommandError::geo_choice("BYRADIUS and BYBOX", args.spelled()));
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
            let order = |a: &Hit<'_>, b: &Hit<'_>| a.compare(b, sort);
            if is_short {
                found.select_nth_unstable_by(self.count, order);
                found.truncate(self.count);
            }
            found.sort_unstable_by(order);
        }
        if is_short {
            found.truncate(self.count);
        }
    }
}

/// A member within the area.
struct Hit<'a> {
    /// How many were found before.
    before: usize,
    member: &'a [u8],
    score: f64,
    point: Point,
    distance_m: f64,
}

type Found<'a> = SmallVec<[Hit<'a>; 8]>;

impl Hit<'_> {
    /// Which comes first: of those equally far away, the one found first.
    fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        let by_distance = match sort {
            Sort::Nearest => self.distance_m.total_cmp(&other.distance_m),
            Sort::Farthest => other.distance_m.total_cmp(&self.distance_m),
        };
        by_distance.then(self.before.cmp(&other.before))
    }
}

fn search(cx: &mut Context<'_>, mut args: Args<'_>, from: From, stores: Stores) -> CommandResult {
    let always = if stores == Stores::Always { Some(args.key()?) } else { None };
    let zset = cx.keys.read::<ZSet>(args.key()?)?;
    let query = Query::parse(&mut args, zset, from, stores)?;
    query.check(&args, from, stores)?;
    let found = match (zset, query.area()) {
        (Some(zset), Some(area)) => find(zset, &area, &query),
        _ => Found::new(),
    };
    match always.or(query.store) {
        Some(target) => {
            let copies = Copies::of(found, &query);
            cx.reply.count(copies.members.len());
            copies.store(cx.keys, target)
        }
        None => {
            reply_found(cx.reply, &found, &query);
            Ok(())
        }
    }
}

/// Walks the ranges of scores that the area covers.
fn find<'a>(zset: &'a ZSet, area: &Area, query: &Query<'_>) -> Found<'a> {
    let (mut found, enough) = (Found::new(), query.enough());
    for range in area.ranges() {
        let start = zset.rank_of_first(|score, _| score < range.start);
        let members = zset.range(start, usize::MAX);
        for (member, score) in members.take_while(|&(_, score)| score < range.end) {
            if found.len() == enough {
                break;
            }
            let (before, point) = (found.len(), Point::of_score(score));
            if let Some(distance_m) = area.distance_m(point) {
                found.push(Hit { before, member, score, point, distance_m });
            }
        }
    }
    query.choose(&mut found);
    found
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
    fn store(&self, keys: &mut Keyspace, target: &[u8]) -> CommandResult {
        keys.remove(target);
        keys.edit(target, |zset: &mut Editor<'_, ZSet>| {
            let mut start = 0;
            for &(end, score) in &self.members {
                zset.set(self.bytes.get(start..end).unwrap_or_default(), score);
                start = end;
            }
        })
    }
}

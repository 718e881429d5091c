//! Places on the globe as integers: columns and rows of a grid, halved 26 times in each direction,
//! their bits interleaved to 52, so that a square of the grid is a range of integers.
//!
//! Pure geometry on a sphere with Redis's radius. What a search answers depends on each rounding
//! and on the order in which squares are looked at, so both are Redis's own. This room knows no
//! sorted sets: whoever keeps the integers as scores walks the ranges.

use std::ops::Range;

/// The radius of the sphere.
const EARTH_RADIUS_M: f64 = 6_372_797.560856;
/// Half of the equator in the projection that the size of squares is reckoned by.
const MERCATOR_MOST_M: f64 = 20_037_726.37;
/// Longitudes go from the negative of this to this.
const LON_MOST: f64 = 180.0;
/// Latitudes do the same: beyond, the projection has no place.
const LAT_MOST: f64 = 85.05112878;
/// How often each direction is halved in what is kept.
const STEPS: u32 = 26;
/// How near to the edge of a circle, by its haversine, sines have to tell what is inside.
const MARGIN: f64 = 1e-6;
/// The letters of a geohash as text.
const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// The longitude, east being positive.
    pub(crate) lon: f64,
    /// The latitude, north being positive.
    pub(crate) lat: f64,
}

impl Point {
    /// Whether the place is on the grid.
    pub(crate) fn is_on_grid(self) -> bool {
        self.lon.abs() <= LON_MOST && self.lat.abs() <= LAT_MOST
    }

    /// The place as a score: the integer of the smallest square it lies in.
    pub(crate) fn to_score(self) -> f64 {
        Square::around(self, STEPS).bits() as f64
    }

    /// The middle of the square that a score stands for. Any score stands for one, so that sets
    /// made by ZADD can be asked too.
    pub(crate) fn of_score(score: f64) -> Point {
        let square = Square::of_bits(score_bits(score));
        let (lon, lat) = (square.lon_range(), square.lat_range());
        let middle =
            |range: Range<f64>, most: f64| ((range.start + range.end) / 2.0).clamp(-most, most);
        Point { lon: middle(lon, LON_MOST), lat: middle(lat, LAT_MOST) }
    }

    /// The distance to another place along a great circle.
    pub(crate) fn distance_m(self, other: Point) -> f64 {
        Origin::new(self).distance_m(other)
    }

    /// The geohash as the world writes it, whose grid goes up to the poles. There are bits for
    /// ten letters only, the eleventh is always the first of the alphabet.
    pub(crate) fn to_text(self) -> [u8; 11] {
        let row = grid_index(self.lat, 90.0, STEPS);
        let bits =
            Square { column: grid_index(self.lon, LON_MOST, STEPS), row, steps: STEPS }.bits();
        let mut text = [b'0'; 11];
        for (at, place) in text.iter_mut().take(10).enumerate() {
            let letter = (bits >> (47 - 5 * at)) & 31;
            *place = LETTERS.get(letter as usize).copied().unwrap_or(b'0');
        }
        text
    }
}

/// A score as the integer that C makes of it on x86-64, where negative ones wrap around.
fn score_bits(score: f64) -> u64 {
    const HALF: f64 = (1_u64 << 63) as f64;
    if score < HALF {
        score as i64 as u64
    } else if score < 2.0 * HALF {
        score as u64
    } else {
        0
    }
}

/// A place that distances are measured from; what they have in common is computed once.
#[derive(Clone, Copy, Debug)]
struct Origin {
    lon_radians: f64,
    lat_radians: f64,
    lat_cosine: f64,
}

impl Origin {
    fn new(point: Point) -> Origin {
        let lat_radians = radians(point.lat);
        Origin { lon_radians: radians(point.lon), lat_radians, lat_cosine: lat_radians.cos() }
    }

    /// The distance by the haversine formula.
    fn distance_m(&self, to: Point) -> f64 {
        let lat = radians(to.lat);
        let v = ((radians(to.lon) - self.lon_radians) / 2.0).sin();
        if v == 0.0 {
            return self.meridian_distance_m(to);
        }
        let u = ((lat - self.lat_radians) / 2.0).sin();
        let a = u * u + self.lat_cosine * lat.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }

    /// Bounds of what the distance to a place is made from, in a tenth of its time.
    fn haversine_bounds(&self, to: Point) -> [f64; 2] {
        let lat = radians(to.lat);
        let [u_low, u_high] = sine_bounds((lat - self.lat_radians) / 2.0);
        let [v_low, v_high] = sine_bounds((radians(to.lon) - self.lon_radians) / 2.0);
        let [cosine_low, cosine_high] = cosine_bounds(lat);
        let haversine = |u: f64, v: f64, cosine: f64| u * u + self.lat_cosine * cosine * v * v;
        [haversine(u_low, v_low, cosine_low), haversine(u_high, v_high, cosine_high)]
    }

    /// The distance between the two latitudes.
    fn meridian_distance_m(&self, to: Point) -> f64 {
        EARTH_RADIUS_M * (radians(to.lat) - self.lat_radians).abs()
    }
}

/// The haversine of a distance: the square of the sine of half its angle.
fn haversine_of(distance_m: f64) -> f64 {
    let half = distance_m / (2.0 * EARTH_RADIUS_M);
    // Beyond a quarter of the globe, and what rounding may add to it, there is nothing farther.
    if half > 1.6 {
        return f64::INFINITY;
    }
    let sine = half.min(std::f64::consts::FRAC_PI_2).sin();
    sine * sine
}

/// Bounds of the size of a sine, for angles up to half a turn: the first terms of its series, each
/// of which makes good for more than all that follow it.
#[inline]
fn sine_bounds(x: f64) -> [f64; 2] {
    let xx = x * x;
    let sine = |rest: f64| x.abs() * (1.0 - xx * (1.0 / 6.0) * (1.0 - xx * (1.0 / 20.0) * rest));
    [sine(1.0 - xx * (1.0 / 42.0)).max(0.0), sine(1.0)]
}

/// Bounds of the cosine of a latitude, by its series.
#[inline]
fn cosine_bounds(x: f64) -> [f64; 2] {
    let xx = x * x;
    let third = |rest: f64| 1.0 - xx * (1.0 / 12.0) * (1.0 - xx * (1.0 / 30.0) * rest);
    let cosine = |rest: f64| 1.0 - xx * 0.5 * third(rest);
    [cosine(1.0).max(0.0), cosine(1.0 - xx * (1.0 / 56.0))]
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// The form of the area that is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// All that is not farther away.
    Circle {
        /// The distance.
        radius_m: f64,
    },
    /// All within a box along meridians and parallels.
    Box {
        /// From west to east.
        width_m: f64,
        /// From south to north.
        height_m: f64,
    },
}

/// An area to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    center: Point,
    origin: Origin,
    shape: Shape,
    /// Of a circle, the haversine at its edge.
    reach: f64,
}

impl Area {
    /// The area of a shape around a place.
    pub(crate) fn new(center: Point, shape: Shape) -> Area {
        let reach = match shape {
            Shape::Circle { radius_m } => haversine_of(radius_m),
            Shape::Box { .. } => f64::INFINITY,
        };
        Area { center, origin: Origin::new(center), shape, reach }
    }

    /// Whether a place is in the area. How far it is takes longer to tell and is reckoned only
    /// where it is needed for that.
    pub(crate) fn contains(&self, to: Point) -> bool {
        self.circle_contains(to).unwrap_or_else(|| self.distance_m(to).is_some())
    }

    /// Whether a place is in the circle, if it is not too near to its edge to tell without sines.
    fn circle_contains(&self, to: Point) -> Option<bool> {
        if matches!(self.shape, Shape::Box { .. }) {
            return None;
        }
        let [least, most] = self.origin.haversine_bounds(to);
        // The margin is far above what rounding can make of either, or of the distance.
        if least > self.reach * (1.0 + MARGIN) {
            Some(false)
        } else {
            (most < self.reach * (1.0 - MARGIN)).then_some(true)
        }
    }

    /// How far a place is from the center, if it is in the area.
    pub(crate) fn distance_m(&self, to: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius_m } => {
                if self.circle_contains(to) == Some(false) {
                    return None;
                }
                let distance_m = self.origin.distance_m(to);
                (distance_m <= radius_m).then_some(distance_m)
            }
            Shape::Box { width_m, height_m } => {
                let along_parallel = || {
                    let same_parallel = Point { lon: self.center.lon, lat: to.lat };
                    to.distance_m(same_parallel)
                };
                let outside = self.origin.meridian_distance_m(to) > height_m / 2.0
                    || along_parallel() > width_m / 2.0;
                (!outside).then(|| self.origin.distance_m(to))
            }
        }
    }

    /// The ranges of scores, each with its end left out, among which all places of the area are,
    /// in the order in which Redis walks them.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<f64>> {
        let bounds = self.bounds();
        let mut center = Square::around(self.center, self.steps());
        // Near the border of its square the area may reach past the next one.
        if center.steps > 1 && !center.reaches(&bounds) {
            center = Square::around(self.center, center.steps - 1);
        }
        let is_useful = move |(east, north): (i32, i32)| {
            center.steps < 2 || center.needs_neighbour(east, north, &bounds)
        };
        let mut latest = None;
        NEIGHBOURS.into_iter().filter(move |&step| is_useful(step)).filter_map(
            move |(east, north)| {
                let square = center.neighbour(east, north);
                // On the coarsest grids a square is its neighbour's neighbour on either side.
                let repeated = latest == Some(square);
                latest = Some(square);
                (!repeated).then(|| square.scores())
            },
        )
    }

    /// The distance from the center to the farthest corner.
    fn reach_m(&self) -> f64 {
        match self.shape {
            Shape::Circle { radius_m } => radius_m,
            Shape::Box { width_m, height_m } => {
                ((width_m / 2.0) * (width_m / 2.0) + (height_m / 2.0) * (height_m / 2.0)).sqrt()
            }
        }
    }

    /// How often to halve, that a square and its neighbours cover the area: towards the poles
    /// squares get narrower.
    fn steps(&self) -> u32 {
        let mut reach_m = self.reach_m();
        if reach_m == 0.0 {
            return STEPS;
        }
        let mut steps = 1;
        while reach_m < MERCATOR_MOST_M && steps < 64 {
            reach_m *= 2.0;
            steps += 1;
        }
        let lat = self.center.lat.abs();
        let narrower = i32::from(lat > 66.0) + i32::from(lat > 80.0);
        (steps - 2 - narrower).clamp(1, STEPS as i32) as u32
    }

    /// The least and the greatest longitude and latitude of the area.
    fn bounds(&self) -> Bounds {
        let (width_m, height_m) = match self.shape {
            Shape::Circle { radius_m } => (radius_m, radius_m),
            Shape::Box { width_m, height_m } => (width_m / 2.0, height_m / 2.0),
        };
        let Point { lon, lat } = self.center;
        let lat_delta = degrees(height_m / EARTH_RADIUS_M);
        // The parallel nearer to the pole is the shorter one.
        let outer = if lat < 0.0 { lat - lat_delta } else { lat + lat_delta };
        let lon_delta = degrees(width_m / EARTH_RADIUS_M / radians(outer).cos());
        Bounds { lon: lon - lon_delta..lon + lon_delta, lat: lat - lat_delta..lat + lat_delta }
    }
}

/// A box in degrees.
#[derive(Clone, Debug)]
struct Bounds {
    lon: Range<f64>,
    lat: Range<f64>,
}

/// The steps east and north from a square to itself and to those around it.
const NEIGHBOURS: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// A square of the grid that is made by halving so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Square {
    /// Counted from the west.
    column: u32,
    /// Counted from the south.
    row: u32,
    steps: u32,
}

impl Square {
    /// The square a place is in. The very ends of the grid are in squares of their own beyond it.
    fn around(point: Point, steps: u32) -> Square {
        let column = grid_index(point.lon, LON_MOST, steps);
        Square { column, row: grid_index(point.lat, LAT_MOST, steps), steps }
    }

    /// The smallest square with these bits.
    fn of_bits(bits: u64) -> Square {
        Square { column: gather(bits >> 1), row: gather(bits), steps: STEPS }
    }

    /// Column and row interleaved, the row's lowest bit being the lowest.
    fn bits(self) -> u64 {
        spread(self.row) | spread(self.column) << 1
    }

    /// The scores of all places in the square.
    fn scores(self) -> Range<f64> {
        let (bits, shift) = (self.bits(), 2 * (STEPS - self.steps));
        (bits << shift) as f64..((bits + 1) << shift) as f64
    }

    fn lon_range(self) -> Range<f64> {
        degrees_of(self.column, LON_MOST, self.steps)
    }

    fn lat_range(self) -> Range<f64> {
        degrees_of(self.row, LAT_MOST, self.steps)
    }

    /// The square so many columns east and rows north; the grid has no end.
    fn neighbour(self, east: i32, north: i32) -> Square {
        let last = (1 << self.steps) - 1;
        let moved = |index: u32, by: i32| match by {
            0 => index,
            by => index.wrapping_add_signed(by) & last,
        };
        Square { column: moved(self.column, east), row: moved(self.row, north), ..self }
    }

    /// Whether the bounds end before the neighbours do.
    fn reaches(self, bounds: &Bounds) -> bool {
        let short = self.neighbour(0, 1).lat_range().end < bounds.lat.end
            || self.neighbour(0, -1).lat_range().start > bounds.lat.start
            || self.neighbour(1, 0).lon_range().end < bounds.lon.end
            || self.neighbour(-1, 0).lon_range().start > bounds.lon.start;
        !short
    }

    /// Whether the bounds reach beyond this square on the side where a neighbour is.
    fn needs_neighbour(self, east: i32, north: i32, bounds: &Bounds) -> bool {
        let (lon, lat) = (self.lon_range(), self.lat_range());
        let needless = east < 0 && lon.start < bounds.lon.start
            || east > 0 && lon.end > bounds.lon.end
            || north < 0 && lat.start < bounds.lat.start
            || north > 0 && lat.end > bounds.lat.end;
        !needless
    }
}

/// The column or row that a coordinate from `-most` to `most` is in.
fn grid_index(coordinate: f64, most: f64, steps: u32) -> u32 {
    ((coordinate + most) / (most + most) * (1_u64 << steps) as f64) as u32
}

/// The coordinates of a column or row.
fn degrees_of(index: u32, most: f64, steps: u32) -> Range<f64> {
    // The inverse of a power of two is exact, and so is what it makes of an index.
    let part = 1.0 / (1_u64 << steps) as f64;
    let edge = |index: f64| -most + index * part * (most + most);
    edge(f64::from(index))..edge(f64::from(index) + 1.0)
}

/// Puts a zero before each bit.
fn spread(bits: u32) -> u64 {
    let mut bits = u64::from(bits);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// Takes every other bit, from the lowest on.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Point = Point { lon: 13.361389, lat: 38.115556 };
    const CATANIA: Point = Point { lon: 15.087269, lat: 37.502669 };

    #[test]
    fn a_circle_contains_what_is_not_farther_than_its_edge() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut told = 0;
        for _ in 0..20_000 {
            let mut point = || Point {
                lon: (random.f64() - 0.5) * 2.0 * LON_MOST,
                lat: (random.f64() - 0.5) * 2.0 * LAT_MOST,
            };
            let (center, other) = (point(), point());
            let far = Origin::new(center).distance_m(other);
            let near = Point { lon: center.lon + other.lon * 1e-6, lat: center.lat };
            for to in [other, near, center] {
                let exact = Origin::new(center).distance_m(to);
                for factor in [0.0, 0.1, 0.999, 0.999_999_9, 1.0, 1.000_000_1, 1.001, 3.0] {
                    let radius_m = exact * factor;
                    let area = Area::new(center, Shape::Circle { radius_m });
                    let inside = exact <= radius_m;
                    assert_eq!(area.contains(to), inside, "{center:?} {to:?} {radius_m}");
                    assert_eq!(area.distance_m(to), inside.then_some(exact));
                    told += usize::from(area.circle_contains(to).is_some());
                }
            }
            let wide = Area::new(center, Shape::Circle { radius_m: far + 1e9 });
            assert!(wide.contains(other));
        }
        assert!(told > 100_000, "bounds tell most: {told}");
    }

    #[test]
    fn bits_are_spread_and_gathered() {
        for bits in [0, 1, 2, 0x8000_0001, 0xdead_beef, u32::MAX] {
            assert_eq!(gather(spread(bits)), bits);
            assert_eq!(spread(bits) & 0xaaaa_aaaa_aaaa_aaaa, 0);
        }
    }

    #[test]
    fn scores_texts_and_distances_are_those_of_redis() {
        assert_eq!(PALERMO.to_score(), 3_479_099_956_230_698.0);
        assert_eq!(CATANIA.to_score(), 3_479_447_370_796_909.0);
        let kept = [PALERMO, CATANIA].map(|point| Point::of_score(point.to_score()));
        assert_eq!(kept.map(|point| point.to_text()), [*b"sqc8b49rny0", *b"sqdtr74hyu0"]);
        assert_eq!(format!("{:.4}", kept[0].distance_m(kept[1])), "166274.1516");
    }

    #[test]
    fn any_score_stands_for_a_place() {
        let corner = Point { lon: -179.999_997_317_790_99, lat: -85.051_127_512_639_43 };
        for (score, place) in [
            (0.0, corner),
            (f64::INFINITY, corner),
            (f64::NEG_INFINITY, Point { lon: LON_MOST, ..corner }),
            (-1.0, Point { lon: LON_MOST, lat: LAT_MOST }),
            (4_503_599_627_370_496.0, Point { lat: LAT_MOST, ..corner }),
        ] {
            assert_eq!(Point::of_score(score), place, "{score}");
        }
    }

    #[test]
    fn the_ends_of_the_grid_are_on_it() {
        for (lon, lat, is_on_grid) in [
            (180.0, 85.05112878, true),
            (-180.0, -85.05112878, true),
            (180.1, 0.0, false),
            (0.0, -85.06, false),
            (f64::INFINITY, 0.0, false),
        ] {
            assert_eq!(Point { lon, lat }.is_on_grid(), is_on_grid, "{lon} {lat}");
        }
    }

    /// Places all over the globe, closer together near the corners of the grid.
    fn places() -> impl Iterator<Item = Point> {
        let steps = [-1.0, -0.99, -0.7, -0.3, -0.01, 0.0, 0.001, 0.25, 0.6, 0.95, 1.0];
        steps.into_iter().flat_map(move |x| {
            steps.into_iter().map(move |y| Point { lon: x * LON_MOST, lat: y * LAT_MOST })
        })
    }

    #[test]
    fn ranges_do_not_overlap() {
        for center in places() {
            for radius_m in [0.0, 1.0, 5e3, 1e5, 2e6, 1e7, 3e7, f64::INFINITY] {
                let area = Area::new(center, Shape::Circle { radius_m });
                let mut ranges: Vec<_> = area.ranges().collect();
                ranges.sort_by(|a, b| a.start.total_cmp(&b.start));
                assert!(!ranges.is_empty() && ranges.len() <= 9);
                assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{area:?}");
            }
        }
    }

    #[test]
    fn what_is_near_is_within_the_ranges() {
        for center in places().filter(|place| place.lon.abs() < 150.0 && place.lat.abs() < 80.0) {
            for degrees in [1e-4, 0.01, 0.5] {
                let area = Area::new(center, Shape::Circle { radius_m: degrees * 150_000.0 });
                let near = Point { lon: center.lon + degrees, lat: center.lat + degrees / 3.0 };
                let score = near.to_score();
                let is_found = area.ranges().any(|range| range.contains(&score));
                let is_inside = area.distance_m(Point::of_score(score)).is_some();
                assert!(is_inside && is_found, "{near:?} of {area:?}");
            }
        }
    }

    #[test]
    fn a_box_is_not_its_circle() {
        let area = Area::new(PALERMO, Shape::Box { width_m: 400_000.0, height_m: 100_000.0 });
        assert_eq!(area.distance_m(CATANIA), None);
        let area = Area::new(PALERMO, Shape::Box { width_m: 400_000.0, height_m: 400_000.0 });
        assert!(area.distance_m(CATANIA).is_some_and(|m| m as i64 == 166_274));
    }
}

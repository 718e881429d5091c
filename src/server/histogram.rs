//! How often calls took how long, to two significant digits: a counter for each 128th of a power of
//! two, in nanoseconds up to a second.

/// Values below this have a counter of their own.
const EXACT: u64 = 256;
/// Counters for each power of two above.
const STEPS: u64 = EXACT / 2;
/// The longest time that is told from longer ones: a second.
const MOST: u64 = 1_000_000_000;
/// The powers of two above the exact values, up to a second.
const POWERS: u64 = 22;

/// How often something took how long.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Box<[u32]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let counts = vec![0; (EXACT + POWERS * STEPS) as usize];
        Histogram { counts: counts.into_boxed_slice(), total: 0 }
    }
}

/// How far a value is shifted to have eight bits.
fn shift_of(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(EXACT.trailing_zeros())
}

fn place_of(value: u64) -> usize {
    match shift_of(value) {
        0 => value as usize,
        shift => (u64::from(shift) * STEPS + (value >> shift)) as usize,
    }
}

/// The largest value that is counted together with this one.
fn largest_like(value: u64) -> u64 {
    let shift = shift_of(value);
    (((value >> shift) + 1) << shift) - 1
}

/// The largest value of a counter.
fn largest_at(place: usize) -> u64 {
    let place = place as u64;
    if place < EXACT {
        return place;
    }
    let (shift, sub) = (place / STEPS - 1, place % STEPS + STEPS);
    ((sub + 1) << shift) - 1
}

impl Histogram {
    /// Something took so many nanoseconds.
    pub(crate) fn add(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(place_of(ns.min(MOST))) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The time, in microseconds, within which a percentage of all was over.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let wanted = ((percent / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        let reaches = |count: &u32| {
            seen += u64::from(*count);
            seen >= wanted
        };
        self.counts.iter().position(reaches).map_or(0.0, |place| largest_at(place) as f64 / 1000.0)
    }

    /// For each power of two that has some: the microseconds up to it, and how many took so long
    /// or less.
    pub(crate) fn by_powers(&self) -> Vec<(u64, u64)> {
        let (mut found, mut before) = (Vec::new(), 0);
        for power in 0.. {
            let most = largest_like(1024 << power);
            let upto = self.counts.get(..=place_of(most)).unwrap_or(&self.counts);
            let count = upto.iter().map(|&count| u64::from(count)).sum();
            if count > before {
                found.push((most / 1000, count));
                before = count;
            }
            if count == self.total {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_order_and_without_gaps() {
        let mut values: Vec<u64> = (0..10_000).chain((10..30).map(|power| 1 << power)).collect();
        values.sort_unstable();
        for pair in values.windows(2) {
            assert!(place_of(pair[0]) <= place_of(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(largest_at(place_of(value)), largest_like(value), "{value}");
            assert_eq!(place_of(largest_like(value)), place_of(value), "{value}");
        }
        assert!(place_of(MOST) < Histogram::default().counts.len());
    }

    /// The numbers that redis-server shows for such times.
    #[test]
    fn percentiles_and_powers_are_as_redis_shows_them() {
        let mut times = Histogram::default();
        times.add(40_100);
        assert_eq!(times.percentile(50.0), 40.191);
        times.add(900);
        times.add(33_000);
        times.add(5_000_000_000);
        assert_eq!(times.percentile(0.0), 0.903);
        assert_eq!(times.by_powers(), [(1, 1), (33, 2), (66, 3), (1_082_130, 4)]);
        assert_eq!(times.total(), 4);
    }
}

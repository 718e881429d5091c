//! Bringing the first of many into order.
//!
//! Which of several equals come first shows in replies, so this is the very method that Redis
//! takes: Bentley and McIlroy's quicksort ("Engineering a Sort Function", 1993), which leaves alone
//! what lies behind the part that is wanted.

use smallvec::SmallVec;
use std::cmp::Ordering;
use std::ops::Range;

/// Below this many elements insertion is faster.
const INSERTION_BELOW: usize = 7;
/// Above this many elements the pivot is the median of nine rather than of three.
const MEDIAN_OF_NINE_ABOVE: usize = 40;

/// Sorts so far that the first `count` are right and in order.
pub(super) fn sort_first<T>(
    items: &mut [T],
    count: usize,
    order: impl Fn(&T, &T) -> Ordering + Copy,
) {
    // Parts still to sort; a list of its own, as bad luck can make it long.
    let mut parts = SmallVec::<[Range<usize>; 32]>::new();
    parts.push(0..items.len());
    while let Some(part) = parts.pop() {
        let Some(slice) = items.get_mut(part.clone()).filter(|slice| slice.len() > 1) else {
            continue;
        };
        let (less, greater) = split(slice, order);
        for (start, end) in [(0, less), (slice.len() - greater, slice.len())] {
            if part.start + start < count {
                parts.push(part.start + start..part.start + end);
            }
        }
    }
}

/// Moves what is less than some pivot to the front and what is greater to the back; returns how
/// many are left to sort at either end.
fn split<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering + Copy) -> (usize, usize) {
    let end = items.len();
    if end < INSERTION_BELOW {
        insert_all(items, order);
        return (0, 0);
    }
    items.swap(0, pivot(items, order));
    // Equals gather at both ends: before `equal`, and behind `equal_back`.
    let (mut equal, mut low) = (1, 1);
    let (mut high, mut equal_back) = (end - 1, end - 1);
    loop {
        while low <= high {
            match compare(items, low, 0, order) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(equal, low);
                    equal += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low <= high {
            match compare(items, high, 0, order) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(high, equal_back);
                    equal_back -= 1;
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low > high {
            break;
        }
        items.swap(low, high);
        (low, high) = (low + 1, high - 1);
    }
    let (less, greater) = (low - equal, equal_back - high);
    swap_runs(items, 0, low, equal.min(less));
    swap_runs(items, low, end, greater.min(end - 1 - equal_back));
    (less, greater)
}

/// Swaps so many elements from `at` on with as many before `end`.
fn swap_runs<T>(items: &mut [T], at: usize, end: usize, count: usize) {
    (0..count).for_each(|i| items.swap(at + i, end - count + i));
}

fn insert_all<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering + Copy) {
    for from in 1..items.len() {
        let mut at = from;
        while at > 0 && compare(items, at - 1, at, order).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// The place of an element that is likely in the middle.
fn pivot<T>(items: &[T], order: impl Fn(&T, &T) -> Ordering + Copy) -> usize {
    let (middle, last) = (items.len() / 2, items.len() - 1);
    if items.len() == INSERTION_BELOW {
        return middle;
    }
    let median = |a, b, c| median(items, [a, b, c], order);
    if items.len() <= MEDIAN_OF_NINE_ABOVE {
        return median(0, middle, last);
    }
    let step = items.len() / 8;
    median(
        median(0, step, 2 * step),
        median(middle - step, middle, middle + step),
        median(last - 2 * step, last - step, last),
    )
}

/// The place of the middle one of three elements.
fn median<T>(
    items: &[T],
    [a, b, c]: [usize; 3],
    order: impl Fn(&T, &T) -> Ordering + Copy,
) -> usize {
    let compare = |a, b| compare(items, a, b, order);
    if compare(a, b).is_lt() {
        match () {
            () if compare(b, c).is_lt() => b,
            () if compare(a, c).is_lt() => c,
            () => a,
        }
    } else {
        match () {
            () if compare(b, c).is_gt() => b,
            () if compare(a, c).is_lt() => a,
            () => c,
        }
    }
}

/// Compares the elements at two places, both of which exist.
fn compare<T>(items: &[T], a: usize, b: usize, order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (items.get(a), items.get(b)) {
        (Some(a), Some(b)) => order(a, b),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in some order, each below a bound, which makes equals.
    fn numbers(len: usize, bound: usize, seed: usize) -> Vec<usize> {
        let mut state = seed;
        let mut next = || {
            state =
                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            (state >> 33) % bound
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn the_first_are_the_least_in_order() {
        for len in [0, 1, 2, 6, 7, 8, 40, 41, 100, 1_000] {
            for bound in [1, 2, 10, 1_000_000] {
                for (seed, count) in [0, 1, 3, len / 2, len].into_iter().enumerate() {
                    let given = numbers(len, bound, seed + bound);
                    let (mut sorted, mut first) = (given.clone(), given);
                    sorted.sort_unstable();
                    sort_first(&mut first, count, usize::cmp);
                    let count = count.min(len);
                    assert_eq!(first[..count], sorted[..count], "{len} below {bound}, {count}");
                    first.sort_unstable();
                    assert_eq!(first, sorted);
                }
            }
        }
    }

    #[test]
    fn rows_that_are_sorted_or_all_equal_take_no_long_time() {
        for mut items in [vec![7; 200_000], (0..200_000).collect(), (0..200_000).rev().collect()] {
            sort_first(&mut items, 200_000, usize::cmp);
            assert!(items.is_sorted());
        }
    }
}

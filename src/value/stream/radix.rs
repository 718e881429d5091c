//! The size of the radix tree that Redis would keep the nodes of a stream in.
//!
//! There is no such tree here; XINFO tells its size, which follows from the IDs. It is the tree of
//! the IDs' 16 bytes in which a run of bytes without a branch is one node: so each ID has an end of
//! its own, each branch is a node, and so is each run before, between and behind them.

use super::Id;

/// Bytes of an ID.
const DEPTH: usize = 16;

/// How many nodes the tree of these IDs has, which come in order.
pub(super) fn count(ids: impl Iterator<Item = Id>) -> usize {
    let mut count = 0;
    let mut previous: Option<u128> = None;
    // The branch before the latest ID, and all branches above that ID from the root down.
    let (mut before, mut branches) = (None, Vec::with_capacity(DEPTH));
    for id in ids.map(|id| u128::from_be_bytes(id.to_bytes())) {
        if let Some(previous) = previous {
            let branch = (previous ^ id).leading_zeros() as usize / 8;
            count += 1 + run(before.max(Some(branch)), DEPTH);
            count += close(&mut branches, Some(branch));
            if branches.last() != Some(&branch) {
                branches.push(branch);
            }
            before = Some(branch);
        }
        previous = Some(id);
    }
    let last = previous.map_or(0, |_| run(before, DEPTH));
    count + 1 + last + close(&mut branches, None)
}

/// The branches below another that have no more to come, each with the run above it.
fn close(branches: &mut Vec<usize>, next: Option<usize>) -> usize {
    let mut count = 0;
    while let Some(branch) = branches.pop_if(|branch| Some(*branch) > next) {
        count += 1 + run(branches.last().copied().max(next), branch);
    }
    count
}

/// One node if there are bytes between a branch, which takes one itself, and what is below it.
fn run(branch: Option<usize>, below: usize) -> usize {
    usize::from(branch.map_or(0, |branch| branch + 1) < below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[(u64, u64)]) -> usize {
        count(ids.iter().map(|&(ms, seq)| Id { ms, seq }))
    }

    /// Each figure is what Redis 7.0.15 answers.
    #[test]
    fn trees_are_as_large_as_redis_makes_them() {
        assert_eq!(of(&[]), 1);
        assert_eq!(of(&[(1, 1)]), 2);
        assert_eq!(of(&[(1, 1), (1, 2)]), 4);
        assert_eq!(of(&[(1, 1), (2, 1)]), 6);
        assert_eq!(of(&[(1, 1), (2, 1), (256, 1)]), 9);
        assert_eq!(of(&[(1, 1), (1, 2), (1, 300), (2, 1)]), 11);
        assert_eq!(of(&[(1, 1), (1 << 63, 1)]), 5);
    }
}

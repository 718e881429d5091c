//! Delta debugging: the least part of a list that still fails.

/// Leaves out whatever is not needed for the failure, larger pieces first.
pub(crate) fn shrink<T: Clone>(items: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = items.to_vec();
    let mut piece = kept.len().div_ceil(2).max(1);
    loop {
        let before = kept.len();
        let mut at = 0;
        while at < kept.len() {
            let end = (at + piece).min(kept.len());
            let without = [&kept[..at], &kept[end..]].concat();
            if fails(&without) {
                kept = without;
            } else {
                at = end;
            }
        }
        if piece > 1 {
            piece = piece.div_ceil(2);
        } else if kept.len() == before {
            return kept;
        }
    }
}

#[test]
fn what_is_needed_stays() {
    let items: Vec<u32> = (0..500).collect();
    let fails = |items: &[u32]| [3, 77, 499].iter().all(|needed| items.contains(needed));
    assert_eq!(shrink(&items, fails), [3, 77, 499]);
    assert_eq!(shrink(&items, |items| items.len() > 2).len(), 3);
    assert_eq!(shrink(&[1], |_| true), [0; 0]);
}

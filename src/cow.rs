//! Copy on write: changing what may be shared with a snapshot.

/// A pointer that several copies of a collection may share. It is not the standard library's, which
/// asks for weak references too before it lets go of a value for change: an exchange under a lock, for
/// which everything written before has to reach the caches, and one is taken at each level of each
/// change.
pub(crate) use triomphe::Arc;

/// The value for change; copied first if somebody else holds it too. As `Arc::make_mut`, with the
/// rare copy kept out of the caller's way.
#[inline]
pub(crate) fn own<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    if Arc::strong_count(shared) != 1 {
        unshare(shared);
    }
    match Arc::get_mut(shared) {
        Some(value) => value,
        None => unreachable!("only this holder is left"),
    }
}

#[cold]
#[inline(never)]
fn unshare<T: Clone>(shared: &mut Arc<T>) {
    *shared = Arc::new(T::clone(shared));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_copied_and_what_is_not_stays() {
        let mut mine = Arc::new(vec![1]);
        let address = Arc::as_ptr(&mine);
        own(&mut mine).push(2);
        assert_eq!((Arc::as_ptr(&mine), mine.len()), (address, 2));
        let theirs = Arc::clone(&mine);
        own(&mut mine).push(3);
        assert_eq!((theirs.len(), mine.len()), (2, 3));
    }
}

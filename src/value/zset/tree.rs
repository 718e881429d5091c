//! The order of an indexed sorted set: a B+tree that counts.
//!
//! Entries lie in leaves, in order; an inner node knows of each child how many
//! entries are below it and which is the first. So a position is found by place
//! or by rank in one descent. Nodes are shared: a clone of the tree is one
//! reference, and a change copies only the shared nodes on its way down.
//!
//! This room may not know of the index from member to score. It takes for
//! granted that the caller adds no place twice.

use std::sync::Arc;

use super::member::{ARC_HEADER_BYTES, Place, Scored};

/// The most entries of a leaf.
const LEAF_ENTRIES: usize = 64;

/// The most children of an inner node.
const FANOUT: usize = 32;

/// Nodes grow by this many slots: half a leaf lying idle would cost more than
/// the reallocations do.
const GROWTH: usize = 8;

/// The entries of a sorted set in order.
#[derive(Clone)]
pub(crate) struct Tree {
    root: Arc<Node>,
    /// The number of entries.
    len: usize,
    /// Bytes allocated for nodes, kept up to date by `edit` and by whoever
    /// makes or drops a node.
    heap: usize,
}

/// A node; all leaves have the same depth.
#[derive(Clone)]
enum Node {
    /// Entries in order.
    Leaf(Vec<Scored>),
    /// Children in order.
    Inner(Vec<Child>),
}

/// What an inner node knows of a child. The child is never empty.
#[derive(Clone)]
struct Child {
    /// The first entry below: exact, so that predicates see live entries only.
    low: Scored,
    /// The number of entries below.
    count: usize,
    /// The child itself.
    node: Arc<Node>,
}

impl Tree {
    /// A tree without entries.
    pub(crate) fn new() -> Tree {
        let root = Node::Leaf(Vec::new());
        Tree { len: 0, heap: root.own_size(), root: Arc::new(root) }
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated for nodes, without what entries own. O(1).
    pub(crate) fn heap_size(&self) -> usize {
        self.heap
    }

    /// Adds an entry whose place is not taken.
    pub(crate) fn insert(&mut self, entry: Scored) {
        let split = edit(&mut self.root, &mut self.heap, |root, heap| root.insert(entry, heap));
        self.len += 1;
        if let Some(right) = split {
            self.grow(right);
        }
    }

    /// Takes out the entry at `place`.
    pub(crate) fn remove(&mut self, place: Place<'_>) -> Option<Scored> {
        self.take(place, None)
    }

    /// Gives the entry at `place` another score, and its new position.
    pub(crate) fn move_to(&mut self, place: Place<'_>, score: f64) {
        if let Some(mut entry) = self.take(place, Some(score)) {
            entry.score = score;
            self.insert(entry);
        }
    }

    /// The number of leading entries for which `is_leading` is true.
    pub(crate) fn count_leading(&self, is_leading: impl Fn(&Scored) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        while let Node::Inner(children) = &**node {
            let after = children.partition_point(|child| is_leading(&child.low));
            let Some((last, before)) = children.get(..after).and_then(<[Child]>::split_last) else {
                return rank;
            };
            rank += before.iter().map(|child| child.count).sum::<usize>();
            node = &last.node;
        }
        rank + node.entries().partition_point(&is_leading)
    }

    /// Up to `count` entries from rank `start` on.
    pub(crate) fn range(&self, start: usize, count: usize) -> Range<'_> {
        let start = start.min(self.len);
        let end = start.saturating_add(count).min(self.len);
        Range { tree: self, start, end, head: &[], tail: &[] }
    }
}

impl Tree {
    /// The leaf of the entry with this rank, and the entry's position in it.
    fn leaf_at(&self, mut rank: usize) -> (&[Scored], usize) {
        let mut node = &self.root;
        while let Node::Inner(children) = &**node {
            let below = children.iter().find(|child| {
                let is_below = rank < child.count;
                rank -= if is_below { 0 } else { child.count };
                is_below
            });
            let Some(child) = below else {
                return (&[], 0);
            };
            node = &child.node;
        }
        (node.entries(), rank)
    }

    /// Takes an entry out, unless it can be given the score `to` where it is.
    fn take(&mut self, place: Place<'_>, to: Option<f64>) -> Option<Scored> {
        let taken = edit(&mut self.root, &mut self.heap, |root, heap| root.take(place, to, heap))?;
        self.len -= 1;
        self.shrink();
        Some(taken)
    }

    /// Puts a new root above the present one and its right half.
    fn grow(&mut self, right: Child) {
        let empty = Arc::new(Node::Inner(Vec::new()));
        let left = std::mem::replace(&mut self.root, empty);
        let count = self.len - right.count;
        let mut children = Vec::with_capacity(GROWTH);
        children.extend(left.low().cloned().map(|low| Child { low, count, node: left }));
        children.push(right);
        let root = Node::Inner(children);
        self.heap += root.own_size();
        self.root = Arc::new(root);
    }

    /// Removes a root that has become superfluous.
    fn shrink(&mut self) {
        if self.len == 0 {
            *self = Tree::new();
        }
        while let Node::Inner(children) = &*self.root
            && let [only] = children.as_slice()
        {
            self.heap = self.heap.saturating_sub(self.root.own_size());
            self.root = Arc::clone(&only.node);
        }
    }
}

/// Changes a node, copying it first if it is shared, and books its growth.
fn edit<R>(
    node: &mut Arc<Node>,
    heap: &mut usize,
    change: impl FnOnce(&mut Node, &mut usize) -> R,
) -> R {
    // Measured before the copy: a copy has no idle slots.
    let before = node.own_size();
    let node = Arc::make_mut(node);
    let result = change(node, heap);
    *heap = (*heap + node.own_size()).saturating_sub(before);
    result
}

impl Node {
    /// Bytes that this node alone has allocated.
    fn own_size(&self) -> usize {
        let slots = match self {
            Node::Leaf(entries) => entries.capacity() * size_of::<Scored>(),
            Node::Inner(children) => children.capacity() * size_of::<Child>(),
        };
        ARC_HEADER_BYTES + size_of::<Node>() + slots
    }

    /// The number of entries of a leaf or of children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// The number of entries below.
    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    /// The entries of a leaf; none of an inner node.
    fn entries(&self) -> &[Scored] {
        match self {
            Node::Leaf(entries) => entries,
            Node::Inner(_) => &[],
        }
    }

    /// The first entry below.
    fn low(&self) -> Option<&Scored> {
        match self {
            Node::Leaf(entries) => entries.first(),
            Node::Inner(children) => children.first().map(|child| &child.low),
        }
    }

    /// The width which two nodes may have together to become one. It leaves
    /// room, lest the next insertion split them again.
    fn merge_limit(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_ENTRIES * 3 / 4,
            Node::Inner(_) => FANOUT * 3 / 4,
        }
    }

    /// True if this node should look for a neighbour to merge with.
    fn is_sparse(&self) -> bool {
        self.width() < self.merge_limit() / 3
    }

    /// Adds an entry below; gives the right half if the node had to be split.
    fn insert(&mut self, entry: Scored, heap: &mut usize) -> Option<Child> {
        let right = match self {
            Node::Leaf(entries) => {
                let place = entry.place();
                let at = entries.partition_point(|other| other.is_before(place));
                Node::Leaf(insert_or_split(entries, at, entry, LEAF_ENTRIES)?)
            }
            Node::Inner(children) => {
                let at = child_for(children, entry.place());
                let split = children.get_mut(at)?.insert(entry, heap)?;
                Node::Inner(insert_or_split(children, at + 1, split, FANOUT)?)
            }
        };
        *heap += right.own_size();
        Child::new(right)
    }

    /// Takes the entry at `place` out and gives it, or, if `to` is a score that
    /// leaves it between its neighbours, overwrites its score and gives `None`.
    fn take(&mut self, place: Place<'_>, to: Option<f64>, heap: &mut usize) -> Option<Scored> {
        match self {
            Node::Leaf(entries) => take_entry(entries, place, to),
            Node::Inner(children) => {
                let at = child_for(children, place);
                let child = children.get_mut(at)?;
                let taken = child.take(place, to, heap)?;
                if child.node.is_sparse() {
                    tidy(children, at, heap);
                }
                Some(taken)
            }
        }
    }

    /// Moves everything in `right` to the end of this node of the same depth.
    fn append(&mut self, right: Node) {
        match (self, right) {
            (Node::Leaf(entries), Node::Leaf(more)) => extend_tightly(entries, more),
            (Node::Inner(children), Node::Inner(more)) => extend_tightly(children, more),
            _ => {}
        }
    }
}

impl Child {
    /// Takes a node that is not empty as a child.
    fn new(node: Node) -> Option<Child> {
        let low = node.low()?.clone();
        Some(Child { low, count: node.count(), node: Arc::new(node) })
    }

    /// Adds an entry below; gives the right half if the node had to be split.
    fn insert(&mut self, entry: Scored, heap: &mut usize) -> Option<Child> {
        if entry.is_before(self.low.place()) {
            self.low = entry.clone();
        }
        self.count += 1;
        let right = edit(&mut self.node, heap, |node, heap| node.insert(entry, heap))?;
        self.count -= right.count;
        Some(right)
    }

    /// Like `Node::take`; keeps count and first entry right.
    fn take(&mut self, place: Place<'_>, to: Option<f64>, heap: &mut usize) -> Option<Scored> {
        let taken = edit(&mut self.node, heap, |node, heap| node.take(place, to, heap))?;
        self.count -= 1;
        if !self.low.is_before(place)
            && let Some(low) = self.node.low()
        {
            self.low = low.clone();
        }
        Some(taken)
    }
}

/// The position of the child under which `place` belongs.
fn child_for(children: &[Child], place: Place<'_>) -> usize {
    let after = children.partition_point(|child| !child.low.is_after(place));
    after.saturating_sub(1)
}

/// Inserts at `at`; a full node is split first, and the right part given.
///
/// A node that grows at its end is left full, so that ascending insertion
/// builds a dense tree.
fn insert_or_split<T>(items: &mut Vec<T>, at: usize, item: T, limit: usize) -> Option<Vec<T>> {
    if items.len() < limit {
        insert_tightly(items, at, item);
        return None;
    }
    let cut = if at == items.len() { at } else { items.len() / 2 };
    let mut right = items.split_off(cut);
    trim(items);
    match at.checked_sub(cut) {
        Some(at) => insert_tightly(&mut right, at, item),
        None => insert_tightly(items, at, item),
    }
    Some(right)
}

/// Inserts, and grows the vector by a few slots only.
fn insert_tightly<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(GROWTH);
    }
    items.insert(at, item);
}

/// Appends, without idle slots.
fn extend_tightly<T>(items: &mut Vec<T>, more: Vec<T>) {
    items.reserve_exact(more.len());
    items.extend(more);
}

/// Gives back idle slots once they are more than two steps of growth.
fn trim<T>(items: &mut Vec<T>) {
    if items.capacity() - items.len() > 2 * GROWTH {
        items.shrink_to(items.len() + GROWTH);
    }
}

/// `Node::take` on the entries of a leaf.
fn take_entry(entries: &mut Vec<Scored>, place: Place<'_>, to: Option<f64>) -> Option<Scored> {
    let at = entries.partition_point(|entry| entry.is_before(place));
    let entry = entries.get(at).filter(|entry| !entry.is_after(place))?;
    let member = entry.place().member;
    if let Some(score) = to
        && fits_at(entries, at, Place { score, member })
    {
        entries.get_mut(at)?.score = score;
        return None;
    }
    let taken = entries.remove(at);
    trim(entries);
    Some(taken)
}

/// True if `place` lies between both neighbours of the entry at `at`. The ends
/// of a leaf do not qualify: a neighbour is in another leaf, and the first entry
/// is known further up.
fn fits_at(entries: &[Scored], at: usize, place: Place<'_>) -> bool {
    let before = at.checked_sub(1).and_then(|before| entries.get(before));
    match (before, entries.get(at + 1)) {
        (Some(before), Some(after)) => before.is_before(place) && after.is_after(place),
        _ => false,
    }
}

/// Drops the child at `at` if it is empty, or merges it with a neighbour if the
/// two fit one node. There is no lending between neighbours: next to a sparse
/// node there is always one that is not, which bounds the waste well enough.
fn tidy(children: &mut Vec<Child>, at: usize, heap: &mut usize) {
    if children.get(at).is_some_and(|child| child.count == 0) {
        let empty = children.remove(at);
        *heap = heap.saturating_sub(empty.node.own_size());
    } else if can_merge(children, at) {
        merge(children, at, heap);
    } else if let Some(before) = at.checked_sub(1).filter(|&before| can_merge(children, before)) {
        merge(children, before, heap);
    }
    trim(children);
}

/// True if the child at `at` and the next one fit one node.
fn can_merge(children: &[Child], at: usize) -> bool {
    match (children.get(at), children.get(at + 1)) {
        (Some(left), Some(right)) => {
            left.node.width() + right.node.width() <= left.node.merge_limit()
        }
        _ => false,
    }
}

/// Merges the child after `at`, which must exist, into the one at `at`.
fn merge(children: &mut Vec<Child>, at: usize, heap: &mut usize) {
    let right = children.remove(at + 1);
    *heap = heap.saturating_sub(right.node.own_size());
    if let Some(left) = children.get_mut(at) {
        left.count += right.count;
        let right = Arc::unwrap_or_clone(right.node);
        edit(&mut left.node, heap, |node, _| node.append(right));
    }
}

/// The entries between two ranks, from either end.
///
/// Each end holds what is left of its leaf, and looks the next leaf up by rank.
#[derive(Clone)]
pub(crate) struct Range<'a> {
    tree: &'a Tree,
    /// The rank of the next entry at the front.
    start: usize,
    /// The rank after the next entry at the back.
    end: usize,
    /// Entries of the leaf at the front, from `start` on.
    head: &'a [Scored],
    /// Entries of the leaf at the back, up to `end`.
    tail: &'a [Scored],
}

impl<'a> Iterator for Range<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        if self.start == self.end {
            return None;
        }
        if self.head.is_empty() {
            let (leaf, at) = self.tree.leaf_at(self.start);
            self.head = leaf.get(at..)?;
        }
        let (entry, rest) = self.head.split_first()?;
        self.head = rest;
        self.start += 1;
        Some(entry.place())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.start;
        (left, Some(left))
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.start == self.end {
            return None;
        }
        if self.tail.is_empty() {
            let (leaf, at) = self.tree.leaf_at(self.end - 1);
            self.tail = leaf.get(..=at)?;
        }
        let (entry, rest) = self.tail.split_last()?;
        self.tail = rest;
        self.end -= 1;
        Some(entry.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every invariant below `node`; gives its depth and its bytes.
    fn check(node: &Node) -> (usize, usize) {
        match node {
            Node::Leaf(entries) => {
                assert!(entries.len() <= LEAF_ENTRIES);
                (0, node.own_size())
            }
            Node::Inner(children) => {
                assert!((1..=FANOUT).contains(&children.len()));
                let below: Vec<_> = children.iter().map(check_child).collect();
                assert!(below.iter().all(|&(depth, _)| depth == below[0].0));
                let bytes: usize = below.iter().map(|&(_, bytes)| bytes).sum();
                (below[0].0 + 1, bytes + node.own_size())
            }
        }
    }

    fn check_child(child: &Child) -> (usize, usize) {
        assert!(child.count > 0);
        assert_eq!(child.count, child.node.count());
        let (low, first) = (child.low.place(), child.node.low().unwrap().place());
        assert_eq!((low.score, low.member), (first.score, first.member));
        check(&child.node)
    }

    fn check_tree(tree: &Tree) {
        let (_, bytes) = check(&tree.root);
        assert_eq!(tree.heap_size(), bytes);
        assert_eq!(tree.len(), tree.root.count());
        let places: Vec<_> = tree.range(0, usize::MAX).collect();
        assert!(places.windows(2).all(|pair| pair[0].is_before(pair[1])));
        assert_eq!(places.len(), tree.len());
    }

    fn place(score: f64) -> Place<'static> {
        Place { score, member: b"m" }
    }

    fn filled(scores: impl Iterator<Item = u32>) -> Tree {
        let mut tree = Tree::new();
        scores.for_each(|score| tree.insert(Scored::new(place(f64::from(score)))));
        check_tree(&tree);
        tree
    }

    #[test]
    fn ascending_insertion_leaves_the_leaves_full() {
        let tree = filled(0..100_000);
        assert!(tree.heap_size() < 100_000 * 35, "{}", tree.heap_size());
    }

    #[test]
    fn scattered_and_descending_insertion_stay_tight() {
        for tree in [filled((0..100_003).rev()), filled((0..100_003).map(|at| at * 7919 % 100_003))]
        {
            assert!(tree.heap_size() < 100_003 * 42, "{}", tree.heap_size());
        }
    }

    #[test]
    fn removal_in_any_order_gives_memory_back() {
        type Order = fn(u32) -> u32;
        let orders: [Order; 3] = [|at| at, |at| 10_006 - at, |at| at * 7919 % 10_007];
        for order in orders {
            let mut tree = filled(0..10_007);
            for at in 0..10_007 {
                assert!(tree.remove(place(f64::from(order(at)))).is_some());
                if at % 500 == 0 || at > 9_990 {
                    check_tree(&tree);
                    let most = 2_000 + (tree.len() * size_of::<Scored>()) * 5 / 2;
                    assert!(tree.heap_size() < most, "{} of {most}", tree.heap_size());
                }
            }
            assert!(matches!(&*tree.root, Node::Leaf(entries) if entries.is_empty()));
        }
    }

    #[test]
    fn absent_places_are_not_taken() {
        let mut tree = filled(10..1_000);
        for score in [0.0, 10.5, 5_000.0] {
            assert!(tree.remove(place(score)).is_none());
            tree.move_to(place(score), 1.0);
        }
        check_tree(&tree);
        assert!(Tree::new().remove(place(1.0)).is_none());
    }

    #[test]
    fn a_shared_tree_is_copied_on_change() {
        let mut tree = filled(0..5_000);
        let before = tree.clone();
        for score in 0..2_500 {
            tree.remove(place(f64::from(score)));
            tree.insert(Scored::new(place(f64::from(score) + 10_000.5)));
            tree.move_to(place(4_999.0), 4_998.5 + f64::from(score) / 10_000.0);
            tree.move_to(place(4_998.5 + f64::from(score) / 10_000.0), 4_999.0);
        }
        check_tree(&tree);
        check_tree(&before);
        let scores: Vec<_> = before.range(0, usize::MAX).map(|place| place.score).collect();
        assert!(scores.iter().zip(0..).all(|(&score, at)| score == f64::from(at)));
    }

    #[test]
    fn ranges_run_from_both_ends() {
        let tree = filled(0..1_000);
        let mut range = tree.range(100, 300);
        assert_eq!(range.size_hint(), (300, Some(300)));
        for at in 0..150 {
            assert_eq!(range.next().map(|place| place.score), Some(f64::from(100 + at)));
            assert_eq!(range.next_back().map(|place| place.score), Some(f64::from(399 - at)));
        }
        assert!(range.next().is_none() && range.next_back().is_none());
        assert_eq!(tree.range(5_000, 1).count(), 0);
        assert_eq!(tree.range(990, usize::MAX).count(), 10);
    }
}

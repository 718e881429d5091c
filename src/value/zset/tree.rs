//! The order of an indexed sorted set: a B+tree that counts.
//!
//! Entries lie in leaves, in order; an inner node knows of each child how many
//! entries are below it and which is the first. So a position is found by place
//! or by rank in one descent. Nodes are shared: a clone of the tree is one
//! reference, and a change copies only the shared nodes on its way down.
//!
//! This room may not know of the index from member to score. It takes for
//! granted that the caller adds no place twice.

use std::slice::Iter;

use super::entries::{Entries, Run, WIDTH, grow, trim};
use super::member::{ARC_HEADER_BYTES, Place, Scored};
use crate::cow::{Arc, own};

/// The width which two nodes may have together to become one. It leaves room,
/// lest the next insertion split them again.
const MERGED_WIDTH: usize = WIDTH * 3 / 4;

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
    Leaf(Entries),
    /// Children in order.
    Inner(Inner),
}

/// What an inner node knows of its children, none of which is empty.
#[derive(Clone)]
struct Inner {
    /// The first entry below each: exact, so that predicates see live entries only.
    lows: Entries,
    /// The rest; boxed, lest leaves take as much room.
    below: Box<Below>,
}

/// The children of an inner node.
#[derive(Clone)]
struct Below {
    /// The number of entries below each, 0 where there is no child. Half as wide as other
    /// counts, so that a sum of them is made of few loads: so many members fit no memory.
    counts: [u32; WIDTH],
    /// The children themselves.
    nodes: Vec<Arc<Node>>,
}

/// Which entry is meant.
#[derive(Clone, Copy)]
enum Spot<'a> {
    /// The one at this place, if there is one.
    Place(Place<'a>),
    /// The one with so many before it.
    Rank(usize),
}

impl Spot<'_> {
    /// Whether it is this entry, the first of those below a node.
    #[inline]
    fn is_first(self, first: Place<'_>) -> bool {
        match self {
            Spot::Place(place) => first.is(place),
            Spot::Rank(rank) => rank == 0,
        }
    }
}

/// A node that is to become the child of another.
struct Child {
    low: Scored,
    count: u32,
    node: Arc<Node>,
}

impl Tree {
    /// A tree without entries.
    pub(crate) fn new() -> Tree {
        let root = Node::Leaf(Entries::new());
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
        self.take(Spot::Place(place), None)
    }

    /// Takes out the entry with this rank.
    pub(crate) fn remove_rank(&mut self, rank: usize) -> Option<Scored> {
        self.take(Spot::Rank(rank), None)
    }

    /// Gives the entry at `place` another score, and its new position.
    pub(crate) fn move_to(&mut self, place: Place<'_>, score: f64) {
        if let Some(mut entry) = self.take(Spot::Place(place), Some(score)) {
            entry.score = score;
            self.insert(entry);
        }
    }

    /// The number of entries before the one at `place`, which is there.
    pub(crate) fn rank(&self, place: Place<'_>) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        while let Node::Inner(inner) = &**node {
            let at = inner.child_for(place);
            rank += inner.count_before(at);
            let Some(child) = inner.below.nodes.get(at) else { return rank };
            node = child;
        }
        rank + node.entries().position_of(place)
    }

    /// The number of leading entries for which `is_leading` is true.
    pub(crate) fn count_leading(&self, is_leading: impl Fn(Place<'_>) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        while let Node::Inner(inner) = &**node {
            let after = inner.lows.count_leading(&is_leading);
            let Some(at) = after.checked_sub(1) else { return rank };
            rank += inner.count_before(at);
            let Some(child) = inner.below.nodes.get(at) else { return rank };
            node = child;
        }
        rank + node.entries().count_leading(is_leading)
    }

    /// Up to `count` entries from rank `start` on.
    pub(crate) fn range(&self, start: usize, count: usize) -> Range<'_> {
        let start = start.min(self.len);
        let end = start.saturating_add(count).min(self.len);
        let none = || Iter::default().zip(Iter::default());
        Range { tree: self, start, end, head: none(), tail: none() }
    }
}

impl Tree {
    /// The leaf of the entry with this rank, and the entry's position in it.
    fn leaf_at(&self, mut rank: usize) -> (&Entries, usize) {
        let mut node = &self.root;
        while let Node::Inner(inner) = &**node {
            let (at, left) = inner.child_of_rank(rank);
            let Some(child) = inner.below.nodes.get(at) else { break };
            (node, rank) = (child, left);
        }
        (node.entries(), rank)
    }

    /// Takes an entry out, unless it can be given the score `to` in its leaf.
    fn take(&mut self, spot: Spot<'_>, to: Option<f64>) -> Option<Scored> {
        let taken = edit(&mut self.root, &mut self.heap, |root, heap| root.take(spot, to, heap))?;
        self.len -= 1;
        self.shrink();
        Some(taken)
    }

    /// Puts a new root above the present one and its right half.
    fn grow(&mut self, right: Child) {
        let mut root = Inner::new();
        if let Some(low) = self.root.entries().get(0) {
            let count = self.len as u32 - right.count;
            root.insert(0, Child { low, count, node: Arc::clone(&self.root) });
        }
        root.insert(1, right);
        let root = Node::Inner(root);
        self.heap += root.own_size();
        self.root = Arc::new(root);
    }

    /// Removes a root that has become superfluous.
    fn shrink(&mut self) {
        if self.len == 0 {
            *self = Tree::new();
        }
        while let Node::Inner(inner) = &*self.root
            && let [only] = inner.below.nodes.as_slice()
        {
            self.heap = self.heap.saturating_sub(self.root.own_size());
            self.root = Arc::clone(only);
        }
    }
}

/// Changes a node, copying it first if it is shared, and books its growth.
#[inline]
fn edit<R>(
    node: &mut Arc<Node>,
    heap: &mut usize,
    change: impl FnOnce(&mut Node, &mut usize) -> R,
) -> R {
    // Measured before the copy: a copy has no idle slots.
    let before = node.own_size();
    let node = own(node);
    let result = change(node, heap);
    *heap = (*heap + node.own_size()).saturating_sub(before);
    result
}

impl Node {
    /// Bytes that this node alone has allocated.
    #[inline]
    fn own_size(&self) -> usize {
        let slots = match self {
            Node::Leaf(entries) => entries.heap_size(),
            Node::Inner(inner) => inner.heap_size(),
        };
        ARC_HEADER_BYTES + size_of::<Node>() + slots
    }

    /// The entries of a leaf, or the first ones of an inner node's children.
    fn entries(&self) -> &Entries {
        match self {
            Node::Leaf(entries) => entries,
            Node::Inner(inner) => &inner.lows,
        }
    }

    /// The number of entries of a leaf or of children.
    fn width(&self) -> usize {
        self.entries().len()
    }

    /// The number of entries below.
    fn count(&self) -> u32 {
        match self {
            Node::Leaf(entries) => entries.len() as u32,
            Node::Inner(inner) => inner.below.counts.iter().sum(),
        }
    }

    /// True if this node should look for a neighbour to merge with.
    fn is_sparse(&self) -> bool {
        self.width() < MERGED_WIDTH / 3
    }

    /// Adds an entry below; gives the right half if the node had to be split.
    fn insert(&mut self, entry: Scored, heap: &mut usize) -> Option<Child> {
        let right = match self {
            Node::Leaf(entries) => {
                let at = entries.position(entry.place());
                if entries.len() < WIDTH {
                    entries.insert(at, entry);
                    return None;
                }
                Node::Leaf(split_leaf(entries, at, entry))
            }
            Node::Inner(inner) => {
                let (at, split) = inner.insert_below(entry, heap)?;
                if inner.len() < WIDTH {
                    inner.insert(at + 1, split);
                    return None;
                }
                Node::Inner(inner.split(at + 1, split))
            }
        };
        *heap += right.own_size();
        let low = right.entries().get(0)?;
        Some(Child { low, count: right.count(), node: Arc::new(right) })
    }

    /// Takes the entry at `spot` out and gives it, or, if `to` is a score that
    /// leaves it between others of its leaf, moves it there and gives `None`.
    fn take(&mut self, spot: Spot<'_>, to: Option<f64>, heap: &mut usize) -> Option<Scored> {
        match self {
            Node::Leaf(entries) => {
                let at = match spot {
                    Spot::Place(place) => {
                        let at = entries.position_of(place);
                        entries.place(at).filter(|found| found.is(place))?;
                        at
                    }
                    Spot::Rank(rank) if rank < entries.len() => rank,
                    Spot::Rank(_) => return None,
                };
                if to.is_some_and(|score| entries.rescore(at, score)) {
                    return None;
                }
                Some(entries.remove(at))
            }
            Node::Inner(inner) => inner.take(spot, to, heap),
        }
    }

    /// Moves everything in `right` to the end of this node of the same depth.
    fn append(&mut self, right: Node) {
        match (self, right) {
            (Node::Leaf(entries), Node::Leaf(more)) => entries.append(more),
            (Node::Inner(inner), Node::Inner(more)) => inner.append(more),
            _ => {}
        }
    }
}

/// Where to cut a full node of which one more is to come at a position.
///
/// A node that grows at one of its ends is left full, so that ascending and
/// descending insertion build a dense tree.
fn cut(at: usize, len: usize) -> usize {
    if at == 0 || at == len { at } else { len / 2 }
}

/// The position that an item gets in the right part of a node which is cut, if it goes there. An
/// item that begins a node is alone in the left part.
fn position_in_right(at: usize, cut: usize) -> Option<usize> {
    at.checked_sub(cut).filter(|_| cut > 0)
}

/// Splits a full leaf and inserts at `at`; gives the right part.
fn split_leaf(entries: &mut Entries, at: usize, entry: Scored) -> Entries {
    let cut = cut(at, entries.len());
    let mut right = entries.split_off(cut);
    match position_in_right(at, cut) {
        Some(at) => right.insert(at, entry),
        None => entries.insert(at, entry),
    }
    right
}

impl Inner {
    /// No children.
    fn new() -> Inner {
        let below = Box::new(Below { counts: [0; WIDTH], nodes: Vec::new() });
        Inner { lows: Entries::new(), below }
    }

    /// The number of children.
    fn len(&self) -> usize {
        self.below.nodes.len()
    }

    /// Bytes allocated outside of this.
    fn heap_size(&self) -> usize {
        let nodes = self.below.nodes.capacity() * size_of::<Arc<Node>>();
        self.lows.heap_size() + size_of::<Below>() + nodes
    }

    /// The position of the child under which `place` belongs.
    #[inline]
    fn child_for(&self, place: Place<'_>) -> usize {
        self.lows.count_up_to(place).saturating_sub(1)
    }

    /// The position of the child below which the entry with a rank is, and how many of that child's
    /// are before it.
    #[inline]
    fn child_of_rank(&self, mut rank: usize) -> (usize, usize) {
        let below = self.below.counts.iter().position(|&count| {
            let is_below = rank < count as usize;
            rank -= if is_below { 0 } else { count as usize };
            is_below
        });
        (below.unwrap_or(WIDTH), rank)
    }

    /// The number of entries below the children before one.
    #[inline]
    fn count_before(&self, at: usize) -> usize {
        // Over all of them, as a loop that may end anywhere is one more branch to mispredict.
        let counts = (0..).zip(&self.below.counts);
        counts.map(|(other, &count)| if other < at as u32 { count } else { 0 }).sum::<u32>()
            as usize
    }

    /// Adds a child at a position; there must be room.
    fn insert(&mut self, at: usize, child: Child) {
        let len = self.len();
        let Below { counts, nodes } = &mut *self.below;
        self.lows.insert(at, child.low);
        counts.copy_within(at..len, at + 1);
        counts.iter_mut().skip(at).take(1).for_each(|count| *count = child.count);
        grow(nodes);
        nodes.insert(at, child.node);
    }

    /// Takes out what is known of a child.
    fn remove(&mut self, at: usize) -> Arc<Node> {
        let len = self.len();
        let Below { counts, nodes } = &mut *self.below;
        self.lows.remove(at);
        counts.copy_within(at + 1..len, at);
        counts.iter_mut().skip(len - 1).for_each(|count| *count = 0);
        let node = nodes.remove(at);
        trim(nodes);
        node
    }

    /// Splits the full node and inserts at `at`; gives the right part.
    fn split(&mut self, at: usize, child: Child) -> Inner {
        let cut = cut(at, self.len());
        let mut right = Inner { lows: self.lows.split_off(cut), ..Inner::new() };
        right.below.nodes = self.below.nodes.split_off(cut);
        trim(&mut self.below.nodes);
        let counts = self.below.counts.iter_mut().skip(cut);
        for (slot, count) in right.below.counts.iter_mut().zip(counts) {
            *slot = std::mem::take(count);
        }
        match position_in_right(at, cut) {
            Some(at) => right.insert(at, child),
            None => self.insert(at, child),
        }
        right
    }

    /// Moves everything in `right` to the end.
    fn append(&mut self, right: Inner) {
        let len = self.len();
        let Below { counts, nodes } = *right.below;
        self.lows.append(right.lows);
        self.below.counts.iter_mut().skip(len).zip(counts).for_each(|(slot, count)| *slot = count);
        self.below.nodes.reserve_exact(nodes.len());
        self.below.nodes.extend(nodes);
    }

    /// Adds an entry below; gives the position of its child and the right half if that had to be
    /// split.
    fn insert_below(&mut self, entry: Scored, heap: &mut usize) -> Option<(usize, Child)> {
        let place = entry.place();
        let at = self.child_for(place);
        if at == 0 && self.lows.place(0).is_some_and(|low| place.is_before(low)) {
            self.lows.replace(0, entry.clone());
        }
        let Below { counts, nodes } = &mut *self.below;
        let (count, node) = (counts.get_mut(at)?, nodes.get_mut(at)?);
        *count += 1;
        let right = edit(node, heap, |node, heap| node.insert(entry, heap))?;
        *count -= right.count;
        Some((at, right))
    }

    /// `Node::take`; keeps counts and first entries right.
    fn take(&mut self, spot: Spot<'_>, to: Option<f64>, heap: &mut usize) -> Option<Scored> {
        let (at, spot) = match spot {
            Spot::Place(place) => (self.child_for(place), spot),
            Spot::Rank(rank) => {
                let (at, left) = self.child_of_rank(rank);
                (at, Spot::Rank(left))
            }
        };
        let Below { counts, nodes } = &mut *self.below;
        let (count, node) = (counts.get_mut(at)?, nodes.get_mut(at)?);
        let taken = edit(node, heap, |node, heap| node.take(spot, to, heap))?;
        *count -= 1;
        let low_is_gone = self.lows.place(at).is_some_and(|low| spot.is_first(low));
        if low_is_gone && let Some(low) = node.entries().get(0) {
            self.lows.replace(at, low);
        }
        if node.is_sparse() {
            self.tidy(at, heap);
        }
        Some(taken)
    }

    /// Drops the child at `at` if it is empty, or merges it with a neighbour if the
    /// two fit one node. There is no lending between neighbours: next to a sparse
    /// node there is always one that is not, which bounds the waste well enough.
    fn tidy(&mut self, at: usize, heap: &mut usize) {
        if self.below.counts.get(at) == Some(&0) {
            *heap = heap.saturating_sub(self.remove(at).own_size());
        } else if self.can_merge(at) {
            self.merge(at, heap);
        } else if let Some(before) = at.checked_sub(1).filter(|&before| self.can_merge(before)) {
            self.merge(before, heap);
        }
    }

    /// True if the child at `at` and the next one fit one node.
    fn can_merge(&self, at: usize) -> bool {
        match (self.below.nodes.get(at), self.below.nodes.get(at + 1)) {
            (Some(left), Some(right)) => left.width() + right.width() <= MERGED_WIDTH,
            _ => false,
        }
    }

    /// Merges the child after `at`, which must exist, into the one at `at`.
    fn merge(&mut self, at: usize, heap: &mut usize) {
        let right = self.remove(at + 1);
        *heap = heap.saturating_sub(right.own_size());
        let right = Arc::unwrap_or_clone(right);
        let Below { counts, nodes } = &mut *self.below;
        if let (Some(count), Some(left)) = (counts.get_mut(at), nodes.get_mut(at)) {
            *count += right.count();
            edit(left, heap, |node, _| node.append(right));
        }
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
    head: Run<'a>,
    /// Entries of the leaf at the back, up to `end`.
    tail: Run<'a>,
}

impl<'a> Iterator for Range<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        if self.start == self.end {
            return None;
        }
        if self.head.len() == 0 {
            let (leaf, at) = self.tree.leaf_at(self.start);
            self.head = leaf.run(at, leaf.len());
        }
        let (&score, member) = self.head.next()?;
        self.start += 1;
        Some(Place { score, member: member.as_bytes() })
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
        if self.tail.len() == 0 {
            let (leaf, at) = self.tree.leaf_at(self.end - 1);
            self.tail = leaf.run(0, at + 1);
        }
        let (&score, member) = self.tail.next_back()?;
        self.end -= 1;
        Some(Place { score, member: member.as_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every invariant below `node`; gives its depth and its bytes.
    fn check(node: &Node) -> (usize, usize) {
        assert!(node.width() <= WIDTH);
        let Node::Inner(inner) = node else { return (0, node.own_size()) };
        assert!(!inner.below.nodes.is_empty());
        assert_eq!(inner.lows.len(), inner.below.nodes.len());
        assert!(inner.below.counts[inner.len()..].iter().all(|&count| count == 0));
        let below: Vec<_> = (0..inner.below.nodes.len()).map(|at| check_child(inner, at)).collect();
        assert!(below.iter().all(|&(depth, _)| depth == below[0].0));
        let bytes: usize = below.iter().map(|&(_, bytes)| bytes).sum();
        (below[0].0 + 1, bytes + node.own_size())
    }

    fn check_child(inner: &Inner, at: usize) -> (usize, usize) {
        let node = &inner.below.nodes[at];
        assert!(inner.below.counts[at] > 0);
        assert_eq!(inner.below.counts[at], node.count());
        let (low, first) = (inner.lows.place(at).unwrap(), node.entries().place(0).unwrap());
        assert_eq!((low.score, low.member), (first.score, first.member));
        check(node)
    }

    fn check_tree(tree: &Tree) {
        let (_, bytes) = check(&tree.root);
        assert_eq!(tree.heap_size(), bytes);
        assert_eq!(tree.len(), tree.root.count() as usize);
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
            assert!(matches!(&*tree.root, Node::Leaf(entries) if entries.len() == 0));
        }
    }

    #[test]
    fn entries_are_taken_by_rank() {
        let mut tree = filled(0..10_007);
        let mut left: Vec<u32> = (0..10_007).collect();
        for step in 0..10_007 {
            let rank = [0, left.len() - 1, left.len() / 2, step * 7919 % left.len()][step % 4];
            let taken = tree.remove_rank(rank).map(|entry| entry.score);
            assert_eq!(taken, Some(f64::from(left.remove(rank))));
            if step % 500 == 0 || step > 9_990 {
                check_tree(&tree);
                let scores = tree.range(0, usize::MAX).map(|place| place.score);
                assert!(scores.eq(left.iter().copied().map(f64::from)));
            }
        }
        assert!(tree.remove_rank(0).is_none());
        assert!(filled(0..100).remove_rank(100).is_none());
        assert!(filled(0..1_000).remove_rank(1_000).is_none());
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

//! Where a run's time went: a tree of calls by line, and what is printed of it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// A place in the tree: the beginning, or a call on the way to a line.
pub(crate) type NodeId = u32;

/// The node that everything else is below.
pub(crate) const ROOT: NodeId = 0;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Frame {
    /// A line of a function in Lua, which is named by its number among the names.
    Line(u32, u32),
    /// A function in C, likewise.
    Native(u32),
    /// A command, likewise.
    Command(u32),
}

#[derive(Clone, Debug)]
struct Node {
    /// None of the root.
    frame: Option<Frame>,
    parent: NodeId,
    /// Without what is below it.
    own: Duration,
    /// How often it was come to.
    hits: u64,
}

/// The calls of a run, each by the line it was made on.
#[derive(Clone, Debug)]
pub(crate) struct CallTree {
    nodes: Vec<Node>,
    children: HashMap<(NodeId, Frame), NodeId, FixedState>,
    names: Vec<String>,
    numbers: HashMap<String, u32, FixedState>,
}

impl Default for CallTree {
    fn default() -> CallTree {
        let root = Node { frame: None, parent: ROOT, own: Duration::ZERO, hits: 0 };
        let (children, numbers) = (HashMap::default(), HashMap::default());
        CallTree { nodes: vec![root], children, names: Vec::new(), numbers }
    }
}

impl CallTree {
    /// The number of a name.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Comes to what is called in a place.
    pub(crate) fn enter(&mut self, parent: NodeId, frame: Frame) -> NodeId {
        let next = self.nodes.len() as NodeId;
        let node = *self.children.entry((parent, frame)).or_insert(next);
        if node == next {
            let (frame, own) = (Some(frame), Duration::ZERO);
            self.nodes.push(Node { frame, parent, own, hits: 0 });
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.hits += 1;
        }
        node
    }

    /// Adds time that went by in a place.
    pub(crate) fn spend(&mut self, node: NodeId, time: Duration) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.own += time;
        }
    }

    /// A node's frame and those above it, the innermost first.
    fn path(&self, node: &Node) -> Vec<Frame> {
        let mut path: Vec<Frame> = node.frame.into_iter().collect();
        let mut parent = node.parent;
        while let Some(Node { frame: Some(frame), parent: above, .. }) =
            self.nodes.get(parent as usize)
        {
            path.push(*frame);
            parent = *above;
        }
        path
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("?", String::as_str)
    }

    /// A frame as stacks show it.
    fn label(&self, frame: Frame) -> String {
        match frame {
            Frame::Line(function, line) => format!("{}:{line}", self.name(function)),
            Frame::Native(name) | Frame::Command(name) => self.name(name).to_owned(),
        }
    }
}

/// Where the time of one run of a script went, by line and by command; see
/// [`crate::Engine::profile`].
///
/// What looking costs is left out of all times.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    tree: CallTree,
    source: Vec<String>,
}

/// What was spent on a line or command.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// With all that it called.
    total: Duration,
    own: Duration,
    hits: u64,
}

impl Profile {
    pub(crate) fn new(tree: CallTree, source: &[u8]) -> Profile {
        let source = String::from_utf8_lossy(source).lines().map(str::to_owned).collect();
        Profile { tree, source }
    }

    /// The time of the whole run, without what the engine does before and after it.
    pub fn total(&self) -> Duration {
        self.tree.nodes.iter().map(|node| node.own).sum()
    }

    /// Stacks and the nanoseconds spent in each, one a line: what flamegraph.pl, inferno and
    /// speedscope read.
    pub fn collapsed(&self) -> String {
        let mut text = String::new();
        for node in &self.tree.nodes {
            let path = self.tree.path(node);
            let nanos = node.own.as_nanos();
            if nanos > 0 && !path.is_empty() {
                let labels: Vec<String> = path.iter().rev().map(|f| self.tree.label(*f)).collect();
                let _ = writeln!(text, "{} {nanos}", labels.join(";"));
            }
        }
        text
    }

    /// Tables of lines and of commands, with times in microseconds: what a line took with and
    /// without what it called, and how often it was come to.
    pub fn table(&self) -> String {
        let (lines, commands) = self.spent();
        let mut text = format!("{:>12} {:>12} {:>9}  line\n", "total us", "own us", "times");
        for (line, spent) in lines {
            let source = (line as usize).checked_sub(1).and_then(|at| self.source.get(at));
            let source = source.map_or("", |text| text.trim_end());
            let _ = writeln!(text, "{} {line:>5}  {source}", spent.columns());
        }
        let mut commands: Vec<(String, Spent)> = commands.into_iter().collect();
        commands.sort_by(|(a, x), (b, y)| y.total.cmp(&x.total).then_with(|| a.cmp(b)));
        if !commands.is_empty() {
            let _ = write!(text, "\n{:>12} {:>12} {:>9}  call\n", "total us", "own us", "times");
        }
        for (name, spent) in commands {
            let _ = writeln!(text, "{}  {name}", spent.columns());
        }
        let _ = write!(text, "\n{}  the whole run\n", micros(self.total()));
        text
    }

    /// By line, and by name what is not Lua. What calls itself is not counted twice.
    fn spent(&self) -> (BTreeMap<u32, Spent>, BTreeMap<String, Spent>) {
        let mut lines = BTreeMap::<u32, Spent>::new();
        let mut others = BTreeMap::<String, Spent>::new();
        for node in &self.tree.nodes {
            let mut path = self.tree.path(node);
            let innermost = path.first().copied();
            path.sort();
            path.dedup_by_key(|frame| match frame {
                Frame::Line(_, line) => Frame::Line(0, *line),
                other => *other,
            });
            for frame in path {
                let spent = match frame {
                    Frame::Line(_, line) => lines.entry(line).or_default(),
                    other => others.entry(self.tree.label(other)).or_default(),
                };
                spent.total += node.own;
                if innermost == Some(frame) {
                    spent.own += node.own;
                    spent.hits += node.hits;
                }
            }
        }
        (lines, others)
    }
}

impl Spent {
    fn columns(&self) -> String {
        format!("{} {} {:>9}", micros(self.total), micros(self.own), self.hits)
    }
}

fn micros(time: Duration) -> String {
    format!("{:>12.1}", time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that calls itself once, and a command within.
    fn sample() -> Profile {
        let mut tree = CallTree::default();
        let (main, f, set) = (tree.number("main"), tree.number("f"), tree.number("redis.call SET"));
        let first = tree.enter(ROOT, Frame::Line(main, 3));
        let outer = tree.enter(first, Frame::Line(f, 1));
        let inner = tree.enter(outer, Frame::Line(f, 1));
        let command = tree.enter(inner, Frame::Command(set));
        tree.enter(inner, Frame::Command(set));
        for (node, us) in [(first, 1), (outer, 10), (inner, 100), (command, 1000)] {
            tree.spend(node, Duration::from_micros(us));
        }
        Profile::new(tree, b"local function f() end\n\nf()")
    }

    #[test]
    fn recursion_is_not_counted_twice() {
        let (lines, others) = sample().spent();
        assert_eq!(lines[&1].total.as_micros(), 1110);
        assert_eq!((lines[&1].own.as_micros(), lines[&1].hits), (110, 2));
        assert_eq!((lines[&3].total.as_micros(), lines[&3].own.as_micros()), (1111, 1));
        let call = others["redis.call SET"];
        assert_eq!((call.total.as_micros(), call.hits), (1000, 2));
        assert_eq!(sample().total().as_micros(), 1111);
    }

    #[test]
    fn stacks_are_collapsed() {
        let expected = "main:3 1000\nmain:3;f:1 10000\nmain:3;f:1;f:1 100000\n\
                        main:3;f:1;f:1;redis.call SET 1000000\n";
        assert_eq!(sample().collapsed(), expected);
    }

    #[test]
    fn the_table_shows_lines_and_calls() {
        let table = sample().table();
        assert!(table.contains("      1111.0          1.0         1     3  f()\n"), "{table}");
        assert!(table.contains("      1000.0       1000.0         2  redis.call SET\n"), "{table}");
        assert!(table.ends_with("      1111.0  the whole run\n"), "{table}");
    }
}

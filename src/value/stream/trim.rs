//! What trimming removes from the front of a stream.
//!
//! A trim is planned here and carried out by whoever keeps the record of changes.

use super::{Id, NodeLimits, Stream};

/// Up to where a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// So many entries stay.
    Len(u64),
    /// Entries from this ID on stay.
    Id(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    /// Up to where.
    pub(crate) cut: Cut,
    /// Only whole nodes go.
    pub(crate) approximate: bool,
    /// At most so many entries go, 0 for no limit; where it is not said, so many nodes' worth.
    pub(crate) limit: Option<u64>,
}

/// Unless it is said, approximate trimming takes so many full nodes at a time.
const NODES_AT_A_TIME: usize = 100;
/// What that comes to where nodes have no limit of entries, and at most.
const ENTRIES_AT_A_TIME: (usize, usize) = (10_000, 1_000_000);

impl Trim {
    fn limit(self, limits: NodeLimits) -> u64 {
        let unlimited = if self.approximate {
            match limits.entries.saturating_mul(NODES_AT_A_TIME) {
                0 => ENTRIES_AT_A_TIME.0,
                entries => entries.min(ENTRIES_AT_A_TIME.1),
            }
        } else {
            0
        };
        self.limit.unwrap_or(unlimited as u64)
    }
}

/// What a trim removes: whole nodes, then entries of the node that is first then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) entries: usize,
    /// The entries of both kinds together.
    pub(crate) removed: usize,
}

impl Stream {
    /// What a trim would remove.
    pub(crate) fn plan(&self, trim: Trim, limits: NodeLimits) -> Plan {
        let (mut plan, limit) = (Plan::default(), trim.limit(limits));
        for slot in &self.nodes {
            let left = (self.len() - plan.removed) as u64;
            if matches!(trim.cut, Cut::Len(most) if left <= most) {
                break;
            }
            let entries = slot.node.len();
            if limit > 0 && (plan.removed + entries) as u64 > limit {
                break;
            }
            let goes_whole = match trim.cut {
                Cut::Len(most) => left - entries as u64 >= most,
                Cut::Id(min) => slot.node.last() < min,
            };
            if !goes_whole {
                plan.entries = match trim.cut {
                    _ if trim.approximate => 0,
                    Cut::Len(most) => (left - most) as usize,
                    Cut::Id(min) => slot.node.search(min).0,
                };
                plan.removed += plan.entries;
                break;
            }
            plan.nodes += 1;
            plan.removed += entries;
        }
        plan
    }
}

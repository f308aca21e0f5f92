//! Builds and cycles in an unfinished plan.

use std::slice;

use petgraph::visit::{GraphBase, GraphRef, IntoNeighbors, NodeIndexable};

use crate::index::{DependencyKind, number};

/// A build that does not have its final position yet.
pub(super) struct Draft {
    pub(super) member: u32,
    pub(super) stage: u32,
    pub(super) is_last_stage: bool,
    /// Whether it is a bootstrap build, which omits dependencies in its cycle.
    pub(super) is_bootstrap: bool,
    /// The drafts it waits for; the kind is `None` for the earlier stage of the same package.
    pub(super) needs: Box<[(u32, Option<DependencyKind>)]>,
}

/// Drafts as a graph for petgraph, with an edge from a draft to each draft it waits for.
#[derive(Clone, Copy)]
pub(super) struct DraftGraph<'d>(pub(super) &'d [Draft]);

/// An iterator over the drafts that a draft waits for.
pub(super) struct DraftNeeds<'d>(slice::Iter<'d, (u32, Option<DependencyKind>)>);

impl Iterator for DraftNeeds<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next().map(|&(draft, _)| draft)
    }
}

impl GraphBase for DraftGraph<'_> {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl GraphRef for DraftGraph<'_> {}

impl<'d> IntoNeighbors for DraftGraph<'d> {
    type Neighbors = DraftNeeds<'d>;

    fn neighbors(self, draft: u32) -> DraftNeeds<'d> {
        DraftNeeds(self.0[draft as usize].needs.iter())
    }
}

impl NodeIndexable for DraftGraph<'_> {
    fn node_bound(&self) -> usize {
        self.0.len()
    }

    fn to_index(&self, draft: u32) -> usize {
        draft as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        number(index)
    }
}

/// A cycle whose members are numbers.
pub(super) struct CycleDraft {
    pub(super) members: Vec<u32>,
    /// The broken edges: dependency, dependent, kind.
    pub(super) broken: Vec<(u32, u32, DependencyKind)>,
}

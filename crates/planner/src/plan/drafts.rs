//! Builds and cycles while the plan is made.

use std::slice;

use petgraph::visit::{GraphBase, GraphRef, IntoNeighbors};

use crate::index::DependencyKind;

/// A build, not yet in its final place.
pub(super) struct Draft {
    pub(super) member: u32,
    pub(super) stage: u32,
    pub(super) is_last_stage: bool,
    /// Whether it is built without what it needs of its cycle.
    pub(super) is_bootstrap: bool,
    /// Drafts that come before this one; nothing as kind for the same package's earlier stage.
    pub(super) needs: Vec<(u32, Option<DependencyKind>)>,
}

/// Drafts as a graph for petgraph: an edge leads from a draft to each that comes before it.
#[derive(Clone, Copy)]
pub(super) struct DraftGraph<'d>(pub(super) &'d [Draft]);

/// The drafts that a draft needs.
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

/// A cycle, in members.
pub(super) struct CycleDraft {
    pub(super) members: Vec<u32>,
    /// What was built without: dependency, dependent, kind.
    pub(super) broken: Vec<(u32, u32, DependencyKind)>,
}

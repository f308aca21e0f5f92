//! The packages that are available to a build.

use std::collections::VecDeque;

use fixedbitset::FixedBitSet;
use petgraph::visit::Dfs;
use rustc_hash::FxHashMap;

use super::items::Entry;
use crate::plan::assembly::Assembly;
use crate::plan::drafts::{Draft, DraftGraph};
use crate::plan::members::OUTSIDE;
use crate::sparse::Stamps;

/// The state of one walk per build; walks reuse its memory.
pub(super) struct Walk {
    /// The number of the current walk, from 1.
    pub(super) now: u32,
    /// For each member: the last walk in which it was available, and its newest build in that walk.
    available: Vec<(u32, u32)>,
    /// The search for the ancestors of a draft.
    search: Dfs<u32, Stamps>,
    /// For each entry: the last walk that installed it.
    pub(super) entries: Vec<u32>,
    /// For each entry of this walk: whether it is an old package of a member, or was pulled in by one.
    pub(super) is_pulled_in_by_old: Vec<bool>,
    pub(super) queue: VecDeque<u32>,
    /// For each queried member: the drafts that have a build of it as an ancestor.
    built_with: FxHashMap<u32, FixedBitSet>,
}

impl Walk {
    pub(super) fn new(members: usize, entries: usize) -> Self {
        Self {
            now: 0,
            available: vec![(0, 0); members],
            search: Dfs::from_parts(Vec::new(), Stamps::new(0)),
            entries: vec![0; entries],
            is_pulled_in_by_old: vec![false; entries],
            queue: VecDeque::new(),
            built_with: FxHashMap::default(),
        }
    }

    /// Discards cached results about builds, because the drafts have changed.
    pub(super) fn clear_builds(&mut self) {
        self.built_with.clear();
    }

    /// Finds the newest builds of the members that are available to a build.
    pub(super) fn start(&mut self, drafts: &[Draft], at: u32) {
        self.now += 1;
        self.queue.clear();
        let graph = DraftGraph(drafts);
        self.search.discovered.clear(drafts.len());
        self.search.move_to(at);
        // The search starts with the build itself.
        self.search.next(graph);
        while let Some(at) = self.search.next(graph) {
            let newest = &mut self.available[drafts[at as usize].member as usize];
            // Later stages have higher positions.
            if newest.0 != self.now || newest.1 < at {
                *newest = (self.now, at);
            }
        }
    }

    /// Returns the newest available build of a member.
    pub(super) fn newest(&self, member: u32) -> Option<u32> {
        let &(walk, draft) = self.available.get(member as usize)?;
        (walk == self.now).then_some(draft)
    }

    /// Returns whether a package can be installed.
    pub(super) fn is_available(&self, entry: &Entry) -> bool {
        let is_built = |member: u32| self.newest(member).is_some();
        (entry.member == OUTSIDE || is_built(entry.member))
            && !entry.replaced_by.iter().any(|&member| is_built(member))
    }

    /// Returns whether a build has a build of a member as an ancestor.
    pub(super) fn is_built_with<B>(
        &mut self,
        assembly: &Assembly<'_, B>,
        member: u32,
        draft: u32,
    ) -> bool {
        let descendants = self.built_with.entry(member).or_insert_with(|| {
            let drafts = &assembly.drafts;
            let mut descendants = FixedBitSet::with_capacity(drafts.len());
            // Drafts are in topological order.
            for (at, draft) in drafts.iter().enumerate() {
                let is_descendant = draft.needs.iter().any(|&(need, _)| {
                    let need = need as usize;
                    drafts[need].member == member || descendants.contains(need)
                });
                descendants.set(at, is_descendant);
            }
            descendants
        });
        descendants.contains(draft as usize)
    }
}

//! The packages that are available to a build, and those that it installs.

use std::collections::VecDeque;

use fixedbitset::FixedBitSet;
use petgraph::visit::{Dfs, VisitMap};
use rustc_hash::FxHashMap;

use super::items::Entry;
use crate::plan::assembly::Assembly;
use crate::plan::drafts::{Draft, DraftGraph};
use crate::plan::members::OUTSIDE;
use crate::sparse::Stamps;

/// The state of the searches for one build; those for the next one reuse its memory.
pub(super) struct Walk {
    /// The search for the ancestors of a draft.
    search: Dfs<u32, Stamps>,
    /// The members with a build among these.
    available: Stamps,
    /// For each available member: its newest build.
    newest: Vec<u32>,
    /// The installed entries. What a package pulls in depends on what is already installed, so that there is no graph
    /// that petgraph could search.
    installed: Stamps,
    /// Which of these are an old package of a member, or were pulled in by one.
    pulled_in_by_old: FixedBitSet,
    /// The installed entries whose dependencies must be followed.
    queue: VecDeque<u32>,
    /// For each queried member: the drafts that have a build of it as an ancestor.
    built_with: FxHashMap<u32, FixedBitSet>,
}

impl Walk {
    pub(super) fn new(members: usize, entries: usize) -> Self {
        Self {
            search: Dfs::from_parts(Vec::new(), Stamps::new(0)),
            available: Stamps::new(members),
            newest: vec![0; members],
            installed: Stamps::new(entries),
            pulled_in_by_old: FixedBitSet::with_capacity(entries),
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
        self.queue.clear();
        self.installed.clear(0);
        self.available.clear(0);
        let graph = DraftGraph(drafts);
        self.search.discovered.clear(drafts.len());
        self.search.move_to(at);
        // The search starts with the build itself.
        self.search.next(graph);
        while let Some(at) = self.search.next(graph) {
            let member = drafts[at as usize].member;
            let newest = &mut self.newest[member as usize];
            // Later stages have higher positions.
            if self.available.visit(member) || *newest < at {
                *newest = at;
            }
        }
    }

    /// Returns the newest available build of a member.
    pub(super) fn newest(&self, member: u32) -> Option<u32> {
        let newest = *self.newest.get(member as usize)?;
        self.available.is_visited(&member).then_some(newest)
    }

    /// Installs an entry, unless it is installed already. `is_followed` tells whether its dependencies matter.
    pub(super) fn install(&mut self, entry: u32, is_pulled_in_by_old: bool, is_followed: bool) {
        if self.installed.visit(entry) {
            let at = entry as usize;
            self.pulled_in_by_old.set(at, is_pulled_in_by_old);
            if is_followed {
                self.queue.push_back(entry);
            }
        }
    }

    /// Returns the next installed entry whose dependencies must be followed.
    pub(super) fn next(&mut self) -> Option<u32> {
        self.queue.pop_front()
    }

    pub(super) fn is_installed(&self, entry: u32) -> bool {
        self.installed.is_visited(&entry)
    }

    /// Returns whether an installed entry is an old package of a member, or was pulled in by one.
    pub(super) fn is_pulled_in_by_old(&self, entry: u32) -> bool {
        self.pulled_in_by_old.contains(entry as usize)
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

//! Which packages are there for a build.

use std::collections::VecDeque;

use fixedbitset::FixedBitSet;
use petgraph::visit::Dfs;
use rustc_hash::FxHashMap;

use super::items::Entry;
use crate::plan::assembly::Assembly;
use crate::plan::drafts::{Draft, DraftGraph};
use crate::plan::members::OUTSIDE;
use crate::sparse::Stamps;

/// What is noted during one walk after the other.
pub(super) struct Walk {
    /// The walk that is under way, from 1 on.
    pub(super) now: u32,
    /// For each member: the last walk in which it was there, and its newest build then.
    available: Vec<(u32, u32)>,
    /// Finds the drafts that come before one.
    search: Dfs<u32, Stamps>,
    /// For each entry: the last walk that came to it.
    pub(super) entries: Vec<u32>,
    /// For each entry of this walk: whether it is an old package of a member, or was pulled in by one.
    pub(super) is_pulled_in_by_old: Vec<bool>,
    pub(super) queue: VecDeque<u32>,
    /// For each member that was asked about: the drafts that come behind one of its.
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

    /// Forgets what was found out about builds, which are other ones from now on.
    pub(super) fn clear_builds(&mut self) {
        self.built_with.clear();
    }

    /// Finds the newest builds of the members that are there for a build.
    pub(super) fn start(&mut self, drafts: &[Draft], at: u32) {
        self.now += 1;
        self.queue.clear();
        let graph = DraftGraph(drafts);
        self.search.discovered.clear(drafts.len());
        self.search.move_to(at);
        // The first one is the build itself.
        self.search.next(graph);
        while let Some(at) = self.search.next(graph) {
            let there = &mut self.available[drafts[at as usize].member as usize];
            // Later stages have higher places.
            if there.0 != self.now || there.1 < at {
                *there = (self.now, at);
            }
        }
    }

    /// The newest build of a member that is there.
    pub(super) fn newest(&self, member: u32) -> Option<u32> {
        let &(walk, draft) = self.available.get(member as usize)?;
        (walk == self.now).then_some(draft)
    }

    /// Returns whether a package can be installed.
    pub(super) fn is_available(&self, entry: &Entry) -> bool {
        let is_there = |member: u32| self.newest(member).is_some();
        (entry.member == OUTSIDE || is_there(entry.member))
            && !entry.replaced_by.iter().any(|&member| is_there(member))
    }

    /// Returns whether a build comes behind one of a member.
    pub(super) fn is_built_with<B>(
        &mut self,
        assembly: &Assembly<'_, B>,
        member: u32,
        draft: u32,
    ) -> bool {
        let behind = self.built_with.entry(member).or_insert_with(|| {
            let drafts = &assembly.drafts;
            let mut behind = FixedBitSet::with_capacity(drafts.len());
            // They are in topological order.
            for (at, draft) in drafts.iter().enumerate() {
                let is_behind = draft.needs.iter().any(|&(need, _)| {
                    let need = need as usize;
                    drafts[need].member == member || behind.contains(need)
                });
                behind.set(at, is_behind);
            }
            behind
        });
        behind.contains(draft as usize)
    }
}

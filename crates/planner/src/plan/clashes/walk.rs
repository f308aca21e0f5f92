//! Which packages are there for a build.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::stock::Entry;
use crate::plan::assemble::Assembly;
use crate::plan::members::OUTSIDE;

/// What is noted during one walk after the other.
pub(super) struct Walk {
    /// The walk that is under way, from 1 on.
    pub(super) now: u32,
    /// For each member: the last walk in which it was there, and its newest build then.
    there: Vec<(u32, u32)>,
    /// For each draft, and for each entry: the last walk that came to it.
    drafts: Vec<u32>,
    pub(super) entries: Vec<u32>,
    /// For each entry of this walk: whether it is an old package of a member, or was pulled in by one.
    pub(super) is_behind_old: Vec<bool>,
    pub(super) queue: VecDeque<u32>,
    /// For each member that was asked about: the drafts that come behind one of its.
    built_with: FxHashMap<u32, Vec<bool>>,
}

impl Walk {
    pub(super) fn new(members: usize, entries: usize) -> Self {
        Self {
            now: 0,
            there: vec![(0, 0); members],
            drafts: Vec::new(),
            entries: vec![0; entries],
            is_behind_old: vec![false; entries],
            queue: VecDeque::new(),
            built_with: FxHashMap::default(),
        }
    }

    /// Forgets what was found out about builds, which are other ones from now on.
    pub(super) fn forget_builds(&mut self) {
        self.built_with.clear();
    }
    /// Finds the newest builds of the members that are there for a build.
    pub(super) fn start<B>(&mut self, assembly: &Assembly<'_, B>, at: usize) {
        self.now += 1;
        self.queue.clear();
        self.drafts
            .resize(self.drafts.len().max(assembly.drafts.len()), 0);
        let needs = |at: usize| assembly.drafts[at].needs.iter().map(|need| need.0);
        let mut stack: Vec<u32> = needs(at).collect();
        while let Some(at) = stack.pop() {
            if std::mem::replace(&mut self.drafts[at as usize], self.now) == self.now {
                continue;
            }
            let there = &mut self.there[assembly.drafts[at as usize].member as usize];
            // Later stages have higher places.
            if there.0 != self.now || there.1 < at {
                *there = (self.now, at);
            }
            stack.extend(needs(at as usize));
        }
    }

    /// The newest build of a member that is there.
    pub(super) fn newest(&self, member: u32) -> Option<u32> {
        let &(walk, draft) = self.there.get(member as usize)?;
        (walk == self.now).then_some(draft)
    }

    /// Whether a package can be installed.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        let is_there = |member: u32| self.newest(member).is_some();
        (entry.member == OUTSIDE || is_there(entry.member))
            && !entry.replaced_by.iter().any(|&member| is_there(member))
    }

    /// Whether a build comes behind one of a member.
    pub(super) fn is_built_with<B>(
        &mut self,
        assembly: &Assembly<'_, B>,
        member: u32,
        draft: u32,
    ) -> bool {
        let behind = self.built_with.entry(member).or_insert_with(|| {
            let mut behind = vec![false; assembly.drafts.len()];
            for (at, draft) in assembly.drafts.iter().enumerate() {
                behind[at] = draft.needs.iter().any(|&(need, _)| {
                    let is_it = assembly.drafts[need as usize].member == member;
                    is_it || behind[need as usize]
                });
            }
            behind
        });
        behind[draft as usize]
    }
}

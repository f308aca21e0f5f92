//! Cycles that were solved, for the builds above them.

use fixedbitset::FixedBitSet;

use super::sequence::{Sequence, reduce};
use crate::index::number;

/// Builds of lower components that installs of this one pull in.
pub(super) struct Below {
    pub(super) builds: Vec<u32>,
    /// For each group: those that some path leads to.
    pub(super) all: Vec<FixedBitSet>,
    /// For each group: those that no member of the component needs on its own account.
    pub(super) uncovered: Vec<FixedBitSet>,
}

/// A component that was solved, for the builds above it.
pub(crate) struct Cyclic {
    /// For each group of installs: the members of the component that it pulls in.
    members: Vec<FixedBitSet>,
    below: Below,
    sequence: Sequence,
    /// The first build of the component.
    first: u32,
    /// For each group: the answer of [`Cyclic::builds_behind`].
    answers: Vec<Option<Box<[u32]>>>,
}

impl Cyclic {
    /// `members` and `below` have an entry for each group of installs; `first` is the first build.
    pub(super) fn new(
        members: Vec<FixedBitSet>,
        below: Below,
        sequence: Sequence,
        first: u32,
    ) -> Self {
        let answers = vec![None; members.len()];
        Self {
            members,
            below,
            sequence,
            first,
            answers,
        }
    }

    /// The builds that a build above waits for when it installs something of a group.
    pub(crate) fn builds_behind(&mut self, group: usize) -> &[u32] {
        let Self {
            members,
            below,
            sequence,
            first,
            answers,
        } = self;
        answers[group].get_or_insert_with(|| {
            let mut wanted = FixedBitSet::with_capacity(sequence.steps.len());
            wanted.extend(members[group].ones().map(|build| sequence.last[build]));
            let inside = reduce(&sequence.ancestors, &mut wanted);
            let inside = inside.into_iter().map(|step| *first + number(step));
            let lower = below.uncovered[group].ones().map(|at| below.builds[at]);
            inside.chain(lower).collect()
        })
    }
}

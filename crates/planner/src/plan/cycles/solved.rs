//! Solved cycles, as seen by the builds above them.

use fixedbitset::FixedBitSet;

use super::sequence::{Sequence, reduce};
use crate::index::number;

/// The builds of lower components that installs of a component pull in.
pub(super) struct LowerBuilds {
    pub(super) builds: Vec<u32>,
    /// For each group: those that any path leads to.
    pub(super) all: Vec<FixedBitSet>,
    /// For each group: those that the members of the component do not need themselves.
    pub(super) uncovered: Vec<FixedBitSet>,
}

/// A solved component, as seen by the builds above it.
pub(crate) struct SolvedCycle {
    /// For each group of installs: the members of the component that it pulls in.
    members: Vec<FixedBitSet>,
    lower: LowerBuilds,
    sequence: Sequence,
    /// The first draft of the component.
    first: u32,
    /// For each group: the cached result of [`SolvedCycle::builds_of`].
    cache: Vec<Option<Box<[u32]>>>,
}

impl SolvedCycle {
    /// Creates a solved cycle. `members` and `lower` have an entry for each group of installs; `first` is the first
    /// draft.
    pub(super) fn new(
        members: Vec<FixedBitSet>,
        lower: LowerBuilds,
        sequence: Sequence,
        first: u32,
    ) -> Self {
        let cache = vec![None; members.len()];
        Self {
            members,
            lower,
            sequence,
            first,
            cache,
        }
    }

    /// Returns the builds that a build above must wait for if it installs a package of a group.
    pub(crate) fn builds_of(&mut self, group: usize) -> &[u32] {
        let Self {
            members,
            lower,
            sequence,
            first,
            cache,
        } = self;
        cache[group].get_or_insert_with(|| {
            let mut wanted = FixedBitSet::with_capacity(sequence.steps.len());
            wanted.extend(members[group].ones().map(|build| sequence.last[build]));
            let steps = reduce(&sequence.ancestors, &mut wanted);
            let own = steps.into_iter().map(|step| *first + number(step));
            let uncovered = lower.uncovered[group].ones().map(|at| lower.builds[at]);
            own.chain(uncovered).collect()
        })
    }
}

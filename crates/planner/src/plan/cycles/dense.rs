//! The constraints inside one component, written out: one bit per pair of builds and kind.
//!
//! Only components get this treatment. A component of 5,600 builds takes 4 MB per kind, and in
//! return every question about it is a few operations on words.

use crate::bits::{BitMatrix, ones, subtract};
use crate::index::DependencyKind;
use crate::plan::budget::Budget;

/// How many kinds of dependencies there are.
pub(super) const KINDS: usize = DependencyKind::ALL.len();

/// The softest kind that a build's environment holds.
pub(super) const HARD: usize = DependencyKind::Checkdepends as usize;

/// Builds of one component and who needs whom. A pair has one kind only, the hardest.
pub(super) struct Dense {
    pub(super) count: usize,
    /// For each kind and build: what it needs.
    pub(super) before: [BitMatrix; KINDS],
    /// For each kind and build: what needs it.
    pub(super) after: [BitMatrix; KINDS],
}

impl Dense {
    /// Takes the needs of each build by kind, in which a pair may still occur several times.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn new<B: Budget>(
        count: usize,
        mut before: [BitMatrix; KINDS],
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut after: [BitMatrix; KINDS] = std::array::from_fn(|_| BitMatrix::new(count, count));
        for build in 0..count {
            budget.check()?;
            for kind in (0..KINDS).rev() {
                before[kind].clear(build, build);
                let (softer, rest) = before.split_at_mut(kind);
                for other in softer {
                    subtract(other.row_mut(build), rest[0].row(build));
                }
                for need in ones(before[kind].row(build)) {
                    after[kind].set(need, build);
                }
            }
        }
        Ok(Self {
            count,
            before,
            after,
        })
    }

    /// The kind of a need, if it is one.
    pub(super) fn kind(&self, build: usize, need: usize) -> Option<DependencyKind> {
        (0..KINDS)
            .rev()
            .find(|&kind| self.before[kind].get(build, need))
            .map(|kind| DependencyKind::ALL[kind])
    }

    /// Everything the environment of a build holds.
    pub(super) fn environment(&self, build: usize) -> Vec<u64> {
        let mut row = self.before[HARD].row(build).to_vec();
        for kind in HARD + 1..KINDS {
            crate::bits::unite(&mut row, self.before[kind].row(build));
        }
        row
    }
}

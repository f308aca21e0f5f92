//! The constraints in a component as a dense graph: one bit per pair of builds and kind.
//!
//! Only components are stored like this. A component of 5,600 builds takes 4 MB per kind, but each query is a few
//! operations on words.

use std::iter::Copied;
use std::ops::Range;
use std::slice;

use fixedbitset::FixedBitSet;
use petgraph::Direction;
use petgraph::visit::{
    GraphBase, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, Visitable,
};

use crate::budget::Budget;
use crate::index::DependencyKind;

/// The number of kinds of dependencies.
pub(super) const KINDS: usize = DependencyKind::ALL.len();

/// The softest kind that belongs to a build's environment.
pub(super) const HARD: usize = DependencyKind::Checkdepends as usize;

/// For each kind and build: a set of builds.
pub(super) type Sets = [Vec<FixedBitSet>; KINDS];

/// Returns empty sets for `count` builds.
pub(super) fn empty_sets(count: usize) -> Sets {
    std::array::from_fn(|_| vec![FixedBitSet::with_capacity(count); count])
}

/// The builds of a component with their needs. Each pair has only one kind, the hardest.
pub(super) struct Dense {
    pub(super) count: usize,
    /// For each kind and build: the builds that it needs.
    pub(super) before: Sets,
    /// For each kind and build: the builds that need it.
    pub(super) after: Sets,
}

impl Dense {
    /// Creates the graph from the needs of each build by kind, in which a pair may have several kinds.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        count: usize,
        mut before: Sets,
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut after = empty_sets(count);
        for build in 0..count {
            budget.check()?;
            for kind in (0..KINDS).rev() {
                before[kind][build].remove(build);
                let (softer, rest) = before.split_at_mut(kind);
                for other in softer {
                    other[build].difference_with(&rest[0][build]);
                }
                for need in before[kind][build].ones() {
                    after[kind][need].insert(build);
                }
            }
        }
        Ok(Self {
            count,
            before,
            after,
        })
    }

    /// Returns the kind of a need; `None` if the build does not have it.
    pub(super) fn kind(&self, build: usize, need: usize) -> Option<DependencyKind> {
        (0..KINDS)
            .rev()
            .find(|&kind| self.before[kind][build].contains(need))
            .map(|kind| DependencyKind::ALL[kind])
    }

    /// Returns the members in the environment of a build.
    pub(super) fn environment(&self, build: usize) -> FixedBitSet {
        let mut environment = self.before[HARD][build].clone();
        for kind in HARD + 1..KINDS {
            environment.union_with(&self.before[kind][build]);
        }
        environment
    }

    /// Returns the subgraph of some builds and kinds.
    pub(super) fn part<'a>(&'a self, builds: &'a [usize], kinds: Range<usize>) -> Part<'a> {
        let mut inside = FixedBitSet::with_capacity(self.count);
        inside.extend(builds.iter().copied());
        Part {
            dense: self,
            builds,
            inside,
            kinds,
        }
    }
}

/// A subgraph for petgraph: some builds, with their needs of some kinds as edges.
pub(super) struct Part<'a> {
    dense: &'a Dense,
    builds: &'a [usize],
    inside: FixedBitSet,
    kinds: Range<usize>,
}

impl GraphBase for Part<'_> {
    type NodeId = usize;
    type EdgeId = (usize, usize);
}

impl<'a> IntoNeighbors for &'a Part<'_> {
    type Neighbors = Linked<'a>;

    fn neighbors(self, build: usize) -> Linked<'a> {
        self.neighbors_directed(build, Direction::Outgoing)
    }
}

impl<'a> IntoNeighborsDirected for &'a Part<'_> {
    type NeighborsDirected = Linked<'a>;

    fn neighbors_directed(self, build: usize, direction: Direction) -> Linked<'a> {
        let sets = match direction {
            Direction::Outgoing => &self.dense.before,
            Direction::Incoming => &self.dense.after,
        };
        linked(sets, build, self.kinds.clone(), &self.inside)
    }
}

impl<'a> IntoNodeIdentifiers for &'a Part<'_> {
    type NodeIdentifiers = Copied<slice::Iter<'a, usize>>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        self.builds.iter().copied()
    }
}

impl Visitable for Part<'_> {
    type Map = FixedBitSet;

    fn visit_map(&self) -> FixedBitSet {
        FixedBitSet::with_capacity(self.dense.count)
    }

    fn reset_map(&self, map: &mut FixedBitSet) {
        map.clear();
        map.grow(self.dense.count);
    }
}

/// Returns the builds in `inside` that a build's sets of some kinds contain.
pub(super) fn linked<'a>(
    sets: &'a Sets,
    build: usize,
    kinds: Range<usize>,
    inside: &'a FixedBitSet,
) -> Linked<'a> {
    Linked {
        sets,
        build,
        kinds,
        inside,
        ones: Intersection::default(),
    }
}

/// The iterator of [`linked`].
pub(super) struct Linked<'a> {
    sets: &'a Sets,
    build: usize,
    kinds: Range<usize>,
    inside: &'a FixedBitSet,
    ones: Intersection<'a>,
}

impl Iterator for Linked<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        loop {
            if let Some(build) = self.ones.next() {
                return Some(build);
            }
            let kind = self.kinds.next()?;
            self.ones = intersection(&self.sets[kind][self.build], self.inside);
        }
    }
}

/// Returns the intersection of two sets in ascending order. It compares them word by word, while
/// [`FixedBitSet::intersection`] tests every element of the first, of which usually few are in the second.
pub(super) fn intersection<'a>(a: &'a FixedBitSet, b: &'a FixedBitSet) -> Intersection<'a> {
    Intersection {
        a: a.as_slice(),
        b: b.as_slice(),
        rest: 0,
        next_word: 0,
    }
}

/// The iterator of [`intersection`].
#[derive(Default)]
pub(super) struct Intersection<'a> {
    a: &'a [usize],
    b: &'a [usize],
    /// The remaining bits of the current word.
    rest: usize,
    next_word: usize,
}

impl Iterator for Intersection<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.rest == 0 {
            self.rest = self.a.get(self.next_word)? & self.b.get(self.next_word)?;
            self.next_word += 1;
        }
        let bit = self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        Some((self.next_word - 1) * usize::BITS as usize + bit as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterates_over_common_bits() {
        let of = |bits: &[usize]| {
            let mut set = FixedBitSet::with_capacity(200);
            set.extend(bits.iter().copied());
            set
        };
        let (a, b) = (of(&[0, 5, 63, 64, 130, 199]), of(&[5, 64, 65, 130]));
        assert_eq!(intersection(&a, &b).collect::<Vec<_>>(), [5, 64, 130]);
        let shorter = FixedBitSet::with_capacity_and_blocks(6, [0b10_0001]);
        assert_eq!(intersection(&a, &shorter).collect::<Vec<_>>(), [0, 5]);
    }
}

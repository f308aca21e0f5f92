//! The parts of a component in one tier, as a graph: each part is placed as a whole, and needs between builds of
//! different parts are the edges.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::dense::{Dense, HARD, KINDS, Sets, linked};

/// Means a build that is not in any of the parts.
const ELSEWHERE: u32 = u32::MAX;

/// Parts that a tier orders.
pub(super) struct PartGraph<'a> {
    pub(super) dense: &'a Dense,
    pub(super) parts: &'a [Vec<usize>],
    part_of: Vec<u32>,
    /// The builds of all parts.
    pub(super) builds: FixedBitSet,
    /// The kinds that may be broken.
    pub(super) weak: Range<usize>,
    /// The kinds that must not be broken.
    pub(super) firm: Range<usize>,
}

impl<'a> PartGraph<'a> {
    /// Creates the graph for the tier that may break needs of kind `tier`.
    pub(super) fn new(dense: &'a Dense, parts: &'a [Vec<usize>], tier: usize) -> Self {
        let mut part_of = vec![ELSEWHERE; dense.count];
        let mut builds = FixedBitSet::with_capacity(dense.count);
        for (part, own) in (0..).zip(parts) {
            for &build in own {
                part_of[build] = part;
                builds.insert(build);
            }
        }
        Self {
            dense,
            parts,
            part_of,
            builds,
            // The softest kind matters only in its own tier.
            weak: if tier == 0 { 0..1 } else { HARD..tier + 1 },
            firm: tier + 1..KINDS,
        }
    }

    /// Returns all kinds that count in this tier.
    pub(super) fn all(&self) -> Range<usize> {
        self.weak.start..KINDS
    }

    /// Returns the part of a build.
    pub(super) fn part_of(&self, build: usize) -> usize {
        self.part_of[build] as usize
    }

    /// Returns the parts at the other end of a build's edges of some kinds, once for each edge: those of builds in
    /// `open`, without its own part.
    pub(super) fn others<'s>(
        &'s self,
        open: &'s FixedBitSet,
        sets: &'s Sets,
        build: usize,
        kinds: Range<usize>,
    ) -> impl Iterator<Item = usize> {
        let own = self.part_of[build];
        linked(sets, build, kinds, open)
            .map(move |other| self.part_of[other])
            .filter(move |&part| part != own)
            .map(|part| part as usize)
    }

    /// Returns whether a build has a weak need in `open`, outside its own part.
    pub(super) fn waits(&self, open: &FixedBitSet, build: usize) -> bool {
        let needs = &self.dense.before;
        let mut others = self.others(open, needs, build, self.weak.clone());
        others.next().is_some()
    }

    /// Returns the builds that become premature if the parts are placed in an order: those with a weak need in a later
    /// part. A dependency that the build does not install does not make it premature.
    pub(super) fn premature(&self, order: &[usize]) -> FixedBitSet {
        let mut premature = FixedBitSet::with_capacity(self.dense.count);
        if self.weak.start < HARD {
            return premature;
        }
        let mut open = self.builds.clone();
        for &part in order {
            for &build in &self.parts[part] {
                open.remove(build);
            }
            let own = self.parts[part].iter().copied();
            premature.extend(own.filter(|&build| self.waits(&open, build)));
        }
        premature
    }
}

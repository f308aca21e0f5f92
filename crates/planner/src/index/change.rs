//! What a change of a package can affect.

use std::sync::Arc;

use buildbtw_model::Pkgbase;

use crate::srcinfo::SourcePackage;

use super::record::{NodeRecord, RelationUse};
use super::table::Tables;

/// The change that [`PackageIndex::insert`](super::PackageIndex::insert) or `remove` has caused.
#[derive(Clone, Debug)]
pub struct IndexChange {
    pub(crate) identity: u64,
    pub(crate) base: u32,
    pub(crate) pkgbase: Pkgbase,
    pub(crate) effect: Effect,
    /// Names that the old or new packages have or provide.
    pub(crate) provided: Vec<u32>,
    /// Names in the dependencies of the old or new packages.
    pub(crate) mentioned: Vec<u32>,
}

/// How a package differs from its previous version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Relations, names or architectures differ.
    Relations,
    /// Only the version differs, which affects relations with a constraint.
    Version,
    /// Only the files to build differ, which affects plans that build it.
    Contents,
    /// Nothing that planning reads differs.
    Nothing,
}

/// Returns whether two versions of a package are equal for planning, except for the version itself.
pub(super) fn is_equivalent(old: &Arc<SourcePackage>, new: &Arc<SourcePackage>) -> bool {
    fn relevant(source: &SourcePackage) -> impl Iterator<Item = &str> {
        let lines = source.as_stored().lines();
        lines.filter(|line| !line.starts_with("v ") && !line.starts_with('s'))
    }
    relevant(old).eq(relevant(new))
}

impl IndexChange {
    pub(super) fn new(identity: u64, base: u32, pkgbase: Pkgbase) -> Self {
        Self {
            identity,
            base,
            pkgbase,
            effect: Effect::Relations,
            provided: Vec::new(),
            mentioned: Vec::new(),
        }
    }

    pub(super) fn mark_relations_unchanged(&mut self, version_changed: bool) {
        self.effect = if version_changed {
            Effect::Version
        } else {
            Effect::Nothing
        };
    }

    /// Adds the names of the old or the new packages.
    pub(super) fn add_names<'a>(
        &mut self,
        tables: &Tables,
        build: &[RelationUse],
        nodes: impl Iterator<Item = &'a NodeRecord>,
    ) {
        let name_of = |relation: u32| tables.relation_name[relation as usize];
        self.mentioned
            .extend(build.iter().map(|used| name_of(used.relation)));
        for node in nodes {
            self.provided.push(node.name);
            self.provided
                .extend(node.provides.iter().map(|used| name_of(used.relation)));
            self.mentioned
                .extend(node.depends.iter().map(|used| name_of(used.relation)));
        }
    }

    /// Records that the files of the source package differ, which the index itself cannot see.
    pub fn note_new_contents(&mut self) {
        if self.effect == Effect::Nothing {
            self.effect = Effect::Contents;
        }
    }

    /// Returns the source package that changed.
    #[must_use]
    pub fn pkgbase(&self) -> &Pkgbase {
        &self.pkgbase
    }
}

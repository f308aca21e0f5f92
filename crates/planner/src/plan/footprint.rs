//! Footprints decide which changes of packages can affect a plan, without planning again.
//!
//! A plan depends on the packages that it visited, on the names that these mention and on the names that they provide.
//! A change of any other package does not change the plan if the package provides nothing that they mention, and
//! mentions nothing that they provide.

use buildbtw_model::Pkgbase;
use fixedbitset::FixedBitSet;

use super::request::Patterns;
use crate::index::{Effect, IndexChange, PackageIndex};
use crate::world::World;

/// The packages and names that a plan depends on.
#[derive(Clone, Debug)]
pub struct Footprint {
    identity: u64,
    /// The number of names that the index had. The sets contain no later ones.
    names: usize,
    /// Whether the plan depends on names that the index did not have.
    has_names_of_its_own: bool,
    bases: FixedBitSet,
    origins: Vec<Pkgbase>,
    include: Patterns,
    provided: FixedBitSet,
    mentioned: FixedBitSet,
}

impl Footprint {
    pub(crate) fn new<'a>(
        index: &PackageIndex,
        include: &Patterns,
        origins: impl Iterator<Item = &'a Pkgbase>,
    ) -> Self {
        Self {
            identity: index.identity,
            names: index.tables.names.len(),
            has_names_of_its_own: false,
            bases: FixedBitSet::new(),
            origins: origins.cloned().collect(),
            include: include.clone(),
            provided: FixedBitSet::new(),
            mentioned: FixedBitSet::new(),
        }
    }

    /// Adds a member of the rebuild set.
    pub(crate) fn add_base(&mut self, world: &World<'_>, base: u32) {
        let Some(record) = world.base(base) else {
            return;
        };
        // A changed origin is recognized by its name.
        if (base as usize) < world.index.bases.len() {
            self.bases.grow_and_insert(base as usize);
        }
        for used in &record.build {
            self.add_mentioned(world.relation_name(used.relation));
        }
        for &package in &record.nodes {
            self.add_package(world, package);
        }
    }

    /// Adds a package that was visited.
    pub(crate) fn add_package(&mut self, world: &World<'_>, package: u32) {
        let node = world.node(package);
        for used in &node.depends {
            self.add_mentioned(world.relation_name(used.relation));
        }
        let provided = node.provides.iter().map(|used| used.relation);
        let names = provided.map(|relation| world.relation_name(relation));
        for name in names.chain([node.name]) {
            if (name as usize) < self.names {
                self.provided.grow_and_insert(name as usize);
            } else {
                self.has_names_of_its_own = true;
            }
        }
    }

    /// Adds a name that a later package may have; `None` is a name that no package mentions yet.
    pub(crate) fn add_name(&mut self, name: Option<u32>) {
        match name {
            Some(name) => self.add_mentioned(name),
            None => self.has_names_of_its_own = true,
        }
    }

    fn add_mentioned(&mut self, name: u32) {
        if (name as usize) < self.names {
            self.mentioned.grow_and_insert(name as usize);
        } else {
            self.has_names_of_its_own = true;
        }
    }

    /// Returns whether planning again after this change could give a different plan. `false` is certain; `true` may be
    /// a false alarm.
    #[must_use]
    pub fn is_affected_by(&self, change: &IndexChange) -> bool {
        if self.identity != change.identity {
            return true;
        }
        let any = |names: &[u32], set: &FixedBitSet| {
            let mut names = names.iter();
            names.any(|&name| set.contains(name as usize))
        };
        let is_new = |&name: &u32| name as usize >= self.names;
        // A provider of a name can replace another provider of it.
        let provides =
            || any(&change.provided, &self.mentioned) || any(&change.provided, &self.provided);
        let is_member = self.bases.contains(change.base as usize)
            || self.origins.contains(&change.pkgbase)
            || self.include.matches(&change.pkgbase);
        match change.effect {
            Effect::Nothing => false,
            // Different files are built; the dependencies are unchanged.
            Effect::Contents => self.bases.contains(change.base as usize),
            Effect::Version => is_member || provides(),
            Effect::Relations => {
                is_member
                    || provides()
                    || any(&change.mentioned, &self.provided)
                    || (self.has_names_of_its_own
                        && change.provided.iter().chain(&change.mentioned).any(is_new))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use buildbtw_model::Scope;

    use super::*;
    use crate::{PlanRequest, SourcePackage, parse_srcinfo, plan_with_footprint};

    fn package(name: &str, depends: &str) -> Arc<SourcePackage> {
        let text = format!(
            "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n{depends}\npkgname = {name}\n"
        );
        Arc::new(parse_srcinfo(&text).unwrap())
    }

    #[test]
    fn affects_plan_by_files_of_members_only() {
        let mut index = PackageIndex::new();
        let origin = package("libgreet", "");
        let member = package("greet", "\tdepends = libgreet\n");
        let other = package("other", "");
        for source in [&origin, &member, &other] {
            index.insert(Arc::clone(source));
        }
        let architecture = "x86_64".parse().unwrap();
        let request = PlanRequest::new(architecture, vec![origin], Scope::Transitive);
        let (_, footprint) = plan_with_footprint(&index, &request);
        for (source, is_member) in [(member, true), (other, false)] {
            let mut change = index.insert(source);
            assert!(!footprint.is_affected_by(&change));
            change.note_new_contents();
            assert_eq!(footprint.is_affected_by(&change), is_member);
        }
    }
}

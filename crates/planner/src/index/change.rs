//! Which plans a changed package can affect, decided without planning.
//!
//! A plan depends on the packages it visited, on the names those mention and on the names those
//! provide. A changed package that is none of the visited ones, provides nothing they mention and
//! mentions nothing they provide, leaves the plan as it is, byte for byte.

use std::sync::Arc;

use buildbtw_model::Pkgbase;
use fixedbitset::FixedBitSet;

use crate::srcinfo::SourcePackage;

use crate::plan::Patterns;
use crate::world::World;

use super::{NodeRecord, PackageIndex, Tables, Use};

/// What one [`PackageIndex::insert`](super::PackageIndex::insert) or `remove` changed.
#[derive(Clone, Debug)]
pub struct IndexChange {
    identity: u64,
    base: u32,
    pkgbase: Pkgbase,
    effect: Effect,
    /// Names that the old or the new package has or provides.
    provided: Vec<u32>,
    /// Names that the old or the new package mentions in its dependencies.
    mentioned: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Relations, names or architectures differ.
    Relations,
    /// Only the version differs, which matters to relations with a version.
    Version,
    /// Only what is built differs, which matters to plans that build it.
    Contents,
    /// Nothing that planning looks at differs.
    Nothing,
}

/// Whether two versions of a package mean the same to planning, their own version aside.
pub(super) fn plans_alike(old: &Arc<SourcePackage>, new: &Arc<SourcePackage>) -> bool {
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

    pub(super) fn keeps_relations(&mut self, version_changed: bool) {
        self.effect = if version_changed {
            Effect::Version
        } else {
            Effect::Nothing
        };
    }

    /// Notes the names of the package as it was or as it is.
    pub(super) fn touch<'a>(
        &mut self,
        tables: &Tables,
        build: &[Use],
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

    /// Notes that the files of the source package differ, which the index itself does not see.
    pub fn note_new_contents(&mut self) {
        if self.effect == Effect::Nothing {
            self.effect = Effect::Contents;
        }
    }

    /// The source package that changed.
    #[must_use]
    pub fn pkgbase(&self) -> &Pkgbase {
        &self.pkgbase
    }

    /// Whether nothing that planning looks at has changed.
    #[must_use]
    pub fn is_irrelevant(&self) -> bool {
        self.effect == Effect::Nothing
    }
}

/// What a plan looked at, to tell which later changes can affect it.
#[derive(Clone, Debug)]
pub struct Footprint {
    identity: u64,
    /// How many names the index had. Later ones are in no set here.
    names: usize,
    /// Whether a changed origin brought names that the index did not have.
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

    /// Notes a member of the rebuild set.
    pub(crate) fn add_base(&mut self, world: &World<'_>, base: u32) {
        let Some(record) = world.base(base) else {
            return;
        };
        // A changed origin is known by its name.
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

    /// Notes a package that was looked at.
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

    /// Notes a name that a package may turn up with; `None` is one that nothing mentions yet.
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

    /// Whether planning again after this change could give another plan. `false` is certain;
    /// `true` may turn out to change nothing.
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
        // Whoever provides a name can take the place of another provider of it.
        let provides =
            || any(&change.provided, &self.mentioned) || any(&change.provided, &self.provided);
        let is_member = self.bases.contains(change.base as usize)
            || self.origins.contains(&change.pkgbase)
            || self.include.matches(&change.pkgbase);
        match change.effect {
            Effect::Nothing => false,
            // Other files are built; who depends on whom stays as it is.
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
    use buildbtw_model::Scope;

    use super::*;
    use crate::{PlanRequest, parse_srcinfo, plan_with_footprint};

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

//! A second implementation of the specification, as simple as possible and therefore slow. It shares only the parsing
//! of packages and the comparison of versions with the planner.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use buildbtw_model::{Architecture, Scope, compare_versions};
use buildbtw_planner::{DependencyKind, SourcePackage};

/// A package by pkgbase and name; the flag marks the default branch of a changed origin.
pub(crate) type Id = (String, String, bool);

pub(crate) struct Reference {
    architecture: Architecture,
    sources: BTreeMap<(String, bool), Arc<SourcePackage>>,
    origins: BTreeSet<String>,
}

impl Reference {
    pub(crate) fn new(
        architecture: &Architecture,
        packages: &[Arc<SourcePackage>],
        origins: &[Arc<SourcePackage>],
    ) -> Self {
        let mut sources = BTreeMap::new();
        let mut names = BTreeSet::new();
        for origin in origins {
            let name = origin.pkgbase().to_string();
            sources.insert((name.clone(), false), Arc::clone(origin));
            names.insert(name);
        }
        for package in packages {
            let name = package.pkgbase().to_string();
            sources.insert((name.clone(), names.contains(&name)), Arc::clone(package));
        }
        Self {
            architecture: architecture.clone(),
            sources,
            origins: names,
        }
    }

    /// Returns all packages for the architecture, including those of replaced versions.
    fn packages(&self) -> Vec<Id> {
        let mut ids = Vec::new();
        for ((base, old), source) in &self.sources {
            for (pkgname, _) in source.pkgnames_for(&self.architecture) {
                ids.push((base.clone(), pkgname.to_string(), *old));
            }
        }
        ids
    }

    fn of_base(&self, base: &str) -> Vec<Id> {
        let all = self.packages().into_iter();
        all.filter(|id| id.0 == base && !id.2).collect()
    }

    fn source(&self, id: &Id) -> &SourcePackage {
        &self.sources[&(id.0.clone(), id.2)]
    }

    fn depends(&self, id: &Id) -> Vec<&str> {
        let mut packages = self.source(id).packages();
        let package = packages.find(|package| package.pkgname().as_str() == id.1);
        package.unwrap().depends(&self.architecture)
    }

    fn provides(&self, id: &Id) -> Vec<&str> {
        let mut packages = self.source(id).packages();
        let package = packages.find(|package| package.pkgname().as_str() == id.1);
        package.unwrap().provides(&self.architecture)
    }

    fn resolve_among(&self, relation: &str, candidates: &[Id]) -> BTreeSet<Id> {
        let (name, sign, version) = split(relation);
        let meets = |offered: Option<&str>| match (sign, offered) {
            ("", _) => true,
            (_, None) => false,
            (sign, Some(offered)) => {
                let order = compare_versions(offered, version);
                match sign {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    "=" => order.is_eq(),
                    ">=" => order.is_ge(),
                    _ => order.is_gt(),
                }
            }
        };
        let named: BTreeSet<Id> = candidates
            .iter()
            .filter(|id| id.1 == name && meets(Some(self.source(id).version().as_str())))
            .cloned()
            .collect();
        if !named.is_empty() {
            return named;
        }
        let provides = |id: &&Id| {
            self.provides(id).into_iter().any(|provision| {
                let (provided, sign, version) = split(provision);
                // makepkg adds the soname version of a bare library when it builds the package.
                let is_numbered = sign.is_empty() && name.ends_with(".so");
                provided == name && (is_numbered || meets(Some(version).filter(|_| sign == "=")))
            })
        };
        candidates.iter().filter(provides).cloned().collect()
    }

    /// Returns the providers with the changed origins, and the old ones that no new one replaces.
    pub(crate) fn resolve(&self, relation: &str) -> BTreeSet<Id> {
        let all = self.packages();
        let new: Vec<Id> = all.iter().filter(|id| !id.2).cloned().collect();
        let is_changed = |base: &str| self.sources.contains_key(&(base.to_owned(), true));
        let before: Vec<Id> = all
            .into_iter()
            .filter(|id| id.2 || !is_changed(&id.0))
            .filter(|id| self.sources.contains_key(&(id.0.clone(), id.2)))
            .collect();
        let mut found = self.resolve_among(relation, &new);
        let bases: BTreeSet<String> = found.iter().map(|id| id.0.clone()).collect();
        // A changed origin without a default branch is new.
        let before: Vec<Id> = before
            .into_iter()
            .filter(|id| id.2 || !self.origins.contains(&id.0) || is_changed(&id.0))
            .collect();
        for id in self.resolve_among(relation, &before) {
            if id.2 && !bases.contains(&id.0) {
                found.insert(id);
            }
        }
        found
    }

    /// Returns what can be installed for a relation: old versions only if nothing else satisfies it.
    pub(crate) fn installable(&self, relation: &str) -> BTreeSet<Id> {
        let all = self.resolve(relation);
        let current: BTreeSet<Id> = all.iter().filter(|id| !id.2).cloned().collect();
        if current.is_empty() { all } else { current }
    }

    /// Returns the distance in pkgbases of each reached package.
    fn reach(&self, scope: Scope, excluded: &dyn Fn(&str) -> bool) -> BTreeMap<Id, u32> {
        let all = self.packages();
        let mut distance: BTreeMap<Id, u32> = BTreeMap::new();
        for id in &all {
            if self.origins.contains(&id.0) {
                distance.insert(id.clone(), 0);
            }
        }
        let limit = match scope {
            Scope::Origin => 0,
            Scope::Direct => 1,
            Scope::Soname | Scope::Transitive | Scope::All => u32::MAX,
        };
        loop {
            let mut changed = false;
            for id in all.iter().filter(|id| !id.2) {
                if excluded(&id.0) && !self.origins.contains(&id.0) {
                    continue;
                }
                let mut relations = self.depends(id);
                if scope == Scope::All {
                    relations.extend(self.source(id).build_dependencies(&self.architecture));
                }
                for relation in relations {
                    if scope == Scope::Soname && !split(relation).0.contains(".so") {
                        continue;
                    }
                    for provider in self.resolve(relation) {
                        let Some(&from) = distance.get(&provider) else {
                            continue;
                        };
                        let step = u32::from(provider.0 != id.0);
                        let new = from + step;
                        if new <= limit && distance.get(id).is_none_or(|&old| new < old) {
                            distance.insert(id.clone(), new);
                            changed = true;
                        }
                    }
                }
            }
            if !changed {
                return distance;
            }
        }
    }

    /// Returns the rebuild set, with the distance of each member from an origin.
    pub(crate) fn members(
        &self,
        scope: Scope,
        included: &dyn Fn(&str) -> bool,
        excluded: &dyn Fn(&str) -> bool,
    ) -> BTreeMap<String, Option<u32>> {
        let mut members: BTreeMap<String, Option<u32>> = BTreeMap::new();
        for (id, distance) in self.reach(scope, excluded) {
            let nearest = members.entry(id.0).or_insert(Some(distance));
            *nearest = (*nearest).min(Some(distance));
        }
        for (base, old) in self.sources.keys() {
            if !old && included(base) && !excluded(base) && !members.contains_key(base) {
                members.insert(base.clone(), None);
            }
        }
        members.retain(|base, _| !self.of_base(base).is_empty());
        members
    }

    /// Returns everything that is installed for these relations.
    fn installed(&self, relations: &[&str]) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut queue: VecDeque<Id> = VecDeque::new();
        for relation in relations {
            queue.extend(self.installable(relation));
        }
        while let Some(id) = queue.pop_front() {
            if found.insert(id.clone()) {
                for relation in self.depends(&id) {
                    queue.extend(self.installable(relation));
                }
            }
        }
        found
    }

    fn bases(ids: BTreeSet<Id>, but: &str) -> BTreeSet<String> {
        let bases = ids.into_iter().map(|id| id.0);
        bases.filter(|base| base != but).collect()
    }

    /// Returns the other pkgbases in the environment of a build, with the hardest kind of dependency that leads to
    /// each.
    pub(crate) fn environment(&self, base: &str) -> BTreeMap<String, DependencyKind> {
        let source = &self.sources[&(base.to_owned(), false)];
        let mut found = BTreeMap::new();
        for (kind, relations) in [
            (
                DependencyKind::Checkdepends,
                source.checkdepends(&self.architecture),
            ),
            (
                DependencyKind::Makedepends,
                source.makedepends(&self.architecture),
            ),
            (DependencyKind::Depends, source.depends(&self.architecture)),
        ] {
            for other in Self::bases(self.installed(&relations), base) {
                found.insert(other, kind);
            }
        }
        found
    }

    /// Returns the pkgbases that the packages of a pkgbase pull in at run time.
    pub(crate) fn at_run_time(&self, base: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for id in self.of_base(base) {
            found.extend(Self::bases(self.installed(&self.depends(&id)), base));
        }
        found
    }

    /// Returns the dependencies of a pkgbase with their kinds.
    pub(crate) fn relations(&self, base: &str) -> Vec<(String, DependencyKind)> {
        let source = &self.sources[&(base.to_owned(), false)];
        let architecture = &self.architecture;
        let mut found = Vec::new();
        for (kind, list) in [
            (DependencyKind::Depends, source.depends(architecture)),
            (
                DependencyKind::Makedepends,
                source.makedepends(architecture),
            ),
            (
                DependencyKind::Checkdepends,
                source.checkdepends(architecture),
            ),
        ] {
            found.extend(list.into_iter().map(|text| (text.to_owned(), kind)));
        }
        for id in self.of_base(base) {
            let own = self.depends(&id).into_iter();
            found.extend(own.map(|text| (text.to_owned(), DependencyKind::Depends)));
        }
        found
    }
}

pub(crate) fn split(relation: &str) -> (&str, &str, &str) {
    let Some(start) = relation.find(['<', '>', '=']) else {
        return (relation, "", "");
    };
    let rest = &relation[start..];
    let length = if rest[1..].starts_with('=') { 2 } else { 1 };
    (&relation[..start], &rest[..length], &rest[length..])
}

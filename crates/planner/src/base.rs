//! The packages of the base repositories, which are available whatever is rebuilt.

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname};
use rustc_hash::FxHashMap;

use crate::relation::Relation;

/// A package that a base repository lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePackage {
    /// Its name.
    pub name: Pkgname,
    /// The source package it was built from, if the repository records it.
    pub pkgbase: Option<Pkgbase>,
    /// Its version.
    pub version: PackageVersion,
    /// Its run-time dependencies, in pacman's notation.
    pub depends: Vec<Box<str>>,
    /// Its provisions, without its own name.
    pub provides: Vec<Box<str>>,
}

/// An index of the packages in an architecture's base repositories.
#[derive(Clone, Debug, Default)]
pub struct BaseIndex {
    /// In the order in which pacman searches the repositories.
    packages: Vec<BasePackage>,
    named: FxHashMap<Box<str>, Vec<u32>>,
    provided: FxHashMap<Box<str>, Vec<u32>>,
}

impl BaseIndex {
    /// Creates an index of packages, given in the order in which pacman searches the repositories.
    #[must_use]
    pub fn new(packages: Vec<BasePackage>) -> Self {
        let mut index = Self::default();
        for (at, package) in (0..).zip(&packages) {
            let name = package.name.as_str();
            index.named.entry(name.into()).or_default().push(at);
            for provision in &package.provides {
                let name = Relation::split(provision).name;
                let list = index.provided.entry(name.into()).or_default();
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
        }
        index.packages = packages;
        index
    }

    /// Returns all packages, in the order in which pacman searches the repositories.
    pub fn packages(&self) -> &[BasePackage] {
        &self.packages
    }

    /// Returns whether a package satisfies a dependency, given in pacman's notation.
    #[must_use]
    pub fn satisfies(&self, dependency: &str) -> bool {
        let wanted = Relation::split(dependency);
        let named = self.named(wanted.name);
        let provided = self.provided(wanted.name);
        named
            .chain(provided)
            .any(|(_, package)| package.meets(&wanted))
    }

    pub(crate) fn get(&self, at: u32) -> Option<&BasePackage> {
        self.packages.get(at as usize)
    }

    /// Returns the packages with a name, with their positions.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (u32, &BasePackage)> {
        self.at(self.named.get(name))
    }

    /// Returns the packages that provide a name, with their positions.
    pub(crate) fn provided(&self, name: &str) -> impl Iterator<Item = (u32, &BasePackage)> {
        self.at(self.provided.get(name))
    }

    fn at<'s>(
        &'s self,
        list: Option<&'s Vec<u32>>,
    ) -> impl Iterator<Item = (u32, &'s BasePackage)> {
        let places = list.into_iter().flatten();
        places.filter_map(move |&at| Some((at, self.get(at)?)))
    }
}

impl BasePackage {
    /// Returns whether it satisfies a relation by its name or by what it provides.
    pub(crate) fn meets(&self, wanted: &Relation<'_>) -> bool {
        let by_name =
            self.name.as_str() == wanted.name && wanted.is_met_by(Some(self.version.as_str()));
        by_name || self.provides_for(wanted)
    }

    /// Returns whether what it provides satisfies a relation.
    pub(crate) fn provides_for(&self, wanted: &Relation<'_>) -> bool {
        self.provides.iter().any(|provision| {
            let provision = Relation::split(provision);
            provision.name == wanted.name && wanted.is_met_by(provision.provided_version())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_dependency_by_name_or_provision() {
        let package = |name: &str, version: &str, provides: &[&str]| BasePackage {
            name: name.parse().unwrap(),
            pkgbase: None,
            version: version.parse().unwrap(),
            depends: Vec::new(),
            provides: provides.iter().map(|&text| text.into()).collect(),
        };
        let base = BaseIndex::new(vec![
            package("libx", "1-1", &["libx.so=1-64", "libx.so=2-64", "bare.so"]),
            package("other", "3-1", &["libx=9"]),
        ]);
        for met in [
            "libx",
            "libx<2",
            "libx>8",
            "libx.so",
            "libx.so=2-64",
            "bare.so",
        ] {
            assert!(base.satisfies(met), "{met}");
        }
        // In built packages, sonames have versions.
        for unmet in ["liby", "libx=2", "other>3", "libx.so=3-64", "bare.so=1-64"] {
            assert!(!base.satisfies(unmet), "{unmet}");
        }
    }
}

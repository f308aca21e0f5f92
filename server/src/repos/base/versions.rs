//! The versions of packages that base repositories list.

use std::collections::HashMap;

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname};

/// A version of a package that a base repository lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseVersion {
    /// The source package it was built from, if the repository names it.
    pub pkgbase: Option<Pkgbase>,
    /// The version.
    pub version: PackageVersion,
}

/// The versions of each package, in pacman's order of the repositories.
#[derive(Clone, Debug, Default)]
pub struct BaseVersions(HashMap<Pkgname, Vec<BaseVersion>>);

impl BaseVersions {
    /// Returns the versions of a package, from all source packages.
    pub fn of(&self, name: &str) -> &[BaseVersion] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

impl FromIterator<(Pkgname, BaseVersion)> for BaseVersions {
    fn from_iter<T: IntoIterator<Item = (Pkgname, BaseVersion)>>(found: T) -> Self {
        let mut versions = Self::default();
        for (name, version) in found {
            versions.0.entry(name).or_default().push(version);
        }
        versions
    }
}

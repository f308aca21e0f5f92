//! Decides which of several packages of one name a repository lists. They come from two stages of a build, or from
//! two source packages after a package moved. pacman uses one, so the database lists one, independent of the order
//! in which builds end.

use buildbtw_model::{PackageVersion, Pkgbase, compare_versions};

use crate::db::packages::{Candidate, Listing};

/// A package that may have others of the same name.
pub trait NamedPackage {
    /// Returns its source package.
    fn pkgbase(&self) -> &Pkgbase;
    /// Returns the stage of its build.
    fn stage(&self) -> u32;
    /// Returns its version.
    fn version(&self) -> &PackageVersion;
}

macro_rules! impl_named_package {
    ($($type:ty),*) => {
        $(impl NamedPackage for $type {
            fn pkgbase(&self) -> &Pkgbase {
                &self.pkgbase
            }

            fn stage(&self) -> u32 {
                self.stage
            }

            fn version(&self) -> &PackageVersion {
                &self.version
            }
        })*
    };
}

impl_named_package!(Candidate, &Candidate, Listing);

/// The packages of one name: the last stage of each source package.
#[derive(Debug)]
pub struct NameCandidates<T>(Vec<T>);

impl<T> Default for NameCandidates<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: NamedPackage> NameCandidates<T> {
    /// Adds a package, unless a later stage of its source package is known. Returns whether it was added.
    pub fn add(&mut self, package: T) -> bool {
        let mut others = self.0.iter_mut();
        match others.find(|other| other.pkgbase() == package.pkgbase()) {
            Some(other) if other.stage() > package.stage() => return false,
            Some(other) => *other = package,
            None => self.0.push(package),
        }
        true
    }

    /// Returns the package to list: the highest version, and among equal ones the first source package by name.
    #[must_use]
    pub fn listed(&self) -> Option<&T> {
        self.0.iter().max_by(|a, b| {
            compare_versions(a.version().as_str(), b.version().as_str())
                .then_with(|| b.pkgbase().cmp(a.pkgbase()))
        })
    }
}

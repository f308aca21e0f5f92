//! Which package of a name a repository lists. Two stages of a build make it, or two source packages: one
//! that has moved is still in the sources of the old one. pacman takes one, so the database has one, the
//! same whichever build ends last.

use buildbtw_model::{PackageVersion, Pkgbase, compare_versions};

use crate::db::packages::{Candidate, Listing};

/// A package that others of its name are compared with.
pub trait BuiltPackage {
    /// The source package that impl_built_package it.
    fn pkgbase(&self) -> &Pkgbase;
    /// The stage of its build.
    fn stage(&self) -> u32;
    /// Its version.
    fn version(&self) -> &PackageVersion;
}

macro_rules! impl_built_package {
    ($($type:ty),*) => {
        $(impl BuiltPackage for $type {
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

impl_built_package!(Candidate, &Candidate, Listing);

/// Packages of one name: of each source package the one of its last stage.
#[derive(Debug)]
pub struct Rivals<T>(Vec<T>);

impl<T> Default for Rivals<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: BuiltPackage> Rivals<T> {
    /// Adds a package, unless its source package has one of a later stage. Returns whether it did.
    pub fn add(&mut self, package: T) -> bool {
        let mut others = self.0.iter_mut();
        match others.find(|other| other.pkgbase() == package.pkgbase()) {
            Some(other) if other.stage() > package.stage() => return false,
            Some(other) => *other = package,
            None => self.0.push(package),
        }
        true
    }

    /// The one that is listed: that of the highest version, of equal ones that of the first source
    /// package by name.
    #[must_use]
    pub fn listed(&self) -> Option<&T> {
        self.0.iter().max_by(|a, b| {
            compare_versions(a.version().as_str(), b.version().as_str())
                .then_with(|| b.pkgbase().cmp(a.pkgbase()))
        })
    }
}

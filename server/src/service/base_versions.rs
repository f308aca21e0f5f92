//! The versions of packages in the base repositories that releases of rebuilt packages depend on.

use std::collections::HashMap;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname};
use buildbtw_planner::{PackageIndex, Problem, ProblemKind, SourcePackage};

use crate::repos::base::BaseVersions;

/// The source packages of a plan: those of the index, some of them replaced by its origins.
pub(crate) struct Producers<'a> {
    index: &'a PackageIndex,
    changed: HashMap<&'a Pkgbase, &'a SourcePackage>,
}

impl<'a> Producers<'a> {
    /// Creates them from the index; `changed` packages replace those of the same pkgbase.
    pub(crate) fn new(
        index: &'a PackageIndex,
        changed: impl Iterator<Item = &'a SourcePackage>,
    ) -> Self {
        Self {
            index,
            changed: changed
                .map(|package| (package.pkgbase(), package))
                .collect(),
        }
    }

    /// Returns the source package of a pkgbase.
    pub(crate) fn get(&self, pkgbase: &Pkgbase) -> Option<&'a SourcePackage> {
        let changed = self.changed.get(pkgbase).copied();
        changed.or_else(|| self.index.get(pkgbase).map(|found| &**found))
    }

    fn produces(&self, pkgbase: &Pkgbase, name: &Pkgname) -> bool {
        let package = self.get(pkgbase);
        package.is_some_and(|package| package.packages().any(|output| output.pkgname() == name))
    }

    /// Returns the versions of a package in the base repositories. Versions of another source package that still
    /// produces it do not count for the releases of this one; a source package that no longer exists or no longer
    /// produces it may be a former name of this one.
    pub(crate) fn base_versions(
        &self,
        package: &SourcePackage,
        name: &Pkgname,
        base: &BaseVersions,
    ) -> Vec<PackageVersion> {
        let own = package.version().without_pkgrel();
        let counts = base.of(name.as_str()).iter().filter(|found| {
            let other = found.pkgbase.as_ref();
            match other.filter(|other| *other != package.pkgbase()) {
                None => true,
                Some(other) => found.version.without_pkgrel() == own && !self.produces(other, name),
            }
        });
        let versions: Vec<_> = counts.map(|found| found.version.clone()).collect();
        effective_versions(&versions)
    }

    /// Returns a problem for every package that the base repositories have from another source package, in a version
    /// that this one does not install over. Source packages for which `is_member` is true are reported elsewhere.
    pub(crate) fn produced_elsewhere(
        package: &SourcePackage,
        version: &PackageVersion,
        architecture: &Architecture,
        base: &BaseVersions,
        is_member: impl Fn(&Pkgbase) -> bool,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, _) in package.pkgnames_for(architecture) {
            let found = base.of(name.as_str()).iter().find_map(|found| {
                let producer = found.pkgbase.as_ref()?;
                let is_other = producer != package.pkgbase() && !is_member(producer);
                let is_above = found.version.compare(version).is_ge();
                (is_other && is_above).then_some((producer, &found.version))
            });
            if let Some((producer, newer)) = found {
                problems.push(Problem {
                    pkgbase: package.pkgbase().clone(),
                    kind: ProblemKind::SamePackage,
                    message: format!(
                        "`pacman -Syu` will not install {name} {version}: base has {newer}, built from {producer}"
                    ),
                });
            }
        }
        problems
    }
}

/// Returns the versions that count: pacman ignores newer versions in repositories after the first one that has the
/// package.
fn effective_versions(versions: &[PackageVersion]) -> Vec<PackageVersion> {
    let Some(first) = versions.first() else {
        return Vec::new();
    };
    let is_same = |version: &PackageVersion| version.without_pkgrel() == first.without_pkgrel();
    let counts = |version: &&PackageVersion| version.compare(first).is_le() || is_same(version);
    versions.iter().filter(counts).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::repos::base::BaseVersion;

    #[test]
    fn ignores_newer_versions_in_later_repositories() {
        for (versions, expected) in [
            (&["2-1", "3-1", "1-1"][..], &["2-1", "1-1"][..]),
            (&["2-1", "2-4"], &["2-1", "2-4"]),
            (&[], &[]),
        ] {
            let parsed: Vec<PackageVersion> =
                versions.iter().map(|text| text.parse().unwrap()).collect();
            let effective = effective_versions(&parsed);
            let effective: Vec<&str> = effective.iter().map(PackageVersion::as_str).collect();
            assert_eq!(effective, expected, "{versions:?}");
        }
    }

    fn source(pkgbase: &str, version: &str, names: &[&str]) -> SourcePackage {
        let (pkgver, pkgrel) = version.split_once('-').unwrap();
        let mut text =
            format!("pkgbase = {pkgbase}\npkgver = {pkgver}\npkgrel = {pkgrel}\narch = x86_64\n");
        for name in names {
            text.push_str(&format!("\npkgname = {name}\n"));
        }
        buildbtw_planner::parse_srcinfo(&text).unwrap()
    }

    #[test]
    fn problems_match_snapshot() {
        let found = BaseVersion {
            pkgbase: Some("newbase".parse().unwrap()),
            version: "2-1".parse().unwrap(),
        };
        let name: Pkgname = "moved".parse().unwrap();
        let base: BaseVersions = [(name, found)].into_iter().collect();
        let problems = |is_member: bool| {
            Producers::produced_elsewhere(
                &source("oldbase", "1-3", &["moved"]),
                &"1-4".parse().unwrap(),
                &"x86_64".parse().unwrap(),
                &base,
                |_| is_member,
            )
        };
        assert_eq!(problems(true), []);
        let problems: Vec<_> = problems(false)
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn ignores_packages_of_other_pkgbases() {
        let mut index = PackageIndex::default();
        index.insert(Arc::new(source("newbase", "2-1", &["moved"])));
        index.insert(Arc::new(source("unrelated", "1-3", &["unrelated"])));
        let old = source("oldbase", "1-3", &["oldbase", "moved"]);
        let producers = Producers::new(&index, std::iter::once(&old));
        for (producer, version, expected) in [
            (Some("newbase"), "2-1", &[][..]),
            (Some("newbase"), "1-3.7", &[]),
            (Some("oldbase"), "1-3.2", &["1-3.2"]),
            (None, "2-1", &["2-1"]),
            // The former name of oldbase, or the pkgbase that built it before.
            (Some("gone"), "1-3.4", &["1-3.4"]),
            (Some("unrelated"), "1-3.4", &["1-3.4"]),
            (Some("gone"), "2-1", &[]),
        ] {
            let found = BaseVersion {
                pkgbase: producer.map(|producer| producer.parse().unwrap()),
                version: version.parse().unwrap(),
            };
            let name: Pkgname = "moved".parse().unwrap();
            let base: BaseVersions = [(name.clone(), found)].into_iter().collect();
            let effective = producers.base_versions(&old, &name, &base);
            let effective: Vec<&str> = effective.iter().map(PackageVersion::as_str).collect();
            assert_eq!(effective, expected, "{producer:?} {version}");
        }
    }
}

//! The versions that a plan gives its packages, and the problems that they cause.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname, ReleaseRule};

use super::constraints::{VersionedPackage, unmet_constraints};
use super::duplicates::{AssignedVersions, same_packages};
use super::outcome::Plan;
use super::planned_version::{PlannedVersion, computes_version};
use crate::budget::{Budget, Unlimited};
use crate::index::PackageIndex;
use crate::srcinfo::SourcePackage;

impl Plan {
    /// Adds the versions that the builds would have in a new namespace, with their problems. `base` returns the
    /// versions that the base repositories have of a package. Without `bump`, no release is raised.
    pub fn expect_versions(
        &mut self,
        index: &PackageIndex,
        origins: &[Arc<SourcePackage>],
        base: &dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
        bump: bool,
    ) {
        let Ok(()) = self.expect_versions_within(index, origins, base, bump, &Unlimited);
    }

    /// Adds versions like [`Plan::expect_versions`], within a budget.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub fn expect_versions_within<B: Budget>(
        &mut self,
        index: &PackageIndex,
        origins: &[Arc<SourcePackage>],
        base: &dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
        bump: bool,
        budget: &B,
    ) -> Result<(), B::Over> {
        let mut changed: HashMap<&Pkgbase, &Arc<SourcePackage>> = HashMap::new();
        for origin in origins {
            changed.entry(origin.pkgbase()).or_insert(origin);
        }
        let found = self.builds.iter().map(|build| {
            let origin = changed.get(&build.pkgbase).copied();
            origin.or_else(|| index.get(&build.pkgbase))
        });
        let Some(packages) = found.collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let expected = Expected {
            is_rebuild: &|pkgbase| bump && !changed.contains_key(pkgbase),
            base,
            bump,
        };
        let versions = expected.versions(self, &packages, budget)?;
        let built: Vec<VersionedPackage<'_>> = packages
            .iter()
            .zip(&versions)
            .map(|(package, version)| VersionedPackage {
                package,
                version: &version.version,
            })
            .collect();
        let unmet = unmet_constraints(index, &built, &self.architecture, budget)?;
        self.problems.extend(unmet);
        let duplicates = same_packages(index, &built, &self.architecture, budget)?;
        self.problems.extend(duplicates);
        for ((build, version), package) in self.builds.iter().zip(&versions).zip(&packages) {
            self.problems.extend(version.problem(&build.pkgbase));
            if changed.contains_key(&build.pkgbase) && build.stage == 1 {
                let same = version.same_as_base(&build.pkgbase, package.version());
                self.problems.extend(same);
            }
        }
        self.problems.sort();
        self.problems.dedup();
        self.versions = versions;
        Ok(())
    }

    /// Returns the versions of the builds in their order; empty before [`Plan::expect_versions`].
    #[must_use]
    pub fn versions(&self) -> &[PlannedVersion] {
        &self.versions
    }
}

/// The input for the versions of a plan's builds.
struct Expected<'a> {
    is_rebuild: &'a dyn Fn(&Pkgbase) -> bool,
    /// See [`Plan::expect_versions`].
    base: &'a dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
    bump: bool,
}

impl Expected<'_> {
    /// Returns the versions of the builds in their order; `packages` are their source packages.
    fn versions<B: Budget>(
        &self,
        plan: &Plan,
        packages: &[&Arc<SourcePackage>],
        budget: &B,
    ) -> Result<Vec<PlannedVersion>, B::Over> {
        let architecture = &plan.architecture;
        let mut order: Vec<usize> = (0..packages.len()).collect();
        order.sort_unstable_by(|&a, &b| {
            let key = |at: usize| (packages[at].pkgbase(), plan.builds[at].stage);
            AssignedVersions::order(key(a), key(b))
        });
        let mut assigned = AssignedVersions::default();
        let mut first_stages: HashMap<&Pkgbase, PackageVersion> = HashMap::new();
        let mut versions: Vec<Option<PlannedVersion>> = vec![None; packages.len()];
        for at in order {
            budget.check()?;
            let package = packages[at];
            let pkgbase = package.pkgbase();
            let names = package.pkgnames_for(architecture);
            let in_base = names.flat_map(|(name, _)| (self.base)(pkgbase, name));
            let in_base: Vec<PackageVersion> = in_base.collect();
            let mut rule = ReleaseRule {
                is_rebuild: (self.is_rebuild)(pkgbase),
                base: if self.bump {
                    in_base.clone()
                } else {
                    Vec::new()
                },
                earlier: first_stages.get(pkgbase).cloned().into_iter().collect(),
            };
            let others = assigned.of_others(package, architecture);
            let version = rule.version_avoiding(package.version(), &others);
            // Without a bump, base does not affect the version, but it is needed for the note.
            rule.base = in_base;
            first_stages.insert(pkgbase, version.clone());
            assigned.assign(package, architecture, &version);
            versions[at] = Some(PlannedVersion {
                version,
                is_computed: computes_version(package, architecture),
                rule,
            });
        }
        Ok(versions.into_iter().flatten().collect())
    }
}

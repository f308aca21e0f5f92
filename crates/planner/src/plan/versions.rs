//! The versions that a plan gives its packages, and what they mean for the dependencies on them.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname, ReleaseRule, version_note};

use super::budget::{Budget, Unlimited};
use super::constraints::{BuiltPackage, unmet_constraints};
use super::rivals::{GivenVersions, same_packages};
use super::{Plan, Problem, ProblemKind};
use crate::index::PackageIndex;
use crate::srcinfo::SourcePackage;

/// Kinds of sources whose newest state is built unless they are pinned.
const REPOSITORIES: &[&str] = &["bzr", "fossil", "git", "hg", "svn"];
/// What pins such a source.
const PINS: &[&str] = &["commit", "revision", "tag"];
/// What packages of such sources are called.
const SUFFIXES: &[&str] = &["-bzr", "-fossil", "-git", "-hg", "-svn"];

/// The version that a build gives its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedVersion {
    /// The version. One that is computed follows from what `.SRCINFO` says now.
    pub version: PackageVersion,
    /// Whether `pkgver()` may compute another one when it is built.
    pub is_computed: bool,
    /// How it is chosen.
    pub rule: ReleaseRule,
}

impl PlannedVersion {
    /// What people should know about it.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        version_note(self.is_computed, self.rule.newer_in_base(&self.version))
    }

    /// Why packages of this version would not replace those of the base repositories.
    #[must_use]
    pub fn problem(&self, pkgbase: &Pkgbase) -> Option<Problem> {
        if self.is_computed {
            return None;
        }
        let version = &self.version;
        let newer = self.rule.newer_in_base(version)?;
        let message = if self.rule.is_rebuild {
            format!(
                "{version} would not install over {newer} of the base repositories: its build fails"
            )
        } else {
            format!("{version} is {}", self.note()?)
        };
        Some(Problem {
            pkgbase: pkgbase.clone(),
            kind: ProblemKind::OlderThanBase,
            message,
        })
    }
}

/// Whether the version is likely to be computed by `pkgver()`, of which `.SRCINFO` says nothing: a
/// source is whatever a repository holds when it is built.
#[must_use]
pub fn computes_version(package: &SourcePackage, architecture: &Architecture) -> bool {
    let name = package.pkgbase().as_str();
    let is_named_so = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    package.sources(architecture).into_iter().any(|source| {
        let address = source
            .split_once("::")
            .map_or(source, |(_, address)| address);
        let Some((scheme, rest)) = address.split_once("://") else {
            return false;
        };
        let kind = scheme.split_once('+').map_or(scheme, |(kind, _)| kind);
        let fragment = rest.split_once('#').map_or("", |(_, fragment)| fragment);
        let pin = fragment.split_once('=').map_or("", |(kind, _)| kind);
        REPOSITORIES.contains(&kind) && (is_named_so || !PINS.contains(&pin))
    })
}

impl Plan {
    /// Adds the versions that the builds would have in a new namespace, and the problems that come
    /// with them. `base` tells what the base repositories hold of a package that a source package makes.
    /// Without `bump`, that raises no release.
    pub fn expect_versions(
        &mut self,
        index: &PackageIndex,
        origins: &[Arc<SourcePackage>],
        base: &dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
        bump: bool,
    ) {
        let Ok(()) = self.expect_versions_within(index, origins, base, bump, &Unlimited);
    }

    /// [`Plan::expect_versions`], for as long as a budget lasts.
    ///
    /// # Errors
    /// When it is used up.
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
        let built: Vec<BuiltPackage<'_>> = packages
            .iter()
            .zip(&versions)
            .map(|(package, version)| BuiltPackage {
                package,
                version: &version.version,
            })
            .collect();
        let unmet = unmet_constraints(index, &built, &self.architecture, budget)?;
        self.problems.extend(unmet);
        let rivals = same_packages(index, &built, &self.architecture, budget)?;
        self.problems.extend(rivals);
        let problems = self.builds.iter().zip(&versions);
        self.problems
            .extend(problems.filter_map(|(build, version)| version.problem(&build.pkgbase)));
        self.problems.sort();
        self.problems.dedup();
        self.versions = versions;
        Ok(())
    }

    /// The versions of the builds, in their order; none before [`Plan::expect_versions`].
    #[must_use]
    pub fn versions(&self) -> &[PlannedVersion] {
        &self.versions
    }
}

/// What the versions of a plan's builds follow from.
struct Expected<'a> {
    is_rebuild: &'a dyn Fn(&Pkgbase) -> bool,
    /// See [`Plan::expect_versions`].
    base: &'a dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
    bump: bool,
}

impl Expected<'_> {
    /// The versions of the builds, in their order; `packages` are what is built.
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
            GivenVersions::order(key(a), key(b))
        });
        let mut given = GivenVersions::default();
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
            let others = given.of_others(package, architecture);
            let version = rule.version_beside(package.version(), &others);
            // It decides nothing without a bump, and is worth knowing all the same.
            rule.base = in_base;
            first_stages.insert(pkgbase, version.clone());
            given.give(package, architecture, &version);
            versions[at] = Some(PlannedVersion {
                version,
                is_computed: computes_version(package, architecture),
                rule,
            });
        }
        Ok(versions.into_iter().flatten().collect())
    }
}

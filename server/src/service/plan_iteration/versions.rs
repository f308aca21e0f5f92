//! Assigns the version of every build, so that rebuilt packages install over earlier ones, and no file name has two
//! contents.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname, ReleaseRule};
use buildbtw_planner::{
    AssignedVersions, Budget as _, PackageIndex, Problem, SourcePackage, TimedOut,
    VersionedPackage, same_packages, unmet_constraints,
};

use super::draft::{Draft, Reusable};
use super::plan_input::PlanInput;
use super::planned::PlannedArchitecture;
use super::store::same_stage;
use crate::planning::queue::PlanBudget;
use crate::repos::base::BaseVersions;
use crate::service::base_versions::Producers;

/// Assigns the versions of all builds. Packages with the same input hash are reused if they install over all earlier
/// ones. An origin keeps the version of its changeset, unless the base repositories have it, or this namespace has
/// packages of that version with other contents; without bump only the latter counts, for all builds.
///
/// # Errors
/// When the budget is exhausted.
pub(super) fn assign_versions(
    parts: &mut [PlannedArchitecture],
    input: &PlanInput,
    index: &PackageIndex,
    budget: &PlanBudget,
) -> Result<(), TimedOut> {
    let mut produced: HashMap<&Pkgname, Vec<(u32, &PackageVersion)>> = HashMap::new();
    for package in &input.produced {
        produced
            .entry(&package.pkgname)
            .or_default()
            .push((package.stage, &package.version));
    }
    let base = Bases(
        parts
            .iter()
            .map(|part| (part.architecture.clone(), Arc::clone(&part.base.versions)))
            .collect(),
    );
    let mut first: Stages = HashMap::new();
    for (number, part) in parts.iter_mut().enumerate() {
        let packages: Vec<_> = part
            .drafts
            .iter()
            .map(|draft| Arc::clone(&draft.package))
            .collect();
        let assigner = VersionAssigner {
            producers: Producers::new(index, packages.iter().map(|package| &**package)),
            base: &base,
            produced: &produced,
            first: (number > 0).then_some(&first),
            bump: input.bump,
        };
        let stages = assigner.assign(&part.architecture, &mut part.drafts, budget)?;
        if number == 0 {
            first = stages;
        }
    }
    Ok(())
}

/// The versions in the base repositories of each architecture.
struct Bases(Vec<(Architecture, Arc<BaseVersions>)>);

impl Bases {
    /// Returns the versions that count for a package: packages of architecture `any` are built once for all.
    fn of(
        &self,
        producers: &Producers<'_>,
        package: &SourcePackage,
        architecture: &Architecture,
    ) -> Vec<PackageVersion> {
        let is_any = package.is_any();
        let mut versions = Vec::new();
        for (of, base) in &self.0 {
            if is_any || of == architecture {
                let names = package.pkgnames_for(of);
                versions.extend(
                    names.flat_map(|(name, _)| producers.base_versions(package, name, base)),
                );
            }
        }
        versions.sort();
        versions.dedup();
        versions
    }
}

/// The versions of the stages of each package.
type Stages = HashMap<Pkgbase, BTreeMap<u32, PackageVersion>>;

/// Assigns the versions of one architecture.
struct VersionAssigner<'a> {
    producers: Producers<'a>,
    base: &'a Bases,
    produced: &'a HashMap<&'a Pkgname, Vec<(u32, &'a PackageVersion)>>,
    /// The versions of the first architecture, for the ones after it.
    first: Option<&'a Stages>,
    bump: bool,
}

impl VersionAssigner<'_> {
    fn assign(
        &self,
        architecture: &Architecture,
        drafts: &mut [Draft],
        budget: &PlanBudget,
    ) -> Result<Stages, TimedOut> {
        let mut stages: Stages = HashMap::new();
        let last_stages = last_stages(drafts);
        let mut order: Vec<&mut Draft> = drafts.iter_mut().collect();
        order.sort_by(|a, b| {
            let (a_key, b_key) = (
                (a.package.pkgbase(), a.stage),
                (b.package.pkgbase(), b.stage),
            );
            AssignedVersions::order(a_key, b_key)
        });
        let mut given = AssignedVersions::default();
        for draft in order {
            budget.check()?;
            let package = Arc::clone(&draft.package);
            let pkgbase = package.pkgbase();
            let names = || package.pkgnames_for(architecture).map(|(name, _)| name);
            let had = names().flat_map(|name| self.produced.get(name).into_iter().flatten());
            let had: Vec<_> = had.copied().collect();
            let of_others = given.of_others(&package, architecture);
            let own_stages = stages.entry(pkgbase.clone()).or_default();
            let earlier_stage = own_stages
                .last_key_value()
                .map(|(_, version)| version.clone());
            let in_base = self.base.of(&self.producers, &package, architecture);
            let earlier = had.iter().map(|(_, version)| (*version).clone());
            let mut known = KnownVersions {
                rule: ReleaseRule {
                    is_rebuild: self.bump && !draft.is_origin,
                    base: if self.bump {
                        in_base.clone()
                    } else {
                        Vec::new()
                    },
                    earlier: earlier_stage.iter().cloned().chain(earlier).collect(),
                },
                own: package.version(),
                earlier_stage,
                had,
                of_others,
            };
            let shared = self.first.filter(|_| package.is_any()).and_then(|first| {
                let is_last = last_stages.get(pkgbase) == Some(&draft.stage);
                same_stage(first.get(pkgbase)?, draft.stage, is_last)
            });
            let version = choose(draft, &mut known, shared);
            draft.version.version = version.clone();
            draft.version.rule = known.rule;
            // Without a bump it decides nothing, but is still shown.
            draft.version.rule.base = in_base;
            given.assign(&package, architecture, &version);
            own_stages.insert(draft.stage, version);
        }
        Ok(stages)
    }
}

fn last_stages(drafts: &[Draft]) -> HashMap<Pkgbase, u32> {
    let mut last_stages = HashMap::new();
    for draft in drafts {
        let pkgbase = draft.package.pkgbase().clone();
        let last: &mut u32 = last_stages.entry(pkgbase).or_default();
        *last = draft.stage.max(*last);
    }
    last_stages
}

/// Returns the problems of the versions of an architecture's builds.
///
/// # Errors
/// When the budget is exhausted.
pub(super) fn problems(
    part: &PlannedArchitecture,
    index: &PackageIndex,
    budget: &PlanBudget,
) -> Result<Vec<Problem>, TimedOut> {
    let built: Vec<VersionedPackage<'_>> = part
        .drafts
        .iter()
        .map(|draft| VersionedPackage {
            package: &draft.package,
            version: &draft.version.version,
        })
        .collect();
    let mut problems = unmet_constraints(index, &built, &part.architecture, budget)?;
    problems.extend(same_packages(index, &built, &part.architecture, budget)?);
    let members: HashSet<&Pkgbase> = part
        .drafts
        .iter()
        .map(|draft| draft.package.pkgbase())
        .collect();
    for draft in part.drafts.iter().filter(|draft| draft.reused.is_none()) {
        budget.check()?;
        problems.extend(draft.version.problem(draft.package.pkgbase()));
        problems.extend(Producers::produced_elsewhere(
            &draft.package,
            &draft.version.version,
            &part.architecture,
            &part.base.versions,
            |pkgbase| members.contains(pkgbase),
        ));
    }
    Ok(problems)
}

/// The versions that count for one build.
struct KnownVersions<'a> {
    rule: ReleaseRule,
    /// The version in its `PKGBUILD`.
    own: &'a PackageVersion,
    /// The version of its first stage.
    earlier_stage: Option<PackageVersion>,
    /// The versions in earlier iterations of the namespace, with the stages.
    had: Vec<(u32, &'a PackageVersion)>,
    /// The versions that other source packages of this plan have for packages of the same names.
    of_others: Vec<PackageVersion>,
}

/// Chooses the packages that a build reuses, if any, and its version: that of the first architecture's build if
/// packages are `shared`.
fn choose(
    draft: &mut Draft,
    known: &mut KnownVersions<'_>,
    shared: Option<PackageVersion>,
) -> PackageVersion {
    let stage = draft.stage;
    if let Some((_, version)) = &draft.awaited {
        if known.installs_over(stage, version, true) {
            return version.clone();
        }
        draft.awaited = None;
    }
    let fitting = draft.reusable.iter().find(|found| known.fits(stage, found));
    if let Some(found) = fitting {
        draft.reused = Some(found.attempt);
        return found.version.clone();
    }
    shared.unwrap_or_else(|| known.rule.version_avoiding(known.own, &known.of_others))
}

impl KnownVersions<'_> {
    /// Returns whether packages of another build can be reused.
    fn fits(&self, stage: u32, found: &Reusable) -> bool {
        let version = &found.version;
        if !self.installs_over(stage, version, found.is_own) {
            return false;
        }
        if found.is_own {
            return true;
        }
        let base = &self.rule.base;
        if self.rule.is_rebuild {
            let mut below = base.iter().chain([self.own]);
            return below.all(|other| version.compare(other).is_gt());
        }
        // A pkgver() function computes the version.
        let is_moved = version.without_pkgrel() != self.own.without_pkgrel();
        (is_moved || *version == self.rule.version(self.own)) && !base.contains(version)
    }

    /// Returns whether a version is higher than all that the namespace had, or is the highest of those.
    fn installs_over(&self, stage: u32, version: &PackageVersion, is_own: bool) -> bool {
        let had = self.had.iter().filter(|(other, _)| *other <= stage);
        let above_had = had
            .into_iter()
            .all(|(_, other)| match version.compare(other) {
                Ordering::Greater => true,
                Ordering::Equal => is_own,
                Ordering::Less => false,
            });
        let earlier = self.earlier_stage.as_ref();
        above_had
            && earlier.is_none_or(|earlier| version.compare(earlier).is_gt())
            && !self.is_of_another(version)
    }

    /// Returns whether another source package has a package of the same name in this version.
    fn is_of_another(&self, version: &PackageVersion) -> bool {
        let mut others = self.of_others.iter();
        others.any(|other| other.compare(version).is_eq())
    }
}

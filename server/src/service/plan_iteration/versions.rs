//! Fixes the version of every build, so that what is rebuilt installs over what there was, and no
//! file name stands for two contents.

use std::cmp::Ordering;
use std::collections::HashMap;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname, ReleaseRule};
use buildbtw_planner::{BuiltPackage, PackageIndex, Problem, SourcePackage, unmet_constraints};

use super::draft::{Draft, Reusable};
use super::{PlanInput, PlannedArchitecture};
use crate::repos::base::BaseSnapshot;

/// Fixes the versions of a part's builds. Packages with the same inputs are taken as they are if
/// they install over everything there was. An origin keeps the version of its changeset, unless the
/// base repositories have it, or packages of another content in this namespace; without bump, only the
/// latter counts, for all builds.
pub(super) fn fix(part: &mut PlannedArchitecture, input: &PlanInput) {
    let mut produced: HashMap<&Pkgname, Vec<(i64, &PackageVersion)>> = HashMap::new();
    for package in &input.produced {
        produced
            .entry(&package.pkgname)
            .or_default()
            .push((package.stage, &package.version));
    }
    let mut earlier_stages: HashMap<Pkgbase, PackageVersion> = HashMap::new();
    for draft in &mut part.drafts {
        let package = draft.package.clone();
        let had = package
            .pkgnames_for(&part.architecture)
            .flat_map(|(name, _)| produced.get(name).into_iter().flatten().copied())
            .collect::<Vec<_>>();
        let earlier_stage = earlier_stages.get(package.pkgbase()).cloned();
        let base = match input.bump {
            true => in_base(&package, &part.architecture, &part.base),
            false => Vec::new(),
        };
        let earlier = had.iter().map(|(_, version)| (*version).clone());
        let known = Known {
            rule: ReleaseRule {
                is_rebuild: input.bump && !draft.is_origin,
                base,
                earlier: earlier_stage.iter().cloned().chain(earlier).collect(),
            },
            own: package.version(),
            earlier_stage,
            had,
        };
        draft.version.version = choose(draft, &known);
        draft.version.rule = known.rule;
        earlier_stages.insert(package.pkgbase().clone(), draft.version.version.clone());
    }
}

/// What the base repositories hold of a package, as far as it counts: of a newer version in a
/// repository behind the first one that has the package, pacman takes no notice.
pub(crate) fn counting(versions: &[PackageVersion]) -> Vec<PackageVersion> {
    let Some(first) = versions.first() else {
        return Vec::new();
    };
    let is_same = |version: &PackageVersion| version.without_pkgrel() == first.without_pkgrel();
    let counts = |version: &&PackageVersion| version.compare(first).is_le() || is_same(version);
    versions.iter().filter(counts).cloned().collect()
}

fn in_base(
    package: &SourcePackage,
    architecture: &Architecture,
    base: &BaseSnapshot,
) -> Vec<PackageVersion> {
    let names = package.pkgnames_for(architecture);
    let mut versions: Vec<PackageVersion> = names
        .filter_map(|(name, _)| base.versions.get(name))
        .flat_map(|versions| counting(versions))
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

/// What is wrong with the versions of a part's builds.
pub(super) fn problems(part: &PlannedArchitecture, index: &PackageIndex) -> Vec<Problem> {
    let built: Vec<BuiltPackage<'_>> = part
        .drafts
        .iter()
        .map(|draft| BuiltPackage {
            package: &draft.package,
            version: &draft.version.version,
        })
        .collect();
    let mut problems = unmet_constraints(index, &built, &part.architecture);
    let to_build = part.drafts.iter().filter(|draft| draft.reused.is_none());
    problems.extend(to_build.filter_map(|draft| draft.version.problem(draft.package.pkgbase())));
    problems.sort();
    problems.dedup();
    problems
}

/// The versions that count for one build.
struct Known<'a> {
    rule: ReleaseRule,
    /// The version of its `PKGBUILD`.
    own: &'a PackageVersion,
    /// What its first build has.
    earlier_stage: Option<PackageVersion>,
    /// What earlier iterations of the namespace had, with the stages.
    had: Vec<(i64, &'a PackageVersion)>,
}

/// Decides what a build's packages are and which version they have.
fn choose(draft: &mut Draft, known: &Known<'_>) -> PackageVersion {
    let stage = i64::from(draft.stage);
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
    known.rule.version(known.own)
}

impl Known<'_> {
    /// Whether packages of other builds can be taken.
    fn fits(&self, stage: i64, found: &Reusable) -> bool {
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
        // A pkgver() function makes its own version.
        let is_moved = version.without_pkgrel() != self.own.without_pkgrel();
        let is_expected = version == self.own || *version == self.rule.version(self.own);
        (is_moved || is_expected) && !base.contains(version)
    }

    /// Whether a version is above all that the namespace had, or is the newest of those.
    fn installs_over(&self, stage: i64, version: &PackageVersion, is_own: bool) -> bool {
        let had = self.had.iter().filter(|(other, _)| *other <= stage);
        let above_had = had
            .into_iter()
            .all(|(_, other)| match version.compare(other) {
                Ordering::Greater => true,
                Ordering::Equal => is_own,
                Ordering::Less => false,
            });
        let earlier = self.earlier_stage.as_ref();
        above_had && earlier.is_none_or(|earlier| version.compare(earlier).is_gt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_behind_the_first_repository_do_not_count() {
        for (versions, expected) in [
            (&["2-1", "3-1", "1-1"][..], &["2-1", "1-1"][..]),
            (&["2-1", "2-4"], &["2-1", "2-4"]),
            (&[], &[]),
        ] {
            let parsed: Vec<PackageVersion> =
                versions.iter().map(|text| text.parse().unwrap()).collect();
            let counting = counting(&parsed);
            let counting: Vec<&str> = counting.iter().map(PackageVersion::as_str).collect();
            assert_eq!(counting, expected, "{versions:?}");
        }
    }
}

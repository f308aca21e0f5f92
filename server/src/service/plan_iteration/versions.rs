//! Fixes the version of every build, so that what is rebuilt installs over what there was, and no
//! file name stands for two contents.

use std::collections::HashMap;

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname};
use buildbtw_planner::{bumped_version, compare_versions};

use super::draft::{Draft, Reusable};
use super::{PlanInput, PlannedArchitecture};

/// Fixes the versions of a part's builds. Packages with the same inputs are taken as they are if
/// they install over everything there was. An origin keeps the version of its changeset, unless
/// packages of another content have it already in this namespace; so do all builds of a namespace
/// without bump.
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
        let names: Vec<&Pkgname> = package
            .pkgnames_for(&part.architecture)
            .map(|(name, _)| name)
            .collect();
        let had = names
            .iter()
            .flat_map(|name| produced.get(name).into_iter().flatten());
        let known = Known {
            keeps_own: draft.is_origin || !input.bump,
            own: package.version(),
            earlier_stage: earlier_stages.get(package.pkgbase()),
            had: had.copied().collect(),
            base: names
                .iter()
                .flat_map(|name| part.base.versions.get(*name).into_iter().flatten())
                .collect(),
        };
        draft.version = choose(draft, &known);
        earlier_stages.insert(package.pkgbase().clone(), draft.version.clone());
    }
}

/// The versions that count for one build.
struct Known<'a> {
    /// Whether it is built with the version of its `PKGBUILD` if possible.
    keeps_own: bool,
    /// The version of its `PKGBUILD`.
    own: &'a PackageVersion,
    /// What its first build has.
    earlier_stage: Option<&'a PackageVersion>,
    /// What earlier iterations of the namespace had, with the stages.
    had: Vec<(i64, &'a PackageVersion)>,
    /// What the base repositories hold.
    base: Vec<&'a PackageVersion>,
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
    let had = known.had.iter().map(|(_, version)| *version);
    let taken: Vec<&PackageVersion> = known.earlier_stage.into_iter().chain(had).collect();
    if known.keeps_own && !taken.contains(&known.own) {
        known.own.clone()
    } else {
        bumped_version(
            known.own,
            taken.into_iter().chain(known.base.iter().copied()),
        )
    }
}

impl Known<'_> {
    /// Whether packages of other builds can be taken.
    fn fits(&self, stage: i64, found: &Reusable) -> bool {
        if !self.installs_over(stage, &found.version, found.is_own) {
            return false;
        }
        if found.is_own {
            return true;
        }
        // A pkgver() function makes its own version.
        let moved = found.version.without_pkgrel() != self.own.without_pkgrel();
        if self.keeps_own {
            return moved || found.version == *self.own;
        }
        let above = |version: &PackageVersion| {
            compare_versions(found.version.as_str(), version.as_str()).is_gt()
        };
        above(self.own) && self.base.iter().all(|version| above(version))
    }

    /// Whether a version is above all that the namespace had, or is the newest of those.
    fn installs_over(&self, stage: i64, version: &PackageVersion, is_own: bool) -> bool {
        let compared = |other: &PackageVersion| compare_versions(version.as_str(), other.as_str());
        let had = self.had.iter().filter(|(other, _)| *other <= stage);
        let above_had = had.into_iter().all(|(_, other)| match compared(other) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => is_own,
            std::cmp::Ordering::Less => false,
        });
        above_had
            && self
                .earlier_stage
                .is_none_or(|earlier| compared(earlier).is_gt())
    }
}

//! Fixes the version of every build, so that what is rebuilt installs over what there was, and no
//! file name stands for two contents.

use std::collections::{HashMap, HashSet};

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname};
use buildbtw_planner::bumped_version;

use super::{PlanInput, PlannedArchitecture};

/// Fixes the versions of a part's builds. Reused packages keep theirs. An origin keeps the version
/// of its changeset, unless packages of another content have it already in this namespace; so do
/// all builds of a namespace without bump.
pub(super) fn fix(part: &mut PlannedArchitecture, input: &PlanInput) {
    let mut produced: HashMap<&Pkgname, Vec<&PackageVersion>> = HashMap::new();
    for (pkgname, version) in &input.produced {
        produced.entry(pkgname).or_default().push(version);
    }
    let mut earlier_stages: HashMap<Pkgbase, PackageVersion> = HashMap::new();
    for draft in &mut part.drafts {
        let package = draft.package.clone();
        let version = match (&draft.reused, draft.awaited) {
            (Some((_, version)), _) => version.clone(),
            (None, Some(_)) => draft.version.clone(),
            (None, None) => {
                let mut taken: HashSet<&PackageVersion> = HashSet::new();
                taken.extend(earlier_stages.get(package.pkgbase()));
                let names = || {
                    package
                        .pkgnames_for(&part.architecture)
                        .map(|(name, _)| name)
                };
                for name in names() {
                    taken.extend(produced.get(name).into_iter().flatten());
                }
                let keeps_own = draft.is_origin || !input.bump;
                if keeps_own && !taken.contains(package.version()) {
                    package.version().clone()
                } else {
                    for name in names() {
                        taken.extend(part.base.versions.get(name).into_iter().flatten());
                    }
                    bumped_version(package.version(), taken)
                }
            }
        };
        earlier_stages.insert(package.pkgbase().clone(), version.clone());
        draft.version = version;
    }
}

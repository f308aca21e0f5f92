//! The differences between two plans of a namespace.
//!
//! A plan has no commits, and an old plan is read from a database. So both sides are snapshots of builds, whose
//! revision identifies their content.

use std::collections::BTreeMap;

use buildbtw_model::Pkgbase;

use crate::plan::{Plan, PlannedBuild};

/// A build of a plan, reduced to what is compared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BuildSnapshot {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// Its stage.
    pub stage: u32,
    /// The commit that it is built from.
    pub revision: String,
    /// The builds it waits for.
    pub needs: Vec<(Pkgbase, u32)>,
}

/// The difference between two plans. Builds are identified, and sorted, by pkgbase and stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlanDiff {
    /// Builds that only the new plan has.
    pub added: Vec<(Pkgbase, u32)>,
    /// Builds that only the old plan has.
    pub removed: Vec<(Pkgbase, u32)>,
    /// Builds whose commit differs.
    pub changed: Vec<ChangedBuild>,
    /// Builds of the same commit that wait for different builds.
    pub rewired: Vec<(Pkgbase, u32)>,
    /// How many builds are equal in both.
    pub unchanged: usize,
}

/// A build whose commit differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChangedBuild {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// Its stage.
    pub stage: u32,
    /// The old commit.
    pub from: String,
    /// The new commit.
    pub to: String,
}

impl PlanDiff {
    /// Returns whether the plans are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.rewired.is_empty()
    }
}

impl Plan {
    /// Returns a snapshot of the builds for [`diff`], with the revision of each package.
    pub fn snapshot(&self, revision: impl Fn(&Pkgbase) -> String) -> Vec<BuildSnapshot> {
        let key = |build: &PlannedBuild| (build.pkgbase.clone(), build.stage);
        self.builds
            .iter()
            .map(|build| BuildSnapshot {
                pkgbase: build.pkgbase.clone(),
                stage: build.stage,
                revision: revision(&build.pkgbase),
                needs: build
                    .needs
                    .iter()
                    .filter_map(|need| self.builds.get(need.build))
                    .map(key)
                    .collect(),
            })
            .collect()
    }
}

/// Compares two plans build by build. The order of builds and of needs does not matter.
#[must_use]
pub fn diff(old: &[BuildSnapshot], new: &[BuildSnapshot]) -> PlanDiff {
    let by_key = |builds| -> BTreeMap<(Pkgbase, u32), &BuildSnapshot> {
        let builds: &[BuildSnapshot] = builds;
        builds
            .iter()
            .map(|build| ((build.pkgbase.clone(), build.stage), build))
            .collect()
    };
    let (before, now) = (by_key(old), by_key(new));
    let mut diff = PlanDiff {
        removed: before
            .keys()
            .filter(|key| !now.contains_key(key))
            .cloned()
            .collect(),
        ..PlanDiff::default()
    };
    for (key, build) in now {
        let Some(other) = before.get(&key) else {
            diff.added.push(key);
            continue;
        };
        if other.revision != build.revision {
            diff.changed.push(ChangedBuild {
                pkgbase: key.0,
                stage: key.1,
                from: other.revision.clone(),
                to: build.revision.clone(),
            });
        } else if sorted(&other.needs) == sorted(&build.needs) {
            diff.unchanged += 1;
        } else {
            diff.rewired.push(key);
        }
    }
    diff
}

fn sorted(needs: &[(Pkgbase, u32)]) -> Vec<&(Pkgbase, u32)> {
    let mut needs: Vec<_> = needs.iter().collect();
    needs.sort_unstable();
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(pkgbase: &str, stage: u32, revision: &str, needs: &[(&str, u32)]) -> BuildSnapshot {
        BuildSnapshot {
            pkgbase: pkgbase.parse().unwrap(),
            stage,
            revision: revision.to_owned(),
            needs: needs
                .iter()
                .map(|(name, stage)| (name.parse().unwrap(), *stage))
                .collect(),
        }
    }

    #[test]
    fn lists_every_build_once() {
        let old = [
            build("a", 1, "1", &[]),
            build("b", 1, "1", &[("a", 1)]),
            build("c", 1, "1", &[("a", 1), ("b", 1)]),
            build("d", 1, "1", &[]),
            build("e", 2, "1", &[]),
        ];
        let new = [
            build("c", 1, "1", &[("b", 1), ("a", 1)]),
            build("b", 1, "1", &[]),
            build("a", 1, "2", &[]),
            build("e", 1, "1", &[]),
            build("d", 1, "1", &[]),
        ];
        let found = diff(&old, &new);
        let names = |list: &[(Pkgbase, u32)]| -> Vec<String> {
            list.iter()
                .map(|(name, stage)| format!("{name}@{stage}"))
                .collect()
        };
        assert_eq!(names(&found.added), ["e@1"]);
        assert_eq!(names(&found.removed), ["e@2"]);
        assert_eq!(names(&found.rewired), ["b@1"]);
        assert_eq!(found.unchanged, 2);
        let changed = &found.changed[0];
        assert_eq!((changed.from.as_str(), changed.to.as_str()), ("1", "2"));
        assert!(!found.is_empty() && diff(&old, &old).is_empty());
    }
}

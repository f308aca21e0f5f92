//! The kinds of the dependencies that pull packages into a plan and order its builds.

use super::members::OUTSIDE;
use super::outcome::{Need, Plan, PlannedBuild};
use crate::index::DependencyKind;

/// A library that a package links without declaring a dependency on it.
const LINKS: &str = "links";
/// The earlier stage of the same package.
const STAGE: &str = "stage";

impl Plan {
    /// Returns the kinds of the steps of a build's reason: `depends`, `makedepends`, `checkdepends` or `links`. There is
    /// one less than packages in [`Plan::reason`].
    #[must_use]
    pub fn reason_kinds(&self, build: &PlannedBuild) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        let mut at = build.reason;
        while let Some(step) = self.steps.get(at as usize) {
            if step.before == OUTSIDE {
                break;
            }
            kinds.push(step.kind.map_or(LINKS, DependencyKind::as_str));
            at = step.before;
        }
        kinds.reverse();
        kinds
    }

    /// Returns the kinds of a build's needs, in their order: as for [`Plan::reason_kinds`], or `stage` for the earlier
    /// stage of the same package.
    #[must_use]
    pub fn need_kinds(&self, build: &PlannedBuild) -> Vec<&'static str> {
        // What a package links does not have to be installed for its build, like the dependencies of its packages.
        let linked = self.links(build).and_then(|_| {
            let step = self.steps.get(build.reason as usize)?;
            let before = self.steps.get(step.before as usize)?;
            self.names.get(before.member as usize)
        });
        let kind = |need: &Need| match need.kind {
            None => STAGE,
            Some(DependencyKind::Package)
                if linked == self.builds.get(need.build).map(|other| &other.pkgbase) =>
            {
                LINKS
            }
            Some(kind) => kind.as_str(),
        };
        build.needs.iter().map(kind).collect()
    }
}

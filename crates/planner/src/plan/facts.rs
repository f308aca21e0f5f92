//! What callers know about the builds of a plan from earlier builds.

use buildbtw_model::api::{PlanFailure, PlanReuse};

use super::outcome::Plan;

/// What a caller knows about a build of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildFacts {
    /// The packages that would be reused instead of building it.
    pub reuse: Option<PlanReuse>,
    /// The failure of the newest attempt at its package.
    pub last_failure: Option<PlanFailure>,
}

impl Plan {
    /// Adds facts about the builds, in their order. A reused build gets the version of its packages.
    pub fn add_facts(&mut self, facts: Vec<BuildFacts>) {
        for (planned, facts) in self.versions.iter_mut().zip(&facts) {
            if let Some(reuse) = &facts.reuse {
                planned.version = reuse.version.clone();
            }
        }
        self.facts = facts;
    }

    /// Returns the facts about the builds in their order; empty before [`Plan::add_facts`].
    #[must_use]
    pub fn facts(&self) -> &[BuildFacts] {
        &self.facts
    }

    /// Returns how many builds would be reused.
    #[must_use]
    pub fn reused(&self) -> usize {
        let reused = self.facts.iter().filter(|facts| facts.reuse.is_some());
        reused.count()
    }
}

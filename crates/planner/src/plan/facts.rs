//! Adds to a plan what callers know about its builds.

use super::build_facts::BuildFacts;
use super::outcome::Plan;

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

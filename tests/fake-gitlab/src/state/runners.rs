//! Runners.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::projects::ProjectId;

/// The id of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId(pub u64);

impl fmt::Display for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a runner is to be set up.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// What jobs it takes: those all of whose tags it has.
    pub tags: Vec<String>,
    /// Whether it takes jobs without tags too.
    pub run_untagged: bool,
    /// Whether it takes jobs of protected refs only.
    pub protected_only: bool,
    /// The projects whose jobs it takes; those of all if it is not said.
    pub projects: Option<Vec<ProjectId>>,
    /// No job may run longer, in seconds.
    pub maximum_timeout: Option<i64>,
    /// What it is for.
    pub description: String,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            run_untagged: true,
            protected_only: false,
            projects: None,
            maximum_timeout: None,
            description: String::new(),
        }
    }
}

/// One process of a runner.
#[derive(Clone, Debug)]
pub struct RunnerManager {
    /// What it is known by.
    pub system_id: String,
    /// What it says of itself.
    pub info: Value,
    /// When it was heard of last.
    pub contacted_at: Timestamp,
}

/// A runner.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) id: RunnerId,
    pub(crate) token: String,
    pub(crate) options: RunnerOptions,
    pub(crate) paused: bool,
    /// By system id.
    pub(crate) managers: BTreeMap<String, RunnerManager>,
}

impl Runner {
    /// Whether it takes a job with these tags.
    pub(crate) fn takes(&self, project: ProjectId, protected: bool, tags: &[String]) -> bool {
        let options = &self.options;
        let is_for = options
            .projects
            .as_ref()
            .is_none_or(|projects| projects.contains(&project));
        !self.paused
            && is_for
            && (protected || !options.protected_only)
            && (!tags.is_empty() || options.run_untagged)
            && tags.iter().all(|tag| options.tags.contains(tag))
    }
}

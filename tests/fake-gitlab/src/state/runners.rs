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

/// The configuration of a runner.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// Its tags. It takes jobs all of whose tags it has.
    pub tags: Vec<String>,
    /// Whether it also takes jobs without tags.
    pub run_untagged: bool,
    /// Whether it only takes jobs of protected refs.
    pub protected_only: bool,
    /// The projects whose jobs it takes; all by default.
    pub projects: Option<Vec<ProjectId>>,
    /// The maximum timeout of its jobs, in seconds.
    pub maximum_timeout: Option<i64>,
    /// Its description.
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
    /// Its system id.
    pub system_id: String,
    /// The properties it reported.
    pub info: Value,
    /// Time of the last contact.
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
    /// Returns whether it takes a job with these tags.
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

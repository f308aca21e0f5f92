//! Jobs: those of runners, and commit statuses, which are jobs that run elsewhere.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::pipelines::PipelineId;
use super::projects::ProjectId;
use super::runners::RunnerId;
use super::status::{Part, Status};
use crate::ci::config::JobConfig;

/// The id of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The properties of a commit status.
#[derive(Clone, Debug, Default)]
pub(crate) struct External {
    pub(crate) target_url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) coverage: Option<f64>,
}

/// How a job is executed.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// By a runner.
    Build(Arc<JobConfig>),
    /// Elsewhere, with its status reported through the API.
    External(External),
}

/// The runner that a job is assigned to.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    pub(crate) runner: RunnerId,
    pub(crate) system_id: String,
    pub(crate) at: Timestamp,
    /// Whether the runner has confirmed the job.
    pub(crate) acknowledged: bool,
    /// Time of the last contact.
    pub(crate) contacted_at: Timestamp,
    /// Whether the runner cleans up after a cancelled job.
    pub(crate) cancels_gracefully: bool,
}

/// A job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) pipeline: PipelineId,
    pub(crate) project: ProjectId,
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) work: Work,
    pub(crate) status: Status,
    pub(crate) failure_reason: Option<String>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) allow_failure: bool,
    pub(crate) user: u64,
    pub(crate) token: String,
    /// Whether a retry replaced it.
    pub(crate) retried: bool,
    /// The number of its retries before this one.
    pub(crate) retries: u64,
    pub(crate) assigned: Option<Assigned>,
    pub(crate) created_at: Timestamp,
    pub(crate) queued_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

impl Job {
    /// Returns the job's configuration; a commit status has none.
    pub(crate) fn config(&self) -> Option<&Arc<JobConfig>> {
        match &self.work {
            Work::Build(config) => Some(config),
            Work::External(_) => None,
        }
    }

    pub(crate) fn external(&self) -> Option<&External> {
        match &self.work {
            Work::Build(_) => None,
            Work::External(external) => Some(external),
        }
    }

    pub(crate) fn tags(&self) -> &[String] {
        self.config().map_or(&[], |config| config.tags.as_slice())
    }

    pub(crate) fn part(&self) -> Part {
        match self.status {
            Status::Failed if self.allow_failure => Part::Forgiven,
            Status::Manual if self.allow_failure => Part::Ignored,
            status => Part::Of(status),
        }
    }

    /// Returns whether later jobs may start.
    pub(crate) fn is_passed(&self) -> bool {
        match self.status {
            Status::Success | Status::Skipped => true,
            Status::Failed | Status::Manual => self.allow_failure,
            _ => false,
        }
    }

    pub(crate) fn is_retryable(&self) -> bool {
        !self.retried
            && matches!(self.work, Work::Build(_))
            && matches!(
                self.status,
                Status::Success | Status::Failed | Status::Canceled
            )
    }

    pub(crate) fn duration(&self) -> Option<i64> {
        Some(self.finished_at?.as_second() - self.started_at?.as_second())
    }

    /// Returns how long it ran, or has been running, in seconds.
    pub(crate) fn elapsed(&self, now: Timestamp) -> Option<i64> {
        let until = self.finished_at.unwrap_or(now);
        Some(until.as_second() - self.started_at?.as_second())
    }

    pub(crate) fn queued_duration(&self) -> Option<i64> {
        Some(self.started_at?.as_second() - self.queued_at?.as_second())
    }
}

/// The artifacts of a job.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The file name that the runner reported.
    pub file_name: String,
    /// The archive.
    pub data: bytes::Bytes,
    /// The type that the runner reported, for example `archive`.
    pub artifact_type: String,
    /// The format that the runner reported, for example `zip`.
    pub artifact_format: String,
    /// The retention time in the job's configuration.
    pub expire_in: Option<String>,
}

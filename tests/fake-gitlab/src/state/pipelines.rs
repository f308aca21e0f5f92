//! Pipelines.

use std::fmt;

use gix::ObjectId;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::projects::ProjectId;
use super::status::Status;
use crate::repository::CommitInfo;

/// The id of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId(pub u64);

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What created a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API.
    Api,
    /// A push.
    Push,
    /// A user on the web page.
    Web,
    /// A merge request.
    MergeRequestEvent,
    /// A commit status.
    External,
}

impl Source {
    /// Returns GitLab's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Push => "push",
            Self::Web => "web",
            Self::MergeRequestEvent => "merge_request_event",
            Self::External => "external",
        }
    }
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) is_file: bool,
}

/// The merge request of a pipeline, whose source may be a fork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForMergeRequest {
    pub(crate) iid: u64,
    pub(crate) source_project: ProjectId,
}

/// A pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) id: PipelineId,
    pub(crate) iid: u64,
    pub(crate) project: ProjectId,
    pub(crate) commit: CommitInfo,
    /// The name of a branch or of a tag.
    pub(crate) git_ref: String,
    pub(crate) is_tag: bool,
    pub(crate) is_protected: bool,
    pub(crate) source: Source,
    pub(crate) merge_request: Option<ForMergeRequest>,
    pub(crate) name: Option<String>,
    pub(crate) status: Status,
    pub(crate) user: u64,
    pub(crate) variables: Vec<Variable>,
    pub(crate) inputs: Map<String, Value>,
    /// The path of its configuration, if that is in its own repository.
    pub(crate) own_config: Option<String>,
    /// In the order of execution.
    pub(crate) stages: Vec<String>,
    /// Oldest first, retried ones included.
    pub(crate) jobs: Vec<u64>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

impl Pipeline {
    pub(crate) fn sha(&self) -> ObjectId {
        self.commit.id
    }

    pub(crate) fn ref_type(&self) -> &'static str {
        if self.is_tag { "tag" } else { "branch" }
    }

    pub(crate) fn ref_path(&self) -> String {
        match (self.merge_request, self.is_tag) {
            (Some(merge_request), _) => format!("refs/merge-requests/{}/head", merge_request.iid),
            (None, true) => format!("refs/tags/{}", self.git_ref),
            (None, false) => format!("refs/heads/{}", self.git_ref),
        }
    }

    /// Returns how long it ran, in seconds.
    pub(crate) fn duration(&self) -> Option<i64> {
        let seconds = self.finished_at?.as_second() - self.started_at?.as_second();
        Some(seconds)
    }

    /// Returns how long it was queued, in seconds.
    pub(crate) fn queued_duration(&self) -> Option<i64> {
        Some(self.started_at?.as_second() - self.created_at.as_second())
    }
}

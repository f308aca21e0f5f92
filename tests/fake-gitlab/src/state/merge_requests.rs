//! Merge requests.

use gix::ObjectId;
use jiff::Timestamp;

/// The state of a merge request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeRequestState {
    Opened,
    Merged,
    Closed,
}

impl MergeRequestState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }
}

/// A merge request.
#[derive(Clone, Debug)]
pub(crate) struct MergeRequest {
    pub(crate) id: u64,
    pub(crate) iid: u64,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) state: MergeRequestState,
    /// The target project.
    pub(crate) project: u64,
    pub(crate) source_project: u64,
    pub(crate) source_branch: String,
    pub(crate) target_branch: String,
    pub(crate) head: ObjectId,
    pub(crate) merge_commit: Option<ObjectId>,
    pub(crate) merged_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl MergeRequest {
    pub(crate) fn is_draft(&self) -> bool {
        self.title.starts_with("Draft:")
    }

    /// Returns the ref of its head in the target's repository.
    pub(crate) fn head_ref(&self) -> String {
        format!("refs/merge-requests/{}/head", self.iid)
    }
}

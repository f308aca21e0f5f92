//! Numbers that a GitLab assigned to its things.

use super::macros::number_id;

number_id! {
    /// The number of a project; it outlives renames and moves.
    ProjectId, "project number";
    /// The number of a pipeline.
    PipelineId, "pipeline number";
    /// The number of a job.
    JobId, "job number";
    /// The number of a merge request within its project.
    MergeRequestIid, "merge request number";
    /// The number of a note.
    NoteId, "note number";
}

impl ProjectId {
    /// Reads `gid://gitlab/Project/<n>`. Class names in it may change; the number stays.
    #[must_use]
    pub fn from_gid(gid: &str) -> Option<Self> {
        gid.rsplit('/').next()?.parse().ok()
    }

    /// The form that GraphQL wants.
    #[must_use]
    pub fn gid(self) -> String {
        format!("gid://gitlab/Project/{}", self.0)
    }
}

impl PipelineId {
    /// Reads `gid://gitlab/Ci::Pipeline/<n>`.
    #[must_use]
    pub fn from_gid(gid: &str) -> Option<Self> {
        gid.rsplit('/').next()?.parse().ok()
    }
}

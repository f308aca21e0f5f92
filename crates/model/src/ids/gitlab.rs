//! Numbers that GitLab assigns to its objects.

use super::macros::number_id;

number_id! {
    /// The number of a project; renames and moves do not change it.
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
    /// Parses `gid://gitlab/Project/<n>`. The class name may change in later versions of GitLab; the number does not.
    #[must_use]
    pub fn from_gid(gid: &str) -> Option<Self> {
        gid.rsplit('/').next()?.parse().ok()
    }

    /// Returns the global id that GraphQL expects.
    #[must_use]
    pub fn gid(self) -> String {
        format!("gid://gitlab/Project/{}", self.0)
    }
}

impl PipelineId {
    /// Parses `gid://gitlab/Ci::Pipeline/<n>`.
    #[must_use]
    pub fn from_gid(gid: &str) -> Option<Self> {
        gid.rsplit('/').next()?.parse().ok()
    }
}

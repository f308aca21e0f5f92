//! GitLab's objects as the server uses them.

use buildbtw_model::{CommitHash, CommitTime, ProjectId, TreeHash};
use jiff::Timestamp;

/// A project of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its ID.
    pub id: ProjectId,
    /// Its path, including the group.
    pub full_path: String,
    /// Whether it is archived, and therefore read-only.
    pub archived: bool,
    /// The sort key of the list. GitLab updates it at most once an hour, so it may lag behind a push.
    pub last_activity: Option<Timestamp>,
    /// The URL to fetch it over HTTP.
    pub http_url: Option<String>,
    /// The URL to fetch it over SSH.
    pub ssh_url: Option<String>,
    /// Its contents.
    pub contents: Contents,
}

/// The contents of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The token cannot see its code.
    Hidden,
    /// It has no commits.
    Empty,
    /// Its default branch does not exist.
    NoDefaultBranch {
        /// The default branch.
        branch: String,
    },
    /// GitLab failed to report them; a later request may succeed.
    Unknown(String),
    /// The head of its default branch.
    Head {
        /// The default branch.
        branch: String,
        /// Its head.
        tree: TreeAt,
    },
}

/// A commit and the `.SRCINFO` in its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeAt {
    /// The commit.
    pub commit: CommitHash,
    /// Its tree, if the response had all entries.
    pub tree: Option<TreeHash>,
    /// When it was committed, if the response had a readable time.
    pub commit_time: Option<CommitTime>,
    /// The file.
    pub srcinfo: Blob,
}

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// It does not exist.
    Missing,
    /// It is binary.
    Binary,
    /// Its text.
    Text(String),
}

/// A page of the group's projects.
#[derive(Clone, Debug)]
pub struct ProjectPage {
    /// In the order of activity, newest first.
    pub projects: Vec<Project>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// The number of projects in the group.
    pub count: Option<u64>,
    /// How many projects of the page the response does not identify.
    pub unidentified: usize,
    /// GitLab's own clock.
    pub date: Option<Timestamp>,
}

/// A merge request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// The target project.
    pub project: ProjectId,
    /// Its state.
    pub state: MergeRequestState,
    /// Its source branch.
    pub source_branch: String,
    /// Whether the source branch is in the target project, and not in a fork.
    pub same_project: bool,
}

/// The state of a merge request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRequestState {
    /// It is open.
    Open,
    /// It is not open; GitLab's word for its state.
    NotOpen(&'static str),
}

//! What GitLab tells, in our own words.

use buildbtw_model::{CommitHash, ProjectId, TreeHash};
use jiff::Timestamp;

/// A project of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: ProjectId,
    /// Its path, the group's included.
    pub full_path: String,
    /// Nobody can push to it any more.
    pub archived: bool,
    /// The order of the list. Moves at most once an hour, so it may lag behind a push.
    pub last_activity: Option<Timestamp>,
    /// Where to fetch it over HTTP.
    pub http_url: Option<String>,
    /// Where to fetch it over SSH.
    pub ssh_url: Option<String>,
    /// What is in it.
    pub contents: Contents,
}

/// What is in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The token may not see its code.
    Hidden,
    /// It has no commits.
    Empty,
    /// Its default branch does not exist.
    Headless {
        /// The default branch.
        branch: String,
    },
    /// GitLab failed to say; asking again later may help.
    Unknown(String),
    /// The head of its default branch.
    Head {
        /// The default branch.
        branch: String,
        /// The head.
        tree: TreeAt,
    },
}

/// A commit and the `.SRCINFO` in its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeAt {
    /// The commit.
    pub commit: CommitHash,
    /// Its tree, if GitLab told all of it.
    pub tree: Option<TreeHash>,
    /// When it was committed, in seconds.
    pub commit_time: i64,
    /// The file.
    pub srcinfo: Blob,
}

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// There is none.
    Missing,
    /// It is no text.
    Binary,
    /// Its text.
    Text(String),
}

/// Some projects of the group.
#[derive(Clone, Debug)]
pub struct ProjectPage {
    /// In the order of their activity, newest first.
    pub projects: Vec<Project>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// How many there are in all, if that was asked for.
    pub count: Option<u64>,
    /// How many projects of the page GitLab could not even name.
    pub nameless: usize,
    /// GitLab's own clock.
    pub date: Option<Timestamp>,
}

/// Where a merge request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// The project it wants to change.
    pub project: ProjectId,
    /// Whether it is open, and what it is otherwise.
    pub state: MergeRequestState,
    /// Its branch.
    pub source_branch: String,
    /// Whether the branch lies in the project itself, and not in a fork.
    pub same_project: bool,
}

/// Whether a merge request is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRequestState {
    /// It is.
    Open,
    /// It is not; GitLab's word for what it is.
    Over(&'static str),
}

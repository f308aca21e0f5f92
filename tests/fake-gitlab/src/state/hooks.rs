//! Webhooks as they are set up.

use serde::Deserialize;
use uuid::Uuid;

/// The id of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub u64);

/// Whose events a hook is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookScope {
    /// Those of all projects.
    System,
    /// Those of the projects of the group of this full path, and of its subgroups.
    Group(String),
    /// Those of the project of this full path.
    Project(String),
}

/// How a hook is to be set up, as the REST API takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct HookOptions {
    /// Where events are sent.
    pub url: String,
    /// Sent as `X-Gitlab-Token`.
    pub token: Option<String>,
    /// `whsec_` and the base64 of a key: with it, deliveries are signed.
    pub signing_token: Option<String>,
    /// Whether pushes to branches are told.
    pub push_events: bool,
    /// Whether pushes of tags are told.
    pub tag_push_events: bool,
    /// Whether merge requests are told.
    pub merge_requests_events: bool,
    /// Whether pipelines are told.
    pub pipeline_events: bool,
    /// Whether jobs are told.
    pub job_events: bool,
}

impl Default for HookOptions {
    fn default() -> Self {
        Self {
            url: String::new(),
            token: None,
            signing_token: None,
            push_events: true,
            tag_push_events: false,
            merge_requests_events: false,
            pipeline_events: false,
            job_events: false,
        }
    }
}

impl HookOptions {
    /// A hook that is told everything.
    pub fn everything(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tag_push_events: true,
            merge_requests_events: true,
            pipeline_events: true,
            job_events: true,
            ..Self::default()
        }
    }
}

/// Where a hook belongs, by ids: paths change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    System,
    Group(u64),
    Project(u64),
}

/// A hook.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) id: HookId,
    pub(crate) uuid: Uuid,
    pub(crate) owner: Owner,
    pub(crate) options: HookOptions,
}

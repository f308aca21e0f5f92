//! Configured webhooks.

use serde::Deserialize;
use uuid::Uuid;

/// The id of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub u64);

/// The projects whose events a hook receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookScope {
    /// All projects.
    System,
    /// The projects of the group with this full path, and of its subgroups.
    Group(String),
    /// The project with this full path.
    Project(String),
}

/// The configuration of a hook, in the format of the REST API.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct HookOptions {
    /// The receiver of events.
    pub url: String,
    /// Sent as `X-Gitlab-Token`.
    pub token: Option<String>,
    /// `whsec_` and the base64 of a key, with which deliveries are signed.
    pub signing_token: Option<String>,
    /// Whether it receives pushes to branches.
    pub push_events: bool,
    /// Whether it receives pushes of tags.
    pub tag_push_events: bool,
    /// Whether it receives merge requests.
    pub merge_requests_events: bool,
    /// Whether it receives pipelines.
    pub pipeline_events: bool,
    /// Whether it receives jobs.
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
    /// Returns the options of a hook that receives all events.
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

/// The owner of a hook, by id, since paths change.
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

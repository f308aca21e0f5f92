//! The GitLab instance to check, and what the checks need to know about the server.

use buildbtw_gitlab::Gitlab;

use crate::config::Config;
use crate::time::{Clock, Millis};

/// What to do when GitLab gives no answer.
pub(super) const REACH: &str =
    "check --gitlab-url, --gitlab-proxy and --gitlab-ca, and that GitLab runs";

/// What is checked.
pub(in crate::doctor) struct Subject<'a> {
    pub(in crate::doctor) gitlab: &'a Gitlab,
    pub(in crate::doctor) config: &'a Config,
    /// Whether the server reports to GitLab.
    pub(in crate::doctor) reports: bool,
    /// The CI template that projects must use, if the operator named it.
    pub(in crate::doctor) template: Option<&'a str>,
    /// When the server received its last webhook.
    pub(in crate::doctor) last_webhook: Option<Millis>,
    pub(in crate::doctor) clock: &'a Clock,
}

//! Builds as pipelines of a GitLab: what is asked for, what came of it, and what that means for
//! attempts and builds. When GitLab is asked is decided in [`crate::dispatch::pipelines`].

mod created;
mod deferred_report;
mod dispatch;
mod ended;
mod log;
mod overdue;
mod reason;
pub(in crate::service) mod show;
mod verdict;

pub use created::{Created, created, refused};
pub(super) use deferred_report::{Deferral, defer, has_reported};
pub use dispatch::dispatch;
pub(super) use dispatch::{placeholder_token, placeholder_worker};
pub use ended::{ended, withdrawn};
pub use overdue::{never_exchanged, unanswered};
pub use verdict::{own_job, unexplained};

use buildbtw_model::AttemptId;

/// By this name a pipeline is found again when its creation was not answered. The template gives it
/// (`workflow: name`).
#[must_use]
pub fn pipeline_name(attempt: AttemptId) -> String {
    format!("buildbtw {attempt}")
}

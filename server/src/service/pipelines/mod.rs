//! Builds as pipelines of a GitLab: what is asked for, what came of it, and what that means for
//! attempts and builds. When GitLab is asked is decided in [`crate::dispatch::pipelines`].

mod created;
mod dispatch;
mod ended;
mod held;
mod log;
mod overdue;
mod reason;
pub(in crate::service) mod show;
mod verdict;

pub use created::{Created, created, refused};
pub use dispatch::dispatch;
pub(super) use dispatch::{dead_token, no_worker_yet};
pub use ended::{ended, withdrawn};
pub(super) use held::{Hold, has_reported, hold};
pub use overdue::{never_exchanged, unanswered};
pub use verdict::{own_job, unexplained};

use buildbtw_model::AttemptId;

/// By this name a pipeline is found again when its creation was not answered. The template gives it
/// (`workflow: name`).
#[must_use]
pub fn pipeline_name(attempt: AttemptId) -> String {
    format!("buildbtw {attempt}")
}

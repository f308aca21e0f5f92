//! Builds as pipelines of a GitLab: what is asked for, what came of it, and what that means for
//! attempts and builds. When GitLab is asked is decided in [`crate::dispatch::pipelines`].

mod ended;
mod hand_over;
mod held;
mod log;
mod made;
mod overdue;
mod reason;
pub(in crate::service) mod show;
mod verdict;

pub use ended::{ended, withdrawn};
pub use hand_over::hand_over;
pub(super) use hand_over::{dead_token, no_worker_yet};
pub(super) use held::{Hold, has_reported, hold};
pub use made::{Made, made, refused};
pub use overdue::{never_exchanged, unanswered};
pub use verdict::{own_job, unexplained};

use buildbtw_model::AttemptId;

/// By this name a pipeline is found again when its creation was not answered. The template gives it
/// (`workflow: name`).
#[must_use]
pub fn pipeline_name(attempt: AttemptId) -> String {
    format!("buildbtw {attempt}")
}

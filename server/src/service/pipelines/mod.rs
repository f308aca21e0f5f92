//! Builds as GitLab pipelines: what the results of requests mean for attempts and builds. The requests
//! themselves are sent in `dispatch::pipelines`.

mod completion;
mod creation;
mod deferred_report;
mod dispatch;
mod log;
mod overdue;
mod progress;
mod reason;
pub(in crate::service) mod show;
mod verdict;

pub use completion::{end_completed, end_withdrawn};
pub use creation::{Created, end_refused, give_up, record_created};
pub(super) use deferred_report::{Deferral, defer};
pub use dispatch::dispatch;
pub(super) use dispatch::{placeholder_token, placeholder_worker};
pub use overdue::{end_unanswered, end_unexchanged};
pub use progress::{
    delete_orphan, store_cancel_sent, store_creation_request, store_running_since, store_statuses,
};
pub use verdict::{own_job, unexplained_job};

use buildbtw_model::AttemptId;

/// Returns the name by which the pipeline of an attempt is found when the response to its creation was lost. The
/// template sets it (`workflow: name`).
#[must_use]
pub fn pipeline_name(attempt: AttemptId) -> String {
    format!("buildbtw {attempt}")
}

//! `/outages`: the current outages of background tasks of the server.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::BackgroundTask;

/// A period in which a background task of the server cannot do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskOutage {
    /// The task.
    pub task: BackgroundTask,
    /// What it cannot do, human-readable.
    pub title: String,
    /// The cause, human-readable.
    pub message: String,
    /// What the operator of the server can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it began.
    pub since: Timestamp,
}

//! CI: pipelines, their jobs, and the runners that execute them.

mod change;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod lifecycle;
pub(crate) mod payload;
pub(crate) mod queue;
pub(crate) mod retries;
pub(crate) mod settings;
pub(crate) mod statuses;
pub(crate) mod timeouts;
pub(crate) mod variables;

use tokio::sync::watch;

/// Notifications for waiting requests and tests.
#[derive(Debug)]
pub(crate) struct Wakers {
    /// Counts changes that may make a job available to a runner.
    pub(crate) queue: watch::Sender<u64>,
    /// Counts all changes of pipelines and jobs.
    pub(crate) changes: watch::Sender<u64>,
}

impl Default for Wakers {
    fn default() -> Self {
        Self {
            queue: watch::Sender::new(0),
            changes: watch::Sender::new(0),
        }
    }
}

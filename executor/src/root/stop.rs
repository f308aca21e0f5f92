//! The signal that stops a build, and its reason.

use std::sync::{Arc, OnceLock};

use buildbtw_model::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::runner::Process;
use crate::watch::wait_for_end;

/// The message for the server about a stopped build. GitLab does not report to the job why it was stopped.
pub(super) const STOPPED: &str = "the job was stopped; its status in GitLab says why";
/// The message when the reason is known: the runner was lost, so the build is retried.
const LOST: &str = "the GitLab runner that ran this job is gone: it was killed, or it crashed";

/// Stops a build. Clones stop the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    /// Cancelled when the build must stop.
    pub(super) now: CancellationToken,
    /// The reason, if it is known.
    pub(super) reason: Arc<OnceLock<(FailureKind, &'static str)>>,
    runners: Arc<OnceLock<Vec<Process>>>,
}

impl Stop {
    /// Records that the runner is gone.
    pub(super) fn set_runner_lost(&self) {
        // The first reason counts.
        let _ = self.reason.set((FailureKind::Infrastructure, LOST));
    }

    /// Stops because the front is gone. If it was killed together with its runner, it could not send the reason.
    pub(super) fn front_exited(&self) {
        let runners = self.runners.get().into_iter().flatten();
        if !runners.clone().all(Process::is_alive) {
            self.set_runner_lost();
        }
        self.now.cancel();
    }

    /// Stops when one of these processes ends, even if the front is killed together with it.
    pub(super) fn watch_runners(&self, runners: Vec<Process>) {
        if runners.is_empty() {
            return;
        }
        let stop = self.clone();
        let _ = self.runners.set(runners.clone());
        std::thread::spawn(move || {
            wait_for_end(&runners, None);
            stop.set_runner_lost();
            stop.now.cancel();
        });
    }
}

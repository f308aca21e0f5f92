//! When a build is to stop, and why.

use std::sync::{Arc, OnceLock};

use buildbtw_model::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::runner::Process;
use crate::watch::wait_for_end;

/// What the server hears of a build that was stopped from this side. GitLab does not tell the job why.
pub(super) const STOPPED: &str = "the job was stopped; its status in GitLab says why";
/// The same when it is known. Nobody wanted that: the build is retried.
const LOST: &str = "the GitLab runner that ran this job is gone: it was killed, or it crashed";

/// The end of a build from outside. Clones are for the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    /// Fires when the build is to stop.
    pub(super) now: CancellationToken,
    /// Why, where more is known than that.
    pub(super) known: Arc<OnceLock<(FailureKind, &'static str)>>,
    runners: Arc<OnceLock<Vec<Process>>>,
}

impl Stop {
    /// Notes that the runner is gone.
    pub(super) fn lost(&self) {
        // It stays what it was at first.
        let _ = self.known.set((FailureKind::Infrastructure, LOST));
    }

    /// Stops because the front is gone. Killed together with its runner, it had no time to say why.
    pub(super) fn front_ended(&self) {
        let runners = self.runners.get().into_iter().flatten();
        if !runners.clone().all(Process::is_alive) {
            self.lost();
        }
        self.now.cancel();
    }

    /// Stops when one of the runner's processes ends, also when the front is killed together with it.
    pub(super) fn on_end_of_any(&self, runners: Vec<Process>) {
        if runners.is_empty() {
            return;
        }
        let stop = self.clone();
        let _ = self.runners.set(runners.clone());
        std::thread::spawn(move || {
            wait_for_end(&runners, None);
            stop.lost();
            stop.now.cancel();
        });
    }
}

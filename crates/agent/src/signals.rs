//! Signals between the tasks of one attempt.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

/// Why a build is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// A user cancelled it. The server expects a report.
    Cancelled,
    /// The server has ended the attempt and accepts no report of it.
    Ended,
    /// The program stops all its builds.
    Interrupted,
}

/// The signals that the tasks of one attempt share.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Cancelled to stop the build.
    pub(crate) stop: CancellationToken,
    /// Cancelled after the first heartbeat, or when none will be sent.
    pub(crate) announced: CancellationToken,
    reason: OnceLock<StopReason>,
}

impl Signals {
    /// Stops the build. The first reason counts.
    pub(crate) fn stop(&self, reason: StopReason) {
        if self.reason.set(reason).is_ok() {
            tracing::info!(?reason, "stopping the build");
        }
        self.stop.cancel();
    }

    /// Returns why the build was stopped, if it was.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }
}

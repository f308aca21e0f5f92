//! What the tasks of one attempt tell each other.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

/// Why a build is stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody cancelled it; the server wants to hear that it stopped.
    Cancelled,
    /// The server gave the attempt up and wants to hear nothing more of it.
    Ended,
    /// The program stops its builds.
    Interrupted,
}

/// Shared by the tasks of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Fires when the build shall stop.
    pub(crate) stop: CancellationToken,
    /// Fires when the server knows that work has begun, or will never know.
    pub(crate) announced: CancellationToken,
    reason: OnceLock<Stop>,
}

impl Signals {
    /// Stops the build. The first reason counts.
    pub(crate) fn stop(&self, reason: Stop) {
        if self.reason.set(reason).is_ok() {
            tracing::info!(?reason, "stopping the build");
        }
        self.stop.cancel();
    }

    /// Why the build was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.reason.get().copied()
    }
}

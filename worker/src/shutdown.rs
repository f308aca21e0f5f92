//! Stopping in order: first no new builds, then no builds, then no reports.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::WorkerError;

/// Asks a worker to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop claiming; running builds may end within the grace time.
    pub gently: CancellationToken,
    /// Stop the running builds, too.
    pub at_once: CancellationToken,
}

impl From<CancellationToken> for Shutdown {
    fn from(gently: CancellationToken) -> Self {
        Self {
            gently,
            at_once: CancellationToken::new(),
        }
    }
}

/// How far a worker has come with stopping.
#[derive(Debug)]
pub(crate) struct Phases {
    /// No builds are claimed any more.
    pub(crate) drain: CancellationToken,
    /// Builds are stopped.
    pub(crate) kill: CancellationToken,
    /// Nothing is sent to the server any more.
    pub(crate) leave: CancellationToken,
    error: Mutex<Option<WorkerError>>,
    /// How long reports may take once the builds were stopped.
    last_reports: Duration,
}

impl Phases {
    /// The phases of a worker whose last reports may take so long.
    pub(crate) fn new(last_reports: Duration) -> Self {
        Self {
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            leave: CancellationToken::new(),
            error: Mutex::default(),
            last_reports,
        }
    }

    /// Goes from phase to phase. Never returns; whoever waits for the work to end drops it.
    pub(crate) async fn supervise(&self, shutdown: Shutdown, grace: Duration) {
        tokio::select! {
            () = shutdown.gently.cancelled() => {}
            () = shutdown.at_once.cancelled() => {}
            () = self.kill.cancelled() => {}
        }
        self.drain.cancel();
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = shutdown.at_once.cancelled() => {}
            () = self.kill.cancelled() => {}
        }
        self.kill.cancel();
        tokio::time::sleep(self.last_reports).await;
        self.leave.cancel();
        std::future::pending::<()>().await;
    }

    /// Waits until reports alone are no reason to stay any longer.
    pub(crate) async fn drained_for_long(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(self.last_reports).await;
    }

    /// Stops everything because going on makes no sense. The first error is the one that counts.
    pub(crate) fn fail(&self, error: WorkerError) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error);
        }
        self.drain.cancel();
        self.kill.cancel();
    }

    /// The error that stopped the worker.
    pub(crate) fn take_error(&self) -> Result<(), WorkerError> {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().map_or(Ok(()), Err)
    }
}

//! Shuts down in order: stops claims first, then builds, then reports.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::WorkerError;
use crate::service_manager;

/// Requests the shutdown of a worker.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stops claims. Running builds may finish within the grace time.
    pub graceful: CancellationToken,
    /// Stops running builds, too.
    pub immediate: CancellationToken,
}

impl From<CancellationToken> for Shutdown {
    fn from(graceful: CancellationToken) -> Self {
        Self {
            graceful,
            immediate: CancellationToken::new(),
        }
    }
}

/// The phases of a shutdown. Each is cancelled when it begins.
#[derive(Debug)]
pub(crate) struct Phases {
    /// No more builds are claimed.
    pub(crate) drain: CancellationToken,
    /// Running builds are stopped.
    pub(crate) kill: CancellationToken,
    /// No more requests are sent to the server.
    pub(crate) disconnect: CancellationToken,
    error: Mutex<Option<WorkerError>>,
    /// How long reports may take after the builds were stopped.
    report_timeout: Duration,
}

impl Phases {
    /// Creates the phases of a worker.
    pub(crate) fn new(report_timeout: Duration) -> Self {
        Self {
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            disconnect: CancellationToken::new(),
            error: Mutex::default(),
            report_timeout,
        }
    }

    /// Begins the phases in order when a shutdown is requested. Never returns; to be dropped when the worker has ended.
    pub(crate) async fn supervise(&self, shutdown: Shutdown, grace: Duration) {
        tokio::select! {
            () = shutdown.graceful.cancelled() => {}
            () = shutdown.immediate.cancelled() => {}
            () = self.kill.cancelled() => {}
        }
        self.drain.cancel();
        service_manager::stopping();
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = shutdown.immediate.cancelled() => {}
            () = self.kill.cancelled() => {}
        }
        self.kill.cancel();
        tokio::time::sleep(self.report_timeout).await;
        self.disconnect.cancel();
        std::future::pending::<()>().await;
    }

    /// Waits until a worker that only has reports to send should end.
    pub(crate) async fn drain_timeout(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(self.report_timeout).await;
    }

    /// Stops the worker because of an error. The first error counts.
    pub(crate) fn fail(&self, error: WorkerError) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(error);
        }
        self.drain.cancel();
        self.kill.cancel();
    }

    /// Returns the error that stopped the worker, if there is one.
    pub(crate) fn take_error(&self) -> Result<(), WorkerError> {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().map_or(Ok(()), Err)
    }
}

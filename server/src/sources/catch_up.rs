//! Where requests wait for the index to be as new as the sources.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// Where requests wait for the index to be as new as the sources.
#[derive(Clone, Default)]
pub(super) struct CatchUpDesk {
    waiting: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
    asked: Arc<Notify>,
}

impl CatchUpDesk {
    /// Ends when the watch has looked at all that had changed before.
    pub(super) async fn ask(&self) {
        let (sender, receiver) = oneshot::channel();
        self.lock().push(sender);
        self.asked.notify_one();
        // Without a watch there is nobody to wait for.
        let _ = receiver.await;
    }

    /// Ends when somebody has asked.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Whether somebody waits.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Who waits.
    pub(super) fn take(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

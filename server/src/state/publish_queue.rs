//! Queues of writes to repositories: accepted packages, and file lists.

use std::sync::Arc;

use buildbtw_model::BuildId;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::time::Instant;

use crate::db::IterationId;
use crate::error::Error;
use crate::repos::RepositoryKey;
use crate::wakers::Inbox;

/// Builds whose packages wait to be published. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct PublishQueue {
    inbox: Inbox<PublishJob>,
}

/// A build to publish.
#[derive(Debug)]
pub(crate) struct PublishJob {
    pub(crate) build: BuildId,
    /// Gets true when the build is published, false if that failed.
    pub(crate) done: Option<oneshot::Sender<bool>>,
    /// When the packages were accepted, if this job is the first one of its build.
    pub(crate) accepted: Option<Instant>,
}

impl PublishQueue {
    /// Publishes a build whose packages were accepted, and waits for the result. `accepted` is when they were, for the
    /// first job of the build.
    ///
    /// # Errors
    /// When publishing failed. Nothing is lost: the next call retries.
    pub async fn publish(&self, build: BuildId, accepted: Option<Instant>) -> Result<(), Error> {
        let (done, published) = oneshot::channel();
        self.inbox.send(PublishJob {
            build,
            done: Some(done),
            accepted,
        });
        if published.await.unwrap_or(false) {
            Ok(())
        } else {
            Err(anyhow::anyhow!("build {build} was accepted but cannot be published yet").into())
        }
    }

    /// Enqueues a build whose packages were just accepted, without waiting.
    pub fn enqueue(&self, build: BuildId) {
        self.inbox.send(PublishJob {
            build,
            done: None,
            accepted: Some(Instant::now()),
        });
    }

    /// Waits for the next build.
    pub(crate) async fn receive(&self) -> PublishJob {
        self.inbox.receive().await
    }

    /// Returns the next build, if there is one.
    pub(crate) fn try_receive(&self) -> Option<PublishJob> {
        self.inbox.try_receive()
    }
}

/// A repository and the iteration whose packages it holds.
pub(crate) type Outdated = (RepositoryKey, IterationId);

/// Repositories whose file lists are out of date. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FileListQueue {
    inbox: Inbox<Outdated>,
    writing: Arc<Mutex<()>>,
}

impl FileListQueue {
    /// Notifies that the file lists of a repository are out of date.
    pub fn enqueue(&self, key: RepositoryKey, iteration: IterationId) {
        self.inbox.send((key, iteration));
    }

    /// Waits for the right to write. There is one writer at a time: two could take each other's file for
    /// their own, and both are expensive.
    pub(crate) async fn lock_writes(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// Waits for the next repository.
    pub(crate) async fn receive(&self) -> Outdated {
        self.inbox.receive().await
    }

    /// Returns the next repository, if there is one.
    pub(crate) fn try_receive(&self) -> Option<Outdated> {
        self.inbox.try_receive()
    }
}

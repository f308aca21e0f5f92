//! The queues of what is to be written into repositories: packages that were accepted, and lists of files.

use std::sync::Arc;

use buildbtw_model::BuildId;
use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::db::IterationId;
use crate::error::Error;
use crate::repos::RepositoryKey;
use crate::wakers::Inbox;

/// Builds that wait for their packages to be published. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct PublishQueue {
    inbox: Inbox<PublishJob>,
}

/// A build to publish.
#[derive(Debug)]
pub(crate) struct PublishJob {
    pub(crate) build: BuildId,
    /// Told when the build is published, or that it could not be.
    pub(crate) done: Option<oneshot::Sender<bool>>,
}

impl PublishQueue {
    /// Publishes a build whose packages were accepted, and waits for it.
    ///
    /// # Errors
    /// When it could not be published now. Nothing is lost: asking again tries again.
    pub async fn publish(&self, build: BuildId) -> Result<(), Error> {
        let (done, published) = oneshot::channel();
        self.inbox.send(PublishJob {
            build,
            done: Some(done),
        });
        if published.await.unwrap_or(false) {
            Ok(())
        } else {
            Err(anyhow::anyhow!("build {build} was accepted but cannot be published yet").into())
        }
    }

    /// Publishes a build without waiting for it.
    pub fn enqueue(&self, build: BuildId) {
        self.inbox.send(PublishJob { build, done: None });
    }

    /// Waits for the next build.
    pub(crate) async fn receive(&self) -> PublishJob {
        self.inbox.receive().await
    }

    /// The next build, if there is one already.
    pub(crate) fn try_receive(&self) -> Option<PublishJob> {
        self.inbox.try_receive()
    }
}

/// A repository, and the iteration whose packages it holds.
pub(crate) type Outdated = (RepositoryKey, IterationId);

/// Repositories whose databases with file lists lag behind. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FileListQueue {
    inbox: Inbox<Outdated>,
    writing: Arc<Mutex<()>>,
}

impl FileListQueue {
    /// Says that a repository holds more than its file lists tell.
    pub fn outdated(&self, key: RepositoryKey, iteration: IterationId) {
        self.inbox.send((key, iteration));
    }

    /// One at a time: two writers could each take the other's file for their own, and are a lot of work.
    pub(crate) async fn turn_to_write(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// Waits for the next repository.
    pub(crate) async fn receive(&self) -> Outdated {
        self.inbox.receive().await
    }

    /// The next repository, if there is one already.
    pub(crate) fn try_receive(&self) -> Option<Outdated> {
        self.inbox.try_receive()
    }
}

//! Limits of concurrent work that costs a core and memory: reading packages and rendering databases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::TokenId;

/// The number of large packages that are read at a time. Each may take 128 MiB to unpack and about 200 MiB for its
/// file list.
const MAX_LARGE_READS: usize = 2;
/// The number of small packages that are read at a time. Real ones take milliseconds, and all workers of a
/// distribution may share a token, so that one at a time would make them wait for each other.
const MAX_SMALL_READS: usize = 4;
/// The size in bytes up to which packages do not wait for larger ones.
const SMALL: u64 = 1 << 20;
/// The number of databases of one kind that are rendered at a time. Each takes a core, and the memory of its
/// entries.
const MAX_CONCURRENT_RENDERS: usize = 2;

/// The semaphores of all work. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WorkLimits {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    senders: Arc<Mutex<HashMap<TokenId, Sender>>>,
    databases: Arc<Semaphore>,
    file_lists: Arc<Semaphore>,
    /// One permit for anonymous clients, so that the others always have one.
    public: Arc<Semaphore>,
}

/// The permits of one token. One of each size class remains for other tokens.
#[derive(Clone, Debug)]
struct Sender {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Sender {
    fn new() -> Self {
        Self {
            small: Arc::new(Semaphore::new(MAX_SMALL_READS - 1)),
            large: Arc::new(Semaphore::new(MAX_LARGE_READS - 1)),
        }
    }

    /// Returns whether a permit is held or waited for, which then has another reference.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.small) > 1 || Arc::strong_count(&self.large) > 1
    }
}

/// A permit, held until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct WorkPermit(#[expect(dead_code, reason = "held, not read")] Vec<OwnedSemaphorePermit>);

/// The kind of a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// A database for a build or for the server.
    Database,
    /// A database with file lists for the server.
    FileLists,
    /// A database for an anonymous client.
    PublicDatabase,
    /// A database with file lists for an anonymous client.
    PublicFileLists,
}

impl WorkLimits {
    pub(super) fn new() -> Self {
        let semaphore = |count| Arc::new(Semaphore::new(count));
        Self {
            small: semaphore(MAX_SMALL_READS),
            large: semaphore(MAX_LARGE_READS),
            senders: Arc::default(),
            databases: semaphore(MAX_CONCURRENT_RENDERS),
            file_lists: semaphore(MAX_CONCURRENT_RENDERS),
            public: semaphore(1),
        }
    }

    /// Waits for a permit to read. A sender cannot take all permits of a size class, and small packages do not wait for
    /// large ones.
    pub(super) async fn read(&self, sender: TokenId, size: u64) -> anyhow::Result<WorkPermit> {
        let (own, all) = if size <= SMALL {
            (self.sender(sender).small, &self.small)
        } else {
            (self.sender(sender).large, &self.large)
        };
        take([own, Arc::clone(all)]).await
    }

    fn sender(&self, token: TokenId) -> Sender {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|_, sender| sender.is_used());
        senders.entry(token).or_insert_with(Sender::new).clone()
    }

    pub(super) async fn render(&self, what: Rendering) -> anyhow::Result<WorkPermit> {
        let (databases, file_lists) = (Arc::clone(&self.databases), Arc::clone(&self.file_lists));
        let public = Arc::clone(&self.public);
        match what {
            Rendering::Database => take([databases]).await,
            Rendering::FileLists => take([file_lists]).await,
            Rendering::PublicDatabase => take([public, databases]).await,
            Rendering::PublicFileLists => take([public, file_lists]).await,
        }
    }
}

/// Acquires the semaphores in order. They are never closed.
async fn take<const N: usize>(semaphores: [Arc<Semaphore>; N]) -> anyhow::Result<WorkPermit> {
    let mut taken = Vec::with_capacity(N);
    for semaphore in semaphores {
        taken.push(semaphore.acquire_owned().await?);
    }
    Ok(WorkPermit(taken))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LARGE: u64 = SMALL + 1;

    #[tokio::test]
    async fn reserves_turns_from_each_sender_and_separates_small_packages() {
        let limits = WorkLimits::new();
        let [first, second, third] = [1, 2, 3].map(TokenId);
        let one = limits.read(first, LARGE).await.unwrap();
        assert!(limits.read(first, LARGE).now_or_never().is_none());
        let two = limits.read(second, LARGE).await.unwrap();
        assert!(limits.read(third, LARGE).now_or_never().is_none());
        let mut small = Vec::new();
        while let Some(permit) = limits.read(first, SMALL).now_or_never() {
            small.push(permit.unwrap());
        }
        assert_eq!(small.len(), MAX_SMALL_READS - 1);
        let three = limits.read(third, SMALL).await.unwrap();
        assert!(limits.read(second, SMALL).now_or_never().is_none());
        drop((one, two, three, small));
        let one = limits.read(first, SMALL).await.unwrap();
        let senders = limits.senders.lock().unwrap();
        assert_eq!(senders.keys().collect::<Vec<_>>(), [&first]);
        drop(one);
    }

    #[tokio::test]
    async fn reserves_a_turn_from_anonymous_rendering() {
        let limits = WorkLimits::new();
        let public = limits.render(Rendering::PublicDatabase).await.unwrap();
        for what in [Rendering::PublicDatabase, Rendering::PublicFileLists] {
            assert!(limits.render(what).now_or_never().is_none(), "{what:?}");
        }
        let own = limits.render(Rendering::Database).await.unwrap();
        assert!(limits.render(Rendering::Database).now_or_never().is_none());
        // File lists have separate permits.
        let lists = [(); 2].map(|()| limits.render(Rendering::FileLists).now_or_never());
        assert!(lists.iter().all(Option::is_some));
        drop((public, own));
        assert!(
            limits
                .render(Rendering::PublicDatabase)
                .now_or_never()
                .is_some()
        );
    }
}

//! Turns for what costs a processor and memory: reading packages and rendering databases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::TokenId;

/// How many packages of one class are read at a time. Each may cost 128 MiB to unpack and some 200 MiB for
/// its list of files.
const MAX_CONCURRENT_READS: usize = 2;
/// Packages up to this size do not wait for larger ones, in bytes.
const SMALL: u64 = 1 << 20;
/// How many databases of one kind are rendered at a time. Each costs a core, and the memory of its entries.
const MAX_CONCURRENT_RENDERS: usize = 2;

/// Who waits for whom. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// One turn for each token.
    senders: Arc<Mutex<HashMap<TokenId, Arc<Semaphore>>>>,
    databases: Arc<Semaphore>,
    file_lists: Arc<Semaphore>,
    /// One turn for all whom nobody vouches for, so that others always have one.
    public: Arc<Semaphore>,
}

/// A turn, which lasts until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn(#[expect(dead_code, reason = "held, not looked at")] Vec<OwnedSemaphorePermit>);

/// What is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// A database for a build, or for the server itself.
    Database,
    /// A database that lists files, for the server itself.
    FileLists,
    /// A database for anybody.
    PublicDatabase,
    /// A database that lists files, for anybody.
    PublicFileLists,
}

impl Turns {
    pub(super) fn new() -> Self {
        let turns = |count| Arc::new(Semaphore::new(count));
        Self {
            small: turns(MAX_CONCURRENT_READS),
            large: turns(MAX_CONCURRENT_READS),
            senders: Arc::default(),
            databases: turns(MAX_CONCURRENT_RENDERS),
            file_lists: turns(MAX_CONCURRENT_RENDERS),
            public: turns(1),
        }
    }

    /// A sender's packages are read one after the other, and small ones beside large ones.
    pub(super) async fn read(&self, sender: TokenId, size: u64) -> anyhow::Result<Turn> {
        let own = self.own(sender);
        let class = if size <= SMALL {
            &self.small
        } else {
            &self.large
        };
        take([own, Arc::clone(class)]).await
    }

    fn own(&self, sender: TokenId) -> Arc<Semaphore> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has or waits for a turn holds another one.
        senders.retain(|_, turn| Arc::strong_count(turn) > 1);
        let own = senders
            .entry(sender)
            .or_insert_with(|| Arc::new(Semaphore::new(1)));
        Arc::clone(own)
    }

    pub(super) async fn render(&self, what: Rendering) -> anyhow::Result<Turn> {
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

/// Waits for one after the other. Nobody closes them.
async fn take<const N: usize>(turns: [Arc<Semaphore>; N]) -> anyhow::Result<Turn> {
    let mut taken = Vec::with_capacity(N);
    for turn in turns {
        taken.push(turn.acquire_owned().await?);
    }
    Ok(Turn(taken))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LARGE: u64 = SMALL + 1;

    #[tokio::test]
    async fn grants_one_turn_per_sender_and_separates_small_packages() {
        let turns = Turns::new();
        let [first, second, third] = [1, 2, 3].map(TokenId);
        let one = turns.read(first, LARGE).await.unwrap();
        assert!(turns.read(first, SMALL).now_or_never().is_none());
        let two = turns.read(second, LARGE).await.unwrap();
        assert!(turns.read(third, LARGE).now_or_never().is_none());
        let three = turns.read(third, SMALL).await.unwrap();
        drop((one, two, three));
        let one = turns.read(first, SMALL).await.unwrap();
        let senders = turns.senders.lock().unwrap();
        assert_eq!(senders.keys().collect::<Vec<_>>(), [&first]);
        drop(one);
    }

    #[tokio::test]
    async fn reserves_a_turn_from_anonymous_rendering() {
        let turns = Turns::new();
        let public = turns.render(Rendering::PublicDatabase).await.unwrap();
        for what in [Rendering::PublicDatabase, Rendering::PublicFileLists] {
            assert!(turns.render(what).now_or_never().is_none(), "{what:?}");
        }
        let own = turns.render(Rendering::Database).await.unwrap();
        assert!(turns.render(Rendering::Database).now_or_never().is_none());
        // File lists have separate turns.
        let lists = [(); 2].map(|()| turns.render(Rendering::FileLists).now_or_never());
        assert!(lists.iter().all(Option::is_some));
        drop((public, own));
        assert!(
            turns
                .render(Rendering::PublicDatabase)
                .now_or_never()
                .is_some()
        );
    }
}

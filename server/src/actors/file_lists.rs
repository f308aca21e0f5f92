//! Writes the repository databases with file lists. They lag a little behind the packages, except at the end of an
//! iteration or when one is requested.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::IterationId;
use crate::outage::{Failure, Outage, Pauses};
use crate::repos::RepositoryKey;
use crate::service::publish::file_lists::{outdated, update};
use crate::state::AppState;
use crate::state::publish_queue::Outdated;
use crate::time::Clock;

/// The minimum delay after a change.
const LAG: Duration = Duration::from_secs(2);
/// The minimum ratio of delay to write time, which bounds the share of time that large databases take.
const LAG_PER_WORK: u32 = 50;
/// The pause before a retry of finding outdated databases.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// The actor that writes databases with file lists.
pub(crate) struct FileLists {
    state: AppState,
    pending: BTreeMap<RepositoryKey, (IterationId, Instant)>,
    lag: Duration,
    /// Whether the databases that an earlier run or a panic left outdated were added.
    has_caught_up: bool,
}

impl FileLists {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            pending: BTreeMap::new(),
            lag: LAG,
            has_caught_up: false,
        }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot read which file lists are outdated",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }

    fn add(&mut self, (key, iteration): Outdated) {
        // The namespace may have been deleted and created again with this name.
        let known = self.pending.get(&key).map(|(_, at)| *at);
        let at = known.unwrap_or_else(|| Instant::now() + self.lag);
        self.pending.insert(key, (iteration, at));
    }

    async fn write_due(&mut self) {
        let now = Instant::now();
        let due = self.pending.extract_if(.., |_, (_, at)| *at <= now);
        let due: Vec<_> = due.collect();
        if due.is_empty() {
            return;
        }
        self.lag = LAG;
        for (key, (iteration, _)) in due {
            let began = Instant::now();
            self.write(&key, iteration).await;
            self.lag = self.lag.max(began.elapsed() * LAG_PER_WORK);
        }
    }

    async fn write(&self, key: &RepositoryKey, iteration: IterationId) {
        if let Err(error) = update(self.state.repository_parts(), key, iteration).await {
            tracing::error!(
                error = error.to_string(),
                namespace.name = key.namespace.as_str(),
                architecture = key.architecture.as_str(),
                "cannot write the file lists of a repository; the old ones stay in place"
            );
        }
    }
}

impl Actor for FileLists {
    const NAME: &'static str = "file lists";
    type Event = Outdated;

    async fn event(&mut self) -> Outdated {
        self.state.file_lists.receive().await
    }

    async fn turn(&mut self, cause: Cause<Outdated>) -> Result<Next, Failure> {
        if let Cause::Event(repository) = cause {
            self.add(repository);
        }
        if !self.has_caught_up {
            for repository in outdated(self.state.repository_parts()).await? {
                self.add(repository);
            }
            self.has_caught_up = true;
        }
        self.write_due().await;
        Ok(Next::maybe_at(
            self.pending.values().map(|(_, at)| *at).min(),
        ))
    }

    async fn stop(&mut self) {
        while let Some((key, iteration)) = self.state.file_lists.try_receive() {
            self.pending.insert(key, (iteration, Instant::now()));
        }
        for (key, (iteration, _)) in std::mem::take(&mut self.pending) {
            self.write(&key, iteration).await;
        }
    }
}

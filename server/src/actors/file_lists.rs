//! Writes the repository databases with file lists. They lag a little behind the packages, except at the end of an
//! iteration or when one is requested.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_model::BackgroundTask;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Keyed, Next, OwnOutage};
use crate::db::IterationId;
use crate::error::Error;
use crate::outage::{Failure, Outage, Pauses};
use crate::repos::RepositoryKey;
use crate::service::publish::file_lists::{outdated, update};
use crate::service::publish::in_repository;
use crate::state::AppState;
use crate::state::publish_queue::Outdated;

/// The minimum delay after a change.
const LAG: Duration = Duration::from_secs(2);
/// The minimum ratio of delay to write time, which bounds the share of time that large databases take.
const LAG_PER_WORK: u32 = 50;

/// The actor that writes databases with file lists.
pub(crate) struct FileLists {
    state: AppState,
    /// The outdated repositories, and the iterations whose packages they hold.
    iterations: BTreeMap<RepositoryKey, IterationId>,
    /// When to write which of them.
    repositories: Keyed<RepositoryKey>,
    lag: Duration,
    /// Whether the databases that an earlier run or a panic left outdated were added.
    has_caught_up: bool,
}

impl FileLists {
    pub(crate) fn new(state: AppState, outage: &Outage) -> Self {
        Self {
            state,
            iterations: BTreeMap::new(),
            repositories: Keyed::new(outage),
            lag: LAG,
            has_caught_up: false,
        }
    }

    fn add(&mut self, (key, iteration): Outdated) {
        self.repositories
            .schedule(key.clone(), Instant::now() + self.lag);
        // The namespace may have been deleted and created again with this name.
        self.iterations.insert(key, iteration);
    }

    async fn write_due(&mut self) {
        let due = self.repositories.take_due(Instant::now());
        if due.is_empty() {
            return;
        }
        self.lag = LAG;
        for key in due {
            let Some(iteration) = self.iterations.get(&key).copied() else {
                continue;
            };
            let began = Instant::now();
            match self.write(&key, iteration).await {
                Ok(()) => {
                    self.repositories.succeeded(&key);
                    self.iterations.remove(&key);
                }
                Err(error) => {
                    self.repositories.failed(key, error.into());
                }
            }
            self.lag = self.lag.max(began.elapsed() * LAG_PER_WORK);
        }
    }

    /// Writes the file lists of a repository. If that fails, the old ones stay in place.
    async fn write(&self, key: &RepositoryKey, iteration: IterationId) -> Result<(), Error> {
        let written = update(self.state.repository_parts(), key, iteration).await;
        written.map_err(|error| in_repository(key, error))
    }
}

impl OwnOutage for FileLists {
    const TITLE: &'static str = "cannot write file lists of repositories";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(5));
}

impl Actor for FileLists {
    const TASK: BackgroundTask = BackgroundTask::FileLists;
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
        Ok(self.repositories.next(self.repositories.next_due()))
    }

    async fn stop(&mut self) {
        while let Some((key, iteration)) = self.state.file_lists.try_receive() {
            self.iterations.insert(key, iteration);
        }
        for (key, iteration) in std::mem::take(&mut self.iterations) {
            if let Err(error) = self.write(&key, iteration).await {
                tracing::error!(error = error.to_string(), "{}", Self::TITLE);
            }
        }
    }
}

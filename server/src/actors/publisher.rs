//! Publishes accepted packages. A single actor does this, so that builds that end at about the same time share one
//! new database.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_model::BuildId;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::metrics::builds::Phase;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::publish::{Images, publish_all, unpublished};
use crate::state::AppState;
use crate::state::publish_queue::PublishJob;
use crate::time::Clock;

/// The pause before a retry of publishing a build.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The actor that publishes builds.
pub(crate) struct Publisher {
    state: AppState,
    images: Images,
    /// When to retry builds that could not be published. Packages of another architecture or iteration have no
    /// worker that would request it again.
    retry_at: BTreeMap<BuildId, Instant>,
    /// Whether the builds that an earlier run or a panic left unpublished were added.
    has_caught_up: bool,
}

impl Publisher {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            images: Images::default(),
            retry_at: BTreeMap::new(),
            has_caught_up: false,
        }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot read the builds to publish",
            Pauses::constant(PAUSE_AFTER_FAILURE),
            clock,
        )
    }

    /// Returns all builds to publish now.
    async fn jobs(&mut self, cause: Cause<PublishJob>) -> sqlx::Result<Vec<PublishJob>> {
        let mut jobs = Vec::new();
        if let Cause::Event(job) = cause {
            jobs.push(job);
        }
        if !self.has_caught_up {
            let unpublished = unpublished(&self.state.database).await?;
            jobs.extend(unpublished.into_iter().map(job_without_waiter));
            self.has_caught_up = true;
        }
        let now = Instant::now();
        let due = self.retry_at.extract_if(.., |_, at| *at <= now);
        jobs.extend(due.map(|(build, _)| job_without_waiter(build)));
        while let Some(job) = self.state.publisher.try_receive() {
            jobs.push(job);
        }
        Ok(jobs)
    }
}

/// Creates a job whose result is not awaited.
fn job_without_waiter(build: BuildId) -> PublishJob {
    PublishJob {
        build,
        done: None,
        accepted: None,
    }
}

impl Actor for Publisher {
    const NAME: &'static str = "publisher";
    type Event = PublishJob;

    async fn event(&mut self) -> PublishJob {
        self.state.publisher.receive().await
    }

    async fn turn(&mut self, cause: Cause<PublishJob>) -> Result<Next, Failure> {
        let jobs = self.jobs(cause).await?;
        if !jobs.is_empty() {
            let builds: Vec<BuildId> = jobs.iter().map(|job| job.build).collect();
            let failed =
                publish_all(self.state.repository_parts(), &mut self.images, &builds).await;
            let at = Instant::now() + PAUSE_AFTER_FAILURE;
            self.retry_at
                .extend(failed.iter().map(|build| (*build, at)));
            for job in jobs {
                let is_published = !failed.contains(&job.build);
                if let Some(accepted) = job.accepted.filter(|_| is_published) {
                    let metrics = &self.state.metrics.builds;
                    metrics.phase(Phase::Publish, accepted.elapsed());
                }
                if let Some(done) = job.done {
                    // The receiver may have stopped waiting.
                    let _ = done.send(is_published);
                }
            }
        }
        Ok(Next::maybe_at(self.retry_at.values().min().copied()))
    }
}

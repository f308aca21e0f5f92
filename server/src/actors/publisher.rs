//! Publishes accepted packages. A single actor does this, so that builds that end at about the same time share one
//! new database.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::{BackgroundTask, BuildId};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Keyed, Next, OwnOutage};
use crate::metrics::builds::Phase;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::publish::{Images, publish_all, unpublished};
use crate::state::AppState;
use crate::state::publish_queue::PublishJob;

/// The actor that publishes builds.
pub(crate) struct Publisher {
    state: AppState,
    images: Images,
    /// The builds that could not be published. Packages of another architecture or iteration have no worker that would
    /// request it again.
    builds: Keyed<BuildId>,
    /// Whether the builds that an earlier run or a panic left unpublished were added.
    has_caught_up: bool,
}

impl Publisher {
    pub(crate) fn new(state: AppState, outage: &Outage) -> Self {
        Self {
            state,
            images: Images::default(),
            builds: Keyed::new(outage),
            has_caught_up: false,
        }
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
        let due = self.builds.take_due(Instant::now());
        jobs.extend(due.into_iter().map(job_without_waiter));
        while let Some(job) = self.state.publisher.try_receive() {
            jobs.push(job);
        }
        Ok(jobs)
    }

    /// Publishes builds, and answers those who wait for them.
    async fn publish(&mut self, jobs: Vec<PublishJob>) -> Result<(), Failure> {
        let builds: BTreeSet<BuildId> = jobs.iter().map(|job| job.build).collect();
        let parts = self.state.repository_parts();
        let failures = publish_all(parts, &mut self.images, &builds).await;
        let mut failures = failures.inspect_err(|_| {
            for build in &builds {
                self.builds.schedule(*build, Instant::now());
            }
        })?;
        let failed: BTreeSet<BuildId> = failures.keys().copied().collect();
        for build in builds {
            match failures.remove(&build) {
                None => self.builds.succeeded(&build),
                Some(error) => {
                    self.builds.failed(build, error.into());
                }
            }
        }
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
        Ok(())
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

impl OwnOutage for Publisher {
    const TITLE: &'static str = "cannot publish packages";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(5));
}

impl Actor for Publisher {
    const TASK: BackgroundTask = BackgroundTask::Publisher;
    type Event = PublishJob;

    async fn event(&mut self) -> PublishJob {
        self.state.publisher.receive().await
    }

    async fn turn(&mut self, cause: Cause<PublishJob>) -> Result<Next, Failure> {
        let jobs = self.jobs(cause).await?;
        if !jobs.is_empty() {
            self.publish(jobs).await?;
        }
        Ok(self.builds.next(self.builds.next_due()))
    }
}

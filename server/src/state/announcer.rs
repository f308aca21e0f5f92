//! Announces the effects of transactions to background tasks and followers.

use buildbtw_model::BuildId;
use tokio::time::Instant;

use crate::changes::{Changes, Effects, Traced};
use crate::db::NamespaceId;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::wakers::{Pending, Waker};

use super::claim_queue::ClaimQueue;
use super::pipelines::Pipelines;
use super::publish_queue::PublishQueue;

/// Everything that a transaction may have to notify. Cheap to clone. The default one notifies queues that no task
/// serves.
#[derive(Clone, Default)]
pub struct Announcer {
    /// Namespaces to report to GitLab, if reports are configured.
    pub forge_reports: Option<Pending<NamespaceId>>,
    /// Wakes followers of events.
    pub changes: Changes,
    /// Claims of workers that wait for builds.
    pub claims: ClaimQueue,
    /// Builds on GitLab, if it builds anything.
    pub pipelines: Option<Pipelines>,
    /// Woken when a lease was set.
    pub leases: Waker,
    /// Woken when iterations end.
    pub retention: Waker,
    /// Builds to publish.
    pub publisher: PublishQueue,
    /// Attempts whose trace is to be recorded, if traces are.
    pub traced: Option<Pending<Traced>>,
    /// Counts what the transactions changed.
    pub metrics: Metrics,
}

impl Announcer {
    /// Notifies tasks and followers of a transaction's effects. Call it after the commit.
    pub fn announce(&self, effects: Effects) {
        if let Some(reports) = &self.forge_reports {
            reports.add(effects.namespaces.iter().copied());
        }
        self.metrics.builds.dispatched(&effects.dispatched);
        self.metrics.builds.record_ended(&effects.attempts);
        self.changes.notify(effects.namespaces);
        if let Some(traced) = &self.traced
            && !effects.traced.is_empty()
        {
            traced.add(effects.traced);
        }
        if effects.ready {
            self.claims.wake();
        }
        if let Some(pipelines) = &self.pipelines {
            if effects.ready {
                pipelines.wake();
            }
            if effects.stop {
                pipelines.stop();
            }
        }
        if effects.leases {
            self.leases.wake();
        }
        if !effects.ended_iterations.is_empty() {
            self.retention.wake();
        }
        for build in effects.publish {
            self.publisher.enqueue(build);
        }
    }

    /// Notifies tasks and followers that a namespace was deleted, with its attempts. Call it after the commit.
    pub fn announce_deletion(&self, namespace: NamespaceId) {
        if let Some(pipelines) = &self.pipelines {
            pipelines.stop();
        }
        self.changes.notify([namespace]);
    }

    /// Has a build published, and waits for the result. `accepted` is when its packages were, for the first job of it.
    ///
    /// # Errors
    /// When publishing failed. Nothing is lost: the next call retries.
    pub async fn publish(&self, build: BuildId, accepted: Option<Instant>) -> Result<(), Error> {
        self.publisher.publish(build, accepted).await
    }
}

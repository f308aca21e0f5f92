//! The transitions of attempts, and their effects on builds.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use buildbtw_model::{AttemptId, AttemptStatus, BuildStatus, EventKind, Explanation, FailureKind};

use crate::changes::Traced;
use crate::db::attempts::{AttemptRow, Times};
use crate::db::builds::{self, BuildRow};
use crate::db::{attempts, iterations, namespaces, work};
use crate::metrics::builds::EndedAttempt;

use super::Transition;

/// How often a build is retried after lost attempts and infrastructure failures.
const MAX_INFRASTRUCTURE_FAILURES: i64 = 5;
/// The first backoff after such failures; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(10 * 60);
/// After so many doublings, the backoff has long reached its maximum.
const MAX_DOUBLINGS: usize = 20;

impl Transition {
    /// Ends an attempt that has not ended, without packages. Returns whether it did.
    async fn finish(
        &mut self,
        attempt: AttemptId,
        status: AttemptStatus,
        failure: Option<FailureKind>,
        explanation: &Explanation,
    ) -> sqlx::Result<bool> {
        let explanation = Some(explanation);
        let times = attempts::finish(&mut self.tx, attempt, status, failure, explanation).await?;
        let Some(times) = times else {
            return Ok(false);
        };
        work::record(&mut self.tx, attempt).await?;
        self.record_end(status, failure, times);
        self.effects.traced.push(Traced::Ended(attempt));
        Ok(true)
    }

    /// Notes an attempt that ended, for metrics.
    pub(super) fn record_end(
        &mut self,
        status: AttemptStatus,
        failure: Option<FailureKind>,
        times: Times,
    ) {
        let started = times.started_at;
        self.effects.attempts.push(EndedAttempt {
            status,
            failure,
            start: started.map(|started| started.since(times.created_at)),
            build: started.map(|started| times.finished_at.since(started)),
        });
    }

    /// Ends an attempt without packages. Infrastructure failures are retried.
    pub(crate) async fn fail(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
        kind: FailureKind,
        explanation: &Explanation,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Failed;
        if !self
            .finish(attempt.id, status, Some(kind), explanation)
            .await?
        {
            return Ok(false);
        }
        let event = EventKind::AttemptFailed(kind);
        self.record_failure(build, attempt.id, event, explanation)
            .await?;
        match kind {
            // A build whose cancellation was withdrawn before the worker noticed is retried, too.
            FailureKind::Infrastructure | FailureKind::Cancelled => {
                self.requeue_or_give_up(build, attempt.id, explanation)
                    .await?;
            }
            FailureKind::Package | FailureKind::Timeout => {
                self.end_build(build, attempt.id, BuildStatus::Failed, explanation)
                    .await?;
            }
            FailureKind::Memory => {
                self.requeue_for_more_memory(build, attempt, explanation)
                    .await?;
            }
        }
        Ok(true)
    }

    /// Ends an attempt without packages, and fails its build: retries cannot succeed until a user fixes the cause.
    pub(crate) async fn fail_permanently(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        kind: FailureKind,
        explanation: &Explanation,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Failed;
        if !self
            .finish(attempt, status, Some(kind), explanation)
            .await?
        {
            return Ok(false);
        }
        let event = EventKind::AttemptFailed(kind);
        self.record_failure(build, attempt, event, explanation)
            .await?;
        self.end_build(build, attempt, BuildStatus::Failed, explanation)
            .await?;
        Ok(true)
    }

    /// Ends an attempt because another job of the same pipeline replaces the one that runs it.
    pub(crate) async fn replace(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
    ) -> sqlx::Result<bool> {
        let why = replaced();
        let status = AttemptStatus::Lost;
        if !self.finish(attempt, status, None, &why).await? {
            return Ok(false);
        }
        self.record_failure(build, attempt, EventKind::AttemptLost, &why)
            .await?;
        self.requeue_or_give_up(build, attempt, &why).await?;
        Ok(true)
    }

    /// Marks an attempt as lost, because its lease expired.
    pub(crate) async fn mark_lost(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
        message: &str,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Lost;
        let why = Explanation::from(message);
        if !self.finish(attempt.id, status, None, &why).await? {
            return Ok(false);
        }
        self.record_failure(build, attempt.id, EventKind::AttemptLost, &why)
            .await?;
        self.effects.stop = true;
        self.requeue_or_give_up(build, attempt.id, &why).await?;
        Ok(true)
    }

    /// Returns whether nothing more of a build's iteration is to be dispatched.
    pub(super) async fn is_stopped(&mut self, build: &BuildRow) -> sqlx::Result<bool> {
        let iteration = iterations::by_id(self.connection(), build.iteration_id).await?;
        let namespace = namespaces::by_id(self.connection(), build.namespace_id).await?;
        let is_held = namespace.is_some_and(|namespace| namespace.held_at.is_some());
        Ok(iteration.status.is_final() || is_held)
    }

    async fn requeue_or_give_up(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        explanation: &Explanation,
    ) -> sqlx::Result<()> {
        if self.is_stopped(build).await? {
            return self
                .end_build(build, attempt, BuildStatus::Cancelled, explanation)
                .await;
        }
        let failures = attempts::count_infrastructure(&mut self.tx, build.id).await?;
        if failures > MAX_INFRASTRUCTURE_FAILURES {
            let given_up = given_up(failures, explanation);
            return self
                .end_build(build, attempt, BuildStatus::Failed, &given_up)
                .await;
        }
        let not_before = self.now() + backoff(failures);
        if builds::requeue(&mut self.tx, build.id, Some(not_before), explanation).await? {
            let kind = EventKind::Build(BuildStatus::Ready);
            self.record_failure(build, attempt, kind, explanation)
                .await?;
            self.effects.ready = true;
        }
        Ok(())
    }

    pub(super) async fn end_build(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        status: BuildStatus,
        explanation: &Explanation,
    ) -> sqlx::Result<()> {
        if builds::end_without_packages(&mut self.tx, build.id, status, explanation).await? {
            let kind = EventKind::Build(status);
            self.record_failure(build, attempt, kind, explanation)
                .await?;
            // A later iteration that waited for these packages builds them itself.
            let ready =
                builds::detach_waiting_sharers(&mut self.tx, build.id, build.iteration_id).await?;
            self.effects.ready |= ready > 0;
            self.settle(build.namespace_id, build.iteration_id).await?;
        }
        Ok(())
    }
}

/// Explains the end of an attempt that another job of its pipeline replaces.
fn replaced() -> Explanation {
    Explanation::from("the job was retried in GitLab")
}

/// Explains that a build is not retried after this many infrastructure failures.
fn given_up(failures: i64, last: &Explanation) -> Explanation {
    last.clone()
        .map(|message| format!("gave up after {failures} attempts: {message}"))
}

/// Returns the backoff after this many infrastructure failures. A single lost worker costs no more than the lease.
fn backoff(failures: i64) -> Duration {
    let Ok(retry) = usize::try_from(failures - 2) else {
        return Duration::ZERO;
    };
    let mut growing = ExponentialBuilder::new()
        .with_min_delay(FIRST_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .without_max_times()
        .build();
    growing.nth(retry.min(MAX_DOUBLINGS)).unwrap_or(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_backoff_up_to_a_maximum() {
        let pauses = [0, 0, 2, 4, 8].map(Duration::from_secs);
        assert_eq!([0, 1, 2, 3, 4].map(backoff), pauses);
        assert_eq!(backoff(100), MAX_BACKOFF);
    }

    #[test]
    fn explanations_match_snapshot() {
        let last = Explanation::with_hint("the disk is full", "free space there");
        let text = [replaced(), given_up(6, &last)].map(|why| why.to_string());
        insta::assert_snapshot!(text.join("\n\n"));
    }
}

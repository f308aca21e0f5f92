//! The transitions of builds, attempts and iterations. Each is a guarded statement that records its
//! event in the same transaction and notes in [`Effects`] who has to be told after the commit.

use buildbtw_model::{
    AttemptId, AttemptStatus, BuildStatus, FailureKind, IterationStatus, PackageVersion, Pkgbase,
};

use crate::changes::Effects;
use crate::db::attempts::AttemptRow;
use crate::db::builds::{self, BuildRow};
use crate::db::events::{self, NewEvent};
use crate::db::iterations::IterationRow;
use crate::db::{
    IterationId, NamespaceId, WriteTransaction, attempts, iterations, namespaces, now,
};

/// How often a build is tried again after failures that are no fault of the package.
const MAX_INFRASTRUCTURE_FAILURES: i64 = 5;
/// The pause after the first such failure, in milliseconds; each further one doubles it.
const FIRST_PAUSE_MS: i64 = 2_000;
const MAX_PAUSE_MS: i64 = 10 * 60 * 1_000;

/// A transaction with the effects it will have.
pub(crate) struct Transition {
    pub(crate) tx: WriteTransaction,
    pub(crate) effects: Effects,
}

impl Transition {
    pub(crate) async fn begin(database: &crate::db::Database) -> sqlx::Result<Self> {
        Ok(Self {
            tx: database.write().await?,
            effects: Effects::default(),
        })
    }

    /// Makes the changes durable and returns who has to be told.
    pub(crate) async fn commit(self) -> sqlx::Result<Effects> {
        self.tx.commit().await?;
        Ok(self.effects)
    }

    /// An iteration takes the place of another, which dispatches nothing more. Attempts go on if a
    /// build of the new iteration waits for them, and are cancelled otherwise.
    pub(crate) async fn superseded(&mut self, old: &IterationRow, by: i64) -> sqlx::Result<()> {
        iterations::supersede(&mut self.tx, old.id, by).await?;
        builds::cancel_unstarted(
            &mut self.tx,
            old.id,
            &format!("superseded by iteration {by}"),
        )
        .await?;
        attempts::cancel_without_heirs(&mut self.tx, old.id).await?;
        self.record_iteration(old.namespace_id, old.id, "iteration.superseded", None)
            .await
    }

    async fn record(
        &mut self,
        build: &BuildRow,
        attempt: Option<AttemptId>,
        kind: &str,
        message: Option<&str>,
    ) -> sqlx::Result<()> {
        let event = NewEvent {
            namespace: build.namespace_id,
            iteration: Some(build.iteration_id),
            build: Some(build.id),
            attempt,
            kind,
            message,
        };
        events::insert(&mut self.tx, &event).await?;
        self.effects.namespaces.insert(build.namespace_id);
        Ok(())
    }

    /// An iteration was planned.
    pub(crate) async fn planned(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
        reason: &str,
    ) -> sqlx::Result<()> {
        self.effects.ready = true;
        self.record_iteration(namespace, iteration, "iteration.planned", Some(reason))
            .await
    }

    /// A namespace is held: its running attempts are to stop, everything else waits to be resumed.
    pub(crate) async fn held(&mut self, newest: &IterationRow) -> sqlx::Result<()> {
        attempts::request_cancel(&mut self.tx, newest.namespace_id, true).await?;
        builds::cancel_unstarted(&mut self.tx, newest.id, "cancelled").await?;
        self.record_iteration(newest.namespace_id, newest.id, "namespace.cancelled", None)
            .await?;
        self.settle(newest.namespace_id, newest.id).await
    }

    /// A namespace is held no more: what was cancelled goes on.
    pub(crate) async fn resumed(&mut self, newest: &IterationRow) -> sqlx::Result<()> {
        attempts::request_cancel(&mut self.tx, newest.namespace_id, false).await?;
        self.record_iteration(newest.namespace_id, newest.id, "namespace.resumed", None)
            .await?;
        iterations::reopen(&mut self.tx, newest.id).await?;
        for build in builds::resume(&mut self.tx, newest.id).await? {
            if build.shared_build_id.is_some() {
                self.share(build.id).await?;
            }
        }
        self.effects.ready = true;
        self.settle(newest.namespace_id, newest.id).await
    }

    /// Failed builds get new attempts. Returns them.
    pub(crate) async fn retried(
        &mut self,
        newest: &IterationRow,
        pkgbase: Option<&Pkgbase>,
    ) -> sqlx::Result<Vec<BuildRow>> {
        let mut retried = Vec::new();
        for id in builds::retry(&mut self.tx, newest.id, pkgbase).await? {
            if let Some(build) = builds::by_id(&mut *self.tx.connection(), id).await? {
                self.record(&build, None, "build.ready", Some("to be tried again"))
                    .await?;
                retried.push(build);
            }
        }
        if !retried.is_empty() {
            iterations::reopen(&mut self.tx, newest.id).await?;
            self.effects.ready = true;
        }
        Ok(retried)
    }

    /// `ready -> dispatched`.
    pub(crate) async fn dispatched(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        worker: &str,
    ) -> sqlx::Result<()> {
        self.effects.leases = true;
        self.record(build, Some(attempt), "build.dispatched", Some(worker))
            .await
    }

    /// `dispatched -> building`, with the first sign of life of the worker.
    pub(crate) async fn started(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
    ) -> sqlx::Result<()> {
        if builds::start(&mut self.tx, build.id).await? {
            self.record(build, Some(attempt), "build.building", None)
                .await?;
        }
        Ok(())
    }

    /// The outcome of an attempt was accepted; its packages are about to be published.
    pub(crate) async fn accepted(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        version: &PackageVersion,
    ) -> sqlx::Result<bool> {
        let finished =
            attempts::finish(&mut self.tx, attempt, AttemptStatus::Succeeded, None, None).await?;
        if !finished || !builds::accept_packages(&mut self.tx, build.id, attempt, version).await? {
            return Ok(false);
        }
        self.record(build, Some(attempt), "attempt.succeeded", None)
            .await?;
        Ok(true)
    }

    /// `-> built` or `reused`: the repository lists the packages, so dependents may go on.
    pub(crate) async fn published(&mut self, build: &BuildRow) -> sqlx::Result<bool> {
        let Some(packages) = build.packages_attempt_id else {
            return Ok(false);
        };
        let attempt = attempts::by_id(&mut *self.tx.connection(), packages).await?;
        let is_own = attempt.is_some_and(|attempt| attempt.build == build.id);
        let status = if is_own {
            BuildStatus::Built
        } else {
            BuildStatus::Reused
        };
        if !builds::complete(&mut self.tx, build.id, status).await? {
            return Ok(false);
        }
        let kind = format!("build.{status}");
        let version = build.version.to_string();
        self.record(build, Some(packages), &kind, Some(&version))
            .await?;
        for unblocked in builds::unblock_dependents(&mut self.tx, build.id).await? {
            match unblocked.shared_build_id {
                None => {
                    let ready = builds::by_id(&mut *self.tx.connection(), unblocked.id).await?;
                    if let Some(ready) = ready {
                        self.record(&ready, None, "build.ready", None).await?;
                    }
                    self.effects.ready = true;
                }
                Some(_) => self.share(unblocked.id).await?,
            }
        }
        self.settle(build.namespace_id, build.iteration_id).await?;
        Ok(true)
    }

    /// Gives a build of another architecture the packages that were built once for all.
    async fn share(&mut self, id: buildbtw_model::BuildId) -> sqlx::Result<()> {
        let Some(build) = builds::by_id(&mut *self.tx.connection(), id).await? else {
            return Ok(());
        };
        let Some(shared) = build.shared_build_id else {
            return Ok(());
        };
        let Some(source) = builds::by_id(&mut *self.tx.connection(), shared).await? else {
            return Ok(());
        };
        if let Some(attempt) = source.packages_attempt_id
            && builds::accept_packages(&mut self.tx, id, attempt, &source.version).await?
        {
            self.effects.publish.push(id);
        }
        Ok(())
    }

    /// An attempt ended without packages. Failures that are no fault of the package are tried again.
    pub(crate) async fn failed(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
        kind: FailureKind,
        message: &str,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Failed;
        if !attempts::finish(&mut self.tx, attempt.id, status, Some(kind), Some(message)).await? {
            return Ok(false);
        }
        let event = format!("attempt.failed.{kind}");
        self.record(build, Some(attempt.id), &event, Some(message))
            .await?;
        match kind {
            // A build whose cancellation was lifted before the worker noticed is tried again, too.
            FailureKind::Infrastructure | FailureKind::Cancelled => {
                self.try_again(build, attempt.id, message).await?;
            }
            FailureKind::Package | FailureKind::Timeout => {
                self.give_up(build, attempt.id, BuildStatus::Failed, message)
                    .await?;
            }
        }
        Ok(true)
    }

    /// The worker of an attempt was not heard of in time.
    pub(crate) async fn lost(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
    ) -> sqlx::Result<bool> {
        let message = format!("worker {} was not heard of again", attempt.worker);
        let status = AttemptStatus::Lost;
        if !attempts::finish(&mut self.tx, attempt.id, status, None, Some(&message)).await? {
            return Ok(false);
        }
        self.record(build, Some(attempt.id), "attempt.lost", Some(&message))
            .await?;
        self.try_again(build, attempt.id, &message).await?;
        Ok(true)
    }

    async fn try_again(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        message: &str,
    ) -> sqlx::Result<()> {
        let iteration = iterations::by_id(&mut *self.tx.connection(), build.iteration_id).await?;
        let namespace = namespaces::by_id(&mut *self.tx.connection(), build.namespace_id).await?;
        let is_held = namespace.is_some_and(|namespace| namespace.held_at.is_some());
        if iteration.status.is_final() || is_held {
            return self
                .give_up(build, attempt, BuildStatus::Cancelled, message)
                .await;
        }
        let failures = attempts::count_infrastructure(&mut self.tx, build.id).await?;
        if failures > MAX_INFRASTRUCTURE_FAILURES {
            let message = format!("given up after {failures} tries: {message}");
            return self
                .give_up(build, attempt, BuildStatus::Failed, &message)
                .await;
        }
        let not_before = now() + pause_ms(failures);
        if builds::requeue(&mut self.tx, build.id, Some(not_before), message).await? {
            self.record(build, Some(attempt), "build.ready", Some(message))
                .await?;
            self.effects.ready = true;
        }
        Ok(())
    }

    async fn give_up(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        status: BuildStatus,
        message: &str,
    ) -> sqlx::Result<()> {
        if builds::end_without_packages(&mut self.tx, build.id, status, message).await? {
            let kind = format!("build.{status}");
            self.record(build, Some(attempt), &kind, Some(message))
                .await?;
            // A later iteration that waited for these packages makes them itself.
            let ready = builds::release_heirs(&mut self.tx, build.id, build.iteration_id).await?;
            self.effects.ready |= ready > 0;
            self.settle(build.namespace_id, build.iteration_id).await?;
        }
        Ok(())
    }

    /// Ends the iteration when nothing in it can move any more.
    async fn settle(&mut self, namespace: NamespaceId, iteration: IterationId) -> sqlx::Result<()> {
        let remaining = builds::remaining(&mut self.tx, iteration).await?;
        if remaining.active > 0 {
            return Ok(());
        }
        let status = if remaining.unfinished == 0 {
            IterationStatus::Done
        } else if remaining.failed > 0 {
            IterationStatus::Failed
        } else {
            IterationStatus::Cancelled
        };
        if iterations::finish(&mut self.tx, iteration, status).await? {
            let kind = format!("iteration.{status}");
            self.record_iteration(namespace, iteration, &kind, None)
                .await?;
        }
        Ok(())
    }

    async fn record_iteration(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
        kind: &str,
        message: Option<&str>,
    ) -> sqlx::Result<()> {
        let event = NewEvent {
            namespace,
            iteration: Some(iteration),
            build: None,
            attempt: None,
            kind,
            message,
        };
        events::insert(&mut self.tx, &event).await?;
        self.effects.namespaces.insert(namespace);
        Ok(())
    }
}

/// The pause before the next try after this many infrastructure failures. A single lost worker
/// costs nothing but the lease.
fn pause_ms(failures: i64) -> i64 {
    match u32::try_from(failures) {
        Ok(0 | 1) | Err(_) => 0,
        Ok(failures) => FIRST_PAUSE_MS
            .saturating_mul(1_i64 << (failures - 2).min(20))
            .min(MAX_PAUSE_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_maximum() {
        assert_eq!([0, 1, 2, 3, 4].map(pause_ms), [0, 0, 2_000, 4_000, 8_000]);
        assert_eq!(pause_ms(100), MAX_PAUSE_MS);
    }
}

//! The transitions of builds, attempts and iterations. Each is a guarded statement that records its
//! event in the same transaction and notes in [`Effects`] who has to be told after the commit.

use std::collections::{BTreeMap, HashMap, HashSet};

use buildbtw_model::{
    AttemptId, AttemptStatus, BuildId, BuildStatus, FailureKind, IterationStatus, PackageVersion,
    Pkgbase,
};

use crate::changes::Effects;
use crate::db::attempts::{AttemptRow, NewAttempt};
use crate::db::builds::{self, BuildRow};
use crate::db::events::{self, BuildEvent, NewEvent};
use crate::db::iterations::IterationRow;
use crate::db::{
    IterationId, NamespaceId, WriteTransaction, attempts, iterations, linked_packages, namespaces,
    now,
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

    /// Ends it without changes, once what it has seen of others is durable: see [`WriteTransaction::undo`].
    pub(crate) async fn undo(self) -> sqlx::Result<()> {
        self.tx.undo().await
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
        self.effects.stop = true;
        self.effects.ended.push(old.id);
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
        self.effects.stop = true;
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

    /// `ready -> dispatched`: gives builds to workers that wait, each to the one it is paired with.
    /// Returns the attempts made; a build that is not ready any more is left out.
    pub(crate) async fn dispatched<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = NewAttempt<'a>>,
        lease_expires_at: i64,
    ) -> sqlx::Result<Vec<(NewAttempt<'a>, BuildRow)>> {
        let mut attempts: Vec<_> = pairs.into_iter().collect();
        let wanted: Vec<_> = attempts.iter().map(|attempt| attempt.build).collect();
        let ready: HashSet<_> = builds::dispatch(&mut self.tx, &wanted)
            .await?
            .into_iter()
            .collect();
        attempts.retain(|attempt| ready.contains(&attempt.build));
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        attempts::insert(&mut self.tx, &attempts, lease_expires_at).await?;
        let given: Vec<_> = attempts.iter().map(|attempt| attempt.build).collect();
        let mut rows: HashMap<_, _> = self.builds(&given).await?;
        self.record_builds(rows.values(), &given, BuildEvent::Dispatched)
            .await?;
        self.effects.leases = true;
        Ok(attempts
            .into_iter()
            .filter_map(|attempt| {
                let row = rows.remove(&attempt.build)?;
                Some((attempt, row))
            })
            .collect())
    }

    async fn builds(&mut self, ids: &[BuildId]) -> sqlx::Result<HashMap<BuildId, BuildRow>> {
        let rows = builds::by_ids(&mut *self.tx.connection(), ids).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    async fn record_builds<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a BuildRow>,
        order: &[BuildId],
        event: BuildEvent,
    ) -> sqlx::Result<()> {
        events::insert_for_builds(&mut self.tx, order, event).await?;
        let namespaces = rows.into_iter().map(|row| row.namespace_id);
        self.effects.namespaces.extend(namespaces);
        Ok(())
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
        linked_packages::remember(&mut self.tx, attempt).await?;
        self.record(build, Some(attempt), "attempt.succeeded", None)
            .await?;
        Ok(true)
    }

    /// `-> built` or `reused`: the repository of these builds lists their packages, so dependents may
    /// go on.
    pub(crate) async fn published(&mut self, group: &[BuildRow]) -> sqlx::Result<()> {
        let ids: Vec<_> = group.iter().map(|build| build.id).collect();
        let completed = builds::complete(&mut self.tx, &ids).await?;
        if completed.is_empty() {
            return Ok(());
        }
        self.record_builds(group, &completed, BuildEvent::Completed)
            .await?;
        let unblocked = builds::unblock_dependents(&mut self.tx, &completed).await?;
        let (shared, ready): (Vec<_>, Vec<_>) = unblocked
            .into_iter()
            .partition(|build| build.shared_build_id.is_some());
        if !ready.is_empty() {
            let ready: Vec<_> = ready.into_iter().map(|build| build.id).collect();
            let rows = self.builds(&ready).await?;
            self.record_builds(rows.values(), &ready, BuildEvent::Ready)
                .await?;
            self.effects.ready = true;
        }
        for build in shared {
            self.share(build.id).await?;
        }
        let iterations: BTreeMap<_, _> = group
            .iter()
            .map(|build| (build.iteration_id, build.namespace_id))
            .collect();
        for (iteration, namespace) in iterations {
            self.settle(namespace, iteration).await?;
        }
        Ok(())
    }

    /// Gives a build of another architecture the packages that were built once for all.
    async fn share(&mut self, id: BuildId) -> sqlx::Result<()> {
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

    /// An attempt ended without packages, and trying again would not help: somebody has to do
    /// something first.
    pub(crate) async fn failed_for_good(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        kind: FailureKind,
        message: &str,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Failed;
        if !attempts::finish(&mut self.tx, attempt, status, Some(kind), Some(message)).await? {
            return Ok(false);
        }
        let event = format!("attempt.failed.{kind}");
        self.record(build, Some(attempt), &event, Some(message))
            .await?;
        self.give_up(build, attempt, BuildStatus::Failed, message)
            .await?;
        Ok(true)
    }

    /// Another job of the same pipeline takes the place of the one that works on an attempt.
    pub(crate) async fn replaced(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
    ) -> sqlx::Result<bool> {
        let message = "the job was started again in GitLab";
        let status = AttemptStatus::Lost;
        if !attempts::finish(&mut self.tx, attempt, status, None, Some(message)).await? {
            return Ok(false);
        }
        self.record(build, Some(attempt), "attempt.lost", Some(message))
            .await?;
        self.try_again(build, attempt, message).await?;
        Ok(true)
    }

    /// A build that ended without packages is to be tried once more, right now.
    pub(crate) async fn retried_in_gitlab(&mut self, build: &BuildRow) -> sqlx::Result<bool> {
        if !builds::retry_one(&mut self.tx, build.id).await? {
            return Ok(false);
        }
        self.record(build, None, "build.ready", Some("retried in GitLab"))
            .await?;
        iterations::reopen(&mut self.tx, build.iteration_id).await?;
        Ok(true)
    }

    /// The worker of an attempt was not heard of in time.
    pub(crate) async fn lost(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
        message: &str,
    ) -> sqlx::Result<bool> {
        let status = AttemptStatus::Lost;
        if !attempts::finish(&mut self.tx, attempt.id, status, None, Some(message)).await? {
            return Ok(false);
        }
        self.record(build, Some(attempt.id), "attempt.lost", Some(message))
            .await?;
        self.effects.stop = true;
        self.try_again(build, attempt.id, message).await?;
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
        if builds::is_moving(&mut self.tx, iteration).await? {
            return Ok(());
        }
        let unfinished = builds::unfinished(&mut self.tx, iteration).await?;
        let status = if unfinished.all == 0 {
            IterationStatus::Done
        } else if unfinished.failed > 0 {
            IterationStatus::Failed
        } else {
            IterationStatus::Cancelled
        };
        if iterations::finish(&mut self.tx, iteration, status).await? {
            self.effects.ended.push(iteration);
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
    fn doubles_backoff_up_to_a_maximum() {
        assert_eq!([0, 1, 2, 3, 4].map(pause_ms), [0, 0, 2_000, 4_000, 8_000]);
        assert_eq!(pause_ms(100), MAX_PAUSE_MS);
    }
}

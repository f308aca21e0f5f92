//! The transitions of namespaces and iterations.

use buildbtw_model::{ActivityKind, EventKind, IterationCause, IterationStatus, Priority};

use crate::db::iterations::IterationRow;
use crate::db::{IterationId, NamespaceId, attempts, builds, iterations, namespaces};

use super::Transition;

impl Transition {
    /// Records that an iteration was planned.
    pub(crate) async fn record_planned(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
        causes: &[IterationCause],
    ) -> sqlx::Result<()> {
        self.effects.ready = true;
        let activity = match causes {
            [IterationCause::Created, ..] => ActivityKind::Created,
            [IterationCause::Edited { .. }, ..] => ActivityKind::Edited,
            _ => ActivityKind::Planned,
        };
        let message = IterationCause::describe(causes);
        let message = Some(message.as_str());
        self.record_activity(iteration, activity, message).await?;
        let kind = EventKind::IterationPlanned;
        self.record_iteration(namespace, iteration, kind, message)
            .await
    }

    /// Changes the priority of a namespace. Returns false when that changes nothing.
    pub(crate) async fn prioritize(
        &mut self,
        newest: &IterationRow,
        priority: Priority,
        reason: Option<&str>,
    ) -> sqlx::Result<bool> {
        let namespace = newest.namespace_id;
        if !namespaces::set_priority(&mut self.tx, namespace, priority).await? {
            return Ok(false);
        }
        self.record_priority(namespace, newest.id, priority, reason)
            .await?;
        Ok(true)
    }

    /// Records the priority that a namespace got.
    pub(crate) async fn record_priority(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
        priority: Priority,
        reason: Option<&str>,
    ) -> sqlx::Result<()> {
        let message = match reason {
            Some(reason) => format!("{priority}: {reason}"),
            None => priority.to_string(),
        };
        let kind = EventKind::NamespacePrioritized;
        self.record_iteration(namespace, iteration, kind, Some(&message))
            .await
    }

    /// Records that a number of builds was retried on request.
    pub(crate) async fn record_retry(
        &mut self,
        newest: &IterationRow,
        message: &str,
    ) -> sqlx::Result<()> {
        self.record_activity(newest.id, ActivityKind::Retried, Some(message))
            .await
    }

    /// Supersedes an iteration, which then dispatches no more builds. Attempts continue if a build of the new iteration
    /// waits for them, and are cancelled otherwise.
    pub(crate) async fn supersede(&mut self, old: &IterationRow, by: u32) -> sqlx::Result<()> {
        iterations::supersede(&mut self.tx, old.id, by).await?;
        builds::cancel_unstarted(
            &mut self.tx,
            old.id,
            &format!("superseded by iteration {by}"),
        )
        .await?;
        attempts::cancel_unshared(&mut self.tx, old.id).await?;
        self.effects.stop = true;
        self.effects.ended_iterations.push(old.id);
        self.record_iteration(
            old.namespace_id,
            old.id,
            EventKind::IterationSuperseded,
            None,
        )
        .await
    }

    /// Holds a namespace: cancels its running attempts and all builds that have not started.
    pub(crate) async fn hold(&mut self, newest: &IterationRow) -> sqlx::Result<()> {
        attempts::request_cancel(&mut self.tx, newest.namespace_id, true).await?;
        self.effects.stop = true;
        builds::cancel_unstarted(&mut self.tx, newest.id, "cancelled").await?;
        self.record_iteration(
            newest.namespace_id,
            newest.id,
            EventKind::NamespaceCancelled,
            None,
        )
        .await?;
        self.settle(newest.namespace_id, newest.id).await
    }

    /// Resumes a namespace: its cancelled builds wait or are ready again.
    pub(crate) async fn resume(&mut self, newest: &IterationRow) -> sqlx::Result<()> {
        attempts::request_cancel(&mut self.tx, newest.namespace_id, false).await?;
        self.record_iteration(
            newest.namespace_id,
            newest.id,
            EventKind::NamespaceResumed,
            None,
        )
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

    /// Ends the iteration when none of its builds can progress.
    pub(super) async fn settle(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
    ) -> sqlx::Result<()> {
        if builds::can_progress(&mut self.tx, iteration).await? {
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
            self.effects.ended_iterations.push(iteration);
            let kind = EventKind::Iteration(status);
            self.record_iteration(namespace, iteration, kind, None)
                .await?;
        }
        Ok(())
    }
}

//! The transitions of namespaces, iterations, builds and attempts, by file. Each is a guarded statement that records
//! its event in the same transaction, and adds to [`Effects`] what has to be notified after the commit.

mod acceptance;
mod attempts;
mod builds;
mod iterations;
mod memory;
mod pipelines;

use std::collections::HashMap;

use buildbtw_model::{ActivityKind, AttemptId, BuildId, EventKind, Explanation};
use sqlx::SqliteConnection;

use crate::changes::Effects;
use crate::db::activity;
use crate::db::builds::BuildRow;
use crate::db::events::{self, BuildEvent, NewEvent};
use crate::db::{IterationId, NamespaceId, WriteTransaction};
use crate::principal::Principal;
use crate::time::Millis;

pub(crate) use acceptance::Acceptance;
pub(crate) use builds::DispatchedBuild;
pub(crate) use pipelines::JobAssignment;

/// A transaction that changes states, with its effects. What accompanies the transitions is read and written before the
/// first of them, so that nothing else reaches the transaction afterwards.
pub(crate) struct Transition {
    tx: WriteTransaction,
    effects: Effects,
    /// The name of the token that requested it.
    actor: Option<String>,
}

impl Transition {
    /// Continues a transaction with transitions.
    pub(crate) fn of(tx: WriteTransaction) -> Self {
        Self {
            tx,
            effects: Effects::default(),
            actor: None,
        }
    }

    /// Records in events and activities who requested the transitions.
    pub(crate) fn by(mut self, principal: Option<&Principal>) -> Self {
        self.actor = principal.map(|principal| principal.name.clone());
        self
    }

    /// Returns the current time.
    fn now(&self) -> Millis {
        self.tx.now()
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        self.tx.connection()
    }

    /// Notifies the actor that stops attempts, once this is committed.
    pub(crate) fn stop_attempts(&mut self) {
        self.effects.stop = true;
    }

    /// Has the packages of these builds published, once this is committed.
    pub(crate) fn publish(&mut self, builds: impl IntoIterator<Item = BuildId>) {
        self.effects.publish.extend(builds);
    }

    /// Makes the changes durable, and returns the effects to announce.
    pub(crate) async fn commit(self) -> sqlx::Result<Effects> {
        self.tx.commit().await?;
        Ok(self.effects)
    }

    /// Rolls back, and waits until the changes it has read are durable: see [`WriteTransaction::undo`].
    pub(crate) async fn undo(self) -> sqlx::Result<()> {
        self.tx.undo().await
    }

    /// Records an event of a build.
    async fn record(
        &mut self,
        build: &BuildRow,
        attempt: Option<AttemptId>,
        kind: EventKind,
        message: Option<&str>,
    ) -> sqlx::Result<()> {
        self.record_with_hint(build, attempt, kind, message, None)
            .await
    }

    /// Records why something failed.
    async fn record_failure(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        kind: EventKind,
        explanation: &Explanation,
    ) -> sqlx::Result<()> {
        let message = explanation.message.as_str();
        let hint = explanation.hint.as_deref();
        self.record_with_hint(build, Some(attempt), kind, Some(message), hint)
            .await
    }

    async fn record_with_hint(
        &mut self,
        build: &BuildRow,
        attempt: Option<AttemptId>,
        kind: EventKind,
        message: Option<&str>,
        hint: Option<&str>,
    ) -> sqlx::Result<()> {
        let event = NewEvent {
            namespace: build.namespace_id,
            iteration: Some(build.iteration_id),
            build: Some(build.id),
            attempt,
            kind,
            message,
            hint,
            actor: self.actor.as_deref(),
        };
        events::insert(&mut self.tx, &event).await?;
        self.effects.namespaces.insert(build.namespace_id);
        Ok(())
    }

    /// Records the same event of several builds of these namespaces, in the given order.
    async fn record_builds(
        &mut self,
        namespaces: impl IntoIterator<Item = NamespaceId>,
        order: &[BuildId],
        event: BuildEvent,
    ) -> sqlx::Result<()> {
        events::insert_for_builds(&mut self.tx, order, event).await?;
        self.effects.namespaces.extend(namespaces);
        Ok(())
    }

    /// Records an event of an iteration.
    async fn record_iteration(
        &mut self,
        namespace: NamespaceId,
        iteration: IterationId,
        kind: EventKind,
        message: Option<&str>,
    ) -> sqlx::Result<()> {
        let event = NewEvent {
            namespace,
            iteration: Some(iteration),
            build: None,
            attempt: None,
            kind,
            message,
            hint: None,
            actor: self.actor.as_deref(),
        };
        events::insert(&mut self.tx, &event).await?;
        self.effects.namespaces.insert(namespace);
        if let Some(activity) = ActivityKind::of_event(&event.kind) {
            self.record_activity(iteration, activity, message).await?;
        }
        Ok(())
    }

    /// Records an activity: what was requested, or how an iteration ended.
    async fn record_activity(
        &mut self,
        iteration: IterationId,
        kind: ActivityKind,
        message: Option<&str>,
    ) -> sqlx::Result<()> {
        let actor = self.actor.as_deref();
        activity::insert_of_iteration(&mut self.tx, iteration, kind, actor, message).await
    }

    /// Returns the rows of builds, by id.
    async fn builds(&mut self, ids: &[BuildId]) -> sqlx::Result<HashMap<BuildId, BuildRow>> {
        let rows = crate::db::builds::by_ids(self.tx.connection(), ids).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

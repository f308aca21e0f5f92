//! The transitions of namespaces, iterations, builds and attempts, one file each. Each is a guarded statement that
//! records its event in the same transaction and notes in [`Effects`] who has to be told after the commit.

mod attempts;
mod builds;
mod iterations;

use std::collections::HashMap;

use buildbtw_model::{AttemptId, BuildId, EventKind};
use sqlx::SqliteConnection;

use crate::changes::Effects;
use crate::db::builds::BuildRow;
use crate::db::events::{self, BuildEvent, NewEvent};
use crate::db::{Database, IterationId, NamespaceId, WriteTransaction};
use crate::time::Clock;

/// A transaction with the effects it will have.
pub(crate) struct Transition {
    tx: WriteTransaction,
    effects: Effects,
    clock: Clock,
}

impl Transition {
    pub(crate) async fn begin(database: &Database, clock: &Clock) -> sqlx::Result<Self> {
        Ok(Self {
            tx: database.write().await?,
            effects: Effects::default(),
            clock: clock.clone(),
        })
    }

    /// The transaction, for what belongs to a transition and is not one itself.
    pub(crate) fn tx(&mut self) -> &mut WriteTransaction {
        &mut self.tx
    }

    /// The connection of the transaction, for reading what it sees.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        self.tx.connection()
    }

    /// Has the attempts looked after that are to stop, once this is committed.
    pub(crate) fn stop_attempts(&mut self) {
        self.effects.stop = true;
    }

    /// Has the time of the next lease to expire computed anew, once this is committed.
    pub(crate) fn change_leases(&mut self) {
        self.effects.leases = true;
    }

    /// Has the packages of these builds published, once this is committed.
    pub(crate) fn publish(&mut self, builds: impl IntoIterator<Item = BuildId>) {
        self.effects.publish.extend(builds);
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

    /// Records what happened to a build.
    async fn record(
        &mut self,
        build: &BuildRow,
        attempt: Option<AttemptId>,
        kind: EventKind,
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

    /// Records what happened to builds at once, in this order.
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

    /// Records what happened to an iteration.
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
        };
        events::insert(&mut self.tx, &event).await?;
        self.effects.namespaces.insert(namespace);
        Ok(())
    }

    /// The rows of builds, by number.
    async fn builds(&mut self, ids: &[BuildId]) -> sqlx::Result<HashMap<BuildId, BuildRow>> {
        let rows = crate::db::builds::by_ids(self.tx.connection(), ids).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

//! Follows the events of a namespace.

use buildbtw_model::api::Event;
use buildbtw_model::{EventId, NamespaceName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::changes::Changes;
use crate::db::events::{self, EventRow};
use crate::db::{Database, NamespaceId};
use crate::error::Error;

use super::find::find_namespace;

/// The number of events read at once.
const BATCH: i64 = 500;

/// A follower of the events of a namespace.
pub struct EventFollower {
    database: Database,
    shutdown: CancellationToken,
    namespace: NamespaceId,
    last: EventId,
    changes: watch::Receiver<u64>,
    /// Events that were read but not returned yet, the next one last.
    pending: Vec<Event>,
}

impl EventFollower {
    /// Starts to follow a namespace after the event with this number; without one, from now on.
    ///
    /// # Errors
    /// When there is no such namespace.
    pub async fn begin(
        database: &Database,
        changes: &Changes,
        shutdown: &CancellationToken,
        name: &NamespaceName,
        after: Option<EventId>,
    ) -> Result<Self, Error> {
        let namespace = find_namespace(database, name).await?.id;
        let changes = changes.subscribe(namespace);
        let last = match after {
            Some(number) => number,
            None => events::last(database.read(), namespace).await?,
        };
        Ok(Self {
            database: database.clone(),
            shutdown: shutdown.clone(),
            namespace,
            last,
            changes,
            pending: Vec::new(),
        })
    }

    /// Waits for the next event; `None` when the server shuts down or the database cannot be read.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop() {
                self.last = event.id;
                return Some(event);
            }
            self.changes.mark_unchanged();
            let reader = self.database.read();
            match events::after(reader, self.namespace, self.last, BATCH).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => {
                    self.pending = rows.into_iter().rev().map(event).collect();
                    continue;
                }
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot read events");
                    return None;
                }
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = self.shutdown.cancelled() => return None,
            }
        }
    }
}

fn event(row: EventRow) -> Event {
    Event {
        id: row.id,
        kind: row.kind,
        iteration: row.iteration,
        build: row.build,
        pkgbase: row.pkgbase,
        architecture: row.architecture,
        attempt: row.attempt,
        message: row.message,
        hint: row.hint,
        at: row.at.into(),
    }
}

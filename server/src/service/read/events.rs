//! What happened in a namespace.

use buildbtw_model::api::Event;

use crate::db::events::{self, EventRow};
use crate::db::{Database, NamespaceId};
use crate::error::Error;

/// The number of the last event of a namespace.
///
/// # Errors
/// When the database cannot be read.
pub async fn last_event(database: &Database, namespace: NamespaceId) -> Result<i64, Error> {
    Ok(events::last(database.read(), namespace).await?)
}

/// Up to `limit` events of a namespace after a number.
///
/// # Errors
/// When the database cannot be read.
pub async fn events_after(
    database: &Database,
    namespace: NamespaceId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = events::after(database.read(), namespace, after, limit).await?;
    Ok(rows.into_iter().map(event).collect())
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
        at: row.at.into(),
    }
}

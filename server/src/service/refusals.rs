//! Refusals: why namespaces could not be planned again when their sources changed, for their pages.

use buildbtw_model::EventKind;

use crate::changes::Effects;
use crate::db::events::{self, NewEvent};
use crate::db::{Database, IterationId, NamespaceId, WriteTransaction, iterations};
use crate::error::Error;
use crate::state::announcer::Announcer;

/// The maximum length of a reason.
const MAX_REASON: usize = 4_000;

/// Returns why a namespace cannot be planned again, while that is the case.
///
/// # Errors
/// When the database cannot be read.
pub async fn reason(database: &Database, namespace: NamespaceId) -> sqlx::Result<Option<String>> {
    let last = events::last_of_planning(database.read(), namespace).await?;
    Ok(last.and_then(|(kind, message)| message.filter(|_| kind == EventKind::IterationRefused)))
}

/// Records why no iteration could be planned after this one: once, however often it is retried, and not if another
/// request succeeded meanwhile.
pub(crate) async fn record(
    database: &Database,
    announcer: &Announcer,
    namespace: NamespaceId,
    iteration: IterationId,
    error: Error,
) -> Result<(), Error> {
    let problem = error.into_problem();
    let parts = [Some(problem.title), problem.detail, problem.hint];
    let reason = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let reason: String = reason.chars().take(MAX_REASON).collect();
    let mut tx = database.write().await?;
    let newest = iterations::newest(&mut *tx.connection(), namespace).await?;
    let last = events::last_of_planning(&mut *tx.connection(), namespace).await?;
    let is_known = last.is_some_and(|(kind, message)| {
        kind == EventKind::IterationRefused && message.as_deref() == Some(reason.as_str())
    });
    if is_known || newest.is_none_or(|newest| newest.id != iteration) {
        tx.undo().await?;
        return Ok(());
    }
    put(
        announcer,
        tx,
        namespace,
        EventKind::IterationRefused,
        Some(&reason),
    )
    .await
}

/// Records that the newest iteration is up to date, if the last attempt to plan was refused.
pub(super) async fn clear(
    database: &Database,
    announcer: &Announcer,
    namespace: NamespaceId,
) -> Result<(), Error> {
    if reason(database, namespace).await?.is_none() {
        return Ok(());
    }
    let tx = database.write().await?;
    put(announcer, tx, namespace, EventKind::IterationCurrent, None).await
}

async fn put(
    announcer: &Announcer,
    mut tx: WriteTransaction,
    namespace: NamespaceId,
    kind: EventKind,
    message: Option<&str>,
) -> Result<(), Error> {
    let event = NewEvent {
        namespace,
        iteration: None,
        build: None,
        attempt: None,
        kind,
        message,
        hint: None,
    };
    events::insert(&mut tx, &event).await?;
    tx.commit().await?;
    announcer.announce(Effects {
        namespaces: [namespace].into(),
        ..Effects::default()
    });
    Ok(())
}

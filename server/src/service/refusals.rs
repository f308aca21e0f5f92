//! Refusals: why namespaces could not be planned again when their sources changed, for their pages.

use buildbtw_model::EventKind;

use crate::changes::Effects;
use crate::db::events::{self, NewEvent, PlanningEvent};
use crate::db::{Database, IterationId, NamespaceId, iterations};
use crate::error::Error;
use crate::state::announcer::Announcer;

/// The maximum length of a reason.
const MAX_REASON: usize = 4_000;

/// Returns the event about why a namespace cannot be planned again, while that is the case.
///
/// # Errors
/// When the database cannot be read.
pub async fn current(
    database: &Database,
    namespace: NamespaceId,
) -> sqlx::Result<Option<PlanningEvent>> {
    let last = events::last_of_planning(database.read(), namespace).await?;
    Ok(last.filter(|last| last.kind == EventKind::IterationRefused))
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
    let is_known = last.is_some_and(|last| {
        last.kind == EventKind::IterationRefused && last.message.as_deref() == Some(reason.as_str())
    });
    if is_known || newest.is_none_or(|newest| newest.id != iteration) {
        tx.undo().await?;
        return Ok(());
    }
    events::insert_refusal(&mut tx, namespace, problem.kind, &reason).await?;
    tx.commit().await?;
    announce(announcer, namespace);
    Ok(())
}

/// Records that the newest iteration is up to date, if the last attempt to plan was refused.
pub(super) async fn clear(
    database: &Database,
    announcer: &Announcer,
    namespace: NamespaceId,
) -> Result<(), Error> {
    if current(database, namespace).await?.is_none() {
        return Ok(());
    }
    let mut tx = database.write().await?;
    let event = NewEvent {
        namespace,
        iteration: None,
        build: None,
        attempt: None,
        kind: EventKind::IterationCurrent,
        message: None,
        hint: None,
        actor: None,
    };
    events::insert(&mut tx, &event).await?;
    tx.commit().await?;
    announce(announcer, namespace);
    Ok(())
}

fn announce(announcer: &Announcer, namespace: NamespaceId) {
    announcer.announce(Effects {
        namespaces: [namespace].into(),
        ..Effects::default()
    });
}

//! Replans namespaces when their sources change. A moved origin leads to a new iteration immediately; changes of other
//! members are gathered first. Every new tree of a member counts, whatever it changes; a commit with a known tree
//! does not. A change that cannot affect a plan costs a lookup.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::Pkgbase;
use buildbtw_planner::IndexChange;
use tokio::time::Instant;

use crate::db::namespaces::NamespaceRow;
use crate::db::{NamespaceId, iterations, namespaces};
use crate::error::Error;
use crate::sources::SourceEvent;
use crate::state::parts::PlanningParts;

use super::new_iteration::{Trigger, new_iteration_after};
use super::refusals;

/// The pause before a retry after a transient failure of planning.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// Starts the gathering time of every namespace, as any source may have changed while nothing watched them.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn catch_up(parts: PlanningParts<'_>) -> Result<(), Error> {
    gather(parts, None).await
}

/// Replans the namespaces that an event of the sources concerns, now or after their gathering time.
///
/// # Errors
/// When the database cannot be read; the event should then be processed again.
pub(crate) async fn process_event(
    parts: PlanningParts<'_>,
    event: &SourceEvent,
) -> Result<(), Error> {
    match event {
        SourceEvent::Indexed(changes) => gather(parts, Some(changes)).await,
        SourceEvent::Touched(pkgbases) => check_touched(parts, pkgbases).await,
        SourceEvent::Resynced => check_all(parts).await,
        SourceEvent::ChangedDuringPlanning(namespace) => gather_for(parts, *namespace).await,
    }
}

/// Starts the gathering time of every namespace that changes may affect; `None` affects all.
async fn gather(parts: PlanningParts<'_>, changes: Option<&[IndexChange]>) -> Result<(), Error> {
    for namespace in namespaces::all(parts.database.read()).await? {
        let pause = if parts.replans.is_blocked(namespace.id) {
            Some(0)
        } else {
            namespace.follow_default_s
        };
        let (Some(seconds), None) = (pause, namespace.held_at) else {
            continue;
        };
        if changes.is_none_or(|changes| parts.replans.is_affected(namespace.id, changes)) {
            let at = Instant::now() + Duration::from_secs(seconds.into());
            parts.replans.unblock(namespace.id);
            parts.replans.add(namespace.id, at);
        }
    }
    Ok(())
}

/// Starts the gathering time of a namespace after unknown changes.
async fn gather_for(parts: PlanningParts<'_>, namespace: NamespaceId) -> Result<(), Error> {
    let found = namespaces::by_id(parts.database.read(), namespace).await?;
    if let Some(namespace) = found.filter(|namespace| namespace.held_at.is_none())
        && let Some(seconds) = namespace.follow_default_s
    {
        let at = Instant::now() + Duration::from_secs(seconds.into());
        parts.replans.add(namespace.id, at);
    }
    Ok(())
}

/// Replans the namespaces whose gathering time has ended.
///
/// # Errors
/// When the database cannot be read; those namespaces are due again later.
pub(crate) async fn replan_due(parts: PlanningParts<'_>) -> Result<(), Error> {
    let mut failed = Ok(());
    for id in parts.replans.take_due(Instant::now()) {
        match namespaces::by_id(parts.database.read(), id).await {
            Ok(Some(namespace)) => replan(parts, &namespace).await,
            // It was deleted meanwhile.
            Ok(None) => {}
            Err(error) => {
                parts.replans.add(id, Instant::now() + PAUSE_AFTER_ERROR);
                failed = Err(error);
            }
        }
    }
    failed?;
    Ok(())
}

async fn check_touched(
    parts: PlanningParts<'_>,
    pkgbases: &BTreeSet<Pkgbase>,
) -> Result<(), Error> {
    for pkgbase in pkgbases {
        for namespace in namespaces::with_origin(parts.database.read(), pkgbase).await? {
            check_origins(parts, &namespace).await?;
        }
    }
    Ok(())
}

async fn check_all(parts: PlanningParts<'_>) -> Result<(), Error> {
    for namespace in namespaces::all(parts.database.read()).await? {
        check_origins(parts, &namespace).await?;
    }
    Ok(())
}

/// Replans a namespace if a ref of its origins has other files than in its newest iteration.
async fn check_origins(parts: PlanningParts<'_>, namespace: &NamespaceRow) -> Result<(), Error> {
    let reader = parts.database.read();
    let Some(newest) = iterations::newest(reader, namespace.id).await? else {
        return Ok(());
    };
    if namespace.held_at.is_some() {
        // `resume` compares its sources.
        return Ok(());
    }
    for origin in iterations::fixed_origins(reader, newest.id).await? {
        match parts.sources.newer_commit(&origin).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                replan(parts, namespace).await;
                return Ok(());
            }
            Err(error) if error.is_temporary() => {
                parts
                    .replans
                    .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            }
            // A branch that was deleted after its merge does not end its iteration.
            Err(error) => {
                tracing::debug!(
                    namespace.name = namespace.name.as_str(),
                    origin = %origin.changeset,
                    error = error.to_string(),
                    "cannot resolve an origin"
                );
            }
        }
    }
    Ok(())
}

async fn replan(parts: PlanningParts<'_>, namespace: &NamespaceRow) {
    if namespace.held_at.is_some() {
        // `resume` compares its sources.
        return;
    }
    let before = match iterations::newest(parts.database.read(), namespace.id).await {
        Ok(Some(newest)) => newest,
        // It is being deleted.
        Ok(None) => return,
        Err(error) => {
            let error = error.to_string();
            tracing::error!(error, "cannot read the newest iteration of a namespace");
            parts
                .replans
                .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
    };
    let trigger = Trigger::SourcesChanged;
    if let Err(error) = new_iteration_after(parts, namespace, &before, trigger, None).await {
        tracing::warn!(
            namespace.name = namespace.name.as_str(),
            error = error.to_string(),
            "sources changed, but planning a new iteration failed"
        );
        // Only temporary failures are retried; a refusal stays until a source changes.
        if error.is_temporary() {
            parts
                .replans
                .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
        if error.is_broken_source() {
            parts.replans.block(namespace.id);
        }
        if let Err(error) = refusals::record(
            parts.database,
            parts.announcer,
            namespace.id,
            before.id,
            error,
        )
        .await
        {
            tracing::error!(
                error = error.to_string(),
                "cannot record why a namespace was not replanned"
            );
        }
    }
}

//! `cancel` and `resume`: hold and resume a namespace.

use buildbtw_model::api::{NamespaceDetail, ProblemKind};
use buildbtw_model::{IterationStatus, NamespaceName};

use crate::address::BaseUrl;
use crate::db::{iterations, namespaces};
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::state::parts::PlanningParts;

use super::new_iteration::{Trigger, catch_up, new_iteration_after};
use super::read::find::{find_namespace, no_iteration};
use super::read::namespaces::show_namespace;
use super::refusals;
use super::transitions::Transition;

/// Stops the running attempts of a namespace, and holds it. Repeating it changes nothing.
///
/// # Errors
/// When there is no such namespace, or it has nothing left to cancel.
pub async fn cancel(
    parts: PlanningParts<'_>,
    by: &Principal,
    server: &BaseUrl,
    name: &NamespaceName,
) -> Result<NamespaceDetail, Error> {
    let namespace = find_namespace(parts.database, name).await?;
    let mut tx = parts.database.write().await?;
    let newest = iterations::newest(tx.connection(), namespace.id).await?;
    let newest = newest.ok_or_else(|| no_iteration(name))?;
    if namespace.held_at.is_none() && newest.status == IterationStatus::Done {
        tx.undo().await?;
        return Err(nothing_to_cancel(name, newest.number));
    }
    let is_new = namespaces::hold(&mut tx, namespace.id, true, &by.name).await?;
    let mut transition = Transition::of(tx).by(Some(by));
    if is_new {
        transition.hold(&newest).await?;
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    show_namespace(parts.database, &parts.config.network, server, name).await
}

/// Creates the refusal to cancel a namespace whose newest iteration is done.
pub(super) fn nothing_to_cancel(name: &NamespaceName, iteration: u32) -> Error {
    let title = format!("`{name}` has nothing left to cancel: iteration {iteration} is done");
    Refusal::new(ProblemKind::Conflict, title)
        .hint(format!(
            "`buildbtw delete {name}` removes it, if its packages are no longer needed"
        ))
        .into()
}

/// Resumes a cancelled namespace with the current state of its sources.
///
/// # Errors
/// When there is no such namespace, or it is not cancelled.
pub async fn resume(
    parts: PlanningParts<'_>,
    by: &Principal,
    server: &BaseUrl,
    name: &NamespaceName,
) -> Result<NamespaceDetail, Error> {
    let namespace = find_namespace(parts.database, name).await?;
    // Plans below include commits pushed meanwhile; an index that lags behind would plan the old ones.
    catch_up(parts.database, parts.sources, &namespace, Vec::new()).await?;
    let mut tx = parts.database.write().await?;
    let newest = iterations::newest(tx.connection(), namespace.id).await?;
    let newest = newest.ok_or_else(|| no_iteration(name))?;
    let was_held = namespaces::hold(&mut tx, namespace.id, false, &by.name).await?;
    if !was_held && newest.status != IterationStatus::Cancelled {
        tx.undo().await?;
        return Err(Refusal::new(
            ProblemKind::Conflict,
            format!("`{name}` is not cancelled, it is {}", newest.status),
        )
        .hint(format!("`buildbtw retry {name}` retries failed builds"))
        .into());
    }
    let mut transition = Transition::of(tx).by(Some(by));
    transition.resume(&newest).await?;
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    // Changes of the sources led to no iteration while it was held.
    let trigger = Trigger::SourcesChanged;
    if let Err(error) = new_iteration_after(parts, &namespace, &newest, trigger, Some(by)).await {
        tracing::warn!(
            namespace.name = name.as_str(),
            error = error.to_string(),
            "cannot plan again; resumed with the previous plan"
        );
        if !error.is_temporary() {
            refusals::record(
                parts.database,
                parts.announcer,
                namespace.id,
                newest.id,
                error,
            )
            .await?;
        }
    }
    show_namespace(parts.database, &parts.config.network, server, name).await
}

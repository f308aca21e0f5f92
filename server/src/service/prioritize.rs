//! `prioritize`: changes which namespaces get workers first.

use buildbtw_model::api::{NamespaceDetail, ProblemKind, SetPriority};
use buildbtw_model::{NamespaceName, Priority};

use crate::address::BaseUrl;
use crate::db::iterations;
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::state::parts::PlanningParts;

use super::read::find::{find_namespace, no_iteration};
use super::read::namespaces::show_namespace;
use super::reason::one_line;
use super::transitions::Transition;

/// Changes the priority of a namespace, for its ready builds, too. Repeating it changes nothing.
///
/// # Errors
/// When there is no such namespace, the reason is too long, or only administrators may set the priority.
pub async fn prioritize(
    parts: PlanningParts<'_>,
    by: &Principal,
    server: &BaseUrl,
    name: &NamespaceName,
    request: &SetPriority,
) -> Result<NamespaceDetail, Error> {
    check_priority(by, request.priority)?;
    let reason = one_line(request.reason.as_deref())?;
    let namespace = find_namespace(parts.database, name).await?;
    let mut tx = parts.database.write().await?;
    let newest = iterations::newest(tx.connection(), namespace.id).await?;
    let newest = newest.ok_or_else(|| no_iteration(name))?;
    let mut transition = Transition::of(tx).by(Some(by));
    if transition
        .prioritize(&newest, request.priority, reason.as_deref())
        .await?
    {
        parts.announcer.announce(transition.commit().await?);
        tracing::info!(
            namespace.name = name.as_str(),
            priority = %request.priority,
            by = by.name,
            "changed priority"
        );
    } else {
        transition.undo().await?;
    }
    show_namespace(parts.database, &parts.config.network, server, name).await
}

/// Refuses a priority that only administrators may set.
pub(super) fn check_priority(by: &Principal, priority: Priority) -> Result<(), Error> {
    if priority != Priority::Urgent || by.is_admin() {
        return Ok(());
    }
    let title = format!(
        "the priority `{priority}` needs a token of scope `admin`; yours has scope `{}`",
        by.scope
    );
    Err(Refusal::new(ProblemKind::Forbidden, title)
        .hint("ask an admin, or use `high`, which needs none")
        .into())
}

//! All namespaces, and one of them with its iterations.

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{IterationDetail, NamespaceDetail, NamespaceSummary, Page};

use crate::address::BaseUrl;
use crate::db::namespaces::NamespaceRow;
use crate::db::{Database, NamespaceId, iterations, namespaces, packages};
use crate::error::Error;
use crate::network::NetworkSettings;
use crate::service::refusals;
use crate::state::parts::ReadParts;

use super::find::find_namespace;
use super::iteration::{iteration_summary, show_iteration};
use super::paging::{List, Paging};

/// Returns a page of the namespaces, the newest first: all, or those that tokens of a name created.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list_namespaces(
    database: &Database,
    network: &NetworkSettings,
    created_by: Option<&str>,
    paging: &Paging,
) -> Result<Page<NamespaceSummary>, Error> {
    let list = List::Namespaces.of(created_by);
    let before = paging.number(&list)?.unwrap_or(i64::MAX);
    let limit = paging.rows()?;
    let mut rows =
        namespaces::page(database.read(), created_by, NamespaceId(before), limit).await?;
    let next = paging.cut(&list, &mut rows, |row| row.id.0.to_string())?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(namespace_summary(database, network, row).await?);
    }
    Ok(Page { items, next })
}

async fn namespace_summary(
    database: &Database,
    network: &NetworkSettings,
    row: NamespaceRow,
) -> Result<NamespaceSummary, Error> {
    let reader = database.read();
    let newest = iterations::newest(reader, row.id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("namespace {} has no iteration", row.name))?;
    Ok(NamespaceSummary {
        changesets: namespaces::origins(reader, row.id).await?,
        name: row.name,
        scope: row.scope,
        network: network.effective(row.network),
        held: row.held_at.is_some(),
        held_by: row.held_by,
        priority: row.priority,
        created_at: row.created_at.into(),
        created_by: row.created_by,
        iteration: iteration_summary(database, &newest).await?.0,
    })
}

/// The content of a namespace's page.
pub struct NamespaceContent {
    /// The namespace.
    pub namespace: NamespaceDetail,
    /// The shown iteration.
    pub iteration: IterationDetail,
}

/// Returns a namespace at an iteration, or at the newest one.
///
/// # Errors
/// When there is no such namespace or iteration.
pub async fn namespace_page(
    parts: ReadParts<'_>,
    server: &BaseUrl,
    name: &NamespaceName,
    number: Option<u32>,
) -> Result<NamespaceContent, Error> {
    let (database, shortage) = (parts.database, parts.disk.current_shortage());
    Ok(NamespaceContent {
        namespace: show_namespace(database, &parts.config.network, server, name).await?,
        iteration: show_iteration(database, parts.pipelines, shortage, server, name, number)
            .await?,
    })
}

/// Returns a namespace with its iterations.
///
/// # Errors
/// When there is no namespace with this name.
pub async fn show_namespace(
    database: &Database,
    network: &NetworkSettings,
    server: &BaseUrl,
    name: &NamespaceName,
) -> Result<NamespaceDetail, Error> {
    let row = find_namespace(database, name).await?;
    let mut all = Vec::new();
    for iteration in iterations::of_namespace(database.read(), row.id).await? {
        all.push(iteration_summary(database, &iteration).await?.0);
    }
    let refusal = refusals::current(database, row.id).await?;
    let (include, exclude) = namespaces::patterns(database.read(), row.id).await?;
    Ok(NamespaceDetail {
        include,
        exclude,
        web_url: format!("{server}/namespaces/{}", row.name),
        size: packages::size_of_namespace(database.read(), row.id).await?,
        replan_error_kind: refusal.as_ref().and_then(|refusal| refusal.problem_kind),
        replan_error: refusal.and_then(|refusal| refusal.message),
        summary: namespace_summary(database, network, row).await?,
        iterations: all,
    })
}

//! Receives a webhook: stores it and responds; it is processed afterwards.

use buildbtw_gitlab::webhook::Webhook;

use crate::db::Database;
use crate::db::source_repositories;
use crate::db::webhook_deliveries::{self, DeliveryRow};
use crate::error::Error;
use crate::sources::Sources;
use crate::state::pipelines::Pipelines;

/// The result of receiving a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was stored, now or before.
    Stored,
    /// It does not concern this server.
    Ignored,
}

/// Stores a webhook from a verified sender. `id` is the sender's; a repeated delivery has the same.
///
/// # Errors
/// When the database cannot be written: the sender should then repeat the delivery.
pub async fn receive_webhook(
    database: &Database,
    sources: &Sources,
    on_gitlab: Option<&Pipelines>,
    group: &str,
    id: String,
    webhook: &Webhook,
) -> Result<Received, Error> {
    if !is_relevant(database, group, webhook).await? {
        return Ok(Received::Ignored);
    }
    let row = DeliveryRow {
        id,
        kind: webhook.kind,
        project_id: webhook.project_id,
    };
    let mut tx = database.write().await?;
    let is_new = webhook_deliveries::insert(&mut tx, &row).await?;
    tx.commit().await?;
    if is_new {
        tracing::debug!(
            webhook.kind = row.kind.as_str(),
            gitlab.project = row.project_id.0,
            "received webhook"
        );
        if let Some(pipelines) = on_gitlab.filter(|_| webhook.kind.is_of_pipelines()) {
            // If a crash loses this wake-up, the next tick finds the webhook.
            pipelines.pipelines_changed(webhook.project_id);
        }
        sources.wake_for_webhook();
    }
    Ok(Received::Stored)
}

/// Returns whether it concerns a project of the group. A system hook sends those of the whole GitLab instance.
async fn is_relevant(database: &Database, group: &str, webhook: &Webhook) -> Result<bool, Error> {
    let Some(path) = &webhook.path else {
        return Ok(true);
    };
    let below = path
        .get(..group.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(group))
        && path.as_bytes().get(group.len()) == Some(&b'/');
    if below {
        return Ok(true);
    }
    // The project may have been moved out of the group.
    let known = source_repositories::of_project(database.read(), webhook.project_id).await?;
    Ok(known.is_some())
}

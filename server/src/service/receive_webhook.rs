//! Takes in a webhook: stores it and answers; what it leads to happens afterwards.

use buildbtw_gitlab::webhook::Webhook;

use crate::db::Database;
use crate::db::source_repositories;
use crate::db::webhook_deliveries::{self, DeliveryRow};
use crate::error::Error;
use crate::state::AppState;

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was stored, now or before.
    Stored,
    /// It is about nothing that concerns this server.
    Ignored,
}

/// Stores a webhook whose sender was checked. `id` is the sender's; a repetition has the same.
///
/// # Errors
/// When the database cannot be written: then the sender should send it again.
pub async fn receive_webhook(
    state: &AppState,
    id: String,
    webhook: &Webhook,
) -> Result<Received, Error> {
    let Some(config) = &state.config.webhook else {
        return Ok(Received::Ignored);
    };
    if !concerns(&state.database, &config.group, webhook).await? {
        return Ok(Received::Ignored);
    }
    let row = DeliveryRow {
        id,
        kind: webhook.kind,
        project_id: webhook.project_id,
        object_id: webhook.object_id,
    };
    let mut tx = state.database.write().await?;
    let is_new = webhook_deliveries::insert(&mut tx, &row).await?;
    tx.commit().await?;
    if is_new {
        tracing::debug!(
            webhook.kind = row.kind.as_str(),
            gitlab.project = row.project_id.0,
            "received webhook"
        );
        if let Some(pipelines) = state
            .pipelines
            .as_ref()
            .filter(|_| webhook.kind.is_of_pipelines())
        {
            // Lost with a crash, it is found by the next tick.
            pipelines.has_news(webhook.project_id);
        }
        state.sources.wake_for_webhook();
    }
    Ok(Received::Stored)
}

/// Whether it is about a project of the group. A hook may be one of the whole GitLab.
async fn concerns(database: &Database, group: &str, webhook: &Webhook) -> Result<bool, Error> {
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
    // It may have been moved out of the group.
    let known = source_repositories::of_project(database.read(), webhook.project_id).await?;
    Ok(known.is_some())
}

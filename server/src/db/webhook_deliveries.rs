//! Table `webhook_delivery`: webhooks until they are processed, and a while longer to recognize repeated deliveries.

use buildbtw_gitlab::webhook::WebhookKind;
use buildbtw_model::ProjectId;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{WriteTransaction, json_list};

/// A webhook.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// The sender's id of it; a repeated delivery has the same.
    pub id: String,
    /// Its kind.
    pub kind: WebhookKind,
    /// The project.
    pub project_id: ProjectId,
}

/// Stores a webhook. Returns whether it is new.
pub async fn insert(tx: &mut WriteTransaction, row: &DeliveryRow) -> sqlx::Result<bool> {
    let received_at = tx.now();
    let done = sqlx::query!(
        "insert into webhook_delivery (id, kind, project_id, received_at)
         values (?, ?, ?, ?) on conflict (id) do nothing",
        row.id,
        row.kind,
        row.project_id,
        received_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Returns up to `limit` webhooks that were not processed yet, oldest first.
pub async fn unprocessed(
    executor: impl SqliteExecutor<'_>,
    limit: i64,
) -> sqlx::Result<Vec<DeliveryRow>> {
    sqlx::query_as!(
        DeliveryRow,
        r#"select id, kind as "kind: WebhookKind", project_id as "project_id: ProjectId"
           from webhook_delivery where processed_at is null order by received_at, id limit ?"#,
        limit
    )
    .fetch_all(executor)
    .await
}

/// Marks webhooks as processed.
pub async fn mark_processed(tx: &mut WriteTransaction, ids: &[String]) -> sqlx::Result<()> {
    let now = tx.now();
    let ids = json_list(ids)?;
    sqlx::query!(
        "update webhook_delivery set processed_at = ? where id in (select value from json_each(?))",
        now,
        ids,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes the webhooks that were processed before a time.
pub async fn delete_processed_before(tx: &mut WriteTransaction, time: Millis) -> sqlx::Result<u64> {
    let done = sqlx::query!("delete from webhook_delivery where processed_at < ?", time)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

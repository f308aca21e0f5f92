//! Tables `iteration` and `iteration_change`. The inputs of a plan are in `inputs`.

mod inputs;

use buildbtw_model::api::{BuildCounts, IterationChange};
use buildbtw_model::{
    Architecture, BuildStatus, ChangeKind, CommitHash, IterationCause, IterationStatus,
    NamespaceName, Pkgbase,
};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use crate::time::Millis;

use super::{IterationId, NamespaceId, WriteTransaction};

pub use inputs::{FixedOrigin, base_digests, fixed_origins, insert_base, insert_origins, origins};

/// An iteration.
#[derive(Clone, Debug)]
pub struct IterationRow {
    /// Its id.
    pub id: IterationId,
    /// The namespace it belongs to.
    pub namespace_id: NamespaceId,
    /// That namespace's name.
    pub namespace: NamespaceName,
    /// 1, 2, 3 …
    pub number: u32,
    /// Its status.
    pub status: IterationStatus,
    /// Why it was created, human-readable.
    pub reason: String,
    /// Why it was created; empty for iterations of versions that did not record it.
    pub causes: Json<Vec<IterationCause>>,
    /// The number of the iteration that superseded it.
    pub superseded_by: Option<u32>,
    /// When it was planned.
    pub created_at: Millis,
    /// When its last build ended.
    pub finished_at: Option<Millis>,
}

macro_rules! select_iteration {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            IterationRow,
            r#"select iteration.id as "id!: IterationId", namespace_id as "namespace_id!: NamespaceId",
               namespace.name as "namespace!: NamespaceName", number as "number!: u32",
               status as "status!: IterationStatus", reason as "reason!",
               causes as "causes!: Json<Vec<IterationCause>>", superseded_by as "superseded_by: u32",
               iteration.created_at as "created_at!: Millis", finished_at as "finished_at: Millis"
               from iteration join namespace on namespace.id = iteration.namespace_id "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the iteration with this id.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<IterationRow> {
    select_iteration!("where iteration.id = ?", id)
        .fetch_one(executor)
        .await
}

/// Returns all iterations of a namespace, the newest first.
pub async fn of_namespace(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Vec<IterationRow>> {
    select_iteration!("where namespace_id = ? order by number desc", namespace)
        .fetch_all(executor)
        .await
}

/// Returns up to `limit` iterations of a namespace with a lower number than `before`, the newest first.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<IterationRow>> {
    select_iteration!(
        "where namespace_id = ? and number < ? order by number desc limit ?",
        namespace,
        before,
        limit
    )
    .fetch_all(executor)
    .await
}

/// Returns the iteration with this number.
pub async fn by_number(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
    number: u32,
) -> sqlx::Result<Option<IterationRow>> {
    select_iteration!("where namespace_id = ? and number = ?", namespace, number)
        .fetch_optional(executor)
        .await
}

/// Returns the newest iteration.
pub async fn newest(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Option<IterationRow>> {
    select_iteration!(
        "where namespace_id = ? order by number desc limit 1",
        namespace
    )
    .fetch_optional(executor)
    .await
}

/// Returns the newest iteration in which every build has packages.
pub async fn newest_done(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Option<IterationRow>> {
    select_iteration!(
        "where namespace_id = ? and status = 'done' order by number desc limit 1",
        namespace
    )
    .fetch_optional(executor)
    .await
}

/// Stores a new iteration under the next number.
pub async fn insert(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    causes: &[IterationCause],
) -> sqlx::Result<(IterationId, u32)> {
    let created_at = tx.now();
    let reason = IterationCause::describe(causes);
    let causes = Json(causes);
    let row = sqlx::query!(
        r#"insert into iteration (namespace_id, number, status, reason, causes, created_at)
           values (?1, (select coalesce(max(number), 0) + 1 from iteration where namespace_id = ?1),
                   'running', ?2, ?3, ?4)
           returning id as "id!: IterationId", number as "number!: u32""#,
        namespace,
        reason,
        causes,
        created_at,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.id, row.number))
}

/// Ends a running iteration. Returns false when it was not running.
pub async fn finish(
    tx: &mut WriteTransaction,
    id: IterationId,
    status: IterationStatus,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update iteration set status = ?, finished_at = ? where id = ? and status = 'running'",
        status,
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Reopens a failed or cancelled iteration. Returns false when it is running, done or superseded.
pub async fn reopen(tx: &mut WriteTransaction, id: IterationId) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update iteration set status = 'running', finished_at = null
         where id = ? and status in ('failed', 'cancelled') and superseded_by is null",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Removes an iteration with all its rows.
pub async fn delete(tx: &mut WriteTransaction, id: IterationId) -> sqlx::Result<bool> {
    let result = sqlx::query!("delete from iteration where id = ?", id)
        .execute(tx.connection())
        .await?;
    Ok(result.rows_affected() == 1)
}

/// Marks an iteration as superseded by a later one, and ends it.
pub async fn supersede(tx: &mut WriteTransaction, id: IterationId, by: u32) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update iteration set superseded_by = ?,
             finished_at = case when status = 'running' then ? else finished_at end,
             status = case when status = 'running' then 'cancelled' else status end
         where id = ?",
        by,
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Stores the changes since the previous iteration.
pub async fn insert_changes(
    tx: &mut WriteTransaction,
    id: IterationId,
    changes: &[IterationChange],
) -> sqlx::Result<()> {
    for (position, change) in (0_i64..).zip(changes) {
        sqlx::query!(
            "insert into iteration_change (iteration_id, position, architecture, pkgbase, stage, kind,
                 from_commit, to_commit)
             values (?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            position,
            change.architecture,
            change.pkgbase,
            change.stage,
            change.kind,
            change.from,
            change.to,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Returns the changes since the previous iteration.
pub async fn changes(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<Vec<IterationChange>> {
    let rows = sqlx::query!(
        r#"select architecture as "architecture: Architecture", pkgbase as "pkgbase: Pkgbase",
           stage as "stage: u32",
           kind as "kind: ChangeKind", from_commit as "from: CommitHash", to_commit as "to: CommitHash"
           from iteration_change where iteration_id = ? order by position"#,
        id,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| IterationChange {
            architecture: row.architecture,
            pkgbase: row.pkgbase,
            stage: row.stage,
            kind: row.kind,
            from: row.from,
            to: row.to,
        })
        .collect())
}

/// Counts the builds of an iteration by status, per architecture in the order of first appearance.
pub async fn counts(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<Vec<(Architecture, BuildCounts)>> {
    let rows = sqlx::query!(
        // A build with packages counts as done, even if its repository does not list them yet.
        r#"select architecture as "architecture!: Architecture",
           case when status = 'blocked' and packages_attempt_id is not null then 'reused'
               else status end as "status!: BuildStatus",
           count(*) as "count!: u64", min(id) as "first!: i64"
           from build where iteration_id = ? group by 1, 2 order by 4"#,
        id,
    )
    .fetch_all(executor)
    .await?;
    let mut counts: Vec<(Architecture, BuildCounts)> = Vec::new();
    for row in rows {
        let index = match counts
            .iter()
            .position(|(known, _)| *known == row.architecture)
        {
            Some(index) => index,
            None => {
                counts.push((row.architecture, BuildCounts::default()));
                counts.len() - 1
            }
        };
        let count = row.count;
        let entry = &mut counts[index].1;
        match row.status {
            BuildStatus::Blocked => entry.blocked += count,
            BuildStatus::Ready => entry.ready += count,
            BuildStatus::Dispatched | BuildStatus::Building => entry.building += count,
            BuildStatus::Built | BuildStatus::Reused => entry.done += count,
            BuildStatus::Failed => entry.failed += count,
            BuildStatus::Cancelled => entry.cancelled += count,
        }
    }
    Ok(counts)
}

//! Table `activity`: what people did, and how rebuilds ended.

use buildbtw_model::{ActivityKind, NamespaceName, WorkerName};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, WriteTransaction};

/// How many activities are kept.
const KEPT: i64 = 100_000;

/// An activity to record. It needs no namespace: it outlives the one that it names.
#[derive(Clone, Copy, Debug)]
pub struct NewActivity<'a> {
    /// What happened.
    pub kind: ActivityKind,
    /// The name of the token that requested it; none for the server.
    pub actor: Option<&'a str>,
    /// The namespace.
    pub namespace: Option<&'a NamespaceName>,
    /// The worker.
    pub worker: Option<&'a WorkerName>,
    /// Details, for people.
    pub message: Option<&'a str>,
}

/// A recorded activity.
#[derive(Clone, Debug)]
pub struct ActivityRow {
    /// Its number.
    pub id: i64,
    /// What happened.
    pub kind: ActivityKind,
    /// The name of the token that requested it.
    pub actor: Option<String>,
    /// The namespace.
    pub namespace: Option<NamespaceName>,
    /// The number of the iteration.
    pub iteration: Option<u32>,
    /// The worker.
    pub worker: Option<WorkerName>,
    /// Details, for people.
    pub message: Option<String>,
    /// When it happened.
    pub at: Millis,
}

/// Records an activity.
pub async fn insert(tx: &mut WriteTransaction, new: &NewActivity<'_>) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "insert into activity (kind, actor, namespace, worker, message, at) values (?, ?, ?, ?, ?, ?)",
        new.kind,
        new.actor,
        new.namespace,
        new.worker,
        new.message,
        at,
    )
    .execute(tx.connection())
    .await?;
    remove_old(tx).await
}

/// Records an activity of an iteration.
pub async fn insert_of_iteration(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    kind: ActivityKind,
    actor: Option<&str>,
    message: Option<&str>,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "insert into activity (kind, actor, namespace, iteration, message, at)
         select ?, ?, namespace.name, iteration.number, ?, ?
         from iteration join namespace on namespace.id = iteration.namespace_id
         where iteration.id = ?",
        kind,
        actor,
        message,
        at,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    remove_old(tx).await
}

/// Removes the oldest activities above the number that is kept.
async fn remove_old(tx: &mut WriteTransaction) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from activity where id <= (select max(id) from activity) - ?",
        KEPT,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The activities to return. An absent value excludes none.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// The name of the token.
    pub actor: Option<String>,
    /// The namespace.
    pub namespace: Option<NamespaceName>,
}

macro_rules! select_activity {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            ActivityRow,
            r#"select id, kind as "kind: ActivityKind", actor, namespace as "namespace: NamespaceName",
               iteration as "iteration: u32", worker as "worker: WorkerName", message, at as "at: Millis"
               from activity "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns up to `limit` activities before a number, the newest first.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    filter: &ActivityFilter,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<ActivityRow>> {
    // One statement for each: each has its index.
    match (&filter.actor, &filter.namespace) {
        (None, None) => {
            select_activity!("where id < ? order by id desc limit ?", before, limit)
                .fetch_all(executor)
                .await
        }
        (Some(actor), None) => {
            select_activity!(
                "where actor = ? and id < ? order by id desc limit ?",
                actor,
                before,
                limit
            )
            .fetch_all(executor)
            .await
        }
        (actor, Some(namespace)) => {
            select_activity!(
                "where namespace = ?1 and (?2 is null or actor = ?2) and id < ?3
                 order by id desc limit ?4",
                namespace,
                actor,
                before,
                limit
            )
            .fetch_all(executor)
            .await
        }
    }
}

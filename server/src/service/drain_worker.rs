//! `worker drain` and `worker resume`: which workers get builds. Kept over restarts of server and worker.

use buildbtw_model::api::{DrainWorker, ProblemKind, WorkerSummary};
use buildbtw_model::{ActivityKind, WorkerName};

use crate::db::activity::{self, NewActivity};
use crate::db::{Database, WriteTransaction, worker_drains, workers};
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::state::claim_queue::ClaimQueue;

use super::read::workers::{show_worker, unknown_worker};
use super::reason::one_line;

/// Drains a worker: it finishes what it builds, and gets nothing new. Repeating it changes nothing.
///
/// # Errors
/// When there is no such worker, or the reason is too long.
pub async fn drain(
    database: &Database,
    claims: &ClaimQueue,
    by: &Principal,
    name: &WorkerName,
    request: &DrainWorker,
) -> Result<WorkerSummary, Error> {
    let reason = one_line(request.reason.as_deref())?;
    let reason = reason.as_deref();
    let mut tx = known(database, name).await?;
    if !worker_drains::insert(&mut tx, name, &by.name, reason).await? {
        tx.undo().await?;
        return show_worker(database, name).await;
    }
    record(&mut tx, ActivityKind::WorkerDrained, by, name, reason).await?;
    // Assignments are transactions, too: none of a later one is for this worker.
    claims.drain(name);
    if let Err(error) = tx.commit().await {
        claims.resume(name);
        return Err(error.into());
    }
    claims.wake();
    tracing::info!(worker.name = name.as_str(), by = by.name, "drained worker");
    show_worker(database, name).await
}

/// Lets a drained worker have builds again.
///
/// # Errors
/// When there is no such worker, or it is not drained.
pub async fn resume(
    database: &Database,
    claims: &ClaimQueue,
    by: &Principal,
    name: &WorkerName,
) -> Result<WorkerSummary, Error> {
    let mut tx = known(database, name).await?;
    if !worker_drains::delete(&mut tx, name).await? {
        tx.undo().await?;
        let title = format!("worker `{name}` is not drained");
        return Err(Refusal::new(ProblemKind::Conflict, title)
            .hint("`buildbtw workers` shows the state of each worker")
            .into());
    }
    record(&mut tx, ActivityKind::WorkerResumed, by, name, None).await?;
    // Within the transaction: another request may drain it again before this one is durable.
    claims.resume(name);
    if let Err(error) = tx.commit().await {
        claims.drain(name);
        return Err(error.into());
    }
    tracing::info!(worker.name = name.as_str(), by = by.name, "resumed worker");
    show_worker(database, name).await
}

/// Begins a transaction about a worker that exists.
async fn known(database: &Database, name: &WorkerName) -> Result<WriteTransaction, Error> {
    let mut tx = database.write().await?;
    if workers::exists(tx.connection(), name).await? {
        return Ok(tx);
    }
    tx.undo().await?;
    Err(unknown_worker(name))
}

async fn record(
    tx: &mut WriteTransaction,
    kind: ActivityKind,
    by: &Principal,
    worker: &WorkerName,
    message: Option<&str>,
) -> sqlx::Result<()> {
    let activity = NewActivity {
        kind,
        actor: Some(&by.name),
        namespace: None,
        worker: Some(worker),
        message,
    };
    activity::insert(tx, &activity).await
}

#[cfg(test)]
mod tests {
    use buildbtw_model::TokenScope;

    use super::*;
    use crate::db::TokenId;
    use crate::testing::TestState;

    #[tokio::test]
    async fn the_later_of_two_concurrent_requests_counts() {
        let state = TestState::new().await;
        let row = "insert into worker (name, architecture, jobs, last_seen_at)
            values ('w', 'x86_64', 1, 1)";
        state.sql(row).await;
        let name: WorkerName = "w".parse().unwrap();
        let by = Principal {
            token: TokenId(1),
            name: "admin".to_owned(),
            scope: TokenScope::Admin,
        };
        let (database, claims, request) = (&state.database, &state.claims, DrainWorker::default());
        drain(database, claims, &by, &name, &request).await.unwrap();
        // Both are parts of one commit.
        let (resumed, drained) = tokio::join!(
            resume(database, claims, &by, &name),
            drain(database, claims, &by, &name, &request),
        );
        resumed.unwrap();
        drained.unwrap();
        let stored = worker_drains::all(database.read()).await.unwrap();
        assert!(stored.contains(&name));
        assert!(claims.is_drained(&name));
    }
}

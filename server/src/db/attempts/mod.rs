//! Table `attempt`: the attempts at builds. Leases are in `leases`.

use buildbtw_model::{
    AttemptId, AttemptStatus, BuildId, ClaimId, Explanation, FailureKind, WorkerName,
};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, NamespaceId, TokenId, WriteTransaction, json_list};

/// An attempt.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Its id.
    pub id: AttemptId,
    /// The build.
    pub build: BuildId,
    /// 1, 2, 3 … within the build.
    pub number: u32,
    /// The worker that runs it.
    pub worker: WorkerName,
    /// The token it was claimed with; no other token may report on it.
    pub token: TokenId,
    /// Its status.
    pub status: AttemptStatus,
    /// The kind of its failure.
    pub failure: Option<FailureKind>,
    /// The message of its failure.
    pub message: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// When it is lost unless its lease is renewed.
    pub lease_expires_at: Millis,
    /// Whether the worker is to stop it.
    pub cancel_requested: bool,
    /// When it was dispatched.
    pub created_at: Millis,
    /// When its build started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

impl AttemptRow {
    /// Returns why it failed.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation> {
        Explanation::of(self.message.clone(), self.hint.clone())
    }
}

macro_rules! select_attempt {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            AttemptRow,
            r#"select id as "id: AttemptId", build_id as "build: BuildId", number as "number: u32",
               worker as "worker: WorkerName", token_id as "token: TokenId",
               status as "status: AttemptStatus", failure as "failure: FailureKind", message, hint,
               lease_expires_at as "lease_expires_at: Millis",
               cancel_requested as "cancel_requested: bool", created_at as "created_at: Millis",
               started_at as "started_at: Millis", finished_at as "finished_at: Millis"
               from attempt "# + $tail
            $(, $argument)*
        )
    };
}

mod ends;
mod failures;
mod leases;
mod of_builds;
mod traces;

pub use ends::{Succeeded, Times, finish, succeed};
pub use failures::{LastFailure, last_failures};
pub use leases::{
    UNLIMITED_LEASE, end_unlimited_leases, expired, next_expiry, renew_all_leases, renew_lease,
    set_worker,
};
pub use of_builds::{newest_of_builds, starts_of_running};
pub use traces::{TracedAttempt, traced};

/// Returns the attempt with this id.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: AttemptId,
) -> sqlx::Result<Option<AttemptRow>> {
    select_attempt!("where id = ?", id)
        .fetch_optional(executor)
        .await
}

/// Returns the attempts with these ids.
pub async fn by_ids(
    executor: impl SqliteExecutor<'_>,
    ids: &[AttemptId],
) -> sqlx::Result<Vec<AttemptRow>> {
    let ids = json_list(ids)?;
    select_attempt!("where id in (select value from json_each(?))", ids)
        .fetch_all(executor)
        .await
}

/// Returns the attempt that a claim was assigned.
pub async fn by_claim(
    executor: impl SqliteExecutor<'_>,
    claim: ClaimId,
) -> sqlx::Result<Option<AttemptRow>> {
    select_attempt!("where claim = ?", claim)
        .fetch_optional(executor)
        .await
}

/// Returns all attempts at a build, the newest first.
pub async fn of_build(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Vec<AttemptRow>> {
    select_attempt!("where build_id = ? order by number desc", build)
        .fetch_all(executor)
        .await
}

/// A new attempt.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NewAttempt<'a> {
    /// Its id.
    pub id: AttemptId,
    /// The build.
    pub build: BuildId,
    /// The worker's claim.
    pub claim: ClaimId,
    /// The worker.
    pub worker: &'a WorkerName,
    /// The token of the worker.
    pub token: TokenId,
}

/// Stores new attempts, each under the next number of its build.
pub async fn insert(
    tx: &mut WriteTransaction,
    attempts: &[NewAttempt<'_>],
    lease_expires_at: Millis,
) -> sqlx::Result<()> {
    let created_at = tx.now();
    let attempts = json_list(attempts)?;
    sqlx::query!(
        "insert into attempt (id, build_id, number, claim, worker, token_id, status,
             lease_expires_at, created_at)
         select value ->> 'id', value ->> 'build',
             (select coalesce(max(number), 0) + 1 from attempt as other
                 where other.build_id = value ->> 'build'),
             value ->> 'claim', value ->> 'worker', value ->> 'token', 'queued', ?, ?
         from json_each(?)",
        lease_expires_at,
        created_at,
        attempts,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns those of some claims that already have an attempt.
pub async fn claims_with_attempt(
    tx: &mut WriteTransaction,
    claims: &[ClaimId],
) -> sqlx::Result<Vec<ClaimId>> {
    let claims = json_list(claims)?;
    let rows = sqlx::query!(
        r#"select claim as "claim: ClaimId" from attempt
           where claim in (select value from json_each(?))"#,
        claims,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.claim).collect())
}

/// Moves an attempt from `queued` to `running`. Returns false when it was already running, or has ended.
pub async fn start(tx: &mut WriteTransaction, id: AttemptId) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update attempt set status = 'running', started_at = ? where id = ? and status = 'queued'",
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Sets the token that may report on an attempt from now on.
pub async fn set_token(
    tx: &mut WriteTransaction,
    id: AttemptId,
    token: TokenId,
) -> sqlx::Result<()> {
    sqlx::query!("update attempt set token_id = ? where id = ?", token, id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Counts the attempts at a build that were lost, cancelled or failed because of the infrastructure, since the
/// last retry by a user.
pub async fn count_infrastructure(tx: &mut WriteTransaction, build: BuildId) -> sqlx::Result<i64> {
    let row = sqlx::query!(
        r#"select count(*) as "count!" from attempt join build on build.id = attempt.build_id
           where build_id = ? and attempt.number > build.attempts_before_retry
               and (attempt.status = 'lost' or failure in ('infrastructure', 'cancelled'))"#,
        build,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.count)
}

/// Requests cancellation of all attempts of a namespace, or withdraws the request.
pub async fn request_cancel(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    cancel: bool,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update attempt set cancel_requested = ?
         where status in ('queued', 'running') and build_id in (
             select build.id from build join iteration on iteration.id = build.iteration_id
             where iteration.namespace_id = ?
         )",
        cancel,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Returns all attempts at the builds of an iteration.
pub async fn ids_of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<AttemptId>> {
    let rows = sqlx::query!(
        r#"select id as "id: AttemptId" from attempt
           where build_id in (select id from build where iteration_id = ?)"#,
        iteration,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Moves the attempts of an iteration whose packages are shared with other iterations to the newest build that
/// uses them, so that they outlive the iteration.
pub async fn reassign_to_sharers(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update attempt set
             build_id = (select max(sharer.id) from build as sharer
                 where sharer.packages_attempt_id = attempt.id and sharer.iteration_id <> ?1),
             number = 1 + (select coalesce(max(other.number), 0) from attempt as other
                 where other.build_id = (select max(sharer.id) from build as sharer
                     where sharer.packages_attempt_id = attempt.id and sharer.iteration_id <> ?1))
         where build_id in (select id from build where iteration_id = ?1)
             and exists (select 1 from build as sharer
                 where sharer.packages_attempt_id = attempt.id and sharer.iteration_id <> ?1)",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Requests cancellation of an iteration's attempts, except of those whose packages a build of a later iteration
/// waits for.
pub async fn cancel_unshared(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update attempt set cancel_requested = 1
         where status in ('queued', 'running')
             and build_id in (select id from build where iteration_id = ?1)
             and not exists (
                 select 1 from build as sharer
                 where sharer.shared_build_id = attempt.build_id and sharer.iteration_id <> ?1
             )",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

#[cfg(test)]
mod tests;

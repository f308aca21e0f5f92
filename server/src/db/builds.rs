//! Tables `build` and `build_edge`. Every change of a status is one guarded statement that says
//! which status it expects; the caller learns whether it applied.

use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, NamespaceName, PackageVersion,
    Pkgbase, Sha256Digest, WorkerName,
};
use sqlx::SqliteExecutor;

use super::{IterationId, NamespaceId, WriteTransaction, now};

/// A build with the names of what it belongs to.
#[derive(Clone, Debug)]
pub struct BuildRow {
    /// Its row.
    pub id: BuildId,
    /// The namespace it belongs to.
    pub namespace_id: NamespaceId,
    /// That namespace's name.
    pub namespace: NamespaceName,
    /// The iteration it belongs to.
    pub iteration_id: IterationId,
    /// That iteration's number.
    pub iteration: i64,
    /// What it is built for.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: i64,
    /// The longest path from a build that needs nothing.
    pub level: i64,
    /// The commit that is built.
    pub commit: CommitHash,
    /// When that was committed, in seconds.
    pub commit_time: i64,
    /// Where to fetch it.
    pub clone_url: String,
    /// Its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
    /// The version its packages get, or have.
    pub version: PackageVersion,
    /// The release to write into the PKGBUILD.
    pub pkgrel: Option<String>,
    /// The chain from an origin, separated by spaces.
    pub reason: String,
    /// How long it is expected to take, in seconds.
    pub estimate_s: i64,
    /// Where it stands.
    pub status: BuildStatus,
    /// The build of another architecture it takes its packages from.
    pub shared_build_id: Option<BuildId>,
    /// The attempt whose packages are its own.
    pub packages_attempt_id: Option<AttemptId>,
    /// What is wrong, or what it waits for.
    pub message: Option<String>,
    /// When it ended.
    pub finished_at: Option<i64>,
}

macro_rules! select_build {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            BuildRow,
            r#"select build.id as "id!: BuildId", iteration.namespace_id as "namespace_id!: NamespaceId",
               namespace.name as "namespace!: NamespaceName",
               build.iteration_id as "iteration_id!: IterationId", iteration.number as "iteration!",
               build.architecture as "architecture!: Architecture", build.pkgbase as "pkgbase!: Pkgbase",
               build.stage as "stage!", build.level as "level!",
               build.commit_hash as "commit!: CommitHash", build.commit_time as "commit_time!",
               build.clone_url as "clone_url!",
               build.srcinfo_sha256 as "srcinfo_sha256!: Sha256Digest",
               build.version as "version!: PackageVersion", build.pkgrel, build.reason as "reason!",
               build.estimate_s as "estimate_s!", build.status as "status!: BuildStatus",
               build.shared_build_id as "shared_build_id: BuildId",
               build.packages_attempt_id as "packages_attempt_id: AttemptId", build.message,
               build.finished_at
               from build join iteration on iteration.id = build.iteration_id
               join namespace on namespace.id = iteration.namespace_id "# + $tail
            $(, $argument)*
        )
    };
}

/// The build of this row.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: BuildId,
) -> sqlx::Result<Option<BuildRow>> {
    select_build!("where build.id = ?", id)
        .fetch_optional(executor)
        .await
}

/// The builds of these rows, in no particular order.
pub async fn by_ids(
    executor: impl SqliteExecutor<'_>,
    ids: &[BuildId],
) -> sqlx::Result<Vec<BuildRow>> {
    let ids = json_list(ids);
    select_build!(
        "where build.id in (select value from json_each(?)) order by build.id",
        ids
    )
    .fetch_all(executor)
    .await
}

/// A list as a parameter: statements for many rows cost little more than those for one.
pub(super) fn json_list<T: serde::Serialize>(items: &[T]) -> String {
    // Numbers and texts always serialise.
    serde_json::to_string(items).unwrap_or_default()
}

/// All builds of an iteration, each architecture's in a valid order.
pub async fn of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!("where build.iteration_id = ? order by build.id", iteration)
        .fetch_all(executor)
        .await
}

/// The builds that a build waits for directly.
pub async fn needs(executor: impl SqliteExecutor<'_>, id: BuildId) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where build.id in (select needs_id from build_edge where build_id = ?) order by build.id",
        id
    )
    .fetch_all(executor)
    .await
}

/// The builds that wait for a build directly.
pub async fn needed_by(
    executor: impl SqliteExecutor<'_>,
    id: BuildId,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where build.id in (select build_id from build_edge where needs_id = ?) order by build.id",
        id
    )
    .fetch_all(executor)
    .await
}

/// Builds whose outcome was accepted but which the repository may not list yet.
pub async fn unpublished(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where packages_attempt_id is not null and build.status not in ('built', 'reused')
         order by build.id"
    )
    .fetch_all(executor)
    .await
}

/// Finished builds with this input hash: the newest ones of a namespace, then those of others.
pub async fn finished_with_hash(
    executor: impl SqliteExecutor<'_>,
    input_hash: &Sha256Digest,
    namespace: Option<NamespaceId>,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where build.input_hash = ? and build.status in ('built', 'reused')
         order by iteration.namespace_id is ? desc, build.id desc limit 8",
        input_hash,
        namespace
    )
    .fetch_all(executor)
    .await
}

/// A build with this input hash that somebody is working on, in any iteration of a namespace.
pub async fn active_with_hash(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
    input_hash: &Sha256Digest,
) -> sqlx::Result<Option<BuildRow>> {
    select_build!(
        "where iteration.namespace_id = ? and build.input_hash = ?
             and build.status in ('dispatched', 'building') limit 1",
        namespace,
        input_hash
    )
    .fetch_optional(executor)
    .await
}

/// Lets builds of later iterations that waited for the packages of this one be built themselves;
/// returns how many of them are ready now.
pub async fn release_heirs(
    tx: &mut WriteTransaction,
    id: BuildId,
    iteration: IterationId,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "update build set shared_build_id = null, missing = missing - 1
         where shared_build_id = ? and status = 'blocked' and iteration_id <> ?",
        id,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    let result = sqlx::query!(
        "update build set status = 'ready' where status = 'blocked' and missing = 0
             and shared_build_id is null and packages_attempt_id is null and iteration_id <> ?
             and id in (select build_id from build_edge where needs_id = ? and kind = 'shared')",
        iteration,
        id,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from build_edge where needs_id = ? and kind = 'shared'
             and build_id in (select id from build where iteration_id <> ?)",
        id,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Cancels every build of an iteration that nobody has begun and that has no packages.
pub async fn cancel_unstarted(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    message: &str,
) -> sqlx::Result<u64> {
    let at = now();
    let result = sqlx::query!(
        "update build set status = 'cancelled', message = ?, finished_at = ?
         where iteration_id = ? and status in ('blocked', 'ready') and packages_attempt_id is null",
        message,
        at,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Makes failed builds of an iteration ready again, and those that pause after an infrastructure
/// failure; all of them, or those of one pkgbase. Returns them.
pub async fn retry(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    pkgbase: Option<&Pkgbase>,
) -> sqlx::Result<Vec<BuildId>> {
    let rows = sqlx::query!(
        r#"update build set status = 'ready', not_before = null, message = null, finished_at = null,
               tried_before = (select coalesce(max(number), 0) from attempt where build_id = build.id)
           where iteration_id = ?1 and (?2 is null or pkgbase = ?2)
               and (status = 'failed' or (status = 'ready' and not_before is not null))
           returning id as "id: BuildId""#,
        iteration,
        pkgbase,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Makes cancelled builds of an iteration wait again; returns those that wait for nothing any more.
/// They are `ready` now, except those that take the packages of another build.
pub async fn resume(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<Vec<Unblocked>> {
    sqlx::query!(
        "update build set status = 'blocked', not_before = null, message = null, finished_at = null,
             tried_before = (select coalesce(max(number), 0) from attempt where build_id = build.id)
         where iteration_id = ? and status = 'cancelled'",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end
           where iteration_id = ? and status = 'blocked' and missing = 0
               and packages_attempt_id is null
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId""#,
        iteration,
    )
    .fetch_all(tx.connection())
    .await
}

/// Whether builds of other iterations wait for packages of an iteration, or were given packages of
/// it that their repository does not hold yet.
pub async fn is_inheriting(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists (
               select 1 from build join attempt on attempt.build_id = build.id
               join build as heir on heir.packages_attempt_id = attempt.id
               where build.iteration_id = ?1 and heir.iteration_id <> ?1
                   and heir.status not in ('built', 'reused')
           ) or exists (
               select 1 from build join build as heir on heir.shared_build_id = build.id
               where build.iteration_id = ?1 and heir.iteration_id <> ?1
                   and heir.status not in ('built', 'reused')
           ) as "found!: bool""#,
        iteration,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.found)
}

/// Lets the finished builds of other iterations that took packages of an iteration stand for
/// themselves.
pub async fn release_finished_heirs(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update build set shared_build_id = null
         where shared_build_id in (select id from build where iteration_id = ?1)
             and iteration_id <> ?1 and status in ('built', 'reused')",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All edges inside an iteration: build, and what it needs.
pub async fn edges(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<(BuildId, BuildId)>> {
    let rows = sqlx::query!(
        r#"select build_id as "build: BuildId", needs_id as "needs: BuildId" from build_edge
           where build_id in (select id from build where iteration_id = ?)"#,
        iteration,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.build, row.needs)).collect())
}

/// A build that can be handed out, and what is needed to choose between several.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The build.
    pub id: BuildId,
    /// The namespace it belongs to.
    pub namespace: NamespaceId,
    /// Seconds of work that wait for it.
    pub priority_s: i64,
    /// How many builds of its namespace are handed out at the moment.
    pub namespace_load: i64,
    /// The worker on which the last try ended through no fault of the package.
    pub failed_on: Option<WorkerName>,
    /// Since when it may be tried again after that.
    pub not_before: Option<i64>,
}

/// Ready builds of an architecture at a time: the most urgent `limit` of each iteration.
pub async fn candidates(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    limit: i64,
    at: i64,
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"with load as (
               select iteration.namespace_id, count(*) as running
               from build join iteration on iteration.id = build.iteration_id
               where build.status in ('dispatched', 'building') group by 1
           )
           select build.id as "id!: BuildId", iteration.namespace_id as "namespace!: NamespaceId",
               build.priority_s as "priority_s!: i64",
               coalesce(load.running, 0) as "namespace_load!: i64", build.not_before,
               case when build.not_before is not null then (
                   select worker from attempt where attempt.build_id = build.id
                   order by number desc limit 1
               ) end as "failed_on: WorkerName"
           -- A cross join keeps this order: per iteration, the top of one index.
           from iteration cross join build on build.id in (
               select top.id from build as top
               where top.status = 'ready' and top.architecture = ?1
                   and top.iteration_id = iteration.id
                   and (top.not_before is null or top.not_before <= ?2)
               order by top.priority_s desc, top.id limit ?3
           )
           left join load on load.namespace_id = iteration.namespace_id
           where iteration.status = 'running'"#,
        architecture,
        at,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// The earliest time after `at` at which a paused build can be handed out.
pub async fn next_pause_end(
    executor: impl SqliteExecutor<'_>,
    at: i64,
) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query!(
        r#"select min(not_before) as "at: i64" from build
           where status = 'ready' and not_before is not null and not_before > ?"#,
        at,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.at)
}

/// `ready -> dispatched`, for those that are ready; returns them.
pub async fn dispatch(tx: &mut WriteTransaction, ids: &[BuildId]) -> sqlx::Result<Vec<BuildId>> {
    let ids = json_list(ids);
    let rows = sqlx::query!(
        r#"update build set status = 'dispatched', not_before = null, message = null
           where id in (select value from json_each(?)) and status = 'ready'
           returning id as "id: BuildId""#,
        ids,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// `dispatched -> building`.
pub async fn start(tx: &mut WriteTransaction, id: BuildId) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set status = 'building' where id = ? and status = 'dispatched'",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Back to `ready` after a lost attempt or an infrastructure failure, not before a time.
pub async fn requeue(
    tx: &mut WriteTransaction,
    id: BuildId,
    not_before: Option<i64>,
    message: &str,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set status = 'ready', not_before = ?, message = ?
         where id = ? and status in ('dispatched', 'building')",
        not_before,
        message,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Ends a build that is handed out with `failed` or `cancelled`.
pub async fn end_without_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    status: BuildStatus,
    message: &str,
) -> sqlx::Result<bool> {
    let at = now();
    let result = sqlx::query!(
        "update build set status = ?, message = ?, finished_at = ?
         where id = ? and status in ('dispatched', 'building')",
        status,
        message,
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Gives a build the packages of an attempt; its status follows when the repository lists them.
pub async fn accept_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    attempt: AttemptId,
    version: &PackageVersion,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set packages_attempt_id = ?, version = ? where id = ?
         and packages_attempt_id is null and status in ('blocked', 'dispatched', 'building')",
        attempt,
        version,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// `-> built`, or `-> reused` for packages of another build, once the repository lists them. Returns
/// those for which it was so.
pub async fn complete(tx: &mut WriteTransaction, ids: &[BuildId]) -> sqlx::Result<Vec<BuildId>> {
    let at = now();
    let ids = json_list(ids);
    let rows = sqlx::query!(
        r#"update build set message = null, finished_at = ?,
               status = case when exists (
                   select 1 from attempt
                   where attempt.id = build.packages_attempt_id and attempt.build_id = build.id
               ) then 'built' else 'reused' end
           where id in (select value from json_each(?)) and packages_attempt_id is not null
               and status in ('blocked', 'dispatched', 'building')
           returning id as "id: BuildId""#,
        at,
        ids,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Takes a finished build's packages away because they are not there any more, so that it can be
/// tried again. Builds that were made with them stay as they are.
pub async fn lose_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    message: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update build set status = 'failed', packages_attempt_id = null, shared_build_id = null,
             message = ? where id = ? and status in ('built', 'reused')",
        message,
        id,
    )
    .execute(tx.connection())
    .await?;
    // Its dependents wait for it again, as far as they have not begun.
    sqlx::query!(
        "update build set missing = missing + 1,
             status = case when status = 'ready' then 'blocked' else status end
         where id in (select build_id from build_edge where needs_id = ?)",
        id,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update iteration set status = 'failed'
         where id = (select iteration_id from build where id = ?) and status = 'done'",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A build that waits for nothing any more.
#[derive(Clone, Debug)]
pub struct Unblocked {
    /// The build.
    pub id: BuildId,
    /// The build of another architecture whose packages it takes, instead of being built.
    pub shared_build_id: Option<BuildId>,
}

/// Tells the dependents of completed builds, and returns those that wait for nothing any more.
/// They are `ready` now, except those that take the packages of another build.
pub async fn unblock_dependents(
    tx: &mut WriteTransaction,
    completed: &[BuildId],
) -> sqlx::Result<Vec<Unblocked>> {
    let completed = json_list(completed);
    sqlx::query!(
        "update build set missing = missing - (
             select count(*) from build_edge
             where build_id = build.id and needs_id in (select value from json_each(?1))
         )
         where id in (
             select build_id from build_edge where needs_id in (select value from json_each(?1))
         )",
        completed,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end
           where status = 'blocked' and missing = 0 and packages_attempt_id is null
               and id in (
                   select build_id from build_edge
                   where needs_id in (select value from json_each(?))
               )
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId""#,
        completed,
    )
    .fetch_all(tx.connection())
    .await
}

/// Whether a build of an iteration is ready, handed out, or about to be published.
pub async fn is_moving(tx: &mut WriteTransaction, iteration: IterationId) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists (
               select 1 from build where iteration_id = ? and (
                   status in ('ready', 'dispatched', 'building')
                   or (status = 'blocked' and packages_attempt_id is not null)
               )
           ) as "found!: bool""#,
        iteration,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// How many builds of an iteration have no packages.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// Those that failed.
    pub failed: i64,
    /// All of them, whatever the status.
    pub all: i64,
}

/// What an iteration lacks. Looks at all of its builds.
pub async fn unfinished(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<Unfinished> {
    sqlx::query_as!(
        Unfinished,
        r#"select count(*) filter (where status = 'failed') as "failed!",
               count(*) filter (where status not in ('built', 'reused')) as "all!"
           from build where iteration_id = ?"#,
        iteration,
    )
    .fetch_one(tx.connection())
    .await
}

/// The expected packages of a build.
pub async fn outputs(
    executor: impl SqliteExecutor<'_>,
    id: BuildId,
) -> sqlx::Result<Vec<buildbtw_model::api::ExpectedPackage>> {
    sqlx::query_as!(
        buildbtw_model::api::ExpectedPackage,
        r#"select pkgname as "name: buildbtw_model::Pkgname",
           architecture as "architecture: Architecture"
           from build_output where build_id = ? order by pkgname"#,
        id,
    )
    .fetch_all(executor)
    .await
}

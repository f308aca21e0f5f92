//! Tables `build`, `build_edge` and `build_output`: what they say. How they change is told in
//! `queue`, `changes` and `sharers`.

mod changes;
mod queue;
mod sharers;

use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, NamespaceName, PackageVersion,
    Pkgbase, Sha256Digest, TreeHash,
};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, NamespaceId, json_list};

pub use changes::{
    Unblocked, Unfinished, accept_packages, can_progress, cancel_unstarted, complete,
    discard_packages, end_without_packages, resume, retry, retry_one, unblock_dependents,
    unfinished,
};
pub use queue::{Candidate, candidates, dispatch, next_pause_end, requeue, start};
pub use sharers::{detach_finished_sharers, detach_waiting_sharers, has_open_sharers};

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
    pub iteration: u32,
    /// What it is built for.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The longest path from a build that needs nothing.
    pub level: u32,
    /// The commit that is built.
    pub commit: CommitHash,
    /// Its tree, where that is known.
    pub tree: Option<TreeHash>,
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
    /// The library by which it is linked to the last but one of these.
    pub library: Option<String>,
    /// Whether it is built without what its package needs of its own cycle.
    pub bootstrap: bool,
    /// The dependencies it is built without, a line each.
    pub without: String,
    /// How long it is expected to take, in seconds.
    pub estimate_s: u32,
    /// Where it stands.
    pub status: BuildStatus,
    /// The build of another architecture it takes its packages from.
    pub shared_build_id: Option<BuildId>,
    /// The attempt whose packages are its own.
    pub packages_attempt_id: Option<AttemptId>,
    /// What is wrong, or what it waits for.
    pub message: Option<String>,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

macro_rules! select_build {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            BuildRow,
            r#"select build.id as "id!: BuildId", iteration.namespace_id as "namespace_id!: NamespaceId",
               namespace.name as "namespace!: NamespaceName",
               build.iteration_id as "iteration_id!: IterationId", iteration.number as "iteration!: u32",
               build.architecture as "architecture!: Architecture", build.pkgbase as "pkgbase!: Pkgbase",
               build.stage as "stage!: u32", build.level as "level!: u32",
               build.commit_hash as "commit!: CommitHash",
               build.tree_hash as "tree: TreeHash", build.commit_time as "commit_time!",
               build.clone_url as "clone_url!",
               build.srcinfo_sha256 as "srcinfo_sha256!: Sha256Digest",
               build.version as "version!: PackageVersion", build.pkgrel, build.reason as "reason!",
               build.library, build.bootstrap as "bootstrap!: bool", build.without as "without!",
               build.estimate_s as "estimate_s!: u32", build.status as "status!: BuildStatus",
               build.shared_build_id as "shared_build_id: BuildId",
               build.packages_attempt_id as "packages_attempt_id: AttemptId", build.message,
               build.finished_at as "finished_at: Millis"
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

/// All builds of an iteration, each architecture's in a valid order.
pub async fn of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!("where build.iteration_id = ? order by build.id", iteration)
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

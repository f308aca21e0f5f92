//! Tables `build`, `build_edge` and `build_output`: queries. Their changes are in `queue`, `changes` and `sharers`.

mod changes;
mod graph;
mod needs;
mod queue;
mod sharers;

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, CommitTime, NamespaceName,
    PackageVersion, Pkgbase, Sha256Digest, TreeHash,
};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, NamespaceId, json_list};

pub use changes::{
    Unblocked, Unfinished, accept_packages, can_progress, cancel_unstarted, complete,
    discard_packages, end_without_packages, resume, retry, retry_one, unblock_dependents,
    unfinished,
};
pub use graph::{NodeRow, PlannedBuild, awaited, edges_from, nodes_of_iteration};
pub use needs::{MEMORY_KNOWN, Need, exceed_memory, open_pkgbases, ready_needs, set_tags, tag_of};
pub use queue::{Candidate, Eligible, candidates, dispatch, next_backoff_end, requeue, start};
pub use sharers::{detach_finished_sharers, detach_waiting_sharers, has_open_sharers};

/// A build with the names of its namespace and iteration.
#[derive(Clone, Debug)]
pub struct BuildRow {
    /// Its id.
    pub id: BuildId,
    /// The namespace it belongs to.
    pub namespace_id: NamespaceId,
    /// That namespace's name.
    pub namespace: NamespaceName,
    /// The iteration it belongs to.
    pub iteration_id: IterationId,
    /// That iteration's number.
    pub iteration: u32,
    /// The architecture it is built for.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The length of the longest path from a build that needs none.
    pub level: u32,
    /// The commit that is built.
    pub commit: CommitHash,
    /// The tree of the commit, where it is known.
    pub tree: Option<TreeHash>,
    /// The time of the commit, in seconds.
    pub commit_time: CommitTime,
    /// The URL to fetch the commit from.
    pub clone_url: String,
    /// The digest of its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
    /// The version its packages will have, or have.
    pub version: PackageVersion,
    /// The release to set in the PKGBUILD.
    pub pkgrel: Option<String>,
    /// The chain of dependencies from an origin, separated by spaces.
    pub reason: String,
    /// The library of the last dependency in this chain.
    pub library: Option<String>,
    /// Whether it is a bootstrap build.
    pub bootstrap: bool,
    /// The dependencies it is built without, one per line.
    pub without: String,
    /// Its expected duration, in seconds.
    pub estimate_s: u32,
    /// Whether that is the duration of earlier builds.
    pub estimate_is_known: bool,
    /// Its status.
    pub status: BuildStatus,
    /// The build whose packages it shares.
    pub shared_build_id: Option<BuildId>,
    /// The attempt whose packages it has.
    pub packages_attempt_id: Option<AttemptId>,
    /// Why it failed, or what it waits for.
    pub message: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

graph::planned_build!(BuildRow);

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
               build.tree_hash as "tree: TreeHash", build.commit_time as "commit_time!: CommitTime",
               build.clone_url as "clone_url!",
               build.srcinfo_sha256 as "srcinfo_sha256!: Sha256Digest",
               build.version as "version!: PackageVersion", build.pkgrel, build.reason as "reason!",
               build.library, build.bootstrap as "bootstrap!: bool", build.without as "without!",
               build.estimate_s as "estimate_s!: u32",
               build.estimate_low_s is not null as "estimate_is_known!: bool",
               build.status as "status!: BuildStatus",
               build.shared_build_id as "shared_build_id: BuildId",
               build.packages_attempt_id as "packages_attempt_id: AttemptId", build.message, build.hint,
               build.finished_at as "finished_at: Millis"
               from build join iteration on iteration.id = build.iteration_id
               join namespace on namespace.id = iteration.namespace_id "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the build with this id.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: BuildId,
) -> sqlx::Result<Option<BuildRow>> {
    select_build!("where build.id = ?", id)
        .fetch_optional(executor)
        .await
}

/// Returns the builds with these ids.
pub async fn by_ids(
    executor: impl SqliteExecutor<'_>,
    ids: &[BuildId],
) -> sqlx::Result<Vec<BuildRow>> {
    let ids = json_list(ids)?;
    select_build!(
        "where build.id in (select value from json_each(?)) order by build.id",
        ids
    )
    .fetch_all(executor)
    .await
}

/// Returns all builds of an iteration, those of each architecture in a valid order.
pub async fn of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!("where build.iteration_id = ? order by build.id", iteration)
        .fetch_all(executor)
        .await
}

/// What the builds of a list have in common.
#[derive(Clone, Debug, Default)]
pub struct BuildFilter {
    /// Their status.
    pub status: Option<BuildStatus>,
    /// Their architecture.
    pub architecture: Option<Architecture>,
    /// Their source package.
    pub pkgbase: Option<Pkgbase>,
    /// The beginning of their source package.
    pub prefix: Option<String>,
}

/// Returns up to `limit` builds of an iteration after the row `after`.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
    filter: &BuildFilter,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where build.iteration_id = ?1 and build.id > ?2
             and (?3 is null or build.status = ?3) and (?4 is null or build.architecture = ?4)
             and (?5 is null or build.pkgbase = ?5)
             and (?6 is null or substr(build.pkgbase, 1, length(?6)) = ?6)
         order by build.id limit ?7",
        iteration,
        after,
        filter.status,
        filter.architecture,
        filter.pkgbase,
        filter.prefix,
        limit
    )
    .fetch_all(executor)
    .await
}

/// Returns the builds that a build needs directly.
pub async fn needs(executor: impl SqliteExecutor<'_>, id: BuildId) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where build.id in (select needs_id from build_edge where build_id = ?) order by build.id",
        id
    )
    .fetch_all(executor)
    .await
}

/// Returns the builds that need a build directly.
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

/// Returns the builds whose outcome was accepted, but whose packages the repository might not list yet.
pub async fn unpublished(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<BuildRow>> {
    select_build!(
        "where packages_attempt_id is not null and build.status not in ('built', 'reused')
         order by build.id"
    )
    .fetch_all(executor)
    .await
}

/// Returns finished builds with this input hash: the newest ones of a namespace, then those of others.
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

/// Returns those of some input hashes that finished builds have.
pub async fn finished_hashes(
    executor: impl SqliteExecutor<'_>,
    input_hashes: &[&Sha256Digest],
) -> sqlx::Result<BTreeSet<Sha256Digest>> {
    let input_hashes = json_list(input_hashes)?;
    let rows = sqlx::query_scalar!(
        r#"select input_hash as "input_hash!: Sha256Digest" from build
           where input_hash in (select value from json_each(?)) and status in ('built', 'reused')
           group by input_hash"#,
        input_hashes,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Returns the builds that are dispatched or building, in any iteration of a namespace, by input hash: their ids and
/// versions.
pub async fn active_by_hash(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<BTreeMap<Sha256Digest, (BuildId, PackageVersion)>> {
    let rows = sqlx::query!(
        r#"select build.input_hash as "input_hash!: Sha256Digest", build.id as "id!: BuildId",
           build.version as "version!: PackageVersion"
           from iteration join build on build.iteration_id = iteration.id
           where iteration.namespace_id = ? and build.input_hash is not null
               and build.status in ('dispatched', 'building')"#,
        namespace,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.input_hash, (row.id, row.version)))
        .collect())
}

/// Returns all edges of an iteration: a build, and a build that it needs.
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

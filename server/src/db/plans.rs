//! Stores plans: tables `build`, `build_edge`, `build_output` and `plan_note`.

use buildbtw_model::{
    Architecture, AttemptId, BuildId, CommitHash, CommitTime, NoteKind, PackageVersion, Pkgbase,
    Sha256Digest, TreeHash, WorkerTag,
    api::{ExpectedPackage, PlanNote},
};
use buildbtw_planner::DependencyKind;
use sqlx::SqliteExecutor;

use super::builds::MEMORY_KNOWN;
use super::{IterationId, WriteTransaction, json_list};

/// A build of a new plan.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NewBuild {
    /// The architecture it is built for.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The length of the longest path from a build that needs none.
    pub level: u32,
    /// Its position in a valid order of its architecture.
    pub position: u32,
    /// The commit to build.
    pub commit: CommitHash,
    /// The tree of the commit, where it is known.
    pub tree: Option<TreeHash>,
    /// The time of the commit, in seconds.
    pub commit_time: CommitTime,
    /// The URL to fetch the commit from.
    pub clone_url: String,
    /// The digest of its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
    /// The version its packages will have.
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
    /// What a quarter of the earlier builds stayed below, in seconds; `None` without earlier builds.
    pub estimate_low_s: Option<u32>,
    /// What a quarter of the earlier builds exceeded, in seconds; `None` without earlier builds.
    pub estimate_high_s: Option<u32>,
    /// Its remaining critical path, in seconds.
    pub priority_s: u32,
    /// The number of builds it waits for.
    pub missing_dependencies: u32,
    /// The tag that workers need to build it.
    pub tag: Option<WorkerTag>,
    /// Its input hash.
    pub input_hash: Option<Sha256Digest>,
    /// The build whose packages it will share.
    pub shared_build: Option<BuildId>,
    /// The attempt of a finished build whose packages it reuses.
    pub reused: Option<AttemptId>,
    /// Its expected packages.
    #[serde(skip)]
    pub outputs: Vec<ExpectedPackage>,
}

/// How many rows one statement stores.
const ROWS_TOGETHER: usize = 500;

/// Stores the builds of an architecture, in the order of their positions: `ready` where they need no other build and
/// have no packages, else `blocked`. Returns their ids.
pub async fn insert_builds(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    builds: &[NewBuild],
) -> sqlx::Result<Vec<BuildId>> {
    let at = tx.now();
    let learned_since = at - MEMORY_KNOWN;
    let mut ids = Vec::with_capacity(builds.len());
    for chunk in builds.chunks(ROWS_TOGETHER) {
        let rows = json_list(chunk)?;
        let mut stored = sqlx::query!(
            r#"insert into build (iteration_id, architecture, pkgbase, stage, level, position,
                   commit_hash, tree_hash, commit_time, clone_url, srcinfo_sha256, version, pkgrel,
                   reason, estimate_s, priority_s, status, missing_dependencies, input_hash,
                   shared_build_id, packages_attempt_id, library, bootstrap, without, tag,
                   exceeded_memory_mib, ready_at, estimate_low_s, estimate_high_s)
               select ?1, value ->> 'architecture', value ->> 'pkgbase', value ->> 'stage',
                   value ->> 'level', value ->> 'position', value ->> 'commit', value ->> 'tree',
                   value ->> 'commit_time', value ->> 'clone_url', value ->> 'srcinfo_sha256',
                   value ->> 'version', value ->> 'pkgrel', value ->> 'reason',
                   value ->> 'estimate_s', value ->> 'priority_s',
                   iif(value ->> 'missing_dependencies' = 0 and value ->> 'reused' is null,
                       'ready', 'blocked'),
                   value ->> 'missing_dependencies', value ->> 'input_hash',
                   value ->> 'shared_build',
                   value ->> 'reused', value ->> 'library', value ->> 'bootstrap',
                   value ->> 'without', value ->> 'tag',
                   (select exceeded_mib from memory_need as known
                       where known.architecture = value ->> 'architecture'
                           and known.pkgbase = value ->> 'pkgbase' and known.learned_at > ?4),
                   iif(value ->> 'missing_dependencies' = 0 and value ->> 'reused' is null,
                       ?2, null),
                   value ->> 'estimate_low_s', value ->> 'estimate_high_s'
               from json_each(?3) order by key
               returning id as "id!: BuildId", position as "position!: i64""#,
            iteration,
            at,
            rows,
            learned_since,
        )
        .fetch_all(tx.connection())
        .await?;
        // Rows are returned in no particular order.
        stored.sort_by_key(|row| row.position);
        ids.extend(stored.into_iter().map(|row| row.id));
    }
    insert_outputs(tx, builds, &ids).await?;
    Ok(ids)
}

/// Stores the packages that builds have to produce.
async fn insert_outputs(
    tx: &mut WriteTransaction,
    builds: &[NewBuild],
    ids: &[BuildId],
) -> sqlx::Result<()> {
    let mut outputs = Vec::with_capacity(builds.len());
    for (build, id) in builds.iter().zip(ids) {
        let packages = build.outputs.iter();
        outputs.extend(packages.map(|package| (*id, &package.name, &package.architecture)));
    }
    for chunk in outputs.chunks(ROWS_TOGETHER) {
        let rows = json_list(chunk)?;
        sqlx::query!(
            "insert into build_output (build_id, pkgname, architecture)
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?)",
            rows,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Why a build needs another one.
#[derive(Clone, Copy, Debug)]
pub enum EdgeKind {
    /// Its package depends on a package of the other build.
    Dependency(DependencyKind),
    /// It is the earlier stage of the same package.
    Stage,
    /// It shares the packages that the other one builds.
    Shared,
}

impl EdgeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Dependency(kind) => kind.as_str(),
            Self::Stage => "stage",
            Self::Shared => "shared",
        }
    }
}

/// A build, one that it needs, and why.
pub type NewEdge = (BuildId, BuildId, EdgeKind);

/// Stores which builds need which others.
pub async fn insert_edges(tx: &mut WriteTransaction, edges: &[NewEdge]) -> sqlx::Result<()> {
    for chunk in edges.chunks(ROWS_TOGETHER) {
        let rows = chunk.iter();
        let rows: Vec<_> = rows
            .map(|(build, needs, kind)| (build, needs, kind.as_str()))
            .collect();
        let rows = json_list(&rows)?;
        sqlx::query!(
            "insert into build_edge (build_id, needs_id, kind)
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?)",
            rows,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Stores the planner's notes.
pub async fn insert_notes(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    notes: &[(Architecture, PlanNote)],
) -> sqlx::Result<()> {
    for (position, (architecture, note)) in (0_i64..).zip(notes) {
        sqlx::query!(
            "insert into plan_note (iteration_id, position, architecture, kind, text)
             values (?, ?, ?, ?, ?)",
            iteration,
            position,
            architecture,
            note.kind,
            note.text,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Returns the planner's notes. The same note for several architectures is returned once.
pub async fn notes(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<PlanNote>> {
    sqlx::query_as!(
        PlanNote,
        r#"select kind as "kind!: NoteKind", text as "text!" from plan_note where iteration_id = ?
           group by kind, text
           order by min(position)"#,
        iteration,
    )
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests;

//! Stores plans: tables `build`, `build_edge`, `build_output` and `plan_note`.

use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, CommitTime, NoteKind,
    PackageVersion, Pkgbase, Sha256Digest, TreeHash,
    api::{ExpectedPackage, PlanNote},
};
use buildbtw_planner::DependencyKind;
use sqlx::SqliteExecutor;

use super::{IterationId, WriteTransaction};

/// A build of a new plan.
#[derive(Clone, Debug)]
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
    /// Its remaining critical path, in seconds.
    pub priority_s: u32,
    /// The number of builds it waits for.
    pub missing: u32,
    /// Its input hash.
    pub input_hash: Option<Sha256Digest>,
    /// The build whose packages it will share.
    pub shared_build: Option<BuildId>,
    /// The attempt of a finished build whose packages it reuses.
    pub reused: Option<AttemptId>,
    /// Its expected packages.
    pub outputs: Vec<ExpectedPackage>,
}

/// Stores a build: `ready` when it needs no other build and has no packages, else `blocked`.
pub async fn insert_build(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    build: &NewBuild,
) -> sqlx::Result<BuildId> {
    let status = if build.missing == 0 && build.reused.is_none() {
        BuildStatus::Ready
    } else {
        BuildStatus::Blocked
    };
    let row = sqlx::query!(
        r#"insert into build (iteration_id, architecture, pkgbase, stage, level, position, commit_hash,
               tree_hash, commit_time, clone_url, srcinfo_sha256, version, pkgrel, reason, estimate_s, priority_s, status,
               missing, input_hash, shared_build_id, packages_attempt_id, library, bootstrap, without)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           returning id as "id!: BuildId""#,
        iteration,
        build.architecture,
        build.pkgbase,
        build.stage,
        build.level,
        build.position,
        build.commit,
        build.tree,
        build.commit_time,
        build.clone_url,
        build.srcinfo_sha256,
        build.version,
        build.pkgrel,
        build.reason,
        build.estimate_s,
        build.priority_s,
        status,
        build.missing,
        build.input_hash,
        build.shared_build,
        build.reused,
        build.library,
        build.bootstrap,
        build.without,
    )
    .fetch_one(tx.connection())
    .await?;
    for output in &build.outputs {
        sqlx::query!(
            "insert into build_output (build_id, pkgname, architecture) values (?, ?, ?)",
            row.id,
            output.name,
            output.architecture,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(row.id)
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

/// Stores that a build needs another one.
pub async fn insert_edge(
    tx: &mut WriteTransaction,
    build: BuildId,
    needs: BuildId,
    kind: EdgeKind,
) -> sqlx::Result<()> {
    let kind = kind.as_str();
    sqlx::query!(
        "insert into build_edge (build_id, needs_id, kind) values (?, ?, ?)",
        build,
        needs,
        kind,
    )
    .execute(tx.connection())
    .await?;
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

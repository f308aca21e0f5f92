//! Stores a plan: tables `build`, `build_edge`, `build_output` and `plan_note`.

use buildbtw_model::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, NoteKind, PackageVersion, Pkgbase,
    Sha256Digest, TreeHash,
    api::{ExpectedPackage, PlanNote},
};
use buildbtw_planner::DependencyKind;
use sqlx::SqliteExecutor;

use super::{IterationId, WriteTransaction};

/// A build of a new plan.
#[derive(Clone, Debug)]
pub struct NewBuild {
    /// What it is built for.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The longest path from a build that needs nothing.
    pub level: u32,
    /// Its place in a valid order of its architecture.
    pub position: u32,
    /// The commit to build.
    pub commit: CommitHash,
    /// Its tree, where that is known.
    pub tree: Option<TreeHash>,
    /// When that was committed, in seconds.
    pub commit_time: i64,
    /// Where to fetch it.
    pub clone_url: String,
    /// Its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
    /// The version its packages get.
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
    /// How long it is expected to take.
    pub estimate_s: u32,
    /// Seconds of work that wait for it.
    pub priority_s: u32,
    /// How many builds it needs.
    pub missing: u32,
    /// What its packages follow from.
    pub input_hash: Option<Sha256Digest>,
    /// The build of another architecture whose packages it takes.
    pub shared_build: Option<BuildId>,
    /// The attempt of an earlier build whose packages it takes at once.
    pub reused: Option<AttemptId>,
    /// The packages it has to produce.
    pub outputs: Vec<ExpectedPackage>,
}

/// Stores a build: `ready` when it needs nothing and has no packages, else `blocked`.
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
    /// Its package depends on one of the other one's.
    Dependency(DependencyKind),
    /// It is the earlier stage of the same package.
    Stage,
    /// It takes the packages that the other one builds.
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

/// Stores what the planner found worth knowing.
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

/// What the planner found worth knowing. The same note for several architectures comes once.
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

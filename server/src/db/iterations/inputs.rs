//! Tables `iteration_origin` and `iteration_base`: the commits and base snapshot that an iteration was planned with.

use buildbtw_model::{
    Architecture, Changeset, CommitHash, GitRef, Pkgbase, RepositoryName, TreeHash,
};
use sqlx::SqliteExecutor;

use crate::db::{IterationId, WriteTransaction};

/// An origin at the commit an iteration was planned with.
#[derive(Clone, Debug)]
pub struct FixedOrigin {
    /// The changeset.
    pub changeset: Changeset,
    /// The commit that its ref named.
    pub commit: CommitHash,
    /// The tree of the commit, where it is known.
    pub tree: Option<TreeHash>,
}

/// Stores the commits of an iteration's origins.
pub async fn insert_origins(
    tx: &mut WriteTransaction,
    id: IterationId,
    origins: &[FixedOrigin],
) -> sqlx::Result<()> {
    for (position, origin) in (0_i64..).zip(origins) {
        sqlx::query!(
            "insert into iteration_origin
                 (iteration_id, position, pkgbase, git_ref, commit_hash, tree_hash)
             values (?, ?, ?, ?, ?, ?)",
            id,
            position,
            origin.changeset.pkgbase,
            origin.changeset.git_ref,
            origin.commit,
            origin.tree,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Returns the commits of an iteration's origins.
pub async fn origins(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<Vec<(Changeset, CommitHash)>> {
    let fixed = fixed_origins(executor, id).await?.into_iter();
    Ok(fixed
        .map(|origin| (origin.changeset, origin.commit))
        .collect())
}

/// Returns the commits of an iteration's origins with their trees.
pub async fn fixed_origins(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<Vec<FixedOrigin>> {
    let rows = sqlx::query!(
        r#"select pkgbase as "pkgbase: Pkgbase", git_ref as "git_ref: GitRef",
           commit_hash as "commit: CommitHash", tree_hash as "tree: TreeHash"
           from iteration_origin where iteration_id = ? order by position"#,
        id,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| FixedOrigin {
            changeset: Changeset {
                pkgbase: row.pkgbase,
                git_ref: row.git_ref,
            },
            commit: row.commit,
            tree: row.tree,
        })
        .collect())
}

/// Stores the digest of a base repository database, or why it could not be read.
pub async fn insert_base(
    tx: &mut WriteTransaction,
    id: IterationId,
    architecture: &Architecture,
    repository: &RepositoryName,
    digest: Result<&str, &str>,
) -> sqlx::Result<()> {
    let (digest, problem) = (digest.ok(), digest.err());
    sqlx::query!(
        "insert into iteration_base (iteration_id, architecture, repository, digest, problem)
         values (?, ?, ?, ?, ?)",
        id,
        architecture,
        repository,
        digest,
        problem,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the digests of the base repository databases that an iteration was planned with.
pub async fn base_digests(
    executor: impl SqliteExecutor<'_>,
    id: IterationId,
) -> sqlx::Result<Vec<(Architecture, RepositoryName, String)>> {
    let rows = sqlx::query!(
        r#"select architecture as "architecture: Architecture",
           repository as "repository: RepositoryName", digest as "digest!"
           from iteration_base where iteration_id = ? and digest is not null"#,
        id,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.architecture, row.repository, row.digest))
        .collect())
}

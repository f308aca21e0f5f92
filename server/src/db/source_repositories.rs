//! Table `source_repository`: the last known state of each source repository.

use buildbtw_model::{
    CommitHash, CommitTime, Explanation, Pkgbase, ProjectId, Sha256Digest, SourceProblemKind,
    TreeHash,
};
use futures_util::stream::BoxStream;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{WriteTransaction, json_list};

/// A source repository in its last known state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRepositoryRow {
    /// Its path, relative to the watched folder or group.
    pub path: String,
    /// The pkgbase in its `.SRCINFO`.
    pub pkgbase: Option<Pkgbase>,
    /// The default branch.
    pub branch: Option<String>,
    /// The head of the default branch.
    pub commit: Option<CommitHash>,
    /// The tree of the commit, where it is known.
    pub tree: Option<TreeHash>,
    /// The time of the commit, in seconds.
    pub commit_time: Option<CommitTime>,
    /// The digest of its `.SRCINFO`.
    pub srcinfo_sha256: Option<Sha256Digest>,
    /// Why it cannot be used.
    pub problem: Option<SourceProblem>,
    /// When this state was found.
    pub changed_at: Millis,
    /// The project in GitLab.
    pub project_id: Option<ProjectId>,
    /// The URL to fetch it over HTTP, unless it follows from the path.
    pub http_url: Option<String>,
    /// The URL to fetch it over SSH.
    pub ssh_url: Option<String>,
}

impl SourceRepositoryRow {
    /// Returns what to do about its problem.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.problem.as_ref()?.hint.as_deref()
    }
}

/// Why a repository cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProblem {
    /// Its kind.
    pub kind: SourceProblemKind,
    /// What is wrong, human-readable.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SourceProblem {
    /// Creates a problem without a hint.
    pub fn new(kind: SourceProblemKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the message with the hint.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation {
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}

/// The columns of a repository.
struct Stored {
    path: String,
    pkgbase: Option<Pkgbase>,
    branch: Option<String>,
    commit: Option<CommitHash>,
    tree: Option<TreeHash>,
    commit_time: Option<CommitTime>,
    srcinfo_sha256: Option<Sha256Digest>,
    problem_kind: Option<SourceProblemKind>,
    problem: Option<String>,
    hint: Option<String>,
    changed_at: Millis,
    project_id: Option<ProjectId>,
    http_url: Option<String>,
    ssh_url: Option<String>,
}

impl From<Stored> for SourceRepositoryRow {
    fn from(row: Stored) -> Self {
        let kind = row.problem_kind.unwrap_or(SourceProblemKind::Unreadable);
        Self {
            path: row.path,
            pkgbase: row.pkgbase,
            branch: row.branch,
            commit: row.commit,
            tree: row.tree,
            commit_time: row.commit_time,
            srcinfo_sha256: row.srcinfo_sha256,
            problem: row.problem.map(|message| SourceProblem {
                kind,
                message,
                hint: row.hint,
            }),
            changed_at: row.changed_at,
            project_id: row.project_id,
            http_url: row.http_url,
            ssh_url: row.ssh_url,
        }
    }
}

macro_rules! select_repository {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Stored,
            r#"select path, pkgbase as "pkgbase: Pkgbase", branch, commit_hash as "commit: CommitHash",
               tree_hash as "tree: TreeHash", commit_time as "commit_time: CommitTime",
               srcinfo_sha256 as "srcinfo_sha256: Sha256Digest",
               problem_kind as "problem_kind: SourceProblemKind", problem, hint,
               changed_at as "changed_at: Millis",
               project_id as "project_id: ProjectId", http_url, ssh_url
               from source_repository "# + $tail
            $(, $argument)*
        )
        .map(SourceRepositoryRow::from)
    };
}

/// Returns all repositories, by path.
pub async fn all(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<SourceRepositoryRow>> {
    select_repository!("order by path")
        .fetch_all(executor)
        .await
}

/// A usable repository with its parsed `.SRCINFO`, for the package index.
pub struct IndexedRow {
    /// Its path, relative to the watched folder or group.
    pub path: String,
    /// The head of the default branch.
    pub commit: CommitHash,
    /// The tree of the commit, where it is known.
    pub tree: Option<TreeHash>,
    /// The time of the commit, in seconds.
    pub commit_time: Option<CommitTime>,
    /// The digest of its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
    /// The parsed `.SRCINFO`, in its stored form.
    pub parsed: String,
    /// The text, if another version of the parser read it.
    pub outdated: Option<String>,
    /// The URL to fetch it over HTTP, unless it follows from the path.
    pub http_url: Option<String>,
    /// The URL to fetch it over SSH.
    pub ssh_url: Option<String>,
}

/// Returns all usable repositories, in no particular order.
pub fn indexed<'e>(
    executor: impl SqliteExecutor<'e> + 'e,
    parser: i64,
) -> BoxStream<'e, sqlx::Result<IndexedRow>> {
    sqlx::query_as!(
        IndexedRow,
        r#"select path, commit_hash as "commit!: CommitHash", tree_hash as "tree: TreeHash",
           commit_time as "commit_time: CommitTime",
           srcinfo_sha256 as "srcinfo_sha256!: Sha256Digest", srcinfo.parsed,
           case when srcinfo.parser = ? then null else srcinfo.text end as "outdated: String",
           http_url, ssh_url
           from source_repository join srcinfo on srcinfo.sha256 = srcinfo_sha256
           where problem is null and commit_hash is not null"#,
        parser,
    )
    .fetch(executor)
}

/// Returns up to `limit` repositories after a path; only those with a problem if `broken`.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    broken: bool,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<SourceRepositoryRow>> {
    select_repository!(
        "where path > ? and (not ? or problem is not null) order by path limit ?",
        after,
        broken,
        limit
    )
    .fetch_all(executor)
    .await
}

/// Returns the usable repository of a pkgbase.
pub async fn usable(
    executor: impl SqliteExecutor<'_>,
    pkgbase: &Pkgbase,
) -> sqlx::Result<Option<SourceRepositoryRow>> {
    select_repository!("where pkgbase = ? and problem is null", pkgbase)
        .fetch_optional(executor)
        .await
}

/// Returns a broken repository that claims this pkgbase, or has it as its name.
pub async fn broken_by_pkgbase(
    executor: impl SqliteExecutor<'_>,
    pkgbase: &Pkgbase,
    name: &str,
) -> sqlx::Result<Option<SourceRepositoryRow>> {
    select_repository!(
        "where problem is not null and (pkgbase = ?1 or path = ?2 or path = ?2 || '.git'
             or substr(path, -length(?2) - 1) = '/' || ?2)
         order by pkgbase is not null desc limit 1",
        pkgbase,
        name
    )
    .fetch_optional(executor)
    .await
}

/// Counts the usable and the broken repositories.
pub async fn counts(executor: impl SqliteExecutor<'_>) -> sqlx::Result<(u64, u64)> {
    let row = sqlx::query!(
        r#"select count(*) filter (where problem is null) as "usable!: u64",
           count(*) filter (where problem is not null) as "broken!: u64" from source_repository"#,
    )
    .fetch_one(executor)
    .await?;
    Ok((row.usable, row.broken))
}

/// Returns the repository at a path.
pub async fn at(
    executor: impl SqliteExecutor<'_>,
    path: &str,
) -> sqlx::Result<Option<SourceRepositoryRow>> {
    select_repository!("where path = ?", path)
        .fetch_optional(executor)
        .await
}

/// Returns the repositories at some paths.
pub async fn at_paths(
    executor: impl SqliteExecutor<'_>,
    paths: &[String],
) -> sqlx::Result<Vec<SourceRepositoryRow>> {
    let paths = json_list(paths)?;
    select_repository!("where path in (select value from json_each(?))", paths)
        .fetch_all(executor)
        .await
}

/// Returns the repository of a project.
pub async fn of_project(
    executor: impl SqliteExecutor<'_>,
    project: ProjectId,
) -> sqlx::Result<Option<SourceRepositoryRow>> {
    select_repository!("where project_id = ?", project)
        .fetch_optional(executor)
        .await
}

/// Returns the repositories of some projects.
pub async fn of_projects(
    executor: impl SqliteExecutor<'_>,
    projects: &[ProjectId],
) -> sqlx::Result<Vec<SourceRepositoryRow>> {
    let projects = json_list(projects)?;
    select_repository!(
        "where project_id in (select value from json_each(?))",
        projects
    )
    .fetch_all(executor)
    .await
}

/// Returns the pkgbases that only broken repositories claim.
pub async fn broken_pkgbases(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<Pkgbase>> {
    sqlx::query_scalar!(
        r#"select distinct pkgbase as "pkgbase!: Pkgbase" from source_repository as refused
           where problem is not null and pkgbase is not null and not exists (
               select 1 from source_repository as usable
               where usable.pkgbase = refused.pkgbase and usable.problem is null)"#
    )
    .fetch_all(executor)
    .await
}

/// Counts the repositories that belong to a project.
pub async fn count_projects(executor: impl SqliteExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from source_repository where project_id is not null"#
    )
    .fetch_one(executor)
    .await
}

/// Returns the projects of all repositories.
pub async fn project_ids(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<ProjectId>> {
    sqlx::query_scalar!(
        r#"select project_id as "id!: ProjectId" from source_repository where project_id is not null"#
    )
    .fetch_all(executor)
    .await
}

/// Returns the broken repositories that claim a pkgbase, by path.
pub async fn refused(
    executor: impl SqliteExecutor<'_>,
    pkgbase: &Pkgbase,
) -> sqlx::Result<Vec<SourceRepositoryRow>> {
    select_repository!(
        "where pkgbase = ? and problem is not null order by path",
        pkgbase
    )
    .fetch_all(executor)
    .await
}

/// Stores the state of a repository in place of its previous row.
pub async fn put(
    tx: &mut WriteTransaction,
    before: Option<&SourceRepositoryRow>,
    row: &SourceRepositoryRow,
) -> sqlx::Result<()> {
    let changed_at = tx.now();
    let path = before.map(|before| &before.path);
    let problem = row.problem.as_ref();
    let problem_kind = problem.map(|problem| problem.kind);
    let hint = problem.and_then(|problem| problem.hint.as_deref());
    let problem = problem.map(|problem| problem.message.as_str());
    sqlx::query!("delete from source_repository where path = ?", path)
        .execute(tx.connection())
        .await?;
    sqlx::query!(
        "insert into source_repository
             (path, pkgbase, branch, commit_hash, tree_hash, commit_time, srcinfo_sha256,
              problem_kind, problem, hint, changed_at, project_id, http_url, ssh_url)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row.path,
        row.pkgbase,
        row.branch,
        row.commit,
        row.tree,
        row.commit_time,
        row.srcinfo_sha256,
        problem_kind,
        problem,
        hint,
        changed_at,
        row.project_id,
        row.http_url,
        row.ssh_url,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a repository that no longer exists.
pub async fn delete(tx: &mut WriteTransaction, path: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from source_repository where path = ?", path)
        .execute(tx.connection())
        .await?;
    Ok(())
}

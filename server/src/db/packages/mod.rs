//! Table `package`: the packages that attempts uploaded, with their repository database entries.

mod repository;

use buildbtw_model::{
    Architecture, AttemptId, PackageFileName, PackageVersion, Pkgname, Sha256Digest, saturating,
};
use sqlx::SqliteExecutor;

use super::{IterationId, NamespaceId, TokenId, WriteTransaction, json_list};

pub use repository::{
    AttemptPackage, Candidate, Listing, Published, conflicting, listings, of_ancestors,
    of_attempts, of_repository, published,
};

/// An uploaded package.
#[derive(Clone, Debug)]
pub struct PackageRow {
    /// The attempt it belongs to.
    pub attempt: AttemptId,
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// Its architecture, `any` included.
    pub architecture: Architecture,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// The entries of a package in repository databases.
#[derive(Clone, Debug)]
pub struct Entries {
    /// Its `desc`.
    pub desc: String,
    /// Its `files`. File lists may be large, so few are read at a time, where they are needed.
    pub files: String,
}

/// The contents of an uploaded package that are stored with its row.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Its entries in repository databases.
    pub entries: Entries,
    /// The shared libraries that it contains and links, one per line.
    pub sonames: String,
}

impl Contents {
    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.desc.len() + self.entries.files.len() + self.sonames.len()
    }
}

macro_rules! select_package {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            PackageRow,
            $head + r#" select package.attempt_id as "attempt!: AttemptId",
               package.file_name as "file_name!: PackageFileName",
               package.pkgname as "pkgname!: Pkgname", package.version as "version!: PackageVersion",
               package.architecture as "architecture!: Architecture", package.size as "size!: u64",
               package.sha256 as "sha256!: Sha256Digest" from package "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the packages of an attempt, by file name.
pub async fn of_attempt(
    executor: impl SqliteExecutor<'_>,
    attempt: AttemptId,
) -> sqlx::Result<Vec<PackageRow>> {
    select_package!("", "where attempt_id = ? order by file_name", attempt)
        .fetch_all(executor)
        .await
}

/// Returns the database entries of the first of some packages: of as many as follow each other until their file lists
/// are longer than `bytes` together. Ends before a package that was removed meanwhile.
pub async fn entries(
    executor: impl SqliteExecutor<'_>,
    packages: &[(AttemptId, &PackageFileName)],
    bytes: i64,
) -> sqlx::Result<Vec<Entries>> {
    let packages = json_list(packages)?;
    let rows = sqlx::query!(
        r#"with wanted as (
               select cast(chosen.key as integer) as position, package.attempt_id,
                   package.file_name,
                   sum(octet_length(package.files_entry)) over (
                       order by chosen.key rows between unbounded preceding and 1 preceding
                   ) as bytes_before
               from json_each(?) as chosen
               cross join package on package.attempt_id = chosen.value ->> 0
                   and package.file_name = chosen.value ->> 1
           )
           select wanted.position as "position!: i64", package.desc_entry as "desc!",
               package.files_entry as "files!"
           from wanted cross join package on package.attempt_id = wanted.attempt_id
               and package.file_name = wanted.file_name
           where coalesce(wanted.bytes_before, 0) <= ? order by wanted.position"#,
        packages,
        bytes,
    )
    .fetch_all(executor)
    .await?;
    let in_sequence = (0_i64..)
        .zip(rows)
        .take_while(|(index, row)| *index == row.position);
    Ok(in_sequence
        .map(|(_, row)| Entries {
            desc: row.desc,
            files: row.files,
        })
        .collect())
}

/// A package that an iteration of a namespace produced.
#[derive(Clone, Debug)]
pub struct Produced {
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// The stage of the build.
    pub stage: u32,
}

/// Keeps the versions of the packages of an iteration that is about to be removed.
pub async fn keep_versions(tx: &mut WriteTransaction, iteration: IterationId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert or ignore into former_package (namespace_id, pkgname, version, stage)
         select iteration.namespace_id, package.pkgname, package.version, build.stage
         from build join iteration on iteration.id = build.iteration_id
         join package on package.attempt_id = build.packages_attempt_id
         where build.iteration_id = ?",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the size of the packages of an iteration, in bytes.
pub async fn size_of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<u64> {
    let row = sqlx::query!(
        r#"select coalesce(sum(package.size), 0) as "size!: u64" from build
           cross join package on package.attempt_id = build.packages_attempt_id
           where build.iteration_id = ? and build.status in ('built', 'reused')"#,
        iteration,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.size)
}

/// Returns the size of the packages of a namespace on disk, in bytes; iterations share files.
pub async fn size_of_namespace(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<u64> {
    let row = sqlx::query!(
        r#"select coalesce(sum(size), 0) as "size!: u64" from package where attempt_id in (
               select packages_attempt_id from build
               join iteration on iteration.id = build.iteration_id
               where iteration.namespace_id = ? and build.status in ('built', 'reused')
           )"#,
        namespace,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.size)
}

/// Returns all packages that the iterations of a namespace have produced.
pub async fn produced_in_namespace(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Vec<Produced>> {
    sqlx::query_as!(
        Produced,
        r#"select package.pkgname as "pkgname!: Pkgname",
           package.version as "version!: PackageVersion", build.stage as "stage!: u32"
           from package join build on build.packages_attempt_id = package.attempt_id
           join iteration on iteration.id = build.iteration_id where iteration.namespace_id = ?1
           union select pkgname, version, stage from former_package where namespace_id = ?1"#,
        namespace,
    )
    .fetch_all(executor)
    .await
}

/// Stores a package that was uploaded with a token; storing it again changes nothing. Returns false, and stores
/// nothing, when its attempt has ended or the token is no longer valid.
pub async fn put(
    tx: &mut WriteTransaction,
    token: TokenId,
    package: &PackageRow,
    contents: &Contents,
) -> sqlx::Result<bool> {
    // No file system supports larger files.
    let size = saturating::<i64, _>(package.size);
    let at = tx.now();
    let result = sqlx::query!(
        "insert into package (attempt_id, file_name, pkgname, version, architecture, size, sha256,
             desc_entry, files_entry, sonames)
         select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
         where exists (select 1 from attempt where id = ?1 and status in ('queued', 'running'))
             and not exists (
                 select 1 from token
                 where id = ?11 and (revoked_at is not null or expires_at <= ?12)
             )
         on conflict (attempt_id, file_name) do update set size = excluded.size,
             sha256 = excluded.sha256, desc_entry = excluded.desc_entry,
             files_entry = excluded.files_entry, sonames = excluded.sonames",
        package.attempt,
        package.file_name,
        package.pkgname,
        package.version,
        package.architecture,
        size,
        package.sha256,
        contents.entries.desc,
        contents.entries.files,
        contents.sonames,
        token,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

#[cfg(test)]
mod tests;

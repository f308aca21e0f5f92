//! The contents of the repositories of iterations.

use buildbtw_model::{
    Architecture, AttemptId, BuildId, NamespaceName, PackageFileName, PackageVersion, Pkgbase,
    Pkgname, Sha256Digest,
};
use sqlx::SqliteExecutor;

use crate::db::{IterationId, json_list};

/// A package that may be listed in a repository. Another stage of its build, or another source package, may have
/// produced a package of the same name.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The source package that produced it.
    pub pkgbase: Pkgbase,
    /// The stage of its build.
    pub stage: u32,
    /// The attempt it belongs to.
    pub attempt: AttemptId,
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// Its digest.
    pub sha256: Sha256Digest,
}

macro_rules! select_candidate {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Candidate,
            $head + r#" select build.pkgbase as "pkgbase!: Pkgbase", build.stage as "stage!: u32",
               package.attempt_id as "attempt!: AttemptId",
               package.file_name as "file_name!: PackageFileName",
               package.pkgname as "pkgname!: Pkgname", package.version as "version!: PackageVersion",
               package.sha256 as "sha256!: Sha256Digest"
               from package join build on build.packages_attempt_id = package.attempt_id "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the packages that the repository of an iteration and architecture contains or is about to contain, in a
/// fixed order.
pub async fn of_repository(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
    architecture: &Architecture,
) -> sqlx::Result<Vec<Candidate>> {
    select_candidate!(
        "",
        "where build.iteration_id = ? and build.architecture = ?
         order by build.stage, package.pkgname, package.file_name",
        iteration,
        architecture
    )
    .fetch_all(executor)
    .await
}

/// Returns the packages of all builds that a build needs, directly or not: its view of the iteration's repository.
/// In a fixed order.
pub async fn of_ancestors(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Vec<Candidate>> {
    select_candidate!(
        "with recursive ancestor (id) as (
             select needs_id from build_edge where build_id = ?
             union
             select build_edge.needs_id from build_edge join ancestor on ancestor.id = build_id
             where build_edge.kind <> 'shared'
         )",
        "join ancestor on ancestor.id = build.id
         order by build.stage, package.pkgname, package.file_name",
        build
    )
    .fetch_all(executor)
    .await
}

/// The entry of a package in a repository database, without its file list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The source package that produced it.
    pub pkgbase: Pkgbase,
    /// The stage of its build.
    pub stage: u32,
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// Its `desc` entry.
    pub desc_entry: String,
}

/// Returns the entries in the database of the repository of an iteration and architecture.
pub async fn listings(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
    architecture: &Architecture,
) -> sqlx::Result<Vec<Listing>> {
    sqlx::query_as!(
        Listing,
        r#"select build.pkgbase as "pkgbase!: Pkgbase", build.stage as "stage: u32",
           package.pkgname as "pkgname: Pkgname", package.version as "version: PackageVersion", package.desc_entry
           from package join build on build.packages_attempt_id = package.attempt_id
           where build.iteration_id = ? and build.architecture = ?
               and build.status in ('built', 'reused')"#,
        iteration,
        architecture,
    )
    .fetch_all(executor)
    .await
}

/// A package of an attempt, as a repository lists it.
#[derive(Clone, Debug)]
pub struct AttemptPackage {
    /// The attempt.
    pub attempt: AttemptId,
    /// The build of the attempt.
    pub build: BuildId,
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its entry.
    pub listing: Listing,
}

/// Returns the packages of attempts, without their file lists.
pub async fn of_attempts(
    executor: impl SqliteExecutor<'_>,
    attempts: &[AttemptId],
) -> sqlx::Result<Vec<AttemptPackage>> {
    let attempts = json_list(attempts)?;
    let rows = sqlx::query!(
        r#"select package.attempt_id as "attempt: AttemptId", attempt.build_id as "build!: BuildId",
           package.file_name as "file_name: PackageFileName", build.pkgbase as "pkgbase!: Pkgbase",
           package.pkgname as "pkgname: Pkgname", package.version as "version: PackageVersion",
           package.desc_entry
           from package join attempt on attempt.id = package.attempt_id
           join build on build.id = attempt.build_id
           where package.attempt_id in (select value from json_each(?))"#,
        attempts,
    )
    .fetch_all(executor)
    .await?;
    let package = rows.into_iter().map(|row| AttemptPackage {
        attempt: row.attempt,
        build: row.build,
        file_name: row.file_name,
        listing: Listing {
            pkgbase: row.pkgbase,
            stage: 1,
            pkgname: row.pkgname,
            version: row.version,
            desc_entry: row.desc_entry,
        },
    });
    Ok(package.collect())
}

/// Returns a package of an attempt under whose file name the repository of its build already has other bytes.
pub async fn conflicting(
    executor: impl SqliteExecutor<'_>,
    attempt: AttemptId,
) -> sqlx::Result<Option<PackageFileName>> {
    sqlx::query_scalar!(
        // Cross joins keep this order: few packages have one file name, an iteration has many builds.
        r#"select own.file_name as "file_name!: PackageFileName" from attempt
           cross join build on build.id = attempt.build_id
           cross join package as own on own.attempt_id = attempt.id
           cross join package as other on other.file_name = own.file_name and other.sha256 <> own.sha256
           cross join build as served on served.packages_attempt_id = other.attempt_id
           where attempt.id = ? and served.iteration_id = build.iteration_id
               and served.architecture = build.architecture
           order by own.file_name limit 1"#,
        attempt,
    )
    .fetch_optional(executor)
    .await
}

/// A package that a repository has to contain.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its build.
    pub build: BuildId,
    /// The attempt that built it.
    pub attempt: AttemptId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The number of the iteration.
    pub iteration: u32,
    /// The architecture of the repository.
    pub architecture: Architecture,
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// Returns all packages of all repositories, ordered by repository.
pub async fn published(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<Published>> {
    sqlx::query_as!(
        Published,
        r#"select build.id as "build: BuildId", package.attempt_id as "attempt: AttemptId",
           namespace.name as "namespace: buildbtw_model::NamespaceName",
           iteration.number as "iteration: u32", build.architecture as "architecture: Architecture",
           package.file_name as "file_name: PackageFileName", package.size as "size: u64",
           package.sha256 as "sha256: Sha256Digest"
           from package join build on build.packages_attempt_id = package.attempt_id
           join iteration on iteration.id = build.iteration_id
           join namespace on namespace.id = iteration.namespace_id
           where build.status in ('built', 'reused')
           order by namespace.name, iteration.number, build.architecture, package.file_name"#
    )
    .fetch_all(executor)
    .await
}

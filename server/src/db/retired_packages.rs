//! Table `retired_package`: packages that removed iterations served under the name of a namespace.

use buildbtw_model::{
    Architecture, AttemptId, NamespaceName, PackageFileName, PackageVersion, Pkgname, Sha256Digest,
};
use sqlx::SqliteExecutor;

use super::packages::Produced;
use super::{IterationId, WriteTransaction};

/// Records the packages that an iteration served under the name of its namespace, before it is removed.
pub async fn retire(tx: &mut WriteTransaction, iteration: IterationId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into retired_package (namespace, architecture, file_name, sha256, iteration,
             pkgname, version, stage)
         select namespace.name, build.architecture, package.file_name, package.sha256,
             iteration.number, package.pkgname, package.version, build.stage
         from build join iteration on iteration.id = build.iteration_id
         join namespace on namespace.id = iteration.namespace_id
         join package on package.attempt_id = build.packages_attempt_id
         where build.iteration_id = ? and build.status in ('built', 'reused')
         on conflict (namespace, architecture, file_name, sha256)
         do update set iteration = max(iteration, excluded.iteration)",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the packages that were served under a namespace's name before their iterations were removed.
pub async fn of_name(
    executor: impl SqliteExecutor<'_>,
    namespace: &NamespaceName,
) -> sqlx::Result<Vec<Produced>> {
    sqlx::query_as!(
        Produced,
        r#"select distinct pkgname as "pkgname!: Pkgname", version as "version!: PackageVersion",
           stage as "stage!: u32" from retired_package where namespace = ?"#,
        namespace,
    )
    .fetch_all(executor)
    .await
}

/// Returns whether exactly the packages of an attempt were served under a namespace's name before.
pub async fn were_served(
    executor: impl SqliteExecutor<'_>,
    namespace: &NamespaceName,
    attempt: AttemptId,
) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select not exists (
               select 1 from package where attempt_id = ?1 and not exists (
                   select 1 from retired_package as retired
                   where retired.namespace = ?2 and retired.file_name = package.file_name
                       and retired.sha256 = package.sha256
               )
           ) as "were_served!: bool""#,
        attempt,
        namespace,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.were_served)
}

/// A package file as a repository serves it.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Whether a namespace that was deleted since served other bytes under the same address.
    pub is_successor: bool,
}

/// Returns the file that the repository of an iteration and architecture serves under a name.
pub async fn served(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
    architecture: &Architecture,
    file_name: &PackageFileName,
) -> sqlx::Result<Option<Served>> {
    sqlx::query_as!(
        Served,
        // A cross join keeps this order: few packages have one file name, an iteration has many builds.
        r#"select package.sha256 as "sha256: Sha256Digest", exists (
               select 1 from iteration join namespace on namespace.id = iteration.namespace_id
               join retired_package as retired on retired.namespace = namespace.name
               where iteration.id = build.iteration_id
                   and retired.architecture = build.architecture
                   and retired.file_name = package.file_name
                   and retired.sha256 <> package.sha256
                   and retired.iteration >= iteration.number
           ) as "is_successor!: bool" from package
           cross join build on build.packages_attempt_id = package.attempt_id
           where package.file_name = ? and build.iteration_id = ? and build.architecture = ?
               and build.status in ('built', 'reused')"#,
        file_name,
        iteration,
        architecture,
    )
    .fetch_optional(executor)
    .await
}

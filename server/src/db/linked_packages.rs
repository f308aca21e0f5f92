//! Table `linked_package`: the shared libraries that accepted packages contain and link. It outlives the packages.

use buildbtw_model::{Architecture, AttemptId, PackageVersion, Pkgname};
use sqlx::SqliteExecutor;

use super::WriteTransaction;

/// The number of versions of one package that are kept.
const KEPT_VERSIONS: i64 = 8;

/// The libraries of an accepted package.
#[derive(Clone, Debug)]
pub struct LinkedPackage {
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// The libraries that it contains and links, one per line.
    pub sonames: String,
}

/// Stores the packages of an accepted attempt, and removes the oldest versions. `are_known` is whether a version of one
/// of them was stored before.
pub async fn insert(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    are_known: bool,
) -> sqlx::Result<()> {
    let accepted_at = tx.now();
    let stored = sqlx::query!(
        r#"insert into linked_package (architecture, pkgname, version, accepted_at, sonames)
           select build.architecture, package.pkgname, package.version, ?, package.sonames
           from package join attempt on attempt.id = package.attempt_id
           join build on build.id = attempt.build_id where package.attempt_id = ?
           on conflict (architecture, pkgname, version) do update set
               accepted_at = excluded.accepted_at, sonames = excluded.sonames
           returning sonames <> '' as "has_libraries!: bool", (
               select count(*) from linked_package as version
               where version.architecture = linked_package.architecture
                   and version.pkgname = linked_package.pkgname
           ) as "versions!: i64""#,
        accepted_at,
        attempt,
    )
    .fetch_all(tx.connection())
    .await?;
    if stored.iter().any(|row| row.versions > KEPT_VERSIONS) {
        remove_oldest(tx, attempt).await?;
    }
    // New packages without libraries change nothing that plans know.
    if are_known || stored.iter().any(|row| row.has_libraries) {
        count_change(tx, attempt).await?;
    }
    Ok(())
}

/// Removes the oldest versions of the packages of an attempt.
async fn remove_oldest(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from linked_package
         where architecture = (
             select build.architecture from attempt join build on build.id = attempt.build_id
             where attempt.id = ?1
         ) and pkgname in (select pkgname from package where attempt_id = ?1) and (
             select count(*) from linked_package as newer
             where newer.architecture = linked_package.architecture
                 and newer.pkgname = linked_package.pkgname
                 and (newer.accepted_at, newer.version)
                     > (linked_package.accepted_at, linked_package.version)
         ) >= ?2",
        attempt,
        KEPT_VERSIONS,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Counts a change of the packages of an attempt's architecture.
async fn count_change(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into linked_change (architecture, changes)
         select build.architecture, 1 from attempt join build on build.id = attempt.build_id
         where attempt.id = ?
         on conflict (architecture) do update set changes = changes + 1",
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns how often the packages of an architecture have changed.
pub async fn changes(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
) -> sqlx::Result<i64> {
    let changes = sqlx::query_scalar!(
        "select changes from linked_change where architecture = ?",
        architecture,
    )
    .fetch_optional(executor)
    .await?;
    Ok(changes.unwrap_or_default())
}

/// Returns all packages of an architecture; of each name the last accepted one comes first.
pub async fn all(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
) -> sqlx::Result<Vec<LinkedPackage>> {
    sqlx::query_as!(
        LinkedPackage,
        r#"select pkgname as "pkgname!: Pkgname", version as "version!: PackageVersion", sonames
           from linked_package where architecture = ?
           order by pkgname, accepted_at desc, version"#,
        architecture,
    )
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests;

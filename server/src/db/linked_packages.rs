//! Table `linked_package`: which shared libraries accepted packages have and link. It outlives the
//! packages.

use buildbtw_model::{Architecture, AttemptId, PackageVersion, Pkgname};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// Versions of one package that are kept.
const KEPT: i64 = 8;

/// What an accepted package has and links.
#[derive(Clone, Debug)]
pub struct LinkedPackage {
    /// Its name.
    pub pkgname: Pkgname,
    /// Its version.
    pub version: PackageVersion,
    /// The libraries, a line each.
    pub sonames: String,
}

/// Remembers the packages of an attempt that was accepted, in place of the oldest versions.
pub async fn remember(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    let accepted_at = Millis::now();
    sqlx::query!(
        "insert into linked_package (architecture, pkgname, version, accepted_at, sonames)
         select build.architecture, package.pkgname, package.version, ?, package.sonames
         from package join attempt on attempt.id = package.attempt_id
         join build on build.id = attempt.build_id where package.attempt_id = ?
         on conflict (architecture, pkgname, version) do update set
             accepted_at = excluded.accepted_at, sonames = excluded.sonames",
        accepted_at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from linked_package where (architecture, pkgname, version) in (
             select old.architecture, old.pkgname, old.version
             from package join attempt on attempt.id = package.attempt_id
             join build on build.id = attempt.build_id
             join linked_package as old
                 on old.architecture = build.architecture and old.pkgname = package.pkgname
             where package.attempt_id = ? and (
                 select count(*) from linked_package as newer
                 where newer.architecture = old.architecture and newer.pkgname = old.pkgname
                     and (newer.accepted_at, newer.version) > (old.accepted_at, old.version)
             ) >= ?
         )",
        attempt,
        KEPT,
    )
    .execute(tx.connection())
    .await?;
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

/// How often they have changed for an architecture.
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

/// All that are known for an architecture, of each package the one that was accepted last first.
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

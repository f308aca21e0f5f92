//! Table `build_release`: what the release of a build depends on.

use buildbtw_model::{BuildId, PackageVersion};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::builds::BuildRow;
use super::{WriteTransaction, json_list};

/// What the release of a build depends on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BuildRelease {
    /// The build.
    pub build: BuildId,
    /// Whether the release is always raised.
    pub is_rebuild: bool,
    /// Whether `pkgver()` is likely to compute another version than `.SRCINFO` says.
    pub is_computed: bool,
    /// The versions of its packages in the base repositories when it was planned. They raise no release in a namespace
    /// without bump.
    pub base: Vec<PackageVersion>,
}

/// The stored row.
struct Row {
    build: BuildId,
    is_rebuild: bool,
    is_computed: bool,
    base: String,
}

impl TryFrom<Row> for BuildRelease {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let base = serde_json::from_str(&row.base);
        Ok(Self {
            build: row.build,
            is_rebuild: row.is_rebuild,
            is_computed: row.is_computed,
            base: base.map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    }
}

/// How many rows one statement stores.
const ROWS_TOGETHER: usize = 500;

/// Stores what the releases of new builds depend on.
pub async fn insert(tx: &mut WriteTransaction, releases: &[BuildRelease]) -> sqlx::Result<()> {
    for chunk in releases.chunks(ROWS_TOGETHER) {
        let rows = json_list(chunk)?;
        sqlx::query!(
            "insert into build_release (build_id, is_rebuild, is_computed, base)
             select value ->> 'build', value ->> 'is_rebuild', value ->> 'is_computed',
                 value -> 'base' from json_each(?)",
            rows,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Returns what the release of a build depends on; nothing for a build that an older server planned.
pub async fn of_build(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Option<BuildRelease>> {
    let row = sqlx::query_as!(
        Row,
        r#"select build_id as "build!: BuildId", is_rebuild as "is_rebuild!: bool",
           is_computed as "is_computed!: bool", base from build_release where build_id = ?"#,
        build,
    )
    .fetch_optional(executor)
    .await?;
    row.map(BuildRelease::try_from).transpose()
}

/// Returns what the releases of some builds depend on.
pub async fn of_builds(
    executor: impl SqliteExecutor<'_>,
    builds: &[BuildId],
) -> sqlx::Result<Vec<BuildRelease>> {
    let builds = json_list(builds)?;
    let rows = sqlx::query_as!(
        Row,
        r#"select build_id as "build!: BuildId", is_rebuild as "is_rebuild!: bool",
           is_computed as "is_computed!: bool", base from build_release
           where build_id in (select value from json_each(?))"#,
        builds,
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(BuildRelease::try_from).collect()
}

/// Returns the versions of a build's packages that its namespace has, or had: those of earlier iterations for any
/// architecture, as in plans, and those of its own iteration for its architecture. With a time, only those that were
/// built by then; it is unknown when packages of removed iterations were built, and these precede the others.
pub async fn earlier(
    executor: impl SqliteExecutor<'_>,
    build: &BuildRow,
    at: Option<Millis>,
) -> sqlx::Result<Vec<PackageVersion>> {
    sqlx::query_scalar!(
        // Cross joins keep this order: few packages have one name, a namespace has many packages.
        r#"select package.version as "version!: PackageVersion" from build_output
           cross join package on package.pkgname = build_output.pkgname
           cross join build on build.packages_attempt_id = package.attempt_id
           cross join iteration on iteration.id = build.iteration_id
           where build_output.build_id = ?1 and iteration.namespace_id = ?2 and build.id <> ?1
               and (iteration.id <> ?3 or build.architecture = ?4)
               and (?6 is null or exists (
                   select 1 from attempt
                   where attempt.id = package.attempt_id and attempt.finished_at <= ?6
               ))
           union select former_package.version from build_output
           join former_package on former_package.namespace_id = ?2
               and former_package.pkgname = build_output.pkgname
           where build_output.build_id = ?1
           union select retired.version from retired_package as retired
           where retired.namespace = ?5 and retired.pkgname in (
               select pkgname from build_output where build_id = ?1
           )"#,
        build.id,
        build.namespace_id,
        build.iteration_id,
        build.architecture,
        build.namespace,
        at,
    )
    .fetch_all(executor)
    .await
}

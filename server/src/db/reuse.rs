//! Table `attempt_origin`: the attempts that built the packages of reused builds.

use buildbtw_model::{Architecture, AttemptId, BuildId, NamespaceName};
use sqlx::SqliteExecutor;

use super::{IterationId, WriteTransaction, json_list};

/// The attempt that built the packages of a reused build.
#[derive(Clone, Debug)]
pub struct ReusedRow {
    /// The reused build.
    pub build: BuildId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its number within its own build.
    pub number: u32,
    /// The namespace it ran in, if known.
    pub namespace: Option<NamespaceName>,
    /// Whether that namespace was deleted.
    pub namespace_deleted: bool,
    /// The number of the iteration, if known.
    pub iteration: Option<u32>,
    /// Its build, unless its iteration was removed.
    pub maker: Option<BuildId>,
    /// The architecture of that build.
    pub architecture: Architecture,
    /// The stage of that build.
    pub stage: u32,
}

macro_rules! select_reused {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            ReusedRow,
            r#"select build.id as "build!: BuildId", attempt.id as "attempt!: AttemptId",
               coalesce(origin.number, attempt.number) as "number!: u32",
               iif(origin.attempt_id is null, namespace.name, origin.namespace)
                   as "namespace: NamespaceName",
               origin.attempt_id is not null and not exists (
                   select 1 from namespace as kept where kept.name = origin.namespace
                       and kept.created_at = origin.namespace_created_at
               ) as "namespace_deleted!: bool",
               iif(origin.attempt_id is null, iteration.number, origin.iteration)
                   as "iteration: u32",
               iif(origin.attempt_id is null, maker.id, null) as "maker: BuildId",
               coalesce(origin.architecture, maker.architecture) as "architecture!: Architecture",
               coalesce(origin.stage, maker.stage) as "stage!: u32"
               from build join attempt on attempt.id = build.packages_attempt_id
               join build as maker on maker.id = attempt.build_id
               join iteration on iteration.id = maker.iteration_id
               join namespace on namespace.id = iteration.namespace_id
               left join attempt_origin as origin on origin.attempt_id = attempt.id
               where build.status = 'reused' and "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the attempts that built the packages of those of some builds that are reused.
pub async fn of_builds(
    executor: impl SqliteExecutor<'_>,
    builds: &[BuildId],
) -> sqlx::Result<Vec<ReusedRow>> {
    let builds = json_list(builds)?;
    select_reused!("build.id in (select value from json_each(?))", builds)
        .fetch_all(executor)
        .await
}

/// Returns the attempt that built the packages of a build, if it is a reused one.
pub async fn of_build(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Option<ReusedRow>> {
    select_reused!("build.id = ?", build)
        .fetch_optional(executor)
        .await
}

/// Records the origin of the attempts whose packages are shared with other iterations, before their iteration is
/// removed. An origin that was recorded before is kept.
pub async fn record_origins(tx: &mut WriteTransaction, iteration: IterationId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert or ignore into attempt_origin
             (attempt_id, namespace, namespace_created_at, iteration, architecture, stage, number)
         select attempt.id, namespace.name, namespace.created_at, iteration.number,
             build.architecture, build.stage, attempt.number
         from attempt join build on build.id = attempt.build_id
         join iteration on iteration.id = build.iteration_id
         join namespace on namespace.id = iteration.namespace_id
         where build.iteration_id = ?1 and exists (
             select 1 from build as sharer
             where sharer.packages_attempt_id = attempt.id and sharer.iteration_id <> ?1
         )",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

//! The builds of an iteration as a graph, without what only their details show.

use buildbtw_model::{Architecture, BuildId, BuildStatus, Pkgbase};
use buildbtw_planner::Estimate;
use sqlx::SqliteExecutor;

use crate::db::{IterationId, json_list};

/// What scheduling needs to know of a build.
pub trait PlannedBuild {
    /// Returns its id.
    fn id(&self) -> BuildId;
    /// Returns its source package.
    fn pkgbase(&self) -> &Pkgbase;
    /// Returns the architecture it is built for.
    fn architecture(&self) -> &Architecture;
    /// Returns its status.
    fn status(&self) -> BuildStatus;
}

/// A build in a graph.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Its id.
    pub id: BuildId,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture it is built for.
    pub architecture: Architecture,
    /// Its status.
    pub status: BuildStatus,
    /// Its expected duration, in seconds.
    pub estimate_s: u32,
    /// What a quarter of the earlier builds stayed below, in seconds; `None` without earlier builds.
    pub estimate_low_s: Option<u32>,
    /// What a quarter of the earlier builds exceeded, in seconds; `None` without earlier builds.
    pub estimate_high_s: Option<u32>,
}

impl NodeRow {
    /// Returns how long earlier builds of its package took, if there are any.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        Some(Estimate {
            low_s: self.estimate_low_s?.into(),
            seconds: self.estimate_s.into(),
            high_s: self.estimate_high_s?.into(),
        })
    }
}

/// Implements [`PlannedBuild`] for a row with these fields.
macro_rules! planned_build {
    ($row:ty) => {
        impl PlannedBuild for $row {
            fn id(&self) -> BuildId {
                self.id
            }

            fn pkgbase(&self) -> &Pkgbase {
                &self.pkgbase
            }

            fn architecture(&self) -> &Architecture {
                &self.architecture
            }

            fn status(&self) -> BuildStatus {
                self.status
            }
        }
    };
}
pub(super) use planned_build;

planned_build!(NodeRow);

/// Returns the builds of an iteration, those of each architecture in a valid order.
pub async fn nodes_of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<NodeRow>> {
    sqlx::query_as!(
        NodeRow,
        r#"select id as "id!: BuildId", pkgbase as "pkgbase!: Pkgbase",
               architecture as "architecture!: Architecture", status as "status!: BuildStatus",
               estimate_s as "estimate_s!: u32", estimate_low_s as "estimate_low_s: u32",
               estimate_high_s as "estimate_high_s: u32"
           from build where iteration_id = ? order by id"#,
        iteration,
    )
    .fetch_all(executor)
    .await
}

/// Returns some builds and those that they wait for, directly or over other blocked builds.
pub async fn awaited(
    executor: impl SqliteExecutor<'_>,
    builds: &[BuildId],
) -> sqlx::Result<Vec<NodeRow>> {
    let builds = json_list(builds)?;
    sqlx::query_as!(
        NodeRow,
        r#"with recursive reached (id) as (
               select value from json_each(?)
               union
               select build_edge.needs_id from reached
               join build on build.id = reached.id and build.status = 'blocked'
               join build_edge on build_edge.build_id = reached.id
           )
           select build.id as "id!: BuildId", build.pkgbase as "pkgbase!: Pkgbase",
               build.architecture as "architecture!: Architecture",
               build.status as "status!: BuildStatus", build.estimate_s as "estimate_s!: u32",
               build.estimate_low_s as "estimate_low_s: u32",
               build.estimate_high_s as "estimate_high_s: u32"
           from reached join build on build.id = reached.id order by build.id"#,
        builds,
    )
    .fetch_all(executor)
    .await
}

/// Returns the edges from some builds: each of them with a build that it needs.
pub async fn edges_from(
    executor: impl SqliteExecutor<'_>,
    builds: &[BuildId],
) -> sqlx::Result<Vec<(BuildId, BuildId)>> {
    let builds = json_list(builds)?;
    let rows = sqlx::query!(
        r#"select build_id as "build: BuildId", needs_id as "needs: BuildId" from build_edge
           where build_id in (select value from json_each(?))"#,
        builds,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.build, row.needs)).collect())
}

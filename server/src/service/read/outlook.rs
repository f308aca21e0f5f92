//! What the builds of an iteration wait for, and when they are expected to end.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, IterationStatus, Pkgbase};
use jiff::Timestamp;

use crate::db::builds::{NodeRow, PlannedBuild, awaited, edges, edges_from, nodes_of_iteration};
use crate::db::iterations::IterationRow;
use crate::db::{Database, attempts, durations, workers};
use crate::error::Error;
use crate::service::eta::{self, Range, Rest};
use crate::service::iteration_graph::IterationGraph;
use crate::service::pipelines::show;
use crate::state::pipelines::Pipelines;
use crate::time::Millis;

use super::lacking::lacking;

/// The outlook of some builds. Builds that wait for nothing have no entries.
#[derive(Default)]
pub(super) struct Outlook {
    /// The failed or cancelled builds that block a build.
    pub(super) blockers: HashMap<BuildId, Vec<Pkgbase>>,
    /// The builds that a build needs directly and that have no packages yet.
    pub(super) waiting: HashMap<BuildId, Vec<Pkgbase>>,
    /// When a build is expected to end.
    pub(super) etas: HashMap<BuildId, Timestamp>,
    /// When the last build is expected to end.
    pub(super) last: Option<Range>,
    /// How many builds that have not ended are of packages without an earlier build.
    pub(super) unknown_durations: u64,
    /// How many builds of each architecture can run at once.
    workers: HashMap<Architecture, usize>,
    /// What no worker has of what the ready builds of an architecture need.
    lacking: HashMap<Architecture, String>,
}

impl Outlook {
    /// Returns the outlook of all builds of an iteration.
    pub(super) async fn of_iteration(
        database: &Database,
        on_gitlab: Option<&Pipelines>,
        iteration: &IterationRow,
    ) -> Result<Self, Error> {
        let (reader, now) = (database.read(), database.clock().now());
        let nodes = nodes_of_iteration(reader, iteration.id).await?;
        let edges = edges(reader, iteration.id).await?;
        let graph = IterationGraph::new(&nodes, &edges);
        let mut outlook = Self {
            blockers: graph.blockers()?,
            waiting: graph.waiting(),
            ..Self::default()
        };
        if iteration.status == IterationStatus::Running {
            outlook.workers = workers(database, on_gitlab, &nodes, now).await?;
            outlook.lacking = lacking(database, iteration.id, now).await?;
            let starts = attempts::starts_of_running(reader, iteration.id).await?;
            let starts = starts.into_iter().map(|(build, at)| (build, at.into()));
            let started: HashMap<BuildId, Timestamp> = starts.collect();
            let rest = Rest {
                nodes: &nodes,
                graph: &graph,
                ended: &durations::of_iteration(reader, iteration.id).await?,
                started: &started,
            };
            let etas = eta::estimate(&rest, &outlook.workers, now.into())?;
            outlook.unknown_durations = eta::unknown_durations(&nodes);
            (outlook.etas, outlook.last) = (etas.builds, etas.last);
        }
        Ok(outlook)
    }

    /// Returns what some builds wait for. Reads only those that they wait for.
    pub(super) async fn of_builds(database: &Database, builds: &[BuildId]) -> Result<Self, Error> {
        let nodes = awaited(database.read(), builds).await?;
        let ids: Vec<BuildId> = nodes.iter().map(PlannedBuild::id).collect();
        let edges = edges_from(database.read(), &ids).await?;
        let graph = IterationGraph::new(&nodes, &edges);
        Ok(Self {
            blockers: graph.blockers()?,
            waiting: graph.waiting(),
            ..Self::default()
        })
    }

    /// Returns what no worker has of what the ready builds of an architecture need.
    pub(super) fn lacking(&self, architecture: &Architecture) -> Option<&str> {
        self.lacking.get(architecture).map(String::as_str)
    }

    /// Returns whether a worker for an architecture is available, or GitLab builds it.
    pub(super) fn has_worker(&self, architecture: &Architecture) -> bool {
        self.workers.contains_key(architecture)
    }
}

async fn workers(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    nodes: &[NodeRow],
    now: Millis,
) -> Result<HashMap<Architecture, usize>, Error> {
    let since = now - workers::WORKER_TIMEOUT;
    let mut workers = workers::jobs_since(database.read(), since).await?;
    show::runners(on_gitlab, nodes, &mut workers);
    Ok(workers)
}

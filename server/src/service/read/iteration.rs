//! One iteration with all its builds.

use std::collections::HashMap;

use buildbtw_model::api::{
    ArchitectureSummary, BuildCounts, BuildSummary, IterationDetail, IterationSummary,
    OriginSummary, RepositorySnippet,
};
use buildbtw_model::{Architecture, BuildId, BuildStatus, IterationStatus, NamespaceName};
use jiff::Timestamp;

use crate::address::BaseUrl;
use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::iterations::IterationRow;
use crate::db::reuse::ReusedRow;
use crate::db::{Database, attempts, builds, iterations, packages, plans, reuse, workers};
use crate::disk::Shortage;
use crate::error::Error;
use crate::service::eta;
use crate::service::iteration_graph::IterationGraph;
use crate::service::pipelines::show;
use crate::service::version_notes::VersionNotes;
use crate::state::pipelines::Pipelines;
use crate::time::Millis;

use super::find::find_namespace;
use super::summary::{build_summary, link_to_origin};

pub(super) async fn iteration_summary(
    database: &Database,
    row: &IterationRow,
) -> Result<(IterationSummary, Vec<(Architecture, BuildCounts)>), Error> {
    let per_architecture = iterations::counts(database.read(), row.id).await?;
    let mut counts = BuildCounts::default();
    for (_, part) in &per_architecture {
        counts.blocked += part.blocked;
        counts.ready += part.ready;
        counts.building += part.building;
        counts.done += part.done;
        counts.failed += part.failed;
        counts.cancelled += part.cancelled;
    }
    let summary = IterationSummary {
        number: row.number,
        status: row.status,
        reason: row.reason.clone(),
        causes: row.causes.0.clone(),
        counts,
        superseded_by: row.superseded_by,
        created_at: row.created_at.into(),
        finished_at: row.finished_at.map(Into::into),
        eta: None,
        size: packages::size_of_iteration(database.read(), row.id).await?,
    };
    Ok((summary, per_architecture))
}

/// Returns an iteration with all its builds; the newest one when no number is given. A shortage of the disk stalls it.
///
/// # Errors
/// When there is none.
pub async fn show_iteration(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    shortage: Option<Shortage>,
    server: &BaseUrl,
    name: &NamespaceName,
    number: Option<u32>,
) -> Result<IterationDetail, Error> {
    let namespace = find_namespace(database, name).await?;
    let reader = database.read();
    let row = match number {
        Some(number) => iterations::by_number(reader, namespace.id, number).await?,
        None => iterations::newest(reader, namespace.id).await?,
    };
    let row = row.ok_or_else(|| {
        let number = number.unwrap_or_default();
        Error::not_found(format!("iteration {number} of namespace `{name}`"))
    })?;
    let (mut summary, per_architecture) = iteration_summary(database, &row).await?;
    let builds = Builds::read(database, on_gitlab, &row).await?;
    let graph = builds.graph();
    let etas = builds.etas(&graph);
    summary.eta = etas.values().max().copied();
    let summaries = builds.summaries(database, on_gitlab, &graph, etas).await?;
    let done = iterations::newest_done(reader, namespace.id).await?;
    let offered = OfferedRepository::of(&row, done.as_ref());
    let architectures = per_architecture
        .into_iter()
        .map(|(architecture, counts)| ArchitectureSummary {
            stalled: builds.stalled(on_gitlab, shortage, &architecture, &counts),
            repository: offered.snippet(server, name, &architecture),
            architecture,
            counts,
        })
        .collect();
    let origins = iterations::origins(reader, row.id).await?;
    Ok(IterationDetail {
        summary,
        origins: origins
            .into_iter()
            .map(|(changeset, commit)| OriginSummary { changeset, commit })
            .collect(),
        architectures,
        notes: plans::notes(reader, row.id).await?,
        changes: iterations::changes(reader, row.id).await?,
        builds: summaries,
    })
}

/// The builds of an iteration, with the capacity of workers.
struct Builds<'a> {
    iteration: &'a IterationRow,
    rows: Vec<BuildRow>,
    edges: Vec<(BuildId, BuildId)>,
    newest: HashMap<BuildId, AttemptRow>,
    /// How many builds of each architecture can run at once.
    workers: HashMap<Architecture, usize>,
    /// When they were read.
    read_at: Millis,
}

impl<'a> Builds<'a> {
    async fn read(
        database: &Database,
        on_gitlab: Option<&Pipelines>,
        iteration: &'a IterationRow,
    ) -> Result<Self, Error> {
        let (reader, read_at) = (database.read(), database.clock().now());
        let rows = builds::of_iteration(reader, iteration.id).await?;
        let newest = attempts::newest_of_iteration(reader, iteration.id).await?;
        let newest = newest.into_iter().map(|attempt| (attempt.build, attempt));
        let newest = newest.collect();
        let edges = builds::edges(reader, iteration.id).await?;
        let mut workers = workers::jobs_since(reader, read_at - workers::WORKER_TIMEOUT).await?;
        show::runners(on_gitlab, &rows, &mut workers);
        Ok(Self {
            iteration,
            rows,
            edges,
            newest,
            workers,
            read_at,
        })
    }

    /// Returns the builds as a graph of needs.
    fn graph(&self) -> IterationGraph<'_> {
        IterationGraph::new(&self.rows, &self.edges)
    }

    /// Returns the expected end of each build.
    fn etas(&self, graph: &IterationGraph<'_>) -> HashMap<BuildId, Timestamp> {
        match self.iteration.status {
            IterationStatus::Running => {}
            IterationStatus::Done | IterationStatus::Failed | IterationStatus::Cancelled => {
                return HashMap::new();
            }
        }
        let started = self
            .newest
            .iter()
            .filter_map(|(build, attempt)| Some((*build, Timestamp::from(attempt.started_at?))));
        let now = self.read_at.into();
        eta::estimate(graph, &started.collect(), &self.workers, now)
    }

    async fn summaries(
        &self,
        database: &Database,
        on_gitlab: Option<&Pipelines>,
        graph: &IterationGraph<'_>,
        etas: HashMap<BuildId, Timestamp>,
    ) -> Result<Vec<BuildSummary>, Error> {
        let blockers = graph.blockers();
        let mut waiting = graph.waiting();
        let version_notes = VersionNotes::of_iteration(database, self.iteration.id).await?;
        let reused = reuse::of_iteration(database.read(), self.iteration.id).await?;
        let reused = reused.into_iter().map(|reused| (reused.build, reused));
        let reused: HashMap<BuildId, ReusedRow> = reused.collect();
        let mut builds = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let blocked_by = blockers.get(&row.id).cloned().unwrap_or_default();
            let mut summary = build_summary(row, self.newest.get(&row.id), blocked_by);
            if let Some(reused) = reused.get(&row.id) {
                link_to_origin(&mut summary, reused);
            }
            summary.waits_for = waiting.remove(&row.id).unwrap_or_default();
            summary.version_note = version_notes.of(row);
            summary.eta = etas.get(&row.id).copied();
            builds.push(summary);
        }
        let dispatched: Vec<_> = builds
            .iter()
            .filter(|build| build.status == BuildStatus::Dispatched)
            .filter_map(|build| build.attempt)
            .collect();
        let pipelines = show::of_attempts(database, &dispatched).await?;
        show::explain(on_gitlab, &mut builds, &pipelines);
        Ok(builds)
    }

    /// Returns why no build is dispatched for an architecture, if it is stalled.
    fn stalled(
        &self,
        on_gitlab: Option<&Pipelines>,
        shortage: Option<Shortage>,
        architecture: &Architecture,
        counts: &BuildCounts,
    ) -> Option<String> {
        if self.iteration.status != IterationStatus::Running {
            return None;
        }
        if let Some(shortage) = shortage {
            return Some(shortage.failure().to_string());
        }
        if counts.ready > 0 && !self.workers.contains_key(architecture) {
            return Some(format!("no worker for {architecture}"));
        }
        show::stalled(on_gitlab, architecture)
    }
}

/// The repository that is shown with an iteration.
struct OfferedRepository {
    which: String,
    note: String,
}

impl OfferedRepository {
    /// Prefers the newest complete iteration, because an incomplete rebuild may break a system.
    fn of(shown: &IterationRow, done: Option<&IterationRow>) -> Self {
        let number = shown.number;
        if let Some(later) = shown.superseded_by {
            return Self {
                which: number.to_string(),
                note: format!(
                    "It serves iteration {number}, which was superseded by iteration {later}."
                ),
            };
        }
        match done {
            Some(done) => Self {
                which: "latest".into(),
                note: format!(
                    "It serves the newest complete iteration, now number {}. Replace `latest` with \
                     `current` for the newest one as it is built.",
                    done.number
                ),
            },
            None => Self {
                which: "current".into(),
                note: "It serves the newest iteration as it is built. Replace `current` with `latest` \
                       for the newest complete one, once there is one."
                    .into(),
            },
        }
    }

    /// Returns the section for pacman.conf that enables the repository.
    fn snippet(
        &self,
        server: &BaseUrl,
        name: &NamespaceName,
        architecture: &Architecture,
    ) -> RepositorySnippet {
        let base = format!("{server}/repo/{name}/{}", self.which);
        RepositorySnippet {
            url: format!("{base}/{architecture}"),
            pacman_conf: format!("[{name}]\nSigLevel = Never\nServer = {base}/$arch\n"),
            note: self.note.clone(),
        }
    }
}

//! What there is to see: the answers of the API and the content of the pages, made from rows.

use std::collections::{BTreeMap, HashMap};

use buildbtw_model::api::{
    ArchitectureSummary, AttemptSummary, BuildCounts, BuildDetail, BuildSummary, Event,
    IterationDetail, IterationSummary, NamespaceDetail, NamespaceSummary, OriginSummary,
    PackageSummary, Page, PipelineSummary, ProblemKind, RepositorySnippet, ReusedFrom,
    SourceRepositorySummary, SourcesOverview, SourcesProgress, SourcesTrouble,
};
use buildbtw_model::{Architecture, BuildId, BuildStatus, IterationStatus, NamespaceName, Pkgbase};

use jiff::Timestamp;

use crate::address::BaseUrl;
use crate::app_state::AppState;
use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::events::EventRow;
use crate::db::iterations::IterationRow;
use crate::db::namespaces::NamespaceRow;
use crate::db::reuse::ReusedRow;
use crate::db::{
    NamespaceId, attempts, builds, events, iterations, namespaces, now, packages, plans, reuse,
    source_repositories, srcinfos, timestamp, unsigned, workers,
};
use crate::error::{Error, Refusal};

use super::iteration_graph::IterationGraph;
use super::source_problems::Fetched;
use super::version_notes::VersionNotes;
use super::{eta, pipelines, refusals};

/// How many entries a page of a list has.
const PAGE: usize = 100;

/// The namespace of a name.
///
/// # Errors
/// When there is none.
pub async fn find_namespace(state: &AppState, name: &NamespaceName) -> Result<NamespaceRow, Error> {
    namespaces::by_name(state.database.read(), name)
        .await?
        .ok_or_else(|| {
            Refusal::new(
                ProblemKind::NotFound,
                format!("there is no namespace '{name}'"),
            )
            .hint("`buildbtw list` shows the namespaces there are")
            .into()
        })
}

fn parse_cursor(cursor: Option<&str>, first: i64) -> Result<i64, Error> {
    let Some(cursor) = cursor else {
        return Ok(first);
    };
    cursor.parse().map_err(|_| {
        Error::refused(
            ProblemKind::InvalidRequest,
            "'cursor' is not one this server gave",
        )
    })
}

/// A page of the namespaces, the newest first.
///
/// # Errors
/// When the cursor is none.
pub async fn list_namespaces(
    state: &AppState,
    cursor: Option<&str>,
) -> Result<Page<NamespaceSummary>, Error> {
    let before = parse_cursor(cursor, i64::MAX)?;
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = namespaces::page(state.database.read(), before, limit).await?;
    let next = (rows.len() > PAGE).then(|| {
        rows.truncate(PAGE);
        rows[PAGE - 1].id.0.to_string()
    });
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(namespace_summary(state, row).await?);
    }
    Ok(Page { items, next })
}

async fn namespace_summary(state: &AppState, row: NamespaceRow) -> Result<NamespaceSummary, Error> {
    let reader = state.database.read();
    let newest = iterations::newest(reader, row.id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("namespace {} has no iteration", row.name))?;
    Ok(NamespaceSummary {
        changesets: namespaces::origins(reader, row.id).await?,
        name: row.name,
        scope: row.scope,
        network: state.config.network.effective(row.network),
        held: row.held_at.is_some(),
        created_at: timestamp(row.created_at),
        iteration: iteration_summary(state, &newest).await?.0,
    })
}

/// A namespace with its iterations.
///
/// # Errors
/// When there is none of this name.
pub async fn show_namespace(
    state: &AppState,
    server: &BaseUrl,
    name: &NamespaceName,
) -> Result<NamespaceDetail, Error> {
    let row = find_namespace(state, name).await?;
    let mut all = Vec::new();
    for iteration in iterations::of_namespace(state.database.read(), row.id).await? {
        all.push(iteration_summary(state, &iteration).await?.0);
    }
    Ok(NamespaceDetail {
        web_url: format!("{server}/namespaces/{}", row.name),
        size: unsigned(packages::size_of_namespace(state.database.read(), row.id).await?),
        refused: refusals::reason(state, row.id).await?,
        summary: namespace_summary(state, row).await?,
        iterations: all,
    })
}

async fn iteration_summary(
    state: &AppState,
    row: &IterationRow,
) -> Result<(IterationSummary, Vec<(Architecture, BuildCounts)>), Error> {
    let per_architecture = iterations::counts(state.database.read(), row.id).await?;
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
        number: unsigned(row.number),
        status: row.status,
        reason: row.reason.clone(),
        counts,
        superseded_by: row.superseded_by.map(unsigned),
        created_at: timestamp(row.created_at),
        finished_at: row.finished_at.map(timestamp),
        eta: None,
        size: unsigned(packages::size_of_iteration(state.database.read(), row.id).await?),
    };
    Ok((summary, per_architecture))
}

/// An iteration with all its builds; the newest when no number is given.
///
/// # Errors
/// When there is none.
pub async fn show_iteration(
    state: &AppState,
    server: &BaseUrl,
    name: &NamespaceName,
    number: Option<u32>,
) -> Result<IterationDetail, Error> {
    let namespace = find_namespace(state, name).await?;
    let reader = state.database.read();
    let row = match number {
        Some(number) => iterations::by_number(reader, namespace.id, number.into()).await?,
        None => iterations::newest(reader, namespace.id).await?,
    };
    let row = row.ok_or_else(|| {
        let number = number.unwrap_or_default();
        Error::not_found(format!("iteration {number} of namespace '{name}'"))
    })?;
    let (mut summary, per_architecture) = iteration_summary(state, &row).await?;
    let rows = builds::of_iteration(reader, row.id).await?;
    let newest: HashMap<BuildId, AttemptRow> = attempts::newest_of_iteration(reader, row.id)
        .await?
        .into_iter()
        .map(|attempt| (attempt.build, attempt))
        .collect();
    let edges = builds::edges(reader, row.id).await?;
    let graph = IterationGraph::new(&rows, &edges);
    let mut workers = workers::jobs_since(reader, now() - workers::WORKER_SILENCE_MS).await?;
    pipelines::show::runners(state, &rows, &mut workers);
    let etas = match row.status {
        IterationStatus::Running => {
            let started = newest
                .iter()
                .filter_map(|(build, attempt)| Some((*build, timestamp(attempt.started_at?))));
            eta::estimate(
                &rows,
                &graph,
                &started.collect(),
                &workers,
                Timestamp::now(),
            )
        }
        IterationStatus::Done | IterationStatus::Failed | IterationStatus::Cancelled => {
            HashMap::new()
        }
    };
    summary.eta = etas.values().max().copied();
    let blockers = graph.blockers();
    let mut waiting = graph.waiting();
    let version_notes = VersionNotes::of_iteration(state, row.id).await?;
    let mut reused: HashMap<BuildId, ReusedRow> = reuse::of_iteration(reader, row.id)
        .await?
        .into_iter()
        .map(|reused| (reused.build, reused))
        .collect();
    let mut builds: Vec<_> = rows
        .iter()
        .map(|build| {
            let blocked_by = blockers.get(&build.id).cloned().unwrap_or_default();
            let mut summary = build_summary(build, newest.get(&build.id), blocked_by);
            if let Some(reused) = reused.remove(&build.id) {
                lead_to_origin(&mut summary, &reused);
            }
            summary.waits_for = waiting.remove(&build.id).unwrap_or_default();
            summary.version_note = version_notes.of(build);
            summary.eta = etas.get(&build.id).copied();
            summary
        })
        .collect();
    let handed_out: Vec<_> = builds
        .iter()
        .filter(|build| build.status == BuildStatus::Dispatched)
        .filter_map(|build| build.attempt)
        .collect();
    let on_gitlab = pipelines::show::of_attempts(state, &handed_out).await?;
    pipelines::show::explain(state, &mut builds, &on_gitlab);
    let served = Served::of(
        &row,
        iterations::newest_done(reader, namespace.id)
            .await?
            .as_ref(),
    );
    let architectures = per_architecture
        .into_iter()
        .map(|(architecture, counts)| ArchitectureSummary {
            stalled: (row.status == IterationStatus::Running
                && counts.ready > 0
                && !workers.contains_key(&architecture))
            .then(|| format!("no worker for {architecture}"))
            .or_else(|| {
                let is_running = row.status == IterationStatus::Running;
                pipelines::show::stalled(state, &architecture).filter(|_| is_running)
            }),
            repository: served.snippet(server, name, &architecture),
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
        builds,
    })
}

/// The repository that is offered with an iteration.
struct Served {
    which: String,
    note: String,
}

impl Served {
    /// Nobody wants half of a rebuild on a system, as long as there is a whole one.
    fn of(shown: &IterationRow, done: Option<&IterationRow>) -> Self {
        let number = shown.number;
        if let Some(later) = shown.superseded_by {
            return Self {
                which: number.to_string(),
                note: format!(
                    "It serves iteration {number}, which iteration {later} has replaced."
                ),
            };
        }
        match done {
            Some(done) => Self {
                which: "latest".into(),
                note: format!(
                    "It serves the newest complete iteration, now number {}. With `current` for \
                     `latest` it serves the newest one as it is built.",
                    done.number
                ),
            },
            None => Self {
                which: "current".into(),
                note: "It serves the newest iteration as it is built. With `latest` for `current` \
                       it serves the newest complete one, once there is one."
                    .into(),
            },
        }
    }

    /// What to put into pacman.conf to use the packages.
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

fn build_summary(
    row: &BuildRow,
    newest: Option<&AttemptRow>,
    blocked_by: Vec<Pkgbase>,
) -> BuildSummary {
    let message = row
        .message
        .clone()
        .or_else(|| match (row.status, row.shared_build_id) {
            (BuildStatus::Blocked, Some(_)) => {
                Some("takes the packages of the first architecture's build".to_owned())
            }
            _ => None,
        });
    BuildSummary {
        id: row.id,
        pkgbase: row.pkgbase.clone(),
        architecture: row.architecture.clone(),
        stage: unsigned(row.stage),
        level: unsigned(row.level),
        status: row.status,
        commit: row.commit.clone(),
        version: row.version.clone(),
        version_note: None,
        reason: row
            .reason
            .split(' ')
            .filter_map(|pkgbase| pkgbase.parse().ok())
            .collect(),
        via: row
            .library
            .as_ref()
            .map(|library| format!("links {library}")),
        bootstrap: row.bootstrap,
        message,
        blocked_by,
        waits_for: Vec::new(),
        attempt: newest.map(|attempt| attempt.id),
        reused_from: None,
        started_at: newest.and_then(|attempt| attempt.started_at).map(timestamp),
        finished_at: row.finished_at.map(timestamp),
        estimate_s: unsigned(row.estimate_s),
        eta: None,
    }
}

/// Lets a reused build lead to the attempt that made its packages. Its own time is not that one's.
fn lead_to_origin(summary: &mut BuildSummary, row: &ReusedRow) {
    summary.attempt = Some(row.attempt);
    summary.started_at = None;
    summary.reused_from = Some(ReusedFrom {
        attempt: row.attempt,
        number: unsigned(row.number),
        namespace: row.namespace.clone(),
        namespace_deleted: row.namespace_deleted,
        iteration: row.iteration.map(unsigned),
        build: row.maker,
        architecture: row.architecture.clone(),
        stage: unsigned(row.stage),
        made_by: None,
    });
}

/// The attempt that made the packages of a reused build, as the build it was made for knew it.
async fn origin_attempt(
    state: &AppState,
    reused: &ReusedRow,
) -> Result<Option<AttemptSummary>, Error> {
    let Some(mut row) = attempts::by_id(state.database.read(), reused.attempt).await? else {
        return Ok(None);
    };
    row.number = reused.number;
    let mut pipelines = pipelines::show::of_attempts(state, &[row.id]).await?;
    let pipeline = pipelines.remove(&row.id);
    Ok(Some(attempt_summary(row, pipeline)))
}

/// A build with its attempts and packages.
///
/// # Errors
/// When there is none of this number.
pub async fn show_build(
    state: &AppState,
    server: &BaseUrl,
    id: BuildId,
) -> Result<BuildDetail, Error> {
    let reader = state.database.read();
    let row = builds::by_id(reader, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("build {id}")))?;
    let all = builds::of_iteration(reader, row.iteration_id).await?;
    let edges = builds::edges(reader, row.iteration_id).await?;
    let graph = IterationGraph::new(&all, &edges);
    let blockers = graph.blockers();
    let summary = |row: &BuildRow, attempt: Option<&AttemptRow>| {
        build_summary(
            row,
            attempt,
            blockers.get(&row.id).cloned().unwrap_or_default(),
        )
    };
    let attempts = attempts::of_build(reader, id).await?;
    let mut own = summary(&row, attempts.first());
    let version_notes = VersionNotes::of_build(state, id).await?;
    own.version_note = version_notes.of(&row);
    if let Some(reused) = reuse::of_build(reader, id).await? {
        lead_to_origin(&mut own, &reused);
        if let Some(origin) = &mut own.reused_from {
            origin.made_by = origin_attempt(state, &reused).await?.map(Box::new);
        }
    }
    let ids: Vec<_> = attempts.iter().map(|attempt| attempt.id).collect();
    let mut pipelines = pipelines::show::of_attempts(state, &ids).await?;
    let packages = match row.packages_attempt_id {
        Some(attempt) => packages::of_attempt(reader, attempt).await?,
        None => Vec::new(),
    };
    let folder = format!(
        "{server}/repo/{}/{}/{}",
        row.namespace, row.iteration, row.architecture
    );
    Ok(BuildDetail {
        summary: own,
        namespace: row.namespace.clone(),
        iteration: unsigned(row.iteration),
        needs: graph.needs(id).map(|row| summary(row, None)).collect(),
        needed_by: graph.needed_by(id).map(|row| summary(row, None)).collect(),
        attempts: attempts
            .into_iter()
            .map(|attempt| {
                let pipeline = pipelines.remove(&attempt.id);
                attempt_summary(attempt, pipeline)
            })
            .collect(),
        packages: packages
            .into_iter()
            .map(|package| PackageSummary {
                url: format!("{folder}/{}", package.file_name),
                file_name: package.file_name,
                size: unsigned(package.size),
                sha256: package.sha256,
            })
            .collect(),
    })
}

fn attempt_summary(row: AttemptRow, pipeline: Option<PipelineSummary>) -> AttemptSummary {
    AttemptSummary {
        id: row.id,
        pipeline,
        number: unsigned(row.number),
        status: row.status,
        failure: row.failure,
        message: row.message,
        worker: Some(row.worker),
        created_at: timestamp(row.created_at),
        started_at: row.started_at.map(timestamp),
        finished_at: row.finished_at.map(timestamp),
    }
}

/// Up to `limit` events of a namespace after a number.
///
/// # Errors
/// When the database cannot be read.
pub async fn events_after(
    state: &AppState,
    namespace: NamespaceId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = events::after(state.database.read(), namespace, after, limit).await?;
    Ok(rows.into_iter().map(event).collect())
}

fn event(row: EventRow) -> Event {
    Event {
        id: row.id,
        kind: row.kind,
        iteration: row.iteration.map(unsigned),
        build: row.build,
        pkgbase: row.pkgbase,
        architecture: row.architecture,
        attempt: row.attempt,
        message: row.message,
        at: timestamp(row.at),
    }
}

/// A page of the source repositories by path, only broken ones if asked.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_sources(
    state: &AppState,
    broken: bool,
    cursor: Option<&str>,
) -> Result<Page<SourceRepositorySummary>, Error> {
    let reader = state.database.read();
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let after = cursor.unwrap_or_default();
    let mut rows = source_repositories::page(reader, broken, after, limit).await?;
    let next = (rows.len() > PAGE).then(|| {
        rows.truncate(PAGE);
        rows[PAGE - 1].path.clone()
    });
    let mut items = Vec::with_capacity(rows.len());
    let mut parsed = BTreeMap::new();
    for row in &rows {
        if let Some(sha256) = &row.srcinfo_sha256
            && let Some(srcinfo) = srcinfos::get(reader, sha256).await?
            && let Ok(package) = buildbtw_planner::SourcePackage::from_stored(srcinfo.parsed)
        {
            parsed.insert(row.path.clone(), package);
        }
    }
    let fetched = Fetched::now(state, state.config.network.default);
    for row in rows {
        let package = parsed.get(&row.path);
        items.push(SourceRepositorySummary {
            version: package.map(|package| package.version().clone()),
            warnings: package
                .map(|package| {
                    let problems = package.problems().into_iter();
                    problems
                        .map(|problem| format!("line {}: {}", problem.line, problem.reason))
                        .collect()
                })
                .unwrap_or_default(),
            not_fetched: package
                .map(|package| fetched.messages(package, &state.config.architectures))
                .unwrap_or_default(),
            path: row.path,
            pkgbase: row.pkgbase,
            branch: row.branch,
            commit: row.commit,
            problem: row.problem,
            changed_at: timestamp(row.changed_at),
        });
    }
    Ok(Page { items, next })
}

/// The state of the sources as a whole.
///
/// # Errors
/// When the database cannot be read.
pub async fn sources_overview(state: &AppState) -> Result<SourcesOverview, Error> {
    let (usable, broken) = source_repositories::counts(state.database.read()).await?;
    let status = state.sources.status();
    Ok(SourcesOverview {
        origin: state.sources.title(),
        usable: unsigned(usable),
        broken: unsigned(broken),
        complete: status.complete,
        last_scan_at: status.last_scan,
        last_poll_at: status.last_poll,
        progress: status.progress.map(|progress| SourcesProgress {
            seen: progress.seen,
            total: progress.total,
        }),
        trouble: status.trouble.map(|trouble| SourcesTrouble {
            message: trouble.message,
            since: trouble.since,
        }),
    })
}

//! The iterations of a namespace, and one of them.

use buildbtw_model::api::{
    ArchitectureSummary, BuildCounts, IterationDetail, IterationOverview, IterationSummary,
    OriginSummary, Page, RepositorySnippet,
};
use buildbtw_model::{Architecture, IterationStatus, NamespaceName, StallKind};

use crate::address::BaseUrl;
use crate::db::iterations::IterationRow;
use crate::db::namespaces::NamespaceRow;
use crate::db::{Database, builds, iterations, packages, plans};
use crate::disk::Shortage;
use crate::error::Error;
use crate::service::pipelines::show;
use crate::state::pipelines::Pipelines;

use super::builds::summaries;
use super::find::{find_iteration, find_namespace};
use super::outlook::Outlook;
use super::paging::{List, Paging};

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
        eta_from: None,
        eta_to: None,
        unknown_durations: 0,
        size: packages::size_of_iteration(database.read(), row.id).await?,
    };
    Ok((summary, per_architecture))
}

/// Returns a page of the iterations of a namespace, the newest first.
///
/// # Errors
/// When there is no such namespace, or the cursor or the limit is invalid.
pub async fn list_iterations(
    database: &Database,
    name: &NamespaceName,
    paging: &Paging,
) -> Result<Page<IterationSummary>, Error> {
    let limit = paging.rows()?;
    let namespace = find_namespace(database, name).await?;
    let list = List::Iterations.of(namespace.id);
    let before = paging.number(&list)?.unwrap_or(i64::MAX);
    let reader = database.read();
    let mut rows = iterations::page(reader, namespace.id, before, limit).await?;
    let next = paging.cut(&list, &mut rows, |row| row.number.to_string())?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(iteration_summary(database, row).await?.0);
    }
    Ok(Page { items, next })
}

/// Returns an iteration without its builds; the newest one when no number is given. A shortage of the disk stalls it.
///
/// # Errors
/// When there is none.
pub async fn show_overview(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    shortage: Option<Shortage>,
    server: &BaseUrl,
    name: &NamespaceName,
    number: Option<u32>,
) -> Result<IterationOverview, Error> {
    let (namespace, row) = find_iteration(database, name, number).await?;
    let outlook = match row.status {
        IterationStatus::Running => Outlook::of_iteration(database, on_gitlab, &row).await?,
        IterationStatus::Done | IterationStatus::Failed | IterationStatus::Cancelled => {
            Outlook::default()
        }
    };
    overview(
        database, on_gitlab, shortage, server, &namespace, &row, &outlook,
    )
    .await
}

/// Returns an iteration with all its builds; the newest one when no number is given. Pages show all of them.
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
    let (namespace, row) = find_iteration(database, name, number).await?;
    let outlook = Outlook::of_iteration(database, on_gitlab, &row).await?;
    let overview = overview(
        database, on_gitlab, shortage, server, &namespace, &row, &outlook,
    )
    .await?;
    let rows = builds::of_iteration(database.read(), row.id).await?;
    Ok(overview.with_builds(summaries(database, on_gitlab, &rows, outlook).await?))
}

async fn overview(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    shortage: Option<Shortage>,
    server: &BaseUrl,
    namespace: &NamespaceRow,
    row: &IterationRow,
    outlook: &Outlook,
) -> Result<IterationOverview, Error> {
    let reader = database.read();
    let (mut summary, per_architecture) = iteration_summary(database, row).await?;
    summary.eta = outlook.last.map(|last| last.middle);
    summary.eta_from = outlook.last.map(|last| last.from);
    summary.eta_to = outlook.last.map(|last| last.to);
    summary.unknown_durations = outlook.unknown_durations;
    let done = iterations::newest_done(reader, namespace.id).await?;
    let offered = OfferedRepository::of(row, done.as_ref());
    let architectures = per_architecture
        .into_iter()
        .map(|(architecture, counts)| {
            let stalled = stalled(on_gitlab, shortage, row, outlook, &architecture, &counts);
            let (stalled_kind, stalled) = stalled.unzip();
            ArchitectureSummary {
                stalled,
                stalled_kind,
                repository: offered.snippet(server, &namespace.name, &architecture),
                architecture,
                counts,
            }
        })
        .collect();
    let origins = iterations::origins(reader, row.id).await?;
    Ok(IterationOverview {
        summary,
        origins: origins
            .into_iter()
            .map(|(changeset, commit)| OriginSummary { changeset, commit })
            .collect(),
        architectures,
        notes: plans::notes(reader, row.id).await?,
        changes: iterations::changes(reader, row.id).await?,
    })
}

/// Returns why no build is dispatched for an architecture, if it is stalled.
fn stalled(
    on_gitlab: Option<&Pipelines>,
    shortage: Option<Shortage>,
    iteration: &IterationRow,
    outlook: &Outlook,
    architecture: &Architecture,
    counts: &BuildCounts,
) -> Option<(StallKind, String)> {
    if iteration.status != IterationStatus::Running {
        return None;
    }
    if let Some(shortage) = shortage {
        return Some((StallKind::DiskReserve, shortage.failure().to_string()));
    }
    if counts.ready > 0 && !outlook.has_worker(architecture) {
        let reason = format!("no worker for {architecture}");
        return Some((StallKind::NoWorker, reason));
    }
    let is_on_gitlab = on_gitlab.is_some_and(|on_gitlab| on_gitlab.builds(architecture));
    if let Some(reason) = outlook.lacking(architecture).filter(|_| !is_on_gitlab) {
        return Some((StallKind::NoWorker, reason.to_owned()));
    }
    show::stalled(on_gitlab, architecture)
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

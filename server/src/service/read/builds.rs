//! The builds of an iteration, as a list.

use std::collections::HashMap;

use buildbtw_model::api::{BuildSummary, Page};
use buildbtw_model::{Architecture, BuildId, BuildStatus, IterationStatus, NamespaceName, Pkgbase};

use crate::db::builds::{BuildFilter, BuildRow};
use crate::db::{Database, attempts, builds, reuse};
use crate::error::Error;
use crate::service::pipelines::show;
use crate::service::version_notes::VersionNotes;
use crate::state::pipelines::Pipelines;

use super::find::find_iteration;
use super::outlook::Outlook;
use super::paging::{List, Paging};
use super::summary::{build_summary, link_to_origin};

/// The builds to list. An absent value excludes none.
#[derive(Clone, Debug, Default)]
pub struct WantedBuilds {
    /// Their status.
    pub status: Option<BuildStatus>,
    /// Their architecture.
    pub architecture: Option<Architecture>,
    /// Their source package.
    pub pkgbase: Option<Pkgbase>,
    /// The beginning of their source package.
    pub prefix: Option<String>,
}

/// Returns a page of the builds of an iteration, the newest one when no number is given: those of each architecture in
/// a valid order.
///
/// # Errors
/// When there is no such iteration, or the cursor or the limit is invalid.
pub async fn list_builds(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    name: &NamespaceName,
    number: Option<u32>,
    wanted: WantedBuilds,
    paging: &Paging,
) -> Result<Page<BuildSummary>, Error> {
    let limit = paging.rows()?;
    let (_, iteration) = find_iteration(database, name, number).await?;
    // The iteration, not the number of the request: `current` may become another one between two pages.
    let list = List::Builds.of((iteration.id, &wanted));
    let after = paging.number(&list)?.unwrap_or(0);
    let reader = database.read();
    let filter = BuildFilter {
        status: wanted.status,
        architecture: wanted.architecture,
        pkgbase: wanted.pkgbase,
        prefix: wanted.prefix,
    };
    let mut rows = builds::page(reader, iteration.id, &filter, after, limit).await?;
    let next = paging.cut(&list, &mut rows, |row| row.id.0.to_string())?;
    let outlook = match iteration.status {
        // The expected end of a build depends on all others.
        IterationStatus::Running => Outlook::of_iteration(database, on_gitlab, &iteration).await?,
        IterationStatus::Done | IterationStatus::Failed | IterationStatus::Cancelled => {
            let ids: Vec<BuildId> = rows.iter().map(|row| row.id).collect();
            Outlook::of_builds(database, &ids).await?
        }
    };
    let items = summaries(database, on_gitlab, &rows, outlook).await?;
    Ok(Page { items, next })
}

/// Returns the summaries of builds, with all that lists show of them.
pub(super) async fn summaries(
    database: &Database,
    on_gitlab: Option<&Pipelines>,
    rows: &[BuildRow],
    mut outlook: Outlook,
) -> Result<Vec<BuildSummary>, Error> {
    let ids: Vec<BuildId> = rows.iter().map(|row| row.id).collect();
    let reader = database.read();
    let newest = attempts::newest_of_builds(reader, &ids).await?;
    let newest = newest.into_iter().map(|attempt| (attempt.build, attempt));
    let newest: HashMap<_, _> = newest.collect();
    let reused = reuse::of_builds(reader, &ids).await?;
    let reused = reused.into_iter().map(|reused| (reused.build, reused));
    let reused: HashMap<_, _> = reused.collect();
    let version_notes = VersionNotes::of_builds(database, &ids).await?;
    let mut builds = Vec::with_capacity(rows.len());
    for row in rows {
        let blocked_by = outlook.blockers.remove(&row.id).unwrap_or_default();
        let mut summary = build_summary(row, newest.get(&row.id), blocked_by);
        if let Some(reused) = reused.get(&row.id) {
            link_to_origin(&mut summary, reused);
        }
        summary.waits_for = outlook.waiting.remove(&row.id).unwrap_or_default();
        version_notes.add(row, &mut summary);
        summary.eta = outlook.etas.get(&row.id).copied();
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

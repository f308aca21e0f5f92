//! Full resyncs of the group, one page at a time. The initial sync fills the index and continues after a restart;
//! later resyncs find what polls cannot.

use std::collections::BTreeSet;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind, ProjectId, Selection};
use buildbtw_model::saturating;
use jiff::Timestamp;

use crate::db::source_progress::{self, ProgressRow};
use crate::db::source_repositories;
use crate::outage::Failure;
use crate::sources::status::Progress;
use crate::sources::{SourceEvent, Sources};

use super::group::GitlabGroup;
use super::poll::{MAX_VANISHED, Window};

/// The number of pages between log lines.
const PROGRESS_EVERY_PAGES: u32 = 10;

/// The state of a full resync.
#[derive(Debug)]
pub(crate) struct Resync {
    cursor: Option<String>,
    seen: BTreeSet<ProjectId>,
    /// The number of projects that were read before a restart of the server.
    seen_before: u64,
    total: Option<u64>,
    /// GitLab's time at the start; polls find later changes.
    started_at: Option<Timestamp>,
    /// Whether it is the initial sync.
    is_initial: bool,
    /// Whether all pages were read, so that only [`GitlabGroup::finish`] is left.
    is_at_end: bool,
    /// Whether it was restarted because GitLab rejected its cursor.
    has_restarted: bool,
    pages: u32,
}

/// The result of a step of a resync.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResyncStep {
    /// There are more pages.
    More,
    /// GitLab rejected the cursor; the resync starts over.
    Restarted,
    /// All projects were read.
    Done,
}

/// Returns the progress of the initial sync.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn progress(sources: &Sources) -> sqlx::Result<ProgressRow> {
    let progress = source_progress::get(sources.database().read()).await?;
    Ok(progress.unwrap_or_default())
}

impl Resync {
    /// Continues the initial sync from its stored progress.
    pub(crate) fn initial(progress: ProgressRow) -> Self {
        Self {
            seen_before: progress.seen,
            total: progress.total,
            started_at: progress.began_at.map(Timestamp::from),
            cursor: progress.cursor,
            is_initial: true,
            ..Self::new()
        }
    }

    /// Starts a resync.
    pub(crate) fn new() -> Self {
        Self {
            cursor: None,
            seen: BTreeSet::new(),
            seen_before: 0,
            total: None,
            started_at: None,
            is_initial: false,
            is_at_end: false,
            has_restarted: false,
            pages: 0,
        }
    }

    /// Returns the number of pages read since the start of the server.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    pub(crate) fn is_initial(&self) -> bool {
        self.is_initial
    }

    fn seen(&self) -> u64 {
        self.seen_before + saturating::<u64, _>(self.seen.len())
    }
}

impl GitlabGroup {
    /// Reads the next page.
    pub(crate) async fn read_page(
        &self,
        sources: &Sources,
        resync: &mut Resync,
        window: &mut Window,
    ) -> Result<ResyncStep, Failure> {
        if resync.is_at_end {
            self.finish(sources, resync, window).await?;
            return Ok(ResyncStep::Done);
        }
        let selection = Selection::After(resync.cursor.clone());
        let page = match self.gitlab.projects(&selection).await {
            Ok(page) => page,
            // GitLab may reject a cursor that is old.
            Err(error)
                if resync.cursor.is_some() && !resync.has_restarted && is_cursor_error(&error) =>
            {
                tracing::warn!(
                    error = error.to_string(),
                    "GitLab rejected the cursor of the full resync; restarting it"
                );
                resync.cursor = None;
                resync.seen_before = 0;
                resync.has_restarted = true;
                return Ok(ResyncStep::Restarted);
            }
            Err(error) => return Err(error.into()),
        };
        if resync.started_at.is_none() {
            let newest = page.projects.iter().filter_map(|p| p.last_activity).max();
            resync.started_at = page.date.or(newest);
        }
        resync.total = page.count.or(resync.total);
        let ids: Vec<_> = page.projects.iter().map(|project| project.id).collect();
        let changed = self.store_projects(sources, window, page.projects).await?;
        if !resync.is_initial {
            self.emit_ref_changes(sources, &changed).await?;
        }
        resync.seen.extend(ids);
        resync.cursor = page.next;
        resync.pages += 1;
        resync.is_at_end = resync.cursor.is_none();
        sources.status.set_progress(Progress {
            seen: resync.seen(),
            total: resync.total,
        });
        if resync.is_initial && !resync.is_at_end {
            self.store_progress(sources, resync).await?;
        }
        Ok(ResyncStep::More)
    }

    /// Stores the progress of the initial sync, so that it continues after a restart.
    async fn store_progress(&self, sources: &Sources, resync: &Resync) -> Result<(), Failure> {
        let mut tx = sources.database.write().await?;
        source_progress::record_progress(
            &mut tx,
            resync.cursor.as_deref(),
            resync.seen(),
            resync.total,
            resync.started_at.map(Into::into),
        )
        .await?;
        tx.commit().await?;
        if resync.pages.is_multiple_of(PROGRESS_EVERY_PAGES) {
            tracing::info!(
                sources.seen = resync.seen(),
                sources.total = resync.total,
                "initial sync of the group in progress"
            );
        }
        Ok(())
    }

    async fn finish(
        &self,
        sources: &Sources,
        resync: &Resync,
        window: &mut Window,
    ) -> Result<(), Failure> {
        if !resync.is_initial {
            self.forget_vanished(sources, resync, window).await?;
        }
        let mut tx = sources.database.write().await?;
        source_progress::record_finished(&mut tx, resync.started_at.map(Into::into)).await?;
        tx.commit().await?;
        sources.reassign_free_pkgbases().await?;
        window.watermark = resync.started_at.or(window.watermark);
        // A difference that remains after a full resync would cause another one forever. The initial sync has not
        // checked missing projects yet.
        if !resync.is_initial {
            let total = resync.total.and_then(|total| i64::try_from(total).ok());
            let difference = self.difference(sources, total).await?;
            window.difference = difference.unwrap_or_default();
        }
        sources.status.resync_finished();
        sources.emit(SourceEvent::Resynced);
        tracing::info!(
            sources.seen = resync.seen(),
            "finished a full resync of the group"
        );
        Ok(())
    }

    /// Reads every project by ID that the resync has not shown: it is gone, or moved between pages during the
    /// resync.
    async fn forget_vanished(
        &self,
        sources: &Sources,
        resync: &Resync,
        window: &mut Window,
    ) -> Result<(), Failure> {
        let known = source_repositories::project_ids(sources.database.read()).await?;
        let count = known.len();
        let missing: Vec<ProjectId> = known
            .into_iter()
            .filter(|id| !resync.seen.contains(id))
            .collect();
        let is_most = missing.len() > MAX_VANISHED && missing.len() * 2 > count;
        if is_most && !window.has_shrunk {
            window.has_shrunk = true;
            return Err(Failure::ProjectsMissing {
                shown: count - missing.len(),
                known: count,
            });
        }
        self.refresh_projects(sources, window, &missing).await?;
        window.has_shrunk = false;
        Ok(())
    }
}

/// Returns whether GitLab rejected the cursor.
fn is_cursor_error(error: &GitlabError) -> bool {
    // GitLab has no code for it.
    match &error.kind {
        GitlabErrorKind::Refused(message)
        | GitlabErrorKind::Partial(message)
        | GitlabErrorKind::Status { message, .. } => message.to_lowercase().contains("cursor"),
        _ => false,
    }
}

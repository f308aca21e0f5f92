//! A look at all projects of the group, one page at a time: the first one fills the index and goes on
//! where it stopped, later ones find what polls cannot show.

use std::collections::BTreeSet;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind, ProjectId, Selection};
use jiff::Timestamp;

use crate::db::source_progress::{self, ProgressRow};
use crate::db::source_repositories;
use crate::outage::Failure;
use crate::sources::status::Progress;
use crate::sources::{SourceEvent, Sources};

use super::group::GitlabGroup;
use super::poll::{MAX_VANISHED, Window};

/// How often the log tells how far a resync is, in pages.
const PROGRESS_EVERY_PAGES: u32 = 10;

/// How far a resync has come.
#[derive(Debug)]
pub(crate) struct Resync {
    cursor: Option<String>,
    seen: BTreeSet<ProjectId>,
    /// How many were seen before a restart.
    seen_before: u64,
    total: Option<u64>,
    /// GitLab's time when it started_at: what happens later, polls have to find.
    started_at: Option<Timestamp>,
    /// Whether it is the one that fills the index.
    is_initial: bool,
    /// Whether the last page was looked at, and only the end of the resync is left.
    is_at_end: bool,
    /// Whether it had to begin anew because GitLab did not know its cursor.
    has_restarted: bool,
    pages: u32,
}

/// What a step of a resync led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResyncStep {
    /// There are more pages.
    More,
    /// Where it stopped is not known any more; it begins anew.
    Restarted,
    /// Everything was looked at.
    Done,
}

impl Resync {
    /// The resync that fills the index, from where it has come.
    pub(crate) fn initial(progress: ProgressRow) -> Self {
        Self {
            seen_before: u64::try_from(progress.seen).unwrap_or_default(),
            total: progress.total.and_then(|total| u64::try_from(total).ok()),
            started_at: progress.began_at.map(Timestamp::from),
            cursor: progress.cursor,
            is_initial: true,
            ..Self::new()
        }
    }

    /// A resync over what is known.
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

    /// How many pages it has looked at since the server's start.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    pub(crate) fn is_initial(&self) -> bool {
        self.is_initial
    }

    fn seen(&self) -> u64 {
        self.seen_before + u64::try_from(self.seen.len()).unwrap_or_default()
    }
}

impl GitlabGroup {
    /// Looks at the next page.
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
        let asked = Selection::After(resync.cursor.clone());
        let page = match self.gitlab.projects(&asked).await {
            Ok(page) => page,
            // A cursor of long ago may not be understood any more.
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
            self.emit_touched(sources, &changed).await?;
        }
        resync.seen.extend(ids);
        resync.cursor = page.next;
        resync.pages += 1;
        resync.is_at_end = resync.cursor.is_none();
        sources.status.progressed(Progress {
            seen: resync.seen(),
            total: resync.total,
        });
        if resync.is_initial && !resync.is_at_end {
            self.store_progress(sources, resync).await?;
        }
        Ok(ResyncStep::More)
    }

    /// Notes how far the first look has come, so that a restart goes on there.
    async fn store_progress(&self, sources: &Sources, resync: &Resync) -> Result<(), Failure> {
        let mut tx = sources.database.write().await?;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        source_progress::progressed(
            &mut tx,
            resync.cursor.as_deref(),
            signed(resync.seen()),
            resync.total.map(signed),
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
        source_progress::finished(&mut tx, resync.started_at.map(Into::into)).await?;
        tx.commit().await?;
        sources.grant_all().await?;
        window.watermark = resync.started_at.or(window.watermark);
        // What still differs after everything was looked at would differ after every look. Only the
        // first look has not asked about what it has not met.
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

    /// Asks about every project that the resync has not shown: it is gone, or went past while the pages
    /// were asked for.
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

/// Whether GitLab complains about the cursor it was sent.
fn is_cursor_error(error: &GitlabError) -> bool {
    let is_answer = matches!(
        error.kind,
        GitlabErrorKind::Refused(_) | GitlabErrorKind::Partial(_) | GitlabErrorKind::Status { .. }
    );
    is_answer && error.kind.to_string().to_lowercase().contains("cursor")
}

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
use super::poll::{FEW, Window};

/// How often the log tells how far a walk is, in pages.
const TELL_EVERY: u32 = 10;

/// How far a walk has come.
#[derive(Debug)]
pub(crate) struct Walk {
    cursor: Option<String>,
    seen: BTreeSet<ProjectId>,
    /// How many were seen before a restart.
    seen_before: u64,
    total: Option<u64>,
    /// GitLab's time when it began: what happens later, polls have to find.
    began: Option<Timestamp>,
    /// Whether it is the one that fills the index.
    is_first: bool,
    /// Whether the last page was looked at, and only the end of the walk is left.
    is_over: bool,
    /// Whether it had to begin anew because GitLab did not know its cursor.
    began_anew: bool,
    pages: u32,
}

/// What a step of a walk led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There are more pages.
    More,
    /// Where it stopped is not known any more; it begins anew.
    Anew,
    /// Everything was looked at.
    Done,
}

impl Walk {
    /// The walk that fills the index, from where it has come.
    pub(crate) fn first(progress: ProgressRow) -> Self {
        Self {
            seen_before: u64::try_from(progress.seen).unwrap_or_default(),
            total: progress.total.and_then(|total| u64::try_from(total).ok()),
            began: progress.began_at.map(Timestamp::from),
            cursor: progress.cursor,
            is_first: true,
            ..Self::again()
        }
    }

    /// A walk over what is known.
    pub(crate) fn again() -> Self {
        Self {
            cursor: None,
            seen: BTreeSet::new(),
            seen_before: 0,
            total: None,
            began: None,
            is_first: false,
            is_over: false,
            began_anew: false,
            pages: 0,
        }
    }

    /// How many pages it has looked at since the server's start.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }

    fn seen(&self) -> u64 {
        self.seen_before + u64::try_from(self.seen.len()).unwrap_or_default()
    }
}

impl GitlabGroup {
    /// Looks at the next page.
    pub(crate) async fn step(
        &self,
        sources: &Sources,
        walk: &mut Walk,
        window: &mut Window,
    ) -> Result<Step, Failure> {
        if walk.is_over {
            self.finish(sources, walk, window).await?;
            return Ok(Step::Done);
        }
        let asked = Selection::After(walk.cursor.clone());
        let page = match self.gitlab.projects(&asked).await {
            Ok(page) => page,
            // A cursor of long ago may not be understood any more.
            Err(error) if walk.cursor.is_some() && !walk.began_anew && names_cursor(&error) => {
                tracing::warn!(
                    error = error.to_string(),
                    "GitLab does not know where the look at all projects stopped; it begins anew"
                );
                walk.cursor = None;
                walk.seen_before = 0;
                walk.began_anew = true;
                return Ok(Step::Anew);
            }
            Err(error) => return Err(error.into()),
        };
        if walk.began.is_none() {
            let newest = page.projects.iter().filter_map(|p| p.last_activity).max();
            walk.began = page.date.or(newest);
        }
        walk.total = page.count.or(walk.total);
        let ids: Vec<_> = page.projects.iter().map(|project| project.id).collect();
        let changed = self.enter(sources, window, page.projects).await?;
        if !walk.is_first {
            self.tell_touched(sources, &changed).await?;
        }
        walk.seen.extend(ids);
        walk.cursor = page.next;
        walk.pages += 1;
        walk.is_over = walk.cursor.is_none();
        sources.status.progressed(Progress {
            seen: walk.seen(),
            total: walk.total,
        });
        if walk.is_first && !walk.is_over {
            self.note_progress(sources, walk).await?;
        }
        Ok(Step::More)
    }

    /// Notes how far the first look has come, so that a restart goes on there.
    async fn note_progress(&self, sources: &Sources, walk: &Walk) -> Result<(), Failure> {
        let mut tx = sources.database.write().await?;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        source_progress::record_progress(
            &mut tx,
            walk.cursor.as_deref(),
            signed(walk.seen()),
            walk.total.map(signed),
            walk.began.map(Into::into),
        )
        .await?;
        tx.commit().await?;
        if walk.pages.is_multiple_of(TELL_EVERY) {
            tracing::info!(
                sources.seen = walk.seen(),
                sources.total = walk.total,
                "reading the group for the first time"
            );
        }
        Ok(())
    }

    async fn finish(
        &self,
        sources: &Sources,
        walk: &Walk,
        window: &mut Window,
    ) -> Result<(), Failure> {
        if !walk.is_first {
            self.forget_vanished(sources, walk, window).await?;
        }
        let mut tx = sources.database.write().await?;
        source_progress::record_finished(&mut tx, walk.began.map(Into::into)).await?;
        tx.commit().await?;
        sources.grant_all().await?;
        window.watermark = walk.began.or(window.watermark);
        // What still differs after everything was looked at would differ after every look. Only the
        // first look has not asked about what it has not met.
        if !walk.is_first {
            let total = walk.total.and_then(|total| i64::try_from(total).ok());
            let difference = self.difference(sources, total).await?;
            window.difference = difference.unwrap_or_default();
        }
        sources.status.looked_at_all();
        sources.tell(SourceEvent::Swept);
        tracing::info!(
            sources.seen = walk.seen(),
            "looked at all projects of the group"
        );
        Ok(())
    }

    /// Asks about every project that the walk has not shown: it is gone, or went past while the pages
    /// were asked for.
    async fn forget_vanished(
        &self,
        sources: &Sources,
        walk: &Walk,
        window: &mut Window,
    ) -> Result<(), Failure> {
        let known = source_repositories::project_ids(sources.database.read()).await?;
        let count = known.len();
        let missing: Vec<ProjectId> = known
            .into_iter()
            .filter(|id| !walk.seen.contains(id))
            .collect();
        let is_most = missing.len() > FEW && missing.len() * 2 > count;
        if is_most && !window.has_shrunk {
            window.has_shrunk = true;
            return Err(Failure::ProjectsMissing {
                shown: count - missing.len(),
                known: count,
            });
        }
        self.ask_about(sources, window, &missing).await?;
        window.has_shrunk = false;
        Ok(())
    }
}

/// Whether GitLab complains about the cursor it was sent.
fn names_cursor(error: &GitlabError) -> bool {
    let is_answer = matches!(
        error.kind,
        GitlabErrorKind::Refused(_) | GitlabErrorKind::Partial(_) | GitlabErrorKind::Status { .. }
    );
    is_answer && error.kind.to_string().to_lowercase().contains("cursor")
}

//! Polls the group: reads what changed, in one request while less than a page of projects is active.
//!
//! GitLab lists projects by their last activity, but updates that at most once an hour: after a push a project may
//! keep its old place and time for that long. Therefore all projects are read that were active in a window that
//! begins more than an hour before the last poll, and their commits decide whether something changed.

use std::collections::BTreeSet;

use buildbtw_gitlab::{Contents, Project, ProjectId, Selection};
use buildbtw_telemetry::spawn_blocking_named;
use jiff::{SignedDuration, Timestamp};

use crate::db::{namespaces, source_progress, source_repositories};
use crate::outage::Failure;
use crate::sources::{SourceEvent, Sources};

use super::group::{GitlabGroup, MERGE_REQUESTS};
use super::project;

/// GitLab's last activity may be an hour old; the rest is for differences between clocks.
const OVERLAP: SignedDuration = SignedDuration::from_mins(65);
/// The number of polls between retries of projects that GitLab could not read.
const RETRY_UNREADABLE_EVERY: u32 = 10;
/// The number of projects that may vanish at once without confirmation by a second read. If more seem to be gone,
/// the token has most likely lost its role.
pub(super) const MAX_VANISHED: usize = 10;

/// Whether the success of a task proves that GitLab is available.
pub(crate) enum GitlabContact {
    Confirmed,
    Unknown,
}

/// The state that polls share. All times are GitLab's.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// All changes up to this time have been read.
    pub(super) watermark: Option<Timestamp>,
    /// The difference between GitLab's number of projects and ours that remains after a full resync.
    pub(super) difference: i64,
    /// Projects that GitLab could not read, or that lost their path to another project.
    pub(super) unreadable: BTreeSet<ProjectId>,
    /// Whether the next poll retries them.
    pub(super) retry_soon: bool,
    /// Whether most projects seemed to be gone at the last resync.
    pub(crate) has_shrunk: bool,
    polls: u32,
}

/// The result of a poll, besides what it stored.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    /// Whether projects appeared or disappeared that this poll did not show.
    pub(crate) needs_resync: bool,
}

/// The results of the pages of a poll.
#[derive(Default)]
struct PollResults {
    /// All changes up to this time have been read.
    reached: Option<Timestamp>,
    /// GitLab's number of projects.
    count: Option<i64>,
    /// Projects whose refs may have moved.
    touched: Vec<ProjectId>,
    /// How many projects were new or had changed.
    changed: usize,
}

/// The result of reading projects by ID.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    /// Those that were new or had changed.
    pub(super) changed: Vec<ProjectId>,
    /// Those that GitLab could not read.
    pub(super) unread: BTreeSet<ProjectId>,
}

impl GitlabGroup {
    /// Reads what changed since the last poll.
    pub(crate) async fn poll(
        &self,
        sources: &Sources,
        window: &mut Window,
    ) -> Result<Polled, Failure> {
        let mut seen = self.read_pages(sources, window).await?;
        window.polls = window.polls.wrapping_add(1);
        let is_turn = window.retry_soon || window.polls.is_multiple_of(RETRY_UNREADABLE_EVERY);
        if !window.unreadable.is_empty() && is_turn {
            window.retry_soon = false;
            let ids: Vec<_> = window.unreadable.iter().copied().collect();
            let refreshed = self.refresh_projects(sources, window, &ids).await?;
            seen.changed += refreshed.changed.len();
            seen.touched.extend(refreshed.changed);
        }
        self.emit_ref_changes(sources, &seen.touched).await?;
        self.emit_fork_changes(sources).await?;
        window.watermark = seen.reached.or(window.watermark);
        // Nothing is written without a change: an older mark only makes the first window after a restart longer.
        // While projects are unreadable, a newer mark would skip their changes after a restart.
        if seen.changed > 0
            && window.unreadable.is_empty()
            && let Some(mark) = window.watermark
        {
            let mut tx = sources.database.write().await?;
            source_progress::set_watermark(&mut tx, mark.into()).await?;
            tx.commit().await?;
        }
        if seen.changed > 0 {
            tracing::info!(
                sources.changed = seen.changed,
                "source repositories changed"
            );
        }
        sources.status.polled();
        // Removed projects show in the number only.
        let difference = self.difference(sources, seen.count).await?;
        Ok(Polled {
            needs_resync: difference.is_some_and(|found| found != window.difference),
        })
    }

    /// Reads the pages of projects that were active in the window, and stores changes.
    async fn read_pages(
        &self,
        sources: &Sources,
        window: &mut Window,
    ) -> Result<PollResults, Failure> {
        let limit = window.watermark.map(|mark| mark - OVERLAP);
        let is_in_window = |project: &Project| match (project.last_activity, limit) {
            (Some(active), Some(limit)) => active >= limit,
            _ => true,
        };
        let mut cursor = None;
        let mut seen = PollResults::default();
        loop {
            let page = self.gitlab.projects(&Selection::After(cursor)).await?;
            if seen.reached.is_none() {
                let newest = page.projects.iter().filter_map(|p| p.last_activity).max();
                seen.reached = page.date.or(newest);
                seen.count = page.count.and_then(|count| i64::try_from(count).ok());
            }
            let is_past = !page.projects.iter().all(is_in_window);
            let active = page.projects.iter().filter(|project| is_in_window(project));
            seen.touched.extend(active.map(|project| project.id));
            // Includes projects before the window, since the page has them anyway.
            let entered = self.store_projects(sources, window, page.projects).await?;
            seen.changed += entered.len();
            seen.touched.extend(entered);
            cursor = page.next;
            if is_past || cursor.is_none() {
                return Ok(seen);
            }
            // There may be many pages, and webhooks must not wait for all of them.
            self.process_webhooks(sources, window).await?;
        }
    }

    /// Returns the difference between GitLab's number of projects and ours.
    pub(super) async fn difference(
        &self,
        sources: &Sources,
        count: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let known = source_repositories::count_projects(sources.database.read()).await?;
        Ok(count.map(|count| count - known))
    }

    /// Reads projects by ID, and removes those that are no longer in the group.
    pub(super) async fn refresh_projects(
        &self,
        sources: &Sources,
        window: &mut Window,
        ids: &[ProjectId],
    ) -> Result<Refreshed, Failure> {
        let mut refreshed = Refreshed::default();
        for chunk in ids.chunks(self.gitlab.page_size()) {
            let page = self.gitlab.projects_by_id(chunk).await?;
            let shown: BTreeSet<_> = page.projects.iter().map(|project| project.id).collect();
            let unreadable = page
                .projects
                .iter()
                .filter(|project| matches!(project.contents, Contents::Unknown(_)));
            refreshed
                .unread
                .extend(unreadable.map(|project| project.id));
            let entered = self.store_projects(sources, window, page.projects).await?;
            refreshed.changed.extend(entered);
            let missing: Vec<_> = chunk
                .iter()
                .copied()
                .filter(|id| !shown.contains(id))
                .collect();
            // Only a complete response proves that a project is missing.
            if page.unidentified > 0 || page.next.is_some() {
                refreshed.unread.extend(missing);
                continue;
            }
            for id in &missing {
                window.unreadable.remove(id);
            }
            let removed =
                source_repositories::of_projects(sources.database.read(), &missing).await?;
            if removed.len() > MAX_VANISHED && shown.is_empty() && !window.has_shrunk {
                window.has_shrunk = true;
                return Err(Failure::ProjectsMissing {
                    shown: 0,
                    known: removed.len(),
                });
            }
            sources.store(Vec::new(), removed).await?;
        }
        Ok(refreshed)
    }

    /// Stores changed projects, and returns their IDs.
    pub(super) async fn store_projects(
        &self,
        sources: &Sources,
        window: &mut Window,
        projects: Vec<Project>,
    ) -> Result<Vec<ProjectId>, Failure> {
        window.note_unreadable(&projects);
        let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
        let known = source_repositories::of_projects(sources.database.read(), &ids).await?;
        let group = self.path().to_owned();
        // Parsing the texts of a page takes a while.
        let scanned = spawn_blocking_named("parse projects", move || {
            let scanned = projects.into_iter().filter_map(|project| {
                let id = project.id;
                let known = known.iter().find(|row| row.project_id == Some(id));
                Some((id, project::read(project, &group, known)?))
            });
            scanned.collect::<Vec<_>>()
        })
        .await?;
        let (changed, found): (Vec<_>, Vec<_>) = scanned.into_iter().unzip();
        let displaced = sources.store(found, Vec::new()).await?;
        window.retry_soon |= !displaced.0.is_empty();
        window.unreadable.extend(displaced.0);
        Ok(changed)
    }

    /// Sends the event that refs of projects may have moved.
    pub(super) async fn emit_ref_changes(
        &self,
        sources: &Sources,
        ids: &[ProjectId],
    ) -> Result<(), Failure> {
        let rows = source_repositories::of_projects(sources.database.read(), ids).await?;
        let pkgbases = sources.pkgbases_of(&rows).await?;
        if !pkgbases.is_empty() {
            sources.emit(SourceEvent::Touched(pkgbases));
        }
        Ok(())
    }

    /// Does the same for origins in forks, because a push to a fork is not an activity of the target project.
    async fn emit_fork_changes(&self, sources: &Sources) -> Result<(), Failure> {
        let forks = namespaces::pkgbases_at(sources.database.read(), MERGE_REQUESTS).await?;
        if !forks.is_empty() {
            sources.emit(SourceEvent::Touched(forks.into_iter().collect()));
        }
        Ok(())
    }
}

impl Window {
    /// Continues from the watermark of the last run.
    pub(crate) fn from(watermark: Option<Timestamp>) -> Self {
        Self {
            watermark,
            ..Self::default()
        }
    }

    /// Updates the set of unreadable projects.
    fn note_unreadable(&mut self, projects: &[Project]) {
        for project in projects {
            if matches!(project.contents, Contents::Unknown(_)) {
                self.unreadable.insert(project.id);
            } else {
                self.unreadable.remove(&project.id);
            }
        }
    }
}

//! Finds what moved, in one request while less than a page of projects is active.
//!
//! GitLab lists projects by their last activity, but writes that at most once an hour: a project that
//! was pushed to may keep its old place and time for so long. So everything is looked at that was
//! active in a window that reaches back more than an hour from where the last poll has come, and
//! whether something changed is judged by commits.

use std::collections::BTreeSet;

use buildbtw_model::Pkgbase;
use jiff::{SignedDuration, Timestamp};

use crate::db::{source_progress, source_repositories};
use crate::error::Error;
use crate::gitlab::{Contents, Project, ProjectId, Selection};
use crate::sources::{SourceEvent, Sources};

use super::watch::WatchError;
use super::{GitlabGroup, millis, project};

/// GitLab may be an hour late with a project's last activity; the rest is for clocks.
const OVERLAP: SignedDuration = SignedDuration::from_mins(65);
/// How many polls lie between two questions about projects that GitLab could not read.
const AGAIN_EVERY: u32 = 10;

/// What the polls know of each other. All times are GitLab's.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Every change up to here has been seen.
    pub(super) watermark: Option<Timestamp>,
    /// How many projects the group had.
    pub(super) count: Option<u64>,
    /// Projects that GitLab could not read.
    pub(super) again: BTreeSet<ProjectId>,
    /// Most projects seemed to be gone when everything was last looked at.
    pub(super) has_shrunk: bool,
    polls: u32,
}

/// What a poll has shown besides what it stored.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// Projects came or went that this poll has not shown: a full look is due.
    pub(super) is_suspicious: bool,
}

/// What entering projects has shown.
#[derive(Debug, Default)]
pub(super) struct Entered {
    /// How many were new or had changed.
    pub(super) changed: usize,
    /// How many were not known at all before.
    pub(super) new: usize,
}

impl GitlabGroup {
    /// Looks at what moved since the last poll.
    pub(super) async fn poll(
        &self,
        sources: &Sources,
        window: &mut Window,
    ) -> Result<Polled, WatchError> {
        let limit = window.watermark.map(|mark| mark - OVERLAP);
        let is_in_window = |project: &Project| match (project.last_activity, limit) {
            (Some(active), Some(limit)) => active >= limit,
            _ => true,
        };
        let mut polled = Polled::default();
        let mut total = Entered::default();
        let mut cursor = None;
        let mut reached: Option<Timestamp> = None;
        let mut count = None;
        let mut active = Vec::new();
        loop {
            let page = self.gitlab.projects(&Selection::After(cursor)).await?;
            if reached.is_none() {
                let newest = page.projects.iter().filter_map(|p| p.last_activity).max();
                reached = page.date.or(newest);
                count = page.count;
            }
            polled.is_suspicious |= page.nameless > 0;
            window.note_unreadable(&page.projects);
            let is_past = !page.projects.iter().all(is_in_window);
            active.extend(
                page.projects
                    .iter()
                    .filter(|p| is_in_window(p))
                    .map(|p| p.id),
            );
            // Also what lies before the window: the answer is here already.
            let entered = self.enter(sources, page.projects).await?;
            total.changed += entered.changed;
            total.new += entered.new;
            cursor = page.next;
            if is_past || cursor.is_none() {
                break;
            }
        }
        window.polls = window.polls.wrapping_add(1);
        if !window.again.is_empty() && window.polls.is_multiple_of(AGAIN_EVERY) {
            let ids = window.again.iter().copied().collect();
            self.look_again(sources, window, ids).await?;
        }
        self.tell_touched(sources, &active).await?;
        // New ones are found here; those that vanished show in nothing but the number.
        let new = u64::try_from(total.new).unwrap_or(u64::MAX);
        if let (Some(count), Some(before)) = (count, window.count) {
            polled.is_suspicious |= count != before.saturating_add(new);
        }
        window.count = count.or(window.count);
        window.watermark = reached.or(window.watermark);
        // Nothing is written while nothing happens: an older mark only makes the next start's first
        // window longer.
        if total.changed > 0
            && let Some(mark) = window.watermark
        {
            let mut tx = sources.database.write().await.map_err(Error::from)?;
            source_progress::reached(&mut tx, millis(mark))
                .await
                .map_err(Error::from)?;
            tx.commit().await.map_err(Error::from)?;
            tracing::info!(
                sources.changed = total.changed,
                "source repositories changed"
            );
        }
        sources.status.polled();
        Ok(polled)
    }

    /// Looks at some projects again, and forgets those that are not in the group any more.
    pub(super) async fn look_again(
        &self,
        sources: &Sources,
        window: &mut Window,
        ids: Vec<ProjectId>,
    ) -> Result<(), WatchError> {
        for chunk in ids.chunks(self.gitlab.page_size()) {
            let page = self
                .gitlab
                .projects(&Selection::Only(chunk.to_vec()))
                .await?;
            window.note_unreadable(&page.projects);
            let shown: BTreeSet<_> = page.projects.iter().map(|project| project.id).collect();
            self.enter(sources, page.projects).await?;
            if page.nameless > 0 {
                continue;
            }
            let gone: Vec<_> = chunk.iter().filter(|id| !shown.contains(id)).collect();
            for id in &gone {
                window.again.remove(id);
            }
            let gone: Vec<i64> = gone.into_iter().map(|id| row_id(*id)).collect();
            let gone = source_repositories::of_projects(sources.database.read(), &gone)
                .await
                .map_err(Error::from)?;
            sources.store(Vec::new(), gone).await?;
        }
        Ok(())
    }

    /// Stores what is new about projects.
    pub(super) async fn enter(
        &self,
        sources: &Sources,
        projects: Vec<Project>,
    ) -> Result<Entered, WatchError> {
        let ids: Vec<i64> = projects.iter().map(|project| row_id(project.id)).collect();
        let known = source_repositories::of_projects(sources.database.read(), &ids)
            .await
            .map_err(Error::from)?;
        let new = projects.len().saturating_sub(known.len());
        let group = self.group().to_owned();
        // Parsing a page of texts takes a while.
        let found = tokio::task::spawn_blocking(move || {
            let looked = projects.into_iter().filter_map(|project| {
                let id = Some(row_id(project.id));
                let known = known.iter().find(|row| row.project_id == id);
                project::look(project, &group, known)
            });
            looked.collect::<Vec<_>>()
        })
        .await
        .map_err(Error::from)?;
        let changed = found.len();
        sources.store(found, Vec::new()).await?;
        Ok(Entered { changed, new })
    }

    /// Tells that refs of projects may have moved.
    pub(super) async fn tell_touched(
        &self,
        sources: &Sources,
        ids: &[ProjectId],
    ) -> Result<(), WatchError> {
        let ids: Vec<i64> = ids.iter().map(|id| row_id(*id)).collect();
        let rows = source_repositories::of_projects(sources.database.read(), &ids)
            .await
            .map_err(Error::from)?;
        let pkgbases: BTreeSet<Pkgbase> = rows
            .into_iter()
            .filter(|row| row.problem.is_none())
            .filter_map(|row| row.pkgbase)
            .collect();
        if !pkgbases.is_empty() {
            sources.tell(SourceEvent::Touched(pkgbases));
        }
        Ok(())
    }
}

impl Window {
    /// Goes on from where the polls of the last run have come.
    pub(super) fn from(watermark: Option<Timestamp>) -> Self {
        Self {
            watermark,
            ..Self::default()
        }
    }

    /// Remembers projects that GitLab could not read, until it could.
    pub(super) fn note_unreadable(&mut self, projects: &[Project]) {
        for project in projects {
            if matches!(project.contents, Contents::Unknown(_)) {
                self.again.insert(project.id);
            } else {
                self.again.remove(&project.id);
            }
        }
    }
}

/// A project's number as the database keeps it.
pub(super) fn row_id(id: ProjectId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

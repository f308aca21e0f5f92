//! Finds what moved, in one request while less than a page of projects is active.
//!
//! GitLab lists projects by their last activity, but writes that at most once an hour: a project that
//! was pushed to may keep its old place and time for so long. So everything is looked at that was
//! active in a window that reaches back more than an hour from where the last poll has come, and
//! whether something changed is judged by commits.

use std::collections::BTreeSet;

use buildbtw_gitlab::{Contents, Project, ProjectId, Selection};
use jiff::{SignedDuration, Timestamp};

use crate::db::{namespaces, source_progress, source_repositories};
use crate::outage::Failure;
use crate::sources::{SourceEvent, Sources};

use super::group::{GitlabGroup, MERGE_REQUESTS};
use super::project;

/// GitLab may be an hour late with a project's last activity; the rest is for clocks.
const OVERLAP: SignedDuration = SignedDuration::from_mins(65);
/// How many polls lie between two questions about projects that GitLab could not read.
const AGAIN_EVERY: u32 = 10;
/// So many projects, and no more, may vanish at once without a second look: when all that are asked about
/// seem gone, most likely the token has lost its role.
pub(super) const FEW: usize = 10;

/// Whether GitLab had to answer for something to succeed.
pub(crate) enum Asked {
    Gitlab,
    Nobody,
}

/// What the polls know of each other. All times are GitLab's.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Every change up to here has been seen.
    pub(super) watermark: Option<Timestamp>,
    /// By how much GitLab's number of projects differs from ours for reasons that no full look removes.
    pub(super) difference: i64,
    /// Projects that GitLab could not read, or that lost their path to another one.
    pub(super) again: BTreeSet<ProjectId>,
    /// Whether there is more hope for those than usual.
    pub(super) ask_soon: bool,
    /// Most projects seemed to be gone when everything was last looked at.
    pub(crate) has_shrunk: bool,
    polls: u32,
}

/// What a poll has shown besides what it stored.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    /// Projects came or went that this poll has not shown: a full look is due.
    pub(crate) is_suspicious: bool,
}

/// What the pages of a poll have shown.
#[derive(Default)]
struct Seen {
    /// Every change up to here.
    reached: Option<Timestamp>,
    /// GitLab's number of projects.
    count: Option<i64>,
    /// Projects whose refs may have moved.
    touched: Vec<ProjectId>,
    /// How many projects were new or had changed.
    changed: usize,
}

/// What asking about some projects has shown.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Those that were new or had changed.
    pub(super) changed: Vec<ProjectId>,
    /// Those about which GitLab could not tell.
    pub(super) unread: BTreeSet<ProjectId>,
}

impl GitlabGroup {
    /// Looks at what moved since the last poll.
    pub(crate) async fn poll(
        &self,
        sources: &Sources,
        window: &mut Window,
    ) -> Result<Polled, Failure> {
        let mut seen = self.read_pages(sources, window).await?;
        window.polls = window.polls.wrapping_add(1);
        let is_turn = window.ask_soon || window.polls.is_multiple_of(AGAIN_EVERY);
        if !window.again.is_empty() && is_turn {
            window.ask_soon = false;
            let ids: Vec<_> = window.again.iter().copied().collect();
            let answered = self.ask_about(sources, window, &ids).await?;
            seen.changed += answered.changed.len();
            seen.touched.extend(answered.changed);
        }
        self.tell_touched(sources, &seen.touched).await?;
        self.tell_forks(sources).await?;
        window.watermark = seen.reached.or(window.watermark);
        // Nothing is written while nothing happens: an older mark only makes the next start's first
        // window longer. Nor while something could not be read that a newer mark would leave behind.
        if seen.changed > 0
            && window.again.is_empty()
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
        // Those that vanished show in nothing but the number.
        let difference = self.difference(sources, seen.count).await?;
        Ok(Polled {
            is_suspicious: difference.is_some_and(|found| found != window.difference),
        })
    }

    /// Reads the pages of projects that were active in the window, and stores what is new.
    async fn read_pages(&self, sources: &Sources, window: &mut Window) -> Result<Seen, Failure> {
        let limit = window.watermark.map(|mark| mark - OVERLAP);
        let is_in_window = |project: &Project| match (project.last_activity, limit) {
            (Some(active), Some(limit)) => active >= limit,
            _ => true,
        };
        let mut cursor = None;
        let mut seen = Seen::default();
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
            // Also what lies before the window: the answer is here already.
            let entered = self.enter(sources, window, page.projects).await?;
            seen.changed += entered.len();
            seen.touched.extend(entered);
            cursor = page.next;
            if is_past || cursor.is_none() {
                return Ok(seen);
            }
            // In a busy hour there are many pages, and webhooks need not wait for all of them.
            self.process_webhooks(sources, window).await?;
        }
    }

    /// By how much GitLab's number of projects differs from ours.
    pub(super) async fn difference(
        &self,
        sources: &Sources,
        count: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let known = source_repositories::count_projects(sources.database.read()).await?;
        Ok(count.map(|count| count - known))
    }

    /// Looks at some projects, and forgets those that are not in the group any more.
    pub(super) async fn ask_about(
        &self,
        sources: &Sources,
        window: &mut Window,
        ids: &[ProjectId],
    ) -> Result<Answered, Failure> {
        let mut answered = Answered::default();
        for chunk in ids.chunks(self.gitlab.page_size()) {
            let page = self.gitlab.some_projects(chunk).await?;
            let shown: BTreeSet<_> = page.projects.iter().map(|project| project.id).collect();
            let unreadable = page
                .projects
                .iter()
                .filter(|project| matches!(project.contents, Contents::Unknown(_)));
            answered.unread.extend(unreadable.map(|project| project.id));
            let entered = self.enter(sources, window, page.projects).await?;
            answered.changed.extend(entered);
            let missing: Vec<_> = chunk
                .iter()
                .copied()
                .filter(|id| !shown.contains(id))
                .collect();
            // Only a whole answer tells that something is not there.
            if page.nameless > 0 || page.next.is_some() {
                answered.unread.extend(missing);
                continue;
            }
            for id in &missing {
                window.again.remove(id);
            }
            let gone = source_repositories::of_projects(sources.database.read(), &missing).await?;
            if gone.len() > FEW && shown.is_empty() && !window.has_shrunk {
                window.has_shrunk = true;
                return Err(Failure::ProjectsMissing {
                    shown: 0,
                    known: gone.len(),
                });
            }
            sources.store(Vec::new(), gone).await?;
        }
        Ok(answered)
    }

    /// Stores what is new about projects, and returns which those are.
    pub(super) async fn enter(
        &self,
        sources: &Sources,
        window: &mut Window,
        projects: Vec<Project>,
    ) -> Result<Vec<ProjectId>, Failure> {
        window.note_unreadable(&projects);
        let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
        let known = source_repositories::of_projects(sources.database.read(), &ids).await?;
        let group = self.path().to_owned();
        // Parsing a page of texts takes a while.
        let looked = tokio::task::spawn_blocking(move || {
            let looked = projects.into_iter().filter_map(|project| {
                let id = project.id;
                let known = known.iter().find(|row| row.project_id == Some(id));
                Some((id, project::look(project, &group, known)?))
            });
            looked.collect::<Vec<_>>()
        })
        .await?;
        let (changed, found): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
        let displaced = sources.store(found, Vec::new()).await?;
        window.ask_soon |= !displaced.0.is_empty();
        window.again.extend(displaced.0);
        Ok(changed)
    }

    /// Tells that refs of projects may have moved.
    pub(super) async fn tell_touched(
        &self,
        sources: &Sources,
        ids: &[ProjectId],
    ) -> Result<(), Failure> {
        let rows = source_repositories::of_projects(sources.database.read(), ids).await?;
        let pkgbases = sources.pkgbases_of(&rows).await?;
        if !pkgbases.is_empty() {
            sources.tell(SourceEvent::Touched(pkgbases));
        }
        Ok(())
    }

    /// A push to a fork is no activity of the project that its merge request goes to.
    async fn tell_forks(&self, sources: &Sources) -> Result<(), Failure> {
        let forks = namespaces::pkgbases_at(sources.database.read(), MERGE_REQUESTS).await?;
        if !forks.is_empty() {
            sources.tell(SourceEvent::Touched(forks.into_iter().collect()));
        }
        Ok(())
    }
}

impl Window {
    /// Goes on from where the polls of the last run have come.
    pub(crate) fn from(watermark: Option<Timestamp>) -> Self {
        Self {
            watermark,
            ..Self::default()
        }
    }

    /// Remembers projects that GitLab could not read, until it could.
    fn note_unreadable(&mut self, projects: &[Project]) {
        for project in projects {
            if matches!(project.contents, Contents::Unknown(_)) {
                self.again.insert(project.id);
            } else {
                self.again.remove(&project.id);
            }
        }
    }
}

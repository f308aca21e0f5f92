//! Keeps the index current with the group: the first look at everything, then polls, webhooks as soon
//! as they come, and a look at everything again every so often.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::db::{now, source_progress};
use crate::error::Error;
use crate::sources::catch_up::Waiting;
use crate::sources::{SourceEvent, Sources};
use buildbtw_gitlab::GitlabError;

use super::GitlabGroup;
use super::poll::Window;
use super::walk::{Step, Walk};

const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// A GitLab that is back after an hour is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often the group is looked at at most because somebody asks for it.
const BETWEEN_CATCH_UPS: Duration = Duration::from_millis(500);
/// How long a suspicion has to wait after a full look, for each of its requests.
const REST_PER_PAGE: Duration = Duration::from_secs(2);

/// Why the group could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error(transparent)]
    Gitlab(#[from] GitlabError),
    #[error(
        "GitLab shows only {shown} of the {known} projects known. Has its token lost the role that \
         sees them? Nothing is forgotten, unless the next full look shows the same"
    )]
    Shrunk { shown: usize, known: usize },
    #[error(transparent)]
    Own(#[from] Error),
}

/// Watches until cancelled.
pub(super) async fn watch(
    group: Arc<GitlabGroup>,
    sources: Sources,
    ready: oneshot::Sender<()>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    // Reading thousands of projects takes a while, in which much can be answered.
    let _ = ready.send(());
    let progress = source_progress::get(sources.database.read())
        .await?
        .unwrap_or_default();
    let mark = progress.watermark;
    let next_sweep = Instant::now() + until_sweep(progress.finished_at, group.sweep);
    let is_first = progress.finished_at.is_none();
    let mut watch = Watch {
        window: Window::from(mark.and_then(|at| Timestamp::from_millisecond(at).ok())),
        walk: is_first.then(|| Walk::first(progress)),
        is_checked: false,
        has_told_all: false,
        next_poll: Instant::now(),
        last_poll: None,
        next_sweep,
        suspicion_from: Instant::now(),
        polling: Rest::default(),
        walking: Rest::default(),
        delivering: Rest::default(),
        group,
        sources,
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = watch.run() => {}
    }
    Ok(())
}

/// How long the next full look is away, counted from the end of the last one.
fn until_sweep(finished_at: Option<i64>, sweep: Duration) -> Duration {
    let ago = finished_at.map_or(0, |at| now().saturating_sub(at));
    let ago = Duration::from_millis(u64::try_from(ago).unwrap_or_default());
    sweep.saturating_sub(ago).max(FIRST_PAUSE)
}

struct Watch {
    group: Arc<GitlabGroup>,
    sources: Sources,
    window: Window,
    /// A look at everything that is under way.
    walk: Option<Walk>,
    /// Whether GitLab has ever let the token in.
    is_checked: bool,
    /// Whether everybody was told once that anything may have moved while the server was away.
    has_told_all: bool,
    next_poll: Instant,
    last_poll: Option<Instant>,
    next_sweep: Instant,
    /// When a suspicious poll may lead to a full look again.
    suspicion_from: Instant,
    polling: Rest,
    walking: Rest,
    delivering: Rest,
}

/// How a kind of task rests after it failed.
#[derive(Debug)]
struct Rest {
    /// The pause after the next failure.
    pause: Duration,
    /// It failed, and is not tried again before.
    until: Option<Instant>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            pause: FIRST_PAUSE,
            until: None,
        }
    }
}

impl Rest {
    fn after(&self, time: Instant) -> Instant {
        self.until.map_or(time, |until| until.max(time))
    }

    fn begin(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.pause.max(asked.unwrap_or_default());
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.until = Some(Instant::now() + pause);
        pause
    }
}

/// Whether GitLab had to answer for a task to succeed.
pub(super) enum Asked {
    Gitlab,
    Nobody,
}

/// What is to be done next.
enum Task {
    /// Work off webhooks.
    Webhooks,
    /// Look at what moved, because somebody waits for it.
    CatchUp(Waiting),
    /// Look at what moved.
    Poll,
    /// Begin to look at everything.
    Sweep,
    /// Look at the next page of everything.
    Page,
}

impl Watch {
    async fn run(&mut self) {
        loop {
            let task = self.next_task().await;
            let result = match self.check_access().await {
                Ok(()) => self.perform(&task).await,
                Err(error) => Err(error),
            };
            let outcome = match &result {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            match result {
                Ok(Asked::Gitlab) => self.note_success(&task),
                // There was nothing left to do, so nothing is to be tried again.
                Ok(Asked::Nobody) => {
                    if matches!(task, Task::Webhooks) {
                        self.delivering = Rest::default();
                    }
                }
                Err(error) => self.note_failure(&task, &error),
            }
            if let Task::CatchUp(waiting) = task {
                waiting.answer(&outcome);
            }
        }
    }

    /// What is to be done next: webhooks before all else, pages of a long look after all else.
    async fn next_task(&self) -> Task {
        let now = Instant::now();
        let poll = self.polling.after(self.next_poll);
        let sweep = self.walking.after(self.next_sweep);
        let page = self.walking.after(now);
        let again = self.delivering.after(now);
        // Anybody may ask, so those who do are answered together.
        let catch_up = self.last_poll.map_or(now, |last| last + BETWEEN_CATCH_UPS);
        let desk = &self.sources.catching_up;
        loop {
            let is_asked = desk.is_waited_at();
            tokio::select! {
                biased;
                // GitLab, or somebody who looks at it, is up: no reason to rest any longer.
                () = self.sources.delivered.notified() => return Task::Webhooks,
                () = tokio::time::sleep_until(again), if self.delivering.until.is_some() => {
                    return Task::Webhooks;
                }
                () = desk.asked(), if !is_asked => {}
                () = tokio::time::sleep_until(catch_up), if is_asked => {
                    return Task::CatchUp(desk.take());
                }
                () = tokio::time::sleep_until(poll), if !self.is_first_look() => return Task::Poll,
                () = tokio::time::sleep_until(sweep), if self.walk.is_none() => return Task::Sweep,
                () = tokio::time::sleep_until(page), if self.walk.is_some() => return Task::Page,
            }
        }
    }

    fn is_first_look(&self) -> bool {
        self.walk.as_ref().is_some_and(Walk::is_first)
    }

    /// Says early and in full what is missing, instead of failing at some query.
    async fn check_access(&mut self) -> Result<(), WatchError> {
        if !self.is_checked {
            let version = self.group.gitlab.check_access().await?;
            self.is_checked = true;
            tracing::info!(
                gitlab.version = version.as_deref().unwrap_or("unknown"),
                gitlab.group = self.group.group(),
                "watching a group of GitLab"
            );
            // What came while the server was not running.
            self.sources.delivered.notify_one();
        }
        Ok(())
    }

    async fn perform(&mut self, task: &Task) -> Result<Asked, WatchError> {
        match task {
            Task::Webhooks => self.group.work_off(&self.sources, &mut self.window).await,
            // A poll without a window would be a look at everything.
            Task::CatchUp(_) | Task::Poll if self.is_first_look() => Ok(Asked::Nobody),
            Task::Poll => self.poll().await,
            Task::CatchUp(waiting) => {
                self.poll().await?;
                let (group, wanted) = (Arc::clone(&self.group), waiting.wanted());
                group
                    .read_wanted(&self.sources, &mut self.window, wanted)
                    .await?;
                Ok(Asked::Gitlab)
            }
            Task::Sweep => {
                self.walk = Some(Walk::again());
                Ok(Asked::Nobody)
            }
            Task::Page => self.look_at_page().await,
        }
    }

    async fn poll(&mut self) -> Result<Asked, WatchError> {
        let polled = self.group.poll(&self.sources, &mut self.window).await;
        // Counted from its end: a GitLab that takes longer than this leaves time for all else.
        self.next_poll = Instant::now() + self.group.gitlab.settings().poll;
        self.last_poll = Some(Instant::now());
        let polled = polled?;
        self.group.work_off(&self.sources, &mut self.window).await?;
        if !self.has_told_all {
            self.has_told_all = true;
            self.sources.tell(SourceEvent::Swept);
        }
        if polled.is_suspicious && self.walk.is_none() {
            let soon = self.suspicion_from.max(Instant::now());
            if soon < self.next_sweep {
                tracing::info!("projects came or went; the whole group has to be looked at");
                self.next_sweep = soon;
            }
        }
        Ok(Asked::Gitlab)
    }

    async fn look_at_page(&mut self) -> Result<Asked, WatchError> {
        let Some(walk) = &mut self.walk else {
            return Ok(Asked::Nobody);
        };
        let step = self.group.step(&self.sources, walk, &mut self.window).await;
        if matches!(&step, Ok(Step::Done) | Err(WatchError::Shrunk { .. })) {
            let rest = REST_PER_PAGE * walk.pages();
            self.walk = None;
            self.sources.status.no_progress();
            self.suspicion_from = Instant::now() + rest;
            self.next_sweep = Instant::now() + self.group.sweep;
            // What came in the meantime could not all be worked off.
            self.sources.delivered.notify_one();
        }
        match step? {
            Step::Anew => Ok(Asked::Nobody),
            Step::More | Step::Done => Ok(Asked::Gitlab),
        }
    }

    fn rest_of(&mut self, task: &Task) -> &mut Rest {
        match task {
            Task::Webhooks => &mut self.delivering,
            Task::CatchUp(_) | Task::Poll => &mut self.polling,
            Task::Sweep | Task::Page => &mut self.walking,
        }
    }

    fn note_success(&mut self, task: &Task) {
        *self.rest_of(task) = Rest::default();
        let is_failing = [&self.polling, &self.walking, &self.delivering]
            .iter()
            .any(|rest| rest.until.is_some());
        // That a page came does not bring back the projects that are missing.
        if is_failing || self.window.has_shrunk {
            return;
        }
        if let Some(since) = self.sources.status.recovered() {
            tracing::info!(%since, "GitLab answers again");
        }
    }

    fn note_failure(&mut self, task: &Task, error: &WatchError) {
        let asked = match error {
            WatchError::Gitlab(error) => error.kind.pause(),
            _ => None,
        };
        let pause = self.rest_of(task).begin(asked);
        let text = error.to_string();
        if self.sources.status.failed(text.clone(), error.gist()) {
            tracing::error!(
                error = text,
                pause_s = pause.as_secs(),
                "cannot look at the sources; trying again"
            );
        } else {
            tracing::debug!(error = text, "still cannot look at the sources");
        }
    }
}

impl WatchError {
    /// What is the same about failures that differ in numbers only.
    fn gist(&self) -> String {
        match self {
            Self::Gitlab(error) => {
                let kind = std::mem::discriminant(&error.kind);
                format!("{} {kind:?}", error.request)
            }
            error => error.to_string(),
        }
    }
}

//! Keeps the index current with the group: the first look at everything, then polls, webhooks as soon
//! as they come, and a look at everything again every so often.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::db::source_progress;
use crate::error::Error;
use crate::gitlab::GitlabError;
use crate::sources::Sources;

use super::GitlabGroup;
use super::poll::Window;
use super::walk::{Step, Walk};

const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// A GitLab that is back after an hour is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
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
    let is_first = progress.finished_at.is_none();
    let mut watch = Watch {
        window: Window::from(mark.and_then(|at| Timestamp::from_millisecond(at).ok())),
        walk: is_first.then(|| Walk::first(progress)),
        is_checked: false,
        next_poll: Instant::now(),
        next_sweep: Instant::now() + group.sweep,
        suspicion_from: Instant::now(),
        pause: FIRST_PAUSE,
        resting_until: None,
        group,
        sources,
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = watch.run() => {}
    }
    Ok(())
}

struct Watch {
    group: Arc<GitlabGroup>,
    sources: Sources,
    window: Window,
    /// A look at everything that is under way.
    walk: Option<Walk>,
    /// Whether GitLab has ever let the token in.
    is_checked: bool,
    next_poll: Instant,
    next_sweep: Instant,
    /// When a suspicious poll may lead to a full look again.
    suspicion_from: Instant,
    /// The pause after the next failure.
    pause: Duration,
    /// GitLab is left alone until then.
    resting_until: Option<Instant>,
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
    CatchUp(Vec<oneshot::Sender<()>>),
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
            match result {
                Ok(Asked::Gitlab) => self.note_success(),
                Ok(Asked::Nobody) => {}
                Err(error) => self.note_failure(&error),
            }
            if let Task::CatchUp(waiting) = task {
                for asked in waiting {
                    // Whoever asked may be gone.
                    let _ = asked.send(());
                }
            }
        }
    }

    /// What is to be done next: webhooks before all else, pages of a long look after all else.
    async fn next_task(&self) -> Task {
        let rest = self.resting_until;
        let at = |time: Instant| rest.map_or(time, |rest| rest.max(time));
        tokio::select! {
            biased;
            // GitLab, or somebody who looks at it, is up: no reason to rest any longer.
            () = self.sources.delivered.notified() => Task::Webhooks,
            () = self.sources.catching_up.asked() => {
                Task::CatchUp(self.sources.catching_up.take())
            }
            () = tokio::time::sleep_until(at(self.next_poll)), if !self.is_first_look() => Task::Poll,
            () = tokio::time::sleep_until(at(self.next_sweep)), if self.walk.is_none() => Task::Sweep,
            () = tokio::time::sleep_until(at(Instant::now())), if self.walk.is_some() => Task::Page,
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
        let Self {
            group,
            sources,
            window,
            ..
        } = self;
        match task {
            Task::Webhooks => group.work_off(sources, window).await,
            Task::CatchUp(_) | Task::Poll => {
                // A poll without a window would be a look at everything.
                if self.is_first_look() {
                    return Ok(Asked::Nobody);
                }
                self.next_poll = Instant::now() + self.group.gitlab.settings().poll;
                let polled = self.group.poll(&self.sources, &mut self.window).await?;
                self.group.work_off(&self.sources, &mut self.window).await?;
                if polled.is_suspicious {
                    tracing::info!("projects came or went; the whole group has to be looked at");
                    let soon = self.suspicion_from.max(Instant::now());
                    self.next_sweep = self.next_sweep.min(soon);
                }
                Ok(Asked::Gitlab)
            }
            Task::Sweep => {
                self.walk = Some(Walk::again());
                Ok(Asked::Nobody)
            }
            Task::Page => {
                let Some(walk) = &mut self.walk else {
                    return Ok(Asked::Nobody);
                };
                let step = group.step(sources, walk, window).await;
                let is_over = !matches!(&step, Ok(Step::More) | Err(WatchError::Gitlab(_)));
                if is_over {
                    let rest = REST_PER_PAGE * walk.pages();
                    self.walk = None;
                    self.suspicion_from = Instant::now() + rest;
                    self.next_sweep = Instant::now() + self.group.sweep;
                    // What came in the meantime could not all be worked off.
                    self.sources.delivered.notify_one();
                }
                step.map(|_| Asked::Gitlab)
            }
        }
    }

    fn note_success(&mut self) {
        self.pause = FIRST_PAUSE;
        self.resting_until = None;
        // That a page came does not bring back the projects that are missing.
        if self.window.has_shrunk {
            return;
        }
        if let Some(since) = self.sources.status.recovered() {
            tracing::info!(%since, "GitLab answers again");
        }
    }

    fn note_failure(&mut self, error: &WatchError) {
        let asked = match error {
            WatchError::Gitlab(error) => error.kind.pause(),
            _ => None,
        };
        let pause = asked.unwrap_or(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.resting_until = Some(Instant::now() + pause);
        let text = error.to_string();
        if self.sources.status.failed(text.clone()) {
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

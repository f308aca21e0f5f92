//! Watches a GitLab group: an initial sync, then polls, webhooks as they arrive, and a full resync at a long
//! interval.

use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::BackgroundTask;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Keyed, Next};
use crate::outage::Failure;
use crate::sources::catch_up::CatchUpRequests;
use crate::sources::gitlab::{
    GitlabContact, GitlabGroup, PAUSES, Resync, ResyncStep, Window, progress,
};
use crate::sources::{SourceEvent, Sources};
use crate::time::Millis;

/// The minimum time between polls that requests wait for.
const MIN_CATCH_UP_INTERVAL: Duration = Duration::from_millis(500);
/// The minimum time between a full resync and an early next one, for each page of the first.
const EARLY_RESYNC_DELAY_PER_PAGE: Duration = Duration::from_secs(2);

/// The actor that watches a group. `ready` is sent at the start, because many requests can be served during the
/// initial sync of thousands of projects.
pub(crate) struct GroupWatching {
    group: Arc<GitlabGroup>,
    sources: Sources,
    /// `None` until the progress of the last run was read from the database.
    watch: Option<Watch>,
}

impl GroupWatching {
    pub(crate) fn new(
        group: Arc<GitlabGroup>,
        sources: Sources,
        ready: Option<oneshot::Sender<()>>,
    ) -> Self {
        if let Some(ready) = ready {
            // The receiver is gone only when the server stops.
            let _ = ready.send(());
        }
        Self {
            group,
            sources,
            watch: None,
        }
    }
}

impl Actor for GroupWatching {
    const TASK: BackgroundTask = BackgroundTask::SourceWatching;
    const IS_INTERRUPTIBLE: bool = true;
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.sources.delivered.woken() => Event::Delivered,
            () = self.sources.catch_up_queue.requested() => Event::Requested,
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            None => {
                let watch = Watch::load(&self.group, &self.sources).await?;
                self.watch.insert(watch)
            }
        };
        watch.has_webhooks |= matches!(cause, Cause::Event(Event::Delivered));
        watch.has_webhooks |= watch.sources.delivered.woken().now_or_never().is_some();
        if let Some(task) = watch.due(Instant::now()) {
            watch.run(task).await;
        }
        let at = watch.next_time(Instant::now());
        let next = watch.tasks.next(Some(at));
        // A single page does not end the outage of missing projects.
        let is_complete = !watch.window.has_shrunk;
        Ok(if is_complete {
            next
        } else {
            next.keep_outage()
        })
    }
}

/// Events that lead to a task.
pub(crate) enum Event {
    /// A webhook was stored.
    Delivered,
    /// A request waits for a current index.
    Requested,
}

/// The next task.
enum Task {
    /// Process webhooks.
    Webhooks,
    /// Poll, because requests wait for it.
    CatchUp(CatchUpRequests),
    /// Poll.
    Poll,
    /// Start a full resync.
    StartResync,
    /// Read the next page of the resync.
    ResyncPage,
}

/// What fails and is retried together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TaskKind {
    Webhooks,
    Poll,
    Resync,
}

impl Task {
    fn kind(&self) -> TaskKind {
        match self {
            Self::Webhooks => TaskKind::Webhooks,
            Self::CatchUp(_) | Self::Poll => TaskKind::Poll,
            Self::StartResync | Self::ResyncPage => TaskKind::Resync,
        }
    }
}

struct Watch {
    group: Arc<GitlabGroup>,
    sources: Sources,
    window: Window,
    /// The full resync in progress.
    resync: Option<Resync>,
    /// Whether the access of the token was checked successfully.
    is_checked: bool,
    /// Whether the replanner was notified that anything may have changed while the server was down.
    has_announced_start: bool,
    /// Whether webhooks wait to be processed.
    has_webhooks: bool,
    next_poll: Instant,
    last_poll: Option<Instant>,
    next_resync: Instant,
    /// When a poll may cause an early resync again.
    early_resync_from: Instant,
    /// The kinds of tasks that failed, each with its own backoff.
    tasks: Keyed<TaskKind>,
}

/// Returns the time until the next resync, counted from the end of the last one.
fn until_resync(finished_at: Option<Millis>, now: Millis, resync_interval: Duration) -> Duration {
    let ago = finished_at.map_or(Duration::ZERO, |at| now.since(at));
    resync_interval.saturating_sub(ago).max(PAUSES.first)
}

impl Watch {
    /// Loads the progress of the last run.
    async fn load(group: &Arc<GitlabGroup>, sources: &Sources) -> Result<Self, Failure> {
        let progress = progress(sources).await?;
        let mark = progress.watermark;
        let now = sources.database().clock().now();
        let until_resync = until_resync(progress.finished_at, now, group.resync_interval());
        let is_initial = progress.finished_at.is_none();
        Ok(Self {
            window: Window::from(mark.map(Timestamp::from)),
            resync: is_initial.then(|| Resync::initial(progress)),
            is_checked: false,
            has_announced_start: false,
            has_webhooks: false,
            next_poll: Instant::now(),
            last_poll: None,
            next_resync: Instant::now() + until_resync,
            early_resync_from: Instant::now(),
            tasks: Keyed::new(sources.outage()),
            group: Arc::clone(group),
            sources: sources.clone(),
        })
    }

    /// Returns the task that is due: webhooks have the highest priority, resync pages the lowest.
    fn due(&mut self, now: Instant) -> Option<Task> {
        // A webhook shows that GitLab is available, so its task ignores the backoff.
        let retry_at = self.tasks.due_at(&TaskKind::Webhooks);
        if self.has_webhooks || retry_at.is_some_and(|at| at <= now) {
            self.has_webhooks = false;
            return Some(Task::Webhooks);
        }
        if self.catch_up_at(now).is_some_and(|at| at <= now) {
            return Some(Task::CatchUp(self.sources.catch_up_queue.take()));
        }
        if self.poll_at().is_some_and(|at| at <= now) {
            return Some(Task::Poll);
        }
        let resync_at = self.resync_at(now);
        let task = match self.resync {
            None => Task::StartResync,
            Some(_) => Task::ResyncPage,
        };
        (resync_at <= now).then_some(task)
    }

    /// Returns when the next task is due, unless an event comes first.
    fn next_time(&self, now: Instant) -> Instant {
        let webhooks = self
            .has_webhooks
            .then_some(now)
            .or_else(|| self.tasks.due_at(&TaskKind::Webhooks));
        let others = [webhooks, self.catch_up_at(now), self.poll_at()];
        let others = others.into_iter().flatten();
        others.chain([self.resync_at(now)]).min().unwrap_or(now)
    }

    /// Returns when waiting requests are served. Any client may send them, so all share one poll.
    fn catch_up_at(&self, now: Instant) -> Option<Instant> {
        let has_requests = self.sources.catch_up_queue.has_requests();
        let earliest = self.last_poll.map(|last| last + MIN_CATCH_UP_INTERVAL);
        has_requests.then(|| earliest.unwrap_or(now))
    }

    fn poll_at(&self) -> Option<Instant> {
        (!self.is_initial_resync()).then(|| self.after_backoff(TaskKind::Poll, self.next_poll))
    }

    fn resync_at(&self, now: Instant) -> Instant {
        let next = match self.resync {
            None => self.next_resync,
            Some(_) => now,
        };
        self.after_backoff(TaskKind::Resync, next)
    }

    /// Returns the later of a time and the end of the backoff of a kind of task.
    fn after_backoff(&self, kind: TaskKind, time: Instant) -> Instant {
        self.tasks.due_at(&kind).map_or(time, |at| at.max(time))
    }

    fn is_initial_resync(&self) -> bool {
        self.resync.as_ref().is_some_and(Resync::is_initial)
    }

    /// Runs a task, and records its result.
    async fn run(&mut self, task: Task) {
        let result = match self.check_access().await {
            Ok(()) => self.perform(&task).await,
            Err(error) => Err(error),
        };
        let outcome = match &result {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok(GitlabContact::Confirmed) => self.tasks.succeeded(&task.kind()),
            // GitLab was not contacted, so only a retry of webhooks is settled.
            Ok(GitlabContact::Unknown) => {
                if matches!(task, Task::Webhooks) {
                    self.tasks.forget(&TaskKind::Webhooks);
                }
            }
            Err(failure) => {
                self.tasks.failed(task.kind(), failure);
            }
        }
        if let Task::CatchUp(waiting) = task {
            waiting.complete(&outcome);
        }
    }

    /// Checks the access once, so that the error names everything that is missing before some query fails.
    async fn check_access(&mut self) -> Result<(), Failure> {
        if !self.is_checked {
            let version = self.group.gitlab.check_access().await?;
            self.is_checked = true;
            tracing::info!(
                gitlab.version = version.as_deref().unwrap_or("unknown"),
                gitlab.group = self.group.path(),
                "watching a GitLab group"
            );
            // Process the webhooks that arrived while the server was down.
            self.has_webhooks = true;
        }
        Ok(())
    }

    async fn perform(&mut self, task: &Task) -> Result<GitlabContact, Failure> {
        match task {
            Task::Webhooks => {
                self.group
                    .process_webhooks(&self.sources, &mut self.window)
                    .await
            }
            // A poll without a watermark would read the whole group.
            Task::CatchUp(_) | Task::Poll if self.is_initial_resync() => Ok(GitlabContact::Unknown),
            Task::Poll => self.poll().await,
            Task::CatchUp(waiting) => {
                self.poll().await?;
                let (group, wanted) = (Arc::clone(&self.group), waiting.wanted());
                group
                    .read_wanted(&self.sources, &mut self.window, wanted)
                    .await?;
                Ok(GitlabContact::Confirmed)
            }
            Task::StartResync => {
                self.resync = Some(Resync::new());
                Ok(GitlabContact::Unknown)
            }
            Task::ResyncPage => self.read_page().await,
        }
    }

    async fn poll(&mut self) -> Result<GitlabContact, Failure> {
        let polled = self.group.poll(&self.sources, &mut self.window).await;
        // Counted from the end of the poll, so that a slow GitLab leaves time for other tasks.
        self.next_poll = Instant::now() + self.group.gitlab.settings().poll;
        self.last_poll = Some(Instant::now());
        let polled = polled?;
        self.group
            .process_webhooks(&self.sources, &mut self.window)
            .await?;
        if !self.has_announced_start {
            self.has_announced_start = true;
            self.sources.emit(SourceEvent::Resynced);
        }
        if polled.needs_resync && self.resync.is_none() {
            let soon = self.early_resync_from.max(Instant::now());
            if soon < self.next_resync {
                tracing::info!("the number of projects changed; starting a full resync early");
                self.next_resync = soon;
            }
        }
        Ok(GitlabContact::Confirmed)
    }

    async fn read_page(&mut self) -> Result<GitlabContact, Failure> {
        let Some(resync) = &mut self.resync else {
            return Ok(GitlabContact::Unknown);
        };
        let step = self
            .group
            .read_page(&self.sources, resync, &mut self.window)
            .await;
        if matches!(
            &step,
            Ok(ResyncStep::Done) | Err(Failure::ProjectsMissing { .. })
        ) {
            let delay = EARLY_RESYNC_DELAY_PER_PAGE * resync.pages();
            self.resync = None;
            self.sources.resync_ended();
            self.early_resync_from = Instant::now() + delay;
            self.next_resync = Instant::now() + self.group.resync_interval();
            // Some webhooks that arrived in the meantime could not be processed.
            self.has_webhooks = true;
        }
        match step? {
            ResyncStep::Restarted => Ok(GitlabContact::Unknown),
            ResyncStep::More | ResyncStep::Done => Ok(GitlabContact::Confirmed),
        }
    }
}

//! Watches the group of a GitLab: the first resync of everything, then polls, webhooks as soon as they come, and
//! a resync of everything every so often.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::source_progress;
use crate::outage::{Backoff, Failure};
use crate::sources::catch_up::Waiting;
use crate::sources::gitlab::{Asked, GitlabGroup, PAUSES, Step, Walk, Window};
use crate::sources::{SourceEvent, Sources};
use crate::time::Millis;

/// How often the group is polled at most because a request waits for it.
const BETWEEN_CATCH_UPS: Duration = Duration::from_millis(500);
/// How long a suspicion has to wait after a resync, for each of its requests.
const REST_PER_PAGE: Duration = Duration::from_secs(2);

/// See the module. Reading thousands of projects takes a while, in which much can be answered: `ready` is told
/// at once.
pub(crate) struct GroupWatching {
    group: Arc<GitlabGroup>,
    sources: Sources,
    /// Nothing until the database has told how far the last run has come.
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
    const NAME: &'static str = "source watching";
    const IS_INTERRUPTIBLE: bool = true;
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.sources.delivered.woken() => Event::Delivered,
            () = self.sources.catching_up.asked() => Event::Requested,
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            None => {
                let begun = Watch::begin(&self.group, &self.sources).await?;
                self.watch.insert(begun)
            }
        };
        watch.has_webhooks |= matches!(cause, Cause::Event(Event::Delivered));
        watch.has_webhooks |= watch.sources.delivered.woken().now_or_never().is_some();
        if let Some(task) = watch.due(Instant::now()) {
            watch.run(task).await;
        }
        // Each kind of task rests by itself, and they share the outage.
        Ok(Next::at(watch.next_time(Instant::now())).unproven())
    }
}

/// What leads to a task besides the passing of time.
pub(crate) enum Event {
    /// A webhook was stored.
    Delivered,
    /// A request waits until the index is current.
    Requested,
}

/// What is to be done next.
enum Task {
    /// Process webhooks.
    Webhooks,
    /// Poll, because a request waits for it.
    CatchUp(Waiting),
    /// Poll.
    Poll,
    /// Begin a resync of everything.
    Resync,
    /// Read the next page of everything.
    Page,
}

struct Watch {
    group: Arc<GitlabGroup>,
    sources: Sources,
    window: Window,
    /// A resync of everything that is under way.
    walk: Option<Walk>,
    /// Whether GitLab has ever let the token in.
    is_checked: bool,
    /// Whether everybody was told once that anything may have moved while the server was away.
    has_told_all: bool,
    /// Whether webhooks wait to be processed.
    has_webhooks: bool,
    next_poll: Instant,
    last_poll: Option<Instant>,
    next_resync: Instant,
    /// When a suspicious poll may lead to a resync again.
    suspicion_from: Instant,
    polling: Rest,
    walking: Rest,
    delivering: Rest,
}

/// How a kind of task rests after it failed.
#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    /// It failed, and is not tried again before.
    until: Option<Instant>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(PAUSES),
            until: None,
        }
    }
}

impl Rest {
    fn after(&self, time: Instant) -> Instant {
        self.until.map_or(time, |until| until.max(time))
    }

    fn begin(&mut self, requested: Option<Duration>) -> Duration {
        let pause = self.backoff.failed().max(requested.unwrap_or_default());
        self.until = Some(Instant::now() + pause);
        pause
    }
}

/// How long the next resync is away, counted from the end of the last one.
fn until_resync(finished_at: Option<Millis>, sweep: Duration) -> Duration {
    let ago = finished_at.map_or(Duration::ZERO, |at| Millis::now().since(at));
    sweep.saturating_sub(ago).max(PAUSES.first)
}

impl Watch {
    /// Continues where the last run stopped.
    async fn begin(group: &Arc<GitlabGroup>, sources: &Sources) -> Result<Self, Failure> {
        let progress = source_progress::get(sources.database().read())
            .await?
            .unwrap_or_default();
        let mark = progress.watermark;
        let next_resync = Instant::now() + until_resync(progress.finished_at, group.sweep());
        let is_first = progress.finished_at.is_none();
        Ok(Self {
            window: Window::from(mark.map(Timestamp::from)),
            walk: is_first.then(|| Walk::first(progress)),
            is_checked: false,
            has_told_all: false,
            has_webhooks: false,
            next_poll: Instant::now(),
            last_poll: None,
            next_resync,
            suspicion_from: Instant::now(),
            polling: Rest::default(),
            walking: Rest::default(),
            delivering: Rest::default(),
            group: Arc::clone(group),
            sources: sources.clone(),
        })
    }

    /// What is to be done now: webhooks before all else, pages of a long resync after all else.
    fn due(&mut self, now: Instant) -> Option<Task> {
        // GitLab, or somebody who looks at it, is up: no reason to rest any longer.
        if self.has_webhooks || self.delivering.until.is_some_and(|until| until <= now) {
            self.has_webhooks = false;
            return Some(Task::Webhooks);
        }
        if self.catch_up_at(now).is_some_and(|at| at <= now) {
            return Some(Task::CatchUp(self.sources.catching_up.take()));
        }
        if self.poll_at().is_some_and(|at| at <= now) {
            return Some(Task::Poll);
        }
        let walk_at = self.walk_at(now);
        let task = match self.walk {
            None => Task::Resync,
            Some(_) => Task::Page,
        };
        (walk_at <= now).then_some(task)
    }

    /// When something is to be done, unless something happens before.
    fn next_time(&self, now: Instant) -> Instant {
        let webhooks = self.has_webhooks.then_some(now).or(self.delivering.until);
        let others = [webhooks, self.catch_up_at(now), self.poll_at()];
        let others = others.into_iter().flatten();
        others.chain([self.walk_at(now)]).min().unwrap_or(now)
    }

    /// Anybody may ask, so those who do are answered together.
    fn catch_up_at(&self, now: Instant) -> Option<Instant> {
        let is_asked = self.sources.catching_up.is_waited_at();
        let earliest = self.last_poll.map(|last| last + BETWEEN_CATCH_UPS);
        is_asked.then(|| earliest.unwrap_or(now))
    }

    fn poll_at(&self) -> Option<Instant> {
        (!self.is_first_resync()).then(|| self.polling.after(self.next_poll))
    }

    fn walk_at(&self, now: Instant) -> Instant {
        let next = match self.walk {
            None => self.next_resync,
            Some(_) => now,
        };
        self.walking.after(next)
    }

    fn is_first_resync(&self) -> bool {
        self.walk.as_ref().is_some_and(Walk::is_first)
    }

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
            Ok(Asked::Gitlab) => self.note_success(&task),
            // There was nothing left to do, so nothing is to be tried again.
            Ok(Asked::Nobody) => {
                if matches!(task, Task::Webhooks) {
                    self.delivering = Rest::default();
                }
            }
            Err(failure) => {
                let pause = self.rest_of(&task).begin(failure.requested_pause());
                self.sources.outage().note(&failure, pause);
            }
        }
        if let Task::CatchUp(waiting) = task {
            waiting.answer(&outcome);
        }
    }

    /// Says early and in full what is missing, instead of failing at some query.
    async fn check_access(&mut self) -> Result<(), Failure> {
        if !self.is_checked {
            let version = self.group.gitlab.check_access().await?;
            self.is_checked = true;
            tracing::info!(
                gitlab.version = version.as_deref().unwrap_or("unknown"),
                gitlab.group = self.group.path(),
                "watching a GitLab group"
            );
            // What came while the server was not running.
            self.has_webhooks = true;
        }
        Ok(())
    }

    async fn perform(&mut self, task: &Task) -> Result<Asked, Failure> {
        match task {
            Task::Webhooks => {
                self.group
                    .process_webhooks(&self.sources, &mut self.window)
                    .await
            }
            // A poll without a window would be a resync of everything.
            Task::CatchUp(_) | Task::Poll if self.is_first_resync() => Ok(Asked::Nobody),
            Task::Poll => self.poll().await,
            Task::CatchUp(waiting) => {
                self.poll().await?;
                let (group, wanted) = (Arc::clone(&self.group), waiting.wanted());
                group
                    .read_wanted(&self.sources, &mut self.window, wanted)
                    .await?;
                Ok(Asked::Gitlab)
            }
            Task::Resync => {
                self.walk = Some(Walk::again());
                Ok(Asked::Nobody)
            }
            Task::Page => self.read_page().await,
        }
    }

    async fn poll(&mut self) -> Result<Asked, Failure> {
        let polled = self.group.poll(&self.sources, &mut self.window).await;
        // Counted from its end: a GitLab that takes longer than this leaves time for all else.
        self.next_poll = Instant::now() + self.group.gitlab.settings().poll;
        self.last_poll = Some(Instant::now());
        let polled = polled?;
        self.group
            .process_webhooks(&self.sources, &mut self.window)
            .await?;
        if !self.has_told_all {
            self.has_told_all = true;
            self.sources.tell(SourceEvent::Swept);
        }
        if polled.is_suspicious && self.walk.is_none() {
            let soon = self.suspicion_from.max(Instant::now());
            if soon < self.next_resync {
                tracing::info!("the number of projects changed; starting a full resync early");
                self.next_resync = soon;
            }
        }
        Ok(Asked::Gitlab)
    }

    async fn read_page(&mut self) -> Result<Asked, Failure> {
        let Some(walk) = &mut self.walk else {
            return Ok(Asked::Nobody);
        };
        let step = self.group.step(&self.sources, walk, &mut self.window).await;
        if matches!(&step, Ok(Step::Done) | Err(Failure::ProjectsMissing { .. })) {
            let rest = REST_PER_PAGE * walk.pages();
            self.walk = None;
            self.sources.no_resync();
            self.suspicion_from = Instant::now() + rest;
            self.next_resync = Instant::now() + self.group.sweep();
            // What came in the meantime could not all be processed.
            self.has_webhooks = true;
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
            Task::Resync | Task::Page => &mut self.walking,
        }
    }

    fn note_success(&mut self, task: &Task) {
        *self.rest_of(task) = Rest::default();
        let is_failing = [&self.polling, &self.walking, &self.delivering]
            .iter()
            .any(|rest| rest.until.is_some());
        // That a page came does not bring back the projects that are missing.
        if !is_failing && !self.window.has_shrunk {
            self.sources.outage().recovered();
        }
    }
}

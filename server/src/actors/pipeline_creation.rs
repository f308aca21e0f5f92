//! Creates pipelines for ready builds, the most urgent ones first, within the limits of count and rate.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_gitlab::GitlabError;
use buildbtw_model::{Architecture, AttemptId, saturating};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::pipelines::PipelineRow;
use crate::db::{builds, pipelines};
use crate::dispatch::choose::choose;
use crate::dispatch::pipelines::create::{Step, step};
use crate::dispatch::pipelines::rate_limiter::RateLimiter;
use crate::error::Error;
use crate::outage::{Backoff, Failure, Outage, Pauses};
use crate::service::pipelines::{dispatch, end_refused};
use crate::state::AppState;
use crate::state::pipelines::Pipelines;
use crate::time::{Clock, Jumps};

/// The number of concurrent requests.
const CONCURRENCY: usize = 3;
/// The pause before a retry after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// The pause before more builds are read after some were dispatched.
const REDISPATCH_AFTER: Duration = Duration::from_millis(50);
/// After this many failures in a row, GitLab counts as down, whatever the errors say.
const MAX_FAILURES_IN_A_ROW: u32 = 3;
/// After this many failures of its own an attempt fails, which takes about ten minutes.
const MAX_FAILURES_PER_ATTEMPT: u32 = 10;
const PAUSES: Pauses = Pauses::growing(Duration::from_secs(1), Duration::from_secs(120));

/// The actor that creates pipelines.
pub(crate) struct PipelineCreation {
    state: AppState,
    on_gitlab: Pipelines,
    rate_limiter: RateLimiter,
    running: JoinSet<StepResult>,
    /// Attempts whose step is running (`None`), or must not run before a time.
    not_before: HashMap<AttemptId, Option<Instant>>,
    failures: HashMap<AttemptId, Failures>,
    failures_in_a_row: u32,
    /// When requests resume after a failure of GitLab as a whole.
    backoff_until: Option<Instant>,
    jumps: Jumps,
}

/// An attempt, and the result of its step.
type StepResult = (AttemptId, Result<Step, Error>);

/// The failures of one attempt, apart from those of GitLab as a whole.
struct Failures {
    count: u32,
    backoff: Backoff,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            count: 0,
            backoff: Backoff::new(PAUSES),
        }
    }
}

/// Events that lead to a turn.
pub(crate) enum Event {
    /// There may be pipelines to create, or the clock has jumped past the end of a backoff.
    Ready,
    /// The step of an attempt ended.
    Ended(Result<StepResult, JoinError>),
}

impl PipelineCreation {
    pub(crate) fn new(state: AppState, on_gitlab: Pipelines) -> Self {
        Self {
            rate_limiter: RateLimiter::new(on_gitlab.settings.creation_interval),
            jumps: state.clock.jumps(),
            state,
            on_gitlab,
            running: JoinSet::new(),
            not_before: HashMap::new(),
            failures: HashMap::new(),
            failures_in_a_row: 0,
            backoff_until: None,
        }
    }

    /// Creates the outage of this actor; [`Pipelines`] has the one of GitLab's failures.
    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot dispatch builds to GitLab",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }

    /// Starts the steps that can run now, and returns when more may be due without an event.
    async fn create(&mut self) -> Result<Option<Instant>, Error> {
        let now = Instant::now();
        if let Some(until) = self.backoff_until {
            if until > now {
                return Ok(Some(until));
            }
            self.backoff_until = None;
        }
        let mut wanted = pipelines::pending_creation(self.state.database.read()).await?;
        // Few at a time, so that builds that become urgent meanwhile come first. Waiting attempts do not count
        // against the others.
        let waits = |row: &&PipelineRow| {
            let at = self.not_before.get(&row.attempt).copied().flatten();
            at.is_some_and(|at| at > now)
        };
        let waiting = wanted.iter().filter(waits).count();
        let room = (2 * CONCURRENCY + waiting).saturating_sub(wanted.len());
        let (dispatched, next) = self.dispatch(room).await?;
        if dispatched > 0 {
            wanted = pipelines::pending_creation(self.state.database.read()).await?;
        }
        let is_wanted = |attempt: &AttemptId| wanted.iter().any(|row| row.attempt == *attempt);
        self.not_before.retain(|attempt, _| is_wanted(attempt));
        self.failures.retain(|attempt, _| is_wanted(attempt));
        // Attempts with failures come last, so that they do not take all slots.
        wanted.sort_by_key(|row| {
            self.failures
                .get(&row.attempt)
                .map(|failures| failures.count)
        });
        let later = self.start_steps(wanted, now);
        Ok(next.into_iter().chain(later).min())
    }

    /// Starts steps of due attempts, up to the limits. Returns when more may be due.
    fn start_steps(&mut self, wanted: Vec<PipelineRow>, now: Instant) -> Option<Instant> {
        let mut later: Option<Instant> = None;
        for row in wanted {
            match self.not_before.get(&row.attempt) {
                Some(None) => continue,
                Some(Some(at)) if *at > now => {
                    later = later.into_iter().chain([*at]).min();
                    continue;
                }
                _ => {}
            }
            if self.running.len() >= CONCURRENCY {
                // The end of a step leads to the next turn.
                break;
            }
            if !self.rate_limiter.take(now) {
                return later.into_iter().chain([self.rate_limiter.next()]).min();
            }
            self.not_before.insert(row.attempt, None);
            let (state, on_gitlab) = (self.state.clone(), self.on_gitlab.clone());
            self.running.spawn(async move {
                let attempt = row.attempt;
                (attempt, step(&state, &on_gitlab, row).await)
            });
        }
        later
    }

    /// Creates attempts for up to `count` ready builds. Also returns when more may be ready.
    async fn dispatch(&self, count: usize) -> Result<(usize, Option<Instant>), Error> {
        if count == 0 {
            return Ok((0, None));
        }
        let at = self.state.clock.now();
        let reader = self.state.database.read();
        let mut candidates = Vec::new();
        // Each architecture has its own share, so that one without runners does not take all slots.
        let share = self.on_gitlab.settings.max_pipelines / self.architectures().len().max(1);
        for architecture in self.architectures() {
            let active = pipelines::count_active(reader, architecture).await?;
            let free = share.max(1).saturating_sub(saturating(active));
            let limit = saturating(free.min(count));
            let mut found = builds::candidates(reader, architecture, limit, at).await?;
            // The query's limit applies to each iteration.
            found = choose(found, free);
            candidates.extend(found);
        }
        let chosen: Vec<_> = choose(candidates, count)
            .iter()
            .map(|build| build.id)
            .collect();
        if !chosen.is_empty() {
            let dispatched = dispatch(
                &self.state.database,
                self.state.announcer(),
                &self.on_gitlab,
                &chosen,
            )
            .await?;
            // Some may have ended immediately, which frees slots.
            return Ok((dispatched, Some(Instant::now() + REDISPATCH_AFTER)));
        }
        let next = builds::next_backoff_end(reader, at).await?;
        let next = next.map(|next| {
            let pause = next.since(self.state.clock.now());
            Instant::now() + pause + Duration::from_millis(1)
        });
        Ok((0, next))
    }

    fn architectures(&self) -> &[Architecture] {
        &self.on_gitlab.settings.architectures
    }

    /// Records the result of a step.
    async fn record_result(&mut self, ended: Result<StepResult, JoinError>) -> Result<(), Error> {
        let later = |pause| Some(Instant::now() + pause);
        match ended {
            Ok((attempt, Ok(Step::Settled))) => {
                self.on_gitlab.creating.recovered();
                self.failures_in_a_row = 0;
                self.not_before.remove(&attempt);
            }
            Ok((attempt, Ok(Step::Later(pause)))) => {
                self.failures_in_a_row = 0;
                self.not_before.insert(attempt, later(pause));
            }
            Ok((attempt, Ok(Step::Failed(error)))) => self.record_failure(attempt, error).await?,
            Ok((attempt, Err(error))) => {
                tracing::error!(error = error.to_string(), attempt.id = %attempt, "cannot create a pipeline");
                self.not_before.insert(attempt, later(PAUSE_AFTER_ERROR));
            }
            Err(error) => {
                tracing::error!(%error, "a task that creates a pipeline ended unexpectedly");
                // A panic does not name its attempt: let all running ones be retried.
                self.not_before.retain(|_, at| at.is_some());
            }
        }
        Ok(())
    }

    async fn record_failure(
        &mut self,
        attempt: AttemptId,
        error: GitlabError,
    ) -> Result<(), Error> {
        self.failures_in_a_row += 1;
        let failures = self.failures.entry(attempt).or_default();
        if error.kind.affects_all_requests() || self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW {
            // GitLab seems to be down, which is not a failure of this attempt.
            failures.count = failures.count.max(1);
            let pause = self.on_gitlab.creating.failed(&Failure::Gitlab(error));
            let until = Some(Instant::now() + pause);
            self.backoff_until = until;
            self.not_before.insert(attempt, until);
            return Ok(());
        }
        failures.count += 1;
        let pause = failures.backoff.failed();
        let is_given_up = failures.count >= MAX_FAILURES_PER_ATTEMPT;
        self.not_before
            .insert(attempt, Some(Instant::now() + pause));
        if is_given_up {
            let row = pipelines::of_attempt(self.state.database.read(), attempt).await?;
            if let Some(row) = row.filter(|row| row.pipeline_id.is_none()) {
                end_refused(self.state.attempt_parts(), &row, &error.to_string()).await?;
            }
        }
        Ok(())
    }
}

impl Actor for PipelineCreation {
    const NAME: &'static str = "pipeline creation";
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.on_gitlab.ready.woken() => Event::Ready,
            () = self.jumps.next() => Event::Ready,
            Some(ended) = self.running.join_next() => Event::Ended(ended),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        if let Cause::Event(Event::Ended(ended)) = cause
            && let Err(error) = self.record_result(ended).await
        {
            tracing::error!(
                error = error.to_string(),
                "cannot record the result of creating a pipeline"
            );
        }
        Ok(Next::maybe_at(self.create().await?))
    }
}

//! Creates pipelines for ready builds, the most urgent ones first.

use std::time::Duration;

use buildbtw_gitlab::GitlabError;
use buildbtw_model::AttemptId;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::dispatch::pipelines::create::{Step, step};
use crate::dispatch::pipelines::ready::{dispatch_ready, wanted};
use crate::dispatch::pipelines::schedule::{Failed, Schedule};
use crate::error::Error;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::pipelines::give_up;
use crate::state::AppState;
use crate::state::pipelines::Pipelines;
use crate::time::{Clock, Jumps};

/// The pause before a retry after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The actor that creates pipelines.
pub(crate) struct PipelineCreation {
    state: AppState,
    on_gitlab: Pipelines,
    schedule: Schedule,
    running: JoinSet<StepResult>,
    jumps: Jumps,
}

/// An attempt, and the result of its step.
type StepResult = (AttemptId, Result<Step, Error>);

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
            schedule: Schedule::new(on_gitlab.settings.creation_interval),
            jumps: state.clock.jumps(),
            state,
            on_gitlab,
            running: JoinSet::new(),
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
        if let Some(until) = self.schedule.resumes_at(now) {
            return Ok(Some(until));
        }
        let parts = self.state.attempt_parts();
        let mut rows = wanted(parts).await?;
        let ids: Vec<AttemptId> = rows.iter().map(|row| row.attempt).collect();
        let room = self.schedule.room(&ids, now);
        let (dispatched, more_after) = dispatch_ready(parts, &self.on_gitlab, room).await?;
        if dispatched > 0 {
            rows = wanted(parts).await?;
        }
        let ids = rows.iter().map(|row| row.attempt).collect();
        let (due, later) = self.schedule.take_due(ids, self.running.len(), now);
        for row in rows.into_iter().filter(|row| due.contains(&row.attempt)) {
            let (state, on_gitlab) = (self.state.clone(), self.on_gitlab.clone());
            self.running.spawn(async move {
                let attempt = row.attempt;
                (attempt, step(state.attempt_parts(), &on_gitlab, row).await)
            });
        }
        let more_at = more_after.map(|pause| Instant::now() + pause);
        Ok(more_at.into_iter().chain(later).min())
    }

    /// Records the result of a step.
    async fn record_result(&mut self, ended: Result<StepResult, JoinError>) -> Result<(), Error> {
        let now = Instant::now();
        match ended {
            Ok((attempt, Ok(Step::Settled))) => {
                self.on_gitlab.creating.recovered();
                self.schedule.record_settled(attempt);
            }
            Ok((attempt, Ok(Step::Later(pause)))) => {
                self.schedule.record_pause(attempt, now + pause);
            }
            Ok((attempt, Ok(Step::Failed(error)))) => self.record_failure(attempt, error).await?,
            Ok((attempt, Err(error))) => {
                tracing::error!(error = error.to_string(), attempt.id = %attempt, "cannot create a pipeline");
                self.schedule.delay(attempt, now + PAUSE_AFTER_ERROR);
            }
            Err(error) => {
                tracing::error!(%error, "a task that creates a pipeline ended unexpectedly");
                self.schedule.repeat_running();
            }
        }
        Ok(())
    }

    async fn record_failure(
        &mut self,
        attempt: AttemptId,
        error: GitlabError,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let affects_all = error.kind.affects_all_requests();
        match self.schedule.record_failure(attempt, affects_all, now) {
            Failed::Gitlab => {
                let pause = self.on_gitlab.creating.failed(&Failure::Gitlab(error));
                self.schedule.pause_all(attempt, now + pause);
                Ok(())
            }
            Failed::Attempt => Ok(()),
            Failed::AttemptForGood => {
                give_up(self.state.attempt_parts(), attempt, &error.to_string()).await
            }
        }
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

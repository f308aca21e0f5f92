//! Creates pipelines for ready builds, the most urgent ones first.

use std::time::Duration;

use buildbtw_gitlab::GitlabError;
use buildbtw_model::{AttemptId, BackgroundTask};
use buildbtw_telemetry::spawn_in;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Keyed, Next, OwnOutage};
use crate::dispatch::pipelines::create::{Step, step};
use crate::dispatch::pipelines::ready::{dispatch_ready, wanted};
use crate::dispatch::pipelines::schedule::{Failed, Schedule};
use crate::error::Error;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::pipelines::give_up;
use crate::state::AppState;
use crate::state::pipelines::Pipelines;
use crate::time::Jumps;

/// The actor that creates pipelines.
pub(crate) struct PipelineCreation {
    state: AppState,
    on_gitlab: Pipelines,
    schedule: Schedule,
    /// The attempts whose step failed because of this server. Failures of GitLab are in the schedule.
    attempts: Keyed<AttemptId>,
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
    pub(crate) fn new(state: AppState, on_gitlab: Pipelines, outage: &Outage) -> Self {
        Self {
            attempts: Keyed::new(outage),
            schedule: Schedule::new(on_gitlab.settings.creation_interval),
            jumps: state.clock.jumps(),
            state,
            on_gitlab,
            running: JoinSet::new(),
        }
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
        let ids: Vec<AttemptId> = rows.iter().map(|row| row.attempt).collect();
        self.attempts.retain(|attempt| ids.contains(attempt));
        let (due, later) = self.schedule.take_due(ids, self.running.len(), now);
        for row in rows.into_iter().filter(|row| due.contains(&row.attempt)) {
            let (state, on_gitlab) = (self.state.clone(), self.on_gitlab.clone());
            spawn_in(&mut self.running, "pipeline step", async move {
                let attempt = row.attempt;
                (attempt, step(state.attempt_parts(), &on_gitlab, row).await)
            });
        }
        let more_at = more_after.map(|pause| Instant::now() + pause);
        Ok(more_at.into_iter().chain(later).min())
    }

    /// Records the result of a step.
    async fn record_result(&mut self, ended: Result<StepResult, JoinError>) {
        let (attempt, step) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a task that creates a pipeline ended unexpectedly");
                self.schedule.repeat_running();
                return;
            }
        };
        let recorded = match step {
            Ok(step) => self.record_step(attempt, step).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => self.attempts.succeeded(&attempt),
            Err(error) => {
                let error = anyhow::Error::from(error).context(format!("attempt {attempt}"));
                let at = self.attempts.failed(attempt, error.into());
                self.schedule.delay(attempt, at);
            }
        }
    }

    async fn record_step(&mut self, attempt: AttemptId, step: Step) -> Result<(), Error> {
        match step {
            Step::Settled => {
                self.on_gitlab.creating.recovered();
                self.schedule.record_settled(attempt);
                Ok(())
            }
            Step::Later(pause) => {
                self.schedule.record_pause(attempt, Instant::now() + pause);
                Ok(())
            }
            Step::Failed(error) => self.record_failure(attempt, error).await,
        }
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
                give_up(self.state.attempt_parts(), attempt, &error.explanation()).await
            }
        }
    }
}

impl OwnOutage for PipelineCreation {
    const TITLE: &'static str = "cannot dispatch builds to GitLab";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for PipelineCreation {
    const TASK: BackgroundTask = BackgroundTask::PipelineCreation;
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.on_gitlab.ready.woken() => Event::Ready,
            () = self.jumps.next() => Event::Ready,
            Some(ended) = self.running.join_next() => Event::Ended(ended),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        if let Cause::Event(Event::Ended(ended)) = cause {
            self.record_result(ended).await;
        }
        let at = self.create().await?;
        self.attempts.confirm();
        Ok(self.attempts.next(at))
    }
}

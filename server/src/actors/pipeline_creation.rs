//! Creates pipelines for ready builds: not too many, not too fast, and the most urgent ones first.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_gitlab::GitlabError;
use buildbtw_model::{Architecture, AttemptId};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::pipelines::PipelineRow;
use crate::db::{builds, pipelines};
use crate::dispatch::choose::choose;
use crate::dispatch::pipelines::create::{Step, step};
use crate::dispatch::pipelines::pace::Pace;
use crate::error::Error;
use crate::outage::{Backoff, Failure, Outage, Pauses};
use crate::service::pipelines::{dispatch, end_refused};
use crate::state::AppState;
use crate::state::pipelines::Pipelines;

/// How many are being created at the same time.
const CONCURRENCY: usize = 3;
/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// How soon more builds are looked for after some were dispatched.
const LOOK_FOR_MORE: Duration = Duration::from_millis(50);
/// After so many failures in a row, whatever they were about, GitLab is left alone for a while.
const MANY_FAILURES: u32 = 3;
/// After so many failures about itself an attempt is given up; together they take about ten minutes.
const MOST_FAILURES: u32 = 10;
const PAUSES: Pauses = Pauses::growing(Duration::from_secs(1), Duration::from_secs(120));

/// See the module.
pub(crate) struct PipelineCreation {
    state: AppState,
    on_gitlab: Pipelines,
    pace: Pace,
    running: JoinSet<Turn>,
    /// Attempts whose turn is being taken (`None`), or comes later.
    not_before: HashMap<AttemptId, Option<Instant>>,
    failures: HashMap<AttemptId, Failures>,
    failures_in_a_row: u32,
    /// Until when GitLab is left alone.
    rest_until: Option<Instant>,
}

/// An attempt's turn, with what came of it.
type Turn = (AttemptId, Result<Step, Error>);

/// How often GitLab failed to do what was asked for an attempt, and only for that.
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

/// What leads to a turn besides the passing of time.
pub(crate) enum Event {
    /// There may be pipelines to create.
    Ready,
    /// An attempt's turn has ended.
    Ended(Result<Turn, JoinError>),
}

impl PipelineCreation {
    pub(crate) fn new(state: AppState, on_gitlab: Pipelines) -> Self {
        Self {
            pace: Pace::new(on_gitlab.settings.pace),
            state,
            on_gitlab,
            running: JoinSet::new(),
            not_before: HashMap::new(),
            failures: HashMap::new(),
            failures_in_a_row: 0,
            rest_until: None,
        }
    }

    /// Of what happens here; what GitLab fails to do is told by [`Pipelines::outage`].
    pub(crate) fn outage() -> Outage {
        Outage::new(
            "cannot dispatch builds to GitLab",
            Pauses::constant(PAUSE_AFTER_ERROR),
        )
    }

    /// Does what can be done now, and returns when there may be more to do without anybody saying so.
    async fn create(&mut self) -> Result<Option<Instant>, Error> {
        let now = Instant::now();
        if let Some(until) = self.rest_until {
            if until > now {
                return Ok(Some(until));
            }
            self.rest_until = None;
        }
        let mut wanted = pipelines::uncreated(self.state.database.read()).await?;
        // Only so many that what becomes urgent meanwhile still comes first. What has to wait holds up
        // nothing else.
        let waits = |row: &&PipelineRow| {
            let at = self.not_before.get(&row.attempt).copied().flatten();
            at.is_some_and(|at| at > now)
        };
        let waiting = wanted.iter().filter(waits).count();
        let room = (2 * CONCURRENCY + waiting).saturating_sub(wanted.len());
        let (dispatched, next) = self.dispatch(room).await?;
        if dispatched > 0 {
            wanted = pipelines::uncreated(self.state.database.read()).await?;
        }
        let is_wanted = |attempt: &AttemptId| wanted.iter().any(|row| row.attempt == *attempt);
        self.not_before.retain(|attempt, _| is_wanted(attempt));
        self.failures.retain(|attempt, _| is_wanted(attempt));
        // Those that have failed come last: they shall not take all places at every turn.
        wanted.sort_by_key(|row| {
            self.failures
                .get(&row.attempt)
                .map(|failures| failures.count)
        });
        let later = self.start(wanted, now);
        Ok(next.into_iter().chain(later).min())
    }

    /// Begins the turns of attempts whose time has come, as many as there may be; returns when there may be more.
    fn start(&mut self, wanted: Vec<PipelineRow>, now: Instant) -> Option<Instant> {
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
                // The end of one of them leads to the next turn.
                break;
            }
            if !self.pace.take(now) {
                return later.into_iter().chain([self.pace.next()]).min();
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

    /// Turns up to `count` ready builds into attempts; also returns when there may be more.
    async fn dispatch(&self, count: usize) -> Result<(usize, Option<Instant>), Error> {
        if count == 0 {
            return Ok((0, None));
        }
        let at = self.state.clock.now();
        let reader = self.state.database.read();
        let mut candidates = Vec::new();
        // Each has a share of its own, so that one without runners does not take all places.
        let share = self.on_gitlab.settings.max_pipelines / self.architectures().len().max(1);
        for architecture in self.architectures() {
            let active = pipelines::count_active(reader, architecture).await?;
            let free = share
                .max(1)
                .saturating_sub(usize::try_from(active).unwrap_or(usize::MAX));
            let limit = i64::try_from(free.min(count)).unwrap_or(i64::MAX);
            let mut found = builds::candidates(reader, architecture, limit, at).await?;
            // So many of each iteration were found.
            found = choose(found, free);
            candidates.extend(found);
        }
        let chosen: Vec<_> = choose(candidates, count)
            .iter()
            .map(|build| build.id)
            .collect();
        if !chosen.is_empty() {
            let dispatched = dispatch(&self.state, &chosen).await?;
            // Some of them may have ended at once and left room for others.
            return Ok((dispatched, Some(Instant::now() + LOOK_FOR_MORE)));
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

    /// Notes what came of an attempt's turn.
    async fn note(&mut self, ended: Result<Turn, JoinError>) -> Result<(), Error> {
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
            Ok((attempt, Ok(Step::Failed(error)))) => self.note_failure(attempt, error).await?,
            Ok((attempt, Err(error))) => {
                tracing::error!(error = error.to_string(), attempt.id = %attempt, "cannot create a pipeline");
                self.not_before.insert(attempt, later(PAUSE_AFTER_ERROR));
            }
            Err(error) => {
                tracing::error!(%error, "the creation of a pipeline ended unexpectedly");
                // Whichever it was may be tried again.
                self.not_before.retain(|_, at| at.is_some());
            }
        }
        Ok(())
    }

    async fn note_failure(&mut self, attempt: AttemptId, error: GitlabError) -> Result<(), Error> {
        self.failures_in_a_row += 1;
        let failures = self.failures.entry(attempt).or_default();
        if error.kind.is_general() || self.failures_in_a_row >= MANY_FAILURES {
            // GitLab seems to be down: that is no fault of this one.
            failures.count = failures.count.max(1);
            let rest = self.on_gitlab.creating.failed(&Failure::Gitlab(error));
            let until = Some(Instant::now() + rest);
            self.rest_until = until;
            self.not_before.insert(attempt, until);
            return Ok(());
        }
        failures.count += 1;
        let pause = failures.backoff.failed();
        let is_given_up = failures.count >= MOST_FAILURES;
        self.not_before
            .insert(attempt, Some(Instant::now() + pause));
        if is_given_up {
            let row = pipelines::of_attempt(self.state.database.read(), attempt).await?;
            if let Some(row) = row.filter(|row| row.pipeline_id.is_none()) {
                end_refused(&self.state, &row, &error.to_string()).await?;
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
            Some(ended) = self.running.join_next() => Event::Ended(ended),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        if let Cause::Event(Event::Ended(ended)) = cause
            && let Err(error) = self.note(ended).await
        {
            tracing::error!(
                error = error.to_string(),
                "cannot note what came of a pipeline"
            );
        }
        Ok(Next::maybe_at(self.create().await?))
    }
}

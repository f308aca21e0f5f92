//! Asks GitLab for pipelines: not too many, not too fast, and each only once.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{Architecture, AttemptId};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::pipelines::PipelineRow;
use crate::db::{builds, now, pipelines, source_repositories};
use crate::dispatch::choose::choose;
use crate::error::Error;
use crate::service::pipelines::{Made, hand_over, made, pipeline_name, refused, withdrawn};
use buildbtw_gitlab::{GitlabError, GitlabErrorKind, NewPipeline, Parameters, Pipeline, ProjectId};

use super::pace::Pace;
use super::refused::Refused;
use super::{ParameterKind, Pipelines};

/// How many are being created at the same time.
const CONCURRENCY: usize = 3;
/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// How soon more builds are looked for after some were handed over.
const LOOK_FOR_MORE: Duration = Duration::from_millis(50);
/// How often GitLab is asked whether it has what it did not confirm.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// After so many failures in a row, whatever they were about, GitLab is left alone for a while.
const MANY_FAILURES: u32 = 3;
/// After so many failures about itself an attempt is given up; together they take about ten minutes.
const MOST_FAILURES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What came of one attempt's turn.
enum Step {
    /// It needs no more turns.
    Settled,
    /// It needs another turn, not before this time.
    Later(Duration),
    /// GitLab failed to do it.
    Failed(GitlabError),
}

impl Pipelines {
    /// Creates pipelines for ready builds until cancelled.
    pub async fn create(self, state: AppState, cancel: CancellationToken) {
        let mut creation = Creation {
            pace: Pace::new(self.settings.pace),
            desk: self,
            running: JoinSet::new(),
            not_before: HashMap::new(),
            failures: HashMap::new(),
            failures_in_a_row: 0,
            rest_until: None,
        };
        loop {
            let wake_at = match creation.turn(&state).await {
                Ok(wake_at) => wake_at,
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot hand builds to GitLab");
                    Some(Instant::now() + PAUSE_AFTER_ERROR)
                }
            };
            let pause = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = creation.desk.ready.notified() => {}
                Some(ended) = creation.running.join_next() => {
                    if let Err(error) = creation.note(&state, ended).await {
                        tracing::error!(error = error.to_string(), "cannot note what came of a pipeline");
                    }
                }
                () = pause => {}
            }
        }
    }
}

struct Creation {
    desk: Pipelines,
    pace: Pace,
    running: JoinSet<(AttemptId, Result<Step, Error>)>,
    /// Attempts whose turn is being taken (`None`), or comes later.
    not_before: HashMap<AttemptId, Option<Instant>>,
    /// How often GitLab failed to do what was asked for an attempt, and only for that.
    failures: HashMap<AttemptId, u32>,
    failures_in_a_row: u32,
    /// Until when GitLab is left alone.
    rest_until: Option<Instant>,
}

impl Creation {
    /// Does what can be done now, and returns when there may be more to do without anybody saying so.
    async fn turn(&mut self, state: &AppState) -> Result<Option<Instant>, Error> {
        let now = Instant::now();
        if let Some(until) = self.rest_until {
            if until > now {
                return Ok(Some(until));
            }
            self.rest_until = None;
        }
        let mut wanted = pipelines::wanted(state.database.read()).await?;
        // Only so many that what becomes urgent meanwhile still comes first. What has to wait holds up
        // nothing else.
        let waits = |row: &&PipelineRow| {
            let at = self.not_before.get(&row.attempt).copied().flatten();
            at.is_some_and(|at| at > now)
        };
        let waiting = wanted.iter().filter(waits).count();
        let room = (2 * CONCURRENCY + waiting).saturating_sub(wanted.len());
        let (handed, mut wake_at) = self.hand_over(state, room).await?;
        if handed > 0 {
            wanted = pipelines::wanted(state.database.read()).await?;
        }
        let is_wanted = |attempt: &AttemptId| wanted.iter().any(|row| row.attempt == *attempt);
        self.not_before.retain(|attempt, _| is_wanted(attempt));
        self.failures.retain(|attempt, _| is_wanted(attempt));
        // Those that have failed come last: they shall not take all places at every turn.
        wanted.sort_by_key(|row| self.failures.get(&row.attempt).copied());
        for row in wanted {
            match self.not_before.get(&row.attempt) {
                Some(None) => continue,
                Some(Some(at)) if *at > now => {
                    wake_at = wake_at.into_iter().chain([*at]).min();
                    continue;
                }
                _ => {}
            }
            if self.running.len() >= CONCURRENCY {
                // The end of one of them leads to the next turn.
                break;
            }
            if !self.pace.take(now) {
                wake_at = wake_at.into_iter().chain([self.pace.next()]).min();
                break;
            }
            self.not_before.insert(row.attempt, None);
            let (state, desk) = (state.clone(), self.desk.clone());
            self.running.spawn(async move {
                let attempt = row.attempt;
                (attempt, step(&state, &desk, row).await)
            });
        }
        Ok(wake_at)
    }

    /// Turns up to `count` ready builds into attempts; also returns when there may be more.
    async fn hand_over(
        &self,
        state: &AppState,
        count: usize,
    ) -> Result<(usize, Option<Instant>), Error> {
        if count == 0 {
            return Ok((0, None));
        }
        let at = now();
        let mut candidates = Vec::new();
        // Each has a share of its own, so that one without runners does not take all places.
        let share = self.desk.settings.max_pipelines / self.architectures().len().max(1);
        for architecture in self.architectures() {
            let reader = state.database.read();
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
            let handed = hand_over(state, &chosen).await?;
            // Some of them may have ended at once and left room for others.
            return Ok((handed, Some(Instant::now() + LOOK_FOR_MORE)));
        }
        let next = builds::next_pause_end(state.database.read(), at).await?;
        let next = next.map(|next| {
            let pause = u64::try_from(next - now()).unwrap_or_default() + 1;
            Instant::now() + Duration::from_millis(pause)
        });
        Ok((0, next))
    }

    fn architectures(&self) -> &[Architecture] {
        &self.desk.settings.architectures
    }

    async fn note(
        &mut self,
        state: &AppState,
        ended: Result<(AttemptId, Result<Step, Error>), tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let later = |pause| Some(Instant::now() + pause);
        match ended {
            Ok((attempt, Ok(Step::Settled))) => {
                self.desk.creating.answered();
                self.failures_in_a_row = 0;
                self.not_before.remove(&attempt);
            }
            Ok((attempt, Ok(Step::Later(pause)))) => {
                self.failures_in_a_row = 0;
                self.not_before.insert(attempt, later(pause));
            }
            Ok((attempt, Ok(Step::Failed(error)))) => {
                self.failures_in_a_row += 1;
                let failures = self.failures.entry(attempt).or_default();
                if error.kind.is_general() || self.failures_in_a_row >= MANY_FAILURES {
                    // GitLab seems to be down: that is no fault of this one.
                    *failures = (*failures).max(1);
                    let rest = self.desk.creating.failed(&error);
                    self.rest_until = later(rest);
                    self.not_before.insert(attempt, later(rest));
                    return Ok(());
                }
                *failures += 1;
                let pause = FIRST_PAUSE
                    .saturating_mul(1 << (*failures - 1).min(10))
                    .min(LONGEST_PAUSE);
                self.not_before.insert(attempt, later(pause));
                if *failures >= MOST_FAILURES {
                    let row = pipelines::of_attempt(state.database.read(), attempt).await?;
                    if let Some(row) = row.filter(|row| row.pipeline_id.is_none()) {
                        refused(state, &row, &error.to_string()).await?;
                    }
                }
            }
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
}

/// One attempt's turn: looks whether it exists already if that may be, and asks for it otherwise.
async fn step(state: &AppState, desk: &Pipelines, row: PipelineRow) -> Result<Step, Error> {
    let project = ProjectId(u64::try_from(row.project_id).unwrap_or_default());
    let about = about(state, &row).await?;
    if let Some(asked_at) = row.asked_at {
        let name = pipeline_name(row.attempt);
        match desk.gitlab.pipelines_named(project, &about, &name).await {
            Ok(found) => {
                if let Some((first, rest)) = found.split_first() {
                    for extra in rest {
                        // Only one may build; the others must not hold a runner.
                        let _ = desk.gitlab.cancel_pipeline(project, &about, extra.id).await;
                    }
                    return settle(state, desk, &row, first).await;
                }
            }
            // The project is gone, or out of sight: what may be in it cannot be found.
            Err(error) if is_out_of_sight(&error) => {}
            Err(error) => return Ok(Step::Failed(error)),
        }
        let settle_ms = i64::try_from(desk.settings.settle.as_millis()).unwrap_or(i64::MAX / 2);
        if now() < asked_at.saturating_add(settle_ms) {
            return Ok(Step::Later(LOOK_AGAIN.min(desk.settings.settle)));
        }
    }
    if row.is_unwanted() || row.attempt_status.is_final() {
        withdrawn(state, &row).await?;
        return Ok(Step::Settled);
    }
    ask(state, desk, &row, project, &about).await
}

async fn ask(
    state: &AppState,
    desk: &Pipelines,
    row: &PipelineRow,
    project: ProjectId,
    about: &str,
) -> Result<Step, Error> {
    let Some(build) = builds::by_id(state.database.read(), row.build).await? else {
        return Ok(Step::Settled);
    };
    // Durable before GitLab hears of it: whoever reads this after a crash looks before asking again.
    if !note_asked(state, row.attempt, Some(now())).await? {
        // Its namespace was deleted meanwhile.
        return Ok(Step::Settled);
    }
    let attempt = row.attempt.to_string();
    let values = [
        ("attempt", attempt.as_str()),
        ("server", state.config.url.as_str()),
        ("pkgbase", build.pkgbase.as_str()),
        ("architecture", build.architecture.as_str()),
    ];
    let new = NewPipeline {
        project,
        about,
        git_ref: &row.git_ref,
        parameters: match desk.settings.parameters {
            ParameterKind::Inputs => Parameters::Inputs,
            ParameterKind::Variables => Parameters::Variables,
        },
        values: &values,
    };
    let error = match desk.gitlab.create_pipeline(&new).await {
        Ok(found) => return settle(state, desk, row, &found).await,
        Err(error) => error,
    };
    if !error.kind.had_no_effect() {
        tracing::warn!(error = error.to_string(), attempt.id = %row.attempt, "GitLab did not confirm a pipeline; looking for it");
        return Ok(Step::Failed(error));
    }
    note_asked(state, row.attempt, None).await?;
    match Refused::of(&error) {
        Refused::ForNow(pause) => Ok(Step::Later(pause)),
        Refused::Everything => Ok(Step::Failed(error)),
        Refused::ForGood(message) => {
            refused(state, row, &message).await?;
            Ok(Step::Settled)
        }
    }
}

async fn settle(
    state: &AppState,
    desk: &Pipelines,
    row: &PipelineRow,
    found: &Pipeline,
) -> Result<Step, Error> {
    let made = made(state, row, found).await?;
    if made == Made::Unwanted {
        let project = ProjectId(u64::try_from(row.project_id).unwrap_or_default());
        let cancelled = desk
            .gitlab
            .cancel_pipeline(project, &row.git_ref, found.id)
            .await;
        if let Err(error) = cancelled {
            // Its jobs are refused anyway.
            tracing::warn!(error = error.to_string(), "cannot cancel a pipeline");
        }
    }
    if made == Made::Unwanted || found.status.is_completed() {
        desk.heard_of(row.project_id);
    }
    Ok(Step::Settled)
}

async fn note_asked(state: &AppState, attempt: AttemptId, at: Option<i64>) -> Result<bool, Error> {
    let mut tx = state.database.write().await?;
    let is_there = pipelines::set_asked(&mut tx, attempt, at).await?;
    tx.commit().await?;
    Ok(is_there)
}

/// Whether it is the project that cannot be seen.
fn is_out_of_sight(error: &GitlabError) -> bool {
    matches!(
        error.kind,
        GitlabErrorKind::Status { status: 404, .. } | GitlabErrorKind::Forbidden(_)
    )
}

/// What the project is called in errors.
pub(super) async fn about(state: &AppState, row: &PipelineRow) -> Result<String, Error> {
    let known = source_repositories::of_project(state.database.read(), row.project_id).await?;
    Ok(known.map_or_else(|| format!("project {}", row.project_id), |known| known.path))
}

//! Follows pipelines: what GitLab says about many of them in one query, at every tick and whenever a
//! webhook came, and cancels those that nobody wants any more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use buildbtw_model::{AttemptId, AttemptStatus};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::now as now_ms;
use crate::db::pipelines::{self, PipelineRow};
use crate::error::Error;
use crate::gitlab::{GitlabError, Job, PipelineStatus, ProjectId};
use crate::service::pipelines::{ended, pipeline_name};

use super::Pipelines;
use super::create::about;

/// GitLab shows no more projects, and no more pipelines of each, at once.
const LARGEST_PAGE: usize = 100;
/// Pipelines of others that may be newer than ours.
const MARGIN: usize = 2;
/// How many are asked about one by one in a look: those that are not among the newest of their project,
/// or failed without a word. One may take two requests; with the queries for a thousand pipelines that
/// makes twenty.
const SINGLE: usize = 5;
/// For how many ticks a pipeline may run without its job having asked for the build, before the jobs are
/// looked at: a pipeline goes on as long as the statuses of other programs in it do.
const QUIET_TICKS: u32 = 4;
/// How many are cancelled in a row before others have their turn.
const CANCELS: usize = 50;
/// Looks because of webhooks, which come in bursts, are at least so far apart.
const GAP: Duration = Duration::from_millis(500);

/// Why following stopped half-way.
enum Stopped {
    /// GitLab cannot be asked.
    Gitlab(GitlabError),
    /// The database cannot be used.
    Here(Error),
}

impl From<GitlabError> for Stopped {
    fn from(error: GitlabError) -> Self {
        Self::Gitlab(error)
    }
}

impl<E: Into<Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Here(error.into())
    }
}

/// How soon a cancellation is sent again that had no effect.
const CANCEL_AGAIN_MS: i64 = 5 * 60_000;

/// When a pipeline was last asked about by itself, so that each has its turn.
type Turns = HashMap<AttemptId, Instant>;

impl Pipelines {
    /// Follows pipelines until cancelled.
    pub async fn follow(self, state: AppState, cancel: CancellationToken) {
        // What happened while the server was away is looked at first.
        let mut next_tick = Instant::now();
        let mut rest_until: Option<Instant> = None;
        let mut turns = Turns::new();
        loop {
            let is_tick = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(rest_until.unwrap_or(next_tick)) => true,
                () = self.look.notified(), if rest_until.is_none() => false,
            };
            rest_until = None;
            let news: Vec<i64> = self.take_news().into_iter().collect();
            let of = if is_tick { None } else { Some(news.as_slice()) };
            let looked = self.look_at(&state, of, &mut turns).await;
            let now = Instant::now();
            match looked {
                Ok(()) if is_tick => next_tick = now + self.settings.tick,
                Ok(()) => {}
                Err(Stopped::Gitlab(error)) => {
                    rest_until = Some(now + self.following.failed(&error));
                }
                Err(Stopped::Here(error)) => {
                    tracing::error!(error = error.to_string(), "cannot follow pipelines");
                    rest_until = Some(now + Duration::from_secs(1));
                }
            }
            if !is_tick {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(GAP) => {}
                }
            }
        }
    }

    /// Looks at all pipelines, or at those of some projects.
    async fn look_at(
        &self,
        state: &AppState,
        projects: Option<&[i64]>,
        turns: &mut Turns,
    ) -> Result<(), Stopped> {
        self.cancel_unwanted(state).await?;
        self.cancel_orphans(state).await?;
        if projects.is_some_and(<[i64]>::is_empty) {
            return Ok(());
        }
        let rows = pipelines::followed(state.database.read(), projects).await?;
        if projects.is_none() {
            turns.retain(|attempt, _| rows.iter().any(|row| row.attempt == *attempt));
        }
        let (mut failed, mut silent) = (Vec::new(), Vec::new());
        let mut room_was_made = false;
        for batch in batches(rows) {
            let ids: Vec<ProjectId> = batch.keys().map(|project| project_id(*project)).collect();
            let each = batch.values().map(Vec::len).max().unwrap_or(1) + MARGIN;
            let known = self
                .gitlab
                .pipeline_statuses(&ids, each.min(LARGEST_PAGE))
                .await
                .map_err(Stopped::Gitlab)?;
            self.following.answered();
            let quiet = self.settings.tick.saturating_mul(QUIET_TICKS).as_millis();
            let quiet_since = now_ms() - i64::try_from(quiet).unwrap_or(i64::MAX / 2);
            let sorted = sort(batch, &known, quiet_since);
            note(state, &sorted.moved).await?;
            for (row, status) in &sorted.over {
                ended(state, row, Some(*status), &[], None).await?;
                room_was_made = true;
            }
            failed.extend(sorted.failed);
            silent.extend(sorted.silent);
        }
        let (now, tick) = (Instant::now(), self.settings.tick);
        let had_no_turn = |row: &PipelineRow| {
            let last = turns.get(&row.attempt);
            last.is_none_or(|at| *at + tick / 2 <= now)
        };
        failed.retain(had_no_turn);
        failed.sort_by_key(|row| turns.get(&row.attempt).copied());
        for row in failed.iter().skip(SINGLE).take(LARGEST_PAGE) {
            // Soon, and without asking about all the others again.
            self.heard_of(row.project_id);
        }
        failed.truncate(SINGLE);
        // The silent have to do with what is left of a tick. Whoever waited longest comes first, so that one
        // that cannot be asked about holds up nobody.
        silent.retain(had_no_turn);
        silent.sort_by_key(|row| turns.get(&row.attempt).copied());
        silent.truncate(SINGLE.saturating_sub(failed.len()));
        for row in failed.iter().chain(&silent) {
            turns.insert(row.attempt, now);
            match self.look_closer(state, row).await {
                Ok(is_over) => room_was_made |= is_over,
                Err(Stopped::Gitlab(error)) if !error.kind.is_general() => {
                    tracing::warn!(
                        error = error.to_string(),
                        attempt.id = %row.attempt,
                        "cannot look at a pipeline; tried again"
                    );
                }
                Err(stopped) => return Err(stopped),
            }
        }
        if room_was_made {
            self.wake();
        }
        Ok(())
    }

    /// Asks about one pipeline by itself, and ends what it has ended. Returns whether it has.
    async fn look_closer(&self, state: &AppState, row: &PipelineRow) -> Result<bool, Stopped> {
        let (project, number) = key(row);
        let about = about(state, row).await?;
        let found = self.gitlab.pipeline(project, &about, number).await?;
        let Some(found) = found else {
            ended(state, row, None, &[], None).await?;
            return Ok(true);
        };
        let mut status = found.status;
        // Its job reports before it ends: only where it did not, GitLab has to say why.
        let mut jobs = Vec::new();
        if !row.attempt_status.is_final() && status != PipelineStatus::Success {
            jobs = self.gitlab.jobs(project, &about, number).await?;
            if !status.is_completed()
                && let Some(last) = end_of(&jobs)
            {
                status = last;
            }
        }
        if !status.is_completed() {
            note(state, &[(row.clone(), status)]).await?;
            return Ok(false);
        }
        let errors = found.yaml_errors.as_deref();
        ended(state, row, Some(status), &jobs, errors).await?;
        Ok(true)
    }

    /// Cancels what is left of removed namespaces. One that GitLab never confirmed is looked for until it
    /// cannot appear any more.
    async fn cancel_orphans(&self, state: &AppState) -> Result<(), Stopped> {
        let limit = i64::try_from(CANCELS).unwrap_or(i64::MAX);
        for orphan in pipelines::orphans(state.database.read(), limit).await? {
            let project = project_id(orphan.project_id);
            let about = format!("project {project}");
            let found: Vec<u64> = match orphan.pipeline_id {
                Some(id) => u64::try_from(id).into_iter().collect(),
                None => {
                    let name = pipeline_name(orphan.attempt);
                    let found = self.gitlab.pipelines_named(project, &about, &name).await;
                    match found {
                        Ok(found) => found.iter().map(|found| found.id).collect(),
                        Err(error) if error.kind.is_general() => return Err(error.into()),
                        Err(error) if error.kind.is_transient() => continue,
                        Err(_) => Vec::new(),
                    }
                }
            };
            let settled = self.settings.settle.as_millis();
            let settled = orphan.asked_at + i64::try_from(settled).unwrap_or(i64::MAX / 2);
            if found.is_empty() && now_ms() < settled {
                continue;
            }
            for id in found {
                match self.gitlab.cancel_pipeline(project, &about, id).await {
                    Err(error) if error.kind.is_general() => return Err(error.into()),
                    // Its job gets no build in any case.
                    _ => {}
                }
            }
            let mut tx = state.database.write().await?;
            pipelines::forget_orphan(&mut tx, orphan.attempt).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn cancel_unwanted(&self, state: &AppState) -> Result<(), Stopped> {
        let rows = pipelines::unwanted(state.database.read(), now_ms() - CANCEL_AGAIN_MS).await?;
        if rows.len() > CANCELS {
            self.look.notify_one();
        }
        for row in rows.iter().take(CANCELS) {
            let (project, number) = key(row);
            let about = about(state, row).await?;
            match self.gitlab.cancel_pipeline(project, &about, number).await {
                Ok(()) => {}
                Err(error) if error.kind.is_general() => return Err(error.into()),
                Err(error) if error.kind.is_transient() => continue,
                // The job is refused when it asks for its build; nothing else can be done from here.
                Err(error) => {
                    tracing::warn!(error = error.to_string(), "cannot cancel a pipeline");
                }
            }
            let mut tx = state.database.write().await?;
            pipelines::set_cancel_sent(&mut tx, row.attempt).await?;
            tx.commit().await?;
            self.heard_of(row.project_id);
        }
        Ok(())
    }
}

/// How the jobs of a pipeline ended, if all of them have: statuses of other programs keep a pipeline
/// going, and are no jobs.
fn end_of(jobs: &[Job]) -> Option<PipelineStatus> {
    if jobs.is_empty() || !jobs.iter().all(|job| job.status.is_completed()) {
        return None;
    }
    let has = |status| jobs.iter().any(|job| job.status == status);
    Some(if has(PipelineStatus::Failed) {
        PipelineStatus::Failed
    } else if has(PipelineStatus::Canceled) {
        PipelineStatus::Canceled
    } else {
        PipelineStatus::Success
    })
}

fn project_id(number: i64) -> ProjectId {
    ProjectId(u64::try_from(number).unwrap_or_default())
}

fn key(row: &PipelineRow) -> (ProjectId, u64) {
    let number = row.pipeline_id.and_then(|id| u64::try_from(id).ok());
    (project_id(row.project_id), number.unwrap_or_default())
}

type Batch = BTreeMap<i64, Vec<PipelineRow>>;

/// Pipelines by project, in as many parts as there have to be queries.
fn batches(rows: Vec<PipelineRow>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    // They come ordered by project.
    for row in rows {
        let project = row.project_id;
        let fits = batches
            .last()
            .is_some_and(|batch| batch.len() < LARGEST_PAGE || batch.contains_key(&project));
        if !fits {
            batches.push(Batch::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.entry(project).or_default().push(row);
        }
    }
    batches
}

type Moved = (PipelineRow, PipelineStatus);

/// What GitLab's answer means for each pipeline of a batch.
#[derive(Default)]
struct Sorted {
    /// Go on, but stand elsewhere than before.
    moved: Vec<Moved>,
    /// Are over, and it is clear what that means.
    over: Vec<Moved>,
    /// Have failed, and their jobs have to say why.
    failed: Vec<PipelineRow>,
    /// Are not in the answer, or go on without a word of their jobs.
    silent: Vec<PipelineRow>,
}

fn sort(
    batch: Batch,
    known: &HashMap<(ProjectId, u64), PipelineStatus>,
    quiet_since: i64,
) -> Sorted {
    let mut sorted = Sorted::default();
    for row in batch.into_values().flatten() {
        let Some(status) = known.get(&key(&row)).copied() else {
            sorted.silent.push(row);
            continue;
        };
        let is_quiet = row.attempt_status == AttemptStatus::Queued
            && row.asked_at.is_some_and(|at| at < quiet_since);
        let is_unexplained = status == PipelineStatus::Failed && !row.attempt_status.is_final();
        if is_unexplained {
            sorted.failed.push(row);
        } else if is_quiet && status == PipelineStatus::Running {
            sorted.silent.push(row);
        } else if status.is_completed() {
            sorted.over.push((row, status));
        } else if row.status.as_deref() != Some(status.as_str()) {
            sorted.moved.push((row, status));
        }
    }
    sorted
}

async fn note(state: &AppState, moved: &[Moved]) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let mut tx = state.database.write().await?;
    for (row, status) in moved {
        pipelines::set_status(&mut tx, row.attempt, status.as_str()).await?;
    }
    tx.commit().await?;
    Ok(())
}

//! Follows pipelines: what GitLab says about many of them in one query, at every tick and whenever a
//! webhook came, and cancels those that nobody wants any more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::now;
use crate::db::pipelines::{self, PipelineRow};
use crate::error::Error;
use crate::gitlab::{GitlabError, PipelineStatus, ProjectId};
use crate::service::pipelines::{ended, pipeline_name};

use super::Pipelines;
use super::create::about;

/// GitLab shows no more projects, and no more pipelines of each, at once.
const LARGEST_PAGE: usize = 100;
/// Pipelines of others that may be newer than ours.
const MARGIN: usize = 2;
/// How many are asked about one by one in a tick: those that are not among the newest of their project,
/// or ended without a word.
const SINGLE: usize = 8;
/// How many are cancelled in a row before others have their turn.
const CANCELS: usize = 50;
/// Webhooks come in bursts.
const GATHER: Duration = Duration::from_millis(100);

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

impl Pipelines {
    /// Follows pipelines until cancelled.
    pub async fn follow(self, state: AppState, cancel: CancellationToken) {
        // What happened while the server was away is looked at first.
        let mut next_tick = Instant::now();
        let mut rest_until: Option<Instant> = None;
        loop {
            let is_tick = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(rest_until.unwrap_or(next_tick)) => true,
                () = self.look.notified(), if rest_until.is_none() => {
                    tokio::time::sleep(GATHER).await;
                    false
                }
            };
            rest_until = None;
            let news: Vec<i64> = self.take_news().into_iter().collect();
            let of = if is_tick { None } else { Some(news.as_slice()) };
            let more = match self.look_at(&state, of).await {
                Ok(more) => more,
                Err(Stopped::Gitlab(error)) => {
                    rest_until = Some(Instant::now() + self.trouble.failed(&error));
                    continue;
                }
                Err(Stopped::Here(error)) => {
                    tracing::error!(error = error.to_string(), "cannot follow pipelines");
                    rest_until = Some(Instant::now() + Duration::from_secs(1));
                    continue;
                }
            };
            if is_tick || more {
                let pause = if more { GATHER } else { self.settings.tick };
                next_tick = Instant::now() + pause;
            }
        }
    }

    /// Looks at all pipelines, or at those of some projects. Returns whether there was more to do than is
    /// done in one go.
    async fn look_at(&self, state: &AppState, projects: Option<&[i64]>) -> Result<bool, Stopped> {
        let mut more = self.cancel_unwanted(state).await?;
        self.cancel_orphans(state).await?;
        if projects.is_some_and(<[i64]>::is_empty) {
            return Ok(more);
        }
        let rows = pipelines::followed(state.database.read(), projects).await?;
        if rows.is_empty() {
            return Ok(more);
        }
        let mut single = 0;
        for batch in batches(rows) {
            let ids: Vec<ProjectId> = batch.keys().map(|project| project_id(*project)).collect();
            let each = batch.values().map(Vec::len).max().unwrap_or(1) + MARGIN;
            let known = self
                .gitlab
                .pipeline_statuses(&ids, each.min(LARGEST_PAGE))
                .await?;
            self.trouble.answered();
            let (moved, silent) = sort(&batch, &known);
            note(state, &moved).await?;
            for row in silent {
                if single >= SINGLE {
                    more = true;
                    break;
                }
                single += 1;
                self.look_closer(state, row).await?;
            }
        }
        Ok(more)
    }

    /// Asks about one pipeline by itself, and ends what it has ended.
    async fn look_closer(&self, state: &AppState, row: &PipelineRow) -> Result<(), Stopped> {
        let (project, number) = key(row);
        let about = about(state, row).await?;
        let found = self.gitlab.pipeline(project, &about, number).await?;
        let status = found.map(|found| found.status);
        match status {
            Some(status) if !status.is_completed() => {
                note(state, &[(row, status)]).await?;
                return Ok(());
            }
            _ => {}
        }
        // Its job reports before it ends: only where it did not, GitLab has to say why.
        let jobs = if status == Some(PipelineStatus::Failed) && !row.attempt_status.is_final() {
            self.gitlab.jobs(project, &about, number).await?
        } else {
            Vec::new()
        };
        ended(state, row, status, &jobs).await?;
        // There may be room for another one now.
        self.wake();
        Ok(())
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
                        Err(error) if error.kind.is_transient() => return Err(error.into()),
                        Err(_) => Vec::new(),
                    }
                }
            };
            let settled = self.settings.settle.as_millis();
            let settled = orphan.asked_at + i64::try_from(settled).unwrap_or(i64::MAX / 2);
            if found.is_empty() && now() < settled {
                continue;
            }
            for id in found {
                match self.gitlab.cancel_pipeline(project, &about, id).await {
                    Err(error) if error.kind.is_transient() => return Err(error.into()),
                    _ => {}
                }
            }
            let mut tx = state.database.write().await?;
            pipelines::forget_orphan(&mut tx, orphan.attempt).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn cancel_unwanted(&self, state: &AppState) -> Result<bool, Stopped> {
        let rows = pipelines::unwanted(state.database.read()).await?;
        let more = rows.len() > CANCELS;
        for row in rows.iter().take(CANCELS) {
            let (project, number) = key(row);
            let about = about(state, row).await?;
            match self.gitlab.cancel_pipeline(project, &about, number).await {
                Ok(()) => {}
                Err(error) if error.kind.is_transient() => return Err(error.into()),
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
        Ok(more)
    }
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

type Moved<'a> = (&'a PipelineRow, PipelineStatus);

/// Tells pipelines that go on but stand elsewhere than before from those that need a closer look.
fn sort<'a>(
    batch: &'a Batch,
    known: &HashMap<(ProjectId, u64), PipelineStatus>,
) -> (Vec<Moved<'a>>, Vec<&'a PipelineRow>) {
    let (mut moved, mut silent) = (Vec::new(), Vec::new());
    for row in batch.values().flatten() {
        match known.get(&key(row)) {
            Some(status) if !status.is_completed() => {
                if row.status.as_deref() != Some(status.as_str()) {
                    moved.push((row, *status));
                }
            }
            Some(_) | None => silent.push(row),
        }
    }
    (moved, silent)
}

async fn note(state: &AppState, moved: &[Moved<'_>]) -> Result<(), Error> {
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

//! Follows pipelines: what GitLab says about many of them in one query, at every tick and whenever a
//! webhook came, and cancels those that nobody wants any more.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::AttemptId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::now as now_ms;
use crate::db::pipelines::{self, PipelineRow};
use crate::error::Error;
use crate::service::pipelines::ended;
use buildbtw_gitlab::{GitlabError, ProjectId};

use super::Pipelines;
use super::sort::{Moved, batches, sort};

/// GitLab shows no more projects, and no more pipelines of each, at once.
pub(super) const LARGEST_PAGE: usize = 100;
/// Pipelines of others that may be newer than ours.
const MARGIN: usize = 2;
/// How many are asked about one by one in a look: those that are not among the newest of their project,
/// or failed without a word. One may take two requests; with the queries for a thousand pipelines that
/// makes twenty.
pub(super) const SINGLE: usize = 5;
/// For how many ticks a pipeline may run without its job having asked for the build, before the jobs are
/// looked at: a pipeline goes on as long as the statuses of other programs in it do.
const QUIET_TICKS: u32 = 4;
/// Looks because of webhooks, which come in bursts, are at least so far apart.
const GAP: Duration = Duration::from_millis(500);

/// Why following stopped half-way.
pub(super) enum Stopped {
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

/// When a pipeline was last asked about by itself, so that each has its turn.
pub(super) type Turns = HashMap<AttemptId, Instant>;

impl Pipelines {
    /// Follows pipelines until cancelled.
    pub async fn follow(self, state: AppState, cancel: CancellationToken) {
        // What happened while the server was away is looked at first.
        let mut next_tick = Instant::now();
        let mut rest_until: Option<Instant> = None;
        // When jobs have to be asked about, whatever the ticks are.
        let mut urgent_at: Option<Instant> = None;
        let mut turns = Turns::new();
        loop {
            let urgent = async {
                match urgent_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let is_tick = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(rest_until.unwrap_or(next_tick)) => true,
                () = self.look.notified(), if rest_until.is_none() => false,
                () = urgent, if rest_until.is_none() => false,
            };
            rest_until = None;
            let news: Vec<i64> = self.take_news().into_iter().collect();
            let of = if is_tick { None } else { Some(news.as_slice()) };
            let mut looked = self.look_at(&state, of, &mut turns).await;
            let now = Instant::now();
            match self.next_urgent(&state).await {
                Ok(at) => urgent_at = at,
                Err(error) => looked = looked.and(Err(error.into())),
            }
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
        let mut room_was_made = self.look_at_urgent(state, projects, turns).await?;
        if projects.is_some_and(<[i64]>::is_empty) {
            if room_was_made {
                self.wake();
            }
            return Ok(());
        }
        let rows = pipelines::followed(state.database.read(), projects).await?;
        if projects.is_none() {
            turns.retain(|attempt, _| rows.iter().any(|row| row.attempt == *attempt));
        }
        let (mut failed, mut silent) = (Vec::new(), Vec::new());
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
                ended(state, row, Some(*status), &[], None, None).await?;
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
            room_was_made |= self.try_to_look(state, row).await?;
        }
        if room_was_made {
            self.wake();
        }
        Ok(())
    }
}

pub(super) fn project_id(number: i64) -> ProjectId {
    ProjectId(u64::try_from(number).unwrap_or_default())
}

pub(super) fn key(row: &PipelineRow) -> (ProjectId, u64) {
    let number = row.pipeline_id.and_then(|id| u64::try_from(id).ok());
    (project_id(row.project_id), number.unwrap_or_default())
}

pub(super) async fn note(state: &AppState, moved: &[Moved]) -> Result<(), Error> {
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

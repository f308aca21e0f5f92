//! Polls pipelines: many in one query, then one by one those whose state its response does not show.

use std::collections::HashMap;

use buildbtw_gitlab::ProjectId;
use buildbtw_model::AttemptId;
use tokio::time::Instant;

use crate::db::pipelines::{self, PipelineRow};
use crate::outage::Failure;
use crate::service::pipelines::{end_completed, store_statuses};
use crate::state::parts::AttemptParts;
use crate::state::pipelines::Pipelines;

use super::sort::{MAX_PAGE_SIZE, batches, sort};

/// How many pipelines of other programs may be newer than ours.
const FOREIGN_MARGIN: usize = 2;
/// How many pipelines a poll queries one by one: those that are not among the newest of their project, or failed
/// without a report. One may take two requests; with the queries for a thousand pipelines that makes twenty.
pub(super) const MAX_SINGLE_QUERIES: usize = 5;
/// For how many ticks a pipeline may run without its job having requested the build, before its jobs are queried:
/// a pipeline runs as long as external commit statuses in it do.
const SILENT_TICKS: u32 = 4;
/// When each pipeline was last queried by itself, so that each has its turn.
pub(super) type LastQueried = HashMap<AttemptId, Instant>;

/// Polls pipelines, of which there may be many more than fit in one query.
pub(crate) struct Poll {
    pub(crate) on_gitlab: Pipelines,
    pub(super) turns: LastQueried,
}

/// Whether a poll sent a request to GitLab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// It did, and GitLab responded.
    Gitlab,
    /// There was nothing to query.
    Nothing,
}

impl Poll {
    pub(crate) fn new(on_gitlab: Pipelines) -> Self {
        Self {
            on_gitlab,
            turns: LastQueried::new(),
        }
    }

    /// Polls all pipelines, or those of some projects.
    pub(crate) async fn poll(
        &mut self,
        parts: AttemptParts<'_>,
        projects: Option<&[ProjectId]>,
    ) -> Result<Polled, Failure> {
        self.cancel_unwanted(parts).await?;
        self.cancel_orphans(parts).await?;
        let mut one_ended = self.query_overdue(parts, projects).await?;
        let mut asked = Polled::Nothing;
        if !projects.is_some_and(<[ProjectId]>::is_empty) {
            let (polled, also_ended) = self.poll_projects(parts, projects).await?;
            asked = polled;
            one_ended |= also_ended;
        }
        if one_ended {
            // A pipeline that ended makes room for another one.
            self.on_gitlab.wake();
        }
        Ok(asked)
    }

    /// Polls some projects, or all. Also returns whether a pipeline ended.
    async fn poll_projects(
        &mut self,
        parts: AttemptParts<'_>,
        projects: Option<&[ProjectId]>,
    ) -> Result<(Polled, bool), Failure> {
        let (mut asked, mut one_ended) = (Polled::Nothing, false);
        let rows = pipelines::followed(parts.database.read(), projects).await?;
        if projects.is_none() {
            self.turns
                .retain(|attempt, _| rows.iter().any(|row| row.attempt == *attempt));
        }
        let (mut failed, mut silent) = (Vec::new(), Vec::new());
        for batch in batches(rows) {
            let ids: Vec<ProjectId> = batch.keys().copied().collect();
            let each = batch.values().map(Vec::len).max().unwrap_or(1) + FOREIGN_MARGIN;
            let known = self
                .on_gitlab
                .gitlab
                .pipeline_statuses(&ids, each.min(MAX_PAGE_SIZE))
                .await?;
            asked = Polled::Gitlab;
            let quiet = self.on_gitlab.settings.tick.saturating_mul(SILENT_TICKS);
            let quiet_since = parts.database.clock().now() - quiet;
            let sorted = sort(batch, &known, quiet_since);
            store_statuses(parts.database, &sorted.moved).await?;
            for (row, status) in &sorted.over {
                end_completed(parts, row, Some(*status), &[], None, None).await?;
                one_ended = true;
            }
            failed.extend(sorted.failed);
            silent.extend(sorted.silent);
        }
        one_ended |= self.query_one_by_one(parts, failed, silent).await?;
        Ok((asked, one_ended))
    }

    /// Queries pipelines one by one about which the response for many says too little: a few of them, the others have
    /// their turn later. Returns whether one ended.
    async fn query_one_by_one(
        &mut self,
        parts: AttemptParts<'_>,
        mut failed: Vec<PipelineRow>,
        mut silent: Vec<PipelineRow>,
    ) -> Result<bool, Failure> {
        let (now, tick) = (Instant::now(), self.on_gitlab.settings.tick);
        let turns = &self.turns;
        let had_no_turn = |row: &PipelineRow| {
            let last = turns.get(&row.attempt);
            last.is_none_or(|at| *at + tick / 2 <= now)
        };
        failed.retain(had_no_turn);
        failed.sort_by_key(|row| turns.get(&row.attempt).copied());
        for row in failed.iter().skip(MAX_SINGLE_QUERIES).take(MAX_PAGE_SIZE) {
            // Soon, and without polling all the others again.
            self.on_gitlab.pipelines_changed(row.project_id);
        }
        failed.truncate(MAX_SINGLE_QUERIES);
        // Silent pipelines get the rest of a tick, the one that waited longest first, so that one that cannot be
        // queried does not delay the others.
        silent.retain(had_no_turn);
        silent.sort_by_key(|row| turns.get(&row.attempt).copied());
        silent.truncate(MAX_SINGLE_QUERIES.saturating_sub(failed.len()));
        let mut one_ended = false;
        for row in failed.iter().chain(&silent) {
            self.turns.insert(row.attempt, now);
            one_ended |= self.try_query(parts, row).await?;
        }
        Ok(one_ended)
    }
}

//! Sorts pipelines by their state in GitLab's response to a query for many of them.

use std::collections::{BTreeMap, HashMap};

use buildbtw_gitlab::{PipelineId, PipelineStatus, ProjectId};
use buildbtw_model::AttemptStatus;

use crate::db::pipelines::PipelineRow;
use crate::time::Millis;

/// The maximum number of projects, and of pipelines of each, in one of GitLab's pages.
pub(super) const MAX_PAGE_SIZE: usize = 100;
pub(super) type Batch = BTreeMap<ProjectId, Vec<PipelineRow>>;

/// Returns the project and id of a pipeline that exists.
pub(super) fn key(row: &PipelineRow) -> Option<(ProjectId, PipelineId)> {
    Some((row.project_id, row.pipeline_id?))
}

/// Groups pipelines by project, in one batch per query.
pub(super) fn batches(rows: Vec<PipelineRow>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    // The rows are ordered by project.
    for row in rows {
        let project = row.project_id;
        let fits = batches
            .last()
            .is_some_and(|batch| batch.len() < MAX_PAGE_SIZE || batch.contains_key(&project));
        if !fits {
            batches.push(Batch::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.entry(project).or_default().push(row);
        }
    }
    batches
}

pub(super) type Moved = (PipelineRow, PipelineStatus);

/// The pipelines of a batch, by their state in GitLab's response.
#[derive(Default)]
pub(super) struct Sorted {
    /// Still running, with another status than before.
    pub(super) moved: Vec<Moved>,
    /// Ended, for a clear reason.
    pub(super) over: Vec<Moved>,
    /// Failed, for a reason that only their jobs know.
    pub(super) failed: Vec<PipelineRow>,
    /// Missing from the response, or running without a request of their jobs.
    pub(super) silent: Vec<PipelineRow>,
}

/// Sorts the pipelines of a batch by their status in GitLab. `quiet_since` is the time since which a pipeline must
/// have existed to count as silent.
pub(super) fn sort(
    batch: Batch,
    known: &HashMap<(ProjectId, PipelineId), PipelineStatus>,
    quiet_since: Millis,
) -> Sorted {
    let mut sorted = Sorted::default();
    for row in batch.into_values().flatten() {
        let Some(status) = key(&row).and_then(|key| known.get(&key)).copied() else {
            sorted.silent.push(row);
            continue;
        };
        let is_quiet = row.attempt_status == AttemptStatus::Queued
            && row.requested_at.is_some_and(|at| at < quiet_since);
        let is_unexplained = status == PipelineStatus::Failed && !row.attempt_status.is_final();
        if is_unexplained {
            sorted.failed.push(row);
        } else if is_quiet && status == PipelineStatus::Running {
            sorted.silent.push(row);
        } else if status.is_completed() {
            sorted.over.push((row, status));
        } else if row.status != Some(status) {
            sorted.moved.push((row, status));
        }
    }
    sorted
}

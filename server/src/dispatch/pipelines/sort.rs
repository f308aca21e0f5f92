//! What GitLab's answer about many pipelines means for each.

use std::collections::{BTreeMap, HashMap};

use buildbtw_gitlab::{PipelineId, PipelineStatus, ProjectId};
use buildbtw_model::AttemptStatus;

use crate::db::pipelines::PipelineRow;
use crate::time::Millis;

/// GitLab shows no more projects, and no more pipelines of each, at once.
pub(super) const LARGEST_PAGE: usize = 100;
pub(super) type Batch = BTreeMap<ProjectId, Vec<PipelineRow>>;

/// What GitLab calls a pipeline that it has.
pub(super) fn key(row: &PipelineRow) -> Option<(ProjectId, PipelineId)> {
    Some((row.project_id, row.pipeline_id?))
}

/// Pipelines by project, in as many parts as there have to be queries.
pub(super) fn batches(rows: Vec<PipelineRow>) -> Vec<Batch> {
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

pub(super) type Moved = (PipelineRow, PipelineStatus);

/// What GitLab's answer means for each pipeline of a batch.
#[derive(Default)]
pub(super) struct Sorted {
    /// Go on, but stand elsewhere than before.
    pub(super) moved: Vec<Moved>,
    /// Are over, and it is clear what that means.
    pub(super) over: Vec<Moved>,
    /// Have failed, and their jobs have to say why.
    pub(super) failed: Vec<PipelineRow>,
    /// Are not in the answer, or go on without a word of their jobs.
    pub(super) silent: Vec<PipelineRow>,
}

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
            && row.asked_at.is_some_and(|at| at < quiet_since);
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

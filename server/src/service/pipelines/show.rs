//! Read models of pipelines.

use std::collections::HashMap;

use buildbtw_model::api::{BuildSummary, PipelineSummary};
use buildbtw_model::{Architecture, AttemptId, BuildStatus, PipelineStatus, StallKind};

use crate::db::Database;
use crate::db::builds::PlannedBuild;
use crate::db::pipelines::{self, PipelineRow};
use crate::state::pipelines::Pipelines;

/// Returns the pipelines of some attempts.
pub(in crate::service) async fn of_attempts(
    database: &Database,
    attempts: &[AttemptId],
) -> sqlx::Result<HashMap<AttemptId, PipelineSummary>> {
    let rows = pipelines::of_attempts(database.read(), attempts).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.attempt, summary(&row)))
        .collect())
}

fn summary(row: &PipelineRow) -> PipelineSummary {
    let status = match (row.status, row.requested_at) {
        (Some(status), _) => status,
        (None, Some(_)) => PipelineStatus::NotConfirmed,
        (None, None) => PipelineStatus::ToBeCreated,
    };
    PipelineSummary {
        id: row.pipeline_id,
        status,
        url: row.url.clone(),
    }
}

/// Adds to dispatched builds what they wait for.
pub(in crate::service) fn explain(
    on_gitlab: Option<&Pipelines>,
    builds: &mut [BuildSummary],
    pipelines: &HashMap<AttemptId, PipelineSummary>,
) {
    let outage = on_gitlab.and_then(Pipelines::outage);
    for build in builds {
        if build.status != BuildStatus::Dispatched || build.message.is_some() {
            continue;
        }
        let pipeline = build.attempt.and_then(|attempt| pipelines.get(&attempt));
        let Some(pipeline) = pipeline else {
            continue;
        };
        build.message = Some(match (pipeline.id, &outage) {
            (Some(id), _) => format!("pipeline {id} is {}", pipeline.status),
            (None, Some(outage)) => format!("waits for GitLab: {outage}"),
            (None, None) => format!("its pipeline is {}", pipeline.status),
        });
    }
}

/// Returns why no builds are dispatched for an architecture that is built on GitLab.
pub(in crate::service) fn stalled(
    on_gitlab: Option<&Pipelines>,
    architecture: &Architecture,
) -> Option<(StallKind, String)> {
    let on_gitlab = on_gitlab.filter(|on_gitlab| on_gitlab.builds(architecture));
    let outage = on_gitlab.and_then(Pipelines::outage)?;
    Some((StallKind::Gitlab, outage))
}

/// Estimates how many builds GitLab runs at once; only its runners know the exact number.
pub(in crate::service) fn runners(
    on_gitlab: Option<&Pipelines>,
    rows: &[impl PlannedBuild],
    workers: &mut HashMap<Architecture, usize>,
) {
    let Some(on_gitlab) = on_gitlab else {
        return;
    };
    for architecture in &on_gitlab.settings.architectures {
        let building = rows.iter().filter(|row| {
            row.status() == BuildStatus::Building && row.architecture() == architecture
        });
        workers.insert(architecture.clone(), building.count().max(1));
    }
}

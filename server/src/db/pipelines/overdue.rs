//! Pipelines that have to be queried outside the regular polls.

use buildbtw_model::{
    AttemptId, AttemptStatus, BuildId, CommitHash, FailureKind, JobId, PipelineId, PipelineStatus,
    ProjectId,
};
use sqlx::SqliteExecutor;

use crate::time::{Millis, Seconds};

use super::PipelineRow;

/// Returns the pipelines whose attempts' leases have expired by a time: GitLab knows whether their jobs still run.
pub async fn expired(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
) -> sqlx::Result<Vec<PipelineRow>> {
    select_pipeline!(
        "where ended_at is null and pipeline_id is not null
             and attempt.status in ('queued', 'running') and attempt.lease_expires_at <= ?
         order by attempt.lease_expires_at",
        at
    )
    .fetch_all(executor)
    .await
}

/// Returns the pipelines whose jobs reported a failure that is deferred until GitLab gives its reason.
pub async fn deferred(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<PipelineRow>> {
    select_pipeline!(
        "where ended_at is null and reported_at is not null
             and attempt.status in ('queued', 'running')
         order by reported_at"
    )
    .fetch_all(executor)
    .await
}

/// Returns the pipelines that have run since before a time without a job that exchanged its ID token.
pub async fn unexchanged(
    executor: impl SqliteExecutor<'_>,
    running_since: Millis,
) -> sqlx::Result<Vec<PipelineRow>> {
    select_pipeline!(
        "where ended_at is null and running_since <= ? and job_id is null
             and attempt.status = 'queued'
         order by running_since",
        running_since
    )
    .fetch_all(executor)
    .await
}

/// Returns the start of the pipeline that has run longest without a job that exchanged its ID token.
pub async fn first_unexchanged(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Option<Millis>> {
    sqlx::query_scalar!(
        r#"select min(running_since) as "at: Millis" from pipeline
           join attempt on attempt.id = attempt_id
           where ended_at is null and job_id is null and attempt.status = 'queued'"#
    )
    .fetch_one(executor)
    .await
}

//! Table `pipeline`: attempts that run as GitLab pipelines, from before their creation until they need no more
//! attention.

use buildbtw_model::{
    Architecture, AttemptId, AttemptStatus, BuildId, CommitHash, Explanation, FailureKind, JobId,
    PipelineId, PipelineStatus, ProjectId,
};
use sqlx::SqliteExecutor;

use crate::db::{WriteTransaction, json_list};
use crate::time::{Millis, Seconds};

/// A pipeline, with the state of its attempt.
#[derive(Clone, Debug)]
pub struct PipelineRow {
    /// The attempt that it runs.
    pub attempt: AttemptId,
    /// The build.
    pub build: BuildId,
    /// The project in GitLab.
    pub project_id: ProjectId,
    /// The branch or tag it runs on.
    pub git_ref: String,
    /// The commit that has to be its head.
    pub commit: CommitHash,
    /// When GitLab was last asked to create it.
    pub requested_at: Option<Millis>,
    /// Its id in GitLab.
    pub pipeline_id: Option<PipelineId>,
    /// The URL of its page.
    pub url: Option<String>,
    /// Its last known status.
    pub status: Option<PipelineStatus>,
    /// The job that exchanged its ID token.
    pub job_id: Option<JobId>,
    /// When GitLab was asked to cancel it.
    pub cancel_sent_at: Option<Millis>,
    /// Since when it is no longer followed.
    pub ended_at: Option<Millis>,
    /// When its job reported a failure that is deferred until GitLab reports why the job ended.
    pub reported_at: Option<Millis>,
    /// The kind of that failure.
    pub reported_kind: Option<FailureKind>,
    /// The message of that failure.
    pub reported_message: Option<String>,
    /// The hint of that failure.
    pub reported_hint: Option<String>,
    /// GitLab's timeout of the job, in seconds.
    pub job_timeout: Option<Seconds>,
    /// Since when GitLab has reported it as running, while its job has not exchanged its ID token.
    pub running_since: Option<Millis>,
    /// The status of the attempt.
    pub attempt_status: AttemptStatus,
    /// Whether the attempt is to stop.
    pub cancel_requested: bool,
    /// When the attempt's lease expires.
    pub lease_expires_at: Millis,
}

impl PipelineRow {
    /// Returns why its job reported a failure.
    #[must_use]
    pub fn reported(&self) -> Option<Explanation> {
        Explanation::of(self.reported_message.clone(), self.reported_hint.clone())
    }

    /// Returns whether it is no longer needed.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.cancel_requested || self.attempt_status == AttemptStatus::Lost
    }

    /// Returns whether a reported failure is deferred until GitLab gives its reason.
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        self.reported_at.is_some() && !self.attempt_status.is_final()
    }
}

macro_rules! select_pipeline {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            PipelineRow,
            r#"select attempt_id as "attempt: AttemptId", attempt.build_id as "build: BuildId",
               project_id as "project_id: ProjectId", git_ref, commit_hash as "commit: CommitHash",
               requested_at as "requested_at: Millis",
               pipeline_id as "pipeline_id: PipelineId", url,
               pipeline.status as "status: PipelineStatus", job_id as "job_id: JobId",
               cancel_sent_at as "cancel_sent_at: Millis", ended_at as "ended_at: Millis",
               reported_at as "reported_at: Millis",
               reported_kind as "reported_kind: FailureKind", reported_message, reported_hint, job_timeout_s as "job_timeout: Seconds",
               running_since as "running_since: Millis",
               attempt.status as "attempt_status: AttemptStatus",
               attempt.cancel_requested as "cancel_requested: bool",
               attempt.lease_expires_at as "lease_expires_at: Millis"
               from pipeline join attempt on attempt.id = pipeline.attempt_id "# + $tail
            $(, $argument)*
        )
    };
}

mod create;
mod overdue;

pub use create::{NewPipeline, copy_to_attempt, insert};
pub use overdue::{deferred, expired, first_unexchanged, unexchanged};

/// Returns the pipeline of an attempt.
pub async fn of_attempt(
    executor: impl SqliteExecutor<'_>,
    attempt: AttemptId,
) -> sqlx::Result<Option<PipelineRow>> {
    select_pipeline!("where attempt_id = ?", attempt)
        .fetch_optional(executor)
        .await
}

/// Returns the pipelines of some attempts.
pub async fn of_attempts(
    executor: impl SqliteExecutor<'_>,
    attempts: &[AttemptId],
) -> sqlx::Result<Vec<PipelineRow>> {
    let attempts = json_list(attempts)?;
    select_pipeline!(
        "where attempt_id in (select value from json_each(?))",
        attempts
    )
    .fetch_all(executor)
    .await
}

/// Returns the newest attempt in a pipeline: a job that is retried in GitLab leads to another attempt.
pub async fn newest_of(
    executor: impl SqliteExecutor<'_>,
    project_id: ProjectId,
    pipeline_id: PipelineId,
) -> sqlx::Result<Option<PipelineRow>> {
    select_pipeline!(
        "where project_id = ? and pipeline_id = ? order by attempt.number desc limit 1",
        project_id,
        pipeline_id
    )
    .fetch_optional(executor)
    .await
}

/// Returns the pipelines that are not known to be created yet, oldest first.
pub async fn pending_creation(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<PipelineRow>> {
    select_pipeline!(
        "where ended_at is null and pipeline_id is null order by attempt.created_at, attempt_id"
    )
    .fetch_all(executor)
    .await
}

/// Returns the created pipelines that are still followed, of some projects or of all.
pub async fn followed(
    executor: impl SqliteExecutor<'_>,
    projects: Option<&[ProjectId]>,
) -> sqlx::Result<Vec<PipelineRow>> {
    let projects = projects.map(json_list).transpose()?;
    select_pipeline!(
        "where ended_at is null and pipeline_id is not null
             and (?1 is null or project_id in (select value from json_each(?1)))
         order by project_id, pipeline_id",
        projects
    )
    .fetch_all(executor)
    .await
}

/// Returns the pipelines that still have to be cancelled in GitLab: on request, because their attempts were lost or
/// ended before a job had started, or because GitLab shows a job as running that has reported its end. A pipeline
/// that keeps running after its cancellation is returned again.
pub async fn unwanted(
    executor: impl SqliteExecutor<'_>,
    sent_before: Millis,
) -> sqlx::Result<Vec<PipelineRow>> {
    select_pipeline!(
        "where ended_at is null and pipeline_id is not null
             and (cancel_sent_at is null or cancel_sent_at < ?)
             and (attempt.cancel_requested = 1 or attempt.status = 'lost'
                 or (attempt.status = 'failed' and (job_id is null or reported_at is not null)))",
        sent_before
    )
    .fetch_all(executor)
    .await
}

/// Stops following the pipelines of other GitLab instances. Returns their number.
pub async fn stop_following_other_gitlabs(
    tx: &mut WriteTransaction,
    gitlab: &str,
) -> sqlx::Result<u64> {
    let at = tx.now();
    let result = sqlx::query!(
        "update pipeline set ended_at = ? where ended_at is null and gitlab <> ?",
        at,
        gitlab,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Counts the attempts for an architecture that GitLab still has to run.
pub async fn count_active(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
) -> sqlx::Result<u32> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!: u32" from pipeline join attempt on attempt.id = attempt_id
           join build on build.id = attempt.build_id
           where ended_at is null and attempt.status in ('queued', 'running')
               and build.architecture = ?"#,
        architecture,
    )
    .fetch_one(executor)
    .await
}

/// Records when GitLab is asked to create a pipeline, or that the request had no effect. Returns false when the
/// pipeline no longer exists.
pub async fn record_creation_request(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    at: Option<Millis>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update pipeline set requested_at = ? where attempt_id = ? and pipeline_id is null",
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A pipeline that exists in GitLab.
#[derive(Clone, Debug)]
pub struct CreatedPipeline {
    /// Its id in GitLab.
    pub pipeline_id: PipelineId,
    /// The URL of its page.
    pub url: Option<String>,
    /// Its status.
    pub status: PipelineStatus,
}

/// Records the pipeline that was created for an attempt. Returns false when it was already known.
pub async fn set_created(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    known: &CreatedPipeline,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let done = sqlx::query!(
        "update pipeline set pipeline_id = ?1, url = ?2, status = ?3,
             running_since = case ?3 when 'running' then ?4 end
         where attempt_id = ?5 and pipeline_id is null",
        known.pipeline_id,
        known.url,
        known.status,
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records the status of a pipeline.
pub async fn set_status(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    status: PipelineStatus,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update pipeline set status = ?1,
             running_since = case ?1 when 'running' then coalesce(running_since, ?2) end
         where attempt_id = ?3",
        status,
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records since when the job of a pipeline has run.
pub async fn set_running_since(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    at: Millis,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update pipeline set running_since = ? where attempt_id = ?",
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records the failure that a job reported, once.
pub async fn set_reported(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    kind: FailureKind,
    explanation: &Explanation,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update pipeline set reported_at = ?, reported_kind = ?, reported_message = ?, reported_hint = ?
         where attempt_id = ? and reported_at is null",
        at,
        kind,
        explanation.message,
        explanation.hint,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records the job that runs an attempt, and GitLab's timeout of the job.
pub async fn set_job(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    job_id: JobId,
    timeout: Option<Seconds>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update pipeline set job_id = ?, job_timeout_s = ? where attempt_id = ?",
        job_id,
        timeout,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records that GitLab was asked to cancel a pipeline.
pub async fn set_cancel_sent(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update pipeline set cancel_sent_at = ? where attempt_id = ?",
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Stops following a pipeline.
pub async fn set_ended(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update pipeline set ended_at = coalesce(ended_at, ?) where attempt_id = ?",
        at,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

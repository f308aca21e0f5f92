//! Overdue jobs, which GitLab reports as running although nothing more is expected of them: ends their attempts and
//! cancels their pipelines.

use std::time::Duration;

use buildbtw_gitlab::Job;
use buildbtw_model::{AttemptStatus, FailureKind};

use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::pipelines::PipelineRow;
use crate::db::{WriteTransaction, attempts, builds, pipelines};
use crate::error::Error;
use crate::service::failed_attempt::remove_uploads;
use crate::service::transitions::Transition;
use crate::state::parts::AttemptParts;

use super::completion::conclude;
use super::verdict::{End, name, timeout};

/// The rows that a transaction decides on.
struct Subject {
    row: PipelineRow,
    attempt: AttemptRow,
    build: BuildRow,
}

impl Subject {
    /// Reads the rows again, which may have changed; `None` when the attempt has ended.
    async fn read(tx: &mut WriteTransaction, row: &PipelineRow) -> sqlx::Result<Option<Self>> {
        let attempt = attempts::by_id(tx.connection(), row.attempt).await?;
        let build = builds::by_id(tx.connection(), row.build).await?;
        let row = pipelines::of_attempt(tx.connection(), row.attempt).await?;
        let (Some(row), Some(attempt), Some(build)) = (row, attempt, build) else {
            return Ok(None);
        };
        let subject = Self {
            row,
            attempt,
            build,
        };
        Ok((!subject.attempt.status.is_final()).then_some(subject))
    }
}

/// Ends an attempt with its deferred report when GitLab has not reported in time how the job ended. If the job had
/// used up its timeout, that counts instead. Returns whether this ended the attempt.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_unanswered(
    parts: AttemptParts<'_>,
    row: &PipelineRow,
    job: Option<&Job>,
) -> Result<bool, Error> {
    let mut tx = parts.database.write().await?;
    let Some(subject) = Subject::read(&mut tx, row).await? else {
        return Ok(false);
    };
    let Some(reported) = subject.row.reported() else {
        return Ok(false);
    };
    let limit = subject.row.job_timeout.map(Duration::from);
    let used_up = |job: &&Job| {
        let elapsed = job.elapsed();
        limit.is_some_and(|limit| elapsed.is_some_and(|elapsed| elapsed >= limit))
    };
    let end = match job.filter(used_up) {
        Some(job) => End::Permanent(FailureKind::Timeout, timeout(&subject.row, job).into()),
        None => End::Transient(FailureKind::Infrastructure, reported),
    };
    let why = end.explanation().to_string();
    let mut transition = Transition::of(tx);
    let has_ended = conclude(&mut transition, &subject.build, &subject.attempt, end).await?;
    finish(parts, transition, row, &why).await?;
    Ok(has_ended)
}

/// Ends an attempt whose job has run for longer than `allowed` without asking for its build: its runner was killed, or
/// cannot reach this server. Returns whether this ended the attempt.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_unexchanged(
    parts: AttemptParts<'_>,
    row: &PipelineRow,
    job: &Job,
    allowed: Duration,
) -> Result<bool, Error> {
    let mut tx = parts.database.write().await?;
    let Some(subject) = Subject::read(&mut tx, row).await? else {
        return Ok(false);
    };
    if subject.row.job_id.is_some() || subject.attempt.status != AttemptStatus::Queued {
        return Ok(false);
    }
    let message = format!(
        "{} has run for more than {} s without asking for its build: its runner was killed, or \
         cannot reach this server",
        name(job),
        allowed.as_secs()
    );
    // A late request of the job is refused; a retry in GitLab is another job.
    pipelines::set_job(&mut tx, row.attempt, job.id, None).await?;
    let mut transition = Transition::of(tx);
    let has_ended = transition
        .mark_lost(&subject.build, &subject.attempt, &message)
        .await?;
    finish(parts, transition, row, &message).await?;
    Ok(has_ended)
}

async fn finish(
    parts: AttemptParts<'_>,
    mut transition: Transition,
    row: &PipelineRow,
    why: &str,
) -> Result<(), Error> {
    // Has the pipeline cancelled in GitLab.
    transition.stop_attempts();
    let conclusion = parts.logs.conclude(row.attempt).await;
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    conclusion.write(why).await?;
    remove_uploads(parts.repos, row.attempt).await;
    tracing::warn!(
        attempt.id = %row.attempt,
        gitlab.project = row.project_id.0,
        "gave up on a job that GitLab reports as running"
    );
    Ok(())
}

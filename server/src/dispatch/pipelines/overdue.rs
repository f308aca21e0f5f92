//! Queries pipelines one by one: those that failed, and overdue ones, whose job reported a failure whose cause GitLab
//! knows, lost contact, or never requested its build.

use std::time::Duration;

use buildbtw_gitlab::{GitlabErrorKind, Job, PipelineStatus, ProjectId};
use buildbtw_model::AttemptStatus;
use tokio::time::Instant;

use crate::db::pipelines::{self, PipelineRow};
use crate::error::Error;
use crate::outage::Failure;
use crate::service::expire_leases::expire;
use crate::service::pipelines::{
    end_completed, end_unanswered, end_unexchanged, own_job, store_running_since, store_statuses,
    unexplained_job,
};
use crate::state::parts::AttemptParts;

use super::create::project_name;
use super::poll::{MAX_SINGLE_QUERIES, Poll};
use super::sort::key;

/// How soon the same overdue pipeline is queried again.
const OVERDUE_INTERVAL: Duration = Duration::from_secs(3);
/// How long an overdue attempt is kept while GitLab fails to respond for its project only.
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

impl Poll {
    /// Returns when jobs have to be queried next.
    pub(crate) async fn next_overdue(
        &self,
        parts: AttemptParts<'_>,
    ) -> Result<Option<Instant>, Error> {
        let (reader, at) = (parts.database.read(), parts.database.clock().now());
        if !pipelines::deferred(reader).await?.is_empty()
            || !pipelines::expired(reader, at).await?.is_empty()
        {
            return Ok(Some(Instant::now() + OVERDUE_INTERVAL));
        }
        let first = pipelines::first_unexchanged(reader).await?;
        Ok(first.map(|since| {
            let end = since + self.on_gitlab.settings.exchange;
            let left = end.since(parts.database.clock().now());
            Instant::now() + left.max(OVERDUE_INTERVAL.min(self.on_gitlab.settings.exchange))
        }))
    }

    /// Queries overdue pipelines, those of `projects` immediately. Returns whether one ended.
    pub(super) async fn query_overdue(
        &mut self,
        parts: AttemptParts<'_>,
        projects: Option<&[ProjectId]>,
    ) -> Result<bool, Failure> {
        let (reader, at) = (parts.database.read(), parts.database.clock().now());
        let running_since = at - self.on_gitlab.settings.exchange;
        let mut rows = pipelines::deferred(reader).await?;
        rows.extend(pipelines::expired(reader, at).await?);
        rows.extend(pipelines::unexchanged(reader, running_since).await?);
        let now = Instant::now();
        rows.retain(|row| {
            let is_news = projects.is_some_and(|projects| projects.contains(&row.project_id));
            let last = self.turns.get(&row.attempt);
            is_news || last.is_none_or(|at| *at + OVERDUE_INTERVAL <= now)
        });
        rows.sort_by_key(|row| self.turns.get(&row.attempt).copied());
        if rows.len() > MAX_SINGLE_QUERIES {
            self.on_gitlab.news.wake();
        }
        let mut one_ended = false;
        for row in rows.iter().take(MAX_SINGLE_QUERIES) {
            self.turns.insert(row.attempt, now);
            one_ended |= self.try_query(parts, row).await?;
        }
        Ok(one_ended)
    }

    /// Queries one pipeline. If GitLab does not respond for one project, the others are not delayed.
    pub(super) async fn try_query(
        &self,
        parts: AttemptParts<'_>,
        row: &PipelineRow,
    ) -> Result<bool, Failure> {
        let error = match self.query(parts, row).await {
            Err(Failure::Gitlab(error)) if !error.kind.affects_all_requests() => error,
            asked => return asked,
        };
        tracing::warn!(
            error = error.to_string(),
            attempt.id = %row.attempt,
            "cannot query a pipeline; will retry"
        );
        let is_final = matches!(
            error.kind,
            GitlabErrorKind::Status { status: 404, .. } | GitlabErrorKind::Forbidden(_)
        );
        let patience = match row.reported_at {
            _ if !is_final => GIVE_UP_AFTER,
            Some(_) => self.on_gitlab.settings.reason_timeout(row.reported_kind),
            None => Duration::ZERO,
        };
        let overdue = row.reported_at.unwrap_or(row.lease_expires_at);
        if parts.database.clock().now() < overdue + patience {
            return Ok(false);
        }
        Ok(if row.is_deferred() {
            end_unanswered(parts, row, None).await?
        } else {
            expire(parts, row.attempt).await?
        })
    }

    /// Queries one pipeline, and ends its attempt if that has ended or is overdue. Returns whether it did.
    async fn query(&self, parts: AttemptParts<'_>, row: &PipelineRow) -> Result<bool, Failure> {
        let gitlab = &self.on_gitlab.gitlab;
        let Some((project, number)) = key(row) else {
            return Ok(false);
        };
        let about = project_name(parts.database, row).await?;
        let found = gitlab.pipeline(project, &about, number).await?;
        let Some(found) = found else {
            end_completed(parts, row, None, &[], None, None).await?;
            return Ok(true);
        };
        let mut status = found.status;
        // The job reports before it ends: GitLab's reason matters only where it did not, or where the report does
        // not say enough.
        let mut jobs = Vec::new();
        if !row.attempt_status.is_final() && status != PipelineStatus::Success {
            jobs = gitlab.jobs(project, &about, number).await?;
            if !status.is_completed()
                && let Some(last) = end_of(row, &jobs)
            {
                status = last;
            }
        }
        if status.is_completed() {
            let errors = found.yaml_errors.as_deref();
            let log = match unexplained_job(row, &jobs) {
                Some(job) => self.log_of(project, &about, job).await,
                None => None,
            };
            end_completed(parts, row, Some(status), &jobs, errors, log.as_deref()).await?;
            return Ok(true);
        }
        store_statuses(parts.database, &[(row.clone(), status)]).await?;
        if row.attempt_status.is_final() {
            return Ok(false);
        }
        self.end_overdue(parts, row, &jobs).await
    }

    /// Returns the end of a job's log. Without it, GitLab's reason alone decides.
    async fn log_of(&self, project: ProjectId, about: &str, job: &Job) -> Option<String> {
        let log = self
            .on_gitlab
            .gitlab
            .job_trace(project, about, job.id)
            .await;
        let unread = |error: &_| {
            tracing::warn!(
                error = ToString::to_string(error),
                gitlab.job = job.id.0,
                "cannot read a job's log"
            );
        };
        log.inspect_err(unread).ok()
    }

    /// Ends an attempt whose job GitLab has reported as running for too long.
    async fn end_overdue(
        &self,
        parts: AttemptParts<'_>,
        row: &PipelineRow,
        jobs: &[Job],
    ) -> Result<bool, Failure> {
        if let Some(at) = row.reported_at {
            let patience = self.on_gitlab.settings.reason_timeout(row.reported_kind);
            return Ok(parts.database.clock().now() >= at + patience
                && end_unanswered(parts, row, own_job(row, jobs)).await?);
        }
        if row.lease_expires_at <= parts.database.clock().now() {
            return Ok(expire(parts, row.attempt).await?);
        }
        if row.attempt_status != AttemptStatus::Queued || row.job_id.is_some() {
            return Ok(false);
        }
        let allowed = self.on_gitlab.settings.exchange;
        let now = parts.database.clock().now();
        let running = jobs
            .iter()
            .find(|job| job.status == PipelineStatus::Running);
        // By GitLab's clock, which may differ from this machine's.
        let elapsed = match running {
            Some(job) => job.elapsed().or(row.running_since.map(|at| now.since(at))),
            None => Some(Duration::ZERO),
        };
        let elapsed = elapsed.unwrap_or_default();
        if let Some(job) = running.filter(|_| elapsed >= allowed) {
            return Ok(end_unexchanged(parts, row, job, allowed).await?);
        }
        if row.running_since.is_some_and(|at| now.since(at) >= allowed) {
            // External commit statuses keep a pipeline running longer than its job.
            store_running_since(parts.database, row.attempt, now - elapsed).await?;
        }
        Ok(false)
    }
}

/// Returns how the attempt's job ended, or how all jobs of the pipeline ended while it is not known which one is the
/// attempt's. External commit statuses keep a pipeline running, and are not jobs.
fn end_of(row: &PipelineRow, jobs: &[Job]) -> Option<PipelineStatus> {
    if let Some(own) = own_job(row, jobs) {
        let is_stopping = own.status == PipelineStatus::Canceling && row.is_deferred();
        return match own.status {
            _ if is_stopping => Some(PipelineStatus::Canceled),
            status => status.is_completed().then_some(status),
        };
    }
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

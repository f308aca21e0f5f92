//! Chooses the attempt that a job of GitLab gets: the one that its pipeline was created for, or, for a job that was
//! retried in GitLab, a new one.

use buildbtw_gitlab::JobId;
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{AttemptId, BuildStatus, ClaimId};

use crate::db::attempts::NewAttempt;
use crate::db::builds::BuildRow;
use crate::db::pipelines::PipelineRow;
use crate::db::{
    TokenId, WriteTransaction, attempts, builds, iterations, namespaces, pipelines, tokens,
};
use crate::error::{Error, Refusal};
use crate::time::Millis;

use super::attempt_guard::attempt_ended;
use super::pipelines::{placeholder_token, placeholder_worker};
use super::transitions::Transition;

/// The attempt that a job gets.
pub(super) struct Choice {
    pub(super) attempt: AttemptId,
    pub(super) token: TokenId,
    /// The build to retry first, if it is a new attempt.
    pub(super) retry: Option<Retry>,
}

/// A build to retry in the pipeline of its newest attempt, which has ended or is replaced.
pub(super) struct Retry {
    pub(super) build: BuildRow,
    pub(super) newest: PipelineRow,
}

/// Chooses the attempt for a job that may get one. `hash` is the digest of the token that it requested.
///
/// # Errors
/// When that token is in use, the job has got its attempt before, or its build cannot be retried.
pub(super) async fn choose(
    tx: &mut WriteTransaction,
    named: AttemptId,
    job: JobId,
    hash: &[u8],
) -> Result<Choice, Error> {
    if tokens::by_hash(tx.connection(), hash).await?.is_some() {
        return Err(token_in_use());
    }
    // Read again: other jobs may have exchanged tokens since.
    let row = pipelines::of_attempt(tx.connection(), named).await?;
    let Some((project, pipeline)) = row.and_then(|row| Some((row.project_id, row.pipeline_id?)))
    else {
        return Err(attempt_ended(named));
    };
    let newest = pipelines::newest_of(tx.connection(), project, pipeline).await?;
    let newest = newest.ok_or_else(|| attempt_ended(named))?;
    let has_ended = newest.attempt_status.is_final();
    if newest.job_id == Some(job) {
        return Err(match has_ended {
            true => attempt_ended(newest.attempt),
            false => token_already_exchanged(),
        });
    }
    if newest.job_id.is_none() && !has_ended {
        let row = attempts::by_id(tx.connection(), newest.attempt).await?;
        let row = row.ok_or_else(|| attempt_ended(newest.attempt))?;
        return Ok(Choice {
            attempt: row.id,
            token: row.token,
            retry: None,
        });
    }
    let attempt = AttemptId::new();
    Ok(Choice {
        attempt,
        retry: Some(Retry {
            build: build_to_retry(tx, &newest).await?,
            newest,
        }),
        token: placeholder_token(tx, attempt).await?,
    })
}

/// Creates the refusal of a requested token that another attempt has.
pub(super) fn token_in_use() -> Error {
    let title = "the requested token is already in use";
    Error::refused(ProblemKind::InvalidRequest, title)
}

/// Creates the refusal of an ID token that was exchanged before.
pub(super) fn token_already_exchanged() -> Error {
    Refusal::new(
        ProblemKind::Unauthenticated,
        "the ID token has already been used",
    )
    .detail("each ID token can be exchanged once")
    .into()
}

/// Returns the build of a job that was retried in GitLab, if it may be retried.
async fn build_to_retry(
    tx: &mut WriteTransaction,
    newest: &PipelineRow,
) -> Result<BuildRow, Error> {
    let build = builds::by_id(tx.connection(), newest.build).await?;
    let build = build.ok_or_else(|| not_retried("it no longer exists"))?;
    let iteration = iterations::by_id(tx.connection(), build.iteration_id).await?;
    if let Some(number) = iteration.superseded_by {
        return Err(superseded(number));
    }
    let namespace = namespaces::by_id(tx.connection(), build.namespace_id).await?;
    if namespace.is_some_and(|namespace| namespace.held_at.is_some()) {
        return Err(namespace_is_cancelled());
    }
    Ok(build)
}

/// Retries the build of a job in the same pipeline.
///
/// # Errors
/// When the build can no longer be retried.
pub(super) async fn retry_build(
    transition: &mut Transition,
    choice: &Choice,
    Retry { build, newest }: &Retry,
    now: Millis,
) -> Result<(), Error> {
    if !newest.attempt_status.is_final() {
        transition.replace(build, newest.attempt).await?;
    }
    if !transition.retry_one(build).await? {
        return Err(not_retried(describe_state(build.status)));
    }
    let worker = placeholder_worker()?;
    let new = NewAttempt {
        id: choice.attempt,
        build: build.id,
        claim: ClaimId::new(),
        worker: &worker,
        token: choice.token,
    };
    // Its lease has expired until it is assigned to the job.
    if transition.dispatch([new], now).await?.is_empty() {
        return Err(not_retried(describe_state(build.status)));
    }
    let attempt = choice.attempt;
    Ok(transition
        .continue_pipeline(attempt, newest.attempt)
        .await?)
}

/// Creates the refusal to retry a build of an older iteration.
pub(super) fn superseded(by: u32) -> Error {
    not_retried(&format!("its iteration was superseded by iteration {by}"))
}

/// Creates the refusal to retry a build of a cancelled namespace.
pub(super) fn namespace_is_cancelled() -> Error {
    not_retried("its namespace is cancelled").hint("run `buildbtw resume` first")
}

pub(super) fn not_retried(reason: &str) -> Error {
    let title = format!("the build of this job cannot be retried: {reason}");
    Refusal::new(ProblemKind::AttemptEnded, title)
        .hint("`buildbtw show` shows its state")
        .into()
}

/// Returns why a build in this state is not retried.
pub(super) fn describe_state(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Built | BuildStatus::Reused => "it is finished",
        BuildStatus::Blocked => "it waits for another build",
        BuildStatus::Dispatched | BuildStatus::Building => "another attempt is running",
        BuildStatus::Ready | BuildStatus::Failed | BuildStatus::Cancelled => {
            "it is being published, or its state has just changed"
        }
    }
}

//! Exchanges the ID token of a GitLab job for the build that the job was started for.

use buildbtw_gitlab::{IdTokenError, JobClaims};
use buildbtw_model::api::{ExchangeIdToken, ExchangedIdToken, ProblemKind};
use buildbtw_model::{AttemptId, PipelineId};
use std::net::IpAddr;
use std::time::Duration;

use crate::db::pipelines::PipelineRow;
use crate::db::{attempts, builds, id_tokens, pipelines};
use crate::error::{Error, Refusal};
use crate::state::claim_queue::Assignment;
use crate::state::failed_logins::FailedLogins;
use crate::state::parts::{AttemptParts, JobParts};
use crate::state::pipelines::Pipelines;
use crate::time::Millis;

use super::attempt_guard::attempt_ended;
use super::build_inputs::describe;
use super::failed_attempt::remove_uploads;
use super::job_attempt::{Choice, Retry, choose, retry_build, token_already_exchanged};
use super::tokens::hash;
use super::transitions::{JobAssignment, Transition};

/// Shorter tokens cannot have 256 random bits.
const MIN_TOKEN_LENGTH: usize = 43;
const MAX_TOKEN_LENGTH: usize = 200;
/// How soon to repeat the request when the attempt's pipeline is not known yet.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How much longer than the build timeout its token is valid: the time to deliver the result.
const TOKEN_GRACE: Duration = Duration::from_secs(2 * 3600);
/// How long after its expiry an exchanged ID token is remembered, because clocks differ.
const REMEMBER_FOR: Duration = Duration::from_secs(3600);

/// Exchanges an ID token. The same exchange may be repeated; another one with the same ID token is refused.
///
/// # Errors
/// When the token is not valid for this attempt, the attempt has ended, or GitLab's keys cannot be read.
pub async fn exchange_id_token(
    parts: AttemptParts<'_>,
    jobs: JobParts<'_>,
    peer: Option<IpAddr>,
    id: AttemptId,
    request: &ExchangeIdToken,
) -> Result<ExchangedIdToken, Error> {
    let Some(on_gitlab) = parts.pipelines else {
        return Err(Refusal::new(
            ProblemKind::NotFound,
            "this server does not build on GitLab",
        )
        .hint("set RUN_BUILDS_ON_GITLAB=true on the server")
        .into());
    };
    let is_secret = (MIN_TOKEN_LENGTH..=MAX_TOKEN_LENGTH).contains(&request.token.len())
        && request.token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_secret {
        return Err(no_secret());
    }
    // Valid tokens are never delayed: after many invalid ones from an address, the server only stops fetching
    // GitLab's keys for it.
    let may_ask = !peer.is_some_and(|peer| jobs.failed_logins.too_many(peer));
    let claims = on_gitlab
        .id_tokens
        .verify(&request.id_token, may_ask)
        .await
        .map_err(|error| not_verified(jobs.failed_logins, peer, error))?;
    let named = pipelines::of_attempt(parts.database.read(), id)
        .await?
        .ok_or_else(|| unknown_attempt(id))?;
    authorize(on_gitlab, &named, &claims)?;
    let attempt = exchange(parts, id, request, &claims).await?;
    let row = attempts::by_id(parts.database.read(), attempt).await?;
    let row = row
        .filter(|row| !row.status.is_final())
        .ok_or_else(|| attempt_ended(attempt))?;
    let build = builds::by_id(parts.database.read(), row.build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {attempt} has no build"))?;
    // A server that builds on GitLab has one URL, which its pipelines got as a variable.
    let server = parts.config.base_url();
    let url = format!("{server}/builds/{}", build.id);
    let assignment = Assignment {
        attempt,
        build,
        queued: Duration::ZERO,
    };
    let (config, base) = (parts.config, jobs.base);
    let build = describe(config, parts.database, base, assignment, &server).await?;
    if let Some(peer) = peer {
        jobs.admission.authenticated(peer);
    }
    Ok(ExchangedIdToken { build, url })
}

/// Creates the refusal of a requested token that others may guess.
fn no_secret() -> Error {
    let title = "the requested token must be 256 random bits as text";
    Error::refused(ProblemKind::InvalidRequest, title)
}

/// Creates the refusal of a job whose attempt never existed, or was removed.
pub(super) fn unknown_attempt(id: AttemptId) -> Error {
    Refusal::new(
        ProblemKind::NotFound,
        format!("this server has no attempt {id} on GitLab"),
    )
    .detail("the job has nothing to build: its attempt never existed, or was deleted with its namespace")
    .hint(
        "pipelines with buildbtw's template cannot be created by hand; `buildbtw retry` builds a package again",
    )
    .into()
}

/// Creates the refusal of a token that could not be verified. After many invalid ones an address has to wait.
pub(super) fn not_verified(
    failed_logins: &FailedLogins,
    peer: Option<IpAddr>,
    error: IdTokenError,
) -> Error {
    let is_bad = !matches!(error, IdTokenError::Unavailable(_));
    let peer = peer.filter(|_| is_bad);
    if let Some(pause) = peer.and_then(|address| failed_logins.record(address)) {
        return Refusal::new(ProblemKind::TooManyRequests, "too many rejected ID tokens")
            .detail(format!("the last error: {error}"))
            .retry_after(pause)
            .into();
    }
    match error {
        IdTokenError::Refused(reason) => Refusal::new(
            ProblemKind::Unauthenticated,
            format!("the ID token was rejected: {reason}"),
        ),
        IdTokenError::UnknownKey(error) | IdTokenError::Unavailable(error) => Refusal::new(
            ProblemKind::Unavailable,
            "cannot verify ID tokens, because GitLab's keys cannot be read",
        )
        .detail(error.to_string())
        .hint("try again later")
        .retry_after(RETRY_AFTER),
    }
    .into()
}

/// Checks that the job belongs to the pipeline that was created for the attempt.
fn authorize(on_gitlab: &Pipelines, row: &PipelineRow, claims: &JobClaims) -> Result<(), Error> {
    check_origin(row, claims)?;
    let Some(pipeline) = row.pipeline_id else {
        // The response to its creation was lost, or is still under way.
        on_gitlab.wake();
        return Err(unknown_pipeline());
    };
    check_pipeline(row, pipeline, claims)?;
    check_protection(on_gitlab.settings.protected_refs_only, claims)
}

/// Checks that the job runs in the attempt's pipeline, on the commit to build.
fn check_pipeline(
    row: &PipelineRow,
    pipeline: PipelineId,
    claims: &JobClaims,
) -> Result<(), Error> {
    if claims.pipeline_id != pipeline {
        let id = claims.pipeline_id;
        return Err(not_allowed(&format!("it is a job of pipeline {id}"), None));
    }
    if claims.git_ref != row.git_ref {
        let reason = format!("it runs on `{}`", claims.git_ref);
        return Err(not_allowed(&reason, None));
    }
    // The branch moved before the pipeline was created, and the pipeline could not be cancelled.
    let sha = claims.sha.as_deref();
    if let Some(sha) = sha.filter(|sha| *sha != row.commit.as_str()) {
        return Err(not_allowed(&format!("it runs on commit {sha}"), None));
    }
    Ok(())
}

/// Creates the refusal of a job that started before the server has GitLab's response with its pipeline.
pub(super) fn unknown_pipeline() -> Error {
    Refusal::new(
        ProblemKind::Unavailable,
        "the pipeline of this attempt is not known yet",
    )
    .hint("try again in a moment")
    .retry_after(RETRY_AFTER)
    .into()
}

pub(super) fn not_allowed(reason: &str, hint: Option<&str>) -> Error {
    let refusal = Refusal::new(
        ProblemKind::Forbidden,
        format!("this job is not allowed to build this attempt: {reason}"),
    )
    .detail("only a job of the pipeline that buildbtw created for a build may report it");
    match hint {
        Some(hint) => refusal.hint(hint).into(),
        None => refusal.into(),
    }
}

/// Checks that the job belongs to the attempt's project, in a pipeline that was created by the API.
fn check_origin(row: &PipelineRow, claims: &JobClaims) -> Result<(), Error> {
    // These differ in the merge request of a fork, whose author controls what runs.
    let job_project = claims.job_project_id.unwrap_or(claims.project_id);
    if job_project != claims.project_id {
        let reason = "it runs for the merge request of a fork";
        return Err(not_allowed(reason, None));
    }
    if job_project != row.project_id {
        let reason = format!("it is a job of project {job_project}");
        return Err(not_allowed(&reason, None));
    }
    match claims.pipeline_source.as_deref() {
        Some("api") => Ok(()),
        source => {
            let source = source.unwrap_or("an unknown source");
            let reason = format!("its pipeline was created by {source}, not by the API");
            Err(not_allowed(&reason, None))
        }
    }
}

/// Checks that only trusted users can change what the job runs.
fn check_protection(protected_refs_only: bool, claims: &JobClaims) -> Result<(), Error> {
    let is_protected = claims.ref_protected.as_deref() == Some("true");
    if protected_refs_only && !is_protected {
        let reason = format!("`{}` is not a protected ref", claims.git_ref);
        return Err(not_allowed(&reason, None));
    }
    let changeable = match &claims.ci_config_ref_uri {
        _ if is_protected => None,
        Some(None) => None,
        Some(Some(config)) => Some(format!("comes from {config}")),
        None => Some("comes from a location that this GitLab does not report".to_owned()),
    };
    let Some(config) = changeable else {
        return Ok(());
    };
    let reason = format!(
        "its CI configuration {config}, so users who may push to `{}` may be able to change it",
        claims.git_ref
    );
    let hint = "set ci_config_path to the template of another project, or protect the branch";
    Err(not_allowed(&reason, Some(hint)))
}

/// Assigns the attempt to the job, or a new attempt if the one it was created for has ended.
async fn exchange(
    parts: AttemptParts<'_>,
    named: AttemptId,
    request: &ExchangeIdToken,
    claims: &JobClaims,
) -> Result<AttemptId, Error> {
    let hash = hash(&request.token);
    let mut tx = parts.database.write().await?;
    if let Some(attempt) = id_tokens::attempt_of(&mut tx, &claims.jti, &hash).await? {
        // A repeated request.
        tx.undo().await?;
        return Ok(attempt);
    }
    let choice = match choose(&mut tx, named, claims.job_id, &hash).await {
        Ok(choice) => choice,
        Err(error) => {
            tx.undo().await?;
            return Err(error);
        }
    };
    let mut transition = Transition::of(tx);
    if let Err(error) = assign(parts, &mut transition, &choice, request, claims, &hash).await {
        transition.undo().await?;
        return Err(error);
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    if let Some(Retry { newest, .. }) = &choice.retry
        && !newest.attempt_status.is_final()
    {
        parts.logs.close(newest.attempt).await?;
        remove_uploads(parts.repos, newest.attempt).await;
    }
    tracing::info!(
        attempt.id = %choice.attempt,
        gitlab.job = claims.job_id.0,
        worker.name = %request.worker,
        "job claimed its build"
    );
    Ok(choice.attempt)
}

async fn assign(
    parts: AttemptParts<'_>,
    transition: &mut Transition,
    choice: &Choice,
    request: &ExchangeIdToken,
    claims: &JobClaims,
    hash: &[u8],
) -> Result<(), Error> {
    let now = parts.database.clock().now();
    if let Some(retry) = &choice.retry {
        retry_build(transition, choice, retry, now).await?;
    }
    let assignment = JobAssignment {
        attempt: choice.attempt,
        token: choice.token,
        hash,
        valid_until: now + parts.config.build_timeout + TOKEN_GRACE,
        jti: &claims.jti,
        remember_until: Millis(claims.exp.saturating_mul(1_000)) + REMEMBER_FOR,
        worker: &request.worker,
        job: claims.job_id,
        timeout: claims.lifetime().map(Into::into),
        lease_expires_at: now + parts.config.lease,
    };
    match transition.assign_job(&assignment).await? {
        true => Ok(()),
        false => Err(token_already_exchanged()),
    }
}

#[cfg(test)]
mod tests;

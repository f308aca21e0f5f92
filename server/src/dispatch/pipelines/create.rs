//! Creates the pipeline of one attempt in GitLab, exactly once, even if the response to a request was lost.

use std::time::Duration;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind, NewPipeline, Parameters, Pipeline, ProjectId};

use crate::config::pipelines::ParameterKind;
use crate::db::pipelines::PipelineRow;
use crate::db::{Database, builds, source_repositories};
use crate::error::Error;
use crate::service::pipelines::{
    Created, end_refused, end_withdrawn, pipeline_name, record_created, store_creation_request,
};
use crate::state::parts::AttemptParts;
use crate::state::pipelines::Pipelines;

use super::rejection::Rejection;

/// How often an unconfirmed pipeline is searched for.
const SEARCH_INTERVAL: Duration = Duration::from_secs(5);

/// The result of one attempt's turn.
pub(crate) enum Step {
    /// It needs no more turns.
    Settled,
    /// It needs another turn, not before this time.
    Later(Duration),
    /// GitLab failed.
    Failed(GitlabError),
}

/// Takes one attempt's turn: searches for its pipeline if it may exist, and requests it otherwise.
pub(crate) async fn step(
    parts: AttemptParts<'_>,
    on_gitlab: &Pipelines,
    row: PipelineRow,
) -> Result<Step, Error> {
    let project = row.project_id;
    let about = project_name(parts.database, &row).await?;
    if let Some(requested_at) = row.requested_at {
        let name = pipeline_name(row.attempt);
        match on_gitlab
            .gitlab
            .pipelines_named(project, &about, &name)
            .await
        {
            Ok(found) => {
                if let Some((first, rest)) = found.split_first() {
                    for extra in rest {
                        // Only one may build; the others must not occupy a runner.
                        let _ = on_gitlab
                            .gitlab
                            .cancel_pipeline(project, &about, extra.id)
                            .await;
                    }
                    return settle(parts, on_gitlab, &row, first).await;
                }
            }
            // The project was deleted or cannot be accessed: a pipeline in it cannot be found.
            Err(error) if is_project_invisible(&error) => {}
            Err(error) => return Ok(Step::Failed(error)),
        }
        if parts.database.clock().now() < requested_at + on_gitlab.settings.settle {
            return Ok(Step::Later(SEARCH_INTERVAL.min(on_gitlab.settings.settle)));
        }
    }
    if row.is_unwanted() || row.attempt_status.is_final() {
        end_withdrawn(parts, &row).await?;
        return Ok(Step::Settled);
    }
    request_pipeline(parts, on_gitlab, &row, project, &about).await
}

async fn request_pipeline(
    parts: AttemptParts<'_>,
    on_gitlab: &Pipelines,
    row: &PipelineRow,
    project: ProjectId,
    about: &str,
) -> Result<Step, Error> {
    let Some(build) = builds::by_id(parts.database.read(), row.build).await? else {
        return Ok(Step::Settled);
    };
    // Durable before the request, so that after a crash the pipeline is searched for before it is requested again.
    if !store_creation_request(
        parts.database,
        row.attempt,
        Some(parts.database.clock().now()),
    )
    .await?
    {
        // The namespace was deleted meanwhile.
        return Ok(Step::Settled);
    }
    let attempt = row.attempt.to_string();
    let values = [
        ("attempt", attempt.as_str()),
        ("server", parts.config.url.as_str()),
        ("pkgbase", build.pkgbase.as_str()),
        ("architecture", build.architecture.as_str()),
    ];
    let new = NewPipeline {
        project,
        about,
        git_ref: &row.git_ref,
        parameters: match on_gitlab.settings.parameters {
            ParameterKind::Inputs => Parameters::Inputs,
            ParameterKind::Variables => Parameters::Variables,
        },
        values: &values,
    };
    let error = match on_gitlab.gitlab.create_pipeline(&new).await {
        Ok(found) => return settle(parts, on_gitlab, row, &found).await,
        Err(error) => error,
    };
    if !error.kind.had_no_effect() {
        tracing::warn!(
            error = error.to_string(),
            attempt.id = %row.attempt,
            "GitLab did not confirm a pipeline; searching for it"
        );
        return Ok(Step::Failed(error));
    }
    store_creation_request(parts.database, row.attempt, None).await?;
    match Rejection::of(&error) {
        Rejection::Temporary(pause) => Ok(Step::Later(pause)),
        Rejection::General => Ok(Step::Failed(error)),
        Rejection::Permanent(explanation) => {
            end_refused(parts, row, &explanation).await?;
            Ok(Step::Settled)
        }
    }
}

async fn settle(
    parts: AttemptParts<'_>,
    on_gitlab: &Pipelines,
    row: &PipelineRow,
    found: &Pipeline,
) -> Result<Step, Error> {
    let created = record_created(parts, row, found).await?;
    if created == Created::Unwanted {
        let cancelled = on_gitlab
            .gitlab
            .cancel_pipeline(row.project_id, &row.git_ref, found.id)
            .await;
        if let Err(error) = cancelled {
            // Its jobs are refused even if it keeps running.
            tracing::warn!(error = error.to_string(), "cannot cancel a pipeline");
        }
    }
    if created == Created::Unwanted || found.status.is_completed() {
        on_gitlab.pipelines_changed(row.project_id);
    }
    Ok(Step::Settled)
}

/// Returns whether the project cannot be accessed.
fn is_project_invisible(error: &GitlabError) -> bool {
    matches!(
        error.kind,
        GitlabErrorKind::Status { status: 404, .. } | GitlabErrorKind::Forbidden(_)
    )
}

/// Returns the name of the project in errors.
pub(super) async fn project_name(database: &Database, row: &PipelineRow) -> Result<String, Error> {
    let known = source_repositories::of_project(database.read(), row.project_id).await?;
    Ok(known.map_or_else(|| format!("project {}", row.project_id), |known| known.path))
}

//! Pipelines and their jobs, through REST. [`crate::queries`] reads the statuses of many pipelines at once.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{CommitHash, JobId, PipelineId, PipelineStatus, ProjectId};
use reqwest::Method;
use serde::Deserialize;

use crate::error::{GitlabError, GitlabErrorKind};
use crate::failure_reason::{FailureReason, JobFailureReason};
use crate::http::{Http, RetryBudget, Subject};

/// The parameters of a new pipeline.
#[derive(Clone, Debug)]
pub struct NewPipeline<'a> {
    /// The project.
    pub project: ProjectId,
    /// The project's name for errors.
    pub about: &'a str,
    /// The branch or tag; GitLab does not accept commits.
    pub git_ref: &'a str,
    /// How the values are passed to the jobs.
    pub parameters: Parameters,
    /// Names, as used for inputs, and values.
    pub values: &'a [(&'a str, &'a str)],
}

/// How values are passed to the jobs of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// As typed inputs (since GitLab 17.10).
    Inputs,
    /// As variables `BUILDBTW_<NAME>`, which projects may restrict to certain roles.
    Variables,
}

/// A pipeline.
#[derive(Clone, Debug, Deserialize)]
pub struct Pipeline {
    /// Its ID.
    pub id: PipelineId,
    /// The commit that it runs on.
    pub sha: CommitHash,
    /// Its status.
    pub status: PipelineStatus,
    /// The URL of its page.
    #[serde(default)]
    pub web_url: Option<String>,
    /// The errors of its configuration.
    #[serde(default)]
    pub yaml_errors: Option<String>,
}

/// A job of a pipeline.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its ID.
    pub id: JobId,
    /// Its name in the template.
    pub name: String,
    /// Its status.
    pub status: PipelineStatus,
    /// GitLab's reason for its failure.
    #[serde(default)]
    pub failure_reason: Option<FailureReason>,
    /// The seconds for which it has run, by GitLab's clock.
    #[serde(default)]
    pub duration: Option<f64>,
}

impl Job {
    /// Returns the reason of its failure, which is unknown if GitLab gives none.
    #[must_use]
    pub fn failure(&self) -> &FailureReason {
        const NONE: &FailureReason = &FailureReason::Known(JobFailureReason::UnknownFailure);
        self.failure_reason.as_ref().unwrap_or(NONE)
    }

    /// Returns for how long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.duration?).ok()
    }
}

/// Creates a pipeline. After an error that may have had an effect, look it up by its name before a retry.
pub(crate) async fn create(http: &Http, new: &NewPipeline<'_>) -> Result<Pipeline, GitlabError> {
    let subject = Subject {
        request: "create pipeline",
        about: new.about,
    };
    let mut body = serde_json::json!({ "ref": new.git_ref });
    match new.parameters {
        Parameters::Inputs => {
            let inputs: HashMap<&str, &str> = new.values.iter().copied().collect();
            body["inputs"] = serde_json::json!(inputs);
        }
        Parameters::Variables => {
            let variables: Vec<_> = new
                .values
                .iter()
                .map(|(name, value)| {
                    let key = format!("BUILDBTW_{}", name.to_ascii_uppercase());
                    serde_json::json!({ "key": key, "value": value })
                })
                .collect();
            body["variables"] = serde_json::json!(variables);
        }
    }
    let path = format!("api/v4/projects/{}/pipeline", new.project);
    let response = http
        .send_non_idempotent(
            subject,
            Method::POST,
            &path,
            &body,
            RetryBudget::Interactive,
        )
        .await?;
    response.json(subject)
}

/// Returns the pipelines of a project with this name that were created through the API, oldest first.
pub(crate) async fn find_by_name(
    http: &Http,
    project: ProjectId,
    about: &str,
    name: &str,
) -> Result<Vec<Pipeline>, GitlabError> {
    let subject = Subject {
        request: "list pipelines",
        about,
    };
    let path = format!("api/v4/projects/{project}/pipelines");
    let parameters = [
        ("name", name),
        ("source", "api"),
        ("order_by", "id"),
        ("sort", "desc"),
        // GitLab versions that do not support the filters return all pipelines.
        ("per_page", "100"),
    ];
    let response = http
        .get_with(subject, &path, &parameters, RetryBudget::Interactive)
        .await?;
    #[derive(Deserialize)]
    struct Row {
        #[serde(flatten)]
        pipeline: Pipeline,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        source: Option<String>,
    }
    let rows: Vec<Row> = response.json(subject)?;
    Ok(rows
        .into_iter()
        .rev()
        .filter(|row| row.name.as_deref() == Some(name))
        .filter(|row| row.source.as_deref().is_none_or(|source| source == "api"))
        .map(|row| row.pipeline)
        .collect())
}

/// Returns a pipeline; `None` when it does not exist.
pub(crate) async fn get(
    http: &Http,
    project: ProjectId,
    about: &str,
    id: PipelineId,
) -> Result<Option<Pipeline>, GitlabError> {
    let subject = Subject {
        request: "read pipeline",
        about,
    };
    let path = format!("api/v4/projects/{project}/pipelines/{id}");
    match http.get(subject, &path, RetryBudget::Interactive).await {
        Ok(response) => return response.json(subject).map(Some),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error),
    }
    // A 404 may also mean that the token no longer sees the project, which says nothing about the pipeline.
    let project = format!("api/v4/projects/{project}");
    http.get(subject, &project, RetryBudget::Interactive)
        .await?;
    Ok(None)
}

/// Returns the jobs of a pipeline, without those that were retried.
pub(crate) async fn jobs(
    http: &Http,
    project: ProjectId,
    about: &str,
    id: PipelineId,
) -> Result<Vec<Job>, GitlabError> {
    let subject = Subject {
        request: "list jobs",
        about,
    };
    let path = format!("api/v4/projects/{project}/pipelines/{id}/jobs");
    match http.get(subject, &path, RetryBudget::Interactive).await {
        Ok(response) => response.json(subject),
        Err(error) if is_not_found(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Cancels a pipeline. GitLab's response does not say whether it had an effect; the status does.
pub(crate) async fn cancel(
    http: &Http,
    project: ProjectId,
    about: &str,
    id: PipelineId,
) -> Result<(), GitlabError> {
    let subject = Subject {
        request: "cancel pipeline",
        about,
    };
    let path = format!("api/v4/projects/{project}/pipelines/{id}/cancel");
    let nothing = serde_json::json!({});
    match http
        .post(subject, &path, &nothing, RetryBudget::Interactive)
        .await
    {
        Ok(_) => Ok(()),
        // It was deleted meanwhile.
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_not_found(error: &GitlabError) -> bool {
    matches!(error.kind, GitlabErrorKind::Status { status: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_unknown_pipeline_status() {
        let read = |word: &str| serde_json::from_value::<PipelineStatus>(word.into()).unwrap();
        assert_eq!(
            read("waiting_for_resource").as_str(),
            "waiting_for_resource"
        );
        assert_eq!(read("waiting_for_the_moon"), PipelineStatus::Unknown);
        assert!(read("canceled").is_completed() && !read("canceling").is_completed());
    }
}

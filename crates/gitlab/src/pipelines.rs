//! Pipelines and their jobs: GraphQL for where many of them stand, REST for everything else.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{CommitHash, JobId, PipelineId, PipelineStatus, ProjectId};
use reqwest::Method;
use serde::Deserialize;

use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Http, Patience, Subject};

/// What a pipeline is created with.
#[derive(Clone, Debug)]
pub struct NewPipeline<'a> {
    /// The project.
    pub project: ProjectId,
    /// The project's name in errors.
    pub about: &'a str,
    /// The branch or tag; GitLab takes no commits.
    pub git_ref: &'a str,
    /// How values reach the jobs.
    pub parameters: Parameters,
    /// Names of values, as inputs are called, and the values.
    pub values: &'a [(&'a str, &'a str)],
}

/// How values reach the jobs of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// As typed inputs (since GitLab 17.10).
    Inputs,
    /// As variables `BUILDBTW_<NAME>`, which a project may allow to some roles only.
    Variables,
}

/// A pipeline.
#[derive(Clone, Debug, Deserialize)]
pub struct Pipeline {
    /// GitLab's number of it.
    pub id: PipelineId,
    /// The head it runs on.
    pub sha: CommitHash,
    /// Where it stands.
    pub status: PipelineStatus,
    /// Its page.
    #[serde(default)]
    pub web_url: Option<String>,
    /// What is wrong with its configuration.
    #[serde(default)]
    pub yaml_errors: Option<String>,
}

/// A job of a pipeline.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// GitLab's number of it.
    pub id: JobId,
    /// Its name in the template.
    pub name: String,
    /// Where it stands.
    pub status: PipelineStatus,
    /// Why it failed, in GitLab's word.
    #[serde(default)]
    pub failure_reason: Option<String>,
    /// For how many seconds it has run, or ran, by GitLab's clock.
    #[serde(default)]
    pub duration: Option<f64>,
}

impl Job {
    /// For how long it has run, or ran.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.duration?).ok()
    }
}

/// Creates a pipeline. Whoever gets an error that may have had an effect has to look for it by its name
/// before trying again.
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
    let answer = http
        .act(subject, Method::POST, &path, &body, Patience::Short)
        .await?;
    answer.json(subject)
}

/// The pipelines of a project with this name that were created through the API, oldest first.
pub(crate) async fn named(
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
        // A server that does not know the filters answers with everything.
        ("per_page", "100"),
    ];
    let answer = http
        .get_with(subject, &path, &parameters, Patience::Short)
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
    let rows: Vec<Row> = answer.json(subject)?;
    Ok(rows
        .into_iter()
        .rev()
        .filter(|row| row.name.as_deref() == Some(name))
        .filter(|row| row.source.as_deref().is_none_or(|source| source == "api"))
        .map(|row| row.pipeline)
        .collect())
}

/// A pipeline; `None` when there is none of this number.
pub(crate) async fn one(
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
    match http.get(subject, &path, Patience::Short).await {
        Ok(answer) => return answer.json(subject).map(Some),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error),
    }
    // The whole project may be out of sight, which says nothing about its pipelines.
    let project = format!("api/v4/projects/{project}");
    http.get(subject, &project, Patience::Short).await?;
    Ok(None)
}

/// The jobs of a pipeline, without those that were retried.
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
    match http.get(subject, &path, Patience::Short).await {
        Ok(answer) => answer.json(subject),
        Err(error) if is_not_found(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Cancels a pipeline. GitLab says yes whatever it does; whether it happened shows later.
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
    match http.post(subject, &path, &nothing, Patience::Short).await {
        Ok(_) => Ok(()),
        // Deleted meanwhile.
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

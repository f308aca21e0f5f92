//! CI configuration paths of projects.

use buildbtw_model::ProjectId;
use reqwest::Method;

use crate::error::GitlabError;
use crate::http::{Http, RetryBudget, Subject};

/// The CI configuration path of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiConfig {
    /// The project.
    pub id: ProjectId,
    /// Its path, including the group.
    pub full_path: String,
    /// A path in the project, or `path@project:ref` for a file in another project.
    pub ci_config_path: String,
}

/// A page of the CI configuration paths of the group's projects.
#[derive(Clone, Debug)]
pub struct CiConfigPage {
    /// The projects.
    pub projects: Vec<CiConfig>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// Sets the CI configuration path of a project. Needs the role Maintainer.
pub(crate) async fn set(
    http: &Http,
    project: ProjectId,
    about: &str,
    path: &str,
) -> Result<(), GitlabError> {
    let subject = Subject {
        request: "set CI configuration path",
        about,
    };
    let url = format!("api/v4/projects/{project}");
    let body = serde_json::json!({ "ci_config_path": path });
    http.send_json(subject, Method::PUT, &url, &body, RetryBudget::Background)
        .await?;
    Ok(())
}

//! Where projects have their CI configuration.

use buildbtw_model::ProjectId;
use reqwest::Method;

use crate::error::GitlabError;
use crate::http::{Http, Patience, Subject};

/// Where a project has its CI configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiConfig {
    /// The project.
    pub id: ProjectId,
    /// Its path, the group's included.
    pub full_path: String,
    /// A path in the project, or `path@project:ref` for one in another project.
    pub ci_config_path: String,
}

/// Some projects of the group, and where the next page begins.
#[derive(Clone, Debug)]
pub struct CiConfigPage {
    /// The projects.
    pub projects: Vec<CiConfig>,
    /// The next page, if there is one.
    pub next: Option<String>,
}

/// Tells a project where its CI configuration is; the role Maintainer may do that.
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
    http.send_json(subject, Method::PUT, &url, &body, Patience::Long)
        .await?;
    Ok(())
}

//! Logs of jobs.

use buildbtw_model::{JobId, ProjectId};

use crate::client::Gitlab;
use crate::error::GitlabError;
use crate::http::{RetryBudget, Subject};

/// The cause of a failure is at the end of a log.
const KEPT: usize = 64 << 10;

impl Gitlab {
    /// Returns the end of a job's log, with GitLab's timestamps, section markers and colours.
    ///
    /// # Errors
    /// When the request fails, or the token is not allowed to read the log.
    pub async fn job_trace(
        &self,
        project: ProjectId,
        about: &str,
        job: JobId,
    ) -> Result<String, GitlabError> {
        let subject = Subject {
            request: "read job log",
            about,
        };
        let path = format!("api/v4/projects/{project}/jobs/{job}/trace");
        let response = self
            .http
            .get(subject, &path, RetryBudget::Interactive)
            .await?;
        let start = response.body.len().saturating_sub(KEPT);
        Ok(String::from_utf8_lossy(&response.body.slice(start..)).into_owned())
    }
}
